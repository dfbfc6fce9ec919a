"""The examples in the docstrings of cogfit are run (those of theory: tests/theory/test_doctests.py)."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module
from importlib.util import find_spec

import pytest

import cogfit
import paper_figures

MODULES = [
    package.__name__ if module is None else module.name
    for package in (cogfit, paper_figures)
    for module in (None, *pkgutil.walk_packages(package.__path__, f"{package.__name__}."))
]

SLOW = {"cogfit.integrations.lightning"}  # importing Lightning takes seconds


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in MODULES]
)
def test_examples(name: str) -> None:
    try:
        module = import_module(name)
    except ImportError:
        if find_spec("torch") is not None:
            raise
        pytest.skip("needs torch")
    failed, _ = doctest.testmod(module)
    assert failed == 0

"""The examples in the docstrings of the package are run."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

import theory

MODULES = ["theory", *(module.name for module in pkgutil.walk_packages(theory.__path__, "theory."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    failed, _ = doctest.testmod(import_module(name))
    assert failed == 0

"""The examples in the docstrings of the package are run."""

from __future__ import annotations

import doctest
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import theory

ROOT = Path(theory.__file__).parent
MODULES = sorted(
    ".".join(("theory", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
)

SLOW = {
    "theory.bounds.t4_zipf_streams",
    "theory.bounds.t6_sharpness",
    "theory.redundancy.probes",
    "theory.training.loop",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in MODULES]
)
def test_examples(name: str) -> None:
    try:
        module = import_module(name)
    except ImportError:
        if find_spec("torch") is not None:
            raise
        pytest.skip("needs the extra 'train'")
    failed, _ = doctest.testmod(module)
    assert failed == 0

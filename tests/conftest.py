"""Settings for the whole suite: no display, repeatable property tests."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

os.environ["MPLBACKEND"] = "Agg"

from hypothesis import settings

# Where torch is not installed (make test-oldest and others) what cannot do without it is left out; single tests skip.
collect_ignore = [] if find_spec("torch") else ["theory/models", "theory/redundancy", "theory/training"]

# `ci` is the default everywhere, so that a red test is red for everybody; `pytest --hypothesis-profile deep` looks for
# new examples. Numerical code has no 200 ms deadline.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("deep", deadline=None, max_examples=1000)
settings.load_profile("ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options for the trained models that the bounds are tested on."""
    group = parser.getgroup("trained models")
    group.addoption("--members", type=int, default=1, metavar="N", help="N times as many trained models (default 1)")
    group.addoption("--members-device", default="cpu", metavar="DEVICE", help="cpu or cuda (default cpu)")

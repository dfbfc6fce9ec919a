"""Brent's root is scipy's, digit by digit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from cogfit.inference.roots import brent

FUNCTIONS = {
    "cubic": lambda x: x**3 - 2.0 * x - 5.0,
    "exponential": lambda x: math.expm1(x) - 0.3,
    "flat": lambda x: (x - 1.0) ** 9,
    "steep": lambda x: math.atan(1e6 * (x - 0.2)),
    "step": lambda x: -1.0 if x < 0.7 else 1.0,
}


@given(
    name=st.sampled_from(sorted(FUNCTIONS)),
    low=st.floats(-4, 0),
    high=st.floats(2.5, 9),
    absolute=st.sampled_from([2e-12, 1e-6, 1e-14]),
    relative=st.sampled_from([4 * 2.0**-52, 1e-6]),
)
def test_roots_have_the_digits_of_scipy(name: str, low: float, high: float, absolute: float, relative: float) -> None:
    asked: list[float] = []
    asked_by_scipy: list[float] = []

    def function(x: float) -> float:
        asked.append(x)
        return FUNCTIONS[name](x)

    def function_for_scipy(x: float) -> float:
        asked_by_scipy.append(x)
        return FUNCTIONS[name](x)

    root = brent(function, low, high, absolute=absolute, relative=relative, iterations=200)
    assert root == brentq(function_for_scipy, low, high, xtol=absolute, rtol=relative, maxiter=200)
    assert asked == asked_by_scipy


@pytest.mark.parametrize(("low", "high"), [(0.0, 3.0), (-2.0, 0.0)])
def test_a_root_at_an_end_is_taken(low: float, high: float) -> None:
    assert brent(lambda x: x, low, high) == 0.0


def test_what_cannot_be_found_is_an_error() -> None:
    with pytest.raises(ValueError, match="same sign"):
        brent(lambda x: x * x + 1.0, -1.0, 1.0)
    with pytest.raises(ValueError, match="NaN"):
        brent(lambda x: math.nan if x > 0 else -1.0, -1.0, 1.0)
    with pytest.raises(RuntimeError, match="3 steps"):
        brent(FUNCTIONS["steep"], -4.0, 9.0, iterations=3)

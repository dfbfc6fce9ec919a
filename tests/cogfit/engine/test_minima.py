"""Least squares end in the lowest minimum: laws between forms, and places tried one by one."""

from __future__ import annotations

import numpy as np
import pytest

from cogfit.engine.separable import solve
from cogfit.formulas.form import Array
from cogfit.formulas.registry import get_form

ROUNDING = 1e-9  # relative: two descents to one minimum
CURVES = 300


def rss_of(name: str, x: Array, y: Array, **options: Array) -> float:
    fixed = {key: np.array([value]) for key, value in options.items() if key != "start"}
    starts = options["start"][None, None] if "start" in options else None
    return float(solve(get_form(name), x, y[None], np.ones((1, x.size)), starts=starts, fixed=fixed or None).rss[0])


def curve_that_steepens(rng: np.random.Generator) -> tuple[Array, Array]:
    """A curve of which a fitted floor comes to 0, with little noise."""
    n = int(np.exp(rng.uniform(np.log(20.0), np.log(300.0))))
    x = np.arange(1.0, n + 1.0)
    rate, gamma = np.exp(rng.uniform(-8.0, -5.0)), rng.uniform(1.0, 2.0)
    clean = rng.uniform(0.3, 1.0) * np.exp(-rate * x) + (1.0 - np.exp(-rate * x)) * x**-gamma
    return x, clean + rng.normal(0.0, np.ptp(clean) * 10.0 ** rng.uniform(-4.0, 0.0), n)


@pytest.mark.parametrize("name", ["stretched_exponential", "shifted_power", "exponential"])
def test_a_floor_never_makes_a_fit_worse(name: str) -> None:
    rng = np.random.default_rng(11)
    for _ in range(CURVES):
        x, y = curve_that_steepens(rng)
        assert rss_of(f"{name}_floor", x, y) <= rss_of(name, x, y) * (1.0 + ROUNDING)


def test_equal_ranks_are_an_exponential() -> None:
    # with s = 0 every pattern has the probability 1/K: what is missing after x draws is (1 − 1/K)^x
    rng = np.random.default_rng(12)
    for _ in range(70):
        x = np.arange(1.0, rng.integers(20, 300))
        clean = (1.0 - 1.0 / np.exp(rng.uniform(np.log(5.0), np.log(3000.0)))) ** x
        y = clean + rng.normal(0.0, 1e-3 * np.ptp(clean), x.size)
        assert rss_of("truncated_zipf", x, y) <= rss_of("exponential", x, y) * (1.0 + ROUNDING)


def test_no_place_of_a_break_is_better() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        x = np.sort(rng.uniform(1.0, 10.0 ** rng.uniform(1.0, 3.0), 40))
        y = x ** -rng.uniform(1.0, 5.0)
        y += rng.normal(0.0, np.ptp(y) * 10.0 ** rng.uniform(-4.0, 0.0), x.size)
        best = rss_of("broken_power", x, y)
        for place in x[2:-2]:
            for exponents in ([1.0, 1.0], [4.0, -1.0], [2.0, 8.0]):
                tried = rss_of("broken_power", x, y, xb=place, start=np.array([*exponents, place]))
                assert best <= tried * (1.0 + ROUNDING)

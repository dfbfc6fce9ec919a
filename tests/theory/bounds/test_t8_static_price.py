"""T8: the price of a static router against theory, other arithmetic and routers that are played."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize
from scipy.special import gamma, zeta

import theory
from cogfit.errors import InputError
from theory.bounds import t5_static_routers as t5
from theory.bounds import t8_static_price as t8
from theory.tasks.retrieval import Stream, evaluate

MEANS = st.floats(0.0, 1e6)


def brute_cost(x: float) -> float:
    """c(x) with the closed form of the first-order condition: a root, not a minimum."""

    def slope(rho: float) -> float:
        return x + math.expm1(-rho * x) / rho**2 + (1 - rho) / rho * x * math.exp(-rho * x)

    if x < 1e-3:
        return x - x**2 / 8 + x**3 / 48
    rho = optimize.brentq(slope, 1e-9 if x < 1 else 1e-3 / math.sqrt(x), 1.0)
    return rho * x - (1 - rho) / rho * math.expm1(-rho * x)


@given(MEANS)
@settings(max_examples=40)
def test_the_least_cost_of_a_pattern_is_a_root_and_within_its_limits(x: float) -> None:
    least, (low, high) = float(t8.pattern_cost(x)), t8.pattern_limits(x)
    assert least == pytest.approx(brute_cost(x), rel=1e-9, abs=1e-12)
    assert low <= least * (1 + 1e-12) + 1e-12
    assert least <= high * (1 + 1e-12)


@given(st.integers(1, 3000), st.floats(1e-4, 1.0))
@settings(max_examples=40)
def test_binomial_counts_cost_little_more_than_poisson_counts(n: int, p: float) -> None:
    """0 ≤ c_N(p) − c(Np) ≤ p/e, rate by rate."""
    rho = np.linspace(0.002, 1.0, 500)
    binomial = n * p * rho + (1 - rho) / rho * (1 - (1 - rho * p) ** n)
    poisson = n * p * rho + (1 - rho) / rho * -np.expm1(-rho * n * p)
    assert np.all(binomial >= poisson * (1 - 1e-12))
    assert np.all(binomial - poisson <= p / math.e + 1e-9)
    low, high = t8.pattern_limits(n * p)
    assert low <= binomial.min() * (1 + 1e-9)
    at = min(1.0, 1 / math.sqrt(max(n * p, 1e-300)))
    assert n * p * at + (1 - at) / at * (1 - (1 - at * p) ** n) <= high * (1 + 1e-9)


@given(st.one_of(st.floats(1.1, 3.9), st.just(2.0)), st.integers(20, 5000))
@settings(max_examples=8)
def test_the_cost_of_the_best_static_router_is_within_the_limits(s: float, n: int) -> None:
    x = float(t8.scale(n, s))
    assume(x >= 1.0)
    low, high = t8.limits(n, s)
    cost = t8.least_cost(n, s)
    # what the computed cost charges too much for rare patterns: x²/8 each
    assert low <= cost * (1 + 1e-9)
    assert cost <= high * (1 + 1e-9) + x / 1000
    assert cost >= t5.least_cost("closed_loop", n, s) * (1 - 1e-9)


@pytest.mark.parametrize("s", [1.1, 1.9])
def test_the_constant_by_parts(s: float) -> None:
    """A = ∫ c′(x) x^{−1/s} dx, and c′(x) = ρ + (1−ρ)e^{−ρx} at the best rate: no derivative of the rate enters."""
    y = np.linspace(-30.0, 60.0, 1001)
    x = np.exp(y)
    rho = np.array([0.5 if v < 1e-3 else 1 / math.sqrt(v) if v > 1e4 else _best(v) for v in x])
    slope = rho + (1 - rho) * np.exp(-rho * x)
    value = integrate.simpson(slope * x ** (1 - 1 / s), x=y)
    ends = math.exp(-30 * (1 - 1 / s)) / (1 - 1 / s) + math.exp(60 * (0.5 - 1 / s)) / (1 / s - 0.5)
    assert t8.constant(s) == pytest.approx(value + ends, rel=1e-6)
    assert gamma(1 - 1 / s) < t8.constant(s) <= 2 / (1 - s / 2) - 1 + 1 / (s - 1)


def _best(x: float) -> float:
    found = optimize.minimize_scalar(
        lambda r: r * x - (1 - r) / r * math.expm1(-r * x),
        bounds=(1e-4, 1.0),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return float(found.x)


def test_recorded_values() -> None:
    """Worked out once with other code."""
    for n, cost in ((10**4, 383.28), (10**5, 1305.5)):
        assert t8.least_cost(n, 3.0) == pytest.approx(cost, rel=1e-4)
    for n, price in ((10**4, 5.495), (10**5, 6.780)):
        assert t8.price(n, 2.0) == pytest.approx(price, rel=1e-3)
    for s, price in ((1.1, 1.255), (1.2, 1.574), (1.5, 3.284), (1.8, 10.07), (1.95, 43.9)):
        assert t8.leading_price(1.0, s) == pytest.approx(price, rel=1e-3)
    assert 0.02 * t8.leading_price(1.0, 1.98) == pytest.approx(2.233, rel=1e-3)
    for n, price in ((10**3, 2.342), (10**4, 2.637)):  # far from the limit, 3.284
        assert t8.price(n, 1.5) == pytest.approx(price, rel=1e-3)


def test_the_three_orders_of_growth() -> None:
    far, near = 10**5, 10**3
    above = math.log(t8.least_cost(far, 3.0) / t8.least_cost(near, 3.0)) / math.log(100)
    below = math.log(t8.least_cost(far, 1.3) / t8.least_cost(near, 1.3)) / math.log(100)
    assert above == pytest.approx(0.5, abs=0.05)
    assert below == pytest.approx(1 / 1.3, abs=0.03)
    assert t8.price(far, 2.0) - t8.price(near, 2.0) == pytest.approx(math.log(100) / math.sqrt(math.pi), rel=0.03)
    assert t8.leading_price([near, far], 3.0)[1] / t8.leading_price(near, 3.0) == pytest.approx(100 ** (1 / 2 - 1 / 3))


def test_a_static_router_with_rates_costs_what_is_computed() -> None:
    p, rho = (Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)), (Fraction(1, 3), Fraction(1, 2), Fraction(1))
    stream = Stream.independent(p, values=3, length=3)
    outcome = evaluate(stream, t5.static_policy(rho))
    cost = sum(outcome.attention) + Fraction(3, 2) * sum(outcome.error)
    assert t8.rates_cost(3, [float(x) for x in p], [float(x) for x in rho]) == pytest.approx(float(cost))
    mean, low, high, expected = t8._simulated(2.5)
    assert low < expected < high
    assert mean == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ("n", "p"), [(2, Fraction(1, 2)), (5, Fraction(3, 4)), (10, Fraction(1, 100)), (9, Fraction(1))]
)
def test_the_least_cost_is_certified(n: int, p: Fraction) -> None:
    document = t8.pattern_certificate(n, p)
    assert theory.verify(document).ok
    sturm, arithmetic = document["parts"]
    above = [str(Fraction(sturm["coefficients"][0]) - Fraction(1, 10**4)), *sturm["coefficients"][1:]]
    assert not theory.verify(sturm | {"coefficients": above}).ok
    assert not theory.verify(arithmetic | {"facts": ["at < least"]}).ok


def test_labels_and_history_break_the_lower_limit() -> None:
    n, s = 400, 3.0
    p = [float(k**-s / zeta(s)) for k in range(1, 101)]
    p = [x / sum(p) for x in p]
    limit = sum(float(t8.pattern_limits(n * x)[0]) for x in p)
    labelled = Stream.independent(p, values=16, length=n, feedback=True)
    _, _, high = t5.simulate(t8.StaticByPattern(np.zeros(100)), labelled, streams=300)
    assert high < limit
    assert t5.least_cost("closed_loop", n, s) < limit
    mean, _, _ = t5.simulate(
        t8.StaticByPattern(t8.rates(n, p)), Stream.independent(p, values=16, length=n), streams=300
    )
    assert mean > limit


@pytest.mark.parametrize(
    "call",
    [
        lambda: t8.pattern_cost(-1.0),
        lambda: t8.constant(1.0),
        lambda: t8.price(100, 0.5),
        lambda: t8.limits(1, 1.5),
        lambda: t8.leading_price(10, math.nan),
    ],
)
def test_bad_input_is_named(call: object) -> None:
    with pytest.raises(InputError):
        call()  # type: ignore[operator]


@pytest.mark.slow
def test_the_verdict_and_the_table_for_the_figure() -> None:
    verdict = theory.check_theorem("T8")
    assert verdict.status == "proved"
    assert verdict.verify().ok
    table = t8.curves()
    exact = table[table["kind"] == "exact"]
    assert (exact["value"] >= 1.0).all()
    assert (exact.groupby("curve")["value"].diff().dropna() > 0).all()
    played = table[table["kind"] == "achieved"]
    assert len(played) == 2
    assert (played["low"] < played["value"]).all()

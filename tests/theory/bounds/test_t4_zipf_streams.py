"""T4: the power law of the stream axis, its exact error, and where it may not be quoted."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import zeta

import cogfit
import theory
from cogfit.errors import InputError
from theory.bounds import t4_zipf_streams as t4
from theory.tasks.retrieval import FirstExposures, Stream, play, zipf

CASES = st.tuples(st.floats(1.15, 4.0), st.integers(1, 14), st.floats(0.0, 13.0), st.floats(0.02, 1.0)).map(
    lambda x: (x[0], x[1], x[1] + round(math.expm1(x[2])), x[3])
)
"""s, c, N ≥ c up to half a million, rate."""


@given(CASES)
def test_the_exact_curve_is_within_the_bound_of_the_closed_form(case: tuple[float, int, int, float]) -> None:
    s, c, n, rate = case
    low, high = t4.attention(n, s, c=c, rate=rate)
    closed, bound = t4.closed_form(n, s, c=c, rate=rate), t4.error_bound(n, c=c, rate=rate)
    assert low <= high <= low * (1 + 1e-7)
    assert low >= closed - bound
    assert high <= closed + bound


@given(st.floats(0.05, 4.0), st.integers(1, 14), st.floats(0.0, 10.0), st.integers(1, 2000), st.floats(0.05, 1.0))
def test_so_is_the_curve_of_finitely_many_patterns(s: float, c: int, log_n: float, patterns: int, rate: float) -> None:
    n = c + round(math.expm1(log_n))
    exact = t4.attention(n, s, patterns=patterns, c=c, rate=rate)[0]
    closed = t4.closed_form(n, s, patterns=patterns, c=c, rate=rate)
    assert abs(exact - closed) <= t4.error_bound(n, c=c, rate=rate) + 1e-9


@pytest.mark.slow
@given(CASES)
def test_the_local_exponent_is_within_its_explicit_limits(case: tuple[float, int, int, float]) -> None:
    s, c, n, rate = case
    low, high = t4.local_exponent(n, s, c=c, rate=rate)
    explicit = t4.exponent_bounds(n, s, c=c, rate=rate)
    assert low <= high
    assert explicit[0] <= low + 1e-9
    assert high <= explicit[1] + 1e-9


@pytest.mark.parametrize(("s", "c"), [(1.754, 1), (2.5, 3)])
def test_a_wrong_constant_or_exponent_breaks_the_bound(s: float, c: int) -> None:
    n = 10**6
    exact, bound = float(t4.attention(n, s, c=c)[0]), float(t4.error_bound(n, c=c))
    assert abs(exact - t4.closed_form(n, s, c=c)) <= bound
    assert abs(exact - 1.02 * t4.closed_form(n, s, c=c)) > bound
    assert abs(exact - t4.constant(s, c=c) * n ** -(1 - 1 / s + 0.01)) > bound
    document = t4.enclosure(1000, Fraction(877, 500))
    assert theory.verify(document).ok
    definitions = document["definitions"] | {"closed": f"21/20*({document['definitions']['closed']})"}
    assert not theory.verify(document | {"definitions": definitions}).ok


@pytest.mark.parametrize("n", [1, 7, 400])
@pytest.mark.parametrize("c", [1, 3])
def test_the_enclosure_of_the_infinite_sum_agrees_with_a_longer_one(n: int, c: int) -> None:
    """s = 2.5: beyond three million terms less than 10⁻¹⁰ is left."""
    n = max(n, c)
    p = np.arange(1.0, 3e6) ** -2.5
    p /= p.sum() + (3e6) ** -1.5 / 1.5
    chance = sum(math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(c))
    low, high = t4.attention(n, 2.5, c=c)
    assert low - 3e-10 <= (p * chance).sum() <= high + 3e-10
    seen = t4.distinct(n, 2.5)
    assert seen[0] - 1e-6 <= (1 - (1 - p) ** n).sum() <= seen[1] + 1e-6


@given(st.floats(1.15, 4.0), st.integers(1, 10**5), st.floats(0.05, 1.0))
@settings(max_examples=50)
def test_distinct_patterns_grow_by_the_probability_of_attending(s: float, n: int, rate: float) -> None:
    before, after = t4.distinct(n, s, rate=rate), t4.distinct(n + 1, s, rate=rate)
    u = rate * np.array(t4.attention(n, s, rate=rate))
    assert after[0] - before[1] <= u[1] + 1e-7 * after[0]
    assert after[1] - before[0] >= u[0] - 1e-7 * after[0]
    assert before[1] * (1 - 1e-7) <= t4.distinct_closed_form(n, s, rate=rate) <= (before[0] + 1) * (1 + 1e-7)


def test_the_integral_is_symbolically_the_closed_form() -> None:
    """∫ q^{γ−1} P(U > q) dq = E[U^γ]/γ, U ~ Beta(c, N−c+1), for all γ at once."""
    q, gamma = sympy.symbols("q gamma", positive=True)
    for n, c in ((1, 1), (3, 2)):
        fewer = sum(sympy.binomial(n, j) * q**j * (1 - q) ** (n - j) for j in range(c))
        integral = sympy.integrate(sympy.expand(q ** (gamma - 1) * sympy.expand(fewer)), (q, 0, 1))
        ratio = sympy.gamma(c + gamma) * sympy.gamma(n + 1) / (sympy.gamma(c) * sympy.gamma(n + 1 + gamma) * gamma)
        assert sympy.simplify(sympy.gammasimp(integral - ratio)) == 0


def test_known_numbers() -> None:
    low, high = t4.attention([100, 1000, 10_000], 1.754)
    assert low == pytest.approx([0.1103944, 0.0411406, 0.0152938], abs=1e-7)
    assert high == pytest.approx(low, rel=1e-8)
    # s = 2, c = 1: C = Γ(1/2)/2/ζ(2)^{1/2} = √(3/(2π))
    assert t4.constant(2.0) == pytest.approx(math.sqrt(1.5 / math.pi))
    assert t4.constant(2.0, c=4) / t4.constant(2.0) == pytest.approx(math.gamma(4.5) / math.gamma(4) / math.gamma(1.5))
    assert t4.constant(2.0, rate=0.01) == pytest.approx(10 * t4.constant(2.0))


def test_the_exponent_depends_neither_on_threshold_nor_rate_nor_batch() -> None:
    for law in ({"c": 1}, {"c": 10}, {"c": 1, "rate": 0.05 * 0.2}, {"c": 3, "rate": 0.1}):
        low, high = t4.local_exponent(10**6, 1.754, **law)
        assert low == pytest.approx(1 - 1 / 1.754, abs=0.002)
        assert high == pytest.approx(low, abs=1e-6)
    # Learning at the end of batches only: attention within a batch stays what it was at its start.
    per_batch = t4.attention([2**10, 2**20], 1.754)[0]
    assert math.log2(per_batch[0] / per_batch[1]) / 10 == pytest.approx(1 - 1 / 1.754, abs=1e-3)


def test_a_hundred_patterns_never_show_the_asymptotic_exponent() -> None:
    exponent = t4.local_exponent(np.unique(np.geomspace(10, 1000, 200).round()), 1.25, patterns=100)[0]
    assert exponent[0] == pytest.approx(0.34, abs=0.005)
    assert exponent[-1] == pytest.approx(1.67, abs=0.005)
    assert np.all(np.diff(exponent) > 0)
    assert exponent.min() > 0.20 + t4.TOLERANCE
    assert t4.power_law_range(1.25, patterns=100) is None
    low, high = t4.power_law_range(1.754, patterns=10_000) or (0.0, 0.0)
    assert high / low > 100
    assert not theory.predicted_gamma(1.754, round(3 * high), patterns=10_000).quotable
    assert theory.predicted_gamma(1.754, round(math.sqrt(low * high)), patterns=10_000).quotable
    assert (t4.power_law_range(2.0) or (0.0, 0.0))[1] == math.inf


def test_consolidating_learners_follow_the_exact_curve_of_finitely_many_patterns() -> None:
    steps, size = 600, 3000
    law = Stream.independent(zipf(100, 1.25), values=16, length=steps)
    attended = play(law, FirstExposures(2), 1, size).attended
    at = np.array([2, 5, 20, 100, 599])
    exact = t4.attention(at, 1.25, patterns=100, c=2)[0]
    error = np.sqrt(exact * (1 - exact) / size)
    assert np.all(np.abs(attended[:, at].mean(axis=0) - exact) < 4.5 * error)


@pytest.mark.parametrize("law", [{"c": 3, "rate": 0.4}, {"patterns": 50}])
def test_simulated_streams_cover_the_exact_curve(law: dict[str, float]) -> None:
    n = [3, 30, 300]
    mean, low, high = t4.simulate(n, 1.5, **law, streams=1500, rng=2)
    exact = t4.attention(n, 1.5, **law)[0]
    assert np.all((low < exact) & (exact < high))
    assert mean == pytest.approx(exact, abs=0.01)


def test_the_exact_curve_is_the_registered_form() -> None:
    x = np.array([1.0, 10.0, 1000.0])
    for s, patterns in ((0.6, 40), (1.754, 200)):
        form = cogfit.forms()["truncated_zipf"].evaluate(x, {"A": 1.0, "s": s, "K": patterns})
        assert form == pytest.approx(t4.attention(x, s, patterns=patterns)[0], rel=1e-9)


def test_without_s_above_1_there_is_no_power_law() -> None:
    # s = 1: u·H ≈ log(K·H/N) − Euler's constant
    patterns = 100_000
    harmonic = float((1.0 / np.arange(1.0, patterns + 1)).sum())
    n = np.array([1e2, 1e3, 1e4])
    u = t4.attention(n, 1.0, patterns=patterns)[0]
    assert u * harmonic == pytest.approx(np.log(patterns * harmonic / n) - np.euler_gamma, abs=0.15)
    # s < 1: a function of N/K
    ratio = np.array([0.5, 2.0, 5.0])
    small, large = (t4.attention((ratio * k).round(), 0.3, patterns=k)[0] for k in (2000, 200_000))
    assert small == pytest.approx(large, rel=0.02)
    assert (
        t4.attention(2 * 200_000, 1.5, patterns=200_000)[0] < 0.3 * t4.attention(2 * 2000, 1.5, patterns=2000)[0]
    )  # γ = 1/3
    for s in (1.0, 0.7, -1.0):
        with pytest.raises(InputError, match="no power law"):
            theory.predicted_gamma(s)
        with pytest.raises(InputError, match="no power law"):
            t4.attention(10, s)


@given(st.floats(1.05, 4.0), st.integers(1, 5000))
def test_a_memory_of_m_values_leaves_a_power_of_m(s: float, m: int) -> None:
    """The mass beyond the m most frequent patterns (T2) has exponent s − 1 = γ/(1 − γ) in m."""
    left = 1 - (np.arange(1.0, m + 1.0) ** -s).sum() / zeta(s)
    assert left >= (m + 1) ** (1 - s) / ((s - 1) * zeta(s)) - 1e-12
    assert left <= m ** (1 - s) / ((s - 1) * zeta(s)) + 1e-12


def test_predictions_say_how_far_they_hold() -> None:
    assert float(theory.predicted_gamma(2.0)) == 0.5
    found = theory.predicted_gamma(1.754, 1000, c=2, rate=0.5)
    assert found.error == 2 / (0.5 * 1001)
    assert abs(found.attention - t4.attention(1000, 1.754, c=2, rate=0.5)[0]) <= found.error
    assert found.low <= found.high
    assert found.quotable
    assert "may be quoted" in str(found)
    assert "not to be quoted" in str(theory.predicted_gamma(1.25, 100, patterns=100))
    with pytest.raises(InputError, match="stream length `n`"):
        theory.predicted_gamma(1.5, patterns=10)


def test_zipf_exponents_from_numbers_and_fits() -> None:
    assert theory.zipf_exponent(0.4, 0.3, 0.5, axis="stream").s == pytest.approx(5 / 3)
    assert theory.zipf_exponent(0.5, axis="stream").s == 2.0
    found = theory.zipf_exponent(0.43, -0.1, 1.2, axis="stream")
    assert (found.low, found.high) == (1.0, math.inf)
    assert found.capacity == pytest.approx(0.754, abs=5e-4)
    assert math.isnan(theory.zipf_exponent(0.43, axis="stream").low)
    n = np.unique(np.geomspace(100, 1e5, 60).round())
    u = t4.attention(n, 1.754)[0] * (1 + 0.01 * np.random.default_rng(0).normal(size=n.size))
    fit = cogfit.fit(n, u, form="power", axis="stream")
    found = theory.zipf_exponent(fit)
    assert found.low < 1.754 < found.high
    assert found.s == pytest.approx(1.754, abs=0.03)
    with pytest.raises(InputError, match="contain"):
        theory.zipf_exponent(0.43, 0.5, 0.6, axis="stream")
    for gamma in (0.0, 1.0, 1.3, math.nan):
        with pytest.raises(InputError, match="no Zipf exponent"):
            theory.zipf_exponent(gamma, axis="stream")


def test_a_fit_of_the_truncated_law_gives_its_own_exponent() -> None:
    n = np.unique(np.geomspace(1, 1e4, 60).round())
    u = t4.attention(n, 1.25, patterns=100)[0] + 0.002 * np.random.default_rng(1).normal(size=n.size)
    found = theory.zipf_exponent(cogfit.fit(n, u, form="truncated_zipf", axis="stream"))
    assert found.low < 1.25 < found.high
    step = 1.0 / (1.0 + (n / 300) ** 8) + 0.002 * np.random.default_rng(1).normal(size=n.size)
    flat = cogfit.fit(n, step, form="truncated_zipf", axis="stream")
    assert "s" in flat.selected.estimate.at_bound
    with pytest.raises(InputError, match="ran into the bound of s"):
        theory.zipf_exponent(flat)
    with pytest.raises(InputError, match="no γ"):
        theory.zipf_exponent(cogfit.fit(n, u, form="exponential", axis="stream"))


def test_an_exponent_of_the_exposure_axis_is_refused() -> None:
    k = np.arange(1.0, 60.0)
    fit = cogfit.fit(k, k**-0.43, form="power", axis="exposure")
    for axis in (None, "stream"):
        with pytest.raises(InputError, match="T7"):
            theory.zipf_exponent(fit, axis=axis)
    with pytest.raises(InputError, match="T7"):
        theory.zipf_exponent(0.43, axis="exposure")
    with pytest.raises(InputError, match="no axis"):
        theory.zipf_exponent(0.43)
    steps = cogfit.fit(k, k**-0.43, form="power", axis="step")
    with pytest.raises(InputError, match='axis="stream"'):
        theory.zipf_exponent(steps)
    assert theory.zipf_exponent(steps, axis="stream").s == pytest.approx(1 / 0.57)


@pytest.mark.parametrize(
    "call",
    [
        lambda: t4.attention(1, 2.0, c=2),
        lambda: t4.attention(2.5, 2.0),
        lambda: t4.attention([1, math.inf], 2.0),
        lambda: t4.attention(5, 2.0, c=0),
        lambda: t4.attention(5, 2.0, rate=0.0),
        lambda: t4.attention(5, 2.0, patterns=0),
        lambda: t4.attention(5, math.nan, patterns=5),
    ],
)
def test_bad_input_is_named(call: object) -> None:
    with pytest.raises(InputError):
        call()  # type: ignore[operator]


@pytest.mark.slow
def test_the_verdict_and_the_table_for_the_figure() -> None:
    verdict = theory.check_theorem("T4")
    assert verdict.status == "proved"
    assert verdict.verify().ok
    table = t4.curves()
    inside = (table["exact"] >= table["low"] - 1e-9) & (table["exact"] <= table["high"] + 1e-9)
    assert inside.all()
    played = table.dropna(subset="achieved")
    assert len(played) > 20
    assert (played["achieved_low"] <= played["exact"]).all()
    assert (played["achieved_high"] >= played["exact"]).all()
    assert not table.loc[(table["patterns"] == 100) & (table["n"] >= 10), "quotable"].any()

"""Survival regression against scipy, a likelihood of its own, published values and laws that must hold."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from cogfit.inference.survival import (
    LAWS,
    Profile,
    Times,
    best_law,
    central_range,
    covariance,
    likelihood_cutoff,
    maximise,
)

THEIRS = {"log-normal": stats.norm, "log-logistic": stats.logistic, "Weibull": stats.gumbel_l, "log-t3": stats.t(3)}
PENALTY = 0.2


def sample(seed: int, n: int = 60, law: str = "log-normal") -> tuple[Times, np.ndarray]:
    """Times of which some are censored on either side, and a column."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = 1.0 - 0.7 * x + 0.8 * THEIRS[law].rvs(size=n, random_state=rng)
    lower, upper = np.exp(y - 0.1 * rng.random(n)), np.exp(y + 0.1 * rng.random(n))
    end = np.exp(rng.normal(2.0, 1.0, n))
    return Times.between(
        np.where(y < -0.5, 0.0, np.minimum(lower, end)), np.where(lower > end, np.inf, np.where(y < -0.5, 0.6, upper))
    ), x


@pytest.mark.parametrize("name", LAWS)
def test_laws_are_those_of_scipy(name: str) -> None:
    law, theirs = LAWS[name], THEIRS[name]
    z = np.linspace(-30.0, 6.0, 145)
    below, above = law.tails(z)
    np.testing.assert_allclose(below, theirs.cdf(z), rtol=1e-10)
    np.testing.assert_allclose(above, theirs.sf(z), rtol=1e-10)
    np.testing.assert_allclose(law.density(z), theirs.pdf(z), rtol=1e-10)
    step = 1e-6
    differences = (theirs.pdf(z + step) - theirs.pdf(z - step)) / (2.0 * step)
    np.testing.assert_allclose(law.slope(z), differences, rtol=1e-5, atol=1e-9)
    for p in (0.05, 0.5, 0.9):
        assert law.quantile(p) == pytest.approx(theirs.ppf(p))
    assert [float(tail) for tail in law.tails(np.array(np.inf))] == pytest.approx([1.0, 0.0], abs=1e-20)
    assert [float(tail) for tail in law.tails(np.array(-np.inf))] == pytest.approx([0.0, 1.0], abs=1e-20)


def negative_loglik(name: str, times: Times, x: np.ndarray) -> Callable[[np.ndarray], float]:
    """The likelihood again, from scipy's distributions and in other parameters: β, log σ, δ."""

    def value(params: np.ndarray) -> float:
        scale = np.exp(params[2] + params[3] * x)
        law = THEIRS[name]
        low, high = ((bound - params[0] - params[1] * x) / scale for bound in (times.lower, times.upper))
        p = np.where(low > 0.0, law.sf(low) - law.sf(high), law.cdf(high) - law.cdf(low))
        return float(math.log1p((params[3] / PENALTY) ** 2) - np.log(np.maximum(p, 1e-300)).sum())

    return value


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("seed", range(3))
def test_estimates_are_those_of_another_likelihood_and_optimiser(name: str, seed: int) -> None:
    times, x = sample(seed, law=name)
    x = x - x.mean()
    fit = maximise(LAWS[name], times, np.stack([np.ones(x.size), x], axis=-1), x)
    other = optimize.minimize(
        negative_loglik(name, times, x),
        [0.5, 0.0, 0.0, 0.0],
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000},
    )
    assert fit.loglik == pytest.approx(-other.fun, abs=1e-6)
    assert fit.coefficients == pytest.approx(other.x[:2], abs=1e-3)
    assert math.log(fit.scale) == pytest.approx(other.x[2], abs=1e-3)


@given(seed=st.integers(0, 10**6), n=st.integers(8, 60), share=st.floats(0.1, 0.7))
@settings(max_examples=25)
def test_right_censored_normal_samples_agree_with_scipy(seed: int, n: int, share: float) -> None:
    y = np.random.default_rng(seed).normal(3.0, 1.3, n)
    end = float(np.quantile(y, 1.0 - share))
    is_censored = y > end
    theirs = stats.norm.fit(stats.CensoredData(uncensored=y[~is_censored], right=np.full(is_censored.sum(), end)))
    seen = np.minimum(y, end)
    times = Times.between(np.exp(seen - 5e-5), np.where(is_censored, np.inf, np.exp(seen + 5e-5)))
    fit = maximise(LAWS["log-normal"], times, np.ones((n, 1)), np.zeros(n))
    assert (fit.coefficients[0], fit.scale) == pytest.approx(theirs, abs=2e-3)


def test_without_censoring_the_estimates_are_least_squares() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=50)
    y = 2.0 - x + 0.5 * rng.normal(size=50)
    times = Times(y - 5e-5, y + 5e-5)
    fit = maximise(LAWS["log-normal"], times, np.stack([np.ones(50), x], axis=-1), np.zeros(50))
    theirs = stats.linregress(x, y)
    assert fit.coefficients == pytest.approx((theirs.intercept, theirs.slope), abs=1e-6)
    variance = covariance(
        fit, times, np.stack([np.ones(50), x], axis=-1), np.zeros(50), np.arange(50)
    )  # maximum likelihood divides by n, least squares by n − 2
    assert math.sqrt(variance[1, 1] * 50 / 48) == pytest.approx(theirs.stderr, rel=1e-5)


def test_covariance_of_doubled_data_is_that_of_the_data_once_doubles_are_clusters() -> None:
    times, x = sample(4)
    columns = np.stack([np.ones(x.size), x], axis=-1)
    twice = Times(np.tile(times.lower, 2), np.tile(times.upper, 2))
    fit = maximise(LAWS["log-normal"], twice, np.tile(columns, (2, 1)), np.tile(x, 2))
    problem = (twice, np.tile(columns, (2, 1)), np.tile(x, 2))
    naive = covariance(fit, *problem, np.arange(2 * x.size))
    clustered = covariance(fit, *problem, np.tile(np.arange(x.size), 2))
    assert clustered[1, 1] / naive[1, 1] == pytest.approx(2.0, rel=0.35)


def test_many_problems_are_solved_as_one_by_one() -> None:
    samples = [sample(seed) for seed in range(5)]
    stacked = Times(np.stack([t.lower for t, _ in samples]), np.stack([t.upper for t, _ in samples]))
    x = np.stack([x for _, x in samples])
    together = maximise(LAWS["Weibull"], stacked, np.ones((1, 1)), x)
    for i, (times, column) in enumerate(samples):
        alone = maximise(LAWS["Weibull"], times, np.ones((1, 1)), column)
        np.testing.assert_allclose(together.params[i], alone.params, rtol=1e-4, atol=1e-6)


@given(seed=st.integers(0, 10**6), shift=st.floats(-40.0, 40.0))
@settings(max_examples=25)
def test_the_unit_of_time_shifts_the_location_only(seed: int, shift: float) -> None:
    times, x = sample(seed)
    columns = np.stack([np.ones(x.size), x], axis=-1)
    once, moved = (maximise(LAWS["log-normal"], t, columns, x) for t in (times, times.shifted(-np.float64(shift))))
    assert moved.coefficients[0] - shift == pytest.approx(once.coefficients[0], abs=1e-4)
    assert moved.coefficients[1] == pytest.approx(once.coefficients[1], abs=1e-4)
    assert moved.loglik == pytest.approx(once.loglik, abs=1e-6)


def test_times_that_are_all_alike_have_a_fit() -> None:
    times = Times.between(np.full(10, 99.0), np.full(10, 101.0))
    fit = maximise(LAWS["log-normal"], times, np.ones((10, 1)), np.zeros(10))
    assert math.exp(fit.coefficients[0]) == pytest.approx(100.0, abs=1.0)
    assert fit.loglik == pytest.approx(0.0, abs=1e-3)


def test_the_likeliest_law_is_taken() -> None:
    assert best_law([np.array(0.0), np.array(-0.1), np.array(-0.5), np.array(math.nan)]) == 0
    assert best_law([np.array(0.0), np.array(0.1), np.array(0.2), np.array(math.nan)]) == 2


def test_limits_of_a_parabola_are_where_it_has_fallen() -> None:
    def loglik(points: np.ndarray) -> np.ndarray:
        return -0.5 * ((points - np.array([[0.3], [-1.2]])) / 0.7) ** 2

    grid = np.broadcast_to(np.linspace(-6.0, 6.0, 13), (2, 13))
    profile = Profile.of(loglik, grid).refined(loglik, 4.0)
    assert profile.peak() == pytest.approx([0.3, -1.2])
    low, high = profile.limits(4.0)
    assert low == pytest.approx([0.3 - 1.4, -1.2 - 1.4], abs=0.02)
    assert high == pytest.approx([0.3 + 1.4, -1.2 + 1.4], abs=0.02)
    flat = Profile.of(lambda points: 0.0 * points, grid)
    assert [float(limit[0]) for limit in flat.limits(4.0)] == [-math.inf, math.inf]


def test_the_cutoff_is_that_of_f_where_nothing_is_censored() -> None:
    n = 12
    f = stats.f.ppf(0.95, 1, n - 2)
    assert likelihood_cutoff(0.95, n, 2) == pytest.approx(n * math.log1p(f / (n - 2)))
    assert likelihood_cutoff(0.9, 10**7, 2) == pytest.approx(stats.chi2.ppf(0.9, 1), rel=1e-5)


def test_the_central_range_counts_what_comes_later() -> None:
    """Times cut off at their median: the spread of those seen would be half as large."""
    log_time = stats.norm.ppf((np.arange(200) + 0.5) / 200)
    is_seen = log_time < 0.0
    t = np.exp(np.minimum(log_time, 0.0))
    found = central_range(Times.between(t * 0.99, np.where(is_seen, t * 1.01, np.inf)))
    assert found.with_censored
    assert (math.log(found.low), math.log(found.high)) == pytest.approx(
        (stats.norm.ppf(0.1), stats.norm.ppf(0.9)), abs=0.1
    )


def test_events_that_ceased_long_before_the_end_are_a_group_of_their_own() -> None:
    log_time = 0.1 * stats.norm.ppf((np.arange(50) + 0.5) / 50)
    t = np.exp(np.concatenate([log_time, np.full(50, 5.0)]))
    found = central_range(Times.between(t * 0.999, np.where(np.arange(100) < 50, t * 1.001, np.inf)))
    assert not found.with_censored
    assert math.log(found.high / found.low) == pytest.approx(0.2 * stats.norm.ppf(0.9), rel=0.1)


def test_remission_times_of_leukaemia_give_the_published_regression() -> None:
    """Gehan's data (Freireich et al. 1963); Venables & Ripley, Modern Applied Statistics with S, section 13.2."""
    treated = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    control = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    week = np.array([*treated, *control], dtype=float)
    is_censored = np.array([False] * 9 + [True] * 12 + [False] * 21)
    width = 2e-4  # of the interval that stands for an exact time, in log t
    half = np.where(is_censored, 0.0, 0.5 * width)
    times = Times(np.log(week) - half, np.where(is_censored, math.inf, np.log(week) + half))
    columns = np.stack([np.ones(42), np.repeat([0.0, 1.0], 21)], axis=-1)
    fit = maximise(LAWS["Weibull"], times, columns, np.zeros(42))
    assert fit.coefficients == pytest.approx((3.516, -1.267), abs=5e-4)
    assert fit.scale == pytest.approx(0.732, abs=5e-4)
    errors = np.sqrt(np.diagonal(covariance(fit, times, columns, np.zeros(42), np.arange(42))))
    assert errors == pytest.approx((0.252, 0.311), abs=5e-4)
    of_densities = fit.loglik - 30 * math.log(width) - np.log(week[~is_censored]).sum()
    assert of_densities == pytest.approx(-106.6, abs=0.05)

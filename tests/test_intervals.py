"""Intervals against theory and lmfit."""

from __future__ import annotations

import math

import lmfit
import numpy as np
import pytest
from scipy.signal import lfilter

import cogfit
from cogfit.intervals import Interval

X = np.arange(1.0, 201.0)


def ar1(n: int, rho: float, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(lfilter([math.sqrt(1 - rho**2)], [1.0, -rho], rng.normal(size=n + 500))[500:])


@pytest.mark.parametrize("floor", [0.0, 0.15])
def test_profile_interval_agrees_with_lmfit(floor: float) -> None:
    y = floor + 0.9 * X**-0.43 + np.random.default_rng(5).normal(0.0, 0.02, X.size)
    name = "power_floor" if floor else "power"
    fit = cogfit.fit(X, y, form=name, noise="gaussian")
    assert fit.selected.intervals["gamma"].method == "profile likelihood"
    expression = "c + A*x**(-g)" if floor else "A*x**(-g)"
    model = lmfit.models.ExpressionModel(expression, independent_vars=["x"])
    start = {"A": 0.9, "g": 0.4} | ({"c": 0.1} if floor else {})
    result = model.fit(y, x=X, **start)
    limits = lmfit.conf_interval(result, result, sigmas=[0.95], p_names=["g"])["g"]
    assert fit.interval == pytest.approx((limits[0][1], limits[-1][1]), rel=2e-3)


def test_wald_intervals_use_students_t() -> None:
    y = np.random.default_rng(2).normal(5.0, 1.0, 12)
    fit = cogfit.fit(np.arange(1.0, 13.0), y, form="constant", noise="gaussian")
    half = 2.200985160082949 * y.std(ddof=1) / math.sqrt(12)  # t(0.975, 11)
    assert fit.params["c"] == pytest.approx(y.mean())
    found = fit.selected.intervals["c"]
    assert (found.low, found.high) == pytest.approx((y.mean() - half, y.mean() + half), rel=1e-9)


def test_autocorrelation_widens_the_interval() -> None:
    rng = np.random.default_rng(3)
    truth = 0.9 * X**-0.43

    def width(error: np.ndarray) -> float:
        return float(np.diff(cogfit.fit(X, truth + 0.02 * error, form="power", noise="gaussian").interval)[0])

    white = np.mean([width(rng.normal(size=X.size)) for _ in range(20)])
    red = np.mean([width(ar1(X.size, 0.9, rng)) for _ in range(20)])
    assert red > 2.0 * white
    fit = cogfit.fit(X, truth + 0.02 * ar1(X.size, 0.9, rng), noise="gaussian")
    assert any("autocorrelated" in text for text in fit.warnings)
    assert fit.n_effective < 0.5 * X.size


def test_coverage_under_white_and_red_noise() -> None:
    """Loose enough for 200 repeats: 99.9 % Clopper–Pearson around 95 % would be [0.885, 0.985]."""
    rng = np.random.default_rng(11)
    for rho, least in ((0.0, 0.90), (0.9, 0.86)):
        hits = 0
        for _ in range(200):
            y = 0.1 + 0.9 * X**-0.43 + 0.02 * ar1(X.size, rho, rng)
            low, high = cogfit.fit(X, y, form="power_floor", noise="gaussian").interval
            hits += low <= 0.43 <= high
        assert hits / 200 >= least, rho


def test_resampling_clusters_gives_the_spread_between_clusters() -> None:
    rng = np.random.default_rng(7)
    level = rng.normal(0.5, 0.1, 60)  # every cluster has its own level: the mean's SE is that of 60 levels
    x = np.tile(np.arange(1.0, 21.0), 60)
    group = np.repeat(np.arange(60), 20)
    fit = cogfit.fit(x, level[group] + rng.normal(0.0, 0.001, x.size), form="constant", groups=group)
    found = fit.selected.intervals["c"]
    half = 1.96 * level.std(ddof=1) / math.sqrt(60)
    assert "resampled" in found.method
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.15)


def test_a_side_without_limit_is_infinite_and_null_in_json() -> None:
    y = np.exp(-X / 60.0) + np.random.default_rng(0).normal(0.0, 0.01, X.size)
    fit = cogfit.fit(X, y, form="shifted_power", noise="gaussian")  # the exponential is its limit γ → ∞
    assert fit.interval is not None
    assert fit.interval[1] == math.inf
    document = fit.selected.intervals["gamma"].to_json()
    assert document["high"] is None
    assert "high" in document["unbounded"]
    assert Interval.from_json(document) == fit.selected.intervals["gamma"]


def test_clusters_replace_standard_errors_and_the_plots_band() -> None:
    rng = np.random.default_rng(3)
    gammas = rng.normal(0.43, 0.1, 30)
    x, group = np.tile(np.arange(1.0, 41.0), 30), np.repeat(np.arange(30), 40)
    y = 0.9 * x ** -gammas[group] + rng.normal(0.0, 0.005, x.size)
    fit = cogfit.fit(x, y, form="power", groups=group)
    low, high = fit.interval  # type: ignore[misc]
    assert fit.stderr["gamma"] == pytest.approx((high - low) / 3.92, rel=0.15)
    assert fit.selected.intervals["gamma"].scope == "the population of the groups"
    trials = cogfit.fit(x, np.clip(y, 0, 1), form="power", groups=group, trials=np.full(x.size, 50))
    assert trials.noise == "gaussian"  # clusters come first
    assert "resampled" in trials.selected.intervals["gamma"].method


def test_the_binomial_profile_stays_among_probabilities() -> None:
    """With y = 1 at the first point the bound A·k_min^−γ ≤ 1 is active; the interval must still surround γ."""
    rng = np.random.default_rng(8)
    x, trials = np.arange(1.0, 61.0), np.full(60, 30.0)
    hits = 0
    for _ in range(60):
        fit = cogfit.fit(x, rng.binomial(30, x**-0.43) / 30, form="power", trials=trials)
        low, high = fit.interval  # type: ignore[misc]
        assert low < fit.gamma < high  # type: ignore[operator]
        hits += low <= 0.43 <= high
    assert hits >= 51

"""What drives switches: known truths under censoring, late arrivals, uneven schedules, layers and heads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from cogfit.curves.exposure import exposure_curve
from cogfit.inference import patterns
from cogfit.inference.switching import Switches, estimate_slopes, find_drivers
from cogfit.logs.model import RoutingLog, Source

NEVER = 10**9


def steady(step: np.ndarray, end: float, frequency: np.ndarray) -> Switches:
    """Switches of patterns that are shown evenly from the start."""
    is_never = step > end
    step = np.minimum(step, end)
    one = np.ones(step.shape)
    return Switches(step, step * frequency, one, is_never, np.zeros(step.shape, dtype=bool), frequency)


def drawn(slope: float, logs: int, n: int, share: float, seed: int) -> Switches:
    """Log-normal switch times of which a share is censored."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.0, 0.8, (logs, n))
    step = 1000.0 * np.exp(slope * x + 1.5 * rng.normal(size=(logs, n)))
    return steady(step, float(np.quantile(step, 1.0 - share)), 0.1 * np.exp(x))


def routing_log(
    threshold: np.ndarray, rate: np.ndarray, steps: int, driver: str, seed: int, arrival: np.ndarray | None = None
) -> RoutingLog:
    """Near-binary router: every pattern switches when its threshold is reached, in steps or in exposures."""
    rng = np.random.default_rng(seed)
    step, pattern = np.nonzero(rng.random((steps, rate.size)) < rate)
    if arrival is not None:
        keep = step >= arrival[pattern]
        step, pattern = step[keep], pattern[keep]
    frame = pd.DataFrame({"step": step, "pattern": pattern.astype(np.int32)})
    frame["exposure"] = frame.groupby("pattern").cumcount()
    clock = frame["exposure"] if driver == "exposure" else frame["step"]
    frame["p_episodic"] = np.where(clock < threshold[pattern], 0.95, 0.05)
    return RoutingLog(frame, tuple(map(str, range(rate.size))), Source("log", "test", len(frame)), True)


def followed(log: RoutingLog) -> Any:
    curve = exposure_curve(log)
    assert curve.facts is not None
    return patterns.analyse(log, curve.facts)


# ---------------------------------------------------------------------------------------------------- the estimate


@pytest.mark.parametrize("slope", [0.0, -1.0])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_the_slope_is_not_biased_by_censoring(slope: float, share: float) -> None:
    found = estimate_slopes(drawn(slope, 100, 60, share, 11))
    assert np.median(found.estimate) == pytest.approx(slope, abs=0.12)
    covered = np.mean((found.low <= slope) & (found.high >= slope))
    assert covered >= 0.88  # 100 draws of 95 %


@pytest.mark.parametrize("slope", [0.0, -1.0])
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_the_wrong_driver_is_seldom_named(slope: float, share: float) -> None:
    found = estimate_slopes(drawn(slope, 120, 40, share, 3))
    wrong = -1.0 - slope
    named_wrong = (found.low <= wrong) & (found.high >= wrong) & ~((found.low <= slope) & (found.high >= slope))
    assert named_wrong.sum() <= 8  # of 120, with 2.5 % each: more would be one in a hundred


def test_patterns_that_switched_alone_would_mislead() -> None:
    """The fault that is mended: the slope of those that switched is near 0 where exposures decide."""
    switches = drawn(-1.0, 40, 100, 0.6, 7)
    slopes = [
        stats.theilslopes(np.log(s[~never]), np.log(f[~never]))[0]
        for s, never, f in zip(switches.step, switches.is_never, switches.frequency, strict=True)
    ]
    assert np.mean(slopes) > -0.75
    assert np.mean(estimate_slopes(switches).estimate) == pytest.approx(-1.0, abs=0.1)


def test_slope_and_limits_are_those_of_a_tobit_likelihood() -> None:
    """An independent likelihood: densities of log times, tails of censored ones, no intervals, no grid."""
    switches = drawn(-0.3, 1, 80, 0.4, 5)
    x, y, never = switches.log_frequency[0], np.log(switches.step[0]), switches.is_never[0]

    def deviance(params: np.ndarray, slope: float) -> float:
        scale = params[1] + params[2] * x
        z = (y - params[0] - slope * x) / np.exp(scale)
        return float(-np.where(never, stats.norm.logsf(z), stats.norm.logpdf(z) - scale).sum()) + math.log1p(
            (params[2] / 0.2) ** 2
        )

    def profile(slope: float) -> float:
        return float(optimize.minimize(deviance, [y.mean(), 0.3, 0.0], args=(slope,), method="BFGS").fun)

    best = optimize.minimize_scalar(profile, bounds=(-2.0, 1.0), method="bounded")
    cutoff = 0.5 * 80 * math.log1p(stats.f.ppf(0.95, 1, 78) / 78)
    low, high = (
        optimize.brentq(lambda slope: profile(slope) - best.fun - cutoff, *sorted((best.x, best.x + sign * 1.5)))
        for sign in (-1.0, 1.0)
    )
    found = estimate_slopes(switches)
    assert found.law[0] == 0
    assert found.estimate[0] == pytest.approx(best.x, abs=0.02)
    assert (found.low[0], found.high[0]) == pytest.approx((low, high), abs=0.02)


@given(seed=st.integers(0, 10**6), unit=st.floats(-20.0, 20.0))
@settings(max_examples=8)
def test_the_unit_of_the_step_does_not_matter(seed: int, unit: float) -> None:
    switches = drawn(-0.5, 1, 30, 0.3, seed)
    factor = 10.0**unit
    moved = Switches(
        switches.step * factor,
        switches.k,
        switches.resolution,
        switches.is_never,
        switches.is_low,
        switches.frequency / factor,
    )
    once, other = estimate_slopes(switches), estimate_slopes(moved)
    for name in ("estimate", "low", "high"):
        assert getattr(other, name) == pytest.approx(getattr(once, name), rel=1e-3, abs=1e-3)


# --------------------------------------------------------------------------------------------------- whole logs


@pytest.mark.parametrize("driver", ["clock", "exposure"])
@pytest.mark.parametrize("seed", range(3))
def test_half_of_the_patterns_never_switch(driver: str, seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    rate = np.minimum(0.08 * np.exp(rng.normal(0.0, 0.8, 120)), 0.9)
    noise = np.exp(0.7 * rng.normal(size=120))
    threshold = noise * (60.0 if driver == "exposure" else 800.0)
    found = followed(routing_log(threshold, rate, 800, driver, seed))
    assert 0.3 <= found.never / 120 <= 0.65
    assert found.alignment.driver in (driver, "undecided")
    slope = -1.0 if driver == "exposure" else 0.0
    assert found.alignment.low - 0.15 <= slope <= found.alignment.high + 0.15
    assert found.alignment.censored == found.never
    frequency = found.covariates[0]
    assert (frequency.name, frequency.ratio) == ("frequency", pytest.approx(2.0**found.alignment.estimate))


@pytest.mark.parametrize("driver", ["clock", "exposure"])
def test_patterns_that_are_first_seen_late_have_less_time(driver: str) -> None:
    """Late ones are censored, or low at once: neither may make a driver of the other."""
    rng = np.random.default_rng(8)
    rate = 0.1 * np.exp(rng.normal(0.0, 0.6, 100))
    arrival = rng.uniform(0, 700, 100)
    threshold = np.exp(0.3 * rng.normal(size=100)) * (30.0 if driver == "exposure" else 600.0)
    found = followed(routing_log(threshold, rate, 1000, driver, 2, arrival))
    assert found.alignment.driver == driver
    if driver == "clock":
        assert found.low_from_start > 5


def grouped(effect: float, seed: int, layers: int = 3) -> tuple[Switches, Mapping[str, np.ndarray], np.ndarray]:
    """Every pattern in several layers, each later than the one before; patterns have times of their own."""
    rng = np.random.default_rng(seed)
    n = 80
    x = np.repeat(rng.normal(0.0, 0.6, n), layers)
    layer = np.tile(np.arange(layers), n)
    own = np.repeat(rng.normal(0.0, 0.6, n), layers)
    step = 1000.0 * np.exp(effect * layer + own + 0.2 * rng.normal(size=n * layers))
    switches = steady(step, float(np.quantile(step, 0.7)), 0.1 * np.exp(x))
    return switches, {"layer": layer.astype(str)}, np.repeat(np.arange(n), layers)


def test_layers_are_covariates_with_time_ratios() -> None:
    switches, factors, clusters = grouped(0.5, 1)
    found = find_drivers(switches, factors, clusters)
    assert [c.name for c in found.covariates] == ["frequency", "layer 1", "layer 2"]
    for item, ratio in zip(found.covariates[1:], (math.exp(0.5), math.exp(1.0)), strict=True):
        assert item.low < ratio < item.high
        assert item.low > 1.0
    assert found.alignment.driver == "clock"


def test_layers_of_one_pattern_are_not_independent() -> None:
    """Three layers of 80 patterns are not 240 patterns: limits of the slope are as wide as those of 80."""
    switches, factors, clusters = grouped(0.0, 2)
    together = find_drivers(switches, factors, clusters).alignment
    apart = find_drivers(switches, factors, np.arange(clusters.size)).alignment
    assert together.high - together.low > 1.3 * (apart.high - apart.low)


def test_factors_with_too_few_switches_are_left_out() -> None:
    switches, _, clusters = grouped(0.0, 3)
    labels = {"head": np.arange(clusters.size).astype(str)}
    assert [c.name for c in find_drivers(switches, labels, clusters).covariates] == ["frequency"]


@pytest.mark.parametrize(
    "switches",
    [
        steady(np.full(20, NEVER, dtype=float), 100.0, np.linspace(0.1, 1.0, 20)),  # none switches
        steady(np.array([5.0, 7.0]), 100.0, np.array([0.1, 0.2])),  # two patterns
        steady(np.linspace(10.0, 90.0, 20), 100.0, np.full(20, 0.3)),  # equal frequencies
    ],
)
def test_where_nothing_can_be_told_nothing_is(switches: Switches) -> None:
    found = find_drivers(switches, {}, np.arange(switches.step.size))
    assert math.isnan(found.alignment.estimate)
    assert found.alignment.driver == "undecided"
    assert found.covariates == ()


def test_frequencies_that_are_all_but_equal_give_no_slope() -> None:
    """A slope of ±10 on frequencies that differ by 1 % is the luck of a few patterns."""
    rng = np.random.default_rng(4)
    step = 1000.0 * np.exp(0.6 * rng.normal(size=50))
    found = find_drivers(steady(step, 1500.0, 0.1 * np.exp(0.01 * rng.normal(size=50))), {}, np.arange(50))
    assert found.alignment.driver == "undecided"

"""Smoothed curves are recognised, and curves that are not are let alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

import cogfit
from cogfit.curves.arrays import array_curve
from cogfit.engine.arma import Arma
from cogfit.engine.estimate import estimate
from cogfit.formulas.registry import get_form
from cogfit.inference.smoothing import smoothing_seen, window_of

X = np.arange(1.0, 251.0)


def trailing_mean(y: np.ndarray, width: int) -> np.ndarray:
    """As pandas' rolling(width, min_periods=1).mean()."""
    return np.array([y[max(0, i + 1 - width) : i + 1].mean() for i in range(y.size)])


def average(y: np.ndarray, decay: float) -> np.ndarray:
    return np.asarray(lfilter([1.0 - decay], [1.0, -decay], y, zi=[decay * y[0]])[0])


@pytest.mark.parametrize("width", [5, 12, 30])
@pytest.mark.parametrize("raw", [Arma(), Arma((0.4,))], ids=["independent", "AR(1)"])
def test_windows_are_found_in_errors(width: int, raw: Arma) -> None:
    rows = raw.simulate(20, 300, np.random.default_rng(width))
    assert sum(window_of(trailing_mean(row, width)[width:]) == width for row in rows) >= 16


@pytest.mark.parametrize(
    "errors", [Arma(), Arma((0.9,)), Arma((0.98,)), Arma((0.85,), (-0.4,)), Arma((0.5, 0.3)), Arma((-0.5,))], ids=str
)
def test_no_window_is_found_where_there_is_none(errors: Arma) -> None:
    rows = errors.simulate(200, 300, np.random.default_rng(0))
    assert sum(window_of(row) > 0 for row in rows) <= 2


def test_periodic_and_heavy_tailed_errors_are_no_window() -> None:
    rng = np.random.default_rng(1)
    t = np.arange(300.0)
    wave = [np.sin(2 * np.pi * t / rng.uniform(8, 60)) + rng.normal(0, 0.5, 300) for _ in range(50)]
    assert sum(window_of(row) > 0 for row in wave) <= 2
    assert sum(window_of(rng.standard_t(2, 300)) > 0 for _ in range(100)) <= 2


@pytest.mark.long
@pytest.mark.parametrize("floor", [0.0, 0.2])
def test_a_smoothed_power_law_is_neither_claimed_nor_refused(floor: float) -> None:
    rng = np.random.default_rng(2)
    raw = X**-0.5 + floor + 0.04 * rng.normal(size=X.size)
    for y in (trailing_mean(raw, 15), average(raw, 0.9)):
        fit = cogfit.fit(X, y)
        assert fit.verdict.power_law not in ("supported", "not_supported")
        assert any("the errors look like those of" in text for text in fit.warnings)
        if fit.interval is not None:
            assert not fit.selected.intervals["gamma"].reliable
    assert "decay 0.9" in " ".join(fit.warnings)


@pytest.mark.long
def test_curves_with_autocorrelated_errors_are_not_called_smoothed() -> None:
    rng = np.random.default_rng(3)
    for errors in (Arma(), Arma((0.9,)), Arma((0.85,), (-0.4,))):
        fit = cogfit.fit(X, X**-0.5 + 0.02 * errors.simulate(1, X.size, rng)[0])
        assert not any("the errors look like" in text for text in fit.warnings), errors


@pytest.mark.parametrize("form", ["power_floor", "power", "exponential_floor"])
def test_one_form_alone_is_told_of_smoothing_as_many_are(form: str) -> None:
    """Whether the form fits or misses the curve, the average is recognised, and nothing else is."""
    rng = np.random.default_rng(5)
    seen = {"averaged": 0, "correlated": 0}
    for _ in range(12):
        raw = X**-0.5 + 0.2 + 0.04 * rng.normal(size=X.size)
        wander = X**-0.5 + 0.2 + 0.02 * Arma((0.9,)).simulate(1, X.size, rng)[0]
        for kind, y in (("averaged", average(raw, 0.9)), ("correlated", wander)):
            curve = array_curve(X, y)
            fit = estimate(get_form(form), curve.x, curve.y, curve.weights)
            seen[kind] += "exponential moving average" in smoothing_seen(curve, {form: get_form(form)}, {form: fit})
    assert seen["averaged"] >= 10
    assert seen["correlated"] <= 1


def test_a_declared_decay_is_undone_and_leaves_nothing_to_recognise() -> None:
    raw = X**-0.5 + 0.04 * np.random.default_rng(4).normal(size=X.size)
    fit = cogfit.fit(X, average(raw, 0.9), smoothing=0.9)
    assert not any("the errors look like" in text for text in fit.warnings)
    assert fit.verdict.power_law in ("supported", "not_distinguishable")

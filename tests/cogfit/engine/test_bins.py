"""Bins: nodes of which the mean of a form is that over all points, and every consumer of them on a precise curve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cogfit
from cogfit.curves.arrays import array_curve
from cogfit.engine import separable
from cogfit.engine.arma import WHITE
from cogfit.engine.bins import NODES, Axis, Bins, bins_of
from cogfit.engine.estimate import estimate
from cogfit.formulas.registry import forms, get_form
from cogfit.inference.form_tests import compare_forms
from cogfit.inference.joint_fit import JointFit
from cogfit.inference.profile import profile
from cogfit.inference.resampling import resampled
from cogfit.inference.selection import extrapolation_error
from cogfit.inference.windows import exponents

X = np.arange(1.0, 5001.0)
POWER_LAW = np.array([0.8, 0.43, 0.05])  # amplitude, γ, floor
"""A power law so precise that f(mean x) in place of the mean of f over a bin would be far off."""
NOISE = 1e-5


def precise(rng: int = 0, x: np.ndarray = X) -> np.ndarray:
    truth = get_form("power_floor").evaluate(x, POWER_LAW)
    return np.asarray(truth + NOISE * np.random.default_rng(rng).normal(size=x.size))


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    points=st.lists(st.floats(1e-3, 1e6), min_size=5, max_size=80),
    count=st.integers(2, 12),
    weighted=st.booleans(),
    degree=st.integers(0, 2 * NODES - 1),
)
def test_polynomials_in_log_x_have_their_mean(points: list[float], count: int, weighted: bool, degree: int) -> None:
    """To degree 5, about any point of the bin, for any points, ties among them, and weights."""
    x = np.array(points)
    weights = np.random.default_rng(len(points)).uniform(0.1, 10.0, x.size) if weighted else None
    bins = Bins.of_points(x, count, weights)
    centre = np.log(bins.axis.x)
    u = np.log(x) - centre[bins.label]
    at_nodes = np.log(bins.axis.nodes) - centre
    scale = np.maximum(np.abs(np.concatenate([u, at_nodes.ravel()])).max(), 1e-9)
    exact = bins.mean((u / scale) ** degree)
    np.testing.assert_allclose(bins.axis.mean((at_nodes / scale).ravel() ** degree), exact, atol=1e-7)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(points=st.lists(st.floats(0.0, 1e6), min_size=1, max_size=80), count=st.integers(2, 12))
def test_bins_keep_all_points_in_order(points: list[float], count: int) -> None:
    """Weights add up; nodes lie among their points; equal points share a bin where points are binned."""
    x = np.array(points)
    bins = Bins.of_points(x, count)
    assert bins.weight.sum() == x.size
    np.testing.assert_allclose(bins.axis.share.sum(axis=0), 1.0, rtol=1e-12)
    order = np.argsort(x, kind="stable")
    assert np.all(np.diff(bins.label[order]) >= 0)
    for b in range(bins.weight.size):
        own = x[bins.label == b]
        used = bins.axis.nodes[bins.axis.share[:, b] > 1e-12, b]
        assert own.min() <= used.min() * (1 + 1e-12)
        assert used.max() <= own.max() * (1 + 1e-12)
    if x.size > count:
        assert all(np.unique(bins.label[x == value]).size == 1 for value in x)


def test_zero_has_a_bin_of_its_own() -> None:
    x = np.concatenate([np.zeros(3), np.arange(1.0, 100.0)])
    bins = Bins.of_points(x, 10)
    assert np.all(bins.label[x == 0] == 0)
    assert np.all(bins.label[x > 0] > 0)
    assert np.all(bins.axis.nodes[:, 0] == 0.0)
    assert bins.weight[0] == 3


def test_few_points_are_their_own_bins() -> None:
    x = np.array([3.0, 1.0, 2.0, 2.0])
    bins = Bins.of_points(x, 10)
    assert bins.label.tolist() == [3, 0, 1, 2]
    assert not bins.axis.is_binned
    assert bins.axis.x.tolist() == [1.0, 2.0, 2.0, 3.0]
    assert np.array_equal(bins.axis.mean(x), x)


def test_few_distinct_points_lose_nothing() -> None:
    """Of three values in a bin any function has its mean."""
    x = np.repeat(np.arange(1.0, 31.0), 20)
    bins = Bins.of_points(x, 12)
    for function in (np.sin, np.sqrt, lambda v: v**-2.0):
        exact = bins.mean(function(x))
        few = np.array([np.unique(x[bins.label == b]).size <= NODES for b in range(bins.weight.size)])
        assert few.any()
        np.testing.assert_allclose(bins.axis.mean(function(bins.axis.nodes.ravel()))[few], exact[few], rtol=1e-9)


def test_weighted_bins_are_those_of_repeated_points() -> None:
    x = np.linspace(1.0, 50.0, 60)
    times = np.random.default_rng(1).integers(1, 5, x.size)
    once, often = Axis.points(x), np.repeat(x, times)
    label = bins_of(x, 10)
    assert not once.is_binned
    weighted, repeated = Bins.of_points(x, 10, times.astype(float)), np.repeat(label, times)
    means = np.bincount(repeated, often**-0.7) / np.bincount(repeated)
    np.testing.assert_allclose(weighted.mean(x**-0.7), means, rtol=1e-12)
    np.testing.assert_allclose(weighted.axis.mean(weighted.axis.nodes.ravel() ** -0.7), means, rtol=1e-6)


@pytest.mark.parametrize("name", [name for name, form in forms().items() if form.basis is not None])
def test_every_form_on_binned_exact_data_returns_its_values(name: str) -> None:
    """The fit to binned values of a form has these values, to what the quadrature loses in 200 bins."""
    form = get_form(name)
    noisy = precise() * (1.0 + 0.02 * np.random.default_rng(2).normal(size=X.size))
    truth = estimate(form, X, noisy, np.ones(X.size))  # parameters that a curve can have
    params = form.vector(truth.params)
    exact = form.evaluate(X, params)
    bins = Bins.of_points(X, 200)
    shape = [form.names.index(q.name) for q in form.shape]
    starts = params[shape][None, None] if shape else None
    batch = separable.solve(form, bins.axis, bins.mean(exact)[None], bins.weight[None], starts=starts)
    # a kink inside a bin is no polynomial: there the form is right but for a share of that bin
    kinked = any(q.interior for q in form.shape)
    allowed = (2e-3 if kinked else 1e-5) * float(np.ptp(exact) or np.abs(exact).max())
    assert np.abs(form.evaluate(X, batch.params[0]) - exact).max() < allowed


@pytest.mark.parametrize("name", ["power", "power_floor"])
def test_power_laws_on_binned_data_have_their_exponent(name: str) -> None:
    form = get_form(name)
    params = POWER_LAW[: len(form.parameters)]
    bins = Bins.of_points(X, 100)
    mean = bins.mean(form.evaluate(X, params))[None]
    found = separable.solve(form, bins.axis, mean, bins.weight[None]).params[0]
    np.testing.assert_allclose(found, params, rtol=2e-6)
    naive = separable.solve(form, bins.axis.x, mean, bins.weight[None]).params[0]
    assert abs(naive[1] / params[1] - 1.0) > 2e-5  # the mean of x in place of the bin


# ------------------------------------------------------------------------------------- whoever condenses, on that curve


def standard_error() -> float:
    return estimate(get_form("power_floor"), X, precise(), np.ones(X.size)).stderr["gamma"]


def test_form_tests_do_not_refuse_a_precise_power_law() -> None:
    rivals = {name: get_form(name) for name in ("power", "power_floor", "stretched_exponential")}
    curve = array_curve(X, precise())
    fits = {name: estimate(form, X, curve.y, curve.weights) for name, form in rivals.items()}
    tests = compare_forms(curve, fits, rivals, np.random.default_rng(0))
    assert tests["power_floor"].p_value > 0.05
    assert tests["power_floor"].fit_p_value > 0.01
    assert tests["power"].p_value < 0.05


def test_extrapolation_has_the_error_of_the_noise() -> None:
    form = get_form("power_floor")
    curve = array_curve(X, precise())
    fit = estimate(form, X, curve.y, curve.weights)
    found = extrapolation_error(curve, {form.name: fit}, {form.name: form})[form.name]
    assert found == pytest.approx(NOISE, rel=0.1)


def test_resampled_runs_lie_about_the_fit() -> None:
    form = get_form("power_floor")
    x = np.tile(np.arange(1.0, 1001.0), 12)
    y = form.evaluate(x, POWER_LAW) + NOISE * np.random.default_rng(5).normal(size=x.size)
    curve = array_curve(x, y, groups=np.repeat(np.arange(12), 1000))
    assert curve.clusters is not None
    fit = estimate(form, curve.x, curve.y, curve.weights)
    limits, covariance = resampled(form, curve, curve.clusters, fit, 0.95, np.random.default_rng(0), 200)
    gamma, error = limits["gamma"], float(np.sqrt(covariance[1, 1]))
    assert gamma.low < POWER_LAW[1] < gamma.high
    assert abs(0.5 * (gamma.low + gamma.high) - fit.params["gamma"]) < error


def test_windows_of_a_precise_power_law_agree() -> None:
    curve = array_curve(X, 0.8 * X**-0.43 + 1e-6 * np.random.default_rng(4).normal(size=X.size))
    windows = exponents(curve, "gaussian", 0.95, np.random.default_rng(0))
    assert len(windows) > 3
    inside = [window.low <= 0.43 <= window.high for window in windows]
    assert np.mean(inside) > 0.7
    assert max(abs(window.gamma - 0.43) for window in windows) < 1e-3


def test_profiles_in_bins_are_those_over_points(monkeypatch: pytest.MonkeyPatch) -> None:
    form, curve = get_form("power_floor"), array_curve(X, precise())
    fit = estimate(form, X, curve.y, curve.weights)
    over_points = profile(JointFit(form, curve, fit, WHITE), "gamma", 0.95)
    monkeypatch.setattr("cogfit.engine.bins.LONG", 1000)
    in_bins = profile(JointFit(form, curve, fit, WHITE), "gamma", 0.95)
    width = over_points.high - over_points.low
    assert in_bins.low == pytest.approx(over_points.low, abs=0.01 * width)
    assert in_bins.high == pytest.approx(over_points.high, abs=0.01 * width)


def test_a_precise_power_law_has_no_transition() -> None:
    result = cogfit.fit(X, precise())
    assert result.verdict.power_law == "supported"
    assert result.form == "power_floor"
    assert result.transition is not None
    assert not result.transition["changes"]
    assert result.gamma == pytest.approx(0.43, abs=5 * standard_error())

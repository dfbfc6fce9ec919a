"""Estimate, standard error and interval are of one likelihood."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import cholesky, solve_triangular, toeplitz
from scipy.optimize import least_squares

import cogfit
from cogfit.curves.arrays import array_curve
from cogfit.engine.arma import WHITE, Arma
from cogfit.engine.estimate import estimate
from cogfit.formulas.registry import get_form
from cogfit.inference.error_models import errors_of
from cogfit.inference.interval import MISSES
from cogfit.inference.intervals import judged
from cogfit.inference.joint_fit import JointFit
from cogfit.inference.profile import ValueTest

X = np.arange(1.0, 121.0)
LAW = 0.1 + 0.8 * X**-0.43
KINDS = ("AR", "ARMA", "uneven", "uneven and red", "log-normal and red")


def errors(kind: str, seed: int) -> tuple[np.ndarray, str]:
    """A curve under one kind of errors, and its noise model."""
    rng = np.random.default_rng(seed)
    red = Arma((0.9,)).simulate(1, X.size, rng)[0]
    spread = np.geomspace(0.3, 3.0, X.size)
    made = {
        "AR": LAW + 0.02 * red,
        "ARMA": LAW + 0.02 * Arma((0.8,), (0.4,)).simulate(1, X.size, rng)[0],
        "uneven": LAW + 0.02 * spread * rng.normal(size=X.size),
        "uneven and red": LAW + 0.02 * spread * red,
        "log-normal and red": LAW * np.exp(0.1 * red),
    }
    return made[kind], "lognormal" if kind.startswith("log") else "gaussian"


@pytest.mark.long
@settings(max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    name=st.sampled_from(["power", "power_floor", "shifted_power_floor"]),
    seed=st.integers(0, 10_000),
)
def test_an_estimate_is_the_maximum_of_the_profile_that_gives_its_interval(kind: str, name: str, seed: int) -> None:
    y, noise = errors(kind, seed)
    fit = cogfit.fit(X, y, form=name, noise=noise)
    assert fit.interval is not None
    assert fit.gamma is not None
    low, high = fit.interval
    assert low < fit.gamma < high or (fit.status != "ok" and low <= fit.gamma <= high)
    if fit.status == "ok" and fit.selected.intervals["gamma"].caveat != MISSES:
        assert math.isfinite(fit.stderr["gamma"])


def joint_fit(kind: str, seed: int, name: str = "power_floor") -> JointFit:
    y, noise = errors(kind, seed)
    form, curve = get_form(name), array_curve(X, y)
    fit = estimate(form, X, y, curve.weights, noise)
    return JointFit(form, curve, fit, errors_of(form, curve, fit))


@pytest.mark.parametrize("kind", KINDS)
def test_no_value_beside_the_estimate_is_more_likely(kind: str) -> None:
    joint = joint_fit(kind, 3)
    test, step = ValueTest(joint, "gamma"), 0.1 * math.sqrt(joint.covariance[1, 1])
    deviances = [test.deviance(test.best + side * step) / test.widening for side in (-1.0, 1.0)]
    assert deviances == pytest.approx([0.01, 0.01], rel=0.5)


@pytest.mark.parametrize("kind", ["AR", "ARMA", "uneven and red"])
def test_it_is_generalised_least_squares(kind: str) -> None:
    """Against dense linear algebra under the errors and weights found."""
    joint = joint_fit(kind, 5)
    c, units = joint.curve, joint.units
    covariance = toeplitz(joint.errors.autocovariance(X.size - 1))
    root = cholesky(covariance, lower=True)

    def innovations(p: np.ndarray) -> np.ndarray:
        return np.asarray(solve_triangular(root, (c.y - p[0] * c.x ** -p[1] - p[2]) * np.sqrt(c.weights), lower=True))

    found = least_squares(innovations, joint.params, x_scale=np.abs(joint.params), xtol=1e-14, ftol=1e-14, gtol=1e-14)
    assert joint.params == pytest.approx(found.x, rel=1e-5)
    assert joint.told().params["gamma"] == pytest.approx(found.x[1], rel=1e-5)
    assert joint.told().params["c"] == pytest.approx(found.x[2] * units.y, rel=1e-5)
    inverse = np.linalg.inv(found.jac.T @ found.jac) * 2.0 * found.cost / (X.size - 3)
    if not joint.variance:
        assert joint.covariance[1, 1] == pytest.approx(inverse[1, 1], rel=1e-4)
        assert joint.covariance[2, 2] == pytest.approx(inverse[2, 2] * units.y**2, rel=1e-4)


def test_independent_errors_leave_the_estimate_as_it_is() -> None:
    y = LAW + 0.01 * np.random.default_rng(0).normal(size=X.size)
    form, curve = get_form("power_floor"), array_curve(X, y)
    fit = estimate(form, X, y, curve.weights)
    joint = JointFit(form, curve, fit, WHITE)
    assert joint.is_least_squares
    assert joint.told() is fit
    assert cogfit.fit(X, y, form="power_floor", noise="gaussian").params == fit.params


def test_it_is_more_precise_than_least_squares_under_red_errors() -> None:
    """AR(1) 0.9: least squares lose a third of the precision here."""
    misses = []
    for seed in range(60):
        y, _ = errors("AR", 100 + seed)
        form, curve = get_form("power_floor"), array_curve(X, y)
        plain = estimate(form, X, y, curve.weights)
        joint = JointFit(form, curve, plain, errors_of(form, curve, plain)).told()
        misses.append((plain.params["gamma"] - 0.43, joint.params["gamma"] - 0.43))
    plain_miss, joint_miss = np.median(np.abs(misses), axis=0)
    assert joint_miss < 0.85 * plain_miss


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), groups=st.integers(10, 20))
def test_resampled_groups_have_their_estimate_inside(seed: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.arange(1.0, 31.0)
    y = (0.9 * x**-0.43) * rng.lognormal(0.0, 0.5, (groups, 1)) + 0.05 * rng.normal(size=(groups, 30))
    fit = cogfit.fit(np.tile(x, groups), y.ravel(), groups=np.repeat(np.arange(groups), 30), form="shifted_power_floor")
    for name, interval in fit.selected.intervals.items():
        assert interval.low <= fit.params[name] <= interval.high


def test_a_form_that_misses_the_curve_says_so() -> None:
    y = 0.2 + np.exp(-X / 20.0) + 0.005 * np.random.default_rng(1).normal(size=X.size)
    fit = cogfit.fit(X, y)
    assert fit.verdict.power_law == "not_supported"
    assert fit["power"].intervals["gamma"].caveat == MISSES
    assert not fit["power"].intervals["gamma"].reliable


def test_an_exponent_that_the_data_leave_open_is_not_ok() -> None:
    """Hardly a decay, over a factor of 3 in x: the standard error is larger than the exponent."""
    x = np.linspace(10.0, 30.0, 30)
    y = 1.0 - 0.01 * np.log(x) + 0.5 * np.random.default_rng(2).normal(size=30)
    item = cogfit.fit(x, y, form="power", noise="gaussian", serial=False).selected
    covariance = np.diag([1.0, 4.0])
    assert judged(get_form("power"), array_curve(x, y), item.estimate, covariance).not_identified == ("gamma",)
    precise = np.diag([1.0, 1e-4])  # a slope near 0 that is known well
    assert judged(get_form("power"), array_curve(x, y), item.estimate, precise).not_identified == ()

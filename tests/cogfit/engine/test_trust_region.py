"""The trust region is scipy's, digit by digit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from cogfit.engine import trust_region
from cogfit.formulas.form import Array

X = np.arange(1.0, 41.0)
Function = Callable[[Array], Array]


def decay(y: Array) -> tuple[Function, Function]:
    """Residuals of a power with a floor, and their derivative."""

    def residual(z: Array) -> Array:
        return np.asarray(z[0] * X ** -z[1] + z[2] - y)

    def jacobian(z: Array) -> Array:
        power = X ** -z[1]
        return np.stack([power, -z[0] * np.log(X) * power, np.ones_like(X)], axis=1)

    return residual, jacobian


@settings(deadline=None)
@given(
    seed=st.integers(0, 10_000),
    gamma=st.floats(0.05, 1.5),
    start=st.tuples(st.floats(0.1, 5.0), st.floats(0.05, 2.9), st.floats(0.0, 0.9)),
    most=st.sampled_from([0.05, 0.4, np.inf]),
    tolerance=st.sampled_from([1e-8, 1e-15]),
)
def test_minima_have_the_digits_of_scipy(
    seed: int, gamma: float, start: tuple[float, float, float], most: float, tolerance: float
) -> None:
    y = X**-gamma + 0.1 + np.random.default_rng(seed).normal(0.0, 0.05, X.size)
    residual, jacobian = decay(y)
    bounds = np.array([1e-6, 0.01, 0.0]), np.array([np.inf, 3.0, most])  # a floor at either bound, and none above
    z0 = np.minimum(start, bounds[1])
    with np.errstate(all="ignore"):
        z, cost = trust_region.least_squares(residual, jacobian, z0, bounds, tolerance=tolerance, evaluations=60)
        theirs = optimize.least_squares(
            residual,
            z0,
            jac=jacobian,
            method="trf",
            x_scale="jac",
            bounds=bounds,
            ftol=tolerance,
            xtol=tolerance,
            gtol=tolerance,
            max_nfev=60,
        )
    # two builds of one library may round differently
    assert cost == pytest.approx(theirs.cost, rel=1e-9)
    np.testing.assert_allclose(z, theirs.x, rtol=1e-5, atol=1e-8)


def test_columns_without_effect_and_few_points_are_no_trouble() -> None:
    residual, jacobian = decay(X**-0.5)
    free = -np.full(3, np.inf), np.full(3, np.inf)

    def flat(z: Array) -> Array:
        out = jacobian(z)
        out[:, 2] = 0.0
        return out

    z, cost = trust_region.least_squares(
        residual, flat, np.array([2.0, 1.0, 0.0]), free, tolerance=1e-12, evaluations=99
    )
    assert cost == pytest.approx(0.0, abs=1e-15)
    np.testing.assert_allclose(z, [1.0, 0.5, 0.0], atol=1e-7)
    few = trust_region.least_squares(
        lambda z: residual(z)[:2], lambda z: jacobian(z)[:2], np.ones(3), free, tolerance=1e-12, evaluations=99
    )
    assert few[1] == pytest.approx(0.0, abs=1e-15)


def test_a_jacobian_that_is_not_finite_is_an_error() -> None:
    residual, _ = decay(X**-0.5)
    bounds = np.zeros(3), np.full(3, 9.0)
    with np.errstate(all="ignore"), pytest.raises(np.linalg.LinAlgError, match="not finite"):
        trust_region.least_squares(
            residual, lambda z: np.full((X.size, 3), np.nan), np.ones(3), bounds, tolerance=1e-8, evaluations=9
        )


def test_steps_into_what_is_not_finite_are_shortened() -> None:
    def residual(z: Array) -> Array:
        return np.array([np.log(z[0]), 0.0]) if z[0] > 0.0 else np.array([np.nan, 0.0])

    def jacobian(z: Array) -> Array:
        return np.array([[1.0 / z[0]], [0.0]])

    z, _ = trust_region.least_squares(
        residual, jacobian, np.array([20.0]), (np.array([-np.inf]), np.array([np.inf])), tolerance=1e-12, evaluations=99
    )
    assert z[0] == pytest.approx(1.0)

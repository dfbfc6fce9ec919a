"""Maximum of a log-likelihood, its curvature and its profiles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cogfit.formulas.form import Array
from cogfit.population.objective import Objective

_STEP = 0.02  # of differences of gradients, in standard errors
_GRADIENT = 1e-4  # in units of log-likelihood per standard error
_ROUGH_GRADIENT = 1e-2  # with which a search that rounding stopped is near enough
_FLAT = 1e-4  # curvature, where 1 is that of the guess
_MOVED = 0.3  # part of a parameter's guessed error by which a flat direction moves it


class Maximum(NamedTuple):
    """A maximum of a log-likelihood.

    Attributes
    ----------
    theta : ndarray, shape (size,)
    covariance : ndarray, shape (size, size)
        Inverse of the curvature; 0 in directions in which it is flat.
    is_converged : bool
    is_flat : ndarray of bool, shape (size,)
        Parameters that some flat direction moves.
    """

    theta: Array
    covariance: Array
    is_converged: bool
    is_flat: NDArray[np.bool_]


def maximise(objective: Objective, start: Array, covariance: Array, *, is_curvature_known: bool = False) -> Maximum:
    """Maximise a log-likelihood.

    By the quasi-Newton method of Broyden, Fletcher, Goldfarb and Shanno in directions of about one standard error.

    Parameters
    ----------
    objective : Objective
    start : ndarray, shape (size,)
    covariance : ndarray, shape (size, size)
        A guess at that of the estimates.
    is_curvature_known : bool
        Whether the guess is good enough to be told.
    """
    from scipy.optimize import minimize

    scale = root_of(covariance)
    top = objective.value(start)

    def cost(z: Array) -> float:
        value = objective.value(start + scale @ z)
        return top - value if np.isfinite(value) else 1e10 + float(z @ z)

    def slope(z: Array) -> Array:
        gradient = -scale.T @ objective.gradient(start + scale @ z)
        return np.where(np.isfinite(gradient), gradient, 0.0)

    best = minimize(
        cost,
        np.zeros(start.size),
        jac=slope,
        method="BFGS",
        options={"gtol": _GRADIENT if not is_curvature_known else _ROUGH_GRADIENT, "maxiter": 300},
    )
    theta = start + scale @ best.x
    is_flat = np.zeros(theta.size, dtype=bool)
    if not is_curvature_known:
        covariance, is_flat = curvature_at(objective, theta, scale)
    is_converged = bool(best.success) or float(np.abs(best.jac).max()) < _ROUGH_GRADIENT
    return Maximum(theta, covariance, is_converged, is_flat)


def curvature_at(objective: Objective, theta: Array, scale: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Covariance of the estimates, and which are open.

    By differences of gradients along the columns of `scale`.
    """
    columns = []
    for direction in scale.T:
        up = objective.gradient(theta + _STEP * direction)
        down = objective.gradient(theta - _STEP * direction)
        columns.append(scale.T @ (down - up) / (2.0 * _STEP))
    curvature = np.array(columns)
    curvature = 0.5 * (curvature + curvature.T)
    if not np.isfinite(curvature).all():
        return scale @ scale.T, np.ones(theta.size, dtype=bool)
    values, vectors = np.linalg.eigh(curvature)
    is_null = values < _FLAT
    inverse = (vectors * np.where(is_null, 0.0, 1.0 / np.where(is_null, 1.0, values))) @ vectors.T
    moved = np.abs(scale @ vectors[:, is_null]) / np.sqrt((scale**2).sum(axis=1))[:, None]
    return np.asarray(scale @ inverse @ scale.T), np.asarray((moved > _MOVED).any(axis=1), dtype=bool)


def root_of(covariance: Array) -> Array:
    """Matrix whose columns are directions of one standard error."""
    size = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    correlation = covariance / np.outer(size, size)
    values, vectors = np.linalg.eigh(0.5 * (correlation + correlation.T))
    return np.asarray(size[:, None] * vectors * np.sqrt(np.maximum(values, 1e-6 * values.max())))

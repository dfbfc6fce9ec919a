"""Least squares with weights of 0 or more."""

from __future__ import annotations

import numpy as np

from cogfit.formulas.form import Array

_ROUNDING = 16.0 * float(np.finfo(float).eps)


def nonnegative_weights(columns: Array, y: Array) -> tuple[Array, float]:
    """Fit columns with weights of 0 or more.

    Parameters
    ----------
    columns : ndarray, shape (n, p)
    y : ndarray, shape (n,)

    Returns
    -------
    weights : ndarray, shape (p,)
    distance : float
        Norm of what they leave of `y`.

    Raises
    ------
    RuntimeError
        If the weights do not settle in 3 p rounds.

    References
    ----------
    Lawson & Hanson 1974, Solving Least Squares Problems, ch. 23: weights leave 0 one by one, the one that descends
    most first, and go back as soon as they would be negative.

    Examples
    --------
    >>> weights, distance = nonnegative_weights(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([2.0, -3.0]))
    >>> weights, distance
    (array([2., 0.]), 3.0)
    """
    p = columns.shape[1]
    # a triangle holds all that the weights can reach
    corner: Array = np.asarray(np.linalg.qr(np.column_stack([columns, y]), mode="r"))
    triangle, reached = corner[:, :p], corner[:, p]
    smallest = _ROUNDING * p * np.linalg.norm(triangle, axis=0) * float(np.linalg.norm(y))
    weights, is_free = np.zeros(p), np.zeros(p, dtype=bool)
    refused = np.zeros(p, dtype=bool)
    for _ in range(3 * p):
        slope = triangle.T @ (reached - triangle @ weights)
        slope[is_free | refused | (slope <= smallest)] = 0.0
        if not slope.any():
            return weights, float(np.linalg.norm(y - columns @ weights))
        newest = int(np.argmax(slope))
        is_free[newest] = True
        trial = _solved(triangle, reached, is_free)
        # by rounding, of columns that are nearly sums of the others
        refused[newest] = trial[newest] <= 0.0
        if refused[newest]:
            is_free[newest] = False
            continue
        refused[:] = False
        while (trial[is_free] <= 0.0).any():
            falling = is_free & (trial <= 0.0)
            share = weights[falling] / (weights[falling] - trial[falling])
            weights = weights + share.min() * (trial - weights)
            weights[np.flatnonzero(falling)[np.argmin(share)]] = 0.0
            is_free &= weights > 0.0
            weights[~is_free] = 0.0
            trial = _solved(triangle, reached, is_free)
        weights = trial
    raise RuntimeError(f"the weights of {p} columns did not settle")


def _solved(triangle: Array, reached: Array, is_free: Array) -> Array:
    """Weights of the free columns, 0 for the others."""
    weights = np.zeros(is_free.size)
    if is_free.any():
        weights[is_free] = np.linalg.lstsq(triangle[:, is_free], reached, rcond=None)[0]
    return weights

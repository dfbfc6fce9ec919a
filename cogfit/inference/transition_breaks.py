"""Fit of a smooth change of regime.

A power law whose exponent grows over a stretch of x. What takes a factor 3 of x or more counts as smooth; a change
that takes less may be a transition. With exponents γ₁ and γ₂ = γ₁ + q/w it is x^−γ₁ times (1 + (x/x_b)^{1/w})^{−q}:
for q up to 1 its drop is no sharper than the log-logistic one of steepness 1/w.
"""

from __future__ import annotations

import numpy as np

from cogfit.formulas.form import Array
from cogfit.formulas.on_request import SMOOTH_BREAK

_LEAST_WIDTH = 0.25  # 10 to 90 % of the break take a factor 81^w = 3
_EARLY = (0.0, 0.2, 0.5, 1.0)
_DROPS = (0.1, 0.25, 0.5, 1.0)  # q
_WIDTHS = (_LEAST_WIDTH, 0.5, 1.0)
_PLACES = 12
_STARTS = 3
_STEPS = 40


def fit_break(x: Array, y: Array, w: Array, start: Array | None = None) -> tuple[Array, float]:
    """Least squares of a falling curve: parameters and RSS.

    From `start` (γ₁, γ₂, x_b, width), or from the best of a grid.
    """
    cut = max(2, x.size // 50)
    low = np.array([0.0, 0.0, np.log(x[cut]), np.log(_LEAST_WIDTH)])
    high = np.array([12.0, 1.0, np.log(x[-1 - cut]), np.log(5.0)])
    starts = _grid(x, y, w, low[2], high[2]) if start is None else start[None]
    fits = [_descend(x, y, np.sqrt(w), np.clip(_to_logs(theta), low, high), low, high) for theta in starts]
    return min(fits, key=lambda fit: fit[1])


def is_sharpest(theta: Array) -> bool:
    """Whether a break is as sharp as allowed."""
    return bool(theta[3] <= _LEAST_WIDTH * (1.0 + 1e-6))


def _to_logs(theta: Array) -> Array:
    """Coordinates γ₁, q, and the logarithms of place and width."""
    return np.array([theta[0], (theta[1] - theta[0]) * theta[3], np.log(theta[2]), np.log(theta[3])])


def _natural(z: Array) -> Array:
    return np.array([z[0], z[0] + z[1] * np.exp(-z[3]), np.exp(z[2]), np.exp(z[3])])


def _grid(x: Array, y: Array, w: Array, first: float, last: float) -> Array:
    """The best starts of a grid; amplitude and floor are free."""
    places = np.exp(np.linspace(first, last, _PLACES + 2)[1:-1])
    points = np.array([(a, a + q / v, p, v) for a in _EARLY for q in _DROPS for p in places for v in _WIDTHS])
    columns = np.stack([SMOOTH_BREAK.evaluate(x, np.array([1.0, *theta, 0.0])) for theta in points])
    columns -= (columns @ w / w.sum())[:, None]
    product = columns @ (w * (y - y @ w / w.sum()))
    gain = np.where(product > 0.0, product**2 / np.maximum(columns**2 @ w, 1e-300), 0.0)
    return points[np.argsort(-gain, kind="stable")[:_STARTS]]


def _descend(x: Array, y: Array, root: Array, z: Array, low: Array, high: Array) -> tuple[Array, float]:
    """Levenberg–Marquardt steps within bounds; amplitude and floor are solved for."""

    def fitted(z: Array) -> tuple[Array, Array, float]:
        theta = _natural(z)
        phi = SMOOTH_BREAK.evaluate(x, np.array([1.0, *theta, 0.0]))
        linear = np.linalg.lstsq(np.stack([phi, np.ones_like(phi)], axis=1) * root[:, None], y * root, rcond=None)[0]
        params = np.array([max(linear[0], 0.0), *theta, linear[1]])
        residual = (y - SMOOTH_BREAK.evaluate(x, params)) * root
        return params, residual, float(residual @ residual)

    params, residual, rss = fitted(z)
    damping = 1e-3
    for _ in range(_STEPS):
        a, early, later, place, width, floor = SMOOTH_BREAK.jacobian(x, params).T * root
        natural = _natural(z)
        by_width = natural[3] * width - z[1] / natural[3] * later
        columns = np.stack([early + later, later / natural[3], natural[2] * place, by_width, a, floor], axis=1)
        size = np.linalg.norm(columns, axis=0)
        size[size == 0.0] = 1.0
        held = np.vstack([columns / size, np.sqrt(damping) * np.eye(6)])
        step = np.linalg.lstsq(held, np.append(residual, np.zeros(6)), rcond=None)[0] / size
        trial = np.clip(z + np.clip(step[:4], -1.0, 1.0), low, high)
        params_new, residual_new, rss_new = fitted(trial)
        if rss_new < rss:
            is_settled = rss_new > rss * (1.0 - 1e-6)
            z, params, residual, rss, damping = trial, params_new, residual_new, rss_new, damping / 5.0
            if is_settled:
                break
        else:
            damping *= 5.0
            if damping > 1e4:
                break
    return params, rss

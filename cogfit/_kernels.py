"""Compiled inner loops of the separable solver: they know columns and weights, but no form by name.

A problem is one pair (curve, start). Its non-linear parameters give columns ``phi`` and their derivatives; the
linear coefficients follow by (bounded) least squares on at most two columns, the derivatives of the residual by
projection (Kaufman's form of variable projection: Golub & Pereyra 2003, Inverse Problems 19:R1).
``nogil`` lets threads work on chunks; there is no ``prange``, because a parallel kernel after a fork hangs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from cogfit._arma import whiten

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": {"reassoc", "contract", "arcp"}}


@njit(**_OPTIONS)
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@njit(**_OPTIONS)
def _project(q, v):  # type: ignore[no-untyped-def]
    """Subtract from v its part along the unit vector q, twice (once loses digits when v is nearly parallel)."""
    total = 0.0
    for _ in range(2):
        along = _dot(q, v)
        total += along
        for i in range(v.size):
            v[i] -= along * q[i]
    return total


@njit(**_OPTIONS)
def _single(v, y, bound, coef, slot, q, r):  # type: ignore[no-untyped-def]
    """Least squares on one column, coefficient >= bound; fills coef[slot], q (unit column, 0 if clipped), r."""
    norm2 = _dot(v, v)
    value = _dot(v, y) / norm2 if norm2 > 0.0 else 0.0
    clipped = value < bound or norm2 == 0.0
    if value < bound:
        value = bound
    coef[slot] = value
    scale = 0.0 if clipped else 1.0 / np.sqrt(norm2)
    for i in range(v.size):
        q[i] = v[i] * scale
        r[i] = y[i] - value * v[i]
    return _dot(r, r)


@njit(**_OPTIONS)
def _linear(v, m, y, bounds, coef, q, r, work):  # type: ignore[no-untyped-def]
    """Bounded least squares on m <= 2 columns v; orthonormal basis of the free ones in q; returns the RSS."""
    n = y.size
    for k in range(m):
        coef[k] = 0.0
        q[k, :] = 0.0
    if m == 0:
        r[:] = y
        return _dot(r, r)
    if m == 1:
        return _single(v[0], y, bounds[0], coef, 0, q[0], r)
    norm0, norm1 = np.sqrt(_dot(v[0], v[0])), np.sqrt(_dot(v[1], v[1]))
    if norm0 > 0.0 and norm1 > 0.0:
        for i in range(n):
            q[0, i] = v[0, i] / norm0
            q[1, i] = v[1, i]
        along = _project(q[0], q[1])
        rest = np.sqrt(_dot(q[1], q[1]))
        if rest > 1e-14 * norm1:
            for i in range(n):
                q[1, i] /= rest
                r[i] = y[i]
            b0 = _project(q[0], r)
            b1 = _project(q[1], r)
            coef[1] = b1 / rest
            coef[0] = (b0 - coef[1] * along) / norm0
            if coef[0] >= bounds[0] and coef[1] >= bounds[1]:
                return _dot(r, r)
    # The optimum lies on an edge: the better of the two one-column problems.
    q[1, :] = 0.0
    coef[1] = bounds[1] if bounds[1] > -np.inf else 0.0
    for i in range(n):
        work[i] = y[i] - coef[1] * v[1, i]
    rss0 = _single(v[0], work, bounds[0], coef, 0, q[0], r)
    first, second = coef[0], coef[1]
    coef[0] = bounds[0] if bounds[0] > -np.inf else 0.0
    for i in range(n):
        work[i] = y[i] - coef[0] * v[0, i]
    rss1 = _single(v[1], work, bounds[1], coef, 1, q[1], r)
    if rss1 < rss0:
        q[0, :] = 0.0
        return rss1
    coef[0], coef[1] = first, second
    q[1, :] = 0.0
    for i in range(n):
        work[i] = y[i] - coef[1] * v[1, i]
    return _single(v[0], work, bounds[0], coef, 0, q[0], r)


@njit(**_OPTIONS)
def _columns(phi, floor, root_w, v):  # type: ignore[no-untyped-def]
    """Weighted columns: the constant first (better conditioned: what follows is centred), then the shapes."""
    m = 0
    if floor:
        v[0, :] = root_w
        m = 1
    for s in range(phi.shape[0]):
        for i in range(root_w.size):
            v[m, i] = phi[s, i] * root_w[i]
        m += 1
    return m


@njit(**_OPTIONS)
def grid_rss(phi, floor, y, root_w, bounds):  # type: ignore[no-untyped-def]
    """RSS of every curve at every grid point: phi (G, s, n), y and root_w (B, n) -> (B, G)."""
    grid, _, n = phi.shape
    out = np.empty((y.shape[0], grid))
    v, q = np.empty((2, n)), np.empty((2, n))
    r, work, target, coef = np.empty(n), np.empty(n), np.empty(n), np.empty(2)
    for b in range(y.shape[0]):
        for i in range(n):
            target[i] = y[b, i] * root_w[b, i]
        for g in range(grid):
            m = _columns(phi[g], floor, root_w[b], v)
            value = _linear(v, m, target, bounds, coef, q, r, work)
            out[b, g] = value if np.isfinite(value) else np.inf
    return out


@njit(**_OPTIONS)
def normal_terms(phi, dphi, scale, floor, y, root_w, which, bounds, ar, gain, inverse_root, coef, rss, hess, grad):  # type: ignore[no-untyped-def]
    """Fill coefficients, RSS and the projected Gauss–Newton terms of each problem.

    phi (S, s, n), dphi (S, p, s, n), scale (S, p) (chain factors to the solver's coordinates), y and root_w (B, n),
    which (S,) curve of each problem, ar (m,), gain (n, m), inverse_root (n,) the filter that whitens the errors (m = 0:
    none); outputs coef (S, 2), rss (S,), hess (S, p, p), grad (S, p) = J'r.
    """
    serial = ar.size > 0
    problems, shapes, n = phi.shape
    p = dphi.shape[1]
    v, q, d = np.empty((2, n)), np.empty((2, n)), np.empty((p, n))
    r, work, target = np.empty(n), np.empty(n), np.empty(n)
    first = 1 if floor else 0
    for k in range(problems):
        b = which[k]
        for i in range(n):
            target[i] = y[b, i] * root_w[b, i]
        m = _columns(phi[k], floor, root_w[b], v)
        if serial:
            whiten(target, ar, gain, inverse_root)
            for c in range(m):
                whiten(v[c], ar, gain, inverse_root)
        rss[k] = _linear(v, m, target, bounds, coef[k], q, r, work)
        for j in range(p):
            for i in range(n):
                total = 0.0
                for s in range(shapes):
                    total += coef[k, first + s] * dphi[k, j, s, i]
                d[j, i] = total * scale[k, j] * root_w[b, i]
            if serial:
                whiten(d[j], ar, gain, inverse_root)
            for c in range(m):
                _project(q[c], d[j])
        for j in range(p):
            grad[k, j] = _dot(d[j], r)
            for i in range(j + 1):
                hess[k, i, j] = _dot(d[i], d[j])
                hess[k, j, i] = hess[k, i, j]


@njit(**_OPTIONS)
def _solve(a, b, p):  # type: ignore[no-untyped-def]
    """Solve a x = b in place for a small positive definite a (Cholesky); False where it is not."""
    for j in range(p):
        for i in range(j, p):
            total = a[i, j]
            for k in range(j):
                total -= a[i, k] * a[j, k]
            if i == j:
                if not total > 0.0:
                    return False
                a[j, j] = np.sqrt(total)
            else:
                a[i, j] = total / a[j, j]
    for i in range(p):
        for k in range(i):
            b[i] -= a[i, k] * b[k]
        b[i] /= a[i, i]
    for i in range(p - 1, -1, -1):
        for k in range(i + 1, p):
            b[i] -= a[k, i] * b[k]
        b[i] /= a[i, i]
    return True


@njit(**_OPTIONS)
def damped_step(theta, hess, grad, damping, lower, upper, out):  # type: ignore[no-untyped-def]
    """Levenberg–Marquardt step in a box: coordinates held by a bound are left out of the system."""
    problems, p = theta.shape
    a, b, index = np.empty((p, p)), np.empty(p), np.empty(p, np.int64)
    for k in range(problems):
        free = 0
        for j in range(p):
            held = (theta[k, j] <= lower[k, j] and grad[k, j] <= 0.0) or (
                theta[k, j] >= upper[k, j] and grad[k, j] >= 0.0
            )
            out[k, j] = theta[k, j]
            if not held and hess[k, j, j] > 0.0:
                index[free] = j
                free += 1
        for i in range(free):
            b[i] = grad[k, index[i]]
            for j in range(free):
                a[i, j] = hess[k, index[i], index[j]]
            a[i, i] += damping[k] * hess[k, index[i], index[i]]
        if _solve(a, b, free):
            for i in range(free):
                j = index[i]
                out[k, j] = min(max(theta[k, j] + b[i], lower[k, j]), upper[k, j])

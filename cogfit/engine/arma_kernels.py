"""Compiled whitening of ARMA errors by the Kalman filter (exact likelihood, any order; a few operations a point)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True}


@njit(**_OPTIONS)
def _stationary(phi, load):  # type: ignore[no-untyped-def]
    """Stationary covariance P = T P T' + load load' of Harvey's state (T from phi), by doubling."""
    m = phi.size
    a, p = np.zeros((m, m)), np.empty((m, m))
    for i in range(m):
        a[i, 0] = phi[i]
        if i + 1 < m:
            a[i, i + 1] = 1.0
        for j in range(m):
            p[i, j] = load[i] * load[j]
    for _ in range(40):
        ap = np.zeros((m, m))
        for i in range(m):
            for j in range(m):
                for k in range(m):
                    ap[i, j] += a[i, k] * p[k, j]
        added = 0.0
        for i in range(m):
            for j in range(m):
                total = 0.0
                for k in range(m):
                    total += ap[i, k] * a[j, k]
                p[i, j] += total
                added = max(added, abs(total))
        if added <= 1e-15 * p[0, 0]:
            break
        b = np.zeros((m, m))
        for i in range(m):
            for j in range(m):
                for k in range(m):
                    b[i, j] += a[i, k] * a[k, j]
        a = b
    return p


@njit(**_OPTIONS)
def gains(phi, load, n):  # type: ignore[no-untyped-def]
    """Kalman gains (n, m) and 1/√F (n,) of an ARMA process with unit innovations: phi and load = (1, θ) of length m."""
    m = phi.size
    gain, inverse_root = np.empty((n, m)), np.empty(n)
    p = _stationary(phi, load)
    settled = False
    for t in range(n):
        if settled:
            gain[t], inverse_root[t] = gain[t - 1], inverse_root[t - 1]
            continue
        f = p[0, 0]
        inverse_root[t] = 1.0 / np.sqrt(f)
        tp = np.empty((m, m))  # T P
        for i in range(m):
            for j in range(m):
                tp[i, j] = phi[i] * p[0, j] + (p[i + 1, j] if i + 1 < m else 0.0)
        for i in range(m):
            gain[t, i] = tp[i, 0] / f
        for i in range(m):
            for j in range(m):
                moved = tp[i, 0] * phi[j] + (tp[i, j + 1] if j + 1 < m else 0.0)
                p[i, j] = moved + load[i] * load[j] - gain[t, i] * gain[t, j] * f
        settled = t > m and abs(f - 1.0) < 1e-13
    return gain, inverse_root


@njit(**_OPTIONS)
def autocovariances(phi, load, lags):  # type: ignore[no-untyped-def]
    """Autocovariances at lag 0 … lags for unit innovations: the first row of T^k P."""
    m = phi.size
    state = _stationary(phi, load)[:, 0].copy()
    out = np.empty(lags + 1)
    for k in range(lags + 1):
        out[k] = state[0]
        first = state[0]
        for i in range(m - 1):
            state[i] = phi[i] * first + state[i + 1]
        state[m - 1] = phi[m - 1] * first
    return out


@njit(**_OPTIONS)
def series(phi, load, start, shock):  # type: ignore[no-untyped-def]
    """Stationary series from standard normal numbers start (size, m) and shock (size, n), written into shock."""
    m = phi.size
    p = _stationary(phi, load)
    root = np.zeros((m, m))  # Cholesky factor; the stationary covariance may be singular
    for i in range(m):
        for j in range(i + 1):
            total = p[i, j]
            for k in range(j):
                total -= root[i, k] * root[j, k]
            if i == j:
                root[i, i] = np.sqrt(max(total, 0.0))
            else:
                root[i, j] = total / root[j, j] if root[j, j] > 1e-150 else 0.0
    state = np.zeros(m)
    for row in range(shock.shape[0]):
        for i in range(m):
            state[i] = 0.0
            for j in range(i + 1):
                state[i] += root[i, j] * start[row, j]
        for t in range(shock.shape[1]):
            value = state[0]
            new = shock[row, t]
            for i in range(m - 1):
                state[i] = phi[i] * value + state[i + 1] + load[i] * new
            state[m - 1] = phi[m - 1] * value + load[m - 1] * new
            shock[row, t] = value


@njit(**_OPTIONS)
def whiten(row, phi, gain, inverse_root):  # type: ignore[no-untyped-def]
    """Turn a row into its standardised innovations, in place."""
    m = phi.size
    if m == 1:
        ahead = 0.0
        for t in range(row.size):
            v = row[t] - ahead
            row[t] = v * inverse_root[t]
            ahead = phi[0] * ahead + gain[t, 0] * v
        return
    state = np.zeros(m)
    for t in range(row.size):
        first = state[0]
        v = row[t] - first
        row[t] = v * inverse_root[t]
        for i in range(m - 1):
            state[i] = phi[i] * first + state[i + 1] + gain[t, i] * v
        state[m - 1] = phi[m - 1] * first + gain[t, m - 1] * v


@njit(**_OPTIONS)
def whiten_rows(rows, phi, gain, inverse_root):  # type: ignore[no-untyped-def]
    """Whiten each row of a matrix, in place."""
    for i in range(rows.shape[0]):
        whiten(rows[i], phi, gain, inverse_root)


@njit(**_OPTIONS)
def _factor(z):  # type: ignore[no-untyped-def]
    """Cholesky factor of the Gram matrix of the rows; a pivot that is rounding only is set to 0."""
    c, n = z.shape
    low = np.zeros((c, c))
    for i in range(c):
        for j in range(i + 1):
            total = 0.0
            for t in range(n):
                total += z[i, t] * z[j, t]
            own = total
            for k in range(j):
                total -= low[i, k] * low[j, k]
            if i == j:
                low[i, i] = np.sqrt(total) if total > 1e-13 * own else 0.0
            else:
                low[i, j] = total / low[j, j] if low[j, j] > 0.0 else 0.0
    return low


@njit(**_OPTIONS)
def restricted_terms(phi, load, rows, reference):  # type: ignore[no-untyped-def]
    """GLS on the rows but the last, of the last: RSS, log|R|, and log|X'R⁻¹X| of the reference rows.

    Without reference rows X is that of the fit. The last is inf where X is singular.
    """
    c, n = rows.shape
    gain, inverse_root = gains(phi, load, n)
    z = rows.copy()
    whiten_rows(z, phi, gain, inverse_root)
    log_r = 0.0
    for t in range(n):
        log_r -= 2.0 * np.log(inverse_root[t])
    low = _factor(z)
    rss = low[c - 1, c - 1] ** 2
    columns = c - 1
    if reference.shape[0] > 0:
        x = reference.copy()
        whiten_rows(x, phi, gain, inverse_root)
        low = _factor(x)
        columns = reference.shape[0]
    log_x = 0.0
    for i in range(columns):
        if low[i, i] == 0.0:
            return rss, log_r, np.inf
        log_x += 2.0 * np.log(low[i, i])
    return rss, log_r, log_x


@njit(**_OPTIONS)
def coefficients(z, p, q, limit):  # type: ignore[no-untyped-def]
    """State-space φ and (1, θ) from unbounded coordinates: tanh, then Levinson's recursion (Monahan 1984)."""
    m = max(p, q + 1)
    phi, load = np.zeros(m), np.zeros(m)
    load[0] = 1.0
    work, old = np.zeros(m + 1), np.zeros(m + 1)
    for part in range(2):
        size, first = (p, 0) if part == 0 else (q, p)
        for k in range(size):
            value = limit * np.tanh(z[first + k])
            for i in range(k):
                old[i] = work[i]
            for i in range(k):
                work[i] = old[i] - value * old[k - 1 - i]
            work[k] = value
        for i in range(size):
            if part == 0:
                phi[i] = work[i]
            else:
                load[1 + i] = -work[i]
    return phi, load


@njit(**_OPTIONS)
def _criterion(z, p, q, limit, top, rows, reference):  # type: ignore[no-untyped-def]
    for value in z:
        if abs(value) > top:
            return np.inf
    phi, load = coefficients(z, p, q, limit)
    rss, log_r, log_x = restricted_terms(phi, load, rows, reference)
    columns = reference.shape[0] if reference.shape[0] > 0 else rows.shape[0] - 1
    return 0.5 * ((rows.shape[1] - columns) * np.log(max(rss, 1e-300)) + log_r + log_x)


@njit(**_OPTIONS)
def minimise(first, step, p, q, limit, top, rows, reference):  # type: ignore[no-untyped-def]
    """Best coordinates and criterion by Nelder & Mead's simplex (1965), started at `first` with edges `step`."""
    size = first.size
    points, values = np.empty((size + 1, size)), np.empty(size + 1)
    for i in range(size + 1):
        points[i] = first
        if i > 0:
            points[i, i - 1] += step
        values[i] = _criterion(points[i], p, q, limit, top, rows, reference)
    for _ in range(200):
        order = np.argsort(values)
        points, values = points[order], values[order]
        spread = 0.0
        for i in range(1, size + 1):
            for j in range(size):
                spread = max(spread, abs(points[i, j] - points[0, j]))
        if spread < 2e-3 or (values[size] - values[0] < 1e-5 and spread < 0.05):
            break
        centre = np.zeros(size)
        for i in range(size):
            centre += points[i] / size
        mirrored = 2.0 * centre - points[size]
        value = _criterion(mirrored, p, q, limit, top, rows, reference)
        if value < values[0]:
            far = 3.0 * centre - 2.0 * points[size]
            further = _criterion(far, p, q, limit, top, rows, reference)
            if further < value:
                mirrored, value = far, further
        elif value >= values[size - 1]:
            if value < values[size]:
                points[size], values[size] = mirrored, value
            mirrored = 0.5 * (centre + points[size])
            value = _criterion(mirrored, p, q, limit, top, rows, reference)
            if value >= values[size]:
                for i in range(1, size + 1):
                    points[i] = 0.5 * (points[0] + points[i])
                    values[i] = _criterion(points[i], p, q, limit, top, rows, reference)
                continue
        points[size], values[size] = mirrored, value
    best = np.argmin(values)
    return points[best], values[best]

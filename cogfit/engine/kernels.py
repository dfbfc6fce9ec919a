"""Compiled loops of the separable solver: one curve at a time, from the grid of starts to the last iteration.

A *bundle* is any number of curves end to end: ``x`` and ``log_x`` of the distinct axes, which begin at ``x_at``;
``axis`` of each curve; ``y`` and ``root`` (√weight), in which curve b begins at ``y_at[b]`` and ``w_at[b]``, so that
curves may share an axis and weights. A *problem* is one start of one curve. Its non-linear parameters give columns
(:mod:`cogfit.formulas.bases`), weighted and, for ARMA errors, whitened; the linear coefficients follow by bounded least
squares on at most two columns, the derivatives of the residual by projection (Kaufman's form of variable projection:
Golub & Pereyra 2003, Inverse Problems 19:R1). All of a problem stays in the first-level cache until it is solved.

Of a form the kernels know ``basis``, the address of its columns, their number ``shapes``, whether there is a ``floor``,
which coefficients (floor first) are ``bounded`` by 0, and which non-linear parameters are ``logs`` in the solver's
coordinates; the last two as bits. Inner functions take pointers (see :func:`cogfit.formulas.elementary.pointer`).

``nogil`` lets threads work on parts of a bundle; there is no ``prange``, because a parallel kernel after a fork hangs.
Results of a curve do not depend on the other curves.
"""

from __future__ import annotations

import math

import numpy as np
from numba import carray, njit  # type: ignore[attr-defined]

from cogfit.engine.arma_kernels import whiten
from cogfit.formulas.elementary import LOOPS, call, log, pointer, shift

BLOCK = 32  # curves for which a point of the grid is evaluated once: as many as fit the first-level cache
GRID_STARTS = 4  # local minima of a grid
_PATIENCE = 15  # iterations after which a problem is given its full Hessian
_NEARLY = 0.02  # share of a squared length below which the rest after a projection is computed point by point
_PROMISE = 1e-2  # share of the tolerance below which a promised decrease is not tried
_STEP = 1e-5  # difference step in the solver's coordinates, which are of order 1


@njit(**LOOPS)
def _dot(n, a, b):
    total = 0.0
    for i in range(n):
        total += a[i] * b[i]
    return total


@njit(**LOOPS)
def _copy(n, source, target):
    for i in range(n):
        target[i] = source[i]


@njit(**{**LOOPS, "fastmath": {*LOOPS["fastmath"], "nnan"}})
def _range(n, values):
    """Least and largest of n numbers none of which is NaN."""
    least, most = np.inf, -np.inf
    for i in range(n):
        least, most = min(least, values[i]), max(most, values[i])
    return least, most


@njit(**LOOPS)
def _first_column(n, v, t, q, rest):
    """Unit vector q along v, the rest of t that is orthogonal to it; returns |v| and the part of t along q."""
    norm = math.sqrt(_dot(n, v, v))
    share = 1.0 / norm if norm > 0.0 else 0.0
    for i in range(n):
        q[i] = v[i] * share
    along = _dot(n, q, t)
    for i in range(n):
        rest[i] = t[i] - along * q[i]
    more = _dot(n, q, rest)  # once loses digits where t is nearly parallel to v
    for i in range(n):
        rest[i] -= more * q[i]
    return norm, along + more


@njit(**LOOPS)
def _natural(p, theta, logs, out):
    for j in range(p):
        out[j] = math.exp(theta[j]) if logs >> j & 1 else theta[j]


# --------------------------------------------------------------------------------------------------- the starts


@njit(**LOOPS)
def _lowest_around(row, dims, at, kept):
    """Whether a cell of a grid is no higher than its neighbours, diagonal ones too; along `kept` there are none."""
    p, moves = dims.size, 1
    for _ in range(p):
        moves *= 3
    for move in range(moves):
        rest, cell, stride, other, inside = at, move, 1, 0, True
        for j in range(p - 1, -1, -1):
            place = rest % dims[j] + cell % 3 - 1
            rest, inside = rest // dims[j], inside and 0 <= place < dims[j] and (j != kept or cell % 3 == 1)
            cell //= 3
            other += place * stride
            stride *= dims[j]
        if inside and row[other] < row[at]:
            return False
    return True


@njit(**LOOPS)
def _choose(grid, row, dims, spread, chosen):
    """Cells of a grid to start from: the lowest local minima or, for each value of `spread`, the two lowest."""
    count = 0
    if spread >= 0:
        inner, values = 1, dims[spread]
        for j in range(spread + 1, dims.size):
            inner *= dims[j]
        chosen[: 2 * values] = -1
        for g in range(grid):
            at = (g // inner) % values
            if chosen[at] < 0 or row[g] < row[chosen[at]]:
                chosen[at] = g
        for g in range(grid):
            at = (g // inner) % values
            second = chosen[values + at]
            lower = g != chosen[at] and row[g] < (np.inf if second < 0 else row[second])
            if lower and _lowest_around(row, dims, g, spread):
                chosen[values + at] = g
        for at in range(2 * values):
            if chosen[at] >= 0:
                chosen[count] = chosen[at]
                count += 1
        return count
    for g in range(grid):
        if not row[g] < np.inf or (count == GRID_STARTS and row[g] >= row[chosen[count - 1]]):
            continue
        if _lowest_around(row, dims, g, -1):
            count = min(count + 1, GRID_STARTS)
            k = count - 1
            while k > 0 and row[chosen[k - 1]] > row[g]:
                chosen[k] = chosen[k - 1]
                k -= 1
            chosen[k] = g
    if count == 0:
        chosen[0] = 0
        return 1
    return count


@njit(**LOOPS)
def _placed(at, low, high, bottom, top):
    """Coordinate from a place on the grid."""
    if at < 0.0:
        return low - (low - bottom) * -at
    return high + (top - high) * (at - 1.0) if at > 1.0 else low + (high - low) * at


@njit(**LOOPS)
def grid_starts(
    basis, shapes, floor, bounded, logs, x, lx, x_at, axis, y, y_at, root, w_at,
    begin, end, mesh, dims, spread, low, high, bottom, top, starts, counts, work,
):  # fmt: skip
    """Starts of the curves begin … end − 1 from a grid: fills starts (curves, most, p) and counts (curves,).

    mesh (G, p) runs from 0 to 1 between low and high (axes, p), and from there to −1 and 2 at bottom and top; dims (p,)
    are the sizes of the grid; spread is a parameter each of whose values gives a start, or −1. The RSS at a point of
    the grid comes from dot products with columns that curves on one axis with the same weights share. work: room for
    (2·B + 2 + shapes·(1 + p))·n + (B + 1)·G + 3·B + 2·p numbers, n being the points of the longest curve, B the
    constant BLOCK.
    """
    grid, p = mesh.shape
    chosen = np.empty(2 * grid + GRID_STARTS, np.int64)
    table = pointer(work)
    row = shift(table, BLOCK * grid)
    total = shift(row, grid)
    along, share = shift(total, BLOCK), shift(total, 2 * BLOCK)
    theta = shift(share, BLOCK)
    natural = shift(theta, p)
    b = begin
    while b < end:
        ax = axis[b]
        n, size = x_at[ax + 1] - x_at[ax], 1
        while b + size < end and size < BLOCK and axis[b + size] == ax and w_at[b + size] == w_at[b]:
            size += 1
        xs, lxs, w = shift(pointer(x), x_at[ax]), shift(pointer(lx), x_at[ax]), shift(pointer(root), w_at[b])
        target = shift(natural, p)
        rest, q = shift(target, size * n), shift(target, 2 * size * n)
        v, phi = shift(q, n), shift(q, 2 * n)
        dphi = shift(phi, shapes * n)
        second, norm = phi if shapes == 1 else shift(phi, n), 0.0
        for k in range(BLOCK):
            total[k] = along[k] = share[k] = 0.0
        for k in range(size):
            values, mine = shift(pointer(y), y_at[b + k]), shift(target, k * n)
            for i in range(n):
                mine[i] = values[i] * w[i]
            total[k], along[k] = _dot(n, mine, mine), 0.0
            if floor:
                norm, along[k] = _first_column(n, w, mine, q, shift(rest, k * n))
        for g in range(grid):
            for j in range(p):
                theta[j] = _placed(mesh[g, j], low[ax, j], high[ax, j], bottom[ax, j], top[ax, j])
            _natural(p, theta, logs, natural)
            call(basis, n, xs, lxs, natural, phi, dphi)
            for i in range(n):
                v[i] = second[i] * w[i]
            if shapes == 2:
                for i in range(n):
                    q[i] = phi[i] * w[i]
                norm = math.sqrt(_dot(n, q, q))
                for i in range(n):
                    q[i] /= norm
                for k in range(size):
                    along[k] = _dot(n, q, shift(target, k * n))
            vv, lean = _dot(n, v, v), 0.0
            if floor or shapes == 2:
                lean = _dot(n, q, v)
                for i in range(n):
                    v[i] -= lean * q[i]
                more = _dot(n, q, v)
                for i in range(n):
                    v[i] -= more * q[i]
                lean += more
            uu = _dot(n, v, v)
            for k in range(size):
                share[k] = _dot(n, v, shift(target, k * n))
            inverse, single = 1.0 / uu, 1.0 / vv
            line = shift(table, g * BLOCK)  # all of it: its remainder would be rounded otherwise than its vectors
            if not floor and shapes == 1:
                for k in range(BLOCK):
                    value = total[k] - share[k] * share[k] * inverse
                    line[k] = value if share[k] > 0.0 or not bounded & 1 else total[k]
            else:
                both = uu > 1e-28 * vv
                for k in range(BLOCK):
                    first, vt = along[k], share[k] + lean * along[k]
                    slope = share[k] * inverse
                    level = first - slope * lean  # times the length of the first column
                    one = first * first if first > 0.0 or not bounded & 1 else 0.0
                    other = vt * vt * single if vt > 0.0 or not bounded & 2 else 0.0
                    inside = both and (slope >= 0.0 or not bounded & 2) and (level >= 0.0 or not bounded & 1)
                    line[k] = total[k] - (first * first + share[k] * slope if inside else max(one, other))
        for k in range(size):
            for g in range(grid):
                value = table[g * BLOCK + k]
                row[g] = value if math.isfinite(value) else np.inf
            count = _choose(grid, row, dims, spread, chosen)
            counts[b + k - begin] = count
            for s in range(count):
                g = chosen[s]
                for j in range(p):
                    at = mesh[g, j]
                    if p == 1 and 0 < g < grid - 1 and mesh[g - 1, 0] >= 0.0 and mesh[g + 1, 0] <= 1.0:
                        bend = row[g - 1] - 2.0 * row[g] + row[g + 1]
                        if 0.0 < bend < np.inf:  # the vertex of a parabola through the neighbours
                            move = 0.5 * (row[g - 1] - row[g + 1]) / bend
                            at += min(max(move, -0.5), 0.5) * (mesh[g + 1, j] - at)
                    starts[b + k - begin, s, j] = _placed(at, low[ax, j], high[ax, j], bottom[ax, j], top[ax, j])
        b += size


# -------------------------------------------------------------------------------------------------- the descent


@njit(**LOOPS)
def _terms(
    basis, shapes, floor, bounded, logs, p, n, x, lx, w, theta, norm, along, order, ar, gain, inverse_root, natural,
    phi, dphi, rows, nothing, coef, factor, target, grad,
):  # fmt: skip
    """RSS (returned) and its slope at given coordinates.

    Filled are the linear coefficients and, of the Jacobian J = QR of the residual r, factor R (p, p), target Q'r and
    gradient J'r.

    rows (6 + p, n) are: the weighted curve; with a floor, the unit constant column and the curve without its part along
    it (length of the column and of that part in norm, along); and room for the second column, its part orthogonal to
    the first, the residual, and the derivatives. order is that of the filter that whitens the errors, 0: none.
    A derivative of squared length up to `nothing` is rounding and counts as 0.
    """
    t, q, rest, v, u = rows, shift(rows, n), shift(rows, 2 * n), shift(rows, 3 * n), shift(rows, 4 * n)
    r, d = shift(rows, 5 * n), shift(rows, 6 * n)
    _natural(p, theta, logs, natural)
    call(basis, n, x, lx, natural, phi, dphi)
    if not floor:
        for i in range(n):
            v[i] = phi[i] * w[i]
        if order:
            whiten(carray(v, n), carray(ar, order), carray(gain, (n, order)), carray(inverse_root, n))
        norm, along = _first_column(n, v, t, q, rest)
    first, second = norm > 0.0, False  # which coefficients are free
    coef[0], coef[1] = along / norm if first else 0.0, 0.0
    side, lean, length = v, 0.0, 0.0  # (side − lean q) · length: unit vector along what the second column adds
    rss = 0.0
    if shapes + floor == 2:
        vv = vt = 0.0
        column = phi if shapes == 1 else shift(phi, n)
        if order:
            for i in range(n):
                v[i] = column[i] * w[i]
            whiten(carray(v, n), carray(ar, order), carray(gain, (n, order)), carray(inverse_root, n))
            for i in range(n):
                lean += v[i] * q[i]
                vv += v[i] * v[i]
                vt += v[i] * rest[i]
        else:
            for i in range(n):
                value = column[i] * w[i]
                v[i] = value
                lean += value * q[i]
                vv += value * value
                vt += value * rest[i]
        uu, overlap = vv - lean * lean, lean
        if first and not uu > _NEARLY * vv:  # nearly parallel columns: the difference has lost digits
            uu = vt = lean = 0.0
            side = u
            for i in range(n):
                value = v[i] - overlap * q[i]
                u[i] = value
                uu += value * value
                lean += value * q[i]
                vt += value * rest[i]
            uu -= lean * lean
            overlap += lean
        slope = 0.0
        second = first and uu > 1e-28 * vv
        if second:
            slope = vt / uu
            coef[1], coef[0] = slope, (along - slope * overlap) / norm
            second = (coef[0] >= 0.0 or not bounded & 1) and (coef[1] >= 0.0 or not bounded & 2)
            length = 1.0 / math.sqrt(uu)
        if second:
            for i in range(n):
                value = rest[i] - slope * (side[i] - lean * q[i])
                r[i] = value
                rss += value * value
        else:  # the optimum lies on an edge: the better of the two problems with one column
            side, lean, vt = v, 0.0, _dot(n, v, t)
            second = vv > 0.0 and (vt >= 0.0 or not bounded & 2)
            slope, length = (vt / vv, 1.0 / math.sqrt(vv)) if second else (0.0, 0.0)
            for i in range(n):
                value = t[i] - slope * v[i]
                r[i] = value
                rss += value * value
            keep = first and (along >= 0.0 or not bounded & 1)
            other = _dot(n, rest, rest) if keep else _dot(n, t, t)
            if rss < other:
                first = False
                coef[0], coef[1] = 0.0, slope
            else:
                first, second = keep, False
                coef[0], coef[1] = along / norm if keep else 0.0, 0.0
                _copy(n, rest if keep else t, r)
                rss = other
    else:
        if not (first and (along >= 0.0 or not bounded & 1)):
            first = False
            coef[0] = 0.0
        _copy(n, rest if first else t, r)
        rss = _dot(n, r, r)
    back, more = 1.0 if first else 0.0, length if second else 0.0
    for j in range(p):
        scale = natural[j] if logs >> j & 1 else 1.0
        row, slopes, own = shift(d, j * n), shift(dphi, j * shapes * n), coef[1 if floor else 0] * scale
        if shapes == 2:
            others, also = shift(slopes, n), coef[1] * scale
            for i in range(n):
                row[i] = (own * slopes[i] + also * others[i]) * w[i]
        else:
            for i in range(n):
                row[i] = own * slopes[i] * w[i]
        if order:
            whiten(carray(row, n), carray(ar, order), carray(gain, (n, order)), carray(inverse_root, n))
        g = dd = a = b = 0.0
        for i in range(n):
            value = row[i]
            g += value * r[i]
            dd += value * value
            a += value * q[i]
            b += value * side[i]
        if dd <= nothing:  # else its direction, which is noise, would bend those of the others
            g = dd = a = b = 0.0
            for i in range(n):
                row[i] = 0.0
        a, b = back * a, more * (b - lean * a)
        h = dd - a * a - b * b
        if p > 1 or h < _NEARLY * dd:
            h, b = 0.0, b * more
            a -= b * lean
            for i in range(n):
                value = row[i] - a * q[i] - b * side[i]
                row[i] = value
                h += value * value
        grad[j] = g
        for k in range(j):
            factor[j * p + k] = factor[k * p + j] = 0.0
        for _ in range(2):
            before = h
            for k in range(j):
                other, square = shift(d, k * n), factor[k * p + k] * factor[k * p + k]
                along = _dot(n, row, other) / square if square > 0.0 else 0.0
                factor[k * p + j] += along * factor[k * p + k]
                for i in range(n):
                    row[i] -= along * other[i]
            if j > 0:
                h = _dot(n, row, row)
            if h > 0.01 * before:  # else the derivatives are nearly parallel: digits are lost
                break
        factor[j * p + j] = math.sqrt(h) if h > 0.0 else 0.0
        if j > 0:
            g = _dot(n, row, r)
        target[j] = g / factor[j * p + j] if h > 0.0 else 0.0
    return rss if math.isfinite(rss) else np.inf


@njit(**LOOPS)
def _damped_step(p, theta, factor, target, grad, damping, lower, upper, a, out):
    """Levenberg–Marquardt step in a box, in which coordinates that a bound holds stay.

    It minimises |R δ − Q'r|² + damping Σ (|R_j| δ_j)² by Householder reflections: normal equations would lose twice as
    many digits. a: room for 2p(p + 1) numbers. Returns the largest move, and the decrease of the RSS that is promised
    (inf where the box cuts the step).
    """
    width, rows = p + 1, 2 * p  # the last column is the right-hand side
    for i in range(rows):
        a[i * width + p] = target[i] if i < p else 0.0
        for j in range(p):
            a[i * width + j] = factor[i * p + j] if i < p else 0.0
    for j in range(p):
        held = (theta[j] <= lower[j] and grad[j] <= 0.0) or (theta[j] >= upper[j] and grad[j] >= 0.0)
        square = 0.0
        for i in range(p):
            square += a[i * width + j] * a[i * width + j]
            if held:
                a[i * width + j] = 0.0
        a[(p + j) * width + j] = math.sqrt(damping * square) if not held and square > 0.0 else 1.0
    for j in range(p):
        square = 0.0
        for i in range(j, rows):
            square += a[i * width + j] * a[i * width + j]
        head = -math.copysign(math.sqrt(square), a[j * width + j])
        first = a[j * width + j] - head
        reach = square - head * a[j * width + j]  # half the squared length of the reflected direction
        for k in range(j + 1, width):
            along = first * a[j * width + k]
            for i in range(j + 1, rows):
                along += a[i * width + j] * a[i * width + k]
            along /= reach
            a[j * width + k] -= along * first
            for i in range(j + 1, rows):
                a[i * width + k] -= along * a[i * width + j]
        a[j * width + j] = head
    moved = promised = 0.0
    for j in range(p - 1, -1, -1):
        value = a[j * width + p]
        for k in range(j + 1, p):
            value -= a[j * width + k] * a[k * width + p]
        value /= a[j * width + j]
        a[j * width + p] = value
        to = theta[j] + value
        out[j] = min(max(to, lower[j]), upper[j]) if math.isfinite(to) else theta[j]
        moved = max(moved, abs(out[j] - theta[j]))
        promised += value * grad[j] if out[j] == to else np.inf
    return moved, promised


@njit(**LOOPS)
def _root_of(p, a, grad, vector, factor, target):
    """Fill factor R and target z with R'R = |a| and R'z = grad, |a| having the absolute eigenvalues of a symmetric a.

    Jacobi's rotations turn a into its eigenvalues, in place; they are kept 10^12 times smaller than the largest at the
    least. Where a is not finite, it is the identity.
    """
    finite = True
    for i in range(p):
        for j in range(p):
            finite = finite and math.isfinite(a[i * p + j])
            vector[i * p + j] = 1.0 if i == j else 0.0
    for i in range(p):
        for j in range(i):
            a[i * p + j] = a[j * p + i] = 0.5 * (a[i * p + j] + a[j * p + i])
    for _ in range(12 if finite else 0):
        for i in range(p):
            for j in range(i):
                off, top, bottom = a[i * p + j], a[i * p + i], a[j * p + j]
                if abs(off) <= 1e-17 * math.sqrt(abs(top * bottom)):
                    continue
                ratio = 0.5 * (bottom - top) / off
                tangent = math.copysign(1.0, ratio) / (abs(ratio) + math.sqrt(1.0 + ratio * ratio))
                c = 1.0 / math.sqrt(1.0 + tangent * tangent)
                s = tangent * c
                for k in range(p):
                    one, other = a[k * p + i], a[k * p + j]
                    a[k * p + i], a[k * p + j] = c * one - s * other, s * one + c * other
                for k in range(p):
                    one, other = a[i * p + k], a[j * p + k]
                    a[i * p + k], a[j * p + k] = c * one - s * other, s * one + c * other
                    one, other = vector[k * p + i], vector[k * p + j]
                    vector[k * p + i], vector[k * p + j] = c * one - s * other, s * one + c * other
    largest = 0.0
    for k in range(p):
        largest = max(largest, abs(a[k * p + k])) if finite else 1.0
    for k in range(p):
        root = math.sqrt(max(abs(a[k * p + k]), 1e-12 * largest)) if finite else 1.0
        total = 0.0
        for i in range(p):
            factor[k * p + i] = root * vector[i * p + k]
            total += vector[i * p + k] * grad[i]
        target[k] = total / root if root > 0.0 else 0.0


@njit(**LOOPS)
def descend(
    basis, shapes, floor, bounded, logs, x, lx, x_at, axis, y, y_at, root, w_at,
    begin, end, low, high, held, ar, gain, inverse_root, tolerance, iterations,
    theta, counts, coef, rss, done, work,
):  # fmt: skip
    """Levenberg–Marquardt from every start of the curves begin … end − 1.

    low and high (axes, p) are the box; held (curves, p) holds parameters at a value where it is not NaN (no rows:
    none); ar (m,), gain (n, m), inverse_root (n,) are the filter that whitens the errors (m = 0: none).
    theta (curves, most, p) are the starts and become the solutions; only the first counts (curves,) of them are used.
    Filled: coef (curves, most, 2), rss (curves, most; inf where nothing is finite), done (curves, most).
    work: room for (6 + p + shapes·(1 + p))·n + 6·p² + 13·p + 2 numbers, n being the points of the longest curve.
    """
    most, p = theta.shape[1], theta.shape[2]
    order = ar.size
    filters = pointer(ar), pointer(gain), pointer(inverse_root)
    natural = pointer(work)
    trial, here, lower, upper = shift(natural, p), shift(natural, 2 * p), shift(natural, 3 * p), shift(natural, 4 * p)
    grad, new_grad, bent = shift(natural, 5 * p), shift(natural, 6 * p), shift(natural, 7 * p)
    target, new_target, moved_to = shift(natural, 8 * p), shift(natural, 9 * p), shift(natural, 10 * p)
    factor = shift(natural, 11 * p)
    new_factor, curved, vector = shift(factor, p * p), shift(factor, 2 * p * p), shift(factor, 3 * p * p)
    a = shift(factor, 4 * p * p)
    new_coef = shift(a, 2 * p * (p + 1))
    rows = shift(new_coef, 2)
    for b in range(begin, end):
        ax = axis[b]
        n = x_at[ax + 1] - x_at[ax]
        xs, lxs, w = shift(pointer(x), x_at[ax]), shift(pointer(lx), x_at[ax]), shift(pointer(root), w_at[b])
        phi = shift(rows, (6 + p) * n)
        dphi, values = shift(phi, shapes * n), shift(pointer(y), y_at[b])
        for i in range(n):
            rows[i] = values[i] * w[i]
        nothing = 1e-30 * _dot(n, rows, rows)  # an RSS that is rounding only
        norm = along = 0.0
        if order:
            whiten(carray(rows, n), ar, gain, inverse_root)
        if floor:
            column = shift(rows, 3 * n)
            _copy(n, w, column)
            if order:
                whiten(carray(column, n), ar, gain, inverse_root)
            norm, along = _first_column(n, column, rows, shift(rows, n), shift(rows, 2 * n))
        for j in range(p):
            lower[j], upper[j] = low[ax, j], high[ax, j]
            if len(held) and held[b - begin, j] == held[b - begin, j]:
                lower[j] = upper[j] = held[b - begin, j]
        for s in range(counts[b - begin]):
            start = shift(pointer(theta), ((b - begin) * most + s) * p)
            best = shift(pointer(coef), ((b - begin) * most + s) * 2)
            for j in range(p):
                trial[j] = min(max(start[j], lower[j]), upper[j])
            value, damping, moved, promised, finished = np.inf, 1e-3, np.inf, np.inf, p == 0
            for iteration in range(-1, iterations):  # the first is the start itself
                if iteration >= _PATIENCE:  # large residuals: Gauss–Newton crawls where Newton does not
                    for j in range(p):
                        step = _STEP if here[j] + _STEP < upper[j] else -_STEP
                        _copy(p, here, moved_to)
                        moved_to[j] += step
                        _terms(
                            basis, shapes, floor, bounded, logs, p, n, xs, lxs, w, moved_to, norm, along, order,
                            *filters, natural, phi, dphi, rows, nothing, new_coef, new_factor, new_target, bent,
                        )  # fmt: skip
                        for i in range(p):
                            curved[i * p + j] = (grad[i] - bent[i]) / step
                    _root_of(p, curved, grad, vector, factor, target)
                if iteration >= 0:
                    moved, promised = _damped_step(p, here, factor, target, grad, damping, lower, upper, a, trial)
                    if promised <= _PROMISE * tolerance * value and damping <= 1e-2:
                        finished = True
                        break
                new = _terms(
                    basis, shapes, floor, bounded, logs, p, n, xs, lxs, w, trial, norm, along, order, *filters, natural,
                    phi, dphi, rows, nothing, new_coef, new_factor, new_target, new_grad,
                )  # fmt: skip
                better = new < value
                small = better and value - new <= tolerance * value and damping <= 1e-2
                if better or iteration < 0:
                    value = new
                    _copy(p, trial, here)
                    _copy(p, new_grad, grad)
                    _copy(p, new_target, target)
                    _copy(p * p, new_factor, factor)
                    _copy(2, new_coef, best)
                if iteration < 0:
                    if p == 0 or not value < np.inf:
                        break
                    continue
                damping = max(damping * 0.2, 1e-12) if better else damping * 8.0
                stuck = not better and (damping > 1e8 or promised <= tolerance * value)
                finished = moved < 1e-12 or small or stuck or value <= nothing
                if finished:
                    break
            _copy(p, here, start)
            rss[b - begin, s] = value
            done[b - begin, s] = finished


@njit(**LOOPS)
def bin_means(label, y, y_at, w, w_at, mean, total):
    """Weighted means of curves and sums of their weights over the points with each label 0, 1, … (filled)."""
    for k in range(y_at.size):
        for i in range(mean.shape[1]):
            mean[k, i] = total[k, i] = 0.0
        for i in range(label.size):
            weight = w[w_at[k] + i]
            mean[k, label[i]] += weight * y[y_at[k] + i]
            total[k, label[i]] += weight
        for i in range(mean.shape[1]):
            mean[k, i] /= max(total[k, i], 1e-300)


# ----------------------------------------------------------------------------------- what the data determine


@njit(**LOOPS)
def _triangle(n, p, columns, out):
    """Triangular factor (p, p) of a matrix given as p columns of n values, which are overwritten."""
    for j in range(p):
        v = shift(columns, j * n)
        for k in range(p):
            out[k * p + j] = 0.0
        square = _dot(n, v, v)
        for _ in range(2):
            before = square
            for k in range(j):
                q = shift(columns, k * n)
                along = _dot(n, q, v)
                out[k * p + j] += along
                for i in range(n):
                    v[i] -= along * q[i]
            square = _dot(n, v, v)
            if square > 0.25 * before:  # else the column is nearly in the span of those before it: digits are lost
                break
        norm = math.sqrt(square)
        out[j * p + j] = norm
        share = 1.0 / norm if norm > 0.0 else 0.0
        for i in range(n):
            v[i] *= share


@njit(**LOOPS)
def triangle(columns, out):
    """Fill out (p, p) with the triangular factor of the rows (p, n), which are overwritten."""
    _triangle(columns.shape[1], columns.shape[0], pointer(columns), pointer(out))


@njit(**LOOPS)
def summaries(
    basis, shapes, floor, bounded, logs, x, lx, x_at, axis, y, y_at, root, w_at,
    begin, end, params, order, rss, log_weights, sizes, triangles, work,
):  # fmt: skip
    """What is said of a fit, from its points: for the curves begin … end − 1 at given params (curves, parameters).

    order (parameters,) numbers the columns of the Jacobian: amplitudes 0, 1, …, then non-linear parameters, then the
    floor. Filled: rss (curves,), log_weights (curves,; Σ log w), sizes (curves, 2; largest |y| and |√w y|), triangles
    (curves, parameters, parameters; triangular factors of the weighted Jacobian, 0 in place of what is not finite).
    work: room for (count + shapes·(1 + p))·n + p numbers.
    """
    count = params.shape[1]
    p = count - shapes - (1 if floor else 0)
    natural = pointer(work)
    columns = shift(natural, p)
    last, total = -1, 0.0
    for b in range(begin, end):
        ax = axis[b]
        n = x_at[ax + 1] - x_at[ax]
        w, values = shift(pointer(root), w_at[b]), shift(pointer(y), y_at[b])
        phi = shift(columns, count * n)
        dphi = shift(phi, shapes * n)
        mine = b - begin
        for k in range(count):
            if shapes <= order[k] < shapes + p:
                natural[order[k] - shapes] = params[mine, k]
        call(basis, n, shift(pointer(x), x_at[ax]), shift(pointer(lx), x_at[ax]), natural, phi, dphi)
        if w_at[b] != last:
            last, total = w_at[b], 0.0
            for i in range(n):
                total += log(w[i])
        fitted = shift(columns, 0)
        for i in range(n):
            fitted[i] = 0.0
        for k in range(count):
            value = params[mine, k]
            if order[k] < shapes:
                row = shift(phi, order[k] * n)
                for i in range(n):
                    fitted[i] += value * row[i]
            elif order[k] >= shapes + p:
                for i in range(n):
                    fitted[i] += value
        square = 0.0
        for i in range(n):
            miss = (values[i] - fitted[i]) * w[i]
            square += miss * miss
        for i in range(n):
            fitted[i] = values[i] * w[i]
        rss[mine], log_weights[mine] = square, 2.0 * total
        for k, (least, most) in enumerate((_range(n, values), _range(n, fitted))):
            sizes[mine, k] = max(-least, most)
        for k in range(count):
            column = shift(columns, k * n)
            if order[k] < shapes:
                row = shift(phi, order[k] * n)
                for i in range(n):
                    column[i] = row[i] * w[i]
            elif order[k] >= shapes + p:
                for i in range(n):
                    column[i] = w[i]
            else:
                for i in range(n):
                    column[i] = 0.0
                for other in range(count):
                    if order[other] < shapes:
                        row = shift(dphi, ((order[k] - shapes) * shapes + order[other]) * n)
                        for i in range(n):
                            column[i] += params[mine, other] * row[i]
                for i in range(n):
                    column[i] *= w[i]
            for i in range(n):
                column[i] = column[i] if abs(column[i]) < np.inf else 0.0
        _triangle(n, count, columns, shift(pointer(triangles), mine * count * count))


_TURNED = 1e-13  # cosine from which columns count as orthogonal: its square is what is lost


@njit(**LOOPS)
def _singular(rows, count, a, vector):
    """Singular values by one-sided Jacobi: the columns a (count, rows) become orthogonal; vector (count, count) is V'.

    The singular values are the lengths of the columns.
    """
    for i in range(count):
        for j in range(count):
            vector[i, j] = 1.0 if i == j else 0.0
    for _ in range(30):
        turned = False
        for i in range(count):
            for j in range(i):
                one = other = both = 0.0
                for k in range(rows):
                    one += a[i, k] * a[i, k]
                    other += a[j, k] * a[j, k]
                    both += a[i, k] * a[j, k]
                if not abs(both) > _TURNED * math.sqrt(one * other):
                    continue
                turned = True
                ratio = 0.5 * (other - one) / both
                tangent = math.copysign(1.0, ratio) / (abs(ratio) + math.sqrt(1.0 + ratio * ratio))
                c = 1.0 / math.sqrt(1.0 + tangent * tangent)
                s = tangent * c
                for k in range(rows):
                    a[i, k], a[j, k] = c * a[i, k] - s * a[j, k], s * a[i, k] + c * a[j, k]
                for k in range(count):
                    vector[i, k], vector[j, k] = (
                        c * vector[i, k] - s * vector[j, k],
                        s * vector[i, k] + c * vector[j, k],
                    )
        if not turned:
            break


_NULL = 1e-11  # singular values that many times smaller than the largest are rounding
_SHARE = 0.1  # part in a null direction from which a parameter is lost
_FACTOR = 3.0  # standard error of a logarithm from which a scale is not identified: a factor 20


@njit(**LOOPS)
def judge(triangles, scale, logs, deviance, points, at_bound, covariance, lost, runaway):
    """What the curvature at a fit determines.

    triangles (curves, p, p) are factors of the Jacobian, scale (curves, p) the parameters where they are scales and 1
    elsewhere, logs (p,) which are scales, deviance and points (curves,) Σr² and n, at_bound (curves, p). Filled:
    covariance (curves, p, p; per unit of dispersion, NaN for parameters at a bound), lost (curves, p; in the numerical
    null space), runaway (curves, p; scales at a bound that the data do not determine: the others make good for a factor
    20 in them). The latter are taken off at_bound.
    """
    curves, p, _ = triangles.shape
    a, vector, size, index = np.empty((p, p)), np.empty((p, p)), np.empty(p), np.empty(p, np.int64)
    for b in range(curves):
        r = triangles[b]
        for name in range(p):
            runaway[b, name] = False
            if not (at_bound[b, name] and logs[name]):
                continue
            free = 0
            for j in range(p):
                if not at_bound[b, j]:
                    length = 0.0
                    for k in range(p):
                        length += r[k, j] * r[k, j]
                    length = math.sqrt(length)
                    for k in range(p):
                        a[free, k] = r[k, j] / length if length > 0.0 else 0.0
                    free += 1
            if points[b] <= free + 1:
                continue
            _singular(p, free, a, vector)
            column = total = 0.0
            for k in range(p):
                size[k] = r[k, name] * scale[b, name]
                column += abs(size[k])
            for i in range(free):
                length = along = 0.0
                for k in range(p):
                    length += a[i, k] * a[i, k]
                    along += a[i, k] * size[k]
                if length > 1e-28:
                    for k in range(p):
                        size[k] -= along / length * a[i, k]
            for k in range(p):
                total += size[k] * size[k]
            spread = math.sqrt(deviance[b] / (points[b] - free - 1))
            runaway[b, name] = column > 0.0 and spread > _FACTOR * math.sqrt(total)
        free = 0
        for j in range(p):
            at_bound[b, j] = at_bound[b, j] and not runaway[b, j]
            lost[b, j] = False
            for k in range(p):
                covariance[b, j, k] = np.nan
            if not at_bound[b, j]:
                index[free] = j
                free += 1
        for i in range(free):
            length = 0.0
            for k in range(p):
                length += r[k, index[i]] * r[k, index[i]]
            size[i] = math.sqrt(length)
            for k in range(p):
                a[i, k] = r[k, index[i]] / size[i] if size[i] > 0.0 else 0.0
        _singular(p, free, a, vector)
        largest = 0.0
        for i in range(free):
            length = 0.0
            for k in range(p):
                length += a[i, k] * a[i, k]
            a[i, 0] = math.sqrt(length)
            largest = max(largest, a[i, 0])
        for i in range(free):
            for j in range(i + 1):
                total = 0.0
                for k in range(free):
                    if a[k, 0] > _NULL * largest:
                        total += vector[k, i] * vector[k, j] / (a[k, 0] * a[k, 0])
                    elif i == j and abs(vector[k, i]) > _SHARE:
                        lost[b, index[i]] = True
                if size[i] > 0.0 and size[j] > 0.0:
                    total /= size[i] * size[j]
                else:
                    total = 0.0
                covariance[b, index[i], index[j]] = covariance[b, index[j], index[i]] = total
            if size[i] == 0.0:
                lost[b, index[i]] = True


@njit(**LOOPS)
def _odd(n, values):
    """How many of n numbers are not finite."""
    zero = 0.0
    for i in range(n):
        zero += values[i] * 0.0
    count = 0
    if zero != 0.0:
        for i in range(n):
            count += not abs(values[i]) < np.inf
    return count


@njit(**LOOPS)
def survey(values, at, sizes, odd, limits):
    """Of runs of values that begin at `at` (runs,) with given sizes, fill how many are not finite, and their range.

    odd (runs,); limits (runs, 2), which mean nothing where values are not finite.
    """
    for b in range(at.size):
        if b > 0 and at[b] == at[b - 1] and sizes[b] == sizes[b - 1]:
            odd[b], limits[b, 0], limits[b, 1] = odd[b - 1], limits[b - 1, 0], limits[b - 1, 1]
            continue
        run = shift(pointer(values), at[b])
        odd[b] = _odd(sizes[b], run)
        limits[b, 0], limits[b, 1] = _range(sizes[b], run)

r"""The batched engine: variable projection for separable forms under Gaussian noise.

A built-in form :math:`c + \sum a_i \varphi_i(x; \theta)` is linear in :math:`c, a_i`. These are solved exactly (with
their bounds) for every trial θ, so only one to three coordinates are searched: from a grid of starts, then by
Levenberg–Marquardt in a box. The solver takes a batch of curves on a shared x; one curve is a batch of one, and a
profile likelihood or a bootstrap is a batch, too.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogfit.curves import Array, Form, Parameter, span_of
from cogfit.serial import WHITE, Arma

_CHUNK = 1 << 16  # elements of one basis column per chunk: the working set stays in the second-level cache
_GRID_POINTS = 240  # points on which starts are ranked; longer curves are averaged into bins for this only
_STARTS = 4
_MAX_ITERATIONS = 200
_QUICK = 14  # before the full Hessians, which cost most
_SORTING = 12  # iterations by which starts are sorted out
_PATIENCE = 15  # iterations after which a problem is given its full Hessian
_STEP = 1e-5  # difference step in the solver's coordinates, which are of order 1


@dataclass(frozen=True)
class Batch:
    """Least-squares solutions of one form for a batch of curves.

    Attributes
    ----------
    params : ndarray, shape (batch, parameters)
        In the order of ``form.parameters``.
    rss : ndarray, shape (batch,)
        Weighted residual sum of squares; inf where nothing finite was found.
    converged : ndarray of bool, shape (batch,)
    """

    params: Array
    rss: Array
    converged: NDArray[np.bool_]


# ---------------------------------------------------------------------------- coordinates of the solver


def inner(parameter: Parameter, value: Array | float) -> Array:
    """Value of a parameter in the solver's coordinate (its logarithm, for scales)."""
    return np.log(value) if parameter.log else np.asarray(value, dtype=float)


def bounds_of(form: Form, x: Array) -> tuple[Array, Array]:
    """Lower and upper bounds of all parameters in natural units, on this axis; two arrays of shape (p,)."""
    pairs = [q.absolute((q.lower, q.upper), x) for q in form.parameters]
    return np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])


def shape_box(form: Form, x: Array) -> tuple[Array, Array]:
    """Bounds of the non-linear parameters in the solver's coordinates."""
    pairs = [q.absolute((q.lower, q.upper), x) for q in form.shape]
    lower = np.array([float(inner(q, pair[0])) for q, pair in zip(form.shape, pairs, strict=True)])
    upper = np.array([float(inner(q, pair[1])) for q, pair in zip(form.shape, pairs, strict=True)])
    return lower, upper


def _axes(form: Form, x: Array) -> list[Array]:
    """Grid of starting values along each non-linear parameter, in the solver's coordinates."""
    axes = []
    for q in form.shape:
        a, b = (float(inner(q, v)) for v in q.absolute(q.grid[:2], x))
        axes.append(np.linspace(a, b, q.grid[2]))
    return axes


def natural_of(form: Form, theta: Array) -> tuple[Array, Array]:
    """Non-linear parameters in natural units and the chain factors d natural / d coordinate; both (S, p)."""
    logs = np.array([q.log for q in form.shape], dtype=bool)
    natural = np.where(logs, np.exp(np.where(logs, theta, 0.0)), theta)
    return natural, np.where(logs, natural, 1.0)


def _linear_bounds(form: Form) -> Array:
    """Lower bounds of the linear coefficients in the kernel's order: floor first."""
    ordered = ([form.floor] if form.floor else []) + list(form.amplitudes)
    return np.array([q.lower for q in ordered] + [-math.inf] * (2 - len(ordered)))


def _assemble(form: Form, natural: Array, coef: Array) -> Array:
    """Full parameter vectors (S, parameters) from non-linear ones and the kernel's coefficients."""
    out = np.empty((len(natural), len(form.parameters)))
    shape, amplitude = 0, 1 if form.floor else 0
    for i, q in enumerate(form.parameters):
        if q.role == "shape":
            out[:, i] = natural[:, shape]
            shape += 1
        elif q.role == "floor":
            out[:, i] = coef[:, 0]
        else:
            out[:, i] = coef[:, amplitude]
            amplitude += 1
    return out


def basis_at(form: Form, x: Array, lx: Array, natural: Array) -> tuple[Array, Array]:
    """Columns and their derivatives for a batch of non-linear parameters in natural units."""
    assert form.basis is not None
    with np.errstate(all="ignore"):
        return form.basis(x, lx, natural)


def linearised(form: Form, x: Array, params: Array) -> tuple[Array, Array]:
    """Values (m, n) and Jacobians (m, n, p) of a separable form at several sets of parameters (m, p)."""
    at = {
        role: [i for i, q in enumerate(form.parameters) if q.role == role] for role in ("amplitude", "shape", "floor")
    }
    phi, dphi = basis_at(form, x, safe_log(x), params[:, at["shape"]])
    amplitude = params[:, at["amplitude"]]
    jac = np.empty((len(params), x.size, params.shape[1]))
    jac[:, :, at["amplitude"]] = phi.transpose(0, 2, 1)
    jac[:, :, at["shape"]] = np.einsum("ms,mpsn->mnp", amplitude, dphi)
    jac[:, :, at["floor"]] = 1.0
    return np.einsum("ms,msn->mn", amplitude, phi) + params[:, at["floor"]].sum(axis=1, keepdims=True), jac


def bins_of(x: Array, count: int) -> NDArray[np.int64]:
    """Label 0, 1, … of each point in about `count` bins: half equally filled, half equally wide in log x."""
    if x.size <= count:
        return np.arange(x.size)
    lx = np.log(np.maximum(x, 0.5 * span_of(x)[0]))
    filled = np.quantile(lx, np.linspace(0, 1, count // 2 + 1)[1:-1])
    wide = np.linspace(lx.min(), lx.max(), count // 2 + 1)[1:-1]
    label = np.searchsorted(np.union1d(filled, wide), lx)
    return np.asarray(np.unique(label, return_inverse=True)[1], dtype=np.int64)


def _condense(x: Array, y: Array, w: Array) -> tuple[Array, Array, Array]:
    """Average long curves into bins, for ranking starts only."""
    if x.size <= 2 * _GRID_POINTS:
        return x, y, w
    label = bins_of(x, _GRID_POINTS)
    size = int(label.max()) + 1
    total: Array = np.stack([np.bincount(label, row, size) for row in w]).astype(float)
    mean = np.stack([np.bincount(label, row, size) for row in w * y]) / np.maximum(total, 1e-300)
    center: Array = np.bincount(label, x, size) / np.bincount(label, minlength=size)
    return center, mean, total


def _grid_starts(form: Form, x: Array, y: Array, w: Array) -> Array:
    """Starting values from the form's grid, (B, starts, p) in the solver's coordinates.

    The best local minima of the RSS; where a location on the axis is among the parameters (the RSS then has a minimum
    between any two points), the best grid point for every location.
    """
    from cogfit._kernels import grid_rss

    axes = _axes(form, x)
    mesh = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=1)
    natural, _ = natural_of(form, mesh)
    lx, root, bounds = safe_log(x), np.sqrt(w), _linear_bounds(form)
    width = max(1, _CHUNK // x.size)
    pieces = []
    for at in range(0, len(natural), width):
        phi, _ = basis_at(form, x, lx, natural[at : at + width])
        pieces.append(grid_rss(phi, form.floor is not None, y, root, bounds))
    rss = np.concatenate(pieces, axis=1)
    table = rss.reshape(len(y), *(g.size for g in axes))
    location = _location(form)
    if location is not None:
        cells = np.moveaxis(np.arange(rss.shape[1]).reshape(table.shape[1:]), location, 0)
        chosen = [at[np.argmin(rss[:, at], axis=1)] for at in cells.reshape(len(cells), -1)]
        return np.asarray(mesh[np.stack(chosen, axis=1)])
    local = table <= _lowest_nearby(table)
    ranked = np.where(local, table, np.inf).reshape(len(y), -1)
    best = np.argsort(ranked, axis=1, kind="stable")[:, :_STARTS]
    worth = np.take_along_axis(ranked, best, axis=1)
    return np.asarray(mesh[np.where(np.isfinite(worth), best, best[:, :1])])


def _lowest_nearby(table: Array) -> Array:
    """Least value among each cell and its neighbours, diagonal ones included, on all axes but the first."""
    out = table
    for axis in range(1, table.ndim):
        ahead, behind = (np.take(out, np.arange(out.shape[axis]) + shift, axis, mode="clip") for shift in (1, -1))
        out = np.minimum(np.minimum(out, ahead), behind)
    return out


def _location(form: Form) -> int | None:
    """Which non-linear parameter is a location on the axis, if any."""
    return next((j for j, q in enumerate(form.shape) if q.interior), None)


def safe_log(x: Array) -> Array:
    """Logarithm with −inf at 0 and no warning."""
    with np.errstate(divide="ignore"):
        return np.log(x)


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def solve(
    form: Form,
    x: Array,
    y: Array,
    w: Array,
    *,
    starts: Array | None = None,
    fixed: Mapping[str, Array] | None = None,
    tolerance: float = 1e-13,
    errors: Arma = WHITE,
    quick: bool = False,
) -> Batch:
    """Least squares for a batch of curves that share their x.

    Parameters
    ----------
    form : Form
        A separable form.
    x : ndarray, shape (n,)
        In the form's domain.
    y, w : ndarray, shape (batch, n)
        Values and weights (variance σ²/w).
    starts : ndarray, shape (batch, starts, p), optional
        Non-linear parameters, natural units; a grid is searched otherwise.
    fixed : mapping of str to ndarray of shape (batch,), optional
        Non-linear parameters held at given values (for profiles). Needs `starts`.
    tolerance : float
        Relative decrease of the RSS below which a problem has converged.
    errors : Arma
        Of the curves, in the order of the points: generalised least squares, with the RSS that of the innovations.
    quick : bool
        Stop after 14 iterations and do not settle locations between points: for statistics that are computed in the
        same way on the data and on their replicates.

    Returns
    -------
    Batch
    """
    y, w = np.ascontiguousarray(y, dtype=float), np.ascontiguousarray(w, dtype=float)
    if not form.shape:
        coordinates = np.zeros((len(y), 1, 0))
    elif starts is not None:
        coordinates = np.stack([inner(q, starts[:, :, j]) for j, q in enumerate(form.shape)], axis=2)
    else:
        xs, ys, ws = _condense(x, y, w)
        coordinates = _grid_starts(form, xs, ys, ws)
        if xs.size < x.size or coordinates.shape[1] > _STARTS:  # a few steps, on the short curve, sort the starts out
            coarse = _Descent(form, xs, ys, ws, coordinates, {}, 1e-6, WHITE)
            coarse.run(_SORTING)
            order = np.argsort(coarse.rss.reshape(coordinates.shape[:2]), axis=1, kind="stable")[:, :_STARTS]
            coordinates = np.take_along_axis(coarse.theta.reshape(coordinates.shape), order[:, :, None], axis=1)
    descent = _Descent(form, x, y, w, coordinates, fixed or {}, tolerance, errors)
    descent.run(_QUICK if quick else _MAX_ITERATIONS)
    found = descent.best()
    location = None if quick else _location(form)
    if location is not None and form.shape[location].name not in (fixed or {}):
        found = _at_points(form, x, y, w, found, location, tolerance, errors)
    theta, coef, rss, done = found
    natural, _ = natural_of(form, theta)
    return Batch(_assemble(form, natural, coef), rss, done.astype(bool))


def _at_points(
    form: Form,
    x: Array,
    y: Array,
    w: Array,
    found: tuple[Array, ...],
    location: int,
    tolerance: float,
    errors: Arma,
) -> tuple[Array, ...]:
    """Try the points next to a fitted location: the RSS has kinks there, where a smooth descent cannot settle."""
    q = form.shape[location]
    low, high = q.absolute((q.lower, q.upper), x)
    points = np.unique(x[(x >= low) & (x <= high)])
    at = np.searchsorted(points, np.exp(found[0][:, location]) if q.log else found[0][:, location])
    for shift in (-1, 0):
        value = points[np.clip(at + shift, 0, points.size - 1)]
        descent = _Descent(form, x, y, w, found[0][:, None, :], {q.name: value}, tolerance, errors)
        descent.run()
        other = descent.best()
        better = other[2] < found[2]
        found = tuple(
            np.where(better[:, None] if a.ndim > 1 else better, b, a) for a, b in zip(found, other, strict=True)
        )
    return found


class _Descent:
    """Levenberg–Marquardt on many problems at once; a problem is one start of one curve, in rows curve by curve."""

    def __init__(
        self,
        form: Form,
        x: Array,
        y: Array,
        w: Array,
        coordinates: Array,
        fixed: Mapping[str, Array],
        tolerance: float,
        errors: Arma,
    ) -> None:
        curves, count, p = coordinates.shape
        self.form, self.x, self.lx, self.y, self.tolerance = form, x, safe_log(x), y, tolerance
        self.root, self.linear = np.sqrt(w), _linear_bounds(form)
        self.filter = errors.filter(x.size)
        self.nothing = 1e-30 * np.einsum("bn,bn,bn->b", w, y, y)  # an RSS that is rounding only
        self.which = np.repeat(np.arange(curves), count)
        lower, upper = shape_box(form, x)
        self.low, self.high = np.tile(lower, (curves * count, 1)), np.tile(upper, (curves * count, 1))
        self.theta = np.clip(coordinates.reshape(curves * count, p), lower, upper)
        for j, q in enumerate(form.shape):
            if q.name in fixed:
                held = np.repeat(inner(q, np.asarray(fixed[q.name], dtype=float)), count)
                self.theta[:, j] = self.low[:, j] = self.high[:, j] = held
        self.coef, self.rss = np.zeros((curves * count, 2)), np.full(curves * count, np.inf)
        self.done = np.zeros(curves * count, dtype=bool)

    def run(self, iterations: int = _MAX_ITERATIONS) -> None:
        """Work on all problems, in chunks that fit the cache, on all cores if there are several chunks."""
        width = max(1, _CHUNK // max(self.x.size, 1))
        chunks = [np.arange(at, min(at + width, len(self.theta))) for at in range(0, len(self.theta), width)]
        if len(chunks) < 4:
            for chunk in chunks:
                self._descend(chunk, iterations)
        else:  # kernels and numpy's loops release the interpreter lock; every chunk writes rows of its own
            with ThreadPoolExecutor(_cores()) as pool:
                list(pool.map(self._descend, chunks, [iterations] * len(chunks)))

    def best(self) -> tuple[Array, ...]:
        """Coordinates, linear coefficients, RSS and convergence of each curve's best start."""
        pick = self.rss.reshape(len(self.y), -1).argmin(axis=1)
        pick += np.arange(len(self.y)) * (len(self.rss) // len(self.y))
        return self.theta[pick], self.coef[pick], self.rss[pick], self.done[pick]

    def _terms(self, at: Array, owner: NDArray[np.int64]) -> tuple[Array, Array, Array, Array]:
        """Linear coefficients, RSS, Gauss–Newton matrix and J'r at given coordinates."""
        from cogfit._kernels import normal_terms

        size, p = at.shape
        natural, scale = natural_of(self.form, at)
        phi, dphi = basis_at(self.form, self.x, self.lx, natural)
        out = np.zeros((size, 2)), np.empty(size), np.zeros((size, p, p)), np.zeros((size, p))
        floor = self.form.floor is not None
        normal_terms(phi, dphi, scale, floor, self.y, self.root, owner, self.linear, *self.filter, *out)
        out[1][~np.isfinite(out[1])] = np.inf
        return out

    def _curvature(self, at: Array, owner: NDArray[np.int64], grad: Array, high: Array) -> Array:
        """Full Hessian of ½ RSS by differences of its exact gradient −J'r, made positive definite."""
        size, p = at.shape
        hess = np.empty((size, p, p))
        for j in range(p):
            step = np.where(at[:, j] + _STEP < high[:, j], _STEP, -_STEP)
            moved = at.copy()
            moved[:, j] += step
            hess[:, :, j] = (grad - self._terms(moved, owner)[3]) / step[:, None]
        finite = np.isfinite(hess).all(axis=(1, 2))
        hess[~finite] = np.eye(p)
        value, vector = np.linalg.eigh(0.5 * (hess + hess.transpose(0, 2, 1)))
        value = np.maximum(np.abs(value), 1e-12 * np.abs(value).max(axis=1, keepdims=True))
        return np.asarray(np.einsum("bij,bj,bkj->bik", vector, value, vector))

    def _descend(self, rows: NDArray[np.int64], iterations: int) -> None:
        """Solve some of the problems, each with its own damping, until all have stopped."""
        from cogfit._kernels import damped_step

        here, owner, low, high = self.theta[rows], self.which[rows], self.low[rows], self.high[rows]
        p = here.shape[1]
        c, r, hess, grad = self._terms(here, owner)
        damping = np.full(rows.size, 1e-3)
        live = np.flatnonzero(np.isfinite(r)) if p else np.zeros(0, dtype=np.int64)
        finished = np.full(rows.size, p == 0)
        for iteration in range(iterations):
            if live.size == 0:
                break
            if iteration >= _PATIENCE:  # large residuals: Gauss–Newton crawls where Newton does not
                hess[live] = self._curvature(here[live], owner[live], grad[live], high[live])
            trial = np.empty((live.size, p))
            damped_step(here[live], hess[live], grad[live], damping[live], low[live], high[live], trial)
            moved = np.abs(trial - here[live]).max(axis=1)
            new_c, new_r, new_hess, new_grad = self._terms(trial, owner[live])
            better = new_r < r[live]
            small = np.where(better, r[live] - new_r, 0.0) <= self.tolerance * r[live]
            light = damping[live] <= 1e-2
            ok, bad = live[better], live[~better]
            here[ok], c[ok], r[ok] = trial[better], new_c[better], new_r[better]
            hess[ok], grad[ok] = new_hess[better], new_grad[better]
            damping[ok] = np.maximum(damping[ok] * 0.2, 1e-12)
            damping[bad] *= 8.0
            stop = (moved < 1e-12) | (better & small & light) | (~better & (damping[live] > 1e8))
            stop |= r[live] <= self.nothing[owner[live]]
            finished[live[stop]] = True
            live = live[~stop]
        self.theta[rows], self.coef[rows], self.rss[rows], self.done[rows] = here, c, r, finished

r"""The engine: variable projection for separable forms, many curves.

A built-in form :math:`c + \sum a_i \varphi_i(x; \theta)` is linear in :math:`c, a_i`. These are solved exactly (with
their bounds) for every trial θ, so only one to three coordinates are searched: from a grid of starts, then by
Levenberg–Marquardt in a box. The solver takes a :class:`Bundle` of curves, which may share their x or have each its
own; one curve is a bundle of one, and a profile likelihood or a bootstrap is a bundle, too. Curves are solved one after
the other in compiled code (:mod:`cogfit.native.kernels`) by several threads, and none depends on the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogfit.engine.arma import WHITE, Arma
from cogfit.engine.bins import Axis, bins_of
from cogfit.formulas.form import Array, Form, Parameter, span_of
from cogfit.native import kernels
from cogfit.native.kernels import Box, Curves, Filter, Model

Index = NDArray[np.int64]

PART = 1 << 17
"""Points that a thread takes at a time; of forms with several non-linear parameters, which cost more, a sixteenth."""

_SMALLEST = 1e-300  # of a scale: its logarithm is finite
_SHARES = 6  # parts for each thread, at the least, where a curve costs much
_LEAST = 4_000  # points of a part then: fewer are done before a thread has begun
_GRID_POINTS = 240  # points on which starts are ranked; longer curves are averaged into bins for this only
# Starts followed to the end at the most, of one column and of two: where one of two vanishes, minima end.
_STARTS = (8, 40)
_MAX_ITERATIONS = 200
_QUICK = 14  # iterations before the full Hessians, which cost most
# Points of the grid beyond its range on either side, by the number of non-linear parameters (0, 1, more).
_OUTSIDE = (0, 3, 1)
_HOPE = 50.0  # times its last decrease that a start may have before it when it is given up for a better one
_SORTING = 12  # iterations by which starts are sorted out
_PROFILED = 32  # of the starts along a location, how many with the lowest RSS are followed to the end
_NEAR = 20  # iterations from every start along a location: at kinks the next ones gain little and cost most
_FOLLOWED = 2  # and how many of these starts go on to the end
# Points and middles tried around a location, counted from the nearest: close ones all, further ones with gaps.
_AROUND = (-1, 0, -2, 1, -3, 2, -4, 3, -6, 5, -8, 7, -12, 11, -18, 17)
_AGAIN = 4  # of these, how many best ones are descended from once more
_LOOKS = 6  # around a location at the most
_SAME_PLACE = 1e-2  # distance up to which two starts have come to one place
_SAME_RSS = 1e-5  # and relative difference of their RSS


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


@dataclass(frozen=True)
class Bundle:
    """Curves end to end. They may share an axis, and weights.

    Attributes
    ----------
    x : ndarray
        Points of the distinct axes.
    x_at : ndarray of int, shape (axes + 1,)
        Where each axis begins, and the end.
    axis : ndarray of int, shape (curves,)
        Axis of each curve.
    y, w : ndarray
        Values and weights (variance σ²/w).
    y_at, w_at : ndarray of int, shape (curves,)
        Where those of each curve begin.
    bins : Axis, optional
        What stands behind the points x, end to end, where they are bins.
    """

    x: Array
    x_at: Index
    axis: Index
    y: Array
    y_at: Index
    w: Array
    w_at: Index
    bins: Axis | None = None

    @classmethod
    def rectangular(cls, x: Array | Axis, y: Array, w: Array) -> Bundle:
        """Curves y (batch, n) on one x (n,). Their weights are w (batch, n)."""
        axis = x if isinstance(x, Axis) else Axis.points(x)
        count, n = y.shape
        begin = np.arange(count) * n
        same = count > 1 and bool((w == w[:1]).all())
        return cls(
            x=axis.x,
            x_at=np.array([0, n]),
            axis=np.zeros(count, dtype=np.int64),
            y=np.ascontiguousarray(y, dtype=float).ravel(),
            y_at=begin,
            w=np.array(w[:1] if same else w, dtype=float).ravel(),
            w_at=np.zeros_like(begin) if same else begin,
            bins=axis if axis.is_binned else None,
        )

    @cached_property
    def size(self) -> Index:
        """Points of each curve, shape (curves,)."""
        return np.asarray(np.diff(self.x_at)[self.axis])

    def parts(self, points: int) -> list[tuple[int, int]]:
        """Ranges (begin, end) of consecutive curves.

        Each has about so many points.
        """
        number = (np.cumsum(self.size) - self.size) // points
        edges = [*np.flatnonzero(np.diff(number, prepend=-1)).tolist(), self.axis.size]
        return list(pairwise(edges))

    def least(self, values: Array) -> Array:
        """Least value on every axis, (axes,).

        inf on one without points.
        """
        has_points = np.diff(self.x_at) > 0
        out = np.full(has_points.size, np.inf)
        if has_points.any():
            out[has_points] = np.minimum.reduceat(values, self.x_at[:-1][has_points])
        return out

    def spans(self, interior: bool = False) -> tuple[Array, Array]:
        """Ends of every axis, (axes,) each.

        As :func:`~cogfit.formulas.form.span_of` has them for one.
        """
        if interior:
            spans = [span_of(self.x[a:b], True) for a, b in pairwise(self.x_at)]
            return np.array([low for low, _ in spans]), np.array([high for _, high in spans])
        low = self.least(np.where(self.x > 0.0, self.x, np.inf))
        high = -self.least(-self.x)
        has_any = np.isfinite(low)
        return np.where(has_any, low, 1.0), np.where(has_any, high, 1.0)

    def in_units(self, x: Array, y: Array) -> Bundle:
        """The same curves in units of their own.

        Those of x are (axes,), those of y (curves,).
        """
        assert self.bins is None
        size = self.size
        begin = np.cumsum(size) - size
        with np.errstate(all="ignore"):  # values of curves that are left out may be anything
            axes = self.x / np.repeat(x, np.diff(self.x_at))
            if size.size and np.all(size == size[0]) and np.array_equal(self.y_at - self.y_at[0], begin):
                block = self.y[self.y_at[0] : self.y_at[0] + size.size * size[0]]  # one after the other: no gathering
                values = (block.reshape(size.size, size[0]) / y[:, None]).ravel()
            else:
                points = np.arange(int(size.sum())) + np.repeat(self.y_at - begin, size)
                values = self.y[points] / np.repeat(y, size)
        return replace(self, x=axes, y=values, y_at=begin)

    def take(self, rows: Index) -> Bundle:
        """Some of the curves. Their values are shared, not copied."""
        return replace(self, axis=self.axis[rows], y_at=self.y_at[rows], w_at=self.w_at[rows])


# ---------------------------------------------------------------------------- coordinates of the solver


def inner(parameter: Parameter, value: Array | float) -> Array:
    """Value of a parameter in the solver's coordinate.

    Its logarithm, for scales and some others.
    """
    value = np.asarray(value, dtype=float)
    return np.asarray(np.log(np.maximum(value, _SMALLEST))) if parameter.in_logs else value


def bounds_of(form: Form, x: Array) -> tuple[Array, Array]:
    """Bounds of all parameters on an axis, natural units.

    Two arrays of shape (p,): lower and upper.
    """
    pairs = [q.absolute((q.lower, q.upper), x) for q in form.parameters]
    return np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])


def bounds_on(form: Form, bundle: Bundle) -> tuple[Array, Array]:
    """Bounds of all parameters on every axis, (axes, p) each."""
    low, high = np.empty((2, bundle.x_at.size - 1, len(form.parameters)))
    spans = {interior: bundle.spans(interior) for interior in {q.interior for q in form.parameters}}
    for j, q in enumerate(form.parameters):
        low[:, j], high[:, j] = q.scaled((q.lower, q.upper), spans[q.interior])
    return low, high


def shape_box(form: Form, x: Array) -> tuple[Array, Array]:
    """Bounds of the non-linear parameters in the solver's coordinates."""
    pairs = [q.absolute((q.lower, q.upper), x) for q in form.shape]
    lower = np.array([float(inner(q, pair[0])) for q, pair in zip(form.shape, pairs, strict=True)])
    upper = np.array([float(inner(q, pair[1])) for q, pair in zip(form.shape, pairs, strict=True)])
    return lower, upper


def natural_of(form: Form, theta: Array) -> tuple[Array, Array]:
    """Non-linear parameters in natural units, with chain factors.

    The factors are d natural / d coordinate; both have shape (S, p).
    """
    logs = np.array([q.in_logs for q in form.shape], dtype=bool)
    natural = np.where(logs, np.exp(np.where(logs, theta, 0.0)), theta)
    return natural, np.where(logs, natural, 1.0)


def assemble(form: Form, natural: Array, coef: Array) -> Array:
    """Full parameter vectors (S, parameters).

    They join non-linear parameters in natural units and the kernel's coefficients.
    """
    out = np.empty((len(natural), len(form.parameters)))
    next_shape, next_amplitude = 0, 1 if form.floor else 0
    for i, q in enumerate(form.parameters):
        if q.role == "shape":
            out[:, i] = natural[:, next_shape]
            next_shape += 1
        elif q.role == "floor":
            out[:, i] = coef[:, 0]
        else:
            out[:, i] = coef[:, next_amplitude]
            next_amplitude += 1
    return out


def linearised(form: Form, axis: Axis, params: Array) -> tuple[Array, Array]:
    """Values and Jacobians of a separable form.

    They are taken at several sets of parameters (m, p) and have shapes (m, n) and (m, n, p).
    """
    positions = {
        role: [i for i, q in enumerate(form.parameters) if q.role == role] for role in ("amplitude", "shape", "floor")
    }
    nodes = axis.nodes.ravel()
    phi, dphi = (axis.mean(v) for v in form.columns(nodes, safe_log(nodes), params[:, positions["shape"]]))
    amplitude = params[:, positions["amplitude"]]
    jac = np.empty((len(params), axis.x.size, params.shape[1]))
    jac[:, :, positions["amplitude"]] = phi.transpose(0, 2, 1)
    jac[:, :, positions["shape"]] = np.einsum("ms,mpsn->mnp", amplitude, dphi)
    jac[:, :, positions["floor"]] = 1.0
    return np.einsum("ms,msn->mn", amplitude, phi) + params[:, positions["floor"]].sum(axis=1, keepdims=True), jac


def safe_log(x: Array) -> Array:
    """Logarithm with −inf at 0, NaN below, and no warning."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(x)


# ------------------------------------------------------------------------------------------------- the solver


def most_starts(form: Form) -> int:
    """How many starts of a curve are followed at most."""
    return _STARTS[len(form.amplitudes) > 1]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # the cores that this process may use, where the system tells
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _part_size(form: Form, bundle: Bundle, threads: int | None) -> int:
    """Points that a thread takes at a time.

    Forms with several non-linear parameters cost so much that threads should end together, however few the curves are.
    """
    if len(form.shape) < 2:
        return PART
    share = int(bundle.size.sum()) // (_SHARES * (threads or _cores()))
    return min(PART // 16, max(_LEAST, share))


def in_threads(task: Callable[[int, int], Any], parts: list[tuple[int, int]], threads: int | None = None) -> list[Any]:
    """Run a task on every range (begin, end), in order.

    Several ranges are spread over all cores.

    Compiled code releases the interpreter lock. The threads end with the call, so that a fork finds none.
    """
    workers = min(len(parts), threads or _cores())
    if workers < 2:
        return [task(*part) for part in parts]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda part: task(*part), parts))


def solve(
    form: Form,
    x: Array | Axis,
    y: Array,
    w: Array,
    *,
    starts: Array | None = None,
    fixed: Mapping[str, Array] | None = None,
    tolerance: float = 1e-13,
    errors: Arma = WHITE,
    quick: bool = False,
) -> Batch:
    """Least squares for curves that share their x.

    Parameters
    ----------
    form : Form
        A separable form.
    x : ndarray, shape (n,), or Axis
        In the form's domain.
    y, w : ndarray, shape (batch, n)
        Values and weights (variance σ²/w).
    starts, fixed, tolerance, errors, quick
        See :func:`solve_bundle`.

    Returns
    -------
    Batch
    """
    bundle = Bundle.rectangular(x, y, w)
    return solve_bundle(form, bundle, starts=starts, fixed=fixed, tolerance=tolerance, errors=errors, quick=quick)


def solve_bundle(
    form: Form,
    bundle: Bundle,
    *,
    starts: Array | None = None,
    fixed: Mapping[str, Array] | None = None,
    tolerance: float = 1e-13,
    errors: Arma = WHITE,
    quick: bool = False,
    threads: int | None = None,
) -> Batch:
    """Least squares for a bundle of curves.

    Parameters
    ----------
    form : Form
        A separable form.
    bundle : Bundle
        Every x in the form's domain.
    starts : ndarray, shape (curves, starts, p), optional
        Non-linear parameters, natural units; a grid is searched otherwise.
    fixed : mapping of str to ndarray of shape (curves,), optional
        Non-linear parameters held at given values (for profiles). Needs `starts`.
    tolerance : float
        Relative decrease of the RSS below which a problem has converged.
    errors : Arma
        Of the curves, in the order of the points: generalised least squares, with the RSS that of the innovations. All
        curves must then have one length.
    quick : bool
        Stop after 14 iterations and do not settle locations between points: for statistics that are computed in the
        same way on the data and on their replicates.
    threads : int, optional
        The most that work at once; by default as many as there are cores.

    Returns
    -------
    Batch
    """
    if bundle.axis.size == 0:
        return Batch(np.empty((0, len(form.parameters))), np.empty(0), np.empty(0, dtype=bool))
    search = _Search.for_bundle(form, bundle, tolerance, errors, _QUICK if quick else _MAX_ITERATIONS)
    held = np.full((bundle.axis.size if fixed else 0, len(form.shape)), np.nan)
    for name, values in (fixed or {}).items():
        at = [q.name for q in form.shape].index(name)
        held[:, at] = inner(form.shape[at], np.asarray(values, dtype=float))

    def task(begin: int, end: int) -> tuple[Array, ...]:
        own_starts = None if starts is None else starts[begin:end]
        return search.part(begin, end, own_starts, held[begin:end], settle=not quick)

    results = in_threads(task, bundle.parts(_part_size(form, bundle, threads)), threads)
    theta, coef, rss, done = (np.concatenate(parts) for parts in zip(*results, strict=True))
    natural, _ = natural_of(form, theta)
    return Batch(assemble(form, natural, coef), rss, done)


@dataclass(frozen=True)
class _Search:
    """A form on a bundle, as the kernels need it.

    It holds all but the range of curves that they work on.
    """

    form: Form
    bundle: Bundle
    model: Model
    curves: Curves  # the bundle, as the kernels take it
    box: Box  # of the non-linear parameters, in the solver's coordinates
    grid: Box  # the same of the grid of starts
    errors: Arma
    tolerance: float
    iterations: int

    @classmethod
    def for_bundle(cls, form: Form, bundle: Bundle, tolerance: float, errors: Arma, iterations: int) -> _Search:
        box, grid = (Box(low, high) for low, high in search_ranges(form, bundle))
        return cls(form, bundle, model_of(form), curves_of(bundle), box, grid, errors, tolerance, iterations)

    @cached_property
    def whitening(self) -> Filter:
        """What whitens the errors."""
        return Filter(*self.errors.filter(0 if self.errors.white else int(self.bundle.size[0])))

    @cached_property
    def _start_grid(self) -> tuple[Array, tuple[int, ...]]:
        """See :func:`start_grid`."""
        return start_grid(self.form)

    @cached_property
    def _location(self) -> int:
        """Index of the parameter that is a location. −1 where none is."""
        return next((j for j, q in enumerate(self.form.shape) if q.interior), -1)

    @property
    def _may_race(self) -> bool:
        """Whether starts may be given up before the end.

        Not along locations: at its kinks the RSS decreases as if it were done. Nor with two amplitudes: where one of
        them vanishes, minima end, and 7 of 2,900 fits of two processes to hard data ended above the best.
        """
        return self._location < 0 and len(self.form.amplitudes) < 2

    @property
    def _spread(self) -> int:
        """Index of the parameter along which starts are spread.

        Each of its values on the grid gives one or two starts. −1: the local minima do.

        A location, where there is one, for the RSS has a minimum between any two points; else, of several parameters,
        the scale with the most values: local minima of a coarse grid miss narrow valleys.
        """
        if self._location >= 0 or len(self.form.shape) < 2:
            return self._location
        return max(range(len(self.form.shape)), key=lambda j: self.form.shape[j].log * self.form.shape[j].grid[2])

    def part(self, begin: int, end: int, starts: Array | None, held: Array, *, settle: bool) -> tuple[Array, ...]:
        """Solve the curves begin … end − 1.

        Coordinates, linear coefficients, RSS and convergence.

        `held` (curves, p) holds parameters at a value where it is not NaN; no rows: none.
        """
        p, count, curvature = len(self.form.shape), end - begin, None
        if p == 0:
            theta, counts = np.zeros((count, 1, 0)), np.ones(count, dtype=np.int64)
        elif starts is not None:
            theta = np.stack([inner(q, starts[:, :, j]) for j, q in enumerate(self.form.shape)], axis=2)
            counts = np.full(count, starts.shape[1])
        else:
            theta, counts, curvature = self._grid_starts(begin, end)
        location = self._location
        if not settle:
            return self._best(begin, end, theta, counts, held, curvature)
        if location < 0 or (len(held) and np.isfinite(held[0, location])):
            return self._without_floor(begin, end, self._best(begin, end, theta, counts, held, curvature), held)
        theta, counts = self._narrowed(begin, end, theta, counts, held)
        return self._settle(begin, end, self._best(begin, end, theta, counts, held), location, held)

    def _without_floor(self, begin: int, end: int, best: tuple[Any, ...], held: Array) -> tuple[Any, ...]:
        """Go on from where a floor is 0, its bound, first without it.

        There the RSS of several parameters has a kink, along which steps crawl. Without a floor there is none, and the
        RSS is nowhere lower: this reaches the minimum along the bound, from which one may go on to a lower one.
        """
        is_stuck = np.isfinite(best[2]) & (~best[3] | (best[1][:, 0] == 0.0))
        if self.form.floor is None or len(self.form.shape) < 2 or not is_stuck.any():
            return best
        theta, once = best[0][:, None].copy(), is_stuck.astype(np.int64)
        plain = replace(self, model=replace(self.model, has_floor=False, bounded=self.model.bounded >> 1))
        plain.descend(begin, end, theta, once, held)
        return _better(best, self._best(begin, end, theta, once, held))

    def _narrowed(self, begin: int, end: int, theta: Array, counts: Index, held: Array) -> tuple[Array, Index]:
        """Leave the best starts, after some iterations."""
        theta = np.ascontiguousarray(theta)
        few = replace(self, iterations=min(self.iterations, _NEAR))
        _, rss, _ = few.descend(begin, end, theta, counts, held)
        lowest = np.argsort(rss, axis=1, kind="stable")[:, :_FOLLOWED]
        return np.take_along_axis(theta, lowest[:, :, None], axis=1), np.minimum(counts, _FOLLOWED)

    def _best(
        self, begin: int, end: int, theta: Array, counts: Index, held: Array, curvature: Array | None = None
    ) -> tuple[Array, ...]:
        """Best result over the starts of each curve.

        The first `counts` of theta (curves, starts, p) are used.
        """
        theta = np.ascontiguousarray(theta)
        wanted = 1 if self._may_race else None
        coef, rss, done = self.descend(begin, end, theta, counts, held, curvature=curvature, wanted=wanted, hope=_HOPE)
        pick = np.arange(end - begin), rss.argmin(axis=1)
        return theta[pick], coef[pick], rss[pick], done[pick]

    def descend(
        self,
        begin: int,
        end: int,
        theta: Array,
        counts: Index,
        held: Array,
        *,
        curvature: Array | None = None,
        location: int = -1,
        wanted: int | None = None,
        hope: float = 10.0,
    ) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Descend from every start.

        Coefficients, RSS and convergence; theta (curves, starts, p) becomes the solutions. For the options see
        :func:`cogfit.native.kernels.descend`.
        """
        return kernels.descend(
            self.model,
            self.curves,
            begin,
            end,
            box=self.box,
            held=held,
            whitening=self.whitening,
            tolerance=self.tolerance,
            iterations=self.iterations,
            theta=theta,
            counts=counts,
            curvature=curvature,
            location=location,
            wanted=wanted,
            hope=hope,
        )

    def _grid_starts(self, begin: int, end: int) -> tuple[Array, Index, Array | None]:
        """Starting values from the form's grid.

        Coordinates (curves, starts, p), how many there are of each curve, and the curvatures there, if they are known.

        Of one parameter the best local minima of the RSS, of several the two best points for each value of one of them
        (:attr:`_spread`). On long curves, and where there are many starts, a few steps on a shorter curve sort them
        out: with locations held, for the RSS has kinks along these.
        """
        form, long = self.form, (self.bundle.size[begin:end] > 2 * _GRID_POINTS) & (self.bundle.bins is None)
        search, first, last = self, begin, end
        if long.any():
            search = _Search.for_bundle(form, _condensed(self.bundle, begin, end), 1e-6, WHITE, _SORTING)
            first, last = 0, end - begin
        theta, counts, curvature = search._ranked_grid(first, last)
        kept = most_starts(form)
        unsorted = long | (counts > kept)
        if not unsorted.any():
            return theta, counts, curvature

        # a few steps from every start, then the best of them; where there are few starts, these in their order
        sorter = replace(search, tolerance=1e-6, errors=WHITE, iterations=_SORTING)
        used = np.where(unsorted, counts, 0)
        if self._location >= 0:
            rss, preferred = sorter._profile(first, last, theta, used)
        else:
            wanted = kept if self._may_race else None
            _, rss, _ = sorter.descend(first, last, theta, used, np.empty((0, theta.shape[2])), wanted=wanted)
            preferred = np.ones(rss.shape, dtype=bool)
        rss[~unsorted] = np.arange(theta.shape[1])
        order = np.lexsort((rss, ~preferred & unsorted[:, None]), axis=1)[:, :kept]
        theta, rss = np.take_along_axis(theta, order[:, :, None], axis=1), np.take_along_axis(rss, order, axis=1)
        return *_different(theta, rss, np.minimum(counts, kept), unsorted), None

    def _ranked_grid(self, begin: int, end: int) -> tuple[Array, Index, Array]:
        """Best points of the grid, not descended from yet."""
        mesh, sizes = self._start_grid
        return kernels.grid_starts(
            self.model,
            self.curves,
            begin,
            end,
            mesh=mesh,
            sizes=sizes,
            spread=self._spread,
            grid=self.grid,
            box=self.box,
        )

    def _profile(self, begin: int, end: int, theta: Array, counts: Index) -> tuple[Array, NDArray[np.bool_]]:
        """RSS of starts (curves, starts) with their locations held.

        Returns which starts to prefer, too: local minima, second starts.

        theta becomes the solutions.
        """
        most, none = theta.shape[1], np.empty((0, theta.shape[2]))
        _, rss, _ = self.descend(begin, end, theta, counts, none, location=self._location, wanted=_PROFILED)
        around = np.pad(rss, ((0, 0), (1, 1)), constant_values=np.inf)
        is_minimum = (rss <= around[:, 2:]) & (rss <= around[:, :-2])
        return rss, (is_minimum | (np.arange(most) >= most // 2)) & np.isfinite(rss)

    def _settle(self, begin: int, end: int, best: tuple[Array, ...], location: int, held: Array) -> tuple[Array, ...]:
        """Look around a fitted location for a better one.

        Where another parameter lies at a bound, the RSS hardly changes with the location, and the best one may be far:
        there one looks around again from each better place.
        """
        waiting = np.ones(end - begin, dtype=bool)
        low, high = (edge[self.bundle.axis[begin:end]] for edge in (self.box.low, self.box.high))
        others = np.arange(low.shape[1]) != location
        for _ in range(_LOOKS):
            before = best[2]
            best = self._look_around(begin, end, best, location, held, waiting)
            is_at_bound = (((best[0] <= low) | (best[0] >= high)) & others).any(axis=1)
            waiting = is_at_bound & (best[2] < before)
            if not waiting.any():
                break
        return best

    def _look_around(
        self, begin: int, end: int, best: tuple[Array, ...], location: int, held: Array, waiting: NDArray[np.bool_]
    ) -> tuple[Array, ...]:
        """Try points around a fitted location, and middles between.

        The RSS has kinks at the points, and minima in between.

        From the best of them the descents go on. Curves that are not `waiting` stay as they are.
        """
        q, c, count = self.form.shape[location], self.bundle, end - begin
        value = np.exp(best[0][:, location]) if q.in_logs else best[0][:, location]
        tried = np.tile(value, (len(_AROUND), 1))
        for axis in np.unique(c.axis[begin:end][waiting]):
            x = c.x[c.x_at[axis] : c.x_at[axis + 1]]
            low, high = q.absolute((q.lower, q.upper), x)
            points = np.unique(x[(x >= low) & (x <= high)])
            points = np.unique(np.concatenate([points, 0.5 * (points[1:] + points[:-1])]))
            on_axis = c.axis[begin:end] == axis
            at = np.searchsorted(points, value[on_axis]) + np.array(_AROUND)[:, None]
            tried[:, on_axis] = points[np.clip(at, 0, points.size - 1)]
        # the other parameters are fitted at each place; from the best places all go on together
        theta = np.repeat(best[0][:, None, :], len(_AROUND), axis=1)
        theta[:, :, location] = inner(q, tried).T
        tries = len(_AROUND) * waiting
        coef, rss, done = self.descend(begin, end, theta, tries, held, location=location, wanted=_AGAIN, hope=_HOPE)
        lowest = np.arange(count)[:, None], np.argsort(rss, axis=1, kind="stable")[:, :_AGAIN]
        first = np.arange(count), lowest[1][:, 0]
        tried_best = theta[first], coef[first], rss[first], done[first]
        gone_on = self._best(begin, end, theta[lowest], _AGAIN * waiting, held)
        return _better(_better(best, tried_best), gone_on)


def _better(best: tuple[Any, ...], attempt: tuple[Any, ...]) -> tuple[Any, ...]:
    """Of two results of each curve, the one with the lower RSS."""
    lower = attempt[2] < best[2]
    return tuple(np.where(lower[:, None] if a.ndim > 1 else lower, b, a) for a, b in zip(best, attempt, strict=True))


def curves_of(c: Bundle) -> Curves:
    """A bundle as the kernels take it."""
    with np.errstate(invalid="ignore"):  # values of curves that are left out may be anything
        x, share = (c.x, None) if c.bins is None else (c.bins.nodes, c.bins.share)
        return Curves(x, safe_log(x), c.x_at, c.axis, c.y, c.y_at, np.sqrt(c.w), c.w_at, share)


def model_of(form: Form) -> Model:
    """A form as the kernels take it."""
    assert form.basis is not None
    ordered = ([form.floor] if form.floor else []) + list(form.amplitudes)
    bounded = sum(1 << i for i, q in enumerate(ordered) if q.lower == 0.0)
    logs = sum(1 << i for i, q in enumerate(form.shape) if q.in_logs)
    number = kernels.basis_numbers()[form.basis]
    return Model(number, len(form.amplitudes), len(form.shape), form.floor is not None, bounded, logs)


def _different(theta: Array, rss: Array, counts: Index, unsorted: NDArray[np.bool_]) -> tuple[Array, Index]:
    """Leave out starts that come to the same place.

    The first of them stays.
    """
    most = theta.shape[1]
    same = np.zeros(rss.shape, dtype=bool)
    with np.errstate(invalid="ignore"):
        for s in range(1, most):
            is_near = np.abs(theta[:, :s] - theta[:, s : s + 1]).max(axis=2) <= _SAME_PLACE
            is_alike = np.abs(rss[:, :s] - rss[:, s : s + 1]) <= _SAME_RSS * rss[:, :s]
            same[:, s] = (is_near & is_alike & ~same[:, :s]).any(axis=1)
    same |= np.arange(most) >= counts[:, None]
    same[~unsorted] = np.arange(most) >= counts[~unsorted, None]
    order = np.argsort(same, axis=1, kind="stable")
    return np.take_along_axis(theta, order[:, :, None], axis=1), (~same).sum(axis=1)


def start_grid(form: Form) -> tuple[Array, tuple[int, ...]]:
    """Grid of starts, (G, p), and its size by parameter.

    A coordinate runs from 0 to 1 over the range of the grid, and from there to −1 and 2 at the bounds, where these are
    further out: what is best on a plateau, and the limiting cases of a form, lie there.
    """
    ticks = []
    outside = _OUTSIDE[min(len(form.shape), 2)]
    for q in form.shape:
        beyond = np.arange(1.0, outside + 1.0) / outside
        low, high = (beyond[: outside * is_wanted] for is_wanted in (q.lower < q.grid[0], q.upper > q.grid[1]))
        ticks.append(np.concatenate([-low[::-1], np.linspace(0.0, 1.0, q.grid[2]), 1.0 + high]))
    mesh = np.meshgrid(*ticks, indexing="ij")
    return np.ascontiguousarray(np.stack([t.ravel() for t in mesh], axis=1)), tuple(t.size for t in ticks)


def search_ranges(form: Form, bundle: Bundle) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Box and range of the start grid on every axis.

    They are those of the non-linear parameters, low and high, (axes, p) each.
    """
    spans: dict[bool, Any] = {}
    out = np.empty((2, 2, bundle.x_at.size - 1, len(form.shape)))
    for j, q in enumerate(form.shape):
        if q.unit in ("x", "1/x") and q.interior not in spans:
            spans[q.interior] = bundle.spans(q.interior)
        for i, pair in enumerate(((q.lower, q.upper), q.grid[:2])):
            for k, value in enumerate(q.scaled(pair, spans.get(q.interior, (1.0, 1.0)))):
                out[i, k, :, j] = inner(q, value)
    return (out[0, 0], out[0, 1]), (out[1, 0], out[1, 1])


def _condensed(bundle: Bundle, begin: int, end: int) -> Bundle:
    """Average long curves into bins, for ranking starts only.

    The curves begin … end − 1.
    """
    used, axis = np.unique(bundle.axis[begin:end], return_inverse=True)
    axes: list[Array] = []
    means: list[Array] = []
    weights: list[Array] = []
    y_at, w_at = np.empty_like(axis), np.empty_like(axis)
    for number, original in enumerate(used):
        x = bundle.x[bundle.x_at[original] : bundle.x_at[original + 1]]
        label = bins_of(x, _GRID_POINTS) if x.size > 2 * _GRID_POINTS else np.arange(x.size)
        size = int(label.max()) + 1
        axes.append(np.bincount(label, x, size) / np.bincount(label, minlength=size))
        curves = np.flatnonzero(axis == number)
        begins = bundle.w_at[begin + curves]
        shared = bool((begins == begins[0]).all())
        mean, total = kernels.bin_means(label, size, bundle.y, bundle.y_at[begin + curves], bundle.w, begins)
        y_at[curves] = sum(v.size for v in means) + np.arange(curves.size) * size
        w_at[curves] = sum(v.size for v in weights) + (0 if shared else np.arange(curves.size) * size)
        means.append(mean.ravel())
        weights.append(total[: 1 if shared else None].ravel())
    x_at = np.concatenate([[0], np.cumsum([x.size for x in axes])])
    return Bundle(np.concatenate(axes), x_at, axis, np.concatenate(means), y_at, np.concatenate(weights), w_at)

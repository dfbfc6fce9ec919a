"""The kernels of the separable solver, with Python's types.

Curves come end to end (:class:`Curves`), a form as a :class:`Model`. Each call works on a range of curves
``begin … end − 1`` and lets other threads run; results of a curve do not depend on the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import c_char_p, c_double, c_int64, c_void_p
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cogfit.native.arrays import Array, address
from cogfit.native.library import kernel

Index = NDArray[np.int64]
Flags = NDArray[np.bool_]
Kinds = NDArray[np.uint8]
_Arrays = TypeVar("_Arrays")

_BLOCK = 32  # curves that the grid ranks together
_WIDEST = 8  # doubles in a vector, at the most: rows in the workspace are padded to whole vectors
_GRID_STARTS = 4  # local minima of a grid that become starts
_DESCENT_ROWS = 19  # rows of points that a kernel needs as its workspace
_SUMMARY_ROWS = 18
_START_SIZE = 25  # numbers that are kept of a start
_MOST_ORDER = 64  # of ARMA errors

_MODEL = (c_int64,) * 4
_CURVES = (*(c_void_p,) * 9, c_int64, c_int64)
_RANGE = (c_int64,) * 2

_basis_name = kernel("basis_name", c_int64, returns=c_char_p)
_basis_columns = kernel("basis_columns", c_int64, returns=c_int64)
_basis_parameters = kernel("basis_parameters", c_int64, returns=c_int64)
_basis_columns_at = kernel("basis_columns_at", *(c_int64,) * 3, *(c_void_p,) * 5)
_grid_starts = kernel(
    "grid_starts",
    *(*_MODEL, *_CURVES, *_RANGE, c_int64, c_void_p, c_void_p, c_int64),
    *(*(c_void_p,) * 4, c_int64, c_int64, *(c_void_p,) * 5),
)
_descend = kernel(
    "descend",
    *(*_MODEL, *_CURVES, *_RANGE, *(c_void_p,) * 4, c_int64, c_int64, c_void_p, c_void_p, c_void_p),
    *(c_double, c_int64, c_int64, c_double, c_int64, c_int64, *(c_void_p,) * 6),
)
_triangle = kernel("triangle", c_int64, c_int64, c_void_p, c_void_p, c_void_p)
_summaries = kernel("summaries", *_MODEL, *_CURVES, *_RANGE, c_void_p, c_void_p, c_int64, *(c_void_p,) * 6)
_judge = kernel("judge", c_int64, c_int64, c_void_p, c_int64, *(c_void_p,) * 16)
_survey = kernel("survey", c_int64, *(c_void_p,) * 5)
_bin_means = kernel("bin_means", *(c_int64,) * 3, *(c_void_p,) * 7)


def _whole(values: Index) -> int:
    """Address of an array of 64-bit integers without gaps."""
    return address(values, np.int64)


def _flags(values: Flags) -> int:
    """Address of an array of truth values without gaps."""
    return address(values, np.bool_)


def _padded(n: int) -> int:
    return -(-n // _WIDEST) * _WIDEST


def _room(rows: int, n: int, more: int = 0) -> Array:
    """Workspace of so many rows of n points and some numbers more.

    The kernels begin at the first address in it that suits whole vectors.
    """
    return np.empty(rows * _padded(n) + more + _WIDEST)


# ------------------------------------------------------------------------------------------------- what kernels take


@dataclass(frozen=True)
class Model:
    """A separable form.

    Attributes
    ----------
    basis : int
        Number of its basis, see :func:`basis_numbers`.
    columns, parameters : int
        How many linear coefficients (floor excluded) and non-linear parameters it has.
    has_floor : bool
    bounded : int
        Bits: which coefficients, floor first, are bounded by 0.
    logs : int
        Bits: of which non-linear parameters the solver takes the logarithm.
    """

    basis: int
    columns: int
    parameters: int
    has_floor: bool
    bounded: int
    logs: int

    @property
    def arguments(self) -> tuple[int, ...]:
        """What the kernels take."""
        return self.basis, int(self.has_floor), self.bounded, self.logs


@dataclass(frozen=True)
class Curves:
    """Curves end to end. They may share an axis, and weights.

    Attributes
    ----------
    x, log_x : ndarray, shape (points,) or (nodes, points)
        Points of the distinct axes; with several nodes a point is an average over them.
    x_at : ndarray of int, shape (axes + 1,)
        Where each axis begins, and the end.
    axis : ndarray of int, shape (curves,)
        Axis of each curve.
    y, root : ndarray
        Values and roots of the weights.
    y_at, w_at : ndarray of int, shape (curves,)
        Where those of each curve begin.
    share : ndarray, shape (nodes, points), optional
        Weights of the nodes, which add up to 1.
    """

    x: Array
    log_x: Array
    x_at: Index
    axis: Index
    y: Array
    y_at: Index
    root: Array
    w_at: Index
    share: Array | None = None

    @cached_property
    def arguments(self) -> tuple[int, ...]:
        """What the kernels take: the addresses of all arrays."""
        x, y, root = address(self.x), address(self.y), address(self.root)
        x_at, axis, y_at, w_at = (_whole(at) for at in (self.x_at, self.axis, self.y_at, self.w_at))
        nodes, share = (1, x) if self.share is None else (len(self.share), address(self.share))
        return x, address(self.log_x), x_at, axis, y, y_at, root, w_at, share, nodes, self.x.shape[-1]

    @cached_property
    def longest(self) -> int:
        """Points of the longest axis."""
        return int(np.diff(self.x_at).max())


@dataclass(frozen=True)
class Filter:
    """What whitens ARMA errors.

    Attributes
    ----------
    ar : ndarray, shape (m,)
        Coefficients; none: the errors are white.
    gain : ndarray, shape (n, m)
    inverse_root : ndarray, shape (n,)
    """

    ar: Array
    gain: Array
    inverse_root: Array

    @property
    def arguments(self) -> tuple[int, ...]:
        """What the kernels take."""
        if self.ar.size > _MOST_ORDER:
            raise ValueError(f"ARMA errors of order {self.ar.size}: at most {_MOST_ORDER}")
        return self.ar.size, address(self.ar), address(self.gain), address(self.inverse_root)


@dataclass(frozen=True)
class Box:
    """Ranges of the non-linear parameters on every axis.

    Attributes
    ----------
    low, high : ndarray, shape (axes, p)
        In the solver's coordinates.
    """

    low: Array
    high: Array


# ------------------------------------------------------------------------------------------------------- bases


@cache
def basis_numbers() -> dict[str, int]:
    """Numbers of the bases by their names."""
    names: list[bytes] = []
    while (name := _basis_name(len(names))) is not None:
        names.append(name)
    return {name.decode(): number for number, name in enumerate(names)}


def basis_sizes(name: str) -> tuple[int, int]:
    """Columns and non-linear parameters of a basis."""
    number = basis_numbers()[name]
    return _basis_columns(number), _basis_parameters(number)


def basis_columns(name: str, x: Array, log_x: Array, theta: Array) -> tuple[Array, Array]:
    """Columns of a basis and their derivatives.

    They are taken for a batch of non-linear parameters in natural units.

    Parameters
    ----------
    name : str
    x, log_x : ndarray, shape (n,)
    theta : ndarray, shape (batch, p)

    Returns
    -------
    phi : ndarray, shape (batch, s, n)
    dphi : ndarray, shape (batch, p, s, n)
    """
    columns, parameters = basis_sizes(name)
    points, logs, natural = (np.ascontiguousarray(v, dtype=float) for v in (x, log_x, theta))
    if points.ndim != 1 or logs.shape != points.shape or natural.shape != (len(natural), parameters):
        raise ValueError(f"basis '{name}': x {points.shape}, log x {logs.shape}, parameters {natural.shape}")
    phi = np.empty((len(natural), columns, points.size))
    dphi = np.empty((len(natural), parameters, columns, points.size))
    at = (address(v) for v in (points, logs, natural, phi, dphi))
    _basis_columns_at(basis_numbers()[name], points.size, len(natural), *at)
    return phi, dphi


# ------------------------------------------------------------------------------------------------------- the solver


def grid_starts(
    model: Model,
    curves: Curves,
    begin: int,
    end: int,
    *,
    mesh: Array,
    sizes: tuple[int, ...],
    spread: int,
    grid: Box,
    box: Box,
) -> tuple[Array, Index, Array]:
    """Rank a grid and return starts.

    Parameters
    ----------
    mesh : ndarray, shape (G, p)
        It runs from 0 to 1 over the range `grid`, and from there to −1 and 2 at the bounds `box`.
    sizes : tuple of int
        Of the mesh, by parameter.
    spread : int
        A parameter each of whose values gives one or two starts; −1: the local minima do.

    Returns
    -------
    starts : ndarray, shape (curves, most, p)
    counts : ndarray of int, shape (curves,)
        How many starts each curve has.
    curvature : ndarray, shape (curves, most)
        With one parameter, half the second derivative of the RSS by its coordinate; 0 where it is not known.
    """
    (points, p), s, longest = mesh.shape, model.columns, curves.longest
    most = _GRID_STARTS if spread < 0 else 2 * sizes[spread]
    starts, counts = np.zeros((end - begin, most, p)), np.zeros(end - begin, dtype=np.int64)
    curvature = np.zeros((end - begin, most))
    tables = (s + 6) * points + ((s + 1) * points + 2) * _BLOCK + 6 * _WIDEST
    work, chosen = _room(s * points + _BLOCK + 4, longest, tables), np.empty(2 * points + _GRID_STARTS, np.int64)
    dims = np.array(sizes, dtype=np.int64)
    ranges = (address(v) for v in (grid.low, grid.high, box.low, box.high))
    out = (address(starts), _whole(counts), address(curvature), address(work), _whole(chosen))
    head = (*model.arguments, *curves.arguments, begin, end)
    _grid_starts(*head, points, address(mesh), _whole(dims), spread, *ranges, most, longest, *out)
    return starts, counts, curvature


def descend(
    model: Model,
    curves: Curves,
    begin: int,
    end: int,
    *,
    box: Box,
    held: Array,
    whitening: Filter,
    tolerance: float,
    iterations: int,
    theta: Array,
    counts: Index,
    curvature: Array | None = None,
    location: int = -1,
    wanted: int | None = None,
    hope: float = 10.0,
) -> tuple[Array, Array, Flags]:
    """Descend from every start by Levenberg–Marquardt.

    Parameters
    ----------
    held : ndarray, shape (curves, p)
        Holds parameters at a value where it is not NaN; no rows: none.
    theta : ndarray, shape (curves, most, p)
        The starts, which become the solutions.
    counts : ndarray of int, shape (curves,)
        How many starts of each curve are used.
    curvature : ndarray, shape (curves, most), optional
        Of the RSS there, see :func:`grid_starts`.
    location : int
        A parameter that every start holds where it stands; −1: none.
    wanted : int, optional
        Give up starts that will not be among so many with the lowest RSS.
    hope : float
        How many times its last decrease a start is thought to have before it.

    Returns
    -------
    coef : ndarray, shape (curves, most, 2)
    rss : ndarray, shape (curves, most)
        inf where nothing finite was found.
    converged : ndarray of bool, shape (curves, most)
    """
    count, most, _ = theta.shape
    coef, rss = np.zeros((count, most, 2)), np.full((count, most), np.inf)
    done, work = np.zeros((count, most), dtype=bool), _room(_DESCENT_ROWS, curves.longest, _START_SIZE * most)
    out = (address(theta), _whole(counts), address(coef), address(rss), _flags(done), address(work))
    bends = None if curvature is None else address(curvature)
    limits = (address(box.low), address(box.high), address(held) if len(held) else None, bends, location)
    head = (*model.arguments, *curves.arguments, begin, end, *limits, *whitening.arguments)
    _descend(*head, tolerance, iterations, most if wanted is None else wanted, hope, most, curves.longest, *out)
    return coef, rss, done


def joined(parts: Sequence[_Arrays]) -> _Arrays:
    """Join records of arrays, in order."""
    if len(parts) == 1:
        return parts[0]
    return type(parts[0])(*(np.concatenate(arrays) for arrays in zip(*(vars(p).values() for p in parts), strict=True)))


def triangle(rows: Array) -> Array:
    """Triangular factor of a matrix.

    The matrix is given as rows (p, n); the factor is (p, p).
    """
    p, n = rows.shape
    out, work = np.empty((p, p)), _room(p, n)
    _triangle(p, n, address(rows), address(out), address(work))
    return out


@dataclass(frozen=True)
class Summaries:
    r"""What is said of fits from their points.

    Attributes
    ----------
    rss, log_weights : ndarray, shape (curves,)
        The second is Σ log w.
    largest, largest_weighted : ndarray, shape (curves,)
        Largest \|y\| and \|√w y\|.
    triangles : ndarray, shape (curves, parameters, parameters)
        Triangular factors of the weighted Jacobians, 0 in place of what is not finite.
    """

    rss: Array
    log_weights: Array
    largest: Array
    largest_weighted: Array
    triangles: Array


def summaries(model: Model, curves: Curves, begin: int, end: int, params: Array, place: Index) -> Summaries:
    """Summarise fits at given parameters.

    Parameters
    ----------
    params : ndarray, shape (curves, parameters)
    place : ndarray of int, shape (parameters,)
        Numbers the columns of the Jacobian: amplitudes 0, 1, …, then non-linear parameters, then the floor.
    """
    count, size = params.shape
    work = _room(_SUMMARY_ROWS, curves.longest)
    rss, log_weights, largest, largest_weighted = (np.empty(count) for _ in range(4))
    out = Summaries(rss, log_weights, largest, largest_weighted, np.empty((count, size, size)))
    head = (*model.arguments, *curves.arguments, begin, end, address(params), _whole(place), curves.longest)
    filled = (address(v) for v in (*vars(out).values(), work))
    _summaries(*head, *filled)
    return out


_KIND_BITS = {"amplitude": 1, "floor": 2, "shape": 4, "free": 0}
_SCALE_BIT = 8


def kinds_of(parameters: Sequence[tuple[str, bool]]) -> Kinds:
    """What parameters are, as :func:`judge` takes it.

    Their roles, and whether they are scales.
    """
    return np.array([_KIND_BITS[role] | _SCALE_BIT * is_scale for role, is_scale in parameters], dtype=np.uint8)


@dataclass(frozen=True)
class Maxima:
    """Maxima of the likelihoods of curves, not yet judged.

    Attributes
    ----------
    params : ndarray, shape (curves, p)
    triangles : ndarray, shape (curves, p, p)
        Triangular factors of the weighted Jacobians.
    deviance, size : ndarray, shape (curves,)
        Sum of squared deviance residuals, and largest absolute y.
    points : ndarray of int, shape (curves,)
    bounds : Box
        Of all parameters, in natural units, on every axis.
    axis : ndarray of int, shape (curves,)
        Axis of each curve.
    """

    params: Array
    triangles: Array
    deviance: Array
    size: Array
    points: Index
    bounds: Box
    axis: Index


@dataclass(frozen=True)
class Judgement:
    """What the curvature at maxima determines.

    Attributes
    ----------
    at_bound : ndarray of bool, shape (curves, p)
    covariance : ndarray, shape (curves, p, p)
        NaN in the rows of parameters at a bound.
    errors : ndarray, shape (curves, p)
        Standard errors: NaN at a bound, inf for what is not identified.
    loose : ndarray of bool, shape (curves, p)
        Not identified: in the numerical null space, vague by itself, run away to a bound, or one of the `pairs`.
    pairs : ndarray of bool, shape (curves, p, p)
        Of which only a combination is known; the first before the second.
    flat : ndarray of bool, shape (curves,)
        Whether all amplitudes are 0.
    status : ndarray of int8, shape (curves,)
        0: all is determined; 1: a parameter lies at a bound; 2: one is not identified.
    """

    at_bound: Flags
    covariance: Array
    errors: Array
    loose: Flags
    pairs: Flags
    flat: Flags
    status: NDArray[np.int8]


def judge(kinds: Kinds, maxima: Maxima, at_bound: Flags, *, is_dispersed: bool) -> Judgement:
    """Say what the curvature at maxima determines.

    Parameters
    ----------
    kinds : ndarray of uint8, shape (p,)
        See :func:`kinds_of`.
    maxima : Maxima
    at_bound : ndarray of bool, shape (curves, p)
        Parameters that are known to lie at a bound. Those that are found to are added.
    is_dispersed : bool
        Whether the noise has a scale, which is estimated.
    """
    curves, p = maxima.params.shape
    found = Judgement(
        at_bound=at_bound,
        covariance=np.empty((curves, p, p)),
        errors=np.empty((curves, p)),
        loose=np.empty((curves, p), bool),
        pairs=np.empty((curves, p, p), bool),
        flat=np.empty(curves, bool),
        status=np.empty(curves, np.int8),
    )
    bounds = (address(maxima.bounds.low), address(maxima.bounds.high), _whole(maxima.axis))
    given = (address(maxima.triangles), address(maxima.params), *bounds, address(maxima.size))
    work = np.empty(2 * p * p + 4 * p)
    _judge(
        *(curves, p, address(kinds, np.uint8), is_dispersed, *given, address(maxima.deviance), _whole(maxima.points)),
        *(_flags(found.at_bound), address(found.covariance), address(found.errors), _flags(found.loose)),
        *(_flags(found.pairs), _flags(found.flat), address(found.status, np.int8), address(work)),
    )
    return found


def survey(values: Array, at: Index, sizes: Index) -> tuple[Index, Array]:
    """Count what is not finite in runs of values.

    Parameters
    ----------
    values : ndarray
    at, sizes : ndarray of int, shape (runs,)
        Where each run begins, and its length.

    Returns
    -------
    odd : ndarray of int, shape (runs,)
    limits : ndarray, shape (runs, 2)
        Least and largest; they mean nothing where values are not finite.
    """
    odd, limits = np.zeros(at.size, dtype=np.int64), np.zeros((at.size, 2))
    _survey(at.size, address(values), _whole(at), _whole(sizes), _whole(odd), address(limits))
    return odd, limits


def bin_means(label: Index, bins: int, y: Array, y_at: Index, w: Array, w_at: Index) -> tuple[Array, Array]:
    """Weighted means of curves over bins.

    Returns them and the sums of their weights, (curves, bins). label (n,) are the bins 0, 1, … of the points.
    """
    mean, total = np.empty((y_at.size, bins)), np.empty((y_at.size, bins))
    values, weights = (address(y), _whole(y_at)), (address(w), _whole(w_at))
    _bin_means(y_at.size, label.size, bins, _whole(label), *values, *weights, address(mean), address(total))
    return mean, total

"""Arrays as a curve, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cogfit.curves.curve import Clusters, Curve
from cogfit.curves.utilization import Smoothing, in_window, odd_values, smoothing_mark, unsmoothed
from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.records.arrays import as_array, as_numbers


def _vector(name: str, values: Any) -> Array:
    out = as_numbers(name, values)
    if out.ndim != 1:
        raise InputError(f"`{name}` must have one dimension, not shape {out.shape}", hint="one value for each point")
    return out


def array_curve(
    x: Any,
    y: Any,
    *,
    weights: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    axis: str = "x",
    x_min: float | None = None,
    x_max: float | None = None,
    smoothing: Smoothing = None,
) -> Curve:
    """Curve from arrays.

    The arguments are those of :func:`cogfit.fit`.

    Raises
    ------
    InputError
        If the arrays do not fit together or hold what cannot be fitted.
    """
    xs, ys = _vector("x", x), _vector("y", y)
    ws = _weights(ys.size, weights, trials)
    _check(xs, ys, ws)
    if smoothing is not None and groups is not None:
        raise InputError("`smoothing` and `groups` exclude each other", hint="undo the smoothing of each group first")
    if smoothing is not None and smoothing != "unknown":
        order = np.argsort(xs, kind="stable")
        ys = ys.copy()
        ys[order] = unsmoothed(ys[order], smoothing)
    keep = in_window(xs, x_min, x_max)
    if keep.sum() < 2:
        raise InputError("fewer than two points lie in the window", hint="widen `x_min` … `x_max`")
    if groups is not None:
        return _grouped_curve(xs, ys, ws, groups, keep, axis)
    outside = {"outside the window of x": int(np.count_nonzero(~keep))} if not keep.all() else {}
    return Curve(
        x=xs[keep],
        y=ys[keep],
        weights=ws[keep],
        counts=ws[keep] if trials is not None else None,
        axis=axis,
        convention="x as given",
        measure="other",
        smoothing=smoothing_mark(smoothing, ""),
        warnings=tuple(odd_values(xs[keep], ys[keep], "y")),
        left_out=outside,
    )


def _weights(size: int, weights: ArrayLike | None, trials: ArrayLike | None) -> Array:
    """Weight of each point.

    As given, the number of trials, or 1.
    """
    if weights is not None and trials is not None:
        raise InputError("`weights` and `trials` exclude each other", hint="trials are the weights of fractions")
    if weights is not None:
        return _vector("weights", weights)
    if trials is None:
        return np.ones(size)
    counts = _vector("trials", trials)
    if np.any(counts != np.rint(counts)):
        raise InputError("`trials` must be whole numbers")
    return counts


def _grouped_curve(x: Array, y: Array, w: Array, groups: ArrayLike, keep: NDArray[np.bool_], axis: str) -> Curve:
    """Mean over groups at every x.

    The groups stay behind it as clusters.
    """
    label = as_array("groups", groups)
    if label.shape != y.shape:
        raise InputError(f"`groups` must have the shape of y, {y.shape}, not {label.shape}")
    try:
        _, code = np.unique(label[keep], return_inverse=True)
    except TypeError as error:
        raise InputError("`groups` must be labels of one type", hint="pass numbers or strings") from error
    points, at = np.unique(x[keep], return_inverse=True)
    cell, size = code * points.size + at, int(code.max()) + 1
    total = np.bincount(cell, w[keep], size * points.size).reshape(size, -1)
    sums = np.bincount(cell, (w * y)[keep], size * points.size).reshape(size, -1)
    weight = total.sum(axis=0)
    return Curve(
        x=points,
        y=sums.sum(axis=0) / weight,
        weights=weight / weight.mean(),
        counts=weight,
        axis=axis,
        convention="x as given",
        measure="other",
        clusters=Clusters("groups", sums, total),
        rows=np.bincount(at, minlength=points.size),
        left_out={"outside the window of x": int(np.count_nonzero(~keep))} if not keep.all() else {},
    )


def _check(x: Array, y: Array, w: Array) -> None:
    """Refuse points that cannot be fitted.

    Raise InputError unless x, y and w are finite vectors of one length, two points at least, with w
    > 0.
    """
    if not x.size == y.size == w.size:
        raise InputError(f"x, y and weights must have one length; got {x.size}, {y.size} and {w.size}")
    if x.size < 2:
        raise InputError(f"only {x.size} point(s)", hint="a curve needs at least two")
    for name, values in (("x", x), ("y", y), ("weights", w)):
        if not np.all(np.isfinite(values)):
            at = int(np.flatnonzero(~np.isfinite(values))[0])
            raise InputError(f"`{name}` is not finite at index {at}", hint="drop missing values first")
        size = float(np.abs(values).max())
        if size and not 1e-100 < size < 1e100:
            raise InputError(f"`{name}` is of size {size:.3g}", hint="change its unit")
    if np.any(w <= 0):
        raise InputError("`weights` must be positive", hint="leave rows of weight 0 out")

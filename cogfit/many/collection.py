"""Many curves end to end.

They come from arrays, a tidy table or a log; those that cannot be fitted are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cogfit.curves import curve, exposure, utilization
from cogfit.curves.curve import Curve
from cogfit.engine.separable import Bundle, Index
from cogfit.errors import InputError, nearest
from cogfit.formulas.form import Array
from cogfit.logs import splitting
from cogfit.logs.model import GROUP_COLUMNS, Log
from cogfit.native.kernels import survey
from cogfit.records.arrays import as_numbers

if TYPE_CHECKING:
    import pandas as pd

_SIZE = (1e-100, 1e100)  # of values that can be squared


@dataclass(frozen=True)
class Collection:
    """Many curves with their labels.

    Attributes
    ----------
    labels : DataFrame
        One row per curve.
    bundle : Bundle
        Their points; ``w`` are weights or, where there are such, numbers of trials.
    counted : bool
        Whether they are trials.
    axis, measure : str
        What x and y are (see :func:`cogfit.fit`).
    problems : tuple of str
        Why there is no curve, "" where there is one; empty where all are there.
    sources : tuple of Curve or None
        What is known of curves from a log beyond their points; empty for others.
    """

    labels: pd.DataFrame
    bundle: Bundle
    counted: bool = False
    axis: str = "x"
    measure: str = "other"
    problems: tuple[str, ...] = ()
    sources: tuple[Curve | None, ...] = ()

    def __len__(self) -> int:
        """Number of curves."""
        return int(self.bundle.axis.size)

    def part(self, begin: int, end: int) -> Collection:
        """Curves begin … end − 1."""
        return replace(
            self,
            labels=self.labels.iloc[begin:end],
            bundle=self.bundle.take(np.arange(begin, end)),
            problems=self.problems[begin:end],
            sources=self.sources[begin:end],
        )

    def points(self, i: int) -> tuple[Array, Array, Array]:
        """x, y and weights of one curve."""
        b, n = self.bundle, int(self.bundle.size[i])
        x, y, w = int(b.x_at[b.axis[i]]), int(b.y_at[i]), int(b.w_at[i])
        return b.x[x : x + n], b.y[y : y + n], b.w[w : w + n]


@dataclass(frozen=True)
class Columns:
    """Which columns of a tidy table are what.

    Attributes
    ----------
    by : tuple of str
        Tell the curves apart.
    x, y : str
    weights, trials : str or None
    """

    by: tuple[str, ...] = ("curve",)
    x: str = "x"
    y: str = "y"
    weights: str | None = None
    trials: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.weights is not None and self.trials is not None:
            raise InputError(_EXCLUSIVE, hint="trials are the weights of fractions")
        if not self.by:
            raise InputError("`by` names no column", hint="name those that tell the curves apart")
        names = self.names
        if len(set(names)) != len(names):
            raise InputError(f"a column is named twice: {', '.join(names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, those of `by` first."""
        return (*self.by, self.x, self.y, *(name for name in (self.weights or self.trials,) if name is not None))

    def check(self, known: Sequence[str]) -> None:
        """Raise InputError unless all columns are among those known."""
        for name in self.names:
            if name not in known:
                raise InputError(f"the table has no column '{name}'", hint=nearest(name, known))


_EXCLUSIVE = "`weights` and `trials` exclude each other"


def from_arrays(
    x: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None, trials: ArrayLike | None = None
) -> Collection:
    """Make curves from arrays.

    y has the shape (curves, points), x (points,) or (curves, points), weights or trials that of x
    or y.

    Raises
    ------
    InputError
        If the shapes do not fit together.
    """
    import pandas as pd

    if weights is not None and trials is not None:
        raise InputError(_EXCLUSIVE, hint="trials are the weights of fractions")
    ys = _matrix("Y", y)
    if ys.ndim != 2:
        raise InputError(f"`Y` must have the shape (curves, points), not {ys.shape}", hint="for one curve pass y[None]")
    count, n = ys.shape
    xs, ws = _matrix("x", x), np.ones(n)
    if weights is not None or trials is not None:
        ws = _matrix("weights" if trials is None else "trials", weights if trials is None else trials)
    for name, values in (("x", xs), ("weights" if trials is None else "trials", ws)):
        if values.shape not in ((n,), (count, n)):
            raise InputError(f"`{name}` must have the shape ({n},) or ({count}, {n}) of Y, not {values.shape}")
    begin = np.arange(count) * n
    shared = np.zeros(count, dtype=np.int64)
    axis, x_at = (shared, np.array([0, n])) if xs.ndim == 1 else (np.arange(count), np.arange(count + 1) * n)
    bundle = Bundle(xs.ravel(), x_at, axis, ys.ravel(), begin, ws.ravel(), shared if ws.ndim == 1 else begin)
    return Collection(pd.DataFrame({"curve": np.arange(count)}), bundle, trials is not None)


def _matrix(name: str, values: Any) -> Array:
    """Numbers as a contiguous, writable array of floats."""
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        raise InputError(f"`{name}` has masked values", hint="pass a tidy table, which needs no rectangle")
    return np.require(as_numbers(name, values), float, ("C", "W"))


def from_table(table: pd.DataFrame, columns: Columns) -> Collection:
    """Make curves from a tidy table.

    It has one row per point. Every value of the columns `by` is a curve, of any length.

    Curves come in the order of their labels, their points in that of x: the order of the rows does not matter.

    Raises
    ------
    InputError
        If a column is missing or holds no numbers.
    """
    columns.check([str(name) for name in table.columns])
    by, extra = list(columns.by), columns.weights or columns.trials
    code = table.groupby(by, sort=True, observed=True, dropna=False).ngroup().to_numpy()
    x, y = _column(table, columns.x), _column(table, columns.y)
    order = np.lexsort((x, code))
    size = np.bincount(code) if code.size else np.zeros(0, dtype=np.int64)
    end = np.cumsum(size)
    begin = end - size
    labels = table[by].iloc[order[begin]].reset_index(drop=True)
    x, y = x[order], y[order]
    axis, x_at, points = _distinct(x, begin, end)
    w = np.ones(int(size.max(initial=0))) if extra is None else _column(table, extra)[order]
    w_at = np.zeros(begin.size, dtype=np.int64) if extra is None else begin
    return Collection(labels, Bundle(points, x_at, axis, y, begin, w, w_at), columns.trials is not None)


def _column(table: pd.DataFrame, name: str) -> Array:
    import pandas as pd

    try:
        return np.asarray(pd.to_numeric(table[name]), dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"is no number ({error})", column=name) from error


def _distinct(x: Array, begin: Index, end: Index) -> tuple[Index, Index, Array]:
    """Find the distinct axes of all curves.

    Return which axis each curve has, where the axes begin, and their points.
    """
    known: dict[bytes, int] = {}
    axis = np.empty(begin.size, dtype=np.int64)
    parts: list[Array] = []
    for i, (a, b) in enumerate(zip(begin.tolist(), end.tolist(), strict=True)):
        points = x[a:b]
        axis[i] = known.setdefault(points.tobytes(), len(parts))
        if axis[i] == len(parts):
            parts.append(points)
    x_at = np.concatenate([[0], np.cumsum([part.size for part in parts], dtype=np.int64)])
    return axis, x_at.astype(np.int64), np.concatenate(parts) if parts else np.zeros(0)


def from_log(log: Log, by: Sequence[str] | None = None) -> Collection:
    """Make the curves of a training log as :func:`cogfit.fit` does.

    Parameters
    ----------
    log : Log
    by : sequence of str, optional
        What tells curves apart; by default those of run, layer and head that the log has.

    Returns
    -------
    Collection
        A part of the log that holds no curve is among its `problems`.

    Raises
    ------
    InputError
        The log is empty, or cannot be split so.
    """
    import pandas as pd

    table = log.routing or log.utilization
    if table is None:
        raise InputError("the log is empty", path=log.path)
    names = tuple(by) if by is not None else tuple(name for name in GROUP_COLUMNS if name in table.frame)
    labels: list[dict[str, str]] = []
    sources: list[Curve | None] = []
    problems: list[str] = []
    # a part without a curve keeps its row and says why
    for label, part in splitting.split(log, names) if names else [({"log": log.path}, log)]:
        source, problem = _log_curve(part)
        labels.append(label)
        sources.append(source)
        problems.append(problem)
    curves = [source for source in sources if source is not None]
    return Collection(
        labels=pd.DataFrame(labels),
        bundle=_end_to_end(sources),
        axis=curves[0].axis if curves else "x",
        measure=curves[0].measure if curves else "other",
        problems=tuple(problems),
        sources=tuple(sources),
    )


def _log_curve(log: Log) -> tuple[Curve | None, str]:
    """The curve of a log, or why there is none."""
    try:
        if log.routing is not None:
            return exposure.exposure_curve(log.routing), ""
        assert log.utilization is not None
        return utilization.utilization_curve(log.utilization), ""
    except InputError as error:
        return None, error.what


def _end_to_end(sources: Sequence[Curve | None]) -> Bundle:
    """The points of curves end to end.

    There are none for a curve that is not there.
    """
    curves = [source for source in sources if source is not None]
    size = np.array([0 if source is None else source.x.size for source in sources], dtype=np.int64)
    end = np.cumsum(size)
    x, y, w = (
        np.concatenate([getattr(curve, name) for curve in curves]) if curves else np.zeros(0)
        for name in ("x", "y", "weights")
    )
    axis, x_at, points = _distinct(x, end - size, end)
    return Bundle(points, x_at, axis, y, end - size, w, end - size)


def examine(collection: Collection) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Find the curves that cannot be fitted.

    Return why, "" where they can, and which curves do not change at all, both of shape (curves,).
    """
    b = collection.bundle
    n, weights = b.size, "trials" if collection.counted else "weights"
    out = np.full(n.size, "", dtype=object)
    limits = {name: np.zeros((n.size, 2)) for name in ("x", "y", weights)}
    for (name, limit), values, at in zip(
        limits.items(), (b.x, b.y, b.w), (b.x_at[b.axis], b.y_at, b.w_at), strict=True
    ):
        odd, limit[:] = survey(values, at, n)
        size = np.maximum(np.abs(limit[:, 0]), np.abs(limit[:, 1]))
        is_extreme = (size != 0) & ~((size > _SIZE[0]) & (size < _SIZE[1])) & (odd == 0) & (n > 0)
        for i in np.flatnonzero(is_extreme).tolist():
            out[i] = f"`{name}` is of size {size[i]:.3g}"
        for i in np.flatnonzero(odd).tolist():
            out[i] = f"`{name}` is not finite at {odd[i]} of {n[i]} points"
    out[(limits[weights][:, 0] <= 0) & (out == "")] = f"`{weights}` must be positive"
    for i in np.flatnonzero((limits["x"][:, 0] < 0) & (out == "")).tolist():
        out[i] = f"x is negative (the least is {limits['x'][i, 0]:g})"
    for i in np.flatnonzero(n < 2).tolist():
        out[i] = f"only {n[i]} point(s)"
    for i, text in enumerate(collection.problems):
        out[i] = text or out[i]
    least, most = limits["y"].T
    with np.errstate(invalid="ignore", over="ignore"):
        return out, (out == "") & (most - least <= curve.CONSTANT * np.maximum(-least, most))


def without(collection: Collection, *, zero: bool, missing: bool) -> tuple[Collection, Index]:
    """Leave out points at x = 0 and missing values.

    Also return how many were left out of each curve.
    """
    b, n_dropped = collection.bundle, np.zeros(len(collection), dtype=np.int64)
    if zero and collection.sources:
        known = tuple(None if c is None else c.take(c.x != 0.0) for c in collection.sources)
        collection = replace(collection, sources=known)
    missing = missing and bool(np.isnan(b.y).any())
    zeros = np.flatnonzero(b.x == 0.0) if zero else np.zeros(0, dtype=np.int64)
    if not missing and zeros.size == 0:
        return collection, n_dropped
    if not missing and np.isin(zeros, b.x_at[:-1]).all():  # the first point: the rest stays where it is
        starts = np.isin(b.x_at[:-1], zeros)
        keep = np.ones(b.x.size, dtype=bool)
        keep[zeros] = False
        shift = starts[b.axis].astype(np.int64)
        x_at = b.x_at - np.concatenate([[0], np.cumsum(starts)])
        return replace(
            collection, bundle=replace(b, x=b.x[keep], x_at=x_at, y_at=b.y_at + shift, w_at=b.w_at + shift)
        ), shift
    size = b.size
    end = np.cumsum(size)
    step = np.arange(int(size.sum())) - np.repeat(end - size, size)
    x, y, w = (
        values[np.repeat(at, size) + step] for values, at in ((b.x, b.x_at[b.axis]), (b.y, b.y_at), (b.w, b.w_at))
    )
    keep = ~((zero & (x == 0.0)) | (missing & np.isnan(y)))
    owner = np.repeat(np.arange(size.size), size)[keep]
    left = np.bincount(owner, minlength=size.size)
    end = np.cumsum(left)
    axis, x_at, points = _distinct(x[keep], end - left, end)
    return replace(collection, bundle=Bundle(points, x_at, axis, y[keep], end - left, w[keep], end - left)), size - left

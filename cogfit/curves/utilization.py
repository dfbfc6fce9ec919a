"""Utilisation against step, averaged over runs, layers and heads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from cogfit.curves.curve import Clusters, Curve, cluster_table
from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.logs.columnar import as_frame
from cogfit.logs.model import FILE_ROW, GROUP_COLUMNS, UtilizationLog

if TYPE_CHECKING:
    import pandas as pd

    from cogfit.logs.columnar import Frame

Smoothing = float | Literal["unknown"] | None
"""Decay of an exponential moving average that was applied before logging, ``"unknown"`` filter, or none."""

_SMOOTH_NAME = re.compile(r"(^|[^a-z])(ema|smooth|smoothed|moving_average|running_mean|running_avg)([^a-z]|$)")


def unsmoothed(y: Array, decay: float | str) -> Array:
    """Raw values behind an exponential moving average.

    The average is y_t = d·y_{t−1} + (1 − d)·r_t with y_0 = r_0; r are the raw values.

    The filter is invertible, so that fitting the raw values *is* the likelihood of the smoothed ones.

    Parameters
    ----------
    y : ndarray, shape (n,)
        In the order in which they were logged.
    decay : float
        d, 0 ≤ d < 1.

    Raises
    ------
    InputError
        If `decay` is none.

    Examples
    --------
    >>> unsmoothed(np.array([1.0, 1.5, 1.25]), 0.5)
    array([1., 2., 1.])
    """
    if isinstance(decay, str) or not 0.0 <= decay < 1.0:
        raise InputError(f"`smoothing` must be the decay of a moving average, 0 ≤ d < 1, or 'unknown', not {decay!r}")
    out = np.array(y, dtype=float)
    out[1:] = (y[1:] - decay * y[:-1]) / (1.0 - decay)
    return out


def smoothing_mark(smoothing: Smoothing, name: str) -> str:
    """Mark of a smoothed curve, "unknown" or "".

    It follows from what the caller says and from the column's name.
    """
    if smoothing == "unknown":
        return "unknown"
    return "unknown" if smoothing is None and _SMOOTH_NAME.search(name.lower()) else ""


def utilization_curve(
    log: UtilizationLog, *, x_min: float | None = None, x_max: float | None = None, smoothing: Smoothing = None
) -> Curve:
    """Attention utilisation against step, averaged over runs, layers and heads.

    Parameters
    ----------
    log : UtilizationLog
    x_min, x_max : float, optional
        Window.
    smoothing : float or "unknown", optional
        Decay of the moving average that was applied before logging, one per (run, layer, head): it is undone.

    Returns
    -------
    Curve
        ``clusters`` are the runs (or layers, or heads) where there is more than one.

    Raises
    ------
    InputError
        If fewer than two points remain.
    """
    table = log.table
    step = np.asarray(table["step"], dtype=float)
    value = np.asarray(table["attention_utilization"], dtype=float)
    if smoothing is not None and smoothing != "unknown":
        value = _unsmoothed_groups(table, step, value, smoothing)
    inside = in_window(step, x_min, x_max)
    log.source.check_replicates(table)
    x, at = np.unique(step[inside], return_inverse=True)
    if x.size < 2:
        hint = f"the log reaches from {step.min():g} to {step.max():g}"
        raise InputError(f"only {x.size} usable point(s) in the window", path=log.source.path, hint=hint)

    # several runs, layers or heads are averaged: each stays behind the mean as a cluster
    warnings: list[str] = []
    clusters = None
    groups = several(table)
    if groups:
        clusters = _clusters(log.frame, groups, inside, at, value[inside], x.size)
        total = np.asarray(clusters.counts.sum(axis=0)).ravel()
        y = np.asarray(clusters.sums.sum(axis=0)).ravel() / total
        warnings += _averaging_warnings(log.frame, groups, total)
    else:
        total, y = np.ones(x.size), value[inside][np.argsort(at, kind="stable")]

    warnings += odd_values(x, y, log.y_name)

    # a filter that nobody named moves the exponent
    mark = smoothing_mark(smoothing, log.y_name)
    if mark and smoothing is None:
        warnings.append(
            f"the column '{log.y_name}' seems to be smoothed: an unknown filter moves γ and its interval; give the "
            "decay of the moving average with --smoothing, or 0 if there is none"
        )
    is_step = re.split(r" [+−] ", log.x_name)[0].rsplit("/", 1)[-1].lower().strip("_") in _STEP_WORDS
    return Curve(
        x=x,
        y=y,
        weights=total / total.mean(),
        counts=total if groups else None,
        axis="step" if is_step else log.x_name,
        convention=f"x = '{log.x_name}' as logged",
        measure="utilization" if log.y_name != "" and _is_fraction(value[inside]) else "other",
        x_label=log.x_name,
        y_label=log.y_name,
        clusters=clusters,
        warnings=tuple(warnings),
        smoothing=mark,
        rows=_rows_behind(table, inside, at, x.size),
        left_out=_outside(log, inside),
        averaged={name: int(log.frame[name].nunique()) for name in groups},
    )


def _rows_behind(table: Frame, inside: NDArray[np.bool_], at: NDArray[np.int64], points: int) -> NDArray[np.int64]:
    """Rows of the file behind each point."""
    if FILE_ROW in table:
        _, first = np.unique(np.asarray(table[FILE_ROW])[inside], return_index=True)  # each counts once
        at = at[first]
    return np.bincount(at, minlength=points)


def _outside(log: UtilizationLog, inside: NDArray[np.bool_]) -> dict[str, int]:
    """Rows of the file outside the window."""
    lost = log.source.rows_behind(log.table) - log.source.rows_behind(log.table, inside)
    return {f"outside the window of {log.x_name}": lost} if lost else {}


def odd_values(x: Array, y: Array, name: str) -> list[str]:
    """Say what about values is seldom meant, one sentence each.

    Examples
    --------
    >>> odd_values(np.arange(5.0), np.array([3.0, 2.0, 1.0, 0.0, 0.0]), "loss")[0][:49]
    "the last 2 values of 'loss' are exactly 0: if log"
    """
    found = []
    order = np.argsort(x, kind="stable")
    n_zeros = zeros_at_end(y[order])
    if n_zeros > 1:
        found.append(
            f"the last {n_zeros} values of '{name}' are exactly 0: if logging broke there, leave them out with "
            f"--x-max {x[order][-1 - n_zeros]:g}"
        )
    if y.size and y.max() < 0.0:
        found.append(
            f"all values of '{name}' are negative, and decays to a floor of 0 or more cannot follow them: if their "
            f"size is meant, fit −1 times them with --y=-{name}"
        )
    return found


def zeros_at_end(y: Array) -> int:
    """How many of the last values are exactly 0.

    None if all are.

    Examples
    --------
    >>> zeros_at_end(np.array([0.0, 2.0, 0.0, 0.0])), zeros_at_end(np.zeros(3))
    (2, 0)
    """
    nonzero = np.flatnonzero(y != 0.0)
    return y.size - 1 - int(nonzero[-1]) if nonzero.size else 0


def several(frame: Frame) -> list[str]:
    """Group columns with more than one value.

    What the mean of a table is taken over.
    """
    return [name for name in GROUP_COLUMNS if name in frame and frame[name].nunique() > 1]


def averaged_over(groups: Sequence[str]) -> str:
    """Sentence that says what a mean was taken over.

    The sentence names the way to take no mean, too.
    """
    return f"averaged over {', '.join(groups)}; fit them one by one with --by {','.join(groups)}"


def in_window(x: Array, x_min: float | None, x_max: float | None) -> NDArray[np.bool_]:
    """Points that a window holds, its ends included."""
    inside = np.ones(x.size, dtype=bool)
    if x_min is not None:
        inside &= x >= x_min
    if x_max is not None:
        inside &= x <= x_max
    return inside


def _clusters(
    frame: pd.DataFrame,
    groups: Sequence[str],
    inside: NDArray[np.bool_],
    at: NDArray[np.int64],
    value: Array,
    points: int,
) -> Clusters:
    """Runs, layers or heads as clusters.

    Runs where there are several, else layers or heads: what can be resampled.
    """
    unit = "run" if "run" in groups else groups[0]
    code = np.unique(frame[unit].astype(str).to_numpy()[inside], return_inverse=True)[1]
    size = int(code.max()) + 1
    sums, counts = cluster_table(code.astype(np.int64), at, value, size, points, np.ones(size, dtype=bool))
    return Clusters(f"{unit}s", sums, counts)


def _averaging_warnings(frame: pd.DataFrame, groups: list[str], total: Array) -> list[str]:
    warnings = [averaged_over(groups)]
    curves = frame[groups].drop_duplicates().shape[0]
    if total.min() < curves:
        warnings.append(
            f"not every step has all {curves} curves (at the fewest {int(total.min())}): the mean changes "
            f"its composition along x and may follow no law of any of them; fit them with --by {','.join(groups)}"
        )
    return warnings


def _unsmoothed_groups(table: Frame, step: Array, value: Array, decay: float | str) -> Array:
    """Undo the moving average of every group.

    A group is a (run, layer, head), its values in the order of steps.
    """
    columns = [name for name in GROUP_COLUMNS if name in table]
    code = np.zeros(step.size, dtype=int)
    if columns:
        code = as_frame(table).groupby(columns, observed=True).ngroup().to_numpy()
    out = value.copy()
    for group in np.unique(code):
        rows = np.flatnonzero(code == group)
        rows = rows[np.argsort(step[rows], kind="stable")]
        out[rows] = unsmoothed(value[rows], decay)
    return out


_STEP_WORDS = frozenset({"step", "global_step", "iteration", "iter", "update", "steps", "trainer_step", "epoch"})


def _is_fraction(value: Array) -> bool:
    return bool(value.min() >= 0.0 and value.max() <= 1.0)

"""What is reported of a change of level.

Its size and limits as points of the curve, the threshold that its sharpness implies, the schedule that coincides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.inference.roots import brent
from cogfit.inference.transition_evidence import estimate_errors
from cogfit.inference.transition_levels import Null, Series, Shape
from cogfit.native import distributions
from cogfit.records.arrays import as_array
from cogfit.records.codec import Document, High, Low, Nan


@dataclass(frozen=True)
class Change(Document):
    """One change of level.

    Attributes
    ----------
    t10, t50, t90 : float
        First points of the curve at which 10, 50 and 90 % of it are done.
    low, high : float
        Limits of t50, points of the curve.
    p_value : float
    size : float
        Change of the level, in units of y; negative for a drop.
    ratio : float
        Level before / level after, at t50: below 1 for a rise; inf where the level after it is 0 or has another sign.
    size_sd : float
        Size in marginal standard deviations of a single point; inf where there is no noise.
    sharp : bool
        Whether a jump between two neighbouring points describes it as well (5 % level).
    """

    t10: Nan
    t50: Nan
    t90: Nan
    low: Low
    high: High
    p_value: Nan
    size: Nan
    ratio: High
    size_sd: High
    sharp: bool


def gamma_threshold(ratio: float) -> float:
    """Gamma shape with given sharpness.

    Shape c of the Gamma law whose 90 % quantile is `ratio` times its 10 % quantile (theory T6).

    Parameters
    ----------
    ratio : float
        t90/t10 of a survival curve, 1 or more.

    Returns
    -------
    float
        Between 0.02 and inf (for a ratio of 1).

    Examples
    --------
    >>> import math
    >>> round(gamma_threshold(math.log(10) / -math.log(0.9)), 6)  # an exponential
    1.0
    """

    def excess(log_c: float) -> float:
        low, high = distributions.gamma_quantile(np.array([0.1, 0.9]), math.exp(log_c)).tolist()
        return math.log(high) - math.log(low) - math.log(ratio)

    low, high = math.log(0.02), math.log(1e9)
    if ratio <= 1.0 or excess(high) >= 0.0:
        return math.inf
    return math.exp(brent(excess, low, high, absolute=1e-10)) if excess(low) > 0.0 else 0.02


def measure_changes(
    series: Series, null: Null, shapes: Sequence[Shape], marks: Sequence[tuple[float, float, float]]
) -> list[Change]:
    """All changes, with their sizes beside each other."""
    if not shapes:
        return []
    columns = np.stack([shape.column(series) / series.root for shape in shapes])
    total = null.fitted + null.sizes @ columns
    _, y, w = series.points
    # The fit takes as many degrees of freedom from correlated errors as if there were n/τ points.
    share_fitted = len(null.mean.rows) / estimate_errors(null.residual, null.mean).points(series.x.size)
    noise = math.sqrt(float(w @ (y - total[series.label]) ** 2) / float(w.sum()) / max(1.0 - share_fitted, 0.25))
    changes = []
    for shape, column, (low, high, p_value), size in zip(shapes, columns, marks, null.sizes.tolist(), strict=True):
        before = float(np.interp(math.log(shape.t50), np.log(series.x), total - size * column))
        t10, t50, t90 = (_first_step(series, shape.quantile(share)) for share in (0.1, 0.5, 0.9))
        low, high = _last_step(series, min(low, t50)), _first_step(series, max(high, t50))
        ratio = before / (before + size) if before * (before + size) > 0.0 else math.inf
        size_sd = abs(size) / noise if noise > 1e-9 * abs(size) else math.inf
        changes.append(Change(t10, t50, t90, low, high, p_value, size, ratio, size_sd, shape.sharp))
    return changes


def _first_step(series: Series, place: float) -> float:
    """First point of the curve that is not before a place."""
    x = series.points[0]
    return float(x[min(int(np.searchsorted(x, place * (1.0 - 1e-12))), x.size - 1)])


def _last_step(series: Series, place: float) -> float:
    """Last point of the curve that is not beyond a place."""
    x = series.points[0]
    return float(x[max(int(np.searchsorted(x, place * (1.0 + 1e-12), "right")) - 1, 0)])


def find_coincidences(x: Array, schedule: Mapping[str, ArrayLike], change: Change | None) -> tuple[str, ...]:
    """Columns of a schedule that change where the curve does.

    Within the interval they change at least half as much as over any stretch as long, and not
    beside it.
    """
    order = np.argsort(x, kind="stable")
    names = []
    for name, values in schedule.items():
        column = as_array(name, values)
        if column.shape != x.shape:
            raise InputError(f"column '{name}' of `schedule` has shape {column.shape}, but x has {x.shape}")
        if change is None:
            continue
        try:
            value = column.astype(float)[order]
        except (TypeError, ValueError):  # text
            value = np.unique(column.astype(str), return_inverse=True)[1].astype(float)[order]
        margin = max(2, x.size // 100)
        first = int(np.searchsorted(x[order], min(change.low, change.t10))) - margin
        last = int(np.searchsorted(x[order], max(change.high, change.t90), "right")) + margin
        first, last = max(first, 0), min(last, x.size)
        size = last - first
        edges = [*range(first, -size, -size), *range(last, x.size, size)]
        here, *others = (_spread(value[max(at, 0) : at + size]) for at in edges)
        beside = max(_spread(value[max(first - size, 0) : first]), _spread(value[last : last + size]))
        if here > 0.0 and here >= 3.0 * beside and 2.0 * here >= max(others, default=0.0):
            names.append(str(name))
    return tuple(names)


def _spread(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(np.ptp(finite)) if finite.size else 0.0

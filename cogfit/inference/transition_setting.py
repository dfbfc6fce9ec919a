"""The curve in which changes are looked for.

Points checked and averaged; windows, a warm-up and errors that repeat are recognised first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cogfit.errors import InputError
from cogfit.inference.smoothing import window_of
from cogfit.inference.transition_levels import Null, Series, bic_score, smooth
from cogfit.inference.transition_seasons import Season, find_season, without_season
from cogfit.inference.transition_starts import warm_up_end
from cogfit.records.arrays import as_numbers

FEW = 200
"""Points below which a result is flagged."""

_MIN_POINTS = 20  # different x above 0
_POINTS = 1000  # longer curves are averaged into at most so many bins of equally many neighbours
_KEPT = 40  # means over windows that are left at least, if there are as many
_CLEARLY = 3.0  # log-likelihood by which windows must do better than points to be taken for granted


@dataclass(frozen=True)
class Setting:
    """The curve that is searched, and its setting.

    Last point of its warm-up (NaN for none), errors that repeat, length of its windows.
    """

    series: Series
    warm_up: float
    season: Season | None
    window: float


def find_setting(series: Series, window: float | None, unit: float) -> tuple[Setting, Null]:
    """Recognise windows, a warm-up and a season."""
    series, null, length = _middles(series, window, unit)
    end = math.nan
    if count := warm_up_end(series, null):
        end = float(series.points[0][int(np.searchsorted(series.label, count)) - 1])
        series = series.after(count)
        null = smooth(series)
    season = find_season(series, null)
    if season is not None:
        series = without_season(series, null, season)
        null = smooth(series)
    return Setting(series, end, season, length), null


def prepare(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None) -> Series:
    """Check the points and average them into bins."""
    xs, ys = as_numbers("x", x), as_numbers("y", y)
    ws = np.ones(xs.shape) if weights is None else as_numbers("weights", weights)
    if xs.ndim != 1 or xs.shape != ys.shape or xs.shape != ws.shape:
        raise InputError(f"`x`, `y` and `weights` must be rows of equal length, not {xs.shape}, {ys.shape}, {ws.shape}")
    for name, column in (("x", xs), ("y", ys), ("weights", ws)):
        if not np.all(np.isfinite(column)):
            raise InputError(f"`{name}` has values that are not finite", hint="leave these points out")
    if np.any(xs < 0.0):
        raise InputError("`x` has negative values", hint="give steps or exposures, counted from 0 or 1")
    if np.any(ws <= 0.0):
        raise InputError("`weights` must be above 0", hint="leave points without weight out")
    keep = xs > 0.0
    if (count := np.unique(xs[keep]).size) < _MIN_POINTS:
        raise InputError(
            f"{count} points are too few to tell a transition from a smooth curve",
            hint=f"give at least {_MIN_POINTS} different x above 0, better {FEW}",
        )
    return Series.from_points(xs[keep], ys[keep], ws[keep], _POINTS)


def _middles(series: Series, window: float | None, unit: float) -> tuple[Series, Null, float]:
    """The curve against the middles of windows, its smooth form, the windows' length.

    A mean over a window belongs to its middle. Plotted at the end, a steep beginning is steeper than any power law.
    """
    if window is not None:
        if not 0.0 <= window < 2.0 * series.points[0][0]:
            raise InputError(
                f"`window` must be 0 or more and end at the first x, {series.points[0][0]:g}, not {window:g}",
                hint="give the length of the windows over which y are means, in units of x",
            )
        series = series.moved(-0.5 * window) if window else series
        return series, smooth(series), float(window)
    if not 0.0 <= unit < math.inf:
        raise InputError(f"`unit` must be 0 or more, not {unit:g}", hint="give 0 where x has no unit")
    null, gaps = smooth(series), np.diff(series.points[0])
    length = float(np.median(gaps))
    left = series.y - null.fitted
    is_even = bool(np.abs(gaps - length).max() <= 1e-6 * length)
    if is_even and (width := window_of(left[left.size // 3 :])):  # behind the kink
        whole = _whole_windows(series, width)
        if whole is not None:
            return whole, smooth(whole), width * float(np.median(np.diff(series.x)))
    if not is_even or length <= unit * (1.0 + 1e-6) or series.points[0][0] < length * (1.0 - 1e-6):
        return series, null, 0.0
    middles = series.moved(-0.5 * length)
    other = smooth(middles)
    if bic_score(other, None, middles) > bic_score(null, None, series) + _CLEARLY:
        return middles, other, length
    return series, null, 0.0


def _whole_windows(series: Series, width: int) -> Series | None:
    """Means over whole windows only, at their middles.

    A moving average begins with windows that grow, and where they stop it has a kink. Of windows that overlap fewer are
    kept. None where too few would be left.
    """
    stride = max(1, min(width, (series.x.size - width) // _KEPT))
    kept = slice(width - 1, None, stride)
    x, y, w = series.x[kept], series.y[kept], series.root[kept] ** 2
    middle = x - 0.5 * width * float(np.median(np.diff(series.x)))
    if x.size < _MIN_POINTS or middle[0] <= 0.0:
        return None
    return Series.from_points(middle, y, w, _POINTS)

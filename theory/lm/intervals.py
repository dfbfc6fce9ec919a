"""Intervals over questions, and over random sets of heads.

A set of heads that is drawn at random is one of many: what it does differs from draw to draw as it does from question
to question. With answers (draws, questions) both are taken as random (a crossed design; Searle, Casella & McCulloch
1992, *Variance Components*, ch. 4), so that an interval says where the mean over all such sets and questions is.
"""

from __future__ import annotations

import math

import numpy as np

from theory.redundancy.tables import Array


def spread(part: Array, whole: Array) -> tuple[float, float, float]:
    """Ratio of two sums with its standard error.

    And degrees of freedom.

    Parameters
    ----------
    part : ndarray
        (units,), or (draws, units) where units were asked under several draws.
    whole : ndarray
        (units,). A unit without anything (0) does not count.

    Returns
    -------
    value, error, freedom : float
        The linearised estimator over units (Cochran 1977, §6.3). With draws the variances of their means and of the
        units' means are added, less that of single answers, which is in both; degrees of freedom are Satterthwaite's.
        The error is NaN with fewer than two units.

    Examples
    --------
    >>> [round(x, 3) for x in spread(np.array([1.0, 2.0, 3.0]), np.full(3, 2.0))]
    [1.0, 0.289, 2.0]

    Two draws that differ by 2 on every one of 100 questions say little about the next draw:

    >>> [round(x, 3) for x in spread(np.stack([np.zeros(100), np.full(100, 2.0)]), np.ones(100))]
    [1.0, 1.0, 1.0]
    """
    counts = whole > 0
    table = np.atleast_2d(part)[:, counts]
    draws, units = table.shape
    value = float(table.mean(0).sum() / whole[counts].sum()) if units else math.nan
    if units < 2:
        return value, math.nan, 1.0
    # linearised: each entry's share in the error of the ratio
    table = (table - value * whole[counts]) / whole[counts].mean()
    by_unit = float(table.mean(0).var(ddof=1)) / units
    if draws == 1:
        return value, math.sqrt(by_unit), units - 1.0
    by_draw = float(table.mean(1).var(ddof=1)) / draws
    rest = table - table.mean(0) - table.mean(1)[:, None] + table.mean()
    single = float((rest**2).sum()) / ((draws - 1) * (units - 1)) / (draws * units)
    # a negative component of variance is taken as none
    variance = max(by_unit + by_draw - single, by_unit, by_draw)
    if variance == 0:
        return value, 0.0, min(units, draws) - 1.0
    freedom = variance**2 / (by_unit**2 / (units - 1) + by_draw**2 / (draws - 1))
    return value, math.sqrt(variance), min(freedom, units - 1.0)


def mean_ratio(part: Array, whole: Array, level: float) -> tuple[float, float, float]:
    """Ratio of two sums, with interval over units and draws.

    Parameters
    ----------
    part, whole : ndarray
        See :func:`spread`.
    level : float

    Examples
    --------
    >>> [round(x, 3) for x in mean_ratio(np.array([1.0, 2.0, 3.0]), np.full(3, 2.0), 0.95)]
    [1.0, -0.242, 2.242]
    """
    value, error, freedom = spread(part, whole)
    half = _student(freedom, level) * error
    return value, value - half, value + half


def share(part: Array, whole: Array, level: float) -> tuple[float, float, float]:
    """Share of yes among answers, with an interval.

    Over units, and over draws where there are several.

    Wilson's, with as many independent answers as the spread over units tells; where all units agree, as many as there
    are units: of eight needles that all are found the interval is not a point.

    Parameters
    ----------
    part, whole : ndarray
        (units,) or (draws, units): yes; and (units,): answers.
    level : float

    Examples
    --------
    >>> [round(limit, 2) for limit in share(np.ones(8), np.ones(8), 0.95)]
    [1.0, 0.59, 1.0]
    """
    value, error, freedom = spread(part, whole)
    z = _student(freedom, level)
    n = value * (1 - value) / error**2 if error > 0 and 0 < value < 1 else float((whole > 0).sum())
    centre = (value + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(max(value * (1 - value), 0) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return value, max(centre - half, 0.0), min(centre + half, 1.0)


def _student(freedom: float, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))

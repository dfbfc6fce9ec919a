"""Whether values fall along x."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cogfit.curves.curve import CONSTANT
from cogfit.formulas.form import Array

BLOCKS = 50
"""Means that a curve is reduced to before its trend is judged: noise from row to row hides no trend."""

CLEAR = 0.5
"""Spearman's rank correlation of these means with x from which values fall or rise.

It is 3.5 standard errors where 50 means have no trend.
"""

MOST_CURVES = 50
"""Curves (runs, layers, heads) that are looked at; the trend is that of their mean correlation."""


class TrendOver:
    """Rows of several curves, to judge many columns.

    Parameters
    ----------
    curve : int array, shape (rows,)
        Number of each row's curve. Rows of a curve follow each other, in the order of x.

    Notes
    -----
    The clearer of two correlations counts: over equal blocks of rows, and over blocks that grow with the row number. A
    curve that has reached its floor after a tenth of the rows falls in the latter only.

    Examples
    --------
    >>> over = TrendOver(np.zeros(1000, dtype=int))
    >>> over.of(np.random.default_rng(0).normal(0, 1, 1000) - np.arange(1000) / 500)
    'falls'
    """

    def __init__(self, curve: NDArray[np.int64]) -> None:
        edges = np.flatnonzero(np.concatenate([[True], curve[1:] != curve[:-1], [True]]))[: MOST_CURVES + 1].tolist()
        self._n_rows = edges[-1]
        self._blocks = [
            [low + spaced(high - low) for low, high in pairwise(edges)] for spaced in (_equal_blocks, _growing_blocks)
        ]

    def of(self, values: Array) -> Literal["falls", "rises", "neither"]:
        """Trend of a column's values in these rows."""
        clearest = max((_correlation(values[: self._n_rows], starts) for starts in self._blocks), key=abs)
        return "falls" if clearest <= -CLEAR else "rises" if clearest >= CLEAR else "neither"


def trend_of(values: Array) -> Literal["falls", "rises", "neither"]:
    """Trend of one curve, in the order of x."""
    return TrendOver(np.zeros(values.size, dtype=np.int64)).of(values)


def _equal_blocks(length: int) -> NDArray[np.int64]:
    """First rows of blocks of as many rows each."""
    n_blocks = min(length, BLOCKS)
    return np.arange(n_blocks) * length // n_blocks


def _growing_blocks(length: int) -> NDArray[np.int64]:
    """First rows of blocks that are equally long in log row."""
    return np.unique(np.geomspace(1, length + 1, BLOCKS + 1)[:-1].astype(np.int64)) - 1


def ranks(values: Array) -> Array:
    """Ranks from 1 on, all NaN if a value is.

    Equal values share their mean rank.
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    means = np.cumsum(count) - 0.5 * (count - 1)
    return np.where(np.isnan(values).any(), np.nan, means[place])


def _correlation(values: Array, starts: list[NDArray[np.int64]]) -> float:
    """Mean rank correlation over the curves."""
    joined = np.concatenate(starts)
    with np.errstate(over="ignore", invalid="ignore"):
        means = np.add.reduceat(values, joined) / np.diff(joined, append=len(values))
        # equal values of which different numbers were summed differ by rounding
        means = np.rint(means / (np.abs(means).max() * CONSTANT)) if np.any(means) else means
    correlations, place = [], 0
    for own in starts:
        rank = ranks(means[place : place + len(own)]) - (len(own) + 1) / 2
        order = np.arange(len(own)) - (len(own) - 1) / 2
        spread = float(np.sqrt((rank @ rank) * (order @ order)))
        correlations.append(float(order @ rank) / spread if spread > 0 else 0.0)
        place += len(own)
    return float(np.average(correlations, weights=[len(own) for own in starts]))

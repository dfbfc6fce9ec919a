"""Shares of trials as the counts they stand for.

A table prints shares to a few digits; a binomial likelihood needs whole counts of trials.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cogfit.formulas.form import Array

_ROUNDING = 1e-9
"""Slack of a share in units of its last digit: products of doubles are no decimals."""


@dataclass(frozen=True)
class Counts:
    """Whole counts behind shares of trials.

    Attributes
    ----------
    successes : ndarray, shape (n,)
        The nearest whole counts.
    mismatch : int or None
        Index of the first share that is no count of its trials, to the digits printed.
    slack : float
        By how many outcomes a count may be off, because a share has few digits (0: counts are certain).
    was_rounded : bool
        Whether any share differs from its count of trials.
    """

    successes: Array
    mismatch: int | None
    slack: float
    was_rounded: bool


def count_shares(shares: Array, trials: Array, digits: int) -> Counts:
    """Return the whole counts that printed shares stand for.

    Parameters
    ----------
    shares, trials : ndarray, shape (n,)
        Shares from 0 to 1, and whole numbers of trials.
    digits : int
        Digits after the point to which the shares are printed.

    Examples
    --------
    >>> import numpy as np
    >>> counts = count_shares(np.array([0.533, 0.432]), np.array([289.0, 322.0]), digits=3)
    >>> counts.successes.tolist(), counts.mismatch
    ([154.0, 139.0], None)
    >>> count_shares(np.array([0.5557]), np.array([50.0]), digits=4).mismatch
    0
    """
    half = 0.5 * 10.0**-digits
    successes = np.rint(shares * trials)
    error = np.abs(shares - successes / trials)
    is_count = (error <= half * (1.0 + _ROUNDING) + _ROUNDING) & (shares >= 0.0) & (shares <= 1.0)
    wrong = np.flatnonzero(~is_count)
    return Counts(
        successes=successes,
        mismatch=int(wrong[0]) if wrong.size else None,
        slack=float(np.floor(half * trials.max() + 0.5)) if half * trials.max() > 0.5 else 0.0,
        was_rounded=bool(np.any(error > _ROUNDING)),
    )

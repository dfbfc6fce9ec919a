"""Confidence sequences for means.

Intervals that hold at all sample sizes at once.

Empirical-Bernstein sequence with predictable plug-in of Waudby-Smith & Ramdas, "Estimating means of bounded random
variables by betting", JRSS B 86 (2024) 1-27, Theorem 2 (arXiv 2010.09686). One may look after every observation and
stop when one likes. The observations must have one mean given the past: here there is one per *fresh* table of values,
never one per query of a fixed table.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cogfit.errors import InputError

Floats = NDArray[np.float64]


class Limits(NamedTuple):
    """Lower and upper limit after each observation, shape (n,) each."""

    lower: Floats
    upper: Floats


def mean_sequence(x: ArrayLike, *, low: float = 0.0, high: float = 1.0, level: float = 0.95) -> Limits:
    """Limits for the mean of bounded observations.

    They lie between ``low`` and ``high``.

    Parameters
    ----------
    x : array_like, shape (n,)
        The observations, in order.
    low, high : float
        Range that the observations cannot leave; known beforehand, not read off the data.
    level : float
        Probability, at least, that the mean lies within the limits at every sample size.

    Returns
    -------
    Limits
        Each limit is the best so far, so the interval only shrinks.

    Raises
    ------
    InputError
        If there are no observations, they leave the range, or ``level`` is not between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> limits = mean_sequence(np.random.default_rng(0).random(10_000))
    >>> bool(limits.lower[-1] < 0.5 < limits.upper[-1]), bool(limits.upper[-1] - limits.lower[-1] < 0.04)
    (True, True)
    """
    values = np.asarray(x, float)
    if values.ndim != 1 or values.size == 0:
        raise InputError(f"observations of shape {values.shape}", hint="give a list of numbers")
    if not 0 < level < 1:
        raise InputError(f"the level is {level}", hint="it lies between 0 and 1")
    if not (high > low and bool(np.all((values >= low) & (values <= high)))):
        raise InputError(f"observations outside of [{low}, {high}]", hint="give the range that they cannot leave")
    u = (values - low) / (high - low)
    t = np.arange(1, u.size + 1)
    log = math.log(2 / (1 - level))
    mean = (0.5 + np.cumsum(u)) / (t + 1)
    before = np.concatenate(([0.5], mean[:-1]))
    variance = (0.25 + np.cumsum((u - mean) ** 2)) / (t + 1)
    bet = np.minimum(np.sqrt(2 * log / (np.concatenate(([0.25], variance[:-1])) * t * np.log1p(t))), 0.5)
    total = np.cumsum(bet)
    centre = np.cumsum(bet * u) / total
    # v ψ(λ) with v = 4 (u − mean before)² and ψ(λ) = (−log(1 − λ) − λ)/4
    radius = (log + np.cumsum((u - before) ** 2 * (-np.log1p(-bet) - bet))) / total
    lower = np.maximum.accumulate(np.clip(centre - radius, 0, 1))
    upper = np.minimum.accumulate(np.clip(centre + radius, 0, 1))
    return Limits(low + (high - low) * lower, low + (high - low) * upper)


def hoeffding_slack(n: int, beta: float, width: float = 1.0) -> float:
    """Shortfall of a mean that has probability ≤ β.

    The mean is that of n independent observations, the distance is below its expectation.

    Hoeffding's inequality: width·√(ln(1/β)/(2n)).

    Examples
    --------
    >>> round(16 / 15 * hoeffding_slack(10_000, 1e-6), 3)
    0.028
    """
    return width * math.sqrt(math.log(1 / beta) / (2 * n))

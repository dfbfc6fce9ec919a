"""How much more would decide: a rate that rises with a factor, and where it reaches its goal."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from cogfit.formulas.form import Array
from cogfit.native import distributions

_CEILINGS = np.array([0.85, 0.89, 0.93, 0.97])  # share that is supported at best: a true law is refused now and then
_SLOPES = np.geomspace(0.3, 6.0, 25)  # of the normal quantile of the rate in log factor
_SHIFTS = np.linspace(-6.0, 6.0, 121)  # log factor at which half of the ceiling is reached
_TYPICAL = 1.5  # slope that is likely before anything is known, within a factor of 2
_MOST_AT_ONCE = 6.0  # times the largest factor tried that the next may be
_LEVEL = 0.9  # of the limits that the simulations leave open


@dataclass(frozen=True)
class Trial:
    """How many curves were supported at a factor."""

    factor: float
    hits: int
    curves: int


@dataclass
class RisingRate:
    """A rate as a function of a factor, learned from simulations.

    The rate is c·Φ(b·(ln factor − a)): c, b and a are taken from grids, each as likely as the trials make it.

    Attributes
    ----------
    goal : float
        Rate that is looked for, below 0.85.
    trials : list of Trial

    Examples
    --------
    >>> rate = RisingRate(0.8, [Trial(1.0, 30, 100), Trial(3.0, 85, 100)])
    >>> 2.0 < rate.factor() < 4.0
    True
    """

    goal: float
    trials: list[Trial] = field(default_factory=list)

    def _posterior(self) -> tuple[Array, Array]:
        """Log factor at which the goal is reached, and how likely, over the grid."""
        ceiling, slope, shift = np.meshgrid(_CEILINGS, _SLOPES, _SHIFTS, indexing="ij")
        log_weight = -0.5 * (np.log(slope / _TYPICAL) / math.log(2.0)) ** 2
        for one in self.trials:
            rate = ceiling * distributions.normal_cdf(slope * (math.log(one.factor) - shift))
            rate = np.clip(rate, 1e-9, 1.0 - 1e-9)
            log_weight = log_weight + one.hits * np.log(rate) + (one.curves - one.hits) * np.log1p(-rate)
        reached = shift + distributions.normal_quantile(self.goal / ceiling) / slope
        weight = np.exp(log_weight - log_weight.max())
        order = np.argsort(reached, axis=None)
        return reached.ravel()[order], (weight / weight.sum()).ravel()[order]

    def _quantile(self, share: float) -> float:
        reached, weight = self._posterior()
        return float(np.exp(reached[np.searchsorted(np.cumsum(weight), share).clip(0, reached.size - 1)]))

    def factor(self) -> float:
        """Factor at which the goal is reached, the median."""
        return self._quantile(0.5)

    def limits(self) -> tuple[float, float]:
        """Limits that the simulations leave open (90 %)."""
        return self._quantile(0.5 - 0.5 * _LEVEL), self._quantile(0.5 + 0.5 * _LEVEL)

    def next_factor(self, most: float) -> float:
        """Factor to try next.

        Where the goal is thought to be reached, but not far beyond what was tried.
        """
        tried = max((one.factor for one in self.trials), default=1.0)
        return min(max(self.factor(), 1.0), _MOST_AT_ONCE * tried, most)

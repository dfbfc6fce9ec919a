"""Profile likelihood of one parameter, and what it says.

The likelihood ratio is calibrated by the case in which its law is known exactly: members measured equally well, where
means follow Student's t and variances χ², both with one degree of freedom less than there are members.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cogfit.formulas.form import Array
from cogfit.native.distributions import chi2_quantile, student_quantile
from cogfit.population.maximise import Maximum
from cogfit.population.objective import Objective
from cogfit.records.codec import Document

_STEP = 0.9  # of the walk along a profile, in standard errors
_MOST_STEPS = 24
_FARTHEST = 3.2  # signed root of the likelihood ratio at which the walk ends
_CLOSE = 5e-3  # expected gain of log-likelihood at which the last step is taken on trust: its error is far smaller
_NEWTON = 8


@dataclass(frozen=True, eq=False)
class Profile(Document):
    """Signed root of the likelihood ratio along a parameter.

    Attributes
    ----------
    values : ndarray
        Of the parameter, ascending.
    roots : ndarray
        ±√(2 Δ log-likelihood), ascending through 0 at the estimate.
    """

    values: Array
    roots: Array

    def at(self, roots: Array) -> Array:
        """Values of the parameter at signed roots.

        Beyond the ends the profile goes on in a straight line; a standard deviation ends at its own limit.
        """
        from scipy.interpolate import PchipInterpolator

        if self.values.size < 2 or np.ptp(self.values) == 0.0:
            return np.full(np.shape(roots), self.values[0])
        inside = PchipInterpolator(self.roots, self.values)(np.clip(roots, self.roots[0], self.roots[-1]))
        low = np.minimum(roots - self.roots[0], 0.0) * np.diff(self.values[:2]) / np.diff(self.roots[:2])
        high = np.maximum(roots - self.roots[-1], 0.0) * np.diff(self.values[-2:]) / np.diff(self.roots[-2:])
        return np.asarray(inside + low + high)


def parabola_of(maximum: Maximum, index: int, lowest: float = -math.inf) -> Profile:
    """Profile of very many members, a parabola."""
    stderr = math.sqrt(max(float(maximum.covariance[index, index]), 0.0))
    roots = np.linspace(-_FARTHEST, _FARTHEST, 9)
    values = float(maximum.theta[index]) + stderr * roots
    keep = values >= lowest
    return Profile(values[keep], roots[keep])


def profile_of(objective: Objective, maximum: Maximum, index: int, lowest: float = -math.inf) -> Profile:
    """Walk along a parameter, the others at their best.

    Parameters
    ----------
    objective : Objective
    maximum : Maximum
    index : int
        Of the parameter.
    lowest : float
        Value at which the walk ends: 0 for a standard deviation.
    """
    top = objective.value(maximum.theta)
    stderr = math.sqrt(max(float(maximum.covariance[index, index]), 0.0))
    centre = float(maximum.theta[index])
    values, roots = [centre], [0.0]
    for sign in (-1.0, 1.0) if stderr > 0.0 and math.isfinite(stderr) else ():
        theta, reached = maximum.theta, 0.0
        for _ in range(_MOST_STEPS):
            if reached >= _FARTHEST or (sign < 0.0 and theta[index] <= lowest):
                break
            value = max(float(theta[index]) + sign * _STEP * stderr, lowest)
            theta, there = _best_others(objective, maximum.covariance, theta, index, value)
            root = math.sqrt(max(0.0, 2.0 * (top - there)))
            if not math.isfinite(there) or root <= reached:
                break  # the profile cannot be followed any further
            values.append(value)
            roots.append(sign * root)
            reached = root
    order = np.argsort(values)
    return Profile(np.array(values)[order], np.array(roots)[order])


def _best_others(
    objective: Objective, covariance: Array, theta: Array, index: int, value: float
) -> tuple[Array, float]:
    """Best other parameters at a fixed value of one.

    Newton steps with the curvature at the maximum, halved where they do not help.
    """
    along = covariance[:, index] / covariance[index, index]
    others = covariance - np.outer(along, covariance[index])
    theta = theta + along * (value - theta[index])
    theta[index] = value
    there = objective.value(theta)
    for _ in range(_NEWTON):
        gradient = objective.gradient(theta)
        step = others @ gradient
        gain = 0.5 * float(step @ gradient)
        if not math.isfinite(gain):
            break
        if gain < _CLOSE:
            return theta + step, there + gain
        for _ in range(4):
            trial = objective.value(theta + step)
            if trial > there:
                break
            step = 0.5 * step
        else:
            break
        theta, there = theta + step, trial
        theta[index] = value
    return theta, there


# ------------------------------------------------------------------------------------------------- calibration


@dataclass(frozen=True)
class Calibration:
    """Law of the signed roots for equally well measured members.

    Attributes
    ----------
    n_members : int
    is_restricted : bool
        Whether the likelihood is a restricted one.
    """

    n_members: int
    is_restricted: bool

    @property
    def degrees_of_freedom(self) -> int:
        """Those of the variance between members."""
        return self.n_members - 1

    @property
    def _size(self) -> float:
        return float(self.degrees_of_freedom if self.is_restricted else self.n_members)

    def mean_root(self, probability: float) -> float:
        """Signed root below which that of the true mean lies.

        With this probability.
        """
        t = student_quantile(probability, self.degrees_of_freedom)
        return math.copysign(math.sqrt(self._size * math.log1p(t * t / self.degrees_of_freedom)), t)

    def spread_root(self, probability: float) -> float:
        """The same for the standard deviation between members.

        The variance of the sample in units of the true one is χ²; a large true value makes it small.
        """
        ratio = chi2_quantile(1.0 - probability, self.degrees_of_freedom) / self._size
        return math.copysign(math.sqrt(max(0.0, self._size * (ratio - 1.0 - math.log(ratio)))), 1.0 - ratio)


def interval_of(profile: Profile, calibration: Calibration, level: float, *, is_spread: bool) -> tuple[float, float]:
    """Limits of a confidence interval from a profile."""
    tail = 0.5 * (1.0 - level)
    root = calibration.spread_root if is_spread else calibration.mean_root
    low, high = profile.at(np.array([root(tail), root(1.0 - tail)]))
    return (max(float(low), 0.0), max(float(high), 0.0)) if is_spread else (float(low), float(high))


def confidence_quantiles(profile: Profile, calibration: Calibration, probabilities: Array, *, is_spread: bool) -> Array:
    """Upper limits of one-sided intervals at many levels.

    They are a distribution that carries what the data say of the parameter.
    """
    root = calibration.spread_root if is_spread else calibration.mean_root
    values = profile.at(np.array([root(float(probability)) for probability in probabilities]))
    return np.maximum(values, 0.0) if is_spread else values

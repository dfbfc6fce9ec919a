"""What drives the switches of patterns: training time, exposures, layer or head.

A survival regression of switch times (:mod:`cogfit.inference.survival`) in which patterns that never switch are
right-censored and patterns that are low from their first row are left-censored. Leaving them out would condition on the
outcome: of rare patterns only those that switch early are seen to switch, and the slope goes to 0.

Time counts the training steps under the clock and the exposures under exposures. With slope β of log time on log
frequency f, and θ = −β held within 0 and 1, it is (1 − θ)·step + θ·k/f. Both ends are exact, however late a pattern is
first seen and however unevenly it is presented; and for patterns that are shown evenly from the start k/f is the step,
so that the model is the usual one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogfit.curves.trajectories import Alignment, Covariate
from cogfit.formulas.form import Array
from cogfit.inference.survival import (
    FEWEST,
    LAWS,
    Law,
    Profile,
    Regression,
    Times,
    best_law,
    covariance,
    likelihood_cutoff,
    maximise,
)
from cogfit.native import distributions

_GRID = np.array([-8.0, -3.0, -1.75, -1.25, -1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.75, 2.0, 7.0])
"""Slopes from which the search for the maximum and the limits starts.

What lies beyond is called unknown: frequencies are then too similar to tell a slope of 0 from one of −1.
"""

_EVENTS_PER_COLUMN = 5  # switches for each coefficient of a regression on layers and heads


@dataclass(frozen=True)
class Switches:
    """Places of the switches of trajectories.

    Attributes
    ----------
    step, k : ndarray, shape (…, n)
        Training steps and exposures in the middle between the last row that is high and the first that is low; of the
        last row where a trajectory never comes down, of the first where it is low from the start.
    resolution : ndarray, shape (…, n)
        Exposures between these two rows.
    is_never, is_low : ndarray of bool, shape (…, n)
        Whether the trajectory never comes down, or is low from the start.
    frequency : ndarray, shape (…, n)
        Exposures per step.
    """

    step: Array
    k: Array
    resolution: Array
    is_never: NDArray[np.bool_]
    is_low: NDArray[np.bool_]
    frequency: Array

    @property
    def log_frequency(self) -> Array:
        """About its mean."""
        x = np.log(self.frequency)
        return np.asarray(x - x.mean(axis=-1, keepdims=True))

    def take(self, logs: NDArray[np.bool_]) -> Switches:
        """Those of some of the logs."""
        return Switches(*(getattr(self, field.name)[logs] for field in fields(self)))

    def times(self, slope: Array) -> Times:
        """Times as they count under each slope.

        Slopes of shape (…, g) give times of shape (…, g, n).

        The interval of a switch has the same width under all slopes, that of its exposures at the mean rate. (With the
        time that passed between both rows the gaps would decide: a step of the clock falls into long ones.)
        """
        share = np.clip(-slope, 0.0, 1.0)[..., None]
        step, k, rate = (a[..., None, :] for a in (self.step, self.k, self.frequency))
        is_never, is_low = self.is_never[..., None, :], self.is_low[..., None, :]
        time = (1.0 - share) * step + share * k / rate
        half_width = np.where(is_never | is_low, 0.0, 0.5 * self.resolution[..., None, :] / rate)
        lower = np.where(is_low, 0.0, np.maximum(time - half_width, 0.0))
        return Times.between(lower, np.where(is_never, np.inf, time + half_width))


@dataclass(frozen=True)
class Slopes:
    """Slope of log switch time on log frequency.

    Attributes
    ----------
    estimate, low, high : ndarray, shape (…,)
    law : ndarray of int, shape (…,)
        Number in :data:`cogfit.inference.survival.LAWS`.
    """

    estimate: Array
    low: Array
    high: Array
    law: NDArray[np.int64]


def estimate_slopes(
    switches: Switches, columns: Array | None = None, level: float = 0.95, inflation: float = 1.0
) -> Slopes:
    """Estimate the slope with limits from its profile likelihood.

    Parameters
    ----------
    switches : Switches
        Of any number of logs with equally many trajectories, along leading axes.
    columns : ndarray, shape (n, p), optional
        What else the time depends on, the constant first; the same in all logs.
    level : float
    inflation : float
        Variance of the slope relative to that of independent trajectories.

    Returns
    -------
    Slopes
    """
    shape = switches.frequency.shape
    columns = np.ones((shape[-1], 1)) if columns is None else columns
    cutoff = inflation * likelihood_cutoff(level, shape[-1], 1 + columns.shape[-1])
    grid = np.broadcast_to(_GRID, (*shape[:-1], _GRID.size))
    usual, *others = (_Likelihood(law, switches, columns) for law in LAWS.values())
    profile = Profile.of(usual, grid)

    # laws are compared where the usual one is best
    top = profile.around_peak()
    chosen = best_law([profile.loglik.max(axis=-1), *(other(top).max(axis=-1) for other in others)])

    # the limits are searched for under the law that was chosen
    out = np.empty((3, *shape[:-1]))
    for number, law in enumerate(LAWS.values()):
        mine = chosen == number
        if mine.any():
            loglik = _Likelihood(law, switches.take(mine), columns)
            start = Profile.of(loglik, grid[mine]) if number else profile.take(mine)
            refined = start.refined(loglik, cutoff)
            out[:, mine] = np.stack([refined.peak(), *refined.limits(cutoff)])
    return Slopes(out[0], out[1], out[2], chosen)


@dataclass(frozen=True)
class _Likelihood:
    """Profile log-likelihood of the slope."""

    law: Law
    switches: Switches
    columns: Array

    def __call__(self, slope: Array) -> Array:
        x = self.switches.log_frequency[..., None, :]
        times = self.switches.times(slope).shifted(slope[..., None] * x)
        return maximise(self.law, times, self.columns, x).loglik


@dataclass(frozen=True)
class Drivers:
    """What drives the switches of one log.

    Attributes
    ----------
    alignment : Alignment
    covariates : tuple of Covariate
        Frequency first; empty where the slope is unknown.
    """

    alignment: Alignment
    covariates: tuple[Covariate, ...] = ()


def find_drivers(
    switches: Switches, factors: Mapping[str, NDArray[Any]], clusters: NDArray[Any], level: float = 0.95
) -> Drivers:
    """Regress switch times on frequency, layer and head.

    Parameters
    ----------
    switches : Switches
        Shape (n,).
    factors : mapping of str to ndarray, shape (n,)
        Labels of every trajectory, by factor; the first label of each is the reference. They are left out where there
        are fewer than five switches for each coefficient.
    clusters : ndarray, shape (n,)
        Trajectories with the same label (a pattern in several layers) are not independent.
    level : float

    Returns
    -------
    Drivers
        All is unknown for fewer than three switches, or equal frequencies.
    """
    switched = int((~switches.is_never & ~switches.is_low).sum())
    censored = int(switches.is_never.sum())
    if switched < FEWEST or float(np.ptp(switches.log_frequency)) < 1e-9:
        return Drivers(Alignment(math.nan, -math.inf, math.inf, switched=switched, censored=censored))
    names, columns = _design(factors, clusters.size, switched)
    slopes = estimate_slopes(switches, columns, level)
    law = list(LAWS.values())[int(slopes.law)]
    regression = _Regression.at(float(slopes.estimate), law, switches, columns)
    inflation = regression.inflation(clusters)
    if inflation > 1.0:
        slopes = estimate_slopes(switches, columns, level, inflation)
    low, high = float(slopes.low), float(slopes.high)
    is_known = math.isfinite(low) or math.isfinite(high)
    estimate = float(slopes.estimate) if is_known else math.nan
    alignment = Alignment(estimate, low, high, law=law.name, switched=switched, censored=censored)
    if not is_known:
        return Drivers(alignment)
    doubled = Covariate("frequency", *(2.0**slope for slope in (estimate, low, high)))
    return Drivers(alignment, (doubled, *regression.ratios(names, clusters, level)))


def _design(factors: Mapping[str, NDArray[Any]], size: int, switched: int) -> tuple[list[str], Array]:
    """The constant, and a column for every label but the first."""
    levels = [(factor, label) for factor, labels in factors.items() for label in np.unique(labels)[1:]]
    if _EVENTS_PER_COLUMN * (2 + len(levels)) > switched:
        levels = []
    columns = [np.ones(size), *((factors[factor] == label).astype(float) for factor, label in levels)]
    return [f"{factor} {label}" for factor, label in levels], np.stack(columns, axis=-1)


@dataclass(frozen=True)
class _Regression:
    """Regression with the frequency as the last column.

    Time counts as it does under the estimated slope.
    """

    fit: Regression
    times: Times
    columns: Array
    spread: Array

    @classmethod
    def at(cls, slope: float, law: Law, switches: Switches, columns: Array) -> _Regression:
        """Fit it."""
        times = switches.times(np.array([slope]))
        x = switches.log_frequency
        problem = (Times(times.lower[0], times.upper[0]), np.column_stack([columns, x]), x)
        return cls(maximise(law, *problem), *problem)

    def covariance(self, clusters: NDArray[Any]) -> Array:
        """Of the coefficients."""
        return covariance(self.fit, self.times, self.columns, self.spread, clusters)

    def inflation(self, clusters: NDArray[Any]) -> float:
        """Variance of the slope over that of independent trajectories, at least 1."""
        if np.unique(clusters).size == clusters.size:
            return 1.0
        alone, together = (self.covariance(c)[-1, -1] for c in (np.arange(clusters.size), clusters))
        return max(1.0, together / alone) if math.isfinite(alone) else 1.0

    def ratios(self, names: Sequence[str], clusters: NDArray[Any], level: float) -> Iterator[Covariate]:
        """Time ratios of layers and heads, with limits from the information."""
        units = np.unique(clusters).size
        t = distributions.student_quantile(0.5 + 0.5 * level, max(units - self.columns.shape[-1], 1))
        errors = np.sqrt(np.diagonal(self.covariance(clusters)))
        for i, name in enumerate(names, start=1):
            value, width = float(self.fit.coefficients[i]), t * float(errors[i])
            with np.errstate(over="ignore"):
                yield Covariate(name, *map(float, np.exp([value, value - width, value + width])))

"""Errors that repeat with every epoch.

A log over several passes through the same data has a pattern that returns: a sawtooth, for example, as what was seen
before is better known. Within an epoch it is a polynomial, and it may jump where an epoch ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from cogfit.formulas.form import Array
from cogfit.inference.transition_levels import Null, Series
from cogfit.inference.transition_steps import effects, steps

_FEWEST = 3.0  # epochs
_SHORTEST = 4.0  # points of an epoch
_HARMONICS = 5
_PADDING = 8  # times as many frequencies as points
_HIGHEST = 8  # multiple of the true frequency that may stand out instead of it
_CANDIDATES = 4  # periods that are looked at, at the most
_STANDS_OUT = 3.0  # times the mean power that the harmonics of a candidate must have
# ranges of periods (in cycles over the whole curve) and phases (in epochs), the coarsest first
_SEARCHES = (
    (0.5, np.linspace(0.0, 1.0, 24, endpoint=False)),
    (0.12, np.linspace(-0.08, 0.08, 13)),
    (0.03, np.linspace(-0.02, 0.02, 9)),
)
_DEGREE = 3
_PARAMETERS = 3  # of a sawtooth: size, period and phase
_EVIDENCE = 6.0  # log-likelihood, beyond BIC's price, by which a period must be better than none


@dataclass(frozen=True)
class Season:
    """Errors with a period, and where an epoch begins, on the axis of x."""

    period: float
    begin: float

    def rows(self, series: Series) -> Array:
        """Powers of the share of an epoch, (degree, n).

        They are times √weight.
        """
        ramp = _ramps(series.x, np.array([self.period]), np.array([self.begin]))[0]
        return np.stack([ramp**k for k in range(1, _DEGREE + 1)]) * series.root


def _ramps(x: Array, periods: Array, begins: Array) -> Array:
    """Shares of epochs, less a half, (seasons, n)."""
    cycles = (x - begins[:, None]) / periods[:, None] + 1e-9  # a point where an epoch begins belongs to it
    return np.asarray(cycles - np.floor(cycles) - 0.5)


def find_season(series: Series, null: Null) -> Season | None:
    """Find the period of the errors.

    None where there is none, or where points are not evenly spaced.
    """
    gaps = np.diff(series.x)
    spacing = float(np.median(gaps))
    if np.mean(np.abs(gaps - spacing) > 1e-6 * spacing) > 0.02:
        return None
    left = null.residual - null.mean.rows.T @ (null.mean.rows @ null.residual)
    without = null.mean.max_loglik(null.residual)

    def fits(periods: Iterable[float]) -> list[tuple[float, Season]]:
        return [_fit_phase(series, null, period, without) for period in periods]

    found = max(fits(spacing * _candidates(left)), key=lambda fit: fit[0], default=None)
    if found is None or found[0] < _EVIDENCE:
        return None
    # what stands out may be a multiple of the true frequency
    multiples = found[1].period * np.arange(2.0, _HIGHEST + 1.0)
    longer = fits(multiples[multiples <= np.ptp(series.x) / _FEWEST].tolist())
    gain, season = max([found, *longer], key=lambda fit: fit[0])
    return season if gain > 0.5 * _PARAMETERS * math.log(series.x.size) + _EVIDENCE else None


def without_season(series: Series, null: Null, season: Season) -> Series:
    """Take the season out of a curve.

    It stays a free part of the mean.
    """
    rows = season.rows(series)
    size = effects(np.concatenate([null.mean.rows, rows]), null.residual)[-len(rows) :]
    y = series.y - size @ rows / series.root
    x, points, w = series.points
    moved = points + (y - series.y)[series.label]
    return replace(series, y=y, points=(x, moved, w), nuisance=np.concatenate([series.nuisance, rows]))


def _candidates(residual: Array) -> Array:
    """Periods whose harmonics stand out of the spectrum.

    They are in points, the spectrum that of whitened residuals.
    """
    n = residual.size
    rho = min(max(float(residual[1:] @ residual[:-1]) / max(float(residual @ residual), 1e-300), 0.0), 0.98)
    white = residual[1:] - rho * residual[:-1]
    power = np.abs(np.fft.rfft(white - white.mean(), _PADDING * n)) ** 2
    first, last = math.ceil(_PADDING * _FEWEST), int(_PADDING * n / _SHORTEST)
    if last <= first or not power.any():
        return np.zeros(0)
    fundamental = np.arange(first, last)
    place = np.arange(1, _HARMONICS + 1)[:, None] * fundamental
    inside = place < power.size
    comb = np.where(inside, power[np.minimum(place, power.size - 1)], 0.0).sum(axis=0) / inside.sum(axis=0)
    comb /= power.mean()
    if comb.max() < _STANDS_OUT:
        return np.zeros(0)
    # multiples of the true frequency stand out as much as itself, so the lowest peak comes first
    low = int(np.argmax(comb > max(_STANDS_OUT, 0.6 * float(comb.max()))))
    low += int(comb[low : low + _PADDING].argmax())
    chosen = [int(fundamental[low])]
    for k in np.argsort(-comb):
        if comb[k] < _STANDS_OUT or len(chosen) == _CANDIDATES:
            break
        if all(abs(fundamental[k] - other) > _PADDING for other in chosen):
            chosen.append(int(fundamental[k]))
    return _PADDING * n / np.array(chosen, dtype=float)


def _fit_phase(series: Series, null: Null, period: float, without: float) -> tuple[float, Season]:
    """Find the best period and phase of a sawtooth.

    Its gain in log-likelihood comes first.
    """
    gain, season, none = -math.inf, Season(period, float(series.x[0])), np.zeros(0, dtype=np.intp)
    count = float(np.ptp(series.x)) / period
    for width, phases in _SEARCHES:
        tried = season.period / (1.0 + width / count * np.linspace(-1.0, 1.0, 5))
        periods, shares = (grid.ravel() for grid in np.meshgrid(tried, phases))
        begins = season.begin + periods * shares
        ramps = _ramps(series.x, periods, begins)
        logliks = steps(null.mean, series.root, none, ramps).max_logliks(null.mean, null.residual)
        best = int(logliks.argmax())
        if logliks[best] - without > gain:
            gain, season = float(logliks[best]) - without, Season(float(periods[best]), float(begins[best]))
        if gain < 0.5 * _EVIDENCE:
            break  # finer searches will not help
    return gain, season

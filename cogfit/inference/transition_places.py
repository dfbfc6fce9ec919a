"""Where a change of level is, with limits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cogfit.engine.arma import WHITE, Arma
from cogfit.formulas.form import Array
from cogfit.inference.error_models import innovations, simulated, unevenness
from cogfit.inference.transition_evidence import STEEPNESS, estimate_errors
from cogfit.inference.transition_levels import Null, Series, Shape, gradual
from cogfit.inference.transition_steps import Candidates, Mean, effects, loglik, peak, steps

_CHI_SQUARE = 1.92  # half of the 95 % quantile of χ² with one degree of freedom
_LOCATED = 199  # replicates behind the interval of a location


def _gaps(series: Series) -> tuple[Array, Array]:
    """Gaps between neighbouring inner points.

    Their middles (log), and the steepness of a change that takes half of the gap.
    """
    inner = series.x[series.trim - 1 : series.x.size - series.trim + 1]
    return np.log(0.5 * (inner[1:] + inner[:-1])), 2.0 * math.log(81.0) / np.diff(np.log(inner))


def locate(series: Series, null: Null, start: Shape) -> Shape:
    """Location and steepness of a change by maximum likelihood.

    A grid, then finer ones about its best point.
    """
    lx, (gaps, steepest), none = np.log(series.x), _gaps(series), np.zeros(0, dtype=np.intp)

    def logliks(location: Array, s: Array) -> Array:
        columns = steps(null.mean, series.root, none, gradual(lx, location, s))
        return columns.max_logliks(null.mean, null.residual)

    def near(location: float, count: int) -> NDArray[np.intp]:
        return np.asarray(np.clip(np.searchsorted(gaps, location) + np.arange(-count, count + 1), 0, gaps.size - 1))

    centre = math.log(start.t50)
    jumps = near(centre, 6)
    q, s = (g.ravel() for g in np.meshgrid(centre + np.linspace(-0.6, 0.6, 25), np.geomspace(2.5, 60.0, 8)))
    q, s = np.append(q, gaps[jumps]), np.append(s, steepest[jumps])
    best, width, factor = (-math.inf, 0.0, 0.0), 0.03, 1.6
    for _ in range(6):
        q = np.clip(q, gaps[0], gaps[-1])
        lowest_s = math.log(9.0) / np.minimum(q - lx[0], lx[-1] - q)  # 10 and 90 % lie within the data
        s = np.clip(s, lowest_s, steepest[np.clip(np.searchsorted(gaps, q), 0, gaps.size - 1)])
        value = logliks(q, s)
        highest = int(value.argmax())
        best = max(best, (float(value[highest]), float(q[highest]), float(s[highest])))
        fan = np.linspace(-1.0, 1.0, 7)
        q, s = (g.ravel() for g in np.meshgrid(best[1] + width * fan, best[2] * factor**fan))
        width, factor = width / 2.5, math.sqrt(factor)
    jumps = near(best[1], 6)
    sharp = logliks(gaps[jumps], steepest[jumps]).max() > best[0] - _CHI_SQUARE
    return Shape(math.exp(best[1]), best[2], bool(sharp))


@dataclass(frozen=True)
class _Scan:
    """Changes at many places and of several steepness, and their likelihoods.

    Attributes
    ----------
    series : Series
    null : Null
    filter : Arma
        What the likelihood, which knows AR(1) errors only, is taken after: a whitening by errors of a higher order.
    mean : Mean
        That of the null, filtered.
    places, tried : ndarray
        Places on the log axis, the estimate first; steepness, that of the estimate first.
    candidates : Candidates
    logliks : ndarray, shape (places, steepness)
    """

    series: Series
    null: Null
    filter: Arma
    mean: Mean
    places: Array
    tried: Array
    candidates: Candidates
    logliks: Array

    @classmethod
    def about(cls, series: Series, null: Null, shape: Shape) -> _Scan:
        """Scan where a change may lie, roughly, then finely."""
        gaps, _ = _gaps(series)
        centre = math.log(shape.t50)
        # Errors that wander make gradual changes look abrupt, so gentler ones are asked, too.
        gentler = [s for s in STEEPNESS if s < 0.6 * shape.s]
        tried = np.array([shape.s, 0.6 * shape.s, 1.7 * shape.s, *gentler])
        errors = _errors_beside(series, null, shape)[0]
        used = errors if sum(errors.order) > 1 else WHITE
        mean = null.mean if used.white else Mean.from_rows(used.whiten(null.mean.rows))
        stride = -(-gaps.size // 80)
        rough = cls._at(series, null, used, mean, np.append(centre, gaps[::stride]), tried)
        inside = rough.places[rough.profile > rough.profile.max() - 8.0]
        a, b = np.searchsorted(gaps, [inside.min(), inside.max()]) + np.array([-stride, stride])
        region = gaps[max(int(a), 0) : int(b) + 1]
        places = np.append(centre, region[:: -(-region.size // 60)])
        return cls._at(series, null, used, mean, places, tried)

    @classmethod
    def _at(cls, series: Series, null: Null, errors: Arma, mean: Mean, places: Array, tried: Array) -> _Scan:
        """Evaluate the likelihood of each change."""
        columns = _columns(series, mean, errors, places, tried)
        scan = cls(series, null, errors, mean, places, tried, columns, np.zeros(0))
        logliks = scan.candidates.max_logliks(mean, scan._filtered(null.residual[None])[0])
        return replace(scan, logliks=logliks.reshape(places.size, tried.size))

    def _filtered(self, rows: Array) -> Array:
        return rows if self.filter.white else self.filter.whiten(rows)

    @property
    def profile(self) -> Array:
        """Largest log-likelihood at each place."""
        return np.asarray(self.logliks.max(axis=1))

    def shapes(self) -> Iterator[Shape]:
        """The estimate, and the gentlest change not refused."""
        best = self.logliks.max(axis=0)
        plausible = [i for i in np.argsort(self.tried) if best[i] >= best.max() - _CHI_SQUARE]
        yield Shape(math.exp(self.places[0]), float(self.tried[0]))
        if plausible and plausible[0] != 0:
            gentlest = plausible[0]
            place = float(self.places[self.logliks[:, gentlest].argmax()])
            yield Shape(math.exp(place), float(self.tried[gentlest]))

    def cutoff(self, shape: Shape, level: float, rng: np.random.Generator) -> float:
        """Quantile of the gain over the true place.

        It is found in curves with the given change.
        """
        series, null = self.series, self.null
        errors, innovation, count = _errors_beside(series, null, shape)
        noise = math.sqrt(float(innovation @ innovation) / max(innovation.size - count, 1))
        column = shape.column(series)
        size = effects(np.stack([*null.mean.rows, column]), null.residual)[-1]
        curves = size * column + simulated(errors, math.inf, noise * unevenness(innovation), _LOCATED, rng)
        curves = self._filtered(curves)
        place = np.array([math.log(shape.t50)])
        true_place = _columns(series, self.mean, self.filter, place, self.tried)
        rss, u = self.mean.project(curves)
        best, true = (peak(loglik(rss - c.gains(curves, u), innovation.size)) for c in (self.candidates, true_place))
        return float(np.quantile(np.maximum(best - true, 0.0), level))


def _errors_beside(series: Series, null: Null, shape: Shape) -> tuple[Arma, Array, int]:
    """Errors beside a change and its tangents, their innovations, and the rows of the mean."""
    slopes = [Shape(shape.t50 * f, shape.s * g).column(series) for f, g in ((1.001, 1.0), (1.0, 1.1))]
    full = Mean.from_rows(np.stack([*null.mean.rows, shape.column(series), *slopes]))
    errors = estimate_errors(null.residual, full)
    return errors, innovations(null.residual, full.rows, errors), len(full.rows)


def _columns(series: Series, mean: Mean, errors: Arma, places: Array, tried: Array) -> Candidates:
    """Changes at every place, of every steepness, but none steeper than a jump."""
    gaps, steepest = _gaps(series)
    limit = steepest[np.clip(np.searchsorted(gaps, places), 0, gaps.size - 1)]
    s = np.minimum(tried[:, None], limit).T.ravel()
    rows = gradual(np.log(series.x), np.repeat(places, tried.size), s) * series.root
    rows = rows if errors.white else errors.whiten(rows)
    return steps(mean, np.ones(series.x.size), np.zeros(0, dtype=np.intp), rows)


def find_limits(
    series: Series, null: Null, shape: Shape, level: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Limits of a location.

    The likelihood ratio inverted at its quantile in curves with that change, or with the gentlest one that the data do
    not refuse: it is the harder to locate. The cutoff is never less than χ² asks for.
    """
    scan = _Scan.about(series, null, shape)
    cutoff = max(_CHI_SQUARE, *(scan.cutoff(change, level, rng) for change in scan.shapes()))
    allowed = np.append(scan.places[0], scan.places[scan.profile >= scan.profile.max() - cutoff])
    # A jump may lie anywhere between two points, so the limits are points.
    lx = np.log(series.x)
    low = series.x[max(int(np.searchsorted(lx, allowed.min())) - 1, 0)]
    return float(low), float(series.x[min(int(np.searchsorted(lx, allowed.max())), lx.size - 1)])

"""Where a change of level is: its location and the limits of it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cogfit.formulas.form import Array
from cogfit.inference.error_models import innovations, simulated, unevenness
from cogfit.inference.transition_evidence import estimate_errors
from cogfit.inference.transition_levels import Null, Series, Shape, gradual
from cogfit.inference.transition_steps import Candidates, Mean, loglik, peak, steps

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


def find_limits(
    series: Series, null: Null, shape: Shape, level: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Limits of a location.

    The likelihood ratio inverted at its quantile in curves with that change.
    """
    lx, (gaps, steepest), centre = np.log(series.x), _gaps(series), math.log(shape.t50)

    def columns(location: Array) -> Candidates:
        steepest_there = steepest[np.clip(np.searchsorted(gaps, location), 0, gaps.size - 1)]
        s = np.minimum(shape.s * np.array([[0.6], [1.0], [1.7]]), steepest_there).T.ravel()
        rows = gradual(lx, np.repeat(location, 3), s)
        return steps(null.mean, series.root, np.zeros(0, dtype=np.intp), rows)

    def logliks(candidates: Candidates) -> Array:
        return np.asarray(candidates.max_logliks(null.mean, null.residual).reshape(-1, 3).max(axis=1))

    # Roughly where it may lie, then at most 60 places there, of which the first is the estimate.
    stride = -(-gaps.size // 80)
    rough = np.append(centre, gaps[::stride])
    value = logliks(columns(rough))
    inside = rough[value > value.max() - 8.0]
    a, b = np.searchsorted(gaps, [inside.min(), inside.max()]) + np.array([-stride, stride])
    region = gaps[max(int(a), 0) : int(b) + 1]
    places = np.append(centre, region[:: -(-region.size // 60)])
    candidates = columns(places)

    # errors beside the change and its tangents; curves with that change, and how far the best place beats the true one
    column = shape.column(series)
    slopes = [Shape(shape.t50 * f, shape.s * g).column(series) for f, g in ((1.001, 1.0), (1.0, 1.1))]
    full = Mean.from_rows(np.stack([*null.mean.rows, column, *slopes]))
    errors = estimate_errors(null.residual, full)
    innovation = innovations(null.residual, full.rows, errors)
    noise = math.sqrt(float(innovation @ innovation) / max(innovation.size - len(full.rows), 1))
    y = null.sizes[-1] * column + simulated(errors, math.inf, noise * unevenness(innovation), _LOCATED, rng)
    rss, u = null.mean.project(y)
    best, true = (peak(loglik(rss - candidates.gains(y, u, m), innovation.size)) for m in (None, 3))
    cutoff = max(float(np.quantile(best - true, level)), _CHI_SQUARE)

    # where the likelihood ratio is no larger; never less than χ² asks for
    value = logliks(candidates)
    allowed = np.append(centre, places[value >= value.max() - cutoff])
    # A jump may lie anywhere between two points, so the limits are points.
    low = series.x[max(int(np.searchsorted(lx, allowed.min())) - 1, 0)]
    return float(low), float(series.x[min(int(np.searchsorted(lx, allowed.max())), lx.size - 1)])

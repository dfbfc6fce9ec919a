"""γ over windows: a power law has the same exponent wherever it is looked at; a local slope has not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine import estimate, separable
from cogfit.formulas.form import Array
from cogfit.formulas.registry import POWER, get_form
from cogfit.inference.profile import quick_interval
from cogfit.inference.residuals import in_order
from cogfit.records.codec import Document, High, Low, Nan
from cogfit.records.sentence import say

_EDGES = 6
_LEAST_RATIO = 3.0  # of the ends of a window: over less, the slope says little
_LEAST_POINTS = 8
_BINS = 300
_REPLICATES = 100


@dataclass(frozen=True)
class Window(Document):
    """The power law fitted to part of the curve.

    Attributes
    ----------
    x_min, x_max : float
        Ends of the window, on the axis of x.
    n : int
        Points in it.
    gamma, low, high : float
        Exponent of A·x^−γ and its interval; NaN where it does not fit.
    """

    x_min: float
    x_max: float
    n: int
    gamma: Nan
    low: Low
    high: High


def edges_of(x: Array) -> Array:
    """Ends of windows: equally spaced in log x from the least to the largest x, at points of the curve."""
    points = np.unique(x[x > 0])
    if points.size < 2:
        return points
    wanted = np.geomspace(points[0], points[-1], _EDGES)
    return np.unique(points[np.clip(np.searchsorted(points, wanted * (1 - 1e-12)), 0, points.size - 1)])


def exponents(curve: Curve, noise: str, level: float, rng: np.random.Generator) -> tuple[Window, ...]:
    """Fit the power law over all windows between :func:`edges_of` that are wide enough.

    Parameters
    ----------
    curve : Curve
    noise : {"gaussian", "lognormal", "binomial"}
    level : float
        Of the intervals: from resampled clusters where there are enough, else by standard errors under ARMA errors.
    rng : numpy Generator

    Returns
    -------
    tuple of Window
        By x_min, then x_max; empty for a curve that is too short or constant.

    Examples
    --------
    >>> import numpy as np
    >>> from cogfit.curves.arrays import array_curve
    >>> x = np.arange(1.0, 301.0)
    >>> found = exponents(array_curve(x, x**-0.5), "gaussian", 0.95, np.random.default_rng(0))
    >>> sorted({round(window.gamma, 6) for window in found})
    [0.5]
    """
    form = get_form(POWER)
    if np.ptp(curve.y) == 0:
        return ()
    curve = in_order(curve.take(curve.x > 0))
    ends = edges_of(curve.x)
    out = []
    for i, low in enumerate(ends):
        for high in ends[i + 1 :]:
            inside = (curve.x >= low) & (curve.x <= high)
            if high < _LEAST_RATIO * low or inside.sum() < _LEAST_POINTS:
                continue
            if np.ptp(curve.y[inside]) == 0:  # exactly level: what follows would be rounding
                out.append(Window(float(low), float(high), int(inside.sum()), 0.0, 0.0, 0.0))
                continue
            part = _condensed(curve.take(inside)) if noise == "gaussian" else curve.take(inside)
            fit = estimate.estimate(form, part.x, part.y, part.weights, noise)
            a = b = math.nan
            if fit.status != "failed":
                limits = quick_interval(form, part, fit, "gamma", level, rng, _REPLICATES)
                a, b = limits.low, limits.high
            out.append(Window(float(low), float(high), int(inside.sum()), fit.params["gamma"], a, b))
    return tuple(out)


def _condensed(curve: Curve) -> Curve:
    """Long curves averaged into bins: a slope over a window needs no more."""
    label = separable.bins_of(curve.x, _BINS)
    size = int(label.max()) + 1
    if size == curve.x.size:
        return curve
    total: Array = np.bincount(label, curve.weights, size).astype(float)
    mean = [np.bincount(label, curve.weights * v, size) / total for v in (curve.x, curve.y)]
    clusters = None if curve.clusters is None else curve.clusters.binned(label)
    return replace(curve, x=mean[0], y=mean[1], weights=total, counts=None, clusters=clusters)


def summary(windows: Sequence[Window]) -> str:
    """How γ changes over windows, in a sentence; empty for fewer than two."""
    known = [window for window in windows if math.isfinite(window.gamma)]
    if len(known) < 2:
        return ""
    least, most = min(known, key=lambda w: w.gamma), max(known, key=lambda w: w.gamma)
    is_apart = min(w.high for w in known) < max(w.low for w in known)
    text = (
        "over windows of x the slope γ runs from {least:.2g} ({least_from:,.5g}–{least_to:,.5g}) to "
        "{most:.2g} ({most_from:,.5g}–{most_to:,.5g})"
    )
    return say(
        text + (": no single exponent describes the curve" if is_apart else ", within the intervals"),
        least=least.gamma,
        least_from=least.x_min,
        least_to=least.x_max,
        most=most.gamma,
        most_from=most.x_min,
        most_to=most.x_max,
        threshold="two intervals do not overlap" if is_apart else "all intervals overlap",
        by=summary,
    )

"""γ over windows of x.

A power law has the same exponent wherever it is looked at; a local slope has not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine import estimate
from cogfit.engine.bins import Bins
from cogfit.engine.estimate import Estimate
from cogfit.formulas.form import Array
from cogfit.formulas.registry import POWER, get_form
from cogfit.inference.profile import quick_interval
from cogfit.inference.residuals import in_order
from cogfit.records.codec import Document, High, Low, Nan
from cogfit.records.sentence import say

_EDGES = 6  # ends of windows: 15 windows at the most
_MIN_RATIO = 3.0  # of the ends of a window: over less, the slope says little
_MIN_POINTS = 8
_BINS = 300  # points of a window, at the most
_REPLICATES = 100  # of resampled clusters: fewer than for the whole curve, for windows are many


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
    """Ends of windows, equally spaced in log x.

    They run from the least to the largest x and lie at points of the curve.
    """
    points = np.unique(x[x > 0])
    if points.size < 2:
        return points
    wanted = np.geomspace(points[0], points[-1], _EDGES)
    return np.unique(points[np.clip(np.searchsorted(points, wanted * (1 - 1e-12)), 0, points.size - 1)])


def exponents(curve: Curve, noise: str, level: float, rng: np.random.Generator) -> tuple[Window, ...]:
    """Fit the power law over all wide enough windows.

    These lie between :func:`edges_of`.

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
    >>> windows = exponents(array_curve(x, x**-0.5), "gaussian", 0.95, np.random.default_rng(0))
    >>> sorted({round(window.gamma, 6) for window in windows})
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
            if high < _MIN_RATIO * low or inside.sum() < _MIN_POINTS:
                continue
            if np.ptp(curve.y[inside]) == 0:  # exactly level: what follows would be rounding
                out.append(Window(float(low), float(high), int(inside.sum()), 0.0, 0.0, 0.0))
                continue
            part = curve.take(inside)
            part, fit = _condensed_fit(part) if noise == "gaussian" else (part, _fit(part, noise))
            lower = upper = math.nan
            if fit.status != "failed":
                limits = quick_interval(form, part, fit, "gamma", level, rng, _REPLICATES)
                lower, upper = limits.low, limits.high
            out.append(Window(float(low), float(high), int(inside.sum()), fit.params["gamma"], lower, upper))
    return tuple(out)


def _fit(curve: Curve, noise: str) -> Estimate:
    return estimate.estimate(get_form(POWER), curve.x, curve.y, curve.weights, noise)


def _condensed_fit(curve: Curve) -> tuple[Curve, Estimate]:
    """Average a long curve into bins, and fit the power law.

    A slope over a window needs no more. Means of y are those of the power law over a bin, not its values at the mean of
    x: they are multiplied by the ratio of the two at the exponent fitted, which hardly depends on it.
    """
    bins = Bins.of_points(curve.x, _BINS, curve.weights)
    if bins.weight.size == curve.x.size:
        return curve, _fit(curve, "gaussian")
    mean, axis = bins.mean(curve.y), bins.axis
    clusters = None if curve.clusters is None else curve.clusters.binned(bins.label)
    part = replace(curve, x=axis.x, y=mean, weights=bins.weight, counts=None, clusters=clusters)
    fit = _fit(part, "gaussian")
    for _ in range(2):
        gamma = fit.params["gamma"]
        if not math.isfinite(gamma):
            break
        ratio = axis.x**-gamma / axis.mean(axis.nodes.ravel() ** -gamma)
        part = replace(part, y=mean * ratio, clusters=None if clusters is None else clusters.scaled(ratio))
        fit = _fit(part, "gaussian")
    return part, fit


def summary(windows: Sequence[Window]) -> str:
    """How γ changes over windows, in a sentence.

    Empty for fewer than two windows.
    """
    finite = [window for window in windows if math.isfinite(window.gamma)]
    if len(finite) < 2:
        return ""
    lowest, highest = min(finite, key=lambda w: w.gamma), max(finite, key=lambda w: w.gamma)
    is_apart = min(w.high for w in finite) < max(w.low for w in finite)
    text = (
        "over windows of x the slope γ runs from {least:.2g} ({least_from:,.5g}–{least_to:,.5g}) to "
        "{most:.2g} ({most_from:,.5g}–{most_to:,.5g})"
    )
    return say(
        text + (": no single exponent describes the curve" if is_apart else ", within the intervals"),
        least=lowest.gamma,
        least_from=lowest.x_min,
        least_to=lowest.x_max,
        most=highest.gamma,
        most_from=highest.x_min,
        most_to=highest.x_max,
        threshold="two intervals do not overlap" if is_apart else "all intervals overlap",
        by=summary,
    )

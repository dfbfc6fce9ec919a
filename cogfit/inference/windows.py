"""γ over windows: a power law has the same exponent wherever it is looked at; a local slope has not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine import estimate, separable
from cogfit.formulas.form import Array
from cogfit.formulas.registry import get_form
from cogfit.inference.profile import quick_interval
from cogfit.inference.residuals import in_order

_EDGES = 6
_LEAST_RATIO = 3.0  # of the ends of a window: over less, the slope says little
_LEAST_POINTS = 8
_BINS = 300
_REPLICATES = 100


@dataclass(frozen=True)
class Window:
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
    gamma: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """JSON-ready mapping without NaN or infinity."""
        limits = {k: v if math.isfinite(v) else None for k, v in (("low", self.low), ("high", self.high))}
        gamma = self.gamma if math.isfinite(self.gamma) else None
        return {"x_min": self.x_min, "x_max": self.x_max, "n": self.n, "gamma": gamma, **limits}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Window:
        """Inverse of :meth:`to_json`."""
        gamma, low, high = (data[k] for k in ("gamma", "low", "high"))
        return cls(
            float(data["x_min"]), float(data["x_max"]), int(data["n"]), math.nan if gamma is None else float(gamma),
            -math.inf if low is None else float(low), math.inf if high is None else float(high),
        )  # fmt: skip


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
    >>> from cogfit.curves.exposure import array_curve
    >>> x = np.arange(1.0, 301.0)
    >>> found = exponents(array_curve(x, x**-0.5), "gaussian", 0.95, np.random.default_rng(0))
    >>> sorted({round(window.gamma, 6) for window in found})
    [0.5]
    """
    form = get_form("power")
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
    """How γ changes over windows, in a sentence; "" where there are fewer than two."""
    known = [w for w in windows if math.isfinite(w.gamma)]
    if len(known) < 2:
        return ""
    least, most = min(known, key=lambda w: w.gamma), max(known, key=lambda w: w.gamma)
    apart = min(w.high for w in known) < max(w.low for w in known)
    text = (
        f"over windows of x the slope γ runs from {least.gamma:.2g} ({least.x_min:,.5g}–{least.x_max:,.5g}) to "
        f"{most.gamma:.2g} ({most.x_min:,.5g}–{most.x_max:,.5g})"
    )
    return text + (": no single exponent describes the curve" if apart else ", within the intervals")

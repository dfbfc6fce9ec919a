"""γ over windows of x.

A power law has the same exponent wherever it is looked at; a local slope has not. Where the law that is looked at has a
floor or a shift, these are held at their values for the whole curve: the slope of log y flattens towards a floor, the
exponent does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine import estimate, noise
from cogfit.engine.arma import select_arma
from cogfit.engine.bins import Bins
from cogfit.engine.estimate import Estimate
from cogfit.formulas.form import Array, Form
from cogfit.formulas.registry import POWER, POWER_LAWS, forms, get_form
from cogfit.inference.profile import quick_interval
from cogfit.inference.residuals import in_order, slopes, span
from cogfit.native import distributions
from cogfit.records.codec import Document, High, Low, Nan
from cogfit.records.sentence import Sentence, say

_EDGES = 6  # ends of windows: 15 windows at the most
_MIN_RATIO = 3.0  # of the ends of a window: over less, the slope says little
_MIN_POINTS = 8
_BINS = 300  # points of a window, at the most
_REPLICATES = 100  # of resampled clusters: fewer than for the whole curve, for windows are many
_LEVEL = 0.05  # chance that any two windows of a true law are called different
_FLATTENS = 0.9  # share of the first log–log slope below which the last one is called flatter


@dataclass(frozen=True)
class Window(Document):
    """The exponent of part of the curve.

    Attributes
    ----------
    x_min, x_max : float
        Ends of the window, on the axis of x.
    n : int
        Points in it.
    gamma, low, high : float
        Exponent of the law (:func:`law_of`) with its floor and shift held, or of A·x^−γ where there is none, and its
        interval; NaN where it does not fit.
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


@dataclass(frozen=True)
class Law:
    """A power law of (x + shift), above a floor.

    Attributes
    ----------
    title : str
    params : mapping of str to float
        Of the whole curve.
    floor, shift : float
        In units of y and x; 0 where the form has none.
    """

    title: str
    params: Mapping[str, float]
    floor: float = 0.0
    shift: float = 0.0

    @classmethod
    def of_form(cls, form: Form, params: Mapping[str, float]) -> Law | None:
        """The law that a form is.

        None for a form that is no power of x + shift above a floor, or that did not fit.
        """
        others = [q for q in form.shape if q.name != form.gamma]
        is_law = form.gamma is not None and form.basis is not None and all(q.unit == "x" for q in others)
        if not is_law or not all(math.isfinite(params.get(name, math.nan)) for name in form.names):
            return None
        floor = 0.0 if form.floor is None else params[form.floor.name]
        return cls(form.title, params, floor, sum(params[q.name] for q in others))

    def slopes(self, x: Array) -> Array:
        """Log–log slope at some x.

        That is −d log y / d log x.
        """
        gamma, height = self.params["gamma"], self.params["A"]
        scale = self.shift or 1.0
        above = height * ((x + self.shift) / scale) ** -gamma
        return np.asarray(gamma * x / (x + self.shift) * above / (above + self.floor))


def law_of(reported: str, inside: Sequence[str], params: Mapping[str, Mapping[str, float]]) -> Law | None:
    """The law whose exponent the windows show.

    The form that is reported, or the simplest power law that is not refused; None where there is none.

    Parameters
    ----------
    reported : str
        The form reported.
    inside : sequence of str
        Forms that are not refused.
    params : mapping of str to mapping
        Parameters of every form.
    """
    known = forms()
    for name in (reported, *POWER_LAWS):
        if name in inside and name in params and name in known:
            law = Law.of_form(known[name], params[name])
            if law is not None:
                return law
    return None


def exponents(
    curve: Curve,
    model: str,
    level: float,
    rng: np.random.Generator,
    *,
    law: Law | None = None,
    fitted: Array | None = None,
) -> tuple[Window, ...]:
    """Fit the power law over all wide enough windows.

    These lie between :func:`edges_of`.

    Parameters
    ----------
    curve : Curve
    model : {"gaussian", "lognormal", "binomial"}
        Noise.
    level : float
        Of the intervals: from resampled clusters where there are enough, else by standard errors under ARMA errors.
    rng : numpy Generator
    law : Law, optional
        Whose floor and shift are held.
    fitted : ndarray, shape (n,), optional
        Values of the form reported: points weigh what the noise model gives them there, and errors are those about it,
        for the lack of fit of a slope is none. By default those of the fit to each window; needed unless the noise is
        Gaussian.

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
    if np.ptp(curve.y) == 0:
        return ()
    if model != "gaussian":
        assert fitted is not None
        weight = noise.get(model).information(fitted / np.abs(fitted).max(), curve.weights)
        curve = replace(curve, weights=weight, counts=None, clusters=None)
    positive = curve.x > 0
    order = np.argsort(curve.x[positive], kind="stable")
    errors = None if fitted is None else (curve.y - fitted)[positive][order]
    curve = in_order(curve.take(positive))
    ends = edges_of(curve.x)
    out = []
    for i, low in enumerate(ends):
        for high in ends[i + 1 :]:
            inside = (curve.x >= low) & (curve.x <= high)
            if high < _MIN_RATIO * low or inside.sum() < _MIN_POINTS:
                continue
            limits = (float(low), float(high), int(inside.sum()))
            if np.ptp(curve.y[inside]) == 0:  # exactly level: what follows would be rounding
                out.append(Window(*limits, 0.0, 0.0, 0.0))
                continue
            own = None if errors is None else errors[inside]
            out.append(Window(*limits, *_exponent(curve.take(inside), own, law, level, rng)))
    return tuple(out)


def _exponent(
    part: Curve, errors: Array | None, law: Law | None, level: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    """γ over part of a curve, with its interval."""
    if law is not None:
        clusters = None if part.clusters is None else part.clusters.lowered(law.floor)
        part = replace(part, x=part.x + law.shift, y=part.y - law.floor, clusters=clusters)
    part, fit, bins = _condensed_fit(part)
    if fit.status == "failed" or "gamma" in (*fit.at_bound, *fit.not_identified):
        return math.nan, math.nan, math.nan
    form, known = get_form(POWER), None
    if errors is not None and part.serial:
        own = (errors if bins is None else bins.mean(errors)) * np.sqrt(part.weights)
        known = select_arma(own, span(slopes(form, part, "gaussian", form.vector(fit.params))))
    limits = quick_interval(form, part, fit, "gamma", level, rng, _REPLICATES, errors=known)
    return fit.params["gamma"], limits.low, limits.high


def _fit(curve: Curve) -> Estimate:
    return estimate.estimate(get_form(POWER), curve.x, curve.y, curve.weights, "gaussian")


def _condensed_fit(curve: Curve) -> tuple[Curve, Estimate, Bins | None]:
    """Average a long curve into bins, and fit the power law.

    The bins are None where the curve is not long.

    A slope over a window needs no more. Means of y are those of the power law over a bin, not its values at the mean of
    x: they are multiplied by the ratio of the two at the exponent fitted, which hardly depends on it.
    """
    bins = Bins.of_points(curve.x, _BINS, curve.weights)
    if bins.weight.size == curve.x.size:
        return curve, _fit(curve), None
    mean, axis = bins.mean(curve.y), bins.axis
    clusters = None if curve.clusters is None else curve.clusters.binned(bins.label)
    part = replace(curve, x=axis.x, y=mean, weights=bins.weight, counts=None, clusters=clusters)
    fit = _fit(part)
    for _ in range(2):
        gamma = fit.params["gamma"]
        if not math.isfinite(gamma):
            break
        ratio = axis.x**-gamma / axis.mean(axis.nodes.ravel() ** -gamma)
        part = replace(part, y=mean * ratio, clusters=None if clusters is None else clusters.scaled(ratio))
        fit = _fit(part)
    return part, fit, bins


def exponent_name(law: Law | None) -> str:
    """What the numbers of windows are called."""
    return "log–log slope" if law is None else "γ"


def statements(windows: Sequence[Window], law: Law | None, level: float) -> tuple[Sentence, ...]:
    """How γ changes over windows, in sentences.

    None for fewer than two windows.

    Parameters
    ----------
    windows : sequence of Window
    law : Law or None
        Whose floor and shift were held; it is not refused for the whole curve. None where no power law is left.
    level : float
        Of the windows' intervals.
    """
    finite = [window for window in windows if math.isfinite(window.gamma)]
    if len(finite) < 2:
        return ()
    lowest, highest = min(finite, key=lambda w: w.gamma), max(finite, key=lambda w: w.gamma)
    is_apart = differ(finite, level)
    what = "the log–log slope" if law is None else "γ"
    text = (
        f"over windows of x, {what}{{held}} runs from {{least:.2g}} ({{least_from:,.5g}}–{{least_to:,.5g}}) to "
        "{most:.2g} ({most_from:,.5g}–{most_to:,.5g})"
    )
    if not is_apart:
        text += ", within what chance allows"
    elif law is None:
        text += ": no single exponent describes the curve"
    else:
        text += ", more than chance allows, although {title} is not refused for the whole curve"
    main = say(
        text,
        held="" if law is None else held_in_words(law),
        title="" if law is None else law.title,
        least=lowest.gamma,
        least_from=lowest.x_min,
        least_to=lowest.x_max,
        most=highest.gamma,
        most_from=highest.x_min,
        most_to=highest.x_max,
        threshold=f"two windows differ at the level {_LEVEL:g} for all pairs"
        if is_apart
        else f"no two windows differ at the level {_LEVEL:g} for all pairs",
        by=statements,
    )
    return main, *([] if law is None else _flattening(finite, law))


def differ(windows: Sequence[Window], level: float) -> bool:
    """Whether the exponents of any two windows differ.

    At 5 % for all pairs together (Bonferroni), from the sides of the intervals that face each other. Windows share
    points, which makes the comparison a cautious one.
    """
    known = [w for w in windows if math.isfinite(w.low) and math.isfinite(w.high)]
    if len(known) < 2:
        return False
    half_width = distributions.normal_quantile(0.5 + 0.5 * level)
    pairs = len(known) * (len(known) - 1) / 2
    critical = distributions.normal_quantile(1.0 - 0.5 * _LEVEL / pairs)
    return any(
        upper.gamma - lower.gamma
        > critical / half_width * math.hypot(upper.gamma - upper.low, lower.high - lower.gamma)
        for lower in known
        for upper in known
        if upper.gamma > lower.gamma
    )


def held_in_words(law: Law) -> str:
    """Which parameters of the law were held."""
    held = [f"{what} of {value:.3g}" for what, value in (("floor", law.floor), ("shift", law.shift)) if value != 0.0]
    return f" (with the {' and the '.join(held)} held)" if held else ""


def _flattening(windows: Sequence[Window], law: Law) -> tuple[Sentence, ...]:
    """How the log–log slope falls towards a floor."""
    if law.floor <= 0.0 or law.params["gamma"] <= 0.0:
        return ()
    ends = np.array([min(w.x_min for w in windows), max(w.x_max for w in windows)])
    first, last = law.slopes(ends).tolist()
    if not last < _FLATTENS * first:
        return ()
    text = (
        "the curve flattens towards its floor, as {title} predicts: log–log slope {first:.2g} at {begin:,.5g}, "
        "{last:.2g} at {end:,.5g}"
    )
    rule = f"last slope < {_FLATTENS:g} × first"
    begin, end = ends.tolist()
    return (say(text, title=law.title, first=first, last=last, begin=begin, end=end, threshold=rule, by=statements),)

"""A log as it might have been: curves about a law, and the log made larger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine.estimate import Estimate
from cogfit.engine.noise import NOISE
from cogfit.formulas.form import Array, Form
from cogfit.inference.form_tests import errors_about
from cogfit.inference.residuals import in_order
from cogfit.planning.scatter import ClusterScatter, CountScatter, Scatter, SeriesScatter

MOST_POINTS = 20_000
"""Points up to which a log is made larger."""


@dataclass(frozen=True)
class Law:
    """A form with its parameters, taken for the truth.

    Attributes
    ----------
    form : Form
    params : mapping of str to float
    """

    form: Form
    params: Mapping[str, float]

    def values(self, x: Array) -> Array:
        """Values at points x, shape (n,)."""
        return self.form.evaluate(x, self.params)


@dataclass(frozen=True)
class Situation:
    """Where and how a law is observed.

    Attributes
    ----------
    template : Curve
        In the order of x; its y has no meaning.
    scatter : Scatter
    """

    template: Curve
    scatter: Scatter

    def draw(self, law: Law, rng: np.random.Generator) -> Curve:
        """Draw a curve if a law were true."""
        return self.scatter.draw(self.template, law.values(self.template.x), rng)

    def grown(self, lever: str, factor: float) -> Situation:
        """The situation with more of something.

        Parameters
        ----------
        lever : str
            A key of :data:`LEVERS`.
        factor : float
            How many times as much.
        """
        return LEVERS[lever](self, factor)

    @property
    def levers(self) -> tuple[str, ...]:
        """What there could be more of."""
        has_points_between = not isinstance(self.scatter, ClusterScatter) and not self.is_counting
        larger = ("points", "range") if has_points_between else ("range",)
        return tuple(lever for lever in (*larger, "repetitions") if self.most_times(lever) >= 2.0)

    def most_times(self, lever: str) -> float:
        """How many times as much of something can be drawn."""
        points = self.template.x.size
        most = self.scatter.most_cells / (self.scatter.repetitions * points)
        return most if lever == "repetitions" else min(most, MOST_POINTS / points)

    @property
    def is_counting(self) -> bool:
        """Whether x counts something, with no points between."""
        return self.template.axis in ("exposure", "repetition")


def _with_more_points(situation: Situation, factor: float) -> Situation:
    """Points that lie closer together, over the same range."""
    x = situation.template.x
    count = max(2, round(x.size * factor))
    place = np.linspace(0.0, x.size - 1.0, count)
    return _at_places(situation, place, np.interp(place, np.arange(float(x.size)), x))


def _with_longer_range(situation: Situation, factor: float) -> Situation:
    """Points that go on to larger x as they lie."""
    x = situation.template.x
    if x.size < 2 or factor == 1.0:
        return situation
    end = x[-1] * factor
    if factor < 1.0:
        kept = x[: max(2, int(np.count_nonzero(x <= end)))]
        return _at_places(situation, np.arange(float(kept.size)), kept)
    more = x[-1] + _steps_beyond(x, float(end))
    whole = np.concatenate([x, more])
    return _at_places(situation, np.arange(float(whole.size)), whole)


def _steps_beyond(x: Array, end: float) -> Array:
    """Distances beyond the last point at which a log would go on.

    Its points lie evenly along x, or along log x, whichever is nearer the truth.
    """
    gaps = np.diff(x[x.size // 2 :]) if x.size >= 6 else np.diff(x)
    ratios = np.diff(np.log(x[x > 0])) if np.count_nonzero(x > 0) > 1 else gaps
    is_even = np.std(np.diff(x)) / np.mean(np.diff(x)) <= np.std(ratios) / np.mean(ratios)
    step = float(np.median(gaps))
    if is_even or x[-1] <= 0:
        return step * np.arange(1.0, np.floor((end - x[-1]) / step + 1e-9) + 1.0)
    ratio = float(np.median(ratios))
    count = np.floor(np.log(end / x[-1]) / ratio + 1e-9)
    return np.asarray(x[-1] * np.expm1(ratio * np.arange(1.0, count + 1.0)))


def _with_more_repetitions(situation: Situation, factor: float) -> Situation:
    return replace(situation, scatter=situation.scatter.repeated(factor))


def _at_places(situation: Situation, place: Array, x: Array) -> Situation:
    """The situation at other points."""
    old = situation.template
    at = np.arange(float(old.x.size))
    weights = np.interp(place, at, old.weights)
    counts = None if old.counts is None else np.interp(place, at, old.counts)
    template = replace(old, x=x, y=np.zeros(x.size), weights=weights, counts=counts)
    return replace(situation, template=template, scatter=situation.scatter.at_places(place))


LEVERS = {"points": _with_more_points, "range": _with_longer_range, "repetitions": _with_more_repetitions}
"""What there can be more of: points in the same range, a longer range, runs or patterns or trials."""


def situation_of(curve: Curve, form: Form, fit: Estimate) -> Situation:
    """The situation of a log.

    Its x, and its errors about a form that follows it.

    Parameters
    ----------
    curve : Curve
        As it was fitted.
    form, fit
        Form about which, and smooth departures, the errors are modelled.
    """
    curve = in_order(curve)
    template = replace(curve, trajectories=None, facts=None, rows=None, warnings=(), left_out={})
    if curve.resampleable:
        return Situation(template, ClusterScatter.from_curve(curve))
    template = replace(template, clusters=None, averaged={})
    if NOISE[fit.noise].discrete:
        assert curve.counts is not None
        return Situation(template, CountScatter(curve.counts))
    errors, size = errors_about(curve, form, fit)
    runs = 1 if curve.clusters is None else curve.clusters.size
    return Situation(template, SeriesScatter(fit.noise, errors, size, runs))

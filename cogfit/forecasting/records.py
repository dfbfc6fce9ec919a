"""What a forecast says, and why where it says nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from cogfit.formulas.form import Array
from cogfit.inference.interval import format_interval
from cogfit.records.codec import Document, High, Low, Nan
from cogfit.records.sentence import Sentence, say

MOST_DISAGREEMENT = 1.0
"""Disagreement of the forms above which a forecast is refused (see :class:`Prediction`)."""

RULE = f"disagreement ≤ {MOST_DISAGREEMENT:g}"
"""The same in figures."""

HORIZON = 1000.0
"""Times the last x up to which a value is looked for."""

STATUSES = ("reached", "expected", "never", "refused")
"""What may be said of a value (see :class:`Reach`)."""


@dataclass(frozen=True)
class FormForecast(Document):
    """The part of one form in a forecast.

    Attributes
    ----------
    form, title : str
    weight : float
        In the average; all add up to 1.
    held_out : float
        Root mean square error over the last 40 % of the points of a fit to the others, in units of y. NaN where a form
        was not tried.
    residual : float
        That of the fit to all points, over the same points: what the held-out error is without a miss of the form.
    """

    form: str
    title: str
    weight: float
    held_out: Nan
    residual: Nan


@dataclass(frozen=True, eq=False)
class Prediction(Document):
    """Values that are expected at some x.

    Attributes
    ----------
    x : ndarray, shape (k,)
    value : ndarray, shape (k,)
        The curve: mean of the forms by their weights. NaN where the forecast is refused, as are all limits.
    curve_low, curve_high : ndarray, shape (k,)
        Interval of the curve.
    low, high : ndarray, shape (k,)
        Interval of a new observation, with the noise of the fit.
    level : float
        Of both intervals.
    disagreement : ndarray, shape (k,)
        Distance between the highest and the lowest form (of those that weigh 5 % at least), over the width of the 95 %
        interval of a new observation that these forms give on their own. Above 1 the choice of the form decides, and
        not the data: the forecast is refused.
    forms : tuple of FormForecast
        By weight.
    reason : str
        Why nothing is told, or nothing of some x; "" where all is told.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"answered": "answered"}

    x: Array
    value: Array
    curve_low: Array
    curve_high: Array
    low: Array
    high: Array
    level: float
    disagreement: Array
    forms: tuple[FormForecast, ...]
    reason: str = ""

    @property
    def answered(self) -> list[bool]:
        """Whether there is a forecast, for each x."""
        return [math.isfinite(value) for value in self.value.tolist()]

    @classmethod
    def refused(cls, x: Array, level: float, reason: str, forms: tuple[FormForecast, ...] = ()) -> Prediction:
        """Tell nothing of any x, and why."""
        none = np.full(x.size, math.nan)
        return cls(x, none, none, none, none, none, level, none, forms, reason)

    @property
    def statements(self) -> tuple[Sentence, ...]:
        """One sentence for each x."""
        return tuple(map(self._statement, range(self.x.size)))

    def _statement(self, i: int) -> Sentence:
        names = ("x", "value", "curve_low", "curve_high", "low", "high", "disagreement")
        numbers = {name: float(getattr(self, name)[i]) for name in names}
        text = "at x = {x:,.6g}: no forecast: {reason}"
        if math.isfinite(numbers["value"]):
            text = "at x = {x:,.6g}: {value:.3g}, {level:.0%} interval {curve}; a new observation lies in {new}"
        curve, new = (format_interval((numbers[f"{of}low"], numbers[f"{of}high"])) for of in ("curve_", ""))
        return say(
            text, level=self.level, reason=self.reason, curve=curve, new=new, threshold=RULE, by=Prediction, **numbers
        )

    def __repr__(self) -> str:
        shown = "; ".join(self.statements) if self.x.size <= 3 else f"{sum(self.answered)} of {self.x.size} x answered"
        return f"<Prediction: {shown}>"

    def __str__(self) -> str:
        return "\n".join(self.statements)


@dataclass(frozen=True)
class Reach(Document):
    """When the curve reaches a value.

    Attributes
    ----------
    value : float
        Of y.
    status : {"reached", "expected", "never", "refused"}
        Within the data, beyond them, not within :data:`HORIZON` times the last x, or no forecast.
    x : float
        Where the curve gets there; NaN unless it is reached or expected.
    low, high : float
        Interval of that x: `high` is inf where the curve may never get there. Where the forecast is refused, `low` is
        the x up to which the forms agree that the value is not reached.
    level : float
    chance : float
        Share of the curves that the data allow which get there at all; NaN where the forecast is refused.
    forms : tuple of FormForecast
        By weight.
    reason : str
        Why there is no forecast; "" where there is one.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"statement": "statement"}

    value: float
    status: str
    x: Nan
    low: Low
    high: High
    level: float
    chance: Nan
    forms: tuple[FormForecast, ...] = field(default=(), repr=False)
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse a status that is none."""
        if self.status not in STATUSES:
            raise ValueError(f"a value is {', '.join(STATUSES)}, not {self.status!r}")

    @classmethod
    def refused(
        cls,
        value: float,
        level: float,
        reason: str,
        forms: tuple[FormForecast, ...] = (),
        not_before: float = -math.inf,
    ) -> Reach:
        """Tell nothing but a bound, and why."""
        return cls(value, "refused", math.nan, not_before, math.inf, level, math.nan, forms, reason)

    @property
    def answered(self) -> bool:
        """Whether there is a forecast."""
        return self.status != "refused"

    @property
    def statement(self) -> Sentence:
        """The answer in one sentence."""
        limits = format_interval((self.low, self.high))
        text = {
            "reached": "y = {value:.6g} is reached at x = {x:,.4g}, within the data ({level:.0%} interval {limits})",
            "expected": "y = {value:.6g} is expected at x = {x:,.4g} ({level:.0%} interval {limits})",
            "never": "y = {value:.6g} is not reached up to {horizon:,.0f} times the last x, nor before x = {low:,.4g} "
            "({level:.0%} interval {limits})",
            "refused": "no forecast of when y = {value:.6g} is reached: {reason}",
        }[self.status]
        if self.status == "expected" and math.isinf(self.high):
            text += "; {chance:.0%} of the curves that the data allow get there"
        if self.status == "refused" and math.isfinite(self.low):
            text += "; the forms agree that it is not before x = {low:,.4g}"
        numbers = {name: getattr(self, name) for name in ("value", "x", "low", "high", "level", "chance", "reason")}
        return say(text, limits=limits, horizon=HORIZON, threshold=RULE, by=Reach, **numbers)

    def __repr__(self) -> str:
        return f"<Reach: {self.statement}>"

    def __str__(self) -> str:
        return str(self.statement)


@dataclass(frozen=True)
class Forecast(Document):
    """What was asked of the future of a curve.

    Attributes
    ----------
    fan : Prediction
        From the first point to the furthest x that was asked for.
    at : Prediction
        At the x that were asked for.
    reach : tuple of Reach
        Of the values that were asked for.
    """

    fan: Prediction
    at: Prediction
    reach: tuple[Reach, ...] = ()

    @property
    def statements(self) -> tuple[str, ...]:
        """The answers, one sentence each."""
        return (*(item.statement for item in self.reach), *self.at.statements)

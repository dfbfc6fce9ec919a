"""What the trajectories of single patterns say: records and sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from cogfit.records.codec import Document, High, Low, Nan, wire
from cogfit.records.sentence import Sentence, say

if TYPE_CHECKING:
    import pandas as pd

TOGETHER = 1.5
"""Variance inflation of the clusters' mean above which they are said to move together."""

TOGETHER_P = 0.01
"""p-value up to which they are."""

BINARY = 0.8
"""Share of near-binary patterns from which switch times are spoken of."""


@dataclass(frozen=True)
class SwitchTime(Document):
    """Kaplan–Meier quantiles of the switch time on one axis.

    Attributes
    ----------
    t10, t50, t90 : float
        Times at which 10, 50 and 90 % of the patterns have switched; NaN where the survival curve does not come down
        so far.
    low, high : float
        95 % limits of t50 (Brookmeyer & Crowley 1982, log–log transformed); inf where there is none.
    """

    t10: Nan
    t50: Nan
    t90: Nan
    low: Low
    high: High


@dataclass(frozen=True)
class SwitchGroup(Document):
    """Patterns that switch close together.

    Attributes
    ----------
    first_step, last_step, patterns : int
    """

    first_step: int
    last_step: int
    patterns: int


@dataclass(frozen=True)
class VarianceInflation(Document):
    """Variance of the pattern mean's changes, relative to independence.

    Step-to-step changes; 1 if the patterns were independent.

    Attributes
    ----------
    before, during : float
        Before t10, and from t10 to t90; 1 for independent patterns.
    p_value : float
        Of the latter.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"together": "together"}

    before: Nan
    during: Nan
    p_value: Nan

    @property
    def together(self) -> bool:
        """Whether patterns move together: inflation above 1.5, p ≤ 0.01."""
        return self.during > TOGETHER and self.p_value <= TOGETHER_P


@dataclass(frozen=True)
class Alignment(Document):
    """Slope of log switch time on log frequency.

    The frequency is that of the pattern. The slope is that of a survival regression, by maximum likelihood: patterns
    that never switch are right-censored (:mod:`cogfit.inference.switching`).

    Attributes
    ----------
    estimate, low, high : float
        With 95 % limits, from the profile likelihood: 0 = the training clock, −1 = exposures decide.
    law : str
        Of the switch times: a key of :data:`cogfit.inference.survival.LAWS`.
    switched, censored : int
        Trajectories with a switch, and without one up to their end.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"driver": "driver", "excludes_mixture": "excludes_mixture"}

    estimate: Nan
    low: Low
    high: High
    law: str = "log-normal"
    switched: int = 0
    censored: int = 0

    @property
    def driver(self) -> str:
        """``"clock"``, ``"exposure"`` or ``"undecided"``.

        Which of 0 and −1 the limits leave possible.
        """
        clock = self.low <= 0.0 <= self.high
        exposure = self.low <= -1.0 <= self.high
        if clock == exposure or not math.isfinite(self.high - self.low):
            return "undecided"
        return "clock" if clock else "exposure"

    @property
    def excludes_mixture(self) -> bool:
        """Whether the limits leave out equal shares of both."""
        return not self.low <= _HALFWAY <= self.high


_HALFWAY = -0.5  # slope where training time and exposures have equal shares


@dataclass(frozen=True)
class Covariate(Document):
    """What a covariate does to the switch time.

    Attributes
    ----------
    name : str
        ``"frequency"``, or a layer or head beside the first one.
    ratio, low, high : float
        Factor of the time until the switch, with 95 % limits: for twice the frequency (1 = the training clock, ½ =
        exposures decide), or for that layer or head instead of the first.
    """

    name: str
    ratio: Nan
    low: Low
    high: High


_DRIVERS = {
    "clock": "the switch follows the training clock, not exposures",
    "exposure": "the switch follows exposures, not the training clock",
    "undecided": "exposure and training time are not separable here",
}


@dataclass(frozen=True)
class Trajectories(Document):
    """What the trajectories of a routing log say.

    Attributes
    ----------
    switched, never, low_from_start : int
        Patterns that come down once, that stay up to the end, that are down from the first row used.
    near_binary : float
        Share of patterns whose mean is above 0.8 before and below 0.2 after their switch (or that stay beyond).
    exposures, updates, steps : SwitchTime
    groups : tuple of SwitchGroup
        Switches that lie close together.
    inflation : VarianceInflation
    alignment : Alignment
    correlation : float
        Of k with step, over rows.
    dependence : float
        Lag-1 correlation, within patterns, of the deviation from P(k); 0 if rows were independent given k.
    table : DataFrame
        One row per pattern: ``pattern``, ``status``, ``k``, ``updates``, ``step``, ``before``, ``after``.
    covariates : tuple of Covariate
        Of the survival regression of switch times.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"statements": "statements"}

    switched: int
    never: int
    low_from_start: int
    near_binary: float
    exposures: SwitchTime = field(metadata=wire("switch_times.exposures"))
    updates: SwitchTime = field(metadata=wire("switch_times.updates"))
    steps: SwitchTime = field(metadata=wire("switch_times.steps"))
    groups: tuple[SwitchGroup, ...]
    inflation: VarianceInflation = field(metadata=wire("variance_inflation"))
    alignment: Alignment = field(metadata=wire("alignment_slope"))
    correlation: Nan = field(metadata=wire("correlation_k_step"))
    dependence: Nan = field(metadata=wire("serial_dependence"))
    table: pd.DataFrame = field(metadata=wire("patterns_table"))
    covariates: tuple[Covariate, ...] = field(default=(), metadata=wire("switch_time_ratios"))

    def statements(self) -> tuple[Sentence, ...]:
        """The findings, one sentence each."""
        if self.near_binary < BINARY:
            text = (
                "single patterns are no steps ({near_binary:.0%} of them near-binary): times of a switch, and what "
                "drives it, have little meaning here"
            )
            return (say(text, near_binary=self.near_binary, threshold=f"share < {BINARY:.0%}", by=self.statements),)
        return (*self._counts(), *self._times(), *self._movement(), *self._driver())

    def _counts(self) -> tuple[Sentence, ...]:
        total = self.switched + self.never + self.low_from_start
        return (
            say(
                "{switched} of {total} patterns switch, {never} never do, {low} start low",
                switched=self.switched,
                total=total,
                never=self.never,
                low=self.low_from_start,
                by=self.statements,
            ),
            say(
                "single patterns are steps ({near_binary:.0%} of them near-binary): P(k) is the survival curve of "
                "{switched} switch times, and its slope says nothing of single patterns",
                near_binary=self.near_binary,
                switched=self.switched,
                threshold=f"share ≥ {BINARY:.0%}",
                by=self.statements,
            ),
        )

    def _times(self) -> tuple[Sentence, ...]:
        if not self.switched or not math.isfinite(self.steps.t50):
            return ()
        last = ", 90 % by {t90:,.0f}" if math.isfinite(self.steps.t90) else ""
        return (
            say(
                "half have switched by step {t50:,.0f} (k = {k50:,.0f}); 10 % by {t10:,.0f}" + last,
                t50=self.steps.t50,
                k50=self.exposures.t50,
                t10=self.steps.t10,
                t90=self.steps.t90,
                by=self.statements,
            ),
        )

    def _movement(self) -> tuple[Sentence, ...]:
        inflation = self.inflation
        rule = f"inflation > {TOGETHER:g} and p ≤ {TOGETHER_P:g}"
        numbers = {"during": inflation.during, "before": inflation.before, "p_value": inflation.p_value}
        if inflation.together:
            text = (
                "patterns move together: from step to step their mean varies {during:.1f} × as much as that of "
                "independent patterns during the drop ({before:.1f} × before)"
            )
        elif self.switched and math.isfinite(inflation.during):
            text = (
                "patterns switch singly, as far as can be told: from step to step their mean varies {during:.1f} × as "
                "much as that of independent patterns"
            )
        else:
            return ()
        return (say(text, threshold=rule, by=self._movement, **numbers),)

    def _driver(self) -> tuple[Sentence, ...]:
        slope = self.alignment
        if not math.isfinite(slope.estimate):
            if not slope.switched:
                return ()
            text = _DRIVERS["undecided"] + ": the slope of switch times on frequency cannot be told"
            return (say(text, threshold="both limits are open", by=self._driver),)
        doubt = "" if slope.driver == "undecided" or slope.excludes_mixture else "; a mixture of both is not excluded"
        text = (
            _DRIVERS[slope.driver]
            + doubt
            + " (slope of log switch step on log frequency {slope:.2f} [{low:.2f}, {high:.2f}], "
            + "{law} survival regression, {censored} censored)"
        )
        rule = "limits hold one of 0 (clock) and −1 (exposures)"
        numbers = {"slope": slope.estimate, "low": slope.low, "high": slope.high}
        return (
            say(text, **numbers, law=slope.law, censored=slope.censored, threshold=rule, by=self._driver),
            *self._factors(),
        )

    def _factors(self) -> tuple[Sentence, ...]:
        """Layers and heads whose limits leave out 1."""
        text = "{name}: {ratio:.2f} [{low:.2f}, {high:.2f}] × the time until the switch of the first {factor}"
        rule = "limits leave out 1"
        return tuple(
            say(
                text,
                name=c.name,
                ratio=c.ratio,
                low=c.low,
                high=c.high,
                factor=c.name.split()[0],
                threshold=rule,
                by=self._factors,
            )
            for c in self.covariates[1:]
            if not c.low <= 1.0 <= c.high
        )

r"""Phase transitions: changes of level that no smooth form explains.

Such a change is more abrupt than any smooth form of learning: 10 to 90 % of it take less than a factor 2.4 of x. What
takes longer, or is as well a smoothly broken power law, is a smooth change of regime and reported as one.

A floor is itself a change of the log–log slope, and autocorrelated errors wander as if the level had changed. So the
null is any of several *smooth* forms with ARMA errors, and each of them must be refused. The statistic is the largest
likelihood ratio of adding a step, over all locations and a few widths, at the lag-1 correlation ρ of the errors beside
the best step. A step must also beat a single shock from which the curve recovers as it does from every error. The
p-value comes from smooth curves with errors like the residuals' (restricted maximum likelihood, beside the best step;
heavy-tailed, or larger in some parts than in others, where these are), on which the same statistic is computed. The
form counts as linear in its parameters near its best fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from cogfit.engine import arma
from cogfit.engine.arma import Arma
from cogfit.errors import InputError
from cogfit.formulas.registry import get_form
from cogfit.inference.transition_changes import Change, find_coincidences, gamma_threshold, measure_changes
from cogfit.inference.transition_evidence import (
    HOPELESS,
    SIGNIFICANT,
    Evidence,
    Trial,
    assess_form,
    assess_smooth_forms,
)
from cogfit.inference.transition_levels import MIXTURE, Null, Series, Shape, bic_score, broken_power, smooth
from cogfit.inference.transition_places import find_limits, locate
from cogfit.inference.transition_setting import FEW, find_setting, prepare
from cogfit.inference.transition_steps import effects
from cogfit.native.blas import single_threaded
from cogfit.records.arrays import as_numbers
from cogfit.records.codec import Document, Nan
from cogfit.records.sentence import Sentence, say

__all__ = ["Change", "Transition", "gamma_threshold", "transition"]

_MOST_REGIMES = 3  # smooth changes of regime that are followed
_LOCATED = 199  # replicates behind the interval of a location


@dataclass(frozen=True)
class Transition(Document):
    """Result of looking for changes of level.

    Whether, where and how sharply a curve changes its level; NaN where no change was found.

    Attributes
    ----------
    t10, t50, t90 : float
        Where 10, 50 and 90 % of the strongest change are done, on the axis of x. Its location means t50.
    low, high, level : float
        Limits of t50 and their confidence level.
    p_value : float
        Of the null that the curve is smooth. 1 where no step beats a shock from which the curve recovers, or where more
        smooth changes of regime follow each other than are followed.
    ratio, size_sd : float
        See :class:`Change`.
    null_form : str
        The best smooth form: its name in the registry, or ``"exponential_mixture"`` for a sum of exponentials with
        weights of one sign.
    errors : str
        The model of the errors beside it and the best step, in words.
    gamma_c : float
        Shape c of the Gamma-distributed consolidation threshold whose t90/t10 is the one found: what the sharpness
        implies *if* patterns consolidate independently, each at its own threshold, and x counts exposures from 0 (an
        average over patterns is never sharper than one of them: theory T6). inf where a jump does as well.
    coincides_with : tuple of str
        Columns of `schedule` that change just there.
    changes : tuple of Change
        Further changes, in the order found.
    flagged : str
        ``"few points"`` below 200 points, else empty.
    n : int
        Points used.
    main : Change or None
        All about the strongest change.
    regimes : tuple of Change
        Smooth changes of regime: 10 to 90 % of each take a factor 2.4 of x or more. A schedule that changes slowly
        makes such a change; it is no transition.
    warm_up : float
        Last point of the warm-up: a rise at the beginning of a curve that then falls (or a fall before a rise). It is
        left out of the search. NaN where there is none.
    period : float
        Period of errors that repeat with every epoch, which are modelled; NaN where there is none.
    window : float
        Length of the windows over which y are means, as given or found; all places are then those of their middles. 0
        for none.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"found": "found", "statements": "statements"}

    t10: Nan
    t50: Nan
    t90: Nan
    low: Nan
    high: Nan
    level: float
    p_value: Nan
    ratio: Nan
    size_sd: Nan
    null_form: str
    errors: str
    gamma_c: Nan
    coincides_with: tuple[str, ...]
    changes: tuple[Change, ...]
    flagged: str
    n: int
    main: Change | None
    regimes: tuple[Change, ...] = ()
    warm_up: Nan = math.nan
    period: Nan = math.nan
    window: float = 0.0

    def __repr__(self) -> str:
        where = f"near {self.t50:.6g} [{self.low:.6g}, {self.high:.6g}]" if self.found else "none"
        return f"<Transition: {where}, p = {self.p_value:.2g}; {self.n:,} points>"

    @property
    def interval(self) -> tuple[float, float]:
        """Limits of t50."""
        return self.low, self.high

    @property
    def null_title(self) -> str:
        """Name of the smooth form in words."""
        return "mixture of exponentials" if self.null_form == MIXTURE else get_form(self.null_form).title

    @property
    def found(self) -> bool:
        """Whether there is a change: p ≤ 0.05."""
        return self.main is not None

    def statements(self) -> tuple[Sentence, ...]:
        """The findings, one sentence each."""
        short = "only {n} points: small changes go unnoticed"
        flags = (say(short, n=self.n, threshold=f"n < {FEW}", by=transition),) if self.flagged else ()
        null = "({null}, {errors}; p = {p:.2g})"
        numbers = {"null": self.null_title, "errors": self.errors, "p": self.p_value}
        if self.main is None:
            text = "no change of level beyond a smooth curve " + null
            none = say(text, threshold=f"p > {SIGNIFICANT:g}", by=transition, **numbers)
            return (none, *self._beside(), *flags)
        kind = "drops" if self.main.size < 0.0 else "rises"
        factor = " by a factor {factor:.3g}" if 0.0 < self.ratio < math.inf else ""
        out = [
            say(
                f"the curve {kind}{factor} near {{t50:.6g}} [{{low:.6g}}, {{high:.6g}}]; a smooth curve does not "
                "explain it " + null,
                threshold=f"p ≤ {SIGNIFICANT:g}",
                by=transition,
                factor=max(self.ratio, 1.0 / self.ratio) if factor else math.nan,
                t50=self.t50,
                low=self.low,
                high=self.high,
                **numbers,
            )
        ]
        if math.isfinite(self.size_sd):
            text = "the change is worth {size_sd:.1f} standard deviations of a single point"
            out.append(say(text, size_sd=self.size_sd))
        out.append(self._sharpness(self.main))
        if self.coincides_with:
            text = "in the same place the schedule changes: {names}"
            out.append(say(text, names=", ".join(self.coincides_with)))
        for other in self.changes:
            kind = "drop" if other.size < 0.0 else "rise"
            text = f"a further {kind} near {{t50:.6g}} [{{low:.6g}}, {{high:.6g}}]"
            out.append(say(text, t50=other.t50, low=other.low, high=other.high, by=transition))
        return (*out, *self._beside(), *flags)

    def _beside(self) -> tuple[Sentence, ...]:
        """What else there is, and is no transition."""
        out = []
        if math.isfinite(self.warm_up):
            text = "up to {end:.6g} the curve warms up: it runs the other way there, and is not searched"
            out.append(say(text, end=self.warm_up, by=transition))
        if self.window > 0.0:
            text = "each value is taken as the mean of a window of {window:.6g} that ends at its x: places are middles"
            out.append(say(text, window=self.window, by=transition))
        if math.isfinite(self.period):
            text = "the errors repeat every {period:.6g}: that pattern is modelled"
            out.append(say(text, period=self.period, by=transition))
        for regime in self.regimes:
            text = "a smooth change of regime: 10 % of it are done at {t10:.6g}, half at {t50:.6g}, 90 % at {t90:.6g}"
            out.append(say(text, t50=regime.t50, t10=regime.t10, t90=regime.t90, by=transition))
        return tuple(out)

    def _sharpness(self, main: Change) -> Sentence:
        if main.sharp:
            return say("a jump between two neighbouring points describes it as well as a gradual change", by=transition)
        return say(
            "10 % of it are done at {t10:.6g}, 90 % at {t90:.6g}; if patterns consolidated independently, each would "
            "need a threshold as sharp as Gamma shape {gamma_c:.2g}, or sharper",
            t10=self.t10,
            t90=self.t90,
            gamma_c=self.gamma_c,
        )


@single_threaded()
def transition(
    x: ArrayLike,
    y: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    rng: int | np.random.Generator = 0,
    level: float = 0.95,
    max_changes: int = 5,
    replicates: int = 199,
    schedule: Mapping[str, ArrayLike] | None = None,
    window: float | None = None,
    unit: float = 1.0,
) -> Transition:
    """Look for abrupt changes of level in a curve.

    Curves of more than 1,000 points are averaged into 500 to 1,000 bins of equally many neighbours first: a change is
    then located to a bin. A point at x = 0 has no place on the log axis and is left out.

    Parameters
    ----------
    x : array_like, shape (n,)
        Steps or exposures, 0 or more, in any order; the y of equal x are averaged.
    y : array_like, shape (n,)
    weights : array_like, shape (n,), optional
        The variance of a point is σ²/weight.
    rng : int or numpy Generator, default 0
    level : float, default 0.95
        Of the interval; 0.5 or more, below 1.
    max_changes : int, default 5
        At most so many changes are looked for, one after the other, until p > 0.05.
    replicates : int, default 199
        Largest number of bootstrap replicates of a p-value, 19 or more; the smallest p-value is 1/(replicates + 1).
    schedule : mapping of str to array_like of shape (n,), optional
        Logged columns (learning rate, λ, phase, warm-up flag; numbers or text). Those that change just where the curve
        does are named; constant and smoothly drifting ones never are.
    window : float, optional
        Every y is the mean over a window of this length that ends at its x: its place is the window's middle. By
        default the distance of the points is tried, and taken where a smooth form fits clearly better so; 0 for none.
    unit : float, default 1.0
        What x counts comes in these (steps); points no farther apart are single values, and no windows are looked for.
        0 where x has no unit (epochs, tokens, seconds).

    Returns
    -------
    Transition

    Raises
    ------
    InputError
        For fewer than 20 different x above 0, negative or infinite values, or lengths that differ.

    Notes
    -----
    A change is D·(1 − 1/(1 + (x/t50)^s)), so t90/t10 = 81^(1/s). Its limits invert the likelihood ratio, at the
    quantile found in simulated curves with that change.

    References
    ----------
    Andrews 1993, Econometrica 61:821 (largest likelihood ratio over locations); Besag & Clifford 1991, Biometrika
    78:301 (sequential p-values); Harville 1977, J. Am. Stat. Assoc. 72:320 (restricted likelihood); Fox 1972, J. R.
    Stat. Soc. B 34:350 (shocks as innovational outliers).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(1.0, 301.0)
    >>> y = 0.8 * x**-0.3 - 0.1 * (x > 120) + np.random.default_rng(0).normal(0, 0.01, 300)
    >>> result = transition(x, y)
    >>> result.found, result.interval
    (True, (120.0, 121.0))
    """
    generator = _checked_options(rng, level, max_changes, replicates)
    series = prepare(x, y, weights)
    if np.ptp(series.y) <= 1e-12 * np.abs(series.y).max():
        return _outcome(series, level, 1.0, "constant", arma.Arma())
    shapes: list[Shape] = []
    marks: list[tuple[float, float, float]] = []
    setting, null = find_setting(series, window, unit)
    series = setting.series
    first = verdict = assess_smooth_forms(series, null, shapes, replicates, generator)
    while verdict.is_refused:  # one change after the other, the strongest first
        assert verdict.start is not None
        shape, beside = _abrupt_or_smooth(series, null, shapes, verdict.start, replicates, generator)
        marks.append((*find_limits(series, beside, shape, level, generator), verdict.p_value))
        shapes.append(shape)
        null = smooth(series, shapes, beside.sizes, near=beside.form)
        n_smooth = sum(known.is_smooth for known in shapes)
        if n_smooth > _MOST_REGIMES and n_smooth == len(shapes):  # all that is left is smooth once more
            first = replace(verdict, p_value=1.0)
        if len(shapes) - n_smooth == max_changes or n_smooth > _MOST_REGIMES:
            break
        verdict = assess_smooth_forms(series, null, shapes, replicates, generator)
        if n_smooth == len(shapes):  # beside a smooth change of regime the question is asked again
            first = verdict
    found = _outcome_of(series, level, first, measure_changes(series, null, shapes, marks), shapes)
    together = find_coincidences(as_numbers("x", x), schedule or {}, found.main)
    period = math.nan if setting.season is None else setting.season.period
    return replace(found, coincides_with=together, warm_up=setting.warm_up, period=period, window=setting.window)


def _outcome_of(
    series: Series, level: float, first: Evidence, measured: Sequence[Change], shapes: Sequence[Shape]
) -> Transition:
    """Tell changes from smooth changes of regime."""
    changes = [change for change, shape in zip(measured, shapes, strict=True) if not shape.is_smooth]
    regimes = [change for change, shape in zip(measured, shapes, strict=True) if shape.is_smooth]
    outcome = _outcome(series, level, first.p_value, first.null.form.name, first.errors, changes)
    return replace(outcome, regimes=tuple(regimes))


def _abrupt_or_smooth(
    series: Series, null: Null, shapes: Sequence[Shape], start: Shape, replicates: int, rng: np.random.Generator
) -> tuple[Shape, Null]:
    """Fit a change; take a smooth change of regime instead where that will do.

    A jump must refuse the smoothly broken power law as it did the other smooth forms. From a gradual change that form
    hardly differs, so that the better of the two by BIC is taken.
    """
    shape, beside = _settle(series, null, shapes, start)
    if shape.is_smooth:
        return shape, beside
    broken, regime = broken_power(series, null, shapes)
    is_better = bic_score(broken, None, series) > bic_score(beside, shape, series)
    if shape.sharp and not is_better:
        trial = Trial.of(series, broken, shapes)
        is_better = not (
            trial.loglik < trial.highest - HOPELESS or assess_form(series, trial, replicates, rng).is_refused
        )
    return (regime, beside) if is_better else (shape, beside)


def _settle(series: Series, null: Null, shapes: Sequence[Shape], start: Shape) -> tuple[Shape, Null]:
    """Fit a change and the smooth form in turn.

    A change that is badly described may go with the wrong form, and the other way round.
    """
    sizes = np.append(null.sizes, effects(np.stack([*null.mean.rows, start.column(series)]), null.residual)[-1])
    shape, form = start, ""
    for _ in range(4):
        beside = smooth(series, [*shapes, shape], sizes, hidden=1)
        is_settled, form, sizes = form == beside.form.name, beside.form.name, beside.sizes
        before, shape = shape, locate(series, beside, shape)
        if is_settled and abs(math.log(shape.t50 / before.t50)) < 1e-3:
            break
    return shape, beside


def _checked_options(rng: Any, level: float, max_changes: int, replicates: int) -> np.random.Generator:
    if not 0.5 <= level < 1.0:
        raise InputError(f"`level` must be 0.5 or more and below 1, not {level}")
    for name, value, minimum in (("max_changes", max_changes, 1), ("replicates", replicates, 19)):
        if value < minimum:
            raise InputError(f"`{name}` must be at least {minimum}, not {value}")
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as wrong:
        raise InputError(f"`rng` must be a whole number of 0 or more, not {rng!r}") from wrong


def _outcome(
    series: Series,
    level: float,
    p_value: float,
    form: str,
    errors: Arma,
    changes: Sequence[Change] = (),
) -> Transition:
    n, nan = series.label.size, math.nan
    main = changes[0] if changes else None
    if main is None:
        t10 = t50 = t90 = low = high = ratio = size_sd = gamma_c = nan
    else:
        t10, t50, t90, low, high = main.t10, main.t50, main.t90, main.low, main.high
        ratio, size_sd = main.ratio, main.size_sd
        gamma_c = math.inf if main.sharp else gamma_threshold(t90 / t10)
    return Transition(
        t10=t10,
        t50=t50,
        t90=t90,
        low=low,
        high=high,
        level=level,
        p_value=p_value,
        ratio=ratio,
        size_sd=size_sd,
        null_form=form,
        errors=errors.title,
        gamma_c=gamma_c,
        coincides_with=(),
        changes=tuple(changes[1:]),
        flagged="few points" if n < FEW else "",
        n=n,
        main=main,
    )

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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cogfit.engine import arma
from cogfit.engine.arma import Arma
from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.formulas.registry import get_form
from cogfit.inference.error_models import innovations, simulated, tail, unevenness
from cogfit.inference.roots import brent
from cogfit.inference.transition_levels import (
    MIXTURE,
    Null,
    Series,
    Shape,
    bic_score,
    broken_power,
    gradual,
    rivals,
    smooth,
)
from cogfit.inference.transition_seasons import Season, find_season, without_season
from cogfit.inference.transition_starts import warm_up_end
from cogfit.inference.transition_steps import (
    Candidates,
    Mean,
    effects,
    loglik,
    peak,
    shocks,
    statistic,
    steps,
)
from cogfit.native import distributions
from cogfit.native.blas import single_threaded
from cogfit.records.arrays import as_array, as_numbers
from cogfit.records.codec import Document, High, Low, Nan
from cogfit.records.sentence import Sentence, say

SIGNIFICANT = 0.05
"""p-value up to which a change counts as found."""

FEW = 200
"""Points below which a result is flagged."""

_MIN_POINTS = 20  # different x above 0
_POINTS = 1000  # longer curves are averaged into at most so many bins of equally many neighbours
_STEEPNESS = (5.0, 11.0, 25.0, 60.0, 150.0)  # of the gradual steps tried besides sharp ones: t90/t10 = 2.4 … 1.03
_HITS = 10  # exceedances after which a bootstrap stops
_BATCHES = (20, 30, 50, 100, 200, 400, 800)  # replicates at a time: few first, for most nulls are settled early
_CHI_SQUARE = 1.92  # half of the 95 % quantile of χ² with one degree of freedom
_HOPELESS = 20.0  # log-likelihood by which a smooth form may lie below the best one with a step and still be tested
_CLEARLY = 3.0  # log-likelihood by which windows must do better than points to be taken for granted
_MOST_REGIMES = 3  # smooth changes of regime that are followed
_LOCATED = 199  # replicates behind the interval of a location


@dataclass(frozen=True)
class Change(Document):
    """One change of level.

    Attributes
    ----------
    t10, t50, t90 : float
        First points of the curve at which 10, 50 and 90 % of it are done.
    low, high : float
        Limits of t50, points of the curve.
    p_value : float
    size : float
        Change of the level, in units of y; negative for a drop.
    ratio : float
        Level before / level after, at t50: below 1 for a rise; inf where the level after it is 0 or has another sign.
    size_sd : float
        Size in marginal standard deviations of a single point; inf where there is no noise.
    sharp : bool
        Whether a jump between two neighbouring points describes it as well (5 % level).
    """

    t10: Nan
    t50: Nan
    t90: Nan
    low: Low
    high: High
    p_value: Nan
    size: Nan
    ratio: High
    size_sd: High
    sharp: bool


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
        Of the null that the curve is smooth; 1 where no step beats a shock from which the curve recovers.
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
    series = _prepared(x, y, weights)
    if np.ptp(series.y) <= 1e-12 * np.abs(series.y).max():
        return _outcome(series, level, 1.0, "constant", arma.Arma())
    shapes: list[Shape] = []
    marks: list[tuple[float, float, float]] = []
    setting, null = _setting(series, window)
    series = setting.series
    first = verdict = _test(series, null, shapes, replicates, generator)
    while verdict.is_refused:  # one change after the other, the strongest first
        assert verdict.start is not None
        shape, beside = _abrupt_or_smooth(series, null, shapes, verdict.start, replicates, generator)
        marks.append((*_limits(series, beside, shape, level, generator), verdict.p_value))
        shapes.append(shape)
        null = smooth(series, shapes, beside.sizes, near=beside.form)
        n_smooth = sum(known.is_smooth for known in shapes)
        if len(shapes) - n_smooth == max_changes or n_smooth > _MOST_REGIMES:
            break
        verdict = _test(series, null, shapes, replicates, generator)
        if n_smooth == len(shapes):  # beside a smooth change of regime the question is asked again
            first = verdict
    measured = _measure(series, null, shapes, marks)
    changes = [change for change, shape in zip(measured, shapes, strict=True) if not shape.is_smooth]
    regimes = [change for change, shape in zip(measured, shapes, strict=True) if shape.is_smooth]
    together = _coincidences(as_numbers("x", x), schedule or {}, changes[0] if changes else None)
    outcome = _outcome(series, level, first.p_value, first.null.form.name, first.errors, changes, together)
    period = math.nan if setting.season is None else setting.season.period
    return replace(outcome, regimes=tuple(regimes), warm_up=setting.warm_up, period=period, window=setting.window)


@dataclass(frozen=True)
class _Setting:
    """The curve that is searched, and what was found of it before.

    Last point of its warm-up (NaN for none), errors that repeat, length of its windows.
    """

    series: Series
    warm_up: float
    season: Season | None
    window: float


def _setting(series: Series, window: float | None) -> tuple[_Setting, Null]:
    """Recognise windows, a warm-up and a season; the smooth form comes with them."""
    series, null, length = _middles(series, window)
    end = math.nan
    if count := warm_up_end(series, null):
        end = float(series.points[0][int(np.searchsorted(series.label, count)) - 1])
        series = series.after(count)
        null = smooth(series)
    season = find_season(series, null)
    if season is not None:
        series = without_season(series, null, season)
        null = smooth(series)
    return _Setting(series, end, season, length), null


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
        trial = _Trial.of(series, broken, shapes)
        is_better = not (
            trial.loglik < trial.highest - _HOPELESS or _test_form(series, trial, replicates, rng).is_refused
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
        before, shape = shape, _locate(series, beside, shape)
        if is_settled and abs(math.log(shape.t50 / before.t50)) < 1e-3:
            break
    return shape, beside


def gamma_threshold(ratio: float) -> float:
    """Gamma shape with given sharpness.

    Shape c of the Gamma law whose 90 % quantile is `ratio` times its 10 % quantile (theory T6).

    Parameters
    ----------
    ratio : float
        t90/t10 of a survival curve, 1 or more.

    Returns
    -------
    float
        Between 0.02 and inf (for a ratio of 1).

    Examples
    --------
    >>> import math
    >>> round(gamma_threshold(math.log(10) / -math.log(0.9)), 6)  # an exponential
    1.0
    """

    def excess(log_c: float) -> float:
        low, high = distributions.gamma_quantile(np.array([0.1, 0.9]), math.exp(log_c)).tolist()
        return math.log(high) - math.log(low) - math.log(ratio)

    low, high = math.log(0.02), math.log(1e9)
    if ratio <= 1.0 or excess(high) >= 0.0:
        return math.inf
    return math.exp(brent(excess, low, high, absolute=1e-10)) if excess(low) > 0.0 else 0.02


# ----------------------------------------------------------------------------------------------- input and output


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


def _prepared(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None) -> Series:
    xs, ys = as_numbers("x", x), as_numbers("y", y)
    ws = np.ones(xs.shape) if weights is None else as_numbers("weights", weights)
    if xs.ndim != 1 or xs.shape != ys.shape or xs.shape != ws.shape:
        raise InputError(f"`x`, `y` and `weights` must be rows of equal length, not {xs.shape}, {ys.shape}, {ws.shape}")
    for name, column in (("x", xs), ("y", ys), ("weights", ws)):
        if not np.all(np.isfinite(column)):
            raise InputError(f"`{name}` has values that are not finite", hint="leave these points out")
    if np.any(xs < 0.0):
        raise InputError("`x` has negative values", hint="give steps or exposures, counted from 0 or 1")
    if np.any(ws <= 0.0):
        raise InputError("`weights` must be above 0", hint="leave points without weight out")
    keep = xs > 0.0
    if (count := np.unique(xs[keep]).size) < _MIN_POINTS:
        raise InputError(
            f"{count} points are too few to tell a transition from a smooth curve",
            hint=f"give at least {_MIN_POINTS} different x above 0, better {FEW}",
        )
    return Series.from_points(xs[keep], ys[keep], ws[keep], _POINTS)


def _middles(series: Series, window: float | None) -> tuple[Series, Null, float]:
    """The curve against the middles of windows, its smooth form, the windows' length.

    A mean over a window belongs to its middle. Plotted at the end, a steep beginning is steeper than any power law.
    """
    if window is not None:
        if not 0.0 <= window < 2.0 * series.points[0][0]:
            raise InputError(
                f"`window` must be 0 or more and end at the first x, {series.points[0][0]:g}, not {window:g}",
                hint="give the length of the windows over which y are means, in units of x",
            )
        series = series.moved(-0.5 * window) if window else series
        return series, smooth(series), float(window)
    null, gaps = smooth(series), np.diff(series.points[0])
    length = float(np.median(gaps))
    is_even = bool(np.abs(gaps - length).max() <= 1e-6 * length)
    if not is_even or length <= 1.0 or series.points[0][0] < length * (1.0 - 1e-6):
        return series, null, 0.0
    middles = series.moved(-0.5 * length)
    other = smooth(middles)
    if bic_score(other, None, middles) > bic_score(null, None, series) + _CLEARLY:
        return middles, other, length
    return series, null, 0.0


def _outcome(
    series: Series,
    level: float,
    p_value: float,
    form: str,
    errors: Arma,
    changes: Sequence[Change] = (),
    coincides_with: tuple[str, ...] = (),
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
        coincides_with=coincides_with if changes else (),
        changes=tuple(changes[1:]),
        flagged="few points" if n < FEW else "",
        n=n,
        main=main,
    )


def _measure(
    series: Series, null: Null, shapes: Sequence[Shape], marks: Sequence[tuple[float, float, float]]
) -> list[Change]:
    """All changes, with their sizes beside each other."""
    if not shapes:
        return []
    columns = np.stack([shape.column(series) / series.root for shape in shapes])
    total = null.fitted + null.sizes @ columns
    _, y, w = series.points
    # The fit takes as many degrees of freedom from correlated errors as if there were n/τ points.
    share_fitted = len(null.mean.rows) / _errors(null.residual, null.mean).points(series.x.size)
    noise = math.sqrt(float(w @ (y - total[series.label]) ** 2) / float(w.sum()) / max(1.0 - share_fitted, 0.25))
    changes = []
    for shape, column, (low, high, p_value), size in zip(shapes, columns, marks, null.sizes.tolist(), strict=True):
        before = float(np.interp(math.log(shape.t50), np.log(series.x), total - size * column))
        t10, t50, t90 = (_first_step(series, shape.quantile(share)) for share in (0.1, 0.5, 0.9))
        low, high = _last_step(series, min(low, t50)), _first_step(series, max(high, t50))
        ratio = before / (before + size) if before * (before + size) > 0.0 else math.inf
        size_sd = abs(size) / noise if noise > 1e-9 * abs(size) else math.inf
        changes.append(Change(t10, t50, t90, low, high, p_value, size, ratio, size_sd, shape.sharp))
    return changes


def _first_step(series: Series, place: float) -> float:
    """First point of the curve that is not before a place."""
    x = series.points[0]
    return float(x[min(int(np.searchsorted(x, place * (1.0 - 1e-12))), x.size - 1)])


def _last_step(series: Series, place: float) -> float:
    """Last point of the curve that is not beyond a place."""
    x = series.points[0]
    return float(x[max(int(np.searchsorted(x, place * (1.0 + 1e-12), "right")) - 1, 0)])


def _coincidences(x: Array, schedule: Mapping[str, ArrayLike], change: Change | None) -> tuple[str, ...]:
    """Columns of a schedule that change where the curve does.

    Within the interval they change at least half as much as over any stretch as long, and not
    beside it.
    """
    order = np.argsort(x, kind="stable")
    names = []
    for name, values in schedule.items():
        column = as_array(name, values)
        if column.shape != x.shape:
            raise InputError(f"column '{name}' of `schedule` has shape {column.shape}, but x has {x.shape}")
        if change is None:
            continue
        try:
            value = column.astype(float)[order]
        except (TypeError, ValueError):  # text
            value = np.unique(column.astype(str), return_inverse=True)[1].astype(float)[order]
        margin = max(2, x.size // 100)
        first = int(np.searchsorted(x[order], min(change.low, change.t10))) - margin
        last = int(np.searchsorted(x[order], max(change.high, change.t90), "right")) + margin
        first, last = max(first, 0), min(last, x.size)
        size = last - first
        edges = [*range(first, -size, -size), *range(last, x.size, size)]
        here, *others = (_spread(value[max(at, 0) : at + size]) for at in edges)
        beside = max(_spread(value[max(first - size, 0) : first]), _spread(value[last : last + size]))
        if here > 0.0 and here >= 3.0 * beside and 2.0 * here >= max(others, default=0.0):
            names.append(str(name))
    return tuple(names)


def _spread(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(np.ptp(finite)) if finite.size else 0.0


# --------------------------------------------------------------------------------------------------- null and test


@dataclass(frozen=True)
class _Verdict:
    """How a smooth curve fares against a step.

    Its p-value, its form, its errors beside the best step, that step (None where there is nothing to explain).
    """

    p_value: float
    null: Null
    errors: Arma
    start: Shape | None = None

    @property
    def is_refused(self) -> bool:
        """Whether the step is needed."""
        return self.start is not None and self.p_value <= SIGNIFICANT


@dataclass(frozen=True)
class _Trial:
    """A smooth form and the steps that may join it.

    `loglik` is that of the form alone, `logliks` those with each of the steps.
    """

    null: Null
    step: Candidates
    shapes: tuple[Shape, ...]
    loglik: float
    logliks: Array

    @classmethod
    def of(cls, series: Series, null: Null, known: Sequence[Shape]) -> _Trial:
        """Try the steps of the grid."""
        at, location, s = _grid(series, known)
        step = steps(null.mean, series.root, at, gradual(np.log(series.x), location, s))
        jumps = (Shape(0.5 * float(series.x[i] + series.x[i - 1]), math.inf) for i in at)
        shapes = (*jumps, *(Shape(math.exp(q), k) for q, k in zip(location.tolist(), s.tolist(), strict=True)))
        alone = null.mean.max_loglik(null.residual)
        return cls(null, step, shapes, alone, step.max_logliks(null.mean, null.residual))

    @property
    def best(self) -> Shape:
        """The best step."""
        return self.shapes[int(self.logliks.argmax())]

    @property
    def highest(self) -> float:
        """Log-likelihood with the best step."""
        return float(self.logliks.max(initial=self.loglik))


def _test(series: Series, null: Null, shapes: Sequence[Shape], replicates: int, rng: np.random.Generator) -> _Verdict:
    """Test all smooth forms that may explain the curve.

    A step is needed if every one of them is refused; the p-value is that of the least refused (Berger 1982,
    Technometrics 24:295). So it does not matter that the form is chosen by the data. A form is no explanation, and not
    asked, if some form with a step is far better: its own errors would be so large that nothing refuses it.
    """
    if _is_exact(series, null):
        return _Verdict(1.0, null, arma.Arma())  # there is no noise, and nothing is left to explain
    first = _Trial.of(series, null, shapes)
    verdict = _test_form(series, first, replicates, rng)
    if not verdict.is_refused and first.highest < first.loglik + 0.5 * _HOPELESS:
        return verdict
    trials = [first, *(_Trial.of(series, rival, shapes) for rival in rivals(series, null, shapes))]
    best = max(trials, key=lambda trial: trial.highest)
    for trial in trials:
        if trial.loglik < best.highest - _HOPELESS:
            continue
        other = verdict if trial is first else _test_form(series, trial, replicates, rng)
        if not other.is_refused:
            return other
        verdict = max(verdict, other, key=lambda v: v.p_value)
    if not verdict.is_refused:  # the first form is no explanation, nor is any other
        verdict = _test_form(series, best, replicates, rng)
    return replace(verdict, start=verdict.start and best.best)


def _is_exact(series: Series, null: Null) -> bool:
    """Whether a smooth form goes through all points."""
    left = null.residual - null.mean.rows.T @ (null.mean.rows @ null.residual)
    # bounds of the forms leave 5e-6 of a straight line
    return float(np.linalg.norm(left)) <= 1e-5 * float(np.linalg.norm((series.y - series.y.mean()) * series.root))


def _test_form(series: Series, trial: _Trial, replicates: int, rng: np.random.Generator) -> _Verdict:
    """Test one smooth form against the best step of the grid."""
    null, step = trial.null, trial.step
    if _is_exact(series, null):
        return _Verdict(1.0, null, arma.Arma())

    # the largest gain over all steps; nothing to test where a shock does as well
    shock = shocks(null.mean, np.arange(series.trim, series.x.size - series.trim + 1))
    observed = float(statistic(null.mean, step, shock, null.residual[None])[0])
    if observed <= 0.0:
        return _Verdict(1.0, null, _errors(null.residual, null.mean))

    # errors beside the best step: a change left in them would make them wander so far that no change is found
    beside = Mean.from_rows(np.stack([*null.mean.rows, trial.best.column(series)]))
    errors = _errors(null.residual, beside)
    innovation = innovations(null.residual, beside.rows, errors)
    scale = unevenness(innovation)
    nu = tail(innovation / scale)

    def exceedances(size: int) -> NDArray[np.int64]:
        curves = simulated(errors, nu, scale, size, rng)
        return np.cumsum(statistic(null.mean, step, shock, curves, observed) >= observed)

    return _Verdict(_sequential_p_value(exceedances, replicates), null, errors, trial.best)


def _sequential_p_value(exceedances: Callable[[int], NDArray[np.int64]], replicates: int) -> float:
    """Bootstrap p-value that stops early (Besag & Clifford 1991).

    `exceedances` makes a number of replicates and counts, cumulatively, those with at least the observed statistic.
    """
    hits, done = 0, 0
    for batch in (*_BATCHES, replicates):
        size = min(batch, replicates - done)
        above = exceedances(size)
        if hits + above[-1] >= _HITS:
            return _HITS / (done + int(np.searchsorted(above, _HITS - hits)) + 1)
        hits, done = hits + int(above[-1]), done + size
        if done == replicates:
            break
    return (hits + 1.0) / (done + 1.0)


def _grid(series: Series, shapes: Sequence[Shape]) -> tuple[NDArray[np.intp], Array, Array]:
    """Steps that are tried.

    First points of sharp steps; locations (log) and steepness of gradual ones that begin and end in
    the data.

    There are none where a change is known.
    """
    lx, c = np.log(series.x), series.trim
    at = np.arange(c, lx.size - c + 1)
    location, steepness = [np.zeros(0)], [np.zeros(0)]
    for s in _STEEPNESS:
        middle, half = np.arange(lx[c], lx[-c - 1], 1.6 / s), math.log(9.0) / s
        middle = middle[(middle - half >= lx[0]) & (middle + half <= lx[-1])]
        middle = middle[np.searchsorted(lx, middle + half) - np.searchsorted(lx, middle - half) >= 3]
        location.append(middle)
        steepness.append(np.full(middle.size, s))
    locations, steepnesses = np.concatenate(location), np.concatenate(steepness)
    for shape in shapes:
        low, high = (int(np.searchsorted(series.x, shape.quantile(share))) for share in (0.1, 0.9))
        at = at[(at < low - c) | (at > high + c)]
        free = (locations < lx[max(low - c, 0)]) | (locations > lx[min(high + c, lx.size - 1)])
        locations, steepnesses = locations[free], steepnesses[free]
    return at, locations, steepnesses


def _errors(residual: Array, mean: Mean) -> Arma:
    """ARMA errors by restricted likelihood.

    Orders beyond AR(1) only where AR(1) leaves correlated innovations.
    """
    n, design, lags = residual.size, mean.rows.T, np.arange(1, 9)
    _, white = arma.estimate_arma(residual, design, (0, 0))
    first, value = arma.estimate_arma(residual, design, (1, 0))
    innovation = innovations(residual, mean.rows, first)
    correlations = np.array([innovation[k:] @ innovation[:-k] for k in lags]) / max(
        float(innovation @ innovation), 1e-300
    )
    ljung_box = n * (n + 2.0) * float(np.sum(correlations**2 / (n - lags)))  # Ljung & Box 1978, Biometrika 65:297
    if distributions.chi2_sf(ljung_box, lags.size - 1) < SIGNIFICANT:
        return arma.select_arma(residual, design)
    return first if value - white > 1.0 else arma.Arma()


# ---------------------------------------------------------------------------------------------------- the location


def _gaps(series: Series) -> tuple[Array, Array]:
    """Gaps between neighbouring inner points.

    Their middles (log), and the steepness of a change that takes half of the gap.
    """
    inner = series.x[series.trim - 1 : series.x.size - series.trim + 1]
    return np.log(0.5 * (inner[1:] + inner[:-1])), 2.0 * math.log(81.0) / np.diff(np.log(inner))


def _locate(series: Series, null: Null, start: Shape) -> Shape:
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


def _limits(series: Series, null: Null, shape: Shape, level: float, rng: np.random.Generator) -> tuple[float, float]:
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
    errors = _errors(null.residual, full)
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

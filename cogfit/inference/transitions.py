r"""Phase transitions: a change of level that is more abrupt than any smooth form of learning.

A floor is itself a change of the log–log slope, and autocorrelated errors wander as if the level had changed. So the
null is the best of several *smooth* forms (by BIC) with ARMA errors. The statistic is the largest likelihood ratio of
adding a step, over all locations and a few widths; the lag-1 correlation ρ of the errors is estimated anew with each
step and without. A step must also beat a single shock from which the curve recovers as it does from every error. The
p-value comes from smooth curves with errors like the residuals' (restricted maximum likelihood, beside the best step;
heavy-tailed, or larger in some parts than in others, where these are), on which the same statistic is computed. The
form counts as linear in its parameters near its best fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cogfit.engine import arma
from cogfit.engine.arma import Arma
from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.formulas.registry import get_form
from cogfit.inference.transition_levels import MIXTURE, Null, Series, Shape, gradual, smooth
from cogfit.inference.transition_steps import (
    Candidates,
    Mean,
    effects,
    innovations,
    loglik,
    peak,
    shocks,
    simulated,
    statistic,
    steps,
    tail,
    unevenness,
)
from cogfit.records.codec import Document, High, Low, Nan
from cogfit.records.sentence import Sentence, say

SIGNIFICANT = 0.05
"""p-value up to which a change counts as found."""

FEW = 200
"""Points below which a result is flagged."""

_LEAST = 20
_POINTS = 1000  # longer curves are averaged into at most so many bins of equally many neighbours
_STEEPNESS = (5.0, 11.0, 25.0, 60.0, 150.0)  # of the gradual steps tried besides sharp ones: t90/t10 = 2.4 … 1.03
_HITS = 10  # exceedances after which a bootstrap stops
_BATCHES = (20, 30, 50, 100, 200, 400, 800)
_LOCATED = 199  # replicates behind the interval of a location


@dataclass(frozen=True)
class Change(Document):
    """One change of level.

    Attributes
    ----------
    t10, t50, t90 : float
        Where 10, 50 and 90 % of it are done, on the axis of x.
    low, high : float
        Limits of t50.
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
    """Whether, where and how sharply a curve changes its level; NaN where no change was found.

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
        few = "only {n} points: small changes go unnoticed"
        flags = (say(few, n=self.n, threshold=f"n < {FEW}", by=transition),) if self.flagged else ()
        null = "({null}, {errors}; p = {p:.2g})"
        numbers = {"null": self.null_title, "errors": self.errors, "p": self.p_value}
        if self.main is None:
            text = "no change of level beyond a smooth curve " + null
            return (say(text, threshold=f"p > {SIGNIFICANT:g}", by=transition, **numbers), *flags)
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
        return (*out, *flags)

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
    >>> found = transition(x, y)
    >>> found.found, found.interval
    (True, (120.0, 121.0))
    """
    generator = _checked_options(rng, level, max_changes, replicates)
    series = _prepared(x, y, weights)
    if np.ptp(series.y) <= 1e-12 * np.abs(series.y).max():
        return _outcome(series, level, 1.0, "constant", arma.Arma())
    known: list[Shape] = []
    marks: list[tuple[float, float, float]] = []
    null = smooth(series)
    p_value, errors, start = _test(series, null, known, replicates, generator)
    first = level, p_value, null.form.name, errors
    while start is not None and p_value <= SIGNIFICANT:
        sizes = np.append(null.sizes, effects(np.stack([*null.mean.rows, start.column(series)]), null.rest)[-1])
        shape, form = start, ""
        for _ in range(4):  # a change that is badly described may go with the wrong form, and the other way round
            beside = smooth(series, [*known, shape], sizes, hidden=1)
            settled, form, sizes = form == beside.form.name, beside.form.name, beside.sizes
            before, shape = shape, _located(series, beside, shape)
            if settled and abs(math.log(shape.t50 / before.t50)) < 1e-3:
                break
        marks.append((*_limits(series, beside, shape, level, generator), p_value))
        known.append(shape)
        null = smooth(series, known, beside.sizes, near=beside.form)
        if len(known) == max_changes:
            break
        p_value, _, start = _test(series, null, known, replicates, generator)
    changes = _described(series, null, known, marks)
    together = _coincidences(np.asarray(x, dtype=float), schedule or {}, changes[0] if changes else None)
    return _outcome(series, *first, changes, together)


def gamma_threshold(ratio: float) -> float:
    """Shape c of the Gamma law whose 90 % quantile is `ratio` times its 10 % quantile (theory T6).

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
    from scipy.optimize import brentq
    from scipy.special import gammaincinv

    def excess(log_c: float) -> float:
        low, high = gammaincinv(math.exp(log_c), [0.1, 0.9])
        return math.log(high) - math.log(low) - math.log(ratio)

    low, high = math.log(0.02), math.log(1e9)
    if ratio <= 1.0 or excess(high) >= 0.0:
        return math.inf
    return math.exp(brentq(excess, low, high, xtol=1e-10)) if excess(low) > 0.0 else 0.02


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


# ----------------------------------------------------------------------------------------------- input and output


def _checked_options(rng: Any, level: float, max_changes: int, replicates: int) -> np.random.Generator:
    if not 0.5 <= level < 1.0:
        raise InputError(f"`level` must be 0.5 or more and below 1, not {level}")
    for name, value, least in (("max_changes", max_changes, 1), ("replicates", replicates, 19)):
        if value < least:
            raise InputError(f"`{name}` must be at least {least}, not {value}")
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as wrong:
        raise InputError(f"`rng` must be a whole number of 0 or more, not {rng!r}") from wrong


def _prepared(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None) -> Series:
    try:
        xs, ys = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        ws = np.ones(xs.shape) if weights is None else np.asarray(weights, dtype=float)
    except (TypeError, ValueError) as wrong:
        raise InputError(f"`x`, `y` and `weights` must be numbers: {wrong}") from wrong
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
    if (count := np.unique(xs[keep]).size) < _LEAST:
        raise InputError(
            f"{count} points are too few to tell a transition from a smooth curve",
            hint=f"give at least {_LEAST} different x above 0, better {FEW}",
        )
    return Series.of(xs[keep], ys[keep], ws[keep], _POINTS)


def _outcome(
    series: Series, level: float, p_value: float, form: str, errors: Arma,
    changes: Sequence[Change] = (), coincides_with: tuple[str, ...] = (),
) -> Transition:  # fmt: skip
    n, nan = series.label.size, math.nan
    flagged = "few points" if n < FEW else ""
    if not changes:
        return Transition(
            nan, nan, nan, nan, nan, level, p_value, nan, nan, form, errors.title, nan, (), (), flagged, n, None
        )  # fmt: skip
    main = changes[0]
    return Transition(
        main.t10, main.t50, main.t90, main.low, main.high, level, p_value, main.ratio, main.size_sd, form,
        errors.title, math.inf if main.sharp else gamma_threshold(main.t90 / main.t10), coincides_with,
        tuple(changes[1:]), flagged, n, main,
    )  # fmt: skip


def _described(
    series: Series, null: Null, known: Sequence[Shape], marks: Sequence[tuple[float, float, float]]
) -> list[Change]:
    """All changes, with the sizes that they have beside each other."""
    if not known:
        return []
    columns = np.stack([shape.column(series) / series.root for shape in known])
    total = null.fitted + null.sizes @ columns
    _, y, w = series.points
    # The fit takes as many degrees of freedom from correlated errors as if there were n/τ points.
    taken = len(null.mean.rows) * _errors(null.rest, null.mean).time / series.x.size
    noise = math.sqrt(float(w @ (y - total[series.label]) ** 2) / float(w.sum()) / max(1.0 - taken, 0.25))
    out = []
    for shape, column, mark, size in zip(known, columns, marks, null.sizes.tolist(), strict=True):
        before = float(np.interp(math.log(shape.t50), np.log(series.x), total - size * column))
        t10, t90 = shape.quantile(0.1), shape.quantile(0.9)
        ratio = before / (before + size) if before * (before + size) > 0.0 else math.inf
        size_sd = abs(size) / noise if noise > 1e-9 * abs(size) else math.inf
        out.append(Change(t10, shape.t50, t90, *mark, size, ratio, size_sd, shape.sharp))
    return out


def _coincidences(x: Array, schedule: Mapping[str, ArrayLike], change: Change | None) -> tuple[str, ...]:
    """Columns that change within the interval at least half as much as over any stretch as long, and not beside it."""
    order = np.argsort(x, kind="stable")
    out = []
    for name, raw in schedule.items():
        column = np.asarray(raw)
        if column.shape != x.shape:
            raise InputError(f"column '{name}' of `schedule` has shape {column.shape}, but x has {x.shape}")
        if change is None:
            continue
        try:
            value = column.astype(float)[order]
        except (TypeError, ValueError):  # text
            value = np.unique(column.astype(str), return_inverse=True)[1].astype(float)[order]
        widen = max(2, x.size // 100)
        first = int(np.searchsorted(x[order], min(change.low, change.t10))) - widen
        last = int(np.searchsorted(x[order], max(change.high, change.t90), "right")) + widen
        first, last = max(first, 0), min(last, x.size)
        size = last - first
        edges = [*range(first, -size, -size), *range(last, x.size, size)]
        here, *others = (_spread(value[max(at, 0) : at + size]) for at in edges)
        beside = max(_spread(value[max(first - size, 0) : first]), _spread(value[last : last + size]))
        if here > 0.0 and here >= 3.0 * beside and 2.0 * here >= max(others, default=0.0):
            out.append(str(name))
    return tuple(out)


def _spread(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(np.ptp(finite)) if finite.size else 0.0


# --------------------------------------------------------------------------------------------------- null and test


def _test(
    series: Series, null: Null, known: Sequence[Shape], replicates: int, rng: np.random.Generator
) -> tuple[float, Arma, Shape | None]:
    """p-value of the smooth null, its errors, and the best step of the grid."""
    n = series.x.size
    left = null.rest - null.mean.rows.T @ (null.mean.rows @ null.rest)
    if float(np.linalg.norm(left)) <= 1e-6 * float(np.linalg.norm((series.y - series.y.mean()) * series.root)):
        return 1.0, arma.Arma(), None  # there is no noise, and nothing is left to explain
    at, location, s = _grid(series, known)
    step = steps(null.mean, series.root, at, gradual(np.log(series.x), location, s))
    shock = shocks(null.mean, np.arange(series.trim, n - series.trim + 1))
    observed = float(statistic(null.mean, step, shock, null.rest[None])[0])
    if observed <= 0.0:
        return 1.0, _errors(null.rest, null.mean), None
    best = int(step.heights(null.mean, null.rest).argmax())
    if best < at.size:
        start = Shape(0.5 * float(series.x[at[best]] + series.x[at[best] - 1]), math.inf)
    else:
        start = Shape(math.exp(location[best - at.size]), float(s[best - at.size]))
    # Beside the best step: a change that is left in the errors would make them wander so far that no change is found.
    beside = Mean.of(np.stack([*null.mean.rows, start.column(series)]))
    errors = _errors(null.rest, beside)
    innovation = innovations(null.rest, beside, errors)
    scale = unevenness(innovation)
    nu = tail(innovation / scale)
    hits, done = 0, 0
    for size in (*_BATCHES, replicates):
        size = min(size, replicates - done)
        made = simulated(errors, nu, scale, size, rng)
        above = np.cumsum(statistic(null.mean, step, shock, made, observed) >= observed)
        if hits + above[-1] >= _HITS:
            return _HITS / (done + int(np.searchsorted(above, _HITS - hits)) + 1), errors, start
        hits, done = hits + int(above[-1]), done + size
        if done == replicates:
            break
    return (hits + 1.0) / (done + 1.0), errors, start


def _grid(series: Series, known: Sequence[Shape]) -> tuple[NDArray[np.intp], Array, Array]:
    """First points of sharp steps; locations (log) and steepness of gradual ones that begin and end in the data.

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
    where, s_all = np.concatenate(location), np.concatenate(steepness)
    for shape in known:
        low, high = (int(np.searchsorted(series.x, shape.quantile(share))) for share in (0.1, 0.9))
        at = at[(at < low - c) | (at > high + c)]
        free = (where < lx[max(low - c, 0)]) | (where > lx[min(high + c, lx.size - 1)])
        where, s_all = where[free], s_all[free]
    return at, where, s_all


def _errors(rest: Array, mean: Mean) -> Arma:
    """ARMA errors by restricted likelihood; orders beyond AR(1) only where AR(1) leaves correlated innovations."""
    from scipy.special import chdtrc

    n, design, lags = rest.size, mean.rows.T, np.arange(1, 9)
    _, white = arma.estimate_arma(rest, design, (0, 0))
    first, value = arma.estimate_arma(rest, design, (1, 0))
    r = innovations(rest, mean, first)
    rho = np.array([r[k:] @ r[:-k] for k in lags]) / max(float(r @ r), 1e-300)
    box = n * (n + 2.0) * float(np.sum(rho**2 / (n - lags)))  # Ljung & Box 1978, Biometrika 65:297
    if chdtrc(lags.size - 1, box) < SIGNIFICANT:
        return arma.select_arma(rest, design)
    return first if value - white > 1.0 else arma.Arma()


# ---------------------------------------------------------------------------------------------------- the location


def _gaps(series: Series) -> tuple[Array, Array]:
    """Middles between neighbouring inner points (log), and steepness of a change that takes half of the gap."""
    inner = series.x[series.trim - 1 : series.x.size - series.trim + 1]
    return np.log(0.5 * (inner[1:] + inner[:-1])), 2.0 * math.log(81.0) / np.diff(np.log(inner))


def _located(series: Series, null: Null, start: Shape) -> Shape:
    """Location and steepness of a change by maximum likelihood: a grid, then finer ones about its best point."""
    lx, (gaps, steepest), none = np.log(series.x), _gaps(series), np.zeros(0, dtype=np.intp)

    def heights(location: Array, s: Array) -> Array:
        columns = steps(null.mean, series.root, none, gradual(lx, location, s))
        return columns.heights(null.mean, null.rest)

    def near(location: float, count: int) -> NDArray[np.intp]:
        return np.asarray(np.clip(np.searchsorted(gaps, location) + np.arange(-count, count + 1), 0, gaps.size - 1))

    centre = math.log(start.t50)
    jumps = near(centre, 6)
    q, s = (g.ravel() for g in np.meshgrid(centre + np.linspace(-0.6, 0.6, 25), np.geomspace(2.5, 60.0, 8)))
    q, s = np.append(q, gaps[jumps]), np.append(s, steepest[jumps])
    best, width, factor = (-math.inf, 0.0, 0.0), 0.03, 1.6
    for _ in range(6):
        q = np.clip(q, gaps[0], gaps[-1])
        least = math.log(9.0) / np.minimum(q - lx[0], lx[-1] - q)  # 10 and 90 % lie within the data
        s = np.clip(s, least, steepest[np.clip(np.searchsorted(gaps, q), 0, gaps.size - 1)])
        value = heights(q, s)
        k = int(value.argmax())
        best = max(best, (float(value[k]), float(q[k]), float(s[k])))
        fan = np.linspace(-1.0, 1.0, 7)
        q, s = (g.ravel() for g in np.meshgrid(best[1] + width * fan, best[2] * factor**fan))
        width, factor = width / 2.5, math.sqrt(factor)
    jumps = near(best[1], 6)
    sharp = heights(gaps[jumps], steepest[jumps]).max() > best[0] - 1.92
    return Shape(math.exp(best[1]), best[2], bool(sharp))


def _limits(
    series: Series, null: Null, shape: Shape, level: float, rng: np.random.Generator
) -> tuple[float, float]:  # fmt: skip
    """Limits of a location: the likelihood ratio inverted at its quantile in curves with that change."""
    lx, (gaps, steepest), centre = np.log(series.x), _gaps(series), math.log(shape.t50)

    def columns(location: Array) -> Candidates:
        most = steepest[np.clip(np.searchsorted(gaps, location), 0, gaps.size - 1)]
        s = np.minimum(shape.s * np.array([[0.6], [1.0], [1.7]]), most).T.ravel()
        made = gradual(lx, np.repeat(location, 3), s)
        return steps(null.mean, series.root, np.zeros(0, dtype=np.intp), made)

    def heights(candidates: Candidates) -> Array:
        return np.asarray(candidates.heights(null.mean, null.rest).reshape(-1, 3).max(axis=1))

    # Roughly where it may lie, then at most 60 places there, of which the first is the estimate.
    stride = -(-gaps.size // 80)
    rough = np.append(centre, gaps[::stride])
    value = heights(columns(rough))
    inside = rough[value > value.max() - 8.0]
    a, b = np.searchsorted(gaps, [inside.min(), inside.max()]) + np.array([-stride, stride])
    region = gaps[max(int(a), 0) : int(b) + 1]
    places = np.append(centre, region[:: -(-region.size // 60)])
    candidates = columns(places)
    column = shape.column(series)
    slopes = [Shape(shape.t50 * f, shape.s * g).column(series) for f, g in ((1.001, 1.0), (1.0, 1.1))]
    full = Mean.of(np.stack([*null.mean.rows, column, *slopes]))
    errors = _errors(null.rest, full)
    r = innovations(null.rest, full, errors)
    noise = math.sqrt(float(r @ r) / max(r.size - len(full.rows), 1))
    y = null.sizes[-1] * column + simulated(errors, math.inf, noise * unevenness(r), _LOCATED, rng)
    rss, u = null.mean.rest(y)
    best, true = (peak(loglik(rss - candidates.gains(y, u, m), r.size)) for m in (None, 3))
    cut = max(float(np.quantile(best - true, level)), 1.92)
    value = heights(candidates)
    good = np.append(centre, places[value >= value.max() - cut])
    # A jump may lie anywhere between two points, so the limits are points.
    low = series.x[max(int(np.searchsorted(lx, good.min())) - 1, 0)]
    return float(low), float(series.x[min(int(np.searchsorted(lx, good.max())), lx.size - 1)])

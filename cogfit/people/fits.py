"""Fits of human data: each data set with the forms, noise and weights that suit it, and nothing that it cannot bear.

What is special about a data set stands in :data:`PLANS`; everything else follows from its description: curves are
fitted with every form, contrasts get differences with intervals and never an exponent, estimates of single subjects a
distribution, block means one law over all blocks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit import fitting
from cogfit.errors import InputError
from cogfit.formulas.registry import get_form
from cogfit.inference.interval import format_interval
from cogfit.people import block_means
from cogfit.people.dataset import Dataset, Series
from cogfit.people.over_subjects import (
    Contrast,
    Population,
    independent_contrast,
    paired_contrast,
    random_effects,
    stderr_from_r2,
)
from cogfit.progress import Progress
from cogfit.result import FitResult

if TYPE_CHECKING:
    import pandas as pd


SLOPES = (("power", "raw", "gaussian"), ("power", "log", "lognormal"), ("power_floor", "raw", "gaussian"))
"""Form, scale and noise of the slopes that every curve gets."""

LEAST_POINTS = 4
LEAST_COMPARED = 6
"""Fewer points than these give no slope, and no comparison of forms."""


@dataclass(frozen=True)
class Plan:
    """What one data set needs beyond its description.

    Attributes
    ----------
    form : str or None
        The only form that has a meaning here; None: all.
    x_min, x_max : float or None
        Window of the main fit, in the data set's own convention.
    windows : tuple of (float or None, float or None)
        Further windows over which the slope is given.
    pool : str or None
        Label of the groups that keep a level of their own when block means are pooled; None: every curve does.
    r2 : str or None
        Column with R² of single subjects' fits.
    points : tuple of float
        Points behind these fits; with R² they give the standard errors
        (:func:`cogfit.people.over_subjects.stderr_from_r2`).
    why : str
        Reasons, in words.
    """

    form: str | None = None
    x_min: float | None = None
    x_max: float | None = None
    windows: tuple[tuple[float | None, float | None], ...] = ()
    pool: str | None = None
    r2: str | None = None
    points: tuple[float, ...] = ()
    why: str = ""


PLANS: dict[str, Plan] = {
    "zbrodoff1995_alphabet_arithmetic": Plan(
        pool="addend", why="three block means a curve: pooled over all cells, with the mean of the form over each block"
    ),
    "anderson1981_errors": Plan(
        x_min=2.0, windows=((1.0, None),), why="the error of 1 before the first exposure holds by construction"
    ),
    "remington2016_latency": Plan(
        windows=((None, 8.0),), why="up to repetition 8 at least 96 % of the trials are there"
    ),
    "remington2016_subjects": Plan(
        r2="r2_power", points=tuple(float(k) for k in range(1, 21)),
        why="standard errors of single subjects are recovered from γ and R² of the 20 repetitions",
    ),
    "murre_dros2015_savings": Plan(
        windows=((None, 8640.0),), why="without 31 days, where Dros has savings near zero"
    ),
    "dros2015_lists": Plan(windows=((None, 8640.0),), why="without 31 days, where savings are near zero"),
    "rubin1999_recall": Plan(
        windows=((7.0, None),), why="below a lag of about 7 items working memory takes part"
    ),
    "rubin1999_latency": Plan(
        form="power", windows=((7.0, None),), why="latency grows with lag: only a slope has a meaning, γ is negative"
    ),
}  # fmt: skip
"""What single data sets need, by id; the others need nothing."""


@dataclass(frozen=True)
class Slope:
    """Exponent of one form over one window of one curve; a description and no claim that the form holds.

    Attributes
    ----------
    labels : mapping of str to str
        Of the curve.
    form : {"power", "power_floor"}
    scale : {"raw", "log"}
        Least squares on y, or on log y.
    convention : str
    x_min, x_max : float
        Ends of the points used.
    n : int
    gamma, low, high : float
        NaN where the fit did not work; infinite limits where there are none.
    r2 : float
        On the scale of the fit.
    status : str
    """

    labels: Mapping[str, str]
    form: str
    scale: str
    convention: str
    x_min: float
    x_max: float
    n: int
    gamma: float
    low: float
    high: float
    r2: float
    status: str

    def to_json(self) -> dict[str, Any]:
        """JSON-ready mapping; what is not finite is None."""
        plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in self.__dict__.items()}
        return {**plain, "labels": dict(self.labels)}


@dataclass(frozen=True)
class CurveFit:
    """All forms fitted to one curve.

    Attributes
    ----------
    series : Series
    result : FitResult
    chi_square : (float, int, float) or None
        Weighted squares of the power law's residuals, degrees of freedom and p-value, where standard errors are known;
        approximate where the same subjects stand behind all points.
    """

    series: Series
    result: FitResult
    chi_square: tuple[float, int, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-ready mapping."""
        chi = None
        if self.chi_square is not None:
            chi = dict(zip(("value", "degrees_of_freedom", "p_value"), self.chi_square, strict=True))
        return {"labels": dict(self.series.labels), "power_chi_square": chi, "fit": self.result.to_json()}


@dataclass(frozen=True)
class HumanFits:
    """What a data set gives.

    Attributes
    ----------
    dataset : Dataset
    level : float
    curves : tuple of CurveFit
    slopes : tuple of Slope
    contrasts, dropped : tuple of Contrast
        All values, and without those that the authors drop.
    populations : tuple of Population
        Of γ over subjects, lists or teams.
    pooled : tuple of BlockFit
    common : mapping of str to CommonTest
        Test of one γ for all groups, by what stands for a block and by scale.
    statements : tuple of str
        What follows, one sentence each.
    skipped : tuple of str
        Curves that were not fitted, with reasons.
    """

    dataset: Dataset
    level: float
    curves: tuple[CurveFit, ...] = ()
    slopes: tuple[Slope, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    dropped: tuple[Contrast, ...] = ()
    populations: tuple[Population, ...] = ()
    pooled: tuple[block_means.BlockFit, ...] = ()
    common: Mapping[str, block_means.CommonTest] = field(default_factory=dict)
    statements: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the intervals of the curves rest on, and what else their fits warn of; each once."""
        return tuple(dict.fromkeys(text for one in self.curves for text in one.result.warnings))

    def slope(self, form: str = "power", scale: str = "raw", convention: str | None = None, **labels: str) -> Slope:
        """Slope of the main window of a curve.

        Parameters
        ----------
        form : {"power", "power_floor"}
        scale : {"raw", "log"}
        convention : str, optional
            By default that of the data set.
        **labels : str
            Of the curve.

        Raises
        ------
        InputError
            If there is none.
        """
        wanted = convention or self.dataset.convention
        for one in self.slopes:
            if (one.form, one.scale, one.convention) == (form, scale, wanted) and all(
                one.labels.get(k) == v for k, v in labels.items()
            ):
                return one
        raise InputError(f"'{self.dataset.id}' has no slope of '{form}' on the scale '{scale}' ({wanted}) for {labels}")

    def table(self) -> pd.DataFrame:
        """Slopes by curve, convention, window, form and scale, one per row."""
        import pandas as pd

        rows = []
        for one in self.slopes:
            rows.append({**one.labels, **{k: v for k, v in one.__dict__.items() if k != "labels"}})
        return pd.DataFrame(rows)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready mapping, without NaN."""
        return {
            "level": self.level,
            "curves": [one.to_json() for one in self.curves],
            "slopes": [one.to_json() for one in self.slopes],
            "contrasts": [one.to_json() for one in self.contrasts],
            "contrasts_without_dropped": [one.to_json() for one in self.dropped],
            "populations": [one.to_json() for one in self.populations],
            "pooled": [one.to_json() for one in self.pooled],
            "one_gamma": {name: dict(test.__dict__) for name, test in self.common.items()},
            "statements": list(self.statements),
            "warnings": list(self.warnings),
            "skipped": list(self.skipped),
        }


def fit_human(
    dataset: Dataset, *, level: float = 0.95, rng: int = 0, full: bool = True, progress: Progress | None = None
) -> HumanFits:
    """Fit a human data set by its plan.

    Parameters
    ----------
    dataset : Dataset
    level : float
        Of the intervals.
    rng : int
        For bootstrap tests and resampling.
    full : bool
        Whether to compare all forms (seconds a curve), or to give slopes, contrasts and distributions only.
    progress : callable, optional
        Called as ``progress(done, total, name)`` before each curve.

    Returns
    -------
    HumanFits

    Raises
    ------
    InputError
        If the table is damaged.

    Examples
    --------
    >>> import cogfit
    >>> from cogfit.people.fits import fit_human
    >>> found = fit_human(cogfit.human("mosteller1970_recall"), full=False)
    >>> round(found.slope(scale="log").gamma, 3)
    0.219
    """
    plan = PLANS.get(dataset.id, Plan())
    parts = {"curve": _curves, "contrast": _contrasts, "estimates": _estimates}[dataset.kind]
    if plan.pool is not None or dataset.convention == "block":
        parts = _pooled
    found = parts(HumanFits(dataset, level), plan, rng, full, progress)
    thinning = tuple(text for one in dataset.series() if (text := _thinning(one)))
    why = (plan.why,) if plan.why else ()
    return replace(found, statements=(*found.statements, *thinning, *why))


def _thinning(series: Series) -> str:
    """Whether fewer trials stand behind later points."""
    trials = series.trials
    if series.dataset.kind != "curve" or trials is None or trials[-1] > 0.9 * trials[0]:
        return ""
    where = f"{series.name}: " if series.labels else ""
    return (
        f"{where}trials fall from {trials[0]:,.0f} to {trials[-1]:,.0f} along the curve (survivorship): later points "
        "rest on fewer items"
    )


# ------------------------------------------------------------------------------------------------------ curves


def _curves(found: HumanFits, plan: Plan, rng: int, full: bool, progress: Progress | None) -> HumanFits:
    curves, slopes, populations, skipped = [], [], [], []
    every = found.dataset.series()
    for number, series in enumerate(every):
        if progress is not None:
            progress(number, len(every), series.name)
        if np.unique(series.x[series.x > 0]).size < LEAST_POINTS:
            skipped.append(f"{series.name}: fewer than {LEAST_POINTS} points, too few for a slope")
            continue
        slopes += _slopes(series, plan, found.level, rng)
        if np.unique(series.x[series.x > 0]).size < LEAST_COMPARED:
            skipped.append(f"{series.name}: fewer than {LEAST_COMPARED} points, too few to compare forms")
        elif full:
            curves.append(fit_series(series, level=found.level, rng=rng))
        population = _over_clusters(series, found.level)
        populations += [population] if population is not None else []
    if progress is not None:
        progress(len(every), len(every), "")
    texts = [text for one in curves for text in _curve_statements(one)]
    level = found.dataset.level
    return replace(
        found, curves=tuple(curves), slopes=tuple(slopes), populations=tuple(populations), skipped=tuple(skipped),
        statements=(*texts, *(_population_statement(one, level) for one in populations)),
    )  # fmt: skip


def fit_series(series: Series, *, level: float = 0.95, rng: int = 0, progress: Progress | None = None) -> CurveFit:
    """Fit one curve by the plan of its data set: every form, or the power law alone where there are few points.

    Raises
    ------
    InputError
        If the data set is no curve, or has too few points.
    """
    plan = PLANS.get(series.dataset.id, Plan())
    form = plan.form
    if np.unique(series.x[series.x > 0]).size < LEAST_COMPARED:
        form = form or "power"
    curve = _window(series, plan.x_min, plan.x_max).curve()
    noise = "auto"
    if series.se is not None:
        noise = "gaussian"  # weights are known variances of y, not of log y
    elif curve.counts is not None and series.clusters is None:
        noise = "binomial"
    result = fitting.fit(curve, form=form, noise=noise, level=level, rng=rng, progress=progress)
    return CurveFit(series, result, _chi_square(result) if series.se is not None else None)


def _chi_square(result: FitResult) -> tuple[float, int, float] | None:
    """Whether the power law passes through the points within their standard errors."""
    from scipy.stats import chi2

    item = next((one for one in result.forms if one.name == "power" and one.estimate.status != "failed"), None)
    if item is None:
        return None
    spare = item.estimate.n - len(item.estimate.params)
    return item.estimate.rss, spare, float(chi2.sf(item.estimate.rss, spare))


def _window(series: Series, x_min: float | None, x_max: float | None) -> Series:
    low, high = -math.inf if x_min is None else x_min, math.inf if x_max is None else x_max
    keep = (series.x >= low) & (series.x <= high)
    return series if keep.all() else series.take(keep)


def _slopes(series: Series, plan: Plan, level: float, rng: int) -> list[Slope]:
    """Power law, unweighted, over each window: on the raw scale, on the log scale, and with a floor."""
    out: dict[Any, Slope] = {}
    other: tuple[str, ...] = {"inclusive": ("prior",), "prior": ("inclusive",)}.get(series.convention, ())
    if np.any(series.x != np.rint(series.x)):  # digitised: what came before cannot be counted
        other = ()
    for window in ((plan.x_min, plan.x_max), *plan.windows):
        part = _window(series, *window)
        for convention in (series.convention, *other):
            counted = part if convention == series.convention else part.under(convention)
            curve = counted.curve(weighted=False)
            curve = replace(curve, clusters=None, weights=np.ones(curve.x.size), counts=None)
            curve = curve.take(curve.x > 0)
            if curve.x.size < LEAST_POINTS:
                continue
            for form, scale, noise in SLOPES:
                key = (form, scale, convention, curve.x[0], curve.x[-1])
                unfit = (scale == "log" and np.any(curve.y <= 0)) or plan.form not in (None, form)
                if key not in out and not unfit:
                    result = fitting.fit(curve, form=form, noise=noise, level=level, rng=rng)
                    out[key] = _slope(series, result, form, scale, convention)
    return list(out.values())


def _slope(series: Series, result: FitResult, form: str, scale: str, convention: str) -> Slope:
    item = result.selected
    y = np.log(result.y) if scale == "log" else result.y
    low, high = result.interval if result.interval is not None else (math.nan, math.nan)
    fitted = np.full(y.size, math.nan)
    if item.gamma is not None:
        value = get_form(form).evaluate(result.x, item.estimate.params)
        fitted = np.log(value) if scale == "log" else value
    whole = float(((y - y.mean()) ** 2).sum())
    r2 = 1.0 - float(((y - fitted) ** 2).sum()) / whole if whole > 0 else math.nan
    return Slope(
        series.labels, form, scale, convention, float(result.x.min()), float(result.x.max()), result.n,
        math.nan if item.gamma is None else item.gamma, low, high, r2, result.status,
    )  # fmt: skip


def _over_clusters(series: Series, level: float) -> Population | None:
    """Distribution of the power law's γ over lists or teams; None where there are no or too few of them."""
    from cogfit.engine import estimate

    if series.clusters is None:
        return None
    form, gammas, errors, spare = get_form("power"), [], [], []
    for name in np.unique(series.clusters):
        part = series.take((series.clusters == name) & (series.x > 0))
        if part.x.size < LEAST_POINTS:
            continue
        fit = estimate.estimate(form, part.x, part.y, np.ones(part.x.size))
        if fit.status == "ok":
            gammas.append(fit.params["gamma"])
            errors.append(fit.stderr["gamma"])
            spare.append(part.x.size - len(form.parameters))
    if len(gammas) < 3:
        return None
    made = random_effects(np.array(gammas), np.array(errors), min(spare), level)
    return replace(made, labels=series.labels)


def _curve_statements(one: CurveFit) -> list[str]:
    series, result = one.series, one.result
    where = f"{series.name}: " if series.labels else ""
    out = []
    if result.verdict.power_law != "not_compared":
        best = result.forms[0]
        behind = result["power"].delta_aicc
        lead = f", the power law is ΔAICc {behind:.1f} behind" if math.isfinite(behind) and behind > 0 else ""
        out.append(f"{where}power law {result.verdict}; best form {best.title}{lead}")
    shifted = next((f for f in result.forms if f.name == "shifted_power"), None)
    limits = None if shifted is None else shifted.intervals.get("gamma")
    if (
        shifted is not None
        and limits is not None
        and set(shifted.estimate.not_identified) == {"A", "b"}
        and shifted.name in result.indistinguishable_forms
        and math.isfinite(limits.high - limits.low)
    ):
        out.append(
            f"{where}of A(1 + x/b)^−γ the data determine γ = {shifted.gamma:.3g} "
            f"{format_interval((limits.low, limits.high))}, but not A and b, which run away together: the limit is the "
            "pure power"
        )
    if one.chi_square is not None and one.chi_square[2] < 0.01:
        value, spare, p = one.chi_square
        out.append(
            f"{where}the power law misses the points by more than their standard errors (χ² = {value:.0f} on {spare} "
            f"degrees of freedom, p = {p:.1g})"
        )
    return out


# --------------------------------------------------------------------------------------------------- contrasts


def _contrasts(found: HumanFits, plan: Plan, rng: int, full: bool, progress: Progress | None) -> HumanFits:
    data = found.dataset
    whole, kept, texts, skipped = [], [], [], []
    for series in data.series():
        for first, second in combinations(data.contrast, 2):
            try:
                whole.append(_contrast(series, first, second, found.level))
                if series.kept is not None and not series.kept.all():
                    kept.append(_contrast(series.take(series.kept), first, second, found.level))
            except InputError as error:
                skipped.append(f"{series.name}: {error}")
    for one in whole:
        where = f"{', '.join(one.labels.values())}: " if one.labels else ""
        pairs = f", {one.n} pairs" if one.n is not None else ""
        texts.append(
            f"{where}{one.first} → {one.second}: {one.difference:+.3g} {format_interval((one.low, one.high))}{pairs}"
        )
    texts.append("conditions give contrasts; no exponent is fitted to them")
    return replace(found, contrasts=tuple(whole), dropped=tuple(kept), statements=tuple(texts), skipped=tuple(skipped))


def _contrast(series: Series, first: str, second: str, level: float) -> Contrast:
    assert series.category is not None
    if series.dataset.paired:
        assert series.clusters is not None
        made = paired_contrast(series.y, series.clusters, series.category, first, second, level)
        return replace(made, labels=series.labels)
    mean = series.mean()
    assert mean.category is not None
    if mean.se is None:
        raise InputError(f"'{series.dataset.id}' has neither subjects nor standard errors to compare conditions with")
    at = {str(name): i for i, name in enumerate(mean.category)}
    for name in (first, second):
        if name not in at:
            raise InputError(f"no value under '{name}'")
    a, b = at[first], at[second]
    counts = None if mean.subjects is None else (float(mean.subjects[a]), float(mean.subjects[b]))
    made = independent_contrast(
        (float(mean.y[a]), float(mean.y[b])), (float(mean.se[a]), float(mean.se[b])), first, second, level, counts
    )
    return replace(made, labels=series.labels)


# ------------------------------------------------------------------------------------- estimates and block means


def _estimates(found: HumanFits, plan: Plan, rng: int, full: bool, progress: Progress | None) -> HumanFits:
    data, populations = found.dataset, []
    for series in data.series():
        errors, spare = series.se, math.inf
        if errors is None and plan.r2 is not None:
            chosen = data.table
            for name, value in series.labels.items():
                chosen = chosen[chosen[name].astype(str) == value]
            points, spare = np.array(plan.points), len(plan.points) - 2.0
            errors = np.array(
                [stderr_from_r2(g, r2, points) for g, r2 in zip(series.y, chosen[plan.r2].to_numpy(), strict=True)]
            )
        if errors is None:
            raise InputError(f"'{data.id}' has no standard errors of its estimates")
        populations.append(replace(random_effects(series.y, errors, spare, found.level), labels=series.labels))
    return replace(
        found, populations=tuple(populations),
        statements=tuple(_population_statement(one, data.level) for one in populations),
    )  # fmt: skip


def _population_statement(one: Population, level: str) -> str:
    where = f"{', '.join(one.labels.values())}: " if one.labels else ""
    limits = "" if math.isnan(one.sd_low) else f" {format_interval((one.sd_low, one.sd_high))}"
    return (
        f"{where}γ of the power law over {one.n} {level}s: mean {one.mean:.3g} "
        f"{format_interval((one.low, one.high))}, standard deviation between them {one.sd:.2g}{limits}"
    )


def _pooled(found: HumanFits, plan: Plan, rng: int, full: bool, progress: Progress | None) -> HumanFits:
    data = found.dataset
    by = plan.pool or ""
    fits, tests, skipped = [], {}, []
    plans: tuple[tuple[block_means.At, block_means.Scale], ...]
    plans = (("blocks", "log"), ("blocks", "raw"), ("midpoints", "log"))
    for at, scale in plans:
        cells = block_means.cells_of(data.series(), by, at)
        for model in block_means.MODELS if at == "blocks" else ("power", "power_by_group"):
            if (len(cells.groups) == 1 and model.endswith("by_group")) or (
                data.measure != "latency" and model.startswith("two_process")
            ):
                continue
            try:
                fits.append(block_means.fit_blocks(cells, model, at, scale))
            except InputError as error:
                skipped.append(f"{scale} scale, {at}: {error}")
    by_name = {(one.at, one.scale, one.model): one for one in fits}
    for at, scale in plans:
        if (at, scale, "power") in by_name and (at, scale, "power_by_group") in by_name:
            one, each = by_name[at, scale, "power"], by_name[at, scale, "power_by_group"]
            tests[f"{at}, {scale}"] = block_means.common_test(one, each)
    texts = _pooled_statements(by_name, tests, by or "curve", found.level)
    return replace(found, pooled=tuple(fits), common=tests, statements=tuple(texts), skipped=tuple(skipped))


def _pooled_statements(
    by_name: Mapping[tuple[block_means.At, block_means.Scale, str], block_means.BlockFit],
    tests: Mapping[str, block_means.CommonTest],
    by: str,
    level: float,
) -> list[str]:
    mean, middle = by_name.get(("blocks", "log", "power")), by_name.get(("midpoints", "log", "power"))
    if mean is None or middle is None:
        return []
    worse = " that fits worse" if middle.rss > mean.rss else ""
    texts = [
        f"one γ for all cells, each {by} with its own level: {mean.params['gamma']:.3g} "
        f"{format_interval(mean.interval('gamma', level))} with k^−γ averaged over each block; "
        f"{middle.params['gamma']:.3g} at the midpoints of the blocks, an approximation{worse}"
    ]
    if "blocks, log" not in tests or "blocks, raw" not in tests:
        return texts
    test = tests["blocks, log"]
    each = by_name["blocks", "log", "power_by_group"]
    own = ", ".join(f"{v:.2g}" for k, v in each.params.items() if k.startswith("gamma"))
    texts.append(
        f"one common γ is {'rejected' if test.p_value < 0.05 else 'not rejected'} (F({test.numerator}, "
        f"{test.denominator}) = {test.f:.1f}, p = {test.p_value:.1g}); by {by}: {own}"
    )
    scales: tuple[block_means.Scale, ...] = ("raw", "log")
    for scale in scales:
        power = by_name["blocks", scale, "power"].aicc
        mixtures = [f.aicc for (at, s, m), f in by_name.items() if (at, s) == ("blocks", scale) and m[:3] == "two"]
        if not mixtures:
            continue
        mixture = min(mixtures)
        group = by_name["blocks", scale, "power_by_group"].aicc
        texts.append(
            f"{scale} scale: mixtures of computing and retrieving beat a power law with one γ by ΔAICc "
            f"{power - mixture:.1f}, but a power law with a γ of each {by} beats them by {mixture - group:.1f}"
            if group < mixture
            else f"{scale} scale: mixtures of computing and retrieving beat every power law, by ΔAICc "
            f"{min(power, group) - mixture:.1f}"
        )
    return texts

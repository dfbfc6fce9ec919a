"""Fits of human data, each set as it allows.

What is special about a data set stands in :data:`PLANS`; everything else follows from its description: curves are
fitted with every form, contrasts get differences with intervals and never an exponent, estimates of single subjects a
distribution, block means one law over all blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cogfit import fitting
from cogfit.curves.curve import Curve
from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.formulas.registry import get_form
from cogfit.inference.interval import format_interval
from cogfit.inference.selection import JUDGED_REPLICATES
from cogfit.native import distributions
from cogfit.native.blas import single_threaded
from cogfit.people import block_means
from cogfit.people.by_subject import (
    LEAST_POINTS,
    People,
    SubjectExponents,
    fit_people,
    people_of_estimates,
    read_subjects,
)
from cogfit.people.dataset import Dataset, Series
from cogfit.people.over_subjects import (
    Contrast,
    Population,
    independent_contrast,
    paired_contrast,
    stderr_from_r2,
)
from cogfit.people.survivorship import Survivorship, survivorship_of
from cogfit.progress import Progress
from cogfit.records.codec import Document, wire
from cogfit.result import FitResult

if TYPE_CHECKING:
    import pandas as pd


SLOPES = (("power", "raw"), ("power", "log"), ("power_floor", "raw"))
"""Form and scale of the slopes that every curve gets."""

LEAST_COMPARED = 6
"""Fewer points than these give no comparison of forms."""

_FIRST_REPLICATES = 49  # of a form, where many curves are judged: most forms are clear by then


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
        pool="addend",
        why="three block means a curve: pooled over all cells, with the mean of the form over each block",
    ),
    "anderson1981_errors": Plan(
        x_min=2.0,
        windows=((1.0, None),),
        why="the error of 1 before the first exposure holds by construction",
    ),
    "remington2016_latency": Plan(
        windows=((None, 8.0),),
        why="up to repetition 8 at least 96 % of the trials are there",
    ),
    "remington2016_subjects": Plan(
        r2="r2_power",
        points=tuple(float(k) for k in range(1, 21)),
        why="standard errors of single subjects are recovered from γ and R² of the 20 repetitions",
    ),
    "murre_dros2015_savings": Plan(
        windows=((None, 8640.0),),
        why="without 31 days, where Dros has savings near zero",
    ),
    "dros2015_lists": Plan(
        windows=((None, 8640.0),),
        why="without 31 days, where savings are near zero",
    ),
    "rubin1999_recall": Plan(
        windows=((7.0, None),),
        why="below a lag of about 7 items working memory takes part",
    ),
    "rubin1999_latency": Plan(
        form="power",
        windows=((7.0, None),),
        why="latency grows with lag: only a slope has a meaning, γ is negative",
    ),
}
"""What single data sets need, by id; the others need nothing."""


@dataclass(frozen=True)
class Slope(Document):
    """Exponent of one form over one window of a curve.

    It is a description and no claim that the form holds.

    Attributes
    ----------
    labels : mapping of str to str
        Of the curve.
    form : {"power", "power_floor"}
    scale : {"raw", "log"}
        As :func:`cogfit.fit` fits the curve by default where its noise is known and under Gaussian noise elsewhere, or
        on log y without weights.
    noise : str
        Noise model.
    weights : {"standard errors", "trials", "none"}
        What weights the points.
    errors : str
        Model of the errors along the curve, in words.
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
    noise: str
    weights: str
    errors: str
    convention: str
    x_min: float
    x_max: float
    n: int
    gamma: float
    low: float
    high: float
    r2: float
    status: str


@dataclass(frozen=True)
class CurveFit(Document):
    """All forms fitted to one curve.

    Attributes
    ----------
    series : Series
    result : FitResult
    chi_square : (float, int, float) or None
        Weighted squares of the power law's residuals, degrees of freedom and p-value, where standard errors are known;
        approximate where the same subjects stand behind all points.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"labels": "_labels", "power_chi_square": "_chi_square"}

    series: Series = field(metadata=wire(skip=True))
    result: FitResult = field(metadata=wire("fit"))
    chi_square: tuple[float, int, float] | None = field(default=None, metadata=wire(skip=True))

    @property
    def _labels(self) -> Mapping[str, str]:
        return self.series.labels

    @property
    def _chi_square(self) -> dict[str, float] | None:
        names = ("value", "degrees_of_freedom", "p_value")
        return None if self.chi_square is None else dict(zip(names, self.chi_square, strict=True))


@dataclass(frozen=True)
class HumanFits(Document):
    """What a data set gives.

    Attributes
    ----------
    dataset : Dataset
    level : float
    curves : tuple of CurveFit
    slopes : tuple of Slope
    contrasts, dropped : tuple of Contrast
        All values, and without those that the authors drop.
    people : tuple of People
        Single subjects, lists or teams, and the distribution of γ over them.
    pooled : tuple of BlockFit
    common : mapping of str to CommonTest
        Test of one γ for all groups, by what stands for a block and by scale.
    survivorship : tuple of Survivorship
        Curves along which somebody leaves or enters, the fixed set beside the pooled one.
    statements : tuple of str
        What follows, one sentence each.
    skipped : tuple of str
        Curves that were not fitted, with reasons.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"populations": "populations", "warnings": "warnings"}

    dataset: Dataset = field(metadata=wire(skip=True))
    level: float
    curves: tuple[CurveFit, ...] = ()
    slopes: tuple[Slope, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    dropped: tuple[Contrast, ...] = field(default=(), metadata=wire("contrasts_without_dropped"))
    people: tuple[People, ...] = ()
    pooled: tuple[block_means.BlockFit, ...] = ()
    common: Mapping[str, block_means.CommonTest] = field(default_factory=dict, metadata=wire("one_gamma"))
    survivorship: tuple[Survivorship, ...] = ()
    statements: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def populations(self) -> tuple[Population, ...]:
        """Distributions of γ over subjects, lists or teams."""
        return tuple(found.population for found in self.people)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was done to values, and warnings, each once."""
        done = [text for series in self.dataset.series() for text in series.notes]
        return tuple(dict.fromkeys([*done, *(text for curve in self.curves for text in curve.result.warnings)]))

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
        for slope in self.slopes:
            has_labels = all(slope.labels.get(name) == value for name, value in labels.items())
            if has_labels and (slope.form, slope.scale, slope.convention) == (form, scale, wanted):
                return slope
        raise InputError(f"'{self.dataset.id}' has no slope of '{form}' on the scale '{scale}' ({wanted}) for {labels}")

    def table(self) -> pd.DataFrame:
        """One row per slope.

        Slopes differ in curve, convention, window, form and scale.
        """
        import pandas as pd

        rows = []
        for slope in self.slopes:
            rows.append({**slope.labels, **{k: v for k, v in slope.__dict__.items() if k != "labels"}})
        return pd.DataFrame(rows)


@single_threaded()
def fit_human(
    dataset: Dataset,
    *,
    level: float = 0.95,
    rng: int = 0,
    full: bool = True,
    variants: bool = True,
    progress: Progress | None = None,
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
    variants : bool
        Whether to give slopes over further windows, and those of every form under every count, too.
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
    >>> fits = fit_human(cogfit.human("mosteller1970_recall"), full=False)
    >>> round(fits.slope(scale="log").gamma, 3)
    0.219
    """
    plan = PLANS.get(dataset.id, Plan())
    work = _Work(dataset, plan, level, rng, full, variants, progress)
    if plan.pool is not None or dataset.convention == "block":
        fits = _fit_blocks(work)
    else:
        fits = {"curve": _fit_curves, "contrast": _fit_contrasts, "estimates": _fit_estimates}[dataset.kind](work)
    survivorship, thinning = _who_is_left(work)
    why = (plan.why,) if plan.why else ()
    return replace(fits, survivorship=survivorship, statements=(*fits.statements, *thinning, *why))


@dataclass(frozen=True)
class _Work:
    """What is to be fitted, and how (see :func:`fit_human`)."""

    dataset: Dataset
    plan: Plan
    level: float
    rng: int
    full: bool
    variants: bool
    progress: Progress | None

    def result(self, **parts: Any) -> HumanFits:
        """Fits of these parts."""
        tuples: dict[str, Any] = {name: tuple(values) for name, values in parts.items()}
        return HumanFits(self.dataset, self.level, **tuples)


def _named(labels: Mapping[str, str]) -> str:
    """Beginning of a sentence about one curve of several."""
    return f"{', '.join(labels.values())}: " if labels else ""


def _who_is_left(work: _Work) -> tuple[tuple[Survivorship, ...], tuple[str, ...]]:
    """Fixed sets beside pooled ones, and what follows."""
    found, texts = [], []
    for series in work.dataset.series() if work.dataset.kind == "curve" else ():
        one = survivorship_of(series, level=work.level, rng=work.rng, find=_sibling(work.dataset))
        found += [one] if one is not None else []
        text = _thinning(series) if one is None else one.statement
        texts += [f"{_named(series.labels)}{text}"] if text else []
    return tuple(found), tuple(texts)


def _sibling(dataset: Dataset) -> Callable[[str], Dataset]:
    """Data sets of the same package, by id."""
    from cogfit.people.catalogue import read_package

    return lambda name: read_package(dataset.path.parent)[name]


def _thinning(series: Series) -> str:
    """Warn of fewer trials behind later points."""
    mean = series.mean()
    trials = series.trials if series.clusters is None else mean.trials
    if trials is None or trials[-1] > 0.9 * trials[0]:
        return ""
    return (
        f"trials fall from {trials[0]:,.0f} to {trials[-1]:,.0f} along the curve (survivorship): later points rest on "
        "fewer items, and who stays is not known"
    )


# -------------------------------------------------------------------------------------------------------- curves


def _fit_curves(work: _Work) -> HumanFits:
    """Slopes, forms and distributions over clusters of every curve."""
    curves, slopes, people, skipped = [], [], [], []
    every = work.dataset.series()
    progress = work.progress or (lambda done, total, name: None)
    for number, series in enumerate(every):
        progress(number, len(every), series.name)
        n_points = np.unique(series.x[series.x > 0]).size
        if n_points < LEAST_POINTS:
            skipped.append(f"{series.name}: fewer than {LEAST_POINTS} points, too few for a slope")
            continue
        slopes += _slopes(series, work)
        if n_points < LEAST_COMPARED:
            skipped.append(f"{series.name}: fewer than {LEAST_COMPARED} points, too few to compare forms")
        elif work.full:
            curves.append(fit_series(series, level=work.level, rng=work.rng))
        if series.clusters is not None:
            try:
                people.append(fit_people(series, work.level))
            except InputError as error:
                skipped.append(f"{series.name}: {error}")
    progress(len(every), len(every), "")
    statements = [text for curve in curves for text in _curve_statements(curve)]
    statements += [_population_statement(found.population, work.dataset.level) for found in people]
    return work.result(curves=curves, slopes=slopes, people=people, statements=statements, skipped=skipped)


def fit_series(series: Series, *, level: float = 0.95, rng: int = 0, progress: Progress | None = None) -> CurveFit:
    """Fit one curve by the plan of its data set.

    Every form is fitted, or the power law alone where there are few points.

    Raises
    ------
    InputError
        If the data set is no curve, or has too few points.
    """
    curve, form = _to_compare(series)
    result = fitting.fit(curve, form=form, level=level, rng=rng, progress=progress)
    return CurveFit(series, result, _chi_square(result) if series.se is not None else None)


def judge_series(series: Series, *, level: float = 0.95) -> tuple[str, str]:
    """Choose a form and rule on the power law.

    Both are those of :func:`fit_series`, for less: nothing else is made, and where a p-value lies next to its level the
    number of replicates is bounded. Both are empty where too few points are there to compare forms.
    """
    if np.unique(series.x[series.x > 0]).size < LEAST_COMPARED:
        return "", ""
    curve, form = _to_compare(series)
    options = fitting.Options(
        np.random.default_rng(0), form=form, level=level, first=_FIRST_REPLICATES, most=JUDGED_REPLICATES
    )
    best, verdict = fitting.judge_forms(curve, options)
    return best, verdict.power_law


def _to_compare(series: Series) -> tuple[Curve, str | None]:
    """Curve of a series, and its only form if any."""
    plan = PLANS.get(series.dataset.id, Plan())
    form = plan.form
    if np.unique(series.x[series.x > 0]).size < LEAST_COMPARED:
        form = form or "power"
    return _window(series, plan.x_min, plan.x_max).curve(), form


def _chi_square(result: FitResult) -> tuple[float, int, float] | None:
    """Test whether the power law passes through the points.

    Their standard errors are the weights.
    """
    item = next((form for form in result.forms if form.name == "power" and form.estimate.status != "failed"), None)
    if item is None:
        return None
    degrees_of_freedom = item.estimate.n - len(item.estimate.params)
    return item.estimate.rss, degrees_of_freedom, distributions.chi2_sf(item.estimate.rss, degrees_of_freedom)


def _window(series: Series, x_min: float | None, x_max: float | None) -> Series:
    low, high = -math.inf if x_min is None else x_min, math.inf if x_max is None else x_max
    keep = (series.x >= low) & (series.x <= high)
    return series if keep.all() else series.take(keep)


def _slopes(series: Series, work: _Work) -> list[Slope]:
    """Power laws over each window, under each convention."""
    slopes: dict[Any, Slope] = {}
    for window in ((work.plan.x_min, work.plan.x_max), *(work.plan.windows if work.variants else ())):
        part = _window(series, *window)
        for convention in _conventions(series):
            counted = part if convention == part.convention else part.under(convention)
            counted = counted.take(counted.x > 0)  # at x = 0 a power law has no value
            if np.unique(counted.x).size < LEAST_POINTS:
                continue
            is_own = convention == part.convention
            for form, scale in SLOPES if is_own or work.variants else SLOPES[:1]:
                key = (form, scale, convention, counted.x.min(), counted.x.max())  # windows may hold the same points
                has_slope = work.plan.form in (None, form) and not (scale == "log" and np.any(counted.mean().y <= 0))
                if has_slope and key not in slopes:
                    slopes[key] = _slope(counted, form, scale, work)
    return list(slopes.values())


def _conventions(series: Series) -> tuple[str, ...]:
    """Conventions by which the curve can be counted.

    Its own comes first.
    """
    own = series.convention
    if np.any(series.x != np.rint(series.x)):  # digitised: what came before cannot be counted
        return (own,)
    return {"inclusive": (own, "prior"), "prior": (own, "inclusive")}.get(own, (own,))


def _slope(series: Series, form: str, scale: str, work: _Work) -> Slope:
    """Slope of one form, as :func:`cogfit.fit` gives it."""
    is_weighted = scale == "raw"
    noise = (series.noise or "gaussian") if is_weighted else "lognormal"
    curve = series.curve(weighted=is_weighted)
    if not is_weighted:  # means, one by one
        curve = replace(curve, clusters=None, weights=np.ones(curve.x.size))
    result = fitting.fit(curve, form=form, noise=noise, level=work.level, rng=work.rng)
    item = result.selected
    y = result.y if is_weighted else np.log(result.y)
    low, high = result.interval if result.interval is not None else (math.nan, math.nan)
    fitted = np.full(y.size, math.nan)
    if item.gamma is not None:
        value = get_form(form).evaluate(result.x, item.estimate.params)
        fitted = value if is_weighted else np.log(value)
    whole = float(((y - y.mean()) ** 2).sum())
    r2 = 1.0 - float(((y - fitted) ** 2).sum()) / whole if whole > 0 else math.nan
    return Slope(
        labels=series.labels,
        form=form,
        scale=scale,
        noise=noise,
        weights=series.weighted_by if is_weighted else "none",
        errors=item.errors.title,
        convention=series.convention,
        x_min=float(result.x.min()),
        x_max=float(result.x.max()),
        n=result.n,
        gamma=math.nan if item.gamma is None else item.gamma,
        low=low,
        high=high,
        r2=r2,
        status=result.status,
    )


def _curve_statements(curve: CurveFit) -> list[str]:
    """What follows for one curve, one sentence each."""
    start = f"{curve.series.name}: " if curve.series.labels else ""
    texts = (_verdict(curve.result), _limit_of_shifted(curve.result), _misfit(curve.chi_square))
    return [start + text for text in texts if text]


def _verdict(result: FitResult) -> str:
    """Verdict on the power law, and its distance."""
    if result.verdict.power_law == "not_compared":
        return ""
    behind = result["power"].delta_aicc
    lead = f", the power law is ΔAICc {behind:.1f} behind" if math.isfinite(behind) and behind > 0 else ""
    return f"power law {result.verdict}; best form {result.forms[0].title}{lead}"


def _limit_of_shifted(result: FitResult) -> str:
    """That the shifted power runs towards its limit.

    For small b this is the pure power.
    """
    shifted = next((form for form in result.forms if form.name == "shifted_power"), None)
    limits = None if shifted is None else shifted.intervals.get("gamma")
    if shifted is None or limits is None or not math.isfinite(limits.high - limits.low):
        return ""
    if set(shifted.estimate.not_identified) != {"A", "b"} or shifted.name not in result.indistinguishable_forms:
        return ""
    return (
        f"of A(1 + x/b)^−γ the data determine γ = {shifted.gamma:.3g} {format_interval((limits.low, limits.high))}, "
        "but not A and b, which run away together: the limit is the pure power"
    )


def _misfit(chi_square: tuple[float, int, float] | None) -> str:
    if chi_square is None or not chi_square[2] < 0.01:
        return ""
    value, degrees_of_freedom, p_value = chi_square
    return (
        f"the power law misses the points by more than their standard errors (χ² = {value:.0f} on "
        f"{degrees_of_freedom} degrees of freedom, p = {p_value:.1g})"
    )


# ----------------------------------------------------------------------------------------------------- contrasts


def _fit_contrasts(work: _Work) -> HumanFits:
    """Differences between all pairs of conditions."""
    contrasts, dropped, skipped = [], [], []
    for series in work.dataset.series():
        for first, second in combinations(work.dataset.contrast, 2):
            try:
                contrasts.append(_contrast(series, first, second, work.level))
                if series.kept is not None and not series.kept.all():
                    dropped.append(_contrast(series.take(series.kept), first, second, work.level))
            except InputError as error:
                skipped.append(f"{series.name}: {error}")
    statements = [_contrast_statement(contrast) for contrast in contrasts]
    statements.append("conditions give contrasts; no exponent is fitted to them")
    return work.result(contrasts=contrasts, dropped=dropped, statements=statements, skipped=skipped)


def _contrast_statement(contrast: Contrast) -> str:
    pairs = f", {contrast.n} pairs" if contrast.n is not None else ""
    return (
        f"{_named(contrast.labels)}{contrast.first} → {contrast.second}: {contrast.difference:+.3g} "
        f"{format_interval((contrast.low, contrast.high))}{pairs}"
    )


def _contrast(series: Series, first: str, second: str, level: float) -> Contrast:
    """Difference within subjects if possible, else of the means."""
    assert series.category is not None
    if series.dataset.paired:
        assert series.clusters is not None
        contrast = paired_contrast(series.y, series.clusters, series.category, first, second, level)
        return replace(contrast, labels=series.labels)
    mean = series.mean()
    assert mean.category is not None
    if mean.se is None:
        raise InputError(f"'{series.dataset.id}' has neither subjects nor standard errors to compare conditions with")
    index_of = {str(name): i for i, name in enumerate(mean.category)}
    for name in (first, second):
        if name not in index_of:
            raise InputError(f"no value under '{name}'")
    i, j = index_of[first], index_of[second]
    counts = None if mean.subjects is None else (float(mean.subjects[i]), float(mean.subjects[j]))
    means, errors = (float(mean.y[i]), float(mean.y[j])), (float(mean.se[i]), float(mean.se[j]))
    contrast = independent_contrast(means, errors, first, second, level, counts)
    return replace(contrast, labels=series.labels)


# ----------------------------------------------------------------------------------------------------- estimates


def _fit_estimates(work: _Work) -> HumanFits:
    """Distribution of the estimates over subjects."""
    people, skipped = [], []
    for series in work.dataset.series():
        try:
            people.append(people_of_estimates(estimated_subjects(series), work.level))
        except InputError as error:
            skipped.append(f"{series.name}: {error}")
    statements = [_population_statement(found.population, work.dataset.level) for found in people]
    return work.result(people=people, statements=statements, skipped=skipped)


def estimated_subjects(series: Series) -> SubjectExponents:
    """Return the estimates of a table, with their standard errors.

    These are printed, or follow from R², or are not known.
    """
    plan = PLANS.get(series.dataset.id, Plan())
    if series.se is None and plan.r2 is not None:
        return read_subjects(series, _recovered_errors(series, plan), len(plan.points) - 2.0)
    return read_subjects(series, series.se, math.inf)


def _recovered_errors(series: Series, plan: Plan) -> Array:
    """Standard errors that follow from R² of the fits."""
    table, points = series.dataset.table, np.array(plan.points)
    for name, value in series.labels.items():
        table = table[table[name].astype(str) == value]
    r2 = table[table[series.dataset.columns.value].notna()][plan.r2].to_numpy(dtype=float)
    return np.array([stderr_from_r2(gamma, of_one, points) for gamma, of_one in zip(series.y, r2, strict=True)])


def _population_statement(population: Population, level: str) -> str:
    limits = ""
    if not math.isnan(population.sd_low):
        limits = f" {format_interval((population.sd_low, population.sd_high))}"
    return (
        f"{_named(population.labels)}γ of the power law over {population.n} {level}s: mean {population.mean:.3g} "
        f"{format_interval((population.low, population.high))}, standard deviation between them "
        f"{population.sd:.2g}{limits}" + "".join(f"; {caveat}" for caveat in population.caveats)
    )


# --------------------------------------------------------------------------------------------------- block means

_POOLED: tuple[tuple[block_means.At, block_means.Scale], ...] = (
    ("blocks", "log"),
    ("blocks", "raw"),
    ("midpoints", "log"),
)
"""What stands for a block, and the scale of the residuals."""

_Key = tuple[block_means.At, block_means.Scale, str]
"""What stands for a block, scale, model."""


def _fit_blocks(work: _Work) -> HumanFits:
    """One law over all cells, in several variants."""
    by = work.plan.pool or ""
    fits: dict[_Key, block_means.BlockFit] = {}
    skipped = []
    for at, scale in _POOLED:
        cells = block_means.cells_of(work.dataset.series(), by, at)
        for model in _models(at, work.dataset, cells):
            try:
                fits[at, scale, model] = block_means.fit_blocks(cells, model, at, scale)
            except InputError as error:
                skipped.append(f"{scale} scale, {at}: {error}")
    tests = {}
    for at, scale in _POOLED:
        if (at, scale, "power") in fits and (at, scale, "power_by_group") in fits:
            common, by_group = fits[at, scale, "power"], fits[at, scale, "power_by_group"]
            tests[f"{at}, {scale}"] = block_means.common_test(common, by_group)
    statements = _pooled_statements(fits, tests, by or "curve", work.level)
    result = work.result(pooled=fits.values(), statements=statements, skipped=skipped)
    return replace(result, common=tests)


def _models(at: block_means.At, dataset: Dataset, cells: block_means.Cells) -> list[str]:
    """Models that have a meaning for these cells."""
    names = list(block_means.MODELS) if at == "blocks" else ["power", "power_by_group"]
    if len(cells.groups) == 1:
        names = [name for name in names if not name.endswith("by_group")]
    if dataset.measure != "latency":  # the mixture is one of times
        names = [name for name in names if not name.startswith("two_process")]
    return names


def _pooled_statements(
    fits: Mapping[_Key, block_means.BlockFit], tests: Mapping[str, block_means.CommonTest], by: str, level: float
) -> list[str]:
    """What follows for all cells together, one sentence each."""
    mean, middle = fits.get(("blocks", "log", "power")), fits.get(("midpoints", "log", "power"))
    if mean is None or middle is None:
        return []
    worse = " that fits worse" if middle.rss > mean.rss else ""
    texts = [
        f"one γ for all cells, each {by} with its own level: {mean.params['gamma']:.3g} "
        f"{format_interval(mean.interval('gamma', level))} with k^−γ averaged over each block; "
        f"{middle.params['gamma']:.3g} at the midpoints of the blocks, an approximation{worse}"
    ]
    if "blocks, log" in tests and "blocks, raw" in tests:
        texts.append(_common_statement(tests["blocks, log"], fits["blocks", "log", "power_by_group"], by))
        scales: tuple[block_means.Scale, ...] = ("raw", "log")
        texts += filter(None, (_mixture_statement(fits, scale, by) for scale in scales))
    return texts


def _common_statement(test: block_means.CommonTest, by_group: block_means.BlockFit, by: str) -> str:
    """Whether one γ will do for all groups."""
    gammas = ", ".join(f"{value:.2g}" for name, value in by_group.params.items() if name.startswith("gamma"))
    return (
        f"one common γ is {'rejected' if test.p_value < 0.05 else 'not rejected'} (F({test.numerator}, "
        f"{test.denominator}) = {test.f:.1f}, p = {test.p_value:.1g}); by {by}: {gammas}"
    )


def _mixture_statement(fits: Mapping[_Key, block_means.BlockFit], scale: block_means.Scale, by: str) -> str:
    """How mixtures fare beside power laws.

    "" where there are none.
    """
    mixtures = [
        fit.aicc
        for (at, of_scale, model), fit in fits.items()
        if (at, of_scale) == ("blocks", scale) and model.startswith("two_process")
    ]
    if not mixtures:
        return ""
    mixture = min(mixtures)
    power, by_group = fits["blocks", scale, "power"].aicc, fits["blocks", scale, "power_by_group"].aicc
    if by_group < mixture:
        return (
            f"{scale} scale: mixtures of computing and retrieving beat a power law with one γ by ΔAICc "
            f"{power - mixture:.1f}, but a power law with a γ of each {by} beats them by {mixture - by_group:.1f}"
        )
    return (
        f"{scale} scale: mixtures of computing and retrieving beat every power law, by ΔAICc "
        f"{min(power, by_group) - mixture:.1f}"
    )

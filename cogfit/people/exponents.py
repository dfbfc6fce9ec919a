"""Where is the human exponent? One row for each set and measure.

Rows hold the estimate that :func:`cogfit.fit` gives, how γ is distributed over people where single people are known,
and what other choices would give. Nothing is pooled across measures, axes, counts or forms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cogfit.errors import InputError
from cogfit.formulas.registry import POWER, get_form
from cogfit.inference.interval import format_interval
from cogfit.native.blas import single_threaded
from cogfit.people.by_subject import LEAST_POINTS, People, SubjectExponents
from cogfit.people.conclusions import ENOUGH_STUDIES
from cogfit.people.dataset import Dataset, Series
from cogfit.people.exponent import DISTRIBUTION, Exponent, heading
from cogfit.people.fits import HumanFits, Slope, fit_human, judge_series
from cogfit.people.human_side import claims, describe_series
from cogfit.people.model_side import INTERVAL_DEGREES_OF_FREEDOM, normal_quantile
from cogfit.people.over_subjects import Population, random_effects
from cogfit.people.share_between import share_between
from cogfit.population.records import LEAST_RELIABILITY, Share
from cogfit.progress import Progress
from cogfit.records.codec import Document, Nan, wire
from cogfit.records.sentence import number_of

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "cogfit.human-exponents/1"

CLAIMED = (0.4, 0.5)
"""Range that the paper states for people."""


@dataclass(frozen=True)
class ExponentRow(Document):
    """One set and measure.

    Attributes
    ----------
    id : str
        Of the data set.
    exponent : Exponent
        Of the power law; of single people the mean.
    is_measured : bool
        Whether the data determine it: finite limits, and a fit that worked.
    best_form, verdict : str
        The form that :func:`cogfit.fit` reports and its verdict on the power law; empty where forms were not compared.
        Where a p-value lies next to its level fewer replicates decide here.
    other_choices : mapping of str to float
        γ under another count, with a floor, by log–log least squares, with the same items only.
    population : Population or None
        Over people.
    share : Share or None
        Share of people in the range.
    subjects : SubjectExponents or None
        Exponents of single people, with standard errors.
    """

    id: str
    exponent: Exponent
    is_measured: bool
    best_form: str = ""
    verdict: str = ""
    other_choices: Mapping[str, Nan] = field(default_factory=dict)
    population: Population | None = None
    share: Share | None = None
    subjects: SubjectExponents | None = None


@dataclass(frozen=True)
class Pooled(Document):
    """Studies of one kind, pooled or not.

    They have measure, axis, unit, count and form in common.

    Attributes
    ----------
    title : str
    studies : int
    population : Population or None
    reason : str
    """

    title: str
    studies: int
    population: Population | None
    reason: str


@dataclass(frozen=True)
class ExponentSurvey(Document):
    """Every human exponent, with what follows.

    Attributes
    ----------
    rows : tuple of ExponentRow
    claims : tuple of Exponent
        What the paper states.
    between : (float, float)
        Range in which people are counted.
    pooled : tuple of Pooled
    left_out : tuple of (str, str)
        Sets without an exponent, and why.
    level : float
    """

    SCHEMA: ClassVar[str] = SCHEMA
    DERIVED: ClassVar[Mapping[str, str]] = {"statement": "statement", "without_exponent": "_left_out"}

    rows: tuple[ExponentRow, ...]
    claims: tuple[Exponent, ...]
    between: tuple[float, float]
    pooled: tuple[Pooled, ...]
    left_out: tuple[tuple[str, str], ...] = field(metadata=wire(skip=True))
    level: float

    @property
    def _left_out(self) -> list[dict[str, str]]:
        return [{"id": name, "reason": reason} for name, reason in self.left_out]

    @property
    def falling(self) -> tuple[ExponentRow, ...]:
        """Rows over repetition whose measure falls beyond doubt."""
        return tuple(
            row for row in self.rows if row.is_measured and row.exponent.axis == "repetition" and row.exponent.low > 0.0
        )

    @property
    def statement(self) -> str:
        """Where the human exponent is, by the rows."""
        rows = self.falling
        if not rows:
            return "No exponent of practice is determined here."
        low, high = self.between
        gammas = [row.exponent.gamma for row in rows]
        inside = [row.exponent.label for row in rows if low <= row.exponent.gamma <= high]
        rising = [row for row in self.rows if row.exponent.axis == "repetition" and row.exponent.high < 0.0]
        if len(rows) == 1:
            where = "inside" if inside else "outside"
            return f"The one centre over repetition is {gammas[0]:.2g}, {where} {low:g}–{high:g}."
        named = f" ({', '.join(inside)})" if inside else ""
        up = f"; {number_of(len(rising), 'measure grows', 'measures grow')} with repetition" if rising else ""
        return (
            f"Over repetition {len(rows)} centres run from {min(gammas):.2g} to {max(gammas):.2g}; "
            f"{number_of(len(inside), 'lies', 'lie')} in {low:g}–{high:g}{named}{up}. There is no single value."
        )

    def table(self) -> pd.DataFrame:
        """One row per set and measure."""
        import pandas as pd

        return pd.DataFrame([_table_row(row) for row in self.rows])


def _table_row(row: ExponentRow) -> dict[str, Any]:
    exponent, share, people = row.exponent, row.share, row.population
    names = ("label", "measure", "axis", "repeated", "convention", "averaging", "n", "gamma", "low", "high")
    return (
        {"id": row.id}
        | {name: getattr(exponent, name) for name in names}
        | {"best_form": row.best_form, "verdict": row.verdict}
        | {"people": people.n if people else None}
        | {name: getattr(people, name) if people else math.nan for name in ("mean", "sd", "spread", "reliability")}
        | {"raw_share": share.raw if share else math.nan, "share": share.share if share else math.nan}
        | {"share_low": share.low if share else math.nan, "share_high": share.high if share else math.nan}
        | dict(row.other_choices)
    )


@single_threaded()
def survey_exponents(
    datasets: Iterable[Dataset],
    *,
    between: tuple[float, float] = CLAIMED,
    level: float = 0.95,
    rng: int = 0,
    full: bool = True,
    progress: Progress | None = None,
) -> ExponentSurvey:
    """Collect every human exponent.

    Parameters
    ----------
    datasets : iterable of Dataset
    between : (float, float)
        Range of γ in which people are counted.
    level : float
        Of the intervals.
    rng : int
    full : bool
        Whether to compare all forms of every curve, for the winning one; it takes most of the time.
    progress : callable, optional
        Called as ``progress(done, total, name)`` before each set.

    Returns
    -------
    ExponentSurvey

    Raises
    ------
    InputError
        If the range is empty.

    Examples
    --------
    >>> import cogfit
    >>> from cogfit.people.exponents import survey_exponents
    >>> survey = survey_exponents([cogfit.human("remington2016_subjects")], full=False)
    >>> [(row.exponent.label, round(row.exponent.gamma, 2), row.share.raw) for row in survey.rows]
    [('remington2016_subjects: menu', 0.08, 0.0), ('remington2016_subjects: shortcut', 0.29, 0.04)]
    """
    if not between[0] < between[1]:
        raise InputError(f"the range {between[0]:g}–{between[1]:g} is empty", hint="give the smaller number first")
    every = list(datasets)
    rows: list[ExponentRow] = []
    left_out: list[tuple[str, str]] = []
    for number, dataset in enumerate(every):
        if progress is not None:
            progress(number, len(every), dataset.id)
        found, reason = _rows_of(dataset, between, level, rng, full)
        rows += found
        left_out += [(dataset.id, reason)] if reason else []
    if progress is not None:
        progress(len(every), len(every), "")
    return ExponentSurvey(tuple(rows), claims(), between, _pool(rows, level), tuple(left_out), level)


def _rows_of(
    dataset: Dataset, between: tuple[float, float], level: float, rng: int, full: bool
) -> tuple[list[ExponentRow], str]:
    """Rows of one set, or why it has none."""
    try:
        every = dataset.series()
        fits = fit_human(dataset, level=level, rng=rng, full=False, variants=False)
    except InputError as error:
        return [], f"cannot be used: {error}"
    if dataset.kind == "contrast":
        return [], "a few conditions give contrasts, never an exponent"
    if dataset.convention == "block":
        block = _block_row(fits)
        return [] if block is None else [block], "" if block else "; ".join(dict.fromkeys(fits.skipped))
    if dataset.kind == "estimates":
        made = [_estimates_row(series, fits, between, rng) for series in every]
    else:
        made = [_curve_row(series, fits, between, rng, full) for series in every]
    rows = [row for row in made if row is not None]
    return rows, "" if rows else "; ".join(fits.skipped) or f"fewer than {LEAST_POINTS} points"


def _curve_row(
    series: Series, fits: HumanFits, between: tuple[float, float], rng: int, full: bool
) -> ExponentRow | None:
    """Row of one curve."""
    own = [slope for slope in fits.slopes if slope.labels == series.labels]
    main = next((one for one in own if (one.form, one.scale) == (POWER, "raw")), None)
    if main is None:
        return None
    exponent = describe_series(series, POWER, main.noise, main.gamma, (main.low, main.high))
    best_form, verdict = judge_series(series, level=fits.level) if full else ("", "")
    people = _people_behind(series, fits)
    return ExponentRow(
        id=series.dataset.id,
        exponent=exponent,
        is_measured=exponent.has_limits and main.status != "failed",
        best_form=best_form,
        verdict=verdict,
        other_choices=_other_choices(main, own, fits, series),
        population=None if people is None else people.population,
        share=None if people is None else share_between(people, between, rng=rng),
        subjects=None if people is None else people.subjects,
    )


def _people_behind(series: Series, fits: HumanFits) -> People | None:
    """Single people behind a curve, or a table of estimates."""
    return next((people for people in fits.people if people.population.labels == series.labels), None)


def _other_choices(main: Slope, own: Sequence[Slope], fits: HumanFits, series: Series) -> dict[str, float]:
    """γ under the choices that were not taken."""
    out: dict[str, float] = {}
    for one in own:
        if one.status == "not_identified":
            continue
        is_window = one.n == main.n or one.convention != main.convention
        if (one.form, one.scale) == (POWER, "raw") and one.convention != main.convention and is_window:
            out.setdefault(f"k {one.convention}", one.gamma)
        elif one.convention == main.convention and (one.x_min, one.x_max) == (main.x_min, main.x_max):
            if one.form == "power_floor" and one.status == "ok":
                out["with floor"] = one.gamma
            elif one.scale == "log":
                out["log–log"] = one.gamma
    for found in fits.survivorship:
        if found.labels == series.labels:
            out["fixed set"] = found.fixed.gamma
    return out


def _estimates_row(series: Series, fits: HumanFits, between: tuple[float, float], rng: int) -> ExponentRow | None:
    """Row of a table of estimates: the mean over people."""
    people = _people_behind(series, fits)
    if people is None:
        return None
    subjects, population = people.subjects, people.population
    limits = (population.low, population.high)
    exponent = describe_series(series, POWER, "gaussian", population.mean, limits)
    exponent = replace(exponent, averaging=DISTRIBUTION, n=population.n, subjects_known=True)
    share = share_between(people, between, rng=rng)
    choices = {"plain mean": float(subjects.gamma.mean())}
    return ExponentRow(series.dataset.id, exponent, True, "", "", choices, population, share, subjects)


def _block_row(fits: HumanFits) -> ExponentRow | None:
    """Row of block means: one γ for all cells.

    On the log scale, unless means of 0 have no logarithm.
    """
    by_key = {(fit.model, fit.at, fit.scale): fit for fit in fits.pooled}
    main = by_key.get((POWER, "blocks", "log"), by_key.get((POWER, "blocks", "raw")))
    if main is None:
        return None
    limits = main.interval("gamma", fits.level)
    series = fits.dataset.series()[0]
    noise = "lognormal" if main.scale == "log" else "gaussian"
    exponent = describe_series(series, POWER, noise, main.params["gamma"], limits)
    exponent = replace(exponent, label=f"{fits.dataset.id}: all cells", convention="inclusive")
    named = {
        "raw scale": (POWER, "blocks", "raw"),
        "at midpoints": (POWER, "midpoints", "log"),
        "with floor": ("power_floor", "blocks", "log"),
    }
    choices = {name: by_key[key].params["gamma"] for name, key in named.items() if key in by_key}
    comparable = [fit for fit in fits.pooled if (fit.at, fit.scale) == ("blocks", main.scale)]
    best = min(comparable, key=lambda fit: fit.aicc)
    return ExponentRow(fits.dataset.id, exponent, True, best.title, "", choices)


# ------------------------------------------------------------------------------------------------------- pooling


def _pool(rows: Sequence[ExponentRow], level: float) -> tuple[Pooled, ...]:
    """Pool studies of one kind, where there are enough."""
    groups: dict[tuple[str, str], dict[str, Exponent]] = {}
    for row in rows:
        exponent = row.exponent
        if exponent.subjects_known and exponent.has_limits and row.is_measured:
            key = (heading(exponent), exponent.convention)
            groups.setdefault(key, {}).setdefault(exponent.study, exponent)
    out = []
    for (title, convention), by_study in groups.items():
        name = f"{title}, k {convention}, {get_form(POWER).title}"
        if len(by_study) < ENOUGH_STUDIES:
            reason = f"{len(by_study)} of {ENOUGH_STUDIES} independent studies with standard errors over people"
            out.append(Pooled(name, len(by_study), None, reason))
            continue
        studies = list(by_study.values())
        errors = np.array([one.high - one.low for one in studies]) / (2.0 * normal_quantile(level))
        gammas = np.array([one.gamma for one in studies])
        mean = random_effects(gammas, errors, INTERVAL_DEGREES_OF_FREEDOM, level)
        limits = format_interval((mean.new_low, mean.new_high))
        out.append(Pooled(name, len(studies), mean, f"one more study is expected in {limits}"))
    return tuple(out)


def refusal(share: Share) -> str:
    """Why the share of people is not estimated, in words."""
    if math.isnan(share.reliability):
        return "no standard errors"
    return f"reliability {share.reliability:.2f} < {LEAST_RELIABILITY}"

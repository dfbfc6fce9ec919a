"""A model's γ beside people's: like with like, or a reason why not.

Two exponents mean the same only if measure, scale, axis, unit of repetition, counting convention, form, noise model and
level of averaging are the same (:data:`ASPECTS`). Convention, form and noise model can be brought together by fitting
anew (``align=True``), the others cannot: such a comparison is refused, with the reason.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit import fitting as api
from cogfit.curves.exposure import CONVENTIONS, array_curve, split
from cogfit.errors import InputError, nearest
from cogfit.files import data_dir
from cogfit.formulas import built_in as curves
from cogfit.inference import selection
from cogfit.logs import read_log
from cogfit.logs.model import Log
from cogfit.people.catalogue import Catalogue, human
from cogfit.people.dataset import Dataset, Series
from cogfit.people.exponent import (
    DISTRIBUTION,
    MEAN,
    PERSON,
    Exponent,
    Obstacle,
    difference,
    obstacles,
)
from cogfit.people.fits import LEAST_POINTS, PLANS, Plan, fit_human
from cogfit.people.over_subjects import Population, random_effects
from cogfit.result import FitResult, format_interval, load

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SCHEMA = "cogfit.compare/1"

Progress = Callable[[int, int, str], None]

ENOUGH_RUNS = 5
"""Runs from which one may speak of the training procedure, and of equivalence."""

ENOUGH_STUDIES = 5
"""Independent studies from which pooling is thinkable."""

_SPARE = 100  # degrees of freedom behind a standard error that is taken from an interval: enough to serve as weight

MAPPING: tuple[tuple[str, str], ...] = (
    (
        "episodic branch of CRAM (attention over a buffer)",
        "the *algorithm* of Logan 1988 and Rickard 1997: the slow route that practice replaces. In people episodic "
        "retrieval grows with practice; here it falls",
    ),
    (
        "semantic branch (weights)",
        "direct retrieval: the fast route that takes over",
    ),
    (
        "P_episodic(k)",
        "the share of trials solved by the algorithm after k exposures; comparable with reported or fitted strategy "
        "shares p(k) only. A time mixes both routes, p·T_A + (1 − p)·T_R, above a motor floor",
    ),
    (
        "consolidation",
        "in memory research a process of delay (hours to years) after learning, not of repetition",
    ),
)
"""Concepts of the paper, and what they are called in the study of people."""

_AXES = {"exposure": ("repetition", "item")}
"""Axis of a log, and what is repeated along it, in the catalogue's words."""

_MEASURES = {("repetition", "probability"): "strategy"}
"""A router's probability is the share of trials solved by the slow route."""


def of_fit(fit: FitResult, label: str = "", form: str | None = None) -> Exponent:
    """Exponent of a fit of a model's log.

    Parameters
    ----------
    fit : FitResult
    label : str
        Name of the run; the source's by default.
    form : str, optional
        Which fitted form; without it the better of the power laws, by AICc.

    Raises
    ------
    InputError
        If that form was not fitted or has no γ.
    """
    names = [item.name for item in fit.forms]
    if form is None:
        powers = [name for name in selection.POWER_LAWS if name in names]
        if not powers:
            hint = "fit without form=, or name one with a γ"
            raise InputError(f"the fit holds no power law, only {', '.join(names)}", hint=hint)
        form = min(powers, key=lambda name: fit[name].delta_aicc)
    elif form not in names:
        raise InputError(f"the fit holds no form '{form}'", hint=nearest(form, names))
    item = fit[form]
    if item.gamma is None or item.gamma_name is None:
        raise InputError(f"the form '{form}' has no γ", hint="choose power or power_floor")
    if math.isnan(item.gamma):
        raise InputError(f"the form '{form}' could not be fitted: {item.estimate.reason}")
    limits = item.intervals[item.gamma_name]
    axis, repeated = _AXES.get(fit.axis, (fit.axis, ""))
    convention = next((name for name, words in CONVENTIONS.items() if words == fit.convention), "")
    source = str(fit.source.get("path", ""))
    label = label or Path(source).name or "this curve"
    return Exponent(
        label=label, side="model", gamma=item.gamma, low=limits.low, high=limits.high,
        form=form, noise=fit.noise, measure=_MEASURES.get((axis, fit.measure), fit.measure), scale=fit.y_label,
        axis=axis, repeated=repeated, convention=convention, averaging=PERSON, n=1, verdict=fit.verdict.power_law,
        source=source, study=source, notes=(f"interval: {limits.method}; scope: {limits.scope}",),
    )  # fmt: skip


def over_runs(runs: Sequence[Exponent], level: float = 0.95) -> tuple[Exponent, Population]:
    """Mean exponent of several runs of one training procedure, with the variance between them.

    Each run's standard error is taken from its interval.

    Raises
    ------
    InputError
        If the runs are not alike (:func:`obstacles`), or fewer than two have an interval with two ends.
    """
    first = runs[0]
    for other in runs[1:]:
        apart = obstacles(first, other)
        if apart:
            hint = "fit them under the same options"
            raise InputError(f"'{first.label}' and '{other.label}' differ in {apart[0]}", hint=hint)
    usable = [run for run in runs if math.isfinite(run.low) and math.isfinite(run.high) and run.high > run.low]
    if len(usable) < 2:
        raise InputError(f"only {len(usable)} of {len(runs)} runs have an exponent with two finite limits")
    quantile = 2.0 * _normal_quantile(level)
    errors = [(run.high - run.low) / quantile for run in usable]
    found = random_effects(np.array([run.gamma for run in usable]), np.array(errors), _SPARE, level)
    left = tuple(run.label for run in runs if run not in usable)
    scope = "training procedure" if found.n >= ENOUGH_RUNS else f"these {found.n} runs"
    notes: tuple[str, ...] = (f"random effects over {found.n} runs (Paule–Mandel, HKSJ); scope: {scope}",)
    notes += tuple(f"{label} left out: its exponent has no finite limits" for label in left)
    mean = replace(
        first, label=f"mean of {found.n} runs", gamma=found.mean, low=found.low, high=found.high, n=found.n,
        averaging=DISTRIBUTION, subjects_known=True, verdict=_worst([run.verdict for run in runs]), notes=notes,
        source=", ".join(run.source for run in runs),
    )  # fmt: skip
    return mean, found


def _mean_curve(runs: Sequence[_Run], singles: Sequence[Exponent], level: float, rng: int) -> Exponent:
    """Exponent of the curve averaged over runs, at the values of x that all of them have; runs are resampled."""
    x = runs[0].fit.x
    for run in runs[1:]:
        x = np.intersect1d(x, run.fit.x)
    if x.size < 3:
        hint = "compare them one by one, or log them alike"
        raise InputError(f"the {len(runs)} runs have {x.size} values of x in common", hint=hint)
    y = [run.fit.y[np.searchsorted(run.fit.x, x)] for run in runs]
    groups = np.repeat([run.label for run in runs], x.size)
    curve = array_curve(np.tile(x, len(runs)), np.concatenate(y), groups=groups)
    fit = api.fit(curve, form=singles[0].form, noise="gaussian", level=level, rng=rng)
    limits = fit.interval or (math.nan, math.nan)
    return replace(
        singles[0], label=f"mean curve of {len(runs)} runs", gamma=fit.gamma or math.nan, low=limits[0], high=limits[1],
        noise="gaussian", averaging=MEAN, n=len(runs), subjects_known=True, notes=fit.warnings,
        verdict=_worst([run.verdict for run in singles]), source=", ".join(run.source for run in singles),
    )  # fmt: skip


_VERDICTS = ("not_supported", "not_identified", "not_distinguishable", "not_compared", "supported", "")


def _worst(verdicts: Sequence[str]) -> str:
    """What may be said of all runs: that of the one with the least support."""
    return min(verdicts, key=_VERDICTS.index)


def _normal_quantile(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + 0.5 * level))


# ------------------------------------------------------------------------------------------------- the comparison


@dataclass(frozen=True)
class Row:
    """One human curve beside the model.

    Attributes
    ----------
    human : Exponent
    obstacles : tuple of Obstacle
        Why it may not be compared; empty where it may.
    difference : tuple of float or None
        γ of the model less γ of people, with limits.
    equivalent : bool or None
        Within the margin, where one was given and there is enough to say.
    """

    human: Exponent
    obstacles: tuple[Obstacle, ...] = ()
    difference: tuple[float, float, float] | None = None
    equivalent: bool | None = None

    @property
    def comparable(self) -> bool:
        """Whether nothing stands between the two."""
        return not self.obstacles

    @property
    def mendable(self) -> bool:
        """Whether fitting anew would make them comparable."""
        return bool(self.obstacles) and all(item.aspect.refit for item in self.obstacles)


@dataclass(frozen=True)
class Comparison:
    """A model's γ beside people's; what :func:`compare` returns.

    Attributes
    ----------
    model : tuple of Exponent
        Single runs, then their mean where there are several.
    rows : tuple of Row
        Every human curve with an exponent, the comparable ones first.
    silent : tuple of (str, str)
        Human data sets, or measures of theirs, without an exponent, and why.
    claims : tuple of Exponent
        The papers' figures, as claimed.
    pooled : Population or None
    pooling : str
        What is pooled, or why nothing is.
    equivalence : str
        What was asked and found, or why nothing can be said.
    sensitivity : tuple of (str, Exponent)
        The exponents under other conventions, forms and windows.
    runs : Population or None
        Between the runs, where there are several.
    level : float
    margin : float or None
    """

    model: tuple[Exponent, ...]
    rows: tuple[Row, ...]
    silent: tuple[tuple[str, str], ...]
    claims: tuple[Exponent, ...]
    pooled: Population | None
    pooling: str
    equivalence: str
    sensitivity: tuple[tuple[str, Exponent], ...]
    runs: Population | None
    level: float
    margin: float | None

    @property
    def subject(self) -> Exponent:
        """The exponent that is compared: the run's, or the mean over runs."""
        return self.model[-1]

    @property
    def compared(self) -> tuple[Row, ...]:
        """Rows that are like with like."""
        return tuple(row for row in self.rows if row.comparable)

    @property
    def verdict(self) -> str:
        """What may be said, in a few sentences."""
        return " ".join(_sentences(self))

    def table(self) -> pd.DataFrame:
        """One row per exponent: the model's, the human ones, the claims.

        Returns
        -------
        pandas.DataFrame
            Columns ``side``, ``label``, ``measure``, ``axis``, ``repeated``, ``convention``, ``form``, ``averaging``,
            ``n``, ``gamma``, ``low``, ``high``, ``comparable``, ``why_not``, ``difference``, ``difference_low``,
            ``difference_high``, ``source``.
        """
        import pandas as pd

        names = ("side", "label", "measure", "axis", "repeated", "convention", "form", "averaging", "n", "gamma",
                 "low", "high")  # fmt: skip
        rows = []
        for one in (*self.model, *(row.human for row in self.rows), *self.claims):
            row = next((row for row in self.rows if row.human is one), None)
            gap = (row and row.difference) or (math.nan,) * 3
            rows.append(
                {name: getattr(one, name) for name in names}
                | {"comparable": row.comparable if row else None}
                | {"why_not": "; ".join(str(item) for item in row.obstacles) if row else ""}
                | dict(zip(("difference", "difference_low", "difference_high"), gap, strict=True))
                | {"source": one.source}
            )
        return pd.DataFrame(rows)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document (schema ``cogfit.compare/1``)."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "level": self.level,
            "margin": self.margin,
            "model": [one.to_json() for one in self.model],
            "between_runs": _spread_json(self.runs),
            "human": [
                {
                    **row.human.to_json(),
                    "comparable": row.comparable,
                    "obstacles": [
                        {"aspect": o.aspect.name, "model": o.mine, "human": o.theirs, "why": o.aspect.why,
                         "refit_would_do": o.aspect.refit}
                        for o in row.obstacles
                    ],
                    "difference": None if row.difference is None else _finite_json(row.difference),
                    "equivalent": row.equivalent,
                }
                for row in self.rows
            ],
            "without_exponent": [{"id": name, "reason": why} for name, why in self.silent],
            "claimed": [one.to_json() for one in self.claims],
            "pooled": _spread_json(self.pooled),
            "pooling": self.pooling,
            "equivalence": self.equivalence,
            "sensitivity": [{"what": what, **one.to_json()} for what, one in self.sensitivity],
            "mapping": [{"paper": paper, "people": people} for paper, people in MAPPING],
        }  # fmt: skip

    def plot(self, **options: Any) -> Figure:
        """Draw a forest plot without a pooled row; see :func:`cogfit.show.forest.plot_forest`."""
        from cogfit.show.forest import plot_forest

        return plot_forest(self, **options)

    def __str__(self) -> str:
        return self.verdict


def _finite_json(limits: tuple[float, float, float]) -> dict[str, float | None]:
    names = ("estimate", "low", "high")
    return {name: value if math.isfinite(value) else None for name, value in zip(names, limits, strict=True)}


def _spread_json(found: Population | None) -> dict[str, float | None] | None:
    if found is None:
        return None
    return {name: value if math.isfinite(value) else None for name, value in found.__dict__.items()}


def _sentences(found: Comparison) -> list[str]:
    """The verdict, sentence by sentence: the model's own curve, what may be compared, what was claimed."""
    mine = found.subject
    out = [_OWN[mine.verdict].format(label=_named(mine), shown=mine.shown, form=_title(mine.form))]
    out += [note[0].upper() + note[1:] + "." for note in _between(found)]
    compared, mendable = found.compared, [row for row in found.rows if row.mendable]
    for row in compared:
        gap, low, high = row.difference or (math.nan,) * 3
        where = "no difference is not excluded" if low <= 0.0 <= high else "the two differ"
        done = f" ({'; '.join(row.human.done)})" if row.human.done else ""
        limits = f"{found.level:.0%} interval {format_interval((low, high))}"
        out.append(
            f"Beside {row.human.label} ({row.human.source}){done} its γ is {'higher' if gap > 0 else 'lower'} by "
            f"{abs(gap):.2f} (difference {gap:.2f}, {limits}): {where}."
        )
    if not compared:
        counts: dict[str, int] = {}
        for row in found.rows:
            first = next((item for item in row.obstacles if not item.aspect.refit), row.obstacles[0])
            counts[first.aspect.title] = counts.get(first.aspect.title, 0) + 1
        reasons = ", ".join(f"{n} differ in {what}" for what, n in sorted(counts.items(), key=lambda kv: -kv[1]))
        out.append(
            f"None of the {len(found.rows)} human exponents measures the same thing in the same way ({reasons}): "
            "nothing here says that this curve is, or is not, like human memory."
        )
    times = [row.human.gamma for row in found.rows if (row.human.axis, row.human.measure) == ("repetition", "latency")]
    if len(times) > 1:
        out.append(
            f"The {len(times)} exponents of practice times here run from {min(times):.2f} to {max(times):.2f} by task, "
            "material and form; '0.4–0.5 across studies' is the paper's claim, without a data set."
        )
    if mendable:
        names = ", ".join(dict.fromkeys(row.human.label for row in mendable))
        out.append(f"With both sides fitted anew (--align) it could be compared with: {names}.")
    if compared:
        out.append(found.equivalence)
    return out


_OWN = {
    "supported": "{label} falls as a power law: γ = {shown} ({form}).",
    "not_supported": "{label} is not a power law, so it has no exponent that could match people's; its log–log slope "
    "over this window, {shown}, is a description.",
    "not_distinguishable": "{label} may or may not be a power law; if it is one, γ = {shown} ({form}).",
    "not_identified": "{label} does not determine an exponent ({shown}).",
    "not_compared": "{label} was fitted with one form only ({form}, γ = {shown}): nothing says that it is a power law.",
    "": "{label} has γ = {shown} ({form}).",
}


def _named(one: Exponent) -> str:
    return f"The {one.label}" if one.averaging == DISTRIBUTION else f"The curve of {one.label}"


def _title(form: str) -> str:
    return curves.get(form).title if form else ""


def _between(found: Comparison) -> list[str]:
    if found.runs is None:
        return []
    between = f"between the {found.runs.n} runs γ varies with SD {found.runs.sd:.3f}"
    if found.runs.n < ENOUGH_RUNS:
        return [f"{between}; {found.runs.n} runs speak of themselves, not of the training procedure"]
    limits = format_interval((found.runs.new_low, found.runs.new_high))
    return [f"{between}; one more run is expected in {limits}"]


# ------------------------------------------------------------------------------------------------- putting it together


def _row(model: Sequence[Exponent], human: Exponent, margin: float | None, level: float) -> Row:
    """Compare with that of the model's exponents from which least stands apart."""
    mine = min(model, key=lambda one: len(obstacles(one, human)))
    found = obstacles(mine, human)
    if found or math.isnan(human.gamma):
        return Row(human, found)
    gap = difference(mine, human)
    equivalent = None
    if margin is not None and not _no_equivalence(mine, human):
        quantile = _normal_quantile(1.0 - 2.0 * (1.0 - level)) / _normal_quantile(level)  # two one-sided tests
        low, high = gap[0] - quantile * (gap[0] - gap[1]), gap[0] + quantile * (gap[2] - gap[0])
        equivalent = -margin < low and high < margin
    return Row(human, (), gap, equivalent)


def _no_equivalence(mine: Exponent, human: Exponent) -> str:
    """Why equivalence cannot be spoken of; empty where it can."""
    if (mine.n or 0) < ENOUGH_RUNS:
        return f"there are {mine.n or 0} runs, and {ENOUGH_RUNS} are needed"
    if not human.subjects_known:
        return f"{human.label} has no data of single subjects"
    return ""


def _equivalence(rows: Sequence[Row], model: Sequence[Exponent], margin: float | None) -> str:
    compared = [row for row in rows if row.comparable]
    if margin is None:
        return "That a difference is not excluded is no evidence of sameness: that needs a margin (--margin)."
    parts = []
    for row in compared:
        if row.equivalent is None:
            mine = min(model, key=lambda one: len(obstacles(one, row.human)))
            parts.append(f"Equivalence with {row.human.label} cannot be tested: {_no_equivalence(mine, row.human)}.")
        else:
            said = "lies within" if row.equivalent else "is not shown to lie within"
            parts.append(f"The difference from {row.human.label} {said} ±{margin:g}.")
    return " ".join(parts) or "Nothing can be tested for equivalence: nothing is comparable."


def _pooled(rows: Sequence[Row], level: float) -> tuple[Population | None, str]:
    """Pool the comparable studies if there are enough of them, else say why not."""
    usable: dict[str, Exponent] = {}
    for row in rows:
        one = row.human
        if row.comparable and one.subjects_known and math.isfinite(one.low) and math.isfinite(one.high):
            usable.setdefault(one.study, one)
    if len(usable) < ENOUGH_STUDIES:
        count = f"{len(usable)} independent {'study' if len(usable) == 1 else 'studies'}"
        return None, (
            f"Nothing is pooled: {count} with standard errors over subjects on one measure and form, and "
            f"{ENOUGH_STUDIES} are needed."
        )
    parts = list(usable.values())
    quantile = 2.0 * _normal_quantile(level)
    errors = [(one.high - one.low) / quantile for one in parts]
    found = random_effects(np.array([one.gamma for one in parts]), np.array(errors), _SPARE, level)
    limits = format_interval((found.new_low, found.new_high))
    return found, (
        f"Random-effects mean of {found.n} studies: γ = {found.mean:.3f} {format_interval((found.low, found.high))}; "
        f"one more study is expected in {limits}."
    )


Model = FitResult | Log | str | os.PathLike[str]
"""One run: its fit, its log, or the path of either."""


@dataclass(frozen=True)
class _Run:
    """One run of the model: its fit and, where there is one, its log."""

    label: str
    fit: FitResult
    log: Log | None = None


def _runs(
    model: Model | Sequence[Model], level: float, rng: int, options: Mapping[str, Any], tell: Progress
) -> list[_Run]:
    """Fit what is not yet fitted; a log with several runs is taken apart."""
    given = [model] if isinstance(model, FitResult | Log | str | os.PathLike) else list(model)
    if not given:
        raise InputError("there is no model to compare", hint="name a log or a saved fit")
    parts: list[_Run | tuple[str, Log]] = []
    for one in given:
        if isinstance(one, FitResult):
            parts.append(_Run("", one))
            continue
        if isinstance(one, str | os.PathLike):
            if is_fit(one):
                parts.append(_Run(Path(one).name, load(one)))
                continue
            one = read_log(one)
        parts += [(labels or Path(one.path).name, part) for labels, part in _single_runs(one)]
    runs = []
    for number, part in enumerate(parts):
        if isinstance(part, _Run):
            if options:
                hint = f"leave {', '.join(options)} out, or give the log"
                raise InputError("a saved fit cannot be fitted anew", path=part.label or None, hint=hint)
            runs.append(part)
            continue
        label, log = part
        tell(number, len(parts), label)
        runs.append(_Run(label, api.fit(log, level=level, rng=rng, **options), log))
    labels = [run.label or f"run {number}" for number, run in enumerate(runs, start=1)]
    if len(runs) == 1 and not runs[0].label:
        labels = [""]
    return [replace(run, label=label) for run, label in zip(runs, labels, strict=True)]


def _single_runs(log: Log) -> list[tuple[str, Log]]:
    table = log.routing or log.utilization
    assert table is not None
    if "run" not in table.frame or table.frame["run"].nunique() < 2:
        return [("", log)]
    return [(f"run {labels['run']}", part) for labels, part in split(log, ("run",))]


def is_fit(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a saved fit rather than a log."""
    file = Path(path)
    if file.suffix.lower() != ".json" or not file.is_file():
        return False
    with open(file, "rb") as handle:
        return b'"schema": "cogfit.fit/' in handle.read(200)


def _datasets(people: Catalogue | Dataset | Sequence[Dataset] | None) -> list[Dataset]:
    if people is None:
        return list(human().values())
    if isinstance(people, Dataset):
        return [people]
    return list(people.values() if isinstance(people, Catalogue) else people)


_CLAIMED = {
    "gamma_model": "CRAM's own γ",
    "gamma_human": "people, 'across studies'",
    "gamma_fast_semantic": "CRAM, semantic rate × 10",
}


def claims() -> tuple[Exponent, ...]:
    """Exponents that CRAM states, as claimed: of the model, of people, and with a faster semantic memory."""
    out = []
    with open(data_dir() / "published" / "cram_numbers.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if not row["id"].startswith("gamma"):
                continue
            gamma, low, high, half = (float(row[name] or "nan") for name in ("value", "low", "high", "plus_minus"))
            if not math.isnan(half):
                low, high = gamma - half, gamma + half
            out.append(
                Exponent(_CLAIMED.get(row["id"], row["quantity"]), "claimed", gamma, low, high, notes=(row["note"],),
                         source=f"arXiv:2602.12204, {row['place']}")
            )  # fmt: skip
    return tuple(out)


# ------------------------------------------------------------------------------------------------- people


def _people(data: Dataset, mine: Exponent, form: str | None, align: bool, level: float) -> tuple[list[Exponent], str]:
    """Exponents of a data set, or why it has none."""
    if data.kind == "contrast":
        return [], "a few conditions give contrasts, never an exponent"
    exponents = _KINDS.get(data.convention if data.convention in _KINDS else data.kind, _of_curves)
    out = [one for one in exponents(data, form, "gaussian", None, level) if not math.isnan(one.gamma)]
    if align and any(item.aspect.refit for one in out for item in obstacles(mine, one)):
        convention = mine.convention if data.axis == "repetition" else None
        made = [one for one in exponents(data, mine.form, mine.noise, convention, level) if not math.isnan(one.gamma)]
        if len(made) == len(out):
            out = [replace(new, done=_what_changed(old, new)) for old, new in zip(out, made, strict=True)]
    if data.convention == "block":
        return out, _share(data, level)
    return out, "" if out else "no exponent is determined"


def _share(data: Dataset, level: float) -> str:
    """What the fitted share of trials by the algorithm says of its own form."""
    mixtures = [one for one in fit_human(data, level=level, full=False).pooled if one.model == "two_process_constant"]
    rate = min(mixtures, key=lambda one: one.aicc).params["r"]
    return (
        "the share of trials solved by the algorithm, which would be comparable, is fitted as "
        f"p(k) = e^(−{rate:.3f} k), an exponential: it has no γ"
    )


def _what_changed(old: Exponent, new: Exponent) -> tuple[str, ...]:
    """How fitting anew changed what was fitted, in words."""
    said = {
        "convention": f"k counts {_COUNTS.get(new.convention, new.convention)}",
        "form": f"fitted as {_title(new.form)}",
        "noise": f"under {new.noise} noise",
    }
    return tuple(words for name, words in said.items() if getattr(old, name) != getattr(new, name))


_COUNTS = {"prior": "earlier presentations", "inclusive": "presentations including this one"}

_LEVELS = {"subject": PERSON, "subject mean": MEAN, "group mean": MEAN}
"""Levels of averaging of the catalogue in words that hold for runs, too; other levels are their own."""


def _described(series: Series, form: str, noise: str, gamma: float, low: float, high: float) -> Exponent:
    """Exponent of a human curve with what the catalogue says of it."""
    data = series.dataset
    averaging = PERSON if series.n == 1 else _LEVELS.get(data.level, data.level)
    short = re.sub(r"(?<=\d{4})_.*", "", data.id)  # authors and year; measure and axis stand beside it
    label = f"{short}: {series.name}" if series.labels else short
    return Exponent(
        label=label, side="human", gamma=gamma, low=low, high=high, form=form, noise=noise, measure=data.measure,
        scale=data.scale, axis=data.axis, repeated=data.repeated or "", convention=series.convention,
        averaging=averaging, n=series.n, source=data.citation, study=data.citation,
    )  # fmt: skip


def _of_curves(data: Dataset, form: str | None, noise: str, convention: str | None, level: float) -> list[Exponent]:
    """Exponent of each curve, under one form or the better power law."""
    plan, out = PLANS.get(data.id, Plan()), []
    for series in data.series():
        if convention in _COUNTS and convention != series.convention:
            series = series.under(convention)
        curve = series.curve()
        keep = (curve.x > 0) & (curve.x >= (plan.x_min or 0.0)) & (curve.x <= (plan.x_max or math.inf))
        if np.unique(curve.x[keep]).size < LEAST_POINTS or (noise == "lognormal" and np.any(curve.y[keep] <= 0)):
            continue
        curve = curve.take(keep)
        names = [form] if form else [name for name in selection.POWER_LAWS if plan.form in (None, name)]
        fits = [api.fit(curve, form=name, noise=noise, level=level) for name in names]
        best = min(fits, key=lambda fit: fit.aicc)
        limits = best.interval or (math.nan, math.nan)
        gamma = math.nan if best.gamma is None else best.gamma
        known = series.clusters is not None or (series.se is not None and (series.n or 0) > 1)
        one = _described(series, best.form, best.noise, gamma, *limits)
        out.append(replace(one, subjects_known=known, notes=best.warnings))
    return out


def _of_subjects(data: Dataset, form: str | None, noise: str, convention: str | None, level: float) -> list[Exponent]:
    """Mean over subjects of the power laws that were fitted to each."""
    out = []
    for series, found in zip(data.series(), fit_human(data, level=level, full=False).populations, strict=True):
        one = _described(series, "power", "gaussian", found.mean, found.low, found.high)
        limits = format_interval((found.new_low, found.new_high))
        notes = (f"SD between {found.n} subjects {found.sd:.3f}; one more is expected in {limits}", found.method)
        out.append(replace(one, averaging=DISTRIBUTION, n=found.n, subjects_known=True, notes=notes))
    return out


def _of_blocks(data: Dataset, form: str | None, noise: str, convention: str | None, level: float) -> list[Exponent]:
    """One γ for all cells of block means, the form averaged over each block; k includes this presentation."""
    scale = "log" if noise == "lognormal" else "raw"
    fits = [
        one for one in fit_human(data, level=level, full=False).pooled
        if (one.at, one.scale) == ("blocks", scale) and one.model in ([form] if form else selection.POWER_LAWS)
    ]  # fmt: skip
    if not fits:
        return []
    best = min(fits, key=lambda fit: fit.aicc)
    one = _described(data.series()[0], best.model, noise, best.params["gamma"], *best.interval("gamma", level))
    label = one.label.split(":")[0] + ": all cells, one γ"
    notes = (f"the mean of the form over each block; {best.title}",)
    return [replace(one, label=label, convention="inclusive", notes=notes)]


_KINDS = {"block": _of_blocks, "estimates": _of_subjects}
"""How exponents are had of data sets that are no plain curves, by convention or kind."""


# ------------------------------------------------------------------------------------------------- sensitivity


def _sensitivity(runs: Sequence[_Run], form: str, level: float, rng: int) -> tuple[tuple[str, Exponent], ...]:
    """The first run's γ under other forms, windows and conventions."""
    run = runs[0]
    out = []
    for name in (item.name for item in run.fit.forms if item.gamma is not None and item.name != form):
        one = of_fit(run.fit, run.label, name)
        if run.fit[name].estimate.status == "ok":  # elsewhere γ stands for something else, or for nothing
            out.append((f"form {_title(name)}", one))
    base = of_fit(run.fit, run.label, form)
    for window in (window for window in run.fit.windows if math.isfinite(window.low) and math.isfinite(window.high)):
        what = f"power law over {window.x_min:,.6g}–{window.x_max:,.6g}"
        out.append((what, replace(base, form="power", gamma=window.gamma, low=window.low, high=window.high)))
    if run.log is not None and run.log.routing is not None:
        for name in CONVENTIONS:
            if name != base.convention:
                fit = api.fit(run.log, form=form, convention=name, level=level, rng=rng)
                out.append((f"convention {name}", of_fit(fit, run.label, form)))
    return tuple(out)


# ------------------------------------------------------------------------------------------------- the function


def compare(
    model: Model | Sequence[Model],
    people: Catalogue | Dataset | Sequence[Dataset] | None = None,
    *,
    form: str | None = None,
    align: bool = False,
    margin: float | None = None,
    level: float = 0.95,
    rng: int = 0,
    convention: str | None = None,
    measure: str | None = None,
    axis: str | None = None,
    repeated: str | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Put a model's γ beside people's, like with like.

    Parameters
    ----------
    model : FitResult, Log, path, or a sequence of these
        One run, or several of one training procedure (seeds). A path may be a log or a saved fit; a log with several
        runs counts as several.
    people : Catalogue, Dataset or sequence of Dataset, optional
        With whom; all of :func:`cogfit.human` by default.
    form : str, optional
        Compare under this form; by default under the model's better power law.
    align : bool
        Bring convention, form and noise model together by fitting both sides anew, and say so.
    margin : float, optional
        Differences up to this count as none: tests equivalence, where there are 5 runs and data of single subjects.
    level : float
        Of all intervals.
    rng : int
        For resampling.
    convention, measure, axis, repeated : str, optional
        What the model's log does not say of itself (see :data:`ASPECTS`), e.g. ``measure="latency"``.
    progress : callable, optional
        Called as ``progress(done, total, name)``.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        For input that cannot be used; what may not be compared is part of the result.

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> k = np.arange(1.0, 101.0)
    >>> fit = cogfit.fit(k, 0.9 * k**-0.43, form="power", axis="exposure", measure="probability")
    >>> found = cogfit.compare(fit, cogfit.human("ebbinghaus1885_savings"))
    >>> found.rows[0].comparable, str(found.rows[0].obstacles[1])
    (False, 'axis: repetition against delay')
    """
    if margin is not None and not margin > 0.0:
        raise InputError(f"the margin must be a positive number, not {margin:g}")
    given = {"convention": convention, "measure": measure, "axis": axis, "repeated": repeated}
    described: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    tell = progress or (lambda done, total, name: None)
    options = {} if convention is None else {"convention": convention}
    runs = _runs(model, level, rng, options, tell)
    singles = [replace(of_fit(run.fit, run.label, form), **described) for run in runs]
    if len(singles) > 1 and form is None and len({one.form for one in singles}) > 1:
        singles = [replace(of_fit(run.fit, run.label, singles[0].form), **described) for run in runs]
    between: Population | None = None
    heads = exponents = tuple(singles)
    if len(singles) > 1:
        mean, between = over_runs(singles, level)
        heads = (_mean_curve(runs, singles, level, rng), mean)
        exponents = (*singles, *heads)
    rows, silent = [], []
    data = _datasets(people)
    for number, item in enumerate(data):
        tell(number, len(data), item.id)
        found, reason = _people(item, heads[0], form, align, level)
        rows += [_row(heads, one, margin, level) for one in found]
        if reason:
            silent.append((item.id, reason))
    tell(len(data), len(data), "")
    rows.sort(key=lambda row: (len([o for o in row.obstacles if not o.aspect.refit]), len(row.obstacles)))
    pooled, pooling = _pooled(rows, level)
    return Comparison(
        exponents, tuple(rows), tuple(silent), claims(), pooled, pooling, _equivalence(rows, heads, margin),
        _sensitivity(runs, exponents[-1].form, level, rng), between, level, margin,
    )  # fmt: skip

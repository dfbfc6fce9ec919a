"""What a comparison with people gives: rows and sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from cogfit.inference.interval import format_interval
from cogfit.people.exponent import Exponent, Obstacle, describe, form_title
from cogfit.people.model_side import ENOUGH_RUNS
from cogfit.people.over_subjects import Population
from cogfit.people.routes import Routes
from cogfit.people.survivorship import Survivorship
from cogfit.records.codec import Document, wire
from cogfit.records.sentence import number_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SCHEMA = "cogfit.compare/1"

ENOUGH_STUDIES = 5
"""Independent studies from which pooling is thinkable."""

MAPPING: tuple[tuple[str, str], ...] = (
    (
        "episodic branch of CRAM (attention over a buffer)",
        "the *algorithm* of Logan 1988 and Rickard 1997: the slow route that practice replaces. In people episodic "
        "retrieval grows with practice; here it falls",
    ),
    (
        "semantic branch (weights)",
        "direct retrieval: the fast route that takes over (Logan's memory for instances, Rickard's memory step). It is "
        "not semantic memory in Tulving's sense",
    ),
    (
        "the word 'episodic'",
        "in Tulving 1985 remembering the occasion, asked by remember/know judgements. This recollection rises with "
        "repetition (Reder et al. 2000), so it is not what the episodic branch does",
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
        return bool(self.obstacles) and all(item.refit for item in self.obstacles)

    @property
    def main_obstacle(self) -> Obstacle:
        """The first obstacle, if possible one that cannot be mended."""
        return next((item for item in self.obstacles if not item.refit), self.obstacles[0])


@dataclass(frozen=True)
class Comparison(Document):
    """A model's γ beside people's.

    :func:`cogfit.compare` returns it.

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
    routes : Routes or None
        A model's P_episodic(k) beside remembering and knowing in people.
    survivorship : tuple of Survivorship
        Runs whose patterns leave or enter along the curve.
    sensitivity : tuple of (str, Exponent)
        The exponents under other conventions, forms and windows.
    runs : Population or None
        Between the runs, where there are several.
    level : float
    margin : float or None
    """

    SCHEMA: ClassVar[str] = SCHEMA
    DERIVED: ClassVar[Mapping[str, str]] = {
        "verdict": "verdict",
        "human": "_human",
        "without_exponent": "_without_exponent",
        "sensitivity": "_sensitivity",
        "mapping": "_mapping",
    }

    model: tuple[Exponent, ...]
    rows: tuple[Row, ...] = field(metadata=wire(skip=True))
    silent: tuple[tuple[str, str], ...] = field(metadata=wire(skip=True))
    claims: tuple[Exponent, ...] = field(metadata=wire("claimed"))
    pooled: Population | None
    pooling: str
    equivalence: str
    sensitivity: tuple[tuple[str, Exponent], ...] = field(metadata=wire(skip=True))
    runs: Population | None = field(metadata=wire("between_runs"))
    level: float
    margin: float | None
    routes: Routes | None = None
    survivorship: tuple[Survivorship, ...] = ()

    @property
    def subject(self) -> Exponent:
        """The exponent that is compared.

        It is that of the run, or the mean over runs.
        """
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
        """One row per exponent.

        First come the model's, then the human ones, then the claims.

        Returns
        -------
        pandas.DataFrame
            Columns ``side``, ``label``, ``measure``, ``axis``, ``repeated``, ``convention``, ``form``, ``averaging``,
            ``n``, ``gamma``, ``low``, ``high``, ``comparable``, ``why_not``, ``difference``, ``difference_low``,
            ``difference_high``, ``source``.
        """
        import pandas as pd

        compared = {id(row.human): row for row in self.rows}
        people = (row.human for row in self.rows)
        exponents = (*self.model, *people, *self.claims)
        return pd.DataFrame([_table_row(exponent, compared.get(id(exponent))) for exponent in exponents])

    @property
    def _human(self) -> list[dict[str, Any]]:
        return [_row_document(row) for row in self.rows]

    @property
    def _without_exponent(self) -> list[dict[str, str]]:
        return [{"id": name, "reason": reason} for name, reason in self.silent]

    @property
    def _sensitivity(self) -> list[dict[str, Any]]:
        return [{"what": what, **exponent.to_json()} for what, exponent in self.sensitivity]

    @property
    def _mapping(self) -> list[dict[str, str]]:
        return [{"paper": paper, "people": people} for paper, people in MAPPING]

    def plot(self, **options: Any) -> Figure:
        """Draw a forest plot without a pooled row.

        See :func:`cogfit.show.forest.plot_forest`.
        """
        from cogfit.show.forest import plot_forest

        return plot_forest(self, **options)

    def __repr__(self) -> str:
        return f"<Comparison of {self.subject.label} with people: {len(self.compared)} of {len(self.rows)} comparable>"

    def __str__(self) -> str:
        return self.verdict


# ------------------------------------------------------------------------------------------------ table and JSON


_TABLED = (
    "side",
    "label",
    "measure",
    "axis",
    "repeated",
    "convention",
    "form",
    "averaging",
    "n",
    "gamma",
    "low",
    "high",
)
"""Attributes of an exponent that have a column."""


def _table_row(exponent: Exponent, row: Row | None) -> dict[str, Any]:
    """Cells of an exponent.

    `row` says how it compares, where it is a human one.
    """
    limits = (row and row.difference) or (math.nan,) * 3
    return (
        {name: getattr(exponent, name) for name in _TABLED}
        | {"comparable": row.comparable if row else None}
        | {"why_not": "; ".join(str(item) for item in row.obstacles) if row else ""}
        | dict(zip(("difference", "difference_low", "difference_high"), limits, strict=True))
        | {"source": exponent.source}
    )


def _row_document(row: Row) -> dict[str, Any]:
    return {
        **row.human.to_json(),
        "comparable": row.comparable,
        "obstacles": [
            {
                "aspect": item.aspect.name,
                "model": item.model,
                "human": item.human,
                "why": item.aspect.why,
                "refit_would_do": item.refit,
            }
            for item in row.obstacles
        ],
        "difference": None
        if row.difference is None
        else dict(zip(("estimate", "low", "high"), row.difference, strict=True)),
        "equivalent": row.equivalent,
    }


# ----------------------------------------------------------------------------------------------------- sentences


_ABOUT_THE_MODEL = {
    "supported": "{label} falls as a power law: γ = {shown} ({form}).",
    "not_supported": "{label} is not a power law, so it has no exponent that could match people's; its log–log slope "
    "over this window, {shown}, is a description.",
    "not_distinguishable": "{label} may or may not be a power law; if it is one, γ = {shown} ({form}).",
    "not_identified": "{label} does not determine an exponent ({shown}).",
    "not_compared": "{label} was fitted with one form only ({form}, γ = {shown}): nothing says that it is a power law.",
    "": "{label} has γ = {shown} ({form}).",
}
"""What is said of the model's own curve, by the verdict on its power law."""


def _sentences(comparison: Comparison) -> list[str]:
    """The verdict, sentence by sentence."""
    model, compared = comparison.subject, comparison.compared
    # the model's own curve comes first: without a power law there is nothing to compare
    out = [
        _ABOUT_THE_MODEL[model.verdict].format(label=describe(model), shown=model.shown, form=form_title(model.form))
    ]
    out += _between_runs(comparison)
    # what may be compared, or that nothing may
    out += [_difference(row, comparison.level) for row in compared] or [_nothing_compared(comparison.rows)]
    # what the routes say, which is neither comparable nor silent
    out += [comparison.routes.sentence] if comparison.routes is not None else []
    out += [found.statement + "." for found in comparison.survivorship if found.differs]
    # what else a reader should know before quoting the paper's figure
    out += _practice_times(comparison.rows)
    out += _mendable(comparison.rows)
    return [*out, comparison.equivalence] if compared else out


def _between_runs(comparison: Comparison) -> list[str]:
    """How γ varies between runs, where there are several."""
    runs, singles = comparison.runs, comparison.model[:-1]
    if runs is None:
        if not singles:
            return []
        n = sum(run.has_limits for run in singles)
        return [f"Over the runs there is no mean: {n} of {len(singles)} have an exponent with two finite limits."]
    spread = f"Between the {runs.n} runs γ varies with SD {runs.sd:.3f}"
    if runs.n < ENOUGH_RUNS:
        return [f"{spread}; {runs.n} runs speak of themselves, not of the training procedure."]
    return [f"{spread}; one more run is expected in {format_interval((runs.new_low, runs.new_high))}."]


def _difference(row: Row, level: float) -> str:
    """How the model's γ differs from a comparable one."""
    estimate, low, high = row.difference or (math.nan,) * 3
    conclusion = "no difference is not excluded" if low <= 0.0 <= high else "the two differ"
    refitted = f" ({'; '.join(row.human.done)})" if row.human.done else ""
    limits = f"{level:.0%} interval {format_interval((low, high))}"
    return (
        f"Beside {row.human.label} ({row.human.source}){refitted} its γ is {'higher' if estimate > 0 else 'lower'} by "
        f"{abs(estimate):.2f} (difference {estimate:.2f}, {limits}): {conclusion}."
    )


def _nothing_compared(rows: Sequence[Row]) -> str:
    """That no human curve measures the same, and why."""
    counts = Counter(row.main_obstacle.aspect.title for row in rows)
    nothing = "nothing here says that this curve is, or is not, like human memory."
    if len(rows) == 1:
        (what,) = counts
        return f"The one human exponent here differs in {what}: {nothing}"
    reasons = ", ".join(f"{number_of(n, 'differs', 'differ')} in {what}" for what, n in counts.most_common())
    return f"None of the {len(rows)} human exponents measures the same thing in the same way ({reasons}): {nothing}"


def _practice_times(rows: Sequence[Row]) -> list[str]:
    """Range of practice times' exponents, beside the paper's claim."""
    gammas = [row.human.gamma for row in rows if (row.human.axis, row.human.measure) == ("repetition", "latency")]
    if len(gammas) < 2:
        return []
    return [
        f"The {len(gammas)} exponents of practice times here run from {min(gammas):.2f} to {max(gammas):.2f} by task, "
        "material and form; '0.4–0.5 across studies' is the paper's claim, without a data set."
    ]


def _mendable(rows: Sequence[Row]) -> list[str]:
    """Curves that could be compared if fitted anew."""
    labels = dict.fromkeys(row.human.label for row in rows if row.mendable)
    return [f"With both sides fitted anew (--align) it could be compared with: {', '.join(labels)}."] if labels else []

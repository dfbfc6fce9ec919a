"""What follows from a comparison, in sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cogfit.inference.interval import format_interval
from cogfit.people.exponent import (
    Exponent,
    Obstacle,
    describe,
    form_title,
)
from cogfit.people.model_side import (
    ENOUGH_RUNS,
)
from cogfit.people.over_subjects import Population

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


def _spread_json(spread: Population | None) -> dict[str, Any] | None:
    return None if spread is None else spread.to_json()


def _sentences(found: Comparison) -> list[str]:
    """The verdict, sentence by sentence: the model's own curve, what may be compared, what was claimed."""
    mine = found.subject
    out = [_OWN[mine.verdict].format(label=describe(mine), shown=mine.shown, form=form_title(mine.form))]
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


def _between(found: Comparison) -> list[str]:
    if found.runs is None:
        return []
    between = f"between the {found.runs.n} runs γ varies with SD {found.runs.sd:.3f}"
    if found.runs.n < ENOUGH_RUNS:
        return [f"{between}; {found.runs.n} runs speak of themselves, not of the training procedure"]
    limits = format_interval((found.runs.new_low, found.runs.new_high))
    return [f"{between}; one more run is expected in {limits}"]

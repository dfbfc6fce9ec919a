"""Write docs/values-that-change.md and its picture from the table of the study: ``python benchmarks/drift_page.py``.

A test compares the page with the table (tests/data/test_benchmarks.py).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import drift
from command_line import parser_of
from grid import FOLDER, markdown, wrapped

from theory.bounds.refreshing import best
from theory.policies import POLICIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROOT = FOLDER.parents[1]
PAGE, PICTURE = ROOT / "docs" / "values-that-change.md", ROOT / "docs" / "images" / "drift.png"

Row = Mapping[str, str]
Rows = Mapping[tuple[str, str, str, float], Row]

PANELS: Sequence[tuple[str, str, str, str]] = (
    ("exact", "seen", "no", "sees redraws"),
    ("exact", "labels", "yes", "labels, never attends"),
    ("exact", "blind", "no", "again at the best age"),
    ("exact", "untold", "no", "again at one age, untold"),
    ("exact", "count", "no", "again at every j-th query"),
    ("exact", "chance", "no", "again by chance"),
    ("exact", "c1", "no", "once, never again"),
    ("policy", "a2sf", "no", "A2SF, a cache"),
    ("policy", "cram", "no", "CRAM, a policy"),
    ("policy", "lightning", "no", "Lightning, a state"),
    ("policy", "lightning", "yes", "Lightning, with labels"),
    ("policy", "titans", "yes", "Titans, with labels"),
)
"""Panels of the picture: cells of the study, and a title."""


def read() -> Rows:
    """Rows of the table by group, learner, labels and rate."""
    with open(FOLDER / "drift.csv", encoding="utf-8", newline="") as file:
        return {(r["group"], r["learner"], r["labels"], float(r["redraw"])): r for r in csv.DictReader(file)}


def number(row: Row, name: str) -> float:
    """A result of a row in percent of the queries."""
    return 100 * float(row[name])


def half(row: Row) -> float:
    """Half of the interval of the excess, in percent of the queries."""
    return (number(row, "excess_high") - number(row, "excess_low")) / 2


def entry(row: Row | None) -> str:
    """Accuracy @ attention, and the excess with half its interval."""
    if row is None:
        return "–"
    excess = f"{number(row, 'excess'):+.1f}".replace("-0.0", "+0.0")
    return f"{number(row, 'accuracy'):.0f} @ {number(row, 'attention'):.0f}, {excess} ± {half(row):.1f}"


def table(rows: Rows, learners: Iterable[tuple[str, str, str, str]]) -> str:
    """Learners by rates."""
    lines = [
        [title, *(entry(rows.get((group, name, labels, rate))) for rate in drift.RATES)]
        for group, name, labels, title in learners
    ]
    return markdown(["learner", *(f"ρ = {rate:g}" for rate in drift.RATES)], lines)


def limits(row: Row, name: str) -> tuple[float, float]:
    """95 % limits of a share in percent of the queries."""
    return number(row, f"{name}_low"), number(row, f"{name}_high")


def table_of_trained(cells: Sequence[Row | None]) -> str:
    """The trained model by rates, with limits in place of means: a mean says little of seeds that part."""

    def shown(row: Row, name: str) -> str:
        low, high = limits(row, name)
        return f"{max(low, 0.0):.0f} to {min(high, 100.0):.0f}"

    lines = []
    for rate, row in zip(drift.RATES, cells, strict=True):
        if row is None:
            lines.append([f"{rate:g}", "–", "–", "–"])
        else:
            excess = f"{number(row, 'excess'):+.1f} ± {half(row):.1f}"
            lines.append([f"{rate:g}", shown(row, "accuracy"), shown(row, "attention"), excess])
    return markdown(["ρ", "accuracy", "attention", "excess"], lines)


def again(rows: Rows) -> str:
    """How often to attend again: parameters, attention and cost of the best of each rule."""
    lines = []
    for rate in drift.RATES[1:]:
        each, age, count, chance = (rows["exact", name, "no", rate] for name in ("blind", "age", "count", "chance"))
        lines.append(
            [
                f"{rate:g}",
                f"{number(each, 'owed'):.0f}",
                f"{number(each, 'attention'):.0f}, {number(each, 'cost'):.0f}",
                *(
                    f"{name} = {float(row['parameter']):.3g}: {number(row, 'attention'):.0f}, {number(row, 'cost'):.0f}"
                    for name, row in (("τ", age), ("j", count), ("ε", chance))
                ),
            ]
        )
    head = ("ρ", "least, T9", "best age of each pattern", "one age τ", "every j-th query", "chance ε")
    return markdown(head, lines)


def single(q: float, rates: Sequence[float]) -> str:
    """The same for one pattern, by formula, as multiples of √(2qρ)."""
    lines = []
    for rho in rates:
        scale = math.sqrt(2 * q * rho)
        costs = {rule: best(rule, [q], rho) for rule in ("age", "count", "chance")}
        lines.append([f"{rho:g}", *(f"{costs[rule][1] / scale:.2f}" for rule in costs), f"{q / scale:.1f}"])
    return markdown(("ρ", "age", "count", "chance", "never or always"), lines)


def page(rows: Rows) -> str:
    """The whole document."""

    def of(group: str, name: str, rate: float, labels: str = "no") -> Row:
        return rows[group, name, labels, rate]

    def said(name: str, what: str, rate: float = 0.01) -> str:
        return f"{number(of('exact', name, rate), what):.0f}"

    below = [key for key, row in rows.items() if row["below"] == "True"]
    lowest = min(rows.values(), key=lambda row: float(row["excess"]))
    exact_learner = ", of a learner whose excess is 0 in theory" if lowest["learner"] in ("seen", "labels") else ""
    never = [number(of("exact", name, rate), "cost") for name in NEVER for rate in drift.RATES if rate >= 0.01]
    shares = ", ".join(f"{said('blind', 'attention', rate)} % at {rate:g}" for rate in drift.RATES[1:])
    trained = [rows.get(("trained", "cram", "yes", rate)) for rate in drift.RATES]
    policies = {labels: [("policy", s.id, labels, s.title) for s in POLICIES] for labels in ("no", "yes")}
    states = [row for key, row in rows.items() if key[0] == "policy" and row["memory"] == "tokens" and key[3] == 0.3]
    alone = [number(row, "cost") for row in states if row["labels"] == "no"]
    told = [number(row, "cost") for row in states if row["labels"] == "yes"]
    titans = of("policy", "titans", 0.03, "yes")
    cram = [of("policy", "cram", rate) for rate in (0.0, 0.01, 0.3)]
    exact = [("exact", name, "yes" if name == "labels" else "no", title) for name, (title, _) in drift.EXACT.items()]
    return wrapped(f"""# Values that change

Written by `python benchmarks/drift_page.py` from the table of `make benchmark-drift`
([drift.csv](../data/benchmarks/drift.csv)), with its picture.

**The short answer.** Where values change, nobody stops paying. At a rate ρ of redraws a share of the queries has to be
read or lost; [T9](theory.md) says which, and {len(below) or "none"} of the {len(rows)} settings played here is below
it. What is paid beyond that depends on what a learner knows of change:

- *Who sees redraws, or gets labels*, pays exactly what T9 says is least.
- *Who has a sense of age* attends again when what it knows is old. That is the best there is without labels or sight:
at ρ = 0.01 it pays {said("blind", "cost")} % of a reading per query, where {said("blind", "owed")} % is the least. The
best rate of attention rises with ρ, to {shares}. Per pattern it is one reading in about √(2/(qρ)) steps, until ρ is as
large as q, the probability of a query; from there on nearly every query is worth reading.
- *Who counts queries* instead of steps comes close: {said("count", "cost")} %. *Who attends again by chance*, with no
sense of age at all, pays {said("chance", "cost")} %; where changes are rare, √2 times what age costs.
- *Who never attends again* goes on paying for every query: from ρ = 0.01 on {min(never):.0f} to {max(never):.0f} %, as
if nothing had been learned. So do all learners that consolidate after a number of exposures. CRAM, as a policy, pays
{number(cram[0], "cost"):.0f} % where values stay, {number(cram[1], "cost"):.0f} % at ρ = 0.01 and
{number(cram[2], "cost"):.0f} % at ρ = 0.3.
- *Caches* with no memory beside them pay one reading per query at any rate: change costs them nothing more. *States*
that take in what goes by do not hear of a change: at ρ = 0.3 they pay {min(alone):.0f} to {max(alone):.0f} %, with
labels {min(told):.0f} to {max(told):.0f} %. Labels help those that learn by regression most: with them Titans pays
{number(titans, "excess"):+.1f} ± {half(titans):.1f} % more than the least at ρ = 0.03, without a single reading.

![Attention and errors against the rate of redraws, and the least of both together](images/drift.png)

Attention is the share of the queries that are read; on top of it lies what the errors of the others cost. No learner
can be below the broken line, and what is above it is its excess. The horizontal axis is not to scale.

## How often to attend again

Attention, and its cost together with V/(V−1) times the errors of the others, in % of the queries, of the rules that
attend again. Each has the parameter that is best at this rate by its exact cost (`theory/bounds/refreshing.py`); the
first knows the frequency of each pattern, the others have one parameter for all.

{again(rows)}

For a single pattern the costs have closed forms. For a query in every fourth step, as multiples of √(2qρ):

{single(0.25, (1e-5, 1e-4, 1e-3, 1e-2, 1e-1))}

None of these learners finds out the rate of change by itself: it is given the best parameter. One that is set to
ρ = {drift.TYPICAL:g}, whatever ρ is, pays {said("untold", "cost", 0.0)} % where nothing changes and
{said("untold", "cost", 0.3)} % at ρ = 0.3, where the least is {said("seen", "cost", 0.0)} % and
{said("seen", "cost", 0.3)} %.

## Learners that know values and queries as symbols

{drift.STREAM.patterns} patterns by Zipf's law, {drift.STREAM.values} values, a query in a quarter of
{drift.STREAM.length:,} steps. Cells, in % of the queries: accuracy @ attention, and the excess over T9 ± half of its
95 % interval over {of("exact", "seen", 0.0)["streams"]} streams.

{table(rows, exact)}

Those that never attend again are the learners of `theory/bounds/learners.py`; c, η and batches are theirs.

## Policies

All that are played in [policies.md](policies.md), on streams of {drift.SETTING.length} tokens of the same law after a
header that shows all values, with a budget of a quarter of the stream; {of("policy", "cram", 0.0)["streams"]} streams,
the same for all. Attention reads what is bound to a key *now*. T9 charges the first query of each epoch (the time
between two redraws of a value); where a state takes in tokens as they go by, epochs that the header showed are free. A
query may be read and the answer still be wrong, if attention is spread over many tokens: that is charged to nobody.

Without labels:

{table(rows, policies["no"])}

With labels: the answer is shown after each query, and stays in the stream as it was.

{table(rows, policies["yes"])}

## A trained model

CRAM, trained with the answers as labels, on SRCD where the values of recurring keys are redrawn before each batch
(`data.redraw`; N = 64, d = 32, 100 recurring patterns, Zipf 1.754, 8 values, {drift.STEPS} steps of 8 streams,
{drift.SEEDS} seeds; {sum(row is not None for row in trained)} of {len(trained)} rates were run). Measured on the
queries for recurring patterns while it is trained, from step {drift.FREE} on, when the router is free. In % of
these queries, 95 % limits over seeds, cut at 0 and 100, and the mean excess over T9 ± half of its 95 % interval:

{table_of_trained(trained)}

It is no test of the bound: a binding shows the value in every stream, so a state that carries it to the query could
know it without attention. The settings are those of the Zipf sweep ([training.md](training.md)). {of_trained(trained)}

## How it was measured

*The assumption.* At the start of each step after the first, the value of each pattern is drawn anew with probability
ρ, independently of everything and uniformly on all V values, so that it may be the same again. It is written down once
(`redrawn` in `theory/tasks/retrieval.py`), and tests hold each of the three generators to it: the rate, uniform new
values that know nothing of the old ones, independence in time, between patterns, and of the queries. The settings are
`Stream(redraw=ρ)`, `Setting(redraw=ρ)` of the policies (`cogfit theory policies --redraw`), and `data.redraw` of SRCD,
where a step is a batch. At 0, the default, all three draw the same bits as before.

*The bound.* With the redraws and queries of a stream as they were, attention + V/(V−1)·errors is, on average over
values, at least the number of pairs of a pattern and an epoch that were asked for. So a stream is compared with its own
number, which has less noise than the expectation; tests hold that number to T9's formula. The column `least` of the
table is T9's least attention at the learner's own errors. "Below" would be an excess under 0 at a level of 1e-5:
{len(below)} of {len(rows)} settings. The lowest excess is {number(lowest, "excess"):+.2f} %
[{number(lowest, "excess_low"):+.2f}, {number(lowest, "excess_high"):+.2f}] (`{lowest["learner"]}` at
ρ = {lowest["redraw"]}){exact_learner}. A control that is told the values is found below.

*What is not here.* Changes that are announced by a new binding in the stream, while the old one stays; caches of copies
that grow old; rates that differ between patterns or change themselves; a learner that estimates the rate; trained
models other than CRAM, and longer training.
""")


def of_trained(cells: Sequence[Row | None]) -> str:
    """What the seeds of the trained model do as values change more often."""
    if None in cells:
        return "The rates that were not run are the last cells of the study; the same command goes on with them."
    spans = {rate: limits(row, "attention") for rate, row in zip(drift.RATES, cells, strict=True) if row is not None}
    parted = {rate: span for rate, span in spans.items() if span[1] - span[0] > _PARTED}
    text = ""
    if parted:
        text = (
            f"At ρ = {' and '.join(f'{rate:g}' for rate in parted)} the seeds part: uncut, the limits of attention are "
            f"{_spans(parted)}, so that a mean of the {drift.SEEDS} seeds says little. "
        )
    return (
        f"{text}That change makes these models attend is not shown. Where values change, less can have been learned in "
        f"the {drift.STEPS - drift.FREE} steps, which explains it as well, and no model was trained until it settled."
    )


def _spans(spans: Mapping[float, tuple[float, float]]) -> str:
    return " and ".join(f"{low:.0f} to {high:.0f} %" for low, high in spans.values())


_PARTED = 50.0
"""Width of an interval of attention, in percent of the queries, from which on seeds do not agree."""


def readme(rows: Rows) -> list[str]:
    """What data/benchmarks/README.md says of the study; a test looks for these sentences."""
    below = sum(row["below"] == "True" for row in rows.values())
    trained = sum(key[0] == "trained" for key in rows)
    blind, seen = (rows["exact", name, "no", 0.01] for name in ("blind", "seen"))
    return [
        f"{below or 'None'} of {len(rows)} settings (all policies, exact learners, a trained CRAM at {trained} of "
        f"{len(drift.RATES)} rates) is below T9, and the best learner that sees neither redraws nor labels pays "
        f"{number(blind, 'cost'):.0f} % of a reading per query at ρ = 0.01, where {number(seen, 'owed'):.0f} % is the "
        "least.",
        "Misses: no learner here estimates the rate, the trained model is no test of the bound, and changes that a new "
        "binding announces are not played.",
    ]


NEVER = ("c1", "c5", "eta", "batch")
"""Exact learners that never attend again."""


def plot(rows: Rows) -> Figure:
    """Draw attention, errors and what T9 says is least against the rate, one panel per learner."""
    import seaborn as sns
    from matplotlib.figure import Figure

    with sns.axes_style("ticks"), sns.plotting_context("paper", font_scale=1.15):
        figure = Figure(figsize=(10.5, 7.4), layout="constrained")
        panels = figure.subplots(3, 4, sharex=True, sharey=True)
        for axes, (group, name, labels, title) in zip(panels.flat, PANELS, strict=True):
            shown = [row for rate in drift.RATES if (row := rows.get((group, name, labels, rate)))]
            _panel(axes, shown)
            axes.set_title(title, loc="left", fontsize="medium")
            sns.despine(ax=axes)
        for axes in panels[-1]:
            axes.set_xlabel("rate of redraws ρ")
        for axes in panels[:, 0]:
            axes.set_ylabel("% of the queries")
        handles, names = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=3, frameon=False)
    return figure


def _panel(axes: Axes, shown: Sequence[Row]) -> None:
    places = [drift.RATES.index(float(row["redraw"])) for row in shown]
    attention, cost, owed = ([number(row, name) for row in shown] for name in ("attention", "cost", "owed"))
    axes.fill_between(places, 0, attention, color="C0", alpha=0.35, lw=0, label="attention")
    axes.fill_between(places, attention, cost, color="C1", alpha=0.35, lw=0, label="V/(V−1) · errors without it")
    axes.plot(places, attention, "-", color="C0", lw=1.4, marker="o", ms=3.5)
    axes.plot(places, cost, "-", color="C1", lw=1.4, marker="o", ms=3.5)
    axes.plot(places, owed, "--", color="0.1", lw=1.6, label="least of both together (T9)")
    axes.set_xticks(range(len(drift.RATES)), [f"{rate:g}".removeprefix("0") or "0" for rate in drift.RATES])
    axes.set_ylim(-4, 104)
    axes.set_yticks([0, 50, 100])
    axes.grid(axis="y", color="0.9", lw=0.6)


if __name__ == "__main__":
    parser_of(__doc__).parse_args()
    table_rows = read()
    PAGE.write_text(page(table_rows), encoding="utf-8")
    plot(table_rows).savefig(PICTURE, dpi=150)

"""Figure 19: attention of the models trained here.

Over training, and where they end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from paper_figures import style
from paper_figures.build import Data, Drawing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from theory.training.runs import Record

SETS = {
    "cram-n256": "CRAM",
    "cram-n256-state-router": "router sees the state",
    "cram-n256-no-consolidation": "no consolidation",
}
RIVALS = ("transformer", "jamba", "transmamba", "seqboat", "retention", "mamba")
_LEAST = 1e-3
"""Least attention that is drawn at its place."""

_NONE = 5e-4
"""Where less is drawn, at the tick "0"."""


def draw(data: Data) -> Drawing:
    """Draw attention over training and at the end.

    CRAM and its ablations against step (a), and all sets at their end (b).
    """
    import pandas as pd

    from theory.training.runs import find_records

    # the course of CRAM and its ablations, the end of all sets
    sets = (*SETS, *(f"{name}-n256" for name in RIVALS), "cram-n256-costs-from-start")
    records = [record for record in find_records(data.folder / "runs") if record.title in sets]
    curves = pd.DataFrame(
        [
            _row(r, "a", row["step"], row["attention"], row["accuracy"])
            for r in records
            if r.title in SETS
            for row in r.evaluation
        ]
    )
    ends = pd.DataFrame(
        [_row(r, "b", r.evaluation[-1]["step"], r.final["attention"], r.final["accuracy"]) for r in records]
    )
    first = records[0]
    # one line per seed, one label per set
    figure = style.figure(style.PAGE, 2.7)
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1.0], sharey=True)
    for number, (name, label) in enumerate(SETS.items()):
        for i, (_, part) in enumerate(curves[curves["set"] == name].groupby("seed")):
            look = style.line(number) | {"lw": 0.8}
            left.plot(part["step"], _place(part["attention"]), label=label if i == 0 else None, **look)
    _ends(right, ends, sets)
    _mark_needs((left, right), first)
    _set_axes(left, right)
    style.letter((left, right), ("over training", "at the end"))
    return Drawing(figure, pd.concat([curves, ends], ignore_index=True), _caption(records, ends, first))


def _mark_needs(panels: tuple[Axes, Axes], first: Record) -> None:
    """Draw what a static router and the optimum need."""
    for axes in panels:
        for value in (first.static_bound, first.optimum):
            axes.axhline(value, color="0.35", lw=0.7, ls=(0, (2, 2)), zorder=1)
    for value, text, offset in (
        (first.static_bound, "f: every query", 2.5),
        (first.optimum, "OPT: novel queries", -10),
    ):
        panels[0].annotate(
            text,
            (1.0, value),
            xycoords=("axes fraction", "data"),
            xytext=(-2, offset),
            textcoords="offset points",
            ha="right",
            color="0.25",
        )


def _set_axes(left: Axes, right: Axes) -> None:
    """Set scales, ticks, labels and legends."""
    left.set_yscale("log")
    left.set_ylim(_NONE * 0.8, 1.3)
    shown = (_NONE, 1e-3, 1e-2, 0.1, 1.0)
    left.set_yticks(shown, ["0", *(style.percent(at) for at in shown[1:])])
    left.set_yticks([digit * at for at in shown[1:4] for digit in range(2, 10)], minor=True)
    for axes in (left, right):  # the axis is broken between nothing and the least
        axes.axhline(np.sqrt(_NONE * _LEAST), color="white", lw=3, zorder=5)
    left.set_xlabel("training step")
    left.set_ylabel("executed attention")
    left.xaxis.set_major_formatter(style.thousands)
    left.legend(loc="upper right")
    right.set_xlabel("right answers")
    right.xaxis.set_major_formatter(style.percent)
    right.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _row(record: Record, panel: str, step: float, attention: float, accuracy: float) -> dict[str, object]:
    return {
        "panel": panel,
        "set": record.title,
        "seed": record.seed,
        "step": step,
        "attention": attention,
        "accuracy": accuracy,
    }


def _place(attention: pd.Series[float]) -> pd.Series[float]:
    return attention.where(attention >= _LEAST, _NONE)


def _ends(axes: Axes, ends: pd.DataFrame, sets: tuple[str, ...]) -> None:
    """Draw the mean over seeds of each set, and bars from its least to its greatest seed."""
    for number, name in enumerate(name for name in sets if name in set(ends["set"])):
        part = ends[ends["set"] == name]
        x, y = part["accuracy"], _place(part["attention"])
        bars = [[[v.mean() - v.min()], [v.max() - v.mean()]] for v in (x, y)]
        label = SETS.get(name, "costs from step 0" if name.endswith("start") else name.removesuffix("-n256"))
        hollow: dict[str, Any] = (
            {"mfc": "none"} if number >= len(style.COLORS) else {}
        )  # where colours and shapes come again
        own = {"ms": 6.5, "mfc": "none", "mew": 1.3, "zorder": 4} if number == 0 else {"ms": 4}  # a ring around others
        look: dict[str, Any] = style.marker(number) | hollow | own
        axes.errorbar(x.mean(), y.mean(), bars[1], bars[0], lw=0.8, ls="none", label=label, **look)


def _caption(records: list[Record], ends: pd.DataFrame, first: Record) -> str:
    own = ends[ends["set"] == "cram-n256"]
    task = first.document["config"]["data"]
    return (
        f"Models trained on SRCD (N = {task['length']}, K = {task['patterns']}), attention as executed rows per token "
        f"and layer, hard decisions, streams that were not trained on; {len(records)} runs, (a) "
        f"one line per seed, (b) means with bars from the least to the greatest seed. "
        f"(a) CRAM: all {len(own)} seeds end at {own['attention'].mean():.2%}, accuracy {own['accuracy'].min():.2%} or "
        f"better; with a router that sees the token's state they stay near f; without consolidation they fall, too. "
        f"Before step 400 every token attends. (b) The models at 0 attend below {_LEAST:.1%} and know the "
        f"recurring values by heart and guess the others."
    )

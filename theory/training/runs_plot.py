"""Picture of recorded runs: accuracy against the streams that they were trained on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from theory.training.convergence import Ending
from theory.training.runs import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = {"accuracy": "all queries", "accuracy_novel": "queries for novel keys"}

MARKS: dict[Ending, tuple[str, bool]] = {
    "converged": ("o", True),
    "still climbing": ("o", False),
    "plateau": ("s", False),
    "fell back": ("v", False),
}
"""Marks at the ends of lines, and whether they are full."""


def plot_runs(records: Sequence[Record], endings: Mapping[str, Ending], *, width: float = 8.0) -> Figure:
    """Draw accuracy against streams of training.

    A line per run, a colour per set.

    Parameters
    ----------
    records : sequence of Record
    endings : mapping of str to str
        By folder, as of :func:`theory.training.convergence.ending`.
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
        Left all queries, right those for novel keys. The mark at the end of a line says how the run ended
        (:data:`MARKS`).
    """
    import seaborn as sns
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, PercentFormatter

    titles = list(dict.fromkeys(record.title for record in records))
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.5 * width), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
    looks = dict(zip(titles, _looks(sns.color_palette("colorblind")), strict=False))
    for axes, (name, title) in zip(panels, PANELS.items(), strict=True):
        for record in records:
            _draw_run(axes, record, name, looks[record.title], how=endings[str(record.folder)])
        axes.set_title(title, fontsize="medium", loc="left")
        axes.set_xscale("log")
        axes.set_xlabel("streams trained on")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    panels[0].set_ylabel("right answers, new streams")
    handles = [panels[0].plot([], [], label=title, **looks[title])[0] for title in titles]
    handles += [
        panels[0].plot([], [], mark, color="0.4", mfc="0.4" if is_full else "white", ms=4, label=how)[0]
        for how, (mark, is_full) in MARKS.items()
        if how in endings.values()
    ]
    figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize="small")
    sns.despine(figure)
    return figure


def _looks(colors: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Colours, with dashes that tell them apart in grey, too."""
    for color, dash in zip(itertools.cycle(colors), itertools.cycle(("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))))):
        yield {"color": color, "linestyle": dash, "linewidth": 1.0}


def _draw_run(axes: Axes, record: Record, name: str, look: dict[str, Any], *, how: Ending) -> None:
    """One line, and how it ends."""
    rows = [(row["step"] * record.batch, row.get(name, math.nan)) for row in record.evaluation]
    streams, accuracy = np.array(rows, float).T
    if not np.isfinite(accuracy).any():
        return
    axes.plot(streams, accuracy, alpha=0.8, **look)
    last = np.flatnonzero(np.isfinite(accuracy))[-1]
    mark, is_full = MARKS[how]
    face = look["color"] if is_full else "white"
    axes.plot(streams[last], accuracy[last], mark, color=look["color"], mfc=face, ms=4, zorder=3)

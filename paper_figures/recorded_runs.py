"""Figure 8: every recorded run.

Attention above and retrieval accuracy below.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from paper_figures import style
from paper_figures.build import Data, Drawing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_WIDTH = 50  # steps in a bin
_COLUMNS = 4
_TOP = 1.3  # of the vertical axis, in multiples of the static bound


def draw(data: Data) -> Drawing:
    """Draw a column per run."""
    import pandas as pd

    runs = data.runs()
    table = pd.concat([data.steps(run, _WIDTH) for run in runs], ignore_index=True)
    columns = min(len(runs), _COLUMNS)
    bands = math.ceil(len(runs) / columns)
    figure = style.figure(style.PAGE, 2.7 * bands)
    grid = figure.subplots(2 * bands, columns, height_ratios=[2.0, 1.0] * bands, squeeze=False, sharex=True)
    upper = [axes for row in grid[::2] for axes in row]
    lower = [axes for row in grid[1::2] for axes in row]
    for axes in (*upper[len(runs) :], *lower[len(runs) :]):
        axes.remove()
    for number, run in enumerate(runs):
        above, below = upper[number], lower[number]
        _draw_attention(above, table[table["run"] == run], data.run(run), labelled=number == 0)
        part = table[(table["run"] == run) & (table["column"] == "retrieval_accuracy")]
        below.plot(part["step"], part["mean"], color="0.2", lw=1.1)
        below.set_ylim(0.0, 1.05)
        below.set_xlabel("training step")
        below.yaxis.set_major_formatter(style.percent)
        below.xaxis.set_major_formatter(style.thousands)
        if number % columns:
            for axes in (above, below):
                axes.tick_params(labelleft=False)
        else:
            above.set_ylabel("tokens that attend")
            below.set_ylabel("accuracy")
    upper[0].set_xlim(0.0, float(table["step"].max()))
    style.letter(upper[: len(runs)], (style.short(run) for run in runs))
    return Drawing(figure, table, _caption(data, table, runs))


def _draw_attention(axes: Axes, part: pd.DataFrame, about: dict[str, object], *, labelled: bool) -> None:
    bounds = {name: float(about[name]["value"]) for name in ("static_bound", "optimum")}  # type: ignore[index]
    seen = part[part["column"] == "attention_utilization"]
    look = style.line(0)
    axes.fill_between(seen["step"], seen["low"], seen["high"], color=look["color"], alpha=0.2, lw=0)
    axes.plot(seen["step"], seen["mean"], **look)
    forced = seen.loc[seen["forced"], "step"]
    if len(forced):
        axes.axvspan(0.0, float(forced.max()) + _WIDTH / 2, color="0.88", lw=0)
    for name, text in (("static_bound", "f"), ("optimum", "OPT")):
        axes.axhline(bounds[name], color="0.35", lw=0.7, ls=(0, (2, 2)), zorder=1)
        if labelled:
            axes.annotate(
                text,
                (1.0, bounds[name]),
                xycoords=("axes fraction", "data"),
                xytext=(-1, 2),
                textcoords="offset points",
                ha="right",
                va="bottom",
                color="0.25",
            )
    axes.set_ylim(0.0, _TOP * bounds["static_bound"])
    axes.yaxis.set_major_formatter(style.percent)


def _caption(data: Data, table: pd.DataFrame, runs: tuple[str, ...]) -> str:
    last = table.groupby(["run", "column"], sort=False)["mean"].last()
    each = "; ".join(
        f"{run}: {last[run, 'attention_utilization']:.2%} "
        f"({last[run, 'attention_utilization'] / data.run(run)['optimum']['value']:.2f} × OPT), accuracy "
        f"{last[run, 'retrieval_accuracy']:.1%}"
        for run in runs
    )
    return (
        "Share of all tokens that attend (above; shading: 5 and 95 % quantiles of single steps) and retrieval accuracy "
        f"(below), means over {_WIDTH} steps, of {len(runs)} recorded runs. Dashed: f, every query attends, and OPT, "
        f"novel queries attend; grey: attention forced (beyond the axis). At the end, {each}."
    )

"""Picture of practice and forgetting of facts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from theory.lm.plot import COLORS, MARKERS
from theory.lm.practice_records import read_study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
_MOST_BANDS = 4  # more of them hide one another; the tables have the limits


def plot_facts(folder: Path, *, width: float = 7.2) -> Figure:
    """Draw practice and forgetting.

    Parameters
    ----------
    folder : Path
        Of a study of facts.
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
        Above: recall and recognition against presentations, and recall net of the controls against the delay, in the
        main cell. Below: the same delay for the facts that were shown most, by cell, means only. Bands are 95 %
        intervals over seeds.

    Raises
    ------
    InputError
        If the folder holds no such study.
    """
    import pandas as pd
    import seaborn as sns
    from matplotlib.figure import Figure

    read_study(folder)
    practice, forgetting = (pd.read_csv(folder / f"{name}.csv") for name in ("practice", "forgetting"))
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.78 * width), layout="constrained")
        grid = figure.add_gridspec(2, 2)
        panels = [figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, :])]
    _draw_practice(panels[0], practice[practice["cell"] == "main"])
    main = forgetting[forgetting["cell"] == "main"]
    shown = [n for n in sorted(set(main["exposures"].tolist())) if n > 2]
    _draw_forgetting(panels[1], [(f"shown {n} ×", main[main["exposures"] == n]) for n in shown])
    most = forgetting[forgetting["exposures"] == forgetting["exposures"].max()]
    cells = dict.fromkeys(most["cell"])
    _draw_forgetting(panels[2], [(cell, most[most["cell"] == cell]) for cell in cells])
    titles = ("practice", "forgetting, by presentations", f"forgetting, shown {most['exposures'].max()} ×, by cell")
    for letter, axes, title in zip("abc", panels, titles, strict=True):
        axes.set_title(f"({letter}) {title}", loc="left", fontsize="medium")
    sns.despine(figure)
    return figure


def _draw_practice(axes: Axes, table: pd.DataFrame) -> None:
    """Recall and recognition against earlier presentations; 0 stands left of 1."""
    table = table.sort_values("exposure")
    for i, name in enumerate(("recall", "recognition")):
        _band(axes, table["exposure"], table, name, i, name)
    axes.axhline(0.5, color="0.7", lw=0.7, ls=":")
    axes.set_xscale("symlog", linthresh=1)
    ticks = [0, 1, 2, 4, 8, 16, 32]
    axes.set_xticks(ticks, [f"{tick}" for tick in ticks])
    axes.minorticks_off()
    axes.set(xlabel="earlier presentations", ylabel="probability", ylim=(-0.03, 1.03))
    axes.legend(frameon=False, fontsize="small", loc="upper left")


def _draw_forgetting(axes: Axes, curves: list[tuple[str, pd.DataFrame]]) -> None:
    """Recall net of the controls against the updates since its maximum."""
    for i, (label, part) in enumerate(curves):
        part = part.sort_values("delay")
        _band(axes, part["delay"], part, "recall_net", i, label, is_shaded=len(curves) <= _MOST_BANDS)
    axes.set_xscale("symlog", linthresh=1)
    ticks = [0, 1, 10, 100, 1000]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set(xlabel="updates since the maximum", ylabel="recall, net of controls")
    axes.axhline(0, color="0.6", lw=0.7)
    axes.legend(frameon=False, fontsize="x-small", loc="center left", bbox_to_anchor=(1.0, 0.5))


def _band(axes: Axes, x: Any, part: pd.DataFrame, name: str, place: int, label: str, *, is_shaded: bool = True) -> None:
    """A line with its interval, told apart by colour, marker and dashes."""
    color = COLORS[place % len(COLORS)]
    look: dict[str, Any] = {
        "color": color,
        "ls": _DASHES[place % len(_DASHES)],
        "marker": MARKERS[place % len(MARKERS)],
    }
    axes.plot(x, part[name], ms=3, lw=1, markevery=max(1, len(part) // 9), label=label, **look)
    if is_shaded:
        axes.fill_between(x, part[f"{name}_low"], part[f"{name}_high"], color=color, alpha=0.15, lw=0)

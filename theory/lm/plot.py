"""A study of a language model in one picture. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.errors import InputError
from theory.lm.records import TEACHER, measured_units, read_study, read_table
from theory.redundancy.tables import rows_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000", "#8C564B", "#7F7F7F", "#B8A200")
"""Okabe & Ito's palette, and three more for as many policies; markers differ, too."""

MARKERS = "os^DvPXd<>"


def plot_study(folder: Path, *, width: float = 7.2) -> Figure:
    """Draw a recorded study, a panel for each question.

    Parameters
    ----------
    folder : Path
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
        R and sink share by layer; R against the text of the probes beside the controls; copy and induction score of
        every head; attention to what recurs in one context; needles under policies against their budget. Panels whose
        unit was not measured are left out.

    Raises
    ------
    InputError
        If none was measured.
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    units = measured_units(read_study(folder))
    panels = [panel for panel in _PANELS if panel.needs <= units]
    if not panels:
        raise InputError("holds no unit that is drawn", path=folder, hint="cogfit theory lm study measures them")
    rows = _rows(panels)
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.32 * width * len(rows)), layout="constrained")
        grid = figure.add_gridspec(len(rows), 2)
        for i, panel in enumerate(panels):
            place = next(n for n, row in enumerate(rows) if panel in row)
            axes = figure.add_subplot(grid[place, rows[place].index(panel)] if len(rows[place]) > 1 else grid[place, :])
            panel.draw(axes, folder)
            axes.set_title(f"({chr(ord('a') + i)}) {panel.title}", loc="left", fontsize="medium")
    sns.despine(figure)
    return figure


@dataclass(frozen=True)
class _Panel:
    """Units that a panel needs, its title, what draws it, and whether it has a row of its own."""

    needs: frozenset[str]
    title: str
    draw: Callable[[Axes, Path], None]
    is_wide: bool = True


def _rows(panels: Sequence[_Panel]) -> list[list[_Panel]]:
    """Panels in rows: two narrow ones share one."""
    rows: list[list[_Panel]] = []
    for panel in panels:
        if rows and not panel.is_wide and not rows[-1][-1].is_wide and len(rows[-1]) == 1:
            rows[-1].append(panel)
        else:
            rows.append([panel])
    return rows


def _band(axes: Axes, x: Any, part: pd.DataFrame, name: str, **look: Any) -> None:
    """A line with its interval."""
    axes.plot(x, part[name], **look)
    axes.fill_between(x, part[f"{name}_low"], part[f"{name}_high"], color=look["color"], alpha=0.2, lw=0)


def _draw_layers(axes: Axes, folder: Path) -> None:
    """R by layer on prose and code, beside a constant and the sink share."""
    for i, (name, label) in enumerate((("redundancy", "prose"), ("redundancy_code", "code"))):
        if not (folder / f"{name}.csv").exists():
            continue
        layers = rows_of(read_table(folder, name), "layer", each=True)
        _band(axes, layers["layer"], layers, "r", color=COLORS[i], label=f"R, {label}", ls=("-", "--")[i])
        if i == 0:
            axes.plot(layers["layer"], layers["r_constant"], ":", color=COLORS[i], label="R of a constant, prose")
    sinks = read_table(folder, "heads").groupby("layer")["sink"].mean()
    axes.bar(sinks.index, sinks, color="0.85", width=0.8, zorder=0, label="sink share, prose")
    axes.set(xlabel="layer", ylabel="R, share of attention", ylim=(0, 1))
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))


def _draw_controls(axes: Axes, folder: Path) -> None:
    """R against the text that probes were fitted on."""
    controls = read_table(folder, "controls")
    width = int(controls["width"][controls["control"] == "shuffled text"].iloc[0])
    curves = {}
    for name, label in (("learning_curve", "trained, prose"), ("learning_curve_code", "trained, code")):
        if (folder / f"{name}.csv").exists():
            curve = read_table(folder, name)
            curves[label] = curve[curve["documents"] > 0].assign(per_input=lambda rows: rows["tokens"] / width)
    models = controls[~controls["control"].str.startswith(TEACHER)]
    for (control, size), part in models.groupby(["control", "width"], sort=False):
        label = str(control) if control == "shuffled text" else f"{control}, d = {size}"
        curves[label] = part
    for i, (label, part) in enumerate(curves.items()):
        look: dict[str, Any] = {"color": COLORS[i], "marker": MARKERS[i], "ms": 3.5, "lw": 1.3}
        _band(axes, part["per_input"], part, "r", label=label, **look)
    teachers = controls[controls["control"].str.startswith(TEACHER)]
    for i, (_, part) in enumerate(teachers.groupby(["control", "width"], sort=False)):
        grey: dict[str, Any] = {"color": "0.55", "lw": 0.8}
        outside, inside = _TEACHER_LABELS if i == 0 else (None, None)
        axes.plot(part["per_input"], part["r"], label=outside, **grey)
        axes.plot(part["per_input"], part["r_in_sample"], ls=":", label=inside, **grey)
    axes.set(xscale="log", xlabel="tokens per input of a probe", ylabel="R", ylim=(0, 1))
    axes.set_xticks(_TICKS, [f"{tick}" for tick in _TICKS])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize="x-small", loc="center left", bbox_to_anchor=(1.0, 0.5))


_TICKS = (1, 2, 5, 10, 20, 50)

_TEACHER_LABELS = ("linear teachers: R on other tokens", "… on those of the fit")


def _draw_heads(axes: Axes, folder: Path) -> None:
    """Copy score of every head; circles where it is an induction head."""
    table = read_table(folder, "heads")
    layers, heads = int(table["layer"].max()), int(table["head"].max())
    copying = np.full((heads, layers), np.nan)
    copying[table["head"] - 1, table["layer"] - 1] = table["copy"]
    extent = (0.5, layers + 0.5, heads + 0.5, 0.5)
    image = axes.imshow(copying, cmap="Blues", vmin=0, vmax=1, aspect="auto", extent=extent)
    figure: Any = axes.figure
    figure.colorbar(image, ax=axes, label="copy score", pad=0.02)
    part = table[table["induction"] > 0.1]
    axes.scatter(part["layer"], part["head"], s=60 * part["induction"], fc="none", ec=COLORS[1], lw=0.9)
    axes.set(xlabel="layer", ylabel="head")
    axes.set_yticks(range(1, heads + 1))


def _draw_context(axes: Axes, folder: Path) -> None:
    """Attention to the earlier words of a name."""
    from matplotlib.ticker import MaxNLocator

    curve = read_table(folder, "in_context")
    for i, condition in enumerate(dict.fromkeys(curve["condition"])):
        for window, style in (("all", "-"), ("late", "--")):
            part = curve[(curve["condition"] == condition) & (curve["window"] == window) & (curve["exposure"] > 0)]
            label = f"{condition}, {window} lines"
            _band(axes, part["exposure"], part, "p_episodic", color=COLORS[i], ls=style, label=label)
    axes.set(xlabel="times seen before, k", ylabel="P_episodic(k)", ylim=(0, 0.9))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize="x-small", loc="lower right")


def _draw_policies(axes: Axes, folder: Path) -> None:
    """Nats above full attention against the budget."""
    table = read_table(folder, "policies")
    names = [name for name in dict.fromkeys(table["policy"]) if name != "full"]
    for i, name in enumerate(names):
        part = table[table["policy"] == name].sort_values("budget")
        value, low, high = (part[f"nats_above_full{end}"] for end in ("", "_low", "_high"))
        look: dict[str, Any] = {"color": COLORS[i % len(COLORS)], "marker": MARKERS[i % len(MARKERS)], "ms": 4}
        shift = 1 + 0.012 * (i - len(names) / 2)  # so that intervals of one budget stand side by side
        axes.errorbar(
            part["budget"] * shift, value, [value - low, high - value], lw=1, elinewidth=0.6, label=name, **look
        )
    budgets = sorted(set(table["budget"][table["policy"] != "full"]))
    axes.axhline(0, color="0.6", lw=0.7)
    axes.set(xscale="log", xlabel="budget, tokens", ylabel="nats above full")
    axes.set_xticks(budgets, [f"{budget}" for budget in budgets])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))


_PANELS = (
    _Panel(frozenset({"redundancy", "heads"}), "redundancy and sinks by layer", _draw_layers),
    _Panel(frozenset({"controls", "redundancy"}), "redundancy by the text of the probes", _draw_controls),
    _Panel(frozenset({"heads"}), "copy heads (○ induction > 0.1)", _draw_heads, is_wide=False),
    _Panel(frozenset({"context"}), "repetition in one context", _draw_context, is_wide=False),
    _Panel(frozenset({"policies"}), "needles under policies", _draw_policies),
)

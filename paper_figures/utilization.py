"""Figure 1: attention utilisation against step.

Of a run that consolidates and of one that collapses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cogfit.errors import InputError
from paper_figures import style
from paper_figures.build import Data, Drawing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

RUNS = ("srcd-n256-consolidates", "srcd-n256-collapses")
_WIDTH, _CLOSE = 25, 5  # steps in a bin: of the whole run, and around the transition
_TOP = 1.3  # of the vertical axis, in multiples of the static bound


def draw(data: Data) -> Drawing:
    """Draw both runs, whole and at the transition.

    Both runs (a) and the neighbourhood of the transition (b).
    """
    import pandas as pd

    # the transition, and the curve: coarse over the whole run, fine around the transition
    consolidates = RUNS[0]
    transition = data.fit(consolidates).transition
    if not transition or not transition["found"]:
        raise InputError("no abrupt change is found in it, and figure 1 shows one", path=data.folder / "runs" / RUNS[0])
    bounds = {name: data.run(consolidates)[name]["value"] for name in ("static_bound", "optimum")}
    whole = pd.concat([data.steps(name, _WIDTH) for name in RUNS], ignore_index=True)
    near = data.steps(consolidates, _CLOSE)
    near = near[near["step"].between(*_neighbourhood(transition))]
    parts = [part[part["column"] == "attention_utilization"] for part in (whole, near)]
    table = pd.concat([part.assign(panel=name) for part, name in zip(parts, "ab", strict=True)], ignore_index=True)

    # the runs, the bounds, and the steps in which attention is forced
    figure = style.figure(style.PAGE, 2.5)
    left, right = figure.subplots(1, 2, width_ratios=[1.9, 1.0], sharey=True)
    for number, run in enumerate(RUNS):
        for axes, panel in ((left, "a"), (right, "b")):
            _draw_run(axes, table[(table["panel"] == panel) & (table["run"] == run)], number)
    _draw_bounds(left, right, bounds)
    forced = data.run(consolidates)["forced_attention_steps"]
    left.axvspan(forced[0], forced[1], color="0.88", lw=0)
    left.text(
        sum(forced) / 2,
        0.5,
        "attention forced",
        rotation=90,
        ha="center",
        va="center",
        color=style.GREY,
        transform=left.get_xaxis_transform(),
    )
    # interval and width of the transition
    for axes in (left, right):
        axes.axvspan(transition["low"], transition["high"], color=style.COLORS[3], alpha=0.45, lw=0, zorder=0)
        axes.set_xlabel("training step")
        axes.xaxis.set_major_formatter(style.thousands)
    right.axvline(transition["t50"], color="0.2", lw=0.8, ls=(0, (1, 1.5)))
    right.annotate(
        "10 % … 90 % of the drop",
        (transition["t50"], 0.9),
        xycoords=("data", "axes fraction"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        backgroundcolor="white",
    )
    ends = {"arrowstyle": "|-|,widthA=0.25,widthB=0.25", "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
    span = (transition["t10"], 0.89), (transition["t90"], 0.89)
    right.annotate("", *span, xycoords=("data", "axes fraction"), arrowprops=ends)
    # axes
    left.set_ylim(0.0, _TOP * bounds["static_bound"])
    left.set_xlim(0.0, float(table["step"].max()))
    left.yaxis.set_major_formatter(style.percent)
    left.set_ylabel("tokens that attend")
    style.letter((left, right), ("the whole run", f"around step {transition['t50']:,.0f}"))
    return Drawing(figure, table.drop(columns=["column"]), _caption(data, transition, bounds))


def _neighbourhood(transition: Mapping[str, Any]) -> tuple[float, float]:
    reach = 1.6 * (transition["t90"] - transition["t10"])
    return transition["t10"] - reach, transition["t90"] + reach


def _draw_run(axes: Axes, part: pd.DataFrame, number: int) -> None:
    if part.empty:
        return
    look = style.line(number)
    axes.fill_between(part["step"], part["low"], part["high"], color=look["color"], alpha=0.2, lw=0)
    axes.plot(part["step"], part["mean"], **look)
    if part["panel"].iloc[0] == "a":  # named at its end, above the line
        end = part.iloc[-1]
        axes.annotate(
            style.short(end["run"]),
            (end["step"], end["mean"]),
            xytext=(-2, 9),
            textcoords="offset points",
            ha="right",
            color=look["color"],
        )


def _draw_bounds(left: Axes, right: Axes, bounds: dict[str, float]) -> None:
    for name, text in (("static_bound", "f: every query attends"), ("optimum", "OPT: novel queries attend")):
        for axes in (left, right):
            axes.axhline(bounds[name], color="0.35", lw=0.7, ls=(0, (2, 2)), zorder=1)
        left.annotate(
            text,
            (0.075, bounds[name]),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2.5),
            textcoords="offset points",
            color="0.25",
            va="bottom",
        )


def _caption(data: Data, transition: Mapping[str, Any], bounds: dict[str, float]) -> str:
    consolidates = RUNS[0]
    forced = data.run(consolidates)["forced_attention_steps"]
    last = {run: data.steps(run, _WIDTH) for run in RUNS}
    end = {
        (run, column): float(part.loc[part["column"] == column, "mean"].iloc[-1])
        for run, part in last.items()
        for column in ("attention_utilization", "retrieval_accuracy")
    }
    others = "".join(
        f", with a further {'drop' if c['size'] < 0 else 'rise'} near step {c['t50']:,.0f} "
        f"[{c['low']:,.0f}, {c['high']:,.0f}]"
        for c in transition["changes"]
    )
    ends = ", ".join(
        f"{run} at {end[run, 'attention_utilization']:.2%} (accuracy {end[run, 'retrieval_accuracy']:.1%})"
        for run in RUNS
    )
    return (
        f"Share of all tokens that attend, mean over {_WIDTH} steps (a) and {_CLOSE} steps (b); shading: 5 and 95 % "
        f"quantiles of single steps. Dashed lines: f = {bounds['static_bound']:.2%}, every query attends, and "
        f"OPT = {bounds['optimum']:.2%}, novel queries attend. In {consolidates} all tokens are made to attend in "
        f"steps {forced[0]:,}–{forced[1]:,} (beyond the axis); then the curve drops by a factor "
        f"{transition['ratio']:.2f} near step {transition['t50']:,.0f} (band: {transition['level']:.0%} interval "
        f"{transition['low']:,.0f}–{transition['high']:,.0f}; "
        f"10 % of the drop are done at step {transition['t10']:,.0f}, 90 % at {transition['t90']:,.0f}; p = "
        f"{transition['p_value']:.2g} against a smooth curve){others}. The runs end: {ends}."
    )

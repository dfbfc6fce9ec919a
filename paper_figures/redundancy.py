"""Figure 18: attention redundancy of a small GPT-2.

As it is trained, beside random weights and a constant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from paper_figures import style
from paper_figures.build import Data, Drawing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

RUN = "redundancy-gpt2-bytes"
_WHOLE = {"r": "mean of R", "r_constant": "of a constant", "share": "R > 0.8", "r2": "R²"}


def draw(data: Data) -> Drawing:
    """Draw R and the share of operations by layer.

    And both beside explained variance.
    """
    table = data.redundancy(RUN)
    table = table[(table["tokens"] == "all") & (table["unit"] == "layer")]
    layers, whole = table[table["layer"] > 0], table[table["layer"] == 0]
    figure = style.figure(style.PAGE, 2.3)
    left, middle, right = figure.subplots(1, 3, sharex=True)
    for layer, part in layers.groupby("layer"):
        for axes, column in ((left, "r"), (middle, "share")):
            _line(axes, part, column, int(str(layer)) - 1, f"layer {layer}")
    for number, (column, label) in enumerate(_WHOLE.items()):
        _line(right, whole, column, number, label)
    for axes in (left, middle, right):
        axes.set_xscale("log")
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("training step")
        axes.xaxis.set_major_formatter(style.decade)
        axes.xaxis.set_minor_formatter("")
    left.set_ylabel("R = 1 − ‖a − â‖/‖a‖")
    middle.yaxis.set_major_formatter(style.percent)
    middle.legend(loc="upper right")
    left.plot([], [], color="0.3", lw=0.7, ls=(0, (1, 2)), label="random weights")
    left.legend(handles=left.get_lines()[-1:], loc="lower left")
    right.legend(loc="upper right", fontsize=6.0, handlelength=1.8, borderaxespad=0.0, labelspacing=0.25)
    style.letter((left, middle, right), ("mean of R", "tokens with R > 0.8", "all layers"))
    return Drawing(figure, table.drop(columns=["unit", "head", "tokens"]), _caption(data, whole))


def _line(axes: Axes, part: pd.DataFrame, column: str, number: int, label: str) -> None:
    """A quantity over training, with its interval.

    Dotted what it is with random weights.
    """
    trained, random = part[part["step"] > 0], part[part["step"] == 0]
    look = style.line(number)
    axes.plot(trained["step"], trained[column], label=label, **look)
    if f"{column}_low" in part:
        axes.fill_between(
            trained["step"], trained[f"{column}_low"], trained[f"{column}_high"], color=look["color"], alpha=0.2, lw=0
        )
    axes.axhline(random[column].item(), color=look["color"], lw=0.7, ls=(0, (1, 2)), zorder=1)


def _caption(data: Data, whole: pd.DataFrame) -> str:
    about = data.run(RUN)
    settings, texts = about["config"]["language"], about["config"]["texts"]
    first, peak, last = whole.iloc[0], whole.sort_values("r").iloc[-1], whole.iloc[-1]
    return (
        f"A GPT-2 over bytes ({settings['layers']} layers, d = {settings['d_model']}, {about['parameters']:,} "
        f"parameters) trained on the {texts['source']}; affine probes of the hidden state that enters each layer, "
        f"fitted on {texts['parts']['fitted']} documents and measured on {texts['parts']['measured']} others; shading: "
        f"95 % intervals over documents; dotted: random weights. {_state('Random weights', first)}; "
        f"{_state('highest at step ' + format(peak['step'], ',.0f'), peak)}; "
        f"{_state('at the end, step ' + format(last['step'], ',.0f'), last)}."
    )


def _state(when: str, row: pd.Series[float]) -> str:
    """The four numbers of a checkpoint in words."""
    return (
        f"{when}: mean of R {row['r']:.2f} (of the constant mean output {row['r_constant']:.2f}), R > 0.8 in "
        f"{row['share']:.1%} of operations, R² {row['r2']:.2f}"
    )

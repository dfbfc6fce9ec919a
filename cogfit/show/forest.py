"""Forest plot of exponents: one line each, grouped by measure, without a pooled row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cogfit.people.exponent import Exponent, heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cogfit.people.conclusions import Comparison

MARKERS = {"model": ("s", "#0072B2"), "human": ("o", "#000000"), "claimed": ("D", "#D55E00")}
"""Marker and colour of each side; told apart in grey by the marker."""

Group = tuple[str, Sequence[Exponent]]


def plot_forest(found: Comparison, *, width: float = 7.0) -> Figure:
    """Draw the model's exponents, the human ones by measure and axis, and the papers' claims.

    Filled: compared with the model. Hollow: not comparable with it. An arrow: a limit beyond the picture, or none.

    Parameters
    ----------
    found : Comparison
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    groups: list[Group] = [("model", found.model)]
    headings = dict.fromkeys(heading(row.human) for row in found.rows)
    groups += [(name, [row.human for row in found.rows if heading(row.human) == name]) for name in headings]
    groups.append(("the paper", found.claims))
    lines = sum(len(items) + 1 for _, items in groups)
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.9 + 0.19 * lines), layout="constrained")
        axes = figure.subplots()
    draw_forest(axes, groups, filled={id(row.human) for row in found.compared})
    axes.set_xlabel(f"γ, {found.level:.0%} interval")
    sns.despine(figure, left=True)
    return figure


def draw_forest(axes: Axes, groups: Sequence[Group], filled: set[int] | None = None, size: float = 8.0) -> None:
    """Draw groups of exponents from top to bottom.

    Parameters
    ----------
    axes : matplotlib Axes
    groups : sequence of (heading, exponents)
    filled : set of int, optional
        ``id`` of the human exponents whose markers are filled; all, where it is not given.
    size : float
        Of the type, in points.
    """
    low, high = _range([one for _, items in groups for one in items])
    position, ticks, labels = 0.0, [], []
    for title, items in groups:
        if not items:
            continue
        axes.text(0.0, position, _upper(title), transform=axes.get_yaxis_transform(), size=size, weight="bold",
                  va="center", ha="left")  # fmt: skip
        position += 1.0
        for one in items:
            _draw_one(axes, one, position, low, high, filled is None or one.side != "human" or id(one) in filled)
            ticks.append(position)
            labels.append(_name(one))
            position += 1.0
        position += 0.3
    claim = next((one for _, items in groups for one in items if one.side == "claimed" and math.isnan(one.gamma)), None)
    if claim is not None:
        axes.axvspan(claim.low, claim.high, facecolor="0.9", lw=0, zorder=0)
    axes.set_yticks(ticks, labels, size=size)
    axes.set_ylim(position - 0.2, -0.8)
    axes.set_xlim(low, high)
    axes.axvline(0.0, color="0.6", lw=0.8, zorder=1)
    axes.tick_params(axis="y", length=0)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _name(one: Exponent) -> str:
    text = one.label if len(one.label) <= 52 else one.label[:51] + "…"
    if one.side != "claimed" and one.form not in ("", "power"):
        text += f" ({one.form.replace('_', ' + ')})"
    return text


def _draw_one(axes: Axes, one: Exponent, y: float, low: float, high: float, fill: bool) -> None:
    marker, color = MARKERS[one.side]
    if math.isfinite(one.low) or math.isfinite(one.high):
        left, right = max(one.low, low), min(one.high, high)
        axes.plot([left, right], [y, y], color=color, lw=1.3, ls="-" if one.side != "claimed" else (0, (4, 1.5)))
        for beyond, end, shape in ((one.low < low, left, "<"), (one.high > high, right, ">")):
            if beyond:
                axes.plot([end], [y], shape, color=color, ms=4.5, clip_on=False)
    if low <= one.gamma <= high:
        axes.plot([one.gamma], [y], marker, color=color, ms=5, mfc=color if fill else "white", zorder=3)


def _range(items: Sequence[Exponent]) -> tuple[float, float]:
    """Limits of the axis: all estimates, and limits that do not run away."""
    values = [one.gamma for one in items if math.isfinite(one.gamma)]
    ends = [v for one in items for v in (one.low, one.high) if math.isfinite(v)]
    top = max(values, default=1.0)
    reach = max([1.5 * top, *(v for v in values)])
    high = min(max([*ends, top]), max(reach, 1.0))
    low = max(min([0.0, *ends, *values]), -0.5 * high)
    pad = 0.03 * (high - low)
    return low - pad, high + pad

"""Forest plot of exponents, a line each and nothing pooled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cogfit.people.exponent import Exponent, heading
from cogfit.records.printable import printable
from cogfit.show.plots import plain_text
from cogfit.show.stacked import Look, draw_interval, stacked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cogfit.people.conclusions import Comparison
    from cogfit.people.exponents import ExponentSurvey

MARKERS = {"model": ("s", "#0072B2"), "human": ("o", "#000000"), "claimed": ("D", "#D55E00")}
"""Marker and colour of each side; told apart in grey by the marker."""

Group = tuple[str, Sequence[Exponent]]


@plain_text
def plot_forest(comparison: Comparison, *, width: float = 7.0) -> Figure:
    """Draw exponents of a model, of people and as claimed.

    Those of people are grouped by measure and axis. Filled: compared with the model. Hollow: not comparable with it. An
    arrow: a limit beyond the picture, or none.

    Parameters
    ----------
    comparison : Comparison
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    people = [row.human for row in comparison.rows]
    groups: list[Group] = [("model", comparison.model)]
    for title in dict.fromkeys(map(heading, people)):
        groups.append((title, [exponent for exponent in people if heading(exponent) == title]))
    groups.append(("the paper", comparison.claims))
    n_lines = sum(len(exponents) + 1 for _, exponents in groups)
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.9 + 0.19 * n_lines), layout="constrained")
        axes = figure.subplots()
    draw_forest(axes, groups, filled={id(row.human) for row in comparison.compared})
    axes.set_xlabel(f"γ, {comparison.level:.0%} interval")
    sns.despine(figure, left=True)
    return figure


_GAP = 0.3  # between groups, in rows
_PAGE = 11.0
"""Height of a page in inches, into which a forest of any size is fitted."""


@plain_text
def plot_exponents(survey: ExponentSurvey, *, width: float = 7.0) -> Figure:
    """Draw every human exponent on one page.

    They are grouped by measure and axis; nothing is pooled. Filled: determined by the data. Hollow: a description of
    its window. The band is what the paper states.

    Parameters
    ----------
    survey : ExponentSurvey
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    every = [row.exponent for row in survey.rows]
    titles = dict.fromkeys(map(heading, every))
    groups: list[Group] = [(title, [one for one in every if heading(one) == title]) for title in titles]
    groups.append(("the paper", survey.claims))
    n_lines = sum(1.3 + len(exponents) for _, exponents in groups)
    height = min(_PAGE, 0.9 + 0.19 * n_lines)
    size = min(8.0, 0.72 * 72.0 * (height - 0.7) / n_lines)  # of type that fits between two lines
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
    draw_forest(axes, groups, filled={id(row.exponent) for row in survey.rows if row.is_measured}, size=size)
    axes.set_xlabel(f"γ, {survey.level:.0%} interval")
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
    every = [exponent for _, exponents in groups for exponent in exponents]
    low, high = _range(every)
    ticks, labels = [], []
    for title, above, rows in stacked(groups, _GAP):
        place = axes.get_yaxis_transform()
        axes.text(0.0, above, _upper(title), transform=place, size=size, weight="bold", va="center", ha="left")
        for at, exponent in rows:
            is_filled = filled is None or exponent.side != "human" or id(exponent) in filled
            values = (exponent.gamma, exponent.low, exponent.high)
            draw_interval(axes, at, values, (low, high), _look(exponent, is_filled))
            ticks.append(at)
            labels.append(printable(_name(exponent)))
    # a claim that is a range and no number stands behind all exponents
    ranges = [exponent for exponent in every if exponent.side == "claimed" and math.isnan(exponent.gamma)]
    for claim in ranges[:1]:
        axes.axvspan(claim.low, claim.high, facecolor="0.9", lw=0, zorder=0)
    axes.set_yticks(ticks, labels, size=size)
    axes.set_ylim(max(ticks, default=0.0) + 1.0 + _GAP - 0.2, -0.8)
    axes.set_xlim(low, high)
    axes.axvline(0.0, color="0.6", lw=0.8, zorder=1)
    axes.tick_params(axis="y", length=0)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _name(exponent: Exponent) -> str:
    text = exponent.label if len(exponent.label) <= 52 else exponent.label[:51] + "…"
    if exponent.side != "claimed" and exponent.form not in ("", "power"):
        text += f" ({exponent.form.replace('_', ' + ')})"
    return text


def _look(exponent: Exponent, is_filled: bool) -> Look:
    marker, color = MARKERS[exponent.side]
    line = "-" if exponent.side != "claimed" else (0, (4, 1.5))
    return Look(marker, color, line, is_filled=is_filled)


def _range(exponents: Sequence[Exponent]) -> tuple[float, float]:
    """Limits of the axis: estimates, and limits near them."""
    values = [exponent.gamma for exponent in exponents if math.isfinite(exponent.gamma)]
    ends = [end for exponent in exponents for end in (exponent.low, exponent.high) if math.isfinite(end)]
    top = max(values, default=1.0)
    reach = max([1.5 * top, *values])
    high = min(max([*ends, top]), max(reach, 1.0))
    low = max(min([0.0, *ends, *values]), -0.5 * high)
    pad = 0.03 * (high - low)
    return low - pad, high + pad

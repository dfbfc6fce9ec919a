"""Pictures of routes, fixed sets and single people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cogfit.people.exponents import ExponentSurvey
from cogfit.people.routes import Routes, RouteShare
from cogfit.people.survivorship import Survivorship
from cogfit.show.plots import plain_text, plain_ticks, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = {"recollection": "o", "knowing": "s", "familiarity": "^", "algorithm": "D", "retrieval": "v"}
"""Told apart in grey by the marker."""

_SPREAD = 0.32  # height over which the people of one set are spread, of the distance between two sets


@plain_text
def plot_routes(routes: Routes, *, width: float = 7.0) -> Figure:
    """Draw people's routes beside the slow route of a model.

    Both panels show a share against earlier presentations, and the power law of each; the axes of the two differ.

    Parameters
    ----------
    routes : Routes
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.66 * width), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
    palette = sns.color_palette("colorblind")
    shown = [share for share in routes.people if share.exponent.label.endswith(", all")] or list(routes.people)
    for number, share in enumerate(shown):
        _draw_share(left, share, _MARKERS.get(share.route, "x"), palette[number % len(palette)])
    _draw_share(right, routes.model, ".", "0.2")
    for axes, title in ((left, "people"), (right, routes.model.exponent.label)):
        axes.set_xscale("log")
        axes.set_ylim(0.0, 1.02)
        axes.set_xlabel("earlier presentations k")
        axes.set_title(title, fontsize="small", loc="left")
        axes.legend(frameon=False, fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.2))
        every = np.concatenate([line.get_xdata() for line in axes.get_lines()])
        plain_ticks(axes.xaxis, float(every.min()), float(every.max()))
    left.set_ylabel("share of answers")
    sns.despine(figure)
    return figure


def _draw_share(axes: Axes, share: RouteShare, marker: str, color: object) -> None:
    """Draw a share with its power law."""
    gamma = share.exponent.gamma
    label = f"{share.route}, of {share.share_of}: γ = {gamma:.2f}"
    axes.plot(share.x, share.y, marker, ms=4, mec="none", color=color, label=wrapped(label, 44))
    if np.isfinite(share.amplitude):
        grid = np.geomspace(share.x.min(), share.x.max(), 100)
        axes.plot(grid, share.amplitude * grid**-gamma, "-", color=color, lw=1.0)


@plain_text
def plot_survivorship(
    found: Survivorship, title: str = "", labels: tuple[str, str] = ("k", "y"), *, width: float = 5.0
) -> Figure:
    """Draw whoever is there beside those who stay.

    Parameters
    ----------
    found : Survivorship
    title : str
    labels : (str, str)
        Of the axes.
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.7 * width), layout="constrained")
        axes = figure.subplots()
    names = ("all that are there", f"the same {found.kind} throughout")
    for part, name, marker, color in zip(
        (found.pooled, found.fixed), names, "os", sns.color_palette("colorblind"), strict=False
    ):
        axes.plot(part.x, part.y, marker, ms=5, mec="none", color=color, label=f"{name}: γ = {part.gamma:.2f}")
        grid = np.geomspace(part.x.min(), part.x.max(), 100)
        axes.plot(grid, part.amplitude * grid**-part.gamma, "-", color=color, lw=1.2)
    axes.set_xscale("log")
    axes.set_yscale("log")
    both = np.concatenate([found.pooled.y, found.fixed.y])
    plain_ticks(axes.xaxis, found.x_min, found.x_max)
    plain_ticks(axes.yaxis, float(both[both > 0].min()), float(both.max()))
    axes.set_xlabel(labels[0])
    axes.set_ylabel(wrapped(labels[1], 40))
    axes.set_title(wrapped(title, 55), fontsize="small", loc="left")
    axes.legend(frameon=False, fontsize="small")
    sns.despine(figure)
    return figure


@plain_text
def plot_over_people(survey: ExponentSurvey, *, width: float = 7.0) -> Figure:
    """Draw exponents of single people, set by set.

    A dot is the estimate of one person, the diamond their mean with its interval, the bar the middle two thirds of
    people without the errors of the estimates, where these are known. The band is the range asked for.

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

    rows = [row for row in survey.rows if row.subjects is not None and row.population is not None]
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.9 + 0.38 * max(len(rows), 1)), layout="constrained")
        axes = figure.subplots()
    axes.axvspan(*survey.between, facecolor="0.9", lw=0, zorder=0)
    generator = np.random.default_rng(0)
    for place, row in enumerate(rows):
        assert row.subjects is not None
        assert row.population is not None
        people, gamma = row.population, row.subjects.gamma
        heights = place + generator.uniform(-_SPREAD, _SPREAD, gamma.size)
        axes.plot(gamma, heights, ".", ms=3, color="0.55", zorder=1, rasterized=gamma.size > 200)
        if np.isfinite(people.sd):
            axes.plot([people.mean - people.sd, people.mean + people.sd], [place, place], color="k", lw=4, alpha=0.5)
        axes.plot([people.low, people.high], [place, place], color="#D55E00", lw=1.6, zorder=3)
        axes.plot(people.mean, place, "D", ms=5, color="#D55E00", zorder=3)
    axes.set_yticks(range(len(rows)), [f"{row.exponent.label} ({row.exponent.measure})" for row in rows], size="small")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.axvline(0.0, color="0.6", lw=0.8)
    axes.set_xlabel("γ of single people")
    sns.despine(figure, left=True)
    return figure

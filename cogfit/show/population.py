"""Tables and picture of a population fit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from cogfit.errors import InputError, nearest
from cogfit.formulas.form import Array
from cogfit.inference.interval import format_interval
from cogfit.population.records import MixedParameter, PopulationFit, normal_density
from cogfit.records.printable import printable
from cogfit.show.plots import plain_text, wrapped
from cogfit.show.tables import NONE, Table, rounded, simple_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMES = 45
"""Members whose names are written beside the picture."""

_SHRUNKEN, _OWN = "#0072B2", "#D55E00"


def parameters_table(fit: PopulationFit) -> Table:
    """Mean and spread of every parameter over the members."""
    columns = ("parameter", "mean", f"{fit.level:.0%} interval", "SD over members", "interval", "reliability")
    rows = [
        (
            label_of(parameter),
            rounded(parameter.mean, 4),
            format_interval((parameter.low, parameter.high)),
            rounded(parameter.sd, 3) if parameter.name in fit.random else "shared by all",
            NONE if math.isnan(parameter.sd_low) else format_interval((parameter.sd_low, parameter.sd_high)),
            rounded(parameter.reliability, 2),
        )
        for parameter in fit.parameters
    ]
    return simple_table(columns, rows, numbers=(1, 2, 3, 4, 5))


def label_of(parameter: MixedParameter) -> str:
    """Name of a parameter as it is normal over members."""
    name = "γ" if parameter.name == "gamma" else parameter.name
    return f"{parameter.prefix} {name}".lstrip()


def scores_table(fit: PopulationFit) -> Table:
    """Forms that were compared, the best first."""
    rows = [
        (
            score.title,
            rounded(score.delta_aic, 4),
            rounded(score.gamma, 3),
            rounded(score.gamma_sd, 2),
            f"not fitted: {score.reason}" if score.reason else "",
        )
        for score in fit.forms
    ]
    has_reasons = any(score.reason for score in fit.forms)
    columns = ("form", "ΔAIC", "mean γ", "SD of γ", "")
    last = len(columns) if has_reasons else len(columns) - 1
    return simple_table(columns[:last], [row[:last] for row in rows], numbers=(1, 2, 3))


def members_table(fit: PopulationFit, most: int | None = None) -> Table:
    """Members in the order of their exponents.

    Parameters
    ----------
    fit : PopulationFit
    most : int, optional
        Rows at the most: half of them the lowest, half the highest.
    """
    j = place_of(fit)
    parameter, members = fit.parameters[j], fit.members
    order = np.argsort(members.params[:, j], kind="stable").tolist()
    if most is not None and len(order) > most:
        order = order[: most // 2] + order[-(most - most // 2) :]
    rows = [
        (
            members.names[i],
            f"{members.n[i]:.0f}",
            rounded(float(members.params[i, j]), 3),
            rounded(float(members.stderr[i, j]), 2),
            rounded(float(members.own[i, j]), 3),
            rounded(float(members.own_stderr[i, j]), 2),
        )
        for i in order
    ]
    label = label_of(parameter)
    columns = (fit.kind, "points", label, "SE", f"{label} alone", "SE")
    return simple_table(columns, rows, numbers=(1, 2, 3, 4, 5))


def place_of(fit: PopulationFit, parameter: str | None = None) -> int:
    """Place of a parameter.

    By default that of γ, or of the first that differs between members.
    """
    names = [p.name for p in fit.parameters]
    if parameter is not None and parameter not in names:
        raise InputError(f"there is no parameter '{parameter}'", hint=nearest(parameter, names))
    return names.index(parameter or fit.gamma_name or fit.random[0])


@plain_text
def plot_population(fit: PopulationFit, parameter: str | None = None, *, width: float = 7.0) -> Figure:
    """Draw how members are shrunken, and their distribution.

    Left: a line for each member; hollow what its own points say, filled what the model says, with one standard error.
    Right: the distribution over members, with the band of the other distributions that the data allow.

    Parameters
    ----------
    fit : PopulationFit
    parameter : str, optional
        Default: the exponent.
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    j = place_of(fit, parameter)
    height = min(9.0, max(3.4, 1.2 + 0.16 * min(fit.n_members, MOST_NAMES)))
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, height), layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True, width_ratios=(1.25, 1.0))
    limits = _limits(fit, j)
    _draw_members(left, fit, j)
    _draw_distribution(right, fit, j, limits)
    for axes in (left, right):
        axes.set_xlim(*limits)
        axes.set_xlabel(label_of(fit.parameters[j]))
    figure.legend(frameon=False, fontsize="x-small", loc="outside lower center", ncols=3)
    figure.suptitle(wrapped(printable(fit.headline()), 95), fontsize="small", x=0.01, ha="left")
    sns.despine(figure)
    return figure


def _limits(fit: PopulationFit, j: int) -> tuple[float, float]:
    """Range that holds all shrunken members and nearly all own estimates."""
    own = fit.members.own[:, j]
    own = own[np.isfinite(own)]
    shrunken, parameter = fit.members.params[:, j], fit.parameters[j]
    error = fit.members.stderr[:, j]
    ends = [
        (shrunken - error).min(),
        (shrunken + error).max(),
        parameter.mean - 3 * parameter.sd,
        parameter.mean + 3 * parameter.sd,
    ]
    low, high = float(min(ends)), float(max(ends))
    reach = 1.5 * (high - low)
    near = own[(own > low - reach) & (own < high + reach)]
    if near.size:
        low, high = min(low, float(near.min())), max(high, float(near.max()))
    margin = 0.04 * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def _draw_members(axes: Axes, fit: PopulationFit, j: int) -> None:
    members, parameter = fit.members, fit.parameters[j]
    order = np.argsort(members.params[:, j], kind="stable")
    place = np.arange(order.size)
    shrunken, error, own = members.params[order, j], members.stderr[order, j], members.own[order, j]
    size = 4.0 if order.size <= MOST_NAMES else max(0.8, 4.0 * math.sqrt(MOST_NAMES / order.size))
    axes.axvspan(parameter.low, parameter.high, color="0.9", lw=0, label=f"mean, {fit.level:.0%} interval")
    axes.hlines(place, np.fmin(shrunken, own), np.fmax(shrunken, own), color="0.7", lw=0.6)
    axes.plot(own, place, "o", ms=size, mfc="none", mec=_OWN, mew=0.7, label="own points alone")
    axes.errorbar(
        shrunken, place, xerr=error, fmt="o", ms=size, color=_SHRUNKEN, elinewidth=0.8, label="in the model ± SE"
    )
    if order.size <= MOST_NAMES:
        names = [printable(members.names[i])[:24] for i in order.tolist()]
        axes.set_yticks(place, names, fontsize="x-small")
    else:
        axes.set_yticks([])
        axes.set_ylabel(f"{fit.n_members:,} {fit.kind}s, in order")
    axes.set_ylim(-0.8, order.size - 0.2)


def _draw_distribution(axes: Axes, fit: PopulationFit, j: int, limits: tuple[float, float]) -> None:
    parameter, grid = fit.parameters[j], np.linspace(*limits, 160)
    shrunken = fit.members.params[:, j]
    bins = np.linspace(*limits, max(8, min(40, int(2.5 * math.sqrt(fit.n_members)))))
    axes.hist(shrunken, bins=bins.tolist(), density=True, color="0.85", label="members in the model")
    if parameter.sd > 0.0:
        band = _density_band(fit, j, grid)
        if band is not None:
            axes.fill_between(grid, *band, color=_SHRUNKEN, alpha=0.2, lw=0, label=f"{fit.level:.0%} band")
        density = normal_density(grid, np.array(parameter.mean), np.array(parameter.sd))
        axes.plot(grid, density, color=_SHRUNKEN, lw=1.5, label="distribution")
    axes.set_yticks([])


def _density_band(fit: PopulationFit, j: int, grid: Array) -> tuple[Array, Array] | None:
    """Band of densities that the data allow, where the profiles are known."""
    if fit.parameters[j].name != fit.gamma_name or fit.mean_profile is None or fit.sd_profile is None:
        return None
    mean, sd = fit.confidence_grid()
    keep = sd > 0.0
    density = normal_density(grid[:, None, None], mean[:, None], sd[keep][None, :]).reshape(grid.size, -1)
    tail = 0.5 * (1.0 - fit.level)
    low, high = np.quantile(density, [tail, 1.0 - tail], axis=1)
    return low, high

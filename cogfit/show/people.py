"""Pictures of human data: curves with forms, contrasts, distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.formulas.registry import get_form
from cogfit.people import block_means
from cogfit.people.dataset import Dataset, Series
from cogfit.people.fits import CurveFit, HumanFits
from cogfit.records.printable import printable
from cogfit.show.plots import plain_text, plain_ticks, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MANY = 9  # curves beyond which labels of the legend shrink


@plain_text
def plot_human(dataset: Dataset, fits: HumanFits | None = None, *, width: float = 7.0) -> Figure:
    """Draw a human data set, with its fits if given.

    Parameters
    ----------
    dataset : Dataset
    fits : HumanFits, optional
        Of this data set (:func:`cogfit.people.fits.fit_human`).
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
        Curves: values with standard errors where they are known, and the form reported for each. Contrasts: means with
        standard errors. Estimates: one per subject, with the mean and the interval for another subject.
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.68 * width), layout="constrained")
        axes = figure.subplots()
    draw = {"curve": _draw_curves, "contrast": _draw_contrast, "estimates": _draw_estimates}[dataset.kind]
    draw(axes, dataset, fits, sns.color_palette("colorblind"))
    axes.set_title(wrapped(f"{dataset.title}. {dataset.citation}", 96), fontsize="small", loc="left")
    sns.despine(ax=axes)
    return figure


def _draw_curves(axes: Axes, dataset: Dataset, fits: HumanFits | None, palette: Sequence[Any]) -> None:
    """Draw points and means of every curve, with their fits."""
    curves = dataset.series()
    means = [series.mean() for series in curves]
    fitted = {tuple(fit.series.labels.values()): fit for fit in (fits.curves if fits is not None else ())}
    for number, (series, mean) in enumerate(zip(curves, means, strict=True)):
        color = palette[number % len(palette)]
        _draw_points(axes, series, mean, color)
        if (fit := fitted.get(tuple(series.labels.values()))) is not None:
            _draw_form(axes, fit, color, is_labelled=len(curves) == 1)
    if fits is not None and fits.pooled:
        _draw_pooled(axes, curves, fits)
    _scale_axes(axes, curves, means)
    axes.set_xlabel(dataset.unit)
    axes.set_ylabel(wrapped(f"{dataset.measure}: {dataset.scale}", 40))
    if len(curves) > 1 or fitted:
        axes.legend(frameon=False, fontsize="small" if len(curves) < _MANY else "x-small")


def _draw_points(axes: Axes, series: Series, mean: Series, color: Any) -> None:
    """Draw means and the blocks behind them.

    Where there are clusters, single values are drawn, too.
    """
    label = series.name if series.labels else "observed"
    if series.clusters is not None:
        axes.plot(series.x, series.y, ".", ms=3, color=color, alpha=0.35, zorder=1)
    axes.errorbar(mean.x, mean.y, yerr=mean.se, fmt="o", ms=4, mec="none", color=color, lw=1.0, label=label, zorder=2)
    if series.first is not None and series.last is not None:
        axes.hlines(series.y, series.first, series.last, color=color, lw=1.0, alpha=0.6, zorder=2)


def _scale_axes(axes: Axes, curves: Sequence[Series], means: Sequence[Series]) -> None:
    """Make axes logarithmic where the values span enough."""
    y = np.concatenate([series.y for series in (*curves, *means)])
    positive = [mean.x[mean.x > 0] for mean in means]
    if y.min() > 0 and y.max() > 1.5 * y.min() and all(x.size for x in positive):
        axes.set_yscale("log")
        plain_ticks(axes.yaxis, float(y.min()), float(y.max()))
    low, high = min(float(x.min()) for x in positive), max(float(x.max()) for x in positive)
    if high > 3 * low:
        axes.set_xscale("log")
        plain_ticks(axes.xaxis, low, high)


def _draw_form(axes: Axes, fit: CurveFit, color: Any, is_labelled: bool) -> None:
    """Draw the form reported for one curve."""
    item = fit.result.selected
    params = item.estimate.params
    if item.estimate.status == "failed" or any(math.isnan(value) for value in params.values()):
        return
    x = fit.result.x[fit.result.x > 0]
    grid = np.geomspace(x.min(), x.max(), 300)
    label = None
    if is_labelled:
        label = item.title + ("" if item.gamma is None else f", γ = {item.gamma:.3g}")
    axes.plot(grid, get_form(item.name).evaluate(grid, params), "-", color=color, lw=1.4, label=label, zorder=3)


def _draw_pooled(axes: Axes, curves: Sequence[Series], fits: HumanFits) -> None:
    """Draw the power law with one exponent for all groups.

    Each group has a level of its own.
    """
    fit = next(item for item in fits.pooled if (item.model, item.at, item.scale) == ("power", "blocks", "log"))
    law, gamma = block_means.MODELS["power"], fit.params["gamma"]
    k = np.geomspace(1.0, max(float(series.last.max()) for series in curves if series.last is not None), 200)
    for style, (name, level) in zip(("-", "--", ":", "-."), fit.levels.items(), strict=False):
        value = level * law.columns(k, np.array([gamma]))[0]
        label = f"{fit.by} {name}, one γ = {gamma:.3g}"
        axes.plot(k, value, style, color="0.35", lw=1.2, label=label, zorder=3)


def _draw_contrast(axes: Axes, dataset: Dataset, fits: HumanFits | None, palette: Sequence[Any]) -> None:
    """Draw means under each condition, the curves side by side."""
    names, curves = list(dataset.contrast), dataset.series()
    for number, series in enumerate(curves):
        mean = series.mean()
        assert mean.category is not None
        where = [int(np.flatnonzero(mean.category == name)[0]) for name in names]
        shift = 0.06 * (number - 0.5 * (len(curves) - 1))
        axes.errorbar(
            np.arange(len(names)) + shift,
            mean.y[where],
            yerr=None if mean.se is None else mean.se[where],
            fmt="o-",
            ms=5,
            mec="none",
            lw=1.2,
            color=palette[number % len(palette)],
            label=series.name if series.labels else None,
        )
    axes.set_xticks(np.arange(len(names)), [printable(name) for name in names])
    axes.set_xlim(-0.4, len(names) - 0.6)
    axes.set_xlabel(dataset.axis)
    axes.set_ylabel(wrapped(dataset.scale, 40))
    if dataset.columns.series:
        axes.legend(frameon=False, fontsize="small")


def _draw_estimates(axes: Axes, dataset: Dataset, fits: HumanFits | None, palette: Sequence[Any]) -> None:
    """Draw one estimate per subject, the groups above each other."""
    populations = {tuple(item.labels.values()): item for item in (fits.populations if fits is not None else ())}
    start = 0
    for number, series in enumerate(dataset.series()):
        color = palette[number % len(palette)]
        heights = start + np.arange(series.y.size)
        axes.plot(np.sort(series.y), heights, "o", ms=4, mec="none", color=color, label=series.name)
        if (population := populations.get(tuple(series.labels.values()))) is not None:
            ends = [heights[0], heights[-1]]
            axes.fill_betweenx(ends, population.new_low, population.new_high, color=color, alpha=0.12, lw=0)
            axes.plot([population.mean] * 2, ends, color=color, lw=1.4)
        start = int(heights[-1]) + 3
    axes.set_yticks([])
    axes.set_xlabel(f"γ of single {dataset.level}s ({dataset.measure})")
    axes.legend(frameon=False, fontsize="small")

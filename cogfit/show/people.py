"""Pictures of human data: curves with the forms fitted to them, contrasts, distributions over subjects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.formulas.registry import get_form
from cogfit.people import block_means
from cogfit.people.dataset import Dataset, Series
from cogfit.people.fits import CurveFit, HumanFits
from cogfit.show.plots import plain_ticks, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MANY = 9  # curves beyond which labels of the legend shrink


def plot_human(dataset: Dataset, fits: HumanFits | None = None, *, width: float = 7.0) -> Figure:
    """Draw a human data set, with its fits where there are any.

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
    found = dataset.series()
    fitted: dict[tuple[str, ...], CurveFit] = {}
    for made in fits.curves if fits is not None else ():
        fitted[tuple(made.series.labels.values())] = made
    means = [one.mean() for one in found]
    values = np.concatenate([one.y for one in (*found, *means)])
    positive = [one.x[one.x > 0] for one in means]
    for number, (series, mean) in enumerate(zip(found, means, strict=True)):
        color = palette[number % len(palette)]
        label = series.name if series.labels else "observed"
        if series.clusters is not None:
            axes.plot(series.x, series.y, ".", ms=3, color=color, alpha=0.35, zorder=1)
        axes.errorbar(
            mean.x, mean.y, yerr=mean.se, fmt="o", ms=4, mec="none", color=color, lw=1.0, label=label, zorder=2
        )
        if series.first is not None and series.last is not None:
            axes.hlines(series.y, series.first, series.last, color=color, lw=1.0, alpha=0.6, zorder=2)
        if (one := fitted.get(tuple(series.labels.values()))) is not None:
            _draw_form(axes, one, color, single=len(found) == 1)
    if fits is not None and fits.pooled:
        _draw_pooled(axes, found, fits, palette)
    if values.min() > 0 and values.max() > 1.5 * values.min() and all(x.size for x in positive):
        axes.set_yscale("log")
        plain_ticks(axes.yaxis, float(values.min()), float(values.max()))
    low, high = min(float(x.min()) for x in positive), max(float(x.max()) for x in positive)
    if high > 3 * low:
        axes.set_xscale("log")
        plain_ticks(axes.xaxis, low, high)
    axes.set_xlabel(dataset.unit)
    axes.set_ylabel(wrapped(f"{dataset.measure}: {dataset.scale}", 40))
    if len(found) > 1 or fitted:
        axes.legend(frameon=False, fontsize="small" if len(found) < _MANY else "x-small")


def _draw_form(axes: Axes, one: CurveFit, color: Any, single: bool) -> None:
    item = one.result.selected
    params = item.estimate.params
    if item.estimate.status == "failed" or any(math.isnan(value) for value in params.values()):
        return
    x = one.result.x[one.result.x > 0]
    grid = np.geomspace(x.min(), x.max(), 300)
    label = None
    if single:
        label = item.title + ("" if item.gamma is None else f", γ = {item.gamma:.3g}")
    axes.plot(grid, get_form(item.name).evaluate(grid, params), "-", color=color, lw=1.4, label=label, zorder=3)


def _draw_pooled(axes: Axes, found: Sequence[Series], fits: HumanFits, palette: Sequence[Any]) -> None:
    """The power law with one exponent, for each group with a level of its own."""
    fit = next(one for one in fits.pooled if (one.model, one.at, one.scale) == ("power", "blocks", "log"))
    law = block_means.MODELS["power"]
    k = np.geomspace(1.0, max(float(one.last.max()) for one in found if one.last is not None), 200)
    for style, (name, level) in zip(("-", "--", ":", "-."), fit.levels.items(), strict=False):
        value = level * law.columns(k, np.array([fit.params["gamma"]]))[0]
        axes.plot(
            k, value, style, color="0.35", lw=1.2, label=f"{fit.by} {name}, one γ = {fit.params['gamma']:.3g}", zorder=3
        )


def _draw_contrast(axes: Axes, dataset: Dataset, fits: HumanFits | None, palette: Sequence[Any]) -> None:
    names = list(dataset.contrast)
    for number, series in enumerate(dataset.series()):
        mean = series.mean()
        assert mean.category is not None
        where = [int(np.flatnonzero(mean.category == name)[0]) for name in names]
        shift = 0.06 * (number - 0.5 * (len(dataset.series()) - 1))
        axes.errorbar(
            np.arange(len(names)) + shift, mean.y[where], yerr=None if mean.se is None else mean.se[where], fmt="o-",
            ms=5, mec="none", lw=1.2, color=palette[number % len(palette)],
            label=series.name if series.labels else None,
        )  # fmt: skip
    axes.set_xticks(np.arange(len(names)), names)
    axes.set_xlim(-0.4, len(names) - 0.6)
    axes.set_xlabel(dataset.axis)
    axes.set_ylabel(wrapped(dataset.scale, 40))
    if dataset.columns.series:
        axes.legend(frameon=False, fontsize="small")


def _draw_estimates(axes: Axes, dataset: Dataset, fits: HumanFits | None, palette: Sequence[Any]) -> None:
    spread = {tuple(one.labels.values()): one for one in (fits.populations if fits is not None else ())}
    start = 0
    for number, series in enumerate(dataset.series()):
        color = palette[number % len(palette)]
        at = start + np.arange(series.y.size)
        axes.plot(np.sort(series.y), at, "o", ms=4, mec="none", color=color, label=series.name)
        if (one := spread.get(tuple(series.labels.values()))) is not None:
            axes.fill_betweenx([at[0], at[-1]], one.new_low, one.new_high, color=color, alpha=0.12, lw=0)
            axes.plot([one.mean] * 2, [at[0], at[-1]], color=color, lw=1.4)
        start = int(at[-1]) + 3
    axes.set_yticks([])
    axes.set_xlabel(f"γ of single {dataset.level}s ({dataset.measure})")
    axes.legend(frameon=False, fontsize="small")

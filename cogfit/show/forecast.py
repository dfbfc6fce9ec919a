"""A forecast as a table and as a fan."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from cogfit.errors import InputError
from cogfit.forecasting.records import Forecast, Prediction
from cogfit.formulas.form import Array
from cogfit.formulas.registry import get_form
from cogfit.result import FitResult
from cogfit.show.plots import plain_text, plain_ticks, wrapped
from cogfit.show.tables import NONE, Table, readable, simple_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "Held-out error: root mean square, over the last 40 % of the points, of a fit to the others; beside it that of the "
    "fit to all points. Forms are weighted by it."
)
_DRAWN = 0.05  # weight from which on a form has a line of its own
_MANY = 2000  # points beyond which the markers become a rasterised cloud


def forms_table(forecast: Forecast) -> Table:
    """Forms behind a forecast, by weight."""
    rows = [
        (
            item.title,
            f"{item.weight:.2f}",
            readable(item.held_out, 3) if math.isfinite(item.held_out) else NONE,
            readable(item.residual, 3) if math.isfinite(item.residual) else NONE,
        )
        for item in forecast.at.forms
    ]
    return simple_table(("form", "weight", "held-out error", "residual"), rows, CAPTION, numbers=range(1, 4))


@plain_text
def plot_forecast(result: FitResult, *, width: float = 7.0, titled: bool = True) -> Figure:
    """Draw the data and the fan of a forecast.

    The inner band is the interval of the curve, the outer one that of a new observation. Both end where the forms
    disagree; the forms themselves go on as thin lines.

    Parameters
    ----------
    result : FitResult
        With a forecast (:meth:`FitResult.with_forecast`).
    width : float
        Inches.
    titled : bool
        Whether the answers stand above.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If no forecast was asked for.

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> x = np.arange(1.0, 31.0)
    >>> fit = cogfit.fit(x, x**-0.5 + 0.001 * np.sin(x), form="power").with_forecast(reach=0.1)
    >>> len(plot_forecast(fit).axes)
    1
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    if result.forecast is None:
        raise InputError("there is no forecast to draw", hint="make one with fit.with_forecast(reach=0.02)")
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.62 * width), layout="constrained")
        axes = figure.subplots()
    _draw(axes, result, result.forecast)
    sns.despine(ax=axes)
    if titled:
        text = "\n".join(wrapped(sentence, 96) for sentence in result.forecast.statements[:3])
        axes.set_title(text, fontsize="small", loc="left")
    return figure


def _draw(axes: Axes, result: FitResult, forecast: Forecast) -> None:
    import seaborn as sns

    blue, orange = (sns.color_palette("colorblind")[i] for i in (0, 3))
    fan, last = forecast.fan, float(result.x.max())
    axes.plot(result.x, result.y, ".", color="0.45", ms=3, zorder=2, label="data", rasterized=result.x.size > _MANY)
    axes.fill_between(fan.x, fan.low, fan.high, color=blue, alpha=0.15, lw=0, label=f"new observation, {fan.level:.0%}")
    axes.fill_between(
        fan.x, fan.curve_low, fan.curve_high, color=blue, alpha=0.35, lw=0, label=f"curve, {fan.level:.0%}"
    )
    axes.plot(fan.x, fan.value, color=blue, lw=1.8, zorder=4, label="mean of the forms")
    for form in fan.forms:
        if form.weight >= _DRAWN and len(fan.forms) > 1:
            values = get_form(form.form).evaluate(fan.x, result[form.form].params)
            axes.plot(fan.x, values, color="0.3", lw=0.7, ls=":", zorder=3)
    axes.axvline(last, color="0.6", lw=0.8, zorder=1)
    for item in forecast.reach:
        axes.axhline(item.value, color=orange, lw=0.8, ls="--", zorder=1)
        if math.isfinite(item.x):
            axes.plot([item.x], [item.value], "o", color=orange, ms=5, zorder=5)
    axes.set_xscale("log")
    plain_ticks(axes.xaxis, float(fan.x.min()), float(fan.x.max()))
    axes.set_ylim(*_range(result.y, fan, [item.value for item in forecast.reach]))
    axes.set_xlabel(result.x_label)
    axes.set_ylabel(wrapped(result.y_label, 34))
    axes.legend(frameon=False, fontsize="small")


def _range(y: Array, fan: Prediction, asked: list[float]) -> tuple[float, float]:
    """Limits of y in the picture.

    The data, what was asked for, and the fan as far as it is not wild.
    """
    span = float(np.ptp(y)) or 1.0
    low, high = min(float(y.min()), *asked, math.inf), max(float(y.max()), *asked, -math.inf)
    told = np.concatenate([fan.low, fan.high])
    told = np.clip(told[np.isfinite(told)], low - 0.5 * span, high + 0.5 * span)
    return float(min(told.min(initial=low), low) - 0.03 * span), float(max(told.max(initial=high), high) + 0.05 * span)

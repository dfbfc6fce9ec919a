"""Pictures of a fit. Built on bare Figure objects: no window opens and no global state of pyplot changes."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cogfit import curves, noise
from cogfit.curves import Array
from cogfit.errors import InputError
from cogfit.files import write_atomic
from cogfit.result import FitResult, FormFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
_STYLES = ("-", "--", "-.", ":")
_MANY = 2000  # points beyond which the markers become a rasterised cloud


def plot_fit(result: FitResult, forms: Sequence[str] | None = None, *, width: float = 7.0) -> Figure:
    """Draw the curve, the fitted forms with a band, and the residuals of the form reported.

    Parameters
    ----------
    result : FitResult
    forms : sequence of str, optional
        Forms to draw; by default the one reported, the power law and the best rivals.
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If a form was not fitted.
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    chosen = list(forms) if forms is not None else _interesting(result)
    known = {item.name for item in result.forms}
    for name in chosen:
        if name not in known:
            raise InputError(f"form '{name}' was not fitted", hint="choose from " + ", ".join(sorted(known)))
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.78 * width), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    _draw_data(upper, result)
    palette = sns.color_palette("colorblind")
    colors = [palette[i] for i in (0, 3, 2, 4, 1, 5)]
    log_y = bool(result.y.min() > 0 and result.y.max() / result.y.min() > 3)
    log_x = bool(np.any(result.x > 0) and result.x.max() > 3 * result.x[result.x > 0].min())
    grid = _grid(result.x, log_x)
    for i, name in enumerate(chosen):
        item = result[name]
        if item.estimate.status == "failed" or any(math.isnan(v) for v in item.estimate.params.values()):
            continue
        value, low, high = _band(item, grid, result.level)
        color, style = colors[i % len(colors)], _STYLES[i % len(_STYLES)]
        upper.plot(grid, value, style, color=color, lw=1.8, label=_label(item), zorder=4)
        if i == 0:
            floor = 0.5 * result.y.min() if log_y else -np.inf
            upper.fill_between(grid, np.maximum(low, floor), high, color=color, alpha=0.2, lw=0, zorder=3)
    if log_y:
        upper.set_yscale("log")
        upper.set_ylim(0.7 * result.y.min(), 1.4 * result.y.max())
    else:
        span = float(np.ptp(result.y)) or 1.0
        upper.set_ylim(result.y.min() - 0.08 * span, result.y.max() + 0.12 * span)
    if log_y:
        _plain_ticks(upper.yaxis, result.y.min(), result.y.max())
    if log_x:
        upper.set_xscale("log")
        _plain_ticks(lower.xaxis, result.x[result.x > 0].min(), result.x.max())
    upper.set_ylabel(_wrapped(result.y_label, 34))
    upper.legend(frameon=False, fontsize="small")
    upper.set_title(_wrapped(result.headline(), 96), fontsize="small", loc="left")
    _draw_residuals(lower, result, colors[0])
    lower.set_xlabel(result.x_label)
    for axes in (upper, lower):
        sns.despine(ax=axes)
    return figure


def _plain_ticks(axis: Axis, low: float, high: float) -> None:
    """Label a logarithmic axis with numbers: at 1, 2, 5 where it is short, at powers of ten where it is long."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    decades = math.log10(high / low)
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 3.2 else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.10g}" if 1e-4 < v < 1e6 else f"{v:.0e}"))
    axis.set_minor_formatter(NullFormatter())


def _interesting(result: FitResult) -> list[str]:
    """The form reported, the power law, and the best of the others, four at the most."""
    names = [result.form]
    for name in ("power", *(item.name for item in result.forms if item.estimate.status != "failed")):
        if name not in names and len(names) < 4 and any(item.name == name for item in result.forms):
            names.append(name)
    return names


def _draw_data(axes: Axes, result: FitResult) -> None:
    many = result.n > _MANY
    axes.plot(
        result.x, result.y, "o", ms=2.2 if many else 3.5, mec="none", color="0.55", alpha=0.4 if many else 0.7,
        rasterized=many, zorder=1,
    )  # fmt: skip
    axes.plot([], [], "o", ms=4, mec="none", color="0.55", label=f"observed ({result.n:,} points)")


def _draw_residuals(axes: Axes, result: FitResult, color: tuple[float, float, float]) -> None:
    item = result.selected
    axes.axhline(0.0, color="0.3", lw=0.8)
    if not any(math.isnan(v) for v in item.estimate.params.values()):
        form = curves.get(item.name)
        r, _ = noise.get(item.estimate.noise).residual(
            result.y, form.evaluate(result.x, item.estimate.params), result.weights
        )
        span = float(np.abs(result.y).max())
        if np.abs(r).max() < 1e-12 * span:  # a perfect fit: rounding is no structure
            axes.set_ylim(-0.01 * span, 0.01 * span)
        axes.plot(result.x, r, ".", ms=2, color=color, alpha=0.4, rasterized=result.n > _MANY)
    axes.set_ylabel("residual")


def _label(item: FormFit) -> str:
    text = item.title
    if item.gamma is not None:
        text += f", γ = {item.gamma:.3g}"
    if math.isfinite(item.delta_aicc):
        text += f" (ΔAICc {item.delta_aicc:.1f})" if item.delta_aicc < 1000 else f" (ΔAICc {item.delta_aicc:,.0f})"
    return text


def _grid(x: Array, log: bool) -> Array:
    if not log:
        return np.linspace(x.min(), x.max(), 600)
    positive = x[x > 0]
    return np.geomspace(positive.min(), positive.max(), 600)


def _band(item: FormFit, x: Array, level: float) -> tuple[Array, Array, Array]:
    """Fitted values and a pointwise band by the delta method."""
    from scipy.special import ndtri

    form = curves.get(item.name)
    value = form.evaluate(x, item.estimate.params)
    covariance = np.where(np.isfinite(item.covariance), item.covariance, 0.0)
    jac = form.jacobian(x, item.estimate.params)
    variance = np.maximum(np.einsum("ni,ij,nj->n", jac, covariance, jac), 0.0)
    half = ndtri(0.5 + 0.5 * level) * np.sqrt(variance)
    return value, value - half, value + half


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure whole or not at all; the same figure gives the same bytes.

    Raises
    ------
    InputError
        If the suffix is none of :data:`FORMATS` or the file cannot be written.
    """
    import matplotlib

    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        raise InputError(f"'{path}' names no picture format", hint="use " + ", ".join(f".{name}" for name in FORMATS))
    metadata = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[suffix]
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "cogfit", "svg.fonttype": "none", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=suffix, dpi=200, metadata=metadata)
    write_atomic(path, buffer.getvalue())

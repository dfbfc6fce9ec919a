"""Pictures of a fit.

They are built on bare Figure objects: no window opens, and no global state of pyplot changes.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from cogfit.engine import noise
from cogfit.errors import InputError
from cogfit.files import write_atomic
from cogfit.formulas.form import Array
from cogfit.formulas.registry import get_form
from cogfit.native import distributions
from cogfit.records.printable import printable
from cogfit.result import FitResult, FormFit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
SOFTWARE = "cogfit"
"""What the metadata of a picture name as the software, or creator, that made it."""

_P = ParamSpec("_P")
_T = TypeVar("_T")
_STYLES = ("-", "--", "-.", ":")
_COLORS = (0, 3, 2, 4, 1, 5)  # of the palette "colorblind": neighbours differ most
MANY = 2000  # points beyond which the markers become a rasterised cloud


def plain_text(draw: Callable[_P, _T]) -> Callable[_P, _T]:
    """Make a function draw text as it is.

    A column may be called ``$x$`` without being a formula.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> plain_text(lambda: Figure().text(0.5, 0.5, "$x$").get_parse_math())()
    False
    """

    @wraps(draw)
    def inner(*args: _P.args, **options: _P.kwargs) -> _T:
        import matplotlib

        with matplotlib.rc_context({"text.parse_math": False}):
            return draw(*args, **options)

    return inner


@plain_text
def plot_fit(
    result: FitResult, forms: Sequence[str] | None = None, *, width: float = 7.0, titled: bool = True
) -> Figure:
    """Draw the curve, the fitted forms and the residuals.

    The form reported has a band; the residuals are those from it.

    Parameters
    ----------
    result : FitResult
    forms : sequence of str, optional
        Forms to draw; by default the one reported, the power law and the best rivals.
    width : float
        Inches.
    titled : bool
        Whether the headline stands above.

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

    chosen = _chosen(result, forms)
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.78 * width), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    _draw_fit(upper, result, chosen)
    if titled:
        upper.set_title(wrapped(result.headline(), 96), fontsize="small", loc="left")
    _draw_residuals(lower, result, form_style(0)[0])
    lower.set_xlabel(result.x_label)
    for axes in (upper, lower):
        sns.despine(ax=axes)
    return figure


@plain_text
def draw_fit(result: FitResult, ax: Axes, forms: Sequence[str] | None = None) -> Axes:
    """Draw the curve and the fitted forms into given axes.

    Parameters
    ----------
    result : FitResult
    ax : matplotlib.axes.Axes
    forms : sequence of str, optional
        As for :func:`plot_fit`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If a form was not fitted.
    """
    _draw_fit(ax, result, _chosen(result, forms))
    ax.set_xlabel(result.x_label)
    return ax


def _draw_fit(axes: Axes, result: FitResult, names: Sequence[str]) -> None:
    log_x, log_y = has_log_axes(result)
    # data below, then the forms; the limits of y come from the data, so that a form that runs away hides nothing
    _draw_data(axes, result)
    _draw_forms(axes, result, names, x_grid(result.x, log_x))
    _limit_y(axes, result.y, log_y)
    if log_x:
        axes.set_xscale("log")
        plain_ticks(axes.xaxis, result.x[result.x > 0].min(), result.x.max())
    axes.set_ylabel(wrapped(result.y_label, 34))
    axes.legend(frameon=False, fontsize="small")


def _chosen(result: FitResult, forms: Sequence[str] | None) -> list[str]:
    """Names of the forms to draw, which must have been fitted."""
    known = {item.name for item in result.forms}
    chosen = list(forms) if forms is not None else interesting(result)
    for name in chosen:
        if name not in known:
            raise InputError(f"form '{name}' was not fitted", hint="choose from " + ", ".join(sorted(known)))
    return chosen


def form_style(number: int) -> tuple[tuple[float, float, float], str]:
    """Return colour and line of a form by number.

    Examples
    --------
    >>> form_style(0)[1], form_style(1)[1]
    ('-', '--')
    """
    import seaborn as sns

    palette = sns.color_palette("colorblind")
    return palette[_COLORS[number % len(_COLORS)]], _STYLES[number % len(_STYLES)]


def has_log_axes(result: FitResult) -> tuple[bool, bool]:
    """Whether x and y span enough for a logarithmic axis.

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> x = np.arange(1.0, 31.0)
    >>> has_log_axes(cogfit.fit(x, 2.0 + x**-0.5, form="power_floor"))
    (True, False)
    """
    log_x = bool(np.any(result.x > 0) and result.x.max() > 3 * result.x[result.x > 0].min())
    log_y = bool(result.y.min() > 0 and result.y.max() / result.y.min() > 3)
    return log_x, log_y


def _draw_forms(axes: Axes, result: FitResult, names: Sequence[str], grid: Array) -> None:
    """Draw the fitted forms, the first with its band."""
    _, log_y = has_log_axes(result)
    for i, name in enumerate(names):
        item = result[name]
        if has_failed(item):
            continue
        value, low, high = band(item, grid, result.level)
        color, style = form_style(i)
        axes.plot(grid, value, style, color=color, lw=1.8, label=form_label(item), zorder=4)
        if i == 0:
            floor = 0.5 * result.y.min() if log_y else -np.inf  # a negative limit has no place on a log axis
            axes.fill_between(grid, np.maximum(low, floor), high, color=color, alpha=0.2, lw=0, zorder=3)


def has_failed(item: FormFit) -> bool:
    """Whether a form has no curve to draw."""
    return item.estimate.status == "failed" or any(math.isnan(value) for value in item.estimate.params.values())


def _limit_y(axes: Axes, y: Array, is_log: bool) -> None:
    if is_log:
        axes.set_yscale("log")
        axes.set_ylim(0.7 * y.min(), 1.4 * y.max())
        plain_ticks(axes.yaxis, y.min(), y.max())
    else:
        span = float(np.ptp(y)) or 1.0
        axes.set_ylim(y.min() - 0.08 * span, y.max() + 0.12 * span)


@plain_text
def plot_exponents(table: pd.DataFrame, *, width: float = 5.0) -> Figure:
    """Draw the distribution of γ over many curves.

    Below stand the standard errors of the single ones.

    Parameters
    ----------
    table : DataFrame
        From :func:`cogfit.fit_many`; curves whose γ is not determined are counted in the title only.
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If no form of the table has a γ.
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    if "gamma" not in table:
        raise InputError("none of the forms fitted has a γ to draw", hint="fit power or power_floor, say")
    known = table[(table["status"] == "ok") & np.isfinite(table["gamma"]) & np.isfinite(table["gamma_se"])]
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.9 * width), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        upper.set_title(f"{len(known):,} of {len(table):,} curves determine γ")
        upper.set_ylabel("curves")
        lower.set(xlabel="γ", ylabel="standard error of γ")
        if len(known):
            low, high = np.quantile(known["gamma"], [0.005, 0.995])
            shown = known[known["gamma"].between(low, high)]
            sns.histplot(x=shown["gamma"], ax=upper, bins=min(60, max(5, round(len(shown) ** 0.5))))
            lower.plot(shown["gamma"], shown["gamma_se"], ".", markersize=2, alpha=0.5, rasterized=len(shown) > MANY)
            lower.set_yscale("log")
        else:
            draw_nothing(lower, "no curve determines γ")
        sns.despine(figure)
    return figure


def draw_nothing(axes: Axes, text: str) -> None:
    """Say in an empty panel why it is empty."""
    axes.text(0.5, 0.5, wrapped(text, 28), ha="center", va="center", transform=axes.transAxes, color="0.4")
    axes.set_xticks([])
    axes.set_yticks([])


def plain_ticks(axis: Axis, low: float, high: float) -> None:
    """Label a logarithmic axis with plain numbers.

    They stand at 1, 2, 5 where the axis is short, at powers of ten where it is long.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    decades = math.log10(high / low)
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 3.2 else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.10g}" if 1e-5 < v < 1e6 else f"{v:.0e}"))
    axis.set_minor_formatter(NullFormatter())


def interesting(result: FitResult) -> list[str]:
    """Return the names of the forms worth drawing.

    These are the form reported, the power law, and the best of the others, four at the most.
    """
    names = [result.form]
    for name in ("power", *(item.name for item in result.forms if item.estimate.status != "failed")):
        if name not in names and len(names) < 4 and any(item.name == name for item in result.forms):
            names.append(name)
    return names


def _draw_data(axes: Axes, result: FitResult) -> None:
    many = result.n > MANY
    size, alpha = (2.2, 0.4) if many else (3.5, 0.7)
    axes.plot(result.x, result.y, "o", ms=size, mec="none", color="0.55", alpha=alpha, rasterized=many, zorder=1)
    axes.plot([], [], "o", ms=4, mec="none", color="0.55", label=f"observed ({result.n:,} points)")


def _draw_residuals(axes: Axes, result: FitResult, color: tuple[float, float, float]) -> None:
    item = result.selected
    axes.axhline(0.0, color="0.3", lw=0.8)
    if not any(math.isnan(v) for v in item.estimate.params.values()):
        form = get_form(item.name)
        r, _ = noise.get(item.estimate.noise).residual(
            result.y, form.evaluate(result.x, item.estimate.params), result.weights
        )
        span = float(np.abs(result.y).max())
        if np.abs(r).max() < 1e-12 * span:  # a perfect fit: rounding is no structure
            axes.set_ylim(-0.01 * span, 0.01 * span)
        axes.plot(result.x, r, ".", ms=2, color=color, alpha=0.4, rasterized=result.n > MANY)
    axes.set_ylabel("residual")


def form_label(item: FormFit) -> str:
    """Name of a form in a legend.

    With γ and ΔAICc.
    """
    text = item.title
    if item.gamma is not None:
        standing = item.standing()
        text += f", γ = {item.gamma:.3g}" if standing.is_measured else f", γ {standing.words}"
        text += f" ({standing.doubt})" if standing.doubt else ""
    if math.isfinite(item.delta_aicc):
        text += f" (ΔAICc {item.delta_aicc:.1f})" if item.delta_aicc < 1000 else f" (ΔAICc {item.delta_aicc:,.0f})"
    return text


def x_grid(x: Array, log: bool) -> Array:
    """Places at which a smooth curve is drawn.

    Examples
    --------
    >>> x_grid(np.array([0.0, 1.0, 100.0]), True)[[0, -1]].round(6).tolist()
    [1.0, 100.0]
    """
    if not log:
        return np.linspace(x.min(), x.max(), 600)
    positive = x[x > 0]
    return np.geomspace(positive.min(), positive.max(), 600)


def band(item: FormFit, x: Array, level: float) -> tuple[Array, Array, Array]:
    """Return fitted values and a pointwise band (delta method)."""
    form = get_form(item.name)
    value = form.evaluate(x, item.estimate.params)
    covariance = np.where(np.isfinite(item.covariance), item.covariance, 0.0)
    jac = form.jacobian(x, item.estimate.params)
    variance = np.maximum(np.einsum("ni,ij,nj->n", jac, covariance, jac), 0.0)
    half = distributions.normal_quantile(0.5 + 0.5 * level) * np.sqrt(variance)
    return value, value - half, value + half


def wrapped(text: str, width: int) -> str:
    """Break a text into lines of at most `width` characters."""
    import textwrap

    return "\n".join(textwrap.wrap(text, width))


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure, whole or not at all.

    The same figure gives the same bytes.

    Raises
    ------
    InputError
        If the suffix is none of :data:`FORMATS` or the file cannot be written.
    """
    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        raise InputError(f"'{path}' names no picture format", hint="use " + ", ".join(f".{name}" for name in FORMATS))
    write_atomic(path, render(figure, suffix))


def render(figure: Figure, kind: str, dpi: float = 200.0, *, is_placed: bool = False) -> bytes:
    """Return the bytes of a picture.

    Text stays text in SVG and PDF, and the same figure gives the same bytes. The metadata name :data:`SOFTWARE`, so
    that a later call knows the file for ours, and no time.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    kind : str
        One of :data:`FORMATS`.
    dpi : float
        Dots per inch of a PNG, and of the clouds of points inside SVG and PDF.
    is_placed : bool
        Whether the parts have their places already: the figure is then drawn once, and not a first time for these.
    """
    import warnings

    import matplotlib

    _escape_texts(figure)
    all_metadata: dict[str, dict[str, Any]] = {
        "png": {"Software": SOFTWARE},
        "svg": {"Creator": SOFTWARE, "Date": None},
        "pdf": {"Creator": SOFTWARE, "CreationDate": None},
    }
    metadata = all_metadata[kind]
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # a box stands for what a font lacks
        with matplotlib.rc_context({"svg.hashsalt": "cogfit", "svg.fonttype": "none", "pdf.fonttype": 42}):
            if is_placed:
                _draw_once(figure, kind, buffer, dpi, metadata)
            else:
                figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()


def _draw_once(figure: Figure, kind: str, buffer: io.BytesIO, dpi: float, metadata: Mapping[str, Any]) -> None:
    """Do what `Figure.savefig` does, without its first drawing, which only places the parts."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    own_dpi = figure.dpi
    figure.dpi = dpi
    try:
        if kind == "png":
            FigureCanvasAgg(figure).print_png(buffer, metadata=metadata)  # type: ignore[no-untyped-call]
        elif kind == "svg":
            FigureCanvasSVG(figure).print_svg(buffer, metadata=metadata)  # type: ignore[no-untyped-call]
        else:
            FigureCanvasPdf(figure).print_pdf(buffer, metadata=metadata)  # type: ignore[no-untyped-call]
    finally:
        figure.dpi = own_dpi
        FigureCanvasAgg(figure)


def _escape_texts(figure: Figure) -> None:
    """Escape what no picture can show, and no SVG may hold.

    Names of ticks are set anew when they are drawn: who sets them, escapes them.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if (shown := printable(text.get_text(), keeps_lines=True)) != text.get_text():
            text.set_text(shown)

"""Pictures of what stands behind a fit: residuals, profile of γ, windows, switch times, restarts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from cogfit.engine import noise
from cogfit.formulas.form import Array
from cogfit.formulas.registry import POWER_LAWS, get_form
from cogfit.inference.interval import Interval
from cogfit.inference.patterns import survival_curve
from cogfit.inference.profile import deviance_profile
from cogfit.inference.windows import exponent_name
from cogfit.native import distributions
from cogfit.result import FitResult, FormFit
from cogfit.show.plots import MANY, draw_nothing, has_failed, plain_text, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PROFILED = 20_000  # points beyond which no profile is drawn


@plain_text
def plot_diagnostics(result: FitResult, *, width: float = 9.0) -> Figure:
    """Draw what stands behind a fit.

    Residuals and their autocorrelation, profile of γ, windows, switch times.

    Parameters
    ----------
    result : FitResult
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
        Panels for which the result has nothing say so.
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    names = [name for name in _DIAGNOSTICS if name != "restarts"]
    has_restarts = bool(result.source.get("restarts"))
    n_rows = 3 if has_restarts else 2
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.31 * width * n_rows), layout="constrained")
        grid = figure.add_gridspec(n_rows, 3)
        panels = {name: figure.add_subplot(grid[divmod(number, 3)]) for number, name in enumerate(names)}
        # restarts are rare, and get a row of their own where there are any
        if has_restarts:
            panels["restarts"] = figure.add_subplot(grid[2, :])
    for name, axes in panels.items():
        _DIAGNOSTICS[name](axes, result)
        sns.despine(ax=axes)
    figure.suptitle(wrapped(result.headline(), 120), fontsize="small", ha="left", x=0.01)
    return figure


@plain_text
def plot_diagnostic(result: FitResult, name: str, *, width: float = 4.0) -> Figure | None:
    """Draw one panel of :func:`plot_diagnostics`.

    Parameters
    ----------
    result : FitResult
    name : str
        One of :data:`DIAGNOSTICS`.
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure or None
        None where the result has nothing to show.
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.75 * width), layout="constrained")
        axes = figure.subplots()
    _DIAGNOSTICS[name](axes, result)
    sns.despine(ax=axes)
    return figure if axes.has_data() else None


def _residuals(result: FitResult) -> Array | None:
    """Standardised residuals of the form reported, ordered by x.

    None where the fit is perfect, or failed.
    """
    item = result.selected
    if has_failed(item):
        return None
    form = get_form(item.name)
    value = form.evaluate(result.x, item.estimate.params)
    r, _ = noise.get(item.estimate.noise).residual(result.y, value, result.weights)
    spread = float(r.std())
    if spread < 1e-12 * float(np.abs(result.y).max()):
        return None
    return np.asarray(r[np.argsort(result.x, kind="stable")] / spread)


def _draw_quantiles(axes: Axes, result: FitResult) -> None:
    axes.set_title("residuals against normal quantiles", fontsize="small", loc="left")
    r = _residuals(result)
    if r is None:
        draw_nothing(axes, "no residuals: the fit is perfect, or failed")
        return
    expected = distributions.normal_quantile((np.arange(r.size) + 0.5) / r.size)
    axes.plot(expected, expected, color="0.3", lw=0.8)
    axes.plot(expected, np.sort(r), ".", ms=3, color="C0", rasterized=r.size > MANY)
    axes.set_xlabel("normal quantile")
    axes.set_ylabel("residual / SD")


def _draw_autocorrelation(axes: Axes, result: FitResult) -> None:
    axes.set_title("autocorrelation of residuals", fontsize="small", loc="left")
    r = _residuals(result)
    if r is None or r.size < 8:
        draw_nothing(axes, "too few residuals")
        return
    lags = np.arange(1, min(41, r.size // 2))
    r = r - r.mean()
    rho = np.array([float(r[lag:] @ r[:-lag]) for lag in lags]) / float(r @ r)
    axes.axhspan(-1.96 / math.sqrt(r.size), 1.96 / math.sqrt(r.size), color="0.9", lw=0)
    axes.vlines(lags, 0.0, rho, color="C0", lw=1.5)
    axes.axhline(0.0, color="0.3", lw=0.8)
    errors = result.selected.errors
    if not errors.white:
        model = errors.autocovariance(int(lags[-1]))
        axes.plot(lags, model[1:] / model[0], color="C3", lw=1.0, label=errors.title)
        axes.legend(frameon=False, fontsize="small")
    axes.set_xlabel("lag (points)")


def _draw_profile(axes: Axes, result: FitResult) -> None:
    axes.set_title("profile of γ", fontsize="small", loc="left")
    item = _profiled_form(result)
    if item is None or item.gamma is None or item.gamma_name is None:
        draw_nothing(axes, "no profile: too many points, or no γ")
        return
    limits = item.intervals[item.gamma_name]
    if "resampled" in limits.method:
        draw_nothing(axes, f"no likelihood of a mean curve: the interval is from resampling ({limits.scope})")
        return
    values = _profile_grid(item.gamma, limits)
    deviance = deviance_profile(
        get_form(item.name), result.x, result.y, result.weights, item.estimate, item.gamma_name, values, item.errors
    )
    axes.plot(values, deviance, color="C0", lw=1.6)
    if "union" not in limits.method:  # the union with another form's interval is no feature of this profile
        for limit in (limits.low, limits.high):
            if math.isfinite(limit):
                axes.axvline(limit, color="0.4", lw=0.8, ls="--")
    axes.axvline(item.gamma, color="0.4", lw=0.8)
    known = deviance[np.isfinite(deviance)]
    axes.set_ylim(0.0, min(12.0, 1.05 * float(known.max())) if known.size and known.max() > 0 else 1.0)
    axes.set_xlabel(f"γ ({item.title})")
    axes.set_ylabel("deviance")


def _profiled_form(result: FitResult) -> FormFit | None:
    """The form whose profile is drawn.

    It is the form reported, or the better power law if that has no γ. None where no profile can be drawn.
    """
    item: FormFit | None = result.selected
    if item is None or not item.gamma_name:
        powers = [form for form in result.forms if form.name in POWER_LAWS]
        item = min(powers, key=lambda form: form.delta_aicc, default=None)
    if item is None or item.gamma_name not in item.intervals or result.n > _PROFILED:
        return None
    return item


def _profile_grid(gamma: float, limits: Interval) -> Array:
    """Values of γ across its interval, and beyond."""
    reach = max(limits.high - gamma, gamma - limits.low)
    reach = reach if math.isfinite(reach) and reach > 0 else 0.5 * max(abs(gamma), 0.1)
    return np.linspace(gamma - 1.5 * reach, gamma + 1.5 * reach, 41)


def _draw_windows(axes: Axes, result: FitResult) -> None:
    name = exponent_name(result.law)
    axes.set_title(f"{name} over windows of x", fontsize="small", loc="left")
    if not result.windows:
        draw_nothing(axes, "no windows: the curve is short, constant, or one form was fitted")
        return
    known = sorted((w for w in result.windows if math.isfinite(w.gamma)), key=lambda w: (w.x_min, w.x_max))
    at = np.arange(len(known))
    gamma = np.array([w.gamma for w in known])
    span = 3.0 * (float(np.ptp(gamma)) + 0.05)
    low = np.array([max(w.low, w.gamma - span) for w in known])
    high = np.array([min(w.high, w.gamma + span) for w in known])
    axes.hlines(at, low, high, color="C0", lw=1.0)  # an interval from resampling need not hold the estimate
    axes.plot(gamma, at, "o", ms=3.5, color="C0")
    axes.set_yticks(at, [f"{w.x_min:,.6g}–{w.x_max:,.6g}" for w in known], fontsize="x-small")
    axes.set_xlabel(name)
    axes.invert_yaxis()


def _draw_switches(axes: Axes, result: FitResult) -> None:
    axes.set_title("switch time of each pattern", fontsize="small", loc="left")
    table = (result.trajectories or {}).get("patterns_table")
    if not table or "switched" not in table["status"]:
        draw_nothing(axes, "no switch times: not a routing log, or no pattern switches")
        return
    step = np.array(table["step"], dtype=float)
    k = np.array(table["k"], dtype=float)
    status = np.array(table["status"])
    for name, color, marker, text in (
        ("switched", "C0", "o", "switched"),
        ("never", "0.5", ">", "never (last seen)"),
        ("low_from_start", "C3", "v", "low from the start"),
    ):
        chosen = status == name
        if chosen.any():
            axes.plot(step[chosen], k[chosen], marker, ms=3.5, mec="none", color=color, alpha=0.8, label=text)
    axes.set_xlabel("step")
    axes.set_ylabel("k")
    axes.legend(frameon=False, fontsize="small")


def _draw_spread(axes: Axes, result: FitResult) -> None:
    axes.set_title("patterns that have not switched", fontsize="small", loc="left")
    table = (result.trajectories or {}).get("patterns_table")
    if not table or "switched" not in table["status"]:
        draw_nothing(axes, "no switch times")
        return
    step = np.array(table["step"], dtype=float)
    is_never = np.array(table["status"]) == "never"
    # patterns that are low from the start count from their first row, those that never switch until their last
    times, _, _, left = survival_curve(step, ~is_never)
    share = np.array([1.0, *left])
    axes.step([0.0, *times, step.max()], [*share, left[-1]], where="post", color="C0", lw=1.6)
    last_seen = np.searchsorted(times, step[is_never], side="right")
    axes.plot(step[is_never], share[last_seen], "|", color="0.5", ms=5)
    axes.set_ylim(0.0, 1.03)
    axes.set_xlabel("step")
    axes.set_ylabel("share of patterns")


def _draw_restarts(axes: Axes, result: FitResult) -> None:
    axes.set_title("restarts: what was kept and what was abandoned", fontsize="small", loc="left")
    restarts = result.source.get("restarts", [])
    if not restarts:
        draw_nothing(axes, "training was not restarted, as far as the log says")
        return
    course = result.source.get("course", {"x": result.x.tolist(), "y": result.y.tolist()})
    axes.plot(course["x"], course["y"], color="C0", lw=1.4, label="kept")
    for number, restart in enumerate(restarts):
        branch = restart["branch"]
        label = "abandoned" if number == 0 else None
        axes.plot(branch["x"], branch["y"], "--", color="C3", lw=1.1, label=label)
        axes.axvline(restart["step"], color="0.8", lw=0.8, zorder=0)
    axes.set_xlabel(result.x_label if result.axis != "exposure" else "step")
    axes.legend(frameon=False, fontsize="small")


_DIAGNOSTICS: dict[str, Callable[[Axes, FitResult], None]] = {
    "residuals": _draw_quantiles,
    "autocorrelation": _draw_autocorrelation,
    "profile": _draw_profile,
    "windows": _draw_windows,
    "switches": _draw_switches,
    "survival": _draw_spread,
    "restarts": _draw_restarts,
}


DIAGNOSTICS = tuple(_DIAGNOSTICS)
"""What stands behind a fit: names of the panels of :func:`plot_diagnostics`."""

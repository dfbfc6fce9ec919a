"""Figure 2: P_episodic(k) on log–log axes.

With the forms that compete for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from paper_figures import style
from paper_figures.build import Data, Drawing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from cogfit import FitResult

RUNS = ("srcd-n256-consolidates", "srcd-n256-gradual")
_PER_DECADE = 40  # bins of k in which the points are means
_GRID = 300
_REACH = 1.6  # of the vertical axis below the least point, as a factor


def draw(data: Data) -> Drawing:
    """Draw one panel per run."""
    import pandas as pd

    from cogfit.show.plots import plain_ticks

    fits = {run: data.fit(run) for run in RUNS}
    table = pd.concat([part for run, fit in fits.items() for part in (points(fit, run), curves(fit, run))])
    figure = style.figure(style.PAGE, 3.7)
    panels = figure.subplots(1, len(RUNS))
    for axes, (run, fit) in zip(panels, fits.items(), strict=True):
        part = table[table["run"] == run]
        _draw_panel(axes, part, fit)
        axes.set(xscale="log", yscale="log", xlabel=fit.x_label, xlim=(fit.x.min(), fit.x.max()))
        least = float(part.loc[part["series"] == "observed", "p"].min())
        axes.set_ylim(least / _REACH, 1.25 * float(part["p"].max()))
        plain_ticks(axes.xaxis, fit.x.min(), fit.x.max())
        plain_ticks(axes.yaxis, least, 1.0)
        axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.2), borderaxespad=0.0)
    panels[0].set_ylabel("P_episodic(k)")
    style.letter(panels, (style.short(run) for run in RUNS))
    return Drawing(figure, table, _caption(fits))


def points(fit: FitResult, run: str) -> pd.DataFrame:
    """Means of the curve in bins of k.

    Equally wide in log k.
    """
    import pandas as pd

    label = np.floor(np.log10(fit.x / fit.x[0]) * _PER_DECADE + 1e-9).astype(int)
    weight = np.bincount(label, fit.weights)
    seen = weight > 0
    k, p = (np.bincount(label, fit.weights * v)[seen] / weight[seen] for v in (np.log(fit.x), fit.y))
    return pd.DataFrame({"run": run, "series": "observed", "k": np.exp(k), "p": p})


def curves(fit: FitResult, run: str) -> pd.DataFrame:
    """Fitted forms with their pointwise bands."""
    import pandas as pd

    from cogfit.show.plots import band, interesting

    k = np.geomspace(fit.x.min(), fit.x.max(), _GRID)
    parts = []
    for name in interesting(fit):
        value, low, high = band(fit[name], k, fit.level)
        parts.append(pd.DataFrame({"run": run, "series": name, "k": k, "p": value, "low": low, "high": high}))
    return pd.concat(parts)


def _draw_panel(axes: Axes, part: pd.DataFrame, fit: FitResult) -> None:
    seen = part[part["series"] == "observed"]
    axes.plot(seen["k"], seen["p"], "o", ms=2.6, mfc="white", mec="0.35", mew=0.6, zorder=5, label="observed")
    for number, name in enumerate(part["series"].drop_duplicates()[1:]):
        form, look = part[part["series"] == name], style.line(number)
        axes.fill_between(form["k"], form["low"].clip(lower=1e-6), form["high"], color=look["color"], alpha=0.18, lw=0)
        item = fit[name]
        gamma = "" if item.gamma is None else f", γ = {item.gamma:.2f}"
        axes.plot(
            form["k"],
            form["p"].where(form["p"] > 1e-6),
            **look,
            zorder=4 if name == fit.form else 3,
            label=f"{item.title}{gamma} (ΔAICc {item.delta_aicc:,.1f})",
        )


def _caption(fits: dict[str, FitResult]) -> str:
    text = (
        f"Mean router probability after k earlier presentations of a pattern, {_PER_DECADE} bins per decade of k, with "
        "fitted forms (bands: pointwise 95 % limits by the delta method, patterns resampled). "
    )
    for run, fit in fits.items():
        power = fit["power"]
        assert power.gamma is not None
        limits = power.intervals["gamma"]
        text += (
            f"{run}: power law {fit.verdict}; the log–log slope over k = {fit.x.min():,.0f}–{fit.x.max():,.0f} is "
            f"{power.gamma:.3f} [{limits.low:.3f}, {limits.high:.3f}], ΔAICc {power.delta_aicc:,.1f} behind "
            f"{fit.forms[0].title}. "
        )
        if fit.averaging is not None:
            text += fit.averaging["statements"][0].capitalize() + ". "
    return text.strip()

"""Figure 7: how often 95 % intervals cover γ.

Beside those of curve_fit and lmfit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from paper_figures import style
from paper_figures.build import Data, Drawing

if TYPE_CHECKING:
    import pandas as pd

METHODS = {"coverage": "cogfit", "curve_fit": "scipy curve_fit", "lmfit": "lmfit (few curves)"}
_NOMINAL = 0.95
_ASIDE = ("unreliable", "conditional")
"""Results of a cell whose intervals themselves say that they are not to be trusted beyond this run."""


def draw(data: Data) -> Drawing:
    """Draw the coverage by kind of noise.

    A row per kind of noise, a mark per cell of the study.
    """
    table = data.table("interval_coverage")
    kinds = list(table["noise"].drop_duplicates())
    tidy = table.melt(
        id_vars=["noise", "n", "patterns", "gamma", "floor", "repeats", "result"],
        value_vars=list(METHODS),
        var_name="method",
        value_name="share",
    ).replace({"method": METHODS})
    tidy = tidy[np.isfinite(tidy["share"])]
    # rows by noise, a little apart for each method; hollow where cogfit says that γ is not to be trusted
    figure = style.figure(style.PAGE, 1.1 + 0.36 * len(kinds))
    axes = figure.subplots()
    axes.axvline(_NOMINAL, color="0.3", lw=0.8, zorder=1)
    for number, method in enumerate(METHODS.values()):
        part = tidy[tidy["method"] == method]
        at = part["noise"].map(kinds.index).to_numpy(dtype=float) + 0.27 * (number - 1)
        aside = part["result"].isin(_ASIDE).to_numpy() & (method == METHODS["coverage"])
        for chosen, filled in ((~aside, True), (aside, False)):
            look = style.marker(number)
            few = method == METHODS["lmfit"]  # hundreds of curves are needed for a place on this axis
            axes.plot(
                part["share"][chosen],
                at[chosen],
                ls="none",
                ms=3.0 if few else 4.2,
                mew=0.5 if few else 0.8,
                marker=look["marker"],
                mec=look["color"],
                mfc=look["color"] if filled and not few else "white",
                alpha=0.6 if few else 0.75,
                zorder=3,
            )
        small = {"ms": 3.0, "mew": 0.5, "mfc": "white"} if method == METHODS["lmfit"] else {"ms": 4.2, "mew": 0.8}
        axes.plot([], [], ls="none", **style.marker(number), **small, label=method)
    if table["result"].isin(_ASIDE).any():
        axes.plot(
            [],
            [],
            ls="none",
            ms=4.2,
            mew=0.8,
            mec=style.COLORS[0],
            mfc="white",
            marker="o",
            label="cogfit, with a warning",
        )
    # axes: kinds of noise from the top
    for row in range(1, len(kinds)):
        axes.axhline(row - 0.5, color="0.9", lw=0.6, zorder=0)
    axes.set_yticks(range(len(kinds)), kinds)
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(min(0.3, float(tidy["share"].min()) - 0.02), 1.01)
    axes.xaxis.set_major_formatter(style.percent)
    axes.set_xlabel("intervals that hold the true γ")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, borderaxespad=0.0)
    return Drawing(figure, tidy, _caption(table))


def _caption(table: pd.DataFrame) -> str:
    def extremes(column: str, rows: pd.Series[bool]) -> str:
        known = table.loc[rows, column].dropna()
        return f"{known.min():.1%}–{known.max():.1%}" if len(known) else "not computed"

    red = table["noise"].str.startswith(("ar", "arma"))
    aside = table["result"].isin(_ASIDE)
    results = ", ".join(f"{count} {name}" for name, count in table["result"].value_counts().sort_index().items())
    low, high = int(table["repeats"].min()), int(table["repeats"].max())
    text = (
        f"Share of {_NOMINAL:.0%} intervals that hold the true γ in {len(table)} settings (noise × n × γ × floor; each "
        f"a mark) at {low:,}"
        + (f"–{high:,}" if high > low else "")
        + " simulated curves each; lmfit's profile on the first "
        f"of them only. Line: {_NOMINAL:.0%}; hollow circles: the interval itself says that it is unreliable or of "
        f"this run only. Results: {results}. cogfit: {extremes('coverage', ~aside)}"
        + (" where it calls its interval reliable" if aside.any() else "")
    )
    if red.any():
        text += f"; under autocorrelated errors {extremes('coverage', red)}, curve_fit {extremes('curve_fit', red)}"
    return text + "."

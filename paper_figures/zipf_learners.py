"""Figure 17: learners on Zipf-distributed patterns.

Exact ones and trained models, beside the exact curves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from paper_figures import style
from paper_figures.build import Data, Drawing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

PANELS = {"stream, exact": "exact learners", "stream, sgd": "trained CRAMs", "exposure": "own exposures"}
_BASE = {"patterns": 100, "rate": 5e-3, "slow_rate": 1e-3, "cost": 0.35}
_ETA = 0.2
_LEAST = {"stream, exact": 2e-3, "stream, sgd": 0.03, "exposure": 2e-3}


def draw(data: Data) -> Drawing:
    """Draw attention against the stream and against exposures.

    For both kinds of learner; exposures are a pattern's own.
    """
    import pandas as pd

    table = data.table("zipf_sweep")
    exact = table[(table["learner"] == "exact") & (table["patterns"] == _BASE["patterns"]) & (table["batch"] == 1)]
    first = exact[(exact["c"] == 1) & (exact["eta"] == 1)]
    slow = exact[(exact["c"] == 1) & (exact["eta"] == _ETA)]
    sgd = table[(table["learner"] == "sgd") & (table["batch"] == 8)]
    for name in ("rate", "slow_rate", "cost"):
        sgd = sgd[sgd[name] == _BASE[name]]
    tidy = _tidy(first, "stream, exact", "u"), _tidy(sgd, "stream, sgd", "u")
    exposure = _tidy(sgd, "exposure", "p"), _tidy(slow.head(1).assign(learner=f"exact, η = {_ETA}"), "exposure", "p")
    lines = _curves(first, "stream, exact"), _curves(sgd, "stream, sgd"), _mixture(slow)
    points = pd.concat([*tidy, *exposure, *lines], ignore_index=True)
    figure = style.figure(style.PAGE, 2.7)
    grid = figure.subplots(1, 3)
    for axes, panel in zip(grid, PANELS, strict=True):
        _panel(axes, points[points["panel"] == panel], _LEAST[panel])
        axes.set_xlabel("exposures k" if panel == "exposure" else "queries n")
    grid[0].set_ylabel("share attended")
    style.letter(grid, PANELS.values())
    figure.legend(handles=_key(points), loc="outside lower center", ncols=6)
    return Drawing(figure, points, _caption(table, sgd))


def _tidy(table: pd.DataFrame, panel: str, measured: str) -> pd.DataFrame:
    """One row per measured point."""
    import pandas as pd

    names = [name for name in table.columns if name.startswith(f"{measured}_")]
    rows = [
        {
            "panel": panel,
            "learner": row["learner"],
            "s": row["s"],
            "kind": "measured",
            "x": int(name.split("_")[1]),
            "value": row[name],
        }
        for _, row in table.iterrows()
        for name in names
    ]
    return pd.DataFrame(rows).dropna()


def _curves(table: pd.DataFrame, panel: str) -> pd.DataFrame:
    """Exact curves of T4 with the thresholds of the table."""
    import pandas as pd

    from theory.bounds.t4_zipf_streams import attention

    parts = []
    for _, row in table.iterrows():
        c = int(row["threshold"])
        n = np.unique(np.geomspace(max(c, 256), 16384, 41).round())
        value = attention(n, float(row["s"]), patterns=int(row["patterns"]), c=c)[0]
        parts.append(
            pd.DataFrame({"panel": panel, "learner": "T4", "s": row["s"], "kind": "exact", "x": n, "value": value})
        )
    return pd.concat(parts, ignore_index=True)


def _mixture(table: pd.DataFrame) -> pd.DataFrame:
    """P(k) of patterns that all consolidate at one rate."""
    import pandas as pd

    k = np.arange(0.0, 31.0)
    return pd.DataFrame(
        {
            "panel": "exposure",
            "learner": f"exact, η = {_ETA}",
            "s": table["s"].iloc[0],
            "kind": "exact",
            "x": k,
            "value": (1.0 - _ETA) ** k,
        }
    )


def _panel(axes: Axes, points: pd.DataFrame, least: float) -> None:
    exponents = sorted(points["s"].unique())
    for (learner, s), part in points.groupby(["learner", "s"], sort=False):
        number, plain = exponents.index(s), str(learner).startswith("exact, ")
        look = {"color": style.GREY, "ls": "-"} if plain else style.line(number)
        for kind, rows in part[part["value"] >= least].groupby("kind"):
            rows = rows.sort_values("x")
            x = rows["x"] + (rows["panel"] == "exposure")  # k = 0 on a logarithmic axis
            if kind == "exact":
                axes.plot(x, rows["value"], lw=0.9, zorder=2, **look)
                continue
            mark = {"color": style.GREY, "marker": "x"} if plain else style.marker(number)
            thin = {"lw": 0.5, "ls": ":"} if set(rows["panel"]) == {"exposure"} else {"ls": "none"}
            axes.plot(x, rows["value"], ms=3.2, zorder=3, **thin, **mark)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(least, 1.4)
    axes.xaxis.set_major_formatter(style.decade)
    axes.yaxis.set_major_formatter(style.decade)
    if set(points["panel"]) == {"exposure"}:
        axes.set_xticks([1, 11, 101, 1001], ["0", "10", "100", "1,000"])
        axes.minorticks_off()


def _key(points: pd.DataFrame) -> list[Line2D]:
    """Marks and lines as they are drawn: one of each s, and one of the exact learners."""
    from matplotlib.lines import Line2D

    looks = [(f"s = {s:g}", style.line(i) | style.marker(i)) for i, s in enumerate(sorted(points["s"].unique()))]
    looks.append((f"exact, η = {_ETA}", {"color": style.GREY, "ls": "-", "marker": "x"}))
    return [Line2D([], [], lw=0.9, ms=3.2, label=label, **look) for label, look in looks]


def _caption(table: pd.DataFrame, sgd: pd.DataFrame) -> str:
    exact = table[table["learner"] == "exact"]
    low, high = sgd["alignment"].min(), sgd["alignment"].max()
    off = ", ".join(f"{row['off']:.2f} (s = {row['s']:g})" for _, row in sgd.iterrows())
    return (
        f"Share of queries attended, {_BASE['patterns']} patterns with frequencies k^−s. (a) Marks: learners that "
        f"attend at first sight; lines: the exact curve of theorem T4; of {len(exact)} settings of exact learners (c, "
        f"η, batch, number of patterns) the largest distance is {exact['off'].max():.4f}. (b) Marks: small CRAMs "
        f"trained on SRCD, means of {sgd['repeats'].min()} seeds, who attend by force up to n = 3,360; lines: the "
        f"nearest exact curve from n = 5,793 on, with thresholds c = {sgd['threshold'].min()} to "
        f"{sgd['threshold'].max()}; off by up to {off}. (c) The same CRAMs against a pattern's own exposures, and "
        f"exact learners whose exposures count with probability {_ETA}: (1 − η)^k (theorem T7). Of the CRAMs' patterns "
        f"that stop attending, log n at that point against log frequency has slopes {low:.2f} to {high:.2f} (own "
        "exposures: −1; the training clock: 0)."
    )

"""Figure 5: exponents of the power law by measure.

People, model runs, and what the paper claims; nothing is pooled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.show.stacked import Look, draw_interval, stacked
from paper_figures import exposure_curves, practice, style
from paper_figures.build import Data, Drawing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from cogfit import FitResult
    from cogfit.people.dataset import Dataset

_MARGIN = 0.25  # of the horizontal axis beyond the estimates; an interval that reaches further gets an arrow
_GAP = 0.6  # between groups, in rows
_CLAIMS = ("gamma_model", "gamma_fast_semantic", "gamma_human")


def draw(data: Data) -> Drawing:
    """Draw one row per curve.

    Grouped by what is measured on which axis.
    """
    import pandas as pd

    table = pd.DataFrame([*_people(data), *_runs(data), *_claims(data)])
    groups = list(dict.fromkeys(table["group"]))
    height = 0.158 * (len(table) + 1.6 * len(groups)) + 0.5
    figure = style.figure(style.PAGE, height)
    axes = figure.subplots()
    at, labels = [], []
    ends = float(table["gamma"].min()) - _MARGIN, float(table["gamma"].max()) + _MARGIN
    records = [(group, table[table["group"] == group].to_dict("records")) for group in groups]
    for group, above, rows in stacked(records, _GAP):
        axes.text(
            0.0,
            above,
            group,
            transform=axes.get_yaxis_transform(),
            va="center",
            weight="bold",
            fontsize=7,
            bbox={"fc": "white", "ec": "none", "pad": 0.5},
        )
        axes.axhline(above - 0.75, color="0.85", lw=0.5)
        for row, item in rows:
            _draw_row(axes, item, row, ends)
            at.append(row)
            labels.append(item["name"])
    axes.axvline(0.0, color="0.5", lw=0.6)
    # what the paper says of people stands behind all rows, what it says of its model as a line
    claims = table[table["kind"] == "claimed"]
    people = claims[claims["gamma"].isna()]
    for low, high in zip(people["low"], people["high"], strict=True):
        axes.axvspan(low, high, color=style.COLORS[1], alpha=0.15, lw=0, zorder=0)
    axes.axvline(claims["gamma"].iloc[0], color=style.COLORS[1], lw=0.7, ls=(0, (1, 1.5)), zorder=0)
    axes.set_yticks(at, labels, fontsize=6.5)
    axes.tick_params(axis="y", length=0, pad=7)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(at[-1] + 1.0 + _GAP - 0.8, -0.9)
    axes.set_xlim(*ends)
    axes.set_xlabel("γ of the power law")
    return Drawing(figure, table, _caption(table))


def _people(data: Data) -> list[dict[str, Any]]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for id, labels in (*practice.PRACTICE, *practice.RETENTION):
        about = data.human()[id]
        counted = f", {about.convention}" if about.axis == "repetition" else ""
        group = rows.setdefault(f"People: {about.measure} by {about.axis}{counted}", [])
        if about.convention == "block":
            group += _blocks(data, about)
            continue
        for curve in about.series(**labels):
            name = ", ".join(filter(None, (style.cited(about), style.labelled(curve.labels))))
            group.append({"name": name} | _row(data.human_fit(curve)))
    return [{"group": group} | row for group, group_rows in rows.items() for row in group_rows]


def _blocks(data: Data, about: Dataset) -> list[dict[str, Any]]:
    """Exponents of block means, one of each group of curves."""
    fit = data.block_fit(about)
    rows = []
    for group in fit.levels:
        low, high = fit.interval(f"gamma[{group}]")
        name = f"{style.cited(about)}, {style.labelled({fit.by: group})}"
        rows.append(
            {
                "name": name,
                "gamma": fit.params[f"gamma[{group}]"],
                "low": low,
                "high": high,
                "verdict": "not compared",
                "form": "power",
                "n": fit.n,
                "kind": "fitted",
            }
        )
    return rows


def _runs(data: Data) -> list[dict[str, Any]]:
    group = "Model: probability of attending by repetition, prior"
    return [{"group": group, "name": style.short(run)} | _row(data.fit(run)) for run in exposure_curves.RUNS]


def _row(fit: FitResult) -> dict[str, Any]:
    power = fit["power"]
    limits = power.intervals["gamma"]
    return {
        "gamma": np.nan if power.gamma is None else power.gamma,
        "low": limits.low,
        "high": limits.high,
        "verdict": str(fit.verdict),
        "form": fit.form,
        "n": fit.n,
        "kind": "fitted",
    }


def _claims(data: Data) -> list[dict[str, Any]]:
    known = data.published("cram_numbers")
    rows = []
    for claim in _CLAIMS:
        item = known[known["id"] == claim].iloc[0]
        half = item["plus_minus"]
        low, high = (item["low"], item["high"]) if np.isnan(half) else (item["value"] - half, item["value"] + half)
        rows.append(
            {
                "group": "Claimed (arXiv 2602.12204)",
                "name": _claim(item),
                "gamma": item["value"],
                "low": low,
                "high": high,
                "verdict": "claimed",
                "kind": "claimed",
            }
        )
    return rows


def _claim(item: pd.Series[Any]) -> str:
    return f"{item['context']}: {item['quantity'].removeprefix('exponent ').removeprefix('of ').split(' =')[0]}"


def _draw_row(axes: Axes, item: dict[str, Any], row: float, ends: tuple[float, float]) -> None:
    claimed = item["kind"] == "claimed"
    color = style.COLORS[1] if claimed else style.COLORS[2] if item["group"].startswith("Model") else style.COLORS[0]
    marker = "D" if claimed else "s" if item["group"].startswith("Model") else "o"
    line = (0, (1.5, 1)) if claimed else "-"
    look = Look(marker, color, line, width=1.0, edge=0.9, size=3.8, arrow=3.0, is_filled=item["verdict"] == "supported")
    draw_interval(axes, row, (item["gamma"], item["low"], item["high"]), ends, look)
    value = f"{item['low']:g}–{item['high']:g}" if np.isnan(item["gamma"]) else f"{item['gamma']:.2f}"
    for at, text, side in ((1.08, value, "right"), (1.1, item["verdict"], "left")):
        axes.text(at, row, text, transform=axes.get_yaxis_transform(), va="center", ha=side, fontsize=6.5, color="0.2")


def _caption(table: pd.DataFrame) -> str:
    fitted = table[table["kind"] == "fitted"]
    people = fitted[fitted["group"].str.startswith("People")]
    counts = ", ".join(f"{count} {name}" for name, count in people["verdict"].value_counts().sort_index().items())
    least, most = (people.iloc[i] for i in (people["gamma"].argmin(), people["gamma"].argmax()))
    model = fitted[~fitted["group"].str.startswith("People")]
    runs = "; ".join(f"{r['name']} {r['gamma']:.2f}, {r['verdict']}" for r in model.to_dict("records"))
    return (
        "γ of A·x^−γ with 95 % intervals (over A·x^−γ and A·x^−γ + c where neither is refused); arrows: the interval "
        "goes on. Band and dotted line: what the paper says of people and of its model. "
        "Filled: a power law is supported; open: it is not, and γ describes the slope over the range of the "
        "data; not compared: too few points, or the only form with a meaning. "
        f"{len(people)} human curves ({counts}) from {least['gamma']:.2f} ({least['name']}) to "
        f"{most['gamma']:.2f} ({most['name']}); model runs: {runs}. Exponents are comparable within a group only, so "
        "nothing is pooled. What the claim's ± means is not stated."
    )

"""Figure 6: how window and convention move γ.

γ of the power law, with the window of k and with what k and P mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

import cogfit
from paper_figures import style
from paper_figures.build import Data, Drawing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from cogfit import Curve

RUNS = ("srcd-n256-consolidates", "srcd-n256-gradual")
CONVENTIONS = ("prior", "inclusive", "updates")
OUTCOMES = ("soft", "hard")
PEOPLE = ("anderson1981_latency", "remington2016_latency", "anderson1981_errors")
_LEVEL = 0.95


def draw(data: Data) -> Drawing:
    """Draw γ over windows and under conventions.

    Windows (a, b); conventions for model runs (c) and people (d).
    """
    import pandas as pd

    from cogfit.show.plots import plain_ticks

    table = pd.DataFrame([*_windows(data), *_runs(data), *_people(data)])
    figure = style.figure(style.PAGE, 4.7)
    # each row makes room for its own labels
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.0, 1.1], squeeze=False).flat
    above, below = upper.subplots(1, 2), lower.subplots(1, 2)
    for number, axes in enumerate(above):
        part = table[table["panel"] == "ab"[number]]
        _draw_windows(axes, part, number)
        axes.set(xscale="log", xlabel="window of k", ylabel="γ of the power law" if number == 0 else "")
        plain_ticks(axes.xaxis, part["k_min"].min(), part["k_max"].max())
    above[1].sharey(above[0])
    _draw_runs(below[0], table[table["panel"] == "c"])
    _draw_people(below[1], table[table["panel"] == "d"])
    titles = (*(f"{style.short(run)}, windows" for run in RUNS), "model runs, all k", "people, all k")
    style.letter((*above, *below), titles)
    return Drawing(figure, table, _caption(table))


def _windows(data: Data) -> Iterator[dict[str, Any]]:
    """γ over windows of k.

    As every fit of a run has them.
    """
    for panel, run in zip("ab", RUNS, strict=True):
        for w in data.fit(run).windows:
            yield {
                "panel": panel,
                "curve": run,
                "convention": "prior",
                "outcome": "soft",
                "k_min": w.x_min,
                "k_max": w.x_max,
                "n": w.n,
                "gamma": w.gamma,
                "low": w.low,
                "high": w.high,
            }


def _runs(data: Data) -> Iterator[dict[str, Any]]:
    """γ of the runs over all k.

    By convention and outcome.
    """
    for run in RUNS:
        routing = data.log(run).routing
        assert routing is not None
        for convention in CONVENTIONS:
            for outcome in OUTCOMES:
                curve = cogfit.exposure_curve(routing, convention=convention, outcome=outcome)  # type: ignore[arg-type]
                about = {"panel": "c", "curve": run, "convention": convention, "outcome": outcome}
                yield about | _exponent(curve)


def _people(data: Data) -> Iterator[dict[str, Any]]:
    """γ of human curves under two conventions.

    Counted without and with the present repetition.
    """
    for id in PEOPLE:
        for series in data.human()[id].series():
            about = series.dataset
            name = ", ".join(filter(None, (style.cited(about), style.labelled(series.labels), about.measure)))
            for convention in CONVENTIONS[:2]:
                counted = series.under(convention).curve()
                yield {"panel": "d", "curve": name, "convention": convention} | _exponent(counted)


def _exponent(curve: Curve) -> dict[str, Any]:
    fit = cogfit.fit(curve, form="power", noise="gaussian", level=_LEVEL)  # one noise, so that k alone differs
    assert fit.interval is not None
    return {
        "k_min": fit.x.min(),
        "k_max": fit.x.max(),
        "n": fit.n,
        "gamma": fit.gamma,
        "low": fit.interval[0],
        "high": fit.interval[1],
    }


def _draw_windows(axes: Axes, part: pd.DataFrame, number: int) -> None:
    look = style.marker(number)
    middle = np.sqrt(part["k_min"] * part["k_max"])
    axes.hlines(part["gamma"], part["k_min"], part["k_max"], color=look["color"], lw=1.4)
    axes.vlines(middle, part["low"], part["high"], color=look["color"], lw=0.8)
    axes.plot(middle, part["gamma"], ls="none", ms=3.5, **look)
    axes.axhline(0.0, color="0.6", lw=0.6)


def _draw_runs(axes: Axes, part: pd.DataFrame) -> None:
    for number, (run, rows) in enumerate(part.groupby("curve", sort=False)):
        _draw_intervals(axes, rows, number, number)
        axes.text(rows["gamma"].mean(), -0.55, style.short(str(run)), ha="center", color=style.COLORS[number])
    names = [f"{c}, {o}" for c in CONVENTIONS for o in OUTCOMES]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -1.0)


def _draw_people(axes: Axes, part: pd.DataFrame) -> None:
    for number, (convention, rows) in enumerate(part.groupby("convention", sort=False)):
        _draw_intervals(axes, rows, number, number + 2, label=str(convention))
    names = [re.sub(r"(\d{4}), ", r"\1\n", name) for name in dict.fromkeys(part["curve"])]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.legend(title="k counts")


def _draw_intervals(axes: Axes, rows: pd.DataFrame, number: int, look: int, **options: Any) -> None:
    """Draw one estimate a row.

    Slightly above (number 0) or below (1) the middle of the row.
    """
    at = np.arange(len(rows)) + 0.16 * (2 * number - 1)
    axes.hlines(at, rows["low"], rows["high"], color=style.marker(look)["color"], lw=0.9)
    axes.plot(rows["gamma"], at, ls="none", ms=3.5, **style.marker(look), **options)
    axes.set_xlabel("γ of the power law")


def _caption(table: pd.DataFrame) -> str:
    text = (
        f"Exponent of A·k^−γ with {_LEVEL:.0%} intervals (of runs: patterns resampled). (a, b) Each horizontal line is "
        "a window of k, its height the γ fitted there: a power law would give one height. (c) Over all k, by what k "
        "counts (prior: earlier presentations; inclusive: with this one; updates: earlier training steps with it) and "
        "whether P is the router's probability (soft) or its decision (hard). "
    )
    for run in RUNS:
        part = table[(table["curve"] == run) & (table["panel"] != "c")]
        whole = table[(table["curve"] == run) & (table["panel"] == "c")]
        least, most = (part.iloc[at] for at in (part["gamma"].argmin(), part["gamma"].argmax()))
        text += (
            f"{run}: from {least['gamma']:.2f} (k {least['k_min']:,.0f}–{least['k_max']:,.0f}) to {most['gamma']:.2f} "
            f"(k {most['k_min']:,.0f}–{most['k_max']:,.0f}) over {len(part)} windows; over all k from "
            f"{whole['gamma'].min():.3f} to {whole['gamma'].max():.3f} under the conventions. "
        )
    people = table[table["panel"] == "d"].pivot_table(index="curve", columns="convention", values="gamma", sort=False)
    each = "; ".join(f"{name} {row['prior']:.2f} against {row['inclusive']:.2f}" for name, row in people.iterrows())
    return f"{text}(d) In short human series the count matters: γ by earlier and by all presentations is {each}."

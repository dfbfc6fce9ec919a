"""Figures 9 to 16, and from 20 on: each theorem of the package `theory`.

Bound, exact optimum, and what a router achieves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from paper_figures import style
from paper_figures.build import Data, Drawing, PaperFigure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Picture:
    """How the curves of one theorem are drawn.

    Attributes
    ----------
    number, name, title
        Of the figure, as in :class:`~paper_figures.build.PaperFigure`; the title without the name of the theorem.
    module : str
        In ``theory.bounds``.
    x, y : str
        Labels of the axes.
    tidy : callable
        From the theorem's table to columns ``panel``, ``curve``, ``x``, ``kind``, ``value``, ``low``, ``high``.
    log_x, log_y : bool
    caption : str
        What the lines are.
    least : float or None
        Where the vertical axis begins.
    """

    number: int
    name: str
    title: str
    module: str
    x: str
    y: str
    tidy: Callable[[pd.DataFrame], pd.DataFrame]
    log_x: bool
    log_y: bool
    caption: str
    least: float | None = None


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(panel="")


def _parts(table: pd.DataFrame, x: str, panel: str, curve: str, **kinds: tuple[str, str, str]) -> pd.DataFrame:
    """One row per kind of value.

    (value, low, high) name the columns of each; "" where it has no limits.
    """
    import pandas as pd

    parts = []
    for kind, (value, low, high) in kinds.items():
        part = pd.DataFrame(
            {"panel": table[panel] if panel else "", "curve": table[curve], "x": table[x].astype(float)}
        )
        part["kind"], part["value"] = kind, table[value]
        part["low"], part["high"] = table[low] if low else np.nan, table[high] if high else np.nan
        parts.append(part[np.isfinite(part["value"].astype(float))])
    return pd.concat(parts, ignore_index=True)


def _zipf(table: pd.DataFrame) -> pd.DataFrame:
    return _parts(
        table,
        "n",
        "",
        "curve",
        bound=("closed", "", ""),
        exact=("exact", "", ""),
        achieved=("achieved", "achieved_low", "achieved_high"),
    )


def _routers(table: pd.DataFrame) -> pd.DataFrame:
    return _parts(table, "n", "law", "title", bound=("exact", "", ""))


def _sharpness(table: pd.DataFrame) -> pd.DataFrame:
    out = table.rename(columns={"shape": "x", "ratio": "value"})[["curve", "x", "kind", "value"]]
    return out.assign(panel="", low=np.nan, high=np.nan, kind=out["kind"].replace({"power law": "bound"}))


def _exposures(table: pd.DataFrame) -> pd.DataFrame:
    kept = table[table["k"] > 0]
    return _parts(
        kept, "k", "", "curve", bound=("exact", "", ""), achieved=("achieved", "achieved_low", "achieved_high")
    )


PICTURES: dict[str, Picture] = {
    "T0": Picture(
        9,
        "chow",
        "least attention for what is known",
        "t0_chow",
        "errors per query",
        "queries attended",
        _plain,
        False,
        False,
        "Lines: max over λ ≥ 0 of E[min(1, λ(1 − G))] − λδ, where δ is the error rate, G the chance of the best guess "
        "given what the router knows, and λ the price of an error; open marks: the linear program over all rules; "
        "filled: Chow's rule, which attends where 1 − G is large.",
    ),
    "T1": Picture(
        10,
        "memoryless",
        "routers without memory",
        "t1_memoryless",
        "errors per query",
        "queries attended",
        _plain,
        False,
        False,
        "Lines: 1 − δV/(V − 1), with V equally likely values and δ errors per query; open marks: the game against "
        "every table of values (K = 4 and 3 patterns); filled: a router that throws a coin, over 500 simulated "
        "streams.",
    ),
    "T2": Picture(
        11,
        "memory",
        "routers with S bits of memory",
        "t2_memory_bits",
        "memory, share of the bits of the table",
        "queries attended",
        _plain,
        False,
        False,
        "No errors. Memory: S bits over the K·log₂V bits of a table of K patterns with V values each. Lines: the "
        "bound; open marks: the best of all codes (K = 4, V = 2); filled: remembering the most frequent patterns.",
    ),
    "T3": Picture(
        12,
        "compulsory",
        "the compulsory attention of any learner",
        "t3_compulsory",
        "queries",
        "queries attended",
        _plain,
        True,
        True,
        "K patterns, equally frequent or with Zipf frequencies k^−s. Lines: E[D_n], the expected number of different "
        "patterns among n queries; open marks: the best adaptive learner, by dynamic programming; filled: learners "
        "that attend at the first (or first three) exposures, over 300 simulated streams, with limits that hold at "
        "any time.",
    ),
    "T4": Picture(
        13,
        "zipf",
        "Zipf's law makes a power law of stream length",
        "t4_zipf_streams",
        "length of the stream N",
        "share attended u(N)",
        _zipf,
        True,
        True,
        "Pattern k has frequency k^−s/ζ(s); a router attends while a pattern has fewer than c exposures, and u(N) is "
        "the chance that it attends after N queries, about N^−γ with γ = 1 − 1/s. Lines: the closed form; open "
        "marks: exact; filled: simulated learners, with limits that hold at any time.",
        1e-4,
    ),
    "T5": Picture(
        14,
        "routers",
        "attention of four classes of routers",
        "t5_static_routers",
        "queries n",
        "attention + V/(V − 1)·errors",
        _routers,
        True,
        True,
        "Least cost of each class of routers over n queries; an error costs V/(V − 1), what a guess among V values "
        "costs per error. Static: one chance of attending, or one for each pattern; closed loop: it knows its "
        "history.",
    ),
    "T6": Picture(
        15,
        "sharpness",
        "an average is never sharper than one pattern",
        "t6_sharpness",
        "shape",
        "N(1/37.8) / N(0.9)",
        _sharpness,
        True,
        True,
        "N(a): queries after which a share a is still attended; their ratio says how sharp the fall from 0.9 to "
        "1/37.8 is (the fall that the paper prints). Shape: c of Gamma(c), k of Weibull, σ of the lognormal law of "
        "the exposures that a pattern needs. Lines: the least ratio for one frequency, and that of k^−0.43; filled: "
        "averages over 100 patterns, which are never sharper.",
    ),
    "T7": Picture(
        16,
        "consolidation",
        "laws on the exposure axis",
        "t7_exposure_axis",
        "exposures k",
        "share not consolidated",
        _exposures,
        True,
        True,
        "k: earlier exposures of a pattern, each of which consolidates it with the pattern's own chance η. Lines: "
        "exact, E[(1 − η)^k]; marks: simulated patterns.",
        1e-3,
    ),
    "T8": Picture(
        number=20,
        name="price",
        title="what a static router pays over a closed loop",
        module="t8_static_price",
        x="queries N",
        y="price",
        tidy=_plain,
        log_x=True,
        log_y=True,
        caption="Cost over that of a closed loop; Zipf frequencies of exponent s. "
        "Lines: the leading term; open marks: the best static router, exact; "
        "filled: the rates min(1, 1/√(Np)), played on 500 streams.",
    ),
    "T9": Picture(
        number=21,
        name="drift",
        title="what drift costs per step",
        module="t9_drift",
        x="redraws per step ρ",
        y="cost per step",
        tidy=_plain,
        log_x=True,
        log_y=True,
        caption="Attention + V/(V − 1)·errors. "
        "Lines: the power law ρ^γ for Zipf frequencies, the exact floor of one pattern, √(2qρ) where neither "
        "redraws nor labels are seen; open marks: exact; filled: learners that attain it, played on 100 streams.",
    ),
    "T10": Picture(
        number=22,
        name="unequal",
        title="memory for values that are not equally likely",
        module="t10_soft_attention",
        x="queries attended",
        y="bits per pattern",
        tidy=_plain,
        log_x=False,
        log_y=False,
        caption="No errors. Lines: R⁺(0, a), and the perspective form; filled: codes. One bit that says whether K "
        "values are all the likelier one (K = 1 to 8) lies below the perspective form for K = 3 and 4, never below "
        "R⁺.",
    ),
    "T11": Picture(
        number=23,
        name="reads",
        title="rows that a reader must search, and heads",
        module="t11_partial_reads",
        x="errors per query",
        y="rows read per query",
        tidy=_plain,
        log_x=False,
        log_y=False,
        caption="Lines: the bound; open marks: linear programs over all searches and all sets of heads; filled: a coin "
        "and a search, played on 2,000 queries.",
    ),
    "T12": Picture(
        number=24,
        name="copies",
        title="what a state holds, asked of copies of it",
        module="t12_copied_states",
        x="tables",
        y="bits of the state",
        tidy=_plain,
        log_x=True,
        log_y=False,
        caption="V = 16. Lines: bits that are stored; filled: the lower limit that copies show at 95 %, median and "
        "middle 80 % of 40 logs.",
    ),
    "T13": Picture(
        number=25,
        name="unknown",
        title="what it costs not to know",
        module="t13_unknown_law",
        x="B, or m + 1",
        y="factor",
        tidy=_plain,
        log_x=False,
        log_y=False,
        caption="B is the cost of attending in guesses, m a number of cells. "
        "Lines: 2 − 1/B, 1/(1 − (1−1/B)^B), m + 1, and H_{m+1}, which is a bound from below; open marks: all "
        "thresholds, linear programs; filled: a cycle of m + 1 patterns and uniform requests, played.",
    ),
}
"""By theorem."""

_MARKED = 14
"""Exact points shown of a long curve."""


def drawer(theorem: str) -> Callable[[Data], Drawing]:
    """Return the function that draws a theorem."""
    return lambda data: draw(PICTURES[theorem])


def draw(picture: Picture) -> Drawing:
    """Draw the curves of one theorem, panel by panel."""
    table = picture.tidy(import_module(f"theory.bounds.{picture.module}").curves())
    panels = list(dict.fromkeys(table["panel"]))
    curves = list(dict.fromkeys(table["curve"]))
    width = style.COLUMN if len(panels) == 1 else style.PAGE
    figure = style.figure(width, 2.3 + 0.14 * len(curves))
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(grid, panels, strict=True):
        for number, curve in enumerate(curves):
            part = table[(table["panel"] == panel) & (table["curve"] == curve)]
            _draw_curve(axes, part, number, curve)
        if picture.log_x:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(style.decade)
        if picture.log_y:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(style.decade)
        axes.set_xlabel(picture.x)
        if picture.least is not None:
            axes.set_ylim(picture.least, 1.4 * float(table["value"].max()))
    grid[0].set_ylabel(picture.y)
    if len(panels) > 1:
        style.letter(grid, panels)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=1 if width == style.COLUMN else 2)
    return Drawing(figure, table, picture.caption)


def _draw_curve(axes: Axes, part: pd.DataFrame, number: int, label: str) -> None:
    look = style.marker(number)
    line = part[part["kind"] == "bound"].sort_values("x")
    shown = False
    if len(line):
        axes.plot(line["x"], line["value"], **style.line(number), label=label)
        shown = True
    exact = part[part["kind"] == "exact"].sort_values("x")
    exact = exact.iloc[:: max(1, len(exact) // _MARKED)]
    axes.plot(
        exact["x"],
        exact["value"],
        ls="none",
        ms=4.5,
        mew=0.8,
        marker=look["marker"],
        mec=look["color"],
        mfc="white",
        zorder=3,
    )
    done = part[part["kind"] == "achieved"]
    spread = np.abs(np.array([done["value"] - done["low"], done["high"] - done["value"]], dtype=float))
    axes.errorbar(
        done["x"],
        done["value"],
        yerr=np.nan_to_num(spread),
        ls="none",
        ms=2.6,
        lw=0.8,
        zorder=4,
        label=None if shown or done.empty else label,
        **look,
    )


FIGURES = tuple(
    PaperFigure(
        number=picture.number,
        name=picture.name,
        title=f"Theorem {theorem}: {picture.title}",
        draw=drawer(theorem),
        needs=(),
    )
    for theorem, picture in PICTURES.items()
)
"""A figure for each picture."""

"""Pictures of the theory package, on bare Figure objects."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from theory.audit.report import LogReport

Floats = NDArray[np.float64]


def plot_report(report: LogReport, *, width: float = 7.0) -> Figure:
    """Draw measured attention against the bounds over the log.

    Parameters
    ----------
    report : LogReport
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
        Shares of the queries up to each look, against their number. The band below the memoryless bound is what luck
        with the table explains; attention below it is impossible without memory.

    Raises
    ------
    InputError
        If the log was too short to be looked at, or has no patterns.
    """
    if not report.path:
        hint = "give a routing log of at least 16 queries"
        raise InputError("there is nothing to draw", path=report.source["path"], hint=hint)
    import seaborn as sns
    from matplotlib.figure import Figure

    # one column per curve, with gaps where a bound says nothing
    queries = [look.queries for look in report.path]
    columns = {
        name: np.array([np.nan if (value := getattr(look, name)) is None else value for look in report.path])
        for name in ("attention", "memoryless", "memoryless_limit", "memory", "learner")
    }
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.6 * width), layout="constrained")
        axes = figure.subplots()
    # the range that luck explains lies below the lines
    colors = sns.color_palette("colorblind")
    axes.fill_between(
        queries,
        columns["memoryless_limit"],
        columns["memoryless"],
        color=colors[3],
        alpha=0.15,
        lw=0,
        label="luck without memory",
    )
    bits = report.settings.memory_bits
    for name, label, style, color in (
        ("memoryless", "needed without memory (T1)", "--", colors[3]),
        ("memory", f"needed with {0 if bits is None else bits:,g} bits of memory (T2)", "-.", colors[1]),
        ("learner", "needed by any learner (T3)", ":", colors[2]),
        ("attention", "measured", "-", colors[0]),
    ):
        if not np.isnan(columns[name]).all():
            axes.plot(queries, columns[name], style, color=color, lw=1.8, label=label)
    # axes: by queries, and by tokens where their share is known
    axes.set_xscale("log")
    axes.set_ylim(-0.02, 1.05)
    axes.set_xlabel("queries")
    axes.set_ylabel("attended share of the queries so far")
    if report.settings.f is not None:
        f = report.settings.f
        tokens = axes.secondary_yaxis("right", functions=(partial(_scaled, f), partial(_scaled, 1 / f)))
        tokens.set_ylabel("… of the tokens")
    axes.legend(frameon=False, fontsize="small")
    verdicts = ", ".join(f"{item.router}: {item.verdict}" for item in report.findings)
    axes.set_title(verdicts, fontsize="small", loc="left")
    sns.despine(ax=axes, right=report.settings.f is None)
    return figure


def _scaled(factor: float, y: Floats) -> Floats:
    return factor * y

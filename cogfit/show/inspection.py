"""What a log holds, as lines of text, a table and a picture."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cogfit.errors import shortened
from cogfit.inspection.records import Axis, ColumnFacts, Inspection, Restarted
from cogfit.records.sentence import number_of
from cogfit.show import tables
from cogfit.show.plots import plain_text, plain_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_COLUMNS = 20
"""Columns that are listed unless all are asked for."""

_MOST_NAMES = 6  # names of runs, candidates and the like on a line
_WIDTH = 32  # characters of a column's name
_WIDE = 100  # characters of an output from which it shows the ends of curves


def _listed(texts: Sequence[str], most: int = _MOST_NAMES, separator: str = ", ") -> str:
    shown = separator.join(texts[:most])
    return shown if len(texts) <= most else f"{shown} and {len(texts) - most:,} more"


def _number(value: float) -> str:
    return tables.readable(value, digits=5)


# ---------------------------------------------------------------------------------------------------------- lines


def headline(found: Inspection) -> str:
    """What it is, in one line."""
    kinds = {"utilization": "utilisation log", "routing": "routing log", "both": "routing and utilisation logs", "": ""}
    kind = kinds[found.kind] or "no columns recognised"
    size = f"{number_of(len(found.files), 'file')}, {number_of(found.rows, 'row')}"
    names = {column.name for column in found.columns}
    return f"{found.path} ({found.format}): {kind}; {size}, {number_of(len(names), 'column')} of numbers"


def overview(found: Inspection) -> Iterator[str]:
    """Yield axes, runs, splits, restarts, labels, patterns, one a line."""
    yield f"x: {_listed([_axis(axis) for axis in found.axes])}"
    yield from _run_lines(found)
    if found.splits:
        listed = [f"{split.name} ({split.rows:,} rows)" if split.rows else split.name for split in found.splits]
        yield f"splits: {_listed(listed)}"
    if found.restarts:
        yield f"restarts: {_listed([_restart(restart) for restart in found.restarts], 4)}"
    if found.labels:
        yield "labels: " + ", ".join(number_of(count, kind) for kind, count in found.labels.items())
    if (patterns := found.patterns) is not None:
        yield (
            f"patterns: {patterns.patterns:,} with {patterns.fewest:,} to {patterns.most:,} rows each (median "
            f"{patterns.median:,.6g}); {number_of(patterns.novel, 'row')} novel, {patterns.overridden:,} overridden"
        )
    if found.texts:
        yield f"without numbers: {_listed([shortened(name, _WIDTH) for name in found.texts])}"
    if found.refusal:
        yield f"cogfit fit needs options here: {found.refusal}"


def _axis(axis: Axis) -> str:
    name = shortened(axis.name, _WIDTH)
    if math.isnan(axis.low):
        return name
    offset = f" + {axis.x_offset:g}" if axis.x_offset else ""
    return f"{name}{offset} ({_number(axis.low)} to {_number(axis.high)})" + (" used" if axis.is_used else "")


def _restart(restart: Restarted) -> str:
    run = f"; {shortened(restart.run)}" if restart.run else ""
    void = number_of(restart.rows_void, "row")
    return f"from {_number(restart.reached)} back to {_number(restart.step)} ({void} void{run})"


def _run_lines(found: Inspection) -> Iterator[str]:
    counted = f" (rows of '{shortened(found.counted_in, _WIDTH)}' that count)" if found.counted_in else ""
    if found.runs:
        listed = [
            (f"{shortened(run.name)}: " if run.name else "")
            + f"{run.rows:,} rows, {_number(run.first)} to {_number(run.last)}"
            + (f", {run.trainings} trainings" if run.trainings > 1 else "")
            for run in found.runs
        ]
        yield f"{number_of(len(found.runs), 'run')}{counted}: {_listed(listed, 4, '; ')}"
    if found.unlike_runs:
        yield "no mean is taken over runs whose names differ in more than a number: --by run, or --run NAME"


def commands(columns: Sequence[ColumnFacts]) -> Iterator[str]:
    """Yield the command of each column that has one."""
    yield from dict.fromkeys(column.command for column in columns if column.command)


# ---------------------------------------------------------------------------------------------------------- table


def columns_table(columns: Sequence[ColumnFacts], width: int = 200) -> tables.Table:
    """Return one row for each column of numbers.

    Parameters
    ----------
    columns : sequence of ColumnFacts
    width : int
        Characters of the output: where they are few, names are short and the ends of curves left out.
    """
    titles = [
        tables.Column("column"),
        *([tables.Column("split")] if any(column.split for column in columns) else []),
        *(tables.Column(title, "number") for title in ("n", "min", "max")),
        *(tables.Column(title, "number", min_width=_WIDE) for title in ("first", "last")),
        tables.Column("trend"),
    ]
    has_splits = titles[1].title == "split"
    longest = _WIDTH if width >= _WIDE else 16 if has_splits else 26
    rows = []
    for column in columns:
        name = shortened(column.name, longest)
        split = [column.split] if has_splits else []
        numbers = map(_number, (column.low, column.high, column.first, column.last))
        trend = "" if column.problem else column.trend
        rows.append(tables.Row((name, *split, f"{column.n:,}", *numbers, trend)))
    return tables.Table(tuple(titles), tuple(rows)).at_width(width)


def remarks(columns: Sequence[ColumnFacts]) -> Iterator[str]:
    """Yield what is to be looked at, and where."""
    said: dict[str, dict[str, None]] = defaultdict(dict)
    for column in columns:
        for remark in (column.role, *column.warnings, column.problem):
            if remark:
                said[remark][shortened(column.name, _WIDTH)] = None
    yield from (f"{_listed(list(names), 4)}: {remark}" for remark, names in said.items())


def inspection_text(found: Inspection, most: int = MOST_COLUMNS) -> str:
    """Return everything as plain text."""
    shown = found.columns[:most]
    lines = [headline(found), *(f"  {line}" for line in overview(found)), "", tables.to_plain(columns_table(shown))]
    if len(found.columns) > most:
        lines.append(f"… and {len(found.columns) - most:,} more")
    lines += ["", *remarks(shown)]
    return "\n".join([*lines, "", *(f"{s.command}    # {s.what}" for s in found.suggestions), *commands(shown)])


# ---------------------------------------------------------------------------------------------------------- picture


@plain_text
def plot_inspection(found: Inspection, *, width: float = 9.0) -> Figure:
    """Draw columns against x, restarts marked.

    Axes are logarithmic where everything is positive.

    Parameters
    ----------
    found : Inspection
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    drawn = [column for column in found.columns if column.lines]
    n_columns = min(3, max(len(drawn), 1))
    n_rows = max(-(-len(drawn) // n_columns), 1)
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.26 * width * n_rows + 0.4), layout="constrained")
        grid = figure.subplots(n_rows, n_columns, squeeze=False)
    panels = list(grid.flat)
    for axes, column in zip(panels, drawn, strict=False):
        _draw_column(axes, column, found)
        sns.despine(ax=axes)
    for axes in panels[len(drawn) :]:
        axes.set_axis_off()
    if not drawn:
        panels[0].text(0.5, 0.5, "no column can be fitted", ha="center", transform=panels[0].transAxes)
    figure.suptitle(shortened(headline(found), 120), fontsize="small", ha="left", x=0.01)
    return figure


def _draw_column(axes: Axes, column: ColumnFacts, found: Inspection) -> None:
    """Draw one column, a line for each run that is fitted by itself."""
    x = np.concatenate([line.x for line in column.lines])
    y = np.concatenate([line.y for line in column.lines])
    is_log = bool(x.max() > 0 and np.all(y > 0))
    for line in column.lines:
        shown = (line.x > 0) | (not is_log)
        axes.plot(line.x[shown], line.y[shown], ".-", lw=0.8, ms=2, label=shortened(line.run, 18) or None)
    if is_log:
        axes.set(xscale="log", yscale="log")
        for axis, values in ((axes.xaxis, x[x > 0]), (axes.yaxis, y)):
            low, high = float(values.min()), float(values.max())
            plain_ticks(axis, low, high if high < 30 * low else 1e4 * high)  # 1, 2, 5 in short panels only
    for step in sorted({restart.step for restart in found.restarts}):
        if x.min() <= step <= x.max():
            axes.axvline(step, color="C3", lw=0.8, ls="--")
    if len(column.lines) > 1:
        axes.legend(frameon=False, fontsize="x-small")
    split = f" ({column.split})" if column.split else ""
    axes.tick_params(labelsize="x-small")
    axes.set_xlabel(shortened(column.x, 30), fontsize="small")
    axes.set_title(shortened(column.name, 30) + split, fontsize="small", loc="left")

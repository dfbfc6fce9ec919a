"""From one value per record to one column per name.

Shared by the readers of TensorBoard and MLflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError
from cogfit.logs.formats.reader import Restart

if TYPE_CHECKING:
    import pandas as pd

    from cogfit.logs.formats.reader import ReadOptions

MAX_CELLS = 50_000_000
"""Largest wide table (rows × names, 400 MB): beyond it only the columns that the user named are kept."""

_MOST_STRETCHES = 10_000  # between falls of the step, of which each is looked at

RESERVED = ("step", "wall_time", "run")
"""Columns of the wide table that are no names of values."""


@dataclass(frozen=True)
class Series:
    """Values of one part of a run.

    A part is an event file; its values are in the order in which they were logged.

    Attributes
    ----------
    step : int64 array
    wall_time : float64 array
        Seconds since the epoch.
    name : int64 array
        Code of each value's name, an index into the `names` given to `widen`.
    value : float64 array
    restart : float or None
        Step from which training went on with this part; earlier values from this step on are void.
    """

    step: NDArray[np.int64]
    wall_time: NDArray[np.float64]
    name: NDArray[np.int64]
    value: NDArray[np.float64]
    restart: float | None = None

    def __len__(self) -> int:
        return len(self.step)

    def __getitem__(self, span: slice) -> Series:
        """Some of the values."""
        return Series(self.step[span], self.wall_time[span], self.name[span], self.value[span])


def join(parts: Sequence[Series]) -> Series:
    """Put parts one after the other."""
    return Series(
        np.concatenate([part.step for part in parts] or [np.empty(0, np.int64)]),
        np.concatenate([part.wall_time for part in parts] or [np.empty(0)]),
        np.concatenate([part.name for part in parts] or [np.empty(0, np.int64)]),
        np.concatenate([part.value for part in parts] or [np.empty(0)]),
    )


def widen(
    runs: Sequence[tuple[str, Sequence[Series]]],
    names: Sequence[str],
    *,
    path: Path,
    options: ReadOptions,
) -> tuple[pd.DataFrame, tuple[str, ...], tuple[Restart, ...]]:
    """Outer-join values on the step, without losing any of them.

    Values of one run that share a step share a row. A value logged again at the same step opens another row, further
    down, so that the last row of a step is the most recent one. If a part (an event file), or what comes after a fall
    of the step, repeats what an earlier part of its run holds, it is taken for a restart and shares no rows with the
    parts before it; otherwise parts are joined (two writers side by side). A part with a declared restart shares no
    rows with earlier parts either. Rows of a run lie together, in the order of time.

    Parameters
    ----------
    runs : sequence of (name, parts)
        Parts of each run in the order of time.
    names : sequence of str
        Names of the values.
    path : Path
        For messages.
    options : ReadOptions
        Names chosen by the user; they matter only where the table would be too large.

    Returns
    -------
    frame : pandas.DataFrame
        ``step``, one float64 column per name in order of code, ``wall_time`` (of the first value in the row), and
        ``run`` where there is more than one. Names that no value has are left out.
    notes : tuple of str
    restarts : tuple of Restart
        Where the declared ones lie in the table.

    Examples
    --------
    >>> from cogfit.logs.formats.reader import ReadOptions
    >>> part = Series(np.array([1, 1, 2]), np.array([5.0, 5.5, 6.0]), np.array([0, 1, 0]), np.array([0.9, 3.0, 0.8]))
    >>> frame, notes, restarts = widen([("a", [part])], ["utilization", "loss"], path=Path("."), options=ReadOptions())
    >>> print(frame.to_string(index=False))
     step  utilization  loss  wall_time
        1          0.9   3.0        5.0
        2          0.8   NaN        6.0
    """
    import pandas as pd

    notes: list[str] = []
    runs = [(run, parts) for run, parts in runs if any(len(part) for part in parts)]
    # each value gets a row; a row takes step and time from its first value
    series = join([part for _, parts in runs for part in parts])
    row, n_rows = _rows(series, [parts for _, parts in runs])
    first = np.empty(n_rows, np.int64)
    first[row[::-1]] = np.arange(len(row))[::-1]  # the last write wins: the first value of each row

    # one column per name; run where there are several
    used = _affordable(np.unique(series.name), n_rows, names, path, options, notes)
    columns: dict[str, Any] = {"step": series.step[first]}
    columns |= _value_columns(series, row, n_rows, used, names, notes)
    columns["wall_time"] = series.wall_time[first]
    if len(runs) > 1:
        lengths = [sum(len(part) for part in parts) for _, parts in runs]
        run_of_value = np.repeat(np.arange(len(runs)), lengths)
        columns["run"] = np.array([run for run, _ in runs], dtype=object)[run_of_value[first]]
    return pd.DataFrame(columns), tuple(notes), _restarts(row, [parts for _, parts in runs])


def _restarts(row: NDArray[np.int64], runs: Sequence[Sequence[Series]]) -> tuple[Restart, ...]:
    """Declared restarts by the rows of the table."""
    # rows are numbered in the order in which values open them
    n_rows = np.concatenate([[0], np.maximum.accumulate(row) + 1])
    restarts = []
    value = 0
    for parts in runs:
        first = int(n_rows[value])
        for part in parts:
            if part.restart is not None and n_rows[value] > first:
                restarts.append(Restart(int(n_rows[value]), part.restart, first))
            value += len(part)
    return tuple(restarts)


def _rows(series: Series, runs: Sequence[Sequence[Series]]) -> tuple[NDArray[np.int64], int]:
    """The row that each value belongs to.

    Also return how many rows there are.
    """
    segment = _segments(runs)
    steps, _ = _codes(series.step)
    cell, n_cells = _codes(_pair(_pair(segment, series.name), steps))
    occurrence = _count_before(cell, n_cells)
    return _codes(_pair(_pair(segment, occurrence), steps))


def _affordable(
    used: NDArray[np.int64],
    n_rows: int,
    names: Sequence[str],
    path: Path,
    options: ReadOptions,
    notes: list[str],
) -> NDArray[np.int64]:
    """Codes of the names to keep.

    They are all, or those that the user chose where the table would be too large.
    """
    if n_rows * len(used) <= MAX_CELLS:
        return used
    chosen = {options.x, options.y, options.pattern, options.run}
    kept = np.array([code for code in used.tolist() if names[code] in chosen], dtype=np.int64)
    if not len(kept) or n_rows * len(kept) > MAX_CELLS:
        raise InputError(
            f"{n_rows} steps × {len(used)} names make too large a table",
            path=path,
            hint="choose the value with --y, or give one run at a time",
        )
    notes.append(f"only {len(kept)} of {len(used)} names were kept: all of them make too large a table")
    return kept


def _value_columns(
    series: Series,
    row: NDArray[np.int64],
    n_rows: int,
    used: NDArray[np.int64],
    names: Sequence[str],
    notes: list[str],
) -> dict[str, NDArray[np.float64]]:
    """One column for each name that is kept.

    NaN where it was not logged.
    """
    columns = {}
    order = np.argsort(series.name, kind="stable")
    starts = np.searchsorted(series.name[order], used, side="left")
    stops = np.searchsorted(series.name[order], used, side="right")
    for code, start, stop in zip(used.tolist(), starts.tolist(), stops.tolist(), strict=True):
        column = np.full(n_rows, np.nan)
        column[row[order[start:stop]]] = series.value[order[start:stop]]
        name = names[code]
        if name in RESERVED:
            name = f"{name} (logged)"
            notes.append(f"the value logged as '{names[code]}' is column '{name}'")
        columns[name] = column
    return columns


def _segments(runs: Sequence[Sequence[Series]]) -> NDArray[np.int64]:
    """Code of each value's run and restart."""
    codes: list[NDArray[np.int64]] = []
    segment = -1
    for parts in runs:
        stretches = [stretch for part in parts for stretch in _stretches(part)]
        repeated = _latest_repeated(stretches)
        segment += 1
        begin = 0  # first stretch of the segment
        for number, stretch in enumerate(stretches):
            if repeated[number] >= begin or stretch.restart is not None:
                segment += 1
                begin = number
            codes.append(np.full(len(stretch), segment, np.int64))
    return np.concatenate(codes or [np.empty(0, np.int64)])


def _stretches(part: Series) -> list[Series]:
    """A part, cut where its step falls back.

    It is left whole where that happens too often for restarts.
    """
    falls = (np.flatnonzero(part.step[1:] < part.step[:-1]) + 1).tolist()
    if not 0 < len(falls) <= _MOST_STRETCHES:
        return [part]
    pieces = [part[begin:end] for begin, end in pairwise([0, *falls, len(part)])]
    return [replace(pieces[0], restart=part.restart), *pieces[1:]]


def _latest_repeated(parts: Sequence[Series]) -> NDArray[np.int64]:
    """Find the part that each part repeats.

    It is the latest before it that holds one of its (name, step); −1 if none does.
    """
    latest = np.full(len(parts), -1, np.int64)
    if len(parts) > 1:
        series = join(parts)
        part = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        key, part = np.divmod(np.unique(_pair(series.name, series.step) * len(parts) + part), len(parts))
        again = np.flatnonzero(key[1:] == key[:-1])
        np.maximum.at(latest, part[again + 1], part[again])
    return latest


def _codes(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Number distinct values in order of first appearance."""
    import pandas as pd

    codes, distinct = pd.factorize(values)
    return codes.astype(np.int64, copy=False), len(distinct)


def _pair(major: NDArray[np.int64], minor: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for each pair of numbers.

    Both are made dense first, so that the product cannot overflow.
    """
    major, _ = _codes(major)
    minor, n_minor = _codes(minor)
    return major * np.int64(max(n_minor, 1)) + minor


def _count_before(group: NDArray[np.int64], n_groups: int) -> NDArray[np.int64]:
    """How often each value's group occurred before it."""
    if n_groups == len(group):
        return np.zeros(len(group), np.int64)
    order = np.argsort(group, kind="stable")
    starts = np.zeros(n_groups, np.int64)
    starts[1:] = np.cumsum(np.bincount(group, minlength=n_groups))[:-1]
    count = np.empty(len(group), np.int64)
    count[order] = np.arange(len(group)) - starts[group[order]]
    return count

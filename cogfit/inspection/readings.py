"""A log as ``cogfit fit`` would read it, and its command.

A command is suggested only after the log was read and made a curve with just these options.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cogfit.curves.curve import thinned
from cogfit.curves.exposure import exposure_curve
from cogfit.curves.utilization import several, utilization_curve
from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.inspection.records import Line
from cogfit.inspection.sources import Sources
from cogfit.inspection.trend import TrendOver
from cogfit.logs.columns import NoLogColumns
from cogfit.logs.formats.reader import ReadOptions
from cogfit.logs.labels import NO_LABEL, natural_key
from cogfit.logs.model import Log, RoutingLog, UtilizationLog
from cogfit.logs.splitting import split as split_log

if TYPE_CHECKING:
    import pandas as pd

Options = Mapping[str, Any]
"""Options of ``cogfit fit`` by name: x, y, pattern, run, split, x_offset, outcome, by."""

_MOST_LINES = 6  # runs that are drawn one by one
_FROM_ZERO = re.compile(r"(?<![a-z])(epochs?|index|unnamed_\d+)(?![a-z])")


@dataclass(frozen=True)
class Command:
    """What all commands for a log begin with.

    Attributes
    ----------
    path : str
    format : str or None
    asked : ReadOptions
        What the user has chosen already.
    """

    path: str
    format: str | None
    asked: ReadOptions

    def line(self, options: Options) -> str:
        """The command with some options, as a shell takes it.

        Examples
        --------
        >>> Command("a log.csv", None, ReadOptions(x="t")).line({"y": "-loss", "x_offset": 1.0})
        "cogfit fit 'a log.csv' --x t --y=-loss --x-offset 1"
        """
        place = f"./{self.path}" if self.path.startswith("-") and self.path != "-" else self.path
        asked = {"format": self.format, "pattern": self.asked.pattern, "run": self.asked.run, "x": self.asked.x}
        words = ["cogfit", "fit", shlex.quote(place)]
        for name, value in {**asked, **options}.items():
            if value is not None:
                text = value if isinstance(value, str) else f"{value:g}"
                join = "=" if text.startswith("-") else " "
                words.append(f"--{name.replace('_', '-')}{join}{shlex.quote(text)}")
        return " ".join(words)


@dataclass(frozen=True)
class Reading:
    """A log as a command reads it.

    Attributes
    ----------
    log : Log
    options : mapping
        Of the command.
    frame : pandas.DataFrame
        Rows that are fitted.
    x, y : ndarray
        Points that are fitted, those of several runs one after the other.
    why_other_x : str
        Why the likeliest x does not do; empty if it does.
    """

    log: Log
    options: Options
    frame: pd.DataFrame
    x: Array
    y: Array
    why_other_x: str = ""

    @property
    def table(self) -> RoutingLog | UtilizationLog:
        """The one that is fitted."""
        return _fitted_table(self.log)

    @property
    def x_name(self) -> str:
        """Name of x, without what is added to it."""
        if isinstance(self.table, RoutingLog):
            return "exposures"
        return self.table.x_name.split(" + ")[0] if self.x_offset else self.table.x_name

    @property
    def x_label(self) -> str:
        """Name of x, with what is added to it."""
        return self.table.x_name if isinstance(self.table, UtilizationLog) else self.x_name

    @property
    def x_offset(self) -> float:
        """What the command adds to x."""
        return float(self.options.get("x_offset", 0.0))

    @property
    def splits(self) -> list[str]:
        """The split that was read, and others that could be."""
        for choice in self.table.source.choices:
            if choice.kind == "split":
                return [choice.name, *(name for name in choice.others if name != NO_LABEL)]
        return []

    def without(self, name: str) -> dict[str, Any]:
        """The options but one."""
        return {key: value for key, value in self.options.items() if key != name}

    @property
    def counts_from_zero(self) -> bool:
        """Whether x are epochs that still count from 0."""
        if isinstance(self.table, RoutingLog) or self.x_offset:
            return False
        return bool(_FROM_ZERO.search(self.x_name.casefold())) and float(self.frame["step"].min()) == 0


def _fitted_table(log: Log) -> RoutingLog | UtilizationLog:
    table = log.routing or log.utilization
    assert table is not None
    return table


def _curve(log: Log, options: Options) -> tuple[Array, Array]:
    """The points that would be fitted.

    Raises
    ------
    InputError
        If there are too few, or no form has a value there.
    """
    if log.routing is not None:
        curve = exposure_curve(log.routing, outcome=options.get("outcome", "auto"))
    else:
        assert log.utilization is not None
        curve = utilization_curve(log.utilization)
    if (curve.x < 0).any():
        raise InputError(f"x is negative (the least is {curve.x.min():g})")
    if np.count_nonzero(curve.x > 0) < 2:
        raise InputError("fewer than two points have x > 0")
    return curve.x, curve.y


def _tried(log: Log, options: Options) -> Reading:
    """Make sure that a log can be fitted, as a whole or by run.

    Raises
    ------
    InputError
        If it cannot.
    """
    table = _fitted_table(log)
    try:
        return Reading(log, options, table.frame, *_curve(log, options))
    except InputError:
        if not table.source.unlike_runs:
            raise
    # runs that are no replicates are fitted one by one
    import pandas as pd

    problems, frames, curves = [], [], []
    for _, part in split_log(log, ("run",)):
        try:
            curves.append(_curve(part, options))
            frames.append(_fitted_table(part).frame)
        except InputError as error:
            problems.append(error)
    if not frames:
        raise problems[0]
    x, y = (np.concatenate(values) for values in zip(*curves, strict=True))
    return Reading(log, {**options, "by": "run"}, pd.concat(frames, ignore_index=True), x, y)


class LogReader:
    """Reads a log with the options of commands.

    Parameters
    ----------
    sources : Sources
    """

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.refusal = ""
        """Why the log is refused without further options."""

    @cached_property
    def default(self) -> Reading | None:
        """The log as it is read without further options.

        None if it is refused.
        """
        try:
            return self.read({}, is_pruned=False)
        except InputError as error:
            self.refusal = str(error)
            return None

    def read(self, options: Options, *, is_pruned: bool = True) -> Reading:
        """Read the log as a command would, whichever x works.

        Parameters
        ----------
        options : mapping
            Of the command.
        is_pruned : bool
            Whether only the columns are looked at that matter.

        Raises
        ------
        InputError
            If the command would end with an error.
        """
        problems: list[InputError] = []
        for axis in self.sources.tried_axes:
            try:
                reading = self.read_exactly({**options, "x": axis} if axis else options, is_pruned=is_pruned)
            except InputError as error:
                problems.append(error)
                if isinstance(error, NoLogColumns) and error.option != "x":
                    break  # no other x makes up for a missing y
            else:
                return replace(reading, why_other_x=problems[0].what if problems else "")
        raise problems[0]

    def read_exactly(self, options: Options, *, is_pruned: bool = True) -> Reading:
        """Read with one x.

        1 is added if it is an epoch and counts from 0.
        """
        reading = _tried(self._log(options, is_pruned), options)
        if not reading.counts_from_zero:
            return reading
        moved = {**options, "x_offset": 1.0}
        return _tried(self._log(moved, is_pruned), moved)

    def _log(self, options: Options, is_pruned: bool) -> Log:
        chosen = {name: options[name] for name in ("x", "y", "pattern", "run", "split", "x_offset") if name in options}
        wanted = replace(self.sources.asked, progress=None, **chosen)
        tables = self.sources.pruned(wanted) if is_pruned else self.sources.tables
        return tables.as_log(wanted)


class View:
    """Rows of a utilisation log behind a fit, for all columns that are read alike.

    Attributes
    ----------
    reading : Reading
    rows : int array
        Their numbers among the rows of all tables, by curve and x.
    """

    def __init__(self, reading: Reading, mark: str) -> None:
        frame = reading.frame
        groups = several(frame)
        curve = np.zeros(len(frame), dtype=np.int64)
        if groups:
            curve = frame.groupby(groups, observed=True, sort=True).ngroup().to_numpy().astype(np.int64)
        step = frame["step"].to_numpy(dtype=np.float64)
        order = np.lexsort((step, curve))
        self.reading, self.rows = reading, frame[mark].to_numpy(dtype=np.int64)[order]
        self.own: Array = frame["attention_utilization"].to_numpy(dtype=np.float64)[order]
        self._x, self._at = np.unique(step[order], return_inverse=True)
        self._size = np.bincount(self._at)
        self._trend = TrendOver(curve[order])
        self._runs: NDArray[Any] | None = None
        if "by" in reading.options:
            self._runs = frame["run"].astype(str).to_numpy()[order]

    def facts(self, values: Array) -> dict[str, Any]:
        """Range, ends and trend of a column in these rows."""
        mean = self.mean(values)
        return {
            "n": len(values),
            "low": float(values.min()),
            "high": float(values.max()),
            "first": float(mean[0]),
            "last": float(mean[-1]),
            "trend": self._trend.of(values),
        }

    def mean(self, values: Array) -> Array:
        """Mean values at each x, in the order of x."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(np.bincount(self._at, values) / self._size)

    def lines(self, values: Array) -> tuple[Line, ...]:
        """The mean against x.

        Runs one by one where no mean is taken.
        """
        if self._runs is None:
            return (Line("", *thinned(self._x, self.mean(values))),)
        runs = sorted(set(self._runs.tolist()), key=natural_key)[:_MOST_LINES]
        x = self._x[self._at]
        return tuple(Line(run, *thinned(x[self._runs == run], values[self._runs == run])) for run in runs)

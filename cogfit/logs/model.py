"""What a training log is, once read.

Two kinds of table and the account of how they were read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cogfit.errors import InputError, shortlist
from cogfit.logs.columnar import with_lazy_frame

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from cogfit.logs.columnar import Frame

GROUP_COLUMNS = ("run", "split", "layer", "head")
"""Columns that separate curves from each other; absent ones are simply not there."""

FILE_ROW = "file_row"
"""Column that counts the rows of the files, where several rows of a table come from one of these."""


@dataclass(frozen=True)
class Branch:
    """What a restart has made void, and where.

    Attributes
    ----------
    labels : mapping of str to str
        Run, split, layer and head, as far as the log has them.
    reached, step : float
        Highest step before the restart, and the step that training went on from.
    rows : int
        Rows that do not count any more.
    is_declared : bool
        Whether the log itself says that training was restarted here.
    x, y : ndarray
        Mean value of these rows against step, for pictures.
    """

    labels: Mapping[str, str]
    reached: float
    step: float
    rows: int
    is_declared: bool
    x: NDArray[np.float64]
    y: NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """What was chosen of several that a log holds.

    Attributes
    ----------
    kind : {"split", "run", "training", "column"}
    name : str
        The one that is fitted.
    others : tuple of str
        Those that are not.
    """

    kind: str
    name: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """Where a table came from, and what was dropped.

    Attributes
    ----------
    path : str
        File or folder as the user gave it.
    format : str
        Name of the reader, e.g. ``"parquet"``; several joined by ``"+"``.
    rows_read : int
        Rows found in the file(s), before anything was dropped.
    rows_dropped : mapping of str to int
        Rows left out, by reason (only reasons that occurred).
    notes : tuple of str
        What else was noticed (rows re-ordered, a truncated last line, …), one sentence each.
    branches : tuple of Branch
        Restarts of the training, in the order of the file.
    choices : tuple of Choice
        Which split, run or training was chosen, where there are several.
    unlike_runs : tuple of str
        Runs that are no replicates of each other by their names, so that no mean is taken over them.
    course : (ndarray, ndarray) or None
        Mean value of the rows that count against step, for pictures; only where training was restarted.
    """

    path: str
    format: str
    rows_read: int
    rows_dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    branches: tuple[Branch, ...] = ()
    choices: tuple[Choice, ...] = ()
    unlike_runs: tuple[str, ...] = ()
    course: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    @property
    def rows_used(self) -> int:
        """Rows that were not left out."""
        return self.rows_read - sum(self.rows_dropped.values())

    def check_replicates(self, frame: Frame) -> None:
        """Refuse a mean over runs that are no replicates.

        Raises
        ------
        InputError
            With the runs and what can be done.
        """
        runs = set(frame["run"].astype(str)) if self.unlike_runs and "run" in frame else set()
        unlike = [name for name in self.unlike_runs if any(run == name or run.startswith(name) for run in runs)]
        if len(runs) < 2 or len(unlike) < 2:
            return
        raise InputError(
            f"holds {len(unlike)} runs whose names or columns say that they are no replicates, so no mean is taken: "
            + shortlist(unlike),
            path=self.path,
            hint="fit each with --by run, or choose one with --run NAME",
        )

    def rows_behind(self, frame: Frame, rows: NDArray[np.bool_] | None = None) -> int:
        """Rows of the file behind rows of a table."""
        if FILE_ROW not in frame:
            return len(frame) if rows is None else int(np.count_nonzero(rows))
        file_rows = np.asarray(frame[FILE_ROW])
        return len(np.unique(file_rows if rows is None else file_rows[rows]))


@with_lazy_frame
@dataclass(frozen=True)
class UtilizationLog:
    """Attention utilisation against training step.

    Attributes
    ----------
    frame : pandas.DataFrame
        Columns ``step`` (float64 or int64) and ``attention_utilization`` (float64; in the recorded runs the fraction
        of all tokens that attend), then those of ``run``, ``layer``, ``head`` that the log has (strings), then whatever
        else it holds. Sorted by (run, split, layer, head, step), one row for each of these. If columns of the file
        became rows, ``file_row`` says which row of the file each comes from.
    source : Source
    x_name, y_name : str
        What the two columns were called in the file.
    others : pandas.DataFrame or None
        Rows of the splits, runs and trainings that were not chosen, in the same columns.
    """

    frame: pd.DataFrame
    source: Source
    x_name: str = "step"
    y_name: str = "attention_utilization"
    others: pd.DataFrame | None = None

    def __repr__(self) -> str:
        return f"<UtilizationLog {self.source.path}: {len(self.table):,} rows of {self.y_name} against {self.x_name}>"

    @property
    def table(self) -> Frame:
        """The frame as it was read.

        No pandas for a log of numbers, until `frame` was asked for.
        """
        table: Frame = vars(self)["frame"]
        return table


@dataclass(frozen=True)
class RoutingLog:
    """One row per routed query, in order of time.

    Attributes
    ----------
    frame : pandas.DataFrame
        ``step`` (int64), ``pattern`` (int32 code into `pattern_names`, −1 = novel), ``exposure`` (int64, number of
        earlier presentations of the pattern in the same run, layer and head; −1 for novel rows), at least one
        of ``attended`` (bool) and ``p_episodic`` (float64, in [0, 1]), and those of ``run``, ``layer``, ``head``,
        ``correct``, ``quality`` that the log has (group columns as pandas categoricals of strings).
    pattern_names : tuple of str
        Name of each pattern code.
    source : Source
    exposure_logged : bool
        True if the file had an ``exposure`` column, False if it was counted here.
    others : pandas.DataFrame or None
        Rows of the splits, runs and trainings that were not chosen, in the same columns.
    """

    frame: pd.DataFrame
    pattern_names: tuple[str, ...]
    source: Source
    exposure_logged: bool
    others: pd.DataFrame | None = None

    def __repr__(self) -> str:
        return f"<RoutingLog {self.source.path}: {len(self.frame):,} rows, {len(self.pattern_names):,} patterns>"


@dataclass(frozen=True)
class Log:
    """A training log.

    It has a routing table, a utilisation table, or both.

    Attributes
    ----------
    path : str
    routing : RoutingLog or None
    utilization : UtilizationLog or None
    warnings : tuple of str
        What the reader wants the user to know, one sentence each.
    """

    path: str
    routing: RoutingLog | None = None
    utilization: UtilizationLog | None = None
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        kinds = [name for name in ("routing", "utilization") if getattr(self, name) is not None]
        return f"<Log {self.path}: {' and '.join(kinds) or 'empty'}>"

"""What a training log is, once read.

Two kinds of table and the account of how they were read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

GROUP_COLUMNS = ("run", "layer", "head")
"""Columns that separate curves from each other; absent ones are simply not there."""


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
    """

    path: str
    format: str
    rows_read: int
    rows_dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class UtilizationLog:
    """Attention utilisation against training step.

    Attributes
    ----------
    frame : pandas.DataFrame
        Columns ``step`` (float64 or int64) and ``attention_utilization`` (float64; in the recorded runs the fraction
        of all tokens that attend), then those of ``run``, ``layer``, ``head`` that the log has (strings), then whatever
        else it holds. Sorted by (run, layer, head, step), one row for each of these.
    source : Source
    x_name, y_name : str
        What the two columns were called in the file.
    """

    frame: pd.DataFrame
    source: Source
    x_name: str = "step"
    y_name: str = "attention_utilization"


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
    """

    frame: pd.DataFrame
    pattern_names: tuple[str, ...]
    source: Source
    exposure_logged: bool


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

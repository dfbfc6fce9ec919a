"""What readers share: the record of a reader, its options and the raw table that it returns.

A reader knows one container (CSV, Parquet, TensorBoard, …) and nothing about the meaning of columns. It returns the
file's own columns in file order; recognising columns and cleaning come after it and are the same for all formats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cogfit.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

HEAD_BYTES = 65536
"""How much of a file (after decompression) `Reader.recognise` is shown."""


@dataclass(frozen=True)
class ReadOptions:
    """What the user said about the columns, and where to report progress.

    Attributes
    ----------
    x, y, pattern, run : str or None
        Names of columns (or tags) chosen by the user; None where they are to be recognised. A reader may use them to
        read less; it must not rename anything.
    progress : callable or None
        Called as ``progress(done_bytes, total_bytes, name)`` while a file is read, with the sizes of this one file.
    """

    x: str | None = None
    y: str | None = None
    pattern: str | None = None
    run: str | None = None
    progress: Progress | None = None


@dataclass(frozen=True)
class Raw:
    """A table as the file holds it, with the account of how it was read.

    Attributes
    ----------
    frame : pandas.DataFrame
        The file's own columns, rows in file order, index 0…n−1. Formats that store one value per record (TensorBoard,
        MLflow) give the wide form: ``step``, one column per tag, optionally ``wall_time``, and ``run`` where there
        is more than one run.
    format : str
        Name of the reader.
    rows_read : int
        Rows (or records) found, before anything was dropped.
    dropped : mapping of str to int
        Rows left out by the reader itself, by reason (only reasons that occurred).
    notes : tuple of str
        What else was noticed, one sentence each.
    line_of : callable or None
        Turns a row number of `frame` into the 1-based line of the file, for messages; called only when there is
        something to report, so that it may read the file again. None: rows are counted from 1 as records.
    """

    frame: pd.DataFrame
    format: str
    rows_read: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    line_of: Callable[[int], int] | None = None


@dataclass(frozen=True)
class Reader:
    """A container format: how to recognise it and how to read it.

    Attributes
    ----------
    name : str
        Short name, as given to ``format=`` and reported in `Source.format`.
    recognise : callable
        ``recognise(path, head) -> bool``; `head` is the start of the file, decompressed (at most `HEAD_BYTES`). It
        must not raise. For a reader with `takes_folders` it is also asked about folders, with an empty `head`.
    read : callable
        ``read(path, options) -> Raw``. Whatever is wrong with the file is an `InputError` that names `path`.
    takes_folders : bool
        True if `read` also takes a folder and reads everything of this format in the tree below it, telling runs
        apart in a ``run`` column (names relative to the folder).
    """

    name: str
    recognise: Callable[[Path, bytes], bool]
    read: Callable[[Path, ReadOptions], Raw]
    takes_folders: bool = False

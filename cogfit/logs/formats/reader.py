"""What readers share: their record, its options, the raw table.

A reader knows one container (CSV, Parquet, TensorBoard, …) and nothing about the meaning of columns. It returns the
file's own columns in file order; recognising columns and cleaning come after it and are the same for all formats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from cogfit.logs.columnar import WithFrame
from cogfit.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cogfit.logs.columnar import Frame

HEAD_BYTES = 65536
"""How much of a file (after decompression) `Reader.recognise` is shown."""

ROW = "row"
"""Name of the x that counts the rows of a table from 1, unless it has a column of this name."""

LAST = 1000
"""Rank of a format that gives way to all others."""


class Evidence(IntEnum):
    """What a format is recognised by, the surest first."""

    MAGIC = 1
    """First bytes or a file name that no other format has."""
    KEYS = 2
    """Names that only this dialect of a general container has."""
    CONTAINER = 3
    """A container of any content, such as JSON."""
    CATCH_ALL = 4
    """Whatever may be a table of text."""


@dataclass(frozen=True)
class ReadOptions:
    """The user's choice of columns, and the progress.

    Attributes
    ----------
    x, y, pattern, run : str or None
        Names of columns (or tags) chosen by the user; None where they are to be recognised. A reader may use them to
        read less; it must not rename anything. `x` may also be `ROW`, `y` may begin with a minus, and `run` may be the
        name of a run.
    split : str or None
        The split to use where there are several.
    x_offset : float
        Added to x.
    every_column : bool
        Whether columns are wanted that have no role, too.
    progress : callable or None
        Called as ``progress(done_bytes, total_bytes, name)`` while a file is read, with the sizes of this one file.
    max_bytes : int or None
        How much a compressed file may hold; see `cogfit.logs.formats.contents.most_bytes` for the default.
    """

    x: str | None = None
    y: str | None = None
    pattern: str | None = None
    run: str | None = None
    split: str | None = None
    x_offset: float = 0.0
    every_column: bool = False
    progress: Progress | None = None
    max_bytes: int | None = None


@dataclass(frozen=True)
class Restart:
    """Where training went on, as the file itself declares it.

    Rows of the same run before `row` whose step is `step` or later are void.

    Attributes
    ----------
    row : int
        Position in `Raw.table` of the first row after the restart, from 0. It lies behind the last row of the run if
        nothing has been logged since.
    step : float
        Step from which training went on.
    first : int
        Position of the first row of the run. The rows in question are thus ``first`` … ``row - 1``.
    """

    row: int
    step: float
    first: int = 0


@dataclass(frozen=True)
class Raw(WithFrame):
    """A table as the file holds it.

    With the account of how it was read.

    Attributes
    ----------
    table : pandas.DataFrame or ColumnTable
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
    restarts : tuple of Restart
        Restarts that the file declares, in the order of their rows. What they void is still in `frame`.
    file_rows : int array or None
        Row of the file behind each row of `frame`, where several come from one; `rows_read` counts those of the file.
    """

    table: Frame
    format: str
    rows_read: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    line_of: Callable[[int], int] | None = None
    restarts: tuple[Restart, ...] = ()
    file_rows: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Checkpoints:
    """Files of which each repeats its run so far.

    Of the files of one run, the final one is read.

    Attributes
    ----------
    noun : str
        What such a file is called in messages.
    folder_prefix : str
        Start of the names of the folders of checkpoints, which lie in the folder of the run.
    step_reached : callable
        ``step_reached(path) -> float``, by which the final one is known where none lies in the folder of the run.
        It must not raise.
    copies_folder : str
        Folder, below that of the run, in which the same trainer logs the same values again.
    copies_format : str
        Name of the format of these copies, which are left out.
    copies_noun : str
        What they are called in messages.
    """

    noun: str
    folder_prefix: str
    step_reached: Callable[[Path], float]
    copies_folder: str
    copies_format: str
    copies_noun: str


@dataclass(frozen=True)
class Reader:
    """A format: how it is recognised and read.

    Everything that other files need to know of a format stands here; they know none by its name. The built-in
    records are listed in :mod:`cogfit.logs.formats.registry`. A package adds its own by an entry point of the group
    ``cogfit.formats``.

    Attributes
    ----------
    name : str
        Short name, as given to ``format=`` and reported in `Source.format`.
    recognise : callable
        ``recognise(path, head) -> bool``; `head` is the start of the file, decompressed (at most `HEAD_BYTES`). It
        must not raise. For a reader with `takes_folders` it is also asked about folders, with an empty `head`.
        Empty files and pickles are never shown to any reader.
    read : callable
        ``read(path, options) -> Raw``. Whatever is wrong with the file is an `InputError` that names `path`.
    takes_folders : bool
        True if `read` also takes a folder and reads everything of this format in the tree below it, telling runs
        apart in a ``run`` column (names relative to the folder).
    title : str
        For messages and help; `name` if empty.
    is_text : bool
        Whether the files are text. In a folder, text is taken for a log only if its suffix is one of those of all
        text formats, and a damaged text that does not speak of logs is passed over.
    suffixes : tuple of str
        Of text formats, with the full stop and in lower case.
    rank : int
        Where a folder has the same log in several formats, that of the lowest rank is read; `LAST` by default.
    other_names : tuple of str
        Further names that ``format=`` takes, in lower case, with ``_`` between words.
    evidence : Evidence
        What files are recognised by; readers are asked in this order.
    checkpoints : Checkpoints or None
        For formats of which each file repeats the history of its run.
    gives_way : bool
        Whether files of this format are left out of a folder that has logs in others, wherever they lie: what training
        printed repeats what it logged.
    names_runs : bool
        Whether `read` names runs as the log does, and not after their folders: such names stay as they are.

    Notes
    -----
    A plug-in is asked after all built-in readers of the same evidence. By default (`Evidence.KEYS`) it thus takes
    precedence over the readers of any JSON and any CSV, but never over a format that has a magic number or is the
    known dialect of another tool. A plug-in whose `recognise` raises is passed over with a
    :class:`cogfit.plugins.PluginWarning`; what its `read` raises becomes an `InputError` that names file and plug-in.

    Examples
    --------
    A format of JSON lines with a suffix of its own; ``tool.entry-points`` of the package names ``READER``:

    >>> from cogfit.logs.formats.json_files import JSONL
    >>> READER = Reader("mylog", lambda path, head: path.suffix == ".mylog", JSONL.read, title="My log")
    >>> READER.recognise(Path("seed0.mylog"), b"{}"), READER.rank == LAST
    (True, True)
    """

    name: str
    recognise: Callable[[Path, bytes], bool]
    read: Callable[[Path, ReadOptions], Raw]
    takes_folders: bool = False
    title: str = ""
    is_text: bool = False
    suffixes: tuple[str, ...] = ()
    rank: int = LAST
    other_names: tuple[str, ...] = ()
    evidence: Evidence = Evidence.KEYS
    checkpoints: Checkpoints | None = None
    gives_way: bool = False
    names_runs: bool = False

    def __post_init__(self) -> None:
        """Call a format without title by its name."""
        object.__setattr__(self, "title", self.title or self.name)

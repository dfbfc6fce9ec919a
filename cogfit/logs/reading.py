"""`read_log`: from a path to a `Log`."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cogfit.errors import InputError, nearest, printable
from cogfit.logs.clean import prepare
from cogfit.logs.folder import Unreadable, read_folder, report_end, units_of
from cogfit.logs.formats.contents import check_unique, read_head
from cogfit.logs.formats.guard import guarded
from cogfit.logs.formats.reader import Raw, Reader, ReadOptions
from cogfit.logs.formats.refusals import is_pickle, why_unreadable
from cogfit.logs.formats.registry import read_raw, reader_for, reader_named
from cogfit.logs.model import Log
from cogfit.logs.rows import Wanted
from cogfit.logs.spooling import is_pipe, shown_path, spooled
from cogfit.logs.units import Table, Unit, joined
from cogfit.progress import Progress
from cogfit.records.given import refused, way_to_numbers

if TYPE_CHECKING:
    import pandas as pd


_TABLE = Path("DataFrame")


def _no_file(path: Path, options: ReadOptions) -> Raw:
    raise InputError("a table in memory is no file", path=path)


_MEMORY = Reader("dataframe", lambda path, head: False, _no_file)
"""Stands for the reader of a table that needed none."""


def read_log(
    path: str | os.PathLike[str] | pd.DataFrame,
    *,
    format: str | None = None,
    x: str | None = None,
    y: str | None = None,
    pattern: str | None = None,
    run: str | None = None,
    split: str | None = None,
    x_offset: float = 0.0,
    progress: Progress | None = None,
    max_bytes: int | None = None,
) -> Log:
    r"""Read a training log, whatever its format.

    Format and columns are recognised by what the files hold. Nothing is subsampled, executed or unpickled, and each
    row that cannot be used is counted in ``source.rows_dropped``.

    Parameters
    ----------
    path : str, path-like or pandas.DataFrame
        A file, a pipe, ``"-"`` for standard input, a folder, or a table in memory. Of a folder all logs in the tree
        below it are read, each subfolder being a run; files that are no logs are passed over.
    format : str, optional
        Name of the reader, where it is not to be found by content.
    x, y, pattern, run : str, optional
        Columns to use instead of those that would be recognised: the step (``"row"`` counts the rows from 1), the
        utilisation (in a routing log the decision or its probability; ``"-name"`` is −1 times a column), the pattern,
        the run. `run` may also be the name of one of the runs, which is then chosen.
    split : str, optional
        Split of the data to use where there are several (``"validation"``, ``"test"``, ``"eval"``); training otherwise.
    x_offset : float
        Added to x: 1 where epochs count from 0.
    progress : callable, optional
        Called as ``progress(done_bytes, total_bytes, name)``.
    max_bytes : int, optional
        How much a compressed file or a pipe may hold. By default a pipe may give 16 GB, and a compressed file may hold
        1,000 times its size, but always 1 GB and never more than 16 GB.

    Returns
    -------
    Log
        With a routing log, a utilisation log, or both.

    Raises
    ------
    InputError
        There is no log, it cannot be read, or a value is impossible; the message says where and what to do.
    MissingDependencyError
        The format needs a library that is not installed.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = Path(folder.name, "log.csv")
    >>> _ = file.write_text("step,attn_util,loss\n0,1.0,4.2\n10,0.5,NaN\n20,nan,3.9\n")
    >>> log = read_log(file)
    >>> log.utilization.frame["attention_utilization"].tolist(), log.utilization.source.rows_dropped
    ([1.0, 0.5], {"no value in 'attn_util'": 1})
    >>> folder.cleanup()
    """
    forced = reader_named(format) if format is not None else None
    if max_bytes is not None and max_bytes < 1:
        raise InputError(f"`max_bytes` is {max_bytes}", hint="allow at least one byte")
    options = ReadOptions(
        x=x,
        y=y,
        pattern=pattern,
        run=run,
        split=split,
        x_offset=_finite(x_offset),
        progress=progress,
        max_bytes=max_bytes,
    )
    with read_tables(path, forced, options) as tables:
        return tables.as_log(options)


@dataclass(frozen=True)
class Tables:
    """Tables of a file or folder before columns are chosen.

    Attributes
    ----------
    path : Path
    items : iterable of Table or Unreadable
        If it is an iterator, one log can be made of it.
    warnings : tuple of str
        What was noticed so far.
    is_folder : bool
    """

    path: Path
    items: Iterable[Table | Unreadable]
    warnings: tuple[str, ...] = ()
    is_folder: bool = False

    def as_log(self, options: ReadOptions) -> Log:
        """Make a log of the columns that options choose.

        Raises
        ------
        InputError
            There is none.
        """
        warnings = [printable(warning) for warning in self.warnings]
        # in a folder other files are passed over; a file of its own must be a log
        if self.is_folder:
            units = units_of(self.items, options, self.path, warnings)
        else:
            tables = [table for table in self.items if isinstance(table, Table)]
            units = [
                Unit(table.label, part, table.reader)
                for table in tables
                for part in prepare(table.raw, options, table.path)
            ]
        return joined(self.path, units, warnings, Wanted(options.split, options.run))


@contextmanager
def read_tables(
    path: str | os.PathLike[str] | pd.DataFrame, forced: Reader | None, options: ReadOptions
) -> Iterator[Tables]:
    """Read the tables of a file, folder or pipe.

    Those of a folder are read as they are asked for. What a pipe gave is kept as long as the context lasts.

    Raises
    ------
    InputError
        There is none, or one cannot be read.
    """
    if not isinstance(path, (str, os.PathLike)):
        yield Tables(_TABLE, (_table_in_memory(path),))
        return
    if not os.fspath(path):
        raise InputError("the path of the log is empty", hint="name a file or folder")
    place = Path(os.fspath(path))
    shown = Path(printable(str(shown_path(place))))
    if is_pipe(place):
        with spooled(place, options.max_bytes) as file:
            yield Tables(shown, (_read_file(file, forced, options, shown),))
    elif _is_folder(place):
        items, warnings = read_folder(place, forced, options)
        yield Tables(shown, items, tuple(warnings), is_folder=True)
    else:
        yield Tables(shown, (_read_file(place, forced, options, shown),))


def _table_in_memory(table: pd.DataFrame) -> Table:
    """A table in memory, of which the index is a column if it has a name."""
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise refused(
            "path",
            table,
            "a path or a pandas.DataFrame",
            way_to_numbers(table, "path") or "name the file or folder of a log",
        )
    if any(name is not None for name in table.index.names):
        table = table.reset_index()
    table = table.reset_index(drop=True).set_axis([str(name) for name in table.columns], axis=1)
    check_unique([str(name) for name in table.columns], _TABLE)
    return Table(Raw(table, _MEMORY.name, len(table)), _TABLE, _MEMORY)


def _finite(offset: float) -> float:
    if not math.isfinite(offset):
        raise InputError(f"`x_offset` must be a finite number, not {offset}")
    return offset


def _is_folder(path: Path) -> bool:
    """Tell folders from regular files.

    Anything else is refused, since reading it might never end.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise _not_found(path) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be opened: {reason}", path=path, hint="name a file or folder") from None
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise InputError("is no regular file but a socket or a device", path=path, hint="save the log to a file first")
    return stat.S_ISDIR(mode)


def _not_found(path: Path) -> InputError:
    try:
        names = sorted(entry.name for entry in os.scandir(path.parent) if not entry.name.startswith("."))
    except OSError:
        return InputError("does not exist, nor does its folder", path=path, hint="check the path")
    hint = nearest(path.name, names)
    return InputError("does not exist", path=path, hint=hint if hint.startswith("did") else "check the path")


def _read_file(path: Path, forced: Reader | None, options: ReadOptions, shown: Path) -> Table:
    """Read one file, which is all that there is.

    Messages call it `shown`.
    """
    head = guarded(path, lambda: read_head(path))
    reader = forced or (None if is_pickle(head) else reader_for(path, head))
    if reader is None or is_pickle(head) or not head:
        raise why_unreadable(path, head)
    raw = read_raw(reader, path, options)
    report_end(options.progress, guarded(path, lambda: path.stat().st_size))
    return Table(raw, shown, reader)

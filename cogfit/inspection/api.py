"""``cogfit.inspect``: what a log holds, and how to fit it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal

import numpy as np

from cogfit.errors import InputError, shortlist
from cogfit.inspection import contents
from cogfit.inspection.candidates import Candidates
from cogfit.inspection.readings import Command, LogReader, Reading
from cogfit.inspection.records import Axis, FileRows, Inspection
from cogfit.inspection.sources import Sources
from cogfit.inspection.suggestions import suggestions
from cogfit.logs.formats.reader import ROW, ReadOptions
from cogfit.logs.formats.registry import reader_named, titles
from cogfit.logs.reading import read_tables
from cogfit.progress import Progress
from cogfit.records.given import check_path

_LEFT_OUT = "left out: "  # files without the columns of one reading, which another may read


def inspect(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    x: str | None = None,
    pattern: str | None = None,
    run: str | None = None,
    progress: Progress | None = None,
) -> Inspection:
    r"""Say what a log holds, and how to fit it.

    Nothing is fitted, and nothing needs to be recognised: it takes files that ``cogfit fit`` refuses, too.

    Parameters
    ----------
    path : str or path-like
        A file or folder, as for :func:`cogfit.read_log`.
    format : str, optional
        Name of the reader, where it is not to be found by content.
    x, pattern, run : str, optional
        As for :func:`cogfit.read_log`; the commands take them over.
    progress : callable, optional
        Called as ``progress(done_bytes, total_bytes, name)``.

    Returns
    -------
    Inspection

    Raises
    ------
    InputError
        It cannot be read, or holds no column of numbers.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = Path(folder.name, "log.csv")
    >>> _ = file.write_text("epoch,my loss\n0,4.2\n1,3.1\n2,2.5\n3,2.2\n")
    >>> (column,) = [column for column in inspect(file).columns if column.command]
    >>> column.trend, column.command.replace(folder.name + "/", "")
    ('falls', "cogfit fit log.csv --y 'my loss' --x-offset 1")
    >>> folder.cleanup()
    """
    check_path("path", path, "write a table to a file, or fit it: cogfit.fit(table, y, x=…)")
    forced = reader_named(format) if format is not None else None
    asked = ReadOptions(x=x, pattern=pattern, run=run, every_column=True, progress=progress)
    with read_tables(path, forced, asked) as tables:
        return _inspected(Sources(tables, asked), Command(os.fspath(path), format, asked))


def _inspected(sources: Sources, command: Command) -> Inspection:
    """Facts of tables that have been read."""
    _check(sources)
    # one reading for all columns that are read alike, then those of the log as a whole
    reader = LogReader(sources)
    candidates = Candidates(reader, command)
    columns = candidates.columns()
    default = reader.default
    # runs and restarts are those of the routing log, or else of the column with the most values
    main, counted_in = candidates.main or (None, "")
    if default is not None and default.log.routing is not None:
        main, counted_in = default, ""
    routing = None if default is None else default.log.routing
    patterns = None if routing is None else contents.patterns(routing)
    labels = contents.label_counts(main, sources)
    return Inspection(
        path=command.path,
        format="+".join(dict.fromkeys(source.table.raw.format for source in sources.all)),
        files=tuple(_files(sources)),
        rows=sum(source.table.raw.rows_read for source in sources.all),
        kind=_kind(default),
        refusal=reader.refusal,
        axes=tuple(_axes(candidates)),
        runs=() if main is None else tuple(contents.runs(main)),
        unlike_runs=() if main is None else main.table.source.unlike_runs,
        splits=tuple(contents.splits(main, sources)),
        restarts=() if main is None else tuple(contents.restarts(main)),
        counted_in=counted_in,
        labels=labels if patterns is None else {**labels, "pattern": patterns.patterns},
        patterns=patterns,
        columns=tuple(columns),
        texts=tuple(sources.texts),
        suggestions=tuple(suggestions(reader, command, columns)),
        notes=() if main is None else main.table.source.notes,
        warnings=_warnings(sources, main),
    )


def _check(sources: Sources) -> None:
    """Refuse what holds no column of numbers."""
    if sources.names:
        return
    path, hint = sources.tables.path, "give a log with a step and a value in each row"
    if not sources.all:
        raise InputError("holds no log", path=path, hint=f"give a file or folder with one of: {titles()}")
    raise InputError(f"holds no column of numbers (columns: {shortlist(sources.texts)})", path=path, hint=hint)


def _files(sources: Sources) -> Iterator[FileRows]:
    for source in sources.all:
        yield FileRows(str(source.table.path), source.table.raw.format, source.table.raw.rows_read)


def _kind(default: Reading | None) -> Literal["utilization", "routing", "both", ""]:
    """Kind of log that is recognised."""
    if default is None:
        return ""
    if default.log.routing is None:
        return "utilization"
    return "routing" if default.log.utilization is None else "both"


def _axes(candidates: Candidates) -> Iterator[Axis]:
    """Candidates for x, the one that commands take first."""
    sources = candidates.sources
    used, offset = max(candidates.axes, key=candidates.axes.__getitem__, default=("", 0.0))
    has_row = ROW in sources.names
    for name in sorted([*sources.axes, *([] if has_row else [ROW])], key=lambda name: name != used):
        values = sources.known(name)
        if name == ROW and not has_row:
            values = np.array([1.0, max(source.n_rows for source in sources.all)])
        low, high = (float(values.min()), float(values.max())) if values.size else (np.nan, np.nan)
        yield Axis(name, low, high, is_used=name == used, x_offset=offset if name == used else 0.0)


def _warnings(sources: Sources, main: Reading | None) -> tuple[str, ...]:
    """What was noticed, but not what another reading makes good."""
    found = (*sources.tables.warnings, *(() if main is None else main.log.warnings))
    return tuple(warning for warning in dict.fromkeys(found) if not warning.startswith(_LEFT_OUT))

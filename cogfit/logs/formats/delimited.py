"""Reader of CSV and TSV.

The fast path is pyarrow's. What it cannot read, or may have misread, is read again record by record
(:mod:`cogfit.logs.formats.csv_repair`), which finds out which line is wrong.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from cogfit.errors import InputError
from cogfit.logs.formats.contents import (
    GZIP,
    TRUNCATED,
    ZSTD,
    bare_suffix,
    first_line,
    is_text,
    last_line,
    stretch,
    text_bytes,
    thinning_notes,
)
from cogfit.logs.formats.csv_cells import arrow_table, has_odd_cells, table_of
from cogfit.logs.formats.csv_repair import REPEATED_HEADER, repaired, row_lines
from cogfit.logs.formats.dialect import CUT_NUMBER, Dialect, dialect_of, line_record
from cogfit.logs.formats.reader import HEAD_BYTES, Evidence, Raw, Reader, ReadOptions


def read_csv(path: Path, options: ReadOptions) -> Raw:
    """Read a table of text, whatever its dialect."""
    raw = _read_plain_csv(path, options)
    raw = raw if raw is not None else _read_any_csv(path, replace(options, progress=None))
    return replace(raw, notes=(*raw.notes, *thinning_notes(raw.table)))


# --- tables without surprises -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Outline:
    """What the first and the last bytes of a table say.

    Attributes
    ----------
    dialect : Dialect
    end : int
        Offset of the end of the last whole line.
    size : int
    first, last : bytes
        The first row, if it is known, and the last whole line.
    """

    dialect: Dialect
    end: int
    size: int
    first: bytes
    last: bytes


def _read_plain_csv(path: Path, options: ReadOptions) -> Raw | None:
    """Stream a table without holding its text in memory.

    None if anything about it needs a closer look.
    """
    import pyarrow as pa

    outline = _outline(path)
    if outline is None:
        return None
    dialect, end, size = outline.dialect, outline.end, outline.size
    is_cut = end < size
    is_watched = is_cut or options.progress is not None
    with stretch(path, dialect.start, end if is_watched else None, options.progress) as rows:
        try:
            table = arrow_table(rows if end > dialect.start else None, dialect, options, first=outline.first)
        except pa.ArrowInvalid:
            return None
    if not is_watched and path.stat().st_size != size:  # it is being written: what was added may be cut short
        return None
    if has_odd_cells(table) or not (table.num_rows or is_cut):
        return None
    if not _is_last_line_closed(outline.last, dialect, path):
        return None
    cells, notes = table_of(table, dialect, options)
    dropped = {TRUNCATED: 1} if is_cut else {}

    def line_of(row: int) -> int:
        return _find_line(path.read_bytes(), row, dialect, path)

    return Raw(cells, "csv", len(cells) + len(dropped), dropped, tuple(notes), line_of)


def _outline(path: Path) -> _Outline | None:
    """Dialect, end and size of a table.

    Only the first and the last bytes are read; None if they are out of the ordinary.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(max(size - HEAD_BYTES, 0))
        tail = file.read()
    special = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, GZIP, ZSTD)
    whole_lines = head if len(head) == size else head[: head.rfind(b"\n") + 1]
    if head.startswith(special) or b"\0" in head or b"\0" in tail or b"\n" not in whole_lines:
        return None
    try:
        dialect = dialect_of(whole_lines, path)
    except InputError:
        return None
    before = size - len(tail)  # what the tail leaves out
    if len(tail) < size and b"\n" not in tail[:-4096]:
        return None
    floor = max(dialect.start - before, 0)
    cut = _cut_line(tail, floor, dialect, path)
    tail = tail[:cut]
    last = tail[max(last_line(tail), floor) :]
    end = size if cut is None else before + cut
    return _Outline(dialect, end, size, first_line(whole_lines[dialect.start :]), last)


def _cut_line(data: bytes, floor: int, dialect: Dialect, path: Path) -> int | None:
    """Offset of the last line if a crash cut it.

    Such a line has too few fields, or a number that breaks off.
    """
    begin = max(last_line(data, b"\r\n " if dialect.delimiter == "\t" else b"\r\n \t"), floor)
    line = data[begin:]
    # a quoted field may hold a line end, and a carriage return may be one: left to the careful path
    if not line or b'"' in line or b"\r" in line.rstrip(b"\r\n"):
        return None
    try:
        fields = line_record(line, dialect.delimiter, path).fields
    except InputError:  # cut within a character
        return None if line.endswith(b"\n") else begin
    cut = len(fields) < len(dialect.names)
    if len(fields) == len(dialect.names) and not line.endswith((b"\n", b"\r")):
        cut = CUT_NUMBER.fullmatch(fields[-1].strip()) is not None
    return begin if cut else None


def _is_last_line_closed(line: bytes, dialect: Dialect, path: Path) -> bool:
    """Whether the quotes of the last line close.

    If not, a crash may have cut a quoted number. Elsewhere a quote that does not close takes in a line end, which is
    then found in its cell.
    """
    if b'"' not in line:
        return True
    try:
        return line_record(line, dialect.delimiter, path).is_closed
    except InputError:
        return False


# --- all others -------------------------------------------------------------------------------------------------------


def _read_any_csv(path: Path, options: ReadOptions) -> Raw:
    """Read a table that is out of the ordinary.

    Its text may be compressed or damaged.
    """
    data = text_bytes(path, options)
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    dialect = dialect_of(data, path)
    cut = _cut_line(data, dialect.start, dialect, path)
    body, repeated = _without_headers(data[:cut], dialect)
    table = _whole_table(body, dialect, options, path)
    dropped = +Counter({TRUNCATED: int(cut is not None), REPEATED_HEADER: repeated})
    notes: list[str] = []
    lines: list[int] | None = None
    if table is None:
        # the whole of it, since a header that changes may make the last line complete
        result = repaired(data, dialect, path, options)
        table, lines, dropped, notes = result.table, result.lines, result.dropped, result.notes
    cells, more = table_of(table, dialect, options)
    if not len(cells) and not dropped:
        raise InputError("holds a header and no rows", path=path, hint="give a log with at least two rows")

    def line_of(row: int) -> int:
        return lines[row] if lines is not None else _find_line(data, row, dialect, path)

    return Raw(cells, "csv", len(cells) + dropped.total(), dropped, (*notes, *more), line_of)


def _without_headers(data: bytes, dialect: Dialect) -> tuple[bytes, int]:
    """Rows of a table without repeated headers, and how many these were."""
    if not dialect.header or data.find(b"\n" + dialect.header, dialect.start - 1) < 0:
        return data[dialect.start :], 0
    pattern = re.compile(rb"^" + re.escape(dialect.header) + rb"\r?(\n|\Z)", re.MULTILINE)
    return pattern.subn(b"", data[dialect.start :])


def _whole_table(body: bytes, dialect: Dialect, options: ReadOptions, path: Path) -> Any | None:
    """Arrow's table, None if it may be wrong."""
    import pyarrow as pa

    try:
        table = arrow_table(pa.BufferReader(body) if body else None, dialect, options, first=first_line(body))
    except pa.ArrowInvalid:
        return None
    is_closed = _is_last_line_closed(body[last_line(body) :], dialect, path)
    return table if is_closed and not has_odd_cells(table) else None


def _find_line(data: bytes, row: int, dialect: Dialect, path: Path) -> int:
    return next(islice(row_lines(data, dialect, path), row, None))


# --- which files are such tables --------------------------------------------------------------------------------------


def header_names(head: bytes) -> tuple[str, ...]:
    """Names of the columns of a text table.

    None if `head` is the start of something else.
    """
    if not is_text(head):
        return ()
    data = head.removeprefix(codecs.BOM_UTF8)
    try:
        return dialect_of(data, Path()).names
    except InputError:
        return ()


def is_csv(path: Path, head: bytes) -> bool:
    """Whether a file is a table of text."""
    if not is_text(head) or head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"["):
        return False
    return bare_suffix(path) in (".csv", ".tsv") or len(header_names(head)) > 1


CSV = Reader(
    name="csv",
    title="CSV or TSV",
    recognise=is_csv,
    read=read_csv,
    is_text=True,
    suffixes=(".csv", ".tsv", ".txt", ".log"),
    rank=2,
    other_names=("tsv", "lightning"),
    evidence=Evidence.CATCH_ALL,
)

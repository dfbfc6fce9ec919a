"""Readers of CSV, TSV and exports of Weights & Biases.

The fast path is pyarrow's. Only when that fails does a slow and careful path in plain Python read the file again, to
find out which line is wrong.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogfit.errors import InputError
from cogfit.logs.clean import MISSING
from cogfit.logs.formats.contents import (
    CONVERT,
    GZIP,
    TRUNCATED,
    ZSTD,
    bare_suffix,
    check_unique,
    decoded,
    is_text,
    last_line,
    offset_lines,
    stretch,
    text_bytes,
    thinning_notes,
    to_frame,
)
from cogfit.logs.formats.reader import HEAD_BYTES, Evidence, Raw, Reader, ReadOptions

if TYPE_CHECKING:
    import pandas as pd

REPEATED_HEADER = "repeated header line"


# --- CSV --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Dialect:
    """How a text table is written."""

    delimiter: str
    decimal: str
    names: tuple[str, ...]
    header: bytes  # as written, without its line end; empty if a comment line served as header
    start: int  # offset of the first row
    start_line: int


_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?|[-+]?(nan|inf(inity)?)", re.IGNORECASE)
_CUT_NUMBER = re.compile(r"[-+]|[-+]?(\d+\.?\d*|\.\d*)[eE][-+]?|[-+]?\.|na|tru?|fals?|nul|inf?", re.IGNORECASE)


def _fields(line: bytes, delimiter: str, path: Path) -> list[str]:
    try:
        return next(csv.reader([decoded(line, path).strip("\r\n")], delimiter=delimiter), [])
    except csv.Error as error:
        raise InputError(f"cannot be read as a table: {error}", path=path, hint=CONVERT) from None


def _guess_delimiter(header: str) -> str:
    bare = re.sub(r'"[^"]*"', "", header)
    return max((",", "\t", ";"), key=bare.count)


def _is_header_of_numbers(fields: Sequence[str]) -> bool:
    return any(field.strip() for field in fields) and all(
        _NUMBER.fullmatch(field.strip()) or not field.strip() for field in fields
    )


def _dialect(data: bytes, path: Path) -> _Dialect:
    comment, line_number = b"", 0
    for start, line in offset_lines(data):
        line_number += 1
        if not line.strip():
            continue
        if line.startswith(b"#"):
            comment = line
            continue
        text = decoded(line, path)
        delimiter = _guess_delimiter(text)
        fields = _fields(line, delimiter, path)
        first, header = start + len(line), line.rstrip(b"\r\n")
        if _is_header_of_numbers(fields):
            # numpy.savetxt and others write the header as a comment
            named = _fields(comment.lstrip(b"# "), delimiter, path)
            if len(named) != len(fields) or _is_header_of_numbers(named):
                raise InputError(
                    f"has no header: its first line is '{text.strip()[:60]}'",
                    path=path,
                    line=line_number,
                    hint="add a line with the names of the columns, such as step,attention_utilization",
                )
            fields, first, header = named, start, b""
            line_number -= 1
        names = tuple(field.strip() or f"unnamed_{index}" for index, field in enumerate(fields))
        check_unique(names, path, line_number)
        following = data[first : first + 4096]
        decimal = "," if delimiter == ";" and re.search(rb"(^|;)\s*-?\d+,\d+\s*(;|\r?\n|$)", following) else "."
        return _Dialect(delimiter, decimal, names, header, first, line_number + 1)
    raise InputError("holds nothing but comments", path=path, hint="give a log with a header and at least two rows")


def _csv_rows(data: bytes, dialect: _Dialect, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line and fields of each row, read slowly.

    Blank lines and repeated headers are passed over.
    """
    text = io.StringIO(decoded(data, path, dialect.start), newline="")
    reader = csv.reader(text, delimiter=dialect.delimiter)
    names = list(dialect.names)
    before = 0
    try:
        for fields in reader:
            line, before = dialect.start_line + before, reader.line_num
            blank = not fields or (len(fields) == 1 and not fields[0].strip())
            if not blank and not (dialect.header and [field.strip() for field in fields] == names):
                yield line, fields
    except csv.Error as error:
        raise InputError(
            f"cannot be read as a table: {error}", path=path, line=dialect.start_line + before, hint=CONVERT
        ) from None


def _cut_line(data: bytes, floor: int, dialect: _Dialect, path: Path) -> int | None:
    """Offset of the last line if a crash cut it.

    Such a line has too few fields, or a number that breaks off.
    """
    begin = max(last_line(data, b"\r\n " if dialect.delimiter == "\t" else b"\r\n \t"), floor)
    line = data[begin:]
    if not line or b'"' in line:  # a quoted field may hold a line end: left to the careful path
        return None
    try:
        fields = _fields(line, dialect.delimiter, path)
    except InputError:  # cut within a character
        return None if line.endswith(b"\n") else begin
    cut = len(fields) < len(dialect.names)
    if len(fields) == len(dialect.names) and not line.endswith((b"\n", b"\r")):
        cut = _CUT_NUMBER.fullmatch(fields[-1].strip()) is not None
    return begin if cut else None


def _read_csv(path: Path, options: ReadOptions) -> Raw:
    raw = _read_plain_csv(path, options)
    raw = raw if raw is not None else _read_any_csv(path, replace(options, progress=None))
    return replace(raw, notes=(*raw.notes, *thinning_notes(raw.frame)))


def _read_plain_csv(path: Path, options: ReadOptions) -> Raw | None:
    """Stream a table without holding its text in memory.

    None if anything about it needs a closer look.
    """
    import pyarrow as pa

    outline = _outline(path)
    if outline is None:
        return None
    dialect, end, size = outline
    is_cut = end < size
    is_watched = is_cut or options.progress is not None
    with stretch(path, dialect.start, end if is_watched else None, options.progress) as rows:
        try:
            table = _arrow_csv(rows if end > dialect.start else None, dialect)
        except pa.ArrowInvalid:
            return None
    if not is_watched and path.stat().st_size != size:  # it is being written: what was added may be cut short
        return None
    if _has_odd_cells(table) or not (table.num_rows or is_cut):
        return None
    frame, notes = to_frame(table)
    dropped = {TRUNCATED: 1} if is_cut else {}

    def line_of(row: int) -> int:
        return _find_line(path.read_bytes(), row, dialect, path)

    return Raw(frame, "csv", len(frame) + len(dropped), dropped, tuple(notes), line_of)


def _outline(path: Path) -> tuple[_Dialect, int, int] | None:
    """Dialect, end and size of a table.

    The end is that of its last whole line.

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
        dialect = _dialect(whole_lines, path)
    except InputError:
        return None
    before = size - len(tail)  # what the tail leaves out
    if len(tail) < size and b"\n" not in tail[:-4096]:
        return None
    cut = _cut_line(tail, max(dialect.start - before, 0), dialect, path)
    return dialect, size if cut is None else before + cut, size


def _has_odd_cells(table: Any) -> bool:
    """Whether cells need a closer look.

    A header was repeated, or a cell holds zero bytes or no UTF-8.
    """
    import pyarrow as pa
    from pyarrow import compute

    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_binary(column.type):
            return True
        if pa.types.is_string(column.type):  # a repeated header or a zero byte makes any column one of text
            odd = compute.or_(compute.equal(column, name), compute.match_substring(column, "\0"))
            if compute.any(odd).as_py():
                return True
    return False


def _find_line(data: bytes, row: int, dialect: _Dialect, path: Path) -> int:
    return next(line for index, (line, _) in enumerate(_csv_rows(data, dialect, path)) if index == row)


def _read_any_csv(path: Path, options: ReadOptions) -> Raw:
    """Read a table that is out of the ordinary.

    Its text may be compressed or damaged.
    """
    import pyarrow as pa

    data = text_bytes(path, options)
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    dialect = _dialect(data, path)
    whole = data
    cut = _cut_line(data, dialect.start, dialect, path)
    dropped = {TRUNCATED: 1} if cut is not None else {}
    data = data[:cut]
    body: Any = pa.py_buffer(data).slice(dialect.start)
    if dialect.header and data.find(b"\n" + dialect.header, dialect.start - 1) >= 0:
        pattern = re.compile(rb"^" + re.escape(dialect.header) + rb"\r?(\n|\Z)", re.MULTILINE)
        kept, repeated = pattern.subn(b"", data[dialect.start :])
        body = pa.py_buffer(kept)
        dropped |= {REPEATED_HEADER: repeated} if repeated else {}
    notes: list[str] = []
    lines: list[int] | None = None
    try:
        table = _arrow_csv(pa.BufferReader(body) if body.size else None, dialect)
        if any(pa.types.is_binary(column) for column in table.schema.types):
            decoded(data, path)  # says where it is not UTF-8
        frame, notes = to_frame(table)
    except pa.ArrowInvalid:
        frame, lines, short = _careful_csv(data, dialect, path)
        dropped |= {TRUNCATED: 1} if short else {}
    if not len(frame) and not dropped:
        raise InputError("holds a header and no rows", path=path, hint="give a log with at least two rows")

    def line_of(row: int) -> int:
        if lines is not None:
            return lines[row]
        return _find_line(whole, row, dialect, path)

    return Raw(frame, "csv", len(frame) + sum(dropped.values()), dropped, tuple(notes), line_of)


@cache
def _null_texts() -> list[str]:
    return sorted({spelling for word in MISSING for spelling in (word, word.upper(), word.title())} | {"NaN", "-NaN"})


def _arrow_csv(rows: Any, dialect: _Dialect) -> Any:
    """Arrow's table of the rows of a stream.

    It is empty if the stream is None.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    if rows is None:
        return pa.table({name: pa.array([], pa.float64()) for name in dialect.names})
    return arrow.read_csv(
        rows,
        read_options=arrow.ReadOptions(column_names=list(dialect.names), use_threads=True),
        parse_options=arrow.ParseOptions(delimiter=dialect.delimiter),
        convert_options=arrow.ConvertOptions(
            null_values=_null_texts(), strings_can_be_null=True, decimal_point=dialect.decimal
        ),
    )


def _careful_csv(data: bytes, dialect: _Dialect, path: Path) -> tuple[pd.DataFrame, list[int], bool]:
    """Read a table row by row.

    Also return the lines of the rows, and whether the last one was cut short and left out.
    """
    import pandas as pd

    rows = list(_csv_rows(data, dialect, path))
    width = len(dialect.names)
    short = bool(rows) and len(rows[-1][1]) < width
    rows = rows[:-1] if short else rows
    for line, fields in rows:
        if len(fields) != width:
            raise InputError(
                f"has {len(fields)} field{'s' if len(fields) > 1 else ''} where the header has {width}",
                path=path,
                line=line,
                hint="correct or remove this line",
            )
    cells: dict[str, Any] = {}
    for index, name in enumerate(dialect.names):
        texts = [None if fields[index].strip().casefold() in MISSING else fields[index] for _, fields in rows]
        column = pd.Series(texts, dtype=object)
        if dialect.decimal == ",":
            column = column.str.replace(",", ".", regex=False)
        try:
            cells[name] = pd.to_numeric(column)
        except (ValueError, TypeError):
            cells[name] = pd.Series(texts, dtype="str")
    return pd.DataFrame(cells), [line for line, _ in rows], short


def _header_names(head: bytes) -> tuple[str, ...]:
    """Names of the columns of a text table.

    None if `head` is the start of something else.
    """
    if not is_text(head):
        return ()
    data = head.removeprefix(codecs.BOM_UTF8)
    try:
        return _dialect(data, Path()).names
    except InputError:
        return ()


def _is_csv(path: Path, head: bytes) -> bool:
    if not is_text(head) or head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"["):
        return False
    return bare_suffix(path) in (".csv", ".tsv") or len(_header_names(head)) > 1


# --- Weights & Biases -------------------------------------------------------------------------------------------------


def _wandb_columns(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Columns of a W&B chart export by run and metric.

    Empty if this is no such export.
    """
    runs: dict[str, dict[str, str]] = {}
    for name in names[1:]:
        run, separator, metric = name.rpartition(" - ")
        if not separator:
            return {}
        if not metric.endswith(("__MIN", "__MAX")):
            runs.setdefault(run, {})[metric] = name
    return runs


def _is_wandb(path: Path, head: bytes) -> bool:
    return _is_csv(path, head) and bool(_wandb_columns(_header_names(head)))


def _read_wandb(path: Path, options: ReadOptions) -> Raw:
    """Read a chart export into rows by run.

    The export has one column for each run.
    """
    import pandas as pd

    raw = replace(_read_csv(path, options), format="wandb")
    names = [str(name) for name in raw.frame.columns]
    runs = _wandb_columns(names)
    if not runs:
        raise InputError(
            "is no W&B chart export: it has no columns such as 'run - metric'", path=path, hint="try --format csv"
        )
    if options.y in names or options.x in names[1:]:
        return raw  # the user means one column of one run
    parts = []
    for run, metrics in runs.items():
        part = raw.frame[[names[0], *metrics.values()]]
        part = part.rename(columns={column: metric for metric, column in metrics.items() if metric != names[0]})
        steps = [name for name in part.columns if str(name).casefold() == "_step" and name != names[0]]
        parts.append(part.drop(columns=steps).assign(run=run))
    rows, line_of = len(raw.frame), raw.line_of
    note = (f"W&B export: {len(runs)} runs, one column each, became rows",) if len(runs) > 1 else ()
    return replace(
        raw,
        frame=pd.concat(parts, ignore_index=True),
        rows_read=raw.rows_read + (len(runs) - 1) * rows,
        notes=(*raw.notes, *note),
        line_of=(lambda row: line_of(row % rows)) if line_of is not None else None,
    )


CSV = Reader(
    name="csv",
    title="CSV or TSV",
    recognise=_is_csv,
    read=_read_csv,
    is_text=True,
    suffixes=(".csv", ".tsv", ".txt", ".log"),
    rank=2,
    other_names=("tsv", "lightning"),
    evidence=Evidence.CATCH_ALL,
)

WANDB = Reader(
    name="wandb",
    title="W&B export",
    recognise=_is_wandb,
    read=_read_wandb,
    is_text=True,
    suffixes=(".csv",),
    rank=5,
    other_names=("w&b",),
    evidence=Evidence.KEYS,
)

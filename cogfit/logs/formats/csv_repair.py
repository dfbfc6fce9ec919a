"""Read a text table record by record, where Arrow fails or may have misread it.

Blank lines, repeated headers and a last line that was cut short are left out and counted. A header that changes begins
a new part. What cannot be read is refused with its line.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cogfit.errors import InputError
from cogfit.logs.formats.contents import TRUNCATED, check_unique, decoded
from cogfit.logs.formats.csv_cells import arrow_table
from cogfit.logs.formats.dialect import CUT_NUMBER, NUMBER, Dialect, column_names
from cogfit.logs.formats.reader import ReadOptions
from cogfit.logs.formats.records import QUOTE, Record, split_records
from cogfit.logs.labels import MISSING

REPEATED_HEADER = "repeated header line"
CHANGED_HEADER = "changed header line"


@dataclass
class _Stretch:
    """Rows below one header."""

    names: tuple[str, ...]
    rows: list[list[str]] = field(default_factory=list)


@dataclass
class Repaired:
    """A table that was read record by record.

    Attributes
    ----------
    table : pyarrow.Table
    lines : list of int
        Line of each row.
    dropped : Counter of str
        Records left out, by reason.
    notes : list of str
    """

    table: Any
    lines: list[int]
    dropped: Counter[str]
    notes: list[str]


def repaired(data: bytes, dialect: Dialect, path: Path, options: ReadOptions) -> Repaired:
    """Read a table record by record.

    Raises
    ------
    InputError
        A record has too many or too few fields, or a quote takes in the lines after it.
    """
    stretches = [_Stretch(dialect.names)]
    lines: list[int] = []
    dropped: Counter[str] = Counter()
    notes: list[str] = []
    short: Record | None = None
    for record, header in _records(data, dialect, path):
        if short is not None:
            raise _wrong_width(short, len(stretches[-1].names), path)
        if header is None:
            width = len(stretches[-1].names)
            if len(record.fields) < width or _is_cut(record):
                short = record  # of the last one a crash may have cut the end
            elif len(record.fields) > width:
                raise _wrong_width(record, width, path)
            else:
                stretches[-1].rows.append(record.fields)
                lines.append(record.line)
        elif header == stretches[-1].names:
            dropped[REPEATED_HEADER] += 1
        else:
            dropped[CHANGED_HEADER] += 1
            notes.append(f"the header changes on line {record.line}, to {', '.join(header[:12])}")
            stretches.append(_Stretch(header))
    if short is not None or _text(data, dialect, path)[1]:
        dropped[TRUNCATED] += 1
    tables = [_table(stretch, dialect, options) for stretch in stretches if stretch.rows]
    table = _joined(tables) if tables else arrow_table(None, dialect, options)
    return Repaired(table, lines, dropped, notes)


def row_lines(data: bytes, dialect: Dialect, path: Path) -> Iterator[int]:
    """Line of each row.

    Blank lines and headers are passed over.
    """
    return (record.line for record, header in _records(data, dialect, path) if header is None)


def _records(data: bytes, dialect: Dialect, path: Path) -> Iterator[tuple[Record, tuple[str, ...] | None]]:
    """Records that are not blank, each with its names if it is a header."""
    names = dialect.names
    numeric: list[int] = []  # places of numbers in the first record that has any
    text, _ = _text(data, dialect, path)
    for record in split_records(text, dialect.delimiter, dialect.start_line):
        # in a table with tabs, empty cells look like blanks
        if record.is_blank and not (dialect.delimiter in record.text and len(record.fields) == len(names)):
            continue
        header = _header(record, names, path) if dialect.header else None
        names = header or names
        if header is None and not numeric:
            numeric = [place for place, text in enumerate(record.fields) if NUMBER.fullmatch(text.strip())]
        if record.quote_line is not None:
            _check_quote(record, dialect, len(names), numeric, path)
        yield record, header


def _text(data: bytes, dialect: Dialect, path: Path) -> tuple[str, bool]:
    """Text of the rows, and whether its last line was left out.

    It is if a crash has cut it within a character.
    """
    try:
        return data[dialect.start :].decode(), False
    except UnicodeDecodeError as error:
        begin = max(data.rfind(b"\n") + 1, dialect.start)
        if error.reason == "unexpected end of data" and begin <= dialect.start + error.start:
            return decoded(data[:begin], path, dialect.start), True
        return decoded(data, path, dialect.start), False


def _header(record: Record, names: Sequence[str], path: Path) -> tuple[str, ...] | None:
    """Names of a record that is a header.

    None for a row: any row of a log holds a number, or nothing where one was missing.
    """
    fields = [text.strip() for text in record.fields]
    found = column_names(fields)
    if found == names:
        return found
    named = fields[1:] if not fields[0] else fields  # pandas leaves the name of its index out
    if not any(name in names for name in named):
        return None
    if any(NUMBER.fullmatch(name) or name.casefold() in MISSING for name in named):
        return None
    check_unique(found, path, record.line)
    return found


def _check_quote(record: Record, dialect: Dialect, width: int, numeric: Sequence[int], path: Path) -> None:
    """Refuse a quote that takes in lines which are rows.

    A quote that opens on the last line and never closes is what a crash leaves.
    """
    within = "\n" in record.fields[-1] or "\r" in record.fields[-1]
    if not record.is_closed and not within:
        return
    taken_in = record.text.splitlines()[1:]
    is_row = any(_is_row(line, dialect.delimiter, width, numeric) for line in taken_in)
    if not record.is_closed or not record.is_clean or is_row:
        raise InputError(
            "a quote opens here and takes in the lines after it" + ("" if record.is_closed else ", it never closes"),
            path=path,
            line=record.quote_line,
            hint="close or remove the quote",
        )


def _is_row(line: str, delimiter: str, width: int, numeric: Sequence[int]) -> bool:
    """Whether a line within quotes is a row of the table.

    It has as many fields, with numbers in the same places.
    """
    fields = [text.strip() for text in line.split(delimiter)]
    if len(fields) != width or not any(place < width for place in numeric):
        return False
    return all(NUMBER.fullmatch(fields[place]) for place in numeric if place < width)


def _is_cut(record: Record) -> bool:
    """Whether a record breaks off, within quotes or within a number."""
    is_number = QUOTE not in record.text and CUT_NUMBER.fullmatch(record.fields[-1].strip()) is not None
    return not record.is_closed or (not record.is_ended and is_number)


def _wrong_width(record: Record, width: int, path: Path) -> InputError:
    count = len(record.fields)
    return InputError(
        f"has {count} field{'s' if count > 1 else ''} where the header has {width}",
        path=path,
        line=record.line,
        hint="correct or remove this line",
    )


def _table(stretch: _Stretch, dialect: Dialect, options: ReadOptions) -> Any:
    """Arrow's table of the rows of one header, written anew."""
    import pyarrow as pa

    text = io.StringIO(newline="")
    csv.writer(text, delimiter=dialect.delimiter, lineterminator="\n").writerows(stretch.rows)
    data = text.getvalue().encode()
    # a bound for the longest record, whatever needs to be quoted
    longest = max(sum(map(len, row)) + len(row) for row in stretch.rows) * 8
    part = replace(dialect, names=stretch.names)
    return arrow_table(pa.BufferReader(data), part, options, longest=min(longest, len(data)))


def _joined(tables: Sequence[Any]) -> Any:
    """Rows of several tables, with the columns of all.

    Columns are joined by name. One whose types differ becomes text, which is exact.
    """
    import pyarrow as pa

    if len(tables) == 1:
        return tables[0]
    columns = {}
    for name in dict.fromkeys(name for table in tables for name in table.column_names):
        kinds = {table.schema.field(name).type for table in tables if name in table.column_names}
        kinds = {kind for kind in kinds if not pa.types.is_null(kind)} or {pa.null()}
        kind = kinds.pop() if len(kinds) == 1 else pa.string()
        chunks = [chunk for table in tables for chunk in _chunks(table, name, kind)]
        columns[name] = pa.chunked_array(chunks, kind)
    return pa.table(columns)


def _chunks(table: Any, name: str, kind: Any) -> Any:
    """Cells of a column as a type, nulls if a table lacks it."""
    import pyarrow as pa

    if name not in table.column_names:
        return [pa.nulls(len(table), kind)]
    column = table.column(name)
    return (column if column.type == kind else column.cast(kind)).chunks

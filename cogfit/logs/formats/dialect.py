"""How a text table is written: its delimiter, its decimal mark, its header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cogfit.errors import InputError
from cogfit.logs.formats.contents import check_unique, decoded, offset_lines
from cogfit.logs.formats.records import Record, split_records

NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?|[-+]?(nan|inf(inity)?)", re.IGNORECASE)
"""Texts that are a number in one dialect or another."""

CUT_NUMBER = re.compile(r"[-+]|[-+]?(\d+\.?\d*|\.\d*)[eE][-+]?|[-+]?\.|na|tru?|fals?|nul|inf?", re.IGNORECASE)
"""Texts that are the start of a number or a word, but not yet one."""

_RETURN = re.compile(rb"(?<=\r)(?!\n).*", re.DOTALL)

DELIMITERS = (",", "\t", ";")


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    Attributes
    ----------
    delimiter, decimal : str
    names : tuple of str
        Columns.
    header : bytes
        As written, without its line end; empty if a comment line served as header.
    start : int
        Offset of the first row.
    start_line : int
    """

    delimiter: str
    decimal: str
    names: tuple[str, ...]
    header: bytes
    start: int
    start_line: int


def dialect_of(data: bytes, path: Path) -> Dialect:
    r"""Dialect of a table, of which the first lines suffice.

    Examples
    --------
    >>> dialect = dialect_of(b"# run 3\nstep;loss\n0;0,5\n", Path("log.csv"))
    >>> dialect.delimiter, dialect.decimal, dialect.names, dialect.start_line
    (';', ',', ('step', 'loss'), 3)
    """
    comment, line_number = b"", 0
    for start, line in offset_lines(data):
        line_number += 1
        if not line.strip():
            continue
        if line.startswith(b"#"):
            comment = line
            continue
        line = _RETURN.sub(b"", line)  # where a carriage return ends the header, what follows is a row
        text = decoded(line, path)
        delimiter = _guess_delimiter(text)
        fields = line_record(line, delimiter, path).fields
        first, header = start + len(line), line.rstrip(b"\r\n")
        if _is_header_of_numbers(fields):
            # numpy.savetxt and others write the header as a comment
            named = line_record(comment.lstrip(b"# "), delimiter, path).fields
            if len(named) != len(fields) or _is_header_of_numbers(named):
                raise InputError(
                    f"has no header: its first line is '{text.strip()[:60]}'",
                    path=path,
                    line=line_number,
                    hint="add a line with the names of the columns, such as step,attention_utilization",
                )
            fields, first, header = named, start, b""
            line_number -= 1
        names = column_names(fields)
        check_unique(names, path, line_number)
        following = data[first : first + 4096]
        decimal = "," if delimiter == ";" and re.search(rb'(^|;)\s*"?-?\d+,\d+"?\s*(;|\r?\n|$)', following) else "."
        return Dialect(delimiter, decimal, names, header, first, line_number + 1)
    raise InputError("holds nothing but comments", path=path, hint="give a log with a header and at least two rows")


def column_names(fields: Sequence[str]) -> tuple[str, ...]:
    """Names of the columns of a header.

    Examples
    --------
    >>> column_names(["", " step"])
    ('unnamed_0', 'step')
    """
    return tuple(field.strip() or f"unnamed_{index}" for index, field in enumerate(fields))


def line_record(line: bytes, delimiter: str, path: Path) -> Record:
    """The record of a line."""
    text = decoded(line, path).strip("\r\n")
    return next(split_records(text, delimiter), Record(1, [], ""))


def _guess_delimiter(header: str) -> str:
    bare = re.sub(r'"[^"]*"', "", header)
    return max(DELIMITERS, key=bare.count)


def _is_header_of_numbers(fields: Sequence[str]) -> bool:
    return any(field.strip() for field in fields) and all(
        NUMBER.fullmatch(field.strip()) or not field.strip() for field in fields
    )

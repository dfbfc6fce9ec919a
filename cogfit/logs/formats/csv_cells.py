"""Cells of a text table: which are numbers, which are names, which are missing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from cogfit.logs.columnar import ColumnTable, arrow_texts
from cogfit.logs.columns import label_columns
from cogfit.logs.formats.dialect import Dialect
from cogfit.logs.formats.reader import ReadOptions
from cogfit.logs.formats.tables import to_table
from cogfit.logs.labels import MISSING

if TYPE_CHECKING:
    import pandas as pd

    from cogfit.logs.columnar import Frame

_BLOCK_BYTES = 1 << 20  # what Arrow reads at a time; a record must fit into it
_LARGEST_BLOCK = 2**31 - 1
_ROWS_AT_A_TIME = 32  # of a wide table; each block costs as much as there are columns
_WIDE = 256  # columns
_FLOAT = re.compile(r"[-+]?\d+\.\d+([eE][-+]?\d+)?")
_THOUSANDS = r"^(\d+|[1-9]\d{0,2}(,\d{3})+)$"  # not 0,500, which is a fraction
_WHOLE_FLOAT = re.compile(r"-?\d+\.0")


def arrow_table(
    rows: Any, dialect: Dialect, options: ReadOptions, *, first: bytes = b"", longest: int | None = None
) -> Any:
    """Arrow's table of the rows of a stream.

    It is empty if the stream is None. Labels are read as text.

    Parameters
    ----------
    rows : pyarrow.NativeFile or None
    dialect : Dialect
    options : ReadOptions
    first : bytes
        The first row, if it is known.
    longest : int, optional
        Size of the longest record, where records may hold line ends or be longer than what Arrow reads at a time.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    if rows is None:
        return pa.table({name: pa.array([], pa.float64()) for name in dialect.names})
    labels = dict.fromkeys(label_columns(dialect.names, options), pa.dictionary(pa.int32(), pa.string()))
    block_size = max(_BLOCK_BYTES, 2 * (longest or 0), _ROWS_AT_A_TIME * len(first))
    return arrow.read_csv(
        rows,
        read_options=arrow.ReadOptions(
            column_names=list(dialect.names), use_threads=True, block_size=min(block_size, _LARGEST_BLOCK)
        ),
        parse_options=arrow.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=longest is not None),
        # text that means a missing number may be a name in a column of labels, so text is never null
        convert_options=arrow.ConvertOptions(
            null_values=_null_texts(),
            strings_can_be_null=False,
            decimal_point=dialect.decimal,
            column_types=dict.fromkeys(_float_columns(dialect, first), pa.float64()) | labels,
        ),
    )


def _float_columns(dialect: Dialect, first: bytes) -> list[str]:
    """Columns of a wide table that hold floats by their first row.

    Arrow would find out, too, but tries six other types first, column by column.
    """
    if len(dialect.names) < _WIDE or dialect.decimal != "." or b'"' in first:
        return []
    fields = first.decode("utf-8", "replace").split(dialect.delimiter)
    if len(fields) != len(dialect.names):
        return []
    return [name for name, text in zip(dialect.names, fields, strict=True) if _FLOAT.fullmatch(text.strip())]


@cache
def _null_texts() -> list[str]:
    return sorted({spelling for word in MISSING for spelling in (word, word.upper(), word.title())} | {"NaN", "-NaN"})


def has_odd_cells(table: Any) -> bool:
    """Whether cells need a closer look.

    A header was repeated or changed, or a cell holds a line end that a quote has taken in, a zero byte or no UTF-8.
    Each of these makes its column one of text.
    """
    import pyarrow as pa

    kinds = set(table.schema.types)
    if any(pa.types.is_binary(kind) for kind in kinds):
        return True
    if not any(_is_text_type(kind) for kind in kinds):
        return False
    texts = [_texts(column) for column in table.columns if _is_text_type(column.type)]
    if any(_has_odd_bytes(chunk) for chunks in texts for chunk in chunks):
        return True
    # a header leaves no column without text
    if len(texts) < table.num_columns:
        return False
    from pyarrow import compute

    names = arrow_texts(table.column_names)
    return any(compute.any(compute.is_in(chunk, value_set=names)).as_py() for chunks in texts for chunk in chunks)


def _is_text_type(kind: Any) -> bool:
    """Whether an Arrow type is one of text, labels included."""
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_dictionary(kind))


def _texts(column: Any) -> list[Any]:
    """All texts of a column, those of labels once."""
    import pyarrow as pa

    return [chunk.dictionary if pa.types.is_dictionary(column.type) else chunk for chunk in column.chunks]


def _has_odd_bytes(texts: Any) -> bool:
    """Whether texts hold line ends or zero bytes, wherever."""
    content = texts.buffers()[-1]
    if content is None:
        return False
    data = content.to_pybytes()
    return any(byte in data for byte in (b"\n", b"\r", b"\0"))


def table_of(table: Any, dialect: Dialect, options: ReadOptions) -> tuple[Frame, list[str]]:
    """The cells of a text table, with its notes."""
    table, notes = _without_missing(table, dialect)
    cells, more = to_table(table, options)
    if not isinstance(cells, ColumnTable):
        for name in label_columns(table.column_names, options):
            cells[name] = _whole_labels(cells[name])
    return cells, notes + more


def _without_missing(table: Any, dialect: Dialect) -> tuple[Any, list[str]]:
    """Forget texts that mean a missing number.

    Thousands separators are read, too.
    """
    import pyarrow as pa

    notes: list[str] = []
    if not any(pa.types.is_string(kind) for kind in set(table.schema.types)):
        return table, notes
    from pyarrow import compute  # takes longer to load than to read a table

    missing, none = arrow_texts(_null_texts()), pa.nulls(1, pa.string())[0]
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        if not pa.types.is_string(column.type):
            continue
        column = compute.if_else(compute.is_in(column, value_set=missing), none, column)
        if dialect.delimiter == "," and (whole := _with_thousands(column)) is not None:
            notes.append(f"numbers of column '{name}' such as '1,000' were read as thousands, here 1000")
            column = whole
        table = table.set_column(place, name, column)
    return table, notes


def _with_thousands(column: Any) -> Any | None:
    """Whole numbers of a column that separates thousands.

    None if it holds anything else. In a table with commas between its fields a comma within one is no decimal mark
    if every number fits the pattern of thousands.
    """
    import pyarrow as pa
    from pyarrow import compute

    first = next((text for text in column.slice(0, 1000).to_pylist() if text is not None), None)
    if first is None or not first[:1].isdecimal():  # most text begins otherwise
        return None
    if not compute.all(compute.match_substring_regex(column, _THOUSANDS)).as_py():
        return None
    try:
        return compute.replace_substring(column, ",", "").cast(pa.int64())
    except pa.ArrowInvalid:  # beyond 64 bits
        return None


def _whole_labels(labels: pd.Series[Any]) -> pd.Series[Any]:
    """Labels that pandas wrote as floats, as the integers that they were.

    It does so where integers have gaps.
    """
    names: Sequence[str] = labels.cat.categories.tolist()
    if not labels.hasnans or not all(_WHOLE_FLOAT.fullmatch(name) for name in names):
        return labels
    return labels.cat.rename_categories([name[:-2] for name in names])

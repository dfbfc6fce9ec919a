"""Reader of Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from cogfit.errors import InputError
from cogfit.logs.columns import find_columns
from cogfit.logs.formats.contents import (
    GZIP,
    ZSTD,
    check_unique,
    read_bytes,
)
from cogfit.logs.formats.reader import Evidence, Raw, Reader, ReadOptions
from cogfit.logs.formats.tables import check_text, flattened, to_frame

_PARQUET = b"PAR1"
_LARGEST = 2**62  # limits of an index that surely fit into 64 bits


def _read_parquet(path: Path, options: ReadOptions) -> Raw:
    try:
        return _read_table(path, options)
    except UnicodeDecodeError:
        raise InputError(
            "has columns whose names are not encoded in UTF-8", path=path, hint="write it as UTF-8"
        ) from None


def _read_table(path: Path, options: ReadOptions) -> Raw:
    import pyarrow as pa
    from pyarrow import parquet

    with path.open("rb") as opened:
        compressed = opened.read(4).startswith((GZIP, ZSTD))
    content = read_bytes(path, None, options.progress, options.max_bytes) if compressed else None
    with parquet.ParquetFile(path if content is None else pa.BufferReader(content)) as file:
        n_rows = file.metadata.num_rows
        stored = file.schema_arrow.names
        implied = _implied_index(file.schema_arrow, n_rows)
        names = [*stored, *implied]
        check_unique(names, path)
        needed = _needed(names, options, path)
        table = flattened(file.read(columns=None if needed is None else [name for name in needed if name in stored]))
    if table.num_columns and len(table) != n_rows:
        raise InputError(
            f"says that it has {n_rows} rows and holds {len(table)}", path=path, hint="check that the file is complete"
        )
    check_unique([*table.column_names, *implied], path)
    check_text(table, options, path)
    for name, numbers in implied.items():  # before labels are found, since it may be one of them
        table = table.append_column(name, pa.array(np.arange(numbers.start, numbers.stop, numbers.step)))
    frame, notes = to_frame(table, options)
    if not len(frame):
        raise InputError("holds no rows", path=path, hint="give a log with at least two rows")
    return Raw(frame, "parquet", len(frame), {}, tuple(notes))


def _implied_index(schema: Any, n_rows: int) -> dict[str, range]:
    """Named index that pandas did not store.

    It does not if the index is a range. What pandas' notes say is not believed if it makes no sense.
    """
    try:
        described = schema.pandas_metadata
    except (ValueError, RecursionError):  # no JSON, or no UTF-8
        return {}
    indexes = described.get("index_columns") if isinstance(described, dict) else None
    implied = {}
    for index in indexes if isinstance(indexes, list) else []:
        numbers = _range(index)
        if numbers is not None and len(numbers) == n_rows and index["name"] not in schema.names:
            implied[index["name"]] = numbers
    return implied


def _range(index: Any) -> range | None:
    """The range that an index is described as, None if it is none."""
    if not (isinstance(index, dict) and isinstance(index.get("name"), str) and index.get("kind") == "range"):
        return None
    start, stop, step = (index.get(key) for key in ("start", "stop", "step"))
    if not (_is_whole(start) and _is_whole(stop) and _is_whole(step) and step):
        return None
    return range(start, stop, step)


def _is_whole(value: object) -> TypeGuard[int]:
    return type(value) is int and abs(value) < _LARGEST


def _needed(names: Sequence[str], options: ReadOptions, path: Path) -> list[str] | None:
    """Columns that a routing log needs.

    Routing logs are long. None (all columns) for everything else.
    """
    if options.every_column:
        return None
    try:
        columns = find_columns(names, options, path)
    except InputError:
        return None  # said again, and better, when the table is cleaned
    return columns.used() if columns.routing else None


def _is_parquet(path: Path, head: bytes) -> bool:
    return head.startswith(_PARQUET)


PARQUET = Reader(
    name="parquet",
    title="Parquet",
    recognise=_is_parquet,
    read=_read_parquet,
    rank=1,
    other_names=("pq",),
    evidence=Evidence.MAGIC,
)

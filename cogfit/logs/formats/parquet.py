"""Reader of Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogfit.errors import InputError
from cogfit.logs.columns import find_columns
from cogfit.logs.formats.contents import (
    GZIP,
    ZSTD,
    check_unique,
    read_bytes,
    to_frame,
)
from cogfit.logs.formats.reader import Evidence, Raw, Reader, ReadOptions

_PARQUET = b"PAR1"


def _read_parquet(path: Path, options: ReadOptions) -> Raw:
    import pyarrow as pa
    from pyarrow import parquet

    with path.open("rb") as opened:
        compressed = opened.read(4).startswith((GZIP, ZSTD))
    with parquet.ParquetFile(pa.BufferReader(read_bytes(path, None, options.progress)) if compressed else path) as file:
        implied = _implied_index(file.schema_arrow, file.metadata.num_rows)
        names = [*file.schema_arrow.names, *implied]
        check_unique(names, path)
        needed = _needed(names, options, path)
        stored = None if needed is None else [name for name in needed if name not in implied]
        frame, notes = to_frame(file.read(columns=stored))
    frame = frame.assign(**implied)
    if not len(frame):
        raise InputError("holds no rows", path=path, hint="give a log with at least two rows")
    return Raw(frame, "parquet", len(frame), {}, tuple(notes))


def _implied_index(schema: Any, n_rows: int) -> dict[str, range]:
    """Named index that pandas did not store.

    It does not if the index is a range.
    """
    described = schema.pandas_metadata
    indexes = described.get("index_columns") if isinstance(described, dict) else None
    implied = {}
    for index in indexes if isinstance(indexes, list) else []:
        if isinstance(index, dict) and isinstance(index.get("name"), str) and index.get("kind") == "range":
            numbers = range(int(index["start"]), int(index["stop"]), int(index["step"]))
            if len(numbers) == n_rows and index["name"] not in schema.names:
                implied[index["name"]] = numbers
    return implied


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

"""From Arrow's tables to frames, the same for all containers.

Objects are flattened, lists left out, integers with gaps kept exact; columns of labels become categoricals of text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.errors import InputError
from cogfit.logs.columnar import ColumnTable, arrow_cells, cells_of
from cogfit.logs.columns import label_columns
from cogfit.logs.formats.reader import ReadOptions
from cogfit.logs.labels import labels_from_codes

if TYPE_CHECKING:
    import pandas as pd

    from cogfit.logs.columnar import Frame

_DEEPEST_STRUCT = 8  # levels of objects in objects that become columns
_MANY = 64  # columns from which on they are converted together: one by one takes some 50 µs each
_SECOND_PARTS = re.compile(r"\.0+(?=$|Z)")  # Arrow writes as many digits as the unit of a time has


def to_frame(table: Any, options: ReadOptions | None = None) -> tuple[pd.DataFrame, list[str]]:
    """An Arrow table as a frame.

    Objects are flattened, lists left out, integers with gaps kept exact, and labels read as text.
    """
    table, notes = _without_lists(flattened(table))
    return _frame(table, label_columns(table.column_names, options or ReadOptions())), notes


def to_table(table: Any, options: ReadOptions) -> tuple[Frame, list[str]]:
    """An Arrow table as a frame, or as a `ColumnTable`.

    The latter if it has no labels. Wide ones become frames: these are read block by block.
    """
    if len(table.column_names) > _MANY or label_columns(table.column_names, options):
        return to_frame(table, options)
    table, notes = _without_lists(flattened(table))
    return ColumnTable({name: cells_of(table.column(name)) for name in table.column_names}), notes


def _without_lists(table: Any) -> tuple[Any, list[str]]:
    """A table without the columns that hold lists, and a note of these."""
    import pyarrow as pa

    kinds = table.schema.types
    nested = {kind for kind in set(kinds) if pa.types.is_nested(kind)}
    left_out = [name for name, kind in zip(table.column_names, kinds, strict=True) if kind in nested]
    if nested:
        table = table.select([place for place, kind in enumerate(kinds) if kind not in nested])
    return table, [f"columns that hold lists were left out: {', '.join(left_out[:6])}"] if nested else []


def _frame(table: Any, labels: frozenset[str]) -> pd.DataFrame:
    import pandas as pd

    names = table.column_names
    together = _converted_together(table, labels)
    cells = {
        name: _labels(table.column(place)) if name in labels else arrow_cells(table.column(place)).to_pandas()
        for place, (name, is_done) in enumerate(zip(names, together, strict=True))
        if not is_done
    }
    frame = pd.DataFrame(cells, copy=False)
    if not any(together):
        return frame
    block: pd.DataFrame = table.select(np.flatnonzero(together).tolist()).to_pandas(ignore_metadata=True)
    return pd.concat([block, frame], axis=1)[names] if cells else block


def _converted_together(table: Any, labels: frozenset[str]) -> list[bool]:
    """Columns of floats, if there are many of them.

    Arrow and pandas hold floats alike, gaps included.
    """
    import pyarrow as pa

    kinds = table.schema.types
    floats = {kind for kind in set(kinds) if pa.types.is_floating(kind)}
    alike = [kind in floats and name not in labels for name, kind in zip(table.column_names, kinds, strict=True)]
    return alike if sum(alike) > _MANY else [False] * len(alike)


def flattened(table: Any) -> Any:
    """A table whose objects have become columns, named 'outer.inner'."""
    import pyarrow as pa

    for _ in range(_DEEPEST_STRUCT):
        if not any(pa.types.is_struct(kind) for kind in set(table.schema.types)):
            break
        table = table.flatten()
    return table


def _labels(column: Any) -> pd.Categorical:
    """Labels of a column, which may be of any type without levels.

    Only the distinct cells are looked at one by one.
    """
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        column = _encoded(column)
    column = column.unify_dictionaries().combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # of none or one chunk, depending on the version
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    codes = column.indices.fill_null(-1) if column.null_count else column.indices
    return labels_from_codes(codes.to_numpy(zero_copy_only=False), _distinct(column.dictionary))


def _encoded(column: Any) -> Any:
    """A column whose distinct cells are stored once."""
    import pyarrow as pa

    try:
        return column.dictionary_encode()
    except pa.ArrowNotImplementedError:  # views of text, half floats
        plain = pa.float32() if pa.types.is_floating(column.type) else pa.string()
        return column.cast(plain).dictionary_encode()


def _distinct(values: Any) -> Sequence[Any]:
    """Distinct cells as Python holds them, times and dates as text."""
    import pyarrow as pa

    kind = values.type
    if pa.types.is_floating(kind):
        return list(values.to_numpy(zero_copy_only=False))  # as they are: 0.1 of 32 bits is written as such
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind) or pa.types.is_date(kind):
        texts = values.cast(pa.string()).to_pylist()
        return [text if text is None else _SECOND_PARTS.sub("", text) for text in texts]
    found: list[Any] = values.to_pylist()
    return found


def check_text(table: Any, options: ReadOptions, path: Path) -> None:
    """Refuse text that is not UTF-8.

    Arrow hands it on unseen. Bytes are text where they are labels.
    """
    import pyarrow as pa

    labels = label_columns(table.column_names, options)
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        is_binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
        try:
            if pa.types.is_string(kind) or pa.types.is_large_string(kind):
                column.validate(full=True)
            elif is_binary and name in labels:
                column.cast(pa.binary()).cast(pa.string())
        except pa.ArrowInvalid:
            raise InputError(
                "holds text that is not encoded in UTF-8", path=path, column=name, hint="write it as UTF-8"
            ) from None

"""A table of columns that needs no pandas.

A plain log holds numbers only, and to load pandas takes longer than to read and fit it. Whatever has labels (runs,
layers, patterns) or is joined, grouped or melted is a data frame as ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

if TYPE_CHECKING:
    import pandas as pd

    Frame: TypeAlias = "pd.DataFrame | ColumnTable"


@dataclass(frozen=True)
class ArrowCells:
    """Cells that stay with Arrow until somebody asks for them.

    They are text, times, or integers and truth values with gaps.

    Attributes
    ----------
    column : pyarrow.ChunkedArray
    has_gaps : bool
        Whether cells were missing in the file, which decides on the type in pandas.
    """

    column: Any
    has_gaps: bool

    def take(self, places: NDArray[np.intp]) -> ArrowCells:
        """Some of the cells."""
        return ArrowCells(self.column.take(_arrow_integers(places)), self.has_gaps)

    def floats(self) -> NDArray[np.float64] | None:
        """Integers as floats. NaN where there is none; None for other cells."""
        import pyarrow as pa

        if not pa.types.is_integer(self.column.type):
            return None
        return np.concatenate(
            [np.where(_bits(chunk, 0), _numbers(chunk), np.nan) for chunk in self.column.chunks if len(chunk)]
        )

    def to_pandas(self) -> Any:
        """The cells as a pandas Series."""
        return self.column.to_pandas(types_mapper=_nullable().get) if self.has_gaps else self.column.to_pandas()


@cache
def _nullable() -> dict[Any, Any]:
    """Types that stay exact where values are missing.

    They are those of integers and truth values.
    """
    import pandas as pd
    import pyarrow as pa

    names = [f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]
    integers = {getattr(pa, name.lower())(): pd.api.types.pandas_dtype(name) for name in names}
    return {**integers, pa.bool_(): pd.BooleanDtype()}


def arrow_cells(column: Any) -> ArrowCells:
    """Cells of an Arrow column that holds no labels."""
    import pyarrow as pa

    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    return ArrowCells(column, bool(column.null_count))


def cells_of(column: Any) -> NDArray[Any] | ArrowCells:
    """Cells of an Arrow column.

    An array if pandas would hold one, too.
    """
    import pyarrow as pa

    cells = arrow_cells(column)
    kind = cells.column.type
    is_whole = pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    if pa.types.is_floating(kind) or (is_whole and not cells.has_gaps):
        return _numpy(cells.column)
    return cells


# --- to and from Arrow without pandas and Arrow's functions, which its own conversions load ---------------------------


def _numpy(column: Any) -> NDArray[Any]:
    """Numbers or truth values of an Arrow column, NaN where a float is missing."""
    import pyarrow as pa

    is_truth = pa.types.is_boolean(column.type)
    arrays = [_bits(chunk, 1) if is_truth else _numbers(chunk) for chunk in column.chunks if len(chunk)]
    if column.null_count:
        known = [_bits(chunk, 0) for chunk in column.chunks if len(chunk)]
        arrays = [np.where(*parts, np.nan) for parts in zip(known, arrays, strict=True)]
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate(arrays) if arrays else np.empty(0, dtype=column.type.to_pandas_dtype())


def _numbers(chunk: Any) -> NDArray[Any]:
    """Numbers in the memory of a chunk; anything where they are missing."""
    kind = np.dtype(chunk.type.to_pandas_dtype())
    return np.frombuffer(chunk.buffers()[1], kind, len(chunk), chunk.offset * kind.itemsize)


def _bits(chunk: Any, buffer: int) -> NDArray[np.bool_]:
    """Bits in the memory of a chunk: which cells are known (buffer 0), or truth values (buffer 1)."""
    packed = chunk.buffers()[buffer]
    if packed is None:  # all are known
        return np.ones(len(chunk), dtype=bool)
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")
    return bits[chunk.offset : chunk.offset + len(chunk)].view(np.bool_)


def _arrow_integers(values: NDArray[np.intp]) -> Any:
    import pyarrow as pa

    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values.astype(np.int64))])


def arrow_texts(texts: Sequence[str]) -> Any:
    """An Arrow array of texts."""
    import pyarrow as pa

    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


class ColumnTable:
    """Columns of equal length by name.

    What it shares with a data frame (`columns`, `in`, `len`, `[]`, `assign`, `drop`) means the same there, so that
    code which needs no more takes either.

    Parameters
    ----------
    cells : mapping of str to (array or ArrowCells)
        Not copied.

    Examples
    --------
    >>> table = ColumnTable({"step": np.array([1, 2]), "loss": np.array([0.5, 0.25])})
    >>> "loss" in table, len(table), table.take(np.array([1]))["loss"]
    (True, 2, array([0.25]))
    """

    def __init__(self, cells: Mapping[str, NDArray[Any] | ArrowCells]) -> None:
        self._cells = dict(cells)

    @property
    def columns(self) -> list[str]:
        """Names of the columns in order."""
        return list(self._cells)

    def __len__(self) -> int:
        for cells in self._cells.values():
            return len(cells.column if isinstance(cells, ArrowCells) else cells)
        return 0

    def __iter__(self) -> Iterator[str]:
        return iter(self._cells)

    def __contains__(self, name: object) -> bool:
        return name in self._cells

    def __getitem__(self, name: str) -> Any:
        """Cells of a column: an array or `ArrowCells`."""
        return self._cells[name]

    def numbers(self, name: str) -> NDArray[Any] | None:
        """Numbers of a column as a log has them.

        None if it holds anything else. They are integers, or float64 with NaN where there is none.
        """
        cells = self._cells[name]
        if isinstance(cells, ArrowCells):
            return cells.floats()
        if cells.dtype.kind == "b":
            return cells.astype(np.int64)
        return cells.astype(np.float64, copy=False) if cells.dtype.kind == "f" else cells

    def assign(self, **cells: NDArray[Any]) -> ColumnTable:
        """The table with columns replaced or added."""
        return ColumnTable({**self._cells, **cells})

    def drop(self, *, columns: list[str]) -> ColumnTable:
        """The table without some columns."""
        return ColumnTable({name: cells for name, cells in self._cells.items() if name not in columns})

    def take(self, places: NDArray[np.intp]) -> ColumnTable:
        """The rows at some places, in this order."""
        return ColumnTable(
            {
                name: cells.take(places) if isinstance(cells, ArrowCells) else cells[places]
                for name, cells in self._cells.items()
            }
        )

    def to_pandas(self) -> pd.DataFrame:
        """A data frame of the columns.

        It shares their memory, but for what may not be written to.
        """
        import pandas as pd

        return pd.DataFrame({name: _for_pandas(cells) for name, cells in self._cells.items()}, copy=False)


def _for_pandas(cells: NDArray[Any] | ArrowCells) -> Any:
    if isinstance(cells, ArrowCells):
        return cells.to_pandas()
    return cells if cells.flags.writeable else cells.copy()  # what Arrow has lent is not


def as_frame(table: Frame) -> pd.DataFrame:
    """A table as a data frame."""
    return table.to_pandas() if isinstance(table, ColumnTable) else table


def taken(table: Frame, places: NDArray[np.intp]) -> Frame:
    """Rows of a table at some places, counted anew."""
    if isinstance(table, ColumnTable):
        return table.take(places)
    return table.iloc[places].reset_index(drop=True)


class _LazyFrame:
    """Attribute that takes a table and hands out a data frame.

    What it has handed out it keeps, so that what a caller writes there counts.
    """

    def __get__(self, record: object | None, owner: type | None = None) -> Any:
        """The data frame of a record. Of a class it is this attribute itself."""
        if record is None:
            return self
        frame = as_frame(vars(record)["frame"])
        vars(record)["frame"] = frame
        return frame

    def __set__(self, record: object, table: Frame) -> None:
        """Keep a table as it is."""
        vars(record)["frame"] = table


def with_lazy_frame(record: type[T]) -> type[T]:
    """Let the field `frame` take a `ColumnTable`, too.

    It still hands out a data frame. To be called on the finished class: a descriptor in its body would be a default.
    """
    record.frame = _LazyFrame()  # type: ignore[attr-defined]  # it has the field
    return record


class WithFrame:
    """A record with a table, which is handed out as a data frame.

    Attributes
    ----------
    table : pandas.DataFrame or ColumnTable
        A data frame as soon as `frame` was asked for, so that what a caller writes there counts.
    """

    table: Frame

    @property
    def frame(self) -> pd.DataFrame:
        """The table as a data frame."""
        if isinstance(self.table, ColumnTable):
            object.__setattr__(self, "table", self.table.to_pandas())  # records are frozen
        return self.table  # type: ignore[return-value]  # converted just now

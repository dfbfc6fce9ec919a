"""Readers of JSON and Parquet, and the registry of all readers.

The fast path of each format is pyarrow's. Only when that fails does a slow and careful path in plain Python read the
file again, to find out which line is wrong. Nothing in a file is ever executed or unpickled.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogfit.errors import InputError, MissingDependencyError, nearest
from cogfit.logs.columns import NoLogColumns, find_columns
from cogfit.logs.formats.contents import (
    CONVERT,
    GZIP,
    TRUNCATED,
    ZSTD,
    check_unique,
    is_text,
    last_line,
    lines_of,
    read_bytes,
    suffix_of,
    text_bytes,
    to_frame,
)
from cogfit.logs.formats.delimited import CSV, WANDB
from cogfit.logs.formats.reader import Raw, Reader, ReadOptions

if TYPE_CHECKING:
    import pandas as pd

FORMATS = "CSV or TSV, JSON, JSON lines, Parquet, TensorBoard, Hugging Face trainer_state.json, W&B export, MLflow"
"""What can be read, for messages."""

_PARQUET = b"PAR1"
_SEEN_BEFORE = (  # start of the file, what it is
    (b"\x93NUMPY", "a NumPy array"),
    (b"PK\x03\x04", "a ZIP archive (a PyTorch checkpoint, an .npz or a spreadsheet)"),
    (b"\x89HDF", "an HDF5 file"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"BZh", "bzip2-compressed"),
    (b"\xfd7zXZ", "xz-compressed"),
)
TEXT_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".log", ".json", ".jsonl", ".ndjson"})
_PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".npy", ".npz"})


# --- JSON -------------------------------------------------------------------------------------------------------------


def _parsed(data: bytes | str, path: Path, line: int | None = None) -> Any:
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        where = line if line is not None else error.lineno
        raise InputError(f"is no valid JSON: {error.msg}", path=path, line=where, hint="correct this line") from None
    except UnicodeDecodeError:
        raise InputError("is not encoded in UTF-8", path=path, line=line, hint="save it as UTF-8") from None
    except RecursionError:
        raise InputError("is nested too deeply", path=path, line=line, hint=CONVERT) from None
    except ValueError as error:  # a number of thousands of digits
        raise InputError(f"cannot be read: {error}", path=path, line=line, hint=CONVERT) from None


def _flattened(record: Mapping[str, Any], prefix: str = "", depth: int = 8) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict) and depth:
            flat |= _flattened(value, f"{prefix}{name}.", depth - 1)
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _frame_of_records(records: Sequence[Mapping[str, Any]]) -> tuple[pd.DataFrame, list[str]]:
    import pandas as pd

    if any(isinstance(value, dict) for record in records for value in record.values()):
        records = [_flattened(record) for record in records]
    names = list(dict.fromkeys(name for record in records for name in record))
    cells = {name: [record.get(name) for record in records] for name in names}
    nested = [name for name, values in cells.items() if any(isinstance(value, (list, dict)) for value in values)]
    frame = pd.DataFrame({name: _column(values) for name, values in cells.items() if name not in nested})
    return frame, [f"columns that hold lists were left out: {', '.join(nested[:6])}"] if nested else []


def _column(values: Sequence[Any]) -> Any:
    import pandas as pd

    if {type(value) for value in values} == {int, type(None)}:
        try:
            return pd.Series(list(values), dtype="Int64")  # as floats, integers beyond 2**53 would lose digits
        except (OverflowError, TypeError, ValueError):
            return pd.Series(list(values), dtype=object)
    return pd.Series(list(values))


def _read_jsonl(path: Path, options: ReadOptions) -> Raw:
    import pyarrow as pa
    from pyarrow import json as arrow

    data = text_bytes(path, options)
    begin = last_line(data)
    dropped: dict[str, int] = {}
    try:
        json.loads(data[begin:])
    except (ValueError, RecursionError):
        if not data[:begin].strip():
            _parsed(data, path)
        data, dropped = data[:begin], {TRUNCATED: 1}

    def line_of(row: int) -> int:
        numbered = (number for number, (_, line) in enumerate(lines_of(data), 1) if line.strip())
        return next(number for index, number in enumerate(numbered) if index == row)

    try:
        table = arrow.read_json(
            pa.BufferReader(data), read_options=arrow.ReadOptions(block_size=1 << 22, use_threads=True)
        )
        check_unique(table.column_names, path)
        frame, notes = to_frame(table)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        frame, notes = _frame_of_records(_careful_jsonl(data, path))
    return Raw(frame, "jsonl", len(frame) + len(dropped), dropped, tuple(notes), line_of)


def _careful_jsonl(data: bytes, path: Path) -> list[dict[str, Any]]:
    numbered = [(number, line) for number, (_, line) in enumerate(lines_of(data), 1) if line.strip()]
    records: list[Any]
    try:
        records = json.loads(b"[" + b",".join(line for _, line in numbered) + b"]")
    except (ValueError, RecursionError):
        records = []
    if len(records) != len(numbered):
        records = [_parsed(line, path, number) for number, line in numbered]
    for (number, _), record in zip(numbered, records, strict=True):
        if not isinstance(record, dict):
            raise InputError("is no JSON object", path=path, line=number, hint='write rows such as {"step": 0, …}')
    return records


def _read_json(path: Path, options: ReadOptions) -> Raw:
    content = _parsed(text_bytes(path, options), path)
    notes: list[str] = []
    if isinstance(content, list) and content and all(isinstance(record, dict) for record in content):
        frame, notes = _frame_of_records(content)
    elif isinstance(content, dict) and content and all(isinstance(column, (list, dict)) for column in content.values()):
        frame = _frame_of_columns(content, path)
    else:
        raise NoLogColumns("is JSON, but no table", path=path, hint="give an array of objects or an object of columns")
    return Raw(frame, "json", len(frame), {}, tuple(notes))


def _frame_of_columns(content: Mapping[str, Any], path: Path) -> pd.DataFrame:
    """An object of columns: lists, or objects by row as `pandas.DataFrame.to_json` writes them."""
    import pandas as pd

    columns = {name: list(column.values()) if isinstance(column, dict) else column for name, column in content.items()}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1 or any(isinstance(value, (list, dict)) for column in columns.values() for value in column):
        raise NoLogColumns(
            "is JSON, but its columns are not equally long lists of values", path=path, hint="give a table"
        )
    return pd.DataFrame({name: _column(column) for name, column in columns.items()})


def _is_json_text(head: bytes) -> bool:
    return is_text(head) and head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"[")


def _is_jsonl(path: Path, head: bytes) -> bool:
    if not _is_json_text(head):
        return False
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith(b"["):
        return False
    first, _, rest = text.partition(b"\n")
    try:
        record = json.loads(first)
    except (ValueError, RecursionError):
        return suffix_of(path) in (".jsonl", ".ndjson")
    if rest.strip():
        return rest.lstrip()[:1] == b"{" or suffix_of(path) in (".jsonl", ".ndjson")
    return suffix_of(path) != ".json" or not any(isinstance(value, (list, dict)) for value in record.values())


def _is_json(path: Path, head: bytes) -> bool:
    return _is_json_text(head) and not _is_jsonl(path, head)


# --- Hugging Face -----------------------------------------------------------------------------------------------------


def _is_huggingface(path: Path, head: bytes) -> bool:
    return (
        _is_json_text(head)
        and head.lstrip()[:1] == b"{"
        and (b'"log_history"' in head or path.name == "trainer_state.json")
        and not _is_jsonl(path, head)
    )


def _read_huggingface(path: Path, options: ReadOptions) -> Raw:
    state = _parsed(text_bytes(path, options), path)
    history = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(history, list) or not all(isinstance(record, dict) for record in history):
        raise InputError("holds no list 'log_history'", path=path, hint="give a trainer_state.json of transformers")
    if not history:
        raise InputError("has an empty 'log_history'", path=path, hint="train with logging_steps set")
    frame, notes = _frame_of_records(history)
    return Raw(frame, "huggingface", len(frame), {}, tuple(notes))


# --- Parquet ----------------------------------------------------------------------------------------------------------


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
    """Named index of a pandas table that was not stored because it is a range."""
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
    """Columns of a routing log, which is long; None (all of them) for everything else."""
    try:
        columns = find_columns(names, options, path)
    except InputError:
        return None  # said again, and better, when the table is cleaned
    return columns.used() if columns.routing else None


def _is_parquet(path: Path, head: bytes) -> bool:
    return head.startswith(_PARQUET)


# --- the registry -----------------------------------------------------------------------------------------------------


PARQUET = Reader("parquet", _is_parquet, _read_parquet)
HUGGINGFACE = Reader("huggingface", _is_huggingface, _read_huggingface)
JSON = Reader("json", _is_json, _read_json)
JSONL = Reader("jsonl", _is_jsonl, _read_jsonl)

OTHER_NAMES: Mapping[str, str] = {
    "tsv": "csv",
    "lightning": "csv",
    "ndjson": "jsonl",
    "json_lines": "jsonl",
    "pq": "parquet",
    "hf": "huggingface",
    "trainer_state": "huggingface",
    "tfevents": "tensorboard",
    "sqlite": "mlflow",
    "w&b": "wandb",
}
"""Further names that ``format=`` takes."""


@cache
def readers() -> tuple[Reader, ...]:
    """All readers, in the order in which they are asked whether a file is theirs.

    Examples
    --------
    >>> [reader.name for reader in readers()][:3]
    ['parquet', 'tensorboard', 'mlflow']
    """
    from cogfit.logs.formats import mlflow, tensorboard

    return (PARQUET, tensorboard.READER, mlflow.READER, HUGGINGFACE, JSON, JSONL, WANDB, CSV)


def reader_named(name: str) -> Reader:
    """The reader that the user asked for.

    Raises
    ------
    InputError
        There is none of this name.
    """
    wanted = name.strip().casefold().replace(" ", "_").replace("-", "_")
    wanted = OTHER_NAMES.get(wanted, wanted)
    for reader in readers():
        if reader.name == wanted:
            return reader
    names = [reader.name for reader in readers()]
    raise InputError(f"there is no log format '{name}'; {nearest(name, [*names, *OTHER_NAMES])}")


def reader_for(path: Path, head: bytes) -> Reader | None:
    """The reader that recognises a file (or, with an empty `head`, a folder)."""
    return next((reader for reader in readers() if reader.recognise(path, head)), None)


def why_unreadable(path: Path, head: bytes) -> InputError:
    """Say what a file is that no reader recognises."""
    if not head.strip(b"\0\t\r\n "):
        return InputError("is empty", path=path, hint="give a log with a header and at least two rows")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return InputError("is encoded in UTF-16", path=path, hint="save it as UTF-8")
    if is_pickle(head) or suffix_of(path) in _PICKLE_SUFFIXES:
        return InputError("is or may be a pickle, which is never loaded", path=path, hint=CONVERT)
    for start, name in _SEEN_BEFORE:
        if head.startswith(start):
            return InputError(f"is {name}", path=path, hint=CONVERT)
    if suffix_of(path) in TEXT_SUFFIXES and not is_text(head) and b"\0" not in head:
        return InputError("is not encoded in UTF-8", path=path, hint="save it as UTF-8")
    what = "is text, but no table" if is_text(head) else "is binary and of no known format"
    return InputError(what, path=path, hint=f"give one of: {FORMATS}")


def is_pickle(head: bytes) -> bool:
    """Whether a file begins as pickles of protocol 2 and later do."""
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5


def guarded(path: Path, read: Callable[[], Any]) -> Any:
    """Call `read`, and turn whatever a library or the system raises into an `InputError` that names the file."""
    import pyarrow as pa

    try:
        return read()
    except (InputError, MissingDependencyError):
        raise
    except MemoryError:
        raise InputError(
            "does not fit into memory, or a damaged header makes it seem so", path=path, hint=CONVERT
        ) from None
    except RecursionError:
        raise InputError("is nested too deeply", path=path, hint=CONVERT) from None
    except (OSError, ValueError, OverflowError, EOFError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"cannot be read: {reason[:200]}", path=path, hint="check that the file is complete and readable"
        ) from None


def read_raw(reader: Reader, path: Path, options: ReadOptions) -> Raw:
    """Read a file or folder with a reader; whatever goes wrong is an `InputError`."""
    raw: Raw = guarded(path, lambda: reader.read(path, options))
    return raw

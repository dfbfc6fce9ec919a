"""Readers of JSON, JSON lines and Hugging Face trainer states."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.errors import InputError
from cogfit.logs.columns import NoLogColumns, label_columns
from cogfit.logs.formats.contents import (
    CONVERT,
    TRUNCATED,
    bare_suffix,
    check_unique,
    is_text,
    last_line,
    offset_lines,
    text_bytes,
)
from cogfit.logs.formats.reader import Checkpoints, Evidence, Raw, Reader, ReadOptions
from cogfit.logs.formats.tables import check_text, flattened, to_frame
from cogfit.logs.labels import encodable, labels_of

if TYPE_CHECKING:
    import pandas as pd

_LINES_SUFFIXES = (".jsonl", ".ndjson")

_DEEPEST = 200  # levels of nesting that Arrow is trusted with; 20,000 end the process
_PIECE = 1 << 24  # bytes that are looked through at a time
_NEWLINE = 10
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")  # escapes of characters that only make sense in pairs
_EXACT = 2.0**53  # whole numbers beyond may not be what was written once they are floats


class _Repeated(dict[str, Any]):
    """An object in which a key occurs twice, of which the last counted."""

    key = ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) == len(pairs):
        return record
    keys = [key for key, _ in pairs]
    return _repeated(record, next(key for key in keys if keys.count(key) > 1))


def _repeated(record: dict[str, Any], key: str) -> _Repeated:
    repeated = _Repeated(record)
    repeated.key = encodable(key)
    return repeated


def _parsed(data: bytes, path: Path, line: int | None = None) -> Any:
    try:
        text = data.decode("utf-8")  # json.loads would take other encodings, and halves of characters
    except UnicodeDecodeError as error:
        where = line if line is not None else data.count(b"\n", 0, error.start) + 1
        raise InputError("is not encoded in UTF-8", path=path, line=where, hint="save it as UTF-8") from None
    try:
        content = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        where = line if line is not None else error.lineno
        raise InputError(f"is no valid JSON: {error.msg}", path=path, line=where, hint="correct this line") from None
    except RecursionError:
        raise InputError("is nested too deeply", path=path, line=line, hint=CONVERT) from None
    except ValueError as error:  # a number of thousands of digits
        raise InputError(f"cannot be read: {error}", path=path, line=line, hint=CONVERT) from None
    return _encodable(content) if _SURROGATE.search(data) else content


def _encodable(content: Any) -> Any:
    """Values of which every text can be shown and written."""
    if isinstance(content, str):
        return encodable(content)
    if isinstance(content, list):
        return [_encodable(value) for value in content]
    if isinstance(content, dict):
        record = _object([(encodable(key), _encodable(value)) for key, value in content.items()])
        return _repeated(record, content.key) if isinstance(content, _Repeated) else record
    return content


def _check_keys(record: Mapping[str, Any], path: Path, line: int | None = None) -> None:
    """Refuse an object with two values of one name."""
    if isinstance(record, _Repeated):
        raise InputError(f"two values are called '{record.key}'", path=path, line=line, hint="rename or remove one")
    for value in record.values():
        if isinstance(value, dict):
            _check_keys(value, path, line)


def _flattened(record: Mapping[str, Any], path: Path, prefix: str = "", depth: int = 8) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        inner = _flattened(value, path, f"{prefix}{name}.", depth - 1) if isinstance(value, dict) and depth else None
        cells = {f"{prefix}{name}": value} if inner is None else inner
        if clash := next((cell for cell in cells if cell in flat), None):
            raise InputError(f"two values are called '{clash}'", path=path, hint="rename or remove one")
        flat |= cells
    return flat


def _frame_from_records(
    records: Sequence[Mapping[str, Any]], options: ReadOptions, path: Path
) -> tuple[pd.DataFrame, list[str]]:
    if any(isinstance(value, dict) for record in records for value in record.values()):
        records = [_flattened(record, path) for record in records]
    names = list(dict.fromkeys(name for record in records for name in record))
    cells = {name: [record.get(name) for record in records] for name in names}
    nested = [name for name, values in cells.items() if any(isinstance(value, (list, dict)) for value in values)]
    frame = _frame({name: values for name, values in cells.items() if name not in nested}, options)
    return frame, [f"columns that hold lists were left out: {', '.join(nested[:6])}"] if nested else []


def _frame(cells: Mapping[str, Sequence[Any]], options: ReadOptions) -> pd.DataFrame:
    import pandas as pd

    labels = label_columns(list(cells), options)
    columns = {name: _labels(values) if name in labels else _column(values) for name, values in cells.items()}
    return pd.DataFrame(columns)


def _labels(values: Sequence[Any]) -> pd.Categorical:
    import pandas as pd

    return labels_of(pd.Series(list(values), dtype=object))


def _column(values: Sequence[Any]) -> Any:
    import pandas as pd

    if {type(value) for value in values} == {int, type(None)}:
        try:
            return pd.Series(list(values), dtype="Int64")  # as floats, integers beyond 2**53 would lose digits
        except (OverflowError, TypeError, ValueError):
            return pd.Series(list(values), dtype=object)
    return pd.Series(list(values))


def _read_jsonl(path: Path, options: ReadOptions) -> Raw:

    data = text_bytes(path, options)
    begin = last_line(data)
    dropped: dict[str, int] = {}
    try:
        json.loads(data[begin:])
    except RecursionError:  # no sign of a file that was cut short
        _parsed(data[begin:], path, data.count(b"\n", 0, begin) + 1)
    except ValueError:
        if not data[:begin].strip():
            _parsed(data, path)
        data, dropped = data[:begin], {TRUNCATED: 1}

    def line_of(row: int) -> int:
        numbered = (number for number, (_, line) in enumerate(offset_lines(data), 1) if line.strip())
        return next(number for index, number in enumerate(numbered) if index == row)

    table = _arrow_table(data, options, path)
    if table is not None:
        frame, notes = to_frame(table, options)
    else:
        frame, notes = _frame_from_records(_careful_jsonl(data, path), options, path)
    return Raw(frame, "jsonl", len(frame) + len(dropped), dropped, tuple(notes), line_of)


def _arrow_table(data: bytes, options: ReadOptions, path: Path) -> Any | None:
    """Arrow's table of JSON lines.

    None if Arrow cannot read them, or not exactly.
    """
    import pyarrow as pa
    from pyarrow import json as arrow

    if is_deep(data):  # Arrow's parser calls itself for each level, and the process dies when its stack is full
        return None

    def read(schema: Any = None) -> Any:
        parse = arrow.ParseOptions(explicit_schema=schema)
        blocks = arrow.ReadOptions(block_size=1 << 22, use_threads=True)
        return flattened(arrow.read_json(pa.BufferReader(data), read_options=blocks, parse_options=parse))

    try:
        table = read()
        check_unique(table.column_names, path)
        # of text Arrow guesses which is a time, and then '2024-01-01' and '2024-01-01 00:00' are the same
        guessed = [name for name in label_columns(table.column_names, options) if _is_guessed(table.column(name))]
        if guessed:
            table = read(pa.schema([(name, pa.string()) for name in guessed]))
        labels = label_columns(table.column_names, options)
        if any(_is_guessed(table.column(name)) or _is_rounded(table.column(name)) for name in labels):
            return None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    check_text(table, options, path)
    return table


def _is_guessed(column: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_temporal(column.type))


def _is_rounded(column: Any) -> bool:
    """Whether a column may hold whole numbers that lost digits."""
    import pyarrow as pa
    from pyarrow import compute

    if not pa.types.is_floating(column.type):
        return False
    return bool(compute.any(compute.greater_equal(compute.abs(column), _EXACT)).as_py())


def is_deep(data: bytes) -> bool:
    """Whether a line may be nested too deeply for Arrow.

    Brackets within text count, too, so that the answer errs towards the careful parser.

    Examples
    --------
    >>> is_deep(b'{"a": [1, 2]}'), is_deep(b"[" * 1000)
    (False, True)
    """
    begin = 0
    while begin < len(data):
        # pieces end with a line, so that brackets of one line are counted together
        end = data.find(b"\n", begin + _PIECE)
        end = len(data) if end < 0 else end + 1
        piece = np.frombuffer(data, np.uint8, end - begin, begin)
        starts = np.concatenate([[0], np.flatnonzero(piece == _NEWLINE) + 1])
        if np.diff(starts, append=piece.size).max() > _DEEPEST:
            folded = piece | 0x20  # "[" becomes "{", and "]" becomes "}"
            depth = np.cumsum((folded == ord("{")).view(np.int8) - (folded == ord("}")).view(np.int8), dtype=np.int32)
            before = np.repeat(np.concatenate([[0], depth])[starts], np.diff(starts, append=piece.size))
            if (depth - before).max() > _DEEPEST:
                return True
        begin = end
    return False


def _careful_jsonl(data: bytes, path: Path) -> list[dict[str, Any]]:
    numbered = [(number, line) for number, (_, line) in enumerate(offset_lines(data), 1) if line.strip()]
    records: Any
    try:
        records = _parsed(b"[" + b",".join(line for _, line in numbered) + b"]", path)
    except InputError:
        records = []
    if len(records) != len(numbered):
        records = [_parsed(line, path, number) for number, line in numbered]
    for (number, _), record in zip(numbered, records, strict=True):
        if not isinstance(record, dict):
            raise InputError("is no JSON object", path=path, line=number, hint='write rows such as {"step": 0, …}')
        _check_keys(record, path, number)
    found: list[dict[str, Any]] = records
    return found


def _read_json(path: Path, options: ReadOptions) -> Raw:
    content = _parsed(text_bytes(path, options), path)
    notes: list[str] = []
    if isinstance(content, list) and content and all(isinstance(record, dict) for record in content):
        for record in content:
            _check_keys(record, path)
        frame, notes = _frame_from_records(content, options, path)
    elif isinstance(content, dict) and content and all(isinstance(column, (list, dict)) for column in content.values()):
        frame = _frame_from_columns(content, options, path)
    else:
        raise NoLogColumns("is JSON, but no table", path=path, hint="give an array of objects or an object of columns")
    return Raw(frame, "json", len(frame), {}, tuple(notes))


def _frame_from_columns(content: Mapping[str, Any], options: ReadOptions, path: Path) -> pd.DataFrame:
    """A frame from an object of columns.

    They are lists, or objects by row as `pandas.DataFrame.to_json` writes them.
    """
    columns = {name: list(column.values()) if isinstance(column, dict) else column for name, column in content.items()}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1 or any(isinstance(value, (list, dict)) for column in columns.values() for value in column):
        raise NoLogColumns(
            "is JSON, but its columns are not equally long lists of values", path=path, hint="give a table"
        )
    by_row = [list(column) for column in content.values() if isinstance(column, dict)]
    if any(rows != by_row[0] for rows in by_row):
        raise InputError("holds columns whose rows have different names", path=path, hint="give a list of records")
    _check_keys(content, path)
    return _frame(columns, options)


def _is_json_text(head: bytes) -> bool:
    return is_text(head) and head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"[")


def _is_jsonl(path: Path, head: bytes) -> bool:
    if not _is_json_text(head):
        return False
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith(b"["):
        return False
    first, _, following = text.partition(b"\n")
    try:
        record = json.loads(first)
    except (ValueError, RecursionError):
        return bare_suffix(path) in _LINES_SUFFIXES
    if following.strip():
        return following.lstrip()[:1] == b"{" or bare_suffix(path) in _LINES_SUFFIXES
    return bare_suffix(path) != ".json" or not any(isinstance(value, (list, dict)) for value in record.values())


def _is_json(path: Path, head: bytes) -> bool:
    return _is_json_text(head) and not _is_jsonl(path, head)


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
    for record in history:
        _check_keys(record, path)
    frame, notes = _frame_from_records(history, options, path)
    return Raw(frame, "huggingface", len(frame), {}, tuple(notes))


def _global_step(path: Path) -> float:
    """Step at which a trainer state was written.

    −1 if it does not say.
    """
    try:
        return float(json.loads(path.read_bytes())["global_step"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return -1.0


JSON = Reader(
    name="json",
    title="JSON",
    recognise=_is_json,
    read=_read_json,
    is_text=True,
    suffixes=(".json",),
    rank=4,
    evidence=Evidence.CONTAINER,
)

JSONL = Reader(
    name="jsonl",
    title="JSON lines",
    recognise=_is_jsonl,
    read=_read_jsonl,
    is_text=True,
    suffixes=_LINES_SUFFIXES,
    rank=3,
    other_names=("ndjson", "json_lines"),
    evidence=Evidence.CONTAINER,
)

HUGGINGFACE = Reader(
    name="huggingface",
    title="Hugging Face trainer_state.json",
    recognise=_is_huggingface,
    read=_read_huggingface,
    is_text=True,
    suffixes=(".json",),
    rank=6,
    other_names=("hf", "hugging_face", "trainer_state"),
    evidence=Evidence.KEYS,
    checkpoints=Checkpoints(
        noun="trainer state",
        folder_prefix="checkpoint-",
        step_reached=_global_step,
        copies_folder="runs",
        copies_format="tensorboard",
        copies_noun="event files",
    ),
)

"""Readers of JSON, JSON lines and Hugging Face trainer states."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.errors import InputError
from cogfit.logs.columns import NoLogColumns
from cogfit.logs.formats.contents import (
    CONVERT,
    TRUNCATED,
    bare_suffix,
    check_unique,
    is_text,
    last_line,
    offset_lines,
    text_bytes,
    to_frame,
)
from cogfit.logs.formats.reader import Checkpoints, Evidence, Raw, Reader, ReadOptions

if TYPE_CHECKING:
    import pandas as pd

_LINES_SUFFIXES = (".jsonl", ".ndjson")

_DEEPEST = 200  # levels of nesting that Arrow is trusted with; 20,000 end the process
_PIECE = 1 << 24  # bytes that are looked through at a time
_NEWLINE = 10


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


def _frame_from_records(records: Sequence[Mapping[str, Any]]) -> tuple[pd.DataFrame, list[str]]:
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
    except RecursionError:  # no sign of a file that was cut short
        _parsed(data[begin:], path, data.count(b"\n", 0, begin) + 1)
    except ValueError:
        if not data[:begin].strip():
            _parsed(data, path)
        data, dropped = data[:begin], {TRUNCATED: 1}

    def line_of(row: int) -> int:
        numbered = (number for number, (_, line) in enumerate(offset_lines(data), 1) if line.strip())
        return next(number for index, number in enumerate(numbered) if index == row)

    try:
        if is_deep(data):  # Arrow's parser calls itself for each level, and the process dies when its stack is full
            raise pa.ArrowInvalid("nested too deeply")
        table = arrow.read_json(
            pa.BufferReader(data), read_options=arrow.ReadOptions(block_size=1 << 22, use_threads=True)
        )
        check_unique(table.column_names, path)
        frame, notes = to_frame(table)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        frame, notes = _frame_from_records(_careful_jsonl(data, path))
    return Raw(frame, "jsonl", len(frame) + len(dropped), dropped, tuple(notes), line_of)


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
        frame, notes = _frame_from_records(content)
    elif isinstance(content, dict) and content and all(isinstance(column, (list, dict)) for column in content.values()):
        frame = _frame_from_columns(content, path)
    else:
        raise NoLogColumns("is JSON, but no table", path=path, hint="give an array of objects or an object of columns")
    return Raw(frame, "json", len(frame), {}, tuple(notes))


def _frame_from_columns(content: Mapping[str, Any], path: Path) -> pd.DataFrame:
    """A frame from an object of columns.

    They are lists, or objects by row as `pandas.DataFrame.to_json` writes them.
    """
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
    frame, notes = _frame_from_records(history)
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

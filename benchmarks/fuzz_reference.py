"""What is in a log, read without cogfit: the account that ``fuzz_logs.py`` holds `cogfit.read_log` to.

Each container has a small reader of its own here (csv, json, sqlite3, gzip, pyarrow, protobuf and loops over lines).
They follow what is documented: what a missing cell looks like, which lines are left out and counted, how rows are made
of one value per record. `disagreements` then compares every row of a log with what is there.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
import sqlite3
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from fuzz_inputs import STEPS, Case, Cell, masked_crc

VALUES = ("attention_utilization", "attn_util")
RUNS = ("run", "run_id", "seed")
GROUPS = ("run", "split", "layer", "head")
MISSING = frozenset({"", "nan", "-nan", "na", "n/a", "#n/a", "null", "none", "<na>"})
KNOWN = {*STEPS, *VALUES, *RUNS, "layer", "split", "loss", "lr", "note", "gpu", "wall_time"}
KNOWN |= {"pattern", "attended", "p_episodic", "exposure", *(f"layer{k}/{name}" for k in range(3) for name in VALUES)}
SPLITS = {"train": "train", "training": "train", "val": "validation", "valid": "validation", "dev": "validation"}
SPLITS |= {"validation": "validation", "test": "test", "testing": "test", "eval": "eval", "evaluation": "eval"}
NONE = "(none)"

REPEATED, CHANGED = "repeated header line", "changed header line"
CUT_LINE, NO_MEASUREMENT = "truncated last line", "line without a step and a value"
DAMAGED, CUT_RECORD = "damaged record", "truncated last record"
NO_NUMBER, NO_RUN, MALFORMED = "value is no number", "metric of no run", "malformed line of a metric"
OF_READERS = (REPEATED, CHANGED, CUT_LINE, NO_MEASUREMENT, DAMAGED, CUT_RECORD, NO_NUMBER, NO_RUN, MALFORMED)
SAME_STEP, VOID = "superseded by a later row of the same step", "superseded after a restart"


class Unreadable(Exception):
    """The bytes cannot be read by the documented rules, so that they have to be refused."""


@dataclass
class Table:
    """The rows of an input.

    Attributes
    ----------
    names : list of str
    rows : list of dict
        In the order of the file. Of a W&B export they are one for each run and row of the file.
    dropped : dict of int
        Left out by the reader, by reason.
    file_rows : list of int or None
        Row of the file behind each row.
    is_text : bool
        Whether cells have no type but that of text.
    is_certain : bool
        False if only the number of the rows is known, and which rows there may be.
    decimal : str
    may_be : list of set
        Numbers on each line of a text log.
    thousands : bool
        Whether a comma may separate thousands.
    last : str
        What the last line is that may also be taken for one that was cut: a blank line or a header.
    """

    names: list[str]
    rows: list[dict[str, Cell]]
    dropped: dict[str, int] = field(default_factory=dict)
    file_rows: list[int] | None = None
    is_text: bool = False
    is_certain: bool = True
    decimal: str = "."
    may_be: list[set[float]] = field(default_factory=list)
    thousands: bool = False
    last: str = ""

    @property
    def n_read(self) -> int:
        """Rows of the file, those left out by the reader included."""
        n = len(set(self.file_rows)) if self.file_rows is not None else len(self.rows)
        return n + sum(self.dropped.values())


# --- text tables ------------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?|[-+]?(nan|inf(inity)?)", re.IGNORECASE)
_BEGUN = re.compile(r"[-+]|[-+]?(\d+\.?\d*|\.\d*)[eE][-+]?|[-+]?\.|na|tru?|fals?|nul|inf?", re.IGNORECASE)


def text_of(data: bytes) -> tuple[str, bool]:
    """Text of a file, and whether a crash has cut its last line within a character."""
    data = data.removeprefix(b"\xef\xbb\xbf").rstrip(b"\0")
    if b"\0" in data:
        raise Unreadable("zero bytes")
    try:
        return data.decode(), False
    except UnicodeDecodeError as error:
        begin = data.rfind(b"\n") + 1
        if error.reason == "unexpected end of data" and error.start >= begin:
            return data[:begin].decode(), True
        raise Unreadable("no UTF-8") from None


def read_delimited(data: bytes) -> Table:
    """A table by the module csv."""
    text, is_cut = text_of(data)
    if "\n" not in text:
        text = text.replace("\r", "\n")
    lines = re.split(r"(?<=\n)", text)
    while lines and (not lines[0].strip() or lines[0].startswith("#")):
        del lines[0]
    if not lines:
        raise Unreadable("nothing but comments")
    # a carriage return ends the header, too
    header, *more = re.split(r"(?<=\r)(?!\n)", lines[0])
    bare = re.sub(r'"[^"]*"', "", header)
    mark = max((",", "\t", ";"), key=bare.count)
    body = "".join([*more, *lines[1:]])
    names = _header_names(next(csv.reader([header.strip("\r\n")], delimiter=mark)))
    if all(_NUMBER.fullmatch(name) for name in names):
        raise Unreadable("no header")
    has_comma = mark == ";" and re.search(r'(^|;)\s*"?-?\d+,\d+"?\s*(;|\r?\n|$)', body[:4096])
    table = Table([], [], is_text=True, decimal="," if has_comma else ".", thousands=mark == ",")
    _fill(table, names, body, mark, is_cut)
    return table


def _header_names(fields: Sequence[str]) -> list[str]:
    names = [name.strip() or f"unnamed_{place}" for place, name in enumerate(fields)]
    if len(set(names)) < len(names):
        raise Unreadable("two columns of one name")
    return names


def _fill(table: Table, names: list[str], body: str, mark: str, is_cut: bool) -> None:
    """Rows below the header, headers in between, and what a crash has left at the end."""
    dropped: Counter[str] = Counter()
    records = list(csv.reader(io.StringIO(body, newline=""), delimiter=mark))
    # a quote that never closes takes in what is written after it
    if records and list(csv.reader(io.StringIO(body.rstrip("\r\n") + "\nZ", newline=""), delimiter=mark))[-1] != ["Z"]:
        if is_cut or "\n" in records[-1][-1].rstrip("\r\n"):
            raise Unreadable("a quote never closes")
        is_cut = bool(records.pop())
    tabs = [fields for fields in records if mark == "\t" and _is_short_blank(fields, names)]
    table.last = "blank" if tabs and records[-1] is tabs[-1] else ""
    records = [fields for fields in records if fields and (len(fields) > 1 or not fields[0].isspace())]
    records = [fields for fields in records if not any(fields is blank for blank in tabs)]
    every = list(names)
    if is_cut:
        dropped[CUT_LINE] += 1
    for place, fields in enumerate(records):
        is_last = place == len(records) - 1
        stripped = [text.strip() for text in fields]
        named = stripped if stripped[0] else stripped[1:]  # pandas leaves the name of its index out
        if any(name in names for name in named) and not any(map(_is_cell, named)):
            found = _header_names(fields)
            dropped[REPEATED if found == names else CHANGED] += 1
            table.last = CHANGED if is_last and len(found) < len(names) else table.last
            names = found
            every += [name for name in names if name not in every]
            continue
        is_open = is_last and not is_cut and not body.endswith(("\n", "\r"))
        is_begun = is_open and _BEGUN.fullmatch(stripped[-1]) and '"' not in body[body.rfind("\n") + 1 :]
        if is_last and not is_cut and (len(fields) < len(names) or is_begun):
            dropped[CUT_LINE] += 1
        elif len(fields) != len(names):
            raise Unreadable(f"record {place} has {len(fields)} fields")
        else:
            table.rows.append(dict(zip(names, fields, strict=True)))
    table.names, table.dropped = every, dict(dropped)


def _is_short_blank(fields: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a record between tabs looks blank, and is no row of empty cells."""
    return 1 < len(fields) != len(names) and not "".join(fields).strip()


def _is_cell(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text)) or text.casefold() in MISSING


def read_gzip(data: bytes) -> Table:
    try:
        return read_delimited(gzip.decompress(data))
    except (OSError, EOFError, zlib.error) as error:
        raise Unreadable(str(error)) from None


def read_wandb(data: bytes) -> Table:
    """A table with a column for each run and metric, as rows by run."""
    wide = read_delimited(data)
    runs: dict[str, dict[str, str]] = {}
    for name in wide.names[1:]:
        run, separator, metric = name.rpartition(" - ")
        if not separator:
            wide.is_certain = False
            return wide
        if not metric.endswith(("__MIN", "__MAX")):
            runs.setdefault(run, {})[metric] = name
    if not runs:
        wide.is_certain = False
        return wide
    first = wide.names[0]
    names = [first, *dict.fromkeys(metric for metrics in runs.values() for metric in metrics), "run"]
    rows, file_rows = [], []
    for run, metrics in runs.items():
        for place, row in enumerate(wide.rows):
            rows.append({first: row.get(first), "run": run} | {key: row.get(name) for key, name in metrics.items()})
            file_rows.append(place)
        # of what type a column is, is found out for each run
        for metric in metrics:
            own = rows[-len(wide.rows) :] if wide.rows else []
            if (truths := _truths([row[metric] for row in own])) is not None:
                for row, truth in zip(own, truths, strict=True):
                    row[metric] = truth
    return Table(names, rows, wide.dropped, file_rows, True, decimal=wide.decimal, thousands=wide.thousands,
                 last=wide.last)  # fmt: skip


# --- JSON -------------------------------------------------------------------------------------------------------------


class _Twice(dict[str, Any]):
    """An object in which a key occurs twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(pairs) if len({key for key, _ in pairs}) == len(pairs) else _Twice(pairs)


def _loads(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"no JSON: {error}") from None


def _from_records(records: Sequence[Any]) -> Table:
    if not all(isinstance(record, dict) for record in records):
        raise Unreadable("no objects")
    rows = [dict(_flat(record)) for record in records]
    names = list(dict.fromkeys(name for row in rows for name in row))
    nested = {name for row in rows for name, value in row.items() if isinstance(value, (list, dict))}
    return Table([name for name in names if name not in nested], rows)


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(record, _Twice):
        raise Unreadable("a key occurs twice")
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def read_jsonl(data: bytes) -> Table:
    data = data.removeprefix(b"\xef\xbb\xbf").rstrip(b"\0")
    if b"\0" in data:
        raise Unreadable("zero bytes")
    lines = [line for line in data.split(b"\n") if line.strip()]
    if not all(map(_is_json, lines[:-1])):
        is_cut = not _is_json(lines[-1])
        table = _from_stream(data[: data.rindex(lines[-1])] if is_cut else data)
        table.dropped = {CUT_LINE: 1} if is_cut else {}
        return table
    records, dropped = [], {}
    for place, line in enumerate(lines):
        try:
            records.append(_loads(line.decode()))
        except (Unreadable, UnicodeDecodeError) as error:
            if place < len(lines) - 1:
                raise Unreadable(str(error)) from None
            dropped[CUT_LINE] = 1
    table = _from_records(records)
    table.dropped = dropped
    return table


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _from_stream(data: bytes) -> Table:
    """Objects one after the other, wherever lines end."""
    text, records, position = text_of(data)[0], [], 0
    decoder = json.JSONDecoder(object_pairs_hook=_object)
    try:
        while position < len(text):
            record, end = decoder.raw_decode(text, position)
            records.append(record)
            position = end + len(text[end:]) - len(text[end:].lstrip())
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"no JSON: {error}") from None
    return _from_records(records)


def read_json(data: bytes) -> Table:
    text, is_cut = text_of(data)
    content = _loads(text)
    if is_cut:
        raise Unreadable("no UTF-8")
    if isinstance(content, list):
        return _from_records(content)
    if not isinstance(content, dict) or not content:
        raise Unreadable("no table")
    if any(isinstance(value, _Twice) for value in (content, *content.values())):
        raise Unreadable("a key occurs twice")
    columns = {name: list(column.values()) if isinstance(column, dict) else column for name, column in content.items()}
    if not all(isinstance(column, list) for column in columns.values()) or len(set(map(len, columns.values()))) > 1:
        raise Unreadable("no table")
    return _from_records([dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)])


def read_huggingface(data: bytes) -> Table:
    text, is_cut = text_of(data)
    content = _loads(text)
    if is_cut or not isinstance(content, dict):
        raise Unreadable("no trainer state")
    if not isinstance(content.get("log_history"), list):
        return read_json(data)
    return _from_records(content["log_history"])


# --- other files ------------------------------------------------------------------------------------------------------


def read_parquet(data: bytes) -> Table:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(pa.BufferReader(data))
        table.validate(full=True)
        columns = {name: table.column(name).to_pylist() for name in table.column_names}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Unreadable(str(error)) from None
    for column in columns.values():
        if any(isinstance(value, (list, dict, bytes)) for value in column):
            raise Unreadable("no plain columns")
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    return Table(list(columns), rows)


_PAIRS = re.compile(r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf(?:inity)?)", re.IGNORECASE)
_NOISE = {"Saving checkpoint 3", "WARNING: loss is nan", "---", "epoch 2 starts", "eval loss 0.5"}


def read_text(data: bytes, known: Mapping[str, Mapping[str, float]]) -> Table:
    """Lines of which it is known what they say; of all others, which numbers they hold."""
    text, is_cut = text_of(data)
    if is_cut:
        raise Unreadable("no UTF-8")
    lines = [part for line in text.split("\n") for part in line.split("\r") if part.strip()]
    table = Table(["step"], [])
    dropped = 0
    for line in lines:
        table.may_be.append({float(number.replace(",", "")) for number in _PAIRS.findall(line) if _is_float(number)})
        if line in known:
            table.rows.append(dict(known[line]))
        elif line in _NOISE:
            dropped += 1
        else:
            table.is_certain = False
    table.names = list(dict.fromkeys(name for row in table.rows for name in row)) or ["step"]
    if lines and not data.endswith((b"\n", b"\r")):  # the last may be taken for a line that was cut
        table.is_certain = False
    if "epoch 2 starts" in lines:  # what comes after it has an epoch if it has no step
        table.is_certain = False
    if not table.is_certain:
        table.rows, table.dropped = [{}] * len(lines), {}
    elif dropped:
        table.dropped = {NO_MEASUREMENT: dropped}
    return table


def _is_float(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True


@dataclass
class _Value:
    """One value of a file that has one per record."""

    segment: int
    step: int
    name: str
    value: float


def _cut_at_restarts(values: Sequence[_Value]) -> Iterator[tuple[int, _Value]]:
    """Values with the number of their segment: what comes after a restart shares no rows with what was before."""
    stretches: list[list[_Value]] = []
    for value in values:
        before = stretches[-1][-1] if stretches else None
        if before is None or value.step < before.step or value.segment != before.segment:
            stretches.append([])
        stretches[-1].append(value)
    latest: dict[tuple[str, int], int] = {}
    segment = first = 0
    for number, stretch in enumerate(stretches):
        repeated = max(latest.get((value.name, value.step), -1) for value in stretch)
        is_declared = number > 0 and stretch[0].segment != stretches[number - 1][0].segment
        if repeated >= first or is_declared:
            segment, first = segment + 1, number
        for value in stretch:
            latest[value.name, value.step] = number
            yield segment, value


def _widened(runs: Sequence[tuple[str, Sequence[_Value]]]) -> Table:
    """Rows by run and step; a name that comes again at a step opens another row."""
    rows: list[dict[str, Cell]] = []
    names: dict[str, None] = {"step": None}
    filled = [(run, values) for run, values in runs if values]
    for run, values in filled:
        places: dict[tuple[int, int, int], int] = {}
        seen: Counter[tuple[int, int, str]] = Counter()
        for segment, value in _cut_at_restarts(values):
            occurrence = seen[segment, value.step, value.name]
            seen[segment, value.step, value.name] += 1
            key = segment, occurrence, value.step
            if key not in places:
                places[key] = len(rows)
                rows.append({"step": value.step} | ({"run": run} if len(filled) > 1 else {}))
            rows[places[key]][value.name] = value.value
            names[value.name] = None
    return Table([*names, *(["run"] if len(filled) > 1 else [])], rows)


def read_events(files: Mapping[str, bytes]) -> Table:
    """Event files, each of a run, record by record."""
    dropped: Counter[str] = Counter()
    runs = []
    for path in sorted(files, key=lambda path: path.rsplit("/", 1)[0]):
        runs.append((path.split("/")[1:-1], list(_event_values(files[path], dropped))))
    # folders are named without what all that have values have in common
    levels = zip(*(folder for folder, values in runs if values), strict=False)
    common = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    table = _widened([("/".join(folder[common:]), values) for folder, values in runs])
    table.dropped = dict(dropped)
    if not table.rows:
        raise Unreadable("no scalar")
    return table


def _event_values(data: bytes, dropped: Counter[str]) -> Iterator[_Value]:
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    segment, version = 0, 0.0
    for content in _event_records(data, dropped):
        try:
            event = Event.FromString(content)
        except DecodeError:
            dropped[DAMAGED] += 1
            continue
        if event.file_version:
            version = float(event.file_version.removeprefix("brain.Event:"))
        if event.session_log.status == event.session_log.START and version >= 2:
            segment += 1
        for item in event.summary.value:
            if item.WhichOneof("value") == "simple_value":
                yield _Value(segment, event.step, item.tag, item.simple_value)
            elif item.WhichOneof("value") == "tensor" and len(item.tensor.float_val) == 1:
                yield _Value(segment, event.step, item.tag, item.tensor.float_val[0])


def _event_records(data: bytes, dropped: Counter[str]) -> Iterator[bytes]:
    position = 0
    while position < len(data):
        header = data[position : position + 12]
        if len(header) < 12:
            dropped[CUT_RECORD] += 1
            return
        if masked_crc(header[:8]) != header[8:]:
            dropped[DAMAGED] += 1
            return
        end = position + 12 + struct.unpack("<Q", header[:8])[0]
        if end + 4 > len(data):
            dropped[CUT_RECORD] += 1
            return
        content = data[position + 12 : end]
        if masked_crc(content) == data[end : end + 4]:
            yield content
        else:
            dropped[DAMAGED] += 1
        position = end + 4


def read_database(path: Path) -> Table:
    """MLflow's tables, of which everything is decided here and not by SQL."""
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        try:
            if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                raise Unreadable("damaged")
            metrics = connection.execute(
                "SELECT rowid, run_uuid, key, value, timestamp, step, is_nan FROM metrics"
            ).fetchall()
            runs = connection.execute("SELECT start_time, rowid, run_uuid, name, lifecycle_stage FROM runs").fetchall()
        finally:
            connection.close()
    except (sqlite3.Error, UnicodeError) as error:
        raise Unreadable(str(error)) from None
    dropped: Counter[str] = Counter()
    kept = sorted((run for run in runs if run[4] != "deleted"), key=lambda run: (_sql_order(run[0]), run[1]))
    active, every = {run[2] for run in kept}, {run[2] for run in runs}
    values: dict[str, list[tuple[int, int, _Value]]] = {run[2]: [] for run in kept}
    for rowid, uuid, key, value, timestamp, step, is_nan in metrics:
        is_number = type(step) is int and type(timestamp) is int and (is_nan or type(value) is float)
        if uuid not in every:
            dropped[NO_RUN] += 1
        elif uuid in active and not is_number:
            dropped[NO_NUMBER] += 1
        elif uuid in active:
            number = math.nan if is_nan else value * math.inf if abs(value) == 1.7976931348623157e308 else value
            values[uuid].append((timestamp, rowid, _Value(0, step, str(key), number)))
    named = run_names([(run[2], run[3]) for run in kept])
    parts = [[value for *_, value in sorted(values[run[2]], key=lambda item: item[:2])] for run in kept]
    table = _widened(list(zip(named, parts, strict=True)))
    table.dropped = dict(dropped)
    return table


def _sql_order(value: Any) -> tuple[int, Any]:
    """Order of SQL: nothing, numbers, texts."""
    return (0, 0) if value is None else (1, value) if isinstance(value, (int, float)) else (2, str(value))


def run_names(runs: Sequence[tuple[str, str | None]]) -> list[str]:
    """Names of runs, with the start of their ids where they would be the same label."""
    short = [uuid[:8] for uuid, _ in runs]
    short = short if len(set(short)) == len(short) else [uuid for uuid, _ in runs]
    names = [(name or "").strip() or own for (_, name), own in zip(runs, short, strict=True)]
    count = Counter(names)
    return [f"{name} ({own})" if count[name] > 1 else name for name, own in zip(names, short, strict=True)]


_VALUE = re.compile(rb"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|[iI]nf(?:inity)?|[nN]a[nN])")


def read_store(files: Mapping[str, bytes]) -> Table:
    """MLflow's file store, line by line."""
    runs: dict[str, dict[str, str]] = {}
    for path, data in files.items():
        if path.endswith("meta.yaml"):
            entries = re.findall(r"^(\w+): (.*)$", data.decode("utf-8", "replace"), re.MULTILINE)
            if not {"run_id", "run_name", "lifecycle_stage", "start_time"} <= dict(entries).keys():
                raise Unreadable("damaged meta.yaml")
            runs[path.removesuffix("/meta.yaml")] = dict(entries)
    dropped: Counter[str] = Counter()
    kept = [(folder, meta) for folder, meta in runs.items() if meta.get("lifecycle_stage") != "deleted"]
    parts = []
    for folder, _ in kept:
        values: list[tuple[int, _Value]] = []
        # files of a folder before those of the folders below it
        paths = [path for path in files if path.startswith(folder + "/metrics/")]
        for path in sorted(paths, key=lambda path: (path.count("/"), path)):
            values += _metric_lines(files[path], path.split("/metrics/", 1)[1], dropped)
        parts.append([value for _, value in sorted(values, key=lambda item: item[0])])
    named = run_names([(meta.get("run_id", ""), _yaml_text(meta.get("run_name", ""))) for _, meta in kept])
    table = _widened(list(zip(named, parts, strict=True)))
    table.dropped = dict(dropped)
    return table


def _yaml_text(text: str) -> str:
    return text[1:-1].replace("''", "'") if text.startswith("'") else text


def _metric_lines(data: bytes, name: str, dropped: Counter[str]) -> list[tuple[int, _Value]]:
    lines = [line.removesuffix(b"\r") for line in data.split(b"\n") if line.strip()]
    parsed = [_metric_line(line, name) for line in lines]
    if parsed and not data.endswith(b"\n") and _is_cut(parsed, lines):
        dropped[CUT_LINE] += 1
        del parsed[-1]
    dropped.update({MALFORMED: n} if (n := parsed.count(None)) else {})
    return [item for item in parsed if item is not None]


def _metric_line(line: bytes, name: str) -> tuple[int, _Value] | None:
    fields = line.split(b" ")
    whole = re.compile(rb"\d{1,18}")
    if len(fields) not in (2, 3, 5) or not whole.fullmatch(fields[0]) or not _VALUE.fullmatch(fields[1]):
        return None
    if len(fields) > 2 and not whole.fullmatch(fields[2].removeprefix(b"-")):
        return None
    if len(fields) == 5 and not (fields[3].strip() == fields[3] and fields[4].strip() == fields[4]):
        return None
    if len(fields) == 5 and not (fields[3] and fields[4]):
        return None
    step = int(fields[2]) if len(fields) > 2 else 0
    return int(fields[0]), _Value(0, step, name, float(fields[1]))


def _is_cut(parsed: Sequence[tuple[int, _Value] | None], lines: Sequence[bytes]) -> bool:
    """Whether the last line lacks its step, or has one that does not go on."""
    if parsed[-1] is None:
        return True
    before = next((place for place in range(len(parsed) - 2, -1, -1) if parsed[place] is not None), None)
    has_step = [line.count(b" ") > 1 for line in lines]
    if before is None:
        return not has_step[-1]
    if not has_step[-1] or not has_step[before]:
        return has_step[-1] or has_step[before]
    last, earlier = parsed[-1], parsed[before]
    assert last is not None
    assert earlier is not None
    return last[1].step <= earlier[1].step


def read(case: Case, folder: Path) -> Table:
    """The rows of an input that lies in a folder."""
    simple: dict[str, Callable[[bytes], Table]] = {
        "csv": read_delimited,
        "tsv": read_delimited,
        "csv.gz": read_gzip,
        "jsonl": read_jsonl,
        "json": read_json,
        "huggingface": read_huggingface,
        "wandb": read_wandb,
        "parquet": read_parquet,
    }
    try:
        if case.container in simple:
            return simple[case.container](case.files[case.target])
        if case.container == "text":
            return read_text(case.files[case.target], case.lines)
        if case.container == "tensorboard":
            return read_events(case.files)
        if case.container == "mlflow":
            return read_database(folder / case.target)
        return read_store(case.files)
    except (csv.Error, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from None


# --- cells ------------------------------------------------------------------------------------------------------------


def number(cell: Cell, decimal: str = ".") -> float:
    """The number that a cell holds, NaN for a missing one; whole numbers stay exact."""
    if cell is None:
        return math.nan
    if isinstance(cell, bool):
        return int(cell)
    if isinstance(cell, (int, float)):
        return cell
    if not isinstance(cell, str):
        raise Unreadable(f"{cell!r} is no number")
    text = re.sub(r"nan\(\w*\)", "nan", cell.strip(), flags=re.IGNORECASE)  # as C writes it
    if text.casefold() in MISSING:
        return math.nan
    if decimal == ",":
        text = text.replace(",", ".")
    if "_" in text:
        raise Unreadable(f"{cell!r} is no number")
    try:
        if re.fullmatch(r"[-+]?[0-9]+", text):
            return int(text)
        return int(text, 16) if re.fullmatch(r"0[xX][0-9a-fA-F]+", text) else float(text)
    except ValueError:
        raise Unreadable(f"{cell!r} is no number") from None


def numbers(table: Table, name: str) -> list[float]:
    """Numbers of a column."""
    cells = [row.get(name) for row in table.rows]
    if table.is_text and all(cell is None or isinstance(cell, str) for cell in cells):
        if (truths := _truths(cells)) is not None:
            return [number(truth) for truth in truths]
        present = [cell for cell in cells if cell is not None and cell.strip().casefold() not in MISSING]
        pattern = re.compile(r"\d+|[1-9]\d{0,2}(,\d{3})+")
        if table.thousands and any("," in cell for cell in present) and all(map(pattern.fullmatch, present)):
            return [number(None if cell is None else cell.replace(",", "")) for cell in cells]
    return [number(cell, table.decimal) for cell in cells]


def label(cell: Cell) -> str | None:
    """The name that a cell holds, None if it is empty."""
    if cell is None:
        return None
    if isinstance(cell, str):
        return re.sub("[\ud800-\udfff]", lambda half: f"\ufffd{{{ord(half[0]):x}}}", cell.strip()) or None
    if isinstance(cell, float):
        if math.isnan(cell):
            return None
        return str(int(cell)) if cell.is_integer() else str(cell)
    return str(cell).strip()


def _truths(cells: Sequence[str | None]) -> list[bool | None] | None:
    """Truth values of a column of text that holds nothing else, None for any other column."""
    words = [(cell or "").strip().casefold() for cell in cells]
    found = {word for word in words if word not in MISSING}
    if not found & {"true", "false"} or not found <= {"true", "false", "0", "1"}:
        return None
    return [None if word in MISSING else word in ("true", "1") for word in words]


def labels(table: Table, name: str) -> list[str | None]:
    """Names in a column; whole numbers that pandas wrote as floats because some are missing are whole."""
    found = [label(row.get(name)) for row in table.rows]
    present = [text for text in found if text is not None]
    if table.is_text and len(present) < len(found) and all(re.fullmatch(r"-?\d+\.0", text) for text in present):
        return [None if text is None else text[:-2] for text in found]
    return found


# --- what is to be found in the log -----------------------------------------------------------------------------------


def first_of(choices: Iterable[str], names: Sequence[str]) -> str | None:
    return next((name for name in choices if name in names), None)


@dataclass
class Columns:
    """Which column is what."""

    step: str
    values: list[str]
    labels: dict[str, str]
    is_bounded: bool
    sign: float = 1.0
    offset: float = 0.0
    is_certain: bool = True


def find_columns(table: Table, log: Any, options: Mapping[str, Any]) -> Columns:
    """Columns of the utilisation by name; those that the log says it used where names were damaged."""
    names = table.names
    runs = first_of(RUNS, names)
    groups = {role: name for role, name in (("run", runs), ("layer", first_of(["layer"], names)),
                                           ("split", first_of(["split"], names))) if name}  # fmt: skip
    offset = float(options.get("x_offset", 0.0))
    told = log.utilization.x_name if not offset else re.sub(r" [+−] [^ ]*$", "", log.utilization.x_name)
    step = options.get("x") or first_of(STEPS, names)
    y = options.get("y", "")
    wanted = y.removeprefix("-")
    values = [wanted] if wanted else [name for name in (first_of(VALUES, names),) if name]
    if not values:
        values = [name for name in names if re.fullmatch(r"layer\d/att\w+", name)]
    if set(names) <= KNOWN and step in (*names, "row") and values:
        sign = -1.0 if y.startswith("-") else 1.0
        return Columns(step, values, groups, not wanted and sign > 0, sign, offset)
    value = log.utilization.y_name
    sign = -1.0 if value.startswith("−") and value not in names else 1.0
    return Columns(told, [value.removeprefix("−") if sign < 0 else value], groups, False, sign, offset, False)


_TRAINING = re.compile(r"(?:(.*), )?training \d+ of \d+", re.DOTALL)


def disagreements(log: Any, table: Table | None, options: Mapping[str, Any]) -> list[str]:
    """What is wrong with a log, given the rows of its file (None if they are not known)."""
    found = []
    parts = [part for part in (log.routing, log.utilization) if part is not None]
    for part in parts:
        found += _of_account(part, is_routing=part is log.routing)
    if table is None:
        return found
    dropped = sum((Counter(part.source.rows_dropped) for part in parts), Counter[str]())
    if table.last and dropped[CUT_LINE]:
        table.dropped = {**table.dropped, CUT_LINE: 1}
        if table.last == CHANGED:
            table.dropped[CHANGED] -= 1
    n_read = sum(part.source.rows_read for part in parts)
    if n_read != table.n_read:
        found.append(f"{n_read} rows read where the file has {table.n_read}")
    if table.may_be:
        found += _of_numbers(log, table)
    if not table.is_certain:
        return found
    for reason in OF_READERS:
        if dropped[reason] != table.dropped.get(reason, 0):
            found.append(f"'{reason}': {dropped[reason]} rows where the file has {table.dropped.get(reason, 0)}")
    if len(parts) == 2:
        return found
    try:
        found += _of_routing(log, table, options) if log.routing else _of_utilization(log, table, options)
    except Unreadable as error:
        found.append(f"read, although {error}")
    return found


def _of_account(part: Any, *, is_routing: bool) -> list[str]:
    source, found = part.source, []
    if min(source.rows_dropped.values(), default=1) < 1 or source.rows_read < 0:
        found.append(f"counts below one: {source.rows_dropped}")
    if source.rows_read != source.rows_used + sum(source.rows_dropped.values()):
        found.append("rows do not add up")
    behind = len(part.frame) if is_routing else source.rows_behind(part.frame)
    if behind != source.rows_used:
        found.append(f"{source.rows_used} rows used, but {behind} are behind the frame")
    return found


def _of_numbers(log: Any, table: Table) -> list[str]:
    """Values of a text of which only the numbers in its lines are known."""
    if log.utilization is None or "row" in log.utilization.x_name or "+" in log.utilization.x_name:
        return []
    sign = -1.0 if log.utilization.y_name.startswith("−") else 1.0
    pairs = zip(log.utilization.frame["step"], log.utilization.frame["attention_utilization"], strict=True)
    return [
        f"step {step}, value {value} are on no line"
        for step, value in pairs
        if not any(step in numbers and sign * value in numbers for numbers in table.may_be)
    ][:1]


Key = tuple[float, float, tuple[str, ...]]


@dataclass
class _Expected:
    """What a row holds."""

    place: int
    step: float
    value: Any
    labels: tuple[str, ...]


def _group_labels(table: Table, columns: Mapping[str, str]) -> dict[str, list[str]]:
    """Labels of each group column, as the log has them."""
    found = {}
    for role, name in columns.items():
        texts = labels(table, name)
        if role == "split":
            splits = [None if text is None else SPLITS.get(text.casefold(), "?") for text in texts]
            if "?" in splits and (name.strip().casefold() not in ("split", "subset") or not {*splits} - {None, "?"}):
                continue
            # a name of one's own is one beside train, test and the like
            texts = [text if split == "?" else split for text, split in zip(texts, splits, strict=True)]
        found[role] = [NONE if text is None else text for text in texts]
    return found


def _of_utilization(log: Any, table: Table, options: Mapping[str, Any]) -> list[str]:
    columns = find_columns(table, log, options)
    part = log.utilization
    if not columns.is_certain and (
        ("file_row" in part.frame and "layer" in part.frame)
        or columns.values[0] not in table.names
        or columns.step not in (*table.names, "row")
    ):
        return []
    steps, counts = _usable_steps(table, columns)
    groups = _group_labels(table, columns.labels)
    expected, more = _expected_values(table, columns, steps, groups)
    found = _compare_counts(part, table, columns, counts + more)
    roles = [role for role in GROUPS if role in groups or (role == "layer" and len(columns.values) > 1)]
    log_roles = [role for role in GROUPS if role in part.frame]
    if not columns.is_certain:
        roles = []
        expected = [_Expected(item.place, item.step, item.value, ()) for item in expected]
    kept = _rows_of(part, roles, ("attention_utilization",))
    found += [f"label column '{role}' is missing" for role in roles if role not in log_roles and len(
        {item.labels[roles.index(role)] for item in expected}) > 1]  # fmt: skip
    return found + _compare_rows(part, expected, kept, roles, is_one_per_step=columns.is_certain)


def _usable_steps(table: Table, columns: Columns) -> tuple[list[float | None], Counter[str]]:
    """Steps of rows, None where there is none."""
    if columns.step == "row" and "row" not in table.names:
        own = [place + 1 for place in table.file_rows] if table.file_rows else [*range(1, len(table.rows) + 1)]
        return [step + columns.offset if columns.offset else step for step in own], Counter()
    found = [step + columns.offset if columns.offset else step for step in numbers(table, columns.step)]
    counts: Counter[str] = Counter()
    usable: list[float | None] = []
    for step in found:
        if _is_finite(step):
            usable.append(step)
            continue
        usable.append(None)
        counts[f"{'no' if step != step else 'infinite'} value in '{columns.step}'"] += 1
    return usable, counts


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _expected_values(
    table: Table, columns: Columns, steps: Sequence[float | None], groups: Mapping[str, Sequence[str]]
) -> tuple[list[_Expected], Counter[str]]:
    """Every value with its step and labels, and how many rows have none."""
    every = [numbers(table, name) for name in columns.values]
    counts: Counter[str] = Counter()
    expected = []
    for place, step in enumerate(steps):
        values = [_as_float(column[place]) for column in every]
        bad = [value for value in values if columns.is_bounded and _is_finite(value) and not -1e-9 <= value <= 1 + 1e-9]
        if bad:
            raise Unreadable(f"{bad[0]} is no fraction")
        if step is None:
            continue
        finite = [value for value in values if _is_finite(value)]
        if not finite and len(values) > 1:
            counts[f"no value in '{columns.values[0]}' and its like"] += 1
        elif not finite:
            counts[f"{'no' if values[0] != values[0] else 'infinite'} value in '{columns.values[0]}'"] += 1
        for name, value in zip(columns.values, values, strict=True):
            if not _is_finite(value):
                continue
            value = min(max(value, 0.0), 1.0) if columns.is_bounded else value
            own = {role: texts[place] for role, texts in groups.items()}
            if len(columns.values) > 1:
                own["layer"] = name[len("layer")]
            names = tuple(own[role] for role in GROUPS if role in own)
            expected.append(_Expected(place, step, columns.sign * value, names))
    return expected, counts


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _compare_counts(part: Any, table: Table, columns: Columns, counts: Counter[str]) -> list[str]:
    """Rows without a value, by reason."""
    if table.file_rows is not None or not columns.is_certain:
        return []
    told: Counter[str] = Counter()
    for reason, count in part.source.rows_dropped.items():
        if reason.startswith(("no value in", "infinite value in")):
            # which of the columns by layer comes first is the reader's choice
            told[re.sub(r"'layer\d/(.*) and its like", rf"'{columns.values[0][:7]}\1 and its like", reason)] += count
    return [] if told == counts else [f"rows without a value: {told} where the file has {dict(counts)}"]


def _rows_of(part: Any, roles: Sequence[str], values: Sequence[str]) -> list[tuple[Any, ...]]:
    """Rows of the log and of what was not chosen: step, values, labels."""
    rows = []
    for frame in (part.frame, part.others):
        if frame is None:
            continue
        size = len(frame)
        texts = [_role_texts(frame, role) if role in frame else [None] * size for role in roles]
        names = list(zip(*texts, strict=True)) if texts else [()] * size
        cells = list(zip(*(frame[name].tolist() for name in values), strict=True))
        rows += list(zip(frame["step"].tolist(), cells, names, strict=True))
    return rows


def _role_texts(frame: Any, role: str) -> list[str]:
    texts = frame[role].astype(str).tolist()
    if role != "run":
        return texts
    return [(match[1] or NONE) if (match := _TRAINING.fullmatch(text)) else text for text in texts]


def _key(step: float, cells: Any, names: Sequence[str | None]) -> tuple[Any, ...]:
    return (_as_float(step), cells, tuple(names))


def _compare_rows(
    part: Any, expected: Sequence[_Expected], kept: Sequence[tuple[Any, ...]], roles: Sequence[str],
    *, is_one_per_step: bool,
) -> list[str]:  # fmt: skip
    """Rows of the log against those of the file, and why those are missing that are."""
    absent = [place for place, role in enumerate(roles) if role not in part.frame]

    def without(names: Sequence[str | None]) -> tuple[str | None, ...]:
        return tuple(None if place in absent else name for place, name in enumerate(names))

    there = Counter(_key(step, cells, names) for step, cells, names in kept)
    whole = part.frame["step"].dtype.kind == "i"
    wanted: dict[tuple[Any, ...], list[_Expected]] = {}
    for item in expected:
        cells = item.value if isinstance(item.value, tuple) else (item.value,)
        wanted.setdefault(_key(item.step, cells, without(item.labels)), []).append(item)
    found = [
        f"{key} is there {count} times and in the file {len(wanted.get(key, ()))} times"
        for key, count in there.items()
        if count > len(wanted.get(key, ()))
    ]
    if whole:
        exact = {step for item in expected for step in (item.step, _as_float(item.step))}  # as floats beyond 2**53
        found += [f"step {step} is in no row" for step, _, _ in kept if step not in exact]
    if found:
        return found[:3]
    missing = [item for key, items in wanted.items() for item in items[: len(items) - there[key]]]
    found += _unexplained(part, expected, missing, roles, is_one_per_step=is_one_per_step)
    n_out = sum(part.source.rows_dropped.get(reason, 0) for reason in (SAME_STEP, VOID))
    if "file_row" not in part.frame and n_out != len(missing):
        found.append(f"{len(missing)} rows are missing where {n_out} are said to be superseded")
    return found[:3]


def _unexplained(
    part: Any, expected: Sequence[_Expected], missing: Sequence[_Expected], roles: Sequence[str],
    *, is_one_per_step: bool,
) -> list[str]:  # fmt: skip
    """Missing rows that nothing supersedes, and rows that are there beside later ones of their step."""
    is_routing = hasattr(part, "pattern_names")
    last: dict[tuple[Any, ...], _Expected] = {}
    for item in expected:
        last[_as_float(item.step), item.labels] = item
    branches = [(branch.step, dict(branch.labels)) for branch in part.source.branches]
    found = []
    for item in missing:
        own = dict(zip(roles, item.labels, strict=True))
        is_void = any(
            step <= item.step
            and all(own.get(role, _plain(role, text)) == _plain(role, text) for role, text in names.items())
            for step, names in branches
        )
        is_late = not is_routing and last[_as_float(item.step), item.labels] is not item
        if not is_void and not is_late:
            found.append(f"row {item.place} is missing: step {item.step}, {item.value}, {item.labels}")
    trainings = "run" in part.frame and any(map(_TRAINING.fullmatch, _all_runs(part)))
    if not is_routing and is_one_per_step and not trainings:
        gone = set(map(id, missing))
        found += [
            f"row {item.place} was left out, although it is the last of step {item.step} {item.labels}"
            for item in last.values()
            if id(item) in gone and not any(step <= item.step for step, _ in branches)
        ]
        there = Counter((_as_float(item.step), item.labels) for item in expected if id(item) not in gone)
        found += [f"{count} rows of step {key}" for key, count in there.items() if count > 1]
    return found


def _plain(role: str, text: str) -> str:
    match = _TRAINING.fullmatch(text) if role == "run" else None
    return (match[1] or NONE) if match else text


def _all_runs(part: Any) -> list[str]:
    frames = [frame for frame in (part.frame, part.others) if frame is not None]
    return [text for frame in frames for text in frame["run"].astype(str).unique().tolist()]


# --- routing ----------------------------------------------------------------------------------------------------------

_TRUE, _FALSE = {"true", "t", "yes", "1", "1.0"}, {"false", "f", "no", "0", "0.0"}
_MINUS_ONE = re.compile(r"-1(\.0*)?([eE][-+]?0+)?")


def _truth(cell: Cell, decimal: str = ".") -> float:
    if cell is None:
        return math.nan
    if isinstance(cell, (bool, int, float)):
        value = float(cell)
        if value in (0.0, 1.0) or not math.isfinite(value):
            return value
        raise Unreadable(f"{cell} is neither 0 nor 1")
    word = str(cell).strip().casefold()
    if word in MISSING:
        return math.nan
    if word in _TRUE or word in _FALSE:
        return float(word in _TRUE)
    value = number(cell, decimal)
    if value in (0, 1) or not _is_finite(value):
        return float(value)
    raise Unreadable(f"{cell!r} is neither 0 nor 1")


def _of_routing(log: Any, table: Table, options: Mapping[str, Any]) -> list[str]:
    if not set(table.names) <= KNOWN:
        return []
    part, names = log.routing, table.names
    step = options.get("x") or first_of(STEPS, names)
    offset = options.get("x_offset", 0.0)
    columns: dict[str, list[Any]] = {"step": [value + offset if offset else value for value in numbers(table, step)]}
    if "exposure" in names:
        columns["exposure"] = list(numbers(table, "exposure"))
    if "attended" in names:
        columns["attended"] = [_truth(row.get("attended"), table.decimal) for row in table.rows]
    if "p_episodic" in names:
        columns["p_episodic"] = [_as_float(value) for value in numbers(table, "p_episodic")]
    for one, other in (("attended", "p_episodic"), ("p_episodic", "attended")):
        if one in columns and other in columns and _is_empty(table, one) and not _is_empty(table, other):
            del columns[one]
    patterns = [None if text is None or _MINUS_ONE.fullmatch(text) else text for text in labels(table, "pattern")]
    groups = _group_labels(table, {role: name for role, name in (("run", first_of(RUNS, names)),) if name})
    expected, counts = _expected_routing(columns, patterns, groups)
    told = {reason: count for reason, count in part.source.rows_dropped.items() if " value in '" in reason}
    named = {reason.replace("'step'", f"'{step}'"): count for reason, count in counts.items()}
    found = [] if told == named else [f"rows without a value: {told} where the file has {named}"]
    cells = [name for name in ("attended", "p_episodic") if name in columns]
    if [name for name in ("attended", "p_episodic") if name in part.frame] != cells:
        return [*found, f"columns {list(part.frame)} where the file has {cells}"]
    return found + _of_routing_rows(part, expected, list(groups), cells)


def _is_empty(table: Table, name: str) -> bool:
    cells = [row.get(name) for row in table.rows]
    return all(cell is None or (table.is_text and cell.strip().casefold() in MISSING) for cell in cells)


def _expected_routing(
    columns: Mapping[str, Sequence[Any]], patterns: Sequence[str | None], groups: Mapping[str, Sequence[str]]
) -> tuple[list[_Expected], Counter[str]]:
    counts: Counter[str] = Counter()
    expected = []
    for place, pattern in enumerate(patterns):
        names = [name for name in columns if name != "exposure" or pattern is not None]
        unusable = next((name for name in names if not _is_finite(columns[name][place])), None)
        p = columns["p_episodic"][place] if "p_episodic" in columns else 0.5
        if _is_finite(p) and not -1e-9 <= p <= 1 + 1e-9:
            raise Unreadable(f"{p} is no fraction")
        if unusable is not None:
            is_missing = columns[unusable][place] != columns[unusable][place]
            counts[f"{'no' if is_missing else 'infinite'} value in '{unusable}'"] += 1
            continue
        step = columns["step"][place]
        if step != int(step) or abs(step) >= 2**63:
            raise Unreadable(f"step {step} is not whole")
        values = tuple(
            bool(columns[name][place]) if name == "attended" else min(max(columns[name][place], 0.0), 1.0)
            for name in ("attended", "p_episodic")
            if name in columns
        )
        own = tuple(texts[place] for texts in groups.values())
        expected.append(_Expected(place, int(step), (pattern, *values), own))
    return expected, counts


def _of_routing_rows(
    part: Any, expected: Sequence[_Expected], roles: Sequence[str], values: Sequence[str]
) -> list[str]:
    rows = [
        (step, (None if cells[0] < 0 else part.pattern_names[cells[0]], *cells[1:]), names)
        for step, cells, names in _rows_of(part, roles, ("pattern", *values))
    ]
    found = _compare_rows(part, expected, rows, roles, is_one_per_step=False)
    if not part.exposure_logged and part.others is None:
        seen: Counter[tuple[Any, ...]] = Counter()
        names = [part.frame[role].astype(str).tolist() for role in GROUPS if role in part.frame]
        for pattern, exposure, *own in zip(part.frame["pattern"], part.frame["exposure"], *names, strict=True):
            if exposure != (seen[pattern, *own] if pattern >= 0 else -1):
                found.append(f"exposure {exposure} of a pattern seen {seen[pattern, *own]} times")
            seen[pattern, *own] += 1
    return found[:3]

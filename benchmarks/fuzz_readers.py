"""What is in a log, read without cogfit: a small reader of its own for each container.

They use csv, json, sqlite3, gzip, pyarrow, protobuf and loops over lines, and follow what is documented: what a missing
cell looks like, which lines are left out and counted, how rows are made of one value per record. ``fuzz_comparison.py``
holds what `cogfit.read_log` finds to the rows that `read` returns.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from fuzz_inputs import Case, Cell, masked_crc

MISSING = frozenset({"", "nan", "-nan", "na", "n/a", "#n/a", "null", "none", "<na>"})

REPEATED, CHANGED = "repeated header line", "changed header line"
CUT_LINE, NO_MEASUREMENT = "truncated last line", "line without a step and a value"
DAMAGED, CUT_RECORD = "damaged record", "truncated last record"
NO_NUMBER, NO_RUN, MALFORMED = "value is no number", "metric of no run", "malformed line of a metric"
OF_READERS = (REPEATED, CHANGED, CUT_LINE, NO_MEASUREMENT, DAMAGED, CUT_RECORD, NO_NUMBER, NO_RUN, MALFORMED)


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

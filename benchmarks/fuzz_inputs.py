"""Small training logs in every container, and damage to them: the inputs of ``fuzz_logs.py``.

An input depends on nothing but its container, number and seed. Its faults (`Fault`) each have a seed of their own, so
that the same input can be made again with fewer of them.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import re
import sqlite3
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

Cell = Any
"""None, a truth value, a number or a text."""

TEXTS = ("csv", "tsv", "csv.gz", "jsonl", "json", "huggingface", "wandb", "text")
"""Containers whose lines can be damaged."""
CONTAINERS = (*TEXTS, "parquet", "tensorboard", "mlflow", "mlflow_files")
ROUTED = ("csv", "tsv", "csv.gz", "jsonl", "json", "parquet")
"""Containers that hold texts in columns, and thus patterns."""

STEPS = ("step", "global_step", "iteration", "Step")
"""Columns of x."""

LABELS = (
    ["1", "01", "1.0", "2.0", "1e5", "1E5", "NA", "None", "nan", "null", "true", "True", " x", "x", "x ", 'q"q', "'s"]
    + ["a,b", "a;b", "a\tb", "é", "日本", "𝔘", "a\u2028b", "2024-01-01", "2024-01-01 00:00", "12:30", "-1", "-0"]
    + ["9223372036854775808", "18446744073709551617", "9007199254740993", "0x10", "+5", "1_000", "1,000", "-", "#1"]
    + ["inf", "step", "a - b", "a/b", "a/c", "(none)", "seed3", "0.1", "1e400", "%", "\\", "{", "[1]", "\u00a0y", "y"]
)
"""Names that a reader may take for something else."""
TYPED = [1, 2, 10, 1.0, 2.5, 2**53 + 1, 2**63, True, False, -0.0, 1e22, 1e300]
"""Labels that JSON holds as other things than texts."""

TOKENS = [b"\0", b"\r", b"\n", b"\r\n", b",", b";", b"\t", b'"', b'""', b"'", b"\\", b"\xff", b"\xc3", b"\xed\xa0\x80"]
TOKENS += [b"\xef\xbb\xbf", b"\xff\xfe", b"\\ud800", b"\\u0000", b"NaN", b"-Infinity", b"1e999", b"9" * 40, b"-1"]
TOKENS += [b"1,000", b"[" * 300, b"{", b"}", b"null", b"true", b"# ", b" ", b"_", b"\x1b", b"0x1F", b"0", b"7", b"."]
TOKENS += [b"e", b"+", b"-", b"step", b"attn_util", b"pattern", b":", b"loss", b"\xe2\x80\xa8", b"\x0c", b"\x1c"]

GARBAGE = ["abc", "", " ", "n/a", "N/A", "#N/A", "NULL", "None", "nan", "-nan", "inf", "-Infinity", "1_000", "0x10"]
GARBAGE += ["1,000", "0,5", "1e999", "1e-999", "+0.25", ".5", "5.", "٣", "--", "true", "TRUE", "False", "1e5", " 0.25 "]
GARBAGE += ["2024-01-01", "12:30", "<NA>", "nan(1)", "1e", "0.5f", "1d2", "½", "0.1.2", "1 2", "9" * 25, "00012", "-0"]


@dataclass
class Sheet:
    """A log as a table, before it is written."""

    names: list[str]
    rows: list[dict[str, Cell]]
    is_routing: bool = False


@dataclass(frozen=True)
class Fault:
    """A change to an input, made again by its seed."""

    name: str
    seed: int

    @property
    def level(self) -> str:
        """``"rows"`` or ``"bytes"``."""
        return "bytes" if self.name in BYTE_FAULTS else "rows"


@dataclass
class Case:
    """An input as it is read.

    Attributes
    ----------
    container : str
    files : dict of bytes
        By path below the folder of the input.
    target : str
        What is read: one of these paths, or a folder.
    options : dict
        Of `cogfit.read_log`.
    faults : tuple of Fault
    lines : dict
        Of a text log, what each line says that was written on purpose.
    """

    container: str
    files: dict[str, bytes]
    target: str
    options: dict[str, Any]
    faults: tuple[Fault, ...]
    lines: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def damage(self) -> str:
        """Where the faults are: ``"none"``, ``"rows"``, ``"bytes"`` or ``"both"``."""
        levels = {fault.level for fault in self.faults}
        return "both" if len(levels) > 1 else levels.pop() if levels else "none"


def make(container: str, number: int, seed: int, faults: Sequence[Fault] | None = None) -> Case:
    """An input, or the same one with other faults."""
    chance = random.Random(f"{seed}/{container}/{number}")
    sheet = make_sheet(container, chance)
    options = make_options(sheet, chance)
    style = chance.getrandbits(32)
    drawn = draw_faults(container, chance)
    used = tuple(drawn if faults is None else faults)
    for fault in used:
        if fault.name in ROW_FAULTS:
            ROW_FAULTS[fault.name](sheet, random.Random(fault.seed))
    case = write(container, sheet, random.Random(style))
    case.options, case.faults = options, used
    for fault in used:
        if fault.name in LINE_FAULTS:
            _change(case, fault, LINE_FAULTS[fault.name])
    if container == "csv.gz":
        case.files = {name: gzip.compress(data, 1, mtime=0) for name, data in case.files.items()}
    for fault in used:
        if fault.name == "splice":
            _change(case, fault, lambda data, chance: _splice(data, _other(container, number, seed, chance), chance))
        elif fault.name in BYTE_FAULTS:
            _change(case, fault, BYTE_FAULTS[fault.name])
    return case


def _other(container: str, number: int, seed: int, chance: random.Random) -> bytes:
    """A file of this input or of the next one."""
    files = make(container, number + chance.choice((0, 1)), seed, ()).files
    return files[chance.choice(sorted(files))]


def _change(case: Case, fault: Fault, change: Callable[[bytes, random.Random], bytes]) -> None:
    """Change one file of an input, of a store mostly a metric."""
    chance = random.Random(fault.seed)
    metrics = [name for name in case.files if not name.endswith("meta.yaml")]
    name = chance.choice(sorted(case.files if chance.random() < 0.1 else metrics or case.files))
    case.files[name] = change(case.files[name], chance)


def draw_faults(container: str, chance: random.Random) -> list[Fault]:
    """None to four faults, at one level or at both."""
    rows = [*ROW_FAULTS, *(LINE_FAULTS if container in TEXTS else ())]
    kind = chance.choices(("none", "rows", "bytes", "both"), (1, 5, 3, 1))[0]
    if kind == "none":
        return []
    names = {"rows": rows, "bytes": list(BYTE_FAULTS), "both": [*rows, *BYTE_FAULTS]}[kind]
    return [Fault(chance.choice(names), chance.getrandbits(32)) for _ in range(chance.choice((1, 1, 2, 3, 4)))]


# --- a log ------------------------------------------------------------------------------------------------------------


def make_sheet(container: str, chance: random.Random) -> Sheet:
    """A log of a few rows that a container can hold."""
    if container in ROUTED and chance.random() < 0.4:
        return _routing_sheet(container, chance)
    return _utilization_sheet(container, chance)


def _steps(chance: random.Random, n: int) -> list[int]:
    interval, start = chance.choice((1, 1, 10, 50)), chance.choice((0, 0, 1, 500))
    return [start + interval * k for k in range(n)]


def _labels(container: str, chance: random.Random, n: int) -> list[Cell]:
    """Different names, and sometimes none or other things than texts."""
    labels: list[Cell] = chance.sample(LABELS, n)
    if container in ("jsonl", "json", "huggingface") and chance.random() < 0.3:
        labels[0] = chance.choice(TYPED)
    if container == "parquet" and chance.random() < 0.3:
        kinds = ([1, 2, 10, 2**53 + 1], [1.0, 2.5, 0.1, 1e22], [True, False])
        kind = chance.choice(kinds)
        labels = chance.sample(kind, min(n, len(kind)))
    if chance.random() < 0.15:
        labels[-1] = None
    return labels


def _utilization_sheet(container: str, chance: random.Random) -> Sheet:
    n, step = chance.randint(3, 30), chance.choice(("step", "step", "global_step", "iteration"))
    if container in ("tensorboard", "mlflow", "mlflow_files", "text", "wandb"):
        step = "Step" if container == "wandb" else "step"
    value = chance.choice(("attention_utilization", "attn_util"))
    is_split_up = container not in ("wandb", "text") and chance.random() < 0.2
    values = [f"layer{k}/{value}" for k in range(chance.randint(2, 3))] if is_split_up else [value]
    names = [step, *values]
    names += [name for name in ("loss", "lr") if chance.random() < 0.4]
    groups = _groups(container, chance, is_split_up=is_split_up)
    if container in ROUTED and chance.random() < 0.3:
        names.append("note")
    names += list(groups)
    digits = chance.choice((4, 6, 17))
    rows = []
    combinations = _combinations(groups)
    for labels in combinations:
        exponent = chance.uniform(0.2, 1.0)
        for k, at in enumerate(_steps(chance, max(3, n // len(combinations)))):
            row: dict[str, Cell] = {step: at}
            for name in values:
                row[name] = round(0.05 + 0.9 * (k + 1) ** -exponent * chance.uniform(0.95, 1), digits)
            row |= {"loss": round(4 * (k + 1) ** -0.3, digits), "lr": round(0.001 * 0.9**k, 6), **labels}
            row["note"] = chance.choice(("", "ok", "a, b", 'say "x"', "step", "0.5", "é"))
            rows.append({name: row[name] for name in names})
    if container not in ("text", "wandb") and chance.random() < 0.3:  # sparse, as Lightning logs
        per_group = len(rows) // len(combinations)
        for place, row in enumerate(rows):
            for name in names[1:]:
                if name not in groups and place % per_group > 1 and chance.random() < 0.2:
                    row[name] = None
    if chance.random() < 0.2 and container in ROUTED:
        chance.shuffle(names)
    return Sheet(names, rows)


def _groups(container: str, chance: random.Random, *, is_split_up: bool) -> dict[str, list[Cell]]:
    """Columns of run, layer and split, with their labels."""
    groups: dict[str, list[Cell]] = {}
    if container == "text":
        return groups
    if container in ("wandb", "mlflow", "mlflow_files"):
        # W&B's header is stripped and MLflow's meta.yaml has one line for each entry
        usable = [name for name in LABELS if container != "wandb" or name.strip() == name]
        usable = [name for name in usable if container != "mlflow_files" or "\u2028" not in name]
        groups["run"] = chance.sample(usable, chance.randint(1, 3))
        return groups
    if container == "tensorboard":
        return {"run": chance.sample(("seed0", "seed1", "b/c", "b/d"), 2)} if chance.random() < 0.3 else {}
    if chance.random() < 0.5:
        name = chance.choice(("run", "run", "seed", "run_id"))
        groups[name] = _labels(container, chance, chance.randint(1, 3))
    if not is_split_up and chance.random() < 0.2:
        groups["layer"] = _labels(container, chance, 2)
    if chance.random() < 0.15:
        groups["split"] = chance.sample(("train", "val", "Test", "validation"), 2)
    return groups


def _combinations(groups: Mapping[str, Sequence[Cell]]) -> list[dict[str, Cell]]:
    rows: list[dict[str, Cell]] = [{}]
    for name, labels in groups.items():
        rows = [{**row, name: label} for row in rows for label in labels]
    return rows


def _routing_sheet(container: str, chance: random.Random) -> Sheet:
    n = chance.randint(4, 30)
    patterns = _labels(container, chance, chance.randint(2, 4))
    names = ["step", "pattern"]
    names += chance.choice((["attended"], ["p_episodic"], ["attended", "p_episodic"]))
    names += ["run"] if chance.random() < 0.3 else []
    names += ["exposure"] if chance.random() < 0.2 else []
    runs = _labels(container, chance, 2)
    truths = chance.choice(([0, 1], [0, 1], [False, True]))
    per_step, seen = chance.choice((1, 2, 3)), {}
    rows = []
    for k in range(n):
        pattern, run = chance.choice(patterns), runs[k * 2 // n]
        seen[key] = seen.get(key := (str(pattern), str(run)), -1) + 1
        row = {"step": k // per_step, "pattern": pattern, "attended": truths[chance.randrange(2)], "run": run}
        row |= {"p_episodic": round(chance.random(), 4), "exposure": seen[key]}
        rows.append({name: row[name] for name in names})
    return Sheet(names, rows, is_routing=True)


def make_options(sheet: Sheet, chance: random.Random) -> dict[str, Any]:
    """Options of the reader, mostly none."""
    if chance.random() < 0.7:
        return {}
    step = next(name for name in sheet.names if name in STEPS)
    choices: list[dict[str, Any]] = [{"x_offset": 1.0}, {"x": step}]
    if not sheet.is_routing:
        choices += [{"x": "row"}, {"x": "row", "x_offset": -1.0}]
        choices += [{"y": sign + name} for name in ("loss", "lr") if name in sheet.names for sign in ("", "-")]
    runs = list(dict.fromkeys(row["run"].strip() for row in sheet.rows if isinstance(row.get("run"), str)))
    # a name of a column would choose the column
    if len(runs) > 1 and runs[0] and runs[0].casefold() not in map(str.casefold, sheet.names):
        choices.append({"run": runs[0]})
    if "split" in sheet.names:
        choices.append({"split": sheet.rows[-1]["split"]})
    return chance.choice(choices)


# --- faults of rows ---------------------------------------------------------------------------------------------------


def _delete(sheet: Sheet, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 3)):
        if len(sheet.rows) > 2:
            del sheet.rows[chance.randrange(len(sheet.rows))]


def _duplicate(sheet: Sheet, chance: random.Random) -> None:
    place = chance.randrange(len(sheet.rows))
    copy = dict(sheet.rows[place])
    if chance.random() < 0.5:
        _numbers(sheet, copy, chance)
    sheet.rows.insert(chance.choice((place + 1, len(sheet.rows), chance.randrange(len(sheet.rows) + 1))), copy)


def _numbers(sheet: Sheet, row: dict[str, Cell], chance: random.Random) -> None:
    """Other values in a row."""
    for name in sheet.names:
        if isinstance(row[name], float):
            row[name] = round(chance.random(), 4)


def _swap(sheet: Sheet, chance: random.Random) -> None:
    i, j = chance.randrange(len(sheet.rows)), chance.randrange(len(sheet.rows))
    j = min(i + 1, len(sheet.rows) - 1) if chance.random() < 0.5 else j
    sheet.rows[i], sheet.rows[j] = sheet.rows[j], sheet.rows[i]


def _set(sheet: Sheet, chance: random.Random, cells: Sequence[Cell]) -> None:
    for _ in range(chance.choice((1, 1, 3))):
        name = chance.choice(sheet.names)
        chance.choice(sheet.rows)[name] = chance.choice(cells)


def _blank_cell(sheet: Sheet, chance: random.Random) -> None:
    _set(sheet, chance, [None])


def _not_finite(sheet: Sheet, chance: random.Random) -> None:
    _set(sheet, chance, [float("nan"), float("inf"), float("-inf")])


def _garbage(sheet: Sheet, chance: random.Random) -> None:
    _set(sheet, chance, GARBAGE)


def _out_of_range(sheet: Sheet, chance: random.Random) -> None:
    _set(sheet, chance, [1 + 1e-10, 1.5, -0.25, -1e-12, 50.0, 1e300, 5e-324, -3, 2**53 + 1, 2**63, 10**30, 0.1, -0.0])


def _restart(sheet: Sheet, chance: random.Random) -> None:
    """Rows from some place on once more, with other values."""
    n = len(sheet.rows)
    first = chance.randrange(n)
    again = [dict(row) for row in sheet.rows[first : first + chance.choice((n, n, 3))]]
    for row in again:
        _numbers(sheet, row, chance)
    place = chance.choice((n, chance.randint(first, n)))
    sheet.rows[place:place] = again


def _second_training(sheet: Sheet, chance: random.Random) -> None:
    again = [dict(row) for row in sheet.rows]
    for row in again:
        _numbers(sheet, row, chance)
    sheet.rows += again


def _shuffle(sheet: Sheet, chance: random.Random) -> None:
    chance.shuffle(sheet.rows)


def _drop_column(sheet: Sheet, chance: random.Random) -> None:
    """A column that rows from some place on do not have."""
    name, first = chance.choice(sheet.names), chance.randrange(len(sheet.rows))
    for row in sheet.rows[first:]:
        row[name] = None


def _relabel(sheet: Sheet, chance: random.Random) -> None:
    name = chance.choice([name for name in sheet.names if name in ("run", "seed", "layer", "pattern")] or sheet.names)
    if name not in ("run", "seed", "layer", "pattern"):
        return
    label = chance.choice(LABELS)
    for row in chance.sample(sheet.rows, min(3, len(sheet.rows))):
        row[name] = label


ROW_FAULTS: dict[str, Callable[[Sheet, random.Random], None]] = {
    "delete rows": _delete,
    "duplicate a row": _duplicate,
    "swap rows": _swap,
    "blank a cell": _blank_cell,
    "not finite": _not_finite,
    "garbage cell": _garbage,
    "out of range": _out_of_range,
    "restart": _restart,
    "second training": _second_training,
    "shuffle": _shuffle,
    "drop a column": _drop_column,
    "rename a label": _relabel,
}

# --- faults of lines --------------------------------------------------------------------------------------------------


def _lines(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True) if b"\n" in data or b"\r" in data else [data]


def _delete_line(data: bytes, chance: random.Random) -> bytes:
    lines = _lines(data)
    del lines[chance.randrange(len(lines))]
    return b"".join(lines)


def _duplicate_line(data: bytes, chance: random.Random) -> bytes:
    lines = _lines(data)
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
    return b"".join(lines)


def _swap_lines(data: bytes, chance: random.Random) -> bytes:
    lines = _lines(data)
    i, j = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]
    return b"".join(lines)


def _blank_line(data: bytes, chance: random.Random) -> bytes:
    lines = _lines(data)
    blank = chance.choice((b"\n", b"\r\n", b"  \n", b"\t\n", b",\n", b"\n\n\n"))
    lines.insert(chance.randrange(len(lines) + 1), blank)
    return b"".join(lines)


def _split_line(line: bytes) -> tuple[bytes, bytes, list[bytes]]:
    """Line end, delimiter and fields."""
    body = line.rstrip(b"\r\n")
    mark = max((b",", b"\t", b";"), key=body.count)
    return line[len(body) :], mark, body.split(mark)


def _extra_field(data: bytes, chance: random.Random) -> bytes:
    lines = _lines(data)
    place = chance.randrange(len(lines))
    end, mark, fields = _split_line(lines[place])
    fields.insert(chance.randrange(len(fields) + 1), chance.choice((b"", b"1", b"x")))
    lines[place] = mark.join(fields) + end
    return b"".join(lines)


def _missing_field(data: bytes, chance: random.Random) -> bytes:
    lines = _lines(data)
    place = chance.choice((chance.randrange(len(lines)), len(lines) - 1))
    end, mark, fields = _split_line(lines[place])
    del fields[chance.randrange(len(fields))]
    lines[place] = mark.join(fields) + end
    return b"".join(lines)


def _repeat_header(data: bytes, chance: random.Random) -> bytes:
    lines = _lines(data)
    lines.insert(chance.randrange(len(lines) + 1), lines[0])
    return b"".join(lines)


def _change_header(data: bytes, chance: random.Random) -> bytes:
    """A header in the middle that has one column more, one less or another order, and rows to it."""
    lines = _lines(data)
    place = chance.randrange(1, len(lines) + 1)
    end, mark, names = _split_line(lines[0])
    column = chance.randrange(len(names) + 1)
    change = chance.choice(("more", "less", "order"))

    def changed(line: bytes, new: bytes) -> bytes:
        own_end, _, fields = _split_line(line)
        if change == "more":
            fields.insert(column, new)
        elif change == "less" and column < len(fields):
            del fields[column]
        elif change == "order":
            fields.reverse()
        return mark.join(fields) + own_end

    following = [changed(line, b"0.5") for line in lines[place:]]
    return b"".join([*lines[:place], changed(mark.join(names) + (end or b"\n"), b"gpu"), *following])


def _noise(data: bytes, chance: random.Random) -> bytes:
    lines = _lines(data)
    texts = (b"Saving checkpoint 3\n", b"WARNING: loss is nan\n", b"---\n", b"epoch 2 starts\n", b"eval loss 0.5\n")
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(texts))
    return b"".join(lines)


LINE_FAULTS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "delete a line": _delete_line,
    "duplicate a line": _duplicate_line,
    "swap lines": _swap_lines,
    "blank line": _blank_line,
    "extra field": _extra_field,
    "missing field": _missing_field,
    "repeat the first line": _repeat_header,
    "change the header": _change_header,
    "noise": _noise,
}

# --- faults of bytes --------------------------------------------------------------------------------------------------


def _flip(data: bytes, chance: random.Random) -> bytes:
    content = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 4))):
        if content:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(content)


def _insert(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data) + 1)
    token = chance.choice(TOKENS) if chance.random() < 0.8 else chance.randbytes(chance.randint(1, 8))
    return data[:place] + token + data[place + chance.choice((0, 0, len(token))) :]


def _remove(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data) + 1)
    return data[:place] + data[place + chance.choice((1, 1, 2, 4, 30)) :]


def _truncate(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _zeros(data: bytes, chance: random.Random) -> bytes:
    return data + bytes(chance.choice((1, 3, 16, 512)))


def _splice(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """The start of a file and the end of another, or all of both, as if they had been copied into one."""
    if chance.random() < 0.2:
        return data + other
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


BYTE_FAULTS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "flip bits": _flip,
    "insert bytes": _insert,
    "remove bytes": _remove,
    "truncate": _truncate,
    "append zeros": _zeros,
    "splice": lambda data, chance: _splice(data, data, chance),
}

# --- writers ----------------------------------------------------------------------------------------------------------


def write(container: str, sheet: Sheet, chance: random.Random) -> Case:
    """Write a log into a container."""
    return _WRITERS[container](container, sheet, chance)


def _one_file(container: str, name: str, data: bytes) -> Case:
    return Case(container, {name: data}, name, {}, ())


def _delimited(container: str, sheet: Sheet, chance: random.Random) -> Case:
    mark = chance.choice("\t;") if container == "tsv" else ","
    data = _table_bytes([sheet.names, *_cells(sheet, mark, chance)], mark, chance)
    return _one_file(container, "log.tsv" if mark == "\t" else f"log.{'csv' if mark == ';' else container}", data)


def _table_bytes(table: Sequence[Sequence[str]], mark: str, chance: random.Random) -> bytes:
    text = io.StringIO(newline="")
    end = chance.choice(("\n", "\n", "\r\n"))
    start = chance.choice(("", "", "", "\ufeff", "# run 3" + end))
    quoting = chance.choice((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    csv.writer(text, delimiter=mark, lineterminator=end, quoting=quoting).writerows(table)
    body = text.getvalue()
    return (start + (body[: -len(end)] if chance.random() < 0.1 else body)).encode()


def _cells(sheet: Sheet, mark: str, chance: random.Random) -> list[list[str]]:
    has_comma = mark == ";" and chance.random() < 0.5
    missing = chance.choice(("", "", "nan", "NaN"))
    rows = []
    for row in sheet.rows:
        cells = []
        for name in sheet.names:
            value = row[name]
            text = (missing if _is_number_column(name) else "") if value is None else str(value)
            cells.append(text.replace(".", ",") if has_comma and isinstance(value, float) else text)
        rows.append(cells)
    return rows


def _is_number_column(name: str) -> bool:
    return name not in ("run", "run_id", "seed", "layer", "split", "pattern", "note")


def _records(sheet: Sheet, chance: random.Random) -> list[dict[str, Cell]]:
    leaves_out = chance.random() < 0.5
    return [{name: row[name] for name in sheet.names if not (leaves_out and row[name] is None)} for row in sheet.rows]


def _jsonl(container: str, sheet: Sheet, chance: random.Random) -> Case:
    is_ascii = chance.random() < 0.5
    lines = [json.dumps(record, ensure_ascii=is_ascii) for record in _records(sheet, chance)]
    return _one_file(container, "log.jsonl", ("\n".join(lines) + chance.choice(("\n", "\n", ""))).encode())


def _json(container: str, sheet: Sheet, chance: random.Random) -> Case:
    content: Any = _records(sheet, chance)
    if chance.random() < 0.4:
        content = {name: [row[name] for row in sheet.rows] for name in sheet.names}
    text = json.dumps(content, indent=chance.choice((None, 1)), ensure_ascii=chance.random() < 0.5)
    return _one_file(container, "log.json", text.encode())


def _huggingface(container: str, sheet: Sheet, chance: random.Random) -> Case:
    state = {"best_metric": None, "global_step": len(sheet.rows), "log_history": _records(sheet, chance)}
    return _one_file(container, "trainer_state.json", json.dumps(state, indent=chance.choice((None, 2))).encode())


def _wandb(container: str, sheet: Sheet, chance: random.Random) -> Case:
    step, metrics = sheet.names[0], [name for name in sheet.names[1:] if name != "run"]
    runs = list(dict.fromkeys(str(row["run"]) for row in sheet.rows))
    # rows of one run share those of the others as far as they come
    columns = {run: [row for row in sheet.rows if str(row["run"]) == run] for run in runs}
    longest = max(columns.values(), key=len)
    header = ["Step"] + [f"{run} - {name}{end}" for run in runs for name in metrics for end in ("", "__MIN", "__MAX")]
    table = [header]
    for place, row in enumerate(longest):
        cells = [_text(row[step])]
        for run in runs:
            own = columns[run][place] if place < len(columns[run]) else {}
            cells += [_text(own.get(name)) for name in metrics for _ in range(3)]
        table.append(cells)
    return _one_file(container, "wandb_export.csv", _table_bytes(table, ",", chance))


def _text(value: Cell) -> str:
    return "" if value is None else str(value)


def _text_log(container: str, sheet: Sheet, chance: random.Random) -> Case:
    shape = chance.choice(
        ("step {step} | {pairs}", "[INFO] step={step} {pairs}", "2024-01-01 INFO step {step}: {pairs}")
    )
    joiner, between = (" | ", " ") if "|" in shape else (", ", "=") if "=" in shape else (", ", " ")
    known, lines = {}, []
    for row in sheet.rows:
        numbers = {"step": row["step"]} | {name: row[name] for name in sheet.names[1:]}
        shown = {name: value if isinstance(value, str) else f"{value:.4f}" for name, value in numbers.items()
                 if value is not None}  # fmt: skip
        if isinstance(row["step"], (int, float)) and row["step"] == row["step"]:
            shown["step"] = str(row["step"])
        pairs = joiner.join(f"{name}{between}{text}" for name, text in shown.items() if name != "step")
        line = shape.format(step=shown.get("step", ""), pairs=pairs)
        lines.append(line)
        if all(isinstance(value, (int, float)) and abs(value) < 1e15 for value in numbers.values()):
            known[line] = {name: float(text) for name, text in shown.items()}
    data = ("\n".join(lines) + "\n").encode()
    return Case(container, {"train.log": data}, "train.log", {}, (), known)


def _parquet(container: str, sheet: Sheet, chance: random.Random) -> Case:
    import pyarrow as pa
    from pyarrow import parquet

    columns = {name: _typed([row[name] for row in sheet.rows]) for name in sheet.names}
    sink = pa.BufferOutputStream()
    parquet.write_table(
        pa.table(columns),
        sink,
        compression=chance.choice(("none", "none", "snappy", "zstd")),
        use_dictionary=chance.random() < 0.5,
        row_group_size=chance.choice((4, 100)),
        write_page_checksum=chance.random() < 0.3,
    )
    return _one_file(container, "log.parquet", sink.getvalue().to_pybytes())


def _typed(values: Sequence[Cell]) -> Any:
    """A column of one type; texts where cells are of several."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        pass
    if all(value is None or isinstance(value, (int, float)) for value in values):
        return pa.array([None if value is None else float(value) for value in values])
    return pa.array([None if value is None else str(value) for value in values])


# --- writers of one value per record ----------------------------------------------------------------------------------


def _by_run(sheet: Sheet) -> dict[str, list[dict[str, Cell]]]:
    runs: dict[str, list[dict[str, Cell]]] = {}
    for row in sheet.rows:
        runs.setdefault(str(row.get("run", "")), []).append(row)
    return runs


def _tensorboard(container: str, sheet: Sheet, chance: random.Random) -> Case:
    as_tensor = chance.random() < 0.3
    files = {}
    runs = _by_run(sheet)
    for run, rows in runs.items():
        folder = f"logs/{run if re.fullmatch('[a-z][a-z0-9/]*', run) else f'run{len(files)}'}/" if len(runs) > 1 else ""
        files[f"{folder}events.out.tfevents.1700000000.host.1.0"] = _events(rows, as_tensor, chance)
    return Case(container, files, "logs" if len(runs) > 1 else next(iter(files)), {}, ())


def _events(rows: Sequence[Mapping[str, Cell]], as_tensor: bool, chance: random.Random) -> bytes:
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog

    events = [Event(wall_time=1.7e9, file_version="brain.Event:2")]
    says_starts, last = chance.random() < 0.5, -1
    is_joint = chance.random() < 0.3  # all values of a step in one event
    for place, row in enumerate(rows):
        step = row["step"]
        if not isinstance(step, int) or not -(2**63) <= step < 2**63:
            continue
        if says_starts and step < last:
            events.append(Event(wall_time=1.7e9 + place, step=step, session_log=SessionLog(status=SessionLog.START)))
        last = step
        values = [(name, row[name]) for name in row if name not in ("step", "run") and _is_float(row[name])]
        groups = [values] if is_joint else [[value] for value in values]
        for group in groups:
            summary = {"value": [_summary(name, float(value), as_tensor) for name, value in group]}
            events.append(Event(wall_time=1.7e9 + place, step=step, summary=summary))
    return b"".join(map(_record, (event.SerializeToString() for event in events)))


def _summary(tag: str, value: float, as_tensor: bool) -> dict[str, Any]:
    value = struct.unpack("<f", struct.pack("<f", value))[0] if abs(value) < 3e38 or value != value else value
    if not as_tensor:
        return {"tag": tag, "simple_value": value}
    return {"tag": tag, "tensor": {"dtype": 1, "float_val": [value]}}


def _is_float(value: Cell) -> bool:
    return isinstance(value, (int, float)) and (abs(value) < 3e38 or value != value or abs(value) == float("inf"))


def masked_crc(data: bytes) -> bytes:
    """Checksum of TensorBoard's records."""
    from google_crc32c import value

    crc = value(data)
    return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + masked_crc(length) + data + masked_crc(data)


_SCHEMA = """
PRAGMA page_size = 512;
CREATE TABLE experiments (experiment_id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(256));
CREATE TABLE runs (run_uuid VARCHAR(32) NOT NULL, name VARCHAR(250), status VARCHAR(9), start_time BIGINT,
  lifecycle_stage VARCHAR(20), experiment_id INTEGER, CONSTRAINT run_pk PRIMARY KEY (run_uuid));
CREATE TABLE metrics (key VARCHAR(250) NOT NULL, value FLOAT NOT NULL, timestamp BIGINT NOT NULL,
  run_uuid VARCHAR(32) NOT NULL, step BIGINT DEFAULT '0' NOT NULL, is_nan BOOLEAN DEFAULT '0' NOT NULL,
  CONSTRAINT metric_pk PRIMARY KEY (key, timestamp, step, run_uuid, value, is_nan));
CREATE INDEX index_metrics_run_uuid ON metrics (run_uuid);
"""


@cache
def _schema() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.executescript(_SCHEMA)
    return connection.serialize()


def _mlflow(container: str, sheet: Sheet, chance: random.Random) -> Case:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(_schema())
    connection.execute("BEGIN")
    for number, (run, rows) in enumerate(_by_run(sheet).items()):
        uuid = f"{number:02d}{chance.getrandbits(120):030x}"
        stage = "deleted" if number > 1 and chance.random() < 0.2 else "active"
        connection.execute("INSERT INTO runs VALUES (?, ?, 'FINISHED', ?, ?, 0)", (uuid, run, number, stage))
        uuid = "f" * 32 if number > 1 and chance.random() < 0.1 else uuid  # of no run
        values = [
            (name, *_stored(row[name]), 1_700_000_000_000 + place, uuid, _storable(row["step"]))
            for place, row in enumerate(rows)
            for name in row
            if name not in ("step", "run") and row[name] is not None and row["step"] is not None
        ]
        connection.executemany(
            "INSERT INTO metrics (key, value, is_nan, timestamp, run_uuid, step) VALUES (?, ?, ?, ?, ?, ?)", values
        )
    connection.execute("COMMIT")
    return _one_file(container, "mlflow.db", connection.serialize())


def _stored(value: Cell) -> tuple[Cell, int]:
    """A value and whether it is NaN, as MLflow writes them."""
    if isinstance(value, float):
        if value != value:
            return 0.0, 1
        return max(min(value, 1.7976931348623157e308), -1.7976931348623157e308), 0
    return _storable(value), 0


def _storable(value: Cell) -> Cell:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return "nan" if isinstance(value, float) and value != value else value


def _mlflow_files(container: str, sheet: Sheet, chance: random.Random) -> Case:
    files: dict[str, bytes] = {}
    for number, (run, rows) in enumerate(_by_run(sheet).items()):
        uuid = f"{number:02d}{chance.getrandbits(120):030x}"
        stage = "deleted" if number > 1 and chance.random() < 0.2 else "active"
        folder = f"mlruns/0/{uuid}"
        name = "'" + run.replace("'", "''").replace("\u2028", " ") + "'"
        meta = f"artifact_uri: x\nrun_id: {uuid}\nrun_name: {name}\nlifecycle_stage: {stage}\nstart_time: {number}\n"
        files[f"{folder}/meta.yaml"] = meta.encode()
        for metric in [key for key in rows[0] if key not in ("step", "run")]:
            lines = [
                f"{1_700_000_000_000 + place} {row[metric]} {row['step']}\n"
                for place, row in enumerate(rows)
                if row[metric] is not None and row["step"] is not None
            ]
            if lines:
                files[f"{folder}/metrics/{metric}"] = "".join(lines).encode()
    return Case(container, files, "mlruns", {}, ())


_WRITERS: dict[str, Callable[[str, Sheet, random.Random], Case]] = {
    "csv": _delimited,
    "tsv": _delimited,
    "csv.gz": _delimited,
    "jsonl": _jsonl,
    "json": _json,
    "huggingface": _huggingface,
    "wandb": _wandb,
    "text": _text_log,
    "parquet": _parquet,
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
    "mlflow_files": _mlflow_files,
}

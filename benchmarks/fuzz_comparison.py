"""A log of `cogfit.read_log` compared with the rows that are in its file, as ``fuzz_readers.py`` reads them.

`disagreements` compares the counts of every reader, and every step, value and label of every row.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fuzz_inputs import STEPS, Cell
from fuzz_readers import CHANGED, CUT_LINE, MISSING, OF_READERS, Table, Unreadable, labels, number, numbers

VALUES = ("attention_utilization", "attn_util")
RUNS = ("run", "run_id", "seed")
GROUPS = ("run", "split", "layer", "head")
KNOWN = {*STEPS, *VALUES, *RUNS, "layer", "split", "loss", "lr", "note", "gpu", "wall_time"}
KNOWN |= {"pattern", "attended", "p_episodic", "exposure", *(f"layer{k}/{name}" for k in range(3) for name in VALUES)}
SPLITS = {"train": "train", "training": "train", "val": "validation", "valid": "validation", "dev": "validation"}
SPLITS |= {"validation": "validation", "test": "test", "testing": "test", "eval": "eval", "evaluation": "eval"}
NONE = "(none)"
SAME_STEP, VOID = "superseded by a later row of the same step", "superseded after a restart"


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

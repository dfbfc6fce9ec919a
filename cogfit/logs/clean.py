"""From raw tables to logs: values checked, rows that cannot be used dropped and counted. No file is opened here.

Two stages, so that several files can become one log: `prepare` turns one raw table into parts with standard columns,
every value checked where its line is still known; `join_utilization` and `join_routing` put the parts of one kind
together, order them, resolve what a restart has superseded, and count exposures.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError
from cogfit.logs.columns import Columns, Level, find_columns
from cogfit.logs.model import GROUP_COLUMNS, RoutingLog, Source, UtilizationLog
from cogfit.logs.raw import Raw, ReadOptions

if TYPE_CHECKING:
    import pandas as pd

MISSING = frozenset({"", "nan", "-nan", "na", "n/a", "#n/a", "null", "none", "<na>"})
"""Texts (folded) that mean a missing value."""

TOLERANCE = 1e-9
"""How far rounding may carry a fraction outside 0–1."""

NO_LABEL = "(none)"
"""Run, layer or head of rows that do not name one although others do."""

SUPERSEDED_ROW = "superseded by a later row of the same step"
SUPERSEDED_TAIL = "superseded after a restart"

_TRUE, _FALSE = frozenset({"true", "t", "yes", "1", "1.0"}), frozenset({"false", "f", "no", "0", "0.0"})

Mask = NDArray[np.bool_]
Numbers = NDArray[Any]


@dataclass(frozen=True)
class Part:
    """One kind of log out of one table, with standard columns and valid values, in file order.

    Attributes
    ----------
    kind : {"utilization", "routing"}
    frame : pandas.DataFrame
        Group columns are categoricals of strings. In a routing log ``pattern`` is one, too (missing = novel).
    path : Path
    format : str
    rows_read : int
    dropped : mapping of str to int
    notes, warnings : tuple of str
    x_name, y_name : str
    """

    kind: str
    frame: pd.DataFrame
    path: Path
    format: str
    rows_read: int
    dropped: Mapping[str, int]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    x_name: str
    y_name: str


class _Rows:
    """The rows of a table that are still in, and the account of the others."""

    def __init__(self, n: int) -> None:
        self.kept: Mask = np.ones(n, dtype=bool)
        self.dropped: Counter[str] = Counter()

    def drop(self, mask: Mask, reason: str) -> None:
        if count := int(np.count_nonzero(mask & self.kept)):
            self.dropped[reason] += count
            self.kept &= ~mask

    def drop_unusable(self, values: Numbers, column: str) -> None:
        """Drop the rows whose value is missing or infinite."""
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            self.drop(np.isnan(values), f"no value in '{column}'")
            self.drop(np.isinf(values), f"infinite value in '{column}'")


class _Table:
    """A raw table whose columns can be asked for as numbers, truth values or labels."""

    def __init__(self, raw: Raw, path: Path) -> None:
        self.raw, self.path = raw, path

    def fail(self, what: str, column: str, row: int, hint: str) -> InputError:
        line = self.raw.line_of(row) if self.raw.line_of else row + 1
        return InputError(what, path=self.path, line=line, column=column, hint=hint)

    def numbers(self, column: str) -> Numbers:
        """Values of a column as integers or as float64 with NaN for what is missing."""
        import pandas as pd
        from pandas.api import types

        values = self.raw.frame[column]
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = values.astype(values.cat.categories.dtype)
        if types.is_bool_dtype(values.dtype) and not values.hasnans:
            return values.to_numpy(dtype=np.int64)
        if types.is_numeric_dtype(values.dtype) and not types.is_complex_dtype(values.dtype):
            if types.is_extension_array_dtype(values.dtype):
                return values.to_numpy(dtype=np.float64, na_value=np.nan)
            array = values.to_numpy()
            return array.astype(np.float64, copy=False) if array.dtype.kind in "fb" else array
        return self._parsed(values, column)

    def _parsed(self, values: pd.Series[Any], column: str) -> Numbers:
        import pandas as pd

        out = np.empty(len(values))
        for row, value in enumerate(values.astype(object)):
            number = _number(value, pd.NA, pd.NaT)
            if number is None:
                raise self.fail(f"{_shown(value)} is not a number", column, row, "correct or remove this row")
            out[row] = number
        return out

    def integers(self, values: Numbers, column: str, rows: Mask) -> NDArray[np.int64]:
        """`values` as int64; those outside `rows` may be anything."""
        if values.dtype.kind == "i":
            return values.astype(np.int64, copy=False)
        if values.dtype.kind == "u":
            bad = rows & (values > np.uint64(np.iinfo(np.int64).max))
        else:
            with np.errstate(invalid="ignore"):
                bad = rows & ((values != np.rint(values)) | (np.abs(values) >= 2.0**63))
        if bad.any():
            row = int(np.argmax(bad))
            raise self.fail(f"{values[row]} is not a whole number of 64 bits", column, row, "give whole numbers")
        return np.where(rows, values, 0).astype(np.int64)

    def fractions(self, column: str, rows: _Rows) -> NDArray[np.float64]:
        """Numbers between 0 and 1; rows without one are dropped."""
        values = self.numbers(column).astype(np.float64, copy=False)
        rows.drop_unusable(values, column)
        return self.in_range(values, column)

    def in_range(self, values: NDArray[np.float64], column: str) -> NDArray[np.float64]:
        """Refuse what is no fraction; carry what rounding left just outside back to 0 or 1."""
        with np.errstate(invalid="ignore"):
            low, high = float(np.fmin.reduce(values, initial=0.0)), float(np.fmax.reduce(values, initial=1.0))
        if low >= 0 and high <= 1:
            return values
        with np.errstate(invalid="ignore"):
            bad = np.isfinite(values) & ((values < -TOLERANCE) | (values > 1 + TOLERANCE))
        if bad.any():
            row = int(np.argmax(bad))
            finite = values[np.isfinite(values)]
            percent = finite.min() >= 0 and 1 < finite.max() <= 100
            hint = "rescale percentages to fractions" if percent else "fractions lie between 0 and 1"
            raise self.fail(f"{values[row]:.6g} is not a fraction between 0 and 1", column, row, hint)
        return np.clip(values, 0, 1)

    def truths(self, column: str, rows: _Rows) -> Mask:
        """Truth values; rows without one are dropped."""
        import pandas as pd
        from pandas.api import types

        values = self.raw.frame[column]
        if values.dtype == np.bool_:
            return values.to_numpy()
        if types.is_bool_dtype(values.dtype) or types.is_numeric_dtype(values.dtype):
            numbers = self.numbers(column).astype(np.float64, copy=False)
        else:
            folded = values.astype(object).map(lambda value: str(value).strip().casefold() if value is not None else "")
            words = {**dict.fromkeys(_TRUE, 1.0), **dict.fromkeys(_FALSE, 0.0), **dict.fromkeys(MISSING, np.nan)}
            numbers = folded.map(lambda word: words.get(word, -1.0)).to_numpy(dtype=np.float64, copy=True)
            numbers[pd.isna(values).to_numpy()] = np.nan
        rows.drop_unusable(numbers, column)
        bad = np.isfinite(numbers) & (numbers != 0) & (numbers != 1)
        if bad.any():
            row = int(np.argmax(bad))
            shown = _shown(values.iloc[row])
            raise self.fail(f"{shown} is neither 0 nor 1", column, row, "call a column of probabilities p_episodic")
        return np.asarray(numbers == 1)

    def optional_numbers(self, column: str, notes: list[str]) -> Numbers | None:
        """Numbers of a column that may be left out when it holds something else."""
        try:
            return self.numbers(column)
        except InputError as error:
            notes.append(f"column '{column}' was left out: {error.what}")
            return None

    def labels(self, column: str, *, novel: bool = False) -> pd.Categorical:
        """Texts of a column as a categorical; with `novel`, −1 among integers counts as missing, too."""
        import pandas as pd

        try:
            codes, distinct = pd.factorize(self.raw.frame[column])
        except TypeError:
            raise InputError(
                "holds lists or objects", path=self.path, column=column, hint="give names or numbers"
            ) from None
        names = [_label(value, novel=novel) for value in distinct]
        known = sorted({name for name in names if name is not None}, key=natural_key)
        place = {name: code for code, name in enumerate(known)}
        lookup = np.array([-1 if name is None else place[name] for name in names] + [-1], dtype=np.int32)
        return pd.Categorical.from_codes(lookup[codes], categories=pd.Index(known, dtype="str"))  # −1 picks the last


def _number(value: object, *missing: object) -> float | None:
    """A number out of whatever a cell holds; NaN for a missing one, None if it is no number."""
    if value is None or any(value is other for other in missing):
        return math.nan
    try:
        if isinstance(value, str):
            text = value.strip()
            if text.casefold() in MISSING:
                return math.nan
            return None if "_" in text else float(text)
        if isinstance(value, (bool, int, float, Decimal, np.number, np.bool_)):
            return float(value)
    except OverflowError:
        return math.inf
    except (ValueError, TypeError):
        return None
    return None


def _shown(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _label(value: Any, *, novel: bool) -> str | None:
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return None if novel and value == -1 else str(int(value))
    if isinstance(value, (float, np.floating)):
        if math.isnan(value):
            return None
        return _label(int(value), novel=novel) if value.is_integer() else str(float(value))
    return str(value).strip() or None


def one_label(label: str, n: int) -> pd.Categorical:
    """The same label n times."""
    import pandas as pd

    return pd.Categorical.from_codes(np.zeros(n, dtype=np.int8), categories=pd.Index([label], dtype="str"))


def natural_key(text: str) -> tuple[int, int, tuple[tuple[int, int, str], ...]]:
    """Sort key that puts 'layer 2' before 'layer 10', and numbers before words.

    Examples
    --------
    >>> sorted(["b10", "b9", "-1", "12", "3"], key=natural_key)
    ['-1', '3', '12', 'b9', 'b10']
    """
    if re.fullmatch(r"-?\d{1,18}", text):
        return (0, int(text), ())
    pieces = [piece for piece in re.split(r"(\d+)", text) if piece]
    digits = [piece.lstrip("0") if piece.isdecimal() else None for piece in pieces]
    return (1, 0, tuple((1, 0, p) if d is None else (0, len(d), d) for p, d in zip(pieces, digits, strict=True)))


# --- one table --------------------------------------------------------------------------------------------------------


def prepare(raw: Raw, options: ReadOptions, path: Path) -> list[Part]:
    """Find out what a raw table holds, check it, and give it standard columns.

    Parameters
    ----------
    raw : Raw
    options : ReadOptions
        The user's choice of columns.
    path : Path
        File that `raw` came from, for messages.

    Returns
    -------
    list of Part
        One, or two where a table holds both kinds (some rows with a routing decision, others with a utilisation).

    Raises
    ------
    NoLogColumns
        The table holds no log.
    InputError
        A value is impossible for its column.

    Examples
    --------
    >>> import pandas as pd
    >>> raw = Raw(pd.DataFrame({"Step": [0, 1, 2], "attn_util": [1.0, None, 0.5]}), "csv", 3)
    >>> (part,) = prepare(raw, ReadOptions(), Path("log.csv"))
    >>> part.frame["attention_utilization"].tolist(), dict(part.dropped)
    ([1.0, 0.5], {"no value in 'attn_util'": 1})
    """
    columns = find_columns([str(name) for name in raw.frame.columns], options, path)
    table = _Table(raw, path)
    if not columns.routing:
        return [_utilization_part(table, columns)]
    if not columns.utilization:
        return [_routing_part(table, columns)]
    return _both_parts(raw, columns, path)


def _both_parts(raw: Raw, columns: Columns, path: Path) -> list[Part]:
    """Split a table that has columns of both kinds: rows without a routing decision tell the utilisation."""
    decisions = [name for name in (columns.attended, columns.p_episodic, columns.answer) if name is not None]
    routed = raw.frame[decisions].notna().any(axis=1).to_numpy()
    without = replace(columns, utilization=())
    names = [level.column for level in columns.utilization]
    other = ~routed & raw.frame[names].notna().any(axis=1).to_numpy()
    if not other.any():
        part = _routing_part(_Table(raw, path), without)
        note = f"'{names[0]}' repeats in every row of the routing log and was not read as a log of its own"
        return [replace(part, notes=(*part.notes, note))]
    routing = _routing_part(_Table(_subset(raw, ~other), path), without)
    only = replace(columns, pattern=None, attended=None, p_episodic=None, answer=None, exposure=None, notes=())
    rest = replace(raw, dropped={}, notes=())  # the reader's own account goes with the routing log
    return [routing, _utilization_part(_Table(_subset(rest, other), path), only)]


def _subset(raw: Raw, rows: Mask) -> Raw:
    """Some rows of a table; they still know their lines."""
    places = np.flatnonzero(rows)

    def line_of(row: int) -> int:
        place = int(places[row])
        return raw.line_of(place) if raw.line_of else place + 1

    frame = raw.frame[rows].reset_index(drop=True)
    return replace(raw, frame=frame, rows_read=len(frame) + sum(raw.dropped.values()), line_of=line_of)


def _groups(table: _Table, columns: Columns) -> dict[str, pd.Categorical]:
    chosen = {"run": columns.run, "layer": columns.layer, "head": columns.head}
    return {group: table.labels(column) for group, column in chosen.items() if column is not None}


def _utilization_part(table: _Table, columns: Columns) -> Part:
    import pandas as pd

    raw, notes = table.raw, [*table.raw.notes, *columns.notes]
    steps = table.numbers(columns.step)
    groups = _groups(table, columns)
    several = len(columns.utilization) > 1
    dropped: Counter[str] = Counter(raw.dropped)
    frames = []
    for level in columns.utilization:
        values = table.numbers(level.column).astype(np.float64, copy=False)
        rows = _Rows(len(values))
        rows.drop_unusable(steps, columns.step)
        rows.drop_unusable(values, level.column)
        if columns.bounded:
            values = table.in_range(values, level.column)
        dropped += rows.dropped
        cells: dict[str, Any] = {"step": steps, "attention_utilization": values, **groups}
        for group in ("layer", "head"):
            if (name := getattr(level, group)) is not None:
                cells[group] = one_label(name, len(values))
        frame = pd.DataFrame({name: cells[name] for name in _ordered(cells)}, copy=False)
        if not several:
            frame = _with_others(frame, raw.frame, columns)
        frames.append(frame if rows.kept.all() else frame[rows.kept])
    if several:
        notes.append(_melted_note(columns.utilization))
    return Part(
        kind="utilization",
        frame=_concatenated(frames),
        path=table.path,
        format=raw.format,
        rows_read=raw.rows_read + (len(columns.utilization) - 1) * len(raw.frame),
        dropped=dropped,
        notes=tuple(notes),
        warnings=(),
        x_name=columns.step,
        y_name=columns.utilization[0].column,
    )


def _ordered(cells: Iterable[str]) -> list[str]:
    first = [name for name in cells if name not in GROUP_COLUMNS]
    return first + [name for name in GROUP_COLUMNS if name in cells]


def _with_others(frame: pd.DataFrame, file: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """Append the file's remaining columns, renamed where a standard name is taken."""
    import pandas as pd

    used = set(columns.used())
    others = {str(name): file[name] for name in file.columns if str(name) not in used}
    taken = {name: f"{name}_logged" if name in frame.columns else name for name in others}
    cells = {str(name): frame[name] for name in frame} | {taken[name]: values for name, values in others.items()}
    return pd.DataFrame(cells, copy=False)


def _melted_note(levels: Sequence[Level]) -> str:
    by = "layer and head" if levels[0].layer and levels[0].head else "layer" if levels[0].layer else "head"
    return f"{len(levels)} columns from '{levels[0].column}' to '{levels[-1].column}' became rows by {by}"


def _routing_part(table: _Table, columns: Columns) -> Part:
    import pandas as pd

    raw, notes, warnings = table.raw, [*table.raw.notes, *columns.notes], []
    rows = _Rows(len(raw.frame))
    assert columns.pattern is not None
    attended, p_episodic = columns.attended, columns.p_episodic
    if columns.answer is not None:
        if _looks_decided(raw.frame[columns.answer]):
            attended = columns.answer
        else:
            p_episodic = columns.answer
    if attended and p_episodic:  # a column without any value must not cost us the rows of the other
        for name in (attended, p_episodic):
            if raw.frame[name].isna().all() and not raw.frame[[attended, p_episodic]].isna().all(axis=None):
                notes.append(f"column '{name}' is empty and was left out")
                attended = None if name == attended else attended
                p_episodic = None if name == p_episodic else p_episodic
    raw_steps = table.numbers(columns.step)
    rows.drop_unusable(raw_steps, columns.step)
    cells: dict[str, Any] = {"step": table.integers(raw_steps, columns.step, rows.kept)}
    pattern = table.labels(columns.pattern, novel=True)
    cells["pattern"] = pattern
    novel = pattern.codes < 0
    if columns.exposure is not None:
        cells["exposure"] = _logged_exposures(table, columns.exposure, novel, rows)
    if attended is not None:
        cells["attended"] = table.truths(attended, rows)
    if p_episodic is not None:
        cells["p_episodic"] = table.fractions(p_episodic, rows)
    cells |= _groups(table, columns)
    if columns.correct is not None and raw.frame[columns.correct].dtype == np.bool_:
        cells["correct"] = raw.frame[columns.correct].to_numpy()
    elif columns.correct is not None and (numbers := table.optional_numbers(columns.correct, notes)) is not None:
        cells["correct"] = numbers == 1 if np.isin(numbers, (0, 1)).all() else numbers.astype(np.float64)
    if columns.quality is not None and (numbers := table.optional_numbers(columns.quality, notes)) is not None:
        cells["quality"] = numbers.astype(np.float64)
    if any(name.casefold() == "novel" for name in pattern.categories):
        warnings.append(
            f"{table.path.name}: 'novel' in column '{columns.pattern}' was read as the name of a pattern; "
            "leave the field empty for queries without a pattern"
        )
    frame = pd.DataFrame(cells, copy=False)
    return Part(
        kind="routing",
        frame=frame if rows.kept.all() else _trimmed(frame[rows.kept]),
        path=table.path,
        format=raw.format,
        rows_read=raw.rows_read,
        dropped=Counter(raw.dropped) + rows.dropped,
        notes=tuple(notes),
        warnings=tuple(warnings),
        x_name=columns.step,
        y_name=p_episodic or attended or "",
    )


def _looks_decided(values: pd.Series[Any]) -> bool:
    """Whether a column holds nothing but yes and no."""
    import pandas as pd

    words = {str(value).strip().casefold() for value in pd.unique(values.dropna())[:100]}
    return bool(words) and words - MISSING <= _TRUE | _FALSE


def _logged_exposures(table: _Table, column: str, novel: Mask, rows: _Rows) -> NDArray[np.int64]:
    values = table.numbers(column)
    if values.dtype.kind == "f":
        rows.drop(~novel & np.isnan(values), f"no value in '{column}'")
        rows.drop(~novel & np.isinf(values), f"infinite value in '{column}'")
    counted = rows.kept & ~novel
    exposures = table.integers(values, column, counted)
    negative = counted & (exposures < 0)
    if negative.any():
        row = int(np.argmax(negative))
        raise table.fail(f"{exposures[row]} is negative", column, row, "exposures count earlier presentations")
    return np.where(novel, np.int64(-1), exposures)


# --- several tables ---------------------------------------------------------------------------------------------------


def _concatenated(frames: Sequence[pd.DataFrame], labelled: Sequence[str] = GROUP_COLUMNS) -> pd.DataFrame:
    """Rows of several frames, one after the other; labels that a frame lacks become `NO_LABEL`."""
    import pandas as pd
    from pandas.api.types import union_categoricals

    if len(frames) == 1:
        return frames[0].reset_index(drop=True)
    labels: dict[str, pd.Categorical] = {}
    for name in labelled:
        if any(name in frame for frame in frames):
            pieces = [
                pd.Categorical(frame[name]) if name in frame else one_label(NO_LABEL, len(frame)) for frame in frames
            ]
            merged = union_categoricals(pieces)
            labels[name] = merged.reorder_categories(sorted(merged.categories, key=natural_key))
    frame = pd.concat([frame.drop(columns=list(labels), errors="ignore") for frame in frames], ignore_index=True)
    frame = frame.assign(**labels)
    order = list(dict.fromkeys(name for part in frames for name in part.columns))
    return frame[order]


def _group_codes(frame: pd.DataFrame) -> NDArray[np.int64]:
    """One number for each row's (run, layer, head), in the order of the labels."""
    codes = np.zeros(len(frame), dtype=np.int64)
    for name in GROUP_COLUMNS:
        if name in frame:
            labels = frame[name].cat
            codes = codes * (len(labels.categories) + 1) + labels.codes.to_numpy()
    return codes


def _with_labels(frame: pd.DataFrame) -> pd.DataFrame:
    """Give rows without run, layer or head a label where others have one."""
    for name in GROUP_COLUMNS:
        if name in frame and frame[name].isna().any():
            filled = frame[name].cat.add_categories([NO_LABEL]).fillna(NO_LABEL)
            frame = frame.assign(**{name: filled})
    return frame


def _owned(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame in memory that may be written to; only what Arrow has lent is copied."""
    import pandas as pd

    cells: dict[str, Any] = {}
    for name, column in frame.items():
        if isinstance(column.dtype, np.dtype):
            values = column.to_numpy()
            try:
                values.flags.writeable = True  # pandas hands out views that are not, of memory that may be
            except ValueError:
                values = values.copy()
            cells[str(name)] = values
        else:
            cells[str(name)] = column.copy()
    return pd.DataFrame(cells, copy=False)


def _trimmed(frame: pd.DataFrame) -> pd.DataFrame:
    """Forget the labels of rows that are gone."""
    import pandas as pd

    labelled = [name for name in frame if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    return frame.assign(**{str(name): frame[name].cat.remove_unused_categories() for name in labelled})


def _account(parts: Sequence[Part], path: Path, dropped: Counter[str], notes: Iterable[str]) -> Source:
    total = sum((Counter(part.dropped) for part in parts), Counter[str]()) + dropped
    all_notes = [note for part in parts for note in part.notes] + list(notes)
    return Source(
        path=str(path),
        format="+".join(dict.fromkeys(part.format for part in parts)),
        rows_read=sum(part.rows_read for part in parts),
        rows_dropped=dict(total),
        notes=tuple(dict.fromkeys(all_notes)),
    )


def _check_enough(frame: pd.DataFrame, source: Source, kind: str) -> None:
    if len(frame) >= 2:
        return
    reasons = "; ".join(f"{reason}: {count}" for reason, count in source.rows_dropped.items())
    what = f"holds only one usable row of a {kind} log" if len(frame) else f"holds no usable row of a {kind} log"
    raise InputError(
        f"{what} ({source.rows_read} read{'; ' + reasons if reasons else ''})",
        path=source.path,
        hint="give a log with at least two rows that have a step and a value",
    )


def join_utilization(parts: Sequence[Part], path: Path) -> tuple[UtilizationLog, tuple[str, ...]]:
    """Make one utilisation log: sorted, the last row of each step kept.

    Parameters
    ----------
    parts : sequence of Part
        Of kind ``"utilization"``, in the order in which they were written.
    path : Path
        What the user asked for.

    Returns
    -------
    log : UtilizationLog
    warnings : tuple of str
    """
    frame = _with_labels(_concatenated([part.frame for part in parts]))
    codes, steps = _group_codes(frame), frame["step"].to_numpy()
    steps = _whole(steps)
    frame = frame.assign(step=steps)
    notes: list[str] = []
    dropped: Counter[str] = Counter()
    rising = steps[1:] > steps[:-1]
    if codes.any():  # several groups
        rising = (codes[1:] > codes[:-1]) | ((codes[1:] == codes[:-1]) & rising)
    if not rising.all():
        order = np.lexsort((steps, codes))  # stable: of equal steps the one that was written last comes last
        if _falls(codes, steps)[0].any():
            notes.append("rows were not in the order of steps and were sorted")
        codes, steps = codes[order], steps[order]
        last = np.append((codes[1:] != codes[:-1]) | (steps[1:] != steps[:-1]), True) if len(codes) else codes > 0
        if superseded := int(np.count_nonzero(~last)):
            dropped[SUPERSEDED_ROW] = superseded
        frame = frame.iloc[order[last]].reset_index(drop=True)
    source = _account(parts, path, dropped, notes)
    _check_enough(frame, source, "utilisation")
    texts = {name: frame[name].astype("str") for name in GROUP_COLUMNS if name in frame}
    return (
        UtilizationLog(
            frame=_owned(frame.assign(**texts)),
            source=source,
            x_name=parts[0].x_name,
            y_name=parts[0].y_name,
        ),
        tuple(dict.fromkeys(warning for part in parts for warning in part.warnings)),
    )


def _whole(steps: Numbers) -> Numbers:
    """Steps as int64 if all of them are whole numbers, else as float64."""
    if steps.dtype.kind == "i":
        return steps.astype(np.int64, copy=False)
    floats = steps.astype(np.float64)
    whole = bool(np.all((floats == np.rint(floats)) & (np.abs(floats) < 2.0**53)))
    return floats.astype(np.int64) if whole else floats


def join_routing(parts: Sequence[Part], path: Path) -> tuple[RoutingLog, tuple[str, ...]]:
    """Make one routing log: what a restart has superseded is dropped, exposures are counted where they are absent.

    Parameters
    ----------
    parts : sequence of Part
        Of kind ``"routing"``, in the order in which they were written.
    path : Path
        What the user asked for.

    Returns
    -------
    log : RoutingLog
    warnings : tuple of str
    """
    import pandas as pd

    parts = _alike(parts)
    frame = _with_labels(_concatenated([part.frame for part in parts], (*GROUP_COLUMNS, "pattern")))
    warnings = [warning for part in parts for warning in part.warnings]
    notes: list[str] = []
    dropped: Counter[str] = Counter()
    steps, codes = frame["step"].to_numpy(), _group_codes(frame)
    kept, order, unordered = resolve_restarts(steps, codes)
    if unordered:
        warnings.append(
            "the rows of the routing log are not in the order of steps: they were sorted, and rows that a restart "
            "may have superseded cannot be told from the others"
        )
    if not kept.all():
        dropped[SUPERSEDED_TAIL] = int(np.count_nonzero(~kept))
        notes.append(f"the step falls back (training was restarted): {dropped[SUPERSEDED_TAIL]} earlier rows dropped")
    if unordered or not kept.all():
        places = order[kept[order]]
        frame, codes = _trimmed(frame.iloc[places].reset_index(drop=True)), codes[places]
    source = _account(parts, path, dropped, notes)
    _check_enough(frame, source, "routing")

    patterns = frame["pattern"].cat
    pattern = patterns.codes.to_numpy().astype(np.int32)
    logged = "exposure" in frame
    if logged:
        exposure = frame["exposure"].to_numpy()
        if warning := _doubts_about(exposure, pattern, codes):
            warnings.append(warning)
    else:
        exposure = count_exposures(pattern, codes)
    if not (pattern >= 0).any():
        warnings.append("every query of the routing log is novel: there is no pattern whose routing could change")
    cells: dict[str, Any] = {"step": frame["step"], "pattern": pattern, "exposure": exposure}
    rest = [name for name in ("attended", "p_episodic", *GROUP_COLUMNS, "correct", "quality") if name in frame]
    log = RoutingLog(
        frame=pd.DataFrame(cells | {name: frame[name] for name in rest}, copy=True),  # Arrow's memory is read-only
        pattern_names=tuple(patterns.categories.tolist()),
        source=source,
        exposure_logged=logged,
    )
    return log, tuple(dict.fromkeys(warnings))


def _alike(parts: Sequence[Part]) -> list[Part]:
    """Leave out of each part what another one lacks and no default can stand in for."""
    common = set.intersection(*(set(part.frame.columns) for part in parts))
    optional = {"exposure", "attended", "p_episodic"}
    if not common & {"attended", "p_episodic"}:
        first = parts[0]
        other = next(part for part in parts if not set(part.frame) & set(first.frame) & {"attended", "p_episodic"})
        raise InputError(
            f"{first.path.name} holds '{first.y_name}' and {other.path.name} '{other.y_name}'",
            path=first.path.parent,
            hint="read decisions and probabilities separately",
        )
    alike = []
    for part in parts:
        extra = [name for name in part.frame if name in optional and name not in common]
        note = [f"column '{name}' of {part.path.name} was left out: other files lack it" for name in extra]
        alike.append(replace(part, frame=part.frame.drop(columns=extra), notes=(*part.notes, *note)))
    return alike


# --- order and exposure -----------------------------------------------------------------------------------------------


def _falls(codes: NDArray[np.int64], steps: Numbers) -> tuple[Mask, NDArray[np.int64]]:
    """Where, within its group, a row's step is below the one before it; and the order that gathers the groups."""
    if not len(codes) or (codes == codes[0]).all():
        order = np.arange(len(codes))
        falls = steps[1:] < steps[:-1]
    else:
        order = np.argsort(codes, kind="stable")
        gathered, by = steps[order], codes[order]
        falls = (gathered[1:] < gathered[:-1]) & (by[1:] == by[:-1])
    return np.concatenate([np.zeros(min(len(codes), 1), dtype=bool), falls]), order


def resolve_restarts(steps: Numbers, codes: NDArray[np.int64]) -> tuple[Mask, NDArray[np.int64], bool]:
    """Tell which rows of a routing log still count after training was restarted.

    Within a group a step repeats normally. Where it falls back to s, training went on from a checkpoint, and all
    earlier rows of the group with step ≥ s are superseded. A group whose step falls back too often is not restarted
    but unordered, and is sorted instead.

    Parameters
    ----------
    steps : int array
        Step of each row, in file order.
    codes : int64 array
        Group (run, layer, head) of each row.

    Returns
    -------
    kept : bool array
        False for superseded rows.
    order : int64 array
        Rows in the order in which they happened.
    unordered : bool
        Whether a group had to be sorted.

    Examples
    --------
    >>> kept, order, unordered = resolve_restarts(np.array([0, 1, 2, 3, 2, 3, 4]), np.zeros(7, dtype=np.int64))
    >>> kept.tolist(), unordered
    ([True, True, False, False, True, True, True], False)
    """
    kept = np.ones(len(steps), dtype=bool)
    order = np.arange(len(steps))
    if not len(steps) or (steps[1:] >= steps[:-1]).all():
        return kept, order, False
    falls, gathered = _falls(codes, steps)
    by = codes[gathered]
    edges = np.flatnonzero(np.concatenate([[True], by[1:] != by[:-1], [True]]))
    unordered = False
    for first in np.unique(np.searchsorted(edges, np.flatnonzero(falls), side="right") - 1):
        part = slice(edges[first], edges[first + 1])
        rows = gathered[part]
        step, fall = steps[rows], falls[part]
        if _is_unordered(step, fall):
            order[rows] = rows[np.argsort(step, kind="stable")]
            unordered = True
            continue
        # lowest step that a later row falls back to; only falls matter, and none comes after the last row
        top = np.iinfo(np.int64).max
        lowest = np.minimum.accumulate(np.where(fall, step, top)[::-1])[::-1]
        kept[rows] = step < np.append(lowest[1:], top)
    return kept, order, unordered


def _is_unordered(step: Numbers, fall: Mask) -> bool:
    """Whether steps fall back too often for restarts: a shuffled table falls at every second change of the step."""
    count = int(np.count_nonzero(fall))
    if count < 2:
        return False
    changes = int(np.count_nonzero(step[1:] != step[:-1]))
    return 3 * count > changes or (count > 20 and count > 0.01 * len(np.unique(step)))


def _pattern_order(pattern: NDArray[np.int32], codes: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Order that gathers rows of one pattern in one group, keeping file order; and the key that it sorts by."""
    key = pattern.astype(np.int64) + 1
    if len(codes) and (codes != codes[0]).any():
        _, group = np.unique(codes, return_inverse=True)
        key += group * (int(key.max()) + 1)
    if len(key) and key.max() < np.iinfo(np.uint16).max:
        key = key.astype(np.uint16)  # sorted by radix, ten times as fast
    return np.argsort(key, kind="stable"), key


def count_exposures(pattern: NDArray[np.int32], codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count, for each row, the earlier rows of the same pattern in the same group; −1 for novel rows.

    Examples
    --------
    >>> count_exposures(np.array([3, 3, -1, 3, 0], dtype=np.int32), np.array([0, 1, 0, 0, 0])).tolist()
    [0, 0, -1, 1, 0]
    """
    order, key = _pattern_order(pattern, codes)
    sorted_key = key[order]
    starts = np.flatnonzero(np.concatenate([[True], sorted_key[1:] != sorted_key[:-1]])) if len(key) else order
    lengths = np.diff(np.append(starts, len(key)))
    exposure = np.empty(len(key), dtype=np.int64)
    exposure[order] = np.arange(len(key)) - np.repeat(starts, lengths)
    exposure[pattern < 0] = -1
    return exposure


def _doubts_about(exposure: NDArray[np.int64], pattern: NDArray[np.int32], codes: NDArray[np.int64]) -> str | None:
    """What is odd about logged exposures, if anything."""
    order, key = _pattern_order(pattern, codes)
    exposure, sorted_key = exposure[order], key[order]
    same = sorted_key[1:] == sorted_key[:-1]
    if (same & (exposure[1:] < exposure[:-1])).any():
        return (
            "the logged exposure of a pattern decreases: its counter was reset, perhaps by a restart; "
            "drop the column to have exposures counted here"
        )
    recurring = pattern[order] >= 0
    first = np.concatenate([[True], ~same]) & recurring
    if first.any() and (exposure[first] == 1).all() and (exposure[recurring] >= 1).all():
        return "the logged exposures start at 1: they seem to count the present query among the earlier ones"
    return None

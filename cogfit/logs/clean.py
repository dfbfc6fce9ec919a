"""From a raw table to parts with standard columns.

Values are checked, and rows that cannot be used are dropped and counted.

Every value is checked here, where its line is still known; :mod:`cogfit.logs.joining` makes one log of several parts.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError
from cogfit.logs.cells import quoted, read_cells
from cogfit.logs.columnar import ColumnTable, WithFrame
from cogfit.logs.columns import Columns, Level, find_columns, recognised_role
from cogfit.logs.formats.reader import Raw, ReadOptions, Restart
from cogfit.logs.labels import MISSING, labels_from_codes, labels_of, one_label, trimmed
from cogfit.logs.model import FILE_ROW, GROUP_COLUMNS, Choice
from cogfit.logs.splits import split_named

if TYPE_CHECKING:
    import pandas as pd

    from cogfit.logs.columnar import Frame

TOLERANCE = 1e-9
"""How far rounding may carry a fraction outside 0–1."""

_MINUS_ONE = re.compile(r"-1(\.0*)?([eE][-+]?0+)?")  # numpy.savetxt writes -1.000000000000000000e+00
_MOST_WRITERS = 4096  # processes of one training
_TRUE, _FALSE = frozenset({"true", "t", "yes", "1", "1.0"}), frozenset({"false", "f", "no", "0", "0.0"})

_DOUBTFUL = frozenset({"novel", "nan", "none", "null", "<na>"})  # not 'NA', which is Namibia

Mask = NDArray[np.bool_]
Numbers = NDArray[Any]


@dataclass(frozen=True)
class Part(WithFrame):
    """One kind of log out of one table.

    It has standard columns and valid values, in file order.

    Attributes
    ----------
    kind : {"utilization", "routing"}
    table : pandas.DataFrame or ColumnTable
        Group columns are categoricals of strings. In a routing log ``pattern`` is one, too (missing = novel).
    path : Path
    format : str
    rows_read : int
    dropped : mapping of str to int
    notes, warnings : tuple of str
    x_name, y_name : str
    choices : tuple of Choice
        What the columns of values are, where that goes without saying in no log: their split, or another quantity than
        the decision of a routing log.
    restarts : tuple of Restart
        That the file declares, by row of `table`, or of the file where columns by layer or head became rows.
    file_rows : int array or None
        Row of the file behind each row of `table`, where several come from one.
    run_is_chosen : bool
        Whether the user chose the column of the run.
    columns_by : tuple of str
        Which of layer and head were columns of the file.
    writers : int array or None
        Which process wrote each row of `table`, where the file says it: the steps of each rise by themselves.
    """

    kind: str
    table: Frame
    path: Path
    format: str
    rows_read: int
    dropped: Mapping[str, int]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    x_name: str
    y_name: str
    choices: tuple[Choice, ...] = ()
    restarts: tuple[Restart, ...] = ()
    file_rows: NDArray[np.int64] | None = None
    run_is_chosen: bool = False
    columns_by: tuple[str, ...] = ()
    writers: NDArray[np.int64] | None = None


class _Rows:
    """The rows that are kept.

    The others are counted by reason.
    """

    def __init__(self, n: int) -> None:
        self.kept: Mask = np.ones(n, dtype=bool)
        self.dropped: Counter[str] = Counter()

    def drop(self, mask: Mask, reason: str) -> None:
        if count := int(np.count_nonzero(mask & self.kept)):
            self.dropped[reason] += count
            self.kept &= ~mask

    def drop_unusable(self, values: Numbers, column: str) -> None:
        """Drop the rows whose value is missing or infinite."""
        if values.dtype.kind != "f":
            return
        with np.errstate(over="ignore", invalid="ignore"):
            total = values.sum()  # of finite values it is finite or overflows; it takes less time than a look at each
        if not math.isfinite(total):
            self.drop(np.isnan(values), f"no value in '{column}'")
            self.drop(np.isinf(values), f"infinite value in '{column}'")


class _Table:
    """A raw table whose columns are asked for by type.

    They are numbers, truth values or labels.
    """

    def __init__(self, raw: Raw, path: Path) -> None:
        self.raw, self.path = raw, path

    def fail(self, what: str, column: str, row: int, hint: str) -> InputError:
        line = self.raw.line_of(row) if self.raw.line_of else row + 1
        return InputError(what, path=self.path, line=line, column=column, hint=hint)

    def numbers(self, column: str) -> Numbers:
        """Values of a column as numbers.

        They are integers, or float64 with NaN for what is missing.
        """
        table = self.raw.table
        if isinstance(table, ColumnTable) and (numbers := table.numbers(column)) is not None:
            return numbers
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
        cells = read_cells(values)
        if cells.bad.size:
            raise self.fail(cells.complaint, column, int(cells.bad[0]), cells.remedy)
        return cells.values

    def integers(self, values: Numbers, column: str, rows: Mask) -> NDArray[np.int64]:
        """Convert values to int64.

        Those outside `rows` may be anything.
        """
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
        """Numbers between 0 and 1.

        Rows without one are dropped.
        """
        values = self.numbers(column).astype(np.float64, copy=False)
        rows.drop_unusable(values, column)
        return self.in_range(values, column)

    def in_range(self, values: NDArray[np.float64], column: str) -> NDArray[np.float64]:
        """Refuse what is no fraction.

        What rounding left just outside is carried back to 0 or 1.
        """
        if values.min(initial=0.0) >= 0 and values.max(initial=1.0) <= 1:  # neither with a missing value
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
        """Truth values of a column.

        Rows without one are dropped.
        """
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
            shown = quoted(values.iloc[row])
            raise self.fail(f"{shown} is neither 0 nor 1", column, row, "call a column of probabilities p_episodic")
        return np.asarray(numbers == 1)

    def optional_numbers(self, column: str, notes: list[str]) -> Numbers | None:
        """Numbers of a column that may be left out.

        It is, with a note, when it holds something else.
        """
        try:
            return self.numbers(column)
        except InputError as error:
            notes.append(f"column '{column}' was left out: {error.what}")
            return None

    def labels(self, column: str, *, novel: bool = False) -> pd.Categorical:
        """Texts of a column as a categorical.

        With `novel`, a text that is the number −1 counts as missing, too.
        """
        try:
            labels = labels_of(self.raw.frame[column])
        except TypeError:
            raise InputError(
                "holds lists or objects", path=self.path, column=column, hint="give names or numbers"
            ) from None
        except UnicodeDecodeError:
            raise InputError(
                "holds bytes that are no text in UTF-8", path=self.path, column=column, hint="give names or numbers"
            ) from None
        if novel:
            return labels.remove_categories([name for name in labels.categories if _MINUS_ONE.fullmatch(name)])
        return labels


def prepare(raw: Raw, options: ReadOptions, path: Path) -> list[Part]:
    """Check a raw table and give it standard columns.

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
    columns = find_columns([str(name) for name in raw.table.columns], options, path, lambda: numeric_columns(raw.frame))
    table = _Table(raw, path)
    if not columns.routing:
        return [_utilization_part(table, columns)]
    if not columns.utilization:
        return [_routing_part(table, columns)]
    return _both_parts(raw, columns, path)


def numeric_columns(frame: pd.DataFrame) -> list[str]:
    """Columns of numbers, falling ones first and steps last.

    A column falls if the mean of its last third is below that of its first.
    """
    falls: dict[str, bool] = {}
    for name in frame.columns:
        values = numeric_values(frame[name])
        if values is None or frame[name].dtype.name in ("bool", "boolean"):
            continue
        known = values[~np.isnan(values)]
        third = max(len(known) // 3, 1)
        with np.errstate(invalid="ignore"):  # infinities of both signs have no mean
            falls[str(name)] = bool(known[-third:].mean() < known[:third].mean())
    return sorted(falls, key=lambda name: (recognised_role(name) == "step", not falls[name]))


def numeric_values(column: pd.Series[Any]) -> NDArray[np.float64] | None:
    """Numbers of a column, NaN where there is none.

    None if most of it is something else, or nothing is there.

    Examples
    --------
    >>> import pandas as pd
    >>> numeric_values(pd.Series(["1", None, "2.5"])), numeric_values(pd.Series(["a", "1"]))
    (array([1. , nan, 2.5]), None)
    """
    import pandas as pd
    from pandas.api import types

    if isinstance(column.dtype, pd.CategoricalDtype) or column.dtype.kind in "cmM":  # complex, or times
        return None
    if not types.is_numeric_dtype(column.dtype):  # truth values are numbers here
        cells = read_cells(column)
        return cells.values if cells.are_numbers else None
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return None if np.isnan(values).all() else values


def _both_parts(raw: Raw, columns: Columns, path: Path) -> list[Part]:
    """Split a table that has columns of both kinds.

    Rows without a routing decision belong to the utilisation log.
    """
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
    remainder = replace(raw, dropped={}, notes=())  # the reader's own account goes with the routing log
    return [routing, _utilization_part(_Table(_subset(remainder, other), path), only)]


def _subset(raw: Raw, rows: Mask) -> Raw:
    """Some rows of a table, which still know their lines."""
    places = np.flatnonzero(rows)

    def line_of(row: int) -> int:
        place = int(places[row])
        return raw.line_of(place) if raw.line_of else place + 1

    frame = raw.frame[rows].reset_index(drop=True)
    return replace(
        raw,
        table=frame,
        rows_read=len(frame) + sum(raw.dropped.values()),
        line_of=line_of,
        restarts=_moved(raw.restarts, rows),
        file_rows=None if raw.file_rows is None else raw.file_rows[rows],
    )


def _groups(table: _Table, columns: Columns, notes: list[str]) -> dict[str, pd.Categorical]:
    chosen = {"run": columns.run, "layer": columns.layer, "head": columns.head}
    groups = {group: table.labels(column) for group, column in chosen.items() if column is not None}
    if columns.split_column is not None:
        splits = table.labels(columns.split_column)
        # such a column may mean anything, so its values decide
        named = [split_named(name) for name in splits.categories]
        is_plain = columns.split_column.strip().casefold() in ("split", "subset")
        if all(named) or (is_plain and any(named)):
            names = [known or name for known, name in zip(named, splits.categories, strict=True)]
            groups["split"] = labels_from_codes(splits.codes, names)
        else:
            notes.append(f"column '{columns.split_column}' names other things than splits of the data and was not used")
    return groups


def _steps(table: _Table, columns: Columns) -> Numbers:
    """Values of x, with what the user adds to them."""
    if columns.counts_rows:
        rows = table.raw.file_rows
        steps: Numbers = np.arange(1, len(table.raw.table) + 1) if rows is None else rows + 1
    else:
        steps = table.numbers(columns.step)
    return steps if not columns.x_offset else whole_steps(steps + columns.x_offset)


def whole_steps(steps: Numbers) -> Numbers:
    """Steps as int64 if all are whole numbers.

    Otherwise as float64.
    """
    if steps.dtype.kind == "i":
        return steps.astype(np.int64, copy=False)
    floats = steps.astype(np.float64)
    whole = bool(np.all((floats == np.rint(floats)) & (np.abs(floats) < 2.0**53)))
    return floats.astype(np.int64) if whole else floats


def _utilization_part(table: _Table, columns: Columns) -> Part:
    raw, notes = table.raw, [*table.raw.notes, *columns.notes]
    steps = _steps(table, columns)
    groups = _groups(table, columns, notes)
    cells: Frame
    if len(columns.utilization) > 1:
        cells, kept, dropped = _melted(table, columns, steps, groups)
        notes.append(_melted_note(columns.utilization))
    else:
        cells, kept, dropped = _one_level(table, columns, steps, groups)
    notes += _empty_runs(groups, np.logical_or.reduce(kept), columns)
    if raw.file_rows is not None:
        dropped = _unused_file_rows(raw, np.logical_or.reduce(kept), columns.value_name)
    return Part(
        kind="utilization",
        table=cells,
        path=table.path,
        format=raw.format,
        rows_read=raw.rows_read,
        dropped=Counter(raw.dropped) + dropped,
        notes=tuple(notes),
        warnings=(),
        x_name=columns.step_name,
        y_name=columns.value_name,
        choices=columns.choices,
        restarts=_moved(raw.restarts, kept[0]) if len(kept) == 1 else raw.restarts,
        file_rows=_file_rows(raw, kept),
        run_is_chosen=columns.run_is_chosen,
        columns_by=_columns_by(columns.utilization),
        writers=_writers(raw, columns, steps, kept),
    )


def _columns_by(levels: Sequence[Level]) -> tuple[str, ...]:
    """Which of layer and head were columns of the file."""
    if len(levels) == 1:
        return ()
    return tuple(group for group in ("layer", "head") if getattr(levels[0], group) is not None)


def _moved(restarts: Sequence[Restart], kept: Mask) -> tuple[Restart, ...]:
    """Restarts by row of the kept rows."""
    if not restarts:
        return ()
    places = np.concatenate([[0], np.cumsum(kept)])  # of each row, and of the end
    return tuple(
        replace(restart, row=int(places[restart.row]), first=int(places[restart.first])) for restart in restarts
    )


def _file_rows(raw: Raw, kept: Mask) -> NDArray[np.int64] | None:
    """Row of the file behind each kept row of each level."""
    if len(kept) == 1 and raw.file_rows is None:
        return None
    rows = np.arange(len(raw.table)) if raw.file_rows is None else raw.file_rows
    return np.tile(rows, len(kept))[kept.ravel()]


def _writers(raw: Raw, columns: Columns, steps: Numbers, kept: Mask) -> NDArray[np.int64] | None:
    """Process that wrote each kept row of each level, None if there is one.

    The column may mean anything else, such as the rank of a matrix. Processes count from 0 and log the same steps.
    """
    if columns.writer is None or columns.writer in (columns.step, *(level.column for level in columns.utilization)):
        return None
    values = numeric_values(raw.frame[columns.writer])
    if values is None or not np.isin(values, np.arange(_MOST_WRITERS)).all():
        return None
    writers = values.astype(np.int64)
    n_writers, n_steps = int(writers.max()) + 1, len(np.unique(steps))
    pairs = np.unique(np.stack([writers.astype(np.float64), steps]), axis=1)
    if n_writers < 2 or 2 * pairs.shape[1] < n_writers * n_steps:
        return None
    return np.tile(writers, len(kept))[kept.ravel()]


def _unused_file_rows(raw: Raw, kept: Mask, name: str) -> Counter[str]:
    """Rows of the file of which no row of the table is kept."""
    assert raw.file_rows is not None
    n_unused = len(np.unique(raw.file_rows)) - len(np.unique(raw.file_rows[kept]))
    return Counter({f"no value in '{name}'": n_unused} if n_unused else {})


def _empty_runs(groups: Mapping[str, pd.Categorical], kept: Mask, columns: Columns) -> list[str]:
    """Say which runs have no value at all."""
    if "run" not in groups or kept.all():
        return []
    runs = groups["run"]
    filled = np.bincount(runs.codes[kept & (runs.codes >= 0)], minlength=len(runs.categories))
    empty = [f"'{name}'" for name, count in zip(runs.categories, filled.tolist(), strict=True) if not count]
    if not empty:
        return []
    listed = ", ".join(empty[:6]) + (", …" if len(empty) > 6 else "")
    return [f"without any value in '{columns.value_name}', and left out: run {listed}"]


def _one_level(
    table: _Table, columns: Columns, steps: Numbers, groups: Mapping[str, pd.Categorical]
) -> tuple[Frame, Mask, Counter[str]]:
    """Rows of a log with one column of values, which are kept, and why not.

    The file's other columns are kept.
    """
    (level,) = columns.utilization
    values = table.numbers(level.column).astype(np.float64, copy=False)
    rows = _Rows(len(values))
    rows.drop_unusable(steps, columns.step)
    rows.drop_unusable(values, level.column)
    if columns.bounded:
        values = table.in_range(values, level.column)
    cells: dict[str, Any] = {"step": steps, "attention_utilization": -values if columns.negated else values, **groups}
    for group in ("layer", "head"):
        if (name := getattr(level, group)) is not None:
            cells[group] = one_label(name, len(values))
    kept = rows.kept[np.newaxis]
    file = table.raw.table
    if isinstance(file, ColumnTable) and all(isinstance(values, np.ndarray) for values in cells.values()):
        numbers = ColumnTable(cells | _others(file, cells, columns))
        return numbers if rows.kept.all() else numbers.take(np.flatnonzero(rows.kept)), kept, rows.dropped
    return _labelled(cells, table.raw.frame, columns, rows.kept), kept, rows.dropped


def _labelled(cells: dict[str, Any], file: pd.DataFrame, columns: Columns, kept: Mask) -> pd.DataFrame:
    """Rows that are kept of a log with labels."""
    import pandas as pd

    cells = {name: cells[name] for name in _ordered(cells)}
    frame = pd.DataFrame(cells, copy=False)  # with the index of the file's own columns
    frame = pd.DataFrame({str(name): frame[name] for name in frame} | _others(file, cells, columns), copy=False)
    return (frame if kept.all() else trimmed(frame[kept])).reset_index(drop=True)


def _melted(
    table: _Table, columns: Columns, steps: Numbers, groups: Mapping[str, pd.Categorical]
) -> tuple[pd.DataFrame, Mask, Counter[str]]:
    """Columns by layer or head as rows, one level after the other.

    A row of the file is left out if no level of it is kept. Tables of a hundred thousand columns occur, so that nothing
    is done column by column that can be done at once.
    """
    import pandas as pd

    levels = columns.utilization
    values = _level_values(table, levels)  # one row for each level
    rows = _Rows(len(steps))
    rows.drop_unusable(steps, columns.step)
    kept = np.isfinite(values) & rows.kept
    rows.drop(~np.logical_or.reduce(kept), f"no value in '{levels[0].column}' and its like")
    if columns.bounded:
        values = _levels_in_range(table, values, levels)
    values = -values if columns.negated else values
    cells: dict[str, Any] = {"step": np.tile(steps, len(levels)), "attention_utilization": values.ravel()}
    for name, labels in groups.items():
        cells[name] = pd.Categorical.from_codes(np.tile(labels.codes, len(levels)), dtype=labels.dtype)
    for name in ("layer", "head"):
        if getattr(levels[0], name) is not None:
            labels = labels_of(pd.Series([getattr(level, name) for level in levels]))
            cells[name] = pd.Categorical.from_codes(np.repeat(labels.codes, len(steps)), dtype=labels.dtype)
    frame = pd.DataFrame({name: cells[name] for name in _ordered(cells)}, copy=False)
    frame = frame if kept.all() else trimmed(frame[kept.ravel()]).reset_index(drop=True)
    return frame, kept, rows.dropped


def _level_values(table: _Table, levels: Sequence[Level]) -> NDArray[np.float64]:
    """Values of several columns, one row for each."""
    values = table.raw.frame[[level.column for level in levels]]
    if all(isinstance(kind, np.dtype) and kind.kind in "biuf" for kind in values.dtypes.unique()):
        return np.ascontiguousarray(values.to_numpy(dtype=np.float64).T)
    return np.array([table.numbers(level.column) for level in levels], dtype=np.float64)


def _levels_in_range(table: _Table, values: NDArray[np.float64], levels: Sequence[Level]) -> NDArray[np.float64]:
    """Refuse what is no fraction, as `_Table.in_range` does."""
    with np.errstate(invalid="ignore"):
        outside = ((values < 0) | (values > 1)).any(axis=1)
    if outside.any():
        values = values.copy()
    for place in np.flatnonzero(outside).tolist():
        values[place] = table.in_range(values[place], levels[place].column)
    return values


def _ordered(cells: Iterable[str]) -> list[str]:
    first = [name for name in cells if name not in GROUP_COLUMNS]
    return first + [name for name in GROUP_COLUMNS if name in cells]


def _others(file: Frame, cells: Iterable[str], columns: Columns) -> dict[str, Any]:
    """The file's remaining columns.

    They are renamed where a standard name is taken.
    """
    used = set(columns.used())
    if "split" not in cells:
        used -= {columns.split_column}
    standard = {*cells, *GROUP_COLUMNS, FILE_ROW}
    others = {str(name): file[name] for name in file.columns if str(name) not in used}
    return {f"{name}_logged" if name in standard else name: values for name, values in others.items()}


def _melted_note(levels: Sequence[Level]) -> str:
    by = "layer and head" if levels[0].layer and levels[0].head else "layer" if levels[0].layer else "head"
    return f"{len(levels)} columns from '{levels[0].column}' to '{levels[-1].column}' became rows by {by}"


def _routing_part(table: _Table, columns: Columns) -> Part:
    import pandas as pd

    raw, notes = table.raw, [*table.raw.notes, *columns.notes]
    rows = _Rows(len(raw.frame))
    assert columns.pattern is not None
    attended, p_episodic = _decision_columns(raw.frame, columns, notes)
    raw_steps = _steps(table, columns)
    rows.drop_unusable(raw_steps, columns.step)
    cells: dict[str, Any] = {"step": table.integers(raw_steps, columns.step, rows.kept)}
    cells["pattern"] = pattern = table.labels(columns.pattern, novel=True)
    if columns.exposure is not None:
        cells["exposure"] = _logged_exposures(table, columns.exposure, pattern.codes < 0, rows)
    if attended is not None:
        cells["attended"] = table.truths(attended, rows)
    if p_episodic is not None:
        cells["p_episodic"] = table.fractions(p_episodic, rows)
    cells |= _groups(table, columns, notes)
    cells |= _outcomes(table, columns, notes)
    frame = pd.DataFrame(cells, copy=False)
    return Part(
        kind="routing",
        table=frame if rows.kept.all() else trimmed(frame[rows.kept]),
        path=table.path,
        format=raw.format,
        rows_read=raw.rows_read,
        dropped=Counter(raw.dropped) + rows.dropped,
        notes=tuple(notes),
        warnings=_doubtful_names(pattern, columns.pattern, table.path),
        x_name=columns.step_name,
        y_name=p_episodic or attended or "",
        choices=columns.choices,
        restarts=_moved(raw.restarts, rows.kept),
        file_rows=_file_rows(raw, rows.kept[np.newaxis]),
        run_is_chosen=columns.run_is_chosen,
        writers=_writers(raw, columns, raw_steps, rows.kept[np.newaxis]),
    )


def _decision_columns(frame: pd.DataFrame, columns: Columns, notes: list[str]) -> tuple[str | None, str | None]:
    """Columns of decisions and of probabilities.

    None for one that is not there or empty.
    """
    attended, p_episodic = columns.attended, columns.p_episodic
    if columns.answer is not None:
        if _looks_decided(frame[columns.answer]):
            attended = columns.answer
        else:
            p_episodic = columns.answer
    if attended is None or p_episodic is None:
        return attended, p_episodic
    # a column without any value must not cost us the rows of the other
    is_empty = {name: bool(frame[name].isna().all()) for name in (attended, p_episodic)}
    if is_empty[attended] != is_empty[p_episodic]:
        empty = attended if is_empty[attended] else p_episodic
        notes.append(f"column '{empty}' is empty and was left out")
        return (None, p_episodic) if empty == attended else (attended, None)
    return attended, p_episodic


def _outcomes(table: _Table, columns: Columns, notes: list[str]) -> dict[str, Any]:
    """Correctness and quality, as far as they were logged."""
    cells: dict[str, Any] = {}
    if columns.correct is not None and table.raw.frame[columns.correct].dtype == np.bool_:
        cells["correct"] = table.raw.frame[columns.correct].to_numpy()
    elif columns.correct is not None and (numbers := table.optional_numbers(columns.correct, notes)) is not None:
        cells["correct"] = numbers == 1 if np.isin(numbers, (0, 1)).all() else numbers.astype(np.float64)
    if columns.quality is not None and (numbers := table.optional_numbers(columns.quality, notes)) is not None:
        cells["quality"] = numbers.astype(np.float64)
    return cells


def _doubtful_names(pattern: pd.Categorical, column: str, path: Path) -> tuple[str, ...]:
    """Warn of a pattern whose name may mean that there is none."""
    return tuple(
        f"{path.name}: '{name}' in column '{column}' was read as the name of a pattern; "
        "leave the field empty for queries without a pattern"
        for name in pattern.categories
        if name.casefold() in _DOUBTFUL
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

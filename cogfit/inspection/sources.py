"""Tables before columns are chosen: what each column may be."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogfit.formulas.form import Array
from cogfit.logs.clean import TOLERANCE, numeric_values
from cogfit.logs.columns import BOUNDED, Level, level_of, recognised_role, spellings
from cogfit.logs.formats.reader import ROW, ReadOptions
from cogfit.logs.reading import Tables
from cogfit.logs.units import Table

_MOST_TRIED = 3  # columns that are tried as x
_LABELS = {"run": "names the run", "split": "names the split", "layer": "names the layer", "head": "names the head"}
_OF_ROUTING = {"pattern": "names the pattern", "exposure": "counts exposures"}
_NO_X = (*_LABELS, *_OF_ROUTING, *BOUNDED)
_OF_X = re.compile(
    r"(?<![a-z])(steps?|iter|iters|iterations?|epochs?|batch(es)?|updates?|tokens?|samples?|examples?|rounds?|episodes?"
    r"|generations?|trials?|index|unnamed_\d+|elapsed|timestamp|(wall_?)?time|flops)(?![a-z])"
)


class Source:
    """A table with its columns of numbers.

    Parameters
    ----------
    table : Table
    start : int
        Number of its first row among the rows of all tables.

    Attributes
    ----------
    values : dict of str to ndarray
        NaN where there is none.
    roles : dict of str to str
        What the name of each column says that it is; empty if nothing.
    """

    def __init__(self, table: Table, start: int) -> None:
        self.table, self.start, self.n_rows = table, start, len(table.raw.frame)
        self.values: dict[str, Array] = {}
        self.roles: dict[str, str] = {}
        self.levels: dict[str, Level] = {}
        self._spelt: dict[str, list[str]] = defaultdict(list)
        for name in map(str, table.raw.frame.columns):
            if (values := numeric_values(table.raw.frame[name])) is not None:
                self.values[name] = values
            self.roles[name] = recognised_role(name) or ""
            self.levels[name] = level_of(name)[1]
            for spelling in spellings(name):
                self._spelt[spelling].append(name)

    @cached_property
    def of_rows(self) -> list[str]:
        """Columns that may say what a row is.

        Step, run, pattern and the like.
        """
        return [
            name
            for name, role in self.roles.items()
            if role not in ("", "utilization") and self.levels[name].layer is None and self.levels[name].head is None
        ]

    def spelt(self, wanted: str) -> list[str]:
        """Columns that may be meant by a name."""
        if wanted in self.roles:
            return [wanted]
        return list(dict.fromkeys(name for form in spellings(wanted) for name in self._spelt.get(form, ())))

    def has_pattern(self, chosen: str | None) -> bool:
        """Whether a column names patterns."""
        return bool(chosen and self.spelt(chosen)) or any(self.roles[name] == "pattern" for name in self.of_rows)

    def only(self, wanted: Sequence[str | None], mark: str) -> Table:
        """The table without columns that reading does not need.

        A column is added that numbers the rows.
        """
        chosen = (name for one in wanted if one is not None for name in self.spelt(one))
        frame = self.table.raw.frame[list(dict.fromkeys([*self.of_rows, *chosen]))]
        frame = frame.assign(**{mark: self.start + np.arange(self.n_rows)})
        return replace(self.table, raw=replace(self.table.raw, table=frame))

    def rises(self, name: str) -> bool:
        """Whether values go up from row to row.

        They may fall where a new run begins, and now and then.
        """
        values = self.values[name]
        changes = np.diff(values[np.isfinite(values)])
        n_falls, n_rises = (int(np.count_nonzero(sign * changes > 0)) for sign in (-1, 1))
        is_steady = 2 * n_rises > len(changes) or (n_rises > 0 and bool(_OF_X.search(name.casefold())))
        runs = [column for column in self.of_rows if self.roles[column] == "run"]
        n_runs = max((int(self.table.raw.frame[column].nunique()) for column in runs), default=1)
        return is_steady and n_falls < n_runs + 0.01 * len(changes)

    def mask(self, name: str) -> bytes:
        """Which rows have a value, in few bytes."""
        is_known = np.isfinite(self.values[name])
        return b"" if is_known.all() else blake2b(np.packbits(is_known).tobytes()).digest()

    def needs_closer_look(self, name: str, chosen_pattern: str | None) -> bool:
        """Whether a column may be refused for its own values."""
        values, role = self.values[name], self.roles[name]
        kind = self.table.raw.frame[name].dtype
        is_plain = isinstance(kind, np.dtype) and kind.kind in "biuf"
        is_answer = role != "utilization" and self.has_pattern(chosen_pattern)
        return not is_plain or is_answer or (role in BOUNDED and _is_outside(values[np.isfinite(values)]))


def _is_outside(values: Array) -> bool:
    return bool(values.size) and bool(values.min() < -TOLERANCE or values.max() > 1 + TOLERANCE)


class Sources:
    """All tables of a log.

    Parameters
    ----------
    tables : Tables
    asked : ReadOptions
        What the user has chosen already.
    """

    def __init__(self, tables: Tables, asked: ReadOptions) -> None:
        self.items = tuple(tables.items)
        self.tables, self.asked = replace(tables, items=self.items), asked
        self.all: list[Source] = []
        start = 0
        for item in self.items:
            if isinstance(item, Table):
                self.all.append(Source(item, start))
                start += self.all[-1].n_rows
        self.mark = "(row)"  # column that numbers the rows
        while any(self.mark in source.roles for source in self.all):
            self.mark += "'"

    @cached_property
    def names(self) -> list[str]:
        """Columns of numbers, in the order of the files."""
        return list(dict.fromkeys(name for source in self.all for name in source.values))

    @cached_property
    def texts(self) -> list[str]:
        """Columns that hold no numbers."""
        columns = dict.fromkeys(name for source in self.all for name in source.roles)
        return [name for name in columns if not any(name in source.values for source in self.all)]

    def role(self, name: str) -> str:
        """What a column's name says that it is."""
        return next((source.roles[name] for source in self.all if name in source.roles), "")

    def known(self, name: str) -> Array:
        """Finite values of a column, file by file."""
        values = [source.values[name] for source in self.all if name in source.values]
        joined = np.concatenate(values) if values else np.empty(0)
        return joined[np.isfinite(joined)]

    def values(self, name: str, rows: NDArray[np.int64]) -> Array:
        """Values of a column in some rows of all tables."""
        values = np.full(len(rows), np.nan)
        for source in self.all:
            if (own := source.values.get(name)) is not None:
                inside = (rows >= source.start) & (rows < source.start + source.n_rows)
                values[inside] = own[rows[inside] - source.start]
        return values

    def pruned(self, options: ReadOptions) -> Tables:
        """The tables without columns that these options do not need."""
        wanted = (options.x, options.y, options.pattern, options.run)
        own = iter(self.all)
        items = [next(own).only(wanted, self.mark) if isinstance(item, Table) else item for item in self.items]
        return replace(self.tables, items=items)

    # ----------------------------------------------------------------------------------------------- x

    @cached_property
    def axes(self) -> list[str]:
        """Columns that may be x, the likeliest names first."""
        return sorted((name for name in self.names if self._may_be_x(name)), key=self._likelihood)

    def _may_be_x(self, name: str) -> bool:
        role = self.role(name)
        source = next(source for source in self.all if name in source.values)
        return role == "step" or (role not in _NO_X and source.rises(name))

    def _likelihood(self, name: str) -> int:
        if self.role(name) == "step":
            return 0
        folded = name.casefold()
        return (2 if "time" in folded else 1) if _OF_X.search(folded) else 3

    def is_of_x(self, name: str) -> bool:
        """Whether a column is x by name and by values."""
        return name in self._of_x

    @cached_property
    def _of_x(self) -> frozenset[str]:
        return frozenset(name for name in self.axes if self._likelihood(name) < 3)

    @cached_property
    def tried_axes(self) -> list[str | None]:
        """Choices of x, the first to be tried first.

        None is the one that is recognised.
        """
        if self.asked.x is not None:
            return [None]
        named = [name for name in self.axes if self.is_of_x(name)][:_MOST_TRIED]
        is_recognised = any("step" in source.roles.values() for source in self.all)
        return [*([None] if is_recognised else []), *named, ROW]

    # ----------------------------------------------------------------------------------------------- y

    def why_no_y(self, name: str) -> str:
        """Why a column is nothing to fit.

        Empty if it may be.
        """
        role = self.role(name)
        if self.asked.x is not None and any(name in source.spelt(self.asked.x) for source in self.all):
            return "is x"
        if role in _LABELS:
            return _LABELS[role]
        if role in _OF_ROUTING and any(source.has_pattern(self.asked.pattern) for source in self.all):
            return _OF_ROUTING[role]
        return f"may be x: --x {shlex.quote(name)}" if self.is_of_x(name) else ""

    def read_alike(self) -> list[list[str]]:
        """Columns whose values lie in the same rows.

        One of them is read for all. Those that need a closer look are alone.
        """
        alike: dict[Any, list[str]] = defaultdict(list)
        for name in self.names:
            alike[self._key(name)].append(name)
        return list(alike.values())

    def _key(self, name: str) -> Any:
        """What columns have in common that are read alike."""
        is_alone = (
            len(self.all) < len(self.items)  # a damaged text is refused for the columns that it mentions
            or self.why_no_y(name)
            or any(
                source.needs_closer_look(name, self.asked.pattern) if name in source.values else source.spelt(name)
                for source in self.all
            )
        )
        if is_alone:
            return name
        level = level_of(name)[1]
        masks = [(number, source.mask(name)) for number, source in enumerate(self.all) if name in source.values]
        return (level.layer is None, level.head is None, *masks)

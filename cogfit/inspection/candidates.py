"""Every column of numbers as a candidate for a fit."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial

import numpy as np

from cogfit.curves.curve import CONSTANT, thinned
from cogfit.curves.utilization import smoothing_mark, zeros_at_end
from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.inspection.readings import Command, LogReader, Options, Reading, View
from cogfit.inspection.records import ColumnFacts, Line
from cogfit.inspection.trend import trend_of
from cogfit.logs.columns import BOUNDED, find_columns

DRAWN = 12
"""Columns that a picture shows."""

_IN_WORDS = {"utilization": "attention utilisation", "attended": "decision", "p_episodic": "probability to attend"}
_AS_DECISION = "in a routing log: read as the decision or its probability"

Lines = Callable[[], tuple[Line, ...]]
"""Makes the lines of a picture, which few columns need."""


class Candidates:
    """Columns of numbers, each with the command that fits it.

    Parameters
    ----------
    reader : LogReader
    command : Command

    Attributes
    ----------
    main : (Reading, str) or None
        The reading with the most rows, and its column; to count runs by.
    axes : Counter of (str, float)
        How often commands take an x, and what they add to it.
    """

    def __init__(self, reader: LogReader, command: Command) -> None:
        self.reader, self.sources, self.command = reader, reader.sources, command
        self.main: tuple[Reading, str] | None = None
        self.axes: Counter[tuple[str, float]] = Counter()

    def columns(self) -> list[ColumnFacts]:
        """Facts of all columns, the likeliest to be fitted first."""
        made = [pair for names in self.sources.read_alike() for pair in self._facts(names)]
        place = {name: number for number, name in enumerate(self.sources.names)}
        made.sort(key=lambda pair: (*_order(pair[0]), place[pair[0].name]))
        return [
            replace(facts, lines=lines()) if number < DRAWN else facts for number, (facts, lines) in enumerate(made)
        ]

    def _facts(self, names: Sequence[str]) -> Iterator[tuple[ColumnFacts, Lines]]:
        """Facts of columns that are read alike, for each split."""
        first = names[0]
        if problem := self.sources.why_no_y(first):
            yield self._unfitted(first, problem)
            return
        options = self._options(first)
        try:
            reading = self.reader.read(options)
        except InputError as error:
            yield from (self._unfitted(name, str(error)) for name in names)
            return
        if self.main is None or len(reading.frame) > len(self.main[0].frame):
            self.main = (reading, first)
        for number, split in enumerate(reading.splits or [""]):
            try:
                own = self.reader.read({**options, "split": split}) if number else reading
            except InputError as error:
                yield from (self._unfitted(name, str(error), split) for name in names)
            else:
                yield from self._fitted(names, split, own)

    def _fitted(self, names: Sequence[str], split: str, reading: Reading) -> Iterator[tuple[ColumnFacts, Lines]]:
        """Facts of columns in the rows of a reading."""
        if reading.log.routing is not None:
            yield self._of_queries(names[0], split, reading)
            return
        view = View(reading, self.sources.mark)
        self.axes[reading.x_name, reading.x_offset] += 1
        other_x = [f"x = {reading.x_name}, since {reading.why_other_x}"] if reading.why_other_x else []
        for number, name in enumerate(names):
            values = self.sources.values(name, view.rows) if number else view.own
            options = reading.without("y") if self._is_default(name, reading) else {**reading.options, "y": name}
            facts = ColumnFacts(
                name=name,
                split=split,
                role=_IN_WORDS.get(self.sources.role(name), ""),
                x=reading.x_label,
                logged=self.sources.known(name).size,
                warnings=(*other_x, *_warnings(name, view.mean(values))),
                command=self.command.line(options),
                **view.facts(values),
            )
            yield facts, partial(view.lines, values)

    def _is_default(self, name: str, reading: Reading) -> bool:
        """Whether the column is fitted if none is named."""
        default = self.reader.default
        if default is None or default.log.utilization is None or default.log.routing is not None:
            return False
        is_same = default.log.utilization.y_name == name and default.without("y") == reading.without("y")
        return is_same and len(default.frame) == len(reading.frame)

    # ----------------------------------------------------------------------------------------------- routing logs

    def _options(self, name: str) -> Options:
        """Options that choose a column.

        Decisions and probabilities that are recognised go by their outcome.
        """
        if name not in self._outcomes:
            return {"y": name}
        return {"outcome": "hard"} if self._outcomes[name] == "attended" and len(self._outcomes) > 1 else {}

    @cached_property
    def _outcomes(self) -> dict[str, str]:
        """Columns of a routing log that are read together, by role."""
        for source in self.sources.all:
            try:
                found = find_columns(list(source.roles), self.sources.asked, source.table.path)
            except InputError:
                continue
            if found.routing:
                by_role = {"attended": found.attended, "p_episodic": found.p_episodic}
                return {name: role for role, name in by_role.items() if name is not None}
        return {}

    def _of_queries(self, name: str, split: str, reading: Reading) -> tuple[ColumnFacts, Lines]:
        """Facts of a column of a routing log, by exposures."""
        known, role = self.sources.known(name), self.sources.role(name)
        remarks = _warnings(name, reading.y)
        facts = ColumnFacts(
            name=name,
            split=split,
            role=_IN_WORDS.get(role, ""),
            x=reading.x_label,
            logged=known.size,
            n=len(reading.frame),
            low=float(known.min()),
            high=float(known.max()),
            first=float(reading.y[0]),
            last=float(reading.y[-1]),
            trend=trend_of(reading.y),
            warnings=remarks if role in BOUNDED else (_AS_DECISION, *remarks),
            command=self.command.line(reading.options),
        )
        return facts, lambda: (Line("", *thinned(reading.x, reading.y)),)

    # ----------------------------------------------------------------------------------------------- neither

    def _unfitted(self, name: str, problem: str, split: str = "") -> tuple[ColumnFacts, Lines]:
        """Facts of a column that no command fits."""
        known = self.sources.known(name)
        shown = known if known.size else np.array([np.nan])
        facts = ColumnFacts(
            name=name,
            split=split,
            role=_IN_WORDS.get(self.sources.role(name), ""),
            x="",
            logged=known.size,
            n=known.size,
            low=float(shown.min()),
            high=float(shown.max()),
            first=float(shown[0]),
            last=float(shown[-1]),
            trend=trend_of(shown),
            problem=problem,
        )
        return facts, tuple


def _order(facts: ColumnFacts) -> tuple[bool, bool, int]:
    """What stands first: attention utilisation, then what falls."""
    trends = {"falls": 0, "neither": 1, "rises": 2}
    return not facts.command, facts.role != _IN_WORDS["utilization"], trends[facts.trend]


def _warnings(name: str, y: Array) -> tuple[str, ...]:
    """What about a column's values is seldom meant."""
    found = []
    if np.ptp(y) <= CONSTANT * np.abs(y).max():
        found.append("constant")
    if (n_zeros := zeros_at_end(y)) > 1:
        found.append(f"ends in {n_zeros} zeros")
    if y.max() < 0:
        found.append(f"negative: fit its size with --y={shlex.quote('-' + name)}")
    elif y.min() < 0:
        found.append("partly negative")
    if smoothing_mark(None, name):
        found.append("smoothed, by its name: --smoothing")
    return tuple(found)

"""Commands that fit a log as a whole, or parts of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cogfit.curves.utilization import several
from cogfit.errors import InputError, shortened
from cogfit.inspection.readings import Command, LogReader, Options, Reading
from cogfit.inspection.records import ColumnFacts, Suggestion
from cogfit.inspection.sources import Source
from cogfit.logs.columns import level_of
from cogfit.logs.model import RoutingLog

if TYPE_CHECKING:
    import pandas as pd

_MOST_TRIED = 3  # patterns and families of columns that are tried


def suggestions(reader: LogReader, command: Command, columns: Sequence[ColumnFacts]) -> Iterator[Suggestion]:
    """Yield commands with what they do, the plainest first.

    Parameters
    ----------
    reader : LogReader
    command : Command
    columns : sequence of ColumnFacts
        The best first.
    """
    reading = reader.default
    if reading is None:
        yield from _with_patterns(reader, command)
        best = next((facts.name for facts in columns if facts.command), None)
        reading = None if best is None else reader.read({"y": best})
    if reading is not None:
        yield from _of_reading(reader, command, reading)
    yield from _families(reader, command)


def _of_reading(reader: LogReader, command: Command, reading: Reading) -> Iterator[Suggestion]:
    """The command of a reading, and variants of it."""
    options, table = reading.options, reading.table
    if isinstance(table, RoutingLog):
        what = "P_episodic(k) against exposures"
    else:
        what = f"'{shortened(table.y_name)}' against {shortened(reading.x_name)}"
    if "by" in options:
        yield Suggestion(f"{what}, run by run", command.line(options))
        run = str(reading.frame["run"].iloc[0])
        alone = {**reading.without("by"), "run": run}
        yield from _verified(reader, command, f"the run '{shortened(run)}' alone", alone)
        return
    means = several(table.frame)
    yield Suggestion(what + (f", averaged over {', '.join(means)}" if means else ""), command.line(options))
    if means:
        yield Suggestion(f"each {' and '.join(means)} by itself", command.line({**options, "by": ",".join(means)}))
    elif any(choice.kind == "training" for choice in table.source.choices):
        yield Suggestion("each training by itself", command.line({**options, "by": "run"}))
    for split in reading.splits[1:]:
        yield from _verified(reader, command, f"the split '{split}'", {**options, "split": split})


def _verified(reader: LogReader, command: Command, what: str, options: Options) -> Iterator[Suggestion]:
    """A suggestion, unless its command would end with an error."""
    try:
        reading = reader.read_exactly(options, is_pruned=False)
    except InputError:
        return
    choices = reading.table.source.choices
    if "run" not in options or any(choice.kind == "run" for choice in choices):  # a column may bear the run's name
        yield Suggestion(what, command.line(reading.options))


def _with_patterns(reader: LogReader, command: Command) -> Iterator[Suggestion]:
    """Columns that may name the patterns of a routing log."""
    sources = reader.sources
    roles = {role for source in sources.all for role in source.roles.values()}
    if not roles & {"attended", "p_episodic"} or "pattern" in roles or sources.asked.pattern is not None:
        return
    names = dict.fromkeys(name for source in sources.all for name in source.roles if _may_name_patterns(source, name))
    for name in list(names)[:_MOST_TRIED]:
        what = f"P_episodic(k) against exposures, if '{shortened(name)}' names the patterns"
        yield from _verified(reader, command, what, {"pattern": name})


def _may_name_patterns(source: Source, name: str) -> bool:
    """Whether a column holds labels that occur several times each."""
    labels: pd.Series[Any] = source.table.raw.frame[name]
    if source.roles[name] or not (name not in source.values or labels.dtype.kind in "iu"):
        return False
    return 1 < int(labels.astype(str).nunique()) <= len(labels) // 2


def _families(reader: LogReader, command: Command) -> Iterator[Suggestion]:
    """Columns of one quantity by layer or head."""
    members: dict[str, set[str]] = defaultdict(set)
    for name in reader.sources.names:
        stem, level = level_of(name)
        if level.layer is not None or level.head is not None:
            members[stem].add(name)
    default = None if reader.default is None else reader.default.log.utilization
    stems = [
        stem
        for stem, names in members.items()
        if stem and len(names) > 1 and (default is None or default.y_name not in names)
    ]
    for stem in stems[:_MOST_TRIED]:
        try:
            reading = reader.read({"y": stem}, is_pruned=False)
        except InputError:
            continue
        if (by := several(reading.frame)) and "by" not in reading.options:
            what = f"'{shortened(stem)}' of each {' and '.join(by)} by itself"
            yield Suggestion(what, command.line({**reading.options, "by": ",".join(by)}))

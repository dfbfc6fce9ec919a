"""From the parts that were read to one log.

Which part belongs to which run is decided here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cogfit.logs.clean import Part
from cogfit.logs.formats.reader import Reader
from cogfit.logs.joining import join_routing, join_utilization
from cogfit.logs.labels import natural_key, one_label
from cogfit.logs.model import Log

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Unit:
    """A part of a log and its folder.

    Attributes
    ----------
    label : str
        The folder, relative to the one that was asked for.
    part : Part
    reader : Reader
        That gave it.
    """

    label: str
    part: Part
    reader: Reader


def one_folder_each(units: Iterable[Unit]) -> list[Unit]:
    """Split what a reader of whole folders gave by run."""
    split: list[Unit] = []
    for unit in units:
        if unit.reader.takes_folders and "run" in unit.part.frame:
            split += _by_run(unit)
        else:
            split.append(unit)
    return split


def _by_run(unit: Unit) -> list[Unit]:
    frame = unit.part.frame
    runs = []
    for index, (run, rows) in enumerate(frame.groupby("run", observed=True, sort=False)):
        is_first = index == 0  # carries the account of the whole
        part = replace(
            unit.part,
            frame=rows.drop(columns="run"),
            rows_read=unit.part.rows_read - len(frame) + len(rows) if is_first else len(rows),
            dropped=unit.part.dropped if is_first else {},
            notes=unit.part.notes if is_first else (),
            warnings=unit.part.warnings if is_first else (),
        )
        runs.append(replace(unit, label=str(run), part=part))
    return runs


def one_format_each(units: Sequence[Unit], warnings: list[str]) -> list[Unit]:
    """Keep one format where a log has several.

    A log is of one kind and one folder.
    """
    readers: dict[tuple[str, str], set[Reader]] = defaultdict(set)
    for unit in units:
        if len(unit.part.frame):
            readers[unit.label, unit.part.kind].add(unit.reader)
    kept = []
    for unit in units:
        rivals = readers[unit.label, unit.part.kind]
        best = min(rivals, key=lambda reader: (reader.rank, reader.name), default=unit.reader)
        if unit.reader == best:
            kept.append(unit)
        elif len(unit.part.frame):
            warnings.append(
                f"{unit.label}: the log is there as {best.name} and as {unit.reader.name}; "
                "the first was read (choose with --format)"
            )
    return kept


def joined(path: Path, units: Sequence[Unit], warnings: list[str]) -> Log:
    """Make one log of all units.

    Parameters
    ----------
    path : Path
        What the user asked for.
    units : sequence of Unit
    warnings : list of str
        What has been noticed so far.
    """
    by_kind: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        by_kind[unit.part.kind].append(unit)
    by_kind = {kind: _separate_files(members, warnings) for kind, members in by_kind.items()}

    # runs are named alike in both kinds of log, so that they can be told apart by --by run
    labels = {kind: {unit.label for unit in members} for kind, members in by_kind.items()}
    if any(len(names) > 1 for names in labels.values()):
        every = set.union(*labels.values())
        by_kind = {kind: _with_runs(members, every) for kind, members in by_kind.items()}

    parts = {kind: [unit.part for unit in members] for kind, members in by_kind.items()}
    routing = utilization = None
    more: tuple[str, ...] = ()
    if "routing" in parts:
        routing, new = join_routing(parts["routing"], path)
        more += new
    if "utilization" in parts:
        utilization, new = join_utilization(parts["utilization"], path)
        more += new
    return Log(
        path=str(path),
        routing=routing,
        utilization=utilization,
        warnings=tuple(dict.fromkeys((*warnings, *more))),
    )


def _separate_files(units: Sequence[Unit], warnings: list[str]) -> list[Unit]:
    """Tell files that continue each other from separate runs."""
    by_folder: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        by_folder[unit.label].append(unit)
    separated: list[Unit] = []
    for label, members in by_folder.items():
        members = sorted(members, key=lambda unit: natural_key(unit.part.path.name))
        filled = [unit for unit in members if len(unit.part.frame)]
        if len(filled) < 2 or all("run" in unit.part.frame for unit in filled):
            separated += members
            continue
        names = [unit.part.path.name for unit in filled]
        if _are_consecutive([unit.part.frame for unit in filled]):
            warnings.append(f"{', '.join(names)} follow each other in steps and were read as one run")
            separated += members
        else:
            warnings.append(f"{', '.join(names)} overlap in steps and were read as separate runs")
            separated += _named_by_file(members, names, label)
    return separated


def _are_consecutive(frames: Sequence[pd.DataFrame]) -> bool:
    """Whether frames follow each other in steps.

    Each begins and ends at later steps than the one before.
    """
    spans = [(frame["step"].min(), frame["step"].max()) for frame in frames]
    return all(first[0] < second[0] and first[1] < second[1] for first, second in pairwise(spans))


def _named_by_file(units: Sequence[Unit], names: Sequence[str], label: str) -> list[Unit]:
    """Label units by the names of their files.

    Without suffix where that tells them apart.
    """
    stems = [name.split(".", 1)[0] for name in names]
    short = dict(zip(names, stems if len(set(stems)) == len(stems) else names, strict=True))
    named = []
    for unit in units:
        name = unit.part.path.name
        named.append(replace(unit, label=(PurePosixPath(label) / short.get(name, name)).as_posix()))
    return named


def _with_runs(units: Sequence[Unit], labels: Iterable[str]) -> list[Unit]:
    """Write each unit's folder into the column ``run``.

    Without what all folders have in common.
    """
    paths = {label: PurePosixPath(label).parts for label in labels}
    levels = zip(*paths.values(), strict=False)
    common = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    short: Mapping[str, str] = {label: "/".join(parts[common:]) or "." for label, parts in paths.items()}
    named = []
    for unit in units:
        frame, label = unit.part.frame, short[unit.label]
        if "run" in frame:
            runs = frame["run"].cat.rename_categories([f"{label}/{own}" for own in frame["run"].cat.categories])
            frame = frame.assign(run=runs)
        else:
            frame = frame.assign(run=one_label(label, len(frame)))
        named.append(replace(unit, part=replace(unit.part, frame=frame)))
    return named

"""From the parts that were read to one log.

Which part belongs to which run is decided here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cogfit.logs.clean import Part
from cogfit.logs.formats.reader import Raw, Reader, Restart
from cogfit.logs.joining import join_routing, join_utilization
from cogfit.logs.labels import natural_key, one_label
from cogfit.logs.model import Log
from cogfit.logs.replicates import are_replicates
from cogfit.logs.restarts import begins_training
from cogfit.logs.rows import ANY, Wanted
from cogfit.logs.splits import separated

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Table:
    """A table as it was read, and where.

    Attributes
    ----------
    raw : Raw
    path : Path
        File or folder, for messages.
    reader : Reader
    label : str
        The folder of its run, relative to the one that was asked for.
    """

    raw: Raw
    path: Path
    reader: Reader
    label: str = "."


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
    split : str or None
        Split of the data that folder or file are named after, where there are several.
    is_path : bool
        Whether the label is that of a folder or file, and not a name that the log gives.
    """

    label: str
    part: Part
    reader: Reader
    split: str | None = None
    is_path: bool = True


def with_splits(units: Sequence[Unit]) -> list[Unit]:
    """Tell the splits of a training from runs.

    Folders or files that are named after several splits are splits; one without such a name beside another with it is
    the training, if none else is.
    """
    names = [separated(_place(unit)) for unit in units]
    splits: dict[tuple[str, str | None], set[str | None]] = defaultdict(set)  # by kind and rest of the name
    for unit, (rest, split) in zip(units, names, strict=True):
        splits[unit.part.kind, rest].add(split)
        splits[unit.part.kind, None].add(split)
    assigned = []
    for unit, (rest, split) in zip(units, names, strict=True):
        here, everywhere = splits[unit.part.kind, rest], splits[unit.part.kind, None]
        if "split" not in unit.part.table:
            if split is not None and (len(here) > 1 or len(everywhere - {None}) > 1):
                unit = replace(unit, label=separated(unit.label)[0], split=split)
            elif split is None and len(here) > 1 and "train" not in here:
                unit = replace(unit, split="train")
        assigned.append(unit)
    return assigned


def _place(unit: Unit) -> str:
    """Folder and name of the file, as far as one file is one log."""
    if unit.reader.takes_folders:
        return unit.label
    return (PurePosixPath(unit.label) / _stem(unit.part.path.name)).as_posix()


def _stem(name: str) -> str:
    return name.split(".", 1)[0] or name


def one_folder_each(units: Iterable[Unit]) -> list[Unit]:
    """Split what a reader of whole folders gave by run."""
    split: list[Unit] = []
    for unit in units:
        if unit.reader.takes_folders and not unit.reader.names_runs and "run" in unit.part.table:
            split += _by_run(unit)
        else:
            split.append(unit)
    return split


def _by_run(unit: Unit) -> list[Unit]:
    frame, whole = unit.part.frame, unit.part
    # each row of the table comes from one of the file, or several come from one
    file_rows = np.arange(len(frame)) if whole.file_rows is None else whole.file_rows
    n_all = len(np.unique(file_rows))
    runs = []
    for index, (run, rows) in enumerate(frame.groupby("run", observed=True, sort=False)):
        is_first = index == 0  # carries the account of the whole
        places = rows.index.to_numpy()
        own_rows = file_rows[places]
        n_own = len(np.unique(own_rows))
        part = replace(
            whole,
            table=rows.drop(columns="run"),
            rows_read=whole.rows_read - n_all + n_own if is_first else n_own,
            dropped=whole.dropped if is_first else {},
            notes=whole.notes if is_first else (),
            warnings=whole.warnings if is_first else (),
            restarts=_own_restarts(whole, own_rows if whole.columns_by else places),
            file_rows=None if whole.file_rows is None else own_rows,
            writers=None if whole.writers is None else whole.writers[places],
        )
        runs.append(replace(unit, label=str(run), part=part))
    return runs


def _own_restarts(whole: Part, rows: NDArray[Any]) -> tuple[Restart, ...]:
    """Those of the restarts that the reader declared for a run.

    They count rows of the file where columns of it became rows, and those of the run otherwise.
    """
    own = [restart for restart in whole.restarts if len(rows) and rows.min() < restart.row <= rows.max() + 1]
    if whole.columns_by:
        return tuple(own)
    return tuple(replace(restart, row=int(np.searchsorted(rows, restart.row)), first=0) for restart in own)


def one_format_each(units: Sequence[Unit], warnings: list[str]) -> list[Unit]:
    """Keep one format where a log has several.

    A log is of one kind and one folder.
    """
    rows: dict[tuple[str, str | None, str], Counter[Reader]] = defaultdict(Counter)
    for unit in units:
        rows[unit.label, unit.split, unit.part.kind][unit.reader] += len(unit.part.table)
    kept = []
    for unit in units:
        counts = rows[unit.label, unit.split, unit.part.kind]
        # a short table beside the log is no copy of it
        rivals = [reader for reader, count in counts.items() if count and 2 * count >= max(counts.values())]
        best = min(rivals, key=lambda reader: (reader.rank, reader.name), default=unit.reader)
        if unit.reader == best:
            kept.append(unit)
        elif len(unit.part.table):
            what = f"{unit.label}: the log is there as {best.name} and as {unit.reader.name}"
            of_best = [other for other in units if other.reader == best and _key(other) == _key(unit)]
            if not any(_agree(unit.part, other.part) for other in of_best):
                what += ", with other values"
            warnings.append(f"{what}; the first was read (choose with --format)")
    return kept


def _key(unit: Unit) -> tuple[str, str | None, str]:
    return unit.label, unit.split, unit.part.kind


def _agree(part: Part, other: Part) -> bool:
    """Whether two utilisation logs have steps in common, and the same values there."""
    if part.kind != "utilization" or other.kind != "utilization":
        return True
    one, two = (each.frame.groupby("step")["attention_utilization"].last() for each in (part, other))
    common = one.index.intersection(two.index)
    return bool(len(common)) and bool(np.allclose(one[common], two[common], rtol=1e-4, atol=1e-6))


def joined(path: Path, units: Sequence[Unit], warnings: list[str], wanted: Wanted = ANY) -> Log:
    """Make one log of all units.

    Parameters
    ----------
    path : Path
        What the user asked for.
    units : sequence of Unit
    warnings : list of str
        What has been noticed so far.
    wanted : Wanted
        Split and run that the user wants.
    """
    by_kind: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        by_kind[unit.part.kind].append(unit)
    by_kind = {kind: _separate_files(members, warnings) for kind, members in by_kind.items()}

    # runs are named alike in both kinds of log, so that they can be told apart by --by run
    labels = {kind: {unit.label for unit in members} for kind, members in by_kind.items()}
    unlike: dict[str, tuple[str, ...]] = {}
    if any(len(names) > 1 for names in labels.values()):
        every = set.union(*labels.values())
        by_kind = {kind: _with_runs(members, every) for kind, members in by_kind.items()}
        unlike = {kind: _unlike_runs(members) for kind, members in by_kind.items()}

    parts = {kind: [_with_split(unit) for unit in members] for kind, members in by_kind.items()}
    routing = utilization = None
    more: tuple[str, ...] = ()
    if "routing" in parts:
        routing, new = join_routing(parts["routing"], path, wanted, unlike.get("routing", ()))
        more += new
    if "utilization" in parts:
        utilization, new = join_utilization(parts["utilization"], path, wanted, unlike.get("utilization", ()))
        more += new
    return Log(
        path=str(path),
        routing=routing,
        utilization=utilization,
        warnings=tuple(dict.fromkeys((*warnings, *more))),
    )


def _with_split(unit: Unit) -> Part:
    """The part with the split that its folder or file says."""
    if unit.split is None:
        return unit.part
    frame = unit.part.frame
    return replace(unit.part, table=frame.assign(split=one_label(unit.split, len(frame))))


def _unlike_runs(units: Sequence[Unit]) -> tuple[str, ...]:
    """Runs in folders or files that are no replicates by their names.

    None are if all are replicates.
    """
    named = {unit.label for unit in units if unit.is_path and len(unit.part.table)}
    columns = {(unit.part.x_name, unit.part.y_name) for unit in units if len(unit.part.table)}
    if len(named) < 2 or (are_replicates(named) and len(columns) == 1):
        return ()
    return tuple(sorted(named, key=natural_key))


def _separate_files(units: Sequence[Unit], warnings: list[str]) -> list[Unit]:
    """Tell files that continue each other from separate runs."""
    by_folder: dict[tuple[str, str | None], list[Unit]] = defaultdict(list)
    for unit in units:
        by_folder[unit.label, unit.split].append(unit)
    separated_units: list[Unit] = []
    for (label, _), members in by_folder.items():
        members = sorted(members, key=lambda unit: natural_key(unit.part.path.name))
        filled = [unit for unit in members if len(unit.part.table)]
        if len(filled) < 2 or all("run" in unit.part.table for unit in filled):
            separated_units += members
            continue
        members = sorted(members, key=_first_step)
        filled = sorted(filled, key=_first_step)
        names = [unit.part.path.name for unit in filled]
        if _are_consecutive(filled):
            warnings.append(f"{', '.join(names)} follow each other in steps and were read as one run")
            separated_units += members
        else:
            warnings.append(f"{', '.join(names)} overlap in steps and were read as separate runs")
            separated_units += _named_by_file(members, names, label)
    return separated_units


def _first_step(unit: Unit) -> float:
    steps = np.asarray(unit.part.table["step"])
    return float(steps.min()) if len(steps) else float("inf")


def _are_consecutive(units: Sequence[Unit]) -> bool:
    """Whether logs of one kind follow each other in steps.

    Each ends at a later step than the one before, and goes on where a training does not begin.
    """
    if len({(unit.part.x_name, unit.part.y_name) for unit in units}) > 1:
        return False
    steps = [np.asarray(unit.part.table["step"]) for unit in units]
    spans = [(own.min(), own.max()) for own in steps]
    rises = all(first[0] < second[0] and first[1] < second[1] for first, second in pairwise(spans))
    return rises and not any(begins_training(own) for own in steps[1:])


def _named_by_file(units: Sequence[Unit], names: Sequence[str], label: str) -> list[Unit]:
    """Label units by the names of their files.

    Without suffix where that tells them apart, and without the name of a split.
    """
    stems = [_stem(name) for name in names]
    short = dict(zip(names, stems if len(set(stems)) == len(stems) else names, strict=True))
    named = []
    for unit in units:
        name = short.get(unit.part.path.name, unit.part.path.name)
        if unit.split is not None and separated(name)[0] != ".":
            name = separated(name)[0]
        named.append(replace(unit, label=(PurePosixPath(label) / name).as_posix()))
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
        named.append(replace(unit, label=label, part=replace(unit.part, table=frame)))
    return named

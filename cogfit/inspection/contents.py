"""Runs, splits, restarts, labels and patterns of a log that was read."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from cogfit.curves.exposure import overridden_rows
from cogfit.inspection.readings import Reading
from cogfit.inspection.records import PatternRows, Restarted, RunRows, SplitRows
from cogfit.inspection.sources import Sources
from cogfit.logs.columns import level_of, split_in_name
from cogfit.logs.labels import natural_key
from cogfit.logs.model import RoutingLog

if TYPE_CHECKING:
    import pandas as pd

_TRAINING = re.compile(r"(?:(?P<run>.*), )?training \d+ of (?P<count>\d+)", re.DOTALL)


def _counting_rows(reading: Reading) -> list[pd.DataFrame]:
    """Rows that are fitted, and those of other splits, runs and trainings."""
    table = reading.table
    return [table.frame] if table.others is None else [table.frame, table.others]


def runs(reading: Reading) -> Iterator[RunRows]:
    """Yield runs with the rows of them that count."""
    rows: Counter[str] = Counter()
    ends: dict[str, list[float]] = defaultdict(list)
    trainings: dict[str, int] = {}
    for frame in _counting_rows(reading):
        labels = frame["run"].astype(str) if "run" in frame else frame["step"].map(lambda _: "")
        by_run = frame.groupby(labels.to_numpy())["step"].agg(["size", "min", "max"])
        for label, (count, first, last) in zip(by_run.index.tolist(), by_run.to_numpy().tolist(), strict=True):
            training = _TRAINING.fullmatch(label)  # trainings of a run bear its name
            run = label if training is None else training["run"] or ""
            rows[run] += int(count)
            ends[run] += [float(first), float(last)]
            trainings[run] = 1 if training is None else int(training["count"])
    for run in sorted(rows, key=natural_key):
        yield RunRows(run, rows[run], min(ends[run]), max(ends[run]), trainings[run])


def splits(reading: Reading | None, sources: Sources) -> Iterator[SplitRows]:
    """Yield splits of rows, and those of columns."""
    counts: Counter[str] = Counter()
    for frame in _counting_rows(reading) if reading is not None else []:
        if "split" in frame:
            counts.update(frame["split"].astype(str).tolist())
    for name in sources.names:
        if (split := split_in_name(name)) is not None:
            counts.setdefault(split, 0)
    yield from (SplitRows(name, count) for name, count in counts.items())


def restarts(reading: Reading) -> Iterator[Restarted]:
    """Yield restarts, those of layers and heads together."""
    void: Counter[tuple[str, str, float, float, bool]] = Counter()
    for branch in reading.table.source.branches:
        run, split = branch.labels.get("run", ""), branch.labels.get("split", "")
        void[run, split, branch.reached, branch.step, branch.is_declared] += branch.rows
    for (run, split, reached, step, is_declared), rows in void.items():
        yield Restarted(run, split, float(reached), float(step), int(rows), is_declared)


def label_counts(reading: Reading | None, sources: Sources) -> dict[str, int]:
    """Number of layers and heads.

    They stand in columns or in the names of columns.
    """
    counts = {}
    levels = [level_of(name)[1] for name in sources.names]
    for kind in ("layer", "head"):
        labels = {getattr(level, kind) for level in levels} - {None}
        for frame in _counting_rows(reading) if reading is not None else []:
            labels |= set(frame[kind].astype(str).unique()) if kind in frame else set()
        if labels:
            counts[kind] = len(labels)
    return counts


def patterns(routing: RoutingLog) -> PatternRows:
    """How often patterns occur."""
    codes = routing.frame["pattern"].to_numpy()
    counts = np.bincount(codes[codes >= 0])
    counts = counts[counts > 0]
    has_any = bool(counts.size)
    return PatternRows(
        patterns=counts.size,
        fewest=int(counts.min()) if has_any else 0,
        most=int(counts.max()) if has_any else 0,
        median=float(np.median(counts)) if has_any else 0.0,
        novel=int(np.count_nonzero(codes < 0)),
        overridden=int(overridden_rows(routing.frame).sum()),
    )

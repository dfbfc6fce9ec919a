"""Reader of chart exports of Weights & Biases.

They are tables with one column for each run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cogfit.errors import InputError
from cogfit.logs.formats.delimited import header_names, is_csv, read_csv
from cogfit.logs.formats.reader import Evidence, Raw, Reader, ReadOptions


def _wandb_columns(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Columns of a W&B chart export by run and metric.

    Empty if this is no such export.
    """
    runs: dict[str, dict[str, str]] = {}
    for name in names[1:]:
        run, separator, metric = name.rpartition(" - ")
        if not separator:
            return {}
        if not metric.endswith(("__MIN", "__MAX")):
            runs.setdefault(run, {})[metric] = name
    return runs


def _is_wandb(path: Path, head: bytes) -> bool:
    return is_csv(path, head) and bool(_wandb_columns(header_names(head)))


def _read_wandb(path: Path, options: ReadOptions) -> Raw:
    """Read a chart export into rows by run.

    The export has one column for each run.
    """
    import pandas as pd

    raw = replace(read_csv(path, options), format="wandb")
    names = [str(name) for name in raw.frame.columns]
    runs = _wandb_columns(names)
    if not runs:
        raise InputError(
            "is no W&B chart export: it has no columns such as 'run - metric'", path=path, hint="try --format csv"
        )
    if options.y in names or options.x in names[1:]:
        return raw  # the user means one column of one run
    parts = []
    for run, metrics in runs.items():
        part = raw.frame[[names[0], *metrics.values()]]
        part = part.rename(columns={column: metric for metric, column in metrics.items() if metric != names[0]})
        steps = [name for name in part.columns if str(name).casefold() == "_step" and name != names[0]]
        parts.append(part.drop(columns=steps).assign(run=run))
    rows, line_of = len(raw.frame), raw.line_of
    note = (f"W&B export: {len(runs)} runs, one column each, became rows",) if len(runs) > 1 else ()
    return replace(
        raw,
        table=pd.concat(parts, ignore_index=True),
        file_rows=np.tile(np.arange(rows), len(runs)),
        notes=(*raw.notes, *note),
        line_of=(lambda row: line_of(row % rows)) if line_of is not None else None,
    )


WANDB = Reader(
    name="wandb",
    title="W&B export",
    recognise=_is_wandb,
    read=_read_wandb,
    is_text=True,
    suffixes=(".csv",),
    rank=5,
    other_names=("w&b",),
    evidence=Evidence.KEYS,
)

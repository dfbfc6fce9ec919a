"""The study of Adaptive Retention on an encoder: ways to choose tokens, judged one by one and recorded.

What is there is not measured again, so a study that was stopped goes on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from cogfit.files import write_atomic
from cogfit.progress import Progress
from theory.lm.encoder import Encoder
from theory.lm.record_files import describe_file, open_study
from theory.lm.retention import (
    RetentionSizes,
    Task,
    judge,
    keep_all,
    keep_attended,
    keep_random,
    make_task,
    retention_by_layer,
    train_gates,
)
from theory.lm.retention_records import COLUMNS, KIND
from theory.redundancy.texts import Texts
from theory.training.reproducibility import revision
from theory.training.runs import write_document

QUICK = RetentionSizes(passages=4, seeds=1)
"""Sizes of a few minutes."""


@dataclass(frozen=True)
class Unit:
    """One way to choose tokens.

    Attributes
    ----------
    way : str
        One of :data:`theory.lm.retention.WAYS`.
    budget : float
    seed : int
        -1 where nothing is random.
    """

    way: str
    budget: float = 1.0
    seed: int = -1

    @property
    def id(self) -> str:
        """Name in ``run.json``."""
        return self.way if self.way == "full" else f"{self.way}-{self.budget:g}" + f"-{self.seed}" * (self.seed >= 0)


def units_of(sizes: RetentionSizes) -> list[Unit]:
    """Units of a study, the quick ones first.

    Examples
    --------
    >>> [unit.id for unit in units_of(RetentionSizes(budgets=(0.5,), seeds=1))]
    ['full', 'attention-0.5', 'random-0.5-0', 'gates-0.5-0']
    """
    seeds = range(sizes.seeds)
    return [
        Unit("full"),
        *(Unit("attention", budget) for budget in sizes.budgets),
        *(Unit("random", budget, seed) for budget in sizes.budgets for seed in seeds),
        *(Unit("gates", budget, seed) for seed in seeds for budget in sizes.budgets),
    ]


def run_retention(
    encoder: Encoder,
    texts: Texts,
    folder: Path,
    *,
    digest: str,
    sizes: RetentionSizes | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Judge the ways that are not there yet.

    Parameters
    ----------
    encoder : Encoder
    texts : Texts
        With sections (:func:`theory.lm.retention.section_of`).
    folder : Path
        Is made if need be.
    digest : str
        Of the encoder's weights.
    sizes : RetentionSizes, optional
    progress : callable, optional
        Called as ``progress(done, total, what)``.

    Returns
    -------
    dict
        ``run.json``.

    Raises
    ------
    InputError
        If the folder holds another study, or the texts have no sections.
    """
    sizes = sizes or RetentionSizes()
    document = open_study(
        folder,
        kind=KIND,
        model=encoder.name,
        digest=digest,
        texts=texts,
        settings={"sizes": asdict(sizes)},
        about=f"Adaptive Retention on the frozen encoder {encoder.name}: sections told apart by kept tokens.",
    )
    units = units_of(sizes)
    due = [unit for unit in units if unit.id not in document["units"]]
    if not due:
        return document
    task = make_task(encoder, texts, sizes)
    document["task"] = _describe(task)
    for unit in due:
        if progress is not None:
            progress(units.index(unit), len(units), f"ways: {unit.id}")
        began, processor = time.perf_counter(), time.process_time()
        tables = _measure(encoder, task, unit, sizes, progress)
        document["units"][unit.id] = {
            "seconds": round(time.perf_counter() - began, 1),
            "cpu": round(time.process_time() - processor, 1),
            "code_revision": revision(),
        }
        document["status"] = "finished" if unit == due[-1] else "running"
        _record(folder, document, unit, tables)
    return document


def _describe(task: Task) -> dict[str, Any]:
    """What is told apart, and on how much."""
    parts = {"trained": task.trained, "judged": task.judged}
    return {
        "sections": list(task.sections),
        **{
            name: {"pages": len(set(part.pages)), "passages": len(part.labels), "commonest": _commonest(part.labels)}
            for name, part in parts.items()
        },
    }


def _commonest(labels: torch.Tensor) -> float:
    """Share of the passages that belong to the commonest section: what guessing gets."""
    return round(float(labels.bincount().max() / len(labels)), 4)


def _measure(
    encoder: Encoder, task: Task, unit: Unit, sizes: RetentionSizes, progress: Progress | None
) -> Mapping[str, list[dict[str, Any]]]:
    """Tables of a unit."""
    layers: list[dict[str, Any]] = []
    if unit.way == "full":
        rows = judge(encoder, task, keep_all, sizes.ridge)
    elif unit.way == "attention":
        rows = judge(encoder, task, partial(keep_attended, encoder, unit.budget), sizes.ridge)
    elif unit.way == "random":
        rng = torch.Generator().manual_seed(unit.seed)
        rows = judge(encoder, task, partial(keep_random, rng, unit.budget), sizes.ridge)
    else:
        gates = train_gates(encoder, task.trained, len(task.sections), unit.budget, sizes, unit.seed, progress=progress)
        rows = judge(encoder, task, gates.keep_top, sizes.ridge)
        layers = [dict(row) for row in retention_by_layer(encoder, gates, task.judged)]
    about = {"budget": unit.budget, "seed": unit.seed}
    return {
        "answers": [{"way": unit.way, **about, **row} for row in rows],
        "layers": [{**about, **row} for row in layers],
    }


def _record(folder: Path, document: dict[str, Any], unit: Unit, tables: Mapping[str, list[dict[str, Any]]]) -> None:
    """Add the rows of a unit to the tables, then note it.

    Rows of the unit that a stop left in a table are replaced.
    """
    import pandas as pd

    described = []
    for name, rows in tables.items():
        path, frame = folder / f"{name}.csv", pd.DataFrame(rows)
        if path.exists():
            before = pd.read_csv(path)
            is_own = (before["budget"] == unit.budget) & (before["seed"] == unit.seed)
            is_own &= before["way"] == unit.way if "way" in before else unit.way == "gates"
            frame = pd.concat([before[~is_own], frame], ignore_index=True)
        if len(frame):
            write_atomic(path, frame.to_csv(index=False, float_format="%.6g"))
            described.append(describe_file(path, COLUMNS))
    document["files"] = described
    write_document(folder, document)

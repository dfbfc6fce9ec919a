"""The study of practice and forgetting: a training for each condition and seed, recorded one by one.

Units that are there are not trained again, so a study that was stopped goes on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogfit.errors import InputError, nearest
from cogfit.files import write_atomic
from cogfit.progress import Progress
from theory.lm.heads import encode_documents
from theory.lm.practice import Cell, Material, PracticeSizes, check_cell, gather_material, train_unit
from theory.lm.practice_records import (
    COLUMNS,
    KIND,
    cells_of,
    fit_row,
    forgetting_log,
    over_runs,
    practice_log,
    read_cell,
    shown_exposures,
)
from theory.lm.record_files import describe_file, open_study
from theory.redundancy.models import LanguageModel
from theory.redundancy.texts import Texts
from theory.training.reproducibility import revision
from theory.training.runs import write_document

if TYPE_CHECKING:
    import pandas as pd

CELLS: tuple[Cell, ...] = (
    Cell("main", seeds=5),
    Cell("other-template", interference="other"),
    Cell("prose", interference="prose"),
    Cell("sgd", optimiser="sgd"),
    Cell("state-reset", optimiser="adamw-reset"),
    Cell("batch-2", batch=2),
    Cell("batch-16", batch=16),
    Cell("paraphrases", wording="all"),
)
"""The main cell, and one factor changed at a time."""

QUICK = PracticeSizes(facts=8, delay=256, new_facts=128, prose=256)
"""Sizes of some minutes."""

QUICK_CELLS = (Cell("main", seeds=3),)

FULLY_FITTED = "main"
"""The cell whose every curve is fitted; of the others those of the facts that were shown most often are."""

LEAST_SHOWN = 4
"""Facts that were shown less often are recalled too seldom for a form to show."""


def run_practice(
    model: LanguageModel,
    texts: Texts,
    folder: Path,
    *,
    digest: str,
    sizes: PracticeSizes | None = None,
    cells: Sequence[Cell] = CELLS,
    only: Sequence[str] = (),
    words: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train missing units, then sum all up.

    Parameters
    ----------
    model : LanguageModel
        Of the Llama kind.
    texts : Texts
        Prose.
    folder : Path
        Is made if need be.
    digest : str
        Of the model's weights; a folder holds one model's study.
    sizes : PracticeSizes, optional
    cells : sequence of Cell
    only : sequence of str
        Cells to train now; by default all.
    words : sequence of str, optional
        That facts end with (:func:`theory.lm.practice.gather_material`).
    progress : callable, optional
        Called as ``progress(done, total, what)``.

    Returns
    -------
    dict
        ``run.json``.

    Raises
    ------
    InputError
        If the folder holds another study, or there is no such cell.
    """
    sizes = sizes or PracticeSizes()
    _check(cells, only)
    document = open_study(
        folder,
        kind=KIND,
        model=model.name,
        digest=digest,
        texts=texts,
        settings={"sizes": asdict(sizes), "cells": [asdict(cell) for cell in cells]},
        about=f"Practice and forgetting of invented facts by the last layers of the language model {model.name}.",
    )
    due = [
        (cell, seed)
        for cell, seed in in_order(cells)
        if f"{cell.id}-{seed}" not in document["units"] and cell.id in (only or [cell.id])
    ]
    if due:
        document["status"] = "running"  # what there is, is summed up anew
        documents = encode_documents(model, [text.read() for text in texts.documents])
        material = gather_material(model, documents, sizes, words=words, progress=progress)
        for cell, seed in due:
            _train_and_record(folder, document, material, cell, seed, progress)
    is_whole = set(document["units"]) == {f"{cell.id}-{seed}" for cell, seed in in_order(cells)}
    if document["units"] and document["status"] != "finished":
        sum_up(folder, document, progress)
        document["status"] = "finished" if is_whole else "running"
        write_document(folder, document)
    return document


def _check(cells: Sequence[Cell], only: Sequence[str]) -> None:
    """Refuse conditions that there are not."""
    known = [cell.id for cell in cells]
    for name in only:
        if name not in known:
            raise InputError(f"no cell '{name}'", hint=nearest(name, known))
    for cell in cells:
        check_cell(cell)


def in_order(cells: Sequence[Cell]) -> list[tuple[Cell, int]]:
    """Units in the order of their training.

    The first cell, then the others seed by seed, so that each cell has some early.

    Examples
    --------
    >>> [f"{cell.id}-{seed}" for cell, seed in in_order([Cell("a", seeds=2), Cell("b", seeds=2), Cell("c", seeds=1)])]
    ['a-0', 'a-1', 'b-0', 'c-0', 'b-1']
    """
    first, *others = cells
    rounds = range(max((cell.seeds for cell in others), default=0))
    return [
        *((first, seed) for seed in range(first.seeds)),
        *((cell, seed) for seed in rounds for cell in others if seed < cell.seeds),
    ]


def _train_and_record(
    folder: Path, document: dict[str, Any], material: Material, cell: Cell, seed: int, progress: Progress | None
) -> None:
    """Train a unit, write its log, then note it."""
    import pandas as pd

    began, processor = time.perf_counter(), time.process_time()
    columns = train_unit(material, cell, seed, progress)
    name, content = f"{cell.id}-{seed}", BytesIO()
    frame = pd.DataFrame(columns).astype(dict.fromkeys(("recall", "recognition", "nats"), "float32"))
    frame.to_parquet(content, index=False)
    write_atomic(folder / f"{name}.parquet", content.getvalue())
    document["units"][name] = {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu": round(time.process_time() - processor, 1),
        "code_revision": revision(),
    }
    document["files"] = [describe_file(folder / f"{unit}.parquet", COLUMNS) for unit in document["units"]]
    write_document(folder, document)


def sum_up(folder: Path, document: dict[str, Any], progress: Progress | None = None) -> None:
    """Write the curves of each cell, and their fits."""
    import pandas as pd

    cells = cells_of(document)
    parts: dict[str, list[pd.DataFrame]] = {}
    for done, (cell, units) in enumerate(cells.items()):
        if progress is not None:
            progress(done, len(cells), "fits")
        for table, frame in _tables_of(read_cell(folder, cell), cell, len(units)).items():
            parts.setdefault(table, []).append(frame)
    described = [entry for entry in document["files"] if entry["path"].endswith(".parquet")]
    for table, frames in parts.items():
        path, frame = folder / f"{table}.csv", pd.concat(frames)
        # First what a row is about, then the numbers.
        front = [name for name in ("curve", "cell", "exposures", "runs") if name in frame]
        ordered = frame[front + [name for name in frame if name not in front]]
        write_atomic(path, ordered.to_csv(index=False, float_format="%.6g"))
        described.append(describe_file(path, COLUMNS))
    document["files"] = described


def _tables_of(log: pd.DataFrame, cell: str, runs: int) -> dict[str, pd.DataFrame]:
    """Curves of a cell, and their fits."""
    import pandas as pd

    curve = practice_log(log)
    most = max(shown_exposures(log))
    forgetting: list[pd.DataFrame] = []
    fits = [
        {"curve": "practice", "cell": cell, "exposures": most, **fit_row(curve, "exposure", outcome)}
        for outcome in ("error", "mistaken")
    ]
    practice = over_runs(curve, "exposure").assign(cell=cell, runs=runs)
    for exposures in shown_exposures(log):
        curve = forgetting_log(log, exposures)
        forgetting.append(over_runs(curve, "delay").assign(cell=cell, runs=runs, exposures=exposures))
        if exposures == most or (cell == FULLY_FITTED and exposures >= LEAST_SHOWN):
            fits += [
                {"curve": "forgetting", "cell": cell, "exposures": exposures, **fit_row(curve, "delay", outcome)}
                for outcome in ("recall", "recall_net", "recognition_net")
            ]
    return {"practice": practice, "forgetting": pd.concat(forgetting), "fits": pd.DataFrame(fits)}

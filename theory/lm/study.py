"""The study of one language model: units that are measured one by one and recorded.

A folder of a study holds ``run.json`` (which model, by digest, which texts, which sizes, how long each unit took) and a
table for each question. Units that are there are not measured again, so a study that was stopped goes on.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogfit.errors import InputError, nearest
from cogfit.files import write_atomic
from cogfit.progress import Progress
from theory.lm.needles import NAMES, WORDS
from theory.lm.pages import LEAST, MOST
from theory.lm.records import COLUMNS, KIND, describe_columns
from theory.lm.sizes import Sizes
from theory.lm.units import UNITS, Bench
from theory.redundancy.models import LanguageModel
from theory.redundancy.texts import Document, Texts, standard_library
from theory.training.reproducibility import hardware, revision, versions
from theory.training.runs import read_document, write_document

if TYPE_CHECKING:
    from theory.lm.units import Tables


def programs() -> Texts:
    """Code: the middles of the standard library's files.

    As long as documents of prose. Tables of character encodings are left out: one is like the next, so a probe that
    was fitted on some would know the others.
    """
    texts = standard_library()
    chosen = [
        _middle(document)
        for document in texts.documents
        if document.stop - document.start >= LEAST and not document.name.startswith("encodings/")
    ]
    return replace(texts, source=f"{texts.source}, files of {LEAST:,} bytes or more", documents=tuple(chosen))


def _middle(document: Document) -> Document:
    start = max(document.start, (document.start + document.stop - MOST) // 2)
    return replace(document, start=start, stop=min(document.stop, start + MOST))


def run_study(
    model: LanguageModel,
    texts: Texts,
    folder: Path,
    *,
    digest: str,
    code: Texts | None = None,
    sizes: Sizes | None = None,
    units: Sequence[str] = tuple(UNITS),
    command: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure the units that are not there yet.

    Parameters
    ----------
    model : LanguageModel
    texts : Texts
    folder : Path
        Is made if need be.
    digest : str
        Of the model's weights; a folder holds one model's study.
    code : Texts, optional
        By default :func:`programs`.
    sizes : Sizes, optional
    units : sequence of str
        Of :data:`UNITS`.
    command : str, optional
        How this was asked for, to be recorded.
    progress : callable, optional

    Returns
    -------
    dict
        ``run.json``.

    Raises
    ------
    InputError
        If the folder holds another study, or a unit is unknown or lacks one before it.
    """
    sizes, texts, code = sizes or Sizes(), texts.halved(), (code or programs()).halved()
    for name in units:
        if name not in UNITS:
            raise InputError(f"no unit '{name}'", hint=nearest(name, UNITS))
    config = {
        "model_sha256": digest,
        "texts": texts.describe(),
        "code": code.describe(),
        "sizes": asdict(sizes),
        "needles": {"words": WORDS, "names": NAMES},
    }
    document = _open(folder, json.loads(json.dumps(config)), model.name, command)
    bench = Bench(model, texts, code, sizes, folder, progress)
    for name in (name for name in UNITS if name in units and name not in document["units"]):
        for before in UNITS[name].needs:
            if before not in document["units"]:
                raise InputError(f"{name} needs the {before} first", hint=f"leave --unit out, or add --unit {before}")
        began, processor = time.perf_counter(), time.process_time()
        tables = UNITS[name].measure(replace(bench, progress=_within(name, progress)))
        spent = {"seconds": round(time.perf_counter() - began, 1), "cpu": round(time.process_time() - processor, 1)}
        record_unit(folder, document, name, tables, spent)
    return document


def _within(unit: str, progress: Progress | None) -> Progress | None:
    """Reports that name the unit: two of them have steps of the same name."""
    if progress is None:
        return None
    return lambda done, total, step: progress(done, total, f"{unit}, {step}")


def record_unit(folder: Path, document: dict[str, Any], name: str, tables: Tables, spent: Mapping[str, float]) -> None:
    """Write the tables of a unit, then note it."""
    for table, frame in tables.items():
        write_atomic(folder / f"{table}.csv", frame.to_csv(index=False, float_format="%.6g"))
    measured = document["units"] | {name: {"tables": list(tables), **spent, "code_revision": revision()}}
    document["units"] = {unit: measured[unit] for unit in UNITS if unit in measured}
    document["files"] = [
        _entry(folder / f"{table}.csv") for unit in document["units"].values() for table in unit["tables"]
    ]
    document["status"] = "finished" if set(document["units"]) == set(UNITS) else "running"
    write_document(folder, document)


def _open(folder: Path, config: Mapping[str, Any], name: str, command: str | None) -> dict[str, Any]:
    """Begin the folder of a study, or go on with it."""
    from theory.redundancy.models import has_bfloat16

    document = read_document(folder)
    if document is not None:
        if document.get("kind") != KIND or document.get("config") != config:
            hint = "name another folder with --out"
            raise InputError("holds a study of another model, other texts or sizes", path=folder, hint=hint)
        return document
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be used ({error.strerror})", path=folder) from None
    import torch

    return {
        "name": folder.name,
        "kind": KIND,
        "model": name,
        "config": config,
        "command": command,
        "status": "running",
        "description": f"Attention of the language model {name}: heads, a curve in context, redundancy, policies.",
        "licence": "MIT",
        "level": 0.95,
        "versions": versions() | {"transformers": version("transformers")},
        "hardware": hardware(torch.device("cpu")) | {"bfloat16": has_bfloat16()},
        "code_revision": revision(),
        "meaning_from": {"code": "from theory/lm/records.py"},
        "units": {},
        "files": [],
    }


def _entry(path: Path) -> dict[str, Any]:
    """Describe a table: size, hash, rows, columns."""
    import pandas as pd

    content = path.read_bytes()
    frame = pd.read_csv(path)
    return {
        "path": path.name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "rows": len(frame),
        "columns": describe_columns(frame, COLUMNS),
    }

"""The study of one language model: units that are measured one by one and recorded.

A folder of a study holds ``run.json`` (which model, by digest, which texts, which sizes, how long each unit took) and a
table for each question. Units that are there are not measured again, so a study that was stopped goes on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogfit.errors import InputError, nearest
from cogfit.files import write_atomic
from cogfit.progress import Progress
from theory.lm.bench import Bench
from theory.lm.needles import NAMES, WORDS
from theory.lm.pages import LEAST, MOST
from theory.lm.record_files import describe_file, open_study
from theory.lm.records import COLUMNS, KIND, CannotBeAsked
from theory.lm.sizes import Sizes
from theory.lm.units import UNITS
from theory.redundancy.models import LanguageModel
from theory.redundancy.texts import Document, Texts, standard_library
from theory.training.reproducibility import revision
from theory.training.runs import write_document

if TYPE_CHECKING:
    from theory.lm.bench import Tables


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
    document = open_study(
        folder,
        kind=KIND,
        model=model.name,
        digest=digest,
        texts=texts,
        settings={
            "code": code.describe(),
            "sizes": asdict(sizes),
            "needles": {"words": WORDS, "names": NAMES},
        },
        about=f"Attention of the language model {model.name}: heads, a curve in context, redundancy, policies.",
        command=command,
    )
    bench = Bench(model, texts, code, sizes, folder, progress)
    for name in (name for name in UNITS if name in units and name not in document["units"]):
        for before in UNITS[name].needs:
            if before not in document["units"]:
                raise InputError(f"{name} needs the {before} first", hint=f"leave --unit out, or add --unit {before}")
        began, processor = time.perf_counter(), time.process_time()
        about, tables = dict[str, Any](), dict[str, Any]()
        try:
            tables |= UNITS[name].measure(replace(bench, progress=_within(name, progress)))
        except CannotBeAsked as reason:
            about["reason"] = reason.what
        about["seconds"] = round(time.perf_counter() - began, 1)
        about["cpu"] = round(time.process_time() - processor, 1)
        record_unit(folder, document, name, tables, about)
    return document


def _within(unit: str, progress: Progress | None) -> Progress | None:
    """Reports that name the unit: two of them have steps of the same name."""
    if progress is None:
        return None
    return lambda done, total, step: progress(done, total, f"{unit}, {step}")


def record_unit(folder: Path, document: dict[str, Any], name: str, tables: Tables, about: Mapping[str, Any]) -> None:
    """Write the tables of a unit, then note it.

    With what it took, or why it has none.
    """
    for table, frame in tables.items():
        write_atomic(folder / f"{table}.csv", frame.to_csv(index=False, float_format="%.6g"))
    measured = document["units"] | {name: {"tables": list(tables), **about, "code_revision": revision()}}
    document["units"] = {unit: measured[unit] for unit in UNITS if unit in measured}
    document["files"] = [
        describe_file(folder / f"{table}.csv", COLUMNS)
        for unit in document["units"].values()
        for table in unit["tables"]
    ]
    document["status"] = "finished" if set(document["units"]) == set(UNITS) else "running"
    write_document(folder, document)

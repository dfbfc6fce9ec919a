"""The folder of a run: opened, closed, loaded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch

from cogfit.errors import InputError
from theory.models import Model, build
from theory.tasks.srcd import SRCD
from theory.training.divergence import noting_step
from theory.training.evaluation import FINAL_SEED, Measures, evaluate
from theory.training.memory import meta_model
from theory.training.reproducibility import (
    CHECKPOINT,
    WEIGHTS,
    check_tensors,
    hardware,
    naming,
    read_tensors,
    revision,
    versions,
    write_tensors,
)
from theory.training.runs import RUN, Record, load_record, read_document, write_document
from theory.training.setup import Setup, make_setup

_CLAIM = {"schema", "name", "status", "config"}  # what run.json holds until the run is finished


@dataclass(frozen=True)
class Run:
    """A trained model with what was measured.

    Attributes
    ----------
    record : Record
        The folder and what is in it.
    setup : Setup
    measures : Measures
        Of the trained model, on :attr:`Training.final_streams` streams.
    """

    record: Record
    setup: Setup
    measures: Measures

    def model(self) -> Model:
        """The final model, on the CPU, in evaluation mode."""
        return load_model(self.record.folder)


def open_run(folder: Path, setup: Setup) -> Run | None:
    """Check the folder of a run, writing nothing.

    One that is there must belong to the run; returns the run itself if it is complete.
    """
    with usable(folder):
        document = read_document(folder)
        strangers = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
        is_free = document is not None and _is_unused(folder, document)
    if document is None:
        strangers = [name for name in strangers if name != CHECKPOINT]
        if strangers:
            raise InputError(
                f"is not empty and no run ({strangers[0]} is there)", path=folder, hint="name another folder with --out"
            )
    if document is None or is_free:
        return None
    # settings that a record lacks were at their defaults
    if make_setup(document.get("config", {}), path=folder / RUN) != setup:
        raise InputError("holds a run with other settings", path=folder, hint="name another folder with --out")
    return load_run(folder) if document.get("status") == "finished" else None


@contextmanager
def usable(folder: Path) -> Iterator[None]:
    """Context in which errors of the system name the folder."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot be used ({error.strerror})", path=folder) from None


def _is_unused(folder: Path, document: Mapping[str, object]) -> bool:
    """Whether nothing came of a start.

    Such a folder may be taken for another run.
    """
    is_claim = document.keys() <= _CLAIM and document.get("status") == "running"
    others = [path for path in folder.iterdir() if path.name != RUN]
    return is_claim and not any(path.is_dir() or path.stat().st_size for path in others)


def claim_folder(folder: Path, setup: Setup) -> None:
    """Make the folder of a run, unless it goes on."""
    with usable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        document = read_document(folder)
        if document is None or _is_unused(folder, document):
            write_document(folder, {"name": folder.name, "status": "running", "config": setup.to_json()})


def close_run(
    folder: Path,
    setup: Setup,
    model: Model,
    device: torch.device,
    seconds: float,
    *,
    member: int = 0,
) -> Run:
    """Save the weights and complete ``run.json``.

    The checkpoint is dropped.

    Raises
    ------
    Diverged
        If the model predicts no finite numbers. The member says which of a stack it was.
    """
    task, warm_up, streams = setup.data, setup.training.attend_until, setup.training.final_streams
    # Training that ended before routers were free is measured as it went on: every token attends.
    forced = setup.training.steps <= warm_up
    with noting_step(setup.training.steps, member):
        final = evaluate(
            model,
            task,
            streams=streams,
            seed=FINAL_SEED,
            device=device,
            attend_all=forced,
            table=task.table_at(setup.training.steps),
        )
    write_tensors(folder / WEIGHTS, model.state_dict())
    write_document(
        folder,
        {
            "name": folder.name,
            "status": "finished",
            "config": setup.to_json(),
            "seed": setup.training.seed,
            "static_bound": {"value": task.static_bound, "formula": "queries_per_sequence / sequence_length"},
            "optimum": {"value": task.optimum, "formula": "static bound * (1 - recurring_fraction)"},
            "forced_attention_steps": [0, warm_up - 1] if warm_up else None,
            "final": {"streams": streams, "measures": {k: v for k, v in asdict(final).items() if not math.isnan(v)}},
            "vocabulary": {name: getattr(model.task, name) for name in ("patterns", "novel_keys", "values")},
            "parameters": sum(p.numel() for p in model.parameters()),
            "versions": versions(),
            "hardware": hardware(device),
            "code_revision": revision(),
            "seconds": round(seconds, 1),
        },
    )
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return load_run(folder)


def load_run(folder: str | Path) -> Run:
    """A finished run.

    Raises
    ------
    InputError
        If there is none, or it is not finished.
    """
    with usable(Path(folder)):
        record = load_record(folder)
    setup = make_setup(record.document["config"], path=record.folder / RUN)
    return Run(
        record, setup, Measures(**{field.name: record.final.get(field.name, math.nan) for field in fields(Measures)})
    )


def load_model(folder: str | Path) -> Model:
    """The model of a run, in evaluation mode.

    On the CPU.

    Raises
    ------
    InputError
        If the folder holds no finished run with weights that fit its settings.
    """
    folder = Path(folder)
    run = load_run(folder)
    return restore_weights(folder / WEIGHTS, run.setup, run.record.document.get("vocabulary", {}))


def restore_weights(path: Path, setup: Setup, vocabulary: object) -> Model:
    """A model with the weights of a file.

    In evaluation mode; the vocabulary is that of the stack it was trained in.

    Raises
    ------
    InputError
        If the file cannot be read or does not fit.
    """
    tensors, _ = read_tensors(path)
    task = _with_vocabulary(setup, vocabulary, path)
    _check_fit(tensors, setup, task, path)
    model = build(setup.model, task, setup.training.seed)
    model.load_state_dict(tensors)
    return model.eval()


def _with_vocabulary(setup: Setup, vocabulary: object, path: Path) -> SRCD:
    """The task with the vocabulary of the stack it was trained in."""
    names = ("patterns", "novel_keys", "values")
    is_known = isinstance(vocabulary, Mapping) and all(
        name in names and type(size) is int and size >= 0 for name, size in vocabulary.items()
    )
    if not is_known:
        what = f"the vocabulary of the run cannot be {vocabulary!r:.60}"
        raise InputError(what, path=path.parent / RUN, hint="it names how many " + ", ".join(names))
    assert isinstance(vocabulary, Mapping)
    return setup.data.model_copy(update=dict(vocabulary))


def _check_fit(tensors: Mapping[str, torch.Tensor], setup: Setup, task: SRCD, path: Path) -> None:
    """Refuse weights of other shapes than the settings ask for.

    Before a model of these settings is made: damaged ones may ask for more memory than there is.
    """
    try:
        wanted = meta_model(setup.model, task).state_dict()
    except InputError as error:
        raise InputError(error.what, path=path.parent / RUN) from None
    with naming(path):
        check_tensors(tensors, wanted, "does not fit the settings of its run")

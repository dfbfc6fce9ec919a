"""Training a model on SRCD: one loop, logs that `cogfit` reads, checkpoints that survive a kill at any moment.

A run is a folder:

- ``run.json``: settings, versions, hardware, revision, state, measurements at the end;
- ``utilization.jsonl``: one row per step (:class:`cogfit.UtilizationLogger`);
- ``routing.jsonl``, at the end ``routing.parquet``: one row per query to a recurring pattern, as it was trained on;
- ``evaluation.csv``: the model on streams that it was not trained on, with hard decisions;
- ``checkpoint.safetensors``: everything that the next step depends on; ``model.safetensors``: the final weights.

A run that was stopped goes on from its last checkpoint and ends with the same bytes as one that was not.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from cogfit.errors import InputError, nearest
from theory.models import BRANCHES, Model, Output, Sampler, build
from theory.tasks.srcd import SRCD, Batch
from theory.training.evaluation import EVALUATION_SEED, FINAL_SEED, Measures, evaluate
from theory.training.recorder import Observer, Recorder
from theory.training.reproducibility import (
    CHECKPOINT,
    WEIGHTS,
    choose_device,
    deterministic,
    hardware,
    moments,
    prefixed,
    random_state,
    read_tensors,
    restore_moments,
    restore_random_state,
    revision,
    under,
    versions,
    write_tensors,
)
from theory.training.runs import RUN, Record, load_record, read_document, write_document
from theory.training.setup import Setup, Training, make_setup

_EPISODIC = BRANCHES.index("episodic")


# -------------------------------------------------------------------------------------------------- learning


class Learner(Protocol):
    """What the loop trains: one model, or a stack of them. Tensors of a step have an axis of members in front."""

    members: int

    def advance(self, batch: Batch[Tensor], *, attend_all: bool, costs: float) -> dict[str, Tensor]:
        """One update; see :func:`observe` for what is returned, with the members in front."""

    def member(self, index: int) -> Model:
        """A member as it is now, to be evaluated."""

    def state(self) -> dict[str, Tensor]:
        """Everything that the next update depends on."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a state."""


def objective(
    output: Output, batch: Batch[Tensor], *, dynamics_weight: float, costs: Mapping[str, Tensor] | float
) -> Tensor:
    """The loss of a step: answers, dynamics, the layers' own losses, and routing costs times their weights."""
    weight = dict.fromkeys(output.costs, costs) if isinstance(costs, float) else costs
    parts = [output.retrieval_loss(batch), dynamics_weight * output.dynamics_loss(batch), *output.losses.values()]
    parts += [weight[name] * cost for name, cost in output.costs.items()]
    return torch.stack(parts).sum()


def observe(output: Output, batch: Batch[Tensor]) -> dict[str, Tensor]:
    """What is logged of a step.

    Returns
    -------
    dict
        ``attention`` (), ``routing`` and ``probabilities`` for :meth:`Model.after_step`; per token (B, N)
        ``attended``, ``p_episodic`` (in any layer), ``correct``, ``quality``; ``retrieval`` and ``dynamics`` losses.
    """
    p = output.probabilities[..., _EPISODIC]
    quality = torch.full_like(output.dynamics, torch.nan) if output.quality is None else output.quality.mean(-1)
    found = {
        "attention": output.executed.float().mean(),
        "attended": output.executed.any(-1),
        "p_episodic": p[..., 0] if p.shape[-1] == 1 else 1 - (1 - p).prod(-1),
        "correct": output.correct(batch),
        "quality": quality,
        "retrieval": output.retrieval_loss(batch),
        "dynamics": output.dynamics_loss(batch),
    }
    return {name: value.detach() for name, value in found.items()}


def start(setup: Setup, task: SRCD | None = None) -> Model:
    """The model that training begins with, on the CPU; what is frozen asks for no gradient.

    Parameters
    ----------
    setup : Setup
    task : SRCD, optional
        With the vocabulary that the model is built for. Default: that of the setup.

    Raises
    ------
    InputError
        If the source of a transfer is no finished run or has other parameters, or a part is unknown.
    """
    model, transfer = build(setup.model, task or setup.data, setup.training.seed), setup.transfer
    if transfer is None:
        return model
    own, given = model.state_dict(), load_model(transfer.source).state_dict()
    for part in [*transfer.freeze, *transfer.fresh]:
        if not any(_within(name, [part]) for name in own):
            known = sorted({_LAYER.sub("", name).split(".")[0] for name in own})
            raise InputError(f"the model has no part '{part}'", hint=nearest(part, known))
    for name, value in own.items():
        if name not in given or given[name].shape != value.shape:
            raise InputError(
                f"its parameters '{name}' have another shape",
                path=transfer.source,
                hint="use the same [model] and as many keys and values",
            )
    model.load_state_dict({name: own[name] if _within(name, transfer.fresh) else given[name] for name in own})
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not _within(name, transfer.freeze))
    return model


_LAYER = re.compile(r"^layers\.\d+\.")


def _within(name: str, parts: Sequence[str]) -> bool:
    """Whether a parameter belongs to one of these parts.

    Examples
    --------
    >>> _within("layers.0.semantic.up.weight", ["semantic"]), _within("layers.0.attention.key.weight", ["key"])
    (True, False)
    """
    return any(f"{_LAYER.sub('', name)}.".startswith(f"{part}.") for part in parts)


def optimiser(groups: tuple[list[nn.Parameter], list[nn.Parameter]], training: Training) -> torch.optim.AdamW:
    """AdamW with the rates of the two groups of parameters, for those of them that learn."""
    learning = [[p for p in group if p.requires_grad] for group in groups]
    rates = (training.rate, training.slow_rate)
    named = [{"params": group, "lr": rate} for group, rate in zip(learning, rates, strict=True) if group]
    return torch.optim.AdamW(named, weight_decay=training.weight_decay, foreach=True)


class Single:
    """A learner with one model."""

    members = 1

    def __init__(self, setup: Setup, device: torch.device) -> None:
        self.setup = setup
        self.model = start(setup).to(device)
        self.optimizer = optimiser(self.model.parameter_groups(), setup.training)

    def advance(self, batch: Batch[Tensor], *, attend_all: bool, costs: float) -> dict[str, Tensor]:
        """One update."""
        batch = _index(batch, 0)
        output: Output = self.model(batch.tokens, attend_all=attend_all)
        self.optimizer.zero_grad(set_to_none=True)
        loss = objective(output, batch, dynamics_weight=self.setup.training.dynamics_weight, costs=costs)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.setup.training.clip)
        self.optimizer.step()
        self.model.after_step(output)
        return {name: value.unsqueeze(0) for name, value in observe(output, batch).items()}

    def member(self, index: int) -> Model:
        """The model."""
        return self.model

    def state(self) -> dict[str, Tensor]:
        """Parameters, buffers and moments."""
        return prefixed("model", self.model.state_dict()) | prefixed("optimizer", dict(moments(self.optimizer)))

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a state."""
        self.model.load_state_dict(under("model", state))
        restore_moments(self.optimizer, under("optimizer", state))


def _index(batch: Batch[Tensor], i: int | slice) -> Batch[Tensor]:
    """The part of a batch that belongs to a member."""
    tokens = type(batch.tokens)(**{f.name: getattr(batch.tokens, f.name)[i] for f in fields(batch.tokens)})
    return Batch(tokens, batch.answer[i], batch.target[i], batch.pattern[i])


# ------------------------------------------------------------------------------------------------------ loop


class Streams:
    """Streams for all members at once: members with the same task draw from one sampler.

    Parameters
    ----------
    tasks : sequence of SRCD
        One per member, all of the same length.
    batch, seed : int
    device : torch.device
    """

    def __init__(self, tasks: Sequence[SRCD], batch: int, seed: int, device: torch.device) -> None:
        self.batch, self.device = batch, device
        distinct = list(dict.fromkeys(task.model_dump_json() for task in tasks))
        owners = [[i for i, task in enumerate(tasks) if task.model_dump_json() == text] for text in distinct]
        self.groups = [(Sampler(tasks[own[0]], seed + number * 7919, device), own) for number, own in enumerate(owners)]
        order = [i for own in owners for i in own]
        self.back = None if order == sorted(order) else torch.as_tensor(np.argsort(order), device=device)

    @property
    def generators(self) -> list[torch.Generator]:
        """The generators that streams are drawn from."""
        return [sampler.generator for sampler, _ in self.groups]

    def sample(self) -> Batch[Tensor]:
        """The streams of one step, each array of shape (M, B, N)."""
        parts = [_fold(sampler.sample(self.batch * len(own)), len(own)) for sampler, own in self.groups]
        return parts[0] if len(parts) == 1 else _join(parts, self.back)


def _fold(batch: Batch[Tensor], members: int) -> Batch[Tensor]:
    return _map(lambda *x: x[0].unflatten(0, (members, -1)), batch)


def _join(parts: Sequence[Batch[Tensor]], back: Tensor | None) -> Batch[Tensor]:
    def one(*tensors: Tensor) -> Tensor:
        whole = torch.cat(tensors)
        return whole if back is None else whole[back]

    return _map(one, *parts)


def _map(function: Callable[..., Tensor], *batches: Batch[Tensor]) -> Batch[Tensor]:
    """Apply a function to corresponding tensors of batches."""
    first = batches[0].tokens
    tokens = {f.name: function(*(getattr(b.tokens, f.name) for b in batches)) for f in fields(first)}
    rest = {f.name: function(*(getattr(b, f.name) for b in batches)) for f in fields(batches[0]) if f.name != "tokens"}
    return Batch(tokens=type(first)(**tokens), **rest)


Watch = Callable[[int, int, "Measures | None"], None]


def loop(
    learner: Learner,
    streams: Streams,
    recorders: Sequence[Observer],
    setups: Sequence[Setup],
    *,
    checkpoint: Path | None = None,
    watch: Watch | None = None,
) -> None:
    """Train to the end, from the checkpoint if there is one; the one loop of this package.

    Parameters
    ----------
    learner : Learner
    streams : Streams
    recorders : sequence of Observer
        One per member; or none, then nothing is written or evaluated.
    setups : sequence of Setup
        One per member; all have the same ``training`` but for the seed.
    checkpoint : Path, optional
    watch : callable, optional
        Called as ``watch(done, total, measures or None)`` after every step, with the measures of the first member.
    """
    training = setups[0].training
    key = json.dumps([setup.to_json() for setup in setups])
    begin = 0
    exposures = [recorder.exposures for recorder in recorders]
    if checkpoint is not None and checkpoint.exists():
        state, notes = read_tensors(checkpoint)
        if notes.get("setup") != key:
            raise InputError("belongs to other settings", path=checkpoint, hint="name another folder with --out")
        learner.restore(state)
        restore_random_state(streams.generators, streams.device, under("random", state))
        begin, exposures = int(notes["step"]), [state[f"exposures/{i}"].numpy() for i in range(len(recorders))]
    for recorder, counts in zip(recorders, exposures, strict=True):
        recorder.begin(begin, counts)
    for step in range(begin, training.steps):
        batch = streams.sample()
        attend_all = step < training.attend_until
        seen = learner.advance(batch, attend_all=attend_all, costs=training.cost_weight(step))
        done = step + 1
        found = None
        for i, recorder in enumerate(recorders):
            recorder.step(step, {name: value[i] for name, value in seen.items()}, _index(batch, i))
        if recorders and (done % training.evaluate_every == 0 or done == training.steps):
            for i in reversed(range(learner.members)):
                found = evaluate(
                    learner.member(i),
                    setups[i].data,
                    streams=training.evaluation_streams,
                    seed=EVALUATION_SEED + setups[i].training.seed,
                    device=streams.device,
                    attend_all=done <= training.attend_until,
                )
                recorders[i].evaluation(done, found)
        if checkpoint is not None and (done % training.checkpoint_every == 0 or done == training.steps):
            save_checkpoint(checkpoint, learner, streams, recorders, done, key)
        if watch is not None:
            watch(done, training.steps, found)
    for recorder in recorders:
        recorder.finish()


def save_checkpoint(
    path: Path, learner: Learner, sampler: Streams, recorders: Sequence[Observer], step: int, key: str
) -> None:
    """Write everything that the steps from ``step`` on depend on."""
    state = learner.state() | prefixed("random", random_state(sampler.generators, sampler.device))
    state |= {f"exposures/{i}": torch.as_tensor(recorder.exposures) for i, recorder in enumerate(recorders)}
    write_tensors(path, state, {"step": str(step), "setup": key})


# ------------------------------------------------------------------------------------------------------ runs


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


def train(
    setup: Setup,
    folder: str | Path,
    *,
    device: str = "auto",
    watch: Watch | None = None,
) -> Run:
    """Train a model, or go on with training that was stopped, or return a run that is complete.

    Parameters
    ----------
    setup : Setup
    folder : str or Path
        Is made if need be.
    device : {"auto", "cpu", "cuda"}
    watch : callable, optional
        See :func:`loop`.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If the folder holds something else, or the device is missing.

    Examples
    --------
    >>> import tempfile
    >>> from theory.training.setup import load_setup
    >>> setup = load_setup("cram-n256", {"data.length": 64, "training.steps": 2, "model.d_model": 16})
    >>> run = train(setup, tempfile.mkdtemp(), device="cpu")
    >>> 0 <= run.measures.accuracy <= 1
    True
    """
    folder, where = Path(folder), choose_device(device)
    complete = open_run(folder, setup)
    if complete is not None:
        return complete
    started = time.perf_counter()
    with deterministic(setup.training.seed, where):
        learner = Single(setup, where)
        streams = Streams([setup.data], setup.training.batch, setup.training.seed, where)
        recorder = Recorder(folder, setup.training, setup.data.patterns)
        loop(learner, streams, [recorder], [setup], checkpoint=folder / CHECKPOINT, watch=watch)
    return close_run(folder, setup, learner.model, where, time.perf_counter() - started)


def open_run(folder: Path, setup: Setup) -> Run | None:
    """Make the folder of a run, or check that the one there belongs to it; the run itself if it is complete."""
    document = read_document(folder)
    if document is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            strangers = sorted(path.name for path in folder.iterdir() if path.name != CHECKPOINT)
        except OSError as error:
            raise InputError(f"cannot be used ({error.strerror})", path=folder) from None
        if strangers:
            raise InputError(
                f"is not empty and no run ({strangers[0]} is there)", path=folder, hint="name another folder with --out"
            )
        document = {"name": folder.name, "status": "running", "config": setup.to_json()}
        write_document(folder, document)
    if document.get("config") != json.loads(json.dumps(setup.to_json())):
        raise InputError("holds a run with other settings", path=folder, hint="name another folder with --out")
    return load_run(folder) if document.get("status") == "finished" else None


def close_run(
    folder: Path,
    setup: Setup,
    model: Model,
    device: torch.device,
    seconds: float,
) -> Run:
    """Save the weights, say in ``run.json`` what is there, and drop the checkpoint."""
    write_tensors(folder / WEIGHTS, model.state_dict())
    task, warm_up, streams = setup.data, setup.training.attend_until, setup.training.final_streams
    # Training that ended before routers were free is measured as it went on: every token attends.
    forced = setup.training.steps <= warm_up
    final = evaluate(model, task, streams=streams, seed=FINAL_SEED, device=device, attend_all=forced)
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
    record = load_record(folder)
    setup = make_setup(record.document["config"], path=record.folder / RUN)
    return Run(
        record, setup, Measures(**{field.name: record.final.get(field.name, math.nan) for field in fields(Measures)})
    )


def load_model(folder: str | Path) -> Model:
    """The model of a run, on the CPU, in evaluation mode.

    Raises
    ------
    InputError
        If the folder holds no finished run with weights that fit its settings.
    """
    folder = Path(folder)
    run = load_run(folder)
    return restore_weights(folder / WEIGHTS, run.setup, run.record.document.get("vocabulary", {}))


def restore_weights(path: Path, setup: Setup, vocabulary: Mapping[str, int]) -> Model:
    """A model with the weights of a file, in evaluation mode; the vocabulary is that of the stack it was trained in.

    Raises
    ------
    InputError
        If the file cannot be read or does not fit.
    """
    model = build(setup.model, setup.data.model_copy(update=dict(vocabulary)), setup.training.seed)
    tensors, _ = read_tensors(path)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(f"does not fit the settings of its run ({error})", path=path) from None
    return model.eval()

"""Train a model on SRCD.

One loop, logs that `cogfit` reads, checkpoints that survive a kill at any moment.

A run is a folder:

- ``run.json``: settings, versions, hardware, revision, state, measurements at the end;
- ``utilization.jsonl``: one row per step (:class:`cogfit.UtilizationLogger`);
- ``routing.jsonl``, at the end ``routing.parquet``: one row per query to a recurring pattern, as it was trained on;
- ``evaluation.csv``: the model on streams that it was not trained on, with hard decisions;
- ``checkpoint.safetensors``: everything that the next step depends on; ``model.safetensors``: the final weights.

A run that was stopped goes on from its last checkpoint and ends with the same bytes as one that was not. Ctrl-C and
SIGTERM stop it after the step, with a checkpoint (:mod:`theory.training.stopping`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cogfit.errors import InputError
from theory.models import Sampler
from theory.tasks.srcd import SRCD, Batch
from theory.training.divergence import check_parameters, naming_folder, noting_step
from theory.training.evaluation import EVALUATION_SEED, Measures, evaluate
from theory.training.folder import Run, claim_folder, close_run, open_run
from theory.training.memory import check_memory, naming_memory
from theory.training.recorder import Observer, Recorder
from theory.training.reproducibility import (
    CHECKPOINT,
    check_counts,
    check_tensors,
    choose_device,
    deterministic,
    keep_freed_memory,
    naming,
    noted_sizes,
    noted_step,
    prefixed,
    random_state,
    read_tensors,
    restore_random_state,
    under,
    write_tensors,
)
from theory.training.setup import Setup
from theory.training.stopping import StopAsked, Stopped, held_signals, never
from theory.training.trainer import Single, Trainer, index_batch

# ------------------------------------------------------------------------------------------------------ loop


class Streams:
    """Streams for all members at once.

    Members with the same task draw from one sampler.

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

    def skip(self, steps: int) -> None:
        """Pass over the tables of earlier steps."""
        for sampler, _ in self.groups:
            sampler.skip(steps)

    def sample(self) -> Batch[Tensor]:
        """The streams of one step.

        Each array of shape (M, B, N).
        """
        parts = [_fold(sampler.sample(self.batch * len(own)), len(own)) for sampler, own in self.groups]
        return parts[0] if len(parts) == 1 else _join(parts, self.back)


def _fold(batch: Batch[Tensor], members: int) -> Batch[Tensor]:
    return _map(lambda *x: x[0].unflatten(0, (members, -1)), batch)


def _join(parts: Sequence[Batch[Tensor]], back: Tensor | None) -> Batch[Tensor]:
    def join(*tensors: Tensor) -> Tensor:
        whole = torch.cat(tensors)
        return whole if back is None else whole[back]

    return _map(join, *parts)


def _map(function: Callable[..., Tensor], *batches: Batch[Tensor]) -> Batch[Tensor]:
    """Apply a function to corresponding tensors of batches."""
    first = batches[0].tokens
    tokens = {f.name: function(*(getattr(b.tokens, f.name) for b in batches)) for f in fields(first)}
    asked = {f.name: function(*(getattr(b, f.name) for b in batches)) for f in fields(batches[0]) if f.name != "tokens"}
    return Batch(tokens=type(first)(**tokens), **asked)


Watch = Callable[[int, int, "Measures | None"], None]


def loop(
    trainer: Trainer,
    streams: Streams,
    recorders: Sequence[Observer],
    setups: Sequence[Setup],
    *,
    checkpoint: Path | None = None,
    watch: Watch | None = None,
    stop: StopAsked = never,
) -> None:
    """Train to the end.

    From the checkpoint if there is one; the one loop of this package.

    Parameters
    ----------
    trainer : Trainer
    streams : Streams
    recorders : sequence of Observer
        One per member; or none, then nothing is written or evaluated.
    setups : sequence of Setup
        One per member; all have the same ``training`` but for the seed.
    checkpoint : Path, optional
    watch : callable, optional
        Called as ``watch(done, total, measures or None)`` after every step, with the measures of the first member.
    stop : callable
        Asked before every step; training stops if it returns the number of a signal.

    Raises
    ------
    Stopped
        With a checkpoint written, where one was asked for.
    Diverged
        With the last checkpoint kept, from before. Nothing that is not finite is logged or saved.
    """
    keep_freed_memory()
    training = setups[0].training
    key = json.dumps([setup.to_json() for setup in setups])
    begin = _resume(trainer, streams, recorders, setups, checkpoint, key)
    for step in range(begin, training.steps):
        if number := stop():
            if step > begin:  # nothing is new at the first step
                _save_checkpoint(checkpoint, trainer, streams, recorders, step, key)
            raise Stopped(f"stopped after step {step:,} of {training.steps:,}", number)
        # one update, and its rows in the logs
        batch = streams.sample()
        attend_all = step < training.attend_until
        is_observed = bool(recorders) and training.is_observed(step)
        with noting_step(step):
            seen = trainer.advance(batch, attend_all=attend_all, costs=training.cost_weight(step), observed=is_observed)
        _record(recorders, step, seen, batch)
        # what is done now and then, and after the last step
        done = step + 1
        is_last = done == training.steps
        measures = None
        if recorders and (is_last or done % training.evaluate_every == 0):
            measures = _evaluate_members(trainer, recorders, setups, done, streams.device)
        if is_last or done % training.checkpoint_every == 0:
            _save_checkpoint(checkpoint, trainer, streams, recorders, done, key)
        if watch is not None:
            watch(done, training.steps, measures)
    for recorder in recorders:
        recorder.finish()


def _resume(
    trainer: Trainer,
    streams: Streams,
    recorders: Sequence[Observer],
    setups: Sequence[Setup],
    checkpoint: Path | None,
    key: str,
) -> int:
    """Begin at step 0, or at the checkpoint.

    Returns the first step to do.
    """
    begin = 0
    exposures = [recorder.exposures for recorder in recorders]
    sizes: Sequence[Mapping[str, int] | None] = [None] * len(recorders)
    if checkpoint is not None and checkpoint.exists():
        state, notes = read_tensors(checkpoint)
        if notes.get("setup") != key:
            raise InputError("belongs to other settings", path=checkpoint, hint="name another folder with --out")
        with naming(checkpoint):
            begin = noted_step(notes, setups[0].training.steps)
            sizes = noted_sizes(notes, len(recorders))
            check_tensors(_without_moments(state), _without_moments(_state(trainer, streams, recorders)), "is damaged")
            most = begin * setups[0].training.batch * setups[0].data.length
            check_counts(under("exposures", state), most)
            trainer.restore(state)
            restore_random_state(streams.generators, streams.device, under("random", state))
            streams.skip(begin)
        exposures = [state[f"exposures/{i}"].numpy() for i in range(len(recorders))]
    for recorder, counts, size in zip(recorders, exposures, sizes, strict=True):
        recorder.begin(begin, counts, size)
    return begin


def _save_checkpoint(
    path: Path | None, trainer: Trainer, sampler: Streams, recorders: Sequence[Observer], step: int, key: str
) -> None:
    """Write everything that the steps from ``step`` on depend on.

    After the logs, so that no power cut leaves a checkpoint without the rows before it. Without a path the parameters
    are checked only.
    """
    state = _state(trainer, sampler, recorders)
    with noting_step(step):
        check_parameters(under("model", state), trainer.members)
    if path is None:
        return
    sizes = [recorder.sync() for recorder in recorders]
    write_tensors(path, state, {"step": str(step), "setup": key, "sizes": json.dumps(sizes)})


def _state(trainer: Trainer, streams: Streams, recorders: Sequence[Observer]) -> dict[str, Tensor]:
    """What a checkpoint holds."""
    state = trainer.state() | prefixed("random", random_state(streams.generators, streams.device))
    return state | {f"exposures/{i}": torch.as_tensor(recorder.exposures) for i, recorder in enumerate(recorders)}


def _without_moments(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What every checkpoint of a run has.

    Parameters get moments with their first update; a device may have changed since.
    """
    return {name: v for name, v in state.items() if not name.startswith("optimizer/") and name != "random/cuda"}


def _record(recorders: Sequence[Observer], step: int, seen: Mapping[str, Tensor], batch: Batch[Tensor]) -> None:
    for i, recorder in enumerate(recorders):
        recorder.step(step, {name: value[i] for name, value in seen.items()}, index_batch(batch, i))


def _evaluate_members(
    trainer: Trainer, recorders: Sequence[Observer], setups: Sequence[Setup], done: int, device: torch.device
) -> Measures | None:
    """Evaluate and record every member.

    Returns the measures of the first.
    """
    training, measures = setups[0].training, None
    for i in reversed(range(trainer.members)):
        with noting_step(done, member=i):
            measures = evaluate(
                trainer.member(i),
                setups[i].data,
                streams=training.evaluation_streams,
                seed=EVALUATION_SEED + setups[i].training.seed,
                device=device,
                attend_all=done <= training.attend_until,
                table=setups[i].data.table_at(done),
            )
        recorders[i].evaluation(done, measures)
    return measures


def train(
    setup: Setup,
    folder: str | Path,
    *,
    device: str = "auto",
    watch: Watch | None = None,
    stop: StopAsked | None = None,
) -> Run:
    """Train a model into a folder.

    Or go on with training that was stopped, or return a run that is complete.

    Parameters
    ----------
    setup : Setup
    folder : str or Path
        Is made if need be.
    device : {"auto", "cpu", "cuda"}
    watch : callable, optional
        See :func:`loop`.
    stop : callable, optional
        See :func:`loop`; by default Ctrl-C and SIGTERM stop the training. Where one is given, signals are its business.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If the folder holds something else, the device is missing, or there is too little memory.
    Diverged
        If numbers are no longer finite. The run is not finished then, and never will be with these settings.
    Stopped
        On request. The same call goes on from the checkpoint.

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
    check_memory([setup], where)
    with naming_memory(), naming_folder([folder]):
        with held_signals() if stop is None else nullcontext(stop) as asked, deterministic(setup.training.seed, where):
            trainer = Single(setup, where)
            streams = Streams([setup.data], setup.training.batch, setup.training.seed, where)
            recorder = Recorder(folder, setup.training, setup.data.patterns)
            claim_folder(folder, setup)  # only now: what cannot be built leaves nothing behind
            loop(trainer, streams, [recorder], [setup], checkpoint=folder / CHECKPOINT, watch=watch, stop=asked)
        return close_run(folder, setup, trainer.model, where, time.perf_counter() - started)

"""Training many models at once.

Stacked in one process where operations are small, else in processes of one thread.

Members of a stack share all settings but the seed, the weights λ of routing costs, the source of a transfer and the
task (which must have the same length; vocabularies are padded to the largest). Their parameters have an axis in front,
one call of `torch.vmap` does the work of all of them, and one step of AdamW, which acts on every number by itself,
moves them all.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn.attention import SDPBackend, sdpa_kernel

from cogfit.errors import InputError
from theory.models import Model, Output, build
from theory.models.base import Layer
from theory.tasks.srcd import SRCD, Batch, Tokens
from theory.training.divergence import Diverged, check_update, naming_folder
from theory.training.evaluation import Measures
from theory.training.folder import Run, claim_folder, close_run, open_run, usable
from theory.training.loop import Streams, loop, train
from theory.training.memory import check_memory, naming_memory
from theory.training.recorder import Recorder
from theory.training.reproducibility import choose_device, deterministic, moments, prefixed, restore_moments, under
from theory.training.setup import Setup, make_setup
from theory.training.stopping import StopAsked, Stopped, held_signals
from theory.training.trainer import Losses, Single, Trainer, objective, observe, optimiser, start

How = Literal["auto", "stacked", "processes"]
Watch = Callable[[str, int, int, "Measures | None"], None]

STACK_UP_TO = 2**13
"""Batch × N × d up to which models are stacked on a CPU. Stacks were measured at 2^11, where they win
(``benchmarks/ensemble_speed.py``); at 2^18 (N = 256) processes are used. Where the two meet was not measured."""

_COSTS = {"lambda_episodic": "episodic", "lambda_semantic": "semantic"}  # settings that are weights of costs


class Stacked:
    """A trainer with many models of one architecture.

    Parameters
    ----------
    setups : sequence of Setup
        Of one group (:func:`groups`).
    device : torch.device
    """

    def __init__(self, setups: Sequence[Setup], device: torch.device) -> None:
        self.setups, self.members, self.device = setups, len(setups), device
        self.training = setups[0].training
        self.task = padded([setup.data for setup in setups])
        models = [start(setup, self.task).to(device) for setup in setups]
        self.template = build(setups[0].model, self.task, 0).to(device)
        slow = {id(p) for p in self.template.parameter_groups()[1]}
        names = [name for name, p in self.template.named_parameters() if id(p) in slow]
        parameters, buffers = stack_module_state(models)
        learns = {name: p.requires_grad for name, p in models[0].named_parameters()}
        self.parameters = {name: nn.Parameter(p.detach(), learns[name]) for name, p in parameters.items()}
        self.buffers: dict[str, Tensor] = dict(buffers)
        fast = [p for name, p in self.parameters.items() if name not in names]
        self.optimizer = optimiser((fast, [self.parameters[name] for name in names]), self.training)
        self.weights = {
            cost: torch.tensor([_ratio(setup, setups[0], name) for setup in setups], device=device)
            for name, cost in _COSTS.items()
        }

    def advance(
        self, batch: Batch[Tensor], *, attend_all: bool, costs: float, observed: bool = True
    ) -> dict[str, Tensor]:
        """One update of all members."""

        def update_member(
            parameters: Any, buffers: Any, tokens: Any, asked: Any, weights: Any
        ) -> tuple[Tensor, dict[str, Tensor]]:
            streams = Batch(tokens=Tokens(**tokens), **asked)
            output: Output = functional_call(
                self.template, (parameters, buffers), (streams.tokens,), {"attend_all": attend_all}
            )
            weight = {name: costs * weights.get(name, 1.0) for name in output.costs}
            parts = Losses.of(output, streams)
            loss = objective(output, parts, dynamics_weight=self.training.dynamics_weight, costs=weight)
            return loss, observe(output, parts, streams) if observed else {}

        asked = {"answer": batch.answer, "target": batch.target, "pattern": batch.pattern}
        with sdpa_kernel(SDPBackend.MATH):  # the only one that vmap does not take apart into single calls
            losses, seen = torch.vmap(update_member, randomness="different")(
                self.parameters, self.buffers, vars(batch.tokens), asked, self.weights
            )
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(losses.sum())  # each member's parameters meet its own loss only
        self._clip()
        self.optimizer.step()
        check_update(losses.detach(), seen)
        return dict(seen)

    def _clip(self) -> None:
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        norm = torch.stack([g.reshape(self.members, -1).square().sum(1) for g in gradients]).sum(0).sqrt()
        factor = (self.training.clip / (norm + 1e-6)).clamp_max(1.0)  # as torch.nn.utils.clip_grad_norm_
        for gradient in gradients:
            gradient.mul_(factor.view(-1, *[1] * (gradient.ndim - 1)))

    def member(self, index: int) -> Model:
        """A member as a model of its own."""
        model = build(self.setups[index].model, self.task, 0).to(self.device)
        state = {name: value[index].detach() for name, value in (self.parameters | self.buffers).items()}
        model.load_state_dict(state)
        return model

    def state(self) -> dict[str, Tensor]:
        """Parameters, buffers and moments of all members."""
        return prefixed("model", self.parameters | self.buffers) | prefixed("optimizer", dict(moments(self.optimizer)))

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a state."""
        with torch.no_grad():
            for name, value in under("model", state).items():
                (self.parameters | self.buffers)[name].copy_(value)
        restore_moments(self.optimizer, under("optimizer", state))


def _ratio(setup: Setup, first: Setup, name: str) -> float:
    weight, base = getattr(setup.model, name, 0.0), getattr(first.model, name, 0.0)
    return weight / base if base else 1.0


def padded(tasks: Sequence[SRCD]) -> SRCD:
    """A task whose vocabulary holds those of all the tasks."""
    novel = max(task.keys for task in tasks) - max(task.patterns for task in tasks)
    return tasks[0].model_copy(
        update={
            "patterns": max(task.patterns for task in tasks),
            "novel_keys": novel,
            "values": max(task.values for task in tasks),
        }
    )


def groups(setups: Sequence[Setup]) -> list[list[int]]:
    """Group the setups that can be stacked.

    Numbers of those that differ in seed, task, source and λ only.

    Examples
    --------
    >>> from theory.training.setup import load_setup
    >>> changes = [{"training.seed": 1}, {"training.seed": 2}, {"model.layers": 2}]
    >>> groups([load_setup("cram-n256", change) for change in changes])
    [[0, 1], [2]]
    """
    members: dict[str, list[int]] = {}
    for i, setup in enumerate(setups):
        model = {
            name: (value > 0 if name in _COSTS else value)
            for name, value in setup.model.model_dump(mode="json").items()
        }
        training = setup.training.model_dump(mode="json", exclude={"seed"})
        frozen = setup.transfer and setup.transfer.freeze
        key = json.dumps([model, training, setup.data.length, frozen])
        members.setdefault(key, []).append(i)
    return list(members.values())


def stackable(setup: Setup) -> bool:
    """Whether a model can be a member of a stack.

    It needs nothing but the optimiser between updates, and does the same whatever its tokens are
    (``compute = "fast"`` and ``routes = "queries"`` do not).

    Examples
    --------
    >>> from theory.training.setup import load_setup
    >>> stackable(load_setup("cram")), stackable(load_setup("retention"))
    (True, False)
    """
    if setup.model.compute == "fast" or getattr(setup.model, "routes", "tokens") == "queries":
        return False
    model = build(setup.model, setup.data.model_copy(update={"novel_keys": setup.data.queries}), 0)
    return all(type(layer).after_step is Layer.after_step for layer in model.layers)


def pays(setup: Setup, members: int, device: torch.device) -> bool:
    """Whether a stack is the faster way."""
    size = setup.training.batch * setup.data.length * setup.model.d_model
    return members > 1 and stackable(setup) and (device.type == "cuda" or size <= STACK_UP_TO)


def train_models(setups: Sequence[Setup], *, device: str = "cpu") -> list[Model]:
    """Train models in memory.

    Stacked where they can be; nothing is written.

    Parameters
    ----------
    setups : sequence of Setup
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    list of Model
        In the order of the setups, in evaluation mode.

    Examples
    --------
    >>> from theory.training.setup import load_setup
    >>> change = {"data.length": 32, "data.patterns": 4, "model.d_model": 16, "training.steps": 2}
    >>> setups = [load_setup("transformer", change | {"training.seed": seed}) for seed in (1, 2)]
    >>> len(train_models(setups))
    2
    """
    where = choose_device(device)
    for setup in setups:
        check_memory([setup], where)
    models: dict[int, Model] = {}
    for own in groups(setups):
        parts = [own] if stackable(setups[own[0]]) else [[i] for i in own]
        for part in parts:
            members = [setups[i] for i in part]
            first = members[0].training
            with naming_memory(), deterministic(first.seed, where):
                trainer: Trainer = Stacked(members, where) if len(members) > 1 else Single(members[0], where)
                loop(trainer, Streams([s.data for s in members], first.batch, first.seed, where), [], members)
            models |= {i: trainer.member(k).eval() for k, i in enumerate(part)}
    return [models[i] for i in range(len(setups))]


def train_many(
    setups: Sequence[Setup],
    folders: Sequence[str | Path],
    *,
    how: How = "auto",
    device: str = "auto",
    workers: int | None = None,
    watch: Watch | None = None,
) -> list[Run]:
    """Train many models, each into its own folder.

    What is complete is not trained again.

    Parameters
    ----------
    setups : sequence of Setup
    folders : sequence of path
        One per setup.
    how : {"auto", "stacked", "processes"}
        Stacks on a CUDA device and for small models, else processes.
    device : {"auto", "cpu", "cuda"}
    workers : int, optional
        Processes. Default: one per processor, at most one per run.
    watch : callable, optional
        Called as ``watch(name of the folder, done, total, measures or None)``.

    Returns
    -------
    list of Run

    Raises
    ------
    InputError
        If a folder is named twice or holds something else, or the models cannot be stacked as asked.
    Stopped
        On Ctrl-C or SIGTERM. The same call goes on from the checkpoints.
    """
    paths = [Path(folder) for folder in folders]
    where = _check_ensemble(setups, paths, how, device)
    # whole groups are stacked, everything else trains alone
    runs: dict[int, Run] = {}
    alone: list[int] = []
    for group in groups(setups):
        if _is_stacked(how, setups[group[0]], len(group), where):
            stack = _stack([setups[i] for i in group], [paths[i] for i in group], where, watch)
            runs |= dict(zip(group, stack, strict=True))
        else:
            alone += group
    if alone:
        jobs = [(i, setups[i], paths[i]) for i in alone]
        runs |= _processes(jobs, device, workers or os.cpu_count() or 1, watch)
    return [runs[i] for i in range(len(setups))]


def _check_ensemble(setups: Sequence[Setup], paths: Sequence[Path], how: How, device: str) -> torch.device:
    """Check what is asked of :func:`train_many`.

    Returns the device.
    """
    if len(paths) != len(setups) or len({path.resolve() for path in paths}) != len(paths):
        raise InputError(f"{len(setups)} runs need as many different folders, not {len(set(paths))}")
    where = choose_device(device)
    for setup in setups:  # before a model is built
        check_memory([setup], where)
    if how == "stacked" and not all(stackable(setup) for setup in setups):
        raise InputError(
            "models that change between updates, compute = 'fast' or routes = 'queries' cannot be stacked",
            hint="use processes",
        )
    return where


def _is_stacked(how: How, setup: Setup, members: int, device: torch.device) -> bool:
    return how == "stacked" or (how == "auto" and pays(setup, members, device))


def _stack(setups: Sequence[Setup], folders: Sequence[Path], device: torch.device, watch: Watch | None) -> list[Run]:
    ready = [open_run(folder, setup) for setup, folder in zip(setups, folders, strict=True)]
    complete = [run for run in ready if run is not None]
    if len(complete) == len(ready):
        return complete
    checkpoint = folders[0].parent / f".{folders[0].name}.stack.safetensors"
    with usable(folders[0]):
        checkpoint.exists()  # its name may be too long where that of the folder is not

    def report(done: int, total: int, measures: Measures | None) -> None:
        if watch is not None:
            watch(f"{folders[0].name} and {len(folders) - 1} more", done, total, measures)

    check_memory(setups, device, padded([setup.data for setup in setups]))
    with naming_memory(), naming_folder(folders):
        runs = _train_stack(setups, folders, device, checkpoint, report)
    checkpoint.unlink(missing_ok=True)
    return runs


def _train_stack(
    setups: Sequence[Setup],
    folders: Sequence[Path],
    device: torch.device,
    checkpoint: Path,
    report: Callable[[int, int, Measures | None], None],
) -> list[Run]:
    """Train members together, then close their folders.

    A member that diverges stops all of them, with the last checkpoint kept.
    """
    started, first = time.perf_counter(), setups[0].training
    with held_signals() as asked, deterministic(first.seed, device):
        trainer = Stacked(setups, device)
        streams = Streams([setup.data for setup in setups], first.batch, first.seed, device)
        recorders = [Recorder(folder, s.training, s.data.patterns) for s, folder in zip(setups, folders, strict=True)]
        for folder, setup in zip(folders, setups, strict=True):
            claim_folder(folder, setup)
        loop(trainer, streams, recorders, setups, checkpoint=checkpoint, watch=report, stop=asked)
    seconds = time.perf_counter() - started
    return [
        close_run(folder, setup, trainer.member(i), device, seconds, member=i)
        for i, (setup, folder) in enumerate(zip(setups, folders, strict=True))
    ]


_QUEUE: Any = None
_STOP: Any = None


def _begin(queue: Any, stop: Any) -> None:
    """Prepare a process.

    It stops when the event is set: signals, which a terminal sends to all processes, are the business of the first.
    """
    global _QUEUE, _STOP
    _QUEUE, _STOP = queue, stop
    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _work(name: str, settings: dict[str, Any], folder: str, device: str) -> None:
    def report(done: int, total: int, measures: Measures | None) -> None:
        _QUEUE.put((name, done, total, measures))

    def asked() -> int:
        return signal.SIGTERM if _STOP.is_set() else 0

    train(make_setup(settings), folder, device=device, watch=report, stop=asked)


def _follow(futures: Sequence[Future[None]], queue: Any, watch: Watch | None, asked: StopAsked) -> list[Diverged]:
    """Report on processes until all are done, or a stop is asked for.

    Returns the errors of those that diverged. The others go on meanwhile: they have other settings or seeds.
    """
    left, diverged = set(futures), []
    while left and not asked():
        done, left = wait(left, timeout=0.2, return_when=FIRST_COMPLETED)
        while not queue.empty():
            message = queue.get()
            if watch is not None:
                watch(*message)
        for future in done:
            try:
                future.result()
            except Diverged as error:
                diverged.append(error)
            except BrokenProcessPool:
                raise InputError(
                    "a process was killed, perhaps for want of memory", hint="use fewer --workers, and go on"
                ) from None
    return diverged


def _processes(
    jobs: Sequence[tuple[int, Setup, Path]], device: str, workers: int, watch: Watch | None
) -> dict[int, Run]:
    """Train in processes, one run at a time.

    Each process has one thread.
    """
    for _, setup, folder in jobs:
        open_run(folder, setup)  # refuse what cannot be before anything is trained
    context = multiprocessing.get_context("spawn")
    queue, stop = context.SimpleQueue(), context.Event()
    size = min(workers, len(jobs))
    pool = ProcessPoolExecutor(size, mp_context=context, initializer=_begin, initargs=(queue, stop))
    with held_signals() as asked:
        try:
            futures = [pool.submit(_work, folder.name, s.to_json(), str(folder), device) for _, s, folder in jobs]
            diverged = _follow(futures, queue, watch, asked)
        finally:
            stop.set()  # whatever ends this ends the others at their next step
            pool.shutdown(wait=True, cancel_futures=True)
        ended = sum(future.done() and not future.cancelled() and future.exception() is None for future in futures)
        if (number := asked()) and ended < len(jobs):
            raise Stopped(f"stopped with {ended} of {len(jobs)} runs finished", number)
    if diverged:
        raise diverged[0]
    runs = {}
    for i, setup, folder in jobs:
        run = open_run(folder, setup)
        assert run is not None
        runs[i] = run
    return runs

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
import platform
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from cogfit import UtilizationLogger
from cogfit.errors import InputError, MissingDependencyError, nearest
from cogfit.files import write_atomic
from theory.config import Strict, read_toml
from theory.models import BRANCHES, Model, ModelConfig, Output, Sampler, build, model_config
from theory.runs import RUN, Record, load_record, read_document, read_evaluation, write_document, write_evaluation
from theory.srcd import SRCD, Batch

try:
    from safetensors import SafetensorError
    from safetensors.torch import load as load_tensors
    from safetensors.torch import save as save_tensors
except ImportError:
    raise MissingDependencyError("safetensors", "train", "theory.training") from None

_EPISODIC, _SEMANTIC = BRANCHES.index("episodic"), BRANCHES.index("semantic")
_EVALUATION_SEED = 2**31  # streams of evaluations: added to the seed of a run, so that no run trains on them
_FINAL_SEED = 2**32  # streams of the last evaluation: the same for all runs of a task


class Training(Strict):
    """Settings of the loop.

    Attributes
    ----------
    steps : int
        Updates of the parameters.
    batch : int
        Streams per update.
    seed : int
        Draws initial parameters, streams, and the noise of routers.
    rate, slow_rate : float
        Learning rates of AdamW: of the task, and of what consolidates (semantic memory, q̂).
    weight_decay : float
        Of AdamW.
    clip : float
        Largest norm of the gradient.
    attend_until : int
        Steps at the beginning in which routers are overruled and every token attends.
    costs_from : int
        Step from which the routing costs count.
    costs_over : int
        Steps over which they then grow to their full weight, linearly; 0: at once.
    dynamics_weight : float
        Weight of the squared error of the dynamics, beside the cross-entropy of the answers.
    evaluate_every, evaluation_streams : int
        Steps between evaluations, and streams in each (always the same ones).
    final_streams : int
        Streams on which the trained model is measured once more, at the end.
    checkpoint_every : int
        Steps between checkpoints.
    routing_every : int
        Steps between rows of the routing log; 0: no routing log. Exposures are counted in all steps.
    """

    steps: int = Field(3000, ge=1)
    batch: int = Field(16, ge=1)
    seed: int = Field(0, ge=0, lt=2**31)
    rate: float = Field(3e-3, gt=0)
    slow_rate: float = Field(3e-4, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(1.0, gt=0)
    attend_until: int = Field(400, ge=0)
    costs_from: int = Field(400, ge=0)
    costs_over: int = Field(0, ge=0)
    dynamics_weight: float = Field(1.0, ge=0)
    evaluate_every: int = Field(100, ge=1)
    evaluation_streams: int = Field(64, ge=1)
    final_streams: int = Field(2048, ge=1)
    checkpoint_every: int = Field(500, ge=1)
    routing_every: int = Field(1, ge=0)

    def cost_weight(self, step: int) -> float:
        """Weight of the routing costs in a step, 0 to 1.

        Examples
        --------
        >>> [Training(costs_from=10, costs_over=4).cost_weight(step) for step in (9, 10, 12, 20)]
        [0.0, 0.25, 0.75, 1.0]
        """
        since = step - self.costs_from + 1
        return 0.0 if since < 1 else min(1.0, since / self.costs_over) if self.costs_over else 1.0


class Transfer(Strict):
    """Settings of a model that does not begin from random parameters.

    A part is named as in ``Model.state_dict``, without the number of its layer: "semantic", "router", "answer", …

    Attributes
    ----------
    source : str
        Folder of the finished run whose weights it begins with.
    freeze : list of str
        Parts that do not learn.
    fresh : list of str
        Parts that begin from random parameters all the same.
    """

    source: str
    freeze: list[str] = Field(default_factory=list)
    fresh: list[str] = Field(default_factory=list)


@dataclass(frozen=True)
class Setup:
    """What a run is made from: a task, a model for it, how it is trained, and where it begins unless at random."""

    data: SRCD
    model: ModelConfig
    training: Training
    transfer: Transfer | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-ready mapping of the groups of settings."""
        groups = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: group.to_json() for name, group in groups.items() if group is not None}


_GROUPS = tuple(field.name for field in fields(Setup))


def make_setup(tables: Mapping[str, Any], *, path: str | Path | None = None) -> Setup:
    """Settings from mappings ``data``, ``model``, ``training`` and ``transfer``; only the model is needed.

    Raises
    ------
    InputError
        If anything is unknown or out of range.

    Examples
    --------
    >>> make_setup({"model": {"kind": "mamba"}, "training": {"steps": 10}}).training.steps
    10
    """
    for name, content in tables.items():
        if name not in _GROUPS or not isinstance(content, Mapping):
            raise InputError(
                f"'{name}' is no table of a configuration",
                path=path,
                hint="use [data], [model], [training] and [transfer]",
            )
    return Setup(
        SRCD.parse(tables.get("data", {}), path=path),
        model_config(tables.get("model", {}), path=path),
        Training.parse(tables.get("training", {}), path=path),
        Transfer.parse(tables["transfer"], path=path) if "transfer" in tables else None,
    )


def load_setup(source: str | Path, changes: Mapping[str, Any] | None = None) -> Setup:
    """Read a configuration, and change some of its settings.

    Parameters
    ----------
    source : str or Path
        A TOML file with tables ``[data]``, ``[model]``, ``[training]`` and ``[transfer]``, or the name of one that
        ships with the package (:func:`theory.config.shipped`).
    changes : mapping of str to value, optional
        New values by dotted name, such as ``{"training.steps": 100}``.

    Raises
    ------
    InputError
        If it cannot be read, or anything in it is unknown or out of range.

    Examples
    --------
    >>> load_setup("jamba").model.layers
    8
    >>> load_setup("cram-n256", {"training.seed": 3, "data.zipf": 1.5}).data.zipf
    1.5
    """
    tables, path = read_toml(source)
    for name, value in (changes or {}).items():
        group, _, setting = name.partition(".")
        if group not in _GROUPS or not setting:
            raise InputError(
                f"'{name}' is no setting", hint=nearest(group, _GROUPS) + "; settings are named such as training.steps"
            )
        table = tables.setdefault(group, {})
        if isinstance(table, dict):
            table[setting] = value
    return make_setup(tables, path=path)


# -------------------------------------------------------------------------------------------------- measuring


@dataclass(frozen=True)
class Measures:
    """A model on streams that it was not trained on, with hard decisions. NaN where there is nothing to measure.

    Attributes
    ----------
    accuracy, accuracy_recurring, accuracy_novel : float
        Share of right answers: of all queries, of those for recurring and for novel keys.
    dynamics_mse : float
        Mean squared error of the prediction of v_t; at best σ².
    attention : float
        Executed attention rows as a share of tokens × layers.
    attended_recurring, attended_novel, attended_other : float
        Share of queries for recurring and novel keys, and of the other tokens, that attend in any layer.
    semantic_recurring : float
        Share of queries for recurring keys that take the semantic branch in any layer.
    quality_recurring, quality_novel : float
        Mean predicted quality q̂ at queries.
    """

    accuracy: float
    accuracy_recurring: float
    accuracy_novel: float
    dynamics_mse: float
    attention: float
    attended_recurring: float
    attended_novel: float
    attended_other: float
    semantic_recurring: float
    quality_recurring: float
    quality_novel: float


@torch.no_grad()
def evaluate(
    model: Model,
    task: SRCD,
    *,
    streams: int = 64,
    seed: int = _EVALUATION_SEED,
    device: str | torch.device = "cpu",
    attend_all: bool = False,
) -> Measures:
    """Measure a model on fresh streams.

    Parameters
    ----------
    model : Model
        It is left in the mode that it was in.
    task : SRCD
    streams : int
    seed : int
    device : str or torch.device
        Where the model is.
    attend_all : bool
        Whether its routers are overruled.

    Returns
    -------
    Measures
    """
    sampler, was = Sampler(task, seed, device), model.training
    model.eval()
    sums: dict[str, NDArray[np.float64]] = {}
    try:
        at_once = max(1, min(streams, 2**14 // task.length))
        for begin in range(0, streams, at_once):
            batch = sampler.sample(min(at_once, streams - begin))
            for name, part in _sums(model(batch.tokens, attend_all=attend_all), batch).items():
                sums[name] = sums.get(name, np.zeros(2)) + part
    finally:
        model.train(was)
    with np.errstate(invalid="ignore"):
        return Measures(**{name: float(total / count) for name, (total, count) in sums.items()})


def _sums(output: Output, batch: Batch[Tensor]) -> dict[str, NDArray[np.float64]]:
    """Sum and count of every measure over a batch."""
    query, recurring = batch.answer > 0, batch.pattern > 0
    right, attended = output.correct(batch), output.executed.any(-1)
    semantic = (output.routing == _SEMANTIC).any(-1)
    quality = torch.full_like(output.dynamics, torch.nan) if output.quality is None else output.quality.mean(-1)
    parts = {
        "accuracy": (right, query),
        "accuracy_recurring": (right, recurring),
        "accuracy_novel": (right, query & ~recurring),
        "dynamics_mse": ((output.dynamics - batch.target).square(), torch.ones_like(query)),
        "attention": (output.executed, torch.ones_like(output.executed)),
        "attended_recurring": (attended, recurring),
        "attended_novel": (attended, query & ~recurring),
        "attended_other": (attended, ~query),
        "semantic_recurring": (semantic, recurring),
        "quality_recurring": (quality, recurring),
        "quality_novel": (quality, query & ~recurring),
    }
    return {
        name: np.array([float(value[where].double().sum()), float(where.sum())])
        for name, (value, where) in parts.items()
    }


# --------------------------------------------------------------------------------------------------- learning


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


def moments(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """The tensors that an optimiser remembers, with names that depend on nothing but their order."""
    for i, parameter in enumerate(p for group in optimizer.param_groups for p in group["params"]):
        for name, value in optimizer.state[parameter].items():
            yield f"{i}.{name}", value


def restore_moments(optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """The inverse of :func:`moments`."""
    for i, parameter in enumerate(p for group in optimizer.param_groups for p in group["params"]):
        prefix = f"{i}."
        optimizer.state[parameter] = {
            name.removeprefix(prefix): value if value.ndim == 0 else value.to(parameter.device)
            for name, value in state.items()
            if name.startswith(prefix)
        }


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under names that begin with a prefix and a slash."""
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors whose names begin with a prefix and a slash, without it."""
    return {name.removeprefix(f"{prefix}/"): v for name, v in tensors.items() if name.startswith(f"{prefix}/")}


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


# -------------------------------------------------------------------------------------------------- recording


class Recorder:
    """Writes the logs of one run, and knows how to cut them back to a step.

    Parameters
    ----------
    folder : Path
    training : Training
    patterns : int
        K.
    """

    def __init__(self, folder: Path, training: Training, patterns: int) -> None:
        self.folder, self.training = folder, training
        self.exposures = np.zeros(patterns + 1, np.int64)
        self.measured: list[dict[str, Any]] = []
        self.logger: UtilizationLogger | None = None

    def begin(self, step: int, exposures: NDArray[np.int64]) -> None:
        """Start, or go on, at a step: what was logged from there on is dropped."""
        self.exposures = exposures.copy()
        for name in ("utilization.jsonl", "routing.jsonl"):
            _keep_before(self.folder / name, step)
        self.measured = [row for row in read_evaluation(self.folder) if row["step"] <= step]
        self.logger = UtilizationLogger(self.folder, rank=0)

    def step(self, step: int, seen: Mapping[str, Tensor], batch: Batch[Tensor]) -> None:
        """Log a step: arrays (B, N) of one member."""
        assert self.logger is not None
        query, pattern = (batch.answer > 0).cpu().numpy(), batch.pattern.cpu().numpy()
        numbers = {name: value.float().cpu().numpy() for name, value in seen.items()}
        quality = numbers["quality"][query].mean()
        self.logger.log(
            step,
            float(numbers["attention"]),
            attention_on_queries=float(numbers["attended"][query].mean()),
            retrieval_accuracy=float(numbers["correct"][query].mean()),
            retrieval_loss=float(numbers["retrieval"]),
            dynamics_mse=float(numbers["dynamics"]),
            predicted_quality=float(quality),
        )
        asked = pattern[pattern > 0]
        exposure = self.exposures[asked] + _times_before(asked)
        np.add.at(self.exposures, asked, 1)
        if self.training.routing_every and step % self.training.routing_every == 0 and asked.size:
            where = pattern > 0
            rounded = np.round(numbers["quality"][where].astype(float), 4)
            self.logger.log_routing(
                step,
                asked,
                attended=numbers["attended"][where] > 0,
                p_episodic=np.round(numbers["p_episodic"][where].astype(float), 6).clip(0, 1),
                exposure=exposure,
                correct=numbers["correct"][where] > 0,
                quality=None if np.isnan(rounded).all() else rounded,
            )

    def evaluation(self, step: int, found: Measures) -> None:
        """Note an evaluation after so many steps."""
        self.measured.append({"step": step, **asdict(found)})
        write_evaluation(self.folder, self.measured)

    def finish(self) -> None:
        """Close the logs and put the routing log into Parquet."""
        assert self.logger is not None
        self.logger.close()
        source = self.folder / "routing.jsonl"
        if source.exists():
            routing_to_parquet(source, self.folder / "routing.parquet")
            source.unlink()


def _times_before(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each value came before in the same array.

    Examples
    --------
    >>> _times_before(np.array([3, 5, 3, 3, 5]))
    array([0, 0, 1, 2, 1])
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.searchsorted(ordered, ordered, side="left")
    out = np.empty(len(values), np.int64)
    out[order] = np.arange(len(values)) - first
    return out


def _keep_before(path: Path, step: int) -> None:
    """Drop the lines of a log from a step on; its last line may be torn."""
    if not path.exists():
        return
    if step == 0:
        path.unlink()
        return
    kept = []
    with path.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n") or json.loads(line)["step"] >= step:
                break
            kept.append(line)
    write_atomic(path, b"".join(kept))


def routing_to_parquet(source: Path, target: Path) -> None:
    """Turn JSON lines of a routing log into Parquet, with the narrowest types that hold them."""
    import pyarrow as pa
    import pyarrow.json
    import pyarrow.parquet

    narrow = {"step": pa.int32(), "pattern": pa.int32(), "exposure": pa.int32(), "p_episodic": pa.float32()}
    narrow |= {"attended": pa.bool_(), "correct": pa.bool_(), "quality": pa.float32()}
    table = pyarrow.json.read_json(source)
    columns = {name: table[name].cast(narrow.get(name, table[name].type)) for name in table.column_names}
    out = pa.BufferOutputStream()
    pyarrow.parquet.write_table(pa.table(columns), out, compression="zstd", compression_level=9)
    write_atomic(target, out.getvalue().to_pybytes())


# ------------------------------------------------------------------------------------------------ checkpoints

CHECKPOINT, WEIGHTS = "checkpoint.safetensors", "model.safetensors"


def save_checkpoint(
    path: Path, learner: Learner, sampler: Streams, recorders: Sequence[Recorder], step: int, key: str
) -> None:
    """Write everything that the steps from ``step`` on depend on."""
    state = {name: value.detach().cpu().contiguous() for name, value in learner.state().items()}
    state |= prefixed("random", random_state(sampler))
    state |= {f"exposures/{i}": torch.as_tensor(recorder.exposures) for i, recorder in enumerate(recorders)}
    write_atomic(path, save_tensors(state, metadata={"step": str(step), "setup": key}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and notes of a file; nothing in it is executed.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        content = path.read_bytes()
        tensors = load_tensors(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", path=path, hint="delete it to begin anew") from None
    return tensors, header.get("__metadata__", {})


def random_state(sampler: Streams) -> dict[str, Tensor]:
    """States of all generators that training draws from."""
    found = {"torch": torch.get_rng_state()}
    for i, generator in enumerate(sampler.generators):
        found[f"streams{i}"] = generator.get_state()
    if sampler.device.type == "cuda":
        found["cuda"] = torch.cuda.get_rng_state(sampler.device)
    return found


def restore_random_state(sampler: Streams, state: Mapping[str, Tensor]) -> None:
    """The inverse of :func:`random_state`."""
    torch.set_rng_state(state["torch"])
    for i, generator in enumerate(sampler.generators):
        generator.set_state(state[f"streams{i}"])
    if sampler.device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], sampler.device)


# ------------------------------------------------------------------------------------------------------- loop


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
    recorders: Sequence[Recorder],
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
    recorders : sequence of Recorder
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
        restore_random_state(streams, under("random", state))
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
                    seed=_EVALUATION_SEED + setups[i].training.seed,
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


@contextmanager
def deterministic(seed: int, device: torch.device) -> Iterator[None]:
    """Within, torch draws from a seed and uses deterministic algorithms only; all is as before afterwards."""
    devices = [device] if device.type == "cuda" else []
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    fill, memory.fill_uninitialized_memory = memory.fill_uninitialized_memory, False  # costs 6 % of a step
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            memory.fill_uninitialized_memory = fill


def choose_device(name: str = "auto") -> torch.device:
    """A device by name; ``"auto"`` is CUDA where there is one, else the CPU.

    Raises
    ------
    InputError
        If there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("there is no CUDA device here", hint="use --device cpu, or leave the choice to 'auto'")
    if name not in ("cpu", "cuda"):
        raise InputError(f"there is no device '{name}'", hint="use auto, cpu or cuda")
    return torch.device(name)


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
    return close_run(folder, setup, learner.model, recorder, where, time.perf_counter() - started)


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
    recorder: Recorder,
    device: torch.device,
    seconds: float,
) -> Run:
    """Save the weights, say in ``run.json`` what is there, and drop the checkpoint."""
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_atomic(folder / WEIGHTS, save_tensors(weights))
    task, warm_up, streams = setup.data, setup.training.attend_until, setup.training.final_streams
    # Training that ended before routers were free is measured as it went on: every token attends.
    forced = setup.training.steps <= warm_up
    final = evaluate(model, task, streams=streams, seed=_FINAL_SEED, device=device, attend_all=forced)
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


def versions() -> dict[str, str]:
    """Versions that a run depends on."""
    from importlib.metadata import version

    return {"python": platform.python_version()} | {
        name: version(name) for name in ("cogfit", "torch", "numpy", "safetensors", "pydantic")
    }


def hardware(device: torch.device) -> dict[str, Any]:
    """The device that trains, and how many threads it uses."""
    if device.type == "cuda":
        return {"device": "cuda", "name": torch.cuda.get_device_name(device)}
    return {"device": "cpu", "name": _processor(), "threads": torch.get_num_threads()}


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def revision() -> str | None:
    """Revision of the source that runs, with "+" where it was changed; None outside of a checkout."""
    here = Path(__file__).resolve().parent
    try:
        found = [
            subprocess.run(["git", *command], cwd=here, capture_output=True, text=True, check=True, timeout=10).stdout
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "."])
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return found[0].strip() + ("+" if found[1].strip() else "")

"""The common skeleton of all models.

Embed the tokens, go through layers, answer queries and predict the dynamics.

Every layer, of whatever kind, sends each token down one of three branches: *working* (local computation or a recurrent
state), *episodic* (a row of softmax attention over earlier tokens) or *semantic* (a memory that was consolidated).
Attention is counted by executed rows: tokens that took the episodic branch of a layer. In evaluation only those rows
are computed; in training all of them are, so that the router can learn, and the hard choice selects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from theory.settings import Strict
from theory.tasks.srcd import QUERY, SRCD, Batch, Tokens

_MOST_LAYERS = 256  # each is an object of its own, which is made before any memory is asked for

BRANCHES = ("working", "episodic", "semantic")
WORKING, EPISODIC, SEMANTIC = range(3)


class ModelConfig(Strict):
    """Settings that all models share.

    Attributes
    ----------
    kind : str
        Which model (:func:`theory.models.kinds`).
    d_model : int
        Width d.
    layers : int
        Layers L.
    heads : int
        Attention heads; they divide d.
    ffn : int
        Width of the feed-forward part of a layer in multiples of d; 0 leaves it out.
    compute : {"reference", "fast"}
        How the numbers are come by. "fast" is the same function with the same gradient, in less work: sums in another
        order, so that runs part after some steps, as they do between processors.
    """

    kind: str
    d_model: int = Field(64, ge=8)
    layers: int = Field(2, ge=1)
    heads: int = Field(1, ge=1)
    ffn: int = Field(2, ge=0)
    compute: Literal["reference", "fast"] = "reference"

    @model_validator(mode="after")
    def _divides(self) -> ModelConfig:
        if self.d_model % self.heads:
            raise ValueError(f"{self.heads} heads do not divide d_model = {self.d_model}")
        if self.layers > _MOST_LAYERS:
            raise ValueError(f"layers = {self.layers} are too many; use {_MOST_LAYERS} at most")
        return self


@dataclass(frozen=True)
class Context:
    """What layers may know beside the state of the tokens.

    Attributes
    ----------
    gap : Tensor, shape (B, N)
        Δτ_t.
    asked : Tensor of bool, shape (B, N)
        Tokens that are queries; their kind is part of what a model sees.
    queries : Tensor, shape ()
        Number of queries in the batch, at least 1: routing costs are per query.
    predict : callable
        State (B, N, d) -> logits (B, N, V) of the model's own output.
    attend_all : bool
        Whether routers are overruled: every token attends wherever it can.
    """

    gap: Tensor
    asked: Tensor
    queries: Tensor
    predict: Callable[[Tensor], Tensor]
    attend_all: bool


@dataclass(frozen=True)
class Trace:
    """What a layer reports.

    See :class:`Output`, whose fields have one more axis for the layer.
    """

    routing: Tensor
    probabilities: Tensor
    losses: dict[str, Tensor] = field(default_factory=dict)
    costs: dict[str, Tensor] = field(default_factory=dict)
    quality: Tensor | None = None


@dataclass(frozen=True)
class Output:
    """What a model returns for a batch of streams.

    Attributes
    ----------
    logits : Tensor, shape (B, N, V)
        Of the values 1..V; they mean something at queries.
    dynamics : Tensor, shape (B, N)
        Prediction of v_t.
    routing : Tensor of int, shape (B, N, L)
        Branch that each token took in each layer, an index into :data:`BRANCHES`.
    probabilities : Tensor, shape (B, N, L, 3)
        Soft probabilities of the branches, without the noise of sampling; 0 and 1 where nothing is decided.
    losses : dict of str to Tensor
        Auxiliary losses, weighted, to be added to the task's loss in every step.
    costs : dict of str to Tensor
        Routing costs, weighted: to be added once the model is to save attention.
    quality : Tensor, shape (B, N, L), or None
        Predicted quality q̂ of the semantic memory, for models that have one.
    """

    logits: Tensor
    dynamics: Tensor
    routing: Tensor
    probabilities: Tensor
    losses: dict[str, Tensor]
    costs: dict[str, Tensor]
    quality: Tensor | None

    @property
    def executed(self) -> Tensor:
        """Attention rows, bool of shape (B, N, L).

        Tokens that attended.
        """
        return self.routing == EPISODIC

    def retrieval_loss(self, batch: Batch[Tensor]) -> Tensor:
        """Mean cross-entropy of the answers, in nats.

        0 for a batch without queries.
        """
        target = (batch.answer - 1).flatten()  # −1 where nothing is asked
        total = F.cross_entropy(self.logits.flatten(0, 1), target, ignore_index=-1, reduction="sum")
        return total / (target >= 0).sum().clamp_min(1)

    def dynamics_loss(self, batch: Batch[Tensor]) -> Tensor:
        """Mean squared error of the prediction of v_t.

        At best σ².
        """
        return F.mse_loss(self.dynamics, batch.target)

    def correct(self, batch: Batch[Tensor]) -> Tensor:
        """Whether each query was answered rightly.

        Bool of shape (B, N), false elsewhere.
        """
        return (self.logits.argmax(-1) + 1 == batch.answer) & (batch.answer > 0)


class Layer(nn.Module):
    """Base of all layers.

    ``forward(x, context) -> (x, Trace)`` with x of shape (B, N, d).
    """

    def slow(self) -> list[nn.Parameter]:
        """Parameters that learn at the rate of consolidation.

        Not at that of the task.
        """
        return []

    def after_step(self, probabilities: Tensor) -> None:
        """Update state after a step of the optimiser.

        Given the probabilities (B, N, 3) of that step.
        """


class Model(nn.Module):
    """Layers between the embedding and the two predictions.

    A stack of layers between the embedding of SRCD's tokens and the predictions of answers and dynamics.

    The dynamics are predicted as a multiple of the signal shown (learned, 0 at first) plus a linear function of the
    state, so that normalisation in the layers does not hide the signal's size.

    Parameters
    ----------
    config : ModelConfig
    task : SRCD
    layers : sequence of Layer
    """

    def __init__(self, config: ModelConfig, task: SRCD, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.config, self.task = config, task
        d = config.d_model
        self.kind = nn.Embedding(3, d)
        self.key = nn.Embedding(task.keys + 1, d, padding_idx=0)
        self.value = nn.Embedding(task.values + 1, d, padding_idx=0)
        self.scalars = nn.Linear(2, d)
        self.layers = cast(Sequence[Layer], nn.ModuleList(layers))
        self.norm = nn.LayerNorm(d)
        self.answer = nn.Linear(d, task.values)
        self.dynamics = nn.Linear(d, 1)
        self.carry = nn.Parameter(torch.zeros(()))

    def forward(self, tokens: Tokens[Tensor], *, attend_all: bool = False) -> Output:
        """Process streams.

        Parameters
        ----------
        tokens : Tokens of Tensor, shape (B, N)
        attend_all : bool
            Overrule the routers: every token attends wherever it can.

        Returns
        -------
        Output
        """
        scalars = torch.stack([tokens.signal, tokens.gap.log1p()], -1)
        x = self.kind(tokens.kind) + self.key(tokens.key) + self.value(tokens.value) + self.scalars(scalars)
        asked = tokens.kind == QUERY
        context = Context(tokens.gap, asked, asked.sum().clamp_min(1), self.predict, attend_all)
        traces: list[Trace] = []
        for layer in self.layers:
            x, trace = layer(x, context)
            traces.append(trace)
        normed = self.norm(x)
        dynamics = self.dynamics(normed).squeeze(-1) + self.carry * tokens.signal
        # one norm for both predictions; the reference has two, whose gradients add up in another order
        logits = self.answer(normed) if self.config.compute == "fast" else self.predict(x)
        quality = [trace.quality for trace in traces if trace.quality is not None]
        return Output(
            logits,
            dynamics,
            torch.stack([trace.routing for trace in traces], -1),
            torch.stack([trace.probabilities for trace in traces], -2),
            _sum([trace.losses for trace in traces]),
            _sum([trace.costs for trace in traces]),
            torch.stack(quality, -1) if len(quality) == len(traces) else None,
        )

    def predict(self, x: Tensor) -> Tensor:
        """Logits of the values for a state.

        Shape (..., d).
        """
        logits: Tensor = self.answer(self.norm(x))
        return logits

    def parameter_groups(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Parameters by the rate at which they learn.

        Those that learn with the task, and those that learn at the rate of consolidation.
        """
        slow = [p for layer in self.layers for p in layer.slow()]
        known = {id(p) for p in slow}
        return [p for p in self.parameters() if id(p) not in known], slow

    def after_step(self, output: Output) -> None:
        """Update state after a step of the optimiser.

        To be called after every step, with the output that it was made from.
        """
        for i, layer in enumerate(self.layers):
            layer.after_step(output.probabilities[:, :, i].detach())


def _sum(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Sums of the terms of the same name."""
    return {name: torch.stack([p[name] for p in parts if name in p]).sum() for name in {n: 0 for p in parts for n in p}}


def always(branch: int, x: Tensor) -> Trace:
    """Trace of a layer with one branch.

    All tokens go down that branch.
    """
    routing = torch.full(x.shape[:2], branch, device=x.device)
    return Trace(routing, F.one_hot(routing, len(BRANCHES)).to(x.dtype))


def either(attends: Tensor, probability: Tensor) -> Trace:
    """Trace of a layer that attends or stays local.

    Hard choice and soft probability, each (B, N).
    """
    routing = torch.where(attends, EPISODIC, WORKING)
    return Trace(routing, torch.stack([1 - probability, probability, torch.zeros_like(probability)], -1))


class FeedForward(nn.Module):
    """Two linear maps with GELU in between.

    After a norm unless ``norm`` is false; 0 for a multiple of 0.
    """

    def __init__(self, d: int, multiple: int, *, norm: bool = True) -> None:
        super().__init__()
        self.body: nn.Sequential | None = None
        if multiple:
            first = [nn.LayerNorm(d)] if norm else []
            self.body = nn.Sequential(*first, nn.Linear(d, multiple * d), nn.GELU(), nn.Linear(multiple * d, d))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., d) to (..., d)."""
        return torch.zeros_like(x) if self.body is None else self.body(x)

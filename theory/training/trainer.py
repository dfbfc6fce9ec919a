"""What is trained, and how an update works.

Objective, what is observed, start, optimiser.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch import Tensor, nn

from cogfit.errors import InputError, nearest
from theory.models import BRANCHES, Model, Output, build
from theory.tasks.srcd import SRCD, Batch
from theory.training.divergence import check_update
from theory.training.folder import load_model
from theory.training.reproducibility import (
    moments,
    prefixed,
    restore_moments,
    under,
)
from theory.training.setup import Setup, Training

_EPISODIC = BRANCHES.index("episodic")


class Trainer(Protocol):
    """What the loop trains.

    One model, or a stack of them. Tensors of a step have an axis of members in front.
    """

    members: int

    def advance(
        self, batch: Batch[Tensor], *, attend_all: bool, costs: float, observed: bool = True
    ) -> dict[str, Tensor]:
        """Make one update.

        See :func:`observe` for what is returned, with the members in front; nothing unless ``observed``.

        Raises
        ------
        Diverged
            If a member's loss, or a probability that was observed, is not finite.
        """

    def member(self, index: int) -> Model:
        """A member as it is now, to be evaluated."""

    def state(self) -> dict[str, Tensor]:
        """Everything that the next update depends on."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a state."""


@dataclass(frozen=True)
class Losses:
    """The two losses of the task, each a scalar: they are trained on, and logged."""

    retrieval: Tensor
    dynamics: Tensor

    @classmethod
    def of(cls, output: Output, batch: Batch[Tensor]) -> Losses:
        """Losses of a batch."""
        return cls(output.retrieval_loss(batch), output.dynamics_loss(batch))


def objective(output: Output, losses: Losses, *, dynamics_weight: float, costs: Mapping[str, Tensor] | float) -> Tensor:
    """The loss of a step.

    Answers, dynamics, the layers' own losses, and routing costs times their weights.
    """
    weight = dict.fromkeys(output.costs, costs) if isinstance(costs, float) else costs
    parts = [losses.retrieval, dynamics_weight * losses.dynamics, *output.losses.values()]
    parts += [weight[name] * cost for name, cost in output.costs.items()]
    return torch.stack(parts).sum()


def observe(output: Output, losses: Losses, batch: Batch[Tensor]) -> dict[str, Tensor]:
    """What is logged of a step.

    Returns
    -------
    dict
        ``attention`` (); per token (B, N) ``attended``, ``p_episodic`` (in any layer), ``correct``, ``quality``;
        ``retrieval`` and ``dynamics`` losses.
    """
    p = output.probabilities[..., _EPISODIC]
    quality = torch.full_like(output.dynamics, torch.nan) if output.quality is None else output.quality.mean(-1)
    observed = {
        "attention": output.executed.float().mean(),
        "attended": output.executed.any(-1),
        "p_episodic": p[..., 0] if p.shape[-1] == 1 else 1 - (1 - p).prod(-1),
        "correct": output.correct(batch),
        "quality": quality,
        "retrieval": losses.retrieval,
        "dynamics": losses.dynamics,
    }
    return {name: value.detach() for name, value in observed.items()}


def start(setup: Setup, task: SRCD | None = None) -> Model:
    """The model that training begins with.

    On the CPU; what is frozen asks for no gradient.

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


def optimiser(
    groups: tuple[list[nn.Parameter], list[nn.Parameter]], training: Training, *, fused: bool = False
) -> torch.optim.AdamW:
    """AdamW with the rates of two groups.

    For those of the parameters that learn. Fused updates round differently from the reference.
    """
    learning = [[p for p in group if p.requires_grad] for group in groups]
    rates = (training.rate, training.slow_rate)
    named = [{"params": group, "lr": rate} for group, rate in zip(learning, rates, strict=True) if group]
    return torch.optim.AdamW(named, weight_decay=training.weight_decay, foreach=not fused, fused=fused)


class Single:
    """A trainer with one model."""

    members = 1

    def __init__(self, setup: Setup, device: torch.device) -> None:
        self.setup = setup
        self.model = start(setup).to(device)
        is_fused = setup.model.compute == "fast"
        self.optimizer = optimiser(self.model.parameter_groups(), setup.training, fused=is_fused)

    def advance(
        self, batch: Batch[Tensor], *, attend_all: bool, costs: float, observed: bool = True
    ) -> dict[str, Tensor]:
        """One update."""
        batch = index_batch(batch, 0)
        output: Output = self.model(batch.tokens, attend_all=attend_all)
        self.optimizer.zero_grad(set_to_none=True)
        losses = Losses.of(output, batch)
        loss = objective(output, losses, dynamics_weight=self.setup.training.dynamics_weight, costs=costs)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.setup.training.clip)
        self.optimizer.step()
        self.model.after_step(output)
        observations = observe(output, losses, batch) if observed else {}
        seen = {name: value.unsqueeze(0) for name, value in observations.items()}
        check_update(loss.detach()[None], seen)
        return seen

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


def index_batch(batch: Batch[Tensor], i: int | slice) -> Batch[Tensor]:
    """The part of a batch that belongs to a member."""
    tokens = type(batch.tokens)(**{f.name: getattr(batch.tokens, f.name)[i] for f in fields(batch.tokens)})
    return Batch(tokens, batch.answer[i], batch.target[i], batch.pattern[i])

"""Refresh learning: unlearn a batch, then learn it.

Wang et al. 2024 (arXiv 2403.13249) precede every update by a step of gradient ascent on the same batch. It goes less
far where the diagonal of the Fisher information of earlier tasks is large, and noise is added to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from cogfit.errors import InputError
from theory.models import Model, Output, Sampler
from theory.tasks.srcd import SRCD, Batch
from theory.training.setup import Setup
from theory.training.trainer import Losses, Single, index_batch, objective


class Refreshing(Single):
    """A trainer that unlearns every batch before it learns it.

    An update takes two gradients instead of one.

    Parameters
    ----------
    setup : Setup
    device : torch.device
    rate : float
        γ, the length of the step of unlearning; at 0 nothing is unlearned.
    temperature : float
        τ of its noise.
    importance : mapping of str to Tensor, optional
        Diagonal of the Fisher information of earlier tasks by parameter (:func:`fisher_diagonal`). Default: the same
        for all parameters.

    Raises
    ------
    InputError
        If the rate or the temperature is negative, or the importance is of another model.
    """

    def __init__(
        self,
        setup: Setup,
        device: torch.device,
        *,
        rate: float,
        temperature: float = 0.0,
        importance: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__(setup, device)
        for name, value in (("rate", rate), ("temperature", temperature)):
            if not value >= 0:
                raise InputError(f"the {name} of unlearning cannot be {value}", hint="use 0 or more")
        self.rate, self.temperature = rate, temperature
        learning = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.parameters = list(learning.values())
        self.scales = [torch.ones_like(p) for p in self.parameters]
        if importance is not None:
            unknown = [name for name, p in learning.items() if getattr(importance.get(name), "shape", None) != p.shape]
            if unknown:
                raise InputError(f"the importance of '{unknown[0]}' is not there", hint="measure it on this model")
            self.scales = damped_inverse([importance[name].to(device) for name in learning])
        self.noise = torch.Generator(device).manual_seed(setup.training.seed)

    def advance(
        self, batch: Batch[Tensor], *, attend_all: bool, costs: float, observed: bool = True
    ) -> dict[str, Tensor]:
        """Unlearn the batch, then make one update on it."""
        if self.rate:
            unlearn(
                self.parameters,
                self._gradients(index_batch(batch, 0), attend_all, costs),
                self.scales,
                rate=self.rate,
                temperature=self.temperature,
                generator=self.noise,
            )
        return super().advance(batch, attend_all=attend_all, costs=costs, observed=observed)

    def _gradients(self, batch: Batch[Tensor], attend_all: bool, costs: float) -> list[Tensor]:
        """Gradients of the objective, clipped as in learning."""
        output: Output = self.model(batch.tokens, attend_all=attend_all)
        weight = self.setup.training.dynamics_weight
        loss = objective(output, Losses.of(output, batch), dynamics_weight=weight, costs=costs)
        # zeros where nothing depends on a parameter
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True, materialize_grads=True)
        # uphill a loss has no bound, and one long step on the dynamics would undo the whole model
        norm = torch.stack([g.norm() for g in gradients]).norm()
        return [g * (self.setup.training.clip / (norm + 1e-6)).clamp_max(1.0) for g in gradients]

    def state(self) -> dict[str, Tensor]:
        """Parameters, buffers, moments, and the state of the noise."""
        return super().state() | {"refresh/noise": self.noise.get_state()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a state."""
        super().restore(state)
        self.noise.set_state(state["refresh/noise"])


@torch.no_grad()
def unlearn(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    scales: Sequence[Tensor],
    *,
    rate: float,
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
) -> None:
    """Step uphill, in place.

    θ ← θ + γ·s·∇L + √(2γτs)·ε with standard normal ε. With s = 1/F and τ = 1 it is the step of the paper.

    Parameters
    ----------
    parameters, gradients, scales : sequence of Tensor
        θ, ∇L and s, of the same shapes.
    rate, temperature : float
        γ and τ.
    generator : torch.Generator, optional
        Draws ε.

    Examples
    --------
    >>> parameter = torch.tensor([1.0, 2.0])
    >>> unlearn([parameter], [torch.tensor([4.0, 4.0])], [torch.tensor([1.0, 0.5])], rate=0.25)
    >>> parameter
    tensor([2.0000, 2.5000])
    """
    for parameter, gradient, scale in zip(parameters, gradients, scales, strict=True):
        parameter.add_(rate * scale * gradient)
        if temperature:
            normal = torch.randn(parameter.shape, generator=generator, device=parameter.device)
            parameter.add_((2 * rate * temperature * scale).sqrt() * normal)


def damped_inverse(importance: Sequence[Tensor]) -> list[Tensor]:
    """Invert a diagonal Fisher information, damped by its mean.

    1/(1 + F/F̄). An undamped inverse has no bound where a parameter does not matter at all.

    Examples
    --------
    >>> damped_inverse([torch.tensor([0.0, 3.0]), torch.tensor([0.0])])
    [tensor([1.0000, 0.2500]), tensor([1.])]
    """
    mean = torch.cat([value.flatten() for value in importance]).mean()
    return [1 / (1 + value / mean) if mean > 0 else torch.ones_like(value) for value in importance]


def fisher_diagonal(model: Model, task: SRCD, *, streams: int = 32, seed: int = 0) -> dict[str, Tensor]:
    """Estimate the diagonal of the Fisher information on a task.

    Mean of the squared gradients of the cross-entropy of the answers, stream by stream (the empirical one).

    Parameters
    ----------
    model : Model
    task : SRCD
    streams, seed : int

    Returns
    -------
    dict of str to Tensor
        By the name of a parameter that learns.
    """
    device = next(model.parameters()).device
    sampler = Sampler(task, seed, device)
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    total = {name: torch.zeros_like(p) for name, p in learning.items()}
    for _ in range(streams):
        batch = sampler.sample(1)
        loss = model(batch.tokens).retrieval_loss(batch)
        gradients = torch.autograd.grad(loss, list(learning.values()), allow_unused=True, materialize_grads=True)
        for name, gradient in zip(learning, gradients, strict=True):
            total[name] += gradient.square() / streams
    return total

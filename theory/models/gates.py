"""Decisions that can be learned.

Hard Gumbel-Softmax, Hard-Concrete gates, dual ascent on a budget.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Choice:
    """A decision per token.

    Attributes
    ----------
    weights : Tensor, shape (..., R)
        One-hot in the forward pass, the relaxed sample in the backward pass.
    probabilities : Tensor, shape (..., R)
        Softmax of the logits, without noise.
    taken : Tensor of int, shape (...), or None
        The option to be counted where several have weight. None: that of the largest weight.
    """

    weights: Tensor
    probabilities: Tensor
    taken: Tensor | None = None

    @property
    def index(self) -> Tensor:
        """The option taken, of shape (...)."""
        return self.weights.argmax(-1) if self.taken is None else self.taken


def gumbel(like: Tensor) -> Tensor:
    """Independent numbers of the standard Gumbel distribution."""
    return -torch.empty_like(like).exponential_().log()


def choose(logits: Tensor, *, temperature: float, sample: bool, noise: Tensor | None = None) -> Choice:
    """Hard choice among R options.

    By the straight-through Gumbel-Softmax when sampling, else the most probable.

    Parameters
    ----------
    logits : Tensor, shape (..., R)
    temperature : float
    sample : bool
    noise : Tensor, shape (..., R), optional
        Gumbel numbers to sample with. Default: new ones.

    Returns
    -------
    Choice

    References
    ----------
    Jang, Gu & Poole 2017, arXiv 1611.01144; Maddison, Mnih & Teh 2017, arXiv 1611.00712.
    """
    shift = torch.zeros_like(logits) if not sample else gumbel(logits) if noise is None else noise
    soft = ((logits + shift) / temperature).softmax(-1)
    hard = torch.zeros_like(soft).scatter(-1, soft.argmax(-1, keepdim=True), 1.0)
    return Choice(hard + (soft - soft.detach()) if sample else hard, logits.softmax(-1))


@dataclass(frozen=True)
class HardConcrete:
    """Hard-Concrete gate z̃ in [0, 1].

    z̃ = clamp(σ((s + log u − log(1−u))/β)·(ζ−γ) + γ), u uniform, with log α = s.

    It equals 0 and 1 with positive probability and lies strictly between them with the rest: it is no Bernoulli
    variable, and P(z̃ > 0) is larger than σ(s).

    Attributes
    ----------
    temperature : float
        β.
    low, high : float
        γ < 0 and ζ > 1, the ends to which the relaxed variable is stretched.

    References
    ----------
    Louizos, Welling & Kingma 2018, arXiv 1712.01312.

    Examples
    --------
    >>> gate = HardConcrete()
    >>> s = torch.tensor(0.0)
    >>> [round(float(p), 3) for p in (gate.zero(s), gate.one(s))]
    [0.17, 0.17]
    """

    temperature: float = 0.66
    low: float = -0.1
    high: float = 1.1

    def sample(self, s: Tensor) -> Tensor:
        """Draw gates for the scores.

        Differentiable in s.
        """
        u = torch.rand_like(s).clamp(1e-6, 1 - 1e-6)
        return self.value(s, u)

    def value(self, s: Tensor, u: Tensor) -> Tensor:
        """The gate that a uniform number u gives."""
        relaxed = ((s + u.log() - (-u).log1p()) / self.temperature).sigmoid()
        return (relaxed * (self.high - self.low) + self.low).clamp(0, 1)

    def zero(self, s: Tensor) -> Tensor:
        """P(z̃ = 0) = σ(β log(−γ/ζ) − s)."""
        return (self.temperature * math.log(-self.low / self.high) - s).sigmoid()

    def one(self, s: Tensor) -> Tensor:
        """P(z̃ = 1) = σ(s − β log((1−γ)/(ζ−1)))."""
        return (s - self.temperature * math.log((1 - self.low) / (self.high - 1))).sigmoid()


def ascend(multiplier: Tensor, expected: Tensor, budget: float, rate: float) -> Tensor:
    """Dual step λ ← max{0, λ + η(Σp − M)}.

    Examples
    --------
    >>> float(ascend(torch.tensor(0.5), torch.tensor(3.0), budget=1.0, rate=0.25))
    1.0
    """
    return (multiplier + rate * (expected - budget)).clamp_min(0)

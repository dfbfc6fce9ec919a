"""Adaptive Retention: a learned gate under a memory budget.

It keeps at most M tokens in the memory that attention sees (arXiv 2510.08798).

The score of a token, s_t = vᵀ tanh(W h_t + U m_{t−1}) + b with m an exponential average of the states, gives its
probability p_t = σ(s_t). In training a Hard-Concrete gate z̃_t weighs the token: as a key (its share in the softmax is
multiplied by z̃_t) and as a row (what it finds is multiplied by z̃_t), so that z̃_t = 0 is the same as leaving it out.
The state itself goes on: every token of this task has dynamics to predict. The multiplier λ of the budget Σp_t ≤ M is
raised and lowered by dual ascent.

In evaluation tokens are kept by p_t. The paper keeps the top M of the whole stream (``"offline"``), which looks into
the future. Its causal counterpart (``"online"``, the default) keeps, at any time, the top M of the tokens so far: a
token that enters executes a row when it comes and stays until M better ones have come. At the end of the stream both
keep the same M tokens; the online rule has executed more rows, one for every token that entered.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from theory.models.attention import Attention, causal, largest
from theory.models.base import EPISODIC, Context, FeedForward, Layer, ModelConfig, Trace, either
from theory.models.gates import HardConcrete, ascend
from theory.models.scan import AVERAGES
from theory.settings import part_of
from theory.tasks.srcd import SRCD


class RetentionConfig(ModelConfig):
    """Settings of Adaptive Retention.

    Attributes
    ----------
    budget : float
        ρ; each layer keeps M = ⌊ρN⌋ tokens, at least one.
    decay : float
        a of the moving average m_t (the paper does not give it).
    selection : {"online", "offline"}
        Which tokens are kept in evaluation.
    temperature, low, high : float
        β, γ and ζ of the Hard-Concrete gate.
    budget_unit : {"share", "tokens"}
        Unit in which Σp and M enter cost and dual ascent: shares of N, or tokens. The paper counts tokens; on long
        streams its η = 0.01 then raises λ by whole units a step, the gates shut at once and stay shut.
    dual_rate : float
        η of the dual ascent.
    score_bias : float
        b at the start.
    """

    kind: Literal["retention"] = "retention"
    heads: int = Field(4, ge=1)
    budget: float = Field(0.5, gt=0, le=1)
    decay: float = Field(0.9, gt=0, lt=1)
    selection: Literal["online", "offline"] = "online"
    temperature: float = Field(0.66, gt=0)
    low: float = Field(-0.1, lt=0)
    high: float = Field(1.1, gt=1)
    budget_unit: Literal["share", "tokens"] = "share"
    dual_rate: float = Field(1e-2, gt=0)
    score_bias: float = 1.0


class RetentionScore(nn.Module):
    """s_t = vᵀ tanh(W h_t + U m_{t−1}) + b."""

    def __init__(self, d: int, decay: float, bias: float, compute: str = "reference") -> None:
        super().__init__()
        self.decay, self.average = decay, AVERAGES[compute]
        self.here, self.before = nn.Linear(d, d, bias=False), nn.Linear(d, d, bias=False)
        self.read = nn.Linear(d, 1)
        nn.init.constant_(self.read.bias, bias)

    def forward(self, h: Tensor) -> Tensor:
        """Map (B, N, d) to (B, N)."""
        average = self.average(h, self.decay)
        earlier = torch.cat([torch.zeros_like(average[:, :1]), average[:, :-1]], 1)
        score: Tensor = self.read(torch.tanh(self.here(h) + self.before(earlier))).squeeze(-1)
        return score


class RetentionLayer(Layer):
    """Attention among retained tokens, then feed-forward."""

    multiplier: Tensor

    def __init__(self, config: RetentionConfig, length: int) -> None:
        super().__init__()
        d = config.d_model
        self.config, self.kept = config, max(1, part_of(config.budget, length))
        self.unit = length if config.budget_unit == "share" else 1
        self.gate = HardConcrete(config.temperature, config.low, config.high)
        self.norm = nn.LayerNorm(d)
        self.score = RetentionScore(d, config.decay, config.score_bias, config.compute)
        self.attention = Attention(d, config.heads)
        self.ffn = FeedForward(d, config.ffn)
        self.register_buffer("multiplier", torch.zeros(()))

    def forward(self, x: Tensor, context: Context) -> tuple[Tensor, Trace]:
        """Attend to and from retained tokens."""
        state = self.norm(x)
        score = self.score(state)
        probability = score.sigmoid()
        if context.attend_all:
            retained, retrieved = torch.ones_like(score, dtype=torch.bool), self.attention(state)
        elif self.training:
            gate = self.gate.sample(score)
            retained = gate > 0
            retrieved = gate.unsqueeze(-1) * self.weighted(state, gate.clamp_min(1e-9).log())
        else:
            retained, retrieved = (self.online if self.config.selection == "online" else self.offline)(
                state, probability
            )
        x = x + retrieved
        excess = (probability.sum(1).mean() - self.kept) / self.unit
        trace = either(retained, probability)
        return x + self.ffn(x), Trace(trace.routing, trace.probabilities, costs={"budget": self.multiplier * excess})

    def weighted(self, state: Tensor, weight: Tensor) -> Tensor:
        """Attention with the logarithm of a weight per key."""
        if self.config.compute == "fast":
            return self.attention.biased(state, weight)
        masked: Tensor = self.attention(state, mask=weight.unsqueeze(1).masked_fill(~causal(state), -torch.inf))
        return masked

    def online(self, state: Tensor, probability: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens that enter the memory, and what they retrieve.

        When they come, (B, N), and what is there for them, (B, N, d).
        """
        memory = largest(probability, torch.ones_like(probability, dtype=torch.bool), self.kept)
        entered = memory.diagonal(dim1=1, dim2=2)
        return entered, self.attention(state, mask=memory, rows=entered)

    def offline(self, state: Tensor, probability: Tensor) -> tuple[Tensor, Tensor]:
        """The same for the top M of the whole stream.

        Attention among M tokens, an M × M matrix of scores.
        """
        best = probability.topk(min(self.kept, probability.shape[1]), dim=1).indices.sort(1).values
        index = best.unsqueeze(-1).expand(-1, -1, state.shape[2])
        retrieved = torch.zeros_like(state).scatter(1, index, self.attention(state.gather(1, index)))
        return torch.zeros_like(probability, dtype=torch.bool).scatter(1, best, True), retrieved

    def after_step(self, probabilities: Tensor) -> None:
        """Dual ascent on the budget."""
        expected = probabilities[..., EPISODIC].sum(1).mean()
        budget = self.kept / self.unit
        self.multiplier.copy_(ascend(self.multiplier, expected / self.unit, budget, self.config.dual_rate))


def layers(config: RetentionConfig, task: SRCD) -> list[Layer]:
    """Layers of the model."""
    return [RetentionLayer(config, task.length) for _ in range(config.layers)]

"""Selective state-space models.

Mamba, which never attends, and Jamba, with one attention layer in eight.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from theory.models.base import WORKING, Context, FeedForward, Layer, ModelConfig, Trace, always
from theory.models.scan import SCANS
from theory.models.transformer import AttentionLayer
from theory.tasks.srcd import SRCD


class SSMConfig(ModelConfig):
    """Settings of state-space layers.

    Attributes
    ----------
    state : int
        Size S of the state per channel.
    ssm_heads : int
        Heads of the state, each with its own decay; they divide twice the width.
    convolution : int
        Length of the causal convolution before it.
    """

    state: int = Field(16, ge=1)
    ssm_heads: int = Field(4, ge=1)
    convolution: int = Field(4, ge=1)

    @model_validator(mode="after")
    def _divides_inner(self) -> SSMConfig:
        if 2 * self.d_model % self.ssm_heads:
            raise ValueError(f"{self.ssm_heads} ssm_heads do not divide 2·d_model = {2 * self.d_model}")
        return self


class MambaConfig(SSMConfig):
    """Settings of the Mamba-like model.

    As there, the gated block has no feed-forward part beside it.
    """

    kind: Literal["mamba"] = "mamba"
    ffn: int = Field(0, ge=0)


class JambaConfig(SSMConfig):
    """Settings of the Jamba-like model.

    Attributes
    ----------
    period, place : int
        Of every ``period`` layers, number ``place`` (from 0) attends.
    """

    kind: Literal["jamba"] = "jamba"
    layers: int = Field(8, ge=1)
    heads: int = Field(4, ge=1)
    period: int = Field(8, ge=1)
    place: int = Field(4, ge=0)

    @model_validator(mode="after")
    def _in_period(self) -> JambaConfig:
        if self.place >= self.period:
            raise ValueError(f"there is no layer {self.place} in a period of {self.period}; they count from 0")
        return self


class SelectiveSSM(nn.Module):
    """Gated block around a selective state space.

    h_t = exp(−Δ_t A) h_{t−1} + Δ_t x_t B_tᵀ, y_t = h_t C_t + D x_t, with Δ, B, C made from x.

    A is one number per head, so that the recurrence runs as matrix products.

    References
    ----------
    Gu & Dao 2023, arXiv 2312.00752; Dao & Gu 2024, arXiv 2405.21060.
    """

    def __init__(self, config: SSMConfig) -> None:
        super().__init__()
        d, heads, state = config.d_model, config.ssm_heads, config.state
        self.inner, self.heads, self.state = 2 * d, heads, state
        self.scan = SCANS[config.compute]
        self.shared = 1 if config.compute == "fast" else heads  # b and c are the same for all heads
        self.input = nn.Linear(d, 2 * self.inner + 2 * state + heads, bias=False)
        width = self.inner + 2 * state
        self.convolution = nn.Conv1d(width, width, config.convolution, groups=width)
        # Rates from 1 to 16, steps from 0.001 to 0.1: memories of a token up to a thousand at the start.
        self.log_rate = nn.Parameter(torch.linspace(1, 16, heads).log())
        step = torch.exp(torch.rand(heads) * math.log(100) + math.log(1e-3))
        self.step_bias = nn.Parameter(step.expm1().log())  # inverse of softplus
        self.skip = nn.Parameter(torch.ones(heads))
        self.norm = nn.LayerNorm(self.inner)
        self.output = nn.Linear(self.inner, d, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, d) to (B, N, d), causally."""
        gate, mixed, step = self.input(x).split([self.inner, self.inner + 2 * self.state, self.heads], -1)
        past = F.pad(mixed.transpose(1, 2), (self.convolution.kernel_size[0] - 1, 0))
        mixed = F.silu(self.convolution(past).transpose(1, 2))
        u, b, c = torch.split(mixed, [self.inner, self.state, self.state], -1)
        u = u.reshape(*u.shape[:2], self.heads, -1)
        step = F.softplus(step + self.step_bias)
        b, c = (part.unsqueeze(2).expand(-1, -1, self.shared, -1) for part in (b, c))
        y = self.scan(u * step.unsqueeze(-1), -step * self.log_rate.exp(), b, c) + self.skip[:, None] * u
        out: Tensor = self.output(self.norm(y.flatten(2)) * F.silu(gate))
        return out


class SSMLayer(Layer):
    """Norm, state-space block, norm, feed-forward, each added to the state."""

    def __init__(self, config: SSMConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.d_model)
        self.ssm = SelectiveSSM(config)
        self.ffn = FeedForward(config.d_model, config.ffn)

    def forward(self, x: Tensor, context: Context) -> tuple[Tensor, Trace]:
        """Never attend."""
        x = x + self.ssm(self.norm(x))
        return x + self.ffn(x), always(WORKING, x)


def mamba(config: MambaConfig, task: SRCD) -> list[Layer]:
    """Layers of the Mamba-like model."""
    return [SSMLayer(config) for _ in range(config.layers)]


def jamba(config: JambaConfig, task: SRCD) -> list[Layer]:
    """Layers of the Jamba-like model.

    Lieber et al. 2024, arXiv 2403.19887; without its mixture of experts.
    """
    attends = [i % config.period == config.place for i in range(config.layers)]
    return [AttentionLayer(config) if here else SSMLayer(config) for here in attends]

"""Gated linear attention, and hybrids of it with full attention.

Three layers that never attend, each a matrix per head that forgets and is written token by token: gated linear
attention, HGRN-2 and the gated delta rule. A ratio puts one layer of full attention after every so many of them, as
Wang et al. 2025 (arXiv 2507.06457) compare.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from theory.models.base import WORKING, Context, FeedForward, Layer, ModelConfig, Trace, always
from theory.models.gated_scans import gated_delta_scan, gated_scan
from theory.models.transformer import AttentionLayer
from theory.tasks.srcd import SRCD


class LinearAttentionConfig(ModelConfig):
    """Settings of models of linear attention.

    Attributes
    ----------
    ratio : int or None
        Layers of linear attention before each layer of full attention; None: there is no full attention, 0: nothing
        else.
    """

    layers: int = Field(4, ge=1)
    heads: int = Field(2, ge=1)
    ratio: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _has_attention(self) -> LinearAttentionConfig:
        if self.ratio is not None and self.layers <= self.ratio:
            raise ValueError(
                f"{self.layers} layers have no full attention at ratio = {self.ratio}; use {self.ratio + 1} or more"
            )
        return self


class GLAConfig(LinearAttentionConfig):
    """Settings of gated linear attention.

    Attributes
    ----------
    rank : int
        Of the map that makes the gates.
    temperature : float
        The logarithm of a gate is divided by it, so that states forget slowly at first.
    """

    kind: Literal["gla"] = "gla"
    rank: int = Field(16, ge=1)
    temperature: float = Field(16.0, gt=0)


class HGRN2Config(LinearAttentionConfig):
    """Settings of HGRN-2."""

    kind: Literal["hgrn2"] = "hgrn2"


class GatedDeltaNetConfig(LinearAttentionConfig):
    """Settings of gated delta networks.

    Attributes
    ----------
    convolution : int
        Length of the causal convolution before queries, keys and values.
    """

    kind: Literal["gated_deltanet"] = "gated_deltanet"
    convolution: int = Field(4, ge=1)


class Mixer(nn.Module):
    """Base of the three: heads are read, normalised, gated and joined.

    A subclass says what the heads read.
    """

    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.value, self.gate, self.output = (nn.Linear(d, d, bias=False) for _ in range(4))
        self.norm = nn.LayerNorm(d // heads)

    def read(self, x: Tensor) -> Tensor:
        """What the heads read, (B, N, H, d/H)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, d) to (B, N, d), causally."""
        out: Tensor = self.output(self.norm(self.read(x)).flatten(2) * F.silu(self.gate(x)))
        return out

    def split(self, x: Tensor) -> Tensor:
        """Cut (B, N, d) into heads, (B, N, H, d/H)."""
        return x.reshape(*x.shape[:2], self.heads, -1)


class GLA(Mixer):
    """Gated linear attention (Yang et al. 2023, arXiv 2312.06635)."""

    def __init__(self, config: GLAConfig, depth: int) -> None:
        d = config.d_model
        super().__init__(d, config.heads)
        self.temperature = config.temperature
        self.key = nn.Linear(d, d, bias=False)
        self.forget = nn.Sequential(nn.Linear(d, config.rank, bias=False), nn.Linear(config.rank, d))

    def read(self, x: Tensor) -> Tensor:
        """Decay by a gate per key coordinate, and add."""
        q, k, v = (self.split(layer(x)) for layer in (self.query, self.key, self.value))
        log_decay = F.logsigmoid(self.split(self.forget(x))) / self.temperature
        return gated_scan(q / math.sqrt(q.shape[-1]), k, v, log_decay)


class HGRN2(Mixer):
    """HGRN-2 (Qin et al. 2024, arXiv 2404.07904).

    The key is what the forget gate leaves, 1 − f. Each layer learns a lower bound on f; it begins the higher, the
    deeper the layer is, and is not held to grow with depth as in the paper.
    """

    def __init__(self, config: HGRN2Config, depth: int) -> None:
        super().__init__(config.d_model, config.heads)
        self.forget = nn.Linear(config.d_model, config.d_model)
        self.bound = nn.Parameter(torch.tensor((depth + 1) / (config.layers + 1)).logit())

    def read(self, x: Tensor) -> Tensor:
        """Decay by f, and write with 1 − f."""
        low = self.bound.sigmoid()
        f = low + (1 - low) * self.split(self.forget(x)).sigmoid()
        return gated_scan(self.split(F.silu(self.query(x))), 1 - f, self.split(self.value(x)), f.log())


class GatedDeltaNet(Mixer):
    """Gated delta rule (Yang, Kautz & Hatamizadeh 2024, arXiv 2412.06464)."""

    def __init__(self, config: GatedDeltaNetConfig, depth: int) -> None:
        d, heads = config.d_model, config.heads
        super().__init__(d, heads)
        self.key = nn.Linear(d, d, bias=False)
        self.convolution = nn.Conv1d(3 * d, 3 * d, config.convolution, groups=3 * d)
        self.strength, self.step = nn.Linear(d, heads), nn.Linear(d, heads, bias=False)
        # As in the state-space layers: rates from 1 to 16, steps from 0.001 to 0.1.
        self.log_rate = nn.Parameter(torch.linspace(1, 16, heads).log())
        step = torch.exp(torch.rand(heads) * math.log(100) + math.log(1e-3))
        self.step_bias = nn.Parameter(step.expm1().log())  # inverse of softplus

    def read(self, x: Tensor) -> Tensor:
        """Decay, take away what the key had, and write."""
        mixed = torch.cat([self.query(x), self.key(x), self.value(x)], -1).transpose(1, 2)
        past = F.pad(mixed, (self.convolution.kernel_size[0] - 1, 0))
        q, k, v = (self.split(part) for part in F.silu(self.convolution(past)).transpose(1, 2).chunk(3, -1))
        log_decay = -F.softplus(self.step(x) + self.step_bias) * self.log_rate.exp()
        strength = self.strength(x).sigmoid()
        return gated_delta_scan(F.normalize(q, dim=-1), F.normalize(k, dim=-1), v, strength, log_decay)


class LinearAttentionLayer(Layer):
    """Norm, linear attention, norm, feed-forward, each added to the state."""

    def __init__(self, config: LinearAttentionConfig, mixer: Mixer) -> None:
        super().__init__()
        self.norm, self.mixer = nn.LayerNorm(config.d_model), mixer
        self.ffn = FeedForward(config.d_model, config.ffn)

    def forward(self, x: Tensor, context: Context) -> tuple[Tensor, Trace]:
        """Never attend."""
        x = x + self.mixer(self.norm(x))
        return x + self.ffn(x), always(WORKING, x)


_MIXERS: dict[type[LinearAttentionConfig], Callable[[Any, int], Mixer]] = {
    GLAConfig: GLA,
    HGRN2Config: HGRN2,
    GatedDeltaNetConfig: GatedDeltaNet,
}


def layers(config: LinearAttentionConfig, task: SRCD) -> list[Layer]:
    """Layers of the model.

    The last of every ``ratio`` + 1 attends.
    """
    made: list[Layer] = []
    for depth in range(config.layers):
        if config.ratio is not None and depth % (config.ratio + 1) == config.ratio:
            made.append(AttentionLayer(config))
        else:
            made.append(LinearAttentionLayer(config, _MIXERS[type(config)](config, depth)))
    return made

"""TransMamba-like model.

Up to a position every token attends, after it the same parameters run as a state-space model.

Queries, keys and values of attention are C, B and x of the recurrence. The state at the switch is the one that the
recurrence has after the prefix, so that nothing is lost there (Li et al. 2025, arXiv 2503.24067).
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from theory.models.attention import Attention, attend
from theory.models.base import Context, FeedForward, Layer, ModelConfig, Trace, either
from theory.models.scan import SCANS
from theory.settings import part_of
from theory.tasks.srcd import SRCD


class TransMambaConfig(ModelConfig):
    """Settings of the TransMamba-like model.

    Attributes
    ----------
    switch : list of float
        For each layer, the share of the task's length N in which tokens attend; the last one holds for the rest.
    """

    kind: Literal["transmamba"] = "transmamba"
    layers: int = Field(4, ge=1)
    heads: int = Field(4, ge=1)
    switch: list[Annotated[float, Field(ge=0, le=1)]] = Field([0.125, 0.25, 0.5, 0.25], min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> TransMambaConfig:
        if len(self.switch) > self.layers:
            raise ValueError(f"'switch' has {len(self.switch)} entries for {self.layers} layers")
        return self


class SwitchLayer(Layer):
    """Attention before a position, state-space recurrence after.

    From it on; with shared projections.
    """

    def __init__(self, config: TransMambaConfig, position: int) -> None:
        super().__init__()
        d, heads = config.d_model, config.heads
        self.position = position
        self.scan = SCANS[config.compute]
        self.norm = nn.LayerNorm(d)
        self.attention = Attention(d, heads)
        self.step = nn.Linear(d, heads)
        self.log_rate = nn.Parameter(torch.linspace(0.01, 1, heads).log())
        self.state_norm = nn.LayerNorm(d // heads)
        self.ffn = FeedForward(d, config.ffn)

    def forward(self, x: Tensor, context: Context) -> tuple[Tensor, Trace]:
        """Attend before the position (everywhere, if all are to attend)."""
        n = x.shape[1]
        before = n if context.attend_all else min(self.position, n)
        state = self.norm(x)
        q, k, v = self.attention.project(state)
        parts = []
        if before:
            parts.append(attend(q[:, :, :before], k[:, :, :before], v[:, :, :before]))
        if before < n:
            step = F.softplus(self.step(state))
            c, b, u = (part.transpose(1, 2) for part in (q, k / math.sqrt(k.shape[-1]), v))
            y = self.scan(u * step.unsqueeze(-1), -step * self.log_rate.exp(), b, c)
            parts.append(self.state_norm(y[:, before:]).transpose(1, 2))
        x = x + self.attention.finish(torch.cat(parts, 2))
        attends = (torch.arange(n, device=x.device) < before).expand(x.shape[:2])
        return x + self.ffn(x), either(attends, attends.to(x.dtype))


def layers(config: TransMambaConfig, task: SRCD) -> list[Layer]:
    """Layers of the model."""
    shares = config.switch + config.switch[-1:] * (config.layers - len(config.switch))
    return [SwitchLayer(config, part_of(share, task.length)) for share in shares]

"""SeqBoat-like model.

A state-space layer whose state decides, token by token, whether attention is activated.

The gate takes the more probable of two options and scales what attention returns by that option's probability, which
is how it learns. Attention sees activated tokens only, the last W of them (Ren et al. 2023, arXiv 2306.11197).
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from theory.models.attention import Attention, newest
from theory.models.base import Context, FeedForward, Layer, Trace, either
from theory.models.ssm import SelectiveSSM, SSMConfig
from theory.tasks.srcd import SRCD


class SeqBoatConfig(SSMConfig):
    """Settings of the SeqBoat-like model.

    Attributes
    ----------
    window : int
        W, activated tokens that attention sees.
    """

    kind: Literal["seqboat"] = "seqboat"
    window: int = Field(256, ge=1)


class SeqBoatLayer(Layer):
    """State-space block, then gated attention for activated tokens, then feed-forward."""

    def __init__(self, config: SeqBoatConfig) -> None:
        super().__init__()
        d = config.d_model
        self.window = config.window
        self.norms = nn.ModuleList([nn.LayerNorm(d), nn.LayerNorm(d)])
        self.ssm = SelectiveSSM(config)
        self.gate = nn.Linear(d, 2)
        self.attention = Attention(d, config.heads)
        self.unit = nn.Linear(d, d)
        self.ffn = FeedForward(d, config.ffn)

    def forward(self, x: Tensor, context: Context) -> tuple[Tensor, Trace]:
        """Attend where the gate says so."""
        x = x + self.ssm(self.norms[0](x))
        state = self.norms[1](x)
        probability = self.gate(state).softmax(-1)[..., 1]
        active = torch.full_like(probability, context.attend_all, dtype=torch.bool) | (probability > 0.5)
        # A token that is not activated would see nothing: it may see itself, and what it finds is not used.
        itself = torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
        retrieved = self.attention(
            state, mask=newest(active, self.window) | itself, rows=None if self.training else active
        )
        x = x + (active * probability).unsqueeze(-1) * F.silu(self.unit(state)) * retrieved
        return x + self.ffn(x), either(active, probability)


def layers(config: SeqBoatConfig, task: SRCD) -> list[Layer]:
    """Layers of the model."""
    return [SeqBoatLayer(config) for _ in range(config.layers)]

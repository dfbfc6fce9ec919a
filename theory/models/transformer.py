"""Transformer: every token attends in every layer.

No positions are encoded: the task is about content.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from theory.models.attention import Attention
from theory.models.base import EPISODIC, Context, FeedForward, Layer, ModelConfig, Trace, always
from theory.tasks.srcd import SRCD


class TransformerConfig(ModelConfig):
    """Settings of the Transformer."""

    kind: Literal["transformer"] = "transformer"
    heads: int = Field(4, ge=1)


class AttentionLayer(Layer):
    """Norm, attention, norm, feed-forward, each added to the state."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d = config.d_model
        self.norm = nn.LayerNorm(d)
        self.attention = Attention(d, config.heads)
        self.ffn = FeedForward(d, config.ffn)

    def forward(self, x: Tensor, context: Context) -> tuple[Tensor, Trace]:
        """Attend everywhere."""
        x = x + self.attention(self.norm(x))
        return x + self.ffn(x), always(EPISODIC, x)


def layers(config: TransformerConfig, task: SRCD) -> list[Layer]:
    """Layers of the model."""
    return [AttentionLayer(config) for _ in range(config.layers)]

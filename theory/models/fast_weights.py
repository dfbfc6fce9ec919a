"""A consolidating model with fast weights.

For values that are new in every stream: it learns within the stream.

The layer is CRAM's, but its semantic memory is a matrix S that starts empty in every stream. What a token retrieves by
attention is written into it under the token's own cue, by the delta rule; a later token with the same cue can read it
and need not attend. Reads and routing see S as it was when the chunk began, writes take effect at its end:
consolidation lags by at most a chunk, and all tokens of a chunk go through at once. The consolidation loss teaches the
layer to write so that reads come close to what attention retrieves; what is written passes no gradient to attention.

Only rows of attention write (``write = "attended"``): without attention the model never learns a value. With
``"all"`` every token writes a value made from its own state, which makes a plain delta-rule memory of
d² numbers that needs no attention at all: a control for bounds that assume a small memory.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from theory.models.attention import Attention, attend
from theory.models.base import EPISODIC, Context, FeedForward, Layer, Trace
from theory.models.cram import Quality, RoutedConfig, Router, WorkingMemory, consolidation, routing_costs
from theory.models.scan import delta_update
from theory.tasks.srcd import SRCD


class FastWeightConfig(RoutedConfig):
    """Settings of the fast-weight model.

    Attributes
    ----------
    chunk : int
        Tokens in a chunk.
    write : {"attended", "all"}
        What is written: what attention retrieved, or every token's own value.
    state_bits : int or None
        S: of the memory only the signs of S entries go from chunk to chunk. A router then knows S bits of the
        stream so far, as theorem T2 supposes. None: all d² numbers.
    """

    kind: Literal["fast_weights"] = "fast_weights"
    chunk: int = Field(32, ge=1)
    write: Literal["attended", "all"] = "attended"
    state_bits: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _holds(self) -> FastWeightConfig:
        if self.state_bits is not None and self.state_bits > self.d_model**2:
            raise ValueError(
                f"state_bits = {self.state_bits} are more than the {self.d_model**2} entries of the memory"
            )
        return self


class FastWeightLayer(Layer):
    """Three branches, the semantic one learned within the stream.

    As in CRAM; the semantic branch is a matrix.
    """

    def __init__(self, config: FastWeightConfig) -> None:
        super().__init__()
        d = config.d_model
        self.config = config
        self.working = WorkingMemory(d, config.euler_steps, config.time_step)
        self.attention = Attention(d, config.heads, identity=config.identity, past_only=True)
        self.cue = nn.Linear(d, d, bias=False)
        self.strength = nn.Linear(d, 1)
        self.value = nn.Linear(d, d, bias=False) if config.write == "all" else None
        self.quality = Quality(d)
        self.router = Router(config, 3)
        self.norms = nn.ModuleList([nn.LayerNorm(d), nn.LayerNorm(d)])
        self.ffn = FeedForward(d, config.ffn, norm=False)

    def forward(self, x: Tensor, context: Context) -> tuple[Tensor, Trace]:
        """Route the stream chunk by chunk."""
        local = self.working(x, context.gap)
        q, k, v = self.attention.project(x)
        cue = F.normalize(self.cue(x), dim=-1)
        strength = self.strength(x).squeeze(-1).sigmoid()
        memory = x.new_zeros(x.shape[0], x.shape[2], x.shape[2])
        place = torch.arange(x.shape[1], device=x.device)
        parts: list[tuple[Tensor, ...]] = []
        for chunk in torch.split(place, self.config.chunk):
            at = slice(int(chunk[0]), int(chunk[-1]) + 1)
            semantic = cue[:, at] @ memory
            logit = self.quality(semantic.detach())
            choice = self.router(x[:, at], local[:, at], logit.sigmoid(), context.gap[:, at], context)
            attended = choice.index == EPISODIC
            mask = (place[: at.stop] <= chunk[:, None]).unsqueeze(0)
            rows = None if self.training else attended
            heads_output = attend(q[:, :, at], k[:, :, : at.stop], v[:, :, : at.stop], mask=mask, rows=rows)
            retrieved = self.attention.finish(heads_output)
            if self.value is None:
                memory = delta_update(memory, cue[:, at], retrieved.detach(), strength[:, at] * attended)
            else:
                memory = delta_update(memory, cue[:, at], self.value(x[:, at]), strength[:, at])
            if self.config.state_bits is not None:
                memory = signs(memory, self.config.state_bits)
            branches = torch.stack([local[:, at], retrieved, semantic], -1)
            y = (branches * choice.weights.unsqueeze(-2)).sum(-1)
            parts.append((y, semantic, retrieved, logit, choice.index, choice.probabilities))
        y, semantic, retrieved, logit, routing, probabilities = (torch.cat(p, 1) for p in zip(*parts, strict=True))
        x = self.norms[0](x + y)
        x = self.norms[1](x + self.ffn(x))
        quality = logit.sigmoid()
        losses = consolidation(self.config, semantic, retrieved, logit, routing == EPISODIC)
        costs = routing_costs(self.config, probabilities, quality, context)
        return x, Trace(routing, probabilities, losses, costs, quality)

    def slow(self) -> list[nn.Parameter]:
        """q̂."""
        return list(self.quality.parameters())


def signs(memory: Tensor, count: int) -> Tensor:
    """Write ±1/√d by the signs of some entries.

    ``count`` entries of (B, d, d), those of the smallest square block; 0 elsewhere.

    Gradients pass as if nothing was done.
    """
    d = memory.shape[-1]
    side = min(d, math.ceil(count**0.5))
    row, column = (torch.arange(d, device=memory.device).view(shape) for shape in ((d, 1), (1, d)))
    kept = (column < side) & (row * side + column < count)
    rounded: Tensor = torch.where(memory >= 0, 1.0, -1.0) * kept / d**0.5
    return memory + (rounded - memory).detach()


def layers(config: FastWeightConfig, task: SRCD) -> list[Layer]:
    """Layers of the model."""
    return [FastWeightLayer(config) for _ in range(config.layers)]

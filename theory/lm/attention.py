"""Look at attention within a language model, and change it.

One interface serves every question: what heads attend to, what happens without some of them, what a policy would keep.
It works for the causal models of `transformers` whose attention can be exchanged; queries, keys and values are those of
the model, positions included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cogfit.errors import InputError, MissingDependencyError

try:
    import torch
    from torch import Tensor, nn
except ImportError:
    raise MissingDependencyError("torch", "lm", "theory.lm") from None

_NAME = "cogfit"


@dataclass(frozen=True)
class Attending:
    """What one layer has before it attends.

    Attributes
    ----------
    layer : int
        From 1.
    query : Tensor
        (windows, heads, tokens, width).
    key, value : Tensor
        Likewise; under grouped-query attention with fewer heads.
    scores : Tensor
        (windows, heads, tokens, tokens), scaled; −∞ where a token comes later.
    """

    layer: int
    query: Tensor
    key: Tensor
    value: Tensor
    scores: Tensor

    @property
    def group(self) -> int:
        """Heads that share a key and value."""
        return self.query.shape[1] // self.key.shape[1]


class Intervention:
    """Base of all interventions: it changes nothing."""

    def allow(self, seen: Attending) -> Tensor | None:
        """Tokens that may be attended to.

        Beyond that none comes later. Booleans that broadcast to ``seen.scores``; None for all.
        """
        return None

    def tilt(self, seen: Attending) -> Tensor | None:
        """Nats that are added to the scores.

        They broadcast to ``seen.scores``: log f makes a weight f times as large beside the others; −∞ takes it away.
        None for nothing.
        """
        return None

    def look(self, layer: int, weights: Tensor) -> None:
        """See the weights (windows, heads, tokens, tokens) of a layer."""

    def change(self, layer: int, output: Tensor) -> Tensor:
        """Return what the heads put out instead.

        Shape (windows, tokens, heads, width).
        """
        return output


@dataclass
class KnockOut(Intervention):
    """Heads that put out nothing.

    Attributes
    ----------
    heads : mapping from int to sequence of int
        Numbers of the heads of each layer, from 1.
    """

    heads: Mapping[int, tuple[int, ...]]

    def change(self, layer: int, output: Tensor) -> Tensor:
        """Set the output of these heads to zero."""
        numbers = self.heads.get(layer)
        if numbers:
            output = output.clone()
            output[:, :, [number - 1 for number in numbers]] = 0
        return output


@dataclass
class Gates(Intervention):
    """Heads whose output is multiplied by a number each.

    Attributes
    ----------
    amounts : Tensor
        (layers, heads); the derivative of an answer with respect to one says what the head contributes.
    """

    amounts: Tensor

    def change(self, layer: int, output: Tensor) -> Tensor:
        """Multiply the output of each head."""
        return output * self.amounts[layer - 1].to(output.dtype)[:, None]


@dataclass
class Tilt(Intervention):
    """More or less attention to some tokens, head by head.

    Attributes
    ----------
    amounts : Tensor
        (layers, heads), in nats: log f makes the weights f times as large beside the others, −∞ takes them away.
    places : tuple of int
        The tokens that are attended to.
    queries : tuple of int, optional
        The tokens that attend; by default all.
    """

    amounts: Tensor
    places: tuple[int, ...] = (0,)
    queries: tuple[int, ...] | None = None

    def tilt(self, seen: Attending) -> Tensor:
        """The amounts, where these tokens attend to those."""
        pairs = seen.scores.new_zeros(seen.scores.shape[-2:], dtype=torch.bool)
        rows = slice(None) if self.queries is None else list(self.queries)
        for place in self.places:
            pairs[rows, place] = True
        return torch.where(pairs, self.amounts[seen.layer - 1].to(seen.scores)[:, None, None], 0.0)


@contextmanager
def intervening(model: nn.Module, intervention: Intervention) -> Iterator[None]:
    """Within, every pass of the model goes through an intervention.

    Raises
    ------
    InputError
        If the attention of this kind of model cannot be exchanged.

    Examples
    --------
    >>> from transformers import LlamaConfig, LlamaForCausalLM
    >>> config = LlamaConfig(
    ...     vocab_size=16, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    ... )
    >>> model = LlamaForCausalLM(config).eval()
    >>> class Sums(Intervention):
    ...     def look(self, layer, weights):
    ...         print(layer, tuple(weights.shape), bool((weights.sum(-1) - 1).abs().max() < 1e-6))
    >>> with torch.no_grad(), intervening(model, Sums()):
    ...     _ = model(input_ids=torch.tensor([[1, 2, 3]]))
    1 (1, 2, 3, 3) True
    """
    from transformers import AttentionInterface

    changeable: Any = model
    if not can_intervene(model):
        raise InputError(
            f"the attention of {type(model).__name__} cannot be exchanged", hint="try a Llama, Qwen or GPT-2"
        )
    before = changeable.config._attn_implementation

    def attend(
        module: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        **others: Any,
    ) -> tuple[Tensor, None]:
        window = others.get("sliding_window")
        seen = _prepare(int(module.layer_idx) + 1, query, key, value, scaling, window)
        return _attend(seen, intervention), None

    AttentionInterface.register(_NAME, attend)
    changeable.set_attn_implementation(_NAME)
    try:
        yield
    finally:
        changeable.set_attn_implementation(before)


def can_intervene(model: nn.Module) -> bool:
    """Whether the attention of a model can be exchanged."""
    return bool(getattr(model, "_supports_attention_backend", False))


def _prepare(
    layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float | None, window: int | None
) -> Attending:
    """Scores of all pairs of tokens, in single precision."""
    group = query.shape[1] // key.shape[1]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = (query @ key.repeat_interleave(group, 1).transpose(-1, -2)).float() * scale
    tokens = torch.arange(scores.shape[-1], device=scores.device)
    is_later = tokens[None, :] > tokens[:, None]
    if window is not None:
        is_later |= tokens[None, :] <= tokens[:, None] - window
    return Attending(layer, query, key, value, scores.masked_fill(is_later, -torch.inf))


def _attend(seen: Attending, intervention: Intervention) -> Tensor:
    """What the heads put out, (windows, tokens, heads, width)."""
    allowed, added = intervention.allow(seen), intervention.tilt(seen)
    scores = seen.scores if allowed is None else seen.scores.masked_fill(~allowed, -torch.inf)
    scores = scores if added is None else scores + added
    weights = scores.softmax(-1)
    intervention.look(seen.layer, weights)
    values = seen.value.repeat_interleave(seen.group, 1)
    output = (weights.to(values.dtype) @ values).transpose(1, 2)
    return intervention.change(seen.layer, output).contiguous()


def shape_of(model: nn.Module) -> tuple[int, int]:
    """Layers and heads of a model."""
    config: Any = model.config
    return int(config.num_hidden_layers), int(config.num_attention_heads)

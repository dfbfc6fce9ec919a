"""Fast weights: chunks are the sequential rule, and without attention nothing is learned."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from theory.models import Model, Sampler
from theory.models.base import EPISODIC, Context
from theory.models.fast_weights import FastWeightLayer
from theory.tasks.srcd import SRCD

Make = Callable[..., Model]


def layer_of(model: Model) -> FastWeightLayer:
    layer = model.layers[0]
    assert isinstance(layer, FastWeightLayer)
    return layer


def step_by_step(layer: FastWeightLayer, x: Tensor, context: Context) -> Tensor:
    """The layer in evaluation, one token at a time."""
    out = []
    local = layer.working(x, context.gap)
    memory = begun = torch.zeros(x.shape[0], x.shape[2], x.shape[2])
    for t in range(x.shape[1]):
        begun = memory if t % layer.config.chunk == 0 else begun
        now = slice(t, t + 1)
        cue = torch.nn.functional.normalize(layer.cue(x[:, t]), dim=-1)
        semantic = torch.einsum("bk,bkv->bv", cue, begun)
        quality = layer.quality(semantic).sigmoid()
        choice = layer.router(x[:, now], local[:, now], quality[:, None], context.gap[:, now], context).index[:, 0]
        a = layer.attention
        score = torch.einsum("bd,bsd->bs", a.query(x[:, t]), a.key(x[:, :t])) / x.shape[2] ** 0.5
        weight = torch.cat([torch.zeros(x.shape[0], 1), score], 1).softmax(1)[:, 1:]  # an empty slot in front
        retrieved = a.output(torch.einsum("bs,bsd->bd", weight, a.value(x[:, :t])))
        beta = layer.strength(x[:, t]).sigmoid()
        value = retrieved if layer.value is None else layer.value(x[:, t])
        beta = beta * (choice == EPISODIC)[:, None] if layer.value is None else beta
        error = value - torch.einsum("bk,bkv->bv", cue, memory)
        memory = memory + beta[..., None] * cue[..., None] * error[:, None, :]
        branches = torch.stack([local[:, t], retrieved, semantic], 1)
        out.append(branches[torch.arange(x.shape[0]), choice])
    x = layer.norms[0](x + torch.stack(out, 1))
    return layer.norms[1](x + layer.ffn(x))


@pytest.mark.parametrize("chunk", [1, 7, 64])
@pytest.mark.parametrize("variant", ["fast-weights", "fast-weights-all"])
def test_chunks_are_the_sequential_rule(make: Make, task: SRCD, variant: str, chunk: int) -> None:
    model, batch = make(variant, chunk=chunk, layers=1).eval(), Sampler(task, 0).sample(3)
    layer, seen = layer_of(model), []
    layer.register_forward_hook(lambda module, given, result: seen.append((*given, *result)))
    with torch.no_grad():
        model(batch.tokens)
        x, context, found, trace = seen[0]
        assert 0 < (trace.routing == EPISODIC).float().mean() < 1
        torch.testing.assert_close(found, step_by_step(layer, x, context), rtol=1e-3, atol=1e-4)


def test_without_attention_no_value_is_ever_known(make: Make, task: SRCD) -> None:
    """If no token attends, other values in the stream change nothing; a memory that writes its input differs."""
    batch = Sampler(task, 0).sample(4)
    other = dataclasses.replace(batch.tokens, value=torch.where(batch.tokens.value > 0, 5 - batch.tokens.value, 0))
    asked = batch.answer > 0
    for variant in ("fast-weights", "fast-weights-all"):
        model = make(variant, chunk=4).eval()
        with torch.no_grad():
            router = layer_of(model).router.body[-1]
            router.weight.zero_()
            router.bias.copy_(torch.tensor([0.0, -9.0, 9.0]))  # semantic memory everywhere
            one, two = model(batch.tokens), model(other)
        assert not one.executed.any()
        same = torch.equal(one.logits[asked], two.logits[asked])
        assert same == (variant == "fast-weights")

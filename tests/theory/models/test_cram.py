"""CRAM: its equations, what each loss may teach, and that off attention a token knows itself only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from theory.models import Model, Sampler, build, cram, model_config
from theory.models.base import EPISODIC, SEMANTIC
from theory.models.cram import CramLayer, RoutedConfig, WorkingMemory, consolidation
from theory.models.gates import Choice
from theory.tasks.srcd import SRCD, Tokens

Make = Callable[..., Model]


def layer_of(model: Model) -> CramLayer:
    layer = model.layers[0]
    assert isinstance(layer, CramLayer)
    return layer


def moved(module: nn.Module) -> bool:
    return any(p.grad is not None and bool(p.grad.any()) for p in module.parameters())


def test_working_memory_is_the_euler_scheme() -> None:
    torch.manual_seed(0)
    memory = WorkingMemory(5, 3, 0.4)
    x, gap = torch.randn(2, 7, 5), 1 + torch.rand(2, 7) * 9
    rate = torch.sigmoid(torch.log(1 + gap)[..., None] * memory.rate.weight[:, 0] + memory.rate.bias)
    h = torch.zeros(2, 7, 5)
    for _ in range(3):
        h = h + 0.4 * rate * torch.tanh(h @ memory.recur.weight.T + x @ memory.input.weight.T + memory.input.bias)
    torch.testing.assert_close(memory(x, gap), h @ memory.output.weight.T + memory.output.bias + x)


def test_consolidation_losses_are_the_formulas() -> None:
    torch.manual_seed(0)
    config = RoutedConfig(kind="cram", sigma=0.7, consolidation_weight=2.0, quality_weight=3.0)
    semantic, retrieved, logit = torch.randn(2, 5, 4), torch.randn(2, 5, 4), torch.randn(2, 5)
    attended = torch.tensor([[True, False, False, True, False], [False, True, False, False, False]])
    found = consolidation(config, semantic, retrieved, logit, attended)
    errors, missed = [], []
    for b, t in attended.nonzero().tolist():
        error = float(((semantic[b, t] - retrieved[b, t]) ** 2).sum()) / 4
        q, predicted = torch.exp(torch.tensor(-error / 0.49)), logit[b, t].sigmoid()
        errors.append(error)
        missed.append(float(-(q * predicted.log() + (1 - q) * (1 - predicted).log())))
    assert float(found["consolidation"]) == pytest.approx(2 * sum(errors) / 3, rel=1e-5)
    assert float(found["quality"]) == pytest.approx(3 * sum(missed) / 3, rel=1e-5)
    none = consolidation(config, semantic, retrieved, logit, torch.zeros_like(attended))
    assert float(none["consolidation"]) == float(none["quality"]) == 0


def test_routing_costs_are_per_query_and_use_the_predicted_quality(make: Make, task: SRCD) -> None:
    model, batch = make("cram-state", lambda_episodic=0.5, lambda_semantic=0.25).eval(), Sampler(task, 0).sample(3)
    output = model(batch.tokens)
    pi, queries = output.probabilities[:, :, 0], 3 * task.queries
    torch.testing.assert_close(output.costs["episodic"], 0.5 * pi[..., EPISODIC].sum() / queries)
    reward = (pi[..., SEMANTIC] * output.quality[..., 0]).sum()
    torch.testing.assert_close(output.costs["semantic"], -0.25 * reward / queries)


@pytest.mark.parametrize(
    ("loss", "taught"),
    [("retrieval", {"working", "episodic", "router"}), ("consolidation", {"semantic"}), ("quality", {"quality"})],
)
def test_each_loss_teaches_what_it_should(make: Make, task: SRCD, loss: str, taught: set[str]) -> None:
    torch.manual_seed(0)
    model, batch = make("cram-newest"), Sampler(task, 0).sample(8)
    output = model(batch.tokens)
    (output.retrieval_loss(batch) if loss == "retrieval" else output.losses[loss]).backward()
    layer = layer_of(model)
    found = {name: moved(getattr(layer, name)) for name in ("working", "episodic", "semantic", "quality", "router")}
    assert {name for name, here in found.items() if here} == taught
    assert moved(model.key) == (loss == "retrieval")


def test_routing_costs_do_not_flatter_the_quality(make: Make, task: SRCD) -> None:
    model, batch = make("cram-state"), Sampler(task, 0).sample(4)
    output = model(batch.tokens)
    sum(output.costs.values(), torch.zeros(())).backward()
    layer = layer_of(model)
    assert moved(layer.router)
    assert layer.quality is not None
    assert not moved(layer.quality)
    assert not moved(model.answer)


def test_the_semantic_memory_learns_from_the_task_only_if_told_to(make: Make, task: SRCD) -> None:
    batch = Sampler(task, 0).sample(8)
    for from_task in (False, True):
        torch.manual_seed(0)
        model = make("cram-state", semantic_from_task=from_task)
        output = model(batch.tokens)
        assert (output.routing == SEMANTIC).any()
        output.retrieval_loss(batch).backward()
        semantic = layer_of(model).semantic
        assert semantic is not None
        assert moved(semantic) == from_task


@pytest.mark.parametrize("variant", ["cram", "cram-state", "cram-newest", "cram-novel", "cram-no-consolidation"])
@given(seed=st.integers(0, 1000), training=st.booleans())
@settings(max_examples=10)
def test_off_attention_a_token_knows_itself_only(
    make: Make, task: SRCD, variant: str, seed: int, training: bool
) -> None:
    """Class MEMORYLESS of the lower bounds: where no layer attends, whatever else is in the stream has no effect."""
    model, sampler = make(variant, seed % 3).train(training), Sampler(task, seed)
    one, other = sampler.sample(1).tokens, sampler.sample(1).tokens
    torch.manual_seed(seed)
    output = model(one)
    alone = (~output.executed.any(-1)[0]).nonzero().flatten()
    for t in alone[:: max(1, len(alone) // 3)].tolist():
        here = torch.arange(task.length) == t
        parts = {f.name: (getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one)}
        torch.manual_seed(seed)
        changed = model(Tokens(**{name: torch.where(here, a, b) for name, (a, b) in parts.items()}))
        torch.testing.assert_close(changed.logits[:, t], output.logits[:, t], rtol=1e-4, atol=1e-5)
        assert (changed.routing[:, t] == output.routing[:, t]).all()


@pytest.mark.parametrize("variant", ["cram", "cram-newest", "cram-no-consolidation", "fast-weights"])
def test_training_and_evaluation_agree_on_the_same_choices(
    make: Make, task: SRCD, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = make(variant), Sampler(task, 0).sample(4)
    expected = model.eval()(batch.tokens)
    original = cram.choose

    def settled(logits: Tensor, *, temperature: float, sample: bool, noise: Tensor | None = None) -> Choice:
        return original(logits, temperature=temperature, sample=False)

    monkeypatch.setattr(cram, "choose", settled)
    found = model.train()(batch.tokens)
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-5)
    for name, loss in expected.losses.items():
        torch.testing.assert_close(found.losses[name], loss, rtol=1e-4, atol=1e-5)


def test_without_consolidation_there_are_two_branches(make: Make, task: SRCD) -> None:
    output = make("cram-no-consolidation")(Sampler(task, 0).sample(4).tokens)
    assert not output.probabilities[..., SEMANTIC].any()
    assert int(output.routing.max()) < SEMANTIC
    assert output.quality is None
    assert output.losses == {}
    assert list(output.costs) == ["episodic"]


@pytest.mark.slow
def test_attention_learns_to_retrieve_what_no_weight_can_know() -> None:
    """Novel keys have new values in every stream: above chance only through attention."""
    task = SRCD(length=64, query_fraction=0.1, patterns=10, novel_keys=32, values=8)
    config = model_config({"kind": "cram", "d_model": 32})
    model, sampler = build(config, task, seed=0), Sampler(task, 0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    torch.manual_seed(0)
    for _ in range(80):
        batch = sampler.sample(24)
        output = model(batch.tokens, attend_all=True)
        optimiser.zero_grad()
        (output.retrieval_loss(batch) + 0.1 * output.dynamics_loss(batch)).backward()
        optimiser.step()
    batch = sampler.sample(200)
    novel = (batch.answer > 0) & (batch.pattern == 0)
    with torch.no_grad():
        attending = model.eval()(batch.tokens, attend_all=True).correct(batch)[novel].float().mean()
    assert float(attending) > 0.9

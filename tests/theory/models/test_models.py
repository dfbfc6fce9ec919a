"""What holds for every kind of model: shapes, causality, repeatability, gradients, attention really skipped."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cogfit.errors import InputError
from theory.models import (
    BRANCHES,
    Model,
    Output,
    Sampler,
    attention,
    build,
    fast_weights,
    kinds,
    model_config,
    transmamba,
)
from theory.settings import shipped
from theory.tasks.srcd import QUERY, SRCD, Batch, Tokens
from theory.training.setup import load_setup

pytestmark = pytest.mark.slow  # every kind of model, several times

Make = Callable[..., Model]
CAN = {
    "mamba": 0.0,
    "mamba-fast": 0.0,
    "jamba": 1 / 3,
    "gated-deltanet": 0.0,
    "gated-deltanet-hybrid": 1 / 3,
    "gla": 0.0,
    "hgrn2": 0.0,
    "hgrn2-hybrid": 1 / 2,
}
"""Share of the layers that can attend, where not all of them can."""
ALWAYS = {**CAN, "cram-no-router": 1.0, "transformer": 1.0, "transmamba": (0 + 25 + 64) / (3 * 64)}
UNUSED = ("layers.2.step", "layers.2.log_rate", "layers.2.state_norm")  # in a layer that attends up to the end


def run(model: Model, tokens: Tokens[Tensor], *, training: bool, seed: int = 0, **options: bool) -> Output:
    model.train(training)
    torch.manual_seed(seed)
    with torch.no_grad():
        output: Output = model(tokens, **options)
    return output


def joined(one: Tokens[Tensor], other: Tokens[Tensor], cut: int) -> Tokens[Tensor]:
    """The first ``cut`` tokens of one, the rest of the other."""
    parts = {f.name: (getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one)}
    return Tokens(**{name: torch.cat([a[:, :cut], b[:, cut:]], 1) for name, (a, b) in parts.items()})


def total(output: Output, batch: Batch[Tensor]) -> Tensor:
    extra = [*output.losses.values(), *output.costs.values()]
    return output.retrieval_loss(batch) + output.dynamics_loss(batch) + torch.stack([torch.zeros(()), *extra]).sum()


@pytest.mark.parametrize("training", [True, False])
def test_output_has_its_shapes_and_ranges(variant: str, make: Make, task: SRCD, training: bool) -> None:
    model, batch = make(variant), Sampler(task, 1).sample(3)
    output, depth = run(model, batch.tokens, training=training), len(model.layers)
    assert output.logits.shape == (3, 64, task.values)
    assert output.dynamics.shape == (3, 64)
    assert output.routing.shape == (3, 64, depth)
    assert output.executed.dtype == torch.bool
    assert output.probabilities.shape == (3, 64, depth, 3)
    assert output.routing.dtype == torch.int64
    assert 0 <= int(output.routing.min()) <= int(output.routing.max()) < len(BRANCHES)
    torch.testing.assert_close(output.probabilities.sum(-1), torch.ones(3, 64, depth))
    for tensor in (output.logits, output.dynamics, output.probabilities, *output.losses.values()):
        assert torch.isfinite(tensor).all()
    if output.quality is not None:
        assert output.quality.shape == (3, 64, depth)
        assert ((output.quality >= 0) & (output.quality <= 1)).all()
    share = output.executed.float().mean().item()
    if variant in ALWAYS:
        assert share == pytest.approx(ALWAYS[variant])
    else:
        assert (0.005 if variant == "cram-queries" else 0.02) < share < 0.98  # only queries are routed there


@given(cut=st.integers(1, 63), seed=st.integers(0, 10_000), training=st.booleans())
@settings(max_examples=12)
def test_the_future_changes_nothing(variant: str, make: Make, task: SRCD, cut: int, seed: int, training: bool) -> None:
    model, sampler = make(variant, seed % 5), Sampler(task, seed)
    one, other = sampler.sample(2).tokens, sampler.sample(2).tokens
    before = run(model, one, training=training, seed=seed)
    after = run(model, joined(one, other, cut), training=training, seed=seed)
    for name in ("logits", "dynamics", "probabilities", "quality"):
        if getattr(before, name) is not None:
            left, right = (getattr(output, name)[:, :cut] for output in (before, after))
            torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)
    assert (before.routing[:, :cut] == after.routing[:, :cut]).all()


def test_a_seed_says_everything(variant: str, make: Make, task: SRCD) -> None:
    batch = Sampler(task, 0).sample(2)
    state = torch.get_rng_state()
    one, same, other = make(variant, 3), make(variant, 3), make(variant, 4)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    first, second = (run(model, batch.tokens, training=True, seed=5) for model in (one, same))
    assert torch.equal(first.logits, second.logits)
    assert torch.equal(first.routing, second.routing)
    first, second = (run(one, batch.tokens, training=False, seed=seed) for seed in (6, 7))
    assert torch.equal(first.logits, second.logits)  # nothing is drawn in evaluation


def test_every_parameter_learns(variant: str, make: Make, task: SRCD) -> None:
    model, batch = make(variant), Sampler(task, 1).sample(8)
    for name, buffer in model.named_buffers():
        if name.endswith("multiplier"):
            buffer.fill_(0.1)  # of the budget: 0 at first
    output = model(batch.tokens)
    total(output, batch).backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    never = [name for name in dict(model.named_parameters()) if name.startswith(UNUSED)]
    assert idle == (never if variant == "transmamba" else [])
    fast, slow = model.parameter_groups()
    assert {id(p) for p in (*fast, *slow)} == {id(p) for p in model.parameters()}
    assert len(fast) + len(slow) == len(list(model.parameters()))


class Spy:
    """Counts the rows that softmax attention computes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows = 0
        original = F.scaled_dot_product_attention

        def counted(q: Tensor, *others: Any, **options: Any) -> Tensor:
            self.rows += q.shape[0] * q.shape[2]
            return original(q, *others, **options)

        monkeypatch.setattr(F, "scaled_dot_product_attention", counted)


def test_rows_reported_are_the_rows_computed(
    variant: str, make: Make, task: SRCD, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a single stream nothing is filled up: as many rows pass through attention as the output reports."""
    model, spy = make(variant), Spy(monkeypatch)
    for seed in range(3):
        spy.rows = 0
        output = run(model, Sampler(task, seed).sample(1).tokens, training=False)
        assert spy.rows == int(output.executed.sum())


def test_skipping_rows_changes_nothing(variant: str, make: Make, task: SRCD, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows computed and the chosen ones kept give the same as computing the chosen ones."""
    model, batch = make(variant), Sampler(task, 2).sample(5)
    skipped = run(model, batch.tokens, training=False)
    original = attention.attend

    def dense(q: Tensor, k: Tensor, v: Tensor, *, mask: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
        found = original(q, k, v, mask=mask)
        return found if rows is None else found * rows[:, None, :, None]

    for module in (attention, fast_weights, transmamba):
        monkeypatch.setattr(module, "attend", dense)
    full = run(model, batch.tokens, training=False)
    torch.testing.assert_close(skipped.logits, full.logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(skipped.dynamics, full.dynamics, rtol=1e-4, atol=1e-5)
    assert torch.equal(skipped.routing, full.routing)


def test_all_attend_where_they_can_when_told_to(variant: str, make: Make, task: SRCD) -> None:
    for training in (True, False):
        tokens = Sampler(task, 2).sample(2).tokens
        output = run(make(variant), tokens, training=training, attend_all=True)
        queries = (tokens.kind == QUERY).float().mean().item()
        share = queries if variant == "cram-queries" else CAN.get(variant, 1.0)  # only queries are routed there
        assert output.executed.float().mean().item() == pytest.approx(share)


def test_losses_are_those_of_the_formulas(task: SRCD, make: Make) -> None:
    batch = Sampler(task, 4).sample(2)
    output = run(make("transformer"), batch.tokens, training=False)
    terms = []
    for row, t in (batch.answer > 0).nonzero().tolist():
        terms.append(-output.logits[row, t].log_softmax(-1)[batch.answer[row, t] - 1])
    torch.testing.assert_close(output.retrieval_loss(batch), torch.stack(terms).mean())
    error = ((output.dynamics - batch.target) ** 2).mean()
    torch.testing.assert_close(output.dynamics_loss(batch), error)
    right = [(output.logits[r, t].argmax() + 1 == batch.answer[r, t]) for r, t in (batch.answer > 0).nonzero().tolist()]
    assert int(output.correct(batch).sum()) == int(sum(right))
    none = dataclasses.replace(batch, answer=torch.zeros_like(batch.answer))
    assert float(output.retrieval_loss(none)) == 0


@pytest.mark.parametrize("name", shipped())
def test_shipped_configurations_build_models_that_run(name: str) -> None:
    setup = load_setup(name)
    small = {"length": 64, "patterns": 8} if setup.data.layout == "header" else {"length": 64}
    task = SRCD(**{**setup.data.to_json(), **small})
    model = build(setup.model, task, seed=0)
    output = run(model, Sampler(task, 0).sample(1).tokens, training=False)
    assert torch.isfinite(output.logits).all()
    assert model_config(setup.model.to_json()) == setup.model


def test_every_kind_is_shipped_and_described() -> None:
    assert {load_setup(name).model.kind for name in shipped()} == set(kinds())
    for name, kind in kinds().items():
        assert kind.config(kind=name).kind == name
        assert kind.title
        assert kind.routing


@pytest.mark.parametrize("name", kinds())
@pytest.mark.parametrize("field", ["layers", "heads", "d_model"])
def test_no_kind_takes_an_impossible_size(name: str, field: str) -> None:
    for size in (0, -1, 2.5):
        with pytest.raises(InputError, match=f"'{field}' cannot be"):
            model_config({"kind": name, field: size})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[model]\nkind = "crm"', "no model of kind 'crm'; did you mean 'cram'"),
        ("[model]\nlayers = 2", "the model has no 'kind'"),
        ('[model]\nkind = "cram"\ncapcity = 3', "CramConfig has no setting 'capcity'; did you mean 'capacity'"),
        ('[model]\nkind = "mamba"\ncapacity = 3', "MambaConfig has no setting 'capacity'"),
        ('[model]\nkind = "cram"\nlayers = 1.5', "'layers' cannot be 1.5"),
        ('[model]\nkind = "cram"\nheads = 3', "3 heads do not divide d_model = 64"),
        ('[model]\nkind = "jamba"\nssm_heads = 3', "3 ssm_heads do not divide"),
        ('[model]\nkind = "jamba"\nplace = 8', "no layer 8 in a period of 8"),
        ('[model]\nkind = "gla"\nlayers = 3\nratio = 3', "3 layers have no full attention at ratio = 3; use 4 or more"),
        ('[model]\nkind = "hgrn2"\nratio = -1', "'ratio' cannot be -1"),
        ('[model]\nkind = "transmamba"\nswitch = [0.1, 0.2, 0.3, 0.4, 0.5]', "5 entries for 4 layers"),
        ('[model]\nkind = "cram"\n[trainin]\nsteps = 3', "'trainin' is no table"),
        ('model = "cram"', "'model' is no table"),
    ],
)
def test_configurations_are_refused_with_a_reason(tmp_path: Any, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_setup(path)
    assert "mine.toml" in str(caught.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_device_gives_what_the_cpu_gives(variant: str, make: Make, task: SRCD) -> None:
    model, batch = make(variant), Sampler(task, 0, "cuda").sample(4)
    here = Tokens(**{f.name: getattr(batch.tokens, f.name).cpu() for f in dataclasses.fields(batch.tokens)})
    expected = run(model, here, training=False)
    found = run(model.cuda(), batch.tokens, training=False)
    same = (found.routing.cpu() == expected.routing).all(-1)  # scores within rounding of each other may swap
    assert same.float().mean() > 0.95
    if same.all():
        torch.testing.assert_close(found.logits.cpu(), expected.logits, rtol=1e-3, atol=1e-3)

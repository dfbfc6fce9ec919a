"""Fast computation is the same function with the same gradient."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from theory.models import Model, Output, Sampler, build
from theory.models.attention import attend, attend_biased, attend_taught
from theory.models.cram import CramLayer
from theory.models.scan import fast_average, fast_scan, moving_average, selective_scan
from theory.tasks.srcd import SRCD, Batch
from theory.training.trainer import Losses, objective

Make = Callable[..., Model]


def in_double(batch: Batch[Tensor]) -> Batch[Tensor]:
    tokens = dataclasses.replace(batch.tokens, signal=batch.tokens.signal.double(), gap=batch.tokens.gap.double())
    return dataclasses.replace(batch, tokens=tokens, target=batch.target.double())


Step = tuple[Output, Tensor, dict[str, Tensor | None]]


def one_step(model: Model, batch: Batch[Tensor], *, attend_all: bool) -> Step:
    """Output, loss and gradients, with the same noise of the routers."""
    torch.manual_seed(0)
    output = model(batch.tokens, attend_all=attend_all)
    loss = objective(output, Losses.of(output, batch), dynamics_weight=1.0, costs=0.7)
    loss.backward()
    return output, loss, {name: p.grad for name, p in model.named_parameters()}


@pytest.mark.parametrize("attend_all", [False, True])
def test_every_model_has_the_same_losses_and_gradients(variant: str, make: Make, task: SRCD, attend_all: bool) -> None:
    slow = make(variant, compute="reference").double()
    fast = build(slow.config.model_copy(update={"compute": "fast"}), task, 0).double()
    fast.load_state_dict(slow.state_dict())
    batch = in_double(Sampler(task, 3).sample(6))
    expected, expected_loss, expected_gradients = one_step(slow, batch, attend_all=attend_all)
    found, loss, gradients = one_step(fast, batch, attend_all=attend_all)
    assert torch.equal(found.routing, expected.routing)
    torch.testing.assert_close(found.logits, expected.logits)
    torch.testing.assert_close(loss, expected_loss)
    for name, expected_gradient in expected_gradients.items():
        gradient = gradients[name]
        # without a gradient AdamW leaves a parameter alone, with one of zero it decays
        assert (gradient is None) == (expected_gradient is None), name
        if gradient is not None:
            torch.testing.assert_close(gradient, expected_gradient, rtol=1e-8, atol=1e-12, msg=name)


def test_rows_without_attention_are_no_special_case(make: Make, task: SRCD) -> None:
    """All tokens down one branch: nothing is gathered, yet every parameter has its gradient, of zero."""
    batch, gradients = in_double(Sampler(task, 3).sample(2)), []
    slow = make("cram", compute="reference", layers=1).double()
    fast = build(slow.config.model_copy(update={"compute": "fast"}), task, 0).double()
    for model in (slow, fast):
        model.load_state_dict(slow.state_dict())
        layer = model.layers[0]
        assert isinstance(layer, CramLayer)
        assert layer.router.body is not None
        last = layer.router.body[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.bias.copy_(torch.tensor([1e4, 0.0, 0.0]))
        output, _, own = one_step(model, batch, attend_all=False)
        assert not output.executed.any()
        gradients.append(own)
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert gradient is not None
        assert gradients[1][name] is not None, name
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-8, atol=1e-12, msg=name)


def test_fast_steps_follow_the_reference_for_a_while(make: Make, task: SRCD) -> None:
    """In single precision rounding differs, and nothing else: after ten updates they are still together."""
    states = []
    for compute in ("reference", "fast"):
        model = make("cram", compute=compute)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        torch.manual_seed(0)
        sampler = Sampler(task, 1)
        for _ in range(10):
            batch = sampler.sample(8)
            output = model(batch.tokens)
            optimizer.zero_grad()
            objective(output, Losses.of(output, batch), dynamics_weight=1.0, costs=0.5).backward()
            optimizer.step()
        states.append(model.state_dict())
    moved = [value - make("cram").state_dict()[name] for name, value in states[0].items()]
    apart = [states[0][name] - value for name, value in states[1].items()]
    size = torch.cat([m.flatten() for m in moved]).norm()
    assert torch.cat([a.flatten() for a in apart]).norm() < 0.01 * size


# ------------------------------------------------------------------------------------------------------ parts


def leaf(*shape: int, seed: int, **options: Any) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64, **options).requires_grad_()


@given(
    n=st.integers(1, 70),
    chunk=st.integers(1, 16),
    heads=st.integers(1, 3),
    is_shared=st.booleans(),
    seed=st.integers(0, 999),
    scale=st.sampled_from([0.01, 1.0, 60.0]),
)
@settings(max_examples=40)
def test_the_fast_scan_is_the_scan(n: int, chunk: int, heads: int, is_shared: bool, seed: int, scale: float) -> None:
    u, b, c = (
        leaf(2, n, heads, 3, seed=seed),
        *(leaf(2, n, 1 if is_shared else heads, 4, seed=seed + k) for k in (1, 2)),
    )
    log = (-scale * leaf(2, n, heads, seed=seed + 4).detach().abs()).requires_grad_()
    weight = leaf(2, n, heads, 3, seed=seed + 3).detach()
    wide = [part.expand(-1, -1, heads, -1) for part in (b, c)]
    ways = [selective_scan(u, log, *wide), fast_scan(u, log, b, c, chunk=chunk)]
    torch.testing.assert_close(ways[1], ways[0])
    slow, fast = (torch.autograd.grad((way * weight).sum(), (u, log, b, c)) for way in ways)
    for gradient, expected in zip(fast, slow, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-8, atol=1e-10)


def test_the_fast_scan_keeps_its_digits_over_a_long_stream() -> None:
    rng = torch.Generator().manual_seed(0)
    u, b, c = (torch.randn(1, 4096, 1, 2, generator=rng) for _ in range(3))
    log = -20 * torch.rand(1, 4096, 1, generator=rng)
    exact = selective_scan(u.double(), log.double(), b.double(), c.double())
    torch.testing.assert_close(fast_scan(u, log, b, c).double(), exact, rtol=1e-4, atol=1e-4)


@given(n=st.integers(1, 150), a=st.floats(0.01, 0.99), chunk=st.integers(1, 64), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_the_fast_average_is_the_average(n: int, a: float, chunk: int, seed: int) -> None:
    x = leaf(2, n, 3, seed=seed).detach()
    torch.testing.assert_close(fast_average(x, a, chunk=chunk), moving_average(x, a))


def test_a_bias_per_key_is_a_mask_of_scores() -> None:
    q, k, v = (leaf(2, 3, 9, 4, seed=seed) for seed in range(3))
    bias = leaf(2, 9, seed=3)
    above = torch.ones(9, 9, dtype=torch.bool).triu(1)
    expected = attend(q, k, v, mask=bias.unsqueeze(1).masked_fill(above, -torch.inf))
    found = attend_biased(q, k, v, bias)
    torch.testing.assert_close(found, expected)
    for gradient, other in zip(
        torch.autograd.grad(found.sin().sum(), (q, k, v, bias)),
        torch.autograd.grad(expected.sin().sum(), (q, k, v, bias)),
        strict=True,
    ):
        torch.testing.assert_close(gradient, other)


def test_rows_that_are_not_taught_pass_no_gradient() -> None:
    q, k, v = (leaf(2, 1, 7, 4, seed=seed) for seed in range(3))
    rows = torch.zeros(2, 7, dtype=torch.bool)
    rows[0, 5] = rows[1, 2] = True
    whole = attend(q, k, v)
    taught = attend_taught(q, k, v, rows=rows)
    torch.testing.assert_close(taught, whole)
    weight = leaf(2, 1, 7, 4, seed=4).detach() * rows[:, None, :, None]
    for gradient, expected in zip(
        torch.autograd.grad((taught * weight).sum(), (q, k, v)),
        torch.autograd.grad((whole * weight).sum(), (q, k, v)),
        strict=True,
    ):
        torch.testing.assert_close(gradient, expected)


# ---------------------------------------------------------------------------------------- routes and ablations


def test_with_routes_for_queries_no_other_token_is_routed(make: Make, task: SRCD) -> None:
    for training in (True, False):
        model, batch = make("cram-queries").train(training), Sampler(task, 2).sample(5)
        asked = batch.answer > 0
        output = model(batch.tokens)
        assert not output.routing[~asked].any()
        assert len(output.routing[asked].unique()) == 3
        assert (output.probabilities[~asked][..., 0] == 1).all()
        forced = model(batch.tokens, attend_all=True)
        assert torch.equal(forced.executed[..., 0], asked)


def test_routing_queries_alone_answers_them_as_if_all_tokens_were_routed_so(make: Make, task: SRCD) -> None:
    """Where the router of all tokens leaves the others in working memory, the two models are the same."""
    narrow = make("cram-queries").eval()
    wide = build(narrow.config.model_copy(update={"routes": "tokens"}), task, 0).eval()
    wide.load_state_dict(narrow.state_dict())
    batch = Sampler(task, 2).sample(5)
    asked = batch.answer > 0
    layer = wide.layers[0]
    assert isinstance(layer, CramLayer)

    def stay(_module: nn.Module, _inputs: object, choice: Any) -> Any:
        working = torch.zeros_like(choice.weights)
        working[..., 0] = 1.0
        weights = torch.where(asked.unsqueeze(-1), choice.weights, working)
        return type(choice)(weights, choice.probabilities)

    layer.router.register_forward_hook(stay)
    torch.testing.assert_close(wide(batch.tokens).logits, narrow(batch.tokens).logits)
    assert torch.equal(wide(batch.tokens).routing, narrow(batch.tokens).routing)


def test_without_a_router_every_token_has_all_branches(make: Make, task: SRCD) -> None:
    output = make("cram-no-router")(Sampler(task, 2).sample(3).tokens)
    torch.testing.assert_close(output.probabilities, torch.full_like(output.probabilities, 1 / 3))
    assert output.executed.all()


def test_without_euler_steps_working_memory_hands_on_its_input(make: Make) -> None:
    layer = make("cram-no-ode").layers[0]
    assert isinstance(layer, CramLayer)
    x = torch.randn(2, 5, 16)
    assert layer.working(x, torch.rand(2, 5)) is x
    assert not list(layer.working.parameters())

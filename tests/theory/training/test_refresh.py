"""Unlearning before learning: by hand on a quadratic, and as a trainer that is plain where nothing is unlearned."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from cogfit.errors import InputError
from theory.tasks.srcd import Batch
from theory.training.loop import Streams
from theory.training.refresh import Refreshing, damped_inverse, fisher_diagonal, unlearn
from theory.training.reproducibility import deterministic
from theory.training.setup import Setup, load_setup
from theory.training.trainer import Losses, Single, index_batch, objective

CPU = torch.device("cpu")


def small(kind: str = "mamba", **changes: Any) -> Setup:
    base = {
        "data.length": 32, "data.patterns": 4, "data.novel_keys": 8, "data.values": 4, "data.query_fraction": 0.25,
        "model.d_model": 16, "model.heads": 1, "model.layers": 1, "training.batch": 4,
    }  # fmt: skip
    return load_setup(f"{kind}-n256", base | changes)


def drawn(setup: Setup, seed: int = 0) -> Batch[torch.Tensor]:
    return Streams([setup.data], setup.training.batch, seed, CPU).sample()


def test_unlearning_a_quadratic_by_hand() -> None:
    """L = ½ Σ aθ², so ∇L = aθ: θ goes to θ(1 + γas), away from the minimum, and the less so the larger F."""
    curvature, importance = torch.tensor([2.0, 2.0]), torch.tensor([0.0, 2.0])
    theta = torch.tensor([1.0, -1.0], requires_grad=True)
    loss = (0.5 * curvature * theta**2).sum()
    (scale,) = damped_inverse([importance])
    assert scale.tolist() == pytest.approx([1, 1 / 3])
    unlearn([theta], torch.autograd.grad(loss, [theta]), [scale], rate=0.3)
    assert theta.tolist() == pytest.approx([1.6, -1.2])
    assert (0.5 * curvature * theta**2).sum() > loss


def test_the_noise_has_the_variance_of_the_paper() -> None:
    many = torch.zeros(40_000)
    generator = torch.Generator().manual_seed(0)
    unlearn([many], [torch.zeros(40_000)], [torch.full((40_000,), 0.5)], rate=0.2, temperature=3.0, generator=generator)
    assert float(many.var()) == pytest.approx(2 * 0.2 * 3.0 * 0.5, rel=0.03)
    assert abs(float(many.mean())) < 0.02


def test_without_information_all_parameters_are_alike() -> None:
    assert [scale.tolist() for scale in damped_inverse([torch.zeros(2), torch.zeros(1)])] == [[1, 1], [1]]


@pytest.mark.parametrize("kind", ["mamba", "transformer"])
def test_at_rate_0_training_is_the_plain_one(kind: str) -> None:
    setup = small(kind)
    ends = []
    for trainer in (Single(setup, CPU), Refreshing(setup, CPU, rate=0.0, temperature=1.0)):
        with deterministic(0, CPU):
            for seed in range(2):
                trainer.advance(drawn(setup, seed), attend_all=False, costs=1.0)
        ends.append(trainer.model.state_dict())
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


def test_an_update_is_a_step_uphill_and_then_a_plain_one() -> None:
    setup = small()
    batch = drawn(setup)
    refreshing, plain = Refreshing(setup, CPU, rate=0.05), Single(setup, CPU)
    start = copy.deepcopy(plain.model)
    # by hand: the gradient of the objective, clipped to norm 1, is added to the parameters
    output = plain.model(index_batch(batch, 0).tokens)
    losses = Losses.of(output, index_batch(batch, 0))
    loss = objective(output, losses, dynamics_weight=1.0, costs=1.0)
    gradients = torch.autograd.grad(loss, list(plain.model.parameters()), allow_unused=True)
    norm = torch.stack([g.norm() for g in gradients if g is not None]).norm()
    with torch.no_grad():
        for parameter, gradient in zip(plain.model.parameters(), gradients, strict=True):
            if gradient is not None:
                parameter += 0.05 * gradient / norm.clamp_min(1.0)
    plain.advance(batch, attend_all=False, costs=1.0)
    refreshing.advance(batch, attend_all=False, costs=1.0)
    moved = 0.0
    for name, value in refreshing.model.state_dict().items():
        torch.testing.assert_close(value, plain.model.state_dict()[name], rtol=1e-4, atol=2e-5)
        moved = max(moved, float((value - start.state_dict()[name]).abs().max()))
    assert moved > 1e-3


def test_training_goes_on_from_its_state_to_the_bit() -> None:
    setup = small()
    options: dict[str, Any] = {"rate": 0.01, "temperature": 1e-3}
    whole, first, second = (Refreshing(setup, CPU, **options) for _ in range(3))
    for seed in range(3):
        whole.advance(drawn(setup, seed), attend_all=False, costs=1.0)
    first.advance(drawn(setup, 0), attend_all=False, costs=1.0)
    second.restore(copy.deepcopy(first.state()))
    for seed in (1, 2):
        second.advance(drawn(setup, seed), attend_all=False, costs=1.0)
    assert all(torch.equal(v, second.model.state_dict()[name]) for name, v in whole.model.state_dict().items())


def test_information_is_the_mean_of_squared_gradients_over_streams() -> None:
    setup = small()
    model = Single(setup, CPU).model
    one = fisher_diagonal(model, setup.data, streams=3, seed=5)
    assert set(one) == {name for name, _ in model.named_parameters()}
    assert all((value >= 0).all() for value in one.values())
    assert float(one["answer.weight"].sum()) > 0
    assert float(one["dynamics.weight"].sum()) == 0  # no answer depends on it
    # by hand: streams one after the other from the same generator
    from theory.models import Sampler

    sampler, total = Sampler(setup.data, 5), torch.zeros_like(one["answer.bias"])
    for _ in range(3):
        batch = sampler.sample(1)
        (gradient,) = torch.autograd.grad(model(batch.tokens).retrieval_loss(batch), [model.answer.bias])
        total += gradient**2 / 3
    torch.testing.assert_close(one["answer.bias"], total)


def test_what_cannot_be_unlearned_is_refused() -> None:
    setup = small()
    for options, message in (
        ({"rate": -0.1}, "the rate of unlearning cannot be -0.1"),
        ({"rate": float("nan")}, "the rate of unlearning cannot be nan"),
        ({"rate": 0.1, "temperature": -1.0}, "the temperature of unlearning cannot be -1.0"),
        ({"rate": 0.1, "importance": {}}, "is not there"),
    ):
        with pytest.raises(InputError, match=message):
            Refreshing(setup, CPU, **options)

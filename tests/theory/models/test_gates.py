"""Sampling of decisions: the Gumbel-max law, the Hard-Concrete law, dual ascent."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from theory.models.gates import HardConcrete, ascend, choose


def test_choices_are_drawn_with_the_probabilities_of_the_softmax() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([1.0, -0.5, 0.3])
    for temperature in (0.3, 2.0):  # which relaxes the gradient, not the choice
        choice = choose(logits.expand(30_000, 3), temperature=temperature, sample=True)
        count = torch.bincount(choice.index, minlength=3)
        assert stats.chisquare(count, 30_000 * logits.double().softmax(0)).pvalue > 1e-3


def test_a_choice_is_hard_forward_and_soft_backward() -> None:
    logits = torch.tensor([[0.2, 0.1, -1.0]] * 50, requires_grad=True)
    torch.manual_seed(1)
    choice = choose(logits, temperature=0.7, sample=True)
    assert set(choice.weights.unique().tolist()) == {0.0, 1.0}
    assert (choice.weights.sum(-1) == 1).all()
    (choice.weights @ torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    torch.manual_seed(1)
    other = logits.detach().clone().requires_grad_()
    relaxed = ((other - torch.empty_like(other).exponential_().log()) / 0.7).softmax(-1)
    (relaxed @ torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    torch.testing.assert_close(logits.grad, other.grad)
    assert (choose(logits, temperature=0.7, sample=False).index == 0).all()


GATES = st.builds(HardConcrete, temperature=st.floats(0.2, 1.5), low=st.floats(-0.5, -0.02), high=st.floats(1.02, 1.5))
GRID = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000


@given(GATES, st.floats(-4, 4))
@settings(max_examples=60)
def test_probabilities_of_zero_and_one(gate: HardConcrete, s: float) -> None:
    """Against the share of uniform numbers, taken on a fine grid, that give exactly 0 or 1."""
    score = torch.tensor(s, dtype=torch.float64)
    value = gate.value(score, GRID)
    assert float((value == 0).double().mean()) == pytest.approx(float(gate.zero(score)), abs=1e-4)
    assert float((value == 1).double().mean()) == pytest.approx(float(gate.one(score)), abs=1e-4)
    assert bool((value.diff() >= 0).all())


def test_samples_have_these_probabilities() -> None:
    torch.manual_seed(0)
    gate = HardConcrete()
    for s in (-2.0, 0.0, 1.5):
        score = torch.tensor(s)
        z = gate.sample(score.expand(50_000))
        for found, p in (((z == 0).sum(), gate.zero(score)), ((z == 1).sum(), gate.one(score))):
            assert stats.binomtest(int(found), 50_000, float(p)).pvalue > 1e-3


@given(st.floats(-6, 6))
def test_a_gate_is_no_bernoulli_variable(s: float) -> None:
    """Lemma 1 of Adaptive Retention takes z̃ ~ Bernoulli(σ(s)). There is mass in between, and z̃ > 0 is likelier."""
    gate, score = HardConcrete(), torch.tensor(s, dtype=torch.float64)
    assert float(1 - gate.zero(score) - gate.one(score)) > 1e-3
    assert float(1 - gate.zero(score)) > float(score.sigmoid())


def test_the_gradient_is_unbiased_for_the_relaxed_objective_and_for_no_other() -> None:
    """Reparametrised gradients of E[z̃²] against its derivative; that of E[b²], b ~ Bernoulli(σ(s)), is elsewhere."""
    torch.manual_seed(0)
    gate, n = HardConcrete(), 100_000
    s = torch.full((n,), 1.2, requires_grad=True)
    (gate.sample(s) ** 2).sum().backward()
    assert s.grad is not None
    draws = s.grad.double().numpy()
    low, high = (
        float((gate.value(torch.tensor(1.2 + e, dtype=torch.float64), GRID) ** 2).mean()) for e in (-1e-3, 1e-3)
    )
    exact = (high - low) / 2e-3
    assert draws.mean() == pytest.approx(exact, abs=5 * draws.std() / math.sqrt(n))
    p = 1 / (1 + math.exp(-1.2))
    assert abs(p * (1 - p) - exact) > 20 * draws.std() / math.sqrt(n)
    # Lemma 2: the variance of the mean over B samples is C/B.
    variance = [draws[: n // size * size].reshape(-1, size).mean(1).var() for size in (1, 10, 100)]
    assert variance[0] / variance[1] == pytest.approx(10, rel=0.1)
    assert variance[0] / variance[2] == pytest.approx(100, rel=0.2)


def test_dual_ascent_ends_on_the_budget() -> None:
    """min Σ w_t (1 − p_t)² s.t. Σp ≤ M: the multiplier found is that of the solution, and there is no slack."""
    rng = np.random.default_rng(0)
    w, budget = torch.from_numpy(rng.uniform(0.2, 1, 40)), 12.0
    p, multiplier = torch.full((40,), 0.9, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for _ in range(4000):
        p = (p - 0.05 * (-2 * w * (1 - p) + multiplier)).clamp(0, 1)
        multiplier = ascend(multiplier, p.sum(), budget, 0.01)
    best = (1 - multiplier / (2 * w)).clamp(0, 1)  # minimiser of the Lagrangian
    torch.testing.assert_close(p, best, rtol=0, atol=1e-4)
    assert float(p.sum()) == pytest.approx(budget, abs=1e-3)
    loose = ascend(torch.tensor(0.01), torch.tensor(3.0), 12.0, 0.01)
    assert float(loose) == 0  # a budget that does not bind costs nothing
    optimum = float((w * (1 - p) ** 2).sum())
    for fixed in (0.1, 0.5, 1.0, 1.5):  # Prop. 1: the excess at a fixed multiplier
        at = (1 - fixed / (2 * w)).clamp(0, 1)
        assert float(at.sum()) - budget <= (optimum - float((w * (1 - at) ** 2).sum())) / fixed + 1e-6

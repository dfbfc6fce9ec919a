"""Adaptive Retention: the score, what a gate of zero means, which tokens are kept, the budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from theory.models import Model, Sampler
from theory.models.base import EPISODIC, Context
from theory.models.retention import RetentionConfig, RetentionLayer, RetentionScore
from theory.tasks.srcd import SRCD

Make = Callable[..., Model]
PLAIN = Context(torch.zeros(1), torch.zeros(1, dtype=torch.bool), torch.ones(()), lambda x: x, attend_all=False)


def layer_of(kept: int, **settings: Any) -> RetentionLayer:
    torch.manual_seed(0)
    return RetentionLayer(RetentionConfig(d_model=8, heads=2, budget=kept / 100, **settings), 100).eval()


def test_the_score_is_the_recurrence() -> None:
    torch.manual_seed(0)
    score, h = RetentionScore(6, 0.8, 0.5).double(), torch.randn(2, 15, 6, dtype=torch.float64)
    m, expected = torch.zeros(2, 6, dtype=torch.float64), []
    for t in range(15):
        inner = h[:, t] @ score.here.weight.T + m @ score.before.weight.T
        expected.append(torch.tanh(inner) @ score.read.weight[0] + 0.5)
        m = 0.8 * m + 0.2 * h[:, t]
    torch.testing.assert_close(score(h), torch.stack(expected, 1))


@given(seed=st.integers(0, 999), kept=st.integers(1, 20), n=st.integers(1, 20))
@settings(max_examples=20)
def test_at_any_time_the_best_tokens_so_far_are_kept(seed: int, kept: int, n: int) -> None:
    layer, state = layer_of(kept), torch.randn(2, n, 8, generator=torch.Generator().manual_seed(seed))
    p = layer.score(state).sigmoid().detach()
    entered, found = layer.online(state, p)
    q, k, v = layer.attention.project(state)
    for row in range(2):
        memory: list[int] = []
        for t in range(n):
            memory = sorted([*memory, t], key=lambda s: -float(p[row, s]))[:kept]
            assert bool(entered[row, t]) == (t in memory)
            if t in memory:
                heads = [(k[row, h, memory] @ q[row, h, t] / 2).softmax(0) @ v[row, h, memory] for h in range(2)]
                torch.testing.assert_close(
                    found[row, t], layer.attention.output(torch.cat(heads)), rtol=1e-4, atol=1e-5
                )
            else:
                assert not found[row, t].any()
        final, _ = layer.offline(state, p)
        assert final[row].nonzero().flatten().tolist() == sorted(memory)


def test_offline_attention_is_among_m_tokens_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prop. 3: M × M scores instead of T × T; the same numbers as the full matrix with the others masked."""
    layer, state = layer_of(7), torch.randn(3, 40, 8)
    p = layer.score(state).sigmoid()
    sizes = []
    original = F.scaled_dot_product_attention

    def noted(q: Tensor, k: Tensor, *others: Any, **options: Any) -> Tensor:
        sizes.append((q.shape[2], k.shape[2]))
        return original(q, k, *others, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", noted)
    retained, found = layer.offline(state, p)
    assert sizes == [(7, 7)]
    assert (retained.sum(1) == 7).all()
    assert (p.masked_fill(~retained, 2).amin(1) >= p.masked_fill(retained, -1).amax(1)).all()
    mask = retained[:, None, :] & torch.ones(40, 40, dtype=torch.bool).tril()
    torch.testing.assert_close(found, layer.attention(state, mask=mask, rows=retained), rtol=1e-4, atol=1e-5)


def test_offline_selection_looks_into_the_future() -> None:
    layer, state = layer_of(5, selection="offline"), torch.randn(1, 40, 8)
    p = torch.linspace(0.1, 0.9, 40)[None]
    before, _ = layer.offline(state[:, :20], p[:, :20])
    after, _ = layer.offline(state, p)
    assert before.any()
    assert not after[:, :20].any()


def test_a_gate_of_zero_is_the_same_as_leaving_the_token_out(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = layer_of(6, selection="offline"), torch.randn(2, 30, 8)
    expected, trace = layer(x, PLAIN)
    monkeypatch.setattr(type(layer.gate), "sample", lambda gate, s: (trace.routing == EPISODIC).to(s.dtype))
    torch.testing.assert_close(layer.train()(x, PLAIN)[0], expected, rtol=1e-4, atol=1e-5)


def test_training_keeps_the_budget(make: Make, task: SRCD) -> None:
    """Dropping a token costs something; dual ascent brings the expected number of retained ones to M all the same."""
    model = make("retention", budget=0.25, layers=1, budget_unit="tokens", dual_rate=1e-3)
    tokens = Sampler(task, 0).sample(2).tokens
    worth = torch.rand(2, 64, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    torch.manual_seed(0)
    expected = []
    for _ in range(200):
        output = model(tokens)
        p = output.probabilities[..., 0, EPISODIC]
        loss = (worth * (1 - p) ** 2).sum(1).mean() + output.costs["budget"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        model.after_step(output)
        expected.append(float(p.detach().sum(1).mean()))
    assert expected[0] > 30
    assert sum(expected[-100:]) / 100 == pytest.approx(16, rel=0.1)
    assert float(next(model.buffers())) > 0

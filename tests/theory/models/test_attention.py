"""Attention row by row, and buffers that hold what they say."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.models.attention import Attention, attend, largest, newest
from theory.models.cram import CramConfig, EpisodicMemory


@given(seed=st.integers(0, 999), share=st.floats(0, 1), masked=st.booleans())
@settings(max_examples=40)
def test_chosen_rows_are_softmax_attention_and_the_others_are_nothing(seed: int, share: float, masked: bool) -> None:
    rng = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(3, 2, 10, 4, generator=rng, dtype=torch.float64) for _ in range(3))
    rows = torch.rand(3, 10, generator=rng) < share
    allowed = torch.ones(10, 10, dtype=torch.bool).tril().expand(3, 10, 10)
    if masked:
        allowed = allowed & ((torch.rand(3, 10, 10, generator=rng) < 0.5) | torch.eye(10, dtype=torch.bool))
    found = attend(q, k, v, mask=allowed if masked else None, rows=rows)
    score = torch.einsum("bhtd,bhsd->bhts", q, k) / 2
    expected = score.masked_fill(~allowed[:, None], -torch.inf).softmax(-1) @ v
    torch.testing.assert_close(found, expected * rows[:, None, :, None])


def test_a_row_without_a_past_finds_nothing() -> None:
    torch.manual_seed(0)
    layer, x = Attention(8, 2, past_only=True), torch.randn(2, 5, 8)
    assert not layer(x)[:, 0].any()
    hidden = torch.zeros(2, 5, 5, dtype=torch.bool)
    assert not layer(x, mask=hidden).any()
    own = hidden | torch.eye(5, dtype=torch.bool)
    assert not layer(x, mask=own).any()  # not even itself
    changed = x.clone()
    changed[:, 4] += 1
    rest = [layer(y)[:, :4] for y in (x, changed)]
    torch.testing.assert_close(*rest)


def test_identity_start_finds_the_token_with_the_same_key() -> None:
    torch.manual_seed(0)
    layer = Attention(64, 1, identity=1.0, past_only=True)
    keys = torch.randn(20, 64)
    x = torch.cat([keys, keys[[3]]])[None]
    q, k, _ = layer.project(x)
    weight = (q[0, 0, 20] @ k[0, 0].T / math.sqrt(64)).softmax(0)
    assert weight.argmax() == 4  # place 0 is the empty slot
    assert weight[4] > 0.9


@given(seed=st.integers(0, 9999), capacity=st.integers(1, 8), n=st.integers(1, 30), share=st.floats(0, 1))
@settings(max_examples=60)
def test_buffers_hold_what_a_list_would(seed: int, capacity: int, n: int, share: float) -> None:
    rng = torch.Generator().manual_seed(seed)
    written = torch.rand(1, n, generator=rng) < share
    score = torch.randint(0, 6, (1, n), generator=rng).float()  # with ties
    queue, ranked = newest(written, capacity), largest(score, written, capacity, block=7)
    held: list[int] = []
    best: list[int] = []
    for t in range(n):
        if written[0, t]:
            held = [*held, t][-capacity:]
            best = sorted([*best, t], key=lambda s: (-float(score[0, s]), s))[:capacity]
        assert queue[0, t].nonzero().flatten().tolist() == held
        assert ranked[0, t].nonzero().flatten().tolist() == sorted(best)


@pytest.mark.parametrize("evict", ["oldest", "least_novel"])
@pytest.mark.parametrize("write", ["all", "novel"])
def test_the_episodic_buffer_is_bounded_and_holds_the_past(write: str, evict: str) -> None:
    torch.manual_seed(0)
    memory = EpisodicMemory(CramConfig(d_model=8, capacity=4, write=write, evict=evict))  # type: ignore[arg-type]
    x = torch.randn(3, 50, 8)
    held = memory.buffer(x)
    assert held is not None
    assert int(held.sum(2).max()) == 4
    assert not held.triu().any()
    if write == "novel":
        assert not held.any(1).all(1).any()  # some token is never written
    assert EpisodicMemory(CramConfig(d_model=8, capacity=50)).buffer(x) is None


def test_novelty_is_large_where_the_stream_changes() -> None:
    memory = EpisodicMemory(CramConfig(d_model=8, capacity=4, novelty_decay=0.8))
    x = torch.ones(1, 60, 8)
    x[:, 40] = -1
    novelty = memory.novelty(x)[0]
    assert novelty[1:].argmax() == 39
    assert novelty[39] < 1e-3 < 3 < novelty[40]

"""What is kept of a prompt beside kvpress: by its definitions, on random scores."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from theory.lm.attention import Attending  # noqa: E402

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
HEADS, GROUP, TOKENS, CONTEXT, BUDGET = 6, 3, 40, 30, 9


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("kvpress_peer")


def attending() -> Attending:
    torch.manual_seed(0)
    scores = torch.randn(1, HEADS, TOKENS, TOKENS)
    later = torch.triu(torch.ones(TOKENS, TOKENS, dtype=torch.bool), 1)
    query, key = torch.zeros(1, HEADS, TOKENS, 4), torch.zeros(1, HEADS // GROUP, TOKENS, 4)
    return Attending(1, query, key, key, scores.masked_fill(later, -torch.inf))


@pytest.mark.parametrize("policy", ["streaming", "observed-attention"])
def test_a_prompt_is_read_in_full_and_so_many_tokens_are_kept_of_it(policy: str, peer: Any) -> None:
    mask = peer.AfterPrompt(policy, CONTEXT, BUDGET).allow(attending())[0].numpy()
    assert mask[:, :CONTEXT].all()
    after = mask[:, CONTEXT:, :CONTEXT]
    assert (after.sum(-1) == BUDGET).all()
    assert (after == after[:, :1]).all()  # what was dropped stays dropped
    by_group = after.reshape(HEADS // GROUP, GROUP, -1)
    assert (by_group == by_group[:, :1]).all()  # heads of a group keep the same keys and values
    assert mask[:, CONTEXT:, CONTEXT:].all()


def test_streaming_keeps_first_and_latest_tokens_and_full_attention_all(peer: Any) -> None:
    kept = peer.AfterPrompt("streaming", CONTEXT, BUDGET).allow(attending())[0, 0, CONTEXT, :CONTEXT]
    assert np.flatnonzero(kept.numpy()).tolist() == [0, 1, 2, 3, 25, 26, 27, 28, 29]
    assert peer.AfterPrompt("full", CONTEXT, BUDGET).allow(attending()) is None


def test_observed_attention_keeps_the_tokens_of_the_highest_mean_attention(peer: Any) -> None:
    seen = attending()
    kept = peer.AfterPrompt("observed-attention", CONTEXT, BUDGET).allow(seen)[0, :, CONTEXT, :CONTEXT].numpy()
    scores = seen.scores[0].double().numpy()
    for group in range(HEADS // GROUP):
        mean = np.zeros(CONTEXT)
        for head in range(GROUP * group, GROUP * (group + 1)):
            for t in range(CONTEXT):
                row = np.exp(scores[head, t, : t + 1])
                mean[: t + 1] += row / row.sum()
        mean /= np.arange(CONTEXT, 0, -1)  # token j is seen by the tokens j … CONTEXT − 1
        expected = set(np.argsort(-mean)[:BUDGET].tolist())
        assert set(np.flatnonzero(kept[GROUP * group]).tolist()) == expected

"""Interventions and scores of heads, against the weights that transformers returns and against plain loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import nn

from cogfit.errors import InputError
from theory.lm.attention import Attending, Intervention, KnockOut, intervening
from theory.lm.heads import ask, by_layer, copy_score, induction_score, knock_out, logits_of, sink_share
from theory.lm.needles import WORDS, Needle, make_needles
from theory.redundancy.models import LanguageModel, byte_level

Eager = Callable[[LanguageModel, list[int]], list[np.ndarray]]
IDS = list(range(30, 70)) * 3


def gpt2() -> LanguageModel:
    torch.manual_seed(0)
    config = transformers.GPT2Config(n_embd=24, n_layer=2, n_head=4, vocab_size=256, n_positions=256)
    return byte_level(transformers.GPT2LMHeadModel(config).eval())


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_to_look_changes_nothing_and_weights_are_those_of_the_library(
    family: str, tiny: LanguageModel, eager: Eager
) -> None:
    model = tiny if family == "llama" else gpt2()
    expected, weights = logits_of(model, IDS), eager(model, IDS)
    seen: dict[int, np.ndarray] = {}

    class Look(Intervention):
        def look(self, layer: int, weights: torch.Tensor) -> None:
            seen[layer] = weights[0].numpy()

    with intervening(model.module, Look()):
        torch.testing.assert_close(logits_of(model, IDS), expected, atol=1e-4, rtol=1e-4)
    for layer, expected_weights in enumerate(weights, 1):
        np.testing.assert_allclose(seen[layer], expected_weights, atol=1e-5)
    torch.testing.assert_close(logits_of(model, IDS), expected)  # afterwards all is as before


def test_a_head_that_is_knocked_out_adds_nothing(tiny: LanguageModel) -> None:
    """Against the columns of the output projection that read these heads set to zero."""
    chosen = by_layer([(1, 2), (2, 1), (2, 6)])
    with intervening(tiny.module, KnockOut(chosen)):
        found = logits_of(tiny, IDS)
    whole = logits_of(tiny, IDS)
    module: Any = tiny.module
    kept = [layer.self_attn.o_proj.weight.detach().clone() for layer in module.model.layers]
    try:
        with torch.no_grad():
            for layer, heads in chosen.items():
                for head in heads:
                    module.model.layers[layer - 1].self_attn.o_proj.weight[:, 4 * head - 4 : 4 * head] = 0
        expected = logits_of(tiny, IDS)
    finally:
        with torch.no_grad():
            for layer, weight in zip(module.model.layers, kept, strict=True):
                layer.self_attn.o_proj.weight.copy_(weight)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert (found - whole).abs().max() > 0.01


def test_tokens_that_are_not_allowed_get_no_attention(tiny: LanguageModel) -> None:
    class Recent(Intervention):
        def __init__(self) -> None:
            self.groups: set[int] = set()

        def allow(self, seen: Attending) -> torch.Tensor:
            self.groups.add(seen.group)
            tokens = torch.arange(seen.scores.shape[-1])
            return tokens[:, None] - tokens[None, :] < 5

        def look(self, layer: int, weights: torch.Tensor) -> None:
            far = torch.tril(torch.ones_like(weights), -5).bool()
            assert weights[far].abs().max() == 0
            torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))

    recent = Recent()
    with intervening(tiny.module, recent):
        short = logits_of(tiny, IDS)
    assert recent.groups == {3}
    # two layers of windows of five reach eight tokens back: what was before cannot matter
    with intervening(tiny.module, recent):
        other = logits_of(tiny, [9] * 50 + IDS[50:])
    assert (short[40:50] - other[40:50]).abs().max() > 0.01
    torch.testing.assert_close(short[58:], other[58:], atol=1e-4, rtol=1e-4)


def test_a_model_whose_attention_cannot_be_exchanged_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be exchanged"), intervening(nn.Linear(2, 2), Intervention()):
        pass


# ---------------------------------------------------------------------------------------------------------- scores


def test_sink_and_induction_scores_are_what_their_definitions_say(
    tiny: LanguageModel, prose: list[list[int]], eager: Eager
) -> None:
    scores = sink_share(tiny, prose, begin=20)
    for i, ids in enumerate(prose):
        for layer, weights in enumerate(eager(tiny, ids[:700])):
            np.testing.assert_allclose(scores.part[i, layer], weights[:, 20:, 0].mean(1), atol=1e-5)
    value, low, high = scores.estimate()
    assert value.shape == (2, 6)
    assert (low <= value).all()
    assert (value <= high).all()
    layer, heads = next(iter(scores.top(1).items()))
    assert value[layer - 1, heads[0] - 1] == value.max()
    assert sum(map(len, scores.top(7).values())) == 7
    with pytest.raises(InputError, match="more than 600 tokens"):
        sink_share(tiny, prose, begin=600)
    found = induction_score(tiny, 2, length=10, seed=3)
    once = np.random.default_rng(3).integers(0, 256, 10).tolist()
    expected = np.mean([[w[:, 10 + i, i + 1] for i in range(9)] for w in eager(tiny, once + once)], axis=1)
    np.testing.assert_allclose(found.part[0], expected, atol=1e-5)


@pytest.mark.parametrize("facts", [1, 2])
def test_needles_stand_in_prose_and_ask_for_what_they_say(
    facts: int, tiny: LanguageModel, prose: list[list[int]]
) -> None:
    needles = make_needles(tiny, prose, 6, tokens=200, facts=facts)
    assert len({len(needle.ids) for needle in needles}) == 1
    for k in range(facts):
        assert sorted(needle.facts[k].depth for needle in needles) == pytest.approx([(i + 0.5) / 6 for i in range(6)])
    for needle, ids in zip(needles, prose, strict=False):
        text, rest = bytes(needle.ids).decode(), bytes(needle.ids).decode()
        asked = [text.index(f"{bytes([needle.ids[i] for i in fact.answer]).decode()}") for fact in needle.facts]
        assert len(needle.facts) == len(set(asked)) == facts
        for fact in needle.facts:
            answer = [needle.ids[i] for i in fact.answer]
            assert answer == [needle.ids[i] for i in fact.source]
            words = bytes(answer).decode().split()
            assert len(words) == 3
            assert set(words) <= set(WORDS)
            said = text[: fact.source[-1] + 1].rsplit("The secret", 1)[1]
            assert text.count(f"The secret{said}") == 2
            assert text[: fact.answer[-1] + 1].endswith(f"Answer: The secret{said}")
            inside = rest.index(f" The secret{said}.")
            rest = rest[:inside] + rest[inside + len(said) + 12 :]
        assert list(rest.encode()[:150]) == ids[:150]
        assert len(needle.prose) > 60
        assert all(text[i : i + 12] in bytes(ids).decode() for i in needle.prose[:20] if i + 12 in needle.prose)
        assert max(needle.prose) < text.index("Question")
    with pytest.raises(InputError, match="13 facts"):
        make_needles(tiny, prose, 6, tokens=200, facts=13)
    with pytest.raises(InputError, match="0 documents have 5000 tokens"):
        make_needles(tiny, prose, 6, tokens=5000)


class Copier(nn.Module):
    """Answers with the token that followed the last one when it stood before: right on needles, by construction."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, input_ids: torch.Tensor, use_cache: bool) -> Any:
        ids = input_ids[0].tolist()
        logits = torch.zeros(1, len(ids), 256)
        for t, token in enumerate(ids):
            before = [i for i in range(t) if ids[max(0, i - 20) : i + 1] == ids[max(0, t - 20) : t + 1]]
            logits[0, t, ids[before[-1] + 1] if before else token] = 20.0
        return transformers.modeling_outputs.CausalLMOutput(logits=logits)


def test_answers_are_judged_token_by_token(tiny: LanguageModel, prose: list[list[int]], monkeypatch: Any) -> None:
    needles = make_needles(tiny, prose, 4, tokens=150)
    monkeypatch.setattr("theory.lm.heads.intervening", lambda *_: torch.no_grad())
    copier = LanguageModel("copier", Copier(), list, tiny.pieces, 512)
    recall = ask(copier, needles)
    assert recall.exact.all()
    assert recall.nats.max() < 1e-4
    half = [Needle((*needle.ids[:-1], 1), needle.facts, needle.prose) for needle in needles]
    assert not ask(copier, half).exact[:, -1].any()
    summary = recall.summary()
    share, low, high = summary["needle_exact"]
    assert (share, high) == (1.0, 1.0)
    assert 0.0 < low < 1.0  # four needles do not say more
    assert summary["perplexity"][0] > 1


def test_copying_heads_are_those_that_attend_to_the_token_copied(
    tiny: LanguageModel, prose: list[list[int]], eager: Eager
) -> None:
    needles = make_needles(tiny, prose, 4, tokens=150)
    # a model of random weights copies nothing: its own likeliest tokens stand for the answer
    own = []
    for needle in needles:
        best = logits_of(tiny, needle.ids).argmax(-1)
        ids = list(needle.ids)
        first = needle.queries[0]
        ids[first + 1] = int(best[first])
        own.append(Needle(tuple(ids), needle.facts, needle.prose))
    scores, recall = copy_score(tiny, own)
    for i, needle in enumerate(own):
        weights = eager(tiny, list(needle.ids))
        best = logits_of(tiny, needle.ids).argmax(-1).tolist()
        pairs = zip(needle.queries, needle.sources, strict=True)
        copied = [(at, source) for at, source in pairs if best[at] == needle.ids[at + 1]]
        assert copied[0][0] == needle.queries[0]
        assert scores.whole[i].item() == len(copied)
        for layer in range(2):
            hits = [weights[layer][:, at].argmax(-1) == source for at, source in copied]
            np.testing.assert_array_equal(scores.part[i, layer], np.sum(hits, axis=0))
    np.testing.assert_allclose(recall.nats, ask(tiny, own).nats, atol=1e-5)


def test_knock_outs_are_compared_with_as_many_other_heads(tiny: LanguageModel, prose: list[list[int]]) -> None:
    needles = make_needles(tiny, prose, 3, tokens=100)
    scores = sink_share(tiny, prose[:3], begin=20)
    rows = knock_out(tiny, scores, needles, [0, 4, 12], draws=2)
    assert [(row["heads"], row["count"]) for row in rows] == [
        ("none", 0), ("top", 0), ("random", 0), ("top", 4), ("random", 4), ("top", 12), ("random", 12),
    ]  # fmt: skip
    nats = {(row["heads"], row["count"]): row["needle_nats"][0] for row in rows}
    assert nats["top", 0] == nats["none", 0]
    assert nats["top", 4] != nats["none", 0]
    with intervening(tiny.module, KnockOut(scores.top(4))):
        assert nats["top", 4] == pytest.approx(ask(tiny, needles, KnockOut(scores.top(4))).nats.mean())

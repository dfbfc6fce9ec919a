"""What other works say of a language model: interventions, and how a model is asked. On a tiny model."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from theory.lm import order as orders
from theory.lm.attention import Gates, Intervention, KnockOut, Tilt, intervening, shape_of
from theory.lm.heads import logits_of, per_head, sets_of_heads
from theory.lm.known import (
    CAPITALS,
    Asked,
    answers,
    ask_for,
    conflicts,
    cut,
    effects,
    for_the_context,
    known,
    pull,
)
from theory.lm.order import BANDS, make_pairs, measure_order, prefers_first
from theory.lm.record_files import agrees
from theory.lm.records import CannotBeAsked
from theory.lm.sinks import (
    TILTS,
    TIMES,
    LessToSinks,
    Question,
    answer_questions,
    gain_by_head,
    later_sinks,
    measure_tilts,
    sinks_by_layer,
)
from theory.lm.skills import SKILLS, Item, is_answered, items_of, other_answers, train_away
from theory.lm.turns import ALONE, KINDS, conversation, measure_turns
from theory.redundancy.models import LanguageModel

Eager = Callable[[LanguageModel, list[int]], list[np.ndarray]]
IDS = list(b"the raven came back with a shell and left.")


@pytest.fixture(scope="module")
def worded(tiny: LanguageModel) -> LanguageModel:
    """The tiny model with words as tokens."""

    def encode(content: bytes) -> list[int]:
        return [zlib.crc32(word) % 256 for word in re.findall(rb" ?[^\s.?:]+|[\n.?:]| ", content)]

    return replace(tiny, encode=encode)


def weights_of(model: LanguageModel, ids: list[int], intervention: Intervention) -> dict[int, np.ndarray]:
    """Weights (heads, tokens, tokens) of each layer under an intervention."""
    found = {}

    class Look(Intervention):
        def tilt(self, seen: Any) -> Any:
            return intervention.tilt(seen)

        def look(self, layer: int, weights: torch.Tensor) -> None:
            found[layer] = weights[0].double().numpy()

    with intervening(model.module, Look()):
        logits_of(model, ids)
    return found


# ------------------------------------------------------------------------------------------------------- interventions


def test_a_tilt_multiplies_weights_and_normalises_anew(tiny: LanguageModel, eager: Eager) -> None:
    amounts = torch.zeros(shape_of(tiny.module))
    amounts[0, 2] = np.log(3)
    plain = eager(tiny, IDS)[0]
    tilted = weights_of(tiny, IDS, Tilt(amounts, (0, 4), (9, 20)))[1]
    expected = plain.copy()
    for query in (9, 20):
        expected[2, query, [0, 4]] *= 3
        expected[2, query] /= expected[2, query].sum()
    assert tilted == pytest.approx(expected, abs=1e-5)
    gone = weights_of(tiny, IDS, Tilt(torch.full(shape_of(tiny.module), -torch.inf), (4,), (9,)))[1]
    assert (gone[:, 9, 4] == 0).all()
    assert gone[:, 10] == pytest.approx(plain[:, 10], abs=1e-5)


def test_a_gate_at_zero_is_a_knock_out_and_its_derivative_that_of_the_answer(worded: LanguageModel) -> None:
    asked = replace(ask_for(worded, "France", "Rome"), answer=7, told=9)
    shape = shape_of(worded.module)
    gates = torch.ones(shape)
    gates[1, 3] = 0
    with torch.no_grad(), intervening(worded.module, Gates(gates)):
        gated = logits_of(worded, asked.ids)
    with intervening(worded.module, KnockOut({2: (4,)})):
        assert torch.allclose(gated, logits_of(worded, asked.ids), atol=1e-6)

    def value(amount: float) -> float:
        at = torch.ones(shape)
        at[0, 1] = amount
        with intervening(worded.module, Gates(at)):
            return float(for_the_context(logits_of(worded, asked.ids)[-1].double(), asked))

    found = effects(worded, [asked], for_the_context)
    assert found.shape == (1, *shape)
    assert found[0, 0, 1] == pytest.approx((value(1.01) - value(0.99)) / 0.02, rel=0.02, abs=1e-4)


def test_pull_is_the_derivative_by_attention_to_the_subject(worded: LanguageModel) -> None:
    asked = replace(ask_for(worded, "Peru"), answer=5)

    def value(amount: float) -> float:
        at = torch.zeros(shape_of(worded.module))
        at[1, 0] = amount
        with intervening(worded.module, Tilt(at, asked.subject, (len(asked.ids) - 1,))):
            return float(logits_of(worded, asked.ids)[-1].double().log_softmax(-1)[5])

    expected = (value(0.05) - value(-0.05)) / 0.1
    assert pull(worded, [asked])[0, 1, 0] == pytest.approx(expected, rel=0.02, abs=1e-4)


# --------------------------------------------------------------------------------------------------------------- sinks


@given(st.integers(24, 80), st.integers(1, 60), st.floats(0.0, 0.9))
def test_a_later_sink_is_what_gets_more_than_its_even_shares(tokens: int, place: int, share: float) -> None:
    place = min(place, tokens - 20)
    at = torch.arange(tokens)
    weights = torch.tril(torch.ones(tokens, tokens))
    weights = weights / weights.sum(-1, keepdim=True)
    assert later_sinks(weights).nonzero().ravel().tolist() in ([], [1], [1, 2])
    # all later tokens give one place a share, and the rest evenly
    rows = at > place
    weights[rows] = weights[rows] * (1 - share) / (1 - weights[rows, place][:, None])
    weights[rows, place] = share
    mean = float(weights[:, place].mean())
    found = set(later_sinks(weights).nonzero().ravel().tolist())
    if place >= 1 and abs(mean - TIMES / tokens) > 1e-3 / tokens:
        assert (place in found) == (mean > TIMES / tokens)
    assert found <= {place, *range(1, 3)}  # the first tokens get much where few others are there


@pytest.mark.parametrize("width", [1, 4, 8])
def test_the_latest_tokens_are_no_sinks(width: int) -> None:
    weights = torch.tril(torch.ones(200, 200)) - torch.tril(torch.ones(200, 200), -width)
    assert not later_sinks(weights / weights.sum(-1, keepdim=True)).any()


def test_the_first_token_is_no_later_sink() -> None:
    weights = torch.tril(torch.ones(64, 64))
    weights[:, 0] *= 100
    assert not later_sinks(weights / weights.sum(-1, keepdim=True)).any()


def test_gain_by_head_is_the_derivative_of_the_surprise(tiny: LanguageModel) -> None:
    questions = [Question(tuple(IDS), (40, 41)), Question(tuple(IDS[5:]), (30,))]
    gain = gain_by_head(tiny, questions, Tilt)
    at = torch.zeros(shape_of(tiny.module))
    ends = []
    for amount in (0.05, -0.05):
        at[1, 4] = amount
        ends.append(answer_questions(tiny, questions, Tilt(at))[0].mean())
    assert gain[1, 4] == pytest.approx(-(ends[0] - ends[1]) / 0.1, rel=0.02, abs=1e-4)


def test_tilts_are_chosen_on_some_questions_and_judged_on_others(tiny: LanguageModel) -> None:
    rng = np.random.default_rng(0)
    questions = [Question(tuple(rng.integers(0, 256, 60).tolist()), (58, 59)) for _ in range(6)]
    rows = measure_tilts(tiny, {"noise": (questions[:3], questions[3:])}, factors=(0.5, 2.0))
    for place in TILTS:
        own = [row for row in rows if row["place"] == place]
        if not own:  # nothing to be scaled
            continue
        assert {row["heads"] for row in own} == {"all", "up", "down", "each its way"}
        judged = [row for row in own if "nats_change" in row]
        assert len(judged) == 4
        (top,) = {row["chosen_change"] for row in own if row["best"]}
        assert top == min(row["chosen_change"] for row in own)
        assert all(row["questions"] == 3 for row in judged)
    one = next(row for row in rows if row["heads"] == "all" and "nats_change" in row and row["place"] == "first token")
    amounts = torch.full(shape_of(tiny.module), float(np.log(one["factor"])))
    change = [answer_questions(tiny, questions[3:], each)[0] for each in (Tilt(amounts), Intervention())]
    assert one["nats_change"][0] == pytest.approx((change[0] - change[1]).mean(), abs=1e-6)


def test_sinks_are_counted_in_every_layer(tiny: LanguageModel) -> None:
    rng = np.random.default_rng(1)
    documents = [rng.integers(0, 256, 120).tolist() for _ in range(3)]
    rows = sinks_by_layer(tiny, documents)
    assert [row["layer"] for row in rows] == [0, 1, 2]
    counts = [per_head(tiny, ids, lambda w: later_sinks(w).sum(-1).double())[0].mean(1) for ids in documents]
    assert [row["later_sinks"][0] for row in rows[1:]] == pytest.approx(np.mean(counts, 0), abs=1e-4)
    assert rows[0]["later_sinks"][0] == pytest.approx(np.mean(counts), abs=1e-4)
    weights = weights_of(tiny, documents[0], LessToSinks(torch.full(shape_of(tiny.module), -torch.inf)))
    assert all(np.isfinite(layer).all() for layer in weights.values())


# -------------------------------------------------------------------------------------------------- memory and context


def test_a_question_names_its_country_and_the_answers(worded: LanguageModel) -> None:
    for country, capital in CAPITALS.items():
        asked = ask_for(worded, country, "Atlantis")
        name = worded.tokens_of(f" {country}")
        assert len(asked.subject) == 3 * len(name)
        assert tuple(asked.ids[place] for place in asked.subject) == 3 * name
        assert asked.answer == worded.tokens_of(f" {capital}")[0]
        assert asked.told == worded.tokens_of(" Atlantis")[0]
        assert len(ask_for(worded, country).subject) == 2 * len(name)


def test_contexts_contradict(worded: LanguageModel) -> None:
    made = conflicts(worded, list(CAPITALS)[:12], seed=3)
    assert len(made) == 12
    assert all(asked.told != asked.answer for asked in made)
    assert len({asked.told for asked in made}) > 3


def test_answers_and_cut_attention(worded: LanguageModel) -> None:
    shape = shape_of(worded.module)
    asked = [ask_for(worded, country) for country in list(CAPITALS)[:4]]
    plain = answers(worded, asked, cut({}, shape))
    logits = [logits_of(worded, each.ids)[-1].float() for each in asked]
    expected = [-float(each.log_softmax(-1)[one.answer]) for each, one in zip(logits, asked, strict=True)]
    assert plain.nats == pytest.approx(expected, abs=1e-5)
    every = {layer: tuple(range(1, shape[1] + 1)) for layer in range(1, shape[0] + 1)}
    weights = weights_of(worded, list(asked[0].ids), cut(every, shape)(asked[0]))
    for layer in weights.values():
        assert (layer[:, -1, list(asked[0].subject)] == 0).all()
        assert layer[:, -2].sum(-1) == pytest.approx(1)


@given(st.integers(1, 6), st.integers(0, 99))
def test_random_heads_are_others(count: int, seed: int) -> None:
    value = np.random.default_rng(seed).normal(size=(2, 6))
    none, (_, _, (top,)), (_, _, drawn) = sets_of_heads(value, "top", (count,), draws=3, seed=seed)
    assert none == ("none", 0, [{}])
    least = min(value[layer - 1, head - 1] for layer, heads in top.items() for head in heads)
    assert (value >= least).sum() == count
    for others in drawn:
        assert sum(map(len, top.values())) == sum(map(len, others.values())) == count
        assert not any(set(others.get(layer, ())) & set(heads) for layer, heads in top.items())


def test_a_model_that_knows_nothing_is_not_asked(worded: LanguageModel) -> None:
    with pytest.raises(CannotBeAsked, match="of 69 capitals"):
        known(worded)


# ------------------------------------------------------------------------------------------------ order, turns, skills


def test_a_liking_for_a_letter_cancels_out(worded: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(f"w{i}" for i in range(60))
    pair = make_pairs(text, 1, words=50, segment=5, rng=np.random.default_rng(0))[0]
    more, *_ = prefers_first(worded, pair, with_text=True)
    swapped, *_ = prefers_first(worded, replace(pair, first=pair.second, second=pair.first), with_text=True)
    assert more == pytest.approx(-swapped, abs=1e-5)
    letters = [worded.tokens_of(f" {letter}")[0] for letter in "AB"]

    def likes_a(model: LanguageModel, ids: Any) -> torch.Tensor:
        logits = torch.zeros(len(ids), 256)
        logits[-1, letters[0]] = 5.0
        return logits

    monkeypatch.setattr(orders, "logits_of", likes_a)
    more, first, second = prefers_first(worded, pair, with_text=True)
    assert (more, first, second) == (0.0, True, False)


def test_segments_do_not_overlap_and_distances_share_the_pairs(worded: LanguageModel) -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(f"x{i}-{j}" for i in range(60)) for j in range(4)]
    for text in texts:
        for pair in make_pairs(text, 5, words=50, segment=6, rng=rng):
            assert pair.text.index(pair.first) + len(pair.first) < pair.text.index(pair.second)
            assert 0 < pair.distance <= 1
    rows = measure_order(worded, texts, 6, words=50, segment=6, seed=1)
    for told in ("in context", "none"):
        own = {row["distance"]: row for row in rows if row["text"] == told}
        bands = [own[name] for name, *_ in BANDS if name in own]
        assert sum(row["pairs"] for row in bands) <= own["all"]["pairs"] == 24
    with pytest.raises(CannotBeAsked, match="0 of 4 texts with two segments fit into 30 tokens"):
        measure_order(replace(worded, context=30), texts, 1, words=50, segment=6)
    # one that is too short for two segments is left out
    short = measure_order(worded, ["too short", *texts], 2, words=50, segment=6)
    assert {row["pairs"] for row in short if row["distance"] == "all"} == {8}
    # a text of long words does not fit, and the others are asked of
    long = measure_order(
        replace(worded, context=120), ["a.b.c.d.e " * 60, *texts], 6, words=50, segment=6, seed=1, most=3
    )
    assert {row["pairs"] for row in long if row["distance"] == "all"} == {18}


@pytest.mark.parametrize("between", [0, 3, 7])
def test_kinds_of_conversations_differ_in_what_holds_only(between: int) -> None:
    made = {kind: conversation(kind, between, np.random.default_rng(5)) for kind in KINDS}
    assert len({text.count("User:") for text, *_ in made.values()}) == 1
    (_, first, second), (_, late, _), (_, revised, old), (_, restored, changed) = made.values()
    assert first == restored == old == late
    assert revised == changed == second
    assert second not in made["single"][0]
    # the right word stands where it stands in the kind without interaction
    for kind, alone in ALONE.items():
        text, right, _ = made[kind]
        other, word, _ = made[alone]
        assert text.partition(f" {right}")[0].count("User:") == other.partition(f" {word}")[0].count("User:")
    opening = {text.partition("\n")[0] for kind, (text, *_) in made.items() if kind != "late"}
    assert len(opening) == 1
    assert f" {first}." in opening.pop()
    for text, *_ in made.values():
        assert text.rindex(f" {first}.") < text.rindex("User: What")
    tail = made["revised"][0].rpartition("I have changed my mind")[2]
    assert tail.count("User: The password") == between


def test_turns_are_paired_with_single_instructions(worded: LanguageModel) -> None:
    rows = measure_turns(worded, 5, (0, 2))
    assert len(rows) == 8
    for row in rows:
        single = next(r for r in rows if (r["kind"], r["between"]) == (ALONE[row["kind"]], row["between"]))
        assert row["below_single"][0] == pytest.approx(single["turn_right"][0] - row["turn_right"][0])
    with pytest.raises(CannotBeAsked, match="the model reads 40"):
        measure_turns(replace(worded, context=40), 2, (0,))


@given(st.lists(st.integers(0, 9), min_size=4, max_size=40), st.integers(0, 99))
def test_no_question_keeps_its_answer(found: list[int], seed: int) -> None:
    items = [Item((i,), answer) for i, answer in enumerate(found)]
    if max(found.count(answer) for answer in found) > len(found) / 2:
        with pytest.raises(ValueError, match="most questions have one answer"):
            other_answers(items, np.random.default_rng(seed))
        return
    mixed = other_answers(items, np.random.default_rng(seed))
    assert sorted(item.answer for item in mixed) == sorted(found)
    assert all(a.answer != b.answer and a.ids == b.ids for a, b in zip(items, mixed, strict=True))


def test_random_answers_are_trained_and_the_model_stays_as_it_is(tiny: LanguageModel) -> None:
    rng = np.random.default_rng(0)
    asked = [tuple(rng.integers(0, 256, 8).tolist()) for _ in range(24)]
    items = [Item(ids, int(logits_of(tiny, ids)[-1].argmax())) for ids in asked]
    before = {name: value.clone() for name, value in tiny.module.state_dict().items()}
    changed, updates = train_away(tiny, items, steps=60, batch=24, rate=0.02, rng=rng, every=5)
    assert is_answered(tiny, items).all()
    assert is_answered(changed, items).mean() <= 0.05
    assert updates < 60
    assert updates % 5 == 0
    assert all(torch.equal(value, before[name]) for name, value in tiny.module.state_dict().items())


def test_skills_are_questions_with_several_answers(worded: LanguageModel) -> None:
    for name, (question, pairs) in SKILLS.items():
        assert "{}" in question, name
        assert len(pairs) >= 50, name
        assert all(word and answer for word, answer in pairs.items()), name
    assert all(isinstance(item, Item) for item in items_of(worded, "capitals"))
    assert isinstance(ask_for(worded, "Peru"), Asked)


# -------------------------------------------------------------------------------------------------------------- record


SETTINGS = st.recursive(
    st.one_of(st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=3)),
    lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(SETTINGS, st.dictionaries(st.text(max_size=3), st.integers(), max_size=3))
def test_a_study_goes_on_with_settings_that_came_later(recorded: Any, later: dict[str, int]) -> None:
    assert agrees(recorded, recorded)
    if isinstance(recorded, dict):
        assert agrees(recorded, later | recorded)
        for name in recorded:
            assert not agrees(recorded, {key: value for key, value in recorded.items() if key != name})
            assert not agrees(recorded, recorded | {name: object()})

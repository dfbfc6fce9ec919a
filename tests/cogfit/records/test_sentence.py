"""Sentences are text that remembers what it was made from."""

from __future__ import annotations

import pickle

import pytest

from cogfit.records.sentence import Sentence, say


def test_a_sentence_is_its_text_and_keeps_its_numbers_through_a_pickle() -> None:
    sentence = say("p = {p:.2g}", p=0.0312, threshold="p ≤ 0.05", by=say)
    again = pickle.loads(pickle.dumps(sentence))
    for item in (sentence, again):
        assert item == "p = 0.031"
        assert item.template.format(**item.numbers) == item
        assert item.numbers["p"] == 0.0312
        assert (item.threshold, item.decided_by) == ("p ≤ 0.05", "cogfit.records.sentence.say")


def test_a_sentence_without_numbers_or_a_rule_is_plain_text() -> None:
    sentence = say("nothing was decided")
    assert (sentence, dict(sentence.numbers), sentence.threshold, sentence.decided_by) == (
        "nothing was decided", {}, "", "",
    )  # fmt: skip
    assert Sentence("as said") == "as said"


def test_words_in_front_change_the_text_and_nothing_else() -> None:
    sentence = say("p = {p:.2g}", p=0.0312, threshold="p ≤ 0.05", by=say)
    longer = sentence.after("loss {per token}: ")  # a name of a column may hold braces
    assert longer == "loss {per token}: p = 0.031"
    assert longer.template.format(**longer.numbers) == longer
    assert (longer.numbers["p"], longer.threshold, longer.decided_by) == (
        0.0312, sentence.threshold, sentence.decided_by,
    )  # fmt: skip


def test_words_can_be_put_in_front_more_than_once() -> None:
    sentence = say("p = {p:.2g}", p=0.0312).after("a: ").after("b: ")
    assert sentence == "b: a: p = 0.031"
    assert sentence.template.format(**sentence.numbers) == sentence


def test_the_numbers_of_a_sentence_cannot_be_changed() -> None:
    numbers = {"p": 0.5}
    sentence = Sentence("p = {p}", numbers)
    numbers["p"] = 0.1
    assert sentence.numbers["p"] == 0.5
    with pytest.raises(TypeError):
        sentence.numbers["p"] = 0.1  # type: ignore[index]

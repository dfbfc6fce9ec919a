"""Sentences are text that remembers what it was made from."""

from __future__ import annotations

import pickle

import numpy as np

import cogfit
from cogfit.records.sentence import Sentence, say


def test_a_sentence_is_its_text_and_keeps_its_numbers_through_a_pickle() -> None:
    sentence = say("p = {p:.2g}", p=0.0312, threshold="p ≤ 0.05", by=say)
    again = pickle.loads(pickle.dumps(sentence))
    for item in (sentence, again):
        assert item == "p = 0.031"
        assert item.template.format(**item.numbers) == item
        assert item.numbers["p"] == 0.0312
        assert (item.threshold, item.decided_by) == ("p ≤ 0.05", "cogfit.records.sentence.say")


def test_every_finding_of_a_fit_knows_where_it_comes_from() -> None:
    rng = np.random.default_rng(0)
    x = np.arange(1.0, 301.0)
    y = np.where(x < 150, 0.9, 0.3) * (1 + 0.02 * rng.normal(size=x.size))
    fit = cogfit.fit(x, y)
    assert len(fit.findings) >= 4
    for finding in fit.findings:
        assert isinstance(finding, Sentence), finding
        assert finding.template.format(**finding.numbers) == finding
    decided = {finding.decided_by for finding in fit.findings}
    assert "cogfit.inference.verdict.judge_power_law" in decided
    assert "cogfit.inference.transitions.transition" in decided

"""The words of the paper stand in the glossary, and sentences read well for a count of one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import cogfit
from cogfit.people.conclusions import MAPPING
from cogfit.people.survivorship import Exponent, Survivorship

GLOSSARY = Path(__file__).resolve().parents[3] / "docs" / "glossary.md"


def test_the_glossary_has_the_words_of_the_paper() -> None:
    text = GLOSSARY.read_text(encoding="utf-8")
    assert [row for row in MAPPING if f"| {row[0]} | {row[1]} |" not in text] == []


def test_counts_of_one_read_well():
    k = np.arange(1.0, 60.0)
    fit = cogfit.fit(k, 0.9 * k**-0.43, form="power", axis="exposure", measure="error")
    one = cogfit.compare(fit, [cogfit.human("anderson1981_latency")])
    assert "The one human exponent here differs in " in one.verdict
    two = cogfit.compare(fit, [cogfit.human("anderson1981_latency"), cogfit.human("memphis_cloze_errors")])
    assert "None of the 2 human exponents measures" in two.verdict
    assert "(1 differs in level of averaging, 1 differs in measure)" in two.verdict
    assert "1 differ in" not in two.verdict


def test_survivorship_of_one_reads_well():
    gamma = Exponent(0.3, 0.2, 0.4)
    found = Survivorship("patterns", 1, 0, 1, 1.0, 9.0, gamma, gamma)
    assert found.statement.startswith("1 pattern leaves and 0 enter along the curve, 1 stays;")
    found = Survivorship("subjects", 2, 1, 5, 1.0, 9.0, gamma, gamma)
    assert found.statement.startswith("2 subjects leave and 1 enters along the curve, 5 stay;")

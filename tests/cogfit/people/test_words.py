"""The words of the paper beside those of the study of people stand in the glossary."""

from __future__ import annotations

from pathlib import Path

from cogfit.people.conclusions import MAPPING

GLOSSARY = Path(__file__).resolve().parents[3] / "docs" / "glossary.md"


def test_the_glossary_has_the_words_of_the_paper() -> None:
    text = GLOSSARY.read_text(encoding="utf-8")
    assert [row for row in MAPPING if f"| {row[0]} | {row[1]} |" not in text] == []

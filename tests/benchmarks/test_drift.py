"""The study of values that change: its table, and the pages that are written from it."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    return import_module("drift_page")


def test_the_page_holds_the_table(pages: ModuleType) -> None:
    assert pages.page(pages.read()) == pages.PAGE.read_text(encoding="utf-8"), "run: python benchmarks/drift_page.py"


def test_rows_recorded_are_cells_of_the_study_and_add_up(pages: ModuleType) -> None:
    study, rows = pages.drift.STUDY, pages.read()
    cells = {study.key(cell) for cell in study.cells}
    assert {study.key(row) for row in rows.values()} <= cells
    for row in rows.values():
        group, price = row["group"], 8 / 7 if row["group"] == "trained" else 16 / 15
        accuracy, attention, owed, cost = (float(row[name]) for name in ("accuracy", "attention", "owed", "cost"))
        assert cost - owed == pytest.approx(float(row["excess"]), abs=1e-4)
        assert float(row["excess_low"]) <= float(row["excess"]) <= float(row["excess_high"])
        guessed = (cost - attention) / price
        assert float(row["least"]) == pytest.approx(max(0.0, owed - (cost - attention)), abs=1e-4)
        # every error without attention is an error; read queries may be answered wrongly by policies and models
        assert guessed <= 1 - accuracy + 1e-4
        if group == "exact":
            assert guessed == pytest.approx(1 - accuracy, abs=1e-4)


def test_no_learner_is_below_and_what_is_owed_is_what_the_theorem_says(pages: ModuleType) -> None:
    for key, row in pages.read().items():
        assert row["below"] == "False", key
        if row["owed_exact"]:  # means of 80 streams; the policies' streams are short
            assert float(row["owed"]) == pytest.approx(float(row["owed_exact"]), abs=0.02), key
        if key[:2] in (("exact", "seen"), ("exact", "labels")):
            assert float(row["excess"]) == pytest.approx(0.0, abs=0.005), key


def test_the_readme_of_the_tables_says_what_was_missed(pages: ModuleType) -> None:
    rows = pages.read()
    text = " ".join((ROOT / "data" / "benchmarks" / "README.md").read_text(encoding="utf-8").split())
    for sentence in pages.readme(rows):
        assert sentence in text, sentence


def test_a_rate_that_was_not_run_is_left_open(pages: ModuleType) -> None:
    assert pages.entry(None) == "–"
    rows = {key: row for key, row in pages.read().items() if key[0] != "trained"}
    assert "0 of 6 rates were run" in " ".join(pages.page(rows).split())


def test_limits_stand_in_place_of_means_of_seeds_that_part(pages: ModuleType) -> None:
    def row(low: float, high: float) -> dict[str, str]:
        ends = {"low": low, "high": high}
        names = ("accuracy", "attention", "excess")
        return {f"{name}_{end}": str(value) for name in names for end, value in ends.items()} | {"excess": "0.5"}

    agree, part = row(0.1, 0.3), row(-0.05, 1.41)
    table = pages.table_of_trained([agree] * 5 + [part])
    assert "| 0.1 | 10 to 30 | 10 to 30 |" in table
    assert "| 0.3 | 0 to 100 | 0 to 100 |" in table
    text = pages.of_trained([agree] * 5 + [part])
    assert text.startswith("At ρ = 0.3 the seeds part")
    assert "-5 to 141 %" in text
    for told in (text, pages.of_trained([agree] * 6)):
        assert "That change makes these models attend is not shown." in told
    assert "seeds part" not in pages.of_trained([agree] * 6)

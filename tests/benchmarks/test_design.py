"""The study of what a log can show: its cells, and the page that is written from its table."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def study() -> ModuleType:
    """The script, under a name that no test module has."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    spec = importlib.util.spec_from_file_location("design_study", ROOT / "benchmarks" / "design.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_holds_the_table(study: ModuleType) -> None:
    text = study.PAGE.read_text(encoding="utf-8")
    assert study.page(text, study.recorded("design")) == text, "run: python benchmarks/design.py --page"


def test_rows_recorded_are_cells_of_the_study_and_add_up(study: ModuleType) -> None:
    cells = {study.STUDY.key(cell) for cell in study.CELLS}
    with open(ROOT / "data" / "benchmarks" / "design.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        assert study.STUDY.key(row) in cells
        assert sum(float(row[name]) for name in study.VERDICTS) == pytest.approx(1.0, abs=1e-4)
        assert float(row["supported_low"]) <= float(row["supported"]) <= float(row["supported_high"])


def test_a_rival_is_no_power_law_and_lies_near_the_law(study: ModuleType) -> None:
    for cell in ({"n": 50, "decades": 1.5}, {"n": 300, "decades": 3.0}):
        situation, rival = study.observed({**cell, "truth": "rival", "sd": 0.01, "rho": 0.0})
        x = situation.template.x
        assert rival.form.name not in ("power", "power_floor")
        assert np.abs(np.log(rival.values(x) / study.LAW.values(x))).max() < 0.1


def test_what_is_not_measured_is_left_open(study: ModuleType) -> None:
    (row,) = [r for r in study.recorded("design") if r["truth"] == "power_floor"][:1]
    assert "| – |" in study.table_of([row])
    assert study.table_of([row]).count("\n") == 3


def test_the_page_says_how_designs_of_recorded_runs_held() -> None:
    text = " ".join((ROOT / "docs" / "what-a-log-shows.md").read_text(encoding="utf-8").split())
    with open(ROOT / "data" / "benchmarks" / "design_like.csv", encoding="utf-8", newline="") as file:
        *runs, reader = csv.DictReader(file)
    assert {row["agrees"] for row in (*runs, reader)} == {"True"}

    # runs of models: nothing would decide
    assert len(runs) == 3
    said, fresh = (
        {float(row[name]) for row in runs for name in names}
        for names in (("said", "rival_said"), ("fresh", "rival_fresh"))
    )
    assert said == fresh == {0.0}
    assert not any(row["lever"] for row in runs)
    assert f"supported in 0 of {runs[0]['curves']} such logs" in text
    assert f"of {runs[0]['repeats']} fresh curves from each law 0 and 0 were, in all three" in text

    # a person: a longer range would
    def count(share: str, of: str) -> int:
        return round(float(reader[share]) * int(reader[of]))

    assert reader["lever"] == "range"
    assert f"supported in {count('said', 'curves')} of {reader['curves']} such logs" in text
    assert f"{float(reader['factor']):.0f} times as long, up to page {float(reader['amount']):,.0f}" in text
    were, with_more = count("fresh", "repeats"), count("with_more", "repeats")
    assert f"of {reader['repeats']} fresh curves {were} were supported, and with that range {with_more}" in text


def test_the_page_says_on_what_its_rows_rest_and_what_the_interval_covers(study: ModuleType) -> None:
    text = " ".join((ROOT / "docs" / "what-a-log-shows.md").read_text(encoding="utf-8").split())
    rows = study.recorded("design")
    small, others = ([row for row in rows if (row["n"] == "50") is is_small] for is_small in (True, False))
    assert {row["repeats"] for row in small} == {"60"}
    assert {row["repeats"] for row in others} == {"20", "75"}
    held = [100 * float(row["coverage"]) for row in small if row["truth"] == "power_floor"]
    average = f"{sum(held) / len(held):.0f} % on average"
    assert f"the interval holds γ in {min(held):.0f}–{max(held):.0f} %, {average}" in text

"""The studies that train models: what they measure, what the committed tables say, and that the docs show it."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from theory.bounds.learners import Learner
from theory.bounds.t4_zipf_streams import frequencies

pytestmark = pytest.mark.slow  # models are trained

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module(request.param)


def table(name: str) -> list[dict[str, str]]:
    with open(ROOT / "data" / "benchmarks" / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("script", ["zipf_sweep", "transfer"], indirect=True)
def test_the_tables_are_complete_and_stand_in_the_documentation(script: ModuleType) -> None:
    rows = table(script.STUDY.name)
    assert [script.STUDY.key(row) for row in rows] == [script.STUDY.key(cell) for cell in script.CELLS]
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    for part in script.summary(rows).strip().split("\n\n"):
        assert part in text


def test_exact_learners_follow_their_curves_in_the_committed_table() -> None:
    rows = [row for row in table("zipf_sweep") if row["learner"] == "exact"]
    assert len(rows) == 30
    for row in rows:
        assert float(row["off"]) <= min(float(row["allowed"]), 0.01)
        if row["quotable"] == "True":
            assert float(row["slope"]) == pytest.approx(float(row["gamma"]), abs=0.05)


def test_no_transfer_goes_below_the_compulsory_charge_of_a_memoryless_model() -> None:
    for row in table("transfer"):
        assert float(row["charge"]) >= float(row["memoryless"]) - 0.02, row
        assert float(row["memoryless"]) >= float(row["t3"]) - 1e-9


@pytest.mark.parametrize("script", ["transfer"], indirect=True)
def test_predictions_count_values_that_were_never_shown(script: ModuleType) -> None:
    found = {cell["known"]: script.predicted(cell) for cell in script.CELLS if cell["table"] == "same"}
    assert found == {k: {"t3": 1 - k, "memoryless": 1 - k} for k in (1.0, 0.5, 0.0)}
    fresh = script.predicted({"known": 1.0, "table": "fresh"})
    assert fresh["memoryless"] == 1
    rng = np.random.default_rng(0)
    distinct = [np.unique(rng.integers(30, size=12)).size for _ in range(20_000)]
    assert fresh["t3"] == pytest.approx(np.mean(distinct) / 12, abs=0.003)


@pytest.mark.parametrize("script", ["zipf_sweep"], indirect=True)
def test_an_exact_learner_would_be_recognised(script: ModuleType) -> None:
    """Its threshold is found, its patterns switch at it, and later the rarer they are."""
    p, c = frequencies(1.25, 100), 50
    nearest, curve = script._nearest(Learner(c).on_stream(script.N, p), p)
    assert abs(nearest - c) <= 1
    assert np.abs(curve - Learner(c).on_stream(script.N, p)).max() < 0.02
    z = np.random.default_rng(0).choice(100, 20_000, p=p) + 1
    learner = Learner(c)
    attended = learner.attends(z[None], learner.thresholds(100, size=1))[0].astype(float)
    n, k, pattern = script._switches(z, attended)
    assert (k == c).all()
    assert script._slope(np.log(p[pattern - 1]), np.log(n)) == pytest.approx(-1, abs=0.05)

"""Trained models: pages hold what is on record, and a unit on record is done."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import equal_training  # noqa: E402
import hybrids  # noqa: E402
from grid import filled, recorded  # noqa: E402

from cogfit.files import data_dir  # noqa: E402
from theory.ledger.recordings import Recordings  # noqa: E402
from theory.phenomena.measures.hybrids import measure_recall_against_ratio  # noqa: E402


def test_the_page_holds_the_table() -> None:
    text = equal_training.PAGE.read_text(encoding="utf-8")
    assert equal_training.page(text) == text, "run: python benchmarks/equal_training.py --page"


def test_units_on_record_are_done_and_altered_ones_are_not(tmp_path: Path) -> None:
    units = equal_training.units(equal_training.EQUAL_TRAINING, tmp_path, [], {})
    on_record = [u for u in units if (ROOT / "data" / "runs" / u.own.name / f"seed{u.seed}" / "run.json").exists()]
    assert on_record
    assert all(unit.state() == ("finished", 0.0) for unit in on_record)
    for unit in equal_training.units(equal_training.EQUAL_TRAINING, tmp_path, [], equal_training.SMOKE):
        assert not unit.is_finished


def test_the_table_of_hybrids_is_made_from_the_study() -> None:
    text = hybrids.PAGE.read_text(encoding="utf-8")
    table = hybrids.table_of(recorded(hybrids.STUDY.name))
    assert filled(text, "HYBRIDS", table) == text, "run: python benchmarks/hybrids.py --page"


def test_the_streams_of_hybrids_are_said() -> None:
    finding = measure_recall_against_ratio(Recordings(data_dir()))
    streams = hybrids._SETTINGS["training.steps"] * hybrids._SETTINGS["training.batch"]
    assert finding.training == f"{streams:,} each"

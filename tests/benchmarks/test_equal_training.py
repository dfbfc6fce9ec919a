"""Trained models: pages hold what is on record, and a unit on record is done."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import equal_training  # noqa: E402
import hybrids  # noqa: E402

from cogfit.files import data_dir  # noqa: E402
from theory.ledger.recordings import Recordings  # noqa: E402
from theory.phenomena.measures import hybrids as measure  # noqa: E402
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
    assert hybrids.page(text) == text, "run: python benchmarks/hybrids.py --page"


def test_the_settings_of_hybrids_are_said() -> None:
    finding = measure_recall_against_ratio(Recordings(data_dir()))
    settings = hybrids._SETTINGS
    assert finding.training == f"{settings['training.steps'] * settings['training.batch']:,} each"
    assert settings["training.steps"] // settings["training.evaluate_every"] == measure.EVALUATIONS
    assert measure.CHANCE == hybrids.CHANCE == 1 / settings["data.values"]


def hybrids_of(without: dict[str, float], seeds: int = 3) -> pd.DataFrame:
    """Made-up models: everything is recalled with full attention, and so much without."""
    kinds = list(without)
    rows = [
        {"kind": kind, "ratio": ratio, "model_seed": seed, "accuracy": 1.0, "mse": 0.02, "parameters": 40_000}
        | ({"accuracy": without[kind] + 0.004 * (seed - 1)} if ratio == "none" else {})
        for seed in range(seeds)
        for kind, ratio in [("gla", "0"), *((kind, ratio) for ratio in ("none", "3", "1") for kind in kinds)]
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("evaluations", "without", "verdict"),
    [
        (5, 0.4, "not testable here"),
        (20, 0.4, "reproduced under conditions"),
        (5, 0.995, "not reproduced"),  # nothing is left to gain
    ],
)
def test_models_that_may_still_climb_do_not_show_that_attention_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evaluations: int, without: float, verdict: str
) -> None:
    path = tmp_path / measure.RECORD
    path.parent.mkdir(parents=True)
    hybrids_of({"gla": without, "hgrn2": 0.125 if without < 0.9 else without}).to_csv(path, index=False)
    monkeypatch.setattr(measure, "EVALUATIONS", evaluations)
    finding = measure_recall_against_ratio(Recordings(tmp_path))
    assert finding.verdict == verdict
    assert ("hgrn2 cannot be told from chance, 12.5 %" in finding.reason) == (without < 0.9)
    assert ("not known to have converged" in finding.reason) == (verdict == "not testable here")

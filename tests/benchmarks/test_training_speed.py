"""Speed of training and cost at the paper's size: tables, pages, and the units of equal training."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

ROOT = Path(__file__).resolve().parents[2]
TABLES = ROOT / "data" / "benchmarks"


@pytest.fixture
def script(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module(request.param)


@pytest.mark.parametrize("script", ["training_speed"], indirect=True)
def test_the_page_shows_the_tables(script: ModuleType) -> None:
    assert script.pages(script.OUT) in (ROOT / "docs" / "training.md").read_text(encoding="utf-8")


def test_the_reference_had_the_bits_of_the_earlier_revision() -> None:
    table = pd.read_csv(TABLES / "training_speed.csv")
    assert table.query("way in ('earlier', 'reference')")["same_bits"].all()
    assert not table.query("way.str.startswith('fast') and config != 'transformer-n256'")["same_bits"].any()


@pytest.mark.parametrize("script", ["replication"], indirect=True)
def test_the_page_of_the_replication_shows_costs_and_departures(script: ModuleType) -> None:
    page = (ROOT / "docs" / "replication.md").read_text(encoding="utf-8")
    assert script.sizes() in page
    for departure in script.DEPARTURES:
        assert f"| {departure.part} | {departure.printed} | {departure.recorded} | {departure.at_size} |" in page


@pytest.mark.slow
@pytest.mark.parametrize("script", ["equal_training"], indirect=True)
def test_units_train_one_by_one_and_are_not_trained_again(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*arguments: str) -> str:
        own = ["equal_training.py", "--smoke", "--only", "transformer-n256-equal", "--runs", str(tmp_path), *arguments]
        monkeypatch.setattr("sys.argv", own)
        assert script.main() == 0
        return capsys.readouterr().out

    assert "0 of 5 finished" in call("--list")
    assert "1 of 5 finished" in call("--units", "1")
    done = (tmp_path / "transformer-n256-equal" / "seed11" / "run.json").read_bytes()
    text = call("--units", "1")
    assert "seed 12" in text.splitlines()[0]
    assert "2 of 5 finished" in text
    assert (tmp_path / "transformer-n256-equal" / "seed11" / "run.json").read_bytes() == done


@pytest.mark.slow
@pytest.mark.parametrize("script", ["equal_training"], indirect=True)
def test_a_unit_that_takes_too_long_is_kept_and_goes_on(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(minutes: str) -> str:
        only = ["--only", "transformer-n256-equal", "--units", "1", "--minutes", minutes]
        monkeypatch.setattr("sys.argv", ["equal_training.py", "--smoke", "--runs", str(tmp_path), *only])
        assert script.main() == 0
        return capsys.readouterr().out

    assert "the next call goes on" in call("0")
    assert "1 of 5 finished" in call("5")


@pytest.mark.parametrize("script", ["equal_training"], indirect=True)
def test_a_set_that_is_not_there_is_named(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["equal_training.py", "--only", "mamba-n256", "--list"])
    assert script.main() == 2
    assert "did you mean 'mamba-n256-equal'" in capsys.readouterr().err

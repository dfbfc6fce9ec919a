"""Tables of recorded runs: impossible values are refused, and only runs of one set are averaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cogfit.cli import main
from cogfit.errors import InputError
from cogfit.files import data_dir
from theory.training.runs import EVALUATION, RUN, find_records, load_record, table, unfinished

RUNS = data_dir() / "runs"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return copy("mamba-n256/seed11", tmp_path / "mamba" / "seed11")


def copy(name: str, target: Path) -> Path:
    target.mkdir(parents=True)
    for file in (RUN, EVALUATION):
        shutil.copy(RUNS / name / file, target)
    return target


def change(run: Path, place: str, value: Any) -> None:
    """Put a value into ``run.json``."""
    document = json.loads((run / RUN).read_text(encoding="utf-8"))
    *path, last = place.split(".")
    inner = document
    for name in path:
        inner = inner[name]
    inner[last] = value
    (run / RUN).write_text(json.dumps(document), encoding="utf-8")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((f"final.measures.{name}", value) for name in ("attention", "accuracy") for value in (5.0, -0.1)),
        ("final.measures.dynamics_mse", -1.0),
        ("optimum.value", -1.0),
        ("static_bound.value", 1.5),
        ("config.training.steps", -5),
        ("config.training.batch", 0),
        ("config.data.values", 0),
        ("seed", -1),
        ("final.convergence", {}),
        ("final.convergence", {"still_climbing": True, "gain": "x"}),
        ("final.convergence", {"still_climbing": 3}),
        ("config", None),
    ],
)
def test_what_cannot_be_is_refused(run: Path, place: str, value: Any) -> None:
    change(run, place, value)
    with pytest.raises(InputError) as error:
        load_record(run)
    assert error.value.path == run / RUN


@pytest.mark.parametrize(
    ("column", "value"), [("attention", -3.0), ("accuracy", 1.2), ("dynamics_mse", -0.1), ("step", -1), ("step", 200)]
)
def test_evaluations_that_cannot_be_are_refused(run: Path, column: str, value: float) -> None:
    rows = pd.read_csv(run / EVALUATION)
    rows.loc[0, column] = value
    rows.to_csv(run / EVALUATION, index=False)
    with pytest.raises(InputError) as error:
        load_record(run)
    assert error.value.column == column


def test_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(InputError, match="too long"):
        find_records("x" * 300)


def test_an_error_may_be_larger_than_a_share(run: Path) -> None:
    change(run, "final.measures.dynamics_mse", 3.0)
    assert load_record(run).final["dynamics_mse"] == 3.0


def test_a_finished_run_without_evaluations_is_not_left_out(run: Path) -> None:
    copy("mamba-n256/seed12", run.parent / "seed12")
    (run / EVALUATION).unlink()
    with pytest.raises(InputError, match=r"evaluation\.csv"):
        find_records(run.parent)


def test_what_is_not_finished_is_left_out_and_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = copy("mamba-n256/seed12", run.parent / "seed12")
    change(other, "status", "running")
    assert unfinished(run.parent) == [other]
    assert [record.folder for record in find_records(run.parent)] == [run]
    assert main(["theory", "runs", str(run.parent)]) == 0
    assert "seed12" in capsys.readouterr().err


def test_a_run_that_is_named_twice_counts_once(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["theory", "runs", str(run), f"{run}/", str(run.parent), "--json", "-"]) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 1


def test_only_runs_that_differ_in_their_seed_are_averaged(run: Path, tmp_path: Path) -> None:
    copy("mamba-n256/seed12", run.parent / "seed12")
    copy("seqboat-n256/seed11", run.parent / "seed13")
    elsewhere = copy("mamba-n256/seed13", tmp_path / "other" / "mamba" / "seed13")
    rows = table([*find_records(run.parent), load_record(elsewhere)])
    means = rows[rows["seed"] == "mean"]
    assert list(means["set"]) == ["mamba"]
    of_two = [load_record(run.parent / name).final["accuracy"] for name in ("seed11", "seed12")]
    assert means["accuracy"].iloc[0] == pytest.approx(sum(of_two) / 2)
    assert len(rows) == 4 + 2


def test_a_table_says_how_runs_were_trained_and_ended() -> None:
    rows = table(find_records(RUNS / "mamba-n256-equal")).set_index("seed")
    assert rows.loc["11", ["streams", "updates", "parameters"]].tolist() == ["38,400", "4,800", "89,898"]
    assert rows.loc["13", "ending"] == "plateau"
    assert "converged" in rows.loc["mean", "ending"]

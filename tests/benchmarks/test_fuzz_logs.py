"""Logs that are damaged at random are read as what is in them, and the comparison notices if they are not."""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cogfit import read_log

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import fuzz_comparison  # noqa: E402
import fuzz_inputs  # noqa: E402
import fuzz_logs  # noqa: E402
import fuzz_readers  # noqa: E402

SEED = 7  # another one than that of the table


@pytest.mark.slow
@pytest.mark.parametrize("container", fuzz_inputs.CONTAINERS)
def test_damaged_logs_are_read_as_what_is_in_them(container: str) -> None:
    part = fuzz_logs.run_part(container, 0, 150, SEED, None)
    assert part["wrong"] == []
    counts = part["counts"]
    assert counts["none read"] > 0 == counts.get("none refused", 0)
    assert counts["rows read"] > 0 < counts["bytes refused"]


def test_an_input_is_made_again_and_with_fewer_faults() -> None:
    number = next(n for n in range(100) if len(fuzz_inputs.make("jsonl", n, SEED).faults) > 2)
    case = fuzz_inputs.make("jsonl", number, SEED)
    assert case == fuzz_inputs.make("jsonl", number, SEED)
    assert case.files == fuzz_inputs.make("jsonl", number, SEED, case.faults).files
    assert fuzz_inputs.make("jsonl", number, SEED, ()).damage == "none"


# --- the comparison notices -------------------------------------------------------------------------------------------


def other_value(part: Any) -> Any:
    column = "attention_utilization" if "attention_utilization" in part.frame else "p_episodic"
    values = part.frame[column].to_numpy().copy()
    values[1] = values[1] * 0.999 + 1e-4
    return replace(part, frame=part.frame.assign(**{column: values}))


def other_step(part: Any) -> Any:
    return replace(part, frame=part.frame.assign(step=part.frame["step"] + (part.frame.index == len(part.frame) - 1)))


def other_run(part: Any) -> Any:
    runs = part.frame["run"].astype(str).tolist()
    return replace(part, frame=part.frame.assign(run=pd.Series([runs[-1], *runs[1:]], dtype="category")))


def lost_row(part: Any) -> Any:
    source = replace(part.source, rows_read=part.source.rows_read - 1)
    return replace(part, frame=part.frame[1:].reset_index(drop=True), source=source)


def lost_row_that_is_counted(part: Any) -> Any:
    source = replace(part.source, rows_dropped={**part.source.rows_dropped, "superseded after a restart": 1})
    return replace(part, frame=part.frame[1:].reset_index(drop=True), source=source)


def other_reason(part: Any) -> Any:
    source = replace(part.source, rows_read=part.source.rows_read + 1, rows_dropped={"damaged record": 1})
    return replace(part, source=source)


@pytest.mark.slow
@pytest.mark.parametrize("container", ["csv", "jsonl", "parquet", "mlflow"])
def test_whatever_is_wrong_with_a_log_is_noticed(tmp_path: Path, container: str) -> None:
    checked = 0
    for number in range(60):
        case = fuzz_inputs.make(container, number, SEED, ())
        fuzz_logs.place(case, tmp_path)
        log = read_log(tmp_path / case.target, **case.options)
        kind = "utilization" if log.utilization is not None else "routing"
        part = getattr(log, kind)
        numbers = {"attention_utilization", "p_episodic"} & set(part.frame)
        if "file_row" in part.frame or "run" not in part.frame or part.frame["run"].nunique() < 2 or not numbers:
            continue
        table = fuzz_readers.read(case, tmp_path)
        assert fuzz_comparison.disagreements(log, table, case.options) == []
        for change in (other_value, other_step, other_run, lost_row, lost_row_that_is_counted, other_reason):
            wrong = replace(log, **{kind: change(part)})
            assert fuzz_comparison.disagreements(wrong, table, case.options) != [], (change, number, case.files)
        checked += 1
    assert checked > 4


def test_what_is_printed_is_a_disagreement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def prints(path: Path, **options: Any) -> Any:
        print("reading")
        return read_log(path, **options)

    monkeypatch.setattr("cogfit.read_log", prints)
    case = fuzz_inputs.make("csv", 0, SEED, ())
    with fuzz_logs.watched() as file:
        outcome, found = fuzz_logs.check(case, tmp_path, file)
    assert (outcome, found) == ("read", ["printed: reading\n"])


def test_rows_of_other_containers_stay_in_the_table(tmp_path: Path) -> None:
    parts = [{"container": "csv", "counts": {"none read": 3, "rows refused": 2}, "faults": {"shuffle refused": 2}}]
    fuzz_logs.write_table(fuzz_logs.rows(parts, 1), tmp_path / "t.csv")
    fuzz_logs.write_table(fuzz_logs.rows([{**parts[0], "container": "json"}], 1), tmp_path / "t.csv")
    fuzz_logs.write_table(fuzz_logs.rows(parts, 2), tmp_path / "t.csv")
    with (tmp_path / "t.csv").open() as file:
        found = [(row["container"], row["damage"], row["inputs"], row["seed"]) for row in csv.DictReader(file)]
    assert found[0] == ("csv", "none", "3", "2")
    assert len(found) == 8
    assert found[5] == ("json", "rows", "2", "1")

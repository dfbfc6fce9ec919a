"""Reader of MLflow's file store, against the reader of MLflow's database."""

from __future__ import annotations

import math
import sqlite3
from itertools import count
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogfit.errors import InputError
from cogfit.logs import read_log
from cogfit.logs.formats.contents import read_head
from cogfit.logs.formats.mlflow import READER as DATABASE
from cogfit.logs.formats.mlflow_files import MALFORMED, READER, parse_meta
from cogfit.logs.formats.reader import Raw, ReadOptions
from cogfit.logs.formats.registry import reader_for

Value = tuple[int, float, int]  # timestamp, value, step


def read(path: Path) -> Raw:
    return READER.read(path, ReadOptions())


def write_run(store: Path, run_id: str, metrics: dict[str, list[Value]], name: str = "", **meta: object) -> Path:
    run = store / "0" / run_id
    (run / "metrics").mkdir(parents=True)
    (store / "0" / "meta.yaml").write_text("artifact_location: mlruns/0\nexperiment_id: '0'\nname: Default\n")
    entries = {"run_id": run_id, "run_name": name, "lifecycle_stage": "active", "start_time": 1, "tags": "[]"} | meta
    (run / "meta.yaml").write_text("".join(f"{key}: {value}\n" for key, value in entries.items()))
    for key, values in metrics.items():
        file = run / "metrics" / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{time} {value} {step}\n" for time, value, step in values))
    (run / "params").mkdir()
    (run / "params" / "lr").write_text("0.1")
    return run


CURVE: list[Value] = [(1_700_000_000_000 + step, step**-0.5, step) for step in range(1, 31)]


def test_a_store_an_experiment_a_run_its_metrics_and_one_metric_are_read_alike(tmp_path: Path) -> None:
    run = write_run(tmp_path / "work" / "mlruns", "ab12", {"attention_utilization": CURVE}, "seed 0")
    places = [tmp_path, tmp_path / "work" / "mlruns", run.parent, run, run / "metrics"]
    for place in [*places, run / "metrics" / "attention_utilization"]:
        log = read_log(place).utilization
        assert log is not None
        assert log.frame["step"].tolist() == list(range(1, 31))
        assert log.frame["attention_utilization"].tolist() == [value for _, value, _ in CURVE]
        assert (log.source.rows_read, log.source.rows_dropped) == (30, {})
        assert log.source.format == "mlflow_files"


def test_names_with_slashes_are_those_of_the_metrics(tmp_path: Path) -> None:
    metrics = {"train/attn/util": CURVE, "val/metrics/loss": CURVE[::3], "attention_utilization": CURVE}
    frame = read(write_run(tmp_path, "ab12", metrics)).frame
    assert set(frame.columns) == {"step", *metrics, "wall_time"}
    assert frame["val/metrics/loss"].dropna().tolist() == [value for _, value, _ in CURVE[::3]]


def test_deleted_runs_and_experiments_are_left_out_and_noted(tmp_path: Path) -> None:
    write_run(tmp_path, "aa", {"attention_utilization": CURVE}, "kept")
    deleted = write_run(tmp_path, "bb", {"attention_utilization": CURVE[:9]}, "gone", lifecycle_stage="deleted")
    write_run(tmp_path / ".trash", "cc", {"attention_utilization": CURVE[:5]})
    raw = read(tmp_path)
    assert len(raw.frame) == 30
    assert raw.notes == ("left out, because marked as deleted: 1 run(s)",)
    with pytest.raises(InputError, match=r"marked as deleted: 1 run"):
        read(deleted)
    alone = read(deleted / "metrics" / "attention_utilization")
    assert len(alone.frame) == 9
    assert alone.notes == ("the run of this metric is marked as deleted",)


def test_runs_of_one_name_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    write_run(tmp_path, "aaaaaaaaaa", {"attention_utilization": CURVE}, "seed", start_time=2)
    write_run(tmp_path, "bbbbbbbbbb", {"attention_utilization": CURVE}, "seed", start_time=1)
    write_run(tmp_path, "cccccccccc", {"attention_utilization": CURVE}, start_time=3)
    assert read(tmp_path).frame["run"].unique().tolist() == ["seed (bbbbbbbb)", "seed (aaaaaaaa)", "cccccccc"]


def test_every_line_is_a_value_or_counted(tmp_path: Path) -> None:
    run = write_run(tmp_path, "ab12", {"attention_utilization": CURVE[:3]})
    file = run / "metrics" / "attention_utilization"
    bad = ["x 0.5 4", "1700000000004 0.5", "1700000000004 0_5 4", "1700000000004 0.5 4.5", "1 2 3 4", "\0\0\0"]
    more = ["1700000000004 nan 4", "1700000000005 inf 5", "1700000000006 0.25 6 data 81f2", "", "1700000000007 1e-3 7"]
    file.write_text(file.read_text() + "\n".join([*bad, *more]) + "\n17000000")
    raw = read(file)
    assert raw.frame["step"].tolist() == [1, 2, 3, 0, 4, 5, 6, 7]  # MLflow takes a line without step for step 0
    assert math.isnan(raw.frame["attention_utilization"][4])
    assert raw.frame["attention_utilization"].tolist()[5:] == [math.inf, 0.25, 0.001]
    assert raw.dropped == {MALFORMED: 5, "truncated last line": 1}
    assert raw.rows_read == 8 + 6


@pytest.mark.parametrize("cut", range(1, 28))
def test_a_cut_last_line_never_gives_a_wrong_value(tmp_path: Path, cut: int) -> None:
    run = write_run(tmp_path, "ab12", {"attention_utilization": CURVE[:20]})
    file = run / "metrics" / "attention_utilization"
    text = file.read_text()
    file.write_text(text[:-cut])
    raw = read(file)
    values = list(zip(raw.frame["step"], raw.frame["attention_utilization"], strict=True))
    assert values in ([(step, value) for _, value, step in CURVE[:n]] for n in (19, 20))


def test_metrics_of_something_else_are_no_file_store(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    table = tmp_path / "metrics" / "log.csv"
    table.write_text("step,attention_utilization\n" + "".join(f"{k},{k**-0.5}\n" for k in range(1, 20)))
    (tmp_path / "metrics" / "notes").write_text("nothing")
    log = read_log(tmp_path).utilization
    assert log is not None
    assert log.source.format == "csv"


def test_the_files_of_a_run_without_meta_are_known_by_their_lines(tmp_path: Path) -> None:
    run = write_run(tmp_path, "ab12", {"attention_utilization": CURVE})
    (run / "meta.yaml").unlink()
    (run / "metrics" / "README").write_text("what this is")
    file = run / "metrics" / "attention_utilization"
    assert reader_for(file, read_head(file)) == READER
    assert len(read(run).frame) == 30


def test_entries_of_meta_are_read_as_yaml_writes_them() -> None:
    text = 'run_name: "caf\\u00e9: 1"\nrun_id: abc\nlifecycle_stage: active\nend_time: null\ntags: []\nname: a\n  b'
    expected = {"lifecycle_stage": "active", "name": "a b", "run_id": "abc", "run_name": "café: 1"}
    assert parse_meta(text) == expected


# --- the same log in both of MLflow's stores --------------------------------------------------------------------------

values = st.lists(
    st.tuples(
        st.sampled_from(["loss", "train/acc", "attention_utilization"]),
        st.integers(0, 9),
        st.floats(-1e300, 1e300),
    ),
    min_size=1,
    max_size=30,
)


@given(runs=st.lists(values, min_size=1, max_size=3))
def test_the_file_store_gives_what_the_database_gives(
    runs: list[list[tuple[str, int, float]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("stores")
    database = sqlite3.connect(folder / "mlflow.db")
    database.execute("CREATE TABLE runs (run_uuid TEXT, name TEXT, lifecycle_stage TEXT, start_time INTEGER)")
    database.execute(
        "CREATE TABLE metrics (key TEXT, value REAL, timestamp INTEGER, run_uuid TEXT, step INTEGER, is_nan INTEGER)"
    )
    for number, logged in enumerate(runs):
        metrics: dict[str, list[Value]] = {}
        for time, (key, step, value) in enumerate(logged):
            metrics.setdefault(key, []).append((time, value, step))
            row = (key, value, time, f"run{number}", step)
            database.execute("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, 0)", row)
        database.execute("INSERT INTO runs VALUES (?, 'seed', 'active', ?)", (f"run{number}", number))
        write_run(folder / "mlruns", f"run{number}", metrics, "seed", start_time=number)
    database.commit()
    database.close()
    expected, found = DATABASE.read(folder / "mlflow.db", ReadOptions()), read(folder / "mlruns")
    pd.testing.assert_frame_equal(found.frame[expected.frame.columns], expected.frame)


@pytest.mark.parametrize("every", [3, 7, 10, 20])
def test_a_restart_shares_no_rows_with_the_branch_it_left(tmp_path: Path, every: int) -> None:
    # the loss of every step would offer its rows to a utilisation that is logged at other steps than before
    branches = [(range(1, 301), range(10, 301, 10)), (range(203, 401), range(203, 401, every))]
    times = count(1)
    loss, util = [], []
    for number, (steps, logged) in enumerate(branches):
        for step in steps:
            loss.append((next(times), 1.0, step))
            if step in logged:
                util.append((next(times), 0.25 + 0.5 * number, step))
    log = read_log(write_run(tmp_path, "aa", {"loss": loss, "attention_utilization": util})).utilization
    assert log is not None
    kept = [step for step in branches[0][1] if step < 203]
    assert log.frame["step"].tolist() == [*kept, *branches[1][1]]
    assert log.frame["attention_utilization"].tolist() == [0.25] * len(kept) + [0.75] * len(branches[1][1])
    assert log.source.branches


@pytest.mark.parametrize("names", [["a", " a"], ["b ", "b", "b\u00a0"], [" ", "c"]])
def test_runs_whose_names_differ_in_blanks_stay_apart(tmp_path: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        folder = tmp_path / "mlruns" / "0" / f"{number}{'0' * 31}"
        (folder / "metrics").mkdir(parents=True)
        (folder / "meta.yaml").write_text(f"run_id: {folder.name}\nrun_name: '{name}'\nlifecycle_stage: active\n")
        lines = [f"{1000 * step} {(number + 1) / 10} {step}\n" for step in range(5)]
        (folder / "metrics" / "attn_util").write_text("".join(lines))
    log = read_log(tmp_path).utilization
    assert log is not None
    assert log.source.rows_used == log.source.rows_read == len(log.frame) == 5 * len(names)
    values = log.frame.groupby("run")["attention_utilization"].unique()
    assert sorted(map(list, values)) == [[(number + 1) / 10] for number in range(len(names))]


def test_names_of_runs_are_no_paths(tmp_path: Path) -> None:
    for number, name in enumerate(("a/b", "a/c", "val")):
        folder = tmp_path / "mlruns" / "0" / f"{number}{'0' * 31}"
        (folder / "metrics").mkdir(parents=True)
        (folder / "meta.yaml").write_text(f"run_id: {folder.name}\nrun_name: '{name}'\nlifecycle_stage: active\n")
        (folder / "metrics" / "attn_util").write_text("".join(f"{k} {0.5 / (k + 1)} {k}\n" for k in range(5)))
    log = read_log(tmp_path).utilization
    assert log is not None
    assert set(log.frame["run"]) == {"a/b", "a/c", "val"}
    assert not log.source.choices

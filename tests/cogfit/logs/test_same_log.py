"""The same log gives the same answer, whatever holds it and however its rows are ordered."""

from __future__ import annotations

import gzip
import json
import math
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cogfit
from cogfit.logs import read_log
from cogfit.logs.export import write_log

Points = list[tuple[str, float, float]]

# ------------------------------------------------------------------------------------------------ containers


def _csv(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_csv(folder / "log.csv", index=False)
    return folder / "log.csv"


def _tsv(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_csv(folder / "log.tsv", index=False, sep="\t")
    return folder / "log.tsv"


def _semicolons(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_csv(folder / "log.csv", index=False, sep=";", decimal=",")
    return folder / "log.csv"


def _jsonl(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_json(folder / "log.jsonl", orient="records", lines=True, double_precision=15)
    return folder / "log.jsonl"


def _json(frame: pd.DataFrame, folder: Path) -> Path:
    (folder / "log.json").write_text(json.dumps(frame.to_dict("records")))
    return folder / "log.json"


def _parquet(frame: pd.DataFrame, folder: Path) -> Path:
    frame.to_parquet(folder / "log.parquet", index=False)
    return folder / "log.parquet"


def _gzipped(frame: pd.DataFrame, folder: Path) -> Path:
    (folder / "log.csv.gz").write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    return folder / "log.csv.gz"


def _huggingface(frame: pd.DataFrame, folder: Path) -> Path:
    state = {"global_step": int(frame["step"].max()), "log_history": frame.to_dict("records")}
    (folder / "trainer_state.json").write_text(json.dumps(state))
    return folder / "trainer_state.json"


def _text(frame: pd.DataFrame, folder: Path) -> Path:
    rows = zip(frame["step"].tolist(), frame["attention_utilization"].tolist(), strict=True)
    (folder / "train.log").write_text("".join(f"step {s}: attention_utilization {v!r}\n" for s, v in rows))
    return folder / "train.log"


def _tensorboard(frame: pd.DataFrame, folder: Path) -> Path:
    write_log(frame, folder / "events", "tensorboard")
    return folder / "events"


def _mlflow_files(frame: pd.DataFrame, folder: Path) -> Path:
    run = folder / "mlruns" / "0" / "abc"
    (run / "metrics").mkdir(parents=True)
    (run / "meta.yaml").write_text("run_id: abc\nrun_name: one\nlifecycle_stage: active\n")
    rows = zip(frame["step"].tolist(), frame["attention_utilization"].tolist(), strict=True)
    lines = "".join(f"{1_700_000_000_000 + i} {v!r} {s}\n" for i, (s, v) in enumerate(rows))
    (run / "metrics" / "attention_utilization").write_text(lines)
    return folder / "mlruns"


def _mlflow_sqlite(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "mlflow.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE runs (run_uuid TEXT, name TEXT, lifecycle_stage TEXT, start_time INTEGER)")
        connection.execute(
            "CREATE TABLE metrics (key TEXT, value REAL, timestamp INTEGER, run_uuid TEXT, step INT, is_nan INT)"
        )
        connection.execute("INSERT INTO runs VALUES ('abc', 'one', 'active', 0)")
        rows = zip(frame["step"].tolist(), frame["attention_utilization"].tolist(), strict=True)
        connection.executemany(
            "INSERT INTO metrics VALUES ('attention_utilization', ?, ?, 'abc', ?, 0)",
            [(v, i, s) for i, (s, v) in enumerate(rows)],
        )
    connection.close()
    return path


def _in_memory(frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    return frame


TABLES: dict[str, Callable[[pd.DataFrame, Path], Path | pd.DataFrame]] = {
    "csv": _csv,
    "tsv": _tsv,
    "semicolons": _semicolons,
    "jsonl": _jsonl,
    "json": _json,
    "parquet": _parquet,
    "gzip": _gzipped,
    "huggingface": _huggingface,
    "dataframe": _in_memory,
}
"""Containers of any columns."""

SCALARS: dict[str, Callable[[pd.DataFrame, Path], Path | pd.DataFrame]] = {
    "text": _text,
    "tensorboard": _tensorboard,
    "mlflow files": _mlflow_files,
    "mlflow sqlite": _mlflow_sqlite,
}
"""Containers of one number a step."""

# --------------------------------------------------------------------------------------------------- changes


def _reversed(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame.iloc[::-1]


def _shuffled(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame.iloc[rng.permutation(len(frame))]


def _interleaved(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Several writers, each of which writes some rows at a time."""
    writer = rng.integers(0, int(rng.integers(2, 5)), len(frame))
    return frame.iloc[np.lexsort((np.arange(len(frame)), writer, np.arange(len(frame)) // int(rng.integers(2, 9))))]


def _repeated(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return frame.iloc[np.repeat(np.arange(len(frame)), rng.integers(1, 4, len(frame)))]


def _late(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    row = int(rng.integers(len(frame)))
    order = np.delete(np.arange(len(frame)), row)
    return frame.iloc[np.insert(order, int(rng.integers(row, len(frame))), row)]


ORDERS = {
    "as it is": lambda frame, rng: frame,
    "reversed": _reversed,
    "shuffled": _shuffled,
    "interleaved": _interleaved,
    "late row": _late,
}


@st.composite
def utilization_logs(draw: st.DrawFn) -> pd.DataFrame:
    """Runs by layers, with gaps in the steps; values that four bytes hold exactly."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    parts = []
    for run in range(draw(st.integers(1, 3))):
        for layer in range(draw(st.integers(1, 2))):
            step = np.cumsum(rng.integers(1, 4, draw(st.integers(4, 40))))
            value = np.float32(rng.uniform(0.1, 1.0, step.size)).astype(float)
            parts.append(pd.DataFrame({"step": step, "attention_utilization": value, "run": f"seed{run}"}))
            parts[-1]["layer"] = str(layer)
    frame = pd.concat(parts, ignore_index=True)
    return frame.drop(columns=[name for name in ("run", "layer") if frame[name].nunique() == 1])


def points_of(data: Path | pd.DataFrame) -> Points:
    log = read_log(data).utilization
    assert log is not None
    assert log.source.rows_read == log.source.rows_used + sum(log.source.rows_dropped.values())
    assert log.source.rows_used == len(log.frame)
    labels = [name for name in ("run", "layer") if name in log.frame and log.frame[name].nunique() > 1]
    names = log.frame[labels].agg("/".join, axis=1) if labels else pd.Series("", index=log.frame.index)
    return sorted(zip(names, log.frame["step"].astype(float), log.frame["attention_utilization"], strict=True))


def assert_same(found: Points, expected: Points) -> None:
    assert [point[:2] for point in found] == [point[:2] for point in expected]
    # a decimal of 15 digits is not always the same float
    np.testing.assert_allclose([point[2] for point in found], [point[2] for point in expected], rtol=1e-14)


@settings(deadline=None, derandomize=True, max_examples=120)
@given(utilization_logs(), st.sampled_from(sorted(TABLES)), st.sampled_from(sorted(ORDERS)), st.integers(0, 10**6))
def test_container_and_order_do_not_change_the_points(
    tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame, container: str, order: str, seed: int
) -> None:
    changed = ORDERS[order](frame, np.random.default_rng(seed)).reset_index(drop=True)
    assert_same(points_of(TABLES[container](changed, tmp_path_factory.mktemp("log"))), points_of(frame))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(utilization_logs(), st.sampled_from(sorted(SCALARS)), st.sampled_from(sorted(ORDERS)), st.integers(0, 10**6))
def test_containers_of_scalars_do_not_change_the_points(
    tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame, container: str, order: str, seed: int
) -> None:
    labels = [name for name in ("run", "layer") if name in frame]
    one = frame.groupby(labels).get_group(tuple(frame[labels].iloc[0])) if labels else frame
    one = one[["step", "attention_utilization"]].reset_index(drop=True)
    changed = ORDERS[order](one, np.random.default_rng(seed)).reset_index(drop=True)
    assert_same(points_of(SCALARS[container](changed, tmp_path_factory.mktemp("log"))), points_of(one))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(utilization_logs(), st.sampled_from(sorted(TABLES)), st.integers(0, 10**6))
def test_rows_repeated_in_place_do_not_change_the_points(
    tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame, container: str, seed: int
) -> None:
    changed = _repeated(frame, np.random.default_rng(seed)).reset_index(drop=True)
    assert_same(points_of(TABLES[container](changed, tmp_path_factory.mktemp("log"))), points_of(frame))


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(12, 60), st.integers(2, 4), st.sampled_from(["csv", "jsonl", "parquet"]), st.integers(0, 10**6))
def test_a_log_in_parts_is_the_log(
    tmp_path_factory: pytest.TempPathFactory, n: int, parts: int, container: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    step = np.arange(1, n + 1) * int(rng.integers(1, 50))
    frame = pd.DataFrame({"step": step, "attention_utilization": rng.uniform(0.1, 1.0, n)})
    folder = tmp_path_factory.mktemp("log")
    cuts = np.array_split(np.arange(n), parts)
    for number, rows in enumerate(cuts):
        place = folder / f"spare{number}"
        place.mkdir()
        path = TABLES[container](frame.iloc[rows].reset_index(drop=True), place)
        assert isinstance(path, Path)
        path.rename(folder / f"part{number}{path.suffix}")
        place.rmdir()
    assert_same(points_of(folder), points_of(frame))


# -------------------------------------------------------------------------------------------------- routing


@st.composite
def routing_logs(draw: st.DrawFn) -> pd.DataFrame:
    """A pattern at most once a step, so that the order of rows within a step does not matter."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    step = np.repeat(np.arange(draw(st.integers(8, 40))), 3)
    pattern = np.concatenate([rng.permutation(6)[:3] for _ in range(step.size // 3)])
    attended = rng.random(step.size) < 0.5
    names = np.array(["a", "b", "01", "1", "NA", "2026-01-01"], dtype=object)[pattern]
    return pd.DataFrame({"step": step, "pattern": names, "attended": attended.astype(int)})


@settings(deadline=None, derandomize=True, max_examples=80)
@given(
    routing_logs(),
    st.sampled_from(sorted(set(TABLES) - {"huggingface"})),
    st.sampled_from(["as it is", "reversed", "shuffled"]),
    st.integers(0, 10**6),
)
def test_container_and_order_do_not_change_exposures(
    tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame, container: str, order: str, seed: int
) -> None:
    changed = ORDERS[order](frame, np.random.default_rng(seed)).reset_index(drop=True)
    log = read_log(TABLES[container](changed, tmp_path_factory.mktemp("log"))).routing
    assert log is not None
    names = [log.pattern_names[code] for code in log.frame["pattern"]]
    found = sorted(zip(log.frame["step"], names, log.frame["exposure"], log.frame["attended"], strict=True))
    expected = frame.assign(exposure=frame.groupby("pattern").cumcount())
    columns = (expected[name] for name in ("step", "pattern", "exposure", "attended"))
    assert found == sorted(zip(*columns, strict=True))
    assert log.source.rows_used == len(frame)


# ----------------------------------------------------------------------------------------------------- fits


def answer(data: Path | pd.DataFrame) -> tuple[float, ...]:
    fit = cogfit.fit(data)
    assert fit.gamma is not None
    assert fit.interval is not None
    return (fit.gamma, *fit.interval, float(len(fit.verdict.power_law)), float(fit.n))


@pytest.mark.long
def test_the_whole_answer_is_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    step = np.arange(1, 81)
    value = np.float32(0.9 * step**-0.5 * np.exp(rng.normal(0, 0.02, 80))).astype(float)
    frame = pd.DataFrame({"step": step, "attention_utilization": value})
    expected = answer(frame)
    variants: list[tuple[str, Path | pd.DataFrame]] = []
    # the same points give the same answer, so that a few of each kind will do
    for name in ("csv", "gzip", "jsonl", "parquet", "tensorboard", "text"):
        folder = tmp_path / name
        folder.mkdir()
        variants.append((name, {**TABLES, **SCALARS}[name](frame, folder)))
    variants += [(name, ORDERS[name](frame, rng).reset_index(drop=True)) for name in ("shuffled", "interleaved")]
    variants.append(("repeated", _repeated(frame, rng).reset_index(drop=True)))
    for name, data in variants:
        found = answer(data)
        assert all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(found, expected, strict=True)), name

"""MLflow reader, on a database recorded by MLflow itself (tests/fixtures/README.md says how)."""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogfit.errors import CogfitError, InputError
from cogfit.logs.formats.mlflow import READER, run_labels
from cogfit.logs.formats.reader import Raw, ReadOptions
from cogfit.logs.labels import label_text

FIXTURE = Path(__file__).parents[3] / "fixtures" / "mlflow.db"


def read(path: Path) -> Raw:
    return READER.read(path, ReadOptions())


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return Path(shutil.copy(FIXTURE, tmp_path / "mlflow.db"))


def execute(path: Path, *statements: str) -> Path:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path


def test_the_recorded_database_is_read_value_by_value() -> None:
    raw = read(FIXTURE)
    frame = raw.frame
    assert frame.columns.tolist() == ["step", "attention_utilization", "loss", "wall_time", "run"]
    # What the recording logged: step 30 of the first run twice, a NaN loss in the second run, a deleted third run.
    for seed in (0, 1):
        mine = frame[frame["run"] == f"seed-{seed}"]
        steps = [*range(31), 30, *range(31, 50)] if seed == 0 else list(range(50))
        utilization = [round(0.05 + 0.9 * (step + 1) ** -0.5, 6) + 0.001 * seed for step in steps]
        loss = [round(2.0 / (step + 1), 6) for step in steps]
        if seed == 0:
            utilization[31], loss[31] = 0.25, math.nan
        else:
            loss[7] = math.nan
        assert mine["step"].tolist() == steps
        np.testing.assert_array_equal(mine["attention_utilization"], utilization)
        np.testing.assert_array_equal(mine["loss"], loss)
        assert mine["wall_time"].is_monotonic_increasing
    assert len(frame) == raw.rows_read == 101
    assert raw.dropped == {}
    assert len(raw.notes) == 1
    assert "deleted" in raw.notes[0]


def test_the_file_is_not_changed_and_nothing_is_left_beside_it(database: Path) -> None:
    before = database.read_bytes()
    read(database)
    assert database.read_bytes() == before
    assert os.listdir(database.parent) == ["mlflow.db"]


def test_names_that_need_quoting(database: Path) -> None:
    odd = database.with_name("a?mode=rwc&b #%41 ü.db")
    database.rename(odd)
    assert len(read(odd).frame) == 101
    assert os.listdir(odd.parent) == [odd.name]


def test_recognition() -> None:
    assert READER.recognise(FIXTURE, FIXTURE.read_bytes()[:65536])
    assert not READER.recognise(Path("mlflow.db"), b"step,attention_utilization\n")
    assert not READER.recognise(Path("mlflow.db"), b"")


def test_runs_of_one_name_are_told_apart(database: Path) -> None:
    execute(database, "UPDATE runs SET name = 'same'")
    names = read(database).frame["run"].unique().tolist()
    with sqlite3.connect(database) as connection:
        ids = [row[0] for row in connection.execute("SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active'")]
    assert sorted(names) == sorted(f"same ({run_uuid[:8]})" for run_uuid in ids)


def test_one_run_needs_no_run_column(database: Path) -> None:
    execute(database, "UPDATE runs SET lifecycle_stage = 'deleted' WHERE name = 'seed-1'")
    frame = read(database).frame
    assert frame.columns.tolist() == ["step", "attention_utilization", "loss", "wall_time"]
    assert len(frame) == 51


def test_infinity_is_what_mlflow_stores_as_the_largest_float(database: Path) -> None:
    execute(database, "UPDATE metrics SET value = -1.7976931348623157e308 WHERE step = 3 AND key = 'loss'")
    frame = read(database).frame
    assert frame.loc[frame["step"] == 3, "loss"].tolist() == [-math.inf, -math.inf]


def test_values_that_are_no_numbers_are_dropped_and_counted(database: Path) -> None:
    execute(database, "UPDATE metrics SET value = 'abc' WHERE step IN (3, 4) AND key = 'attention_utilization'")
    raw = read(database)
    assert raw.dropped == {"value is no number": 4}
    assert raw.rows_read == len(raw.frame) + 4
    assert raw.frame.loc[raw.frame["step"].isin([3, 4]), "attention_utilization"].isna().all()


def test_rows_of_no_run_are_dropped_and_counted(database: Path) -> None:
    execute(database, "INSERT INTO metrics VALUES ('loss', 1.0, 1, 'nobody', 0, 0)")
    assert read(database).dropped == {"metric of no run": 1}


def _garbage(path: Path) -> Path:
    path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 20)
    return path


def _torn(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:40_000])
    return path


def _magic_only(path: Path) -> Path:
    path.write_bytes(b"SQLite format 3\0")
    return path


def _no_database(path: Path) -> Path:
    path.write_bytes(b"step,loss\n1,2\n")
    return path


def _other(path: Path) -> Path:
    path.unlink()
    return execute(path, "CREATE TABLE metrics (a, b)", "INSERT INTO metrics VALUES (1, 2)")


def _no_metric(path: Path) -> Path:
    return execute(path, "DELETE FROM metrics")


def _view(path: Path) -> Path:
    """A view that never ends, in the place of the table."""
    forever = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT"
    columns = "'loss' AS key, 1.0 AS value, n AS timestamp, 'x' AS run_uuid, n AS step, 0 AS is_nan FROM r"
    return execute(path, "DROP TABLE metrics", f"CREATE VIEW metrics AS {forever} {columns}")


IDS = st.text("0123456789abcdef", min_size=0, max_size=10) | st.sampled_from(["b) (c", "c", " c", "01234567"])
NAMES = (
    st.none()
    | st.sampled_from(["", "a", " a", "a (b)", "a (01234567)", "01234567", "#1", "a (c #1)"])
    | st.text(max_size=3)
)


@given(st.lists(st.tuples(IDS, NAMES), max_size=12))
def test_runs_stay_apart_whatever_they_are_called(runs: list[tuple[str, str | None]]) -> None:
    """Two runs have one label only if id and name are the same, and a label says as little of the id as it can."""
    labels = run_labels(runs)
    assert [label_text(label) for label in labels] == labels  # is not changed any more when it is read as a label
    texts = [(label_text(run_id) or "", label_text(name or "")) for run_id, name in runs]
    assert len(set(labels)) == len(set(texts))
    for (_, name), label in zip(texts, labels, strict=True):
        assert name is None or label.startswith(name)
        if name is not None and [other for _, other in set(texts)].count(name) == 1 and "(" not in "".join(labels):
            assert label == name


def test_a_run_that_is_called_as_another_is_labelled_stays_apart(database: Path) -> None:
    """Rows of two runs of one name, and of one called like the first with its id, as they lie in the database."""
    execute(database, "UPDATE runs SET lifecycle_stage = 'active'")
    ids = [row[0] for row in sqlite3.connect(database).execute("SELECT run_uuid FROM runs ORDER BY start_time, rowid")]
    before = read(database).frame
    names = ["a", "a", *(f"a ({ids[0][:8]})" for _ in ids[2:])]
    execute(
        database,
        *(f"UPDATE runs SET name = '{name}' WHERE run_uuid = '{own}'" for name, own in zip(names, ids, strict=True)),
    )
    after = read(database).frame
    assert len(ids) == after["run"].nunique() == 3
    assert after.groupby("run").size().sort_values().tolist() == before.groupby("run").size().sort_values().tolist()


def _missing(path: Path) -> Path:
    path.unlink()
    return path


def _folder(path: Path) -> Path:
    return path.parent


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_garbage, "SQLite"),
        (_torn, "SQLite"),
        (_magic_only, "SQLite"),
        (_no_database, "no SQLite database"),
        (_other, "not MLflow's"),
        (_no_metric, "no metric"),
        (_view, "not MLflow's"),
        (_missing, "cannot be read"),
        (_folder, "cannot be read"),
    ],
)
def test_what_is_no_mlflow_database_is_an_input_error(
    database: Path, spoil: Callable[[Path], Path], message: str
) -> None:
    path = spoil(database)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert caught.value.path == path
    assert "\n" not in str(caught.value)


SIZE = FIXTURE.stat().st_size


@given(
    position=st.one_of(st.integers(0, 1023), st.integers(0, SIZE - 1)),
    junk=st.binary(min_size=1, max_size=64),
    cut=st.one_of(st.just(SIZE), st.integers(0, SIZE)),
)
@settings(deadline=None, derandomize=True, max_examples=150)
def test_no_damage_escapes(tmp_path_factory: pytest.TempPathFactory, position: int, junk: bytes, cut: int) -> None:
    content = bytearray(FIXTURE.read_bytes())
    content[position : position + len(junk)] = junk
    path = tmp_path_factory.getbasetemp() / "fuzz.db"
    path.write_bytes(bytes(content[:cut]))
    try:
        raw = read(path)
    except CogfitError:
        return
    assert {"step", "wall_time"} <= set(raw.frame.columns)
    assert raw.rows_read == len(raw.frame) + sum(raw.dropped.values())

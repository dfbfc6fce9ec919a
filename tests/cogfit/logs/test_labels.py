"""Labels are names: they mean the same in every container, and different ones stay apart."""

from __future__ import annotations

import csv
import datetime
import io
import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cogfit.errors import InputError
from cogfit.logs import read_log
from cogfit.logs.formats.tables import to_frame
from cogfit.logs.labels import MISSING, label_text, labels_of, natural_key

Cells = Sequence[Any]

# --- writers ----------------------------------------------------------------------------------------------------------


def table_of(labels: Cells) -> dict[str, list[Any]]:
    n = len(labels)
    return {"step": list(range(n)), "pattern": list(labels), "attended": [row % 2 for row in range(n)]}


def as_csv(labels: Cells, delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    table = table_of(labels)
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
    return text.getvalue().encode()


def as_json_lines(labels: Cells) -> bytes:
    table = table_of(labels)
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_parquet(labels: pa.Array) -> bytes:
    sink = pa.BufferOutputStream()
    table = table_of(labels)
    pq.write_table(pa.table({**table, "pattern": labels}), sink)
    return bytes(sink.getvalue().to_pybytes())


OF_TEXT: dict[str, Callable[[list[str]], bytes]] = {
    "log.csv": as_csv,
    "log.tsv": lambda labels: as_csv(labels, "\t"),
    "semicolon.csv": lambda labels: as_csv(labels, ";"),
    "log.jsonl": as_json_lines,
    "columns.json": lambda labels: json.dumps(table_of(labels)).encode(),
    "records.json": lambda labels: b"[" + as_json_lines(labels).strip().replace(b"\n", b",") + b"]",
    "text.parquet": lambda labels: as_parquet(pa.array(labels, pa.string())),
    "large.parquet": lambda labels: as_parquet(pa.array(labels, pa.large_string())),
    "encoded.parquet": lambda labels: as_parquet(pa.array(labels, pa.string()).dictionary_encode()),
    "bytes.parquet": lambda labels: as_parquet(pa.array([label.encode() for label in labels], pa.binary())),
}
OF_CELLS: dict[str, Callable[[Cells], bytes]] = {
    "log.jsonl": as_json_lines,
    "log.json": lambda labels: json.dumps(table_of(labels)).encode(),
    "log.parquet": lambda labels: as_parquet(pa.array(labels)),
}


def names_in(path: Path, **options: Any) -> list[str | None]:
    log = read_log(path, **options).routing
    assert log is not None
    assert len(log.frame) == log.source.rows_read
    return [log.pattern_names[code] if code >= 0 else None for code in log.frame["pattern"]]


def read_names(folder: Path, name: str, content: bytes) -> list[str | None]:
    (folder / name).write_bytes(content)
    return names_in(folder / name)


# --- laws -------------------------------------------------------------------------------------------------------------

HOSTILE = st.text("0123456789eE.+-:/TZ NAnulofi<>\"',;\t#é\u2028_", max_size=6)
NOVEL = re.compile(r"-1(\.0*)?([eE][-+]?0+)?")
LOOKALIKES = ["1", "01", "1.0", "1e0", "+1", "1e5", "100000", "123e456", "124e456", "inf", "nan", "NaN", "NA", "null"]
LOOKALIKES += ["None", "true", "True", "2024-01-01", "2024-01-01 00:00", "2024-01-01T00:00:00", "12:30", "0x1", "1_0"]
LOOKALIKES += [str(2**63 + 1), str(2**63), str(2**64), "-0", "0", "0.1", "0.10", "<NA>", "#N/A", "", " ", " a", "a"]


@settings(max_examples=60, deadline=None)
@given(st.lists(HOSTILE | st.sampled_from(LOOKALIKES), min_size=2, max_size=12))
@example(LOOKALIKES)
def test_texts_are_the_same_names_in_every_container(
    tmp_path_factory: pytest.TempPathFactory, labels: list[str]
) -> None:
    expected = [label.strip() or None for label in labels]
    if all(name is None or name.endswith(".0") for name in expected):
        labels, expected = [*labels, "word"], [*expected, "word"]  # else integers with gaps, as pandas writes them
    expected = [None if name is None or NOVEL.fullmatch(name) else name for name in expected]
    folder = tmp_path_factory.mktemp("labels")
    assert {name: read_names(folder, name, write(labels)) for name, write in OF_TEXT.items()} == dict.fromkeys(
        OF_TEXT, expected
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3), min_size=2, max_size=8))
def test_whole_numbers_are_the_same_names_however_they_are_stored(
    tmp_path_factory: pytest.TempPathFactory, labels: list[int | None]
) -> None:
    folder = tmp_path_factory.mktemp("whole")
    expected = [None if label in (None, -1) else str(label) for label in labels]
    texts = ["" if label is None else str(label) for label in labels]
    found = {name: read_names(folder, name, write(labels)) for name, write in OF_CELLS.items()}
    found["log.csv"] = read_names(folder, "log.csv", as_csv(texts))
    if any(labels):
        typed = pa.array([None if label is None else Decimal(label) for label in labels], pa.decimal128(38, 2))
        found["decimal.parquet"] = read_names(folder, "decimal.parquet", as_parquet(typed))
    assert found == dict.fromkeys(found, expected)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | st.integers(-5, 2**53), min_size=2, max_size=8).filter(lambda labels: None in labels))
def test_integers_with_gaps_are_integers_although_pandas_writes_floats(
    tmp_path_factory: pytest.TempPathFactory, labels: list[int | None]
) -> None:
    folder = tmp_path_factory.mktemp("gaps")
    frame = pd.DataFrame(table_of(labels)).astype({"pattern": "float64"})
    (folder / "log.csv").write_text(frame.to_csv(index=False, float_format="%.1f"))
    frame.to_parquet(folder / "log.parquet", index=False)
    expected = [None if label in (None, -1) else str(label) for label in labels]
    assert names_in(folder / "log.csv") == names_in(folder / "log.parquet") == expected


@pytest.mark.parametrize("novel", ["-1", " -1 ", "-1.0", "-1.000000000000000000e+00"])
def test_minus_one_is_no_pattern_in_any_container(tmp_path: Path, novel: str) -> None:
    for name, write in OF_TEXT.items():
        assert read_names(tmp_path, name, write([novel, "a", "-2", "-10"])) == [None, "a", "-2", "-10"], name
    for name, write in OF_CELLS.items():
        assert read_names(tmp_path, name, write([float(novel), 2.0])) == [None, "2"], name


def test_floats_without_gaps_are_taken_as_they_are_written(tmp_path: Path) -> None:
    assert read_names(tmp_path, "log.csv", as_csv(["1.0", "2.0", "10.0", "1.0"])) == ["1.0", "2.0", "10.0", "1.0"]


@pytest.mark.parametrize("name", OF_CELLS)
def test_integers_beyond_64_bits_stay_apart(tmp_path: Path, name: str) -> None:
    labels: list[Any] = [2**70 + row % 3 for row in range(9)]
    cells = [Decimal(label) for label in labels] if name.endswith("parquet") else labels
    assert read_names(tmp_path, name, OF_CELLS[name](cells)) == [str(label) for label in labels]


def test_truth_values_are_not_one_and_zero(tmp_path: Path) -> None:
    labels = [True, 1, False, 0, "True"]
    for name in ("log.jsonl", "log.json"):
        assert read_names(tmp_path, name, OF_CELLS[name](labels)) == ["True", "1", "False", "0", "True"]
    assert read_names(tmp_path, "log.parquet", OF_CELLS["log.parquet"]([True, False, None])) == ["True", "False", None]


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        (pa.array([0.1, 3.0, None, float("nan"), 2.5], pa.float32()), ["0.1", "3", None, None, "2.5"]),
        (pa.array([Decimal("1.50"), Decimal("2.00"), None]), ["1.50", "2", None]),
        (pa.array([2**64 - 1, 2**63], pa.uint64()), [str(2**64 - 1), str(2**63)]),
        (pa.array([datetime.date(2024, 1, 2), None]), ["2024-01-02", None]),
        (pa.array([1_700_000_000_000, 1_700_000_000_001], pa.timestamp("ms")), None),
        (pa.array([1, 2, 1], pa.timestamp("ns")), None),
        (pa.array([datetime.timedelta(1), datetime.timedelta(2)]), None),
        (pa.array([None, None], pa.null()), [None, None]),
    ],
)
def test_types_of_parquet(tmp_path: Path, typed: pa.Array, names: list[str | None] | None) -> None:
    found = read_names(tmp_path, "log.parquet", as_parquet(typed))
    assert names is None or found == names
    assert len(set(found)) == len(set(typed.to_pylist()) if typed.null_count != 1 else set(names or ()))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"log\.parquet, column 'pattern'.*UTF-8"):
        read_names(tmp_path, "log.parquet", as_parquet(pa.array([b"\xff", b"a"], pa.binary())))


def test_text_of_parquet_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    text = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xc3", b"a"], pa.binary()).buffers())
    with pytest.raises(InputError, match=r"log\.parquet, column 'pattern'.*UTF-8"):
        read_names(tmp_path, "log.parquet", as_parquet(text))


def test_halves_of_surrogate_pairs_stay_apart_and_can_be_written(tmp_path: Path) -> None:
    labels = ["\ud800", "\ud801", "\\ud800", "a\udfffb", "\ud800"]
    for name in ("log.jsonl", "log.json"):
        found = read_names(tmp_path, name, OF_CELLS[name](labels))
        assert len(set(found)) == 4
        assert found[0] == found[4]
        assert "".join(map(str, found)).encode("utf-8")
    content = b'{"step": 1, "attn_util": 0.5, "a\\udc00": 1}\n{"step": 2, "attn_util": 0.4, "a\\udc00": 1}\n'
    (tmp_path / "keys.jsonl").write_bytes(content)
    log = read_log(tmp_path / "keys.jsonl").utilization
    assert log is not None
    assert "".join(log.frame.columns).encode("utf-8")


def test_lines_within_labels(tmp_path: Path) -> None:
    labels = ["a\nb", "a b", "a\nb", "c\r\nd"]
    for name, write in OF_TEXT.items():
        assert read_names(tmp_path, name, write(labels)) == labels, name


@pytest.mark.parametrize("role", ["run", "seed", "layer", "head"])
def test_every_label_column_is_text(tmp_path: Path, role: str) -> None:
    rows = "".join(f"{step},0.5,{label}\n" for step in range(3) for label in ("1", "01", "1e0", "123e456", "124e456"))
    (tmp_path / "log.csv").write_text(f"step,attn_util,{role}\n{rows}")
    log = read_log(tmp_path / "log.csv").utilization
    assert log is not None
    assert len(log.frame) == 15
    column = "run" if role == "seed" else role
    assert set(log.frame[column]) == {"1", "01", "1e0", "123e456", "124e456"}


def test_a_chosen_run_or_pattern_is_text(tmp_path: Path) -> None:
    rows = "".join(f"{step},0.5,{label},{label},1\n" for step in range(3) for label in ("1", "01"))
    (tmp_path / "log.csv").write_text(f"step,attn_util,Job,cue,attended\n{rows}")
    log = read_log(tmp_path / "log.csv", run="job", y="attn_util").utilization
    assert log is not None
    assert set(log.frame["run"]) == {"1", "01"}
    assert set(names_in(tmp_path / "log.csv", pattern="cue", y="attended")) == {"1", "01"}


def test_a_column_of_splits_is_text() -> None:
    table = pa.table({"step": [1, 2], "attn_util": [0.5, 0.4], "split": [1, 2]})
    frame, _ = to_frame(table)
    assert frame["split"].tolist() == ["1", "2"]
    assert frame["step"].dtype == np.int64


@pytest.mark.parametrize("name", ["nan", "None", "null", "<NA>", "novel"])
def test_names_that_may_mean_no_pattern_are_warned_of(tmp_path: Path, name: str) -> None:
    for file, write in OF_TEXT.items():
        (tmp_path / file).write_bytes(write([name, "a", "NA"]))
        log = read_log(tmp_path / file)
        assert log.routing is not None
        assert name in log.routing.pattern_names
        (warning,) = [text for text in log.warnings if "name of a pattern" in text]
        assert f"'{name}'" in warning


def test_missing_numbers_are_spelt_in_many_ways_in_every_container(tmp_path: Path) -> None:
    words = sorted({spelling for word in MISSING for spelling in (word, word.upper())})
    values: list[Any] = ["0.5", *words, "0.25"]
    (tmp_path / "log.csv").write_text("step,attn_util\n" + "".join(f"{s},{v}\n" for s, v in enumerate(values)))
    rows = [{"step": step, "attn_util": value} for step, value in enumerate(values)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pd.DataFrame(rows).to_parquet(tmp_path / "log.parquet")
    for name in ("log.csv", "log.jsonl", "log.parquet"):
        log = read_log(tmp_path / name).utilization
        assert log is not None
        assert log.frame["attention_utilization"].tolist() == [0.5, 0.25], name
        assert log.source.rows_dropped == {"no value in 'attn_util'": len(words)}


# --- the pieces -------------------------------------------------------------------------------------------------------


@given(st.lists(st.text("0123456789abé-", max_size=5), max_size=8))
def test_the_natural_order_is_one_order(texts: list[str]) -> None:
    backwards = texts[::-1]
    assert sorted(texts, key=natural_key) == sorted(backwards, key=natural_key)


@given(st.lists(st.integers(-(10**6), 10**6), max_size=8))
def test_whole_numbers_are_ordered_as_numbers(numbers: list[int]) -> None:
    assert sorted(map(str, numbers), key=natural_key) == list(map(str, sorted(numbers)))


@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3), max_size=8))
def test_labels_of_a_column_are_those_of_its_cells(cells: list[Any]) -> None:
    labels = labels_of(pd.Series(cells, dtype=object))
    names = [labels.categories[code] if code >= 0 else None for code in labels.codes]
    assert names == [label_text(cell) for cell in cells]


def test_lists_are_no_labels() -> None:
    with pytest.raises(TypeError):
        labels_of(pd.Series([[1], [2]], dtype=object))


@pytest.mark.parametrize("column", ["run", "pattern"])
def test_a_label_may_be_called_as_those_without_one_are(tmp_path: Path, column: str) -> None:
    labels = ["(none)", "", "(none)", "a", "", "a"]
    rows = [f"{row},{'p' if column == 'run' else label},{row % 2},{label}" for row, label in enumerate(labels)]
    (tmp_path / "log.csv").write_text("\n".join(["step,pattern,attended,run", *rows]))
    log = read_log(tmp_path / "log.csv").routing
    assert log is not None
    assert log.frame["run"].astype(str).tolist() == [label or "(none)" for label in labels]
    assert len(log.frame) == log.source.rows_read

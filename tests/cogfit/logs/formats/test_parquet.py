"""Parquet that lies about itself, or holds what no log needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cogfit.errors import InputError
from cogfit.logs import read_log

N = 9


def table_of(**more: Any) -> pa.Table:
    return pa.table({"step": list(range(N)), "attn_util": [0.5 / (s + 1) for s in range(N)], **more})


def steps_in(path: Path) -> list[int]:
    log = read_log(path).utilization
    assert log is not None
    assert log.source.rows_read == len(log.frame) + sum(log.source.rows_dropped.values())
    steps: list[int] = log.frame["step"].tolist()
    return steps


GOOD_RANGE = {"kind": "range", "name": "epoch", "start": 0, "stop": N, "step": 1}


@pytest.mark.parametrize(
    "metadata",
    [
        b"",
        b"\xff",
        b"[1]",
        b"null",
        b"{",
        b"[" * 100_000,
        b'{"index_columns": null}',
        b'{"index_columns": {"a": 1}}',
        b'{"index_columns": [null, 1, "a", []]}',
        *(
            json.dumps({"index_columns": [{**GOOD_RANGE, key: value}]}).encode()
            for key in GOOD_RANGE
            for value in (None, [0], {}, "x", 1.5, True, 10**30, 0)
        ),
        *(
            json.dumps({"index_columns": [{k: v for k, v in GOOD_RANGE.items() if k != key}]}).encode()
            for key in GOOD_RANGE
        ),
    ],
)
def test_what_pandas_notes_is_not_believed_blindly(tmp_path: Path, metadata: bytes) -> None:
    path = tmp_path / "log.parquet"
    pq.write_table(table_of().replace_schema_metadata({b"pandas": metadata}), path)
    assert steps_in(path) == list(range(N))


def test_an_index_that_pandas_did_not_store_is_read(tmp_path: Path) -> None:
    frame = pd.DataFrame({"attn_util": [0.5] * N}, index=pd.RangeIndex(10, 10 + 5 * N, 5, name="step"))
    frame.to_parquet(tmp_path / "log.parquet")
    assert steps_in(tmp_path / "log.parquet") == list(range(10, 10 + 5 * N, 5))


def test_empty_row_groups_and_nested_columns(tmp_path: Path) -> None:
    table = table_of(hist=[[1, 2]] * N, meta=[{"run": f"{s % 2:02}", "x": {"y": [s]}} for s in range(N)])
    with pq.ParquetWriter(tmp_path / "log.parquet", table.schema) as writer:
        for part in (table.slice(0, 0), table.slice(0, 4), table.slice(0, 0), table.slice(4)):
            writer.write_table(part)
    log = read_log(tmp_path / "log.parquet").utilization
    assert log is not None
    assert sorted(log.frame["step"]) == list(range(N))
    assert set(log.frame["run"]) == {"00", "01"}
    assert any("hist, meta.x.y" in note for note in log.source.notes)


@pytest.mark.parametrize("names", [["step", "attn_util", "attn_util"], ["step", "attn_util", "a.b", "a"]])
def test_two_columns_of_one_name_are_refused(tmp_path: Path, names: list[str]) -> None:
    columns: list[Any] = [[{"b": 1}] * N if name == "a" else list(range(N)) for name in names]
    pq.write_table(pa.Table.from_arrays([pa.array(column) for column in columns], names), tmp_path / "log.parquet")
    with pytest.raises(InputError, match="two columns are called"):
        read_log(tmp_path / "log.parquet")


def test_names_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pq.write_table(table_of(zebra=[1] * N), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"zebra", b"z\xffbra"))
    with pytest.raises(InputError, match=r"log\.parquet: .*UTF-8"):
        read_log(path)


def test_no_change_of_a_byte_of_the_footer_loses_rows_unseen(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pq.write_table(table_of(), path, compression="none", row_group_size=5, write_statistics=False, store_schema=False)
    whole = path.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    n_refused = 0
    for place in range(footer, len(whole) - 8):
        for change in (2, 4):  # counts are stored doubled, so that this is one more or fewer
            content = bytearray(whole)
            content[place] ^= change
            path.write_bytes(content)
            try:
                steps = steps_in(path)
            except InputError:
                n_refused += 1
            else:
                assert len(steps) == N
    assert n_refused > 10

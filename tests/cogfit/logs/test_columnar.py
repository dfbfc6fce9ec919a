"""Tables without pandas hold what data frames would."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cogfit.logs import UtilizationLog, read_log
from cogfit.logs.columnar import ColumnTable, arrow_texts, cells_of
from cogfit.logs.formats import csv_cells
from cogfit.logs.formats.tables import to_frame

LOGS = {
    "numbers": "step,attn_util,loss\n1,0.9,4.5\n2,0.5,\n3,0.25,3\n",
    "text": "step,attn_util,note,when\n1,0.9,a,2024-01-01\n2,0.5,,\n3,0.25,b c,2024-01-02\n",
    "gaps": "step,attn_util,epoch,flag,nothing\n1,0.9,1,true,\n2,0.5,,,\n3,,3,false,\n4,0.2,4,true,\n",
    "gaps in x": "attn_util,step\n0.9,1\n0.5,\n0.3,3\n0.2,4\n",
    "whole numbers": "step,attn_util,seen\n1,1,10\n2,0,20\n3,0,30\n",
    "truth values": "step,attn_util,warm\n1,0.9,true\n2,0.5,false\n3,0.25,false\n",
    "restarted": "step,attn_util,loss\n1,0.9,3\n2,0.5,2\n3,0.25,1\n2,0.6,2\n3,0.4,1\n4,0.2,1\n",
    "two trainings": "step,attn_util\n" + "\n".join(f"{k % 20},{0.9 - k / 50}" for k in range(40)),
    "unordered": "step,attn_util,loss\n3,0.9,3\n1,0.5,2\n2,0.25,1\n",
    "taken names": "step,attn_util,layer_logged,step_logged\n1,0.9,3,4\n2,0.5,2,5\n3,0.25,1,6\n",
    "runs": "step,attn_util,run\n1,0.9,a\n2,0.5,a\n1,0.8,b\n2,0.6,b\n",
    "layers": "step,attn_util/layer0,attn_util/layer1\n1,0.9,0.8\n2,0.5,\n3,0.4,0.2\n",
    "thousands": 'step,attn_util,tokens\n1,0.9,"1,000"\n2,0.5,"2,000"\n3,0.25,nan\n',
}


@pytest.mark.parametrize("name", LOGS)
def test_a_log_is_the_same_with_and_without_pandas(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.csv"
    path.write_text(LOGS[name])
    light = read_log(path)
    monkeypatch.setattr(csv_cells, "to_table", to_frame)
    heavy = read_log(path)
    assert isinstance(light.utilization, UtilizationLog)
    assert isinstance(heavy.utilization, UtilizationLog)
    assert isinstance(heavy.utilization.table, pd.DataFrame)
    is_light = name not in ("restarted", "two trainings", "runs", "layers")  # these have labels
    assert isinstance(light.utilization.table, ColumnTable) == is_light
    pd.testing.assert_frame_equal(light.utilization.frame, heavy.utilization.frame)
    assert repr(light.utilization.source) == repr(heavy.utilization.source)
    assert (light.utilization.x_name, light.warnings) == (heavy.utilization.x_name, heavy.warnings)


def test_a_frame_that_was_handed_out_is_the_log(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(LOGS["numbers"])
    log = read_log(path).utilization
    assert log is not None
    log.frame.loc[0, "attention_utilization"] = 0.75
    assert np.asarray(log.table["attention_utilization"])[0] == 0.75
    again = pickle.loads(pickle.dumps(log))
    assert again.frame["attention_utilization"][0] == 0.75
    fewer = replace(log, frame=log.frame[1:])
    assert len(fewer.frame) == 2


def test_cells_of_arrow_are_those_of_pandas() -> None:
    columns = {
        "chunks": pa.chunked_array([[1.5, None], [], [2.5]], pa.float64()),
        "single": pa.chunked_array([[0.1, None, 3.0]], pa.float32()),
        "whole": pa.chunked_array([[1, 2], [3]], pa.int64()),
        "slice": pa.chunked_array([pa.array([True, False] * 9).slice(3, 10)]),
        "slice with gaps": pa.chunked_array([pa.array([1.0, None, 2.0] * 5).slice(4, 9)]),
        "gaps": pa.chunked_array([[1, None, 3]], pa.int32()),
        "empty": pa.chunked_array([], pa.int64()),
        "texts": pa.chunked_array([["a", None]], pa.string()),
        "decimals": pa.chunked_array([[None, 1]], pa.decimal128(5, 2)),
    }
    for name, column in columns.items():
        table = ColumnTable({"a": cells_of(column)})
        assert len(table) == len(column)
        frame, _ = to_frame(pa.table({"a": column}))
        pd.testing.assert_frame_equal(table.to_pandas(), frame, obj=name)
        some = np.arange(len(column))[::2]
        pd.testing.assert_frame_equal(table.take(some).to_pandas(), frame.iloc[some].reset_index(drop=True), obj=name)
    numbers = ColumnTable({"a": cells_of(columns["gaps"])}).numbers("a")
    np.testing.assert_array_equal(numbers, [1.0, np.nan, 3.0])
    assert ColumnTable({"a": cells_of(columns["texts"])}).numbers("a") is None
    assert arrow_texts(["ä", "", "bc"]).to_pylist() == ["ä", "", "bc"]


def test_the_class_of_a_log_can_be_looked_at():
    assert "frame" in dict(inspect.getmembers(UtilizationLog))  # documentation does this

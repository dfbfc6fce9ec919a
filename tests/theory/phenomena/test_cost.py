"""Attention in one pass is attention, and what is bound by memory is told from its times."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from cogfit.files import data_dir
from theory.ledger.recordings import Recordings
from theory.phenomena.measures.cost import SHARING, measure_bound_by_memory, measure_one_pass, one_pass

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))
import cost_of_sharing


@given(st.integers(1, 200), st.integers(1, 12), st.floats(0.01, 100), st.integers(0, 999))
def test_one_pass_is_the_softmax_of_all_scores(tokens: int, width: int, sharpness: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    query, keys, values = sharpness * rng.standard_normal(width), *rng.standard_normal((2, tokens, width))
    found, kept = one_pass(query, keys, values)
    assert found == pytest.approx(softmax(keys @ query) @ values, rel=1e-9, abs=1e-12)
    assert kept == width + 2


def test_the_row_on_one_pass_names_what_it_leaves_out(tmp_path: Path) -> None:
    found = measure_one_pass(Recordings(tmp_path))
    assert found.verdict == "reproduced under conditions"
    assert "simulated" in found.reason
    assert found.numbers[0].value == found.numbers[1].value


@pytest.mark.parametrize(
    ("attention", "linear", "verdict"),
    [(0.98, 0.2, "reproduced under conditions"), (0.3, 0.2, "not reproduced")],
)
def test_attention_is_bound_where_sharing_spares_it_nothing(
    tmp_path: Path, attention: float, linear: float, verdict: str
) -> None:
    rows = [
        {"part": part, "sequences": n, "operations_per_byte": 1.0, "time_share": share if n > 1 else 1.0}
        for part, share in (("attention", attention), ("linear", linear))
        for n in (1, 16)
    ]
    (tmp_path / "benchmarks").mkdir()
    pd.DataFrame(rows).to_csv(tmp_path / SHARING, index=False)
    assert measure_bound_by_memory(Recordings(tmp_path)).verdict == verdict


def test_the_record_holds_every_cell_and_what_is_counted() -> None:
    table = pd.read_csv(data_dir() / SHARING)
    assert len(table) == len(cost_of_sharing.CELLS)
    for row in table.itertuples():
        assert row.operations_per_byte == pytest.approx(cost_of_sharing.counted(str(row.part), int(row.sequences)))
    assert (table["time_share"][table["sequences"] == 1] == 1).all()

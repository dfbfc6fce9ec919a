"""Cells become numbers, are missing, or are named with their number and the first of them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogfit.logs.cells import number_in, read_cells

CELLS = st.one_of(
    st.floats(allow_nan=False).map(repr),
    st.integers(-(10**30), 10**30),
    st.booleans(),
    st.sampled_from(["", "NaN", " n/a ", "null", None, math.nan, pd.NA, pd.NaT]),
    st.sampled_from(["n/a?", "-", "1_000", "0,5", "x", [1], {"a": 1}, 1j, pd.Timestamp(0)]),
)


@given(st.lists(CELLS, min_size=1, max_size=30))
def test_a_column_is_read_as_its_cells_are_one_by_one(cells: list[object]) -> None:
    read = read_cells(pd.Series(cells, dtype=object))
    alone = [math.nan if cell is pd.NA or cell is pd.NaT else number_in(cell) for cell in cells]
    bad = [row for row, number in enumerate(alone) if number is None]
    assert read.bad.tolist() == bad
    np.testing.assert_array_equal(read.values, [math.nan if number is None else number for number in alone])
    assert read.n_filled == sum(number is None or not math.isnan(number) for number in alone)
    assert read.are_numbers == (2 * len(bad) < read.n_filled)
    if bad:
        assert read.first is cells[bad[0]] or read.first == cells[bad[0]]
        assert read.complaint.endswith(f"among {read.n_filled:,} cells")


@pytest.mark.parametrize(
    ("cell", "number"), [(" 2.5 ", 2.5), ("1e400", math.inf), ("-inf", -math.inf), (True, 1.0), (10**400, math.inf)]
)
def test_what_is_a_number(cell: object, number: float) -> None:
    assert number_in(cell) == number

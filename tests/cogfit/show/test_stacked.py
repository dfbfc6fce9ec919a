"""Rows of intervals: in order from top to bottom, with arrows where they go beyond the axis."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from cogfit.show.stacked import Look, draw_interval, stacked


@given(st.lists(st.integers(0, 4), max_size=6), st.floats(0.1, 2.0))
def test_rows_keep_their_order_and_no_two_share_a_place(sizes: list[int], gap: float) -> None:
    groups = [(f"group {number}", [(number, row) for row in range(size)]) for number, size in enumerate(sizes)]
    placed = list(stacked(groups, gap))
    places = [place for _, above, rows in placed for place in (above, *(at for at, _ in rows))]
    assert all(after - before >= 1.0 - 1e-9 for before, after in itertools.pairwise(places))
    assert [row for _, _, rows in placed for _, row in rows] == [row for _, rows in groups for row in rows]


@pytest.mark.parametrize(
    ("values", "markers"),
    [
        ((0.4, 0.3, 0.5), ["None", "o"]),
        ((0.4, -math.inf, 0.5), ["None", "<", "o"]),
        ((0.4, -math.inf, math.inf), ["None", "<", ">", "o"]),
        ((0.4, 0.3, 1.5), ["None", ">", "o"]),
        ((0.4, math.nan, math.nan), ["o"]),
        ((math.nan, 0.3, 0.5), ["None"]),
        ((1.4, 0.3, 1.5), ["None", ">"]),  # an estimate beyond the axis has no marker
    ],
)
def test_arrows_show_what_lies_beyond_the_axis(values: tuple[float, float, float], markers: list[str]) -> None:
    axes = Figure().subplots()
    draw_interval(axes, 2.0, values, (0.0, 1.0), Look("o", "black"))
    assert [line.get_marker() for line in axes.lines] == markers
    for line in axes.lines:
        assert set(line.get_ydata()) == {2.0}
        assert all(0.0 <= x <= 1.0 for x in line.get_xdata())

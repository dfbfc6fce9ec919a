"""Intervals over questions, and over random sets of heads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from theory.lm.intervals import mean_ratio, share, spread
from theory.redundancy.tables import ratio


@given(st.integers(2, 30), st.integers(0, 10_000))
def test_over_units_alone_it_is_students_interval(units: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=units)
    expected = stats.t.interval(0.9, units - 1, values.mean(), stats.sem(values))
    assert mean_ratio(values, np.ones(units), 0.9) == pytest.approx((values.mean(), *expected))


@given(st.integers(2, 30), st.integers(0, 10_000))
def test_over_units_of_unequal_size_it_is_that_of_redundancy(units: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    part, whole = rng.normal(size=units), rng.integers(1, 9, units).astype(float)
    assert mean_ratio(part, whole, 0.95) == pytest.approx(tuple(map(float, ratio(part, whole, 0.95))))
    # a unit without anything does not count
    assert mean_ratio(np.append(part, 0.0), np.append(whole, 0.0), 0.95) == pytest.approx(mean_ratio(part, whole, 0.95))


def crossed(rng: np.random.Generator, draws: int, units: int, by_draw: float, by_unit: float) -> np.ndarray:
    """Answers around 0, that differ by draw, by unit, and at random."""
    return (
        by_draw * rng.standard_normal((draws, 1))
        + by_unit * rng.standard_normal(units)
        + rng.standard_normal((draws, units))
    )


@pytest.mark.parametrize(("by_draw", "by_unit"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 2.0)])
def test_over_draws_and_units_it_covers_the_mean_over_both(by_draw: float, by_unit: float) -> None:
    rng, ones, covered, units_alone = np.random.default_rng(0), np.ones(30), 0, 0
    for _ in range(600):
        table = crossed(rng, 10, 30, by_draw, by_unit)
        _, low, high = mean_ratio(table, ones, 0.95)
        covered += low <= 0 <= high
        _, low, high = mean_ratio(table.mean(0), ones, 0.95)
        units_alone += low <= 0 <= high
    # 600 repeats tell a coverage of 95 % to 1.8 points; it may cover more, where a component is none
    assert covered / 600 > 0.93
    if by_draw == 1:
        assert units_alone / 600 < 0.8


@given(st.integers(2, 8), st.integers(2, 20), st.integers(0, 10_000))
def test_the_error_is_that_of_the_components_of_variance(draws: int, units: int, seed: int) -> None:
    table = crossed(np.random.default_rng(seed), draws, units, 3.0, 3.0)
    # mean squares of a two-way table with one entry in each cell (Searle et al. 1992, ch. 4)
    rows, columns = table.mean(1) - table.mean(), table.mean(0) - table.mean()
    ms_draws = units * (rows**2).sum() / (draws - 1)
    ms_units = draws * (columns**2).sum() / (units - 1)
    ms_rest = ((table - table.mean() - rows[:, None] - columns) ** 2).sum() / ((draws - 1) * (units - 1))
    expected = (ms_draws + ms_units - ms_rest) / (draws * units)
    least = max(ms_draws, ms_units) / (draws * units)
    assert spread(table, np.ones(units))[1] == pytest.approx(max(expected, least) ** 0.5)


@given(st.integers(1, 6), st.integers(2, 20), st.integers(0, 10_000))
def test_a_share_stays_a_share(draws: int, units: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    part = (rng.random((draws, units)) < rng.random()).astype(float)
    value, low, high = share(part, np.ones(units), 0.95)
    assert 0 <= low <= value <= high <= 1
    assert low < high
    assert value == pytest.approx(part.mean())


def test_random_sets_that_differ_widen_a_share() -> None:
    alike = np.tile([1.0, 0.0], (10, 15))
    apart = np.repeat([[1.0], [0.0]], 5, axis=0) * np.ones(30)
    (_, low, high), (_, least, most) = (share(table, np.ones(30), 0.95) for table in (alike, apart))
    assert most - least > high - low

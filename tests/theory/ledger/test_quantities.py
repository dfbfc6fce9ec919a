"""Numbers with names: how they read, and Student's interval over runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.weightstats import DescrStatsW

from theory.ledger.quantities import LEVEL, Quantity, over_seeds


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (Quantity("x", 0.0143), "0.0143"),
        (Quantity("x", 0.0143, unit="%"), "1.43 %"),
        (Quantity("x", 0.123456, 0.1, 0.2, "%", 5), "12.35 % [10, 20] (n = 5)"),
        (Quantity("x", 37.72, 30, 41.28, "×"), "37.7-fold [30, 41.3]"),
        (Quantity("x", 12345.6, 12000, 13000, "steps", 1), "12,346 [12,000, 13,000] (n = 1)"),
        (Quantity("x", 1234.5), "1.23e+03"),
        (Quantity("x", 2.0, 1.0), "2"),  # one limit is no interval
        (Quantity("x", 2.0, high=3.0), "2"),
        (Quantity("x", 2.0, 1.0, math.inf), "2"),
        (Quantity("x", 2.0, -math.inf, 3.0, n=2), "2 (n = 2)"),
        (Quantity("x", math.nan, 0.37, 0.43), "0.37–0.43"),  # a printed range
        (Quantity("x", math.nan, 0.37, 0.43, "%", 4), "37–43 %"),
        (Quantity("x", math.nan), "none"),
        (Quantity("x", math.nan, 1.0), "none"),
    ],
)
def test_a_number_reads_with_its_unit_and_interval(quantity: Quantity, text: str) -> None:
    assert quantity.shown == text
    assert str(quantity) == f"x {text}"


@pytest.mark.parametrize("size", [2, 3, 12])
def test_the_mean_over_runs_has_the_interval_of_statsmodels(size: int) -> None:
    values = np.random.default_rng(size).normal(5, 2, size).tolist()
    found = over_seeds("loss", values, "steps")
    assert found.value == pytest.approx(np.mean(values))
    assert (found.low, found.high) == pytest.approx(DescrStatsW(values).tconfint_mean(1 - LEVEL))
    assert (found.name, found.unit, found.n) == ("loss", "steps", size)
    assert LEVEL == 0.95


def test_one_run_has_no_interval() -> None:
    found = over_seeds("loss", [2.5], "%")
    assert (found.value, found.unit, found.n) == (2.5, "%", 1)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


@pytest.mark.parametrize(
    ("values", "unit", "is_low_cut", "is_high_cut"),
    [
        ([0.0, 0.1], "%", True, False),
        ([0.9, 1.0], "%", False, True),
        ([0.0, 1.0], "%", True, True),
        ([0.5, 0.51, 0.52], "%", False, False),
        ([0.0, 1.0], "", False, False),
        ([-0.1, 0.1], "%", False, False),  # what is saved may be negative
        ([0.5, 1.1], "%", False, False),
    ],
)
def test_only_the_interval_of_a_share_ends_at_0_and_1(
    values: list[float], unit: str, is_low_cut: bool, is_high_cut: bool
) -> None:
    found = over_seeds("share", values, unit)
    low, high = DescrStatsW(values).tconfint_mean(0.05)
    assert found.low == (0.0 if is_low_cut else pytest.approx(low))
    assert found.high == (1.0 if is_high_cut else pytest.approx(high))

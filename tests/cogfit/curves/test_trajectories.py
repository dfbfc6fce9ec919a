"""What is said of single patterns: rules at their limits, on records that are made up."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from cogfit.curves.trajectories import Alignment, Covariate, SwitchTime, Trajectories, VarianceInflation

TIMES = SwitchTime(100.0, 500.0, 900.0, 450.0, 550.0)
SINGLY = VarianceInflation(1.0, 1.2, 0.3)
TOGETHER = VarianceInflation(1.0, 3.0, 0.001)
MADE = Trajectories(
    switched=60, never=30, low_from_start=10, near_binary=0.9, exposures=SwitchTime(1.0, 5.0, 9.0, 4.0, 6.0),
    updates=TIMES, steps=TIMES, groups=(), inflation=SINGLY, alignment=Alignment(0.05, -0.1, 0.2), correlation=0.9,
    dependence=0.1, table=pd.DataFrame(),
)  # fmt: skip


def text(**changes: Any) -> str:
    return "\n".join(replace(MADE, **changes).statements())


@pytest.mark.parametrize(
    ("during", "p_value", "together"),
    [(1.51, 0.01, True), (1.5, 0.001, False), (1.51, 0.011, False), (0.5, 0.001, False), (math.nan, 0.001, False)],
)
def test_patterns_move_together_where_inflation_is_large_and_no_chance(
    during: float, p_value: float, together: bool
) -> None:
    assert VarianceInflation(1.0, during, p_value).together is together


@pytest.mark.parametrize(
    ("low", "high", "driver"),
    [
        (-0.2, 0.2, "clock"),
        (0.0, 0.2, "clock"),
        (-0.9, 0.0, "clock"),
        (-1.2, -0.8, "exposure"),
        (-1.0, -0.8, "exposure"),
        (-1.2, -1.0, "exposure"),
        (-1.2, 0.2, "undecided"),  # both are possible
        (-0.7, -0.3, "undecided"),  # neither is
        (0.1, 0.3, "undecided"),
        (-2.0, -1.1, "undecided"),
        (-0.2, math.inf, "undecided"),  # no limit: nothing is known
        (-math.inf, -0.8, "undecided"),
    ],
)
def test_the_slope_tells_clock_from_exposures_only_where_its_limits_leave_one(
    low: float, high: float, driver: str
) -> None:
    slope = Alignment(0.0, low, high)
    assert slope.driver == driver
    phrase = {
        "clock": "follows the training clock, not exposures",
        "exposure": "follows exposures, not the training clock",
        "undecided": "not separable",
    }[driver]
    assert phrase in text(alignment=slope)


def test_where_patterns_are_no_steps_nothing_is_said_of_switches() -> None:
    (only,) = replace(MADE, near_binary=0.79).statements()
    assert only.startswith("single patterns are no steps (79% of them near-binary)")
    assert "single patterns are steps (80% of them near-binary)" in text(near_binary=0.8)


def test_all_patterns_are_accounted_for() -> None:
    assert MADE.statements()[0] == "60 of 100 patterns switch, 30 never do, 10 start low"


def test_times_of_half_and_of_nine_tenths_are_given_where_they_were_reached() -> None:
    assert "half have switched by step 500 (k = 5); 10 % by 100, 90 % by 900" in text()
    short = text(steps=replace(TIMES, t90=math.nan))
    assert "10 % by 100" in short
    assert "90 % by" not in short
    assert "half have switched" not in text(steps=replace(TIMES, t50=math.nan))
    assert "half have switched" not in text(switched=0)


def test_movement_is_named_where_it_was_measured() -> None:
    assert "switch singly" in text()
    assert "1.2 × as much" in text()
    moved = text(inflation=TOGETHER)
    assert "move together" in moved
    assert "3.0 × as much as that of independent patterns during the drop (1.0 × before)" in moved
    for changes in ({"switched": 0}, {"inflation": replace(SINGLY, during=math.nan)}):
        quiet = text(**changes)
        assert "singly" not in quiet
        assert "together" not in quiet


def test_a_slope_that_could_not_be_estimated_is_not_mentioned() -> None:
    assert "slope of log switch step" not in text(alignment=Alignment(math.nan, -0.1, 0.2))
    assert "log frequency 0.05 [-0.10, 0.20]" in text()


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [(-0.4, 0.3, False), (-0.6, 0.3, True), (-1.4, -0.6, False), (-1.4, -0.4, True), (-1.2, 0.2, False)],
)
def test_a_mixture_is_named_where_it_is_not_excluded(low: float, high: float, says: bool) -> None:
    """But not where nothing is decided anyway."""
    assert ("a mixture of both is not excluded" in text(alignment=Alignment(0.0, low, high))) is says


def test_a_slope_that_is_not_known_is_no_number_but_an_answer() -> None:
    unknown = text(alignment=Alignment(math.nan, -math.inf, math.inf, switched=60, censored=30))
    assert "exposure and training time are not separable here: the slope" in unknown
    assert "nan" not in unknown
    assert "not separable" not in text(alignment=Alignment(math.nan, -math.inf, math.inf))


def test_layers_and_heads_are_named_where_they_differ_from_the_first() -> None:
    covariates = (
        Covariate("frequency", 0.9, 0.7, 1.2),
        Covariate("layer 2", 1.5, 1.2, 1.9),
        Covariate("layer 3", 1.1, 0.9, 1.3),
    )
    said = text(covariates=covariates)
    assert "layer 2: 1.50 [1.20, 1.90] × the time until the switch of the first layer" in said
    assert "layer 3" not in said
    document = replace(MADE, covariates=covariates).to_json()
    assert document["switch_time_ratios"][1] == {"name": "layer 2", "ratio": 1.5, "low": 1.2, "high": 1.9}


def test_the_document_holds_what_was_decided_beside_the_numbers() -> None:
    document = replace(MADE, inflation=TOGETHER).to_json()
    assert document["variance_inflation"]["together"] is True
    assert document["alignment_slope"]["driver"] == "clock"
    assert document["statements"] == list(replace(MADE, inflation=TOGETHER).statements())


def test_every_finding_names_the_rule_that_decided_it() -> None:
    rules = {sentence.threshold for sentence in MADE.statements() if sentence.decided_by}
    assert {"share ≥ 80%", "inflation > 1.5 and p ≤ 0.01"} < rules

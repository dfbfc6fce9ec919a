"""When two exponents mean the same, and their difference."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogfit.people.exponent import (
    ASPECTS,
    DISTRIBUTION,
    MEAN,
    PERSON,
    Exponent,
    describe,
    difference,
    disagreements,
    form_title,
    heading,
    obstacles,
)

RUN = Exponent(
    "run", "model", 0.43, 0.40, 0.46, "power", "gaussian", "strategy", "0 to 1", "repetition", "item", "prior", PERSON
)


def test_what_agrees_in_everything_may_be_compared() -> None:
    assert obstacles(RUN, replace(RUN, label="people", side="human", gamma=0.3)) == ()


@pytest.mark.parametrize("aspect", ASPECTS, ids=lambda aspect: aspect.name)
def test_every_aspect_stands_in_the_way_alone(aspect: object) -> None:
    name = aspect.name  # type: ignore[attr-defined]
    for other in ("something else", ""):
        found = obstacles(RUN, replace(RUN, **{name: other}))
        assert [item.aspect.name for item in found] == [name]


def test_scores_without_a_unit_need_the_same_scale() -> None:
    score = replace(RUN, measure="effect")
    assert obstacles(score, replace(score, scale="points of another scale"))
    assert not obstacles(RUN, replace(RUN, scale="per cent"))  # γ does not depend on the unit of y


def test_unknown_on_both_sides_is_not_the_same() -> None:
    vague = replace(RUN, repeated="")
    assert [item.aspect.name for item in obstacles(vague, vague)] == ["repeated"]


def test_nothing_is_repeated_along_a_delay() -> None:
    model = replace(RUN, axis="delay", repeated="", convention="elapsed")
    assert obstacles(model, replace(model, repeated="item")) == ()


@given(st.lists(st.sampled_from([aspect.name for aspect in ASPECTS]), unique=True))
def test_runs_are_alike_in_what_none_of_them_says(unknown: list[str]) -> None:
    """What contradicts is an obstacle; what is unknown on both sides is one between a model and people only."""
    run = replace(RUN, **dict.fromkeys(unknown, ""))
    assert disagreements(run, run) == ()
    assert {item.aspect.name for item in obstacles(run, run)} == set(unknown)
    for aspect in ASPECTS:
        found = disagreements(run, replace(run, **{aspect.name: "something else"}))
        assert [item.aspect.name for item in found if item.human == "something else"] == [aspect.name]


def test_only_counts_of_presentations_can_be_changed_into_each_other() -> None:
    for one, other, can in (
        ("prior", "inclusive", True),
        ("x = 'delay' as logged", "elapsed", False),
        ("updates", "prior", False),
    ):
        (item,) = obstacles(replace(RUN, convention=one), replace(RUN, convention=other))
        assert item.refit is can


def test_the_difference_of_normal_estimates_is_the_textbook_one() -> None:
    a, b = (
        replace(RUN, gamma=0.5, low=0.5 - 1.96 * 0.03, high=0.5 + 1.96 * 0.03),
        replace(RUN, gamma=0.2, low=0.2 - 1.96 * 0.04, high=0.2 + 1.96 * 0.04),
    )
    gap, low, high = difference(a, b)
    assert gap == pytest.approx(0.3)
    assert (low, high) == pytest.approx((0.3 - 1.96 * 0.05, 0.3 + 1.96 * 0.05))


def test_the_interval_of_a_difference_covers_where_the_estimates_are_skewed() -> None:
    # Exponentials of normal estimates: their limits are far from symmetric.
    rng, hits, repeats = np.random.default_rng(1), 0, 4000
    true = math.exp(0.2) - math.exp(-0.5)
    for a, b in zip(0.2 + 0.3 * rng.normal(size=repeats), -0.5 + 0.4 * rng.normal(size=repeats), strict=True):
        one = replace(RUN, gamma=math.exp(a), low=math.exp(a - 1.96 * 0.3), high=math.exp(a + 1.96 * 0.3))
        two = replace(RUN, gamma=math.exp(b), low=math.exp(b - 1.96 * 0.4), high=math.exp(b + 1.96 * 0.4))
        _, low, high = difference(one, two)
        hits += low <= true <= high
    assert 0.935 < hits / repeats < 0.97


@settings(max_examples=50, deadline=None)
@given(st.floats(0.05, 2.0), st.floats(0.05, 2.0), st.floats(0.01, 0.5), st.floats(0.01, 0.5))
def test_a_difference_changes_its_sign_with_the_order(a: float, b: float, width: float, other: float) -> None:
    one, two = (
        replace(RUN, gamma=a, low=a - width, high=a + 2 * width), replace(RUN, gamma=b, low=b - other, high=b + other)
    )  # fmt: skip
    gap, low, high = difference(one, two)
    turned = difference(two, one)
    assert (gap, low, high) == pytest.approx((-turned[0], -turned[2], -turned[1]))


def test_json_has_no_infinity() -> None:
    document = replace(RUN, high=math.inf).to_json()
    assert document["high"] is None
    assert document["unbounded"] == ["high"]


def test_what_is_shown_is_the_number_and_the_limits_that_are_known() -> None:
    assert RUN.shown == "0.430 [0.4, 0.46]"
    assert replace(RUN, low=math.nan, high=math.nan).shown == "0.430"
    assert replace(RUN, gamma=math.nan).shown == "[0.4, 0.46]"  # a source that states a range only
    assert replace(RUN, gamma=math.nan, low=math.nan, high=math.nan).shown == "–"


def test_numbers_that_are_known_stand_in_the_document_and_others_do_not() -> None:
    document = replace(RUN, low=math.nan).to_json()
    assert (document["gamma"], document["low"], document["high"], document["unbounded"]) == (0.43, None, 0.46, [])
    assert document["subjects_known"] is False


def test_a_new_fit_mends_form_noise_and_counting_and_nothing_else() -> None:
    """Measure, axis, unit and averaging are facts of the data: no fit changes them."""
    assert {aspect.name for aspect in ASPECTS if aspect.refit} == {"form", "noise", "convention"}


def test_an_obstacle_names_both_sides() -> None:
    (item,) = obstacles(RUN, replace(RUN, form="power_floor"))
    assert str(item) == "form: power against power_floor"
    (item,) = obstacles(RUN, replace(RUN, axis=""))
    assert str(item) == "axis: repetition against not known"
    (item,) = obstacles(replace(RUN, axis=""), RUN)
    assert str(item) == "axis: not known against repetition"


def test_a_heading_and_a_subject_say_what_was_measured() -> None:
    assert heading(RUN) == "strategy against repetition of item"
    assert heading(replace(RUN, repeated="")) == "strategy against repetition"
    assert describe(RUN) == "The curve of run"
    assert describe(replace(RUN, label="exponents", averaging=DISTRIBUTION)) == "The exponents"
    assert describe(replace(RUN, label="mean curve of 2 runs", averaging=MEAN)) == "The mean curve of 2 runs"


def test_a_form_is_called_by_its_title_and_none_by_nothing() -> None:
    assert form_title("power_floor") == "power + floor"
    assert form_title("") == ""

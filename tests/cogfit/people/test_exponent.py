"""When two exponents mean the same, and their difference."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogfit.people.exponent import ASPECTS, PERSON, Exponent, difference, obstacles

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

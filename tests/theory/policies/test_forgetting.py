"""Retention of single writes: forms that theory gives, half-lives, and what is refused."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cogfit.errors import InputError
from theory.policies import POLICIES, find
from theory.policies.forgetting import AGES, MEMORIES, SURROUNDINGS, Curve, Forgetting, forgetting, single_writes
from theory.policies.forgetting import _curve as curve_of
from theory.policies.forgetting_page import page, plot_forgetting
from theory.policies.streams import Setting
from theory.tasks.srcd import BINDING, QUERY

ROOT = Path(__file__).resolve().parents[3]
SMALL = Setting(length=128, patterns=16, interval=20)
YOUNG = (1, 2, 3, 5, 8, 12, 18, 26, 38, 54, 76)


def curves(name: str, streams: int = 8, setting: Setting = SMALL, **parameters: Any) -> tuple[Curve, Curve]:
    found = forgetting(setting, memories=[(name, parameters)], ages=YOUNG, streams=streams)
    alone, others = found.curves
    assert (alone.surroundings, others.surroundings) == SURROUNDINGS
    return alone, others


def test_a_stream_has_one_write_and_one_query_for_it() -> None:
    ages = np.array([1, 5, 60])
    for alone in (True, False):
        streams, at = single_writes(SMALL, np.random.default_rng(0), ages, alone=alone)
        assert at.tolist() == [33, 37, 92]
        assert streams.length == 93
        for b in range(3):
            own = streams.key[b] == streams.key[b, 32]
            assert np.flatnonzero(own).tolist() == [32, at[b]]
            assert (streams.kind[b, 32], streams.kind[b, at[b]]) == (BINDING, QUERY)
            assert streams.answer[b, at[b]] == streams.value[b, 32] > 0
            assert streams.value[b, at[b]] == 0
        rest = (streams.key > 0).sum(1)
        assert (rest == 2).all() if alone else (rest > 2).all()


@pytest.mark.slow
def test_l2_decay_forgets_exponentially_whatever_comes_between() -> None:
    """Linear attention: λ^(age−1) alone, and the same on average among others, whose cross-talk has no sign."""
    alone, others = curves("lightning", decay=0.95, streams=24)
    np.testing.assert_allclose(alone.recall, 0.95 ** (np.array(YOUNG) - 1.0), atol=0.004)
    assert alone.form == "exponential"
    assert alone.power_law == "not_supported"
    assert alone.half_life == pytest.approx(1 + math.log(0.5) / math.log(0.95), rel=0.03)
    deviation = (np.array(others.recall) - 0.95 ** (np.array(YOUNG) - 1.0)) / np.array(others.error)
    assert np.abs(deviation).max() < 4


@pytest.mark.slow
@pytest.mark.parametrize("q", [3.0, 5.0])
def test_the_lq_gate_forgets_exponentially_whatever_q(q: float) -> None:
    alone, _ = curves("miras", retention="lq", q=q, rate=0.25, forgetting=0.05)
    recall = np.array(alone.recall)
    np.testing.assert_allclose(recall / recall[0], 0.95 ** (np.array(YOUNG) - 1.0), atol=0.01)
    assert "exponential" in (alone.form, *alone.forms)


@pytest.mark.slow
def test_the_kl_gate_forgets_by_a_plateau_and_then_an_exponential() -> None:
    """A matrix whose columns lie on a simplex recalls c/√n · tanh(s·λ^age) of a write of size s in A."""
    alone, _ = curves("miras", retention="kl", bias="dot", rate=1.0, scale=0.5, forgetting=0.1)
    features, outputs = SMALL.budget(0.25), 16
    mass = 0.5 * math.sqrt(features / outputs)
    size = features / mass / math.sqrt(outputs)  # what one step writes in A, in keys of ±1
    expected = mass * math.sqrt(outputs) / features * np.tanh(size * 0.9 ** (np.array(YOUNG) - 1.0))
    np.testing.assert_allclose(alone.recall, expected, atol=0.01 * expected[0])
    assert alone.recall[4] > 0.99 * alone.recall[0]
    assert alone.form != "exponential"


@pytest.mark.slow
def test_a_regression_also_overwrites() -> None:
    alone, others = curves("miras", streams=16, rate=1.0, forgetting=0.01)
    assert others.half_life is not None
    assert alone.half_life is not None
    assert others.half_life < alone.half_life


@pytest.mark.slow
def test_sparse_codes_forget_nothing_and_a_window_everything_at_once() -> None:
    for curve in curves("sparsey", setting=dataclasses.replace(SMALL, patterns=8)):
        assert (curve.form, curve.forms, curve.power_law, curve.half_life) == (None, (), None, None)
    alone, _ = curves("streaming")
    kept = np.array(alone.recall) > 0.5
    assert kept.tolist() == [age <= SMALL.budget(0.25) - 4 for age in YOUNG]


def made(recall: np.ndarray[Any, Any], error: float = 0.005) -> Curve:
    """A curve with a mean and a standard error at all ages."""
    streams = 24
    deviation = np.resize([1.0, -1.0], streams) * error * math.sqrt(streams - 1)
    return curve_of("titans", {}, "alone", AGES, recall[:, None] + deviation)


def test_a_form_is_sought_from_the_greatest_recall_on() -> None:
    ages = np.array(AGES)
    falling = 0.7 * np.exp(-0.005 * (ages - 4.0)) + np.random.default_rng(0).normal(0, 0.004, ages.size) * (ages > 4)
    curve = made(np.where(ages < 4, 0.5 + 0.04 * ages, falling), 0.004)
    assert curve.since == 4
    assert "exponential" in curve.forms
    assert curve.form is not None


def test_a_form_that_misses_the_points_by_more_than_their_errors_is_not_named() -> None:
    ages = np.array(AGES)
    steps = np.where(ages < 5, 1.0, np.where(ages < 40, 0.6, 0.1)) + 0.1 * np.cos(ages) * (ages > 5)
    exact, vague = made(steps, 0.001), made(steps, 0.1)
    assert (exact.form, exact.forms) == (None, ())
    assert exact.power_law == vague.power_law
    assert vague.form is not None
    rising = made(np.linspace(0.1, 1.0, ages.size))
    assert (rising.since, rising.form, rising.power_law) == (AGES[-1], None, None)


@pytest.mark.parametrize(
    ("recall", "half_life"),
    [
        ((1.0, 0.9, 0.6, 0.4), 6.0),
        ((0.5, 1.0, 0.6, 0.4), 6.0),  # from the greatest on
        ((1.0, 0.9, 0.8, 0.7), None),
        ((1.0, 0.2, 0.1, 0.0), 1.625),
    ],
)
def test_half_lives_by_interpolation(recall: tuple[float, ...], half_life: float | None) -> None:
    curve = Curve("x", {}, "alone", (1, 2, 4, 8), recall, (0.0,) * 4, None, None, (), None)
    assert curve.half_life == pytest.approx(half_life)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ages": [1, 2, 3]}, "use at least 8 increasing ones from 1 to 95"),
        ({"ages": [*range(1, 9), 96]}, "from 1 to 95"),
        ({"ages": [0, *range(2, 12)]}, "make no curve"),
        ({"ages": [*range(9, 1, -1)]}, "make no curve"),
        ({"budget": 0.0}, "share of the stream's length"),
        ({"streams": 4}, "use 8 to 2000"),
        ({"seed": -1}, "use 0 or more"),
        ({"memories": [("lightnin", {})]}, "did you mean 'lightning'"),
        ({"memories": [("lightning", {"decy": 1})]}, "did you mean 'decay'"),
        ({"memories": [("lightning", {"decay": 1.5})]}, "'decay' cannot be 1.5; use a number from 0 to 1"),
        ({"memories": [("h2o", {"sinks": 200})]}, "'sinks' cannot be 200 in streams of 128 tokens"),
    ],
)
def test_what_makes_no_curve_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        forgetting(SMALL, **{"ages": YOUNG, "streams": 8, **options})


def test_every_policy_that_carries_a_state_or_drops_tokens_has_a_curve() -> None:
    holds_all = {"full", "duo", "razor", "recycled", "routing-transformer", "landmark", "hip", "dynamic-mask", "hcam",
                 "think-in-memory", "moh"}  # fmt: skip
    assert {name for name, _ in MEMORIES} == {system.id for system in POLICIES} - holds_all
    for name, parameters in MEMORIES:
        find(name).policy(**parameters)


def made_up() -> Forgetting:
    """A result with the curves of the page, none of them measured."""
    recall = tuple(float(x) for x in np.exp(-0.02 * np.array(AGES)))
    error = (0.01,) * len(AGES)
    every = [
        Curve(name, given, where, AGES, recall, error, 1, "exponential", ("exponential", "apex_floor"), "not_supported")
        for name, given in MEMORIES
        for where in SURROUNDINGS
    ]
    return Forgetting(Setting(), 0.25, 40, 0, tuple(every))


def test_the_page_has_a_row_for_every_curve_and_the_picture_every_memory() -> None:
    text = page(made_up())
    assert "Lq, alone: exponential (or apex floor), half-life" in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == 2 * len(MEMORIES)
    assert "exponential (or apex floor)" in rows[0]
    assert 32 < float(rows[0].split("|")[-4]) < 45  # log 2 / 0.02, by interpolation between these ages
    figure = plot_forgetting(made_up())
    labels = [text.get_text() for axes in figure.axes if axes.get_legend() for text in axes.get_legend().get_texts()]
    assert sorted(labels) == sorted(str(given["retention"]) if name == "miras" else name for name, given in MEMORIES)


def test_the_page_says_where_no_form_fits_and_why_more_than_all_is_recalled() -> None:
    result = made_up()
    changed = {
        "titans": {"since": 4, "form": None, "forms": ()},
        "memora": {"since": 180, "form": None, "forms": (), "power_law": None},
        "based": {"recall": (1.98, *result.curves[0].recall[1:])},
        "yaad": {"recall": (1.2, *result.curves[0].recall[1:])},  # from its state only
    }
    every = [dataclasses.replace(curve, **changed.get(curve.policy, {})) for curve in result.curves]
    text = page(dataclasses.replace(result, curves=tuple(every)))
    row = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    assert "| none fits, from age 4 on |" in row["titans"]
    assert "| not sought: too few ages after 180 |" in row["memora"]
    assert f"(4 of {len(every)} curves that change)" in text
    assert "both answers are added: `based` up to 1.98.\n" in text
    assert "More than 1" not in page(result)


def test_the_page_of_the_documentation_has_the_memories_of_today() -> None:
    lines = (ROOT / "docs" / "forgetting.md").read_text(encoding="utf-8").splitlines()
    rows = [line.split("|")[1].strip(" `") for line in lines if line.startswith("| `")]
    assert rows == [curve.name for curve in made_up().curves]

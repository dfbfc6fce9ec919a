"""Looks at a log that grows: which count, what they confirm, and how a training run is waited for."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cogfit
from cogfit.errors import InputError
from cogfit.following.api import next_look
from cogfit.following.records import COUNTED, FIRST, PART, Look, is_confirmed
from cogfit.inference.form_tests import REFUTED, FormTest
from cogfit.result import FitResult


@pytest.fixture(scope="module")
def power() -> FitResult:
    x = np.arange(1.0, 121.0)
    return cogfit.fit(x, 0.9 * x**-0.43 * np.exp(0.005 * np.random.default_rng(1).standard_normal(120)))


def with_tests(fit: FitResult, p_values: dict[str, float], verdict: str) -> FitResult:
    """The fit as if the tests of its forms had come out so."""
    items = tuple(replace(item, test=FormTest(p_values.get(item.name, 0.5), 0.5, 199)) for item in fit.forms)
    inside = tuple(item.name for item in items if item.test is not None and item.test.p_value > REFUTED)
    return replace(fit, forms=items, indistinguishable_forms=inside, verdict=cogfit.Verdict(verdict))


def test_the_parts_of_all_looks_together_are_the_level() -> None:
    assert pytest.approx(REFUTED) == COUNTED * PART
    assert PART + 1e-12 >= 1.0 / 200.0  # what 199 replicates can say


@given(points=st.lists(st.integers(1, 60_000), min_size=1, max_size=40))
def test_looks_count_at_doublings_whatever_they_show(power: FitResult, points: list[int]) -> None:
    looks: list[Look] = []
    for n in sorted(points):
        looks.append(next_look(looks[-1] if looks else None, n, replace(power, n=n)))
    counted = [look.fit.n for look in looks if look.is_counted]
    assert len(counted) <= COUNTED
    assert all(n >= FIRST for n in counted)
    assert all(later >= 2 * earlier for earlier, later in itertools.pairwise(counted))
    assert [look.number for look in looks] == list(range(1, len(points) + 1))


@pytest.mark.parametrize(
    ("p_values", "verdict", "expected"),
    [
        ({"exponential": 0.005, "hyperbolic": 0.001}, "supported", True),
        ({"exponential": 0.005, "hyperbolic": 0.03}, "supported", False),  # refused by one look only
        ({"power": 0.005, "power_floor": 0.005}, "not_supported", True),
        ({"power": 0.005, "power_floor": 0.02}, "not_supported", False),
        ({"exponential": 0.001}, "not_distinguishable", False),
        ({"exponential": 0.001}, "not_identified", False),
        ({"exponential": 0.001}, "not_supported", False),  # of a curve that rises no form decides
        ({}, "supported", False),
    ],
)
def test_a_verdict_is_confirmed_by_the_refusals_it_rests_on(
    p_values: dict[str, float], verdict: str, expected: bool
) -> None:
    assert is_confirmed(verdict, {"power": 0.5, "power_floor": 0.5} | p_values) is expected


def test_a_look_in_between_confirms_nothing(power: FitResult) -> None:
    sure = with_tests(power, {"exponential": 0.001}, "supported")
    first = next_look(None, 100, with_tests(power, {}, "not_distinguishable"))
    between = next_look(first, 150, replace(sure, n=150))
    assert (between.is_counted, between.confirmed) == (False, "")
    due = next_look(between, 240, replace(sure, n=240))
    assert (due.is_counted, due.confirmed, due.confirmed_at) == (True, "supported", 240)
    assert "confirmed at 240 points: supported" in due.headline()
    assert Look.from_json(due.to_json()) == due
    with pytest.raises(InputError, match="had 240 rows and has 10"):
        next_look(due, 10, sure)


def growing(path: Path, parts: list[str]) -> Any:
    """A pause in which the next part is appended."""

    def pause(_: float) -> None:
        if parts:
            with open(path, "a") as file:
                file.write(parts.pop(0))

    return pause


def test_a_run_is_waited_for_and_followed(tmp_path: Path) -> None:
    x = np.arange(1, 61)
    lines = [f"{step},{0.9 * step**-0.43:.6f}\n" for step in x]
    path = tmp_path / "log.csv"
    path.write_text("")
    parts = ["step,attention_utilization\n", lines[0], *("".join(lines[a:b]) for a, b in [(1, 20), (20, 21), (21, 60)])]
    said: list[str] = []
    looks = list(cogfit.follow(path, every=1.0, idle=3.0, sleep=growing(path, parts), note=said.append, form="power"))
    assert [look.rows for look in looks] == [20, 60]  # a row more is not worth a fit
    assert looks[-1].fit == cogfit.fit(path, form="power")
    assert all(text.startswith("waiting for more rows: ") for text in said)
    assert len(said) == len(set(said)) >= 2


def test_what_will_never_be_a_log_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        next(cogfit.follow(tmp_path / "absent.csv"))
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n" + "".join(f"{step},{1 / step:.6f}\n" for step in range(1, 500)))
    with pytest.raises(InputError, match="nope"):
        next(cogfit.follow(path, read=lambda file: cogfit.read_log(file, y="nope")))

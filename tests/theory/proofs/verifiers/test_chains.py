"""Exact recursions: what a step does, where relations are checked, and the limits of size."""

from __future__ import annotations

import itertools
from collections import Counter
from fractions import Fraction
from typing import Any

import pytest

from cogfit.errors import InputError
from theory.proofs.verifiers.chains import verify

COIN = [{"probability": "1/4", "head": "1"}, {"probability": "3/4", "head": "0"}]


def chain(**change: Any) -> dict[str, Any]:
    return {"start": {"x": "2"}, "update": {"x": "x + 1"}, "steps": 3} | change


def test_all_is_updated_from_the_old_state_and_the_rest_stays() -> None:
    document = chain(
        start={"a": "0", "b": "1", "kept": "7"}, update={"a": "b", "b": "a + b"}, steps=10,
        expect={"fibonacci": "a", "next": "b", "same": "kept"},
    )  # fmt: skip
    check = verify(document | {"facts": ["fibonacci == 55", "next == 89", "same == 7"]})
    assert check.ok
    assert check.detail == "fibonacci == 55; next == 89; same == 7"
    assert check.facts == {"steps": 10, "fibonacci": 55, "next": 89, "same": 7}


@pytest.mark.parametrize("steps", [0, 1, 6])
def test_time_runs_from_one_to_the_last_step(steps: int) -> None:
    document = chain(start={"sum": "0", "squares": "0"}, let={"square": "t**2", "double": "2*square"},
                     update={"sum": "sum + t", "squares": "squares + double"}, steps=steps,
                     expect={"s": "sum", "d": "squares"})  # fmt: skip
    facts = [f"s == {sum(range(steps + 1))}", f"d == {2 * sum(t * t for t in range(steps + 1))}", f"steps == {steps}"]
    assert verify(document | {"facts": facts}).ok


def test_the_law_is_that_of_all_sequences_of_outcomes() -> None:
    """Longest run of heads in five tosses, against all 32 sequences."""
    law: Counter[int] = Counter()
    weighted: dict[int, Fraction] = {}
    for tosses in itertools.product((1, 0), repeat=5):
        longest = max(len(run) for run in "".join(map(str, tosses)).split("0"))
        law[longest] += 1
        mass = Fraction(1, 4) ** sum(tosses) * Fraction(3, 4) ** (5 - sum(tosses))
        weighted[longest] = weighted.get(longest, Fraction(0)) + mass
    document = {
        "start": {"run": "0", "longest": "0"},
        "outcomes": COIN,
        "let": {"now": "(run + 1)*head"},
        "update": {"run": "now", "longest": "max(longest, now)"},
        "steps": 5,
        "expect": {f"p{k}": f"1 if longest == {k} else 0" for k in law},
        "always": ["run <= longest", "longest <= 5"],
    }
    check = verify(document | {"facts": [f"p{k} == {p}" for k, p in weighted.items()]})
    assert check.ok
    assert check.detail.endswith("; at every step run <= longest, longest <= 5")
    failing = verify(document | {"facts": ["p5 > 1/1024"]})
    assert not failing.ok
    assert failing.detail == "p5 > 1/1024 is false"
    assert failing.facts["p5"] == Fraction(1, 1024)


@pytest.mark.parametrize(("relation", "step", "x"), [("x < 2", 0, 2), ("x < 3", 1, 3), ("x < 5", 3, 5)])
def test_relations_are_checked_from_the_start_to_the_last_state(relation: str, step: int, x: int) -> None:
    check = verify(chain(always=[relation]))
    assert not check.ok
    assert check.detail == f"after step {step}, at x = {x}: {relation} is false"


def test_relations_alone_are_enough() -> None:
    check = verify(chain(always=["x <= 5", "x >= 2"]))
    assert check.ok
    assert check.detail == "at every step x <= 5, x >= 2"


def test_a_state_that_fails_is_written_out() -> None:
    check = verify(chain(start={"x": "1/2", "y": "3"}, always=["x + y < 5"]))
    assert check.detail == "after step 2, at x = 5/2, y = 3: x + y < 5 is false"


@pytest.mark.parametrize(
    ("outcomes", "is_law"),
    [
        ([{"probability": "0", "u": "5"}, {"probability": "1", "u": "0"}], True),
        ([{"probability": "1/3", "u": "1"}, {"probability": "1/3", "u": "0"}], False),
        ([{"probability": "3/2", "u": "1"}, {"probability": "-1/2", "u": "0"}], False),
        ([{"probability": "2/3", "u": "1"}, {"probability": "2/3", "u": "0"}], False),
        ([{"u": "1"}, {"u": "0"}], False),
        ([{"u": "1"}], False),
    ],
)
def test_probabilities_are_a_distribution(outcomes: list[dict[str, str]], is_law: bool) -> None:
    document = chain(outcomes=outcomes, expect={"mean": "x"}, facts=["mean == 5"])
    if is_law:
        assert verify(document).ok
    else:
        with pytest.raises(InputError, match="no distribution"):
            verify(document)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"definitions": {"x": "1"}}, "x"),
        ({"definitions": {"t": "1"}}, "t"),
        ({"start": {"x": "2", "steps": "1"}}, "steps"),
        ({"let": {"x": "1"}}, "x"),
        ({"expect": {"x": "1"}}, "x"),
        ({"let": {"y": "1"}, "expect": {"y": "1"}}, "y"),
        ({"outcomes": [{"probability": "1", "t": "1"}]}, "t"),
    ],
)
def test_a_name_means_one_thing(change: dict[str, Any], name: str) -> None:
    with pytest.raises(InputError, match=f"uses the name '{name}' twice"):
        verify(chain(facts=["1 < 2"], **change))


def test_only_the_state_is_updated() -> None:
    with pytest.raises(InputError, match="'update' names 'a', which is not in 'start'"):
        verify(chain(update={"x": "1", "b": "1", "a": "1"}, facts=["1 < 2"]))


def test_a_chain_that_asserts_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="'facts'"):
        verify(chain())
    assert verify(chain(always=["x > 0"])).ok


def test_definitions_may_use_those_before() -> None:
    document = chain(definitions={"p": "1/3", "q": "1 - p"}, start={"x": "q + steps"}, expect={"end": "x - q"})
    assert verify(document | {"facts": ["end == 6", "p + q == 1"]}).ok


@pytest.mark.parametrize(("steps", "is_allowed"), [(-1, False), (0, True), (10_000, True), (10_001, False)])
def test_steps_are_limited(steps: int, is_allowed: bool) -> None:
    document = {"start": {"x": "0"}, "steps": steps, "expect": {"end": "x"}, "facts": ["end == 0"]}
    if is_allowed:
        assert verify(document).ok
        return
    with pytest.raises(InputError, match=f"'steps' is {steps}") as caught:
        verify(document)
    assert caught.value.hint == "0 to 10000"


def many(outcomes: int, steps: int) -> dict[str, Any]:
    """A chain of one state, with as many moves as outcomes and steps make."""
    raw = [{"probability": "1" if k == 0 else "0"} for k in range(outcomes)]
    return {"start": {"x": "0"}, "outcomes": raw, "steps": steps, "facts": ["1 < 2"]}


def test_moves_are_limited() -> None:
    assert verify(many(10, 10_000)).ok
    with pytest.raises(InputError, match="too many states") as caught:
        verify(many(11, 9091))  # 100,001
    assert caught.value.hint == "at most 100000 moves"


@pytest.mark.parametrize(("steps", "is_allowed"), [(10, True), (17, False)])
def test_every_state_has_its_moves(steps: int, is_allowed: bool) -> None:
    """2 + 4 + … moves, as the states double: 2^(n+1) − 2."""
    outcomes = [{"probability": "1/2", "u": u} for u in "01"]
    document = chain(outcomes=outcomes, update={"x": "2*x + u"}, steps=steps, facts=["1 < 2"])
    if is_allowed:
        assert verify(document).ok
        return
    with pytest.raises(InputError, match="too many states"):
        verify(document)


@pytest.mark.parametrize("number", ["x", "1/x"])
def test_sizes_of_numbers_are_limited(number: str) -> None:
    """By squaring up to 2^199999, a number of 200,000 bits, or 2^200000."""
    document = {"start": {"x": "2"}, "steps": 1, "facts": ["1 < 2"], "update": {"x": number}}
    power = "*".join(["x**500"] * 8)
    for last, is_allowed in ((499, True), (500, False)):
        # (2^50)^4000 is 2^200000; the last factor may lack one
        text = power.replace("x", str(2**50)) + ("/2" if last == 499 else "")
        update = {"x": text if number == "x" else f"1/({text})"}
        if is_allowed:
            assert verify(document | {"update": update}).ok
        else:
            with pytest.raises(InputError, match="beyond 200000 bits"):
                verify(document | {"update": update})


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match="gives no number"):
        verify(chain(update={"x": "(1, 2)"}, facts=["1 < 2"]))
    with pytest.raises(InputError, match="gives no number"):
        verify(chain(expect={"y": "(x, x)"}, facts=["1 < 2"]))

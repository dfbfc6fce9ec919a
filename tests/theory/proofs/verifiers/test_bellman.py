"""Certified value functions against all policies of small decision processes."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction
from typing import Any

import pytest

from cogfit.errors import InputError
from theory.proofs.verifiers.bellman import verify

Action = tuple[Fraction, list[Fraction]]
"""Cost and probability of each next state."""
ACTIONS, SIZE = ("left", "right"), 2


def random_stages(seed: int, number: int) -> list[list[dict[str, Action]]]:
    rng = random.Random(seed)

    def action() -> Action:
        p = Fraction(rng.randint(0, 4), 4)
        return Fraction(rng.randint(0, 6), 2), [p, 1 - p]

    return [[{name: action() for name in ACTIONS} for _ in range(SIZE)] for _ in range(number)]


def costs_of(stages: list[list[dict[str, Action]]], policy: list[tuple[str, ...]]) -> list[Fraction]:
    """Expected cost from each state, followed forwards."""
    out = []
    for start in range(SIZE):
        mass, total = [Fraction(s == start) for s in range(SIZE)], Fraction(0)
        for stage, names in zip(stages, policy, strict=True):
            chosen = [stage[s][names[s]] for s in range(SIZE)]
            total += sum(mass[s] * chosen[s][0] for s in range(SIZE))
            mass = [sum((mass[s] * chosen[s][1][j] for s in range(SIZE)), Fraction(0)) for j in range(SIZE)]
        out.append(total)
    return out


def document_of(stages: list[list[dict[str, Action]]], *, is_same: bool) -> tuple[dict[str, Any], list[Fraction]]:
    """A document, and the least costs over all policies at the first step."""
    horizon, all_names = len(stages), list(itertools.product(ACTIONS, repeat=SIZE))
    values: list[list[Fraction]] = [[Fraction(0)] * SIZE]
    policy: list[tuple[str, ...]] = []
    for t in reversed(range(horizon)):  # policies of the rest, one by one
        following = itertools.product(all_names, repeat=horizon - t)
        best = min((costs_of(stages[t:], list(names)), names) for names in following)
        least = [min(costs_of(stages[t:], [n, *policy])[s] for n in all_names) for s in range(SIZE)]
        names = next(n for n in all_names if costs_of(stages[t:], [n, *policy]) == least)
        assert best[0] >= least  # no policy of the rest costs less anywhere
        values, policy = [least, *values], [names, *policy]
    written = [
        [{n: {"cost": str(c), "to": [[str(p), j] for j, p in enumerate(to)]} for n, (c, to) in state.items()}
         for state in stage] for stage in stages
    ]  # fmt: skip
    document = {
        "stages": written[0] if is_same else written,
        "values": [[str(v) for v in row] for row in values],
        "policy": [list(names) for names in policy],
        "start": 1,
        "value": str(values[0][1]),
    }
    return document | ({"horizon": horizon} if is_same else {}), values[0]


@pytest.mark.parametrize("is_same", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_the_least_cost_over_all_policies_is_certified(seed: int, is_same: bool) -> None:
    stages = random_stages(seed, 1) * 3 if is_same else random_stages(seed, 3)
    document, least = document_of(stages, is_same=is_same)
    check = verify(document)
    assert check.ok, check.detail
    assert check.facts == {"value": least[1]}
    assert check.detail.startswith(f"the least expected cost over 3 steps is {least[1]}; ")
    other = verify(document | {"value": str(least[1] + 1)})
    assert not other.ok
    assert other.detail == f"the least expected cost is {least[1]}, not {least[1] + 1}"
    assert other.facts == {"value": least[1]}
    first = verify(document | {"start": 0, "value": str(least[0])})
    assert first.ok
    # no other number in the tables passes
    for t, s, off in itertools.product(range(4), range(SIZE), (Fraction(1, 8), Fraction(-1, 8))):
        values = [list(row) for row in document["values"]]
        values[t][s] = str(Fraction(values[t][s]) + off)
        start = {"start": s, "value": values[0][s]}
        assert not verify(document | start | {"values": values}).ok


def small(**change: Any) -> dict[str, Any]:
    """Pay 1 at once, or wait for half a chance of being done."""
    wait = {"cost": "0", "to": [["1/2", 0], ["1/2", 1]]}
    stage = [{"wait": wait, "pay": {"cost": "1", "to": [["1", 1]]}}, {"rest": {"cost": "0", "to": [["1", 1]]}}]
    document = {"horizon": 1, "stages": stage, "values": [["0", "0"], ["0", "0"]], "policy": [["wait", "rest"]]}
    return document | {"start": 0, "value": "0"} | change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"values": [["1", "0"], ["0", "0"]]}, "step 0, state 0: the action 'wait' costs less than the value"),
        ({"policy": [["pay", "rest"]]}, "step 0, state 0: the policy does not attain the value"),
        ({"values": [["-1", "0"], ["0", "0"]]}, "step 0, state 0: the policy does not attain the value"),
        ({"values": [["0", "1"], ["0", "0"]]}, "step 0, state 1: the action 'rest' costs less"),
        ({"values": [["0", "0"], ["0", "1"]]}, "not all zero"),
    ],
)
def test_what_is_no_value_function_fails(change: dict[str, Any], reason: str) -> None:
    check = verify(small(**change))
    assert not check.ok
    assert reason in check.detail


def action(*to: Any, cost: Any = "0") -> dict[str, Any]:
    """Stages of one state with one action."""
    return {"stages": [{"a": {"cost": cost, "to": list(to)}}], "values": [["0"], ["0"]], "policy": [["a"]]}


def test_an_outcome_may_have_probability_zero() -> None:
    assert verify(small(**action(["0", 0], ["1", 0]))).ok


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"start": 2}, "'start' is 2"),
        ({"start": -1}, "'start' is -1"),
        ({"start": True}, "'start'"),
        ({"horizon": 0, "values": [["0", "0"]], "policy": []}, "'horizon' is 0"),
        ({"horizon": 2}, "2 lists of values and 1 of actions for 2 steps"),
        ({"values": [["0", "0"]]}, "1 lists of values and 1 of actions for 1 steps"),
        ({"policy": []}, "2 lists of values and 0 of actions"),
        ({"policy": [["wait", "rest"]] * 2}, "2 lists of values and 2 of actions"),
        ({"policy": [["wait"]]}, "no list of 2 names"),
        ({"policy": [["wait", 1]]}, "no list of 2 names"),
        ({"policy": [["walk", "rest"]]}, "step 0, state 0: no action 'walk'"),
        ({"stages": [{}]}, "a stage is a list of states"),
        ({"stages": [[{"a": {"cost": "0", "to": [["1", 0]]}}], 1], "horizon": 2}, "a stage is a list of states"),
        ({"stages": [{"a": 1}]}, "an action is an object"),
        (action(["1"]), "is not"),
        (action(["1", 0, 0]), "is not"),
        (action(["1", 1]), "is not"),
        (action(["1", -1]), "is not"),
        (action(["1", False]), "is not"),
        (action(["1", "0"]), "is not"),
        (action(["1/2", 0]), "not a distribution"),
        (action(["3/2", 0], ["-1/2", 0]), "not a distribution"),
        (action(), "'to'"),
        (action(["1", 0], cost=None), "'cost'"),
    ],
)
def test_what_is_no_decision_process_is_named(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        verify(small(**change))


def test_hints_name_the_states() -> None:
    for change in ({"start": 2}, {"stages": [{"a": {"cost": "0", "to": [["1", 5]]}}, {"a": {}}]}):
        with pytest.raises(InputError) as caught:
            verify(small(**change))
        assert caught.value.hint == "states are 0 to 1"


def test_a_list_of_stages_is_the_horizon() -> None:
    stage = small()["stages"]
    lists = {"values": [["0", "0"]] * 3, "policy": [["wait", "rest"]] * 2, "stages": [stage, stage]}
    document = {name: value for name, value in small(**lists).items() if name != "horizon"}
    assert verify(document).ok
    assert verify(document | {"horizon": 2}).ok
    with pytest.raises(InputError, match="'horizon' is 1 for 2 stages"):
        verify(document | {"horizon": 1})
    with pytest.raises(InputError, match="different numbers of states"):
        verify(document | {"stages": [stage, [{"a": {"cost": "0", "to": [["1", 0]]}}]]})
    with pytest.raises(InputError, match="'horizon'"):
        verify({name: value for name, value in small().items() if name != "horizon"})


def test_long_numbers_are_shown_with_twelve_digits() -> None:
    short, long = "1/" + "3" * 38, "1/" + "3" * 39  # 40 and 41 characters
    for value, shown in ((short, short), (long, "3e-39")):
        document = small(**action(["1", 0], cost=value)) | {"values": [[value], ["0"]], "value": value}
        assert f"over 1 steps is {shown};" in verify(document).detail

"""Verify a value function (kind ``value-function``).

Least expected cost of a finite decision process over a horizon.

``stages``: one list of states (used at every step) or, with ``horizon`` absent, a list of such lists, one per step. A
state is an object of actions; an action has ``cost`` and ``to``, a list of pairs [probability, state], states counted
from 0. ``horizon``: number of steps. ``values``: horizon + 1 lists, the value of every state at every step; the last
list holds the final costs and must be all zero. ``policy``: horizon lists, the name of the action taken in each state.
``start``: a state; ``value``: the least expected cost asserted from there, a number or a formula of numbers.

The value function is right if V_t(s) ≤ cost + Σ p V_{t+1}(s') for every action (so nothing costs less) and equality
holds for the action of the policy (so it is attained).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from cogfit.errors import InputError
from theory.proofs.certificates import Check, Document, entry, exact, items, numbers
from theory.proofs.expressions import constant
from theory.proofs.numerals import show_number
from theory.proofs.work import measured

_Action = tuple[Fraction, list[tuple[Fraction, int]]]
_Stage = list[dict[str, _Action]]


def verify(document: Document) -> Check:
    """Verifier of the kind ``value-function``.

    Examples
    --------
    >>> wait = {"cost": "0", "to": [["1/2", 0], ["1/2", 1]]}
    >>> pay = {"cost": "1", "to": [["1", 1]]}
    >>> done = {"rest": {"cost": "0", "to": [["1", 1]]}}
    >>> verify({"horizon": 1, "stages": [{"wait": wait, "pay": pay}, done], "values": [["0", "0"], ["0", "0"]],
    ...         "policy": [["wait", "rest"]], "start": 0, "value": "0"}).ok
    True
    """
    stages, horizon = _stages(document)
    size = len(stages[0])
    rows = items(document, "values", list)
    policy = items(document, "policy", list)
    if len(rows) != horizon + 1 or len(policy) != horizon:
        lists = f"{len(rows)} lists of values and {len(policy)} of actions"
        raise InputError(f"certificate: {lists} for {horizon} steps")
    start, value = entry(document, "start", int), constant(document.get("value"), "'value'")
    if not 0 <= start < size:
        raise InputError(f"certificate: 'start' is {start}", hint=f"states are 0 to {size - 1}")
    after = numbers(rows[horizon], f"values at step {horizon}", size)
    if any(after):
        return Check(False, "the values after the last step are not all zero")
    # backwards, so that the values after a step have been checked before they are used
    for t in range(horizon - 1, -1, -1):
        now = numbers(rows[t], f"values at step {t}", size)
        names = _names(policy[t], size, t)
        for s, actions in enumerate(stages[t % len(stages)]):
            if fault := _fault(actions, names[s], now[s], after, f"step {t}, state {s}"):
                return Check(False, fault)
        after = now
    least = after[start]
    if least != value:
        detail = f"the least expected cost is {show_number(least)}, not {show_number(value)}"
        return Check(False, detail, {"value": least})
    detail = f"the least expected cost over {horizon} steps is {show_number(value)}"
    return Check(True, f"{detail}; the value function certifies it", {"value": value})


def _names(raw: list[Any], size: int, t: int) -> list[str]:
    """Names of the actions taken at a step."""
    if len(raw) != size or not all(isinstance(name, str) for name in raw):
        raise InputError(f"certificate: the policy at step {t} is no list of {size} names of actions")
    return raw


def _fault(actions: dict[str, _Action], chosen: str, value: Fraction, after: list[Fraction], where: str) -> str:
    """Why this is not the value of a state.

    Under this policy; empty if it is.
    """
    costs = {name: _expected(action, after) for name, action in actions.items()}
    below = [name for name, cost in costs.items() if cost < value]
    if below:
        return f"{where}: the action '{below[0]}' costs less than the value"
    if chosen not in costs:
        raise InputError(f"certificate: {where}: no action {chosen!r}")
    return "" if costs[chosen] == value else f"{where}: the policy does not attain the value"


def _expected(action: _Action, after: list[Fraction]) -> Fraction:
    total, to = action
    for p, state in to:
        total = measured(total + p * after[state])
    return total


def _stages(document: Document) -> tuple[list[_Stage], int]:
    raw = items(document, "stages", object, least=1)
    homogeneous = isinstance(raw[0], dict)
    stages = [_stage(raw)] if homogeneous else [_stage(stage) for stage in raw]
    horizon = entry(document, "horizon", int, None if homogeneous else len(stages))
    if horizon < 1 or (not homogeneous and horizon != len(stages)):
        raise InputError(f"certificate: 'horizon' is {horizon} for {len(stages)} stages")
    if any(len(stage) != len(stages[0]) for stage in stages):
        raise InputError("certificate: the stages have different numbers of states", hint="pad them")
    return stages, horizon


def _stage(raw: Any) -> _Stage:
    if not isinstance(raw, list) or not all(isinstance(state, dict) and state for state in raw):
        raise InputError("certificate: a stage is a list of states, each an object with at least one action")
    return [{name: _action(action, len(raw)) for name, action in state.items()} for state in raw]


def _action(raw: Any, size: int) -> _Action:
    if not isinstance(raw, dict):
        raise InputError("certificate: an action is an object with 'cost' and 'to'")
    to = []
    for pair in items(raw, "to", list, least=1):
        if len(pair) != 2 or isinstance(pair[1], bool) or not isinstance(pair[1], int) or not 0 <= pair[1] < size:
            raise InputError(f"certificate: {pair!r} is not [probability, state]", hint=f"states are 0 to {size - 1}")
        to.append((exact(pair[0], "probability"), pair[1]))
    if any(p < 0 for p, _ in to) or sum(p for p, _ in to) != 1:
        raise InputError("certificate: the probabilities of an action are not a distribution")
    return exact(raw.get("cost"), "'cost'"), to

"""A finite random recursion, carried out exactly (kind ``chain``).

``definitions``: object, name -> expression, constants. ``start``: object, name -> initial value of the state.
``outcomes``: list of objects, what can happen at a step, each with a ``probability`` and the same further names, exact
numbers (absent: nothing random). ``let``: object, name -> expression, worked out in this order at every step.
``update``: object, name -> new value, all from the old state; names without a formula stay. ``steps``: how many.

Formulas may use the definitions, the state and ``steps``; ``let`` and ``update`` also ``t`` (from 1) and the names of
the outcome. ``always``: list of relations that hold in every state that can be reached, from step 0 to the last.
``expect``: object, name -> expression of the final state, whose expectation is taken. ``facts``: relations between
definitions, expectations and ``steps``.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import Any

from cogfit.errors import InputError
from theory.proofs.certificates import Check, Document, entry, exact, items
from theory.proofs.expressions import Expression, exact_number
from theory.proofs.verifiers.arithmetic import judged

_MAX_STEPS = 10_000
_MAX_WORK = 100_000
_MAX_BITS = 200_000
_State = tuple[int | Fraction, ...]


def verify(document: Document) -> Check:
    """Verifier of the kind ``chain``.

    Examples
    --------
    Three tosses of a coin; with probability 1/8 there is no head.

    >>> tosses = [{"probability": "1/2", "head": "1"}, {"probability": "1/2", "head": "0"}]
    >>> document = {"start": {"heads": "0"}, "outcomes": tosses, "update": {"heads": "heads + head"}, "steps": 3,
    ...             "expect": {"none": "1 if heads == 0 else 0"}, "facts": ["none == 1/8"], "always": ["heads <= 3"]}
    >>> print(verify(document))
    holds: none == 1/8; at every step heads <= 3
    """
    constants: dict[str, Any] = {}
    for name, text in entry(document, "definitions", dict, {}).items():
        constants[name] = Expression(text)(constants)
    steps = entry(document, "steps", int)
    if not 0 <= steps <= _MAX_STEPS:
        raise InputError(f"certificate: 'steps' is {steps}", hint=f"0 to {_MAX_STEPS}")
    constants["steps"] = steps
    start = {name: _number(Expression(text)(constants)) for name, text in entry(document, "start", dict).items()}
    let, update, expect = (
        {name: Expression(text) for name, text in entry(document, part, dict, {}).items()}
        for part in ("let", "update", "expect")
    )
    outcomes = _outcomes(document)
    _distinct(constants, start, let, expect, outcomes[0][1], {"t": None})
    if stray := set(update) - set(start):
        raise InputError(f"certificate: 'update' names {min(stray)!r}, which is not in 'start'")
    always = items(document, "always", str)
    facts = items(document, "facts", str, least=0 if always else 1)

    states: dict[_State, Fraction] = {tuple(start.values()): Fraction(1)}
    work = 0
    for t in range(steps + 1):
        for state in states:
            held = judged(always, constants | dict(zip(start, state, strict=True))) if always else None
            if held is not None and not held:
                where = ", ".join(f"{name} = {value}" for name, value in zip(start, state, strict=True))
                return Check(False, f"after step {t}, at {where}: {held.detail}")
        if t == steps:
            break
        work += len(states) * len(outcomes)
        if work > _MAX_WORK:
            raise InputError("certificate: the chain has too many states", hint=f"at most {_MAX_WORK} moves")
        states = _moved(states, list(start), outcomes, let, update, constants | {"t": t + 1})
    expected = {name: Fraction(0) for name in expect}
    for state, mass in states.items():
        known = constants | dict(zip(start, state, strict=True))
        for name, term in expect.items():
            expected[name] += mass * _number(term(known))
    check = judged(facts, constants | expected) if facts else Check(True, "")
    holds = [f"at every step {', '.join(always)}"] if always and check else []
    return Check(check.ok, "; ".join([check.detail] * bool(facts) + holds), check.facts)


def _moved(
    states: dict[_State, Fraction],
    names: list[str],
    outcomes: list[tuple[Fraction, dict[str, Any]]],
    let: dict[str, Expression],
    update: dict[str, Expression],
    constants: dict[str, Any],
) -> dict[_State, Fraction]:
    """Distribution over states one step later."""
    following: dict[_State, Fraction] = defaultdict(Fraction)
    for state, mass in states.items():
        old = dict(zip(names, state, strict=True))
        for probability, happened in outcomes:
            known = {**constants, **old, **happened}
            for name, formula in let.items():
                known[name] = formula(known)
            new = {name: _number(formula(known)) for name, formula in update.items()}
            following[tuple(new.get(name, old[name]) for name in names)] += mass * probability
    return following


def _outcomes(document: Document) -> list[tuple[Fraction, dict[str, Any]]]:
    raw = items(document, "outcomes", dict) or [{"probability": "1"}]
    names = set(raw[0])
    if any(set(one) != names for one in raw):
        raise InputError("certificate: the 'outcomes' have different names")
    found = []
    for one in raw:
        values = {name: exact(value, f"outcome '{name}'") for name, value in one.items()}
        found.append((values.pop("probability", Fraction(-1)), values))
    if any(p < 0 for p, _ in found) or sum(p for p, _ in found) != 1:
        raise InputError("certificate: the probabilities of the 'outcomes' are no distribution")
    return found


def _number(value: Any) -> int | Fraction:
    """The value of a formula as an exact number of bearable size."""
    try:
        number = Fraction(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"certificate: a formula of the chain gives no number ({error})") from error
    if max(number.numerator.bit_length(), number.denominator.bit_length()) > _MAX_BITS:
        raise InputError(f"certificate: the numbers of the chain grow beyond {_MAX_BITS} bits")
    return exact_number(number)


def _distinct(*parts: dict[str, Any]) -> None:
    seen: set[str] = set()
    for part in parts:
        if clash := seen & set(part):
            raise InputError(f"certificate: the chain uses the name {min(clash)!r} twice")
        seen |= set(part)

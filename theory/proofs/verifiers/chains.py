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
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cogfit.errors import InputError
from theory.proofs.certificates import Check, Document, entry, exact, items
from theory.proofs.expressions import Expression, exact_number
from theory.proofs.numerals import show_number, size
from theory.proofs.verifiers.arithmetic import judged
from theory.proofs.work import measured, spend

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
    chain = _chain(document)
    states: dict[_State, Fraction] = {tuple(chain.start.values()): Fraction(1)}
    work = 0
    for t in range(chain.steps + 1):
        if violation := _violation(chain, states):
            return Check(False, f"after step {t}, at {violation}")
        if t == chain.steps:
            break
        work += len(states) * len(chain.outcomes)
        if work > _MAX_WORK:
            raise InputError("certificate: the chain has too many states", hint=f"at most {_MAX_WORK} moves")
        spend(len(states) * len(chain.outcomes))
        states = _moved(chain, states, t + 1)
    values = chain.constants | _expectations(chain, states)
    check = judged(chain.facts, values) if chain.facts else Check(True, "")
    holds = [f"at every step {', '.join(chain.always)}"] if chain.always and check else []
    detail = "; ".join([check.detail] * bool(chain.facts) + holds)
    return Check(check.ok, detail, check.facts)


@dataclass(frozen=True)
class _Chain:
    """A document of this kind, read and checked."""

    constants: dict[str, Any]
    steps: int
    start: dict[str, int | Fraction]
    let: dict[str, Expression]
    update: dict[str, Expression]
    expect: dict[str, Expression]
    outcomes: list[tuple[Fraction, dict[str, Any]]]
    always: list[str]
    facts: list[str]

    def known(self, state: _State) -> dict[str, Any]:
        """Names that a formula of a state may use."""
        return self.constants | dict(zip(self.start, state, strict=True))


def _chain(document: Document) -> _Chain:
    # constants first: the state at the start is made from them
    constants: dict[str, Any] = {}
    for name, text in entry(document, "definitions", dict, {}).items():
        constants[name] = Expression(text)(constants)
    steps = entry(document, "steps", int)
    if not 0 <= steps <= _MAX_STEPS:
        raise InputError(f"certificate: 'steps' is {steps}", hint=f"0 to {_MAX_STEPS}")
    constants["steps"] = steps
    initial = entry(document, "start", dict)
    start = {name: _number(Expression(text)(constants)) for name, text in initial.items()}
    # formulas, each under a name that means one thing
    let, update, expect = (
        {name: Expression(text) for name, text in entry(document, part, dict, {}).items()}
        for part in ("let", "update", "expect")
    )
    outcomes = _outcomes(document)
    _distinct(constants, start, let, expect, outcomes[0][1], {"t": None})
    if stray := set(update) - set(start):
        raise InputError(f"certificate: 'update' names {min(stray)!r}, which is not in 'start'")
    # a chain that asserts nothing is refused
    always = items(document, "always", str)
    facts = items(document, "facts", str, least=0 if always else 1)
    return _Chain(constants, steps, start, let, update, expect, outcomes, always, facts)


def _violation(chain: _Chain, states: dict[_State, Fraction]) -> str:
    """State in which a relation of ``always`` fails.

    With the relation; empty where none does.
    """
    for state in states if chain.always else ():
        check = judged(chain.always, chain.known(state))
        if not check:
            pairs = zip(chain.start, state, strict=True)
            return f"{', '.join(f'{name} = {show_number(value)}' for name, value in pairs)}: {check.detail}"
    return ""


def _expectations(chain: _Chain, states: dict[_State, Fraction]) -> dict[str, Fraction]:
    expected = {name: Fraction(0) for name in chain.expect}
    for state, mass in states.items():
        known = chain.known(state)
        for name, term in chain.expect.items():
            expected[name] = measured(expected[name] + mass * _number(term(known)))
    return expected


def _moved(chain: _Chain, states: dict[_State, Fraction], t: int) -> dict[_State, Fraction]:
    """Distribution over states one step later."""
    following: dict[_State, Fraction] = defaultdict(Fraction)
    constants, names = chain.constants | {"t": t}, list(chain.start)
    for state, mass in states.items():
        old = dict(zip(names, state, strict=True))
        for probability, outcome in chain.outcomes:
            known = {**constants, **old, **outcome}
            for name, formula in chain.let.items():
                known[name] = formula(known)
            new = {name: _number(formula(known)) for name, formula in chain.update.items()}
            moved = tuple(new.get(name, old[name]) for name in names)
            following[moved] = measured(following[moved] + mass * probability)
    return following


def _outcomes(document: Document) -> list[tuple[Fraction, dict[str, Any]]]:
    raw = items(document, "outcomes", dict) or [{"probability": "1"}]
    names = set(raw[0])
    if any(set(outcome) != names for outcome in raw):
        raise InputError("certificate: the 'outcomes' have different names")
    outcomes = []
    for outcome in raw:
        values = {name: exact(value, f"outcome '{name}'") for name, value in outcome.items()}
        outcomes.append((values.pop("probability", Fraction(-1)), values))
    if any(p < 0 for p, _ in outcomes) or sum(p for p, _ in outcomes) != 1:
        raise InputError("certificate: the probabilities of the 'outcomes' are no distribution")
    return outcomes


def _number(value: Any) -> int | Fraction:
    """The value of a formula as an exact number.

    Of limited size.
    """
    try:
        number = Fraction(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"certificate: a formula of the chain gives no number ({error})") from error
    if size(number) > _MAX_BITS:
        raise InputError(f"certificate: the numbers of the chain grow beyond {_MAX_BITS} bits")
    return exact_number(number)


def _distinct(*parts: dict[str, Any]) -> None:
    seen: set[str] = set()
    for part in parts:
        if clash := seen & set(part):
            raise InputError(f"certificate: the chain uses the name {min(clash)!r} twice")
        seen |= set(part)

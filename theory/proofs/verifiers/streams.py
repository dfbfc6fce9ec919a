"""A router on a small retrieval stream, evaluated exactly (kind ``counterexample``).

The document describes the stream and a router as formulas; the verifier runs the router on *every* table of values (and
every sequence of queries, and both outcomes of every randomised decision) and computes expectations as fractions. It
shows that something can be had: a bound is broken, or attained.

Stream: ``patterns`` K, ``values`` V. ``queries``: a list of patterns (0: no query), or an object with ``length`` and
``probabilities`` (of 0, 1, ..., K) for independent queries. ``feedback``: whether the value is shown after each query.
``coin``: number of sides of a fair coin that the router throws once at the start; ``die``: of one that it throws at
every step (default 1).

Router: ``memory``: object, name -> initial value. It may use ``K V coin``, and ``table`` to model values known in
advance. ``attend``: probability of attending at a query. ``guess``: the value that is output instead (1..V), or the
list of V probabilities of the values. ``update``: object, name -> new value, after every step. All may use ``t`` (from
1), ``z`` (the query, 0 for none), ``K V coin die``, the memory and ``counts`` (``counts[k]``: earlier queries of k).
Updates may also use ``attended`` (1 or 0) and ``value`` (0 unless attended, or a query with feedback). ``table[k]`` is
the value of pattern k, from 1; ``table[0]`` is 0.

``facts`` are relations between ``attention error queries`` (expected numbers), ``unrevealed_error`` (errors at patterns
never attended, nor shown, before), ``distinct`` (expected number of patterns seen), ``contents`` (largest number of
memory contents that occur at one step, with the coin fixed), and ``K V``.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cogfit.errors import InputError
from theory.proofs.certificates import Check, Document, entry, items, numbers
from theory.proofs.expressions import Expression, whole
from theory.proofs.verifiers.arithmetic import judged

_MAX_TABLES = 200_000
_MAX_STATES = 200_000
_MAX_LENGTH = 10_000

_Memory = tuple[Any, ...]
_State = tuple[_Memory, tuple[int, ...] | None, frozenset[int], frozenset[int]]
"""Memory, counts (None where no formula asks for them), revealed patterns, seen patterns."""


@dataclass(frozen=True)
class _Router:
    memory: dict[str, Expression]
    attend: Expression
    guess: Expression
    update: dict[str, Expression]

    @property
    def names(self) -> set[str]:
        """Everything that a decision or an update may depend on."""
        return {name for e in (self.attend, self.guess, *self.update.values()) for name in e.names}


@dataclass(frozen=True)
class _Stream:
    patterns: int
    values: int
    queries: list[list[tuple[int, Fraction]]]
    feedback: bool
    coin: int
    die: int


def verify(document: Document) -> Check:
    """Verifier of the kind ``counterexample``.

    Examples
    --------
    Attend at the first query only: one attention serves five queries.

    >>> router = {"memory": {"known": "0"}, "attend": "1 if known == 0 else 0", "guess": "max(known, 1)",
    ...           "update": {"known": "value if attended else known"}}
    >>> document = {"patterns": 1, "values": 2, "queries": [1, 1, 1, 1, 1], **router}
    >>> print(verify(document | {"facts": ["attention == 1", "error == 0", "contents <= 2"]}))
    holds: attention == 1; error == 0; contents <= 2
    """
    stream, router = _stream(document), _router(document)
    facts = items(document, "facts", str, least=1)
    asked = {name for fact in facts for name in Expression(fact).names}
    totals = _measure(stream, router, track={"unrevealed_error", "distinct"} & asked)
    return judged(facts, {"K": stream.patterns, "V": stream.values, **totals})


def _measure(stream: _Stream, router: _Router, track: set[str]) -> dict[str, Any]:
    size = stream.values**stream.patterns
    if size * stream.coin > _MAX_TABLES:
        raise InputError(f"certificate: {size} tables of values are too many", hint=f"at most {_MAX_TABLES}")
    totals: dict[str, Fraction] = defaultdict(Fraction)
    weight = Fraction(1, size * stream.coin)
    contents = 0
    for coin in range(stream.coin):
        occurring: list[set[_Memory]] = [set() for _ in range(len(stream.queries) + 1)]
        for values in itertools.product(range(1, stream.values + 1), repeat=stream.patterns):
            fixed = {"K": stream.patterns, "V": stream.values, "coin": coin}
            _run(stream, router, (0, *values), fixed, weight, totals, occurring, track)
        contents = max(contents, *map(len, occurring))
    names = ("attention", "error", "queries", *sorted(track))
    return {"contents": contents, **{name: totals[name] for name in names}}


def _run(
    stream: _Stream,
    router: _Router,
    table: tuple[int, ...],
    fixed: dict[str, Any],
    weight: Fraction,
    totals: dict[str, Fraction],
    occurring: list[set[_Memory]],
    track: set[str],
) -> None:
    """Carry the distribution over states through the stream for one table of values."""
    memory = tuple(initial({**fixed, "table": table}) for initial in router.memory.values())
    counted = "counts" in router.names
    none: frozenset[int] = frozenset()
    states: dict[_State, Fraction] = {(memory, (0,) * len(table) if counted else None, none, none): weight}
    occurring[0].add(memory)
    for t, query in enumerate(stream.queries, 1):
        following: dict[_State, Fraction] = defaultdict(Fraction)
        for (memory, counts, revealed, seen), mass in states.items():
            known = {**fixed, "t": t, **dict(zip(router.memory, memory, strict=True))}
            if counts is not None:
                known["counts"] = counts
            for (z, chance), die in itertools.product(query, range(stream.die)):
                p = mass * chance / stream.die
                known |= {"z": z, "die": die}
                a = _probability(router.attend(known)) if z else Fraction(0)
                wrong = 1 - _chance_of(router.guess(known), table[z], stream.values) if z and a < 1 else Fraction(0)
                totals["queries"] += p if z else 0
                totals["attention"] += p * a
                totals["error"] += p * (1 - a) * wrong
                if z not in revealed:
                    totals["unrevealed_error"] += p * (1 - a) * wrong
                if z and z not in seen:
                    totals["distinct"] += p
                counts_after = counts and (*counts[:z], counts[z] + (z > 0), *counts[z + 1 :])
                seen_after = seen | {z} - {0} if "distinct" in track else seen
                for attended, part in ((1, p * a), (0, p * (1 - a))):
                    if not part:
                        continue
                    shown = attended or (stream.feedback and z)
                    after = known | {"attended": attended, "value": table[z] if shown else 0}
                    changed = {name: update(after) for name, update in router.update.items()}
                    new = tuple(changed.get(name, known[name]) for name in router.memory)
                    learnt = revealed | {z} if shown and "unrevealed_error" in track else revealed
                    following[new, counts_after, learnt, seen_after] += part
        if len(following) > _MAX_STATES:
            raise InputError("certificate: the router reaches too many states", hint=f"at most {_MAX_STATES}")
        states = following
        occurring[t].update(memory for memory, *_ in states)


def _probability(value: Any) -> Fraction:
    p = Fraction(value)
    if not 0 <= p <= 1:
        raise InputError(f"certificate: 'attend' gives {p}, which is no probability")
    return p


def _chance_of(guess: Any, value: int, values: int) -> Fraction:
    """Probability that the output is this value."""
    if isinstance(guess, tuple):
        chances = [_probability(p) for p in guess]
        if len(chances) != values or sum(chances) != 1:
            raise InputError(f"certificate: 'guess' gives {guess}, no distribution over {values} values")
        return chances[value - 1]
    if not 1 <= whole(guess) <= values:
        raise InputError(f"certificate: 'guess' gives {guess}", hint=f"values are 1 to {values}")
    return Fraction(whole(guess) == value)


def _stream(document: Document) -> _Stream:
    patterns, values = entry(document, "patterns", int), entry(document, "values", int)
    coin, die = entry(document, "coin", int, 1), entry(document, "die", int, 1)
    if not (1 <= patterns <= 64 and 1 <= values <= 64 and 1 <= coin <= 1000 and 1 <= die <= 1000):
        raise InputError("certificate: 'patterns' and 'values' lie in 1..64, 'coin' and 'die' in 1..1000")
    raw = document.get("queries")
    if isinstance(raw, dict):
        law = numbers(raw.get("probabilities"), "'probabilities'", patterns + 1)
        if any(p < 0 for p in law) or sum(law) != 1:
            raise InputError("certificate: 'probabilities' is no distribution")
        step = [(z, p) for z, p in enumerate(law) if p]
        length = entry(raw, "length", int)
        queries = [step] * min(max(length, 0), _MAX_LENGTH + 1)
    else:
        sequence = items(document, "queries", int, least=1)
        if not all(0 <= z <= patterns for z in sequence):
            raise InputError(f"certificate: 'queries' are patterns 1 to {patterns}, or 0")
        queries = [[(z, Fraction(1))] for z in sequence]
    if not 1 <= len(queries) <= _MAX_LENGTH:
        raise InputError(f"certificate: the stream has 1 to {_MAX_LENGTH} steps")
    return _Stream(patterns, values, queries, entry(document, "feedback", bool, False), coin, die)


def _router(document: Document) -> _Router:
    memory, update = entry(document, "memory", dict, {}), entry(document, "update", dict, {})
    if stray := set(update) - set(memory):
        raise InputError(f"certificate: 'update' names {min(stray)!r}, which is not in 'memory'")
    if clash := set(memory) & {"K", "V", "coin", "die", "t", "z", "counts", "attended", "value", "table"}:
        raise InputError(f"certificate: 'memory' uses the reserved name {min(clash)!r}")
    formulas = [{name: Expression(text) for name, text in part.items()} for part in (memory, update)]
    attend, guess = (Expression(entry(document, name, str)) for name in ("attend", "guess"))
    return _Router(formulas[0], attend, guess, formulas[1])

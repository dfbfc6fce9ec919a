"""Evaluate a router exactly (kind ``counterexample``).

It runs on a small retrieval stream.

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
memory contents that occur at one step, with the coin fixed), and ``K V``. Classes of routers are facts, too, found from
the formulas: ``static`` (attending depends on the query and coins only), ``memoryless`` (nothing that attending and
guessing depend on has been touched by a value) and ``bits(S)`` (at most 2^S contents). What the title calls the router
(static, memoryless, without memory) is checked as a fact.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from cogfit.errors import InputError
from theory.proofs.certificates import Check, Document, entry, items, numbers
from theory.proofs.expressions import EXACT, Arithmetic, Expression, exact_power, whole
from theory.proofs.numerals import show_number
from theory.proofs.verifiers.arithmetic import judged
from theory.proofs.work import measured, spend

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
    def is_static(self) -> bool:
        """Whether attending depends on the query and coins only."""
        return self.attend.names <= {"K", "V", "z", "coin", "die"}

    @property
    def is_memoryless(self) -> bool:
        """Whether no value has touched what attending and guessing depend on.

        A value touches memory that is made from it, or from memory that it has touched, or from whether the router
        attended where that is touched.
        """
        sources = {name: formula.names for name, formula in self.memory.items()}
        for name, formula in self.update.items():
            sources[name] |= formula.names
        touched = {"value", "table"}
        while True:
            more = {name for name, names in sources.items() if names & touched}
            more |= {"attended"} if self.attend.names & touched else set()
            if more <= touched:
                return not (self.attend.names | self.guess.names) & touched
            touched |= more

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
    facts = [*facts, *(name for name in _named(str(document.get("title", ""))) if name not in facts)]
    asked = {name for fact in facts for name in Expression(fact, _FACTS).names}
    totals = _measure(stream, router, track={"unrevealed_error", "distinct"} & asked)
    classes = {"static": router.is_static, "memoryless": router.is_memoryless}
    values = {"K": stream.patterns, "V": stream.values, **totals, **classes}
    return judged(facts, values, _with_bits(totals["contents"]))


_CLASSES = {"static": ("static",), "memoryless": ("memoryless", "without memory", "no memory")}
"""Class of routers -> words that name it in a title."""


def _named(title: str) -> list[str]:
    """Classes that a title gives the router."""
    return [name for name, words in _CLASSES.items() if any(word in title.casefold() for word in words)]


def _with_bits(contents: int) -> Arithmetic:
    """Arithmetic of the facts: ``bits(S)`` says whether 2^S contents are enough."""
    return replace(EXACT, functions={**EXACT.functions, "bits": lambda bits: exact_power(2, whole(bits)) >= contents})


_FACTS = _with_bits(0)


def _measure(stream: _Stream, router: _Router, track: set[str]) -> dict[str, Any]:
    """Add up over all tables of values."""
    size = stream.values**stream.patterns
    if size * stream.coin > _MAX_TABLES:
        raise InputError("certificate: the tables of values are too many", hint=f"at most {_MAX_TABLES}")
    totals: dict[str, Fraction] = defaultdict(Fraction)
    weight = Fraction(1, size * stream.coin)
    contents = 0
    for coin in range(stream.coin):
        # contents that occur at each step, over all tables: the coin is not counted as memory
        occurring: list[set[_Memory]] = [set() for _ in range(len(stream.queries) + 1)]
        for values in itertools.product(range(1, stream.values + 1), repeat=stream.patterns):
            fixed = {"K": stream.patterns, "V": stream.values, "coin": coin}
            play = _Play(stream, router, (0, *values), fixed, track, totals)
            for t, states in enumerate(play.distributions(weight)):
                occurring[t].update(memory for memory, *_ in states)
        contents = max(contents, *map(len, occurring))
    names = ("attention", "error", "queries", *sorted(track))
    return {"contents": contents, **{name: totals[name] for name in names}}


@dataclass(frozen=True)
class _Play:
    """A router on a stream with one table of values.

    ``totals`` is shared by all tables; ``track`` names the totals that need patterns in the state.
    """

    stream: _Stream
    router: _Router
    table: tuple[int, ...]
    fixed: dict[str, Any]
    track: set[str]
    totals: dict[str, Fraction]

    def distributions(self, weight: Fraction) -> Iterator[dict[_State, Fraction]]:
        """Distribution over states, step by step.

        At the start and after every step, each of this mass.
        """
        at_start = {**self.fixed, "table": self.table}
        memory = tuple(_stored(initial(at_start)) for initial in self.router.memory.values())
        counts = (0,) * len(self.table) if "counts" in self.router.names else None
        states: dict[_State, Fraction] = {(memory, counts, frozenset(), frozenset()): weight}
        yield states
        for t in range(1, len(self.stream.queries) + 1):
            states = self._step(t, states)
            yield states

    def _step(self, t: int, states: dict[_State, Fraction]) -> dict[_State, Fraction]:
        following: dict[_State, Fraction] = defaultdict(Fraction)
        throws = range(self.stream.die)
        for state, mass in states.items():
            known = self._known(t, state)
            for (z, chance), die in itertools.product(self.stream.queries[t - 1], throws):
                p = mass * chance / self.stream.die
                spend(5)
                known |= {"z": z, "die": die}
                attend = self._decide(known, state, p)
                for attended, part in ((1, p * attend), (0, p * (1 - attend))):
                    if part:
                        following[self._successor(state, known, attended)] += part
        if len(following) > _MAX_STATES:
            raise InputError("certificate: the router reaches too many states", hint=f"at most {_MAX_STATES}")
        return following

    def _known(self, t: int, state: _State) -> dict[str, Any]:
        """Names that a decision at this state may use."""
        memory, counts, _, _ = state
        known = {**self.fixed, "t": t, **dict(zip(self.router.memory, memory, strict=True))}
        return known if counts is None else {**known, "counts": counts}

    def _decide(self, known: dict[str, Any], state: _State, p: Fraction) -> Fraction:
        """Probability of attending.

        What comes of it is counted with mass p.
        """
        z, (_, _, revealed, seen) = known["z"], state
        attend = _probability(self.router.attend(known)) if z else Fraction(0)
        wrong = Fraction(0)
        if z and attend < 1:
            guess = self.router.guess(known)
            wrong = 1 - _chance_of_value(guess, self.table[z], self.stream.values)
        error = p * (1 - attend) * wrong
        self._count("queries", p if z else Fraction(0))
        self._count("attention", p * attend)
        self._count("error", error)
        if z not in revealed:
            self._count("unrevealed_error", error)
        if z and z not in seen:
            self._count("distinct", p)
        return attend

    def _count(self, name: str, amount: Fraction) -> None:
        if amount:
            self.totals[name] = measured(self.totals[name] + amount)

    def _successor(self, state: _State, known: dict[str, Any], attended: int) -> _State:
        """State after a step.

        The router attended, or not.
        """
        z, (_, counts, revealed, seen) = known["z"], state
        is_shown = bool(attended or (self.stream.feedback and z))
        after = known | {"attended": attended, "value": self.table[z] if is_shown else 0}
        changed = {name: _stored(update(after)) for name, update in self.router.update.items()}
        memory = tuple(changed.get(name, known[name]) for name in self.router.memory)
        # sets of patterns stay empty where no fact asks for them: fewer states
        if is_shown and "unrevealed_error" in self.track:
            revealed = revealed | {z}
        if "distinct" in self.track:
            seen = seen | {z} - {0}
        return memory, _counted(counts, z), revealed, seen


def _counted(counts: tuple[int, ...] | None, z: int) -> tuple[int, ...] | None:
    """Counts after a query of z.

    No query (0) is not counted.
    """
    return counts and (*counts[:z], counts[z] + (z > 0), *counts[z + 1 :])


def _stored(value: Any) -> Any:
    """A content of memory: a number or a list.

    No truth value, which would be counted as the same content as a number.
    """
    if isinstance(value, bool):
        raise InputError("certificate: a truth value is put into memory", hint="write 1 if … else 0")
    return value


def _probability(value: Any) -> Fraction:
    if isinstance(value, bool | tuple):
        raise InputError("certificate: a probability is no number", hint="write 1 if … else 0")
    p = Fraction(value)
    if not 0 <= p <= 1:
        raise InputError(f"certificate: {show_number(p)} stands where a probability is needed")
    return p


def _chance_of_value(guess: Any, value: int, values: int) -> Fraction:
    """Probability that the output is this value."""
    if isinstance(guess, tuple):
        chances = [_probability(p) for p in guess]
        if len(chances) != values or sum(chances) != 1:
            raise InputError(f"certificate: 'guess' gives no distribution over {values} values")
        return chances[value - 1]
    try:
        output = whole(guess)
    except (TypeError, ValueError) as error:
        raise InputError(f"certificate: 'guess' gives no value ({error})", hint=f"values are 1 to {values}") from error
    if not 1 <= output <= values:
        raise InputError(f"certificate: 'guess' gives {show_number(output)}", hint=f"values are 1 to {values}")
    return Fraction(output == value)


def _stream(document: Document) -> _Stream:
    patterns, values = entry(document, "patterns", int), entry(document, "values", int)
    coin, die = entry(document, "coin", int, 1), entry(document, "die", int, 1)
    sizes = ((patterns, 64), (values, 64), (coin, 1000), (die, 1000))
    if not all(1 <= size <= most for size, most in sizes):
        raise InputError("certificate: 'patterns' and 'values' lie in 1..64, 'coin' and 'die' in 1..1000")
    queries = _queries(document, patterns)
    if not 1 <= len(queries) <= _MAX_LENGTH:
        raise InputError(f"certificate: the stream has 1 to {_MAX_LENGTH} steps")
    feedback = entry(document, "feedback", bool, False)
    return _Stream(patterns, values, queries, feedback, coin, die)


def _queries(document: Document, patterns: int) -> list[list[tuple[int, Fraction]]]:
    """What may be asked for at each step, with probabilities."""
    raw = document.get("queries")
    if not isinstance(raw, dict):
        sequence = items(document, "queries", int, least=1)
        if not all(0 <= z <= patterns for z in sequence):
            raise InputError(f"certificate: 'queries' are patterns 1 to {patterns}, or 0")
        return [[(z, Fraction(1))] for z in sequence]
    law = numbers(raw.get("probabilities"), "'probabilities'", patterns + 1)
    if any(p < 0 for p in law) or sum(law) != 1:
        raise InputError("certificate: 'probabilities' is no distribution")
    step = [(z, p) for z, p in enumerate(law) if p]
    # one step too many is enough for the caller to refuse the stream
    return [step] * min(max(entry(raw, "length", int), 0), _MAX_LENGTH + 1)


def _router(document: Document) -> _Router:
    memory, update = entry(document, "memory", dict, {}), entry(document, "update", dict, {})
    if stray := set(update) - set(memory):
        raise InputError(f"certificate: 'update' names {min(stray)!r}, which is not in 'memory'")
    if clash := set(memory) & {"K", "V", "coin", "die", "t", "z", "counts", "attended", "value", "table"}:
        raise InputError(f"certificate: 'memory' uses the reserved name {min(clash)!r}")
    formulas = [{name: Expression(text) for name, text in part.items()} for part in (memory, update)]
    attend, guess = (Expression(entry(document, name, str)) for name in ("attend", "guess"))
    return _Router(formulas[0], attend, guess, formulas[1])

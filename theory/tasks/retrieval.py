"""The retrieval stream.

A table of values that queries ask for, sampled in batches or enumerated exactly.

A table holds K values, independent and uniform on 1..V. At step t there is no query (z_t = 0) with probability 1 − f,
and otherwise a query for pattern z_t = k with probability p_k, independently; or the queries are a fixed sequence. At a
query a router *attends* (cost 1, the value is shown, no error) or outputs a guess. With *feedback* the value is shown
after every query. A pattern is *revealed* once its value was shown.

Values may change (T9): at the start of each step after the first, the value of each pattern is drawn anew with
probability ρ, independently of everything and uniformly on all V values, so that it may be the same again. An *epoch*
of a pattern ends where its value is redrawn.

Patterns and values are counted from 1 everywhere; 0 stands for "none".
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Real = float | Fraction

_MOST_CASES = 1_000_000


@dataclass(frozen=True)
class Stream:
    """The law of a retrieval stream.

    Attributes
    ----------
    values : int
        V, at least 2.
    probabilities : tuple of float or Fraction
        p_1, ..., p_K, summing to 1; for a fixed sequence the share of each pattern in it.
    length : int
        Number of steps n.
    retrieval : float or Fraction
        f, the probability of a query at a step.
    sequence : tuple of int or None
        A fixed sequence z_1, ..., z_n instead of random queries.
    feedback : bool
        Whether the value is shown after every query.
    redraw : float or Fraction
        ρ, the probability that the value of a pattern is drawn anew before a step.

    Raises
    ------
    InputError
        If the numbers describe no stream.

    Examples
    --------
    >>> stream = Stream.independent(uniform(3), values=2, length=5)
    >>> stream.patterns, stream.length
    (3, 5)
    """

    values: int
    probabilities: tuple[Real, ...]
    length: int
    retrieval: Real = 1
    sequence: tuple[int, ...] | None = None
    feedback: bool = False
    redraw: Real = 0

    def __post_init__(self) -> None:
        if self.values < 2:
            raise InputError(f"{self.values} values are no choice", hint="use 2 or more")
        if self.length < 1:
            raise InputError(f"a stream of {self.length} steps is empty")
        if (
            not self.probabilities
            or any(p < 0 for p in self.probabilities)
            or abs(float(sum(self.probabilities)) - 1) > 1e-9
        ):
            raise InputError("the probabilities of the patterns are no distribution", hint="make them sum to 1")
        if not 0 <= self.retrieval <= 1:
            raise InputError(f"the share of queries is {self.retrieval}", hint="it lies between 0 and 1")
        if not 0 <= self.redraw <= 1:
            raise InputError(f"values are redrawn at a rate of {self.redraw}", hint="it lies between 0 and 1")

    @classmethod
    def independent(
        cls,
        probabilities: Sequence[Real],
        *,
        values: int,
        length: int,
        retrieval: Real = 1,
        feedback: bool = False,
        redraw: Real = 0,
    ) -> Stream:
        """Stream of independent queries with these probabilities of the patterns."""
        return cls(values, tuple(probabilities), length, retrieval, None, feedback, redraw)

    @classmethod
    def fixed(
        cls, sequence: Sequence[int], *, values: int, patterns: int | None = None, feedback: bool = False
    ) -> Stream:
        """Stream with a fixed sequence of queries (0: no query).

        Raises
        ------
        InputError
            If it names no pattern, or one beyond ``patterns`` (default: the largest in it).
        """
        queries = [z for z in sequence if z]
        size = max(queries, default=0) if patterns is None else patterns
        if not queries or min(sequence) < 0 or max(sequence) > size:
            raise InputError(f"the sequence does not consist of patterns 1 to {size}")
        share = tuple(Fraction(queries.count(k), len(queries)) for k in range(1, size + 1))
        return cls(values, share, len(sequence), Fraction(len(queries), len(sequence)), tuple(sequence), feedback)

    @property
    def patterns(self) -> int:
        """K, the number of patterns."""
        return len(self.probabilities)

    @property
    def step_law(self) -> tuple[Real, ...]:
        """Probability of z_t = 0, 1, ..., K.

        For independent queries.
        """
        return (1 - self.retrieval, *(self.retrieval * p for p in self.probabilities))

    def tables(self, rng: np.random.Generator, size: int) -> Integers:
        """Fresh tables of values.

        Returns
        -------
        ndarray of int, shape (size, K)
        """
        return rng.integers(1, self.values + 1, (size, self.patterns))

    def queries(self, rng: np.random.Generator, size: int) -> Integers:
        """Sequences of queries, independent of the tables.

        Returns
        -------
        ndarray of int, shape (size, n)
        """
        if self.sequence is not None:
            return np.broadcast_to(np.asarray(self.sequence), (size, self.length))
        law = np.asarray(self.step_law, float)
        return rng.choice(self.patterns + 1, (size, self.length), p=law / law.sum())


def redrawn(table: Integers, rate: Real, values: int, rng: np.random.Generator) -> tuple[Integers, Booleans]:
    """Draw values anew, each with the same probability.

    Independently of each other and of all else, uniformly on 1..V: the assumption of T9, in one place.

    Parameters
    ----------
    table : ndarray of int
    rate : float
        ρ.
    values : int
        V.
    rng : numpy Generator

    Returns
    -------
    table : ndarray of int
        A new array.
    where : ndarray of bool
        What was drawn anew, its value changed or not.

    Examples
    --------
    >>> table, where = redrawn(np.full(8, 3), 0.5, 4, np.random.default_rng(0))
    >>> bool((table[~where] == 3).all()), int(where.sum())
    (True, 3)
    """
    where = rng.random(table.shape) < float(rate)
    return np.where(where, rng.integers(1, values + 1, table.shape), table), where


def uniform(patterns: int) -> tuple[Fraction, ...]:
    """Equal probabilities.

    Examples
    --------
    >>> uniform(2)
    (Fraction(1, 2), Fraction(1, 2))
    """
    return (Fraction(1, patterns),) * patterns


def zipf(patterns: int, s: Real) -> tuple[Real, ...]:
    """Probabilities proportional to k^−s, exact where s is an integer.

    Examples
    --------
    >>> zipf(3, 1)
    (Fraction(6, 11), Fraction(3, 11), Fraction(2, 11))
    """
    weights = [Fraction(k) ** -int(s) if s == int(s) else float(k) ** -float(s) for k in range(1, patterns + 1)]
    total = sum(weights)
    return tuple(weight / total for weight in weights)


def exposures(queries: Integers) -> Integers:
    """Earlier queries for the pattern of each query.

    In the same sequence; 0 where there is no query.

    Parameters
    ----------
    queries : ndarray of int, shape (size, n)

    Returns
    -------
    ndarray of int, shape (size, n)

    Examples
    --------
    >>> exposures(np.array([[2, 1, 2, 0, 2]]))
    array([[0, 0, 1, 0, 2]])
    """
    order = np.argsort(queries, axis=1, kind="stable")
    ordered = np.take_along_axis(queries, order, axis=1)
    position = np.broadcast_to(np.arange(queries.shape[1]), queries.shape)
    starts = np.ones(queries.shape, bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    rank = position - np.maximum.accumulate(np.where(starts, position, 0), axis=1)
    out = np.empty_like(rank)
    np.put_along_axis(out, order, rank, axis=1)
    return np.where(queries > 0, out, 0)


class Router(Protocol):
    """A routing policy, played on many streams at once.

    Arrays of shape (size,), one entry per stream.
    """

    def begin(self, stream: Stream, size: int, rng: np.random.Generator) -> None:
        """Start on ``size`` streams of this law."""

    def decide(self, t: int, z: Integers) -> tuple[Booleans, Integers]:
        """Decide whether to attend, and what to output otherwise.

        At step t (from 0), a value 1..V; ignored where z is 0.
        """

    def observe(self, t: int, z: Integers, attended: Booleans, value: Integers) -> None:
        """See the outcome.

        ``value`` is 0 unless attended, or a query with feedback.
        """


@runtime_checkable
class Watcher(Protocol):
    """A router that sees redraws."""

    def see_redraws(self, t: int, where: Booleans) -> None:
        """See what was redrawn before step t, shape (size, K)."""


@dataclass(frozen=True)
class Run:
    """What happened on a batch of streams.

    Attributes
    ----------
    queries : ndarray of int, shape (size, n)
        z_t; 0 where there is no query.
    attended, error, unrevealed : ndarray of bool, shape (size, n)
        Attention, wrong output without attention, and a query for a pattern whose value was not shown before (where
        values change: not since it was last drawn anew).
    first : ndarray of bool, shape (size, n)
        The first query for its pattern (where values change: the first of its epoch).
    """

    queries: Integers
    attended: Booleans
    error: Booleans
    unrevealed: Booleans
    first: Booleans

    def charge(self, values: int, *, unrevealed_only: bool = False) -> Floats:
        """Cost A + V/(V−1)·err of each stream.

        Averaged over its queries (1 for a stream without queries).

        Over fresh tables its mean is at least 1 for every memoryless router (T1).

        Returns
        -------
        ndarray of float, shape (size,)
        """
        error = self.error & self.unrevealed if unrevealed_only else self.error
        total = self.attended.sum(axis=1) + values / (values - 1) * error.sum(axis=1)
        count = (self.queries > 0).sum(axis=1)
        return np.where(count > 0, total / np.maximum(count, 1), 1.0)


def play(
    stream: Stream, router: Router, rng: np.random.Generator | int, size: int, table: Integers | None = None
) -> Run:
    """Run a router on independent streams.

    Parameters
    ----------
    stream : Stream
    router : Router
    rng : numpy Generator or int
    size : int
        Number of streams.
    table : ndarray of int, shape (K,) or (size, K), optional
        Values 1..V to use. Default: a fresh table for every stream. One table for all of them is *not* the setting of
        the theorems: a router may know it in advance.

    Returns
    -------
    Run

    Examples
    --------
    >>> run = play(Stream.independent(uniform(4), values=3, length=50), FirstExposures(1), 0, 200)
    >>> int(run.error.sum()), bool((run.attended.sum(axis=1) <= 4).all())
    (0, True)
    """
    generator = np.random.default_rng(rng)
    tables = stream.tables(generator, size) if table is None else np.broadcast_to(table, (size, stream.patterns))
    queries = stream.queries(generator, size)
    rows = np.arange(size)
    attended = np.zeros((size, stream.length), bool)
    error, unrevealed, first = (np.zeros_like(attended) for _ in range(3))
    shown = np.zeros((size, stream.patterns + 1), bool)
    shown[:, 0] = True
    asked_for = shown.copy()
    router.begin(stream, size, generator)
    for t in range(stream.length):
        if t and stream.redraw:
            tables, where = redrawn(tables, stream.redraw, stream.values, generator)
            shown[:, 1:] &= ~where
            asked_for[:, 1:] &= ~where
            if isinstance(router, Watcher):
                router.see_redraws(t, where)
        z = queries[:, t]
        asked = z > 0
        value = np.where(asked, tables[rows, z - 1], 0)
        attend, guess = router.decide(t, z)
        attended[:, t] = attend & asked
        error[:, t] = asked & ~attend & (guess != value)
        unrevealed[:, t], first[:, t] = ~shown[rows, z], ~asked_for[rows, z]
        asked_for[rows, z] = True
        visible = asked if stream.feedback else attended[:, t]
        router.observe(t, z, attended[:, t], np.where(visible, value, 0))
        shown[rows, z] |= visible
    return Run(queries, attended, error, unrevealed, first)


class FirstExposures:
    """The consolidating learner.

    Attend at the first c queries of each pattern and remember.

    Parameters
    ----------
    c : int
        Attended exposures that each pattern needs.
    eta : float
        Probability that an attended exposure beyond the (c−1)th consolidates the pattern.
    """

    def __init__(self, c: int = 1, eta: float = 1.0) -> None:
        self.c, self.eta = c, eta

    def begin(self, stream: Stream, size: int, rng: np.random.Generator) -> None:
        """Forget everything."""
        self._known = np.zeros((size, stream.patterns + 1), np.int64)
        self._attended = np.zeros_like(self._known)
        self._rows, self._rng = np.arange(size), rng

    def decide(self, t: int, z: Integers) -> tuple[Booleans, Integers]:
        """Attend unless the pattern is consolidated."""
        known = self._known[self._rows, z]
        return known == 0, np.maximum(known, 1)

    def observe(self, t: int, z: Integers, attended: Booleans, value: Integers) -> None:
        """Count the exposure.

        Consolidate after the c-th, with probability eta.
        """
        self._attended[self._rows, z] += attended
        done = attended & (self._attended[self._rows, z] >= self.c) & (self._rng.random(z.size) < self.eta)
        self._known[self._rows[done], z[done]] = value[done]


Event = tuple[int, bool, int]
"""What a router knows of a past step: z, whether it attended, the value shown (0: none)."""

Policy = Callable[[tuple[Event, ...], int], tuple[Real, int]]
"""``policy(history, z) -> (probability of attending, value output otherwise)``; any function at all."""


def random_policy(seed: int, values: int, *, blind: bool = False) -> Policy:
    """A policy with an arbitrary answer to every history.

    A pseudo-random but fixed function of all that it sees.

    Parameters
    ----------
    seed : int
        Names the policy.
    values : int
        V.
    blind : bool
        Whether it may not use the values that it was shown (class MEMORYLESS).

    Examples
    --------
    >>> policy = random_policy(7, 3)
    >>> policy(((1, True, 2),), 1) == policy(((1, True, 2),), 1)
    True
    """

    def policy(history: tuple[Event, ...], z: int) -> tuple[Real, int]:
        seen = tuple(event[:2] for event in history) if blind else history
        digest = hashlib.blake2b(repr((seed, seen, z)).encode(), digest_size=4).digest()
        return Fraction(min(digest[0] // 50, 4), 4), digest[1] % values + 1

    return policy


@dataclass(frozen=True)
class Outcome:
    """Exact expectations per step.

    Attributes
    ----------
    query, attention, error, unrevealed, unrevealed_error : tuple of Fraction, length n
        Probability at each step of: a query; attending; an error; a query for an unrevealed pattern; an error at one.
    distinct : Fraction
        Expected number of patterns asked for.
    """

    query: tuple[Fraction, ...]
    attention: tuple[Fraction, ...]
    error: tuple[Fraction, ...]
    unrevealed: tuple[Fraction, ...]
    unrevealed_error: tuple[Fraction, ...]
    distinct: Fraction


def tables_of(patterns: int, values: int) -> Integers:
    """All tables of values.

    Returns
    -------
    ndarray of int, shape (V^K, K)

    Raises
    ------
    InputError
        If there are more than a million.

    Examples
    --------
    >>> tables_of(2, 2).tolist()
    [[1, 1], [1, 2], [2, 1], [2, 2]]
    """
    if values**patterns > _MOST_CASES:
        raise InputError(f"{values}^{patterns} tables are too many to enumerate")
    return np.array(list(itertools.product(range(1, values + 1), repeat=patterns)), np.int64)


def sequences_of(stream: Stream) -> Iterator[tuple[tuple[int, ...], Fraction]]:
    """All sequences of queries, with exact probabilities.

    Those that can occur; probabilities are fractions.

    Examples
    --------
    >>> law = Stream.independent(uniform(2), values=2, length=2)
    >>> [(z, str(p)) for z, p in sequences_of(law)]
    [((1, 1), '1/4'), ((1, 2), '1/4'), ((2, 1), '1/4'), ((2, 2), '1/4')]
    """
    for sequence in itertools.product(*([z for z, _ in step] for step in _steps(stream))):
        p = Fraction(1)
        for z, step in zip(sequence, _steps(stream), strict=True):
            p *= dict(step)[z]
        yield sequence, p


def evaluate(stream: Stream, policy: Policy) -> Outcome:
    """Exact performance of a policy.

    Expectation over all tables, all queries and its own coins.

    The tree of histories is walked once; in each node the tables that agree with what was shown are kept.

    Raises
    ------
    InputError
        If there are too many tables, values change, or the policy returns no probability or no value.

    Examples
    --------
    >>> law = Stream.independent(uniform(2), values=2, length=3)
    >>> guess = evaluate(law, lambda history, z: (0, 1))
    >>> [str(p) for p in guess.error]
    ['1/2', '1/2', '1/2']
    >>> attend = evaluate(law, lambda history, z: (1, 1))
    >>> sum(attend.attention), attend.distinct
    (Fraction(3, 1), Fraction(7, 4))
    """
    if stream.redraw:
        raise InputError("values that change are not enumerated", hint="use play, or theory.bounds.t9_drift")
    steps, tables = _steps(stream), tables_of(stream.patterns, stream.values)
    sums = _Sums(stream.length)
    waiting = [_Node((), tables, Fraction(1), frozenset())]
    while waiting:
        node = waiting.pop()
        t = len(node.history)
        if t == stream.length:
            continue
        for z, chance in steps[t]:
            p = node.mass * chance
            if z == 0:
                waiting.append(node.after((0, False, 0), node.possible, p))
                continue
            attend, guess = _decision(policy(node.history, z), stream.values)
            sums.add(node, z, p, attend, guess)
            for attended, part in ((True, p * attend), (False, p * (1 - attend))):
                if part:
                    waiting += node.successors(z, attended, part, is_shown=attended or stream.feedback)
    return sums.outcome()


@dataclass(frozen=True)
class _Node:
    """A history, and what can be known after it.

    Attributes
    ----------
    history : tuple of Event
    possible : ndarray of int, shape (tables, K)
        Tables that agree with what was shown.
    mass : Fraction
        Probability of the history.
    revealed : frozenset of int
        Patterns whose value was shown.
    """

    history: tuple[Event, ...]
    possible: Integers
    mass: Fraction
    revealed: frozenset[int]

    def after(self, event: Event, possible: Integers, mass: Fraction) -> _Node:
        """History one event longer, in which nothing new is shown."""
        return _Node((*self.history, event), possible, mass, self.revealed)

    def successors(self, z: int, attended: bool, mass: Fraction, *, is_shown: bool) -> Iterator[_Node]:
        """Histories after a query of z.

        One per value that may be shown.
        """
        if not is_shown:
            yield self.after((z, False, 0), self.possible, mass)
            return
        values = self.possible[:, z - 1]
        for value in np.unique(values).tolist():
            agree = self.possible[values == value]
            share = mass * Fraction(len(agree), values.size)
            yield _Node((*self.history, (z, attended, value)), agree, share, self.revealed | {z})


class _Sums:
    """What :func:`evaluate` adds up over the tree of histories."""

    def __init__(self, length: int) -> None:
        names = ("query", "attention", "error", "unrevealed", "unrevealed_error")
        self.rows = {name: [Fraction(0)] * length for name in names}
        self.distinct = Fraction(0)

    def add(self, node: _Node, z: int, p: Fraction, attend: Fraction, guess: int) -> None:
        """Count a query of z with mass p.

        Attended to with a probability, else guessed.
        """
        t, values = len(node.history), node.possible[:, z - 1]
        wrong = p * (1 - attend) * Fraction(int((values != guess).sum()), values.size)
        self.rows["query"][t] += p
        self.rows["attention"][t] += p * attend
        self.rows["error"][t] += wrong
        if z not in node.revealed:
            self.rows["unrevealed"][t] += p
            self.rows["unrevealed_error"][t] += wrong
        self.distinct += p * all(event[0] != z for event in node.history)

    def outcome(self) -> Outcome:
        """The sums as a result."""
        return Outcome(**{name: tuple(row) for name, row in self.rows.items()}, distinct=self.distinct)


def _decision(decision: tuple[Real, int], values: int) -> tuple[Fraction, int]:
    """Probability of attending, and the guess, of a policy."""
    attend, guess = decision
    a = Fraction(attend)
    if not 0 <= a <= 1 or not 1 <= guess <= values:
        raise InputError(f"the policy returned ({attend}, {guess})", hint="a probability and a value 1..V")
    return a, guess


def _steps(stream: Stream) -> list[list[tuple[int, Fraction]]]:
    """Possible queries of each step, with exact probabilities.

    Floats are taken as the fractions that they are.
    """
    if stream.sequence is not None:
        return [[(z, Fraction(1))] for z in stream.sequence]
    return [[(z, Fraction(p)) for z, p in enumerate(stream.step_law) if p]] * stream.length

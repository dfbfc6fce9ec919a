r"""SRCD, sparse retrieval in continuous dynamics.

The task of the CRAM paper (arXiv 2602.12204, section on SRCD).

A stream has N tokens at irregular times. Every token belongs to a dynamical system,

.. math:: v_t = a\,v_{t-1} + \beta \sin(\omega\,\Delta\tau_t) + \varepsilon_t,\qquad \Delta\tau_t \sim \text{Pareto},

and shows :math:`(v_{t-1}, \Delta\tau_t)`; :math:`v_t` is to be predicted, which takes local information only and has
the least possible mean squared error :math:`\sigma^2`. A few tokens are *bindings*, which show a key and its value; as
many are *queries*, which show a key and ask for the value bound to it earlier in the stream. A key is *recurring* (one
of K patterns that come again from stream to stream) or *novel* (bound and asked for once in a stream).

What the paper gives: N = 2048, a = 0.95, Pareto(1.5), 5 % queries, 70 % recurring, K = 100. What it leaves open is a
field of :class:`SRCD`, with these defaults:

- token: key and value of a binding come in one token; v starts at 0;
- gaps: the classical Pareto law (from 1 up; or Lomax, from 0 up), clipped at 50;
- β = 0.25, ω = 1, σ = 0.1;
- 16 values; 512 novel keys, without repetition in a stream; uniform frequencies of the patterns (or Zipf's law);
- every query has a binding of its own, at a random earlier position; recurring or novel by independent draws;
- the values of recurring keys are the same in every stream (or drawn afresh for every stream, as the lower bounds on
  attention need it; those of novel keys are always fresh).

Keys, values and patterns are counted from 1; 0 stands for "none".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from theory.settings import Strict, part_of  # says how to install pydantic where it is missing
from theory.tasks.retrieval import redrawn

PLAIN, BINDING, QUERY = 0, 1, 2
"""Kinds of token."""

A = TypeVar("A")
Array = NDArray[Any]


class SRCD(Strict):
    """Settings of the task.

    Attributes
    ----------
    length : int
        N, tokens in a stream, 16 to 8192.
    query_fraction : float
        f, share of the tokens that are queries; at least one per stream.
    recurring_fraction : float
        Probability that a query asks for a recurring key.
    patterns : int
        K, recurring keys.
    zipf : float
        Exponent s of the frequencies k^−s of the patterns; 0 is the uniform law.
    novel_keys : int
        Size of the vocabulary of novel keys, at least the number of queries in a stream.
    values : int
        V, at least 2; values are uniform on 1..V.
    table : {"fixed", "fresh"}
        Whether recurring keys have the same values in all streams, or new ones in every stream.
    table_seed : int
        Draws the fixed table, and how it changes.
    redraw : float
        ρ, the probability that the value of a recurring key is drawn anew before a batch of streams, uniformly on all V
        and independently of everything, as T9 assumes of a step. The streams of a batch share a table; a binding shows
        the value of its batch. With a fixed table only.
    layout : {"interleaved", "header"}
        ``"interleaved"``: bindings and queries at random positions, ⌊fN⌋ each. ``"header"``: the stream begins with the
        bindings of all K patterns in random order; after that every token is a query with probability f, independently
        (the i.i.d. queries that the theorems on bounded memory ask for); all keys are recurring.
    dynamics, beta, omega, noise : float
        a, β, ω (rad per unit of time) and σ of the dynamics.
    gap : {"pareto", "lomax"}
        Law of the time gaps: U^(−1/shape), or the same less 1.
    gap_shape, gap_clip : float
        Its shape, and the largest gap.
    leak : float
        Probability that a query shows its own answer. Anything but 0 breaks the task: it is there as a negative
        control for checks of lower bounds.

    Examples
    --------
    >>> task = SRCD(length=256)
    >>> task.queries, task.static_bound, round(task.optimum, 4)
    (12, 0.046875, 0.0141)
    >>> batch = task.sample(0, size=4)
    >>> batch.tokens.key.shape, violations(task, batch)
    ((4, 256), ())
    """

    length: int = Field(2048, ge=16, le=8192)
    query_fraction: float = Field(0.05, gt=0, lt=1)
    recurring_fraction: float = Field(0.7, ge=0, le=1)
    patterns: int = Field(100, ge=1)
    zipf: float = Field(0.0, ge=0)
    novel_keys: int = Field(512, ge=0)
    values: int = Field(16, ge=2)
    table: Literal["fixed", "fresh"] = "fixed"
    table_seed: int = Field(0, ge=0)
    layout: Literal["interleaved", "header"] = "interleaved"
    dynamics: float = Field(0.95, ge=0, lt=1)
    beta: float = 0.25
    omega: float = 1.0
    noise: float = Field(0.1, ge=0)
    gap: Literal["pareto", "lomax"] = "pareto"
    gap_shape: float = Field(1.5, gt=0)
    gap_clip: float = Field(50.0, gt=1)
    leak: float = Field(0.0, ge=0, le=1)
    redraw: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _possible(self) -> SRCD:
        if self.redraw and self.table != "fixed":
            raise ValueError("values that are fresh in every stream cannot be redrawn too; set table = 'fixed'")
        if self.layout == "header":
            if self.recurring_fraction < 1:
                raise ValueError("layout 'header' has recurring keys only; set recurring_fraction = 1.0")
            if self.patterns >= self.length:
                raise ValueError(f"{self.patterns} bindings leave no query in {self.length} tokens; use fewer patterns")
            return self
        if not 1 <= self.queries <= self.length // 2:
            raise ValueError(
                f"{self.queries} queries and as many bindings do not fit {self.length} tokens; change query_fraction"
            )
        if self.novel_keys < self.queries and self.recurring_fraction < 1:
            raise ValueError(f"{self.queries} queries of a stream may be novel; set novel_keys to that or more")
        return self

    @property
    def queries(self) -> int:
        """Queries in a stream (layout ``"header"``: expected number, rounded down)."""
        places = self.length - self.patterns if self.layout == "header" else self.length
        return part_of(self.query_fraction, places)

    @property
    def static_bound(self) -> float:
        """Attention per token of the ideal static model.

        It attends to every query and to nothing else.
        """
        if self.layout == "header":
            return self.query_fraction * (self.length - self.patterns) / self.length
        return self.queries / self.length

    @property
    def optimum(self) -> float:
        """Attention per token once recurring queries need none.

        The paper's OPT.
        """
        return self.static_bound * (1 - self.recurring_fraction)

    @property
    def keys(self) -> int:
        """Number of keys.

        Recurring ones come first.
        """
        return self.patterns + self.novel_keys

    @property
    def table_bits(self) -> float:
        """Information in the values of the recurring keys, K·log₂V bits."""
        return self.patterns * math.log2(self.values)

    def frequencies(self) -> NDArray[np.float64]:
        """Probability of each pattern at a recurring query, shape (K,)."""
        weights = np.arange(1.0, self.patterns + 1) ** -self.zipf
        return np.asarray(weights / weights.sum())

    def fixed_table(self) -> NDArray[np.int64]:
        """Values 1..V of the recurring keys.

        Where ``table`` is ``"fixed"``, shape (K,).
        """
        return np.random.default_rng(self.table_seed).integers(1, self.values + 1, self.patterns)

    def tables(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
        """Fixed table of each batch, from the first on.

        Yields
        ------
        table : ndarray of int, shape (K,)
            Values 1..V of the recurring keys.
        where : ndarray of bool, shape (K,)
            Which of them were drawn anew just before.

        Examples
        --------
        >>> first, second = itertools.islice(SRCD(length=64, patterns=8, redraw=0.5).tables(), 2)
        >>> bool(first[1].any()), bool((first[0] == second[0])[~second[1]].all())
        (False, True)
        """
        table, rng = self.fixed_table(), np.random.default_rng([self.table_seed, 1])
        where = np.zeros(self.patterns, bool)
        while True:
            yield table, where
            if self.redraw:
                table, where = redrawn(table, self.redraw, self.values, rng)

    def table_at(self, batch: int) -> NDArray[np.int64]:
        """Fixed table of a batch, counted from 0, shape (K,)."""
        return next(itertools.islice(self.tables(), batch if self.redraw else 0, None))[0]

    def sample(self, rng: np.random.Generator | int, size: int, table: NDArray[np.int64] | None = None) -> Batch[Array]:
        """Draw streams.

        Parameters
        ----------
        rng : numpy Generator or int
        size : int
            Streams, B.
        table : ndarray of int, shape (K,), optional
            Values of the recurring keys. Default: those of the first batch.

        Returns
        -------
        Batch of ndarray, shape (B, N)
        """
        generator = np.random.default_rng(rng)
        draws = Draws(
            **{name: generator.random((size, width)) for name, width in widths(self).items()},
            noise=generator.standard_normal((size, self.length)),
        )
        return compose(np, self, draws, self.frequencies(), self.fixed_table() if table is None else table)


@dataclass(frozen=True)
class Tokens(Generic[A]):
    """What a model sees, each of shape (B, N).

    Attributes
    ----------
    kind : int
        0 plain, 1 binding, 2 query.
    key : int
        1..K recurring, above that novel; 0 at plain tokens.
    value : int
        1..V at bindings; 0 elsewhere.
    signal : float
        v_{t−1}.
    gap : float
        Δτ_t, time since the last token.
    """

    kind: A
    key: A
    value: A
    signal: A
    gap: A


@dataclass(frozen=True)
class Batch(Generic[A]):
    """Streams and what is asked of a model.

    Each of shape (B, N).

    Attributes
    ----------
    tokens : Tokens
    answer : int
        1..V at queries; 0 elsewhere.
    target : float
        v_t.
    pattern : int
        1..K at queries for a recurring key; 0 elsewhere.
    """

    tokens: Tokens[A]
    answer: A
    target: A
    pattern: A


@dataclass(frozen=True)
class Draws(Generic[A]):
    """The randomness of a batch.

    Uniform on [0, 1) (see :func:`widths`), but for ``noise``, which is normal.
    """

    places: A
    gap: A
    recurring: A
    pattern: A
    novel: A
    leak: A
    value: A
    noise: A


def widths(task: SRCD) -> dict[str, int]:
    """Uniform draws that a stream takes, by their use.

    Those for the values stand apart: two tasks that differ in their values only have the same streams otherwise.
    """
    asked = task.length - task.patterns if task.layout == "header" else task.queries
    return {
        "places": task.length,
        "gap": task.length,
        "recurring": asked,
        "pattern": asked,
        "novel": task.novel_keys,
        "leak": task.length,
        "value": task.keys,
    }


def compose(xp: Any, task: SRCD, draws: Draws[Any], frequencies: Any, fixed: Any) -> Batch[Any]:
    """Make streams out of random numbers.

    The one definition of the task, for numpy and for torch.

    Parameters
    ----------
    xp : module
        ``numpy`` or ``torch``.
    task : SRCD
    draws : Draws
    frequencies : array of float, shape (K,)
        As :meth:`SRCD.frequencies`.
    fixed : array of int, shape (K,)
        As :meth:`SRCD.fixed_table`.

    Returns
    -------
    Batch
        Arrays of the library's own kind, shape (B, N).
    """
    place = _header if task.layout == "header" else _interleaved
    kind, key = place(xp, task, draws, xp.cumsum(frequencies, 0))

    table = xp.clip(xp.asarray(xp.floor(draws.value * task.values), dtype=xp.int64), 0, task.values - 1) + 1
    if task.table == "fixed":
        table[:, : task.patterns] = fixed
    # With a column for "no key" in front, a key is the place of its value.
    shown = xp.concatenate([xp.zeros_like(table[:, :1]), table], 1)[_rows(xp, key), key]
    answer = xp.where(kind == QUERY, shown, 0)
    visible = (kind == BINDING) | ((kind == QUERY) & (draws.leak < task.leak))

    gap = (1.0 - draws.gap) ** (-1.0 / task.gap_shape) - (1.0 if task.gap == "lomax" else 0.0)
    gap = xp.clip(gap, 0.0, task.gap_clip)
    target = recurrence(xp, task.beta * xp.sin(task.omega * gap) + task.noise * draws.noise, task.dynamics)
    tokens = Tokens(kind, key, xp.where(visible, shown, 0), _delayed(xp, target, 1), gap)
    return Batch(tokens, answer, target, xp.where((kind == QUERY) & (key <= task.patterns), key, 0))


def recurrence(xp: Any, u: Any, a: float) -> Any:
    """Linear recurrence in log₂N steps.

    v_t = a·v_{t−1} + u_t from v_{−1} = 0, along the second axis: sums over 2^j terms are doubled.

    Examples
    --------
    >>> recurrence(np, np.array([[1.0, 0.0, 0.0, 2.0]]), 0.5)
    array([[1.   , 0.5  , 0.25 , 2.125]])
    """
    shift = 1
    while shift < u.shape[1] and a**shift > 1e-20:
        u = u + a**shift * _delayed(xp, u, shift)
        shift *= 2
    return u


def _interleaved(xp: Any, task: SRCD, draws: Draws[Any], cumulative: Any) -> tuple[Any, Any]:
    """Distinct places in random pairs.

    2⌊fN⌋ of them: the earlier one of a pair is the binding, the later one its query.
    """
    places = xp.argsort(draws.places)[:, : 2 * task.queries]
    first, second = places[:, : task.queries], places[:, task.queries :]
    novel = xp.argsort(draws.novel)[:, : task.queries] + task.patterns + 1 if task.recurring_fraction < 1 else 0
    wanted = xp.where(draws.recurring < task.recurring_fraction, _drawn(xp, task, draws.pattern, cumulative), novel)
    kind, key = (xp.zeros_like(draws.places, dtype=xp.int64) for _ in range(2))
    rows = _rows(xp, first)
    for positions, what in ((xp.minimum(first, second), BINDING), (xp.maximum(first, second), QUERY)):
        kind[rows, positions] = what
        key[rows, positions] = wanted
    return kind, key


def _header(xp: Any, task: SRCD, draws: Draws[Any], cumulative: Any) -> tuple[Any, Any]:
    """All K bindings first, in random order.

    Then independent queries.
    """
    asked = draws.recurring < task.query_fraction
    wanted = xp.where(asked, _drawn(xp, task, draws.pattern, cumulative), 0)
    table = xp.argsort(draws.places[:, : task.patterns]) + 1
    kind = [xp.zeros_like(table) + BINDING, xp.asarray(asked, dtype=xp.int64) * QUERY]
    return xp.concatenate(kind, 1), xp.concatenate([table, wanted], 1)


def _drawn(xp: Any, task: SRCD, u: Any, cumulative: Any) -> Any:
    """Patterns 1..K for uniform numbers."""
    return xp.clip(xp.searchsorted(cumulative, u, side="right"), 0, task.patterns - 1) + 1


def _rows(xp: Any, like: Any) -> Any:
    """Number of its row for every entry."""
    return xp.cumsum(xp.ones_like(like), 0) - 1


def _delayed(xp: Any, u: Any, shift: int) -> Any:
    """``u`` moved later by ``shift`` positions, zeros first."""
    return xp.concatenate([xp.zeros_like(u[:, :shift]), u[:, :-shift]], 1)


def violations(task: SRCD, batch: Batch[Array]) -> tuple[str, ...]:
    """Invariants of the task that a batch breaks.

    For data from elsewhere, and for tests.

    Parameters
    ----------
    task : SRCD
    batch : Batch of ndarray

    Returns
    -------
    tuple of str
        One sentence each; empty for a sound batch.

    Examples
    --------
    >>> import dataclasses
    >>> task = SRCD(length=64)
    >>> batch = task.sample(1, size=2)
    >>> violations(task, dataclasses.replace(batch, answer=batch.answer * 0))
    ('a query has no answer, or another token has one', 'an answer is not the value bound to its key earlier')
    """
    seen = batch.tokens
    bindings, queries = seen.kind == BINDING, seen.kind == QUERY
    size, n = seen.kind.shape
    # First value and first position of each key in each stream; later bindings must agree.
    bound = np.zeros((size, task.keys + 1), np.int64)
    since = np.full((size, task.keys + 1), n)
    row, at = np.nonzero(bindings)
    np.minimum.at(since, (row, seen.key[row, at]), at)
    bound[row, seen.key[row, at]] = seen.value[row, at]
    # Queries, and how often each key is asked for.
    asked_row, asked_at = np.nonzero(queries)
    asked = seen.key[asked_row, asked_at]
    times = np.zeros_like(bound)
    np.add.at(times, (asked_row, asked), 1)
    exact = task.layout == "interleaved"
    fixed = (seen.key > 0) & (seen.key <= task.patterns) & bindings
    step = batch.target - task.dynamics * seen.signal - task.beta * np.sin(task.omega * seen.gap)
    # One sentence per invariant, and whether it holds.
    tests = {
        "a kind of token is unknown": np.isin(seen.kind, (PLAIN, BINDING, QUERY)).all(),
        "the number of queries or bindings is wrong": (queries.sum(1) == task.queries).all()
        and (bindings.sum(1) == task.queries).all()
        if exact
        else (bindings.sum(1) == task.patterns).all() and bindings[:, : task.patterns].all(),
        "a key stands at a plain token, or is missing elsewhere": ((seen.key > 0) == (seen.kind != PLAIN)).all()
        and (seen.key <= task.keys).all(),
        "a value is shown outside of bindings": task.leak > 0 or ((seen.value > 0) == bindings).all(),
        "a value is out of range": (seen.value <= task.values).all() and (batch.answer <= task.values).all(),
        "a key is bound to two values in one stream": (seen.value == bound[np.arange(size)[:, None], seen.key])[
            bindings
        ].all(),
        "a recurring key has another value than in the table": task.table == "fresh"
        or (seen.value[fixed] == task.fixed_table()[seen.key[fixed] - 1]).all(),
        "a query comes before its key": (since[asked_row, asked] < asked_at).all(),
        "a query has no answer, or another token has one": ((batch.answer > 0) == queries).all(),
        "an answer is not the value bound to its key earlier": (
            batch.answer[asked_row, asked_at] == bound[asked_row, asked]
        ).all(),
        "a novel key is asked for twice in one stream": (times[:, task.patterns + 1 :] <= 1).all(),
        "recurring queries are marked wrongly": (
            batch.pattern == np.where(queries & (seen.key <= task.patterns), seen.key, 0)
        ).all(),
        "a gap is out of range": ((seen.gap >= (task.gap == "pareto")) & (seen.gap <= task.gap_clip)).all(),
        "the signal is not the last target": (seen.signal[:, 1:] == batch.target[:, :-1]).all()
        and (seen.signal[:, 0] == 0).all(),
        "the dynamics are not those of the task": (np.abs(step) <= 8 * task.noise + 1e-4).all(),
        "a number is not finite": all(
            np.isfinite(getattr(part, f.name)).all()
            for part in (seen, batch)
            for f in fields(part)
            if f.name != "tokens"
        ),
    }
    return tuple(name for name, holds in tests.items() if not holds)

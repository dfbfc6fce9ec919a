"""Streams of bindings and queries as vectors.

What a policy sees of them, and the three laws they are drawn from.

A stream has plain tokens, *bindings* (a key and its value) and *queries* (a key; its value is asked for), as in SRCD
(:mod:`theory.tasks.srcd`). The values are fresh in every stream, so a stream is the unit of every interval and test.
Tokens become the query, key and value vectors of an attention layer with several heads by fixed embeddings: the keys
are split among the heads, and a head can tell those of its own share only. Policies see these vectors and never an
answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError, nearest
from theory.tasks.retrieval import redrawn
from theory.tasks.srcd import BINDING, PLAIN, QUERY, SRCD

Array = NDArray[Any]

HEADS = 4
LONGEST = 1024
"""Tokens in the longest stream."""

_WIDTH = 32  # coordinates of a head for the content of a token; one more tells bindings
_SEEKING = 0.7  # that coordinate, for queries (what they seek) and bindings
SHARPNESS = 12.0
LEAST_MATCH = 1.15  # a match scores 1 + 0.49, another binding about 0.49 ± 0.18
_FREQUENCY = 3.0  # of the features of plain tokens


@dataclass(frozen=True)
class Setting:
    """What the streams are like.

    Attributes
    ----------
    length : int
        N, tokens in a stream.
    patterns : int
        K, recurring keys.
    values : int
        V.
    query_fraction : float
        f, share of the tokens that are queries (law ``recurrent``: at most).
    recurring : float
        Share of the queries, or of the bindings, that concern recurring keys (laws ``mix`` and ``recurrent``).
    zipf : float
        Exponent of the frequencies of the recurring keys.
    interval : int
        Median time between two queries for a recurring key (law ``recurrent``).
    redraw : float
        ρ, probability that the value of a key is drawn anew before a token (:class:`Drift`).

    Raises
    ------
    InputError
        If there is no such stream.

    Examples
    --------
    >>> Setting(length=128).budget(0.25)
    32
    """

    length: int = 256
    patterns: int = 48
    values: int = 16
    query_fraction: float = 0.125
    recurring: float = 0.7
    zipf: float = 1.0
    interval: int = 40
    redraw: float = 0.0

    def __post_init__(self) -> None:
        if not 64 <= self.length <= LONGEST:
            raise InputError(f"`length={self.length}` tokens in a stream", hint=f"use 64 to {LONGEST}")
        self._check("patterns", 8, self.length // 2, f"recurring keys in {self.length} tokens")
        self._check("values", 2, 256, "values")
        self._check("query_fraction", 0.02, 0.4, "as the share of queries")
        self._check("recurring", 0, 1, "as the recurring share")
        self._check("zipf", 0, 4, "as the exponent of Zipf's law")
        self._check("redraw", 0, 1, "as the rate at which values are redrawn")

    def _check(self, name: str, least: float, most: float, what: str) -> None:
        """Refuse a number that is out of range."""
        value = getattr(self, name)
        if not least <= value <= most:
            raise InputError(f"`{name}={value}` {what}", hint=f"use {least} to {most}")

    def check_interval(self) -> None:
        """Refuse an interval between queries that the streams cannot show.

        Only the law ``recurrent`` has one, so settings for the others may leave it as it is.

        Raises
        ------
        InputError
        """
        self._check("interval", 4, self.length // 2, f"as the interval between queries in {self.length} tokens")

    def budget(self, share: float) -> int:
        """Tokens in a share of the stream, at least 4."""
        return max(4, round(share * self.length))


@dataclass(frozen=True)
class Drift:
    """Values that change while a stream goes by.

    As T9 assumes: before each token but the first, the value of each key is drawn anew with probability ρ, uniformly on
    all V, independently of everything. Nothing in the stream says so. Attention reads what is bound to a key *now*, at
    whatever token the binding was shown; what a policy took from that token on its arrival is as it was then.

    Attributes
    ----------
    value : ndarray of int, shape (B, N, keys + 1)
        Value of each key when a token comes.
    redrawn : ndarray of bool, shape (B, N, keys + 1)
        Whether it was drawn anew just before.
    """

    value: Array
    redrawn: Array


@dataclass(frozen=True)
class Streams:
    """A batch of streams as symbols.

    Each array of shape (B, N).

    Attributes
    ----------
    kind, key, value : ndarray of int
        As in :class:`theory.tasks.srcd.Tokens`; a value is shown at bindings, and at queries that are labelled
        afterwards.
    answer : ndarray of int
        1..V at queries, 0 elsewhere. Policies do not see it.
    local : ndarray of float, shape (B, N, 2)
        Signal and logarithm of the time gap, which all tokens have.
    values : int
        V.
    law : tuple of float or None
        Probabilities of the keys where queries are independent of each other and of the past (the condition of T2).
    drift : Drift or None
        How values change; None where they do not.
    """

    kind: Array
    key: Array
    value: Array
    answer: Array
    local: Array
    values: int
    law: tuple[float, ...] | None = None
    drift: Drift | None = None

    @property
    def size(self) -> int:
        """Number of streams, B."""
        return int(self.key.shape[0])

    @property
    def length(self) -> int:
        """Number of tokens, N."""
        return int(self.key.shape[1])

    def chosen(self, rows: Array) -> Streams:
        """Some of the streams."""
        drift = None if self.drift is None else Drift(self.drift.value[rows], self.drift.redrawn[rows])
        return replace(replace(self, drift=None)._with(lambda name: getattr(self, name)[rows]), drift=drift)

    def followed_by(self, other: Streams, at: int) -> Streams:
        """These streams up to a token, then others."""
        rest = other.chosen(np.arange(self.size) % other.size)
        return self._with(lambda name: np.concatenate([getattr(self, name)[:, :at], getattr(rest, name)[:, at:]], 1))

    @classmethod
    def together(cls, batches: Sequence[Streams]) -> Streams:
        """Streams of several laws as one batch without law."""
        first = batches[0]
        joined = first._with(lambda name: np.concatenate([getattr(batch, name) for batch in batches]))
        return replace(joined, law=None)

    def _with(self, array: Callable[[str], Array]) -> Streams:
        """With other arrays, by name."""
        if self.drift is not None:
            raise InputError("interventions need values that stay", hint="draw the streams with redraw=0")
        kind, key, value, answer, local = map(array, ("kind", "key", "value", "answer", "local"))
        return replace(self, kind=kind, key=key, value=value, answer=answer, local=local)

    def labelled(self) -> Streams:
        """The same streams with answers shown after queries.

        Labels, as in supervised training. Where values change, a label stays what it was.
        """
        return replace(self, value=np.where(self.kind == QUERY, self.answer, self.value))

    def revalued(self, key: Array, shift: Array) -> Streams:
        """The same streams with one key's value changed.

        In each stream, cyclically.

        Parameters
        ----------
        key, shift : ndarray of int, shape (B,)
        """
        hit = (self.key == key[:, None]) & (self.key > 0)

        def moved(v: Array) -> Array:
            return np.where(hit & (v > 0), (v - 1 + shift[:, None]) % self.values + 1, v)

        changed = {"value": moved(self.value), "answer": moved(self.answer)}
        return self._with(lambda name: changed.get(name, getattr(self, name)))


def drifting(streams: Streams, rate: float, rng: np.random.Generator) -> Streams:
    """Let the values of streams change (:class:`Drift`).

    Keys, kinds and places stay; a value that is shown or asked for is the one of its moment.

    Parameters
    ----------
    streams : Streams
        With values that stay.
    rate : float
        ρ; at 0 the same streams are returned, and nothing is drawn.
    rng : numpy Generator

    Returns
    -------
    Streams

    Examples
    --------
    >>> streams = LAWS["mix"](Setting(length=96, patterns=8), np.random.default_rng(0), 2)
    >>> drifting(streams, 0.0, np.random.default_rng(1)) is streams
    True
    >>> moved = drifting(streams, 0.5, np.random.default_rng(1))
    >>> bool((moved.key == streams.key).all()), bool((moved.value == streams.value).all())
    (True, False)
    """
    if rate == 0:
        return streams
    rows, (size, length), keys = np.arange(streams.size)[:, None], streams.key.shape, int(streams.key.max()) + 1
    table = rng.integers(1, streams.values + 1, (size, keys))
    for shown in (streams.value, streams.answer):  # every key has one value until now
        stream, token = np.nonzero(shown)
        table[stream, streams.key[stream, token]] = shown[stream, token]
    value, where = np.empty((size, length, keys), table.dtype), np.zeros((size, length, keys), bool)
    value[:, 0] = table
    for t in range(1, length):
        value[:, t], where[:, t] = redrawn(value[:, t - 1], rate, streams.values, rng)
    now = value[rows, np.arange(length), streams.key]
    return replace(
        streams,
        value=np.where(streams.value > 0, now, 0),
        answer=np.where(streams.answer > 0, now, 0),
        drift=Drift(value, where),
    )


def first_queries(streams: Streams) -> tuple[Array, Array]:
    """First queries for each key and value.

    Where values change, for its epoch: since the value was last drawn anew (T9).

    Parameters
    ----------
    streams : Streams

    Returns
    -------
    first : ndarray of bool, shape (B, N)
    untold : ndarray of bool, shape (B, N)
        Those of them before which no token showed the value on its arrival: nobody can know it without reading.

    Examples
    --------
    >>> streams = LAWS["independent"](Setting(length=96, patterns=8), np.random.default_rng(0), 4)
    >>> first, untold = first_queries(streams)
    >>> len(np.unique(streams.key[0][streams.kind[0] == QUERY])) == int(first[0].sum())
    True
    >>> int(untold.sum())  # the header shows all values
    0
    """
    rows, (size, length) = np.arange(streams.size), streams.key.shape
    asked, told = (np.zeros((size, int(streams.key.max()) + 1), bool) for _ in range(2))
    first, untold = (np.zeros((size, length), bool) for _ in range(2))
    for t in range(length):
        if streams.drift is not None:
            for known in (asked, told):
                known &= ~streams.drift.redrawn[:, t]
        at, is_query = (rows, streams.key[:, t]), streams.kind[:, t] == QUERY
        first[:, t] = is_query & ~asked[at]
        untold[:, t] = first[:, t] & ~told[at]
        asked[at] |= is_query
        told[at] |= streams.value[:, t] > 0  # a label comes after its query
    return first, untold


@dataclass(frozen=True, eq=False)
class Vectors:
    """What a policy sees.

    At token t it may use queries and keys up to t, and values before t: the value of a token enters the layer with it,
    that of a labelled query after its answer. A test intervenes on the future and checks that nothing before changes.

    Attributes
    ----------
    query, key : ndarray of float, shape (B, H, N, d)
        The last coordinate says "seeks a binding" and "is a binding".
    value : ndarray of float, shape (B, N, m)
        ±1/√m where a value is shown, 0 elsewhere.
    codes : ndarray of float, shape (V, m)
        Vector of each value; they are orthogonal.
    symbol : ndarray of int, shape (B, N)
        Number of kind and key of each token.
    """

    query: Array
    key: Array
    value: Array
    codes: Array
    symbol: Array

    @property
    def shape(self) -> tuple[int, int, int]:
        """B, H and N."""
        size, heads, length, _ = self.key.shape
        return size, heads, length

    @cached_property
    def logits(self) -> Array:
        """Scores of attention, shape (N, B, H, N).

        Token, stream, head, earlier token.
        """
        scores = np.float32(SHARPNESS) * (self.query @ self.key.swapaxes(-1, -2))
        return np.ascontiguousarray(np.moveaxis(scores, 2, 0))

    def attention(self, t: int, mask: Array) -> tuple[Array, Array]:
        """Weights of the tokens attended to by token t.

        And how far each head has found a match.

        Parameters
        ----------
        t : int
        mask : ndarray of bool, broadcast to shape (B, H, t)

        Returns
        -------
        weights : ndarray, shape (B, H, t)
            Summing to 1 in heads that attend, 0 in others.
        found : ndarray, shape (B, H, 1)
            Share that a null token with a score between match and no match leaves to the others.
        """
        scores = np.where(mask, self.logits[t, :, :, :t], np.float32(-np.inf))
        top = np.maximum(scores.max(-1, keepdims=True), np.float32(-1e30))
        weights = np.exp(scores - top)
        total = weights.sum(-1, keepdims=True)
        match = total / (total + np.exp(np.clip(SHARPNESS * LEAST_MATCH - top, -80, 80)))
        return weights / np.maximum(total, 1e-30), np.where(total > 0, match, 0)

    @cached_property
    def demand(self) -> Array:
        """Attention that each token receives from later ones.

        Those that seek a binding and find a match, shape (B, H, N).

        Under full attention; it stands for the loss, which is at queries only. Made from vectors alone; policies that
        learn are trained on it, on streams of their own.
        """
        size, heads, length = self.shape
        total = np.zeros((size, heads, length), np.float32)
        for t in range(1, length):
            weights, match = self.attention(t, np.ones((1, 1, t), bool))
            total[:, :, :t] += weights * match * self.seeking(t)[:, None, None]
        return total

    def seeking(self, t: int) -> Array:
        """Whether token t seeks a binding.

        By its query vector; shape (B,).
        """
        return np.asarray(self.query[:, 0, t, -1] > _SEEKING / 2)

    def binding(self) -> Array:
        """Whether a token's key vector marks a binding.

        Shape (B, N).
        """
        return np.asarray(self.key[:, 0, :, -1] > _SEEKING / 2)


def embed(streams: Streams, seed: int = 0) -> Vectors:
    """Turn symbols into vectors by fixed embeddings.

    Keys are random unit vectors in the head that can tell them (key modulo H) and zero in the others; plain tokens are
    Fourier features of signal and gap in all heads; values are rows of a Hadamard matrix.

    Parameters
    ----------
    streams : Streams
    seed : int
        Draws the embeddings; one seed is one model.

    Returns
    -------
    Vectors

    Examples
    --------
    >>> streams = LAWS["mix"](Setting(length=96, patterns=8), np.random.default_rng(0), 2)
    >>> embed(streams).query.shape
    (2, 4, 96, 33)
    """
    rng = np.random.default_rng([seed, 7])
    keys = int(streams.key.max()) + 1
    # One generator per key, so that a key has the same vector in streams with more keys than these.
    table = np.stack([np.random.default_rng([seed, k]).standard_normal(_WIDTH) for k in range(keys)])
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    weights, phase = rng.standard_normal((HEADS, 2, _WIDTH)) * _FREQUENCY, rng.random((HEADS, 1, _WIDTH)) * 2 * np.pi
    waves = np.cos(np.einsum("bnj,hjd->bhnd", streams.local, weights) + phase) * np.sqrt(2 / _WIDTH)
    own = (streams.key % HEADS)[:, None] == np.arange(HEADS)[None, :, None]
    plain = (streams.kind == PLAIN)[:, None, :, None]
    content = np.where(plain, waves, table[streams.key][:, None] * own[..., None])

    def marked(kind: int) -> Array:
        mark = np.where(streams.kind == kind, _SEEKING, 0.0)[:, None, :, None]
        return np.concatenate([content, np.broadcast_to(mark, (*content.shape[:3], 1))], 3).astype(np.float32)

    codes = _hadamard(streams.values)
    shown = np.concatenate([np.zeros_like(codes[:1]), codes])[streams.value]
    return Vectors(marked(QUERY), marked(BINDING), shown, codes, streams.key * 3 + streams.kind)


def _hadamard(values: int) -> Array:
    size = 1 << (values - 1).bit_length()
    both = np.arange(values)[:, None] & np.arange(size)
    parity = np.array([[bin(x).count("1") % 2 for x in row] for row in both.tolist()])
    return np.asarray((1 - 2 * parity) / np.sqrt(size), np.float32)


# -------------------------------------------------------------------------------------------------------------- laws


def _task(setting: Setting, **fields: Any) -> SRCD:
    return SRCD(
        length=setting.length,
        patterns=setting.patterns,
        values=setting.values,
        zipf=float(setting.zipf),
        table="fresh",
        novel_keys=setting.length // 2,
        **fields,
    )


def mix(setting: Setting, rng: np.random.Generator, size: int) -> Streams:
    """SRCD with fresh values.

    Every query has a binding of its own; recurring keys by Zipf's law, or novel ones.
    """
    task = _task(setting, query_fraction=setting.query_fraction, recurring_fraction=float(setting.recurring))
    return drifting(_of_srcd(task, rng, size), setting.redraw, rng)


def independent(setting: Setting, rng: np.random.Generator, size: int) -> Streams:
    """SRCD with a header of all K bindings.

    Then queries drawn independently by Zipf's law, at twice the rate.
    """
    rate = min(0.5, 2 * setting.query_fraction)
    task = _task(setting, query_fraction=rate, recurring_fraction=1.0, layout="header")
    streams = replace(_of_srcd(task, rng, size), law=tuple(task.frequencies().tolist()))
    return drifting(streams, setting.redraw, rng)


def recurrent(setting: Setting, rng: np.random.Generator, size: int, keys: Array | None = None) -> Streams:
    """Keys bound once and asked for repeatedly.

    Each at an interval of its own, among novel ones.

    A recurring key is asked for whenever its interval is over (times 0.9 to 1.1); the intervals are log-uniform between
    half and twice the setting's, the frequent ones first. Novel keys are bound and never asked for.

    Parameters
    ----------
    setting : Setting
    rng : numpy Generator
    size : int
    keys : ndarray of int, shape (B, m), optional
        The recurring keys of each stream; by default an eighth of K, drawn anew for each.

    Raises
    ------
    InputError
        If the interval is shorter than 4 tokens, or longer than half a stream.
    """
    setting.check_interval()
    count = max(1, setting.patterns // 8)
    if keys is None:
        keys = rng.random((size, setting.patterns)).argsort(1)[:, :count] + 1
    rows, count, n = np.arange(size), keys.shape[1], setting.length
    interval = setting.interval * 2.0 ** rng.uniform(-1, 1, (size, count))
    due = rng.uniform(1, setting.interval, (size, count))
    bound = np.zeros((size, count), bool)
    kind, key, value, answer = (np.zeros((size, n), np.int64) for _ in range(4))
    table = rng.integers(1, setting.values + 1, (size, count))
    free, other = rng.random((size, n)), rng.integers(1, setting.values + 1, (size, n))
    novel = rng.random((size, n)).argsort(1) + setting.patterns + 1
    binds = setting.query_fraction * (1 - setting.recurring)
    for t in range(n):
        late = t - due
        k = late.argmax(1)
        now = late[rows, k] >= 0
        first, again = now & ~bound[rows, k], now & bound[rows, k]
        distractor = ~now & (free[:, t] < binds)
        kind[:, t] = np.where(first | distractor, BINDING, np.where(again, QUERY, PLAIN))
        key[:, t] = np.where(now, keys[rows, k], np.where(distractor, novel[:, t], 0))
        value[:, t] = np.where(first, table[rows, k], np.where(distractor, other[:, t], 0))
        answer[:, t] = np.where(again, table[rows, k], 0)
        bound[rows[now], k[now]] = True
        due[rows[now], k[now]] = t + interval[rows[now], k[now]] * rng.uniform(0.9, 1.1, int(now.sum()))
    streams = Streams(kind, key, value, answer, rng.standard_normal((size, n, 2)), setting.values)
    return drifting(streams, setting.redraw, rng)


def _of_srcd(task: SRCD, rng: np.random.Generator, size: int) -> Streams:
    batch = task.sample(rng, size)
    seen = batch.tokens
    local = np.stack([seen.signal, np.log(np.maximum(seen.gap, 1e-9))], -1)
    return Streams(seen.kind, seen.key, seen.value, batch.answer, local, task.values)


Law = Callable[[Setting, np.random.Generator, int], Streams]

LAWS: dict[str, Law] = {"mix": mix, "independent": independent, "recurrent": recurrent}
"""Name -> law of the streams."""


def law(name: str) -> Law:
    """Law by name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in LAWS:
        raise InputError(f"no streams '{name}'", hint=nearest(name, LAWS))
    return LAWS[name]

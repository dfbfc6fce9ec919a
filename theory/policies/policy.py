"""The interface of a policy, and how it is played.

What is kept, attended to, carried and answered, and what it costs.

A layer with H heads reads the tokens that the policy attends to, each head by softmax over query and key vectors; the
values read and what the policy recalls from its carried state are added, and the nearest value is the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from theory.policies.parameters import Range, check_ranges
from theory.policies.streams import LONGEST, Array, Streams, Vectors
from theory.tasks.srcd import BINDING, QUERY

LEAST_SIGNAL = 0.05
"""Evidence for a value up to here counts as none, and the answer is a coin's."""


class Policy:
    """Base of all policies.

    It attends to nothing, keeps everything, recalls nothing.

    A policy is a dataclass whose fields are the parameters that its source names. It is played on many streams at once.
    Masks are over the tokens before t and broadcast to shape (B, H, t).

    Attributes
    ----------
    RANGES : Mapping
        Field -> the numbers it may be (:mod:`theory.policies.parameters`); sinks mean the same in all policies.
    """

    RANGES: ClassVar[Mapping[str, Range]] = {"sinks": Range(0, LONGEST, in_stream=True)}

    def __post_init__(self) -> None:
        check_ranges(self)

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Start on these streams.

        Parameters
        ----------
        seen : Vectors
        budget : int
            Tokens that a token may attend to, on average over the heads; a policy of bounded state makes that the width
            of its state.
        rng : numpy Generator
        training : Vectors
            Other streams of the same law, for policies that learn or calibrate.
        """
        self.seen, self.budget, self.rng = seen, budget, rng

    def attend(self, t: int) -> Array | None:
        """Tokens that token t attends to.

        None where no attention is executed at all.
        """
        return None

    def kept(self, t: int) -> Array | None:
        """Tokens that are still held when token t comes.

        None for all of them.
        """
        return None

    def recall(self, t: int) -> Array | None:
        """Answer of the carried state without attention.

        To token t, shape (B, m); None for nothing.
        """
        return None

    def observe(self, t: int, weights: Array, output: Array) -> None:
        """See what attention returned at token t.

        Weights (B, H, t), output (B, m). States are written here.
        """

    def carried(self) -> dict[str, Array]:
        """Arrays, first axis streams, from which :meth:`recall` answers."""
        return {}

    def memory_bits(self) -> float:
        """Size of :meth:`carried` in bits, per stream."""
        return 0.0

    def score_bits(self) -> float:
        """Bits of bookkeeping per stream.

        They choose tokens but answer nothing.
        """
        return 0.0

    def compared(self, t: int) -> float:
        """Vectors that token t is compared with.

        Per head, in order to choose tokens; beyond those attended to.
        """
        return 0.0


Disturb = Callable[[int, Array, Array], tuple[Array, Array]]
"""``disturb(t, weights, output)``: what :meth:`Policy.observe` gets instead of what attention returned."""


@dataclass(frozen=True)
class Played:
    """What happened, arrays of shape (B, N) unless said otherwise.

    Attributes
    ----------
    query : ndarray of bool
        Where a value is asked for.
    tokens : ndarray of float
        Tokens attended to, mean over heads.
    rows : ndarray of float
        Share of the heads in which attention was executed.
    read : ndarray of bool
        Queries at which a token that shows the value asked for was attended to by any head.
    wrong : ndarray of bool
        Queries answered wrongly.
    unrevealed : ndarray of bool
        Queries whose key was never read before.
    answers : ndarray of int
        Answers 1..V at all tokens.
    distinct : ndarray of int, shape (B,)
        Keys asked for.
    kept : int
        Most tokens held at a time, in any head; the stream's length where nothing is ever dropped.
    held : ndarray of float
        Share of the heads in which a token is held at the end.
    memory_bits, score_bits, compared : float
        Of the policy; ``compared`` per token.
    selection : ndarray of bool, shape (N, B, H, N), or None
        Tokens attended to, where it was asked for.
    signal : ndarray of float, shape (N, B, V), or None
        Evidence for each value, likewise.
    """

    query: Array
    tokens: Array
    rows: Array
    read: Array
    wrong: Array
    unrevealed: Array
    answers: Array
    distinct: Array
    kept: int
    held: Array
    memory_bits: float
    score_bits: float
    compared: float
    selection: Array | None = None
    signal: Array | None = None

    @property
    def full(self) -> float:
        """Tokens that full attention attends to.

        Per token after the first.
        """
        return float(self.query.shape[1]) / 2

    def per_query(self, what: Array) -> Array:
        """Mean over the queries of each stream.

        Of those that have any, shape (≤ B,).
        """
        count = self.query.sum(1)
        return np.asarray((what * self.query).sum(1)[count > 0] / count[count > 0])


def play(
    policy: Policy,
    streams: Streams,
    budget: int,
    *,
    training: Streams,
    seen: Vectors | None = None,
    trained_on: Vectors | None = None,
    seed: int = 0,
    disturb: Disturb | None = None,
    swap_at: int | None = None,
    record: bool = False,
) -> Played:
    """Play a policy on a batch of streams.

    Parameters
    ----------
    policy : Policy
    streams : Streams
    budget : int
        Tokens.
    training : Streams
        Other streams, for policies that learn.
    seen, trained_on : Vectors, optional
        The two as vectors, where they have been made already.
    seed : int
        Of the policy's coins and the guesses.
    disturb : callable, optional
        Changes what the policy observes of its attention.
    swap_at : int, optional
        Before this token every stream is given the carried state of its neighbour.
    record : bool
        Whether to return which tokens were attended to.

    Returns
    -------
    Played
    """
    from theory.policies.streams import embed

    seen = embed(streams) if seen is None else seen
    trained_on = embed(training) if trained_on is None else trained_on
    size, _, length = seen.shape
    coins = np.random.default_rng([seed, 1]).integers(1, streams.values + 1, (size, length))
    policy.begin(seen, budget, np.random.default_rng([seed, 2]), trained_on)
    playthrough = _Playthrough(policy, streams, seen, coins, record=record)
    for t in range(length):
        if t == swap_at:
            for array in policy.carried().values():
                array[:] = np.roll(array, 1, axis=0)
        playthrough.redraw(t)
        # decide first: neither may depend on what this token shows
        mask, recalled = policy.attend(t) if t else None, policy.recall(t)
        weights, output = playthrough.read(t, mask)
        playthrough.answer(t, output if recalled is None else output + recalled)
        policy.observe(t, *((weights, output) if disturb is None else disturb(t, weights, output)))
        playthrough.hold(t, policy.kept(t + 1))
    return playthrough.played()


class _Playthrough:
    """Record of what a policy does, token by token.

    On a batch of streams.
    """

    def __init__(self, policy: Policy, streams: Streams, seen: Vectors, coins: Array, *, record: bool) -> None:
        size, heads, length = seen.shape
        self.policy, self.streams, self.seen, self.coins = policy, streams, seen, coins
        self.is_query = streams.kind == QUERY
        # one entry per stream and token
        self.tokens, self.rows = np.zeros((size, length)), np.zeros((size, length))
        self.is_read, self.is_unrevealed = np.zeros((size, length), bool), np.zeros((size, length), bool)
        self.answers = coins.copy()
        # what attention finds at each token now: where values change, not what it showed on its arrival
        self.shows, self.values = streams.value, seen.value
        if streams.drift is not None:
            self.shows, self.values = streams.value.copy(), seen.value.copy()
        # what is known so far
        self.revealed = np.zeros((size, int(streams.key.max()) + 1), bool)
        self.most, self.is_dropped, self.compared = 0, False, 0.0
        self.held: Array | None = None
        # details that only interventions ask for
        self.selection = np.zeros((length, size, heads, length), bool) if record else None
        self.signal = np.zeros((length, size, streams.values), np.float32) if record else None
        self._all = np.arange(size)

    def redraw(self, t: int) -> None:
        """Bring bindings up to date that were redrawn."""
        drift, key = self.streams.drift, self.streams.key[:, :t]
        if drift is None or not t:
            return
        is_binding = self.streams.kind[:, :t] == BINDING
        stream, token = np.nonzero(is_binding & np.take_along_axis(drift.redrawn[:, t], key, 1))
        now = drift.value[stream, t, key[stream, token]]
        self.shows[stream, token], self.values[stream, token] = now, self.seen.codes[now - 1]

    def read(self, t: int, mask: Array | None) -> tuple[Array, Array]:
        """Attend to these tokens.

        Returns weights (B, H, t) and output (B, m).
        """
        size, heads, _ = self.seen.shape
        if mask is None:
            nothing = np.zeros((size, self.seen.codes.shape[1]), np.float32)
            return np.zeros((size, heads, t), np.float32), nothing
        weights, match = self.seen.attention(t, mask)
        output = np.einsum("bi,bim->bm", (weights * match).sum(1), self.values[:, :t])
        # costs, and whether a token that shows the value asked for was among them
        chosen = np.broadcast_to(mask, (size, heads, t))
        count = chosen.sum(2)
        self.tokens[:, t], self.rows[:, t] = count.mean(1), (count > 0).mean(1)
        key = self.streams.key
        is_shown = self.shows[:, :t] == self.streams.answer[:, t, None]
        hit = chosen.any(1) & (key[:, :t] == key[:, t, None]) & is_shown
        self.is_read[:, t] = self.is_query[:, t] & hit.any(1)
        if self.selection is not None:
            self.selection[t, :, :, :t] = chosen
        self.compared += self.policy.compared(t)
        return weights, output

    def answer(self, t: int, evidence: Array) -> None:
        """Answer with the nearest value.

        Or with a coin's where there is no evidence.
        """
        signal = evidence @ self.seen.codes.T
        if self.signal is not None:
            self.signal[t] = signal
        best = signal.argmax(1)
        is_clear = signal[self._all, best] > LEAST_SIGNAL
        self.answers[:, t] = np.where(is_clear, best + 1, self.coins[:, t])
        # a key counts as revealed from the query after this one
        key, is_read = self.streams.key[:, t], self.is_read[:, t]
        self.is_unrevealed[:, t] = self.is_query[:, t] & ~self.revealed[self._all, key]
        self.revealed[self._all[is_read], key[is_read]] = True

    def hold(self, t: int, held: Array | None) -> None:
        """Count the tokens that are held after token t."""
        self.held = held
        if held is not None:
            self.is_dropped = True
            size, heads, _ = self.seen.shape
            tokens = np.broadcast_to(held, (size, heads, t + 1)).any(1).sum(1)
            self.most = max(self.most, int(tokens.max()))

    def played(self) -> Played:
        """What happened."""
        size, heads, length = self.seen.shape
        held = np.ones(1) if self.held is None else self.held
        pairs = zip(self.streams.key, self.is_query, strict=True)
        return Played(
            query=self.is_query,
            tokens=self.tokens,
            rows=self.rows,
            read=self.is_read,
            wrong=self.is_query & (self.answers != self.streams.answer),
            unrevealed=self.is_unrevealed,
            answers=self.answers,
            distinct=np.array([np.unique(keys[asked]).size for keys, asked in pairs]),
            kept=self.most if self.is_dropped else length,
            held=np.broadcast_to(held, (size, heads, length)).mean(1),
            memory_bits=self.policy.memory_bits(),
            score_bits=self.policy.score_bits(),
            compared=self.compared / length,
            selection=self.selection,
            signal=self.signal,
        )

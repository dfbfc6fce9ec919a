"""The interface of a policy, and the game: what is kept, attended to, carried and answered, and what it costs.

A layer with H heads reads the tokens that the policy attends to, each head by softmax over query and key vectors; the
values read and what the policy recalls from its carried state are added, and the nearest value is the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from theory.policies.streams import Array, Streams, Vectors
from theory.tasks.srcd import QUERY

_LEAST_SIGNAL = 0.05  # below it nothing was read or recalled, and the answer is a coin's


class Policy:
    """Base of all policies: attends to nothing, keeps everything, recalls nothing.

    A policy is a dataclass whose fields are the parameters that its source names. It is played on many streams at once.
    Masks are over the tokens before t and broadcast to shape (B, H, t).
    """

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
        """Tokens that token t attends to; None where no attention is executed at all."""
        return None

    def kept(self, t: int) -> Array | None:
        """Tokens that are still held when token t comes; None for all of them."""
        return None

    def recall(self, t: int) -> Array | None:
        """What the carried state says to token t without attention, shape (B, m); None for nothing."""
        return None

    def observe(self, t: int, weights: Array, output: Array) -> None:
        """See what attention returned at token t: weights (B, H, t), output (B, m). States are written here."""

    def carried(self) -> dict[str, Array]:
        """Arrays, first axis streams, from which :meth:`recall` answers."""
        return {}

    def memory_bits(self) -> float:
        """Size of :meth:`carried` in bits, per stream."""
        return 0.0

    def score_bits(self) -> float:
        """Bits of bookkeeping that choose tokens but answer nothing, per stream."""
        return 0.0

    def compared(self, t: int) -> float:
        """Vectors that token t is compared with, per head, in order to choose tokens; beyond those attended to."""
        return 0.0


Disturb = Callable[[int, Array, Array], tuple[Array, Array]]
"""``disturb(t, weights, output)``: what the policy is told instead of what attention returned."""


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
    said : ndarray of int
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
    said: Array
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
        """Tokens that full attention attends to, per token after the first."""
        return float(self.query.shape[1]) / 2

    def per_query(self, what: Array) -> Array:
        """Mean over the queries of each stream (those that have any), shape (≤ B,)."""
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
        Changes what the policy is told about its attention.
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
    size, heads, length = seen.shape
    coins = np.random.default_rng([seed, 1]).integers(1, streams.values + 1, (size, length))
    policy.begin(seen, budget, np.random.default_rng([seed, 2]), trained_on)
    asked, shown = streams.kind == QUERY, streams.value > 0
    tokens, rows = np.zeros((size, length)), np.zeros((size, length))
    read, unrevealed, said = np.zeros((size, length), bool), np.zeros((size, length), bool), coins.copy()
    revealed = np.zeros((size, int(streams.key.max()) + 1), bool)
    selection = np.zeros((length, size, heads, length), bool) if record else None
    evidence = np.zeros((length, size, streams.values), np.float32) if record else None
    everyone, most, dropped, compared = np.arange(size), 0, False, 0.0
    nothing = np.zeros((size, seen.codes.shape[1]), np.float32)
    for t in range(length):
        if t == swap_at:
            for array in policy.carried().values():
                array[:] = np.roll(array, 1, axis=0)
        mask, recalled = policy.attend(t) if t else None, policy.recall(t)
        if mask is None:
            weights, output = np.zeros((size, heads, t), np.float32), nothing
        else:
            weights, found = seen.attention(t, mask)
            output = np.einsum("bi,bim->bm", (weights * found).sum(1), seen.value[:, :t])
            chosen = np.broadcast_to(mask, (size, heads, t))
            count = chosen.sum(2)
            tokens[:, t], rows[:, t] = count.mean(1), (count > 0).mean(1)
            hit = chosen.any(1) & (streams.key[:, :t] == streams.key[:, t, None]) & shown[:, :t]
            read[:, t] = asked[:, t] & hit.any(1)
            if selection is not None:
                selection[t, :, :, :t] = chosen
            compared += policy.compared(t)
        signal = (output if recalled is None else output + recalled) @ seen.codes.T
        if evidence is not None:
            evidence[t] = signal
        best = signal.argmax(1)
        said[:, t] = np.where(signal[everyone, best] > _LEAST_SIGNAL, best + 1, coins[:, t])
        unrevealed[:, t] = asked[:, t] & ~revealed[everyone, streams.key[:, t]]
        revealed[everyone[read[:, t]], streams.key[read[:, t], t]] = True
        policy.observe(t, *((weights, output) if disturb is None else disturb(t, weights, output)))
        held = policy.kept(t + 1)
        dropped |= held is not None
        if held is not None:
            most = max(most, int(np.broadcast_to(held, (size, heads, t + 1)).any(1).sum(1).max()))
    final = np.ones(1) if held is None else held
    return Played(
        query=asked,
        tokens=tokens,
        rows=rows,
        read=read,
        wrong=asked & (said != streams.answer),
        unrevealed=unrevealed,
        said=said,
        distinct=np.array([np.unique(k[q]).size for k, q in zip(streams.key, asked, strict=True)]),
        kept=most if dropped else length,
        held=np.broadcast_to(final, (size, heads, length)).mean(1),
        memory_bits=policy.memory_bits(),
        score_bits=policy.score_bits(),
        compared=compared / length,
        selection=selection,
        signal=evidence,
    )

"""Policies that treat heads differently.

Some see everything and others do not, always or token by token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.policies.fixed import sinks_and_recent
from theory.policies.learned import retrieval_heads
from theory.policies.policy import Policy
from theory.policies.streams import LEAST_MATCH, SHARPNESS, Array, Vectors

_LEAST_WINDOW = 8


@dataclass
class DuoAttention(Policy):
    """DuoAttention: retrieval heads and streaming heads.

    Retrieval heads keep everything, streaming heads the sinks and the latest tokens.

    The retrieval heads are those that retrieve most from afar on streams for calibration; there are as many as the
    budget pays for.

    Attributes
    ----------
    sinks : int
        Of the streaming heads.
    """

    sinks: int = 4

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Tell the heads apart."""
        super().begin(seen, budget, rng, training)
        _, heads, length = seen.shape
        count = max(
            c
            for c in range(heads + 1)
            if c == 0 or c * length / 2 + (heads - c) * min(_LEAST_WINDOW, budget) <= budget * heads
        )
        window = (budget * heads - count * length / 2) / max(1, heads - count)
        self._window = max(1, round(window))
        self._retrieval = retrieval_heads(training, count, min(self._window, length // 4))[None, :, None]

    def attend(self, t: int) -> Array | None:
        """Everything or sinks and window, by head."""
        return np.asarray(self._retrieval | sinks_and_recent(t, self.sinks, self._window))

    def kept(self, t: int) -> Array | None:
        """The same."""
        return self.attend(t)


@dataclass
class RazorAttention(DuoAttention):
    """RazorAttention: the same split, and compensation tokens.

    One per streaming head, the mean of keys and values, for what it drops.
    """

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Start without a compensation token."""
        super().begin(seen, budget, rng, training)
        size, heads, _ = seen.shape
        self._keys = np.zeros((size, heads, seen.key.shape[3]), np.float32)
        self._values = np.zeros((size, heads, seen.value.shape[2]), np.float32)
        self._dropped = 0

    def recall(self, t: int) -> Array | None:
        """Answer of the compensation tokens.

        By the same softmax, weighted by the number of tokens they stand for.
        """
        if not self._dropped:
            return None
        mean = self._keys / self._dropped
        score = (self.seen.query[:, :, t] * mean).sum(2)
        weight = self._dropped * np.exp(SHARPNESS * (score - LEAST_MATCH))
        share = np.where(self._retrieval[:, :, 0], 0, weight / (1 + weight))
        return np.asarray((share[:, :, None] * self._values / self._dropped).sum(1))

    def observe(self, t: int, weights: Array, output: Array) -> None:
        """Add the token that leaves the window."""
        gone = t - (self._window - min(self.sinks, self._window // 2))
        if gone >= min(self.sinks, self._window // 2):
            self._keys += self.seen.key[:, :, gone]
            self._values += self.seen.value[:, None, gone]
            self._dropped += 1

    def carried(self) -> dict[str, Array]:
        """The compensation tokens."""
        return {"keys": self._keys, "values": self._values}

    def memory_bits(self) -> float:
        """Bits of a sum of values per streaming head.

        Entries are whole multiples of one number, at most N in size.
        """
        _, heads, length = self.seen.shape
        streaming = heads - int(self._retrieval.sum())
        return float(streaming * self.seen.value.shape[2] * np.log2(2 * length + 1))


@dataclass
class MixtureOfHeads(Policy):
    """Mixture-of-Head attention.

    A router sends every token through its top k heads, which attend to everything.

    The router's score of a head is the strength of the token's query in that head's own coordinates; k is what the
    budget pays for, at least 1, so small budgets are exceeded.
    """

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Route all tokens, each by its own vector."""
        super().begin(seen, budget, rng, training)
        _, heads, length = seen.shape
        count = min(heads, max(1, round(budget * heads / (length / 2))))
        strength = np.square(seen.query[..., :-1]).sum(3)
        order = np.argsort(-strength, axis=1, kind="stable")[:, :count]
        self._active = np.zeros(strength.shape, bool)
        np.put_along_axis(self._active, order, True, axis=1)

    def attend(self, t: int) -> Array | None:
        """Everything, in the token's heads."""
        return np.broadcast_to(self._active[:, :, t, None], (*self._active.shape[:2], t))

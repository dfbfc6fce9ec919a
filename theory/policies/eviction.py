"""Caches of bounded size.

Every token has a score in every head; when the cache is full the token of least score is evicted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from theory.policies.learned import RetentionGate
from theory.policies.parameters import SHARE, Range
from theory.policies.policy import Policy
from theory.policies.streams import Array, Vectors


@dataclass
class Cache(Policy):
    """A cache of bounded size.

    It holds as many tokens per head as the budget; a subclass says how tokens are scored.

    Attributes
    ----------
    sinks : int
        First tokens that are never evicted, as far as the latest ones leave room.
    recent : float
        Share of the cache for the latest tokens, which are not evicted either.
    """

    RANGES: ClassVar[Mapping[str, Range]] = {"recent": SHARE}

    sinks: int = 0
    recent: float = 0.5

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Start with an empty cache."""
        super().begin(seen, budget, rng, training)
        size, heads, length = seen.shape
        self._kept = np.zeros((size, heads, length), bool)
        self._score = np.zeros((size, heads, length), np.float32)

    def attend(self, t: int) -> Array | None:
        """Everything in the cache."""
        return self._kept[:, :, :t]

    def kept(self, t: int) -> Array | None:
        """The cache."""
        return self._kept[:, :, :t]

    def observe(self, t: int, weights: Array, output: Array) -> None:
        """Take the token in, score, evict."""
        self._kept[:, :, t] = True
        self.rate(t, weights)
        self.evict(t, self.budget)

    def rate(self, t: int, weights: Array) -> None:
        """Bring ``_score`` up to date."""
        raise NotImplementedError

    def evict(self, t: int, size: int) -> None:
        """Drop the tokens of least score beyond ``size``."""
        over = t + 1 if t + 1 <= size else int(self._kept[:, :, : t + 1].sum(2).max())
        if t + 1 <= size or over <= size:
            return
        scores = np.where(self._kept[:, :, : t + 1], self._score[:, :, : t + 1], np.inf)
        last = max(1, int(self.recent * size))
        scores[:, :, t + 1 - last :] = np.inf
        scores[:, :, : min(self.sinks, size - last)] = np.inf
        if over == size + 1:
            np.put_along_axis(self._kept, scores.argmin(2)[:, :, None], False, axis=2)
            return
        worst = np.argpartition(scores, over - size - 1, axis=2)[:, :, : over - size]
        np.put_along_axis(self._kept, worst, False, axis=2)

    def score_bits(self) -> float:
        """One 32-bit score per token in the cache."""
        return 32.0 * self.seen.shape[1] * self.budget


@dataclass
class H2O(Cache):
    """Heavy-hitter oracle.

    Keep the tokens with the largest accumulated attention, and the latest ones.
    """

    def rate(self, t: int, weights: Array) -> None:
        """Accumulate attention."""
        self._score[:, :, :t] += weights


@dataclass
class A2SF(Cache):
    """Accumulated attention with forgetting: S_t(i) = Σ_j α^(t−j) A_j(i).

    Attributes
    ----------
    alpha : float
        The forgetting factor; 1 gives H2O.
    """

    RANGES: ClassVar[Mapping[str, Range]] = {"alpha": SHARE}

    recent: float = 0.0
    alpha: float = 0.97

    def rate(self, t: int, weights: Array) -> None:
        """Forget a little, accumulate attention."""
        self._score[:, :, : t + 1] *= self.alpha
        self._score[:, :, :t] += weights


@dataclass
class LazyEviction(Cache):
    """Lagged eviction.

    At the end of every observation window, by time since last use and maximal recurrence interval.

    A token is used when its attention exceeds a threshold; its recurrence intervals are the times between uses. Tokens
    whose last use is long ago, compared with their largest interval so far (at least a window), go first.

    Attributes
    ----------
    window : float
        Observation window W as a share of the budget; within it the cache grows, up to the budget.
    threshold : float
        Attention that counts as use.
    """

    RANGES: ClassVar[Mapping[str, Range]] = {"window": SHARE, "threshold": SHARE}

    recent: float = 0.0
    window: float = 0.25
    threshold: float = 0.1

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Forget uses and intervals."""
        super().begin(seen, budget, rng, training)
        self._window = max(1, round(self.window * budget))
        self._used = np.zeros(self._score.shape, np.float32)
        self._longest = np.full(self._score.shape, float(self._window), np.float32)

    def observe(self, t: int, weights: Array, output: Array) -> None:
        """Track uses and evict at the end of a window.

        So that the next one fits.
        """
        self._kept[:, :, t] = True
        self._used[:, :, t] = t
        use = weights > self.threshold
        self._longest[:, :, :t] = np.where(
            use, np.maximum(self._longest[:, :, :t], t - self._used[:, :, :t]), self._longest[:, :, :t]
        )
        self._used[:, :, :t] = np.where(use, t, self._used[:, :, :t])
        if (t + 1) % self._window == 0:
            self._score[:, :, : t + 1] = -(t - self._used[:, :, : t + 1]) / self._longest[:, :, : t + 1]
            self.evict(t, max(1, self.budget - self._window))

    def score_bits(self) -> float:
        """Last use and longest interval of each token."""
        return 2 * super().score_bits()


@dataclass
class SirLLM(Cache):
    """Keep the tokens of highest entropy.

    Old entropies decay.

    The entropy of a token is its surprise, −log₂ of its probability under a unigram model of the tokens so far.

    Attributes
    ----------
    decay : float
        Factor on all scores at every token.
    """

    RANGES: ClassVar[Mapping[str, Range]] = {"decay": SHARE}

    sinks: int = 4
    recent: float = 0.25
    decay: float = 0.99

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Start without counts."""
        super().begin(seen, budget, rng, training)
        self._counts = np.ones((seen.shape[0], int(seen.symbol.max()) + 1))
        self._rows = np.arange(seen.shape[0])

    def rate(self, t: int, weights: Array) -> None:
        """Let old scores decay, score the token that came."""
        symbol = self.seen.symbol[:, t]
        share = self._counts[self._rows, symbol] / self._counts.sum(1)
        self._counts[self._rows, symbol] += 1
        self._score[:, :, : t + 1] *= self.decay
        self._score[:, :, t] = -np.log2(share)[:, None]

    def score_bits(self) -> float:
        """Scores, and 32-bit counts of the unigram model."""
        return super().score_bits() + 32.0 * self._counts.shape[1]


@dataclass
class AdaptiveRetention(Cache):
    """Adaptive Retention: a learned gate scores every token.

    When it comes; the top M are kept, M the budget.

    m_t = a·m_{t−1} + (1−a)h_t, s_t = vᵀtanh(W h_t + U m_{t−1}) + b, p_t = σ(s_t), trained on other streams by gradient
    steps on the Lagrangian with dual ascent on λ, as in the paper. The loss here is the attention lost with a dropped
    token, which is linear in its gate, so the expectation over gates is exact and needs no relaxation.

    Attributes
    ----------
    momentum : float
        a.
    rate_dual : float
        η of the dual ascent (paper: 0.01), per unit of relative excess over the budget.
    """

    RANGES: ClassVar[Mapping[str, Range]] = {"momentum": SHARE, "rate_dual": Range(0, 100)}

    recent: float = 0.0
    momentum: float = 0.9
    rate_dual: float = 0.01

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Train the gate and score all tokens.

        Each from itself and the past.
        """
        super().begin(seen, budget, rng, training)
        gate = RetentionGate.trained(training, budget, self.momentum, self.rate_dual)
        self._score[:] = gate.score(seen)[:, None]

    def rate(self, t: int, weights: Array) -> None:
        """Scores do not change."""

    def score_bits(self) -> float:
        """Scores, and the running mean m."""
        return super().score_bits() + 32.0 * RetentionGate.WIDTH

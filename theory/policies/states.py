"""Policies that answer from a bounded state.

A window beside linear attention, recurrent attention, a memory that consolidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from theory.policies.fixed import sinks_and_recent
from theory.policies.parameters import POSITIVE, SHARE, Range
from theory.policies.policy import Policy
from theory.policies.streams import Array, Vectors


def signs(seen: Vectors, width: int, seed: int = 0) -> tuple[Array, Array]:
    """±1 features of queries and keys.

    Signs of random projections of all heads' contents, (B, N, width) each.
    """
    size, heads, length, d = seen.key.shape
    projection = np.random.default_rng([seed, 11]).standard_normal((heads * (d - 1), width)).astype(np.float32)

    def features(x: Array) -> Array:
        return np.sign(np.moveaxis(x[..., :-1], 1, 2).reshape(size, length, -1) @ projection)

    return features(seen.query), features(seen.key)


@dataclass
class Based(Policy):
    """BASED: linear attention beside a sliding window.

    In fixed-point numbers; the size of the state dials recall.

    The state is Σ φ(k)vᵀ, φ of as many features as the budget; its entries are whole numbers of a few bits that
    saturate.

    Attributes
    ----------
    window : float
        Sliding window as a share of the budget.
    precision : int
        Bits of an entry.
    """

    # an entry has a sign and at least one more bit, and is stored in eight
    RANGES: ClassVar[Mapping[str, Range]] = {"window": SHARE, "precision": Range(2, 8)}

    window: float = 0.25
    precision: int = 4

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Start with an empty state."""
        super().begin(seen, budget, rng, training)
        self._query, self._key = signs(seen, budget)
        self._binding = seen.binding()
        self._state = np.zeros((seen.shape[0], budget, seen.value.shape[2]), np.int8)
        self._window = round(self.window * budget)

    def attend(self, t: int) -> Array | None:
        """The window."""
        return sinks_and_recent(t, 0, self._window) if self._window else None

    def kept(self, t: int) -> Array | None:
        """The window."""
        return sinks_and_recent(t, 0, self._window) if self._window else np.zeros((1, 1, t), bool)

    def recall(self, t: int) -> Array | None:
        """Recall φ(q)ᵀ state.

        Scaled so that a single association gives its value.
        """
        read = np.einsum("br,brm->bm", self._query[:, t], self._state.astype(np.float32))
        return np.asarray(read / (self.budget * np.sqrt(self._state.shape[2])))

    def observe(self, t: int, weights: Array, output: Array) -> None:
        """Add the token where it shows a value.

        Within the range of an entry.
        """
        most = 2 ** (self.precision - 1) - 1
        code = np.sign(self.seen.value[:, t])  # ±1, or 0 where nothing is shown
        self._state[:] = np.clip(self._state + self._key[:, t, :, None] * code[:, None], -most, most)

    def carried(self) -> dict[str, Array]:
        """The state."""
        return {"state": self._state}

    def memory_bits(self) -> float:
        """Entries times bits."""
        return float(np.prod(self._state.shape[1:])) * self.precision


@dataclass
class Aaren(Policy):
    """Aaren: attention as a recurrence.

    One *learned* query per head, the same for all tokens, in a running softmax.

    The state is the weighted sum of the values and the sum of the weights. There are as many learned queries as the
    budget; each seeks bindings, and prefers some contents by chance. A token mixes what they found by how well it
    agrees with each.

    Attributes
    ----------
    focus : float
        Sharpness of the softmax.
    """

    # running sums of exp(focus × agreement), which may exceed 3, are 32-bit floats
    RANGES: ClassVar[Mapping[str, Range]] = {"focus": Range(0, 20)}

    focus: float = 4.0

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Draw the queries, start with an empty state."""
        super().begin(seen, budget, rng, training)
        size, heads, length, d = seen.key.shape
        fixed = np.random.default_rng([0, 13]).standard_normal((heads * (d - 1), budget)) / np.sqrt(heads)
        content = np.moveaxis(seen.key[..., :-1], 1, 2).reshape(size, length, -1) @ fixed
        self._weight = np.exp(self.focus * (content / 2 + seen.key[:, 0, :, -1, None])).astype(np.float32)
        self._mix = np.exp(self.focus * np.moveaxis(seen.query[..., :-1], 1, 2).reshape(size, length, -1) @ fixed)
        self._sum = np.zeros((size, budget, seen.value.shape[2]), np.float32)
        self._total = np.full((size, budget, 1), 1e-9, np.float32)

    def kept(self, t: int) -> Array | None:
        """No token."""
        return np.zeros((1, 1, t), bool)

    def recall(self, t: int) -> Array | None:
        """Mixture of the running averages."""
        mix = self._mix[:, t] / self._mix[:, t].sum(1, keepdims=True)
        return np.asarray((mix[:, :, None] * self._sum / self._total).sum(1))

    def observe(self, t: int, weights: Array, output: Array) -> None:
        """Take the token into the running averages."""
        self._sum += self._weight[:, t, :, None] * self.seen.value[:, t, None]
        self._total += self._weight[:, t, :, None]

    def carried(self) -> dict[str, Array]:
        """Sums and weights."""
        return {"sum": self._sum, "total": self._total}

    def memory_bits(self) -> float:
        """32 bits a number."""
        return 32.0 * float(self._sum[0].size + self._total[0].size)


@dataclass
class CRAM(Policy):
    """CRAM: an episodic buffer and a semantic memory.

    The buffer is read unless the semantic memory is expected to know the answer.

    Semantic memory: a linear map W over features of the cue, trained by the consolidation loss ‖W φ(x) − r‖² (Eq. 5) on
    what retrieval r returned, so it learns from attention alone. Quality q = exp(−‖Wφ(x) − r‖²/σ²) (Eq. 6) needs r; the
    router uses its prediction q̂ from the cue, with the nearest value in place of r, and retrieves where q̂ is below a
    threshold. Buffer: bindings; the one of highest quality at its last retrieval goes first, then the oldest (the paper
    leaves writing, eviction and c_i open).

    Attributes
    ----------
    rate : float
        Step of consolidation, in units in which 1 learns at once.
    width : int
        Features of the semantic memory.
    sigma2 : float
        σ².
    threshold : float
        q̂ above which nothing is retrieved.
    """

    # beyond 2 every step of consolidation adds to the error
    RANGES: ClassVar[Mapping[str, Range]] = {
        "rate": Range(0, 2),
        "width": Range(1, 1024),
        "sigma2": POSITIVE,
        "threshold": SHARE,
    }

    rate: float = 0.6
    width: int = 96
    sigma2: float = 0.5
    threshold: float = 0.5

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Start with an empty buffer and semantic memory."""
        super().begin(seen, budget, rng, training)
        size, _, length = seen.shape
        query, _ = signs(seen, self.width)
        self._cue = query / np.sqrt(self.width)
        self._binding = seen.binding()
        self._memory = np.zeros((size, self.width, seen.value.shape[2]), np.float16)
        self._buffer = np.zeros((size, length), bool)
        self._quality = np.zeros((size, length), np.float32)
        self._gate = np.zeros(size, bool)
        self._rows = np.arange(size)

    def attend(self, t: int) -> Array | None:
        """The buffer, where it is needed.

        Where the token seeks a binding and the semantic memory is not expected to know it.
        """
        recalled = self._semantic(t)
        nearest = self.seen.codes[(recalled @ self.seen.codes.T).argmax(1)]
        self._gate = self.seen.seeking(t) & (self._expected(recalled, nearest) < self.threshold)
        return self._buffer[:, None, :t] & self._gate[:, None, None]

    def kept(self, t: int) -> Array | None:
        """The buffer."""
        return self._buffer[:, None, :t]

    def recall(self, t: int) -> Array | None:
        """The semantic memory, where the router chose it."""
        return np.where(self._gate[:, None], 0, self._semantic(t)) if t else None

    def observe(self, t: int, weights: Array, output: Array) -> None:
        """Consolidate what was retrieved, and note its quality.

        Write bindings to the buffer, evict the best known.
        """
        is_retrieved = self._gate & (np.linalg.norm(output, axis=1) > 0.5)
        recalled = self._semantic(t)
        error = np.where(is_retrieved[:, None], output - recalled, 0)
        self._memory[:] = self._memory + self.rate * self._cue[:, t, :, None] * error[:, None]
        if is_retrieved.any():
            hit = weights.sum(1)[is_retrieved].argmax(1)
            self._quality[self._rows[is_retrieved], hit] = self._expected(self._semantic(t), output)[is_retrieved]
        self._buffer[:, t] = self._binding[:, t]
        full = self._buffer[:, : t + 1].sum(1) > self.budget
        if full.any():
            age = 1 - np.arange(t + 1) / (t + 1)
            order = np.where(self._buffer[:, : t + 1], self._quality[:, : t + 1] + 1e-4 * age, -np.inf)
            self._buffer[self._rows[full], order[full].argmax(1)] = False

    def _semantic(self, t: int) -> Array:
        return np.asarray(np.einsum("br,brm->bm", self._cue[:, t], self._memory.astype(np.float32)))

    def _expected(self, recalled: Array, target: Array) -> Array:
        return np.asarray(np.exp(-np.square(recalled - target).sum(1) / self.sigma2))

    def carried(self) -> dict[str, Array]:
        """The semantic memory."""
        return {"memory": self._memory}

    def memory_bits(self) -> float:
        """16 bits a number."""
        return 16.0 * float(self._memory[0].size)

    def score_bits(self) -> float:
        """Quality of each token in the buffer."""
        return 32.0 * self.budget

"""Content-routed policies.

Everything is kept; query and key vectors (or values) choose the tokens attended to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from theory.policies.fixed import top
from theory.policies.learned import mask_gate, mask_scores
from theory.policies.parameters import SHARE, TOKENS, Range
from theory.policies.policy import Policy
from theory.policies.streams import Array, Vectors


@dataclass
class RoutingTransformer(Policy):
    """Routing Transformer: attention within clusters.

    Online k-means over queries and keys; a token attends within its cluster, to the latest tokens there.

    The number of clusters is such that a cluster holds the budget on average.

    Attributes
    ----------
    decay : float
        Factor of the moving average that updates the centroids (paper: 0.999, on far more tokens).
    """

    RANGES: ClassVar[Mapping[str, Range]] = {"decay": SHARE}

    decay: float = 0.99

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Draw centroids from keys of the training streams."""
        super().begin(seen, budget, rng, training)
        size, heads, length = seen.shape
        count = max(1, round(length / 2 / budget))
        pool = np.moveaxis(_unit(training.key), 1, 2).reshape(-1, heads, training.key.shape[3])
        start = pool[rng.integers(0, len(pool), count)]
        self._centroids = np.broadcast_to(np.moveaxis(start, 0, 1), (size, heads, *start[:, 0].shape)).copy()
        self._cluster = np.full((size, heads, length), -1)

    def attend(self, t: int) -> Array | None:
        """The latest tokens of the query's cluster."""
        cluster = self._nearest(_unit(self.seen.query[:, :, t]))
        return _latest(self._cluster[:, :, :t] == cluster[:, :, None], self.budget)

    def observe(self, t: int, weights: Array, output: Array) -> None:
        """Assign the token, and move the centroids.

        Towards its query and key.
        """
        for vector in (_unit(self.seen.query[:, :, t]), _unit(self.seen.key[:, :, t])):
            cluster = self._nearest(vector)
            at = cluster[:, :, None, None]
            old = np.take_along_axis(self._centroids, at, axis=2)
            np.put_along_axis(self._centroids, at, self.decay * old + (1 - self.decay) * vector[:, :, None], axis=2)
        self._cluster[:, :, t] = cluster

    def _nearest(self, vector: Array) -> Array:
        return np.asarray(np.einsum("bhcd,bhd->bhc", self._centroids, vector).argmax(2))

    def score_bits(self) -> float:
        """Centroids, 32 bits a number."""
        return 32.0 * float(np.prod(self._centroids.shape[1:]))

    def compared(self, t: int) -> float:
        """The centroids."""
        return float(self._centroids.shape[2])


@dataclass
class HashBuckets(Policy):
    """Think-in-Memory: attention within buckets of a hash.

    Locality-sensitive hashing by random rotations: the bucket of x is the largest entry of [xR, −xR]. A token attends
    to the latest tokens whose keys have the bucket of its query.

    The number of buckets is even, and such that a bucket holds the budget on average.
    """

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Draw the rotations, and hash all queries and keys.

        Each by itself, so that no token tells anything of another.
        """
        super().begin(seen, budget, rng, training)
        _, heads, length = seen.shape
        columns = max(1, round(length / 4 / budget))
        self._rotation = rng.standard_normal((heads, seen.key.shape[3], columns)).astype(np.float32)
        self._asked, self._held = self.bucket(seen.query), self.bucket(seen.key)

    def bucket(self, vectors: Array) -> Array:
        """Bucket of each vector.

        Shape (B, H, N) for vectors (B, H, N, d).
        """
        turned = vectors @ self._rotation
        return np.asarray(np.concatenate([turned, -turned], 3).argmax(3))

    def attend(self, t: int) -> Array | None:
        """The latest tokens of the query's bucket."""
        return _latest(self._held[:, :, :t] == self._asked[:, :, t, None], self.budget)

    def score_bits(self) -> float:
        """Rotations at 32 bits a number, and buckets of keys."""
        _, heads, length = self.seen.shape
        return 32.0 * self._rotation.size + heads * length * float(np.log2(2 * self._rotation.shape[2]))

    def compared(self, t: int) -> float:
        """The columns of the rotation."""
        return float(self._rotation.shape[2])


@dataclass
class Blocks(Policy):
    """Blocks chosen by a summary vector each.

    Inside of the chosen ones, and of the unfinished last one, all tokens.

    Attributes
    ----------
    block : int
        Tokens in a block; one larger than the budget exceeds it.
    """

    RANGES: ClassVar[Mapping[str, Range]] = {"block": TOKENS}

    block: int = 8

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Summarise all blocks, each from its own tokens.

        A block is used once it is over.
        """
        super().begin(seen, budget, rng, training)
        size, heads, length = seen.shape
        count = length // self.block
        keys = seen.key[:, :, : count * self.block].reshape(size, heads, count, self.block, seen.key.shape[3])
        weights = self.weights(keys)
        self._scores = seen.query @ (weights[..., None] * keys).sum(3).swapaxes(2, 3)

    def weights(self, keys: Array) -> Array:
        """Weights of the tokens of each block in its summary.

        Keys (B, H, blocks, block, d).
        """
        raise NotImplementedError

    def attend(self, t: int) -> Array | None:
        """The best blocks and the unfinished one."""
        size, heads, _ = self.seen.shape
        done = t // self.block
        mask = np.zeros((size, heads, t), bool)
        mask[:, :, done * self.block :] = True
        if done:
            best = top(self._scores[:, :, t, :done], max(1, self.budget // self.block))
            mask[:, :, : done * self.block] = np.repeat(best, self.block, axis=2)
        return mask

    def compared(self, t: int) -> float:
        """The summaries."""
        return float(t // self.block)


@dataclass
class Landmark(Blocks):
    """Landmark attention: a landmark token per block.

    It has attended to the tokens that look like bindings.

    Attributes
    ----------
    focus : float
        Sharpness of that attention; large values give the mean of the bindings of the block.
    """

    # exp(0.7 × focus) is a 32-bit float
    RANGES: ClassVar[Mapping[str, Range]] = {"focus": Range(0, 100)}

    focus: float = 8.0

    def weights(self, keys: Array) -> Array:
        """Softmax over the last coordinate, which says "is a binding"."""
        weights = np.exp(self.focus * keys[..., -1])
        return np.asarray(weights / weights.sum(3, keepdims=True))


@dataclass
class HCAM(Blocks):
    """Hierarchical chunk attention.

    Chunks are chosen by the mean of their keys, then attention inside of them.
    """

    block: int = 16

    def weights(self, keys: Array) -> Array:
        """The mean."""
        return np.full(keys.shape[:-1], 1 / self.block, np.float32)


@dataclass
class HiP(Policy):
    """Hierarchically pruned attention.

    A tree search for the top k tokens, k the budget.

    k ranges cover the past; each is split in two, a half is judged by its first token, the better k halves go on until
    they are single tokens. Neighbours are taken to have alike scores.
    """

    def attend(self, t: int) -> Array | None:
        """The leaves that are found."""
        size, heads, _ = self.seen.shape
        if t <= self.budget:
            return np.ones((1, 1, t), bool)
        edges = np.linspace(0, t, self.budget + 1).astype(np.int64)
        start = np.broadcast_to(edges[:-1], (size, heads, self.budget))
        end = np.broadcast_to(edges[1:], (size, heads, self.budget))
        scores = self.seen.logits[t, :, :, :t]
        for _ in range(self._depth(t)):
            middle = np.maximum(start + 1, (start + end + 1) // 2)
            both, ends = np.concatenate([start, middle], 2), np.concatenate([middle, end], 2)
            judged = np.take_along_axis(scores, np.minimum(both, t - 1), axis=2)
            judged = np.where(ends > both, judged, -np.inf)  # a single token has no second half
            best = np.argpartition(-judged, self.budget - 1, axis=2)[:, :, : self.budget]
            start, end = np.take_along_axis(both, best, axis=2), np.take_along_axis(ends, best, axis=2)
        mask = np.zeros((size, heads, t), bool)
        np.put_along_axis(mask, start, True, axis=2)
        return mask

    def _depth(self, t: int) -> int:
        return int(np.ceil(np.log2(-(-t // self.budget))))

    def compared(self, t: int) -> float:
        """Two halves for each of k ranges at every level."""
        return 0.0 if t <= self.budget else 2.0 * self.budget * self._depth(t)


@dataclass
class DynamicMask(Policy):
    """Dynamic mask attention.

    A learned gate of the value vectors and the position mask all but the top w tokens.

    The gate is linear, trained on other streams for the attention that tokens receive later. w is the budget.

    Attributes
    ----------
    slope : float
        Price of one token of distance, in units of the gate's standard deviation, per length of the stream.
    """

    RANGES: ClassVar[Mapping[str, Range]] = {"slope": Range(0, 1000)}

    slope: float = 0.1

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Train the gate and score all tokens.

        Each by its own value.
        """
        super().begin(seen, budget, rng, training)
        gate = mask_gate(training)
        spread = float(mask_scores(training, gate).std())
        at = np.arange(seen.shape[2]) / seen.shape[2]
        self._gate = (mask_scores(seen, gate) + self.slope * spread * at)[:, None]

    def attend(self, t: int) -> Array | None:
        """The top w."""
        return top(self._gate[:, :, :t], self.budget)

    def compared(self, t: int) -> float:
        """Gates are made once per token, so none."""
        return 0.0


def _latest(chosen: Array, count: int) -> Array:
    """The latest of the chosen tokens.

    Masks (B, H, t).
    """
    later = chosen[:, :, ::-1].cumsum(2)[:, :, ::-1]
    return np.asarray(chosen & (later <= count))


def _unit(x: Array) -> Array:
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9))

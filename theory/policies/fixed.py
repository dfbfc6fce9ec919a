"""Policies whose attention is fixed beforehand.

Everything, sinks and a window, or full attention on a schedule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from theory.policies.parameters import SHARE, Range
from theory.policies.policy import Policy
from theory.policies.streams import Array, Vectors


@dataclass
class Full(Policy):
    """Attend to every earlier token."""

    def attend(self, t: int) -> Array | None:
        """All of them."""
        return np.ones((1, 1, t), bool)


@dataclass
class Streaming(Policy):
    """Attention sinks and a sliding window.

    The first s and the last w tokens, w the budget less s.

    Attributes
    ----------
    sinks : int
        s, at most half the budget; the paper finds that 4 are enough.
    """

    sinks: int = 4

    def attend(self, t: int) -> Array | None:
        """Sinks and window."""
        return sinks_and_recent(t, self.sinks, self.budget)

    def kept(self, t: int) -> Array | None:
        """Keep the same tokens.

        All others are dropped for good.
        """
        return self.attend(t)


@dataclass
class Recycled(Policy):
    """Recycled Attention: full attention on a schedule.

    At every S-th token; in between the K tokens with most attention at that one.

    Attributes
    ----------
    recycled : float
        K as a share of the budget; S is such that both together attend to the budget on average.
    """

    RANGES: ClassVar[Mapping[str, Range]] = {"recycled": SHARE}

    recycled: float = 0.5

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Set stride and number of tokens."""
        super().begin(seen, budget, rng, training)
        size, heads, length = seen.shape
        self._top = max(1, round(self.recycled * budget))
        self._stride = max(2, round(length / 2 / max(1, budget - self._top)))
        self._chosen = np.zeros((size, heads, length), bool)

    def attend(self, t: int) -> Array | None:
        """Everything on schedule, otherwise the recycled tokens."""
        return np.ones((1, 1, t), bool) if t % self._stride == 0 else self._chosen[:, :, :t]

    def observe(self, t: int, weights: Array, output: Array) -> None:
        """Keep the top K of a full step.

        Tokens that come later are taken in, the oldest of these go out.
        """
        if t and t % self._stride == 0:
            self._chosen[:] = False
            self._chosen[:, :, :t] = top(weights, self._top)
        self._chosen[:, :, t] = True
        late = t - self._top
        if late > t - t % self._stride:
            self._chosen[:, :, late] = False

    def score_bits(self) -> float:
        """The list of recycled tokens."""
        _, heads, length = self.seen.shape
        return float(heads * self._top * np.log2(length))


def sinks_and_recent(t: int, sinks: int, budget: int) -> Array:
    """Mask of the sinks and the latest tokens.

    The first ``sinks`` and the latest of t tokens, ``budget`` in all; shape (1, 1, t).
    """
    at = np.arange(t)
    return ((at < min(sinks, budget // 2)) | (at >= t - (budget - min(sinks, budget // 2))))[None, None]


def top(scores: Array, count: int) -> Array:
    """Mask of the ``count`` largest scores.

    Along the last axis; fewer where there are fewer finite ones.

    Examples
    --------
    >>> top(np.array([0.1, 0.5, 0.2]), 2).tolist()
    [False, True, True]
    """
    if count >= scores.shape[-1]:
        return np.isfinite(scores)
    mask = np.zeros(scores.shape, bool)
    np.put_along_axis(mask, np.argpartition(-scores, count - 1, axis=-1)[..., :count], True, axis=-1)
    return np.asarray(mask & np.isfinite(scores))

"""Gates that are trained on streams of their own.

What later tokens attend to, predicted from a token's own vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from theory.policies.streams import Array, Vectors


@dataclass(frozen=True)
class RetentionGate:
    """Gate of Adaptive Retention (arXiv 2510.08798).

    Attributes
    ----------
    momentum : float
        a of the running mean.
    own, past : ndarray, shapes (F, WIDTH)
        W and U.
    weights : ndarray, shape (WIDTH,)
        v.
    bias : float
        b.
    multiplier : float
        λ at the step that was taken.
    """

    WIDTH: ClassVar[int] = 16
    STEPS: ClassVar[int] = 100
    RATE: ClassVar[float] = 0.03

    momentum: float
    own: Array
    past: Array
    weights: Array
    bias: float
    multiplier: float

    @classmethod
    @lru_cache(maxsize=2)
    def trained(cls, training: Vectors, budget: int, momentum: float, rate_dual: float) -> RetentionGate:
        """Train the gate by Adam and dual ascent.

        Minimise −Σ demand·p + λ(Σp − M), M the budget, with λ ← max(0, λ + η(Σp − M)/M) after each step.

        Of all steps the one is taken at which the top M tokens of the training streams have most demand.
        """
        rng = np.random.default_rng(0)
        x = _features(training).astype(np.float32)
        mean, demand = _past(x, momentum), training.demand.sum(1)
        scale = 1 / np.sqrt(x.shape[2])
        own, past = (rng.standard_normal((x.shape[2], cls.WIDTH)).astype(np.float32) * scale for _ in range(2))
        # half a token short of everything, for which the gate would have to be infinite
        share = min(budget, x.shape[1] - 0.5) / x.shape[1]
        weights, bias, multiplier = np.zeros(cls.WIDTH, np.float32), np.full(1, np.log(share / (1 - share))), 0.0
        learned = (own, past, weights, bias)
        first, second = ([np.zeros_like(w) for w in learned] for _ in range(2))
        late = 1e-3 * np.arange(x.shape[1]) / x.shape[1]  # among equals the cache keeps the latest
        best, chosen = -1.0, (own, past, weights, bias, multiplier)
        for step in range(1, cls.STEPS + 1):
            hidden = np.tanh(x @ own + mean @ past)
            score = hidden @ weights + bias
            kept = np.argpartition(-score - late, budget - 1, axis=1)[:, :budget]
            held = float(np.take_along_axis(demand, kept, axis=1).sum())
            if held > best:
                best, chosen = held, (own.copy(), past.copy(), weights.copy(), bias.copy(), multiplier)
            p = 1 / (1 + np.exp(-np.clip(score, -30, 30)))
            slope = (multiplier - demand) * p * (1 - p) / p.size
            inner = (slope[..., None] * weights * (1 - hidden**2)).reshape(-1, cls.WIDTH)
            slopes = (
                x.reshape(len(inner), -1).T @ inner,
                mean.reshape(len(inner), -1).T @ inner,
                np.einsum("bn,bnf->f", slope, hidden),
                slope.sum(keepdims=True)[0],
            )
            for w, m, v, g in zip(learned, first, second, slopes, strict=True):
                m += 0.1 * (g - m)
                v += 0.01 * (g * g - v)
                w -= cls.RATE * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.99**step)) + 1e-12)
            multiplier = max(0.0, multiplier + rate_dual * (float(p.sum(1).mean()) / budget - 1))
        return cls(momentum, chosen[0], chosen[1], chosen[2], float(chosen[3][0]), chosen[4])

    def score(self, seen: Vectors) -> Array:
        """s_t of every token, shape (B, N)."""
        x = _features(seen)
        hidden = np.tanh(x @ self.own + _past(x, self.momentum) @ self.past)
        return np.asarray(hidden @ self.weights + self.bias)


def _features(seen: Vectors) -> Array:
    """Features h: keys of all heads, and the value.

    Of each token, shape (B, N, F).
    """
    size, _, length = seen.shape
    return np.concatenate([np.moveaxis(seen.key, 1, 2).reshape(size, length, -1), seen.value], 2)


def _past(x: Array, momentum: float) -> Array:
    """Running mean m_{t−1} of the tokens before each.

    Shape of ``x``.
    """
    mean = np.zeros_like(x)
    for t in range(1, x.shape[1]):
        mean[:, t] = momentum * mean[:, t - 1] + (1 - momentum) * x[:, t - 1]
    return mean


def mask_gate(training: Vectors) -> tuple[Array, float]:
    """Linear gate of values (Dynamic Mask Attention).

    Least squares for the demand, from value and its size.

    Returns
    -------
    weights, intercept : ndarray of shape (m + 1,), float
    """
    x = _value_features(training)
    x = x.reshape(-1, x.shape[2])
    y = training.demand.sum(1).ravel()
    centred = x - x.mean(0)
    weights = np.linalg.solve(centred.T @ centred + 1e-3 * len(x) * np.eye(x.shape[1]), centred.T @ (y - y.mean()))
    return weights, float(y.mean() - x.mean(0) @ weights)


def mask_scores(seen: Vectors, gate: tuple[Array, float]) -> Array:
    """Score of every token by its value, shape (B, N)."""
    return np.asarray(_value_features(seen) @ gate[0] + gate[1])


def _value_features(seen: Vectors) -> Array:
    return np.concatenate([seen.value, np.linalg.norm(seen.value, axis=2, keepdims=True)], 2)


def retrieval_heads(training: Vectors, count: int, near: int) -> Array:
    """The heads through which most is retrieved.

    From further back than ``near`` tokens, shape (H,).
    """
    _, heads, length = training.shape
    far = np.zeros(heads)
    for t in range(near + 1, length):
        weights, match = training.attention(t, np.ones((1, 1, t), bool))
        far += (weights * match)[training.seeking(t), :, : t - near].sum((0, 2))
    mask = np.zeros(heads, bool)
    mask[np.argsort(-far)[:count]] = True
    return mask

"""Check in numbers what sources say of their policies.

Where a retrieval stream can show it.

Each check plays the policy against the one it is said to improve on, on the same streams; differences are paired by
stream. ``shown`` is a 95 % interval above zero; ``not shown`` may mean that these streams cannot show it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cogfit.records.codec import Document
from theory.policies import find
from theory.policies.limits import Mean, mean_of
from theory.policies.policy import Played
from theory.policies.sample import Sample
from theory.policies.streams import HEADS, Array, Law, Setting, Streams, independent, mix, recurrent
from theory.tasks.srcd import BINDING

_STREAMS, _TRAINING = 24, 16


@dataclass(frozen=True)
class Phenomenon(Document):
    """A qualitative claim and what the streams show.

    Attributes
    ----------
    policy : str
    claim : str
    verdict : {"shown", "not shown", "reversed"}
    difference : Mean
        What is claimed to be positive.
    numbers : Mapping
        What it is made of.
    """

    policy: str
    claim: str
    verdict: Literal["shown", "not shown", "reversed"]
    difference: Mean
    numbers: Mapping[str, float]


def phenomena(setting: Setting | None = None, seed: int = 0) -> tuple[Phenomenon, ...]:
    """All checks.

    Parameters
    ----------
    setting : Setting, optional
    seed : int
    """
    setting = Setting() if setting is None else setting
    return tuple(check(setting, seed) for check in CHECKS)


def forgetting_evens_out_ages(setting: Setting, seed: int = 0) -> Phenomenon:
    """A2SF: without forgetting old tokens, which had longer to accumulate attention, crowd out the young ones.

    Measured on SRCD streams as the distance between the mean relative position of the tokens in the cache at the end
    and 1/2, at α = 1 less that at the default α.
    """
    sample = _sample(setting, seed, mix)
    share = {alpha: _position(_play(sample, "a2sf", 1 / 4, alpha=alpha)) for alpha in (1.0, 0.97)}
    return _ruled(
        "a2sf",
        "a forgetting factor evens out the ages of the tokens in the cache",
        np.abs(share[1.0] - 0.5) - np.abs(share[0.97] - 0.5),
        {
            "mean relative position, α = 1": float(share[1.0].mean()),
            "mean relative position, α = 0.97": float(share[0.97].mean()),
        },
    )


def lagged_eviction_keeps_recurring_tokens(setting: Setting, seed: int = 0) -> Phenomenon:
    """LazyEviction: recurring tokens survive that eviction at every step by recency loses.

    Measured on keys that recur at intervals, as the share of their queries that are read, against a window of the same
    size.
    """
    sample = _sample(setting, seed, recurrent)
    read = {name: _read(_play(sample, name, 1 / 4)) for name in ("lazy-eviction", "streaming", "h2o", "a2sf")}
    return _ruled(
        "lazy-eviction",
        "lagged eviction by recurrence intervals keeps recurring tokens (against a window)",
        read["lazy-eviction"] - read["streaming"],
        {f"queries read, {name}": float(x.mean()) for name, x in read.items()},
    )


def the_lag_itself_helps(setting: Setting, seed: int = 0) -> Phenomenon:
    """LazyEviction with its observation window against eviction at every token by the same rule, in the same cache.

    The window has a price: the cache is filled only in part after an eviction.
    """
    sample = _sample(setting, seed, recurrent)
    lazy, eager = (_read(_play(sample, "lazy-eviction", 1 / 8, window=window)) for window in (0.25, 0.0))
    return _ruled(
        "lazy-eviction",
        "the lag itself helps, not only the recurrence intervals",
        lazy - eager,
        {"queries read, window 1/4 of the cache": float(lazy.mean()), "queries read, no window": float(eager.mean())},
    )


def lagged_eviction_beats_forgetting(setting: Setting, seed: int = 0) -> Phenomenon:
    """LazyEviction against accumulated attention with forgetting (A2SF), on the same streams and in the same cache."""
    sample = _sample(setting, seed, recurrent)
    lazy, other = (_read(_play(sample, name, 1 / 8)) for name in ("lazy-eviction", "a2sf"))
    return _ruled(
        "lazy-eviction",
        "lagged eviction keeps more recurring tokens than accumulated attention",
        lazy - other,
        {"queries read, lazy-eviction": float(lazy.mean()), "queries read, a2sf": float(other.mean())},
    )


def static_heads_fail_moving_demand(setting: Setting, seed: int = 0) -> Phenomenon:
    """DuoAttention: heads chosen once serve a demand that stays; routing by token (MoH) serves one that moves, too.

    In each stream all recurring keys belong to one head. Demand stays: the same head in all streams; it moves: another
    one in each. Measured as accuracy of DuoAttention, on demand that stays less demand that moves.
    """
    stays = _sample(setting, seed, lambda *a: _one_head(*a, moving=False))
    moves = _sample(setting, seed, lambda *a: _one_head(*a, moving=True))
    accuracy = {
        "DuoAttention, demand stays": _right(_play(stays, "duo", 1 / 4)),
        "DuoAttention, demand moves": _right(_play(moves, "duo", 1 / 4)),
        "Mixture-of-Head, demand moves": _right(_play(moves, "moh", 1 / 8)),
    }
    first, second, _ = accuracy.values()
    size = min(len(first), len(second))
    return _ruled(
        "duo",
        "heads that are chosen once do not follow a demand that moves",
        first[:size] - second[:size],
        {f"accuracy, {name}": float(x.mean()) for name, x in accuracy.items()},
    )


def state_size_dials_recall(setting: Setting, seed: int = 0) -> Phenomenon:
    """BASED: recall grows with the size of the state. Measured without its window, at 32 features less 4."""
    sample = _sample(setting, seed, independent)
    right = {width: _right(_play(sample, "based", width / setting.length, window=0.0)) for width in (4, 8, 16, 32)}
    return _ruled(
        "based",
        "the size of the state dials recall",
        right[32] - right[4],
        {f"accuracy, {width} features": float(x.mean()) for width, x in right.items()},
    )


def consolidation_frees_attention(setting: Setting, seed: int = 0) -> Phenomenon:
    """CRAM: the second half of a stream needs less attention per query than the first, at the same accuracy."""
    sample = _sample(setting, seed, recurrent)
    played = _play(sample, "cram", 1 / 4)
    half = setting.length // 2
    parts = []
    for part in (slice(0, half), slice(half, None)):
        asked = played.query[:, part]
        parts.append(((played.rows[:, part] > 0) & asked).sum(1) / np.maximum(asked.sum(1), 1))
    return _ruled(
        "cram",
        "consolidation frees attention: fewer queries are attended later in a stream",
        parts[0] - parts[1],
        {
            "queries attended, first half": float(parts[0].mean()),
            "queries attended, second half": float(parts[1].mean()),
            "accuracy": float(_right(played).mean()),
        },
    )


def a_robust_bias_resists_outliers(setting: Setting, seed: int = 0) -> Phenomenon:
    """MIRAS: an attentional bias that grows slower than the square protects a memory from values that are outliers.

    On SRCD streams the values of a quarter of the novel bindings are shown ten times too large. Measured as the
    accuracy that is lost to them, over the queries for recurring keys: with L2 less with Huber's bias, both with L2
    decay.
    """
    sample = _sample(setting, seed, mix)
    streams = sample.streams
    is_novel = (streams.kind == BINDING) & (streams.key > setting.patterns)
    size = np.where(is_novel & (streams.key % 4 == 0), 10, 1)[:, :, None]
    shaken = replace(sample, seen=replace(sample.seen, value=(sample.seen.value * size).astype(np.float32)))
    lost: dict[str, Array] = {}
    accuracy: dict[str, Array] = {}
    for bias in ("l2", "huber"):
        parts = []
        for place in (sample, shaken):
            played = _play(place, "miras", 1 / 4, bias=bias)
            asked = played.query & (streams.key <= setting.patterns)
            parts.append(((asked & ~played.wrong).sum(1) / np.maximum(asked.sum(1), 1))[asked.any(1)])
        lost[bias] = parts[0] - parts[1]
        accuracy |= {f"{bias}, as shown": parts[0], f"{bias}, with outliers": parts[1]}
    return _ruled(
        "miras",
        "Huber's bias loses less to outliers than L2",
        lost["l2"] - lost["huber"],
        {f"accuracy, {name}": float(x.mean()) for name, x in accuracy.items()},
    )


def one_trial_is_enough(setting: Setting, seed: int = 0) -> Phenomenon:
    """Sparsey: a single presentation is stored, and the more of them, the more bits the memory has.

    All bindings are shown once, then asked for uniformly. Measured as accuracy at 64 cells less 16. What is recalled
    holds K·(log₂V − h(ε) − ε·log₂(V − 1)) bits at an error rate ε; T2 says that this is at most the bits of the state.
    """
    sample = _sample(replace(setting, zipf=0.0), seed, independent)
    right: dict[int, Array] = {}
    numbers: dict[str, float] = {}
    for cells in (16, 32, 64):
        played = _play(sample, "sparsey", cells / setting.length)
        right[cells] = _right(played)
        recalled = setting.patterns * information(1 - float(right[cells].mean()), setting.values)
        numbers |= {
            f"accuracy, {cells} cells": float(right[cells].mean()),
            f"bits recalled, {cells} cells": recalled,
            f"bits of the state, {cells} cells": played.memory_bits,
        }
    return _ruled("sparsey", "one presentation is stored, more of them in more bits", right[64] - right[16], numbers)


def information(error: float, values: int) -> float:
    """Bits per answer of a uniform value at an error rate; 0 at chance and worse.

    Examples
    --------
    >>> information(0.0, 16), information(15 / 16, 16), round(information(0.5, 2), 3)
    (4.0, 0.0, 0.0)
    """
    if error >= 1 - 1 / values:
        return 0.0
    wrong = error * math.log2(error / (values - 1)) if error > 0 else 0.0
    return math.log2(values) + wrong + (1 - error) * math.log2(1 - error)


CHECKS: tuple[Callable[[Setting, int], Phenomenon], ...] = (
    forgetting_evens_out_ages,
    lagged_eviction_keeps_recurring_tokens,
    the_lag_itself_helps,
    lagged_eviction_beats_forgetting,
    static_heads_fail_moving_demand,
    state_size_dials_recall,
    consolidation_frees_attention,
    a_robust_bias_resists_outliers,
    one_trial_is_enough,
)
"""One function per claim."""


def _sample(setting: Setting, seed: int, law: Law) -> Sample:
    """Streams for all policies of a check."""
    return Sample.drawn(law, setting, (_STREAMS, _TRAINING), [seed, 5])


def _play(sample: Sample, name: str, share: float, **parameters: float | str) -> Played:
    return sample.play(find(name).policy(**parameters), share)


def _one_head(setting: Setting, rng: np.random.Generator, size: int, *, moving: bool) -> Streams:
    """Recurrent streams whose recurring keys share one head.

    Recurrent streams in which all recurring keys are of one head.
    """
    head = rng.integers(0, HEADS, size) if moving else np.zeros(size, np.int64)
    own = np.arange(setting.patterns // HEADS)
    chosen = rng.random((size, len(own))).argsort(1)[:, : max(1, setting.patterns // 8)]
    return recurrent(setting, rng, size, HEADS * (chosen + 1) + head[:, None] - HEADS * (head[:, None] > 0))


def _position(played: Played) -> Array:
    at = (np.arange(played.held.shape[1]) + 0.5) / played.held.shape[1]
    return np.asarray(played.held @ at / played.held.sum(1))


def _read(played: Played) -> Array:
    return played.per_query(played.read)


def _right(played: Played) -> Array:
    return 1 - played.per_query(played.wrong)


def _ruled(policy: str, claim: str, difference: Array, numbers: dict[str, float]) -> Phenomenon:
    mean = mean_of(difference)
    verdict: Literal["shown", "not shown", "reversed"] = (
        "shown" if mean.low > 0 else "reversed" if mean.high < 0 else "not shown"
    )
    return Phenomenon(policy, claim, verdict, mean, numbers)

"""Policies against the bounds of their class.

What was read, answered and carried, with fresh streams as the unit.

A query is *read* where a token that shows its value is attended to by any head; that is the attention of the theorems,
so it costs at least one attended token and one row. Errors at read queries are charged to nobody.

Where values change, T9 charges the first query of each epoch of a key: to all policies, but for epochs whose value a
token showed on its arrival, where a value leaves a trace before it is read.

T1 concerns policies in which values leave no trace off attention; T3 those that know values from attention alone; T2,
where queries are independent, every state of S bits. A cache is such a state, too: reading it counts as no attention
then, and its tokens count with log₂V bits each (and log₂N more where values decide which tokens it holds).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np

from cogfit.records.codec import Document
from theory.bounds import t2_memory_bits
from theory.policies.classify import Traits
from theory.policies.policy import Played
from theory.policies.streams import Array, Streams, first_queries

LEVEL = 1e-5
"""Chance with which one comparison may wrongly find a policy below its bound."""

_RESAMPLES = 400
_NUMBER = 2  # bytes of a number in a cache
_TINY = 1e-9  # the probabilities of the keys sum to 1 up to this


class Mean(NamedTuple):
    """Mean over streams with confidence limits."""

    value: float
    low: float
    high: float


def mean_of(x: Array, level: float = 0.95) -> Mean:
    """Mean over streams and Student's interval.

    Examples
    --------
    >>> [round(v, 3) for v in mean_of(np.array([0.0, 1.0, 1.0, 0.0]))]
    [0.5, -0.419, 1.419]
    """
    from scipy.stats import t

    value = float(np.mean(x))
    if len(x) < 2:
        return Mean(value, -math.inf, math.inf)
    half = float(t.ppf(0.5 + level / 2, len(x) - 1)) * float(np.std(x, ddof=1)) / math.sqrt(len(x))
    return Mean(value, value - half, value + half)


@dataclass(frozen=True)
class Comparison(Document):
    """A policy against one bound.

    Attributes
    ----------
    theorem : {"T1", "T2", "T3", "T9"}
    what : str
        What was compared.
    excess : float
        By how much the policy lies above its bound, per query.
    low, high : float
        95 % limits over streams.
    beaten : bool
        Whether it lies below, at :data:`LEVEL`.
    """

    theorem: str
    what: str
    excess: float
    low: float
    high: float
    beaten: bool


@dataclass(frozen=True)
class Traffic(Document):
    """Bytes that are read per token of the stream.

    With numbers of 16 bits in keys and values, as caches have them. A cache that keeps all and reads little is cheap
    here only if it finds what it reads by comparing little; a state is read as a whole at every token.

    Attributes
    ----------
    kv : float
        Keys and values of the tokens attended to, over all heads.
    state : float
        The state from which is answered without attention.
    scores : float
        What chooses tokens: scores that are kept, and vectors that the query is compared with.
    total : float
        Their sum.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"total": "total"}

    kv: float
    state: float
    scores: float

    @property
    def total(self) -> float:
        """Bytes per token."""
        return self.kv + self.state + self.scores


def traffic(played: Played, heads: int, key_width: int, value_width: int) -> Traffic:
    """Count what a policy reads per token.

    Parameters
    ----------
    played : Played
    heads, key_width, value_width : int
        Of the attention layer.
    """
    attended = heads * float(played.tokens.mean())
    compared = heads * played.compared
    return Traffic(
        kv=_NUMBER * (key_width + value_width) * attended,
        state=played.memory_bits / 8,
        scores=played.score_bits / 8 + _NUMBER * key_width * compared,
    )


def compare(played: Played, streams: Streams, traits: Traits) -> tuple[Comparison, ...]:
    """Hold a policy against every bound that concerns it.

    Parameters
    ----------
    played : Played
    streams : Streams
    traits : Traits
        What the interventions found; its published kind plays no part.

    Returns
    -------
    tuple of Comparison
        Empty where no bound of its class says anything.
    """
    comparisons: list[Comparison] = []
    if traits.ahead:  # what is to come can hold the value: no theorem covers that
        return ()
    price = streams.values / (streams.values - 1)
    guessed = played.wrong & ~played.read
    if traits.memory == "none":
        charge = played.per_query(played.read) + price * played.per_query(guessed) - 1
        comparisons.append(above("T1", "read + V/(V−1)·wrong ≥ queries", charge))
    if traits.memory in ("none", "attention"):
        count = np.maximum(played.query.sum(1), 1)
        new = price * (guessed & played.unrevealed).sum(1)
        charge = (played.read.sum(1) + new - played.distinct) / count
        comparisons.append(above("T3", "read + V/(V−1)·wrong at first sight ≥ keys asked for", charge))
    if streams.drift is not None:
        comparisons.append(
            above("T9", "read + V/(V−1)·wrong ≥ epochs asked for", epoch_excess(played, streams, traits))
        )
        return tuple(comparisons)  # T2 is about values that stay
    if streams.law is not None:
        comparisons += _bits(played, streams, traits)
    return tuple(comparisons)


def epoch_excess(played: Played, streams: Streams, traits: Traits) -> Array:
    """What a policy pays beyond the least under drift (T9).

    Per query of each stream that has any: read + V/(V−1)·wrong, less the epochs that had to be paid for.

    Parameters
    ----------
    played : Played
    streams : Streams
    traits : Traits

    Returns
    -------
    ndarray of float
        Its mean is at least 0 for every policy.
    """
    first, untold = first_queries(streams)
    owed = first if traits.memory in ("none", "attention") else untold
    price = streams.values / (streams.values - 1)
    return played.per_query(played.read + price * (played.wrong & ~played.read) - owed)


def carried_bits(played: Played, values: int, by_values: bool) -> float:
    """S of cache and state together, per stream."""
    token = math.log2(values) + (math.log2(played.query.shape[1]) if by_values else 0.0)
    return played.memory_bits + played.kept * token


def least_error(law: tuple[float, ...], bits: float, values: int) -> float:
    """Least error rate without attention under S bits.

    On independent queries (T2).

    Examples
    --------
    >>> round(least_error((0.25,) * 4, 0, 4), 3), least_error((0.25,) * 4, 8, 4)
    (0.75, 0.0)
    """
    if bits >= len(law) * math.log2(values):
        return 0.0
    low, high = 0.0, 1 - 1 / values
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if _least_attention(law, bits, values, middle) > _TINY else (low, middle)
    return low


@lru_cache(maxsize=4096)
def _least_attention(law: tuple[float, ...], bits: float, values: int, error: float) -> float:
    return t2_memory_bits.least_attention_with_errors(law, bits, 1 / values, min(error, 1.0))


def _bits(played: Played, streams: Streams, traits: Traits) -> list[Comparison]:
    """Compare with T2.

    For the state off attention, and for state and cache together; none where it holds the whole table.
    """
    assert streams.law is not None
    table, comparisons = len(streams.law) * math.log2(streams.values), []
    if traits.memory in ("attention", "tokens") and played.memory_bits < table:
        read, wrong = played.per_query(played.read), played.per_query(played.wrong & ~played.read)
        grid = np.linspace(0, 1, 41)
        bound = np.array([_least_attention(streams.law, played.memory_bits, streams.values, e) for e in grid])
        draws = np.random.default_rng(0).integers(0, len(read), (_RESAMPLES, len(read)))
        resampled = read[draws].mean(1) - np.interp(wrong[draws].mean(1), grid, bound)
        excess = float(read.mean() - np.interp(wrong.mean(), grid, bound))
        spread = float(resampled.std())
        comparisons.append(
            _verdict("T2", f"read, with {played.memory_bits:,.0f} bits of state", excess, spread, len(read))
        )
    bits = carried_bits(played, streams.values, traits.by_values)
    if bits < table:
        what = f"wrong, with {bits:,.0f} bits of state and cache"
        least = least_error(streams.law, bits, streams.values)
        comparisons.append(above("T2", what, played.per_query(played.wrong) - least))
    return comparisons


def above(theorem: str, what: str, excess: Array) -> Comparison:
    """Whether a mean over streams may be at least 0.

    Parameters
    ----------
    theorem, what : str
    excess : ndarray of float
        One number per stream.
    """
    return _verdict(
        theorem, what, float(excess.mean()), float(excess.std(ddof=1)) / math.sqrt(len(excess)), len(excess)
    )


def _verdict(theorem: str, what: str, excess: float, error: float, streams: int) -> Comparison:
    from scipy.stats import t

    usual, rare = (float(t.ppf(1 - p, streams - 1)) for p in (0.025, LEVEL))
    beaten = bool(excess + rare * error < -1e-9)
    return Comparison(theorem, what, excess, excess - usual * error, excess + usual * error, beaten)

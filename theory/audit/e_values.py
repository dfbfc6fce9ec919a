"""Evidence in a routing log against a class of routers.

The unit is a table entry or a table, never a query.

Over the queries of one fixed table a lucky guess repeats, so a test that takes them for a sample rejects honest routers
far too often. Here luck is counted once per entry of the table (:class:`Guesses`), once per table
(:func:`log_evidence_of_tables`), or in bits about the table (:func:`least_bits`). The first two are e-values: their
expectation is at most 1 for every router of the class, so 1/e is a p-value.

A log that grows is looked at when it has 16, 20, 25, ... rows (:func:`looks`); look j may err with a share
1/((j+1)(j+2)) of the level (:func:`penalty`), the shares sum to 1, and so all looks together keep the level. Proofs:
docs/checking-a-log.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cogfit.errors import InputError

Floats = NDArray[np.float64]

_FIRST_LOOK, _GROWTH = 16, 1.25
_TILTS = np.exp2(np.arange(-24, 4.5, 0.5))  # λ of the guesses: from one in 10⁷ queries to certainty
_STAKES = np.concatenate([np.exp2(-np.arange(10.0, 1, -1)), 1 - np.exp2(-np.arange(1.0, 7)), [1.0]])
_PRICES = np.exp2(np.arange(0, 24.5, 0.5))  # λ of the bits, per unit of probability


def looks(rows: int) -> tuple[int, ...]:
    """Numbers of rows at which a growing log is judged.

    Up to ``rows``.

    Examples
    --------
    >>> looks(40)
    (16, 20, 25, 32, 40)
    """
    sizes: list[int] = []
    while (n := math.ceil(_FIRST_LOOK * _GROWTH ** len(sizes))) <= rows:
        sizes.append(n)
    return tuple(sizes)


def penalty(look: int) -> float:
    """Price of looking more than once, added to log p.

    For look number ``look`` (from 0) it is log((j+1)(j+2)).

    Examples
    --------
    >>> round(sum(math.exp(-penalty(j)) for j in range(10_000)), 3)
    1.0
    """
    return math.log((look + 1) * (look + 2))


@dataclass(frozen=True)
class Guesses:
    """Luck of a router that knows nothing of the table.

    Neither its decisions nor its guesses do; the luck is beyond a best guess of chance Ḡ.

    A table entry asked for b times without attention gets c right answers, c ≤ b with mean at most Ḡb whatever the
    guesses were, and entries are independent. So E exp(λ·Σc − Σ log(1 − Ḡ + Ḡe^{λb})) ≤ 1 for each λ ≥ 0; the e-value
    is the mean over a fixed grid of λ.

    Attributes
    ----------
    sizes, counts : array_like, shape (m,)
        Numbers b of queries without attention that occur, and how many entries have each.
    chance : float
        Ḡ, strictly between 0 and 1; 1/V without side information.

    Examples
    --------
    >>> known = Guesses([50], [20], 1 / 16)  # 20 entries, 50 queries each, none attended
    >>> known.log_evidence(1000) > 40, known.log_evidence(1000 / 16) < 0  # all right; as many as by guessing
    (True, True)
    """

    sizes: ArrayLike
    counts: ArrayLike
    chance: float

    @property
    def total(self) -> float:
        """Queries without attention."""
        return float(np.dot(self.sizes, self.counts))

    @cached_property
    def _cumulants(self) -> Floats:
        lost, won = math.log1p(-check_chance(self.chance)), math.log(self.chance)
        return np.asarray(np.logaddexp(lost, won + np.outer(_TILTS, np.asarray(self.sizes))) @ np.asarray(self.counts))

    def log_evidence(self, right: float) -> float:
        """Logarithm of the e-value at so many right answers.

        ``right`` answers without attention were right.
        """
        return float(np.logaddexp.reduce(_TILTS * right - self._cumulants)) - math.log(_TILTS.size)

    def most_right(self, log_evidence: float) -> float:
        """Number of right answers at which the evidence reaches ``log_evidence``.

        Infinite if it never does.
        """
        if self.log_evidence(self.total) < log_evidence:
            return math.inf
        return _boundary(lambda right: self.log_evidence(right) < log_evidence, 0.0, self.total)


def log_evidence_of_tables(right: ArrayLike, unattended: ArrayLike, queries: ArrayLike, chance: float) -> float:
    """Logarithm of the e-value with whole tables as units.

    Each is drawn afresh.

    Valid for routers that may know anything but the value asked for at the moment: given all that the router knows, an
    answer without attention is right with probability at most Ḡ, so the payoff (c − Ḡb)/N of a table with N queries has
    mean at most 0. The e-value is the mean over a grid of stakes θ of Π (1 + θ·(c − Ḡb)/(ḠN)).

    Parameters
    ----------
    right, unattended, queries : array_like, shape (tables,)
        c, b and N of each table.
    chance : float
        Ḡ.

    Examples
    --------
    >>> log_evidence_of_tables([10] * 30, [10] * 30, [20] * 30, 1 / 2) > 5  # all right, half of them unattended
    True
    """
    c, b, n = (np.asarray(values, float) for values in (right, unattended, queries))
    payoff = (c - check_chance(chance) * b)[n > 0] / (chance * n[n > 0])
    with np.errstate(divide="ignore"):  # everything staked and lost
        logs = np.log1p(np.outer(_STAKES, payoff)).sum(axis=1)
    return float(np.logaddexp.reduce(logs)) - math.log(_STAKES.size)


def least_bits(
    queries: ArrayLike, unattended: ArrayLike, right: float, chance: float, log_odds: float, share: float = 1.0
) -> float:
    """Lower confidence limit for the memory in use.

    Bits about the table that the router held on average.

    For *one* table and any λ ≥ 0, ψ(x) = log(1 − Ḡ + Ḡe^x): the mean over steps of Σ_k u_k [λp_k·1(right) − ψ(λp_k)],
    u_k = 1 without attention, is at most S·ln 2 + ln(1/β) with probability 1 − β over the draw of the table, as there
    are 2^S memories (theorem T2 with its expectation made a tail bound). The log gives the left side up to Azuma's
    inequality, because queries are independent of the memory; p_k is replaced by an upper limit.

    Parameters
    ----------
    queries, unattended : array_like of int, shape (patterns,)
        Queries of each recurring pattern, and those without attention.
    right : float
        Right answers among the latter, in all.
    chance : float
        Ḡ.
    log_odds : float
        log(1/β), β the probability that the limit is too high.
    share : float
        Largest share of one table in the queries (1 for a single table).

    Returns
    -------
    float
        At least 0.

    Examples
    --------
    >>> all_known = least_bits([5000] * 50, [5000] * 50, 250_000, 1 / 16, math.log(20))
    >>> 150 < all_known < 50 * math.log2(16)
    True
    """
    asked, groups = np.unique(np.asarray(queries, np.int64), return_inverse=True)  # equal counts share a limit of p
    n = int(np.sum(queries))
    if n == 0:
        return 0.0
    without = np.bincount(groups, np.asarray(unattended, float))
    third = log_odds + math.log(3)
    spread = (third + math.log(n)) / (2 * n)
    probability = (math.sqrt(spread) + np.sqrt(spread + asked / n)) ** 2
    x = np.outer(_PRICES, probability)
    cost = np.logaddexp(math.log1p(-check_chance(chance)), math.log(chance) + x) / x
    width = 1 - chance + np.minimum(cost.max(axis=1), 1)
    union = third + math.log(_PRICES.size)
    mean = (right - cost @ without) / n - width * math.sqrt(union / (2 * n))
    return max(0.0, float(np.max(_PRICES * mean - share * union)) / math.log(2))


def log_p_of_bits(limit: Callable[[float], float], bits: float) -> float:
    """Logarithm of the p-value of "at most so many bits".

    From the limit as a function of log(1/β).

    Examples
    --------
    >>> round(log_p_of_bits(lambda log_odds: 100 - log_odds, 60.0), 9)
    -40.0
    """
    if limit(0.0) <= bits:
        return 0.0
    return -_boundary(lambda log_odds: limit(log_odds) > bits, 0.0, 2000.0)


def least_chance(log_p: Callable[[float], float], chance: float, log_level: float) -> float:
    """Smallest chance of a best guess not refuted.

    From ``chance`` on.

    Parameters
    ----------
    log_p : callable
        ``log_p(chance)``, growing.
    chance, log_level : float
        Where to start; logarithm of 1 − level.

    Examples
    --------
    >>> round(least_chance(lambda g: -1 / g, 0.1, -4.0), 9)
    0.25
    """
    most = 1 - 1e-9
    if log_p(chance) > log_level:
        return chance
    if log_p(most) <= log_level:
        return 1.0
    return _boundary(lambda g: log_p(g) <= log_level, chance, most, steps=30)


def check_chance(chance: float) -> float:
    """The chance of a best guess, if it is one.

    Raises
    ------
    InputError
        If it is not strictly between 0 and 1.
    """
    if not 0 < chance < 1:
        raise InputError(f"the chance of a best guess is {chance}", hint="it lies strictly between 0 and 1")
    return chance


def _boundary(below: Callable[[float], bool], low: float, high: float, steps: int = 60) -> float:
    """Where ``below`` turns from true to false, by bisection."""
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return high

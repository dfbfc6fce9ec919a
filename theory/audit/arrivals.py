"""Check how queries arrive, and what is still unseen.

Two questions: do the patterns look independent and identically distributed, and how much mass has not been seen?

The S-bit bound (T2) and Good-Turing need queries drawn independently from one law. :func:`exchangeability` tests what
can be seen of that in the order of the patterns alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainc, gammaincc, ndtr

from cogfit.records.codec import Document

Integers = NDArray[np.int64]

Status = Literal["passed", "failed", "undetermined"]

LEVEL = 0.05
"""p-value at or below which the queries are not taken for independent."""

_LEAST_MATCHES = 5.0
_TENTHS = 10


class Pairs(NamedTuple):
    """Pairs of queries that are compared.

    Counted with how many of them ask for one pattern.

    Attributes
    ----------
    name : str
        Which pairs: successive queries; queries of one step; queries of one tenth of the log.
    matches : int
        Pairs whose two queries ask for the same pattern.
    expected : float
        The same, expected over all orders of the queries.
    p_value : float or None
        Two-sided; None where fewer than 5 matches are expected, so that nothing could be seen.
    """

    name: str
    matches: int
    expected: float
    p_value: float | None


@dataclass(frozen=True)
class Arrivals(Document):
    """Result of :func:`exchangeability`.

    Attributes
    ----------
    status : {"passed", "failed", "undetermined"}
        ``undetermined``: patterns repeat so rarely that the test could not have failed.
    p_value : float or None
        Of all pairs together (Bonferroni).
    pairs : tuple of Pairs
    """

    status: Status
    p_value: float | None
    pairs: tuple[Pairs, ...]

    def __str__(self) -> str:
        if self.p_value is None:
            return "patterns repeat too rarely to tell whether queries are independent"
        worst = min((pair for pair in self.pairs if pair.p_value is not None), key=lambda pair: pair.p_value or 0.0)
        if self.status == "passed":
            return f"the order of the patterns looks independent (p = {self.p_value:.2g})"
        more = "more" if worst.matches > worst.expected else "fewer"
        return (
            f"queries are not independent (p = {self.p_value:.2g}): {worst.name} ask for the same pattern {more} often "
            f"than by chance ({worst.matches:,} against {worst.expected:,.1f} pairs)"
        )


def exchangeability(pattern: ArrayLike, *, table: ArrayLike | None = None, step: ArrayLike | None = None) -> Arrivals:
    """Test whether all orders of the queries are equally likely.

    Counts pairs of queries that ask for the same pattern, among successive queries (bursts, or rounds through all
    patterns), within a step (batches without replacement) and within tenths of the log (frequencies that drift). Mean
    and variance over all orders are exact (join counts: Cliff & Ord, Spatial Processes, 1981, ch. 2); the law is taken
    as normal, or as a shifted χ² where groups are few.

    Parameters
    ----------
    pattern : array_like of int, shape (n,)
        What each query asks for, in order; one number for all novel queries.
    table, step : array_like, shape (n,), optional
        Pairs are formed within a table; queries of one step are compared, too.

    Returns
    -------
    Arrivals

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> exchangeability(rng.integers(0, 20, 2000)).status
    'passed'
    >>> exchangeability(np.sort(rng.integers(0, 20, 2000))).status, exchangeability(np.arange(2000)).status
    ('failed', 'undetermined')
    """
    z = numbered(pattern)
    tables = np.zeros(z.size, np.int64) if table is None else numbered(table)
    law = _Orders.of(np.bincount(z))
    tests = [_successive(z, tables, law)]
    tenth = np.arange(z.size) * _TENTHS // max(z.size, 1)
    if step is not None:
        steps = numbered(step)
        groups = numbered(tables * (int(steps.max(initial=0)) + 1) + steps)
        if 1 < int(groups.max(initial=0)) + 1 < z.size:
            tests.append(_within("queries of one step", z, groups, law))
    tests.append(_within("queries of one tenth", z, numbered(tables * _TENTHS + tenth), law))
    p_values = [pair.p_value for pair in tests if pair.p_value is not None]
    if not p_values:
        return Arrivals("undetermined", None, tuple(tests))
    p_value = min(1.0, len(p_values) * min(p_values))
    return Arrivals("passed" if p_value > LEVEL else "failed", p_value, tuple(tests))


def numbered(values: ArrayLike) -> Integers:
    """Number the distinct values from 0, in order of appearance.

    Examples
    --------
    >>> numbered([7, 3, 7, -1]).tolist()
    [0, 1, 0, 2]
    """
    from pandas import factorize

    return factorize(np.asarray(values))[0].astype(np.int64)


class MissingMass(NamedTuple):
    """Share of future queries for unseen patterns, with confidence limits."""

    estimate: float
    low: float
    high: float


def missing_mass(singletons: int, queries: int, log_odds: float) -> MissingMass:
    """Estimate the missing mass by Good and Turing's method.

    It is the share of queries whose pattern was seen once.

    The limits add the deviation of the estimate from its mean (bounded differences, 2/n each) and that of the missing
    mass from its own, exp(−nε²): McAllester & Ortiz, JMLR 4 (2003) 895-911; Berend & Kontorovich, ECP 18 (2013),
    doi 10.1214/ECP.v18-2359. The two means differ by at most 1/n.

    Parameters
    ----------
    singletons, queries : int
        Patterns seen once (novel queries are), and n > 0; independent queries.
    log_odds : float
        log(1/β), β the probability that the mass lies outside of the limits.

    Examples
    --------
    >>> missing_mass(30, 1000, math.log(20)).estimate
    0.03
    """
    estimate, quarter = singletons / queries, log_odds + math.log(4)
    slack = math.sqrt(2 * quarter / queries) + math.sqrt(quarter / queries)
    return MissingMass(estimate, max(0.0, estimate - slack - 1 / queries), min(1.0, estimate + slack))


class _Orders(NamedTuple):
    """Chances of matches among queries in random order.

    Given how often each pattern occurs.
    """

    two: Fraction  # two queries ask for one pattern
    three: Fraction
    two_and_two: Fraction  # of four queries the first two match, and the last two
    spread: float  # (tr Σ)²/tr Σ² of the indicator of the pattern: degrees of freedom per group

    @classmethod
    def of(cls, counts: Integers) -> _Orders:
        sizes, times = np.unique(counts, return_counts=True)
        m = list(zip(map(int, sizes), map(int, times), strict=True))
        n = sum(size * t for size, t in m)
        falling = [1, n, n * (n - 1), n * (n - 1) * (n - 2), n * (n - 1) * (n - 2) * (n - 3)]
        two = sum(t * s * (s - 1) for s, t in m)
        three = sum(t * s * (s - 1) * (s - 2) for s, t in m)
        four = sum(t * s * (s - 1) * (s - 2) * (s - 3) for s, t in m)
        both = two * two - sum(t * (s * (s - 1)) ** 2 for s, t in m) + four
        p = np.repeat(sizes, times) / max(n, 1)
        squares = float(p @ p)
        trace = squares - 2 * float(p @ p**2) + squares**2
        return cls(
            Fraction(two, max(falling[2], 1)),
            Fraction(three, max(falling[3], 1)),
            Fraction(both, max(falling[4], 1)),
            (1 - squares) ** 2 / trace if trace > 0 else 1.0,
        )

    def test(self, name: str, matches: int, pairs: int, touching: int, groups: float) -> Pairs:
        """Return the p-value of a number of matches.

        There are ``matches`` among ``pairs``, of which ``touching`` pairs of pairs share a query.
        """
        mean = pairs * self.two
        variance = mean + 2 * touching * self.three + (pairs * (pairs - 1) - 2 * touching) * self.two_and_two - mean**2
        if mean < _LEAST_MATCHES or variance <= 0:
            return Pairs(name, matches, float(mean), None)
        score = (matches - float(mean)) / math.sqrt(variance)
        freedom = (groups - 1) * self.spread
        if freedom > 1e4:
            tail = ndtr(-abs(score))
        else:
            at = max(freedom + score * math.sqrt(2 * freedom), 0.0) / 2
            tail = min(gammaincc(freedom / 2, at), gammainc(freedom / 2, at))
        return Pairs(name, matches, float(mean), min(1.0, 2 * float(tail)))


def _successive(z: Integers, tables: Integers, law: _Orders) -> Pairs:
    order = np.argsort(tables, kind="stable")
    ordered, by = z[order], tables[order]
    matches = int(np.count_nonzero((ordered[1:] == ordered[:-1]) & (by[1:] == by[:-1])))
    lengths = np.bincount(tables)
    pairs, touching = int(np.maximum(lengths - 1, 0).sum()), int(np.maximum(lengths - 2, 0).sum())
    return law.test("successive queries", matches, pairs, touching, math.inf)


def _within(name: str, z: Integers, groups: Integers, law: _Orders) -> Pairs:
    sizes = np.bincount(groups).astype(object)  # exact integers: the numbers of pairs of pairs are large
    cells = np.bincount(numbered(groups * (int(z.max(initial=0)) + 1) + z))
    matches = int((cells * (cells - 1) // 2).sum())
    pairs, touching = int((sizes * (sizes - 1)).sum()) // 2, int((sizes * (sizes - 1) * (sizes - 2)).sum()) // 2
    squares = np.array(sizes, float) ** 2
    return law.test(name, matches, pairs, touching, float(squares.sum() ** 2 / (squares @ squares)))

"""Exact learners, and their curves.

They attend until a pattern has been seen often enough, and never again.

A pattern has a threshold T: queries for it attend while fewer than T came before. Which T it is distinguishes the
learners, and their curves are those of the theorems:

- T = c: attend at the first c exposures (T3, T4);
- every exposure counts with probability η, and c must count: T is c plus a negative binomial number, against the length
  of the stream T4 with rate η, against a pattern's own exposures P(k) = P(Bin(k, η) < c);
- η of its own for every pattern, from a law, c = 1: T7;
- a number c of its own for every pattern.

Learning may come in batches: all queries of a batch are routed by what was known before it. The curve against the
stream is then that of T4 at the last end of a batch: neither batch nor η changes its exponent.

They learn from nothing but counts, so that measured curves must follow the exact ones: how far a mean over streams may
be off by chance is bounded (:meth:`Following.holds`). Whether models trained by gradients follow, too, is a question to
``benchmarks/zipf_sweep.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from cogfit.errors import InputError
from theory.bounds.confidence_sequences import mean_sequence
from theory.bounds.t7_exposure_axis import MixingLaw
from theory.tasks.retrieval import Booleans, Integers, Stream, exposures

Array = NDArray[np.float64]

_AT_ONCE = 500_000  # queries played at a time


@dataclass(frozen=True)
class Learner:
    """A learner that attends until exposures suffice.

    It attends while a pattern has been seen less often than it needs.

    Attributes
    ----------
    c : int or tuple of int
        Exposures that must count, 1 or more: for all patterns, or for each of them.
    eta : float or MixingLaw
        Probability that an exposure counts, in (0, 1]; or the law from which every pattern draws its own.
    batch : int
        Queries that are routed before any of them is learned from.

    Raises
    ------
    InputError
        If a number is out of range.

    Examples
    --------
    >>> queries = np.array([[1, 2, 1, 1, 2, 2]])
    >>> learner = Learner(c=2)
    >>> learner.attends(queries, learner.thresholds(2, size=1)).astype(int).tolist()
    [[1, 1, 1, 0, 1, 0]]
    """

    c: int | tuple[int, ...] = 1
    eta: float | MixingLaw = 1.0
    batch: int = 1

    def __post_init__(self) -> None:
        if min(self.needed) < 1 or self.batch < 1:
            raise InputError(f"c = {self.c}, batch = {self.batch}", hint="whole numbers of 1 or more")
        if not isinstance(self.eta, MixingLaw) and not 0.0 < self.eta <= 1.0:
            raise InputError(f"probability of consolidation {self.eta}", hint="0 < η ≤ 1")

    @property
    def needed(self) -> tuple[int, ...]:
        """Exposures c that must count.

        One number for all patterns or one for each.
        """
        return self.c if isinstance(self.c, tuple) else (self.c,)

    def thresholds(self, patterns: int, *, size: int, rng: np.random.Generator | int = 0) -> Integers:
        """Exposures T after which each pattern is known.

        Drawn afresh for every stream.

        Parameters
        ----------
        patterns : int
            K.
        size : int
            Streams.
        rng : numpy Generator or int

        Returns
        -------
        ndarray of int, shape (size, K)
        """
        generator = np.random.default_rng(rng)
        needed = np.broadcast_to(np.asarray(self.needed), (size, patterns))
        if not isinstance(self.eta, MixingLaw):
            eta = np.full((size, patterns), self.eta)
        else:
            eta = self.eta.sample(size * patterns, generator).reshape(size, patterns)
        never = eta < 1e-12  # more exposures than any stream has
        failures = generator.negative_binomial(needed, np.where(never, 1.0, eta))
        return np.where(never, np.iinfo(np.int64).max, needed + failures)

    def known(self, queries: Integers) -> Integers:
        """Exposures of each query's pattern that were learned from.

        Those before its batch.

        Parameters
        ----------
        queries : ndarray of int, shape (size, n)
            Patterns 1..K; 0 where there is no query.

        Returns
        -------
        ndarray of int, shape (size, n)
        """
        if self.batch == 1:
            return exposures(queries)
        size, length = queries.shape
        whole = np.pad(queries, ((0, 0), (0, -length % self.batch)))
        within = exposures(whole.reshape(-1, self.batch)).reshape(size, -1)
        return exposures(queries) - within[:, :length]

    def attends(self, queries: Integers, thresholds: Integers) -> Booleans:
        """Whether each query is attended.

        Parameters
        ----------
        queries : ndarray of int, shape (size, n)
        thresholds : ndarray of int, shape (size, K)

        Returns
        -------
        ndarray of bool, shape (size, n)
        """
        return (queries > 0) & (self.known(queries) < _at_queries(thresholds, queries))

    def on_stream(self, n: ArrayLike, probabilities: ArrayLike) -> Array:
        """Probability of attending to the query after n others, exactly.

        Parameters
        ----------
        n : array_like of int
            0 or more.
        probabilities : array_like, shape (K,)
            Of the patterns at a query.

        Returns
        -------
        ndarray, shape of n

        Raises
        ------
        InputError
            For patterns with an η each, which have exact curves against exposures only.

        Examples
        --------
        >>> from theory.bounds.t4_zipf_streams import attention, frequencies
        >>> learner = Learner(c=3, eta=0.2, batch=50)
        >>> exact = learner.on_stream([149, 150], frequencies(1.5, 100))
        >>> exact.round(6), attention([100, 150], 1.5, patterns=100, c=3, rate=0.2)[0].round(6)
        (array([0.48249, 0.41417]), array([0.48249, 0.41417]))
        """
        if isinstance(self.eta, MixingLaw):
            raise InputError("patterns with an η each have no closed curve against the stream", hint="use on_exposures")
        p, lengths = np.asarray(probabilities, float), np.asarray(n, np.int64)
        needed = np.broadcast_to(np.asarray(self.needed), p.shape)
        learned = (lengths // self.batch * self.batch).ravel()
        out = [p @ _fewer(np.full(p.shape, m), needed, self.eta * p) for m in learned]
        return np.clip(out, 0.0, 1.0).reshape(lengths.shape)  # sums may be off by a rounding error

    def on_exposures(self, k: ArrayLike) -> Array:
        """Probability P(k) of attending after k exposures, exactly.

        To a pattern that was learned from k times, averaged over patterns.

        Parameters
        ----------
        k : array_like of int
            0 or more.

        Returns
        -------
        ndarray, shape of k

        Raises
        ------
        InputError
            If patterns differ in c, or c > 1 where they differ in η: the average then depends on which are seen.

        Examples
        --------
        >>> Learner(eta=0.5).on_exposures([0, 1, 2])
        array([1.  , 0.5 , 0.25])
        >>> Learner(eta=MixingLaw("beta", 1.0, 1.0)).on_exposures([1, 3])
        array([0.5 , 0.25])
        """
        if len(set(self.needed)) > 1 or (isinstance(self.eta, MixingLaw) and self.needed[0] > 1):
            raise InputError("there is no one P(k) for these patterns", hint="one c for all; with a law of η, c = 1")
        counts = np.asarray(k, np.int64)
        if isinstance(self.eta, MixingLaw):
            return self.eta.curve(counts)
        return _fewer(counts, np.full(counts.shape, self.needed[0]), np.full(counts.shape, self.eta))


@dataclass
class AsRouter:
    """A learner that answers what attention showed it last.

    Parameters
    ----------
    learner : Learner

    Examples
    --------
    >>> from theory.tasks.retrieval import Stream, play, uniform
    >>> stream = Stream.independent(uniform(4), values=3, length=60)
    >>> run = play(stream, AsRouter(Learner(c=2)), 0, 50)
    >>> int(run.error.sum()), bool((run.attended == (exposures(run.queries) < 2)).all())
    (0, True)
    """

    learner: Learner

    def begin(self, stream: Stream, size: int, rng: np.random.Generator) -> None:
        """Draw thresholds, forget everything."""
        thresholds = self.learner.thresholds(stream.patterns, size=size, rng=rng)
        self._threshold = np.pad(thresholds, ((0, 0), (1, 0)))
        self._value, self._learned, self._seen = (np.zeros_like(self._threshold) for _ in range(3))
        self._rows, self._queries = np.arange(size), np.zeros(size, np.int64)

    def decide(self, t: int, z: Integers) -> tuple[Booleans, Integers]:
        """Attend while too few exposures were learned from."""
        at = self._rows, z
        return self._learned[at] < self._threshold[at], np.maximum(self._value[at], 1)

    def observe(self, t: int, z: Integers, attended: Booleans, value: Integers) -> None:
        """Count the exposure, learning where a batch ends."""
        at = self._rows, z
        self._seen[at] += 1
        self._value[at] = np.where(value > 0, value, self._value[at])
        self._queries += z > 0
        ends = (z > 0) & (self._queries % self.learner.batch == 0)
        self._learned[ends] = self._seen[ends]


def _fewer(n: NDArray[np.int64], c: NDArray[np.int64], q: Array) -> Array:
    """P(Bin(n, q) < c), elementwise."""
    return np.asarray(special.bdtr(np.minimum(c - 1, n).astype(float), n, q))


def _at_queries(per_pattern: NDArray[np.int64], queries: Integers) -> Integers:
    """Entry of each query's pattern.

    That of pattern 1 where there is no query.
    """
    return np.take_along_axis(per_pattern, np.maximum(queries, 1) - 1, axis=1)


@dataclass(frozen=True)
class Following:
    """A measured curve beside the exact one, shape (points,) each.

    Attributes
    ----------
    x : ndarray
        Queries of the stream before, or exposures.
    mean, low, high : ndarray
        Over streams, with limits that hold for all points together with the probability ``level``.
    exact : ndarray
    level : float
    """

    x: Array
    mean: Array
    low: Array
    high: Array
    exact: Array
    level: float

    @property
    def error(self) -> float:
        """Largest distance of the mean from the exact curve."""
        return float(np.abs(self.mean - self.exact).max())

    @property
    def bound(self) -> float:
        """Largest distance that the limits allow."""
        return float(np.maximum(self.high - self.mean, self.mean - self.low).max())

    @property
    def holds(self) -> bool:
        """Whether the exact curve lies within all the limits.

        For an exact learner it does, except with probability 1 − level.
        """
        return bool(np.all((self.low <= self.exact) & (self.exact <= self.high)))


def follow_stream(
    learner: Learner,
    probabilities: ArrayLike,
    n: ArrayLike,
    *,
    streams: int = 1000,
    level: float = 0.999,
    rng: np.random.Generator | int = 0,
) -> Following:
    """Compare a learner with its exact curve over the stream.

    It is played on streams of independent queries.

    A stream gives, at each n, the probability that the next query is attended: the mass of the patterns not yet known.

    Parameters
    ----------
    learner : Learner
    probabilities : array_like, shape (K,)
    n : array_like of int, shape (points,)
        Queries before the one that is attended or not; 1 or more.
    streams : int
    level : float
    rng : numpy Generator or int

    Returns
    -------
    Following

    Examples
    --------
    >>> from theory.bounds.t4_zipf_streams import frequencies
    >>> found = follow_stream(Learner(c=5, batch=16), frequencies(1.754, 100), [64, 512, 4096], streams=400)
    >>> found.holds, found.error < found.bound < 0.06
    (True, True)
    """
    p, at = np.asarray(probabilities, float), np.asarray(n)
    longest, learned = int(at.max()), at // learner.batch * learner.batch
    left = np.empty((streams, at.size))
    for rows, queries, thresholds in _played(learner, p, longest, streams, rng):
        done = np.where(exposures(queries) == _at_queries(thresholds, queries) - 1, p[queries - 1], 0.0).cumsum(axis=1)
        left[rows] = 1.0 - np.pad(done, ((0, 0), (1, 0)))[:, learned]
    return _following(at, list(np.clip(left, 0.0, 1.0).T), learner.on_stream(at, p), level)


def follow_exposures(
    learner: Learner,
    probabilities: ArrayLike,
    k: ArrayLike,
    *,
    length: int,
    streams: int = 1000,
    level: float = 0.999,
    rng: np.random.Generator | int = 0,
) -> Following:
    """Compare a learner with its exact curve P(k).

    It is played on streams of independent queries; attention at each exposure is compared.

    A stream gives, at each k, the share attended of its queries for patterns learned from k times. Which patterns get
    that far depends on the queries alone; streams in which none does say nothing.

    Parameters
    ----------
    learner : Learner
    probabilities : array_like, shape (K,)
    k : array_like of int, shape (points,)
    length : int
        Queries in a stream.
    streams, level, rng
        As for :func:`follow_stream`.

    Returns
    -------
    Following

    Raises
    ------
    InputError
        If no pattern of any stream is seen so often.

    Examples
    --------
    >>> from theory.bounds.t4_zipf_streams import frequencies
    >>> learner = Learner(eta=MixingLaw("beta", 0.43, 1.0))
    >>> found = follow_exposures(learner, frequencies(1.5, 50), [0, 1, 10, 100], length=1000, streams=300)
    >>> found.holds, found.error < found.bound < 0.15
    (True, True)
    """
    p, at = np.asarray(probabilities, float), np.asarray(k)
    share: list[Array] = []
    for _, queries, thresholds in _played(learner, p, length, streams, rng):
        known = learner.known(queries)
        attended = known < _at_queries(thresholds, queries)
        counts = np.array([[(known == x).sum(axis=1), (attended & (known == x)).sum(axis=1)] for x in at])
        with np.errstate(invalid="ignore"):
            share.append(counts[:, 1] / counts[:, 0])
    columns = [column[~np.isnan(column)] for column in np.concatenate(share, axis=1)]
    if rare := [int(x) for x, column in zip(at, columns, strict=True) if not column.size]:
        raise InputError(f"no pattern is seen {rare[0]} times", hint="use longer streams")
    return _following(at, columns, learner.on_exposures(at), level)


def _played(
    learner: Learner, p: Array, length: int, streams: int, rng: np.random.Generator | int
) -> Iterator[tuple[slice, Integers, Integers]]:
    """Play streams in parts that fit into memory.

    Yields which ones, their queries, their thresholds.
    """
    generator, step = np.random.default_rng(rng), max(1, _AT_ONCE // length)
    for begin in range(0, streams, step):
        rows = slice(begin, min(begin + step, streams))
        size = rows.stop - begin
        queries = generator.choice(p.size, (size, length), p=p) + 1
        yield rows, queries, learner.thresholds(p.size, size=size, rng=generator)


def _following(x: NDArray[np.int64], columns: Sequence[Array], exact: Array, level: float) -> Following:
    """Means over streams with simultaneous limits.

    At the level that the points hold together.
    """
    each = 1.0 - (1.0 - level) / x.size
    limits = [mean_sequence(column, level=each) for column in columns]
    low, high = (np.array([ends[-1] for ends in side]) for side in zip(*limits, strict=True))
    mean = np.array([column.mean() for column in columns])
    return Following(x.astype(float), mean, low, high, exact, level)

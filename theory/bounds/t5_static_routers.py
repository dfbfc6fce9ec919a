"""T5: a static router with memory is sublinear; what it pays over one that knows its history.

**Statement.** Queries without labels; a router that attends to a pattern with one fixed probability ρ and remembers
what it was shown. A pattern asked for m times costs it, in attention plus V/(V−1) times errors,

    J(m, ρ) = mρ + Σ_{j=1..m} (1−ρ)^j,   max(√(2m) − 1/2, 2√(m+1) − 2) ≤ min_ρ J(m, ρ) ≤ 2√m − 1   (m ≥ 1).

**Counterexample** to "a static router needs Ω(fn) attention": one rate ρ = K/(δN) for N ≥ K/δ queries of K patterns has
at most δN errors and attends to K/δ queries, whatever N is.

**Growth**, cost of the best router of each class over N independent queries:

- memoryless: N;
- static, one rate: for K equally frequent patterns between K(2√(N/K+1) − 2) and 2√(KN) − K; for Zipf frequencies
  (s > 1, γ = 1 − 1/s, C = Γ(γ)ζ(s)^{−1/s}) ~ (1 + 1/γ)(γC)^{1/(1+γ)} N^{1/(1+γ)};
- static, a rate for each pattern: at least Σ(2√(m_k+1) − 2) for m_k = Np_k, and at most 2√m_k − 1 (m_k if that is below
  1) a pattern: for Zipf frequencies with s < 2 of the order N^{1/s} of a closed loop;
- open loop (ρ depends on the time alone): the best attends first and then never; for K ≤ N equally frequent patterns at
  most K ln(N/K) + K; for Zipf ~ (1 + 1/γ)(γC/s)^{1/(1+γ)} N^{1/(1+γ)}, the exponent of a static router;
- closed loop: E[D_N] ≤ K (T3); for Zipf ~ C N^{1/s}.

**Assumptions.** Fresh uniform values; no labels (with labels no attention is needed at a second sight). Growth: queries
are independent of each other and of the router's coins.

**Reference.** Against "static schemes need (1−ε)fn" (CRAM, arXiv 2602.12204, Theorem 1 with its Definition 2). Proofs
are in docs/theory.md.

**Check.** The algebra by SMT and as polynomial identities; the exact minimum of J for small m by Sturm sequences; the
counterexample by enumeration; the best rates by convex minimisation; routers that are played.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from cogfit.errors import InputError, nearest
from theory.bounds import t4_zipf_streams
from theory.bounds.confidence_sequences import mean_sequence
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Number, Verdict
from theory.tasks.retrieval import Booleans, Event, Integers, Policy, Router, Stream, evaluate, play, uniform

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_FINE = np.geomspace(1e-9, 1.0, 4001)


# ------------------------------------------------------------------------------------------------- one pattern


def cost(m: ArrayLike, rho: ArrayLike) -> Array:
    """Cost J(m, ρ) of a pattern asked for m times.

    Attention plus V/(V−1) times errors, both expected.

    Parameters
    ----------
    m : array_like
        Queries for the pattern, 0 or more.
    rho : array_like
        Probability of attending, 0 to 1.

    Returns
    -------
    ndarray, of the common shape

    Examples
    --------
    >>> cost(3, [0.0, 0.5, 1.0])
    array([3.   , 2.375, 3.   ])
    """
    counts, rate = np.broadcast_arrays(np.asarray(m, dtype=float), np.asarray(rho, dtype=float))
    if np.any(counts < 0.0) or np.any((rate < 0.0) | (rate > 1.0)):
        raise InputError("a cost needs counts of 0 or more and rates from 0 to 1")
    some = np.where(rate > 0.0, rate, 1.0)
    unrevealed = np.where(rate > 0.0, (1.0 - some) * -np.expm1(special.xlog1py(counts, -some)) / some, counts)
    return np.asarray(counts * rate + unrevealed)


def best_rate(m: int) -> tuple[float, float]:
    """Rate with the least cost for one pattern.

    It is asked for m times.

    By convex minimisation.

    Parameters
    ----------
    m : int
        1 or more.

    Returns
    -------
    rho, cost : float

    Examples
    --------
    >>> best_rate(2)
    (0.5, 1.75)
    """
    if m < 1 or m != int(m):
        raise InputError(f"{m} queries for a pattern", hint="give a whole number of 1 or more")
    if m == 1:  # every rate costs 1
        return 1.0, 1.0

    def slope(rho: float) -> float:
        q = 1.0 - rho
        power = q**m
        return float(m - (1.0 - power * (1.0 + m * rho)) / rho**2)

    rho = float(optimize.brentq(slope, 0.5 / m, 1.0, xtol=1e-15))
    return rho, float(cost(m, rho))


def limits(m: ArrayLike) -> tuple[Array, Array]:
    """Limits of the least cost of a pattern.

    It is asked for m times; by the theorem.

    Parameters
    ----------
    m : array_like
        1 or more; a mean number of queries where these are independent (only 2√(m+1) − 2 holds as lower limit then).

    Returns
    -------
    low, high : ndarray, shape of m

    Examples
    --------
    >>> [round(float(end), 3) for end in limits(100)], round(best_rate(100)[1], 3)
    ([18.1, 19.0], 19.0)
    """
    counts = np.asarray(m, dtype=float)
    return np.maximum(np.sqrt(2.0 * counts) - 0.5, 2.0 * np.sqrt(counts + 1.0) - 2.0), 2.0 * np.sqrt(counts) - 1.0


def sparse_rate(patterns: int, queries: int, delta: float) -> tuple[float, float]:
    """A static rate with few errors: the counterexample.

    At most δN errors, and its expected attention K/δ.

    Parameters
    ----------
    patterns, queries : int
        K and N.
    delta : float
        Errors allowed per query, K/N or more.

    Returns
    -------
    rho, attention : float

    Examples
    --------
    >>> [sparse_rate(10, n, 0.1)[1] for n in (1000, 1_000_000)]
    [100.0, 100.0]
    """
    if not patterns / queries <= delta <= 1.0:
        raise InputError(f"δ = {delta} with K/N = {patterns / queries:.3g}", hint="δ lies between K/N and 1")
    return patterns / (delta * queries), patterns / delta


# ------------------------------------------------------------------------------------- classes of routers, on streams


@dataclass(frozen=True)
class Law:
    """Independent queries with Zipf frequencies.

    Attributes
    ----------
    s : float
        Zipf exponent; 0 for equal frequencies.
    patterns : int or inf
        K; infinitely many need s > 1.
    """

    s: float
    patterns: float

    @property
    def gamma(self) -> float:
        """1 − 1/s."""
        return 1.0 - 1.0 / self.s

    @property
    def growth(self) -> float:
        """C of E[D_N] ~ C·N^{1/s}: Γ(γ)ζ(s)^{−1/s}."""
        return float(special.gamma(self.gamma) * special.zeta(self.s) ** (-1.0 / self.s))

    def distinct(self, n: int, rate: float = 1.0) -> float:
        """Return the expected number of patterns among n queries.

        Each query counts with a probability.
        """
        return float(np.mean(t4_zipf_streams.distinct(n, self.s, patterns=self.patterns, rate=rate)))

    def unseen(self, n: int) -> float:
        """Return the probability that the next pattern is new.

        One not seen in n queries.
        """
        return float(np.mean(t4_zipf_streams.attention(n, self.s, patterns=self.patterns))) if n else 1.0


@dataclass(frozen=True)
class RouterClass:
    """A class of routers and what its best member costs.

    Attributes
    ----------
    name, title : str
    cost : callable
        ``cost(n, law) -> float``: expected attention plus V/(V−1) times errors of the best router, exactly.
    limits : callable
        ``limits(n, law) -> (low, high)``: what the theorem says of it, NaN where it says nothing.
    asymptote : callable
        ``asymptote(n, law) -> float``: leading term for infinitely many Zipf patterns, NaN where there is none.
    """

    name: str
    title: str
    cost: Callable[[int, Law], float]
    limits: Callable[[int, Law], tuple[float, float]]
    asymptote: Callable[[int, Law], float]


def _one_rate(n: int, law: Law) -> float:
    def at(log_rate: float) -> float:
        rho = math.exp(log_rate)
        return n * rho + (1.0 - rho) / rho * law.distinct(n, rho)

    if n == 1:
        return 1.0
    return float(
        optimize.minimize_scalar(at, bounds=(-math.log(n), 0.0), method="bounded", options={"xatol": 1e-7}).fun
    )


def _one_rate_limits(n: int, law: Law) -> tuple[float, float]:
    if math.isfinite(law.patterns):
        each = n * t4_zipf_streams.frequencies(law.s, law.patterns)
        high = 2.0 * math.sqrt(law.patterns * n) - law.patterns if n >= law.patterns else n
        return float(np.sum(2.0 * np.sqrt(each + 1.0) - 2.0)), float(high)
    # The cost is Nρ + (1−ρ)·D(ρ)/ρ with ρ^{1/s}C_N − 1 ≤ D(ρ) ≤ ρ^{1/s}C_N. D(ρ)/ρ falls, so between two rates of the
    # grid it is at least the first term at the lower one plus the second at the higher one; below the grid, the second
    # alone.
    whole = float(t4_zipf_streams.distinct_closed_form(n, law.s))
    seen = _FINE ** (1.0 / law.s) * whole
    least = np.maximum.accumulate(((seen - 1.0) / _FINE)[::-1])[::-1]
    low = n * np.concatenate([[0.0], _FINE[:-1]]) + (1.0 - _FINE) * np.maximum(least, 0.0)
    return float(low.min()), float((n * _FINE + (1.0 - _FINE) / _FINE * seen).min())


def _leading(n: int, law: Law) -> Array:
    """Frequencies of the patterns that matter.

    Those that are asked for often enough.
    """
    if math.isfinite(law.patterns):
        return t4_zipf_streams.frequencies(law.s, law.patterns)
    size = max(10_000.0, min(10.0 * n ** (1.0 / law.s), 1e6))
    return np.asarray(np.arange(1.0, size + 1.0) ** -law.s / special.zeta(law.s))


def _rate_each(n: int, law: Law) -> float:
    """Cost with the best rate for every pattern.

    By golden-section search for all at once.

    Patterns that are hardly asked for are charged what they cost at the rate 1, the most.
    """
    p = _leading(n, law)
    p = p[n * p > 1e-6]
    rare_queries = n * max(1.0 - float(p.sum()), 0.0)

    def at(log_rate: Array) -> Array:
        rho = np.exp(log_rate)
        return np.asarray(n * p * rho - (1.0 - rho) / rho * np.expm1(special.xlog1py(n, -rho * p)))

    golden = (math.sqrt(5.0) - 1.0) / 2.0
    a, b = np.full(p.size, -math.log(n) - 1.0), np.zeros(p.size)
    for _ in range(45):
        c, d = b - golden * (b - a), a + golden * (b - a)
        left = at(c) < at(d)
        a, b = np.where(left, a, c), np.where(left, d, b)
    return float(np.minimum(at(0.5 * (a + b)), n * p).sum()) + rare_queries


def _rate_each_limits(n: int, law: Law) -> tuple[float, float]:
    each = n * _leading(n, law)
    rare_queries = max(n - float(each.sum()), 0.0)
    high = np.where(each >= 1.0, 2.0 * np.sqrt(each) - 1.0, each)
    return float(np.sum(2.0 * np.sqrt(each + 1.0) - 2.0)), float(high.sum()) + rare_queries


def _open_loop(n: int, law: Law) -> float:
    """Attend at the first x queries, then never.

    x + (n − x)·u(x), convex in x.
    """

    def at(x: int) -> float:
        return x + (n - x) * law.unseen(x)

    low, high = 0, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if at(middle) >= at(middle - 1) else (middle, high)
    return min(at(low), at(high))


def _open_loop_limits(n: int, law: Law) -> tuple[float, float]:
    if law.s > 0.0:
        return law.distinct(n), math.nan
    k = law.patterns
    return law.distinct(n), k * math.log(n / k) + k if n >= k else float(n)


def _closed_loop_limits(n: int, law: Law) -> tuple[float, float]:
    if math.isfinite(law.patterns):
        return 0.0, min(float(law.patterns), n)
    value = float(t4_zipf_streams.distinct_closed_form(n, law.s))
    return value - 1.0, value


def _power(n: int, law: Law, constant: float) -> float:
    """min_a (a + C·a^−γ)·n^{1/(1+γ)}."""
    g = law.gamma
    return float((1.0 + 1.0 / g) * (g * constant * n) ** (1.0 / (1.0 + g)))


def _nothing(n: int, law: Law) -> float:
    return math.nan


_CLASSES = (
    RouterClass(
        name="memoryless",
        title="no memory",
        cost=lambda n, law: float(n),
        limits=lambda n, law: (float(n), float(n)),
        asymptote=lambda n, law: float(n),
    ),
    RouterClass(
        name="static",
        title="static with memory, one rate",
        cost=_one_rate,
        limits=_one_rate_limits,
        asymptote=lambda n, law: _power(n, law, law.growth),
    ),
    RouterClass(
        name="static_by_pattern",
        title="static with memory, a rate for each pattern",
        cost=_rate_each,
        limits=_rate_each_limits,
        asymptote=_nothing,
    ),
    RouterClass(
        name="open_loop",
        title="open loop: a schedule in time",
        cost=_open_loop,
        limits=_open_loop_limits,
        asymptote=lambda n, law: _power(n, law, law.growth / law.s),
    ),
    RouterClass(
        name="closed_loop",
        title="closed loop: attends at first sight",
        cost=lambda n, law: law.distinct(n),
        limits=_closed_loop_limits,
        asymptote=lambda n, law: law.growth * n ** (1.0 / law.s),
    ),
)
ROUTERS = {item.name: item for item in _CLASSES}
"""Classes of routers by name, from the weakest to the strongest."""


def least_cost(router: str, n: int, s: float = 0.0, patterns: float = math.inf) -> float:
    """Expected cost of the best router of a class.

    Attention plus V/(V−1) times errors, over n independent queries.

    Parameters
    ----------
    router : {"memoryless", "static", "static_by_pattern", "open_loop", "closed_loop"}
    n : int
        Queries, 1 or more.
    s : float, default 0
        Zipf exponent of the frequencies; 0 for equal ones.
    patterns : int or inf
        K; infinitely many need s > 1.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If there is no such class, or the frequencies are no distribution.

    Examples
    --------
    >>> [round(least_cost(name, 10_000, patterns=100)) for name in ROUTERS]
    [10000, 1900, 1900, 554, 100]
    """
    if router not in ROUTERS:
        raise InputError(f"no class of routers '{router}'", hint=nearest(router, ROUTERS))
    t4_zipf_streams.attention(n, s, patterns=patterns)  # checks the arguments
    return ROUTERS[router].cost(n, Law(s, patterns))


def curves() -> pd.DataFrame:
    """Cost against the number of queries, by router class.

    On two laws of queries.

    Returns
    -------
    pandas.DataFrame
        One row per law, class and n: ``law`` (label), ``s``, ``patterns``, ``router``, ``title``, ``n``, ``exact``
        (attention plus V/(V−1)·errors of the best router), ``low`` and ``high`` (the theorem's limits) and
        ``asymptote``; NaN where there is none.
    """
    import pandas as pd

    rows = []
    for label, law, longest in (
        ("100 equally frequent patterns", Law(0.0, 100), 1e6),
        ("Zipf, s = 1.754", Law(1.754, math.inf), 1e6),
    ):
        for n in np.unique(np.geomspace(1.0, longest, 25).round()).astype(int).tolist():
            for item in _CLASSES:
                low, high = item.limits(n, law)
                asymptote = item.asymptote(n, law) if law.s > 1.0 else math.nan
                row = (label, law.s, law.patterns, item.name, item.title, n, item.cost(n, law), low, high, asymptote)
                rows.append(row)
    names = ["law", "s", "patterns", "router", "title", "n", "exact", "low", "high", "asymptote"]
    return pd.DataFrame(rows, columns=names)


# ---------------------------------------------------------------------------------------------- routers to be played


class Remembering:
    """A router that attends by time alone and remembers.

    Its probability of attending depends on the time alone; it remembers what it was shown.

    Parameters
    ----------
    rate : callable
        ``rate(t) -> float``, t from 0: constant for a static router, anything for an open loop.
    """

    def __init__(self, rate: Callable[[int], float]) -> None:
        self.rate = rate

    def begin(self, stream: Stream, size: int, rng: np.random.Generator) -> None:
        """Forget everything."""
        self._known = np.zeros((size, stream.patterns + 1), np.int64)
        self._rows, self._rng, self._values = np.arange(size), rng, stream.values

    def decide(self, t: int, z: Integers) -> tuple[Booleans, Integers]:
        """Throw the coin of this step.

        Output what is known, else a guess.
        """
        known = self._known[self._rows, z]
        guess = self._rng.integers(1, self._values + 1, z.size)
        return self._rng.random(z.size) < self.rate(t), np.where(known > 0, known, guess)

    def observe(self, t: int, z: Integers, attended: Booleans, value: Integers) -> None:
        """Remember."""
        seen = value > 0
        self._known[self._rows[seen], z[seen]] = value[seen]


def static_policy(rho: Sequence[Fraction]) -> Policy:
    """A static router with rates, for exact enumeration.

    It remembers what it was shown.

    Examples
    --------
    >>> static_policy([Fraction(1, 2)])(((1, True, 2),), 1)
    (Fraction(1, 2), 2)
    """

    def policy(history: tuple[Event, ...], z: int) -> tuple[Fraction, int]:
        shown = [value for pattern, _, value in history if pattern == z and value]
        return rho[z - 1], shown[-1] if shown else 1

    return policy


def simulate(
    router: Router, stream: Stream, *, streams: int = 1000, level: float = 0.99, rng: int = 0
) -> tuple[float, float, float]:
    """Simulated cost of a router on one stream.

    Attention plus V/(V−1) times errors.

    Parameters
    ----------
    router : Router
    stream : Stream
    streams : int
    level : float
        Of the confidence sequence over the streams, each with a fresh table of values.
    rng : int

    Returns
    -------
    mean, low, high : float

    Examples
    --------
    >>> stream = Stream.independent(uniform(5), values=4, length=50)
    >>> mean, low, high = simulate(Remembering(lambda t: 0.3), stream)
    >>> low < 0.3 * 50 + 0.7 / 0.3 * 5 * (1 - (1 - 0.3 / 5) ** 50) < high
    True
    """
    run = play(stream, router, rng, streams)
    price = stream.values / (stream.values - 1)
    total = run.attended.sum(axis=1) + price * run.error.sum(axis=1)
    ends = mean_sequence(total, low=0.0, high=price * stream.length, level=level)
    return float(total.mean()), float(ends.lower[-1]), float(ends.upper[-1])


# -------------------------------------------------------------------------------------------------------- certificate


def least_cost_certificate(m: int) -> dict[str, Any]:
    """Certificate of the least cost of a pattern.

    min_ρ J(m, ρ) lies within 2·10⁻⁶ of the computed value, and within the theorem's limits.

    J is a polynomial in ρ; a Sturm sequence shows that it stays above a number just below the minimum on [0, 1].

    Parameters
    ----------
    m : int
        2 or more.

    Returns
    -------
    Mapping
        Documents of the kinds ``sturm`` and ``arithmetic``.
    """
    rho, least = best_rate(m)
    below, above = Fraction(math.floor(least * 10**6) - 1, 10**6), Fraction(math.ceil(least * 10**6) + 1, 10**6)
    at = Fraction(round(rho * 10**6), 10**6)
    coefficients = [Fraction(m), m - Fraction(m * (m + 1), 2)]
    coefficients += [Fraction((-1) ** i * math.comb(m + 1, i + 1)) for i in range(2, m + 1)]
    coefficients[0] -= below
    return bundle(
        {
            "kind": "sturm",
            "coefficients": [written(c) for c in coefficients],
            "interval": ["0", "1"],
            "roots": 0,
            "sign": 1,
        },
        {
            "kind": "arithmetic",
            "definitions": {
                "least": written(below),
                "rho": written(at),
                "at": f"{m}*rho + sum(j, 1, {m}, (1 - rho)**j)",
            },
            "facts": [
                f"at <= {written(above)}",
                f"(at + 1)**2 <= 4*{m}",
                f"(least + 1/2)**2 >= 2*{m}",
                f"(least + 2)**2 >= 4*({m} + 1)",
            ],
        },
        title=f"least cost of a pattern asked for {m} times",
    )


def check() -> Verdict:
    """Verdict on T5.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('proved', True)
    """
    computed: dict[str, Number] = {}
    claimed: dict[str, Number] = {}
    rate = Fraction(1, 3)
    played_by_all = evaluate(Stream.fixed([1] * 6, values=2), static_policy([rate]))
    name = "J(6, 1/3), all tables and coins"
    computed[name] = sum(played_by_all.attention) + 2 * sum(played_by_all.error)
    claimed[name] = 6 * rate + sum((1 - rate) ** j for j in range(1, 7))
    for m in (10, 1000):
        computed[f"min J({m}, ρ)"] = best_rate(m)[1]
        computed[f"min J({m}, ρ), lower limit"], computed[f"min J({m}, ρ), upper limit"] = map(float, limits(m))
    for name, item in ROUTERS.items():
        computed[f"cost, N = 10⁴, K = 100 equally frequent: {item.title}"] = least_cost(name, 10_000, patterns=100)
    for name in ("static", "open_loop", "closed_loop"):
        quantity = f"cost, N = 10⁶, Zipf s = 2: {ROUTERS[name].title}"
        computed[quantity] = least_cost(name, 10**6, 2.0)
        computed[f"{quantity}, leading term"] = ROUTERS[name].asymptote(10**6, Law(2.0, math.inf))
    stream, rho = Stream.independent(uniform(20), values=8, length=400), math.sqrt(20 / 400)
    name = "cost of ρ = √(K/N), K = 20, N = 400 (simulated)"
    mean, low, high = simulate(Remembering(lambda t: rho), stream, rng=5)
    computed[name] = mean
    claimed[name] = 400 * rho + (1 - rho) / rho * Law(0.0, 20).distinct(400, rho)
    return Verdict(
        claim="T5",
        source="against CRAM Theorem 1 with its Definition 2 (arXiv 2602.12204); proofs: docs/theory.md",
        status="proved",
        statement="A static router with memory and without labels pays min_ρ J(m, ρ) for a pattern asked for m times, "
        "between max(√(2m) − 1/2, 2√(m+1) − 2) and 2√m − 1; at a rate of δ errors per query K/δ attended queries are "
        "enough for a stream of any length.",
        certificate=bundle(*_ALGEBRA, *(least_cost_certificate(m) for m in _CERTIFIED), *map(_sparse, (32, 64))),
        assumptions=("fresh uniform values, no labels", "growth: independent queries"),
        computed=computed,
        claimed=claimed,
        remarks=(
            f"simulated: a 99 % confidence sequence over 1000 streams ends at [{low:.2f}, {high:.2f}]",
            "leading terms are those of the cost for Zipf frequencies as N grows, not the cost at this N",
            "a static router that knows the frequencies reaches the order of a closed loop for Zipf with s < 2",
        ),
    )


_CERTIFIED = (2, 3, 5, 8, 12, 20)
_DECLARED = "(declare-const {} Real)"


def _smt(title: str, names: str, *assertions: str) -> dict[str, Any]:
    """Script whose unsatisfiability proves the conclusion.

    Its last assertion, the negated conclusion, contradicts the others.
    """
    lines = [*map(_DECLARED.format, names.split()), *(f"(assert {text})" for text in assertions)]
    return {"kind": "smt", "title": title, "script": "\n".join(lines), "expect": "unsat"}


SQUARE_ROOT_LIMITS: tuple[dict[str, Any], ...] = (
    _smt(
        "(1−ρ)^{m+1} ≤ 1/(1+(m+1)ρ), if (1−ρ)^m = p ≤ 1/(1+mρ)",
        "p r m",
        "(and (<= 0 r) (<= r 1) (<= 0 m) (<= 0 p))",
        "(<= (* p (+ 1 (* m r))) 1)",
        "(> (* p (- 1 r) (+ 1 (* (+ m 1) r))) 1)",
    ),
    {
        "kind": "identity",
        "title": "with that bound J is at least y + (m+1)/y − 2, y = 1 + mρ",
        "definitions": {"y": "1 + m*rho"},
        "left": "m*rho + (1 - rho)/rho*(1 - 1/(1 + m*rho))",
        "right": "y + (m + 1)/y - 2",
    },
    {
        "kind": "identity",
        "title": "so it is at least 2w − 2, w = √(m+1)",
        "left": "y + w**2/y - 2*w",
        "right": "(y - w)**2/y",
    },
    {
        "kind": "identity",
        "title": "at ρ = 1/√m = 1/w it is at most 2√m − 1",
        "left": "w**2*(1/w) + (1 - 1/w)/(1/w)",
        "right": "2*w - 1",
    },
)
"""Steps of 2√(m+1) − 2 ≤ min_ρ J(m, ρ) ≤ 2√m − 1; the same for a mean number of queries."""

_ALGEBRA: tuple[dict[str, Any], ...] = (
    _smt(
        "(1−ρ)^{j+1} ≥ 1 − (j+1)ρ, if (1−ρ)^j = p ≥ 1 − jρ",
        "p r j",
        "(and (<= 0 r) (<= r 1) (<= 0 j) (<= 0 p))",
        "(>= p (- 1 (* j r)))",
        "(< (* p (- 1 r)) (- 1 (* (+ j 1) r)))",
    ),
    _smt(
        "the larger of L + ρr and L + 1 − ρ(L+1−r) is at least L + r/(L+1)",
        "l r rho v",
        "(and (<= 1 l) (<= 0 r) (<= r (+ l 1)))",
        "(>= v (+ l (* rho r)))",
        "(>= v (- (+ l 1) (* rho (- (+ l 1) r))))",
        "(< (* v (+ l 1)) (+ (* l (+ l 1)) r))",
    ),
    {
        "kind": "identity",
        "title": "so m = L(L+1)/2 + r costs at least √(2m) − 1/2",
        "left": "(L + r/(L + 1) + 1/2)**2 - (L*(L + 1) + 2*r)",
        "right": "(1/2 - r/(L + 1))**2",
    },
    *SQUARE_ROOT_LIMITS,
)


def _sparse(n: int) -> dict[str, Any]:
    """K = 2 patterns in turn, δ = 1/4.

    8 attended queries, at any length.
    """
    return {
        "kind": "counterexample",
        "title": f"static rate K/(δN), K = 2, δ = 1/4, N = {n}: attention K/δ, below (1 − δ)N and (1 − δV/(V−1))N",
        "patterns": 2,
        "values": 2,
        "queries": [1, 2] * (n // 2),
        "memory": {"known": "repeat(0, K + 1)"},
        "attend": f"8/{n}",
        "guess": "max(known[z], 1)",
        "update": {"known": "put(known, z, value) if attended else known"},
        "facts": ["attention == 8", "error <= 1/4 * queries", "attention < (1 - 1/4 * V/(V - 1)) * queries"],
    }

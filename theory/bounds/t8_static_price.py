"""T8: what a static router pays over a closed loop changes its order at the Zipf exponent s = 2.

**Statement.** N independent queries with Zipf frequencies p_k = k^−s/ζ(s), s > 1, without labels. A router attends to
pattern k with a fixed probability ρ_k, which may be chosen with N and p known, and remembers what it was shown. Its
least cost, attention plus V/(V−1) times errors, is

    C_N = Σ_k c_N(p_k),   c_N(p) = min_ρ ρNp + ((1−ρ)/ρ)(1 − (1−ρp)^N).

With X = (N/ζ(s))^{1/s} ≥ 1 and γ = 1 − 1/s:

- s > 2: 2ζ(s/2)√(N/ζ(s)) − 2Xs/(s−2) − 2 ≤ C_N ≤ 2ζ(s/2)√(N/ζ(s));
- s = 2: 2X ln X − 2X ≤ C_N ≤ 2X ln X + 2X + 2;
- s < 2: A·X − 2X^{s/2}/(1−s/2) ≤ C_N ≤ A·X + 1/e, A = (1/s)∫_0^∞ c(x) x^{−1−1/s} dx with the least cost
  c(x) = min_ρ ρx + ((1−ρ)/ρ)(1−e^{−ρx}) of a Poisson number of queries, and
  Γ(γ) < A ≤ 2/(1−s/2) − 1 + 1/(s−1).

A closed loop costs E[D_N] ~ Γ(γ)X (T3, T4). So the price C_N/E[D_N] of a static router grows like N^{1/2−1/s} for
s > 2, like ln N/√π at s = 2, and tends to the constant A/Γ(γ) > 1 for s < 2, where its exponent is the same.

**Assumptions.** Fresh uniform values; independent queries; no labels; what was shown is never lost. A random rate helps
nothing: the cost of a mixture is the mixture of costs.

**Reference.** Extends T5 (the limits 2√(x+1) − 2 and 2√x − 1 of one pattern); missing mass: doi 10.1214/07-PS092. The
proof is in docs/theory.md.

**Check.** The algebra by SMT and identities; the least cost of a pattern by Sturm sequences; the limits at N = 10⁴ and
prices above 1 in interval arithmetic; a static router by enumeration and played; labels and a closed loop break it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from cogfit.errors import InputError
from theory.bounds import t5_static_routers as t5
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Number, Verdict
from theory.tasks.retrieval import Integers, Stream, evaluate, zipf

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

CHANGE = 2.0
"""Zipf exponent at which the price changes its order."""

_QUERIES, _PATTERNS, _STREAMS = 400, 100, 500  # of what is played
_SMALL, _LARGE = 1e-6, 1e4  # outside of these c(x) is x − x²/8 and 2√x − 1 to twelve digits


# ------------------------------------------------------------------------------------------------- one pattern


def pattern_cost(x: ArrayLike) -> Array:
    """Least cost c(x) of a pattern asked for x times.

    x is the mean of a Poisson number of queries.

    Parameters
    ----------
    x : array_like
        0 or more.

    Returns
    -------
    ndarray, shape of x

    Examples
    --------
    >>> pattern_cost([0.0, 1.0, 100.0]).round(4)
    array([ 0.    ,  0.8928, 18.9996])
    """
    mean = np.asarray(x, dtype=float)
    if not np.all(mean >= 0.0):
        raise InputError("a mean number of queries is 0 or more")

    def at(rho: Array) -> Array:
        return np.asarray(rho * mean - (1.0 - rho) / rho * np.expm1(-rho * mean))

    # the best rate falls from 1/2 to x^−1/2, so it lies between these; golden section for all x at once
    low, high = 0.4 / np.sqrt(1.0 + mean), np.minimum(1.5 / np.sqrt(1.0 + mean), 0.75)
    golden = (math.sqrt(5.0) - 1.0) / 2.0
    for _ in range(40):
        left, right = high - golden * (high - low), low + golden * (high - low)
        is_left = at(left) < at(right)
        low, high = np.where(is_left, low, left), np.where(is_left, right, high)
    return at(0.5 * (low + high))


def pattern_limits(x: ArrayLike) -> tuple[Array, Array]:
    """Limits of the least cost of a pattern.

    2√(x+1) − 2 and min(x, 2√x − 1); of c_N(p) with x = Np, too.

    Parameters
    ----------
    x : array_like
        0 or more.

    Returns
    -------
    low, high : ndarray, shape of x

    Examples
    --------
    >>> [float(end) for end in pattern_limits(8.0)]
    [4.0, 4.656854249492381]
    """
    mean = np.asarray(x, dtype=float)
    root = np.sqrt(mean)
    return 2.0 * np.sqrt(mean + 1.0) - 2.0, np.where(mean >= 1.0, 2.0 * root - 1.0, mean)


# ------------------------------------------------------------------------------------------------- Zipf frequencies


def scale(n: ArrayLike, s: float) -> Array:
    """Rank X = (N/ζ(s))^{1/s} that is asked for once.

    On average, in N queries.

    Examples
    --------
    >>> float(scale(10_000, 2.0).round(2))
    77.97
    """
    return np.asarray((np.asarray(n, dtype=float) / special.zeta(_checked(s))) ** (1.0 / s))


def least_cost(n: int, s: float) -> float:
    """Least cost C_N of a static router.

    Its rates are chosen with N and the law known.

    Parameters
    ----------
    n : int
        Queries, 1 or more.
    s : float
        Zipf exponent, above 1.

    Returns
    -------
    float

    Examples
    --------
    >>> round(least_cost(10_000, 3.0), 1)
    383.3
    """
    return t5.least_cost("static_by_pattern", n, _checked(s))


def constant(s: float) -> float:
    """Constant A of C_N ~ A·X below the change.

    Parameters
    ----------
    s : float
        Zipf exponent, above 1 and below 2.

    Returns
    -------
    float
        Infinite from s = 2 on.

    Examples
    --------
    >>> round(constant(1.5), 3), constant(2.0)
    (8.797, inf)
    """
    if _checked(s) >= CHANGE:
        return math.inf
    # Gauss–Legendre in y = log x; at both ends c is known
    nodes, weights = np.polynomial.legendre.leggauss(120)
    low, high = math.log(_SMALL), math.log(_LARGE)
    y = 0.5 * (high - low) * nodes + 0.5 * (high + low)
    middle = 0.5 * (high - low) * float(weights @ (pattern_cost(np.exp(y)) * np.exp(-y / s)))
    gamma = 1.0 - 1.0 / s
    below = _SMALL**gamma / gamma - _SMALL ** (1.0 + gamma) / (8.0 * (1.0 + gamma))
    above = 2.0 * _LARGE ** (0.5 - 1.0 / s) / (1.0 / s - 0.5) - s * _LARGE ** (-1.0 / s)
    return float(below + middle + above) / s


def limits(n: int, s: float) -> tuple[float, float]:
    """Limits of C_N that the theorem gives.

    Parameters
    ----------
    n : int
        Queries; at least ζ(s), so that X ≥ 1.
    s : float
        Zipf exponent, above 1.

    Returns
    -------
    low, high : float

    Examples
    --------
    >>> [[round(end) for end in limits(10**6, s)] for s in (1.5, 2.0, 3.0)]
    [[41426, 46376], [8824, 11945], [4199, 4765]]
    """
    x = float(scale(n, s))
    if x < 1.0:
        raise InputError(f"{n} queries", hint=f"the limits hold from N = {math.ceil(special.zeta(s))} on")
    if s > CHANGE:
        leading = 2.0 * float(special.zeta(s / 2.0)) * math.sqrt(n / float(special.zeta(s)))
        return leading - 2.0 * x * s / (s - 2.0) - 2.0, leading
    if s == CHANGE:
        leading = 2.0 * x * math.log(x)
        return leading - 2.0 * x, leading + 2.0 * x + 2.0
    leading = constant(s) * x
    return leading - 2.0 * x ** (s / 2.0) / (1.0 - s / 2.0), leading + 1.0 / math.e


def price(n: int, s: float) -> float:
    """Price C_N/E[D_N] of a static router.

    Its least cost over that of a closed loop.

    Parameters
    ----------
    n : int
        Queries.
    s : float
        Zipf exponent, above 1.

    Returns
    -------
    float
        1 or more.

    Examples
    --------
    >>> [round(price(n, 2.0), 2) for n in (10**4, 10**6)]  # grows by ln(100)/√π = 2.60
    [5.5, 8.07]
    """
    return least_cost(n, s) / t5.least_cost("closed_loop", n, s)


def leading_price(n: ArrayLike, s: float) -> Array:
    """Leading term of the price for many queries.

    Parameters
    ----------
    n : array_like
        Queries.
    s : float
        Zipf exponent, above 1.

    Returns
    -------
    ndarray, shape of n

    Examples
    --------
    >>> leading_price([1e4, 1e8], 1.5).round(3)
    array([3.284, 3.284])
    """
    size, gamma = np.asarray(n, dtype=float), float(special.gamma(1.0 - 1.0 / _checked(s)))
    if s > CHANGE:
        zeta = float(special.zeta(s))
        return np.asarray(2.0 * special.zeta(s / 2.0) * zeta ** (1.0 / s - 0.5) / gamma * size ** (0.5 - 1.0 / s))
    if s == CHANGE:
        return np.asarray(np.log(size) / math.sqrt(math.pi))
    return np.full(size.shape, constant(s) / gamma)


# ---------------------------------------------------------------------------------------------- routers to be played


def rates(n: int, probabilities: Sequence[float]) -> Array:
    """Rates min(1, 1/√(Np)) of a simple static router.

    Its cost is at most 2√(Np) − 1, or Np, per pattern.

    Examples
    --------
    >>> rates(100, [0.64, 0.36, 0.001])
    array([0.125     , 0.16666667, 1.        ])
    """
    return np.asarray(1.0 / np.sqrt(np.maximum(n * np.asarray(probabilities, dtype=float), 1.0)))


def rates_cost(n: int, probabilities: Sequence[float], rho: Sequence[float] | Array) -> float:
    """Expected cost of a static router with these rates.

    Parameters
    ----------
    n : int
        Queries.
    probabilities, rho : sequence of float, length K
        Of the patterns, and of attending to them.

    Returns
    -------
    float

    Examples
    --------
    >>> rates_cost(4, [0.5, 0.5], [0.5, 1.0])
    3.68359375
    """
    p, rate = np.asarray(probabilities, dtype=float), np.asarray(rho, dtype=float)
    return float(np.sum(n * p * rate - (1.0 - rate) / rate * np.expm1(special.xlog1py(n, -rate * p))))


class StaticByPattern(t5.Remembering):
    """A static router with a rate for each pattern.

    It remembers what it was shown.

    Parameters
    ----------
    rho : sequence of float, length K
        Probability of attending to each pattern.
    """

    def __init__(self, rho: Sequence[float] | Array) -> None:
        super().__init__(lambda t: 0.0)
        self.rho = np.concatenate([[0.0], np.asarray(rho, dtype=float)])

    def decide(self, t: int, z: Integers) -> tuple[NDArray[np.bool_], Integers]:
        """Throw the coin of the pattern."""
        _, output = super().decide(t, z)
        return self._rng.random(z.size) < self.rho[z], output


def curves() -> pd.DataFrame:
    """Price of a static router against the queries.

    Returns
    -------
    pandas.DataFrame
        One row per curve and point: ``curve`` (label), ``x`` (queries N), ``kind`` (``"bound"``: the leading term;
        ``"exact"``: C_N/E[D_N]; ``"achieved"``: the rates min(1, 1/√(Np)), played), ``value``, ``low``, ``high``
        (limits of a simulated value; NaN elsewhere).
    """
    import pandas as pd

    rows: list[tuple[str, float, str, float, float, float]] = []
    for s in (1.5, 2.0, 2.5, 3.0):
        label = f"s = {s:g}"
        grid = np.geomspace(1e2, 1e5, 7).round()
        for n, leading in zip(grid.tolist(), leading_price(grid, s).tolist(), strict=True):
            rows.append((label, n, "bound", leading, math.nan, math.nan))
            rows.append((label, n, "exact", price(int(n), s), math.nan, math.nan))
        if s > CHANGE:
            closed = t5.least_cost("closed_loop", _QUERIES, s)
            mean, low, high = (part / closed for part in _simulated(s)[:3])
            rows.append((label, float(_QUERIES), "achieved", mean, low, high))
    return pd.DataFrame(rows, columns=["curve", "x", "kind", "value", "low", "high"])


def _simulated(s: float) -> tuple[float, float, float, float]:
    """Mean and limits of the played cost, and what it should be."""
    p = [float(x) for x in zipf(_PATTERNS, s)]
    rho = rates(_QUERIES, p)
    stream = Stream.independent(p, values=16, length=_QUERIES)
    return *t5.simulate(StaticByPattern(rho), stream, streams=_STREAMS, rng=8), rates_cost(_QUERIES, p, rho)


# -------------------------------------------------------------------------------------------------------- certificate


def pattern_certificate(n: int, p: Fraction) -> dict[str, Any]:
    """Certificate of the least cost c_N(p) of a pattern.

    It lies within 2·10⁻⁶ of the computed value, and within the theorem's limits.

    Parameters
    ----------
    n : int
        Queries, 2 or more.
    p : Fraction
        Probability of the pattern.

    Returns
    -------
    Mapping
        Documents of the kinds ``sturm`` and ``arithmetic``.
    """
    grid = np.linspace(0.0005, 1.0, 2000)
    costs = n * float(p) * grid + (1.0 - grid) / grid * (1.0 - (1.0 - grid * float(p)) ** n)
    best = int(costs.argmin())
    # a parabola through three points: the minimum is flat, so its value is right to far more digits than the rate
    a, b, c = costs[best - 1 : best + 2] if 0 < best < 1999 else (costs[best],) * 3
    shift = 0.5 * (a - c) / (a - 2.0 * b + c) if a - 2.0 * b + c > 0.0 else 0.0
    rho, least = grid[best] + shift * (grid[1] - grid[0]), b - 0.25 * (a - c) * shift
    below, above = Fraction(math.floor(least * 10**6) - 1, 10**6), Fraction(math.ceil(least * 10**6) + 1, 10**6)
    # ((1−ρ)/ρ)(1 − (1−ρp)^N) as a polynomial: (1−ρ) Σ_i binom(N, i) (−1)^{i+1} p^i ρ^{i−1}
    inner = [math.comb(n, i) * (-1) ** (i + 1) * p**i for i in range(1, n + 1)]
    coefficients = [a - b for a, b in zip([*inner, Fraction(0)], [Fraction(0), *inner], strict=True)]
    coefficients[0] -= below
    coefficients[1] += n * p
    x = n * p
    facts = [f"at <= {written(above)}", "at <= x", "(least + 2)**2 >= 4*(x + 1)"]
    return bundle(
        {
            "kind": "sturm",
            "title": f"static rates cost more than {written(below)}, N = {n}, p = {p}",
            "coefficients": [written(Fraction(c)) for c in coefficients],
            "interval": ["0", "1"],
            "roots": 0,
            "sign": 1,
        },
        {
            "kind": "arithmetic",
            "title": f"the best rate, N = {n}, p = {p}",
            "definitions": {
                "x": written(x),
                "least": written(below),
                "rho": written(Fraction(round(rho * 10**6), 10**6)),
                "at": f"rho*x + (1 - rho)/rho*(1 - (1 - rho*{written(p)})**{n})",
            },
            "facts": [*facts, "(at + 1)**2 <= 4*x"] if x >= 1 else facts,
        },
    )


def check() -> Verdict:
    """Verdict on T8.

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
    small = Stream.independent(_LAW, values=2, length=4)
    played = evaluate(small, t5.static_policy(_RATES))
    name = "cost of static rates, p = (2/3, 1/3), N = 4 (enumerated)"
    computed[name] = sum(played.attention) + 2 * sum(played.error)
    claimed[name] = sum(_formula(p, rho, 4) for p, rho in zip(_LAW, _RATES, strict=True))
    mean, low, high, expected = _simulated(3.0)
    name = f"cost of the rates min(1, 1/√(Np)), s = 3, N = {_QUERIES}, K = {_PATTERNS} (simulated)"
    computed[name], claimed[name] = mean, expected
    for s in (1.5, 2.0, 3.0):
        computed[f"least cost C_N, s = {s:g}, N = 10⁶"] = least_cost(10**6, s)
        for side, end in zip(("lower", "upper"), limits(10**6, s), strict=True):
            computed[f"{side} limit, s = {s:g}"] = end
    for s in (1.2, 1.5, 1.8):
        computed[f"price of a static router for many queries, s = {s:g}"] = float(leading_price(1.0, s))
    for n, power in ((10**4, "10⁴"), (10**6, "10⁶")):
        computed[f"price, s = 2, N = {power}"] = price(n, 2.0)
    return Verdict(
        claim="T8",
        source="extends T5 and T4; proofs: docs/theory.md",
        status="proved",
        statement="For independent Zipf queries the least cost C_N of a static router that knows N and the law is "
        "2ζ(s/2)√(N/ζ(s)) up to 2Xs/(s−2) + 2 for s > 2, 2X ln X up to 2X + 2 at s = 2, and A(s)·X up to "
        "2X^{s/2}/(1−s/2) for s < 2, X = (N/ζ(s))^{1/s}. Its price over a closed loop grows like N^{1/2−1/s}, like "
        "ln N/√π, and tends to a constant above 1.",
        certificate=bundle(
            *t5.SQUARE_ROOT_LIMITS,
            *_STEPS,
            *(pattern_certificate(n, p) for n, p in ((6, Fraction(1, 2)), (8, Fraction(1, 16)), (12, Fraction(2, 3)))),
            _limits_at(),
            *(_price_above(s, least) for s, least in (("6/5", "7/5"), ("9/5", "9"))),
            _static(),
            *_controls(),
        ),
        assumptions=("fresh uniform values, no labels", "independent queries", "what was shown is never lost"),
        computed=computed,
        claimed=claimed,
        remarks=(
            f"simulated: a 99 % confidence sequence over {_STREAMS} streams ends at [{low:.2f}, {high:.2f}]",
            "near s = 2 the limit of the price is reached slowly: compare with C_N, not with the limit",
            "the certificate holds two controls: labels, and a router that knows its history, cost less than the limit",
        ),
    )


_LAW = (Fraction(2, 3), Fraction(1, 3))
_RATES = (Fraction(1, 2), Fraction(3, 4))

_STEPS: tuple[dict[str, Any], ...] = (
    {
        "kind": "smt",
        "title": "0 ≤ 2√x − c ≤ 2, if 2√(x+1) − 2 ≤ c ≤ min(x, 2√x − 1) or x < 1, with u = √x, v = √(x+1)",
        "script": "(declare-const u Real)(declare-const v Real)(declare-const c Real)"
        "(assert (and (<= 0 u) (<= 0 v) (= (* v v) (+ (* u u) 1))))"
        "(assert (and (<= (- (* 2 v) 2) c) (<= c (* u u)) (or (< u 1) (<= c (- (* 2 u) 1)))))"
        "(assert (or (< (- (* 2 u) c) 0) (> (- (* 2 u) c) 2)))",
        "expect": "unsat",
    },
    {
        "kind": "identity",
        "title": "s > 2: 2X for the first X patterns and 2 + 2X/(s/2 − 1) for the others are 2Xs/(s−2) + 2",
        "left": "2*X + 2 + 2*X/(s/2 - 1)",
        "right": "2*X*s/(s - 2) + 2",
    },
    {
        "kind": "identity",
        "title": "s < 2: (1/s)(1/γ + 2/(1/s − 1/2) − s), the integral of min(x, 2√x − 1)",
        "left": "(1/(1 - 1/s) + 2/(1/s - 1/2) - s)/s",
        "right": "2/(1 - s/2) - 1 + 1/(s - 1)",
    },
)


def _formula(p: Fraction, rho: Fraction, n: int) -> Fraction:
    return rho * n * p + (1 - rho) / rho * (1 - (1 - rho * p) ** n)


def _limits_at() -> dict[str, Any]:
    """The sums behind the limits at N = 10⁴.

    Their lower and upper parts, with the tails by ζ.
    """
    x = {"X3": "(10000/zeta(3))**(1/3)", "X2": "(10000/zeta(2))**(1/2)"}
    high = "sum(k, 1, {m}, 2*({x}/k)**({s}/2) - 1) + 10000*(1 - sum(k, 1, {m}, k**(-{s}))/zeta({s}))"
    low = "sum(k, 1, {m}, 2*sqrt(({x}/k)**{s} + 1) - 2)"
    return {
        "kind": "interval",
        "title": "limits of C_N at N = 10⁴, s = 3 and s = 2",
        "definitions": {
            **x,
            "leading": "2*zeta(3/2)*sqrt(10000/zeta(3))",
            "low3": low.format(m=40, x="X3", s=3),
            "high3": high.format(m=20, x="X3", s=3),
            "low2": low.format(m=80, x="X2", s=2),
            "high2": high.format(m=77, x="X2", s=2),
        },
        "facts": [
            "leading - 2*X3*3 - 2 <= low3",
            "low3 <= high3",
            "high3 <= leading",
            "2*X2*log(X2) - 2*X2 <= low2",
            "low2 <= high2",
            "high2 <= 2*X2*log(X2) + 2*X2 + 2",
        ],
    }


def _price_above(s: str, least: str) -> dict[str, Any]:
    """A from below over Γ(γ).

    c grows, so on each part of a grid it is at least its lower limit at the left end; x − x²/4 below the grid, 2√x − 2
    beyond it.
    """
    grid = "(16/15)"
    low = f"2*sqrt({grid}**i + 1) - 2"
    part = f"{grid}**(-i/s) - {grid}**(-(i + 1)/s)"
    return {
        "kind": "interval",
        "title": f"the price of a static router at s = {s}",
        "definitions": {
            "s": s,
            "end": f"{grid}**108",
            "start": f"{grid}**(-107)",
            "head": "start**(1 - 1/s)/(s - 1) - start**(2 - 1/s)/(4*(2*s - 1))",
            "tail": "2*end**(1/2 - 1/s)/(1 - s/2) - 2*end**(-1/s)",
            "A": f"head + sum(i, -107, 107, ({low})*({part})) + tail",
            "limit": "2/(1 - s/2) - 1 + 1/(s - 1)",
        },
        "facts": ["A < limit", f"A > {least}*gamma(1 - 1/s)"],
    }


def _static() -> dict[str, Any]:
    terms = [f"{rho}*{p}*4 + (1 - {rho})/({rho})*(1 - (1 - {rho}*{p})**4)" for p, rho in zip(_LAW, _RATES, strict=True)]
    return {
        "kind": "counterexample",
        "title": "a static router with a rate for each pattern costs what the formula says",
        "patterns": 2,
        "values": 2,
        "queries": {"length": 4, "probabilities": ["0", *map(written, _LAW)]},
        "memory": {"known": "repeat(0, K + 1)"},
        "attend": f"{_RATES[0]} if z == 1 else {_RATES[1]}",
        "guess": "max(known[z], 1)",
        "update": {"known": "put(known, z, value) if attended else known"},
        "facts": ["static", f"attention + V/(V - 1)*error == {' + '.join(terms)}"],
    }


def _controls() -> list[dict[str, Any]]:
    """Controls, each without one of the assumptions.

    Six queries for two patterns: no static router without labels costs less than 2·(2√4 − 2) = 4.
    """
    stream = {
        "kind": "counterexample",
        "patterns": 2,
        "values": 2,
        "queries": {"length": 6, "probabilities": ["0", "1/2", "1/2"]},
        "memory": {"known": "repeat(0, K + 1)"},
        "guess": "max(known[z], 1)",
        "update": {"known": "put(known, z, value) if value > 0 else known"},
    }
    broken = ["attention + V/(V - 1)*error == 2*(1 - (1/2)**6)", "attention + V/(V - 1)*error < 4"]
    closed = "control: a closed loop attends at first sight"
    return [
        {**stream, "title": "control: labels", "feedback": True, "attend": "0", "facts": ["static", *broken]},
        {**stream, "title": closed, "attend": "1 if known[z] == 0 else 0", "facts": broken},
    ]


def _checked(s: float) -> float:
    if not 1.0 < s < math.inf:
        raise InputError(f"the Zipf exponent is {s}", hint="give a number above 1")
    return s

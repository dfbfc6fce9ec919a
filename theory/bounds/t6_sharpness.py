"""T6: the average of patterns that consolidate independently is never sharper than one pattern.

**Statement.** Pattern k stays unconsolidated after N queries with probability S(Np_k), S the survival function of a
threshold T whose logarithm has a log-concave density: Gamma(c), Weibull, lognormal. Let u(N) = E[S(NP)] over any law of
the frequency P. If u falls to a at N(a) and to b < a at N(b),

    N(b)/N(a) ≥ S⁻¹(b)/S⁻¹(a).

The fall from 0.9 to 1/37.8 so takes at least a factor of 34.5 for Gamma(1), 10.4 for Gamma(2), 4.2 for Gamma(5), 2.7
for Gamma(10), 2.03 for Gamma(20), 1.38 for Gamma(100), 1.11 for Gamma(1000).

**Exactly for binomial counts.** With attention while exposures < c and B_N(p) = P(Bin(N, p) < c), for all c ≥ 1 and
N' ≥ N ≥ c: u(N') ≥ B_{N'}(B_N⁻¹(u(N))), what *one* pattern would do that stands where the average stands at N. For
c = 1: u(RN) ≥ u(N)^R.

**So** one aggregate curve of independent patterns cannot be both k^−0.43 (a 37.8-fold drop takes a factor of 4,660) and
sharp. Both occur if a *global* gate opens at some step, if single patterns are sharp and only their average is a power
law, or with finitely many Zipf patterns, whose curve ends exponentially. A schedule (annealed λ, warm-up) is a change
of time that fakes sharpness: plot against cumulative exposures.

**Assumptions.** Patterns consolidate independently of each other; one shape of threshold for all, only their frequency
differs.

**Reference.** Jensen's inequality for S(S⁻¹(q)·R), convex by log-concavity; proof in docs/theory.md. Anderson &
Tweney, Mem. Cognit. 25 (1997) 724-730 (what averaging does to forms).

**Check.** The ratios in interval arithmetic; the binomial form in exact fractions; mixtures as properties; a law with
two thresholds, whose logarithm is not log-concave, breaks the bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from cogfit.errors import InputError, nearest
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Number, Verdict
from theory.tasks.retrieval import exposures

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

DROP = 37.8
"""Drop of attention that CRAM reports for its transition (arXiv 2602.12204, section on dynamics)."""


@dataclass(frozen=True)
class Threshold:
    """A family of thresholds T, by a shape.

    In units of expected exposures; log T has a log-concave density.

    Attributes
    ----------
    name, title : str
    shape : str
        What the shape is.
    survival : callable
        ``survival(x, shape)``: P(T > x).
    quantile : callable
        ``quantile(q, shape)``: x with P(T > x) = q.
    sharper : int
        1 if a larger shape is sharper, −1 if a smaller one is.
    """

    name: str
    title: str
    shape: str
    survival: Callable[[Array, float], Array]
    quantile: Callable[[Array, float], Array]
    sharper: int


_FAMILIES = (
    Threshold(
        name="gamma",
        title="Gamma",
        shape="c, exposures that a pattern needs",
        survival=lambda x, c: special.gammaincc(c, x),
        quantile=lambda q, c: special.gammainccinv(c, q),
        sharper=1,
    ),
    Threshold(
        name="weibull",
        title="Weibull",
        shape="k",
        survival=lambda x, k: np.exp(-(x**k)),
        quantile=lambda q, k: (-np.log(q)) ** (1.0 / k),
        sharper=1,
    ),
    Threshold(
        name="lognormal",
        title="lognormal",
        shape="σ, standard deviation of log T",
        survival=lambda x, s: special.ndtr(-np.log(x) / s),
        quantile=lambda q, s: np.exp(-s * special.ndtri(q)),
        sharper=-1,
    ),
)
THRESHOLDS = {item.name: item for item in _FAMILIES}
"""Families of thresholds by name."""


def smallest_ratio(shape: ArrayLike, *, law: str = "gamma", high: float = 0.9, low: float = 1.0 / DROP) -> Array:
    """Least N(low)/N(high) of any average of patterns.

    Reached by patterns of one frequency.

    Parameters
    ----------
    shape : array_like
        Shape of the threshold, above 0.
    law : {"gamma", "weibull", "lognormal"}
    high, low : float
        Levels of the curve, 1 > high > low > 0.

    Returns
    -------
    ndarray, shape of shape

    Raises
    ------
    InputError
        If there is no such law, or shape or levels are out of their range.

    Examples
    --------
    >>> smallest_ratio([1, 2, 5, 10, 20, 100, 1000]).round(2)
    array([34.48, 10.35,  4.17,  2.73,  2.03,  1.38,  1.11])
    """
    family, (a, b) = _family(law), _levels(high, low)
    shapes = np.asarray(shape, dtype=float)
    if not np.all((shapes > 0.0) & np.isfinite(shapes)):
        raise InputError("the shape of a threshold is not above 0")
    ends = [np.array([float(family.quantile(np.array(q), s)) for s in shapes.ravel()]) for q in (a, b)]
    with np.errstate(divide="ignore"):
        return np.asarray((ends[1] / ends[0]).reshape(shapes.shape))


def implied_shape(ratio: float, *, law: str = "gamma", high: float = 0.9, low: float = 0.1) -> float:
    """Shape of the threshold that a fall implies.

    Its patterns, all of one frequency, fall from one level to the other within a factor.

    Any mixture of frequencies needs thresholds at least as sharp. With the default levels this is the ``gamma_c`` of
    :func:`cogfit.transition`.

    Parameters
    ----------
    ratio : float
        Measured N(low)/N(high), above 1.
    law, high, low
        As for :func:`smallest_ratio`; the levels are those of the *share* of patterns not yet consolidated.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If the ratio is not above 1, or no shape from 0.001 to 10⁹ gives it.

    Examples
    --------
    >>> round(implied_shape(2.0330142, low=1 / 37.8), 4)
    20.0
    """
    family = _family(law)
    _levels(high, low)
    if not 1.0 < ratio < math.inf:
        raise InputError(f"a ratio of {ratio}", hint="give N(low)/N(high), above 1; a jump needs no threshold")

    def excess(log_shape: float) -> float:
        ratio_here = float(smallest_ratio(math.exp(log_shape), law=law, high=high, low=low))
        return math.log(ratio_here) - math.log(ratio) if ratio_here < math.inf else 1e3

    dull, sharp = (math.log(0.02), math.log(1e9)) if family.sharper > 0 else (math.log(50.0), math.log(1e-9))
    if not excess(dull) > 0.0 > excess(sharp):
        raise InputError(f"no {family.title} threshold has a ratio of {ratio:.6g}")
    return math.exp(optimize.brentq(excess, dull, sharp, xtol=1e-12))


def mixture(
    n: ArrayLike, shape: float, frequencies: ArrayLike, weights: ArrayLike | None = None, *, law: str = "gamma"
) -> Array:
    """Average curve u(n) of patterns with these frequencies.

    u(n) = Σ w_k S(n p_k).

    Parameters
    ----------
    n : array_like
        Expected queries, 0 or more; need not be whole.
    shape : float
    frequencies : array_like, shape (K,)
        Above 0.
    weights : array_like, shape (K,), optional
        Shares, summing to 1 after scaling; the frequencies themselves by default, which gives the probability that the
        next query is for an unconsolidated pattern.
    law : str

    Returns
    -------
    ndarray, shape of n

    Examples
    --------
    >>> mixture([1.0, 3.0], 1.0, [1.0]).round(4)  # one pattern, exponential
    array([0.3679, 0.0498])
    """
    p = np.asarray(frequencies, dtype=float)
    w = p if weights is None else np.asarray(weights, dtype=float)
    if p.ndim != 1 or p.shape != w.shape or np.any(p <= 0.0) or np.any(w < 0.0) or not w.sum() > 0.0:
        raise InputError("frequencies above 0 and weights of 0 or more, of equal number, are needed")
    x = np.asarray(n, dtype=float)
    with np.errstate(divide="ignore"):
        return np.asarray(_family(law).survival(x[..., None] * p, shape) @ (w / w.sum()))


def crossing(
    level: float, shape: float, frequencies: ArrayLike, weights: ArrayLike | None = None, *, law: str = "gamma"
) -> float:
    """Where the average curve of :func:`mixture` falls to a level.

    Parameters
    ----------
    level : float
        Above 0, below 1.
    shape, frequencies, weights, law
        As for :func:`mixture`.

    Returns
    -------
    float

    Examples
    --------
    >>> round(crossing(0.5, 1.0, [0.1]) * 0.1, 6), round(math.log(2), 6)
    (0.693147, 0.693147)
    """
    p = np.asarray(frequencies, dtype=float)
    at = float(_family(law).quantile(np.array(level), shape))
    low, high = math.log(at / p.max()) - 1.0, math.log(at / p.min()) + 1.0

    def excess(log_n: float) -> float:
        return float(mixture(math.exp(log_n), shape, p, weights, law=law)) - level

    return math.exp(optimize.brentq(excess, low, high, xtol=1e-13, rtol=1e-14))


def binomial_bound(u: ArrayLike, n: int, later: int, c: int = 1) -> Array:
    """Least u(later) given u(n), exactly.

    For attention while exposures < c: B_later(B_n⁻¹(u)).

    Parameters
    ----------
    u : array_like
        Probability of attending after n queries, 0 to 1.
    n, later : int
        Queries, c ≤ n ≤ later.
    c : int, default 1

    Returns
    -------
    ndarray, shape of u

    Examples
    --------
    >>> float(binomial_bound(0.5, 10, 30).round(6)), 0.5**3
    (0.125, 0.125)
    """
    if not 1 <= c <= n <= later:
        raise InputError(f"c = {c}, n = {n}, later = {later}", hint="use 1 ≤ c ≤ n ≤ later")
    p = special.betainccinv(c, n - c + 1, np.asarray(u, dtype=float))
    return np.asarray(special.betaincc(c, later - c + 1, p))


def power_law_ratio(gamma: float, drop: float = DROP) -> float:
    """Factor in x over which x^−γ falls by a factor.

    Examples
    --------
    >>> round(power_law_ratio(0.43))
    4662
    """
    if not (gamma > 0.0 and drop > 1.0):
        raise InputError(f"γ = {gamma} and a drop of {drop}", hint="γ is above 0 and the drop above 1")
    return math.exp(math.log(drop) / gamma)


def simulate(
    c: int, frequencies: ArrayLike, *, queries: int, high: float = 0.9, low: float = 0.1, rng: int = 0
) -> float:
    """N(low)/N(high) of the attention in one simulated stream.

    Of the probability of attending, with attention while exposures < c.

    Parameters
    ----------
    c : int
    frequencies : array_like, shape (K,)
    queries : int
        Length of the stream.
    high, low, rng

    Returns
    -------
    float
        NaN where the stream is too short.

    Examples
    --------
    >>> found = simulate(5, np.ones(2000), queries=40_000)
    >>> abs(found / float(smallest_ratio(5, low=0.1)) - 1) < 0.05
    True
    """
    p = np.asarray(frequencies, dtype=float) / np.sum(frequencies)
    z = np.random.default_rng(rng).choice(p.size, queries, p=p)
    done = exposures(z[None] + 1)[0] == c - 1
    left = 1.0 - np.cumsum(np.where(done, p[z], 0.0))
    first, last = (np.flatnonzero(left <= level) for level in _levels(high, low))
    return float((last[0] + 1) / (first[0] + 1)) if last.size else math.nan


def curves() -> pd.DataFrame:
    """Least ratio against the shape, and averages' ratios.

    Least ratio against the shape, and what averages over frequencies reach.

    Returns
    -------
    pandas.DataFrame
        One row per curve and shape: ``curve`` (label), ``law``, ``shape``, ``high``, ``low`` (levels), ``ratio``
        (N(low)/N(high)), ``kind``: ``"bound"`` (exact for one frequency), ``"achieved"`` (a mixture of frequencies,
        exact) or ``"power law"``.
    """
    import pandas as pd

    high, low = 0.9, 1.0 / DROP
    shapes = np.geomspace(0.5, 1000.0, 34)
    rows: list[tuple[str, str, float, float, str]] = []
    for family in _FAMILIES:
        grid = shapes if family.sharper > 0 else 1.0 / shapes
        ratios = smallest_ratio(grid, law=family.name, high=high, low=low)
        rows += [(f"bound, {family.title}", family.name, s, r, "bound") for s, r in zip(grid, ratios, strict=True)]
    ranks = np.arange(1.0, 101.0)
    for label, p in (("100 Zipf patterns, s = 1.754", ranks**-1.754), ("100 Zipf patterns, s = 0.5", ranks**-0.5)):
        for s in shapes:
            ratio = crossing(low, s, p) / crossing(high, s, p)
            rows.append((label, "gamma", float(s), ratio, "achieved"))
    rows += [("k^−0.43", "", float(s), power_law_ratio(0.43, high / low), "power law") for s in shapes[[0, -1]]]
    table = pd.DataFrame(rows, columns=["curve", "law", "shape", "ratio", "kind"])
    return table.assign(high=high, low=low)


# -------------------------------------------------------------------------------------------------------- certificate


def ratio_certificate(c: int, high: Fraction = Fraction(9, 10), low: Fraction = Fraction(10, 378)) -> dict[str, Any]:
    """Certificate of the least ratio for Gamma(c).

    To four digits, in interval arithmetic.

    S falls, so an x with S(x) above a level and one with S(x) below it enclose where it is reached.

    Parameters
    ----------
    c : int
    high, low : Fraction

    Returns
    -------
    Mapping
        Document of the kind ``interval``.

    Examples
    --------
    >>> from theory import verify
    >>> verify(ratio_certificate(2)).ok
    True
    """

    def survival(x: Fraction) -> str:
        return f"sum(j, 0, {c - 1}, exp(j*log({written(x)}) - loggamma(j + 1) - ({written(x)})))"

    facts, ends = [], []
    for level in (high, low):
        x = Fraction(float(special.gammainccinv(c, float(level)))).limit_denominator(10**9)
        ends += [x * (1 - _WIDTH), x * (1 + _WIDTH)]
        facts += [f"{survival(ends[-2])} > {level}", f"{survival(ends[-1])} < {level}"]
    return {
        "kind": "interval",
        "title": f"N({float(low):.4g})/N({float(high):.4g}) for Gamma({c}) lies in "
        f"[{float(ends[2] / ends[1]):.5g}, {float(ends[3] / ends[0]):.5g}]",
        "facts": facts,
    }


def mixture_certificate(probabilities: tuple[Fraction, ...], n: int, later: int, c: int) -> dict[str, Any]:
    """Certificate of the bound for these frequencies.

    u(later) ≥ B_later(B_n⁻¹(u(n))), in exact fractions.

    A frequency q a little above B_n⁻¹(u(n)) has B_n(q) ≤ u(n); that B_later(q) ≤ u(later) is then a little less than
    the statement, and is what is checked.

    Parameters
    ----------
    probabilities : tuple of Fraction
    n, later, c : int
        c ≤ n ≤ later.

    Returns
    -------
    Mapping
        Document of the kind ``arithmetic``.
    """

    def fewer(p: str, size: int) -> str:
        return " + ".join(f"{math.comb(size, j)}*({p})**{j}*(1 - {p})**{size - j}" for j in range(c))

    def average(size: int) -> str:
        return " + ".join(f"{written(p)}*({fewer(f'({written(p)})', size)})" for p in probabilities)

    law = np.array([float(p) for p in probabilities])
    u = float(special.betaincc(c, n - c + 1, law) @ law)
    q = Fraction(float(special.betainccinv(c, n - c + 1, u))) + Fraction(1, 10**9)
    definitions = {
        "q": written(q.limit_denominator(10**10)),
        "before": average(n),
        "after": average(later),
        "one_before": fewer("q", n),
        "one_after": fewer("q", later),
    }
    title = f"average of {len(probabilities)} frequencies, c = {c}, N = {n} and {later}"
    facts = ["one_before <= before", "one_after <= after"]
    return {"kind": "arithmetic", "title": title, "definitions": definitions, "facts": facts}


def check() -> Verdict:
    """Verdict on T6.

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
    for c, stated in _STATED.items():
        name = f"least N(1/37.8)/N(0.9), Gamma({c})"
        computed[name], claimed[name] = float(smallest_ratio(c)), stated
    ranks = np.arange(1.0, 101.0)
    computed["the same, 100 Zipf patterns, s = 1.754, c = 20"] = crossing(1 / DROP, 20.0, ranks**-1.754) / crossing(
        0.9, 20.0, ranks**-1.754
    )
    computed["span of k^−0.43 for a 37.8-fold drop"] = power_law_ratio(0.43)
    name = "N(0.1)/N(0.9), c = 5, 2000 equal patterns (simulated)"
    computed[name] = simulate(5, np.ones(2000), queries=40_000)
    claimed[name] = float(smallest_ratio(5, low=0.1))
    thirds = (Fraction(1, 2), Fraction(1, 3), Fraction(1, 6))
    zipf = tuple(Fraction(60, 137) / k for k in range(1, 6))
    cases = ((thirds, 5, 20, 1), (thirds, 4, 10, 2), (zipf, 6, 30, 3), (zipf, 10, 40, 5))
    return Verdict(
        claim="T6",
        source="Jensen's inequality under log-concavity; proof: docs/theory.md",
        status="proved",
        statement="If patterns consolidate independently and the logarithm of their threshold has a log-concave "
        "density, their average takes at least as large a factor of N to fall from a to b as a single pattern does.",
        certificate=bundle(
            *_LOG_CONCAVE,
            *map(ratio_certificate, _STATED),
            *(mixture_certificate(*case) for case in cases),
            _two_thresholds(),
        ),
        assumptions=("patterns consolidate independently", "one shape of threshold; only the frequency differs"),
        computed=computed,
        claimed=claimed,
        remarks=(
            "for binomial counts the average is compared with the one pattern that stands where it stands; for c = 1 "
            "this is u(RN) ≥ u(N)^R",
            "a sharp aggregate curve therefore needs a gate that all patterns share, sharp thresholds at nearly equal "
            "frequencies, or a change of time by a schedule",
            "the certificate holds a control: two thresholds a hundredfold apart (log T not log-concave) break it",
        ),
    )


_LOG_CONCAVE: tuple[dict[str, Any], ...] = tuple(
    {
        "kind": "identity",
        "title": f"log T of the {law} law: log f(y + d) − log f(y), which falls in {falls}",
        "left": left,
        "right": right,
    }
    for law, falls, left, right in (
        ("Gamma(c)", "x = e^y, as r = e^d > 1", "(c*(y + d) - x*r) - (c*y - x)", "c*d - x*(r - 1)"),
        ("Weibull(k)", "x = e^{ky}, as r = e^{kd} > 1", "(k*(y + d) - x*r) - (k*y - x)", "k*d - x*(r - 1)"),
        ("lognormal", "y", "y**2/(2*s**2) - (y + d)**2/(2*s**2)", "-d*(2*y + d)/(2*s**2)"),
    )
)
"""The slope T_d′ = f(y+d)/f(y) falls in y, so that T_d is convex."""

_WIDTH = Fraction(1, 10**5)
_STATED = {1: 34.5, 2: 10.4, 5: 4.2, 10: 2.7, 20: 2.03, 100: 1.38}


def _two_thresholds() -> dict[str, Any]:
    """A mixture of two thresholds is less sharp.

    T is exponential of mean 1 or 100: one pattern takes a factor of 14 from 0.6 to 0.4, a mixture of two 3.3.
    """

    def single(x: str) -> str:
        return f"(exp(-({x})) + exp(-({x})/100))/2"

    def mixture(x: str) -> str:
        return f"3/10*({single(x)}) + 7/10*({single(f'({x})/100')})"

    return {
        "kind": "interval",
        "title": "control: two thresholds, a hundredfold apart, break the bound",
        "facts": [
            f"{single('155/100')} < 6/10",
            f"{single('22')} > 4/10",
            f"{mixture('67')} > 6/10",
            f"{mixture('218')} < 4/10",
            "218/67 < 22*100/155",
        ],
    }


def _family(law: str) -> Threshold:
    if law not in THRESHOLDS:
        raise InputError(f"no law of thresholds '{law}'", hint=nearest(law, THRESHOLDS))
    return THRESHOLDS[law]


def _levels(high: float, low: float) -> tuple[float, float]:
    if not 1.0 > high > low > 0.0:
        raise InputError(f"levels {high} and {low}", hint="use 1 > high > low > 0")
    return high, low

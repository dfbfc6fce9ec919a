"""T2: S bits of memory spare at most S bits' worth of attention.

**Statement.** The router knows a memory M of at most S bits, the past queries, the query itself and coins. If queries
are independent and identically distributed, and independent of the memory and the past, then at every step, with
a_k = P(attend | z = k), e_k = P(no attention, wrong output | z = k), h the binary entropy and x = e/(1−a),

    Σ_k R_V(a_k, e_k) ≤ S,    R_V(a, e) = (1−a)·[log₂V − h(x) − x·log₂(V−1)]  (0 for x ≥ 1 − 1/V).

(i) At zero error α ≥ 1 − Q(S/log₂V), Q(m) the probability of the m most frequent patterns (the last one in part); for
equal probabilities α ≥ 1 − S/(K log₂V). (ii) Equal probabilities, error rate ε: (1−α)·g(ε/(1−α)) ≤ S/K with
g = R_V(0, ·); S = 0 gives T1. (iii) Zipf's law k^−s/ζ(s) with s > 1, m = S/log₂V: α ≥ (m+1)^(1−s)/((s−1)ζ(s)).

**Assumptions.** Values uniform and independent. Queries i.i.d. *and* independent of memory and past; without that the
bound is false: for the fixed sequence 1⁸2⁸3⁸4⁸, V = 2, one bit, attention 1/8 gives zero error where (i) would ask for
3/4.

**Reference.** Fano's inequality and the data-processing inequality (Cover & Thomas, Elements of Information Theory, 2nd
ed., ch. 2); the state a recurrent model needs for recall: Arora et al., arXiv 2312.04927, and Jelassi et al., arXiv
2402.01032.

**Check.** All C((V+1)^K, 2^S) codes at K = 4, V = 2, S = 2, and their Σ R_V; entropies at the best codes in interval
arithmetic; the counterexample for other streams evaluated exactly.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cogfit.errors import InputError
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict
from theory.tasks.retrieval import Booleans, Floats, Integers, Real, Stream, play, tables_of, uniform, zipf

if TYPE_CHECKING:
    import pandas as pd


def information(attention: ArrayLike, error: ArrayLike, values: int) -> Floats:
    """Bits R_V(a, e) about a value that its queries need.

    Attended with probability a and wrong with probability e.

    Parameters
    ----------
    attention, error : array_like
        a and e, with a + e ≤ 1.
    values : int
        V ≥ 2.

    Returns
    -------
    ndarray of float

    Raises
    ------
    InputError
        If a or e is no probability, or a + e > 1.

    Examples
    --------
    >>> information([0, 0.5, 1], [0, 0, 0], 4).tolist()
    [2.0, 1.0, 0.0]
    """
    a, e = np.broadcast_arrays(np.asarray(attention, float), np.asarray(error, float))
    tiny = 1e-12
    if values < 2 or bool(np.any((a < -tiny) | (e < -tiny) | (a + e > 1 + tiny))):
        raise InputError("attention and error are no probabilities of exclusive events", hint="0 ≤ a, 0 ≤ e, a + e ≤ 1")
    unattended = np.clip(1 - a, 0, 1)
    x = np.clip(np.divide(e, unattended, out=np.ones_like(unattended), where=unattended > 0), 0, 1 - 1 / values)
    inner = np.where(x > 0, x, 1.0)
    entropy = -inner * np.log2(inner) - (1 - x) * np.log2(1 - x)
    bits: Floats = unattended * (math.log2(values) - entropy - x * math.log2(values - 1))
    return np.maximum(bits, 0.0)


def least_attention(probabilities: Sequence[Real], bits: Real, values: int) -> float:
    """(i) Least share of attended queries at zero error.

    1 − Q(S/log₂V).

    Examples
    --------
    >>> least_attention(uniform(4), 2, 2)
    0.5
    >>> least_attention([0.5, 0.3, 0.2], 1.5, 2)  # the most frequent, and half of the next
    0.35
    """
    if bits < 0 or values < 2:
        raise InputError(f"{bits} bits about {values} values", hint="use S ≥ 0 and V ≥ 2")
    cells = float(bits) / math.log2(values)
    ranked = sorted(map(float, probabilities), reverse=True)
    return sum(p * min(1.0, max(0.0, rank + 1 - cells)) for rank, p in enumerate(ranked))


def least_attention_uniform(patterns: int, bits: float, values: int, error: float) -> float:
    """(ii) Least share of attended queries, equal probabilities.

    At error rate ε.

    The left side grows with the unattended share u = 1 − α, so the bound is the largest u with u·g(ε/u) ≤ S/K.

    Examples
    --------
    >>> round(least_attention_uniform(10, 0, 4, 0.3), 12)  # no memory: T1
    0.6
    >>> round(least_attention_uniform(4, 2, 2, 0.0), 12)
    0.5
    """
    from scipy.optimize import brentq

    if not 0 <= error <= 1:
        raise InputError(f"the error rate is {error}", hint="it lies between 0 and 1")

    def excess(unattended: float) -> float:
        return float(information(1 - unattended, min(error, unattended), values)) - bits / patterns

    free = error / (1 - 1 / values)  # unattended queries that need no memory
    if free >= 1 or excess(1.0) <= 0:
        return 0.0
    return 1 - float(brentq(excess, free, 1.0, xtol=1e-15)) if excess(free) < 0 else 1 - free


def least_attention_with_errors(probabilities: Sequence[Real], bits: float, best_guess: float, error: float) -> float:
    """Least share of attended queries at error rate ε.

    For any probabilities: (i) and (ii) in one.

    For every λ ≥ 0, with ψ(x) = log(1 − Ḡ + Ḡe^x), a router of S bits has Σ_k u_k(λp_k − ψ(λp_k)) ≤ S·ln 2 + λε, u_k
    the share of the queries for k that it does not attend to (the Chernoff form of the statement). The largest
    Σ p_k u_k under this is a fractional knapsack, the most frequent patterns first; the bound is the best over a grid
    of λ.

    Parameters
    ----------
    probabilities : sequence of number
    bits : float
        S.
    best_guess : float
        Ḡ, the chance of the best guess without memory: 1/V.
    error : float
        ε, errors without attention per query.

    Examples
    --------
    >>> round(least_attention_with_errors(uniform(10), 0, 1 / 4, 0.3), 4)  # no memory: T1
    0.6
    >>> round(least_attention_with_errors([0.5, 0.3, 0.2], 1.5, 1 / 2, 0.0), 4)  # (i)
    0.35
    """
    if bits < 0 or not 0 < best_guess < 1 or not 0 <= error <= 1:
        what = f"{bits} bits, a best guess of {best_guess}, errors {error}"
        raise InputError(what, hint="use S ≥ 0, 0 < Ḡ < 1, 0 ≤ ε ≤ 1")
    p, times = np.unique(np.asarray([float(x) for x in probabilities]), return_counts=True)
    p, times = p[p > 0][::-1], times[p > 0][::-1]
    kept = np.concatenate(([0.0], np.cumsum(times * p)))
    best = 0.0
    for scale in np.exp(np.linspace(math.log(1e-5 / p[0]), math.log(1e3 / p[-1]), 200)).tolist():
        cost = scale * p - np.logaddexp(math.log1p(-best_guess), math.log(best_guess) + scale * p)
        spent = np.concatenate(([0.0], np.cumsum(times * np.maximum(cost, 0.0))))
        best = max(best, 1 - float(np.interp(bits * math.log(2) + scale * error, spent, kept)))
    return best


def least_attention_zipf(s: float, cells: int) -> float:
    """(iii) Least share of attended queries for Zipf's law.

    Over infinitely many patterns, with m = S/log₂V remembered values.

    Examples
    --------
    >>> round(least_attention_zipf(2.0, 9), 6)  # 1/(10·ζ(2))
    0.060793
    """
    from scipy.special import zeta

    if s <= 1 or cells < 0:
        raise InputError(f"exponent {s} and {cells} cells", hint="use s > 1 and m ≥ 0")
    return float((cells + 1) ** (1 - s) / ((s - 1) * zeta(s)))


class Codes(NamedTuple):
    """Best of all codes.

    Attributes
    ----------
    cost : Fraction
        Least expected attention + price·error.
    decoders : ndarray of int, shape (2^S, K)
        A code that has it: for each memory content the output for each pattern, 0 for "attend".
    most_information : float
        Largest Σ_k R_V(a_k, e_k) met, each table sent to one of its cheapest decoders.
    size : int
        Number of codes.
    """

    cost: Fraction
    decoders: Integers
    most_information: float
    size: int


def best_code(probabilities: Sequence[Fraction], values: int, bits: int, price: Fraction) -> Codes:
    """Find the best code of S bits by trying all.

    Every set of 2^S decoders, each table sent to the cheapest of them.

    Parameters
    ----------
    probabilities : sequence of Fraction, length K
    values, bits : int
        V and S.
    price : Fraction
        Cost of an error; attending costs 1.

    Raises
    ------
    InputError
        If there are more than five million codes.

    Examples
    --------
    >>> found = best_code(uniform(3), 2, 1, Fraction(2))
    >>> str(found.cost), found.decoders.tolist(), found.size  # one bit for three values: their majority
    ('1/2', [[1, 1, 1], [2, 2, 2]], 351)
    """
    size, tables = len(probabilities), tables_of(len(probabilities), values)
    decoders = np.array(list(itertools.product(range(values + 1), repeat=size)))
    count = math.comb(len(decoders), 2**bits)
    if count > 5_000_000:
        raise InputError(f"{count} codes are too many to try", hint="use fewer patterns, values or bits")
    attends = np.repeat((decoders == 0)[:, None], len(tables), axis=1)
    wrong = ~attends & (decoders[:, None] != tables)
    marks = np.concatenate([attends, wrong], axis=2).astype(np.uint8)
    scale = math.lcm(*(p.denominator for p in probabilities), *((p * price).denominator for p in probabilities))
    whole = np.array([[int(p * scale), int(p * price * scale)] for p in probabilities])
    cost = attends @ whole[:, 0] + wrong @ whole[:, 1]
    cost = cost.astype(np.min_scalar_type(int(cost.max())))
    least, winner, most = 0, None, 0.0
    columns = np.arange(len(tables))
    for chosen in _codes(decoders, 2**bits):
        at = cost[chosen]
        sent = np.take_along_axis(chosen, at.argmin(axis=1), axis=1)
        total = at.min(axis=1).sum(axis=1)
        rates = marks[sent, columns].sum(axis=1, dtype=np.uint32) / len(tables)
        most = max(most, float(information(rates[:, :size], rates[:, size:], values).sum(axis=1).max()))
        if winner is None or total.min() < least:
            least, winner = int(total.min()), decoders[chosen[total.argmin()]]
    assert winner is not None
    return Codes(Fraction(least, scale * len(tables)), winner, most, count)


def _codes(decoders: Integers, size: int, block: int = 4000) -> Iterator[Integers]:
    """All sets of ``size`` decoders, in blocks of rows.

    Up to renaming the values of each pattern; rows are indices.

    Renaming changes neither cost nor errors over all tables. So let a decoder of the set that attends least (ties
    broken by where it attends) output 1 wherever it outputs a value.
    """
    attends = decoders == 0
    rank = attends.sum(axis=1) * 2 ** decoders.shape[1] + attends @ 2 ** np.arange(decoders.shape[1])
    for first in np.flatnonzero(decoders.max(axis=1) <= 1).tolist():
        others = np.flatnonzero(rank >= rank[first]).tolist()
        others.remove(first)
        codes = ((first, *chosen) for chosen in itertools.combinations(others, size - 1))
        while part := list(itertools.islice(codes, block)):
            yield np.array(part)


class FrequentPatterns:
    """A router that remembers the m most frequent patterns.

    It keeps their values, once seen, and attends to all others: m·log₂V bits.

    Parameters
    ----------
    cells : int
        m.
    """

    def __init__(self, cells: int) -> None:
        self.cells = cells

    def begin(self, stream: Stream, size: int, rng: np.random.Generator) -> None:
        """Choose the patterns by their probabilities."""
        order = np.argsort(-np.asarray(stream.probabilities, float), kind="stable")
        self._kept = np.zeros(stream.patterns + 1, bool)
        self._kept[order[: self.cells] + 1] = True
        self._known = np.zeros((size, stream.patterns + 1), np.int64)
        self._rows = np.arange(size)

    def decide(self, t: int, z: Integers) -> tuple[Booleans, Integers]:
        """Attend unless the value is in memory."""
        known = self._known[self._rows, z]
        return known == 0, np.maximum(known, 1)

    def observe(self, t: int, z: Integers, attended: Booleans, value: Integers) -> None:
        """Keep the value of a chosen pattern."""
        keep = attended & self._kept[z]
        self._known[self._rows[keep], z[keep]] = value[keep]


def curves() -> pd.DataFrame:
    """Least attention at no errors against the memory.

    Bits, all codes, and a memory of the most frequent patterns.

    Returns
    -------
    pandas.DataFrame
        One row per curve and point: ``curve`` (label), ``x`` (bits of memory, as a share of the whole table),
        ``kind`` (``"bound"``, ``"exact"`` or ``"achieved"``), ``value`` (share of attended queries), ``low``, ``high``
        (limits of a simulated value; NaN elsewhere).
    """
    import pandas as pd

    rows: list[tuple[str, float, str, float]] = []
    for label, law, values, bits in (
        ("uniform, K = 4, V = 2", uniform(4), 2, (0, 1)),
        ("Zipf s = 1, K = 100, V = 16", zipf(100, 1), 16, ()),
        ("uniform, K = 100, V = 16", uniform(100), 16, ()),
    ):
        size, each = len(law), math.log2(values)
        for k in range(51):
            rows.append((label, k / 50, "bound", least_attention(law, k / 50 * size * each, values)))
        for s in bits:
            cost = best_code(
                [Fraction(p) for p in law], values, s, Fraction(100)
            ).cost  # errors cost so much that the best code makes none
            rows.append((label, s / (size * each), "exact", float(cost)))
        mass = np.sort(np.asarray(law, float))[::-1].cumsum()
        for m in range(0, size + 1, max(1, size // 10)):
            rows.append((label, m / size, "achieved", 1.0 - (float(mass[m - 1]) if m else 0.0)))
    return pd.DataFrame(rows, columns=["curve", "x", "kind", "value"]).assign(low=math.nan, high=math.nan)


def check() -> Verdict:
    """Verdict on T2.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> verdict = check()  # doctest: +SKIP
    >>> verdict.status, verdict.verify().ok  # doctest: +SKIP
    ('proved', True)
    """
    exact_codes = best_code(uniform(4), 2, 2, Fraction(8))
    majority = best_code(uniform(3), 2, 1, Fraction(2))
    law = zipf(100, 1)
    stream = Stream.independent(law, values=16, length=4000)
    share = play(stream, FrequentPatterns(8), 2, 50).attended[:, 3000:].mean()
    return Verdict(
        claim="T2",
        source="Fano's inequality, perspective convexity (Cover & Thomas 2006, ch. 2); compare arXiv 2312.04927",
        status="proved",
        statement="With S bits of memory and queries i.i.d. and independent of memory and past, Σ_k R_V(a_k, e_k) ≤ S "
        "at every step. At zero error the attended share is at least 1 − Q(S/log₂V).",
        certificate=bundle(
            code_certificate(uniform(4), 2, 2, Fraction(8), exact_codes.cost),
            code_certificate(uniform(3), 2, 1, Fraction(2), majority.cost),
            _entropies(),
            _tail(),
            _fixed_sequence(),
            _oversized(),
        ),
        assumptions=(
            "values independent and uniform on V",
            "queries i.i.d. and independent of the memory and the past (for other streams the bound is false)",
        ),
        computed={
            f"least attention, zero error, K = 4, V = 2, S = 2, all {exact_codes.size} codes": exact_codes.cost,
            "largest Σ R_V over these codes": exact_codes.most_information,
            f"largest Σ R_V, K = 3, V = 2, S = 1, price 2, all {majority.size} codes": majority.most_information,
            "attention with 8 of 100 values in memory, Zipf s = 1, V = 16 (simulated)": float(share),
        },
        claimed={
            f"least attention, zero error, K = 4, V = 2, S = 2, all {exact_codes.size} codes": Fraction(1, 2),
            "largest Σ R_V over these codes": 2,
            f"largest Σ R_V, K = 3, V = 2, S = 1, price 2, all {majority.size} codes": 1,
            "attention with 8 of 100 values in memory, Zipf s = 1, V = 16 (simulated)": least_attention(law, 32, 16),
        },
        remarks=(
            "the claims on Σ R_V are bounds from above, that on the simulated attention from below",
            "the certificate holds two controls: a fixed sequence, and a memory of K log₂V bits, break the bound",
        ),
    )


def code_certificate(
    probabilities: Sequence[Fraction], values: int, bits: int, price: Fraction, cost: Fraction
) -> dict[str, Any]:
    """Certificate that no code costs less than ``cost``.

    A document of the kind ``codebook``.
    """
    size = len(probabilities)
    return {
        "kind": "codebook",
        "title": f"best code, K = {size}, V = {values}, S = {bits}, an error costs {price}",
        "patterns": size,
        "values": values,
        "bits": bits,
        "probabilities": [written(p) for p in probabilities],
        "price": written(price),
        "value": written(cost),
    }


def _entropies() -> dict[str, Any]:
    """Σ R_V ≤ S where the best code makes errors.

    The majority of three bits is wrong with probability 1/4.
    """
    return {
        "kind": "interval",
        "title": "bits that the majority of three uses",
        "definitions": {"h": "-(log2(1/4) + 3*log2(3/4)) / 4"},
        "facts": ["3*(1 - h) <= 1"],
    }


def _tail() -> dict[str, Any]:
    """(iii) from an integral over the rare patterns.

    The mass beyond the first m patterns is at least the integral from m + 1.
    """
    facts = [
        f"1 - sum(k, 1, {m}, k**(-{s}))/zeta({s}) >= ({m} + 1)**(1 - {s})/(({s} - 1)*zeta({s}))"
        for m in (0, 1, 10, 100)
        for s in ("1.1", "1.754", "3.5")
    ]
    return {"kind": "interval", "title": "tail of Zipf's law", "facts": facts}


def _fixed_sequence() -> dict[str, Any]:
    """Values are asked for in blocks.

    One cell is enough.
    """
    return {
        "kind": "counterexample",
        "title": "control: queries in blocks, one bit of memory",
        "patterns": 4,
        "values": 2,
        "queries": [k for k in (1, 2, 3, 4) for _ in range(8)],
        "memory": {"cell": "1"},
        "attend": "1 if counts[z] == 0 else 0",
        "guess": "cell",
        "update": {"cell": "value if attended else cell"},
        "facts": ["contents <= 2", "error == 0", "attention == 1/8 * queries", "attention < (1 - 1/K) * queries"],
    }


def _oversized() -> dict[str, Any]:
    return {
        "kind": "counterexample",
        "title": "control: a memory of K log₂V bits needs no attention",
        "patterns": 3,
        "values": 2,
        "queries": {"length": 3, "probabilities": ["0", "1/3", "1/3", "1/3"]},
        "memory": {"known": "table"},
        "attend": "0",
        "guess": "known[z]",
        "facts": ["contents == 2**K", "error == 0", "attention < (1 - 1/K) * queries"],
    }

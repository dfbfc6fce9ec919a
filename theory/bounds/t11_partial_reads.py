"""T11: heads save nothing but what the union bound gives, and a reader that must search reads half of the rows.

**Statement.** Queries as in T1: at a query the value is uniform on V given all that the router knows.

(a) *Heads.* Each of H heads may read at a query; α_h is the share of queries at which head h reads. If one read shows
the whole value, Σ_h α_h ≥ 1 − δV/(V−1), attained with one routed head. If head h shows a part of its own, uniform on
V_h ≥ 2 and independent of the others, V = Π V_h, and an answer is right if all parts are, then

    Σ_h α_h ≥ H·(1 − δV/(V−1)),

attained by reading with all heads or none: parts save nothing.

(b) *Rows.* The row that holds the value is uniform among K rows given all that the reader knows; the reader reads rows
one by one, and knows the value when it reads its row. At an error rate of δ ≤ 1 − 1/V per query

    E[rows read] ≥ (1 − δV/(V−1))·(K+1)/2,

attained by a coin between reading until the value is found and guessing.

**Assumptions.** No information on the value but what is read; in (b) none on where it stands, and no two rows at once.

**Reference.** T1 with the union bound; search for an item at a random place. The proof is in docs/theory.md.

**Check.** The least cost of all readers by dynamic programs; all mixtures by linear programs; searches enumerated and
played. A reader that knows where to look, or where to look first, breaks (b).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.errors import InputError
from theory.bounds import t1_memoryless
from theory.bounds.confidence_sequences import mean_sequence
from theory.bounds.linear_programs import Program
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Number, Verdict
from theory.tasks.retrieval import Real

if TYPE_CHECKING:
    import pandas as pd


def least_heads(delta: Real, parts: Sequence[int]) -> Real:
    """Least Σ α_h of heads that show parts.

    Parameters
    ----------
    delta : number
        Error rate per query.
    parts : sequence of int
        V_h of each head, 2 or more. For heads that each show the whole value take one.

    Returns
    -------
    number
        Exact for exact input.

    Examples
    --------
    >>> least_heads(Fraction(1, 6), [2, 3])
    Fraction(8, 5)
    """
    if not parts or min(parts) < 2:
        raise InputError(f"parts of {list(parts)} values", hint="each head shows one of 2 values or more")
    return len(parts) * t1_memoryless.least_attention(delta, math.prod(parts))


def least_rows(delta: Real, values: int, rows: int) -> Real:
    """Least expected number of rows read at a query.

    Parameters
    ----------
    delta : number
        Error rate per query.
    values, rows : int
        V and K.

    Returns
    -------
    number
        Exact for exact input.

    Examples
    --------
    >>> [str(least_rows(Fraction(delta, 40), 4, 5)) for delta in (21, 9, 0)]  # found with .3, .7 and 1
    ['9/10', '21/10', '3']
    """
    if rows < 1:
        raise InputError(f"{rows} rows", hint="there is 1 or more")
    return t1_memoryless.least_attention(delta, values) * Fraction(rows + 1, 2)


def expected_rows(limit: int, rows: int) -> Fraction:
    """Expected rows read by a search that gives up.

    It reads at most ``limit`` of them: j − j(j−1)/(2K).

    Examples
    --------
    >>> str(expected_rows(5, 5)), str(expected_rows(1, 5))
    ('3', '1')
    """
    if not 0 <= limit <= rows:
        raise InputError(f"at most {limit} of {rows} rows", hint="give 0 to K")
    return limit - Fraction(limit * (limit - 1), 2 * rows)


def searches(rows: int, values: int, delta: Fraction) -> Program:
    """(b) as a program over all mixtures of limits.

    Variable j is the probability of giving up after j rows.

    Examples
    --------
    >>> round(searches(5, 4, Fraction(9, 40)).optimum().value, 9)
    2.1
    """
    out = Program()
    limits = [out.variable(expected_rows(j, rows)) for j in range(rows + 1)]
    out.constrain(dict.fromkeys(limits, 1), "==", 1)
    wrong = {limit: Fraction(values - 1, values) * Fraction(rows - j, rows) for j, limit in enumerate(limits)}
    out.constrain(wrong, "<=", delta)
    return out


def search_certificate(rows: int, values: int, delta: Fraction) -> dict[str, Any]:
    """Coin and dual solution of :func:`searches`."""
    share = Fraction(t1_memoryless.least_attention(delta, values))
    primal = [1 - share, *[Fraction(0)] * (rows - 1), share]
    price = Fraction(values, values - 1) * Fraction(rows + 1, 2) * bool(share)
    title = f"searches that give up, K = {rows}, V = {values}, δ = {delta}"
    value = f"max(0, 1 - {written(delta)}*{values}/({values} - 1))*({rows} + 1)/2"
    dual = [Fraction(rows + 1, 2) * bool(share), -price]
    return searches(rows, values, delta).certificate(primal, dual, title, value)


def heads(parts: Sequence[int], delta: Fraction) -> Program:
    """(a) as a program over mixtures of sets.

    A variable for each set that reads: all first, none last.

    Examples
    --------
    >>> round(heads((2, 3), Fraction(1, 6)).optimum().value, 9)
    1.6
    """
    out = Program()
    unread = list(itertools.product((False, True), repeat=len(parts)))
    sets = [out.variable(len(parts) - sum(left)) for left in unread]
    out.constrain(dict.fromkeys(sets, 1), "==", 1)
    missed = [math.prod(v for v, skipped in zip(parts, left, strict=True) if skipped) for left in unread]
    out.constrain({j: 1 - Fraction(1, product) for j, product in zip(sets, missed, strict=True)}, "<=", delta)
    return out


def heads_certificate(parts: Sequence[int], delta: Fraction) -> dict[str, Any]:
    """Coin and dual solution of :func:`heads`."""
    size, whole = len(parts), math.prod(parts)
    share = Fraction(t1_memoryless.least_attention(delta, whole))
    primal = [share, *[Fraction(0)] * (2**size - 2), 1 - share]
    price = Fraction(size * whole, whole - 1) * bool(share)
    title = f"heads with parts of {', '.join(map(str, parts))} values, δ = {delta}"
    value = f"{size}*max(0, 1 - {written(delta)}*{whole}/({whole} - 1))"
    return heads(parts, delta).certificate(primal, [Fraction(size) * bool(share), -price], title, value)


def dynamic_program(
    law: Sequence[Fraction], values: int, price: Fraction, *, title: str = "no row is likelier than another"
) -> tuple[Fraction, dict[str, Any]]:
    """Least expected rows read plus price of errors.

    Over all readers that take rows in this order; for equal chances every order is the same.

    Parameters
    ----------
    law : sequence of Fraction, length K
        Chance of each row to hold the value, in the order in which they are read.
    values : int
        V.
    price : Fraction
        Of an error; reading a row costs 1.
    title : str

    Returns
    -------
    optimum : Fraction
    document : Mapping
        Certificate of the kind ``value-function``.

    Examples
    --------
    >>> str(dynamic_program([Fraction(1, 5)] * 5, 4, Fraction(4))[0])  # 4·(1 − 1/4) and (5 + 1)/2 are the same
    '3'
    """
    size = len(law)
    guess = price * (1 - Fraction(1, values))
    left = [sum(law[i:], Fraction(0)) for i in range(size)]
    table, policy = [[Fraction(0)] * (size + 1)], list[list[str]]()
    for _ in range(size):
        after = table[0]
        reads = [1 + (1 - law[i] / left[i]) * after[i + 1] for i in range(size)]
        policy.insert(0, ["read" if cost <= guess else "guess" for cost in reads] + ["rest"])
        table.insert(0, [*(min(cost, guess) for cost in reads), Fraction(0)])
    found = size
    states: list[dict[str, Any]] = [
        {
            "read": {"cost": "1", "to": _found(law[i] / left[i], i + 1, found)},
            "guess": {"cost": written(guess), "to": [["1", found]]},
        }
        for i in range(size)
    ]
    document = {
        "kind": "value-function",
        "title": f"least rows read plus {price}·errors, K = {size}, V = {values}: {title}",
        "stages": [*states, {"rest": {"cost": "0", "to": [["1", found]]}}],
        "horizon": size,
        "values": [[written(v) for v in row] for row in table],
        "policy": policy,
        "start": 0,
        "value": written(table[0][0]),
    }
    return table[0][0], document


def _found(chance: Fraction, following: int, found: int) -> list[list[Any]]:
    return [["1", found]] if chance == 1 else [[written(chance), found], [written(1 - chance), following]]


def simulate(
    rows: int, values: int, search: float, *, queries: int = 2000, level: float = 0.99, rng: int = 0
) -> tuple[float, float, float, float]:
    """Played reader that throws a coin: search, or guess.

    Parameters
    ----------
    rows, values : int
        K and V.
    search : float
        Probability of reading until the value is found.
    queries : int
        Each with a fresh place and value.
    level : float
        Of the confidence sequence of the rows read.
    rng : int

    Returns
    -------
    error, mean, low, high : float
        Error rate; rows read per query, and its limits.

    Examples
    --------
    >>> error, mean, low, high = simulate(5, 4, 0.7)
    >>> low < 2.1 < high
    True
    """
    generator = np.random.default_rng(rng)
    searches = generator.random(queries) < search
    places = generator.integers(1, rows + 1, queries)  # rows are read from the first on
    read = np.where(searches, places, 0)
    wrong = ~searches & (generator.integers(0, values, queries) != generator.integers(0, values, queries))
    ends = mean_sequence(read, low=0.0, high=float(rows), level=level)
    return float(wrong.mean()), float(read.mean()), float(ends.lower[-1]), float(ends.upper[-1])


def curves() -> pd.DataFrame:
    """Rows read against the error rate.

    Returns
    -------
    pandas.DataFrame
        One row per curve and point: ``curve`` (label), ``x`` (error rate δ per query), ``kind`` (``"bound"``,
        ``"exact"``: the linear program, or ``"achieved"``: played), ``value`` (rows read per query, or Σ α_h), ``low``,
        ``high`` (limits of a simulated value; NaN elsewhere).
    """
    import pandas as pd

    rows: list[tuple[str, float, str, float, float, float]] = []
    grid = [Fraction(k, 40) for k in range(41)]
    for size, values in ((5, 4), (10, 16)):
        label = f"K = {size} rows, V = {values}"
        for k, delta in enumerate(grid):
            rows.append((label, float(delta), "bound", float(least_rows(delta, values, size)), math.nan, math.nan))
            if k % 8 == 0:
                value = searches(size, values, delta).optimum().value
                rows.append((label, float(delta), "exact", value, math.nan, math.nan))
        for search in (0.3, 0.7):
            _, *ends = simulate(size, values, search, rng=11)
            rows.append((label, (1 - search) * (1 - 1 / values), "achieved", ends[0], ends[1], ends[2]))
    label = "two heads, parts of 2 and 8 values"
    for k, delta in enumerate(grid):
        rows.append((label, float(delta), "bound", float(least_heads(delta, (2, 8))), math.nan, math.nan))
        if k % 8 == 0:
            rows.append((label, float(delta), "exact", heads((2, 8), delta).optimum().value, math.nan, math.nan))
    return pd.DataFrame(rows, columns=["curve", "x", "kind", "value", "low", "high"])


def check() -> Verdict:
    """Verdict on T11.

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
    documents = []
    for rows, values, delta in ((5, 4, Fraction(9, 40)), (8, 2, Fraction(1, 10)), (3, 16, Fraction(15, 16))):
        documents.append(search_certificate(rows, values, delta))
        name = f"rows read, K = {rows}, V = {values}, δ = {delta}"
        computed[name], claimed[name] = searches(rows, values, delta).optimum().value, least_rows(delta, values, rows)
    for parts, delta in (((2, 3), Fraction(1, 6)), ((4, 4, 2), Fraction(1, 8))):
        documents.append(heads_certificate(parts, delta))
        name = f"Σ α_h, parts of {', '.join(map(str, parts))} values, δ = {delta}"
        computed[name], claimed[name] = heads(parts, delta).optimum().value, least_heads(delta, parts)
    optimum, document = dynamic_program([Fraction(1, 6)] * 6, 3, Fraction(21, 4))
    name = "least rows read plus 21/4 an error, K = 6, V = 3, over all readers"
    computed[name], claimed[name] = optimum, Fraction(7, 2)
    _, mean, low, high = simulate(5, 4, 0.7, rng=11)
    name = "rows read by a coin and a search, K = 5, V = 4, searching with 7/10 (simulated)"
    computed[name], claimed[name] = mean, Fraction(21, 10)
    uneven, control = dynamic_program(_UNEVEN, 4, Fraction(4), title="control: the likelier rows first")
    computed["control: the same where one row holds the value with chance 1/2"] = uneven
    return Verdict(
        claim="T11",
        source="T1 with the union bound; search at a random place; proofs: docs/theory.md",
        status="proved",
        statement="At an error rate of δ heads that each show the whole value have Σ α_h ≥ 1 − δV/(V−1), heads that "
        "show parts H times that; a reader to whom all K rows are equally likely to hold the value reads at least "
        "(1 − δV/(V−1))(K+1)/2 of them per query. All are attained.",
        certificate=bundle(*documents, document, *_STEPS, _search(), control, _told()),
        assumptions=(
            "no information on the value but what is read",
            "parts are uniform and independent of each other",
            "rows: none on where the value stands; one row at a time",
        ),
        computed=computed,
        claimed=claimed,
        remarks=(
            f"simulated: a 99 % confidence sequence over 2000 queries ends at [{low:.3f}, {high:.3f}]",
            "the certificate holds two controls: rows that are not equally likely, and a reader told where to look",
        ),
    )


_UNEVEN = [Fraction(1, 2), Fraction(1, 4), Fraction(1, 8), Fraction(1, 16), Fraction(1, 16)]

_STEPS: tuple[dict[str, Any], ...] = (
    {
        "kind": "identity",
        "title": "j − j(j−1)/(2K) is above the chord j(K+1)/(2K) for 0 ≤ j ≤ K",
        "left": "j - j*(j - 1)/(2*K) - j*(K + 1)/(2*K)",
        "right": "j*(K - j)/(2*K)",
    },
    {
        "kind": "arithmetic",
        "title": "u/(u+1) ≤ 1 − 2^−u: u of more heads left out cost more errors than they save; u = 1 to 30",
        "facts": ["sum(u, 1, 30, 0 if u/(u + 1) <= 1 - 2**(-u) else 1) == 0"],
    },
)


def _search() -> dict[str, Any]:
    """Coin and search, place by place."""
    places = [
        {"probability": written(Fraction(p, 50)), "searches": str(int(coin)), "place": str(k)}
        for k in range(1, 6)
        for coin, p in ((True, 7), (False, 3))
    ]
    return {
        "kind": "chain",
        "title": "a coin and a search attain it, K = 5, V = 4, δ = 9/40",
        "start": {"read": "0", "missed": "0"},
        "outcomes": places,
        "update": {"read": "place if searches == 1 else 0", "missed": "1 - searches"},
        "steps": 1,
        "expect": {"rows": "read", "error": "missed*(1 - 1/4)"},
        "facts": ["error == 9/40", "rows == (1 - error*4/3)*(5 + 1)/2"],
    }


def _told() -> dict[str, Any]:
    """A memory of where the value stands: one row is enough, at no error."""
    return {
        "kind": "chain",
        "title": "control: a reader told where the value stands reads one row of five",
        "start": {"place": "0", "read": "0", "found": "0"},
        "outcomes": [{"probability": "1/5", "drawn": str(k)} for k in range(1, 6)],
        "let": {"first": "drawn"},
        "update": {"place": "drawn", "read": "read + 1", "found": "1 if first == drawn else 0"},
        "steps": 1,
        "expect": {"rows": "read", "error": "(1 - found)*(1 - 1/4)"},
        "facts": ["error == 0", "rows == 1", "rows < (1 - error*4/3)*(5 + 1)/2"],
    }

"""T13: what it costs not to know the frequencies: nothing without errors, a factor where guesses or cells are cheap.

**Statement.** A learner that does not know which patterns will be asked for, against one that does.

1. *First sight.* Attending at the first query of each pattern and remembering costs D_n on every sequence, without
   errors, and no learner has less than E[D_n] (T3): at the price V/(V−1) of an error, or without errors, knowing the
   law is worth nothing. With errors allowed it is worth something: two patterns, one asked for once and one five times,
   a budget of one wrong guess (in units of 1 − 1/V): attention 1 if one knows which is rare, 3/2 if not.
2. *Cheap errors.* No labels, no word on right or wrong, a price λ < V/(V−1) of an error, λ(1 − 1/V) = 1/B. Guessing
   B − 1 times and then attending costs at most 2 − 1/B times what is needed for m queries of a pattern, min(m/B, 1); no
   deterministic rule has a smaller factor, and the best random one has 1/(1 − (1−1/B)^B) < e/(e−1).
3. *Writing.* If storing a value costs w beyond the attended read, the same with B = 1 + w: 2 − 1/(1+w).
4. *Cells.* Room for m values, no errors, a miss is one attended read, and storing what was read is optional (paging
   with bypass). Storing always and dropping what was used least recently has at most m + 1 times the misses of any rule
   that knows the future, up to m + 1; no deterministic rule has a smaller factor, and no random one less than
   H_{m+1} = 1 + 1/2 + … + 1/(m+1).

**Assumptions.** B whole; (4) the rule that knows the future stores values as they are (a coded memory may do better).

**Reference.** Ski rental: Karlin, Manasse, Rudolph & Sleator, Algorithmica 3 (1988) 79-119; Karlin, Manasse, McGeoch &
Owicki, Algorithmica 11 (1994) 542-571. Paging: Sleator & Tarjan, Commun. ACM 28 (1985) 202-208; Fiat et al.,
J. Algorithms 12 (1991) 685-699. The proofs are in docs/theory.md.

**Check.** Linear programs against all random rules; all thresholds; rules for cells run by the verifier; requests that
are played against the best that knows the future. With forced storing (4) has m and H_m; labels break (2).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.errors import InputError
from theory.bounds.linear_programs import Program
from theory.proofs.certificates import bundle
from theory.proofs.verdict import Number, Verdict

if TYPE_CHECKING:
    import pandas as pd


# ------------------------------------------------------------------------------------------ (2), (3) rent or buy


def threshold_factor(guesses: int, price: int) -> Fraction:
    """Worst factor of guessing so often before attending.

    Over all numbers of queries.

    Parameters
    ----------
    guesses : int
    price : int
        B, the cost of attending (or of a read that is stored) in guesses (reads that are not).

    Returns
    -------
    Fraction

    Examples
    --------
    >>> [str(threshold_factor(guesses, 4)) for guesses in (0, 3, 6)]
    ['4', '7/4', '5/2']
    """
    _check(price)
    if guesses < 0:
        raise InputError(f"{guesses} guesses", hint="give 0 or more")
    # the worst is the first query that is attended to; earlier ones cost what they must
    return (Fraction(guesses, price) + 1) / min(Fraction(guesses + 1, price), Fraction(1))


def deterministic_factor(price: int) -> Fraction:
    """Least factor of a deterministic rule: 2 − 1/B.

    Examples
    --------
    >>> [float(deterministic_factor(price)) for price in (2, 4, 10)]
    [1.5, 1.75, 1.9]
    """
    _check(price)
    return 2 - Fraction(1, price)


def random_factor(price: int) -> Fraction:
    """Least factor of a random rule: 1/(1 − (1−1/B)^B).

    Examples
    --------
    >>> [round(float(random_factor(price)), 3) for price in (2, 6, 21)]  # w = 1, 5, 20
    [1.333, 1.504, 1.56]
    """
    _check(price)
    return 1 / (1 - (1 - Fraction(1, price)) ** price)


def rules(price: int) -> Program:
    """All random rules as a linear program.

    Variables: the factor, then the chance of each number of guesses 0, …, B (more than B cost no less). Rows: one that
    the chances sum to 1, one per number of queries 1, …, B, and one for queries without end.

    Examples
    --------
    >>> round(rules(4).optimum().value, 6) == round(float(random_factor(4)), 6)
    True
    """
    _check(price)
    out = Program()
    factor = out.variable(1)
    chances = [out.variable(0) for _ in range(price + 1)]
    out.constrain(dict.fromkeys(chances, 1), "==", 1)
    for m in range(1, price + 2):  # the last stands for any number beyond B
        cost = {j: Fraction(min(m, t), price) + (m > t) for t, j in enumerate(chances)}
        out.constrain({factor: min(Fraction(m, price), Fraction(1)), **{j: -c for j, c in cost.items()}}, ">=", 0)
    return out


def rules_certificate(price: int) -> dict[str, Any]:
    """The best random rule and the worst law of queries.

    Document of the kind ``lp-dual``. A further query comes with chance 1 − 1/B, and after B there is no end: then every
    rule costs the same, or more.
    """
    factor, more = random_factor(price), 1 - Fraction(1, price)
    chances = [factor / price * more ** (price - 1 - t) for t in range(price)]
    law = [*(factor / price * more ** (m - 1) for m in range(1, price + 1)), factor * more**price]
    value, title = f"1/(1 - (1 - 1/{price})**{price})", f"the best random rule, B = {price}"
    return rules(price).certificate([factor, *chances, Fraction(0)], [factor, *law], title, value)


def budget_program() -> Program:
    """(1): two patterns, one of them rare, and a budget.

    The first queries of both come first. a_k: chance of passing over the first query of k; f_k: of never attending to k
    where it is the frequent one.

    Examples
    --------
    >>> round(budget_program().optimum().value, 9)
    1.5
    """
    out = Program()
    attention = out.variable(1)
    passed = [out.variable(0) for _ in range(2)]
    never = [out.variable(0) for _ in range(2)]
    for frequent in range(2):
        rare = 1 - frequent
        out.constrain({passed[0]: 1, passed[1]: 1, never[frequent]: 4}, "<=", 1)
        out.constrain({never[frequent]: 1, passed[frequent]: -1}, "<=", 0)
        out.constrain({attention: 1, never[frequent]: 1, passed[rare]: 1}, ">=", 2)
    return out


# ------------------------------------------------------------------------------------------------- (4) cells


def misses_least_recent(requests: Iterable[int], cells: int) -> int:
    """Misses of storing always and dropping the least recently used.

    Parameters
    ----------
    requests : iterable of int
        Patterns.
    cells : int
        m, 1 or more.

    Examples
    --------
    >>> misses_least_recent([1, 2, 3] * 4, 2)
    12
    """
    _check_cells(cells)
    held: dict[int, None] = {}
    misses = 0
    for z in requests:
        if z in held:
            del held[z]
        else:
            misses += 1
            if len(held) == cells:
                del held[next(iter(held))]
        held[z] = None
    return misses


def misses_known_future(requests: Sequence[int], cells: int, *, bypass: bool = True) -> int:
    """Least misses of a rule that knows the future.

    It drops what is asked for last; with bypass, possibly what it has just read.

    Parameters
    ----------
    requests : sequence of int
    cells : int
        m, 1 or more.
    bypass : bool
        Whether storing is optional.

    Examples
    --------
    >>> misses_known_future([1, 2, 3] * 4, 2), misses_known_future([1, 2, 3] * 4, 2, bypass=False)
    (6, 7)
    """
    _check_cells(cells)
    never = len(requests)
    following, last = [never] * len(requests), dict[int, int]()
    for t in range(len(requests) - 1, -1, -1):
        following[t] = last.get(requests[t], never)
        last[requests[t]] = t
    held: dict[int, int] = {}
    misses = 0
    for t, z in enumerate(requests):
        if z not in held:
            misses += 1
            if len(held) == cells:
                furthest = max(held, key=held.__getitem__)
                if bypass and following[t] >= held[furthest]:
                    continue
                del held[furthest]
        held[z] = following[t]
    return misses


def harmonic(n: int) -> Fraction:
    """H_n = 1 + 1/2 + … + 1/n.

    Examples
    --------
    >>> str(harmonic(3))
    '11/6'
    """
    return sum((Fraction(1, k) for k in range(1, n + 1)), Fraction(0))


def played_factors(cells: int, *, requests: int = 20_000, rng: int = 13) -> tuple[float, float]:
    """Misses over the least possible, played.

    Of the adversary against "least recently used" (a cycle of m + 1 patterns), and of any rule on uniform requests for
    m + 1 patterns, which misses with probability 1/(m+1) each time.

    Examples
    --------
    >>> [round(factor, 2) for factor in played_factors(1)]
    [2.0, 1.51]
    """
    cycle = [t % (cells + 1) for t in range(requests)]
    worst = misses_least_recent(cycle, cells) / misses_known_future(cycle, cells)
    uniform = np.random.default_rng(rng).integers(0, cells + 1, requests).tolist()
    return worst, requests / (cells + 1) / misses_known_future(uniform, cells)


def curves() -> pd.DataFrame:
    """Factors that not knowing costs.

    Returns
    -------
    pandas.DataFrame
        One row per curve and point: ``curve`` (label), ``x`` (B; for m cells m + 1), ``kind`` (``"bound"``;
        ``"exact"``: all thresholds, or the linear program; ``"achieved"``: requests that are played), ``value``,
        ``low``, ``high`` (NaN).
    """
    import pandas as pd

    rows: list[tuple[str, float, str, float]] = []
    labels = ("guess or attend", "guess or attend, at random", "m = B − 1 cells", "m = B − 1 cells, at random")
    for price in range(2, 13):
        factors = (deterministic_factor(price), random_factor(price), Fraction(price), harmonic(price))
        rows += [(label, price, "bound", float(factor)) for label, factor in zip(labels, factors, strict=True)]
        if price % 2 == 0:
            rows.append((labels[0], price, "exact", float(min(threshold_factor(t, price) for t in range(3 * price)))))
            rows.append((labels[1], price, "exact", rules(price).optimum().value))
            played = played_factors(price - 1, requests=5000)
            rows += [(label, price, "achieved", factor) for label, factor in zip(labels[2:], played, strict=True)]
    return pd.DataFrame(rows, columns=["curve", "x", "kind", "value"]).assign(low=math.nan, high=math.nan)


# -------------------------------------------------------------------------------------------------------- certificate


def check() -> Verdict:
    """Verdict on T13.

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
    for price in (2, 4, 10):
        name = f"least factor of a deterministic rule, B = {price}, all numbers of guesses"
        computed[name] = min(threshold_factor(t, price) for t in range(5 * price))
        claimed[name] = deterministic_factor(price)
        name = f"least factor of a random rule, B = {price}, linear program"
        computed[name], claimed[name] = rules(price).optimum().value, random_factor(price)
    name = "attention with a budget of one wrong guess, not knowing which of two patterns is rare"
    computed[name], claimed[name] = budget_program().optimum().value, Fraction(3, 2)
    for cells in (1, 2, 3):
        worst, random = played_factors(cells)
        name = f"misses over the least possible, m = {cells}, cycle of m + 1 patterns (played)"
        computed[name], claimed[name] = worst, cells + 1
        name = f"the same, uniform requests for m + 1 patterns, m = {cells} (played)"
        computed[name], claimed[name] = random, harmonic(cells + 1)
    return Verdict(
        claim="T13",
        source="ski rental and paging with bypass: Karlin et al. 1988, 1994; Sleator & Tarjan 1985; Fiat et al. 1991; "
        "proofs: docs/theory.md",
        status="proved",
        statement="Not knowing the law costs nothing without errors or at the price V/(V−1) of one. Where an error "
        "costs 1/B of attending, or storing B − 1 reads, the best deterministic rule pays 2 − 1/B times what is "
        "needed, the best random one 1/(1 − (1−1/B)^B) times. With room for m values and optional storing, the factor "
        "of misses is m + 1 for deterministic rules, attained by dropping the least recently used, and at least "
        "H_{m+1} for others.",
        certificate=bundle(
            _first_sight(),
            budget_program().rounded("a budget of one wrong guess, not knowing which pattern is rare", "3/2"),
            *(rules_certificate(price) for price in (2, 4, 6)),
            _thresholds(),
            *_cells(),
            _phases(),
            *_controls(),
        ),
        assumptions=(
            "fresh uniform values; no labels in (2)",
            "B whole; no errors in (3) and (4)",
            "the rule that knows the future stores values as they are",
        ),
        computed=computed,
        claimed=claimed,
        remarks=(
            "whether a random rule attains H_{m+1} is left open here",
            "the certificate holds two controls: labels break (2); where storing is forced, the cycle is no worse for "
            "one cell than for a rule that knows the future",
        ),
    )


_TWO_CELLS: dict[str, Any] = {
    "kind": "counterexample",
    "patterns": 3,
    "values": 2,
    "queries": [1, 2, 3] * 6,
    "memory": {"old": "0", "oldvalue": "1", "new": "0", "newvalue": "1"},
    "attend": "1 if z != old and z != new else 0",
    "guess": "oldvalue if z == old else newvalue",
}


def _cells() -> list[dict[str, Any]]:
    """Two cells, three patterns in turn."""
    recent = {
        "old": "new if z != new else old",
        "oldvalue": "newvalue if z != new else oldvalue",
        "new": "z",
        "newvalue": "value if attended else (oldvalue if z == old else newvalue)",
    }
    keeping = {
        "old": "z if z == 1 else old",
        "oldvalue": "value if z == 1 and attended == 1 else oldvalue",
        "new": "z if z == 2 else new",
        "newvalue": "value if z == 2 and attended == 1 else newvalue",
    }
    return [
        {
            **_TWO_CELLS,
            "title": "the least recently used of two is dropped: every request of a cycle of three misses",
            "update": recent,
            "facts": ["attention == queries", "error == 0"],
        },
        {
            **_TWO_CELLS,
            "title": "who keeps two of them misses m + 1 times less, but for m reads",
            "update": keeping,
            "facts": ["attention == queries/3 + 2", "error == 0"],
        },
    ]


def _first_sight() -> dict[str, Any]:
    return {
        "kind": "counterexample",
        "title": "first sight costs the number of patterns seen, whatever the law",
        "patterns": 3,
        "values": 2,
        "queries": {"length": 4, "probabilities": ["1/10", "1/2", "3/10", "1/10"]},
        "memory": {"known": "repeat(0, K + 1)"},
        "attend": "1 if known[z] == 0 else 0",
        "guess": "max(known[z], 1)",
        "update": {"known": "put(known, z, value) if attended else known"},
        "facts": ["error == 0", "attention == distinct"],
    }


def _thresholds() -> dict[str, Any]:
    factor = "({t}/{b} + 1)/min(({t} + 1)/{b}, 1)"
    return {
        "kind": "arithmetic",
        "title": "no number of guesses has a factor below 2 − 1/B, and B − 1 have it: B = 2, …, 8",
        "facts": [
            fact
            for b in range(2, 9)
            for fact in (
                f"sum(t, 0, {4 * b}, 1 if {factor.format(t='t', b=b)} < 2 - 1/{b} else 0) == 0",
                f"{factor.format(t=b - 1, b=b)} == 2 - 1/{b}",
            )
        ],
    }


def _phases() -> dict[str, Any]:
    """Uniform requests for three patterns, two cells.

    A phase ends where all were asked for. A rule that knows the future needs one miss a phase, after two reads.
    """
    return {
        "kind": "chain",
        "title": "uniform requests, m = 2: phases of (m+1)·H_{m+1} requests",
        "start": {"asked": "0", "phases": "0"},
        "outcomes": [{"probability": "1/3", "drawn": str(k)} for k in (1, 2, 3)],
        "let": {"now": "asked + 1 if drawn > asked else asked"},
        "update": {"asked": "0 if now == 3 else now", "phases": "phases + 1 if now == 3 else phases"},
        "steps": 60,
        "expect": {"mean": "phases", "left": "11/2 if asked == 0 else 9/2 if asked == 1 else 3"},
        "facts": [
            "3*(1 + 1/2 + 1/3) == 11/2",
            "11/2*mean == steps - 11/2 + left",
            "steps/3 > 3/2*(mean + 2)",
        ],
    }


def _controls() -> list[dict[str, Any]]:
    """Controls, each without one of the assumptions."""
    return [
        {
            "kind": "counterexample",
            "title": "control: labels: one guess is enough for any number of queries (λ = 1/2, V = 2: B = 4)",
            "patterns": 1,
            "values": 2,
            "queries": [1] * 4,
            "feedback": True,
            "memory": {"known": "1"},
            "attend": "0",
            "guess": "known",
            "update": {"known": "value"},
            "facts": ["attention == 0", "1/2*error == 1/4", "1/2*error < 2 - 1/4"],
        },
        {
            "kind": "counterexample",
            "title": "control: forced storing, one cell: on two patterns in turn nobody misses less than always",
            "patterns": 2,
            "values": 2,
            "queries": [1, 2] * 4,
            "memory": {"held": "0", "heldvalue": "1"},
            "attend": "1 if z != held else 0",
            "guess": "heldvalue",
            "update": {"held": "z", "heldvalue": "value if attended else heldvalue"},
            "facts": ["attention == queries", "error == 0"],
        },
    ]


def _check(price: int) -> None:
    if price < 2 or price != int(price):
        raise InputError(f"B = {price}", hint="give a whole number of 2 or more")


def _check_cells(cells: int) -> None:
    if cells < 1:
        raise InputError(f"{cells} cells", hint="give 1 or more")

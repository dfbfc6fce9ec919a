"""CRAM Theorem 1: a static router must attend to (1 − ε)·f·n positions.

**Statement.** Of n positions a share f asks for the value of one of K recurring patterns, each with frequency f/K. A
routing scheme is static if attending or not depends on the input x_t and fixed parameters only (Def. 2). Every static
scheme of retrieval accuracy at least 1 − ε has E[attention operations] ≥ (1 − ε)·f·n.

**Assumptions.** None beyond these in the statement. The proof takes for granted that a retrieval which is not attended
fails: that the output off attention is right with probability 0.

**Reference.** CRAM, arXiv 2602.12204v1, Def. 2 and Theorem 1 (Eq. 9).

**Check.** Smallest static routers below the bound, by search: one that guesses, one that remembers what it attended to,
one whose parameters hold the values, one that is told the values afterwards. Each is evaluated again on every table of
values. The corrected constant is certified by a linear program with its dual solution.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

from theory.bounds import t1_memoryless
from theory.claims import find
from theory.claims.published import TABLE_1, percent
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict

EPSILON = 1 - TABLE_1[0].accuracy
"""Error rate of the baselines of Table 1."""


def guessing_router(epsilon: Fraction) -> tuple[int, Fraction]:
    """Fewest values V at which guessing beats the bound.

    The router attends with probability ρ and guesses otherwise; with the least ρ.

    ρ in hundredths; accuracy ρ + (1 − ρ)/V at least 1 − ε.

    Examples
    --------
    >>> guessing_router(Fraction(3, 10))
    (2, Fraction(2, 5))
    """
    rates = [Fraction(hundredths, 100) for hundredths in range(101)]
    return next(
        (values, rate)
        for values in itertools.count(2)
        for rate in rates
        if rate < 1 - epsilon <= rate + (1 - rate) / values
    )


def remembering_router() -> tuple[int, Fraction, Fraction]:
    """Fewest queries N at which memory beats the bound.

    A coin with memory on one binary pattern, against even the corrected bound.

    The router attends to each query with probability ρ (the simplest fraction that does) and repeats what it has seen:
    attention ρN, errors ½·Σ_{j≤N} (1−ρ)^j.

    Returns
    -------
    tuple
        N, ρ and the expected number of errors.
    """
    rates = [Fraction(i, denominator) for denominator in range(2, 6) for i in range(1, denominator)]

    def errors(queries: int, rate: Fraction) -> Fraction:
        return sum(((1 - rate) ** j for j in range(1, queries + 1)), Fraction(0)) / 2

    return next(
        (queries, rate, errors(queries, rate))
        for queries in itertools.count(1)
        for rate in rates
        if rate * queries < queries - 2 * errors(queries, rate)
    )


def check() -> Verdict:
    """Verdict on the claim.

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('refuted', True)
    """
    claim = find("cram-theorem-1")
    accuracy = 1 - EPSILON
    # two routers that beat the bound: one guesses, one remembers
    values, rate = guessing_router(EPSILON)
    queries, coin, errors = remembering_router()
    many = t1_memoryless.least_attention(EPSILON, 16)
    # the verdict, with what is right instead and why
    return Verdict(
        claim=claim.id,
        source=claim.source,
        status="refuted",
        statement="Every static routing scheme with retrieval accuracy at least 1 − ε on n positions, a share f of "
        "which asks for K recurring patterns of frequency f/K each, has E[attention operations] ≥ (1 − ε)·f·n.",
        certificate=bundle(
            _guessing(values, rate),
            _remembering(queries, coin, errors),
            *_informed(),
            t1_memoryless.game_certificate((Fraction(1),), 2, EPSILON),
            t1_memoryless.game_certificate((Fraction(1),), 16, EPSILON),
            _premise(),
        ),
        computed={
            f"least attention per query at accuracy {percent(accuracy, 0)}, V = 2, nothing known": rate,
            f"least attention per query at accuracy {percent(accuracy, 0)}, V = 16, nothing known": many,
            f"attention to {queries} queries, a coin of {coin} with memory": coin * queries,
            "attention per query, values in the parameters": 0,
        },
        claimed={
            f"least attention per query at accuracy {percent(accuracy, 0)}, V = 2, nothing known": accuracy,
            f"least attention per query at accuracy {percent(accuracy, 0)}, V = 16, nothing known": accuracy,
            f"attention to {queries} queries, a coin of {coin} with memory": queries - errors,
            "attention per query, values in the parameters": 1,
        },
        reading="With the premise of its proof (a retrieval that is not attended always fails) the bound is right, and "
        "then for every router, static or not: attended + failed = all.",
        corrected="If, at each query, the value asked for is uniform on V values given all that the router knows, then "
        "every router, static or not, of accuracy 1 − ε has E[attention] ≥ (1 − εV/(V−1))·f·n, and this is attained "
        "(theorem T1). If a guess off attention is right with probability at most G: (1 − ε/(1−G))·f·n.",
        remarks=(
            f"Guessing: with V = {values} values attend to {percent(rate, 0)} of the queries and guess at the others. "
            f"Right: {percent(rate, 0)} + {percent(1 - rate, 0)}/{values} = {percent(accuracy, 0)}; the theorem asks "
            f"for {percent(accuracy, 0)} attention. With V = 16 the least attention is {percent(many)}: for many "
            "values this point alone would be a technicality.",
            f"Memory: {queries} queries for one binary pattern; attend to each with probability {coin} (a static rule: "
            "let it hang on any part of x_t that says nothing about the value, such as a time gap above its median) "
            f"and repeat what was seen. Attention {coin * queries}, errors {errors}; the theorem asks for "
            f"{queries} − {errors} = {queries - errors}, and even the corrected bound without memory for "
            f"{queries} − 2·{errors} = {queries - 2 * errors}. The gap grows with n: see cram-impossible.",
            "Values in the parameters, or labels: where the table of values is the same in training and test, or the "
            "value is shown after the query, a router that never attends (static) is right at every query, or at every "
            "query but the first.",
            "Static or not is not what matters. Without information on the values off attention the bound binds "
            "adaptive routers, too; with it, it does not bind static ones.",
        ),
    )


def _guessing(values: int, rate: Fraction) -> dict[str, Any]:
    return {
        "kind": "counterexample",
        "title": f"static, no memory: attend with probability {rate}, guess otherwise",
        "patterns": 1,
        "values": values,
        "queries": [1, 1],
        "attend": written(rate),
        "guess": f"repeat(1/{values}, {values})",
        "facts": [
            f"error == {written(EPSILON)} * queries",
            f"attention == {written(rate)} * queries",
            f"attention < (1 - {written(EPSILON)}) * queries",
        ],
    }


def _remembering(queries: int, rate: Fraction, errors: Fraction) -> dict[str, Any]:
    return {
        "kind": "counterexample",
        "title": f"static rate {rate} with a memory of what was attended",
        "patterns": 1,
        "values": 2,
        "queries": [1] * queries,
        "memory": {"known": "0"},
        "attend": written(rate),
        "guess": "max(known, 1)",
        "update": {"known": "value if attended else known"},
        "facts": [
            f"attention == {written(rate * queries)}",
            f"error == {written(errors)}",
            "attention < queries - error",
            "attention < queries - V/(V - 1) * error",
        ],
    }


def _informed() -> list[dict[str, Any]]:
    never = {"kind": "counterexample", "patterns": 2, "values": 2, "attend": "0"}
    return [
        {
            **never,
            "title": "never attend, the values are in the parameters",
            "queries": [1, 2, 1, 2],
            "memory": {"known": "table"},
            "guess": "known[z]",
            "facts": ["attention == 0", "error == 0"],
        },
        {
            **never,
            "title": "never attend, the value is shown after each query",
            "queries": [1, 2, 1, 2],
            "feedback": True,
            "memory": {"known": "repeat(1, K + 1)"},
            "guess": "known[z]",
            "update": {"known": "put(known, z, value)"},
            "facts": ["attention == 0", "error == K/2", "attention < queries - V/(V - 1) * error"],
        },
    ]


def _premise() -> dict[str, Any]:
    """The theorem under the premise of its proof."""
    return {
        "kind": "smt",
        "title": "if every query that is not attended fails, the bound holds",
        "expect": "unsat",
        "script": """(declare-const queries Real) (declare-const attended Real) (declare-const failed Real)
(declare-const epsilon Real)
(assert (and (> queries 0) (= (+ attended failed) queries)))
(assert (<= failed (* epsilon queries)))
(assert (< attended (* (- 1 epsilon) queries)))""",
    }

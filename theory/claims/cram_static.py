"""A static router needs at least 5 % attention on SRCD.

**Statement.** Table 1 gives 0.05 as the bound of all models without consolidation, and the text says that static
routing reaches 5 % at best: by Theorem 1 with ε = 0 every query must be attended to.

**Assumptions.** Static as in Def. 2: attending or not depends on x_t and fixed parameters θ only.

**Reference.** CRAM, arXiv 2602.12204v1, SRCD benchmark; Def. 2; Table 1, column "Bound".

**Check.** Search over all deterministic static routers of a small SRCD (which patterns to attend to) for the least
attention without errors; the best is evaluated again on every table.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

from theory.bounds import t1_memoryless
from theory.claims import find
from theory.claims.published import OPT, QUERY_SHARE, RECURRING_SHARE, STATIC, TABLE_1, percent
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict

LAW = {1: QUERY_SHARE * RECURRING_SHARE, 2: QUERY_SHARE * (1 - RECURRING_SHARE)}
"""Probability of a query per position: 1 a recurring key, whose value is in θ; 2 a novel key."""


def best_static_router() -> tuple[tuple[int, ...], Fraction]:
    """The static router of least attention without errors.

    Keys to attend to, and the attention per position.

    Examples
    --------
    >>> keys, attention = best_static_router()
    >>> keys, str(attention)
    ((2,), '3/200')
    """
    in_parameters = {1}
    routers = [keys for size in range(3) for keys in itertools.combinations(LAW, size)]
    right = [keys for keys in routers if set(LAW) - set(keys) <= in_parameters]
    return min(((keys, sum((LAW[z] for z in keys), Fraction(0))) for keys in right), key=lambda router: router[1])


def check() -> Verdict:
    """Verdict on the claim.

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('refuted', True)
    """
    claim = find("cram-static")
    keys, attention = best_static_router()
    cram = next(row for row in TABLE_1 if row.model == "CRAM")
    return Verdict(
        claim=claim.id,
        source=claim.source,
        status="refuted",
        statement="Every static routing scheme that answers all SRCD queries right attends to at least f = 5 % of the "
        "positions.",
        certificate=bundle(
            _router(keys, attention), _fresh(), t1_memoryless.game_certificate((Fraction(1),), 4, Fraction(0))
        ),
        computed={"attention per position of the best static router": attention},
        claimed={"attention per position of the best static router": STATIC},
        reading="Right for a static router that knows nothing of the values off attention, for instance if the "
        "recurring table is drawn afresh for every sequence and nothing is remembered within one; and by definition if "
        "a scheme whose parameters were trained on the recurring patterns is not called static. Then no trained "
        "baseline of Table 1 is static either.",
        corrected="The least attention of a static router with the recurring table in its parameters is the share of "
        "novel queries, 1.5 %; without information on the values it is 5 %, for static and adaptive routers alike "
        "(theorem T1), and at accuracy 1 − ε it is 5 %·(1 − εV/(V−1)).",
        remarks=(
            "Keep the values of the recurring keys in θ, attend exactly when x_t shows a novel key: a fixed "
            f"function of x_t and θ, all queries right, attention 0.05·0.30 = {percent(attention)} "
            f"against {percent(STATIC, 0)}.",
            "CRAM with its weights frozen after training is such a router: its gate is a fixed function of the input "
            "and θ, no longer of the training history (of the hidden state too, if that is not counted as x_t). Its "
            f"own {percent(cram.attention)} at accuracy {percent(cram.accuracy, 0)} is below the 5 % that the table "
            "gives as the bound for static ones. What is saved, is saved by knowing values, not by routing that "
            "changes.",
        ),
    )


def _router(keys: tuple[int, ...], attention: Fraction) -> dict[str, Any]:
    attend = " or ".join(f"z == {key}" for key in keys)
    return {
        "kind": "counterexample",
        "title": "a static router at 1.5 %: recurring values in the parameters, attend to novel keys",
        "patterns": 2,
        "values": 4,
        "queries": {"length": 4, "probabilities": [written(1 - QUERY_SHARE), *(written(p) for p in LAW.values())]},
        "memory": {"theta": "table[1]"},
        "attend": f"1 if {attend} else 0",
        "guess": "theta",
        "facts": [
            "error == 0",
            f"attention == {written(attention)} * 4",
            f"attention == {written(OPT)} * 4",
            f"attention < {written(STATIC)} * 4",
        ],
    }


def _fresh() -> dict[str, Any]:
    """The reading in which 5 % is right.

    Attention = f exactly when every query is attended to, and then there is no error.
    """
    return {
        "kind": "counterexample",
        "title": "with nothing known beforehand 5 % does it: attend to every query",
        "patterns": 2,
        "values": 4,
        "queries": {"length": 4, "probabilities": [written(1 - QUERY_SHARE), *(written(p) for p in LAW.values())]},
        "attend": "1",
        "guess": "1",
        "facts": ["error == 0", f"attention == {written(STATIC)} * 4"],
    }

"""Table 1 agrees with Theorem 1.

**Statement.** Every static model of Table 1 has at least the attention (1 − ε)·f that Theorem 1 demands at its accuracy
1 − ε, f = 0.05.

**Assumptions.** A model without attention, "always local", is a static routing scheme in the sense of Def. 2.

**Reference.** CRAM, arXiv 2602.12204v1, Table 1, Theorem 1 (Eq. 9), Def. 2.

**Check.** All rows of the table against Eq. 9 and against its corrected form, in exact fractions.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from theory.bounds import t1_memoryless
from theory.claims import find
from theory.claims.published import QUERY_SHARE, SEQUENCE, TABLE_1, TableRow, percent
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict


def rows_below() -> list[TableRow]:
    """Rows whose attention is below (1 − ε)·f.

    Examples
    --------
    >>> [row.model for row in rows_below()]
    ['Mamba', 'CRAM']
    """
    return [row for row in TABLE_1 if row.attention < row.accuracy * QUERY_SHARE]


def check() -> Verdict:
    """Verdict on the claim.

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('conditional', True)
    """
    claim = find("cram-mamba")
    row = next(row for row in rows_below() if row.model == "Mamba")
    demanded = row.accuracy * QUERY_SHARE
    corrected = Fraction(t1_memoryless.least_attention(1 - row.accuracy, 2)) * QUERY_SHARE
    name = "Mamba's attention per position"
    return Verdict(
        claim=claim.id,
        source=claim.source,
        status="conditional",
        statement="The static models of Table 1 have at least the attention (1 − ε)·f that Theorem 1 demands at their "
        "accuracy 1 − ε.",
        certificate=bundle(*map(_row, TABLE_1), _guessing(row.accuracy), _knowing(row.accuracy)),
        assumptions=("“always local” is not a routing scheme in the sense of Def. 2, or Mamba's row is left out",),
        computed={name: row.attention},
        claimed={name: demanded},
        reading="Def. 2 calls a scheme static if local or global depends on x_t and θ only; “always local” is the "
        "simplest such function. Read so, the table contradicts the theorem. The authors give Mamba no bound (“–”), "
        "so they may not count it as a scheme: then there is no contradiction, and the theorem does not speak of "
        "models without attention.",
        corrected="The row need be no error: it shows what Theorem 1 leaves out. A predictor that is right without "
        f"attention with probability G = {float(row.accuracy)}, for instance because the recurring values are in its "
        "weights, needs (1 − ε/(1−G))·f·n, which is 0 here.",
        remarks=(
            f"Mamba: attention 0, accuracy {percent(row.accuracy)}. Theorem 1 demands {float(row.accuracy):.2f} · "
            f"0.05 = {percent(demanded)} of the positions, {float(demanded * SEQUENCE):.1f} of {SEQUENCE}.",
            f"Chance does not explain it: with V = 2 values, the most favourable number, the corrected theorem still "
            f"demands {percent(corrected)}. A router without attention is right in 68 % of the cases only if it "
            "knows something about the values.",
            "CRAM's own row is below 5 %, too; its authors count it as not static (but see cram-static). All other "
            "rows satisfy the inequality.",
        ),
    )


def _row(row: TableRow) -> dict[str, Any]:
    relation = "<" if row in rows_below() else ">="
    return {
        "kind": "arithmetic",
        "title": f"{row.model}: {'below' if relation == '<' else 'satisfies'} (1 − ε)·f",
        "definitions": {
            "attention": written(row.attention),
            "accuracy": written(row.accuracy),
            "f": written(QUERY_SHARE),
        },
        "facts": [f"attention {relation} accuracy*f"],
    }


def _guessing(accuracy: Fraction) -> dict[str, Any]:
    """The corrected bound is least at V = 2.

    V/(V−1) is largest there.
    """
    return {
        "kind": "smt",
        "title": "the corrected bound is positive at accuracy 68 % for every V ≥ 2: chance does not explain the row",
        "expect": "unsat",
        "script": f"""(declare-const v Real)
(assert (>= v 2))
(assert (<= (- 1 (* (/ {(1 - accuracy).numerator}.0 {(1 - accuracy).denominator}.0) (/ v (- v 1)))) 0))""",
    }


def _knowing(accuracy: Fraction) -> dict[str, Any]:
    return {
        "kind": "counterexample",
        "title": "a router that never attends and knows the answer to 68 % of the queries",
        "patterns": 2,
        "values": 2,
        "queries": {"length": 2, "probabilities": ["0", written(accuracy), written(1 - accuracy)]},
        "memory": {"weights": "table"},
        "attend": "0",
        "guess": "weights[1] if z == 1 else 3 - weights[2]",
        "facts": ["attention == 0", f"1 - error/queries == {written(accuracy)}"],
    }

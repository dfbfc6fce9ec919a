"""68.0 % is the accuracy of knowing the recurring 70 % and guessing the rest.

**Statement.** Three unlike baselines of Table 1 (Transformer, Mamba, SeqBoat) have the same retrieval accuracy, 68.0 %.
A model that holds the recurring table in its weights and guesses novel values has p_rec + (1 − p_rec)/V.

**Assumptions.** p_rec = 0.70; V values, equally likely at novel keys; V is not given in the paper. The formula is this
project's explanation of the plateau, not the authors'.

**Reference.** CRAM, arXiv 2602.12204v1, Table 1. The ceiling is theorem T0 (Chow 1970) without attention; the sampling
error Hoeffding, J. Amer. Statist. Assoc. 58 (1963) 13-30.

**Check.** The accuracy of that model on every table; the formula for every V; what has to be lost to get 68.0 %.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from theory.claims import find
from theory.claims.published import RECURRING_SHARE, TABLE_1, percent
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict

PLATEAU = next(row.accuracy for row in TABLE_1 if row.model == "Mamba")
ROUNDED_UP = PLATEAU + Fraction(1, 2000)


def accuracy(values: int) -> Fraction:
    """p_rec + (1 − p_rec)/V.

    Examples
    --------
    >>> accuracy(16)
    Fraction(23, 32)
    """
    return RECURRING_SHARE + (1 - RECURRING_SHARE) / values


def recall(values: int) -> Fraction:
    """Share of the recurring queries answered right.

    The accuracy is 68.0 %, novel ones are guessed.

    Examples
    --------
    >>> recall(16)
    Fraction(529, 560)
    """
    return (PLATEAU - (1 - RECURRING_SHARE) / values) / RECURRING_SHARE


def check() -> Verdict:
    """Verdict on the claim.

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('conditional', True)
    """
    claim = find("cram-plateau")
    number, large = 100, 10_000
    most = PLATEAU / RECURRING_SHARE
    limit, sixteen, needed = "accuracy, V → ∞", "accuracy, V = 16", "recall of recurring keys for 68.0 %, V = 16"
    return Verdict(
        claim=claim.id,
        source=claim.source,
        status="conditional",
        statement="The 68.0 % of three baselines of Table 1 is p_rec + (1 − p_rec)/V with p_rec = 0.70: the recurring "
        "table in the weights, a guess at novel keys, no use made of attention.",
        certificate=bundle(_model(), _formula(), _small_sample(number), _large_sample(large)),
        assumptions=(
            "either the test draws fewer than 70 % recurring queries by chance (one test set for all models, of no "
            "more than some thousand queries), or a few per cent of the recurring queries are answered wrong",
        ),
        computed={limit: RECURRING_SHARE, sixteen: accuracy(16), needed: recall(16)},
        claimed={limit: PLATEAU, sixteen: PLATEAU, needed: 1},
        reading="As an order of magnitude the explanation is right, and it gives a Transformer and an attention-free "
        "model the same number; to the digit it is not.",
        corrected="p_rec + (1 − p_rec)/V is at least 70.0 % for every V. It is the most that a model without attention "
        "can reach on average; 68.0 % is 2 points or more below it.",
        remarks=(
            f"0.70 + 0.30/V is 0.85 for V = 2, {float(accuracy(16)):.4f} for V = 16 and above 0.70 for every V. "
            f"68.0 % needs the recurring keys to be right in at most {percent(most)} of the cases (V → ∞), "
            f"{percent(recall(16))} for V = 16, {percent(recall(2))} for V = 2.",
            f"Chance can do it in a small test: among {number} queries (one sequence has about 102) the recurring ones "
            f"are 68 or fewer with probability about 1/3 (enough if V is large); among {large:,} they are 68.05 % or "
            "fewer with probability below 1/1000. The paper does not give the number of test queries.",
            "68 % is no evidence for retrieval by attention: the ceiling without any attention is higher.",
        ),
    )


def _model() -> dict[str, Any]:
    return {
        "kind": "counterexample",
        "title": "no attention, recurring value (pattern 1) known, novel (pattern 2) guessed, V = 16",
        "patterns": 2,
        "values": 16,
        "queries": {"length": 1, "probabilities": ["0", written(RECURRING_SHARE), written(1 - RECURRING_SHARE)]},
        "memory": {"weights": "table[1]"},
        "attend": "0",
        "guess": "weights if z == 1 else 1",
        "facts": ["attention == 0", f"1 - error == {written(accuracy(16))}", f"1 - error > {written(PLATEAU)}"],
    }


def _formula() -> dict[str, Any]:
    return {
        "kind": "smt",
        "title": "0.70 + 0.30/V is above 0.6805 for every V ≥ 1",
        "expect": "unsat",
        "script": f"""(declare-const v Real)
(assert (>= v 1))
(assert (<= (+ {_real(RECURRING_SHARE)} (/ {_real(1 - RECURRING_SHARE)} v)) {_real(ROUNDED_UP)}))""",
    }


def _small_sample(number: int) -> dict[str, Any]:
    """Exact binomial law of the number of recurring queries."""
    return {
        "kind": "chain",
        "title": f"recurring queries among {number}: 68 % or fewer",
        "start": {"recurring": "0"},
        "outcomes": [
            {"probability": written(RECURRING_SHARE), "hit": "1"},
            {"probability": written(1 - RECURRING_SHARE), "hit": "0"},
        ],
        "update": {"recurring": "recurring + hit"},
        "steps": number,
        "expect": {"few": f"1 if recurring <= {written(PLATEAU)}*steps else 0"},
        "facts": ["0.3 < few < 0.4"],
    }


def _large_sample(number: int) -> dict[str, Any]:
    """Hoeffding: P(share ≤ p − τ) ≤ exp(−2Nτ²)."""
    return {
        "kind": "interval",
        "title": f"recurring queries among {number}: 68.05 % or fewer",
        "facts": [f"exp(-2*{number}*({written(RECURRING_SHARE)} - {written(ROUNDED_UP)})**2) < 1/1000"],
    }


def _real(x: Fraction) -> str:
    return f"(/ {x.numerator}.0 {x.denominator}.0)"

"""Adaptive Retention, Proposition 3: memory falls from O(T²d) to O(M²d).

**Statement.** Keeping M of T tokens reduces the memory of a layer from O(T²d) to O(M²d).

**Assumptions.** Tokens are removed before attention, as at inference (top M). Not said: that the scores need every
token.

**Reference.** Rafiuddin & Khan 2025 (arXiv 2510.08798), Proposition 3; its throughput, memory and layer tables.

**Check.** Memory counted as T·d (embeddings, scores) + M² (attention matrix) + M·d against M²d; the measured times
and the layer-wise retention against the factor (M/T)².
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from theory.claims import find
from theory.claims.published import LAYERS_AT_30, MEMORY_SAVED, SECONDS_AT_30, SECONDS_FULL, percent
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict

BUDGET = Fraction(3, 10)


def longest_exception() -> int:
    """Longest input that exceeds the square of the budget.

    Largest T ≥ 4 (below 100) at which M = ⌊0.3·T⌋ tokens have M² < T: the T·d numbers of the input exceed M²d.

    Examples
    --------
    >>> longest_exception()
    13
    """
    return max(t for t in range(4, 100) if int(BUDGET * t) ** 2 < t)


def quadratic_share(saved: Fraction, budget: Fraction) -> Fraction:
    """Share q of a cost quadratic in the tokens.

    The rest is fixed; ``saved`` = q·(1 − ρ²).

    Examples
    --------
    >>> quadratic_share(Fraction(91, 200), Fraction(3, 10))
    Fraction(1, 2)
    """
    return saved / (1 - budget**2)


def check() -> Verdict:
    """Verdict on the claim.

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('conditional', True)
    """
    claim = find("retention-proposition-3")
    tokens = longest_exception()
    layers = sum((x**2 for x in LAYERS_AT_30), Fraction(0)) / len(LAYERS_AT_30)
    faster = SECONDS_FULL / SECONDS_AT_30
    time_share = quadratic_share(1 - SECONDS_AT_30 / SECONDS_FULL, BUDGET)
    budgets = Fraction(1, 2), BUDGET
    memory = [quadratic_share(saved, budget) for saved, budget in zip(MEMORY_SAVED, budgets, strict=True)]
    factor = "quadratic part left at a budget of 30 %, DistilBERT's layers"
    return Verdict(
        claim=claim.id,
        source=claim.source,
        status="conditional",
        statement="Keeping M of T tokens reduces the memory of a layer from O(T²d) to O(M²d).",
        certificate=bundle(_input(tokens), _enough(), _measured(layers)),
        assumptions=(
            "tokens are dropped before attention is computed (inference, top M; in training all T soft gates are kept)",
            "M ≥ √T, so that the T·d numbers that are embedded and scored are no more than M²d",
        ),
        computed={factor: layers, "speed-up at a budget of 30 %": faster},
        claimed={factor: BUDGET**2},
        reading="Right for the attention matrix of a layer that gets M tokens, M² instead of T² numbers per head. For "
        "a budget that is a fixed share, M = ρT, the order in T stays the same and the constant falls by ρ².",
        corrected="Memory O(T·d + M²·h + M·d) for h heads, time O(T·d² + M²·d + M·d²): the quadratic part falls by "
        "(M/T)², the part that embeds and scores all tokens stays.",
        remarks=(
            f"The scores need every token: T·d numbers, whatever M. With M = ⌊0.3·T⌋ this is more than M²d up to T = "
            f"{tokens} (M = {int(BUDGET * tokens)}): a formal point for budgets of 30 to 50 % of long inputs, a real "
            "one for small fixed M, where the input is what is left.",
            f"At a budget of 30 % the quadratic part falls to 9 %, by a factor of {float(1 / BUDGET**2):.1f}. "
            f"Measured: {float(SECONDS_AT_30)} against {float(SECONDS_FULL)} s per batch, {float(faster):.2f} times "
            f"faster; if the rest is fixed, {percent(time_share, 0)} of the time was quadratic. The memory saved, "
            f"about {percent(MEMORY_SAVED[0], 0)} and {percent(MEMORY_SAVED[1], 0)} (taken for 50 and 30 %), gives "
            f"{percent(memory[0], 0)} and {percent(memory[1], 0)}: about half of the cost is quadratic.",
            f"DistilBERT's layers keep {percent(min(LAYERS_AT_30))} to {percent(max(LAYERS_AT_30))} at the budget of "
            f"30 %; the mean of the squares is {float(layers):.3f}, not 0.09.",
        ),
    )


def _input(tokens: int) -> dict[str, Any]:
    return {
        "kind": "arithmetic",
        "title": f"M = ⌊0.3·T⌋: more than M²d input numbers at T = {tokens}, no more from there to 20",
        "definitions": {"T": str(tokens), "M": f"floor({written(BUDGET)}*T)"},
        "facts": [
            "M**2 < T",
            *(f"floor({written(BUDGET)}*{t})**2 >= {t}" for t in range(tokens + 1, 20)),
        ],
    }


def _enough() -> dict[str, Any]:
    return {
        "kind": "smt",
        "title": "from T = 20 on 0.3·T − 1 ≤ M gives M² ≥ T",
        "expect": "unsat",
        "script": """(declare-const t Real) (declare-const m Real)
(assert (and (>= t 20) (>= m (- (* 0.3 t) 1))))
(assert (< (* m m) t))""",
    }


def _measured(layers: Fraction) -> dict[str, Any]:
    squares = " + ".join(f"({written(x)})**2" for x in LAYERS_AT_30)
    return {
        "kind": "arithmetic",
        "title": "measured factors against 0.3² = 0.09",
        "definitions": {
            "budget": written(BUDGET),
            "layers": f"({squares})/{len(LAYERS_AT_30)}",
            "speedup": f"({written(SECONDS_FULL)})/({written(SECONDS_AT_30)})",
            "time_share": "(1 - 1/speedup)/(1 - budget**2)",
            "memory_50": f"{written(MEMORY_SAVED[0])}/(1 - (1/2)**2)",
            "memory_30": f"{written(MEMORY_SAVED[1])}/(1 - budget**2)",
        },
        "facts": [
            f"layers == {written(layers)}",
            "layers > 1.9*budget**2",
            "speedup < 2 < 1/budget**2",
            "0.45 < time_share < 0.5",
            "0.45 < memory_50 < 0.5",
            "0.45 < memory_30 < 0.5",
        ],
    }

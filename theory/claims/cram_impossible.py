"""The reduction is impossible without consolidation: static routing needs Ω(f·n).

**Statement.** Attention that falls while accuracy stays is impossible without consolidation, because any static routing
scheme needs Ω(f·n) attention on tasks with recurring patterns.

**Assumptions.** Consolidation: distilling what attention retrieves into a semantic memory (Eq. 5). Static: Def. 2.

**Reference.** CRAM, arXiv 2602.12204v1, abstract; Theorem 1. Growth rates: theorems T1, T3 and T5.

**Check.** The static coin ρ = K/(δN) with a memory, at N, 2N and 4N queries: the same attention and accuracy. A learner
that never attends and learns from labels. Both are evaluated again on every table.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

from theory.bounds import t1_memoryless
from theory.claims import find
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict

DELTA = Fraction(1, 5)


def errors(queries: int, rate: Fraction) -> Fraction:
    """Expected errors of the coin with memory.

    On one binary pattern: ½·Σ_{j≤N} (1−ρ)^j, less than 1/(2ρ).
    """
    return sum(((1 - rate) ** j for j in range(1, queries + 1)), Fraction(0)) / 2


def smallest_length() -> int:
    """Smallest N at which the coin beats the bound.

    ρ = 1/(δN) attends less than the corrected bound without memory, (1 − 2δ)N.

    Examples
    --------
    >>> smallest_length()
    9
    """
    return next(
        n
        for n in itertools.count(1)
        if DELTA * n >= 1 and (1 - 2 * DELTA) * n > 1 / DELTA and errors(n, 1 / (DELTA * n)) <= DELTA * n
    )


def check() -> Verdict:
    """Verdict on the claim.

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('refuted', True)
    """
    claim = find("cram-impossible")
    shortest = smallest_length()
    lengths = (shortest, 2 * shortest, 4 * shortest)
    attention = 1 / DELTA
    names = {n: f"attention to N = {n} queries at accuracy 80 %, static" for n in lengths}
    return Verdict(
        claim=claim.id,
        source=claim.source,
        status="refuted",
        statement="Attention that falls over training at unchanged accuracy is impossible without consolidation of "
        "attended retrievals: any static routing scheme requires Ω(f·n) attention on tasks with recurring patterns.",
        certificate=bundle(
            *(_coin(n) for n in lengths), _labels(), t1_memoryless.game_certificate((Fraction(1),), 2, DELTA)
        ),
        computed=dict.fromkeys(names.values(), attention),
        claimed={names[n]: (1 - DELTA) * n for n in lengths},
        reading="In a broad sense of the word the claim is right: some information on the values must be kept off "
        "attention, by whatever means (theorem T1: without any, every router needs (1 − εV/(V−1))·f·n). It is refuted "
        "for consolidation in the paper's sense, distillation with a routing that changes.",
        corrected="Without any information on the values off attention, attention linear in n is needed (theorem T1). "
        "With a memory of what was attended, one static rate needs K/δ operations at error rate δ, whatever n (theorem "
        "T5); with labels none at all; without labels and errors every learner needs one operation per pattern met "
        "(theorem T3).",
        remarks=(
            f"A static rate with memory: one binary pattern, N queries, attend to each with probability 1/(δN), "
            f"δ = {DELTA}. Attention {attention} for N = {', '.join(map(str, lengths))}, error rate at most {DELTA} "
            f"each time; Theorem 1 asks for {', '.join(str((1 - DELTA) * n) for n in lengths)}. In general K patterns "
            "cost K/δ, independent of N. (Its attention does not fall with time, either: it was never high.)",
            "Labels instead of attention: where the value is shown after each query, as in supervised training, a "
            "learner that never attends makes one guess per pattern and no error afterwards. (Let it attend to the "
            "first query of each pattern, and its attention falls from 1 to 0 without an error.) Nothing is distilled "
            "from attention.",
            "A changing router without memory gains nothing: theorem T1 holds for every router.",
        ),
    )


def _coin(queries: int) -> dict[str, Any]:
    return {
        "kind": "counterexample",
        "title": f"static rate 1/(δN) with memory, N = {queries}",
        "patterns": 1,
        "values": 2,
        "queries": [1] * queries,
        "memory": {"known": "0"},
        "attend": written(1 / (DELTA * queries)),
        "guess": "max(known, 1)",
        "update": {"known": "value if attended else known"},
        "facts": [
            f"attention == K/({written(DELTA)})",
            f"error <= {written(DELTA)} * queries",
            f"attention < (1 - {written(DELTA)}*V/(V - 1)) * queries",
        ],
    }


def _labels() -> dict[str, Any]:
    return {
        "kind": "counterexample",
        "title": "never attend, learn from labels",
        "patterns": 2,
        "values": 2,
        "queries": [1, 2, 1, 2, 2, 1],
        "feedback": True,
        "memory": {"known": "repeat(1, K + 1)"},
        "attend": "0",
        "guess": "known[z]",
        "update": {"known": "put(known, z, value)"},
        "facts": ["attention == 0", f"error <= {written(DELTA)} * queries"],
    }

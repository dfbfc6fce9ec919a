"""Attention is reduced 37.8-fold.

**Statement.** CRAM's attention utilisation falls 37.8-fold over training, to 1.6 % at accuracy 100 %.

**Assumptions.** The ratio is that of two numbers of the same run, the attention at the start and at the end.

**Reference.** CRAM, arXiv 2602.12204v1, abstract; Table 1 (attention 0.016×, consolidation ratio 0.019); Fig. 2, whose
attention axis ends at 40 %.

**Check.** Search over all pairs of attention numbers that the paper prints for a quotient that rounds to 37.8; the
initial attention that 37.8 needs, with every printed number anywhere in its rounding interval.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

from theory.claims import find
from theory.claims.published import AXIS_END, OPT, REDUCTION, STATIC, TABLE_1, percent
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict

CRAM = next(row for row in TABLE_1 if row.model == "CRAM")
PRINTED = {row.attention for row in TABLE_1} | {row.ratio for row in TABLE_1 if row.ratio} | {OPT, STATIC, AXIS_END}


def matching_pairs() -> list[tuple[Fraction, Fraction]]:
    """Pairs of printed numbers whose quotient can be 37.8.

    To one decimal, when the last digits are rounded.

    Examples
    --------
    >>> matching_pairs()
    []
    """
    pairs = ((a, b) for a, b in itertools.permutations(sorted(PRINTED), 2) if a and b)
    return [(a, b) for a, b in pairs if _can_be(a, b)]


def check() -> Verdict:
    """Verdict on the claim.

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('conditional', True)
    """
    claim = find("cram-reduction")
    pairs = matching_pairs()
    start = REDUCTION * CRAM.attention
    ratio = CRAM.ratio or Fraction(1)
    below = AXIS_END / REDUCTION
    return Verdict(
        claim=claim.id,
        source=claim.source,
        status="conditional",
        statement="CRAM's attention utilisation falls 37.8-fold over training, to 1.6 %.",
        certificate=bundle(_numbers(), *(_quotients(final) for final in sorted(PRINTED) if 0 < final < STATIC)),
        assumptions=(
            "attention at the start of training is between 58.5 and 62.5 %, a number that the paper does not print",
            "the consolidation ratio 0.019 of Table 1 is another quantity than the ratio of final to initial attention",
        ),
        computed={
            "initial attention from 37.8 and 1.6 %": start,
            "reduction from the consolidation ratio": 1 / ratio,
            "final attention from 37.8 and an initial 40 %": below,
        },
        claimed={
            "initial attention from 37.8 and 1.6 %": AXIS_END,
            "reduction from the consolidation ratio": REDUCTION,
            "final attention from 37.8 and an initial 40 %": CRAM.attention,
        },
        reading="Nothing here shows that 37.8 is wrong: it fits 1.6 % if training starts at about 60 %, and the axis "
        "of Fig. 2 may be cut off. What is shown is that no two printed numbers give it.",
        corrected=f"From the numbers printed: 1/0.016 = {float(1 / CRAM.attention):.1f} against full attention, "
        f"0.40/0.016 = {float(AXIS_END / CRAM.attention):.0f} against the end of the axis of Fig. 2, 1/0.019 = "
        f"{float(1 / ratio):.1f} from the consolidation ratio.",
        remarks=(
            f"37.8 × 1.6 % = {percent(start)} initial attention; rounding allows 58.5 to 62.5 %. The axis of Fig. 2 "
            f"ends at {percent(AXIS_END, 0)}. Starting at or below 40 %, 37.8 times less is at most "
            f"{percent(below, 2)}, less than the {percent(OPT)} that the paper calls optimal.",
            f"Of all pairs of attention numbers printed (Table 1, bound, axis end) {len(pairs) or 'none'} has a "
            "quotient that rounds to 37.8.",
        ),
    )


def _ends(x: Fraction) -> tuple[Fraction, Fraction]:
    """Ends of the range of a printed number.

    Half a unit of the third decimal below 0.02, of the second (or less) above.
    """
    half = Fraction(1, 2000) if x < Fraction(1, 50) else Fraction(1, 200)
    return x - half, x + half


def _can_be(a: Fraction, b: Fraction) -> bool:
    (a_low, a_high), (b_low, b_high) = _ends(a), _ends(b)
    return a_low / b_high <= REDUCTION + Fraction(1, 20) and a_high / b_low >= REDUCTION - Fraction(1, 20)


def _quotients(final: Fraction) -> dict[str, Any]:
    low, high = _ends(final)
    facts = []
    for start in sorted(x for x in PRINTED if x > final):
        start_low, start_high = _ends(start)
        above = start_low / high > REDUCTION
        facts.append(f"{written(start_low)}/final > 37.85" if above else f"{written(start_high)}/final < 37.75")
    return {
        "kind": "interval",
        "title": f"no printed number is 37.8 times {float(final):g}, whatever the rounding",
        "box": {"final": [written(low), written(high)]},
        "facts": facts,
    }


def _numbers() -> dict[str, Any]:
    return {
        "kind": "interval",
        "title": "what 37.8 and 1.6 % ask of the start, with rounding",
        "box": {"reduction": ["37.75", "37.85"], "final": ["0.0155", "0.0165"]},
        "facts": [
            "reduction*final > 0.585",
            "reduction*final < 0.625",
            f"reduction*final > {written(AXIS_END)}",
            f"{written(AXIS_END)}/reduction < {written(OPT)}",
        ],
    }

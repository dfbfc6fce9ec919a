"""One curve is both k^(−0.43) and a sharp 37.8-fold transition.

**Statement.** P_episodic(k), the attention to a pattern seen k times before, follows k^(−γ) with γ = 0.43 ± 0.04 as
human memory does, and attention falls 37.8-fold in a sharp transition at step 3100.

**Assumptions.** Both sentences speak of the same quantity; the axes (exposures k, steps) are proportional.

**Reference.** CRAM, arXiv 2602.12204v1, Eqs. 13 and 14, Fig. 2, abstract. The comparison rests on theorem T6.

**Check.** What a power law of this exponent needs for a 37.8-fold drop, and what it drops around the transition, in
interval arithmetic over all γ within ± 0.04.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from theory.claims import find
from theory.claims.published import GAMMA, GAMMA_ERROR, REDUCTION, TRANSITION_STEP
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict


def span(gamma: float, drop: float = float(REDUCTION)) -> float:
    """Factor in k by which k^(−γ) falls by ``drop``.

    Examples
    --------
    >>> round(span(0.43))
    4662
    """
    return float(drop ** (1 / gamma))


def check() -> Verdict:
    """Verdict on the claim.

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('conditional', True)
    """
    claim = find("cram-sharpness")
    gamma, error = float(GAMMA), float(GAMMA_ERROR)
    full, steep, flat = span(gamma), span(gamma + error), span(gamma - error)
    near = 4**gamma
    around = f"drop between steps {TRANSITION_STEP // 2} and {2 * TRANSITION_STEP}"
    return Verdict(
        claim=claim.id,
        source=claim.source,
        status="conditional",
        statement="Attention follows the smooth power law k^(−0.43) of human memory and falls 37.8-fold in a sharp "
        "transition at step 3100.",
        certificate=bundle(_spans(), _around(), _single()),
        assumptions=(
            "the two sentences speak of different curves: for instance of single patterns and their average, of "
            "exposures and steps, or of a curve with a floor or before and after a global gate opens",
        ),
        computed={"growth of k for a 37.8-fold drop": full, around: near},
        claimed={around: REDUCTION},
        reading="Both can be right together: single patterns may switch sharply while their average over patterns is a "
        "power law of k; a gate common to all patterns may open at one step; a schedule (annealed weights, warm-up) "
        "compresses many exposures into few steps.",
        corrected="A pure k^(−0.43) needs k to grow 4,660-fold for a 37.8-fold drop. Where patterns consolidate "
        "independently by the same law of exposures, an average over patterns of any frequencies is never sharper than "
        "one of them (theorem T6); so a sharp mean curve means sharp single curves, and is no such power law.",
        remarks=(
            f"37.8^(1/0.43) = {full:.0f}; over γ = 0.43 ± 0.04 between {steep:.0f} and {flat:.0f}. If exposures grow "
            f"in proportion to steps, the drop takes from step 2 to step {2 * full:.0f}.",
            f"Around the transition, from half to twice step {TRANSITION_STEP}, k grows 4-fold and k^(−0.43) falls "
            f"{near:.2f}-fold, not 37.8-fold.",
            f"From 90 % to 1/37.8 the power law takes a factor of {span(gamma, 0.9 * float(REDUCTION)):.0f} in k; a "
            "single pattern whose attention is an exponential in k takes 34.5, one that needs several exposures takes "
            "less (theorem T6).",
        ),
    )


def _spans() -> dict[str, Any]:
    low, high = GAMMA - GAMMA_ERROR, GAMMA + GAMMA_ERROR
    return {
        "kind": "interval",
        "title": "growth of k for a 37.8-fold drop, γ = 0.43 ± 0.04",
        "box": {"gamma": [written(low), written(high)]},
        "facts": [
            f"({written(REDUCTION)})**(1/0.43) > 4660",
            f"({written(REDUCTION)})**(1/0.43) < 4665",
            f"({written(REDUCTION)})**(1/gamma) > 2270",
            f"({written(REDUCTION)})**(1/gamma) < 11100",
        ],
    }


def _around() -> dict[str, Any]:
    return {
        "kind": "interval",
        "title": "drop of k^(−γ) over a 4-fold growth of k",
        "box": {"gamma": [written(GAMMA - GAMMA_ERROR), written(GAMMA + GAMMA_ERROR)]},
        "facts": ["4**gamma < 1.92", "4**0.43 > 1.81", "4**0.43 < 1.82"],
    }


def _single() -> dict[str, Any]:
    drop = written(REDUCTION * Fraction(9, 10))
    return {
        "kind": "interval",
        "title": "from 90 % to 1/37.8: power law against a single exponential",
        "facts": [f"({drop})**(1/0.43) > 3640", f"log({written(REDUCTION)})/(-log(0.9)) < 34.5"],
    }

"""CRAM Theorem 3: attention falls to the share of patterns that do not recur.

**Statement.** If a fraction ρ of the patterns is L-Lipschitz and recurs with frequency at least f_min, and
T ≥ C/(ε² f_min)·log(ρ/δ), then with probability at least 1 − δ attention(T)/attention(0) ≤ 1 − ρ + ε.

**Assumptions.** None beyond these; the constant C is not given. (The proof is in an appendix that is not available.)

**Reference.** CRAM, arXiv 2602.12204v1, Theorem 3 (Eq. 12). The valid version is Markov's inequality for the unseen
mass (theorem T3) with Chernoff's bound for c exposures.

**Check.** The smallest frequency law for which the share of patterns is not the share of queries, by search; the other
two counterexamples by arithmetic; the valid version on exact chains.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

from theory.claims import find
from theory.claims.published import RECURRING_SHARE
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict

EPSILON = Fraction(1, 10)
DELTA = Fraction(1, 10)


def uneven_law(epsilon: Fraction = EPSILON) -> tuple[tuple[Fraction, ...], int]:
    """Smallest law with a frequent pattern that never consolidates.

    Fewest patterns, then the smallest denominator, such that such a pattern is too frequent.

    Returns
    -------
    tuple
        The frequencies, the first ρK of which belong to patterns that consolidate (Lipschitz, frequency ≥ f_min > 0),
        and ρK. The others keep a share of the queries above 1 − ρ + ε for ever.

    Examples
    --------
    >>> frequencies, consolidating = uneven_law()
    >>> [str(p) for p in frequencies], consolidating
    (['1/3', '2/3'], 1)
    """
    return next(
        (tuple(Fraction(part, denominator) for part in parts), good)
        for patterns in itertools.count(2)
        for denominator in range(patterns, 3 * patterns)
        for parts in itertools.product(range(1, denominator), repeat=patterns)
        if sum(parts) == denominator
        for good in range(1, patterns)
        if Fraction(sum(parts[good:]), denominator) > 1 - Fraction(good, patterns) + epsilon
    )


def steps_needed(share: Fraction, least: Fraction, epsilon: Fraction, delta: Fraction, exposures: int = 1) -> int:
    """Steps T of the valid version.

    With probability 1 − δ at most ε of the queries meet an unconsolidated recurring pattern.

    Parameters
    ----------
    share : Fraction
        ρ, the share of *queries* on recurring patterns.
    least : Fraction
        f_min.
    epsilon, delta : Fraction
        Tolerance and failure probability.
    exposures : int
        c ≥ 1, exposures until a pattern consolidates.

    Examples
    --------
    >>> steps_needed(Fraction(7, 10), Fraction(7, 20), Fraction(1, 10), Fraction(1, 10))
    13
    """
    log = math.log(share / (epsilon * delta))
    return max(0, math.ceil(log / least) if exposures == 1 else math.ceil(2 * (exposures + log) / least))


def check() -> Verdict:
    """Verdict on the claim.

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('refuted', True)
    """
    claim = find("cram-theorem-3")
    # three instances: frequent patterns left over, no steps at all, a low start
    frequencies, good = uneven_law()
    share, unconsolidated = Fraction(good, len(frequencies)), sum(frequencies[good:], Fraction(0))
    novel, start = 1 - RECURRING_SHARE, Fraction(1, 2)
    uneven, early = "attention ratio, frequent pattern left", "attention ratio at δ = ρ, T = 0"
    half = f"attention ratio, attention(0) = {start}"
    shown = ", ".join(map(str, frequencies))
    # the verdict, with what is right instead and why
    return Verdict(
        claim=claim.id,
        source=claim.source,
        status="refuted",
        statement="If a fraction ρ of the patterns is L-Lipschitz and recurs with frequency at least f_min, and "
        "T ≥ C/(ε² f_min)·log(ρ/δ), then with probability at least 1 − δ attention(T)/attention(0) ≤ 1 − ρ + ε.",
        certificate=bundle(
            _uneven(frequencies, good),
            _no_steps(),
            _low_start(novel, start),
            _valid(1),
            _valid(2),
            _authors_time(),
        ),
        computed={uneven: unconsolidated, early: 1, half: novel / start},
        claimed={uneven: 1 - share + EPSILON, early: 1 - Fraction(1, 2) + EPSILON, half: novel + EPSILON},
        reading="With ρ the share of the *queries* that fall on consolidating patterns (as the 70 % of SRCD are; "
        "the same as the share of patterns where all are equally frequent, as in Theorem 1), attention(0) = 1 per "
        "query and one exposure enough to consolidate, the authors' T with C = 1 is sufficient for every ε < 1 "
        "and δ ≤ ρ/√e ≈ 0.6ρ.",
        corrected="Let a share ρ of the queries fall on patterns of frequency at least f_min per step, each of which "
        "consolidates after c exposures, and let all other queries be attended to. Then the expected share of queries "
        "that meet an unconsolidated recurring pattern is at most ρe^(−T f_min) for c = 1 and ρe^(c − T f_min/2) in "
        "general. Hence with probability 1 − δ attention(T) ≤ 1 − ρ + ε per query as soon as "
        "T ≥ ln(ρ/(εδ))/f_min (c = 1) or T ≥ 2(c + ln(ρ/(εδ)))/f_min. No factor 1/ε² is needed.",
        remarks=(
            f"Patterns are not queries. Of {len(frequencies)} patterns with frequencies {shown}, {good} can "
            "consolidate (the first), the rest cannot (not Lipschitz): "
            f"ρ = {share}, f_min = {min(frequencies[:good])}. However long one trains, a share {unconsolidated} of "
            f"the queries needs attention; the theorem promises {1 - share} + {EPSILON} = "
            f"{1 - share + EPSILON}. This is no matter "
            "of constants.",
            f"log(ρ/δ): where δ ≥ ρ it is not positive and T = 0 is allowed. ρ = δ = 1/2, ε = {EPSILON}: "
            f"attention(0)/attention(0) = 1, surely, above 1/2 + {EPSILON}. A formal point for usual δ; what should "
            "stand there is log(ρ/(εδ)).",
            f"attention(0) < 1: a router that at first attends to {start} of all queries and in the end to every novel "
            f"one (needed for accuracy) and no other has the ratio {novel} ÷ {start} = {novel / start}; ρ = "
            f"{RECURRING_SHARE} promises {novel + EPSILON}. The bound is one on attention(T), not on the ratio.",
            "L enters through the number c of exposures that a pattern needs, and in no other way.",
        ),
    )


def _uneven(frequencies: tuple[Fraction, ...], good: int) -> dict[str, Any]:
    """Attention per query in every state.

    All patterns that can consolidate do so at the first exposure.
    """
    known = [f"k{i}" for i in range(good)]
    outcomes = [
        {"probability": written(p)} | {f"is{i}": str(int(i == j)) for i in range(good)}
        for j, p in enumerate(frequencies)
    ]
    unknown = " + ".join(f"{written(p)}*(1 - {name})" for p, name in zip(frequencies, known, strict=False))
    unconsolidated = written(sum(frequencies[good:], Fraction(0)))
    return {
        "kind": "chain",
        "title": "a frequent pattern that cannot consolidate: attention per query in every state that can be reached",
        "definitions": {"rho": f"{good}/{len(frequencies)}", "eps": written(EPSILON), "rest": unconsolidated},
        "start": dict.fromkeys(known, "0"),
        "outcomes": outcomes,
        "update": {name: f"max({name}, is{i})" for i, name in enumerate(known)},
        "steps": 200,
        "always": [f"rest + {unknown} > 1 - rho + eps"],
        "expect": {"attention": f"rest + {unknown}"},
        "facts": ["attention - rest < 1/10**6"],
    }


def _no_steps() -> dict[str, Any]:
    return {
        "kind": "arithmetic",
        "title": "δ = ρ: the logarithm is 0, so T = 0 satisfies the condition for every C",
        "definitions": {"rho": "1/2", "delta": "1/2", "eps": written(EPSILON), "ratio_at_0": "1"},
        "facts": ["rho/delta == 1", "ratio_at_0 > 1 - rho + eps"],
    }


def _low_start(novel: Fraction, start: Fraction) -> dict[str, Any]:
    return {
        "kind": "arithmetic",
        "title": "a router that starts below full attention and ends at exactly the novel queries",
        "definitions": {"rho": f"1 - {written(novel)}", "eps": written(EPSILON), "start": written(start)},
        "facts": ["(1 - rho)/start > 1 - rho + eps", "(1 - rho)/1 <= 1 - rho + eps"],
    }


def _valid(exposures: int) -> dict[str, Any]:
    """Chance of a large unconsolidated share after T steps.

    Two recurring patterns share ρ = 0.7 of the queries evenly; P(unconsolidated share > ε).
    """
    share, least = RECURRING_SHARE, RECURRING_SHARE / 2
    steps = steps_needed(share, least, EPSILON, DELTA, exposures)
    return {
        "kind": "chain",
        "title": f"the valid version: two recurring patterns, c = {exposures}, T = {steps}",
        "definitions": {"c": str(exposures), "p": written(least), "eps": written(EPSILON), "delta": written(DELTA)},
        "start": {"a": "0", "b": "0"},
        "outcomes": [
            {"probability": written(least), "x": "1", "y": "0"},
            {"probability": written(least), "x": "0", "y": "1"},
            {"probability": written(1 - share), "x": "0", "y": "0"},
        ],
        "update": {"a": "min(a + x, c)", "b": "min(b + y, c)"},
        "steps": steps,
        "expect": {"failure": "1 if (p if a < c else 0) + (p if b < c else 0) > eps else 0"},
        "facts": ["failure <= delta"],
    }


def _authors_time() -> dict[str, Any]:
    """The valid time is within the authors' time.

    With a = ln(ρ/δ) ≥ ½: a + ln(1/ε) ≤ a/ε², since ln(1/ε) ≤ ½(1/ε² − 1) ≤ a(1/ε² − 1).
    """
    return {
        "kind": "interval",
        "title": "the authors' T with C = 1 is long enough for δ ≤ ρ/√e: ln(1/ε) ≤ ½(1/ε² − 1)",
        "box": {"eps": ["1/100", "95/100"]},
        "facts": ["-log(eps) <= (1/eps**2 - 1)/2"],
    }

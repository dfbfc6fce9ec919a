"""Adaptive Retention, Theorem 1: masking shrinks the Rademacher complexity by M/T.

**Statement.** Let masks that keep M of T tokens be uniform. Then R̂_n of the masked class is at most (M/T)·R̂_n(F), for
the empirical Rademacher complexity R̂_n(F) = E_σ sup_{f∈F} (1/n) Σ σ_i f(x_i).

**Assumptions.** None on the class F.

**Reference.** Rafiuddin & Khan 2025 (arXiv 2510.08798), Theorem 1. Norm classes: Bartlett & Mendelson, JMLR 3 (2002)
463-482.

**Check.** Search over classes closed under sign, made of constants and single tokens, for the smallest on which the
masked complexity is larger than M/T times the other; each is enumerated again over all signs and masks.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

from theory.claims import find
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict

Function = tuple[int, int, int]
"""f(h) = a·h1 + b·h2 + c."""

_CONSTANT: list[Function] = [(0, 0, 1)]
_LINEAR: list[Function] = [(1, 0, 0), (0, 1, 0), (1, 1, 0)]
SAMPLE = (1, 1)
"""The two token values of the only example."""


def complexities(functions: list[Function], sample: tuple[int, int] = SAMPLE) -> tuple[Fraction, Fraction]:
    """Complexities R̂_1 of a class, without and with masks.

    The class is closed under sign; uniform masks keep one of the two tokens.

    Examples
    --------
    >>> complexities([(0, 0, 1)])
    (Fraction(1, 1), Fraction(1, 1))
    >>> complexities([(1, 1, 0)])
    (Fraction(2, 1), Fraction(1, 1))
    """

    def largest(h1: int, h2: int) -> Fraction:
        return Fraction(max(abs(a * h1 + b * h2 + c) for a, b, c in functions))

    h1, h2 = sample
    return largest(h1, h2), (largest(h1, 0) + largest(0, h2)) / 2


def smallest_class(candidates: list[Function]) -> list[Function]:
    """Smallest class that refutes the factor of a half.

    One of each pair ±f is listed; its masked complexity exceeds half of the other.

    Examples
    --------
    >>> smallest_class([(1, 0, 0), (0, 1, 0), (1, 1, 0)])
    [(1, 0, 0), (0, 1, 0)]
    """
    classes = (list(c) for size in range(1, 4) for c in itertools.combinations(candidates, size))
    return next(c for c in classes if complexities(c)[1] > complexities(c)[0] / 2)


def check() -> Verdict:
    """Verdict on the claim.

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('refuted', True)
    """
    claim = find("retention-theorem-1")
    linear, constant = smallest_class(_LINEAR), smallest_class(_CONSTANT)
    full, masked = complexities(linear)
    full_constant, masked_constant = complexities(constant)
    names = "masked complexity, ±h1 and ±h2, T = 2, M = 1", "masked complexity, ±1"
    return Verdict(
        claim=claim.id,
        source=claim.source,
        status="refuted",
        statement="For uniform masks that keep M of T tokens, R̂_n of the masked class is at most (M/T)·R̂_n(F).",
        certificate=bundle(
            _document(linear, "linear, without constants", ["full == 1", "masked == 1"]),
            _document(constant, "constants", ["full == 1", "masked == 1"]),
            _mean_prediction(),
            _common_mask(),
            _euclidean(),
        ),
        computed=dict(zip(names, (masked, masked_constant), strict=True)),
        claimed=dict(zip(names, (full / 2, full_constant / 2), strict=True)),
        reading="Right, with equality, in two cases: for a linear class if the masked function is the *mean* over "
        "masks, E_z f(h⊙z) = (M/T)·f(h); and for a linear class whose coefficients are bounded one by one "
        "(|w_t| ≤ b) if one mask is drawn for all examples. Complexity is read here as the mean over masks of that of "
        "the class with the mask; with a supremum over masks as well it is larger still.",
        corrected="No factor below 1 holds for every class. For linear functions of bounded Euclidean norm ‖w‖ ≤ b the "
        "mean over masks is at most √(M/T)·b·√(Σ‖x_i‖²)/n: the usual bound of R̂_n(F) times √(M/T), not M/T.",
        remarks=(
            f"Two tokens with values {SAMPLE}, one example, masks keep one of them. F = {{±h1, ±h2}} (read off one "
            f"token): sup σf = 1 for either sign, R̂(F) = {full}. Whichever token is kept can still be read: "
            f"masked complexity {masked}, where the theorem allows {full / 2}.",
            f"F = {{+1, −1}}, the constants, does not see the mask at all: {masked_constant} against "
            f"{full_constant / 2}. Any network with a free bias at its output contains such a class.",
            "For the Euclidean ball on one example (3, 4): R̂ = 5; masked (3 + 4)/2 = 3.5, more than 5/2 and less than "
            "5·√(1/2) = 3.54.",
        ),
    )


def _document(functions: list[Function], title: str, facts: list[str]) -> dict[str, Any]:
    """All signs and masks, one step."""

    def largest(h1: str, h2: str) -> str:
        terms = [f"sign*({a}*{h1} + {b}*{h2} + {c})" for a, b, c in functions]
        return f"max({', '.join(t for term in terms for t in (term, f'-({term})'))})"

    outcomes = [
        {"probability": "1/4", "sign": sign, "z1": z1, "z2": z2}
        for sign in ("1", "-1")
        for z1, z2 in (("1", "0"), ("0", "1"))
    ]
    return {
        "kind": "chain",
        "title": f"Rademacher complexity of {len(functions)} function(s) and their negatives: {title}",
        "definitions": {"h1": written(SAMPLE[0]), "h2": written(SAMPLE[1])},
        "start": {"unmasked_sup": "0", "masked_sup": "0"},
        "outcomes": outcomes,
        "update": {"unmasked_sup": largest("h1", "h2"), "masked_sup": largest("(h1*z1)", "(h2*z2)")},
        "steps": 1,
        "expect": {"full": "unmasked_sup", "masked": "masked_sup"},
        "facts": [*facts, "masked > 1/2*full"],
    }


def _mean_prediction() -> dict[str, Any]:
    return {
        "kind": "identity",
        "title": "linear f: the mean prediction over masks that keep one of two tokens is f/2",
        "left": "((w1*h1 + w2*0) + (w1*0 + w2*h2))/2",
        "right": "1/2*(w1*h1 + w2*h2)",
    }


def _common_mask() -> dict[str, Any]:
    """The supremum with one mask for all examples.

    |w_t| ≤ 1, two examples (1, 1): sup = Σ_t |Σ_i σ_i h_it| over the kept tokens.
    """
    outcomes = [
        {"probability": "1/8", "s": s, "r": r, "z1": z1, "z2": z2}
        for s in ("1", "-1")
        for r in ("1", "-1")
        for z1, z2 in (("1", "0"), ("0", "1"))
    ]
    return {
        "kind": "chain",
        "title": "coefficients bounded one by one, one mask for both examples (1, 1): the factor is M/T",
        "start": {"full_sup": "0", "masked_sup": "0"},
        "outcomes": outcomes,
        "update": {"full_sup": "2*abs(s + r)", "masked_sup": "z1*abs(s + r) + z2*abs(s + r)"},
        "steps": 1,
        "expect": {"full": "full_sup", "masked": "masked_sup"},
        "facts": ["masked == 1/2*full"],
    }


def _euclidean() -> dict[str, Any]:
    return {
        "kind": "arithmetic",
        "title": "Euclidean ball, one example (3, 4): between M/T and √(M/T)",
        "definitions": {"norm": "5", "masked": "(3 + 4)/2"},
        "facts": ["norm**2 == 3**2 + 4**2", "masked > 1/2*norm", "masked**2 <= 1/2*norm**2"],
    }

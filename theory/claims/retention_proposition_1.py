"""Adaptive Retention, Proposition 1: the budget is exceeded by at most (F* − E[L])/λ.

**Statement.** Let F* be the least expected loss under the budget Σp_t ≤ M, and (θ_λ, p_λ) minimise the Lagrangian
L_λ = E[L] + λ(Σp_t − M), λ > 0. Then the excess Δ = Σp_λ − M is at most (F* − E[L(θ_λ, p_λ)])/λ.

**Assumptions.** (θ_λ, p_λ) is a *global* minimiser of L_λ; F* is attained (or approached) by feasible points.

**Reference.** Rafiuddin & Khan 2025 (arXiv 2510.08798), Proposition 1. It is weak duality: Boyd & Vandenberghe, Convex
Optimization (2004), Sec. 5.1.3.

**Check.** The proof, L_λ(θ_λ, p_λ) ≤ L_λ(θ*, p*) ≤ F*, as an unsatisfiable formula; a strict local minimiser at which
the inequality fails, with the neighbourhood checked by the solver.
"""

from __future__ import annotations

from typing import Any

from theory.claims import find
from theory.proofs.certificates import bundle
from theory.proofs.verdict import Verdict


def check() -> Verdict:
    """Verdict on the claim.

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('proved', True)
    """
    claim = find("retention-proposition-1")
    return Verdict(
        claim=claim.id,
        source=claim.source,
        status="proved",
        statement="If (θ_λ, p_λ) minimises L_λ = E[L] + λ(Σp_t − M) for some λ > 0 and F* is the least loss within the "
        "budget M, then Δ = Σp_λ − M ≤ (F* − E[L(θ_λ, p_λ)])/λ.",
        certificate=bundle(_proof(), _local_minimum(), _local_numbers()),
        assumptions=("(θ_λ, p_λ) is a global minimiser of the Lagrangian", "λ > 0"),
        reading="As stated, for global minimisers. Stochastic gradient descent gives stationary points, for which it "
        "can fail.",
        remarks=(
            "Proof: for a feasible (θ, p) of loss close to F*, E[L(θ_λ, p_λ)] + λΔ ≤ E[L(θ, p)] + λ(Σp − M) "
            "≤ E[L(θ, p)].",
            "With losses ≥ 0 it gives Δ ≤ F*/λ: the excess is small only if λ is large.",
            "A local minimum for which it fails: one token, budget M = 1/2, λ = 1, loss 30 without the token and "
            "b(θ) = 3θ⁴ − 16θ³ + 18θ² + 27 with it. At θ = 0, p = 1 the Lagrangian 30(1 − p) + p·b(θ) + p − 1/2 has a "
            "local minimum with E[L] = 27, Δ = 1/2. But b(3) = 0, so F* ≤ 15 at p = 1/2, and (F* − 27)/λ ≤ −12 < Δ.",
        ),
    )


def _proof() -> dict[str, Any]:
    """The proof as relations between names.

    Loss and excess at the minimiser, best and slack at a feasible point.
    """
    return {
        "kind": "smt",
        "title": "weak duality",
        "expect": "unsat",
        "script": """(declare-const lambda Real) (declare-const loss Real) (declare-const excess Real)
(declare-const best Real) (declare-const slack Real)
(assert (> lambda 0))
(assert (<= slack 0))
(assert (<= (+ loss (* lambda excess)) (+ best (* lambda slack))))
(assert (> excess (/ (- best loss) lambda)))""",
    }


def _local_minimum() -> dict[str, Any]:
    return {
        "kind": "smt",
        "title": "no point near θ = 0, p = 1 has a smaller Lagrangian than 27.5",
        "expect": "unsat",
        "script": """(declare-const theta Real) (declare-const p Real)
(define-fun b () Real (+ (* 3 theta theta theta theta) (* -16 theta theta theta) (* 18 theta theta) 27))
(assert (and (>= theta (- 0.5)) (<= theta 0.5) (>= p 0.5) (<= p 1)))
(assert (< (+ (* 30 (- 1 p)) (* p b) (- p 0.5)) 27.5))""",
    }


def _local_numbers() -> dict[str, Any]:
    return {
        "kind": "arithmetic",
        "title": "at that local minimum the inequality fails",
        "definitions": {
            "b0": "3*0**4 - 16*0**3 + 18*0**2 + 27",
            "b3": "3*3**4 - 16*3**3 + 18*3**2 + 27",
            "M": "1/2",
            "lambda_": "1",
            "loss": "0*30 + 1*b0",
            "excess": "1 - M",
            "best_at_most": "30*(1 - M) + M*b3",
        },
        "facts": ["b3 == 0", "loss + lambda_*excess == 27.5", "excess > (best_at_most - loss)/lambda_"],
    }

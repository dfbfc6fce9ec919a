"""Adaptive Retention, Lemma 3: the Lagrangian gap is at least λ times the excess over the budget.

**Statement.** With the names of Proposition 1, Gap_λ = L_λ(θ_λ, p_λ) − F* satisfies Gap_λ ≥ λΔ.

**Assumptions.** Those of Proposition 1.

**Reference.** Rafiuddin & Khan 2025 (arXiv 2510.08798), Lemma 3 and Proposition 1.

**Check.** Search over losses that are sums over tokens for the smallest instance with Gap_λ < λΔ; both minima certified
by linear programs. Lemma 3 together with Proposition 1 forces Δ ≤ 0: an unsatisfiable formula.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any, NamedTuple

from theory.bounds.linear_programs import Program
from theory.claims import find
from theory.claims.published import LAYERS_AT_30, percent
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict

OTHER = Fraction(9, 10)
"""A multiplier at which the lemma fails with the other sign, too."""


class Instance(NamedTuple):
    """An instance with a cost per dropped token.

    E[L] = Σ g_t(1 − p_t): each dropped token costs g_t; budget M, multiplier λ.
    """

    gains: tuple[int, ...]
    budget: int
    multiplier: Fraction


class Solution(NamedTuple):
    """Optimum F* and the minimiser of the Lagrangian.

    With loss, excess and gap at the minimiser.
    """

    best: Fraction
    loss: Fraction
    excess: Fraction
    gap: Fraction


def solve(instance: Instance) -> Solution:
    """Solve both problems in closed form.

    Keep the M dearest tokens; keep every token with g_t > λ.

    Examples
    --------
    >>> solve(Instance((1, 1), 1, Fraction(1, 2)))
    Solution(best=Fraction(1, 1), loss=Fraction(0, 1), excess=Fraction(1, 1), gap=Fraction(-1, 2))
    """
    gains, budget, multiplier = instance
    best = Fraction(sum(sorted(gains)[: max(len(gains) - budget, 0)]))
    loss = Fraction(sum(g for g in gains if g <= multiplier))
    excess = Fraction(sum(g > multiplier for g in gains) - budget)
    return Solution(best, loss, excess, loss + multiplier * excess - best)


def smallest_exception() -> Instance:
    """Smallest instance that refutes the gap.

    1 ≤ M < T and Gap_λ < λΔ; fewest tokens, then smallest gains; λ in halves.

    Examples
    --------
    >>> smallest_exception()
    Instance(gains=(1, 1), budget=1, multiplier=Fraction(1, 2))
    """
    instances = (
        Instance(gains, budget, Fraction(halves, 2))
        for tokens in itertools.count(2)
        for gains in itertools.product((1, 2), repeat=tokens)
        for budget in range(1, tokens)
        for halves in range(1, 5)
    )
    return next(
        instance for instance in instances if solve(instance).gap < instance.multiplier * solve(instance).excess
    )


def check() -> Verdict:
    """Verdict on the claim.

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('refuted', True)
    """
    claim = find("retention-lemma-3")
    instance = smallest_exception()
    solution = solve(instance)
    other = solve(instance._replace(multiplier=OTHER))
    product = instance.multiplier * solution.excess
    name = f"Gap_λ, T = {len(instance.gains)}, M = {instance.budget}, λ = {instance.multiplier}"
    return Verdict(
        claim=claim.id,
        source=claim.source,
        status="refuted",
        statement="Gap_λ = L_λ(θ_λ, p_λ) − F* ≥ λΔ, where (θ_λ, p_λ) minimises the Lagrangian, F* is the least loss "
        "within the budget and Δ = Σp_λ − M.",
        certificate=bundle(
            _lagrangian(instance),
            _constrained(instance),
            _numbers(instance, solution),
            _other_sign(other),
            _forces(),
            _valid(),
        ),
        computed={name: solution.gap},
        claimed={name: product},
        reading="Right whenever the minimiser keeps the budget (Δ ≤ 0): then it is feasible, E[L] ≥ F*, and "
        "Gap_λ = E[L] − F* + λΔ ≥ λΔ. With the other sign, F* − L_λ ≥ λΔ, it fails as well (λ = 9/10 in the example: "
        f"{-other.gap} < {OTHER * other.excess}); what holds is F* − E[L] ≥ λΔ, Proposition 1.",
        corrected="Gap_λ ≤ 0 always (weak duality), and Gap_λ ≥ λΔ if and only if E[L(θ_λ, p_λ)] ≥ F*. Where the "
        "budget is exceeded (Δ > 0) the lemma is false for every λ > 0.",
        remarks=(
            f"{len(instance.gains)} tokens, each costs 1 if dropped, budget {instance.budget}, λ = "
            f"{instance.multiplier}. Within the budget one token is dropped: F* = {solution.best}. The Lagrangian "
            f"keeps both: loss {solution.loss}, Δ = {solution.excess}, L_λ = {product}. Gap_λ = {product} − "
            f"{solution.best} = {solution.gap}, and λΔ = {product}.",
            "Proposition 1 says Gap_λ ≤ 0. With the lemma, λΔ ≤ Gap_λ ≤ 0: the budget would never be exceeded, for any "
            "λ > 0, however small.",
            f"The paper's own layers exceed it: under a budget of 30 % DistilBERT keeps "
            f"{percent(min(LAYERS_AT_30))} to {percent(max(LAYERS_AT_30))}.",
        ),
    )


def _lagrangian(instance: Instance) -> dict[str, Any]:
    """Minimise the Lagrangian without its constant.

    Σ (λ − g_t) p_t over 0 ≤ p_t ≤ 1; the constant is Σg − λM.
    """
    return _program(instance, instance.multiplier, None).rounded("least value of the Lagrangian, less Σg − λM")


def _constrained(instance: Instance) -> dict[str, Any]:
    """Minimise the loss within the budget.

    −Σ g_t p_t: the loss without its constant Σg.
    """
    return _program(instance, Fraction(0), instance.budget).rounded("least loss within the budget, less Σg")


def _program(instance: Instance, price: Fraction, budget: int | None) -> Program:
    program = Program()
    kept = [program.variable(price - gain) for gain in instance.gains]
    for p in kept:
        program.constrain({p: 1}, "<=", 1)
    if budget is not None:
        program.constrain(dict.fromkeys(kept, 1), "<=", budget)
    return program


def _numbers(instance: Instance, solution: Solution) -> dict[str, Any]:
    gains, budget, multiplier = instance
    least = solution.loss + multiplier * (solution.excess + budget) - sum(gains)
    return {
        "kind": "arithmetic",
        "title": "gap and excess from the two minima",
        "definitions": {
            "gains": str(sum(gains)),
            "M": str(budget),
            "lambda_": written(multiplier),
            "lagrangian": f"{written(least)} + gains - lambda_*M",
            "best": f"{written(solution.best - sum(gains))} + gains",
            "excess": written(solution.excess),
            "gap": "lagrangian - best",
        },
        "facts": [
            f"lagrangian == {written(solution.loss)} + lambda_*excess",
            "excess > 0",
            "gap <= 0",
            "gap < lambda_*excess",
        ],
    }


def _other_sign(solution: Solution) -> dict[str, Any]:
    return {
        "kind": "arithmetic",
        "title": f"F* − L_λ against λΔ in the same example at λ = {OTHER}",
        "definitions": {
            "lambda_": written(OTHER),
            "best": written(solution.best),
            "lagrangian": f"{written(solution.loss)} + lambda_*{written(solution.excess)}",
        },
        "facts": [
            f"best - lagrangian == {written(-solution.gap)}",
            f"best - lagrangian < lambda_*{written(solution.excess)}",
        ],
    }


def _forces() -> dict[str, Any]:
    return {
        "kind": "smt",
        "title": "Lemma 3 and Proposition 1 together exclude every Δ > 0",
        "expect": "unsat",
        "script": """(declare-const lambda Real) (declare-const loss Real) (declare-const excess Real)
(declare-const best Real)
(assert (> lambda 0))
(assert (<= excess (/ (- best loss) lambda)))
(assert (>= (- (+ loss (* lambda excess)) best) (* lambda excess)))
(assert (> excess 0))""",
    }


def _valid() -> dict[str, Any]:
    return {
        "kind": "identity",
        "title": "Gap_λ − λΔ = E[L] − F*",
        "definitions": {"gap": "loss + multiplier*excess - best"},
        "left": "gap - multiplier*excess",
        "right": "loss - best",
    }

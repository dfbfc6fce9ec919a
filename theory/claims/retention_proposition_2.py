"""Adaptive Retention, Proposition 2: gradient steps with a dual ascent on λ converge.

**Statement.** Alternate descent steps on (θ, p) for L_λ with λ ← max{0, λ + η(Σp_t − M)}, on two time scales. The
iterates converge to a stationary point that keeps the budget.

**Assumptions.** As far as known: two step sizes. (The experiments use a constant η = 0.01 and AdamW at 3e-5.)

**Reference.** Rafiuddin & Khan 2025 (arXiv 2510.08798), Proposition 2. V. S. Borkar, Stochastic approximation with two
time scales, Systems & Control Letters 29 (1997) 291-294.

**Check.** Two equally useful tokens, budget one, so that E[L] is linear in p. Search for the simplest steps and start
from which the iteration returns exactly to its start; for all constant steps an invariant keeps it away from the
stationary point. Two unequally useful tokens: the iteration stops at the right point.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any, NamedTuple

from theory.claims import find
from theory.claims.published import DUAL_RATE, WEIGHT_RATE
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict


class Cycle(NamedTuple):
    """A closed orbit of p and λ.

    Steps of both, start and length.
    """

    step: Fraction
    rate: Fraction
    start: tuple[Fraction, Fraction]
    period: int


def move(state: tuple[Fraction, Fraction], step: Fraction, rate: Fraction) -> tuple[Fraction, Fraction]:
    """One round of descent on p, ascent on λ.

    For E[L] = Σ_{t=1,2} (1 − p_t), p_1 = p_2 = p in [0, 1], M = 1, λ ≥ 0.

    Examples
    --------
    >>> half = Fraction(1, 2)
    >>> move((half, Fraction(1)), half, half) == (half, 1)  # the stationary point
    True
    """
    p, price = state
    p = min(max(p - step * (price - 1), Fraction(0)), Fraction(1))
    return p, max(price + rate * (2 * p - 1), Fraction(0))


def simplest_cycle() -> Cycle:
    """Closed orbit with the smallest common denominator.

    Of steps up to 1 and start, from 2 on.

    Examples
    --------
    >>> simplest_cycle()
    Cycle(step=Fraction(1, 2), rate=Fraction(1, 1), start=(Fraction(0, 1), Fraction(0, 1)), period=6)
    """
    grids = ([Fraction(i, denominator) for i in range(denominator + 1)] for denominator in itertools.count(2))
    return next(
        Cycle(step, rate, (p, price), period)
        for grid in grids
        for step, rate, p, price in itertools.product(grid[1:], grid[1:], grid, grid)
        if (period := _period((p, price), step, rate)) > 1
    )


def _period(start: tuple[Fraction, Fraction], step: Fraction, rate: Fraction, rounds: int = 12) -> int:
    """Rounds until the start is met again.

    0 if not within so many.
    """
    state = start
    for period in range(1, rounds + 1):
        state = move(state, step, rate)
        if state == start:
            return period
    return 0


def check() -> Verdict:
    """Verdict on the claim.

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('conditional', True)
    """
    claim = find("retention-proposition-2")
    cycle = simplest_cycle()
    (p, price) = cycle.start
    return Verdict(
        claim=claim.id,
        source=claim.source,
        status="conditional",
        statement="Alternating descent on (θ, p) and ascent on λ, on two time scales, converges to a stationary point "
        "of the constrained problem.",
        certificate=bundle(_cycle(cycle), _invariant(), _slow(), _unequal()),
        assumptions=(
            "falling steps with Σ = ∞ and Σ of squares < ∞, those of λ smaller by a factor that goes to 0",
            "for every fixed λ the descent on (θ, p) has one stable limit, which depends continuously on λ",
            "bounded iterates; gradient noise of mean 0 and bounded variance",
        ),
        reading="Under these usual conditions (Borkar 1997) it holds; the paper may mean them. The second is not a "
        "formality: with Bernoulli gates E[L] is affine in every single p_t, so at a stationary point with a "
        "fractional p_t every value of p_t has the same Lagrangian and the limit is not unique.",
        corrected="With constant steps the iterates need not converge; they may circle the stationary point for ever. "
        "They do converge in the example with unequal gains and whole M, where no token is undecided at the optimum.",
        remarks=(
            f"Two tokens, each costs 1 if dropped, M = 1: stationary at p = (1/2, 1/2), λ = 1. With steps {cycle.step} "
            f"for p and {cycle.rate} for λ the iteration from p = ({p}, {p}), λ = {price} is back at its start after "
            f"{cycle.period} rounds: it never converges.",
            "No smaller step helps: with x = p − 1/2, y = λ − 1, steps a and η, away from the ends of [0, 1], "
            "2ηx² + ay² − 2aηxy stays exactly the same from round to round and is positive for aη < 2 except at "
            "x = y = 0. A run at a = η = 0.01 goes around without coming nearer.",
            f"The time scales of the experiments are the other way round: λ moves with η = {float(DUAL_RATE)}, the "
            f"weights with {float(WEIGHT_RATE):.0e} (through AdamW, so the numbers do not compare exactly), while λ "
            "must be the slow one.",
            "Numerical only: with falling steps t^(−0.6) for p and t^(−0.9) for λ, in the same example, λ approaches 1 "
            "but p still swings between about 0.1 and 0.9 after two million rounds.",
            "Unequal gains 2 and 1, M = 1, steps 1/10 and 1/100, started at p = (1/2, 1/2), λ = 0: p = (1, 0) is "
            "reached within 152 rounds and kept.",
        ),
    )


_EQUAL = {
    "kind": "chain",
    "let": {"new": "min(max(p - a*(price - 1), 0), 1)"},
    "update": {"p": "new", "price": "max(price + eta*(2*new - 1), 0)"},
}


def _cycle(cycle: Cycle) -> dict[str, Any]:
    p, price = map(written, cycle.start)
    return {
        **_EQUAL,
        "title": f"two equal tokens: back at the start after {cycle.period} rounds, never at the stationary point",
        "definitions": {"a": written(cycle.step), "eta": written(cycle.rate)},
        "start": {"p": p, "price": price},
        "steps": cycle.period,
        "always": ["abs(p - 1/2) + abs(price - 1) > 0"],
        "expect": {"p_end": "p", "price_end": "price"},
        "facts": [f"p_end == {p}", f"price_end == {price}"],
    }


def _invariant() -> dict[str, Any]:
    return {
        "kind": "identity",
        "title": "equal tokens, between the ends: 2ηx² + ay² − 2aηxy is the same after each round, for all steps a, η",
        "definitions": {"u": "x - a*y", "v": "y + eta*2*u"},
        "left": "2*eta*u**2 + a*v**2 - 2*a*eta*u*v",
        "right": "2*eta*x**2 + a*y**2 - 2*a*eta*x*y",
    }


def _slow() -> dict[str, Any]:
    """About one round trip without touching the ends.

    2π/√(2aη) = 444 rounds.
    """
    return {
        **_EQUAL,
        "title": "the same at a = η = 0.01 from p = 0.55, λ = 1: 450 rounds, no nearer",
        "definitions": {"a": "0.01", "eta": written(DUAL_RATE)},
        "start": {"p": "0.55", "price": "1"},
        "steps": 450,
        "always": [
            "0 < p < 1",
            "2*eta*(p - 1/2)**2 + a*(price - 1)**2 - 2*a*eta*(p - 1/2)*(price - 1) == 2*eta*0.05**2",
        ],
    }


def _unequal() -> dict[str, Any]:
    """Gains 2 and 1.

    The optimum keeps the first token, with λ anywhere between 1 and 2.
    """
    return {
        "kind": "chain",
        "title": "unequal gains 2 and 1, M = 1: the iteration comes to rest at p = (1, 0)",
        "definitions": {"a": "1/10", "eta": written(DUAL_RATE)},
        "start": {"p": "1/2", "q": "1/2", "price": "0", "rest": "0"},
        "let": {"new_p": "min(max(p - a*(price - 2), 0), 1)", "new_q": "min(max(q - a*(price - 1), 0), 1)"},
        "update": {
            "p": "new_p",
            "q": "new_q",
            "price": "max(price + eta*(new_p + new_q - 1), 0)",
            "rest": "rest + (1 if new_p == p and new_q == q and new_p + new_q == 1 else 0)",
        },
        "steps": 170,
        "expect": {"p_end": "p", "q_end": "q", "price_end": "price", "at_rest": "rest"},
        "facts": ["p_end == 1", "q_end == 0", "1 < price_end < 2", "at_rest >= 10"],
    }

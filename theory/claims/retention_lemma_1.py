"""Adaptive Retention, Lemma 1: the Hard-Concrete gate is Bernoulli(p), so its gradient is unbiased.

**Statement.** z̃ = clamp(σ((log α + log u − log(1−u))/β)·(ζ − γ) + γ) with α = e^s, u uniform, β = 0.66, γ = −0.1,
ζ = 1.1 is distributed as Bernoulli(p), p = σ(s), so the gradient through z̃ is an unbiased estimate of that of
E_{z~Bern(p)}[L].

**Assumptions.** None beyond these.

**Reference.** Rafiuddin & Khan 2025 (arXiv 2510.08798), Lemma 1. Gate: Louizos, Welling & Kingma, ICLR 2018
(arXiv 1712.01312).

**Check.** P(z̃ > x) = σ(s − β·logit((x − γ)/(ζ − γ))) for 0 ≤ x < 1. Mass strictly between 0 and 1, mean and derivative
of the mean against those of Bernoulli(p), by sums that enclose the integrals, in interval arithmetic; the p of largest
difference by search.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from theory.claims import find
from theory.claims.published import BETA, STRETCH_HIGH, STRETCH_LOW, percent
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict

_CELLS = 400


def survival(p: float, x: float) -> float:
    """P(z̃ > x) of the gate below 1.

    For 0 ≤ x < 1, with p = σ(s); its value at x = 1 is P(z̃ = 1).

    Examples
    --------
    >>> round(survival(0.5, 0.0), 4), round(survival(0.5, 1.0), 4)
    (0.8296, 0.1704)
    """
    low, high = float(STRETCH_LOW), float(STRETCH_HIGH)
    score = math.log(p / (1 - p)) - float(BETA) * math.log((x - low) / (high - x))
    return 1 / (1 + math.exp(-score))


def mean(p: float) -> float:
    """E[z̃] = ∫_0^1 P(z̃ > x) dx, by Simpson's rule.

    Examples
    --------
    >>> round(mean(0.2), 4), round(mean(0.5), 4)
    (0.2259, 0.5)
    """
    return _integral([survival(p, k / _CELLS) for k in range(_CELLS + 1)])


def slope(p: float) -> float:
    """Derivative dE[z̃]/ds of the mean.

    For z ~ Bernoulli(p) it is p(1 − p).

    Examples
    --------
    >>> round(slope(0.5), 4)
    0.2192
    """
    values = [survival(p, k / _CELLS) for k in range(_CELLS + 1)]
    return _integral([v * (1 - v) for v in values])


def worst_probability() -> Fraction:
    """Probability p at which E[z̃] is farthest from it.

    In twentieths; the smaller one of a symmetric pair.

    Examples
    --------
    >>> worst_probability()
    Fraction(1, 5)
    """
    return max((Fraction(i, 20) for i in range(1, 10)), key=lambda p: abs(mean(float(p)) - float(p)))


def check() -> Verdict:
    """Verdict on the claim.

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('refuted', True)
    """
    claim = find("retention-lemma-1")
    half, budget, worst = 0.5, 0.3, worst_probability()
    inside = survival(half, 0.0) - survival(half, 1.0)
    average, steep, open_gates = mean(float(worst)), slope(half), survival(budget, 0.0)
    mass, moment, derivative = "P(0 < z̃ < 1) at p = 0.5", f"E[z̃] at p = {float(worst)}", "dE[z̃]/ds at p = 0.5"
    open_at = "P(z̃ > 0) at p = 0.3"
    return Verdict(
        claim=claim.id,
        source=claim.source,
        status="refuted",
        statement="The Hard-Concrete gate z̃ (β = 0.66, γ = −0.1, ζ = 1.1) with α = e^s is distributed as "
        "Bernoulli(p), p = σ(s); the pathwise gradient is therefore an unbiased estimate of the gradient of "
        "E_{z~Bern(p)}[L].",
        certificate=bundle(_inside(), _mean(worst, average), _slope(steep), _open(open_gates), _at_half()),
        computed={mass: inside, moment: average, derivative: steep, open_at: open_gates},
        claimed={mass: 0, moment: worst, derivative: Fraction(1, 4), open_at: Fraction(3, 10)},
        reading="The pathwise gradient is an unbiased estimate of the gradient of the *relaxed* objective E[L(f(H⊙z̃))] "
        "(z̃ is Lipschitz in s, so expectation and derivative may be exchanged), which is what Louizos et al. claim. It "
        "belongs to the Bernoulli objective in the limit β → 0, γ → 0, ζ → 1 only.",
        corrected="P(z̃ = 0) = σ(−s − β log 11), P(z̃ = 1) = σ(s − β log 11), and the rest lies strictly between. The "
        "gradient is unbiased for E[L(f(H⊙z̃))], whose value, minimiser and expected number of kept tokens are not "
        "those of the Bernoulli objective.",
        remarks=(
            f"At s = 0, p = 1/2: β·log 11 = 1.583, so z̃ is 0 and 1 with probability {survival(half, 1.0):.3f} each and "
            f"strictly between with {inside:.3f}; a Bernoulli variable is never between.",
            f"The mean is not p: at p = {float(worst)} it is {average:.4f}, "
            f"{percent(average / float(worst) - 1)} more.",
            f"Bias for the simplest loss, L(z) = z, at p = 1/2: the true derivative by s is p(1−p) = 1/4, the expected "
            f"pathwise one {steep:.4f}, {percent(1 - steep * 4)} too small. For L(z) = z(1−z) the Bernoulli objective "
            "is 0 for every p, the relaxed one is not.",
            f"The budget Σp_t counts p_t = 0.3 where in training the gate is open (z̃ > 0) with probability "
            f"{open_gates:.3f}.",
        ),
    )


def _integral(values: list[float]) -> float:
    """Simpson's rule on [0, 1]."""
    return (values[0] + values[-1] + 4 * sum(values[1:-1:2]) + 2 * sum(values[2:-1:2])) / (3 * (len(values) - 1))


_GATE = {"beta": written(BETA), "low": written(STRETCH_LOW), "high": written(STRETCH_HIGH)}


def _survival(x: str) -> str:
    """P(z̃ > x) in the language of certificates.

    s is defined there.
    """
    return f"1/(1 + exp(-(s - beta*log(({x} - low)/(high - {x})))))"


def _inside() -> dict[str, Any]:
    return {
        "kind": "interval",
        "title": "mass strictly between 0 and 1 at p = 1/2",
        "definitions": {**_GATE, "s": "0", "zero": f"1 - {_survival('0')}", "one": _survival("1")},
        "facts": ["zero > 0.170", "zero < 0.171", "one > 0.170", "one < 0.171", "1 - zero - one > 0.65"],
    }


def _mean(p: Fraction, value: float) -> dict[str, Any]:
    """Enclosure of the mean by sums over both ends.

    P(z̃ > x) falls with x, so the sums over left and right ends enclose the integral.
    """
    probability = written(p)
    low, high = (Fraction(round(value * 1000) + sign * 2, 1000) for sign in (-1, 1))
    cell = _survival(f"k/{_CELLS}")
    return {
        "kind": "interval",
        "title": f"the mean at p = {float(p)} is not p",
        "definitions": {
            **_GATE,
            "s": f"log({probability}/(1 - {probability}))",
            "at_most": f"sum(k, 0, {_CELLS} - 1, {cell})/{_CELLS}",
            "at_least": f"sum(k, 1, {_CELLS}, {cell})/{_CELLS}",
        },
        "facts": [f"at_least > {written(low)}", f"at_most < {written(high)}", f"at_least > {probability} + 0.02"],
    }


def _slope(value: float) -> dict[str, Any]:
    """Enclosure of the slope at s = 0.

    The integrand g(1−g), g = P(z̃ > x), is symmetric about x = 1/2 and rises up to there.
    """
    low, high = (Fraction(round(value * 1000) + sign * 2, 1000) for sign in (-1, 1))
    half = _CELLS // 2
    cell = f"({_survival(f'k/{_CELLS}')})*(1 - {_survival(f'k/{_CELLS}')})"
    return {
        "kind": "interval",
        "title": "derivative of the mean at p = 1/2 is not 1/4",
        "definitions": {
            **_GATE,
            "s": "0",
            "at_least": f"2*sum(k, 0, {half} - 1, {cell})/{_CELLS}",
            "at_most": f"2*sum(k, 1, {half}, {cell})/{_CELLS}",
        },
        "facts": [f"at_least > {written(low)}", f"at_most < {written(high)}", "at_most < 1/4"],
    }


def _open(value: float) -> dict[str, Any]:
    return {
        "kind": "interval",
        "title": "share of open gates at p = 0.3",
        "definitions": {**_GATE, "s": "log(0.3/0.7)", "open": _survival("0")},
        "facts": [f"open > {written(Fraction(math.floor(value * 1000), 1000))}", "open > 2*0.3"],
    }


def _at_half() -> dict[str, Any]:
    """Why the mean is right at p = 1/2.

    x → 1 − x turns P(z̃ > x) into 1 − P(z̃ > x).
    """
    return {
        "kind": "identity",
        "title": "(x − γ)/(ζ − x) at 1 − x is its inverse for γ = −0.1, ζ = 1.1: the gate is symmetric at s = 0",
        "left": "((1 - x) + 1/10)/(11/10 - (1 - x))",
        "right": "1/((x + 1/10)/(11/10 - x))",
    }

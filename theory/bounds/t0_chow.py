"""T0, the master bound: the least attention at a given error rate is Chow's error-reject curve.

**Statement.** Before a router decides it knows W (everything but the value asked for). Let
G(w) = max_y P(value = y | W = w) be the chance of the best guess. Among all routers, randomised ones included, that are
wrong without attention with probability at most δ, the least probability of attending is

    α*(δ) = max over λ ≥ 0 of { E[min(1, λ(1 − G(W)))] − λδ },

and Chow's rule attains it: attend where 1 − G(W) is above a threshold, guess the likeliest value elsewhere.

**Assumptions.** The law of (W, value) is given. Nothing else: W may hold any memory, history, label or leak.

**Reference.** C. K. Chow, "On optimum recognition error and reject tradeoff", IEEE Trans. Inf. Theory 16 (1970) 41-46.
The proof by linear programming duality is in docs/theory.md.

**Check.** The linear program over all randomised rules (attend, or output one of V values, for each w) with its dual
solution μ_w = P(w)·min(1, λ(1 − G(w))), in exact fractions, for random laws; HiGHS as a second opinion.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from cogfit.errors import InputError
from theory.bounds.linear_programs import Program
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict
from theory.tasks.retrieval import Real

if TYPE_CHECKING:
    import pandas as pd


class Law(NamedTuple):
    """A law of (W, value), all exact.

    P(W = w), and P(value = y | W = w) for y = 1..V.

    Attributes
    ----------
    weights : tuple of Fraction, length m
    posteriors : tuple of tuple of Fraction, shape (m, V)
    """

    weights: tuple[Fraction, ...]
    posteriors: tuple[tuple[Fraction, ...], ...]

    @property
    def best_guess(self) -> tuple[Fraction, ...]:
        """G(w)."""
        return tuple(map(max, self.posteriors))


def least_attention(weights: Sequence[Real], best_guess: Sequence[Real], delta: Real) -> Real:
    """α*(δ), by the formula.

    The maximum over λ of a concave, piecewise linear function is at 0 or at a corner λ = 1/(1 − G(w)).

    Parameters
    ----------
    weights, best_guess : sequence of numbers
        P(W = w) and G(w).
    delta : number
        Largest probability of an error without attention.

    Returns
    -------
    number
        Exact (Fraction) for exact input.

    Raises
    ------
    InputError
        If ``delta`` is negative.

    Examples
    --------
    >>> least_attention([Fraction(1)], [Fraction(1, 3)], Fraction(1, 6))  # no information, V = 3: T1
    Fraction(3, 4)
    """
    return _price(weights, best_guess, delta)[0]


def chow_rule(weights: Sequence[Real], best_guess: Sequence[Real], delta: Real) -> tuple[Real, ...]:
    """Probability of attending for each w under the best rule.

    The error budget δ is spent where a guess is likeliest to be right.

    Returns
    -------
    tuple of numbers, length m

    Examples
    --------
    >>> chow_rule([Fraction(1, 2)] * 2, [Fraction(1, 2), Fraction(3, 4)], Fraction(1, 4))
    (Fraction(1, 2), Fraction(0, 1))
    """
    attend: list[Real] = [Fraction(1)] * len(weights)
    budget = delta
    for w in sorted(range(len(weights)), key=lambda w: best_guess[w], reverse=True):
        loss = weights[w] * (1 - best_guess[w])
        skip: Real = Fraction(1) if loss <= budget else budget / loss
        attend[w] = 1 - skip
        budget = budget - skip * loss
    return tuple(attend)


def program(law: Law, delta: Fraction) -> Program:
    """The linear program over all rules.

    For each w the probabilities of attending and of each output.

    Variables of w: first attend, then the outputs 1..V. Rows: one per w (probabilities sum to 1), last the error.
    """
    out = Program()
    error: dict[int, Fraction] = {}
    for weight, posterior in zip(*law, strict=True):
        attend = out.variable(weight)
        guesses = [out.variable(0) for _ in posterior]
        out.constrain(dict.fromkeys((attend, *guesses), 1), "==", 1)
        error |= {j: weight * (1 - p) for j, p in zip(guesses, posterior, strict=True)}
    out.constrain(error, "<=", delta)
    return out


def certificate(law: Law, delta: Fraction) -> dict[str, Any]:
    """Certificate that Chow's rule is optimal.

    The rule and the dual solution of the theorem, as a document of the kind ``lp-dual``.
    """
    attend = chow_rule(law.weights, law.best_guess, delta)
    primal: list[Fraction] = []
    for a, posterior in zip(attend, law.posteriors, strict=True):
        best = posterior.index(max(posterior))
        primal += [Fraction(a), *(Fraction(1 - a) if y == best else Fraction(0) for y in range(len(posterior)))]
    price = Fraction(_price(law.weights, law.best_guess, delta)[1])
    dual = [w * min(Fraction(1), price * (1 - g)) for w, g in zip(law.weights, law.best_guess, strict=True)]
    terms = (
        f"{written(w)}*min(1, {written(price)}*(1 - {written(g)}))"
        for w, g in zip(law.weights, law.best_guess, strict=True)
    )
    value = f"{' + '.join(terms)} - {written(price)}*{written(delta)}"
    return program(law, delta).certificate(primal, [*dual, -price], f"Chow's rule is optimal at error {delta}", value)


def random_law(rng: random.Random, observations: int, values: int) -> Law:
    """A law with small fractions, for checks."""

    def distribution(size: int) -> tuple[Fraction, ...]:
        parts = [rng.randint(0, 9) for _ in range(size)]
        parts[rng.randrange(size)] += 1
        return tuple(Fraction(part, sum(parts)) for part in parts)

    return Law(distribution(observations), tuple(distribution(values) for _ in range(observations)))


def curves() -> pd.DataFrame:
    """Least attention against the error rate for three laws.

    Laws of what is known.

    Returns
    -------
    pandas.DataFrame
        One row per curve and point: ``curve`` (label), ``x`` (error rate δ),
        ``kind`` (``"bound"``, ``"exact"`` or ``"achieved"``), ``value`` (share of attended queries), ``low``, ``high``
        (limits of a simulated value; NaN elsewhere).
    """
    import pandas as pd

    half = Fraction(1, 2)
    laws = {
        "nothing known, V = 4": Law((Fraction(1),), ((Fraction(1, 4),) * 4,)),
        "every other value known, V = 4": Law((half, half), ((Fraction(1), *[Fraction(0)] * 3), (Fraction(1, 4),) * 4)),
        "eight observations at random, V = 4": random_law(random.Random(1), 8, 4),
    }
    rows: list[tuple[str, float, str, float]] = []
    for label, law in laws.items():
        for k in range(31):
            delta = Fraction(k, 40)
            rows.append((label, float(delta), "bound", float(least_attention(law.weights, law.best_guess, delta))))
            if k % 6 == 0:
                rows.append((label, float(delta), "exact", program(law, delta).optimum().value))
                attend = chow_rule(law.weights, law.best_guess, delta)
                share = float(sum(w * a for w, a in zip(law.weights, attend, strict=True)))
                rows.append((label, float(delta), "achieved", share))
    return pd.DataFrame(rows, columns=["curve", "x", "kind", "value"]).assign(low=math.nan, high=math.nan)


def check() -> Verdict:
    """Verdict on T0.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('proved', True)
    """
    rng = random.Random(0)
    computed: dict[str, float] = {}
    claimed: dict[str, Fraction] = {}
    documents = []
    for observations, values, delta in ((3, 2, Fraction(1, 10)), (5, 3, Fraction(1, 5)), (8, 4, Fraction(1, 4))):
        law = random_law(rng, observations, values)
        name = f"least attention, {observations} observations, V = {values}, δ = {delta}"
        computed[name] = program(law, delta).optimum().value
        claimed[name] = Fraction(least_attention(law.weights, law.best_guess, delta))
        documents.append(certificate(law, delta))
    return Verdict(
        claim="T0",
        source="Chow 1970 (doi 10.1109/TIT.1970.1054406), in the form of a linear program",
        status="proved",
        statement="For a given law of (W, value) the least attention at error rate δ is "
        "α*(δ) = max_{λ≥0} { E[min(1, λ(1−G(W)))] − λδ }, G the chance of the best guess; Chow's rule attains it.",
        certificate=bundle(*documents),
        assumptions=("W is all that the router knows before it decides; attending costs 1 and is never wrong",),
        computed=computed,
        claimed=claimed,
    )


def _price(weights: Sequence[Real], best_guess: Sequence[Real], delta: Real) -> tuple[Real, Real]:
    """Maximum of the dual function.

    With a λ at which it is attained.
    """
    if delta < 0:
        raise InputError(f"the error rate is {delta}", hint="it is not negative")

    def dual(price: Real) -> Real:
        total: Real = -price * delta
        for w, g in zip(weights, best_guess, strict=True):
            total = total + (w if price * (1 - g) > 1 else w * price * (1 - g))
        return total

    corners: list[Real] = [Fraction(0), *(1 / (1 - g) for g in best_guess if g < 1)]
    best = max(corners, key=dual)
    return dual(best), best

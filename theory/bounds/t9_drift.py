"""T9: where values are redrawn, the cost is linear in the length of the stream again.

**Statement.** At the start of each step t ≥ 2 the value of each pattern is, with probability ρ and independently of
everything, drawn anew, uniformly on all V values (it may be the same again). With q_k = f·p_k every learner, whether it
sees the redraws or not, with labels or without, satisfies

    E[Att] + V/(V−1)·E[Err] ≥ E[number of pairs of a pattern and an epoch that are queried] = Σ_k q_k Σ_{t≤n} x_k(t),
    x_k(1) = 1, x_k(t+1) = ρ + (1−ρ)(1−q_k)·x_k(t).

An epoch of a pattern ends where its value is redrawn. With x* = ρ/(ρ + q − ρq) and λ = (1−ρ)(1−q) the sum is
Σ_k [n·q_k·x* + q_k(1−x*)(1−λ^n)/(1−λ)], so the cost per step is at least B = Σ_k q_k·ρ/(ρ + q_k − ρq_k) for every n.

- Redraws seen: attending at the first query of each epoch attains it, without errors. Labels, redraws not seen: never
  attending and answering what was last shown attains it, without attention.
- Neither: the best is to attend at the first query of age τ or more, at the cost per step

      g* = min_τ [1 + q((τ−1) − (1−ρ)(1−(1−ρ)^{τ−1})/ρ)]/(τ − 1 + 1/q) ~ √(2qρ)   for ρ much smaller than q,

  against ρ where redraws are seen. No error at any time needs α = f from the second step on.
- Zipf frequencies, s > 1, γ = 1 − 1/s, ρ' = ρ/(1−ρ): −ρ' ≤ B − (f/ζ(s))^{1/s}·ρ'^γ·(π/s)/sin(π/s) ≤ 0. The floor under
  drift has the exponent of the learning curve N^−γ (T4), which falls until N ~ 1/ρ and then stays.

**Assumptions.** Redraws are uniform on all V; their times, the queries, noise and coins are independent of the values.

**Reference.** T3 with pairs of a pattern and an epoch as patterns. The proof is in docs/theory.md.

**Check.** The recursion and its closed form exactly, redraw by redraw; the best of all learners by dynamic programs;
the Zipf floor in interval arithmetic; learners that are played. Redraws that exclude the old value break it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import integrate, special

from cogfit.errors import InputError
from theory.bounds.confidence_sequences import mean_sequence
from theory.bounds.refreshing import NEVER, Refreshing, age_cost
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Number, Verdict
from theory.tasks.retrieval import Real, Stream, play

if TYPE_CHECKING:
    import pandas as pd


# ------------------------------------------------------------------------------------------------- the bound


def queried_epochs(q: Real, rho: Real, steps: int) -> Real:
    """Expected number of epochs of a pattern that are queried.

    In so many steps: q·Σ x(t), in closed form.

    Parameters
    ----------
    q : number
        Probability of a query for the pattern at a step, f·p.
    rho : number
        Probability of a redraw.
    steps : int
        n.

    Returns
    -------
    number
        Exact for exact input.

    Examples
    --------
    >>> queried_epochs(Fraction(1, 2), Fraction(0), 3)  # no drift: 1 − (1 − q)^n
    Fraction(7, 8)
    >>> float(queried_epochs(Fraction(1, 4), Fraction(1, 10), 20))
    2.0708005971569943
    """
    _check(q, rho)
    if q == 0:
        return Fraction(0)
    unknown, kept = rho / (rho + q - rho * q), (1 - rho) * (1 - q)
    return steps * q * unknown + q * (1 - unknown) * (1 - kept**steps) / (1 - kept)


def floor(probabilities: Sequence[Real], rho: Real, retrieval: Real = 1) -> Real:
    """Least cost B per step under drift.

    Parameters
    ----------
    probabilities : sequence of number
        p_k.
    rho : number
        Probability of a redraw.
    retrieval : number
        f.

    Returns
    -------
    number
        Exact for exact input.

    Examples
    --------
    >>> floor([Fraction(1, 2), Fraction(1, 2)], Fraction(1, 3))
    Fraction(1, 2)
    """
    total: Real = Fraction(0)
    for p in probabilities:
        q = retrieval * p
        _check(q, rho)
        total = total + (q * rho / (rho + q - rho * q) if q else 0)
    return total


def zipf_floor(rho: float, s: float, retrieval: float = 1.0) -> tuple[float, float]:
    """Limits of B for infinitely many Zipf patterns.

    Parameters
    ----------
    rho : float
        Probability of a redraw, above 0 and below 1.
    s : float
        Zipf exponent, above 1.
    retrieval : float
        f.

    Returns
    -------
    low, high : float
        The power law ρ'^γ is the upper one; they are ρ' = ρ/(1−ρ) apart.

    Examples
    --------
    >>> [round(end, 6) for end in zipf_floor(1e-4, 2.0, 0.3)]
    [0.006609, 0.006709]
    """
    _check(retrieval, rho)
    if not (s > 1.0 and 0.0 < rho < 1.0):
        raise InputError(f"Zipf exponent {s} and redraws at {rho}", hint="use s > 1 and 0 < ρ < 1")
    odds = rho / (1.0 - rho)
    angle = math.pi / s
    high = (retrieval / float(special.zeta(s))) ** (1.0 / s) * odds ** (1.0 - 1.0 / s) * angle / math.sin(angle)
    return max(high - odds, 0.0), high


def zipf_floor_summed(rho: float, s: float, retrieval: float = 1.0, *, terms: int = 20_000) -> float:
    """B for infinitely many Zipf patterns, summed.

    The first terms one by one, the others as an integral between half integers.

    Examples
    --------
    >>> round(zipf_floor_summed(1e-4, 2.0, 0.3), 7)
    0.0066585
    """
    zipf_floor(rho, s, retrieval)  # checks the arguments
    odds, share = rho / (1.0 - rho), retrieval / float(special.zeta(s))

    def term(k: Any) -> Any:
        q = share * k**-s
        return odds * q / (odds + q)

    # k = e^y spreads the long tail over a short range
    tail, _ = integrate.quad(lambda y: term(math.exp(y)) * math.exp(y), math.log(terms + 0.5), 700.0 / s, limit=200)
    return float(term(np.arange(1.0, terms + 1.0)).sum()) + float(tail)


def blind_rate(q: float, rho: float) -> tuple[int, float]:
    """Best rule where neither redraws nor labels are seen.

    Parameters
    ----------
    q : float
        Probability of a query for the pattern, above 0.
    rho : float
        Probability of a redraw, above 0.

    Returns
    -------
    tau : int
        Attend at the first query of this age, in steps since the value was shown; an age that no value reaches where
        there is nothing to gain.
    cost : float
        g*, per step.

    Examples
    --------
    >>> tau, cost = blind_rate(0.25, 0.1)
    >>> tau, round(cost, 5), round((2 * 0.25 * 0.1) ** 0.5, 5)
    (9, 0.14321, 0.22361)
    """
    _check(q, rho)
    if q == 0.0 or rho == 0.0:
        return NEVER, 0.0
    longest = int(10.0 + 10.0 * math.sqrt(2.0 / (q * rho)) + 10.0 / q)
    costs = age_cost(np.arange(1.0, longest + 1.0), q, rho)
    best = int(costs.argmin())
    return best + 1, float(costs[best])


# ---------------------------------------------------------------------------------------- the best of all learners


@dataclass(frozen=True)
class Knowledge:
    """What can be known of one pattern, as a decision process.

    Attributes
    ----------
    title : str
    labels : bool
        Whether the value is shown after every query.
    guess : tuple of Fraction
        By state: V/(V−1) times the chance that the best guess is wrong.
    drift : tuple of tuples of (Fraction, int)
        By state: states at the next step. The first state follows on "shown".
    """

    title: str
    labels: bool
    guess: tuple[Fraction, ...]
    drift: tuple[tuple[tuple[Fraction, int], ...], ...]


def seen(rho: Fraction) -> Knowledge:
    """Redraws are seen: the value is known or uniform.

    Examples
    --------
    >>> seen(Fraction(1, 10)).guess
    (Fraction(0, 1), Fraction(1, 1))
    """
    return Knowledge("redraws seen", False, (Fraction(0), Fraction(1)), (((1 - rho, 0), (rho, 1)), ((Fraction(1), 1),)))


def unseen(rho: Fraction, steps: int, *, labels: bool) -> Knowledge:
    """Redraws are not seen: what was shown has an age.

    Examples
    --------
    >>> [str(cost) for cost in unseen(Fraction(1, 10), 2, labels=True).guess]  # ages 0 to 2, and never shown
    ['0', '1/10', '19/100', '1']
    """
    never = steps + 1
    costs = [1 - (1 - rho) ** age for age in range(never)] + [Fraction(1)]
    older = tuple(((Fraction(1), min(age + 1, steps)),) for age in range(never))
    title = "redraws not seen, " + ("labels" if labels else "no labels")
    return Knowledge(title, labels, tuple(costs), (*older, ((Fraction(1), never),)))


def flipped() -> Knowledge:
    """A redraw flips one of two values, and is seen.

    Not the setting of the theorem: what was shown stays known.

    Examples
    --------
    >>> dynamic_program(flipped(), Fraction(1, 4), 2)[0]  # 1 − (1 − q)^n, whatever ρ is
    Fraction(7, 16)
    """
    return Knowledge(
        "a redraw flips the value", False, (Fraction(0), Fraction(1)), (((Fraction(1), 0),), ((Fraction(1), 1),))
    )


def dynamic_program(knowledge: Knowledge, q: Fraction, steps: int) -> tuple[Fraction, dict[str, Any]]:
    """Solve one pattern exactly, over all adaptive learners.

    Parameters
    ----------
    knowledge : Knowledge
    q : Fraction
        Probability of a query at a step.
    steps : int

    Returns
    -------
    optimum : Fraction
        Least expected attention plus V/(V−1) times errors.
    document : Mapping
        Certificate of the kind ``value-function``.

    Examples
    --------
    >>> rho, q = Fraction(1, 4), Fraction(1, 2)
    >>> dynamic_program(seen(rho), q, 5)[0] == queried_epochs(q, rho, 5)
    True
    """
    size = len(knowledge.guess)

    def moves(state: int, *, shown_at_query: bool) -> list[tuple[Fraction, int]]:
        chances: dict[int, Fraction] = {}
        for weight, now in ((q, 0), (1 - q, state)) if shown_at_query else ((Fraction(1), state),):
            for p, following in knowledge.drift[now]:
                chances[following] = chances.get(following, Fraction(0)) + weight * p
        return [(p, following) for following, p in chances.items() if p]

    actions = [
        {
            "attend": (q, moves(state, shown_at_query=True)),
            "guess": (q * guess, moves(state, shown_at_query=knowledge.labels)),
        }
        for state, guess in enumerate(knowledge.guess)
    ]
    table, policy = [[Fraction(0)] * size], list[list[str]]()
    for _ in range(steps):
        after = table[0]
        costs = [
            {name: cost + sum(p * after[to] for p, to in moved) for name, (cost, moved) in state.items()}
            for state in actions
        ]
        policy.insert(0, [min(state, key=state.__getitem__) for state in costs])
        table.insert(0, [min(state.values()) for state in costs])
    document = {
        "kind": "value-function",
        "title": f"least attention plus V/(V−1)·errors of a pattern, n = {steps}, q = {q}: {knowledge.title}",
        "stages": [
            {
                name: {"cost": written(cost), "to": [[written(p), to] for p, to in moved]}
                for name, (cost, moved) in state.items()
            }
            for state in actions
        ],
        "horizon": steps,
        "values": [[written(value) for value in row] for row in table],
        "policy": policy,
        "start": size - 1,
        "value": written(table[0][-1]),
    }
    return table[0][-1], document


# ---------------------------------------------------------------------------------------------- learners to be played


@dataclass(frozen=True)
class Learner:
    """A learner under drift.

    Attributes
    ----------
    title : str
    sees : bool
        Whether it sees redraws.
    labels : bool
        Whether it is shown the value after each query.
    patience : callable
        ``patience(q, rho) -> int``: age of what was shown at which it attends again; it attends where nothing is known,
        unless it has labels.
    """

    title: str
    sees: bool
    labels: bool
    patience: Callable[[float, float], int]

    def router(self, stream: Stream) -> Refreshing:
        """The learner as a router on a stream."""
        ages = [self.patience(float(stream.retrieval * p), float(stream.redraw)) for p in stream.probabilities]
        return Refreshing(ages, sees=self.sees, attends=not self.labels)


LEARNERS: Mapping[str, Learner] = {
    "seen": Learner("redraws seen: attend once an epoch", True, False, lambda q, rho: NEVER),
    "labels": Learner("labels: answer what was last shown", False, True, lambda q, rho: NEVER),
    "blind": Learner("neither: attend again at age τ", False, False, lambda q, rho: blind_rate(q, rho)[0]),
}
"""Learners that attain the bounds, by name."""


def simulate(
    learner: Learner, stream: Stream, rho: float, *, streams: int = 500, level: float = 0.99, rng: int = 0
) -> tuple[float, float, float]:
    """Simulated cost per step of a learner under drift.

    Parameters
    ----------
    learner : Learner
    stream : Stream
        Independent queries.
    rho : float
        Probability of a redraw.
    streams : int
    level : float
        Of the confidence sequence over the streams.
    rng : int

    Returns
    -------
    mean, low, high : float

    Examples
    --------
    >>> stream = Stream.independent([1.0], values=4, length=200, retrieval=0.5)
    >>> mean, low, high = simulate(LEARNERS["seen"], stream, 0.2, streams=200)
    >>> low < queried_epochs(0.5, 0.2, 200) / 200 < high
    True
    """
    drifting = replace(stream, redraw=rho, feedback=learner.labels)
    run = play(drifting, learner.router(drifting), rng, streams)
    price = stream.values / (stream.values - 1)
    total = run.attended.sum(axis=1) + price * run.error.sum(axis=1)
    ends = mean_sequence(total / stream.length, low=0.0, high=price, level=level)
    return float(total.mean() / stream.length), float(ends.lower[-1]), float(ends.upper[-1])


def curves() -> pd.DataFrame:
    """Cost per step against the rate of redraws.

    Returns
    -------
    pandas.DataFrame
        One row per curve and point: ``curve`` (label), ``x`` (ρ), ``kind`` (``"bound"``: power law, or B of one
        pattern; ``"exact"``: B summed, or g*; ``"achieved"``: learners played), ``value``, ``low``, ``high`` (limits of
        a simulated value; NaN elsewhere).
    """
    import pandas as pd

    rows: list[tuple[str, float, str, float, float, float]] = []
    grid = np.geomspace(1e-4, 0.3, 12).tolist()

    def add(label: str, kind: str, value: Callable[[float], float]) -> None:
        rows.extend((label, rho, kind, value(rho), math.nan, math.nan) for rho in grid)

    for s in (1.5, 2.0, 3.0):
        add(f"Zipf, s = {s:g}", "bound", lambda rho, s=s: zipf_floor(rho, s)[1])  # type: ignore[misc]
        add(f"Zipf, s = {s:g}", "exact", lambda rho, s=s: zipf_floor_summed(rho, s))  # type: ignore[misc]
    known, blind = "q = 1/4, redraws seen", "q = 1/4, not seen"
    add(known, "bound", lambda rho: float(floor([1.0], rho, 0.25)))
    add(blind, "bound", lambda rho: math.sqrt(2.0 * 0.25 * rho))
    add(blind, "exact", lambda rho: blind_rate(0.25, rho)[1])
    stream = Stream.independent([1.0], values=8, length=500, retrieval=0.25)
    for label, name in ((known, "seen"), (blind, "blind")):
        for rho in (0.01, 0.1):
            rows.append((label, rho, "achieved", *simulate(LEARNERS[name], stream, rho, streams=100, rng=9)))
    return pd.DataFrame(rows, columns=["curve", "x", "kind", "value", "low", "high"])


# -------------------------------------------------------------------------------------------------------- certificate


def check() -> Verdict:
    """Verdict on T9.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('proved', True)
    """
    computed: dict[str, Number] = {}
    claimed: dict[str, Number] = {}
    documents = []
    bound = Fraction(queried_epochs(_Q, _RHO, _STEPS))
    for knowledge in (seen(_RHO), unseen(_RHO, _STEPS, labels=True), unseen(_RHO, _STEPS, labels=False)):
        optimum, document = dynamic_program(knowledge, _Q, _STEPS)
        name = f"least cost of a pattern, q = {_Q}, ρ = {_RHO}, n = {_STEPS}: {knowledge.title}"
        computed[name] = optimum
        if knowledge.labels or knowledge.title == "redraws seen":
            claimed[name] = bound
        documents.append(document)
    tau, cost = blind_rate(float(_Q), float(_RHO))
    computed[f"cost per step without labels or sight of redraws, attending at age {tau}"] = cost
    computed["the same where redraws are seen"] = floor([1], _RHO, _Q)
    name = "floor B, Zipf s = 2, f = 3/10, ρ = 10⁻⁴ (claimed: the power law, which is at most ρ/(1−ρ) above)"
    computed[name], claimed[name] = zipf_floor_summed(1e-4, 2.0, 0.3), zipf_floor(1e-4, 2.0, 0.3)[1]
    stream = Stream.independent([0.4, 0.3, 0.1, 0.1, 0.1], values=8, length=500, retrieval=0.5)
    for key in ("seen", "labels"):
        name = f"cost per step, K = 5, ρ = 1/50, n = 500, {LEARNERS[key].title} (simulated)"
        mean, low, high = simulate(LEARNERS[key], stream, 0.02, streams=400, rng=9)
        computed[name] = mean
        claimed[name] = sum(float(queried_epochs(0.5 * p, 0.02, 500)) for p in stream.probabilities) / 500
    flip, control = dynamic_program(flipped(), _Q, _STEPS)
    computed["control: cost where a redraw flips one of two values"] = flip
    return Verdict(
        claim="T9",
        source="T3 with pairs of a pattern and an epoch as patterns; proofs: docs/theory.md",
        status="proved",
        statement="Where each value is redrawn uniformly with probability ρ before each step, every learner, whether "
        "it sees redraws or not, with labels or without, pays at least Σ_k q_k ρ/(ρ + q_k − ρq_k) per step. Who sees "
        "redraws, or labels, attains the exact bound; with neither the least cost per step of a pattern is g* ~ "
        "√(2qρ). Under Zipf frequencies the floor is within ρ/(1−ρ) of a power law ρ^γ with the exponent of the "
        "learning curve.",
        certificate=bundle(*documents, *_recursion(), _zipf(), control, _broken(flip)),
        assumptions=(
            "a redraw is uniform on all V values",
            "redraws, queries, noise and coins are independent of the values and of the learner's answers",
        ),
        computed=computed,
        claimed=claimed,
        remarks=(
            f"simulated: the last 99 % confidence sequence over 400 streams ends at [{low:.4f}, {high:.4f}]",
            "a redraw to another value (V ≥ 3) needs the price (V−1)/(V−2) of an error in place of V/(V−1)",
            "redraws per query of a pattern instead of per step follow another law",
        ),
    )


_Q, _RHO, _STEPS = Fraction(1, 4), Fraction(1, 10), 20


def _recursion() -> list[dict[str, Any]]:
    """The closed form, as an identity and redraw by redraw."""
    closed = "steps*q*u + q*(1 - u)*(1 - l**steps)/(1 - l)"
    redraws = [
        {"probability": written(p * r), "asked": str(asked), "redrawn": str(redrawn)}
        for asked, p in ((1, _Q), (0, 1 - _Q))
        for redrawn, r in ((1, _RHO), (0, 1 - _RHO))
    ]
    return [
        {
            "kind": "identity",
            "title": "x* + d is followed by x* + λd",
            "definitions": {"u": "rho/(rho + q - rho*q)"},
            "left": "rho + (1 - rho)*(1 - q)*(u + d)",
            "right": "u + (1 - rho)*(1 - q)*d",
        },
        {
            "kind": "chain",
            "title": f"epochs queried, redraw by redraw, q = {_Q}, ρ = {_RHO}, n = {_STEPS}",
            "definitions": {
                "q": written(_Q),
                "rho": written(_RHO),
                "u": "rho/(rho + q - rho*q)",
                "l": "(1 - rho)*(1 - q)",
            },
            "start": {"fresh": "1", "epochs": "0"},
            "outcomes": redraws,
            "let": {"new": "1 if fresh == 1 or (redrawn == 1 and t > 1) else 0"},
            "update": {"fresh": "0 if asked == 1 else new", "epochs": "epochs + asked*new"},
            "steps": _STEPS,
            "expect": {"mean": "epochs"},
            "facts": [f"mean == {closed}", "mean >= steps*q*rho/(rho + q - rho*q)"],
        },
    ]


def _zipf() -> dict[str, Any]:
    """B against the power law.

    The terms beyond the sum are between 0 and the frequencies themselves.
    """
    return {
        "kind": "interval",
        "title": "floor for Zipf frequencies, s = 2, f = 3/10, ρ = 1/20",
        "definitions": {
            "odds": "1/19",
            "share": "3/10/zeta(2)",
            "low": "sum(k, 1, 200, odds*share/(odds*k**2 + share))",
            "power": "sqrt(share*odds)*(pi/2)",
        },
        "facts": ["low + share/200 <= power", "power - odds <= low"],
    }


def _broken(flip: Fraction) -> dict[str, Any]:
    return {
        "kind": "arithmetic",
        "title": "control: where a redraw excludes the old value, V = 2, the cost is below the bound",
        "definitions": {"cost": f"1 - (1 - {written(_Q)})**{_STEPS}"},
        "facts": [f"cost == {written(flip)}", f"cost < {_STEPS}*{written(Fraction(floor([1], _RHO, _Q)))}"],
    }


def _check(q: Real, rho: Real) -> None:
    if not (0 <= q <= 1 and 0 <= rho <= 1):
        raise InputError(f"queries at {q} and redraws at {rho}", hint="both are probabilities")

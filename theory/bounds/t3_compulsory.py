"""T3: every pattern must be attended to once, by whatever learner; consolidating at first sight is optimal.

**Statement.** For *every* adaptive learner (any history, coins and memory), with or without labels, on a stream of n
steps with query rate f and pattern probabilities p_k:

(a) at every step t, P(A_t = 1) + V/(V−1)·P(err_t, z_t unrevealed) ≥ P(z_t unrevealed) ≥ f·u_f(t−1), with
u_f(t) = Σ p_k(1 − f p_k)^t the missing mass;
(b) E[Att] + V/(V−1)·E[Err] ≥ E[D_n] = Σ_k (1 − (1 − f p_k)^n), the expected number of patterns asked for;
(c) without labels, for a fixed sequence with counts m_k, N = Σ m_k, and E[Err] ≤ δN: E[Att] ≥ D − κ, κ the fractional
number of rarest patterns whose counts sum to δNV/(V−1).

**Attained.** Attending at first sight has Att = D, Err = 0: equality in (a) and (b). Attending at the first c exposures
costs Σ min(c, m_k) ≤ cK. If an attended exposure consolidates with probability η: E[Att] = Σ_k (1 − (1 − ηf p_k)^n)/η
≤ K/η. With an imperfect gate (false accept β, false reject r) at unseen share u: α = u(1−β) + (1−u)r and
err = (1−1/V)uβ, so r is a floor.

**Assumptions.** Values uniform and independent, fresh for every stream; attending shows the right value.

**Reference.** Missing mass: Karlin, J. Math. Mech. 17 (1967) 373-401; Gnedin, Hansen & Pitman, Probab. Surveys 4 (2007)
146-171, doi 10.1214/07-PS092. The compulsory term that Corollary 1 of CRAM (arXiv 2602.12204) leaves out.

**Check.** A dynamic program in exact fractions up to n = 60, K = 30, its value function as certificate; the
sequence-form program over all behaviours on small streams; the knapsack with its dual.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.errors import InputError
from theory.bounds.confidence_sequences import mean_sequence
from theory.bounds.linear_programs import Program
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict
from theory.tasks.retrieval import FirstExposures, Real, Stream, play, tables_of, uniform, zipf

if TYPE_CHECKING:
    import pandas as pd


def missing_mass(probabilities: Sequence[Real], steps: int, retrieval: Real = 1) -> Real:
    """Chance u_f(t) that a query asks for a new pattern.

    One not asked for in t steps: u_f(t) = Σ p_k (1 − f p_k)^t.

    Examples
    --------
    >>> missing_mass(uniform(2), 3)
    Fraction(1, 8)
    """
    return _sum(p * (1 - retrieval * p) ** steps for p in probabilities)


def expected_distinct(probabilities: Sequence[Real], steps: int, retrieval: Real = 1) -> Real:
    """Expected number E[D_n] of patterns asked for in n steps.

    E[D_n] = Σ_k (1 − (1 − f p_k)^n).

    Examples
    --------
    >>> expected_distinct(uniform(2), 3)
    Fraction(7, 4)
    """
    return _sum(1 - (1 - retrieval * p) ** steps for p in probabilities)


def consolidating_attention(probabilities: Sequence[Real], steps: int, retrieval: Real = 1, eta: Real = 1) -> Real:
    """Expected attention of the consolidating learner.

    Its attended exposures consolidate with probability η: at most K/η.

    Examples
    --------
    >>> consolidating_attention(uniform(1), 3, eta=Fraction(1, 2))
    Fraction(7, 4)
    """
    if not 0 < eta <= 1:
        raise InputError(f"probability of consolidation {eta}", hint="0 < η ≤ 1")
    return _sum((1 - (1 - eta * retrieval * p) ** steps) / eta for p in probabilities)


def imperfect_gate(unseen: Real, false_accept: Real, false_reject: Real, values: int) -> tuple[Real, Real]:
    """Attention and error behind an imperfect gate.

    Of first-sight attention, per query.

    Parameters
    ----------
    unseen : number
        u, share of queries for patterns not yet known.
    false_accept : number
        β, chance of taking such a pattern for known.
    false_reject : number
        r, chance of attending to a known one.
    values : int

    Returns
    -------
    attention, error : number

    Examples
    --------
    >>> imperfect_gate(Fraction(0), Fraction(1, 10), Fraction(1, 50), 16)  # all known: r is left
    (Fraction(1, 50), Fraction(0, 1))
    """
    return unseen * (1 - false_accept) + (1 - unseen) * false_reject, (1 - Fraction(1, values)) * unseen * false_accept


def spared_patterns(counts: Sequence[int], budget: Real) -> Real:
    """Number κ of patterns that can stay unattended.

    Fractional; the rarest first, within a budget of queries.

    Parameters
    ----------
    counts : sequence of int
        m_k; zeros are left out.
    budget : number
        δNV/(V−1).

    Examples
    --------
    >>> spared_patterns([6, 1, 4], 3)  # the one of count 1, and half of the one of count 4
    Fraction(3, 2)
    """
    if budget < 0:
        raise InputError(f"the budget of errors is {budget}", hint="it is not negative")
    return _sum(_spared(counts, budget))


def least_attention(counts: Sequence[int], values: int, delta: Real) -> Real:
    """(c) Least expected attention without labels.

    At an expected number of errors δN: D − κ.

    Examples
    --------
    >>> least_attention([6, 1, 4], 2, Fraction(3, 22))
    Fraction(3, 2)
    """
    budget = delta * sum(counts) * Fraction(values, values - 1)
    return sum(m > 0 for m in counts) - spared_patterns(counts, budget)


@dataclass(frozen=True)
class Dynamic:
    """Optimal policy of the stream with equal probabilities.

    Found by dynamic programming.

    Attributes
    ----------
    optimum : Fraction
        Least E[Att] + V/(V−1)·E[Err].
    values : list of list of Fraction, shape (n+1, K+1)
        Least cost from step t on with d revealed patterns.
    document : Mapping
        Certificate of the kind ``value-function``.
    """

    optimum: Fraction
    values: list[list[Fraction]]
    document: dict[str, Any]


def dynamic_program(
    patterns: int, values: int, steps: int, retrieval: Fraction = Fraction(1), feedback: bool = False
) -> Dynamic:
    """Solve the stream with equal probabilities exactly.

    Over all adaptive policies.

    An unrevealed value is uniform given the history, so the number d of revealed patterns is all that matters. A query
    for a revealed pattern costs nothing. At a query for an unrevealed one the policy attends (cost 1, d grows) or
    guesses (cost V/(V−1)·(1−1/V), d grows with feedback only).

    Parameters
    ----------
    patterns, values, steps : int
        K, V, n.
    retrieval : Fraction
        f.
    feedback : bool

    Examples
    --------
    >>> dynamic_program(3, 2, 4).optimum == expected_distinct(uniform(3), 4)
    True
    """
    if patterns < 1 or steps < 1 or values < 2:
        raise InputError(f"K = {patterns}, V = {values}, n = {steps}", hint="use K ≥ 1, V ≥ 2, n ≥ 1")
    guess = Fraction(values, values - 1) * (1 - Fraction(1, values))
    new = [retrieval * Fraction(patterns - d, patterns) for d in range(patterns + 1)]
    table = [[Fraction(0)] * (patterns + 1)]
    policy: list[list[str]] = []
    for _ in range(steps):
        after = table[0]
        row, actions = [], []
        for d in range(patterns):
            grown = new[d] * after[d + 1] + (1 - new[d]) * after[d]
            costs = {"attend": new[d] + grown, "guess": new[d] * guess + (grown if feedback else after[d])}
            actions.append(min(costs, key=costs.__getitem__))
            row.append(costs[actions[-1]])
        table.insert(0, [*row, after[patterns]])
        policy.insert(0, [*actions, "guess"])
    states = []
    for d, q in enumerate(new):
        grow = [[written(q), min(d + 1, patterns)], [written(1 - q), d]]
        stay = [["1", d]]
        states.append(
            {
                "attend": {"cost": written(q), "to": grow},
                "guess": {"cost": written(q * guess), "to": grow if feedback else stay},
            }
        )
    document = {
        "kind": "value-function",
        "title": f"least attention plus V/(V−1)·errors, K = {patterns}, V = {values}, n = {steps}",
        "stages": states,
        "horizon": steps,
        "values": [[written(v) for v in row] for row in table],
        "policy": policy,
        "start": 0,
        "value": f"{patterns}*(1 - (1 - {written(retrieval)}/{patterns})**{steps})",
    }
    return Dynamic(table[0][0], table, document)


def sequence_form(stream: Stream) -> Program:
    """Least cost over *all* behaviours, by linear programming.

    E[Att] + V/(V−1)·E[Err], without any theory in it.

    One variable per history and action (attend, or output 1..V): the probability that the router itself contributes to
    getting there. Its cost is that of the action, weighted with the probability of what the router does not decide.

    Parameters
    ----------
    stream : Stream
        Independent queries; small, because histories are enumerated.

    Examples
    --------
    >>> stream = Stream.independent(uniform(2), values=2, length=3)
    >>> round(sequence_form(stream).optimum().value, 9)  # E[D_3] = 7/4
    1.75
    """
    out = Program()
    price = Fraction(stream.values, stream.values - 1)
    law = [(z, Fraction(p)) for z, p in enumerate(stream.step_law) if p]
    tables = tables_of(stream.patterns, stream.values)
    waiting = [(0, tables, Fraction(1), -1)]  # step, tables that agree, probability of the queries, parent variable
    while waiting:
        t, possible, chance, parent = waiting.pop()
        for z, p in law if t < stream.length else ():
            weight = chance * p
            if z == 0:
                waiting.append((t + 1, possible, weight, parent))
                continue
            shown = {y: possible[possible[:, z - 1] == y] for y in range(1, stream.values + 1)}
            shown = {y: agree for y, agree in shown.items() if len(agree)}
            mass = weight * Fraction(len(possible), len(tables))
            attend = out.variable(mass)
            terms = {attend: 1}
            waiting += [(t + 1, agree, weight, attend) for agree in shown.values()]
            for y in range(1, stream.values + 1):
                right = Fraction(len(shown.get(y, ())), len(possible))
                guess = out.variable(mass * price * (1 - right))
                terms[guess] = 1
                known = list(shown.values()) if stream.feedback else [possible]
                waiting += [(t + 1, agree, weight, guess) for agree in known]
            if parent < 0:
                out.constrain(terms, "==", 1)
            else:
                out.constrain({**terms, parent: -1}, "==", 0)
    return out


def knapsack(counts: Sequence[int], values: int, delta: Fraction) -> dict[str, Any]:
    """(c) as a linear program, solved and certified exactly.

    x_k is the probability that pattern k is never attended to: minimise Σ(1 − x_k), written with y_k = 1 − x_k, subject
    to (1−1/V)·Σ m_k x_k ≤ δN.

    Returns
    -------
    Mapping
        Document of the kind ``lp-dual``; its value is D − κ.
    """
    counts = [m for m in counts if m]
    budget = delta * sum(counts) * Fraction(values, values - 1)
    program = Program()
    attended = [program.variable(1) for _ in counts]
    spared = [program.variable(0) for _ in counts]
    for y, x in zip(attended, spared, strict=True):
        program.constrain({y: 1, x: 1}, "==", 1)
    program.constrain(dict(zip(spared, counts, strict=True)), "<=", budget)
    share = [Fraction(s) for s in _spared(counts, budget)]
    marginal = [m for m, s in zip(counts, share, strict=True) if s < 1]
    price = Fraction(1, min(marginal)) if marginal else Fraction(0)
    dual = [min(Fraction(1), price * m) for m in counts]
    title = f"counts {counts}, V = {values}, δ = {delta}"
    return program.certificate([*(1 - s for s in share), *share], [*dual, -price], title)


def curves() -> pd.DataFrame:
    """Compulsory attention against the length of the stream.

    All learners (exact), and learners that attain it.

    Returns
    -------
    pandas.DataFrame
        One row per curve and point: ``curve`` (label), ``x`` (queries n),
        ``kind`` (``"bound"``, ``"exact"`` or ``"achieved"``), ``value`` (attended queries), ``low``, ``high``
        (limits of a simulated value; NaN elsewhere).
    """
    import pandas as pd

    rows: list[tuple[str, float, str, float, float, float]] = []
    grid = np.unique(np.geomspace(1, 2000, 40).astype(int)).tolist()
    for label, law in (("uniform, K = 30", uniform(30)), ("Zipf s = 1.25, K = 100", zipf(100, 1.25))):
        for n in grid:
            rows.append((label, n, "bound", float(expected_distinct(law, n)), math.nan, math.nan))
        for c in (1, 3):
            name = label if c == 1 else f"{label}, {c} exposures"
            stream = Stream.independent(law, values=16, length=400)
            attended = play(stream, FirstExposures(c), 2, 300).attended.cumsum(axis=1)
            for n in (3, 10, 30, 100, 400):
                at = attended[:, n - 1]
                limits = mean_sequence(at, low=0, high=min(n, c * len(law)))
                rows.append((name, n, "achieved", float(at.mean()), float(limits.lower[-1]), float(limits.upper[-1])))
    for n in (1, 3, 10, 30, 60):
        optimum = float(dynamic_program(30, 16, n).optimum)
        rows.append(("uniform, K = 30", n, "exact", optimum, math.nan, math.nan))
    return pd.DataFrame(rows, columns=["curve", "x", "kind", "value", "low", "high"])


def check() -> Verdict:
    """Verdict on T3.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('proved', True)
    """
    computed: dict[str, Real] = {}
    claimed: dict[str, Real] = {}
    documents = []
    # equal probabilities: the optimum of all adaptive policies is E[D_n]
    for patterns, values, steps, retrieval, feedback in (
        (30, 16, 60, Fraction(1), False),
        (10, 2, 30, Fraction(1, 20), False),
        (8, 3, 20, Fraction(1, 2), True),
    ):
        solved = dynamic_program(patterns, values, steps, retrieval, feedback)
        labels = ", labels" if feedback else ""
        name = f"least Att + V/(V−1)·Err, K = {patterns}, V = {values}, n = {steps}, f = {retrieval}{labels}"
        computed[name] = solved.optimum
        claimed[name] = expected_distinct(uniform(patterns), steps, retrieval)
        documents.append(solved.document)
    # unequal probabilities: the same, by a program that knows no theory
    for feedback in (False, True):
        small = Stream.independent((Fraction(2, 3), Fraction(1, 3)), values=2, length=3, feedback=feedback)
        name = f"the same over all behaviours, p = (2/3, 1/3), V = 2, n = 3{', labels' if feedback else ''}"
        program = sequence_form(small)
        computed[name], claimed[name] = program.optimum().value, expected_distinct(small.probabilities, small.length)
        documents.append(program.rounded(name, _distinct_formula(small)))
    # errors allowed: part (c); then a learner that needs several exposures, simulated
    counts, delta = (12, 7, 3, 2, 1), Fraction(1, 10)
    documents.append(knapsack(counts, 4, delta))
    name = f"(c) least attention, counts {counts}, V = 4, δ = {delta}"
    computed[name], claimed[name] = Fraction(documents[-1]["value"]), least_attention(counts, 4, delta)
    name, limits = "attention with consolidation at η = 1/2, K = 100, Zipf s = 5/4, n = 500 (simulated)", _simulated()
    computed[name], claimed[name] = limits[0], limits[3]
    return Verdict(
        claim="T3",
        source="missing mass: doi 10.1214/07-PS092; the term that CRAM Corollary 1 (arXiv 2602.12204) leaves out",
        status="proved",
        statement="For every adaptive learner, with or without labels, E[Att] + (V/(V−1))·E[Err] ≥ E[D_n], stepwise "
        "and in sum; attending at first sight attains it. Without labels and at E[Err] ≤ δN, E[Att] ≥ D − κ.",
        certificate=bundle(*documents, *_attained(), *_controls()),
        assumptions=("values uniform, independent, and fresh for every stream", "attending shows the right value"),
        computed=computed,
        claimed=claimed,
        remarks=(
            f"simulated attention: a 99 % confidence sequence over {_STREAMS} streams ends at "
            f"[{limits[1]:.2f}, {limits[2]:.2f}]",
            "the certificate holds controls: values known beforehand break (b), labels break (c)",
        ),
    )


_STREAMS = 2000


def _simulated() -> tuple[float, float, float, float]:
    eta, law = 0.5, zipf(100, 1.25)
    stream = Stream.independent(law, values=16, length=500)
    attention = play(stream, FirstExposures(1, eta), 3, _STREAMS).attended.sum(axis=1).astype(float)
    limits = mean_sequence(attention, low=0, high=500, level=0.99)
    expected = float(consolidating_attention(law, 500, eta=eta))
    return float(attention.mean()), float(limits.lower[-1]), float(limits.upper[-1]), expected


_FIRST_SIGHT = {
    "memory": {"known": "repeat(0, K + 1)"},
    "attend": "1 if known[z] == 0 else 0",
    "guess": "max(known[z], 1)",
    "update": {"known": "put(known, z, value) if value > 0 else known"},
}


def _attained() -> list[dict[str, Any]]:
    law = {"length": 4, "probabilities": ["1/4", "1/2", "1/4"]}
    stream = {"kind": "counterexample", "patterns": 2, "values": 2, "queries": law}
    share = "(1 - (1 - 1/2*1/2)**4) + (1 - (1 - 1/2*1/4)**4)"
    return [
        {
            **stream,
            **_FIRST_SIGHT,
            "title": "first sight attains (b)",
            "facts": ["error == 0", "attention == distinct"],
        },
        {
            **stream,
            **_FIRST_SIGHT,
            "title": "consolidation with probability 1/2 per attended exposure",
            "die": 2,
            "update": {"known": "put(known, z, value) if value > 0 and die == 0 else known"},
            "facts": ["error == 0", f"attention == 2*({share})", "attention <= 2*K"],
        },
        {
            "kind": "counterexample",
            "title": "(c) is attained: counts 6, 1, 4, budget 3; pattern 2 never, pattern 3 in half of the runs",
            "patterns": 3,
            "values": 2,
            "queries": [1, 1, 1, 2, 3, 3, 1, 3, 3, 1, 1],
            "coin": 2,
            **_FIRST_SIGHT,
            "attend": "1 if known[z] == 0 and z != 2 and (z != 3 or coin == 0) else 0",
            "facts": ["error == 3 * (1 - 1/V)", "attention == distinct - 3/2"],
        },
    ]


def _controls() -> list[dict[str, Any]]:
    stream = {"kind": "counterexample", "patterns": 2, "values": 2, "queries": [1, 2, 1, 1, 2, 2]}
    return [
        {
            **stream,
            "title": "control: values known beforehand (leaked, or one table for all streams) break (a) and (b)",
            "memory": {"known": "table"},
            "attend": "0",
            "guess": "known[z]",
            "facts": ["attention + V/(V - 1) * unrevealed_error < distinct", "error == 0"],
        },
        {
            **stream,
            **_FIRST_SIGHT,
            "title": "control: labels break (c), not (b)",
            "feedback": True,
            "attend": "0",
            "facts": ["error == 1/6 * queries", "attention < distinct - 2/3", "V/(V - 1) * error >= distinct"],
        },
    ]


def _distinct_formula(stream: Stream) -> str:
    """E[D_n] in the language of certificates."""
    f = written(Fraction(stream.retrieval))
    return " + ".join(f"(1 - (1 - {f}*{written(Fraction(p))})**{stream.length})" for p in stream.probabilities)


def _spared(counts: Sequence[int], budget: Real) -> list[Real]:
    """Share of each pattern that stays unattended.

    Patterns that never occur are not counted.
    """
    share: list[Real] = [Fraction(0)] * len(counts)
    for k in sorted(range(len(counts)), key=lambda k: counts[k]):
        if counts[k]:
            share[k] = Fraction(1) if counts[k] <= budget else Fraction(budget) / counts[k]
            budget = budget - share[k] * counts[k]
    return share


def _sum(terms: Iterable[Real]) -> Real:
    total: Real = Fraction(0)
    for term in terms:
        total = total + term
    return total

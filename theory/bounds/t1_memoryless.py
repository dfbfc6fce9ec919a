"""T1: without memory, attention and errors trade one for one; the paper's constant 1 − ε becomes 1 − εV/(V−1).

**Statement.** If at every query the value asked for is uniform on V given all that the router knows (class MEMORYLESS),
then for every router, static or not,

    E[Att] = E[N] − V/(V−1)·E[Err],

N the number of queries, Att the attended ones, Err the wrong outputs. With E[Err] ≤ δfn on a stream of n steps with
query rate f: E[Att] ≥ fn(1 − δV/(V−1)), attained for every δ in [0, 1 − 1/V] by attending with probability
1 − δV/(V−1) and guessing otherwise.

**Extensions.** (1) One fixed table: over its draw, the errors of b_1, ..., b_K unattended queries satisfy
P(Err ≤ (1−1/V)Σb_k − τ) ≤ exp(−2τ²/Σb_k²): the slack is governed by the number of patterns, not of queries.
(2) Regression: if the prediction off attention is independent of a value of variance σ², α ≥ 1 − MSE/σ².
(3) With side information of best-guess chance at most Ḡ, replace 1 − 1/V by 1 − Ḡ.

**Assumptions.** Fresh values, uniform given the router's information: no memory of shown values, no labels, no leak, no
table that stays the same while the router is trained.

**Reference.** Corrects Theorem 1 (Eq. 9) of CRAM, arXiv 2602.12204; the case G = 1/V of T0 (Chow 1970). The tail is
Hoeffding, J. Amer. Statist. Assoc. 58 (1963) 13-30.

**Check.** The minimax program over all routers against all V^K tables with its dual solution, in exact fractions; the
attaining router evaluated exactly; one broken assumption at a time breaks the bound.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.errors import InputError
from theory.bounds.confidence_sequences import mean_sequence
from theory.bounds.linear_programs import Program
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict
from theory.tasks.retrieval import Booleans, Integers, Real, Stream, play, uniform, zipf

if TYPE_CHECKING:
    import pandas as pd


def least_attention(delta: Real, values: int) -> Real:
    """Least share of attended queries at error rate δ.

    Per query: max(0, 1 − δV/(V−1)).

    Parameters
    ----------
    delta : number
        Errors per query.
    values : int
        V ≥ 2.

    Returns
    -------
    number
        Exact for exact input.

    Raises
    ------
    InputError
        If ``delta`` is negative or there are fewer than two values.

    Examples
    --------
    >>> least_attention(Fraction(3, 10), 2)
    Fraction(2, 5)
    """
    if values < 2:
        raise InputError(f"{values} values are no choice", hint="use 2 or more")
    return with_side_information(delta, Fraction(1, values))


def with_side_information(delta: Real, best_guess: Real) -> Real:
    """Least share of attended queries with side information.

    The best guess off attention is right with probability at most ``best_guess``.

    Examples
    --------
    >>> with_side_information(Fraction(1, 10), Fraction(3, 4))
    Fraction(3, 5)
    """
    if delta < 0 or not 0 <= best_guess <= 1:
        raise InputError(f"error rate {delta} and chance of a guess {best_guess}", hint="both are probabilities")
    if delta >= 1 - best_guess:
        return Fraction(0)
    return 1 - delta / (1 - best_guess)


def regression(mse: Real, variance: Real) -> Real:
    """Least share of attended queries at a squared error.

    ``mse`` is the mean over all queries: max(0, 1 − MSE/σ²).

    Examples
    --------
    >>> regression(Fraction(1, 4), 1)
    Fraction(3, 4)
    """
    if mse < 0 or variance <= 0:
        raise InputError(f"mean squared error {mse} and variance {variance}", hint="give MSE ≥ 0 and variance > 0")
    return max(1 - mse / variance, 0)


def fixed_table_tail(unattended: Sequence[int], tau: float) -> float:
    """Bound on the chance of few errors on one table.

    P(Err ≤ (1−1/V)Σb_k − τ), over the draw of one fixed table.

    Parameters
    ----------
    unattended : sequence of int
        b_k, the unattended queries of each pattern.
    tau : float
        At least 0.

    Examples
    --------
    >>> round(fixed_table_tail([10] * 100, 100.0), 3)
    0.135
    """
    return math.exp(-2 * tau**2 / sum(b * b for b in unattended))


def fixed_table_law(unattended: Sequence[int], values: int) -> dict[int, Fraction]:
    """Exact law of the number of errors with fixed guesses.

    Each pattern always gets the same guess.

    Returns
    -------
    dict
        Number of errors -> probability over the draw of the table.

    Examples
    --------
    >>> {errors: str(p) for errors, p in fixed_table_law([2, 1], 2).items()}
    {0: '1/4', 1: '1/4', 2: '1/4', 3: '1/4'}
    """
    law = {0: Fraction(1)}
    for b in unattended:
        following: dict[int, Fraction] = {}
        for errors, p in law.items():
            for add, q in ((0, Fraction(1, values)), (b, 1 - Fraction(1, values))):
                following[errors + add] = following.get(errors + add, Fraction(0)) + p * q
        law = following
    return dict(sorted(law.items()))


def game(probabilities: Sequence[Fraction], values: int, delta: Fraction) -> Program:
    """The minimax program over all tables of values.

    Least attention such that the error is at most δ on *every* table of values.

    Variables of pattern k: attend, then the outputs 1..V. Rows: one per pattern (probabilities sum to 1), then one per
    table in the order of ``itertools.product``.
    """
    out = Program()
    guesses = []
    for p in probabilities:
        attend = out.variable(p)
        guesses.append([out.variable(0) for _ in range(values)])
        out.constrain(dict.fromkeys((attend, *guesses[-1]), 1), "==", 1)
    for table in itertools.product(range(values), repeat=len(guesses)):
        wrong = {
            j: p
            for p, outputs, value in zip(probabilities, guesses, table, strict=True)
            for y, j in enumerate(outputs)
            if y != value
        }
        out.constrain(wrong, "<=", delta)
    return out


def game_certificate(probabilities: Sequence[Fraction], values: int, delta: Fraction) -> dict[str, Any]:
    """The attaining router and the dual solution.

    Equal weight on all tables, price V/(V−1) of an error.
    """
    size = len(probabilities)
    attend = Fraction(least_attention(delta, values))
    primal = [attend, *[(1 - attend) / values] * values] * size
    price = Fraction(values, values - 1) if delta < 1 - Fraction(1, values) else Fraction(0)
    rows = [p * bool(price) for p in probabilities]
    dual = [*rows, *[-price / values**size] * values**size]
    title = f"against every table, K = {size}, V = {values}, δ = {delta}"
    value = f"max(0, 1 - {written(delta)}*{values}/({values} - 1))"
    return game(probabilities, values, delta).certificate(primal, dual, title, value)


class Memoryless:
    """A static router without memory.

    It attends with one probability and guesses uniformly otherwise.

    Parameters
    ----------
    attend : float
        Probability of attending at a query.
    """

    def __init__(self, attend: float) -> None:
        self.attend = attend

    def begin(self, stream: Stream, size: int, rng: np.random.Generator) -> None:
        """Keep the law and the source of randomness."""
        self._values, self._rng = stream.values, rng

    def decide(self, t: int, z: Integers) -> tuple[Booleans, Integers]:
        """Throw a coin."""
        return self._rng.random(z.size) < self.attend, self._rng.integers(1, self._values + 1, z.size)

    def observe(self, t: int, z: Integers, attended: Booleans, value: Integers) -> None:
        """Forget it."""


def curves() -> pd.DataFrame:
    """Least attention against the error rate without memory.

    The bound, the game against every table, and a router that attains it.

    Returns
    -------
    pandas.DataFrame
        One row per curve and point: ``curve`` (label), ``x`` (error rate δ per query),
        ``kind`` (``"bound"``, ``"exact"`` or ``"achieved"``), ``value`` (share of attended queries), ``low``, ``high``
        (limits of a simulated value; NaN elsewhere).
    """
    import pandas as pd

    rows: list[tuple[str, float, str, float, float, float]] = []
    for values, size in ((2, 4), (4, 3), (16, 0)):
        label, worst = f"V = {values}", 1 - 1 / values
        for k in range(41):
            delta = Fraction(k, 40)
            rows.append((label, float(delta), "bound", float(least_attention(delta, values)), math.nan, math.nan))
            if size and k % 5 == 0:
                optimum = game(uniform(size), values, delta).optimum().value
                rows.append((label, float(delta), "exact", optimum, math.nan, math.nan))
        stream = Stream.independent(uniform(50), values=values, length=40)
        for attend in (0.1, 0.5, 0.9):
            run = play(stream, Memoryless(attend), 1, 500)
            limits = mean_sequence(run.attended.mean(axis=1))
            share, low, high = float(run.attended.mean()), float(limits.lower[-1]), float(limits.upper[-1])
            rows.append((label, worst * (1 - attend), "achieved", share, low, high))
    return pd.DataFrame(rows, columns=["curve", "x", "kind", "value", "low", "high"])


def check() -> Verdict:
    """Verdict on T1.

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
    for probabilities, values, delta in (
        (uniform(4), 3, Fraction(1, 3)),
        (tuple(Fraction(p) for p in zipf(5, 1)), 3, Fraction(1, 5)),
    ):
        name = f"least attention, K = {len(probabilities)}, V = {values}, δ = {delta}"
        computed[name] = game(probabilities, values, delta).optimum().value
        claimed[name] = least_attention(delta, values)
        documents.append(game_certificate(probabilities, values, delta))
    name, limits = "A + V/(V−1)·err per query, K = 1000, V = 16", _simulated()
    computed[name], claimed[name] = limits[0], 1
    return Verdict(
        claim="T1",
        source="corrects CRAM Theorem 1 (arXiv 2602.12204, Eq. 9); the case G = 1/V of Chow 1970",
        status="proved",
        statement="In the class MEMORYLESS every router has E[Att] = E[N] − (V/(V−1))·E[Err]; at error rate δ per "
        "query it attends to a share of at least 1 − δV/(V−1), and this is attained for δ ≤ 1 − 1/V.",
        certificate=bundle(*documents, _tail(), _attained(), *_controls()),
        assumptions=("at every query the value is uniform on V given all that the router knows",),
        computed=computed,
        claimed=claimed,
        remarks=(
            f"simulated charge per query: a 99 % confidence sequence over {_STREAMS} streams ends at "
            f"[{limits[1]:.4f}, {limits[2]:.4f}]",
            "the certificate holds one control per assumption: labels, memory or known values each break the bound",
        ),
    )


_STREAMS = 2000


def _simulated() -> tuple[float, float, float]:
    stream = Stream.independent(zipf(1000, 1), values=16, length=100, retrieval=Fraction(1, 2))
    charge = play(stream, Memoryless(0.7), 1, _STREAMS).charge(stream.values)
    limits = mean_sequence(charge, low=0, high=16 / 15, level=0.99)
    return float(charge.mean()), float(limits.lower[-1]), float(limits.upper[-1])


def _tail() -> dict[str, Any]:
    """The exact law of errors against Hoeffding's bound.

    On a fixed table, at each of its values.
    """
    unattended, values = [5, 3, 3, 2, 1, 1], 3
    mean = Fraction(values - 1, values) * sum(unattended)
    squares = sum(b * b for b in unattended)
    total, facts = Fraction(0), []
    for errors, p in fixed_table_law(unattended, values).items():
        total += p
        if errors < mean:
            facts.append(f"{written(total)} <= exp(-2*({written(mean - errors)})**2/{squares})")
    title = f"errors on one fixed table, b = {unattended}, V = {values}"
    return {"kind": "interval", "title": title, "facts": facts}


_MEMORY = {"memory": {"known": "repeat(0, K + 1)"}, "update": {"known": "put(known, z, value) if value > 0 else known"}}


def _attained() -> dict[str, Any]:
    return {
        "kind": "counterexample",
        "title": "the bound is attained",
        "patterns": 2,
        "values": 3,
        "queries": {"length": 3, "probabilities": ["1/4", "1/2", "1/4"]},
        "attend": "1 - 1/5 * 3/2",
        "guess": "repeat(1/3, 3)",
        "facts": ["error == 1/5 * queries", "attention == (1 - 1/5 * V/(V - 1)) * queries"],
    }


def _controls() -> list[dict[str, Any]]:
    """Controls, each without one of the assumptions.

    The stated bound then fails at zero error or at the error reached.
    """
    stream = {"kind": "counterexample", "patterns": 2, "values": 2, "queries": [1, 2, 1, 2, 1, 2]}
    broken = ["attention < queries - V/(V - 1) * error"]
    look_up = {"attend": "0", "guess": "max(known[z], 1)"}
    return [
        {**stream, **look_up, "title": "control: labels", **_MEMORY, "feedback": True, "facts": broken},
        {
            **stream,
            "title": "control: memory of shown values",
            **_MEMORY,
            "attend": "1 if known[z] == 0 else 0",
            "guess": "known[z]",
            "facts": [*broken, "error == 0", "attention == K"],
        },
        {
            **stream,
            **look_up,
            "title": "control: the values are known beforehand (leaked, or fixed during training)",
            "memory": {"known": "table"},
            "facts": [*broken, "attention == 0", "error == 0"],
        },
    ]

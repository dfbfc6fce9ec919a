"""T10: other losses, soft attention, and what memory saves where values are not equally likely.

**Statement.** Values are independent, each of a known law P; a loss d(v, y) ≥ 0 is 0 for the right answer.

(a) *Losses.* With D* = min_y E d(v, y) > 0 in place of 1 − 1/V, T1 and T3 hold: without memory an expected loss of δ
per query needs α ≥ 1 − δ/D*, and every learner has E[Att] + E[Loss]/D* ≥ E[D_n]. A coin and the best constant answer
attain the first, attending at first sight the second.

(b) *Soft attention.* A reader has y = w·v + τ·noise, v and the noise normal, v of variance σ² whatever the reader
knows, and 0 ≤ w ≤ 1 chosen without v. Rescaling y as it likes it has the squared error σ²/(1 + w²·snr), snr = σ²/τ².
So a mean squared error of Dσ², snr ≥ 1 and D ≥ 1/(1 + snr), needs

    E[w] ≥ 2(1−D)/√snr   if D ≥ 1/2,   E[w] ≥ √((1/D − 1)/snr)   if D ≤ 1/2,

attained by w = 1/√snr or 0, or by one w. With little noise soft attention costs nothing: count executed rows, never
soft mass. Without noise and without rescaling, y = w·v + (1−w)·u, w and u chosen without v: E[w] ≥ 1 − √D.

(c) *Memory.* For a memory of S bits as in T2, a_k = P(attend | z = k) and D_k = E[d·(not attended) | z = k]:

    Σ_k R⁺(D_k, a_k) ≤ S,   R⁺(D, a) = min I(v; v̂),

over all v̂ that are answers or "attend", with P(attend) ≤ a and E[d(v, v̂)·(v̂ an answer)] ≤ D. If a group of symmetries
that keeps P and d takes each value to each other, R⁺ = (1−a)·R(D/(1−a)), R the rate-distortion function (uniform
values and errors: T2). In general this form is false: three bits with P(1) = 1/4 and one bit of memory that says
whether all are 0 need attention 37/64 without errors, where it would ask for 1 − 1/(3h(1/4)) > 37/64. A router chooses
which values it attends to, and those that it serves have another law.

**Assumptions.** (a) the law of the values is all that is known of those not shown; (b) w does not depend on v, nor does
u; (c) those of T2, for values of any law.

**Reference.** Rate-distortion theory: Cover & Thomas, Elements of Information Theory (2006), ch. 10; the dual:
Gallager, Information Theory and Reliable Communication (1968), ch. 9. The proofs are in docs/theory.md.

**Check.** Linear programs; tangents as identities; R⁺ between a channel and a dual solution in interval arithmetic; the
counterexample exactly; all codes of small tables; a weight that looks at the value breaks (b).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from cogfit.errors import InputError
from theory.bounds.linear_programs import Program
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Number, Verdict
from theory.tasks.retrieval import Real

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Loss = Sequence[Sequence[Real]]
"""By value and answer, d(v, y)."""


# ------------------------------------------------------------------------------------------------- (a) losses


def errors(values: int) -> tuple[tuple[int, ...], ...]:
    """The loss that counts wrong answers.

    Examples
    --------
    >>> errors(2)
    ((0, 1), (1, 0))
    """
    return tuple(tuple(int(v != y) for y in range(values)) for v in range(values))


def best_constant(law: Sequence[Real], loss: Loss) -> tuple[int, Real]:
    """Best answer where only the law is known.

    Parameters
    ----------
    law : sequence of number, length V
        Probabilities of the values.
    loss : sequence of sequences, shape (V, answers)

    Returns
    -------
    answer : int
        Counted from 0.
    expected_loss : number
        D*.

    Examples
    --------
    >>> best_constant([Fraction(1, 4), Fraction(3, 4)], errors(2))
    (1, Fraction(1, 4))
    """
    _check_law(law, loss)
    expected: list[Real] = [sum(p * row[y] for p, row in zip(law, loss, strict=True)) for y in range(len(loss[0]))]
    best = min(range(len(expected)), key=expected.__getitem__)
    return best, expected[best]


def least_attention(delta: Real, law: Sequence[Real], loss: Loss) -> Real:
    """Least share of attended queries without memory.

    At an expected loss of δ per query: max(0, 1 − δ/D*).

    Examples
    --------
    >>> least_attention(Fraction(1, 8), [Fraction(1, 4), Fraction(3, 4)], errors(2))
    Fraction(1, 2)
    """
    _, worst = best_constant(law, loss)
    if delta < 0:
        raise InputError(f"an expected loss of {delta}", hint="it is not negative")
    return 1 - delta / worst if worst and delta < worst else Fraction(0)


def program(law: Sequence[Fraction], loss: Loss, delta: Fraction) -> dict[str, Any]:
    """(a) as a linear program, solved and certified exactly.

    Variables: attend, then each answer. The loss may be δ on average.

    Returns
    -------
    Mapping
        Document of the kind ``lp-dual``.
    """
    answer, worst = best_constant(law, loss)
    out = Program()
    attend = out.variable(1)
    answers = [out.variable(0) for _ in loss[0]]
    out.constrain(dict.fromkeys([attend, *answers], 1), "==", 1)
    expected = [sum(Fraction(p * row[y]) for p, row in zip(law, loss, strict=True)) for y in range(len(answers))]
    out.constrain(dict(zip(answers, expected, strict=True)), "<=", delta)
    share = Fraction(least_attention(delta, law, loss))
    primal = [share, *[(1 - share) * (y == answer) for y in range(len(answers))]]
    price = 1 / Fraction(worst) if share else Fraction(0)
    title = f"loss {[list(map(str, row)) for row in loss]}, δ = {delta}"
    value = f"max(0, 1 - {written(delta)}/({written(Fraction(worst))}))"
    return out.certificate(primal, [Fraction(bool(price)), -price], title, value)


# ------------------------------------------------------------------------------------------------- (b) soft attention


def least_soft_attention(mse: float, snr: float) -> float:
    """Least mean weight E[w] of a reader that may rescale.

    Parameters
    ----------
    mse : float
        D, mean squared error as a share of the variance.
    snr : float
        Variance of the value over that of the noise.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If no weight up to 1 reaches so small an error.

    Examples
    --------
    >>> [round(least_soft_attention(0.5, snr), 3) for snr in (10, 100, 1e4)]
    [0.316, 0.1, 0.01]
    """
    if not (mse >= 0.0 and snr > 0.0):
        raise InputError(f"mean squared error {mse} at a signal-to-noise ratio of {snr}", hint="use D ≥ 0, snr > 0")
    if mse >= 1.0:
        return 0.0
    if mse * (1.0 + snr) < 1.0:
        raise InputError(f"a squared error of {mse}", hint=f"attention of 1 leaves {1.0 / (1.0 + snr):.3g}")
    tangent = min(1.0, 1.0 / math.sqrt(snr))  # where the chord from (0, 1) touches the curve 1/(1 + w²·snr)
    touched = 1.0 / (1.0 + tangent**2 * snr)
    if mse >= touched:
        return tangent * (1.0 - mse) / (1.0 - touched)
    return math.sqrt((1.0 / mse - 1.0) / snr)


def least_mixing(mse: float) -> float:
    """Least mean weight without noise or rescaling.

    1 − √D, for y = w·v + (1−w)·u.

    Examples
    --------
    >>> least_mixing(0.25)
    0.5
    """
    if mse < 0.0:
        raise InputError(f"a squared error of {mse}", hint="it is not negative")
    return max(1.0 - math.sqrt(mse), 0.0)


# ------------------------------------------------------------------------------------------------- (c) memory


def rate(law: Sequence[Real], loss: Loss, distortion: float, attend: float) -> float:
    """Bits R⁺(D, a) that memory needs for one pattern.

    The value of a dual solution: never above R⁺, and equal to it up to rounding.

    Parameters
    ----------
    law : sequence of number, length V
    loss : sequence of sequences, shape (V, answers)
    distortion : float
        D.
    attend : float
        a.

    Returns
    -------
    float

    Examples
    --------
    >>> round(rate([0.5, 0.5], errors(2), 0.0, 0.25), 6)  # (1 − a)·1 bit
    0.75
    >>> round(rate([0.25, 0.75], errors(2), 0.0, 37 / 64), 4)
    0.2408
    """
    _check_law(law, loss)
    if distortion < 0.0 or not 0.0 <= attend <= 1.0:
        raise InputError(f"D = {distortion}, a = {attend}", hint="D ≥ 0 and 0 ≤ a ≤ 1")
    return _dual(law, loss, distortion, attend).bits


_LARGEST = 50.0  # of the multipliers: e^−50 stands for "never"


class _Solution(NamedTuple):
    """Dual solution: bits, multipliers of D and of a, and the λ_v."""

    bits: float
    s: float
    u: float
    weights: Array


def _dual(law: Sequence[Real], loss: Loss, distortion: float, attend: float) -> _Solution:
    """Maximise Σ P(v) ln λ_v − sD − ua over the feasible λ, s, u: a concave program in ln λ."""
    p, d = np.array([float(x) for x in law]), np.array([[float(x) for x in row] for row in loss])
    size = p.size

    def columns(x: Array) -> Array:
        """P(v)λ_v·e^{−s·d(v,y)} by value and answer; the last column is attending."""
        spent = np.column_stack([x[size] * d, np.full(size, x[-1])])
        return np.asarray(np.exp(x[:size, None] - spent) * p[:, None])

    def slopes(x: Array) -> Array:
        parts = columns(x)
        by_s = np.append((parts[:, :-1] * d).sum(axis=0), 0.0)
        by_u = np.append(np.zeros(d.shape[1]), parts[:, -1].sum())
        return np.column_stack([-parts.T, by_s, by_u])

    gradient = np.append(-p, [distortion, attend])
    found = optimize.minimize(
        lambda x: float(gradient @ x),
        np.append(np.zeros(size), [1.0, 1.0]),
        jac=lambda x: gradient,
        bounds=[(None, None)] * size + [(0.0, _LARGEST)] * 2,
        constraints={"type": "ineq", "fun": lambda x: 1.0 - columns(x).sum(axis=0), "jac": slopes},
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 500},
    ).x
    # whatever the solver returns, scaled weights are feasible, and their value is never above R⁺
    found[:size] -= math.log(float(columns(found).sum(axis=0).max()))
    bits = -float(gradient @ found) / math.log(2.0)
    if not bits > 0.0:
        return _Solution(0.0, 0.0, 0.0, np.ones(size))
    return _Solution(bits, float(found[size]), float(found[-1]), np.exp(found[:size]))


def perspective(law: Sequence[Real], loss: Loss, distortion: float, attend: float) -> float:
    """The form (1−a)·R(D/(1−a)), which is false in general.

    Examples
    --------
    >>> round(3 * perspective([0.25, 0.75], errors(2), 0.0, 37 / 64), 4)  # above the one bit that is enough
    1.0268
    """
    if attend >= 1.0:
        return 0.0
    return (1.0 - attend) * rate(law, loss, distortion / (1.0 - attend), 0.0)


def best_pair(law: Sequence[Fraction], patterns: int) -> Fraction:
    """Least attention without errors, over all codes of one bit.

    Every pair of decoders that answer or attend, each table of values sent to the one that attends less.

    Parameters
    ----------
    law : sequence of Fraction, length V
    patterns : int
        K.

    Returns
    -------
    Fraction
        Per query, patterns equally frequent.

    Examples
    --------
    >>> str(best_pair([Fraction(3, 4), Fraction(1, 4)], 3))
    '37/64'
    """
    values = range(len(law))
    tables = list(itertools.product(values, repeat=patterns))
    decoders = list(itertools.product((-1, *values), repeat=patterns))
    scale = math.lcm(*(p.denominator for p in law))
    weight = np.array([math.prod(int(law[v] * scale) for v in table) for table in tables])
    if len(decoders) ** 2 * len(tables) > 20_000_000:
        raise InputError("too many codes to try", hint="use fewer patterns or values")
    never = patterns + 1  # a decoder that errs on the table: worse than any that attends
    cost = np.array(
        [
            [
                never if any(y not in (-1, v) for y, v in zip(decoder, table, strict=True)) else decoder.count(-1)
                for table in tables
            ]
            for decoder in decoders
        ]
    )
    right = cost[(cost < never).any(axis=1)]
    pairs = np.minimum(right[:, None], right[None]).reshape(-1, len(tables))
    totals = pairs[(pairs < never).all(axis=1)] @ weight
    return Fraction(int(totals.min()), patterns * scale**patterns)


def curves() -> pd.DataFrame:
    """Bits per pattern against attention, without errors.

    Returns
    -------
    pandas.DataFrame
        One row per curve and point: ``curve`` (label), ``x`` (attention), ``kind`` (``"bound"``: R⁺, or the perspective
        form; ``"achieved"``: one bit that says whether K values are all the likelier one), ``value``, ``low``,
        ``high`` (NaN).
    """
    import pandas as pd

    rows: list[tuple[str, float, str, float]] = []
    law = [0.75, 0.25]
    for a in np.linspace(0.0, 1.0, 21).tolist():
        rows.append(("P(1) = 1/4", a, "bound", rate(law, errors(2), 0.0, a)))
        rows.append(("P(1) = 1/4, perspective form (false)", a, "bound", (1.0 - a) * _ENTROPY))
        rows.append(("P(1) = 1/2", a, "bound", rate([0.5, 0.5], errors(2), 0.0, a)))
    for k in range(1, 9):
        rows.append(("P(1) = 1/4", 1.0 - 0.75**k, "achieved", 1.0 / k))
    rows += [("P(1) = 1/2", 1.0 - m / 4, "achieved", m / 4) for m in range(5)]
    return pd.DataFrame(rows, columns=["curve", "x", "kind", "value"]).assign(low=math.nan, high=math.nan)


_ENTROPY = 2.0 - 0.75 * math.log2(3.0)  # h(1/4)


# -------------------------------------------------------------------------------------------------------- certificate


def rate_certificate(law: Sequence[Fraction], loss: Loss, distortion: Fraction, attend: Fraction) -> dict[str, Any]:
    """Certificate that R⁺(D, a) is at least what was computed.

    Up to 10⁻⁴ bits: a dual solution in exact numbers, of the kind ``interval``.

    For λ_v > 0 with Σ P(v)λ_v·e^{−s·d(v,y)} ≤ 1 for all y and Σ P(v)λ_v·e^{−u} ≤ 1, R⁺ ≥ Σ P(v) ln λ_v − sD − ua.
    """
    value, s, u, multipliers = _dual(law, loss, float(distortion), float(attend))
    exact = [Fraction(math.floor(x * (1 - 1e-6) * 10**8), 10**8) for x in multipliers]
    names = [f"l{v}" for v in range(len(law))]
    total = [f"{written(p)}*{name}" for p, name in zip(law, names, strict=True)]
    facts = [
        " + ".join(
            f"{part}*exp(-s*{written(Fraction(row[y]))})" for part, row in zip(total, loss, strict=True)
        ) + " <= 1"
        for y in range(len(loss[0]))
    ]  # fmt: skip
    bits = " + ".join(f"{written(p)}*log2({name})" for p, name in zip(law, names, strict=True))
    least = Fraction(math.floor((value - 1e-5) * 10**4), 10**4)
    return {
        "kind": "interval",
        "title": f"R⁺({distortion}, {attend}) from below, P = ({', '.join(map(str, law))})",
        "definitions": {
            "s": written(Fraction(round(s * 10**6), 10**6)),
            "u": written(Fraction(round(u * 10**6), 10**6)),
            **{name: written(x) for name, x in zip(names, exact, strict=True)},
        },
        "facts": [
            *facts,
            f"({' + '.join(total)})*exp(-u) <= 1",
            f"{bits} - (s*{written(distortion)} + u*{written(attend)})/log(2) >= {written(least)}",
        ],
    }


def check() -> Verdict:
    """Verdict on T10.

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
    law = (Fraction(3, 4), Fraction(1, 4))
    documents = [program(*case) for case in _CASES]
    for (values, loss, delta), document in zip(_CASES, documents, strict=True):
        name = f"least attention, V = {len(values)}, D* = {best_constant(values, loss)[1]}, δ = {delta}"
        computed[name] = Fraction(sum(c * x for c, x in _weighted(document)))
        claimed[name] = Fraction(least_attention(delta, values, loss))
    played, expected = _simulated()
    name = "attention + loss/D*, K = 6, n = 30, cyclic distance on 5 values (simulated)"
    computed[name], claimed[name] = played, expected
    for snr, power in ((10.0, "10"), (1e4, "10⁴")):
        computed[f"least mean weight at half the variance, snr = {power}"] = least_soft_attention(0.5, snr)
    computed["least attention without errors, P(1) = 1/4, K = 3, one bit: all pairs of codewords"] = best_pair(law, 3)
    computed["the same asked for by the perspective form (false)"] = 1.0 - 1.0 / (3.0 * _ENTROPY)
    name = "bits 3·R⁺ of that code (at most one)"
    computed[name] = 3.0 * rate(law, errors(2), 0.0, 37 / 64)
    return Verdict(
        claim="T10",
        source="rate-distortion theory (Cover & Thomas 2006, ch. 10) with an output that attends; docs/theory.md",
        status="proved",
        statement="T1 and T3 hold for values of any law and any loss with D* = min_y E d(v, y) in place of 1 − 1/V. "
        "Soft attention with a reader that may rescale needs a mean weight of the order snr^−1/2 only. A memory of S "
        "bits satisfies Σ_k R⁺(D_k, a_k) ≤ S, where R⁺ = (1−a)R(D/(1−a)) under symmetry; in general that form is "
        "false.",
        certificate=bundle(*documents, *_SOFT, *_code(), *(rate_certificate(*case) for case in _RATES)),
        assumptions=(
            "the law of a value is all that is known of it before it is shown",
            "weights of soft attention are chosen without the value",
            "memory: queries i.i.d. and independent of the memory and the past, as in T2",
        ),
        computed=computed,
        claimed=claimed,
        remarks=(
            "soft mass is no cost where a later layer may rescale: count executed rows",
            "the certificate holds a control: a weight that looks at the value has no error at a mean weight of 1/2",
        ),
    )


_CYCLE = tuple(tuple(min(abs(v - y), 5 - abs(v - y)) for y in range(5)) for v in range(5))
_CASES: tuple[tuple[tuple[Fraction, ...], Loss, Fraction], ...] = (
    ((Fraction(3, 4), Fraction(1, 4)), errors(2), Fraction(1, 10)),
    ((Fraction(1, 5),) * 5, _CYCLE, Fraction(2, 5)),
    ((Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)), ((0, 4, 1), (1, 0, 1), (9, 1, 0)), Fraction(1, 2)),
)
_RATES: tuple[tuple[tuple[Fraction, ...], Loss, Fraction, Fraction], ...] = (
    ((Fraction(3, 4), Fraction(1, 4)), errors(2), Fraction(1, 20), Fraction(1, 4)),
    ((Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)), errors(3), Fraction(1, 10), Fraction(1, 5)),
)

_SOFT: tuple[dict[str, Any], ...] = (
    {
        "kind": "identity",
        "title": "without rescaling: (1−w)² is above its tangent at m = E[w]",
        "left": "(1 - w)**2 - ((1 - m)**2 - 2*(1 - m)*(w - m))",
        "right": "(w - m)**2",
    },
    {
        "kind": "identity",
        "title": "with x = w√snr: 1/(1+x²) is above the chord 1 − x/2 from x = 0 to x = 1",
        "left": "1/(1 + x**2) - (1 - x/2)",
        "right": "x*(1 - x)**2/(2*(1 + x**2))",
    },
    {
        "kind": "identity",
        "title": "and above its tangent at b ≥ 1, for all x ≥ 0",
        "left": "1/(1 + x**2) - (1/(1 + b**2) - 2*b*(x - b)/(1 + b**2)**2)",
        "right": "(x - b)**2*(2*b*x + b**2 - 1)/((1 + x**2)*(1 + b**2)**2)",
    },
    {
        "kind": "chain",
        "title": "control: v = ±1, u = 1, w = 1 where v = −1: no error at E[w] = 1/2, where 1 − √D is 1",
        "start": {"v": "0"},
        "outcomes": [{"probability": "1/2", "drawn": "1"}, {"probability": "1/2", "drawn": "-1"}],
        "update": {"v": "drawn"},
        "steps": 1,
        "expect": {"weight": "1 if v == -1 else 0", "mse": "0 if v == -1 else (v - 1)**2", "variance": "v**2"},
        "facts": ["weight == 1/2", "mse == 0", "variance == 1", "weight < 1 - mse/variance"],
    },
)


def _code() -> list[dict[str, Any]]:
    """One bit about three values: the counterexample, and what the right form says of it."""
    return [
        {
            "kind": "chain",
            "title": "one bit that says whether three values with P(1) = 1/4 are all 0; then serve, else attend",
            "start": {"ones": "0"},
            "outcomes": [{"probability": "1/4", "value": "1"}, {"probability": "3/4", "value": "0"}],
            "update": {"ones": "ones + value"},
            "steps": 3,
            "expect": {"attention": "0 if ones == 0 else 1", "error": "ones if ones == 0 else 0"},
            "facts": ["attention == 37/64", "error == 0", "3**5 < 2**8"],
        },
        {
            "kind": "interval",
            "title": "the perspective form asks for more than the one bit; the right form does not",
            "definitions": {
                "h": "2 - 3/4*log2(3)",
                "g": "-(16*log2(16/37) + 21*log2(21/37))/37",
            },
            "facts": ["3*(1 - 37/64)*h > 1", "37/64 < 1 - 1/(3*h)", "3*(h - 37/64*g) <= 1"],
        },
    ]


def _weighted(document: dict[str, Any]) -> list[tuple[Fraction, Fraction]]:
    pairs = zip(document["objective"], document["primal"], strict=True)
    return [(Fraction(c), Fraction(x)) for c, x in pairs]


def _simulated(streams: int = 4000, rng: int = 10) -> tuple[float, float]:
    """Attention + loss/D* of a learner that throws a coin at unrevealed values, and the exact mean.

    It attends with probability 1/2 and answers with the best constant otherwise.
    """
    generator, patterns, steps = np.random.default_rng(rng), 6, 30
    loss, law = np.array(_CYCLE, float), [Fraction(1, 5)] * 5
    answer, worst = best_constant(law, _CYCLE)
    values = generator.integers(0, 5, (streams, patterns))
    known, rows, total = np.zeros((streams, patterns), bool), np.arange(streams), np.zeros(streams)
    for _ in range(steps):
        z, attend = generator.integers(0, patterns, streams), generator.random(streams) < 0.5
        new = ~known[rows, z]
        total += new * np.where(attend, 1.0, loss[values[rows, z], answer] / float(worst))
        known[rows, z] |= attend
    # a pattern costs 1 per query until it is attended to: (1 − (1 − p/2)^n)/(1/2) of them
    return float(total.mean()), patterns * 2.0 * (1.0 - (1.0 - 0.5 / patterns) ** steps)


def _check_law(law: Sequence[Real], loss: Loss) -> None:
    if not law or any(p < 0 for p in law) or abs(float(sum(law)) - 1.0) > 1e-9:
        raise InputError("the probabilities of the values are no distribution", hint="make them sum to 1")
    if len(loss) != len(law) or len({len(row) for row in loss}) != 1 or any(x < 0 for row in loss for x in row):
        raise InputError("the loss is no table of values by answers", hint="one row for each value, no entry below 0")

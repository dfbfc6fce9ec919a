"""T12: what a state holds, asked of copies of it: no independent queries, no means over tables.

**Statement.** A router's state M, of S bits at most, is frozen at a time chosen without looking at the values. Each of
K patterns is asked once, each of a copy of that state. Let x_k ∈ [0, 1] be fixed beforehand, R_k and U_k say whether k
was served right or wrong without attention. Over the draw of one uniform table, for every b > 0,

    P( Σ_k [R_k·log₂(V(1−x_k)) + U_k·log₂(V·x_k/(V−1))] ≥ S + log₂(1/b) ) ≤ b.

Without errors (x = 0, where any wrong answer ends it): P(all served are right and at least (S + log₂(1/b))/log₂V are
served) ≤ b. Over fresh tables the products of 2^(evidence − S) are a supermartingale, so that the probability that they
ever reach 1/b is at most b, whenever one stops; x may be a mixture, or learnt on earlier tables.

The queries before the freeze may be anything, so that an S-bit verdict is possible for every stream, where the state
can be copied. From an ordinary log, one query per state, it is not: there T2 with its independent queries is what there
is. It is attained: with S/log₂V values stored and j more guessed, P = V^−j = b.

**Assumptions.** Fresh, uniform, independent values for each table; S counts the whole state; the time of the freeze and
the patterns asked do not depend on the values.

**Reference.** T2 as a tail: Markov's and Ville's inequalities. The proof is in docs/theory.md.

**Check.** The mean of a factor as an identity; all codes of one bit for two values, exactly; honest and dishonest
states that are played. A bit more, values without repetition, or patterns chosen after a look break it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cogfit.errors import InputError
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Number, Verdict

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

SHARES = (0.0, 0.01, 0.05, 0.15, 0.35)
"""Shares x of wrong answers that bet; besides them those that each pattern had on earlier tables."""


def evidence(right: ArrayLike, wrong: ArrayLike, values: int, x: ArrayLike = 0.0) -> Array:
    """Bits that answers of copies are evidence of.

    A right one counts log₂(V(1−x)), a wrong one log₂(V·x/(V−1)), a pattern attended to nothing.

    Parameters
    ----------
    right, wrong : array_like of bool
        Whether a pattern was served right, wrong.
    values : int
        V.
    x : array_like
        Share of wrong answers that is bet on, 0 to 1.

    Returns
    -------
    ndarray
        −inf for a wrong answer at x = 0.

    Examples
    --------
    >>> evidence([True, False, False], [False, True, False], 4)
    array([  2., -inf,   0.])
    """
    share = np.asarray(x, dtype=float)
    if values < 2 or not np.all((share >= 0.0) & (share <= 1.0)):
        raise InputError(f"V = {values}, x = {x!r}", hint="use V ≥ 2 and 0 ≤ x ≤ 1")
    served, missed = _answers(right, wrong)
    with np.errstate(divide="ignore"):
        bits = np.log2(values * (1.0 - share)), np.log2(values * share / (values - 1))
    return np.where(served, bits[0], np.where(missed, bits[1], 0.0))


def _answers(right: ArrayLike, wrong: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    served, missed = np.asarray(right), np.asarray(wrong)
    if served.shape != missed.shape or any(not np.isin(part, (0, 1)).all() for part in (served, missed)):
        raise InputError("right and wrong answers are no two tables of one shape", hint="say 1 or 0 of each pattern")
    if np.any(served.astype(bool) & missed.astype(bool)):
        raise InputError("an answer is both right and wrong")
    return served.astype(bool), missed.astype(bool)


def _earlier_shares(served: NDArray[np.bool_], missed: NDArray[np.bool_], values: int) -> Array:
    """Share of wrong answers of each pattern on earlier tables; a guess, which bets nothing, where there are none."""
    before = [np.cumsum(part, axis=0) - part for part in (served, missed)]
    return np.asarray((before[1] + 0.5 * (1.0 - 1.0 / values)) / (before[0] + before[1] + 0.5))


@dataclass(frozen=True)
class Judgement:
    """What copies of a state say about a claim of S bits.

    Attributes
    ----------
    bits : float
        S that is claimed.
    p_value : float
        Valid whenever the tables end.
    least_bits : float
        Lower limit of the bits that the state has, at the level asked for.
    level : float
    tables : int
    """

    bits: float
    p_value: float
    least_bits: float
    level: float
    tables: int

    @property
    def is_impossible(self) -> bool:
        """Whether S bits are rejected at the level."""
        return self.p_value <= 1.0 - self.level

    def __str__(self) -> str:
        tables = f"{self.tables} table{'s' * (self.tables != 1)}"
        least = f"the state holds {self.least_bits:.4g} bits or more"
        if not self.bits:
            return f"{least} ({tables}, level {self.level:g})"
        what = "impossible" if self.is_impossible else "not ruled out"
        return f"{self.bits:g} bits: {what} (p = {self.p_value:.3g}, {tables}); {least}"


def judge(right: ArrayLike, wrong: ArrayLike, *, values: int, bits: float, level: float = 0.95) -> Judgement:
    """Judge a claim of S bits by copies.

    The claim is that each frozen state has at most S bits. One row of answers per fresh table.

    Parameters
    ----------
    right, wrong : array_like of bool, shape (tables, K)
        Whether each pattern was served right, wrong, without attention, by a copy of the state; in the order of the
        tables. One attended to is neither.
    values : int
        V.
    bits : float
        S.
    level : float, default 0.95

    Returns
    -------
    Judgement

    Examples
    --------
    >>> right, wrong = play_states(8, 0, patterns=10, values=16, tables=3)
    >>> print(judge(right, wrong, values=16, bits=24))
    24 bits: impossible (p = 1.7e-07, 3 tables); the state holds 30.05 bits or more
    >>> judge(right, wrong, values=16, bits=32).is_impossible
    False
    """
    if not bits >= 0.0 or not 0.0 < level < 1.0:
        raise InputError(f"{bits} bits at the level {level}", hint="use S ≥ 0 and a level between 0 and 1")
    served, missed = _answers(right, wrong)
    if served.ndim != 2 or served.size == 0:
        raise InputError(f"answers of shape {served.shape}", hint="one row for each table, one column for each pattern")
    # a mixture over x of products over tables: a supermartingale, whichever x is true
    shares: list[ArrayLike] = [*SHARES, _earlier_shares(served, missed, values)]
    sums = np.stack([np.cumsum(evidence(served, missed, values, x).sum(axis=1)) for x in shares])
    total = np.logaddexp2.reduce(sums, axis=0) - math.log2(len(shares))
    tables = np.arange(1, len(served) + 1)
    excess = float((total - tables * bits).max())
    least = float(((total + math.log2(1.0 - level)) / tables).max())
    return Judgement(bits, 2.0 ** min(-excess, 0.0), max(least, 0.0), level, len(served))


def all_codes(patterns: int, values: int, size: int, x: Fraction) -> tuple[Fraction, list[list[Fraction]]]:
    """Largest mean of 2^evidence over all codes of a size.

    Parameters
    ----------
    patterns, values : int
        K and V.
    size : int
        Number of contents of the state, 2^S.
    x : Fraction

    Returns
    -------
    most : Fraction
        At most ``size``, by the theorem.
    factors : list of list of Fraction
        2^evidence of each decoder (rows) for each table.

    Examples
    --------
    >>> [str(all_codes(2, 2, 2, x)[0]) for x in (Fraction(0), Fraction(1, 10), Fraction(1, 4))]
    ['2', '9/5', '3/2']
    """
    if (values + 1) ** (patterns * size) > 300_000:
        raise InputError("too many codes to try", hint="use fewer patterns, values or contents")
    tables = list(itertools.product(range(values), repeat=patterns))
    good, bad = values * (1 - x), values * x / (values - 1)

    def factor(decoder: tuple[int, ...], table: tuple[int, ...]) -> Fraction:
        answered = [(y, v) for y, v in zip(decoder, table, strict=True) if y >= 0]
        return math.prod((good if y == v else bad for y, v in answered), start=Fraction(1))

    factors = [[factor(d, table) for table in tables] for d in itertools.product(range(-1, values), repeat=patterns)]
    codes = itertools.combinations_with_replacement(factors, size)
    return max(sum(map(max, zip(*code, strict=True)), Fraction(0)) for code in codes) / len(tables), factors


# ------------------------------------------------------------------------------------------------ states to be played


def play_states(
    stored: int, guessed: int, *, patterns: int, values: int, tables: int, flips: float = 0.0, rng: int = 0
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Answers of copies of a state that stores some values.

    The state holds the values of the first patterns, after any stream: stored·log₂V bits. It guesses some others and
    attends to the rest.

    Parameters
    ----------
    stored, guessed : int
    patterns, values, tables : int
    flips : float
        Chance that a stored value is lost and answered at random.
    rng : int

    Returns
    -------
    right, wrong : ndarray of bool, shape (tables, patterns)

    Examples
    --------
    >>> right, wrong = play_states(3, 2, patterns=8, values=4, tables=100)
    >>> bool(right[:, :3].all()), bool(np.all((right | wrong).sum(axis=1) == 5))
    (True, True)
    """
    if not 0 <= stored + guessed <= patterns:
        raise InputError(f"{stored} values stored and {guessed} guessed of {patterns}")
    generator = np.random.default_rng(rng)
    table = generator.integers(0, values, (tables, patterns))
    answers = np.where(np.arange(patterns) < stored, table, generator.integers(0, values, table.shape))
    answers = np.where(generator.random(table.shape) < flips, generator.integers(0, values, table.shape), answers)
    served = np.arange(patterns) < stored + guessed
    is_right = answers == table
    return is_right & served, ~is_right & served


def rejections(
    stored: int, bits: float, *, tables: int = 20, logs: int = 150, flips: float = 0.0, level: float = 0.95
) -> float:
    """Share of played logs in which S bits are rejected.

    States of 12 patterns and 4 values that store some and guess three more.

    Examples
    --------
    >>> rejections(4, 8.0) <= 0.05, rejections(5, 8.0, logs=20) > 0.9
    (True, True)
    """
    right, wrong = play_states(stored, 3, patterns=12, values=4, tables=tables * logs, flips=flips, rng=12)
    judged = (
        judge(r, w, values=4, bits=bits, level=level)
        for r, w in zip(np.split(right, logs), np.split(wrong, logs), strict=True)
    )
    return sum(judgement.is_impossible for judgement in judged) / logs


def curves() -> pd.DataFrame:
    """Bits that copies show against the number of tables.

    Returns
    -------
    pandas.DataFrame
        One row per curve and point: ``curve`` (label), ``x`` (tables), ``kind`` (``"bound"``: bits of the state;
        ``"achieved"``: lower limit shown, median of 40 logs), ``value``, ``low``, ``high`` (a tenth and nine tenths of
        the logs; NaN elsewhere).
    """
    import pandas as pd

    rows: list[tuple[str, float, str, float, float, float]] = []
    for stored, flips in ((12, 0.0), (12, 0.1), (4, 0.0)):
        label = f"{stored} of 16 values stored" + (f", {flips:.0%} lost" if flips else "")
        for tables in (1, 2, 5, 10, 20):
            rows.append((label, tables, "bound", stored * 4.0, math.nan, math.nan))
            size = 40 * tables
            right, wrong = play_states(stored, 1, patterns=16, values=16, tables=size, flips=flips, rng=12)
            shown = [
                judge(r, w, values=16, bits=0.0).least_bits
                for r, w in zip(np.split(right, 40), np.split(wrong, 40), strict=True)
            ]
            low, middle, high = (float(q) for q in np.quantile(shown, (0.1, 0.5, 0.9)))
            rows.append((label, tables, "achieved", middle, low, high))
    return pd.DataFrame(rows, columns=["curve", "x", "kind", "value", "low", "high"])


# -------------------------------------------------------------------------------------------------------- certificate


def check() -> Verdict:
    """Verdict on T12.

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
    for x, most in ((Fraction(0), Fraction(2)), (Fraction(1, 10), Fraction(9, 5)), (Fraction(1, 4), Fraction(3, 2))):
        name = f"largest mean of 2^evidence, K = V = 2, one bit, x = {x}, all codes"
        computed[name], claimed[name] = all_codes(2, 2, 2, x)[0], most
        documents.append(_codes(x, most))
    name = "chance that 3 guesses beside 2 stored values are right, V = 4"
    computed[name], claimed[name] = Fraction(1, 4**3), Fraction(2 ** (2 * 2), 4**5)
    honest, lossy = rejections(4, 8.0), rejections(4, 8.0, flips=0.1)
    computed["8 bits, 4 of 12 values stored (V = 4): rejected at level 95 % (simulated)"] = honest
    computed["the same, a tenth of them lost"] = lossy
    computed["8 bits claimed, 5 values stored: rejected"] = rejections(5, 8.0)
    return Verdict(
        claim="T12",
        source="the tail of T2 (Markov, Ville) for copies of one state; proofs: docs/theory.md",
        status="proved",
        statement="Freeze a state of S bits at a time chosen without the values and ask patterns of copies of it: with "
        "x_k fixed beforehand, the chance over one uniform table that Σ_k [R_k log₂(V(1−x_k)) + U_k log₂(Vx_k/(V−1))] "
        "reaches S + log₂(1/b) is at most b, whatever the stream before; over fresh tables it is a supermartingale.",
        certificate=bundle(*_STEPS, *documents, *_controls()),
        assumptions=(
            "fresh, uniform, independent values for each table",
            "S counts the whole state",
            "the time of the freeze and the patterns asked do not depend on the values",
        ),
        computed=computed,
        claimed=claimed,
        remarks=(
            "from an ordinary log, one query per state, this test is not available: there T2 needs i.i.d. queries",
            "the certificate holds three controls: one bit more, distinct values, patterns chosen after a look",
        ),
    )


_STEPS: tuple[dict[str, Any], ...] = (
    {
        "kind": "identity",
        "title": "a factor has the mean 1 over a uniform value, whatever the answer",
        "left": "(V*(1 - x) + (V - 1)*(V*x/(V - 1)))/V",
        "right": "1",
    },
    {
        "kind": "chain",
        "title": "attained: 2 values stored, 3 more guessed, V = 4, S = 4: P = V^−3 = b",
        "start": {"right": "2", "wrong": "0"},
        "outcomes": [{"probability": "1/4", "hit": "1"}, {"probability": "3/4", "hit": "0"}],
        "update": {"right": "right + hit", "wrong": "wrong + 1 - hit"},
        "steps": 3,
        "expect": {"reached": "1 if wrong == 0 and right >= 5 else 0", "mean": "4**right if wrong == 0 else 0"},
        "facts": ["reached == 4**(-3)", "4**5 == 2**4/reached", "mean == 2**4"],
    },
)


def _codes(x: Fraction, most: Fraction) -> dict[str, Any]:
    """The largest mean over all pairs of decoders, K = V = 2."""
    _, factors = all_codes(2, 2, 2, x)
    pairs = itertools.combinations_with_replacement(range(len(factors)), 2)
    definitions = {f"w{i}": f"({', '.join(map(written, row))})" for i, row in enumerate(factors)}
    means = {f"e{i}x{j}": " + ".join(f"max(w{i}[{t}], w{j}[{t}])" for t in range(len(factors[0]))) for i, j in pairs}
    return {
        "kind": "arithmetic",
        "title": f"mean of 2^evidence over all codes of one bit, K = V = 2, x = {x}",
        "definitions": {**definitions, **{name: f"({text})/{len(factors[0])}" for name, text in means.items()}},
        "facts": [f"max({', '.join(means)}) == {written(most)}", f"{written(most)} <= 2"],
    }


def _controls() -> list[dict[str, Any]]:
    """Controls, each without one of the assumptions."""
    toss = [{"probability": "1/2", "hit": "1"}, {"probability": "1/2", "hit": "0"}]
    return [
        {
            "kind": "counterexample",
            "title": "control: two bits that are called one: both of two values are right, always, not with chance 1/2",
            "patterns": 2,
            "values": 2,
            "queries": {"length": 1, "probabilities": ["0", "1/2", "1/2"]},
            "memory": {"known": "table"},
            "attend": "0",
            "guess": "known[z]",
            "facts": ["contents > 2", "contents == 4", "error == 0", "attention == 0"],
        },
        {
            "kind": "chain",
            "title": "control: two values that are never the same, no bits: both guesses are right half of the time",
            "start": {"right": "0"},
            "outcomes": toss,
            "update": {"right": "2*hit"},
            "steps": 1,
            "expect": {"both": "1 if right == 2 else 0"},
            "facts": ["both == 1/2", "both > 2**(-2)"],
        },
        {
            "kind": "chain",
            "title": "control: of four guesses those are counted that are right",
            "start": {"right": "0"},
            "outcomes": toss,
            "update": {"right": "right + hit"},
            "steps": 4,
            "expect": {"reached": "1 if right >= 1 else 0"},
            "facts": ["reached == 15/16", "reached > 2**(-1)"],
        },
    ]

"""T10: losses, soft attention and unequal values against enumeration, channels and codes."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import theory
from cogfit.errors import InputError
from theory.bounds import t1_memoryless, t2_memory_bits
from theory.bounds import t10_soft_attention as t10
from theory.bounds.t3_compulsory import expected_distinct
from theory.tasks.retrieval import random_policy, uniform

QUARTER = (Fraction(3, 4), Fraction(1, 4))


@st.composite
def laws(draw: st.DrawFn) -> tuple[list[Fraction], list[list[int]]]:
    """A law of two to four values, and a loss."""
    size = draw(st.integers(2, 4))
    weights = draw(st.lists(st.integers(1, 9), min_size=size, max_size=size))
    loss = [[0 if v == y else draw(st.integers(1, 9)) for y in range(size)] for v in range(size)]
    return [Fraction(w, sum(weights)) for w in weights], loss


@given(laws(), st.fractions(0, 1, max_denominator=12))
@settings(max_examples=30)
def test_the_linear_program_is_the_formula(case: tuple[list[Fraction], list[list[int]]], share: Fraction) -> None:
    law, loss = case
    delta = share * Fraction(t10.best_constant(law, loss)[1])
    document = t10.program(law, loss, delta)
    assert theory.verify(document).ok
    assert t10.least_attention(delta, law, loss) == 1 - share
    assert not theory.verify({**document, "value": str(Fraction(9, 8) - share)}).ok


def test_for_equal_values_and_errors_it_is_t1() -> None:
    for values in (2, 3, 7):
        assert t10.least_attention(
            Fraction(1, 5), uniform(values), t10.errors(values)
        ) == t1_memoryless.least_attention(Fraction(1, 5), values)


@pytest.mark.parametrize("seed", range(6))
def test_no_learner_is_below_the_number_of_patterns_seen(seed: int) -> None:
    """Any function of the history; two patterns, three unequal values, three queries, all tables."""
    law, loss = [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)], ((0, 4, 1), (1, 0, 1), (9, 1, 0))
    worst = Fraction(t10.best_constant(law, loss)[1])
    policy, total = random_policy(seed, 3), Fraction(0)
    for table in itertools.product(range(3), repeat=2):
        waiting = [((), math.prod((law[v] for v in table), start=Fraction(1)))]
        while waiting:
            history, mass = waiting.pop()
            for z in (1, 2) if len(history) < 3 else ():
                attend, guess = policy(history, z)
                a, value, part = Fraction(attend), table[z - 1], mass / 2
                total += part * (a + (1 - a) * Fraction(loss[value][guess - 1]) / worst)
                waiting += [((*history, (z, True, value + 1)), part * a)] * (a > 0)
                waiting += [((*history, (z, False, 0)), part * (1 - a))] * (a < 1)
    assert total >= expected_distinct(uniform(2), 3)


@given(st.floats(0.01, 0.99), st.floats(0.05, 1e4))
@settings(max_examples=30)
def test_soft_attention_is_the_lower_hull(mse: float, snr: float) -> None:
    """The least mean of a weight on a fine grid, over all mixtures of two weights."""
    w = np.linspace(0.0, 1.0, 601)
    error = 1 / (1 + w**2 * snr)
    if error[-1] > mse * 0.99:
        return
    low, high = error <= mse, error > mse
    share = (error[high][:, None] - mse) / (error[high][:, None] - error[low])
    best = float(((1 - share) * w[high][:, None] + share * w[low]).min(initial=math.inf))
    assert t10.least_soft_attention(mse, snr) <= best * (1 + 1e-9)
    assert t10.least_soft_attention(mse, snr) == pytest.approx(best, rel=0.02, abs=2e-3)


def test_a_reader_that_rescales_reaches_it() -> None:
    rng = np.random.default_rng(0)
    v, noise = rng.normal(size=200_000), rng.normal(size=200_000)
    for mse, snr in ((0.5, 100.0), (0.2, 100.0), (0.8, 10.0)):
        least = t10.least_soft_attention(mse, snr)
        w = np.where(rng.random(v.size) < 2 * (1 - mse), 1 / math.sqrt(snr), 0.0) if mse > 0.5 else least
        y = w * v + noise / math.sqrt(snr)
        guess = y * w * snr / (1 + w**2 * snr)
        assert float(np.mean((v - guess) ** 2)) == pytest.approx(mse, abs=0.01)
        assert float(np.mean(w)) == pytest.approx(least, abs=0.003)


@given(st.integers(2, 6), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
@settings(max_examples=25)
def test_for_equal_values_it_is_the_formula_of_t2(values: int, attend: float, share: float) -> None:
    error = share * (1 - attend)
    wanted = float(t2_memory_bits.information(attend, error, values))
    law = [1 / values] * values
    found = t10.rate(law, t10.errors(values), error, attend)
    assert found == pytest.approx(wanted, abs=2e-5)
    assert found <= wanted + 1e-9


def test_without_errors_two_unequal_values_in_closed_form() -> None:
    """Up to a = 1/2 both values are attended to equally often; then the rarer one always is."""
    entropy = 2 - 0.75 * math.log2(3)
    for a in (0.0, 0.2, 0.5):
        assert t10.rate(QUARTER, t10.errors(2), 0.0, a) == pytest.approx(entropy - a, abs=1e-6)
    for a in (0.6, 37 / 64, 0.9):
        x = 0.25 / a
        left = entropy + a * (x * math.log2(x) + (1 - x) * math.log2(1 - x))
        assert t10.rate(QUARTER, t10.errors(2), 0.0, a) == pytest.approx(left, abs=1e-6)


@given(laws(), st.integers(0, 2**32 - 1), st.floats(0.05, 3.0))
@settings(max_examples=25)
def test_no_channel_needs_fewer_bits(case: tuple[list[Fraction], list[list[int]]], seed: int, spread: float) -> None:
    law, loss = case
    p, d = np.array(law, float), np.array(loss, float)
    rng = np.random.default_rng(seed)
    channel = rng.dirichlet([spread] * (p.size + 1), p.size)  # last column: attend
    output = p @ channel
    bits = float((p[:, None] * channel * np.log2(np.maximum(channel, 1e-300) / output)).sum())
    distortion, attend = float((p[:, None] * channel[:, :-1] * d).sum()), float(output[-1])
    assert t10.rate(law, loss, distortion, attend) <= bits + 1e-9
    # convex, and it falls in both
    assert t10.rate(law, loss, 1.1 * distortion, attend) <= t10.rate(law, loss, distortion, attend) + 1e-6


def test_codes_of_one_bit_keep_within_it_and_some_break_the_perspective_form() -> None:
    tables, size = list(itertools.product(range(2), repeat=3)), 3
    weight = [math.prod((QUARTER[v] for v in table), start=Fraction(1)) for table in tables]
    decoders, rng = list(itertools.product((-1, 0, 1), repeat=size)), np.random.default_rng(0)
    broken = 0
    pairs = [((0, 0, 0), (-1, -1, -1)), *(tuple(rng.permutation(len(decoders))[:2]) for _ in range(20))]
    for pair in pairs:
        chosen = [decoders[i] if isinstance(i, np.integer) else i for i in pair]
        attend, lost = [0.0] * size, [0.0] * size
        for table, p in zip(tables, weight, strict=True):
            cost = [sum(1.0 if y < 0 else 4.0 * (y != v) for y, v in zip(code, table, strict=True)) for code in chosen]
            for k, (y, v) in enumerate(zip(chosen[int(np.argmin(cost))], table, strict=True)):
                attend[k] += float(p) * (y < 0)
                lost[k] += float(p) * (y >= 0 and y != v)
        bits = sum(t10.rate(QUARTER, t10.errors(2), e, a) for e, a in zip(lost, attend, strict=True))
        assert bits <= 1 + 1e-9
        broken += sum(t10.perspective(QUARTER, t10.errors(2), e, a) for e, a in zip(lost, attend, strict=True)) > 1.001
    assert broken >= 1
    assert t10.best_pair(QUARTER, 3) == Fraction(37, 64)
    assert t10.best_pair(uniform(2), 3) >= 1 - Fraction(1, 3)  # equal values: T2


def test_a_weight_that_looks_at_the_value_breaks_the_bound_on_mixing() -> None:
    rng = np.random.default_rng(1)
    v = rng.choice([-1.0, 1.0], 10_000)
    w = (v < 0).astype(float)
    assert np.all(w * v + (1 - w) == v)
    assert w.mean() < 0.52 < t10.least_mixing(0.0)
    blind = rng.random(v.size)  # chosen without the value it holds
    y = blind * v + (1 - blind) * 0.0
    assert blind.mean() >= t10.least_mixing(float(np.mean((v - y) ** 2))) - 0.02


def test_false_versions_of_the_certificate_fail() -> None:
    document = t10.rate_certificate(QUARTER, t10.errors(2), Fraction(1, 20), Fraction(1, 4))
    assert theory.verify(document).ok
    more = document["definitions"] | {"l0": str(Fraction(document["definitions"]["l0"]) * Fraction(11, 10))}
    assert not theory.verify({**document, "definitions": more}).ok
    assert not theory.verify({**document, "facts": [document["facts"][-1].replace("1481/5000", "1483/5000")]}).ok
    code, asks = t10._code()
    assert not theory.verify({**code, "facts": ["attention == 36/64"]}).ok
    assert not theory.verify({**asks, "facts": ["3*(1 - 37/64)*h <= 1"]}).ok
    for identity in t10._SOFT[:3]:
        assert not theory.verify({**identity, "right": f"2*({identity['right']})"}).ok


@pytest.mark.parametrize(
    "call",
    [
        lambda: t10.best_constant([0.5, 0.6], t10.errors(2)),
        lambda: t10.best_constant([0.5, 0.5], [[0, 1]]),
        lambda: t10.least_attention(-1, [0.5, 0.5], t10.errors(2)),
        lambda: t10.least_soft_attention(0.01, 10.0),
        lambda: t10.least_soft_attention(0.5, 0.0),
        lambda: t10.least_mixing(-0.1),
        lambda: t10.rate([0.5, 0.5], t10.errors(2), -0.1, 0.5),
        lambda: t10.best_pair(uniform(4), 6),
    ],
)
def test_bad_input_is_named(call: object) -> None:
    with pytest.raises(InputError):
        call()  # type: ignore[operator]


def test_the_verdict_and_the_table_for_the_figure() -> None:
    verdict = theory.check_theorem("T10")
    assert verdict.status == "proved"
    assert verdict.verify().ok
    table = t10.curves()
    codes = table[(table["kind"] == "achieved") & (table["curve"] == "P(1) = 1/4")]
    for row in codes.itertuples():
        assert row.value >= t10.rate(QUARTER, t10.errors(2), 0.0, row.x) - 1e-6
    below = codes[codes["value"] < (1 - codes["x"]) * (2 - 0.75 * math.log2(3)) - 1e-9]
    assert below["value"].tolist() == [1 / 3, 1 / 4]  # three and four values

"""Policies against bounds, on records made by hand: rates, Student's limits and decisions."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from theory.bounds.t2_memory_bits import least_attention_with_errors
from theory.policies.classify import Memory, Traits
from theory.policies.limits import LEVEL, Comparison, carried_bits, compare, least_error, mean_of, traffic
from theory.policies.policy import Played
from theory.policies.streams import Array, Streams

VALUES = 4
LAW = (0.4, 0.3, 0.2, 0.1)
TABLE = 8.0
"""Bits of a table of four keys and four values."""


def streams_of(shape: tuple[int, int], law: tuple[float, ...] | None = None) -> Streams:
    zeros = np.zeros(shape, int)
    return Streams(zeros, zeros, zeros, zeros, np.zeros((*shape, 2)), VALUES, law)


def played_of(read: Any, wrong: Any, query: Any = None, **change: Any) -> Played:
    read, wrong = np.array(read, bool), np.array(wrong, bool)
    query = np.ones(read.shape, bool) if query is None else np.array(query, bool)
    fields: dict[str, Any] = {
        "query": query, "tokens": read.astype(float), "rows": read.astype(float), "read": read, "wrong": wrong,
        "unrevealed": np.ones(read.shape, bool), "answers": np.ones(read.shape, int),
        "distinct": np.zeros(len(read), int), "kept": 0, "held": np.zeros(read.shape), "memory_bits": 0.0,
        "score_bits": 0.0, "compared": 0.0,
    }  # fmt: skip
    return Played(**(fields | change))


def traits_of(memory: Memory, by_values: bool = False) -> Traits:
    return Traits(False, False, False, by_values, False, False, "always", memory, True, False, False)


def of_theorem(name: str, played: Played, memory: Memory, law: tuple[float, ...] | None = None) -> list[Comparison]:
    found = compare(played, streams_of(played.query.shape, law), traits_of(memory))
    return [item for item in found if item.theorem == name]


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("size", [2, 3, 20])
def test_mean_over_streams_has_the_interval_of_statsmodels(size: int, level: float) -> None:
    x = np.random.default_rng(size).normal(3, 2, size)
    found = mean_of(x) if level == 0.95 else mean_of(x, level)
    assert found.value == pytest.approx(x.mean())
    assert (found.low, found.high) == pytest.approx(DescrStatsW(x).tconfint_mean(1 - level))


def test_one_stream_says_nothing_about_the_mean() -> None:
    assert mean_of(np.array([0.25])) == (0.25, -math.inf, math.inf)


@pytest.mark.parametrize("error", [0.05, 0.2, 0.5])
@pytest.mark.parametrize(("patterns", "values"), [(4, 4), (10, 2), (6, 16)])
def test_least_error_is_the_distortion_at_that_rate(patterns: int, values: int, error: float) -> None:
    """Shannon's rate of a uniform source: log₂V − h(ε) − ε log₂(V−1) bits a letter."""
    if error >= 1 - 1 / values:
        bits, error = 0.0, 1 - 1 / values
    else:
        entropy = -error * math.log2(error) - (1 - error) * math.log2(1 - error)
        bits = patterns * (math.log2(values) - entropy - error * math.log2(values - 1))
    found = least_error((1 / patterns,) * patterns, bits, values)
    assert found == pytest.approx(error, abs=2e-3)
    assert found <= error + 1e-9  # a lower bound


@pytest.mark.parametrize("bits", [0.0, 1.0, 5.5])
def test_least_error_is_the_first_that_needs_no_attention(bits: float) -> None:
    found = least_error(LAW, bits, VALUES)
    assert least_attention_with_errors(LAW, bits, 1 / VALUES, found + 2e-6) <= 1e-9
    assert least_attention_with_errors(LAW, bits, 1 / VALUES, found - 2e-6) > 1e-9


def test_who_holds_the_table_needs_no_errors() -> None:
    assert least_error(LAW, TABLE, VALUES) == 0.0
    assert least_error(LAW, 100.0, VALUES) == 0.0
    assert least_error(LAW, TABLE - 0.5, VALUES) > 0.005


def test_a_token_in_the_cache_counts_with_its_value_and_its_choice() -> None:
    played = played_of(np.zeros((2, 32)), np.zeros((2, 32)), kept=6, memory_bits=10.0)
    assert carried_bits(played, 16, by_values=False) == 10 + 6 * 4
    assert carried_bits(played, 16, by_values=True) == 10 + 6 * (4 + 5)


def test_bytes_by_hand() -> None:
    """Two heads with keys of 3 and values of 5 numbers, of 2 bytes each."""
    read = np.array([[True, False, True, True]])
    played = played_of(read, ~read, memory_bits=64.0, score_bits=32.0, compared=0.5)  # tokens: 3/4 per token and head
    found = traffic(played, heads=2, key_width=3, value_width=5)
    assert found.kv == 2 * 0.75 * (3 + 5) * 2
    assert found.state == 8
    assert found.scores == 4 + 2 * 0.5 * 3 * 2
    assert found.total == found.kv + found.state + found.scores


def test_charges_of_t1_and_t3_by_hand() -> None:
    """V = 4, so an error without reading costs 4/3; errors at read queries cost nothing."""
    query = [[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    read = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    wrong = [[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    unrevealed = np.array([[1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]], bool)
    played = played_of(read, wrong, query, unrevealed=unrevealed, distinct=np.array([2, 1, 0]))
    (t1,) = of_theorem("T1", played, "none")
    charges = np.array([1 / 3 + 4 / 3 / 3 - 1, 1 / 2 + 4 / 3 / 2 - 1])  # of the streams with queries
    assert t1.excess == pytest.approx(charges.mean())
    assert (t1.low, t1.high) == pytest.approx(DescrStatsW(charges).tconfint_mean(0.05))
    (t3,) = of_theorem("T3", played, "none")
    charges = np.array([(1 + 0 - 2) / 3, (1 + 4 / 3 - 1) / 2, 0.0])
    assert t3.excess == pytest.approx(charges.mean())
    assert (t3.low, t3.high) == pytest.approx(DescrStatsW(charges).tconfint_mean(0.05))
    assert [item.theorem for item in compare(played, streams_of((3, 4)), traits_of("attention"))] == ["T3"]
    for memory in ("selection", "tokens"):
        assert compare(played, streams_of((3, 4)), traits_of(memory)) == ()


def test_a_policy_is_beaten_where_students_test_rejects_at_the_level() -> None:
    """One-sided, over streams; the errors range from too few to be honest to as many as by guessing."""
    decisions = set()
    rng = np.random.default_rng(0)
    for streams, rate in itertools.product((3, 8, 40), np.linspace(0.3, 0.75, 46)):
        wrong = rng.random((streams, 60)) < rate
        (t1,) = of_theorem("T1", played_of(np.zeros_like(wrong), wrong), "none")
        charge = 4 / 3 * wrong.mean(1) - 1
        if charge.std() < 1e-9:  # Student's test needs some spread
            continue
        p = stats.ttest_1samp(charge, 0, alternative="less").pvalue
        assert t1.beaten == (p < LEVEL)
        decisions.add((streams, t1.beaten))
    assert {(8, False), (8, True), (40, False), (40, True)} <= decisions


def test_a_policy_on_its_bound_is_not_beaten() -> None:
    wrong = np.tile([True, True, True, False], (5, 3))
    (t1,) = of_theorem("T1", played_of(np.zeros_like(wrong), wrong), "none")
    assert t1.excess == pytest.approx(0, abs=1e-12)
    assert not t1.beaten
    (below,) = of_theorem("T1", played_of(np.zeros_like(wrong), np.zeros_like(wrong)), "none")
    assert (below.excess, below.beaten) == (-1.0, True)


def test_reads_with_a_state_are_held_against_the_bound_at_their_errors() -> None:
    """Nine of forty queries are wrong in every stream, so the resampled bound is always the same."""
    rng = np.random.default_rng(1)
    wrong = np.tile(np.arange(40) < 9, (30, 1))
    read = (rng.random((30, 40)) < 0.3) & ~wrong
    also_wrong = wrong | (read & (rng.random((30, 40)) < 0.5))  # errors at read queries are charged to nobody
    played = played_of(read, also_wrong, memory_bits=2.0, kept=100)
    (t2,) = of_theorem("T2", played, "attention", LAW)
    share = read.mean(1)
    assert t2.what == "read, with 2 bits of state"
    assert t2.excess == pytest.approx(share.mean() - least_attention_with_errors(LAW, 2.0, 1 / VALUES, 0.225), rel=1e-9)
    half = stats.t.ppf(0.975, 29) * share.std() / math.sqrt(30)
    assert (t2.high - t2.low) / 2 == pytest.approx(half, rel=0.15)
    assert (t2.high + t2.low) / 2 == pytest.approx(t2.excess)


def test_reads_that_save_errors_vary_less_than_either() -> None:
    """The spread is that of read − bound(wrong), by the delta method; streams that read more are wrong less often."""
    rng = np.random.default_rng(4)
    rate = rng.uniform(0.1, 0.4, (40, 1))
    read = np.arange(40) / 40 < rate
    wrong = ~read & (np.arange(40) / 40 < 0.5)
    (t2,) = of_theorem("T2", played_of(read, wrong, memory_bits=2.0, kept=100), "tokens", LAW)
    error = wrong.mean()
    ends = [least_attention_with_errors(LAW, 2.0, 1 / VALUES, error + step) for step in (-0.02, 0.02)]
    linear = read.mean(1) - wrong.mean(1) * (ends[1] - ends[0]) / 0.04
    half = stats.t.ppf(0.975, 39) * linear.std() / math.sqrt(40)
    assert half < stats.t.ppf(0.975, 39) * read.mean(1).std() / math.sqrt(40)
    assert (t2.high - t2.low) / 2 == pytest.approx(half, rel=0.25)


def test_errors_with_state_and_cache_are_held_against_their_least() -> None:
    wrong = np.random.default_rng(2).random((12, 20)) < 0.4
    read = np.random.default_rng(3).random((12, 20)) < 0.5
    played = played_of(read, wrong, memory_bits=1.0, kept=2)
    (t2,) = of_theorem("T2", played, "none", LAW)
    assert t2.what == "wrong, with 5 bits of state and cache"
    excess: Array = wrong.mean(1) - least_error(LAW, 5.0, VALUES)  # read or not
    assert t2.excess == pytest.approx(excess.mean())
    assert (t2.low, t2.high) == pytest.approx(DescrStatsW(excess).tconfint_mean(0.05))


@pytest.mark.parametrize(
    ("memory", "memory_bits", "kept", "by_values", "parts"),
    [
        ("attention", 0.0, 0, False, ["read", "wrong"]),
        ("tokens", 0.0, 0, False, ["read", "wrong"]),
        ("none", 0.0, 0, False, ["wrong"]),
        ("selection", 0.0, 0, False, ["wrong"]),
        ("tokens", 7.9, 0, False, ["read", "wrong"]),
        ("tokens", 8.0, 0, False, []),  # the whole table
        ("tokens", 0.0, 3, False, ["read", "wrong"]),
        ("tokens", 0.0, 4, False, ["read"]),
        ("tokens", 0.0, 1, True, ["read", "wrong"]),
        ("tokens", 0.0, 2, True, ["read"]),  # two of 2 + 4 bits
    ],
)
def test_bits_are_compared_where_they_do_not_hold_the_table(
    memory: Memory, memory_bits: float, kept: int, by_values: bool, parts: list[str]
) -> None:
    played = played_of(np.zeros((3, 16)), np.ones((3, 16)), memory_bits=memory_bits, kept=kept)
    found = compare(played, streams_of((3, 16), LAW), traits_of(memory, by_values))
    assert [item.what.split(",")[0] for item in found if item.theorem == "T2"] == parts
    assert not any(item.theorem == "T2" for item in compare(played, streams_of((3, 16)), traits_of(memory)))

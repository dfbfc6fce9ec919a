"""T11: searches and heads against enumeration, linear programs and readers that are played."""

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
from theory.bounds import t1_memoryless
from theory.bounds import t11_partial_reads as t11

RATES = st.fractions(0, 1, max_denominator=12)


@given(st.integers(1, 7), st.integers(2, 6), RATES)
@settings(max_examples=30)
def test_no_mixture_of_searches_reads_less(rows: int, values: int, delta: Fraction) -> None:
    least = t11.least_rows(delta, values, rows)
    assert t11.searches(rows, values, delta).optimum().value == pytest.approx(float(least), abs=1e-9)
    document = t11.search_certificate(rows, values, delta)
    assert theory.verify(document).ok
    assert not theory.verify({**document, "value": str(least + Fraction(1, 1000))}).ok


@given(st.lists(st.integers(2, 5), min_size=1, max_size=4), RATES)
@settings(max_examples=30)
def test_no_mixture_of_heads_reads_less(parts: list[int], delta: Fraction) -> None:
    least = t11.least_heads(delta, parts)
    assert t11.heads(parts, delta).optimum().value == pytest.approx(float(least), abs=1e-9)
    assert theory.verify(t11.heads_certificate(parts, delta)).ok
    assert least >= t1_memoryless.least_attention(delta, math.prod(parts))


@pytest.mark.parametrize("seed", range(8))
def test_arbitrary_readers_are_not_below_the_bound(seed: int) -> None:
    """A reader that stops or reads a row, as a random function of what it has read; all places enumerated."""
    rng, rows, values = np.random.default_rng(seed), 4, 3
    choice = {
        read: (int(rng.integers(0, 3)) > 0, int(rng.choice([i for i in range(rows) if i not in read] or [0])))
        for size in range(rows + 1)
        for read in itertools.permutations(range(rows), size)
    }
    cost, found = Fraction(0), Fraction(0)
    for place in range(rows):
        read: tuple[int, ...] = ()
        while place not in read and len(read) < rows and choice[read][0]:
            read = (*read, choice[read][1])
        cost += Fraction(len(read), rows)
        found += Fraction(int(place in read), rows)
    error = (1 - found) * Fraction(values - 1, values)
    assert cost >= t11.least_rows(error, values, rows)


@given(st.integers(1, 8), st.integers(2, 5), st.fractions(Fraction(1, 4), 20, max_denominator=8))
@settings(max_examples=30)
def test_the_best_of_all_readers_searches_to_the_end_or_not_at_all(rows: int, values: int, price: Fraction) -> None:
    optimum, document = t11.dynamic_program([Fraction(1, rows)] * rows, values, price)
    assert optimum == min(price * (1 - Fraction(1, values)), Fraction(rows + 1, 2))
    assert theory.verify(document).ok
    assert not theory.verify({**document, "value": str(optimum * Fraction(99, 100))}).ok


def test_recorded_values() -> None:
    """K = 5, found with probability .3, .7 and 1."""
    for found, rows in ((Fraction(3, 10), 0.9), (Fraction(7, 10), 2.1), (Fraction(1), 3.0)):
        assert float(t11.least_rows((1 - found) * Fraction(3, 4), 4, 5)) == pytest.approx(rows)


def test_a_played_search_attains_it_and_knowing_where_to_look_breaks_it() -> None:
    error, mean, low, high = t11.simulate(9, 4, 0.6, queries=20_000, rng=2)
    assert error == pytest.approx(0.3, abs=0.02)
    assert low < float(t11.least_rows(Fraction(3, 10), 4, 9)) < high
    assert mean == pytest.approx(3.0, rel=0.05)
    # rows in the order of how likely they are
    rng, law = np.random.default_rng(0), [float(p) for p in t11._UNEVEN]
    places = rng.choice(np.arange(1, 6), 20_000, p=law)
    assert places.mean() == pytest.approx(31 / 16, abs=0.03)
    assert places.mean() < float(t11.least_rows(0, 4, 5))
    optimum, _ = t11.dynamic_program(t11._UNEVEN, 4, Fraction(4))
    assert optimum == Fraction(31, 16)


def test_false_versions_of_the_certificate_fail() -> None:
    parts = theory.check_theorem("T11").certificate["parts"]
    chain = next(part for part in parts if part["kind"] == "chain")
    assert not theory.verify({**chain, "facts": ["rows < (1 - error*4/3)*(5 + 1)/2"]}).ok
    chord, powers = t11._STEPS
    assert not theory.verify({**chord, "right": "j*(K + j)/(2*K)"}).ok
    assert not theory.verify({**powers, "facts": [powers["facts"][0].replace("u/(u + 1)", "(u + 1)/(u + 2)")]}).ok


@pytest.mark.parametrize(
    "call",
    [
        lambda: t11.least_heads(0, []),
        lambda: t11.least_heads(0, [2, 1]),
        lambda: t11.least_rows(0, 4, 0),
        lambda: t11.least_rows(-1, 4, 3),
        lambda: t11.expected_rows(6, 5),
    ],
)
def test_bad_input_is_named(call: object) -> None:
    with pytest.raises(InputError):
        call()  # type: ignore[operator]


def test_the_verdict_and_the_table_for_the_figure() -> None:
    verdict = theory.check_theorem("T11")
    assert verdict.status == "proved"
    assert verdict.verify().ok
    table = t11.curves().pivot_table(index=["curve", "x"], columns="kind", values="value")
    both = table[["bound", "exact"]].dropna()
    assert len(both) == 18
    assert (both["bound"] - both["exact"]).abs().max() < 1e-8

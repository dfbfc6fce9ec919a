"""T12: the tail against all codes, and copies of states that are played."""

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
from theory.bounds import t12_copied_states as t12


@given(st.fractions(0, 1, max_denominator=20))
@settings(max_examples=8)
def test_the_mean_over_all_codes_is_at_most_their_number_and_so_is_the_tail(x: Fraction) -> None:
    for size in (1, 2):
        most, factors = t12.all_codes(2, 2, size, x)
        assert most <= size
        assert most == size or x > 0 or size == 2
        for code in itertools.combinations(factors, size):
            best = [max(row) for row in zip(*code, strict=True)]
            for b in (Fraction(1, 2), Fraction(1, 4)):
                assert Fraction(sum(w >= size / b for w in best), len(best)) <= b


def test_three_values_and_larger_states() -> None:
    assert t12.all_codes(2, 3, 2, Fraction(0))[0] == 2
    assert t12.all_codes(1, 3, 3, Fraction(0))[0] == 3  # log₂3 bits hold the value
    assert t12.all_codes(1, 3, 3, Fraction(1, 5))[0] == Fraction(12, 5)
    with pytest.raises(InputError, match="too many"):
        t12.all_codes(3, 3, 4, Fraction(0))


@given(st.integers(2, 9), st.floats(0.0, 0.999))
@settings(max_examples=30)
def test_evidence_has_the_mean_one_over_a_uniform_value(values: int, x: float) -> None:
    right = np.eye(values, dtype=bool)[0]  # one value of all is the answer
    factors = np.exp2(t12.evidence(right, ~right, values, x))
    assert factors.mean() == pytest.approx(1.0)
    assert t12.evidence([False], [False], values, x).tolist() == [0.0]  # attended


@pytest.mark.parametrize(("stored", "flips"), [(0, 0.0), (4, 0.0), (4, 0.2)])
def test_honest_states_are_rejected_in_few_logs(stored: int, flips: float) -> None:
    """However many tables a log has: each p-value is the least so far."""
    assert t12.rejections(stored, 2.0 * stored, flips=flips, logs=120) <= 0.05


def test_a_state_of_more_bits_is_found() -> None:
    assert t12.rejections(5, 8.0, logs=50) == 1.0
    assert t12.rejections(8, 8.0, flips=0.1, logs=50) > 0.9
    right, wrong = t12.play_states(10, 2, patterns=14, values=8, tables=60, flips=0.02, rng=3)
    found = t12.judge(right, wrong, values=8, bits=40.0)
    assert not found.is_impossible
    assert 22.0 < found.least_bits <= 30.0


def test_the_least_bits_are_where_the_claim_starts_to_hold() -> None:
    right, wrong = t12.play_states(6, 1, patterns=9, values=4, tables=15, flips=0.05, rng=4)
    least = t12.judge(right, wrong, values=4, bits=0.0).least_bits
    assert t12.judge(right, wrong, values=4, bits=least - 1e-6).is_impossible
    assert not t12.judge(right, wrong, values=4, bits=least + 1e-6).is_impossible


def test_more_tables_never_weaken_the_evidence() -> None:
    right, wrong = t12.play_states(5, 3, patterns=9, values=4, tables=30, rng=5)
    found = [t12.judge(right[:n], wrong[:n], values=4, bits=8.0).p_value for n in range(1, 31)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(found))


def test_blocks_of_queries_are_no_counterexample_here() -> None:
    """1⁸2⁸3⁸4⁸ with one cell: at any freeze the copy serves the last pattern only, and guesses at the others."""
    rng, logs, rejected = np.random.default_rng(0), 100, 0
    for _ in range(logs):
        table = rng.integers(0, 2, (30, 4))
        frozen = rng.integers(0, 32, 30) // 8  # the pattern of the block
        cell = table[np.arange(30), frozen]
        answers = np.where(np.arange(4) == frozen[:, None], cell[:, None], rng.integers(0, 2, (30, 4)))
        right = answers == table
        rejected += t12.judge(right, ~right, values=2, bits=1.0).is_impossible
    assert rejected / logs <= 0.05


def test_what_the_theorem_needs() -> None:
    """Honest states that are rejected because an assumption fails."""
    rng = np.random.default_rng(1)
    table = rng.integers(0, 2, (40, 4))
    everything = np.ones_like(table, dtype=bool)
    assert t12.judge(everything, ~everything, values=2, bits=0.0).is_impossible  # no bits, but the values are leaked
    right = table == 0
    assert t12.judge(right, 0 * right, values=2, bits=0.0).is_impossible  # asked are those that will be right
    assert not t12.judge(right, ~right, values=2, bits=0.0).is_impossible
    # six values, each once: five that are stored give away the sixth
    once = np.array([rng.permutation(6) for _ in range(20)])
    last = 15 - once[:, :5].sum(axis=1)
    right = np.column_stack([once[:, :5] == once[:, :5], last == once[:, 5]])
    assert t12.judge(right, ~right, values=6, bits=5 * math.log2(6)).is_impossible


def test_false_versions_of_the_certificate_fail() -> None:
    parts = theory.check_theorem("T12").certificate["parts"]
    codes = next(part for part in parts if part["kind"] == "arithmetic" and part["title"].endswith("x = 1/10"))
    assert not theory.verify({**codes, "facts": [codes["facts"][0].replace("9/5", "19/10")]}).ok
    mean, attained = t12._STEPS
    assert not theory.verify({**mean, "left": "(V*(1 - x) + V*(V*x/(V - 1)))/V"}).ok
    assert not theory.verify({**attained, "facts": ["mean > 2**4"]}).ok
    for control in t12._controls():
        assert theory.verify(control).ok
    assert not theory.verify({**t12._controls()[0], "facts": ["contents <= 2"]}).ok


@pytest.mark.parametrize(
    "call",
    [
        lambda: t12.judge([1, 0], [0, 1], values=2, bits=1),
        lambda: t12.judge([[1, 0]], [[0]], values=2, bits=1),
        lambda: t12.judge([[1]], [[1]], values=2, bits=1),
        lambda: t12.judge([[2]], [[0]], values=2, bits=1),
        lambda: t12.judge([[1]], [[0]], values=2, bits=-1),
        lambda: t12.judge([[1]], [[0]], values=1, bits=1),
        lambda: t12.judge([[1]], [[0]], values=2, bits=1, level=1.0),
        lambda: t12.play_states(5, 5, patterns=8, values=2, tables=3),
    ],
)
def test_bad_input_is_named(call: object) -> None:
    with pytest.raises(InputError):
        call()  # type: ignore[operator]


def test_the_verdict_and_the_table_for_the_figure() -> None:
    verdict = theory.check_theorem("T12")
    assert verdict.status == "proved"
    assert verdict.verify().ok
    table = t12.curves().pivot_table(index=["curve", "x"], columns="kind", values="value")
    assert (table["achieved"] <= table["bound"]).all()
    assert table.loc["12 of 16 values stored"]["achieved"].is_monotonic_increasing

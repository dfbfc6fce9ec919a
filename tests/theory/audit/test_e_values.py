"""The tests of routers keep their level, at all looks together, against the luckiest honest routers."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogfit.errors import InputError
from theory.audit import e_values
from theory.audit.counts import Histogram
from theory.audit.e_values import Guesses
from theory.bounds import t2_memory_bits
from theory.bounds.confidence_sequences import mean_sequence
from theory.bounds.t1_memoryless import fixed_table_law
from theory.tasks.retrieval import uniform, zipf


def guesses(unattended: list[int], chance: float) -> Guesses:
    sizes, entries = np.unique([b for b in unattended if b], return_counts=True)
    return Guesses(sizes, entries, chance)


# --- definitions, in plain loops ---

TILTS = [2.0 ** (-24 + k / 2) for k in range(57)]
"""Fixed beforehand, as docs/checking-a-log.md has it."""
STAKES = [Fraction(1, 2**k) for k in range(10, 1, -1)] + [1 - Fraction(1, 2**k) for k in range(1, 7)] + [Fraction(1)]


@pytest.mark.parametrize(("unattended", "right", "values"), [([3, 3, 1], 5, 4), ([40], 40, 16), ([2, 7, 7, 9], 4, 2)])
def test_e_value_of_guesses_is_the_mean_over_57_tilts(unattended: list[int], right: int, values: int) -> None:
    chance = 1 / values
    e = [math.exp(tilt * right) / math.prod(1 - chance + chance * math.exp(tilt * b) for b in unattended)
         for tilt in TILTS]  # fmt: skip
    found = guesses(unattended, chance)
    assert math.exp(found.log_evidence(right)) == pytest.approx(sum(e) / 57, rel=1e-9)
    assert found.total == sum(unattended)


def test_e_value_of_tables_is_the_mean_over_the_stakes() -> None:
    right, unattended, queries, chance = [3, 0, 5], [4, 2, 6], [8, 5, 6], Fraction(1, 4)
    e = Fraction(0)
    for stake in STAKES:
        payoffs = [(c - chance * b) / (chance * n) for c, b, n in zip(right, unattended, queries, strict=True)]
        e += math.prod((1 + stake * payoff for payoff in payoffs), start=Fraction(1)) / len(STAKES)
    found = e_values.log_evidence_of_tables(right, unattended, queries, float(chance))
    assert math.exp(found) == pytest.approx(float(e), rel=1e-9)


def test_tables_without_queries_are_no_evidence() -> None:
    found = e_values.log_evidence_of_tables([3, 0, 2], [4, 0, 2], [8, 0, 5], 0.25)
    assert found == pytest.approx(e_values.log_evidence_of_tables([3, 2], [4, 2], [8, 5], 0.25))


def test_most_right_is_where_the_evidence_arrives() -> None:
    known = guesses([10] * 5, 1 / 4)
    for right in (0.25, 20.0, 37.5):
        assert known.most_right(known.log_evidence(right)) == pytest.approx(right, abs=1e-6)
    most = known.log_evidence(known.total)
    assert known.most_right(most) == pytest.approx(50)
    assert known.most_right(most + 1e-6) == math.inf


def bits_by_loops(
    queries: list[int], unattended: list[int], right: float, chance: float, log_odds: float, share: float
) -> float:
    """The lemma of docs/checking-a-log.md pattern by pattern, union bounds over patterns, steps and 49 prices."""
    n, least = sum(queries), 0.0
    x = (log_odds + math.log(3) + math.log(n)) / (2 * n)
    upper = [(math.sqrt(x) + math.sqrt(x + asked / n)) ** 2 for asked in queries]
    union = log_odds + math.log(3) + math.log(49)
    for price in (2.0 ** (k / 2) for k in range(49)):
        # ψ(λp)/(λp), an answer's price if it was to be right by chance
        prices = [np.logaddexp(math.log(1 - chance), math.log(chance) + price * p) / (price * p) for p in upper]
        mean = (right - sum(u * cost for u, cost in zip(unattended, prices, strict=True))) / n
        azuma = (1 - chance + min(1.0, max(prices))) * math.sqrt(union / (2 * n))
        least = max(least, (price * (mean - azuma) - share * union) / math.log(2))
    return least


@pytest.mark.parametrize(
    ("queries", "unattended", "right", "share"),
    [
        ([5000, 5000, 20_000] * 9, [5000, 100, 20_000] * 9, 225_500.0, 1.0),
        ([2000] * 30, [2000] * 20 + [0] * 10, 40_000.0, 0.25),
        ([4000] * 12, [4000] * 12, 30_000.0, 1.0),
    ],
)
def test_least_bits_are_those_of_the_lemma(
    queries: list[int], unattended: list[int], right: float, share: float
) -> None:
    expected = bits_by_loops(queries, unattended, right, 1 / 16, 3.0, share)
    assert expected > 1
    assert e_values.least_bits(queries, unattended, right, 1 / 16, 3.0, share) == pytest.approx(expected, rel=1e-9)


def test_bits_of_one_table_are_the_default_and_nothing_asked_is_no_memory() -> None:
    case = ([2000] * 30, [2000] * 30, 60_000.0, 1 / 16, 3.0)
    assert e_values.least_bits(*case) == e_values.least_bits(*case, share=1.0)
    assert e_values.least_bits(*case) < e_values.least_bits(*case, share=0.5)
    assert e_values.least_bits([], [], 0, 1 / 16, 3.0) == 0.0
    assert e_values.least_bits([0, 0], [0, 0], 0, 1 / 16, 3.0) == 0.0


def test_p_value_of_bits_is_where_the_limit_meets_them() -> None:
    assert e_values.log_p_of_bits(lambda log_odds: 60 - log_odds, 59.5) == pytest.approx(-0.5)
    assert e_values.log_p_of_bits(lambda log_odds: 60 - log_odds, 60.0) == 0.0
    assert e_values.log_p_of_bits(lambda _: 60.0, 60.0) == 0.0
    assert e_values.log_p_of_bits(lambda _: 60.0, 59.0) == -2000.0  # as far as it is followed


def test_least_chance_lies_at_the_first_that_is_not_refuted() -> None:
    """Refuted means log p ≤ log level."""
    assert e_values.least_chance(lambda g: math.log(g), 0.25, math.log(0.2)) == 0.25
    assert e_values.least_chance(lambda g: -1.0 if g < 0.5 else 0.0, 0.25, -1.0) == pytest.approx(0.5, abs=1e-6)
    assert e_values.least_chance(lambda _: -1.0, 0.25, -1.0) == 1.0
    assert e_values.least_chance(lambda _: -2.0, 0.25, -1.0) == 1.0


# --- properties ---


@given(st.lists(st.integers(0, 8), min_size=1, max_size=6).filter(any), st.integers(2, 5))
def test_e_value_of_constant_guesses_has_expectation_at_most_one(unattended: list[int], values: int) -> None:
    """The worst case: one guess for each pattern. The law of the errors is enumerated exactly."""
    found = guesses(unattended, 1 / values)
    law = fixed_table_law(unattended, values)
    total = sum(unattended)
    assert sum(float(p) * math.exp(found.log_evidence(total - errors)) for errors, p in law.items()) <= 1 + 1e-12


@given(st.data())
def test_e_value_of_any_guesses_has_expectation_at_most_one(data: st.DataObject) -> None:
    """Any numbers of times that each value is guessed for each pattern; all tables are enumerated."""
    values, patterns = data.draw(st.integers(2, 3)), data.draw(st.integers(1, 4))
    times = np.array(data.draw(st.lists(st.lists(st.integers(0, 5), min_size=values, max_size=values),
                                        min_size=patterns, max_size=patterns)))  # fmt: skip
    found = guesses(times.sum(axis=1).tolist(), 1 / values)
    expected = np.mean([
        math.exp(found.log_evidence(sum(times[k, v] for k, v in enumerate(table))))
        for table in itertools.product(range(values), repeat=patterns)
    ])  # fmt: skip
    assert expected <= 1 + 1e-12


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=4), st.fractions(0.1, 0.9))
def test_e_value_of_tables_has_expectation_at_most_one(tables: list[tuple[int, int]], chance: Fraction) -> None:
    """Tables of b queries without attention and a others; within a table all guesses are right together."""
    unattended = [b for b, _ in tables]
    queries = [b + a + 1 for b, a in tables]
    expected = 0.0
    for right in itertools.product((False, True), repeat=len(tables)):
        p = math.prod(float(chance if r else 1 - chance) for r in right)
        c = [b * r for b, r in zip(unattended, right, strict=True)]
        expected += p * math.exp(e_values.log_evidence_of_tables(c, unattended, queries, float(chance)))
    assert expected <= 1 + 1e-9


@pytest.mark.parametrize("changing", [False, True])
def test_all_looks_together_keep_the_level_where_a_test_over_queries_does_not(changing: bool) -> None:
    """One table of two values; the router never attends and repeats its guesses (or makes new ones at each look)."""
    rng, n, values, patterns, level = np.random.default_rng(5), 600, 4, 2, 0.9
    looks = e_values.looks(n)
    period = np.searchsorted(looks, np.arange(n), side="right")
    ours = naive = 0
    for _ in range(250):
        z = rng.integers(0, patterns, n)
        table = rng.integers(0, values, patterns)
        said = rng.integers(0, values, (len(looks) + 1, patterns))[period if changing else 0, z]
        right = said == table[z]
        log_p = [
            e_values.penalty(j) - Guesses(*Histogram.of(z[:m]), 1 / values).log_evidence(int(right[:m].sum()))
            for j, m in enumerate(looks)
        ]
        ours += min(log_p) <= math.log(1 - level)
        charge = values / (values - 1) * (~right).astype(float)
        naive += bool(mean_sequence(charge, low=0, high=values / (values - 1), level=level).upper[-1] < 1)
    assert ours / 250 <= 1 - level
    assert changing or naive / 250 > 0.25


def test_weights_of_the_looks_sum_to_one_and_looks_grow() -> None:
    assert e_values.looks(15) == ()
    found = e_values.looks(10**6)
    assert found[0] == 16
    assert all(1.2 < b / a <= 1.3 for a, b in itertools.pairwise(found[3:]))
    assert sum(math.exp(-e_values.penalty(j)) for j in range(len(found))) < 1


def test_least_bits_stay_below_a_lucky_table_and_below_the_memory() -> None:
    """Without memory every bit is luck: the limit exceeds 0 rarely. With m values kept it stays below m log₂V."""
    rng, patterns, values, n, lucky = np.random.default_rng(2), 12, 2, 4000, 0
    for _ in range(300):
        asked = rng.multinomial(n, np.array(zipf(patterns, 1), float))
        right = asked[rng.random(patterns) < 1 / values].sum()
        lucky += e_values.least_bits(asked, asked, float(right), 1 / values, math.log(10)) > 0
    assert lucky / 300 <= 0.1
    law, kept = np.array(zipf(100, 1), float), np.arange(100) < 40
    asked = rng.multinomial(200_000, law)
    limit = e_values.least_bits(asked, asked * kept, float(asked[kept].sum()), 1 / 16, math.log(20))
    assert 80 < limit < 160
    log_p = e_values.log_p_of_bits(
        lambda odds: e_values.least_bits(asked, asked * kept, float(asked[kept].sum()), 1 / 16, odds), 40
    )
    assert log_p < math.log(0.05)


@pytest.mark.parametrize(("patterns", "bits", "values", "error"), [(10, 0, 4, 0.3), (100, 200, 16, 0.1), (4, 2, 2, 0)])
def test_bound_for_any_probabilities_contains_the_two_closed_ones(
    patterns: int, bits: float, values: int, error: float
) -> None:
    general = t2_memory_bits.least_attention_with_errors(uniform(patterns), bits, 1 / values, error)
    closed = t2_memory_bits.least_attention_uniform(patterns, bits, values, error)
    assert closed - 2e-3 < general <= closed + 1e-9
    law = zipf(patterns, 1.2)
    exact = t2_memory_bits.least_attention(law, bits, values)
    found = t2_memory_bits.least_attention_with_errors(law, bits, 1 / values, 0)
    assert found == pytest.approx(exact, abs=1e-6)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers(1, 4), st.floats(0, 0.4))
def test_bound_for_any_probabilities_holds_for_codes(table_sizes: list[int], kept: int, error: float) -> None:
    """A router that keeps m values and guesses some of the rest: never below the bound."""
    weights = np.array([1 + s for s in table_sizes], float)
    law, values = weights / weights.sum(), 4
    order = np.argsort(-law)
    rest = law[order[kept:]].sum()
    guessed = min(rest, error / (1 - 1 / values))
    bound = t2_memory_bits.least_attention_with_errors(law.tolist(), 2 * kept, 1 / values, (1 - 1 / values) * guessed)
    assert bound <= rest - guessed + 1e-9


def test_bad_input_is_refused() -> None:
    for chance in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(InputError):
            Guesses([1], [1], chance).log_evidence(1)
    with pytest.raises(InputError):
        t2_memory_bits.least_attention_with_errors([1.0], -1, 0.5, 0)

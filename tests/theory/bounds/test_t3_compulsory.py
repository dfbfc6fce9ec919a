"""T3: no learner escapes the compulsory cost, whatever its memory; controls show what the assumptions are for."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import theory
from cogfit.errors import InputError
from theory.bounds import t3_compulsory
from theory.tasks import retrieval as streams
from theory.tasks.retrieval import FirstExposures, Stream, play, uniform, zipf

SEEDS = st.integers(0, 10**6)


@pytest.mark.slow
@given(SEEDS, st.sampled_from([(2, 2, 4), (2, 3, 3), (3, 2, 3)]), st.booleans())
def test_no_adaptive_learner_escapes_at_any_step(seed: int, size: tuple[int, int, int], feedback: bool) -> None:
    """(a), (b): learners are arbitrary functions of everything they see; all tables are enumerated."""
    patterns, values, length = size
    half = Fraction(1, 2)
    law = Stream.independent(zipf(patterns, 1), values=values, length=length, retrieval=half, feedback=feedback)
    outcome = streams.evaluate(law, streams.random_policy(seed, values))
    price = Fraction(values, values - 1)
    rows = zip(outcome.attention, outcome.unrevealed_error, outcome.unrevealed, strict=True)
    for t, (attention, wrong, unrevealed) in enumerate(rows):
        assert attention + price * wrong >= unrevealed
        assert unrevealed >= half * t3_compulsory.missing_mass(law.probabilities, t, half)
    assert outcome.distinct == t3_compulsory.expected_distinct(law.probabilities, length, half)
    assert sum(outcome.attention) + price * sum(outcome.error) >= outcome.distinct


@given(SEEDS, st.lists(st.integers(1, 3), min_size=3, max_size=6), st.integers(2, 3))
def test_without_labels_few_errors_spare_few_patterns(seed: int, sequence: list[int], values: int) -> None:
    """(c), for random learners at their own error rate."""
    law = Stream.fixed(sequence, values=values, patterns=3)
    outcome = streams.evaluate(law, streams.random_policy(seed, values))
    counts = [sequence.count(k) for k in (1, 2, 3)]
    delta = sum(outcome.error) / len(sequence)
    assert sum(outcome.attention) >= t3_compulsory.least_attention(counts, values, delta)


@pytest.mark.slow
@given(st.lists(st.integers(0, 30), min_size=1, max_size=12).filter(any), st.fractions(0, 1, max_denominator=60))
def test_the_knapsack_is_certified_by_its_dual(counts: list[int], delta: Fraction) -> None:
    document = t3_compulsory.knapsack(counts, 3, delta)
    check = theory.verify(document)
    assert check.ok, check.detail
    assert check.facts["dual value"] == t3_compulsory.least_attention(counts, 3, delta)


@pytest.mark.parametrize("feedback", [False, True])
@pytest.mark.parametrize(("patterns", "values", "steps"), [(1, 2, 5), (6, 2, 12), (30, 16, 60)])
def test_the_dynamic_program_finds_the_expected_number_of_patterns(
    patterns: int, values: int, steps: int, feedback: bool
) -> None:
    solved = t3_compulsory.dynamic_program(patterns, values, steps, Fraction(1, 3), feedback)
    assert solved.optimum == t3_compulsory.expected_distinct(uniform(patterns), steps, Fraction(1, 3))
    assert theory.verify(solved.document).ok


@pytest.mark.slow
@pytest.mark.parametrize("feedback", [False, True])
@pytest.mark.parametrize(
    ("probabilities", "values", "length", "retrieval"),
    [
        (uniform(1), 3, 4, Fraction(1, 2)),
        ((Fraction(3, 4), Fraction(1, 4)), 2, 3, Fraction(1)),
        (uniform(2), 2, 4, Fraction(1, 2)),
        (uniform(3), 2, 3, Fraction(1)),
    ],
)
def test_the_program_over_all_behaviours_has_the_same_optimum(
    probabilities: tuple[Fraction, ...], values: int, length: int, retrieval: Fraction, feedback: bool
) -> None:
    law = Stream.independent(probabilities, values=values, length=length, retrieval=retrieval, feedback=feedback)
    expected = t3_compulsory.expected_distinct(probabilities, length, retrieval)
    program = t3_compulsory.sequence_form(law)
    assert program.optimum().value == pytest.approx(float(expected), abs=1e-9)
    assert theory.verify(program.rounded("", str(expected), 10**6)).ok


@pytest.mark.parametrize("c", [1, 2, 3])
def test_first_exposures_cost_what_is_said(c: int) -> None:
    law = Stream.independent(zipf(12, 1), values=3, length=40, retrieval=0.7)
    run = play(law, FirstExposures(c), 1, 500)
    counts = np.stack([(run.queries == k).sum(axis=1) for k in range(1, 13)])
    assert (run.attended.sum(axis=1) == np.minimum(counts, c).sum(axis=0)).all()
    assert not run.error.any()


@given(st.fractions("1/10", 1, max_denominator=10), st.integers(1, 5))
def test_consolidation_with_probability_eta_costs_what_is_said(eta: Fraction, steps: int) -> None:
    """Against the chain of one pattern: unknown patterns are attended to, and learnt with probability η."""
    law = (Fraction(2, 3), Fraction(1, 3))
    total = Fraction(0)
    for p in law:
        unknown = Fraction(1)
        for _ in range(steps):
            total += unknown * p / 2
            unknown *= 1 - eta * p / 2
    assert t3_compulsory.consolidating_attention(law, steps, Fraction(1, 2), eta) == total
    assert total <= 2 / eta


def test_an_imperfect_gate_has_a_floor() -> None:
    law = zipf(4, 1)
    reject, accept = Fraction(1, 20), Fraction(1, 5)
    shares = [t3_compulsory.imperfect_gate(t3_compulsory.missing_mass(law, t), accept, reject, 4) for t in (0, 5, 200)]
    assert shares[0] == (1 - accept, Fraction(3, 4) * accept)
    assert float(shares[2][0]) == pytest.approx(1 / 20, abs=1e-6)
    assert all(a >= reject for a, _ in shares)


@pytest.mark.parametrize("control", ["honest", "leak", "labels"])
def test_only_unrevealed_errors_are_charged_and_cheaters_are_found(control: str) -> None:
    """(b) as a check on runs: attention plus the charge for unrevealed errors against the patterns seen."""
    law = Stream.independent(zipf(50, 1), values=4, length=60, feedback=control == "labels")
    run = play(law, Careless(control), 2, 1500)
    seen = np.stack([(run.queries == k).any(axis=1) for k in range(1, 51)]).sum(axis=0)
    excess = run.charge(4, unrevealed_only=True) * 60 - seen
    error = excess.std() / np.sqrt(excess.size)
    if control == "leak":
        assert excess.mean() < -10 * error
    else:
        assert excess.mean() > -4 * error


class Careless(FirstExposures):
    """Attends to half of the queries for unknown patterns; with ``leak`` it knows half of the values beforehand."""

    def __init__(self, control: str) -> None:
        super().__init__()
        self.control = control

    def begin(self, stream: Stream, size: int, rng: np.random.Generator) -> None:
        super().begin(stream, size, rng)
        if self.control == "leak":  # the generator is that of the tables: rebuilt here, as if seen in training
            tables = stream.tables(np.random.default_rng(2), size)
            self._known[:, 1:] = np.where(tables % 2 == 0, tables, 0)

    def decide(self, t, z):
        known = self._known[self._rows, z]
        return (known == 0) & (self._rng.random(z.size) < 0.5), np.maximum(known, 1)

    def observe(self, t, z, attended, value):
        self._known[self._rows[value > 0], z[value > 0]] = value[value > 0]


def test_bad_numbers_are_refused() -> None:
    for call in (
        lambda: t3_compulsory.consolidating_attention(uniform(2), 3, eta=0),
        lambda: t3_compulsory.spared_patterns([1, 2], -1),
        lambda: t3_compulsory.dynamic_program(0, 2, 3),
    ):
        with pytest.raises(InputError):
            call()


def test_check() -> None:
    verdict = theory.check_theorem("T3")
    assert verdict.status == "proved"
    check = verdict.verify()
    assert check.ok, check.detail
    for name, claimed in verdict.claimed.items():
        tolerance = 0.5 if "simulated" in name else 1e-9
        assert float(verdict.computed[name]) == pytest.approx(float(claimed), abs=tolerance)

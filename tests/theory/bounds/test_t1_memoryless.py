"""T1: exact for every router without memory, broken as soon as an assumption is dropped."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import theory
from cogfit.errors import InputError
from theory.bounds import t0_chow, t1_memoryless
from theory.bounds.confidence_sequences import mean_sequence
from theory.tasks import retrieval
from theory.tasks.retrieval import Stream, play, uniform, zipf


@pytest.mark.slow
@given(st.integers(0, 10**6), st.sampled_from([(2, 2, 4), (2, 3, 3), (3, 2, 3)]), st.booleans())
def test_attention_is_exact_for_every_adaptive_router_without_memory(
    seed: int, size: tuple[int, int, int], feedback: bool
) -> None:
    """Routers may use past queries, past decisions and coins, in any way at all; all tables are enumerated."""
    patterns, values, length = size
    law = Stream.independent(
        zipf(patterns, 1), values=values, length=length, retrieval=Fraction(1, 2), feedback=feedback
    )
    outcome = retrieval.evaluate(law, retrieval.random_policy(seed, values, blind=True))
    price = Fraction(values, values - 1)
    for query, attention, error in zip(outcome.query, outcome.attention, outcome.error, strict=True):
        assert attention + price * error == query


@pytest.mark.parametrize(("size", "values"), [(1, 2), (2, 4), (3, 3), (4, 3), (5, 3)])
@pytest.mark.parametrize("delta", [Fraction(0), Fraction(1, 7), Fraction(1, 2), Fraction(9, 10)])
def test_no_router_does_better_against_every_table(size: int, values: int, delta: Fraction) -> None:
    probabilities = tuple(Fraction(p) for p in zipf(size, 1))
    claimed = t1_memoryless.least_attention(delta, values)
    program = t1_memoryless.game(probabilities, values, delta)
    assert len(program.rows) == size + values**size
    assert program.optimum().value == pytest.approx(float(claimed), abs=1e-9)
    check = theory.verify(t1_memoryless.game_certificate(probabilities, values, delta))
    assert check.ok, check.detail
    assert check.facts["primal value"] == claimed


@given(st.fractions(0, 1, max_denominator=50), st.integers(2, 9))
def test_it_is_the_case_of_t0_without_information(delta: Fraction, values: int) -> None:
    chow = t0_chow.least_attention([Fraction(1)], [Fraction(1, values)], delta)
    assert t1_memoryless.least_attention(delta, values) == chow
    better = t0_chow.least_attention([Fraction(1)], [Fraction(values, values + 1)], delta)
    assert t1_memoryless.with_side_information(delta, Fraction(values, values + 1)) == better


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6).filter(any), st.integers(2, 4))
def test_errors_on_a_fixed_table_have_hoeffdings_tail(unattended: list[int], values: int) -> None:
    law = t1_memoryless.fixed_table_law(unattended, values)
    assert sum(law.values()) == 1
    mean = (1 - Fraction(1, values)) * sum(unattended)
    assert sum(errors * p for errors, p in law.items()) == mean
    below = itertools.accumulate(law.values())
    for errors, p in zip(law, below, strict=True):
        if errors <= mean:
            assert p <= t1_memoryless.fixed_table_tail(unattended, float(mean - errors)) * (1 + 1e-12)


def test_regression_bound_is_attained_by_the_mean() -> None:
    """Attend to a share α, predict the mean elsewhere: MSE = (1 − α)σ²; any other constant is worse."""
    rng = np.random.default_rng(0)
    value = rng.normal(1.0, 2.0, 200_000)
    attend = rng.random(value.size) < 0.3
    for guess in (1.0, 0.5):
        mse = np.where(attend, 0.0, (value - guess) ** 2).mean()
        bound = t1_memoryless.regression(mse, 4.0)
        assert bound <= 0.3 + 0.01
        assert (bound > 0.29) == (guess == 1.0)


LAW = Stream.independent(zipf(200, 1), values=8, length=150, retrieval=0.5)


class Learner(retrieval.FirstExposures):
    """Attends to half of the unknown, answers the rest from memory, or from ``told`` where that is given."""

    def __init__(self, told: Any = None, labels: bool = False) -> None:
        super().__init__()
        self.told, self.labels = told, labels

    def begin(self, stream: Stream, size: int, rng: np.random.Generator) -> None:
        super().begin(stream, size, rng)
        if self.told is not None:
            self._known[:, 1:] = self.told

    def decide(self, t: int, z: Any) -> Any:
        known = self._known[self._rows, z]
        return (known == 0) & (self._rng.random(z.size) < 0.5), np.maximum(known, 1)

    def observe(self, t: int, z: Any, attended: Any, value: Any) -> None:
        self._known[self._rows[value > 0], z[value > 0]] = value[value > 0]


def limits(run: retrieval.Run) -> tuple[float, float]:
    found = mean_sequence(run.charge(LAW.values), low=0, high=8 / 7, level=0.999)
    return float(found.lower[-1]), float(found.upper[-1])


@pytest.mark.parametrize("attend", [0.0, 0.4, 1.0])
def test_honest_routers_are_charged_one_per_query(attend: float) -> None:
    low, high = limits(play(LAW, t1_memoryless.Memoryless(attend), 0, 1500))
    assert low <= 1 <= high
    assert high - low < 0.05


@pytest.mark.parametrize("control", ["memory", "labels", "leak", "fixed table"])
def test_a_dropped_assumption_breaks_the_bound(control: str) -> None:
    table = np.random.default_rng(9).integers(1, 9, 200)
    law = Stream.independent(LAW.probabilities, values=8, length=150, retrieval=0.5, feedback=control == "labels")
    if control == "leak":  # half of the values known beforehand
        rng = np.random.default_rng(5)
        tables = rng.integers(1, 9, (1500, 200))
        run = play(law, Learner(np.where(rng.random((1500, 200)) < 0.5, tables, 0)), 0, 1500, tables)
    elif control == "fixed table":  # the same table as in training
        run = play(law, Learner(table), 0, 1500, table)
    else:
        run = play(law, Learner(), 0, 1500)
    assert limits(run)[1] < 1


def test_bad_numbers_are_refused() -> None:
    for call in (
        lambda: t1_memoryless.least_attention(0.1, 1),
        lambda: t1_memoryless.least_attention(-0.1, 2),
        lambda: t1_memoryless.with_side_information(0.1, 1.5),
        lambda: t1_memoryless.regression(-1, 1),
        lambda: t1_memoryless.regression(1, 0),
    ):
        with pytest.raises(InputError):
            call()
    assert uniform(3)[0] == Fraction(1, 3)


def test_check() -> None:
    verdict = theory.check_theorem("T1")
    assert verdict.status == "proved"
    check = verdict.verify()
    assert check.ok, check.detail
    for name, claimed in verdict.claimed.items():
        assert float(verdict.computed[name]) == pytest.approx(float(claimed), abs=5e-3 if "err" in name else 1e-9)

"""Confidence sequences hold at all times at once, and only for what they are made for."""

from __future__ import annotations

import numpy as np
import pytest

from cogfit.errors import InputError
from theory.bounds.confidence_sequences import hoeffding_slack, mean_sequence
from theory.bounds.t1_memoryless import Memoryless
from theory.tasks.retrieval import Stream, play, uniform


@pytest.mark.parametrize("p", [0.02, 0.5])
def test_the_mean_stays_within_the_limits_at_all_times(p: float) -> None:
    rng = np.random.default_rng(int(1000 * p))
    outside = 0
    for _ in range(600):
        limits = mean_sequence((rng.random(800) < p).astype(float), level=0.9)
        outside += bool(((limits.lower > p) | (limits.upper < p)).any())
    assert outside / 600 < 0.1


def test_limits_shrink_scale_and_adapt_to_the_variance() -> None:
    u = np.random.default_rng(1).random(5000)
    unit, scaled = mean_sequence(u), mean_sequence(10 * u - 3, low=-3, high=7)
    assert np.allclose(10 * unit.lower - 3, scaled.lower)
    assert (np.diff(unit.lower) >= 0).all()
    assert (np.diff(unit.upper) <= 0).all()
    width = [limits.upper[-1] - limits.lower[-1] for limits in (mean_sequence(0.45 + 0.1 * u), unit)]
    assert width[0] < 0.3 * width[1]
    assert unit.upper[-1] - unit.lower[-1] < 4 * hoeffding_slack(5000, 0.025)


def test_queries_of_one_fixed_table_are_no_sample() -> None:
    """A lucky guess repeats: over queries of one table the charge of an honest router is rejected far too often."""
    law = Stream.independent(uniform(2), values=4, length=400)
    run = play(law, Constant(), 0, 300)
    charge = 4 / 3 * run.error.astype(float)  # per query; its expectation over tables is 1
    rejected = [mean_sequence(row, low=0, high=4 / 3, level=0.99).upper[-1] < 1 for row in charge]
    assert np.mean(rejected) > 0.25
    by_table = mean_sequence(run.charge(4), low=0, high=4 / 3, level=0.99)
    assert by_table.lower[-1] < 1 < by_table.upper[-1]


class Constant(Memoryless):
    """Never attends and always says 1."""

    def __init__(self) -> None:
        super().__init__(0.0)

    def decide(self, t, z):
        return np.zeros(z.size, bool), np.ones(z.size, np.int64)


def test_bad_input_is_refused() -> None:
    for x, options in (([], {}), ([[0.5]], {}), ([1.5], {}), ([0.5], {"level": 1.0}), ([0.5], {"low": 1, "high": 0})):
        with pytest.raises(InputError):
            mean_sequence(x, **options)
    with pytest.raises(InputError):
        mean_sequence([0.5, float("nan")])

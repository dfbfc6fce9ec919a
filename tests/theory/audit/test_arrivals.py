"""The check for independent queries keeps its level and sees what breaks the bounds; the missing mass is covered."""

from __future__ import annotations

import math

import numpy as np
import pytest

from theory.audit.arrivals import exchangeability, missing_mass
from theory.tasks.retrieval import zipf


@pytest.mark.parametrize(("n", "patterns", "s"), [(200, 5, 0.0), (1000, 2, 0.0), (300, 60, 1.2), (2000, 500, 1.0)])
def test_independent_queries_pass_at_the_level(n: int, patterns: int, s: float) -> None:
    rng, law = np.random.default_rng(n), np.array(zipf(patterns, s), float)
    found = [exchangeability(rng.choice(patterns, n, p=law), step=np.arange(n) // 7) for _ in range(400)]
    failed = np.mean([one.status == "failed" for one in found])
    assert 0.01 < failed < 0.09
    single = np.array([[pair.p_value for pair in one.pairs if pair.p_value is not None] for one in found], dtype=object)
    assert 0.02 < np.mean(np.concatenate([np.asarray(row, float) for row in single]) <= 0.05) < 0.08


def test_moments_are_those_of_all_orders() -> None:
    """Against random orders of a small log, for all three kinds of pairs."""
    rng = np.random.default_rng(3)
    z, table, step = np.repeat([0, 1, 2, 3], [20, 10, 5, 5]), np.repeat([0, 1], [25, 15]), np.arange(40) // 4
    counts = np.array(
        [[pair.matches for pair in exchangeability(rng.permutation(z), table=table, step=step).pairs]
         for _ in range(1000)]
    )  # fmt: skip
    expected = [pair.expected for pair in exchangeability(z, table=table, step=step).pairs]
    assert np.allclose(counts.mean(axis=0), expected, atol=5 * counts.std(axis=0).max() / math.sqrt(1000))


@pytest.mark.parametrize(
    ("name", "sequence", "why"),
    [
        ("blocks", np.repeat([1, 2, 3, 4], 8), "successive queries ask for the same pattern more often"),
        ("bursts", np.repeat(np.random.default_rng(0).integers(0, 30, 500), 2), "successive"),
        ("epochs", np.concatenate([np.random.default_rng(i).permutation(40) for i in range(50)]), "fewer often"),
        ("drift", np.random.default_rng(1).binomial(30, np.linspace(0.3, 0.7, 2000)), "one tenth"),
    ],
)
def test_dependent_queries_fail(name: str, sequence: np.ndarray, why: str) -> None:
    found = exchangeability(sequence)
    assert found.status == "failed"
    assert why in str(found)


def test_batches_without_replacement_fail_and_rare_patterns_say_nothing() -> None:
    rng = np.random.default_rng(4)
    batches = np.concatenate([rng.choice(50, 20, replace=False) for _ in range(100)])
    assert exchangeability(batches, step=np.arange(2000) // 20).status == "failed"
    silent = exchangeability(rng.permutation(500))
    assert (silent.status, silent.p_value) == ("undetermined", None)
    assert "too rarely" in str(silent)
    assert exchangeability([3]).status == "undetermined"


@pytest.mark.parametrize(("n", "patterns", "s"), [(100, 50, 1.0), (1000, 2000, 1.3)])
def test_missing_mass_lies_within_its_limits(n: int, patterns: int, s: float) -> None:
    rng, law = np.random.default_rng(7), np.array(zipf(patterns, s), float)
    outside, errors = 0, []
    for _ in range(400):
        counts = rng.multinomial(n, law)
        found, truth = missing_mass(int((counts == 1).sum()), n, math.log(10)), float(law[counts == 0].sum())
        outside += not found.low <= truth <= found.high
        errors.append(found.estimate - truth)
    assert outside / 400 <= 0.1
    assert abs(np.mean(errors)) < 0.01

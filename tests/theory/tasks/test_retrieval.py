"""The stream: laws of the samples, exact enumeration, and three ways to evaluate a router against each other."""

from __future__ import annotations

import zlib
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import theory
from cogfit.errors import InputError
from theory.bounds.t9_drift import queried_epochs
from theory.tasks import retrieval
from theory.tasks.retrieval import FirstExposures, Stream, play, uniform, zipf


def test_samples_follow_the_law() -> None:
    law = Stream.independent(zipf(5, 1), values=3, length=40, retrieval=0.4)
    rng = np.random.default_rng(0)
    tables, queries = law.tables(rng, 4000), law.queries(rng, 4000)
    share = np.bincount(queries.ravel(), minlength=6) / queries.size
    assert np.allclose(share, [float(p) for p in law.step_law], atol=5 * 0.5 / np.sqrt(queries.size))
    assert np.allclose(np.bincount(tables.ravel())[1:] / tables.size, 1 / 3, atol=0.02)
    assert tables.min() == 1


def test_fixed_sequences_are_kept() -> None:
    law = Stream.fixed([1, 0, 2, 1], values=2, patterns=3)
    assert law.probabilities == (Fraction(2, 3), Fraction(1, 3), 0)
    assert law.retrieval == Fraction(3, 4)
    assert law.queries(np.random.default_rng(0), 2).tolist() == [[1, 0, 2, 1]] * 2
    assert list(retrieval.sequences_of(law)) == [((1, 0, 2, 1), 1)]


@given(st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=5))
def test_exposures_count_earlier_queries(rows: list[list[int]]) -> None:
    expected = [[row[:t].count(z) if z else 0 for t, z in enumerate(row)] for row in rows]
    assert retrieval.exposures(np.array(rows)).tolist() == expected


def test_sequences_come_with_their_probabilities() -> None:
    law = Stream.independent((Fraction(2, 3), Fraction(1, 3)), values=2, length=3, retrieval=Fraction(1, 2))
    found = dict(retrieval.sequences_of(law))
    assert len(found) == 27
    assert sum(found.values()) == 1
    assert found[1, 0, 2] == Fraction(1, 3) * Fraction(1, 2) * Fraction(1, 6)


def test_zipf_is_exact_for_integer_exponents_and_float_otherwise() -> None:
    assert zipf(2, 2) == (Fraction(4, 5), Fraction(1, 5))
    assert zipf(3, 0) == uniform(3)
    assert sum(zipf(50, 1.3)) == pytest.approx(1)


def table_driven(attend: Any, guess: Any) -> Any:
    """Policy that looks up its answer by step, pattern and the value known of it (0: none)."""

    def policy(history: tuple[retrieval.Event, ...], z: int) -> tuple[Fraction, int]:
        known = max((value for k, _, value in history if k == z), default=0)
        return attend[len(history)][z][known], guess[len(history)][z][known]

    return policy


def lookup(table: Any) -> str:
    """The same table in the language of certificates."""
    return f"({', '.join(map(lookup, table))},)" if isinstance(table, list) else str(table)


@pytest.mark.parametrize("feedback", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_the_two_exact_evaluators_agree(seed: int, feedback: bool) -> None:
    """The tree of histories (``evaluate``) and the verifier of certificates share no code."""
    rng = np.random.default_rng(seed)
    size, values, length = (2, 3, 3) if seed % 2 else (3, 2, 3)
    shape = (length, size + 1, values + 1)
    attend = [[[Fraction(int(a), 4) for a in row] for row in rows] for rows in rng.integers(0, 5, shape)]
    guess = rng.integers(1, values + 1, shape).tolist()
    law = Stream.independent(zipf(size, 1), values=values, length=length, retrieval=Fraction(2, 3), feedback=feedback)
    outcome = retrieval.evaluate(law, table_driven(attend, guess))
    expected = {
        "queries": sum(outcome.query),
        "attention": sum(outcome.attention),
        "error": sum(outcome.error),
        "unrevealed_error": sum(outcome.unrevealed_error),
        "distinct": outcome.distinct,
    }
    document = {
        "kind": "counterexample",
        "patterns": size,
        "values": values,
        "queries": {"length": length, "probabilities": [str(p) for p in law.step_law]},
        "feedback": feedback,
        "memory": {"known": "repeat(0, K + 1)"},
        "attend": f"{lookup(attend)}[t - 1][z][known[z]]",
        "guess": f"{lookup(guess)}[t - 1][z][known[z]]",
        "update": {"known": "put(known, z, value) if value > 0 else known"},
        "facts": [f"{name} == {value}" for name, value in expected.items()],
    }
    check = theory.verify(document)
    assert check.ok, check.detail


@pytest.mark.parametrize(("c", "eta"), [(1, 1.0), (2, 1.0), (1, 0.5)])
def test_simulation_agrees_with_enumeration(c: int, eta: float) -> None:
    law = Stream.independent((Fraction(1, 2), Fraction(1, 2)), values=2, length=5, retrieval=Fraction(3, 4))
    run = play(law, FirstExposures(c, eta), 0, 40_000)
    assert not run.error.any()
    if eta == 1.0:

        def policy(history: tuple[retrieval.Event, ...], z: int) -> tuple[int, int]:
            shown = [value for k, attended, value in history if k == z and attended]
            return int(len(shown) < c), max(shown, default=1)

        exact = retrieval.evaluate(law, policy)
        attention, unrevealed = (np.array(row, float) for row in (exact.attention, exact.unrevealed))
        assert np.allclose(run.attended.mean(axis=0), attention, atol=0.015)
        assert np.allclose(run.unrevealed.mean(axis=0), unrevealed, atol=0.015)
    else:
        expected = float(2 * sum(1 - (1 - 0.5 * 0.375) ** 5 for _ in range(2)))
        assert run.attended.sum(axis=1).mean() == pytest.approx(expected, abs=0.03)


def test_feedback_shows_the_value_without_attention() -> None:
    class Listener(FirstExposures):
        def decide(self, t: int, z: Any) -> Any:
            known = self._known[self._rows, z]
            return np.zeros(z.size, bool), np.maximum(known, 1)

        def observe(self, t: int, z: Any, attended: Any, value: Any) -> None:
            self._known[self._rows[value > 0], z[value > 0]] = value[value > 0]

    for feedback in (True, False):
        law = Stream.fixed([1, 1, 2, 2, 1], values=4, feedback=feedback)
        run = play(law, Listener(), 1, 3000)
        assert run.unrevealed.mean(axis=0).tolist() == ([1, 0, 1, 0, 0] if feedback else [1, 1, 1, 1, 1])
        assert np.allclose(run.error.mean(axis=0), 0.75 * run.unrevealed[0], atol=0.03)


# ------------------------------------------------------------------------------------------------ values that change


def test_values_that_stay_are_drawn_as_before() -> None:
    """Queries and answers of a run that was recorded before values could change."""
    law = Stream.independent(zipf(9, 1), values=4, length=40, retrieval=0.5)
    assert law.redraw == 0
    run = play(law, FirstExposures(2, 0.5), 7, 9)
    parts = (run.queries, run.attended, run.error, run.unrevealed)
    assert zlib.crc32(b"".join(np.asarray(part).astype("<i8").tobytes() for part in parts)) == 736901191


def test_redraws_are_what_the_theorem_assumes() -> None:
    """Rate, uniform new values (the old one among them), independence in time and between values."""
    rng, rate, values, steps, size = np.random.default_rng(5), 0.2, 4, 300, (40, 6)
    table, wheres, changes = rng.integers(1, values + 1, size), [], []
    for _ in range(steps):
        after, where = retrieval.redrawn(table, rate, values, rng)
        assert np.array_equal(after[~where], table[~where])
        changes.append(np.stack([table[where], after[where]]))
        wheres.append(where)
        table = after
    drawn = np.array(wheres)
    cells = drawn.size
    assert abs(drawn.mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / cells)
    old, new = np.concatenate(changes, axis=1)
    counts = np.zeros((values, values))
    np.add.at(counts, (old - 1, new - 1), 1)
    assert stats.chi2_contingency(counts).pvalue > 1e-3  # the new value knows nothing of the old one,
    assert stats.chisquare(counts.sum(0)).pvalue > 1e-3  # is uniform on all V,
    assert (new == old).mean() == pytest.approx(1 / values, abs=0.01)  # and may be the same
    for one, two in ((drawn[1:], drawn[:-1]), (drawn[..., 1:], drawn[..., :-1]), (drawn[:, 1:], drawn[:, :-1])):
        assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 4 / np.sqrt(one.size)


def test_values_are_redrawn_before_each_step_but_the_first() -> None:
    class Watching(FirstExposures):
        seen: ClassVar[list[Any]] = []

        def see_redraws(self, t: int, where: Any) -> None:
            self.seen.append((t, where))

    law = Stream.independent(uniform(3), values=5, length=30, retrieval=0.8, redraw=0.3)
    router = Watching()
    run = play(law, router, 1, 50)
    assert [t for t, _ in router.seen] == list(range(1, 30))
    # first queries of epochs, one by one
    for row in range(50):
        asked: set[int] = set()
        for t in range(30):
            asked -= {k + 1 for k in range(3) if t and router.seen[t - 1][1][row, k]}
            z = int(run.queries[row, t])
            assert run.first[row, t] == (z > 0 and z not in asked)
            asked.add(z)
    # who attends once to each pattern is wrong wherever the value has been redrawn since and is another one
    stale = (run.queries > 0) & ~run.attended
    assert 0 < run.error.sum() < stale.sum()
    assert not (run.error & run.attended).any()


def test_epochs_are_asked_for_as_often_as_the_theorem_says() -> None:
    law = Stream.independent(zipf(4, 1), values=3, length=60, retrieval=0.5, redraw=0.1)
    run = play(law, FirstExposures(), 3, 3000)
    expected = sum(float(queried_epochs(0.5 * float(p), 0.1, 60)) for p in law.probabilities)
    per_stream = run.first.sum(1)
    assert abs(per_stream.mean() - expected) < 4 * per_stream.std() / np.sqrt(3000)


def test_the_same_seed_gives_the_same_run() -> None:
    law = Stream.independent(zipf(20, 1.2), values=5, length=30, retrieval=0.5)
    first, again, other = (play(law, FirstExposures(2, 0.5), seed, 20) for seed in (4, 4, 5))
    assert np.array_equal(first.attended, again.attended)
    assert not np.array_equal(first.attended, other.attended)


def test_charge_counts_errors_at_the_price_of_a_lucky_guess() -> None:
    run = retrieval.Run(
        np.array([[1, 2, 0, 1], [0, 0, 0, 0]]),
        np.array([[True, False, False, False], [False] * 4]),
        np.array([[False, True, False, True], [False] * 4]),
        np.array([[True, True, False, False], [False] * 4]),
        np.array([[True, True, False, False], [False] * 4]),
    )
    assert run.charge(2).tolist() == [5 / 3, 1.0]
    assert run.charge(2, unrevealed_only=True).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Stream.independent(uniform(2), values=1, length=3),
        lambda: Stream.independent((0.5, 0.4), values=2, length=3),
        lambda: Stream.independent((1.5, -0.5), values=2, length=3),
        lambda: Stream.independent((), values=2, length=3),
        lambda: Stream.independent(uniform(2), values=2, length=0),
        lambda: Stream.independent(uniform(2), values=2, length=3, retrieval=1.5),
        lambda: Stream.independent(uniform(2), values=2, length=3, redraw=-0.1),
        lambda: retrieval.evaluate(
            Stream.independent(uniform(2), values=2, length=2, redraw=Fraction(1, 2)), lambda history, z: (1, 1)
        ),
        lambda: Stream.fixed([0, 0], values=2),
        lambda: Stream.fixed([1, 3], values=2, patterns=2),
        lambda: Stream.fixed([1, -1], values=2),
        lambda: retrieval.tables_of(40, 4),
        lambda: retrieval.evaluate(Stream.fixed([1], values=2), lambda history, z: (2, 1)),
        lambda: retrieval.evaluate(Stream.fixed([1], values=2), lambda history, z: (0, 0)),
    ],
)
def test_what_is_no_stream_is_refused(make: Any) -> None:
    with pytest.raises(InputError):
        make()

"""Exact learners follow the exact curves: pathwise where there is nothing random, within stated limits elsewhere."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogfit.errors import InputError
from theory.bounds import t3_compulsory as t3
from theory.bounds import t4_zipf_streams as t4
from theory.bounds.learners import Learner, follow_exposures, follow_stream
from theory.bounds.t7_exposure_axis import MixingLaw
from theory.tasks.retrieval import FirstExposures, Stream, play

pytestmark = pytest.mark.slow  # learners are played

EXPONENTS = (1.25, 1.5, 1.754, 2.0, 3.0)
CERTAIN = 1 - 1e-9  # limits that chance breaks once in a billion

streams = st.integers(1, 12).flatmap(
    lambda patterns: st.tuples(
        st.just(patterns), st.lists(st.integers(0, patterns), min_size=1, max_size=60).map(lambda z: np.array([z]))
    )
)
laws = st.tuples(st.floats(0.3, 4.0), st.integers(1, 60)).map(lambda x: t4.frequencies(*x))
learners = st.builds(Learner, c=st.integers(1, 9), eta=st.floats(0.05, 1.0), batch=st.integers(1, 70))


@given(streams, st.integers(1, 5), st.integers(1, 7), st.integers(0, 2**32))
@settings(deadline=None)
def test_a_learner_attends_to_what_was_seen_too_seldom_before_its_batch(
    stream: tuple[int, np.ndarray], c: int, batch: int, seed: int
) -> None:
    patterns, queries = stream
    learner = Learner(c, 0.5, batch)
    thresholds = learner.thresholds(patterns, size=1, rng=seed)
    assert (thresholds >= c).all()
    row = queries[0].tolist()
    seen = [row[: t // batch * batch].count(z) for t, z in enumerate(row)]
    expected = [z > 0 and k < thresholds[0, z - 1] for z, k in zip(row, seen, strict=True)]
    assert learner.attends(queries, thresholds)[0].tolist() == expected


@given(streams, st.integers(1, 6))
@settings(deadline=None)
def test_without_chance_it_is_the_router_of_t3_step_by_step_and_costs_what_t3_says(
    stream: tuple[int, np.ndarray], c: int
) -> None:
    patterns, queries = stream
    learner = Learner(c)
    attended = learner.attends(queries, learner.thresholds(patterns, size=1))
    counts = np.bincount(queries[0], minlength=patterns + 1)[1:]
    assert attended.sum() == np.minimum(c, counts).sum()
    if counts.any():
        played = play(Stream.fixed(queries[0].tolist(), values=3, patterns=patterns), FirstExposures(c), 0, 1)
        assert np.array_equal(played.attended, attended)
        assert attended.sum() >= t3.least_attention(counts.tolist(), 3, 0)


@given(laws, learners, st.lists(st.integers(1, 3000), min_size=1, max_size=4))
@settings(deadline=None)
def test_its_exact_curve_is_that_of_t4_at_the_last_end_of_a_batch(
    p: np.ndarray, learner: Learner, n: list[int]
) -> None:
    lengths = np.array(n)
    learned = lengths // learner.batch * learner.batch
    found = learner.on_stream(lengths, p)
    np.testing.assert_allclose(found[learned < learner.c], 1.0, rtol=1e-12)
    known = learned >= learner.c
    if known.any() and p.size > 1:
        s = -np.log(p[1] / p[0]) / np.log(2)
        exact = t4.attention(learned[known], s, patterns=p.size, c=learner.c, rate=learner.eta)[0]
        np.testing.assert_allclose(found[known], exact, rtol=1e-6, atol=1e-12)
        closed = t4.closed_form(learned[known], s, patterns=p.size, c=learner.c, rate=learner.eta)
        assert (
            np.abs(found[known] - closed) <= t4.error_bound(learned[known], c=learner.c, rate=learner.eta) + 1e-9
        ).all()


@given(laws, st.floats(0.05, 1.0), st.integers(1, 500))
@settings(deadline=None)
def test_summed_over_a_stream_it_is_the_attention_of_t3(p: np.ndarray, eta: float, steps: int) -> None:
    total = Learner(eta=eta).on_stream(np.arange(steps), p).sum()
    assert total == pytest.approx(float(t3.consolidating_attention(p.tolist(), steps, eta=eta)), rel=1e-9)


@given(laws, learners, st.integers(0, 2**32))
@settings(deadline=None, max_examples=10)
def test_played_it_follows_both_exact_curves(p: np.ndarray, learner: Learner, seed: int) -> None:
    on_stream = follow_stream(learner, p, [1, 30, 200, 600], streams=200, level=CERTAIN, rng=seed)
    assert on_stream.holds, on_stream
    on_exposures = follow_exposures(learner, p, [0, 1], length=400, streams=200, level=CERTAIN, rng=seed)
    assert on_exposures.holds, on_exposures


@pytest.mark.parametrize("s", EXPONENTS)
def test_zipf_streams_are_followed_within_the_stated_error(s: float) -> None:
    p, n = t4.frequencies(s, 100), [64, 256, 1024, 4096]
    for learner in (Learner(), Learner(c=5), Learner(eta=0.2), Learner(c=3, batch=64)):
        found = follow_stream(learner, p, n, streams=500, level=CERTAIN, rng=1)
        assert found.holds
        assert found.bound < 0.1
        assert found.error < 0.012
        wrong = dataclasses.replace(found, exact=Learner(learner.c + 4, learner.eta, learner.batch).on_stream(n, p))
        assert wrong.error > 0.03  # the error tells thresholds apart


def test_the_exponent_may_be_quoted_only_where_the_exact_curve_has_it() -> None:
    ranges = {s: (t4.power_law_range(s, patterns=100), t4.power_law_range(s, patterns=10_000)) for s in EXPONENTS}
    assert [s for s in EXPONENTS if ranges[s][0] is not None] == [1.754, 2.0, 3.0]
    for s in (1.754, 2.0, 3.0):
        low, high = ranges[s][1]
        n = np.array([max(16, np.ceil(low)), min(4096, np.floor(high))]).astype(int)
        found = follow_stream(Learner(), t4.frequencies(s, 10_000), n, streams=400, rng=2)
        assert found.holds
        slope = np.log(found.mean[0] / found.mean[1]) / np.log(n[1] / n[0])
        assert slope == pytest.approx(1 - 1 / s, abs=0.03)


@pytest.mark.parametrize(
    "law", [MixingLaw("beta", 0.43, 1.0), MixingLaw("gamma", 0.43, 2.0), MixingLaw("beta", 0.5, 3.0, 0.1)]
)
def test_patterns_with_a_rate_each_follow_t7_whatever_their_frequencies(law: MixingLaw) -> None:
    k = [0, 1, 3, 10, 30, 100]
    for s in (0.0, 1.25, 2.0):
        found = follow_exposures(
            Learner(eta=law), t4.frequencies(s, 20), k, length=3000, streams=300, level=CERTAIN, rng=3
        )
        assert found.holds
        assert found.error < 0.05
        point = dataclasses.replace(found, exact=Learner(eta=law.mean).on_exposures(k))
        assert not point.holds  # one rate for all is another curve


def test_every_pattern_may_have_a_threshold_of_its_own() -> None:
    p, c = t4.frequencies(1.5, 4), (1, 7, 2, 30)
    learner = Learner(c)
    assert np.array_equal(learner.thresholds(4, size=3), np.broadcast_to(c, (3, 4)))
    found = follow_stream(learner, p, [5, 20, 80], streams=500, level=CERTAIN, rng=4)
    assert found.holds
    assert not dataclasses.replace(found, exact=Learner(c[::-1]).on_stream(found.x, p)).holds


def test_a_pattern_that_never_consolidates_is_always_attended() -> None:
    learner = Learner(eta=MixingLaw("point", np.inf, 0.5, never=1.0))
    queries = np.ones((2, 500), np.int64)
    assert learner.attends(queries, learner.thresholds(1, size=2)).all()


def test_what_is_no_learner_or_has_no_such_curve_is_refused() -> None:
    for wrong in ({"c": 0}, {"c": (1, 0)}, {"batch": 0}, {"eta": 0.0}, {"eta": 1.1}):
        with pytest.raises(InputError):
            Learner(**wrong)
    law = MixingLaw("beta", 1.0, 1.0)
    with pytest.raises(InputError, match="no closed curve against the stream"):
        Learner(eta=law).on_stream(5, [1.0])
    for mixed in (Learner((1, 2)), Learner(2, law)):
        with pytest.raises(InputError, match="no one P"):
            mixed.on_exposures(3)
    with pytest.raises(InputError, match="seen 9 times"):
        follow_exposures(Learner(), [1.0], [9], length=5, streams=3)

"""Rules of the checks on streams: every verdict can come out, and rests on all that was compared."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from theory.phenomena.measures.streams import told_of
from theory.policies import POLICIES, heads
from theory.policies import phenomena as checks
from theory.policies.eviction import Cache, LazyEviction
from theory.policies.policy import LEAST_SIGNAL
from theory.policies.streams import LEAST_MATCH, Array, Setting


def gain(mean: float, size: int = 12) -> Array:
    """Differences by stream whose interval is narrow."""
    return mean + 0.01 * np.linspace(-1, 1, size)


@pytest.mark.parametrize(
    ("means", "ruled", "verdict"),
    [
        ((0.2, 0.1), "shown", "reproduced"),
        ((0.2, 0.0), "shown in part", "reproduced under conditions"),
        ((0.2, -0.2), "shown in part", "reproduced under conditions"),
        ((0.0, 0.0), "not shown", "not reproduced"),
        ((0.0, -0.2), "reversed", "reversed"),
        ((-0.2, -0.1), "reversed", "reversed"),
    ],
)
def test_several_rivals_are_ruled_on_together(means: tuple[float, float], ruled: str, verdict: str) -> None:
    cases = {("h2o", 1 / 8): gain(means[0]), ("a2sf", 3 / 16): gain(means[1])}
    found = checks.over_cases("lazy-eviction", "it is better", cases, {})
    assert found.verdict == ruled
    row = told_of(found, checks.lagged_eviction_beats_accumulated_attention)
    assert row.verdict == verdict
    # the row names rivals and budgets, the greatest difference first and the least last
    names = ["lazy-eviction less h2o, budget 1/8", "lazy-eviction less a2sf, budget 3/16"]
    assert sorted(number.name for number in row.numbers) == sorted(names)
    assert [number.value for number in row.numbers] == pytest.approx(sorted(means, reverse=True))
    assert "h2o at 1/8" in row.reason
    assert "a2sf at 3/16" in row.reason


def test_the_rivals_are_all_that_evict_by_attention() -> None:
    """A cache evicts by attention where its score, or what it sees of each token, depends on weights."""
    by_attention = set()
    for system in POLICIES:
        policy = system.policy()
        if isinstance(policy, Cache) and not isinstance(policy, LazyEviction):
            source = inspect.getsource(type(policy).rate).partition(":\n")[2]
            by_attention |= {system.id} if "weights" in source else set()
    assert by_attention == set(checks.BY_ATTENTION)


@pytest.mark.parametrize(
    ("threshold", "ruled"),
    [(LEAST_MATCH, "not testable"), (0.6, "not shown"), (0.3, "shown")],
)
def test_a_compensation_token_is_tested_where_it_can_change_an_answer(
    monkeypatch: pytest.MonkeyPatch, threshold: float, ruled: str
) -> None:
    monkeypatch.setattr("theory.policies.heads.LEAST_MATCH", threshold)
    found = checks.a_compensation_token_recovers_what_was_dropped(Setting())
    most = found.numbers["largest contribution of the token"]
    assert found.verdict == ruled
    assert (most <= LEAST_SIGNAL) == (ruled == "not testable")
    assert (f"{most:.2g} at most" in found.reason) == (ruled == "not testable")


def test_the_contribution_is_what_the_compensation_token_recalls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured from the evidence of both policies, it is the largest answer of the token itself."""
    largest = 0.0
    recall = heads.RazorAttention.recall

    def watched(policy: heads.RazorAttention, t: int) -> Array | None:
        nonlocal largest
        given = recall(policy, t)
        if given is not None and (asks := policy.seen.query[:, 0, t, -1] > 0).any():
            largest = max(largest, float(np.abs(given[asks] @ policy.seen.codes.T).max()))
        return given

    monkeypatch.setattr(heads.RazorAttention, "recall", watched)
    found = checks.a_compensation_token_recovers_what_was_dropped(Setting())
    assert found.numbers["largest contribution of the token"] == pytest.approx(largest, abs=1e-6)
    assert 0 < largest < LEAST_SIGNAL

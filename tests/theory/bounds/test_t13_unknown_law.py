"""T13: rent or buy and cells, against linear programs, brute force and requests that are played."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import theory
from cogfit.errors import InputError
from theory.bounds import t13_unknown_law as t13
from theory.tasks.retrieval import FirstExposures, Stream, play

REQUESTS = st.lists(st.integers(1, 4), min_size=1, max_size=12)


@given(st.integers(2, 12), st.integers(0, 40), st.integers(1, 60))
@settings(max_examples=40)
def test_a_threshold_costs_its_factor_at_worst(price: int, guesses: int, m: int) -> None:
    cost = Fraction(min(m, guesses), price) + (m > guesses)
    needed = min(Fraction(m, price), Fraction(1))
    assert cost <= t13.threshold_factor(guesses, price) * needed
    assert t13.threshold_factor(guesses, price) >= t13.deterministic_factor(price)
    assert t13.threshold_factor(price - 1, price) == t13.deterministic_factor(price)


@pytest.mark.parametrize("price", [2, 3, 5, 9])
def test_the_best_random_rule(price: int) -> None:
    assert t13.rules(price).optimum().value == pytest.approx(float(t13.random_factor(price)), abs=1e-9)
    document = t13.rules_certificate(price)
    assert theory.verify(document).ok
    assert not theory.verify({**document, "value": str(t13.random_factor(price) - Fraction(1, 10**6))}).ok
    assert t13.random_factor(price) < min(math.e / (math.e - 1), t13.deterministic_factor(price))
    # more queries than B + 1 make it no worse
    q = 1 - Fraction(1, price)
    chances = [q ** (price - 1 - t) for t in range(price)]
    costs = [
        sum(p * (Fraction(min(m, t), price) + (m > t)) for t, p in enumerate(chances)) / sum(chances)
        for m in range(1, 4 * price)
    ]
    needed = [min(Fraction(m, price), Fraction(1)) for m in range(1, 4 * price)]
    assert max(cost / need for cost, need in zip(costs, needed, strict=True)) == t13.random_factor(price)


def test_recorded_values() -> None:
    for w, factor, random in ((1, 1.5, 1.333), (5, 1.8333, 1.504), (20, 1.9524, 1.560)):
        assert float(t13.deterministic_factor(1 + w)) == pytest.approx(factor, abs=1e-4)
        assert float(t13.random_factor(1 + w)) == pytest.approx(random, abs=1e-3)
    for cells, value in ((1, 1.4995), (2, 1.8300), (3, 2.0808), (5, 2.448)):
        assert float(t13.harmonic(cells + 1)) == pytest.approx(value, abs=4e-3)


def test_knowing_the_law_is_worth_nothing_without_errors() -> None:
    for law in ([0.7, 0.2, 0.1], [1 / 3] * 3):
        run = play(Stream.independent(law, values=3, length=12), FirstExposures(), 0, 300)
        distinct = [len(set(row)) for row in run.queries.tolist()]
        assert run.attended.sum(axis=1).tolist() == distinct
        assert not run.error.any()
    assert t13.budget_program().optimum().value == pytest.approx(1.5)


def least_misses(requests: tuple[int, ...], cells: int, *, bypass: bool) -> int:
    """All choices, by recursion over what is held."""

    @cache
    def after(t: int, held: frozenset[int]) -> int:
        if t == len(requests):
            return 0
        z = requests[t]
        if z in held:
            return after(t + 1, held)
        kept = [held | {z}] if len(held) < cells else [held - {drop} | {z} for drop in held]
        return 1 + min(after(t + 1, frozenset(choice)) for choice in [*kept, *([held] if bypass else [])])

    return after(0, frozenset())


@given(REQUESTS, st.integers(1, 3), st.booleans())
@settings(max_examples=40)
def test_who_knows_the_future_misses_least(requests: list[int], cells: int, bypass: bool) -> None:
    assert t13.misses_known_future(requests, cells, bypass=bypass) == least_misses(
        tuple(requests), cells, bypass=bypass
    )


@given(st.lists(st.integers(1, 6), min_size=1, max_size=200), st.integers(1, 4))
@settings(max_examples=50)
def test_the_least_recently_used_misses_at_most_m_plus_one_times_more(requests: list[int], cells: int) -> None:
    assert t13.misses_least_recent(requests, cells) <= (cells + 1) * (t13.misses_known_future(requests, cells) + 1)


def test_forced_storing_has_other_factors() -> None:
    for cells in (1, 2, 3):
        cycle = [t % (cells + 1) for t in range(600)]
        misses = t13.misses_least_recent(cycle, cells)
        assert misses / t13.misses_known_future(cycle, cells, bypass=False) == pytest.approx(cells, rel=0.02)
        assert misses / t13.misses_known_future(cycle, cells) == pytest.approx(cells + 1, rel=0.02)
    uniform = np.random.default_rng(0).integers(0, 3, 6000).tolist()
    for bypass, expected in ((True, t13.harmonic(3)), (False, t13.harmonic(2))):
        factor = 2000 / t13.misses_known_future(uniform, 2, bypass=bypass)
        assert factor == pytest.approx(float(expected), rel=0.03)


def test_a_phase_of_uniform_requests_needs_one_miss() -> None:
    rng = np.random.default_rng(3)
    for cells in (1, 2, 3):
        requests = rng.integers(0, cells + 1, 3000).tolist()
        phases, asked = 0, set[int]()
        for z in requests:
            asked.add(z)
            if len(asked) == cells + 1:
                phases, asked = phases + 1, set()
        assert phases <= t13.misses_known_future(requests, cells) <= phases + cells + 1
        assert 3000 / phases == pytest.approx(float((cells + 1) * t13.harmonic(cells + 1)), rel=0.06)


def test_false_versions_of_the_certificate_fail() -> None:
    parts = theory.check_theorem("T13").certificate["parts"]
    chain, cells = (next(p for p in parts if p["title"].startswith(start)) for start in ("uniform", "who keeps"))
    assert not theory.verify({**chain, "facts": ["5*mean == steps - 5 + left"]}).ok
    assert not theory.verify({**cells, "facts": ["attention == queries/3 + 1"]}).ok
    thresholds = next(p for p in parts if p["kind"] == "arithmetic")
    worse = [fact.replace("2 - 1/4", "2 - 1/5") for fact in thresholds["facts"]]
    assert not theory.verify({**thresholds, "facts": worse}).ok
    labelled, forced = t13._controls()
    assert theory.verify(labelled).ok
    assert theory.verify(forced).ok
    assert not theory.verify({**labelled, "feedback": False, "update": {"known": "known"}}).ok


@pytest.mark.parametrize(
    "call",
    [
        lambda: t13.deterministic_factor(1),
        lambda: t13.random_factor(0),
        lambda: t13.threshold_factor(-1, 4),
        lambda: t13.rules(1),
        lambda: t13.misses_least_recent([1], 0),
        lambda: t13.misses_known_future([1], 0),
    ],
)
def test_bad_input_is_named(call: object) -> None:
    with pytest.raises(InputError):
        call()  # type: ignore[operator]


def test_the_verdict_and_the_table_for_the_figure() -> None:
    verdict = theory.check_theorem("T13")
    assert verdict.status == "proved"
    assert verdict.verify().ok
    table = t13.curves().pivot_table(index=["curve", "x"], columns="kind", values="value")
    both = table[["bound", "exact"]].dropna()
    assert (both["bound"] - both["exact"]).abs().max() < 1e-9
    for (_, cells), row in table[["bound", "achieved"]].dropna().iterrows():
        assert row["achieved"] == pytest.approx(row["bound"], rel=0.08), cells
    assert len(list(itertools.chain(both.index))) == 12

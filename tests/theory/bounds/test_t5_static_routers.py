"""T5: static routers with memory against theory, brute force and routers that are played."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import zeta

import theory
from cogfit.errors import InputError
from theory.bounds import t5_static_routers as t5
from theory.bounds.t1_memoryless import Memoryless
from theory.bounds.t5_static_routers import Law, Remembering
from theory.tasks.retrieval import FirstExposures, Stream, play, zipf

LAWS = st.one_of(
    st.builds(Law, st.sampled_from([0.0, 0.5, 1.0, 1.7]), st.integers(1, 60)),
    st.builds(Law, st.floats(1.2, 3.5), st.just(math.inf)),
)


@given(st.integers(1, 100_000), st.floats(0.0, 1.0))
def test_the_least_cost_of_a_pattern_is_within_the_limits(m: int, rho: float) -> None:
    best, least = t5.best_rate(m)
    low, high = t5.limits(m)
    assert low <= least * (1 + 1e-12)
    assert least <= high * (1 + 1e-12)
    assert least <= t5.cost(m, rho) * (1 + 1e-12)  # convex: no rate is better
    assert t5.cost(m, best) == pytest.approx(least)


@given(st.integers(1, 12), st.fractions(0, 1, max_denominator=30))
def test_the_cost_is_the_sum_it_stands_for(m: int, rho: Fraction) -> None:
    exact = m * rho + sum((1 - rho) ** j for j in range(1, m + 1))
    assert t5.cost(m, float(rho)) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("m", range(2, 26))
def test_the_least_cost_is_certified_for_each_m(m: int) -> None:
    document = t5.least_cost_certificate(m)
    assert theory.verify(document).ok
    sturm, arithmetic = document["parts"]
    above = [str(Fraction(sturm["coefficients"][0]) - Fraction(1, 10**4)), *sturm["coefficients"][1:]]
    assert not theory.verify(sturm | {"coefficients": above}).ok  # J − (minimum + 10⁻⁴) has roots
    assert not theory.verify(arithmetic | {"facts": ["at < least"]}).ok


def test_the_algebra_needs_its_assumptions() -> None:
    documents = [document for document in t5._ALGEBRA if document["kind"] == "smt"]
    assert len(documents) == 3
    for document in documents:
        assert theory.verify(document).ok
        lines = document["script"].splitlines()
        without = [line for line in lines if not line.startswith("(assert (and")]
        assert len(without) == len(lines) - 1
        assert not theory.verify(document | {"script": "\n".join(without)}).ok  # rates and counts of any size


@given(st.integers(1, 50), st.floats(0.01, 1.0), st.integers(0, 5))
def test_a_sparse_rate_has_few_errors_at_any_length(patterns: int, delta: float, doubling: int) -> None:
    n = math.ceil(patterns / delta) * 2**doubling
    rho, attention = t5.sparse_rate(patterns, n, delta)
    assert attention == patterns / delta
    assert rho * n == pytest.approx(attention)
    counts = np.full(patterns, n / patterns)
    errors = (t5.cost(counts, rho) - counts * rho).sum()  # times V/(V−1) ≥ 1
    assert errors <= delta * n


def test_the_counterexample_beats_the_memoryless_bound_when_played() -> None:
    patterns, n, delta = 4, 800, 0.1
    rho, attention = t5.sparse_rate(patterns, n, delta)
    stream = Stream.fixed(list(range(1, patterns + 1)) * (n // patterns), values=8)
    run = play(stream, Remembering(lambda t: rho), 0, 2000)
    assert run.attended.sum(axis=1).mean() == pytest.approx(attention, rel=0.02)
    assert run.error.sum(axis=1).mean() <= delta * n
    assert attention < 0.1 * n * (1 - delta * 8 / 7)
    with pytest.raises(InputError, match="K/N"):
        t5.sparse_rate(10, 50, 0.1)


@given(LAWS, st.integers(1, 30_000))
@settings(max_examples=40)
def test_classes_are_ordered_and_within_their_limits(law: Law, n: int) -> None:
    cost = {name: item.cost(n, law) for name, item in t5.ROUTERS.items()}
    slack = 1e-6 * n + 1e-9
    for better, worse in (("static", "memoryless"), ("static_by_pattern", "static"),
                          ("closed_loop", "static_by_pattern"), ("open_loop", "memoryless"),
                          ("closed_loop", "open_loop")):  # fmt: skip
        assert cost[better] <= cost[worse] + slack
    for name, item in t5.ROUTERS.items():
        low, high = item.limits(n, law)
        assert not low > cost[name] + slack
        assert not high < cost[name] - slack


@given(st.integers(1, 200), st.floats(1.0, 1e4))
def test_an_open_loop_needs_a_logarithm_of_equally_frequent_patterns(patterns: int, ratio: float) -> None:
    n = round(patterns * ratio)
    assert t5.least_cost("open_loop", n, patterns=patterns) <= patterns * math.log(n / patterns) + patterns + 1e-9


@pytest.mark.parametrize("probabilities", [(0.5, 0.5), (0.7, 0.2, 0.1)])
def test_no_schedule_is_better_than_to_attend_first_and_then_never(probabilities: tuple[float, ...]) -> None:
    n, p = 6, np.array(probabilities)
    costs = {}
    for rates in itertools.product((0.0, 0.5, 1.0), repeat=n):
        unseen, total = np.ones(p.size), 0.0
        for rho in rates:
            total += rho + (1 - rho) * (p * unseen).sum()
            unseen = unseen * (1 - rho * p)
        costs[rates] = total
    best = min(costs, key=costs.__getitem__)
    assert best == tuple(sorted(best, reverse=True))
    assert set(best) <= {0.0, 1.0}


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_the_best_schedule_is_found(n: int) -> None:
    expected = min(x + (n - x) * (4 / 5) ** x for x in range(n + 1))
    assert t5.least_cost("open_loop", n, patterns=5) == pytest.approx(expected)
    grid = np.linspace(0.001, 1.0, 5000)
    one_rate = min(n * rho + (1 - rho) / rho * 5 * (1 - (1 - rho / 5) ** n) for rho in grid)
    assert t5.least_cost("static", n, patterns=5) == pytest.approx(one_rate, rel=1e-5)
    by_pattern = t5.least_cost("static_by_pattern", n, patterns=5)
    assert by_pattern == pytest.approx(one_rate, rel=1e-5)  # frequencies are equal, so are the rates


@pytest.mark.parametrize("s", [1.5, 2.0])
def test_growth_for_zipf_frequencies(s: float) -> None:
    gamma = 1 - 1 / s
    for name, exponent in (("static", 1 / (1 + gamma)), ("open_loop", 1 / (1 + gamma)), ("closed_loop", 1 / s)):
        near, far = (t5.least_cost(name, n, s) for n in (10**5, 10**7))
        assert math.log(far / near) / math.log(100) == pytest.approx(exponent, abs=0.015)
        assert far == pytest.approx(t5.ROUTERS[name].asymptote(10**7, Law(s, math.inf)), rel=0.03)


@given(st.floats(1.05, 1.9), st.integers(10, 10**5))
@settings(max_examples=30)
def test_a_static_router_that_knows_the_frequencies_has_the_order_of_a_closed_loop(s: float, n: int) -> None:
    scale = (n / zeta(s)) ** (1 / s)
    cost = t5.least_cost("static_by_pattern", n, s)
    assert cost <= (2 / (1 - s / 2) + 1 / (s - 1)) * scale + 1
    assert cost >= t5.least_cost("closed_loop", n, s) * (1 - 1e-6)


def test_played_routers_cost_what_is_computed() -> None:
    n, law = 300, Law(1.0, 12)
    stream = Stream.independent(zipf(12, 1.0), values=5, length=n)
    rho = 0.11
    static = n * rho + (1 - rho) / rho * law.distinct(n, rho)
    first = 40 + (n - 40) * law.unseen(40)
    for router, expected in (
        (Memoryless(0.3), n),
        (Remembering(lambda t: rho), static),
        (Remembering(lambda t: float(t < 40)), first),
        (FirstExposures(1), law.distinct(n)),
    ):
        mean, low, high = t5.simulate(router, stream, streams=2000, level=0.999, rng=3)
        assert low < expected < high
        assert mean == pytest.approx(expected, rel=0.05)


def test_labels_break_the_lower_limit() -> None:
    stream = Stream.fixed([1] * 50, values=4, feedback=True)
    mean, _, high = t5.simulate(Remembering(lambda t: 0.0), stream, streams=2000)
    assert mean == pytest.approx(1.0, abs=0.1)  # one guess, then the label is remembered
    assert high < t5.limits(50)[0]


@pytest.mark.parametrize(
    "call",
    [
        lambda: t5.best_rate(0),
        lambda: t5.cost(3, 1.5),
        lambda: t5.cost(-1, 0.5),
        lambda: t5.least_cost("stattic", 10, patterns=3),
        lambda: t5.least_cost("static", 10, 0.5),
        lambda: t5.least_cost("static", 0, patterns=3),
    ],
)
def test_bad_input_is_named(call: object) -> None:
    with pytest.raises(InputError):
        call()  # type: ignore[operator]


@pytest.mark.slow
def test_the_verdict_and_the_table_for_the_figure() -> None:
    verdict = theory.check_theorem("T5")
    assert verdict.status == "proved"
    assert verdict.verify().ok
    table = t5.curves()
    assert set(table["router"]) == set(t5.ROUTERS)
    assert not (table["low"] > table["exact"] * (1 + 1e-6)).any()
    assert not (table["high"] < table["exact"] * (1 - 1e-6)).any()
    end = table[(table["n"] == table["n"].max()) & (table["patterns"] == 100)].set_index("router")["exact"]
    assert end["closed_loop"] < end["open_loop"] < end["static"] < end["memoryless"]

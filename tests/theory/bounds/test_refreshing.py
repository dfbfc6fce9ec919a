"""Learners that attend again: their exact costs against loops of their own, and what T9 says of the best rule."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.bounds.learners import AsRouter, Learner
from theory.bounds.refreshing import COSTS, Refreshing, age_cost, best, chance_cost, count_cost
from theory.bounds.t7_exposure_axis import MixingLaw
from theory.bounds.t9_drift import LEARNERS, blind_rate, floor
from theory.tasks.retrieval import FirstExposures, Stream, play, uniform, zipf

QUERIES = st.floats(0.02, 1.0)
REDRAWS = st.floats(1e-4, 0.9)


def simulated(rule: str, parameter: float, q: float, rho: float, steps: int, seed: int) -> float:
    """Cost per step of one pattern, step by step, without anything of the package."""
    chance, age, asked, is_stale, cost = random.Random(seed), 0, 0, False, 0
    for _ in range(steps):
        age += 1
        is_stale |= chance.random() < rho
        if chance.random() >= q:
            continue
        asked += 1
        again = {"age": age >= parameter, "count": asked >= parameter, "chance": chance.random() < parameter}[rule]
        cost += again or is_stale  # V/(V−1)·(1 − 1/V) = 1
        if again:
            age, asked, is_stale = 0, 0, False
    return cost / steps


@pytest.mark.parametrize(("rule", "parameter"), [("age", 7), ("age", 1), ("count", 3), ("chance", 0.3)])
def test_costs_are_those_of_a_simulation(rule: str, parameter: float) -> None:
    q, rho, steps = 0.3, 0.05, 100_000
    exact = float(COSTS[rule](parameter, q, rho))
    assert simulated(rule, parameter, q, rho, steps, seed=3) == pytest.approx(exact, abs=4 * math.sqrt(2 * q / steps))


@given(QUERIES, REDRAWS)
@settings(max_examples=40)
def test_age_is_the_best_rule_and_none_is_below_the_bound(q: float, rho: float) -> None:
    tau, least = blind_rate(q, rho)
    assert least == pytest.approx(float(age_cost(tau, q, rho)))
    assert least >= floor([1.0], rho, q) - 1e-12
    grid = np.arange(1, 400)
    assert age_cost(grid, q, rho).min() >= least - 1e-12
    assert count_cost(grid, q, rho).min() >= least - 1e-12
    assert chance_cost(grid / 400, q, rho).min() >= least - 1e-12


@given(QUERIES, REDRAWS)
@settings(max_examples=20)
def test_always_and_never_cost_a_query(q: float, rho: float) -> None:
    """Never to attend again is wrong in the end as often as a guess: it pays for every query, and so for ever."""
    for cost in (age_cost(1, q, rho), count_cost(1, q, rho), chance_cost(1.0, q, rho), chance_cost(0.0, q, rho)):
        assert float(cost) == pytest.approx(q)


def test_without_a_sense_of_age_the_price_is_a_factor_of_root_two() -> None:
    q, rho = 0.5, 1e-6
    scale = math.sqrt(2 * q * rho)
    assert best("age", [q], rho)[1] == pytest.approx(scale, rel=0.01)
    assert best("count", [q], rho)[1] == pytest.approx(scale, rel=0.01)
    assert best("chance", [q], rho)[1] == pytest.approx(math.sqrt(2) * scale, rel=0.01)


def test_routers_pay_what_their_rules_cost() -> None:
    q, rho = 0.5, 0.08
    law = Stream.independent(uniform(1), values=6, length=1500, retrieval=q, redraw=rho)
    for rule, router in (
        ("age", Refreshing(age=5)),
        ("count", Refreshing(every=4)),
        ("chance", Refreshing(chance=0.3)),
    ):
        cost = play(law, router, 2, 100).charge(6) * q
        parameter = {"age": 5, "count": 4, "chance": 0.3}[rule]
        assert abs(cost.mean() - float(COSTS[rule](parameter, q, rho))) < 4 * cost.std() / 10 + 2 / 1500


def test_where_values_stay_nothing_is_attended_again() -> None:
    law = Stream.independent(uniform(3), values=4, length=100)
    assert blind_rate(0.5, 0.0)[1] == 0.0
    for router in (Refreshing(), LEARNERS["blind"].router(law), LEARNERS["seen"].router(law)):
        run = play(law, router, 0, 30)
        assert np.array_equal(run.attended, run.first)
        assert not run.error.any()


@pytest.mark.parametrize(
    "learner",
    [Learner(), Learner(c=3), Learner(eta=0.3), Learner(batch=16), Learner(eta=MixingLaw("beta", 0.5, 1.0))],
)
def test_a_learner_as_a_router_attends_as_it_does(learner: Learner) -> None:
    law = Stream.independent(zipf(6, 1), values=3, length=80)
    run = play(law, AsRouter(learner), 4, 60)
    rng = np.random.default_rng(4)  # play draws the tables and the queries first
    law.tables(rng, 60)
    queries = law.queries(rng, 60)
    assert np.array_equal(run.attended, learner.attends(queries, learner.thresholds(6, size=60, rng=rng)))
    assert not run.error.any()  # it was shown what it answers


def test_a_threshold_is_the_consolidating_learner() -> None:
    law = Stream.independent(zipf(6, 1), values=3, length=80, redraw=0.05)
    one, two = (play(law, router, 4, 60) for router in (AsRouter(Learner(c=2)), FirstExposures(2)))
    shares = np.array([[run.attended.mean(), run.error.mean()] for run in (one, two)])
    assert shares[0] == pytest.approx(shares[1], abs=0.02)

"""λ, by which "not distinguishable" says how much more would decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cogfit
from cogfit.designing import LogPlan
from cogfit.engine.arma import Arma
from cogfit.formulas.registry import get_form
from cogfit.planning.advice import DECISIVE, advise, separation
from cogfit.planning.situation import Law

POWER = Law(get_form("power"), {"A": 1.0, "gamma": 0.43})
RIVAL = Law(get_form("exponential_floor"), {"A": 0.5, "r": 0.05, "c": 0.2})


def test_the_distance_is_that_of_an_independent_fit():
    from scipy.optimize import curve_fit

    x = np.arange(1.0, 81.0)
    situation = LogPlan(n=80, sd=0.05, errors="even").situation(POWER)
    mean = POWER.values(x)
    sd = 0.05 * np.sqrt(np.mean(mean**2))
    best, _ = curve_fit(lambda x, a, r, c: a * np.exp(-r * x) + c, x, mean, p0=[0.5, 0.1, 0.2])
    miss = (best[0] * np.exp(-best[1] * x) + best[2] - mean) / sd
    assert separation(situation, POWER, RIVAL) == pytest.approx(float(miss @ miss), rel=1e-5)


def test_correlated_errors_count_by_their_covariance():
    situation = LogPlan(n=60, sd=0.05, rho=0.7, errors="even").situation(POWER)
    x, mean = situation.template.x, POWER.values(situation.template.x)
    free = LogPlan(n=60, sd=0.05, errors="even").situation(POWER)
    from cogfit.engine import estimate

    fit = estimate.estimate(RIVAL.form, x, mean, np.ones(60))
    miss = RIVAL.form.evaluate(x, fit.params) - mean
    sd = 0.05 * np.sqrt(np.mean(mean**2))
    covariance = sd**2 * 0.7 ** np.abs(np.subtract.outer(np.arange(60), np.arange(60)))
    expected = float(miss @ miss) ** 2 / float(miss @ covariance @ miss)
    assert separation(situation, POWER, RIVAL) == pytest.approx(expected, rel=1e-4)
    assert separation(free, POWER, RIVAL) == pytest.approx(float(miss @ miss) / sd**2, rel=1e-4)


@settings(max_examples=25)
@given(st.floats(1.0, 25.0), st.sampled_from(["relative", "even"]), st.sampled_from([0.0, 0.6]))
def test_repetitions_raise_it_in_proportion(factor, errors, rho):
    situation = LogPlan(n=40, sd=0.05, rho=rho, errors=errors).situation(POWER)
    once = separation(situation, POWER, RIVAL)
    assert separation(situation.grown("repetitions", factor), POWER, RIVAL) == pytest.approx(factor * once, rel=1e-6)


@pytest.mark.parametrize(("lever", "rho"), [("points", 0.0), ("range", 0.0), ("range", 0.5)])
def test_more_of_anything_raises_it(lever, rho):
    situation = LogPlan(n=60, sd=0.05, rho=rho).situation(POWER)
    values = [separation(situation.grown(lever, factor), POWER, RIVAL) for factor in (1.0, 1.5, 2.0, 4.0, 8.0)]
    assert values == sorted(values)


def test_points_between_add_little_where_errors_are_correlated():
    free, tied = (LogPlan(n=100, sd=0.05, rho=rho).situation(POWER) for rho in (0.0, 0.9))
    gains = [separation(s.grown("points", 8.0), POWER, RIVAL) / separation(s, POWER, RIVAL) for s in (free, tied)]
    assert gains[0] == pytest.approx(8.0, rel=0.25)
    assert gains[1] < 2.0


def test_what_is_advised_reaches_what_decides():
    plan = LogPlan(n=60, sd=0.03)
    rival = Law(get_form("log_logistic_step"), {"A": 0.9, "x50": 3.0, "s": 0.7, "c": 0.1})
    situation = plan.situation(POWER)
    advice = advise(situation, POWER, [rival])
    assert advice is not None
    assert advice.numbers["now"] < DECISIVE
    for lever in ("points", "range", "repetitions"):
        if lever in advice.numbers:
            found = separation(situation.grown(lever, advice.numbers[lever]), POWER, rival)
            assert DECISIVE <= found <= 1.3 * DECISIVE


def test_nothing_is_advised_where_nothing_would_do():
    advice = advise(LogPlan(n=60, sd=2.0).situation(POWER), POWER, [RIVAL])
    assert advice == "to decide would take more than 30 times as much of anything"
    assert advise(LogPlan(n=1_000, sd=10.0).situation(POWER), POWER, [RIVAL]) is None  # 30 times as long is not tried


def test_a_fit_says_what_would_decide_in_every_unit():
    unit = 1e-6
    x = np.arange(1.0, 81.0)
    y = x**-0.43 * np.exp(np.random.default_rng(2).normal(0, 0.03, 80))
    fit = cogfit.fit(x, unit * y)
    assert fit.verdict.power_law == "not_distinguishable"
    (explained,) = (item for item in fit.explain() if item.decided_by == "cogfit.planning.advice.advise")
    assert explained.sentence in fit.verdict.reasons
    assert "would decide" in explained.sentence
    assert explained.threshold == f"λ ≥ {DECISIVE:g}"
    known = cogfit.fit(x, y).explain()
    (same,) = (item for item in known if item.decided_by == explained.decided_by)
    for name in ("now", "points", "range", "repetitions"):
        assert same.numbers[name] == pytest.approx(explained.numbers[name], rel=0.1)
    assert same.sentence == explained.sentence


def test_dependences_are_those_of_the_log():
    situation = LogPlan(n=60, sd=0.05, rho=0.5).situation(POWER)
    assert situation.scatter.errors.members[0][0] == Arma((0.5,))

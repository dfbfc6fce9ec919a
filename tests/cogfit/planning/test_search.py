"""The factor at which a rising rate reaches its goal, learned from counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogfit.native.distributions import normal_cdf, normal_quantile
from cogfit.planning.search import RisingRate, Trial

CEILING, SLOPE = 0.92, 1.4


def rate_at(factor: float, half: float) -> float:
    return CEILING * float(normal_cdf(SLOPE * (math.log(factor) - half)))


@pytest.mark.parametrize("half", [0.5, 1.3])
def test_the_factor_is_found_and_its_limits_hold_it(half):
    rng = np.random.default_rng(round(10 * half))
    truth = math.exp(half + float(normal_quantile(0.8 / CEILING)) / SLOPE)
    inside, estimates = 0, []
    for _ in range(25):
        rate = RisingRate(0.8, [Trial(1.0, int(rng.binomial(100, rate_at(1.0, half))), 100)])
        for _ in range(4):
            factor = rate.next_factor(100.0)
            rate.trials.append(Trial(factor, int(rng.binomial(25, rate_at(factor, half))), 25))
        low, high = rate.limits()
        inside += low <= truth <= high
        estimates.append(rate.factor())
    assert inside >= 18  # of 25 at 90 %, fewer with a probability of 1 %
    assert np.median(estimates) == pytest.approx(truth, rel=0.15)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.floats(1.0, 50.0), st.integers(0, 20)), min_size=1, max_size=5))
def test_limits_lie_about_the_factor(trials):
    rate = RisingRate(0.8, [Trial(factor, hits, 20) for factor, hits in trials])
    low, high = rate.limits()
    assert low <= rate.factor() <= high


def test_more_hits_need_less_more_of_it():
    factors = [RisingRate(0.8, [Trial(1.0, hits, 50)]).factor() for hits in range(0, 51, 10)]
    assert factors == sorted(factors, reverse=True)


@settings(max_examples=20)
@given(st.integers(0, 20), st.floats(1.0, 80.0))
def test_the_next_factor_lies_within_reach(hits, most):
    rate = RisingRate(0.8, [Trial(1.0, hits, 20)])
    assert 1.0 <= rate.next_factor(most) <= min(most, 6.0)

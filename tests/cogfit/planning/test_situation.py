"""Logs made larger, and curves drawn about a law: what theory says of their errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogfit.curves.arrays import array_curve
from cogfit.curves.curve import Clusters, Curve
from cogfit.designing import LogPlan
from cogfit.engine.arma import WHITE, Arma
from cogfit.engine.long_memory import FractionalNoise
from cogfit.errors import InputError
from cogfit.formulas.registry import get_form
from cogfit.inference.error_models import ErrorModel
from cogfit.planning.scatter import ClusterScatter, CountScatter, OutcomeScatter, SeriesScatter
from cogfit.planning.situation import MOST_POINTS, Law, Situation, situation_of

POWER = Law(get_form("power"), {"A": 1.0, "gamma": 0.43})


def template(x: np.ndarray) -> Curve:
    return array_curve(x, np.zeros(x.size))


def series(x: np.ndarray, dependence: Arma = WHITE, sd: float = 0.1, noise: str = "gaussian") -> Situation:
    return Situation(template(x), SeriesScatter(noise, ErrorModel(((dependence, sd),)), np.ones(x.size)))


def errors_of(situation: Situation, count: int = 400, seed: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    curves = np.stack([situation.draw(POWER, rng).y for _ in range(count)])
    return curves - POWER.values(situation.template.x)


def test_errors_of_a_series_have_their_size_and_dependence():
    x = np.arange(1.0, 61.0)
    errors = errors_of(series(x, Arma((0.8,))))
    assert errors.std() == pytest.approx(0.1, rel=0.05)
    assert np.mean(errors[:, 1:] * errors[:, :-1]) / errors.var() == pytest.approx(0.8, abs=0.03)


def test_relative_errors_are_those_of_the_logarithm():
    x = np.arange(1.0, 41.0)
    situation = series(x, sd=0.2, noise="lognormal")
    rng = np.random.default_rng(1)
    logs = np.stack([np.log(situation.draw(POWER, rng).y) for _ in range(400)]) - np.log(POWER.values(x))
    assert logs.std() == pytest.approx(0.2, rel=0.05)
    assert abs(logs.mean()) < 0.01


def test_each_curve_has_one_of_the_dependences_that_are_likely():
    x = np.arange(1.0, 81.0)
    both = ((WHITE, 0.1), (Arma((0.9,)), 0.1))
    errors = errors_of(Situation(template(x), SeriesScatter("gaussian", ErrorModel(both), np.ones(x.size))))
    correlation = (errors[:, 1:] * errors[:, :-1]).mean(axis=1) / (errors**2).mean(axis=1)
    assert 0.4 < np.mean(correlation > 0.45) < 0.6


@pytest.mark.parametrize("factor", [2.0, 4.0])
def test_points_between_keep_the_dependence_over_a_distance_of_x(factor):
    x = np.arange(1.0, 42.0)
    denser = series(x, Arma((0.7,))).grown("points", (1.0 + factor * 40.0) / 41.0)
    assert denser.template.x[[0, -1]].tolist() == [1.0, 41.0]
    step = int(factor)
    assert denser.template.x[::step] == pytest.approx(x)
    errors = errors_of(denser, 600)
    assert errors.std() == pytest.approx(0.1, rel=0.06)
    assert np.mean(errors[:, step:] * errors[:, :-step]) / errors.var() == pytest.approx(0.7, abs=0.04)


def test_other_dependences_are_kept_as_they_are():
    long = FractionalNoise(0.3)
    model = ErrorModel(((long, 1.0), (Arma((0.5, 0.2)), 1.0), (Arma((-0.4,)), 1.0)))
    denser = SeriesScatter("gaussian", model, np.ones(30)).at_places(np.linspace(0.0, 29.0, 59))
    assert denser.errors == model


@given(st.floats(1.01, 20.0), st.integers(10, 60), st.booleans())
def test_a_longer_range_goes_on_as_the_points_lie(factor, n, is_log):
    x = np.geomspace(1.0, 50.0, n) if is_log else np.arange(5.0, 5.0 + n)
    longer = series(x).grown("range", factor).template.x
    assert longer[:n].tolist() == x.tolist()
    assert longer[-1] <= x[-1] * factor * (1.0 + 1e-9)
    steps = np.diff(np.log(longer)) if is_log else np.diff(longer)
    assert steps == pytest.approx(np.full(steps.size, steps[0]))
    following = longer[-1] * np.exp(steps[0]) if is_log else longer[-1] + steps[0]
    assert following > x[-1] * factor * (1.0 - 1e-9)


@given(st.sampled_from(["points", "range", "repetitions"]))
def test_once_as_much_is_the_same(lever):
    situation = series(np.arange(1.0, 31.0), Arma((0.5,)))
    same = situation.grown(lever, 1.0)
    assert same.template.x.tolist() == situation.template.x.tolist()
    a, b = (one.draw(POWER, np.random.default_rng(3)).y for one in (situation, same))
    assert a == pytest.approx(b, abs=1e-12)


def test_errors_beyond_the_last_point_are_as_large_as_at_the_end():
    x = np.arange(1.0, 101.0)
    size = np.linspace(3.0, 1.0, 100)
    situation = Situation(template(x), SeriesScatter("gaussian", ErrorModel(((WHITE, 1.0),)), size))
    errors = errors_of(situation.grown("range", 2.0))
    assert errors[:, :10].std() == pytest.approx(2.9, rel=0.1)
    assert errors[:, 100:].std() == pytest.approx(1.1, rel=0.05)


def test_the_variance_of_a_mean_falls_with_the_runs():
    situation = series(np.arange(1.0, 31.0), Arma((0.6,)))
    more = situation.grown("repetitions", 9.0)
    assert more.scatter.repetitions == 9
    assert errors_of(situation).std() / errors_of(more).std() == pytest.approx(3.0, rel=0.06)


def test_counts_scatter_as_binomial_ones():
    x = np.arange(1.0, 21.0)
    situation = Situation(template(x), CountScatter(np.full(20, 50.0))).grown("repetitions", 2.0)
    curve = situation.draw(POWER, np.random.default_rng(0))
    assert curve.counts is not None
    assert set(curve.counts) == {100.0}
    assert np.allclose(curve.y * 100.0, np.rint(curve.y * 100.0))
    p = POWER.values(x)
    assert errors_of(situation, 1500).var(axis=0) == pytest.approx(p * (1.0 - p) / 100.0, rel=0.2)


def members(count: int, n: int) -> Curve:
    rng = np.random.default_rng(8)
    level = rng.normal(0.0, 0.2, (count, 1))
    values = POWER.values(np.arange(1.0, n + 1.0)) + level + rng.normal(0.0, 0.05, (count, n))
    curve = template(np.arange(1.0, n + 1.0))
    clusters = Clusters("runs", values, np.ones_like(values))
    return Curve(**{**vars(curve), "y": values.mean(axis=0), "clusters": clusters})


def test_members_are_drawn_as_wholes_about_the_law():
    curve = members(20, 15)
    situation = Situation(curve, ClusterScatter.from_curve(curve))
    errors = errors_of(situation, 800)
    assert curve.clusters is not None
    sampled = np.cov(np.asarray(curve.clusters.sums).T)
    assert np.cov(errors.T) == pytest.approx(sampled / 20.0, rel=0.25)
    assert errors_of(situation.grown("repetitions", 4.0), 800).var() == pytest.approx(errors.var() / 4.0, rel=0.15)
    drawn = situation.draw(POWER, np.random.default_rng(0))
    assert drawn.clusters is not None
    assert drawn.clusters.size == 20
    assert drawn.resampleable


def test_points_that_no_member_drawn_has_seen_are_left_out():
    curve = members(12, 6)
    assert curve.clusters is not None
    counts = np.ones((12, 6))
    counts[1:, 4] = 0.0
    clusters = Clusters("runs", np.asarray(curve.clusters.sums) * counts, counts)
    part = Curve(**{**vars(curve), "clusters": clusters})
    situation = Situation(part, ClusterScatter.from_curve(part))
    sizes = {situation.draw(POWER, np.random.default_rng(seed)).x.size for seed in range(20)}
    assert sizes == {5, 6}


def test_outcomes_of_patterns_have_the_probability_of_the_law():
    x = np.arange(1.0, 31.0)
    curve = Situation(template(x), OutcomeScatter(4000)).draw(POWER, np.random.default_rng(2))
    assert curve.y == pytest.approx(POWER.values(x), abs=0.04)
    assert curve.clusters is not None
    assert set(np.unique(curve.clusters.sums)) == {0.0, 1.0}


def test_too_many_members_are_refused():
    curve = members(12, 6)
    huge = ClusterScatter.from_curve(curve).repeated(1e7)
    with pytest.raises(InputError, match="too many"):
        huge.draw(curve, POWER.values(curve.x), np.random.default_rng(0))


@pytest.mark.parametrize("unit", [1.0, 1e-9, 1e9])
def test_the_situation_of_a_log_has_its_errors(unit):
    x = np.arange(1.0, 201.0)
    rng = np.random.default_rng(4)
    y = unit * (POWER.values(x) + 0.05 * rng.normal(size=200))
    curve = array_curve(x[::-1], y[::-1])
    from cogfit.engine import estimate

    fit = estimate.estimate(POWER.form, curve.x, curve.y, curve.weights)
    situation = situation_of(curve, POWER.form, fit)
    assert situation.template.x.tolist() == x.tolist()
    law = Law(POWER.form, fit.params)
    drawn = np.stack([situation.draw(law, np.random.default_rng(i)).y for i in range(60)]) - law.values(x)
    assert drawn.std() == pytest.approx(0.05 * unit, rel=0.15)


@given(patterns=st.integers(10, 4_000), n=st.integers(10, 20_000), share=st.floats(0.0, 1.0))
def test_whatever_there_may_be_more_of_can_be_drawn(patterns: int, n: int, share: float) -> None:
    """A log is made as much larger as it can be, and no further."""
    situation = LogPlan(n=n, patterns=patterns).situation(POWER)
    for lever in situation.levers:
        most = situation.most_times(lever)
        grown = situation.grown(lever, 2.0 + share * (min(most, 100.0) - 2.0))
        cells = grown.scatter.repetitions * grown.template.x.size
        assert cells <= 1.1 * grown.scatter.most_cells
        assert grown.template.x.size <= MOST_POINTS + 1


def test_members_of_a_long_curve_are_multiplied_as_far_as_they_can_be_drawn() -> None:
    x = np.tile(np.arange(1.0, 1_001.0), 40)
    groups = np.repeat(np.arange(40), 1_000)
    curve = array_curve(x, x**-0.4 + np.random.default_rng(0).normal(0, 0.05, x.size), groups=groups)
    situation = Situation(curve, ClusterScatter.from_curve(curve))
    most = situation.most_times("repetitions")
    assert most == pytest.approx(125.0)
    drawn = situation.grown("repetitions", most).draw(POWER, np.random.default_rng(1))
    assert drawn.clusters is not None
    assert drawn.clusters.size == 5_000

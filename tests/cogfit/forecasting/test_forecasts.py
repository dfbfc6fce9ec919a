"""Forecasts: they cover what comes, agree with what was fitted, and are refused where the forms disagree."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cogfit
from cogfit.curves.curve import Curve
from cogfit.engine.arma import WHITE
from cogfit.engine.estimate import estimate
from cogfit.errors import InputError
from cogfit.forecasting.answers import predict, reach
from cogfit.forecasting.drawing import LIMITS, Candidate, ensemble_of
from cogfit.forecasting.ensemble import Ensemble
from cogfit.formulas.form import MEASURES
from cogfit.formulas.registry import get_form
from cogfit.inference.error_models import ErrorModel

X = np.arange(1.0, 61.0)
RIVALS = ("power", "power_floor", "exponential_floor")


def law(x: np.ndarray) -> np.ndarray:
    return np.asarray(0.1 + 0.9 * x**-0.6)


def made(
    seed: int, forms: tuple[str, ...] = ("power_floor",), noise: float = 0.02, x: np.ndarray = X, **curve: object
) -> Ensemble:
    """Curves of some forms about a power law with a floor."""
    y = law(x) + np.random.default_rng(seed).normal(0, noise, x.size)
    data = replace(Curve(x, y, np.ones(x.size), None, "x", "x as given", "other"), **curve)  # type: ignore[arg-type]
    fits = [estimate(get_form(name), data.x, data.y, data.weights, "gaussian") for name in forms]
    candidates = [Candidate(get_form(fit.form), fit, fit.covariance) for fit in fits]
    ensemble = ensemble_of(data, candidates, float(x.size))
    assert isinstance(ensemble, Ensemble)
    return ensemble


@pytest.fixture(scope="module")
def fit() -> cogfit.FitResult:
    x = np.arange(1.0, 101.0)
    return cogfit.fit(x, law(x) + np.random.default_rng(4).normal(0, 0.02, 100), rng=0)


# ------------------------------------------------------------------------------------------------- what is covered


def test_new_observations_and_the_curve_lie_in_their_intervals() -> None:
    """Of 40 logs: the exact probability that a new observation is inside, and how often the curve is."""
    x, inside, curve = np.array([90.0, 180.0]), [], []
    for seed in range(40):
        told = predict(made(seed), x, 0.9)
        ends = (np.array([told.low, told.high]) - law(x)) / 0.02
        inside.append([0.5 * (math.erf(b / 2**0.5) - math.erf(a / 2**0.5)) for a, b in ends.T])
        curve.append((told.curve_low <= law(x)) & (law(x) <= told.curve_high))
    assert np.all(np.abs(np.mean(inside, axis=0) - 0.9) < 0.03)
    assert np.all(np.abs(np.mean(curve, axis=0) - 0.9) < 4 * math.sqrt(0.09 / 40))


def test_curve_interval_of_a_straight_line_is_that_of_regression() -> None:
    """a − A ln x is linear: the interval beyond the data is known exactly (Student's t, here with 58 degrees)."""
    rng = np.random.default_rng(3)
    y = 1.0 - 0.1 * np.log(X) + rng.normal(0, 0.05, X.size)
    data = Curve(X, y, np.ones(X.size), None, "x", "x as given", "other", serial=False)
    form = get_form("logarithmic")
    line = estimate(form, X, y, data.weights, "gaussian")
    told = predict(ensemble_of(data, [Candidate(form, line, line.covariance)], 60.0), [300.0], 0.95)
    design = np.stack([np.ones(X.size), np.log(X)], axis=1)
    at = np.array([1.0, math.log(300.0)])
    variance = float(at @ np.linalg.inv(design.T @ design) @ at) * line.rss / 58
    assert told.curve_high[0] - told.curve_low[0] == pytest.approx(2 * 1.96 * variance**0.5, rel=0.12)
    assert told.value[0] == pytest.approx(form.evaluate([300.0], line.params)[0], rel=1e-9)
    new = 2 * 1.96 * (variance + line.rss / 58) ** 0.5
    assert told.high[0] - told.low[0] == pytest.approx(new, rel=0.12)


def test_correlated_errors_widen_the_interval_of_the_curve() -> None:
    x = np.arange(1.0, 201.0)
    rng = np.random.default_rng(8)
    red = np.zeros(200)
    for t in range(1, 200):
        red[t] = 0.8 * red[t - 1] + rng.normal(0, 0.012)
    widths = []
    for errors in (red, rng.permutation(red)):
        y = law(x) + errors
        data = Curve(x, y, np.ones(200), None, "x", "x as given", "other")
        item = estimate(get_form("power_floor"), x, y, data.weights, "gaussian")
        told = predict(
            ensemble_of(data, [Candidate(get_form("power_floor"), item, item.covariance)], 200.0), [400], 0.95
        )
        widths.append(told.curve_high[0] - told.curve_low[0])
    assert widths[0] > 1.5 * widths[1]


def test_the_next_observation_follows_the_last_errors() -> None:
    """Of AR(1) errors with ρ = 0.9 the next is 0.9 times the last, give or take √(1 − 0.81) of their SD."""
    x, inside, width = np.arange(1.0, 201.0), [], []
    form = get_form("power_floor")
    for seed in range(24):
        e = np.random.default_rng([7, seed]).normal(0, 0.02, 201)
        for t in range(1, 201):
            e[t] = 0.9 * e[t - 1] + 0.19**0.5 * e[t]
        y = law(x) + e[:200]
        item = estimate(form, x, y, np.ones(200), "gaussian")
        data = Curve(x, y, np.ones(200), None, "x", "x as given", "other")
        told = predict(ensemble_of(data, [Candidate(form, item, item.covariance)], 50.0), [201.0, 2001.0], 0.9)
        ends = (np.array([told.low[0], told.high[0]]) - law(201.0) - 0.9 * e[199]) / (0.02 * 0.19**0.5)
        inside.append(0.5 * (math.erf(ends[1] / 2**0.5) - math.erf(ends[0] / 2**0.5)))
        width.append((told.high - told.low) / 0.02)
    assert abs(np.mean(inside) - 0.9) < 0.05
    assert np.median(width, axis=0)[0] < 0.75 * np.median(width, axis=0)[1]


@pytest.mark.parametrize("noise", ["gaussian", "lognormal", "binomial"])
def test_a_new_observation_scatters_as_the_fit_says(noise: str) -> None:
    """Additive noise has one SD everywhere, proportional noise one share of the curve, counts that of binomials."""
    rng, x = np.random.default_rng(5), np.arange(1.0, 121.0)
    draw: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "gaussian": lambda f: f + rng.normal(0, 0.02, f.size),
        "lognormal": lambda f: f * np.exp(rng.normal(0, 0.1, f.size)),
        "binomial": lambda f: rng.binomial(200, f) / 200,
    }
    trials = np.full(120, 200) if noise == "binomial" else None
    item = cogfit.fit(x, draw[noise](law(x)), form="power_floor", noise=noise, trials=trials, serial=False)
    told = item.predict([2.0, 120.0], 0.95)
    sd = {
        "gaussian": np.full(2, 0.02),
        "lognormal": 0.1 * told.value,
        "binomial": np.sqrt(told.value * (1 - told.value) / 200),
    }[noise]
    assert np.all(np.abs((told.high - told.low) / (2 * 1.96 * sd) - 1.0) < 0.25)


# ------------------------------------------------------------------------------------------------- laws of answers


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 5), st.floats(61, 5000), st.sampled_from([0.5, 0.8, 0.95]))
def test_intervals_are_nested_and_hold_the_value(seed: int, x: float, level: float) -> None:
    ensemble = made(seed, RIVALS, x=np.arange(1.0, 31.0))
    inner, outer = (predict(ensemble, [x], one, refuses=False) for one in (level, 0.99))
    assert outer.low[0] <= inner.low[0] <= inner.high[0] <= outer.high[0]
    assert inner.low[0] <= inner.curve_low[0] <= inner.curve_high[0] <= inner.high[0]
    assert outer.curve_low[0] <= inner.value[0] <= outer.curve_high[0]


def test_an_answer_does_not_depend_on_what_else_is_asked() -> None:
    ensemble = made(2, RIVALS)
    whole = predict(ensemble, [70.0, 100.0, 200.0], 0.95)
    assert predict(ensemble, [100.0], 0.95).high[0] == whole.high[1]


@pytest.mark.parametrize(("unit_x", "unit_y"), [(1e-7, 1e6), (3600.0, 100.0)])
def test_forecasts_are_the_same_in_other_units(unit_x: float, unit_y: float) -> None:
    y = law(X) + np.random.default_rng(1).normal(0, 0.02, X.size)
    one, other = (cogfit.fit(X * u, y * v, form="power_floor", rng=0) for u, v in ((1.0, 1.0), (unit_x, unit_y)))
    told, again = one.predict(150.0), other.predict(150.0 * unit_x)
    for name in ("value", "low", "high", "curve_low", "curve_high"):
        assert getattr(again, name)[0] == pytest.approx(unit_y * getattr(told, name)[0], rel=1e-3)
    at, later = one.reach(0.15), other.reach(0.15 * unit_y)
    assert [later.x, later.low, later.high] == pytest.approx([unit_x * v for v in (at.x, at.low, at.high)], rel=1e-3)


def test_reach_is_the_inverse_of_predict() -> None:
    ensemble = made(0, noise=0.002)
    at = reach(ensemble, 0.13, 0.95)
    assert at.status == "expected"
    assert predict(ensemble, [at.x], 0.95).value[0] == pytest.approx(0.13, rel=2e-3)
    assert at.low < (0.03 / 0.9) ** (-1 / 0.6) < at.high


def test_a_value_below_the_floor_is_never_reached_and_one_within_the_data_was() -> None:
    ensemble = made(0, noise=0.001)
    never, before = reach(ensemble, 0.05, 0.95), reach(ensemble, 0.4, 0.95)
    assert (never.status, math.isnan(never.x), never.chance) == ("never", True, 0.0)
    assert before.status == "reached"
    assert before.x == pytest.approx((0.3 / 0.9) ** (-1 / 0.6), rel=0.02)


def test_curves_that_rise_reach_a_value_from_below() -> None:
    rising = cogfit.fit(X, 0.5 + 0.1 * np.log(X) + np.random.default_rng(0).normal(0, 0.001, 60), form="logarithmic")
    assert rising.reach(1.0).x == pytest.approx(math.exp(5.0), rel=0.02)


# ------------------------------------------------------------------------------------------------------- refusals


def test_forms_that_disagree_are_no_forecast() -> None:
    """A power law and an exponential with floor that fit alike: near the data they agree, far from them not."""
    x = np.linspace(10.0, 14.0, 40)
    ensemble = made(1, ("power", "exponential_floor", "logarithmic"), noise=0.0005, x=x)
    told = predict(ensemble, [14.5, 1e4], 0.95)
    assert told.answered == [True, False]
    assert told.disagreement[0] <= 1.0 < told.disagreement[1]
    assert "disagree from x = 1e+04 on" in told.reason
    assert np.isnan([told.value[1], told.low[1], told.high[1]]).all()
    refused = reach(ensemble, float(law(np.array([1e4]))[0]), 0.95)
    assert refused.status == "refused"
    assert refused.low >= 10.0
    assert "disagree" in refused.reason


@pytest.mark.parametrize(
    ("y", "reason"),
    [(np.ones(20), "does not change"), (np.array([1.0, 0.5, 0.3]), "too few points|too few to")],
)
def test_curves_without_a_course_are_refused(y: np.ndarray, reason: str) -> None:
    item = cogfit.fit(np.arange(1.0, y.size + 1), y)
    told, at = item.predict([50.0]), item.reach(0.1)
    assert told.answered == [False]
    for text in (told.reason, at.reason):
        assert any(part in text for part in reason.split("|"))
    assert at.status == "refused"
    assert math.isnan(at.x)


def test_a_curve_that_refuses_every_form_is_refused(fit: cogfit.FitResult) -> None:
    none = replace(fit, indistinguishable_forms=())
    assert "every form is refused" in none.predict([200.0]).reason


@pytest.mark.parametrize("x", [math.nan, "late", [[1.0]], -1.0, 0.0, math.inf])
def test_places_that_are_none_are_refused_in_one_line(fit: cogfit.FitResult, x: object) -> None:
    with pytest.raises(InputError):
        fit.predict(x)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [math.nan, "low", None, True])
def test_values_that_are_none_are_refused_in_one_line(fit: cogfit.FitResult, value: object) -> None:
    with pytest.raises(InputError, match="finite number"):
        fit.reach(value)  # type: ignore[arg-type]


def test_levels_that_are_none_are_refused(fit: cogfit.FitResult) -> None:
    with pytest.raises(InputError, match="level"):
        fit.predict(200, level=95)


# ------------------------------------------------------------------------------------------------ what is told


def test_forms_come_with_weights_and_held_out_errors(fit: cogfit.FitResult) -> None:
    forms = fit.predict(200.0).forms
    assert {item.form for item in forms} <= set(fit.indistinguishable_forms)
    assert sum(item.weight for item in forms) == pytest.approx(1.0)
    assert [item.weight for item in forms] == sorted((item.weight for item in forms), reverse=True)
    assert all(item.held_out > 0.0 for item in forms)


def test_a_worse_held_out_error_never_weighs_more() -> None:
    ensemble = made(0, ("power", "exponential", "hyperbolic", "shifted_power"))  # alike before any data
    by_error = sorted(ensemble.forms, key=lambda item: item.held_out)
    assert [item.weight for item in by_error] == sorted((item.weight for item in ensemble.forms), reverse=True)


def test_what_was_asked_is_kept_with_the_fit(fit: cogfit.FitResult, tmp_path) -> None:
    asked = fit.with_forecast(at=[200.0, 1e6], reach=[0.15, 0.01])
    asked.save(tmp_path / "fit.json")
    again = cogfit.load(tmp_path / "fit.json")
    assert again == asked
    assert again.predict(200.0) == fit.predict(200.0)
    assert pickle.loads(pickle.dumps(asked)).reach(0.15) == asked.forecast.reach[0]
    document = asked.to_json()["forecast"]
    assert [item["status"] for item in document["reach"]] == [item.status for item in asked.forecast.reach]
    assert "forecast" not in fit.to_json()
    assert asked.forecast.at.x.tolist() == [200.0, 1e6]


def test_users_forms_are_forecast_by_their_covariance() -> None:
    cogfit.register("own_power", lambda x, a, b: a * x**-b, params=("a", "b"), start={"a": 1, "b": 0.4}, replace=True)
    y = X**-0.5 + np.random.default_rng(0).normal(0, 0.01, X.size)
    own, built_in = (cogfit.fit(X, y, form=name, serial=False).predict(120.0) for name in ("own_power", "power"))
    assert own.value[0] == pytest.approx(built_in.value[0], rel=1e-4)
    assert own.curve_high[0] - own.curve_low[0] == pytest.approx(
        built_in.curve_high[0] - built_in.curve_low[0], rel=0.25
    )


def test_what_members_share_widens_the_interval() -> None:
    """The mean of 12 subjects is off by what their own levels are off, which no residual shows."""
    rng, x = np.random.default_rng(2), np.arange(1.0, 31.0)
    own_level = rng.normal(1.0, 0.3, 12)
    y = np.concatenate([level * x**-0.5 + rng.normal(0, 0.01, x.size) for level in own_level])
    item = cogfit.fit(np.tile(x, 12), y, groups=np.repeat(np.arange(12), 30), form="power", rng=0)
    told = item.predict(60.0)
    expected = 2 * 1.96 * 60.0**-0.5 * own_level.std(ddof=1) / 12**0.5
    assert 0.6 * expected < told.curve_high[0] - told.curve_low[0] < 2.0 * expected


@pytest.mark.parametrize("measure", MEASURES)
def test_forecasts_stay_within_what_a_measure_can_be(measure: str) -> None:
    y = np.clip(X**-1.0 + np.random.default_rng(0).normal(0, 0.02, X.size), 0.0, 1.0)
    low, high = LIMITS[measure]
    told = cogfit.fit(X, y, form="power", noise="gaussian", measure=measure).predict([60.0, 600.0])
    assert low <= told.low.min()
    assert told.high.max() <= high
    assert (told.low[1] < 0.0) == math.isinf(low)


def test_forms_of_one_error_model_draw_independent_errors_of_unit_size() -> None:
    ensemble = replace(made(0), errors=ErrorModel(((WHITE, 1.0),)), weight=4.0)
    seen = ensemble.observed(np.zeros((1, 2000, 1)), np.array([120.0]))
    assert seen.std() == pytest.approx(0.5 * ensemble.units.y, rel=0.05)

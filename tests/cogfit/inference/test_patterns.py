"""Switch times, censoring, common shocks and alignment against known truths and statsmodels."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight

import cogfit
from cogfit.curves.exposure import exposure_curve
from cogfit.inference import patterns as trajectories
from cogfit.logs.model import RoutingLog, Source


def made(driver: str, seed: int = 0, patterns: int = 60, steps: int = 2500, shocks: float = 0.0) -> RoutingLog:
    """Near-binary router in which each pattern switches once, at its own step (clock) or exposure."""
    rng = np.random.default_rng(seed)
    rate = np.exp(rng.normal(0.0, 0.4, patterns))
    step, pattern = np.nonzero(rng.random((steps, patterns)) < rate / rate.max())
    frame = pd.DataFrame({"step": step, "pattern": pattern.astype(np.int32)})
    frame["exposure"] = frame.groupby("pattern").cumcount()
    jitter = np.exp(rng.normal(0.0, 0.15, patterns))[pattern]
    middle = 900.0 * jitter
    moving = np.zeros(steps) if not shocks else rng.normal(0.0, shocks, steps)
    x = step if driver == "clock" else frame["exposure"] * rate.max()
    logit = 12.0 * (np.log(np.maximum(x, 1)) - np.log(middle)) + moving[step]
    frame["p_episodic"] = 0.01 + 0.98 / (1.0 + np.exp(np.clip(logit, -50, 50)))
    frame["attended"] = rng.random(len(frame)) < frame["p_episodic"]
    return RoutingLog(frame, tuple(str(i) for i in range(patterns)), Source("log", "test", len(frame)), True)


def followed(log: RoutingLog, outcome: str = "soft") -> trajectories.Trajectories:
    curve = exposure_curve(log, outcome=outcome)  # type: ignore[arg-type]
    assert curve.facts is not None
    return trajectories.analyse(log, curve.facts)


@pytest.mark.parametrize(("driver", "slope"), [("clock", 0.0), ("exposure", -1.0)])
def test_the_alignment_slope_tells_clock_from_exposure(driver: str, slope: float) -> None:
    for seed in range(3):
        found = followed(made(driver, seed))
        assert found.alignment.driver == driver
        assert found.alignment.low <= slope + 0.1
        assert found.alignment.high >= slope - 0.1


def test_equal_frequencies_leave_the_question_open() -> None:
    log = cogfit.simulate(
        "log_logistic_step", {"A": 0.9, "x50": 60.0, "s": 8.0, "c": 0.02}, kind="routing", n=200, patterns=30
    )
    found = followed(RoutingLog(log, tuple(map(str, range(30))), Source("log", "test", len(log)), True))
    assert found.alignment.driver == "undecided"


def test_no_switch_is_spoken_of_where_patterns_are_no_steps() -> None:
    """Outcomes drawn from a smooth law have a best split, too, but it means nothing."""
    log = cogfit.simulate("power", {"A": 0.9, "gamma": 0.6}, kind="routing", n=120, patterns=40)
    for outcome in ("soft", "hard"):
        found = followed(RoutingLog(log, tuple(map(str, range(40))), Source("log", "test", len(log)), True), outcome)
        assert len(found.statements()) == 1
        assert "single patterns are no steps" in found.statements()[0]


@pytest.mark.parametrize("driver", ["clock", "exposure"])
@pytest.mark.parametrize("outcome", ["soft", "hard"])
def test_independent_patterns_are_not_said_to_move_together(driver: str, outcome: str) -> None:
    """Not even when all of them come down within the same few hundred steps."""
    for seed in range(3):
        assert not followed(made(driver, seed), outcome).inflation.together


def test_common_shocks_are_found() -> None:
    for seed in range(3):
        found = followed(made("clock", seed, shocks=2.0), "hard")
        assert found.inflation.during > 3.0
        assert found.inflation.p_value == pytest.approx(1 / 200)
        assert "move together" in " ".join(found.statements())


def test_p_values_of_independent_patterns_are_not_too_small() -> None:
    values = [followed(made("exposure", seed, patterns=25, steps=800), "hard").inflation.p_value for seed in range(30)]
    assert np.mean(np.array(values) <= 0.05) <= 0.2  # 30 draws: more than 6 below 5 % would be one in a thousand


@given(
    seed=st.integers(0, 10**6),
    lengths=st.lists(st.integers(2, 40), min_size=1, max_size=6),
)
def test_change_points_are_those_of_an_exhaustive_search(seed: int, lengths: list[int]) -> None:
    rng = np.random.default_rng(seed)
    parts = [rng.random(n) for n in lengths]
    stop = np.cumsum(lengths)
    start = stop - lengths
    unit = np.repeat(np.arange(len(lengths)), lengths)
    split, before, after = trajectories._change_points(np.concatenate(parts), start, stop, unit)
    for j, part in enumerate(parts):
        costs = [
            ((part[:i] - part[:i].mean()) ** 2).sum() + ((part[i:] - part[i:].mean()) ** 2).sum()
            if part[:i].mean() > part[i:].mean()
            else ((part - part.mean()) ** 2).sum()
            for i in range(1, part.size)
        ]
        at = split[j] - start[j]
        if min(costs) < ((part - part.mean()) ** 2).sum() - 1e-12:
            assert costs[at - 1] == pytest.approx(min(costs))
            assert before[j] == pytest.approx(part[:at].mean())
            assert after[j] == pytest.approx(part[at:].mean())
        else:
            assert not before[j] > after[j] + 1e-12  # nowhere lower afterwards: no switch


@given(seed=st.integers(0, 10**6), n=st.integers(3, 60), censored=st.floats(0.0, 0.7))
def test_kaplan_meier_agrees_with_statsmodels(seed: int, n: int, censored: float) -> None:
    rng = np.random.default_rng(seed)
    time = np.ceil(rng.weibull(1.5, n) * 20)
    event = rng.random(n) >= censored
    if not event.any():
        assert math.isnan(trajectories.kaplan_meier(time, event).t50)
        return
    ours = trajectories.kaplan_meier(time, event)
    theirs = SurvfuncRight(time, event.astype(int))
    for share, value in ((0.1, ours.t10), (0.5, ours.t50), (0.9, ours.t90)):
        curve = theirs.surv_prob <= 1.0 - share + 1e-12
        expected = theirs.surv_times[curve][0] if curve.any() else math.nan
        np.testing.assert_equal(value, expected)


def test_limits_of_the_median_cover_it() -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(400):
        time = rng.exponential(1.0, 80)
        end = rng.exponential(3.0, 80)
        found = trajectories.kaplan_meier(np.minimum(time, end), time <= end)
        hits += found.low <= math.log(2.0) <= found.high
    assert 0.915 <= hits / 400 <= 0.985


@pytest.fixture(scope="module")
def recorded() -> dict[str, cogfit.FitResult]:
    return {name: cogfit.fit(cogfit.data_dir() / "runs" / f"srcd-n256-{name}") for name in ("consolidates", "gradual")}


@pytest.mark.slow
def test_the_consolidating_run_follows_the_clock_and_moves_together(recorded: dict[str, cogfit.FitResult]) -> None:
    fit = recorded["consolidates"]
    facts = fit.trajectories
    assert facts is not None
    assert facts["overridden_steps"] == [0, 399]
    assert facts["switched"] + facts["low_from_start"] == 100
    assert facts["switch_times"]["steps"]["t50"] == pytest.approx(4345, abs=40)
    assert facts["variance_inflation"]["together"]
    assert facts["alignment_slope"]["driver"] == "clock"
    assert facts["alignment_slope"]["estimate"] == pytest.approx(-0.15, abs=0.2)
    assert any(g["first_step"] >= 2050 and g["last_step"] <= 2400 for g in facts["groups"])
    text = " ".join(fit.findings)
    for phrase in ("move together", "follows the training clock", "single patterns are steps"):
        assert phrase in text
    assert fit.verdict.power_law == "not_supported"


@pytest.mark.slow
def test_the_gradual_run_has_21_patterns_that_never_switch(recorded: dict[str, cogfit.FitResult]) -> None:
    facts = recorded["gradual"].trajectories
    assert facts is not None
    assert facts["never"] == 21
    assert facts["near_binary"] > 0.95
    assert not facts["variance_inflation"]["together"]
    assert "switch singly" in " ".join(recorded["gradual"].findings)
    assert facts["alignment_slope"]["driver"] == "undecided"
    assert facts["switch_times"]["exposures"]["t90"] is None  # 21 % never come down
    json.dumps(facts, allow_nan=False)


def test_the_survival_curve_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(2)
    time, event = np.ceil(rng.weibull(1.5, 80) * 20), rng.random(80) < 0.6
    points, _, at_risk, left = trajectories.survival_curve(time, event)
    theirs = SurvfuncRight(time, event.astype(int))
    np.testing.assert_allclose(points, theirs.surv_times)
    np.testing.assert_allclose(at_risk, theirs.n_risk)
    np.testing.assert_allclose(left, theirs.surv_prob)

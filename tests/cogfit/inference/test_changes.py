"""Which curve is searched for abrupt changes, beside which schedule, and where none is looked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import cogfit
from cogfit.curves.curve import Clusters, Curve, ExposureFacts
from cogfit.inference import transitions
from cogfit.inference.changes import find_changes
from cogfit.inference.transitions import Transition
from cogfit.logs.model import Log, RoutingLog, Source, UtilizationLog

NOTHING = Transition(
    np.nan, np.nan, np.nan, np.nan, np.nan, 0.95, 0.4, np.nan, np.nan, "power", "white", np.nan, (), (), "few points",
    30, None,
)  # fmt: skip
STEPS = np.arange(1.0, 31.0)
SOURCE = Source("run.csv", "csv", 30)


def curve_of(x: Any = STEPS, y: Any = None, **options: Any) -> Curve:
    x = np.asarray(x, dtype=float)
    y = 1.0 / (np.abs(x) + 1.0) if y is None else y
    names = {"axis": "step", "convention": "as logged", "measure": "other", "x_label": "step", "y_label": "utilisation"}
    return Curve(x, y, np.linspace(1.0, 2.0, x.size), None, **(names | options))  # type: ignore[arg-type]


def table(rows: int = 30, **columns: Any) -> UtilizationLog:
    values = {"step": np.arange(1, rows + 1), "attention_utilization": np.linspace(0.9, 0.1, rows)}
    return UtilizationLog(pd.DataFrame(values | columns), SOURCE)


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was handed to the search; the search itself has tests of its own."""
    calls: list[dict[str, Any]] = []

    def transition(x: Any, y: Any, **options: Any) -> Transition:
        calls.append({"x": x, "y": y, **options})
        return NOTHING

    monkeypatch.setattr(transitions, "transition", transition)
    return calls


def changes(curve: Curve, log: Log | None = None, schedule: Sequence[str] = ()) -> dict[str, Any] | None:
    rng = np.random.default_rng(0)
    return find_changes(curve, log, schedule, level=0.9, rng=rng, replicates=99)


def test_arrays_are_searched_as_they_are(searched: list[dict[str, Any]]) -> None:
    curve = curve_of(np.arange(0.0, 30.0))
    document = changes(curve)
    (call,) = searched
    np.testing.assert_array_equal(call["x"], curve.x[1:])  # zero has no place on the log axis
    np.testing.assert_array_equal(call["y"], curve.y[1:])
    np.testing.assert_array_equal(call["weights"], curve.weights[1:])
    assert (call["level"], call["replicates"], call["schedule"]) == (0.9, 99, None)
    assert document is not None
    assert (document["axis"], document["p_value"]) == ("step", 0.4)
    assert document["statements"] == list(NOTHING.statements())
    assert len(document["statements"]) == 2


@pytest.mark.parametrize(
    ("axis", "unit"), [("step", 1.0), ("x", 0.0), ("exposure", 1.0), ("epoch", 0.0), ("tokens", 0.0)]
)
def test_windows_are_looked_for_on_every_axis(searched: list[dict[str, Any]], axis: str, unit: float) -> None:
    changes(curve_of(axis=axis))
    (call,) = searched
    assert (call.get("window"), call["unit"]) == (None, unit)


def test_a_log_says_which_of_its_curves_changes(searched: list[dict[str, Any]]) -> None:
    document = changes(curve_of(), Log("run.csv", utilization=table()))
    assert document is not None
    first, second = NOTHING.statements()
    assert document["statements"] == [f"utilisation against step: {first}", second]


@pytest.mark.parametrize("points", [19, 20])
def test_twenty_different_points_are_the_fewest(searched: list[dict[str, Any]], points: int) -> None:
    is_searched = points >= 20
    x = np.concatenate([np.arange(1.0, points + 1.0), [1.0, 2.0]])  # what is repeated is one point
    assert (changes(curve_of(x)) is not None) is is_searched
    assert len(searched) == is_searched


def test_what_has_no_logarithm_or_does_not_vary_is_not_searched(searched: list[dict[str, Any]]) -> None:
    assert changes(curve_of(STEPS - 5.0)) is None
    assert changes(curve_of(y=np.full(30, 0.5))) is None
    y = np.full(31, 0.5)
    y[0] = 0.9  # all that differs is the point at zero
    assert changes(curve_of(np.arange(31.0), y)) is None
    assert searched == []


def test_a_mean_over_patterns_against_exposures_is_not_searched(searched: list[dict[str, Any]]) -> None:
    clusters = Clusters("patterns", np.ones((2, 30)), np.ones((2, 30)))
    assert changes(curve_of(clusters=clusters, axis="exposure")) is None
    assert changes(curve_of(), Log("run", routing=RoutingLog(pd.DataFrame(), (), SOURCE, True))) is None
    assert searched == []
    assert changes(curve_of(clusters=clusters, axis="session")) is not None
    assert changes(curve_of(axis="exposure")) is not None


FACTS = ExposureFacts(2, 2, "soft", "prior", 1, 9, 0, None, 0, "this run")


@pytest.mark.parametrize(("overridden", "first"), [(None, 1), ((1, 4), 5)])
def test_of_a_routing_log_the_steps_after_the_warm_up_are_searched(
    searched: list[dict[str, Any]], overridden: tuple[int, int] | None, first: int
) -> None:
    log = Log("run", RoutingLog(pd.DataFrame(), (), SOURCE, True), table())
    exposures = curve_of(np.arange(1.0, 10.0), axis="exposure", facts=replace(FACTS, overridden_steps=overridden))
    document = changes(exposures, log)
    assert document is not None
    assert document["axis"] == "step"
    assert searched[0]["x"].tolist() == list(range(first, 31))
    assert changes(replace(exposures, facts=None), log) is not None
    assert searched[1]["x"][0] == 1.0


@pytest.mark.parametrize(
    "name", ["lr", "learning_rate", "train/lr", "LR", "lambda", "temperature", "warmup", "warm_up", "beta", "lr_0"]
)
def test_a_column_that_a_person_sets_is_a_schedule(searched: list[dict[str, Any]], name: str) -> None:
    values = np.linspace(1.0, 0.0, 30)
    changes(curve_of(), Log("run", utilization=table(**{name: values})))
    assert set(searched[0]["schedule"]) == {name}
    np.testing.assert_array_equal(searched[0]["schedule"][name], values)


@pytest.mark.parametrize("name", ["loss", "clr", "alphabeta", "tausend", "accuracy", "run", "layer", "head"])
def test_an_outcome_of_training_is_none(searched: list[dict[str, Any]], name: str) -> None:
    changes(curve_of(), Log("run", utilization=table(**{name: ["1"] * 30})))
    assert searched[0]["schedule"] is None


def test_a_schedule_is_read_at_the_points_of_the_curve(searched: list[dict[str, Any]]) -> None:
    rows = pd.DataFrame({"step": np.repeat(np.arange(40), 2), "attention_utilization": 0.5, "phase": 0.0})
    rows["own"] = 10.0 * rows["step"]
    rows["run"] = np.tile(["a", "b"], 40)
    log = Log("run", utilization=UtilizationLog(rows.sample(frac=1.0, random_state=1), SOURCE))
    x = np.array([0.0, *range(5, 36), 99.0])
    changes(curve_of(x), log, ["own"])
    schedule = searched[0]["schedule"]
    assert set(schedule) == {"phase", "own"}
    assert schedule["own"][:-1].tolist() == [10.0 * step for step in range(5, 36)]
    assert np.isnan(schedule["own"][-1])  # not logged there


def test_a_schedule_that_is_not_there_is_refused() -> None:
    log = Log("run.csv", utilization=table(cost=np.ones(30)))
    with pytest.raises(
        cogfit.InputError, match=r"run\.csv.*no column 'csot' to take as a schedule; did you mean 'cost"
    ):
        changes(curve_of(), log, ["csot"])
    for name in ("step", "attention_utilization"):
        with pytest.raises(cogfit.InputError, match=f"no column '{name}'"):
            changes(curve_of(), log, [name])
    with pytest.raises(cogfit.InputError, match="pass the log, not arrays"):
        changes(curve_of(), None, ["cost"])

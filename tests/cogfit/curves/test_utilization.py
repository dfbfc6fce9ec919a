"""Utilisation against step: means over runs and heads against brute force, windows, and undone moving averages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cogfit
from cogfit.curves.utilization import in_window, smoothing_mark, unsmoothed, utilization_curve
from cogfit.logs.model import Source, UtilizationLog


def log_of(frame: pd.DataFrame, x_name: str = "step", y_name: str = "attention_utilization") -> UtilizationLog:
    return UtilizationLog(frame, Source("a.csv", "csv", len(frame)), x_name, y_name)


def frame_of(steps: Any, values: Any, **groups: Any) -> pd.DataFrame:
    return pd.DataFrame({"step": steps, "attention_utilization": values, **groups})


def smoothed(raw: np.ndarray, decay: float) -> np.ndarray:
    """Exponential moving average, one value at a time."""
    out = [raw[0]]
    for value in raw[1:]:
        out.append(decay * out[-1] + (1.0 - decay) * value)
    return np.array(out)


@pytest.mark.parametrize("decay", [1.0, -0.01, 1.5, float("nan"), "unknown", "0.9"])
def test_what_is_no_decay_is_refused(decay: float | str) -> None:
    with pytest.raises(cogfit.InputError, match="must be the decay of a moving average"):
        unsmoothed(np.ones(3), decay)


@pytest.mark.parametrize(
    ("name", "is_smoothed"),
    [("loss_ema", True), ("EMA", True), ("smoothed/loss", True), ("running_avg", True), ("moving_average_3", True),
     ("schema", False), ("emax", False), ("smoothness", False), ("attention", False)],
)  # fmt: skip
def test_a_column_that_says_it_is_smoothed_is_believed(name: str, is_smoothed: bool) -> None:
    assert smoothing_mark(None, name) == ("unknown" if is_smoothed else "")
    assert smoothing_mark(0.9, name) == ""  # the filter is known, and undone
    assert smoothing_mark(0.0, name) == ""
    assert smoothing_mark("unknown", name) == "unknown"


def test_a_window_holds_its_ends() -> None:
    x = np.arange(5.0)
    assert in_window(x, 1.0, 3.0).tolist() == [False, True, True, True, False]
    assert in_window(x, 3.0, None).tolist() == [False, False, False, True, True]
    assert in_window(x, None, 0.0).tolist() == [True, False, False, False, False]
    assert in_window(x, None, None).all()


def test_one_curve_is_itself_in_the_order_of_steps() -> None:
    curve = utilization_curve(log_of(frame_of([30, 10, 20], [0.3, 0.9, 0.6])))
    assert (list(curve.x), list(curve.y)) == ([10.0, 20.0, 30.0], [0.9, 0.6, 0.3])
    assert list(curve.weights) == [1.0, 1.0, 1.0]
    assert (curve.counts, curve.clusters, curve.warnings, curve.smoothing) == (None, None, (), "")
    windowed = utilization_curve(log_of(frame_of([30, 10, 20], [0.3, 0.9, 0.6])), x_min=20, x_max=30)
    assert (list(windowed.x), list(windowed.y)) == ([20.0, 30.0], [0.6, 0.3])


def grid(runs: int = 3, heads: int = 2, steps: int = 4, seed: int = 0) -> pd.DataFrame:
    """A value for every run, head and step."""
    rng = np.random.default_rng(seed)
    rows = [(f"r{i}", str(h), s) for i in range(runs) for h in range(heads) for s in range(1, steps + 1)]
    run, head, step = zip(*rows, strict=True)
    return frame_of(step, rng.random(len(rows)), run=run, head=head)


def test_the_mean_over_runs_and_heads_is_that_of_the_rows() -> None:
    frame = grid().drop(index=[0, 5, 9]).reset_index(drop=True)
    curve = utilization_curve(log_of(frame))
    by_step = frame.groupby("step")["attention_utilization"]
    np.testing.assert_allclose(curve.y, by_step.mean())
    assert curve.counts is not None
    np.testing.assert_array_equal(curve.counts, by_step.count())
    np.testing.assert_allclose(curve.weights, by_step.count() / by_step.count().mean())
    assert curve.clusters is not None
    assert (curve.clusters.kind, curve.clusters.size) == ("runs", 3)
    table = frame.pivot_table(index="run", columns="step", values="attention_utilization", aggfunc="sum", fill_value=0)
    np.testing.assert_allclose(curve.clusters.sums, table.to_numpy())


def test_what_is_resampled_are_runs_where_there_are_several_else_layers_or_heads() -> None:
    assert utilization_curve(log_of(grid(runs=1))).clusters.kind == "heads"  # type: ignore[union-attr]
    assert utilization_curve(log_of(grid(heads=1))).clusters.kind == "runs"  # type: ignore[union-attr]
    layers = grid(runs=1).rename(columns={"head": "layer"}).assign(head="0")
    assert utilization_curve(log_of(layers)).clusters.kind == "layers"  # type: ignore[union-attr]
    assert utilization_curve(log_of(grid(runs=1, heads=1))).clusters is None


def test_a_mean_says_over_what_and_whether_its_composition_changes() -> None:
    (only,) = utilization_curve(log_of(grid())).warnings
    assert only == "averaged over run, head; fit them one by one with --by run,head"
    first, second = utilization_curve(log_of(grid().drop(index=[0]))).warnings
    assert first == only
    assert "not every step has all 6 curves (at the fewest 5)" in second


def test_each_curve_has_its_own_moving_average() -> None:
    frame = grid()
    raw = frame["attention_utilization"].to_numpy()
    smooth = np.concatenate([smoothed(part, 0.8) for part in raw.reshape(-1, 4)])
    shuffled = frame.assign(attention_utilization=smooth).sample(frac=1.0, random_state=0).reset_index(drop=True)
    truth = utilization_curve(log_of(frame))
    np.testing.assert_allclose(utilization_curve(log_of(shuffled), smoothing=0.8).y, truth.y)
    # the window comes after: its first point depends on the one before
    later = utilization_curve(log_of(shuffled), smoothing=0.8, x_min=3)
    np.testing.assert_allclose(later.y, truth.y[2:])
    single = frame_of([3, 1, 2], smoothed(np.array([0.9, 0.1, 0.5]), 0.8)[[2, 0, 1]])
    np.testing.assert_allclose(utilization_curve(log_of(single), smoothing=0.8).y, [0.9, 0.1, 0.5])


def test_a_smoothed_column_is_warned_of_until_the_caller_speaks() -> None:
    log = log_of(frame_of([1, 2, 3], [0.9, 0.6, 0.3]), y_name="utilization_ema")
    silent = utilization_curve(log)
    assert silent.smoothing == "unknown"
    assert "seems to be smoothed" in silent.warnings[0]
    assert utilization_curve(log, smoothing=0.0).warnings == ()
    unknown = utilization_curve(log, smoothing="unknown")
    assert (unknown.smoothing, unknown.warnings, list(unknown.y)) == ("unknown", (), [0.9, 0.6, 0.3])


@pytest.mark.parametrize("name", ["step", "train/global_step", "Iteration", "_step", "a/b/iter"])
def test_an_axis_of_steps_is_called_step(name: str) -> None:
    curve = utilization_curve(log_of(frame_of([1, 2], [0.9, 0.6]), x_name=name))
    assert (curve.axis, curve.x_label) == ("step", name)


@pytest.mark.parametrize("name", ["tokens", "step/seconds", "steps_per_second", "train/step/x"])
def test_another_axis_keeps_its_name(name: str) -> None:
    assert utilization_curve(log_of(frame_of([1, 2], [0.9, 0.6]), x_name=name)).axis == name


@pytest.mark.parametrize(
    ("values", "measure"),
    [([0.0, 1.0, 0.5], "utilization"), ([0.5, 1.1, 0.5], "other"), ([-0.1, 0.5, 0.5], "other"), ([2, 3, 4], "other")],
)
def test_fractions_are_utilisation_and_other_numbers_are_not(values: list[float], measure: str) -> None:
    assert utilization_curve(log_of(frame_of([1, 2, 3], values))).measure == measure
    assert utilization_curve(log_of(frame_of([1, 2, 3], values), y_name="")).measure == "other"


def test_only_points_of_the_window_say_what_is_measured() -> None:
    frame = frame_of([1, 2, 3], [7.0, 0.5, 0.4])
    assert utilization_curve(log_of(frame), x_min=2).measure == "utilization"


def test_two_points_are_the_fewest() -> None:
    frame = frame_of([1, 2, 3], [0.9, 0.6, 0.3])
    assert utilization_curve(log_of(frame), x_min=2).x.size == 2
    with pytest.raises(cogfit.InputError, match=r"only 1 usable point.*the log reaches from 1 to 3"):
        utilization_curve(log_of(frame), x_min=3)
    with pytest.raises(cogfit.InputError, match="only 0 usable point"):
        utilization_curve(log_of(frame), x_min=4)


@given(st.lists(st.floats(-10.0, 10.0), min_size=1, max_size=20), st.floats(0.0, 0.95))
def test_a_moving_average_is_undone(raw: list[float], decay: float) -> None:
    np.testing.assert_allclose(unsmoothed(smoothed(np.array(raw), decay), decay), raw, atol=1e-9)

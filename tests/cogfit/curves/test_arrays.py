"""Arrays as a curve: means against brute force, windows, and what is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cogfit
from cogfit.curves.arrays import array_curve

X, Y = np.array([1.0, 2.0, 4.0, 8.0]), np.array([0.9, 0.7, 0.5, 0.4])


def test_points_weights_and_window_are_taken_as_given() -> None:
    curve = array_curve(X, Y, weights=[1, 2, 3, 4], x_min=2, x_max=4)
    assert (list(curve.x), list(curve.y), list(curve.weights)) == ([2.0, 4.0], [0.7, 0.5], [2.0, 3.0])
    assert (curve.counts, curve.axis, curve.measure, curve.smoothing) == (None, "x", "other", "")
    assert list(array_curve(X, Y).weights) == [1.0] * 4
    trials = array_curve(X, Y, trials=[10, 20, 30, 40], x_min=4)
    assert trials.counts is not None
    assert (list(trials.counts), list(trials.weights)) == ([30.0, 40.0], [30.0, 40.0])


def test_a_moving_average_is_undone_along_x_whatever_the_order_of_the_rows() -> None:
    raw = np.array([1.0, 0.2, 0.7, 0.1, 0.4])
    smooth = raw.copy()
    for t in range(1, raw.size):
        smooth[t] = 0.75 * smooth[t - 1] + 0.25 * raw[t]
    order = np.array([3, 0, 4, 1, 2])
    x, y = np.arange(5.0)[order], smooth[order]
    curve = array_curve(x, y, smoothing=0.75)
    np.testing.assert_allclose(curve.y, raw[order])
    np.testing.assert_array_equal(y, smooth[order])  # what the caller holds stays as it is
    assert curve.smoothing == ""
    # the window comes after: the first point in it depends on the one before
    np.testing.assert_allclose(array_curve(x, y, smoothing=0.75, x_min=2).y, raw[order][x >= 2])
    unknown = array_curve(x, y, smoothing="unknown")
    assert unknown.smoothing == "unknown"
    np.testing.assert_array_equal(unknown.y, y)


def test_two_points_are_the_fewest() -> None:
    assert array_curve(X[:2], Y[:2]).x.size == 2
    with pytest.raises(cogfit.InputError, match=r"only 1 point\(s\)"):
        array_curve(X[:1], Y[:1])
    assert array_curve(X, Y, x_min=4).x.size == 2
    with pytest.raises(cogfit.InputError, match="fewer than two points lie in the window"):
        array_curve(X, Y, x_min=4.1)


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ((X, Y), {"weights": [1] * 4, "trials": [1] * 4}, "`weights` and `trials` exclude each other"),
        ((X, Y), {"smoothing": 0.5, "groups": [0] * 4}, "`smoothing` and `groups` exclude each other"),
        ((X, Y), {"smoothing": "unknown", "groups": [0] * 4}, "`smoothing` and `groups` exclude each other"),
        ((X, Y), {"trials": [1, 2, 3, 4.5]}, "`trials` must be whole numbers"),
        ((X, Y), {"groups": [0] * 3}, r"`groups` must have the shape of y, \(4,\), not \(3,\)"),
        ((X, Y), {"groups": np.array([0, "a", None, 1], dtype=object)}, "labels of one type"),
        ((X, Y[:3]), {}, "one length; got 4, 3 and 3"),
        ((X[:3], Y), {}, "one length; got 3, 4 and 4"),
        ((X, Y), {"weights": [1] * 3}, "one length; got 4, 4 and 3"),
        ((X, [[0.1] * 4]), {}, r"`y` must have one dimension, not shape \(1, 4\)"),
        ((X, ["a"] * 4), {}, "`y` must be numbers"),
        ((X, Y + 1j), {}, "`y` must be real numbers, not complex128"),
        ((X.astype("datetime64[s]"), Y), {}, "`x` must be real numbers, not datetime64"),
        ((X.astype("timedelta64[s]"), Y), {}, "`x` must be real numbers, not timedelta64"),
        ((np.ma.masked_array(X, X > 4), Y), {}, "`x` has masked values"),
        ((X, [0.1, 0.2, np.nan, np.inf]), {}, "`y` is not finite at index 2"),
        (([np.inf, 1, 2, 3], Y), {}, "`x` is not finite at index 0"),
        ((X, Y * 1e100 / Y.max()), {}, r"`y` is of size 1e\+100"),
        ((X, -Y * 1e101), {}, "`y` is of size"),
        ((X, Y * 1e-100 / Y.max()), {}, "`y` is of size 1e-100"),
        ((X, Y), {"weights": [1, 1, 0, 1]}, "`weights` must be positive"),
        ((X, Y), {"weights": [1, 1, -1, 1]}, "`weights` must be positive"),
    ],
)
def test_what_cannot_be_a_curve_is_named(arrays: tuple[Any, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(cogfit.InputError, match=message):
        array_curve(*arrays, **options)


def test_unusual_numbers_that_can_be_fitted_are_taken() -> None:
    np.testing.assert_array_equal(array_curve(X, np.zeros(4)).y, 0.0)
    assert array_curve(X, Y * 1e99).y.max() == pytest.approx(0.9e99)
    assert array_curve(X, Y * 1e-99).y.max() == pytest.approx(0.9e-99)
    assert list(array_curve(-X, Y).x) == list(-X)
    assert list(array_curve(np.ma.masked_array(X, False), Y).x) == list(X)
    assert array_curve(np.array([True, False]), [1, 2]).x.tolist() == [1.0, 0.0]


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from([None, "weights", "trials"]))
def test_groups_are_averaged_as_one_row_at_a_time_would(seed: int, size: int, kind: str | None) -> None:
    rng = np.random.default_rng(seed)
    rows = 40
    x = rng.integers(0, 6, rows).astype(float)
    y, groups, w = rng.normal(size=rows), rng.integers(0, size, rows), rng.integers(1, 9, rows)
    options: dict[str, Any] = {} if kind is None else {kind: w}
    curve = array_curve(x, y, groups=groups, axis="session", x_min=1, x_max=4, **options)
    w = np.ones(rows) if kind is None else w
    inside = (x >= 1) & (x <= 4)
    assert list(curve.x) == sorted(set(x[inside]))
    assert curve.clusters is not None
    assert curve.counts is not None
    assert (curve.clusters.kind, curve.clusters.size, curve.axis) == ("groups", len(set(groups[inside])), "session")
    labels = sorted(set(groups[inside]))
    for j, point in enumerate(curve.x):
        here = x == point
        assert curve.y[j] == pytest.approx((w * y)[here].sum() / w[here].sum())
        assert curve.counts[j] == pytest.approx(w[here].sum())
        for i, label in enumerate(labels):
            member = here & (groups == label)
            assert curve.clusters.sums[i, j] == pytest.approx((w * y)[member].sum())
            assert curve.clusters.counts[i, j] == pytest.approx(w[member].sum())
    np.testing.assert_allclose(curve.weights / curve.weights[0], curve.counts / curve.counts[0])
    assert curve.weights.mean() == pytest.approx(1.0)

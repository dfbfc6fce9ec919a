"""Points, clusters and their tables, against loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogfit.curves.curve import CONSTANT, Clusters, Curve, cluster_table, dense_codes, gather_columns

SEEDS = st.integers(0, 10**6)


def made(clusters: int = 12, points: int = 4) -> Curve:
    rng = np.random.default_rng(0)
    table = Clusters("patterns", rng.random((clusters, points)), np.ones((clusters, points)))
    x = np.arange(1.0, points + 1.0)
    return Curve(x, x / 10.0, x * 2.0, x * 3.0, "step", "as logged", "other", clusters=table)


@pytest.mark.parametrize(("clusters", "enough"), [(9, False), (10, True), (11, True)])
def test_ten_clusters_are_the_fewest_that_are_resampled(clusters: int, enough: bool) -> None:
    assert made(clusters).resampleable is enough
    assert replace(made(clusters), clusters=None).resampleable is False


def test_a_part_of_a_curve_keeps_its_points_and_what_stands_behind_them() -> None:
    curve = made()
    assert curve.clusters is not None
    keep = np.array([True, False, False, True])
    part = curve.take(keep)
    assert (list(part.x), list(part.y), list(part.weights)) == ([1.0, 4.0], [0.1, 0.4], [2.0, 8.0])
    assert part.counts is not None
    assert part.clusters is not None
    assert list(part.counts) == [3.0, 12.0]
    np.testing.assert_array_equal(part.clusters.sums, curve.clusters.sums[:, [0, 3]])
    np.testing.assert_array_equal(part.clusters.counts, curve.clusters.counts[:, [0, 3]])
    assert (part.clusters.kind, part.clusters.size, part.axis) == ("patterns", 12, "step")
    plain = replace(curve, counts=None, clusters=None).take(keep)
    assert (plain.counts, plain.clusters, list(plain.x)) == (None, None, [1.0, 4.0])


def test_errors_of_neighbours_may_be_correlated_unless_it_is_said() -> None:
    assert made().serial is True


def test_rounding_alone_makes_no_curve() -> None:
    """A range of a few units in the last place is none; one that any logger writes is a range."""
    assert 100.0 * np.finfo(float).eps < CONSTANT < np.finfo(np.float32).eps


def test_a_table_too_large_for_memory_is_sparse_and_the_same() -> None:
    rows, width = 2_000, 30_000  # 480 MB if every cell were kept
    cluster, column, value = np.array([0, 0, 1_999, 7]), np.array([3, 3, 29_999, 0]), np.array([0.5, 0.25, 2.0, 9.0])
    keep = np.ones(rows, dtype=bool)
    keep[7] = False
    sums, counts = cluster_table(cluster, column, value, rows, width, keep)
    assert sums.shape == counts.shape == (rows - 1, width)
    assert not isinstance(sums, np.ndarray)
    assert (sums.nnz, counts.nnz) == (2, 2)
    assert (sums[0, 3], counts[0, 3]) == (0.75, 2.0)
    assert (sums[rows - 2, 29_999], counts[rows - 2, 29_999]) == (2.0, 1.0)


def test_columns_of_one_label_are_added_up() -> None:
    label = np.array([0, 2, 0, 1, 2])
    table = np.arange(10.0).reshape(2, 5)
    truth = np.stack([table[:, label == value].sum(axis=1) for value in range(3)], axis=1)
    assert gather_columns(label).shape == (5, 3)
    np.testing.assert_array_equal(table @ gather_columns(label), truth)
    binned = Clusters("runs", table, 2.0 * table).binned(label)
    assert binned.kind == "runs"
    np.testing.assert_array_equal(binned.sums, truth)
    np.testing.assert_array_equal(binned.counts, 2.0 * truth)


@settings(max_examples=30)
@given(SEEDS)
def test_codes_are_those_of_a_sort(seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 12, 20)
    for own, sorted_ in zip(dense_codes(values), np.unique(values, return_inverse=True), strict=True):
        np.testing.assert_array_equal(own, sorted_)


@settings(max_examples=30)
@given(SEEDS, st.booleans())
def test_a_table_is_that_of_a_loop_over_rows(seed: int, all_kept: bool) -> None:
    rng = np.random.default_rng(seed)
    cluster, column, value = rng.integers(0, 5, 40), rng.integers(0, 7, 40), rng.normal(size=40)
    keep = np.ones(5, dtype=bool) if all_kept else rng.random(5) < 0.5
    sums, counts = np.zeros((5, 7)), np.zeros((5, 7))
    for i, j, v in zip(cluster, column, value, strict=True):
        sums[i, j] += v
        counts[i, j] += 1
    own_sums, own_counts = cluster_table(cluster, column, value, 5, 7, keep)
    np.testing.assert_allclose(own_sums, sums[keep], atol=1e-12)
    np.testing.assert_array_equal(own_counts, counts[keep])


@settings(max_examples=30)
@given(SEEDS)
def test_a_resample_is_the_mean_over_the_clusters_drawn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 3, (4, 6)).astype(float)
    sums = rng.normal(size=(4, 6)) * (counts > 0)
    draws = rng.integers(0, 4, (5, 4))
    multiplicity = np.stack([np.bincount(draw, minlength=4) for draw in draws]).astype(float)
    values, weights = Clusters("runs", sums, counts).resampled(multiplicity)
    for draw, value, weight in zip(draws, values, weights, strict=True):
        total = counts[draw].sum(axis=0)
        np.testing.assert_array_equal(weight, total)
        np.testing.assert_allclose(value, np.where(total > 0, sums[draw].sum(axis=0) / np.maximum(total, 1.0), 0.0))

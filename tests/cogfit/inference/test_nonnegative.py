"""Weights of 0 or more against scipy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from cogfit.formulas.form import Array
from cogfit.inference.nonnegative import nonnegative_weights


def mixtures(x: Array, ratio: float) -> Array:
    rates = np.exp(np.arange(math.log(0.2 / x[-1]), math.log(1.5 / x[1]), math.log(ratio)))
    return np.exp(-rates[:, None] * x).T


@given(seed=st.integers(0, 10_000), n=st.integers(20, 300), noise=st.sampled_from([0.0, 1e-6, 0.01, 1.0]))
def test_mixtures_of_exponentials_are_fitted_as_by_scipy(seed: int, n: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(0.0, 3000.0, n))
    x -= x[0]
    columns = mixtures(x, 2.0)
    y = (1.0 + x) ** -rng.uniform(0.1, 1.0) + rng.normal(0.0, noise, n)
    weights, distance = nonnegative_weights(columns, y)
    theirs, distance_theirs = nnls(columns, y)
    assert (weights >= 0.0).all()
    assert distance == pytest.approx(float(np.linalg.norm(y - columns @ weights)), abs=1e-12)
    assert distance <= distance_theirs * (1.0 + 1e-9) + 1e-10 * np.linalg.norm(y)
    np.testing.assert_allclose(columns @ weights, columns @ theirs, atol=1e-6 * np.linalg.norm(y))


@given(seed=st.integers(0, 10_000), n=st.integers(3, 30), p=st.integers(1, 12))
def test_the_conditions_of_a_minimum_hold(seed: int, n: int, p: int) -> None:
    rng = np.random.default_rng(seed)
    columns, y = rng.normal(size=(n, p)), rng.normal(size=n)
    weights, _ = nonnegative_weights(columns, y)
    slope = columns.T @ (y - columns @ weights)
    scale = 1e-10 * (1.0 + np.abs(columns).sum())
    assert (weights >= 0.0).all()
    assert (slope <= scale).all()
    assert np.abs(slope[weights > 0.0]).max(initial=0.0) <= scale


def test_nothing_to_reach_has_no_weights() -> None:
    columns = np.ones((4, 2))
    assert nonnegative_weights(columns, -np.ones(4))[0].tolist() == [0.0, 0.0]
    assert nonnegative_weights(columns, np.zeros(4)) == (pytest.approx([0.0, 0.0]), 0.0)
    assert nonnegative_weights(columns, np.ones(4))[0].sum() == pytest.approx(1.0)

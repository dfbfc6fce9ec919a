"""Fractional noise against its covariance matrix and its published autocorrelations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import toeplitz
from scipy.special import gamma

from cogfit.engine.arma import estimate_arma
from cogfit.engine.long_memory import FractionalNoise, estimate_fractional


@pytest.mark.parametrize("d", [0.05, 0.3, 0.45])
def test_autocovariances_are_hoskings(d: float) -> None:
    """Hosking 1981, Eq. 2.4: γ_k = Γ(1 − 2d) Γ(k + d) / (Γ(d) Γ(1 − d) Γ(k + 1 − d))."""
    k = np.arange(30)
    expected = gamma(1 - 2 * d) * gamma(k + d) / (gamma(d) * gamma(1 - d) * gamma(k + 1 - d))
    np.testing.assert_allclose(FractionalNoise(d).autocovariance(29), expected, rtol=1e-12)


def test_what_is_driven_and_whitened_comes_back() -> None:
    """(1 − L)^d undoes (1 − L)^−d where nothing came before."""
    innovations = np.random.default_rng(0).normal(size=(3, 50))
    noise = FractionalNoise(0.3)
    series = noise.driven(innovations, np.random.default_rng(1), scale=0.0)
    errors = np.sqrt(noise.prediction_variance(50))
    np.testing.assert_allclose(noise.whiten(series) * errors, innovations, atol=1e-12)


@pytest.mark.parametrize("d", [0.3, 0.45])
def test_series_have_the_autocovariances(d: float) -> None:
    noise, rng = FractionalNoise(d), np.random.default_rng(2)
    series = noise.driven(rng.normal(size=(20_000, 40)), rng)
    measured = np.array([float(np.mean(series[:, 30] * series[:, 30 - k])) for k in range(30)])
    expected = noise.autocovariance(29)
    np.testing.assert_allclose(measured, expected, atol=0.04 * expected[0])


def test_predictions_err_as_the_matrix_says() -> None:
    errors = np.diag(np.linalg.cholesky(toeplitz(FractionalNoise(0.35).autocovariance(39)))) ** 2
    np.testing.assert_allclose(FractionalNoise(0.35).prediction_variance(40), errors, rtol=1e-10)


def test_sums_over_bins_have_their_exact_covariance() -> None:
    noise, begin = FractionalNoise(0.4), np.array([0, 1, 3, 10, 60])
    weight = np.repeat([2.0, 1.0, 0.5, 3.0], np.diff(begin))
    sums = noise.simulate_sums(50_000, begin, weight, np.random.default_rng(3))
    gather = np.zeros((4, 60))
    for b in range(4):
        gather[b, begin[b] : begin[b + 1]] = weight[begin[b] : begin[b + 1]]
    covariance = toeplitz(noise.autocovariance(59))
    expected = gather @ covariance @ gather.T / covariance[0, 0]
    np.testing.assert_allclose(np.cov(sums.T), expected, rtol=0.05, atol=0.02 * expected.max())


@pytest.mark.parametrize("d", [0.1, 0.3])
def test_the_restricted_likelihood_is_that_of_the_matrix(d: float) -> None:
    n, rng = 150, np.random.default_rng(4)
    x = np.stack([np.ones(n), np.linspace(-1, 1, n)], axis=1)
    covariance = toeplitz(FractionalNoise(0.3).autocovariance(n - 1))
    y = np.linalg.cholesky(covariance) @ rng.normal(size=n)

    def exact(at: float) -> float:
        r = toeplitz(FractionalNoise(at).autocovariance(n - 1))
        inverse = np.linalg.inv(r)
        beta = np.linalg.solve(x.T @ inverse @ x, x.T @ inverse @ y)
        rss = (y - x @ beta) @ inverse @ (y - x @ beta)
        log_x = np.linalg.slogdet(x.T @ inverse @ x)[1]
        return float(-0.5 * ((n - 2) * np.log(rss) + np.linalg.slogdet(r)[1] + log_x))

    def ours(at: float) -> float:
        return FractionalNoise(at).restricted_loglik(y, x)

    assert ours(d + 0.1) - ours(d) == pytest.approx(exact(d + 0.1) - exact(d), abs=0.2)


def test_long_memory_is_told_from_a_root_near_one() -> None:
    rng, hits = np.random.default_rng(5), 0
    ones = np.ones((800, 1))
    for _ in range(10):
        series = FractionalNoise(0.35).driven(rng.normal(size=(1, 800)), rng)[0]
        fractional, value = estimate_fractional(series, ones)
        assert abs(fractional.d - 0.35) < 0.12
        hits += value > estimate_arma(series, ones, (1, 0))[1]
    assert hits >= 9

"""ARMA errors against statsmodels, explicit covariance matrices and known processes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import toeplitz
from statsmodels.tsa.arima_process import ArmaProcess
from statsmodels.tsa.statespace.sarimax import SARIMAX

from cogfit.engine import separable
from cogfit.engine.arma import WHITE, Arma, estimate_arma, restricted_loglik, select_arma
from cogfit.formulas.registry import get_form

CASES = [Arma((0.8,)), Arma((1.2, -0.5)), Arma((0.3, 0.2, 0.1)), Arma((0.7,), (0.4,)), Arma((0.6, 0.25), (0.4,))]


@pytest.mark.parametrize("errors", CASES, ids=lambda e: str(e.order))
def test_likelihood_is_that_of_statsmodels(errors: Arma) -> None:
    y = errors.simulate(1, 120, np.random.default_rng(0))[0]
    p, q = errors.order
    theirs = SARIMAX(y, order=(p, 0, q), trend="n").loglike([*errors.phi, *errors.theta, 1.0])
    innovations = errors.whiten(y)[0]
    inverse_root = errors.filter(y.size)[2]
    ours = -0.5 * y.size * math.log(2 * math.pi) + np.log(inverse_root).sum() - 0.5 * innovations @ innovations
    assert ours == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("errors", CASES, ids=lambda e: str(e.order))
def test_whitening_is_a_factor_of_the_inverse_covariance(errors: Arma) -> None:
    n = 30
    covariance = toeplitz(errors.autocovariance(n - 1))
    factor = errors.whiten(np.eye(n)).T  # columns are whitened unit vectors
    np.testing.assert_allclose(factor.T @ factor, np.linalg.inv(covariance), atol=1e-9)
    reference = ArmaProcess(np.r_[1, -np.array(errors.phi)], np.r_[1, errors.theta])
    np.testing.assert_allclose(errors.autocovariance(n - 1), reference.acovf(n), rtol=1e-6, atol=1e-9)


def test_autocorrelation_time_has_its_closed_form() -> None:
    assert Arma((0.8,)).time == pytest.approx(1.8 / 0.2)
    assert Arma((), (0.5,)).time == pytest.approx(1.5**2 / 1.25)
    assert WHITE.time == 1.0


def test_restricted_likelihood_against_explicit_matrices() -> None:
    rng = np.random.default_rng(1)
    n = 40
    x = np.stack([np.ones(n), np.linspace(0, 1, n)], axis=1)
    y, errors = rng.normal(size=n).cumsum(), Arma((0.6,), (0.3,))
    inverse = np.linalg.inv(toeplitz(errors.autocovariance(n - 1)))
    beta = np.linalg.solve(x.T @ inverse @ x, x.T @ inverse @ y)
    rss = (y - x @ beta) @ inverse @ (y - x @ beta)
    expected = -0.5 * (
        (n - 2) * math.log(rss) - np.linalg.slogdet(inverse)[1] + np.linalg.slogdet(x.T @ inverse @ x)[1]
    )
    assert restricted_loglik(errors, y, x) == pytest.approx(expected, rel=1e-9)


def test_restricted_estimates_are_less_biased_than_plain_ones() -> None:
    """A fitted line takes part of a short red series with it; plain lag-1 autocorrelations are far too small."""
    rng = np.random.default_rng(2)
    n = 50
    x = np.stack([np.ones(n), np.arange(n)], axis=1)
    hat = x @ np.linalg.pinv(x)
    found, plain = [], []
    for series in Arma((0.8,)).simulate(300, n, rng):
        r = series - hat @ series
        found.append(estimate_arma(r, x, (1, 0))[0].phi[0])
        plain.append(float(r[1:] @ r[:-1] / (r @ r)))
    assert np.mean(plain) < 0.7
    assert abs(np.mean(found) - 0.8) < 0.05


def test_the_order_is_found() -> None:
    rng = np.random.default_rng(3)
    x = np.ones((800, 1))

    def share(errors: Arma, right: tuple[int, int]) -> float:
        return float(np.mean([select_arma(e, x).order == right for e in errors.simulate(40, 800, rng)]))

    assert share(WHITE, (0, 0)) > 0.7  # the AIC lets AR(1) in at 16 %
    assert share(Arma((0.9,)), (1, 0)) > 0.9
    assert share(Arma((1.2, -0.6)), (2, 0)) > 0.8
    times = [select_arma(e, x).time for e in Arma((0.6, 0.25), (0.4,)).simulate(40, 800, rng)]
    assert np.median(times) == pytest.approx(Arma((0.6, 0.25), (0.4,)).time, rel=0.3)


def test_simulated_series_are_stationary_with_unit_variance() -> None:
    series = Arma((0.6, 0.25), (0.4,)).simulate(4000, 6, np.random.default_rng(4))
    np.testing.assert_allclose(series.var(axis=0), 1.0, atol=0.12)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(rho=st.floats(-0.9, 0.97), gamma=st.floats(0.1, 2.0), floor=st.booleans())
def test_generalised_least_squares_in_the_engine(rho: float, gamma: float, floor: bool) -> None:
    """The engine's GLS optimum is a stationary point of the explicit quadratic form, and no worse than the truth."""
    form = get_form("power_floor" if floor else "power")
    x = np.arange(1.0, 61.0)
    truth = np.array([0.9, gamma, 0.1][: 3 if floor else 2])
    errors = Arma((rho,))
    y = form.evaluate(x, truth) + 0.01 * errors.simulate(1, x.size, np.random.default_rng(5))[0]
    found = separable.solve(form, x, y[None], np.ones((1, x.size)), errors=errors)
    inverse = np.linalg.inv(toeplitz(errors.autocovariance(x.size - 1)))

    def cost(p: np.ndarray) -> float:
        r = y - form.evaluate(x, p)
        return float(r @ inverse @ r)

    assert cost(found.params[0]) == pytest.approx(found.rss[0], rel=1e-6)
    assert found.rss[0] <= cost(truth) * (1 + 1e-9)

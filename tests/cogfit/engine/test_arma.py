"""ARMA errors against statsmodels, explicit covariance matrices and known processes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import toeplitz
from scipy.optimize import minimize_scalar
from statsmodels.tsa.arima_process import ArmaProcess
from statsmodels.tsa.statespace.sarimax import SARIMAX
from statsmodels.tsa.stattools import acf

from cogfit.engine import separable
from cogfit.engine.arma import (
    ORDERS,
    WHITE,
    Arma,
    ar1_gain,
    estimate_arma,
    first_autocorrelation,
    restricted_loglik,
    select_arma,
)
from cogfit.formulas.registry import get_form
from cogfit.native import arma as kernels

CASES = [Arma((0.8,)), Arma((1.2, -0.5)), Arma((0.3, 0.2, 0.1)), Arma((0.7,), (0.4,)), Arma((0.6, 0.25), (0.4,))]


@pytest.mark.parametrize("parameters", [0, 3])
@pytest.mark.parametrize("series", [[3.0, -1, 2, 0, 4, -2], [1.0, 2, 3, 5, 4, 3, 1, 0, 1, 2], [0.0, 1, 5]])
def test_first_autocorrelation_is_that_of_statsmodels_but_for_its_bias(series: list[float], parameters: int) -> None:
    """White noise loses 1/n to the mean and to each parameter, a red series more."""
    y = np.array(series)
    raw = float(acf(y, nlags=1, fft=False)[1])
    expected = raw + (1 + parameters) / y.size * (1 + raw if raw > 0 else 1)
    assert first_autocorrelation(y, parameters) == pytest.approx(np.clip(expected, -0.99, 0.99))
    assert first_autocorrelation(y) == first_autocorrelation(y, 0)


def test_first_autocorrelation_of_white_noise_has_no_bias() -> None:
    noise = np.random.default_rng(6).normal(size=(4000, 12))
    assert np.mean([acf(y, nlags=1, fft=False)[1] for y in noise[:1000]]) < -0.06
    assert abs(np.mean([first_autocorrelation(y) for y in noise])) < 0.02


def test_first_autocorrelation_has_limits() -> None:
    assert first_autocorrelation(np.arange(500.0)) == 0.99
    assert first_autocorrelation(np.tile([1.0, -1.0], 500)) == -0.99
    assert first_autocorrelation(np.array([1.0, -1.0])) == 0.0
    assert first_autocorrelation(np.array([1.0, 0.0, -1.0])) != 0.0
    assert first_autocorrelation(np.full(9, 2.5)) == 0.0


@pytest.mark.parametrize("rho", [-0.8, 0.0, 0.5, 0.95])
@pytest.mark.parametrize("n", [4, 30])
def test_gain_of_ar1_is_that_of_the_full_likelihood(rho: float, n: int) -> None:
    """Against explicit covariance matrices, maximised over ρ and scale."""
    y = Arma((rho,)).simulate(1, n, np.random.default_rng(n))[0]

    def profile(r: float) -> float:
        correlation = toeplitz(r ** np.arange(n))
        return float(-0.5 * n * math.log(y @ np.linalg.solve(correlation, y)) - 0.5 * np.linalg.slogdet(correlation)[1])

    best = minimize_scalar(lambda r: -profile(r), bounds=(-0.9899, 0.9999), method="bounded")
    assert ar1_gain(y) == pytest.approx(max(-best.fun - profile(0.0), 0.0), abs=2e-3)


def test_gain_of_ar1_is_never_negative() -> None:
    assert ar1_gain(np.array([1.0, 2.0, 3.0])) == 0.0
    assert ar1_gain(np.zeros(10)) == 0.0
    assert ar1_gain(np.array([1.0, 0.0, 0.0, 0.0, 0.0])) == 0.0
    assert ar1_gain(np.array([1.0, 1.0, 1.0, 1.0])) > 0.0


@pytest.mark.parametrize(
    ("errors", "order", "title"),
    [
        (WHITE, (0, 0), "independent errors"),
        (Arma((0.8765,)), (1, 0), "AR(1) errors, ρ = 0.876"),
        (Arma((0.5, 0.2)), (2, 0), "AR(2) errors"),
        (Arma((0.5,), (0.2,)), (1, 1), "ARMA(1, 1) errors"),
        (Arma((), (0.2,)), (0, 1), "ARMA(0, 1) errors"),
    ],
)
def test_a_model_has_an_order_and_a_title(errors: Arma, order: tuple[int, int], title: str) -> None:
    assert (errors.order, errors.title, errors.white) == (order, title, order == (0, 0))


def test_independent_errors_are_left_as_they_are() -> None:
    rows = np.array([[1.0, 2.0, 3.0]])
    assert WHITE.whiten(rows).tolist() == rows.tolist()
    assert WHITE.whiten(rows[0]).shape == (1, 3)
    phi, gains, roots = WHITE.filter(3)
    assert (phi.shape, gains.shape, roots.tolist()) == ((0,), (3, 0), [1.0, 1.0, 1.0])
    rng = np.random.default_rng(7)
    assert WHITE.driven(rows, rng).tolist() == rows.tolist()
    drawn = WHITE.simulate(2, 5, np.random.default_rng(8))
    assert drawn.tolist() == np.random.default_rng(8).normal(size=(2, 5)).tolist()


def test_the_time_of_an_overdifferenced_series_is_small_but_positive() -> None:
    assert Arma((), (-1.0,)).time == 1e-3
    assert Arma((-0.5,)).time == pytest.approx(0.5 / 1.5)
    assert Arma((0.5,), (0.3,)).time == pytest.approx((1.3 / 0.5) ** 2 / ((1 + 0.3**2 + 2 * 0.5 * 0.3) / (1 - 0.25)))


@pytest.mark.parametrize("errors", CASES, ids=lambda e: str(e.order))
def test_series_follow_their_recursion_from_a_state_of_that_scale(errors: Arma) -> None:
    """What is left of e_{t+1} without its past is u_t + Σ θ_j u_{t−j}: a value follows the innovation before it."""
    n, (p, q) = 12, errors.order
    u = np.random.default_rng(9).normal(size=(3, n))
    e = errors.driven(u, np.random.default_rng(10))
    times = range(max(p, q + 1) + 1, n)
    left = [e[:, t] - sum(errors.phi[i] * e[:, t - 1 - i] for i in range(p)) for t in times]
    expected = [u[:, t - 1] + sum(errors.theta[j] * u[:, t - 2 - j] for j in range(q)) for t in times]
    np.testing.assert_allclose(left, expected, atol=1e-9)
    quiet = np.zeros((2, 5))
    assert not errors.driven(quiet, np.random.default_rng(9), scale=0.0).any()
    before = errors.driven(quiet, np.random.default_rng(9))
    assert before.all()
    np.testing.assert_allclose(errors.driven(quiet, np.random.default_rng(9), scale=2.0), 2 * before)


def design(n: int) -> np.ndarray:
    return np.stack([np.ones(n), np.linspace(0, 1, n)], axis=1)


def test_a_reference_gives_degrees_of_freedom_and_determinant() -> None:
    rng, n = np.random.default_rng(11), 25
    x, y, errors = design(n), rng.normal(size=n).cumsum(), Arma((0.5,))
    inverse = np.linalg.inv(toeplitz(errors.autocovariance(n - 1)))
    wide = np.concatenate([x, x[:, 1:] ** 2], axis=1)
    beta = np.linalg.solve(wide.T @ inverse @ wide, wide.T @ inverse @ y)
    rss = (y - wide @ beta) @ inverse @ (y - wide @ beta)
    log_x = np.linalg.slogdet(x.T @ inverse @ x)[1]
    expected = -0.5 * ((n - 2) * math.log(rss) - np.linalg.slogdet(inverse)[1] + log_x)
    assert restricted_loglik(errors, y, wide, x) == pytest.approx(expected, rel=1e-9)
    assert restricted_loglik(errors, y, x[:, [0, 0]]) == -math.inf  # X'R⁻¹X is singular


@pytest.mark.parametrize("has_reference", [False, True])
@pytest.mark.parametrize("order", [(0, 0), (1, 0)])
def test_estimates_have_the_highest_restricted_likelihood(order: tuple[int, int], has_reference: bool) -> None:
    """Columns of any length, or none at all, count as one of length 1 or none."""
    n = 40
    y, x = Arma((0.7,)).simulate(1, n, np.random.default_rng(12))[0], design(n)
    unit = x / np.linalg.norm(x, axis=0)
    reference = unit[:, :1] if has_reference else None
    scaled = np.concatenate([1e3 * x[:, :1], np.zeros((n, 1)), 0.1 * x[:, 1:]], axis=1)
    other = None if reference is None else np.concatenate([5 * reference, np.zeros((n, 1))], axis=1)
    found, value = estimate_arma(y, scaled, order, reference=other)
    assert value == pytest.approx(restricted_loglik(found, y, unit, reference), rel=1e-9)
    tried = [Arma((rho,)) for rho in np.linspace(-0.95, 0.99, 195).tolist()] if order == (1, 0) else [WHITE]
    assert value >= max(restricted_loglik(errors, y, unit, reference) for errors in tried) - 1e-9
    assert found.order == order


@pytest.fixture
def unmoved(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A search that stays where it starts; its first steps."""
    steps: list[float] = []

    def stay(first, step, *_):
        steps.append(step)
        return first, 0.0

    monkeypatch.setattr(kernels, "minimise", stay)
    return steps


START = [*CASES, Arma((-0.4,)), Arma((0.5,), (-0.3,)), Arma((0.2, 0.1), (0.3, -0.2))]


@pytest.mark.parametrize("start", START, ids=lambda e: f"{e.phi}{e.theta}")
def test_a_search_starts_at_a_model_of_its_order(start: Arma, unmoved: list[float]) -> None:
    y = np.random.default_rng(13).normal(size=30)
    found, _ = estimate_arma(y, np.ones((30, 1)), start.order, start=start)
    assert found.phi == pytest.approx(start.phi)
    assert found.theta == pytest.approx(start.theta)
    other, _ = estimate_arma(y, np.ones((30, 1)), start.order, start=WHITE)  # of another order: no start
    assert other == estimate_arma(y, np.ones((30, 1)), start.order)[0]
    assert unmoved[0] < unmoved[1]  # near the optimum the first steps are smaller


def test_a_search_starts_at_the_first_autocorrelation_else(unmoved: list[float]) -> None:
    y = np.random.default_rng(14).normal(size=50)
    found, _ = estimate_arma(y, np.ones((50, 1)), (1, 0))
    assert found.phi[0] == pytest.approx(first_autocorrelation(y), rel=1e-3)
    found, _ = estimate_arma(y, np.ones((50, 1)), (2, 1))
    assert found.phi[1:] == found.theta == (0.0,)
    for trend, limit in ((np.arange(500.0), 0.97), (np.tile([1.0, -1.0], 250), -0.95)):
        found, _ = estimate_arma(trend, np.ones((500, 1)), (1, 0))
        assert found.phi[0] == pytest.approx(limit, rel=1e-3)
    close = Arma((0.99949,))
    found, _ = estimate_arma(y, np.ones((50, 1)), (1, 0), start=close)
    assert found.phi[0] == pytest.approx(0.9995 * math.tanh(4.3), rel=1e-9)  # inside the search's box


def chosen(y: np.ndarray, x: np.ndarray, orders: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    """The rule in words: AIC against white noise, BIC beyond, if the innovations leave something to explain."""
    n = y.size
    loglik = {order: estimate_arma(y, x, order)[1] for order in ((0, 0), *orders)}
    aic = {order: 2 * sum(order) - 2 * value for order, value in loglik.items()}
    if aic[orders[0]] >= aic[0, 0]:
        return 0, 0
    first, _ = estimate_arma(y, x, orders[0])
    u = first.whiten(y)[0]
    box_pierce = n * sum((u[lag:] @ u[: n - lag] / (u @ u)) ** 2 for lag in range(1, 7))
    if box_pierce < 0.7 * math.log(n):
        return orders[0]
    tried = [orders[0], *(order for order in orders[1:] if n >= 10 * (sum(order) + x.shape[1]))]
    return min(tried, key=lambda order: sum(order) * math.log(n) - 2 * loglik[order])


@pytest.mark.parametrize("orders", [ORDERS, ((1, 0),), ((1, 0), (2, 0))], ids=len)
@pytest.mark.parametrize(
    "errors", [WHITE, Arma((0.25,)), Arma((0.5, 0.3)), Arma((0.6,), (0.5,))], ids=lambda e: e.title
)
def test_orders_are_chosen_by_information_criteria(errors: Arma, orders: tuple[tuple[int, int], ...]) -> None:
    rng = np.random.default_rng(15)
    found = []
    for n in (39, 40, 60, 60, 120):
        y, x = errors.simulate(1, n, rng)[0], design(n)
        found.append(select_arma(y, x, orders).order)
        assert found[-1] == chosen(y, x, orders)
    if errors.order != (0, 0):
        assert set(found) != {(0, 0)}


def test_orders_need_ten_points_for_every_coefficient() -> None:
    """A stochastic cycle, which AR(1) cannot follow: two coefficients and two of the mean from 40 points on."""
    y = Arma((1.6, -0.9)).simulate(1, 40, np.random.default_rng(16))[0]
    assert select_arma(y, design(40), ((1, 0), (2, 0))).order == (2, 0)
    assert select_arma(y[:39], design(39), ((1, 0), (2, 0))).order == (1, 0)


def test_short_or_constant_series_are_white() -> None:
    y = Arma((0.95,)).simulate(1, 10, np.random.default_rng(17))[0].cumsum()
    assert select_arma(y, np.ones((10, 1))).order != (0, 0)
    assert select_arma(y[:9], np.ones((9, 1))).order != (0, 0)
    assert select_arma(y[:8], np.ones((8, 1))) == WHITE
    assert select_arma(y, design(10)[:, [0, 1, 1]]) == WHITE
    assert select_arma(np.full(20, 0.5), np.ones((20, 1))) == WHITE


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

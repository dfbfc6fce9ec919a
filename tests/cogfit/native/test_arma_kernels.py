"""ARMA kernels: against statsmodels and exact arithmetic, at every level of the compiled engine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

import mpmath as mp
import numpy as np
import pytest
from scipy.linalg import toeplitz
from statsmodels.tsa.statespace.sarimax import SARIMAX

from cogfit.engine.arma import Arma, estimate_arma, restricted_loglik, unit_rows
from cogfit.native import arma, library

ORDERS = [
    Arma((0.8,)),
    Arma((1.2, -0.5)),
    Arma((0.3, 0.2, 0.1)),
    Arma((0.7,), (0.4,)),
    Arma((0.6, 0.25), (0.4,)),
    Arma((), (-0.6,)),
    Arma((0.2, 0.1, 0.3, 0.1), (0.5, 0.3, 0.2)),
]
NEAR_UNIT_ROOT = [
    Arma((0.9995,)),
    Arma((-0.9995,)),
    Arma((1.998, -0.9985)),
    Arma((0.9995,), (-0.9,)),
    Arma((1.2, -0.21), (0.4,)),
    Arma((0.7,), (-0.9995,)),
    Arma((), (1.0,)),
    Arma((0.9, 0.05, 0.0, 0.04), (0.3,)),
]


def name(errors: Arma) -> str:
    return f"{errors.phi}{errors.theta}"


def state_space(errors: Arma) -> tuple[np.ndarray, np.ndarray]:
    m = max(len(errors.phi), len(errors.theta) + 1)
    phi, loading = np.zeros(m), np.zeros(m)
    phi[: len(errors.phi)], loading[: 1 + len(errors.theta)] = errors.phi, (1.0, *errors.theta)
    return phi, loading


@pytest.fixture(params=library.levels())
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every level that this machine can run, in turn."""
    before = library.level()
    library.use_level(request.param)
    yield request.param
    library.use_level(before)


def at_every_level(make) -> list[np.ndarray]:
    before, out = library.level(), []
    for one in library.levels():
        library.use_level(one)
        out.append(make())
    library.use_level(before)
    return out


@cache
def exact(errors: Arma, n: int) -> tuple[np.ndarray, np.ndarray, float]:
    """A random walk, its innovations and log|R| by the Kalman filter with 50 digits."""
    row = np.random.default_rng(n).normal(size=n).cumsum()
    phi, loading = state_space(errors)
    with mp.workdps(50):
        m = phi.size
        step, shock = mp.zeros(m, m), mp.matrix([mp.mpf(float(v)) for v in loading])
        for i in range(m):
            step[i, 0] = mp.mpf(float(phi[i]))
            if i + 1 < m:
                step[i, i + 1] = mp.mpf(1)
        power, covariance = step.copy(), shock * shock.T
        for _ in range(24):
            covariance, power = covariance + power * covariance * power.T, power * power
        state, out, log_r = mp.zeros(m, 1), [], mp.mpf(0)
        for y in row.tolist():
            variance, innovation = covariance[0, 0], mp.mpf(y) - state[0]
            out.append(float(innovation / mp.sqrt(variance)))
            log_r += mp.log(variance)
            gain = step * covariance[:, 0] / variance
            state = step * state + gain * innovation
            covariance = step * covariance * step.T + shock * shock.T - gain * gain.T * variance
        return row, np.array(out), float(log_r)


@pytest.mark.parametrize("n", [1, 2, 4, 7, 10, 90])
@pytest.mark.parametrize("errors", ORDERS + NEAR_UNIT_ROOT, ids=name)
def test_innovations_are_those_of_exact_arithmetic(errors: Arma, n: int, level: str) -> None:
    """To 1e-9 even near a unit root, where predictions have a thousandth of the variance of the series."""
    row, expected, log_r = exact(errors, n)
    found = row[None].copy()
    arma.whiten_rows(found, *state_space(errors))
    np.testing.assert_allclose(found[0], expected, rtol=1e-9, atol=1e-10 * np.abs(expected).max())
    terms = arma.restricted_terms(*state_space(errors), row[None].copy(), np.zeros((0, n)))
    assert terms == pytest.approx((float(expected @ expected), log_r, 0.0), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("n", [4, 5, 9, 10, 1000, 10_000])
@pytest.mark.parametrize("errors", ORDERS[:6] + NEAR_UNIT_ROOT[:1], ids=name)
def test_the_likelihood_is_that_of_statsmodels(errors: Arma, n: int, level: str) -> None:
    y = np.random.default_rng(n).normal(size=n)
    p, q = errors.order
    model = SARIMAX(y, order=(p, 0, q), trend="n", enforce_stationarity=True)
    model.ssm.tolerance = 0.0  # no steady state taken for granted
    theirs = model.loglike([*errors.phi, *errors.theta, 1.0])
    rss, log_r, _ = arma.restricted_terms(*state_space(errors), y[None].copy(), np.zeros((0, n)))
    assert -0.5 * (n * math.log(2.0 * math.pi) + log_r + rss) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("errors", ORDERS + NEAR_UNIT_ROOT, ids=name)
def test_levels_agree(errors: Arma) -> None:
    """Series to 1e-12 of their size; near a unit root as far as their conditioning lets them."""
    phi, loading = state_space(errors)
    rng, tolerance = np.random.default_rng(1), 1e-12 if errors in ORDERS else 1e-9
    shocks, starts = rng.normal(size=(11, 150)), rng.normal(size=(11, phi.size))

    def whitened() -> np.ndarray:
        rows = shocks.copy()
        arma.whiten_rows(rows, phi, loading)
        return rows

    def driven() -> np.ndarray:
        rows = shocks.copy()
        arma.series(phi, loading, starts, rows)
        return rows

    def terms() -> np.ndarray:
        return np.array(arma.restricted_terms(phi, loading, shocks[:6], shocks[6:9]))

    for make in (
        whitened,
        driven,
        terms,
        lambda: arma.gains(phi, loading, 150)[0],
        lambda: arma.gains(phi, loading, 150)[1],
    ):
        first, *others = at_every_level(make)
        for other in others:
            np.testing.assert_allclose(other, first, rtol=tolerance, atol=tolerance * np.abs(first).max())


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8, 9, 17])
@pytest.mark.parametrize("n", [1, 3, 63, 64, 65, 130])
@pytest.mark.parametrize("errors", [ORDERS[1], ORDERS[4], ORDERS[6]], ids=name)
def test_a_row_does_not_depend_on_its_neighbours(errors: Arma, n: int, rows: int, level: str) -> None:
    """Bit for bit, in whichever lane it lies."""
    phi, loading = state_space(errors)
    rng = np.random.default_rng(rows)
    shocks, starts = rng.normal(size=(rows, n)), rng.normal(size=(rows, phi.size))
    together, driven = shocks.copy(), shocks.copy()
    arma.whiten_rows(together, phi, loading)
    arma.series(phi, loading, starts, driven)
    for i in range(rows):
        alone, own = shocks[i : i + 1].copy(), shocks[i : i + 1].copy()
        arma.whiten_rows(alone, phi, loading)
        arma.series(phi, loading, starts[i : i + 1].copy(), own)
        assert np.array_equal(alone[0], together[i])
        assert np.array_equal(own[0], driven[i])


@pytest.mark.parametrize("errors", ORDERS + NEAR_UNIT_ROOT, ids=name)
def test_gains_whiten_as_rows_are_whitened(errors: Arma, level: str) -> None:
    """The state-space recursion with the gains of all points, written out."""
    phi, loading = state_space(errors)
    n = 80
    gain, inverse_root = arma.gains(phi, loading, n)
    row = np.random.default_rng(2).normal(size=n)
    state, expected = np.zeros(phi.size), np.empty(n)
    for t in range(n):
        v = row[t] - state[0]
        expected[t] = v * inverse_root[t]
        state = phi * state[0] + np.append(state[1:], 0.0) + gain[t] * v
    found = row[None].copy()
    arma.whiten_rows(found, phi, loading)
    np.testing.assert_allclose(found[0], expected, rtol=1e-9, atol=1e-9)


def test_series_begin_in_the_stationary_state(level: str) -> None:
    """Shocks of 0 leave the state's first number, whose covariance with itself later is the autocovariance."""
    phi, loading = state_space(Arma((0.6, 0.25), (0.4,)))
    rows = np.zeros((2, 4))
    arma.series(phi, loading, np.eye(2), rows)
    np.testing.assert_allclose(rows.T @ rows[:, 0], arma.autocovariances(phi, loading, 3), rtol=1e-12)


@pytest.mark.parametrize("order", [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1)])
def test_levels_find_the_same_errors(order: tuple[int, int]) -> None:
    y = Arma((0.6, 0.25), (0.4,)).simulate(1, 150, np.random.default_rng(3))[0]
    design = np.stack([np.ones(150), np.linspace(0.0, 1.0, 150)], axis=1)

    def estimate() -> np.ndarray:
        errors, value = estimate_arma(y, design, order)
        return np.array([*errors.phi, *errors.theta, value])

    first, *others = at_every_level(estimate)
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-11)


def test_partial_autocorrelations_give_the_coefficients(level: str) -> None:
    """An AR(3) with partial autocorrelations a, b, c, written out; θ with the sign turned."""
    a, b, c = partials = 0.9 * np.tanh([0.3, -0.4, 0.7])
    phi, loading = arma.coefficients(np.arctanh(np.append(partials, partials[:2]) / 0.9), 3, 2, 0.9)
    first, second = a - a * b, b
    np.testing.assert_allclose(phi, [first - c * second, second - c * first, c], rtol=1e-12)
    np.testing.assert_allclose(loading, [1.0, -(a - a * b), -b], rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: arma.gains(np.zeros(2), np.ones(1), 3), "equal length"),
        (lambda: arma.series(np.zeros(1), np.ones(1), np.zeros((2, 2)), np.zeros((2, 5))), "starting states"),
        (lambda: arma.restricted_terms(np.zeros(1), np.ones(1), np.zeros((2, 5)), np.zeros((1, 4))), "5 points"),
        (lambda: arma.coefficients(np.zeros(2), 1, 0, 0.9), "coordinates"),
        (lambda: arma.minimise(np.zeros(2), 0.1, 1, 0, 0.9, 4.0, np.zeros((1, 9)), np.zeros((0, 9))), "coordinates"),
        (lambda: arma.whiten_rows(np.zeros((4, 2), dtype=np.float32), np.zeros(1), np.ones(1)), "float64"),
        (lambda: arma.whiten_rows(np.zeros((4, 6))[:, ::2], np.zeros(1), np.ones(1)), "contiguous"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(call, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        call()


def criterion(errors: Arma, rows: np.ndarray, reference: np.ndarray) -> float:
    """The search's criterion at given errors: a simplex without extent stays where it is."""
    p, q = errors.order
    z = coordinates(errors, 1.0)
    return arma.minimise(z, 0.0, p, q, 1.0, 30.0, rows, reference)[1]


def coordinates(errors: Arma, limit: float) -> np.ndarray:
    """Partial autocorrelations by the step-down recursion, as coordinates."""
    partials: list[float] = []
    for coefficients in (errors.phi, tuple(-v for v in errors.theta)):
        phi, reversed_partials = np.array(coefficients), []
        while phi.size:
            last = phi[-1]
            reversed_partials.append(float(last))
            phi = (phi[:-1] + last * phi[:-1][::-1]) / (1.0 - last * last)
        partials += reversed_partials[::-1]
    return np.arctanh(np.array(partials) / limit)


AUTOREGRESSIVE = [
    *(e for e in ORDERS[:3]),
    Arma((0.9995,)),
    Arma((-0.9995,)),
    Arma((1.998, -0.9985)),
    Arma((2.8, -2.65, 0.845)),
]


@pytest.mark.parametrize("n", [5, 40, 3000])
@pytest.mark.parametrize("errors", AUTOREGRESSIVE, ids=name)
def test_products_of_differences_give_the_likelihood_of_whitened_rows(errors: Arma, n: int, level: str) -> None:
    """Without whitening, to 1e-9 of each term even near a unit root, for smooth columns and a random walk."""
    x = np.arange(1.0, n + 1.0)
    columns = np.stack([np.ones(n), x**-0.4, x**-0.4 * np.log(x)])[: min(3, n - 3)]
    rows = np.concatenate(
        [columns / np.linalg.norm(columns, axis=1)[:, None], np.random.default_rng(n).normal(size=(1, n))]
    )
    rows[-1] = rows[-1].cumsum()
    for reference in (np.zeros((0, n)), rows[:1].copy()):
        rss, log_r, log_x = arma.restricted_terms(*state_space(errors), rows, reference)
        count = len(reference) or len(rows) - 1
        expected = 0.5 * ((n - count) * math.log(rss) + log_r + log_x)
        assert criterion(errors, rows, reference) == pytest.approx(expected, rel=1e-9, abs=1e-9 * n)


@pytest.mark.parametrize("errors", ORDERS + NEAR_UNIT_ROOT[:4], ids=name)
def test_products_with_the_covariance_are_those_of_its_matrix(errors: Arma, level: str) -> None:
    n = 70
    covariance = toeplitz(arma.autocovariances(*state_space(errors), n - 1))
    rows = np.random.default_rng(4).normal(size=(9, n))
    expected = rows @ covariance @ rows.T
    found = arma.covariance_products(rows, *state_space(errors))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("errors", ORDERS + NEAR_UNIT_ROOT[:4], ids=name)
def test_sums_over_bins_have_their_covariance(errors: Arma, level: str) -> None:
    """Bins of one point, of several, and of none."""
    n, begin = 70, np.array([0, 1, 5, 5, 30, 31, 60, 70])
    covariance = toeplitz(arma.autocovariances(*state_space(errors), n - 1))
    weight = np.random.default_rng(5).uniform(0.5, 2.0, size=n)
    inside = (np.arange(n) >= begin[:-1, None]) & (np.arange(n) < begin[1:, None])
    expected = (inside * weight) @ covariance @ (inside * weight).T
    found = arma.sum_covariance(begin, weight, *state_space(errors))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize(
    "errors",
    [Arma((0.7,), (0.4,)), Arma((0.8,), (-0.5,)), Arma((0.6, 0.25), (0.4,)), Arma((0.999,), (-0.9,))],
    ids=name,
)
def test_long_series_end_at_a_minimum(errors: Arma, level: str) -> None:
    """Newton's method, from far and from near: no point about it is better."""
    n = 2500
    y = errors.simulate(1, n, np.random.default_rng(6))[0]
    design = np.stack([np.ones(n), np.arange(1.0, n + 1) ** -0.4], axis=1)
    found, value = estimate_arma(y, design, errors.order)
    _, again = estimate_arma(y, design, errors.order, start=found)
    assert again == pytest.approx(value, abs=1e-4)
    rng = np.random.default_rng(7)
    for scale in (0.003, 0.01, 0.03):
        for _ in range(5):
            phi, theta = (tuple(v * (1 - scale * rng.uniform()) for v in part) for part in (found.phi, found.theta))
            other = Arma(phi, theta)
            if other.is_stationary:
                assert restricted_loglik(other, y, unit_rows(design).T) < value + 1e-4

"""Long curves: what is condensed for them gives the answers of all points.

At n = 10⁴ the long path is forced on and off.
"""

from __future__ import annotations

import numpy as np
import pytest

import cogfit
from cogfit.curves.arrays import array_curve
from cogfit.engine import arma, bins
from cogfit.engine.arma import WHITE, Arma, estimate_arma
from cogfit.engine.estimate import estimate
from cogfit.formulas.registry import get_form
from cogfit.inference.error_models import errors_of
from cogfit.inference.joint_fit import JointFit
from cogfit.inference.profile import profile

N = 10_000
X = np.arange(1.0, N + 1.0)
ERRORS = {"white": WHITE, "AR(1) 0.5": Arma((0.5,)), "AR(1) 0.95": Arma((0.95,)), "ARMA(1, 1)": Arma((0.8,), (-0.4,))}
TRUTHS = {
    "power": lambda x: 0.8 * x**-0.43,
    "power_floor": lambda x: 0.8 * x**-0.43 + 0.05,
    "foreign": lambda x: 0.1 + 0.7 * np.exp(-((x / 900.0) ** 0.6)),
}


def curve_of(truth: str, errors: str, rng: int = 0) -> np.ndarray:
    mean = TRUTHS[truth](X)
    if errors == "log-normal":
        return np.asarray(mean * np.exp(0.03 * np.random.default_rng(rng).normal(size=N)))
    return np.asarray(mean + 0.003 * ERRORS[errors].simulate(1, N, np.random.default_rng(rng))[0])


def set_long(monkeypatch: pytest.MonkeyPatch, is_long: bool) -> None:
    monkeypatch.setattr(bins, "LONG", 1000 if is_long else 1_000_000)


@pytest.mark.parametrize("errors", [*ERRORS, "log-normal"])
@pytest.mark.parametrize("truth", TRUTHS)
def test_exponent_and_limits_are_those_of_all_points(truth: str, errors: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """γ to 0.01 standard errors, limits to 1 % of the width, for the truth and a form that is not."""
    y = curve_of(truth, errors)
    curve = array_curve(X, y)
    for name in ("power_floor",) if errors == "log-normal" else ("power", "power_floor"):
        form, found = get_form(name), []
        for is_long in (False, True):
            set_long(monkeypatch, is_long)
            fit = estimate(form, X, y, curve.weights, "lognormal" if errors == "log-normal" else "gaussian")
            model = errors_of(form, curve, fit)
            found.append((fit, profile(JointFit(form, curve, fit, model), "gamma", 0.95), model))
        (plain, limits, model), (short, condensed, same) = found
        assert same.order == model.order
        width = limits.high - limits.low
        assert short.params["gamma"] == pytest.approx(plain.params["gamma"], abs=0.01 * plain.stderr["gamma"])
        assert condensed.low == pytest.approx(limits.low, abs=0.01 * width)
        assert condensed.high == pytest.approx(limits.high, abs=0.01 * width)


@pytest.mark.parametrize(
    ("truth", "errors"),
    [("power", "white"), ("power_floor", "AR(1) 0.5"), ("power_floor", "ARMA(1, 1)"), ("foreign", "AR(1) 0.95")],
)
def test_the_verdict_is_that_of_all_points(truth: str, errors: str, monkeypatch: pytest.MonkeyPatch) -> None:
    y, found = curve_of(truth, errors), []
    for is_long in (False, True):
        set_long(monkeypatch, is_long)
        found.append(cogfit.fit(X, y))
    plain, condensed = found
    assert condensed.verdict.power_law == plain.verdict.power_law
    assert condensed.form == plain.form
    assert condensed.noise == plain.noise


@pytest.mark.parametrize("errors", ERRORS)
def test_sums_over_bins_are_drawn_from_the_errors_own_distribution(errors: str) -> None:
    """Variances, and covariances of neighbours, of sums over bins of whole series."""
    rng, n = np.random.default_rng(1), 200
    begin = np.array([0, 1, 3, 10, 60, 200])
    weight = rng.uniform(0.5, 2.0, n)
    drawn = ERRORS[errors].simulate_sums(40_000, begin, weight, rng)
    series = ERRORS[errors].simulate(40_000, n, rng) * weight
    sums = np.add.reduceat(series, begin[:-1], axis=1)
    scale = np.sqrt(np.outer(sums.var(axis=0), sums.var(axis=0)))
    np.testing.assert_allclose(np.cov(drawn.T) / scale, np.cov(sums.T) / scale, atol=0.04)


@pytest.mark.parametrize("errors", [*ERRORS.values(), Arma((0.6, 0.25), (0.4,))], ids=lambda e: e.title)
def test_correlated_products_are_those_of_the_correlation_matrix(errors: Arma) -> None:
    rng, n = np.random.default_rng(2), 50
    rows = rng.normal(size=(3, n))
    correlation = errors.autocovariance(n - 1) / errors.autocovariance(0)[0]
    matrix = correlation[np.abs(np.subtract.outer(np.arange(n), np.arange(n)))]
    np.testing.assert_allclose(errors.correlated_products(rows), rows @ matrix @ rows.T, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("errors", [Arma((0.8,), (-0.4,)), Arma((0.99,), (-0.9,))], ids=["medium", "long memory"])
def test_a_search_from_a_part_of_the_series_ends_at_the_same_errors(
    errors: Arma, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Coefficients to a hundredth of the standard error of φ."""
    n = 11 * N
    x = np.arange(1.0, n + 1.0)
    series = errors.simulate(1, n, np.random.default_rng(3))[0]
    tangents = np.stack([x**-0.5, x**-0.5 * np.log(x), np.ones(n)], axis=1)
    found, value = estimate_arma(series, tangents, (1, 1))
    monkeypatch.setattr(arma, "_PART", n)
    plain, highest = estimate_arma(series, tangents, (1, 1))
    assert found != plain  # else the search began at one place
    assert value == pytest.approx(highest, abs=1e-4)
    (phi,), (theta,) = plain.phi, plain.theta
    assert found.phi[0] == pytest.approx(phi, abs=0.01 * np.sqrt((1 - phi**2) / n) * (1 + phi * theta) / (phi + theta))

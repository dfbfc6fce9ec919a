"""The engine against scipy, statsmodels and closed forms; its invariances."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import curve_fit

import cogfit
from cogfit.engine import estimate, noise, separable
from cogfit.formulas.form import Form
from cogfit.formulas.registry import candidate_forms, forms, get_form

SEPARABLE = [form for form in forms().values() if form.basis is not None]
X = np.arange(1.0, 121.0)


def noisy_power(seed: int, gamma: float = 0.43, floor: float = 0.1, sigma: float = 0.01) -> np.ndarray:
    return floor + 0.9 * X**-gamma + np.random.default_rng(seed).normal(0.0, sigma, X.size)


def best_curve_fit(form: Form, x: np.ndarray, y: np.ndarray, starts: int, seed: int) -> float:
    """Least RSS that scipy reaches from many starts within the form's own bounds."""
    low, high = separable.bounds_of(form, x)
    rng = np.random.default_rng(seed)
    best = np.inf
    for _ in range(starts):
        start = []
        for i, q in enumerate(form.parameters):
            if q.role == "shape":
                a, b = q.absolute(q.grid[:2], x)
                start.append(np.exp(rng.uniform(np.log(a), np.log(b))) if q.log else rng.uniform(a, b))
            else:
                start.append(float(np.clip(rng.uniform(0.2, 1.0) * np.ptp(y), low[i] + 1e-9, high[i])))
        start_in = np.clip(start, low + 1e-9, np.maximum(high - 1e-9, low + 2e-9))
        try:
            p, _ = curve_fit(
                lambda x, *p: form.evaluate(x, p), x, y, start_in, bounds=(low, high), maxfev=4000,
                jac=lambda x, *p: form.jacobian(x, p), x_scale="jac", ftol=1e-14, xtol=1e-14, gtol=1e-14,
            )  # fmt: skip
        except (RuntimeError, ValueError):
            continue
        best = min(best, float(((y - form.evaluate(x, p)) ** 2).sum()))
    return best


@pytest.mark.slow
@pytest.mark.parametrize("form", [f for f in SEPARABLE if f.shape and f.name != "truncated_zipf"], ids=lambda f: f.name)
def test_no_start_of_curve_fit_finds_a_better_fit(form: Form) -> None:
    for seed, truth in enumerate(("power_floor", "exponential_floor", "log_logistic_step", form.name)):
        record = get_form(truth)
        rng = np.random.default_rng(100 + seed)
        params = {"A": 0.8, "Ta": 0.9, "Tr": 0.5, "gamma": 0.6, "c": 0.08, "a": 0.8, "b": 12.0, "r": 0.05, "tau": 20.0,
                  "beta": 0.7, "x50": 30.0, "s": 3.0, "gamma1": 0.1, "gamma2": 0.9, "xb": 25.0}  # fmt: skip
        y = record.evaluate(X, {name: params[name] for name in record.names}) + rng.normal(0.0, 0.02, X.size)
        ours = estimate.estimate(form, X, y, np.ones(X.size))
        assert ours.rss <= best_curve_fit(form, X, y, 8, seed) * (1.0 + 1e-8)


@pytest.mark.parametrize("name", ["power", "power_floor", "exponential_floor", "shifted_power_floor", "logarithmic"])
def test_standard_errors_agree_with_curve_fit(name: str) -> None:
    form = get_form(name)
    rng = np.random.default_rng(3)
    truth = {"A": 0.8, "gamma": 0.9, "c": 0.1, "r": 0.05, "b": 8.0, "a": 0.9}
    weights = rng.uniform(0.5, 2.0, X.size)
    y = form.evaluate(X, {q: truth[q] for q in form.names}) + rng.normal(0.0, 0.005, X.size) / np.sqrt(weights)
    ours = estimate.estimate(form, X, y, weights)
    p, cov = curve_fit(lambda x, *p: form.evaluate(x, p), X, y, [truth[q] for q in form.names], 1 / np.sqrt(weights))
    np.testing.assert_allclose(list(ours.params.values()), p, rtol=2e-5)
    np.testing.assert_allclose(list(ours.stderr.values()), np.sqrt(np.diag(cov)), rtol=2e-3)


def test_a_batch_gives_what_single_fits_give() -> None:
    form = get_form("shifted_power_floor")
    y = np.stack([noisy_power(seed, 0.3 + 0.05 * seed) for seed in range(9)])
    batch = separable.solve(form, X, y, np.ones_like(y))
    for row, params, rss in zip(y, batch.params, batch.rss, strict=True):
        single = separable.solve(form, X, row[None], np.ones((1, X.size)))
        assert rss == pytest.approx(single.rss[0], rel=1e-12)
        np.testing.assert_allclose(params, single.params[0], rtol=1e-9)


@pytest.mark.parametrize("form", [f for f in SEPARABLE if f.contains], ids=lambda f: f.name)
def test_a_form_fits_no_worse_than_those_it_contains(form: Form) -> None:
    for seed in range(3):
        y = noisy_power(seed, floor=0.05 * seed, sigma=0.03)
        rss = estimate.estimate(form, X, y, np.ones(X.size)).rss
        for name in form.contains:
            inner = estimate.estimate(get_form(name), X, y, np.ones(X.size)).rss
            # limiting cases are reached up to the bound of the parameter only: b → 0 for the power, γ → ∞ for the
            # exponential
            slack = 1e-8
            if "shifted" in form.name:
                slack = 0.05 if "exponential" in name else 1e-6
            assert rss <= inner * (1.0 + slack) + 1e-12, name


# ------------------------------------------------------------------------------------------------ likelihoods


def test_gaussian_likelihood_is_that_of_the_observations() -> None:
    y, w = noisy_power(0), np.random.default_rng(1).uniform(0.5, 2.0, X.size)
    fit = estimate.estimate(get_form("power_floor"), X, y, w)
    f = get_form("power_floor").evaluate(X, fit.params)
    sigma = np.sqrt((w * (y - f) ** 2).mean())
    assert fit.loglik == pytest.approx(stats.norm.logpdf(y, f, sigma / np.sqrt(w)).sum(), rel=1e-12)
    assert fit.k == 4
    n, k = X.size, 4
    assert fit.aicc == pytest.approx(-2 * fit.loglik + 2 * k + 2 * k * (k + 1) / (n - k - 1))


def test_lognormal_power_is_the_regression_of_logarithms() -> None:
    rng = np.random.default_rng(2)
    y = 0.9 * X**-0.43 * np.exp(rng.normal(0.0, 0.1, X.size))
    fit = estimate.estimate(get_form("power"), X, y, np.ones(X.size), "lognormal")
    ols = sm.OLS(np.log(y), sm.add_constant(np.log(X))).fit()
    assert fit.params["gamma"] == pytest.approx(-ols.params[1], rel=1e-7)
    assert fit.params["A"] == pytest.approx(np.exp(ols.params[0]), rel=1e-7)
    assert fit.stderr["gamma"] == pytest.approx(ols.bse[1], rel=1e-6)
    sigma = np.sqrt((ols.resid**2).mean())
    exact = stats.lognorm.logpdf(y, sigma, scale=np.exp(ols.fittedvalues)).sum()
    assert fit.loglik == pytest.approx(exact, rel=1e-10)  # the change-of-variables term is in


def test_binomial_power_is_the_generalised_linear_model_with_log_link() -> None:
    rng = np.random.default_rng(4)
    trials = rng.integers(20, 60, X.size).astype(float)
    hits = rng.binomial(trials.astype(int), 0.8 * X**-0.43)
    fit = estimate.estimate(get_form("power"), X, hits / trials, trials, "binomial")
    glm = sm.GLM(
        np.column_stack([hits, trials - hits]), sm.add_constant(np.log(X)),
        family=sm.families.Binomial(sm.families.links.Log()),
    ).fit(start_params=[np.log(0.7), -0.4])  # fmt: skip
    assert fit.params["gamma"] == pytest.approx(-glm.params[1], rel=1e-5)
    assert fit.stderr["gamma"] == pytest.approx(glm.bse[1], rel=2e-2)  # expected against observed information
    assert fit.loglik == pytest.approx(stats.binom.logpmf(hits, trials, glm.fittedvalues).sum(), rel=1e-8)


@pytest.mark.parametrize("form", candidate_forms("exposure", "probability"), ids=lambda f: f.name)
def test_binomial_fits_are_probabilities_and_no_worse_than_least_squares(form: Form) -> None:
    rng = np.random.default_rng(5)
    trials = np.full(60, 30.0)
    x = np.arange(1.0, 61.0)
    y = rng.binomial(30, np.minimum(1.0, 1.0 * x**-0.3)) / trials  # starts at 1: the bound A·k_min^−γ ≤ 1 is active
    fit = estimate.estimate(form, x, y, trials, "binomial")
    value = form.evaluate(x, fit.params)
    assert value.min() >= 0.0
    assert value.max() <= 1.0 + 1e-12
    squares = estimate.estimate(form, x, y, np.ones(60))
    f = form.evaluate(x, squares.params)
    f = np.maximum(f / max(1.0, f.max()), 1e-9)  # a probability of the same form (all are linear in their scale)
    assert fit.loglik >= stats.binom.logpmf(np.rint(y * 30), 30, f).sum() - 1e-6


def test_noise_that_cannot_hold_is_refused() -> None:
    ones = np.ones(X.size)
    with pytest.raises(cogfit.InputError, match="needs y > 0, but 1 of 120"):
        estimate.estimate(get_form("power"), X, np.where(X == 7, 0.0, 0.5), ones, "lognormal")
    with pytest.raises(cogfit.InputError, match="not a whole number"):
        estimate.estimate(get_form("power"), X, np.full(X.size, 0.123), 10 * ones, "binomial")
    with pytest.raises(cogfit.InputError, match="did you mean 'gaussian'"):
        noise.get("gausian")


# -------------------------------------------------------------------------------------------------- invariances


FORMS = st.sampled_from(["power", "power_floor", "exponential_floor", "shifted_power", "log_logistic_step"])


def fitted(name: str, x: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[float, np.ndarray, estimate.Estimate]:
    form = get_form(name)
    fit = estimate.estimate(form, x, y, w)
    return fit.rss, form.evaluate(x, fit.params), fit


@settings(max_examples=25)
@given(name=FORMS, scale=st.floats(1e-3, 1e5), seed=st.integers(0, 50))
def test_the_unit_of_x_changes_nothing_but_parameters_in_that_unit(name: str, scale: float, seed: int) -> None:
    y, w = noisy_power(seed), np.ones(X.size)
    rss, curve, fit = fitted(name, X, y, w)
    rss_scaled, curve_scaled, fit_scaled = fitted(name, X * scale, y, w)
    assert rss_scaled == pytest.approx(rss, rel=1e-8)
    np.testing.assert_allclose(curve_scaled, curve, rtol=0, atol=1e-4)
    if name in ("power", "power_floor"):
        assert fit_scaled.params["gamma"] == pytest.approx(fit.params["gamma"], rel=1e-5)


@settings(max_examples=25)
@given(name=FORMS, scale=st.floats(1e-4, 1e4), seed=st.integers(0, 50))
def test_the_scale_of_y_scales_the_curve(name: str, scale: float, seed: int) -> None:
    y, w = noisy_power(seed), np.ones(X.size)
    rss, curve, _ = fitted(name, X, y, w)
    rss_scaled, curve_scaled, _ = fitted(name, X, y * scale, w)
    assert rss_scaled == pytest.approx(rss * scale**2, rel=1e-8)
    np.testing.assert_allclose(curve_scaled, curve * scale, rtol=0, atol=1e-4 * scale)


@settings(max_examples=15)
@given(name=FORMS, seed=st.integers(0, 50))
def test_order_of_rows_and_duplicates_of_half_weight_change_nothing(name: str, seed: int) -> None:
    y = noisy_power(seed)
    w = np.random.default_rng(seed).uniform(0.5, 2.0, X.size)
    rss, curve, _ = fitted(name, X, y, w)
    order = np.random.default_rng(seed + 1).permutation(X.size)
    rss_mixed, curve_mixed, _ = fitted(name, X[order], y[order], w[order])
    assert rss_mixed == pytest.approx(rss, rel=1e-8)
    np.testing.assert_allclose(curve_mixed, curve[order], rtol=0, atol=1e-4)
    twice = np.repeat(X, 2), np.repeat(y, 2), np.repeat(w, 2) / 2.0
    rss_twice, curve_twice, _ = fitted(name, *twice)
    assert rss_twice == pytest.approx(rss, rel=1e-8)
    np.testing.assert_allclose(curve_twice[::2], curve, rtol=0, atol=1e-4)


# ------------------------------------------------------------------------------------------------------ status


def test_statuses_say_what_is_wrong() -> None:
    ones = np.ones(X.size)
    rising = estimate.estimate(get_form("exponential_floor"), X, 0.1 + 0.01 * X, ones)
    assert rising.status == "not_identified"
    assert "amplitude A is 0" in rising.reason
    no_floor = estimate.estimate(get_form("power_floor"), X, noisy_power(0, floor=0.0) - 0.02, ones)
    assert (no_floor.status, no_floor.at_bound) == ("at_bound", ("c",))
    assert "c is at its lower bound 0" in no_floor.reason
    runaway = estimate.estimate(get_form("shifted_power"), X, noisy_power(0, floor=0.0), ones)
    assert runaway.status in ("at_bound", "not_identified")
    assert "b" in runaway.at_bound + runaway.not_identified
    short = estimate.estimate(get_form("broken_power"), X[:3], X[:3], ones[:3])
    assert short.status == "failed"
    assert "3 points" in short.reason
    at_zero = estimate.estimate(get_form("power"), np.arange(5.0), np.ones(5), np.ones(5))
    assert at_zero.status == "failed"
    assert "x = 0" in at_zero.reason


def test_an_exact_curve_is_recovered_to_many_digits() -> None:
    for name, truth in (
        ("power_floor", {"A": 0.9, "gamma": 0.43, "c": 0.07}),
        ("apex_floor", {"A": 0.9, "gamma": 0.3, "r": 0.01, "c": 0.05}),
        ("stretched_exponential_floor", {"A": 0.8, "tau": 25.0, "beta": 0.6, "c": 0.1}),
        ("beta_geometric", {"A": 0.9, "gamma": 0.8, "b": 6.0}),
        ("two_process", {"Ta": 0.9, "Tr": 0.5, "r": 0.1, "gamma": 0.3}),
    ):
        form = get_form(name)
        fit = estimate.estimate(form, X, form.evaluate(X, truth), np.ones(X.size))
        assert list(fit.params.values()) == pytest.approx([truth[q] for q in form.names], rel=1e-5), name


def test_long_curves_are_fitted_on_all_points() -> None:
    x = np.arange(1.0, 20_001.0)
    y = 0.05 + 0.9 * x**-0.43 + np.random.default_rng(0).normal(0.0, 0.01, x.size)
    form = get_form("power_floor")
    ours = estimate.estimate(form, x, y, np.ones(x.size))
    p, _ = curve_fit(lambda x, *p: form.evaluate(x, p), x, y, [0.9, 0.4, 0.05])
    np.testing.assert_allclose(list(ours.params.values()), p, rtol=1e-5)

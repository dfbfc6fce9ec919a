"""Intervals against theory and lmfit."""

from __future__ import annotations

import math
from pathlib import Path

import lmfit
import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.signal import lfilter
from scipy.stats import t as t_distribution

import cogfit
from cogfit.curves.arrays import array_curve
from cogfit.engine import estimate
from cogfit.engine.arma import WHITE, Arma
from cogfit.formulas.registry import get_form
from cogfit.inference.interval import Interval
from cogfit.inference.joint_fit import JointFit
from cogfit.inference.profile import profile
from cogfit.inference.variance import even_variance

X = np.arange(1.0, 201.0)


def ar1(n: int, rho: float, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(lfilter([math.sqrt(1 - rho**2)], [1.0, -rho], rng.normal(size=n + 500))[500:])


@pytest.mark.parametrize("floor", [0.0, 0.15])
def test_profile_interval_agrees_with_lmfit(floor: float) -> None:
    y = floor + 0.9 * X**-0.43 + np.random.default_rng(5).normal(0.0, 0.02, X.size)
    name = "power_floor" if floor else "power"
    fit = cogfit.fit(X, y, form=name, noise="gaussian")
    assert fit.selected.intervals["gamma"].method == "profile likelihood"
    expression = "c + A*x**(-g)" if floor else "A*x**(-g)"
    model = lmfit.models.ExpressionModel(expression, independent_vars=["x"])
    start = {"A": 0.9, "g": 0.4} | ({"c": 0.1} if floor else {})
    result = model.fit(y, x=X, **start)
    limits = lmfit.conf_interval(result, result, sigmas=[0.95], p_names=["g"])["g"]
    assert fit.interval == pytest.approx((limits[0][1], limits[-1][1]), rel=2e-3)


def test_wald_intervals_use_students_t() -> None:
    y = np.random.default_rng(2).normal(5.0, 1.0, 12)
    fit = cogfit.fit(np.arange(1.0, 13.0), y, form="constant", noise="gaussian")
    half = 2.200985160082949 * y.std(ddof=1) / math.sqrt(12)  # t(0.975, 11)
    assert fit.params["c"] == pytest.approx(y.mean())
    found = fit.selected.intervals["c"]
    assert (found.low, found.high) == pytest.approx((y.mean() - half, y.mean() + half), rel=1e-9)


@pytest.mark.slow
def test_autocorrelation_widens_the_interval() -> None:
    rng = np.random.default_rng(3)
    truth = 0.9 * X**-0.43

    def width(error: np.ndarray) -> float:
        return float(np.diff(cogfit.fit(X, truth + 0.02 * error, form="power", noise="gaussian").interval)[0])

    white = np.mean([width(rng.normal(size=X.size)) for _ in range(20)])
    red = np.mean([width(ar1(X.size, 0.9, rng)) for _ in range(20)])
    assert red > 2.0 * white
    fit = cogfit.fit(X, truth + 0.02 * ar1(X.size, 0.9, rng), noise="gaussian")
    assert any("autocorrelated" in text for text in fit.warnings)
    assert fit.n_effective < 0.5 * X.size


@pytest.mark.long
def test_coverage_under_white_and_red_noise() -> None:
    """Loose enough for 100 repeats: of 0.95, 99.9 % of counts are 0.87 or more."""
    rng = np.random.default_rng(11)
    for rho, least in ((0.0, 0.87), (0.9, 0.83)):
        hits = 0
        for _ in range(100):
            y = 0.1 + 0.9 * X**-0.43 + 0.02 * ar1(X.size, rho, rng)
            low, high = cogfit.fit(X, y, form="power_floor", noise="gaussian").interval
            hits += low <= 0.43 <= high
        assert hits / 100 >= least, rho


def test_resampling_clusters_gives_the_spread_between_clusters() -> None:
    rng = np.random.default_rng(7)
    level = rng.normal(0.5, 0.1, 60)  # every cluster has its own level: the mean's SE is that of 60 levels
    x = np.tile(np.arange(1.0, 21.0), 60)
    group = np.repeat(np.arange(60), 20)
    fit = cogfit.fit(x, level[group] + rng.normal(0.0, 0.001, x.size), form="constant", groups=group)
    found = fit.selected.intervals["c"]
    half = 1.96 * level.std(ddof=1) / math.sqrt(60)
    assert "resampled" in found.method
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.15)


def test_a_side_without_limit_is_infinite_and_null_in_json() -> None:
    y = np.exp(-X / 60.0) + np.random.default_rng(0).normal(0.0, 0.01, X.size)
    fit = cogfit.fit(X, y, form="shifted_power", noise="gaussian")  # the exponential is its limit γ → ∞
    assert fit.interval is not None
    assert fit.interval[1] == math.inf
    document = fit.selected.intervals["gamma"].to_json()
    assert document["high"] is None
    assert "high" in document["unbounded"]
    assert Interval.from_json(document) == fit.selected.intervals["gamma"]


def test_clusters_replace_standard_errors_and_the_plots_band() -> None:
    rng = np.random.default_rng(3)
    gammas = rng.normal(0.43, 0.1, 30)
    x, group = np.tile(np.arange(1.0, 41.0), 30), np.repeat(np.arange(30), 40)
    y = 0.9 * x ** -gammas[group] + rng.normal(0.0, 0.005, x.size)
    fit = cogfit.fit(x, y, form="power", groups=group)
    low, high = fit.interval  # type: ignore[misc]
    assert fit.stderr["gamma"] == pytest.approx((high - low) / 3.92, rel=0.15)
    assert fit.selected.intervals["gamma"].scope == "the population of the groups"
    trials = cogfit.fit(x, np.clip(y, 0, 1), form="power", groups=group, trials=np.full(x.size, 50))
    assert trials.noise == "gaussian"  # clusters come first
    assert "resampled" in trials.selected.intervals["gamma"].method


@pytest.mark.slow
def test_the_binomial_profile_stays_among_probabilities() -> None:
    """With y = 1 at the first point the bound A·k_min^−γ ≤ 1 is active; the interval must still surround γ."""
    rng = np.random.default_rng(8)
    x, trials = np.arange(1.0, 61.0), np.full(60, 30.0)
    hits = 0
    for _ in range(60):
        fit = cogfit.fit(x, rng.binomial(30, x**-0.43) / 30, form="power", trials=trials)
        low, high = fit.interval  # type: ignore[misc]
        assert low < fit.gamma < high  # type: ignore[operator]
        hits += low <= 0.43 <= high
    assert hits >= 51


def test_a_known_moving_average_is_undone_and_an_unknown_one_is_called_unreliable() -> None:
    rng = np.random.default_rng(4)
    raw = 0.1 + 0.8 * X**-0.43 + 0.02 * rng.normal(size=X.size)
    smooth = raw.copy()
    for t in range(1, X.size):
        smooth[t] = 0.9 * smooth[t - 1] + 0.1 * raw[t]
    truth = cogfit.fit(X, raw, form="power_floor", noise="gaussian")
    undone = cogfit.fit(X, smooth, form="power_floor", noise="gaussian", smoothing=0.9)
    assert undone.params == pytest.approx(truth.params, rel=1e-6)
    assert undone.interval == pytest.approx(truth.interval, rel=1e-4)
    vague = cogfit.fit(X, smooth, form="power_floor", noise="gaussian", smoothing="unknown")
    assert not vague.selected.intervals["gamma"].reliable
    assert vague.selected.intervals["gamma"].to_json()["reliability"] == "unreliable"
    assert "filter" in vague.selected.intervals["gamma"].caveat
    with pytest.raises(cogfit.InputError, match="decay of a moving average"):
        cogfit.fit(X, smooth, smoothing=1.0)


def test_a_column_that_says_it_is_smoothed_is_not_trusted(tmp_path: Path) -> None:
    frame = cogfit.simulate("power", n=60, rng=1).rename(columns={"attention_utilization": "attn_ema"})
    frame.to_csv(tmp_path / "log.csv", index=False)
    log = cogfit.read_log(tmp_path / "log.csv", y="attn_ema")
    fit = cogfit.fit(log, form="power")
    assert any("--smoothing" in text for text in fit.warnings)
    assert not fit.selected.intervals["gamma"].reliable
    assert cogfit.fit(log, form="power", smoothing=0).selected.intervals["gamma"].reliable


@pytest.mark.long
@pytest.mark.parametrize("trend", [-1.0, 1.0])
def test_uneven_variance_is_modelled(trend: float) -> None:
    """The interval of weighted least squares with the true weights is what a good variance model comes close to."""
    rng = np.random.default_rng(6)
    ratio, hits = [], 0
    for _ in range(60):
        spread = 0.01 * (X / 14.0) ** (0.5 * trend)
        y = 0.9 * X**-0.43 + spread * rng.normal(size=X.size)
        low, high = cogfit.fit(X, y, form="power", noise="gaussian").interval  # type: ignore[misc]
        best = cogfit.fit(X, y, form="power", noise="gaussian", weights=spread**-2.0).interval
        ratio.append((high - low) / (best[1] - best[0]))  # type: ignore[index]
        hits += low <= 0.43 <= high
    assert 0.9 < np.median(ratio) < 1.3
    assert hits >= 51


def test_autocorrelated_intervals_against_generalised_least_squares() -> None:
    """With the true errors known, GLS gives the interval; the estimated ones must come near, curve_fit's do not."""
    from scipy.linalg import toeplitz
    from scipy.optimize import curve_fit

    x = np.arange(1.0, 801.0)
    errors = Arma((0.8,))
    y = 0.9 * x**-0.43 + 0.02 * errors.simulate(1, x.size, np.random.default_rng(9))[0]
    covariance = toeplitz(errors.autocovariance(x.size - 1)) / errors.autocovariance(0)[0]
    _, cov = curve_fit(lambda x, a, g: a * x**-g, x, y, p0=[0.8, 0.5], sigma=0.02**2 * covariance, absolute_sigma=True)
    low, high = cogfit.fit(x, y, form="power", noise="gaussian").interval  # type: ignore[misc]
    assert (high - low) / (2 * 1.96 * math.sqrt(cov[1, 1])) == pytest.approx(1.0, abs=0.35)


def test_shared_shocks_make_the_scope_conditional() -> None:
    rng = np.random.default_rng(5)
    x, patterns = np.arange(1.0, 81.0), 40
    group = np.repeat(np.arange(patterns), x.size)
    own = 0.05 * Arma((0.8,)).simulate(patterns, x.size, rng)
    truth = 0.9 * x**-0.43

    def scope(shared: float) -> str:
        y = truth + own + shared * Arma((0.8,)).simulate(1, x.size, rng)
        return cogfit.fit(np.tile(x, patterns), y.ravel(), form="power", groups=group).selected.intervals["gamma"].scope

    assert scope(0.0) == "the population of the groups"
    assert scope(0.05) == "conditional on this run"


@pytest.mark.slow
def test_the_block_bootstrap_stands_beside_the_profile_when_asked_for() -> None:
    y = 0.9 * X**-0.43 + 0.02 * ar1(X.size, 0.5, np.random.default_rng(8))
    fit = cogfit.fit(X, y, form="power", noise="gaussian", thorough=True)
    beside = fit.selected.sensitivity["gamma"]
    assert "block bootstrap" in beside.method
    assert beside.low < fit.gamma < beside.high  # type: ignore[operator]
    assert "calibrated" in fit.selected.intervals["gamma"].method
    low, high = fit.interval  # type: ignore[misc]
    assert (beside.high - beside.low) / (high - low) == pytest.approx(1.0, abs=0.5)
    assert cogfit.FitResult.from_json(fit.to_json()).selected.sensitivity == fit.selected.sensitivity


@pytest.mark.slow
def test_ebbinghaus_determines_the_exponent_and_not_what_runs_away() -> None:
    """Savings of Ebbinghaus 1885 with m(1 + ht)^−f: (m, h) go to infinity together, f is that of a pure power."""
    minutes = np.array([19.0, 63.0, 525.0, 1440.0, 2880.0, 8640.0, 44640.0])
    savings = np.array([58.2, 44.2, 35.8, 33.7, 27.8, 25.4, 21.1]) / 100
    own = cogfit.fit(minutes, savings, form="shifted_power", noise="gaussian")
    assert own.status == "not_identified"
    assert set(own.selected.estimate.not_identified) == {"A", "b"}
    assert "run away together" in own.reason
    assert own.gamma == pytest.approx(0.130, abs=0.002)
    low, high = own.interval  # type: ignore[misc]
    assert 0.09 < low < 0.13 < high < 0.19
    cogfit.register(
        "ebbinghaus", lambda t, m, h, f: m * (1 + h * t) ** -f, params=("m", "h", "f"), gamma="f", replace=True,
        bounds={"m": (0, math.inf), "h": (0, math.inf), "f": (0, 10)},
    )  # fmt: skip
    users = cogfit.fit(minutes, savings, form="ebbinghaus", noise="gaussian", start={"m": 1.0, "h": 1.0, "f": 0.2})
    assert set(users.selected.estimate.not_identified) == {"m", "h"}
    assert users.gamma == pytest.approx(0.130, abs=0.002)
    assert math.isinf(users.selected.intervals["m"].high)


def test_values_observed_independently_have_independent_errors() -> None:
    rng = np.random.default_rng(4)
    x = np.arange(1.0, 61.0)
    y = 0.9 * x**-0.43 + 0.05 * Arma((0.9,)).simulate(1, x.size, rng)[0]
    correlated = cogfit.fit(x, y, form="power", noise="gaussian")
    independent = cogfit.fit(x, y, form="power", noise="gaussian", serial=False)
    assert not correlated.selected.errors.white
    assert independent.selected.errors.white
    assert independent.n_effective == 60
    plain = estimate.estimate(get_form("power"), x, y, np.ones(60))
    assert independent.gamma == plain.params["gamma"] != correlated.gamma
    assert independent.interval is not None
    assert correlated.interval is not None
    assert np.ptp(independent.interval) < np.ptp(correlated.interval)


@pytest.mark.parametrize("seed", range(8))
def test_of_two_equal_models_of_the_variance_rounding_names_none(seed):
    rng, x = np.random.default_rng(seed), np.arange(1.0, 201.0)
    y = x**-0.5 * (1.0 + 0.3 * rng.normal(size=x.size))
    form = get_form("power")
    for scale in (1.0, 3.7e-6, 8.1e9):
        curve = array_curve(x, scale * y)
        fit = estimate.estimate(form, curve.x, curve.y, curve.weights, "gaussian")
        name = even_variance(form, curve, fit)[1]
        assert "curve" not in name


def independent_deviance(x: np.ndarray, y: np.ndarray, best: np.ndarray, gamma: float) -> float:
    """F statistic of one γ of A(1 + k/b)^−γ + c in logarithms, by scipy from several starts."""

    def residuals(log_params: np.ndarray, value: float) -> np.ndarray:
        a, b, c = np.exp(log_params)
        return np.log(y) - np.log(a * (1 + x / b) ** -value + c)

    def rss(value: float) -> float:
        starts = [np.log([scale * best[0], width, best[3]]) for scale in (0.5, 1.0) for width in (10.0, 60.0, 300.0)]
        return min(2.0 * least_squares(residuals, start, args=(value,), xtol=1e-12).cost for start in starts)

    least = rss(best[1])
    return (rss(gamma) - least) / (least / (x.size - 4))


def test_a_limit_is_where_an_independent_profile_passes_its_threshold() -> None:
    """Relative errors, and a shift that runs into a corner at some values: those after it start from the best fit."""
    form, x = get_form("shifted_power_floor"), np.round(np.geomspace(16.0, 810.0, 12))
    threshold, checked = t_distribution.ppf(0.975, x.size - 4) ** 2, 0
    for seed in range(30):
        errors = 0.02 * np.random.default_rng(seed).normal(size=x.size)
        curve = array_curve(x, (0.19 + 0.3 * (1 + x / 100.0) ** -2) * np.exp(errors))
        fit = estimate.estimate(form, curve.x, curve.y, curve.weights, "lognormal")
        if fit.status != "ok":
            continue
        limits = profile(JointFit(form, curve, fit, WHITE), "gamma", 0.95)
        assert limits.low < fit.params["gamma"] < limits.high
        assert limits.low > 0.0
        found = independent_deviance(curve.x, curve.y, form.vector(fit.params), limits.low)
        assert found == pytest.approx(threshold, rel=0.02), seed
        checked += 1
    assert checked >= 15

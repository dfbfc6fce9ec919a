"""Changes of level against known truths, and the likelihoods behind them against explicit covariance matrices."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.linalg import toeplitz
from scipy.optimize import minimize_scalar
from scipy.signal import lfilter
from scipy.special import gammaincinv

import cogfit
from cogfit.engine.arma import Arma
from cogfit.inference import transition_levels, transitions
from cogfit.inference.error_models import simulated, tail, unevenness
from cogfit.inference.transition_steps import RHO, Mean, shocks, statistic, steps
from cogfit.inference.transitions import Transition, gamma_threshold, transition

pytestmark = pytest.mark.slow  # bootstraps


def ar1(n: int, rho: float, seed: int) -> np.ndarray:
    shock = np.random.default_rng(seed).normal(size=n + 300)
    return math.sqrt(1.0 - rho**2) * lfilter([1.0], [1.0, -rho], shock)[300:]


def decay(n: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(1.0, n + 1.0)
    return x, 0.15 + 0.85 * x**-0.43


# ------------------------------------------------------------------------------------------------- against the truth


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_a_sharp_drop_is_found_where_it_is(rho: float) -> None:
    x, curve = decay(300)
    found = transition(x, curve - 0.1 * (x > 180) + 0.02 * ar1(300, rho, 1))
    assert found.found
    assert found.p_value <= 0.01
    assert found.t50 == pytest.approx(180.5, abs=1.0)
    assert found.low <= 180.5 <= found.high
    assert found.high - found.low <= 6.0
    assert found.t10 <= found.t50 <= found.t90
    assert math.isinf(found.gamma_c)
    assert found.main is not None
    assert found.main.size == pytest.approx(-0.1, abs=0.03)
    assert found.size_sd == pytest.approx(5.0, rel=0.35)
    level = curve[180]
    assert found.ratio == pytest.approx(level / (level - 0.1), rel=0.4)
    assert not found.flagged
    assert "drops" in found.statements()[0]


@pytest.mark.parametrize("rho", [0.0, 0.9])
@pytest.mark.parametrize("truth", ["power", "exponential", "constant"])
def test_smooth_curves_are_left_alone(rho: float, truth: str) -> None:
    x, curve = decay(300)
    curve = {"power": curve, "exponential": 0.1 + np.exp(-x / 45.0), "constant": np.full(300, 0.4)}[truth]
    p = [transition(x, curve + 0.02 * ar1(300, rho, seed)).p_value for seed in range(8)]
    assert sum(value <= 0.05 for value in p) <= 2  # three of eight: 1 in 170 at a level of 5 %
    assert np.median(p) > 0.3


def test_a_shock_from_which_the_curve_recovers_is_no_transition() -> None:
    x, curve = decay(300)
    shock = np.where(x >= 150, 0.9 ** np.maximum(x - 150, 0), 0.0)
    e = ar1(300, 0.9, 3)
    assert not transition(x, curve + 0.02 * e - 0.15 * shock).found
    assert transition(x, curve + 0.02 * e - 0.15 * (x >= 150)).found


def test_heavy_tailed_innovations_are_no_transitions() -> None:
    x, curve = decay(300)
    hits = 0
    for seed in range(8):
        shock = np.random.default_rng(seed).standard_t(3, 600)
        hits += transition(x, curve + 0.005 * lfilter([1.0], [1.0, -0.9], shock)[300:]).found
    assert hits <= 2


def test_a_rise_is_found_too() -> None:
    x, curve = decay(300)
    found = transition(x, curve + 0.1 * (x > 100) + 0.01 * ar1(300, 0.5, 2))
    assert found.t50 == pytest.approx(100.5, abs=1.0)
    assert found.ratio < 1.0
    assert found.main is not None
    assert found.main.size == pytest.approx(0.1, abs=0.02)
    assert "rises" in found.statements()[0]


def test_two_changes_are_both_found() -> None:
    x, curve = decay(400)
    y = curve - 0.12 * (x > 120) - 0.08 * (x > 300) + 0.01 * ar1(400, 0.5, 5)
    found = transition(x, y)
    assert found.t50 == pytest.approx(120.5, abs=1.0)
    assert [c.t50 for c in found.changes] == [pytest.approx(300.5, abs=1.0)]
    assert found.changes[0].size == pytest.approx(-0.08, abs=0.02)
    assert found.changes[0].low <= 300.5 <= found.changes[0].high
    assert "a further drop near" in " ".join(found.statements())
    assert transition(x, y, max_changes=1).changes == ()


def test_the_width_of_a_gradual_drop() -> None:
    x, curve = decay(600)
    s = 10.0
    y = curve - 0.2 * (1.0 - 1.0 / (1.0 + (x / 300.0) ** s)) + 0.01 * ar1(600, 0.0, 7)
    found = transition(x, y)
    assert found.t50 == pytest.approx(300.0, rel=0.02)
    assert found.low <= 300.0 <= found.high
    assert found.t10 == pytest.approx(300.0 / 9.0 ** (1.0 / s), rel=0.04)
    assert found.t90 == pytest.approx(300.0 * 9.0 ** (1.0 / s), rel=0.04)
    assert found.main is not None
    assert not found.main.sharp
    assert found.gamma_c == pytest.approx(gamma_threshold(81.0 ** (1.0 / s)), rel=0.35)
    low, high = gammaincinv(found.gamma_c, [0.1, 0.9])
    assert high / low == pytest.approx(found.t90 / found.t10)
    assert "Gamma shape" in " ".join(found.statements())


def test_long_curves_are_averaged_and_located_to_a_bin() -> None:
    x, curve = decay(20_000)
    found = transition(x, curve - 0.05 * (x > 12_345) + 0.02 * ar1(20_000, 0.9, 8))
    assert found.t50 == pytest.approx(12_345.5, abs=40.0)
    assert found.low <= 12_345.5 <= found.high
    assert found.n == 20_000
    assert not transition(x, curve + 0.02 * ar1(20_000, 0.9, 9)).found


@pytest.mark.parametrize(
    ("ratio", "c"), [(34.5, 1), (10.4, 2), (4.2, 5), (2.7, 10), (2.0, 20), (1.38, 100), (1.11, 1000)]
)
def test_gamma_threshold_reproduces_the_theory(ratio: float, c: float) -> None:
    """Ratios of the theory's table are those of the levels 0.9 and 1/37.8; the function uses 0.9 and 0.1."""
    low, tail, high = gammaincinv(c, [0.1, 0.9, 1.0 - 1.0 / 37.8])
    assert high / low == pytest.approx(ratio, rel=0.02)
    assert gamma_threshold(tail / low) == pytest.approx(c, rel=1e-6)


def test_gamma_threshold_at_the_ends() -> None:
    assert math.isinf(gamma_threshold(1.0))
    assert gamma_threshold(1e300) == 0.02
    assert gamma_threshold(1.5) > gamma_threshold(2.0)


# ------------------------------------------------------------------------------------- the likelihood, independently


def explicit_at(y: np.ndarray, rows: np.ndarray, rho: float) -> float:
    """Log-likelihood of AR(1) errors about the span of the rows, from the covariance matrix itself."""
    r = toeplitz(rho ** np.arange(y.size)) / (1.0 - rho**2)
    inverse = np.linalg.inv(r)
    beta = np.linalg.solve(rows @ inverse @ rows.T, rows @ inverse @ y)
    rest = y - beta @ rows
    return -float(0.5 * y.size * math.log(rest @ inverse @ rest) + 0.5 * np.linalg.slogdet(r)[1])


def explicit(y: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """The largest such log-likelihood, and its ρ."""

    def cost(z: float) -> float:
        return -explicit_at(y, rows, math.tanh(z))

    grid = np.linspace(-0.5, 3.0, 71)
    best = grid[np.argmin([cost(z) for z in grid])]
    z = minimize_scalar(cost, bounds=(max(best - 0.06, -0.5), min(best + 0.06, 3.0)), method="bounded").x
    return -cost(z), math.tanh(z)


@pytest.mark.parametrize("weighted", [False, True])
def test_likelihoods_agree_with_explicit_covariance_matrices(weighted: bool) -> None:
    n = 60
    x, curve = decay(n)
    root = np.sqrt(np.random.default_rng(1).uniform(0.5, 2.0, n)) if weighted else np.ones(n)
    y = (curve - 0.3 * (x > 25)) * root + 0.1 * ar1(n, 0.6, 4)
    mean = Mean.from_rows(np.stack([np.ones(n), np.log(x)]) * root)
    at = np.array([10, 25, 40])
    wide = transition_levels.gradual(np.log(x), np.log([20.0, 33.0]), np.array([6.0, 12.0]))
    step, shock = steps(mean, root, at, wide), shocks(mean, np.arange(5, 55))
    columns = [*((x >= x[i]) * root for i in at), *(wide * root)]
    expected = [explicit(y, np.stack([np.ones(n) * root, np.log(x) * root, z])) for z in columns]
    np.testing.assert_allclose(step.max_logliks(mean, y), [value for value, _ in expected], atol=0.02)
    smooth = np.stack([np.ones(n), np.log(x)]) * root
    assert mean.max_loglik(y) == pytest.approx(explicit(y, smooth)[0], abs=0.02)
    # the statistic compares both at the correlation beside the best step (here the nearest of the grid)
    best, rho = max(expected)
    near = float(RHO[np.abs(RHO - rho).argmin()])
    at_best = [explicit_at(y, np.concatenate([smooth, z[None]]), near) for z in columns]
    assert max(at_best) == pytest.approx(best, abs=0.1)
    gain = max(at_best) - explicit_at(y, smooth, near)
    np.testing.assert_allclose(statistic(mean, step, shock, y[None]), gain, atol=0.03)


def test_a_shock_is_one_innovation() -> None:
    """At a given ρ the RSS falls as if the whitened curve had a free value there."""
    n, k = 40, 22
    rho = float(RHO[k])
    y = ar1(n, 0.5, 6)
    mean = Mean.from_rows(np.ones((1, n)))
    rss, u = mean.project(y[None])
    chosen = shocks(mean, np.array([17]))
    white = np.stack([np.ones(n), np.eye(n)[17], y])
    white[0, 1:], white[0, 0] = 1.0 - rho, math.sqrt(1.0 - rho**2)
    white[2, 1:], white[2, 0] = y[1:] - rho * y[:-1], math.sqrt(1.0 - rho**2) * y[0]
    rest = white[2] - np.linalg.lstsq(white[:2].T, white[2], rcond=None)[0] @ white[:2]
    assert rss[0, k] - chosen.gains(y[None], u)[0, k] == pytest.approx(rest @ rest)


def test_the_compiled_loop_is_the_plain_one() -> None:
    rng = np.random.default_rng(2)
    y = rng.normal(size=(11, 50))
    mean = Mean.from_rows(np.stack([np.ones(50), np.arange(50.0)]))
    step = steps(mean, np.ones(50), np.arange(5, 45), np.zeros((0, 50)))
    _, u = mean.project(y)
    n0, n1, n2 = (part[:, None] for part in step.against(y))
    rho = RHO[:, None]
    product = n0 - rho * n1 + rho**2 * n2 - np.einsum("kpm,kpr->rkm", step.v, u)
    plain = (product**2 * step.inverse).max(axis=2)
    np.testing.assert_allclose(step.gains(y, u), plain, rtol=1e-10)


@pytest.mark.parametrize("errors", [Arma((0.8,)), Arma((1.2, -0.32), (0.4,)), Arma((0.5,), (-0.3,))])
def test_simulated_errors_have_the_model_s_autocovariance_from_the_first_point_on(errors: Arma) -> None:
    made = simulated(errors, math.inf, np.ones(40), 40_000, np.random.default_rng(0))
    expected = errors.autocovariance(3)
    for start in (0, 30):
        lags = [float(np.mean(made[:, start] * made[:, start + lag])) for lag in range(4)]
        np.testing.assert_allclose(lags, expected, atol=0.05 * expected[0])


def test_tails_and_uneven_sizes_are_recognised() -> None:
    rng = np.random.default_rng(3)
    gaussian = rng.normal(size=500)
    gaussian[100] = 15.0  # what a step leaves is no heavy tail
    assert tail(gaussian) >= 15.0
    assert 2.5 <= tail(rng.standard_t(3, 500)) <= 5.0
    scale = unevenness(rng.normal(size=600) * np.where(np.arange(600) < 300, 4.0, 1.0))
    assert scale[:250].mean() / scale[350:].mean() == pytest.approx(4.0, rel=0.2)


def test_the_mixture_follows_sums_of_exponentials_but_no_drop_after_a_plateau() -> None:
    x = np.arange(1.0, 501.0)
    rest = {}
    for name, y in {
        "mixture": 0.1 + 0.5 * np.exp(-x / 4.0) + 0.4 * np.exp(-x / 150.0),
        "drop": 0.5 - 0.4 / (1.0 + (x / 250.0) ** -12.0),
    }.items():
        for sign in (1.0, -1.0):
            series = transition_levels.Series.from_points(x, sign * y, np.ones(x.size), 1000)
            rest[name, sign] = np.std(series.y - transition_levels._fit_mixture(series, series.y).curve) / np.std(y)
    assert max(rest["mixture", 1.0], rest["mixture", -1.0]) < 0.02
    assert min(rest["drop", 1.0], rest["drop", -1.0]) > 0.1


# ------------------------------------------------------------------------------- transitions that are none


def results_of(curve: np.ndarray, sigma: float, seeds: int = 6, x: np.ndarray | None = None) -> list[Transition]:
    """Results for one truth and several seeds of white errors."""
    axis = np.arange(1.0, curve.size + 1.0) if x is None else x
    noise = (np.random.default_rng(seed).normal(size=curve.size) for seed in range(seeds))
    return [transition(axis, curve + sigma * e) for e in noise]


@pytest.mark.parametrize("sigma", [0.005, 0.001])
def test_a_sum_of_two_exponentials_is_smooth_however_precise(sigma: float) -> None:
    x = np.arange(1.0, 1001.0)
    results = results_of(0.15 + 0.5 * np.exp(-x / 11.0) + 0.35 * np.exp(-x / 400.0), sigma)
    assert sum(r.found for r in results) <= 1  # all of them, before its rates were fitted


@pytest.mark.parametrize(("n", "epoch", "height"), [(300, 60.0, 0.06), (600, 120.0, -0.06), (1500, 391.0, 0.05)])
def test_a_sawtooth_over_epochs_is_a_season(n: int, epoch: float, height: float) -> None:
    x, curve = decay(n)
    results = results_of(curve + height * np.mod((x - 1.0) / epoch, 1.0), 0.02, 4)
    assert sum(r.found for r in results) <= 1
    assert [r.period for r in results] == pytest.approx([epoch] * 4, rel=0.02)
    assert "repeat every" in " ".join(results[0].statements())


def test_a_drop_is_found_beside_a_season() -> None:
    x, curve = decay(300)
    found = transition(x, curve + 0.06 * np.mod(x / 37.0, 1.0) - 0.1 * (x > 170) + 0.01 * ar1(300, 0.0, 3))
    assert found.low <= 171.0 <= found.high
    assert found.period == pytest.approx(37.0, rel=0.01)


def test_means_over_windows_belong_to_their_middles() -> None:
    steps = np.arange(1.0, 50_001.0)
    curve = (0.15 + 0.85 * steps**-0.43).reshape(1000, 50).mean(axis=1)
    results = results_of(curve, 0.005, 5, x=50.0 * np.arange(1.0, 1001.0))
    assert sum(r.found for r in results) <= 1
    assert {r.window for r in results} == {50.0}
    assert "middles" in " ".join(results[0].statements())


@pytest.mark.parametrize("width", [10, 25])
def test_a_moving_average_is_no_abrupt_change_where_its_windows_stop_growing(width: int) -> None:
    """All of these were, at x = width; a drop is still found, to a window."""
    x, curve = decay(300)

    def averaged(y: np.ndarray) -> np.ndarray:
        total = np.concatenate([[0.0], np.cumsum(y)])
        first = np.maximum(np.arange(300) + 1 - width, 0)
        return np.asarray((total[1:] - total[first]) / (np.arange(300) + 1 - first))

    noise = [0.02 * ar1(300, 0.0, seed) for seed in range(6)]
    smooth = [transition(x, averaged(curve + e)) for e in noise]
    assert sum(r.found for r in smooth) <= 1
    assert sum(r.window == width for r in smooth) >= 5
    drops = [transition(x, averaged(curve - 0.2 * (x > 180) + e)) for e in noise[:2]]
    assert all(abs(r.t50 - 180.5) <= width for r in drops)


@pytest.mark.parametrize("epoch", [1.0, 0.02, 4e6])
def test_windows_are_recognised_on_axes_without_a_unit(epoch: float) -> None:
    """Means over whole epochs, whether x counts epochs, days or tokens."""
    steps = np.arange(1.0, 20_001.0)
    curve = (0.15 + 0.85 * steps**-0.43).reshape(400, 50).mean(axis=1)
    y = curve + 0.002 * np.random.default_rng(1).normal(size=400)
    x = epoch * np.arange(1.0, 401.0)
    assert transition(x, y, unit=0.0).window == pytest.approx(epoch)
    assert transition(x, y, unit=epoch).window == 0.0


def test_a_declared_window_moves_all_places_by_half_of_it() -> None:
    x, y = one()
    axis = 10.0 * x + 100.0
    plain, middle = transition(axis, y, window=0.0), transition(axis, y, window=30.0)
    assert middle.t50 == plain.t50 - 15.0
    assert (middle.window, plain.window) == (30.0, 0.0)


@pytest.mark.long
def test_a_smooth_cosine_schedule_is_no_abrupt_change() -> None:
    x, curve = decay(1000)
    results = results_of(curve - 0.05 * (1.0 - np.cos(np.pi * x / 1000.0)), 0.01)
    assert sum(r.found for r in results) <= 2  # all of them, before
    assert sum(bool(r.regimes) for r in results) >= 4
    regime = next(r for r in results if r.regimes and not r.found)
    assert regime.regimes[0].t90 > 2.0 * regime.regimes[0].t10
    assert "smooth change of regime" in " ".join(regime.statements())


def test_found_and_p_value_agree_where_no_more_regimes_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "_MOST_REGIMES", 0)
    x, curve = decay(1000)
    results = results_of(curve - 0.05 * (1.0 - np.cos(np.pi * x / 1000.0)), 0.01)
    assert any(r.regimes for r in results)
    assert all(r.found == (r.p_value <= 0.05) for r in results)


def test_the_sharpest_smooth_break_does_not_become_a_jump() -> None:
    """A tangent knows no bounds: along that of the width a gradual drop was described as well as by a step."""
    x = np.arange(1.0, 301.0)
    step = 1.0 - 1.0 / (1.0 + (x / 150.0) ** 25.0)
    noise = 1e-4 * np.random.default_rng(0).normal(size=300)
    series = transition_levels.Series.from_points(x, x**-0.3 - 0.1 * step + noise, np.ones(300), 1000)
    broken, regime = transition_levels.broken_power(series, transition_levels.smooth(series), [])
    assert regime.s == pytest.approx(4.0)
    slope = np.diff(broken.fitted)[100:200]
    assert slope.min() > np.diff(x**-0.3 - 0.1 * step).min() / 2.0


@pytest.mark.long
def test_limits_of_a_gradual_drop_hold_it_however_sharp_it_looks() -> None:
    """Correlated errors (ρ = 0.5) make some of these drops look like jumps."""
    x, curve = decay(300)
    step = 1.0 - 1.0 / (1.0 + (x / 150.0) ** 11.0)
    results = [transition(x, curve - 0.1 * step + 0.02 * ar1(300, 0.5, seed)) for seed in range(12)]
    found = [r for r in results if r.found]
    assert len(found) >= 10
    assert sum(not r.low <= 150.0 <= r.high for r in found) <= 2  # three of 12: 1 in 50 at 95 %


@pytest.mark.parametrize("length", [5, 12, 40, 90])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_warm_up_is_called_one(length: int, sign: float) -> None:
    x, curve = decay(400)
    y = np.where(x < length, 0.15 + 0.85 * length**-0.43 * x / length, curve) + 0.02 * ar1(400, 0.3, length)
    result = transition(x, sign * y)
    assert result.warm_up == pytest.approx(length, abs=max(3.0, 0.2 * length))
    assert not result.found
    assert "warms up" in " ".join(result.statements())


def test_a_drop_after_a_warm_up_is_found() -> None:
    x, curve = decay(400)
    y = np.where(x < 30, curve[29] * x / 30.0, curve) - 0.1 * (x > 250) + 0.01 * ar1(400, 0.5, 1)
    result = transition(x, y)
    assert result.warm_up == pytest.approx(30.0, abs=4.0)
    assert result.low <= 251.0 <= result.high


def test_places_are_points_of_the_curve() -> None:
    """Long curves are averaged into bins, whose means are no steps of the log."""
    x = 25.0 * np.arange(1.0, 3001.0)
    for width in (0.0, 0.2):
        step = x > 40_000.0 if width == 0.0 else 1.0 - 1.0 / (1.0 + (x / 40_000.0) ** 11.0)
        found = transition(x, 0.15 + 0.85 * x**-0.43 - 0.1 * step + 0.02 * ar1(3000, 0.3, 2), window=0.0)
        assert found.main is not None
        places = [found.main.t10, found.main.t50, found.main.t90, found.main.low, found.main.high]
        assert np.isin(places, x).all()
        assert found.low <= found.t50 <= found.high
        assert found.low <= 40_000.0 <= found.high


# ----------------------------------------------------------------------------------------------------- properties


def one(seed: int = 4) -> tuple[np.ndarray, np.ndarray]:
    x, curve = decay(250)
    return x, curve - 0.08 * (x > 130) + 0.01 * ar1(250, 0.6, seed)


@pytest.mark.parametrize(("a", "b"), [(3.0, 0.0), (1.0, -5.0), (-2.0, 40.0), (1e-4, 1e-3)])
def test_units_of_y_do_not_matter(a: float, b: float) -> None:
    x, y = one()
    plain, moved = transition(x, y), transition(x, a * y + b)
    assert moved.null_form == plain.null_form
    assert moved.p_value == plain.p_value
    assert moved.t50 == pytest.approx(plain.t50, rel=1e-4)
    assert moved.size_sd == pytest.approx(plain.size_sd, rel=1e-3)
    assert plain.main is not None
    assert moved.main is not None
    assert moved.main.size == pytest.approx(a * plain.main.size, rel=1e-3)


@pytest.mark.parametrize("c", [0.01, 250.0])
def test_units_of_x_do_not_matter(c: float) -> None:
    x, y = one()
    plain, moved = transition(x, y), transition(c * x, y)
    for name in ("t10", "t50", "t90", "low", "high"):
        assert getattr(moved, name) == pytest.approx(c * getattr(plain, name), rel=1e-3)
    assert moved.p_value == plain.p_value


def test_order_of_the_points_and_repeats_do_not_matter() -> None:
    x, y = one()
    order = np.random.default_rng(0).permutation(x.size)
    assert transition(x[order], y[order]) == transition(x, y)
    both = transition(np.concatenate([x, x]), np.concatenate([y + 0.01, y - 0.01]))
    assert both.n == x.size
    assert both.t50 == pytest.approx(transition(x, y).t50)


def test_the_same_seed_gives_the_same_answer() -> None:
    x, y = one()
    assert transition(x, y, rng=3) == transition(x, y, rng=3)
    assert transition(x, y, rng=3) == transition(x, y, rng=np.random.default_rng(3))


def test_weights_are_inverse_variances() -> None:
    """Points with little weight, and as much more noise, hardly count: the change is still found among the others."""
    x, curve = decay(300)
    weights = np.where(np.arange(300) % 3 == 0, 0.01, 1.0)
    y = curve - 0.06 * (x > 180) + 0.01 * np.random.default_rng(5).normal(size=300) / np.sqrt(weights)
    with_weights = transition(x, y, weights=weights)
    assert with_weights.t50 == pytest.approx(180.5, abs=2.0)
    assert with_weights.p_value <= 0.01
    assert with_weights.p_value < transition(x, y).p_value


def test_a_curve_without_noise() -> None:
    x, curve = decay(200)
    assert transition(x, np.full(200, 0.3)).p_value == 1.0
    assert transition(x, curve).p_value == 1.0
    assert not transition(x, x).found
    assert not transition(x, np.where(x == 7.0, 2.0, 1.0)).found
    found = transition(x, curve - 0.1 * (x > 120))
    assert found.t50 == pytest.approx(120.5, abs=0.5)
    assert found.main is not None
    assert found.main.size == pytest.approx(-0.1, rel=0.01)
    json.dumps(found.to_json(), allow_nan=False)


def test_few_points_are_flagged() -> None:
    x, curve = decay(60)
    quiet = transition(x, curve + 0.02 * ar1(60, 0.0, 1))
    assert quiet.flagged == "few points"
    assert "only 60 points" in quiet.statements()[-1]
    assert transition(x, curve - 0.3 * (x > 30) + 0.02 * ar1(60, 0.0, 1)).found


def test_zero_has_no_place_on_the_log_axis() -> None:
    x, y = one()
    plain = transition(x, y)
    assert transition(np.append(0.0, x), np.append(100.0, y)) == plain


def test_json_has_no_nan() -> None:
    x, curve = decay(250)
    for y in (one()[1], curve + 0.02 * ar1(250, 0.5, 2)):
        found = transition(x, y)
        data = json.loads(json.dumps(found.to_json(), allow_nan=False))
        assert data["found"] is found.found
        assert data["t50"] == (found.t50 if found.found else None)
        assert data["statements"] == list(found.statements())
        assert (data["main"] is None) is (not found.found)


# --------------------------------------------------------------------------------------------------------- schedule


def test_only_what_changes_there_coincides() -> None:
    x, y = one()
    rng = np.random.default_rng(8)
    jump = x > 131
    found = transition(
        x, y,
        schedule={
            "phase": np.where(jump, "second", "first"),
            "flag": jump,
            "ramp": np.clip((x - 128.0) / 5.0, 0.0, 1.0),
            "pulse": (x > 128) & (x < 132),
            "elsewhere": x > 60,
            "mostly elsewhere": 10.0 * (x > 60) + jump,
            "constant": np.full(250, 0.35),
            "drift": x,
            "cosine": np.cos(x / 80.0),
            "decay": np.exp(-x / 40.0),
            "noise": rng.normal(size=250),
            "missing": np.full(250, np.nan),
        },
    )  # fmt: skip
    assert found.coincides_with == ("phase", "flag", "ramp", "pulse")
    assert "phase" in " ".join(found.statements())


def test_the_schedule_is_read_in_the_order_of_x() -> None:
    x, y = one()
    order = np.random.default_rng(0).permutation(x.size)
    assert transition(x[order], y[order], schedule={"a": (x > 130)[order]}).coincides_with == ("a",)


# ------------------------------------------------------------------------------------------------------ wrong inputs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.arange(19.0), "y": np.ones(19)}, "18 points are too few.*give at least 20"),
        ({"x": np.repeat(np.arange(1.0, 11.0), 5), "y": np.arange(50.0)}, "10 points are too few"),
        ({"x": np.arange(50.0) - 3.0}, "negative"),
        ({"y": np.append(np.ones(49), np.nan)}, "`y` has values that are not finite"),
        ({"x": np.append(np.ones(49), np.inf)}, "`x` has values that are not finite"),
        ({"y": np.ones(49)}, "equal length"),
        ({"y": ["a"] * 50}, "must be numbers"),
        ({"weights": np.zeros(50)}, "`weights` must be above 0"),
        ({"weights": np.ones(3)}, "equal length"),
        ({"level": 1.0}, "`level`"),
        ({"replicates": 3}, "`replicates` must be at least 19"),
        ({"max_changes": 0}, "`max_changes` must be at least 1"),
        ({"rng": "seed"}, "`rng`"),
        ({"window": 3.0}, "`window` must be 0 or more and end at the first x"),
        ({"window": -1.0}, "`window` must be 0 or more"),
        ({"unit": -1.0}, "`unit` must be 0 or more"),
        ({"schedule": {"lr": np.ones(7)}}, "column 'lr' of `schedule`"),
    ],
)
def test_wrong_inputs_are_named(change: dict[str, object], message: str) -> None:
    x = np.arange(1.0, 51.0)
    arguments = {"x": x, "y": 1.0 / x + 0.01 * ar1(50, 0.0, 0), **change}
    with pytest.raises(cogfit.InputError, match=message):
        transition(**arguments)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------- recorded runs


def recorded(name: str) -> Transition:
    log = cogfit.read_log(cogfit.data_dir() / "runs" / f"srcd-n256-{name}" / "utilization.csv")
    assert log.utilization is not None
    frame = log.utilization.frame
    frame = frame[frame["step"] >= 400]
    return transition(frame["step"], frame["attention_utilization"], schedule={"forced": frame["step"] < 400})


def test_the_consolidating_run_drops_near_step_4345() -> None:
    found = recorded("consolidates")
    assert found.p_value <= 0.01
    assert found.t50 == pytest.approx(4345, abs=40)
    assert found.low <= 4345 <= found.high
    assert found.ratio == pytest.approx(3.1, abs=0.3)
    assert found.t10 > 4100
    assert found.t90 < 4600
    assert found.coincides_with == ()
    assert any(2050 < c.t50 < 2400 for c in found.changes)  # the smaller switches that the routing log shows


def test_runs_without_a_sharp_drop_show_none() -> None:
    for name in ("gradual", "never-drops"):
        found = recorded(name)
        assert all(max(c.ratio, 1.0 / c.ratio) < 1.25 for c in (found.main, *found.changes) if c is not None)


def test_errors_of_a_higher_order_do_not_blur_a_place() -> None:
    """Beside ARMA(1, 1) errors the likelihood of AR(1) allowed [3338, 6145] for a jump near 6100."""
    log = cogfit.read_log(cogfit.data_dir() / "runs" / "srcd-n256-never-drops")
    assert log.utilization is not None
    frame = log.utilization.frame
    frame = frame[frame["step"] >= 500]
    found = transition(frame["step"], frame["attention_utilization"], max_changes=1, replicates=99)
    assert "ARMA(1, 1)" in found.errors
    assert 5900 < found.low <= found.t50 <= found.high < 6200


def test_what_counts_as_smooth_is_registered() -> None:
    for name in transition_levels.SMOOTH:
        found = transitions.Transition(
            *[math.nan] * 5, 0.95, 1.0, *[math.nan] * 2, name, "", math.nan, (), (), "", 9, None
        )
        assert found.null_title
        assert name == transition_levels.MIXTURE or name in cogfit.forms()

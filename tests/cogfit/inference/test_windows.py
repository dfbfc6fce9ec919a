"""γ over windows: constant for a power law, running for anything else."""

from __future__ import annotations

import math

import numpy as np
import pytest

import cogfit
from cogfit.curves.arrays import array_curve
from cogfit.formulas.registry import get_form
from cogfit.inference import windows

X = np.arange(1.0, 401.0)


def gammas(y: np.ndarray) -> list[windows.Window]:
    return list(windows.exponents(array_curve(X, y), "gaussian", 0.95, np.random.default_rng(0)))


def test_every_window_of_a_power_law_has_its_exponent() -> None:
    found = gammas(0.9 * X**-0.43)
    assert len(found) > 5
    assert all(abs(w.gamma - 0.43) < 1e-4 for w in found)  # 400 points in 300 bins bend the curve that little
    assert found[0].x_min == 1.0
    assert max(w.x_max for w in found) == 400.0


def test_the_slope_of_an_exponential_is_the_local_one() -> None:
    """−d log y / d log x of exp(−x/100) is x/100: the later the window, the steeper."""
    found = gammas(np.exp(-X / 100.0))
    for window in found:
        assert window.x_min / 100 < window.gamma < window.x_max / 100
    truth = np.exp(-X / 100.0)
    curve = array_curve(X, truth + np.random.default_rng(3).normal(0, 0.005, X.size))
    noisy = windows.exponents(curve, "gaussian", 0.95, np.random.default_rng(0), fitted=truth)
    (sentence,) = windows.statements(noisy, None, 0.95)
    assert sentence.endswith("no single exponent describes the curve")


def test_intervals_cover_in_nine_of_ten_windows() -> None:
    rng = np.random.default_rng(1)
    hits = [w.low <= 0.43 <= w.high for _ in range(20) for w in gammas(0.9 * X**-0.43 + 0.01 * rng.normal(size=X.size))]
    assert np.mean(hits) > 0.85


def test_windows_survive_json_and_stay_away_from_short_or_constant_curves() -> None:
    fit = cogfit.fit(X, 0.9 * X**-0.43 + np.random.default_rng(2).normal(0, 0.02, X.size))
    assert fit.windows
    assert cogfit.FitResult.from_json(fit.to_json()).windows == fit.windows
    assert gammas(np.full(X.size, 0.4)) == []
    assert cogfit.fit(X[:6], X[:6] ** -0.5).windows == ()
    assert windows.statements([], None, 0.95) == ()
    endless = windows.Window(1.0, 10.0, 9, 0.4, -math.inf, math.inf)
    assert windows.Window.from_json(endless.to_json()) == endless


def _law(name: str, params: dict[str, float]) -> windows.Law:
    law = windows.Law.of_form(get_form(name), params)
    assert law is not None
    return law


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("power_floor", {"A": 0.9, "gamma": 0.43, "c": 0.1}),
        ("shifted_power", {"A": 0.9, "gamma": 0.43, "b": 12.0}),
        ("shifted_power_floor", {"A": 0.9, "gamma": 0.43, "b": 12.0, "c": 0.1}),
    ],
)
def test_floor_and_shift_of_the_law_are_held(name: str, params: dict[str, float]) -> None:
    """Every window then has the exponent of the whole curve, which the plain log–log slope has nowhere."""
    law, y = _law(name, params), get_form(name).evaluate(X, params)
    held = windows.exponents(array_curve(X, y), "gaussian", 0.95, np.random.default_rng(0), law=law)
    assert len(held) > 5
    assert all(w.gamma == pytest.approx(0.43, abs=1e-3) for w in held)
    assert all(abs(w.gamma - 0.43) > 0.02 for w in gammas(y))


def test_slopes_of_a_law_are_those_of_its_curve() -> None:
    params = {"A": 0.9, "gamma": 0.43, "b": 12.0, "c": 0.1}
    form = get_form("shifted_power_floor")
    up, down = (np.log(form.evaluate(X * factor, params)) for factor in (1 + 1e-5, 1 - 1e-5))
    numeric = -(up - down) / (np.log1p(1e-5) - np.log1p(-1e-5))
    assert _law(form.name, params).slopes(X) == pytest.approx(numeric, rel=1e-6)


def test_a_form_that_is_no_power_of_x_has_no_law() -> None:
    for name in ("exponential", "apex_floor", "broken_power", "log_logistic_step", "logarithmic"):
        params = dict.fromkeys(get_form(name).names, 0.5)
        assert windows.Law.of_form(get_form(name), params) is None


def test_windows_of_true_laws_differ_in_one_of_twenty_at_most() -> None:
    """Pairs are many: two intervals of 15 windows may well not overlap by chance."""
    rng, law, different = np.random.default_rng(5), _law("power_floor", {"A": 0.9, "gamma": 0.5, "c": 0.1}), 0
    clean = get_form("power_floor").evaluate(X, law.params)
    for _ in range(60):
        curve = array_curve(X, clean + 0.01 * rng.standard_normal(X.size))
        found = windows.exponents(curve, "gaussian", 0.95, rng, law=law)
        different += windows.differ(found, 0.95)
    assert different <= 6  # 0.2 % chance at a rate of 5 %


def test_a_supported_law_with_a_floor_is_told_that_it_flattens_as_the_form_predicts() -> None:
    y = 0.9 * X**-0.5 + 0.1 + np.random.default_rng(0).normal(0, 0.005, X.size)
    fit = cogfit.fit(X, y)
    assert (str(fit.verdict), fit.form) == ("supported", "power_floor")
    first, second = fit.window_statements
    assert "held" in first
    assert "within what chance allows" in first
    assert second.startswith("the curve flattens towards its floor, as power + floor predicts")
    assert "no single exponent" not in fit.methods()


@pytest.mark.parametrize("form", ["power", "exponential"])
def test_one_form_has_no_windows(form: str) -> None:
    assert cogfit.fit(X, X**-0.5, form=form).windows == ()


def test_a_level_part_has_slope_zero_and_no_rounding() -> None:
    x = np.arange(1.0, 401.0)
    y = np.minimum(1.0, (x / 200.0) ** -0.5) + np.where(x > 200, 1e-3 * np.sin(x), 0.0)
    found = windows.exponents(array_curve(x, y), "gaussian", 0.95, np.random.default_rng(0))
    level = [window for window in found if window.x_max < 200]
    assert level
    assert all((window.gamma, window.low, window.high) == (0.0, 0.0, 0.0) for window in level)

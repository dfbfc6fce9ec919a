"""γ over windows: constant for a power law, running for anything else."""

from __future__ import annotations

import math

import numpy as np
import pytest

import cogfit
from cogfit.curves.arrays import array_curve
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
    noisy = gammas(np.exp(-X / 100.0) + np.random.default_rng(3).normal(0, 0.005, X.size))
    assert "no single exponent" in windows.summary(noisy)


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
    assert windows.summary([]) == ""
    endless = windows.Window(1.0, 10.0, 9, 0.4, -math.inf, math.inf)
    assert windows.Window.from_json(endless.to_json()) == endless


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

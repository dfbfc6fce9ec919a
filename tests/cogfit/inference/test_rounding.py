"""Rounding of y does not move a p-value.

Forms have corners in their parameters, bounds, and valleys along which nothing changes; whichever side of these a fit
ends on by rounding, the test is the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from cogfit.curves.arrays import array_curve
from cogfit.engine import estimate
from cogfit.formulas.registry import candidate_forms, get_form
from cogfit.inference.form_tests import REFUTED, FormTest, compare_forms

REGISTRY = {form.name: form for form in candidate_forms("x", "other")}
REPLICATES = 199


def broken(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A break at a data point, at which the fit of a broken power law ends."""
    x, at = np.arange(1.0, n + 1.0), n // 3
    mean = np.where(x < at, x**-0.2, at**0.5 * x**-0.7)
    return x, mean * np.exp(0.06 * np.random.default_rng([n, seed, 5]).normal(size=n))


def power(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Parameters of all forms with more than a power law's lie near their bounds."""
    x, rng = np.arange(1.0, n + 1.0), np.random.default_rng([n, seed, 1])
    return x, x**-0.43 + 0.02 * rng.normal(size=n)


def wandering_step(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A step under AR(1) errors: no form of few parameters follows it."""
    x, e = np.arange(1.0, n + 1.0), np.random.default_rng([n, seed, 2]).normal(size=n)
    for t in range(1, n):
        e[t] += 0.8 * e[t - 1]
    return x, 0.1 + 0.8 / (1.0 + (x / (n / 5.0)) ** 3) + 0.01 * e


CURVES = {
    **{f"broken power {n} {seed}": broken(n, seed) for n, seed in ((30, 5), (30, 27))},
    **{f"power {n} {seed}": power(n, seed) for n, seed in ((40, 0), (60, 1), (60, 2))},
    **{f"step {n} {seed}": wandering_step(n, seed) for n, seed in ((40, 2), (60, 0))},
}


def run_tests(x: np.ndarray, y: np.ndarray) -> Mapping[str, FormTest]:
    curve = array_curve(x, y)
    fits = {name: estimate.estimate(form, x, y, curve.weights) for name, form in REGISTRY.items()}
    return compare_forms(curve, fits, REGISTRY, np.random.default_rng(3), replicates=REPLICATES)


def test_breaks_are_fitted_at_data_points() -> None:
    """Else these curves would not show what rounding does there."""
    x, y = CURVES["broken power 30 5"]
    at = estimate.estimate(get_form("broken_power"), x, y, np.ones(x.size)).params["xb"]
    assert abs(at - round(at)) < 1e-12


@pytest.mark.long
@pytest.mark.parametrize("name", CURVES)
def test_p_values_do_not_hang_on_rounding(name: str) -> None:
    x, y = CURVES[name]
    exact = run_tests(x, y)
    for seed, size in enumerate((1e-15, 1e-13)):
        other = run_tests(x, y * (1.0 + size * np.random.default_rng(seed).uniform(-1.0, 1.0, x.size)))
        for form, test in exact.items():
            assert other[form].p_value == pytest.approx(test.p_value, abs=2.0 / REPLICATES)
            assert other[form].fit_p_value == pytest.approx(test.fit_p_value, abs=2.0 / REPLICATES, nan_ok=True)
            assert (other[form].p_value <= REFUTED) == (test.p_value <= REFUTED)

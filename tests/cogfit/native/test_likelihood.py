"""Maximum likelihood in compiled code: the same at every level, and the minima of scipy's optimiser."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.optimize import least_squares

from cogfit.engine import general, noise
from cogfit.engine.arma import WHITE, Arma
from cogfit.engine.general import Problem, compiled, coordinates_of, minimise
from cogfit.formulas.built_in import BUILT_IN
from cogfit.formulas.form import Form
from cogfit.native import library

CASES = [
    pytest.param(form, name, id=f"{form.name}-{name}")
    for form in BUILT_IN
    for name in ("lognormal", "binomial")
    if name == "lognormal" or len(form.amplitudes) < 2
]


@pytest.fixture(autouse=True)
def _same_level() -> Iterator[None]:
    before = library.level()
    yield
    library.use_level(before)


def problem_of(form: Form, name: str, seed: int, n: int = 41, errors: Arma = WHITE) -> Problem:
    rng = np.random.default_rng(seed)
    x = np.arange(1.0, n + 1.0)
    f = 0.1 + 0.8 * (1.0 + x / 3.0) ** -rng.uniform(0.3, 1.5)
    w = np.full(n, 40.0) if name == "binomial" else rng.uniform(0.5, 2.0, n)
    y = rng.binomial(40, f) / 40.0 if name == "binomial" else f * np.exp(0.1 * rng.standard_normal(n))
    return Problem(form, x, y, w, noise.get(name), coordinates_of(form, x, name), {}, errors)


def starts_of(problem: Problem, seed: int, count: int) -> np.ndarray:
    """Points around the middle of what is plausible, as parameters."""
    rng, out = np.random.default_rng(seed), []
    for _ in range(count):
        p = []
        for q in problem.form.parameters:
            if q.role != "shape":
                p.append(rng.uniform(0.1, 0.5))
                continue
            low, high = q.absolute((q.grid[0], q.grid[1]), problem.x)
            p.append(np.exp(rng.uniform(np.log(low), np.log(high))) if low > 0 else rng.uniform(low, high))
        out.append(p)
    return np.array(out)


@pytest.mark.parametrize(("form", "name"), CASES)
def test_residuals_and_derivatives_are_those_of_the_noise_model_at_every_level(form: Form, name: str) -> None:
    problem = problem_of(form, name, 1)
    likelihood, order = compiled(problem), general.kernel_order(problem)
    for start in starts_of(problem, 2, 3):
        z = np.clip(problem.coordinates.from_params(start), problem.coordinates.lower, problem.coordinates.upper)
        if name == "binomial":
            z[0] = min(z[0], 0.9)  # near 1 derivatives are a difference of large numbers
        results = []
        for level in library.levels():
            library.use_level(level)
            results.append(likelihood.residuals(z[order]))
        r, jacobian = results[0]
        sizes = np.abs(jacobian).max(axis=0) + 1e-12
        for others, beside in results[1:]:
            np.testing.assert_allclose(others, r, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(beside / sizes, jacobian / sizes, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(r, problem.residual(z), rtol=1e-7, atol=1e-6)  # noise.py loses digits near 0
        np.testing.assert_allclose(jacobian / sizes, problem.jacobian(z)[:, order] / sizes, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["lognormal", "binomial"])
def test_residuals_are_whitened(name: str) -> None:
    form = next(form for form in BUILT_IN if form.name == "power_floor")
    problem = problem_of(form, name, 3, errors=Arma((0.5, 0.2), (0.3,)))
    order = general.kernel_order(problem)
    z = problem.coordinates.from_params(np.array([0.5, 0.4, 0.1]))
    r, jacobian = compiled(problem).residuals(z[order])
    np.testing.assert_allclose(r, problem.residual(z), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(jacobian, problem.jacobian(z)[:, order], rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize(("form", "name"), CASES)
def test_minima_are_no_higher_than_those_of_scipy(form: Form, name: str) -> None:
    for seed in (4, 5):
        problem = problem_of(form, name, seed)
        starts = starts_of(problem, seed, 3)
        params, cost = minimise(problem, starts, effort=200)
        r, _ = problem.model.residual(problem.y, form.evaluate(problem.x, params), problem.w)
        assert r @ r == pytest.approx(cost, rel=1e-9)
        low, high = problem.box
        margin = np.where(np.isfinite(high - low), 1e-6 * (high - low), 0.0)
        for start in starts:
            z = np.clip(problem.coordinates.from_params(start), low + margin, high - margin)
            with np.errstate(all="ignore"):
                other = least_squares(
                    problem.residual,
                    z,
                    problem.jacobian,
                    (low, high),
                    x_scale="jac",
                    ftol=1e-13,
                    xtol=1e-13,
                    gtol=1e-13,
                    max_nfev=300,
                )
            assert cost <= 2.0 * other.cost * (1.0 + 1e-9)


@pytest.mark.parametrize(("form", "name"), CASES)
def test_minima_are_the_same_at_every_level(form: Form, name: str) -> None:
    problem = problem_of(form, name, 6)
    starts, costs = starts_of(problem, 6, 3), []
    for level in library.levels():
        library.use_level(level)
        costs.append(minimise(problem, starts, effort=200)[1])
    np.testing.assert_allclose(costs, costs[0], rtol=1e-9)


def test_a_held_parameter_stays() -> None:
    form = next(form for form in BUILT_IN if form.name == "power_floor")
    problem = problem_of(form, "lognormal", 7)
    given = (problem.x, problem.y, problem.w, "lognormal", np.array([0.5, 0.4, 0.1]))
    params, cost = general.minimise_with(form, *given, {"gamma": 0.7})
    assert params[1] == 0.7
    _, free = general.minimise_with(form, *given, {})
    assert free < cost < np.inf


def test_exact_data_are_fitted_exactly() -> None:
    form = next(form for form in BUILT_IN if form.name == "power_floor")
    x = np.arange(1.0, 31.0)
    truth = np.array([0.8, 0.6, 0.1])
    y = form.evaluate(x, truth)
    coordinates = coordinates_of(form, x, "lognormal")
    problem = Problem(form, x, y, np.ones(30), noise.get("lognormal"), coordinates, {})
    params, cost = minimise(problem, np.array([[0.5, 1.0, 0.05]]), effort=200)
    np.testing.assert_allclose(params, truth, rtol=1e-10)
    assert cost < 1e-24


def test_wrong_shapes_are_refused() -> None:
    form = next(form for form in BUILT_IN if form.name == "power")
    likelihood = compiled(problem_of(form, "lognormal", 8))
    with pytest.raises(ValueError, match="coordinates"):
        likelihood.residuals(np.zeros(3))

"""The integrated likelihood against direct integration, and its linear model against the normal density."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import multivariate_normal

from cogfit.population.blocks import Points, make_blocks
from cogfit.population.layout import Layout
from cogfit.population.linear import LinearObjective, Summaries
from cogfit.population.marginal import find_modes, log_likelihood
from cogfit.population.model import model_of
from cogfit.population.objective import InMemory, MarginalObjective


def curves(seed, m=6, n=7, sigma=0.1):
    rng = np.random.default_rng(seed)
    k = np.arange(1.0, n + 1)
    y = rng.normal(1.0, 0.2, (m, 1)) * k ** -rng.normal(0.5, 0.2, (m, 1)) + rng.normal(0.0, sigma, (m, n))
    begin = np.arange(m) * n
    return k, y, make_blocks(Points(np.tile(k, m), y.ravel(), np.ones(m * n), begin, np.full(m, n)))


def test_quadrature_is_the_integral_over_a_members_deviation():
    model = model_of("power", random=["gamma"], log=[])
    k, y, (block,) = curves(1)
    layout = Layout(2, 1, False)
    population = layout.unpack(np.array([[1.0, 0.5, 0.3, np.log(0.1)]]))
    modes = find_modes(model, block, population, np.zeros((1, len(y), 1)))
    values = {nodes: log_likelihood(model, block, population, modes, nodes)[0] for nodes in (1, 25)}

    def density(b, row):
        residual = row - k ** -(0.5 + b)
        return np.exp(-0.5 * residual @ residual / 0.01 - 0.5 * (b / 0.3) ** 2)

    scale = (2 * np.pi * 0.01) ** (-k.size / 2) / np.sqrt(2 * np.pi * 0.09)
    exact = [np.log(scale * quad(density, -2, 2, args=(row,), epsabs=0, limit=200)[0]) for row in y[block.members]]
    assert values[25] == pytest.approx(exact, abs=1e-6)
    assert values[1] == pytest.approx(exact, abs=0.05)
    assert not np.allclose(values[1], exact, atol=1e-6)


@given(seed=st.integers(0, 10_000), is_restricted=st.booleans(), is_full=st.booleans())
def test_the_linear_model_is_the_normal_density_and_its_gradient_the_difference_quotient(seed, is_restricted, is_full):
    rng = np.random.default_rng(seed)
    m, n, p, random = 4, 5, 3, (2, 0)
    slope, r = rng.normal(size=(m, n, p)), rng.normal(size=(m, n))
    layout = Layout(p, len(random), is_full)
    theta = np.concatenate([rng.normal(size=p), rng.normal(size=layout.n_covariances), [rng.normal(0, 0.3)]])
    summaries = Summaries(
        information=np.swapaxes(slope, 1, 2) @ slope,
        product=np.einsum("mnp,mn->mp", slope, r),
        square=(r**2).sum(axis=1),
        centre=np.zeros(p),
        n_points=m * n,
        log_weights=0.0,
    )
    objective = LinearObjective(summaries, layout, random, is_restricted)
    mean, factor, log_sigma = layout.unpack(theta)
    total, information = 0.0, np.zeros((p, p))
    for j, y in zip(slope, r, strict=True):
        z = j[:, list(random)]
        covariance = np.exp(2 * log_sigma) * np.eye(n) + z @ factor @ factor.T @ z.T
        total += multivariate_normal(j @ mean, covariance).logpdf(y)
        information += j.T @ np.linalg.solve(covariance, j)
    if is_restricted:
        total += 0.5 * (p * np.log(2 * np.pi) - np.linalg.slogdet(information)[1])
    assert objective.value(theta) == pytest.approx(total, rel=1e-9, abs=1e-8)
    step = 1e-5
    differences = [
        (objective.value(theta + step * e) - objective.value(theta - step * e)) / (2 * step) for e in np.eye(theta.size)
    ]
    assert objective.gradient(theta) == pytest.approx(differences, rel=1e-4, abs=1e-4)


def test_several_populations_at_once_are_each_of_them():
    model = model_of("power_floor", log=[])
    _, y, blocks = curves(3)
    layout = Layout(3, 3, True)
    rng = np.random.default_rng(0)
    base = layout.pack(np.array([0.8, 0.5, 0.1]), np.diag([0.2, 0.1, 0.1]), np.log(0.1))
    thetas = base + rng.normal(0, 0.02, (5, base.size))
    start = [[np.zeros((len(y), 3))]]
    objective = MarginalObjective(model, InMemory(blocks), layout, 1, True, start)
    together = objective.values(thetas)
    assert together == pytest.approx([objective.value(theta) for theta in thetas], abs=1e-6)


@pytest.mark.parametrize("name", [name for name in __import__("cogfit").forms() if name != "constant"])
def test_every_form_has_the_values_and_slopes_of_the_registry(name):
    import cogfit

    form = cogfit.forms()[name]
    model = model_of(name, log=[])
    x = np.array([[1.0, 2.0, 5.0, 9.0, 30.0], [2.0, 3.0, 4.0, 8.0, 20.0]])
    rng = np.random.default_rng(0)
    params = rng.uniform(0.6, 1.7, (2, len(form.names)))
    value, slope = model.curve(x, {}, params)
    for i in range(2):
        assert value[i] == pytest.approx(form.evaluate(x[i], params[i]), rel=1e-9)
        assert slope[i] == pytest.approx(form.jacobian(x[i], params[i]), rel=1e-6, abs=1e-8)

"""A condensed curve has the RSS of all its points, for every form that is smooth in log x."""

from __future__ import annotations

import numpy as np
import pytest

from cogfit.engine.arma import WHITE, Arma
from cogfit.engine.condensed import condense
from cogfit.formulas.registry import get_form

N = 30_000
ERRORS = [WHITE, Arma((0.5,)), Arma((0.95,)), Arma((0.8,), (-0.4,)), Arma((0.5, 0.2, 0.1)), Arma((0.6, 0.25), (0.4,))]
PARAMS = {
    "power": (0.9, 0.4),
    "power_floor": (0.9, 0.4, 0.1),
    "shifted_power_floor": (0.9, 0.6, 8.0, 0.1),
    "apex_floor": (0.9, 0.4, 1e-6, 0.1),
    "stretched_exponential_floor": (0.9, 4000.0, 0.3, 0.1),
}


@pytest.mark.parametrize("errors", ERRORS, ids=lambda errors: errors.title)
@pytest.mark.parametrize("name", PARAMS)
def test_the_rss_is_that_of_the_innovations_of_all_points(name: str, errors: Arma) -> None:
    """At parameters some standard errors away: what changes from there to the fit is exact to 1e-4."""
    rng, form, params = np.random.default_rng(0), get_form(name), np.array(PARAMS[name])
    x = np.cumsum(rng.choice([1.0, 2.0, 40.0], N))
    w = rng.uniform(0.5, 2.0, N)
    noise = 0.003 * errors.simulate(1, N, rng)[0] / np.sqrt(w)
    y = form.evaluate(x, params) + noise
    short = condense(form, x, y, w, errors, params)
    assert short is not None

    def of_all_points(at: np.ndarray) -> float:
        return float((errors.whiten((y - form.evaluate(x, at)) * np.sqrt(w))[0] ** 2).sum())

    def of_means(at: np.ndarray) -> float:
        return float((short.weights * (short.y - short.axis.values(form, at)) ** 2).sum()) + short.rest

    tangents = errors.whiten(form.jacobian(x, params).T * np.sqrt(w))
    variance = float((errors.whiten(noise * np.sqrt(w))[0] ** 2).mean())
    covariance = np.linalg.inv(tangents @ tangents.T) * variance
    assert of_means(params) == pytest.approx(of_all_points(params), rel=1e-10)
    for at in rng.multivariate_normal(params, 9.0 * covariance, 5):
        drop = (of_all_points(at) - of_all_points(params)) / variance
        assert (of_means(at) - of_means(params)) / variance == pytest.approx(drop, abs=1e-4 * max(abs(drop), 1.0))


@pytest.mark.parametrize("name", PARAMS)
def test_the_means_are_means(name: str) -> None:
    """So a floor, which is 1 at every node, is 1 in every mean."""
    x, form, params = np.arange(1.0, N + 1.0), get_form(name), np.array(PARAMS[name])
    short = condense(form, x, form.evaluate(x, params), np.ones(N), Arma((0.7,)), params)
    np.testing.assert_allclose(short.axis.share.sum(axis=0), 1.0, rtol=1e-6)
    assert (short.axis.x.min(), short.axis.x.max()) == pytest.approx((1.0, N))


def test_forms_with_a_place_of_their_own_are_not_condensed() -> None:
    x, form = np.arange(1.0, N + 1.0), get_form("broken_power")
    params = np.array([form.example.get(name, 1.0) for name in form.names])
    assert condense(form, x, np.ones(N), np.ones(N), WHITE, params) is None


def test_what_the_nodes_do_not_tell_is_not_condensed() -> None:
    """A step that is narrow in log x, and x that begin at 0."""
    x, form = np.arange(1.0, N + 1.0), get_form("log_logistic_step")
    names = dict.fromkeys(form.names, 1.0)
    steep = {**names, **{q.name: (200.0 if q.unit == "x" else 60.0) for q in form.shape}}
    assert condense(form, x, np.ones(N), np.ones(N), WHITE, form.vector(steep)) is None
    gentle = {**names, **{q.name: (200.0 if q.unit == "x" else 0.8) for q in form.shape}}
    assert condense(form, x, np.ones(N), np.ones(N), WHITE, form.vector(gentle)) is not None
    power = get_form("power")
    assert condense(power, x - 1.0, np.ones(N), np.ones(N), WHITE, np.array(PARAMS["power"])) is None

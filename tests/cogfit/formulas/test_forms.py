"""Forms: values and Jacobians against sympy, integrals and exact sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
from scipy.special import gamma as gamma_function
from scipy.special import zeta

import cogfit
from cogfit.formulas.form import Form, three_point_jacobian
from cogfit.formulas.on_request import ON_REQUEST
from cogfit.formulas.registry import forms, get_form

X = np.concatenate([np.arange(1.0, 12.0), np.geomspace(15.0, 900.0, 25)])
VALUES = {"y": 0.7, "x": 37.0, "1/x": 0.013, "1": 0.63, "patterns": 41.5}
BUILT_IN = [form for form in forms().values() if form.basis is not None or form in ON_REQUEST]


def values_of(form: Form) -> dict[str, float]:
    return {q.name: VALUES[q.unit] * (1.0 + 0.1 * i) for i, q in enumerate(form.parameters)}


@pytest.mark.parametrize("form", [f for f in BUILT_IN if f.expression], ids=lambda f: f.name)
def test_value_and_jacobian_agree_with_sympy(form: Form) -> None:
    names = ("x", *form.names)
    symbols = sympy.symbols(names, positive=True)
    scope = dict(zip(names, symbols, strict=True)) | {"gamma_function": sympy.gamma}
    expression = sympy.sympify(form.expression, locals=scope)
    values = values_of(form)
    exact = [expression, *(sympy.diff(expression, symbol) for symbol in symbols[1:])]
    points = X if form.name != "beta_geometric" else X[X < 100]  # Γ overflows beyond in the reference
    columns = [
        [float(sympy.N(e.subs({symbols[0]: x} | {s: values[str(s)] for s in symbols[1:]}), 30)) for x in points[::4]]
        for e in exact
    ]
    np.testing.assert_allclose(form.evaluate(points[::4], values), columns[0], rtol=1e-10)
    np.testing.assert_allclose(form.jacobian(points[::4], values), np.array(columns[1:]).T, rtol=2e-8, atol=1e-12)


@pytest.mark.parametrize("form", BUILT_IN, ids=lambda f: f.name)
def test_jacobian_agrees_with_finite_differences(form: Form) -> None:
    vector = form.vector(values_of(form))
    numeric = three_point_jacobian(lambda x, *p: form.evaluate(x, p), X, vector)
    np.testing.assert_allclose(form.jacobian(X, vector), numeric, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("form", BUILT_IN, ids=lambda f: f.name)
def test_records_are_complete(form: Form) -> None:
    assert form.formula
    assert form.reference
    for q in form.parameters:
        low, high = q.absolute((q.lower, q.upper), np.arange(1.0, 101.0))
        assert q.meaning
        assert q.symbol
        assert low < high
    assert form.gamma is None or form.gamma in form.names
    assert all(name in forms() for name in form.contains)


@pytest.mark.parametrize("form", [f for f in BUILT_IN if not f.positive_x], ids=lambda f: f.name)
def test_forms_defined_at_zero_are_finite_there(form: Form) -> None:
    vector = form.vector(values_of(form))
    assert np.isfinite(form.evaluate([0.0], vector)).all()
    assert np.isfinite(form.jacobian([0.0], vector)).all()


@given(s=st.floats(0.3, 4.0), size=st.integers(1, 3000), n=st.integers(1, 10**5))
def test_truncated_zipf_is_the_missing_mass(s: float, size: int, n: int) -> None:
    rank = np.arange(1.0, size + 1.0)
    p = rank**-s / (rank**-s).sum()
    exact = float((p * (1.0 - p) ** n).sum())
    value = cogfit.forms()["truncated_zipf"].evaluate([float(n)], {"A": 1.0, "s": s, "K": float(size)})[0]
    assert value == pytest.approx(exact, rel=2e-5, abs=1e-12)


@pytest.mark.parametrize("s", [1.25, 1.754, 2.0, 3.0])
def test_long_truncated_zipf_keeps_to_the_bound_of_theorem_t4(s: float) -> None:
    gamma = 1.0 - 1.0 / s
    n = np.array([100.0, 1000.0])
    limit = zeta(s) ** (-1.0 / s) / (s - 1.0) * gamma_function(1.0 + gamma) * (n + gamma / 2.0) ** -gamma
    u = cogfit.forms()["truncated_zipf"].evaluate(n, {"A": 1.0, "s": s, "K": 9e6})
    tail = zeta(s, 9e6) / zeta(s)  # the ranks that truncation leaves out
    assert np.all(np.abs(u - limit) <= 1.0 / (n + 1.0) + 2.0 * tail + 2e-3 * limit)


@pytest.mark.parametrize(("a", "b"), [(0.43, 2.0), (1.5, 0.7)])
def test_beta_geometric_is_the_mean_over_consolidation_rates(a: float, b: float) -> None:
    form = cogfit.forms()["beta_geometric"]
    for k in (0, 3, 40):

        def weighted(t: float, k: int = k) -> float:
            eta = t ** (1.0 / a)  # removes the singularity of the density at 0
            return (1.0 - eta) ** (k + b - 1.0) / a

        norm = gamma_function(a + b) / gamma_function(a) / gamma_function(b)
        exact = norm * integrate.quad(weighted, 0.0, 1.0, limit=400)[0]
        assert form.evaluate([k], {"A": 1.0, "gamma": a, "b": b})[0] == pytest.approx(exact, rel=1e-6)


def test_shifted_power_is_the_mean_of_exponentials_with_gamma_rates() -> None:
    shape, scale = 0.43, 25.0
    form = cogfit.forms()["shifted_power"]
    rates = np.random.default_rng(0).gamma(shape, 1.0 / scale, 200_000)
    for k in (1.0, 30.0, 300.0):
        draws = np.exp(-rates * k)
        exact = form.evaluate([k], {"A": 1.0, "gamma": shape, "b": scale})[0]
        assert abs(draws.mean() - exact) < 4.0 * draws.std() / math.sqrt(draws.size)


def test_a_misspelt_or_missing_parameter_is_named() -> None:
    with pytest.raises(cogfit.InputError, match="did you mean 'gamma'"):
        get_form("power").vector({"A": 1.0, "gama": 0.5})
    with pytest.raises(cogfit.InputError, match="needs a value for 'gamma'"):
        get_form("power").vector({"A": 1.0})

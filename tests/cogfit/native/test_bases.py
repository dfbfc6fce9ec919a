"""Every basis of the C kernels against an independent formula in many digits, at every level of the processor."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from mpmath import mp, mpf

from cogfit.formulas.built_in import BUILT_IN
from cogfit.native import kernels, library

LEVELS = library.levels()
ZIPF_EXACT = 256


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    before = library.level()
    library.use_level(request.param)
    yield request.param
    library.use_level(before)


def broken_power(x, early, late, at):
    return ((x / at) ** (-(early if x <= at else late)),)


def beta_geometric(x, a, b):
    return (mp.beta(a, b + x) / mp.beta(a, b),)


def truncated_zipf(x, s, size):
    """The exact sum where it is short; beyond, its integral in the rank, as the form has it."""

    def mass(k):
        return k ** (-s)

    if size < ZIPF_EXACT:
        whole = int(size)
        ranks = [(mpf(k), mpf(1)) for k in range(1, whole + 1)] + [(mpf(whole + 1), size - whole)]
        total = sum(weight * mass(k) for k, weight in ranks)
        return (sum(weight * mass(k) / total * (1 - mass(k) / total) ** x for k, weight in ranks),)
    ends = [mp.log(ZIPF_EXACT + mpf("0.5")), mp.log(size + mpf("0.5"))]
    ends = mp.linspace(*ends, 9)
    total = sum(mass(mpf(k)) for k in range(1, ZIPF_EXACT + 1)) + mp.quad(lambda u: mass(mp.exp(u)) * mp.exp(u), ends)

    def term(k):
        return mass(k) / total * (1 - mass(k) / total) ** x

    head = sum(term(mpf(k)) for k in range(1, ZIPF_EXACT + 1))
    return (head + mp.quad(lambda u: term(mp.exp(u)) * mp.exp(u), ends),)


FORMULAS: dict[str, Callable] = {
    "constant": lambda x: (),
    "power": lambda x, gamma: (x ** (-gamma),),
    "shifted_power": lambda x, gamma, b: ((1 + x / b) ** (-gamma),),
    "exponential": lambda x, r: (mp.exp(-r * x),),
    "apex": lambda x, gamma, r: (x ** (-gamma) * mp.exp(-r * x),),
    "stretched": lambda x, tau, beta: (mp.exp(-((x / tau) ** beta)),),
    "logarithmic": lambda x: (-mp.log(x),),
    "hyperbolic": lambda x, b: (1 / (1 + x / b),),
    "step": lambda x, x50, s: (1 / (1 + (x / x50) ** s),),
    "broken_power": broken_power,
    "beta_geometric": beta_geometric,
    "two_process": lambda x, r, gamma: (mp.exp(-r * x), (1 - mp.exp(-r * x)) * x ** (-gamma)),
    "truncated_zipf": truncated_zipf,
}

PARAMETERS: dict[str, list[tuple[float, ...]]] = {
    "power": [(-4.0,), (1e-4,), (0.7,), (12.0,)],
    "shifted_power": [(0.5, 3.0), (12.0, 1e4), (1e-4, 1e-3), (1.0, 200.0)],
    "exponential": [(1e-4,), (0.03,), (2.0,)],
    "apex": [(0.0, 0.01), (0.8, 0.2), (12.0, 1e-4)],
    "stretched": [(10.0, 0.5), (0.3, 0.05), (100.0, 4.0)],
    "hyperbolic": [(1e-3,), (7.0,), (1e5,)],
    "step": [(20.0, 0.3), (30.0, 4.0), (9.5, 200.0)],
    "broken_power": [(0.3, 1.2, 12.5), (-1.0, 5.0, 50.0)],
    "beta_geometric": [(0.01, 0.01), (0.6, 3.0), (5.0, 1e3), (12.0, 1e5)],
    "two_process": [(1e-3, 0.5), (0.2, 1.0), (2.0, 4.0)],
    "truncated_zipf": [(1.2, 30.25), (0.0, 4.0), (2.5, 255.5), (1.1, 1e4), (3.0, 1e6)],
}
X = np.array([1.0, 2.0, 3.5, 9.0, 20.0, 64.0, 500.0])


def exact(name: str, theta: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Columns (s, n) and derivatives (p, s, n) in many digits."""
    columns, slopes = [], []
    with mp.workdps(40):
        at = [mpf(value) for value in theta]
        for x in map(mpf, X.tolist()):
            columns.append([float(value) for value in FORMULAS[name](x, *at)])
            row = []
            for j in range(len(at)):
                step = mpf("1e-12") * (abs(at[j]) or 1)
                beside = [[value + side * step * (i == j) for i, value in enumerate(at)] for side in (-2, -1, 1, 2)]
                far_low, low, high, far_high = (FORMULAS[name](x, *values) for values in beside)
                row.append(
                    [
                        float((8 * (b - a) - (d - c)) / (12 * step))
                        for a, b, c, d in zip(low, high, far_low, far_high, strict=True)
                    ]
                )
            slopes.append(row)
    return np.array(columns).T, np.array(slopes).transpose(1, 2, 0)


def test_the_bases_in_c_are_those_that_forms_name() -> None:
    assert set(kernels.basis_numbers()) == {form.basis for form in BUILT_IN} == set(FORMULAS)
    for form in BUILT_IN:
        assert kernels.basis_sizes(form.basis) == (len(form.amplitudes), len(form.shape)), form.name


@pytest.mark.parametrize(("name", "theta"), [(name, theta) for name, all_ in PARAMETERS.items() for theta in all_])
def test_columns_and_derivatives_are_those_of_the_formula(name: str, theta: tuple[float, ...]) -> None:
    phi, dphi = exact(name, theta)
    before = library.level()
    for level in LEVELS:
        library.use_level(level)
        try:
            ours, slopes = kernels.basis_columns(name, X, np.log(X), np.array([theta]))
        finally:
            library.use_level(before)
        near = {"rtol": 5e-12, "atol": 1e-300}  # an exponent of 600 that is right to 1 ulp costs three digits
        if name == "beta_geometric":  # differences of logarithms of gamma functions, of size b log b
            near = {"rtol": 3e-11, "atol": 1e-13}
        if name == "truncated_zipf" and theta[1] >= ZIPF_EXACT:  # quadrature
            near = {"rtol": 1e-9, "atol": 1e-14}
        np.testing.assert_allclose(ours[0], phi, **near, err_msg=level)
        # of a derivative digits are lost where it changes its sign: the size of the column is the scale
        for j in range(len(theta)):
            scale = np.abs(phi) * 1e-13 / max(abs(theta[j]), 1e-3)
            assert np.all(np.abs(slopes[0, j] - dphi[j]) <= 10 * near["rtol"] * np.abs(dphi[j]) + scale + near["atol"])


def test_logarithmic_and_constant_have_no_parameters() -> None:
    phi, dphi = kernels.basis_columns("logarithmic", X, np.log(X), np.empty((1, 0)))
    np.testing.assert_allclose(phi[0, 0], -np.log(X))
    assert dphi.shape == (1, 0, 1, X.size)
    assert kernels.basis_columns("constant", X, np.log(X), np.empty((2, 0)))[0].shape == (2, 0, X.size)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 1000])
def test_columns_of_any_number_of_points(n: int, level: str) -> None:
    x = np.linspace(1.0, 50.0, n)
    phi, dphi = kernels.basis_columns("apex", x, np.log(x), np.array([[0.5, 0.1], [2.0, 0.01]]))
    for row, (gamma, rate) in zip(phi, ((0.5, 0.1), (2.0, 0.01)), strict=True):
        np.testing.assert_allclose(row[0], x**-gamma * np.exp(-rate * x), rtol=1e-13)
    np.testing.assert_allclose(dphi[0, 1, 0], -x * phi[0, 0], rtol=1e-15)


@pytest.mark.parametrize("name", PARAMETERS)
def test_extreme_points_give_the_limit_at_every_level(name: str) -> None:
    x = np.array([1e-300, 1e-20, 1e20, 1e300])
    theta = np.array([PARAMETERS[name][-1]])
    before, results = library.level(), []
    for level in LEVELS:
        library.use_level(level)
        results.append(kernels.basis_columns(name, x, np.log(x), theta))
    library.use_level(before)
    for phi, dphi in results[1:]:
        np.testing.assert_allclose(phi, results[0][0], rtol=1e-11, atol=1e-300)
        # rounding only, where the terms of a derivative cancel
        size = np.abs(results[0][0])
        noise = 1e-15 * size[np.isfinite(size)].max(initial=0.0) + 1e-300
        np.testing.assert_allclose(dphi, results[0][1], rtol=1e-11, atol=noise)
    assert not np.isnan(results[0][0]).any()


@pytest.mark.parametrize(
    ("name", "theta", "limit"),
    [
        ("shifted_power", (0.5, 3.0), 1.0),
        ("exponential", (0.3,), 1.0),
        ("stretched", (10.0, 0.5), 1.0),
        ("hyperbolic", (3.0,), 1.0),
        ("step", (3.0, 2.0), 1.0),
        ("beta_geometric", (0.5, 3.0), 1.0),
        ("truncated_zipf", (1.2, 30.5), None),
    ],
)
def test_at_zero_forms_start_at_their_amplitude(name: str, theta: tuple[float, ...], limit: float, level: str) -> None:
    with np.errstate(divide="ignore"):
        phi, dphi = kernels.basis_columns(name, np.zeros(3), np.log(np.zeros(3)), np.array([theta]))
    assert np.isfinite(dphi).all()
    if limit is not None:
        np.testing.assert_allclose(phi, limit, rtol=1e-12)
        np.testing.assert_allclose(dphi, 0.0, atol=1e-12)


def test_a_wrong_number_of_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match="power"):
        kernels.basis_columns("power", X, np.log(X), np.array([[1.0, 2.0]]))
    with pytest.raises(TypeError, match="float64"):
        kernels.triangle(np.ones((2, 6))[:, ::2])

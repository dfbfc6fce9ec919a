"""Tails and quantiles: against scipy where scipy is exact, against many digits elsewhere, at every level."""

from __future__ import annotations

import math
import timeit
from collections.abc import Iterator

import mpmath as mp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import special, stats

from cogfit.native import library
from cogfit.native.distributions import (
    chi2_quantile,
    chi2_sf,
    f_quantile,
    f_sf,
    gamma_quantile,
    log_gamma,
    normal_cdf,
    normal_quantile,
    normal_sf,
    student_cdf,
    student_quantile,
    student_sf,
)

RELATIVE = 1e-12

degrees = st.floats(math.log(0.5), math.log(1e7)).map(math.exp)
probabilities = st.one_of(
    st.floats(0.001, 0.999),
    st.floats(-690.0, -7.0).map(math.exp),
    st.floats(-36.0, -7.0).map(lambda log_q: 1.0 - math.exp(log_q)),
)


@pytest.fixture(autouse=True, params=library.levels(), scope="module")
def level(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every level that this machine can run, in turn."""
    before = library.level()
    library.use_level(request.param)
    yield
    library.use_level(before)


# ---------------------------------------------------------------------------------------------- with 40 digits


def area(integrand, slope: mp.mpf, curvature: mp.mpf) -> mp.mpf:
    """Integral from 0 to infinity by the double exponential formula with very fine steps."""
    width, step, total = 2 / (slope + mp.sqrt(slope**2 + 2 * curvature)), mp.mpf(1) / 24, mp.mpf(0)
    for k in range(-110, 400):
        at = k * step
        s = width * mp.exp(at - mp.exp(-at))
        added = integrand(s) * s * (1 + mp.exp(-at))
        total += added
        if k > 0 and added < total * mp.mpf(10) ** -25:
            break
    return total * step


def gamma_tail(shape: float, x: float, upper: bool) -> tuple[mp.mpf, mp.mpf]:
    """A tail of the gamma distribution, and the density of log x."""
    a, x = mp.mpf(shape), mp.mpf(x)
    density = mp.exp(a * mp.log(x) - x - mp.loggamma(a))
    is_beyond, sign = (x >= a) == upper, 1 if x >= a else -1
    tail = density * area(lambda s: mp.exp(sign * a * s - x * mp.expm1(sign * s)), abs(x - a), x)
    return (tail if is_beyond else 1 - tail), density


def beta_tail(a: float, b: float, ratio: float, upper: bool) -> tuple[mp.mpf, mp.mpf]:
    """A tail of the beta distribution at odds of ratio · a/b, and the density of the logarithm of the odds."""
    a, b, odds = mp.mpf(a), mp.mpf(b), mp.mpf(a) / mp.mpf(b) * mp.mpf(ratio)
    y = 1 / (1 + odds)
    x, n = odds * y, a + b
    density = mp.exp(a * mp.log(x) + b * mp.log(y) + mp.loggamma(n) - mp.loggamma(a) - mp.loggamma(b))
    is_beyond = (ratio >= 1) == upper
    if ratio < 1:
        a, b, x, y = b, a, y, x
    tail = density * area(lambda s: mp.exp(-b * s - n * mp.log(x + y * mp.exp(-s))), abs(b * x - a * y), n * x * y)
    return (tail if is_beyond else 1 - tail), density


def test_the_reference_is_that_of_mpmath() -> None:
    with mp.workdps(40):
        assert float(gamma_tail(2.5, 4.0, True)[0] / mp.gammainc(2.5, 4, mp.inf, regularized=True) - 1) < 1e-20
        exact = mp.betainc(2, 3, 0, mp.mpf(1) / 4, regularized=True)
        assert abs(float(beta_tail(2.0, 3.0, 0.5, False)[0] / exact - 1)) < 1e-20


def relative_error(quantile: float, p: float, tail) -> float:
    """Error of a quantile, from the error of its smaller tail and the density of its logarithm."""
    upper = p > 0.5
    reached, density = tail(quantile, upper)
    wanted = 1 - mp.mpf(p) if upper else mp.mpf(p)
    return abs(float((reached - wanted) / density))


def test_rounding_apart_all_is_exact_over_the_whole_range() -> None:
    """χ², t and F with 0.5 … 10⁷ degrees of freedom, tails from 1e-300 to 1 − 1e-16."""
    rng = np.random.default_rng(0)
    with mp.workdps(40):
        for kind in range(60):
            m, n = np.exp(rng.uniform(math.log(0.5), math.log(1e7), 2)).tolist()
            p = (float(rng.random()), math.exp(-rng.uniform(0, 690)), 1 - math.exp(-rng.uniform(0, 36)))[kind % 3]
            x, f, t = chi2_quantile(p, m), f_quantile(p, m, n), student_quantile(p, m)
            if 1e-290 < x < math.inf:
                assert relative_error(x, p, lambda v, up, m=m: gamma_tail(0.5 * m, 0.5 * v, up)) < RELATIVE
                assert chi2_sf(x, m) == pytest.approx(float(gamma_tail(0.5 * m, 0.5 * x, True)[0]), rel=RELATIVE)
            if 1e-290 < f < 1e290:
                assert relative_error(f, p, lambda v, up, m=m, n=n: beta_tail(0.5 * m, 0.5 * n, v, up)) < RELATIVE
                exact = float(beta_tail(0.5 * m, 0.5 * n, f, True)[0])
                assert f_sf(f, m, n) == pytest.approx(exact, rel=RELATIVE)
            if 1e-140 < abs(t) < 1e150:
                tail = 0.5 * beta_tail(0.5, 0.5 * m, mp.mpf(t) ** 2, True)[0]
                exact = float(tail if t > 0 else 1 - tail)
                assert student_sf(t, m) == pytest.approx(exact, rel=RELATIVE)
                assert student_cdf(-t, m) == student_sf(t, m)


@pytest.mark.parametrize("p", [1e-300, 1e-100, 1e-10, 0.0013, 0.07, 0.0751, 0.3, 0.5000001, 0.92, 0.999, 1 - 1e-16])
def test_the_normal_distribution_is_exact(p: float) -> None:
    x = normal_quantile(p)
    with mp.workdps(40):
        tail = mp.erfc(abs(mp.mpf(x)) / mp.sqrt(2)) / 2
        wanted = mp.mpf(p) if x < 0 else 1 - mp.mpf(p)
        slope = mp.exp(-(mp.mpf(x) ** 2) / 2) / mp.sqrt(2 * mp.pi)
        assert abs(float((tail - wanted) / slope / x)) < 1e-14 + 1e-16 / abs(x)
        assert normal_cdf(-abs(x)) == pytest.approx(float(tail), rel=RELATIVE)
        assert normal_sf(abs(x)) == normal_cdf(-abs(x))
        assert normal_sf(-abs(x)) == pytest.approx(float(1 - tail), rel=1e-15)


# --------------------------------------------------------------------------------------------------- against scipy

SCIPY = 1e-11  # scipy's own errors; see the exact tests above


@settings(max_examples=150)
@given(p=probabilities, m=degrees, n=degrees)
def test_quantiles_and_tails_are_each_other_s_inverse(p: float, m: float, n: float) -> None:
    """The quantile and then its tail return the probability, as far as the conditioning of either lets them."""
    x, f, t = chi2_quantile(p, m), f_quantile(p, m, n), student_quantile(p, m)
    assume(min(x, f) > 1e-290)
    q, tolerance = 1.0 - p, 1e-9 / min(1.0, 1.0 - p) if p > 0.5 else 1e-9
    if p > 1e-6:
        assert chi2_sf(x, m) == pytest.approx(q, rel=tolerance)
        assert student_sf(t, m) == pytest.approx(q, rel=tolerance)
        assert f_sf(f, m, n) == pytest.approx(q, rel=tolerance)
    assert f_sf(1.0 / f, n, m) == pytest.approx(p, rel=1e-8)  # F and 1/F
    assert student_cdf(t, m) == pytest.approx(p, rel=1e-8)


@settings(max_examples=150)
@given(p=st.floats(1e-10, 1.0 - 1e-10), m=st.floats(1.0, 1e4), n=st.floats(1.0, 1e4))
def test_scipy_has_the_same_quantiles(p: float, m: float, n: float) -> None:
    assert normal_quantile(p) == pytest.approx(float(special.ndtri(p)), rel=SCIPY, abs=1e-15)
    assert chi2_quantile(p, m) == pytest.approx(float(2.0 * special.gammaincinv(0.5 * m, p)), rel=SCIPY)
    assert gamma_quantile(p, m) == pytest.approx(float(special.gammaincinv(m, p)), rel=SCIPY)
    assert student_quantile(p, m) == pytest.approx(float(stats.t.ppf(p, m)), rel=1e-9, abs=1e-12)
    assert f_quantile(p, m, n) == pytest.approx(float(stats.f.ppf(p, m, n)), rel=1e-9)


@settings(max_examples=150)
@given(x=st.floats(1e-5, 1e3), m=st.floats(0.5, 1e4), n=st.floats(0.5, 1e4))
def test_scipy_has_the_same_tails(x: float, m: float, n: float) -> None:
    z = 0.02 * x
    assert normal_cdf(-z) == pytest.approx(float(special.ndtr(-z)), rel=SCIPY)
    assert chi2_sf(x * m, m) == pytest.approx(float(stats.chi2.sf(x * m, m)), rel=SCIPY, abs=1e-300)
    assert student_sf(z, m) == pytest.approx(float(stats.t.sf(z, m)), rel=SCIPY, abs=1e-300)
    assert f_sf(x, m, n) == pytest.approx(float(stats.f.sf(x, m, n)), rel=1e-10, abs=1e-280)
    assert log_gamma(x) == pytest.approx(float(special.gammaln(x)), rel=RELATIVE, abs=1e-15)


@pytest.mark.parametrize("x", [1e-8, 0.3, 1.0, 1.5, 2.0, 15.999999, 16.0, 171.0, 1e8, 1e200])
def test_the_logarithm_of_the_gamma_function_is_exact(x: float) -> None:
    with mp.workdps(40):
        assert log_gamma(x) == pytest.approx(float(mp.loggamma(mp.mpf(x))), rel=1e-14, abs=1e-15)


# ----------------------------------------------------------------------------------------- closed forms and the ends


def test_closed_forms() -> None:
    """Cauchy, two degrees of freedom, an exponential, and a normal for infinite degrees of freedom."""
    for p in (1e-200, 1e-9, 0.2, 0.5, 0.7):
        assert student_quantile(p, 1.0) == pytest.approx(-1.0 / math.tan(math.pi * p), rel=RELATIVE, abs=1e-15)
        centred = 2.0 * p - 1.0
        assert student_quantile(p, 2.0) == pytest.approx(centred * math.sqrt(0.5 / (p * (1.0 - p))), rel=RELATIVE)
        assert chi2_quantile(p, 2.0) == pytest.approx(-2.0 * math.log1p(-p), rel=RELATIVE)
        assert gamma_quantile(p, 1.0) == pytest.approx(-math.log1p(-p), rel=RELATIVE)
        assert student_quantile(p, math.inf) == normal_quantile(p)
        assert f_quantile(p, 2.0, math.inf) == pytest.approx(-math.log1p(-p), rel=RELATIVE)
    assert student_sf(1.5, math.inf) == normal_sf(1.5)
    assert f_sf(1.5, 3.0, math.inf) == chi2_sf(4.5, 3.0)


def test_far_tails_of_few_degrees_of_freedom_are_power_laws() -> None:
    assert student_sf(1e200, 1.0) == pytest.approx(1e-200 / math.pi, rel=RELATIVE)
    assert student_sf(-1e-200, 1.0) == 0.5
    assert student_sf(1e-160, 3.0) == 0.5
    assert student_quantile(1e-200, 0.75) == pytest.approx(
        -(student_quantile(1e-100, 0.75) ** 2) * constant(), rel=1e-11
    )
    assert student_quantile(1e-300, 0.5) == -math.inf  # beyond the largest number
    assert f_quantile(1e-300, 0.5, 3.0) == 0.0


def constant() -> float:
    """Of t(p²) = −t(p)²·constant in a tail p = C t^−ν, for ν = 0.75: C^(−1/ν)."""
    nu = 0.75
    log_beta = math.lgamma(0.5) + math.lgamma(0.5 * nu) - math.lgamma(0.5 + 0.5 * nu)
    return (nu ** (0.5 * nu) / (nu * math.exp(log_beta))) ** (-1.0 / nu)


def test_the_ends() -> None:
    inf = math.inf
    assert [normal_quantile(p) for p in (0.0, 0.5, 1.0)] == [-inf, 0.0, inf]
    assert [student_quantile(p, 3.0) for p in (0.0, 0.5, 1.0)] == [-inf, 0.0, inf]
    assert [chi2_quantile(p, 3.0) for p in (0.0, 1.0)] == [0.0, inf]
    assert [f_quantile(p, 3.0, 4.0) for p in (0.0, 1.0)] == [0.0, inf]
    assert [student_sf(t, 3.0) for t in (-inf, 0.0, inf)] == [1.0, 0.5, 0.0]
    assert [chi2_sf(x, 3.0) for x in (-1.0, 0.0, inf)] == [1.0, 1.0, 0.0]
    assert [f_sf(x, 3.0, 4.0) for x in (-1.0, 0.0, inf)] == [1.0, 1.0, 0.0]
    assert [log_gamma(x) for x in (0.0, inf)] == [inf, inf]


@pytest.mark.parametrize(
    "value",
    [
        lambda nan: normal_quantile(nan),
        lambda nan: normal_quantile(-0.1),
        lambda nan: normal_quantile(1.1),
        lambda nan: student_quantile(1.1, 3.0),
        lambda nan: student_quantile(0.3, 0.0),
        lambda nan: student_quantile(0.3, nan),
        lambda nan: student_sf(nan, 3.0),
        lambda nan: student_sf(1.0, -1.0),
        lambda nan: chi2_sf(nan, 3.0),
        lambda nan: chi2_sf(1.0, 0.0),
        lambda nan: chi2_quantile(0.2, math.inf),
        lambda nan: chi2_quantile(nan, 1.0),
        lambda nan: f_sf(nan, 1.0, 1.0),
        lambda nan: f_sf(1.0, math.inf, 1.0),
        lambda nan: f_quantile(0.3, 1.0, 0.0),
        lambda nan: f_quantile(-0.3, 1.0, 1.0),
        lambda nan: log_gamma(-1.0),
        lambda nan: normal_cdf(nan),
    ],
)
def test_outside_the_domain_there_is_no_number(value) -> None:
    assert math.isnan(value(math.nan))


def test_arrays_are_broadcast_and_numbers_stay_numbers() -> None:
    p, n = np.array([0.1, 0.5, 0.9]), np.array([[1.0], [30.0]])
    found = student_quantile(p, n)
    assert found.shape == (2, 3)
    assert found.tolist() == [[student_quantile(one, df) for one in p.tolist()] for df in (1.0, 30.0)]
    assert f_sf(p[::2], 2.0, 3).tolist() == [f_sf(0.1, 2.0, 3.0), f_sf(0.9, 2.0, 3.0)]
    assert isinstance(student_quantile(0.3, 4), float)
    assert isinstance(student_quantile(np.float64(0.3), np.int64(4)), float)
    assert normal_cdf(np.zeros((0, 2))).shape == (0, 2)


def test_levels_agree() -> None:
    """To 1e-12; checked against the level that the other tests use now."""
    calls = [
        lambda: student_quantile(np.array([1e-250, 0.01, 0.3]), np.array([[0.5], [7.3], [1e6]])),
        lambda: f_quantile(np.array([1e-20, 0.01, 0.99]), np.array([[0.7], [7.3], [1e6]]), 35.0),
        lambda: chi2_sf(np.array([1e-3, 1.0, 40.0]), np.array([[0.7], [7.3], [90.0]])),
    ]
    before, expected = library.level(), [call() for call in calls]
    for one in library.levels():
        library.use_level(one)
        for call, values in zip(calls, expected, strict=True):
            np.testing.assert_allclose(call(), values, rtol=RELATIVE)
    library.use_level(before)


def test_a_call_costs_little() -> None:
    """A quantile must not cost more than the fit that it serves: far below a millisecond."""
    assert min(timeit.repeat(lambda: student_quantile(0.975, 37.0), number=20, repeat=5)) / 20 < 1e-3

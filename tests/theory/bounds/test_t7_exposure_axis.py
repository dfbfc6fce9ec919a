"""T7: the exposure axis shows the law of consolidation rates, not of frequencies."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

import cogfit
import theory
from cogfit.curves.exposure import CONVENTIONS
from cogfit.errors import InputError
from theory.bounds import t4_zipf_streams
from theory.bounds import t7_exposure_axis as t7
from theory.bounds.t7_exposure_axis import MixingLaw

SHAPE = st.floats(0.05, 6.0)
LAWS = st.one_of(
    st.builds(MixingLaw, st.just("beta"), SHAPE, st.floats(0.2, 50.0)),
    st.builds(MixingLaw, st.just("gamma"), SHAPE, st.floats(0.2, 50.0)),
)


@given(LAWS, st.integers(1, 300))
def test_the_closed_form_is_the_average_over_patterns(law: MixingLaw, k: int) -> None:
    """By parts: E[(1−η)^k] = ∫ k(1−η)^{k−1} P(η' ≤ η) dη, with P in closed form and no singularity."""

    def inner(y: float) -> float:  # y = −log η
        eta = math.exp(-y)
        return k * math.exp((k - 1) * math.log1p(-eta)) * eta * float(law.slower(eta)) if eta < 1.0 else 0.0

    value = math.fsum(integrate.quad(inner, a, a + 5.0, limit=200)[0] for a in np.arange(0.0, 60.0, 5.0))
    assert value == pytest.approx(float(law.curve(k)), rel=1e-5, abs=1e-10)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 30))
def test_for_whole_shapes_the_closed_form_is_exact(a: int, b: int, k: int) -> None:
    moments = [Fraction(math.comb(k, j) * (-1) ** j) for j in range(k + 1)]
    for j in range(k + 1):
        for i in range(j):
            moments[j] *= Fraction(a + i, a + b + i)
    assert t7.beta_geometric(k, a, b) == pytest.approx(float(sum(moments)), rel=1e-10)


@pytest.mark.slow
def test_the_closed_forms_symbolically() -> None:
    eta, rate = sympy.symbols("eta lambda", positive=True)
    a, b, k = Fraction(3, 2), 2, 3
    half = sympy.Rational(3, 2)
    mass = sympy.integrate(eta ** (half - 1) * (1 - eta), (eta, 0, 1))
    value = sympy.integrate(sympy.expand(eta ** (half - 1) * (1 - eta) ** (1 + k)), (eta, 0, 1)) / mass
    assert float(value) == pytest.approx(float(t7.beta_geometric(k, float(a), b)), rel=1e-12)
    gamma, scale, x = sympy.symbols("gamma b k", positive=True)
    density = scale**gamma * rate ** (gamma - 1) * sympy.exp(-scale * rate) / sympy.gamma(gamma)
    value = sympy.integrate(density * sympy.exp(-rate * x), (rate, 0, sympy.oo), conds="none")
    assert sympy.simplify(value - (1 + x / scale) ** -gamma) == 0


@given(SHAPE, st.floats(0.01, 100.0), st.floats(0.0, 1e7))
def test_power_laws_enclose_the_curve(a: float, b: float, k: float) -> None:
    low, high = t7.limits(k, a, b)
    exact = t7.beta_geometric(k, a, b)
    assert low <= exact * (1 + 1e-9)
    assert exact <= high * (1 + 1e-9)


@given(LAWS)
def test_the_tail_exponent_is_the_index_at_zero(law: MixingLaw) -> None:
    """P(η ≤ x) ~ C x^a goes with P(k) ~ C Γ(a+1) k^−a."""
    far = 1e9
    index = math.log(law.slower(1e-10) / law.slower(1e-11)) / math.log(10)
    assert index == pytest.approx(law.index, rel=1e-5)
    constant = float(law.slower(1e-10)) * 1e10**law.index
    expected = math.exp(math.log(constant) + math.lgamma(law.index + 1) - law.index * math.log(far))
    assert law.curve(far) == pytest.approx(expected, rel=1e-4)


@given(LAWS)
def test_every_mixture_is_completely_monotone(law: MixingLaw) -> None:
    difference = law.curve(np.arange(12.0))
    for _ in range(4):
        difference = -np.diff(difference)
        assert np.all(difference > -1e-12)
    # those left after k exposures are consolidated by the next at a rate that falls
    hazard = 1 - law.curve(np.arange(1.0, 50)) / law.curve(np.arange(0.0, 49))
    assert np.all(np.diff(hazard) <= 1e-12)
    if law.family == "beta":
        a, b = law.shape, law.scale
        assert hazard == pytest.approx(a / (a + b + np.arange(49.0)), rel=1e-6)


def test_one_rate_is_no_power_law() -> None:
    law = MixingLaw("point", math.inf, 0.1)
    k = np.array([1.0, 10.0, 100.0])
    exponent = -np.log(law.curve(2 * k) / law.curve(k)) / math.log(2)
    assert exponent == pytest.approx(0.1 * k / math.log(2))
    assert "no power law" in str(law)
    x = np.arange(0.0, 60.0)
    fit = cogfit.fit(x, law.curve(x) + np.random.default_rng(0).normal(0, 0.003, 60), form="exponential",
                     axis="exposure")  # fmt: skip
    found = theory.mixing_law(fit)
    assert found.family == "point"
    assert found.scale == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize("law", [MixingLaw("beta", 0.43, 2.0), MixingLaw("gamma", 0.8, 5.0, never=0.2)])
def test_simulated_patterns_cover_the_curve(law: MixingLaw) -> None:
    k = [1, 10, 100]
    _, low, high = t7.simulate(law, k, patterns=5000, rng=1)
    assert np.all((low < law.curve(k)) & (law.curve(k) < high))
    eta = law.sample(20_000, 2)
    for x in (0.05, 0.3):
        assert np.mean(eta <= x) == pytest.approx(float(law.slower(x)), abs=0.015)


def test_exposures_that_depend_on_the_rate_break_it() -> None:
    """Patterns that are easy are shown less often: late exposures are of the hard ones, and the curve is flatter."""
    rng = np.random.default_rng(3)
    eta = rng.beta(0.43, 1.0, 40_000)
    shown = np.where(eta < 0.05, 200, 20)  # exposures that a pattern gets
    last = np.ceil(np.log(rng.random(eta.size)) / np.log1p(-eta))
    at_50 = shown >= 50
    biased, fair = np.mean(last[at_50] > 50), np.mean(last > 50)
    exact = float(t7.beta_geometric(50, 0.43, 1.0))
    assert fair == pytest.approx(exact, abs=0.01)
    assert biased > exact + 0.2


def test_the_law_behind_a_fit() -> None:
    k = np.arange(0.0, 300.0)
    noise = np.random.default_rng(5).normal(0, 0.003, k.size)
    fit = cogfit.fit(k, t7.beta_geometric(k, 0.43, 2.0) + noise, form="beta_geometric", axis="exposure")
    found = theory.mixing_law(fit)
    assert found.family == "beta"
    assert found.low < 0.43 < found.high
    assert found.shape == pytest.approx(0.43, abs=0.03)
    assert found.scale == pytest.approx(2.0, rel=0.15)
    fit = cogfit.fit(k, t7.gamma_mixture(k, 0.43, 2.0) + noise, form="shifted_power", axis="x")
    with pytest.raises(InputError, match='axis="exposure"'):
        theory.mixing_law(fit)
    found = theory.mixing_law(fit, axis="exposure")
    assert (found.family, found.shape) == ("gamma", pytest.approx(0.43, abs=0.03))


def test_a_fit_at_its_bound_is_no_law() -> None:
    k = np.arange(0.0, 100.0)
    step = 1.0 / (1.0 + (k / 40.0) ** 20) + np.random.default_rng(0).normal(0, 0.01, k.size)
    fit = cogfit.fit(k, step, form="beta_geometric", axis="exposure")
    assert fit.status == "at_bound"
    with pytest.raises(InputError, match="ran into the bound of gamma"):
        theory.mixing_law(fit)


@pytest.mark.parametrize("form", ["beta_geometric", "shifted_power", "exponential"])
def test_counting_the_presentation_itself_shifts_by_one(form: str) -> None:
    """The same learner, counted from 0 and from 1: the same law."""
    params = {"beta_geometric": {"A": 0.9, "gamma": 0.5, "b": 3.0}, "shifted_power": {"A": 0.9, "gamma": 0.5, "b": 3.0},
              "exponential": {"A": 0.9, "r": 0.2}}[form]  # fmt: skip
    earlier = theory.mixing_law(form, params, axis="exposure")
    x = np.arange(1.0, 6.0)  # x = k + 1
    shifted = {**params, "b": params["b"] - 1} if "b" in params else params
    inclusive = theory.mixing_law(form, shifted, axis="exposure", first=1)
    assert inclusive.curve(x - 1) == pytest.approx(earlier.curve(x - 1))
    curve = cogfit.forms()[form].evaluate(x, shifted)
    assert inclusive.curve(x - 1) == pytest.approx(curve / curve[0])


def test_a_log_that_counts_inclusively_is_recognised() -> None:
    k = np.arange(1.0, 200.0)
    fit = cogfit.fit(k, t7.gamma_mixture(k - 1, 0.5, 3.0), form="shifted_power", axis="exposure")
    found = theory.mixing_law(replace(fit, convention=CONVENTIONS["inclusive"]))
    assert found.scale == pytest.approx(3.0, rel=1e-3)
    assert theory.mixing_law(fit).scale == pytest.approx(2.0, rel=1e-3)
    assert theory.mixing_law(fit, first=1).scale == pytest.approx(3.0, rel=1e-3)


def test_a_floor_is_the_share_that_never_consolidates() -> None:
    params = {"A": 0.6, "gamma": 1.0, "b": 2.0, "c": 0.2}
    law = theory.mixing_law("shifted_power_floor", params, axis="exposure")
    assert law.never == pytest.approx(0.25)
    x = np.array([0.0, 4.0, 1e9])
    assert law.curve(x) == pytest.approx(cogfit.forms()["shifted_power_floor"].evaluate(x, params) / 0.8)
    assert "never consolidates" in str(law)
    assert theory.mixing_law("hyperbolic", {"A": 1.0, "b": 2.0}, axis="repetition").shape == 1.0


def test_an_exponent_of_the_stream_axis_is_refused() -> None:
    n = np.arange(1.0, 80.0)
    fit = cogfit.fit(n, (1 + n / 3) ** -0.43, form="shifted_power", axis="stream")
    for axis in (None, "exposure"):
        with pytest.raises(InputError, match="T4"):
            theory.mixing_law(fit, axis=axis)
    params = {"A": 1.0, "gamma": 0.43, "b": 2.0}
    with pytest.raises(InputError, match="no axis"):
        theory.mixing_law("shifted_power", params)
    for form, values, match in (
        ("power", {"A": 1.0, "gamma": 0.43}, "shifted_power"),
        ("shifted_pwer", params, "did you mean"),
        ("shifted_power", {"A": 1.0, "gamma": 0.43}, "'b'"),
        ("shifted_power", {**params, "b": -1.0}, "out of range"),
    ):
        with pytest.raises(InputError, match=match):
            theory.mixing_law(form, values, axis="exposure")
    with pytest.raises(InputError, match="`first`"):
        theory.mixing_law("shifted_power", params, axis="exposure", first=2)
    with pytest.raises(InputError, match="`a`"):
        t7.beta_geometric(1, 0.0, 1.0)
    with pytest.raises(InputError, match="counted from 0"):
        t7.gamma_mixture(-1, 1.0, 1.0)


def test_frequencies_leave_the_exposure_axis_alone() -> None:
    """Two streams with other Zipf exponents, one law of rates: the same curve against a pattern's own exposures."""
    rng = np.random.default_rng(11)
    shares = []
    for s in (1.1, 2.0):
        p = t4_zipf_streams.frequencies(s, 20)
        eta = rng.beta(0.43, 1.0, (4000, 20))  # fresh patterns in every stream
        last = np.ceil(np.log(rng.random(eta.shape)) / np.log1p(-eta))
        counts = rng.multinomial(400, p, 4000)
        reached = counts > 8
        shares.append(np.mean(last[reached] > 8))
    exact = float(t7.beta_geometric(8, 0.43, 1.0))
    assert shares == pytest.approx([exact, exact], abs=0.01)


def test_the_verdict_and_the_table_for_the_figure() -> None:
    verdict = theory.check_theorem("T7")
    assert verdict.status == "proved"
    assert verdict.verify().ok
    bad = t7.moment_certificate(3)
    assert not theory.verify(bad | {"right": bad["right"].replace("b + 2", "b + 3")}).ok
    table = t7.curves()
    known = table.dropna(subset="low")
    assert (known["low"] <= known["exact"] * (1 + 1e-9)).all()
    assert (known["exact"] <= known["high"] * (1 + 1e-9)).all()
    played = table.dropna(subset="achieved")
    assert ((played["achieved_low"] <= played["exact"]) & (played["exact"] <= played["achieved_high"])).all()
    tails = table[(table["k"] > 5000)].groupby("family")["exponent"].last()
    assert tails[["beta", "gamma"]].to_numpy() == pytest.approx([0.43, 0.43], abs=1e-3)
    assert tails["point"] > 100


def test_the_recursion_behind_the_moments_holds_and_no_other_does() -> None:
    for document in t7._INTEGRALS:
        assert theory.verify(document).ok
        assert not theory.verify({**document, "right": f"2*({document['right']})"}).ok
    for a, b in ((0.43, 7.0), (3.0, 1.7)):  # by quadrature; the second shape is b + k
        first, second = (
            integrate.quad(lambda x, p, q: x ** (p - 1) * (1 - x) ** (q - 1), 0, 1, args=(a, b + more))[0]
            for more in (0, 1)
        )
        assert (a + b) * second == pytest.approx(b * first, rel=1e-6)

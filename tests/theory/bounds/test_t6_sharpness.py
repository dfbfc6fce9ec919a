"""T6: averages over frequencies are never sharper than one pattern; a bimodal threshold shows why the law matters."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import special, stats

import theory
from cogfit.errors import InputError
from cogfit.inference.transitions import gamma_threshold
from theory.bounds import t6_sharpness as t6

LEVELS = st.tuples(st.floats(0.02, 0.98), st.floats(0.02, 0.98)).map(sorted).filter(lambda x: x[1] - x[0] > 1e-3)
MIXTURES = st.lists(st.tuples(st.floats(1e-3, 1.0), st.floats(0.01, 1.0)), min_size=1, max_size=8)
SHAPES = {"gamma": st.floats(0.3, 300.0), "weibull": st.floats(0.3, 30.0), "lognormal": st.floats(0.02, 4.0)}


@pytest.mark.parametrize("law", list(t6.THRESHOLDS))
@given(data=st.data(), levels=LEVELS, patterns=MIXTURES)
def test_no_average_is_sharper_than_one_pattern(
    law: str, data: st.DataObject, levels: list[float], patterns: list[tuple[float, float]]
) -> None:
    shape, (low, high) = data.draw(SHAPES[law]), levels
    p, w = np.array(patterns).T
    first, last = (t6.crossing(level, shape, p, w, law=law) for level in (high, low))
    least = float(t6.smallest_ratio(shape, law=law, high=high, low=low))
    assert last / first >= least * (1 - 1e-9)
    if np.unique(p).size == 1:
        assert last / first == pytest.approx(least, rel=1e-9)


@given(MIXTURES, st.integers(1, 8), st.integers(0, 60), st.integers(0, 400))
def test_for_binomial_counts_the_average_stays_above_the_pattern_that_stands_where_it_stands(
    patterns: list[tuple[float, float]], c: int, extra: int, more: int
) -> None:
    n = c + extra
    p, w = np.array(patterns).T

    def u(size: int) -> float:
        return float(special.betaincc(c, size - c + 1, p) @ (w / w.sum()))

    assume(u(n) > 1e-9)
    rounded = u(n) * (1.0 - 1e-15)  # near 1 the last digit of u is many digits of 1 − u
    assert u(n + more) >= t6.binomial_bound(rounded, n, n + more, c) - 1e-12


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(1, 12), st.integers(1, 5))
def test_for_one_exposure_the_bound_is_a_power_exactly(counts: list[int], n: int, ratio: int) -> None:
    p = [Fraction(k, sum(counts)) for k in counts]
    u = {size: sum(q * (1 - q) ** size for q in p) for size in (n, ratio * n)}
    assert u[ratio * n] >= u[n] ** ratio
    assert t6.binomial_bound(float(u[n]), n, ratio * n) == pytest.approx(float(u[n] ** ratio), rel=1e-9, abs=1e-300)


def test_known_ratios() -> None:
    found = t6.smallest_ratio([1, 2, 5, 10, 20, 100, 1000])
    assert found == pytest.approx([34.475, 10.351, 4.1745, 2.7286, 2.0330, 1.3756, 1.1067], abs=5e-4)
    assert found[0] == pytest.approx(math.log(37.8) / -math.log(0.9))
    assert t6.smallest_ratio(2.0, law="weibull") == pytest.approx(math.sqrt(found[0]))
    z = special.ndtri([0.9, 1 / 37.8])
    assert t6.smallest_ratio(0.5, law="lognormal") == pytest.approx(math.exp(0.5 * (z[0] - z[1])))
    assert t6.power_law_ratio(0.43) == pytest.approx(4662, abs=1)


@pytest.mark.parametrize("law", list(t6.THRESHOLDS))
@given(data=st.data(), levels=LEVELS)
def test_the_implied_shape_is_the_inverse(law: str, data: st.DataObject, levels: list[float]) -> None:
    shape, (low, high) = data.draw(SHAPES[law]), levels
    ratio = float(t6.smallest_ratio(shape, law=law, high=high, low=low))
    assume(1.0 + 1e-6 < ratio < 1e30)
    assert t6.implied_shape(ratio, law=law, high=high, low=low) == pytest.approx(shape, rel=1e-5)


@given(st.floats(1.01, 1e4))
def test_the_implied_threshold_is_what_a_transition_reports(ratio: float) -> None:
    assert t6.implied_shape(ratio) == pytest.approx(gamma_threshold(ratio), rel=1e-6)


def test_two_thresholds_break_the_bound() -> None:
    """log T is bimodal: between the thresholds a single pattern lingers, a mixture of frequencies does not."""
    document = t6._two_thresholds()
    assert theory.verify(document).ok

    def survival(x: np.ndarray) -> np.ndarray:
        return 0.5 * (np.exp(-x) + np.exp(-x / 100))

    n = np.geomspace(1e-3, 1e5, 200_001)
    one, two = survival(n), 0.3 * survival(n) + 0.7 * survival(n / 100)
    ratios = [n[np.argmax(u <= 0.4)] / n[np.argmax(u <= 0.6)] for u in (one, two)]
    assert ratios[0] == pytest.approx(14.53, abs=0.01)
    assert ratios[1] == pytest.approx(3.16, abs=0.01)


@pytest.mark.parametrize("c", [1, 3, 8])
def test_certificates_hold_and_catch_a_wrong_number(c: int) -> None:
    document = t6.ratio_certificate(c)
    assert theory.verify(document).ok
    for i, fact in enumerate(document["facts"]):
        turned = fact.replace(">", "<") if ">" in fact else fact.replace("<", ">")
        facts = [*document["facts"][:i], turned, *document["facts"][i + 1 :]]
        assert not theory.verify(document | {"facts": facts}).ok
    exact = t6.mixture_certificate((Fraction(2, 3), Fraction(1, 3)), 2 * c, 5 * c, c)
    assert theory.verify(exact).ok
    assert not theory.verify(exact | {"facts": ["one_after > after"]}).ok
    one = t6.mixture_certificate((Fraction(1, 2), Fraction(1, 2)), 2 * c, 5 * c, c)  # equality: nothing to spare
    assert theory.verify(one | {"facts": ["one_after >= after*(1 - 1/10**5)", "one_after <= after"]}).ok


def test_simulated_patterns_are_not_sharper() -> None:
    equal = t6.simulate(10, np.ones(3000), queries=120_000, rng=1)
    assert equal == pytest.approx(float(t6.smallest_ratio(10, low=0.1)), rel=0.03)
    mixed = t6.simulate(10, np.repeat([1.0, 3.0], 1500), queries=160_000, rng=1)
    p = np.repeat([1.0, 3.0], 1500)
    assert mixed == pytest.approx(t6.crossing(0.1, 10.0, p) / t6.crossing(0.9, 10.0, p), rel=0.03)
    assert mixed > 1.5 * equal
    assert math.isnan(t6.simulate(10, np.ones(100), queries=200))


@pytest.mark.parametrize(
    "call",
    [
        lambda: t6.smallest_ratio(1.0, law="gama"),
        lambda: t6.smallest_ratio(0.0),
        lambda: t6.smallest_ratio(1.0, high=0.1, low=0.9),
        lambda: t6.implied_shape(1.0),
        lambda: t6.implied_shape(1e300),
        lambda: t6.mixture([1.0], 1.0, [0.0]),
        lambda: t6.binomial_bound(0.5, 3, 2),
        lambda: t6.power_law_ratio(-0.4),
    ],
)
def test_bad_input_is_named(call: object) -> None:
    with pytest.raises(InputError):
        call()  # type: ignore[operator]


@pytest.mark.slow
def test_the_verdict_and_the_table_for_the_figure() -> None:
    verdict = theory.check_theorem("T6")
    assert verdict.status == "proved"
    assert verdict.verify().ok
    table = t6.curves()
    bound = table[table["curve"] == "bound, Gamma"].set_index("shape")["ratio"]
    for _, achieved in table[table["kind"] == "achieved"].groupby("curve"):
        assert (achieved.set_index("shape")["ratio"] >= bound).all()


def test_the_slope_of_one_pattern_against_another_falls() -> None:
    """f(y + d)/f(y) of log T falls in y: from the densities, and as the identities of the certificate have it."""
    y, d = np.linspace(-4.0, 2.5, 200), 0.4
    laws = {
        "Gamma(c)": stats.loggamma(3.0),
        "Weibull(k)": stats.gumbel_l(scale=1 / 1.7),
        "lognormal": stats.norm(scale=0.8),
    }
    for law, density in laws.items():
        assert np.all(np.diff(density.logpdf(y + d) - density.logpdf(y)) < 0.0), law
        document = next(part for part in t6._LOG_CONCAVE if law in part["title"])
        assert theory.verify(document).ok
        assert not theory.verify({**document, "right": f"({document['right']}) + d"}).ok

"""Ranking by AICc: textbook formulas, the rule of two units, and what autocorrelation takes away."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cogfit
from cogfit.engine.estimate import Estimate
from cogfit.formulas.registry import get_form
from cogfit.inference.ranking import pick_simplest, rank, score


def made(form: str, loglik: float, n: int = 200, noise: str = "gaussian", status: str = "ok") -> Estimate:
    """An estimate with a likelihood of our choice."""
    names = get_form(form).names
    nothing = np.eye(len(names))
    values = dict.fromkeys(names, 0.5)
    return Estimate(form, noise, values, values, nothing, 1.0, loglik, n, len(names) + 1, status)  # type: ignore[arg-type]


def aicc(loglik: float, n: float, k: int) -> float:
    """Hurvich & Tsai 1989."""
    return -2.0 * loglik + 2.0 * k * n / (n - k - 1.0)


def test_two_units_of_aicc_are_the_last_that_do_not_distinguish() -> None:
    """Burnham & Anderson 2002: models within 2 of the best have substantial support."""
    fits = [made("power", 100.0), made("exponential", 99.0), made("hyperbolic", 98.999)]
    ranking = rank(fits)
    assert ranking.delta["exponential"] == pytest.approx(2.0, abs=1e-9)
    assert ranking.indistinguishable == ("power", "exponential")


def test_the_indistinguishable_stand_best_first_whatever_the_order_of_the_fits() -> None:
    fits = [made("power", 99.5), made("exponential", 100.0), made("hyperbolic", 99.9)]
    assert rank(fits).indistinguishable == ("exponential", "hyperbolic", "power")
    assert rank(fits[::-1]).indistinguishable == ("exponential", "hyperbolic", "power")
    assert rank(fits).best == "exponential"


def test_autocorrelated_points_count_as_fewer_independent_ones() -> None:
    """With autocorrelation time τ, n points carry the likelihood and the number of n/τ."""
    fit = made("power", 300.0, n=200)
    assert score(fit, 4.0) == pytest.approx(aicc(300.0 / 4.0, 200 / 4.0, 3))
    assert score(fit) == pytest.approx(fit.aicc)
    ranking = rank([fit, made("constant", 280.0, n=200)], 4.0)
    assert ranking.n_effective == 50.0
    assert ranking.delta["constant"] == pytest.approx(aicc(70.0, 50.0, 2) - aicc(75.0, 50.0, 3))
    assert rank([fit, made("constant", 280.0, n=200)]).delta["constant"] > ranking.delta["constant"]


def test_ar1_errors_cost_a_parameter_and_no_points() -> None:
    fit = made("power", 300.0, n=200)
    assert score(fit, 4.0, gain=20.0) == pytest.approx(aicc(320.0, 200, 4))
    assert score(fit, 4.0, gain=0.0) == pytest.approx(aicc(300.0, 200, 4))
    ranking = rank([fit, made("constant", 301.0, n=200)], 4.0, {"power": 20.0, "constant": 10.0})
    assert ranking.best == "power"
    assert ranking.losses["power"] == (pytest.approx(-640.0), 4)
    assert ranking.losses["constant"] == (pytest.approx(-622.0), 3)


def test_too_few_points_for_a_form_put_it_out_of_the_race() -> None:
    """The correction of AICc divides by n − k − 1."""
    assert score(made("power", 10.0, n=4)) == math.inf
    assert score(made("power", 10.0, n=5)) == pytest.approx(-20.0 + 6.0 + 24.0)
    assert score(made("power", 10.0, n=3)) == math.inf
    ranking = rank([made("power", 10.0, n=4), made("constant", 0.0, n=4)])
    assert (ranking.best, ranking.delta["power"]) == ("constant", math.inf)
    assert ranking.delta_bic == {"power": math.inf, "constant": 0.0}


@pytest.mark.parametrize("out", [made("power", 1e6, status="failed"), made("power", math.inf), made("power", math.nan)])
def test_a_fit_that_failed_is_never_the_best(out: Estimate) -> None:
    ranking = rank([out, made("constant", -1e6)])
    assert ranking.best == "constant"
    assert ranking.indistinguishable == ("constant",)
    assert ranking.delta == {"power": math.inf, "constant": 0.0}
    assert set(ranking.losses) == {"constant"}
    assert ranking.delta_bic == {"power": math.inf, "constant": 0.0}


def test_where_nothing_was_fitted_nothing_is_best() -> None:
    failed = rank([made("power", 1.0, n=60, status="failed")], 2.0)
    assert (failed.best, failed.indistinguishable, failed.delta) == (None, (), {"power": math.inf})
    assert failed.n_effective == 30.0
    assert failed.delta_bic == {"power": math.inf}
    empty = rank([])
    assert (empty.best, empty.delta, empty.n_effective) == (None, {}, 0.0)


def test_bic_takes_the_logarithm_of_the_effective_points() -> None:
    """Schwarz 1978: −2 log L + k log n."""
    ranking = rank([made("power_floor", 300.0), made("constant", 290.0)], 4.0)
    bic = {"power_floor": -150.0 + 4.0 * math.log(50.0), "constant": -145.0 + 2.0 * math.log(50.0)}
    lowest = min(bic.values())
    assert ranking.delta_bic == pytest.approx({name: value - lowest for name, value in bic.items()})
    one = rank([made("power_floor", 300.0), made("constant", 290.0)], 400.0, {"power_floor": 0.0, "constant": 0.0})
    assert one.n_effective == 0.5
    assert one.delta_bic["constant"] == pytest.approx(20.0)  # less than one point takes no penalty, and gives none


def test_a_probability_is_compared_with_probabilities_only() -> None:
    binomial = [made("power", 9.0, noise="binomial"), made("constant", 1.0, noise="binomial")]
    assert rank(binomial).best == "power"
    assert rank([made("power", 9.0), made("constant", 1.0, noise="lognormal")]).best == "power"
    with pytest.raises(cogfit.InputError, match="cannot be compared with a density"):
        rank([made("power", 9.0), made("constant", 1.0, noise="binomial")])


@given(st.lists(st.floats(-500.0, 500.0), min_size=3, max_size=3), st.integers(8, 10**4))
def test_without_autocorrelation_forms_stand_in_the_order_of_aicc(logliks: list[float], n: int) -> None:
    names = ("constant", "power", "power_floor")
    ranking = rank([made(name, value, n) for name, value in zip(names, logliks, strict=True)])
    truth = {name: aicc(value, n, k) for name, value, k in zip(names, logliks, (2, 3, 4), strict=True)}
    lowest = min(truth.values())
    assert truth[ranking.best or ""] == pytest.approx(lowest)
    assert ranking.delta == pytest.approx({name: value - lowest for name, value in truth.items()}, abs=1e-7)
    assert ranking.n_effective == n


def test_a_form_at_a_bound_is_passed_over_where_both_criteria_prefer_another() -> None:
    """Held to the rule as it is written, curve by curve."""
    rng, n_passed_over = np.random.default_rng(0), 0
    choice, at_bound = rng.random((2, 5, 400)) < 0.5
    first, second = rng.normal(size=(2, 5, 400))
    counts = (3, 1, 2, 3, 2)
    for curve, picked in enumerate(pick_simplest(choice, first, second, counts, at_bound).tolist()):
        among = [i for i in range(5) if choice[i, curve]]
        kept = [
            i
            for i in among
            if not at_bound[i, curve]
            or not any(first[j, curve] < first[i, curve] and second[j, curve] < second[i, curve] for j in among)
        ]
        assert picked == min(kept, key=lambda i: (counts[i], first[i, curve]), default=-1)
        n_passed_over += len(kept) < len(among)
    assert n_passed_over > 50

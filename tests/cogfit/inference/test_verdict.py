"""Rules of the verdict, at their limits, on tests whose outcome is made up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cogfit.engine.estimate import Estimate
from cogfit.formulas.registry import POWER_LAWS, forms
from cogfit.inference.form_tests import FormTest
from cogfit.inference.ranking import SERIOUS, Ranking, rank
from cogfit.inference.verdict import Verdict, better_power_law, confidence_set, judge_power_law

REGISTRY = forms()
REFUSED = {"constant": 0.01, "power": 0.01, "power_floor": 0.01, "exponential": 0.01, "hyperbolic": 0.01}


def made(form: str, loglik: float, n: int = 200, gamma: float = 0.5, status: str = "ok") -> Estimate:
    """An estimate with a likelihood of our choice."""
    names = REGISTRY[form].names
    params = dict.fromkeys(names, 0.5) | ({"gamma": gamma} if "gamma" in names else {})
    return Estimate(form, "gaussian", params, params, np.eye(len(names)), 1.0, loglik, n, len(names) + 1, status)  # type: ignore[arg-type]


def judged(
    p_values: dict[str, float],
    *,
    fit_p: float = 0.5,
    n: int = 200,
    gamma: float = 0.5,
    tau: float = 1.0,
    replicates: int = 199,
    logliks: dict[str, float] | None = None,
) -> Verdict:
    """Verdict on forms with these p-values; those with larger ones have the better likelihood."""
    logliks = {name: 100.0 * p for name, p in p_values.items()} | (logliks or {})
    fits = {name: made(name, value, n, gamma) for name, value in logliks.items()}
    tests = {name: FormTest(p, fit_p, replicates) for name, p in p_values.items()}
    return judge_power_law(fits, rank(list(fits.values()), tau), REGISTRY, tests)


ALONE = REFUSED | {"power": 0.5}


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ({"constant": 0.01, "power": 0.5, "power_floor": 0.5, "exponential": 0.01}, "supported"),
        ({"constant": 0.01, "power": 0.01, "power_floor": 0.5, "exponential": 0.01}, "supported"),
        ({"constant": 0.01, "power": 0.5, "power_floor": 0.5, "shifted_power": 0.5}, "supported"),  # contains it
        ({"constant": 0.01, "power": 0.5, "power_floor": 0.5, "exponential": 0.06}, "not_distinguishable"),
        ({"constant": 0.01, "power": 0.05, "power_floor": 0.02, "exponential": 0.5}, "not_supported"),
        ({"constant": 0.01, "power": 0.01, "power_floor": 0.01, "broken_power": 0.5}, "not_supported"),
        ({"constant": 0.3, "power": 0.5, "power_floor": 0.5, "exponential": 0.5}, "not_identified"),
        ({"constant": 0.01, "exponential": 0.5}, "not_identified"),
    ],
)
def test_verdict(p_values: dict[str, float], expected: str) -> None:
    assert judged(p_values).power_law == expected


def test_a_form_is_refused_at_five_per_cent_and_kept_above() -> None:
    assert judged(REFUSED | {"power": 0.051}).power_law == "supported"
    assert judged(REFUSED | {"power": 0.05}).power_law == "not_supported"
    assert judged(ALONE | {"exponential": 0.05}).power_law == "supported"
    assert judged(ALONE | {"exponential": 0.051}).power_law == "not_distinguishable"
    assert judged(ALONE | {"constant": 0.05}).power_law == "supported"
    assert judged(ALONE | {"constant": 0.051}).power_law == "not_identified"


def test_goodness_of_fit_is_judged_at_the_same_level() -> None:
    assert judged(ALONE, fit_p=0.051).power_law == "supported"
    bad = judged(ALONE, fit_p=0.05)
    assert bad.power_law == "not_distinguishable"
    (reason,) = bad.reasons
    assert "leaves structure in its residuals (goodness of fit: p = 0.05)" in reason


def test_ten_effective_points_are_the_fewest_that_are_judged() -> None:
    assert judged(ALONE, n=10).power_law == "supported"
    few = judged(ALONE, n=9)
    assert (few.power_law, len(few.reasons)) == ("not_distinguishable", 1)
    assert few.reasons[0].startswith("9 effective points are too few")
    assert judged(ALONE, n=200, tau=20.0).power_law == "supported"
    assert judged(ALONE, n=200, tau=20.1).power_law == "not_distinguishable"


def test_few_effective_points_refuse_a_power_law_but_never_support_one() -> None:
    """Evidence against it is evidence at any number; the absence of it is none where there is little to see."""
    assert judged(REFUSED | {"exponential": 0.5}, tau=20.1).power_law == "not_supported"
    assert judged(ALONE | {"constant": 0.5}, tau=20.1).power_law == "not_identified"


def test_a_curve_that_does_not_fall_is_no_power_law_of_learning() -> None:
    for gamma in (-0.3, 0.0):
        rising = judged(ALONE, gamma=gamma)
        assert rising.power_law == "not_supported"
        assert f"γ = {gamma:.3g}" in rising.reasons[0]
    assert judged(ALONE, gamma=1e-6).power_law == "supported"


def test_an_exponent_that_is_not_determined_is_named_with_its_reason() -> None:
    fits = {name: made(name, 100.0 * p) for name, p in ALONE.items()}
    tests = {name: FormTest(p, 0.5, 199) for name, p in ALONE.items()}
    ranking = rank(list(fits.values()))
    loose = replace(fits["power"], status="not_identified", reason="A and γ run away", not_identified=("A", "gamma"))
    result = judge_power_law(fits | {"power": loose}, ranking, REGISTRY, tests)
    assert (result.power_law, result.reasons) == ("not_identified", ("power: A and γ run away",))
    floor = replace(loose, not_identified=("A",))  # what is not determined is not γ
    assert judge_power_law(fits | {"power": floor}, ranking, REGISTRY, tests).power_law == "supported"


def test_a_form_that_contains_the_power_law_is_no_rival_to_it() -> None:
    assert "power" in REGISTRY["shifted_power"].contains
    assert judged(ALONE | {"shifted_power": 0.5}).power_law == "supported"
    assert "power_floor" not in REGISTRY["shifted_power"].contains
    only_floor = REFUSED | {"power_floor": 0.5, "shifted_power": 0.5}
    assert judged(only_floor).power_law == "not_distinguishable"


def test_support_says_how_many_forms_are_refused() -> None:
    first, second = judged(ALONE | {"power": 0.4}, fit_p=0.3).reasons
    assert first == "power is not refused (p = 0.4) and fits (goodness of fit: p = 0.3)"
    assert second == "all 4 forms that do not contain it are refused"


def test_support_says_where_replicates_leave_it_open() -> None:
    first, _ = judged(ALONE | {"power": 0.052}, fit_p=0.3, replicates=12_800).reasons
    assert "(p = 0.052, which 12,800 such curves do not tell from the level of 5%)" in first
    near = judged(ALONE | {"power": 0.4, "exponential": 0.048}, fit_p=0.3, replicates=12_800).reasons[1]
    assert near.endswith("are refused, though for exponential p is not told from the level")
    rival = judged(ALONE | {"power": 0.052, "exponential": 0.2}, fit_p=0.3, replicates=12_800).reasons[0]
    assert "do not tell from the level of 5%), but neither are: exponential" in rival


def test_rivals_are_named_up_to_four() -> None:
    rivals = ("exponential", "hyperbolic", "logarithmic", "stretched_exponential", "log_logistic_step")
    four = judged(ALONE | dict.fromkeys(rivals[:4], 0.2)).reasons[0]
    assert four.endswith("neither are: exponential, hyperbolic, logarithmic, stretched exponential")
    five = judged(ALONE | dict.fromkeys(rivals, 0.2)).reasons[0]
    assert five.endswith("neither are: exponential, hyperbolic, logarithmic, stretched exponential and others")


def test_rivals_and_bad_fit_are_two_reasons() -> None:
    result = judged(ALONE | {"exponential": 0.2}, fit_p=0.01)
    assert result.power_law == "not_distinguishable"
    assert ["neither are" in text or "structure" in text for text in result.reasons] == [True, True]


def test_of_two_power_laws_the_simpler_speaks_unless_it_is_refused() -> None:
    p_values = REFUSED | {"power": 0.2, "power_floor": 0.3}
    for logliks in ({"power": 100.0, "power_floor": 90.0}, {"power": 90.0, "power_floor": 100.0}):
        assert judged(p_values, logliks=logliks).reasons[0].startswith("power is not")
    assert judged(p_values | {"power": 0.02}).reasons[0].startswith("power + floor is not")


def test_a_refusal_says_how_sure_it_is() -> None:
    """The smallest p-value of B replicates is 1/(B + 1): nothing below it can be told."""
    against = REFUSED | {"exponential": 0.5, "power": 0.02}
    logliks = {"exponential": 120.0, "power": 100.0, "power_floor": 90.0}
    reason = judged(against, replicates=999, logliks=logliks).reasons[0]
    assert reason.startswith("exponential is better than power by ΔAICc = 40.0; ")
    assert reason.endswith("on curves made around power a rival wins by as much with p = 0.02")
    assert judged(against | {"power": 1 / 200}, logliks=logliks).reasons[0].endswith("p ≤ 0.005")
    assert judged(against | {"power": 2 / 200}, logliks=logliks).reasons[0].endswith("p = 0.01")
    near = judged(against | {"power": 0.048}, replicates=12_800, logliks=logliks).reasons[0]
    assert near.endswith("p = 0.048, which 12,800 such curves do not tell from the level of 5%")
    far = judged(against, replicates=0, logliks=logliks).reasons[0]
    assert far == "exponential is better than power by ΔAICc = 40.0; that is several times more than chance can do"


def test_a_refusal_adds_what_the_parameters_of_the_best_form_say_where_they_say_something() -> None:
    assert len(judged(REFUSED | {"exponential": 0.5}).reasons) == 1
    result = judged(REFUSED | {"log_logistic_step": 0.5})
    assert len(result.reasons) == 2
    assert result.reasons[1] == REGISTRY["log_logistic_step"].remark.format(**made("log_logistic_step", 0.0).params)


def test_a_power_law_that_could_not_be_fitted_is_not_judged() -> None:
    fits = {"power": made("power", 100.0, status="failed"), "constant": made("constant", 0.0)}
    tests = {"constant": FormTest(0.01, 0.5, 199)}
    result = judge_power_law(fits, rank(list(fits.values())), REGISTRY, tests)
    assert (result.power_law, result.reasons) == ("not_identified", ("no power law could be fitted to these data",))


def test_a_ranking_without_a_best_form_identifies_nothing() -> None:
    fits = {"power": made("power", 100.0)}
    nothing = Ranking({"power": np.inf}, None, (), 200.0)
    assert judge_power_law(fits, nothing, REGISTRY, {}).power_law == "not_identified"


def test_the_better_power_law_is_that_of_the_lower_aicc_among_those_fitted() -> None:
    fits = {"power": made("power", 90.0), "power_floor": made("power_floor", 100.0), "constant": made("constant", 1e3)}
    assert set(POWER_LAWS) == {"power", "power_floor"}
    assert better_power_law(fits, rank(list(fits.values()))) == "power_floor"
    fits["power_floor"] = made("power_floor", 100.0, status="failed")
    assert better_power_law(fits, rank(list(fits.values()))) == "power"
    del fits["power"]
    assert better_power_law(fits, rank(list(fits.values()))) is None


def test_the_confidence_set_stands_in_the_order_of_the_ranking() -> None:
    fits = [made("power", 90.0), made("exponential", 100.0), made("hyperbolic", 95.0), made("constant", 99.0)]
    p_values = {"power": 0.5, "exponential": 0.051, "hyperbolic": 0.2, "constant": 0.05}
    tests = {name: FormTest(p, 0.5, 199) for name, p in p_values.items()}
    assert confidence_set(rank(fits), tests) == ("exponential", "hyperbolic", "power")


@pytest.mark.parametrize(("word", "text"), [("not_supported", "not supported"), ("supported", "supported")])
def test_a_verdict_reads_as_words(word: str, text: str) -> None:
    assert str(Verdict(word)) == text


def test_ten_units_of_aicc_put_a_form_out_of_the_race() -> None:
    """Burnham & Anderson 2002, §2.6: essentially no support above 10."""
    assert SERIOUS == 10.0

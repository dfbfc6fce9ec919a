"""Verdict, form and sentences never contradict each other, whatever the tests of the forms say."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import cogfit
from cogfit.engine.estimate import Estimate
from cogfit.formulas.registry import CONSTANT, POWER_LAWS, forms
from cogfit.inference.form_tests import FormTest
from cogfit.inference.interval import Interval
from cogfit.inference.ranking import Ranking, rank
from cogfit.inference.verdict import confidence_set, judge_power_law, reported_form
from cogfit.inference.windows import Window
from cogfit.result import FitResult

REGISTRY = forms()
NAMES = ("constant", "power", "power_floor", "shifted_power", "exponential", "broken_power")
ORDERS = (NAMES, NAMES[::-1], ("exponential", "power", "broken_power", "power_floor", "constant", "shifted_power"))
_LIMITS = Interval(0.1, 0.9, 0.95, "profile likelihood", "this curve")
APART = (Window(1.0, 9.0, 9, 0.9, 0.8, 1.0), Window(9.0, 40.0, 31, 0.1, 0.05, 0.15))
ALIKE = (Window(1.0, 9.0, 9, 0.5, 0.4, 0.6), Window(9.0, 40.0, 31, 0.51, 0.4, 0.6))


@cache
def _fitted() -> FitResult:
    x = np.arange(1.0, 41.0)
    return cogfit.fit(x, 0.9 * x**-0.5 + 0.05 + np.random.default_rng(0).normal(0, 0.01, 40), noise="gaussian")


def _made(order: tuple[str, ...], gamma: str) -> dict[str, Estimate]:
    """Estimates whose likelihoods follow an order, with a γ of some kind."""
    fits = {}
    for place, name in enumerate(order):
        fit = replace(_fitted()[name].estimate, loglik=100.0 - 3.0 * place)
        if "gamma" in fit.params and gamma == "rising":
            fit = replace(fit, params=fit.params | {"gamma": -0.3})
        elif "gamma" in fit.params and gamma in ("at_bound", "not_identified"):
            fit = replace(fit, **{"status": gamma, gamma: ("gamma",)})
        fits[name] = fit
    return fits


def _result(fits: Mapping[str, Estimate], tests: Mapping[str, FormTest], windows: tuple[Window, ...]) -> FitResult:
    ranking = rank(list(fits.values()))
    ruling = judge_power_law(fits, ranking, REGISTRY, tests)
    form = reported_form(ruling, fits, ranking, REGISTRY, tests)
    assert form is not None
    items = tuple(
        replace(
            _fitted()[name],
            estimate=fits[name],
            intervals=dict.fromkeys(fits[name].params, _LIMITS),
            test=tests[name],
            delta_aicc=ranking.delta[name],
            delta_bic=ranking.delta_bic[name],
        )
        for name in fits
    )
    inside = confidence_set(ranking, tests)
    return replace(_fitted(), form=form, forms=items, verdict=ruling, indistinguishable_forms=inside, windows=windows)


def _grid() -> Iterator[tuple[FitResult, Ranking]]:
    """All combinations of refused and not refused forms, goodness of fit, ranks, and kinds of γ."""
    for order, gamma in itertools.product(ORDERS, ("falls", "rising", "at_bound", "not_identified")):
        fits = _made(order, gamma)
        for p_values in itertools.product((0.01, 0.5), repeat=len(NAMES)):
            for passes in ("both", "power", "power_floor"):
                tests = {
                    name: FormTest(p, 0.5 if passes in ("both", name) else 0.01, 199)
                    for name, p in zip(NAMES, p_values, strict=True)
                }
                windows = APART if passes == "both" else ALIKE
                yield _result(fits, tests, windows), rank(list(fits.values()))


@pytest.fixture(scope="module")
def grid() -> list[tuple[FitResult, Ranking]]:
    return list(_grid())


def test_a_supported_power_law_is_reported_with_its_exponent(grid: list[tuple[FitResult, Ranking]]) -> None:
    seen = 0
    for result, _ in grid:
        if result.verdict.power_law == "supported":
            seen += 1
            assert result.form in POWER_LAWS
            assert result.form in result.indistinguishable_forms
            assert result.selected.test is not None
            assert result.selected.test.fit_p_value > 0.05
            assert result.gamma is not None
            assert result.gamma > 0.0
            assert "γ = " in result.headline()
            assert result.selected.title in result.verdict.reasons[0]
    assert seen > 20


def test_the_form_reported_is_the_simplest_not_refused(grid: list[tuple[FitResult, Ranking]]) -> None:
    for result, _ in grid:
        inside = result.indistinguishable_forms
        if not inside:
            assert "every form is refused" in result.choice
            continue
        assert result.form in inside
        if result.verdict.power_law != "supported":
            simpler = [n for n in inside if len(REGISTRY[n].parameters) < len(REGISTRY[result.form].parameters)]
            assert all(result[n].estimate.at_bound for n in simpler)  # passed over: at a bound, and beaten
        assert (result.choice == "the only form not refused") == (len(inside) == 1)


def test_no_form_at_a_bound_with_worse_criteria_is_reported(grid: list[tuple[FitResult, Ranking]]) -> None:
    for result, ranking in grid:
        if result.selected.estimate.at_bound and result.verdict.power_law != "supported":
            for name in result.indistinguishable_forms or ranking.indistinguishable:
                is_better = ranking.delta[name] < ranking.delta[result.form]
                assert not (is_better and ranking.delta_bic[name] < ranking.delta_bic[result.form])


def test_no_sentence_contradicts_another(grid: list[tuple[FitResult, Ranking]]) -> None:
    titles = {REGISTRY[name].title: name for name in NAMES}
    for result, _ in grid:
        inside, text = result.indistinguishable_forms, " | ".join(result.findings)
        # a form is not compared with itself, and what is called not refused is not
        for better, worse in re.findall(r"(?:^|\| )([^|;]+?) is better than ([^|;]+?) by", text):
            assert better != worse
        for title in re.findall(r"(?:^|\| )([^|;]+?) is not refused \(p", text):
            assert titles.get(title, CONSTANT) in inside
        # one exponent is denied only where no power law is left
        if "no single exponent" in text:
            assert not set(POWER_LAWS) & set(inside)
            assert result.verdict.power_law != "supported"
        if result.verdict.power_law == "supported":
            assert "no γ" not in result.headline()


def test_what_is_no_measurement_is_not_printed_as_one(grid: list[tuple[FitResult, Ranking]]) -> None:
    for result, _ in grid:
        if result.gamma is not None and not result.selected.standing().is_measured:
            assert "γ = " not in result.headline()
            assert result.selected.standing().reason in result.headline()


def test_the_best_form_may_be_refused_without_being_compared_with_itself() -> None:
    """A power law with the lowest AICc of which the test says that a rival gains too much."""
    fits = _made(("power", "exponential", "constant", "power_floor", "shifted_power", "broken_power"), "falls")
    tests = {name: FormTest(0.01, 0.5, 199) for name in NAMES}
    (reason, *_) = _result(fits, tests, ()).verdict.reasons
    assert reason.startswith("power has the lowest AICc, but a rival follows the curve better")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({}, "measured"),
        ({"caveat": "only 6 runs"}, "unreliable"),
        ({"low": -math.inf, "high": math.inf}, "misses"),
    ],
)
def test_a_number_says_what_it_is_worth_wherever_it_stands(change: dict[str, object], kind: str) -> None:
    """Headline, tables, groups, legend and page."""
    from cogfit.show import page, plots, tables

    base = _fitted()
    item = base["power"]
    limits = replace(Interval(0.4, 0.6, 0.95, "profile likelihood", "this curve"), **change)  # type: ignore[arg-type]
    item = replace(item, intervals={"gamma": limits}, test=FormTest(0.01, 0.01, 199))
    others = tuple(replace(other, intervals={}) for other in base.forms if other.name != "power")
    result = replace(base, form="power", forms=(item, *others))
    assert item.standing().kind == kind
    row = next(row for row in tables.forms_table(result).rows if row.is_chosen)
    groups = tables.groups_table([({"run": "a"}, result)])
    shown = [
        result.headline(),
        " ".join([*row.cells, *tables.forms_table(result).notes]),
        " ".join([*groups.rows[0].cells, *groups.notes]),
        plots.form_label(item),
        page.page(result),
    ]
    words = {"measured": f"{item.gamma:.3g}", "unreliable": "unreliable", "misses": "misses the curve"}
    assert all(words[kind] in text for text in shown)
    assert not any(words[other] in text for text in shown[:4] for other in {"unreliable", "misses"} - {kind})


@pytest.mark.parametrize("n", [2, 3])
def test_where_nothing_can_be_ranked_no_number_stands(n: int) -> None:
    x = np.arange(1.0, n + 1.0)
    fit = cogfit.fit(x, 0.9 * x**-0.5 + 0.01 * np.array([1.0, -1.0, 1.0][:n]))
    assert str(fit.verdict) == "not identified"
    assert "γ = " not in fit.headline()
    assert all(not item.standing(name).is_measured for item in fit.forms for name in item.estimate.params)
    assert fit.interval is None or fit.interval == (-math.inf, math.inf)

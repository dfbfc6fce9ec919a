"""The bootstrap test of forms: its replicates suffice, and its errors are the data's."""

from __future__ import annotations

import math

import numpy as np
import pytest

import cogfit
from cogfit.curves.arrays import array_curve
from cogfit.curves.curve import Curve
from cogfit.engine import estimate
from cogfit.formulas.registry import candidate_forms, get_form
from cogfit.inference.form_tests import REFUTED, compare_forms, errors_about
from cogfit.inference.verdict import Verdict, withhold

X = np.arange(1.0, 121.0)
NAMES = ("power", "power_floor", "exponential", "exponential_floor", "stretched_exponential")


def judged(y: np.ndarray, seed: int) -> dict[str, tuple[float, float, int]]:
    curve = array_curve(X, y)
    registry = {name: get_form(name) for name in NAMES}
    fits = {name: estimate.estimate(form, X, y, curve.weights) for name, form in registry.items()}
    tests = compare_forms(curve, fits, registry, np.random.default_rng(seed), replicates=99)
    return {name: (test.p_value, test.fit_p_value, test.replicates) for name, test in tests.items()}


@pytest.mark.parametrize("seed", range(4))
def test_replicates_are_added_until_the_p_value_is_clear_of_the_level(seed: int) -> None:
    y = X**-0.4 + 0.06 * np.random.default_rng(seed).normal(size=X.size)
    for p, _, count in judged(y, seed).values():
        if 0 < count < 3_000:
            hits = p * (count + 1.0) - 1.0
            assert abs(hits - REFUTED * count) > 2.5 * math.sqrt(REFUTED * (1 - REFUTED) * count)
        assert count == 0 or count >= 99


def test_the_same_forms_are_refused_whatever_the_random_numbers() -> None:
    for curve_seed in (10, 11):
        y = 0.8 * np.exp(-((X / 30.0) ** 0.7)) + 0.03 * np.random.default_rng(curve_seed).normal(size=X.size)
        refused = {tuple(p <= REFUTED for p, _, _ in judged(y, seed).values()) for seed in range(3)}
        assert len(refused) == 1


def switches(seed: int) -> Curve:
    """Patterns that switch one by one at exponential times, a fifth never: a mean over 100 clusters."""
    k = np.unique(np.geomspace(1, 3000, 90).round())
    at = np.where(np.arange(100) < 79, np.random.default_rng(seed).exponential(900.0, 100), np.inf)
    y = (k < at[:, None]).astype(float)
    return array_curve(np.tile(k, 100), y.ravel(), groups=np.repeat(np.arange(100), k.size), axis="exposure")


@pytest.mark.long
def test_p_values_of_two_seeds_differ_by_chance_only() -> None:
    """All forms are refitted to all replicates: what a few of them do must not decide on the others."""
    curve = switches(0)
    registry = {form.name: form for form in candidate_forms("exposure", "probability")}
    fits = {name: estimate.estimate(form, curve.x, curve.y, curve.weights) for name, form in registry.items()}
    runs = [compare_forms(curve, fits, registry, np.random.default_rng(seed), replicates=99) for seed in range(3)]
    for name in registry:
        p, count = np.array([[run[name].p_value, run[name].replicates] for run in runs]).T
        share = np.clip(p.mean(), 0.01, 0.99)
        assert np.ptp(p) <= 4.5 * math.sqrt(share * (1.0 - share) / max(count.min(), 99)), name


def test_no_verdict_hangs_on_the_random_numbers() -> None:
    x = X[:24]
    y = 0.8 * np.exp(-x / 9.0) + 0.05 * np.random.default_rng(3).normal(size=x.size)
    fits = [cogfit.fit(x, y, rng=seed) for seed in range(2)]
    assert [(item.name, item.test) for item in fits[0].forms] == [(item.name, item.test) for item in fits[1].forms]
    assert fits[0].verdict == fits[1].verdict


def test_a_few_loud_points_do_not_decide() -> None:
    """SD ∝ 1/x: without weights the first points would be all that is looked at."""
    rng, refused = np.random.default_rng(1), 0
    for _ in range(5):
        y = X**-0.43 + 0.15 * rng.normal(size=X.size) / X
        curve = array_curve(X, y)
        form = get_form("power")
        _, scale = errors_about(curve, form, estimate.estimate(form, X, y, curve.weights))
        assert scale[:3].mean() > 8.0 * scale[-60:].mean()
        refused += judged(y, 0)["power"][0] <= REFUTED
    assert refused <= 1


def test_an_exact_curve_gets_no_weights() -> None:
    curve, form = array_curve(X, 0.9 * X**-0.43), get_form("power")
    _, scale = errors_about(curve, form, estimate.estimate(form, X, curve.y, curve.weights))
    assert np.ptp(scale) == 0.0


@pytest.mark.parametrize("word", ["supported", "not_supported"])
def test_a_verdict_on_the_form_of_a_smoothed_curve_is_withheld(word: str) -> None:
    result = withhold(Verdict(word, ("because",)))
    assert result.power_law == "not_distinguishable"
    assert "smoothed" in result.reasons[0]


@pytest.mark.parametrize("word", ["not_identified", "not_distinguishable", "not_compared"])
def test_other_verdicts_stand(word: str) -> None:
    assert withhold(Verdict(word, ("because",))) == Verdict(word, ("because",))


def test_a_declared_unknown_filter_withholds_the_verdict() -> None:
    y = X**-0.43 + 0.002 * np.random.default_rng(2).normal(size=X.size)
    assert cogfit.fit(X, y).verdict.power_law == "supported"
    assert cogfit.fit(X, y, smoothing="unknown").verdict.power_law == "not_distinguishable"

"""T0: the formula is the optimum of the linear program, and Chow's rule attains it."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import theory
from cogfit.errors import InputError
from theory.bounds import t0_chow

SEEDS = st.integers(0, 10**6)
RATES = st.fractions(0, 1, max_denominator=40)


@given(SEEDS, st.integers(1, 6), st.integers(2, 4), RATES)
def test_the_formula_is_certified_by_its_dual_for_any_law(seed: int, size: int, values: int, delta: Fraction) -> None:
    law = t0_chow.random_law(random.Random(seed), size, values)
    document = t0_chow.certificate(law, delta)
    check = theory.verify(document)
    assert check.ok, check.detail
    assert check.facts["dual value"] == t0_chow.least_attention(law.weights, law.best_guess, delta)


@pytest.mark.parametrize("seed", range(12))
def test_highs_finds_the_same_optimum(seed: int) -> None:
    rng = random.Random(seed)
    law, delta = t0_chow.random_law(rng, rng.randint(1, 10), rng.randint(2, 5)), Fraction(rng.randint(0, 20), 40)
    found = t0_chow.program(law, delta).optimum().value
    assert found == pytest.approx(float(t0_chow.least_attention(law.weights, law.best_guess, delta)), abs=1e-9)


@given(SEEDS, RATES, RATES)
def test_the_curve_falls_and_is_convex(seed: int, one: Fraction, other: Fraction) -> None:
    law = t0_chow.random_law(random.Random(seed), 4, 3)
    a, b, middle = (t0_chow.least_attention(law.weights, law.best_guess, d) for d in (one, other, (one + other) / 2))
    assert 2 * middle <= a + b
    assert (a >= b) if one <= other else (a <= b)


@given(SEEDS, RATES)
def test_any_other_rule_attends_more(seed: int, delta: Fraction) -> None:
    """Random rules at their own error rate lie above the curve."""
    rng = random.Random(seed)
    law = t0_chow.random_law(rng, 4, 3)
    attend = [Fraction(rng.randint(0, 8), 8) for _ in law.weights]
    guesses = [rng.randrange(3) for _ in law.weights]
    alpha = sum(w * a for w, a in zip(law.weights, attend, strict=True))
    rows = zip(law.weights, attend, law.posteriors, guesses, strict=True)
    error = sum(w * (1 - a) * (1 - p[y]) for w, a, p, y in rows)
    assert alpha >= t0_chow.least_attention(law.weights, law.best_guess, error)


def test_a_broken_certificate_is_found() -> None:
    law = t0_chow.random_law(random.Random(3), 4, 3)
    document = t0_chow.certificate(law, Fraction(1, 10))
    assert theory.verify(document).ok
    assert not theory.verify({**document, "value": f"{document['value']} - 1/1000"}).ok


def test_negative_error_rates_are_refused() -> None:
    with pytest.raises(InputError, match="error rate"):
        t0_chow.least_attention([1.0], [0.5], -0.1)


def test_check() -> None:
    verdict = theory.check_theorem("T0")
    assert verdict.status == "proved"
    assert verdict.verify().ok
    for name, claimed in verdict.claimed.items():
        assert float(verdict.computed[name]) == pytest.approx(float(claimed), abs=1e-9)

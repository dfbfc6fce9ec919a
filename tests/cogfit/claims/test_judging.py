"""The four answers: each by its rule, whatever the numbers, and never two of them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cogfit
from cogfit.claims.digest import digest_of_files, digest_of_points
from cogfit.claims.judging import difference_from
from cogfit.claims.statement import parse_claim
from cogfit.errors import InputError
from cogfit.inference.interval import Interval
from cogfit.people.exponent import Exponent, difference
from cogfit.result import FitResult


def noisy(form: str, params: dict[str, float], n: int = 300, sd: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(1.0, n + 1.0)
    y = cogfit.forms()[form].evaluate(x, params)
    return x, y * np.exp(sd * np.random.default_rng(5).standard_normal(n))


@pytest.fixture(scope="module")
def power() -> FitResult:
    fit = cogfit.fit(*noisy("power", {"A": 0.9, "gamma": 0.43}))
    assert fit.verdict.power_law == "supported"
    return fit


@pytest.fixture(scope="module")
def exponential() -> FitResult:
    fit = cogfit.fit(*noisy("exponential_floor", {"A": 0.8, "r": 0.02, "c": 0.1}))
    assert fit.verdict.power_law == "not_supported"
    return fit


# ------------------------------------------------------------------------------------------------------- difference


@given(gamma=st.floats(0.1, 2.0), half=st.floats(0.001, 1.0), claimed=st.floats(0.1, 2.0), error=st.floats(0.001, 1.0))
def test_the_difference_is_that_of_the_comparison_with_people(
    gamma: float, half: float, claimed: float, error: float
) -> None:
    claim = parse_claim(f"gamma={claimed:f}±{error:f}", plus_minus="ci")
    found = difference_from(claim, gamma, Interval(gamma - half, gamma + 2 * half, 0.95, "", ""))
    model = Exponent("log", "model", gamma, gamma - half, gamma + 2 * half)
    stated = Exponent("claim", "claimed", claim.low, claim.low - claim.below, claim.high + claim.above)
    assert (found.estimate, found.low, found.high) == pytest.approx(difference(model, stated), abs=1e-9)


def test_the_error_of_the_claim_is_brought_to_the_level_of_the_log() -> None:
    """Of two independent normal estimates: the difference has the sum of their variances."""
    z = 2.5758293035489004  # 99 %
    claim = parse_claim("gamma=0.5±0.03")
    found = difference_from(claim, 0.5, Interval(0.5 - z * 0.04, 0.5 + z * 0.04, 0.99, "", ""))
    assert (found.low, found.high) == pytest.approx((-z * 0.05, z * 0.05))


@given(low=st.floats(0.0, 1.0), width=st.floats(0.01, 1.0), gamma=st.floats(-1.0, 2.0), half=st.floats(0.001, 0.5))
def test_a_range_is_contradicted_if_no_value_of_it_is_in_the_interval(
    low: float, width: float, gamma: float, half: float
) -> None:
    claim = parse_claim(f"gamma in {low:f} to {low + width:f}")
    found = difference_from(claim, gamma, Interval(gamma - half, gamma + half, 0.95, "", ""))
    # where the ends touch, rounding decides
    if abs(gamma - half - claim.high) > 1e-9 and abs(gamma + half - claim.low) > 1e-9:
        assert found.excludes_zero == (gamma - half > claim.high or gamma + half < claim.low)


# ---------------------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("claim", "answer"),
    [
        ("gamma=0.43±0.04", "supported"),
        ("gamma in 0.4-0.5", "supported"),
        ("gamma>0.4", "supported"),
        ("gamma=0.43±0.0001", "compatible"),
        ("gamma=0.6±0.02", "contradicted"),
        ("gamma=0.3±0.02", "contradicted"),
        ("gamma in 0.5-0.6", "contradicted"),
        ("gamma<0.4", "contradicted"),
        ("c=0.1±0.01", "contradicted"),  # of the power law with a floor, which is not refused either
        ("A=0.9±0.05", "supported"),
    ],
)
def test_a_power_law_is_held_against_claims(power: FitResult, claim: str, answer: str) -> None:
    check = cogfit.check_claim(claim, power)
    assert check.answer == answer
    assert bool(check.advice) == (answer == "compatible")
    assert check.reasons


@pytest.mark.parametrize("claim", ["gamma=0.43±0.04", "gamma in 0-10", "A=0.9±10", "c=0.1±0.1"])
def test_what_is_refused_has_no_parameter_to_claim(exponential: FitResult, claim: str) -> None:
    check = cogfit.check_claim(claim, exponential)
    assert check.answer == "contradicted"
    assert (check.estimate, check.interval, check.difference) == (None, None, None)


def test_a_claim_about_another_form_is_held_against_that_form(exponential: FitResult, power: FitResult) -> None:
    assert cogfit.check_claim("r=0.02±0.005", exponential, form="exponential_floor").answer in (
        "supported",
        "compatible",
    )
    assert cogfit.check_claim("r=0.5±0.01", exponential, form="exponential_floor").answer == "contradicted"
    refused = cogfit.check_claim("r=0.02±0.005", power, form="exponential")
    assert refused.answer == "contradicted"
    assert "is refused" in refused.reasons[0]
    with pytest.raises(InputError, match="was fitted to this log"):
        cogfit.check_claim("width=1±0.5", power, form="smooth_break")


def test_the_verdict_decides_and_not_the_interval_alone(power: FitResult) -> None:
    """Without a verdict for the law nothing is supported, whatever its interval; what lies apart still is apart."""
    near, far = "gamma=0.43±0.04", "gamma=0.8±0.04"
    undecided = replace(power, verdict=cogfit.Verdict("not_distinguishable", ("others are not refused",)))
    assert cogfit.check_claim(near, undecided).answer == "compatible"
    apart = cogfit.check_claim(far, undecided)
    assert apart.answer == "contradicted"
    assert "if it does" in " ".join(apart.reasons)
    unknown = replace(power, verdict=cogfit.Verdict("not_identified", ("a constant is not refused",)))
    for claim in (near, far):
        assert cogfit.check_claim(claim, unknown).answer == "untestable"


def test_an_interval_that_calls_itself_unreliable_decides_nothing(power: FitResult) -> None:
    items = tuple(
        replace(item, intervals={n: replace(i, caveat="10 clusters") for n, i in item.intervals.items()})
        for item in power.forms
    )
    check = cogfit.check_claim("gamma=0.8±0.04", replace(power, forms=items))
    assert check.answer == "untestable"
    assert "10 clusters" in check.reasons[0]


def test_a_wider_margin_never_takes_support_away(power: FitResult) -> None:
    answers = [cogfit.check_claim("gamma=0.43", power, margin=margin).answer for margin in np.linspace(0.0, 0.2, 9)]
    assert answers == sorted(answers)  # compatible, then supported
    assert answers[0] == "compatible"
    assert answers[-1] == "supported"


def test_a_constant_curve_tests_nothing_and_a_single_form_is_no_test() -> None:
    x = np.arange(1.0, 41.0)
    assert cogfit.check_claim("gamma=0.43±0.04", x, np.full(40, 0.5)).answer == "untestable"
    with pytest.raises(InputError, match="one form only"):
        cogfit.check_claim("gamma=0.43±0.04", cogfit.fit(x, x**-0.5, form="power"))


def test_data_as_precise_as_the_advice_says_are_narrow_enough(power: FitResult) -> None:
    """The factor is that of a normal mean: at (half / wanted)² times as much data 80 % of the intervals lie inside."""
    check = cogfit.check_claim("gamma=0.43±0.001", power)
    (advice,) = (text for text in check.advice if "narrow enough" in text)
    limits = check.interval
    assert limits is not None
    sd = (limits.high - limits.low) / 2 / 1.959963984540054 / math.sqrt(advice.numbers["factor"])  # type: ignore[attr-defined]
    estimates = 0.43 + sd * np.random.default_rng(1).standard_normal(20_000)
    inside = np.abs(estimates - 0.43) + 1.959963984540054 * sd < 0.001
    assert inside.mean() == pytest.approx(0.8, abs=0.02)


# ----------------------------------------------------------------------------------------------------------- record


def test_the_document_holds_the_fit_and_the_record_comes_back(power: FitResult) -> None:
    check = cogfit.check_claim("gamma<0.5", power)
    document = check.to_json()
    assert document["schema"] == "cogfit.claim/1"
    assert document["claim"]["low"] is None
    assert cogfit.ClaimCheck.from_json(document) == check
    assert FitResult.from_json(document["fit"]) == power


def test_digests_are_those_of_sha256sum_and_change_with_one_byte(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("step,y\n1,2\n")
    one, folder = digest_of_files(file), digest_of_files(tmp_path)
    assert one is not None
    assert folder is not None
    assert one.sha256 == "b7a6441c421c5a7923e7683a2847e819cc84cf449a07de4dd5d27c562798fce9"
    assert folder.sha256 == hashlib.sha256(f"{one.sha256}  ./log.csv\n".encode()).hexdigest()
    file.write_text("step,y\n1,3\n")
    assert digest_of_files(file) != one
    assert digest_of_files(tmp_path) != folder
    assert digest_of_files(tmp_path / "absent") is None
    x = np.arange(3.0)
    assert digest_of_points(x, x) != digest_of_points(x, x + 1e-12)

"""Ranking and verdict on made-up likelihoods, where the right answer is known by construction."""

from __future__ import annotations

import math

import numpy as np
import pytest

import cogfit
from cogfit import curves, selection
from cogfit.estimate import Estimate

REGISTRY = curves.forms()


def made(
    form: str, loglik: float, n: int = 200, noise: str = "gaussian", status: str = "ok", **loose: object
) -> Estimate:
    names = REGISTRY[form].names
    p = len(names)
    return Estimate(
        form, noise, dict.fromkeys(names, 0.5), dict.fromkeys(names, 0.1), np.eye(p), 1.0, loglik, n, p + 1,
        status, "", (), tuple(loose.get("not_identified", ())),  # type: ignore[arg-type]
    )  # fmt: skip


def ruled(logliks: dict[str, float], tau: float = 1.0) -> selection.Verdict:
    fits = {name: made(name, value) for name, value in logliks.items()}
    return selection.verdict(fits, selection.rank(list(fits.values()), tau), REGISTRY)


def test_score_is_aicc_with_autocorrelation_allowed_for() -> None:
    fit = made("power", 300.0, n=200)
    assert selection.score(fit) == pytest.approx(fit.aicc)
    n, k, tau = 200, 3, 4.0
    expected = -2 * 300.0 / tau + 2 * k + 2 * k * (k + 1) / (n / tau - k - 1)
    assert selection.score(fit, tau) == pytest.approx(expected)
    assert selection.score(fit, 60.0) == math.inf  # fewer effective points than parameters
    k = 4  # ρ is a parameter, too
    expected = -2 * 320.0 + 2 * k + 2 * k * (k + 1) / (n - k - 1)
    assert selection.score(fit, tau, gain=20.0) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("logliks", "expected"),
    [
        ({"constant": 0, "power": 100, "power_floor": 100, "exponential": 80}, "supported"),
        ({"constant": 0, "power": 80, "power_floor": 100, "exponential": 80}, "supported"),
        (
            {"constant": 0, "power": 100, "power_floor": 100, "shifted_power": 101},
            "supported",
        ),  # contains the power law
        ({"constant": 0, "power": 100, "power_floor": 100, "exponential": 100}, "not_distinguishable"),
        ({"constant": 0, "power": 96, "power_floor": 97, "exponential": 100}, "not_distinguishable"),
        ({"constant": 0, "power": 80, "power_floor": 81, "exponential": 100}, "not_supported"),
        ({"constant": 0, "power": 80, "power_floor": 80, "broken_power": 100}, "not_supported"),
        ({"constant": 100, "power": 100.5, "power_floor": 100.5, "exponential": 100.5}, "not_identified"),
        ({"constant": 0, "exponential": 100}, "not_identified"),
    ],
)
def test_verdict(logliks: dict[str, float], expected: str) -> None:
    assert ruled(logliks).power_law == expected


def test_autocorrelation_can_take_a_decision_back() -> None:
    logliks = {"constant": 0.0, "power": 80.0, "power_floor": 80.0, "exponential": 100.0}
    assert ruled(logliks).power_law == "not_supported"
    assert ruled(logliks, tau=10.0).power_law == "not_distinguishable"


def test_a_probability_is_never_compared_with_a_density() -> None:
    with pytest.raises(cogfit.InputError, match="cannot be compared with a density"):
        selection.rank([made("power", 1.0), made("exponential", 1.0, noise="binomial")], 1.0)


def test_an_undetermined_exponent_is_no_support() -> None:
    fits = {
        "power": made("power", 100.0, status="not_identified", not_identified=("gamma",)),
        "constant": made("constant", 0.0),
    }
    ruling = selection.verdict(fits, selection.rank(list(fits.values()), 1.0), REGISTRY)
    assert ruling.power_law == "not_identified"

"""Figures of the theorems: the plotted numbers are the formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

import theory
from paper_figures import FIGURES, theorems
from paper_figures.style import decade


def lines(theorem: str, curve: str) -> np.ndarray:
    table = theorems.draw(theorems.PICTURES[theorem]).data
    part = table[(table["kind"] == "bound") & (table["curve"] == curve)]
    return part[["x", "value"]].to_numpy(dtype=float)


def test_every_theorem_has_a_figure() -> None:
    assert [item.title.split(":")[0] for item in FIGURES if item.title.startswith("Theorem")] == [
        f"Theorem {name}" for name in theorems.PICTURES
    ]
    assert list(theorems.PICTURES) == [theorem.id for theorem in theory.theorems()]


def test_t1_is_drawn_as_a_straight_line_to_the_guessing_rate() -> None:
    x, y = lines("T1", "V = 4").T
    np.testing.assert_allclose(y, np.maximum(0.0, 1.0 - 4.0 / 3.0 * x), atol=1e-12)


def test_t3_is_drawn_as_the_expected_number_of_patterns_seen() -> None:
    n, y = lines("T3", "uniform, K = 30").T
    np.testing.assert_allclose(y, 30.0 * (1.0 - (29.0 / 30.0) ** n), rtol=1e-12)


def test_t7_is_drawn_as_the_ratio_of_beta_functions() -> None:
    k, y = lines("T7", "η ~ Beta(0.43, 1)").T
    want = [math.exp(math.lgamma(1 + i) + math.lgamma(1.43) - math.lgamma(1.43 + i)) for i in k]
    np.testing.assert_allclose(y, want, rtol=1e-9)


@pytest.mark.parametrize(("value", "text"), [(1e-4, "10⁻⁴"), (0.01, "0.01"), (1e3, "1,000"), (1e5, "10⁵"), (20.0, "")])
def test_ticks_of_logarithmic_axes(value: float, text: str) -> None:
    assert decade(value) == text

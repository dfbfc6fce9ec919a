"""The studies of claims and of following: pages say what their tables hold."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import claims  # noqa: E402
import following  # noqa: E402
from grid import recorded  # noqa: E402


def test_the_page_is_made_from_the_table() -> None:
    text = claims.PAGE.read_text(encoding="utf-8")
    assert text == claims.page(text, recorded(claims.STUDY.name)), "run: python benchmarks/claims.py --page"
    assert len(recorded(claims.STUDY.name)) == len(claims.CELLS)


def test_answers_of_a_claim_add_up() -> None:
    for row in recorded(claims.STUDY.name):
        for name in claims.claims_of(np.random.default_rng(0)):
            assert abs(sum(float(row[f"{name}_{answer}"]) for answer in claims.ANSWERS) - 1.0) < 1e-5


def test_a_power_law_without_errors_is_recovered() -> None:
    x, y = claims.draw({"truth": "power", "n": 50, "sd": 0.0}, np.random.default_rng(0))
    np.testing.assert_allclose(-np.polyfit(np.log(x), np.log(y), 1)[0], claims.GAMMA)


def test_the_paragraph_on_following_is_made_from_the_table() -> None:
    text = following.PAGE.read_text(encoding="utf-8")
    rows = recorded(following.STUDY.name)
    assert text == following.page(text, rows), "run: python benchmarks/following.py --page"
    assert [row["truth"] for row in rows] == [cell["truth"] for cell in following.CELLS]

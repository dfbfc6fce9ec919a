"""The README is short, and what it shows is what the commands print."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MOST_WORDS = 900


def run(folder: Path, *command: str) -> str:
    code = "import sys; from cogfit.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=folder, capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout


def shown(text: str) -> str:
    """The words of a text, wherever its lines end."""
    return " ".join(text.split())


def test_it_is_read_in_a_few_minutes() -> None:
    assert len(README.split()) <= MOST_WORDS


def test_the_first_answer_is_the_one_that_is_shown(tmp_path: Path) -> None:
    run(tmp_path, "simulate", "truth.csv", "--param", "gamma=0.43")
    headline, *rest = run(tmp_path, "fit", "truth.csv").splitlines()
    assert shown(headline) in shown(README)
    assert shown(rest[0]) in shown(README)


@pytest.mark.slow
def test_the_recorded_run_is_answered_as_shown() -> None:
    headline = run(ROOT, "fit", "data/runs/srcd-n256-consolidates", "--quiet")
    assert shown(headline) in shown(README)

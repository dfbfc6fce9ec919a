"""The runner of the simulation studies: a study goes on where it stopped and gives the same numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STUDY = """
import sys
sys.path.insert(0, {folder!r})
from grid import Study, main

CELLS = [{{"gamma": g, "name": n}} for g in (0.5, 1.0) for n in ("a", "b")]


def measure(cell, repeats, rng):
    print("measured", cell["gamma"], cell["name"])
    return {{"value": float(rng.random()), "share": 1.0}}


if __name__ == "__main__":
    main(Study("tiny", "A tiny study.", CELLS, measure, 10))
"""


def run(script: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(script), "--workers", "1", *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return done.stdout


@pytest.mark.slow
def test_a_study_resumes_splits_and_repeats_itself(tmp_path: Path) -> None:
    script = tmp_path / "tiny.py"
    script.write_text(STUDY.format(folder=str(ROOT / "benchmarks")))
    whole, parts = tmp_path / "whole.csv", tmp_path / "parts.csv"
    assert run(script, "--out", str(whole)).count("measured") == 4
    assert run(script, "--out", str(whole)) == ""  # all are there, at γ = 1.0, too
    assert run(script, "--out", str(parts), "--part", "2/2").count("measured") == 2
    assert run(script, "--out", str(parts)).count("measured") == 2
    assert parts.read_text() == whole.read_text()
    assert run(script, "--out", str(parts), "--repeats", "20").count("measured") == 4  # more repeats: measured anew

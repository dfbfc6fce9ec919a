"""Altered certificates: no false one verifies, and the study would notice one."""

from __future__ import annotations

import random
import sys
from fractions import Fraction
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import certificate_mutants  # noqa: E402
from certificate_readers import JUDGES, evaluate  # noqa: E402

import theory  # noqa: E402
from theory.proofs import expressions  # noqa: E402

SEED = 7


@pytest.mark.parametrize("kind", certificate_mutants.BASES)
def test_what_is_altered_was_so(kind: str) -> None:
    for base in certificate_mutants.BASES[kind]:
        assert theory.verify({"kind": kind, **base}).ok
        assert JUDGES[kind](base, random.Random(SEED))


def test_no_mutant_verifies_that_is_false() -> None:
    found = certificate_mutants.study(300, SEED)
    assert sum(counts.total() for counts in found.values()) >= 290
    assert sum(counts["accepted, not judged"] for counts in found.values()) == 0
    for outcome in ("accepted", "rejected", "refused"):
        assert sum(counts[outcome] for counts in found.values()) > 30


def test_a_verifier_that_reads_floats_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expressions, "read_numeral", lambda text: Fraction(float(text)))
    with pytest.raises(SystemExit, match="accepted though false"):
        certificate_mutants.study(4000, SEED)


@pytest.mark.parametrize(
    ("text", "value"),
    [("2 - 3 - 4", -5), ("-2**2", -4), ("2**-1", Fraction(1, 2)), ("2**3**2", 512), ("7 // 2 % 2", 1),
     ("1 if 1 < 2 < 3 else 0", 1), ("sum(k, 1, 3, k*x)", 12), ("(1, 2, 3)[2] + -x", 1), ("not 1 < 2 or 3 < 4", True)],
)  # fmt: skip
def test_the_other_reader_keeps_the_order_of_operations(text: str, value: object) -> None:
    assert evaluate(text, {"x": Fraction(2)}) == value == expressions.Expression(text)({"x": 2})

"""Scripts for solvers: a second solver agrees with the first wherever one is a certificate, and can contradict it."""

from __future__ import annotations

from typing import Any

import pytest

import theory
from theory.bounds import t5_static_routers, t8_static_price
from theory.proofs.verifiers import smt

SCRIPTS = [d for d in (*t5_static_routers._ALGEBRA, *t8_static_price._STEPS) if d["kind"] == "smt"]
SQUARE = {"kind": "smt", "script": "(declare-const x Int) (assert (= (* x x) 2))", "expect": "unsat", "seconds": 5}


@pytest.mark.parametrize("document", SCRIPTS, ids=[d["title"][:40] for d in SCRIPTS])
def test_a_second_solver_agrees(document: dict[str, Any]) -> None:
    """The scripts of the theorems; those of the claims are held by their page."""
    pytest.importorskip("cvc5")
    assert theory.verify(document).detail == "z3 finds the script unsat; cvc5 agrees"


@pytest.mark.parametrize(
    ("says", "holds", "detail"),
    [
        ("unsat", True, "second agrees"),
        ("sat", False, "the solvers disagree: z3 finds unsat, second sat"),
        ("unknown", True, "second cannot decide it"),
    ],
)
def test_a_second_solver_is_heard(monkeypatch: pytest.MonkeyPatch, says: str, holds: bool, detail: str) -> None:
    monkeypatch.setattr(smt, "SOLVERS", {"z3": smt.SOLVERS["z3"], "second": f"print({says!r})"})
    monkeypatch.setattr(smt, "_is_installed", lambda module: True)
    check = theory.verify(SQUARE)
    assert check.ok is holds
    assert detail in check.detail

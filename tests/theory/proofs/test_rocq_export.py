"""Certificates as files for the kernel: written as they stand, accepted if they hold, refused if they do not."""

from __future__ import annotations

import contextlib
import copy
import shutil

import pytest

from cogfit.errors import InputError
from theory.proofs.certificates import bundle, verify
from theory.proofs.rocq import record
from theory.proofs.rocq.export import KINDS, exported, parts

ROWS = [{"terms": [[0, "1"], [1, "1"]], "relation": ">=", "bound": "1"}]
PROGRAM = {
    "kind": "lp-dual",
    "objective": ["2", "3"],
    "rows": ROWS,
    "primal": ["1", "0"],
    "dual": ["2"],
    "value": "1 + 1",
}
WAIT = {"wait": {"cost": "0", "to": [["1/2", 0], ["1/2", 1]]}, "pay": {"cost": "1/3", "to": [["1", 1]]}}
REST = {"rest": {"cost": "1/2", "to": [["1", 1]]}}
PROCESS = {
    "kind": "value-function",
    "horizon": 2,
    "stages": [WAIT, REST],
    "values": [["1/4", "1"], ["0", "1/2"], ["0", "0"]],
    "policy": [["wait", "rest"], ["wait", "rest"]],
    "start": 0,
    "value": "1/4",
}
IDENTITY = {
    "kind": "identity",
    "definitions": {"y": "1 - x"},
    "left": "x**-2 - 0.5/y",
    "right": "(y - x**2/2)/(x**2*y)",
}
ROUTER = {
    "kind": "counterexample",
    "patterns": 2,
    "values": 2,
    "queries": [1, 2, 1, 2],
    "memory": {"known": "repeat(0, K + 1)"},
    "attend": "1 if known[z] == 0 and (z == 1 or coin == 0) else 0",
    "guess": "max(known[z], 1)",
    "update": {"known": "put(known, z, value) if value > 0 else known"},
    "coin": 2,
    "facts": ["attention == 3/2", "error == sum(k, 1, 2, 1/4)", "contents <= 9", "attention < distinct"],
}
HOLD = [PROGRAM, PROCESS, IDENTITY, ROUTER]


def changed(document, **fields):
    return copy.deepcopy(document) | fields


FALSE = [
    changed(PROGRAM, value="3"),
    changed(PROGRAM, dual=["3"], value="3"),
    changed(PROGRAM, primal=["0", "1"], value="3"),
    changed(PROGRAM, primal=["1/2", "0"]),
    changed(PROGRAM, dual=["-2"]),
    changed(PROCESS, value="1/3"),
    changed(PROCESS, values=[["1/3", "1"], ["0", "1/2"], ["0", "0"]], value="1/3"),
    changed(PROCESS, values=[["0", "1"], ["0", "1/2"], ["0", "0"]], value="0"),
    changed(IDENTITY, right="(y - x**2/2)/(x**2*y) + 1e-9"),
    changed(IDENTITY, left="x**-3 - 0.5/y"),
    changed(ROUTER, facts=["attention == 1"]),
    changed(ROUTER, facts=["attention == 3/2", "error == 0"]),
    changed(ROUTER, attend="3/2", facts=["attention > 1"]),
    changed(ROUTER, guess="known[7]", facts=["attention >= 0"]),
]


@pytest.fixture(scope="module")
def session():
    if shutil.which("coqc") is None:
        pytest.skip("no prover")
    with record.checked(record.FOR_CERTIFICATES) as ready:
        yield ready


def outcomes(session, document):
    return [outcome for _, outcome in record.check_certificate(session, document)]


def test_the_examples_hold_and_the_false_ones_do_not():
    assert all(verify(document).ok for document in HOLD)
    for document in FALSE:
        with contextlib.suppress(InputError):
            assert not verify(document).ok
    assert {document["kind"] for document in HOLD} == set(KINDS)


@pytest.mark.long
def test_the_kernel_accepts_what_holds_and_refuses_what_does_not(session):
    assert outcomes(session, bundle(*HOLD)) == [record.CHECKED] * len(HOLD)
    for document in FALSE:
        (outcome,) = outcomes(session, document)
        assert outcome != record.CHECKED, document


def test_numbers_are_written_as_they_stand():
    text = exported(changed(PROGRAM, objective=["0.1", "3"], primal=["1", "0"]))
    assert "[(1 # 10); (3 # 1)]" in text
    text = exported(changed(IDENTITY, left="0.1*x", right="x/10", definitions={}))
    assert "(Mul (Number (1 # 10)) (Name 120))" in text


def test_names_on_both_sides_are_the_same_variables_and_different_names_are_not():
    text = exported({"kind": "identity", "left": "ab + a", "right": "a + ab"})
    left, right = (line.split(":=")[1] for line in text.splitlines() if line.startswith("Definition"))
    assert left.strip(" .") == "(Add (Name 24930) (Name 97))"
    assert right.strip(" .") == "(Add (Name 97) (Name 24930))"


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "smt", "script": "", "expect": "unsat"},
        {"kind": "identity", "left": "x**y", "right": "1"},
        {"kind": "identity", "left": "x**100000", "right": "1"},
        {"kind": "identity", "left": "é", "right": "é"},
        changed(ROUTER, attend="ceil(1/2)"),
        changed(ROUTER, attend="sum(k, 1)"),
        changed(ROUTER, memory={'a", fun e => Num 0)]. Axiom x : False. (*': "0"}),
        changed(ROUTER, patterns=30),
        changed(ROUTER, queries={"length": 10**9, "probabilities": ["0", "1/2", "1/2"]}),
        changed(PROGRAM, rows=[{"terms": [[2, "1"]], "relation": ">=", "bound": "1"}]),
        changed(PROGRAM, rows=[{"terms": [[0, "1"]], "relation": ">", "bound": "1"}]),
        changed(PROGRAM, objective=["2", 0.5]),
        changed(PROCESS, stages=[{"wait": {"cost": "0", "to": [["1/2", 0]]}}, REST]),
        changed(PROCESS, stages=[{"wait": {"cost": "0", "to": [["1", 2]]}}, REST]),
    ],
)
def test_what_is_not_exported_is_said(document):
    with pytest.raises(InputError):
        exported(document)


def test_parts_come_in_order():
    assert list(parts(bundle(PROGRAM, bundle(IDENTITY, ROUTER)))) == [PROGRAM, IDENTITY, ROUTER]
    assert list(parts(PROCESS)) == [PROCESS]

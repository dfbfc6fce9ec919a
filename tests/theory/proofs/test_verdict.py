"""Verdicts: no contradictions, JSON without NaN, readable text."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from typing import Any

import pytest

import theory
from cogfit.errors import InputError
from theory.proofs.verdict import Verdict, shown

CERTIFICATE = {"kind": "arithmetic", "title": "a third", "facts": ["1/3 < 1/2"]}
VERDICT = Verdict(
    "Lemma 9",
    "someone, p. 3",
    "conditional",
    "Every third is less than a half.",
    CERTIFICATE,
    assumptions=("the third is not negative",),
    computed={"a third": Fraction(1, 3), "steps": 7, "a half": 0.5},
    claimed={"a third": Fraction(1, 3)},
    reading="a half means one half",
    corrected="A third of something positive is less than its half.",
    remarks=("nothing is heuristic",),
)


def test_json_keeps_everything_and_exact_numbers_stay_exact() -> None:
    text = json.dumps(VERDICT.to_json(), allow_nan=False)
    assert '"a third": "1/3"' in text
    assert Verdict.from_json(json.loads(text)) == VERDICT
    assert json.loads(text)["schema"] == "theory.verdict/1"


def test_text_names_every_part() -> None:
    text = str(VERDICT)
    for part in (
        "Lemma 9: CONDITIONAL", "someone, p. 3", "a half means one half", "the third is not negative", "1/3",
        "holds in this form: A third", "nothing is heuristic", "arithmetic: a third",
    ):  # fmt: skip
        assert part in text
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "true"}, "status"),
        ({"certificate": {}}, "certificate"),
        ({"status": "verified"}, "scope"),
        ({"assumptions": ()}, "assumptions"),
        ({"claimed": {"another": 1}}, "claimed but not computed: another"),
        ({"computed": {"a third": float("nan")}}, "finite"),
        ({"claimed": {"a third": float("inf")}}, "finite"),
    ],
)
def test_a_verdict_does_not_contradict_itself(change: dict[str, Any], reason: str) -> None:
    fields = {name: getattr(VERDICT, name) for name in [item.name for item in dataclasses.fields(VERDICT)]}
    with pytest.raises(ValueError, match=reason):
        Verdict(**(fields | change))


@pytest.mark.parametrize(
    "change",
    [{"schema": "x"}, {"status": "maybe"}, {"computed": []}, {"computed": {"a third": "1/0"}},
     {"computed": {"x": True}}, {"certificate": None}, {"claim": ...}],
)  # fmt: skip
def test_what_is_no_verdict_is_refused(change: dict[str, Any]) -> None:
    data = VERDICT.to_json() | change
    data = {name: value for name, value in data.items() if value is not ...}
    with pytest.raises(InputError, match="no verdict"):
        Verdict.from_json(data)


LONG = " ".join(["word"] * 40)


def test_text_is_laid_out_in_paragraphs_and_a_table() -> None:
    expected = """\
Lemma 9: CONDITIONAL
  Every third is less than a half.
  source: someone, p. 3
  read as: a half means one half
  holds in this form: A third of something positive is less than its half.
  assumptions:
  - the third is not negative
  remarks:
  - nothing is heuristic
  quantity         computed         claimed
  one third             1/3             1/3
  steps                   7
  a half                0.5
  certificate:
  - arithmetic: a third"""
    third = {"one third": Fraction(1, 3)}
    assert str(dataclasses.replace(VERDICT, computed={**third, "steps": 7, "a half": 0.5}, claimed=third)) == expected


def test_what_is_empty_is_left_out_of_the_text() -> None:
    bare = Verdict("A", "b", "verified", "C.", {"kind": "arithmetic", "facts": ["1 < 2"]}, scope="n up to 9")
    assert str(bare) == "A: VERIFIED\n  C.\n  source: b\n  checked over: n up to 9\n  certificate:\n  - arithmetic"


def test_long_paragraphs_are_wrapped_and_hang() -> None:
    lines = str(dataclasses.replace(VERDICT, statement=LONG, reading=LONG, remarks=(LONG,))).splitlines()
    wrapped = [line for line in lines if "word" in line]
    assert max(map(len, lines)) <= 100
    assert [line.split("word")[0] for line in wrapped] == [
        "  ", "  ", "  ", "  read as: ", "  ", "  ", "  - ", "    ", "    ",
    ]  # fmt: skip
    assert [line.count("word") for line in wrapped] == [19, 19, 2, 18, 19, 3, 19, 19, 2]  # as many as fit


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(7, 4), "7/4"),
        (Fraction(12345, 678901), "12345/678901"),  # twelve characters
        (Fraction(12345, 6789013), "0.0018183792"),
        (3, "3"),
        (10**15, "1000000000000000"),
        (0.5, "0.5"),
        (2 / 3, "0.66666667"),
        (1e-12, "1e-12"),
    ],
)
def test_numbers_are_shown_as_short_fractions_or_with_eight_digits(value: int | float | Fraction, text: str) -> None:
    assert shown(value) == text


def test_numbers_keep_their_kind_in_json() -> None:
    back = Verdict.from_json(VERDICT.to_json())
    kinds = {name: type(value) for name, value in back.computed.items()}
    assert kinds == {"a third": Fraction, "steps": int, "a half": float}
    assert back.claimed == {"a third": Fraction(1, 3)}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"computed": {"x": True}}, "True is not a number"),
        ({"computed": {"x": None}}, "None is not a number"),
        ({"computed": {"x": [1]}}, "is not a number"),
        ({"claimed": [1]}, "its numbers are no mapping"),
        ({"computed": {"a third": "one"}}, "one"),
    ],
)
def test_what_is_no_number_is_named(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        Verdict.from_json(VERDICT.to_json() | change)
    assert caught.value.hint == "expected the fields of 'theory.verdict/1'"
    with pytest.raises(InputError, match="no verdict"):
        Verdict.from_json([change])


@pytest.mark.parametrize("status", ["proved", "refuted"])
def test_only_some_statuses_need_a_scope_or_assumptions(status: Any) -> None:
    bare = Verdict("A", "b", status, "C.", CERTIFICATE, computed={"x": 1.5, "y": 2})
    assert theory.verify(bare.certificate).ok
    assert theory.verify(Verdict("A", "b", "verified", "C.", CERTIFICATE, scope="n").certificate).ok
    assert not bare.verify().ok  # a certificate that holds does not make a statement of the package


@pytest.mark.parametrize("theorem", theory.theorems(), ids=lambda theorem: theorem.id)
def test_every_theorem_has_a_file_that_states_it(theorem: theory.Theorem) -> None:
    from importlib import import_module

    module = import_module(f"theory.bounds.{theorem.module}")
    assert theorem.module.startswith(theorem.id.lower())
    for part in (theorem.id, "**Statement.**", "**Assumptions.**", "**Reference.**", "**Check.**"):
        assert part in (module.__doc__ or "")


def test_theorems_are_found_by_name() -> None:
    with pytest.raises(InputError, match="no theorem 'T99'"):
        theory.check_theorem("T99")
    assert theory.check_theorem("t0").claim == "T0"

"""Verdicts: no contradictions, JSON without NaN, readable text."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from typing import Any

import pytest

import theory
from cogfit.errors import InputError
from theory.proofs.verdict import Verdict

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

"""Certificates are bound to statements: what a file says is what the package says, or it does not verify."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

import theory
from cogfit.errors import InputError
from theory.proofs.certificates import bundle
from theory.statements import digest, restate

CLAIMS = ("T0", "T1", "T3", "cram-opt", "retention-lemma-3")


def saved(claim: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(restate(claim).to_json()))
    return document


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        if isinstance(part, str | int) and not isinstance(part, bool):
            yield (*path, key), part
        yield from places(part, (*path, key))


@pytest.mark.parametrize("claim", CLAIMS)
def test_saved_verdicts_verify(claim: str) -> None:
    check = theory.verify(saved(claim))
    assert check.ok
    assert check.claim == claim
    assert theory.verify(restate(claim).certificate).claim == ""


@pytest.mark.parametrize("claim", ["T0", "retention-lemma-3"])
def test_nothing_that_a_file_says_can_be_altered(claim: str) -> None:
    """Every text and number outside of the remarks, one at a time; witnesses too, but for those that still prove it."""
    document = saved(claim)
    free = ("remarks", "versions")
    for path, value in places(document):
        if path[0] in free:
            continue
        altered: Any = copy.deepcopy(document)
        inner = altered
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value + 1 if isinstance(value, int) else value + "1" if value else "1"
        try:
            check = theory.verify(altered)
        except InputError:
            continue
        assert not check.ok, path


@pytest.mark.parametrize("other", CLAIMS[1:])
def test_a_certificate_does_not_serve_another_statement(other: str) -> None:
    verdict = saved("T0")
    for certificate in (saved(other)["certificate"], bundle(verdict["certificate"]), {"kind": "all", "parts": []}):
        swapped = {**verdict, "certificate": certificate}
        with contextlib.suppress(InputError):  # no parts
            assert not theory.verify(swapped).ok
    assert not theory.verify({**saved(other), "claim": "T0"}).ok


def test_a_witness_may_be_another_one_that_proves_it() -> None:
    document = saved("T1")
    part = document["certificate"]["parts"][0]
    assert part["kind"] == "lp-dual"
    attend, *guess = part["primal"][:4]
    part["primal"][:4] = [attend, guess[0], guess[1], guess[2]]
    assert theory.verify(document).ok
    part["dual"][0] = "0"
    assert not theory.verify(document).ok


def test_documents_of_the_command_are_read_statement_by_statement() -> None:
    entries = [{"id": claim, "verdict": saved(claim)} for claim in CLAIMS[:2]]
    document = {"schema": "theory.check/1", "verdicts": entries}
    check = theory.verify(document)
    assert [part.claim for part in check.parts] == ["T0", "T1"]
    entries[1]["verdict"]["statement"] = "A router needs no attention."
    assert not theory.verify(document).ok
    for verdicts in ([], [{"id": "T0", "verdict": None}], [{"id": "T1", "verdict": saved("T0")}], ["T0"]):
        with pytest.raises(InputError):
            theory.verify({**document, "verdicts": verdicts})


def test_a_digest_names_what_is_said() -> None:
    digests = {digest(restate(claim)) for claim in CLAIMS}
    assert len(digests) == len(CLAIMS)
    assert digest(theory.Verdict.from_json(saved("T1"))) == digest(restate("T1"))
    altered = theory.Verdict.from_json({**saved("T1"), "statement": "Less."})
    assert digest(altered) not in digests

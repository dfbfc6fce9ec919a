"""Bind certificates to the statements they certify.

What is true of a certificate says nothing of the sentence beside it. So the sentence is not taken from the file: the
package states each of its theorems and claims anew, with all that a certificate must prove, and a file verifies if it
says the same and its witnesses (dual solutions, value functions) prove it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from cogfit.errors import InputError
from cogfit.records.codec import encode
from theory.bounds import Theorem, theorems
from theory.claims import CLAIMS, Claim
from theory.proofs import certificates
from theory.proofs.certificates import Check, Document, items
from theory.proofs.verdict import Verdict

_TOLERANCE = 1e-6  # of quantities found by simulation or a solver, which differ in the last digits between machines
_FIELDS = ("source", "status", "statement", "assumptions", "reading", "corrected", "scope")


def known() -> dict[str, Theorem | Claim]:
    """All theorems and claims, by identifier.

    Examples
    --------
    >>> list(known())[:2]
    ['T0', 'T1']
    """
    both: list[Theorem | Claim] = [*theorems(), *CLAIMS]
    return {item.id: item for item in both}


@cache
def restate(claim: str) -> Verdict:
    """State a theorem or claim of the package anew.

    Raises
    ------
    InputError
        If there is none of this name.

    Examples
    --------
    >>> restate("cram-mamba").status
    'conditional'
    """
    if claim not in known():
        raise InputError(f"no theorem or claim '{claim}'", hint=f"choose from {', '.join(known())}")
    return known()[claim].check()


def verify_statement(verdict: Verdict) -> Check:
    """Check a verdict against the package and its certificate.

    Parameters
    ----------
    verdict : Verdict
        From anywhere. Its remarks are not part of the statement.

    Returns
    -------
    Check
        Failed where the statement is none of the package, differs from it, or its certificate does not hold.

    Examples
    --------
    >>> from dataclasses import replace
    >>> verdict = restate("cram-mamba")
    >>> verify_statement(verdict).claim
    'cram-mamba'
    >>> print(verify_statement(replace(verdict, statement="A router needs no attention.")))
    FAILS: cram-mamba: its 'statement' is not that of the package
    >>> print(verify_statement(replace(verdict, claim="P = NP")))
    FAILS: 'P = NP' is no statement of this package
    """
    if verdict.claim not in known():
        return Check(False, f"{verdict.claim[:60]!r} is no statement of this package")
    if fault := _difference(verdict, restate(verdict.claim)):
        return Check(False, f"{verdict.claim}: its {fault} is not that of the package")
    check = certificates.verify(verdict.certificate)
    if not check:
        return check
    return Check(True, check.detail, check.facts, check.parts, verdict.claim)


def digest(verdict: Verdict) -> str:
    """Fingerprint of a statement.

    Of what is said, and of all that its certificate must prove.

    SHA-256 in 16 hexadecimal digits. Witnesses and remarks, and quantities found by simulation, do not enter.

    Examples
    --------
    >>> len(digest(restate("cram-mamba")))
    16
    """
    said = {name: encode(getattr(verdict, name)) for name in ("claim", *_FIELDS)}
    said["certificate"] = certificates.without_witness(verdict.certificate)
    text = json.dumps(said, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def verify_verdict(document: Document) -> Check:
    """Verifier of saved verdicts (schema ``theory.verdict/1``)."""
    return verify_statement(Verdict.from_json(document))


def verify_check(document: Document) -> Check:
    """Verifier of what ``cogfit theory check --json`` writes.

    Every entry needs its verdict.
    """
    entries = items(document, "verdicts", dict, least=1)
    if missing := [entry.get("id") for entry in entries if entry.get("verdict") is None]:
        raise InputError(f"certificate: no verdict on {str(missing[0])[:60]!r}", hint="check it again and save that")
    verdicts = [Verdict.from_json(entry.get("verdict")) for entry in entries]
    if stray := [v.claim for v, entry in zip(verdicts, entries, strict=True) if v.claim != entry.get("id")]:
        raise InputError(f"certificate: the verdict on {stray[0][:60]!r} stands under another name")
    checks = tuple(map(verify_statement, verdicts))
    failed = [check.detail for check in checks if not check]
    detail = failed[0] if failed else f"{len(checks)} statements hold"
    return Check(not failed, detail, parts=checks)


def _difference(verdict: Verdict, stated: Verdict) -> str:
    """First part in which two verdicts differ; empty where none does."""
    for name in _FIELDS:
        if getattr(verdict, name) != getattr(stated, name):
            return repr(name)
    for name in ("computed", "claimed"):
        if not _same_numbers(getattr(verdict, name), getattr(stated, name)):
            return f"list of {name} quantities"
    proved, needed = (certificates.without_witness(v.certificate) for v in (verdict, stated))
    return "" if _plain(proved) == _plain(needed) else "certificate proves something else, which"


def _same_numbers(given: Mapping[str, Any], stated: Mapping[str, Any]) -> bool:
    return list(given) == list(stated) and all(_same(given[name], stated[name]) for name in stated)


def _same(given: Any, stated: Any) -> bool:
    if isinstance(stated, float):
        return math.isclose(given, stated, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return type(given) is type(stated) and bool(given == stated)


def _plain(document: Any) -> Any:
    """As it is read back from JSON: tuples are lists."""
    return json.loads(json.dumps(document))

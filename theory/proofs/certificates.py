"""Certificates: plain JSON documents.

Each is re-checked by a verifier that shares no code with what made it.

A document is a JSON object with a ``kind``; exact numbers are strings (``"3/4"``, ``"-2"``, ``"0.05"``), formulas are
text in a small language (:mod:`theory.proofs.expressions`) that is parsed, never executed. Any document may carry a
``title``.

A new kind is one function ``verify(document) -> Check`` in :mod:`theory.proofs.verifiers` and one line in
:data:`KINDS`. The function raises :class:`~cogfit.errors.InputError` for a document it cannot read (use the helpers
here) and returns a failed check for one that it can read and that does not hold.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from cogfit.errors import InputError, nearest
from cogfit.files import write_atomic
from theory.proofs.numerals import read_ratio
from theory.proofs.work import limited_work

Document = Mapping[str, Any]
Fact = int | float | Fraction | str

KINDS = {
    "all": "theory.proofs.certificates:verify_all",  # several documents, all of which must hold
    "arithmetic": "theory.proofs.verifiers.arithmetic:verify",  # relations between exact rational numbers
    "chain": "theory.proofs.verifiers.chains:verify",  # a finite random recursion, carried out exactly
    "codebook": "theory.proofs.verifiers.codebooks:verify",  # best code of S bits for a table of values, by enumeration
    "counterexample": "theory.proofs.verifiers.streams:verify",  # a router on a small stream, all tables enumerated
    "identity": "theory.proofs.verifiers.polynomials:verify_identity",  # two rational expressions are the same
    "interval": "theory.proofs.verifiers.intervals:verify",  # inequalities over boxes, in interval arithmetic
    "lp-dual": "theory.proofs.verifiers.linear:verify",  # optimal value of a linear program, by its dual
    "smt": "theory.proofs.verifiers.smt:verify",  # satisfiable or not, decided by z3
    "sturm": "theory.proofs.verifiers.polynomials:verify_sturm",  # real roots and sign of a polynomial on an interval
    "value-function": "theory.proofs.verifiers.bellman:verify",  # optimal cost of a finite decision process
}
"""Kind of certificate -> ``module:function`` of its verifier."""

SCHEMAS = {
    "theory.check/1": "theory.statements:verify_check",  # what `cogfit theory check --json` writes
    "theory.verdict/1": "theory.statements:verify_verdict",  # a saved verdict: a statement with its certificate
}
"""Schema of a document that names statements -> ``module:function`` of its verifier."""

_WITNESSES = {
    "interval": ("digits", "boxes"),
    "lp-dual": ("primal", "dual"),
    "smt": ("seconds",),
    "value-function": ("values", "policy"),
}
"""Fields that prove what a document says and are no part of it; none in the other kinds."""

_MAX_DEPTH = 8
_MAX_BYTES = 64_000_000

T = TypeVar("T")


@dataclass(frozen=True)
class Check:
    """What came out of re-checking a certificate.

    Attributes
    ----------
    ok : bool
        Whether everything the document asserts holds.
    detail : str
        What was established, or the first thing that fails.
    facts : Mapping
        Numbers that the verifier computed from the document (exact ones as Fraction).
    parts : tuple of Check
        Checks of the parts of an ``all`` document, in order.
    claim : str
        Theorem or claim of the package that was verified; empty if the document names no statement, so that what holds
        is what ``detail`` says and no more.
    """

    ok: bool
    detail: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    parts: tuple[Check, ...] = ()
    claim: str = ""

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return f"{'holds' if self.ok else 'FAILS'}: {self.detail}"


def verify(document: Document) -> Check:
    """Re-check a certificate.

    Parameters
    ----------
    document : Mapping
        A certificate, as made by a ``check`` function; or what names a statement, a saved verdict or the JSON document
        of ``cogfit theory check``: then it must say what the package says, too. As read by :func:`load_certificate`.

    Returns
    -------
    Check
        Failed (``ok`` false) when the document can be read but does not hold, or could not be decided.

    Raises
    ------
    InputError
        If the document is malformed or of unknown kind.
    MissingDependencyError
        If the kind needs a library that is not installed (z3).

    Examples
    --------
    >>> print(verify({"kind": "arithmetic", "definitions": {"p": "0.3"}, "facts": ["p*(1 - p) <= 1/4"]}))
    holds: p*(1 - p) <= 1/4
    >>> print(verify({"kind": "arithmetic", "definitions": {"p": "0.3"}, "facts": ["p > 1/3"]}))
    FAILS: p > 1/3 is false
    """
    module, function = _verifier(document).split(":")
    verifier: Callable[[Document], Check] = getattr(import_module(module), function)
    with limited_work():
        return verifier(document)


def verify_all(document: Document) -> Check:
    """Verifier of the kind ``all``.

    ``parts`` is a non-empty list of documents.
    """
    if _depth(document) > _MAX_DEPTH:
        raise InputError(f"certificate: documents inside documents, more than {_MAX_DEPTH} deep")
    checks = tuple(verify(part) for part in items(document, "parts", dict, least=1))
    failed = [f"part {i}: {check.detail}" for i, check in enumerate(checks, 1) if not check.ok]
    return Check(not failed, failed[0] if failed else f"{len(checks)} parts hold", parts=checks)


def bundle(*documents: Document, title: str = "") -> dict[str, Any]:
    """Document of the kind ``all``.

    Examples
    --------
    >>> half = {"kind": "arithmetic", "facts": ["1/2 + 1/2 == 1"]}
    >>> verify(bundle(half, half)).detail
    '2 parts hold'
    """
    return {"kind": "all", "title": title, "parts": [dict(document) for document in documents]}


def outline(document: Document) -> list[str]:
    """Kind and title of each part of a document.

    Examples
    --------
    >>> outline(bundle({"kind": "smt", "title": "a square is not negative"}, {"kind": "sturm"}))
    ['smt: a square is not negative', 'sturm']
    """
    parts = document.get("parts")
    if document.get("kind") == "all" and isinstance(parts, list) and _depth(document) <= _MAX_DEPTH:
        return [line for part in parts if isinstance(part, Mapping) for line in outline(part)]
    return [": ".join(str(document[name]) for name in ("kind", "title") if document.get(name))]


def without_witness(document: Document) -> dict[str, Any]:
    """What a document says, without what proves it.

    Examples
    --------
    >>> without_witness({"kind": "smt", "script": "(assert false)", "expect": "unsat", "seconds": 5})
    {'kind': 'smt', 'script': '(assert false)', 'expect': 'unsat'}
    """
    kind = _kind(document)
    if kind == "all":
        if _depth(document) > _MAX_DEPTH:
            raise InputError(f"certificate: documents inside documents, more than {_MAX_DEPTH} deep")
        return {**document, "parts": [without_witness(part) for part in items(document, "parts", dict, least=1)]}
    return {name: value for name, value in document.items() if name not in _WITNESSES.get(kind, ())}


def load_certificate(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a certificate or saved verdict from JSON.

    Raises
    ------
    InputError
        If the file cannot be read, is no JSON object, or names an unknown kind.
    """
    try:
        if os.path.getsize(path) > _MAX_BYTES:
            raise InputError(f"is larger than {_MAX_BYTES // 10**6} MB", path=Path(path), hint="is it a certificate?")
        text = Path(path).read_text(encoding="utf-8")
        document = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_without_duplicates)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", path=Path(path)) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"is no JSON document ({error})", path=Path(path)) from error
    try:
        _verifier(document)
    except InputError as error:
        raise InputError(error.what, path=Path(path), hint=error.hint) from error
    return dict(document)


def save_certificate(document: Document, path: str | os.PathLike[str]) -> None:
    """Write a certificate or saved verdict as JSON.

    The file is written whole or not at all.

    Raises
    ------
    InputError
        If it is no certificate, or the file cannot be written.
    """
    _verifier(document)
    write_atomic(path, json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n")


def exact(value: object, where: str = "number") -> Fraction:
    """Exact number of a document.

    An integer or a string ``"p/q"`` or ``"1.25"``; floats are refused.

    Raises
    ------
    InputError
        If it is anything else, or the denominator is 0.

    Examples
    --------
    >>> exact("-6/4"), exact(3), exact("0.05")
    (Fraction(-3, 2), Fraction(3, 1), Fraction(1, 20))
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return Fraction(value)
    if isinstance(value, str):
        with suppress(ValueError):
            return read_ratio(value)
    raise InputError(f"certificate: {where} is not an exact number: {_short(value)}", hint='write it as "p/q"')


def written(value: int | Fraction) -> str:
    """Inverse of :func:`exact`: ``"p/q"``, or ``"p"`` for an integer."""
    return str(Fraction(value))


def entry(document: Document, name: str, kind: type[T], default: T | None = None) -> T:
    """Field of a document, of the wanted type.

    ``default`` when it is absent.

    Raises
    ------
    InputError
        If it is absent without a default, or of another type.
    """
    value = document.get(name, default)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        problem = f"is {_short(value)}" if name in document else "is missing"
        raise InputError(f"certificate: '{name}' {problem}", hint=f"expected {_TYPES.get(kind, kind.__name__)}")
    return value


def items(document: Document, name: str, kind: type[T], *, least: int = 0) -> list[T]:
    """Field of a document that is a list.

    Of one type, with at least so many entries.

    Raises
    ------
    InputError
        If it is not.
    """
    values = entry(document, name, list, [] if least == 0 else None)
    if len(values) < least or not all(isinstance(value, kind) for value in values):
        wanted = f"a list of at least {least}, each {_TYPES.get(kind, kind.__name__)}"
        raise InputError(f"certificate: '{name}' is {_short(values)}", hint=f"expected {wanted}")
    return values


def numbers(values: object, where: str, length: int | None = None) -> list[Fraction]:
    """List of exact numbers, of a given length.

    Raises
    ------
    InputError
        If it is not.
    """
    if not isinstance(values, Sequence) or isinstance(values, str) or (length is not None and len(values) != length):
        expected = "a list of exact numbers" + (f" of length {length}" if length is not None else "")
        raise InputError(f"certificate: {where} is {_short(values)}", hint=f"expected {expected}")
    return [exact(value, f"{where}[{i}]") for i, value in enumerate(values)]


_TYPES: dict[type, str] = {dict: "an object", list: "a list", str: "a text", int: "an integer", bool: "true or false"}


def _verifier(document: object) -> str:
    """Where the verifier of a document is: by its schema, else by its kind."""
    schema = document.get("schema") if isinstance(document, Mapping) else None
    return SCHEMAS[schema] if isinstance(schema, str) and schema in SCHEMAS else KINDS[_kind(document)]


def _kind(document: object) -> str:
    kind = document.get("kind") if isinstance(document, Mapping) else None
    if not isinstance(kind, str):
        raise InputError("is no certificate: no 'kind'", hint=f"choose from {', '.join(sorted(KINDS))}")
    if kind not in KINDS:
        raise InputError(f"certificate of unknown kind '{kind}'", hint=nearest(kind, KINDS))
    return kind


def _depth(document: Document) -> int:
    """Levels of ``all`` documents.

    Counted without recursion and only as far as they matter.
    """
    level: list[Any] = [document]
    for depth in range(_MAX_DEPTH + 1):
        parts = [node.get("parts") for node in level if isinstance(node, Mapping) and node.get("kind") == "all"]
        level = [part for several in parts if isinstance(several, list) for part in several]
        if not level:
            return depth
    return _MAX_DEPTH + 1


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Object of a file; of two values for one name none is taken."""
    out = dict(pairs)
    if len(out) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {_short(twice)} stands twice in one object")
    return out


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")

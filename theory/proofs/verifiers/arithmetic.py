"""Relations between exact rational numbers (kind ``arithmetic``).

``definitions``: object, name -> expression that may use the names before it. ``facts``: list of expressions that must
be true, in the exact arithmetic of :mod:`theory.proofs.expressions`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from cogfit.errors import InputError
from theory.proofs.certificates import Check, Document, entry, items
from theory.proofs.expressions import EXACT, Arithmetic, Expression


def verify(document: Document) -> Check:
    """Verifier of the kind ``arithmetic``.

    Examples
    --------
    >>> document = {"definitions": {"x": "2/3", "y": "x**2"}, "facts": ["y < 1/2", "sum(k, 1, 3, k) == 6"]}
    >>> verify(document).facts["y"]
    Fraction(4, 9)
    """
    values: dict[str, Any] = {}
    for name, text in entry(document, "definitions", dict, {}).items():
        values[name] = Expression(text)(values)
    return judged(items(document, "facts", str, least=1), values)


def judged(facts: list[str], values: dict[str, Any], arithmetic: Arithmetic = EXACT) -> Check:
    """Check that every fact is true of these values.

    Raises
    ------
    InputError
        If a fact is no comparison of the language.
    """
    for text in facts:
        truth = Expression(text, arithmetic)(values)
        if not isinstance(truth, bool):
            raise InputError(f"certificate: the fact {text[:80]!r} is not true or false", hint="write a comparison")
        if not truth:
            return Check(False, f"{text} is false", _numbers(values))
    return Check(True, "; ".join(facts), _numbers(values))


def _numbers(values: dict[str, Any]) -> dict[str, Fraction]:
    return {name: Fraction(value) for name, value in values.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Fraction) and not isinstance(value, bool)

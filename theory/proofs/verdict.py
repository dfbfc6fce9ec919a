"""What the package says about a statement.

One frozen record with its certificate.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from importlib import import_module
from typing import Any, ClassVar, Literal, Self, get_args

from cogfit.errors import InputError
from cogfit.records import codec
from theory.proofs import certificates
from theory.proofs.certificates import Check, Document
from theory.proofs.numerals import read_ratio, show_number

Status = Literal["proved", "verified", "conditional", "refuted"]
Number = int | float | Fraction
Numbers = Mapping[str, Number]

SCHEMA = "theory.verdict/1"


@dataclass(frozen=True)
class Verdict(codec.Document):
    """A statement, its status, and a certificate.

    The certificate is a document from which anyone can check the status again.

    Attributes
    ----------
    claim : str
        Short identifier, such as ``"T3"`` or ``"CRAM Theorem 1"``.
    source : str
        Where the statement stands: paper, equation, page; for our own theorems the works they build on.
    status : {"proved", "verified", "conditional", "refuted"}
        ``proved``: there is a proof (in the documentation) and its finite steps are certified. ``verified``: checked
        numerically over ``scope``. ``conditional``: true under ``assumptions`` that the source does not make.
        ``refuted``: false as stated; the certificate is a counterexample.
    statement : str
        The statement as judged, in one paragraph.
    certificate : Mapping
        A document for :func:`theory.verify`.
    assumptions : tuple of str
        What the statement needs; for ``conditional`` what had to be added.
    computed, claimed : Mapping of str to int, float or Fraction
        The same quantities, named in words, as found here and as the statement has them. Every claimed quantity is
        computed; finite numbers only.
    reading : str
        The sense in which words of the source were taken, where they leave a choice.
    corrected : str
        The statement that does hold, for ``conditional`` and ``refuted``.
    scope : str
        For ``verified``: the range over which it was checked.
    remarks : tuple of str
        Anything else a reader should know; heuristic parts are named as such here.

    Raises
    ------
    ValueError
        If the record contradicts itself: an unknown status, no certificate, ``verified`` without scope, ``conditional``
        without assumptions, a claimed quantity that was not computed, a number that is not finite.

    Examples
    --------
    >>> from fractions import Fraction
    >>> verdict = Verdict(
    ...     "half", "folklore", "proved", "One half of one third is one sixth.",
    ...     {"kind": "arithmetic", "definitions": {"x": "1/3"}, "facts": ["x / 2 == 1/6"]},
    ...     computed={"x / 2": Fraction(1, 6)}, claimed={"x / 2": Fraction(1, 6)},
    ... )
    >>> certificates.verify(verdict.certificate).ok
    True
    >>> verdict.verify().detail  # no theorem of the package has this name
    "'half' is no statement of this package"
    >>> Verdict.from_json(verdict.to_json()) == verdict
    True
    """

    SCHEMA: ClassVar[str] = SCHEMA

    claim: str
    source: str
    status: Status
    statement: str
    certificate: Document
    assumptions: tuple[str, ...] = ()
    computed: Mapping[str, Any] = field(default_factory=dict)
    claimed: Mapping[str, Any] = field(default_factory=dict)
    reading: str = ""
    corrected: str = ""
    scope: str = ""
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.status not in get_args(Status):
            raise ValueError(f"{self.claim}: status is '{self.status}', not one of {', '.join(get_args(Status))}")
        if not self.certificate.get("kind"):
            raise ValueError(f"{self.claim}: a verdict needs a certificate with a kind")
        if self.status == "verified" and not self.scope:
            raise ValueError(f"{self.claim}: a verified statement names the scope of the check")
        if self.status == "conditional" and not self.assumptions:
            raise ValueError(f"{self.claim}: a conditional statement names the added assumptions")
        if stray := set(self.claimed) - set(self.computed):
            raise ValueError(f"{self.claim}: claimed but not computed: {', '.join(sorted(stray))}")
        for name, value in [*self.computed.items(), *self.claimed.items()]:
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{self.claim}: {name} is not a finite number")

    def verify(self) -> Check:
        """Check that the package says this, and re-check the certificate.

        For a statement of your own, re-check its certificate by :func:`theory.verify`: no more can be known of it.
        """
        # by name: statements stand above proofs
        check: Check = import_module("theory.statements").verify_statement(self)
        return check

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Read a document back.

        Raises
        ------
        InputError
            If it is no verdict.
        """
        try:
            if isinstance(document, Mapping):  # exact numbers are text there, "1/3"
                document = {**document, **{name: _numbers(document.get(name)) for name in ("computed", "claimed")}}
            return super().from_json(document)
        except (TypeError, ValueError, ZeroDivisionError) as error:
            raise InputError(f"is no verdict ({error})", hint=f"expected the fields of {SCHEMA!r}") from error

    def __str__(self) -> str:
        """Readable text of several lines, without a final newline."""
        lines = [f"{self.claim}: {self.status.upper()}", *_paragraph("", self.statement)]
        for title, text in (
            ("source: ", self.source),
            ("read as: ", self.reading),
            ("holds in this form: ", self.corrected),
            ("checked over: ", self.scope),
        ):
            lines += _paragraph(title, text) if text else []
        for title, items in (("assumptions", self.assumptions), ("remarks", self.remarks)):
            lines += [f"  {title}:", *(line for item in items for line in _paragraph("  - ", item))] if items else []
        if self.computed:
            width = max(map(len, self.computed))
            lines.append(f"  {'quantity':<{width}}  {'computed':>14}  {'claimed':>14}")
            for name, value in self.computed.items():
                claimed = shown(self.claimed[name]) if name in self.claimed else ""
                lines.append(f"  {name:<{width}}  {shown(value):>14}  {claimed:>14}".rstrip())
        return "\n".join(
            [*lines, "  certificate:", *(f"  - {part}" for part in certificates.outline(self.certificate))]
        )


def _paragraph(title: str, text: str) -> list[str]:
    hang = "    " if title.startswith(" ") else "  "
    first = title if title.startswith(" ") else f"  {title}"
    return textwrap.wrap(text, 100, initial_indent=first, subsequent_indent=hang)


def shown(value: Number) -> str:
    """Number as text.

    A short fraction as it is, anything else with eight digits.

    Examples
    --------
    >>> shown(Fraction(7, 4)), shown(3), shown(1 / 3)
    ('7/4', '3', '0.33333333')
    """
    return show_number(value, longest=18 if isinstance(value, int) else 12, digits=8)


def _numbers(values: object) -> dict[str, Number]:
    if not isinstance(values, Mapping):
        raise TypeError("its numbers are no mapping")
    return {str(name): _number(value) for name, value in values.items()}


def _number(value: object) -> Number:
    if isinstance(value, str):
        return read_ratio(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return value

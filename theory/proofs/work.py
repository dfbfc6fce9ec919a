"""Limit what re-checking a certificate may cost.

A document comes from anywhere, so it could ask for work without end. Every verifier reports what it does by
:func:`spend`, in units of about a microsecond; where all that one document asks for passes the limit the document is
refused. The count does not depend on the machine, nor does the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from fractions import Fraction
from typing import TypeVar

from cogfit.errors import InputError
from theory.proofs.numerals import size

MOST = 10_000_000
"""Units for one document with all its parts; the largest certificate of the package needs a third of it."""

MAX_BITS = 1_000_000
"""Bits of the largest exact number."""

Number = TypeVar("Number", int, Fraction, int | Fraction)

_left: ContextVar[list[int] | None] = ContextVar("left", default=None)


@contextmanager
def limited_work(units: int = MOST) -> Iterator[None]:
    """Share one limit among everything inside.

    An outer limit, if there is one, stays the only one.

    Examples
    --------
    >>> with limited_work(100):
    ...     spend(60)
    ...     spend(60)
    Traceback (most recent call last):
    ...
    cogfit.errors.InputError: certificate: re-checking it takes too much work; state it for smaller numbers, or in parts
    """
    if _left.get() is not None:
        yield
        return
    token = _left.set([units])
    try:
        yield
    finally:
        _left.reset(token)


def spend(units: int) -> None:
    """Count work against the limit.

    Raises
    ------
    InputError
        If the limit is passed.
    """
    left = _left.get()
    if left is None:
        return
    left[0] -= units
    if left[0] < 0:
        raise InputError(
            "certificate: re-checking it takes too much work", hint="state it for smaller numbers, or in parts"
        )


def measured(value: Number) -> Number:
    """Count an exact number that was worked out.

    Raises
    ------
    ValueError
        If it has more than a million bits.

    Examples
    --------
    >>> measured(Fraction(2, 3))
    Fraction(2, 3)
    """
    bits = size(value)
    if bits > MAX_BITS:
        raise ValueError(f"a number of more than {MAX_BITS} bits")
    spend(1 + (bits >> 10) ** 2)  # fractions are reduced at a cost that grows with the square
    return value

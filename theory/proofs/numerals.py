"""The one path from text to number, and back.

Every number of a certificate, in a formula or outside of one, is read by :func:`read_numeral`: exactly as it is
written, in ASCII digits, and no longer than a page.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal
from fractions import Fraction

_DIGITS = "[0-9](?:_?[0-9])*"
NUMERAL = rf"(?:(?:{_DIGITS})(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?[0-9]+)?"
"""Regular expression of a number without sign: ``12``, ``1_000``, ``0.25``, ``.5``, ``1e-3``."""

_NUMERAL = re.compile(NUMERAL)
_RATIO = re.compile(r"([+-]?)([0-9]+)(?:/([0-9]+)|(\.[0-9]+))?")
_MAX_DIGITS = 4000  # also the most that Python turns into an integer
_MAX_EXPONENT = 4000


def read_numeral(text: str) -> Fraction:
    """Exact value of a number without sign.

    Raises
    ------
    ValueError
        If it is no such number, or has more than 4,000 digits, or an exponent beyond ±4,000.

    Examples
    --------
    >>> read_numeral("0.1"), read_numeral("1e-3")
    (Fraction(1, 10), Fraction(1, 1000))
    """
    if not _NUMERAL.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a number")
    mantissa, _, exponent = text.replace("_", "").lower().partition("e")
    if len(mantissa) > _MAX_DIGITS:
        raise ValueError(f"a number of more than {_MAX_DIGITS} digits")
    power = int(exponent[:_MAX_DIGITS] or "0")
    if abs(power) > _MAX_EXPONENT:
        raise ValueError(f"a number with an exponent beyond ±{_MAX_EXPONENT}")
    return Fraction(mantissa) * Fraction(10) ** power


def read_ratio(text: str) -> Fraction:
    """Exact value of ``"p/q"``, ``"-3"`` or ``"1.25"``.

    Raises
    ------
    ValueError
        If it is written otherwise, too long, or divides by 0.

    Examples
    --------
    >>> read_ratio("-6/4"), read_ratio("0.05")
    (Fraction(-3, 2), Fraction(1, 20))
    """
    match = _RATIO.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not an exact number")
    sign, whole, denominator, decimals = match.groups()
    bottom = read_numeral(denominator) if denominator else Fraction(1)
    if bottom == 0:
        raise ValueError(f"{text[:40]!r} divides by 0")
    value = read_numeral(whole + (decimals or "")) / bottom
    return -value if sign == "-" else value


def show_number(value: int | float | Fraction, longest: int = 40, digits: int = 12) -> str:
    """Number as text: exact while short, else rounded.

    Examples
    --------
    >>> show_number(Fraction(7, 4)), show_number(Fraction(1, 3), longest=2, digits=4)
    ('7/4', '0.3333')
    >>> show_number(Fraction(7) ** 10_000), show_number(Fraction(1, 7**1000))
    ('9.55872885674e+8450', '7.97921166432e-846')
    """
    # far more bits than fit are never written out: Python refuses more than 4,300 digits
    if not isinstance(value, float) and size(value) <= 4 * longest and len(str(value)) <= longest:
        return str(value)
    try:
        if rounded := float(value):
            return f"{rounded:.{digits}g}"
    except OverflowError:
        pass
    exact = Fraction(value)
    quotient = Context(prec=digits).divide(Decimal(exact.numerator), Decimal(exact.denominator))
    return f"{quotient:.{digits}g}"


def size(value: int | Fraction) -> int:
    """Bits of the larger of numerator and denominator.

    Examples
    --------
    >>> size(Fraction(8, 3)), size(0)
    (4, 0)
    """
    return max(value.numerator.bit_length(), value.denominator.bit_length() if value.denominator != 1 else 0)

"""Facts about polynomials, in exact arithmetic (kinds ``sturm`` and ``identity``).

``sturm``: ``coefficients`` (lowest degree first), ``interval`` [low, high] (``high`` may be null: to infinity),
``roots``: number of distinct real roots in (low, high]; ``sign``: -1 or 1 asserts besides that the polynomial has this
sign at low, hence, with no roots, on the whole interval.

``identity``: ``left`` and ``right``, expressions in ``+ - * /`` and integer powers, of the same value wherever both are
defined; ``definitions`` as everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from cogfit.errors import InputError
from theory.proofs.certificates import Check, Document, entry, exact, items, numbers
from theory.proofs.expressions import Arithmetic, Expression, whole
from theory.proofs.numerals import show_number
from theory.proofs.work import measured, spend

_MAX_PRODUCTS = 20_000
_MAX_DEGREE = 500


def verify_sturm(document: Document) -> Check:
    """Verifier of the kind ``sturm``.

    Examples
    --------
    >>> document = {"coefficients": ["-2", "0", "1"], "interval": ["0", "2"], "roots": 1}
    >>> print(verify_sturm(document))
    holds: 1 distinct real root(s) in (0, 2]
    """
    polynomial = _trimmed(numbers(document.get("coefficients"), "'coefficients'"))
    if not 1 <= len(polynomial) <= _MAX_DEGREE + 1:
        raise InputError(f"certificate: the polynomial is zero, or of a degree beyond {_MAX_DEGREE}")
    ends = items(document, "interval", object, least=2)
    low = exact(ends[0], "'interval'[0]")
    high = None if ends[1] is None else exact(ends[1], "'interval'[1]")
    if high is not None and low > high:
        raise InputError("certificate: the interval is empty")
    chain = _sturm_chain(polynomial)
    roots = _changes([_value(p, low) for p in chain]) - _changes(
        [p[-1] if high is None else _value(p, high) for p in chain]
    )
    where = f"({show_number(low)}, {'∞)' if high is None else f'{show_number(high)}]'}"
    expected = entry(document, "roots", int)
    if roots != expected:
        return Check(False, f"{roots} distinct real root(s) in {where}, not {expected}", {"roots": roots})
    detail = f"{roots} distinct real root(s) in {where}"
    if "sign" in document:
        sign = entry(document, "sign", int)
        at_low = _value(polynomial, low)
        if sign not in (-1, 1):
            raise InputError(f"certificate: 'sign' is {sign}", hint="write 1 or -1")
        if sign * at_low <= 0:
            return Check(
                False, f"the value at {show_number(low)} is {show_number(at_low)}", {"roots": roots, "value": at_low}
            )
        detail += f"; {'positive' if sign > 0 else 'negative'} at {show_number(low)}"
    return Check(True, detail, {"roots": roots})


def verify_identity(document: Document) -> Check:
    """Verifier of the kind ``identity``.

    Examples
    --------
    >>> print(verify_identity({"left": "1/(1 - x) - 1/(1 + x)", "right": "2*x/(1 - x**2)"}))
    holds: left = right for all x
    """
    values: dict[str, Any] = {}
    definitions = entry(document, "definitions", dict, {})
    if clash := {"left", "right"} & set(definitions):
        raise InputError(f"certificate: '{min(clash)}' is a side, not a definition")
    for name, text in {**definitions, "left": document.get("left"), "right": document.get("right")}.items():
        expression = Expression(text, _RATIONAL)
        if {"left", "right"} & expression.names:
            raise InputError("certificate: a side of an identity stands in a formula", hint="give it another name")
        known = {symbol: values.get(symbol, Rational.symbol(symbol)) for symbol in expression.names}
        values[name] = expression(known)
    difference = values["left"] - values["right"]
    symbols = sorted({symbol for name in ("left", "right") for symbol in values[name].symbols})
    if difference.top:
        return Check(False, "left and right differ")
    return Check(True, "left = right" + (f" for all {', '.join(symbols)}" if symbols else ""))


Polynomial = dict[tuple[tuple[str, int], ...], Fraction]
"""Monomial (pairs of name and power, by name) -> coefficient, none zero."""


@dataclass(frozen=True)
class Rational:
    """A quotient of two polynomials, not reduced.

    A rational function in several variables.
    """

    top: Polynomial
    bottom: Polynomial

    @classmethod
    def number(cls, value: Fraction) -> Rational:
        """Constant function."""
        return cls({(): Fraction(value)} if value else {}, {(): Fraction(1)})

    @classmethod
    def symbol(cls, name: str) -> Rational:
        """The variable of this name."""
        return cls({((name, 1),): Fraction(1)}, {(): Fraction(1)})

    @property
    def symbols(self) -> set[str]:
        """Names that occur."""
        return {name for part in (self.top, self.bottom) for monomial in part for name, _ in monomial}

    def __add__(self, other: Rational) -> Rational:
        top = _plus(_times(self.top, other.bottom), _times(other.top, self.bottom))
        return Rational(top, _times(self.bottom, other.bottom))

    def __neg__(self) -> Rational:
        return Rational({monomial: -c for monomial, c in self.top.items()}, self.bottom)

    def __pos__(self) -> Rational:
        return self

    def __sub__(self, other: Rational) -> Rational:
        return self + -other

    def __mul__(self, other: Rational) -> Rational:
        return Rational(_times(self.top, other.top), _times(self.bottom, other.bottom))

    def __truediv__(self, other: Rational) -> Rational:
        if not other.top:
            raise ZeroDivisionError("division by the zero function")
        return Rational(_times(self.top, other.bottom), _times(self.bottom, other.top))

    def __pow__(self, n: int) -> Rational:
        base = self if n >= 0 else Rational.number(Fraction(1)) / self
        out = Rational.number(Fraction(1))
        for _ in range(abs(n)):
            out = out * base
        return out


def _plus(a: Polynomial, b: Polynomial) -> Polynomial:
    out = dict(a)
    for monomial, c in b.items():
        out[monomial] = measured(out.get(monomial, Fraction(0)) + c)
    return {monomial: c for monomial, c in out.items() if c}


def _times(a: Polynomial, b: Polynomial) -> Polynomial:
    if len(a) * len(b) > _MAX_PRODUCTS:
        raise ValueError("the polynomials have too many terms to expand")
    out: Polynomial = {}
    for left, c in a.items():
        for right, d in b.items():
            spend(5)  # monomials are costlier than their coefficients
            powers = dict(left)
            for name, n in right:
                powers[name] = powers.get(name, 0) + n
            monomial = tuple(sorted(powers.items()))
            out[monomial] = measured(out.get(monomial, Fraction(0)) + c * d)
    return {monomial: c for monomial, c in out.items() if c}


def _power(base: Rational, exponent: Rational) -> Rational:
    if exponent.symbols or exponent.bottom != {(): Fraction(1)}:
        raise ValueError("powers must be integers")
    n = whole(exponent.top.get((), Fraction(0)))
    if abs(n) > 200:
        raise ValueError("powers beyond 200 are not expanded")
    return base**n


_RATIONAL = Arithmetic(Rational.number, {}, _power)


def _sturm_chain(polynomial: list[Fraction]) -> list[list[Fraction]]:
    chain = [polynomial, _trimmed([k * c for k, c in enumerate(polynomial)][1:])]
    while chain[-1]:
        chain.append([-c for c in _divided(chain[-2], chain[-1])[1]])
    common = chain[-2]  # the multiple roots; without them the count is right even where an end of the interval is one
    return [_divided(p, common)[0] for p in chain[:-1]]


def _divided(a: list[Fraction], b: list[Fraction]) -> tuple[list[Fraction], list[Fraction]]:
    """Quotient and remainder."""
    remainder, quotient = list(a), [Fraction(0)] * max(len(a) - len(b) + 1, 0)
    while len(remainder) >= len(b):
        shift = len(remainder) - len(b)
        quotient[shift] = remainder[-1] / b[-1]
        remainder = _trimmed(
            [measured(c - quotient[shift] * b[i - shift]) if i >= shift else c for i, c in enumerate(remainder)]
        )
    return quotient, remainder


def _trimmed(polynomial: list[Fraction]) -> list[Fraction]:
    while polynomial and polynomial[-1] == 0:
        polynomial = polynomial[:-1]
    return polynomial


def _value(polynomial: list[Fraction], x: Fraction) -> Fraction:
    total = Fraction(0)
    for c in reversed(polynomial):
        total = measured(total * x + c)
    return total


def _changes(values: list[Fraction]) -> int:
    signs = [value > 0 for value in values if value]
    return sum(a != b for a, b in pairwise(signs))

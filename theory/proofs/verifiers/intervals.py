"""Verify inequalities over a box (kind ``interval``).

At every point, by interval arithmetic.

``box``: object, name -> [low, high] (exact numbers, may be equal). ``definitions``: object, name -> expression that may
use the names before it. ``facts``: list of relations ``left < right`` (``<=``, ``>``, ``>=``). ``digits``: precision
(default 30). ``boxes``: most parts the box may be cut into (default 2000).

Functions: ``exp log log2 sqrt gamma loggamma zeta abs``, constants ``pi e``. A relation is proved on a part of the box
when the enclosures of both sides are apart; a part where they are not is cut in two.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from cogfit.errors import InputError
from theory.proofs.certificates import Check, Document, entry, items, numbers
from theory.proofs.expressions import Arithmetic, Expression, sides
from theory.proofs.work import spend

_Box = dict[str, tuple[Fraction, Fraction]]
_MAX_MAGNITUDE = 40  # bits of the binary exponent of a number; exp of a greater one would never end
_OPERATION, _SERIES, _BOX = 20, 3000, 10  # work of an operation, of a series, of a box, at the default digits
_STRICT = {"<": ("<", 1), "<=": ("<=", 1), ">": ("<", -1), ">=": ("<=", -1)}


def verify(document: Document) -> Check:
    """Verifier of the kind ``interval``.

    Examples
    --------
    >>> box = {"x": ["1/10", "1/2"]}
    >>> print(verify({"box": box, "facts": ["x*(1 - x) <= 0.2501", "log(x) < 0"]}))
    holds: x*(1 - x) <= 0.2501; log(x) < 0
    """
    from mpmath import iv

    digits, most = entry(document, "digits", int, 30), entry(document, "boxes", int, 2000)
    if not 5 <= digits <= 1000 or not 1 <= most <= 100_000:
        raise InputError("certificate: 'digits' lies in 5..1000 and 'boxes' in 1..100000")
    whole_box = _box(document)
    previous = iv.dps
    iv.dps = digits
    try:
        return _verify(document, whole_box, most)
    finally:
        iv.dps = previous


def enclose(text: str, values: dict[str, Any] | None = None) -> Any:
    """Enclosure of an expression.

    An mpmath interval at the current precision of ``mpmath.iv``.

    Examples
    --------
    >>> from mpmath import iv
    >>> value = enclose("zeta(2) - pi**2/6")
    >>> 0 in value, float(value.delta) < 1e-12
    (True, True)
    """
    from mpmath import iv

    return Expression(text, _arithmetic())({"pi": iv.pi, "e": iv.e} | (values or {}))


def _verify(document: Document, whole_box: _Box, most: int) -> Check:
    from mpmath import iv

    arithmetic = _arithmetic()
    texts = entry(document, "definitions", dict, {})
    if clash := ({"pi", "e"} | set(whole_box)) & set(texts) | {"pi", "e"} & set(whole_box):
        raise InputError(f"certificate: '{min(clash)}' is defined twice")
    definitions = {name: Expression(text, arithmetic) for name, text in texts.items()}
    facts = items(document, "facts", str, least=1)
    cuts = 0
    for fact in facts:
        left, relation, right = sides(fact)
        if relation not in _STRICT:
            raise InputError(f"certificate: {fact!r} cannot be proved by intervals", hint="write <, <=, > or >=")
        strict, sign = _STRICT[relation]
        left_side, right_side = Expression(left, arithmetic), Expression(right, arithmetic)
        waiting, done = [whole_box], 0
        while waiting:
            box = waiting.pop()
            spend(_BOX)
            values = {"pi": iv.pi, "e": iv.e} | {name: interval(*ends) for name, ends in box.items()}
            difference, reason = _difference(definitions, left_side, right_side, values)
            if difference is not None:
                difference = sign * difference
                if (difference < 0) if strict == "<" else (difference <= 0):
                    done += 1
                    continue
                if all(low == high for low, high in box.values()) or _apart(difference, strict):
                    return Check(False, f"{fact} is not proved {_where(box)}: left − right lies in {difference}")
            if done + len(waiting) >= most or not box:
                return Check(False, f"{fact} is not proved {_where(box)} with {most} boxes{reason}")
            waiting += _halves(box)
        cuts += done
    return Check(True, "; ".join(facts), {"boxes": cuts})


def _difference(
    definitions: dict[str, Expression], left: Expression, right: Expression, values: dict[str, Any]
) -> tuple[Any, str]:
    """Enclosure of left − right.

    Or None and the reason where it cannot be evaluated on so large a box.
    """
    from mpmath import libmp

    try:
        for name, definition in definitions.items():
            values[name] = definition(values)
        return left(values) - right(values), ""
    except (InputError, libmp.ComplexResult) as error:
        if all(value.delta == 0 for value in values.values()):
            raise InputError(f"certificate: {error}") from error
        return None, f" ({error})"


def _apart(difference: Any, strict: str) -> bool:
    """Whether the relation is false all over the box.

    Then smaller boxes cannot help.
    """
    return bool(difference > 0) if strict == "<=" else bool(difference >= 0)


def _box(document: Document) -> _Box:
    out: _Box = {}
    for name, ends in entry(document, "box", dict, {}).items():
        low, high = numbers(ends, f"box of '{name}'", 2)
        if low > high:
            raise InputError(f"certificate: the box of '{name}' is empty")
        out[name] = (low, high)
    return out


def _halves(box: _Box) -> list[_Box]:
    name = max(box, key=lambda n: box[n][1] - box[n][0])
    low, high = box[name]
    middle = (low + high) / 2
    return [box | {name: (middle, high)}, box | {name: (low, middle)}]


def interval(low: Fraction, high: Fraction) -> Any:
    """The mpmath interval around [low, high].

    Rounded outwards at the current precision.
    """
    from mpmath import iv

    return iv.mpf([(iv.mpf(low.numerator) / low.denominator).a, (iv.mpf(high.numerator) / high.denominator).b])


def _where(box: _Box) -> str:
    ends = (f"{name} in [{float(low):.6g}, {float(high):.6g}]" for name, (low, high) in box.items())
    return "on " + ", ".join(ends) if box else "at the point"


def _arithmetic() -> Arithmetic:
    from mpmath import iv

    def power(base: Any, exponent: Any) -> Any:
        if exponent.delta == 0 and iv.mag(exponent) <= _MAX_MAGNITUDE and exponent.a == int(exponent.a):
            return base ** int(exponent.a)
        if not base > 0:
            raise ValueError("a power that is no integer needs a positive base")
        return iv.exp(exponent * iv.log(base))

    def positive(function: Any) -> Any:
        def apply(x: Any) -> Any:
            if not x > 0:
                raise ValueError("the argument must be positive")
            return function(x)

        return apply

    functions = {
        "exp": iv.exp,
        "log": positive(iv.log),
        "log2": positive(lambda x: iv.log(x) / iv.log(2)),
        "sqrt": lambda x: iv.sqrt(x) if x >= 0 else power(x, iv.mpf(1) / 2),
        "gamma": lambda x: iv.exp(_log_gamma(x)),
        "loggamma": _log_gamma,
        "zeta": _zeta,
        "abs": abs,
    }
    return Arithmetic(lambda x: interval(x, x), functions, power, measure=_measured)


def _measured(value: Any) -> Any:
    """Count an interval that was worked out."""
    from mpmath import iv

    spend(_OPERATION * (30 + iv.dps) // 60)
    for sign, mantissa, exponent, bits in value._mpi_:
        if mantissa and abs(exponent + bits).bit_length() > _MAX_MAGNITUDE:
            raise ValueError(f"{'a negative' if sign else 'a'} number of an exponent beyond all measure")
    return value


# mpmath's own interval loggamma (1.3.0) can miss the value in the last digit, and its zeta knows no intervals. Both are
# done here from asymptotic series whose error lies between 0 and the first term left out.


def _zeta(s: Any) -> Any:
    """Riemann's zeta function for s > 1, where it decreases."""
    from mpmath import iv

    if not s > 1:
        raise ValueError("zeta needs an argument above 1")
    return iv.mpf([_zeta_at(iv.mpf(s.b)).a, _zeta_at(iv.mpf(s.a)).b])


def _zeta_at(s: Any) -> Any:
    """Euler–Maclaurin summation from n on."""
    from mpmath import iv

    spend(_SERIES * (30 + iv.dps) // 60)
    n = iv.mpf(_SHIFT)
    at_n = iv.exp(-s * iv.log(n))
    total = sum((iv.exp(-s * iv.log(iv.mpf(k))) for k in range(1, _SHIFT)), iv.mpf(0)) + n * at_n / (s - 1) + at_n / 2
    rising = s  # s (s+1) ... (s+2j−2)
    terms = []
    for j, number in enumerate(_BERNOULLI, 1):
        terms.append(_ratio(number / math.factorial(2 * j)) * rising * at_n / n ** (2 * j - 1))
        rising = rising * (s + 2 * j - 1) * (s + 2 * j)
    return total + _alternating(terms)


def _log_gamma(x: Any) -> Any:
    """Logarithm of Γ for x > 0.

    Convex, least near 1.4616.
    """
    from mpmath import iv

    if not x > 0:
        raise ValueError("the gamma function needs a positive argument here")
    ends = [_log_gamma_at(iv.mpf(x.a)), _log_gamma_at(iv.mpf(x.b))]
    left, right = (iv.mpf(end) / 10**6 for end in (1461632, 1461633))  # on either side of the minimum
    if x.b < left.a or x.a > right.b:
        return iv.mpf([min(e.a for e in ends), max(e.b for e in ends)])
    return iv.mpf([(iv.mpf(-12148629054) / 10**11).a, max(e.b for e in ends)])


def _log_gamma_at(x: Any) -> Any:
    """Stirling's series at x + n.

    Brought back by the functional equation.
    """
    from mpmath import iv

    spend(_SERIES * (30 + iv.dps) // 60)
    y = x + _SHIFT
    terms = [_ratio(number / (2 * j * (2 * j - 1))) / y ** (2 * j - 1) for j, number in enumerate(_BERNOULLI, 1)]
    stirling = (y - iv.mpf(1) / 2) * iv.log(y) - y + iv.log(2 * iv.pi) / 2 + _alternating(terms)
    return stirling - sum((iv.log(x + j) for j in range(_SHIFT)), iv.mpf(0))


def _alternating(terms: list[Any]) -> Any:
    """Enclosure of an alternating sum.

    All terms but the last, give or take what lies between 0 and the last.
    """
    from mpmath import iv

    last = terms[-1]
    return sum(terms[:-1], iv.mpf(0)) + iv.mpf([min(last.a, iv.mpf(0)), max(last.b, iv.mpf(0))])


def _ratio(value: Fraction) -> Any:
    from mpmath import iv

    return iv.mpf(value.numerator) / value.denominator


_SHIFT = 30
_BERNOULLI = [
    Fraction(1, 6),
    Fraction(-1, 30),
    Fraction(1, 42),
    Fraction(-1, 30),
    Fraction(5, 66),
    Fraction(-691, 2730),
    Fraction(7, 6),
    Fraction(-3617, 510),
    Fraction(43867, 798),
    Fraction(-174611, 330),
]
"""B_2, B_4, ..., B_20."""

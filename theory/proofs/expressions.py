"""The small language of certificates.

Formulas are parsed into a syntax tree and checked, never executed.

It is Python's expression syntax in ASCII, cut down to numbers, names, ``+ - * / // % **``, comparisons,
``and or not``, ``a if c else b``, tuples, indexing, calls of listed functions and ``sum(k, a, b, term)`` with a bound
name ``k``. What numbers and functions mean is said by an :class:`Arithmetic`: exact rationals here, intervals and
polynomials in :mod:`theory.proofs.verifiers`.

A value is a number, a truth value or a tuple of numbers, and none is taken for another: ``1 and 2`` is no fact, and
``True`` is no 1. A literal is worth what is written (:mod:`theory.proofs.numerals`) wherever it stands. All work is
counted (:mod:`theory.proofs.work`).
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cogfit.errors import InputError, nearest
from theory.proofs.numerals import NUMERAL, read_numeral, show_number, size
from theory.proofs.work import MAX_BITS, measured, spend

Environment = Mapping[str, Any]
_Term = Callable[[Environment], Any]

_MAX_LENGTH = 20_000
_MAX_TERMS = 100_000
_MAX_NODES = 2_000

# A number is followed by no letter or digit, so that 0x10 and 1if are none. Quotes, "#" and what is not ASCII are left
# out: a formula has no strings and no comments, and one digit has one way to be written.
_TOKEN = re.compile(rf"(?:{NUMERAL})(?![A-Za-z0-9_.])|[A-Za-z_][A-Za-z0-9_]*|[-+*/%()\[\],<>=! ]")


@dataclass(frozen=True)
class Arithmetic:
    """What the symbols of the language stand for.

    Attributes
    ----------
    number : callable
        Turns an exact number of the text into a value.
    functions : Mapping
        Name -> function of values.
    power : callable
        ``power(base, exponent)``.
    logic : bool
        Whether comparisons, ``and or not``, ``if``, tuples, indexing, ``//`` and ``%`` are part of the language.
    measure : callable
        Counts the work of a value that was worked out, and returns the value.
    """

    number: Callable[[Fraction], Any]
    functions: Mapping[str, Callable[..., Any]]
    power: Callable[[Any, Any], Any]
    logic: bool = False
    measure: Callable[[Any], Any] = lambda value: value


class Expression:
    """A formula, parsed once, evaluated often.

    Parameters
    ----------
    text : str
        The formula.
    arithmetic : Arithmetic, optional
        Default: :data:`EXACT`.

    Attributes
    ----------
    text : str
    names : frozenset of str
        Free names.

    Raises
    ------
    InputError
        If the text is not in the language. Evaluation raises it too: an unknown name, a division by zero, a number
        that would grow beyond all measure.

    Examples
    --------
    >>> formula = Expression("sum(k, 1, n, 1/k) if n > 0 else 0")
    >>> sorted(formula.names), formula({"n": 4})
    (['n'], Fraction(25, 12))
    """

    def __init__(self, text: object, arithmetic: Arithmetic | None = None) -> None:
        self.text, tree = _parse(text)
        self._arithmetic = arithmetic or EXACT
        self._free: set[str] = set()
        self._bound: list[str] = []
        try:
            self._term = self._compile(tree.body)
        except RecursionError as error:
            raise self._error("is nested too deeply") from error
        self.names = frozenset(self._free)

    def __call__(self, environment: Environment) -> Any:
        """Value of the formula for these values of names."""
        try:
            return self._term(environment)
        except InputError:
            raise
        except KeyError as error:
            raise self._error(f"unknown name {error}") from error
        except (ArithmeticError, TypeError, ValueError, IndexError, RecursionError) as error:
            raise self._error(f"cannot be evaluated: {error}") from error

    def _error(self, what: str) -> InputError:
        shown = self.text if len(self.text) <= 80 else self.text[:77] + "..."
        return InputError(f"certificate: expression {shown!r}: {what}")

    def _compile(self, node: ast.expr) -> _Term:
        make = _COMPILE.get(type(node))
        if make is None or (type(node) in _LOGIC and not self._arithmetic.logic):
            raise self._error(f"'{type(node).__name__}' is not part of the language here")
        return make(self, node)

    def _constant(self, node: ast.Constant) -> _Term:
        # from the text, not node.value: 0.1 means one tenth. The text is one line of ASCII, so offsets are places.
        written = self.text[node.col_offset : node.end_col_offset]
        try:
            value = self._arithmetic.number(read_numeral(written))
        except ValueError as error:
            raise self._error(str(error)) from error
        return lambda env: value

    def _name(self, node: ast.Name) -> _Term:
        name = node.id
        if name not in self._bound:
            self._free.add(name)
        return lambda env: env[name]

    def _unary(self, node: ast.UnaryOp) -> _Term:
        operand = self._compile(node.operand)
        if isinstance(node.op, ast.Not) and self._arithmetic.logic:
            return lambda env: not as_truth(operand(env))
        function = _UNARY.get(type(node.op))
        if function is None:
            raise self._error(f"'{type(node.op).__name__}' is not part of the language here")
        return lambda env: function(_one_number(operand(env)))

    def _binary(self, node: ast.BinOp) -> _Term:
        left, right = self._compile(node.left), self._compile(node.right)
        known = type(node.op) not in _LOGIC or self._arithmetic.logic
        function = self._arithmetic.power if isinstance(node.op, ast.Pow) else _BINARY.get(type(node.op))
        if function is None or not known:
            raise self._error(f"'{type(node.op).__name__}' is not part of the language here")
        measure = self._arithmetic.measure
        return lambda env: measure(function(_one_number(left(env)), _one_number(right(env))))

    def _compare(self, node: ast.Compare) -> _Term:
        terms = [self._compile(term) for term in (node.left, *node.comparators)]
        relations = [RELATIONS.get(_RELATION_NAMES.get(type(op), "")) for op in node.ops]
        if None in relations:
            raise self._error("only < <= > >= == != compare")

        def holds(env: Environment) -> bool:
            values = [term(env) for term in terms]
            pairs = zip(relations, values, values[1:], strict=False)
            return all(r(*_alike(a, b)) for r, a, b in pairs if r is not None)

        return holds

    def _boolean(self, node: ast.BoolOp) -> _Term:
        terms = [self._compile(term) for term in node.values]
        every = isinstance(node.op, ast.And)
        # a generator: what stands behind a term that decides is not worked out
        return lambda env: (all if every else any)(as_truth(term(env)) for term in terms)

    def _condition(self, node: ast.IfExp) -> _Term:
        test, yes, no = self._compile(node.test), self._compile(node.body), self._compile(node.orelse)
        return lambda env: yes(env) if _as_flag(test(env)) else no(env)

    def _tuple(self, node: ast.Tuple | ast.List) -> _Term:
        terms = [self._compile(term) for term in node.elts]
        return lambda env: _one_list(tuple(term(env) for term in terms))

    def _subscript(self, node: ast.Subscript) -> _Term:
        value, index = self._compile(node.value), self._compile(node.slice)
        return lambda env: _entry(value(env), index(env))

    def _call(self, node: ast.Call) -> _Term:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise self._error("only functions by name, without keywords, are called")
        if node.func.id == "sum":
            return self._sum(node.args)
        function = self._arithmetic.functions.get(node.func.id)
        if function is None:
            hint = nearest(node.func.id, [*self._arithmetic.functions, "sum"])
            raise self._error(f"unknown function '{node.func.id}'; {hint}")
        terms, measure = [self._compile(term) for term in node.args], self._arithmetic.measure
        return lambda env: measure(function(*(term(env) for term in terms)))

    def _sum(self, arguments: list[ast.expr]) -> _Term:
        if len(arguments) != 4 or not isinstance(arguments[0], ast.Name):
            raise self._error("a sum is written sum(k, first, last, term)")
        index = arguments[0].id
        first, last = (self._compile_range(bound) for bound in arguments[1:3])
        self._bound.append(index)
        term = self._compile(arguments[3])
        self._bound.pop()
        number, measure = self._arithmetic.number, self._arithmetic.measure

        def total(env: Environment) -> Any:
            low, high = whole(first(env)), whole(last(env))
            if high - low >= _MAX_TERMS:
                raise self._error(f"a sum of more than {_MAX_TERMS} terms")
            inner, value = dict(env), number(Fraction(0))
            for k in range(low, high + 1):
                spend(2)
                inner[index] = number(Fraction(k))
                value = measure(value + _one_number(term(inner)))
            return value

        return total

    def _compile_range(self, node: ast.expr) -> _Term:
        """Compile an end of a sum: a matter of counting.

        It is exact whatever the arithmetic of the terms.
        """
        outer, self._arithmetic = self._arithmetic, EXACT
        try:
            return self._compile(node)
        finally:
            self._arithmetic = outer


def as_truth(value: Any) -> bool:
    """The value, if it is a truth value.

    TypeError otherwise: ``1`` is not true.
    """
    if not isinstance(value, bool):
        raise TypeError("a number stands where a comparison is needed")
    return value


def _as_flag(value: Any) -> bool:
    """What ``if`` asks: a truth value, or one of the numbers 1 and 0.

    Whether a router attended is given as a number.
    """
    return as_truth(value if isinstance(value, tuple) or value not in (0, 1) else bool(value))


def _one_list(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values, if all are numbers, or all are lists: a table."""
    return values if values and all(isinstance(value, tuple) for value in values) else tuple(map(_one_number, values))


def _one_number(value: Any) -> Any:
    """The value, if it is a number of the arithmetic."""
    if isinstance(value, bool | tuple):
        raise TypeError(f"a {'list' if isinstance(value, tuple) else 'comparison'} stands where a number is needed")
    return value


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """Two values that can be compared: of one kind."""
    kinds = {bool if isinstance(v, bool) else tuple if isinstance(v, tuple) else Fraction for v in (left, right)}
    if len(kinds) > 1:
        raise TypeError("values of different kinds are compared")
    spend(1 + (len(left) if isinstance(left, tuple) else 0))
    return left, right


def _entry(values: Any, index: Any) -> Any:
    if not isinstance(values, tuple):
        raise TypeError("only lists have entries")
    i = whole(index)
    if not 0 <= i < len(values):
        raise IndexError(f"no entry {i} among {len(values)}")
    return values[i]


def whole(value: Any) -> int:
    """The value as an integer.

    ValueError where it is none.
    """
    number = Fraction(_one_number(value))
    if number.denominator != 1:
        raise ValueError(f"{show_number(number)} is not an integer")
    return number.numerator


def divide(left: Any, right: Any) -> Any:
    """Quotient, exact for integers."""
    return Fraction(left, right) if isinstance(left, int) and isinstance(right, int) else left / right


def _parse(text: object) -> tuple[str, ast.Expression]:
    """Text as one line, and its syntax tree."""
    if not isinstance(text, str) or len(text) > _MAX_LENGTH:
        raise InputError(f"certificate: an expression is a text of at most {_MAX_LENGTH} characters")
    line = re.sub(r"[ \t\r\n]+", " ", text).strip(" ")
    start = _read_tokens(line)
    if start < len(line):
        raise InputError(f"certificate: expression {line[:80]!r} cannot be read at {line[start : start + 20]!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of what is refused anyway
            tree = ast.parse(line, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"certificate: expression {line[:80]!r} cannot be parsed ({error})") from error
    if sum(1 for _ in ast.walk(tree)) > _MAX_NODES:
        raise InputError(f"certificate: expression {line[:40]!r}... has more than {_MAX_NODES} parts")
    return line, tree


def _read_tokens(line: str) -> int:
    """How far a line consists of tokens of the language."""
    position = 0
    while match := _TOKEN.match(line, position):
        position = match.end()
    return position


def exact_number(value: Fraction) -> int | Fraction:
    """Integers stay integers, so that they can index."""
    return value.numerator if value.denominator == 1 else value


def exact_power(base: Any, exponent: Any) -> Any:
    """Integer power of an exact number.

    ValueError for any other exponent, or a result of more than a million bits.
    """
    n, b = whole(exponent), Fraction(base)
    if abs(n) * size(b) > MAX_BITS and size(b) > 1:
        raise ValueError(f"a power of more than {MAX_BITS} bits")
    return exact_number(b**n)


def _put(values: Any, index: Any, value: Any) -> tuple[Any, ...]:
    _entry(values, index)
    i = whole(index)
    return (*values[:i], _one_number(value), *values[i + 1 :])


def _repeat(value: Any, times: Any) -> tuple[Any, ...]:
    if not 0 <= whole(times) <= _MAX_TERMS:
        raise ValueError(f"a list of {show_number(times)} entries")
    return (_one_number(value),) * whole(times)


def _length(values: Any) -> int:
    if not isinstance(values, tuple):
        raise TypeError("only lists have a length")
    return len(values)


def _measured(value: Any) -> Any:
    """Count a value of the exact arithmetic."""
    if isinstance(value, tuple):
        spend(len(value))
        return value
    return value if isinstance(value, bool) else measured(value)


def _of_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Function of numbers, or of one list of them."""

    def apply(*values: Any) -> Any:
        numbers = values[0] if len(values) == 1 and isinstance(values[0], tuple) else values
        spend(len(numbers))
        return function(_one_number(value) for value in numbers)

    return apply


_UNARY: dict[type, Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: divide,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_RELATION_NAMES: dict[type, str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_LOGIC = frozenset({ast.Compare, ast.BoolOp, ast.IfExp, ast.Tuple, ast.List, ast.Subscript, ast.FloorDiv, ast.Mod})
_COMPILE: dict[type, Callable[[Expression, Any], _Term]] = {
    ast.Constant: Expression._constant,
    ast.Name: Expression._name,
    ast.UnaryOp: Expression._unary,
    ast.BinOp: Expression._binary,
    ast.Compare: Expression._compare,
    ast.BoolOp: Expression._boolean,
    ast.IfExp: Expression._condition,
    ast.Tuple: Expression._tuple,
    ast.List: Expression._tuple,
    ast.Subscript: Expression._subscript,
    ast.Call: Expression._call,
}

EXACT = Arithmetic(
    number=exact_number,
    functions={
        "abs": lambda x: abs(_one_number(x)),
        "floor": lambda x: Fraction(_one_number(x)).__floor__(),
        "ceil": lambda x: Fraction(_one_number(x)).__ceil__(),
        "len": _length,
        "max": _of_numbers(max),
        "min": _of_numbers(min),
        "put": _put,
        "repeat": _repeat,
    },
    power=exact_power,
    logic=True,
    measure=_measured,
)
"""Exact rational numbers, lists of them (from 0; ``put(list, i, x)``, ``repeat(x, n)``, ``len``), truth values."""


def constant(value: object, where: str = "number") -> Fraction:
    """Exact value of an integer or a formula.

    The formula has no names.

    Raises
    ------
    InputError
        If it is neither.

    Examples
    --------
    >>> constant("1 - (29/30)**2")
    Fraction(59, 900)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return Fraction(value)
    number = Expression(value)({}) if isinstance(value, str) else None
    if isinstance(number, bool) or not isinstance(number, int | Fraction):
        raise InputError(f"certificate: {where} is no exact number", hint='write "p/q", or a formula of numbers')
    return Fraction(number)


def sides(text: str) -> tuple[str, str, str]:
    """Split a relation ``left < right`` into left, relation, right.

    Raises
    ------
    InputError
        If the text is not one comparison by ``< <= > >= ==`` or ``!=``.

    Examples
    --------
    >>> sides("x**2 + 1 >= 2*x")
    ('x**2 + 1', '>=', '2*x')
    """
    source, tree = _parse(text)
    body = tree.body
    if not isinstance(body, ast.Compare) or len(body.ops) != 1 or type(body.ops[0]) not in _RELATION_NAMES:
        raise InputError(f"certificate: {text[:80]!r} is not one comparison", hint="write left <= right")
    left, right = (source[side.col_offset : side.end_col_offset] for side in (body.left, body.comparators[0]))
    return left, _RELATION_NAMES[type(body.ops[0])], right

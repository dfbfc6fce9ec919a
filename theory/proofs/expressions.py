"""The small language of certificates.

Formulas are parsed into a syntax tree and checked, never executed.

It is Python's expression syntax cut down to numbers, names, ``+ - * / // % **``, comparisons, ``and or not``,
``a if c else b``, tuples, indexing, calls of listed functions and ``sum(k, a, b, term)`` with a bound name ``k``. What
numbers and functions mean is said by an :class:`Arithmetic`: exact rationals here, intervals and polynomials in
:mod:`theory.proofs.verifiers`.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cogfit.errors import InputError, nearest

Environment = Mapping[str, Any]
_Term = Callable[[Environment], Any]

_MAX_LENGTH = 20_000
_MAX_TERMS = 100_000
_MAX_BITS = 1_000_000
_MAX_NODES = 2_000


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
    """

    number: Callable[[Fraction], Any]
    functions: Mapping[str, Callable[..., Any]]
    power: Callable[[Any, Any], Any]
    logic: bool = False


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
        tree = _parse(text)
        self.text = str(text).strip()
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
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise self._error(f"{node.value!r} is not a number")
        written = ast.get_source_segment(self.text, node)  # not node.value: 0.1 means one tenth
        value = self._arithmetic.number(Fraction((written or "").replace("_", "")))
        return lambda env: value

    def _name(self, node: ast.Name) -> _Term:
        name = node.id
        if name not in self._bound:
            self._free.add(name)
        return lambda env: env[name]

    def _unary(self, node: ast.UnaryOp) -> _Term:
        if isinstance(node.op, ast.Not) and not self._arithmetic.logic:
            raise self._error("'Not' is not part of the language here")
        function, operand = _UNARY.get(type(node.op)), self._compile(node.operand)
        if function is None:
            raise self._error(f"'{type(node.op).__name__}' is not part of the language")
        return lambda env: function(operand(env))

    def _binary(self, node: ast.BinOp) -> _Term:
        left, right = self._compile(node.left), self._compile(node.right)
        if isinstance(node.op, ast.Pow):
            power = self._arithmetic.power
            return lambda env: power(left(env), right(env))
        if isinstance(node.op, ast.Div):
            return lambda env: divide(left(env), right(env))
        function = _BINARY.get(type(node.op))
        if function is None or (type(node.op) in _LOGIC and not self._arithmetic.logic):
            raise self._error(f"'{type(node.op).__name__}' is not part of the language here")
        return lambda env: function(left(env), right(env))

    def _compare(self, node: ast.Compare) -> _Term:
        terms = [self._compile(term) for term in (node.left, *node.comparators)]
        relations = [RELATIONS.get(_RELATION_NAMES.get(type(op), "")) for op in node.ops]
        if None in relations:
            raise self._error("only < <= > >= == != compare")

        def holds(env: Environment) -> bool:
            values = [term(env) for term in terms]
            return all(r(a, b) for r, a, b in zip(relations, values, values[1:], strict=False) if r is not None)

        return holds

    def _boolean(self, node: ast.BoolOp) -> _Term:
        terms = [self._compile(term) for term in node.values]
        every = isinstance(node.op, ast.And)
        return lambda env: all(t(env) for t in terms) if every else any(t(env) for t in terms)

    def _condition(self, node: ast.IfExp) -> _Term:
        test, yes, no = self._compile(node.test), self._compile(node.body), self._compile(node.orelse)
        return lambda env: yes(env) if test(env) else no(env)

    def _tuple(self, node: ast.Tuple | ast.List) -> _Term:
        terms = [self._compile(term) for term in node.elts]
        return lambda env: tuple(term(env) for term in terms)

    def _subscript(self, node: ast.Subscript) -> _Term:
        value, index = self._compile(node.value), self._compile(node.slice)
        return lambda env: value(env)[whole(index(env))]

    def _call(self, node: ast.Call) -> _Term:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise self._error("only functions by name, without keywords, are called")
        if node.func.id == "sum":
            return self._sum(node.args)
        function = self._arithmetic.functions.get(node.func.id)
        if function is None:
            hint = nearest(node.func.id, [*self._arithmetic.functions, "sum"])
            raise self._error(f"unknown function '{node.func.id}'; {hint}")
        terms = [self._compile(term) for term in node.args]
        return lambda env: function(*(term(env) for term in terms))

    def _sum(self, arguments: list[ast.expr]) -> _Term:
        if len(arguments) != 4 or not isinstance(arguments[0], ast.Name):
            raise self._error("a sum is written sum(k, first, last, term)")
        index = arguments[0].id
        # The range is a matter of counting, whatever the arithmetic of the terms.
        first, last = (Expression(ast.unparse(bound)) for bound in arguments[1:3])
        self._free |= (first.names | last.names) - set(self._bound)
        self._bound.append(index)
        term = self._compile(arguments[3])
        self._bound.pop()
        number = self._arithmetic.number

        def total(env: Environment) -> Any:
            low, high = whole(first(env)), whole(last(env))
            if high - low >= _MAX_TERMS:
                raise self._error(f"a sum of more than {_MAX_TERMS} terms")
            inner, value = dict(env), number(Fraction(0))
            for k in range(low, high + 1):
                inner[index] = number(Fraction(k))
                value = value + term(inner)
            return value

        return total


def whole(value: Any) -> int:
    """The value as an integer.

    ValueError where it is none.
    """
    number = Fraction(value)
    if number.denominator != 1:
        raise ValueError(f"{number} is not an integer")
    return number.numerator


def divide(left: Any, right: Any) -> Any:
    """Quotient, exact for integers."""
    return Fraction(left, right) if isinstance(left, int) and isinstance(right, int) else left / right


def _parse(text: object) -> ast.Expression:
    if not isinstance(text, str) or len(text) > _MAX_LENGTH:
        raise InputError(f"certificate: an expression is a text of at most {_MAX_LENGTH} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of what is refused anyway
            tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"certificate: expression {text[:80]!r} cannot be parsed ({error})") from error
    if sum(1 for _ in ast.walk(tree)) > _MAX_NODES:
        raise InputError(f"certificate: expression {text[:40]!r}... has more than {_MAX_NODES} parts")
    return tree


def exact_number(value: Fraction) -> int | Fraction:
    """Integers stay integers, so that they can index."""
    return value.numerator if value.denominator == 1 else value


def exact_power(base: Any, exponent: Any) -> Any:
    """Integer power of an exact number.

    ValueError for any other exponent, or a result of more than a million bits.
    """
    n, b = whole(exponent), Fraction(base)
    size = max(b.numerator.bit_length(), b.denominator.bit_length())
    if abs(n) * size > _MAX_BITS and size > 1:
        raise ValueError(f"a power of more than {_MAX_BITS} bits")
    return exact_number(b**n)


def _put(values: tuple[Any, ...], index: Any, value: Any) -> tuple[Any, ...]:
    i = whole(index)
    if not 0 <= i < len(values):
        raise IndexError(f"no entry {i} among {len(values)}")
    return (*values[:i], value, *values[i + 1 :])


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, tuple) or isinstance(right, tuple):
        raise TypeError("lists are not added")
    return left + right


def _multiply(left: Any, right: Any) -> Any:
    if isinstance(left, tuple) or isinstance(right, tuple):
        raise TypeError("lists are not multiplied")
    return left * right


def _repeat(value: Any, times: Any) -> tuple[Any, ...]:
    if not 0 <= whole(times) <= _MAX_TERMS:
        raise ValueError(f"a list of {times} entries")
    return (value,) * whole(times)


_UNARY: dict[type, Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_}
_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: _add,
    ast.Sub: operator.sub,
    ast.Mult: _multiply,
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
        "abs": abs,
        "floor": lambda x: Fraction(x).__floor__(),
        "ceil": lambda x: Fraction(x).__ceil__(),
        "len": len,
        "max": max,
        "min": min,
        "put": _put,
        "repeat": _repeat,
    },
    power=exact_power,
    logic=True,
)
"""Exact rational numbers, tuples (from index 0; ``put(list, i, x)``, ``repeat(x, n)``, ``len``), truth values."""


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
    body = _parse(text).body
    if not isinstance(body, ast.Compare) or len(body.ops) != 1 or type(body.ops[0]) not in _RELATION_NAMES:
        raise InputError(f"certificate: {text[:80]!r} is not one comparison", hint="write left <= right")
    source = text.strip()
    left, right = (ast.get_source_segment(source, side) or "" for side in (body.left, body.comparators[0]))
    return left, _RELATION_NAMES[type(body.ops[0])], right

"""The language of certificates: exact, small, and nothing in it can act."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogfit.errors import InputError
from theory.proofs.expressions import Expression, constant, sides
from theory.proofs.work import limited_work

NUMBERS = st.fractions(min_value=-20, max_value=20, max_denominator=30)


@given(NUMBERS, NUMBERS, NUMBERS, st.integers(0, 6))
def test_arithmetic_is_that_of_fractions(x: Fraction, y: Fraction, z: Fraction, n: int) -> None:
    env = {"x": x, "y": y, "z": z, "n": n}
    assert Expression("(x - y)*z + x**n - -y")(env) == (x - y) * z + x**n + y
    assert Expression("x // 3 + (x % 3) / 7")(env) == x // 3 + (x % 3) / 7
    assert Expression("x < y <= z or not x == y")(env) is (x < y <= z or x != y)
    assert Expression("sum(k, 0, n, x*k - sum(j, 1, k, y))")(env) == sum(x * k - y * k for k in range(n + 1))
    assert Expression("max(x, y, 0) if n > 2 else floor(x) + ceil(y) + abs(z)")(env) == (
        max(x, y, 0) if n > 2 else x.__floor__() + y.__ceil__() + abs(z)
    )


def test_decimals_mean_what_is_written() -> None:
    assert constant("0.1 + 0.2") == Fraction(3, 10)
    assert constant("1e-3") == Fraction(1, 1000)
    assert constant("1_000") == 1000


def test_lists_are_indexed_and_copied() -> None:
    before = (1, 2, 3)
    assert Expression("put(m, 1, m[0] + len(m))")({"m": before}) == (1, 4, 3)
    assert before == (1, 2, 3)
    assert Expression("repeat(1/4, 4)")({}) == (Fraction(1, 4),) * 4
    assert Expression("(1, 2)[1]")({}) == 2


@pytest.mark.parametrize(
    "text",
    [
        "().__class__", "x.real", "lambda: 1", "[k for k in (1, 2)]", "f'{1}'", "'a' * 3", "open('x')",
        "__import__('os')", "print(1)", "max(*x)", "max(x, key=x)", "True", "None", "1j", "x := 1", "x if", "1 +", "",
        "x is y", "1 in (1, 2)", "~1", "1 << 3", "x @ y", "sum(1, 2)", "sum(2, 1, 3, 4)", "{1: 2}", "await x",
        "import os",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="certificate"):
        Expression(text)({"x": (1, 2), "y": 1})


@pytest.mark.parametrize(
    "text",
    [
        "1/0", "x", "2**(1/2)", "0**(-1)", "9**9**9", "2**100000000", "sum(k, 1, 10**9, k)", "repeat(0, 10**9)",
        "(1, 2)*9", "(1,) + (2,)", "(1, 2)[2]", "(1, 2)[1/2]", "put((1, 2), -1, 0)", "1 < (1, 2)", "max()",
        "len(3)", "(" * 500 + "1" + ")" * 500, "-" * 3000 + "1", "+".join("1" * 3000),
        "1" * 30_000,
    ],
)  # fmt: skip
def test_what_cannot_be_evaluated_is_an_error_in_one_line(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Expression(text)({})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_relations_are_taken_apart() -> None:
    assert sides("a*(b + 1) <= 2/3") == ("a*(b + 1)", "<=", "2/3")
    for text in ("a", "a < b < c", "a <= b and c", "a is b"):
        with pytest.raises(InputError, match="comparison"):
            sides(text)


def test_constants_are_numbers() -> None:
    assert constant(7) == 7
    for value in (1.5, True, None, "1 < 2", "(1, 2)", [1]):
        with pytest.raises(InputError, match="exact number"):
            constant(value)


@pytest.mark.parametrize(
    "text",
    [
        "1 and 2", "1 and 1", "0 or 1", "not 0", "1 < 2 and 1", "2 or 1 < 2", "(1 < 2) + 1", "-(1 < 2)", "(1 < 2) == 1",
        "(1 < 2) < 2", "(1, 2) == 1", "1 != (1, 2)", "1 if 2 else 0", "1 if (1,) else 0", "max(1 < 2, 0)", "(1 < 2, 1)",
        "repeat(1 < 2, 2)", "put((1, 2), 0, 1 < 2)", "(1, 2)[1 < 2]", "(1, 2)[-1]", "abs((1, 2))", "floor(1 < 2)",
        "sum(k, 1, 2, k < 2)", "2**(1 < 2)", "((1, 2), 3)", "len((1 < 2, 3))",
    ],
)  # fmt: skip
def test_no_value_is_taken_for_one_of_another_kind(text: str) -> None:
    with pytest.raises(InputError, match="certificate"):
        Expression(text)({})


@pytest.mark.parametrize("text", ["x ＋ 1", "ｘ + 1", "'1'", "1 # one", "x\\\n+1", "1\x0c+1", "x; y", "1\u00a0+ 1"])
def test_formulas_are_ascii_without_strings_and_comments(text: str) -> None:
    with pytest.raises(InputError, match="cannot be read at"):
        Expression(text)({"x": 1})


ENDLESS = {
    "nested sums": "sum(k, 1, 99999, sum(j, 1, 99999, 1)) > 0",
    "nested sums of nothing": "sum(k, 1, 99999, sum(j, 1, 0, sum(l, 1, 99999, 1)) + sum(j, 1, 99999, 0)) == 0",
    "long lists": "sum(k, 1, 99999, len(repeat(0, 99999))) > 0",
    "lists that are changed": "sum(k, 0, 99998, put(repeat(0, 99999), k, 1)[k]) > 0",
    "lists that are compared": "sum(k, 1, 99999, 1 if repeat(0, 99999) == repeat(0, 99999) else 0) > 0",
    "the harmonic series": "sum(k, 1, 99999, 1/k) > 0",
    "large powers": "sum(k, 1, 99999, (2/3)**(300000 + k)) > 0",
    "powers of powers": "((((9**99)**99)**99)**99)**99 > 0",
}


@pytest.mark.parametrize("what", ENDLESS)
def test_work_has_an_end(what: str) -> None:
    with limited_work(200_000), pytest.raises(InputError, match=r"too much work|bits"):
        Expression(ENDLESS[what])({})

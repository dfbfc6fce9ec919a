"""Text to number: one path, exact, in ASCII, and never without end."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogfit.errors import InputError
from theory.proofs.certificates import exact
from theory.proofs.expressions import Expression
from theory.proofs.numerals import read_numeral, read_ratio, show_number
from theory.proofs.verdict import Verdict

DIGITS = st.text("0123456789", min_size=1, max_size=40)


def in_decimals(whole: str, decimals: str) -> Fraction:
    """By counting places, with no parser of fractions."""
    return Fraction(int(whole + decimals), 10 ** len(decimals))


@given(DIGITS, DIGITS, st.integers(-40, 40))
def test_a_literal_is_worth_what_is_written(whole: str, decimals: str, power: int) -> None:
    value = in_decimals(whole, decimals)
    assert read_numeral(f"{whole}.{decimals}") == read_ratio(f"{whole}.{decimals}") == value
    assert read_numeral(f"{whole}.{decimals}e{power}") == value * Fraction(10) ** power
    assert read_ratio(f"-{whole}.{decimals}") == -value


POSITIONS = {
    "alone": "X",
    "under a sign": "-(-X)",
    "in a condition": "X if X == X else 0",
    "as a test": "1 if 0 <= X else 0",
    "in a list": "(X, 1)[0]",
    "as an argument": "max(X, -1)",
    "in the term of a sum": "sum(k, 1, 1, X)",
    "as the start of a sum": "sum(k, floor(X), floor(X), 1)",
    "as the end of a sum": "sum(k, 1, floor(X) % 50, k)",
    "in a bound inside of a sum": "sum(j, 0, 1, sum(k, 1, ceil(X) % 9, j*k))",
    "as a base": "X**2",
    "as an exponent": "2**(floor(X) % 30)",
    "as an index": "(5, 6, 7)[floor(X) % 3]",
    "as a length": "len(repeat(0, floor(X) % 40))",
    "as a new entry": "put((1, 2), 0, X)[0]",
    "on lines": "(1 +\n  X)",
}


@pytest.mark.parametrize("place", POSITIONS)
@given(whole=DIGITS, decimals=DIGITS)
def test_literals_are_exact_wherever_they_stand(place: str, whole: str, decimals: str) -> None:
    """The text of a number and a name with its value cannot be told apart."""
    pattern, value = POSITIONS[place], in_decimals(whole, decimals)
    text = str(int(whole)) + "." + decimals
    assert Expression(pattern.replace("X", text))({}) == Expression(pattern)({"X": value})


NO_NUMBERS = ["0x10", "0b1", "0o7", "1_", "_1", "1__0", "٣", "１", "²", "1e5000", "1e999999999", "1e-999999999", "1e",
              "1j", "1L", "12abc", "1.2.3", "", ".", "1" * 4001, "9" * 20_000, "0." + "9" * 5000, "1e" + "9" * 10_000,
              "inf", "nan", "1 2"]  # fmt: skip


@pytest.mark.parametrize("text", NO_NUMBERS, ids=range(len(NO_NUMBERS)))
def test_what_is_no_number_is_an_error_in_every_place(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        read_numeral(text)
    with pytest.raises(InputError):
        exact(text)
    for pattern in POSITIONS.values():
        with pytest.raises(InputError):
            Expression(pattern.replace("X", text))({})


@pytest.mark.parametrize("text", ["1/0", "1/-2", "--1", "1e5", "1_000", " 1", "1\n", "+", "1/", "/2", "1.5/2", "٣/٤"])
def test_an_exact_number_is_written_in_one_way(text: str) -> None:
    with pytest.raises(InputError, match="not an exact number"):
        exact(text)


@pytest.mark.parametrize("text", ["1e999999999", "٣", "1/0", "9" * 5000])
def test_the_numbers_of_a_verdict_take_the_same_path(text: str) -> None:
    verdict = Verdict("A", "b", "proved", "C.", {"kind": "arithmetic", "facts": ["1 < 2"]}, computed={"x": 1})
    with pytest.raises(InputError, match="no verdict"):
        Verdict.from_json(verdict.to_json() | {"computed": {"x": text}})


@given(st.integers(-(10**6), 10**6), st.integers(1, 10**6), st.integers(-3000, 3000))
def test_numbers_of_any_size_are_shown(top: int, bottom: int, power: int) -> None:
    value = Fraction(top, bottom) * Fraction(10) ** power
    text = show_number(value)
    assert len(text) <= 41
    if "e" in text:
        mantissa, exponent = text.split("e")
        assert abs(Fraction(mantissa) * Fraction(10) ** int(exponent) - value) <= abs(value) / 10**11

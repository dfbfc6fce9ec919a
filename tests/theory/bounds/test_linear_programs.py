"""Linear programs: HiGHS's multipliers have the signs of a certificate, and rounding makes one."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import theory
from cogfit.errors import CogfitError
from theory.bounds.linear_programs import Program

NUMBERS = st.integers(1, 6)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=4), NUMBERS, NUMBERS)
def test_rounded_solutions_are_certificates(rows: list[tuple[int, int, int]], c: int, d: int) -> None:
    program = Program()
    x, y, z = program.variable(c), program.variable(d), program.variable(-1)
    for a, b, bound in rows:
        program.constrain({x: a, y: b}, ">=", bound)
    program.constrain({z: 1, x: -1}, "==", 0)
    program.constrain({z: 1}, "<=", Fraction(1, 3))
    check = theory.verify(program.rounded("random"))
    assert check.ok, check.detail
    assert float(check.facts["primal value"]) == pytest.approx(program.optimum().value, abs=1e-9)


def test_programs_without_optimum_are_named() -> None:
    impossible = Program()
    impossible.constrain({impossible.variable(1): 1}, "<=", -1)
    unbounded = Program()
    unbounded.constrain({unbounded.variable(-1): 1}, ">=", 1)
    for program in (impossible, unbounded):
        with pytest.raises(CogfitError, match="HiGHS finds no optimum"):
            program.optimum()


def test_a_claimed_value_is_part_of_the_certificate() -> None:
    program = Program()
    program.constrain({program.variable(3): 2}, ">=", 1)
    assert theory.verify(program.rounded("", "3/2")).ok
    assert not theory.verify(program.rounded("", "3/2 - 1/10**9")).ok

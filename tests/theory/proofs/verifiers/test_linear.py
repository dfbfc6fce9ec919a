"""Duality certificates of linear programs: each condition of optimality is needed, at its boundary."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from cogfit.errors import InputError
from theory.proofs.verifiers.linear import verify


def program(relation: str = ">=", bound: int = 1, **change: Any) -> dict[str, Any]:
    """Least 2x + 3y with x + y ≥ 1: 2, at (1, 0), with the multiplier 2."""
    row = {"terms": [[0, "1"], [1, "1"]], "relation": relation, "bound": str(bound)}
    document = {"objective": ["2", "3"], "rows": [row], "primal": ["1", "0"], "dual": ["2"], "value": "2"}
    return document | change


def test_both_values_are_reported() -> None:
    check = verify(program())
    assert check.ok
    assert check.detail == "the least value is 2: primal and dual solutions are feasible and agree"
    assert check.facts == {"primal value": 2, "dual value": 2}
    wrong = verify(program(value="1"))
    assert not wrong.ok
    assert wrong.detail == "values differ: primal 2, dual 2, asserted 1"
    assert wrong.facts == {"primal value": 2, "dual value": 2}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"primal": ["1/2", "0"]}, "violates row 0: 1/2 >= 1 is false"),
        ({"primal": ["2", "-1"]}, "negative in variable 1: -1"),
        ({"dual": ["3"]}, "constraint of variable 0: reduced cost -1"),
        ({"dual": ["-1"]}, "wrong sign in row 0: -1 for >="),
        ({"free": [1]}, "constraint of variable 1: reduced cost 1"),
        ({"dual": ["1"]}, "values differ: primal 2, dual 1, asserted 2"),
        ({"dual": ["0"], "value": "0"}, "values differ: primal 2, dual 0, asserted 0"),
        ({"primal": ["2", "0"], "value": "4"}, "values differ: primal 4, dual 2, asserted 4"),
    ],
)
def test_every_condition_of_optimality_is_needed(change: dict[str, Any], reason: str) -> None:
    check = verify(program(**change))
    assert not check.ok
    assert reason in check.detail


@pytest.mark.parametrize("x", [Fraction(-1), Fraction(0), Fraction(1, 2)])
@pytest.mark.parametrize("y", [Fraction(-1), Fraction(0), Fraction(2)])
@pytest.mark.parametrize("relation", [">=", "==", "<="])
@pytest.mark.parametrize("is_free", [False, True])
def test_one_variable_against_the_definition(x: Fraction, y: Fraction, relation: str, is_free: bool) -> None:
    """Least c·x with a·x (relation) b, all feasible signs of x, y and c − a·y, over a small grid."""
    for c, b in ((Fraction(0), Fraction(0)), (Fraction(2), Fraction(0)), (Fraction(2), Fraction(1, 2))):
        is_row_kept = {">=": x >= b, "==": x == b, "<=": x <= b}[relation]
        is_sign_right = {">=": y >= 0, "==": True, "<=": y <= 0}[relation]
        is_dual_feasible = c == y if is_free else c >= y
        is_optimal = is_row_kept and is_sign_right and is_dual_feasible and (is_free or x >= 0) and c * x == b * y
        document = {
            "objective": [str(c)],
            "rows": [{"terms": [[0, "1"]], "relation": relation, "bound": str(b)}],
            "free": [0] * is_free,
            "primal": [str(x)],
            "dual": [str(y)],
            "value": str(c * x),
        }
        assert verify(document).ok == is_optimal


def test_rows_share_the_cost() -> None:
    """Least x + y with x ≥ 1, x + 2y ≥ 3, y ≤ 5: 2, at (1, 1), with multipliers 1/2, 1/2 and 0."""
    rows = [
        {"terms": [[0, "1"]], "relation": ">=", "bound": "1"},
        {"terms": [[0, "1"], [1, "2"]], "relation": ">=", "bound": "3"},
        {"terms": [[1, "1"]], "relation": "<=", "bound": "5"},
    ]
    document = {"objective": ["1", "1"], "rows": rows, "primal": ["1", "1"], "dual": ["1/2", "1/2", "0"]}
    assert verify({**document, "value": "1 + 1"}).ok
    assert "row 2: 1 for <=" in verify({**document, "dual": ["1/2", "1/2", "1"], "value": "2"}).detail
    assert "violates row 2" in verify({**document, "primal": ["1", "6"], "value": "2"}).detail


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"relation": ">"}, "row 0 has the relation '>'"),
        ({"terms": [[2, "1"]]}, "row 0 names the variable 2"),
        ({"terms": [[-1, "1"]]}, "row 0 names the variable -1"),
        ({"terms": [[True, "1"]]}, "row 0 names the variable True"),
        ({"terms": [["0", "1"]]}, "row 0 names the variable '0'"),
        ({"terms": [[0, "1", "1"]]}, "a term of row 0 is not a pair"),
        ({"terms": [[0]]}, "a term of row 0 is not a pair"),
        ({"bound": None}, "bound of row 0"),
        ({"terms": [[0, "a"]]}, "coefficient in row 0"),
    ],
)
def test_a_row_that_is_none_is_named(change: dict[str, Any], reason: str) -> None:
    row = program()["rows"][0] | change
    with pytest.raises(InputError, match=reason):
        verify(program(rows=[row]))


def test_a_wrong_index_is_told_the_right_ones() -> None:
    with pytest.raises(InputError, match="'free' names the variable 2") as caught:
        verify(program(free=[2]))
    assert caught.value.hint == "variables are 0 to 1"


@pytest.mark.parametrize("change", [{"rows": []}, {"primal": ["1"]}, {"dual": ["2", "0"]}, {"value": None}])
def test_lists_of_other_lengths_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        verify(program(**change))

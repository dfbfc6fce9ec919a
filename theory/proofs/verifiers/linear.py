"""Verify a linear program's optimum (kind ``lp-dual``).

By a primal and a dual solution in exact rationals.

The program is: minimise Σ_j c_j x_j over x ≥ 0 (entries named in ``free`` may be negative) subject to rows
Σ_j a_ij x_j (≥, = or ≤) b_i.

``objective``: the c_j. ``rows``: list of objects with ``terms`` (list of pairs [j, a_ij], j from 0), ``relation``
(">=", "==", "<=") and ``bound`` (b_i). ``free``: list of j. ``primal``: the x_j. ``dual``: one y_i per row.
``value``: the optimum asserted, a number or a formula of numbers.

Weak duality in one line: for x feasible, y_i ≥ 0 on ≥ rows and ≤ 0 on ≤ rows, and r = c − Aᵀy ≥ 0 (= 0 where free),
c·x = r·x + y·Ax ≥ y·b. So c·x = y·b proves both optimal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from cogfit.errors import InputError
from theory.proofs.certificates import Check, Document, entry, exact, items, numbers
from theory.proofs.expressions import RELATIONS, constant
from theory.proofs.numerals import show_number
from theory.proofs.work import measured

_RELATIONS = (">=", "==", "<=")


def verify(document: Document) -> Check:
    """Verifier of the kind ``lp-dual``.

    Examples
    --------
    >>> rows = [{"terms": [[0, "1"], [1, "1"]], "relation": ">=", "bound": "1"}]
    >>> solution = {"primal": ["1", "0"], "dual": ["2"], "value": "2"}
    >>> verify({"objective": ["2", "3"], "rows": rows, **solution}).detail
    'the least value is 2: primal and dual solutions are feasible and agree'
    """
    cost = numbers(document.get("objective"), "'objective'")
    rows = items(document, "rows", dict, least=1)
    x = numbers(document.get("primal"), "'primal'", len(cost))
    y = numbers(document.get("dual"), "'dual'", len(rows))
    value = constant(document.get("value"), "'value'")
    free = {_index(j, len(cost), "'free'") for j in items(document, "free", int)}
    # rows: x is feasible, y has the right signs, and b·y and c − Aᵀy add up on the way
    reduced = list(cost)
    bound_by_dual = Fraction(0)
    for i, document_row in enumerate(rows):
        row = _row(document_row, len(cost), i)
        if fault := _row_fault(row, x, y[i], i):
            return Check(False, fault)
        for j, a in row.terms:
            reduced[j] = measured(reduced[j] - a * y[i])
        bound_by_dual = measured(bound_by_dual + row.bound * y[i])
    # variables: signs of x and of the reduced costs
    for j, reduced_cost in enumerate(reduced):
        if fault := _variable_fault(j, x[j], reduced_cost, is_free=j in free):
            return Check(False, fault)
    # feasible and equal: both optimal
    attained = _dot((c, v) for c, v in zip(cost, x, strict=True))
    facts = {"primal value": attained, "dual value": bound_by_dual}
    if not attained == bound_by_dual == value:
        primal, dual, asserted = map(show_number, (attained, bound_by_dual, value))
        differ = f"primal {primal}, dual {dual}, asserted {asserted}"
        return Check(False, f"values differ: {differ}", facts)
    agree = "primal and dual solutions are feasible and agree"
    return Check(True, f"the least value is {show_number(value)}: {agree}", facts)


@dataclass(frozen=True)
class _Constraint:
    terms: list[tuple[int, Fraction]]
    relation: str
    bound: Fraction


def _row(row: Document, width: int, i: int) -> _Constraint:
    relation = entry(row, "relation", str)
    if relation not in _RELATIONS:
        raise InputError(f"certificate: row {i} has the relation {relation!r}", hint="write >=, == or <=")
    bound = exact(row.get("bound"), f"bound of row {i}")
    return _Constraint(_terms(row, width, i), relation, bound)


def _row_fault(row: _Constraint, x: list[Fraction], multiplier: Fraction, i: int) -> str:
    """What is wrong with a row.

    Empty if nothing is.
    """
    left, relation = _dot((a, x[j]) for j, a in row.terms), row.relation
    if not RELATIONS[relation](left, row.bound):
        return f"the primal solution violates row {i}: {show_number(left)} {relation} {show_number(row.bound)} is false"
    if (relation == ">=" and multiplier < 0) or (relation == "<=" and multiplier > 0):
        return f"the dual solution has the wrong sign in row {i}: {show_number(multiplier)} for {relation}"
    return ""


def _variable_fault(j: int, value: Fraction, reduced_cost: Fraction, *, is_free: bool) -> str:
    """What is wrong with a variable.

    Empty if nothing is.
    """
    if not is_free and value < 0:
        return f"the primal solution is negative in variable {j}: {show_number(value)}"
    if reduced_cost < 0 or (is_free and reduced_cost != 0):
        where = f"the constraint of variable {j}: reduced cost {show_number(reduced_cost)}"
        return f"the dual solution violates {where}"
    return ""


def _dot(pairs: Iterable[tuple[Fraction, Fraction]]) -> Fraction:
    total = Fraction(0)
    for a, b in pairs:
        total = measured(total + a * b)
    return total


def _terms(row: Document, width: int, i: int) -> list[tuple[int, Fraction]]:
    pairs = items(row, "terms", list)
    if any(len(pair) != 2 for pair in pairs):
        raise InputError(f"certificate: a term of row {i} is not a pair [variable, coefficient]")
    return [(_index(j, width, f"row {i}"), exact(a, f"coefficient in row {i}")) for j, a in pairs]


def _index(j: object, width: int, where: str) -> int:
    if isinstance(j, bool) or not isinstance(j, int) or not 0 <= j < width:
        raise InputError(f"certificate: {where} names the variable {j!r}", hint=f"variables are 0 to {width - 1}")
    return j

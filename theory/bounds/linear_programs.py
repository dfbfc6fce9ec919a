"""Linear programs in exact numbers.

HiGHS solves them in floating point; a rational solution becomes a certificate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import CogfitError
from theory.proofs.certificates import written

Relation = Literal[">=", "==", "<="]
Floats = NDArray[np.float64]


class Constraint(NamedTuple):
    """One constraint Σ_j a_j x_j (relation) bound."""

    terms: Mapping[int, Fraction]
    relation: Relation
    bound: Fraction


class Solution(NamedTuple):
    """Optimum in floating point.

    Value, variables, one multiplier per row (∂value/∂bound).
    """

    value: float
    primal: Floats
    dual: Floats


@dataclass
class Program:
    """A linear program with exact coefficients.

    Minimise Σ_j c_j x_j over x ≥ 0 subject to rows.

    Attributes
    ----------
    objective : list of Fraction
        The c_j.
    rows : list of Constraint

    Examples
    --------
    >>> program = Program()
    >>> x, y = program.variable(2), program.variable(3)
    >>> program.constrain({x: 1, y: 1}, ">=", 1)
    0
    >>> program.optimum().value
    2.0
    >>> from theory import verify
    >>> verify(program.rounded("cheaper of two")).ok
    True
    """

    objective: list[Fraction] = field(default_factory=list)
    rows: list[Constraint] = field(default_factory=list)

    def variable(self, cost: Fraction | int) -> int:
        """Add a variable x ≥ 0 and return its index."""
        self.objective.append(Fraction(cost))
        return len(self.objective) - 1

    def constrain(self, terms: Mapping[int, Fraction | int], relation: Relation, bound: Fraction | int) -> int:
        """Add a row and return its index.

        Terms with coefficient zero are left out.
        """
        self.rows.append(Constraint({j: Fraction(a) for j, a in terms.items() if a}, relation, Fraction(bound)))
        return len(self.rows) - 1

    def optimum(self) -> Solution:
        """Solve with HiGHS.

        Raises
        ------
        CogfitError
            If HiGHS finds no optimum.
        """
        from scipy.optimize import linprog
        from scipy.sparse import csr_array

        def matrix(rows: Sequence[Constraint], signs: Sequence[int]) -> tuple[Any, Floats] | tuple[None, None]:
            if not rows:
                return None, None
            entries = [
                (s * float(a), i, j)
                for i, (row, s) in enumerate(zip(rows, signs, strict=True))
                for j, a in row.terms.items()
            ]
            values, i, j = zip(*entries, strict=True)
            bounds = np.array([s * float(row.bound) for row, s in zip(rows, signs, strict=True)])
            return csr_array((values, (i, j)), shape=(len(rows), len(self.objective))), bounds

        equal = [i for i, row in enumerate(self.rows) if row.relation == "=="]
        unequal = [i for i, row in enumerate(self.rows) if row.relation != "=="]
        signs = [1 if self.rows[i].relation == "<=" else -1 for i in unequal]
        a_ub, b_ub = matrix([self.rows[i] for i in unequal], signs)
        a_eq, b_eq = matrix([self.rows[i] for i in equal], [1] * len(equal))
        solution = linprog([float(c) for c in self.objective], a_ub, b_ub, a_eq, b_eq, method="highs")
        if solution.status != 0:
            raise CogfitError(f"HiGHS finds no optimum of a program of {len(self.rows)} rows: {solution.message}")
        dual = np.zeros(len(self.rows))
        if unequal:
            dual[unequal] = solution.ineqlin.marginals * np.array(signs)
        if equal:
            dual[equal] = solution.eqlin.marginals
        return Solution(float(solution.fun), solution.x, dual)

    def certificate(
        self, primal: Sequence[Fraction], dual: Sequence[Fraction], title: str, value: str = ""
    ) -> dict[str, Any]:
        """Document of the kind ``lp-dual`` for these solutions.

        They may be right or wrong: its verifier says which.

        ``value`` is the formula of the optimum, by default the number that ``primal`` has.
        """
        attained = sum((c * x for c, x in zip(self.objective, primal, strict=True)), Fraction(0))
        return {
            "kind": "lp-dual",
            "title": title,
            "objective": [written(c) for c in self.objective],
            "rows": [
                {
                    "terms": [[j, written(a)] for j, a in row.terms.items()],
                    "relation": row.relation,
                    "bound": written(row.bound),
                }
                for row in self.rows
            ],
            "primal": [written(x) for x in primal],
            "dual": [written(y) for y in dual],
            "value": value or written(attained),
        }

    def rounded(self, title: str, value: str = "", denominator: int = 10_000) -> dict[str, Any]:
        """Document from HiGHS's solution in rounded fractions.

        Each number is rounded to the nearest fraction with at most this denominator.
        """
        solution = self.optimum()
        primal, dual = ([Fraction(v).limit_denominator(denominator) for v in part] for part in solution[1:])
        return self.certificate(primal, dual, title, value)

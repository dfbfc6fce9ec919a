"""Learners that attend again, because values may have changed.

They know a pattern's value once it was shown, and attend again by one of three rules: at the first query of *age* τ or
more (steps since it was shown), at every j-th *count* of its queries, or at each query with a *chance* ε. The third has
no sense of age. Where redraws are not seen and there are no labels, each costs, per step and pattern, in attention plus
V/(V−1) times errors (T9: ρ the rate of redraws, q the probability of a query):

    age      [1 + Σ_{a<τ} q(1 − (1−ρ)^a)]/(τ − 1 + 1/q)        at best ~ √(2qρ)
    count    q[1 + Σ_{i<j} (1 − φ^i)]/j                        at best ~ √(2qρ)
    chance   q[ε + (1−ε)(1 − εφ/(1 − (1−ε)φ))]                 at best ~ 2√(qρ)

for ρ much smaller than q, with φ = q(1−ρ)/(1 − (1−q)(1−ρ)) the probability that a value stays from one query to the
next. Age is the best of all rules (T9). A rule by chance costs √2 times as much; never to attend again costs q.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.tasks.retrieval import Booleans, Integers, Stream

Array = NDArray[np.float64]

NEVER = 2**40
"""An age that no value reaches."""


def kept_between_queries(q: ArrayLike, rho: float) -> Array:
    """Probability that no redraw falls between two queries.

    Examples
    --------
    >>> float(kept_between_queries(1.0, 0.1)), float(kept_between_queries(0.5, 0.0))
    (0.9, 1.0)
    """
    p = np.asarray(q, float)
    return np.asarray(p * (1 - rho) / (1 - (1 - p) * (1 - rho)))


def age_cost(tau: ArrayLike, q: ArrayLike, rho: float) -> Array:
    """Cost per step of attending again at an age.

    Parameters
    ----------
    tau : array_like
        τ, 1 or more.
    q : array_like
        Above 0.
    rho : float
        Above 0.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> float(age_cost(1, 0.25, 0.1)), round(float(age_cost(9, 0.25, 0.1)), 5)
    (0.25, 0.14321)
    """
    waited, p = np.asarray(tau, float) - 1, np.asarray(q, float)
    if rho < 1.0:
        errors = waited - (1.0 - rho) * -np.expm1(waited * np.log1p(-rho)) / rho
    else:
        errors = waited
    return np.asarray((1.0 + p * errors) / (waited + 1.0 / p))


def count_cost(every: ArrayLike, q: ArrayLike, rho: float) -> Array:
    """Cost per step of attending at every j-th query.

    Parameters
    ----------
    every : array_like
        j, 1 or more.
    q : array_like
        Above 0.
    rho : float
        Above 0.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> float(count_cost(1, 0.25, 0.1))
    0.25
    """
    j, p, phi = np.asarray(every, float), np.asarray(q, float), kept_between_queries(q, rho)
    still_right = phi * (1 - phi ** (j - 1)) / (1 - phi)  # expected right guesses among the j − 1
    return np.asarray(p * (1 + (j - 1) - still_right) / j)


def chance_cost(chance: ArrayLike, q: ArrayLike, rho: float) -> Array:
    """Cost per step of attending again by chance.

    Parameters
    ----------
    chance : array_like
        ε, from 0 to 1.
    q : array_like
        Above 0.
    rho : float
        Above 0.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> float(chance_cost(0.0, 0.25, 0.1)), float(chance_cost(1.0, 0.25, 0.1))
    (0.25, 0.25)
    """
    e, p, phi = np.asarray(chance, float), np.asarray(q, float), kept_between_queries(q, rho)
    return np.asarray(p * (e + (1 - e) * (1 - e * phi / (1 - (1 - e) * phi))))


COSTS: Mapping[str, Callable[[ArrayLike, ArrayLike, float], Array]] = {
    "age": age_cost,
    "count": count_cost,
    "chance": chance_cost,
}
"""Rule -> its cost per step."""

_WHOLE = np.unique(np.geomspace(1, 100_000, 400).round())
_GRIDS: Mapping[str, Array] = {"age": _WHOLE, "count": _WHOLE, "chance": np.geomspace(1e-5, 1.0, 400)}


def best(rule: str, q: Sequence[float], rho: float) -> tuple[float, float]:
    """Best single parameter of a rule for several patterns.

    Parameters
    ----------
    rule : {"age", "count", "chance"}
    q : sequence of float
        Probability of a query, by pattern.
    rho : float
        Above 0.

    Returns
    -------
    parameter : float
        τ, j or ε, on a grid whose steps are below 3 % (or 1).
    cost : float
        Per step, over all patterns.

    Examples
    --------
    >>> best("age", [0.25], 0.1)[0], best("count", [0.25], 0.1)[0], round(best("chance", [0.25], 0.1)[0], 2)
    (9.0, 3.0, 0.35)
    """
    grid = _GRIDS[rule]
    costs = COSTS[rule](grid[:, None], np.asarray(q, float)[None], rho).sum(1)
    at = int(costs.argmin())
    return float(grid[at]), float(costs[at])


@dataclass
class Refreshing:
    """A router that attends again by a rule.

    It attends wherever nothing is known.

    Parameters
    ----------
    age : int or sequence of int
        It attends where the value was shown so many steps ago, or more: for all patterns, or for each.
    every : int
        It attends at every so many queries of a pattern.
    chance : float
        It attends with this probability.
    sees : bool
        Whether it sees redraws; a value that was redrawn is unknown then.
    attends : bool
        If not, it answers what it was shown last, by labels.

    Examples
    --------
    >>> from theory.tasks.retrieval import play
    >>> stream = Stream.independent([1.0], values=4, length=50, redraw=0.2)
    >>> run = play(stream, Refreshing(sees=True), 0, 20)
    >>> bool((run.attended == run.first).all()), int(run.error.sum())
    (True, 0)
    """

    age: int | Sequence[int] = NEVER
    every: int = NEVER
    chance: float = 0.0
    sees: bool = False
    attends: bool = True

    def begin(self, stream: Stream, size: int, rng: np.random.Generator) -> None:
        """Forget everything."""
        shape = (size, stream.patterns + 1)
        self._known, self._shown_at, self._asked = (np.zeros(shape, np.int64) for _ in range(3))
        self._patience = np.concatenate([[NEVER], np.broadcast_to(np.asarray(self.age), stream.patterns)])
        self._rows, self._rng = np.arange(size), rng

    def see_redraws(self, t: int, where: Booleans) -> None:
        """Forget what was redrawn, if it is seen."""
        if self.sees:
            self._known[:, 1:][where] = 0

    def decide(self, t: int, z: Integers) -> tuple[Booleans, Integers]:
        """Attend where nothing is known, or the rule says so."""
        at = self._rows, z
        known = self._known[at]
        is_due = (t - self._shown_at[at] >= self._patience[z]) | (self._asked[at] + 1 >= self.every)
        if self.chance:
            is_due |= self._rng.random(z.size) < self.chance
        return (known == 0) | is_due if self.attends else np.zeros(z.size, bool), np.maximum(known, 1)

    def observe(self, t: int, z: Integers, attended: Booleans, value: Integers) -> None:
        """Take in what is shown."""
        self._asked[self._rows, z] += 1
        rows = np.flatnonzero(value)
        at = rows, z[rows]
        self._known[at], self._shown_at[at], self._asked[at] = value[rows], t, 0

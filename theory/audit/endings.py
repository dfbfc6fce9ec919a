"""Test whether runs end by their answers.

The default tests hold however runs end; those for planned lengths do not. This is a diagnosis, no part of a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from cogfit.records.codec import Document

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

LEVEL = 0.05
"""p-value at or below which the ends are said to hang on the answers."""

_ANSWERS = 3
_LEAST = 5


@dataclass(frozen=True)
class Endings(Document):
    """Result of :func:`endings`.

    Attributes
    ----------
    p_value : float
        Of run lengths that are independent of the first answers.
    longer : bool
        Whether runs that begin with right answers are the longer ones.
    runs : int
    """

    p_value: float
    longer: bool
    runs: int

    @property
    def depend(self) -> bool:
        """Whether the ends are seen to hang on the answers."""
        return self.p_value <= LEVEL

    def __str__(self) -> str:
        if not self.depend:
            return f"no sign that runs end by their answers (p = {self.p_value:.2g}, {self.runs:,} runs)"
        length = "longer" if self.longer else "shorter"
        return f"runs that begin with right answers are {length} (p = {self.p_value:.2g}): they end by their answers"


def endings(run: Integers, free: Booleans, right: Booleans) -> Endings | None:
    """Test whether run lengths hang on first answers.

    The lengths of the runs whose first answer without attention is right are compared with those of the others by
    ranks (Mann and Whitney), and so for the second and third answers (Bonferroni).

    Parameters
    ----------
    run : array of int, shape (n,)
        Run of each query, in order.
    free, right : array of bool, shape (n,)
        Whether it was answered without attention, and rightly.

    Returns
    -------
    Endings or None
        None where fewer than five runs begin either way, or all are of one length.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> lengths = rng.geometric(0.3, 400)  # every run ends at its first right answer
    >>> run = np.repeat(np.arange(400), lengths)
    >>> right = np.append(run[1:] != run[:-1], True)
    >>> endings(run, np.ones_like(right), right).depend
    True
    """
    lengths = np.bincount(run)
    chosen = np.flatnonzero(free)
    order = chosen[np.argsort(run[chosen], kind="stable")]
    begins = np.flatnonzero(np.diff(run[order], prepend=-1))
    place = np.arange(order.size) - np.repeat(begins, np.diff([*begins, order.size]))
    found = []
    for j in range(_ANSWERS):
        answers = order[place == j]
        won, lost = (lengths[run[answers[right[answers] == outcome]]] for outcome in (True, False))
        if min(won.size, lost.size) >= _LEAST and np.ptp(np.concatenate([won, lost])):
            test = mannwhitneyu(won, lost)
            found.append((float(test.pvalue), bool(test.statistic > won.size * lost.size / 2)))
    if not found:
        return None
    p_value, longer = min(found)
    return Endings(min(1.0, p_value * len(found)), longer, int(np.count_nonzero(lengths)))

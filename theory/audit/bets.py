"""Evidence that grows with every first answer, and holds however a run ends.

Of all answers without attention that a run gives for a pattern only the first one bets. When it is given nothing that
the log holds so far depends on the value asked for: not the router's decisions and guesses, by the null hypothesis; and
not whether the run has got there, since that can hang on answers for other patterns only. So the answer is right with
probability at most Ḡ given all that came before, whatever ended, prolonged or interleaved the runs, and every product
of fair bets is a supermartingale. Later answers for the pattern do not bet: the first one may have decided whether they
are given at all.

The e-value is a mixture over stakes θ of Π (1 + θ(1(right) − Ḡ)/Ḡ); by Ville's inequality 1/max e is a p-value at every
time at once. Proofs: docs/checking-a-log.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theory.audit.e_values import check_chance

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

_STAKES = np.concatenate([np.exp2(-np.arange(10.0, 1, -1)), 1 - np.exp2(-np.arange(1.0, 7)), [1.0]])
# A quarter of the capital on "always right": six right answers of six with V = 2 are p = 0.03, and
# what a router knows it mostly knows surely. The rest is spread evenly.
_CAPITAL = np.array([*[0.75 / (_STAKES.size - 1)] * (_STAKES.size - 1), 0.25])
_ALL, _GROWTH = 1000, 1.01


def counts_judged(n: int) -> NDArray[np.int64]:
    """Numbers of bets at which the evidence is worked out.

    All up to 1,000, then steps of a hundredth; they do not depend on n, so that evidence once found is kept.

    Examples
    --------
    >>> counts_judged(3), counts_judged(1015)[-2:]
    (array([1, 2, 3]), array([1000, 1010]))
    """
    counts = np.arange(1, min(n, _ALL) + 1, dtype=np.int64)
    if n <= _ALL:
        return counts
    powers = np.arange(1, math.ceil(math.log(n / _ALL) / math.log(_GROWTH)) + 1)
    later = np.ceil(_ALL * _GROWTH**powers).astype(np.int64)
    return np.concatenate([counts, np.unique(later[later <= n])])


@dataclass(frozen=True)
class Bets:
    """First answers without attention, in order.

    Attributes
    ----------
    right : ndarray of bool, shape (n,)
    most_chance : ndarray of float, shape (n,), optional
        A chance of each that is used where it is above Ḡ: of values drawn without replacement, say.

    Examples
    --------
    >>> known = Bets(np.ones(10, bool))  # ten of two values each: known, or guessed with probability 1/1024
    >>> round(math.exp(known.log_p(1 / 2)), 4)
    0.0023
    >>> Bets(np.arange(1000) % 2 == 0).log_p(1 / 2) > math.log(0.05)
    True
    """

    right: Booleans
    most_chance: Floats | None = None

    def log_evidence(self, chance: float) -> Floats:
        """Logarithm of the e-value at each of :func:`counts_judged`."""
        at = counts_judged(self.right.size)
        if self.most_chance is None:
            odds = 1 / check_chance(chance)
            won = np.cumsum(self.right)[at - 1]
            with np.errstate(divide="ignore", invalid="ignore"):
                gains = np.outer(won, np.log1p(_STAKES * (odds - 1)))
                losses = (at - won)[:, None] * np.log1p(-_STAKES)
            logs = gains + np.where((at - won)[:, None] > 0, losses, 0.0)
        else:
            odds_each = 1 / np.maximum(self.most_chance, check_chance(chance))
            with np.errstate(divide="ignore"):
                bets = np.log1p(_STAKES * np.where(self.right, odds_each - 1, -1.0)[:, None])
            logs = np.cumsum(bets, axis=0)[at - 1]
        return np.asarray(np.logaddexp.reduce(logs + np.log(_CAPITAL), axis=1))

    def log_p(self, chance: float) -> float:
        """Logarithm of the p-value; it never rises as answers are added."""
        if not self.right.size:
            return 0.0
        return -max(0.0, float(self.log_evidence(chance).max()))

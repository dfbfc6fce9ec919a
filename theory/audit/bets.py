"""Evidence that grows with every answer, and holds however a run ends.

Of the answers without attention that a run gives for a pattern those bet that are given before one is right. Nothing
that the log holds so far depends on the value asked for but that the earlier answers were wrong: not the router's
decisions and guesses, by the null hypothesis; and not whether the run has got there, since that hangs on answers so
far. So the first answer is right with probability at most Ḡ given all that came before, one after j wrong ones with
Ḡ/(1 − jḠ) at most, whatever ended, prolonged or interleaved the runs, and a product of fair bets is a supermartingale.
Once an answer is right the value is out: the run may have been prolonged because of it, and the router repeats itself.

The e-value is a mixture over stakes θ of Π (1 + θ(1(right) − q)/q), q the chance of each; by Ville's inequality
1/max e is a p-value at every time at once. Proofs: docs/checking-a-log.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theory.audit.e_values import check_chance

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Integers = NDArray[np.int64]

_STAKES = np.concatenate([np.exp2(-np.arange(10.0, 1, -1)), 1 - np.exp2(-np.arange(1.0, 7)), [1.0]])
# Two fifths of the capital on "always right", since what a router knows it mostly knows surely: six right answers of
# six with V = 2 are p = 0.049. The rest is spread evenly.
_CAPITAL = np.array([*[0.6 / (_STAKES.size - 1)] * (_STAKES.size - 1), 0.4])
# A fifth bets on answers after a wrong one only: who learns from labels is wrong once, then right.
_STARTS = ((0, 0.8), (1, 0.2))
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
    """Answers without attention that bet, in order.

    Attributes
    ----------
    right : ndarray of bool, shape (n,)
    tries : ndarray of int, shape (n,), optional
        Wrong answers that were given before for the same entry. Default: none.
    most_chance : ndarray of float, shape (n,), optional
        A chance of each that is used where it is the greater one: of values drawn without replacement, say.

    Examples
    --------
    >>> known = Bets(np.ones(10, bool))  # ten of two values each: known, or guessed with probability 1/1024
    >>> round(math.exp(known.log_p(1 / 2)), 4)
    0.0023
    >>> Bets(np.arange(1000) % 2 == 0).log_p(1 / 2) > math.log(0.05)
    True
    """

    right: Booleans
    tries: Integers | None = None
    most_chance: Floats | None = None

    def chances(self, chance: float) -> Floats:
        """Greatest chance of each answer to be right."""
        tries = np.zeros(self.right.size) if self.tries is None else self.tries
        each = np.minimum(1.0, check_chance(chance) / np.maximum(1 - tries * chance, chance))
        return each if self.most_chance is None else np.maximum(each, self.most_chance)

    def log_evidence(self, chance: float) -> Floats:
        """Logarithm of the e-value at each of :func:`counts_judged`."""
        at = counts_judged(self.right.size) - 1
        tries = np.zeros(self.right.size) if self.tries is None else self.tries
        odds = 1 / self.chances(chance)
        total = np.full(at.size, -math.inf)
        for start, share in _STARTS:
            # neither what is sure to come nor what is left out is a bet, so it loses nothing
            is_bet = (odds > 1) & (tries >= start)
            for stake, capital in zip(_STAKES, _CAPITAL, strict=True):
                with np.errstate(divide="ignore"):
                    logs = np.log1p(np.where(self.right, stake * (odds - 1), -stake) * is_bet)
                total = np.logaddexp(total, math.log(share * capital) + np.cumsum(logs)[at])
        return np.asarray(total)

    def log_p(self, chance: float) -> float:
        """Logarithm of the p-value.

        It never rises as answers are added.
        """
        if not self.right.size:
            return 0.0
        return -max(0.0, float(self.log_evidence(chance).max()))

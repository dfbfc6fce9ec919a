"""A look at a log that grows, and what it counts for.

Who looks again and again and stops at a verdict they like is wrong more often than each look says. So looks count only
when the points have doubled, whatever they show, at most :data:`COUNTED` times, and each spends a part of the level
(Bonferroni over the looks; Lan & DeMets 1983, Biometrika 70:659, for spending in general). A verdict is *confirmed*
where the refusals that it rests on hold at that part. All confirmed verdicts together are then wrong as often as
those of a single look at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from cogfit.formulas.registry import POWER_LAWS
from cogfit.inference.form_tests import REFUTED
from cogfit.records.codec import Document
from cogfit.result import FitResult

SCHEMA = "cogfit.follow/1"

FIRST = 20
"""Points from which looks count: fewer decide nothing."""

COUNTED = 10
"""Looks that count, each after twice the points: enough for 10,240."""

PART = REFUTED / COUNTED
"""Level of each look that counts: no curve of 199 made around a form may lie as far off."""


@dataclass(frozen=True, eq=False)
class Look(Document):
    """A fit of a log that grows.

    :func:`cogfit.follow` yields them.

    Attributes
    ----------
    number : int
        Of the look, from 1.
    rows : int
        Rows of the log.
    n_counted : int
        Looks that counted so far.
    is_counted : bool
        Whether this one does.
    confirmed : str
        The verdict that was confirmed last; empty while there is none.
    confirmed_at : int
        Points at which it was.
    next_points : int
        Points from which a look counts next; 0 where none does any more.
    fit : FitResult

    Examples
    --------
    >>> import cogfit, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "log.csv")
    ...     cogfit.simulate("power", {"gamma": 0.43}, n=60, sigma=0.002, rng=1).to_csv(path, index=False)
    ...     (look,) = cogfit.follow(path, idle=1.0, every=1.0, sleep=lambda _: None)
    >>> look.rows, look.n_counted, look.next_points
    (60, 1, 120)
    """

    SCHEMA: ClassVar[str] = SCHEMA

    number: int
    rows: int
    n_counted: int
    is_counted: bool
    confirmed: str
    confirmed_at: int
    next_points: int
    fit: FitResult = field(repr=False)

    def headline(self) -> str:
        """The state of the log in one line."""
        fit = self.fit
        if fit.verdict.power_law == "not_compared":
            return f"{self.rows:,} rows: {fit.headline()}"
        return f"{self.rows:,} rows: power law {fit.verdict}; {fit.form}, {fit.selected.short} · {self.standing}"

    @property
    def standing(self) -> str:
        """What the looks so far stand for, in words."""
        following = f"; the next look that counts is at {self.next_points:,} points" if self.next_points else ""
        if not self.confirmed:
            return f"nothing confirmed yet{following}"
        return f"confirmed at {self.confirmed_at:,} points: {self.confirmed.replace('_', ' ')}{following}"

    @property
    def caution(self) -> str:
        """What repeated looking does to the verdict, in a sentence."""
        looks = "This is the only look." if self.number == 1 else f"This is look {self.number}."
        return (
            f"{looks} A verdict for which one waited is wrong more often than one at points fixed beforehand; only "
            f"confirmed ones keep the level of {REFUTED:.0%} together ({self.standing})."
        )

    def __repr__(self) -> str:
        return f"<Look {self.number}: {self.headline()}>"


def is_confirmed(verdict: str, p_values: Mapping[str, float]) -> bool:
    """Whether a verdict holds at the part of one look.

    "Supported" rests on the refusal of every form outside the confidence set, "not supported" on that of every power
    law; no other verdict decides anything.

    Parameters
    ----------
    verdict : str
        On the power law.
    p_values : mapping of str to float
        Of the tests of the forms.

    Examples
    --------
    >>> is_confirmed("supported", {"power": 0.4, "exponential": 0.005})
    True
    >>> is_confirmed("supported", {"power": 0.4, "exponential": 0.03})
    False
    """
    refused = {name for name, p_value in p_values.items() if p_value <= REFUTED}
    powers = set(POWER_LAWS) & set(p_values)
    needed: set[str] = set()
    if verdict == "supported":
        needed = refused
    elif verdict == "not_supported" and powers <= refused:
        needed = powers
    return bool(needed) and all(p_values[name] <= PART + 1e-12 for name in needed)

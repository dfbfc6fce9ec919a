"""What a log says of a claim: the record."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from cogfit.claims.digest import Digest
from cogfit.claims.statement import Claim
from cogfit.files import write_atomic
from cogfit.inference.interval import Interval, format_interval
from cogfit.records.codec import Document, High, Low
from cogfit.result import FitResult

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SCHEMA = "cogfit.claim/1"

Answer = Literal["supported", "contradicted", "compatible", "untestable"]

ANSWERS: dict[Answer, str] = {
    "supported": "supported",
    "contradicted": "contradicted",
    "compatible": "compatible, not decided",
    "untestable": "untestable with this log",
}
"""The answers, in words."""


@dataclass(frozen=True)
class Difference(Document):
    """The log's value less the nearest claimed one.

    Attributes
    ----------
    estimate, low, high : float
        With limits that have the errors of both.
    level : float
    """

    estimate: float
    low: Low
    high: High
    level: float

    @property
    def excludes_zero(self) -> bool:
        """Whether log and claim contradict each other."""
        return not self.low <= 0.0 <= self.high


@dataclass(frozen=True, eq=False)
class ClaimCheck(Document):
    """A claim held against a log.

    :func:`cogfit.check_claim` returns it.

    Attributes
    ----------
    claim : Claim
    answer : {"supported", "contradicted", "compatible", "untestable"}
    reasons : tuple of str
        Why, one sentence each.
    advice : tuple of str
        What would decide; empty where the answer does.
    form : str
        The form whose parameter is meant.
    estimate : float or None
        Of the log; None where it is no measurement.
    interval : Interval or None
    difference : Difference or None
        The log's value less the claimed one.
    level : float
    digest : Digest
        Of the log.
    fit : FitResult
        What the answer rests on.

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> k = np.arange(1.0, 201.0)
    >>> y = k**-0.43 + np.random.default_rng(1).normal(0, 0.01, 200)
    >>> check = cogfit.check_claim("gamma = 0.6 +- 0.02", k, y)
    >>> check.answer, round(check.difference.estimate, 1)
    ('contradicted', -0.2)
    """

    SCHEMA: ClassVar[str] = SCHEMA

    claim: Claim
    answer: Answer
    reasons: tuple[str, ...]
    advice: tuple[str, ...]
    form: str
    estimate: float | None
    interval: Interval | None
    difference: Difference | None
    level: float
    digest: Digest
    fit: FitResult = field(repr=False)

    def headline(self) -> str:
        """The answer and its first reason."""
        return f"Claim {self.claim.text!r}: {ANSWERS[self.answer]}. {_sentence(self.reasons[0])}"

    @property
    def scope(self) -> str:
        """What of the log was fitted.

        And what its interval speaks of.
        """
        fit = self.fit
        about = f"Here {self.claim.symbol} is that of {fit.y_label} against {fit.x_label} ({fit.convention})"
        spoken = f"; its interval speaks of {self.interval.scope}" if self.interval is not None else ""
        return " ".join(filter(None, (f"{about}{spoken}.", fit.scope)))

    def table(self) -> pd.DataFrame:
        """Claim, log and difference, a row each.

        Returns
        -------
        pandas.DataFrame
            Columns ``value``, ``low``, ``high``: limits at :attr:`level`, NaN where there are none.
        """
        import pandas as pd

        return pd.DataFrame.from_dict(self.rows(), orient="index", columns=["value", "low", "high"])

    def rows(self) -> dict[str, tuple[float, float, float]]:
        """Value and limits of claim, log and difference."""
        claim, found = self.claim, self.difference
        return {
            "claim": (claim.low if claim.is_value else math.nan, claim.low - claim.below, claim.high + claim.above),
            "log": _row(self.estimate, self.interval),
            "difference": _row(None if found is None else found.estimate, found),
        }

    def methods(self) -> str:
        """Write a paragraph for a methods section."""
        claim, fit = self.claim, self.fit
        low, high = claim.zone
        law = _law_in_words(self)
        errors, level = _errors_in_words(claim), f"{self.level:.0%}"
        return (
            f"The claim '{claim.text}' was held against {fit.y_label} (n = {fit.n}). {errors} It is contradicted "
            f"if {law} is refused, or if the {level} interval of the difference, with the errors of both (MOVER), "
            f"excludes 0; supported if {law} is supported and the {level} interval of {claim.symbol} lies within "
            f"{format_interval((low, high))}. {fit.methods()}"
        )

    def plot(self, **options: Any) -> Figure:
        """Draw the curve, and the claim beside the log.

        See :func:`cogfit.show.claim.plot_claim`.
        """
        from cogfit.show.claim import plot_claim

        return plot_claim(self, **options)

    def report(self, path: str | os.PathLike[str], *, command: str = "") -> None:
        """Write the answer as one web page that prints.

        Whole, or not at all. See :func:`cogfit.show.claim.claim_page`.
        """
        from cogfit.show.claim import claim_page

        write_atomic(path, claim_page(self, command=command))

    def __repr__(self) -> str:
        return f"<ClaimCheck {self.claim.text!r}: {ANSWERS[self.answer]}>"

    def __str__(self) -> str:
        """Readable report."""
        lines = [self.headline(), *(f"  · {reason}" for reason in self.reasons[1:])]
        lines += [f"  → {way}" for way in self.advice]
        return "\n".join([*lines, self.scope])


def _sentence(text: str) -> str:
    is_word = text[:1].isascii() and text[1:2].isalpha()  # γ, a symbol, stays small
    return (text[:1].upper() + text[1:] if is_word else text).rstrip(".") + "."


def _row(value: float | None, limits: Interval | Difference | None) -> tuple[float, float, float]:
    low, high = (math.nan, math.nan) if limits is None else (limits.low, limits.high)
    return math.nan if value is None else value, low, high


def _errors_in_words(claim: Claim) -> str:
    if claim.below == claim.above == 0.0:
        return "It states no error of its own."
    limits = format_interval((claim.low - claim.below, claim.high + claim.above))
    return f"From its own error, a 95% interval of the claimed value is {limits}."


def _law_in_words(check: ClaimCheck) -> str:
    from cogfit.formulas.registry import POWER_LAWS

    return "the power law" if check.form in POWER_LAWS else f"the form {check.fit[check.form].title}"

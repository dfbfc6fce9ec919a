"""How often each verdict was given on curves whose law is known."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from cogfit.native import distributions
from cogfit.records.codec import Document
from cogfit.records.sentence import Sentence, say

VERDICTS = ("supported", "not_supported", "not_distinguishable", "not_identified")
"""Verdicts on a curve to which every form was fitted."""


@dataclass(frozen=True)
class Rates(Document):
    """Verdicts on curves made from one law.

    Attributes
    ----------
    form : str
        The law.
    title : str
        Its name in words.
    params : dict of str to float
    counts : dict of str to int
        Curves by verdict.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"curves": "curves", "supported": "_supported"}

    form: str
    title: str
    params: dict[str, float]
    counts: dict[str, int]

    def __post_init__(self) -> None:
        """Refuse counts that are none."""
        if set(self.counts) != set(VERDICTS) or min(self.counts.values()) < 0:
            raise ValueError(f"curves are counted by verdict ({', '.join(VERDICTS)}), each 0 or more")

    @classmethod
    def of_verdicts(cls, form: str, title: str, params: Mapping[str, float], verdicts: Iterable[str]) -> Rates:
        """Count verdicts."""
        found = Counter(verdicts)
        return cls(form, title, dict(params), {name: found[name] for name in VERDICTS})

    @property
    def curves(self) -> int:
        """Curves that were judged."""
        return sum(self.counts.values())

    @property
    def verdicts(self) -> list[str]:
        """One for each curve, in the order of :data:`VERDICTS`."""
        return list(Counter(self.counts).elements())

    def share(self, verdict: str = "supported") -> float:
        """Share of curves with a verdict.

        NaN where none was judged.
        """
        return self.counts[verdict] / self.curves if self.curves else math.nan

    def limits(self, verdict: str = "supported", level: float = 0.95) -> tuple[float, float]:
        """Limits of a share that so many curves leave open.

        Those of a score test (Wilson 1927, J. Am. Stat. Assoc. 22:209).

        Examples
        --------
        >>> rates = Rates.of_verdicts("power", "power law", {}, ["supported"] * 31 + ["not_supported"] * 19)
        >>> [round(limit, 3) for limit in rates.limits()]
        [0.482, 0.741]
        """
        n, share = self.curves, self.share(verdict)
        if n == 0:
            return 0.0, 1.0
        z = float(distributions.normal_quantile(0.5 + 0.5 * level))
        centre = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return max(centre - half, 0.0), min(centre + half, 1.0)

    @property
    def _supported(self) -> dict[str, float]:
        low, high = self.limits()
        return {"share": self.share(), "low": low, "high": high}


@dataclass(frozen=True)
class Audit(Document):
    """The verdict tried on curves like the log's own.

    Attributes
    ----------
    power_law : Rates
        If the power law that was fitted were true.
    rival : Rates or None
        If its best rival were; None where there is none.
    is_complete : bool
        Whether all curves were judged that were asked for.
    """

    power_law: Rates
    rival: Rates | None
    is_complete: bool = True

    @property
    def statement(self) -> Sentence:
        """What the audit found, in one sentence."""
        text = "on curves simulated with this log's errors: {own}"
        numbers: dict[str, Any] = {
            "own": f"supported {in_words(self.power_law)} when {self.power_law.title} is true",
            **_numbers("true", self.power_law),
        }
        if self.rival is not None and self.rival.curves:
            text += ", {other}"
            numbers["other"] = f"{in_words(self.rival)} when {self.rival.title} is true"
            numbers |= _numbers("rival", self.rival)
        text += "" if self.is_complete else " (interrupted)"
        return say(text, by=Audit, **numbers)


def in_words(rates: Rates, verdict: str = "supported") -> str:
    """A count, such as ``31 of 50``."""
    return f"{rates.counts[verdict]:,} of {rates.curves:,}"


def _numbers(label: str, rates: Rates) -> dict[str, Any]:
    low, high = rates.limits()
    return {f"{label}_{name}": count for name, count in rates.counts.items()} | {
        f"{label}_curves": rates.curves,
        f"{label}_supported_low": low,
        f"{label}_supported_high": high,
    }

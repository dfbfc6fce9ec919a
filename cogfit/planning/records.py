"""What a log can show, and how much more would decide: the record."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from cogfit.inference.rates import VERDICTS, Audit, Rates, in_words
from cogfit.records.codec import Document, High, Low

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "cogfit.design/1"


@dataclass(frozen=True)
class Need(Document):
    """How much more of one thing would decide.

    Attributes
    ----------
    lever : str
        ``points`` (in the same range), ``range`` (a log that goes on), or ``runs``, ``patterns``, ``groups``,
        ``trials``.
    factor : float
        How many times as much; infinite where even the most that was tried does not do.
    low, high : float
        Limits of the factor that the simulations leave open (90 %).
    amount : float
        Points, largest x, or number of runs (patterns, …) that this is; unknown with the factor.
    trials : tuple of dict
        ``factor``, ``amount``, ``supported`` and ``curves`` of what was simulated.
    """

    lever: str
    factor: High
    low: Low
    high: High
    amount: High
    trials: tuple[dict[str, float], ...] = ()

    @property
    def is_reachable(self) -> bool:
        """Whether it would do."""
        return math.isfinite(self.factor)

    def __str__(self) -> str:
        """In words, such as ``900 points in the same range (3 times as many; 2.4 to 3.9)``."""
        if not self.is_reachable:
            most = max(trial["factor"] for trial in self.trials)
            return f"{_WHAT.get(self.lever, self.lever)}: not even {most:.3g} times as much"
        times = f"{self.factor:.2g} times; {self.low:.2g} to {self.high:.2g}"
        if self.lever == "range":
            return f"x up to {_rounded(self.amount)} ({times})"
        return f"{_rounded(self.amount)} {_WHAT.get(self.lever, self.lever)} ({times})"


_WHAT = {"points": "points in the same range", "range": "a longer range"}


def _rounded(value: float) -> str:
    """A number with two digits: more nobody knows of it."""
    if value <= 0.0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"


@dataclass(frozen=True)
class Design(Document):
    """What a log can show of a power law.

    Attributes
    ----------
    setting : dict
        Points, range of x, errors and repetitions of the log.
    power_law : Rates
        Verdicts if the power law is true.
    rival : Rates or None
        If its best rival is true.
    goal : float
        Share of "supported" that is looked for.
    needs : tuple of Need
        How much more of each thing would reach the goal, one by one.
    seed : int
    is_complete : bool
        False where the simulations were interrupted, or their time was over.
    is_interrupted : bool
        Whether there was a Ctrl-C.
    notes : tuple of str
    versions : dict of str to str
    """

    SCHEMA: ClassVar[str] = SCHEMA

    setting: dict[str, Any]
    power_law: Rates
    rival: Rates | None
    goal: float
    needs: tuple[Need, ...]
    seed: int
    is_complete: bool = True
    is_interrupted: bool = False
    notes: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def audit(self) -> Audit:
        """The rates under both laws."""
        return Audit(self.power_law, self.rival, self.is_complete)

    def headline(self) -> str:
        """The answer in a few sentences."""
        own = self.power_law
        if not own.curves:
            return "Nothing was simulated."
        low, high = own.limits()
        lines = [
            f"If a power law like this one is true ({_law_in_words(own)}), such a log supports it in {in_words(own)} "
            f"cases ({own.share():.0%}; 95 % limits {low:.0%} to {high:.0%})."
        ]
        if self.rival is not None and self.rival.curves:
            lines.append(f"If its best rival is true ({self.rival.title}), in {in_words(self.rival)}.")
        enough = [need for need in self.needs if need.is_reachable]
        if enough:
            lines.append(f"{self.goal:.0%} would take one of: {'; '.join(map(str, enough))}.")
        elif self.needs:
            lines.append(f"Nothing that was tried reaches {self.goal:.0%}.")
        else:
            lines.append("That is enough to decide." if self.is_complete else "What more would do was not found out.")
        return " ".join(lines)

    def table(self) -> pd.DataFrame:
        """One row per verdict.

        Returns
        -------
        pandas.DataFrame
            Columns ``verdict``, ``power_law`` and, where there is a rival, ``rival``: shares of the curves.
        """
        import pandas as pd

        laws = {"power_law": self.power_law, "rival": self.rival}
        return pd.DataFrame(
            {"verdict": VERDICTS}
            | {label: [rates.share(name) for name in VERDICTS] for label, rates in laws.items() if rates is not None}
        )

    def __repr__(self) -> str:
        return f"<Design: {self.headline()}>"

    def __str__(self) -> str:
        """Readable report."""
        rows = [f"{'verdict':<20} {'power law true':>15} {'rival true':>11}"]
        for name in VERDICTS:
            other = "–" if self.rival is None or not self.rival.curves else f"{self.rival.share(name):.0%}"
            rows.append(f"{name.replace('_', ' '):<20} {self.power_law.share(name):>15.0%} {other:>11}")
        lines = [self.headline(), "", *rows]
        lines += ["", *(f"  · {need}" for need in self.needs)] if self.needs else []
        return "\n".join([*lines, *(f"note: {text}" for text in self.notes)])


def _law_in_words(rates: Rates) -> str:
    shown = ", ".join(f"{'γ' if name == 'gamma' else name} = {value:.3g}" for name, value in rates.params.items())
    return f"{rates.title}, {shown}"

"""Numbers with names, as printed or as measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cogfit.records.codec import Document

LEVEL = 0.95
"""Of all intervals."""


@dataclass(frozen=True)
class Quantity(Document):
    """A number with its name, as printed or as measured.

    Attributes
    ----------
    name : str
        In words; a printed and a measured number of the same name are the same quantity.
    value : float
    low, high : float
        95 % limits, or the ends of a printed range; NaN where there are none.
    unit : {"", "%", "×", "steps"}
        Shares are kept as shares and shown in per cent.
    n : int
        Runs, documents or people behind an interval; 0 where that has no meaning.
    is_range : bool
        Whether the limits are the least and the largest of the n, and no interval.

    Examples
    --------
    >>> str(Quantity("attention", 0.0143, 0.0141, 0.0145, "%", 5))
    'attention 1.43 % [1.41, 1.45] (n = 5)'
    """

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    unit: str = ""
    n: int = 0
    is_range: bool = False

    @property
    def shown(self) -> str:
        """The number with unit and interval."""
        unit = {"%": " %", "×": "-fold", "steps": ""}.get(self.unit, "")
        span = math.isfinite(self.low) and math.isfinite(self.high)
        if not math.isfinite(self.value):
            return f"{self._digits(self.low)}–{self._digits(self.high)}{unit}" if span else "none"
        low, high = self._digits(self.low), self._digits(self.high)
        if self.is_range:
            return f"{self._digits(self.value)}{unit} ({low} to {high}, n = {self.n})"
        interval = f" [{low}, {high}]" if span else ""
        return f"{self._digits(self.value)}{unit}{interval}{f' (n = {self.n})' if self.n else ''}"

    def _digits(self, value: float) -> str:
        if self.unit == "%":
            return f"{100 * value:.4g}"
        return f"{value:,.0f}" if self.unit == "steps" else f"{value:.3g}"

    def __str__(self) -> str:
        return f"{self.name} {self.shown}"


Quantities = Mapping[str, Quantity]


def over_seeds(name: str, values: Sequence[float], unit: str = "") -> Quantity:
    """Mean over runs, with Student's interval.

    Examples
    --------
    >>> str(over_seeds("x", [1.0, 2.0, 3.0]))
    'x 2 [-0.484, 4.48] (n = 3)'
    """
    import numpy as np
    from scipy.special import stdtrit

    sample = np.asarray(values, float)
    mean, n = float(sample.mean()), len(sample)
    if n < 2:
        return Quantity(name, mean, unit=unit, n=n)
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2) * sample.std(ddof=1) / math.sqrt(n))
    low, high = mean - half, mean + half
    if unit == "%" and sample.min() >= 0.0 and sample.max() <= 1.0:  # a share; what is saved may be negative
        low, high = max(low, 0.0), min(high, 1.0)
    return Quantity(name, mean, low, high, unit, n)


def range_of(name: str, values: Sequence[float], unit: str = "") -> Quantity:
    """Mean over runs, with the least and the largest.

    For runs that fall into two groups, of which Student's interval says nothing.

    Examples
    --------
    >>> str(range_of("accuracy", [0.71, 0.98, 0.98], "%"))
    'accuracy 89 % (71 to 98, n = 3)'
    """
    return Quantity(name, sum(values) / len(values), min(values), max(values), unit, len(values), is_range=True)

"""A confidence interval, and what it speaks of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from cogfit.engine.estimate import Estimate
from cogfit.formulas.form import Array
from cogfit.native import distributions
from cogfit.records.codec import OMIT, Document, High, Low, wire

SCOPES = {
    "runs": "training procedure",
    **{kind: f"the population of the {kind}" for kind in ("groups", "subjects", "lists", "teams")},
}
"""What an interval from resampled clusters speaks of, by their kind; everything else: this run."""

CONDITIONAL = "conditional on this run"
"""Scope where clusters move together: what they share is not resampled."""

ENOUGH_CLUSTERS = 15
"""Clusters below which an interval is called unreliable."""

MISSES = "this form misses the curve"
"""Caveat of a form that the data refuse: its parameters describe the curve, and are no measurement."""

ENOUGH_POINTS = 5.0
"""Effective points below which it is."""


@dataclass(frozen=True)
class Interval(Document):
    """A confidence interval.

    Attributes
    ----------
    low, high : float
        −inf or inf where the data set no limit.
    level : float
    method : str
        How it was made.
    scope : str
        What would have to be repeated for it to cover: ``"this curve"``, ``"this run"``, or one of :data:`SCOPES`.
    caveat : str
        Why the interval is unreliable; "" where it is not.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"reliability": "reliability", "unbounded": "_unbounded"}

    low: Low
    high: High
    level: float
    method: str
    scope: str
    caveat: str = field(default="", metadata=wire(omit=True))

    @property
    def reliable(self) -> bool:
        """Whether simulations like these data gave the nominal coverage.

        See ``data/benchmarks``.
        """
        return not self.caveat

    @property
    def reliability(self) -> str:
        """``"ok"`` or ``"unreliable"``."""
        return "ok" if self.reliable else "unreliable"

    @property
    def _unbounded(self) -> Any:
        sides = [side for side, limit in (("low", self.low), ("high", self.high)) if not math.isfinite(limit)]
        return sides or OMIT


def t_quantile(level: float, degrees_of_freedom: float) -> float:
    """Two-sided quantile of Student's t.

    Its square is that of F(1, degrees_of_freedom).
    """
    return distributions.student_quantile(0.5 + 0.5 * level, max(degrees_of_freedom, 1.0))


def standard_errors(fit: Estimate, covariance: Array) -> dict[str, float]:
    """Standard errors from another covariance.

    What is at a bound (NaN) or not identified (inf) stays so.
    """
    with np.errstate(invalid="ignore"):
        root = np.sqrt(np.diag(covariance))
    return {
        name: error if not math.isfinite(error) else float(root[i])
        for i, (name, error) in enumerate(fit.stderr.items())
    }


def format_interval(interval: tuple[float, float]) -> str:
    """Interval as text, such as ``[0.41, 0.45]``.

    It has digits enough to tell the limits apart. An infinite limit is written as such.

    Examples
    --------
    >>> format_interval((0.40512, 0.4533)), format_interval((2.27701, 2.27823)), format_interval((0.1, float("inf")))
    ('[0.405, 0.453]', '[2.27701, 2.27823]', '[0.1, ∞]')
    """
    low, high = interval
    digits = 3
    if math.isfinite(low) and math.isfinite(high) and high > low:
        digits = min(9, max(3, 2 + math.ceil(-math.log10((high - low) / max(abs(low), abs(high))))))
    return f"[{_format(low, digits)}, {_format(high, digits)}]"


def _format(value: float, digits: int) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    is_plain = 10.0**digits <= abs(value) < 1e7  # 3,412 rather than 3.41e+03
    return f"{value:.0f}" if is_plain else f"{value:.{digits}g}"

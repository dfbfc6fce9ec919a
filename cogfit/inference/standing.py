"""Whether a fitted number may be read as a measurement.

A number that is not determined, lies at a bound, or belongs to a form that misses the curve is not printed as one; an
unreliable interval says so beside the number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from cogfit.engine.estimate import Estimate
from cogfit.inference.form_tests import REFUTED, FormTest
from cogfit.inference.interval import MISSES, Interval

Kind = Literal["measured", "unreliable", "at_bound", "not_identified", "misses", "failed"]

WORDS: dict[Kind, str] = {
    "measured": "",
    "unreliable": "unreliable",
    "at_bound": "at its bound",
    "not_identified": "not determined",
    "misses": "misses the curve",
    "failed": "did not fit",
}
"""What is written beside, or instead of, the number."""

_REASONS: dict[Kind, str] = {
    "measured": "",
    "unreliable": "",
    "at_bound": "it lies at its bound",
    "not_identified": "the data do not determine it",
    "misses": MISSES,
    "failed": "the form did not fit",
}


@dataclass(frozen=True)
class Standing:
    """What a fitted number is worth.

    Attributes
    ----------
    kind : {"measured", "unreliable", "at_bound", "not_identified", "misses", "failed"}
    why : str
        Why an interval is unreliable; empty otherwise.
    """

    kind: Kind
    why: str = ""

    @property
    def is_measured(self) -> bool:
        """Whether the number is printed."""
        return self.kind in ("measured", "unreliable")

    @property
    def words(self) -> str:
        """What is written beside, or instead of, the number."""
        return WORDS[self.kind]

    @property
    def doubt(self) -> str:
        """What is written beside a number that is not reliable."""
        if not self.why:
            return ""
        return WORDS["misses" if self.why == MISSES else "unreliable"]

    @property
    def reason(self) -> str:
        """Why the number is no measurement, in a clause."""
        return _REASONS[self.kind]


def standing_of(name: str, fit: Estimate, limits: Interval | None, test: FormTest | None) -> Standing:
    """Whether a parameter of a fit is a measurement.

    Parameters
    ----------
    name : str
        Parameter.
    fit : Estimate
    limits : Interval or None
    test : FormTest or None
        Of the form.

    Returns
    -------
    Standing

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> x = np.arange(1.0, 41.0)
    >>> item = cogfit.fit(x, x**-0.5, form="power_floor").selected
    >>> standing_of("gamma", item.estimate, item.intervals["gamma"], None).kind
    'measured'
    """
    if fit.status == "failed" or math.isnan(fit.params.get(name, math.nan)):
        return Standing("failed")
    if name in fit.at_bound:
        return Standing("at_bound")
    if name in fit.not_identified:
        return Standing("not_identified")
    if limits is None:
        return Standing("measured")
    if math.isinf(limits.low) and math.isinf(limits.high):
        is_refused = limits.caveat == MISSES or (test is not None and test.p_value <= REFUTED)
        return Standing("misses" if is_refused else "not_identified")
    return Standing("unreliable", limits.caveat) if limits.caveat else Standing("measured")

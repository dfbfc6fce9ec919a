"""What is said about an averaging artefact."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from cogfit.formulas.registry import get_form
from cogfit.records.codec import Document, Nan
from cogfit.records.sentence import Sentence, say

STATUSES: dict[str, str] = {
    "artefact": "single patterns are no power laws, and the pooled slope comes from averaging them",
    "genuine": "single patterns are power laws (their exponents may differ)",
    "none": "neither single patterns nor their average look like a power law: there is nothing to explain",
    "undecided": "single patterns are there but do not tell",
    "undecidable": "there are no (or too few) single patterns: a pooled curve alone never tells",
}
"""What may be said, by name."""

FEWEST = 5
"""Patterns with enough points from which on anything is said."""

BINARY = 0.8
"""Share of near-binary patterns from which single patterns may be steps."""


@dataclass(frozen=True)
class Averaging(Document):
    """Whether a pooled power law is an averaging artefact.

    Attributes
    ----------
    status : str
        One of :data:`STATUSES`.
    reasons : tuple of str
        Why, one sentence each.
    patterns : int
        Patterns that were looked at.
    kind : str
        What they are: ``"patterns"``, ``"runs"``, ``"groups"``.
    z, z_mirrored : float
        Statistics over patterns, positive where non-power forms are better (see the module). For steps only the first,
        against all smooth forms.
    critical : float
        What both must exceed, either way (Student's t, two-sided level 1 %).
    per_pattern_form : str or None
        Best non-power form of single patterns: ``"exponential"``, ``"exponential_floor"``, ``"hyperbolic"``,
        ``"log_logistic_step"`` or ``"step"``. The third and the fourth are named only where they are better than
        exponentials and power laws (z ≥ critical).
    share_better : float
        Share of patterns that it, or its kin, describes better, 0 … 1.
    near_binary : float
        Share of near-binary patterns, 0 … 1.
    decades : float
        For steps: log10 of the ratio of the k at which 90 % and 10 % of the switches are done, under the law of switch
        times that fits best; patterns that never switch are right-censored.
    gamma_form : str or None
        ``"power"`` or ``"power_floor"``, to which the exponents below belong (k as counted by the curve).
    gamma_mean, gamma_sd : float
        Mean of the exponents γ_j of single patterns and SD between patterns, from which estimation error is removed
        (unweighted moments: Hedges 1983, Psychol. Bull. 93:388). NaN where single patterns are no power laws.
    gamma_pooled : float
        Exponent of the pooled curve, every observation counted once.
    shift : float
        The power law that exponentials compete with is (k + shift)^−γ, with or without floor: the best shift common to
        all patterns, 0 … a third of the window. How k is counted, or a slow start, must not decide.
    reproduced, reproduced_power : float
        R² with which the average of the single-pattern non-power fits, and that of the power-law fits, reproduces the
        pooled curve.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"statements": "statements"}

    status: str
    reasons: tuple[Sentence, ...]
    patterns: int = 0
    kind: str = "patterns"
    z: Nan = math.nan
    z_mirrored: Nan = math.nan
    critical: Nan = math.nan
    per_pattern_form: str | None = None
    share_better: Nan = math.nan
    near_binary: Nan = math.nan
    decades: Nan = math.nan
    gamma_form: str | None = None
    gamma_mean: Nan = math.nan
    gamma_sd: Nan = math.nan
    gamma_pooled: Nan = math.nan
    shift: float = 0.0
    reproduced: Nan = math.nan
    reproduced_power: Nan = math.nan

    def statements(self) -> tuple[Sentence, ...]:
        """The findings, one sentence each."""
        out = list(self.reasons)
        if math.isfinite(self.reproduced):
            text = (
                "averaged, single fits reproduce the pooled curve with R² = {r2:.3f} ({form}) and {r2_power:.3f} "
                "(power law)"
            )
            r2, r2_power = self.reproduced, self.reproduced_power
            form = title_of(self.per_pattern_form)
            out.append(say(text, r2=r2, r2_power=r2_power, form=form, by=self.statements))
        if math.isfinite(self.gamma_mean):
            text = (
                "γ of single {kind}: mean {mean:.2f}, SD between them {sd:.2f}; of the pooled curve {pooled:.2f} "
                "({form})"
            )
            mean, sd, pooled = self.gamma_mean, self.gamma_sd, self.gamma_pooled
            form = title_of(self.gamma_form)
            numbers: dict[str, Any] = {"kind": self.kind, "mean": mean, "sd": sd, "pooled": pooled, "form": form}
            out.append(say(text, by=self.statements, **numbers))
        return tuple(out)


def title_of(form: str | None) -> str:
    """A form as it is called."""
    return "step" if form in (None, "step") else get_form(str(form)).title

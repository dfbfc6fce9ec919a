"""Which forms the data support, and what may be said of the power law.

All forms are fitted under one noise model and compared by AICc at the *effective* number of points: with
autocorrelated residuals n points carry the information of n/τ, and the log-likelihood is divided by τ (as QAICc
divides by an overdispersion, Burnham & Anderson 2002, §2.5). τ is that of the best form, so misfit is not excused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cogfit.curves import Form
from cogfit.errors import InputError
from cogfit.estimate import Estimate
from cogfit.noise import NOISE

POWER_LAWS = ("power", "power_floor")
"""What "a power law" means in a verdict: A·x^−γ, with or without a floor."""

CLOSE = 2.0
"""ΔAICc up to which two forms are called indistinguishable."""

FEW = 10.0
"""Effective points below which no form is supported against the others."""

SERIOUS = 10.0
"""ΔAICc from which a form is called out of the race (Burnham & Anderson 2002, §2.6)."""


@dataclass(frozen=True)
class Verdict:
    """What the data say about the claim "this is a power law".

    Attributes
    ----------
    power_law : {"supported", "not_supported", "not_distinguishable", "not_identified"}
    reasons : tuple of str
        One sentence each.
    """

    power_law: str
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.power_law.replace("_", " ")


@dataclass(frozen=True)
class Ranking:
    """Forms compared on one data set.

    Attributes
    ----------
    delta : dict of str to float
        AICc at the effective number of points, above the best; inf for failed forms.
    best : str or None
    indistinguishable : tuple of str
        Forms within :data:`CLOSE` of the best, best first.
    n_effective : float
    """

    delta: dict[str, float]
    best: str | None
    indistinguishable: tuple[str, ...]
    n_effective: float


def effective_aicc(fit: Estimate, inflation: float) -> float:
    """AICc with n/τ points: −2 log L/τ + 2k + 2k(k+1)/(n/τ − k − 1); inf where there are too few points."""
    if fit.status == "failed" or not math.isfinite(fit.loglik):
        return math.inf
    spare = fit.n / inflation - fit.k - 1
    if spare <= 0:
        return math.inf
    return -2.0 * fit.loglik / inflation + 2.0 * fit.k + 2.0 * fit.k * (fit.k + 1) / spare


def rank(fits: Sequence[Estimate], inflation: float) -> Ranking:
    """Order forms that were fitted to the same data under comparable likelihoods.

    Raises
    ------
    InputError
        If a probability (binomial) and a density (Gaussian, log-normal) would be compared.
    """
    if len({NOISE[fit.noise].discrete for fit in fits}) > 1:
        raise InputError(
            "a binomial likelihood is a probability and cannot be compared with a density",
            hint="fit all forms under one noise model",
        )
    scores = {fit.form: effective_aicc(fit, inflation) for fit in fits}
    n = fits[0].n / inflation if fits else 0.0
    order = sorted((name for name in scores if math.isfinite(scores[name])), key=lambda name: scores[name])
    if not order:
        return Ranking(dict.fromkeys(scores, math.inf), None, (), n)
    lowest = scores[order[0]]
    delta = {name: score - lowest for name, score in scores.items()}
    return Ranking(delta, order[0], tuple(name for name in order if delta[name] <= CLOSE), n)


def verdict(fits: Mapping[str, Estimate], ranking: Ranking, registry: Mapping[str, Form]) -> Verdict:
    """Rule on the power law.

    Supported: a power law is among the indistinguishable best, its γ is determined, and every other form there
    contains it. Not supported: even the better power law is more than :data:`SERIOUS` behind the best form. Anything
    between is not distinguishable.
    """
    powers = [name for name in POWER_LAWS if math.isfinite(ranking.delta.get(name, math.inf))]
    if not powers or ranking.best is None:
        return Verdict("not_identified", ("no power law could be fitted to these data",))
    delta = ranking.delta
    lead = min(powers, key=lambda name: delta[name])
    fit = fits[lead]
    title = registry[lead].title
    best = registry[ranking.best].title
    if ranking.best == "constant" or (delta.get("constant", math.inf) <= CLOSE):
        return Verdict(
            "not_identified", ("a constant describes the curve as well as any form: there is no decay to fit",)
        )
    if delta[lead] > SERIOUS:
        return Verdict(
            "not_supported",
            (
                f"{best} is better than {title} by ΔAICc = {delta[lead]:.1f} at {ranking.n_effective:.0f} effective "
                "points",
            )
            + _extras(fits, registry, ranking),
        )
    if "gamma" in fit.not_identified or fit.status == "not_identified":
        return Verdict("not_identified", (f"{title}: {fit.reason}",))
    close = [name for name in powers if delta[name] <= delta[lead] + CLOSE]  # a form that contains one is no rival
    outside = [name for name in delta if name not in powers and not set(close) & set(registry[name].contains)]
    rivals = [name for name in outside if delta[name] <= delta[lead] + CLOSE]
    if ranking.n_effective < FEW:
        reason = (
            f"{ranking.n_effective:.0f} effective points are too few to tell forms of {fit.k} parameters and more apart"
        )
        return Verdict("not_distinguishable", (reason,))
    if delta[lead] <= CLOSE and not rivals:
        runner = min(outside, key=lambda name: delta[name], default=None)
        reasons = [f"{title} is among the best forms (ΔAICc = {delta[lead]:.1f})"]
        if runner is not None:
            gap = delta[runner] - delta[lead]
            reasons.append(f"the nearest form that does not contain it, {registry[runner].title}, is {gap:.1f} behind")
        return Verdict("supported", tuple(reasons))
    if rivals:
        names = ", ".join(registry[name].title for name in sorted(rivals, key=lambda name: delta[name])[:4])
        reasons = [f"{title} has ΔAICc = {delta[lead]:.1f}, and these describe the data as well or better: {names}"]
    else:
        reasons = [f"{title} is {delta[lead]:.1f} behind {best}: neither in nor out of the race"]
    return Verdict("not_distinguishable", tuple(reasons))


def _extras(fits: Mapping[str, Estimate], registry: Mapping[str, Form], ranking: Ranking) -> tuple[str, ...]:
    step = fits.get("log_logistic_step")
    if ranking.best == "log_logistic_step" and step is not None:
        p = step.params
        return (
            f"the curve is a transition: half of the drop is done at x = {p['x50']:.5g}, steepness s = {p['s']:.3g}",
        )
    return ()


def simplest(ranking: Ranking, registry: Mapping[str, Form]) -> str | None:
    """Of the indistinguishable forms the one with the fewest parameters, then the best: the form reported."""
    order = {name: i for i, name in enumerate(ranking.indistinguishable)}
    return min(order, key=lambda name: (len(registry[name].parameters), order[name]), default=None)

"""What may be said of the power law, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cogfit.engine.estimate import Estimate
from cogfit.formulas.form import Form
from cogfit.inference.form_tests import POWER_LAWS, FormTest
from cogfit.inference.ranking import Ranking

REFUTED = 0.05
"""p-value up to which a form is refused."""

FEW = 10.0
"""Effective points below which no form is supported against the others."""

SERIOUS = 10.0
"""ΔAICc from which a form is called out of the race (Burnham & Anderson 2002, §2.6)."""


@dataclass(frozen=True)
class Verdict:
    """What the data say about the claim "this is a power law".

    Attributes
    ----------
    power_law : {"supported", "not_supported", "not_distinguishable", "not_identified", "not_compared"}
        The last where only one form was fitted.
    reasons : tuple of str
        One sentence each.
    """

    power_law: str
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.power_law.replace("_", " ")


def judge_power_law(
    fits: Mapping[str, Estimate], ranking: Ranking, registry: Mapping[str, Form], tests: Mapping[str, FormTest]
) -> Verdict:
    """Rule on the power law.

    Supported: a power law that falls is in the confidence set of forms, its γ is determined, it passes goodness of fit,
    and every other form of the set contains it. Not supported: no power law is in the set, or it rises. Not identified:
    a constant is in the set, or γ is not determined. Anything else is not distinguishable; so is everything below
    :data:`FEW` points, and below as many effective points what is not refused.

    Parameters
    ----------
    fits, registry : mapping of str
    ranking : Ranking
    tests : mapping of str to FormTest
        See :func:`compare_forms`.
    """
    lead = better_power_law(fits, ranking)
    if lead is None:
        return Verdict("not_identified", ("no power law could be fitted to these data",))
    few = f"{ranking.n_effective:.0f} effective points are too few to tell one form from another"
    if fits[lead].n < FEW or ranking.best is None:
        return Verdict("not_distinguishable", (few,))
    inside = confidence_set(ranking, tests)
    powers = [name for name in POWER_LAWS if name in inside]
    if "constant" in inside:
        p = tests["constant"].p_value
        return Verdict("not_identified", (f"a constant is not refused (p = {p:.2g}): there is no decay to fit",))
    if not powers:
        return Verdict("not_supported", (_refusal(lead, ranking, registry, tests), *_extras(fits, ranking)))
    if ranking.n_effective < FEW:
        return Verdict("not_distinguishable", (few,))
    lead = min(powers, key=lambda name: ranking.delta[name])
    fit, title, test = fits[lead], registry[lead].title, tests[lead]
    if fit.params["gamma"] <= 0.0:
        return Verdict("not_supported", (f"the curve rises (γ = {fit.params['gamma']:.3g})",))
    if "gamma" in fit.not_identified:
        return Verdict("not_identified", (f"{title}: {fit.reason}",))
    rivals = [name for name in inside if name not in POWER_LAWS and not set(powers) & set(registry[name].contains)]
    others = [name for name in tests if name not in inside]
    if not rivals and test.fit_p_value > REFUTED:
        reason = (
            f"{title} is not refused (p = {test.p_value:.2g}) and fits (goodness of fit: p = {test.fit_p_value:.2g})"
        )
        return Verdict("supported", (reason, f"all {len(others)} forms that do not contain it are refused"))
    reasons = []
    if rivals:
        names = ", ".join(registry[name].title for name in rivals[:4]) + (" and others" if len(rivals) > 4 else "")
        reasons.append(f"{title} is not refused (p = {test.p_value:.2g}), but neither are: {names}")
    if test.fit_p_value <= REFUTED:
        reasons.append(f"{title} leaves structure in its residuals (goodness of fit: p = {test.fit_p_value:.2g})")
    return Verdict("not_distinguishable", tuple(reasons))


def confidence_set(ranking: Ranking, tests: Mapping[str, FormTest]) -> tuple[str, ...]:
    """Forms that are not refused at 5 %, in the order of the ranking."""
    inside = [name for name, test in tests.items() if test.p_value > REFUTED]
    return tuple(sorted(inside, key=lambda name: ranking.delta[name]))


def _refusal(lead: str, ranking: Ranking, registry: Mapping[str, Form], tests: Mapping[str, FormTest]) -> str:
    """Why no power law is left, in words."""
    test, title = tests[lead], registry[lead].title
    assert ranking.best is not None
    better = f"{registry[ranking.best].title} is better than {title} by ΔAICc = {ranking.delta[lead]:.1f}"
    if test.replicates == 0:
        return f"{better}; that is several times more than chance can do"
    least = f"p = {test.p_value:.2g}" if test.p_value > 1.0 / (test.replicates + 1.0) else f"p ≤ {test.p_value:.2g}"
    return f"{better}; on curves made around {title} a rival wins by as much with {least}"


def better_power_law(fits: Mapping[str, Estimate], ranking: Ranking) -> str | None:
    """The power law with the lower AICc, None where neither could be fitted."""
    powers = [name for name in POWER_LAWS if name in fits and fits[name].status != "failed"]
    return min(powers, key=lambda name: ranking.delta[name], default=None)


def _extras(fits: Mapping[str, Estimate], ranking: Ranking) -> tuple[str, ...]:
    step = fits.get("log_logistic_step")
    if ranking.best == "log_logistic_step" and step is not None:
        p = step.params
        return (
            f"the curve is a transition: half of the drop is done at x = {p['x50']:.5g}, steepness s = {p['s']:.3g}",
        )
    if ranking.best in ("shifted_power", "shifted_power_floor"):
        b = fits[ranking.best].params["b"]
        return (
            f"that form is a power law of x + {b:.3g}, not of x; a shift near 1 means that x should be counted from 1 "
            "(for exposures: convention 'inclusive')",
        )
    return ()

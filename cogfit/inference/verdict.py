"""What may be said of the power law, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cogfit.engine.estimate import Estimate
from cogfit.formulas.form import Form
from cogfit.formulas.registry import CONSTANT, POWER_LAWS
from cogfit.inference.form_tests import REFUTED, FormTest, compare_forms, is_borderline
from cogfit.inference.ranking import Ranking, pick_simplest
from cogfit.records.codec import Document
from cogfit.records.sentence import Sentence, say

FEW = 10.0
"""Effective points below which no form is supported against the others."""


@dataclass(frozen=True)
class Verdict(Document):
    """Verdict on the claim "this is a power law".

    What the data say.

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
    and every other form of the set contains it; of several power laws the simplest that passes is judged. Not
    supported: no power law is in the set, or it rises. Not identified: a constant is in the set, γ is not determined or
    lies at its bound, or there are too few points to rank any form (three or fewer). Anything else is not
    distinguishable; so is everything below :data:`FEW` points, and below as many effective points what is not refused.

    Parameters
    ----------
    fits, registry : mapping of str
    ranking : Ranking
    tests : mapping of str to FormTest
        See :func:`compare_forms`.
    """
    lead = better_power_law(fits, ranking)
    if lead is None:
        return Verdict("not_identified", (say("no power law could be fitted to these data", by=judge_power_law),))
    if ranking.best is None:
        return Verdict("not_identified", (_too_few(ranking),))
    if fits[lead].n < FEW:
        return Verdict("not_distinguishable", (_too_few(ranking),))

    # what the tests do not refuse decides, in this order: nothing to fit, no power law, too little, anything else
    inside = confidence_set(ranking, tests)
    if CONSTANT in inside:
        return Verdict("not_identified", (_no_decay(tests[CONSTANT]),))
    powers = [name for name in POWER_LAWS if name in inside]
    if not powers:
        return Verdict("not_supported", (_refusal(lead, ranking, registry, tests), *_remarks(fits, ranking, registry)))
    if ranking.n_effective < FEW:
        return Verdict("not_distinguishable", (_too_few(ranking),))
    lead = leading_power_law(powers, fits, ranking, registry, tests)
    return _judge_candidate(lead, powers, inside, fits, registry, tests)


def simplest(
    names: Sequence[str], fits: Mapping[str, Estimate], ranking: Ranking, registry: Mapping[str, Form]
) -> str | None:
    """The simplest of some forms, None of none.

    See :func:`cogfit.inference.ranking.pick_simplest`.
    """
    if not names:
        return None
    aicc, bic = (np.array([[values[name]] for name in names]) for values in (ranking.delta, ranking.delta_bic))
    is_at_bound = np.array([[bool(fits[name].at_bound)] for name in names])
    counts = [len(registry[name].parameters) for name in names]
    return names[pick_simplest(np.ones(aicc.shape, dtype=bool), aicc, bic, counts, is_at_bound).item()]


def leading_power_law(
    powers: Sequence[str],
    fits: Mapping[str, Estimate],
    ranking: Ranking,
    registry: Mapping[str, Form],
    tests: Mapping[str, FormTest],
) -> str:
    """The power law that is judged.

    The simplest of those not refused that passes goodness of fit, or else of all.
    """
    passing = [name for name in powers if tests[name].fit_p_value > REFUTED]
    lead = simplest(passing, fits, ranking, registry) or simplest(powers, fits, ranking, registry)
    assert lead is not None
    return lead


def reported_form(
    ruling: Verdict,
    fits: Mapping[str, Estimate],
    ranking: Ranking,
    registry: Mapping[str, Form],
    tests: Mapping[str, FormTest],
) -> str | None:
    """The form that a result reports.

    A power law that is supported, or else the simplest form that is not refused; where all are refused, the simplest
    within ΔAICc of 2 of the best. None where nothing could be ranked.
    """
    inside = confidence_set(ranking, tests)
    if ruling.power_law == "supported":
        powers = [name for name in inside if name in POWER_LAWS]
        return leading_power_law(powers, fits, ranking, registry, tests)
    return simplest(inside or ranking.indistinguishable, fits, ranking, registry)


def withhold(verdict: Verdict) -> Verdict:
    """Withhold a verdict on a smoothed curve.

    An unknown filter changes the form, so that neither a power law nor its refusal is that of the curve behind it.
    """
    if verdict.power_law not in ("supported", "not_supported"):
        return verdict
    text = (
        "the curve was smoothed, or looks smoothed, by an unknown filter, which changes its form: log it as it is, or "
        "declare the filter"
    )
    return Verdict("not_distinguishable", (say(text, by=withhold),))


def _judge_candidate(
    lead: str,
    powers: Sequence[str],
    inside: Sequence[str],
    fits: Mapping[str, Estimate],
    registry: Mapping[str, Form],
    tests: Mapping[str, FormTest],
) -> Verdict:
    """Rule on a power law that is not refused."""
    fit, title, test = fits[lead], registry[lead].title, tests[lead]
    gamma = fit.params["gamma"]
    if gamma <= 0.0:
        reason = say("the curve rises (γ = {gamma:.3g})", gamma=gamma, threshold="γ ≤ 0", by=judge_power_law)
        return Verdict("not_supported", (reason,))
    if "gamma" in (*fit.not_identified, *fit.at_bound):
        reason = say("{title}: {reason}", title=title, reason=fit.reason, by=judge_power_law)
        return Verdict("not_identified", (reason,))
    # a form that contains a power law of the set is no rival: it says the same with more parameters
    rivals = [name for name in inside if name not in POWER_LAWS and not set(powers) & set(registry[name].contains)]
    is_fitting = test.fit_p_value > REFUTED
    if not rivals and is_fitting:
        refused = {registry[name].title: other for name, other in tests.items() if name not in inside}
        return Verdict("supported", _support(title, test, refused))
    reasons = []
    if rivals:
        reasons.append(_rivalry(title, test, [registry[name].title for name in rivals]))
    if not is_fitting:
        text = "{title} leaves structure in its residuals (goodness of fit: p = {fit_p:.2g})"
        rule = f"p ≤ {REFUTED:g}"
        reasons.append(say(text, title=title, fit_p=test.fit_p_value, threshold=rule, by=judge_power_law))
    return Verdict("not_distinguishable", tuple(reasons))


def _support(title: str, test: FormTest, refused: Mapping[str, FormTest]) -> tuple[Sentence, ...]:
    """Why a power law is supported."""
    open_side, level = _open_side(test)
    text = f"{{title}} is not refused (p = {{p:.2g}}{open_side}) and fits (goodness of fit: p = {{fit_p:.2g}})"
    numbers = {"title": title, "p": test.p_value, "fit_p": test.fit_p_value, **level}
    others, counts = "all {count} forms that do not contain it are refused", {"count": len(refused)}
    near = [other for other in refused if is_borderline(refused[other])]
    rest: dict[str, str] = {}
    if near:
        others += ", though for {names} p is not told from the level"
        rest["names"] = " and ".join(near)
    return (
        say(text, threshold=f"p > {REFUTED:g}", by=judge_power_law, **numbers),
        say(others, threshold=f"p ≤ {REFUTED:g}", by=judge_power_law, **counts, **rest),
    )


def _rivalry(title: str, test: FormTest, rivals: Sequence[str]) -> Sentence:
    """Which other forms are not refused either."""
    names = ", ".join(rivals[:4]) + (" and others" if len(rivals) > 4 else "")
    open_side, level = _open_side(test)
    text = f"{{title}} is not refused (p = {{p:.2g}}{open_side}), but neither are: {{names}}"
    rule = f"p > {REFUTED:g}"
    return say(text, title=title, p=test.p_value, names=names, threshold=rule, by=judge_power_law, **level)


def _too_few(ranking: Ranking) -> Sentence:
    text = "{n:.0f} effective points are too few to tell one form from another"
    return say(text, n=ranking.n_effective, threshold=f"points < {FEW:g}", by=judge_power_law)


def _no_decay(test: FormTest) -> Sentence:
    text = "a constant is not refused (p = {p:.2g}): there is no decay to fit"
    return say(text, p=test.p_value, threshold=f"p > {REFUTED:g}", by=judge_power_law)


def confidence_set(ranking: Ranking, tests: Mapping[str, FormTest]) -> tuple[str, ...]:
    """Forms that are not refused at 5 %.

    They come in the order of the ranking.
    """
    inside = [name for name, test in tests.items() if test.p_value > REFUTED]
    return tuple(sorted(inside, key=lambda name: ranking.delta[name]))


def _refusal(lead: str, ranking: Ranking, registry: Mapping[str, Form], tests: Mapping[str, FormTest]) -> Sentence:
    """Why no power law is left."""
    test = tests[lead]
    assert ranking.best is not None
    numbers: dict[str, Any] = {
        "best": registry[ranking.best].title,
        "title": registry[lead].title,
        "delta": ranking.delta[lead],
    }
    better = "{best} is better than {title} by ΔAICc = {delta:.1f}"
    if test.replicates == 0:  # refused without curves made around it
        text = better + "; that is several times more than chance can do"
        return say(text, by=compare_forms, **numbers)
    smallest = 1.0 / (test.replicates + 1.0)
    sign = "=" if test.p_value > smallest else "≤"
    if lead == ranking.best:  # the lowest AICc, and refused all the same
        better = "{title} has the lowest AICc, but a rival follows the curve better"
    text = better + "; on curves made around {title} a rival wins by as much with p {sign} {p:.2g}"
    open_side, level = _open_side(test)
    rule = f"p ≤ {REFUTED:g}"
    numbers |= {"sign": sign, "p": test.p_value, **level}
    return say(text + open_side, threshold=rule, by=judge_power_law, **numbers)


def _open_side(test: FormTest) -> tuple[str, dict[str, float]]:
    """Words for a p-value that replicates do not tell from the level, and their numbers."""
    if not is_borderline(test):
        return "", {}
    text = ", which {replicates:,} such curves do not tell from the level of {level:.0%}"
    return text, {"replicates": test.replicates, "level": REFUTED}


def better_power_law(fits: Mapping[str, Estimate], ranking: Ranking) -> str | None:
    """The power law with the lower AICc.

    None where neither could be fitted.
    """
    powers = [name for name in POWER_LAWS if name in fits and fits[name].status != "failed"]
    return min(powers, key=lambda name: ranking.delta[name], default=None)


def _remarks(fits: Mapping[str, Estimate], ranking: Ranking, registry: Mapping[str, Form]) -> tuple[Sentence, ...]:
    """What the parameters of the best form say.

    Nothing where its record has no words for it.
    """
    if ranking.best is None or not registry[ranking.best].remark:
        return ()
    params: dict[str, Any] = dict(fits[ranking.best].params)
    return (say(registry[ranking.best].remark, by=judge_power_law, **params),)

"""The rule: what a fit says of a claim."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import Literal

from cogfit.claims.digest import Digest
from cogfit.claims.records import Answer, ClaimCheck, Difference
from cogfit.claims.statement import LEVEL, Claim
from cogfit.errors import InputError
from cogfit.formulas.registry import CONSTANT, POWER_LAWS, get_form
from cogfit.inference.form_tests import REFUTED
from cogfit.inference.interval import Interval, format_interval
from cogfit.native import distributions
from cogfit.planning.advice import advise
from cogfit.records.sentence import Sentence, say
from cogfit.result import FitResult, FormFit

State = Literal["refused", "supported", "open", "undetermined"]

_POWER_LAW: dict[str, State] = {
    "supported": "supported",
    "not_supported": "refused",
    "not_distinguishable": "open",
    "not_identified": "undetermined",
}
"""Whether the law of a claim holds, by the verdict."""

_POWER = 0.8
"""Chance of the answer "supported" that the advice aims at."""


@dataclass(frozen=True)
class _Law:
    """The form that a claim is about: whether it holds, and why."""

    item: FormFit
    state: State
    reasons: tuple[str, ...]


def judge_claim(claim: Claim, fit: FitResult, digest: Digest, *, form: str | None = None) -> ClaimCheck:
    """Say whether a fit contradicts or supports a claim.

    The first of these that holds: *contradicted*, the form of the claim (the power law) is refused; *untestable*, its
    parameter is no measurement; *contradicted*, the interval of the difference, with both errors, excludes 0;
    *supported*, the form is supported and the interval lies within the claim and its margin; *compatible*.

    Parameters
    ----------
    claim : Claim
    fit : FitResult
        To which every form was fitted.
    digest : Digest
        Of the log.
    form : str, optional
        The form whose parameter is meant; by default the power law that is reported.

    Returns
    -------
    ClaimCheck

    Raises
    ------
    InputError
        If the fit compared no forms, or lacks the form.
    """
    if fit.verdict.power_law == "not_compared":
        raise InputError("one form only was fitted, so that nothing says whether it holds", hint="fit every form")
    law = _law_of(claim, fit, form)
    limits = law.item.intervals.get(claim.parameter)
    standing = law.item.standing(claim.parameter)
    is_measured = standing.kind == "measured" and limits is not None and law.state != "undetermined"
    difference = None
    if law.state == "refused":
        answer, reasons = _refused(law)
        is_measured = False
    elif not is_measured or limits is None:
        answer, reasons = _untestable(claim, law)
    else:
        difference = difference_from(claim, law.item.params[claim.parameter], limits)
        answer, reasons = _compare(claim, law, limits, difference)
    return ClaimCheck(
        claim=claim,
        answer=answer,
        reasons=reasons,
        advice=_advice(answer, claim, fit, law, limits),
        form=law.item.name,
        estimate=law.item.params[claim.parameter] if is_measured else None,
        interval=limits if is_measured else None,
        difference=difference,
        level=fit.level,
        digest=digest,
        fit=fit,
    )


def difference_from(claim: Claim, estimate: float, limits: Interval) -> Difference:
    """Return an estimate less the nearest claimed value.

    Its limits have the confidence of both intervals, which need not be symmetric (MOVER: Zou & Donner 2008, Stat. Med.
    27:1693, eq. 3). The claim's own, at 95 %, is brought to the level of the log's.

    Examples
    --------
    >>> from cogfit.claims.statement import parse_claim
    >>> limits = Interval(0.4, 0.6, 0.95, "profile", "this curve")
    >>> found = difference_from(parse_claim("gamma=0.2±0.1", plus_minus="ci"), 0.5, limits)
    >>> round(found.estimate, 3), round(found.low, 3), round(found.high, 3)
    (0.3, 0.159, 0.441)
    """
    nearest = min(max(estimate, claim.low), claim.high)
    scale = distributions.normal_quantile(0.5 + 0.5 * limits.level) / distributions.normal_quantile(0.5 + 0.5 * LEVEL)
    low = estimate - nearest - math.hypot(estimate - limits.low, scale * claim.above)
    high = estimate - nearest + math.hypot(limits.high - estimate, scale * claim.below)
    return Difference(estimate - nearest, low, high, limits.level)


# --------------------------------------------------------------------------------------------------------- the law


def _law_of(claim: Claim, fit: FitResult, form: str | None) -> _Law:
    """The form that is meant, and whether it holds."""
    fitted = _forms_meant(claim, fit, form)
    # the form reported where it is one of them, or else the simplest that is not refused
    alive = [item for item in fitted if item.name in fit.indistinguishable_forms]
    item = next((item for item in alive if item.name == fit.form), (alive or fitted)[0])
    if item.name not in POWER_LAWS:
        return _other_law(item, fit)
    state = _POWER_LAW[fit.verdict.power_law]
    if not alive and state == "supported":  # a power law, but not the one that is claimed
        return _Law(item, "refused", (_refusal(item), *fit.verdict.reasons))
    return _Law(item, state, fit.verdict.reasons)


def _forms_meant(claim: Claim, fit: FitResult, form: str | None) -> list[FormFit]:
    """Forms that were fitted and have the parameter, the simplest first."""
    there = {item.name: item for item in fit.forms}
    names = POWER_LAWS if form is None else (get_form(form).name,)
    fitted = [there[name] for name in names if name in there and claim.parameter in there[name].params]
    if not fitted:
        wanted = f"form '{names[0]}'" if form is not None else f"power law with '{claim.parameter}'"
        raise InputError(f"no {wanted} was fitted to this log", hint=f"there are {', '.join(there)}")
    return fitted


def _other_law(item: FormFit, fit: FitResult) -> _Law:
    """Whether a form that is no power law holds, by the rule for power laws."""
    inside = fit.indistinguishable_forms
    if CONSTANT in inside or not inside:
        return _Law(item, "undetermined", fit.verdict.reasons)
    if item.name not in inside:
        return _Law(item, "refused", (_refusal(item),))
    rivals = [name for name in inside if name != item.name and item.name not in get_form(name).contains]
    if rivals:
        names = ", ".join(fit[name].title for name in rivals)
        text = "{title} is not refused, but neither are: {names}"
        return _Law(item, "open", (say(text, title=item.title, names=names, by=_other_law),))
    if item.test is not None and item.test.fit_p_value <= REFUTED:
        text = "{title} leaves structure in its residuals (goodness of fit: p = {p:.2g})"
        return _Law(item, "open", (say(text, title=item.title, p=item.test.fit_p_value, by=_other_law),))
    return _Law(item, "supported", (say("only {title} is not refused", title=item.title, by=_other_law),))


def _refusal(item: FormFit) -> Sentence:
    p = math.nan if item.test is None else item.test.p_value
    return say("{title} is refused (p = {p:.2g})", title=item.title, p=p, threshold=f"p ≤ {REFUTED:g}", by=_refusal)


# ------------------------------------------------------------------------------------------------------ the answers

_Reasoned = tuple[Answer, tuple[str, ...]]


def _refused(law: _Law) -> _Reasoned:
    what = "power law" if law.item.name in POWER_LAWS else law.item.title
    text = "the {what} is refused, so that it has no parameter that could be as claimed"
    return "contradicted", (say(text, what=what, by=judge_claim), *law.reasons)


def _untestable(claim: Claim, law: _Law) -> _Reasoned:
    standing = law.item.standing(claim.parameter)
    why = standing.why or standing.reason or "the log does not determine it"
    text = "{symbol} is no measurement here: {why}"
    return "untestable", (say(text, symbol=claim.symbol, why=why, by=judge_claim), *law.reasons)


def _compare(claim: Claim, law: _Law, limits: Interval, difference: Difference) -> _Reasoned:
    numbers = {
        "symbol": claim.symbol,
        "value": law.item.params[claim.parameter],
        "limits": format_interval((limits.low, limits.high)),
        "level": limits.level,
        "stated": claim.stated,
    }
    if difference.excludes_zero:
        return "contradicted", (_difference(difference, numbers), *_unless_supported(law))
    low, high = claim.zone
    is_within = low <= limits.low and limits.high <= high
    verb = "lies within" if is_within else "reaches beyond"
    text = "{symbol} = {value:.3g}, and its {level:.0%} interval {limits} {verb} {zone}, the claim and its margin"
    rule = f"{low:g} ≤ limits ≤ {high:g}"
    zone = format_interval(claim.zone)
    precision = say(text, verb=verb, zone=zone, threshold=rule, by=judge_claim, **numbers)
    if is_within and law.state == "supported":
        return "supported", (precision, *law.reasons)
    return "compatible", (_difference(difference, numbers), precision, *law.reasons)


def _difference(found: Difference, numbers: dict[str, object]) -> Sentence:
    """How far log and claim lie apart."""
    conclusion = "excludes 0" if found.excludes_zero else "does not exclude 0"
    text = (
        "the log has {symbol} = {value:.3g} {limits}, the claim {stated}: the {level:.0%} interval of the difference, "
        "{between}, {conclusion}"
    )
    shown = format_interval((found.low, found.high))
    return say(
        text, between=shown, conclusion=conclusion, threshold="0 outside the interval", by=judge_claim, **numbers
    )


def _unless_supported(law: _Law) -> tuple[str, ...]:
    """That γ of a law that is open is one *if* it holds."""
    if law.state == "supported":
        return law.reasons
    text = "whether {title} holds is open, but if it does, its parameter is not the claimed one"
    return (say(text, title=law.item.title, by=judge_claim), *law.reasons)


# --------------------------------------------------------------------------------------------------------- advice


def _advice(answer: Answer, claim: Claim, fit: FitResult, law: _Law, limits: Interval | None) -> tuple[str, ...]:
    """What would decide, where the answer does not."""
    if answer in ("supported", "contradicted"):
        return ()
    log = fit.source["path"]
    known = [item.sentence for item in fit.explain() if item.decided_by == f"{advise.__module__}.{advise.__qualname__}"]
    precision = None if answer == "untestable" or limits is None else _precision(claim, limits)
    ways: list[str] = [*known, *([] if precision is None else [precision])]
    if law.state in ("open", "undetermined") or not ways:
        named = f"cogfit design --like {shlex.quote(log)}" if log else "cogfit.design(like=...)"
        ways.append(say("{named} tries how much more would tell the forms apart", named=named, by=_advice))
    return tuple(ways)


def _precision(claim: Claim, limits: Interval) -> Sentence | None:
    """How much more data would make the interval narrow enough.

    Wanted is a chance of :data:`_POWER` that it lies within the margin if the claim is true in its middle.
    """
    low, high = claim.zone
    half = (limits.high - limits.low) / 2.0
    if not math.isfinite(half):
        return None
    if high <= low:
        return say("without a margin no interval lies within the claim: give one", by=_precision)
    z = distributions.normal_quantile(0.5 + 0.5 * limits.level)
    wanted = (high - low) / 2.0 / (1.0 + distributions.normal_quantile(0.5 + 0.5 * _POWER) / z)
    factor = (half / wanted) ** 2 if math.isfinite(wanted) else 0.0
    if factor <= 1.0:
        return None
    text = (
        "about {times} times as much data (runs, or points whose errors do not depend on each other) would make the "
        "interval narrow enough"
    )
    times = f"{float(f'{factor:.2g}'):,.6g}"
    return say(text, times=times, factor=factor, half=half, wanted=wanted, by=_precision)

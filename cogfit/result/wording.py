"""What a fit says in sentences: the answer first, then how it was come by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cogfit.formulas.registry import POWER
from cogfit.inference.interval import format_interval
from cogfit.result.account import choice_in_words

if TYPE_CHECKING:
    from cogfit.result.fit_result import FitResult


def headline(result: FitResult) -> str:
    """The answer in one or two sentences.

    With how the form was chosen, and what was chosen or averaged to get there.
    """
    return " ".join(text for text in (_answer(result), scope(result)) if text)


def scope(result: FitResult) -> str:
    """What of the log was fitted, where it holds more.

    Empty where it holds a single curve.
    """
    parts = [choice_in_words(choice) for choice in result.source.get("choices", [])]
    averaged = result.source.get("averaged_over", {})
    if averaged:
        counted = " and ".join(f"{n} {name}s" for name, n in averaged.items())
        parts.append(f"averaged over {counted} (one by one: --by {','.join(averaged)})")
    return f"Fitted: {'; '.join(parts)}." if parts else ""


def choice(result: FitResult) -> str:
    """How the form reported was chosen, in words.

    Empty where nothing was compared.
    """
    others = result.indistinguishable_forms
    if result.verdict.power_law == "not_compared" or result.selected.test is None:
        return ""
    if result.form not in others:
        return "every form is refused; one of the lowest AICc" if not others else ""
    if len(others) == 1:
        return "the only form not refused"
    return f"the simplest of {len(others)} forms not refused"


def _answer(result: FitResult) -> str:
    lines = [] if result.verdict.power_law == "not_compared" else [f"Power law: {result.verdict}."]
    item, limits = result.selected, result.interval
    about = "; ".join(filter(None, (item.title, f"{result.axis} axis", choice(result))))
    if result.gamma is not None and limits is not None:
        standing = item.standing()
        if standing.is_measured:
            doubt = f", unreliable: {standing.why}" if standing.why else ""
            lines.append(
                f"γ = {result.gamma:.3g}, {result.level:.0%} interval {format_interval(limits)}{doubt} ({about})."
            )
        else:
            lines.append(f"γ is no measurement here: {standing.reason} ({about}).")
    else:
        lines += _description(result)
    return " ".join(lines)


def _description(result: FitResult) -> list[str]:
    """What may be said where the form reported has no γ."""
    if result.verdict.power_law == "not_compared":
        return [_parameters_in_words(result)]
    power = next((item for item in result.forms if item.name == POWER and item.gamma is not None), None)
    if power is None:
        return []
    named = result.selected.title + (f" ({choice(result)})" if choice(result) else "")
    standing, limits = power.standing(), power.intervals["gamma"]
    if standing.kind in ("at_bound", "not_identified"):
        return [f"The form reported, {named}, has no γ, and no log–log slope describes this window."]
    shown = format_interval((limits.low, limits.high)) if standing.is_measured else "(a power law misses the curve)"
    return [
        f"The form reported, {named}, has no γ; the log–log slope over this window is {power.gamma:.3g} {shown}, a "
        "description and no parameter."
    ]


def _parameters_in_words(result: FitResult) -> str:
    """The answer of a form without γ that was asked for."""
    item = result.selected
    if item.estimate.status == "failed":
        return f"{item.title} did not fit: {item.estimate.reason} ({result.axis} axis)."
    about = f"{result.level:.0%} intervals; {result.axis} axis"
    return f"{item.title}: {', '.join(map(item.described, item.params))} ({about})."


def methods(result: FitResult) -> str:
    """Write a paragraph for a methods section.

    With the numbers of this fit.
    """
    item = result.selected
    names = ", ".join(f.title for f in result.forms)
    text = (
        f"Curves of {result.y_label} against {result.x_label} ({result.convention}; n = {result.n}) were fitted with "
        f"cogfit {result.versions.get('cogfit', '?')} by maximum likelihood under {result.noise} noise, using "
        f"multi-start variable projection or least squares on deviance residuals. "
    )
    if len(result.forms) > 1:
        text += (
            f"{len(result.forms)} forms were compared ({names}), ordered by AICc and tested by bootstrap around each "
            f"form ({_replicates(result)} replicates; effective sample size {result.n_effective:.0f}); not refused at "
            "5 %: "
            f"{', '.join(result[name].title for name in result.indistinguishable_forms) or 'none'}. "
        )
    if result.gamma is not None and result.interval is not None:
        how = item.intervals[item.gamma_name or ""]
        text += (
            f"The exponent of the form {item.title} was γ = {result.gamma:.3g} ({result.level:.0%} interval "
            f"{format_interval(result.interval)}; {how.method}; scope: {how.scope}). "
        )
    else:
        text += f"The form retained was {item.title}, which has no power-law exponent. "
    if result.verdict.power_law == "not_compared":
        return text + "No other form was fitted."
    text += f"The power law was {result.verdict}"
    text += ": " + "; ".join(result.findings) + "." if result.findings else "."
    if result.source.get("rows_dropped"):
        dropped = ", ".join(f"{count} ({reason})" for reason, count in result.source["rows_dropped"].items())
        text += f" Rows left out: {dropped}."
    return text


def _replicates(result: FitResult) -> str:
    """Fewest and most of the forms that needed any."""
    counts = {item.test.replicates for item in result.forms if item.test is not None} - {0} or {0}
    return f"{min(counts):,}" if len(counts) == 1 else f"{min(counts):,} to {max(counts):,}"

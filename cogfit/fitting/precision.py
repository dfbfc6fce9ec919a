"""How well each form's parameters are known, and what that does to the verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from cogfit.curves.curve import Curve
from cogfit.fitting.comparing import Compared
from cogfit.fitting.options import Options
from cogfit.formulas.form import Form
from cogfit.formulas.registry import POWER_LAWS
from cogfit.inference import intervals, selection, windows
from cogfit.inference.selection import Selection
from cogfit.inference.verdict import Verdict, confidence_set
from cogfit.inference.windows import Window
from cogfit.records.sentence import say
from cogfit.result import FormFit


def form_fits(compared: Compared, options: Options, whole: bool) -> list[FormFit]:
    """Each form's fit with its intervals, best first."""
    curve, fits, selected = compared.curve, compared.fits, compared.selected
    inside = confidence_set(selected.ranking, selected.tests)
    registry = {form.name: form for form in compared.family}
    extrapolation = selection.extrapolation_error(curve, fits, registry) if whole else {}
    items = []
    for form in compared.family:
        uncertainty = uncertainty_of(compared, form, inside, options)
        if whole and selected.ranking.best is None:  # too few points to rank any form
            uncertainty = intervals.undetermined(uncertainty, f"{curve.x.size} points tell nothing of a form")
        items.append(form_fit(form, uncertainty, selected, extrapolation.get(form.name, math.nan)))
    return sorted(items, key=lambda item: item.delta_aicc)


def uncertainty_of(compared: Compared, form: Form, inside: tuple[str, ...], options: Options) -> intervals.Uncertainty:
    """Intervals of a form's parameters."""
    name, selected = form.name, compared.selected
    fit = compared.fits[name]
    if compared.constant:
        return intervals.Uncertainty(fit, {}, fit.covariance)
    # profiles cost most: only for forms of which somebody will want to know γ
    matters = name == compared.best or name in POWER_LAWS or name in inside
    return intervals.all_intervals(
        form,
        compared.curve,
        fit,
        options.level,
        options.rng,
        errors=selected.errors[name],
        joint=selected.joint.get(name),
        profiled=matters,
        refused=selected.misses or (bool(selected.tests) and name not in inside),
        thorough=options.thorough and matters,
    )


def form_fit(form: Form, uncertainty: intervals.Uncertainty, compared: Selection, extrapolation: float) -> FormFit:
    """Put the fit of a form together."""
    return FormFit(
        estimate=uncertainty.estimate,
        intervals=uncertainty.intervals,
        covariance=uncertainty.covariance,
        title=form.title,
        formula=form.formula,
        gamma_name=form.gamma,
        units={q.name: q.unit for q in form.parameters},
        meanings={q.name: q.meaning for q in form.parameters},
        delta_aicc=compared.ranking.delta[form.name],
        delta_bic=compared.ranking.delta_bic[form.name],
        errors=uncertainty.errors,
        test=compared.tests.get(form.name),
        extrapolation=extrapolation,
        sensitivity=uncertainty.sensitivity,
    )


def windows_of(
    curve: Curve,
    items: Sequence[FormFit],
    family: tuple[Form, ...],
    best: str,
    inside: tuple[str, ...],
    options: Options,
) -> tuple[Window, ...]:
    """γ over windows of x.

    Floor and shift of the law are held.
    """
    fits = {item.name: item.estimate for item in items}
    law = windows.law_of(best, inside, {name: fit.params for name, fit in fits.items()})
    form = next(form for form in family if form.name == best)
    fitted = form.evaluate(curve.x, fits[best].params)
    return windows.exponents(curve, fits[best].noise, options.level, options.rng, law=law, fitted=fitted)


def settle(ruling: Verdict, item: FormFit) -> Verdict:
    """The verdict, once the interval of γ is known.

    A power law whose exponent the data leave open is not supported.
    """
    standing = item.standing()
    if ruling.power_law != "supported" or standing.is_measured:
        return ruling
    text = "{title} is not refused, but its γ is no measurement: {reason}"
    reason = say(text, title=item.title, reason=standing.reason, by=settle)
    return Verdict("not_identified", (reason,))


def unite_gamma(items: list[FormFit], close: tuple[str, ...]) -> tuple[FormFit, ...]:
    """Unite the intervals for γ of indistinguishable power laws.

    The data do not tell these apart.
    """
    names = {item.name for item in items if item.name in close and item.name in POWER_LAWS}
    united = [item for item in items if item.name in names]
    if len(united) < 2:
        return tuple(items)
    gammas = [item.intervals["gamma"] for item in united]
    titles = " or ".join(item.title for item in united)
    union = replace(
        gammas[0],
        low=min(interval.low for interval in gammas),
        high=max(interval.high for interval in gammas),
        method=f"{gammas[0].method}; union over {titles}",
    )
    return tuple(
        replace(item, intervals={**item.intervals, "gamma": union}) if item.name in names else item for item in items
    )

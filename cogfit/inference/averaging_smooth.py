"""Whether the smooth curves of single patterns are power laws.

Two tests of exponentials against power laws, over patterns; then what the mean of the patterns looks like.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from cogfit.engine import separable
from cogfit.formulas.form import Array
from cogfit.formulas.registry import POWER_LAWS, get_form
from cogfit.inference.averaging_fits import (
    EXPONENTIALS,
    Data,
    Fits,
    aicc_penalty,
    bin_variance,
    critical_z,
    fit_all,
    fit_form,
    fit_general,
    parameter_range,
    r_squared,
    vuong_z,
)
from cogfit.inference.averaging_result import FEWEST, Averaging, title_of
from cogfit.inference.ranking import CLOSE
from cogfit.records.sentence import Sentence, say

_OTHERS = ("hyperbolic", "log_logistic_step")  # what single curves may be besides: named, where it is the best form
_NAMED = 300  # patterns by which their form is named, where it is neither a power law nor an exponential
_VAGUE = 1.0  # standard error from which the exponent of a single pattern says nothing
_CLEAR = 2.0  # log-likelihood difference from which a pattern speaks clearly for one side
_MIXED = 0.2  # share of the patterns that may speak clearly against the others
_BEYOND = 3.0  # a shifted power law is one if k reaches this many times the shift: half of its decline in log y
_REPRODUCED = 0.9  # R² from which an average of single fits reproduces the pooled curve


def judge_by_shift(first: Fits, near_binary: float, kind: str) -> Averaging:
    """Compare exponentials with the best shifted power law."""
    data, critical = replace(first.data, v=bin_variance(first)), critical_z(len(first.data.y))
    unshifted = fit_all(data)

    # one shift for all patterns, in powers of 4 up to a third of the window: neither the way of counting nor a slow
    # start may decide
    shifts = [0.0, *(4.0**i for i in range(1 + int(math.log(max(data.x.max() / _BEYOND, 1.0), 4.0))))]
    by_shift = [unshifted] + [fit_all(replace(data, x=data.x + s), unshifted) for s in shifts[1:]]
    total = [float(fits.best(POWER_LAWS)[0].sum()) for fits in by_shift]
    at = int(np.argmin(total))
    d, z, z_mirrored = _test_both(by_shift[at])

    # better than exponentials, but is it still a power law without more of a shift than counting explains?
    needs_shift = at > 1 and max(z, z_mirrored) <= -critical
    if needs_shift:
        small = int(np.argmin(total[:2]))
        d_small, *z_small = _test_both(by_shift[small])
        if max(z_small) <= -critical:
            at, d, (z, z_mirrored), needs_shift = small, d_small, z_small, False
    fits, law = by_shift[at], f"(k + {shifts[at]:g})^−γ" if at else "k^−γ"
    form, z_form = _best_single_form(fits, unshifted)
    single = fits.by[form].values if z_form else fits.best(EXPONENTIALS)[1]
    reproduced = [r_squared(data, values) for values in (single, fits.best(POWER_LAWS)[1])]
    better = 0.5 * (fits.best(POWER_LAWS)[0] - fits.score(form)) if z_form else d
    result = Averaging(
        status="undecided",
        reasons=(),
        patterns=d.size,
        kind=kind,
        z=z,
        z_mirrored=z_mirrored,
        critical=critical,
        per_pattern_form=form,
        share_better=float((better > 0.0).mean()),
        near_binary=near_binary,
        shift=shifts[at],
        reproduced=reproduced[0],
        reproduced_power=reproduced[1],
        **_exponents(unshifted),
    )
    against = float((d < -_CLEAR).mean() if z > 0.0 else (d > _CLEAR).mean())
    judged = _judge_smooth(result, law, against, needs_shift, data)
    if not z_form:
        return judged
    text = "single {kind} are {form} curves rather than exponentials or power laws {law} (z = {z:.1f})"
    title = get_form(form).title
    name = say(text, kind=kind, form=title, law=law, z=z_form, threshold=f"z ≥ {critical:.1f}", by=judge_by_shift)
    return replace(judged, reasons=(*judged.reasons, name))


def _best_single_form(fits: Fits, unshifted: Fits) -> tuple[str, float]:
    """The best non-power form of single patterns.

    With z against exponentials and power laws where it is none of these, or else 0.
    """
    data = unshifted.data
    best, z_best = min(EXPONENTIALS, key=lambda name: float(fits.score(name).sum())), 0.0
    known = np.minimum(fits.best(EXPONENTIALS)[0], fits.best(POWER_LAWS)[0])
    few = np.unique(np.linspace(0, known.size - 1, min(_NAMED, known.size)).astype(int))
    part = replace(data, y=data.y[few], n=data.n[few])
    for name in _OTHERS:
        found = fit_general(get_form(name), part)
        z = vuong_z(0.5 * (known[few] - Fits(part, {name: found}).score(name)))
        if z >= max(critical_z(few.size), z_best):
            best, z_best = name, z
    if z_best:
        fits.by[best] = fit_general(get_form(best), data)
    return best, z_best


def _judge_smooth(result: Averaging, law: str, against: float, needs_shift: bool, data: Data) -> Averaging:
    """Rule on patterns that fall smoothly.

    What single fits say comes first, then what their mean looks like.
    """
    z, z_mirrored, critical, kind = result.z, result.z_mirrored, result.critical, result.kind
    numbers = {"kind": kind, "law": law, "z": z, "z_mirrored": z_mirrored, "critical": critical}
    how = " (z = {z:.1f}, mirrored {z_mirrored:.1f}; ±{critical:.1f} is needed)"

    def because(text: str, threshold: str, **values: Any) -> Sentence:
        return say(text + how, threshold=threshold, by=_judge_smooth, **numbers, **values)

    if min(abs(z), abs(z_mirrored)) < critical or z * z_mirrored < 0.0:
        why = because("single {kind} do not tell power laws {law} from exponentials", "|z| < ±critical")
        return replace(result, reasons=(why,))
    if against > _MIXED:
        text = "{kind} differ: {against:.0%} clearly contradict the others"
        return replace(result, reasons=(because(text, f"share > {_MIXED:g}", against=against),))
    if needs_shift:
        text = "single {kind} follow neither power laws nor exponentials: {law} is better than both"
        return replace(result, reasons=(because(text, "z ≤ −critical for shifted k only"),))
    if z < 0.0:
        text = "single {kind} follow power laws {law} better than exponentials"
        return replace(result, status="genuine", reasons=(because(text, "z ≤ −critical"),))

    return _judge_exponentials(result, because, data)


def _judge_exponentials(result: Averaging, because: Callable[..., Sentence], data: Data) -> Averaging:
    """Rule on patterns that are exponentials.

    Does their mean look like a power law, and is it the pooled curve?
    """
    result = replace(result, gamma_mean=math.nan, gamma_sd=math.nan)
    text = "{share:.0%} of single {kind} follow {form} better than power laws {law}"
    form = "exponentials" if result.per_pattern_form in EXPONENTIALS else title_of(result.per_pattern_form)
    why = because(text, "z ≥ critical", share=result.share_better, form=form)
    margin = _like_power(data.pooled())
    if margin < -CLOSE:
        text = "and so does the pooled curve, better than power laws"
        return replace(
            result, status="none", reasons=(why, say(text, threshold=f"ΔAICc > {CLOSE:g}", by=_judge_exponentials))
        )
    if margin <= CLOSE:
        text = "whether the pooled curve looks like a power law is not to be told"
        return replace(result, reasons=(why, say(text, threshold=f"|ΔAICc| ≤ {CLOSE:g}", by=_judge_exponentials)))
    if result.reproduced < _REPRODUCED:
        text = "but the average of these is not the pooled curve"
        return replace(result, reasons=(why, say(text, threshold=f"R² < {_REPRODUCED:g}", by=_judge_exponentials)))
    text = "the power law that the pooled curve looks like (γ = {gamma:.2f} as {form}) is an averaging artefact"
    headline = say(text, gamma=result.gamma_pooled, form=title_of(result.gamma_form), by=_judge_exponentials)
    return replace(result, status="artefact", reasons=(headline, why))


def _test_both(fits: Fits) -> tuple[Array, float, float]:
    """Both tests of exponentials against power laws.

    Log-likelihood difference of each pattern, z, and z less what data mirrored at either fit give.
    """
    d, data = fits.difference(), fits.data
    y = np.concatenate([2.0 * fits.best(names)[1] - data.y for names in (POWER_LAWS, EXPONENTIALS)])
    mirrored = fit_all(replace(data, y=y, n=np.tile(data.n, (2, 1)))).difference()
    return d, vuong_z(d), vuong_z(d - mirrored.reshape(2, -1).mean(axis=0))


def _like_power(pooled: Data) -> float:
    """ΔAICc by which power laws beat exponentials.

    The best power law, shifted ones included, is compared on the pooled curve.

    A shifted power law counts only if half of its decline in log y lies beyond the shift (x_max ≥ 3 b) and something
    is left there to see (γ ≤ 4): otherwise it is an exponential in disguise.
    """
    fits = fit_all(pooled).by
    size, w = float(pooled.x.size), pooled.n / pooled.v
    shifted = separable.solve(get_form("shifted_power"), pooled.x, pooled.y, w, tolerance=1e-9)
    rss = {name: float(fit.rss[0]) for name, fit in fits.items() if float(fit.params[0, 1]) > 0.0}
    if _BEYOND * shifted.params[0, 2] <= pooled.x.max() and shifted.params[0, 1] <= 4.0:
        rss["shifted_power"] = float(shifted.rss[0])
    smallest = 1e-18 * float((w * pooled.y**2).sum()) + 1e-300
    score = {
        name: size * math.log(max(value, smallest))
        + float(aicc_penalty(len(get_form(name).parameters) + 1, np.array(size)))
        for name, value in rss.items()
    }
    power = min((value for name, value in score.items() if name not in EXPONENTIALS), default=math.inf)
    return min(score[name] for name in EXPONENTIALS) - power


def _exponents(fits: Fits) -> dict[str, Any]:
    """Exponents of single patterns and of the pooled curve.

    Their mean and SD, under the better power law.
    """
    data, size = fits.data, fits.data.size
    name = min(POWER_LAWS, key=lambda name: float(fits.score(name).sum()))
    form, params = get_form(name), fits.by[name].params
    phi = data.x ** -params[:, 1:2]
    design = np.stack([phi, -params[:, :1] * np.log(data.x) * phi, np.ones_like(phi)][: len(form.parameters)], axis=2)
    normal = np.einsum("jb,jbp,jbq->jpq", data.n / data.v, design, design)
    low, high = parameter_range(form, data.x)
    scale = 0.5 * (1.0 + fits.by[name].rss / size) * size / np.maximum(size - len(form.parameters), 1.0)
    regular = np.linalg.cond(normal) < 1e12
    variance = np.full(size.size, math.inf)
    variance[regular] = scale[regular] * np.linalg.inv(normal[regular])[:, 1, 1]
    usable = (variance < _VAGUE**2) & (params[:, 1] > low + 1e-3) & (params[:, 1] < high - 1e-3)
    mean = sd = math.nan
    if usable.sum() >= FEWEST:  # unweighted: how precise γ_j is depends on γ_j, and weights would favour small ones
        mean = float(params[usable, 1].mean())
        sd = math.sqrt(max(float(params[usable, 1].var(ddof=1) - variance[usable].mean()), 0.0))
    pooled = float(fit_form(form, replace(data.pooled(), v=np.ones(data.x.size))).params[0, 1])
    return {"gamma_form": name, "gamma_mean": mean, "gamma_sd": sd, "gamma_pooled": pooled}

"""The verdict alone, for studies of many curves, and the verdict tried on curves like the log's own."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.errors import InputError
from cogfit.fitting.comparing import Compared, rank_forms
from cogfit.fitting.options import Options
from cogfit.fitting.precision import form_fit, settle, uncertainty_of
from cogfit.formulas.registry import POWER_LAWS
from cogfit.inference.rates import Audit
from cogfit.inference.selection import JUDGED_REPLICATES
from cogfit.inference.verdict import Verdict, confidence_set, simplest
from cogfit.native.blas import single_threaded
from cogfit.planning.advice import advise
from cogfit.planning.campaign import Campaign
from cogfit.planning.laws import fitted_laws, is_rival
from cogfit.planning.simulation import Simulator, checked_workers
from cogfit.planning.situation import MOST_POINTS, Law, Situation, situation_of


def judge_curve(curve: Curve, options: Options) -> Verdict:
    """Rule on the power law, and nothing else.

    The verdict is that of :func:`fit_curve` on the same curve, for less: intervals are made for the form reported, and
    only where the verdict turns on its γ.

    Parameters
    ----------
    curve : Curve
    options : Options

    Examples
    --------
    >>> import numpy as np
    >>> from cogfit.curves.arrays import array_curve
    >>> x = np.arange(1.0, 101.0)
    >>> curve = array_curve(x, x**-0.43 + np.random.default_rng(0).normal(0, 0.01, 100))
    >>> print(judge_curve(curve, Options(np.random.default_rng(0))))
    supported
    """
    return judge_forms(curve, options)[1]


@single_threaded()
def judge_forms(curve: Curve, options: Options) -> tuple[str, Verdict]:
    """Choose a form and rule on the power law.

    Both are those of :func:`fit_curve`, for less: see :func:`judge_curve`.
    """
    compared = rank_forms(curve, options)
    ruling = compared.selected.ruling
    if ruling.power_law != "supported":
        return compared.best, ruling
    form = next(form for form in compared.family if form.name == compared.best)
    inside = confidence_set(compared.selected.ranking, compared.selected.tests)
    uncertainty = uncertainty_of(compared, form, inside, options)
    return compared.best, settle(ruling, form_fit(form, uncertainty, compared.selected, math.nan))


@dataclass(frozen=True)
class Judge:
    """Rules on curves as a fit with some options does.

    Where it is not clear whether a form is refused, the number of replicates is bounded: rates over many curves do not
    hang on the few whose p-values lie next to the level.

    Attributes
    ----------
    options : Options
        Their random numbers are those of each call.
    """

    options: Options

    def __call__(self, curve: Curve, rng: np.random.Generator) -> str:
        """Name of the verdict on a curve."""
        return judge_curve(curve, replace(self.options, rng=rng, most=JUDGED_REPLICATES)).power_law


def judge_like(options: Options) -> Judge:
    """Judge that other processes can use."""
    return Judge(
        replace(options, rng=np.random.default_rng(0), form=None, start=None, progress=None, preview=None, audit=False)
    )


@dataclass(frozen=True)
class Observed:
    """How a law is observed, and the laws that are tried.

    Attributes
    ----------
    situation : Situation
    power_law : Law
    rival : Law or None
    noise : str
    """

    situation: Situation
    power_law: Law
    rival: Law | None
    noise: str


def observe(curve: Curve, options: Options) -> Observed:
    """Fit a curve, and tell how such curves scatter.

    Raises
    ------
    InputError
        Where there is nothing to compare.
    """
    return _observed(rank_forms(curve, options))


def _observed(compared: Compared) -> Observed:
    """How a curve is observed, its power law, and the best rival."""
    if compared.constant:
        raise InputError("y does not change: there is no verdict to try on curves like these")
    if not compared.selected.tests:
        hint = "leave `form` out" if len(compared.family) == 1 else "log more points"
        raise InputError("no forms were compared, so there is no verdict to try on curves like these", hint=hint)
    registry = {form.name: form for form in compared.family}
    inside = confidence_set(compared.selected.ranking, compared.selected.tests)
    laws = fitted_laws(compared.fits, compared.selected.ranking, inside, registry)
    situation = situation_of(compared.curve, registry[compared.best], compared.fits[compared.best])
    return Observed(situation, *laws, compared.noise)


def with_advice(ruling: Verdict, compared: Compared) -> Verdict:
    """The verdict with what would decide.

    Where that is known in a moment.
    """
    selected, registry = compared.selected, {form.name: form for form in compared.family}
    inside = confidence_set(selected.ranking, selected.tests)
    powers = [name for name in POWER_LAWS if name in inside]
    # members have no model of their errors, an unknown filter stands before all else, and long logs would take seconds
    curve = compared.curve
    if curve.resampleable or curve.smoothing or curve.x.size > MOST_POINTS or not powers:
        return ruling
    power = simplest(powers, compared.fits, selected.ranking, registry) or powers[0]
    rivals = [Law(registry[name], compared.fits[name].params) for name in inside if is_rival(registry[name], *powers)]
    if not rivals or compared.fits[power].params["gamma"] <= 0.0:
        return ruling
    situation = situation_of(compared.curve, registry[power], compared.fits[power])
    advice = advise(situation, Law(registry[power], compared.fits[power].params), rivals)
    return ruling if advice is None else replace(ruling, reasons=(*ruling.reasons, advice))


def audit_of(compared: Compared, options: Options) -> Audit:
    """Try the verdict on curves like the log's own."""
    seen = _observed(compared)
    seed = int(options.rng.integers(2**31))
    with Simulator(judge_like(options), checked_workers(options.workers)) as simulator:
        campaign = Campaign(simulator, seen.situation, seen.power_law, seen.rival, seed, options.progress)
        return campaign.audit()

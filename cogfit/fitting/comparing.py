"""Every form fitted to a curve under one noise model, and compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cogfit.curves.curve import CONSTANT, Curve
from cogfit.engine import estimate, noise
from cogfit.engine.arma import WHITE
from cogfit.engine.estimate import Estimate
from cogfit.errors import InputError
from cogfit.fitting.options import Options
from cogfit.formulas.form import Form
from cogfit.formulas.registry import CONSTANT as CONSTANT_FORM
from cogfit.formulas.registry import POWER, POWER_LAWS, candidate_forms, get_form
from cogfit.inference.noise_choice import choose_noise, constant_fit
from cogfit.inference.ranking import Ranking
from cogfit.inference.selection import Selection, select
from cogfit.inference.smoothing import mark_smoothing
from cogfit.inference.verdict import Verdict
from cogfit.progress import Stages
from cogfit.records.sentence import say

_TESTS_SEED = 0  # forms are tested with the same random numbers in every fit: no verdict hangs on `rng`


@dataclass(frozen=True)
class Compared:
    """Every form fitted to a curve, and compared.

    Attributes
    ----------
    curve : Curve
        As it was fitted: where the forms are defined, with the weights of the noise model.
    family : tuple of Form
    fits : dict of str to Estimate
    noise : str
    selected : Selection
    best : str
        The form that is reported.
    constant : bool
        Whether y does not change.
    notes : tuple of str
    stages : Stages
        Of the progress.
    """

    curve: Curve
    family: tuple[Form, ...]
    fits: dict[str, Estimate]
    noise: str
    selected: Selection
    best: str
    constant: bool
    notes: tuple[str, ...]
    stages: Stages


def rank_forms(curve: Curve, options: Options) -> Compared:
    """Fit every form under one noise model, and compare."""
    # the points that the forms are defined at, and the forms that have a meaning there
    if options.start is not None and options.form is None:
        raise InputError("`start` needs `form`", hint="name the form whose starting values these are")
    if options.audit and options.form is not None:
        raise InputError("`audit` tries the verdict, and with `form` there is none", hint="leave one of them out")
    chosen = get_form(options.form) if options.form is not None else None
    curve, domain_notes = _restrict_to_domain(curve, chosen)
    constant = float(np.ptp(curve.y)) <= CONSTANT * float(np.abs(curve.y).max())
    family = (chosen,) if chosen is not None else candidate_forms(curve.axis, curve.measure)

    # every form under one noise model
    noise_name, fits = choose_noise(curve, family, options.noise, options.discrete, constant)
    curve, noise_notes = _weigh_for_noise(curve, noise_name)
    stages = Stages(options.progress, 2 * len(family))
    _fit_forms(curve, family, fits, noise_name, options, constant, stages)

    if chosen is None:
        _preview(family, fits, options, constant)

    # which of them the data refuse, and what that says of the power law
    curve, selected, error_notes = _compare(curve, family, fits, options, constant, stages)
    best = chosen.name if chosen else selected.form or _fallback(fits)
    notes = (*domain_notes, *noise_notes, *error_notes)
    return Compared(curve, family, fits, noise_name, selected, best, constant, notes, stages)


def _preview(family: Sequence[Form], fits: Mapping[str, Estimate], options: Options, constant: bool) -> None:
    """Report what is known of γ before anything is tested."""
    if options.preview is None or constant:
        return
    powers = [form for form in family if form.name in POWER_LAWS]
    known = [form for form in powers if fits[form.name].status != "failed"]
    if not known:
        options.preview("no power law could be fitted; the other forms are compared now")
        return
    form = min(known, key=lambda form: fits[form.name].aicc)
    gamma = fits[form.name].params[form.gamma or ""]
    options.preview(f"first look: γ ≈ {gamma:.2g} if it is {form.title}; whether it is, follows")


def _restrict_to_domain(curve: Curve, chosen: Form | None) -> tuple[Curve, list[str]]:
    """Leave x = 0 out where needed, refuse negative x.

    A power law has no value at x = 0.
    """
    if chosen is not None and chosen.basis is None:
        return curve, []  # a user's form knows its own domain
    if np.any(curve.x < 0):
        message = f"x is negative at {int(np.sum(curve.x < 0))} points (the least is {curve.x.min():g})"
        raise InputError(message, hint="exposures, steps and delays start at 0: leave those points out with `x_min=0`")
    is_zero = curve.x == 0
    if not is_zero.any() or (chosen is not None and not chosen.positive_x):
        return curve, []
    if (~is_zero).sum() < 2:
        raise InputError("fewer than two points have x > 0")
    note = (
        f"{int(is_zero.sum())} point(s) at x = 0 left out: a power law has no value there (if x counts from 0, as "
        "epochs may, add 1 to it with --x-offset 1)"
    )
    return curve.take(~is_zero, "at x = 0, where a power law has no value"), [note]


def _weigh_for_noise(curve: Curve, name: str) -> tuple[Curve, list[str]]:
    """The curve with the weights of a noise model.

    Returns what that model leaves out of account, too.
    """
    notes = []
    if name == "binomial":
        assert curve.counts is not None
        curve = replace(curve, weights=curve.counts)
    if name == "lognormal" and curve.clusters is not None:
        notes.append(f"{name} noise takes values as independent; only Gaussian noise resamples {curve.clusters.kind}")
    noise.get(name).check(curve.y, curve.weights)
    return curve, notes


def _fit_forms(
    curve: Curve,
    family: tuple[Form, ...],
    fits: dict[str, Estimate],
    noise_name: str,
    options: Options,
    constant: bool,
    stages: Stages,
) -> None:
    """Add the estimates that are not there yet to `fits`."""
    x, y, w = curve.x, curve.y, curve.weights
    bins = None if constant else estimate.starting_bins(x, w)
    for number, form in enumerate(family):
        stages(number, len(family), form.name)
        if constant:
            fits[form.name] = constant_fit(form, curve)
        elif form.name not in fits or options.start is not None:
            fits[form.name] = estimate.estimate(form, x, y, w, noise_name, start=options.start, bins=bins)


def _compare(
    curve: Curve,
    family: tuple[Form, ...],
    fits: dict[str, Estimate],
    options: Options,
    constant: bool,
    stages: Stages,
) -> tuple[Curve, Selection, list[str]]:
    """Compare the forms.

    Returns the curve with a mark where it looks smoothed, too, and what that means.
    """
    if constant:
        return curve, _nothing_to_compare(curve, fits), []
    registry = {form.name: form for form in family}
    curve, notes = mark_smoothing(curve, registry, fits)
    options.rng.integers(2**62)  # spent, as tests once took it: what is drawn after them stays the same for a seed
    numbers = np.random.default_rng(_TESTS_SEED)
    compared = select(curve, registry, fits, numbers, options.replicates, options.most, stages.after(len(family)))
    return curve, compared, list(notes)


def _nothing_to_compare(curve: Curve, fits: Mapping[str, Estimate]) -> Selection:
    """Selection for a curve that does not change at all."""
    ranking = Ranking(dict.fromkeys(fits, math.inf), None, (), float(curve.x.size))
    reason = say("the curve is constant: there is no decay to fit", by=rank_forms)
    return Selection(ranking, Verdict("not_identified", (reason,)), None, dict.fromkeys(fits, WHITE), {})


def _fallback(fits: Mapping[str, Estimate]) -> str:
    """Form to report where nothing could be ranked.

    There are too few points: the power law, if it fits at all.
    """
    order = (POWER, CONSTANT_FORM, *fits)
    return next((name for name in order if name in fits and fits[name].status != "failed"), POWER)

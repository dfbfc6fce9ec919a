"""The model's side of a comparison: logs to exponents.

Runs are read and fitted (:func:`read_runs`); each gives an exponent (:func:`exponent_of_fit`), several give two that
stand for all: of the mean curve (:func:`mean_curve_exponent`) and over the runs (:func:`over_runs`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from cogfit import fitting
from cogfit.curves.arrays import array_curve
from cogfit.curves.exposure import CONVENTIONS
from cogfit.errors import InputError, nearest
from cogfit.formulas.registry import POWER_LAWS
from cogfit.logs import read_log
from cogfit.logs.model import Log
from cogfit.logs.splitting import split
from cogfit.native import distributions
from cogfit.people.dataset import CONVENTIONS as HUMAN_CONVENTIONS
from cogfit.people.exponent import DISTRIBUTION, MEAN, PERSON, Exponent, disagreements, form_title
from cogfit.people.over_subjects import Population, random_effects
from cogfit.progress import Progress
from cogfit.records.given import listed
from cogfit.records.sentence import number_of
from cogfit.result import FitResult, FormFit, is_fit, load

ENOUGH_RUNS = 5
"""Runs from which one may speak of the training procedure, and of equivalence."""

INTERVAL_DEGREES_OF_FREEDOM = 100
"""Behind a standard error that is taken from an interval: enough to serve as weight."""

AXES = {"exposure": ("repetition", "item")}
"""Axis of a log, and what is repeated along it, in the catalogue's words."""

_MEASURES = {("repetition", "probability"): "strategy"}
"""A router's probability is the share of trials solved by the slow route."""

_VERDICTS = ("not_supported", "not_identified", "not_distinguishable", "not_compared", "supported", "")
"""Verdicts on the power law, from the least support to the most."""

Model = FitResult | Log | str | os.PathLike[str]
"""One run: its fit, its log, or the path of either."""


@dataclass(frozen=True)
class Run:
    """One run of the model.

    Attributes
    ----------
    label : str
    fit : FitResult
    log : Log or None
        None for a saved fit.
    """

    label: str
    fit: FitResult
    log: Log | None = None


# ---------------------------------------------------------------------------------------------------------- runs


def read_runs(
    model: Model | Sequence[Model], level: float, rng: int, convention: str | None, progress: Progress
) -> list[Run]:
    """Read the runs and fit what is not yet fitted.

    Parameters
    ----------
    model : FitResult, Log, path, or a sequence of these
        A log with several runs is taken apart.
    level : float
        Of the intervals.
    rng : int
    convention : str, optional
        By which exposures are counted in routing logs; of other logs and fits it is a description only.
    progress : callable

    Returns
    -------
    list of Run
        Logs that differ in the noise model chosen for them are fitted under Gaussian noise.

    Raises
    ------
    InputError
        If there is no model, or a saved fit would have to be fitted anew.
    """
    _check_convention(convention)
    expected, hint = "a fit, a log, a path, or a list of these", "fit a curve first: cogfit.fit(x, y)"
    given = listed("model", model, FitResult | Log | str | os.PathLike, expected, hint)
    if not given:
        raise InputError("there is no model to compare", hint="name a log or a saved fit")
    parts = [part for item in given for part in _parts(item)]
    fit_log = partial(_fit_log, convention=convention, level=level, rng=rng)
    runs = []
    for number, (label, content) in enumerate(parts):
        if isinstance(content, Log):
            progress(number, len(parts), label)
            runs.append(Run(label, fit_log(content), content))
        elif convention and content.convention in CONVENTIONS.values() and convention != _convention(content):
            hint = "leave convention out, or give the log"
            raise InputError("a saved fit cannot be fitted anew", path=label or None, hint=hint)
        else:
            runs.append(Run(label, content))
    if len(runs) == 1:
        return runs
    runs = [replace(run, label=run.label or f"run {number}") for number, run in enumerate(runs, start=1)]
    return _under_one_noise(runs, fit_log)


def _under_one_noise(runs: Sequence[Run], fit_log: Callable[..., FitResult]) -> list[Run]:
    """Fit logs anew whose noise models differ.

    Gaussian noise is what every curve can be fitted under, as the mean curve is; a vote of the runs would let a run
    decide in which there are values that have no logarithm.
    """
    if len({run.fit.noise for run in runs}) == 1:
        return list(runs)
    return [
        run if run.log is None or run.fit.noise == "gaussian" else replace(run, fit=fit_log(run.log, noise="gaussian"))
        for run in runs
    ]


def _fit_log(log: Log, *, convention: str | None, level: float, rng: int, noise: str = "auto") -> FitResult:
    """Fit a run; only exposures of a routing log can be counted in several ways."""
    if convention is None or log.routing is None:
        return fitting.fit(log, level=level, rng=rng, noise=noise)
    return fitting.fit(log, convention=convention, level=level, rng=rng, noise=noise)


def _check_convention(convention: str | None) -> None:
    known = list(dict.fromkeys((*CONVENTIONS, *HUMAN_CONVENTIONS)))
    if convention is not None and convention not in known:
        raise InputError(f"unknown convention {convention!r}", hint=nearest(convention, known))


def _parts(item: Model) -> list[tuple[str, FitResult | Log]]:
    """Fit or runs of an item, with labels or ""."""
    if isinstance(item, FitResult):
        return [("", item)]
    if isinstance(item, Log):
        log = item
    elif is_fit(item):
        return [(Path(item).name, load(item))]
    else:
        log = read_log(item)
    return [(label or Path(log.path).name, part) for label, part in _single_runs(log)]


def _single_runs(log: Log) -> list[tuple[str, Log]]:
    table = log.routing or log.utilization
    assert table is not None
    if "run" not in table.frame or table.frame["run"].nunique() < 2:
        return [("", log)]
    return [(f"run {labels['run']}", part) for labels, part in split(log, ("run",))]


# ----------------------------------------------------------------------------------------------------- exponents


def exponent_of_fit(fit: FitResult, label: str = "", form: str | None = None) -> Exponent:
    """Return the exponent of a fit of a model's log.

    Parameters
    ----------
    fit : FitResult
    label : str
        Name of the run; the source's by default.
    form : str, optional
        Which fitted form; without it the better of the power laws, by AICc.

    Raises
    ------
    InputError
        If that form was not fitted or has no γ.
    """
    item = _chosen_form(fit, form)
    if item.gamma is None or item.gamma_name is None:
        raise InputError(f"the form '{item.name}' has no γ", hint="choose power or power_floor")
    if math.isnan(item.gamma):
        raise InputError(f"the form '{item.name}' could not be fitted: {item.estimate.reason}")
    limits = item.intervals[item.gamma_name]
    axis, repeated = AXES.get(fit.axis, (fit.axis, ""))
    source = str(fit.source.get("path") or "")
    return Exponent(
        label=label or Path(source).name or "this curve",
        side="model",
        gamma=item.gamma,
        low=limits.low,
        high=limits.high,
        form=item.name,
        noise=fit.noise,
        measure=_MEASURES.get((axis, fit.measure), fit.measure),
        scale=fit.y_label,
        axis=axis,
        repeated=repeated,
        convention=_convention(fit),
        averaging=PERSON,
        n=1,
        verdict=fit.verdict.power_law,
        source=source,
        study=source,
        notes=(f"interval: {limits.method}; scope: {limits.scope}",),
        scope=fit.scope,
    )


def _convention(fit: FitResult) -> str:
    """The name of a fit's convention, or its words."""
    return next((name for name, words in CONVENTIONS.items() if words == fit.convention), fit.convention)


def _chosen_form(fit: FitResult, form: str | None) -> FormFit:
    """The named form, or the better power law."""
    names = [item.name for item in fit.forms]
    if form is not None:
        if form not in names:
            raise InputError(f"the fit holds no form '{form}'", hint=nearest(form, names))
        return fit[form]
    powers = [name for name in POWER_LAWS if name in names]
    if not powers:
        hint = "fit without form=, or name one with a γ"
        raise InputError(f"the fit holds no power law, only {', '.join(names)}", hint=hint)
    return fit[min(powers, key=lambda name: fit[name].delta_aicc)]


def over_runs(runs: Sequence[Exponent], level: float = 0.95) -> tuple[Exponent, Population]:
    """Average the exponents of several runs of one procedure.

    Each run's standard error is taken from its interval.

    Returns
    -------
    Exponent, Population
        The mean, and how the runs vary.

    Raises
    ------
    InputError
        If the runs are not alike (:func:`disagreements`), or fewer than two have an interval with two ends.
    """
    check_alike(runs)
    usable = with_limits(runs)
    if len(usable) < 2:
        verb = "has" if len(usable) == 1 else "have"
        raise InputError(f"only {len(usable)} of {len(runs)} runs {verb} an exponent with two finite limits")
    width = 2.0 * normal_quantile(level)  # of an interval, in standard errors
    errors = np.array([(run.high - run.low) / width for run in usable])
    gammas = np.array([run.gamma for run in usable])
    spread = random_effects(gammas, errors, INTERVAL_DEGREES_OF_FREEDOM, level)
    scope = "training procedure" if spread.n >= ENOUGH_RUNS else f"these {spread.n} runs"
    left_out = [run.label for run in runs if run not in usable]
    mean = replace(
        runs[0],
        label=f"mean of {spread.n} runs",
        gamma=spread.mean,
        low=spread.low,
        high=spread.high,
        n=spread.n,
        averaging=DISTRIBUTION,
        subjects_known=True,
        verdict=_least_supported(runs),
        notes=(
            f"random effects over {spread.n} runs (Paule–Mandel, HKSJ); scope: {scope}",
            *(f"{label} left out: its exponent has no finite limits" for label in left_out),
        ),
        source=", ".join(run.source for run in runs),
    )
    return mean, spread


def with_limits(exponents: Sequence[Exponent]) -> list[Exponent]:
    """Return the exponents whose interval has two ends."""
    return [exponent for exponent in exponents if exponent.has_limits and exponent.high > exponent.low]


def check_alike(runs: Sequence[Exponent]) -> None:
    """Refuse runs that are no repetitions of each other.

    Raises
    ------
    InputError
        With the first thing in which two of them differ.
    """
    for other in runs[1:]:
        if differing := disagreements(runs[0], other):
            hint = "fit them under the same options"
            raise InputError(f"'{runs[0].label}' and '{other.label}' differ in {differing[0]}", hint=hint)


def mean_curve_exponent(runs: Sequence[Run], singles: Sequence[Exponent], level: float, rng: int) -> Exponent:
    """Return the exponent of the curve averaged over runs.

    It is fitted at the values of x that all runs have; for the interval runs are resampled.

    Parameters
    ----------
    runs : sequence of Run
    singles : sequence of Exponent
        Of each run.
    level : float
    rng : int

    Raises
    ------
    InputError
        If the runs have fewer than three values of x in common.
    """
    x = runs[0].fit.x
    for run in runs[1:]:
        x = np.intersect1d(x, run.fit.x)
    if x.size < 3:
        hint = "compare them one by one, or log them alike"
        raise InputError(f"the {len(runs)} runs have {number_of(x.size, 'value')} of x in common", hint=hint)
    y = [run.fit.y[np.searchsorted(run.fit.x, x)] for run in runs]
    groups = np.repeat([run.label for run in runs], x.size)
    curve = array_curve(np.tile(x, len(runs)), np.concatenate(y), groups=groups)
    fit = fitting.fit(curve, form=singles[0].form, noise="gaussian", level=level, rng=rng)
    low, high = fit.interval or (math.nan, math.nan)
    return replace(
        singles[0],
        label=f"mean curve of {len(runs)} runs",
        gamma=fit.gamma or math.nan,
        low=low,
        high=high,
        noise="gaussian",
        averaging=MEAN,
        n=len(runs),
        subjects_known=True,
        notes=fit.warnings,
        verdict=_least_supported(singles),
        source=", ".join(run.source for run in singles),
    )


def _least_supported(runs: Sequence[Exponent]) -> str:
    """Verdict that holds for all runs: the weakest."""
    return min((run.verdict for run in runs), key=_VERDICTS.index)


def normal_quantile(level: float) -> float:
    """Half width of a normal interval, in standard errors."""
    return distributions.normal_quantile(0.5 + 0.5 * level)


# --------------------------------------------------------------------------------------------------- sensitivity


def form_sensitivity(runs: Sequence[Run], form: str, level: float, rng: int) -> tuple[tuple[str, Exponent], ...]:
    """Return the first run's γ under other choices.

    These are the other forms, windows of x and, if there is a routing log, the other conventions.
    """
    run = runs[0]
    exponent = exponent_of_fit(run.fit, run.label, form)
    conventions = []
    if run.log is not None and run.log.routing is not None:
        for name in CONVENTIONS:
            if name != exponent.convention:
                fit = fitting.fit(run.log, form=form, convention=name, level=level, rng=rng)
                conventions.append((f"convention {name}", exponent_of_fit(fit, run.label, form)))
    return (*_other_forms(run, form), *_over_windows(run, exponent), *conventions)


def _other_forms(run: Run, form: str) -> list[tuple[str, Exponent]]:
    """Exponents of the other forms.

    Their parameters must all be determined: elsewhere γ may stand for nothing.
    """
    return [
        (f"form {form_title(item.name)}", exponent_of_fit(run.fit, run.label, item.name))
        for item in run.fit.forms
        if item.gamma is not None and item.name != form and item.estimate.status == "ok"
    ]


def _over_windows(run: Run, exponent: Exponent) -> list[tuple[str, Exponent]]:
    """Exponents of the power law over windows of x."""
    return [
        (
            f"power law over {window.x_min:,.6g}–{window.x_max:,.6g}",
            replace(exponent, form="power", gamma=window.gamma, low=window.low, high=window.high),
        )
        for window in run.fit.windows
        if math.isfinite(window.low) and math.isfinite(window.high)
    ]

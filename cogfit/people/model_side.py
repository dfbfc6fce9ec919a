"""The model's side of a comparison: exponents of fits, logs and runs."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cogfit import fitting
from cogfit.curves.arrays import array_curve
from cogfit.curves.exposure import CONVENTIONS
from cogfit.errors import InputError, nearest
from cogfit.formulas.registry import POWER_LAWS
from cogfit.logs import read_log
from cogfit.logs.model import Log
from cogfit.logs.splitting import split
from cogfit.people.exponent import (
    DISTRIBUTION,
    MEAN,
    PERSON,
    Exponent,
    form_title,
    obstacles,
)
from cogfit.people.over_subjects import Population, random_effects
from cogfit.progress import Progress
from cogfit.result import FitResult, load

ENOUGH_RUNS = 5
"""Runs from which one may speak of the training procedure, and of equivalence."""

INTERVAL_DEGREES_OF_FREEDOM = 100
"""Behind a standard error that is taken from an interval: enough to serve as weight."""

_AXES = {"exposure": ("repetition", "item")}
"""Axis of a log, and what is repeated along it, in the catalogue's words."""

_MEASURES = {("repetition", "probability"): "strategy"}
"""A router's probability is the share of trials solved by the slow route."""


def of_fit(fit: FitResult, label: str = "", form: str | None = None) -> Exponent:
    """Exponent of a fit of a model's log.

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
    names = [item.name for item in fit.forms]
    if form is None:
        powers = [name for name in POWER_LAWS if name in names]
        if not powers:
            hint = "fit without form=, or name one with a γ"
            raise InputError(f"the fit holds no power law, only {', '.join(names)}", hint=hint)
        form = min(powers, key=lambda name: fit[name].delta_aicc)
    elif form not in names:
        raise InputError(f"the fit holds no form '{form}'", hint=nearest(form, names))
    item = fit[form]
    if item.gamma is None or item.gamma_name is None:
        raise InputError(f"the form '{form}' has no γ", hint="choose power or power_floor")
    if math.isnan(item.gamma):
        raise InputError(f"the form '{form}' could not be fitted: {item.estimate.reason}")
    limits = item.intervals[item.gamma_name]
    axis, repeated = _AXES.get(fit.axis, (fit.axis, ""))
    convention = next((name for name, words in CONVENTIONS.items() if words == fit.convention), "")
    source = str(fit.source.get("path", ""))
    label = label or Path(source).name or "this curve"
    return Exponent(
        label=label, side="model", gamma=item.gamma, low=limits.low, high=limits.high,
        form=form, noise=fit.noise, measure=_MEASURES.get((axis, fit.measure), fit.measure), scale=fit.y_label,
        axis=axis, repeated=repeated, convention=convention, averaging=PERSON, n=1, verdict=fit.verdict.power_law,
        source=source, study=source, notes=(f"interval: {limits.method}; scope: {limits.scope}",),
    )  # fmt: skip


def over_runs(runs: Sequence[Exponent], level: float = 0.95) -> tuple[Exponent, Population]:
    """Mean exponent of several runs of one training procedure, with the variance between them.

    Each run's standard error is taken from its interval.

    Raises
    ------
    InputError
        If the runs are not alike (:func:`obstacles`), or fewer than two have an interval with two ends.
    """
    first = runs[0]
    for other in runs[1:]:
        apart = obstacles(first, other)
        if apart:
            hint = "fit them under the same options"
            raise InputError(f"'{first.label}' and '{other.label}' differ in {apart[0]}", hint=hint)
    usable = [run for run in runs if math.isfinite(run.low) and math.isfinite(run.high) and run.high > run.low]
    if len(usable) < 2:
        raise InputError(f"only {len(usable)} of {len(runs)} runs have an exponent with two finite limits")
    quantile = 2.0 * normal_quantile(level)
    errors = [(run.high - run.low) / quantile for run in usable]
    found = random_effects(
        np.array([run.gamma for run in usable]), np.array(errors), INTERVAL_DEGREES_OF_FREEDOM, level
    )
    left = tuple(run.label for run in runs if run not in usable)
    scope = "training procedure" if found.n >= ENOUGH_RUNS else f"these {found.n} runs"
    notes: tuple[str, ...] = (f"random effects over {found.n} runs (Paule–Mandel, HKSJ); scope: {scope}",)
    notes += tuple(f"{label} left out: its exponent has no finite limits" for label in left)
    mean = replace(
        first, label=f"mean of {found.n} runs", gamma=found.mean, low=found.low, high=found.high, n=found.n,
        averaging=DISTRIBUTION, subjects_known=True, verdict=_worst([run.verdict for run in runs]), notes=notes,
        source=", ".join(run.source for run in runs),
    )  # fmt: skip
    return mean, found


def mean_curve_exponent(runs: Sequence[_Run], singles: Sequence[Exponent], level: float, rng: int) -> Exponent:
    """Exponent of the curve averaged over runs, at the values of x that all of them have; runs are resampled."""
    x = runs[0].fit.x
    for run in runs[1:]:
        x = np.intersect1d(x, run.fit.x)
    if x.size < 3:
        hint = "compare them one by one, or log them alike"
        raise InputError(f"the {len(runs)} runs have {x.size} values of x in common", hint=hint)
    y = [run.fit.y[np.searchsorted(run.fit.x, x)] for run in runs]
    groups = np.repeat([run.label for run in runs], x.size)
    curve = array_curve(np.tile(x, len(runs)), np.concatenate(y), groups=groups)
    fit = fitting.fit(curve, form=singles[0].form, noise="gaussian", level=level, rng=rng)
    limits = fit.interval or (math.nan, math.nan)
    return replace(
        singles[0], label=f"mean curve of {len(runs)} runs", gamma=fit.gamma or math.nan, low=limits[0], high=limits[1],
        noise="gaussian", averaging=MEAN, n=len(runs), subjects_known=True, notes=fit.warnings,
        verdict=_worst([run.verdict for run in singles]), source=", ".join(run.source for run in singles),
    )  # fmt: skip


_VERDICTS = ("not_supported", "not_identified", "not_distinguishable", "not_compared", "supported", "")


def _worst(verdicts: Sequence[str]) -> str:
    """What may be said of all runs: that of the one with the least support."""
    return min(verdicts, key=_VERDICTS.index)


def normal_quantile(level: float) -> float:
    """Half width of a normal interval of this level, in standard errors."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + 0.5 * level))


Model = FitResult | Log | str | os.PathLike[str]
"""One run: its fit, its log, or the path of either."""


@dataclass(frozen=True)
class _Run:
    """One run of the model: its fit and, where there is one, its log."""

    label: str
    fit: FitResult
    log: Log | None = None


def read_runs(
    model: Model | Sequence[Model], level: float, rng: int, options: Mapping[str, Any], tell: Progress
) -> list[_Run]:
    """Fit what is not yet fitted; a log with several runs is taken apart."""
    given = [model] if isinstance(model, FitResult | Log | str | os.PathLike) else list(model)
    if not given:
        raise InputError("there is no model to compare", hint="name a log or a saved fit")
    parts: list[_Run | tuple[str, Log]] = []
    for one in given:
        if isinstance(one, FitResult):
            parts.append(_Run("", one))
            continue
        if isinstance(one, str | os.PathLike):
            if is_fit(one):
                parts.append(_Run(Path(one).name, load(one)))
                continue
            one = read_log(one)
        parts += [(labels or Path(one.path).name, part) for labels, part in _single_runs(one)]
    runs = []
    for number, part in enumerate(parts):
        if isinstance(part, _Run):
            if options:
                hint = f"leave {', '.join(options)} out, or give the log"
                raise InputError("a saved fit cannot be fitted anew", path=part.label or None, hint=hint)
            runs.append(part)
            continue
        label, log = part
        tell(number, len(parts), label)
        runs.append(_Run(label, fitting.fit(log, level=level, rng=rng, **options), log))
    labels = [run.label or f"run {number}" for number, run in enumerate(runs, start=1)]
    if len(runs) == 1 and not runs[0].label:
        labels = [""]
    return [replace(run, label=label) for run, label in zip(runs, labels, strict=True)]


def _single_runs(log: Log) -> list[tuple[str, Log]]:
    table = log.routing or log.utilization
    assert table is not None
    if "run" not in table.frame or table.frame["run"].nunique() < 2:
        return [("", log)]
    return [(f"run {labels['run']}", part) for labels, part in split(log, ("run",))]


def is_fit(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a saved fit rather than a log."""
    file = Path(path)
    if file.suffix.lower() != ".json" or not file.is_file():
        return False
    with open(file, "rb") as handle:
        return b'"schema": "cogfit.fit/' in handle.read(200)


def form_sensitivity(runs: Sequence[_Run], form: str, level: float, rng: int) -> tuple[tuple[str, Exponent], ...]:
    """The first run's γ under other forms, windows and conventions."""
    run = runs[0]
    out = []
    for name in (item.name for item in run.fit.forms if item.gamma is not None and item.name != form):
        one = of_fit(run.fit, run.label, name)
        if run.fit[name].estimate.status == "ok":  # elsewhere γ stands for something else, or for nothing
            out.append((f"form {form_title(name)}", one))
    base = of_fit(run.fit, run.label, form)
    for window in (window for window in run.fit.windows if math.isfinite(window.low) and math.isfinite(window.high)):
        what = f"power law over {window.x_min:,.6g}–{window.x_max:,.6g}"
        out.append((what, replace(base, form="power", gamma=window.gamma, low=window.low, high=window.high)))
    if run.log is not None and run.log.routing is not None:
        for name in CONVENTIONS:
            if name != base.convention:
                fit = fitting.fit(run.log, form=form, convention=name, level=level, rng=rng)
                out.append((f"convention {name}", of_fit(fit, run.label, form)))
    return tuple(out)

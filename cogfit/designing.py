"""``cogfit.design``: what a log can show of a power law, and how much more would."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from cogfit import fitting
from cogfit.curves.curve import Curve
from cogfit.engine.arma import WHITE, Arma
from cogfit.errors import InputError, nearest
from cogfit.formulas.form import Array
from cogfit.formulas.registry import POWER_LAWS, candidate_forms, get_form
from cogfit.inference.error_models import ErrorModel
from cogfit.logs.model import Log
from cogfit.native.blas import single_threaded
from cogfit.planning.campaign import Campaign
from cogfit.planning.laws import is_rival, nearest_rival
from cogfit.planning.records import Design
from cogfit.planning.scatter import OutcomeScatter, Scatter, SeriesScatter
from cogfit.planning.simulation import Simulator, checked_workers
from cogfit.planning.situation import MOST_POINTS, Law, Situation
from cogfit.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

Errors = Literal["relative", "even"]
Spacing = Literal["even", "log"]

_SD = 0.02
_FEWEST_POINTS = 10
_MOST_DECADES = 12.0


@dataclass(frozen=True)
class LogPlan:
    """A log that is not there yet.

    Attributes
    ----------
    n : int
        Points, or presentations of every pattern.
    sd : float
        Of the errors, as a share of the value (``relative``) or of the curve's root mean square (``even``).
    decades : float or None
        log₁₀ of the largest x over the smallest; None for x = 1 … n.
    rho : float
        Correlation of neighbours' errors.
    runs : int
        Whose mean is fitted.
    patterns : int
        Of a routing log, whose every presentation ends one way or the other; 0 for a utilisation log.
    spacing, errors : str
        How points lie along x, and whether errors are relative.
    """

    n: int = 300
    sd: float = _SD
    decades: float | None = None
    rho: float = 0.0
    runs: int = 1
    patterns: int = 0
    spacing: Spacing = "even"
    errors: Errors = "relative"

    def __post_init__(self) -> None:
        """Refuse what no log can be."""
        _check_between("n", self.n, _FEWEST_POINTS, MOST_POINTS)
        _check_between("runs", self.runs, 1, 10_000)
        if self.patterns:
            _check_between("patterns", self.patterns, 10, 10_000)
            if self.decades is not None or self.rho or self.runs > 1 or self.sd != _SD:
                raise InputError(
                    "patterns have outcomes at every presentation: no `sd`, `rho`, `decades` or `runs`",
                    hint="give n (presentations of each pattern) and patterns",
                )
        _check_between("sd", self.sd, 1e-6, 10.0)
        _check_between("rho", self.rho, -0.99, 0.99)
        if self.decades is not None:
            _check_between("decades", self.decades, 0.1, _MOST_DECADES)
        for name, value, known in (("spacing", self.spacing, ("even", "log")), ("errors", self.errors, _ERRORS)):
            if value not in known:
                raise InputError(f"unknown {name} {value!r}", hint=nearest(value, known))

    def x(self) -> Array:
        """The points of x."""
        if self.decades is None and self.spacing == "even":
            return np.arange(1.0, self.n + 1.0)
        decades = math.log10(self.n) if self.decades is None else self.decades
        end = 10.0**decades
        return np.geomspace(1.0, end, self.n) if self.spacing == "log" else np.linspace(1.0, end, self.n)

    def situation(self, law: Law) -> Situation:
        """How the law would be observed."""
        x = self.x()
        axis = "exposure" if self.patterns else "x"
        measure = "probability" if self.patterns else "other"
        template = Curve(x, np.zeros(x.size), np.ones(x.size), None, axis, "x as planned", measure)
        return Situation(template, self._scatter(law.values(x)))

    def _scatter(self, mean: Array) -> Scatter:
        if self.patterns:
            return OutcomeScatter(self.patterns)
        size = 1.0 if self.errors == "relative" else math.sqrt(float(np.mean(mean**2)))
        model = ErrorModel(((Arma((self.rho,)) if self.rho else WHITE, self.sd * size),))
        noise = "lognormal" if self.errors == "relative" else "gaussian"
        return SeriesScatter(noise, model, np.ones(mean.size)).repeated(self.runs)

    def setting(self) -> dict[str, Any]:
        """The log in figures."""
        x = self.x()
        common = {"points": self.n, "x_min": float(x[0]), "x_max": float(x[-1]), "spacing": self.spacing}
        if self.patterns:
            return common | {"patterns": self.patterns}
        return common | {"sd": self.sd, "errors": self.errors, "rho": self.rho, "runs": self.runs}


_ERRORS = ("relative", "even")


def _check_between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # NaN, too
        raise InputError(f"`{name}` must lie between {low:g} and {high:,g}, not {value:g}")


@single_threaded()
def design(
    like: Log | Curve | str | os.PathLike[str] | pd.DataFrame | ArrayLike | None = None,
    y: ArrayLike | str | None = None,
    *,
    n: int = 300,
    sd: float = _SD,
    decades: float | None = None,
    rho: float = 0.0,
    gamma: float = 0.43,
    floor: float = 0.0,
    form: str | None = None,
    rival: str | None = None,
    runs: int = 1,
    patterns: int = 0,
    spacing: Spacing = "even",
    errors: Errors = "relative",
    goal: float = 0.8,
    simulations: int = 100,
    minutes: float = 10.0,
    seed: int = 0,
    workers: int | None = 1,
    progress: Progress | None = None,
    noise: str = "auto",
    trials: ArrayLike | None = None,
    **reading: Any,
) -> Design:
    """Say what a log can show of a power law.

    Curves are simulated from a power law and from the rival that is hardest to tell from it, and each is judged by the
    rule of :func:`cogfit.fit`. Where the power law is supported too seldom, curves with more points, a longer range, or
    more runs (patterns, trials) are simulated as well, until it is known how much more would do.

    Parameters
    ----------
    like : Log, path, DataFrame, Curve or array_like, optional
        A log to go by, with whatever :func:`cogfit.fit` takes beside it (`y`, `trials` and `**reading`): its x, its
        errors, the power law fitted to it, and the best rival. Without it the options below describe a log.
    y : array_like or str, optional
    n : int, default 300
        Points; with `patterns`, presentations of each.
    sd : float, default 0.02
        Of the errors, as a share of each value, or with ``errors="even"`` of the root mean square of the curve.
    decades : float, optional
        log₁₀ of the largest x over the smallest, which is 1; without it x is 1 … n.
    rho : float, default 0
        Correlation of neighbours' errors (AR(1)).
    gamma, floor : float
        The law x^−γ, and what is added to it.
    form : str, optional
        The power law by name; that with a floor where `floor` is given.
    rival : str, optional
        The other form; by default the nearest one.
    runs : int, default 1
        Whose mean is fitted.
    patterns : int, optional
        Of a routing log: each presentation ends one way or the other, with the probability that the law says.
    spacing : {"even", "log"}
        How points lie along x.
    errors : {"relative", "even"}
    goal : float, default 0.8
        Share of "supported" that more of something should reach.
    simulations : int, default 100
        Curves for each law, and for each thing there could be more of.
    minutes : float, default 10
        Time after which no further simulations begin.
    seed : int, default 0
    workers : int or None, default 1
        Processes; None for all cores. The answer is the same for any number. A script that asks for several must guard
        its code by ``if __name__ == "__main__"``.
    progress : callable, optional
        Called as ``progress(done, planned, what)``.
    noise, trials, **reading
        As for :func:`cogfit.fit`.

    Returns
    -------
    Design

    Raises
    ------
    InputError
        For a log that cannot be read, or numbers that describe none.

    Notes
    -----
    Points between others have errors that depend on them: AR(1) errors fade with the distance along x. Errors beyond
    the last point are as large as over its last tenth. Runs, patterns and groups are drawn with replacement.

    Examples
    --------
    >>> import cogfit
    >>> found = cogfit.design(n=40, sd=0.3, simulations=3, minutes=0.0)
    >>> found.is_complete, found.setting["points"]
    (False, 40)
    """
    _check_between("goal", goal, 0.05, 0.84)
    _check_between("simulations", simulations, 1, 100_000)
    workers = checked_workers(workers)
    _check_between("seed", seed, 0, 2**63)
    if not minutes >= 0.0:
        raise InputError(f"`minutes` must be 0 or more, not {minutes}")
    options = fitting.Options(np.random.default_rng(seed), noise=noise, discrete=trials is not None)
    if like is None:
        seen, setting = _planned(LogPlan(n, sd, decades, rho, runs, patterns, spacing, errors), gamma, floor, form)
    else:
        seen, setting = _observed(like, y, options, trials, reading)
    if rival is not None:
        seen = replace(seen, rival=_named_rival(rival, seen))
    with Simulator(fitting.judge_like(options), workers) as simulator:
        until = time.monotonic() + 60.0 * minutes
        campaign = Campaign(simulator, seen.situation, seen.power_law, seen.rival, seed, progress, until)
        found = campaign.plan(simulations, goal, setting)
    return replace(found, notes=_notes(found, seen, minutes), versions=fitting.versions())


def _planned(log: LogPlan, gamma: float, floor: float, form: str | None) -> tuple[fitting.Observed, dict[str, Any]]:
    """A log that is not there yet, its law and the nearest rival."""
    _check_between("gamma", gamma, 0.01, 5.0)
    _check_between("floor", floor, 0.0, 1e6)
    power = get_form(form or POWER_LAWS[1 if floor else 0])
    if power.name not in POWER_LAWS:
        raise InputError(f"'{power.name}' is no power law", hint=f"name one of {', '.join(POWER_LAWS)}, and --rival")
    if floor and power.floor is None:
        raise InputError(f"the form '{power.name}' has no floor", hint="leave `form` or `floor` out")
    amplitude = (1.0 - floor if floor < 1.0 else 0.0) if log.patterns else 1.0
    if amplitude <= 0.0:
        raise InputError("the floor of a probability lies below 1")
    values = {"gamma": gamma} | {q.name: floor for q in power.parameters if q.role == "floor"}
    law = Law(power, {q.name: values.get(q.name, amplitude) for q in power.parameters})
    situation = log.situation(law)
    noise = situation.scatter.noise if isinstance(situation.scatter, SeriesScatter) else "gaussian"
    family = candidate_forms(situation.template.axis, situation.template.measure)
    other = nearest_rival(law, situation, family, noise)
    return fitting.Observed(situation, law, other, noise), log.setting()


def _observed(
    like: Any, y: Any, options: fitting.Options, trials: ArrayLike | None, reading: dict[str, Any]
) -> tuple[fitting.Observed, dict[str, Any]]:
    """A log to go by: its errors, its law and the best rival."""
    prepared = fitting.prepare_curve(like, y, trials=trials, **reading)
    seen = fitting.observe(prepared.curve, options)
    x, scatter = seen.situation.template.x, seen.situation.scatter
    setting = {
        "like": prepared.source.path or prepared.source.format,
        "points": x.size,
        "x_min": float(x[0]),
        "x_max": float(x[-1]),
        "noise": seen.noise,
        scatter.unit: scatter.repetitions,
    }
    return seen, setting


def _named_rival(name: str, seen: fitting.Observed) -> Law:
    """Another form, as near to the power law as it comes."""
    form = get_form(name)
    if form.basis is None or not is_rival(form, seen.power_law.form.name):
        raise InputError(
            f"'{name}' is no rival of {seen.power_law.form.title}", hint="name a built-in form that does not contain it"
        )
    found = nearest_rival(seen.power_law, seen.situation, [form], "gaussian")
    if found is None:
        raise InputError(f"the form '{name}' could not be fitted to the power law")
    return found


def _notes(found: Design, seen: fitting.Observed, minutes: float) -> tuple[str, ...]:
    """What the reader has to know."""
    notes = []
    if not found.is_complete:
        notes.append(f"not all curves were judged (interrupted, or {minutes:g} minutes were over)")
    if seen.situation.template.smoothing:
        notes.append("the curve was smoothed by an unknown filter, on which no verdict is given: log it as it is")
    if any(need.lever == "range" for need in found.needs):
        notes.append("a longer range goes on as points lie now, so it has more of them, too")
    return tuple(notes)

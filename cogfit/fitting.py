"""``cogfit.fit``: from a log, a file or arrays to a :class:`~cogfit.result.FitResult`."""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cogfit.curves.arrays import array_curve
from cogfit.curves.curve import CONSTANT, Curve
from cogfit.curves.exposure import Outcome, exposure_curve
from cogfit.curves.utilization import Smoothing, utilization_curve
from cogfit.engine import estimate, noise
from cogfit.engine.arma import WHITE, Arma
from cogfit.engine.estimate import Estimate
from cogfit.errors import InputError, nearest
from cogfit.formulas.form import MEASURES, Form
from cogfit.formulas.registry import candidate_forms, get_form
from cogfit.inference import intervals, patterns, selection, transitions, windows
from cogfit.inference.form_tests import POWER_LAWS
from cogfit.inference.ranking import Ranking
from cogfit.inference.selection import REPLICATES, THOROUGH_REPLICATES, Selection, select
from cogfit.inference.verdict import FEW, Verdict, confidence_set
from cogfit.logs.model import GROUP_COLUMNS, Log, Source
from cogfit.progress import Progress, Stages
from cogfit.result import FitResult, FormFit

_SCOUTS = ("power", "shifted_power_floor", "log_logistic_step")
"""Forms by which the noise model is chosen: together they follow most curves."""


_TRANSITION_POINTS = 20  # the least in which an abrupt change is looked for
_FEW_PATTERNS = 3  # fewer are looked at one by one (--by pattern), not as a population


def fit(
    data: Log | Curve | str | os.PathLike[str] | ArrayLike,
    y: ArrayLike | None = None,
    *,
    form: str | None = None,
    noise: str = "auto",
    start: Mapping[str, float] | None = None,
    weights: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    rng: int | np.random.Generator = 0,
    axis: str | None = None,
    measure: str | None = None,
    outcome: Outcome = "auto",
    convention: str = "prior",
    x_min: float | None = None,
    x_max: float | None = None,
    bins: int | None = None,
    smoothing: Smoothing = None,
    serial: bool = True,
    thorough: bool = False,
    schedule: Sequence[str] = (),
    progress: Progress | None = None,
) -> FitResult:
    """Fit a learning curve and say what the data support.

    Parameters
    ----------
    data : Log, path, Curve or array_like of shape (n,)
        A training log (see :func:`cogfit.read_log`), the file or folder of one, or the x values.
    y : array_like, shape (n,), optional
        Values, where `data` are the x values. Must be finite.
    form : str, optional
        Fit this form only (see :func:`cogfit.forms`). Without it every form that has a meaning here is fitted and
        compared, and a verdict is given.
    noise : {"auto", "gaussian", "lognormal", "binomial"}
        ``"auto"``: Gaussian for logs with patterns or several runs and for data with `groups`, binomial where `trials`
        are given, Gaussian where any y ≤ 0; otherwise Gaussian or log-normal, whichever has the lower AICc.
    start : mapping of str to float, optional
        Starting values for `form`, tried besides the package's own.
    weights : array_like, shape (n,), optional
        Variance of y is σ²/weights.
    trials : array_like, shape (n,), optional
        Number of yes/no outcomes behind each y (a fraction).
    groups : array_like, shape (n,), optional
        Label of the cluster (subject, run) of each value: clusters are resampled as wholes for the intervals.
    level : float, default 0.95
        Of the intervals.
    rng : int or numpy Generator, default 0
        For resampling.
    axis, measure : str, optional
        What x and y are (``"exposure"``, ``"stream"``, ``"step"``, …; ``"latency"``, ``"probability"``, …): some forms
        have a meaning on some of them only. Known for logs.
    outcome, convention, bins
        For routing logs, see :func:`cogfit.exposure_curve`.
    x_min, x_max : float, optional
        Window of x. What lies outside is left out, and the result says so.
    smoothing : float or "unknown", optional
        Decay d of a moving average y_t = d·y_{t−1} + (1 − d)·r_t that was applied before logging: it is undone, and the
        raw r is fitted. ``"unknown"``: smoothed by an unknown filter; the intervals are then called unreliable.
    serial : bool, default True
        Whether errors of neighbours along x may be correlated, as along training or practice. False for values that
        were observed independently of each other, such as other people at every delay.
    thorough : bool, default False
        Ten times as many replicates behind the tests of the forms, profile intervals calibrated by parametric
        bootstrap, and a block bootstrap of the residuals beside them. Takes up to minutes.
    schedule : sequence of str
        Columns of the utilisation log that hold a schedule (learning rate, λ, phase), besides those whose names say so:
        a transition that coincides with one of them is reported.
    progress : callable, optional
        Called as ``progress(done, total, name)`` before each form.

    Returns
    -------
    FitResult

    Raises
    ------
    InputError
        For data or options that cannot be used; a fit that does not work never raises, its status says so.

    Notes
    -----
    Linear coefficients are solved exactly and the non-linear ones by Levenberg–Marquardt from a grid of starts
    (variable projection: Golub & Pereyra 2003, Inverse Problems 19:R1). γ is comparable only between fits of the same
    form, convention, axis and measure.

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> k = np.arange(1.0, 201.0)
    >>> fit = cogfit.fit(k, 0.9 * k**-0.5, form="power")
    >>> round(fit.gamma, 6)
    0.5
    """
    if not 0.0 < level < 1.0:
        raise InputError(f"`level` must lie between 0 and 1, not {level!r}", hint="for 95 % pass level=0.95")
    if isinstance(data, str | os.PathLike):
        from cogfit.logs import read_log

        data = read_log(data)
    if isinstance(data, Log | Curve) and any(v is not None for v in (y, weights, trials, groups)):
        raise InputError("`y`, `weights`, `trials` and `groups` go with arrays, not with a log")
    if isinstance(data, Log):
        curve, source, extra = _from_log(data, outcome, convention, x_min, x_max, bins, smoothing)
        if axis is not None:
            curve = replace(curve, axis=axis)
    elif isinstance(data, Curve):
        curve, source, extra = data, Source("", "curve", data.x.size), ()
    else:
        if y is None:
            raise InputError("`y` is missing", hint="call cogfit.fit(x, y), or cogfit.fit(log)")
        curve = array_curve(data, y, weights=weights, trials=trials, groups=groups, axis=axis or "x", x_min=x_min,
                            x_max=x_max, smoothing=smoothing)  # fmt: skip
        source, extra = Source("", "arrays", int(np.size(np.asarray(y)))), ()
    if not serial:
        curve = replace(curve, serial=False)
    if measure is not None:
        if measure not in MEASURES:
            raise InputError(f"unknown measure {measure!r}", hint=nearest(measure, MEASURES))
        curve = replace(curve, measure=measure)
    generator = _generator(rng)
    result = fit_curve(
        curve, source, form=form, noise_name=noise, start=start, level=level, rng=generator,
        warnings=extra, discrete=trials is not None, thorough=thorough, progress=progress,
    )  # fmt: skip
    if form is not None:
        return result
    log = data if isinstance(data, Log) else None
    return replace(result, transition=_transition(curve, log, schedule, level, generator, thorough))


_SCHEDULE = re.compile(
    r"(^|[^a-z])(lr|learning_rate|lambda|temperature|tau|phase|stage|warm_?up|schedule|anneal|curriculum|cost|beta)"
    r"([^a-z]|$)"
)
"""Names of columns that are set by the person who trains, not outcomes of training."""


def _transition(
    curve: Curve, log: Log | None, schedule: Sequence[str], level: float, rng: np.random.Generator, thorough: bool
) -> dict[str, Any] | None:
    """Abrupt changes on the axis of the utilisation log, where there is one; None where they cannot be looked for.

    A mean over patterns against exposures is not searched: its errors are those of switch times, and no series.
    """
    columns: dict[str, Any] = {}
    if log is not None and log.utilization is not None:
        after = None
        if log.routing is not None:
            forced = (curve.facts or {}).get("overridden_steps")
            after = None if forced is None else forced[1] + 1
            curve = utilization_curve(log.utilization, x_min=after)
        columns = _schedule_columns(log, curve, schedule)
    elif schedule:
        raise InputError("`schedule` names columns of a utilisation log", hint="pass the log, not arrays")
    elif log is not None or (curve.clusters is not None and curve.axis == "exposure"):
        return None
    positive = curve.take(curve.x > 0)
    if np.unique(positive.x).size < _TRANSITION_POINTS or np.any(curve.x < 0) or np.ptp(positive.y) == 0:
        return None
    keep = curve.x > 0
    found = transitions.transition(
        positive.x, positive.y, weights=positive.weights, rng=rng, level=level,
        replicates=THOROUGH_REPLICATES if thorough else REPLICATES,
        schedule={name: values[keep] for name, values in columns.items()} or None,
    )  # fmt: skip
    first, *others = found.statements()
    where = f"{curve.y_label} against {curve.x_label}: " if log is not None else ""
    return {"axis": curve.axis, **found.to_json(), "statements": [where + first, *others]}


def _schedule_columns(log: Log, curve: Curve, named: Sequence[str]) -> dict[str, Any]:
    """Columns of the utilisation log that hold a schedule, at the points of the curve."""
    assert log.utilization is not None
    frame = log.utilization.frame
    known = [str(name) for name in frame.columns if name not in ("step", "attention_utilization", *GROUP_COLUMNS)]
    for name in named:
        if name not in known:
            raise InputError(f"no column '{name}' to take as a schedule", path=log.path, hint=nearest(name, known))
    wanted = [name for name in known if name in named or _SCHEDULE.search(name.lower())]
    first = frame.drop_duplicates("step").set_index("step")
    return {name: first[name].reindex(curve.x).to_numpy() for name in wanted}


def _generator(rng: int | np.random.Generator) -> np.random.Generator:
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise InputError(f"`rng` must be a whole number of 0 or more, or a numpy Generator, not {rng!r}") from error


def _from_log(
    log: Log,
    outcome: Outcome,
    convention: str,
    x_min: float | None,
    x_max: float | None,
    bins: int | None,
    smoothing: Smoothing,
) -> tuple[Curve, Source, tuple[str, ...]]:
    for label, limit in (("x_min", x_min), ("x_max", x_max)):
        if limit is not None and not math.isfinite(limit):
            raise InputError(f"`{label}` must be a finite number, not {limit}")
    if x_min is not None and x_max is not None and x_min >= x_max:
        raise InputError(f"the window is empty: it starts at {x_min:g} and ends at {x_max:g}")
    if log.routing is not None:
        if smoothing is not None:
            raise InputError("`smoothing` goes with utilisation logs; rows of a routing log are single queries")
        low = None if x_min is None else math.ceil(x_min)
        high = None if x_max is None else math.floor(x_max)
        curve = exposure_curve(log.routing, outcome=outcome, convention=convention, k_min=low, k_max=high, bins=bins)
        assert curve.facts is not None
        if curve.facts["patterns"] >= _FEW_PATTERNS:
            found = patterns.analyse(log.routing, curve.facts)
            curve = replace(curve, facts={**curve.facts, **found.to_json()})
        return curve, log.routing.source, (*log.warnings, *other_kind(log))
    if log.utilization is None:
        raise InputError("the log is empty", path=log.path)
    if outcome != "auto" or convention != "prior":
        raise InputError("`outcome` and `convention` go with routing logs; this is a utilisation log", path=log.path)
    if bins is not None:
        raise InputError("bins go with routing logs (P_episodic(k)); a utilisation log is fitted point by point")
    return (
        utilization_curve(log.utilization, x_min=x_min, x_max=x_max, smoothing=smoothing),
        log.utilization.source,
        log.warnings,
    )


def other_kind(log: Log) -> tuple[str, ...]:
    """What a folder holds besides the routing log that is fitted, one sentence each."""
    if log.routing is None or log.utilization is None:
        return ()
    other = log.utilization
    text = f"utilisation against step ({other.source.rows_read:,} rows) is there, too; to fit it, name its file"
    left = []
    if "run" in other.frame:
        mine = set(log.routing.frame["run"].astype(str)) if "run" in log.routing.frame else set()
        left = sorted(set(other.frame["run"].astype(str)) - mine)
    if left:
        text += f"; runs that have nothing else are left out here: {', '.join(left)}"
    return (text,)


# ----------------------------------------------------------------------------------------------------- the fit


def fit_curve(
    curve: Curve,
    source: Source,
    *,
    form: str | None,
    noise_name: str,
    start: Mapping[str, float] | None,
    level: float,
    rng: np.random.Generator,
    warnings: tuple[str, ...] = (),
    discrete: bool = False,
    thorough: bool = False,
    progress: Progress | None = None,
) -> FitResult:
    """Fit a prepared curve; what :func:`fit` does after its input is understood."""
    if start is not None and form is None:
        raise InputError("`start` needs `form`", hint="name the form whose starting values these are")
    chosen = get_form(form) if form is not None else None
    notes = [*warnings, *curve.warnings]
    curve, note = _inside_domain(curve, chosen)
    notes += note
    family = (chosen,) if chosen is not None else candidate_forms(curve.axis, curve.measure)
    constant = float(np.ptp(curve.y)) <= CONSTANT * float(np.abs(curve.y).max())
    name, fits = choose_noise(curve, family, noise_name, discrete, constant)
    if name == "binomial":
        assert curve.counts is not None
        curve = replace(curve, weights=curve.counts)
    if name != "gaussian" and curve.clusters is not None:
        notes.append(f"{name} noise takes values as independent; only Gaussian noise resamples {curve.clusters.kind}")
    noise.get(name).check(curve.y, curve.weights)
    tell = Stages(progress, 2 * len(family))
    for number, item in enumerate(family):
        tell(number, len(family), item.name)
        if constant:
            fits[item.name] = constant_fit(item, curve)
        elif item.name not in fits or start is not None:
            fits[item.name] = estimate.estimate(item, curve.x, curve.y, curve.weights, name, start=start)
    registry = {item.name: item for item in family}
    if constant:
        ranking = Ranking(dict.fromkeys(fits, math.inf), None, (), float(curve.x.size))
        still = Verdict("not_identified", ("the curve is constant: there is no decay to fit",))
        compared = Selection(ranking, still, dict.fromkeys(fits, WHITE), {})
    else:
        replicates = THOROUGH_REPLICATES if thorough else REPLICATES
        compared = select(curve, registry, fits, rng, replicates, tell.after(len(family)))
    inside = confidence_set(compared.ranking, compared.tests)
    best = chosen.name if chosen else selection.simplest(compared.ranking, registry, inside) or _fallback(fits)
    if not constant:
        notes += _fit_notes(curve, fits[best], compared.errors[best])
    ahead = selection.extrapolation_error(curve, fits, registry) if chosen is None and not constant else {}
    items = []
    for item in family:
        matters = item.name == best or item.name in POWER_LAWS or item.name in inside
        known = intervals.Uncertainty({}, fits[item.name].covariance)
        if not constant:
            known = intervals.all_intervals(
                item, curve, fits[item.name], level, rng, errors=compared.errors[item.name],
                profiled=matters, thorough=thorough and matters,
            )  # fmt: skip
        items.append(_form_fit(item, fits[item.name], known, compared, ahead.get(item.name, math.nan)))
    tell(2 * len(family), 2 * len(family), "")
    items.sort(key=lambda item: item.delta_aicc)
    items = _united(items, inside)
    result = _result(curve, source, tuple(items), best, compared, inside, name, level, notes)
    if chosen is not None or constant:
        return result
    return replace(result, windows=windows.exponents(curve, name, level, rng), averaging=_averaging(curve))


def _averaging(curve: Curve) -> dict[str, Any] | None:
    """What single patterns, runs or groups say of the averaged curve; None where there are none."""
    if curve.clusters is None:
        return None
    from cogfit.inference import averaging

    found = averaging.analyse(curve, (curve.facts or {}).get("near_binary"))
    return {**found.to_json(), "statements": list(found.statements())}


def _inside_domain(curve: Curve, chosen: Form | None) -> tuple[Curve, list[str]]:
    """Leave x = 0 out where a power law has no value; refuse negative x."""
    if chosen is not None and chosen.basis is None:
        return curve, []  # a user's form knows its own domain
    if np.any(curve.x < 0):
        where = f"x is negative at {int(np.sum(curve.x < 0))} points (the least is {curve.x.min():g})"
        raise InputError(where, hint="exposures, steps and delays start at 0: leave those points out with x_min=0")
    zero = curve.x == 0
    if not zero.any() or (chosen is not None and not chosen.positive_x):
        return curve, []
    if (~zero).sum() < 2:
        raise InputError("fewer than two points have x > 0")
    note = f"{int(zero.sum())} point(s) at x = 0 left out: a power law has no value there"
    return curve.take(~zero), [note]


def choose_noise(
    curve: Curve, family: tuple[Form, ...], name: str, discrete: bool, constant: bool
) -> tuple[str, dict[str, Estimate]]:
    """Noise model, and the fits under it that were made on the way."""
    if name != "auto":
        noise.get(name)
        if name == "binomial" and curve.counts is None:
            raise InputError(
                "binomial noise needs the number of trials behind each y", hint="pass trials=, or a routing log"
            )
        return name, {}
    if curve.clusters is not None:  # clusters are resampled, under Gaussian weights
        return "gaussian", {}
    if discrete:
        return "binomial", {}
    if constant or np.any(curve.y <= 0):
        return "gaussian", {}
    scouts = [item for item in family if item.name in _SCOUTS] or list(family)
    tried = {
        model: {
            item.name: estimate.estimate(item, curve.x, curve.y, curve.weights, model, rough=model == "lognormal")
            for item in scouts
        }
        for model in ("gaussian", "lognormal")
    }
    best = {m: min((e.aicc for e in f.values() if e.status != "failed"), default=math.inf) for m, f in tried.items()}
    if best["lognormal"] < best["gaussian"]:
        return "lognormal", {}
    return "gaussian", tried["gaussian"]


def constant_fit(form: Form, curve: Curve) -> Estimate:
    """What is said of a curve that does not change at all: nothing of its shape is identified."""
    level = float(curve.y.mean())
    p = len(form.parameters)
    params = {q.name: level if form.name == "constant" else math.nan for q in form.parameters}
    return Estimate(
        form.name, "gaussian", params, dict.fromkeys(params, math.inf), np.full((p, p), np.nan), 0.0, -math.inf,
        curve.x.size, p + 1, "not_identified", "the curve is constant", (), form.names,
    )  # fmt: skip


def _fallback(fits: Mapping[str, Estimate]) -> str:
    """What to report where there are too few points to rank anything: the power law, if it fits at all."""
    return next(
        (name for name in ("power", "constant", *fits) if name in fits and fits[name].status != "failed"), "power"
    )


def _united(items: list[FormFit], close: tuple[str, ...]) -> list[FormFit]:
    """Give power laws that the data do not tell apart the union of their intervals for γ."""
    together = [item for item in items if item.name in close and item.name in POWER_LAWS]
    if len(together) < 2:
        return items
    parts = [item.intervals["gamma"] for item in together]
    names = " or ".join(item.title for item in together)
    union = replace(
        parts[0], low=min(part.low for part in parts), high=max(part.high for part in parts),
        method=f"{parts[0].method}; union over {names}",
    )  # fmt: skip
    return [replace(item, intervals={**item.intervals, "gamma": union}) if item in together else item for item in items]


def _form_fit(form: Form, fit: Estimate, known: intervals.Uncertainty, compared: Selection, ahead: float) -> FormFit:
    return FormFit(
        fit,
        known.intervals,
        known.covariance,
        form.title,
        form.formula,
        form.gamma,
        {q.name: q.unit for q in form.parameters},
        {q.name: q.meaning for q in form.parameters},
        compared.ranking.delta[form.name],
        compared.ranking.delta_bic[form.name],
        known.errors,
        compared.tests.get(form.name),
        ahead,
        known.sensitivity,
    )


def _result(
    curve: Curve,
    source: Source,
    items: tuple[FormFit, ...],
    best: str,
    compared: Selection,
    inside: tuple[str, ...],
    noise_name: str,
    level: float,
    notes: list[str],
) -> FitResult:
    return FitResult(
        form=best,
        forms=items,
        verdict=compared.ruling,
        axis=curve.axis,
        convention=curve.convention,
        measure=curve.measure,
        n=curve.x.size,
        n_effective=compared.ranking.n_effective,
        noise=noise_name,
        level=level,
        source={
            "path": source.path or None,
            "format": source.format,
            "rows_read": source.rows_read,
            "rows_dropped": dict(source.rows_dropped),
            "notes": list(source.notes),
        },
        trajectories=curve.facts,
        averaging=None,
        transition=None,
        warnings=tuple(dict.fromkeys(notes)),
        indistinguishable_forms=inside,
        versions=versions(),
        x=curve.x,
        y=curve.y,
        weights=curve.weights,
        x_label=curve.x_label,
        y_label=curve.y_label,
    )


def _fit_notes(curve: Curve, fit: Estimate, errors: Arma) -> list[str]:
    notes = []
    clusters = curve.clusters
    points = fit.n / max(errors.time, 1.0)
    if curve.resampleable:
        return []
    if errors.time > 1.0:
        notes.append(
            f"residuals are autocorrelated ({errors.title}): the {fit.n} points carry the information of about "
            f"{points:.0f}"
        )
    if points < FEW:
        notes.append(f"fewer than {FEW:.0f} effective points: intervals and comparison are unreliable")
    if clusters is not None:
        notes.append(
            f"only {clusters.size} {clusters.kind}: too few to resample, so intervals speak of these {clusters.kind} "
            "only"
        )
    return notes


def versions() -> dict[str, str]:
    """Versions of what produced a result."""
    import scipy

    from cogfit import __version__

    return {
        "cogfit": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }

"""``cogfit.fit``: from a log, file or arrays to a result.

The result is a :class:`~cogfit.result.FitResult`.
"""

from __future__ import annotations

import math
import os
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from cogfit.curves.arrays import array_curve
from cogfit.curves.curve import CONSTANT, MIN_CLUSTERS, Curve, thinned
from cogfit.curves.exposure import Outcome, exposure_curve
from cogfit.curves.utilization import Smoothing, utilization_curve
from cogfit.engine import estimate, noise
from cogfit.engine.arma import WHITE, Arma
from cogfit.engine.estimate import Estimate
from cogfit.errors import InputError, nearest
from cogfit.formulas.form import MEASURES, Array, Form
from cogfit.formulas.registry import CONSTANT as CONSTANT_FORM
from cogfit.formulas.registry import POWER, POWER_LAWS, candidate_forms, get_form
from cogfit.inference import averaging, intervals, patterns, selection, windows
from cogfit.inference.changes import find_changes
from cogfit.inference.form_tests import MOST_REPLICATES
from cogfit.inference.noise_choice import choose_noise, constant_fit
from cogfit.inference.ranking import Ranking
from cogfit.inference.rates import Audit
from cogfit.inference.selection import (
    JUDGED_REPLICATES,
    REPLICATES,
    THOROUGH_REPLICATES,
    Selection,
    select,
)
from cogfit.inference.smoothing import mark_smoothing
from cogfit.inference.verdict import FEW, Verdict, confidence_set, simplest
from cogfit.inference.windows import Window
from cogfit.logs.model import Branch, Log, RoutingLog, Source, UtilizationLog
from cogfit.native.blas import single_threaded
from cogfit.planning.advice import advise
from cogfit.planning.campaign import Campaign
from cogfit.planning.laws import fitted_laws, is_rival
from cogfit.planning.simulation import Simulator, checked_workers
from cogfit.planning.situation import MOST_POINTS, Law, Situation, situation_of
from cogfit.progress import Progress, Stages
from cogfit.records.arrays import as_array
from cogfit.records.sentence import say
from cogfit.result import Account, FitResult, FormFit

if TYPE_CHECKING:
    import pandas as pd

_FEW_PATTERNS = 3  # fewer are looked at one by one (--by pattern), not as a population
_TESTS_SEED = 0  # forms are tested with the same random numbers in every fit: no verdict hangs on `rng`


@dataclass(frozen=True)
class Options:
    """What is asked of a fit.

    Attributes
    ----------
    rng : numpy Generator
    form, noise, start, level, thorough, schedule, progress, preview
        See :func:`fit`.
    discrete : bool
        Whether y are fractions of trials.
    audit : bool
        Whether the verdict is tried on curves like the log's own.
    workers : int
        Processes that do so.
    first, most : int
        Curves made around each form before it is first asked whether it is refused, and at most, where that is not
        clear.
    """

    rng: np.random.Generator
    form: str | None = None
    noise: str = "auto"
    start: Mapping[str, float] | None = None
    level: float = 0.95
    discrete: bool = False
    thorough: bool = False
    schedule: Sequence[str] = ()
    progress: Progress | None = None
    audit: bool = False
    workers: int = 1
    preview: Callable[[str], None] | None = None
    first: int = REPLICATES
    most: int = MOST_REPLICATES

    @property
    def replicates(self) -> int:
        """Curves made around each form at first."""
        return THOROUGH_REPLICATES if self.thorough else self.first


@dataclass(frozen=True)
class Prepared:
    """What is fitted, and where it came from."""

    curve: Curve
    source: Source
    log: Log | None = None
    warnings: tuple[str, ...] = ()


@single_threaded()
def fit(
    data: Log | Curve | str | os.PathLike[str] | pd.DataFrame | ArrayLike,
    y: ArrayLike | str | None = None,
    *,
    x: str | None = None,
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
    audit: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
    preview: Callable[[str], None] | None = None,
) -> FitResult:
    """Fit a learning curve and say what the data support.

    Parameters
    ----------
    data : Log, path, DataFrame, Curve or array_like of shape (n,)
        A training log (see :func:`cogfit.read_log`), the file, folder or table of one, or the x values.
    y : array_like, shape (n,), or str, optional
        Values, where `data` are the x values. Must be finite. Of a file, folder or table: the column to fit.
    x : str, optional
        Of a file, folder or table: the column of steps, trials or whatever y changes with (``"row"`` counts the rows).
    form : str, optional
        Fit this form only (see :func:`cogfit.forms`). Without it every form that has a meaning here is fitted and
        compared, and a verdict is given.
    noise : {"auto", "gaussian", "lognormal", "binomial"}
        ``"auto"``: Gaussian for logs with patterns or several runs and for data with `groups`, binomial where `trials`
        are given, that of the values for a curve of human data, Gaussian where any y ≤ 0; otherwise Gaussian or
        log-normal, whichever has the lower AICc.
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
        For resampled intervals. Forms are tested with the same random numbers in every fit: no verdict hangs on these.
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
    audit : bool, default False
        Try the verdict on curves simulated from the fitted power law and from its best rival, with errors like these:
        50 of each, 200 where these leave the answer open. Takes a minute or more.
    workers : int, default 1
        Processes that judge these curves. The answer is the same for any number.
    progress : callable, optional
        Called as ``progress(done, total, name)`` before each form, and while curves are judged.
    preview : callable, optional
        Called once with a sentence on γ before the forms are compared, which takes most of the time.

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
        raise InputError(f"`level` must lie between 0 and 1, not {level!r}", hint="for 95 % pass `level=0.95`")
    prepared = prepare_curve(
        data,
        y,
        x=x,
        weights=weights,
        trials=trials,
        groups=groups,
        axis=axis,
        measure=measure,
        outcome=outcome,
        convention=convention,
        x_min=x_min,
        x_max=x_max,
        bins=bins,
        smoothing=smoothing,
        serial=serial,
    )
    options = Options(
        rng=_generator(rng),
        form=form,
        noise=noise,
        start=start,
        level=level,
        discrete=trials is not None,
        thorough=thorough,
        schedule=schedule,
        progress=progress,
        preview=preview,
        audit=audit,
        workers=workers,
    )
    return fit_curve(
        prepared.curve, prepared.source, options, warnings=prepared.warnings, log=prepared.log, changes=form is None
    )


def prepare_curve(
    data: Log | Curve | str | os.PathLike[str] | pd.DataFrame | ArrayLike,
    y: ArrayLike | str | None = None,
    *,
    x: str | None = None,
    weights: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    axis: str | None = None,
    measure: str | None = None,
    outcome: Outcome = "auto",
    convention: str = "prior",
    x_min: float | None = None,
    x_max: float | None = None,
    bins: int | None = None,
    smoothing: Smoothing = None,
    serial: bool = True,
) -> Prepared:
    """Turn whatever is to be fitted into a curve.

    The arguments are those of :func:`fit`.
    """
    # paths are read; what goes with arrays is refused beside a log
    if isinstance(data, str | os.PathLike) or is_table(data):
        name = y if isinstance(y, str) else None
        data, y = _read(data, x, name), None if name is not None else y
    elif x is not None:
        raise InputError("`x` names a column of a file, folder or table", hint="call cogfit.fit(x, y) with arrays")
    if isinstance(data, Log | Curve) and any(v is not None for v in (y, weights, trials, groups)):
        raise InputError("`y`, `weights`, `trials` and `groups` go with arrays, not with a log")

    # whatever came in becomes a curve with an account of where it came from
    if isinstance(data, Log):
        prepared = _from_log(data, outcome, convention, (x_min, x_max), bins, smoothing)
        if axis is not None:
            prepared = replace(prepared, curve=replace(prepared.curve, axis=axis))
    elif isinstance(data, Curve):
        prepared = Prepared(data, Source("", "curve", data.x.size))
    elif y is None:
        raise InputError("`y` is missing", hint="call cogfit.fit(x, y), or cogfit.fit(log)")
    else:
        curve = array_curve(
            data,
            y,
            weights=weights,
            trials=trials,
            groups=groups,
            axis=axis or "x",
            x_min=x_min,
            x_max=x_max,
            smoothing=smoothing,
        )
        prepared = Prepared(curve, Source("", "arrays", as_array("y", y).size))
    return replace(prepared, curve=_apply_caller_options(prepared.curve, measure, serial))


def _read(data: Any, x: str | None, y: str | None) -> Log:
    """The log of a file, folder or table."""
    from cogfit.logs import read_log
    from cogfit.logs.columns import NoLogColumns

    if not is_table(data):
        return read_log(data, x=x, y=y)
    try:
        return read_log(data, x=x or _only_other_column(data, y), y=y)
    except NoLogColumns as error:
        hint = 'name its columns: cogfit.fit(table, "COLUMN OF Y", x="COLUMN OF X")'
        raise InputError(error.what, path=error.path, hint=hint) from None


def _only_other_column(table: pd.DataFrame, y: str | None) -> str | None:
    """The column beside y in a table of two.

    There is no doubt what it is, whatever it is called.
    """
    others = [name for name in table.columns if name != y]
    return str(others[0]) if y in table.columns and len(others) == 1 else None


def is_table(data: object) -> bool:
    """Whether data are a pandas table.

    pandas is loaded if they are, and not for this question.
    """
    return type(data).__module__.split(".")[0] == "pandas" and type(data).__name__ == "DataFrame"


def _apply_caller_options(curve: Curve, measure: str | None, serial: bool) -> Curve:
    """The curve with what the caller says of its y."""
    if not serial:
        curve = replace(curve, serial=False)
    if measure is None:
        return curve
    if measure not in MEASURES:
        raise InputError(f"unknown measure {measure!r}", hint=nearest(measure, MEASURES))
    return replace(curve, measure=measure)


def _generator(rng: int | np.random.Generator) -> np.random.Generator:
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise InputError(f"`rng` must be a whole number of 0 or more, or a NumPy generator, not {rng!r}") from error


# ----------------------------------------------------------------------------------------------- from a log to a curve


def _from_log(
    log: Log,
    outcome: Outcome,
    convention: str,
    window: tuple[float | None, float | None],
    bins: int | None,
    smoothing: Smoothing,
) -> Prepared:
    _check_window(*window)
    if log.routing is not None:
        if smoothing is not None:
            raise InputError("`smoothing` goes with utilisation logs; rows of a routing log are single queries")
        curve = _routing_curve(log.routing, outcome, convention, window, bins)
        return Prepared(curve, log.routing.source, log, (*log.warnings, *other_kind(log)))
    if log.utilization is None:
        raise InputError("the log is empty", path=log.path)
    if outcome != "auto" or convention != "prior":
        raise InputError("`outcome` and `convention` go with routing logs; this is a utilisation log", path=log.path)
    if bins is not None:
        raise InputError("`bins` go with routing logs (P_episodic(k)); a utilisation log is fitted point by point")
    curve = utilization_curve(log.utilization, x_min=window[0], x_max=window[1], smoothing=smoothing)
    return Prepared(curve, log.utilization.source, log, log.warnings)


def _check_window(x_min: float | None, x_max: float | None) -> None:
    for label, limit in (("x_min", x_min), ("x_max", x_max)):
        if limit is not None and not math.isfinite(limit):
            raise InputError(f"`{label}` must be a finite number, not {limit}")
    if x_min is not None and x_max is not None and x_min >= x_max:
        raise InputError(f"the window is empty: `x_min` is {x_min:g} and `x_max` is {x_max:g}")


def _routing_curve(
    routing: RoutingLog,
    outcome: Outcome,
    convention: str,
    window: tuple[float | None, float | None],
    bins: int | None,
) -> Curve:
    """P_episodic(k), with what single patterns say.

    Single patterns are looked at where there are enough of them.
    """
    low = None if window[0] is None else math.ceil(window[0])
    high = None if window[1] is None else math.floor(window[1])
    curve = exposure_curve(routing, outcome=outcome, convention=convention, k_min=low, k_max=high, bins=bins)
    assert curve.facts is not None
    if curve.facts.patterns < _FEW_PATTERNS:
        return curve
    return replace(curve, trajectories=patterns.analyse(routing, curve.facts))


def other_kind(log: Log) -> tuple[str, ...]:
    """What a folder holds besides the routing log.

    The routing log is fitted; one sentence each.
    """
    if log.routing is None or log.utilization is None:
        return ()
    other = log.utilization
    text = f"utilisation against step ({other.source.rows_read:,} rows) is there, too; to fit it, name its file"
    left = sorted(_runs_of(other) - _runs_of(log.routing)) if "run" in other.table else []
    if left:
        text += f"; runs that have nothing else are left out here: {', '.join(left)}"
    return (text,)


def _runs_of(table: RoutingLog | UtilizationLog) -> set[str]:
    return set(table.frame["run"].astype(str)) if "run" in table.frame else set()


# ------------------------------------------------------------------------------------------------------------ the fit


def fit_curve(
    curve: Curve,
    source: Source,
    options: Options,
    *,
    warnings: tuple[str, ...] = (),
    log: Log | None = None,
    changes: bool = False,
) -> FitResult:
    """Fit a prepared curve.

    What :func:`fit` does after its input is understood.

    Parameters
    ----------
    curve : Curve
    source : Source
    options : Options
    warnings : tuple of str
        Of reading the log.
    log : Log, optional
        Where the curve came from.
    changes : bool
        Whether abrupt changes are looked for.
    """
    logged = curve
    compared = _compare_forms(curve, options)
    curve, family, selected = compared.curve, compared.family, compared.selected
    best, constant, stages = compared.best, compared.constant, compared.stages
    inside = confidence_set(selected.ranking, selected.tests)
    notes = [*warnings, *logged.warnings, *compared.notes]
    if not constant:
        notes += _fit_notes(curve, selected.errors[best], selected.ranking.n_effective)

    # how well γ is known, over the whole curve and parts of it; the order keeps the random numbers
    whole = options.form is None and not constant
    items = _form_fits(compared, options, whole)
    stages(2 * len(family), 2 * len(family), "")
    parts = _windows(curve, items, family, best, inside, options) if whole else ()
    averaged = _averaging(curve) if whole else None
    change = None
    if changes:
        change = find_changes(
            logged, log, options.schedule, level=options.level, rng=options.rng, replicates=options.replicates
        )
    ruling = _settle(selected.ruling, next(item for item in items if item.name == best))
    if ruling.power_law == "not_distinguishable" and whole:
        ruling = _with_advice(ruling, compared)
    audited = None
    if options.audit:
        try:
            audited = _audit(compared, options)
        except InputError as error:  # the fit is an answer without it
            notes.append(f"no audit: {error.what}")
    # one result, built once
    return FitResult(
        form=best,
        forms=_unite_gamma(items, inside),
        verdict=ruling,
        axis=curve.axis,
        convention=curve.convention,
        measure=curve.measure,
        n=curve.x.size,
        n_effective=selected.ranking.n_effective,
        noise=compared.noise,
        level=options.level,
        source=_account(source, curve),
        trajectories=_trajectories(curve),
        averaging=averaged,
        transition=change,
        warnings=tuple(dict.fromkeys(notes)),
        indistinguishable_forms=inside,
        versions=versions(),
        x=curve.x,
        y=curve.y,
        weights=curve.weights,
        x_label=curve.x_label,
        y_label=curve.y_label,
        windows=parts,
        audit=audited,
    )


@dataclass(frozen=True)
class _Compared:
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


def _compare_forms(curve: Curve, options: Options) -> _Compared:
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
    return _Compared(curve, family, fits, noise_name, selected, best, constant, notes, stages)


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
    compared = _compare_forms(curve, options)
    ruling = compared.selected.ruling
    if ruling.power_law != "supported":
        return compared.best, ruling
    form = next(form for form in compared.family if form.name == compared.best)
    inside = confidence_set(compared.selected.ranking, compared.selected.tests)
    uncertainty = _uncertainty(compared, form, inside, options)
    return compared.best, _settle(ruling, _form_fit(form, uncertainty, compared.selected, math.nan))


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
    return _observed(_compare_forms(curve, options))


def _observed(compared: _Compared) -> Observed:
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


def _with_advice(ruling: Verdict, compared: _Compared) -> Verdict:
    """The verdict with how much more would decide, where that is known in a moment."""
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


def _audit(compared: _Compared, options: Options) -> Audit:
    """Try the verdict on curves like the log's own."""
    seen = _observed(compared)
    seed = int(options.rng.integers(2**31))
    with Simulator(judge_like(options), checked_workers(options.workers)) as simulator:
        campaign = Campaign(simulator, seen.situation, seen.power_law, seen.rival, seed, options.progress)
        return campaign.audit()


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
    reason = say("the curve is constant: there is no decay to fit", by=fit_curve)
    return Selection(ranking, Verdict("not_identified", (reason,)), None, dict.fromkeys(fits, WHITE), {})


def _fallback(fits: Mapping[str, Estimate]) -> str:
    """Form to report where nothing could be ranked.

    There are too few points: the power law, if it fits at all.
    """
    order = (POWER, CONSTANT_FORM, *fits)
    return next((name for name in order if name in fits and fits[name].status != "failed"), POWER)


def _form_fits(compared: _Compared, options: Options, whole: bool) -> list[FormFit]:
    """Each form's fit with its intervals, best first."""
    curve, fits, selected = compared.curve, compared.fits, compared.selected
    inside = confidence_set(selected.ranking, selected.tests)
    registry = {form.name: form for form in compared.family}
    extrapolation = selection.extrapolation_error(curve, fits, registry) if whole else {}
    items = []
    for form in compared.family:
        uncertainty = _uncertainty(compared, form, inside, options)
        if whole and selected.ranking.best is None:  # too few points to rank any form
            uncertainty = intervals.undetermined(uncertainty, f"{curve.x.size} points tell nothing of a form")
        items.append(_form_fit(form, uncertainty, selected, extrapolation.get(form.name, math.nan)))
    return sorted(items, key=lambda item: item.delta_aicc)


def _uncertainty(compared: _Compared, form: Form, inside: tuple[str, ...], options: Options) -> intervals.Uncertainty:
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


def _form_fit(form: Form, uncertainty: intervals.Uncertainty, compared: Selection, extrapolation: float) -> FormFit:
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


def _windows(
    curve: Curve,
    items: Sequence[FormFit],
    family: tuple[Form, ...],
    best: str,
    inside: tuple[str, ...],
    options: Options,
) -> tuple[Window, ...]:
    """γ over windows, with floor and shift of the law held."""
    fits = {item.name: item.estimate for item in items}
    law = windows.law_of(best, inside, {name: fit.params for name, fit in fits.items()})
    form = next(form for form in family if form.name == best)
    fitted = form.evaluate(curve.x, fits[best].params)
    return windows.exponents(curve, fits[best].noise, options.level, options.rng, law=law, fitted=fitted)


def _settle(ruling: Verdict, item: FormFit) -> Verdict:
    """The verdict, once the interval of γ is known.

    A power law whose exponent the data leave open is not supported.
    """
    standing = item.standing()
    if ruling.power_law != "supported" or standing.is_measured:
        return ruling
    text = "{title} is not refused, but its γ is no measurement: {reason}"
    reason = say(text, title=item.title, reason=standing.reason, by=_settle)
    return Verdict("not_identified", (reason,))


def _unite_gamma(items: list[FormFit], close: tuple[str, ...]) -> tuple[FormFit, ...]:
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


def _averaging(curve: Curve) -> dict[str, Any] | None:
    """What single patterns, runs or groups say.

    They are what the curve averages over. None where there are none.
    """
    if curve.clusters is None:
        return None
    near_binary = None if curve.trajectories is None else curve.trajectories.near_binary
    return averaging.analyse(curve, near_binary).to_json()


def _trajectories(curve: Curve) -> dict[str, Any] | None:
    """Facts of the exposure curve and its single patterns.

    Both stand in one document.
    """
    if curve.facts is None:
        return None
    trajectories = {} if curve.trajectories is None else curve.trajectories.to_json()
    return {**curve.facts.to_json(), **trajectories}


def _account(source: Source, curve: Curve) -> Account:
    """Where the points came from, down to the rows behind them."""
    account: Account = {
        "path": source.path or None,
        "format": source.format,
        "rows_read": source.rows_read,
        "rows_used": curve.n_rows,
        "rows_dropped": dict(Counter(source.rows_dropped) + Counter(curve.left_out)),
        "notes": list(source.notes),
        "choices": [{"kind": c.kind, "name": c.name, "others": list(c.others)} for c in source.choices],
        "averaged_over": dict(curve.averaged),
        "restarts": [_restart(branch) for branch in source.branches],
    }
    if source.course is not None:
        account["course"] = _drawn(*source.course)
    return account


def _restart(branch: Branch) -> dict[str, Any]:
    return {
        **branch.labels,
        "reached": branch.reached,
        "step": branch.step,
        "rows_void": branch.rows,
        "declared": branch.is_declared,
        "branch": _drawn(branch.x, branch.y),
    }


def _drawn(x: Array, y: Array) -> dict[str, list[float]]:
    """A line for pictures."""
    x, y = thinned(x, y)
    return {"x": x.tolist(), "y": y.tolist()}


def _fit_notes(curve: Curve, errors: Arma, points: float) -> list[str]:
    """What the errors along the curve do to its information."""
    notes = []
    clusters = curve.clusters
    if curve.resampleable:
        return []
    if not errors.white and points < curve.x.size:
        text = (
            "residuals are autocorrelated ({errors}): about the exponent the {n} points tell as much as {points:.0f} "
            "independent ones"
        )
        notes.append(say(text, errors=errors.title, n=curve.x.size, points=points, by=_fit_notes))
    if points < FEW:
        text = "fewer than {few:.0f} effective points: intervals and comparison are unreliable"
        notes.append(say(text, few=FEW, points=points, threshold=f"points < {FEW:.0f}", by=_fit_notes))
    if clusters is not None:
        text = "only {count} {kind}: too few to resample, so intervals speak of these {kind} only"
        rule = f"{clusters.kind} < {MIN_CLUSTERS}"
        notes.append(say(text, count=clusters.size, kind=clusters.kind, threshold=rule, by=_fit_notes))
    return list(notes)


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

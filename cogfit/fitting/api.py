"""``cogfit.fit``: from a log, file or arrays to a result.

The result is a :class:`~cogfit.result.FitResult`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from cogfit.curves.curve import Curve
from cogfit.curves.exposure import Outcome
from cogfit.curves.utilization import Smoothing
from cogfit.errors import InputError
from cogfit.fitting.account import account_of, averaging_of, fit_notes, trajectories_of, versions
from cogfit.fitting.comparing import rank_forms
from cogfit.fitting.intake import prepare_curve
from cogfit.fitting.judging import audit_of, with_advice
from cogfit.fitting.options import Options
from cogfit.fitting.precision import form_fits, settle, unite_gamma, windows_of
from cogfit.inference.changes import find_changes
from cogfit.inference.verdict import confidence_set
from cogfit.logs.model import Log, Source
from cogfit.native.blas import single_threaded
from cogfit.progress import Progress
from cogfit.result import FitResult

if TYPE_CHECKING:
    import pandas as pd


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


def _generator(rng: int | np.random.Generator) -> np.random.Generator:
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise InputError(f"`rng` must be a whole number of 0 or more, or a NumPy generator, not {rng!r}") from error


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
    compared = rank_forms(curve, options)
    curve, family, selected = compared.curve, compared.family, compared.selected
    best, constant, stages = compared.best, compared.constant, compared.stages
    inside = confidence_set(selected.ranking, selected.tests)
    notes = [*warnings, *logged.warnings, *compared.notes]
    if not constant:
        notes += fit_notes(curve, selected.errors[best], selected.ranking.n_effective)

    # how well γ is known, over the whole curve and parts of it; the order keeps the random numbers
    whole = options.form is None and not constant
    items = form_fits(compared, options, whole)
    stages(2 * len(family), 2 * len(family), "")
    parts = windows_of(curve, items, family, best, inside, options) if whole else ()
    averaged = averaging_of(curve) if whole else None
    change = None
    if changes:
        change = find_changes(
            logged, log, options.schedule, level=options.level, rng=options.rng, replicates=options.replicates
        )
    ruling = settle(selected.ruling, next(item for item in items if item.name == best))
    if ruling.power_law == "not_distinguishable" and whole:
        ruling = with_advice(ruling, compared)
    audited = None
    if options.audit:
        try:
            audited = audit_of(compared, options)
        except InputError as error:  # the fit is an answer without it
            notes.append(f"no audit: {error.what}")
    # one result, built once
    return FitResult(
        form=best,
        forms=unite_gamma(items, inside),
        verdict=ruling,
        axis=curve.axis,
        convention=curve.convention,
        measure=curve.measure,
        n=curve.x.size,
        n_effective=selected.ranking.n_effective,
        noise=compared.noise,
        level=options.level,
        source=account_of(source, curve),
        trajectories=trajectories_of(curve),
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

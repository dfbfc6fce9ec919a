"""``cogfit.fit_population``: one model for all members."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from cogfit.errors import InputError
from cogfit.formulas.form import Form
from cogfit.formulas.registry import get_form
from cogfit.native.blas import single_threaded
from cogfit.population.fits import fit_best, fit_form
from cogfit.population.gathering import DaskGathering, Gathering, MemoryGathering
from cogfit.population.intake import Weighting, is_table, named_columns, take_in
from cogfit.population.members import Window
from cogfit.population.records import PopulationFit
from cogfit.population.task import Task
from cogfit.progress import Progress

FORMS = ("power", "power_floor", "exponential", "exponential_floor")
"""Forms that are compared where none is asked for: the power laws, and their rivals of one exponential."""


@single_threaded()
def fit_population(
    data: Any,
    y: ArrayLike | str | None = None,
    *,
    by: str | Sequence[str] | None = None,
    x: str = "x",
    form: str | Form | Callable[..., Any] | Sequence[str] | None = None,
    noise: str = "gaussian",
    random: Sequence[str] | None = None,
    log: Sequence[str] | None = None,
    logit: Sequence[str] = (),
    covariance: str = "full",
    method: str = "laplace",
    restricted: bool = True,
    weights: ArrayLike | str | None = None,
    trials: ArrayLike | str | None = None,
    covariates: Sequence[str] = (),
    start: Mapping[str, float] | None = None,
    gamma: str | None = None,
    x_min: float | None = None,
    x_max: float | None = None,
    kind: str | None = None,
    level: float = 0.95,
    progress: Progress | None = None,
) -> PopulationFit:
    """Fit the exponents of many members in one model.

    The curves of all members (subjects, runs, patterns) have one form; their parameters are normal over members, and
    their errors have one variance. A member with few points borrows from the others.

    Parameters
    ----------
    data : array_like, DataFrame, Dask DataFrame or Log
        The x values, shape (points,) or (members, points); or a tidy table with one row per point, of pandas or Dask;
        or a training log. The points of a Dask DataFrame stay in its partitions.
    y : array_like, shape (members, points), or str
        Values, NaN where there are none; for tables the name of their column (default ``"y"``).
    by : str or sequence of str
        Columns of a table, or run, layer, head or pattern of a log, that tell members apart (default of a table:
        ``"subject"``).
    x : str, default "x"
        Column of a table that holds x.
    form : str, Form, callable, sequence of str or None
        One form; or ``func(x, *params)``, which gets arrays and needs `start`; or several forms, of which the power law
        with the lowest AIC is reported. None: power laws and exponentials with and without floor.
    noise : {"gaussian", "lognormal", "binomial", "auto"}
        Errors of one variance; errors in proportion to the curve; counts out of `trials`; or whichever of the first two
        has the higher likelihood, and binomial where there are `trials`.
    random : sequence of str, optional
        Parameters that differ between members; by default all.
    log : sequence of str, optional
        Parameters of which the logarithm is normal over members. By default those that cannot be negative: amplitudes,
        scales and rates of registered forms.
    logit : sequence of str
        Parameters between 0 and 1 of which the logit is normal over members, such as the share at x = 1.
    covariance : {"full", "diagonal"}
        Of the parameters over members. Only with a full one does the answer not depend on the unit of x.
    method : {"laplace", "quadrature", "linearised"}
        How members are integrated out: by Laplace's approximation, by adaptive Gauss–Hermite quadrature (slow), or not
        at all, in favour of Lindstrom and Bates' linearised model, which is what nlme does: many times as fast, and
        biased where single members say little.
    restricted : bool, default True
        Whether variances come from a restricted likelihood (REML), which few members bias less.
    weights : array_like or str, optional
        Variance of y is σ²/weights; in the shape of x or y, or a column of the table.
    trials : array_like or str, optional
        Numbers of trials of which y are the shares, for binomial noise; in the shape of x or y, or a column.
    covariates : sequence of str
        Columns of a table that a function takes by name.
    start : mapping of str to float, optional
        Means to begin with, of all parameters.
    gamma : str, optional
        Which parameter of a function is the exponent (default: ``gamma``, if there is one).
    x_min, x_max : float, optional
        Window of x. Points outside are left out, and the result says so.
    kind : str, optional
        What a member is called; by default the last name in `by`.
    level : float, default 0.95
        Of the intervals.
    progress : callable, optional
        Called as ``progress(done, total, what)``.

    Returns
    -------
    PopulationFit

    Raises
    ------
    InputError
        For fewer than three members, and options or data that cannot be used.

    Notes
    -----
    Intervals of mean and standard deviation of γ are profile likelihoods, calibrated by Student's t and χ² with one
    degree of freedom less than there are members, which is exact for members measured equally well. Nobody is dropped
    who has two points: see ``left_out`` and ``notes`` of the result.

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> rng = np.random.default_rng(0)
    >>> k, gamma = np.arange(1.0, 41.0), rng.normal(0.5, 0.1, 20)
    >>> Y = 0.1 + 0.8 * k ** -gamma[:, None] + rng.normal(0, 0.02, (20, 40))
    >>> people = cogfit.fit_population(k, Y, form="power_floor")
    >>> people.gamma.low < 0.5 < people.gamma.high, people.gamma.sd_low < 0.1 < people.gamma.sd_high
    (True, True)
    """
    noise = _noise_of(noise, is_counted=trials is not None)
    task = Task(noise, random, log, covariance, method, restricted, start, gamma, kind, level, logit)
    if weights is not None and trials is not None:
        raise InputError("`weights` and `trials` exclude each other", hint="trials are the weights of shares")
    points = Weighting(weights, trials)
    gathering = _gathering(data, y, by, x, points, tuple(covariates), Window(x_min, x_max))
    if form is not None and (isinstance(form, str | Form) or callable(form)):
        return fit_form(get_form(form) if isinstance(form, str) else form, gathering, task, progress)
    candidates = [get_form(name) for name in (FORMS if form is None else form)]
    if not candidates:
        raise InputError("`form` names no form", hint="leave it out to compare power laws and exponentials")
    return fit_best(candidates, gathering, task, progress)


def _noise_of(noise: str, *, is_counted: bool) -> str:
    """Noise model, by what is known of the points."""
    if is_counted and noise not in ("binomial", "auto"):
        hint = "pass noise='binomial', or the numbers of trials as `weights`"
        raise InputError(f"`trials` go with binomial noise, not with {noise!r}", hint=hint)
    if noise == "binomial" and not is_counted:
        hint = "pass their numbers, or the name of their column: trials='n'"
        raise InputError("binomial noise needs the trials behind each y", hint=hint)
    return "binomial" if is_counted else noise


def _gathering(
    data: Any,
    y: ArrayLike | str | None,
    by: str | Sequence[str] | None,
    x: str,
    weighting: Weighting,
    covariates: tuple[str, ...],
    window: Window,
) -> Gathering:
    """Members of whatever came in, in memory or in parts."""
    if not (type(data).__module__.startswith("dask") and is_table(data)):
        return MemoryGathering(take_in(data, y, by, x, weighting, covariates, window))
    if covariates:
        raise InputError("covariates need a table in memory", hint="call .compute() on the Dask DataFrame")
    names = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    return DaskGathering(data, named_columns(y, names, x, weighting), window)

"""Maximum-likelihood fit of one form to one curve.

Choice of the engine, likelihood, standard errors, and what the status of a fit is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from cogfit.engine import bins as binning
from cogfit.engine import noise as noises
from cogfit.engine.bins import Axis, Bins
from cogfit.engine.general import Problem, coordinates_of, minimise, plain, user_starts
from cogfit.engine.separable import (
    PART,
    Batch,
    Bundle,
    bounds_of,
    bounds_on,
    curves_of,
    in_threads,
    model_of,
    solve,
    solve_bundle,
)
from cogfit.engine.units import Units, closed_under, start_of
from cogfit.errors import MissingDependencyError
from cogfit.formulas.form import Array, Form
from cogfit.native import kernels
from cogfit.native.kernels import Box, Judgement, Maxima, Summaries, joined
from cogfit.records.codec import Document, Low, Nan, wire

_COLUMN_ORDER = ("amplitude", "shape", "floor")  # order of a Jacobian's columns in the kernels
_STARTING_BINS = 2_000  # of a long curve: so narrow that what they lose is 1e-5 of the information
_NO_START = "no starting value led to a finite fit"
_ONE = Units()
Status = Literal["ok", "at_bound", "not_identified", "failed"]
STATUSES: tuple[Status, ...] = ("ok", "at_bound", "not_identified", "failed")
_NOT_IDENTIFIED = STATUSES.index("not_identified")


@dataclass(frozen=True, eq=False)
class Estimate(Document):
    """One form fitted to one curve.

    Attributes
    ----------
    form, noise : str
    params, stderr : dict of str to float
        ``stderr`` is NaN for a parameter at a bound and inf for one that is not identified.
    covariance : ndarray, shape (p, p)
        NaN in the rows of parameters at a bound.
    rss : float
        Weighted residual sum of squares on the scale of y.
    loglik : float
        Log-likelihood of the observed y at the maximum.
    n, k : int
        Points; parameters including that of the noise.
    status : {"ok", "at_bound", "not_identified", "failed"}
    reason : str
        Why the status is not ``"ok"``, in words.
    at_bound, not_identified : tuple of str
        Parameters concerned.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"aicc": "aicc", "bic": "bic"}

    form: str
    noise: str
    params: dict[str, Nan]
    stderr: dict[str, Nan] = field(metadata=wire("stderr_independent", infinite="stderr_unbounded"))
    covariance: Array = field(metadata=wire("covariance_independent"))
    rss: Nan
    loglik: Low
    n: int
    k: int
    status: Status
    reason: str = ""
    at_bound: tuple[str, ...] = ()
    not_identified: tuple[str, ...] = ()

    def __repr__(self) -> str:
        params = ", ".join(f"{name} = {value:.4g}" for name, value in self.params.items())
        return f"<Estimate {self.form}: {params} ({self.noise} noise, {self.status})>"

    def in_units(self, form: Form, units: Units) -> Estimate:
        """The same estimate in other units of x and y.

        The log-likelihood stays that of the y it was fitted to: it only orders forms.
        """
        back = units.inverse
        covariance = back.covariance(form, form.vector(self.params), self.covariance)
        params = back.params(form, form.vector(self.params))
        errors = _told_errors(form, np.array([list(self.stderr.values())]), covariance[None])[0]
        return replace(
            self,
            params=dict(zip(form.names, params.tolist(), strict=True)),
            stderr=dict(zip(form.names, errors.tolist(), strict=True)),
            covariance=covariance,
            rss=self.rss / units.y**2,
        )

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        return -2.0 * self.loglik + 2.0 * self.k

    @property
    def aicc(self) -> float:
        """AICc: AIC with the small-sample correction.

        Hurvich & Tsai 1989. inf where n ≤ k + 1.
        """
        denominator = self.n - self.k - 1
        return self.aic + 2.0 * self.k * (self.k + 1) / denominator if denominator > 0 else math.inf

    @property
    def bic(self) -> float:
        """Schwarz's information criterion."""
        return -2.0 * self.loglik + self.k * math.log(self.n)


@dataclass(frozen=True)
class Estimates:
    """One form fitted to many curves.

    What :class:`Estimate` says of one curve, as arrays.

    Attributes
    ----------
    form : Form
    noise : ndarray of str objects, shape (curves,)
    params, stderr : ndarray, shape (curves, p)
    covariance : ndarray, shape (curves, p, p)
    rss, loglik, n, k : ndarray, shape (curves,)
    status : ndarray of int8, shape (curves,)
        Index into :data:`STATUSES`.
    reason : ndarray of str objects, shape (curves,)
    at_bound, not_identified : ndarray of bool, shape (curves, p)
    """

    form: Form
    noise: NDArray[np.object_]
    params: Array
    stderr: Array
    covariance: Array
    rss: Array
    loglik: Array
    n: NDArray[np.int64]
    k: NDArray[np.int64]
    status: NDArray[np.int8]
    reason: NDArray[np.object_]
    at_bound: NDArray[np.bool_]
    not_identified: NDArray[np.bool_]

    @property
    def aicc(self) -> Array:
        """See :attr:`Estimate.aicc`, shape (curves,)."""
        denominator = self.n - self.k - 1
        with np.errstate(all="ignore"):
            value = -2.0 * self.loglik + 2.0 * self.k + 2.0 * self.k * (self.k + 1) / denominator
        return np.where(denominator > 0, value, np.inf)

    @property
    def bic(self) -> Array:
        """See :attr:`Estimate.bic`, shape (curves,)."""
        with np.errstate(all="ignore"):
            return np.asarray(self.k * np.log(self.n) - 2.0 * self.loglik)

    @classmethod
    def failed(cls, form: Form, noise: str, n: NDArray[np.int64], reason: str = "") -> Estimates:
        """Estimates of curves for which there are none."""
        count, p = n.size, len(form.parameters)
        nan = np.full((count, p), np.nan)
        return cls(
            form=form,
            noise=np.full(count, noise, dtype=object),
            params=nan,
            stderr=nan.copy(),
            covariance=np.full((count, p, p), np.nan),
            rss=np.full(count, np.nan),
            loglik=np.full(count, -np.inf),
            n=n,
            k=np.full(count, _count(form, noise)),
            status=np.full(count, STATUSES.index("failed"), np.int8),
            reason=np.full(count, reason, dtype=object),
            at_bound=np.zeros((count, p), bool),
            not_identified=np.zeros((count, p), bool),
        )

    @property
    def _arrays(self) -> tuple[NDArray[Any], ...]:
        """All arrays, in the order of the fields."""
        return (
            self.noise,
            self.params,
            self.stderr,
            self.covariance,
            self.rss,
            self.loglik,
            self.n,
            self.k,
            self.status,
            self.reason,
            self.at_bound,
            self.not_identified,
        )

    def put(self, rows: NDArray[np.int64], other: Estimates) -> None:
        """Overwrite some curves by those of another fit.

        Both are fits of the same form.
        """
        for values, new in zip(self._arrays, other._arrays, strict=True):
            values[rows] = new

    def put_one(self, i: int, other: Estimate) -> None:
        """Overwrite one curve by an estimate of it."""
        names = self.form.names
        self.params[i], self.stderr[i] = list(other.params.values()), list(other.stderr.values())
        self.covariance[i], self.rss[i], self.loglik[i] = other.covariance, other.rss, other.loglik
        self.status[i], self.reason[i] = STATUSES.index(other.status), other.reason
        self.noise[i], self.n[i], self.k[i] = other.noise, other.n, other.k
        self.at_bound[i] = [name in other.at_bound for name in names]
        self.not_identified[i] = [name in other.not_identified for name in names]

    def one(self, i: int) -> Estimate:
        """Estimate of one curve."""
        names = self.form.names
        return Estimate(
            form=self.form.name,
            noise=str(self.noise[i]),
            params=dict(zip(names, self.params[i].tolist(), strict=True)),
            stderr=dict(zip(names, self.stderr[i].tolist(), strict=True)),
            covariance=self.covariance[i],
            rss=float(self.rss[i]),
            loglik=float(self.loglik[i]),
            n=int(self.n[i]),
            k=int(self.k[i]),
            status=STATUSES[self.status[i]],
            reason=str(self.reason[i]),
            at_bound=tuple(compress(names, self.at_bound[i])),
            not_identified=tuple(compress(names, self.not_identified[i])),
        )


def estimate(
    form: Form,
    x: Array,
    y: Array,
    w: Array,
    noise: str = "gaussian",
    *,
    start: Mapping[str, float] | None = None,
    rough: bool = False,
    bins: Bins | None = None,
) -> Estimate:
    """Fit one form to one curve by maximum likelihood.

    Parameters
    ----------
    form : Form
    x, y, w : ndarray, shape (n,)
        ``w`` are weights (variance σ²/w) or, for binomial noise, numbers of trials.
    noise : {"gaussian", "lognormal", "binomial"}
    start : mapping, optional
        Starting values by parameter name, tried besides the package's own.
    rough : bool
        Under noise that least squares do not solve, stop where the likelihood is known well enough to choose the noise.
    bins : Bins, optional
        Of a long curve (:func:`starting_bins`), from which the search starts; they are made where none are given.

    Returns
    -------
    Estimate
        Never raises for a fit that does not work: the status says so.

    Raises
    ------
    InputError
        If the noise model cannot hold for these data or `start` names an unknown parameter.
    """
    model = noises.get(noise)
    model.check(y, w)
    if start and any(name not in form.names for name in start):
        form.vector(start)  # raises, with the nearest names
    obstacle = _obstacle(form, x, model)
    if obstacle:
        return _failure(form, noise, y.size, obstacle)
    if bins is None and form.basis is not None:
        bins = starting_bins(x, w)
    # the search is in units of the data, so that it ends at the same curve in all units
    units = Units.of_points(x, y, (form,), model)
    points = _Points(x / units.x, y / units.y, w)
    if start and form.basis is not None:
        start = _start_in(units.inverse, form, start)
    best = _search(form, points, model, start, rough, None if bins is None else bins.in_units(units.x))
    if best is None:
        return _failure(form, noise, y.size, _NO_START)
    return describe(form, points.x, points.y, w, noise, best, units)


def _obstacle(form: Form, x: Array, model: noises.Noise) -> str:
    """Why a form cannot be fitted to points; empty where it can."""
    if form.positive_x and np.any(x <= 0):
        return "the form is not defined at x = 0"
    if model.discrete and form.basis is not None and len(form.amplitudes) > 1:
        return f"the form has no meaning under {model.title} noise"
    return _too_few(form, x.size) if x.size < len(form.parameters) else ""


def _start_in(units: Units, form: Form, start: Mapping[str, float]) -> dict[str, float]:
    """Starting values in other units: of non-linear parameters, for the others are solved for."""
    names = {q.name for q in form.shape}
    return {name: value * float(units.factor(form, name)) for name, value in start.items() if name in names}


def starting_bins(x: Array, w: Array) -> Bins | None:
    """Bins of a long curve, on which its fits start.

    None for a curve that is not long.
    """
    return Bins.of_points(x, _STARTING_BINS, w) if x.size > binning.LONG else None


def logarithmic_means(x: Array, y: Array, bins: Bins) -> tuple[Array, Array]:
    """Geometric means of x and y over narrow bins.

    The logarithm of a power law is a straight line in log x: its mean over a bin is its value at the mean of log x.
    """
    with np.errstate(divide="ignore"):
        return np.exp(bins.mean(np.log(x))), np.exp(bins.mean(np.log(y)))


@dataclass(frozen=True)
class _Points:
    """What is fitted: values and weights, at points or on average over bins."""

    x: Array
    y: Array
    w: Array
    axis: Axis | None = None  # of bins

    def in_bins(self, bins: Bins, noise: str) -> _Points:
        """Means over bins, under log-normal noise of the logarithms."""
        if noise != "lognormal":
            return _Points(bins.axis.x, bins.mean(self.y), bins.weight, bins.axis)
        return _Points(*logarithmic_means(self.x, self.y, bins), bins.weight, bins.axis)


def _search(
    form: Form,
    points: _Points,
    model: noises.Noise,
    start: Mapping[str, float] | None,
    rough: bool,
    bins: Bins | None,
) -> Array | None:
    """Parameters of the highest likelihood. None where no start leads to one."""
    if form.basis is None:
        starts = user_starts(form, points.x, points.y, start)
        problem = Problem(form, points.x, points.y, points.w, model, plain(form, points.x), {})
        params, cost = minimise(problem, starts, effort=400)
        return params if math.isfinite(cost) else None
    if bins is None:
        return _search_starts(form, points, model, start, rough)
    # a long curve is fitted in bins first: from there it is a step or two to the minimum over all points
    binned = _search_starts(form, points.in_bins(bins, model.name), model, start, rough)
    if binned is None or (rough and model.name != "gaussian"):
        return binned
    if model.name == "gaussian":
        shape = [form.names.index(q.name) for q in form.shape]
        y, w = points.y[None], points.w[None]
        batch = solve(form, points.x, y, w, starts=binned[shape][None, None] if shape else None)
        return batch.params[0] if np.isfinite(batch.rss[0]) else None
    return _minimum(form, points, model, binned[None], effort=200)


def _search_starts(
    form: Form, points: _Points, model: noises.Noise, start: Mapping[str, float] | None, rough: bool
) -> Array | None:
    """Fit from the package's own starts, and the caller's."""
    # For other noise, weighted least squares gives starts: as it is, and in relative error.
    weights = [points.w]
    if model.name == "lognormal":
        weights.append(noises.relative_weights(points.y, points.w))
    guesses = [_separable_start(form, points, v, start) for v in weights]
    if model.name == "gaussian":
        return guesses[0]
    usable = [g for g in guesses if g is not None]
    if not usable:
        return None
    if rough:
        return _minimum(form, points, model, np.array(usable[-1:]), effort=30, tolerance=1e-8)
    return _minimum(form, points, model, np.array(usable), effort=200)


def _minimum(form: Form, points: _Points, model: noises.Noise, starts: Array, **options: Any) -> Array | None:
    coordinates = coordinates_of(form, points.x, model.name)
    problem = Problem(form, points.x, points.y, points.w, model, coordinates, {})
    params, cost = minimise(problem, starts, **options)
    return params if math.isfinite(cost) else None


def _separable_start(form: Form, points: _Points, w: Array, start: Mapping[str, float] | None) -> Array | None:
    axis = points.x if points.axis is None else points.axis
    batch = solve(form, axis, points.y[None], w[None])
    if start and any(q.name in start for q in form.shape):
        grid_params = batch.params[0]
        given = np.array([start.get(q.name, grid_params[form.names.index(q.name)]) for q in form.shape])
        second = solve(form, axis, points.y[None], w[None], starts=given[None, None, :])
        if second.rss[0] < batch.rss[0]:
            batch = second
    return batch.params[0] if np.isfinite(batch.rss[0]) else None


def _count(form: Form, noise: str) -> int:
    """Parameters including that of the noise."""
    return len(form.parameters) + noises.get(noise).scale_parameters


def _failure(form: Form, noise: str, n: int, reason: str) -> Estimate:
    return Estimates.failed(form, noise, np.array([n]), reason).one(0)


def _too_few(form: Form, n: int) -> str:
    return f"{n} points cannot determine {len(form.parameters)} parameters"


def _saturated(form: Form, n: int) -> str:
    return f"{n} points and {len(form.parameters)} parameters leave nothing to tell errors by"


def describe(form: Form, x: Array, y: Array, w: Array, noise: str, params: Array, units: Units = _ONE) -> Estimate:
    """Likelihood, covariance and status of given best parameters.

    Points and parameters are in `units`, what is returned in those of the caller.
    """
    if noise == "gaussian" and form.basis is not None and y.size > binning.LONG:  # compiled, as for many curves
        return _describe_many(form, Bundle.rectangular(x, y[None], w[None]), params[None], 1, units).one(0)
    model = noises.get(noise)
    with np.errstate(all="ignore"):
        f = form.evaluate(x, params)
        loglik = model.log_likelihood(y, f, w)
        left = y - f
        rss = float(np.einsum("n,n,n", w, left, left))
        r, _ = model.residual(y, f, w)
        rows = np.ascontiguousarray(_derivative(form, x, params).T) * np.sqrt(model.information(f, w))
    if not math.isfinite(loglik):
        return _failure(form, noise, y.size, "the likelihood is not finite")
    rows[~np.isfinite(rows)] = 0.0
    maxima = Maxima(
        params=np.array(params, dtype=float)[None],
        triangles=kernels.triangle(rows)[None],
        deviance=np.array([r @ r]),
        size=np.abs(y).max(keepdims=True),
        points=np.array([y.size]),
        bounds=Box(*(side[None] for side in bounds_of(form, x))),
        axis=np.zeros(1, dtype=np.int64),
    )
    # where the fit touches probability 1, the amplitude is at a bound that the form does not know
    is_capped = model.discrete and form.basis is not None and bool(f.max() >= 1.0 - 1e-9)
    at_bound = np.array([[is_capped and q in form.amplitudes[:1] for q in form.parameters]])
    judgement = kernels.judge(_kinds(form), maxima, at_bound, is_dispersed=model.scale_parameters > 0)
    likelihood = _Likelihood(noise, np.array([rss]), np.array([loglik]), is_capped)
    return _estimates_of(form, likelihood, maxima, judgement, units).one(0)


def estimate_many(form: Form, bundle: Bundle, *, threads: int | None = None, device: str = "cpu") -> Estimates:
    """Fit one built-in form to a bundle of curves.

    Maximum likelihood under Gaussian noise.

    Parameters
    ----------
    form : Form
        A separable form.
    bundle : Bundle
        Finite values; x may lie outside the form's domain, and curves may be short: they fail.
    threads : int, optional
        The most that work at once.
    device : str, default "cpu"
        Where least squares are solved; another than the processor is one of torch's.

    Returns
    -------
    Estimates
        The same as :func:`estimate` gives for each curve.
    """
    # curves outside the form's domain, or with fewer points than parameters, are not fitted
    n, p = bundle.size, len(form.parameters)
    outside = np.zeros(n.size, dtype=bool)
    if form.positive_x:
        outside = (bundle.least(bundle.x) <= 0.0)[bundle.axis]
    short = n < p
    usable = np.flatnonzero(~outside & ~short)
    part, units = _in_units_of_the_data(form, bundle if usable.size == n.size else bundle.take(usable))
    batch = _solve_on(device, form, part, threads)

    # likelihood, covariance and status of those that were solved
    solved = np.isfinite(batch.rss)
    params = batch.params if solved.all() else batch.params[solved]
    if not solved.all():
        part, units = part.take(np.flatnonzero(solved)), Units(units.x[solved], units.y[solved])
    estimates = _describe_many(form, part, params, threads, units)
    if estimates.n.size == n.size:
        return estimates

    # the others say why there is no fit
    out = Estimates.failed(form, "gaussian", n, _NO_START)
    for at in np.flatnonzero(outside | short).tolist():
        out.reason[at] = "the form is not defined at x = 0" if outside[at] else _too_few(form, int(n[at]))
    out.put(usable[solved], estimates)
    return out


def _in_units_of_the_data(form: Form, bundle: Bundle) -> tuple[Bundle, Units]:
    """A bundle in units of its curves, one pair for each."""
    closed, count = closed_under((form,), noises.get("gaussian")), bundle.axis.size
    x_units, y_units = np.ones(bundle.x_at.size - 1), np.ones(count)
    if "x" in closed:
        x_units = start_of(*bundle.spans())
    if "y" in closed:
        _, limits = kernels.survey(bundle.y, bundle.y_at, bundle.size)
        y_units = np.abs(limits).max(axis=1)
        y_units[~(y_units > 0.0)] = 1.0
    return bundle.in_units(x_units, y_units), Units(x_units[bundle.axis], y_units)


def _solve_on(device: str, form: Form, bundle: Bundle, threads: int | None) -> Batch:
    """Least squares on the processor or in torch."""
    if device == "cpu":
        return solve_bundle(form, bundle, threads=threads)
    try:
        from cogfit.engine import device as torch_engine
    except ImportError as error:
        raise MissingDependencyError("torch", "train", f"fitting on device '{device}'") from error
    return torch_engine.solve_bundle(form, bundle, device)


def _describe_many(form: Form, bundle: Bundle, params: Array, threads: int | None, units: Units) -> Estimates:
    """Likelihood, covariance and status of fits to a bundle.

    Points and parameters are in `units`, what is returned in those of the caller.
    """
    if len(params) == 0:
        return Estimates.failed(form, "gaussian", np.zeros(0, dtype=np.int64))
    order = np.argsort([_COLUMN_ORDER.index(q.role) for q in form.parameters], kind="stable")
    place, model, curves, kinds = np.argsort(order), model_of(form), curves_of(bundle), _kinds(form)
    bounds = Box(*bounds_on(form, bundle))
    params, n = np.ascontiguousarray(params), bundle.size

    def maxima_of(summary: Summaries, begin: int, end: int) -> Maxima:
        return Maxima(
            params=params[begin:end],
            triangles=summary.triangles,
            deviance=summary.rss,
            size=summary.largest,
            points=n[begin:end],
            bounds=bounds,
            axis=curves.axis[begin:end],
        )

    def task(begin: int, end: int) -> tuple[Summaries, Judgement]:
        summary = kernels.summaries(model, curves, begin, end, params[begin:end], place)
        at_bound = np.zeros((end - begin, params.shape[1]), dtype=bool)
        return summary, kernels.judge(kinds, maxima_of(summary, begin, end), at_bound, is_dispersed=True)

    summaries, judgements = zip(*in_threads(task, bundle.parts(PART), threads), strict=True)
    summary, judgement = joined(summaries), joined(judgements)
    loglik = noises.profiled_gaussian(summary.rss, n, summary.log_weights, summary.largest_weighted)
    likelihood = _Likelihood("gaussian", summary.rss, loglik)
    return _estimates_of(form, likelihood, maxima_of(summary, 0, n.size), judgement, units)


def _kinds(form: Form) -> kernels.Kinds:
    """What the form's parameters are, as the kernels take it."""
    return kernels.kinds_of([(q.role, q.log) for q in form.parameters])


@dataclass(frozen=True)
class _Likelihood:
    """Likelihoods of curves at their maxima.

    Attributes
    ----------
    noise : str
    rss, loglik : ndarray, shape (curves,)
    is_capped : bool
        Whether the fits reach a probability of 1.
    """

    noise: str
    rss: Array
    loglik: Array
    is_capped: bool = False


def _estimates_of(form: Form, likelihood: _Likelihood, maxima: Maxima, judgement: Judgement, units: Units) -> Estimates:
    """Tell what was found in the caller's units, and in words."""
    count, noise, n = len(maxima.params), likelihood.noise, maxima.points
    told = units.params(form, maxima.params)
    covariance = units.covariance(form, maxima.params, judgement.covariance)
    is_dispersed = noises.get(noise).scale_parameters > 0
    reason = np.full(count, "", dtype=object)
    for i in np.flatnonzero(judgement.status).tolist():
        is_saturated = is_dispersed and n[i] <= len(form.parameters)
        reason[i] = (
            _saturated(form, int(n[i]))
            if is_saturated
            else _reason(form, maxima, judgement, i, told[i].tolist(), likelihood.is_capped)
        )
    estimates = Estimates(
        form=form,
        noise=np.full(count, noise, dtype=object),
        params=told,
        stderr=_told_errors(form, judgement.errors, covariance),
        covariance=covariance,
        rss=likelihood.rss * units.y**2,
        loglik=likelihood.loglik - (0.0 if noises.get(noise).discrete else n * np.log(units.y)),
        n=n,
        k=np.full(count, _count(form, noise)),
        status=judgement.status,
        reason=reason,
        at_bound=judgement.at_bound,
        not_identified=judgement.loose,
    )
    for failed, why in (
        (~np.isfinite(likelihood.loglik), "the likelihood is not finite"),
        (_out_of_range(told, maxima.params), "a parameter is too large or too small a number in these units"),
    ):
        if failed.any():
            estimates.put(np.flatnonzero(failed), Estimates.failed(form, noise, n[failed], why))
    return estimates


def _out_of_range(told: Array, params: Array) -> NDArray[np.bool_]:
    """Which fits (B,) have a parameter that is no ordinary number in the caller's units."""
    with np.errstate(invalid="ignore"):
        ordinary = np.isfinite(told) & ((np.abs(told) >= np.finfo(float).tiny) | (params == 0.0))
    return np.asarray(~ordinary.all(axis=1))


def _told_errors(form: Form, stderr: Array, covariance: Array) -> Array:
    """Standard errors in the caller's units.

    What is at a bound (NaN) or not identified (inf) stays so, and a value at x = 1 is as unknown as the exponent that
    takes it there.
    """
    with np.errstate(invalid="ignore"):
        out = np.sqrt(np.einsum("bii->bi", covariance))
    out = np.where(np.isfinite(stderr), out, stderr)
    for i, q in enumerate(form.parameters):
        if q.exponent:
            unknown = np.isinf(stderr[:, form.names.index(q.exponent)]) & ~np.isnan(out[:, i])
            out[unknown, i] = np.inf
    return out


def _derivative(form: Form, x: Array, params: Array) -> Array:
    """Jacobian for the covariance.

    That of the form, or complex steps where a user's function allows them.
    """
    jac = form.jacobian(x, params)
    if form.basis is not None or form.derivative is not None or form.function is None:
        return jac
    columns = []
    for j in range(params.size):
        step = 1e-30 * (abs(params[j]) or 1.0)
        shifted = params.astype(complex)
        shifted[j] += 1j * step
        try:
            value = np.asarray(form.function(x, *shifted))
        except Exception:  # a user's function need not take complex numbers
            return jac
        if not np.iscomplexobj(value) or value.shape != (x.size,):
            return jac
        columns.append(value.imag / step)
    exact = np.stack(columns, axis=1)
    scale = np.maximum(np.abs(jac).max(axis=0), 1e-300)
    agrees = np.all(np.isfinite(exact)) and np.all(np.abs(exact - jac).max(axis=0) <= 1e-6 * scale)
    return exact if agrees else jac  # |·| and comparisons are not analytic: then three points are right


def _reason(form: Form, maxima: Maxima, judgement: Judgement, i: int, told: list[float], is_capped: bool) -> str:
    """Why a fit is not simply ok, in words."""
    names, amplitudes = form.names, [j for j, q in enumerate(form.parameters) if q.role == "amplitude"]
    bound, loose = judgement.at_bound[i].tolist(), judgement.loose[i].tolist()
    together = _name_collinear(names, judgement.pairs[i]) if judgement.status[i] == _NOT_IDENTIFIED else ""
    if judgement.flat[i]:
        return f"the best amplitude {names[amplitudes[0]]} is 0: the form reduces to a constant here{together}"
    if any(loose):
        bounded = f" ({', '.join(compress(names, bound))} at a bound)" if any(bound) else ""
        return f"the data do not determine {', '.join(compress(names, loose))}{bounded}{together}"
    clauses = []
    values, low, high = maxima.params[i].tolist(), *(side[maxima.axis[i]] for side in vars(maxima.bounds).values())
    for j in compress(range(len(names)), bound):
        value = values[j]
        if is_capped and j == amplitudes[0]:
            clauses.append(f"{names[j]} is as large as a probability allows, {told[j]:.3g}")
            continue
        side = "lower" if abs(value - low[j]) <= abs(high[j] - value) else "upper"
        clauses.append(f"{names[j]} is at its {side} bound {told[j]:.3g}")
    return "; ".join(clauses)


def _name_collinear(names: tuple[str, ...], pairs: NDArray[np.bool_]) -> str:
    """Name parameters that the data cannot tell apart.

    Each of such a pair has a standard error larger than itself, and they go together (|correlation|
    > 0.99).
    """
    together = [f"; {names[i]} and {names[j]} run away together" for i, j in np.argwhere(pairs)]
    return "".join(f"{pair}: only a combination of them is determined" for pair in together)


def residuals(form: Form, x: Array, y: Array, w: Array, noise: str, params: Array) -> Array:
    """Residuals whose squares maximum likelihood minimises (deviance residuals), shape (n,)."""
    with np.errstate(all="ignore"):
        r, _ = noises.get(noise).residual(y, form.evaluate(x, params), w)
    return r

"""Maximum-likelihood fit of one form to one curve.

Choice of the engine, likelihood, standard errors, and what the status of a fit is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
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
from cogfit.native.kernels import Curves
from cogfit.records.codec import Document, Low, Nan, wire

_VAGUE_LOG = 3.0  # standard error of a logarithm that identifies nothing: a factor 20
_VAGUE = 10.0  # the same of an exponent
_COLLINEAR = 0.99  # correlation of parameters that run away together
_NEGLIGIBLE = 1e-8  # share of the size of the data up to which a coefficient counts as 0
_COLUMN_ORDER = ("amplitude", "shape", "floor")  # order of a Jacobian's columns in the kernels
_STARTING_BINS = 2_000  # of a long curve: so narrow that what they lose is 1e-5 of the information
_NO_START = "no starting value led to a finite fit"
_ONE = Units()
Status = Literal["ok", "at_bound", "not_identified", "failed"]
STATUSES: tuple[Status, ...] = ("ok", "at_bound", "not_identified", "failed")


@dataclass(frozen=True)
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

    @classmethod
    def joined(cls, form: Form, parts: Sequence[Estimates]) -> Estimates:
        """Estimates of all curves of the parts, in order."""
        if not parts:
            return cls.failed(form, "gaussian", np.zeros(0, dtype=np.int64))
        if len(parts) == 1:
            return parts[0]
        return cls(form, *(np.concatenate(arrays) for arrays in zip(*(part._arrays for part in parts), strict=True)))

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
            at_bound=_select(names, self.at_bound[i]),
            not_identified=_select(names, self.not_identified[i]),
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
    if start:
        for name in start:
            if name not in form.names:
                form.vector(start)
    if form.positive_x and np.any(x <= 0):
        return _failure(form, noise, y.size, "the form is not defined at x = 0")
    if model.discrete and form.basis is not None and len(form.amplitudes) > 1:
        return _failure(form, noise, y.size, f"the form has no meaning under {model.title} noise")
    if y.size < len(form.parameters):
        return _failure(form, noise, y.size, _too_few(form, y.size))
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
    model = noises.get(noise)
    with np.errstate(all="ignore"):
        f = form.evaluate(x, params)
        loglik = model.log_likelihood(y, f, w)
        rss = float((w * (y - f) ** 2).sum())
        r, _ = model.residual(y, f, w)
        jac = _derivative(form, x, params) * np.sqrt(model.information(f, w))[:, None]
    if not math.isfinite(loglik):
        return _failure(form, noise, y.size, "the likelihood is not finite")
    factor = kernels.triangle(np.ascontiguousarray(np.where(np.isfinite(jac), jac, 0.0).T))[None]
    low, high = bounds_of(form, x)
    capped = model.discrete and form.basis is not None and bool(f.max() >= 1.0 - 1e-9)
    maximum = _Maxima(
        params=params[None],
        low=low,
        high=high,
        size=np.abs(y).max(keepdims=True),
        factor=factor,
        deviance=np.array([r @ r]),
        n=np.array([y.size]),
        rss=np.array([rss]),
        loglik=np.array([loglik]),
        capped=np.array([capped]),
    )
    return _assess(form, noise, maximum, units).one(0)


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
        has_zero = np.array([np.any(bundle.x[i:j] <= 0) for i, j in zip(bundle.x_at, bundle.x_at[1:], strict=False)])
        outside = has_zero[bundle.axis]
    short = n < p
    usable = np.flatnonzero(~outside & ~short)
    part, units = _in_units_of_the_data(form, bundle if usable.size == n.size else bundle.take(usable))
    batch = _solve_on(device, form, part, threads)

    # likelihood, covariance and status of those that were solved
    solved = np.isfinite(batch.rss)
    params = batch.params if solved.all() else batch.params[solved]
    if not solved.all():
        part, units = part.take(np.flatnonzero(solved)), Units(units.x[solved], units.y[solved])
    curves = curves_of(part)

    def task(begin: int, end: int) -> Estimates:
        own = Units(units.x[begin:end], units.y[begin:end])
        return _estimate_part(form, part, curves, params[begin:end], begin, end, own)

    estimates = Estimates.joined(form, in_threads(task, part.parts(PART), threads))
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
        x_units = np.array([start_of(bundle.x[i:j]) for i, j in pairwise(bundle.x_at)])
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


def _estimate_part(
    form: Form, bundle: Bundle, curves: Curves, params: Array, begin: int, end: int, units: Units
) -> Estimates:
    """Estimates for some curves at their best parameters.

    Likelihood, covariance and status of the curves begin … end − 1.
    """
    place = np.argsort(np.argsort([_COLUMN_ORDER.index(q.role) for q in form.parameters], kind="stable"))
    summary = kernels.summaries(model_of(form), curves, begin, end, np.ascontiguousarray(params), place)
    n, rss = bundle.size[begin:end], summary.rss
    loglik = noises.profiled_gaussian(rss, n, summary.log_weights, summary.sizes[:, 1])
    used, axis = np.unique(bundle.axis[begin:end], return_inverse=True)
    limits = [bounds_of(form, bundle.x[bundle.x_at[i] : bundle.x_at[i + 1]]) for i in used]
    low, high = (np.array(side)[axis] for side in zip(*limits, strict=True))
    capped, size = np.zeros(len(params), bool), summary.sizes[:, 0]
    maxima = _Maxima(params, low, high, size, summary.triangles, rss, n, rss, loglik, capped)
    return _assess(form, "gaussian", maxima, units)


@dataclass(frozen=True)
class _Maxima:
    """Maxima of the likelihoods of B curves, not yet assessed.

    Attributes
    ----------
    params : ndarray, shape (B, p)
    low, high : ndarray, shape (p,) or (B, p)
        Bounds.
    size : ndarray, shape (B,)
        Largest |y| of each curve.
    factor : ndarray, shape (B, p, p)
        Triangular factors of the weighted Jacobians.
    deviance, n, rss, loglik : ndarray, shape (B,)
        The deviance is the sum of squared deviance residuals.
    capped : ndarray of bool, shape (B,)
        Fits that reach a probability of 1.
    """

    params: Array
    low: Array
    high: Array
    size: Array
    factor: Array
    deviance: Array
    n: NDArray[np.int64]
    rss: Array
    loglik: Array
    capped: NDArray[np.bool_]


def _assess(form: Form, noise: str, maxima: _Maxima, units: Units) -> Estimates:
    """Covariance and status of fits at their best parameters.

    They are judged in units of the data and told in those of the caller.
    """
    params, n, size = maxima.params, maxima.n, maxima.size
    model, (count, p) = noises.get(noise), params.shape
    low, high = np.broadcast_to(maxima.low, (count, p)), np.broadcast_to(maxima.high, (count, p))
    logs = np.array([q.log for q in form.parameters])
    linear = np.array([q.role in ("amplitude", "floor") for q in form.parameters])
    amplitudes = [i for i, q in enumerate(form.parameters) if q.role == "amplitude"]

    # a parameter at a bound has no standard error; where the fit touches probability 1, the amplitude is at one
    bound = _at_bound(params, low, high, size, logs, linear)
    if amplitudes:
        bound[maxima.capped, amplitudes[0]] = True

    # what no point depends on (all x equal) is not at a bound but unknown
    idle = np.linalg.norm(maxima.factor, axis=1) == 0.0
    bound &= ~(idle & ~linear)

    # covariance of the others, times the dispersion where the noise has one
    scale = np.where(logs, params, 1.0)
    covariance, lost, runaway = kernels.judge(maxima.factor, scale, logs, maxima.deviance, n, bound)
    degrees_of_freedom = n - p
    with np.errstate(all="ignore"):
        if model.scale_parameters:
            dispersion = np.where(degrees_of_freedom > 0, maxima.deviance / degrees_of_freedom, np.nan)
            covariance *= dispersion[:, None, None]
        errors = np.sqrt(np.einsum("bii->bi", covariance))

    # not identified: lost in the null space, run away to a bound, vague alone, or known only in combination
    vague = _vague(form, params, errors) & ~bound
    pairs = _collinear(params, errors, covariance)
    loose = (idle & ~linear) | lost | vague | runaway | pairs.any(axis=1) | pairs.any(axis=2)
    # a curve whose amplitudes are all 0 is flat: nothing else about the form is determined
    zero = bound & linear & (np.abs(params) <= _NEGLIGIBLE * size[:, None])
    flat = zero[:, amplitudes].all(axis=1) if amplitudes else np.zeros(count, bool)
    loose |= flat[:, None] & ~bound & ~linear
    # nor is anything where no point is left to tell the errors by
    saturated = (degrees_of_freedom <= 0) & (model.scale_parameters > 0)
    loose |= saturated[:, None] & ~bound
    stderr = np.where(loose, np.inf, errors)
    status = np.where(flat | saturated | loose.any(axis=1), 2, np.where(bound.any(axis=1), 1, 0)).astype(np.int8)
    told = units.params(form, params)
    reason = np.full(count, "", dtype=object)
    for i in np.flatnonzero(status):
        limits = low[i], high[i]
        reason[i] = (
            _saturated(form, int(n[i]))
            if saturated[i]
            else _reason(form, params[i], told[i], bound[i], loose[i], pairs[i], bool(flat[i]), limits, float(size[i]))
        )
    covariance = units.covariance(form, params, covariance)
    estimates = Estimates(
        form=form,
        noise=np.full(count, noise, dtype=object),
        params=told,
        stderr=_told_errors(form, stderr, covariance),
        covariance=covariance,
        rss=maxima.rss * units.y**2,
        loglik=maxima.loglik - (0.0 if model.discrete else n * np.log(units.y)),
        n=n,
        k=np.full(count, _count(form, noise)),
        status=status,
        reason=reason,
        at_bound=bound,
        not_identified=loose,
    )
    for failed, why in (
        (~np.isfinite(maxima.loglik), "the likelihood is not finite"),
        (_out_of_range(told, params), "a parameter is too large or too small a number in these units"),
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


def _vague(form: Form, params: Array, errors: Array) -> NDArray[np.bool_]:
    """Which non-linear parameters have standard errors that identify nothing."""
    logs = np.array([q.log for q in form.parameters])
    shape = np.array([q.role == "shape" for q in form.parameters])
    with np.errstate(all="ignore"):
        relative = np.where(logs & (params != 0.0), errors / np.abs(params), errors)
        return np.asarray(shape & (relative > np.where(logs, _VAGUE_LOG, _VAGUE)))


def _collinear(params: Array, errors: Array, covariance: Array) -> NDArray[np.bool_]:
    """Which pairs of parameters run away together, (B, p, p)."""
    p, magnitude = params.shape[1], np.abs(params)
    with np.errstate(all="ignore"):
        large = (errors > magnitude) & (magnitude > 0) & np.isfinite(errors)
        related = np.abs(covariance) > _COLLINEAR * errors[:, :, None] * errors[:, None, :]
    return related & large[:, :, None] & large[:, None, :] & np.triu(np.ones((p, p), bool), 1)


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


def _at_bound(
    params: Array, low: Array, high: Array, size: Array, logs: NDArray[np.bool_], linear: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which parameters lie at a bound, (B, p).

    Coefficients do when they are nothing beside data of this size (B,).
    """
    with np.errstate(all="ignore"):
        value, a, b = (np.where(logs, np.log(v), v) for v in (params, low, high))
        width = np.where(np.isfinite(b - a), b - a, np.maximum(1.0, np.where(np.isfinite(a), np.abs(a), np.abs(b))))
        tolerance = np.where(linear, _NEGLIGIBLE * size[:, None], 1e-9 * width)
        return (np.isfinite(a) & (value - a <= tolerance)) | (np.isfinite(b) & (b - value <= tolerance))


def _reason(
    form: Form,
    params: Array,
    told: Array,
    bound: NDArray[np.bool_],
    loose: NDArray[np.bool_],
    pairs: NDArray[np.bool_],
    flat: bool,
    limits: tuple[Array, Array],
    size: float,
) -> str:
    """Why a fit is not simply ok, in words."""
    names, (low, high), together = form.names, limits, _name_collinear(form.names, pairs)
    amplitudes = [i for i, q in enumerate(form.parameters) if q.role == "amplitude"]
    if flat:
        return f"the best amplitude {names[amplitudes[0]]} is 0: the form reduces to a constant here{together}"
    if loose.any():
        bounded = f" ({', '.join(_select(names, bound))} at a bound)" if bound.any() else ""
        return f"the data do not determine {', '.join(_select(names, loose))}{bounded}{together}"
    clauses = []
    for i in np.flatnonzero(bound):
        if i in amplitudes and params[i] > low[i] + _NEGLIGIBLE * size:
            clauses.append(f"{names[i]} is as large as a probability allows, {told[i]:.3g}")
            continue
        side = "lower" if abs(params[i] - low[i]) <= abs(high[i] - params[i]) else "upper"
        clauses.append(f"{names[i]} is at its {side} bound {told[i]:.3g}")
    return "; ".join(clauses)


def _select(names: tuple[str, ...], chosen: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(name for name, is_chosen in zip(names, chosen, strict=True) if is_chosen)


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

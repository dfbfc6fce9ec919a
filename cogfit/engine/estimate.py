"""Maximum likelihood for one curve and one form: choice of the engine, likelihood, standard errors, status."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from cogfit.engine import noise as noises
from cogfit.engine.general import Problem, coordinates_of, minimise, plain, user_starts
from cogfit.engine.separable import PART, Bundle, arrays_of, bounds_of, in_threads, record_of, solve, solve_bundle
from cogfit.errors import MissingDependencyError
from cogfit.formulas.form import Array, Form
from cogfit.records.codec import Document, Low, Nan, wire

_FACTOR, _WIDE = 3.0, 10.0  # standard errors of a logarithm (a factor 20) and of an exponent that identify nothing
_TOGETHER = 0.99  # correlation of parameters that run away together
_COLUMNS = ("amplitude", "shape", "floor")  # order of a Jacobian's columns in the kernels
_NO_START = "no starting value led to a finite fit"
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

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        return -2.0 * self.loglik + 2.0 * self.k

    @property
    def aicc(self) -> float:
        """AIC with the small-sample correction of Hurvich & Tsai 1989; inf where n ≤ k + 1."""
        spare = self.n - self.k - 1
        return self.aic + 2.0 * self.k * (self.k + 1) / spare if spare > 0 else math.inf

    @property
    def bic(self) -> float:
        """Schwarz's information criterion."""
        return -2.0 * self.loglik + self.k * math.log(self.n)


@dataclass(frozen=True)
class Estimates:
    """One form fitted to many curves; what :class:`Estimate` says of one, as arrays.

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
        spare = self.n - self.k - 1
        with np.errstate(all="ignore"):
            value = -2.0 * self.loglik + 2.0 * self.k + 2.0 * self.k * (self.k + 1) / spare
        return np.where(spare > 0, value, np.inf)

    @classmethod
    def failed(cls, form: Form, noise: str, n: NDArray[np.int64], reason: str = "") -> Estimates:
        """Estimates of curves for which there are none."""
        count, p = n.size, len(form.parameters)
        nan = np.full((count, p), np.nan)
        return cls(
            form, np.full(count, noise, dtype=object), nan, nan.copy(), np.full((count, p, p), np.nan),
            np.full(count, np.nan), np.full(count, -np.inf), n, np.full(count, _count(form, noise)),
            np.full(count, 3, np.int8), np.full(count, reason, dtype=object), np.zeros((count, p), bool),
            np.zeros((count, p), bool),
        )  # fmt: skip

    @classmethod
    def joined(cls, form: Form, parts: Sequence[Estimates]) -> Estimates:
        """Estimates of all curves of the parts, in order."""
        if not parts:
            return cls.failed(form, "gaussian", np.zeros(0, dtype=np.int64))
        if len(parts) == 1:
            return parts[0]
        names = [item.name for item in fields(cls) if item.name != "form"]
        return cls(form, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    def put(self, rows: NDArray[np.int64], other: Estimates) -> None:
        """Overwrite some curves by those of another fit of the form."""
        for item in fields(self):
            mine = getattr(self, item.name)
            if isinstance(mine, np.ndarray):
                mine[rows] = getattr(other, item.name)

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
            self.form.name, str(self.noise[i]), dict(zip(names, self.params[i].tolist(), strict=True)),
            dict(zip(names, self.stderr[i].tolist(), strict=True)), self.covariance[i], float(self.rss[i]),
            float(self.loglik[i]), int(self.n[i]), int(self.k[i]), STATUSES[self.status[i]], str(self.reason[i]),
            _listed(names, self.at_bound[i]), _listed(names, self.not_identified[i]),
        )  # fmt: skip


def estimate(
    form: Form,
    x: Array,
    y: Array,
    w: Array,
    noise: str = "gaussian",
    *,
    start: Mapping[str, float] | None = None,
    rough: bool = False,
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
    params = _search(form, x, y, w, model, start, rough)
    if params is None:
        return _failure(form, noise, y.size, _NO_START)
    return describe(form, x, y, w, noise, params)


def _search(
    form: Form, x: Array, y: Array, w: Array, model: noises.Noise, start: Mapping[str, float] | None, rough: bool
) -> Array | None:
    if form.basis is None:
        starts = user_starts(form, x, y, start)
        params, cost = minimise(Problem(form, x, y, w, model, plain(form, x), {}), starts, effort=400)
        return params if math.isfinite(cost) else None
    # For other noise, weighted least squares gives starts: as it is, and in relative error.
    weights = [w]
    if model.name == "lognormal":
        weights.append(w / np.maximum(y, 1e-300) ** 2)
    guesses = [_separable_start(form, x, y, v, start) for v in weights]
    if model.name == "gaussian":
        return guesses[0]
    usable = [g for g in guesses if g is not None]
    if not usable:
        return None
    coordinates = coordinates_of(form, x, model.name)
    problem = Problem(form, x, y, w, model, coordinates, {})
    if rough:
        params, cost = minimise(problem, np.array(usable[-1:]), effort=30, tolerance=1e-8)
    else:
        params, cost = minimise(problem, np.array(usable), effort=200)
    return params if math.isfinite(cost) else None


def _separable_start(form: Form, x: Array, y: Array, w: Array, start: Mapping[str, float] | None) -> Array | None:
    batch = solve(form, x, y[None], w[None])
    if start and any(q.name in start for q in form.shape):
        middle = batch.params[0]
        own = np.array([start.get(q.name, middle[form.names.index(q.name)]) for q in form.shape])
        second = solve(form, x, y[None], w[None], starts=own[None, None, :])
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


def describe(form: Form, x: Array, y: Array, w: Array, noise: str, params: Array) -> Estimate:
    """Likelihood, covariance and status of given best parameters."""
    from cogfit.engine.kernels import triangle

    model = noises.get(noise)
    with np.errstate(all="ignore"):
        f = form.evaluate(x, params)
        loglik = model.log_likelihood(y, f, w)
        rss = float((w * (y - f) ** 2).sum())
        r, _ = model.residual(y, f, w)
        jac = _derivative(form, x, params) * np.sqrt(model.information(f, w))[:, None]
    if not math.isfinite(loglik):
        return _failure(form, noise, y.size, "the likelihood is not finite")
    factor = np.empty((1, params.size, params.size))
    triangle(np.ascontiguousarray(np.where(np.isfinite(jac), jac, 0.0).T), factor[0])
    low, high = bounds_of(form, x)
    capped = model.discrete and form.basis is not None and bool(f.max() >= 1.0 - 1e-9)
    found = _judged(
        form, noise, params[None], low, high, np.abs(y).max(keepdims=True), factor, np.array([r @ r]),
        np.array([y.size]), np.array([rss]), np.array([loglik]), np.array([capped]),
    )  # fmt: skip
    return found.one(0)


def estimate_many(form: Form, bundle: Bundle, *, threads: int | None = None, device: str = "cpu") -> Estimates:
    """Fit one built-in form to a bundle of curves by maximum likelihood under Gaussian noise.

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
    n, p = bundle.size, len(form.parameters)
    outside = np.zeros(n.size, dtype=bool)
    if form.positive_x:
        beyond = np.array([np.any(bundle.x[i:j] <= 0) for i, j in zip(bundle.x_at, bundle.x_at[1:], strict=False)])
        outside = beyond[bundle.axis]
    short = n < p
    usable = np.flatnonzero(~outside & ~short)
    part = bundle if usable.size == n.size else bundle.take(usable)
    if device == "cpu":
        batch = solve_bundle(form, part, threads=threads)
    else:
        try:
            from cogfit.engine import device as _device
        except ImportError as error:
            raise MissingDependencyError("torch", "train", f"fitting on device '{device}'") from error
        batch = _device.solve_bundle(form, part, device)
    good = np.isfinite(batch.rss)
    params = batch.params if good.all() else batch.params[good]
    part = part if good.all() else part.take(np.flatnonzero(good))
    found = Estimates.joined(
        form,
        in_threads(lambda begin, end: _described(form, part, params[begin:end], begin, end), part.parts(PART), threads),
    )
    if found.n.size == n.size:
        return found
    out = Estimates.failed(form, "gaussian", n, _NO_START)
    for at in np.flatnonzero(outside | short).tolist():
        out.reason[at] = "the form is not defined at x = 0" if outside[at] else _too_few(form, int(n[at]))
    out.put(usable[good], found)
    return out


def _described(form: Form, bundle: Bundle, params: Array, begin: int, end: int) -> Estimates:
    """Likelihood, covariance and status of the curves begin … end − 1 at their best parameters."""
    from cogfit.engine.kernels import summaries

    count, p = params.shape
    rss, log_weights, sizes, factor = np.empty(count), np.empty(count), np.empty((count, 2)), np.empty((count, p, p))
    order = np.argsort(np.argsort([_COLUMNS.index(q.role) for q in form.parameters], kind="stable"))
    shapes = len(form.amplitudes)
    with np.errstate(all="ignore"):
        summaries(
            *record_of(form), *arrays_of(bundle), begin, end, np.ascontiguousarray(params), order, rss, log_weights,
            sizes, factor, np.empty((p + shapes * (1 + len(form.shape))) * bundle.longest + len(form.shape)),
        )  # fmt: skip
    n = bundle.size[begin:end]
    loglik = noises.profiled_gaussian(rss, n, log_weights, sizes[:, 1])
    used, axis = np.unique(bundle.axis[begin:end], return_inverse=True)
    limits = [bounds_of(form, bundle.x[bundle.x_at[i] : bundle.x_at[i + 1]]) for i in used]
    low, high = (np.array(side)[axis] for side in zip(*limits, strict=True))
    return _judged(form, "gaussian", params, low, high, sizes[:, 0], factor, rss, n, rss, loglik, np.zeros(count, bool))


def _judged(
    form: Form, noise: str, params: Array, low: Array, high: Array, size: Array, factor: Array, deviance: Array,
    n: NDArray[np.int64], rss: Array, loglik: Array, capped: NDArray[np.bool_],
) -> Estimates:  # fmt: skip
    """Covariance and status of fits, from triangular factors (B, p, p) of their weighted Jacobians.

    low and high are the bounds, (p,) or (B, p); size (B,) is that of the data; capped (B,) marks fits that reach a
    probability of 1.
    """
    from cogfit.engine.kernels import judge

    model, (count, p) = noises.get(noise), params.shape
    low, high = np.broadcast_to(low, (count, p)), np.broadcast_to(high, (count, p))
    logs = np.array([q.log for q in form.parameters])
    linear = np.array([q.role in ("amplitude", "floor") for q in form.parameters])
    shape = np.array([q.role == "shape" for q in form.parameters])
    bound = _at_bound(params, low, high, size, logs, linear)
    amplitudes = [i for i, q in enumerate(form.parameters) if q.role == "amplitude"]
    if amplitudes:
        bound[capped, amplitudes[0]] = True
    covariance, lost, runaway = np.empty((count, p, p)), np.empty((count, p), bool), np.empty((count, p), bool)
    judge(factor, np.where(logs, params, 1.0), logs, deviance, n, bound, covariance, lost, runaway)
    spare = n - p
    with np.errstate(all="ignore"):
        if model.scale_parameters:
            covariance *= np.where(spare > 0, deviance / spare, np.nan)[:, None, None]
        errors = np.sqrt(np.einsum("bii->bi", covariance))
        magnitude = np.abs(params)
        relative = np.where(logs & (params != 0.0), errors / magnitude, errors)
        vague = shape & ~bound & (relative > np.where(logs, _FACTOR, _WIDE))
        large = (errors > magnitude) & (magnitude > 0) & np.isfinite(errors)
        related = np.abs(covariance) > _TOGETHER * errors[:, :, None] * errors[:, None, :]
    pairs = related & large[:, :, None] & large[:, None, :] & np.triu(np.ones((p, p), bool), 1)
    loose = lost | vague | runaway | pairs.any(axis=1) | pairs.any(axis=2)
    unknown = loose | (~bound if model.scale_parameters else False) & (spare <= 0)[:, None]
    stderr = np.where(unknown, np.inf, errors)
    zero = bound & linear & (magnitude <= 1e-8 * size[:, None])
    flat = zero[:, amplitudes].all(axis=1) if amplitudes else np.zeros(count, bool)
    status = np.where(flat | loose.any(axis=1), 2, np.where(bound.any(axis=1), 1, 0)).astype(np.int8)
    reason = np.full(count, "", dtype=object)
    for i in np.flatnonzero(status):
        limits = low[i], high[i]
        reason[i] = _reason(form, params[i], bound[i], loose[i], pairs[i], bool(flat[i]), limits, float(size[i]))
    failed = ~np.isfinite(loglik)
    found = Estimates(
        form, np.full(count, noise, dtype=object), params, stderr, covariance, rss, loglik, n,
        np.full(count, _count(form, noise)), status, reason, bound, loose,
    )  # fmt: skip
    if failed.any():
        found.put(np.flatnonzero(failed), Estimates.failed(form, noise, n[failed], "the likelihood is not finite"))
    return found


def _derivative(form: Form, x: Array, params: Array) -> Array:
    """Jacobian for the covariance: that of the form, or complex steps where a user's function allows them."""
    jac = form.jacobian(x, params)
    if form.basis is not None or form.derivative is not None or form.function is None:
        return jac
    columns = []
    for j in range(params.size):
        step = 1e-30 * (abs(params[j]) or 1.0)
        moved = params.astype(complex)
        moved[j] += 1j * step
        try:
            value = np.asarray(form.function(x, *moved))
        except Exception:  # a user's function need not take complex numbers
            return jac
        if not np.iscomplexobj(value) or value.shape != (x.size,):
            return jac
        columns.append(value.imag / step)
    exact = np.stack(columns, axis=1)
    size = np.maximum(np.abs(jac).max(axis=0), 1e-300)
    agrees = np.all(np.isfinite(exact)) and np.all(np.abs(exact - jac).max(axis=0) <= 1e-6 * size)
    return exact if agrees else jac  # |·| and comparisons are not analytic: then three points are right


def _at_bound(
    params: Array, low: Array, high: Array, size: Array, logs: NDArray[np.bool_], linear: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Parameters at a bound, (B, p); coefficients are there when they are nothing beside data of this size (B,)."""
    with np.errstate(all="ignore"):
        value, a, b = (np.where(logs, np.log(v), v) for v in (params, low, high))
        width = np.where(np.isfinite(b - a), b - a, np.maximum(1.0, np.where(np.isfinite(a), np.abs(a), np.abs(b))))
        room = np.where(linear, 1e-8 * size[:, None], 1e-9 * width)
        return (np.isfinite(a) & (value - a <= room)) | (np.isfinite(b) & (b - value <= room))


def _reason(
    form: Form, params: Array, bound: NDArray[np.bool_], loose: NDArray[np.bool_], pairs: NDArray[np.bool_], flat: bool,
    limits: tuple[Array, Array], size: float,
) -> str:  # fmt: skip
    """Why a fit is not simply ok, in words."""
    names, (low, high), together = form.names, limits, _pairs(form.names, pairs)
    amplitudes = [i for i, q in enumerate(form.parameters) if q.role == "amplitude"]
    if flat:
        return f"the best amplitude {names[amplitudes[0]]} is 0: the form reduces to a constant here{together}"
    if loose.any():
        extra = f" ({', '.join(_listed(names, bound))} at a bound)" if bound.any() else ""
        return f"the data do not determine {', '.join(_listed(names, loose))}{extra}{together}"
    parts = []
    for i in np.flatnonzero(bound):
        if i in amplitudes and params[i] > low[i] + 1e-8 * size:
            parts.append(f"{names[i]} is as large as a probability allows, {params[i]:.3g}")
            continue
        side = "lower" if abs(params[i] - low[i]) <= abs(high[i] - params[i]) else "upper"
        parts.append(f"{names[i]} is at its {side} bound {params[i]:.3g}")
    return "; ".join(parts)


def _listed(names: tuple[str, ...], which: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(name for name, yes in zip(names, which, strict=True) if yes)


def _pairs(names: tuple[str, ...], pairs: NDArray[np.bool_]) -> str:
    """Parameters of which each is vaguer than it is large and that go together (|correlation| > 0.99), in words."""
    found = [f"; {names[i]} and {names[j]} run away together" for i, j in np.argwhere(pairs)]
    return "".join(f"{text}: only a combination of them is determined" for text in found)


def residuals(form: Form, x: Array, y: Array, w: Array, noise: str, params: Array) -> Array:
    """Residuals whose squares maximum likelihood minimises (deviance residuals), shape (n,)."""
    with np.errstate(all="ignore"):
        r, _ = noises.get(noise).residual(y, form.evaluate(x, params), w)
    return r

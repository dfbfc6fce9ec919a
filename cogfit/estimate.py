"""Maximum likelihood for one curve and one form: choice of the engine, likelihood, standard errors, status."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cogfit import noise as noises
from cogfit.curves import Array, Form
from cogfit.general import Problem, coordinates_of, minimise, plain, user_starts
from cogfit.separable import bounds_of, solve

_FACTOR = 3.0  # standard error of a logarithm from which a scale is not identified: a factor 20
Status = Literal["ok", "at_bound", "not_identified", "failed"]


@dataclass(frozen=True)
class Estimate:
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

    form: str
    noise: str
    params: dict[str, float]
    stderr: dict[str, float]
    covariance: Array
    rss: float
    loglik: float
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
        return _failure(form, noise, y.size, f"{y.size} points cannot determine {len(form.parameters)} parameters")
    params = _search(form, x, y, w, model, start, rough)
    if params is None:
        return _failure(form, noise, y.size, "no starting value led to a finite fit")
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


def _failure(form: Form, noise: str, n: int, reason: str) -> Estimate:
    p = len(form.parameters)
    nan = dict.fromkeys(form.names, math.nan)
    return Estimate(
        form.name, noise, nan, dict(nan), np.full((p, p), np.nan), math.nan, -math.inf, n,
        p + noises.get(noise).scale_parameters, "failed", reason,
    )  # fmt: skip


def describe(form: Form, x: Array, y: Array, w: Array, noise: str, params: Array) -> Estimate:
    """Likelihood, covariance and status of given best parameters."""
    model = noises.get(noise)
    with np.errstate(all="ignore"):
        f = form.evaluate(x, params)
        loglik = model.log_likelihood(y, f, w)
        rss = float((w * (y - f) ** 2).sum())
        r, _ = model.residual(y, f, w)
        jac = _derivative(form, x, params)
        information = model.information(f, w)
    p = len(form.parameters)
    k = p + model.scale_parameters
    if not math.isfinite(loglik):
        return _failure(form, noise, y.size, "the likelihood is not finite")
    low, high = bounds_of(form, x)
    at_bound = _at_bound(form, params, low, high, float(np.abs(y).max()))
    if model.discrete and form.basis is not None and f.max() >= 1.0 - 1e-9:
        at_bound += tuple(q.name for q in form.amplitudes[:1] if q.name not in at_bound)
    runaway = _flat_at_bound(form, params, jac * np.sqrt(information)[:, None], at_bound, r)
    at_bound = tuple(name for name in at_bound if name not in runaway)
    free = np.array([i for i, q in enumerate(form.parameters) if q.name not in at_bound], dtype=int)
    spare = y.size - p
    dispersion = float(r @ r) / spare if model.scale_parameters and spare > 0 else 1.0
    if model.scale_parameters and spare <= 0:
        dispersion = math.inf
    covariance = np.full((p, p), np.nan)
    loose: tuple[str, ...] = ()
    if free.size:
        weighted = jac[:, free] * np.sqrt(information)[:, None]
        covariance[np.ix_(free, free)], loose = _covariance(weighted, [form.names[i] for i in free])
        covariance *= dispersion if math.isfinite(dispersion) else np.nan
    with np.errstate(invalid="ignore"):
        errors = np.sqrt(np.diag(covariance))
    pairs = _pairs(form, params, covariance, free)
    vague = (*_vague(form, params, errors, free), *runaway, *(name for pair in pairs for name in pair))
    not_identified = tuple(name for name in form.names if name in loose or name in vague)
    exact = model.scale_parameters and spare <= 0  # no point is left to tell the noise from
    stderr = {
        name: math.inf if name in not_identified or (exact and name not in at_bound) else float(errors[i])
        for i, name in enumerate(form.names)
    }
    status, reason = _status(form, params, at_bound, not_identified, y, low, high)
    if pairs and status == "not_identified":
        reason += "".join(
            f"; {a} and {b} run away together: only a combination of them is determined" for a, b in pairs
        )
    return Estimate(
        form.name, noise, {name: float(v) for name, v in zip(form.names, params, strict=True)}, stderr, covariance,
        rss, loglik, y.size, k, status, reason, at_bound, not_identified,
    )  # fmt: skip


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


def _covariance(weighted: Array, names: list[str]) -> tuple[Array, tuple[str, ...]]:
    """Inverse information from the weighted Jacobian, and the parameters in its numerical null space."""
    size = np.linalg.norm(weighted, axis=0)
    dead = size == 0
    scaled = weighted / np.where(dead, 1.0, size)
    _, s, vt = np.linalg.svd(scaled, full_matrices=False)
    cut = s[0] * 1e-11 if s.size and s[0] > 0 else np.inf
    null = s <= cut
    inverse = (
        (vt[~null].T / s[~null] ** 2) @ vt[~null] / np.outer(np.where(dead, np.inf, size), np.where(dead, np.inf, size))
    )
    lost = dead | (np.abs(vt[null]) > 0.1).any(axis=0) if null.any() else dead
    return inverse, tuple(name for name, gone in zip(names, lost, strict=True) if gone)


def _vague(form: Form, params: Array, errors: Array, free: NDArray[np.int64]) -> tuple[str, ...]:
    """Built-in parameters whose standard error spans their whole scale: a factor 20, or an exponent ± 10."""
    out = []
    for i in free:
        q = form.parameters[i]
        if q.role == "shape":
            relative = errors[i] / abs(params[i]) if q.log and params[i] else errors[i]
            if relative > (_FACTOR if q.log else 10.0):
                out.append(q.name)
    return tuple(out)


def _flat_at_bound(form: Form, params: Array, weighted: Array, at_bound: tuple[str, ...], r: Array) -> tuple[str, ...]:
    """Scales at a bound that the data do not determine: the others make good for a factor 20 in them.

    Such a scale is at its bound by accident; it and what goes with it are not identified.
    """
    names = [name for name in at_bound if form.parameters[form.names.index(name)].log]
    out = []
    for name in names:
        at = form.names.index(name)
        others = [i for i, q in enumerate(form.names) if q == name or q not in at_bound]
        scaled = weighted[:, others] * np.where([form.parameters[i].log for i in others], params[others], 1.0)
        if not np.all(np.isfinite(scaled)) or r.size <= len(others):
            continue
        column = scaled[:, others.index(at)]
        rest = np.delete(scaled, others.index(at), axis=1)
        rest = rest / np.maximum(np.linalg.norm(rest, axis=0), 1e-300)
        left = column - rest @ np.linalg.lstsq(rest, column, rcond=None)[0]
        spread = math.sqrt(float(r @ r) / (r.size - len(others)))
        if np.any(column) and spread > _FACTOR * np.linalg.norm(left):
            out.append(name)
    return tuple(out)


def _pairs(form: Form, params: Array, covariance: Array, free: NDArray[np.int64]) -> list[tuple[str, str]]:
    """Pairs of parameters of which each is vaguer than it is large and that go together (|correlation| > 0.99)."""
    with np.errstate(all="ignore"):
        error = np.sqrt(np.diag(covariance))
    large = [i for i in free if np.isfinite(error[i]) and error[i] > abs(params[i]) > 0]
    return [
        (form.names[i], form.names[j])
        for n, i in enumerate(large)
        for j in large[n + 1 :]
        if abs(covariance[i, j]) > 0.99 * error[i] * error[j]
    ]


def _at_bound(form: Form, params: Array, low: Array, high: Array, size: float) -> tuple[str, ...]:
    """Parameters at a bound; coefficients are there when they are nothing beside data of this size."""
    out = []
    for i, q in enumerate(form.parameters):
        value, a, b = params[i], low[i], high[i]
        if q.log:
            value, a, b = math.log(value), math.log(a), math.log(b)
        if q.role in ("amplitude", "floor"):
            room = 1e-8 * size
        else:
            room = 1e-9 * (b - a if math.isfinite(b - a) else max(1.0, abs(a) if math.isfinite(a) else abs(b)))
        if (math.isfinite(a) and value - a <= room) or (math.isfinite(b) and b - value <= room):
            out.append(q.name)
    return tuple(out)


def _status(
    form: Form, params: Array, at_bound: tuple[str, ...], loose: tuple[str, ...], y: Array, low: Array, high: Array
) -> tuple[Status, str]:
    zero = [
        q.name
        for q in form.amplitudes
        if q.name in at_bound and params[form.names.index(q.name)] <= 1e-8 * np.abs(y).max()
    ]
    if zero and len(zero) == len(form.amplitudes):
        return "not_identified", f"the best amplitude {zero[0]} is 0: the form reduces to a constant here"
    if loose:
        listed = ", ".join(loose)
        extra = f" ({', '.join(at_bound)} at a bound)" if at_bound else ""
        return "not_identified", f"the data do not determine {listed}{extra}"
    if at_bound:
        parts = []
        for name in at_bound:
            i = form.names.index(name)
            if any(q.name == name for q in form.amplitudes) and params[i] > low[i] + 1e-8 * np.abs(y).max():
                parts.append(f"{name} is as large as a probability allows, {params[i]:.3g}")
                continue
            side = "lower" if abs(params[i] - low[i]) <= abs(high[i] - params[i]) else "upper"
            parts.append(f"{name} is at its {side} bound {params[i]:.3g}")
        return "at_bound", "; ".join(parts)
    return "ok", ""


def residuals(form: Form, x: Array, y: Array, w: Array, noise: str, params: Array) -> Array:
    """Residuals whose squares maximum likelihood minimises (deviance residuals), shape (n,)."""
    with np.errstate(all="ignore"):
        r, _ = noises.get(noise).residual(y, form.evaluate(x, params), w)
    return r

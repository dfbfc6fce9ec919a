r"""Confidence intervals for the parameters of a fitted form.

Ordered series: the *profile likelihood*, calibrated by F, with the effective number of points in place of n where
residuals are autocorrelated (variance inflation :math:`\tau = 1 + 2\sum_l \rho_l`). Curves that stand on patterns
or runs: these are resampled as wholes, and all replicates are refitted as one batch. A limit that the data do not
give is infinite and reported so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cogfit import estimate, general, noise, separable
from cogfit.curves import Array, Form
from cogfit.estimate import Estimate
from cogfit.observed import Clusters, Curve
from cogfit.serial import autocorrelation_time

REPLICATES = 400

SCOPES = {"runs": "training procedure", "groups": "the population of the groups"}
"""What an interval from resampled clusters speaks of, by their kind; everything else: this run."""

_MEANS = 1000


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes
    ----------
    low, high : float
        −inf or inf where the data set no limit.
    level : float
    method : str
        How it was made.
    scope : str
        What would have to be repeated for it to cover: ``"this curve"``, ``"this run"``, or one of :data:`SCOPES`.
    """

    low: float
    high: float
    level: float
    method: str
    scope: str

    def to_json(self) -> dict[str, Any]:
        """JSON-ready: an infinite limit is null, and ``unbounded`` names its side."""
        sides = [side for side, v in (("low", self.low), ("high", self.high)) if not math.isfinite(v)]
        out: dict[str, Any] = {
            "low": self.low if math.isfinite(self.low) else None,
            "high": self.high if math.isfinite(self.high) else None,
            "level": self.level,
            "method": self.method,
            "scope": self.scope,
        }
        if sides:
            out["unbounded"] = sides
        return out

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Interval:
        """Inverse of :meth:`to_json`."""
        low, high = data["low"], data["high"]
        return cls(
            -math.inf if low is None else float(low), math.inf if high is None else float(high),
            float(data["level"]), str(data["method"]), str(data["scope"]),
        )  # fmt: skip


def ordered_residuals(form: Form, curve: Curve, fit: Estimate) -> Array:
    """Deviance residuals of a fit in the order of x, shape (n,)."""
    r = estimate.residuals(form, curve.x, curve.y, curve.weights, fit.noise, form.vector(fit.params))
    return r[np.argsort(curve.x, kind="stable")]


def inflation_of(form: Form, curve: Curve, fit: Estimate) -> float:
    """Autocorrelation time of a fit's residuals in the order of x."""
    if fit.status == "failed":
        return 1.0
    return autocorrelation_time(ordered_residuals(form, curve, fit), len(form.parameters))


def _quantile(level: float, spare: float) -> float:
    """Two-sided quantile of Student's t; its square is that of F(1, spare)."""
    from scipy.special import stdtrit

    return float(stdtrit(max(spare, 1.0), 0.5 + 0.5 * level))


def wald(fit: Estimate, level: float, inflation: float) -> dict[str, Interval]:
    """Symmetric intervals from the standard errors: one per parameter, infinite where it is not identified."""
    quantile = _quantile(level, fit.n / inflation - len(fit.params))
    out = {}
    for name, value in fit.params.items():
        half = quantile * fit.stderr[name] * math.sqrt(inflation)
        if math.isnan(half) or math.isnan(value):
            low, high = -math.inf, math.inf
        else:
            low, high = value - half, value + half
        out[name] = Interval(low, high, level, _named("Wald", inflation), "this curve")
    return out


def _named(method: str, inflation: float) -> str:
    return method if inflation == 1.0 else f"{method}, autocorrelation time {inflation:.3g}"


def profile(form: Form, curve: Curve, fit: Estimate, name: str, level: float, inflation: float) -> Interval:
    """Profile-likelihood interval of one parameter.

    The limits are where the profile deviance, divided by `inflation`, passes the F(1, n/inflation − p) quantile.
    A side on which it never does, up to the parameter's bound, is infinite (or ends at the bound, if that is the
    edge of what the parameter can mean, such as a floor of 0).

    Parameters
    ----------
    form, curve, fit
        A form, the data, its fit.
    name : str
        Parameter.
    level : float
    inflation : float
        Autocorrelation time of the residuals.
    """
    method = _named("profile likelihood", inflation)
    spare = fit.n / inflation - len(form.parameters)
    if spare < 1 or not math.isfinite(fit.params[name]):
        return Interval(-math.inf, math.inf, level, method, "this curve")
    at = form.names.index(name)
    low, high = separable.bounds_of(form, curve.x)
    deviance = _profile_deviance(form, curve, fit, name)
    excess = _Excess(deviance, fit.params[name], inflation * _quantile(level, spare) ** 2)
    step = _first_step(fit, name) * math.sqrt(inflation)
    return Interval(
        excess.crossing(-1.0, float(low[at]), step), excess.crossing(1.0, float(high[at]), step), level, method,
        "this curve",
    )  # fmt: skip


def _first_step(fit: Estimate, name: str) -> float:
    error = fit.stderr[name]
    if math.isfinite(error) and error > 0:
        return error
    return 0.1 * max(abs(fit.params[name]), 0.1)


def _profile_deviance(form: Form, curve: Curve, fit: Estimate, name: str) -> Callable[[float], float]:
    """Deviance above the best fit in units of the dispersion, as a function of a fixed value of one parameter.

    The nuisance parameters start from where they were at the value asked before (continuation) and from the best fit.
    """
    x, y, w = curve.x, curve.y, curve.weights
    model = noise.get(fit.noise)
    spare = max(fit.n - len(form.parameters), 1)
    best = form.vector(fit.params)
    at = form.names.index(name)
    if form.basis is not None and fit.noise == "gaussian" and form.parameters[at].role == "shape":
        shape = [form.names.index(q.name) for q in form.shape]
        scale = max(fit.rss / spare, 1e-300)
        last = best[shape]

        def projected(value: float) -> float:
            nonlocal last
            starts = np.stack([last, best[shape]])[None]
            starts[:, :, shape.index(at)] = value
            batch = separable.solve(
                form, x, y[None], w[None], starts=starts, fixed={name: np.array([value])}, tolerance=1e-10
            )
            last = batch.params[0][shape]
            return float((batch.rss[0] - fit.rss) / scale)

        return projected
    r0 = estimate.residuals(form, x, y, w, fit.noise, best)
    lowest = float(r0 @ r0)
    dispersion = max(lowest / spare, 1e-300) if model.scale_parameters else 1.0
    nuisance = best

    def searched(value: float) -> float:
        nonlocal nuisance
        params, cost = general.minimise_with(form, x, y, w, fit.noise, nuisance, name, value)
        if math.isfinite(cost):
            nuisance = params
        return (cost - lowest) / dispersion

    return searched


@dataclass(frozen=True)
class _Excess:
    """Signed root of the profile deviance minus its threshold, along one parameter: nearly linear, so easy to solve."""

    deviance: Callable[[float], float]
    best: float
    threshold: float

    def place(self, distance: float, bound: float) -> float:
        value = self.best + distance
        return min(value, bound) if distance > 0 else max(value, bound)

    def at(self, value: float) -> float:
        deviance = self.deviance(value)
        if not math.isfinite(deviance):
            return 1e6
        return math.sqrt(max(deviance, 0.0)) - math.sqrt(self.threshold)

    def crossing(self, side: float, bound: float, step: float) -> float:
        """Where the deviance passes the threshold: doubling steps to bracket it, then Brent's method."""
        from scipy.optimize import brentq

        known = {self.best: -math.sqrt(self.threshold)}  # the nuisance path makes a second look slightly different

        def at(value: float) -> float:
            if value not in known:
                known[value] = self.at(value)
            return known[value]

        inner, reach = self.best, math.sqrt(self.threshold) * step
        for _ in range(40):
            outer = self.place(side * reach, bound)
            if at(outer) > 0:
                break
            if outer == bound:  # the edge of what the parameter may be: a limit only where the edge has a meaning
                return bound if bound == 0.0 else side * math.inf
            inner, reach = outer, 2.0 * reach
        else:
            return side * math.inf
        return float(brentq(at, inner, outer, xtol=1e-6 * max(abs(outer), 1e-12), rtol=1e-6, maxiter=40))


def resampled(
    form: Form, curve: Curve, clusters: Clusters, fit: Estimate, level: float, rng: np.random.Generator
) -> tuple[dict[str, Interval], Array]:
    """Percentile intervals and covariance from resampling whole clusters (patterns or runs), refitted as one batch.

    Only for separable forms under Gaussian noise. A parameter whose replicates pile up at its bound gets an infinite
    limit on that side. Curves of more than 2,000 points are refitted on 1,000 means of neighbouring points, and the
    replicates' deviations from the fit to these means are added to the fit to all points.
    """
    draws = rng.multinomial(clusters.size, np.full(clusters.size, 1.0 / clusters.size), size=REPLICATES).astype(float)
    shape = [form.names.index(q.name) for q in form.shape]
    best = form.vector(fit.params)
    low, high = separable.bounds_of(form, curve.x)
    tail = 0.5 * (1.0 - level)
    x = curve.x
    if x.size > 2 * _MEANS:
        label = np.arange(x.size) * _MEANS // x.size
        x = np.bincount(label, x) / np.bincount(label)
        clusters = clusters.binned(label)

    def refit(multiplicity: Array) -> Array:
        y, w = clusters.resampled(multiplicity)
        starts = np.repeat(best[shape][None, None, :], len(y), axis=0) if shape else None
        return separable.solve(form, x, y, w, starts=starts, tolerance=1e-9).params

    centre = refit(np.ones((1, clusters.size)))
    width = max(1, 4_000_000 // x.size)  # replicates held at a time: 32 MB of curves
    rows = [best + refit(draws[at : at + width]) - centre for at in range(0, REPLICATES, width)]
    params = np.concatenate(rows)
    method = f"{clusters.kind} resampled, {REPLICATES} replicates, percentiles"
    out = {}
    for i, q in enumerate(form.parameters):
        a, b = (float(v) for v in np.quantile(params[:, i], [tail, 1.0 - tail]))
        if q.role == "shape":
            a = -math.inf if a <= low[i] * (1 + 1e-9 * np.sign(low[i])) else a
            b = math.inf if b >= high[i] * (1 - 1e-9) else b
        out[q.name] = Interval(a, b, level, method, SCOPES.get(clusters.kind, "this run"))
    return out, np.atleast_2d(np.cov(params.T))


@dataclass(frozen=True)
class Uncertainty:
    """What is known of the precision of one form's parameters.

    Attributes
    ----------
    intervals : dict of str to Interval
    estimate : Estimate
        The fit, with covariance and standard errors from resampled clusters where these were resampled.
    inflation : float
        By how much the covariance is still to be multiplied: the autocorrelation time of the residuals, or 1.
    """

    intervals: dict[str, Interval]
    estimate: Estimate
    inflation: float


def all_intervals(
    form: Form, curve: Curve, fit: Estimate, level: float, rng: np.random.Generator, *, thorough: bool = True
) -> Uncertainty:
    """Intervals of every parameter: resampled clusters where there are enough, else profile (γ) and Wald (others).

    Parameters
    ----------
    thorough : bool
        False gives Wald intervals only.
    """
    if fit.status == "failed":
        none = {name: Interval(-math.inf, math.inf, level, "none", "this curve") for name in form.names}
        return Uncertainty(none, fit, 1.0)
    clusters = curve.clusters
    gaussian = fit.noise == "gaussian" and form.basis is not None
    if thorough and gaussian and clusters is not None and curve.resampleable:
        found, covariance = resampled(form, curve, clusters, fit, level, rng)
        errors = {
            name: fit.stderr[name] if math.isinf(fit.stderr[name]) else math.sqrt(covariance[i, i])
            for i, name in enumerate(form.names)
        }
        return Uncertainty(found, replace(fit, covariance=covariance, stderr=errors), 1.0)
    inflation = inflation_of(form, curve, fit)
    out = wald(fit, level, inflation)
    if thorough and form.gamma is not None:
        out[form.gamma] = profile(form, curve, fit, form.gamma, level, inflation)
    return Uncertainty(out, fit, inflation)

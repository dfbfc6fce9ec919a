"""Profile likelihood: which values of a parameter the data allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine import estimate, general, noise, separable
from cogfit.engine.arma import WHITE, Arma, estimate_arma
from cogfit.engine.estimate import Estimate
from cogfit.formulas.form import Array, Form, span_of
from cogfit.inference.interval import (
    Interval,
    standard_errors,
    t_quantile,
)
from cogfit.inference.resampling import resampled
from cogfit.inference.residuals import errors_of, in_order, robust_covariance, slopes

_CALIBRATION = 399

_VARIANCE_POINTS = 20  # below, no model of the variance is tried


def wald(fit: Estimate, covariance: Array, level: float, errors: Arma) -> dict[str, Interval]:
    """Symmetric intervals from the standard errors: one per parameter, infinite where it is not identified."""
    quantile = t_quantile(level, fit.n / max(errors.time, 1.0) - len(fit.params))
    out = {}
    known = standard_errors(fit, covariance)
    for name, value in fit.params.items():
        half = quantile * known[name]
        if math.isnan(half) or math.isnan(value):
            low, high = -math.inf, math.inf
        else:
            low, high = value - half, value + half
        out[name] = Interval(low, high, level, _named("Wald", errors), "this curve")
    return out


def _named(method: str, errors: Arma, test: ValueTest | None = None) -> str:
    if not errors.white:
        method += f" under {errors.title}"
    if test is not None and test.variance:
        method += f", {test.variance}"
        if test.widening != 1.0:
            method += f", sandwich (× {test.widening:.2f})"
    return method


def profile(
    form: Form,
    curve: Curve,
    fit: Estimate,
    name: str,
    level: float,
    errors: Arma = WHITE,
    rng: np.random.Generator | None = None,
) -> Interval:
    """Profile-likelihood interval of one parameter.

    The limits are where the deviance (:class:`ValueTest`) passes the F(1, n − p) quantile. A side on which it never
    does, up to the parameter's bound, is infinite (or ends at the bound, if that is the edge of what the parameter can
    mean, such as a floor of 0).

    Parameters
    ----------
    form, curve, fit
        A form, the data, its fit.
    name : str
        Parameter.
    level : float
    errors : Arma
        Model of the errors at the best fit; of its order only is made use.
    rng : numpy Generator, optional
        Calibrate by parametric bootstrap: the limits are where the deviance passes the quantile of the deviances of the
        estimate on curves made around the fit.

    Returns
    -------
    Interval
    """
    spare = fit.n - len(form.parameters)
    if spare < 1 or not math.isfinite(fit.params[name]):
        return Interval(-math.inf, math.inf, level, _named("profile likelihood", errors), "this curve")
    test = ValueTest(form, in_order(curve), fit, name, errors)
    threshold, method = t_quantile(level, spare) ** 2, _named("profile likelihood", errors, test)
    if rng is not None and fit.noise == "gaussian" and form.basis is not None:
        threshold = test.simulated_quantile(level, rng)
        method += f", calibrated by {_CALIBRATION} parametric-bootstrap replicates"
    excess = _Excess(test.deviance, test.best, test.widening * threshold)
    at = form.names.index(name)
    low, high = separable.bounds_of(form, curve.x)
    step = _first_step(fit, name) * math.sqrt(max(errors.time, 1.0))
    a, b = excess.crossing(-1.0, float(low[at]), step), excess.crossing(1.0, float(high[at]), step)
    # Least squares weighs the points otherwise than the profile does; in short red series it can lie just outside.
    a, b = min(a, fit.params[name]), max(b, fit.params[name])
    return Interval(a, b, level, method, "this curve")


def deviance_profile(
    form: Form, x: Array, y: Array, w: Array, fit: Estimate, name: str, values: Array, errors: Arma
) -> Array:
    """Deviance (:class:`ValueTest`) of given values of one parameter, for a picture; shape (m,)."""
    curve = Curve(x, y, w, None, "x", "", "other")
    test = ValueTest(form, in_order(curve), fit, name, errors)
    low, high = separable.bounds_of(form, x)
    at = form.names.index(name)
    out = np.full(values.size, np.nan)
    middle = int(np.argmin(np.abs(values - test.best)))
    for way in (range(middle, values.size), range(middle - 1, -1, -1)):  # outwards: each starts from its neighbour
        for i in way:
            if low[at] <= values[i] <= high[at]:
                out[i] = max(test.deviance(float(values[i])), 0.0) / test.widening
    return out


def _first_step(fit: Estimate, name: str) -> float:
    error = fit.stderr[name]
    if math.isfinite(error) and error > 0:
        return error
    return 0.1 * max(abs(fit.params[name]), 0.1)


class ValueTest:
    """Deviance of single values of one parameter, in units of the dispersion: F(1, n − p) at the true value.

    With ARMA errors it is twice the drop of the restricted log-likelihood, whose term log|X'R⁻¹X| takes X at the best
    fit throughout: the coefficients of the errors are estimated anew at each value, without the bias that lets plain
    profiles of short red series cover 85–90 % instead of 95 %.

    The nuisance parameters start from where they were at the value asked before (continuation) and from the best fit.
    """

    def __init__(self, form: Form, curve: Curve, fit: Estimate, name: str, errors: Arma) -> None:
        self.form, self.name, self.errors, self.noise = form, name, errors, fit.noise
        self.model = noise.get(fit.noise)
        self.spare = max(fit.n - len(form.parameters), 1)
        self.at = form.names.index(name)
        self.quick = form.basis is not None and fit.noise == "gaussian" and form.parameters[self.at].role == "shape"
        self.top = form.vector(fit.params)
        self.curve, self.variance = evened(form, curve, fit)
        if self.variance:
            self.top, _ = self._fit({}, self.top, WHITE)
        self.lowest, self.highest = self._cost(self.top), 0.0
        if not errors.white:
            for _ in range(2):
                self.top, _ = self._fit({}, self.top, self.errors)
                self.reference = slopes(form, self.curve, fit.noise, self.top)
                self.errors, self.highest = self._errors_at(self.top, "")
        self.best = float(self.top[self.at])
        self.last = self.top
        self.widening = self._widening()

    def _cost(self, params: Array) -> float:
        c = self.curve
        r = estimate.residuals(self.form, c.x, c.y, c.weights, self.noise, params)
        return float(r @ r)

    def _fit(self, held: Mapping[str, float], start: Array, errors: Arma) -> tuple[Array, float]:
        """Best parameters and cost under given errors, with some parameters held."""
        c = self.curve
        if not self.quick:
            return general.minimise_with(self.form, c.x, c.y, c.weights, self.noise, start, held, errors)
        shape = [self.form.names.index(q.name) for q in self.form.shape]
        starts = np.stack([start[shape], self.top[shape]])[None]
        for name, value in held.items():
            starts[:, :, shape.index(self.form.names.index(name))] = value
        fixed = {name: np.array([value]) for name, value in held.items()}
        batch = separable.solve(
            self.form, c.x, c.y[None], c.weights[None], starts=starts, fixed=fixed, tolerance=1e-10, errors=errors
        )
        return batch.params[0], float(batch.rss[0])

    def deviance(self, value: float) -> float:
        """Deviance of one value; inf where nothing fits."""
        held = {self.name: value}
        params, cost = self._fit(held, self.last, self.errors)
        if not math.isfinite(cost):
            return math.inf
        self.last = params
        if self.errors.white:
            return (cost - self.lowest) / (max(self.lowest / self.spare, 1e-300) if self.model.scale_parameters else 1)
        errors, loglik = self._errors_at(params)
        if len(self.form.shape) > 1 or not self.quick:  # the nuisance parameters are not all linear
            params, _ = self._fit(held, params, errors)
            _, loglik = self._errors_at(params)
        return 2.0 * (self.highest - loglik)

    def simulated_quantile(self, level: float, rng: np.random.Generator) -> float:
        """Quantile of the deviance of the estimate on curves made around the fit, which is there the truth."""
        c, found = self.curve, []
        mean = self.form.evaluate(c.x, self.top)
        r = (c.y - mean) * np.sqrt(c.weights)
        spread = math.sqrt(float(r @ r) / self.spare)
        for noise_row in self.errors.simulate(_CALIBRATION, c.x.size, rng):
            y = mean + spread * noise_row / np.sqrt(c.weights)
            made = estimate.estimate(self.form, c.x, y, c.weights, self.noise)
            if made.status != "failed":
                errors = errors_of(self.form, replace(c, y=y), made)
                test = ValueTest(self.form, replace(c, y=y), made, self.name, errors)
                found.append(test.deviance(self.best) / test.widening)
        return float(np.quantile(found, level))

    def _errors_at(self, params: Array, *held: str) -> tuple[Arma, float]:
        """Errors about a mean of which a parameter is held, and their restricted log-likelihood."""
        c = self.curve
        r = estimate.residuals(self.form, c.x, c.y, c.weights, self.noise, params)
        free = slopes(self.form, c, self.noise, params, held or (self.name,))
        return estimate_arma(r, free, self.errors.order, self.errors, self.reference)

    def _widening(self) -> float:
        """Sandwich over model variance of the parameter, 1 unless the variance of the innovations clearly varies.

        Only where the variance was seen to vary and still does when it is modelled as a power of x or of the curve.
        The sandwich is HC3 (MacKinnon & White 1985, J. Econometrics 29:305).
        """
        c = self.curve
        if not self.variance:
            return 1.0
        r = estimate.residuals(self.form, c.x, c.y, c.weights, self.noise, self.top)
        jac = slopes(self.form, c, self.noise, self.top)
        if not self.errors.white:
            r, jac = self.errors.whiten(r)[0], self.errors.whiten(jac.T).T
        keep = [i for i, q in enumerate(self.form.parameters)
                if not (q.role in ("amplitude", "floor") and self.top[i] <= q.lower)]  # fmt: skip
        if not np.any(r) or self.at not in keep or not _uneven(r, c.x, self.form.evaluate(c.x, self.top)):
            return 1.0
        jac = jac / np.maximum(np.linalg.norm(jac, axis=0), 1e-300)
        q, upper = np.linalg.qr(jac)
        if np.abs(np.diag(upper)).min() < 1e-10:
            return 1.0
        leverage = np.minimum((q**2).sum(axis=1), 0.99)
        rows = np.linalg.solve(upper, q.T)[keep.index(self.at)]  # influence of each point on the parameter
        robust = float((rows**2 * (r / (1.0 - leverage)) ** 2).sum())
        plain = float(rows @ rows) * float(r @ r) / self.spare
        return robust / plain


def _uneven(r: Array, x: Array, fitted: Array) -> bool:
    """Whether squared residuals depend on log x or the fitted value (Koenker 1981, J. Econometrics 17:107; at 5 %)."""
    from scipy.special import chdtrc

    columns = [np.ones(x.size)]
    for v in (np.log(np.maximum(x, 0.5 * span_of(x)[0])), fitted):
        if np.ptp(v) > 0:
            columns.append((v - v.mean()) / np.ptp(v))
    design = np.stack(columns, axis=1)
    square = r**2
    explained = design @ np.linalg.lstsq(design, square, rcond=None)[0]
    total = float(((square - square.mean()) ** 2).sum())
    share = 1.0 - float(((square - explained) ** 2).sum()) / total if total > 0 else 0.0
    return bool(chdtrc(len(columns) - 1, max(share, 0.0) * x.size) < 0.05)


def evened(form: Form, curve: Curve, fit: Estimate) -> tuple[Curve, str]:
    """The curve with weights that make the variance even, and a name for the model; as it is and "" where it is even.

    The variance is a power of x or of the fitted curve, whichever follows the squared residuals better; its exponent
    comes from regressing their logarithm (Harvey 1976, Econometrica 44:461).
    """
    if noise.get(fit.noise).discrete or curve.x.size < _VARIANCE_POINTS:
        return curve, ""
    params = form.vector(fit.params)
    r = estimate.residuals(form, curve.x, curve.y, curve.weights, fit.noise, params)
    fitted = form.evaluate(curve.x, params)
    if not np.any(r) or not np.all(np.isfinite(r)) or not _uneven(r, curve.x, fitted):
        return curve, ""
    logs = {"x": curve.x, "the curve": fitted}
    q, _ = np.linalg.qr(slopes(form, curve, fit.noise, params))
    r = r / np.sqrt(
        np.maximum(1.0 - (q**2).sum(axis=1), 0.01)
    )  # a point that draws the fit to itself misses it by less
    square = np.log(np.maximum(r**2, 1e-6 * float(np.mean(r**2))))
    square = square - square.mean()
    best = ("", 0.0, np.zeros(r.size))
    for name, v in logs.items():
        if v.min() <= 0 or np.ptp(v) == 0:
            continue
        u = np.log(v) - np.log(v).mean()
        slope = float(u @ square / (u @ u))
        share = slope**2 * float(u @ u)
        error = math.pi / math.sqrt(2.0 * float(u @ u))  # log χ² with one degree of freedom has variance π²/2
        slope = math.copysign(
            max(abs(slope) - error, 0.0), slope
        )  # too steep a model gives a few points all the weight
        if share > best[1]:
            best = (f"variance ∝ {'x' if name == 'x' else 'curve'}^{slope:.2g}", share, slope * u)
    if not best[0]:
        return curve, ""
    return replace(curve, weights=curve.weights * np.exp(-best[2])), best[0]


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


def quick_interval(
    form: Form, curve: Curve, fit: Estimate, name: str, level: float, rng: np.random.Generator, replicates: int
) -> Interval:
    """Interval of one parameter without a profile: few replicates of the clusters, or standard errors."""
    gaussian = fit.noise == "gaussian" and form.basis is not None
    if gaussian and curve.clusters is not None and curve.resampleable:
        return resampled(form, curve, curve.clusters, fit, level, rng, replicates)[0][name]
    errors = errors_of(form, curve, fit)
    covariance = fit.covariance
    if not errors.white or evened(form, curve, fit)[1]:
        covariance = robust_covariance(form, curve, fit, errors)
    return wald(fit, covariance, level, errors)[name]

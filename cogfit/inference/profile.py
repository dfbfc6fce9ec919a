"""Profile likelihood: which values of a parameter the data allow."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine import bins, estimate, separable
from cogfit.engine.arma import Arma
from cogfit.engine.estimate import Estimate
from cogfit.formulas.form import Array, Form
from cogfit.inference.error_models import errors_of
from cogfit.inference.interval import Interval, standard_errors, t_quantile
from cogfit.inference.joint_fit import JointFit
from cogfit.inference.own_units import one_in_own_units
from cogfit.inference.resampling import resampled
from cogfit.inference.residuals import robust_covariance
from cogfit.inference.roots import brent
from cogfit.inference.variance import has_uneven_variance

_CALIBRATION = 399  # parametric-bootstrap replicates behind a calibrated threshold
_PRECISION = 1e-7  # of a limit, relative to its distance from the estimate
_TOLERANCE = 1e-3  # of the limits of a long curve, relative to their distance from the estimate


def wald(fit: Estimate, covariance: Array, level: float, errors: Arma) -> dict[str, Interval]:
    """Symmetric intervals from the standard errors.

    One per parameter, infinite where it is not identified.
    """
    quantile = t_quantile(level, errors.points(fit.n) - len(fit.params))
    out = {}
    errors_by_name = standard_errors(fit, covariance)
    for name, value in fit.params.items():
        half_width = quantile * errors_by_name[name]
        if math.isnan(half_width) or math.isnan(value):
            low, high = -math.inf, math.inf
        else:
            low, high = value - half_width, value + half_width
        out[name] = Interval(low, high, level, _describe_method("Wald", errors), "this curve")
    return out


def _describe_method(method: str, errors: Arma, variance: str = "", widening: float = 1.0) -> str:
    if not errors.white:
        method += f" under {errors.title}"
    if variance:
        method += f", {variance}"
        if widening != 1.0:
            method += f", sandwich (× {widening:.2f})"
    return method


def profile(joint: JointFit, name: str, level: float, rng: np.random.Generator | None = None) -> Interval:
    """Profile-likelihood interval of one parameter.

    The limits are where the deviance (:class:`ValueTest`) passes the F(1, n − p) quantile. A side on which it never
    does, up to the parameter's bound, is infinite (or ends at the bound, if that is the edge of what the parameter can
    mean, such as a floor of 0).

    Parameters
    ----------
    joint : JointFit
        A form fitted to the data together with its errors.
    name : str
        Parameter; no value at x = 1, whose unit depends on others.
    level : float
    rng : numpy Generator, optional
        Calibrate by parametric bootstrap: the limits are where the deviance passes the quantile of the deviances of the
        estimate on curves made around the fit.

    Returns
    -------
    Interval
        It contains the estimate of the joint fit.
    """
    form, fit = joint.form, joint.fitted
    degrees_of_freedom = fit.n - len(form.parameters)
    is_flat = name in fit.not_identified and all(q.name in fit.at_bound for q in form.amplitudes)
    if degrees_of_freedom < 1 or is_flat or not math.isfinite(fit.params[name]):
        method = _describe_method("profile likelihood", joint.errors)
        return Interval(-math.inf, math.inf, level, method, "this curve")
    test = ValueTest(joint, name)
    threshold = t_quantile(level, degrees_of_freedom) ** 2
    method = _describe_method("profile likelihood", joint.errors, joint.variance, test.widening)
    if rng is not None and fit.noise == "gaussian" and form.basis is not None:
        threshold = test.simulated_quantile(level, rng)
        method += f", calibrated by {_CALIBRATION} parametric-bootstrap replicates"
    tolerance = _TOLERANCE if fit.n > bins.LONG else 0.0
    excess = _Excess(test.deviance, test.best, test.widening * threshold, tolerance)
    at = form.names.index(name)
    low, high = separable.bounds_of(form, joint.curve.x)
    step = _first_step(fit, name) * math.sqrt(fit.n / joint.errors.points(fit.n))
    unit = joint.unit_of(name)
    # means over bins, from which the limits come, have their best value a little beside that of all points
    beside = fit.params[name] - test.best if joint.is_least_squares else 0.0
    limits = [
        unit * (limit if limit == bound or math.isinf(limit) else limit + beside)
        for limit, bound in (
            (excess.crossing(-1.0, float(low[at]), step), low[at]),
            (excess.crossing(1.0, float(high[at]), step), high[at]),
        )
    ]
    return Interval(limits[0], limits[1], level, method, "this curve")


def deviance_profile(
    form: Form, x: Array, y: Array, w: Array, fit: Estimate, name: str, values: Array, errors: Arma
) -> Array:
    """Deviance of given values of one parameter, shape (m,).

    That of :class:`ValueTest`; for a picture.
    """
    joint = JointFit(form, Curve(x, y, w, None, "x", "", "other"), fit, errors)
    test = ValueTest(joint, name)
    low, high = separable.bounds_of(form, joint.curve.x)
    at, values = form.names.index(name), values / joint.unit_of(name)
    out = np.full(values.size, np.nan)
    middle = int(np.argmin(np.abs(values - test.best)))
    for outwards in (range(middle, values.size), range(middle - 1, -1, -1)):  # outwards: each starts from its neighbour
        for i in outwards:
            if low[at] <= values[i] <= high[at]:
                out[i] = max(test.deviance(float(values[i])), 0.0) / test.widening
    return out


def _first_step(fit: Estimate, name: str) -> float:
    error = fit.stderr[name]
    if math.isfinite(error) and error > 0:
        return error
    return 0.1 * max(abs(fit.params[name]), 0.1)


class ValueTest:
    """Deviance of single values of one parameter.

    It is in units of the dispersion, and so F(1, n − p) at the true value.

    With ARMA errors it is twice the drop of the restricted log-likelihood (:class:`JointFit`): the coefficients of the
    errors are estimated anew at each value.

    The nuisance parameters start from where they were at the value asked before (continuation) and from the best fit.
    """

    def __init__(self, joint: JointFit, name: str) -> None:
        self.joint, self.name = joint, name
        index = joint.form.names.index(name)
        self.best = float(joint.params[index])
        self.latest = joint.params
        self.widening = joint.widening(name)
        shape = {q.name for q in joint.form.shape}
        is_separable = joint.form.basis is not None and joint.noise == "gaussian" and name in shape
        self.is_linear = is_separable and len(shape) == 1  # all but the value tested

    def deviance(self, value: float) -> float:
        """Deviance of one value. inf where nothing fits."""
        joint, held = self.joint, {self.name: value}
        params, cost = joint.fit(held, self.latest, joint.errors)
        if not math.isfinite(cost):
            return math.inf
        self.latest = params
        if joint.errors.white:
            return (cost - joint.cost) / max(joint.dispersion, 1e-300)
        if joint.holds_errors:
            return joint.drop(cost)
        errors, loglik = joint.errors_at(params, self.name)
        if not self.is_linear:  # what is fitted depends on the errors in more than linear coefficients
            params, _ = joint.fit(held, params, errors)
            _, loglik = joint.errors_at(params, self.name)
        return 2.0 * (joint.loglik - loglik)

    def simulated_quantile(self, level: float, rng: np.random.Generator) -> float:
        """Quantile of the deviance on simulated curves.

        The curves are made around the fit, so that the estimate is there the truth.
        """
        joint, deviances = self.joint, []
        c, form = joint.curve, joint.form
        mean = form.evaluate(c.x, joint.params)
        r = (c.y - mean) * np.sqrt(c.weights)
        spread = math.sqrt(float(r @ r) / joint.degrees_of_freedom)
        for noise_row in joint.errors.simulate(_CALIBRATION, c.x.size, rng):
            made = replace(c, y=mean + spread * noise_row / np.sqrt(c.weights))
            fit = estimate.estimate(form, c.x, made.y, c.weights, joint.noise)
            if fit.status != "failed":
                test = ValueTest(JointFit(form, made, fit, errors_of(form, made, fit)), self.name)
                at = self.best * joint.unit_of(self.name) / test.joint.unit_of(self.name)
                deviances.append(test.deviance(at) / test.widening)
        return float(np.quantile(deviances, level))


@dataclass(frozen=True)
class _Excess:
    """Signed root of the deviance, less its threshold.

    Along one parameter it is nearly linear, so easy to solve.
    """

    deviance: Callable[[float], float]
    best: float
    threshold: float
    tolerance: float = 0.0  # of a limit, relative to its distance from the best value

    def place(self, distance: float, bound: float) -> float:
        value = self.best + distance
        return min(value, bound) if distance > 0 else max(value, bound)

    def at(self, value: float) -> float:
        deviance = self.deviance(value)
        if not math.isfinite(deviance):
            return 1e6
        return math.sqrt(max(deviance, 0.0)) - math.sqrt(self.threshold)

    def crossing(self, side: float, bound: float, step: float) -> float:
        """Where the deviance passes the threshold.

        Doubling steps bracket it, then Brent's method finds it.
        """
        # a value asked twice would differ slightly, for the nuisance parameters have moved on in between
        excess = {self.best: -math.sqrt(self.threshold)}

        def at(value: float) -> float:
            if value not in excess:
                excess[value] = self.at(value)
            return excess[value]

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
        tolerance = max(_PRECISION, self.tolerance) * abs(outer - self.best)
        return brent(at, inner, outer, absolute=tolerance)


def quick_interval(
    form: Form,
    curve: Curve,
    fit: Estimate,
    name: str,
    level: float,
    rng: np.random.Generator,
    replicates: int,
    *,
    errors: Arma | None = None,
) -> Interval:
    """Interval of one parameter without a profile.

    It comes from few replicates of the clusters, or from standard errors; those about the fit unless others are given.
    """
    gaussian = fit.noise == "gaussian" and form.basis is not None
    if gaussian and curve.clusters is not None and curve.resampleable:
        return resampled(form, curve, curve.clusters, fit, level, rng, replicates)[0][name]
    curve, fit, _ = one_in_own_units(curve, form, fit)
    if errors is None:
        errors = errors_of(form, curve, fit)
    return wald(fit, series_covariance(form, curve, fit, errors), level, errors)[name]


def series_covariance(form: Form, curve: Curve, fit: Estimate, errors: Arma) -> Array:
    """Covariance of the estimates from one ordered series.

    The sandwich where errors are correlated or of uneven variance, else that of the fit.
    """
    if not errors.white or has_uneven_variance(form, curve, fit, errors):
        return robust_covariance(form, curve, fit, errors)
    return fit.covariance

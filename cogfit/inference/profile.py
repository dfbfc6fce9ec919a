"""Profile likelihood: which values of a parameter the data allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine import bins, estimate, general, noise, separable
from cogfit.engine.arma import WHITE, Arma, estimate_arma
from cogfit.engine.bins import Axis, Bins
from cogfit.engine.condensed import Condensed, condense
from cogfit.engine.estimate import Estimate, starting_bins
from cogfit.formulas.form import Array, Form
from cogfit.inference.error_models import errors_of
from cogfit.inference.interval import Interval, standard_errors, t_quantile
from cogfit.inference.own_units import one_in_own_units
from cogfit.inference.resampling import resampled
from cogfit.inference.residuals import in_order, robust_covariance, slopes, span
from cogfit.inference.roots import brent
from cogfit.inference.variance import even_variance, has_uneven_variance, is_uneven

_CALIBRATION = 399  # parametric-bootstrap replicates behind a calibrated threshold
# Effective points of a long curve from which on the coefficients of the errors are held along a profile: to estimate
# them anew at every value changes the limits by about 1/points of the width.
_HOLDS_ERRORS = 1_000.0
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


def _describe_method(method: str, errors: Arma, test: ValueTest | None = None) -> str:
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
    degrees_of_freedom = fit.n - len(form.parameters)
    is_flat = name in fit.not_identified and all(q.name in fit.at_bound for q in form.amplitudes)
    if degrees_of_freedom < 1 or is_flat or not math.isfinite(fit.params[name]):
        return Interval(-math.inf, math.inf, level, _describe_method("profile likelihood", errors), "this curve")
    test = ValueTest(form, in_order(curve), fit, name, errors)
    threshold, method = t_quantile(level, degrees_of_freedom) ** 2, _describe_method("profile likelihood", errors, test)
    if rng is not None and fit.noise == "gaussian" and form.basis is not None:
        threshold = test.simulated_quantile(level, rng)
        method += f", calibrated by {_CALIBRATION} parametric-bootstrap replicates"
    tolerance = _TOLERANCE if fit.n > bins.LONG else 0.0
    excess = _Excess(test.deviance, test.best, test.widening * threshold, tolerance)
    at = form.names.index(name)
    low, high = separable.bounds_of(form, curve.x)
    step = _first_step(fit, name) * math.sqrt(fit.n / errors.points(fit.n))
    a, b = excess.crossing(-1.0, float(low[at]), step), excess.crossing(1.0, float(high[at]), step)
    # Least squares weighs the points otherwise than the profile does; in short red series it can lie just outside.
    a, b = min(a, fit.params[name]), max(b, fit.params[name])
    return Interval(a, b, level, method, "this curve")


def deviance_profile(
    form: Form, x: Array, y: Array, w: Array, fit: Estimate, name: str, values: Array, errors: Arma
) -> Array:
    """Deviance of given values of one parameter, shape (m,).

    That of :class:`ValueTest`; for a picture.
    """
    curve, fit, units = one_in_own_units(Curve(x, y, w, None, "x", "", "other"), form, fit)
    test = ValueTest(form, in_order(curve), fit, name, errors)
    low, high = separable.bounds_of(form, curve.x)
    at, values = form.names.index(name), values / units.factor(form, name)
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

    With ARMA errors it is twice the drop of the restricted log-likelihood, whose term log|X'R⁻¹X| takes X at the best
    fit throughout: the coefficients of the errors are estimated anew at each value, without the bias that lets plain
    profiles of short red series cover 85–90 % instead of 95 %.

    The nuisance parameters start from where they were at the value asked before (continuation) and from the best fit.
    """

    def __init__(self, form: Form, curve: Curve, fit: Estimate, name: str, errors: Arma) -> None:
        self.form, self.name, self.errors, self.noise = form, name, errors, fit.noise
        self.model = noise.get(fit.noise)
        self.degrees_of_freedom = max(fit.n - len(form.parameters), 1)
        self.index = form.names.index(name)
        self.is_separable = (
            form.basis is not None and fit.noise == "gaussian" and form.parameters[self.index].role == "shape"
        )
        self.best_params = form.vector(fit.params)
        self.curve, self.variance = even_variance(form, curve, fit, errors)
        self.bins: Bins | None = None
        self.condensed: Condensed | None = None
        if self.variance:
            self.best_params, _ = self._fit({}, self.best_params, WHITE)
        self.lowest_cost, self.highest_loglik = self._cost(self.best_params), 0.0
        self.dispersion = self.lowest_cost / self.degrees_of_freedom if self.model.scale_parameters else 1.0
        self.holds_errors = False
        if errors.white:
            self._fit_in_bins(fit)
        else:
            self._fit_with_errors(fit)
        self.best = float(self.best_params[self.index])
        self.latest = self.best_params
        self.widening = self._widening()

    def _fit_in_bins(self, fit: Estimate) -> None:
        """Fit means over narrow bins.

        They tell as much about a long curve, where its errors are independent.
        """
        if self.is_separable or (self.form.basis is not None and fit.noise == "lognormal"):
            self.bins = starting_bins(self.curve.x, self.curve.weights)
        if self.bins is not None:
            self.best_params, self.lowest_cost = self._fit({}, self.best_params, WHITE)

    def _fit_with_errors(self, fit: Estimate) -> None:
        """Fit the mean and its errors in turn.

        They depend on each other: twice is enough, and once in a long curve, where the errors are held from then on.
        """
        self.holds_errors = fit.n > bins.LONG and self.errors.points(fit.n) > _HOLDS_ERRORS
        for _ in range(1 if self.holds_errors else 2):
            self.best_params, _ = self._fit({}, self.best_params, self.errors)
            self.reference = span(slopes(self.form, self.curve, fit.noise, self.best_params))
            self.errors, self.highest_loglik = self._errors_at(self.best_params, "")
        if self.holds_errors:
            c = self.curve
            if self.is_separable:
                self.condensed = condense(self.form, c.x, c.y, c.weights, self.errors, self.best_params)
            self.best_params, self.lowest_cost = self._fit({}, self.best_params, self.errors)

    def _cost(self, params: Array) -> float:
        c = self.curve
        r = estimate.residuals(self.form, c.x, c.y, c.weights, self.noise, params)
        return float(r @ r)

    def _fit(self, held: Mapping[str, float], start: Array, errors: Arma) -> tuple[Array, float]:
        """Fit under given errors with some parameters held.

        Best parameters and cost.
        """
        c = self.curve
        if not self.is_separable:
            x_mean, y_mean, weights = c.x, c.y, c.weights
            if self.bins is not None:
                (x_mean, y_mean), weights = estimate.logarithmic_means(c.x, c.y, self.bins), self.bins.weight
            return general.minimise_with(self.form, x_mean, y_mean, weights, self.noise, start, held, errors)
        is_whole = self.bins is None and self.condensed is None
        if len(self.form.shape) == len(held) == 1 and c.x.size > bins.LONG and is_whole:
            linear = self._linear_fit(held[self.name], errors)
            if linear is not None:
                return linear
        shape = [self.form.names.index(q.name) for q in self.form.shape]
        starts = np.stack([start[shape], self.best_params[shape]])
        for name, value in held.items():
            starts[:, shape.index(self.form.names.index(name))] = value
        starts = starts[None] if np.any(starts[0] != starts[1]) else starts[None, :1]
        fixed = {name: np.array([value]) for name, value in held.items()}
        x: Array | Axis = c.x
        y, w, rest = c.y, c.weights, 0.0
        if self.bins is not None:
            x, y, w = self.bins.axis, self.bins.mean(y), self.bins.weight
        elif self.condensed is not None:
            short, errors = self.condensed, WHITE
            x, y, w, rest = short.axis, short.y, short.weights, short.rest
        batch = separable.solve(
            self.form, x, y[None], w[None], starts=starts, fixed=fixed, tolerance=1e-10, errors=errors
        )
        return batch.params[0], float(batch.rss[0]) + rest

    def _drop(self, cost: float) -> float:
        """Twice the drop of the restricted log-likelihood.

        With the errors held nothing but the RSS of the innovations changes.
        """
        n, p = self.reference.shape
        return float((n - p) * math.log(max(cost, 1e-300) / max(self.lowest_cost, 1e-300)))

    def _linear_fit(self, value: float, errors: Arma) -> tuple[Array, float] | None:
        """Fit with the only non-linear parameter held: the other coefficients are linear.

        None where they would leave their bounds.
        """
        c, form = self.curve, self.form
        root = np.sqrt(c.weights)
        phi = form.columns(c.x, np.log(c.x), np.array([[value]]))[0][0]
        linear = [*form.amplitudes, *([] if form.floor is None else [form.floor])]
        rows = errors.whiten(np.stack([*phi, np.ones(c.x.size), c.y])[[*range(len(linear)), -1]] * root)
        y = rows[-1]
        products = rows[:-1] @ rows[:-1].T
        if np.linalg.cond(products) > 1e10:
            return None
        coefficients = np.linalg.solve(products, rows[:-1] @ y)
        if any(not q.lower <= b <= q.upper for q, b in zip(linear, coefficients.tolist(), strict=True)):
            return None
        params = self.best_params.copy()
        params[self.index] = value
        params[[form.names.index(q.name) for q in linear]] = coefficients
        left = y - coefficients @ rows[:-1]
        return params, float(left @ left)

    def deviance(self, value: float) -> float:
        """Deviance of one value. inf where nothing fits."""
        held = {self.name: value}
        params, cost = self._fit(held, self.latest, self.errors)
        if not math.isfinite(cost):
            return math.inf
        self.latest = params
        if self.errors.white:
            return (cost - self.lowest_cost) / max(self.dispersion, 1e-300)
        if self.holds_errors:
            return self._drop(cost)
        errors, loglik = self._errors_at(params)
        if len(self.form.shape) > 1 or not self.is_separable:  # the nuisance parameters are not all linear
            params, _ = self._fit(held, params, errors)
            _, loglik = self._errors_at(params)
        return 2.0 * (self.highest_loglik - loglik)

    def simulated_quantile(self, level: float, rng: np.random.Generator) -> float:
        """Quantile of the deviance on simulated curves.

        The curves are made around the fit, so that the estimate is there the truth.
        """
        c, deviances = self.curve, []
        mean = self.form.evaluate(c.x, self.best_params)
        r = (c.y - mean) * np.sqrt(c.weights)
        spread = math.sqrt(float(r @ r) / self.degrees_of_freedom)
        for noise_row in self.errors.simulate(_CALIBRATION, c.x.size, rng):
            y = mean + spread * noise_row / np.sqrt(c.weights)
            fit = estimate.estimate(self.form, c.x, y, c.weights, self.noise)
            if fit.status != "failed":
                errors = errors_of(self.form, replace(c, y=y), fit)
                test = ValueTest(self.form, replace(c, y=y), fit, self.name, errors)
                deviances.append(test.deviance(self.best) / test.widening)
        return float(np.quantile(deviances, level))

    def _errors_at(self, params: Array, *held: str) -> tuple[Arma, float]:
        """Errors about given parameters, with their restricted log-likelihood.

        By default the parameter that is tested is held: it is no part of the mean's tangents.
        """
        c = self.curve
        r = estimate.residuals(self.form, c.x, c.y, c.weights, self.noise, params)
        free = span(slopes(self.form, c, self.noise, params, held or (self.name,)))
        return estimate_arma(r, free, self.errors.order, self.errors, self.reference)

    def _widening(self) -> float:
        """Sandwich over model variance of the parameter.

        1 unless the variance of the innovations clearly varies.

        Only where the variance was seen to vary and still does when it is modelled as a power of x or of the curve.
        The sandwich is HC3 (MacKinnon & White 1985, J. Econometrics 29:305).
        """
        c = self.curve
        if not self.variance:
            return 1.0
        r = estimate.residuals(self.form, c.x, c.y, c.weights, self.noise, self.best_params)
        jac = slopes(self.form, c, self.noise, self.best_params)
        if not self.errors.white:
            r, jac = self.errors.whiten(r)[0], self.errors.whiten(jac.T).T
        free = [
            i
            for i, q in enumerate(self.form.parameters)
            if not (q.role in ("amplitude", "floor") and self.best_params[i] <= q.lower)
        ]
        if not np.any(r) or self.index not in free or not is_uneven(r, c.x, self.form.evaluate(c.x, self.best_params)):
            return 1.0
        jac = jac / np.maximum(np.linalg.norm(jac, axis=0), 1e-300)
        q, upper = np.linalg.qr(jac)
        if np.abs(np.diag(upper)).min() < 1e-10:
            return 1.0
        leverage = np.minimum((q**2).sum(axis=1), 0.99)
        rows = np.linalg.solve(upper, q.T)[free.index(self.index)]  # influence of each point on the parameter
        robust = float((rows**2 * (r / (1.0 - leverage)) ** 2).sum())
        plain = float(rows @ rows) * float(r @ r) / self.degrees_of_freedom
        return robust / plain


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
    form: Form, curve: Curve, fit: Estimate, name: str, level: float, rng: np.random.Generator, replicates: int
) -> Interval:
    """Interval of one parameter without a profile.

    It comes from few replicates of the clusters, or from standard errors.
    """
    gaussian = fit.noise == "gaussian" and form.basis is not None
    if gaussian and curve.clusters is not None and curve.resampleable:
        return resampled(form, curve, curve.clusters, fit, level, rng, replicates)[0][name]
    curve, fit, _ = one_in_own_units(curve, form, fit)
    errors = errors_of(form, curve, fit)
    return wald(fit, series_covariance(form, curve, fit, errors), level, errors)[name]


def series_covariance(form: Form, curve: Curve, fit: Estimate, errors: Arma) -> Array:
    """Covariance of the estimates from one ordered series.

    The sandwich where errors are correlated or of uneven variance, else that of the fit.
    """
    if not errors.white or has_uneven_variance(form, curve, fit, errors):
        return robust_covariance(form, curve, fit, errors)
    return fit.covariance

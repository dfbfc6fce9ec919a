"""A form and the errors along its curve, fitted together.

Where errors are correlated or of uneven variance, least squares weighs the points otherwise than the likelihood does
from which an interval comes, and an interval need not contain its estimate. So estimate, standard errors and profile
are of one likelihood: that of the form under the model of its errors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine import bins, estimate, general, noise, separable
from cogfit.engine.arma import WHITE, Arma, estimate_arma
from cogfit.engine.bins import Axis, Bins
from cogfit.engine.condensed import Condensed, condense
from cogfit.engine.estimate import Estimate, starting_bins
from cogfit.formulas.form import Array, Form
from cogfit.inference.own_units import one_in_own_units
from cogfit.inference.residuals import in_order, robust_covariance, slopes, span
from cogfit.inference.variance import even_variance, is_uneven

# Effective points of a long curve from which on the coefficients of the errors are held along a profile: to estimate
# them anew at every value changes the limits by about 1/points of the width.
_HOLDS_ERRORS = 1_000.0
_FINE = (1e-10, 1e-13)  # relative decrease of the RSS at which a fit ends, along a profile and at its maximum
_ROUNDS = 12  # in which mean and errors are fitted in turn, at the most
_SETTLED = 1e-4  # gain of the log-likelihood at which they are
_SINGULAR = 1e-8  # singular value, relative to the largest, of a direction that the data do not determine


class JointFit:
    """Maximum of the likelihood of a form and its errors.

    With ARMA errors it is the restricted likelihood, whose term log|X'R⁻¹X| takes X at the best fit throughout: without
    the bias that lets plain profiles of short red series cover 85–90 % instead of 95 %.

    Parameters
    ----------
    form : Form
    curve : Curve
    fit : Estimate
        Of independent errors of even variance.
    errors : Arma
        Model of the errors about it; of its order only is made use.

    Attributes
    ----------
    curve : Curve
        In the order of x and units of the data, with weights that make the variance even.
    variance : str
        Model of the variance; "" where it is even.
    errors : Arma
        At the maximum.
    params : ndarray, shape (p,)
        In these units.
    cost, loglik : float
        Σr² of the innovations, and the restricted log-likelihood (ARMA errors only), at the maximum.
    """

    def __init__(self, form: Form, curve: Curve, fit: Estimate, errors: Arma) -> None:
        self.form, self.fitted_as_given, self.errors, self.noise = form, fit, errors, fit.noise
        curve, self.fitted, self.units = one_in_own_units(in_order(curve), form, fit)
        fit, self.given = self.fitted, curve
        self.model = noise.get(fit.noise)
        self.degrees_of_freedom = max(fit.n - len(form.parameters), 1)
        self.params = form.vector(fit.params)
        self.curve, self.variance = even_variance(form, curve, fit, errors)
        self.bins: Bins | None = None
        self.condensed: Condensed | None = None
        self.holds_errors = False
        if self.variance:
            self.params, _ = self.fit({}, self.params, WHITE)
        self.cost, self.loglik = self._cost(), 0.0
        self.dispersion = self.cost / self.degrees_of_freedom if self.model.scale_parameters else 1.0
        if errors.white:
            self._fit_in_bins()
        else:
            self._fit_with_errors()

    def _fit_in_bins(self) -> None:
        """Fit means over narrow bins.

        They tell as much about a long curve, where its errors are independent.
        """
        if self.form.basis is not None and not self.model.discrete:
            self.bins = starting_bins(self.curve.x, self.curve.weights)
        if self.bins is not None:
            self.params, self.cost = self.fit({}, self.params, WHITE)

    def _fit_with_errors(self) -> None:
        """Fit the mean and its errors in turn, for they depend on each other.

        Once in a long curve, where the errors are held from then on.
        """
        c, points = self.curve, self.errors.points(self.fitted.n)
        self.holds_errors = self.fitted.n > bins.LONG and points > _HOLDS_ERRORS
        before = -math.inf
        for _ in range(1 if self.holds_errors else _ROUNDS):
            self.params, _ = self.fit({}, self.params, self.errors)
            self.reference = span(slopes(self.form, c, self.noise, self.params))
            self.errors, self.loglik = self.errors_at(self.params)
            if self.loglik - before < _SETTLED:
                break
            before = self.loglik
        if self.holds_errors and self._is_separable(()):
            self.condensed = condense(self.form, c.x, c.y, c.weights, self.errors, self.params)
        self.params, self.cost = self.fit({}, self.params, self.errors)

    @property
    def is_least_squares(self) -> bool:
        """Whether errors are independent and of even variance."""
        return self.errors.white and not self.variance

    @property
    def wanders(self) -> bool:
        """Whether the errors wander over the whole curve.

        They cannot be told from a form that misses it, and weighing by them would follow differences of neighbours
        only: what is told is least squares.
        """
        return self.errors.time > self.fitted.n

    def _cost(self) -> float:
        c = self.curve
        r = estimate.residuals(self.form, c.x, c.y, c.weights, self.noise, self.params)
        return float(r @ r)

    def _is_separable(self, held: tuple[str, ...]) -> bool:
        """Whether the solver for separable forms can hold these parameters."""
        shape = {q.name for q in self.form.shape}
        return self.form.basis is not None and self.noise == "gaussian" and shape.issuperset(held)

    def fit(self, held: Mapping[str, float], start: Array, errors: Arma) -> tuple[Array, float]:
        """Fit under given errors with some parameters held.

        Best parameters and cost.
        """
        c = self.curve
        if not self._is_separable(tuple(held)):
            return self._general_fit(held, start, errors)
        is_whole = self.bins is None and self.condensed is None
        if len(self.form.shape) == len(held) == 1 and c.x.size > bins.LONG and is_whole:
            linear = self._linear_fit(held, errors)
            if linear is not None:
                return linear
        shape = [self.form.names.index(q.name) for q in self.form.shape]
        starts = np.stack([start[shape], self.params[shape]])
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
            self.form, x, y[None], w[None], starts=starts, fixed=fixed, tolerance=_FINE[not held], errors=errors
        )
        return batch.params[0], float(batch.rss[0]) + rest

    def _general_fit(self, held: Mapping[str, float], start: Array, errors: Arma) -> tuple[Array, float]:
        """Fit of all parameters, none of which is told apart as linear."""
        c = self.curve
        x, y, weights = c.x, c.y, c.weights
        if self.bins is not None:
            (x, y), weights = estimate.logarithmic_means(c.x, c.y, self.bins), self.bins.weight
        data = (self.form, x, y, weights, self.noise)
        fitted = general.minimise_with(*data, start, held, errors)
        if held and np.any(start != self.params):
            # where the fit of the value asked before ended in a corner, those that start from it stay there
            anew = general.minimise_with(*data, self.params, held, errors)
            fitted = min(fitted, anew, key=lambda params_and_cost: params_and_cost[1])
        return fitted

    def _linear_fit(self, held: Mapping[str, float], errors: Arma) -> tuple[Array, float] | None:
        """Fit with the only non-linear parameter held: the other coefficients are linear.

        None where they would leave their bounds.
        """
        c, form = self.curve, self.form
        ((name, value),) = held.items()
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
        params = self.params.copy()
        params[form.names.index(name)] = value
        params[[form.names.index(q.name) for q in linear]] = coefficients
        left = y - coefficients @ rows[:-1]
        return params, float(left @ left)

    def errors_at(self, params: Array, *held: str) -> tuple[Arma, float]:
        """Errors about given parameters, with their log-likelihood.

        Parameters that are held are no part of the mean's tangents.
        """
        c = self.curve
        r = estimate.residuals(self.form, c.x, c.y, c.weights, self.noise, params)
        free = span(slopes(self.form, c, self.noise, params, held))
        return estimate_arma(r, free, self.errors.order, self.errors, self.reference)

    def drop(self, cost: float) -> float:
        """Twice the drop of the restricted log-likelihood.

        With the errors held nothing but the RSS of the innovations changes.
        """
        n, p = self.reference.shape
        return float((n - p) * math.log(max(cost, 1e-300) / max(self.cost, 1e-300)))

    # ------------------------------------------------------------------------------------------- what it says

    def told(self) -> Estimate:
        """The estimate in the caller's units.

        Its standard errors, likelihood and status are those of independent errors; the likelihood is that of their
        maximum, by which forms are ranked.
        """
        if self.is_least_squares or self.wanders:
            return self.fitted_as_given
        c = self.given
        fit = estimate.describe(self.form, c.x, c.y, c.weights, self.noise, self.params, self.units)
        return fit if fit.status == "failed" else replace(fit, loglik=self.fitted_as_given.loglik)

    @property
    def covariance(self) -> Array:
        """Covariance (p, p) of the estimate.

        In the caller's units; NaN for parameters at a bound.
        """
        if self.is_least_squares:
            return self.fitted_as_given.covariance
        if self.wanders:
            own = robust_covariance(self.form, self.given, self.fitted, self.errors)
            return self.units.covariance(self.form, self.form.vector(self.fitted.params), own)
        plain, robust = self._covariances()
        return self.units.covariance(self.form, self.params, plain if robust is None else robust)

    def unit_of(self, name: str) -> float:
        """Unit in which a parameter is."""
        return float(self.units.factor(self.form, name))

    def widening(self, name: str) -> float:
        """Sandwich over model variance of a parameter.

        1 unless the variance of the innovations clearly varies when it is modelled.
        """
        if not self.variance:
            return 1.0
        at, (plain, robust) = self.form.names.index(name), self._covariances()
        if robust is None or not plain[at, at] > 0.0:
            return 1.0
        return float(robust[at, at] / plain[at, at])

    @np.errstate(all="ignore")  # what overflows is as good as infinite
    def _covariances(self) -> tuple[Array, Array | None]:
        """Covariance by the model, and the sandwich where the variance still varies.

        The sandwich is HC3 (MacKinnon & White 1985, J. Econometrics 29:305): with HC2, intervals cover 83–84 % where
        the variance is no power of x or of the curve.
        """
        c, form = self.curve, self.form
        low, high = separable.bounds_of(form, c.x)
        held = tuple(q.name for i, q in enumerate(form.parameters) if not low[i] < self.params[i] < high[i])
        free = [i for i, q in enumerate(form.parameters) if q.name not in held]
        r = estimate.residuals(form, c.x, c.y, c.weights, self.noise, self.params)
        jac = slopes(form, c, self.noise, self.params, held)
        if not self.errors.white:
            r, jac = self.errors.whiten(r)[0], self.errors.whiten(jac.T).T
        length = np.linalg.norm(jac, axis=0)
        influence = np.linalg.pinv(jac / np.where(length > 0.0, length, 1.0), rcond=_SINGULAR)
        influence /= np.where(length > 0.0, length, math.nan)[:, None]
        within = np.ix_(free, free)
        plain = np.full((len(form.parameters),) * 2, math.nan)
        plain[within] = influence @ influence.T * (float(r @ r) / self.degrees_of_freedom)
        if not self.variance or not np.any(r) or not is_uneven(r, c.x, form.evaluate(c.x, self.params)):
            return plain, None
        leverage = np.minimum(np.einsum("ij,ji->i", jac, influence), 0.99)
        rows = influence * (r / (1.0 - leverage))
        robust = plain.copy()
        robust[within] = rows @ rows.T
        return plain, robust

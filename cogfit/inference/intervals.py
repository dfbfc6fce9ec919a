r"""Confidence intervals for the parameters of a fitted form.

Ordered series: the *profile likelihood*, calibrated by F(1, n − p). Where residuals are autocorrelated, the errors are
an ARMA process (order by BIC) whose coefficients are estimated anew at every value tried, by restricted likelihood
(plain likelihood covers 85–90 % instead of 95 % for short red series).
Innovations of unequal variance widen the profile by the ratio of the sandwich to the model variance. Curves that stand
on patterns or runs: these are resampled as wholes, and all replicates are refitted as one batch. A limit that the data
do not give is infinite and reported so; an interval that cannot be trusted says why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cogfit.curves.exposure import Clusters, Curve
from cogfit.engine import estimate, general, noise, separable
from cogfit.engine.arma import ORDERS, WHITE, Arma, estimate_arma, select_arma
from cogfit.engine.estimate import Estimate
from cogfit.errors import MissingDependencyError
from cogfit.formulas.built_in import Array, Form, span_of

REPLICATES = 400

SCOPES = {
    "runs": "training procedure",
    **{kind: f"the population of the {kind}" for kind in ("groups", "subjects", "lists", "teams")},
}
"""What an interval from resampled clusters speaks of, by their kind; everything else: this run."""

CONDITIONAL = "conditional on this run"
"""Scope where clusters move together: what they share is not resampled."""

ENOUGH_CLUSTERS = 15
ENOUGH_POINTS = 5.0
"""Clusters and effective points below which an interval is called unreliable."""

TOGETHER = 1.5
"""Variance inflation of the clusters' mean above which they are said to move together."""

_MEANS = 400
_SHOCK_POINTS = 200
_FLIPS = 199
_CALIBRATION = 399
_VARIANCE_POINTS = 20  # below, no model of the variance is tried


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
    caveat : str
        Why the interval is unreliable; "" where it is not.
    """

    low: float
    high: float
    level: float
    method: str
    scope: str
    caveat: str = ""

    @property
    def reliable(self) -> bool:
        """Whether simulations like these data gave the nominal coverage (see ``data/benchmarks``)."""
        return not self.caveat

    def to_json(self) -> dict[str, Any]:
        """JSON-ready: an infinite limit is null, and ``unbounded`` names its side."""
        sides = [side for side, v in (("low", self.low), ("high", self.high)) if not math.isfinite(v)]
        out: dict[str, Any] = {
            "low": self.low if math.isfinite(self.low) else None,
            "high": self.high if math.isfinite(self.high) else None,
            "level": self.level,
            "method": self.method,
            "scope": self.scope,
            "reliability": "ok" if self.reliable else "unreliable",
        }
        if self.caveat:
            out["caveat"] = self.caveat
        if sides:
            out["unbounded"] = sides
        return out

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Interval:
        """Inverse of :meth:`to_json`."""
        low, high = data["low"], data["high"]
        return cls(
            -math.inf if low is None else float(low), math.inf if high is None else float(high),
            float(data["level"]), str(data["method"]), str(data["scope"]), str(data.get("caveat", "")),
        )  # fmt: skip


def in_order(curve: Curve) -> Curve:
    """Return the curve with its points sorted by x, as errors along the curve need them."""
    if np.all(np.diff(curve.x) >= 0):
        return curve
    order = np.argsort(curve.x, kind="stable")
    clusters = curve.clusters
    if clusters is not None:
        clusters = replace(clusters, sums=clusters.sums[:, order], counts=clusters.counts[:, order])
    counts = None if curve.counts is None else curve.counts[order]
    return replace(
        curve, x=curve.x[order], y=curve.y[order], weights=curve.weights[order], counts=counts, clusters=clusters
    )


def ordered_residuals(form: Form, curve: Curve, fit: Estimate) -> Array:
    """Deviance residuals of a fit in the order of x, shape (n,)."""
    r = estimate.residuals(form, curve.x, curve.y, curve.weights, fit.noise, form.vector(fit.params))
    return r[np.argsort(curve.x, kind="stable")]


def _slopes(form: Form, curve: Curve, noise_name: str, params: Array, without: tuple[str, ...] = ()) -> Array:
    """Derivative of the fit in units of the residuals, without parameters held (given names) or at a bound of 0."""
    with np.errstate(all="ignore"):
        weight = noise.get(noise_name).information(form.evaluate(curve.x, params), curve.weights)
        jac = form.jacobian(curve.x, params) * np.sqrt(weight)[:, None]
    keep = [
        i
        for i, q in enumerate(form.parameters)
        if q.name not in without and not (q.role in ("amplitude", "floor") and params[i] <= q.lower)
    ]
    return np.where(np.isfinite(jac), jac, 0.0)[:, keep]


def errors_of(form: Form, curve: Curve, fit: Estimate, orders: Sequence[tuple[int, int]] = ORDERS) -> Arma:
    """ARMA model of a fit's errors along the curve; independent errors for counted outcomes and failed fits."""
    if fit.status == "failed" or noise.get(fit.noise).discrete or not curve.serial:
        return WHITE
    ordered = in_order(curve)
    params = form.vector(fit.params)
    r = estimate.residuals(form, ordered.x, ordered.y, ordered.weights, fit.noise, params)
    return select_arma(r, _slopes(form, ordered, fit.noise, params), orders)


def _quantile(level: float, spare: float) -> float:
    """Two-sided quantile of Student's t; its square is that of F(1, spare)."""
    from scipy.special import stdtrit

    return float(stdtrit(max(spare, 1.0), 0.5 + 0.5 * level))


def robust_covariance(form: Form, curve: Curve, fit: Estimate, errors: Arma) -> Array:
    """Sandwich covariance of least-squares estimates, (J'J)⁻¹ M (J'J)⁻¹, shape (p, p).

    M = J'RJ under ARMA errors; for independent errors that of HC3.
    """
    from scipy.linalg import matmul_toeplitz

    ordered = in_order(curve)
    params = form.vector(fit.params)
    r = estimate.residuals(form, ordered.x, ordered.y, ordered.weights, fit.noise, params)
    free = [i for i, q in enumerate(form.parameters) if np.isfinite(fit.covariance[i, i])]
    out = np.full(fit.covariance.shape, np.nan)
    spare = fit.n / errors.time - len(free)
    if not free or spare <= 0:
        return out
    held = tuple(q.name for i, q in enumerate(form.parameters) if i not in free)
    jac = _slopes(form, ordered, fit.noise, params, held)
    if jac.shape[1] != len(free):
        return out
    size = np.linalg.norm(jac, axis=0)
    if not np.all(size > 0):
        return out
    jac = jac / size
    bread = np.linalg.pinv(jac.T @ jac)
    if errors.white:
        leverage = np.minimum(np.einsum("ni,ij,nj->n", jac, bread, jac), 0.99)
        out[np.ix_(free, free)] = _between(bread, jac * (r / (1.0 - leverage))[:, None], size)
        return out
    row = errors.autocovariance(min(r.size - 1, int(60.0 * errors.time) + 100))
    row = np.pad(row / row[0], (0, r.size - row.size))
    meat = jac.T @ matmul_toeplitz((row, row), jac)
    variance = float(r @ r) / (r.size - float(np.trace(bread @ meat)) if spare > 1 else r.size)
    out[np.ix_(free, free)] = variance * bread @ meat @ bread / np.outer(size, size)
    return out


def _between(bread: Array, rows: Array, size: Array) -> Array:
    return np.asarray(bread @ (rows.T @ rows) @ bread / np.outer(size, size))


def wald(fit: Estimate, covariance: Array, level: float, errors: Arma) -> dict[str, Interval]:
    """Symmetric intervals from the standard errors: one per parameter, infinite where it is not identified."""
    quantile = _quantile(level, fit.n / max(errors.time, 1.0) - len(fit.params))
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
    threshold, method = _quantile(level, spare) ** 2, _named("profile likelihood", errors, test)
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
        self.curve, self.variance = _evened(form, curve, fit)
        if self.variance:
            self.top, _ = self._fit({}, self.top, WHITE)
        self.lowest, self.highest = self._cost(self.top), 0.0
        if not errors.white:
            for _ in range(2):
                self.top, _ = self._fit({}, self.top, self.errors)
                self.reference = _slopes(form, self.curve, fit.noise, self.top)
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
        slopes = _slopes(self.form, c, self.noise, params, held or (self.name,))
        return estimate_arma(r, slopes, self.errors.order, self.errors, self.reference)

    def _widening(self) -> float:
        """Sandwich over model variance of the parameter, 1 unless the variance of the innovations clearly varies.

        Only where the variance was seen to vary and still does when it is modelled as a power of x or of the curve.
        The sandwich is HC3 (MacKinnon & White 1985, J. Econometrics 29:305).
        """
        c = self.curve
        if not self.variance:
            return 1.0
        r = estimate.residuals(self.form, c.x, c.y, c.weights, self.noise, self.top)
        jac = _slopes(self.form, c, self.noise, self.top)
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


def _evened(form: Form, curve: Curve, fit: Estimate) -> tuple[Curve, str]:
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
    q, _ = np.linalg.qr(_slopes(form, curve, fit.noise, params))
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
    if not errors.white or _evened(form, curve, fit)[1]:
        covariance = robust_covariance(form, curve, fit, errors)
    return wald(fit, covariance, level, errors)[name]


def resampled(
    form: Form,
    curve: Curve,
    clusters: Clusters,
    fit: Estimate,
    level: float,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
) -> tuple[dict[str, Interval], Array]:
    """Percentile intervals and covariance from resampling whole clusters (patterns or runs), refitted as one batch.

    Only for separable forms under Gaussian noise. The percentiles are those further out by Student's t and √(J/(J−1))
    for J clusters (Hesterberg 2015, Am. Stat. 69:371, §4.3). A parameter whose replicates pile up at its bound gets an
    infinite limit on that side. Curves of more than 800 points are refitted on means over 400 bins, and the
    replicates' deviations from the fit to these means are added to the fit to all points.
    """
    from scipy.special import ndtr

    draws = rng.multinomial(clusters.size, np.full(clusters.size, 1.0 / clusters.size), size=replicates).astype(float)
    shape = [form.names.index(q.name) for q in form.shape]
    best = form.vector(fit.params)
    low, high = separable.bounds_of(form, curve.x)
    spread = math.sqrt(clusters.size / (clusters.size - 1.0))
    tail = float(ndtr(-spread * _quantile(level, clusters.size - 1.0)))
    x = curve.x
    if x.size > 2 * _MEANS:
        label = separable.bins_of(x, _MEANS)
        x = np.bincount(label, x) / np.bincount(label)
        clusters = clusters.binned(label)

    def refit(multiplicity: Array) -> Array:
        y, w = clusters.resampled(multiplicity)
        starts = np.repeat(best[shape][None, None, :], len(y), axis=0) if shape else None
        return separable.solve(form, x, y, w, starts=starts, tolerance=1e-9).params

    centre = refit(np.ones((1, clusters.size)))
    width = max(1, 4_000_000 // x.size)  # replicates held at a time: 32 MB of curves
    rows = [best + refit(draws[at : at + width]) - centre for at in range(0, replicates, width)]
    params = np.concatenate(rows)
    method = f"{clusters.kind} resampled, {replicates} replicates, percentiles"
    scope = scope_of(form, curve, fit)
    out = {}
    for i, q in enumerate(form.parameters):
        a, b = (float(v) for v in np.quantile(params[:, i], [tail, 1.0 - tail]))
        if q.role == "shape":
            edge = low[i] == 0.0  # 0 is a value that the parameter may have, other bounds are only the solver's
            a = -math.inf if not edge and a <= low[i] * (1 + 1e-9 * np.sign(low[i])) else a
            b = math.inf if b >= high[i] * (1 - 1e-9) else b
        out[q.name] = Interval(a, b, level, method, scope, _few_clusters(clusters))
    return out, np.atleast_2d(np.cov(params.T)) * spread**2


def _few_clusters(clusters: Clusters) -> str:
    return f"only {clusters.size} {clusters.kind}" if clusters.size < ENOUGH_CLUSTERS else ""


def scope_of(form: Form, curve: Curve, fit: Estimate) -> str:
    """What an interval from resampled clusters speaks of: less than usual where clusters share shocks."""
    assert curve.clusters is not None
    usual = SCOPES.get(curve.clusters.kind, "this run")
    known = (curve.facts or {}).get("variance_inflation")
    if known is not None:
        together = bool(known["together"])
    else:
        ratio, p = shared_shocks(form, curve, fit)
        together = ratio > TOGETHER and p <= 0.01
    return CONDITIONAL if together else usual


def shared_shocks(form: Form, curve: Curve, fit: Estimate) -> tuple[float, float]:
    """Variance of the clusters' mean over that of independent clusters, from point to point, and its p-value.

    With E_jt the change of cluster j from one point to the next less the change of the fit, the ratio is
    Σ_t (Σ_j E_jt)² / Σ_t Σ_j E_jt²; the p-value is that of random signs for whole clusters.

    Returns
    -------
    float, float
        1 and 1 where there is too little to tell.
    """
    assert curve.clusters is not None
    label = separable.bins_of(curve.x, _SHOCK_POINTS)
    clusters = curve.clusters.binned(label)
    sums, counts = (np.asarray(v.todense() if hasattr(v, "todense") else v) for v in (clusters.sums, clusters.counts))
    fitted = form.evaluate(curve.x, form.vector(fit.params))
    fitted = np.bincount(label, fitted * curve.weights) / np.bincount(label, curve.weights)
    seen = counts > 0
    rest = np.where(seen, sums / np.where(seen, counts, 1.0) - fitted, 0.0)
    change = np.diff(rest, axis=1) * (seen[:, 1:] & seen[:, :-1])
    alone = float((change**2).sum())
    if change.shape[1] < 5 or alone <= 1e-300:
        return 1.0, 1.0
    ratio = float((change.sum(axis=0) ** 2).sum()) / alone
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(_FLIPS, len(change)))
    null = ((signs @ change) ** 2).sum(axis=1) / alone
    return ratio, float((1.0 + (null >= ratio).sum()) / (_FLIPS + 1.0))


@dataclass(frozen=True)
class Uncertainty:
    """What is known of the precision of one form's parameters.

    Attributes
    ----------
    intervals : dict of str to Interval
    covariance : ndarray, shape (p, p)
        Of the estimates; it allows for autocorrelated errors, uneven variance, or clusters, where there are such.
    errors : Arma
        Model of the errors along the curve.
    sensitivity : dict of str to Interval
        Block-bootstrap intervals, where they were asked for.
    """

    intervals: dict[str, Interval]
    covariance: Array
    errors: Arma = WHITE
    sensitivity: dict[str, Interval] = field(default_factory=dict)


def all_intervals(
    form: Form,
    curve: Curve,
    fit: Estimate,
    level: float,
    rng: np.random.Generator,
    *,
    errors: Arma | None = None,
    profiled: bool = True,
    thorough: bool = False,
) -> Uncertainty:
    """Intervals of every parameter: resampled clusters where there are enough, else profile (γ) and Wald (others).

    Parameters
    ----------
    form, curve, fit
        A form, the data, its fit.
    level : float
    rng : numpy Generator
        For resampling.
    errors : Arma, optional
        Model of the errors, if known already (:func:`errors_of`).
    profiled : bool
        False gives Wald intervals only.
    thorough : bool
        Calibrate the profile by parametric bootstrap, and add block-bootstrap intervals.
    """
    if fit.status == "failed":
        none = {name: Interval(-math.inf, math.inf, level, "none", "this curve") for name in form.names}
        return Uncertainty(none, fit.covariance)
    clusters = curve.clusters
    gaussian = fit.noise == "gaussian" and form.basis is not None
    if profiled and gaussian and clusters is not None and curve.resampleable:
        found, covariance = resampled(form, curve, clusters, fit, level, rng)
        return Uncertainty(found, covariance)
    errors = errors_of(form, curve, fit) if errors is None else errors
    covariance = fit.covariance
    if not errors.white or _evened(form, curve, fit)[1]:
        covariance = robust_covariance(form, curve, fit, errors)
    out = wald(fit, covariance, level, errors)
    sensitivity: dict[str, Interval] = {}
    if profiled and form.gamma is not None:
        out[form.gamma] = profile(form, curve, fit, form.gamma, level, errors, rng if thorough else None)
        if thorough and gaussian:
            sensitivity = block_bootstrap(form, curve, fit, level, rng)
    caveat = caveat_of(curve, fit, errors)
    if caveat:
        out = {name: replace(item, caveat=caveat) for name, item in out.items()}
    return Uncertainty(out, covariance, errors, sensitivity)


def block_bootstrap(
    form: Form, curve: Curve, fit: Estimate, level: float, rng: np.random.Generator
) -> dict[str, Interval]:
    """Percentile intervals from the stationary block bootstrap of the residuals (Politis & Romano 1994).

    A check on how much hangs on the ARMA model, not a replacement: at ρ = 0.9 it covers 81–83 % for 200 to 1,000
    points. The mean block length is that of Politis & White (2004), by the library arch.

    Raises
    ------
    MissingDependencyError
        If arch is not installed.
    """
    try:
        from arch.bootstrap import StationaryBootstrap, optimal_block_length
    except ImportError as error:
        raise MissingDependencyError("arch", "thorough", "the block bootstrap of the residuals") from error

    ordered = in_order(curve)
    params = form.vector(fit.params)
    r = estimate.residuals(form, ordered.x, ordered.y, ordered.weights, fit.noise, params)
    length = round(float(np.clip(optimal_block_length(r)["stationary"].iloc[0], 1.0, r.size / 4)))
    rows = StationaryBootstrap(length, r - r.mean(), seed=rng).bootstrap(REPLICATES)
    scale = np.sqrt(ordered.weights)
    y = form.evaluate(ordered.x, params) + np.stack([data[0][0] for data in rows]) / scale
    w = np.repeat(ordered.weights[None], len(y), axis=0)
    at = [form.names.index(q.name) for q in form.shape]
    starts = np.repeat(params[at][None, None], len(y), axis=0) if at else None
    found = separable.solve(form, ordered.x, y, w, starts=starts, tolerance=1e-9).params
    tail = 0.5 * (1.0 - level)
    low, high = np.quantile(found, [tail, 1.0 - tail], axis=0)
    method = f"stationary block bootstrap, mean length {length}, {REPLICATES} replicates"
    return {
        name: Interval(float(low[i]), float(high[i]), level, method, "this curve") for i, name in enumerate(form.names)
    }


def standard_errors(fit: Estimate, covariance: Array) -> dict[str, float]:
    """Standard errors from another covariance; what is at a bound (NaN) or not identified (inf) stays so."""
    with np.errstate(invalid="ignore"):
        root = np.sqrt(np.diag(covariance))
    return {name: old if not math.isfinite(old) else float(root[i]) for i, (name, old) in enumerate(fit.stderr.items())}


def caveat_of(curve: Curve, fit: Estimate, errors: Arma) -> str:
    """Why intervals from one ordered series are not to be trusted; "" where simulations found them good."""
    if curve.smoothing == "unknown":
        return "the curve was smoothed before it was logged, by a filter that is not known"
    points = fit.n / max(errors.time, 1.0)
    if points < ENOUGH_POINTS:
        return f"only {points:.0f} effective points"
    return ""

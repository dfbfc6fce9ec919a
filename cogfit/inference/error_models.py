"""Models of the errors about a fitted mean.

How they depend on each other, how heavy their tails are, and where they are larger than elsewhere: what a bootstrap
draws. An error is its local size times a stationary series of Gaussian or Student's innovations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogfit.curves.curve import Curve
from cogfit.engine import estimate
from cogfit.engine.arma import ORDERS, WHITE, Arma, restricted_loglik, select_arma, unit_columns
from cogfit.engine.estimate import Estimate
from cogfit.engine.long_memory import FractionalNoise, estimate_fractional
from cogfit.engine.noise import NOISE
from cogfit.formulas.form import Array, Form
from cogfit.inference.own_units import one_in_own_units
from cogfit.inference.residuals import in_order, slopes, span
from cogfit.inference.variance import Dependence, even_variance, fitted_innovations, is_uneven, power_of
from cogfit.native import distributions
from cogfit.native.distributions import log_gamma, student_cdf

_TAILS = np.array([2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 30.0])  # degrees of freedom tried besides infinity
_GROUPS = 8192  # of sizes, by which a tail is known as well as by all
_STRETCHES = 10  # of the curve, whose errors are compared in size
_FEWEST = 60  # points below which they are not
_LEVEL = 0.01  # at which stretches are called different
_CERTAIN = 4_000  # points from which on the best model counts as known
_NEAR_ONE = 0.9  # AR(1) coefficient below which so many points leave no doubt that memory is short
_MEMBERS = 16  # models that are mixed below
_OFFSETS = np.linspace(-3.0, 3.0, 13)  # standard errors from an estimate at which coefficients are tried
_LEAST = 0.05  # of what leverage leaves of a point's variance
_ROUNDS = 4  # in which size and dependence are estimated in turn


def errors_of(form: Form, curve: Curve, fit: Estimate, orders: Sequence[tuple[int, int]] = ORDERS) -> Arma:
    """ARMA model of a fit's errors along the curve.

    Independent errors for counted outcomes and failed fits. Where the variance is uneven, it is the model of the errors
    in units of their size, about a fit that allows for it: a few large errors look correlated by chance. Of a form with
    one order to try (it misses the curve) no more is asked.
    """
    if fit.status == "failed" or NOISE[fit.noise].discrete or not curve.serial:
        return WHITE
    curve, fit, _ = one_in_own_units(curve, form, fit)
    ordered, params = in_order(curve), form.vector(fit.params)
    r = estimate.residuals(form, ordered.x, ordered.y, ordered.weights, fit.noise, params)
    errors = select_arma(r, span(slopes(form, ordered, fit.noise, params)), orders)
    if len(orders) == 1:
        return errors
    weighted, name = even_variance(form, ordered, fit, errors)
    again = (
        estimate.estimate(form, ordered.x, ordered.y, weighted.weights, fit.noise, start=fit.params) if name else fit
    )
    if not name or again.status == "failed":
        return errors
    params = form.vector(again.params)
    r = estimate.residuals(form, ordered.x, ordered.y, weighted.weights, fit.noise, params)
    return select_arma(r, span(slopes(form, weighted, fit.noise, params)), orders)


@dataclass(frozen=True)
class ErrorModel:
    """Errors along a curve, in the order of x and over their local size.

    Attributes
    ----------
    members : tuple of (Arma or FractionalNoise, float)
        Dependences that the data allow, as often as they are likely, each with the SD of the errors under it.
    degrees : float
        Of freedom of Student's t for the innovations; inf for Gaussian ones.
    """

    members: tuple[tuple[Dependence, float], ...]
    degrees: float = math.inf

    @property
    def is_heavy(self) -> bool:
        """Whether large errors are more frequent than Gaussian ones."""
        return math.isfinite(self.degrees)

    def simulate(self, count: int, n: int, rng: np.random.Generator) -> Array:
        """Series of errors, shape (count, n)."""

        def series(dependence: Dependence, size: int) -> Array:
            variance = float(dependence.autocovariance(0)[0]) * _variance_of_t(self.degrees)
            return simulated(dependence, self.degrees, np.ones(n), size, rng) / math.sqrt(variance)

        return self._mixed(count, series, rng)

    def simulate_sums(self, count: int, begin: NDArray[np.int64], weight: Array, rng: np.random.Generator) -> Array:
        """Weighted sums of errors over bins, (count, bins).

        Bin b has the points begin[b] … begin[b + 1] − 1. The errors count as Gaussian, as sums of many are.
        """
        return self._mixed(count, lambda one, size: one.simulate_sums(size, begin, weight, rng), rng)

    def _mixed(self, count: int, draw: Callable[[Dependence, int], Array], rng: np.random.Generator) -> Array:
        """Rows of unit variance from every member, in random order and times its SD."""
        ends = np.linspace(0, count, len(self.members) + 1).round().astype(int)
        sizes = np.diff(ends).tolist()
        rows = [spread * draw(one, size) for (one, spread), size in zip(self.members, sizes, strict=True) if size]
        return np.concatenate(rows)[rng.permutation(count)] if len(rows) > 1 else rows[0]


INDEPENDENT = ErrorModel(((WHITE, 1.0),))
"""Independent Gaussian errors of unit SD."""


def fit_errors(residual: Array, design: Array, x: Array, fitted: Array, *, serial: bool) -> tuple[ErrorModel, Array]:
    """Model the errors about a mean.

    Parameters
    ----------
    residual : ndarray, shape (n,)
        In the order of x.
    design : ndarray, shape (n, p)
        Columns that span the mean near its fit, as residuals have them.
    x, fitted : ndarray, shape (n,)
        Of which the variance may be a power.
    serial : bool
        Whether neighbours may depend on each other.

    Returns
    -------
    ErrorModel
        Of the errors over their local size.
    ndarray, shape (n,)
        The local size; 1 throughout where it is not seen to vary.
    """
    # size and dependence in turn: where the sizes differ, a few points would decide on the dependence
    scale = np.ones(x.size)
    for last in (*(False,) * _ROUNDS, True):
        rows = _standardised(residual, design, scale)
        dependences = _likely_dependences(rows) if serial else (WHITE,)
        innovation, leverage = fitted_innovations(rows[-1], rows[:-1].T, dependences[0])
        # a point that draws the fit to itself misses it by less, which its leverage makes good
        standard = innovation / np.sqrt(np.maximum(1.0 - leverage, _LEAST))
        rest = None if last else _local_size(standard, x, fitted)
        if rest is None:
            break
        scale = scale * rest
    return ErrorModel(tuple((one, _spread(rows, one)) for one in dependences), tail(standard)), scale


def _spread(rows: Array, dependence: Dependence) -> float:
    """SD of the errors under a dependence."""
    innovation, _ = fitted_innovations(rows[-1], rows[:-1].T, dependence)
    variance = float(innovation @ innovation) / (innovation.size - len(rows) + 1)
    return math.sqrt(variance * float(dependence.autocovariance(0)[0]))


def _standardised(residual: Array, design: Array, scale: Array) -> Array:
    """Orthonormal rows of the design, then the residual, over the local size."""
    q, _ = np.linalg.qr(design / scale[:, None])
    return np.concatenate([q.T, (residual / scale)[None]])


def _likely_dependences(rows: Array) -> tuple[Dependence, ...]:
    """Dependences of errors, as often as they are likely; the likeliest first.

    The last row are the residuals, the others span the mean. A single best model would be taken for known: its
    coefficients are uncertain, and whether memory is long a short series does not tell. So ARMA errors and long memory
    are mixed by BIC, and within them coefficients by restricted likelihood, uniform before that.
    """
    residual, design, n = rows[-1], rows[:-1].T, rows.shape[1]
    errors = select_arma(residual, design)
    if errors.white:
        return (WHITE,)
    if n > _CERTAIN and errors.order == (1, 0) and abs(errors.phi[0]) < _NEAR_ONE:
        return (errors,)
    fractional, best = estimate_fractional(residual, design)
    if n > _CERTAIN:
        loglik = restricted_loglik(errors, residual, unit_columns(design))
        return (fractional if best > loglik - 0.5 * (sum(errors.order) - 1) * math.log(n) else errors,)

    # (log weight, model): the families by their best members, at BIC's price
    columns = unit_columns(design)
    short: list[tuple[float, Dependence]] = [
        (restricted_loglik(one, residual, columns), one) for one in _nearby(errors, n)
    ]
    width = math.sqrt(6.0 / n) / math.pi  # standard error of d
    around = np.unique(np.clip(fractional.d + width * _OFFSETS, 0.005, 0.49)).tolist()
    long: list[tuple[float, Dependence]] = [
        (noise.restricted_loglik(residual, columns), noise) for noise in map(FractionalNoise, around)
    ]
    weights, models = list[float](), list[Dependence]()
    for family, count in ((short, sum(errors.order)), (long, 1)):
        highest = max(value for value, _ in family)
        share = np.exp([value - highest for value, _ in family])
        weights += (highest - 0.5 * count * math.log(n) + np.log(share / share.sum() + 1e-300)).tolist()
        models += [one for _, one in family]
    chance = np.exp(np.array(weights) - max(weights))
    drawn = np.searchsorted(np.cumsum(chance) / chance.sum(), (np.arange(_MEMBERS) + 0.5) / _MEMBERS)
    first = int(np.argmax(chance))
    return tuple(models[i] for i in sorted(drawn.tolist(), key=lambda i: i != first))


def _nearby(errors: Arma, n: int) -> list[Arma]:
    """AR(1) errors over what their coefficient may be; others as they are."""
    if errors.order != (1, 0):
        return [errors]
    width = math.sqrt(max(1.0 - errors.phi[0] ** 2, 1.0 / n) / n)
    return [Arma((float(rho),)) for rho in np.unique(np.clip(errors.phi[0] + width * _OFFSETS, -0.9995, 0.9995))]


def _local_size(innovation: Array, x: Array, fitted: Array) -> Array | None:
    """Size of innovations along the curve, beside their mean.

    A power of x or of the curve, then local means where stretches still differ. None where nothing is seen to vary.
    """
    scale = None
    if is_uneven(innovation, x, fitted):
        model = power_of(innovation, x, fitted)
        if model is not None:
            scale = np.exp(0.5 * model.log_variance)
            innovation = innovation / scale
    if _stretches_differ(innovation):
        local = unevenness(innovation)
        scale = local if scale is None else scale * local
    return scale


def _stretches_differ(innovation: Array) -> bool:
    """Whether some stretches have larger errors than others.

    An analysis of variance of |u| (Brown & Forsythe 1974, J. Am. Stat. Assoc. 69:364): heavy tails do not
    mislead it.
    """
    if innovation.size < _FEWEST:
        return False
    parts = np.array_split(np.abs(innovation), _STRETCHES)
    within = sum(float(((part - part.mean()) ** 2).sum()) for part in parts)
    total = np.concatenate(parts)
    between = float(((total - total.mean()) ** 2).sum()) - within
    numerator, denominator = _STRETCHES - 1.0, total.size - float(_STRETCHES)
    f = between / numerator / max(within / denominator, 1e-300)
    return float(distributions.f_sf(f, numerator, denominator)) < _LEVEL


def innovations(residual: Array, rows: Array, errors: Dependence) -> Array:
    """Whitened residuals of generalised least squares, (n,).

    The rows (p, n) span the mean.
    """
    white = errors.whiten(np.concatenate([rows, residual[None]]))
    return np.asarray(white[-1] - np.linalg.lstsq(white[:-1].T, white[-1], rcond=None)[0] @ white[:-1])


def unevenness(innovation: Array) -> Array:
    """Local size of innovations beside their mean size, (n,).

    Means of |u| over a tenth of the points (31 at least).
    """
    size = np.abs(innovation)
    half = min(max(15, size.size // 20), size.size - 1)
    total = np.concatenate([[0.0], np.cumsum(size)])
    index = np.arange(size.size)
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, size.size)
    local = (total[high] - total[low]) / (high - low)
    mean = float(size.mean())
    return np.maximum(local / mean, 1e-3) if mean > 0.0 else np.ones(size.size)


def tail(innovation: Array) -> float:
    """Degrees of freedom of Student's t for innovations (n,).

    inf for Gaussian ones.

    The largest (one, or 1 %) count only as large: the one that a step makes is no sign of heavy tails.
    """
    size = np.sort(np.abs(innovation))
    n_large = max(1, size.size // 100)
    kept, threshold = size[:-n_large], size[-n_large - 1]
    if threshold == 0.0:
        return math.inf
    kept, times = _grouped(kept)
    nu = np.append(_TAILS, 1e6)[:, None]
    scale = max(float(np.median(size)), 0.05 * float(threshold)) / 0.6745 * np.geomspace(0.5, 1.4, 24)
    spread = np.stack([np.log1p((kept / sigma) ** 2 / nu) @ times for sigma in scale], axis=1)
    value = times.sum() * (log_gamma(0.5 * nu + 0.5) - log_gamma(0.5 * nu) - 0.5 * np.log(nu * math.pi) - np.log(scale))
    logliks = (value - 0.5 * (nu + 1.0) * spread + n_large * np.log(student_cdf(-threshold / scale, nu))).max(axis=1)
    return float(_TAILS[logliks[:-1].argmax()]) if logliks[:-1].max() > logliks[-1] + 1.0 else math.inf


def _grouped(size: Array) -> tuple[Array, Array]:
    """Sizes in order, and how often each counts.

    Many are taken in groups of neighbours, by their root mean squares: what is summed is smooth.
    """
    begin = np.unique(np.linspace(0, size.size, min(size.size, _GROUPS), endpoint=False).astype(int))
    times = np.diff(begin, append=size.size).astype(float)
    return np.sqrt(np.add.reduceat(size**2, begin) / times), times


def simulated(errors: Dependence, nu: float, scale: Array, size: int, rng: np.random.Generator) -> Array:
    """Curves (size, n) with innovations of given scales (n,).

    The innovations are Gaussian or of Student's t.
    """
    shape = size, scale.size
    shock = scale * (rng.standard_normal(shape) if math.isinf(nu) else rng.standard_t(nu, shape))
    return errors.driven(shock, rng, float(scale[0]) * math.sqrt(_variance_of_t(nu)))


def _variance_of_t(nu: float) -> float:
    """Variance of Student's t."""
    return 1.0 if math.isinf(nu) else nu / (nu - 2.0)

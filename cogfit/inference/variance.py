"""Uneven variance: errors that are larger in some parts of a curve."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine import estimate, noise
from cogfit.engine.arma import WHITE, Arma, estimate_arma, unit_columns
from cogfit.engine.estimate import Estimate
from cogfit.engine.long_memory import FractionalNoise
from cogfit.formulas.form import Array, Form, lifted_log
from cogfit.inference.residuals import in_order, slopes, span
from cogfit.native import distributions

Dependence = Arma | FractionalNoise
"""How errors along a curve depend on each other."""

_VARIANCE_POINTS = 20  # below, no model of the variance is tried
_ROUNDS = 5  # in which fit and variance are estimated in turn
_SETTLED = 0.02  # change of the variance's exponent at which they are
_LEAST = 0.01  # of what leverage leaves of a point's variance
_NO_DIRECTION = 1e-9  # singular value, relative to the largest, that is rounding of one column in others
_NEWTON = 40  # steps of the search for the exponent


def is_uneven(r: Array, x: Array, fitted: Array) -> bool:
    """Whether sizes of residuals depend on x or the curve.

    Koenker 1981 (J. Econometrics 17:107), of |r| in place of r² so that no few large errors decide; at 5 %.
    """
    columns = [np.ones(x.size)]
    for v in (lifted_log(x), fitted):
        if np.all(np.isfinite(v)) and np.ptp(v) > 0:
            columns.append((v - v.mean()) / np.ptp(v))
    # the columns are of like size, and of collinear ones (log x, and a curve linear in it) their products tell enough
    design, size = np.stack(columns), np.abs(r)
    left = size - np.linalg.pinv(design @ design.T, rcond=1e-12, hermitian=True) @ (design @ size) @ design
    size -= size.mean()
    total = float(size @ size)
    share = 1.0 - float(left @ left) / total if total > 0 else 0.0
    return distributions.chi2_sf(max(share, 0.0) * x.size, len(columns) - 1) < 0.05


def has_uneven_variance(form: Form, curve: Curve, fit: Estimate, errors: Arma = WHITE) -> bool:
    """Whether errors are larger in some parts of the curve.

    What is tested are the innovations: correlated errors wander, which looks as if their size changed.
    """
    if noise.get(fit.noise).discrete or curve.x.size < _VARIANCE_POINTS:
        return False
    if curve.noise == fit.noise:  # the standard errors of the values are known: their weights have made it even
        return False
    ordered, params = in_order(curve), form.vector(fit.params)
    r = estimate.residuals(form, ordered.x, ordered.y, ordered.weights, fit.noise, params)
    if not np.any(r) or not np.all(np.isfinite(r)):
        return False
    innovation, leverage = fitted_innovations(r, slopes(form, ordered, fit.noise, params), errors)
    standard = innovation / np.sqrt(np.maximum(1.0 - leverage, _LEAST))
    return is_uneven(standard, ordered.x, form.evaluate(ordered.x, params))


def even_variance(form: Form, curve: Curve, fit: Estimate, errors: Arma = WHITE) -> tuple[Curve, str]:
    """Weights that make the variance even.

    The curve with these, and a name for the model; as it is and "" where the variance is even.

    The variance is a power of x or of the fitted curve, whichever follows the size of the innovations better. Fit,
    variance and errors depend on each other, for where the variance is very uneven a few points decide on all that is
    fitted without weights: they are estimated in turn.

    Parameters
    ----------
    form, curve, fit
        A form, the data in the order of x, its fit.
    errors : Arma
        Model of the errors about the fit.
    """
    if not has_uneven_variance(form, curve, fit, errors):
        return curve, ""
    x, y, model = curve.x, curve.y, None
    params, weighted, before = form.vector(fit.params), curve, math.inf
    for _ in range(_ROUNDS):
        root = np.ones(x.size) if model is None else np.exp(0.5 * model.log_variance)
        r = estimate.residuals(form, x, y, curve.weights, fit.noise, params) / root
        columns = slopes(form, weighted, fit.noise, params)
        if model is not None:
            errors = estimate_arma(r, columns, errors.order)[0]

        # a point that draws the fit to itself misses it by less, which its leverage makes good
        innovation, leverage = fitted_innovations(r, columns, errors)
        size = root * innovation / np.sqrt(np.maximum(1.0 - leverage, _LEAST))
        model = power_of(size, x, form.evaluate(x, params))
        if model is None:
            return curve, ""
        weighted = replace(curve, weights=curve.weights * np.exp(-model.log_variance))
        if abs(model.exponent - before) < _SETTLED:
            break
        before = model.exponent
        again = estimate.estimate(form, x, y, weighted.weights, fit.noise, start=fit.params)
        if again.status == "failed":
            break
        params = form.vector(again.params)
    return weighted, "" if model is None else model.name


def fitted_innovations(residual: Array, design: Array, errors: Dependence) -> tuple[Array, Array]:
    """Innovations that generalised least squares leaves, and leverages.

    Both (n,); the design is (n, p).
    """
    white = errors.whiten(np.concatenate([unit_columns(design).T, residual[None]]))
    q = span(white[:-1].T, _NO_DIRECTION)
    return white[-1] - q @ (q.T @ white[-1]), np.asarray((q**2).sum(axis=1))


@dataclass(frozen=True)
class VarianceModel:
    """Variance as a power of x or the curve."""

    of: str
    exponent: float
    gain: float  # of the log-likelihood
    log_variance: Array  # (n,), 0 on average

    @property
    def name(self) -> str:
        """For example ``variance ∝ x^-2``."""
        return f"variance ∝ {self.of}^{self.exponent:.2g}"


def power_of(r: Array, x: Array, fitted: Array) -> VarianceModel | None:
    """Model a variance as a power.

    None where neither is a model of it.
    """
    models = [_power_of(label, v, np.abs(r)) for label, v in (("x", x), ("curve", fitted))]
    # for a power law the two are one model, and rounding must not name it
    best = max(
        (model for model in models if model is not None), key=lambda model: float(f"{model.gain:.9g}"), default=None
    )
    return best if best is not None and best.gain > 0.0 else None


def _power_of(label: str, v: Array, size: Array) -> VarianceModel | None:
    """Exponent of v at which |r| / SD does not depend on log v.

    That is the maximum of the likelihood of |r| as exponential with mean ∝ v^(exponent/2), n times the log of the mean
    of |r|·v^(−exponent/2) being convex: as good as Gaussian likelihood (94 % of its efficiency), and no large residual
    decides alone (as squares would let it) nor a small one (as their logarithms would).
    """
    if v.min() <= 0 or np.ptp(v) == 0:
        return None
    u = np.log(v) - np.log(v).mean()
    half, reach = 0.0, 1.0 / float(np.abs(u).max())
    for _ in range(_NEWTON):
        share = size * np.exp(-half * u)
        share /= share.sum()
        mean = float(share @ u)
        step = mean / max(float(share @ (u - mean) ** 2), 1e-300)
        half += math.copysign(min(abs(step), 2.0 * reach), step)
        if abs(step) < 1e-6 * reach:
            break
    even = size * np.exp(-half * u)
    gain = size.size * math.log(float(size.mean()) / float(even.mean()))
    # drawn in by its standard error, for too steep a model gives a few points all the weight
    variation = float(even.var()) / float(even.mean()) ** 2
    half = math.copysign(max(abs(half) - math.sqrt(variation / float(u @ u)), 0.0), half)
    return VarianceModel(label, 2.0 * half, gain, 2.0 * half * u)

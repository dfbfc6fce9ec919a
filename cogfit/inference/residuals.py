"""Residuals along the curve: order, ARMA errors, covariance."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine import estimate, noise
from cogfit.engine.arma import Arma, unit_rows
from cogfit.engine.estimate import Estimate
from cogfit.formulas.form import Array, Form
from cogfit.native.kernels import triangle

_DEPENDENT = 1e-6  # singular value, relative to the largest, from which a direction of the mean is one of its own


def in_order(curve: Curve) -> Curve:
    """Return the curve with its points sorted by x.

    Errors along the curve need them so.
    """
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
    """Deviance residuals in the order of x, shape (n,)."""
    r = estimate.residuals(form, curve.x, curve.y, curve.weights, fit.noise, form.vector(fit.params))
    return r[np.argsort(curve.x, kind="stable")]


def slopes(form: Form, curve: Curve, noise_name: str, params: Array, without: tuple[str, ...] = ()) -> Array:
    """Derivative of the fit in units of the residuals.

    Parameters held (given names) or at a bound of 0 are left out.
    """
    with np.errstate(all="ignore"):
        weight = noise.get(noise_name).information(form.evaluate(curve.x, params), curve.weights)
        jac = form.jacobian(curve.x, params)
    keep = [
        i
        for i, q in enumerate(form.parameters)
        if q.name not in without and not (q.role in ("amplitude", "floor") and params[i] <= q.lower)
    ]
    rows = np.ascontiguousarray(jac.T)[keep]
    rows *= np.sqrt(weight)
    is_finite = np.isfinite(rows)
    if not is_finite.all():
        rows[~is_finite] = 0.0
    return rows.T


def span(columns: Array, dependent: float = _DEPENDENT) -> Array:
    """Orthonormal basis of what columns (n, p) span.

    Restricted likelihood needs no more of the mean, and breaks down where columns are sums of others: singular values
    that many times smaller than the largest give no direction. They come from the triangular factor, for columns may be
    long.
    """
    rows = unit_rows(columns)
    if not rows.size:
        return rows.T
    _, s, v = np.linalg.svd(triangle(rows))
    is_used = s > dependent * s[0]
    return np.asarray(((v[is_used] / s[is_used, None]) @ rows).T)


@np.errstate(all="ignore")  # what overflows is as good as infinite
def effective_points(form: Form, curve: Curve, fit: Estimate, errors: Arma) -> float:
    """Independent points that tell as much about the exponent.

    The information about γ (or the first other parameter of the form's shape) under the errors, over that under
    independent errors of the same variance, times n. What correlation costs a mean it need not cost a slope.

    Returns
    -------
    float
        From 1 to n; that of a mean (:meth:`Arma.points`) where the form has no such parameter, or does not determine
        it.
    """
    name = form.gamma or (form.shape[0].name if form.shape else "")
    if errors.white or fit.status == "failed":
        return float(fit.n)
    ordered = in_order(curve)
    rows = slopes(form, ordered, fit.noise, form.vector(fit.params)).T
    others = slopes(form, ordered, fit.noise, form.vector(fit.params), (name,)).T
    if not name or len(others) == len(rows):
        return errors.points(fit.n)
    variance = float(errors.autocovariance(0)[0])
    white = _information(rows, others)
    information = variance * _information(errors.whiten(rows), errors.whiten(others))
    if not white > 0.0 or not math.isfinite(information):
        return errors.points(fit.n)
    return min(max(fit.n * information / white, 1.0), float(fit.n))


def _information(rows: Array, others: Array) -> float:
    """Information about the parameter of which `others` lack the row.

    The ratio of two determinants, by factors of columns of unit length.
    """
    logs = []
    for columns in (rows, others):
        length = np.maximum(np.linalg.norm(columns, axis=1), 1e-300)
        upper = np.linalg.qr((columns / length[:, None]).T, mode="r")
        logs.append(float(np.log(np.maximum(np.abs(np.diag(upper)) * length, 1e-300)).sum()))
    return math.exp(min(2.0 * (logs[0] - logs[1]), 700.0))


@np.errstate(all="ignore")  # what overflows is as good as infinite
def robust_covariance(form: Form, curve: Curve, fit: Estimate, errors: Arma) -> Array:
    """Sandwich covariance of least-squares estimates, shape (p, p).

    (J'J)⁻¹ M (J'J)⁻¹, with M = J'RJ under ARMA errors; for independent errors that of HC3.
    """
    ordered = in_order(curve)
    params = form.vector(fit.params)
    r = estimate.residuals(form, ordered.x, ordered.y, ordered.weights, fit.noise, params)
    free = [i for i, q in enumerate(form.parameters) if np.isfinite(fit.covariance[i, i])]
    out = np.full(fit.covariance.shape, np.nan)
    degrees_of_freedom = errors.points(fit.n) - len(free)
    if not free or degrees_of_freedom <= 0:
        return out
    held = tuple(q.name for i, q in enumerate(form.parameters) if i not in free)
    rows = slopes(form, ordered, fit.noise, params, held).T
    if len(rows) != len(free):
        return out
    # rows of unit length keep the products well conditioned
    length = np.sqrt(np.einsum("pn,pn->p", rows, rows))
    if not np.all(length > 0):
        return out
    rows /= length[:, None]
    bread = np.linalg.pinv(rows @ rows.T)
    if errors.white:
        leverage = np.minimum(np.einsum("pn,pn->n", bread @ rows, rows), 0.99)
        weighted = rows * (r / (1.0 - leverage))
        inside = bread @ (weighted @ weighted.T) @ bread
    else:
        meat = errors.correlated_products(rows)
        variance = float(r @ r) / (r.size - float(np.trace(bread @ meat)) if degrees_of_freedom > 1 else r.size)
        inside = variance * bread @ meat @ bread
    with np.errstate(over="ignore"):  # a parameter of which the curve says next to nothing
        out[np.ix_(free, free)] = inside / np.outer(length, length)
    return out

"""Likelihood of a change of level under AR(1) errors.

It is computed for many curves, columns and values of ρ at once.

R⁻¹ of AR(1) errors is tridiagonal, so that every product a'R⁻¹b is a quadratic polynomial in ρ. With the products of
all columns at hand, a curve costs a cumulative sum (sharp steps) and one pass over columns and values of ρ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogfit.formulas.form import Array
from cogfit.native.changes import best_gains

RHO = np.tanh(np.linspace(-0.5, 3.0, 30))
"""Values of the lag-1 correlation tried."""


def neighbours(rows: Array) -> Array:
    """Sum of the two neighbours of every point.

    Along the last axis.
    """
    out = np.zeros_like(rows)
    out[..., 1:] += rows[..., :-1]
    out[..., :-1] += rows[..., 1:]
    return out


def products(a: Array, b: Array, rho: Array = RHO) -> Array:
    """Products a'R⁻¹b in units of the innovation variance.

    a (p, n), b (q, n) -> (values of ρ, p, q).
    """
    ends = np.outer(a[:, 0], b[:, 0]) + np.outer(a[:, -1], b[:, -1])
    r = rho[:, None, None]
    return np.asarray((1.0 + r * r) * (a @ b.T) - r * (a @ neighbours(b).T) - r * r * ends)


def loglik(rss: Array, n: int) -> Array:
    """Log-likelihood of AR(1) errors for each ρ.

    ρ runs along the last axis; the scale is estimated.
    """
    return np.asarray(-0.5 * n * np.log(np.maximum(rss, 1e-300)) + 0.5 * np.log1p(-(RHO**2)))


def peak(values: Array) -> Array:
    """Maximum over the last axis.

    A parabola through the highest value and its neighbours gives it.
    """
    k = np.clip(values.argmax(axis=-1), 1, values.shape[-1] - 2)[..., None]
    a, b, c = (np.take_along_axis(values, k + i, axis=-1)[..., 0] for i in (-1, 0, 1))
    curvature = a - 2.0 * b + c
    inside = (curvature < 0.0) & (b >= a) & (b >= c)
    return np.where(inside, b - (c - a) ** 2 / (8.0 * np.where(inside, curvature, -1.0)), values.max(axis=-1))


@dataclass(frozen=True)
class Mean:
    """Orthonormal rows that span a mean, (p, n).

    The record holds inverse Cholesky factors of their products for each ρ, too.
    """

    rows: Array
    inverse: Array

    @classmethod
    def from_rows(cls, rows: Array) -> Mean:
        """Span any rows. What depends on the others is left out."""
        size = np.linalg.norm(rows, axis=1)
        _, s, vt = np.linalg.svd(rows[size > 0] / size[size > 0, None], full_matrices=False)
        basis = np.ascontiguousarray(vt[s > 1e-6 * s[0]])
        return cls(basis, np.linalg.inv(np.linalg.cholesky(products(basis, basis))))

    def project(self, y: Array) -> tuple[Array, Array]:
        """Generalised least squares of curves on the mean.

        RSS (curves, values of ρ) and coordinates (values of ρ, p, curves).
        """
        squares, lag = np.einsum("rn,rn->r", y, y), 2.0 * np.einsum("rn,rn->r", y[:, 1:], y[:, :-1])
        r = RHO[:, None]
        u = self.inverse @ products(self.rows, y)
        rss = (1.0 + r * r) * squares - r * lag - r * r * (y[:, 0] ** 2 + y[:, -1] ** 2)
        return np.maximum((rss - np.einsum("kpr,kpr->kr", u, u)).T, 1e-300), u

    def max_loglik(self, y: Array) -> float:
        """Largest log-likelihood of one curve (n,)."""
        return float(peak(loglik(self.project(y[None])[0], y.size))[0])


def effects(rows: Array, y: Array) -> Array:
    """Coefficients of the rows (p, n) in a curve (n,).

    They come from generalised least squares at the best ρ.
    """
    rho = RHO[int(loglik(Mean.from_rows(rows).project(y[None])[0], y.size)[0].argmax())]
    normal = products(rows, np.concatenate([rows, y[None]]), np.array([rho]))[0]
    return np.asarray(np.linalg.lstsq(normal[:, :-1], normal[:, -1], rcond=1e-12)[0])


@dataclass(frozen=True)
class Candidates:
    """Columns that may join a mean.

    With N = N₀ − ρN₁ + ρ²N₂ their product with a curve, the RSS falls by (N − v'u)²/d.

    Attributes
    ----------
    against : callable
        Curves (r, n) to N₀, N₁, N₂, each (r, columns).
    v, inverse : ndarray, shapes (values of ρ, p, columns) and (values of ρ, columns)
        Products with the mean; 1/d, or 0 for a column that the mean contains.
    """

    against: Callable[[Array], tuple[Array, Array, Array]]
    v: Array
    inverse: Array

    @classmethod
    def from_products(
        cls, mean: Mean, against: Callable[[Array], tuple[Array, Array, Array]], own: Array
    ) -> Candidates:
        """Build from the products of the columns with themselves.

        `own` has shape (values of ρ or 1, columns).
        """
        n0, n1, n2 = against(mean.rows)
        r = RHO[:, None, None]
        v = mean.inverse @ (n0 - r * n1 + r * r * n2)
        remainder = own - np.einsum("kpm,kpm->km", v, v)
        return cls(against, v, np.where(remainder > 1e-8 * own, 1.0 / np.maximum(remainder, 1e-300), 0.0))

    def gains(self, y: Array, u: Array, count: int | None = None) -> Array:
        """Largest fall of the RSS over the columns.

        The first `count` columns are searched; the result is (curves, values of ρ).
        """
        n0, n1, n2 = (part[:, :count] for part in self.against(y))
        return best_gains((n0, n1, n2), self.v[:, :, :count], u, self.inverse[:, :count], RHO)

    def max_logliks(self, mean: Mean, y: Array) -> Array:
        """Largest log-likelihood with each of the columns, (columns,).

        The likelihoods are those of one curve (n,).
        """
        rss, u = mean.project(y[None])
        n0, n1, n2 = (part[0][:, None] for part in self.against(y[None]))
        product = n0 - RHO * n1 + RHO**2 * n2 - np.einsum("kpm,kp->mk", self.v, u[:, :, 0])
        return peak(loglik(rss - product**2 * self.inverse.T, y.size))


def steps(mean: Mean, root: Array, at: NDArray[np.intp], gradual: Array) -> Candidates:
    """Sharp steps, then gradual columns.

    The steps start at the points `at`; the columns are (columns, n); √weight is `root`.
    """
    weighted = gradual * root
    first = np.concatenate([np.zeros(at.size), weighted[:, 0]])
    last = np.concatenate([np.full(at.size, root[-1]), weighted[:, -1]])

    def from_there(rows: Array) -> Array:
        return np.asarray(np.cumsum((rows * root)[:, ::-1], axis=1)[:, ::-1][:, at])

    def against(y: Array) -> tuple[Array, Array, Array]:
        lagged = neighbours(y)
        n0, n1 = (np.concatenate([from_there(rows), rows @ weighted.T], axis=1) for rows in (y, lagged))
        return n0, n1, n0 - y[:, :1] * first - y[:, -1:] * last

    following = np.append(root[1:], 0.0)[None]
    q0 = np.concatenate([from_there(root[None])[0], np.einsum("mn,mn->m", weighted, weighted)])
    q1 = np.concatenate([from_there(following)[0], np.einsum("mn,mn->m", weighted[:, 1:], weighted[:, :-1])])
    r = RHO[:, None]
    return Candidates.from_products(mean, against, (1.0 + r * r) * q0 - 2.0 * r * q1 - r * r * (first**2 + last**2))


def shocks(mean: Mean, at: NDArray[np.intp]) -> Candidates:
    """A single innovation at each of the points.

    The points are 1 or later. What it adds to the curve decays as errors do.
    """

    def against(y: Array) -> tuple[Array, Array, Array]:
        return y[:, at], y[:, at - 1], np.zeros((len(y), at.size))

    return Candidates.from_products(mean, against, np.ones((1, at.size)))


def statistic(mean: Mean, step: Candidates, shock: Candidates, y: Array, minimum: float = 0.0) -> Array:
    """Log-likelihood gained by each curve's best step.

    ρ is that beside the best step, with the step and without: were it estimated without, a gradual change would count
    as wandering. 0 where the best shock gains more, or if it is below `minimum`.
    """
    n = y.shape[1]
    rss, u = mean.project(y)
    beside = rss - step.gains(y, u)
    with_step = loglik(beside, n)
    best = with_step.argmax(axis=1)[:, None]
    ratio = np.take_along_axis(rss, best, axis=1) / np.maximum(np.take_along_axis(beside, best, axis=1), 1e-300)
    gain = 0.5 * n * np.log(ratio[:, 0])
    (open_curves,) = np.nonzero(gain >= minimum)
    if open_curves.size:
        with_shock = peak(loglik(rss[open_curves] - shock.gains(y[open_curves], u[:, :, open_curves]), n))
        gain[open_curves[with_shock >= peak(with_step[open_curves])]] = 0.0
    return np.where(gain >= minimum, gain, 0.0)

"""The linear mixed model at which a non-linear one is linearised.

Each member is reduced to small matrices once; likelihood and gradient then cost nothing that depends on the number of
points. This is the linear step of Lindstrom & Bates 1990, Biometrics 46:673.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cogfit.formulas.form import Array
from cogfit.population.layout import Layout, inverse_of

_LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Summaries:
    """Members of a linearised model.

    The response is r = y − f + Jb at the point of linearisation: r = J(β − β₀) + Jb + error.

    Attributes
    ----------
    information : ndarray, shape (m, p, p)
        J'WJ.
    product : ndarray, shape (m, p)
        J'Wr.
    square : ndarray, shape (m,)
        r'Wr.
    centre : ndarray, shape (p,)
        β₀.
    n_points : int
        Of all members.
    log_weights : float
        Sum over all points.
    """

    information: Array
    product: Array
    square: Array
    centre: Array
    n_points: int
    log_weights: float


@dataclass(frozen=True)
class LinearObjective:
    """Log-likelihood of the linearised model, and its gradient.

    Attributes
    ----------
    summaries : Summaries
    layout : Layout
    random : ndarray of int, shape (q,)
    is_restricted : bool
        Whether the means are integrated out (REML).
    """

    summaries: Summaries
    layout: Layout
    random: tuple[int, ...]
    is_restricted: bool

    def value(self, theta: Array) -> float:
        """Log-likelihood at a vector of parameters."""
        return self.value_and_gradient(theta)[0]

    def gradient(self, theta: Array) -> Array:
        """Its gradient."""
        return self.value_and_gradient(theta)[1]

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """Log-likelihood and gradient."""
        s, random = self.summaries, np.array(self.random)
        mean, factor, log_sigma = self.layout.unpack(theta)
        precision = math.exp(-2.0 * float(log_sigma))
        shift = mean - s.centre
        information = s.information * precision
        # residuals about the means: J'We, e'We
        by_shift = information @ shift
        product = s.product * precision - by_shift
        square = s.square * precision - 2.0 * precision * (s.product @ shift) + by_shift @ shift
        # V⁻¹ of each member through the q×q curvature
        cross = information[:, :, random] @ factor  # J'WZΛ/σ²
        curvature = np.swapaxes(cross[:, random], 1, 2) @ factor + np.eye(factor.shape[0])
        curvature = 0.5 * (curvature + np.swapaxes(curvature, 1, 2))
        pull = product[:, random] @ factor
        blup = np.linalg.solve(curvature, pull[..., None])[..., 0]
        solved = np.linalg.solve(curvature, np.swapaxes(cross, 1, 2))  # H⁻¹Λ'Z'WJ/σ²
        fixed = information - cross @ solved  # J'V⁻¹J
        weighted = product - (cross @ blup[..., None])[..., 0]  # J'V⁻¹e
        quadratic = square - (pull * blup).sum(axis=1)  # e'V⁻¹e
        total = fixed.sum(axis=0)
        log_determinant = np.linalg.slogdet(curvature)[1].sum()
        value = -0.5 * (s.n_points * (_LOG_2PI + 2.0 * log_sigma) - s.log_weights + log_determinant + quadratic.sum())
        # derivatives: by the means, by D through its factor, by log σ
        u, t = weighted[:, random], fixed[:, random[:, None], random]
        by_covariance = u.T @ u - t.sum(axis=0)
        explained = (np.swapaxes(factor, 0, 1) @ u[..., None])[..., 0]
        by_sigma = (quadratic - (explained**2).sum(axis=1)).sum() - s.n_points
        by_sigma += float(np.einsum("ij,mjk,ki->", factor.T, t, factor))
        by_mean = weighted.sum(axis=0)
        if self.is_restricted:
            covariance = np.linalg.inv(total)
            half = fixed[:, :, random]
            by_covariance += np.einsum("mpi,pr,mrj->ij", half, covariance, half)
            spent = fixed - (half @ factor) @ np.swapaxes(half @ factor, 1, 2)
            by_sigma += float(np.einsum("pr,mrp->", covariance, spent))
            value += 0.5 * (total.shape[0] * _LOG_2PI - np.linalg.slogdet(total)[1])
        by_factor = self.layout.pack_factor(by_covariance @ factor)
        return float(value), self.layout.joined(by_mean, by_factor, float(by_sigma))

    def best_means(self, theta: Array) -> tuple[Array, Array]:
        """Generalised least squares for the means.

        Return them with their covariance, at the variances of a vector of parameters.
        """
        s, random = self.summaries, np.array(self.random)
        _, factor, log_sigma = self.layout.unpack(theta)
        precision = math.exp(-2.0 * float(log_sigma))
        information, product = s.information * precision, s.product * precision
        cross = information[:, :, random] @ factor
        curvature = np.swapaxes(cross[:, random], 1, 2) @ factor + np.eye(factor.shape[0])
        solved = np.linalg.solve(curvature, np.swapaxes(cross, 1, 2))
        total = (information - cross @ solved).sum(axis=0)
        weighted = product - (cross @ np.linalg.solve(curvature, (product[:, random] @ factor)[..., None]))[..., 0]
        covariance = inverse_of(total)
        return s.centre + covariance @ weighted.sum(axis=0), covariance

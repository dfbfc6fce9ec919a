"""Basis functions of the separable forms: φ(x; θ) and ∂φ/∂θ for a batch of θ on a shared x.

Each takes ``(x, log_x, theta)`` with x of shape (n,) and theta (batch, p), and returns phi (batch, s, n) and
dphi (batch, p, s, n) for s columns. ``theta[:, j : j + 1]`` broadcasts a batch of parameters against the shared x;
one exponential a point where possible.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def _stack(phi: Sequence[Array], dphi: Sequence[Sequence[Array]], n: int, batch: int) -> tuple[Array, Array]:
    """Pile columns up to phi (batch, s, n) and dphi (batch, p, s, n)."""
    values = np.empty((batch, len(phi), n))
    slopes = np.empty((batch, len(dphi), len(phi), n))
    for s, column in enumerate(phi):
        values[:, s] = column
    for j, columns in enumerate(dphi):
        for s, column in enumerate(columns):
            slopes[:, j, s] = column
    return values, slopes


def constant(x: Array, lx: Array, theta: Array) -> tuple[Array, Array]:
    return _stack([], [], x.size, len(theta))


def power(x: Array, lx: Array, theta: Array) -> tuple[Array, Array]:
    phi = np.exp(-theta[:, :1] * lx)
    return _stack([phi], [[-lx * phi]], x.size, len(theta))


def shifted_power(x: Array, lx: Array, theta: Array) -> tuple[Array, Array]:
    gamma, b = theta[:, :1], theta[:, 1:]
    log_t = np.log1p(x / b)
    phi = np.exp(-gamma * log_t)
    return _stack([phi], [[-log_t * phi], [gamma * phi * (x / b) / (b + x)]], x.size, len(theta))


def exponential(x: Array, lx: Array, theta: Array) -> tuple[Array, Array]:
    phi = np.exp(-theta[:, :1] * x)
    return _stack([phi], [[-x * phi]], x.size, len(theta))


def apex(x: Array, lx: Array, theta: Array) -> tuple[Array, Array]:
    phi = np.exp(-theta[:, :1] * lx - theta[:, 1:] * x)
    return _stack([phi], [[-lx * phi], [-x * phi]], x.size, len(theta))


def stretched(x: Array, lx: Array, theta: Array) -> tuple[Array, Array]:
    tau, beta = theta[:, :1], theta[:, 1:]
    z = lx - np.log(tau)
    u = np.exp(beta * z)
    phi = np.exp(-u)
    slope = np.where(u > 700.0, 0.0, u * phi)
    z = np.where(np.isfinite(z), z, 0.0)  # at x = 0 u is 0, and so is the derivative
    return _stack([phi], [[slope * beta / tau], [-slope * z]], x.size, len(theta))


def logarithmic(x: Array, lx: Array, theta: Array) -> tuple[Array, Array]:
    return _stack([-lx], [], x.size, len(theta))


def hyperbolic(x: Array, lx: Array, theta: Array) -> tuple[Array, Array]:
    phi = 1.0 / (1.0 + x / theta[:, :1])
    return _stack([phi], [[phi * phi * x / theta[:, :1] ** 2]], x.size, len(theta))


def step(x: Array, lx: Array, theta: Array) -> tuple[Array, Array]:
    x50, s = theta[:, :1], theta[:, 1:]
    z = lx - np.log(x50)
    with np.errstate(over="ignore"):
        phi = 1.0 / (1.0 + np.exp(s * z))
    slope = phi * (1.0 - phi)
    z = np.where(np.isfinite(z), z, 0.0)
    return _stack([phi], [[slope * s / x50], [-slope * z]], x.size, len(theta))


def broken_power(x: Array, lx: Array, theta: Array) -> tuple[Array, Array]:
    early, late, x_break = theta[:, :1], theta[:, 1:2], theta[:, 2:]
    z = lx - np.log(x_break)
    before = z <= 0
    gamma = np.where(before, early, late)
    phi = np.exp(-gamma * z)
    slope = -z * phi
    zero = np.zeros_like(slope)
    columns = [[np.where(before, slope, zero)], [np.where(before, zero, slope)], [gamma * phi / x_break]]
    return _stack([phi], columns, x.size, len(theta))


def beta_geometric(x: Array, lx: Array, theta: Array) -> tuple[Array, Array]:
    from scipy.special import betaln, digamma

    a, b = theta[:, :1], theta[:, 1:]
    phi = np.exp(betaln(a, b + x) - betaln(a, b))
    common = digamma(a + b) - digamma(a + b + x)
    return _stack([phi], [[phi * common], [phi * (common + digamma(b + x) - digamma(b))]], x.size, len(theta))


def two_process(x: Array, lx: Array, theta: Array) -> tuple[Array, Array]:
    rate, gamma = theta[:, :1], theta[:, 1:]
    compute = np.exp(-rate * x)
    power = np.exp(-gamma * lx)
    retrieve = -np.expm1(-rate * x) * power
    d_rate = [-x * compute, x * compute * power]
    d_gamma = [np.zeros_like(compute), -lx * retrieve]
    return _stack([compute, retrieve], [d_rate, d_gamma], x.size, len(theta))


_EXACT_RANKS = 256  # ranks summed one by one; beyond, p_k is smooth enough for quadrature


@lru_cache(maxsize=1)
def _legendre() -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(48)
    return nodes, weights


def _truncated_zipf_one(x: Array, s: float, size: float) -> tuple[Array, Array, Array]:
    """Return u(N), du/ds, du/dK of Σ p_k (1−p_k)^N over ranks k ≤ K, with p_k ∝ k^−s and K continuous.

    Ranks up to 256 are summed (the last one fractionally); the rest is the midpoint rule read backwards, an
    integral by Gauss–Legendre in log k (relative error below 2e-5), so that the cost does not grow with K.
    """
    whole = math.floor(min(size, _EXACT_RANKS))
    ranks, weight = np.arange(1.0, whole + 1.0), np.ones(whole)
    if size < _EXACT_RANKS:
        end = whole + 1.0
        ranks, weight = np.append(ranks, end), np.append(weight, size - whole)
    else:
        nodes, gauss = _legendre()
        end = size + 0.5
        low, high = math.log(_EXACT_RANKS + 0.5), math.log(end)
        k = np.exp(low + 0.5 * (high - low) * (nodes + 1.0))
        ranks, weight = np.concatenate([ranks, k]), np.concatenate([weight, 0.5 * (high - low) * gauss * k])
    log_rank = np.log(ranks)
    mass = np.exp(-s * log_rank)
    total = weight @ mass
    p = mass / total
    log_survive = np.log1p(-np.minimum(p, 1.0 - 1e-16))
    survive = np.exp(x[:, None] * log_survive)
    u = (p * survive) @ weight
    # d/dlog p of p(1−p)^N carries the dependence of p on s and on the normalisation
    d_term = p * survive * (1.0 - x[:, None] * p / np.maximum(1.0 - p, 1e-16))
    mean_log = (weight * log_rank) @ mass / total
    du_ds = (d_term * (mean_log - log_rank)) @ weight
    p_end = end**-s / total  # the sum grows by the term at its end
    du_dk = p_end * np.exp(x * math.log1p(-min(p_end, 1.0 - 1e-16))) - d_term @ weight * p_end
    return u, du_ds, du_dk


def truncated_zipf(x: Array, lx: Array, theta: Array) -> tuple[Array, Array]:
    parts = [_truncated_zipf_one(x, float(s), float(size)) for s, size in theta]
    u, ds, dk = (np.array([part[i] for part in parts]) for i in range(3))
    return _stack([u], [[ds], [dk]], x.size, len(theta))

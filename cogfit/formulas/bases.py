"""Basis functions of the separable forms: columns φ(x; θ) and their derivatives ∂φ/∂θ, compiled.

Each takes ``(n, x, log_x, theta, phi, dphi)`` with n points and theta (p,) in natural units, and fills phi (s · n,)
and dphi (p · s · n,) for s columns, all of them pointers; one exponential a point where possible. Solvers call a basis
by its address (:func:`cogfit.formulas.elementary.call`), so that none is compiled anew for a form.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numba import cfunc, njit, types
from numpy.typing import NDArray

from cogfit.formulas.elementary import LOOPS, POINTER, call, digamma, exp, expm1, log1p, log_gamma_ratio, pointer, shift

Array = NDArray[np.float64]


def constant(n, x, lx, theta, phi, dphi):
    """No column: the floor is all there is."""


def power(n, x, lx, theta, phi, dphi):
    """x^−γ."""
    gamma = theta[0]
    for i in range(n):
        value = exp(-gamma * lx[i])
        phi[i] = value
        dphi[i] = -lx[i] * value


def shifted_power(n, x, lx, theta, phi, dphi):
    """(1 + x/b)^−γ."""
    gamma, b = theta[0], theta[1]
    for i in range(n):
        u = x[i] / b
        log_t = log1p(u)
        value = exp(-gamma * log_t)
        phi[i] = value
        dphi[i] = -log_t * value
        dphi[n + i] = gamma * value * u / (b + x[i])


def exponential(n, x, lx, theta, phi, dphi):
    """e^−rx."""
    rate = theta[0]
    for i in range(n):
        value = exp(-rate * x[i])
        phi[i] = value
        dphi[i] = -x[i] * value


def apex(n, x, lx, theta, phi, dphi):
    """x^−γ e^−rx."""
    gamma, rate = theta[0], theta[1]
    for i in range(n):
        value = exp(-gamma * lx[i] - rate * x[i])
        phi[i] = value
        dphi[i] = -lx[i] * value
        dphi[n + i] = -x[i] * value


def stretched(n, x, lx, theta, phi, dphi):
    """e^−(x/τ)^β."""
    tau, beta = theta[0], theta[1]
    middle = math.log(tau)
    for i in range(n):
        z = lx[i] - middle
        u = exp(beta * z)
        value = exp(-u)
        slope = 0.0 if u > 700.0 else u * value
        z = z if z > -1e300 else 0.0  # at x = 0 u is 0, and so is the derivative
        phi[i] = value
        dphi[i] = slope * beta / tau
        dphi[n + i] = -slope * z


def logarithmic(n, x, lx, theta, phi, dphi):
    """−ln x."""
    for i in range(n):
        phi[i] = -lx[i]


def hyperbolic(n, x, lx, theta, phi, dphi):
    """1 / (1 + x/b)."""
    b = theta[0]
    for i in range(n):
        value = 1.0 / (1.0 + x[i] / b)
        phi[i] = value
        dphi[i] = value * value * x[i] / (b * b)


def step(n, x, lx, theta, phi, dphi):
    """1 / (1 + (x/x50)^s)."""
    x50, s = theta[0], theta[1]
    middle = math.log(x50)
    for i in range(n):
        z = lx[i] - middle
        value = 1.0 / (1.0 + exp(s * z))
        slope = value * (1.0 - value)
        z = z if z > -1e300 else 0.0
        phi[i] = value
        dphi[i] = slope * s / x50
        dphi[n + i] = -slope * z


def broken_power(n, x, lx, theta, phi, dphi):
    """(x/xb)^−γ with one γ up to xb and another beyond."""
    early, late, x_break = theta[0], theta[1], theta[2]
    middle = math.log(x_break)
    for i in range(n):
        z = lx[i] - middle
        before = z <= 0.0
        gamma = early if before else late
        value = exp(-gamma * z)
        slope = -z * value
        phi[i] = value
        dphi[i] = slope if before else 0.0
        dphi[n + i] = 0.0 if before else slope
        dphi[2 * n + i] = gamma * value / x_break


def beta_geometric(n, x, lx, theta, phi, dphi):
    """B(γ, b + x) / B(γ, b)."""
    a, b = theta[0], theta[1]
    start, psi_b, psi_ab = log_gamma_ratio(b, a), digamma(b), digamma(a + b)
    for i in range(n):
        z = b + x[i]
        value = math.exp(start - log_gamma_ratio(z, a))
        common = psi_ab - digamma(a + z)
        phi[i] = value
        dphi[i] = value * common
        dphi[n + i] = value * (common + digamma(z) - psi_b)


def two_process(n, x, lx, theta, phi, dphi):
    """e^−rx, and (1 − e^−rx) x^−γ."""
    rate, gamma = theta[0], theta[1]
    for i in range(n):
        compute, value = exp(-rate * x[i]), exp(-gamma * lx[i])
        retrieve = -expm1(-rate * x[i]) * value
        phi[i] = compute
        phi[n + i] = retrieve
        dphi[i] = -x[i] * compute
        dphi[n + i] = x[i] * compute * value
        dphi[2 * n + i] = 0.0
        dphi[3 * n + i] = -lx[i] * retrieve


_EXACT_RANKS = 256  # ranks summed one by one; beyond, p_k is smooth enough for quadrature
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(48)


def truncated_zipf(n, x, lx, theta, phi, dphi):
    """Σ p_k (1 − p_k)^x over ranks k ≤ K, with p_k ∝ k^−s and K continuous.

    Ranks up to 256 are summed (the last one fractionally); the rest is the midpoint rule read backwards, an integral by
    Gauss–Legendre in log k (relative error below 2e-5), so that the cost does not grow with K.
    """
    s, size = theta[0], theta[1]
    whole = int(min(size, _EXACT_RANKS))
    count = whole + 1 if size < _EXACT_RANKS else whole + _NODES.size
    log_rank, weight = np.empty(count), np.ones(count)
    for k in range(whole):
        log_rank[k] = math.log(k + 1.0)
    if size < _EXACT_RANKS:
        end = whole + 1.0
        log_rank[whole], weight[whole] = math.log(end), size - whole
    else:
        end = size + 0.5
        low, high = math.log(_EXACT_RANKS + 0.5), math.log(end)
        for k in range(_NODES.size):
            log_rank[whole + k] = low + 0.5 * (high - low) * (_NODES[k] + 1.0)
            weight[whole + k] = 0.5 * (high - low) * _NODE_WEIGHTS[k] * math.exp(log_rank[whole + k])
    total = mean_log = 0.0
    for k in range(count):
        mass = weight[k] * math.exp(-s * log_rank[k])
        total += mass
        mean_log += mass * log_rank[k]
    mean_log /= total
    p_end = end**-s / total  # the sum grows by the term at its end
    log_end = math.log1p(-min(p_end, 1.0 - 1e-16))
    for i in range(n):
        phi[i] = 0.0
        dphi[i] = 0.0
        dphi[n + i] = p_end * exp(x[i] * log_end)
    for k in range(count):
        p = math.exp(-s * log_rank[k]) / total
        log_survive = math.log1p(-min(p, 1.0 - 1e-16))
        ratio, factor = p / max(1.0 - p, 1e-16), mean_log - log_rank[k]
        for i in range(n):
            share = weight[k] * p * exp(x[i] * log_survive)
            slope = share * (1.0 - x[i] * ratio)  # d/dlog p of p(1−p)^N: it carries p's dependence on s and the total
            phi[i] += share
            dphi[i] += slope * factor
            dphi[n + i] -= slope * p_end


_BASES = {
    function.__name__: function
    for function in (
        constant, power, shifted_power, exponential, apex, stretched, logarithmic, hyperbolic, step, broken_power,
        beta_geometric, two_process, truncated_zipf,
    )
}  # fmt: skip


@cache
def compiled(name: str) -> Any:
    """Machine code of a basis with its ``address``, made on first use (and kept on disk)."""
    return cfunc(types.void(types.int64, *[POINTER] * 5), **LOOPS)(_BASES[name])


@njit(**LOOPS)
def _fill(address, x, lx, theta, phi, dphi):
    n = x.size
    for k in range(len(theta)):
        at, values, slopes = k * theta.shape[1], k * phi.shape[1] * n, k * dphi.shape[1] * phi.shape[1] * n
        call(
            address, n, pointer(x), pointer(lx), shift(pointer(theta), at), shift(pointer(phi), values),
            shift(pointer(dphi), slopes),
        )  # fmt: skip


def columns(name: str, count: int, x: Array, lx: Array, theta: Array) -> tuple[Array, Array]:
    """Columns and derivatives for a batch of non-linear parameters theta (batch, p) in natural units.

    Parameters
    ----------
    name : str
        Of the basis.
    count : int
        Number of its columns, s.
    x, lx : ndarray, shape (n,)
    theta : ndarray, shape (batch, p)

    Returns
    -------
    phi : ndarray, shape (batch, s, n)
    dphi : ndarray, shape (batch, p, s, n)
    """
    points, logs, natural = (np.require(v, float, ("C", "W")) for v in (x, lx, theta))
    batch, p = natural.shape
    phi, dphi = np.empty((batch, count, x.size)), np.empty((batch, p, count, x.size))
    _fill(compiled(name).address, points, logs, natural, phi, dphi)
    return phi, dphi

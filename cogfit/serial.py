"""Serial dependence of residuals: how much n points are worth, and the likelihood under first-order autoregression."""

from __future__ import annotations

import math

import numpy as np

from cogfit.curves import Array

_SHORT = 100  # series shorter than this are given a first-order model, longer ones their own correlogram


def first_autocorrelation(residual: Array, parameters: int = 0) -> float:
    """Lag-1 autocorrelation, corrected for the bias of order 1/n (see :func:`autocorrelation_time`); −0.99 … 0.99."""
    centred = residual - residual.mean()
    total = float(centred @ centred)
    if residual.size < 3 or total == 0.0:
        return 0.0
    rho = float(centred[1:] @ centred[:-1]) / total
    rho += (1.0 + parameters) * (1.0 + max(rho, 0.0)) / residual.size
    return min(max(rho, -0.99), 0.99)


def autocorrelation_time(residual: Array, parameters: int = 0) -> float:
    """Variance inflation τ = 1 + 2 Σ ρ_l of a mean of correlated residuals; 1 for white noise.

    For 100 points and more the sum is cut at the first lag l ≥ 5τ(l) (Sokal 1997, in Functional Integration, p. 131);
    shorter series get (1 + ρ₁)/(1 − ρ₁). Each ρ_l is corrected for the bias of order 1/n that fitting `parameters`
    coefficients causes (Kendall 1954, Biometrika 41:403). Values that white noise could have given (|ρ₁| < 2/√n)
    count as 1.

    Parameters
    ----------
    residual : ndarray, shape (n,)
        In the order of x.
    parameters : int
        Coefficients fitted.

    Returns
    -------
    float
        Between 1 and n/2.

    Examples
    --------
    >>> import numpy as np
    >>> autocorrelation_time(np.random.default_rng(0).normal(size=500))
    1.0
    """
    n = residual.size
    centred = residual - residual.mean()
    if n < 8 or not np.any(centred):
        return 1.0
    size = 1 << (2 * n - 1).bit_length()
    rho = np.fft.irfft(np.abs(np.fft.rfft(centred, size)) ** 2, size)[:n]
    rho = rho / rho[0]
    if rho[1] < 2.0 / math.sqrt(n):
        return 1.0
    rho = rho + (1.0 + parameters) * (1.0 + np.maximum(rho, 0.0)) / n
    if n < _SHORT:
        first = min(first_autocorrelation(residual, parameters), 0.95)
        return float(min((1.0 + first) / (1.0 - first), n / 2))
    tau = 2.0 * np.cumsum(rho) - rho[0]
    window = np.flatnonzero(np.arange(n) >= 5.0 * tau)
    value = tau[window[0]] if window.size else tau[n // 2]
    return float(min(max(value, 1.0), n / 2))


def ar1_gain(residual: Array) -> float:
    """Log-likelihood gained by letting Gaussian residuals be a stationary AR(1) series, at the best ρ.

    With S(ρ) = (1 − ρ²) r₁² + Σ (r_t − ρ r_{t−1})², it is ½ n log(RSS/S) + ½ log(1 − ρ²) (Hamilton 1994, Eq. 5.2.9).

    Parameters
    ----------
    residual : ndarray, shape (n,)
        In the order of x.

    Returns
    -------
    float
        Never negative.

    Examples
    --------
    >>> import numpy as np
    >>> round(ar1_gain(np.cumsum(np.random.default_rng(0).normal(size=200))), 1) > 100
    True
    """
    total = float(residual @ residual)
    if residual.size < 4 or total == 0.0:
        return 0.0
    cross = float(residual[1:] @ residual[:-1])
    inner = float(residual[1:-1] @ residual[1:-1])
    rho = np.concatenate([np.linspace(-0.99, 0.99, 397), 1.0 - np.geomspace(0.0095, 1e-5, 60)])
    rest = np.maximum(total - 2.0 * rho * cross + rho**2 * inner, 1e-300)
    gain = 0.5 * residual.size * np.log(total / rest) + 0.5 * np.log1p(-(rho**2))
    return float(max(gain.max(), 0.0))

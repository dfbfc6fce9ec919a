"""Errors with long memory: fractional noise.

ARFIMA(0, d, 0), (1 − L)^d e_t = u_t, has autocorrelations that fall as a power of the lag (Hosking 1981, Biometrika
68:165), which no ARMA process of low order follows. What forgets slower than any of them looks, over a short stretch,
like a process with a root near 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogfit.engine.arma import unit_columns
from cogfit.formulas.form import Array

_LARGEST = 0.49  # of d: at 0.5 the variance is infinite
_LEAD = 4  # lengths of a series whose innovations are drawn before it
_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)
_STEPS = 14  # of the search for d, which end within 0.001


@dataclass(frozen=True)
class FractionalNoise:
    """Stationary fractional noise in the order of x.

    Attributes
    ----------
    d : float
        Above 0, below 0.5; the autocorrelation at lag k falls as k^(2d − 1).
    """

    d: float

    @property
    def white(self) -> bool:
        """Whether there is no dependence."""
        return False

    @property
    def title(self) -> str:
        """For example ``long memory, d = 0.3``."""
        return f"long memory, d = {self.d:.2g}"

    def autocovariance(self, lags: int) -> Array:
        """Autocovariances at lag 0 … `lags`. The innovations have unit variance."""
        k = np.arange(1.0, lags + 1.0)
        at_zero = math.gamma(1.0 - 2.0 * self.d) / math.gamma(1.0 - self.d) ** 2
        return np.asarray(at_zero * np.concatenate([[1.0], np.cumprod((k - 1.0 + self.d) / (k - self.d))]))

    def prediction_variance(self, n: int) -> Array:
        """Variance of each value given those before it, (n,).

        The partial autocorrelation at lag k is d/(k − d).
        """
        k = np.arange(1.0, n)
        shares = np.concatenate([[1.0], np.cumprod(1.0 - (self.d / (k - self.d)) ** 2)])
        return np.asarray(float(self.autocovariance(0)[0]) * shares)

    def whiten(self, rows: Array) -> Array:
        """Standardised innovations of each row, shape (rows, n).

        Predictions take what came before the first value as 0, and are taken to err as the best ones do.
        """
        rows = np.array(rows, dtype=float, ndmin=2)
        n = rows.shape[1]
        return _convolved(rows, _binomial_weights(-self.d, n)) / np.sqrt(self.prediction_variance(n))

    def driven(self, innovations: Array, rng: np.random.Generator, scale: float = 1.0) -> Array:
        """Series driven by given innovations, shape (size, n).

        Gaussian innovations of SD `scale` came before them: the nearer ones in full, the remote ones as a constant,
        which they all but are.
        """
        size, n = innovations.shape
        shocks = np.concatenate([scale * rng.normal(size=(size, _LEAD * n)), innovations], axis=1)
        weights = _binomial_weights(self.d, shocks.shape[1])
        remote = max(float(self.autocovariance(0)[0] - weights @ weights), 0.0)
        return _convolved(shocks, weights)[:, -n:] + scale * math.sqrt(remote) * rng.normal(size=(size, 1))

    def simulate_sums(self, size: int, begin: NDArray[np.int64], weight: Array, rng: np.random.Generator) -> Array:
        """Weighted sums of simulated errors over bins, (size, bins).

        The series have unit variance; the weights of a bin's points are replaced by their mean.

        The covariance of two sums follows from the variances V of the sums of m neighbours:
        2 cov = V(outer) − V(to the left ends) − V(to the right ends) + V(gap).
        """
        n = int(begin[-1])
        covariances = self.autocovariance(n)
        covariances /= covariances[0]
        # V(m) = m + 2 Σ_{k<m} (m − k) ρ_k, by two cumulative sums
        variance = np.concatenate([[0.0], np.cumsum(2.0 * np.cumsum(covariances[:n]) - 1.0)])
        left, right = begin[:-1, None], begin[1:, None]
        ends = [np.abs(a - b) for a, b in ((right, left.T), (left, left.T), (right, right.T), (left, right.T))]
        products = 0.5 * (variance[ends[0]] - variance[ends[1]] - variance[ends[2]] + variance[ends[3]])
        mean = np.add.reduceat(weight, begin[:-1]) / np.diff(begin)
        values, vectors = np.linalg.eigh(products * np.outer(mean, mean))
        return np.asarray(rng.normal(size=(size, values.size)) * np.sqrt(np.maximum(values, 0.0)) @ vectors.T)

    def restricted_loglik(self, residual: Array, jacobian: Array) -> float:
        """Restricted log-likelihood, as that of ARMA errors.

        See :func:`cogfit.engine.arma.restricted_loglik`.
        """
        n, p = jacobian.shape
        rows = self.whiten(np.concatenate([jacobian.T, residual[None]]))
        q, upper = np.linalg.qr(rows[:-1].T)
        left = rows[-1] - q @ (q.T @ rows[-1])
        rss = max(float(left @ left), 1e-300)
        log_r = float(np.log(self.prediction_variance(n)).sum())
        log_x = 2.0 * float(np.log(np.maximum(np.abs(np.diag(upper)), 1e-150)).sum())
        return float(-0.5 * ((n - p) * math.log(rss) + log_r + log_x))


def _binomial_weights(d: float, count: int) -> Array:
    """Coefficients of (1 − L)^−d."""
    k = np.arange(1.0, count)
    return np.concatenate([[1.0], np.cumprod((k - 1.0 + d) / k)])


def _convolved(rows: Array, weights: Array) -> Array:
    """Causal convolution of each row with weights of its length."""
    n = rows.shape[1]
    size = 1 << (2 * n - 1).bit_length()
    return np.asarray(np.fft.irfft(np.fft.rfft(rows, size) * np.fft.rfft(weights, size), size)[:, :n])


def estimate_fractional(residual: Array, jacobian: Array) -> tuple[FractionalNoise, float]:
    """Fractional noise by restricted maximum likelihood.

    Parameters
    ----------
    residual : ndarray, shape (n,)
        In the order of x.
    jacobian : ndarray, shape (n, p)
        Derivative of the mean with respect to the parameters fitted.

    Returns
    -------
    FractionalNoise
    float
        Restricted log-likelihood; comparable with that of ARMA errors.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> series = FractionalNoise(0.3).driven(rng.normal(size=(1, 2000)), rng)[0]
    >>> noise, _ = estimate_fractional(series, np.ones((2000, 1)))
    >>> abs(noise.d - 0.3) < 0.05
    True
    """
    columns = unit_columns(jacobian)

    def value(d: float) -> float:
        return FractionalNoise(d).restricted_loglik(residual, columns)

    # golden section: the likelihood has one maximum in d
    low, high = 0.005, _LARGEST
    inner, outer = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_inner, at_outer = value(inner), value(outer)
    for _ in range(_STEPS):
        if at_inner > at_outer:
            high, outer, at_outer = outer, inner, at_inner
            inner = high - _GOLDEN * (high - low)
            at_inner = value(inner)
        else:
            low, inner, at_inner = inner, outer, at_outer
            outer = low + _GOLDEN * (high - low)
            at_outer = value(outer)
    d, highest = (inner, at_inner) if at_inner > at_outer else (outer, at_outer)
    return FractionalNoise(d), highest

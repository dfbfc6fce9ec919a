"""Whitening, simulation and restricted likelihood of ARMA errors.

The processes have unit innovations and are given in state-space form: φ, padded with zeros, and the loading (1, θ),
both of length m = max(p, q + 1).
"""

from __future__ import annotations

import math
from ctypes import c_double, c_int64, c_void_p

import numpy as np
from numpy.typing import NDArray

from cogfit.native.arrays import Array, address
from cogfit.native.library import kernel

_workspace = kernel("arma_workspace", c_int64, c_int64, c_int64, returns=c_int64)
_gains = kernel("arma_gains", c_int64, c_int64, *[c_void_p] * 5)
_autocovariances = kernel("arma_autocovariances", c_int64, c_int64, *[c_void_p] * 4)
_whiten = kernel("arma_whiten", c_int64, c_int64, c_void_p, c_int64, *[c_void_p] * 3)
_series = kernel("arma_series", c_int64, c_int64, c_void_p, c_void_p, c_int64, *[c_void_p] * 3)
_restricted_terms = kernel(
    "arma_restricted_terms",
    *(c_int64, c_int64, c_void_p, c_void_p),
    *(c_int64, c_void_p, c_int64, c_void_p),
    *(c_void_p, c_void_p),
)
_coefficients = kernel("arma_coefficients", c_int64, c_int64, c_void_p, c_double, c_void_p, c_void_p)
_covariance_products = kernel("arma_covariance_products", c_int64, c_int64, c_void_p, c_int64, *[c_void_p] * 4)
_sum_covariance = kernel("arma_sum_covariance", c_int64, c_void_p, c_void_p, c_int64, *[c_void_p] * 4)
_search_workspace = kernel("arma_search_workspace", *[c_int64] * 5, returns=c_int64)
_minimise = kernel(
    "arma_minimise",
    *(c_int64, c_int64, c_double, c_double, c_double, c_double),
    *(c_int64, c_int64, c_void_p, c_int64, c_void_p),
    *(c_void_p, c_void_p),
    returns=c_double,
)


def gains(phi: Array, loading: Array, n: int) -> tuple[Array, Array]:
    """Kalman gains (n, m) and 1/√F (n,).

    F is the variance of the prediction of a point from those before it.
    """
    m = _state(phi, loading)
    gain, inverse_root, work = np.empty((n, m)), np.empty(n), np.empty(5 * m * m)
    _gains(n, m, address(phi), address(loading), address(gain), address(inverse_root), address(work))
    return gain, inverse_root


def autocovariances(phi: Array, loading: Array, lags: int) -> Array:
    """Autocovariances at lags 0 … `lags`."""
    m = _state(phi, loading)
    out, work = np.empty(lags + 1), np.empty(4 * m * m)
    _autocovariances(lags, m, address(phi), address(loading), address(out), address(work))
    return out


def whiten_rows(rows: Array, phi: Array, loading: Array) -> None:
    """Turn rows into their standardised innovations, in place."""
    m, (count, n) = _state(phi, loading), rows.shape
    work = np.empty(_workspace(n, m, 0))
    _whiten(n, count, address(rows), m, address(phi), address(loading), address(work))


def series(phi: Array, loading: Array, start: Array, shock: Array) -> None:
    """Turn shocks (size, n) into stationary series, in place.

    The first states come from the standard normal numbers `start` (size, m).
    """
    m, (size, n) = _state(phi, loading), shock.shape
    if start.shape != (size, m):
        raise ValueError(f"starting states of shape {start.shape} for {size} series and {m} numbers in a state")
    work = np.empty(_workspace(0, m, 0))
    _series(n, size, address(start), address(shock), m, address(phi), address(loading), address(work))


def covariance_products(rows: Array, phi: Array, loading: Array) -> Array:
    """Rows times the covariance of the errors times rows."""
    m, (count, n) = _state(phi, loading), rows.shape
    out, work = np.empty((count, count)), np.empty(count * n + 4 * m * m + m * 9 + 8)
    _covariance_products(n, count, address(rows), m, address(phi), address(loading), address(out), address(work))
    return out


def sum_covariance(begin: NDArray[np.int64], weight: Array, phi: Array, loading: Array) -> Array:
    """Covariance of weighted sums of errors over bins.

    Bin b has the points begin[b] … begin[b + 1] − 1 of the series.
    """
    bins, m = begin.size - 1, _state(phi, loading)
    if begin.dtype != np.int64 or begin[0] < 0 or np.any(np.diff(begin) < 0) or begin[-1] > weight.size:
        raise ValueError(f"bins must follow each other within the {weight.size} points")
    begin = np.ascontiguousarray(begin)
    out, work = np.empty((bins, bins)), np.empty(bins * m * (2 + m) + 8 * m * m + m)
    _sum_covariance(
        *(bins, address(begin, np.int64), address(weight)),
        *(m, address(phi), address(loading), address(out), address(work)),
    )
    return out


def restricted_terms(phi: Array, loading: Array, rows: Array, reference: Array) -> tuple[float, float, float]:
    """RSS, log|R| and log|X'R⁻¹X| of generalised least squares.

    The last of the rows is fitted by the others. X are the reference rows or, without any, the rows but the last; the
    last term is inf where X is singular.
    """
    m, (count, n) = _state(phi, loading), rows.shape
    references = _references(reference, n)
    terms, work = np.empty(3), np.empty(_workspace(n, m, max(count, references)))
    _restricted_terms(
        *(n, m, address(phi), address(loading)),
        *(count, address(rows), references, address(reference)),
        *(address(terms), address(work)),
    )
    rss, log_r, log_x = terms.tolist()
    return rss, log_r, log_x


def coefficients(z: Array, p: int, q: int, limit: float) -> tuple[Array, Array]:
    """State-space φ and loading from unbounded coordinates.

    `limit` · tanh of them are partial autocorrelations, from which Levinson's recursion gives the coefficients (Monahan
    1984, Biometrika 71:403).
    """
    if z.shape != (p + q,):
        raise ValueError(f"{z.shape} coordinates for p = {p} and q = {q}")
    m = max(p, q + 1)
    phi, loading = np.empty(m), np.empty(m)
    _coefficients(p, q, address(z), limit, address(phi), address(loading))
    return phi, loading


def minimise(
    first: Array,
    step: float,
    p: int,
    q: int,
    limit: float,
    top: float,
    rows: Array,
    reference: Array,
    target: float = math.inf,
) -> tuple[Array, float]:
    """Coordinates of the highest restricted likelihood.

    They are searched up to ± `top` by the simplex of Nelder & Mead (1965, Comput. J. 7:308), from `first` with edges
    `step`, and in long series with an MA part by Newton's method in the end. That may stop where a criterion as low as
    `target` is out of reach.

    Returns
    -------
    ndarray, shape (p + q,)
    float
        Minus the restricted log-likelihood, up to a constant.
    """
    if first.shape != (p + q,):
        raise ValueError(f"{first.shape} coordinates for p = {p} and q = {q}")
    count, n = rows.shape
    references = _references(reference, n)
    best = first.copy()
    work = np.empty(_search_workspace(p, q, n, count, references))
    value = _minimise(
        *(p, q, step, limit, top, target),
        *(n, count, address(rows), references, address(reference)),
        *(address(best), address(work)),
    )
    return best, float(value)


def _state(phi: Array, loading: Array) -> int:
    if phi.ndim != 1 or phi.size < 1 or phi.shape != loading.shape:
        raise ValueError(f"φ and loading must be rows of equal length, not of shapes {phi.shape} and {loading.shape}")
    return phi.size


def _references(reference: Array, n: int) -> int:
    if reference.ndim != 2 or reference.shape[1] != n:
        raise ValueError(f"reference rows must have {n} points each, not the shape {reference.shape}")
    return len(reference)

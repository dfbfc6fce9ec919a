"""Serial dependence of residuals and ARMA models of errors.

How much n autocorrelated points are worth, and which ARMA process their errors follow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cogfit.engine import bins
from cogfit.formulas.form import Array
from cogfit.native import arma as kernels
from cogfit.records.codec import Document


def first_autocorrelation(residual: Array, parameters: int = 0) -> float:
    """Lag-1 autocorrelation, −0.99 … 0.99.

    It is corrected for the bias of order 1/n that fitting `parameters` coefficients causes (Kendall 1954, Biometrika
    41:403).
    """
    centred = residual - residual.mean()
    total = float(centred @ centred)
    if residual.size < 3 or total == 0.0:
        return 0.0
    rho = float(centred[1:] @ centred[:-1]) / total
    rho += (1.0 + parameters) * (1.0 + max(rho, 0.0)) / residual.size
    return min(max(rho, -0.99), 0.99)


def ar1_gain(residual: Array) -> float:
    """Log-likelihood gained by AR(1) errors at the best ρ.

    The residuals are taken as a stationary Gaussian series.

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
    rss = float(residual @ residual)
    if residual.size < 4 or rss == 0.0:
        return 0.0
    cross = float(residual[1:] @ residual[:-1])
    inner = float(residual[1:-1] @ residual[1:-1])
    rho = np.concatenate([np.linspace(-0.99, 0.99, 397), 1.0 - np.geomspace(0.0095, 1e-5, 60)])
    innovation_rss = np.maximum(rss - 2.0 * rho * cross + rho**2 * inner, 1e-300)
    gain = 0.5 * residual.size * np.log(rss / innovation_rss) + 0.5 * np.log1p(-(rho**2))
    return float(max(gain.max(), 0.0))


# --------------------------------------------------------------------------------------------- ARMA errors


ORDERS = ((1, 0), (2, 0), (3, 0), (1, 1), (2, 1))
"""Orders (p, q) tried for autocorrelated errors, besides white noise."""

_MAX_PARTIAL = 0.9995  # largest partial autocorrelation: beyond it a series is a trend
_MAX_COORDINATE = 4.5  # largest coordinate atanh(partial / _MAX_PARTIAL) that is searched
_PORTMANTEAU_LAGS = 6  # lags whose autocorrelations tell whether AR(1) may be enough
_TINY = 1e-150  # lengths whose squares are ordinary numbers
_PART = 10  # of a long series, on a tenth of which the search for a mixed model begins
# BIC asks a further coefficient to gain log n in twice the log-likelihood. The portmanteau only estimates that gain,
# so that higher orders are tried from this share of it on.
_WORTHWHILE = 0.7


@dataclass(frozen=True)
class Arma(Document):
    """Stationary, invertible ARMA errors in the order of x.

    e_t = Σ φ_i e_{t−i} + u_t + Σ θ_j u_{t−j}.

    Attributes
    ----------
    phi, theta : tuple of float
        Coefficients; none of either is white noise.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"model": "title"}

    phi: tuple[float, ...] = ()
    theta: tuple[float, ...] = ()

    @property
    def white(self) -> bool:
        """Whether there is no dependence."""
        return not self.phi and not self.theta

    @property
    def is_stationary(self) -> bool:
        """Whether the errors have one variance, and an inverse.

        A fit always makes such a model; a damaged document may hold another.
        """
        coefficients = (tuple(-value for value in self.phi), self.theta)
        if not all(math.isfinite(value) for one in coefficients for value in one):
            return False
        return all(bool(np.all(np.abs(np.roots((1.0, *one))) < 1.0)) for one in coefficients)

    @property
    def order(self) -> tuple[int, int]:
        """(p, q)."""
        return len(self.phi), len(self.theta)

    @property
    def title(self) -> str:
        """For example ``AR(1) errors, ρ = 0.87``."""
        p, q = self.order
        if self.white:
            return "independent errors"
        if self.order == (1, 0):
            return f"AR(1) errors, ρ = {self.phi[0]:.3g}"
        return f"AR({p}) errors" if q == 0 else f"ARMA({p}, {q}) errors"

    def _state_space(self) -> tuple[Array, Array]:
        """State-space form: φ and (1, θ), padded with zeros.

        The state has dimension max(p, q + 1).
        """
        dimension = max(len(self.phi), len(self.theta) + 1)
        phi, loading = np.zeros(dimension), np.zeros(dimension)
        phi[: len(self.phi)] = self.phi
        loading[0] = 1.0
        loading[1 : 1 + len(self.theta)] = self.theta
        return phi, loading

    def filter(self, n: int) -> tuple[Array, Array, Array]:
        """Whitening filter: coefficients (m,), gains (n, m), 1/√F (n,).

        The gains are Kalman's. m = 0 for white noise.
        """
        if self.white:
            return np.zeros(0), np.zeros((n, 0)), np.ones(n)
        phi, loading = self._state_space()
        return (phi, *kernels.gains(phi, loading, n))

    def whiten(self, rows: Array) -> Array:
        """Standardised innovations of each row, shape (rows, n).

        They are independent and of unit variance if the model holds.

        The rows are in units in which the innovations have variance 1.
        """
        out = np.array(rows, dtype=float, ndmin=2, order="C")
        self.whiten_in_place(out)
        return out

    def whiten_in_place(self, rows: Array) -> None:
        """Turn rows (rows, n) into their standardised innovations."""
        if not self.white:
            kernels.whiten_rows(rows, *self._state_space())

    def autocovariance(self, lags: int) -> Array:
        """Autocovariances at lag 0 … `lags`. The innovations have unit variance."""
        return kernels.autocovariances(*self._state_space(), lags)

    def correlated_products(self, rows: Array) -> Array:
        """Rows times the errors' correlations times rows, (rows, rows)."""
        rows = np.ascontiguousarray(rows)
        if self.white:
            return np.asarray(rows @ rows.T)
        return kernels.covariance_products(rows, *self._state_space()) / float(self.autocovariance(0)[0])

    def simulate_sums(self, size: int, begin: NDArray[np.int64], weight: Array, rng: np.random.Generator) -> Array:
        """Weighted sums of simulated errors over bins, (size, bins).

        The series are stationary and have unit variance. Bin b has the points begin[b] … begin[b + 1] − 1. They are
        drawn from their exact joint distribution.
        """
        draws = rng.normal(size=(size, begin.size - 1))
        if self.white:
            return np.asarray(draws * np.sqrt(np.add.reduceat(weight**2, begin[:-1])))
        covariance = kernels.sum_covariance(begin, weight, *self._state_space()) / float(self.autocovariance(0)[0])
        # nearly singular for very red errors, so by eigenvalues rather than by Cholesky's factor
        values, vectors = np.linalg.eigh(covariance)
        return np.asarray(draws * np.sqrt(np.maximum(values, 0.0)) @ vectors.T)

    @property
    def time(self) -> float:
        """Autocorrelation time τ = 1 + 2 Σ ρ_l. So many points are worth one."""
        if self.white:
            return 1.0
        at_zero = ((1.0 + sum(self.theta)) / (1.0 - sum(self.phi))) ** 2
        return float(max(at_zero / self.autocovariance(0)[0], 1e-3))

    def points(self, n: int) -> float:
        """Count independent points worth as much for a mean.

        From 1 to n: n over the autocorrelation time of n points, τ = 1 + 2 Σ (1 − l/n) ρ_l, which is n at most.
        """
        if self.white:
            return float(n)
        covariance = self.autocovariance(n - 1)
        time = 2.0 * float((1.0 - np.arange(n) / n) @ covariance) / float(covariance[0]) - 1.0
        return min(max(n / max(time, 1.0), 1.0), float(n))

    def simulate(self, size: int, n: int, rng: np.random.Generator) -> Array:
        """`size` stationary series of unit marginal variance, shape (size, n)."""
        series = self.driven(rng.normal(size=(size, n)), rng)
        return series if self.white else np.asarray(series / math.sqrt(self.autocovariance(0)[0]))

    def driven(self, innovations: Array, rng: np.random.Generator, scale: float = 1.0) -> Array:
        """Series (size, n) driven by given innovations.

        The first value comes from a stationary state with innovations of SD `scale`, every other from the innovations
        up to the one before it, so that the last innovation has no effect.
        """
        if self.white:
            return innovations
        phi, loading = self._state_space()
        out = np.array(innovations, dtype=float, order="C")
        kernels.series(phi, loading, scale * rng.normal(size=(len(out), phi.size)), out)
        return out


WHITE = Arma()
"""Independent errors."""


def _from_coordinates(z: Array, order: tuple[int, int]) -> Arma:
    phi, loading = kernels.coefficients(z, *order, _MAX_PARTIAL)
    return Arma(tuple(phi[: order[0]].tolist()), tuple(loading[1 : 1 + order[1]].tolist()))


def restricted_loglik(errors: Arma, residual: Array, jacobian: Array, reference: Array | None = None) -> float:
    """Restricted (REML) log-likelihood of ARMA errors.

    The mean's `jacobian` (n, p) and the scale are integrated out.

    −½[(n−p) log RSS + log|R| + log|X'R⁻¹X|] up to a constant (Harville 1977, J. Am. Stat. Assoc. 72:320), which
    corrects the downward bias that fitting a mean gives to the estimated autocorrelation. With `reference` (n, p'), X
    and p are those of the reference, while the RSS is that of `jacobian`: likelihoods of nested means then compare.
    """
    rows = np.empty((jacobian.shape[1] + 1, residual.size))
    rows[:-1], rows[-1] = jacobian.T, residual
    reference_rows = np.zeros((0, residual.size)) if reference is None else np.ascontiguousarray(reference.T)
    return _loglik(errors, rows, reference_rows)


def _loglik(errors: Arma, rows: Array, reference: Array) -> float:
    """Restricted log-likelihood of rows.

    They are the columns of the design and the residual, as the kernels take them; `reference` may have no rows.
    """
    rss, log_r, log_x = kernels.restricted_terms(*errors._state_space(), rows, reference)
    if not math.isfinite(log_x):
        return -math.inf
    degrees_of_freedom = rows.shape[1] - (len(reference) or len(rows) - 1)
    return float(-0.5 * (degrees_of_freedom * math.log(max(rss, 1e-300)) + log_r + log_x))


def estimate_arma(
    residual: Array,
    jacobian: Array,
    order: tuple[int, int],
    start: Arma | None = None,
    reference: Array | None = None,
    worth: float = -math.inf,
) -> tuple[Arma, float]:
    """ARMA errors of a given order by restricted maximum likelihood.

    Parameters
    ----------
    residual : ndarray, shape (n,)
        In the order of x.
    jacobian : ndarray, shape (n, p)
        Derivative of the mean with respect to the parameters fitted.
    order : tuple of int
        (p, q); (0, 0) is white noise.
    start : Arma, optional
        Of the same order.
    reference : ndarray, shape (n, p'), optional
        See :func:`restricted_loglik`.
    worth : float
        Log-likelihood below which the errors are of no use: the search may stop where it will not be reached.

    Returns
    -------
    Arma
    float
        Restricted log-likelihood.

    Examples
    --------
    >>> import numpy as np
    >>> e = Arma((0.8,)).simulate(1, 2000, np.random.default_rng(0))[0]
    >>> errors, _ = estimate_arma(e, np.ones((2000, 1)), (1, 0))
    >>> abs(errors.phi[0] - 0.8) < 0.03
    True
    """
    rows = unit_rows(jacobian, residual)
    reference_rows = np.zeros((0, residual.size)) if reference is None else unit_rows(reference)
    return _maximise(rows, order, start, reference_rows, worth)


def _maximise(
    rows: Array,
    order: tuple[int, int],
    start: Arma | None = None,
    reference: Array | None = None,
    worth: float = -math.inf,
) -> tuple[Arma, float]:
    """What :func:`estimate_arma` does, of rows of unit length and the residual."""
    reference = np.zeros((0, rows.shape[1])) if reference is None else reference
    p, q = order
    if p + q == 0:
        return WHITE, _loglik(WHITE, rows, reference)
    first, step = np.zeros(p + q), 0.4
    if start is None and q > 0 and rows.shape[1] > _PART * bins.LONG:  # a part of a long series tells where to begin
        part = slice(None, rows.shape[1] // _PART)
        start, _ = _maximise(np.ascontiguousarray(rows[:, part]), order, None, np.ascontiguousarray(reference[:, part]))
    if start is not None and start.order == order:
        first, step = np.clip(_coordinates(start), -4.3, 4.3), 0.1
    else:
        first[0] = math.atanh(min(max(first_autocorrelation(rows[-1]), -0.95), 0.97))
    z, value = kernels.minimise(first, step, p, q, _MAX_PARTIAL, _MAX_COORDINATE, rows, reference, -worth)
    return _from_coordinates(z, order), -float(value)


def unit_rows(columns: Array, *more: Array) -> Array:
    """Columns as rows of unit length.

    More rows follow as they are.

    Columns that vanish are left out. A long curve's rows are many megabytes: they are copied once.
    """
    count = columns.shape[1]
    rows = np.empty((count + len(more), len(columns)))
    rows[:count] = columns.T
    for k, row in enumerate(more, count):
        rows[k] = row
    with np.errstate(over="ignore"):
        length = np.sqrt(np.einsum("pn,pn->p", rows[:count], rows[:count]))
    if not np.all((length > _TINY) & (length < 1.0 / _TINY)):  # squares went over or under
        size = np.abs(rows[:count]).max(axis=1, initial=0.0)
        rows[:count] /= np.where(size > 0.0, size, 1.0)[:, None]
        length = np.sqrt(np.einsum("pn,pn->p", rows[:count], rows[:count]))
    is_used = length > 0.0
    rows[:count] /= np.where(is_used, length, 1.0)[:, None]
    return rows if is_used.all() else rows[np.append(is_used, np.ones(len(more), bool))]


def unit_columns(columns: Array) -> Array:
    """Scale columns to unit length, leaving out those that vanish."""
    return unit_rows(columns).T


def _coordinates(errors: Arma) -> Array:
    """Unbounded coordinates of ARMA errors, from which a search starts.

    Inverse of :func:`_from_coordinates`: step-down recursion, then atanh.
    """
    partials = []
    for coefficients in (errors.phi, tuple(-v for v in errors.theta)):
        phi, reversed_partials = np.array(coefficients), []
        while phi.size:
            last = phi[-1]
            reversed_partials.append(last)
            phi = (phi[:-1] + last * phi[:-1][::-1]) / (1.0 - last * last)
        partials += reversed_partials[::-1]
    return np.arctanh(np.clip(np.array(partials) / _MAX_PARTIAL, -0.9997, 0.9997))


def _portmanteau(innovations: Array) -> float:
    """Box–Pierce statistic n Σ r² of the first autocorrelations.

    It is about what a model with more coefficients could gain in twice the log-likelihood.
    """
    n = innovations.size
    total = float(innovations @ innovations)
    correlations = [float(innovations[lag:] @ innovations[:-lag]) / total for lag in range(1, _PORTMANTEAU_LAGS + 1)]
    return n * float(np.square(correlations).sum())


def select_arma(residual: Array, jacobian: Array, orders: Sequence[tuple[int, int]] = ORDERS) -> Arma:
    """Order and coefficients of the errors about a fitted mean.

    White noise is kept where AR(1) does not lower the AIC; beyond AR(1) the order is that of the lowest BIC among
    :data:`ORDERS`, as far as there are 10 points for every coefficient. Where the innovations of AR(1) are too little
    correlated for a further coefficient to pay for itself, none is tried.

    Parameters
    ----------
    residual, jacobian : ndarray, shapes (n,) and (n, p)
        In the order of x.
    orders : sequence of (p, q)
        The first is compared with white noise by AIC, the others with the first by BIC.

    Returns
    -------
    Arma
    """
    # white noise unless AR(1) lowers the AIC: one coefficient more must gain 1 in the log-likelihood
    n, p = jacobian.shape
    if n < p + 8 or not np.any(residual - residual.mean()):
        return WHITE
    rows = unit_rows(jacobian, residual)
    _, white = _maximise(rows, (0, 0))
    best, value = _maximise(rows, orders[0])
    if value - white <= 1.0:
        return WHITE
    # beyond AR(1) the lowest BIC, where the innovations of AR(1) leave something to gain
    score = 2.0 * value - math.log(n)
    if len(orders) == 1:
        return best
    if _portmanteau(best.whiten(residual)[0]) < _WORTHWHILE * math.log(n):
        return best
    for order in orders[1:]:
        if n < 10 * (sum(order) + p):
            continue
        worth = 0.5 * (score + sum(order) * math.log(n))
        errors, value = _maximise(rows, order, worth=worth)
        if 2.0 * value - sum(order) * math.log(n) > score:
            best, score = errors, 2.0 * value - sum(order) * math.log(n)
    return best

"""Survival regression: times that are known up to an interval.

An accelerated failure time model (Kalbfleisch & Prentice 2002, The Statistical Analysis of Failure Time Data, ch. 7),
fitted by maximum likelihood: log T = Xβ + σ·exp(δ·v)·ε, with ε from one of :data:`LAWS`. Of each time only an interval
is known, lower < log T ≤ upper: between two observations for an event, from the last observation to infinity for a
right-censored time, from minus infinity to the first for a left-censored one. All three then have one likelihood, the
probability of the interval, which is never above 1 and has no poles.

The scale may change with a column v, because censoring turns a scale that is wrongly held constant into a bias of β:
with 60 % censored and δ = ±0.4, β is off by 0.4. Few events do not tell δ from 0, though, and would pay for it with
wide limits. So δ has a penalty, the logarithm of a Cauchy density, which gives way where the data speak.

Arrays may have leading axes; every function works on all of the problems at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogfit.formulas.form import Array
from cogfit.native import distributions

FEWEST = 3
"""Events from which on anything is estimated."""

_STEPS = 60  # Newton steps at most
_GAIN = 1e-9  # log-likelihood below which a step no longer matters
_SHORTEST = 1e-4  # log width of an interval: shorter ones would cost digits of their probability
_STEEPEST = 1e4  # 1/σ at most: times that are all alike have no smallest σ
# |δ| that costs log 2. With 60 % of 30 patterns censored, no penalty names the right driver 14 points less often; with
# δ held at 0, 27 % of the names are wrong where it is 0.4 (100 patterns).
_PENALTY = 0.2
_CLEARLY = 1.0  # log-likelihood by which a law of some of the times must beat one of all
_INNER = np.array([0.25, 0.5, 0.75])  # where a profile is evaluated again, between two points of its grid


# ------------------------------------------------------------------------------------------------------ laws of errors


@dataclass(frozen=True)
class Law:
    """Distribution of the errors of log times.

    Attributes
    ----------
    name : str
    tails : callable
        z → (P(ε ≤ z), P(ε > z)), both without cancellation.
    density, slope : callable
        z → density, and its derivative.
    quantile : callable
        Lower tail → z.
    """

    name: str
    tails: Callable[[Array], tuple[Array, Array]]
    density: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    quantile: Callable[[float], float]


def _normal_tails(z: Array) -> tuple[Array, Array]:
    return distributions.normal_cdf(z), distributions.normal_sf(z)


def _normal_density(z: Array) -> Array:
    return np.asarray(np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi))


def _logistic_tails(z: Array) -> tuple[Array, Array]:
    e = np.exp(-np.abs(z))
    small, large = e / (1.0 + e), 1.0 / (1.0 + e)
    return np.where(z < 0.0, small, large), np.where(z < 0.0, large, small)


def _logistic_density(z: Array) -> Array:
    e = np.exp(-np.abs(z))
    return np.asarray(e / (1.0 + e) ** 2)


def _hazard(z: Array) -> Array:
    """Cumulative hazard of the smallest extreme value."""
    return np.asarray(np.exp(np.clip(z, -700.0, 6.5)))  # beyond, the tail is 0 to double precision


def _extreme_tails(z: Array) -> tuple[Array, Array]:
    hazard = _hazard(z)
    return -np.expm1(-hazard), np.exp(-hazard)


def _extreme_density(z: Array) -> Array:
    hazard = _hazard(z)
    return np.asarray(hazard * np.exp(-hazard))


def _student_tails(z: Array) -> tuple[Array, Array]:
    u = np.minimum(np.abs(z) / math.sqrt(3.0), 1e8)  # infinity has no arithmetic
    tail = (np.arctan2(1.0, u) - u / (1.0 + u * u)) / math.pi
    return np.where(z < 0.0, tail, 1.0 - tail), np.where(z < 0.0, 1.0 - tail, tail)


def _student_density(z: Array) -> Array:
    return np.asarray(2.0 / (math.pi * math.sqrt(3.0)) / (1.0 + z * z / 3.0) ** 2)


LAWS: Mapping[str, Law] = {
    law.name: law
    for law in (
        Law(
            "log-normal",
            _normal_tails,
            _normal_density,
            lambda z: -z * _normal_density(z),
            lambda p: distributions.normal_quantile(p),
        ),
        Law(
            "log-logistic",
            _logistic_tails,
            _logistic_density,
            lambda z: -np.tanh(0.5 * z) * _logistic_density(z),
            lambda p: math.log(p) - math.log1p(-p),
        ),
        Law(
            "Weibull",
            _extreme_tails,
            _extreme_density,
            lambda z: (1.0 - _hazard(z)) * _extreme_density(z),
            lambda p: math.log(-math.log1p(-p)),
        ),
        Law(
            "log-t3",
            _student_tails,
            _student_density,
            lambda z: -4.0 * z / (3.0 + z * z) * _student_density(z),
            lambda p: distributions.student_quantile(p, 3.0),
        ),
    )
}
"""Laws of the errors, by the usual name of the law of the times; the first is the usual one."""


# -------------------------------------------------------------------------------------------------------- likelihood


@dataclass(frozen=True)
class Times:
    """Times known up to an interval, on the log scale.

    Attributes
    ----------
    lower, upper : ndarray, shape (…, n)
        lower < log T ≤ upper; infinite where the time is censored.
    """

    lower: Array
    upper: Array

    @classmethod
    def between(cls, lower: Array, upper: Array) -> Times:
        """Take the logarithms of both ends, never too close."""
        with np.errstate(divide="ignore"):
            low, high = np.log(lower), np.log(upper)
        return cls(np.minimum(low, high - _SHORTEST), high)

    @property
    def events(self) -> NDArray[np.int64]:
        """Count the times that are not right-censored."""
        return np.asarray(np.isfinite(self.upper).sum(axis=-1))

    def shifted(self, offset: Array) -> Times:
        """Take an offset from their logarithms."""
        return Times(self.lower - offset, self.upper - offset)


@dataclass(frozen=True)
class Regression:
    """Maximum-likelihood estimates of a survival regression.

    Attributes
    ----------
    law : Law
    params : ndarray, shape (…, p)
        1/σ, β/σ of every column, δ.
    loglik : ndarray, shape (…,)
        With the penalty of δ.
    """

    law: Law
    params: Array
    loglik: Array

    @property
    def coefficients(self) -> Array:
        """β of every column."""
        return np.asarray(self.params[..., 1:-1] / self.params[..., :1])

    @property
    def scale(self) -> Array:
        """σ."""
        return np.asarray(1.0 / self.params[..., 0])


@dataclass(frozen=True)
class _Problem:
    """Intervals and columns of one law's likelihood, (problems, n).

    The parameters are s = 1/σ, s·β and δ: the log-likelihood of all laws but t is concave in the first two (Burridge
    1981, J. R. Stat. Soc. B 43:41).
    """

    law: Law
    times: Times
    columns: Array  # (problems, n, columns)
    spread: Array

    def take(self, rows: NDArray[np.bool_]) -> _Problem:
        """Some of the problems."""
        times = Times(self.times.lower[rows], self.times.upper[rows])
        return _Problem(self.law, times, self.columns[rows], self.spread[rows])

    def start(self) -> Array:
        """Moments of the middles of the intervals."""
        lower, upper = self.times.lower, self.times.upper
        known_low, known_high = np.isfinite(lower), np.isfinite(upper)
        middle = np.where(known_low, np.where(known_high, 0.5 * (lower + upper), lower), upper)
        middle = np.where(np.isfinite(middle), middle, 0.0)
        deviation = np.maximum(middle.std(axis=-1), 1e-3)
        params = np.zeros((len(middle), 2 + self.columns.shape[-1]))
        params[:, 0], params[:, 1] = 1.0 / deviation, middle.mean(axis=-1) / deviation
        return params

    def loglik(self, params: Array) -> Array:
        """Penalised log-likelihood."""
        low, high = (self._standardised(bound, params) for bound in (self.times.lower, self.times.upper))
        penalty = np.log1p((params[:, -1] / _PENALTY) ** 2)
        return np.asarray(np.log(self._probability(low, high)).sum(axis=-1) - penalty)

    def derivatives(self, params: Array) -> tuple[Array, Array]:
        """Score of every time (…, n, p), and the Hessian (…, p, p).

        Both are without the penalty.
        """
        bounds = (self.times.lower, self.times.upper)
        standardised = [self._standardised(bound, params) for bound in bounds]
        probability = self._probability(*standardised)
        scores, hessian = np.zeros((1,)), np.zeros((1,))
        for bound, z, sign in zip(bounds, standardised, (-1.0, 1.0), strict=True):
            known = np.isfinite(bound)
            z = np.where(known, z, 0.0)
            slope = np.where(known, sign * self.law.density(z) / probability, 0.0)
            curvature = np.where(known, sign * self.law.slope(z) / probability, 0.0)
            jacobian = self._jacobian(np.where(known, bound, 0.0), z, params)
            scores = scores + slope[..., None] * jacobian
            hessian = hessian + np.swapaxes(jacobian, -1, -2) @ (curvature[..., None] * jacobian)
            # z = (s·y − …)·exp(−δ·v) is linear in all but δ
            cross = -np.einsum("bn,bnp->bp", slope * self.spread, jacobian)
            hessian[:, -1, :] += cross
            hessian[:, :-1, -1] += cross[:, :-1]
        return scores, hessian - np.swapaxes(scores, -1, -2) @ scores

    def _standardised(self, bound: Array, params: Array) -> Array:
        location = np.einsum("bnp,bp->bn", self.columns, params[:, 1:-1])
        return np.asarray((params[:, :1] * bound - location) * np.exp(-params[:, -1:] * self.spread))

    def _jacobian(self, bound: Array, z: Array, params: Array) -> Array:
        factor = np.exp(-params[:, -1:] * self.spread)
        location = -self.columns * factor[..., None]
        return np.concatenate([(bound * factor)[..., None], location, (-self.spread * z)[..., None]], axis=-1)

    def _probability(self, low: Array, high: Array) -> Array:
        """Of each interval, from the tail in which it lies."""
        below_low, above_low = self.law.tails(low)
        below_high, above_high = self.law.tails(high)
        return np.maximum(np.where(low > 0.0, above_low - above_high, below_high - below_low), 1e-300)


def maximise(law: Law, times: Times, columns: Array, spread: Array) -> Regression:
    """Fit by Newton's method, damped where a step fails.

    Parameters
    ----------
    law : Law
    times : Times
    columns : ndarray, shape (…, n, p)
        Of the location, the constant first.
    spread : ndarray, shape (…, n)
        Column v on which the logarithm of the scale depends; of mean 0.

    Returns
    -------
    Regression
    """
    shape = times.lower.shape
    problem = _flat(law, times, columns, spread)
    with np.errstate(all="ignore"):
        params, loglik = _climb(problem)
    return Regression(law, params.reshape(*shape[:-1], -1), loglik.reshape(shape[:-1]))


def _flat(law: Law, times: Times, columns: Array, spread: Array) -> _Problem:
    """All problems along one axis."""
    shape = times.lower.shape
    flat = Times(times.lower.reshape(-1, shape[-1]), times.upper.reshape(-1, shape[-1]))
    columns = np.broadcast_to(columns, (*shape, columns.shape[-1])).reshape(*flat.lower.shape, -1)
    return _Problem(law, flat, columns, np.broadcast_to(spread, shape).reshape(flat.lower.shape))


def _climb(problem: _Problem) -> tuple[Array, Array]:
    """Parameters at the maximum, and the log-likelihood there."""
    params = problem.start()
    loglik = problem.loglik(params)
    damping = np.full(loglik.shape, 1e-6)
    active = np.ones(loglik.shape, dtype=bool)
    for _ in range(_STEPS):
        part = problem if active.all() else problem.take(active)
        trial = _newton_step(part, params[active], damping[active])
        value = part.loglik(trial)
        is_better = value >= loglik[active] - 1e-12
        gain = np.where(is_better, value - loglik[active], np.inf)
        params[active] = np.where(is_better[:, None], trial, params[active])
        loglik[active] = np.where(is_better, value, loglik[active])
        damping[active] *= np.where(is_better, 0.1, 10.0)
        damping = np.maximum(damping, 1e-7)
        active[active] = (gain > _GAIN) & (damping[active] < 1e6)
        if not active.any():
            break
    return params, loglik


def _newton_step(problem: _Problem, params: Array, damping: Array) -> Array:
    scores, hessian = problem.derivatives(params)
    gradient = scores.sum(axis=-2)
    delta = params[:, -1]
    gradient[:, -1] -= 2.0 * delta / (_PENALTY**2 + delta**2)
    hessian[:, -1, -1] -= 2.0 * (_PENALTY**2 - delta**2) / (_PENALTY**2 + delta**2) ** 2
    size = np.abs(np.diagonal(hessian, axis1=-2, axis2=-1)) + 1e-12
    damped = -hessian + damping[:, None, None] * np.eye(size.shape[-1]) * size[:, None, :]
    trial = params + solve(damped, gradient)
    # the scale stays positive and changes no more than five-fold
    trial[:, 0] = np.clip(trial[:, 0], 0.2 * params[:, 0], np.minimum(5.0 * params[:, 0], _STEEPEST))
    return np.asarray(trial)


def solve(matrix: Array, vector: Array) -> Array:
    """Solve symmetric systems, by least squares if one is singular."""
    try:
        return np.asarray(np.linalg.solve(matrix, vector[..., None])[..., 0])
    except np.linalg.LinAlgError:
        finite = np.nan_to_num(matrix, nan=0.0, posinf=0.0, neginf=0.0)
        return np.asarray((np.linalg.pinv(finite, hermitian=True) @ vector[..., None])[..., 0])


def covariance(regression: Regression, times: Times, columns: Array, spread: Array, clusters: NDArray[Any]) -> Array:
    """Estimate the covariance of the coefficients of one regression.

    From the observed information; where several times belong to one cluster, from the scores of whole clusters
    (Huber's sandwich, times C/(C − p)).

    Parameters
    ----------
    regression : Regression
        Without leading axes.
    times, columns, spread
        As for :func:`maximise`.
    clusters : ndarray, shape (n,)
        Label of the independent unit of every time.

    Returns
    -------
    ndarray, shape (p, p)
        Infinite where the data do not determine the coefficients.
    """
    params = regression.params[None]
    with np.errstate(all="ignore"):
        scores, hessian = _flat(regression.law, times, columns, spread).derivatives(params)
    information = -hessian[0]
    delta = params[0, -1]
    information[-1, -1] += 2.0 * (_PENALTY**2 - delta**2) / (_PENALTY**2 + delta**2) ** 2
    size = columns.shape[-1]
    scaled = np.sqrt(np.maximum(np.diagonal(information), 1e-300))
    if not np.linalg.cond(information / np.outer(scaled, scaled)) < 1e12:
        return np.full((size, size), math.inf)
    inverse = np.linalg.inv(information)
    _, member = np.unique(clusters, return_inverse=True)
    count = int(member.max()) + 1
    if size < count < clusters.size:
        total = np.zeros((count, information.shape[0]))
        np.add.at(total, member, scores[0])
        inverse = inverse @ (total.T @ total) @ inverse * (count / (count - size))
    # from (s, s·β, δ) to β
    gradient = np.zeros((size, information.shape[0]))
    gradient[:, 0] = -regression.coefficients / params[0, 0]
    gradient[:, 1:-1] = np.eye(size) / params[0, 0]
    return np.asarray(gradient @ inverse @ gradient.T)


def best_law(loglik: Sequence[Array]) -> NDArray[np.int64]:
    """Number of the law in :data:`LAWS` that is taken.

    The likeliest, for all have equally many parameters. To prefer the usual one costs up to 3 points of the drivers
    that are named rightly where another is true, and gains none where it is.

    Parameters
    ----------
    loglik : sequence of ndarray, shape (…,)
        Of every law, in the order of :data:`LAWS`.

    Returns
    -------
    ndarray of int, shape (…,)
    """
    return np.asarray(np.nan_to_num(np.stack(loglik), nan=-np.inf).argmax(axis=0))


@dataclass(frozen=True)
class CentralRange:
    """Quantiles between which most times lie.

    Attributes
    ----------
    low, high : float
    with_censored : bool
        Whether right-censored times count as later ones. If not, they are a group of their own that has no event.
    """

    low: float
    high: float
    with_censored: bool


def central_range(times: Times, share: float = 0.8) -> CentralRange:
    """Estimate the central range of one sample of times.

    Right-censored times are later ones, unless it is clearly more likely that all times with an event belong to one law
    and the others to none: then events had ceased long before the end.

    Parameters
    ----------
    times : Times
        Shape (n,).
    share : float
        Of the times within the range.

    Returns
    -------
    CentralRange

    Examples
    --------
    >>> import numpy as np
    >>> k = np.array([10.0, 20.0, 40.0, 80.0, 160.0, 320.0])
    >>> central = central_range(Times.between(k, k * 1.01))
    >>> 10 < central.low < 20, 160 < central.high < 320
    (True, True)
    """
    with_all = _best_fit(times)
    is_event = np.isfinite(times.upper)
    count, events = is_event.size, int(is_event.sum())
    best, with_censored = with_all, True
    if FEWEST <= events < count:
        alone = _best_fit(Times(times.lower[is_event], times.upper[is_event]))
        split = events * math.log(events / count) + (count - events) * math.log(1.0 - events / count)
        if float(alone.loglik) + split > float(with_all.loglik) + _CLEARLY:
            best, with_censored = alone, False
    z = (best.law.quantile(0.5 + 0.5 * sign * share) for sign in (-1.0, 1.0))
    low, high = (math.exp(min(float(best.coefficients[0] + best.scale * value), 700.0)) for value in z)
    return CentralRange(low, high, with_censored)


def _best_fit(times: Times) -> Regression:
    """Location and scale under the law that is taken."""
    size = times.lower.shape[-1]
    fits = [maximise(law, times, np.ones((size, 1)), np.zeros(size)) for law in LAWS.values()]
    return fits[int(best_law([fit.loglik for fit in fits]))]


# ------------------------------------------------------------------------------------------------------------ profile


@dataclass(frozen=True)
class Profile:
    """Profile likelihood of one parameter.

    Attributes
    ----------
    points, loglik : ndarray, shape (…, g)
        In increasing order of the points.
    """

    points: Array
    loglik: Array

    @classmethod
    def of(cls, loglik: Callable[[Array], Array], grid: Array) -> Profile:
        """Evaluate it on a grid."""
        return cls(grid, loglik(grid))

    def take(self, problems: NDArray[np.bool_]) -> Profile:
        """Those of some of the problems."""
        return Profile(self.points[problems], self.loglik[problems])

    def around_peak(self) -> Array:
        """The highest point and its neighbours."""
        _, (before, peak), (_, after), _ = self._cells(0.0)
        return np.stack([self._at(index)[0] for index in (before, peak, after)], axis=-1)

    @property
    def fall(self) -> Array:
        """Twice the log-likelihood below the highest point."""
        return np.asarray(2.0 * (self.loglik.max(axis=-1, keepdims=True) - self.loglik))

    def refined(self, loglik: Callable[[Array], Array], cutoff: float) -> Profile:
        """Add points near the maximum and the limits."""
        new = np.concatenate([self._between(*cell) for cell in self._cells(cutoff)], axis=-1)
        points = np.concatenate([self.points, new], axis=-1)
        values = np.concatenate([self.loglik, loglik(new)], axis=-1)
        order = np.argsort(points, axis=-1, kind="stable")
        return Profile(np.take_along_axis(points, order, -1), np.take_along_axis(values, order, -1))

    def limits(self, cutoff: float) -> tuple[Array, Array]:
        """Where the profile has fallen by the cutoff.

        Infinite where it does not fall as far.
        """
        fall = self.fall
        low, _, _, high = self._cells(cutoff)
        return (
            np.where(fall[..., 0] <= cutoff, -np.inf, self._crossing(*low, cutoff)),
            np.where(fall[..., -1] <= cutoff, np.inf, self._crossing(*high, cutoff)),
        )

    def peak(self) -> Array:
        """Vertex of the parabola through the highest point."""
        index = np.clip(self.loglik.argmax(axis=-1), 1, self.points.shape[-1] - 2)[..., None]
        (x0, y0), (x1, y1), (x2, y2) = (self._at(index[..., 0] + i) for i in (-1, 0, 1))
        a, b = (x1 - x0) * (y1 - y2), (x1 - x2) * (y1 - y0)
        with np.errstate(invalid="ignore", divide="ignore"):
            vertex = x1 - 0.5 * ((x1 - x0) * a - (x1 - x2) * b) / (a - b)
        return np.where(np.isfinite(vertex), np.clip(vertex, x0, x2), x1)

    def _cells(self, cutoff: float) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]:
        """Neighbouring points about the lower limit, the maximum (two) and the upper limit."""
        last = self.points.shape[-1] - 1
        inside = self.fall <= cutoff
        first_in, last_in = inside.argmax(axis=-1), last - inside[..., ::-1].argmax(axis=-1)
        peak = np.clip(self.loglik.argmax(axis=-1), 1, last - 1)
        return (
            (np.maximum(first_in - 1, 0), np.maximum(first_in, 1)),
            (peak - 1, peak),
            (peak, peak + 1),
            (np.minimum(last_in, last - 1), np.minimum(last_in + 1, last)),
        )

    def _at(self, index: NDArray[np.int64]) -> tuple[Array, Array]:
        x, y = (np.take_along_axis(a, index[..., None], -1)[..., 0] for a in (self.points, self.loglik))
        return x, y

    def _between(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> Array:
        low, high = self._at(left)[0][..., None], self._at(right)[0][..., None]
        return np.asarray(low + (high - low) * _INNER)

    def _crossing(self, left: NDArray[np.int64], right: NDArray[np.int64], cutoff: float) -> Array:
        """Interpolate the root of the fall, which is almost linear."""
        top = self.loglik.max(axis=-1)
        (x0, y0), (x1, y1) = self._at(left), self._at(right)
        r0, r1 = (np.sqrt(2.0 * np.maximum(top - y, 0.0)) for y in (y0, y1))
        share = np.divide(math.sqrt(cutoff) - r0, r1 - r0, out=np.zeros_like(r0), where=r1 != r0)
        return np.asarray(x0 + np.clip(share, 0.0, 1.0) * (x1 - x0))


def likelihood_cutoff(level: float, size: int, columns: int) -> float:
    """Fall of twice the log-likelihood at the limits.

    Exact for normal errors of which none is censored; χ² with many times.

    Parameters
    ----------
    level : float
    size : int
        Number of times.
    columns : int
        Of the location.

    Examples
    --------
    >>> round(likelihood_cutoff(0.95, 30, 2), 3), round(likelihood_cutoff(0.95, 10**6, 2), 3)
    (4.189, 3.841)
    """
    freedom = max(size - columns, 1)
    t = distributions.student_quantile(0.5 + 0.5 * level, freedom)
    return size * math.log1p(t * t / freedom)

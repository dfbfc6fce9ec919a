"""Fits of power laws and exponentials to single patterns.

Patterns are averaged over bins of k; every form is fitted to all of them at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine import separable
from cogfit.formulas.form import Array, Form
from cogfit.formulas.registry import POWER, POWER_LAWS, get_form
from cogfit.native import distributions

EXPONENTIALS = ("exponential", "exponential_floor")
"""What power laws are compared with."""

_BINS = 60  # bins over the window, equally wide in log k; those without a k are left out
_GRID = 64  # values of the non-linear parameter that are tried
_LEVEL = 0.01  # two-sided level of both tests


@dataclass(frozen=True)
class Data:
    """Binned patterns and their variance.

    Means y and counts n of each pattern (J, B) at x (B,), and the variance v (B,) of one
    observation.
    """

    x: Array
    y: Array
    n: Array
    v: Array

    @property
    def size(self) -> Array:
        """Bins in which each pattern was seen."""
        return np.asarray((self.n > 0).sum(axis=1), dtype=float)

    def average(self, values: Array) -> Array:
        """Mean over patterns, (B,). Every observation counts once."""
        return np.asarray((self.n * values).sum(axis=0) / self.n.sum(axis=0))

    def pooled(self) -> Data:
        """The pooled curve, as if it were one pattern."""
        return Data(self.x, self.average(self.y)[None, :], self.n.sum(axis=0)[None, :], self.v)


def bin_patterns(curve: Curve) -> tuple[Array, Array, Array]:
    """Patterns averaged over bins of k.

    Geometric mean of k in each bin (B,), means and counts of each pattern there (J, B).
    """
    assert curve.clusters is not None
    count = np.asarray(curve.clusters.counts.sum(axis=0), dtype=float).ravel()
    keep = (curve.x > 0) & (count > 0)
    if not keep.any():
        return np.zeros(0), np.zeros((0, 0)), np.zeros((0, 0))
    lx, count, clusters = np.log(curve.x[keep]), count[keep], curve.take(keep).clusters
    assert clusters is not None
    width = max(float(np.ptp(lx)), 1e-9) / _BINS
    label = np.unique(np.minimum(np.floor((lx - lx.min()) / width + 1e-9), _BINS - 1), return_inverse=True)[1]
    binned = clusters.binned(label.astype(np.int64))
    sums, n = (a.toarray() if hasattr(a, "toarray") else np.asarray(a) for a in (binned.sums, binned.counts))
    x = np.exp(np.bincount(label, count * lx) / np.bincount(label, count))
    return x, np.divide(sums, n, out=np.zeros(sums.shape), where=n > 0), n.astype(float)


@dataclass(frozen=True)
class Fit:
    """Least-squares fits of one form to every pattern.

    Parameters (J, p), values (J, B), weighted residual sums (J,).
    """

    params: Array
    values: Array
    rss: Array


@dataclass(frozen=True)
class Fits:
    """Fits of all forms to the same data."""

    data: Data
    by: dict[str, Fit]

    def score(self, name: str) -> Array:
        """AICc of each pattern.

        Its scale is t-distributed about that of all patterns, with as many degrees of freedom as
        bins.
        """
        size = self.data.size
        return 2.0 * size * np.log1p(self.by[name].rss / size) + aicc_penalty(len(get_form(name).parameters), size)

    def best(self, names: Sequence[str]) -> tuple[Array, Array]:
        """Best of some forms, pattern by pattern.

        AICc (J,) and values (J, B).
        """
        scores = np.stack([self.score(name) for name in names])
        values = np.stack([self.by[name].values for name in names])
        return scores.min(axis=0), values[scores.argmin(axis=0), np.arange(scores.shape[1])]

    def difference(self) -> Array:
        """Log-likelihood difference of each pattern.

        Positive where exponentials are better.
        """
        return 0.5 * (self.best(POWER_LAWS)[0] - self.best(EXPONENTIALS)[0])


def fit_all(data: Data, unshifted: Fits | None = None) -> Fits:
    """Fit all forms.

    `same` are fits to the same data but for a shift of k, which changes no exponential.
    """
    by = {name: fit_form(get_form(name), data) for name in POWER_LAWS}
    by |= {name: fit_form(get_form(name), data) if unshifted is None else unshifted.by[name] for name in EXPONENTIALS}
    w, power = data.n / data.v, by[POWER]
    level = ((w * data.y).sum(axis=1) / w.sum(axis=1))[:, None]
    rising = power.params[:, 1] < 0.0  # exponentials cannot rise; power laws are held to the same
    rss = np.where(rising, (w * (data.y - level) ** 2).sum(axis=1), power.rss)
    by[POWER] = Fit(power.params, np.where(rising[:, None], level, power.values), rss)
    return Fits(data, by)


def fit_form(form: Form, data: Data) -> Fit:
    """Fit one form to every pattern.

    The form has one amplitude, one non-linear parameter and perhaps a floor.

    For each trial of the non-linear parameter the linear ones are known in closed form, so that a grid shared by all
    patterns costs three matrix products; parabolas refine its minimum. The general solver takes several times as long.
    """
    low, high = parameter_range(form, data.x)
    solver = _GridSolver.from_data(form, data)

    # the lowest point of a grid that all patterns share
    grid = np.linspace(low, high, _GRID)
    rss = solver.solve(grid[None, :])[0]
    best = grid[rss.argmin(axis=1)][:, None]
    lowest, spacing = rss.min(axis=1, keepdims=True), (high - low) / (_GRID - 1)

    # parabolas through it and its neighbours, three times, on ever closer neighbours
    for _ in range(3):
        near = np.clip(best + spacing * np.array([-1.0, 1.0]), low, high)
        side = solver.solve(near)[0]
        curvature = side.sum(axis=1, keepdims=True) - 2.0 * lowest
        offset = np.divide(
            side[:, :1] - side[:, 1:], 2.0 * curvature, out=np.zeros_like(curvature), where=curvature > 0.0
        )
        vertex = np.clip(best + spacing * np.clip(offset, -1.0, 1.0), low, high)
        trial, rss = np.hstack([best, near, vertex]), np.hstack([lowest, side, solver.solve(vertex)[0]])
        pick = rss.argmin(axis=1)[:, None]
        best, lowest = np.take_along_axis(trial, pick, 1), np.take_along_axis(rss, pick, 1)
        spacing = 0.15 * spacing

    _, amplitude, c = solver.solve(best)
    values = amplitude * solver.basis(best)[:, 0] + c
    natural, _ = separable.natural_of(form, best)
    params = np.hstack([amplitude, natural, c] if solver.has_floor else [amplitude, natural])
    return Fit(params, values, np.asarray((solver.w * (data.y - values) ** 2).sum(axis=1)))


@dataclass(frozen=True)
class _GridSolver:
    """Linear coefficients of every pattern in closed form.

    Attributes
    ----------
    form : Form
    x, lx : ndarray, shape (B,)
    w, wy : ndarray, shape (J, B)
        Weights, and weights times values.
    s0, sy, syy : ndarray, shape (J, 1)
        Σ w, Σ w·y, Σ w·y².
    """

    form: Form
    x: Array
    lx: Array
    w: Array
    wy: Array
    s0: Array
    sy: Array
    syy: Array

    @classmethod
    def from_data(cls, form: Form, data: Data) -> _GridSolver:
        """Sums that do not depend on the non-linear parameter."""
        x, w = data.x, data.n / data.v
        wy = w * data.y
        s0, sy, syy = w.sum(axis=1)[:, None], wy.sum(axis=1)[:, None], (wy * data.y).sum(axis=1)[:, None]
        return cls(form, x, np.log(x), w, wy, s0, sy, syy)

    @property
    def has_floor(self) -> bool:
        """Whether the form has a floor."""
        return self.form.floor is not None

    def basis(self, theta: Array) -> Array:
        """Column of the form at each trial, (…, B)."""
        natural, _ = separable.natural_of(self.form, theta.reshape(-1, 1))
        return self.form.columns(self.x, self.lx, natural)[0].reshape(*theta.shape, self.x.size)

    def solve(self, theta: Array) -> tuple[Array, Array, Array]:
        """Residual sum, amplitude and floor at each trial.

        theta (J or 1, trials); the results are (J, trials). Neither coefficient may be negative.
        """
        phi = self.basis(theta).transpose(0, 2, 1)
        pairs = ((self.w, phi), (self.w, phi * phi), (self.wy, phi))
        s1, s2, s1y = (a @ b[0] if len(b) == 1 else (a[:, None, :] @ b)[:, 0] for a, b in pairs)
        amplitude = np.maximum(s1y, 0.0) / np.maximum(s2, 1e-300)
        rss, c = self.syy - amplitude * s1y, np.zeros_like(amplitude)
        if self.has_floor:
            s0, sy = self.s0, self.sy
            spread, covariance = s2 - s1 * s1 / s0, s1y - s1 * sy / s0
            slope = np.where(spread > 1e-12 * s2, covariance / np.maximum(spread, 1e-300), 0.0)
            level = (sy - slope * s1) / s0
            inside = (slope >= 0.0) & (level >= 0.0)
            amplitude, c = np.where(inside, slope, amplitude), np.where(inside, level, c)
            rss = np.where(inside, self.syy - sy * sy / s0 - slope * covariance, rss)
        return rss, amplitude, c


def fit_general(form: Form, data: Data) -> Fit:
    """Fit any form of the registry to every pattern."""
    found = separable.solve(form, data.x, data.y, data.n / data.v, tolerance=1e-9)
    values = np.stack([form.evaluate(data.x, params) for params in found.params])
    return Fit(found.params, values, np.where(np.isfinite(found.rss), found.rss, math.inf))


def parameter_range(form: Form, x: Array) -> tuple[float, float]:
    """Range searched for the non-linear parameter.

    The range is in the solver's coordinates.
    """
    if form.gamma is None:
        return math.log(1e-3 / x.max()), math.log(8.0 / x.min())
    return (-1.0 if form.floor is None else 0.01), 6.0


def aicc_penalty(p: int, size: Array) -> Array:
    """AICc's price of p parameters."""
    return 2.0 * p * size / np.maximum(size - p - 1.0, 1.0)


def bin_variance(fits: Fits) -> Array:
    """Variance of one observation in each bin.

    Mean squared residual over patterns, smoothed over five bins.

    (The first bins pull fits towards themselves: their own residuals alone would give too small a variance.)
    """
    data, seen = fits.data, fits.data.n > 0
    closest = np.stack([fit.rss for fit in fits.by.values()]).argmin(axis=0)
    values = np.stack([fit.values for fit in fits.by.values()])[closest, np.arange(closest.size)]
    window = np.ones(5)
    square = np.convolve((data.n * (data.y - values) ** 2).sum(axis=0), window, "same")
    out = square / np.convolve(seen.sum(axis=0), window, "same") * seen.sum() / (seen.sum() - 3.0 * closest.size)
    return np.asarray(np.maximum(out, 1e-18 * float(np.mean(data.y**2)) or 1.0))  # exact fits are so only by rounding


def vuong_z(d: Array) -> float:
    """Mean over its standard error.

    Differences that do not vary, or are below 0.1, count for no more than they are.
    """
    spread = max(float(d.std(ddof=1)), 1e-3 * float(np.abs(d).max()), 0.1)
    return float(d.mean()) / spread * math.sqrt(d.size)


def critical_z(patterns: int) -> float:
    """What z must exceed, either way."""
    return distributions.student_quantile(1.0 - 0.5 * _LEVEL, patterns - 1)


def r_squared(data: Data, values: Array) -> float:
    """R² of averaged single fits about the pooled curve.

    Bins are weighted by their precision.
    """
    pooled = data.pooled()
    w, y = pooled.n[0] / data.v, pooled.y[0]
    total = float((w * (y - np.average(y, weights=w)) ** 2).sum())
    return 1.0 - float((w * (y - data.average(values)) ** 2).sum()) / total if total > 0.0 else math.nan

r"""The averaging artefact: a power law that no pattern follows.

A pooled curve may look like a power law although no single pattern follows one.

Averages need not look like what they average: exponentials whose rates are Gamma-distributed (shape a, rate b) average
exactly to :math:`(1 + k/b)^{-a}`, steps at scattered places to their survival curve (Anderson & Tweney 1997, Mem. Cogn.
25:724; Heathcote, Brown & Mewhort 2000, Psychon. Bull. Rev. 7:185). Only the curves of single patterns can tell.

Each pattern is fitted, on bins equally wide in log k, with power laws and with exponentials, both with and without a
floor; power laws may be those of k + s, with one s for all patterns, so that neither the way of counting nor a slow
start makes an exponential the better form. Residuals are taken on the scale of the data, so that zeros need no special
care; the variance of each bin is estimated over all patterns, and each pattern has a scale of its own (Student's t).
Patterns are the independent units: neither the noise model nor independence within a pattern is relied upon. Two
statistics must agree.

- ``z`` (Vuong 1989, Econometrica 57:307): mean over patterns of the log-likelihood difference (AICc) over its SE.
- ``z_mirrored``: the same, less what noise alone gives. One family may follow autocorrelated noise better than the
  other. Data mirrored at a fitted curve, 2f − y, have the same noise with the opposite sign and f for their truth; the
  difference found in them, averaged over f from both families, is subtracted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cogfit.curves.curve import Curve
from cogfit.engine import separable
from cogfit.formulas.form import Array, Form
from cogfit.formulas.registry import POWER, POWER_LAWS, get_form
from cogfit.inference.ranking import CLOSE
from cogfit.inference.survival import Times, central_range
from cogfit.native import distributions
from cogfit.records.codec import Document, Nan
from cogfit.records.sentence import Sentence, say

STATUSES: dict[str, str] = {
    "artefact": "single patterns are no power laws, and the pooled slope comes from averaging them",
    "genuine": "single patterns are power laws (their exponents may differ)",
    "none": "neither single patterns nor their average look like a power law: there is nothing to explain",
    "undecided": "single patterns are there but do not tell",
    "undecidable": "there are no (or too few) single patterns: a pooled curve alone never tells",
}
"""What may be said, by name."""

FEWEST = 5
"""Patterns with enough points from which on anything is said."""

BINARY = 0.8
"""Share of near-binary patterns from which single patterns may be steps."""

_EXPONENTIALS = ("exponential", "exponential_floor")
_OTHERS = ("hyperbolic", "log_logistic_step")  # what single curves may be besides: named, where it is the best form
_BINS = 60  # bins over the window, equally wide in log k; those without a k are left out
_POINTS = 6  # bins in which a pattern must have been seen: three coefficients must leave something over
_MOST = 2000  # patterns that are fitted; of more, evenly picked ones
_NAMED = 300  # patterns by which their form is named, where it is neither a power law nor an exponential
_GRID = 64  # values of the non-linear parameter that are tried
_LEVEL = 0.01  # two-sided level of both tests
_VAGUE = 1.0  # standard error from which the exponent of a single pattern says nothing
_CLEAR = 2.0  # log-likelihood difference from which a pattern speaks clearly for one side
_MIXED = 0.2  # share of the patterns that may speak clearly against the others
_BEYOND = 3.0  # a shifted power law is one if k reaches this many times the shift: half of its decline in log y
_DECADES = 0.5  # spread of the switches (10–90 %) from which their survival curve is gradual and no step itself
_REPRODUCED = 0.9  # R² from which an average of single fits reproduces the pooled curve


@dataclass(frozen=True)
class Averaging(Document):
    """Whether a pooled power law is an averaging artefact.

    Attributes
    ----------
    status : str
        One of :data:`STATUSES`.
    reasons : tuple of str
        Why, one sentence each.
    patterns : int
        Patterns that were looked at.
    kind : str
        What they are: ``"patterns"``, ``"runs"``, ``"groups"``.
    z, z_mirrored : float
        Statistics over patterns, positive where non-power forms are better (see the module). For steps only the first,
        against all smooth forms.
    critical : float
        What both must exceed, either way (Student's t, two-sided level 1 %).
    per_pattern_form : str or None
        Best non-power form of single patterns: ``"exponential"``, ``"exponential_floor"``, ``"hyperbolic"``,
        ``"log_logistic_step"`` or ``"step"``. The third and the fourth are named only where they are better than
        exponentials and power laws (z ≥ critical).
    share_better : float
        Share of patterns that it, or its kin, describes better, 0 … 1.
    near_binary : float
        Share of near-binary patterns, 0 … 1.
    decades : float
        For steps: log10 of the ratio of the k at which 90 % and 10 % of the switches are done, under the law of switch
        times that fits best; patterns that never switch are right-censored.
    gamma_form : str or None
        ``"power"`` or ``"power_floor"``, to which the exponents below belong (k as counted by the curve).
    gamma_mean, gamma_sd : float
        Mean of the exponents γ_j of single patterns and SD between patterns, from which estimation error is removed
        (unweighted moments: Hedges 1983, Psychol. Bull. 93:388). NaN where single patterns are no power laws.
    gamma_pooled : float
        Exponent of the pooled curve, every observation counted once.
    shift : float
        The power law that exponentials compete with is (k + shift)^−γ, with or without floor: the best shift common to
        all patterns, 0 … a third of the window. How k is counted, or a slow start, must not decide.
    reproduced, reproduced_power : float
        R² with which the average of the single-pattern non-power fits, and that of the power-law fits, reproduces the
        pooled curve.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"statements": "statements"}

    status: str
    reasons: tuple[Sentence, ...]
    patterns: int = 0
    kind: str = "patterns"
    z: Nan = math.nan
    z_mirrored: Nan = math.nan
    critical: Nan = math.nan
    per_pattern_form: str | None = None
    share_better: Nan = math.nan
    near_binary: Nan = math.nan
    decades: Nan = math.nan
    gamma_form: str | None = None
    gamma_mean: Nan = math.nan
    gamma_sd: Nan = math.nan
    gamma_pooled: Nan = math.nan
    shift: float = 0.0
    reproduced: Nan = math.nan
    reproduced_power: Nan = math.nan

    def statements(self) -> tuple[Sentence, ...]:
        """The findings, one sentence each."""
        out = list(self.reasons)
        if math.isfinite(self.reproduced):
            text = (
                "averaged, single fits reproduce the pooled curve with R² = {r2:.3f} ({form}) and {r2_power:.3f} "
                "(power law)"
            )
            r2, r2_power = self.reproduced, self.reproduced_power
            form = _words(self.per_pattern_form)
            out.append(say(text, r2=r2, r2_power=r2_power, form=form, by=self.statements))
        if math.isfinite(self.gamma_mean):
            text = (
                "γ of single {kind}: mean {mean:.2f}, SD between them {sd:.2f}; of the pooled curve {pooled:.2f} "
                "({form})"
            )
            mean, sd, pooled = self.gamma_mean, self.gamma_sd, self.gamma_pooled
            form = _words(self.gamma_form)
            numbers: dict[str, Any] = {"kind": self.kind, "mean": mean, "sd": sd, "pooled": pooled, "form": form}
            out.append(say(text, by=self.statements, **numbers))
        return tuple(out)


def analyse(curve: Curve, near_binary: float | None = None) -> Averaging:
    """Decide whether a pooled slope is an averaging artefact.

    Single patterns decide.

    Parameters
    ----------
    curve : Curve
        With ``clusters`` (patterns, runs, subjects). Points with k ≤ 0 are left out.
    near_binary : float, optional
        Share of near-binary patterns, 0 … 1 (:class:`cogfit.curves.trajectories.Trajectories`); found from the clusters
        if not given.

    Returns
    -------
    Averaging

    References
    ----------
    Anderson & Tweney 1997, Mem. Cogn. 25:724–730. Heathcote, Brown & Mewhort 2000, Psychon. Bull. Rev. 7:185–207.
    Vuong 1989, Econometrica 57:307–333. Hedges 1983, Psychol. Bull. 93:388–395.

    Examples
    --------
    >>> import numpy as np
    >>> from cogfit.inference import averaging
    >>> from cogfit.curves.exposure import Clusters, Curve
    >>> k = np.arange(1.0, 301.0)
    >>> single = np.exp(-np.random.default_rng(1).gamma(0.43, 1 / 10, (60, 1)) * k)
    >>> curve = Curve(k, single.mean(axis=0), np.ones(300), None, "exposure", "k", "probability",
    ...               clusters=Clusters("patterns", single, np.ones(single.shape)))
    >>> averaging.analyse(curve).status
    'artefact'
    """
    if curve.clusters is None:
        text = "only the pooled curve is there; single patterns are needed to tell"
        return Averaging("undecidable", (say(text, by=analyse),))
    kind = curve.clusters.kind
    x, y, n = _binned(curve)
    rows = np.flatnonzero((n > 0).sum(axis=1) >= _POINTS)
    if rows.size < FEWEST:
        text = "only {count} {kind} have values at {points} or more places of k; {fewest} are needed to tell"
        rule = f"count < {FEWEST}"
        why = say(text, count=rows.size, kind=kind, points=_POINTS, fewest=FEWEST, threshold=rule, by=analyse)
        return Averaging("undecidable", (why,), int(rows.size), kind)
    if rows.size > _MOST:
        rows = rows[np.linspace(0, rows.size - 1, _MOST).astype(int)]
    y, n = y[rows], n[rows]
    seen = n.sum(axis=0) > 0  # by these patterns
    first = _fit_all(_Data(x[seen], y[:, seen], n[:, seen], np.ones(int(seen.sum()))))
    steps = _steps(first, near_binary)
    if steps.near_binary >= BINARY and steps.switched.sum() >= FEWEST and _z(steps.better) >= _critical(rows.size):
        return _judge_steps(first, steps, kind)
    return _judge_by_shift(first, steps.near_binary, kind)


def _binned(curve: Curve) -> tuple[Array, Array, Array]:
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
class _Data:
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

    def pooled(self) -> _Data:
        """The pooled curve, as if it were one pattern."""
        return _Data(self.x, self.average(self.y)[None, :], self.n.sum(axis=0)[None, :], self.v)


@dataclass(frozen=True)
class _Fit:
    """Least-squares fits of one form to every pattern.

    Parameters (J, p), values (J, B), weighted residual sums (J,).
    """

    params: Array
    values: Array
    rss: Array


@dataclass(frozen=True)
class _Fits:
    """Fits of all forms to the same data."""

    data: _Data
    by: dict[str, _Fit]

    def score(self, name: str) -> Array:
        """AICc of each pattern.

        Its scale is t-distributed about that of all patterns, with as many degrees of freedom as
        bins.
        """
        size = self.data.size
        return 2.0 * size * np.log1p(self.by[name].rss / size) + _penalty(len(get_form(name).parameters), size)

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
        return 0.5 * (self.best(POWER_LAWS)[0] - self.best(_EXPONENTIALS)[0])


def _fit_all(data: _Data, unshifted: _Fits | None = None) -> _Fits:
    """Fit all forms.

    `same` are fits to the same data but for a shift of k, which changes no exponential.
    """
    by = {name: _fit(get_form(name), data) for name in POWER_LAWS}
    by |= {name: _fit(get_form(name), data) if unshifted is None else unshifted.by[name] for name in _EXPONENTIALS}
    w, power = data.n / data.v, by[POWER]
    level = ((w * data.y).sum(axis=1) / w.sum(axis=1))[:, None]
    rising = power.params[:, 1] < 0.0  # exponentials cannot rise; power laws are held to the same
    rss = np.where(rising, (w * (data.y - level) ** 2).sum(axis=1), power.rss)
    by[POWER] = _Fit(power.params, np.where(rising[:, None], level, power.values), rss)
    return _Fits(data, by)


def _fit(form: Form, data: _Data) -> _Fit:
    """Fit one form to every pattern.

    The form has one amplitude, one non-linear parameter and perhaps a floor.

    For each trial of the non-linear parameter the linear ones are known in closed form, so that a grid shared by all
    patterns costs three matrix products; parabolas refine its minimum. The general solver takes several times as long.
    """
    low, high = _range(form, data.x)
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
    return _Fit(params, values, np.asarray((solver.w * (data.y - values) ** 2).sum(axis=1)))


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
    def from_data(cls, form: Form, data: _Data) -> _GridSolver:
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


def _range(form: Form, x: Array) -> tuple[float, float]:
    """Range searched for the non-linear parameter.

    The range is in the solver's coordinates.
    """
    if form.gamma is None:
        return math.log(1e-3 / x.max()), math.log(8.0 / x.min())
    return (-1.0 if form.floor is None else 0.01), 6.0


def _penalty(p: int, size: Array) -> Array:
    return 2.0 * p * size / np.maximum(size - p - 1.0, 1.0)


def _variance(fits: _Fits) -> Array:
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


def _z(d: Array) -> float:
    """Mean over its standard error.

    Differences that do not vary, or are below 0.1, count for no more than they are.
    """
    spread = max(float(d.std(ddof=1)), 1e-3 * float(np.abs(d).max()), 0.1)
    return float(d.mean()) / spread * math.sqrt(d.size)


def _critical(patterns: int) -> float:
    return distributions.student_quantile(1.0 - 0.5 * _LEVEL, patterns - 1)


def _r_squared(data: _Data, values: Array) -> float:
    """R² of averaged single fits about the pooled curve.

    Bins are weighted by their precision.
    """
    pooled = data.pooled()
    w, y = pooled.n[0] / data.v, pooled.y[0]
    total = float((w * (y - np.average(y, weights=w)) ** 2).sum())
    return 1.0 - float((w * (y - data.average(values)) ** 2).sum()) / total if total > 0.0 else math.nan


# ----------------------------------------------------------------------------------------------- smooth patterns


def _judge_by_shift(first: _Fits, near_binary: float, kind: str) -> Averaging:
    """Compare exponentials with the best shifted power law."""
    data, critical = replace(first.data, v=_variance(first)), _critical(len(first.data.y))
    unshifted = _fit_all(data)

    # one shift for all patterns, in powers of 4 up to a third of the window: neither the way of counting nor a slow
    # start may decide
    shifts = [0.0, *(4.0**i for i in range(1 + int(math.log(max(data.x.max() / _BEYOND, 1.0), 4.0))))]
    by_shift = [unshifted] + [_fit_all(replace(data, x=data.x + s), unshifted) for s in shifts[1:]]
    total = [float(fits.best(POWER_LAWS)[0].sum()) for fits in by_shift]
    at = int(np.argmin(total))
    d, z, z_mirrored = _test_both(by_shift[at])

    # better than exponentials, but is it still a power law without more of a shift than counting explains?
    needs_shift = at > 1 and max(z, z_mirrored) <= -critical
    if needs_shift:
        small = int(np.argmin(total[:2]))
        d_small, *z_small = _test_both(by_shift[small])
        if max(z_small) <= -critical:
            at, d, (z, z_mirrored), needs_shift = small, d_small, z_small, False
    fits, law = by_shift[at], f"(k + {shifts[at]:g})^−γ" if at else "k^−γ"
    form, z_form = _best_single_form(fits, unshifted)
    single = fits.by[form].values if z_form else fits.best(_EXPONENTIALS)[1]
    reproduced = [_r_squared(data, values) for values in (single, fits.best(POWER_LAWS)[1])]
    better = 0.5 * (fits.best(POWER_LAWS)[0] - fits.score(form)) if z_form else d
    result = Averaging(
        status="undecided",
        reasons=(),
        patterns=d.size,
        kind=kind,
        z=z,
        z_mirrored=z_mirrored,
        critical=critical,
        per_pattern_form=form,
        share_better=float((better > 0.0).mean()),
        near_binary=near_binary,
        shift=shifts[at],
        reproduced=reproduced[0],
        reproduced_power=reproduced[1],
        **_exponents(unshifted),
    )
    against = float((d < -_CLEAR).mean() if z > 0.0 else (d > _CLEAR).mean())
    judged = _judge_smooth(result, law, against, needs_shift, data)
    if not z_form:
        return judged
    text = "single {kind} are {form} curves rather than exponentials or power laws {law} (z = {z:.1f})"
    title = get_form(form).title
    name = say(text, kind=kind, form=title, law=law, z=z_form, threshold=f"z ≥ {critical:.1f}", by=analyse)
    return replace(judged, reasons=(*judged.reasons, name))


def _best_single_form(fits: _Fits, unshifted: _Fits) -> tuple[str, float]:
    """The best non-power form of single patterns.

    With z against exponentials and power laws where it is none of these, or else 0.
    """
    data = unshifted.data
    best, z_best = min(_EXPONENTIALS, key=lambda name: float(fits.score(name).sum())), 0.0
    known = np.minimum(fits.best(_EXPONENTIALS)[0], fits.best(POWER_LAWS)[0])
    few = np.unique(np.linspace(0, known.size - 1, min(_NAMED, known.size)).astype(int))
    part = replace(data, y=data.y[few], n=data.n[few])
    for name in _OTHERS:
        found = _general_fit(get_form(name), part)
        z = _z(0.5 * (known[few] - _Fits(part, {name: found}).score(name)))
        if z >= max(_critical(few.size), z_best):
            best, z_best = name, z
    if z_best:
        fits.by[best] = _general_fit(get_form(best), data)
    return best, z_best


def _general_fit(form: Form, data: _Data) -> _Fit:
    """Fit a form of any number of parameters to every pattern."""
    found = separable.solve(form, data.x, data.y, data.n / data.v, tolerance=1e-9)
    values = np.stack([form.evaluate(data.x, params) for params in found.params])
    return _Fit(found.params, values, np.where(np.isfinite(found.rss), found.rss, math.inf))


def _judge_smooth(result: Averaging, law: str, against: float, needs_shift: bool, data: _Data) -> Averaging:
    """Rule on patterns that fall smoothly.

    What single fits say comes first, then what their mean looks like.
    """
    z, z_mirrored, critical, kind = result.z, result.z_mirrored, result.critical, result.kind
    numbers = {"kind": kind, "law": law, "z": z, "z_mirrored": z_mirrored, "critical": critical}
    how = " (z = {z:.1f}, mirrored {z_mirrored:.1f}; ±{critical:.1f} is needed)"

    def because(text: str, threshold: str, **values: Any) -> Sentence:
        return say(text + how, threshold=threshold, by=analyse, **numbers, **values)

    if min(abs(z), abs(z_mirrored)) < critical or z * z_mirrored < 0.0:
        why = because("single {kind} do not tell power laws {law} from exponentials", "|z| < ±critical")
        return replace(result, reasons=(why,))
    if against > _MIXED:
        text = "{kind} differ: {against:.0%} clearly contradict the others"
        return replace(result, reasons=(because(text, f"share > {_MIXED:g}", against=against),))
    if needs_shift:
        text = "single {kind} follow neither power laws nor exponentials: {law} is better than both"
        return replace(result, reasons=(because(text, "z ≤ −critical for shifted k only"),))
    if z < 0.0:
        text = "single {kind} follow power laws {law} better than exponentials"
        return replace(result, status="genuine", reasons=(because(text, "z ≤ −critical"),))

    return _judge_exponentials(result, because, data)


def _judge_exponentials(result: Averaging, because: Callable[..., Sentence], data: _Data) -> Averaging:
    """Rule on patterns that are exponentials.

    Does their mean look like a power law, and is it the pooled curve?
    """
    result = replace(result, gamma_mean=math.nan, gamma_sd=math.nan)
    text = "{share:.0%} of single {kind} follow {form} better than power laws {law}"
    form = "exponentials" if result.per_pattern_form in _EXPONENTIALS else _words(result.per_pattern_form)
    why = because(text, "z ≥ critical", share=result.share_better, form=form)
    margin = _like_power(data.pooled())
    if margin < -CLOSE:
        text = "and so does the pooled curve, better than power laws"
        return replace(result, status="none", reasons=(why, say(text, threshold=f"ΔAICc > {CLOSE:g}", by=analyse)))
    if margin <= CLOSE:
        text = "whether the pooled curve looks like a power law is not to be told"
        return replace(result, reasons=(why, say(text, threshold=f"|ΔAICc| ≤ {CLOSE:g}", by=analyse)))
    if result.reproduced < _REPRODUCED:
        text = "but the average of these is not the pooled curve"
        return replace(result, reasons=(why, say(text, threshold=f"R² < {_REPRODUCED:g}", by=analyse)))
    text = "the power law that the pooled curve looks like (γ = {gamma:.2f} as {form}) is an averaging artefact"
    headline = say(text, gamma=result.gamma_pooled, form=_words(result.gamma_form), by=analyse)
    return replace(result, status="artefact", reasons=(headline, why))


def _test_both(fits: _Fits) -> tuple[Array, float, float]:
    """Both tests of exponentials against power laws.

    Log-likelihood difference of each pattern, z, and z less what data mirrored at either fit give.
    """
    d, data = fits.difference(), fits.data
    y = np.concatenate([2.0 * fits.best(names)[1] - data.y for names in (POWER_LAWS, _EXPONENTIALS)])
    mirrored = _fit_all(replace(data, y=y, n=np.tile(data.n, (2, 1)))).difference()
    return d, _z(d), _z(d - mirrored.reshape(2, -1).mean(axis=0))


def _like_power(pooled: _Data) -> float:
    """ΔAICc by which power laws beat exponentials.

    The best power law, shifted ones included, is compared on the pooled curve.

    A shifted power law counts only if half of its decline in log y lies beyond the shift (x_max ≥ 3 b) and something
    is left there to see (γ ≤ 4): otherwise it is an exponential in disguise.
    """
    fits = _fit_all(pooled).by
    size, w = float(pooled.x.size), pooled.n / pooled.v
    shifted = separable.solve(get_form("shifted_power"), pooled.x, pooled.y, w, tolerance=1e-9)
    rss = {name: float(fit.rss[0]) for name, fit in fits.items() if float(fit.params[0, 1]) > 0.0}
    if _BEYOND * shifted.params[0, 2] <= pooled.x.max() and shifted.params[0, 1] <= 4.0:
        rss["shifted_power"] = float(shifted.rss[0])
    smallest = 1e-18 * float((w * pooled.y**2).sum()) + 1e-300
    score = {
        name: size * math.log(max(value, smallest))
        + float(_penalty(len(get_form(name).parameters) + 1, np.array(size)))
        for name, value in rss.items()
    }
    power = min((value for name, value in score.items() if name not in _EXPONENTIALS), default=math.inf)
    return min(score[name] for name in _EXPONENTIALS) - power


def _exponents(fits: _Fits) -> dict[str, Any]:
    """Exponents of single patterns and of the pooled curve.

    Their mean and SD, under the better power law.
    """
    data, size = fits.data, fits.data.size
    name = min(POWER_LAWS, key=lambda name: float(fits.score(name).sum()))
    form, params = get_form(name), fits.by[name].params
    phi = data.x ** -params[:, 1:2]
    design = np.stack([phi, -params[:, :1] * np.log(data.x) * phi, np.ones_like(phi)][: len(form.parameters)], axis=2)
    normal = np.einsum("jb,jbp,jbq->jpq", data.n / data.v, design, design)
    low, high = _range(form, data.x)
    scale = 0.5 * (1.0 + fits.by[name].rss / size) * size / np.maximum(size - len(form.parameters), 1.0)
    regular = np.linalg.cond(normal) < 1e12
    variance = np.full(size.size, math.inf)
    variance[regular] = scale[regular] * np.linalg.inv(normal[regular])[:, 1, 1]
    usable = (variance < _VAGUE**2) & (params[:, 1] > low + 1e-3) & (params[:, 1] < high - 1e-3)
    mean = sd = math.nan
    if usable.sum() >= FEWEST:  # unweighted: how precise γ_j is depends on γ_j, and weights would favour small ones
        mean = float(params[usable, 1].mean())
        sd = math.sqrt(max(float(params[usable, 1].var(ddof=1) - variance[usable].mean()), 0.0))
    pooled = float(_fit(form, replace(data.pooled(), v=np.ones(data.x.size))).params[0, 1])
    return {"gamma_form": name, "gamma_mean": mean, "gamma_sd": sd, "gamma_pooled": pooled}


@dataclass(frozen=True)
class _Steps:
    """Best step of each pattern.

    Its place, whether it is a switch, its values, by how much it beats smooth forms. Patterns that never come down are
    right-censored at their last k.
    """

    at: Times
    switched: NDArray[np.bool_]
    values: Array
    better: Array
    near_binary: float


def _steps(first: _Fits, near_binary: float | None) -> _Steps:
    """Split each pattern into a higher and a lower level.

    The bin in which it switches may have any mean.
    """
    data, size, row = first.data, first.data.size, np.arange(len(first.data.y))
    count, total, square = (np.cumsum(data.n * data.y**p, axis=1) for p in (0, 1, 2))
    n_after = count[:, -1:] - count
    n_before = count - data.n
    with np.errstate(invalid="ignore", divide="ignore"):
        before, after = (total - data.n * data.y) / n_before, (total[:, -1:] - total) / n_after
        rss = square[:, -1:] - data.n * data.y**2 - n_before * before**2 - n_after * after**2
    rss = np.where((n_before > 0) & (n_after > 0) & (before > after), rss, np.inf)
    split, level = rss.argmin(axis=1), total[:, -1] / count[:, -1]
    has_step = np.isfinite(rss[row, split])
    high, low = np.where(has_step, before[row, split], level), np.where(has_step, after[row, split], level)
    switched = (high > 0.8) & (low < 0.2)
    if near_binary is None:
        never = ~((high > 0.5) & (low < 0.5)) & ((level > 0.8) | (level < 0.2))
        near_binary = float((switched | never).mean())
    order = np.arange(data.x.size)
    values = np.where(order < split[:, None], high[:, None], low[:, None])
    values = np.where((order == split[:, None]) & (data.n > 0), data.y, values)
    smallest = 1e-12 * square[:, -1] + 1e-300
    rss_step = np.maximum(np.where(has_step, rss[row, split], square[:, -1] - count[:, -1] * level**2), smallest)
    smooth = [
        size * np.log(np.maximum(fit.rss, smallest)) + _penalty(len(get_form(name).parameters) + 1, size)
        for name, fit in first.by.items()
    ]
    better = 0.5 * (np.min(smooth, axis=0) - size * np.log(rss_step) - _penalty(4, size))
    return _Steps(_switch_times(data, split, high, low), switched, values, better, near_binary)


def _switch_times(data: _Data, split: NDArray[np.int64], high: Array, low: Array) -> Times:
    """Place of each switch, in k: within its bin, if there is one."""
    edges = np.sqrt(data.x[1:] * data.x[:-1])
    edges = np.concatenate([data.x[:1], edges, data.x[-1:]])
    seen = data.n > 0
    first, last = seen.argmax(axis=1), data.x.size - 1 - seen[:, ::-1].argmax(axis=1)
    is_never, is_low = low > 0.5, high <= 0.5
    lower = np.where(is_never, data.x[last], np.where(is_low, 0.0, edges[split]))
    return Times.between(lower, np.where(is_never, np.inf, np.where(is_low, data.x[first], edges[split + 1])))


def _judge_steps(first: _Fits, steps: _Steps, kind: str) -> Averaging:
    data, patterns = first.data, len(first.data.y)
    spread = central_range(steps.at)
    decades = math.log10(spread.high / spread.low)
    who = "all, with those that never switch counted as later ones" if spread.with_censored else "those that do"
    if steps.switched.all():
        who = "these"
    z = _z(steps.better)
    gamma = float(_fit(get_form(POWER), data.pooled()).params[0, 1])
    single = say(
        "single {kind} are steps: {near_binary:.0%} are near-binary, {switched} of {patterns} switch (z = {z:.1f} "
        "against smooth forms), 80 % of {who} between k = {low:,.0f} and {high:,.0f}",
        kind=kind,
        near_binary=steps.near_binary,
        switched=int(steps.switched.sum()),
        patterns=patterns,
        z=z,
        who=who,
        low=spread.low,
        high=spread.high,
        threshold=f"share ≥ {BINARY:g}",
        by=analyse,
    )
    if decades >= _DECADES:
        text = "the pooled slope (γ = {gamma:.2f}) is an averaging artefact of steps"
        reasons = (say(text, gamma=gamma, threshold=f"decades ≥ {_DECADES:g}", by=analyse), single)
    else:
        text = "they switch so close together that the pooled curve is a step, too, and no power law"
        reasons = (single, say(text, threshold=f"decades < {_DECADES:g}", by=analyse))
    return Averaging(
        status="artefact" if decades >= _DECADES else "none",
        reasons=reasons,
        patterns=patterns,
        kind=kind,
        z=z,
        critical=_critical(patterns),
        per_pattern_form="step",
        share_better=float((steps.better > 0.0).mean()),
        near_binary=steps.near_binary,
        decades=decades,
        gamma_form=POWER,
        gamma_pooled=gamma,
        reproduced=_r_squared(data, steps.values),
        reproduced_power=_r_squared(data, first.best(POWER_LAWS)[1]),
    )


def _words(form: str | None) -> str:
    """A form as it is called."""
    return "step" if form in (None, "step") else get_form(str(form)).title

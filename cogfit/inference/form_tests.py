"""Bootstrap test of every form: is it refused by these data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cogfit.curves.curve import Curve
from cogfit.engine import estimate, separable
from cogfit.engine.arma import WHITE, Arma, select_arma
from cogfit.engine.estimate import Estimate
from cogfit.engine.noise import NOISE
from cogfit.formulas.form import Array, Form, span_of
from cogfit.formulas.registry import POWER
from cogfit.inference.ranking import score
from cogfit.progress import Progress
from cogfit.records.codec import Document, Nan, wire

TEST_BINS = 100  # points on which forms are tested

_HELD = 4_000_000  # simulated values held at a time

_LOCATIONS = 5  # where else a location is looked for

_SAMPLE = 10  # replicates at whose fits forms are linearised

TOLERANCE = 1e-6

_FAR = 5.0  # a form several times further off than any replicate of the power law needs none of its own

_RIDGE = 1e-3  # directions in which a form hardly moves are left out

_SMOOTH_POINTS = 60  # fewer points get smooth departures of a lower degree

_TINY = 1e-300


@dataclass(frozen=True)
class FormTest(Document):
    """Bootstrap test of "this form is the truth".

    Attributes
    ----------
    p_value : float
        Share of curves made around the form on which a rival beats it by as much as on the data, in log RSS.
    fit_p_value : float
        The same for the largest excursion of the cumulative sum of its residuals: goodness of fit. NaN where the form
        is so far off that no curves were made.
    replicates : int
        Curves made; 0 where the form was refused without any, being several times further off than any replicate of the
        power law.
    """

    p_value: float
    fit_p_value: Nan = field(metadata=wire("goodness_of_fit_p_value"))
    replicates: int


@dataclass(frozen=True)
class _Data:
    """The curve in at most 100 bins, and how its errors are drawn anew."""

    x: Array
    label: NDArray[np.int64]
    mean: Array  # (1, bins)
    curve: Curve
    errors: Arma
    spread: float  # SD of the errors in units of the residuals
    drawn: dict[int, Array] = field(default_factory=dict)  # what `_noise` made, by the number of series

    @classmethod
    def of(cls, curve: Curve, form: Form, fit: Estimate) -> _Data:
        """Prepare a curve; the errors are those about a form that fits it well."""
        label = separable.bins_of(curve.x, TEST_BINS)
        weight = curve.weights
        x = np.bincount(label, curve.x) / np.bincount(label)
        mean = np.bincount(label, weight * curve.y) / np.bincount(label, weight)
        if curve.resampleable:
            assert curve.clusters is not None
            clusters = curve.clusters.binned(label)
            mean = clusters.resampled(np.ones((1, clusters.size)))[0][0]
        errors, spread = (WHITE, 1.0) if curve.resampleable else _errors_about(curve, form, fit)
        return cls(x, label, mean[None], curve, errors, spread)

    def null(self, form: Form, fit: Estimate, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Weights (bins,), and deviations (count, bins) from a form's fit like those of the data."""
        curve = self.curve
        f = form.evaluate(curve.x, form.vector(fit.params))
        size = self.x.size
        if curve.resampleable:
            assert curve.clusters is not None
            clusters = curve.clusters.binned(self.label)
            total = clusters.resampled(np.ones((1, clusters.size)))[1]
            chance = np.full(clusters.size, 1.0 / clusters.size)
            y, w = clusters.resampled(rng.multinomial(clusters.size, chance, size=count).astype(float))
            return total[0], np.where(w > 0, y - self.mean, 0.0)
        model = NOISE[fit.noise]
        if model.discrete:
            p = np.clip(f, 0.0, 1.0)
            drawn = rng.binomial(curve.weights.astype(np.int64), p, size=(count, f.size)) / curve.weights
            weight = curve.weights / np.clip(p * (1.0 - p), 1e-4, None)
            total = np.bincount(self.label, weight, size).astype(float)
            return total, _sums(drawn - f, weight, self.label) / total
        weight = model.information(f, curve.weights)
        total = np.bincount(self.label, weight, size).astype(float)
        scale = np.bincount(self.label, np.sqrt(weight / curve.weights), size) / np.bincount(self.label, None, size)
        return total, self._noise(count, rng) * scale / total

    def _noise(self, count: int, rng: np.random.Generator) -> Array:
        """Σ √w·e over each bin for `count` series of errors: drawn once, for all forms."""
        if count not in self.drawn:
            order, n = np.argsort(self.curve.x, kind="stable"), self.curve.x.size
            weight, label, width = np.sqrt(self.curve.weights[order]), self.label[order], max(1, _HELD // n)
            sizes = [min(width, count - at) for at in range(0, count, width)]
            parts = [_sums(self.errors.simulate(k, n, rng), weight, label) for k in sizes]
            self.drawn[count] = self.spread * np.concatenate(parts)
        return self.drawn[count]


def _sums(rows: Array, weight: Array, label: NDArray[np.int64]) -> Array:
    """Weighted sum of each row (count, n) over each bin; (count, bins)."""
    return np.stack([np.bincount(label, weight * row) for row in rows])


def _errors_about(curve: Curve, form: Form, fit: Estimate) -> tuple[Arma, float]:
    """ARMA model and SD of the errors, in units of the residuals, about a form *and* smooth departures from it.

    The errors of a form that does not fit would count its lack of fit as noise, and nothing would ever be refused: a
    random walk looks like any smooth curve. So Legendre polynomials in x and log x join the mean, and restricted
    likelihood pays for them.
    """
    params = form.vector(fit.params)
    if NOISE[fit.noise].discrete:
        return WHITE, 1.0
    order = np.argsort(curve.x, kind="stable")
    x = curve.x[order]
    f = form.evaluate(curve.x, params)
    weight = NOISE[fit.noise].information(f, curve.weights)
    r = (estimate.residuals(form, curve.x, curve.y, curve.weights, fit.noise, params))[order]
    with np.errstate(all="ignore"):
        jac = (form.jacobian(curve.x, params) * np.sqrt(weight)[:, None])[order]
    jac = np.where(np.isfinite(jac), jac, 0.0)
    degree = 3 if x.size >= _SMOOTH_POINTS else 2
    columns = [jac]
    for v in (x, np.log(np.maximum(x, 0.5 * span_of(x)[0]))):
        u = 2.0 * (v - v.min()) / max(float(np.ptp(v)), 1e-300) - 1.0
        columns.append(np.polynomial.legendre.legvander(u, degree)[:, 1:])
    columns.append(np.ones((x.size, 1)))
    q, s, _ = np.linalg.svd(_unit(np.concatenate(columns, axis=1)), full_matrices=False)
    mean = q[:, s > 1e-6 * s[0]]
    spare = x.size - mean.shape[1]
    if spare < 4:
        return WHITE, math.sqrt(float(r @ r) / max(x.size - len(form.parameters), 1))
    errors = select_arma(r, mean) if curve.serial else WHITE
    rows = errors.whiten(np.concatenate([mean.T, r[None]]))
    rest = rows[-1] - rows[:-1].T @ np.linalg.lstsq(rows[:-1].T, rows[-1], rcond=None)[0]
    return errors, math.sqrt(float(rest @ rest) / spare * float(errors.autocovariance(0)[0]))


def _unit(columns: Array) -> Array:
    size = np.linalg.norm(columns, axis=0)
    return np.asarray(columns[:, size > 0] / size[size > 0])


def compare_forms(
    curve: Curve,
    fits: Mapping[str, Estimate],
    registry: Mapping[str, Form],
    rng: np.random.Generator,
    *,
    replicates: int = 199,
    progress: Progress | None = None,
) -> dict[str, FormTest]:
    """Test every form by bootstrap; the forms that are not refused are a confidence set of forms.

    Around each form's fit curves are made: with the clusters resampled where there are enough, with binomial counts, or
    with ARMA errors like those about the best form and smooth departures from it. The test statistic is log RSS of the
    form less the least log RSS of all forms. (A rule on ΔAICc has no level: with several nested rivals it drops the
    truth too often, and a form with a break is not identified where there is none.) Data and curves are treated alike:
    the RSS of a form is the least over its tangent spaces at its fits to the data, to the form tested, and to some of
    the curves; so a thousand curves cost little more than a few. Curves of more than 100 points are averaged into bins
    first.

    Parameters
    ----------
    curve : Curve
    fits : mapping of str to Estimate
        Failed ones and users' forms are not tested.
    registry : mapping of str to Form
    rng : numpy Generator
    replicates : int
        For each form.
    progress : callable, optional
        Called as ``progress(done, total, name)``.

    Returns
    -------
    dict of str to FormTest
    """
    names = [name for name, fit in fits.items() if fit.status != "failed" and registry[name].basis is not None]
    names.sort(key=lambda name: name != POWER)  # its replicates show how far off chance may put a simple form
    scores = {name: score(fits[name]) for name in names}
    best = min(names, key=lambda name: scores[name])
    data = _Data.of(curve, registry[best], fits[best])
    out: dict[str, FormTest] = {}
    farthest = math.inf
    for number, name in enumerate(names):
        if progress is not None:
            progress(number, len(names), name)
        out[name], worst = _test_form(data, name, names, fits, registry, rng, replicates, farthest)
        if name == POWER:
            farthest = _FAR * worst
    return out


def _test_form(
    data: _Data, name: str, names: Sequence[str], fits: Mapping[str, Estimate], registry: Mapping[str, Form],
    rng: np.random.Generator, replicates: int, farthest: float,
) -> tuple[FormTest, float]:  # fmt: skip
    """Test of one form, and the largest statistic among its replicates."""
    x, form = data.x, registry[name]
    weight, rest = data.null(form, fits[name], replicates, rng)
    root = np.sqrt(weight)
    fitted = {n: registry[n].vector(fits[n].params) for n in names}
    direct = {n: _Tangents.of(registry[n], x, root, fitted[n][None]).rss(data.mean * root)[0] for n in names}
    if math.log((direct[name] + _TINY) / (min(direct.values()) + _TINY)) > farthest:
        return FormTest(1.0 / (replicates + 1.0), math.nan, 0), 0.0
    centre = form.evaluate(x, fitted[name])
    curves = np.concatenate([data.mean, centre + rest])
    sample = np.concatenate([centre[None], curves[: _SAMPLE + 1]])  # the form itself, the data, some replicates
    y = curves * root

    def best_of(n: str) -> Array:
        """Least RSS of every curve over the tangent spaces of a form."""
        points = np.concatenate([fitted[n][None], _refit(registry[n], x, sample, weight, fitted[n])])
        return _Tangents.of(registry[n], x, root, points).rss(y)

    mine = best_of(name)
    rivals = [n for n in names if n != name and not any(n in registry[m].contains for m in names)]
    least = np.min([mine, *(best_of(n) for n in rivals)], axis=0)
    gap = np.log((mine + _TINY) / (least + _TINY))
    bend = _Tangents.of(form, x, root, fitted[name][None]).excursion(y)
    p_value, fit_p_value = ((1.0 + (v[1:] >= v[0]).sum()) / (replicates + 1.0) for v in (gap, bend))
    return FormTest(float(p_value), float(fit_p_value), replicates), float(gap[1:].max())


def _refit(form: Form, x: Array, y: Array, weight: Array, start: Array) -> Array:
    """Parameters of a form fitted to some curves, from given ones and, for a location, from other places; (m, p)."""
    w = np.repeat(weight[None], len(y), axis=0)
    if not form.shape:
        return separable.solve(form, x, y, w).params
    rows = start[None, [form.names.index(q.name) for q in form.shape]]
    for j, q in enumerate(form.shape):
        if q.interior:
            low, high = q.absolute((q.lower, q.upper), x)
            elsewhere = np.repeat(rows[:1], _LOCATIONS, axis=0)
            elsewhere[:, j] = np.geomspace(low, high, _LOCATIONS + 2)[1:-1]
            rows = np.concatenate([rows, elsewhere])
    starts = np.repeat(rows[None], len(y), axis=0)
    return separable.solve(form, x, y, w, starts=starts, tolerance=TOLERANCE, quick=True).params


@dataclass(frozen=True)
class _Tangents:
    """A form near several sets of parameters: its weighted values (m, n), and where linear steps lead.

    Parameters at a bound are held, and a step that would leave the bounds is not taken.
    """

    base: Array
    directions: Array  # (m, n, p), orthonormal, or zero where there is none
    steps: Array  # (m, p, p): what one unit along a direction does to each parameter
    room: tuple[Array, Array]  # (m, p): how far each may go down and up

    @classmethod
    def of(cls, form: Form, x: Array, root: Array, params: Array) -> _Tangents:
        base, jac = separable.linearised(form, x, params)
        low, high = separable.bounds_of(form, x)
        margin = 1e-8 * np.maximum(np.abs(params), 1e-6)
        held = (params <= low + margin) | (params >= high - margin)
        jac = np.where(np.isfinite(jac), jac, 0.0) * root[:, None] * ~held[:, None, :]
        size = np.linalg.norm(jac, axis=1)
        size[size == 0] = 1.0
        u, s, vt = np.linalg.svd(jac / size[:, None, :], full_matrices=False)
        keep = s > _RIDGE * s[:, :1]
        steps = np.where(keep, 1.0 / np.where(keep, s, 1.0), 0.0)[:, :, None] * vt / size[:, None, :]
        return cls(base * root, u * keep[:, None, :], steps, (low - params, high - params))

    def rss(self, y: Array) -> Array:
        """Least RSS of weighted curves (k, n) after the best steps that stay within the bounds, or none; (k,)."""
        r = y[None] - self.base[:, None]
        along = r @ self.directions
        step = along @ self.steps
        allowed = ((step >= self.room[0][:, None]) & (step <= self.room[1][:, None])).all(axis=2)
        rest = np.einsum("mkn,mkn->mk", r, r) - np.where(allowed, (along**2).sum(axis=2), 0.0)
        return np.asarray(np.maximum(rest, 0.0).min(axis=0))

    def excursion(self, y: Array) -> Array:
        """Largest |cumulative sum| of the residuals of each curve (k, n) at the first set, per root of their RSS."""
        r = y - self.base[0]
        r = r - (r @ self.directions[0]) @ self.directions[0].T
        return np.asarray(np.abs(np.cumsum(r, axis=1)).max(axis=1) / np.sqrt((r**2).sum(axis=1) + _TINY))

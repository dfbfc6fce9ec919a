"""Bootstrap test of every form.

Which forms do the data refuse?
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cogfit.curves.curve import Clusters, Curve
from cogfit.engine import bins as binning
from cogfit.engine import estimate, separable
from cogfit.engine.arma import WHITE, unit_rows
from cogfit.engine.bins import Axis, Bins
from cogfit.engine.estimate import Estimate
from cogfit.engine.noise import NOISE
from cogfit.formulas.form import Array, Form, lifted_log, span_of
from cogfit.formulas.registry import POWER, POWER_LAWS
from cogfit.inference.error_models import INDEPENDENT, ErrorModel, fit_errors
from cogfit.inference.own_units import by_name_in_own_units
from cogfit.inference.ranking import score, simplest_in_race
from cogfit.progress import Progress
from cogfit.records.codec import Document, Nan, wire

REFUTED = 0.05
"""p-value up to which a form is refused."""

TEST_BINS = 100
"""Points on which forms are tested; longer curves are averaged into bins."""

TOLERANCE = 1e-6
"""Relative decrease of the RSS at which refits for a test stop."""

_HELD = 4_000_000  # simulated values held at a time: 32 MB
_LOCATIONS = 5  # other places from which a location is fitted
_SAMPLE = 10  # replicates at whose fits forms are linearised
_FAR = 5.0  # how many times further off than any replicate of the power law a form is refused without replicates
_RIDGE = 1e-3  # singular value, relative to the largest, below which a form hardly moves: left out
_SUMMED = 400  # points from which on Gaussian errors are drawn as sums over bins
_REWEIGHED = 3  # times that uneven errors are weighed anew
_SURE = 2.576  # standard errors that a p-value lies from the level before replicates suffice: 99 %
_MOST = 12_800  # replicates after which they do in any case
_SMOOTH_POINTS = 60  # fewer points get smooth departures of a lower degree
_NEGLIGIBLE = 1e-10  # relative to the largest value: what no data resolve
_HUGE = 1e300  # stands for an RSS that is no number
_TINY = 1e-300  # keeps logarithms of an RSS of 0 finite


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
        Curves made: so many that it is clear on which side of the level the p-values lie; 0 where the form was refused
        without any, being several times further off than any replicate of the power law.
    """

    p_value: float
    fit_p_value: Nan = field(metadata=wire("goodness_of_fit_p_value"))
    replicates: int


@dataclass(frozen=True)
class _Data:
    """The curve in about 100 bins, and its errors.

    The errors are drawn anew for every form, from the same series. Where they are larger in some parts of the curve
    than in others, the weights have made that good.
    """

    bins: Bins
    mean: Array  # (1, bins)
    curve: Curve
    errors: ErrorModel
    seed: int
    drawn: dict[int, Array] = field(default_factory=dict)  # what does not depend on the form, by batch
    rss: dict[bytes, dict[str, float]] = field(default_factory=dict)  # of all forms, by the weights of the bins

    @classmethod
    def from_curve(cls, curve: Curve, errors: ErrorModel, seed: int) -> _Data:
        """Gather a curve in bins."""
        bins = Bins.of_points(curve.x, TEST_BINS, curve.weights)
        mean = bins.mean(curve.y)
        if curve.resampleable:
            assert curve.clusters is not None
            clusters = curve.clusters.binned(bins.label)
            mean = clusters.resampled(np.ones((1, clusters.size)))[0][0]
        return cls(bins, mean[None], curve, errors, seed)

    def weight_around(self, form: Form, fit: Estimate) -> Array:
        """Weights of the bins if the form were the truth, (bins,)."""
        if self.curve.resampleable:
            clusters = self._binned_clusters()
            return np.asarray(clusters.resampled(np.ones((1, clusters.size)))[1][0])
        return np.asarray(np.bincount(self.bins.label, self._information(form, fit), self.bins.weight.size), float)

    def simulate_residuals(self, form: Form, fit: Estimate, count: int, batch: int) -> Array:
        """Residuals around a form, (count, bins).

        They deviate from the fit as the data would if the form were the truth. A batch has random numbers of its own,
        the same for every form.
        """
        rng, n, label = np.random.default_rng([self.seed, batch]), self.curve.x.size, self.bins.label
        if self.curve.resampleable:
            if batch not in self.drawn:
                self.drawn[batch] = self._resample_clusters(count, rng)
            return self.drawn[batch]
        weight = self._information(form, fit)
        total = np.bincount(label, weight)
        if NOISE[fit.noise].discrete:
            trials, p = self.curve.weights, np.clip(form.evaluate(self.curve.x, form.vector(fit.params)), 0.0, 1.0)
            draws = (rng.binomial(trials.astype(np.int64), p, size=(k, n)) for k in _portions(count, n))
            return np.concatenate([_sums(rows / trials - p, weight, label) for rows in draws]) / total
        if batch not in self.drawn:
            self.drawn[batch] = self._simulate_noise(count, rng)
        scale = np.bincount(label, np.sqrt(weight / self.curve.weights)) / np.bincount(label)
        return np.asarray(self.drawn[batch] * scale / total)

    def _information(self, form: Form, fit: Estimate) -> Array:
        """Weights of the points if the form were the truth, (n,)."""
        f, trials = form.evaluate(self.curve.x, form.vector(fit.params)), self.curve.weights
        if NOISE[fit.noise].discrete:
            p = np.clip(f, 0.0, 1.0)
            return trials / np.clip(p * (1.0 - p), 1e-4, None)
        return NOISE[fit.noise].information(np.maximum(f, _NEGLIGIBLE * float(np.abs(self.curve.y).max())), trials)

    def _binned_clusters(self) -> Clusters:
        assert self.curve.clusters is not None
        return self.curve.clusters.binned(self.bins.label)

    def _resample_clusters(self, count: int, rng: np.random.Generator) -> Array:
        """Deviations of resampled means from the mean."""
        clusters = self._binned_clusters()
        chance = np.full(clusters.size, 1.0 / clusters.size)
        y, w = clusters.resampled(rng.multinomial(clusters.size, chance, size=count).astype(float))
        return np.where(w > 0, y - self.mean, 0.0)

    def _simulate_noise(self, count: int, rng: np.random.Generator) -> Array:
        """Σ √w·e over each bin for `count` series of errors."""
        order, n = np.argsort(self.curve.x, kind="stable"), self.curve.x.size
        weight, label = np.sqrt(self.curve.weights[order]), self.bins.label[order]
        if n > (binning.LONG if self.errors.is_heavy else _SUMMED):
            begin = np.searchsorted(label, np.arange(self.bins.weight.size + 1))
            return self.errors.simulate_sums(count, begin, weight, rng)
        rows = [_sums(self.errors.simulate(k, n, rng), weight, label) for k in _portions(count, n)]
        return np.concatenate(rows)


def _portions(count: int, n: int) -> list[int]:
    """Numbers of series of n values that are held at a time."""
    width = max(1, _HELD // n)
    return [min(width, count - at) for at in range(0, count, width)]


def _sums(rows: Array, weight: Array, label: NDArray[np.int64]) -> Array:
    """Weighted sum of each row over each bin.

    Rows (count, n) become (count, bins).
    """
    return np.stack([np.bincount(label, weight * row) for row in rows])


def errors_about(curve: Curve, form: Form, fit: Estimate) -> tuple[ErrorModel, Array]:
    """Model the errors about a form, and their size.

    They are in units of the residuals. The mean is the form *and* smooth departures from it.

    The errors of a form that does not fit would count its lack of fit as noise, and nothing would ever be refused: a
    random walk looks like any smooth curve. So Legendre polynomials in x and log x join the mean, and restricted
    likelihood pays for them.
    """
    even = np.ones(curve.x.size)
    if curve.resampleable or NOISE[fit.noise].discrete:
        return INDEPENDENT, even

    # residuals and tangents of the form, in the order of x
    params, order = form.vector(fit.params), np.argsort(curve.x, kind="stable")
    x = curve.x[order]
    f = form.evaluate(curve.x, params)
    weight = NOISE[fit.noise].information(f, curve.weights)
    residuals = (estimate.residuals(form, curve.x, curve.y, curve.weights, fit.noise, params))[order]
    with np.errstate(all="ignore"):
        tangents = (form.jacobian(curve.x, params).T * np.sqrt(weight))[:, order]
    tangents[~np.isfinite(tangents)] = 0.0

    # an orthonormal basis of these and the smooth departures
    mean = _orthonormal(unit_rows(np.concatenate([tangents, *_smooth_rows(x)]).T))
    if x.size - len(mean) < 4:
        spread = math.sqrt(float(residuals @ residuals) / max(x.size - len(form.parameters), 1))
        return ErrorModel(((WHITE, spread),)), even
    errors, scale = fit_errors(residuals, mean.T, x, f[order], serial=curve.serial)
    if np.abs(residuals).max() > _NEGLIGIBLE * float(np.abs(curve.y * np.sqrt(weight)).max()):  # else rounding
        even[order] = scale
    return errors, even


def _orthonormal(rows: Array) -> Array:
    """Orthonormal rows that span the same space.

    Combinations that all but vanish are left out. Products of the rows cost much less than their decomposition; done
    twice, this is as exact (Fukaya et al. 2020, SIAM J. Sci. Comput. 42:A477).
    """
    for _ in range(2):
        values, vectors = np.linalg.eigh(rows @ rows.T)
        used = values > 1e-12 * values[-1]
        rows = (vectors[:, used] / np.sqrt(values[used])).T @ rows
    return rows


def _smooth_rows(x: Array) -> list[Array]:
    """Legendre polynomials in x and log x, and a constant."""
    degree = 3 if x.size >= _SMOOTH_POINTS else 2
    rows = []
    for v in (x, lifted_log(x)):
        u = 2.0 * (v - v.min()) / max(float(np.ptp(v)), 1e-300) - 1.0
        rows.append(np.polynomial.legendre.legvander(u, degree)[:, 1:].T)
    rows.append(np.ones((1, x.size)))
    return rows


@np.errstate(all="ignore")  # a form whose values overflow is as far off as can be
def compare_forms(
    curve: Curve,
    fits: Mapping[str, Estimate],
    registry: Mapping[str, Form],
    rng: np.random.Generator,
    *,
    reference: str | None = None,
    replicates: int = 199,
    progress: Progress | None = None,
) -> dict[str, FormTest]:
    """Test every form by bootstrap.

    The forms that are not refused are a confidence set of forms.

    Around each form's fit curves are made: with the clusters resampled where there are enough, with binomial counts, or
    with errors like those about `reference` and smooth departures from it. The test statistic is log RSS of the form
    less the least log RSS of all forms. (A rule on ΔAICc has no level: with several nested rivals it drops the
    truth too often, and a form with a break is not identified where there is none.) Data and curves are treated alike:
    the RSS of a form is the least over its tangent spaces at its fits to the data, to the form tested, and to some of
    the curves; so a thousand curves cost little more than a few. Curves of more than 100 points are averaged into bins
    first, and so are the forms (:class:`cogfit.engine.bins.Axis`).

    Parameters
    ----------
    curve : Curve
    fits : mapping of str to Estimate
        Failed ones and users' forms are not tested.
    registry : mapping of str to Form
    rng : numpy Generator
    reference : str, optional
        Form about which, and smooth departures, the errors are modelled; that of the lowest AICc by default.
    replicates : int
        For each form at first; four times as many each time while it is not clear, with 99 % confidence, on which side
        of the level (:data:`REFUTED`) its p-value lies, or that of a power law's goodness of fit; 3,200 at most.
    progress : callable, optional
        Called as ``progress(done, total, name)``.

    Returns
    -------
    dict of str to FormTest
    """
    names = [name for name, fit in fits.items() if fit.status != "failed" and registry[name].basis is not None]
    names.sort(key=lambda name: name != POWER)  # its replicates show how far off chance may put a simple form
    if reference not in names:
        reference = min(names, key=lambda name: score(fits[name]))
    curve, fits = by_name_in_own_units(curve, registry, {name: fits[name] for name in names})
    curve, fits, errors = _weigh(curve, fits, registry, reference)
    data = _Data.from_curve(curve, errors, int(rng.integers(2**62)))
    candidates = _Candidates(
        forms={name: registry[name] for name in names}, params={n: registry[n].vector(fits[n].params) for n in names}
    )
    out: dict[str, FormTest] = {}
    cutoff = math.inf
    for number, name in enumerate(names):
        if progress is not None:
            progress(number, len(names), name)
        out[name], largest = _test_form(data, name, fits[name], candidates, replicates, cutoff)
        if name == POWER:
            cutoff = _FAR * largest
    return out


@np.errstate(all="ignore")  # what overflows on a curve is no forecast of it
def refit_around(
    curve: Curve, form: Form, fit: Estimate, errors: ErrorModel, scale: Array, count: int, seed: int
) -> Array:
    """Refit a form to curves made around it.

    A parametric bootstrap, with the curves of :func:`compare_forms`.

    Parameters
    ----------
    curve : Curve
        In units of the data, as everything here.
    form : Form
        A separable form.
    fit : Estimate
    errors : ErrorModel
    scale : ndarray, shape (n,)
        Errors and their local size, from :func:`errors_about`.
    count : int
        How many curves.
    seed : int

    Returns
    -------
    ndarray, shape (count, p)
        Parameters in the order of ``form.parameters``.
    """
    data = _Data.from_curve(replace(curve, weights=curve.weights / scale**2), errors, seed)
    centre = data.bins.axis.values(form, form.vector(fit.params))
    made = centre + data.simulate_residuals(form, fit, count, 0)
    return _refit(form, data.bins.axis, made, data.weight_around(form, fit), form.vector(fit.params))


def _weigh(
    curve: Curve, fits: Mapping[str, Estimate], registry: Mapping[str, Form], reference: str
) -> tuple[Curve, Mapping[str, Estimate], ErrorModel]:
    """Weigh points by the size of their errors.

    Returns the curve, the fits to it and the errors in units of its weights; all as they are where sizes are alike.
    """
    errors, scale = errors_about(curve, registry[reference], fits[reference])
    for left in reversed(range(_REWEIGHED)):
        if np.ptp(scale) == 0.0:
            break
        curve = replace(curve, weights=curve.weights / scale**2)
        fits = {name: _fit_again(registry[name], curve, fit) for name, fit in fits.items()}
        if not left:  # the errors are those in units of these weights
            break
        # where a few large errors decided on the fits, another form may follow the rest
        scores = {name: score(fit) for name, fit in fits.items()}
        lowest = min(scores.values())
        delta = {name: value - lowest for name, value in scores.items()}
        reference = simplest_in_race(delta, {name: len(registry[name].parameters) for name in fits})
        errors, scale = errors_about(curve, registry[reference], fits[reference])
    return curve, fits, errors


def _fit_again(form: Form, curve: Curve, fit: Estimate) -> Estimate:
    """Fit a form to the same points with other weights."""
    again = estimate.estimate(form, curve.x, curve.y, curve.weights, fit.noise, start=fit.params)
    return fit if again.status == "failed" else again


@dataclass(frozen=True)
class _Candidates:
    """The forms that compete, with their fitted parameters."""

    forms: Mapping[str, Form]
    params: Mapping[str, Array]

    def rivals_of(self, name: str) -> list[str]:
        """All other forms but those contained in some form.

        The containing form fits at least as well.
        """
        others = (n for n in self.forms if n != name)
        return [n for n in others if not any(n in form.contains for form in self.forms.values())]


def _test_form(
    data: _Data, name: str, fit: Estimate, candidates: _Candidates, replicates: int, cutoff: float
) -> tuple[FormTest, float]:
    """Test one form.

    Returns the largest statistic among the replicates, too.

    A form whose statistic on the data exceeds `cutoff` is refused without replicates: being several times further off
    than chance puts the power law, replicates would only confirm it. Others get replicates until it is clear on which
    side of the level their p-values lie, so that the verdict does not hang on the random numbers.
    """
    root = np.sqrt(data.weight_around(candidates.forms[name], fit))
    rss = _rss_at_fits(candidates, data, root)
    if math.log((rss[name] + _TINY) / (min(rss.values()) + _TINY)) > cutoff:
        return FormTest(1.0 / (replicates + 1.0), math.nan, 0), 0.0
    worse, rougher, done, largest = 0, 0, 0, 0.0
    for batch, size in enumerate(_batches(replicates)):
        residuals = data.simulate_residuals(candidates.forms[name], fit, size, batch)
        log_ratio, lack_of_fit = _statistics(data, name, candidates, root, residuals)
        worse += int((log_ratio[1:] >= log_ratio[0]).sum())
        rougher += int((lack_of_fit[1:] >= lack_of_fit[0]).sum())
        largest, done = max(largest, float(log_ratio[1:].max())), done + size
        if _is_clear(worse, done) and (name not in POWER_LAWS or _is_clear(rougher, done)):
            break
    return FormTest((worse + 1.0) / (done + 1.0), (rougher + 1.0) / (done + 1.0), done), largest


def _batches(replicates: int) -> Iterator[int]:
    """Sizes of batches, each four times the one before it."""
    size, total = replicates, 0
    while total < max(_MOST, replicates):
        yield size
        total += size
        size = min(4 * size, max(_MOST - total, 1))


def _is_clear(hits: int, count: int) -> bool:
    """Whether a share of hits lies clearly above or below the level."""
    return abs(hits - REFUTED * count) > _SURE * math.sqrt(REFUTED * (1.0 - REFUTED) * count)


def _statistics(data: _Data, name: str, candidates: _Candidates, root: Array, residuals: Array) -> tuple[Array, Array]:
    """How much worse than the best form, and how rough the residuals.

    Both (1 + count,); the first is that of the data, the others are those of curves made around the form.
    """
    # row 0 is the data: data and replicates are treated alike, so that the test keeps its level
    form, params, axis, weight = candidates.forms[name], candidates.params, data.bins.axis, root**2
    centre = axis.values(form, params[name])
    curves = np.concatenate([data.mean, centre + residuals])
    y = curves * root

    # forms are linear near their fits; to the form itself, the data and some replicates these fits are made
    sample = np.concatenate([centre[None], curves[: _SAMPLE + 1]])
    rss_form = _least_rss(candidates, name, axis, weight, sample, y)
    rss_rivals = [_least_rss(candidates, n, axis, weight, sample, y) for n in candidates.rivals_of(name)]
    rss_best = np.min([rss_form, *rss_rivals], axis=0)
    log_ratio = np.log((rss_form + _TINY) / (rss_best + _TINY))
    return log_ratio, _Tangents.at_params(form, axis, root, params[name][None]).excursion(y)


def _rss_at_fits(candidates: _Candidates, data: _Data, root: Array) -> dict[str, float]:
    """RSS of every form on the data, linearised there."""
    known = data.rss.setdefault(root.tobytes(), {})  # most noise models weigh alike whatever the form
    for name, form in candidates.forms.items():
        if name not in known:
            tangents = _Tangents.at_params(form, data.bins.axis, root, candidates.params[name][None])
            known[name] = float(tangents.rss(data.mean * root)[0])
    return known


def _least_rss(candidates: _Candidates, name: str, axis: Axis, weight: Array, sample: Array, y: Array) -> Array:
    """Least RSS of every curve over a form's tangent spaces.

    These lie at its fits to the data and to the curves of `sample`; y (curves, n) are weighted curves.
    """
    form, fitted = candidates.forms[name], candidates.params[name]
    points = np.concatenate([fitted[None], _refit(form, axis, sample, weight, fitted)])
    return _Tangents.at_params(form, axis, np.sqrt(weight), points).rss(y)


def _refit(form: Form, axis: Axis, y: Array, weight: Array, start: Array) -> Array:
    """Refit a form to some curves, (m, p) parameters.

    The fits start from given parameters and, for a location, from other places as well.
    """
    w = np.repeat(weight[None], len(y), axis=0)
    if not form.shape:
        return separable.solve(form, axis, y, w).params
    places = start[None, [form.names.index(q.name) for q in form.shape]]
    for j, q in enumerate(form.shape):
        if q.interior:
            low, high = q.absolute((q.lower, q.upper), axis.x)
            elsewhere = np.repeat(places[:1], _LOCATIONS, axis=0)
            elsewhere[:, j] = np.geomspace(low, high, _LOCATIONS + 2)[1:-1]
            places = np.concatenate([places, elsewhere])
    starts = np.repeat(places[None], len(y), axis=0)
    return separable.solve(form, axis, y, w, starts=starts, tolerance=TOLERANCE, quick=True).params


@dataclass(frozen=True)
class _Tangents:
    """A form near several sets of parameters.

    Its weighted values, and a linear model of how they change: a continuous function of the parameters, so that no
    rounding of them shows. Steps end at the bounds of the parameters.
    """

    base: Array  # (m, n)
    slopes: Array  # (m, n, p), of unit length, or zero where a parameter has no effect
    room: tuple[Array, Array]  # (m, p): how far each parameter may go down (below 0) and up, in units of the slopes

    @classmethod
    def at_params(cls, form: Form, axis: Axis, root: Array, params: Array) -> _Tangents:
        base, jac = separable.linearised(form, axis, params)
        for j in (j for j, q in enumerate(form.parameters) if q.interior):
            jac[:, :, j] = _slope_across(form, axis, params, j)
        jac = np.nan_to_num(jac, posinf=0.0, neginf=0.0) * root[:, None]
        length = np.linalg.norm(jac, axis=1)
        is_finite = np.isfinite(length)
        unit = np.where(is_finite & (length > 0.0), length, 1.0)
        low, high = separable.bounds_of(form, axis.x)
        room = np.minimum((low - params) * unit, 0.0), np.maximum((high - params) * unit, 0.0)
        return cls(base * root, jac / unit[:, None] * is_finite[:, None], room)

    def rss(self, y: Array) -> Array:
        """Least RSS of each weighted curve, shape (k,).

        Each of the curves (k, n) takes the best steps that stay within the bounds.
        """
        # about one of the curves, so that the products keep their digits
        base, y = self.base - y[:1], y - y[:1]
        slope = y @ self.slopes - np.einsum("mn,mnp->mp", base, self.slopes)[:, None]
        rss = (y**2).sum(axis=1) - 2.0 * base @ y.T + (base**2).sum(axis=1)[:, None]

        # most steps lead to the least RSS; of the others, those follow the bounds that may be better than these
        step = slope @ _inverses(self.products, np.ones(slope.shape[::2]))
        lowest = rss - (slope * step).sum(axis=2)
        is_within = ((step >= self.room[0][:, None]) & (step <= self.room[1][:, None])).all(axis=2)
        best = np.where(is_within, lowest, np.inf).min(axis=0)
        at, curve = np.nonzero(~is_within & ~(lowest >= best))
        np.minimum.at(best, curve, rss[at, curve] - self._descend(at, slope[at, curve])[1])
        return np.asarray(np.where(np.isfinite(best), np.maximum(best, 0.0), _HUGE))

    def excursion(self, y: Array) -> Array:
        """Largest |cumulative sum| of the residuals of each curve.

        Curves (k, n) are taken about the first set of parameters; per root of their RSS.
        """
        residuals = y - self.base[0]
        step, _ = self._descend(np.zeros(len(y), dtype=np.int64), residuals @ self.slopes[0])
        residuals = residuals - step @ self.slopes[0].T
        return np.asarray(
            np.abs(np.cumsum(residuals, axis=1)).max(axis=1) / np.sqrt((residuals**2).sum(axis=1) + _TINY)
        )

    def _descend(self, at: NDArray[np.int64], slope: Array) -> tuple[Array, Array]:
        """Steps (v, p) and what they take off the RSS (v,).

        Row v starts from set `at[v]`, with half the slope of the RSS. It goes towards the least RSS up to the first
        bound, then along it; to refuse it there, or to hold what lies at a bound, would let rounding decide.
        """
        step, gain = np.zeros(slope.shape), np.zeros(len(slope))
        is_free = np.ones(slope.shape, dtype=bool)
        rows = np.arange(len(slope))
        for _ in range(slope.shape[1]):
            move = _towards_least(self.products, at[rows], is_free[rows], slope[rows])
            with np.errstate(divide="ignore", invalid="ignore"):
                edge = np.where(move < 0.0, self.room[0][at[rows]], self.room[1][at[rows]]) - step[rows]
                share = np.where(move != 0.0, np.maximum(edge / move, 0.0), np.inf)
            first = share.min(axis=1)
            part = np.minimum(first, 1.0)[:, None] * move
            change = np.einsum("vp,vpq->vq", part, self.products[at[rows]])
            gain[rows] += ((2.0 * slope[rows] - change) * part).sum(axis=1)
            step[rows] += part
            slope[rows] -= change
            is_free[rows] &= share > first[:, None]
            rows = rows[first < 1.0]
            if not rows.size:
                break
        return step, gain

    @cached_property
    def products(self) -> Array:
        """Products of the slopes, (m, p, p)."""
        return np.asarray(self.slopes.transpose(0, 2, 1) @ self.slopes)


def _slope_across(form: Form, axis: Axis, params: Array, j: int) -> Array:
    """Change of a form with a location, (m, n), per unit of it.

    Over the width of a point to either side: at a point itself the form may have a corner in it.
    """
    low, high = span_of(axis.x)
    width = 0.5 * math.log(high / low) / axis.x.size
    up, down = params.copy(), params.copy()
    up[:, j] *= math.exp(width)
    down[:, j] *= math.exp(-width)
    change = separable.linearised(form, axis, up)[0] - separable.linearised(form, axis, down)[0]
    return np.asarray(change / (up - down)[:, j, None])


def _towards_least(products: Array, at: NDArray[np.int64], free: NDArray[np.bool_], slope: Array) -> Array:
    """Steps of the free parameters to the least RSS, (v, p).

    Row v is of the products of set `at[v]`.
    """
    p = slope.shape[1]
    kinds, kind = np.unique(at * 2**p + free @ (1 << np.arange(p)), return_inverse=True)
    used = (kinds[:, None] >> np.arange(p) & 1).astype(float)
    return np.asarray(np.einsum("vp,vpq->vq", slope, _inverses(products[kinds >> p], used)[kind]))


def _inverses(products: Array, used: Array) -> Array:
    """Inverses of the products (m, p, p) of the slopes used (m, p).

    Without the directions in which the form hardly moves.
    """
    values, vectors = np.linalg.eigh(products * used[:, :, None] * used[:, None, :])
    keep = values > _RIDGE**2 * values[:, -1:]
    root = used[:, :, None] * vectors * np.where(keep, 1.0 / np.sqrt(np.where(keep, values, 1.0)), 0.0)[:, None]
    return np.asarray(root @ root.transpose(0, 2, 1))

"""Bootstrap test of every form.

Which forms do the data refuse?
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cogfit.curves.curve import Clusters, Curve
from cogfit.engine import bins as binning
from cogfit.engine import estimate, separable
from cogfit.engine.arma import WHITE, unit_rows
from cogfit.engine.bins import Axis, Bins
from cogfit.engine.estimate import Estimate
from cogfit.engine.noise import NOISE
from cogfit.formulas.form import Array, Form, Parameter, lifted_log
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

TESTED_POINTS = 10
"""Points below which a form fitted alone is not tested."""

MOST_REPLICATES = 12_800
"""Replicates after which a p-value is left as it is."""

TOLERANCE = 1e-6
"""Relative decrease of the RSS at which refits for a test stop."""

_HELD = 4_000_000  # simulated values held at a time: 32 MB
_SAMPLE = 10  # replicates whose fits tell where those of the others end
_NEAREST = 3  # of these fits, from how many a curve is refitted
_MOST_PRODUCTS = 4_000_000  # inner products that are held at once (32 MB)
_FAR = 5.0  # how many times further off than any replicate of the power law a form is refused without replicates
_SUMMED = 400  # points from which on Gaussian errors are drawn as sums over bins
_REWEIGHED = 3  # times that uneven errors are weighed anew
_SURE = 2.576  # standard errors that a p-value lies from the level before replicates suffice: 99 %
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


def is_borderline(test: FormTest) -> bool:
    """Whether replicates leave the side of the level open.

    Examples
    --------
    >>> is_borderline(FormTest(0.048, 0.5, 12_800)), is_borderline(FormTest(0.02, 0.5, 12_800))
    (True, False)
    """
    worse = round(test.p_value * (test.replicates + 1.0) - 1.0)
    return test.replicates > 0 and not _is_clear(worse, test.replicates)


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
    most: int = MOST_REPLICATES,
    progress: Progress | None = None,
) -> dict[str, FormTest]:
    """Test every form by bootstrap.

    The forms that are not refused are a confidence set of forms.

    Around each form's fit curves are made: with the clusters resampled where there are enough, with binomial counts, or
    with errors like those about `reference` and smooth departures from it. The test statistic is log RSS of the form
    less the least log RSS of all forms. (A rule on ΔAICc has no level: with several nested rivals it drops the
    truth too often, and a form with a break is not identified where there is none.) Data and curves are treated alike:
    every form is refitted to every one of them. Curves of more than 100 points are averaged into bins
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
        of the level (:data:`REFUTED`) its p-value lies, or the goodness of fit of a power law that is not refused.
    most : int
        Replicates after which that is left open.
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
        out[name], largest = _test_form(data, name, fits[name], candidates, (replicates, most), cutoff)
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


def misses_curve(curve: Curve, form: Form, fit: Estimate, rng: np.random.Generator, replicates: int = 99) -> bool:
    """Whether a form that was fitted alone leaves structure.

    The goodness of fit of :func:`compare_forms`, at 5 %.

    Parameters
    ----------
    curve : Curve
    form : Form
        A user's form is not tested.
    fit : Estimate
    rng : numpy Generator
    replicates : int
        At first; more until it is clear on which side of the level the p-value lies.

    Returns
    -------
    bool
        False for fewer than :data:`TESTED_POINTS` points.

    Examples
    --------
    >>> import numpy as np
    >>> from cogfit.curves.arrays import array_curve
    >>> from cogfit.engine.estimate import estimate
    >>> from cogfit.formulas.registry import get_form
    >>> x, form = np.arange(1.0, 101.0), get_form("power")
    >>> curve = array_curve(x, np.exp(-x / 20) + np.random.default_rng(0).normal(0, 0.01, 100))
    >>> misses_curve(curve, form, estimate(form, x, curve.y, curve.weights), np.random.default_rng(0))
    True
    """
    if form.basis is None or fit.status == "failed" or curve.x.size < TESTED_POINTS:
        return False
    test = compare_forms(curve, {form.name: fit}, {form.name: form}, rng, replicates=replicates)[form.name]
    return test.fit_p_value <= REFUTED


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
    data: _Data, name: str, fit: Estimate, candidates: _Candidates, replicates: tuple[int, int], cutoff: float
) -> tuple[FormTest, float]:
    """Test one form.

    Returns the largest statistic among the replicates, too.

    A form whose statistic on the data exceeds `cutoff` is refused without replicates: being several times further off
    than chance puts the power law, replicates would only confirm it. Others get replicates until it is clear on which
    side of the level their p-values lie, so that the verdict does not hang on the random numbers: `replicates` are
    those of the first batch, and the most.
    """
    root = np.sqrt(data.weight_around(candidates.forms[name], fit))
    if math.isfinite(cutoff) and _is_beyond(cutoff, name, candidates, data, root):
        return FormTest(1.0 / (replicates[0] + 1.0), math.nan, 0), 0.0
    needs_fit = name in POWER_LAWS or len(candidates.forms) == 1  # the verdict asks whether these fit
    worse, rougher, done, largest = 0, 0, 0, 0.0
    for batch, size in enumerate(_batches(*replicates)):
        residuals = data.simulate_residuals(candidates.forms[name], fit, size, batch)
        log_ratio, lack_of_fit = _statistics(data, name, candidates, root, residuals)
        worse += int((log_ratio[1:] >= log_ratio[0]).sum())
        rougher += int((lack_of_fit[1:] >= lack_of_fit[0]).sum())
        largest, done = max(largest, float(log_ratio[1:].max())), done + size
        is_settled = not needs_fit or worse < REFUTED * done or _is_clear(rougher, done)
        if _is_clear(worse, done) and is_settled:
            break
    return FormTest((worse + 1.0) / (done + 1.0), (rougher + 1.0) / (done + 1.0), done), largest


def _batches(replicates: int, most: int) -> Iterator[int]:
    """Sizes of batches, each four times the one before it."""
    size, total = replicates, 0
    while total < max(most, replicates):
        yield size
        total += size
        size = min(4 * size, max(most - total, 1))


def _is_clear(hits: int, count: int) -> bool:
    """Whether a share of hits lies clearly above or below the level."""
    return abs(hits - REFUTED * count) > _SURE * math.sqrt(REFUTED * (1.0 - REFUTED) * count)


def _statistics(data: _Data, name: str, candidates: _Candidates, root: Array, residuals: Array) -> tuple[Array, Array]:
    """How much worse than the best form, and how rough the residuals.

    Both (1 + count,); the first is that of the data, the others are those of curves made around the form.
    """
    # row 0 is the data: data and replicates are treated alike, so that the test keeps its level
    axis, weight = data.bins.axis, root**2
    centre = axis.values(candidates.forms[name], candidates.params[name])
    curves = np.concatenate([data.mean, centre + residuals])
    sample = np.concatenate([centre[None], curves[: _SAMPLE + 1]])
    own = _refit_all(candidates, name, axis, weight, sample, curves)
    rivals = [_refit_all(candidates, n, axis, weight, sample, curves).rss for n in candidates.rivals_of(name)]
    rss = np.where(np.isfinite(own.rss), own.rss, _HUGE)
    rss_best = np.fmin.reduce([rss, *rivals])
    log_ratio = np.log((rss + _TINY) / (rss_best + _TINY))
    fitted, _ = separable.linearised(candidates.forms[name], axis, own.params)
    return log_ratio, _excursion((curves - fitted) * root)


def _excursion(residuals: Array) -> Array:
    """Largest |cumulative sum| of residuals (k, n), per root of their RSS."""
    reach = np.abs(np.cumsum(residuals, axis=1)).max(axis=1) / np.sqrt((residuals**2).sum(axis=1) + _TINY)
    return np.asarray(np.where(np.isfinite(reach), reach, _HUGE))


def _is_beyond(cutoff: float, name: str, candidates: _Candidates, data: _Data, root: Array) -> bool:
    """Whether a form's statistic on the data exceeds a cutoff.

    As long as what the others reach without being refitted is not enough for that, they are.
    """
    axis, weight = data.bins.axis, root**2
    own = _rss_on_data(candidates, name, data, root)

    def ratio(least: float) -> float:
        return math.log((own + _TINY) / (min(least, own) + _TINY))

    fitted = (axis.values(form, candidates.params[other]) for other, form in candidates.forms.items())
    reached = (float((weight * (data.mean[0] - values) ** 2).sum()) for values in fitted)
    if ratio(min(rss if math.isfinite(rss) else _HUGE for rss in reached)) > cutoff:
        return True
    return ratio(min(_rss_on_data(candidates, other, data, root) for other in candidates.forms)) > cutoff


def _rss_on_data(candidates: _Candidates, name: str, data: _Data, root: Array) -> float:
    """RSS of a form that is refitted to the data."""
    known = data.rss.setdefault(root.tobytes(), {})  # most noise models weigh alike whatever the form
    if name not in known:
        rss = float(_refit_all(candidates, name, data.bins.axis, root**2, data.mean, data.mean).rss[0])
        known[name] = rss if math.isfinite(rss) else _HUGE
    return known[name]


def _refit_all(
    candidates: _Candidates, name: str, axis: Axis, weight: Array, sample: Array, curves: Array
) -> separable.Batch:
    """Refit a form to every curve, from near where it ends.

    Some of the curves are refitted first, from the fit to the data, and for a location between any two points. Every
    curve then starts from those of these fits that are best for it with their linear coefficients solved anew. A linear
    model of the form in place of a refit would do for small steps only: forms with three non-linear parameters reach
    further.
    """
    form, fitted = candidates.forms[name], candidates.params[name]
    weights = np.repeat(weight[None], len(curves), axis=0)
    if not form.shape:
        return separable.solve(form, axis, curves, weights)
    fits = np.concatenate([fitted[None], _refit(form, axis, sample, weight, fitted)])
    location = next((q for q in form.shape if q.interior), None)
    if location is not None:
        fits = np.concatenate([fits, _refit_between(form, axis, sample[:2], weight, fitted, location)])
    nearest = np.argsort(_rss_nearby(form, axis, weight, fits, curves), axis=1, kind="stable")[:, :_NEAREST]
    if location is not None:  # the fit to the data always: to first order another place may look better than it is
        nearest = np.insert(nearest, 0, 0, axis=1)
    starts = fits[:, [form.names.index(q.name) for q in form.shape]][nearest]
    return separable.solve(form, axis, curves, weights, starts=starts, tolerance=TOLERANCE, quick=True)


def _refit(form: Form, axis: Axis, curves: Array, weight: Array, start: Array) -> Array:
    """Refit a form to some curves from given parameters, (m, p) parameters."""
    weights = np.repeat(weight[None], len(curves), axis=0)
    starts = np.repeat(start[None, None, [form.names.index(q.name) for q in form.shape]], len(curves), axis=0)
    return separable.solve(form, axis, curves, weights, starts=starts, tolerance=TOLERANCE, quick=True).params


def _refit_between(form: Form, axis: Axis, curves: Array, weight: Array, start: Array, location: Parameter) -> Array:
    """Refit a form to some curves with its location between any two points, (m, p) parameters.

    The RSS has a minimum there each: which is the lowest differs from curve to curve.
    """
    low, high = location.absolute((location.lower, location.upper), axis.x)
    x = axis.x[axis.x > 0.0]
    places = np.sqrt(x[1:] * x[:-1])
    places = places[(places >= low) & (places <= high)]
    if not places.size:
        return np.empty((0, start.size))
    count = len(curves) * places.size
    starts = np.repeat(start[None, None, [form.names.index(q.name) for q in form.shape]], count, axis=0)
    held = np.tile(places, len(curves))
    starts[:, 0, [q.name for q in form.shape].index(location.name)] = held
    return separable.solve(
        form,
        axis,
        np.repeat(curves, places.size, axis=0),
        np.repeat(weight[None], count, axis=0),
        starts=starts,
        fixed={location.name: held},
        tolerance=TOLERANCE,
        quick=True,
    ).params


def _rss_nearby(form: Form, axis: Axis, weight: Array, fits: Array, curves: Array) -> Array:
    """RSS of curves (k, n) near some fits, (k, m).

    The linear coefficients are the best ones, bounds aside. Of a form with a location so are the other parameters, to
    first order: where it lies best tells only beside them.
    """
    root = np.sqrt(weight)
    has_location = any(q.interior for q in form.shape)
    free = [j for j, q in enumerate(form.parameters) if q.role != "shape" or (has_location and not q.interior)]
    columns = np.nan_to_num(
        separable.linearised(form, axis, fits)[1][:, :, free] * root[:, None], posinf=0.0, neginf=0.0
    )
    y = curves * root
    # one product with many bases at once is several times as fast as one with each of them
    bases = np.linalg.qr(columns)[0]  # (m, n, r)
    step = max(1, _MOST_PRODUCTS // (len(y) * bases.shape[2]))
    explained = np.concatenate([_explained(y, bases[i : i + step]) for i in range(0, len(bases), step)], axis=1)
    return np.asarray((y**2).sum(axis=1)[:, None] - explained)


def _explained(y: Array, bases: Array) -> Array:
    """Sum of squares of curves (k, n) within each of some spaces, given by orthonormal bases (m, n, r); (k, m)."""
    parts = y @ bases.transpose(1, 0, 2).reshape(y.shape[1], -1)
    return np.asarray(np.square(parts).reshape(len(y), len(bases), -1).sum(axis=2))

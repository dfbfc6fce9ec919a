"""The smooth part of a curve whose level may change.

Binned points, shapes of changes, and the best form beside them.

A smooth form is one of the registry, or a mixture of exponentials with weights of one sign. Its non-linear parameters
come from least squares on bins; after that it counts as linear in its parameters, and generalised least squares with
AR(1) errors on all points does the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cogfit.engine import separable
from cogfit.engine.bins import Bins
from cogfit.formulas.form import Array
from cogfit.formulas.form import Form as RegisteredForm
from cogfit.formulas.on_request import SMOOTH_BREAK
from cogfit.formulas.registry import get_form
from cogfit.inference.nonnegative import nonnegative_weights
from cogfit.inference.transition_breaks import fit_break, is_sharpest
from cogfit.inference.transition_steps import Mean, effects

MIXTURE = "exponential_mixture"
SMOOTH = (
    "constant",
    "logarithmic",
    "power_floor",
    "exponential_floor",
    MIXTURE,
    "shifted_power_floor",
    "apex_floor",
    "stretched_exponential_floor",
)
"""Smooth forms in the order in which they are tried."""

SLOW = 5.0
"""Steepness below which a change is smooth: 10 to 90 % of it take a factor 2.4 of x or more."""

_SPACING = 0.4  # in log x, of the changes by which a smooth change of regime is followed
_BINS = 150  # on which the non-linear parameters are fitted
_STEP_PARAMETERS = 3  # size, location and steepness of a change
_LIFT = 20.0  # standard deviations by which curves are lifted: floors and amplitudes of 0 or more then never bind
_RATIO = 2.0  # between neighbouring rates of the mixture
_POLISH = 30  # steps by which its rates are fitted, at the most
_NODES = 8  # points of a bin at which exponentials are averaged


@dataclass(frozen=True)
class Series:
    """A curve in which changes are looked for.

    Means of x and y and √weight (n,); the single points, and the bin that each of them is in.

    `coarse` are the bins on which non-linear parameters are fitted; `nodes` (k, n) stand for the x of each
    bin; `nuisance` are further rows of every mean, (k, n).
    """

    x: Array
    y: Array
    root: Array
    points: tuple[Array, Array, Array]
    label: NDArray[np.intp]
    coarse: Bins
    nodes: Array
    nuisance: Array

    @classmethod
    def from_points(cls, x: Array, y: Array, w: Array, most: int) -> Series:
        """Average points into bins.

        First points of equal x, then neighbours, into at most `most` bins of equally many.
        """
        _, same = np.unique(x, return_inverse=True)
        points = means(x, y, w, same)
        label = np.arange(points[0].size) // -(-points[0].size // most)
        bx, by, bw = means(*points, label)
        coarse = Bins.of_points(points[0], _BINS, points[2])
        return cls(
            bx, by, np.sqrt(bw / bw.mean()), points, label, coarse, _nodes(points[0], label), np.zeros((0, bx.size))
        )

    def moved(self, shift: float) -> Series:
        """The curve with all x moved."""
        x, y, w = self.points
        coarse = Bins.of_points(x + shift, _BINS, w)
        points, nodes = (x + shift, y, w), self.nodes + shift
        return replace(self, x=self.x + shift, points=points, coarse=coarse, nodes=nodes)

    def after(self, count: int) -> Series:
        """The curve without its first bins."""
        keep = self.label >= count
        x, y, w = (values[keep] for values in self.points)
        root = self.root[count:] / math.sqrt(float((self.root[count:] ** 2).mean()))
        coarse = Bins.of_points(x, _BINS, w)
        points, label = (x, y, w), self.label[keep] - count
        return Series(
            self.x[count:], self.y[count:], root, points, label, coarse, self.nodes[:, count:], self.nuisance[:, count:]
        )

    @property
    def trim(self) -> int:
        """Points at either end that are not searched."""
        return max(3, self.x.size // 50)

    def averaged(self, values: Array) -> Array:
        """Means over the bins of values at single points.

        The values have shape (…, points).
        """
        if self.label.size == self.x.size:
            return values
        start, w = np.flatnonzero(np.diff(self.label, prepend=-1)), self.points[2]
        return np.asarray(np.add.reduceat(values * w, start, axis=-1) / np.add.reduceat(w, start))


def _nodes(x: Array, label: NDArray[np.intp]) -> Array:
    """Points that stand for the bins, (k, bins).

    They are spread evenly over the points of each bin.
    """
    if label[-1] + 1 == label.size:
        return x[None]
    begin = np.flatnonzero(np.diff(label, prepend=-1))
    count = np.diff(begin, append=label.size)
    place = begin + (np.arange(_NODES)[:, None] + 0.5) / _NODES * count - 0.5
    return np.interp(place, np.arange(label.size), x)


def means(x: Array, y: Array, w: Array, label: NDArray[np.intp]) -> tuple[Array, Array, Array]:
    """Weighted means of x and y by label.

    Returns the sums of weights, too.
    """
    total: Array = np.asarray(np.bincount(label, w), dtype=float)
    return np.bincount(label, w * x) / total, np.bincount(label, w * y) / total, total


@dataclass(frozen=True)
class Shape:
    """A change from 0 to 1.

    Location, steepness on the log axis (inf: a jump), whether a jump would do as well.
    """

    t50: float
    s: float
    sharp: bool = False

    @property
    def is_smooth(self) -> bool:
        """Whether it is too slow for a transition."""
        return self.s < SLOW and not self.sharp

    def surroundings(self, series: Series) -> Array:
        """Smooth changes about a smooth one, (k, n).

        It need not be log-logistic. There are none about an abrupt change.
        """
        if not self.is_smooth:
            return np.zeros((0, series.x.size))
        low = max(math.log(self.quantile(0.1)) - _SPACING, math.log(series.x[0]))
        high = min(math.log(self.quantile(0.9)) + _SPACING, math.log(series.x[-1]))
        centres = np.arange(low, high + _SPACING, _SPACING)
        return gradual(np.log(series.x), centres, np.full(centres.size, SLOW)) * series.root

    def column(self, series: Series) -> Array:
        """The change as a row of the mean, (n,). It is times √weight."""
        if math.isinf(self.s):
            return np.asarray((series.x > self.t50) * series.root)
        column = gradual(np.log(series.x), np.array([math.log(self.t50)]), np.array([self.s]))[0]
        return np.asarray(column * series.root)

    def quantile(self, share: float) -> float:
        """Where a share of the change is done."""
        return float(self.t50 * math.exp(math.log(share / (1.0 - share)) / self.s))


def gradual(lx: Array, location: Array, s: Array) -> Array:
    """Log-logistic columns from 0 to 1, (columns, n)."""
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(-s[:, None] * (lx - location[:, None]), -40.0, 40.0))))


@dataclass(frozen=True)
class Form:
    """A fitted smooth form.

    Non-linear parameters, whether it falls (else it is upside down), values, tangents (p, n).

    The tangents are times √weight. `count` are its parameters.
    """

    name: str
    falls: bool
    theta: Array
    curve: Array
    tangents: Array
    count: int

    @property
    def is_smooth(self) -> bool:
        """Whether it is fast at first, then slow.

        A stretched exponential may be slow at first, then fast: that would be a transition.
        """
        return self.name != "stretched_exponential_floor" or bool(self.theta[1] <= 1.0)


@dataclass(frozen=True)
class Null:
    """The best smooth form beside changes of level.

    Attributes
    ----------
    form : Form
    mean : Mean
        Tangents of the form and the known changes.
    residual : ndarray, shape (n,)
        What they leave of y, times √weight.
    fitted : ndarray, shape (n,)
        The smooth part.
    sizes : ndarray
        Of all changes.
    """

    form: Form
    mean: Mean
    residual: Array
    fitted: Array
    sizes: Array


def smooth(
    series: Series,
    shapes: Sequence[Shape] = (),
    sizes: Array | None = None,
    *,
    hidden: int = 0,
    near: Form | None = None,
) -> Null:
    """Choose and fit the smooth form beside changes of level.

    The last `hidden` changes stay in what is left.

    `sizes` are first guesses of the changes' sizes. The form is chosen beside them, their sizes are corrected, and the
    form is fitted once more. `near` spares the choice.
    """
    columns = np.stack([shape.column(series) for shape in shapes]) if shapes else np.zeros((0, series.x.size))
    sizes = np.zeros(len(shapes)) if sizes is None else sizes
    slopes = np.concatenate([series.nuisance, *(shape.surroundings(series) for shape in shapes)])
    n_in_mean = len(shapes) - hidden
    for _ in range(2):
        target = series.y - sizes @ columns / series.root
        near = (
            _choose_form(series, target, np.concatenate([slopes, columns]))
            if near is None
            else _fit_form(series, target, near.name, near)
        )
        residual = (series.y - near.curve) * series.root
        smooth_rows = np.concatenate([near.tangents, slopes])
        effect = effects(np.concatenate([smooth_rows, columns]), residual - sizes @ columns)
        sizes = sizes + effect[len(smooth_rows) :]
    assert near is not None
    mean = Mean.from_rows(np.concatenate([smooth_rows, columns[:n_in_mean]]))
    fitted = near.curve + effect[: len(smooth_rows)] @ smooth_rows / series.root
    return Null(near, mean, residual - sizes[:n_in_mean] @ columns[:n_in_mean], fitted, sizes)


def rivals(series: Series, null: Null, shapes: Sequence[Shape]) -> Iterator[Null]:
    """The other smooth forms, fitted beside the same changes."""
    columns = np.stack([shape.column(series) for shape in shapes]) if shapes else np.zeros((0, series.x.size))
    target = series.y - null.sizes @ columns / series.root
    fits: dict[str, Form] = {}
    for name in SMOOTH:
        fits[name] = _fit_form(series, target, name, fits)
        if name != null.form.name and fits[name].is_smooth:
            rival = smooth(series, shapes, null.sizes, near=fits[name])
            if rival.form.is_smooth:
                yield rival


def broken_power(series: Series, null: Null, shapes: Sequence[Shape]) -> tuple[Null, Shape]:
    """The smoothly broken power law beside known changes.

    Its break as a change comes with it.
    """
    columns = np.stack([known.column(series) for known in shapes]) if shapes else np.zeros((0, series.x.size))
    form = _fit_form(series, series.y - null.sizes @ columns / series.root, SMOOTH_BREAK.name, {})
    broken = smooth(series, shapes, null.sizes, near=form)
    _, _, place, width = broken.form.theta
    return broken, Shape(float(place), 1.0 / float(width))


def bic_score(null: Null, shape: Shape | None, series: Series) -> float:
    """Log-likelihood less BIC's price, with a further change or without."""
    rows = null.mean.rows if shape is None else np.concatenate([null.mean.rows, shape.column(series)[None]])
    count = null.form.count + (0 if shape is None else _STEP_PARAMETERS)
    return Mean.from_rows(rows).max_loglik(null.residual) - 0.5 * count * math.log(series.x.size)


def _choose_form(series: Series, target: Array, columns: Array) -> Form:
    """Form of the lowest BIC with AR(1) errors.

    Columns (k, n) of free size join it.
    """
    n, best, lowest, ceiling = series.x.size, None, math.inf, math.inf
    fits: dict[str, Form] = {}
    for name in SMOOTH:
        # The last forms are mixtures, too: they are spared if not even the mixture's likelihood would do for them.
        if math.isfinite(ceiling) and (len(get_form(name).parameters) + 2) * math.log(n) - 2.0 * ceiling >= lowest:
            continue
        form = fits[name] = _fit_form(series, target, name, fits)
        if not form.is_smooth:
            continue
        loglik = Mean.from_rows(np.concatenate([form.tangents, columns])).max_loglik(
            (target - form.curve) * series.root
        )
        ceiling = loglik if name == MIXTURE else ceiling
        score = (form.count + 2) * math.log(n) - 2.0 * loglik
        if best is None or score < lowest:
            best, lowest = form, score
    assert best is not None
    return best


def _fit_form(series: Series, target: Array, name: str, earlier: dict[str, Form] | Form) -> Form:
    """Fit one form by least squares on bins.

    The points are averaged into bins; the form may fall or be upside down.

    `earlier` are the forms fitted before, or this form fitted to nearly the same curve.
    """
    if name == MIXTURE:
        return _fit_mixture(series, target)
    form, x, y, bins = get_form(name), series.points[0], series.points[1], series.coarse
    y = y - (series.y - target)[series.label]
    by = bins.mean(y)
    centre, scale = float(by.mean()), float(by.std()) or 1.0
    up = (by - centre) / scale
    params, falls = _least_squares(form, up, bins, earlier)
    theta = params[[form.names.index(q.name) for q in form.shape]]
    value = series.averaged(form.evaluate(x, params)) - _LIFT
    tangents = series.averaged(form.jacobian(x, params).T) * series.root
    if form.name == SMOOTH_BREAK.name and is_sharpest(theta):  # a tangent knows no bound: it would lead to jumps
        tangents = np.delete(tangents, form.names.index("width"), axis=0)
    tangents = tangents[np.abs(tangents).max(axis=1) > 0.0]
    return Form(name, falls, theta, centre + (scale if falls else -scale) * value, tangents, len(form.parameters))


def _least_squares(form: RegisteredForm, up: Array, bins: Bins, earlier: dict[str, Form] | Form) -> tuple[Array, bool]:
    """Parameters of one form, and whether it falls; else it is upside down."""
    signs = (1.0, -1.0) if not isinstance(earlier, Form) else (1.0,) if earlier.falls else (-1.0,)
    if form.basis is None:
        start = earlier.theta if isinstance(earlier, Form) else None
        fits = [fit_break(bins.axis.x, sign * up + _LIFT, bins.weight, start) for sign in signs]
        best = int(np.argmin([rss for _, rss in fits]))
        return fits[best][0], signs[best] > 0.0
    if isinstance(earlier, Form):
        starts = earlier.theta[None, None] if form.shape else None
    else:
        starts = _starts(form.name, earlier, bins.axis.x)
    # roughly while forms are compared, to the last digits for the one that is kept
    fit = separable.solve(
        form,
        bins.axis,
        np.stack([sign * up + _LIFT for sign in signs]),
        np.repeat(bins.weight[None], len(signs), 0),
        starts=starts if starts is None else np.repeat(starts, len(signs), axis=0),
        tolerance=1e-10 if isinstance(earlier, Form) else 1e-4,
    )
    best = int(fit.rss.argmin())
    return fit.params[best], signs[best] > 0.0


def _starts(name: str, fits: dict[str, Form], x: Array) -> Array | None:
    """Starting values of forms with two non-linear parameters.

    They contain the power law and the exponential, so that the fits of these give them.
    """
    if len(get_form(name).shape) < 2:
        return None
    last, power, rate = x[-1], fits["power_floor"].theta[0], fits["exponential_floor"].theta[0]
    starts = {
        "shifted_power_floor": [(1.0, 0.3 * last), (0.5, 0.03 * last), (power, 1e-3 * x[0]), (8.0, 8.0 / rate)],
        "apex_floor": [(power, 0.1 / last), (0.5 * power, 1.0 / last), (0.05, rate)],
        "stretched_exponential_floor": [(1.0 / rate, 0.9), (0.3 / rate, 0.5), (0.1 * last, 0.3)],
    }
    return np.array(starts[name])[None]


def _fit_mixture(series: Series, target: Array) -> Form:
    """Fit a constant and a few exponentials.

    Their weights have one sign: nearly every completely monotone curve is such a mixture. Rates come from a grid; those
    beside each other are then one exponential whose rate is fitted.

    The fastest is gone within a few points, so that a transient at the beginning is no change of level.
    """
    x = series.x - series.x[0]
    rates = np.exp(np.arange(math.log(0.2 / x[-1]), math.log(1.5 / x[1]), math.log(_RATIO)))
    design = np.concatenate([np.ones((1, x.size)), -np.ones((1, x.size)), _decays(series, rates)[0]]) * series.root
    up = (target - target.mean()) * series.root
    fits = [nonnegative_weights(design.T, sign * up) for sign in (1.0, -1.0)]
    falls = bool(fits[0][1] <= fits[1][1])
    weights = fits[0 if falls else 1][0][2:]
    (used,) = np.nonzero(weights > 0.0)
    groups = np.split(used, np.flatnonzero(np.diff(used) > 1) + 1) if used.size else []
    start = np.array([np.exp(np.average(np.log(rates[group]), weights=weights[group])) for group in groups])
    theta, fitted, tangents = _fit_rates(series, up if falls else -up, start)
    curve = target.mean() + (fitted if falls else -fitted) / series.root
    return Form(MIXTURE, falls, theta, curve, tangents, len(tangents))


def _decays(series: Series, rates: Array) -> tuple[Array, Array]:
    """Exponentials of given rates, and their derivatives by the rates' logarithms, (rates, n)."""
    product = rates[:, None, None] * (series.nodes - series.x[0])
    value = np.exp(-product)
    return value.mean(axis=1), (-product * value).mean(axis=1)


def _fit_rates(series: Series, y: Array, rates: Array) -> tuple[Array, Array, Array]:
    """Fit a constant and exponentials by Gauss–Newton steps.

    An exponential whose weight turns negative is dropped.

    Returns
    -------
    rates, fitted, tangents : ndarray, shapes (k,), (n,) and (1 + 2k, n)
        The last two are times √weight.
    """
    lowest, columns, linear, weights = math.inf, np.zeros((0, y.size)), np.zeros((0, y.size)), np.zeros(0)
    log_rates, step = np.log(rates), np.zeros(rates.size)
    for _ in range(_POLISH):
        decays, slopes = (part * series.root for part in _decays(series, np.exp(log_rates + step)))
        trial = np.concatenate([series.root[None], decays])
        coefficients = np.linalg.lstsq(trial.T, y, rcond=None)[0]
        if np.any(coefficients[1:] <= 0.0):
            keep = coefficients[1:] > 0.0
            log_rates, step, lowest = log_rates[keep], np.zeros(int(keep.sum())), math.inf
            continue
        rss = float(np.sum((y - coefficients @ trial) ** 2))
        if rss > lowest:
            step = 0.3 * step
            if np.abs(step).max(initial=0.0) < 1e-6:
                break
            continue
        is_settled = rss > (1.0 - 1e-7) * lowest
        lowest, log_rates, linear, weights = rss, log_rates + step, trial, coefficients
        columns = np.concatenate([trial, coefficients[1:, None] * slopes])
        if is_settled or not log_rates.size:
            break
        full = np.linalg.lstsq(columns.T, y - weights @ linear, rcond=1e-9)[0]
        step = np.clip(full[1 + log_rates.size :], -0.5, 0.5)
    return np.exp(log_rates), np.asarray(weights @ linear), columns

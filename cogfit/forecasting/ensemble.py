"""Curves that the data allow: forms that are not refused, with parameters drawn for each.

Every form is refitted to curves made around it (the parametric bootstrap of its test). Where members of the curve were
resampled, the curves of the draws are as much further apart as the intervals of its parameters are wider. The forms are
averaged by weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine import separable
from cogfit.engine.arma import WHITE
from cogfit.engine.bins import Axis
from cogfit.engine.estimate import Estimate
from cogfit.engine.noise import NOISE
from cogfit.engine.units import Units
from cogfit.forecasting.records import FormForecast
from cogfit.formulas.form import Array, Form
from cogfit.formulas.registry import get_form
from cogfit.inference.error_models import ErrorModel
from cogfit.inference.form_tests import errors_about, refit_around
from cogfit.inference.own_units import in_own_units
from cogfit.inference.residuals import in_order
from cogfit.inference.selection import extrapolation_error

DRAWS = 400
"""Curves drawn for each form."""

REPEATS = 4
"""New observations made of each curve."""

HELD_FROM = 0.6
"""Share of the points, in the order of x, from which the others are forecast to score the forms."""

PRIOR = {"power_floor": 4.0, "log_logistic_step": 4.0, "broken_power": 3.0}
"""Weights before any data, where they are not those of :data:`OTHERS`.

The forms that forecast best on a third of the real learning curves of LCDB (benchmarks/forecast_field.py).
"""

OTHERS = 0.5
"""Weight of any other form before any data."""

_WORTH = (
    0.3  # of an independent error, what one of a forecast is worth: they go the same way (LCDB: 0.2 to 0.4 are alike)
)
_CLEAR = 1.5  # held-out over residual mean square above which a form misses
_AGAIN = 1.5  # times this miss that a form may miss by beyond the data
_REMEMBERED = 1000  # steps beyond the data after which no error is remembered
_RECENT = 50  # residuals that are
_LAST = 0.1  # share of the points whose weights and errors a new observation has
_SMALLEST = 1e-9  # of the size of y, what stands for a held-out error of 0

LIMITS = {
    "utilization": (0.0, 1.0),
    "probability": (0.0, 1.0),
    "error": (0.0, math.inf),
    "latency": (0.0, math.inf),
    "other": (-math.inf, math.inf),
}
"""What y can be, by measure; kept only where the data lie within."""


@dataclass(frozen=True)
class Refusal:
    """Why no curves can be drawn."""

    reason: str


@dataclass(frozen=True)
class Candidate:
    """A fitted form that is not refused.

    Attributes
    ----------
    form : Form
    fit : Estimate
    covariance : ndarray, shape (p, p)
    resampled : ndarray, shape (p, 2), optional
        Limits of the parameters from resampled members (patterns, runs, subjects), where there are such.
    level : float
        Of these limits.
    """

    form: Form
    fit: Estimate
    covariance: Array
    resampled: Array | None = None
    level: float = 0.95


@dataclass(frozen=True)
class Member:
    """A form in an ensemble, in units of the data.

    Attributes
    ----------
    name : str
    said : FormForecast
    params : ndarray, shape (p,)
        Of the fit.
    draws : ndarray, shape (draws, p)
    miss : float
        SD of what the form may miss by beyond the data.
    is_linear : bool
        Whether the curves of the draws are those of the form near its fit: the covariance of its parameters speaks of
        no others.
    spread : float
        Times as far from the fit as the draws their curves are.
    """

    name: str
    said: FormForecast
    params: Array
    draws: Array
    miss: float
    is_linear: bool
    spread: float

    def values(self, x: Array) -> Array:
        """Curves of the fit and of the draws.

        Shape (1 + draws, k).
        """
        form = get_form(self.name)
        with np.errstate(all="ignore"):
            if self.is_linear:
                steps = np.concatenate([np.zeros((1, self.params.size)), self.draws - self.params])
                return form.evaluate(x, self.params) + steps @ form.jacobian(x, self.params).T
            params = np.concatenate([self.params[None], self.draws])
            values = separable.linearised(form, Axis.points(x), params)[0]
            return values[:1] + self.spread * (values - values[:1]) if self.spread > 1.0 else values


@dataclass(frozen=True)
class Recent:
    """The last points of a curve, the latest first.

    Attributes
    ----------
    x, y, weight : ndarray, shape (m,)
        The weight is that of the point over the squared local size of its error.
    spacing : float
        Distance of the last x; inf where several points have the last x.
    """

    x: Array
    y: Array
    weight: Array
    spacing: float

    @classmethod
    def of_curve(cls, curve: Curve, scale: Array, last: int) -> Recent:
        """Take the last points of a curve in the order of x."""
        spacing = float(np.median(np.diff(curve.x[-last - 1 :]))) or math.inf
        parts = (part[::-1][:_RECENT] for part in (curve.x, curve.y, curve.weights / scale**2))
        return cls(*parts, spacing)


@dataclass(frozen=True)
class Ensemble:
    """Forms that are not refused, with draws of their parameters.

    Attributes
    ----------
    members : tuple of Member
        By weight.
    units : Units
        What the members call 1.
    x_first, x_held, x_last : float
        First x, last x before the held-out points, and last x.
    noise : str
    errors : ErrorModel
        Of the residuals, in units of their weights.
    recent : Recent
        The last points.
    weight : float
        Of a new observation: number of trials for counted outcomes.
    limits : tuple of (float, float)
        Of y.
    """

    members: tuple[Member, ...]
    units: Units
    x_first: float
    x_held: float
    x_last: float
    noise: str
    errors: ErrorModel
    recent: Recent
    weight: float
    limits: tuple[float, float]

    @property
    def forms(self) -> tuple[FormForecast, ...]:
        """What is told of the forms."""
        return tuple(member.said for member in self.members)

    @property
    def weights(self) -> Array:
        """Of the members."""
        return np.array([member.said.weight for member in self.members])

    def curves(self, x: Array) -> tuple[Array, Array]:
        """Fitted and drawn curves at x, in the caller's units.

        Returns
        -------
        centre : ndarray, shape (forms, k)
        draws : ndarray, shape (forms, draws, k)
            With what the forms may miss by.
        """
        rng = np.random.default_rng(0)
        centre, draws = [], []
        for member in self.members:
            values = member.values(x / self.units.x)
            # a draw misses in one direction, by more the further it goes beyond the data
            off = member.miss * rng.standard_normal(len(values) - 1)
            values[1:] += off[:, None] * self._beyond(x)
            centre.append(values[0])
            draws.append(values[1:])
        return self._told(np.stack(centre)), self._told(np.stack(draws))

    def _beyond(self, x: Array) -> Array:
        """How far beyond the data each x lies.

        From 0, within them, to 1, as far as what was held out.
        """
        step = math.log(self.x_last / self.x_held) if 0.0 < self.x_held < self.x_last else math.inf
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.log(x / self.x_last) / step if math.isfinite(step) else (x > self.x_last).astype(float)
        return np.asarray(np.clip(np.nan_to_num(far, nan=0.0), 0.0, 1.0))

    def _told(self, own: Array) -> Array:
        return np.asarray(np.clip(own * self.units.y, *self.limits))

    def _from_recent(self, x: Array) -> tuple[Array, Array]:
        """What the last residuals say of errors that follow.

        Their weights (m, k) in the best linear prediction under the likeliest dependence, and the SD (k,) of what it
        leaves over that of any error. Within the data, where errors are independent, and far beyond: 0 and 1.
        """
        dependence, order = self.errors.members[0][0], np.arange(self.recent.x.size)
        steps = np.rint((x - self.x_last) / self.recent.spacing)
        weights, share = np.zeros((order.size, x.size)), np.ones(x.size)
        for i in np.flatnonzero((steps >= 1) & (steps <= _REMEMBERED) & (dependence != WHITE)):
            lags = np.asarray(dependence.autocovariance(order.size + int(steps[i])))
            shared = lags[int(steps[i]) :][: order.size]
            weights[:, i] = np.linalg.solve(lags[np.abs(order[:, None] - order)], shared)
            share[i] = math.sqrt(max(1.0 - float(weights[:, i] @ shared) / float(lags[0]), 0.0))
        return weights, share

    def _residuals(self) -> Array:
        """The last residuals from every draw, (forms, draws, m).

        Where a curve lies higher, what is seen lies below it: an error that lasts makes good what a curve is off.
        """
        _, curves = self.curves(self.recent.x)
        with np.errstate(all="ignore"):
            is_relative = self.noise == "lognormal"
            left = np.log(self.recent.y / curves) if is_relative else (self.recent.y - curves) / self.units.y
        return np.asarray(np.nan_to_num(left * np.sqrt(self.recent.weight), posinf=0.0, neginf=0.0))

    def observed(self, curves: Array, x: Array) -> Array:
        """New observations of curves (forms, draws, k) at x.

        Several of each: (forms, draws × :data:`REPEATS`, k). The random numbers are the same at every x, so that an
        answer does not depend on what else is asked.
        """
        curves = np.repeat(curves, REPEATS, axis=1)
        if NOISE[self.noise].discrete:
            trials, p = max(round(self.weight), 1), np.clip(np.nan_to_num(curves), 0.0, 1.0)
            columns = [np.random.default_rng(1).binomial(trials, p[..., i]) for i in range(p.shape[-1])]
            return np.asarray(np.stack(columns, axis=-1) / trials)
        drawn = self.errors.simulate(curves[..., 0].size, 1, np.random.default_rng(1)).reshape(*curves.shape[:2], 1)
        weights, share = self._from_recent(x)
        error = share * drawn
        if weights.any():
            error = error + np.repeat(self._residuals() @ weights, REPEATS, axis=1)
        error = error / math.sqrt(self.weight)
        with np.errstate(all="ignore"):
            made = curves * np.exp(error) if self.noise == "lognormal" else curves + self.units.y * error
        return np.asarray(np.clip(made, *self.limits))


def ensemble_of(curve: Curve, candidates: Sequence[Candidate], n_effective: float, seed: int = 0) -> Ensemble | Refusal:
    """Draw curves of every form that is not refused.

    Parameters
    ----------
    curve : Curve
    candidates : sequence of Candidate
        Fitted under one noise model.
    n_effective : float
        Points after allowing for autocorrelation.
    seed : int
        Of the draws.

    Returns
    -------
    Ensemble, or Refusal
    """
    curve = in_order(curve)
    scores = _scores(curve, candidates)
    kept = [c for c in candidates if c.form.name in scores]
    if not kept:
        return Refusal(f"{curve.x.size} points are too few to try a forecast on")
    forms = [c.form for c in kept]
    own, fits, units = in_own_units(curve, forms, [c.fit for c in kept])

    # errors about the form of the lowest AICc, as in its test
    reference = min(range(len(kept)), key=lambda i: kept[i].fit.aicc)
    errors, scale = errors_about(own, forms[reference], fits[reference])
    members = []
    for candidate, fit, weight in zip(kept, fits, _weights(scores, n_effective), strict=True):
        form = candidate.form
        is_linear = form.basis is None
        draw = (
            partial(_draw_linear, candidate, fit, units)
            if is_linear
            else partial(_refit, form, own, fit, errors, scale)
        )
        drawn = draw(seed)
        spread = math.nan if drawn is None else _spread(candidate, units.params(form, drawn))
        if drawn is None or not math.isfinite(spread):
            continue
        held_out, residual = scores[form.name]
        said = FormForecast(form.name, form.title, weight, held_out, residual)
        excess = held_out**2 - _CLEAR * residual**2
        miss = _AGAIN * math.sqrt(excess) / units.y if excess > 0.0 else 0.0
        members.append(Member(form.name, said, form.vector(fit.params), drawn, miss, is_linear, spread))
    if not members:
        return Refusal("no form that is not refused has parameters that the data determine")
    last = max(1, round(_LAST * curve.x.size))
    low, high = LIMITS[curve.measure]
    is_within = bool(low <= curve.y.min() and curve.y.max() <= high)
    return Ensemble(
        members=_normalised(members),
        units=units,
        x_first=float(curve.x[0]),
        x_held=float(curve.x[_first_count(curve.x.size) - 1]),
        x_last=float(curve.x[-1]),
        noise=kept[0].fit.noise,
        errors=errors,
        recent=Recent.of_curve(curve, scale, last),
        weight=float(np.median(curve.weights[-last:] / scale[-last:] ** 2)),
        limits=(low, high) if is_within else LIMITS["other"],
    )


def _first_count(n: int) -> int:
    """Points that are fitted to forecast the others."""
    return round(HELD_FROM * n)


def _scores(curve: Curve, candidates: Sequence[Candidate]) -> dict[str, tuple[float, float]]:
    """Held-out error of each form, and its residual there.

    Of a single form the weight is known; it is in, tried or not.
    """
    fits, registry = {c.form.name: c.fit for c in candidates}, {c.form.name: c.form for c in candidates}
    found = extrapolation_error(curve, fits, registry, HELD_FROM)
    tail = slice(_first_count(curve.x.size), None)
    w, out = curve.weights[tail], {}
    for candidate in candidates:
        name, p = candidate.form.name, len(candidate.form.parameters)
        if math.isnan(found[name]) and len(candidates) > 1:
            continue
        left = curve.y[tail] - candidate.form.evaluate(curve.x[tail], candidate.fit.params)
        inflation = curve.x.size / max(curve.x.size - p, 1)
        out[name] = found[name], math.sqrt(float((w * left**2).sum() / w.sum()) * inflation) if w.size else math.nan
    least = _SMALLEST * (float(np.abs(curve.y).max()) or 1.0)
    return {
        name: (max(held_out, least) if held_out == held_out else held_out, r) for name, (held_out, r) in out.items()
    }


def _weights(scores: dict[str, tuple[float, float]], n_effective: float) -> list[float]:
    """Weights of the forms, which add up to 1.

    The likelihood of the held-out errors, of unknown size, times what is known before: Σ log of the error over as many
    points as the held-out ones are worth.
    """
    if len(scores) == 1:
        return [1.0]
    count = _WORTH * (1.0 - HELD_FROM) * n_effective
    log = np.array([math.log(PRIOR.get(name, OTHERS)) - count * math.log(score) for name, (score, _) in scores.items()])
    weight = np.exp(log - log.max())
    return [float(share) for share in weight / weight.sum()]


def _normalised(members: Sequence[Member]) -> tuple[Member, ...]:
    """Members by weight, their weights adding up to 1."""
    total = sum(member.said.weight for member in members)
    members = [replace(one, said=replace(one.said, weight=one.said.weight / total)) for one in members]
    return tuple(sorted(members, key=lambda one: -one.said.weight))


def _refit(form: Form, own: Curve, fit: Estimate, errors: ErrorModel, scale: Array, seed: int) -> Array | None:
    """Parameters (draws, p) refitted to curves made around a form.

    None where no curve can be fitted.
    """
    drawn = refit_around(own, form, fit, errors, scale, DRAWS, seed)
    usable = drawn[np.isfinite(drawn).all(axis=1)]
    return np.resize(usable, drawn.shape) if usable.size else None


def _draw_linear(candidate: Candidate, fit: Estimate, units: Units, seed: int) -> Array | None:
    """Parameters (draws, p) with the covariance of an estimate.

    None where the data do not determine them.
    """
    form = candidate.form
    covariance = units.inverse.covariance(form, form.vector(candidate.fit.params), candidate.covariance)
    if np.isinf(covariance).any():
        return None
    # what has no variance lies at a bound, and stays there
    root, rng = np.nan_to_num(covariance), np.random.default_rng(seed)
    return rng.multivariate_normal(form.vector(fit.params), root, DRAWS, check_valid="ignore")


def _spread(candidate: Candidate, drawn: Array) -> float:
    """How much wider the intervals of resampled members are.

    The median over the parameters, 1 at least; NaN where none has two limits.
    """
    if candidate.resampled is None:
        return 1.0
    tail = 0.5 * (1.0 - candidate.level)
    low, high = np.quantile(drawn, [tail, 1.0 - tail], axis=0)
    with np.errstate(all="ignore"):
        ratio = (candidate.resampled[:, 1] - candidate.resampled[:, 0]) / (high - low)
    known = ratio[np.isfinite(ratio)]
    return max(float(np.median(known)), 1.0) if known.size else math.nan

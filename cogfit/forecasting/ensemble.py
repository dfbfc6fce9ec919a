"""Curves that the data allow: several forms by weight, with drawn parameters of each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine import separable
from cogfit.engine.arma import WHITE
from cogfit.engine.bins import Axis
from cogfit.engine.noise import NOISE
from cogfit.engine.units import Units
from cogfit.forecasting.records import FormForecast
from cogfit.formulas.form import Array
from cogfit.formulas.registry import get_form
from cogfit.inference.error_models import ErrorModel

REPEATS = 4
"""New observations made of each curve."""

_REMEMBERED = 1000  # steps beyond the data after which no error is remembered
_RECENT = 50  # residuals that are


@dataclass(frozen=True)
class Refusal:
    """Why no curves can be drawn."""

    reason: str


@dataclass(frozen=True)
class Member:
    """A form in an ensemble, in units of the data.

    Attributes
    ----------
    name : str
    weight : float
        In the average; those of all members add up to 1.
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
    weight: float
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
        """Take the last points of an ordered curve."""
        spacing = float(np.median(np.diff(curve.x[-last - 1 :]))) or math.inf
        x, y, weight = (part[::-1][:_RECENT] for part in (curve.x, curve.y, curve.weights / scale**2))
        return cls(x, y, weight, spacing)


@dataclass(frozen=True)
class Ensemble:
    """Forms that are not refused, with draws of their parameters.

    Attributes
    ----------
    members : tuple of Member
    forms : tuple of FormForecast
        All forms that were considered, by weight.
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
    forms: tuple[FormForecast, ...]
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
    def weights(self) -> Array:
        """Of the members."""
        return np.array([member.weight for member in self.members])

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

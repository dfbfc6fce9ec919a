"""Answers to two questions: what y is at some x, and when y reaches a value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cogfit.errors import InputError
from cogfit.forecasting.ensemble import Ensemble, Refusal
from cogfit.forecasting.records import HORIZON, MOST_DISAGREEMENT, RULE, Forecast, Prediction, Reach
from cogfit.formulas.form import Array
from cogfit.formulas.registry import get_form
from cogfit.records.arrays import as_numbers
from cogfit.records.sentence import Sentence, say

MATTERS = 0.05
"""Weight from which on a form can disagree with the others."""

OWN_LEVEL = 0.95
"""Of the intervals by which a disagreement is measured."""

_GRID = 200  # x at which a crossing is looked for
_FAN = 60  # x of a fan


@dataclass(frozen=True)
class _At:
    """An ensemble at some x.

    Attributes
    ----------
    value : ndarray, shape (k,)
        Weighted mean of the fits.
    draws, observed : ndarray, shape (forms, draws, k)
        Curves, and new observations of them.
    disagreement : ndarray, shape (k,)
    """

    value: Array
    draws: Array
    observed: Array
    disagreement: Array
    centre: Array

    @classmethod
    def of(cls, ensemble: Ensemble, x: Array) -> _At:
        centre, draws = ensemble.curves(x)
        observed, weights = ensemble.observed(draws, x), ensemble.weights
        matters = weights >= min(MATTERS, float(weights.max()))
        tail = 0.5 * (1.0 - OWN_LEVEL)
        with np.errstate(all="ignore"):
            low, high = np.quantile(observed[matters], [tail, 1.0 - tail], axis=1)
            own = np.average(high - low, axis=0, weights=weights[matters])
            between = np.ptp(centre[matters], axis=0)
            disagreement = np.where(between > 0.0, between / own, 0.0)
        return cls(np.average(centre, axis=0, weights=weights), draws, observed, disagreement, centre)


def predict(ensemble: Ensemble | Refusal, x: ArrayLike, level: float, *, refuses: bool = True) -> Prediction:
    """Predict the curve and a new observation.

    Parameters
    ----------
    ensemble : Ensemble or Refusal
    x : array_like
    level : float
    refuses : bool
        Whether nothing is told where the forms disagree; False is for studies of this very rule.

    Raises
    ------
    InputError
        For x where the forms have no value.
    """
    check_level(level)
    places = _checked_places(x)
    if isinstance(ensemble, Refusal):
        return Prediction.refused(places, level, ensemble.reason)
    if not places.size:
        return Prediction.refused(places, level, "", ensemble.forms)
    if any(get_form(member.name).positive_x for member in ensemble.members) and (places <= 0.0).any():
        raise InputError(f"there is no forecast at x = {places.min():g}", hint="a power law has values at x > 0 only")
    at = _At.of(ensemble, places)
    weights = ensemble.weights
    curve_low, curve_high = _limits(at.draws, weights, level)
    low, high = _limits(at.observed, weights, level)
    told = [at.value, curve_low, curve_high, low, high]
    most = MOST_DISAGREEMENT if refuses else math.inf
    refused = ~((at.disagreement <= most) & np.isfinite(told).all(axis=0))
    value, curve_low, curve_high, low, high = (np.where(refused, math.nan, part) for part in told)
    reason = _disagreement(ensemble, at, places, int(np.argmax(refused))) if refused.any() else ""
    return Prediction(places, value, curve_low, curve_high, low, high, level, at.disagreement, ensemble.forms, reason)


def reach(ensemble: Ensemble | Refusal, value: Any, level: float) -> Reach:
    """Tell when the curve reaches a value.

    Parameters
    ----------
    ensemble : Ensemble or Refusal
    value : float
        Of y.
    level : float

    Raises
    ------
    InputError
        If the value is no number.
    """
    check_level(level)
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
        raise InputError(f"the value to be reached must be a finite number, not {value!r}")
    value = float(value)
    if isinstance(ensemble, Refusal):
        return Reach.refused(value, level, ensemble.reason)
    first = ensemble.x_first if ensemble.x_first > 0.0 else ensemble.x_last / HORIZON
    x = np.geomspace(first, HORIZON * ensemble.x_last, _GRID)
    at = _At.of(ensemble, x)
    weights = ensemble.weights

    # a curve that falls reaches what it is not above any more, one that rises what it is not below
    sign = 1.0 if at.value[0] >= at.value[np.searchsorted(x, ensemble.x_last)] else -1.0
    crossed = float(_crossing(x, sign * (at.value - value)[None])[0])
    drawn = _crossing(x, sign * (at.draws - value).reshape(-1, x.size)).reshape(at.draws.shape[:2])
    low, high = (float(limit[0]) for limit in _limits(drawn[..., None], weights, level))
    chance = float(np.average(np.isfinite(drawn).mean(axis=1), weights=weights))

    # as far as this crossing, or as far as is looked, the forms have to agree
    agree = at.disagreement <= MOST_DISAGREEMENT
    within = x <= min(crossed, x[-1])
    if not agree[within].all():
        stop = int(np.argmin(agree))
        reason = _disagreement(ensemble, at, x, stop)
        return Reach.refused(value, level, reason, ensemble.forms, max(min(float(x[stop]), low), float(x[0])))
    if not math.isfinite(crossed):
        return Reach(value, "never", math.nan, min(low, float(x[-1])), math.inf, level, chance, ensemble.forms)
    status = "reached" if crossed <= ensemble.x_last else "expected"
    return Reach(value, status, crossed, min(low, crossed), max(high, crossed), level, chance, ensemble.forms)


def forecast(ensemble: Ensemble | Refusal, places: ArrayLike, values: ArrayLike, level: float) -> Forecast:
    """Answer what was asked, with a fan to be drawn.

    Parameters
    ----------
    ensemble : Ensemble or str
    places : array_like
        x at which y is asked for.
    values : array_like
        y whose x is asked for.
    level : float
    """
    at = predict(ensemble, places, level)
    reached = tuple(reach(ensemble, value, level) for value in np.atleast_1d(as_numbers("reach", values)).tolist())
    if isinstance(ensemble, Refusal):
        return Forecast(predict(ensemble, [1.0], level), at, reached)
    last = ensemble.x_last
    asked = [2.0 * last, *at.x.tolist(), *(1.2 * item.x for item in reached if item.status == "expected")]
    first = ensemble.x_first if ensemble.x_first > 0.0 else last / HORIZON
    return Forecast(predict(ensemble, np.geomspace(first, max(asked), _FAN), level), at, reached)


def check_level(level: float) -> None:
    """Refuse a level that is none."""
    if not 0.0 < level < 1.0:
        raise InputError(f"`level` must lie between 0 and 1, not {level!r}", hint="for 95 % pass `level=0.95`")


def _checked_places(x: ArrayLike) -> Array:
    """Return x as a vector of finite numbers."""
    places = np.atleast_1d(as_numbers("x", x))
    if places.ndim != 1:
        raise InputError(f"`x` must be a number or have one dimension, not shape {places.shape}")
    if not np.isfinite(places).all():
        raise InputError("`x` holds a value that is no finite number")
    return places


def _limits(draws: Array, weights: Array, level: float) -> tuple[Array, Array]:
    """Quantiles of weighted draws (forms, draws, k), (k,) each.

    They are values that were drawn, so that infinite ones do no harm.
    """
    count = draws.shape[1]
    rows = draws.reshape(-1, draws.shape[2])
    order = np.argsort(rows, axis=0)
    share = np.repeat(weights / (weights.sum() * count), count)[order]
    total = np.cumsum(share, axis=0)
    tail = 0.5 * (1.0 - level)
    ranks = [np.minimum((total < q).sum(axis=0), len(rows) - 1) for q in (tail, 1.0 - tail)]
    ordered = np.take_along_axis(rows, order, axis=0)
    low, high = (np.take_along_axis(ordered, rank[None], axis=0)[0] for rank in ranks)
    return low, high


def _crossing(x: Array, above: Array) -> Array:
    """First x at which rows are not above 0 any more.

    Rows (m, k) give (m,); inf where they always are. Between two x the curve is straight in log x.
    """
    is_below = ~(above > 0.0)
    at = is_below.argmax(axis=1)
    rows = np.arange(len(above))
    before = np.maximum(at - 1, 0)
    step = above[rows, before] - above[rows, at]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(step > 0.0, above[rows, before] / step, 1.0)
    log_x = np.log(x)
    place = np.exp(log_x[before] + np.clip(share, 0.0, 1.0) * (log_x[at] - log_x[before]))
    return np.where(is_below.any(axis=1), np.where(at == 0, x[0], place), np.inf)


def _disagreement(ensemble: Ensemble, at: _At, x: Array, i: int) -> Sentence:
    """Why there is no forecast at a place."""
    value, members = at.centre[:, i], ensemble.members
    matters = ensemble.weights >= min(MATTERS, float(ensemble.weights.max()))
    used = np.flatnonzero(matters)
    if len(used) < 2 or not np.isfinite(at.disagreement[i]):
        return say("the forms have no finite value at x = {x:,.4g}", x=float(x[i]), by=predict)
    low, high = used[np.argmin(value[used])], used[np.argmax(value[used])]
    text = (
        "the forms that are not refused disagree from x = {x:,.4g} on: {low_title} says {low:.3g}, {high_title} "
        "{high:.3g}, {disagreement:.2g} times the width of the interval of a new observation"
    )
    return say(
        text,
        x=float(x[i]),
        low_title=get_form(members[low].name).title,
        low=float(value[low]),
        high_title=get_form(members[high].name).title,
        high=float(value[high]),
        disagreement=float(at.disagreement[i]),
        threshold=RULE,
        by=predict,
    )

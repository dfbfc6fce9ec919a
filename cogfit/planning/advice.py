"""How much more would decide, in a moment: from the distance of two curves, without simulations.

If a power law is true, a rival that is fitted to the same points misses it by some curve d, in units of the errors. The
tests of the forms compare sums of squares, so what counts is how far d lies beside what errors do along it:
λ = (dᵀd)² / dᵀRd, R being the correlation of the errors. It grows with points, range and repetitions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from cogfit.engine import separable
from cogfit.engine.bins import Bins
from cogfit.formulas.form import Array
from cogfit.planning.scatter import CountScatter, SeriesScatter
from cogfit.planning.situation import MOST_POINTS, Law, Situation
from cogfit.records.sentence import Sentence, say

DECISIVE = 12.0
"""λ of the nearest rival at which a true power law is supported in about four of five logs.

Simulated in thirteen settings of 50 to 1,500 points, with independent errors and AR(1) errors of ρ = 0.8 (20 or 75 logs
each): 3 to 45 % up to λ = 3.5, 30 to 50 % from 4.7 to 7.1, 80 to 90 % from 11.7 on. The table of benchmarks/design.py
has λ beside the rates.
"""

_MOST_TIMES = 30.0  # beyond which the formula is no guide
_STEPS = 9  # of the search for the factor: to a tenth of it
_BINS = 100  # in which the rival is fitted
_RIVALS = 4  # that are looked at: those of the lowest AICc


def separation(situation: Situation, law: Law, rival: Law) -> float:
    """Measure how clearly data tell two laws apart.

    That is λ. NaN where the errors have no model (resampled clusters).

    Parameters
    ----------
    situation : Situation
    law : Law
        The truth.
    rival : Law
        Fitted to the log; it is fitted again to the truth.
    """
    x, mean = situation.template.x, law.values(situation.template.x)
    spread = _spread(situation, mean)
    if spread is None:
        return math.nan
    weight = spread**-2
    if not np.all(np.isfinite(mean)) or not np.all(np.isfinite(weight) & (weight > 0.0)):
        return math.nan
    bins = Bins.of_points(x, _BINS, weight)
    target = bins.mean(mean)
    shape = [rival.form.names.index(q.name) for q in rival.form.shape]
    starts = rival.form.vector(rival.params)[shape][None, None] if shape else None
    fitted = separable.solve(rival.form, bins.axis, target[None], bins.weight[None], starts=starts, tolerance=1e-8)
    miss = (rival.form.evaluate(x, fitted.params[0]) - mean) / spread
    if not isinstance(situation.scatter, SeriesScatter):
        return float(miss @ miss)
    covariance = situation.scatter.errors.members[0][0].autocovariance(x.size - 1)
    return float(miss @ miss) ** 2 / _form_variance(miss, covariance / covariance[0])


def _form_variance(d: Array, correlation: Array) -> float:
    """dᵀRd for errors that depend on each other by their distance."""
    products = np.fft.irfft(np.abs(np.fft.rfft(d, 2 * d.size)) ** 2, 2 * d.size)[: d.size]
    return max(float(2.0 * correlation @ products - products[0]), 1e-300)


def _spread(situation: Situation, mean: Array) -> Array | None:
    """SD of the errors at each point."""
    scatter = situation.scatter
    if isinstance(scatter, CountScatter):
        p = np.clip(mean, 1e-3, 1.0 - 1e-3)
        return np.asarray(np.sqrt(p * (1.0 - p) / scatter.trials))
    if not isinstance(scatter, SeriesScatter):
        return None
    size = scatter.errors.members[0][1] * scatter.size / np.sqrt(situation.template.weights)
    return np.asarray(size * np.abs(mean) if scatter.noise == "lognormal" else size)


@np.errstate(all="ignore")  # a form whose values overflow gives no advice
def advise(situation: Situation, power_law: Law, rivals: Sequence[Law]) -> Sentence | None:
    """Say how much more would decide.

    None where nothing can be said: the errors have no model, or they are so small that something else is in the way.

    Parameters
    ----------
    situation : Situation
        The log.
    power_law : Law
        That is not refused.
    rivals : sequence of Law
        That are not refused either; the likeliest first.
    """
    if isinstance(situation.scatter, SeriesScatter):  # one dependence, the likeliest
        errors = replace(situation.scatter.errors, members=situation.scatter.errors.members[:1])
        situation = replace(situation, scatter=replace(situation.scatter, errors=errors))

    def least(lever: str, factor: float) -> float:
        grown = situation.grown(lever, factor)
        return min(separation(grown, power_law, rival) for rival in rivals[:_RIVALS])

    ways, numbers = list[str](), dict[str, float]()
    for lever, words in _WORDS.items():
        if lever not in situation.levers:
            continue
        most = min(_MOST_TIMES, situation.most_times(lever))
        factor = _factor(lambda value, lever=lever: least(lever, value), most)  # type: ignore[misc]
        if factor is not None:
            ways.append(words(situation, factor))
            numbers[lever] = factor
    now, rule = least("repetitions", 1.0), f"λ ≥ {DECISIVE:g}"
    if ways:
        text = "if a power law is true, about {ways} would decide"
        return say(text, ways=", or ".join(ways), now=now, threshold=rule, by=advise, **numbers)
    is_all_tried = _MOST_TIMES * situation.template.x.size <= MOST_POINTS
    if not is_all_tried or not 0.0 < now < DECISIVE:
        return None
    text = "to decide would take more than {most:.2g} times as much of anything"
    return say(text, most=_MOST_TIMES, now=now, threshold=rule, by=advise)


def _factor(value: Callable[[float], float], most: float) -> float | None:
    """Factor at which λ reaches what decides, None where it does not.

    NaN is no answer.
    """
    if most <= 1.0 or not value(most) >= DECISIVE or not value(1.0) < DECISIVE:
        return None
    low, high = 1.0, most
    for _ in range(_STEPS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if value(middle) < DECISIVE else (low, middle)
    return high


def _more_points(situation: Situation, factor: float) -> str:
    return f"{factor:.2g} times as many points"


def _longer_range(situation: Situation, factor: float) -> str:
    end = float(situation.template.x[-1]) * factor
    return f"x up to {float(f'{end:.2g}'):,.6g}"


def _more_repetitions(situation: Situation, factor: float) -> str:
    scatter = situation.scatter
    if scatter.unit == "runs":
        return f"the mean of {math.ceil(scatter.repetitions * factor)} runs"
    return f"{factor:.2g} times as many {scatter.unit}"


_WORDS: dict[str, Callable[[Situation, float], str]] = {
    "points": _more_points,
    "range": _longer_range,
    "repetitions": _more_repetitions,
}

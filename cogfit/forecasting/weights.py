"""How much each form weighs: by what it forecast of the points that were held out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine.estimate import Estimate
from cogfit.formulas.form import Form
from cogfit.inference.selection import extrapolation_error

HELD_FROM = 0.6
"""Share of the points, in the order of x, that are fitted to forecast the others."""

PRIOR = {"power_floor": 4.0, "log_logistic_step": 4.0, "broken_power": 3.0}
"""Weights before any data, where they are not those of :data:`OTHERS`.

The forms that forecast best on a third of the data sets of LCDB (benchmarks/forecast_field.py).
"""

OTHERS = 0.5
"""Weight of any other form before any data."""

# Worth of one error of a forecast, in independent errors: such errors go the same way. On LCDB 0.2 to 0.4 are alike.
_WORTH = 0.3
_CLEAR = 1.5  # held-out over residual mean square above which a form misses
_AGAIN = 1.5  # times this miss that a form may miss by beyond the data
_SMALLEST = 1e-9  # of the size of y, what stands for a held-out error of 0


class Score(NamedTuple):
    """Root mean square errors of a form over the points held out.

    Attributes
    ----------
    held_out : float
        Of the fit to the other points; NaN where there are too few.
    residual : float
        Of the fit to all points, with its degrees of freedom.
    """

    held_out: float
    residual: float

    @property
    def miss(self) -> float:
        """What the form may miss beyond the data (SD).

        0 where the held-out error is about what the residuals are.
        """
        excess = self.held_out**2 - _CLEAR * self.residual**2
        return _AGAIN * math.sqrt(excess) if excess > 0.0 else 0.0


def first_count(n: int) -> int:
    """Count the points that are fitted to forecast the others."""
    return round(HELD_FROM * n)


def scores_of(curve: Curve, forms: Sequence[Form], fits: Sequence[Estimate]) -> dict[str, Score]:
    """Score every form on the points held out.

    Parameters
    ----------
    curve : Curve
        In the order of x.
    forms, fits : sequence
    """
    registry = {form.name: form for form in forms}
    held_out = extrapolation_error(curve, {fit.form: fit for fit in fits}, registry, HELD_FROM)
    tail, n = slice(first_count(curve.x.size), None), curve.x.size
    w, least, out = curve.weights[tail], _SMALLEST * (float(np.abs(curve.y).max()) or 1.0), {}
    for form, fit in zip(forms, fits, strict=True):
        left = curve.y[tail] - form.evaluate(curve.x[tail], fit.params)
        inflation = n / max(n - len(form.parameters), 1)
        residual = math.sqrt(float((w * left**2).sum() / w.sum()) * inflation) if w.size else math.nan
        error = held_out[form.name]
        out[form.name] = Score(error if math.isnan(error) else max(error, least), residual)
    return out


def weights_of(scores: Mapping[str, Score], n_effective: float) -> dict[str, float]:
    """Weigh the forms that were tried.

    By the likelihood of the held-out errors, of unknown size, times the weight before any data: with m errors that is
    error^−m, m being what the held-out points are worth. A single form has all the weight, tried or not.

    Parameters
    ----------
    scores : mapping of str to Score
    n_effective : float
        Points after allowing for autocorrelation.

    Returns
    -------
    dict of str to float
        They add up to 1; empty where no form was tried.

    Examples
    --------
    >>> found = weights_of({"power": Score(0.1, 0.1), "exponential": Score(0.2, 0.1)}, 50)
    >>> round(found["power"] / found["exponential"])  # 2 to the 0.3 × 0.4 × 50
    64
    """
    if len(scores) == 1:
        return dict.fromkeys(scores, 1.0)
    tried = {name: score.held_out for name, score in scores.items() if not math.isnan(score.held_out)}
    if not tried:
        return {}
    count = _WORTH * (1.0 - HELD_FROM) * n_effective
    log = np.array([math.log(PRIOR.get(name, OTHERS)) - count * math.log(error) for name, error in tried.items()])
    weight = np.exp(log - log.max())
    return dict(zip(tried, (weight / weight.sum()).tolist(), strict=True))

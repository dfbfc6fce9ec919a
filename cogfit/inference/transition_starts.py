"""The warm-up of a curve: a rise at its beginning, before it falls.

Or a fall before it rises. It is modelled as a straight line up to its end, beside a smooth form after it.
"""

from __future__ import annotations

import math

import numpy as np

from cogfit.formulas.form import Array
from cogfit.inference.transition_levels import Null, Series, smooth
from cogfit.inference.transition_steps import Mean, effects

_EVIDENCE = 6.0  # log-likelihood, beyond BIC's price, by which a warm-up must be better than none
_LARGE = 4.0  # standard errors by which the peak must lie above beginning and end to be looked at
_PARAMETERS = 3  # of a warm-up: level, slope and end
_FEWEST = 4  # points of a warm-up


def warm_up_end(series: Series, null: Null) -> int:
    """Count the points of the warm-up.

    0 for none.
    """
    without = null.mean.max_loglik(null.residual) - 0.5 * null.form.count * math.log(series.x.size)
    ends = {_peak(series, sign) for sign in (1.0, -1.0)} - {0}
    for end in sorted(ends):
        score, slope, change = _with_warm_up(series, end)
        if slope * change < 0.0 and score > without + _EVIDENCE:
            return end
    return 0


def _peak(series: Series, sign: float) -> int:
    """Count the points up to an early peak.

    0 where none in the first third stands out from the noise.
    """
    y, n = sign * series.y, series.x.size
    m = max(3, n // 100)
    smoothed = np.convolve(y, np.full(m, 1.0 / m), mode="valid")
    top = int(smoothed[: max(n // 3, 1)].argmax())
    noise = float(np.median(np.abs(np.diff(y)))) / (0.6745 * math.sqrt(2.0)) * math.sqrt(2.0 / m)
    end = top + (m + 1) // 2
    stands_out = smoothed[top] - max(smoothed[0], smoothed[-1]) > _LARGE * noise > 0.0  # a single spike is none
    return end if end >= _FEWEST and stands_out else 0


def _with_warm_up(series: Series, end: int) -> tuple[float, float, float]:
    """Fit a warm-up of given length.

    BIC score, slope of the warm-up, change of the smooth form after it.
    """
    n, root = series.x.size, series.root
    rest = smooth(series.after(end))
    rows = np.zeros((2 + len(rest.form.tangents), n))
    rows[0, :end], rows[1, :end] = root[:end], series.x[:end] * root[:end]
    # weights are relative to their mean, which is another one for the rest
    rows[2:, end:] = rest.form.tangents / series.after(end).root * root[end:]
    target = np.concatenate([series.y[:end] - series.y[:end].mean(), series.y[end:] - rest.form.curve]) * root
    loglik = Mean.from_rows(rows).max_loglik(target)
    slope = float(effects(rows, target)[1])
    score = loglik - 0.5 * (rest.form.count + _PARAMETERS) * math.log(n)
    return score, slope, float(_ends(rest.fitted))


def _ends(values: Array) -> float:
    """Last value less the first."""
    return float(values[-1] - values[0])

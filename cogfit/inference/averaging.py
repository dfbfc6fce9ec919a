r"""The averaging artefact: a power law that no pattern follows.

A pooled curve may look like a power law although no single pattern follows one.

Averages need not look like what they average: exponentials whose rates are Gamma-distributed (shape a, rate b) average
exactly to :math:`(1 + k/b)^{-a}`, steps at scattered places to their survival curve (Anderson & Tweney 1997, Mem. Cogn.
25:724; Heathcote, Brown & Mewhort 2000, Psychon. Bull. Rev. 7:185). Only the curves of single patterns can tell.

Each pattern is fitted, on bins equally wide in log k, with power laws and with exponentials, both with and without a
floor; power laws may be those of k + s, with one s for all patterns, so that neither the way of counting nor a slow
start makes an exponential the better form. Residuals are taken on the scale of the data, so that zeros need no special
care; the variance of each bin is estimated over all patterns, and each pattern has a scale of its own (Student's t).
Patterns are the independent units: neither the noise model nor independence within a pattern is relied upon. Two
statistics must agree.

- ``z`` (Vuong 1989, Econometrica 57:307): mean over patterns of the log-likelihood difference (AICc) over its SE.
- ``z_mirrored``: the same, less what noise alone gives. One family may follow autocorrelated noise better than the
  other. Data mirrored at a fitted curve, 2f − y, have the same noise with the opposite sign and f for their truth; the
  difference found in them, averaged over f from both families, is subtracted.
"""

from __future__ import annotations

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.inference.averaging_fits import Data, bin_patterns, critical_z, fit_all, vuong_z
from cogfit.inference.averaging_result import BINARY, FEWEST, STATUSES, Averaging
from cogfit.inference.averaging_smooth import judge_by_shift
from cogfit.inference.averaging_steps import find_steps, judge_steps
from cogfit.records.sentence import say

__all__ = ["BINARY", "FEWEST", "STATUSES", "Averaging", "analyse"]

_POINTS = 6  # bins in which a pattern must have been seen: three coefficients must leave something over
_MOST = 2000  # patterns that are fitted; of more, evenly picked ones


def analyse(curve: Curve, near_binary: float | None = None) -> Averaging:
    """Decide whether a pooled slope is an averaging artefact.

    Single patterns decide.

    Parameters
    ----------
    curve : Curve
        With ``clusters`` (patterns, runs, subjects). Points with k ≤ 0 are left out.
    near_binary : float, optional
        Share of near-binary patterns, 0 … 1 (:class:`cogfit.curves.trajectories.Trajectories`); found from the clusters
        if not given.

    Returns
    -------
    Averaging

    References
    ----------
    Anderson & Tweney 1997, Mem. Cogn. 25:724–730. Heathcote, Brown & Mewhort 2000, Psychon. Bull. Rev. 7:185–207.
    Vuong 1989, Econometrica 57:307–333. Hedges 1983, Psychol. Bull. 93:388–395.

    Examples
    --------
    >>> import numpy as np
    >>> from cogfit.inference import averaging
    >>> from cogfit.curves.exposure import Clusters, Curve
    >>> k = np.arange(1.0, 301.0)
    >>> single = np.exp(-np.random.default_rng(1).gamma(0.43, 1 / 10, (60, 1)) * k)
    >>> curve = Curve(k, single.mean(axis=0), np.ones(300), None, "exposure", "k", "probability",
    ...               clusters=Clusters("patterns", single, np.ones(single.shape)))
    >>> averaging.analyse(curve).status
    'artefact'
    """
    if curve.clusters is None:
        text = "only the pooled curve is there; single patterns are needed to tell"
        return Averaging("undecidable", (say(text, by=analyse),))
    kind = curve.clusters.kind
    x, y, n = bin_patterns(curve)
    rows = np.flatnonzero((n > 0).sum(axis=1) >= _POINTS)
    if rows.size < FEWEST:
        text = "only {count} {kind} have values at {points} or more places of k; {fewest} are needed to tell"
        rule = f"count < {FEWEST}"
        why = say(text, count=rows.size, kind=kind, points=_POINTS, fewest=FEWEST, threshold=rule, by=analyse)
        return Averaging("undecidable", (why,), int(rows.size), kind)
    if rows.size > _MOST:
        rows = rows[np.linspace(0, rows.size - 1, _MOST).astype(int)]
    y, n = y[rows], n[rows]
    seen = n.sum(axis=0) > 0  # by these patterns
    first = fit_all(Data(x[seen], y[:, seen], n[:, seen], np.ones(int(seen.sum()))))
    steps = find_steps(first, near_binary)
    if (
        steps.near_binary >= BINARY
        and steps.switched.sum() >= FEWEST
        and vuong_z(steps.better) >= critical_z(rows.size)
    ):
        return judge_steps(first, steps, kind)
    return judge_by_shift(first, steps.near_binary, kind)

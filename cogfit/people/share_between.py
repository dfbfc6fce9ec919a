"""How many people have an exponent in a given range.

The share of the *estimates* in a range is not the share of people: errors of the estimates carry people out of it and
into it. Under a normal distribution over people the share follows from its mean and standard deviation, which
:func:`cogfit.people.over_subjects.random_effects` estimates; people are resampled for its interval. This is a
stand-in for a hierarchical model of all trials, and can be replaced by one without any change elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cogfit.native.distributions import normal_cdf
from cogfit.people.by_subject import SubjectExponents
from cogfit.people.over_subjects import Population, random_effects
from cogfit.records.codec import Document, Nan

LEAST_RELIABILITY = 0.3
"""Below this the estimates say more of their errors than of people."""

REPLICATES = 400


@dataclass(frozen=True)
class ShareBetween(Document):
    """Share of people whose γ lies in a range.

    Attributes
    ----------
    low_gamma, high_gamma : float
        The range.
    raw : float
        Share of the estimates in it.
    share, low, high : float
        Share of people, with the limits of its interval; NaN where it is refused.
    reliability : float
        Share of the variance of the estimates that is between people.
    method : str
        Or why it is refused.
    """

    low_gamma: float
    high_gamma: float
    raw: float
    share: Nan
    low: Nan
    high: Nan
    reliability: Nan
    method: str


def share_between(
    subjects: SubjectExponents, population: Population, between: tuple[float, float], *, rng: int = 0
) -> ShareBetween:
    """Estimate the share of people in a range of γ.

    Parameters
    ----------
    subjects : SubjectExponents
    population : Population
        Of these.
    between : (float, float)
    rng : int
        For the resampling.

    Returns
    -------
    ShareBetween
        Refused where the reliability is unknown or under :data:`LEAST_RELIABILITY`.

    Examples
    --------
    >>> import cogfit
    >>> from cogfit.people.by_subject import population_of
    >>> from cogfit.people.fits import estimated_subjects
    >>> people = estimated_subjects(cogfit.human("remington2016_subjects").series(condition="shortcut")[0])
    >>> found = share_between(people, population_of(people), (0.2, 0.4))
    >>> found.low < found.share < found.high
    True
    """
    raw = float(np.mean((subjects.gamma >= between[0]) & (subjects.gamma <= between[1])))
    reliability = population.reliability
    if not reliability >= LEAST_RELIABILITY:
        why = "unknown: there are no standard errors" if math.isnan(reliability) else f"{reliability:.2f}"
        method = f"refused: the reliability of single estimates is {why}, and {LEAST_RELIABILITY} is needed"
        return ShareBetween(*between, raw, math.nan, math.nan, math.nan, reliability, method)
    generator, n = np.random.default_rng(rng), subjects.gamma.size
    shares = []
    for draw in generator.integers(0, n, size=(REPLICATES, n)):
        one = random_effects(
            subjects.gamma[draw], subjects.stderr[draw], subjects.degrees_of_freedom, population.level, spread_only=True
        )
        shares.append(_normal_share(one.mean, one.sd, between))
    tail = 0.5 * (1.0 - population.level)
    low, high = np.quantile(shares, [tail, 1.0 - tail])
    share = _normal_share(population.mean, population.sd, between)
    method = f"normal distribution over people ({population.method}); {REPLICATES} samples of people, percentiles"
    return ShareBetween(*between, raw, share, min(float(low), share), max(float(high), share), reliability, method)


def _normal_share(mean: float, sd: float, between: tuple[float, float]) -> float:
    """Share of a normal distribution in a range.

    Without spread it is all or nothing.
    """
    if sd <= 0.0:
        return float(between[0] <= mean <= between[1])
    return normal_cdf((between[1] - mean) / sd) - normal_cdf((between[0] - mean) / sd)

"""How many people have an exponent in a given range.

The share of the *estimates* in a range is not the share of people: errors of the estimates carry people out of it and
into it. Under a normal distribution over people the share follows from its mean and standard deviation. Where the
curves of single people are at hand, these are those of one model (its method
:meth:`cogfit.population.records.PopulationFit.share`); from a table of estimates they come in two stages, and people
are resampled for the interval.
"""

from __future__ import annotations

import math

import numpy as np

from cogfit.people.by_subject import People
from cogfit.people.over_subjects import random_effects
from cogfit.population.records import LEAST_RELIABILITY, Share, normal_share

REPLICATES = 400


def share_between(people: People, between: tuple[float, float], *, rng: int = 0) -> Share:
    """Estimate the share of people in a range of γ.

    Parameters
    ----------
    people : People
    between : (float, float)
    rng : int
        For the resampling of a table of estimates.

    Returns
    -------
    Share
        Refused where the reliability is unknown or under :data:`LEAST_RELIABILITY`.

    Examples
    --------
    >>> import cogfit
    >>> from cogfit.people.by_subject import people_of_estimates
    >>> from cogfit.people.fits import estimated_subjects
    >>> subjects = estimated_subjects(cogfit.human("remington2016_subjects").series(condition="shortcut")[0])
    >>> found = share_between(people_of_estimates(subjects), (0.2, 0.4))
    >>> found.low < found.share < found.high
    True
    """
    if people.model is not None:
        return people.model.share(*between)
    return _share_of_estimates(people, between, rng)


def _share_of_estimates(people: People, between: tuple[float, float], rng: int) -> Share:
    """Share from estimates and their standard errors."""
    subjects, population = people.subjects, people.population
    raw = float(np.mean((subjects.gamma >= between[0]) & (subjects.gamma <= between[1])))
    level, reliability = population.level, population.reliability
    if not reliability >= LEAST_RELIABILITY:
        why = "unknown: there are no standard errors" if math.isnan(reliability) else f"{reliability:.2f}"
        method = f"refused: the reliability of single estimates is {why}, and {LEAST_RELIABILITY} is needed"
        return Share(*between, raw, math.nan, math.nan, math.nan, reliability, level, method)
    generator, n = np.random.default_rng(rng), subjects.gamma.size
    means, sds = np.empty((2, REPLICATES))
    for i, draw in enumerate(generator.integers(0, n, size=(REPLICATES, n))):
        one = random_effects(
            subjects.gamma[draw], subjects.stderr[draw], subjects.degrees_of_freedom, level, spread_only=True
        )
        means[i], sds[i] = one.mean, one.sd
    tail = 0.5 * (1.0 - level)
    low, high = np.quantile(normal_share(means, sds, *between), [tail, 1.0 - tail])
    share = float(normal_share(np.array(population.mean), np.array(population.sd), *between))
    method = f"normal distribution over people ({population.method}); {REPLICATES} samples of people, percentiles"
    low, high = min(float(low), share), max(float(high), share)
    return Share(*between, raw, share, low, high, reliability, level, method)

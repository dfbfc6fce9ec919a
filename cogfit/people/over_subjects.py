"""What several subjects say together.

Two questions: do conditions differ (:class:`Contrast`), and how does an exponent spread over subjects
(:class:`Population`)?
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.inference.roots import brent
from cogfit.native.distributions import chi2_quantile, student_quantile, student_sf
from cogfit.records.codec import Document, Nan
from cogfit.records.sentence import number_of

FEW_DEGREES_OF_FREEDOM = 10
"""Residual degrees of freedom of a subject's fit below which its standard error is too rough to be a weight."""


@dataclass(frozen=True)
class Contrast(Document):
    """Difference of a mean between two conditions, second minus first.

    Attributes
    ----------
    first, second : str
        The conditions.
    mean_first, mean_second : float
        Over the subjects that are compared.
    difference, low, high : float
        With the limits of its confidence interval.
    p_value : float
        Of no difference, two-sided; not adjusted for the number of contrasts.
    n : int or None
        Pairs compared; None where only means and standard errors are known.
    level : float
    method : str
    labels : mapping of str to str
        Of the curve.
    """

    first: str
    second: str
    mean_first: float
    mean_second: float
    difference: float
    low: float
    high: float
    p_value: float
    n: int | None
    level: float
    method: str
    labels: Mapping[str, str] = field(default_factory=dict)


def paired_contrast(
    values: Array, subjects: NDArray[Any], condition: NDArray[Any], first: str, second: str, level: float = 0.95
) -> Contrast:
    """Compare two conditions within subjects.

    Student's t is applied to the differences of the subjects that have both.

    Parameters
    ----------
    values, subjects, condition : ndarray, shape (n,)
        One row per subject and condition.
    first, second : str
        The conditions.
    level : float

    Raises
    ------
    InputError
        If a subject has a condition twice, or fewer than two subjects have both.

    Examples
    --------
    >>> import numpy as np
    >>> who, when = np.array(["a", "b", "c"] * 2), np.array(["day"] * 3 + ["week"] * 3)
    >>> contrast = paired_contrast(np.array([3.0, 4.0, 5.0, 1.0, 3.0, 3.0]), who, when, "day", "week")
    >>> round(contrast.difference, 3), contrast.n
    (-1.667, 3)
    """
    by_subject = [_by_subject(values, subjects, condition, name) for name in (first, second)]
    both = [subject for subject in by_subject[0] if subject in by_subject[1]]
    if len(both) < 2:
        who = number_of(len(both), "subject has", "subjects have")
        raise InputError(f"only {who} both '{first}' and '{second}'")
    before, after = (np.array([value_of[subject] for subject in both]) for value_of in by_subject)
    change = after - before
    mean, error = float(change.mean()), float(change.std(ddof=1)) / math.sqrt(change.size)
    degrees_of_freedom = change.size - 1
    half = student_quantile(0.5 + 0.5 * level, degrees_of_freedom) * error
    return Contrast(
        first=first,
        second=second,
        mean_first=float(before.mean()),
        mean_second=float(after.mean()),
        difference=mean,
        low=mean - half,
        high=mean + half,
        p_value=2.0 * student_sf(abs(mean) / error, degrees_of_freedom) if error > 0 else float(mean == 0),
        n=change.size,
        level=level,
        method=f"paired t, {degrees_of_freedom} degrees of freedom",
    )


def _by_subject(values: Array, subjects: NDArray[Any], condition: NDArray[Any], name: str) -> dict[Any, float]:
    """Value of each subject under one condition."""
    chosen = condition == name
    if np.unique(subjects[chosen]).size != int(chosen.sum()):
        raise InputError(f"a subject has the condition '{name}' more than once")
    return dict(zip(subjects[chosen].tolist(), values[chosen].tolist(), strict=True))


def independent_contrast(
    means: tuple[float, float],
    errors: tuple[float, float],
    first: str,
    second: str,
    level: float = 0.95,
    counts: tuple[float, float] | None = None,
) -> Contrast:
    """Compare two means with their standard errors as independent.

    Parameters
    ----------
    means, errors : (float, float)
    first, second : str
        The conditions.
    level : float
    counts : (float, float), optional
        Subjects behind each mean; with them Student's t with Welch's degrees of freedom is used, else the normal law.

    Examples
    --------
    >>> round(independent_contrast((2.0, 1.0), (0.3, 0.4), "early", "late").high, 2)
    -0.02
    """
    error = math.hypot(*errors)
    mean = means[1] - means[0]
    degrees_of_freedom, method = math.inf, "normal, standard errors taken as independent"
    if counts is not None and error > 0 and min(counts) > 1:
        degrees_of_freedom = error**4 / sum(e**4 / (n - 1.0) for e, n in zip(errors, counts, strict=True))
        method = f"Welch's t, {degrees_of_freedom:.1f} degrees of freedom"
    half = student_quantile(0.5 + 0.5 * level, degrees_of_freedom) * error
    return Contrast(
        first=first,
        second=second,
        mean_first=means[0],
        mean_second=means[1],
        difference=mean,
        low=mean - half,
        high=mean + half,
        p_value=2.0 * student_sf(abs(mean) / error, degrees_of_freedom) if error > 0 else float(mean == 0),
        n=None,
        level=level,
        method=method,
    )


@dataclass(frozen=True)
class Population(Document):
    """Distribution of γ over subjects (teams, lists).

    Attributes
    ----------
    n : int
        Subjects.
    mean, low, high : float
        Mean of γ over the population, with the limits of its confidence interval.
    sd, sd_low, sd_high : float
        Standard deviation of γ over the population, without the errors of the single estimates; NaN limits where
        there are none.
    spread : float
        Standard deviation of the estimates themselves, errors included.
    new_low, new_high : float
        Prediction interval: where γ of another subject lies.
    reliability : float
        Share of the variance of the estimates that is between subjects. The rest are errors of the single estimates;
        NaN where these are not known.
    level : float
    method : str
    caveats : tuple of str
    labels : mapping of str to str
        Of the curve.
    left_out : tuple of str
        Subjects without an exponent, and why.
    """

    n: int
    mean: float
    low: float
    high: float
    sd: float
    sd_low: float
    sd_high: float
    spread: float
    new_low: float
    new_high: float
    reliability: Nan
    level: float
    method: str
    caveats: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def random_effects(
    estimates: Array, stderr: Array, degrees_of_freedom: float, level: float = 0.95, *, spread_only: bool = False
) -> Population:
    """Estimate the distribution of an exponent over subjects.

    Each subject has an estimate and a standard error.

    Parameters
    ----------
    estimates, stderr : ndarray, shape (n,)
    degrees_of_freedom : float
        Residual degrees of freedom behind each standard error. With fewer than :data:`FEW_DEGREES_OF_FREEDOM` the
        standard errors are no weights: subjects count equally, and only the mean of the squared standard errors is
        used (Hedges & Olkin 1985). Otherwise: variance between subjects by Paule & Mandel 1982, interval of the
        mean by Hartung & Knapp 2001 and Sidik & Jonkman 2002 (never narrower than that of the weights), interval of
        the standard deviation by inverting Cochran's Q (Viechtbauer 2007, Stat. Med. 26:37).
    level : float
    spread_only : bool
        Whether the limits of the standard deviation are not wanted; they take most of the time.

    Raises
    ------
    InputError
        For fewer than two subjects or standard errors that are not positive.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(0.3, 0.1, 40)
    >>> spread = random_effects(truth + rng.normal(0, 0.05, 40), np.full(40, 0.05), degrees_of_freedom=18)
    >>> spread.low < 0.3 < spread.high, spread.sd_low < 0.1 < spread.sd_high
    (True, True)
    """
    n = estimates.size
    if n < 2 or not np.all(np.isfinite(estimates)):
        raise InputError(f"a distribution needs two subjects at least, with finite estimates; there are {n}")
    if not np.all(stderr > 0):
        raise InputError("standard errors must be positive")
    # mean and variance between subjects, with or without weights
    variance, spread = stderr**2, float(estimates.std(ddof=1))
    caveats: tuple[str, ...] = ()
    if degrees_of_freedom < FEW_DEGREES_OF_FREEDOM:
        # such standard errors are too rough to be weights: subjects count equally
        between = max(0.0, spread**2 - float(variance.mean()))
        mean, error, limits = float(estimates.mean()), spread / math.sqrt(n), (math.nan, math.nan)
        method = "subjects count equally, Student's t; variance between them after Hedges & Olkin"
        caveats = (f"standard errors rest on {degrees_of_freedom:g} degrees of freedom each, so they are no weights",)
    else:
        # the interval is never narrower than that of the weights: the factor is 1 at least
        between = _variance_at(n - 1.0, estimates, variance)
        weight = 1.0 / (variance + between)
        mean = float(weight @ estimates / weight.sum())
        factor = max(1.0, float(weight @ (estimates - mean) ** 2) / (n - 1))
        error, limits = math.sqrt(factor / weight.sum()), (math.nan, math.nan)
        if not spread_only:
            limits = _q_profile(estimates, variance, level)
        method = "random effects: Paule–Mandel, Hartung–Knapp–Sidik–Jonkman; Q profile"
    half = student_quantile(0.5 + 0.5 * level, n - 1) * error
    # another subject differs by the spread between subjects and by the error of the mean
    quantile = student_quantile(0.5 + 0.5 * level, n - 2) if n > 2 else math.inf
    half_new = quantile * math.hypot(math.sqrt(between), error)
    return Population(
        n=n,
        mean=mean,
        low=mean - half,
        high=mean + half,
        sd=math.sqrt(between),
        sd_low=limits[0],
        sd_high=limits[1],
        spread=spread,
        new_low=mean - half_new,
        new_high=mean + half_new,
        reliability=min(1.0, between / spread**2) if spread > 0 else 0.0,
        level=level,
        method=method,
        caveats=caveats,
    )


def plain_distribution(estimates: Array, level: float = 0.95) -> Population:
    """Describe estimates that have no standard errors.

    The mean has Student's interval. How far subjects differ cannot be told from the errors of their estimates: the
    standard deviation between them is NaN.

    Raises
    ------
    InputError
        For fewer than two estimates.

    Examples
    --------
    >>> import numpy as np
    >>> round(plain_distribution(np.array([0.2, 0.3, 0.4])).mean, 2)
    0.3
    """
    n = estimates.size
    if n < 2:
        raise InputError(f"a distribution needs two subjects at least; there are {n}")
    mean, spread = float(estimates.mean()), float(estimates.std(ddof=1))
    half = student_quantile(0.5 + 0.5 * level, n - 1) * spread / math.sqrt(n)
    half_new = student_quantile(0.5 + 0.5 * level, n - 1) * spread * math.sqrt(1.0 + 1.0 / n)
    unknown = "no standard errors: the spread between subjects and the errors of their estimates are not told apart"
    return Population(
        n=n,
        mean=mean,
        low=mean - half,
        high=mean + half,
        sd=math.nan,
        sd_low=math.nan,
        sd_high=math.nan,
        spread=spread,
        new_low=mean - half_new,
        new_high=mean + half_new,
        reliability=math.nan,
        level=level,
        method="plain mean, Student's t; the interval for another one is for another estimate",
        caveats=(unknown,),
    )


def _variance_at(q: float, estimates: Array, variance: Array) -> float:
    """Variance between subjects at which Cochran's Q is `q`.

    It is 0 where Q is smaller throughout. Q falls with the variance, so the root is unique; Paule & Mandel's estimate
    is the root at n − 1.
    """

    def excess(between: float) -> float:
        weight = 1.0 / (variance + between)
        mean = weight @ estimates / weight.sum()
        return float(weight @ (estimates - mean) ** 2) - q

    if excess(0.0) <= 0:
        return 0.0
    top = float(np.ptp(estimates)) ** 2 + float(variance.max())
    while excess(top) > 0:
        top *= 4.0
    return brent(excess, 0.0, top, absolute=1e-14)


def _q_profile(estimates: Array, variance: Array, level: float) -> tuple[float, float]:
    """Limits of the standard deviation between subjects.

    There Cochran's Q meets the quantiles of χ²(n − 1).
    """
    tail = 0.5 * (1.0 - level)
    quantiles = (chi2_quantile(p, estimates.size - 1) for p in (1.0 - tail, tail))
    low, high = (math.sqrt(_variance_at(quantile, estimates, variance)) for quantile in quantiles)
    return low, high


def stderr_from_r2(gamma: float, r2: float, x: Array) -> float:
    """Recover the standard error of γ from its R².

    For A·x^−γ fitted by least squares at the points x. The scale of y cancels: with the residual sum of squares as
    unit, R² gives A, and the Jacobian at (A, γ) the standard error, for independent errors of even variance.

    Parameters
    ----------
    gamma, r2 : float
        R² on the scale of y, 0 < R² < 1.
    x : ndarray, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> round(stderr_from_r2(0.3, 0.9, np.arange(1.0, 21.0)), 3)
    0.021
    """
    if not (0.0 < r2 < 1.0 and math.isfinite(gamma) and gamma != 0.0):
        return math.nan
    shape = x**-gamma
    size = math.sqrt(r2 / (1.0 - r2) / float(((shape - shape.mean()) ** 2).sum()))
    jacobian = np.stack([shape, -size * np.log(x) * shape], axis=1)
    return math.sqrt(float(np.linalg.inv(jacobian.T @ jacobian)[1, 1]) / (x.size - 2))

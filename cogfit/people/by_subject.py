"""Exponents of single subjects, lists or teams, and their distribution.

Each is :func:`cogfit.fit` of that subject's own curve. Who has no exponent is named, with the reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from cogfit import fitting
from cogfit.errors import InputError, shortlist
from cogfit.formulas.form import Array
from cogfit.formulas.registry import POWER
from cogfit.people.dataset import Series
from cogfit.people.over_subjects import Population, plain_distribution, random_effects

LEAST_POINTS = 4
"""Fewer points than these give no slope."""

LEAST_SUBJECTS = 3
"""Fewer subjects than these have no distribution."""


@dataclass(frozen=True)
class SubjectExponents:
    """Power-law exponents of the subjects behind a curve.

    Attributes
    ----------
    series : Series
        The curve, or the table of estimates.
    names : tuple of str
        Subjects that have an exponent with a standard error.
    gamma, stderr : ndarray, shape (n,)
        The standard errors are NaN in a table that has none.
    degrees_of_freedom : float
        Behind each standard error, the fewest; inf where it follows from counts or is printed.
    left_out : tuple of (str, str)
        The other subjects, and why.
    n_constant : int
        How many of these never changed.
    n_at_bound : int
        Subjects whose curve starts at the largest value that a probability allows.
    """

    series: Series
    names: tuple[str, ...]
    gamma: Array
    stderr: Array
    degrees_of_freedom: float
    left_out: tuple[tuple[str, str], ...] = ()
    n_constant: int = 0
    n_at_bound: int = 0


def fit_subjects(series: Series, level: float = 0.95) -> SubjectExponents:
    """Fit the power law to the curve of each subject.

    Parameters
    ----------
    series : Series
        With clusters.
    level : float
        Of intervals; it does not matter to the estimates.

    Examples
    --------
    >>> import cogfit
    >>> from cogfit.people.by_subject import fit_subjects
    >>> (lists,) = cogfit.human("dros2015_lists").series()
    >>> found = fit_subjects(lists)
    >>> len(found.names), found.left_out
    (10, ())
    """
    assert series.clusters is not None
    names, gamma, stderr, spare, left_out = [], [], [], [], []
    n_constant = n_at_bound = 0
    for name in dict.fromkeys(series.clusters.tolist()):
        part = replace(series.take((series.clusters == name) & (series.x > 0)), clusters=None)
        n_points = np.unique(part.x).size
        if n_points < LEAST_POINTS:
            left_out.append((name, f"{n_points} point{'' if n_points == 1 else 's'}, and {LEAST_POINTS} are needed"))
            continue
        # a dozen points do not say how their errors follow each other
        try:
            curve = replace(part.curve(), serial=False)
            item = fitting.fit(curve, form=POWER, noise=part.noise or "gaussian", level=level)[POWER]
        except InputError as error:  # what cannot be fitted of one person says nothing of the others
            left_out.append((name, str(error)))
            continue
        stderr_of_one = _standard_error(item.covariance)
        if item.gamma is None or not 0.0 < stderr_of_one < math.inf:
            left_out.append((name, item.estimate.reason or "its exponent has no standard error"))
            n_constant += float(np.ptp(part.y)) == 0.0
            continue
        names.append(name)
        gamma.append(item.gamma)
        stderr.append(stderr_of_one)
        spare.append(math.inf if part.is_counted else part.x.size - len(item.estimate.params))
        n_at_bound += bool(item.estimate.at_bound)
    return SubjectExponents(
        series=series,
        names=tuple(names),
        gamma=np.array(gamma),
        stderr=np.array(stderr),
        degrees_of_freedom=min(spare, default=math.inf),
        left_out=tuple(left_out),
        n_constant=n_constant,
        n_at_bound=n_at_bound,
    )


def _standard_error(covariance: Array) -> float:
    """Standard error of γ, the last parameter.

    One that exceeds γ is still a measurement here: to leave such subjects out would leave out those who learn little.
    """
    variance = float(covariance[-1, -1])
    return math.sqrt(variance) if variance >= 0.0 else math.nan


def read_subjects(series: Series, errors: Array | None, degrees_of_freedom: float) -> SubjectExponents:
    """Take the estimates that have a standard error.

    Where none has one, all are taken.

    Parameters
    ----------
    series : Series
        Of a data set of estimates: y holds them.
    errors : ndarray, shape (n,), or None
        Standard errors, NaN where there is none.
    degrees_of_freedom : float
        Behind each of them.
    """
    names = [str(i + 1) for i in range(series.y.size)] if series.clusters is None else series.clusters.tolist()
    is_usable = np.isfinite(series.y)
    if errors is None:
        errors = np.full(series.y.size, math.nan)
    else:
        is_usable &= np.isfinite(errors) & (np.nan_to_num(errors) > 0)
    return SubjectExponents(
        series=series,
        names=tuple(name for name, keep in zip(names, is_usable, strict=True) if keep),
        gamma=series.y[is_usable],
        stderr=errors[is_usable],
        degrees_of_freedom=degrees_of_freedom,
        left_out=tuple(
            (name, "its estimate has no standard error")
            for name, keep in zip(names, is_usable, strict=True)
            if not keep
        ),
    )


def population_of(subjects: SubjectExponents, level: float = 0.95) -> Population:
    """Describe how γ is distributed over subjects.

    Raises
    ------
    InputError
        If fewer than :data:`LEAST_SUBJECTS` have an exponent.
    """
    count, total = len(subjects.names), len(subjects.names) + len(subjects.left_out)
    kind = f"{subjects.series.dataset.level}s"
    if count < LEAST_SUBJECTS:
        reasons = "; ".join(_reasons(subjects))
        message = f"{count} of {total} {kind} have an exponent, and {LEAST_SUBJECTS} are needed for a distribution"
        raise InputError(f"{message} ({reasons})" if reasons else message)
    if np.all(np.isnan(subjects.stderr)):
        population = plain_distribution(subjects.gamma, level)
    else:
        population = random_effects(subjects.gamma, subjects.stderr, subjects.degrees_of_freedom, level)
    caveats = list(population.caveats)
    if subjects.left_out:
        caveats.append(f"{len(subjects.left_out)} of {total} {kind} left out: {'; '.join(_reasons(subjects))}")
    if subjects.n_constant:
        zeros = subjects.gamma.sum() / (count + subjects.n_constant)
        caveats.append(
            f"with γ = 0 for the {subjects.n_constant} that never changed "
            f"the plain mean would be {zeros:.3g} instead of {subjects.gamma.mean():.3g}"
        )
    if subjects.n_at_bound:
        caveats.append(
            f"{subjects.n_at_bound} of {count} {kind} start at 1, the largest share there is: their standard errors "
            "hold that fixed"
        )
    return replace(
        population,
        labels=subjects.series.labels,
        caveats=tuple(caveats),
        left_out=tuple(f"{name}: {reason}" for name, reason in subjects.left_out),
    )


def _reasons(subjects: SubjectExponents) -> list[str]:
    """Why subjects were left out, each reason with their names."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in subjects.left_out:
        by_reason.setdefault(reason, []).append(name)
    return [f"{shortlist(names)} ({reason})" for reason, names in by_reason.items()]

"""Exponents of single subjects, lists or teams, and their distribution.

Where their curves are at hand, one model holds all of them (:func:`cogfit.fit_population`). Where a table holds only
estimates with standard errors, the distribution is estimated from these in a second stage. Who has no exponent is
named, with the reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from cogfit.errors import InputError, shortlist
from cogfit.formulas.form import Array
from cogfit.formulas.registry import POWER
from cogfit.people.dataset import Series
from cogfit.people.over_subjects import Population, plain_distribution, random_effects
from cogfit.population.api import fit_population
from cogfit.population.records import PopulationFit
from cogfit.records.codec import Document, High, wire

LEAST_POINTS = 4
"""Fewer points than these give no slope."""

LEAST_SUBJECTS = 3
"""Fewer subjects than these have no distribution."""

_AT_BOUND = 1e-9  # how near to 1 the first share is the largest there is


@dataclass(frozen=True, eq=False)
class SubjectExponents(Document):
    """Power-law exponents of the subjects behind a curve.

    Attributes
    ----------
    series : Series
        The curve, or the table of estimates.
    names : tuple of str
        Subjects that have an exponent of their own, with a standard error where such are known.
    gamma, stderr : ndarray, shape (n,)
        By the subject's own points alone. The standard errors are NaN in a table that has none.
    shrunken, shrunken_stderr : ndarray, shape (n,)
        The same in the model of all subjects, NaN where there is none.
    degrees_of_freedom : float
        Behind each standard error, the fewest; inf where it follows from counts or is printed.
    left_out : tuple of (str, str)
        Subjects without an exponent, and why.
    """

    series: Series = field(metadata=wire(skip=True))
    names: tuple[str, ...]
    gamma: Array
    stderr: Array
    shrunken: Array
    shrunken_stderr: Array
    degrees_of_freedom: High
    left_out: tuple[tuple[str, str], ...] = field(default=(), metadata=wire(skip=True))

    @classmethod
    def of_estimates(
        cls,
        series: Series,
        names: tuple[str, ...],
        gamma: Array,
        stderr: Array,
        degrees_of_freedom: float,
        left_out: tuple[tuple[str, str], ...] = (),
    ) -> SubjectExponents:
        """Take estimates that no model of all subjects stands behind."""
        unknown = np.full(gamma.size, math.nan)
        return cls(series, names, gamma, stderr, unknown, unknown, degrees_of_freedom, left_out)


@dataclass(frozen=True, eq=False)
class People(Document):
    """Single subjects and how γ is distributed over them.

    Attributes
    ----------
    subjects : SubjectExponents
    population : Population
    model : PopulationFit or None
        The model of all curves; None for a table of estimates.
    """

    subjects: SubjectExponents
    population: Population
    model: PopulationFit | None = field(default=None, metadata=wire(skip=True))


def fit_people(series: Series, level: float = 0.95) -> People:
    """Fit the power law to the curves of all subjects.

    Nobody is left out who has two points: see :func:`cogfit.fit_population`.

    Parameters
    ----------
    series : Series
        With clusters.
    level : float
        Of the intervals.

    Raises
    ------
    InputError
        If the subjects have no distribution: there are too few, or their curves do not determine it.

    Examples
    --------
    >>> import cogfit
    >>> from cogfit.people.by_subject import fit_people
    >>> (lists,) = cogfit.human("dros2015_lists").series()
    >>> people = fit_people(lists)
    >>> people.population.n, round(people.population.mean, 2), people.subjects.left_out
    (10, 0.17, ())
    """
    import pandas as pd

    assert series.clusters is not None
    part = series.take(series.x > 0)  # at x = 0 a power law has no value
    assert part.clusters is not None
    kind, points = series.dataset.level, {"who": part.clusters, "x": part.x, "y": part.y}
    weight = part.trials if part.is_counted else part.weights
    # where the amplitude is a share at one of the points it lies between 0 and 1, as the curve then does
    has_first_share = part.is_counted and float(part.x.min()) <= 1.0
    model = fit_population(
        pd.DataFrame(points if weight is None else {**points, "w": weight}),
        by="who",
        form=POWER,
        noise=part.noise or "gaussian",
        weights="w" if weight is not None and not part.is_counted else None,
        trials="w" if part.is_counted else None,
        logit=("A",) if has_first_share else (),
        kind=kind,
        level=level,
    )
    if model.status in ("not_identified", "not_converged"):
        raise InputError(f"the curves of the {kind}s have no distribution of γ: {model.reason}")
    subjects = _own_exponents(series, model)
    return People(subjects, _population_of_model(subjects, model), model)


def _own_exponents(series: Series, model: PopulationFit) -> SubjectExponents:
    """Exponents of single subjects by their own points."""
    members, place = model.members, _place_of_gamma(model)
    gamma, stderr = members.own[:, place], members.own_stderr[:, place]
    has_own = np.isfinite(gamma) & np.isfinite(stderr) & (stderr > 0.0)
    without = tuple(
        (name, "its own points give no exponent with a standard error")
        for name, has_one in zip(members.names, has_own, strict=True)
        if not has_one
    )
    return SubjectExponents(
        series=series,
        names=tuple(name for name, has_one in zip(members.names, has_own, strict=True) if has_one),
        gamma=gamma[has_own],
        stderr=stderr[has_own],
        shrunken=members.params[has_own, place],
        shrunken_stderr=members.stderr[has_own, place],
        degrees_of_freedom=math.inf if series.is_counted else float(members.n.min()) - len(model.parameters),
        left_out=(*without, *model.left_out),
    )


def _place_of_gamma(model: PopulationFit) -> int:
    """Column of γ in the table of members."""
    return [parameter.name for parameter in model.parameters].index("gamma")


def _population_of_model(subjects: SubjectExponents, model: PopulationFit) -> Population:
    """Distribution of γ as a model of all subjects has it."""
    gamma = model["gamma"]
    new_low, new_high = model.new_member()
    caveats = list(model.warnings)
    at_bound = _n_at_bound(model)
    if at_bound:
        caveats.append(
            f"{at_bound} of {model.n_members} {model.kind}s by themselves start at 1, the largest share there is: "
            "their own standard errors hold that fixed"
        )
    return Population(
        n=model.n_members,
        mean=gamma.mean,
        low=gamma.low,
        high=gamma.high,
        sd=gamma.sd,
        sd_low=gamma.sd_low,
        sd_high=gamma.sd_high,
        spread=float(subjects.gamma.std(ddof=1)) if subjects.gamma.size > 1 else math.nan,
        new_low=new_low,
        new_high=new_high,
        reliability=gamma.reliability,
        level=model.level,
        method=f"one model of all {model.kind}s: {model.how()}; intervals by profile likelihood",
        caveats=tuple(caveats),
        labels=subjects.series.labels,
        left_out=tuple(f"{name}: {reason}" for name, reason in model.left_out),
    )


def _n_at_bound(model: PopulationFit) -> int:
    """Subjects whose own curves start at the largest share."""
    if model.noise != "binomial":
        return 0
    amplitude, gamma = (model.members.own[:, at] for at in (1 - _place_of_gamma(model), _place_of_gamma(model)))
    if model["A"].is_logit:  # where the share is 1 there is no logit
        return int((np.isfinite(gamma) & ~np.isfinite(amplitude)).sum())
    return int((amplitude > -_AT_BOUND).sum())


# ----------------------------------------------------------------------------------------- tables of estimates


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
    return SubjectExponents.of_estimates(
        series,
        tuple(name for name, keep in zip(names, is_usable, strict=True) if keep),
        series.y[is_usable],
        errors[is_usable],
        degrees_of_freedom,
        tuple(
            (name, "its estimate has no standard error")
            for name, keep in zip(names, is_usable, strict=True)
            if not keep
        ),
    )


def people_of_estimates(subjects: SubjectExponents, level: float = 0.95) -> People:
    """Describe how γ is distributed, from estimates alone.

    Parameters
    ----------
    subjects : SubjectExponents
        Of :func:`read_subjects`.
    level : float
        Of the intervals.

    Raises
    ------
    InputError
        If fewer than :data:`LEAST_SUBJECTS` have an exponent.
    """
    count, total = len(subjects.names), len(subjects.names) + len(subjects.left_out)
    kind = f"{subjects.series.dataset.level}s"
    if count < LEAST_SUBJECTS:
        reasons = "; ".join(_reasons(subjects))
        verb = "has" if count == 1 else "have"
        message = f"{count} of {total} {kind} {verb} an exponent, and {LEAST_SUBJECTS} are needed for a distribution"
        raise InputError(f"{message} ({reasons})" if reasons else message)
    if np.all(np.isnan(subjects.stderr)):
        population = plain_distribution(subjects.gamma, level)
    else:
        population = random_effects(subjects.gamma, subjects.stderr, subjects.degrees_of_freedom, level)
    caveats = list(population.caveats)
    if subjects.left_out:
        caveats.append(f"{len(subjects.left_out)} of {total} {kind} left out: {'; '.join(_reasons(subjects))}")
    population = replace(
        population,
        labels=subjects.series.labels,
        caveats=tuple(caveats),
        left_out=tuple(f"{name}: {reason}" for name, reason in subjects.left_out),
    )
    return People(subjects, population)


def _reasons(subjects: SubjectExponents) -> list[str]:
    """Why subjects were left out, each reason with their names."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in subjects.left_out:
        by_reason.setdefault(reason, []).append(name)
    return [f"{shortlist(names)} ({reason})" for reason, names in by_reason.items()]

"""Put a model's γ beside people's: like with like.

Two exponents mean the same only if measure, scale, axis, unit of repetition, counting convention, form, noise model and
level of averaging are the same (:data:`cogfit.people.exponent.ASPECTS`). Convention, form and noise model can be
brought together by fitting anew (``align=True``), the others cannot: such a comparison is refused, with the reason.

The sides are made in :mod:`cogfit.people.model_side` and :mod:`cogfit.people.human_side`; what follows is said in
:mod:`cogfit.people.conclusions`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cogfit.errors import InputError
from cogfit.formulas.registry import POWER
from cogfit.inference.interval import format_interval
from cogfit.native.blas import single_threaded
from cogfit.people.catalogue import Catalogue
from cogfit.people.conclusions import ENOUGH_STUDIES, Comparison, Row
from cogfit.people.dataset import Dataset
from cogfit.people.exponent import Exponent, difference, obstacles
from cogfit.people.human_side import chosen_datasets, claims, human_exponents
from cogfit.people.model_side import (
    AXES,
    ENOUGH_RUNS,
    INTERVAL_DEGREES_OF_FREEDOM,
    Model,
    Run,
    check_alike,
    exponent_of_fit,
    form_sensitivity,
    mean_curve_exponent,
    normal_quantile,
    over_runs,
    read_runs,
    with_limits,
)
from cogfit.people.over_subjects import Population, random_effects
from cogfit.people.routes import compare_routes
from cogfit.people.survivorship import Survivorship, survivorship_of_patterns
from cogfit.progress import Progress
from cogfit.records.sentence import number_of


@single_threaded()
def compare(
    model: Model | Sequence[Model],
    people: Catalogue | Dataset | Sequence[Dataset] | None = None,
    *,
    form: str | None = None,
    align: bool = False,
    margin: float | None = None,
    level: float = 0.95,
    rng: int = 0,
    convention: str | None = None,
    measure: str | None = None,
    axis: str | None = None,
    repeated: str | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Put a model's γ beside people's, like with like.

    Parameters
    ----------
    model : FitResult, Log, path, or a sequence of these
        One run, or several of one training procedure (seeds). A path may be a log or a saved fit; a log with several
        runs counts as several.
    people : Catalogue, Dataset or sequence of Dataset, optional
        With whom; all of :func:`cogfit.human` by default.
    form : str, optional
        Compare under this form; by default under the model's better power law.
    align : bool
        Bring convention, form and noise model together by fitting both sides anew, and say so.
    margin : float, optional
        Differences up to this count as none: tests equivalence, where there are 5 runs and data of single subjects.
    level : float
        Of all intervals.
    rng : int
        For resampling.
    convention, measure, axis, repeated : str, optional
        What the model's log does not say of itself (see :data:`cogfit.people.exponent.ASPECTS`), e.g.
        ``measure="latency"``. Exposures of a routing log are counted by the convention.
    progress : callable, optional
        Called as ``progress(done, total, name)``.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        For input that cannot be used; what may not be compared is part of the result.

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> k = np.arange(1.0, 101.0)
    >>> fit = cogfit.fit(k, 0.9 * k**-0.43, form="power", axis="exposure", measure="probability")
    >>> comparison = cogfit.compare(fit, cogfit.human("ebbinghaus1885_savings"))
    >>> comparison.rows[0].comparable, str(comparison.rows[0].obstacles[1])
    (False, 'axis: repetition against delay')
    """
    if margin is not None and not margin > 0.0:
        raise InputError(f"`margin` must be a positive number, not {margin:g}")
    described = _description(convention, measure, axis, repeated)
    report = progress or (lambda done, total, name: None)

    # the model's side: every run, and where there are several two means that stand for all
    runs = read_runs(model, level, rng, convention, report)
    singles = _exponents_of_runs(runs, form, described)
    heads, between = tuple(singles), None
    if len(singles) > 1:
        check_alike(singles)
        heads = (mean_curve_exponent(runs, singles, level, rng),)
        if len(with_limits(singles)) > 1:
            mean, between = over_runs(singles, level)
            heads = (*heads, mean)
    exponents = heads if len(singles) == 1 else (*singles, *heads)

    # people's side, each curve beside that of the model's exponents which is most like it
    rows, silent, datasets = [], [], chosen_datasets(people)
    for number, dataset in enumerate(datasets):
        report(number, len(datasets), dataset.id)
        curves, reason = human_exponents(dataset, heads[0], form, align, level)
        rows += [_row(heads, curve, margin, level) for curve in curves]
        silent += [(dataset.id, reason)] if reason else []
    report(len(datasets), len(datasets), "")
    rows.sort(key=_distance)

    # routes, and who is left: what the model's curve can be laid beside although it is not the same thing
    routes = compare_routes(_power_of(runs[0], described), runs[0].fit, datasets, level, _algorithm(silent))
    left = tuple(found for run in runs if (found := _survivorship(run, level, rng)) is not None)

    # what follows for all rows together
    pooled, pooling = _pooled(rows, level)
    return Comparison(
        model=exponents,
        rows=tuple(rows),
        silent=tuple(silent),
        claims=claims(),
        pooled=pooled,
        pooling=pooling,
        equivalence=_equivalence(rows, heads, margin),
        sensitivity=form_sensitivity(runs, exponents[-1].form, level, rng),
        runs=between,
        level=level,
        margin=margin,
        routes=routes,
        survivorship=left,
    )


def _description(convention: str | None, measure: str | None, axis: str | None, repeated: str | None) -> dict[str, Any]:
    """What the caller says of the model's curves, in the catalogue's words."""
    if axis in AXES:  # what is repeated follows from the axis, as it does where a log says it
        axis, item = AXES[axis]
        repeated = repeated or item
    given = {"convention": convention, "measure": measure, "axis": axis, "repeated": repeated}
    return {name: value for name, value in given.items() if value is not None}


def _exponents_of_runs(runs: Sequence[Run], form: str | None, described: dict[str, Any]) -> list[Exponent]:
    """Exponent of each run, all under one form."""

    def under(name: str | None) -> list[Exponent]:
        return [replace(exponent_of_fit(run.fit, run.label, name), **described) for run in runs]

    exponents = under(form)
    if form is None and len({exponent.form for exponent in exponents}) > 1:
        return under(exponents[0].form)
    return exponents


def _power_of(run: Run, described: dict[str, Any]) -> Exponent | None:
    """Exponent of a run's power law, if it was fitted."""
    try:
        return replace(exponent_of_fit(run.fit, run.label, POWER), **described)
    except InputError:
        return None


def _algorithm(silent: Sequence[tuple[str, str]]) -> str:
    """What is known of people's share of the algorithm."""
    return next((f"{name}: {reason}" for name, reason in silent if "algorithm" in reason), "")


def _survivorship(run: Run, level: float, rng: int) -> Survivorship | None:
    """Patterns that stay beside all patterns of a run."""
    if run.log is None or run.log.routing is None:
        return None
    return survivorship_of_patterns(run.log.routing, level=level, rng=rng)


# ---------------------------------------------------------------------------------------------------------- rows


def _most_alike(model: Sequence[Exponent], human: Exponent) -> Exponent:
    """The model's exponent that differs in the fewest aspects."""
    return min(model, key=lambda exponent: len(obstacles(exponent, human)))


def _row(model: Sequence[Exponent], human: Exponent, margin: float | None, level: float) -> Row:
    """Compare a human exponent with the model's nearest."""
    nearest = _most_alike(model, human)
    differing = obstacles(nearest, human)
    if differing or math.isnan(human.gamma):
        return Row(human, differing)
    limits = difference(nearest, human)
    is_equivalent = None
    if margin is not None and not _no_equivalence(nearest, human):
        is_equivalent = _is_within(limits, margin, level)
    return Row(human, (), limits, is_equivalent)


def _is_within(limits: tuple[float, float, float], margin: float, level: float) -> bool:
    """Whether two one-sided tests find a difference within a margin."""
    estimate, low, high = limits
    # each test has the error of the level, so their interval is that of 1 − 2(1 − level)
    ratio = normal_quantile(1.0 - 2.0 * (1.0 - level)) / normal_quantile(level)
    return -margin < estimate - ratio * (estimate - low) and estimate + ratio * (high - estimate) < margin


def _distance(row: Row) -> tuple[int, int]:
    """How far a row is from being comparable, for sorting."""
    return len([item for item in row.obstacles if not item.refit]), len(row.obstacles)


# --------------------------------------------------------------------------------------------------- conclusions


def _no_equivalence(model: Exponent, human: Exponent) -> str:
    """Why equivalence cannot be tested.

    "" where it can.
    """
    if (model.n or 0) < ENOUGH_RUNS:
        return f"{number_of(model.n or 0, 'run is', 'runs are')} there, and {ENOUGH_RUNS} are needed"
    if not human.subjects_known:
        return f"{human.label} has no data of single subjects"
    return ""


def _equivalence(rows: Sequence[Row], model: Sequence[Exponent], margin: float | None) -> str:
    """What tests of equivalence say, or why there are none."""
    if margin is None:
        return "That a difference is not excluded is no evidence of sameness: that needs a margin (--margin)."
    parts = []
    for row in rows:
        if not row.comparable:
            continue
        if row.equivalent is None:
            reason = _no_equivalence(_most_alike(model, row.human), row.human)
            parts.append(f"Equivalence with {row.human.label} cannot be tested: {reason}.")
        else:
            result = "lies within" if row.equivalent else "is not shown to lie within"
            parts.append(f"The difference from {row.human.label} {result} ±{margin:g}.")
    return " ".join(parts) or "Nothing can be tested for equivalence: nothing is comparable."


def _pooled(rows: Sequence[Row], level: float) -> tuple[Population | None, str]:
    """Pool the comparable studies, or say why not."""
    by_study: dict[str, Exponent] = {}
    for row in rows:
        human = row.human
        if row.comparable and human.subjects_known and human.has_limits:
            by_study.setdefault(human.study, human)
    if len(by_study) < ENOUGH_STUDIES:
        count = number_of(len(by_study), "independent study", "independent studies")
        return None, (
            f"Nothing is pooled: {count} with standard errors over subjects on one measure and form, and "
            f"{ENOUGH_STUDIES} are needed."
        )
    studies = list(by_study.values())
    width = 2.0 * normal_quantile(level)  # of an interval, in standard errors
    errors = np.array([(study.high - study.low) / width for study in studies])
    gammas = np.array([study.gamma for study in studies])
    mean = random_effects(gammas, errors, INTERVAL_DEGREES_OF_FREEDOM, level)
    return mean, (
        f"Random-effects mean of {mean.n} studies: γ = {mean.mean:.3f} {format_interval((mean.low, mean.high))}; "
        f"one more study is expected in {format_interval((mean.new_low, mean.new_high))}."
    )

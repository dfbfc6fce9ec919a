"""A model's γ beside people's: like with like, or a reason why not.

Two exponents mean the same only if measure, scale, axis, unit of repetition, counting convention, form, noise model and
level of averaging are the same (:data:`ASPECTS`). Convention, form and noise model can be brought together by fitting
anew (``align=True``), the others cannot: such a comparison is refused, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cogfit.errors import InputError
from cogfit.inference.interval import format_interval
from cogfit.people.catalogue import Catalogue
from cogfit.people.conclusions import ENOUGH_STUDIES, Comparison, Row
from cogfit.people.dataset import Dataset
from cogfit.people.exponent import (
    Exponent,
    difference,
    obstacles,
)
from cogfit.people.human_side import chosen_datasets, claims, human_exponents
from cogfit.people.model_side import (
    ENOUGH_RUNS,
    INTERVAL_DEGREES_OF_FREEDOM,
    Model,
    form_sensitivity,
    mean_curve_exponent,
    normal_quantile,
    of_fit,
    over_runs,
    read_runs,
)
from cogfit.people.over_subjects import Population, random_effects
from cogfit.progress import Progress

# ------------------------------------------------------------------------------------------------- putting it together


def _row(model: Sequence[Exponent], human: Exponent, margin: float | None, level: float) -> Row:
    """Compare with that of the model's exponents from which least stands apart."""
    mine = min(model, key=lambda one: len(obstacles(one, human)))
    found = obstacles(mine, human)
    if found or math.isnan(human.gamma):
        return Row(human, found)
    gap = difference(mine, human)
    equivalent = None
    if margin is not None and not _no_equivalence(mine, human):
        quantile = normal_quantile(1.0 - 2.0 * (1.0 - level)) / normal_quantile(level)  # two one-sided tests
        low, high = gap[0] - quantile * (gap[0] - gap[1]), gap[0] + quantile * (gap[2] - gap[0])
        equivalent = -margin < low and high < margin
    return Row(human, (), gap, equivalent)


def _no_equivalence(mine: Exponent, human: Exponent) -> str:
    """Why equivalence cannot be spoken of; empty where it can."""
    if (mine.n or 0) < ENOUGH_RUNS:
        return f"there are {mine.n or 0} runs, and {ENOUGH_RUNS} are needed"
    if not human.subjects_known:
        return f"{human.label} has no data of single subjects"
    return ""


def _equivalence(rows: Sequence[Row], model: Sequence[Exponent], margin: float | None) -> str:
    compared = [row for row in rows if row.comparable]
    if margin is None:
        return "That a difference is not excluded is no evidence of sameness: that needs a margin (--margin)."
    parts = []
    for row in compared:
        if row.equivalent is None:
            mine = min(model, key=lambda one: len(obstacles(one, row.human)))
            parts.append(f"Equivalence with {row.human.label} cannot be tested: {_no_equivalence(mine, row.human)}.")
        else:
            said = "lies within" if row.equivalent else "is not shown to lie within"
            parts.append(f"The difference from {row.human.label} {said} ±{margin:g}.")
    return " ".join(parts) or "Nothing can be tested for equivalence: nothing is comparable."


def _pooled(rows: Sequence[Row], level: float) -> tuple[Population | None, str]:
    """Pool the comparable studies if there are enough of them, else say why not."""
    usable: dict[str, Exponent] = {}
    for row in rows:
        one = row.human
        if row.comparable and one.subjects_known and math.isfinite(one.low) and math.isfinite(one.high):
            usable.setdefault(one.study, one)
    if len(usable) < ENOUGH_STUDIES:
        count = f"{len(usable)} independent {'study' if len(usable) == 1 else 'studies'}"
        return None, (
            f"Nothing is pooled: {count} with standard errors over subjects on one measure and form, and "
            f"{ENOUGH_STUDIES} are needed."
        )
    parts = list(usable.values())
    quantile = 2.0 * normal_quantile(level)
    errors = [(one.high - one.low) / quantile for one in parts]
    found = random_effects(np.array([one.gamma for one in parts]), np.array(errors), INTERVAL_DEGREES_OF_FREEDOM, level)
    limits = format_interval((found.new_low, found.new_high))
    return found, (
        f"Random-effects mean of {found.n} studies: γ = {found.mean:.3f} {format_interval((found.low, found.high))}; "
        f"one more study is expected in {limits}."
    )


# ------------------------------------------------------------------------------------------------- people


# ------------------------------------------------------------------------------------------------- sensitivity


# ------------------------------------------------------------------------------------------------- the function


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
        What the model's log does not say of itself (see :data:`ASPECTS`), e.g. ``measure="latency"``.
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
    >>> found = cogfit.compare(fit, cogfit.human("ebbinghaus1885_savings"))
    >>> found.rows[0].comparable, str(found.rows[0].obstacles[1])
    (False, 'axis: repetition against delay')
    """
    if margin is not None and not margin > 0.0:
        raise InputError(f"the margin must be a positive number, not {margin:g}")
    given = {"convention": convention, "measure": measure, "axis": axis, "repeated": repeated}
    described: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    tell = progress or (lambda done, total, name: None)
    options = {} if convention is None else {"convention": convention}
    runs = read_runs(model, level, rng, options, tell)
    singles = [replace(of_fit(run.fit, run.label, form), **described) for run in runs]
    if len(singles) > 1 and form is None and len({one.form for one in singles}) > 1:
        singles = [replace(of_fit(run.fit, run.label, singles[0].form), **described) for run in runs]
    between: Population | None = None
    heads = exponents = tuple(singles)
    if len(singles) > 1:
        mean, between = over_runs(singles, level)
        heads = (mean_curve_exponent(runs, singles, level, rng), mean)
        exponents = (*singles, *heads)
    rows, silent = [], []
    data = chosen_datasets(people)
    for number, item in enumerate(data):
        tell(number, len(data), item.id)
        found, reason = human_exponents(item, heads[0], form, align, level)
        rows += [_row(heads, one, margin, level) for one in found]
        if reason:
            silent.append((item.id, reason))
    tell(len(data), len(data), "")
    rows.sort(key=lambda row: (len([o for o in row.obstacles if not o.aspect.refit]), len(row.obstacles)))
    pooled, pooling = _pooled(rows, level)
    return Comparison(
        exponents, tuple(rows), tuple(silent), claims(), pooled, pooling, _equivalence(rows, heads, margin),
        form_sensitivity(runs, exponents[-1].form, level, rng), between, level, margin,
    )  # fmt: skip

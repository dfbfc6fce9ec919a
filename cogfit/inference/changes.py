"""Abrupt changes in a log.

Which curve is searched, and beside which schedule.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.curves.utilization import utilization_curve
from cogfit.errors import InputError, nearest
from cogfit.formulas.form import Array
from cogfit.inference import transitions
from cogfit.logs.columnar import ColumnTable
from cogfit.logs.model import GROUP_COLUMNS, Log, UtilizationLog

LEAST_POINTS = 20
"""Points below which no abrupt change is looked for."""

_COUNTED = ("step", "exposure")  # axes that count one by one; "x" may have any unit

_SCHEDULE = re.compile(
    r"(^|[^a-z])(lr|learning_rate|lambda|temperature|tau|phase|stage|warm_?up|schedule|anneal|curriculum|cost|beta)"
    r"([^a-z]|$)"
)
"""Names of columns that are set by the person who trains, not outcomes of training."""


def find_changes(
    curve: Curve,
    log: Log | None,
    schedule: Sequence[str],
    *,
    level: float,
    rng: np.random.Generator,
    replicates: int,
) -> dict[str, Any] | None:
    """Look for abrupt changes of level.

    None where they cannot be looked for.

    The curve is that of the utilisation log, where there is one. A mean over patterns against exposures is not
    searched: its errors are those of switch times, and no series.

    Parameters
    ----------
    curve : Curve
        What was fitted.
    log : Log or None
        Where it came from.
    schedule : sequence of str
        Columns of the utilisation log that hold a schedule, besides those whose names say so.
    level, rng, replicates
        See :func:`cogfit.transition`.

    Returns
    -------
    dict or None
        Document of the :class:`~cogfit.inference.transitions.Transition`, with ``axis``.

    Raises
    ------
    InputError
        If a column of `schedule` is not there.
    """
    # the utilisation of a log against step; arrays as they are, unless they average over clusters
    columns: dict[str, Array] = {}
    if log is not None and log.utilization is not None:
        if log.routing is not None:  # the curve that was fitted counts exposures; changes are searched by step
            curve = utilization_curve(log.utilization, x_min=_after_overridden(curve))
        columns = _schedule_columns(log, log.utilization, curve, schedule)
    elif schedule:
        raise InputError("`schedule` names columns of a utilisation log", hint="pass the log, not arrays")
    elif log is not None or (curve.clusters is not None and curve.axis == "exposure"):
        return None

    positive = curve.take(curve.x > 0)
    is_short = np.unique(positive.x).size < LEAST_POINTS
    if is_short or np.any(curve.x < 0) or np.ptp(positive.y) == 0:
        return None
    result = transitions.transition(
        positive.x,
        positive.y,
        weights=positive.weights,
        rng=rng,
        level=level,
        replicates=replicates,
        unit=1.0 if curve.axis in _COUNTED else 0.0,
        schedule={name: values[curve.x > 0] for name, values in columns.items()} or None,
    )
    first, *further = result.statements()
    if log is not None:  # several curves may be in play: say which one changes
        first = first.after(f"{curve.y_label} against {curve.x_label}: ")
    return {"axis": curve.axis, **result.to_json(), "statements": [first, *further]}


def _after_overridden(curve: Curve) -> int | None:
    """First step after the overridden rows.

    Their decision was not the router's own.
    """
    steps = None if curve.facts is None else curve.facts.overridden_steps
    return None if steps is None else steps[1] + 1


def _schedule_columns(log: Log, table: UtilizationLog, curve: Curve, named: Sequence[str]) -> dict[str, Array]:
    """Columns of the utilisation log that hold a schedule.

    Their values at the points of the curve.
    """
    rows = table.table
    roles = ("step", "attention_utilization", *GROUP_COLUMNS)
    columns = [str(name) for name in rows.columns if name not in roles]
    for name in named:
        if name not in columns:
            hint = nearest(name, columns)
            raise InputError(f"no column '{name}' to take as a schedule", path=log.path, hint=hint)
    chosen = [name for name in columns if name in named or _SCHEDULE.search(name.lower())]
    if not isinstance(rows, ColumnTable) or not all(isinstance(rows[name], np.ndarray) for name in chosen):
        by_step = table.frame.drop_duplicates("step").set_index("step")
        return {name: by_step[name].reindex(curve.x).to_numpy() for name in chosen}
    # the first row of each step, NaN at points that are none
    steps, first = np.unique(rows["step"], return_index=True)
    places = np.minimum(np.searchsorted(steps, curve.x), steps.size - 1)
    is_step = steps[places] == curve.x
    values = {name: rows[name][first[places]] for name in chosen}
    return values if is_step.all() else {name: np.where(is_step, own, np.nan) for name, own in values.items()}

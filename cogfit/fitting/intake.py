"""Whatever is to be fitted becomes a curve with an account of where it came from."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from cogfit.curves.arrays import array_curve
from cogfit.curves.curve import Curve
from cogfit.curves.exposure import Outcome, exposure_curve
from cogfit.curves.utilization import Smoothing, utilization_curve
from cogfit.errors import InputError, nearest
from cogfit.formulas.form import MEASURES
from cogfit.inference import patterns
from cogfit.logs.model import Log, RoutingLog, Source, UtilizationLog
from cogfit.records.arrays import as_array
from cogfit.records.given import missing_y

if TYPE_CHECKING:
    import pandas as pd

_FEW_PATTERNS = 3  # fewer are looked at one by one (--by pattern), not as a population


@dataclass(frozen=True)
class Prepared:
    """What is fitted, and where it came from."""

    curve: Curve
    source: Source
    log: Log | None = None
    warnings: tuple[str, ...] = ()


def prepare_curve(
    data: Log | Curve | str | os.PathLike[str] | pd.DataFrame | ArrayLike,
    y: ArrayLike | str | None = None,
    *,
    x: str | None = None,
    weights: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    axis: str | None = None,
    measure: str | None = None,
    outcome: Outcome = "auto",
    convention: str = "prior",
    x_min: float | None = None,
    x_max: float | None = None,
    bins: int | None = None,
    smoothing: Smoothing = None,
    serial: bool = True,
) -> Prepared:
    """Turn whatever is to be fitted into a curve.

    The arguments are those of :func:`fit`.
    """
    # paths are read; what goes with arrays is refused beside a log
    if isinstance(data, str | os.PathLike) or is_table(data):
        name = y if isinstance(y, str) else None
        data, y = _read(data, x, name), None if name is not None else y
    elif x is not None:
        raise InputError("`x` names a column of a file, folder or table", hint="call cogfit.fit(x, y) with arrays")
    if isinstance(data, Log | Curve) and any(v is not None for v in (y, weights, trials, groups)):
        raise InputError("`y`, `weights`, `trials` and `groups` go with arrays, not with a log")

    # whatever came in becomes a curve with an account of where it came from
    if isinstance(data, Log):
        prepared = _from_log(data, outcome, convention, (x_min, x_max), bins, smoothing)
        if axis is not None:
            prepared = replace(prepared, curve=replace(prepared.curve, axis=axis))
    elif isinstance(data, Curve):
        prepared = Prepared(data, Source("", "curve", data.x.size))
    elif y is None:
        raise missing_y(data, "call cogfit.fit(x, y), or cogfit.fit(log)")
    else:
        curve = array_curve(
            data,
            y,
            weights=weights,
            trials=trials,
            groups=groups,
            axis=axis or "x",
            x_min=x_min,
            x_max=x_max,
            smoothing=smoothing,
        )
        prepared = Prepared(curve, Source("", "arrays", as_array("y", y).size))
    return replace(prepared, curve=_apply_caller_options(prepared.curve, measure, serial))


def _read(data: Any, x: str | None, y: str | None) -> Log:
    """The log of a file, folder or table."""
    from cogfit.logs import read_log
    from cogfit.logs.columns import NoLogColumns

    if not is_table(data):
        return read_log(data, x=x, y=y)
    try:
        return read_log(data, x=x or _only_other_column(data, y), y=y)
    except NoLogColumns as error:
        hint = 'name its columns: cogfit.fit(table, "COLUMN OF Y", x="COLUMN OF X")'
        raise InputError(error.what, path=error.path, hint=hint) from None


def _only_other_column(table: pd.DataFrame, y: str | None) -> str | None:
    """The column beside y in a table of two.

    There is no doubt what it is, whatever it is called.
    """
    others = [name for name in table.columns if name != y]
    return str(others[0]) if y in table.columns and len(others) == 1 else None


def is_table(data: object) -> bool:
    """Whether data are a pandas table.

    pandas is loaded if they are, and not for this question.
    """
    return type(data).__module__.split(".")[0] == "pandas" and type(data).__name__ == "DataFrame"


def _apply_caller_options(curve: Curve, measure: str | None, serial: bool) -> Curve:
    """The curve with what the caller says of its y."""
    if not serial:
        curve = replace(curve, serial=False)
    if measure is None:
        return curve
    if measure not in MEASURES:
        raise InputError(f"unknown measure {measure!r}", hint=nearest(measure, MEASURES))
    return replace(curve, measure=measure)


# ------------------------------------------------------------------------------------------------ from a log to a curve


def _from_log(
    log: Log,
    outcome: Outcome,
    convention: str,
    window: tuple[float | None, float | None],
    bins: int | None,
    smoothing: Smoothing,
) -> Prepared:
    _check_window(*window)
    if log.routing is not None:
        if smoothing is not None:
            raise InputError("`smoothing` goes with utilisation logs; rows of a routing log are single queries")
        curve = _routing_curve(log.routing, outcome, convention, window, bins)
        return Prepared(curve, log.routing.source, log, (*log.warnings, *other_kind(log)))
    if log.utilization is None:
        raise InputError("the log is empty", path=log.path)
    if outcome != "auto" or convention != "prior":
        raise InputError("`outcome` and `convention` go with routing logs; this is a utilisation log", path=log.path)
    if bins is not None:
        raise InputError("`bins` go with routing logs (P_episodic(k)); a utilisation log is fitted point by point")
    curve = utilization_curve(log.utilization, x_min=window[0], x_max=window[1], smoothing=smoothing)
    return Prepared(curve, log.utilization.source, log, log.warnings)


def _check_window(x_min: float | None, x_max: float | None) -> None:
    for label, limit in (("x_min", x_min), ("x_max", x_max)):
        if limit is not None and not math.isfinite(limit):
            raise InputError(f"`{label}` must be a finite number, not {limit}")
    if x_min is not None and x_max is not None and x_min >= x_max:
        raise InputError(f"the window is empty: `x_min` is {x_min:g} and `x_max` is {x_max:g}")


def _routing_curve(
    routing: RoutingLog,
    outcome: Outcome,
    convention: str,
    window: tuple[float | None, float | None],
    bins: int | None,
) -> Curve:
    """P_episodic(k), with what single patterns say.

    Single patterns are looked at where there are enough of them.
    """
    low = None if window[0] is None else math.ceil(window[0])
    high = None if window[1] is None else math.floor(window[1])
    curve = exposure_curve(routing, outcome=outcome, convention=convention, k_min=low, k_max=high, bins=bins)
    assert curve.facts is not None
    if curve.facts.patterns < _FEW_PATTERNS:
        return curve
    return replace(curve, trajectories=patterns.analyse(routing, curve.facts))


def other_kind(log: Log) -> tuple[str, ...]:
    """What a folder holds besides the routing log.

    The routing log is fitted; one sentence each.
    """
    if log.routing is None or log.utilization is None:
        return ()
    other = log.utilization
    text = f"utilisation against step ({other.source.rows_read:,} rows) is there, too; to fit it, name its file"
    left = sorted(_runs_of(other) - _runs_of(log.routing)) if "run" in other.table else []
    if left:
        text += f"; runs that have nothing else are left out here: {', '.join(left)}"
    return (text,)


def _runs_of(table: RoutingLog | UtilizationLog) -> set[str]:
    return set(table.frame["run"].astype(str)) if "run" in table.frame else set()

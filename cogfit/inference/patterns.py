"""Patterns as trajectories: when and why each one switches.

Do they switch together, and does the training clock or exposure drive them?

All rows of one pattern are one trajectory, so a near-binary router's P(k) is a survival curve of as many switch times
as there are patterns, however many rows the log has. Times are counted in exposures k, in updates (training steps in
which the pattern was seen) and in steps; patterns that never switch are censored (Kaplan & Meier 1958).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogfit.curves.curve import ExposureFacts
from cogfit.curves.exposure import exposure_counts, overridden_rows
from cogfit.curves.trajectories import SwitchGroup, SwitchTime, Trajectories, VarianceInflation
from cogfit.formulas.form import Array
from cogfit.inference.switching import Switches, find_drivers
from cogfit.logs.model import GROUP_COLUMNS, RoutingLog
from cogfit.native import distributions

_BIN = 100  # presentations of a pattern in one bin of the variance inflation
_FLIPS = 199  # sign changes behind the p-value of the variance inflation
_GAP = 0.08  # gap in log time that separates two groups of switches
_GROUP = 5  # patterns that make a group worth naming

_FACTORS = ("layer", "head")  # covariates of the survival regression

_AXES = ("exposures", "updates", "steps")


def analyse(routing: RoutingLog, facts: ExposureFacts) -> Trajectories:
    """Follow every pattern of a routing log.

    Parameters
    ----------
    routing : RoutingLog
    facts : ExposureFacts
        Those of the exposure curve: rows before its window and overridden rows are left out.

    Returns
    -------
    Trajectories
    """
    import pandas as pd

    rows = _Rows.from_log(routing, facts)
    split, before, after = _change_points(rows.value, rows.start, rows.stop, rows.unit)

    # a switch goes from above to below one half; what never comes down is censored at its last row
    size = rows.stop - rows.start
    mean = np.add.reduceat(rows.value, rows.start) / size
    switched = (before > 0.5) & (after < 0.5)
    never = ~switched & (mean > 0.5)
    at = np.where(switched, np.minimum(split, rows.stop - 1), np.where(never, rows.stop - 1, rows.start))
    crisp = np.where(switched, (before > 0.8) & (after < 0.2), (mean > 0.8) | (mean < 0.2))

    # when they switch, on each axis
    counters = (rows.k, rows.updates, rows.step)
    times = {name: kaplan_meier(values[at].astype(float), ~never) for name, values in zip(_AXES, counters, strict=True)}
    switch_step = rows.step[at][switched]

    # whether they move together while they drop, and what their order follows
    steps = times["steps"]
    drop = (steps.t10, steps.t90 if math.isfinite(steps.t90) else float(rows.step.max()))
    inflation = _variance_inflation(rows.value, rows.step, rows.unit, size, drop)
    switches = _switches(rows, at, switched, never)
    drivers = find_drivers(switches, rows.factors, rows.cluster)
    table = pd.DataFrame(
        {
            "pattern": np.array(routing.pattern_names, dtype=object)[rows.pattern[rows.start]],
            "status": np.where(switched, "switched", np.where(never, "never", "low_from_start")),
            "k": rows.k[at],
            "updates": rows.updates[at],
            "step": rows.step[at],
            "before": np.where(switched, before, mean),
            "after": np.where(switched, after, mean),
        }
    )
    return Trajectories(
        switched=int(switched.sum()),
        never=int(never.sum()),
        low_from_start=int((~switched & ~never).sum()),
        near_binary=float(crisp.mean()),
        exposures=times["exposures"],
        updates=times["updates"],
        steps=steps,
        groups=_groups(switch_step),
        inflation=VarianceInflation(*inflation),
        alignment=drivers.alignment,
        covariates=drivers.covariates,
        correlation=_correlation(rows.k, rows.step),
        dependence=_serial_dependence(rows.value, rows.k, rows.unit),
        table=table,
    )


@dataclass(frozen=True)
class _Rows:
    """Rows of a routing log by trajectory, in time order.

    Attributes
    ----------
    value, k, updates, step, pattern, unit : ndarray, shape (rows,)
        Outcome; exposures, updates and step; code of the pattern; number of the trajectory.
    start, stop : ndarray of int, shape (trajectories,)
        Where the rows of each trajectory begin and end.
    end : ndarray of int, shape (trajectories,)
        Last step of the run, layer and head.
    cluster : ndarray of int, shape (trajectories,)
        Number of the pattern in its run: its layers and heads are not independent.
    factors : mapping of str to ndarray, shape (trajectories,)
        Labels of layers and heads, where there are several.
    """

    value: Array
    k: NDArray[np.int64]
    updates: NDArray[np.int64]
    step: NDArray[np.int64]
    pattern: NDArray[Any]
    unit: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    end: NDArray[np.int64]
    cluster: NDArray[np.int64]
    factors: Mapping[str, NDArray[Any]]

    @classmethod
    def from_log(cls, routing: RoutingLog, facts: ExposureFacts) -> _Rows:
        """Sort the rows that count."""
        frame = routing.frame
        column = "p_episodic" if facts.outcome == "soft" else "attended"
        value = frame[column].to_numpy(dtype=float)
        k = frame["exposure"].to_numpy(dtype=np.int64)
        inside = exposure_counts(frame, facts.convention) >= facts.k_min
        use = (frame["pattern"].to_numpy() >= 0) & inside & np.isfinite(value) & ~overridden_rows(frame)
        updates = exposure_counts(frame, "updates")

        # a trajectory is a pattern in one run, layer and head
        codes = {c: frame[c].cat.codes.to_numpy()[use] for c in GROUP_COLUMNS if c in frame}
        keys = list(codes.values())
        pattern = frame["pattern"].to_numpy()[use]
        order = np.lexsort((pattern, *keys))  # stable: time order within a trajectory
        is_new = np.ones(order.size, dtype=bool)
        same = np.ones(max(order.size - 1, 0), dtype=bool)
        for key in (pattern, *keys):
            same &= key[order][1:] == key[order][:-1]
        is_new[1:] = ~same
        start = np.flatnonzero(is_new)
        first = order[start]
        step = frame["step"].to_numpy()[use][order]
        return cls(
            value=value[use][order],
            k=k[use][order],
            updates=updates[use][order],
            step=step,
            pattern=pattern[order],
            unit=np.cumsum(is_new) - 1,
            start=start,
            stop=np.append(start[1:], order.size),
            end=_last_steps(np.maximum.reduceat(step, start), _joint_codes(keys, first)),
            cluster=_joint_codes([pattern, *(codes[c] for c in codes if c not in _FACTORS)], first),
            factors={
                c: frame[c].cat.categories.to_numpy()[codes[c][first]]
                for c in _FACTORS
                if c in codes and np.ptp(codes[c][first])
            },
        )


def _joint_codes(keys: Sequence[NDArray[Any]], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the combinations of several codes."""
    if not keys:
        return np.zeros(rows.size, dtype=np.int64)
    return np.asarray(np.unique(np.stack([key[rows] for key in keys]), axis=1, return_inverse=True)[1]).reshape(-1)


def _last_steps(step: NDArray[np.int64], group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Largest step of each one's group."""
    last = np.zeros(int(group.max()) + 1, dtype=np.int64)
    np.maximum.at(last, group, step)
    return last[group]


def _change_points(
    value: Array, start: NDArray[np.int64], stop: NDArray[np.int64], unit: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Array, Array]:
    """Least-squares split of each trajectory.

    Into a higher and a lower part: index of the split, both means.
    """
    total = np.concatenate([[0.0], np.cumsum(value)])
    index = np.arange(value.size)
    n_before = (index - start[unit]).astype(float)  # rows of the trajectory before this one
    n_after = (stop[unit] - index).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_before = (total[index] - total[start[unit]]) / n_before
        mean_after = (total[stop[unit]] - total[index]) / n_after
        gain = n_before * n_after * np.maximum(mean_before - mean_after, 0.0) ** 2
    gain[n_before == 0] = -1.0
    best = np.maximum.reduceat(gain, start)
    at_best = np.flatnonzero(gain == best[unit])
    _, first = np.unique(unit[at_best], return_index=True)
    split = at_best[first]
    return split, np.nan_to_num(mean_before[split], nan=0.0), mean_after[split]


def survival_curve(time: Array, event: NDArray[np.bool_]) -> tuple[Array, Array, Array, Array]:
    """Estimate the share that is left (Kaplan & Meier 1958).

    Parameters
    ----------
    time : ndarray, shape (n,)
    event : ndarray of bool, shape (n,)
        False where the time is censored.

    Returns
    -------
    points, events, at_risk, left : ndarray, shape (m,)
        Times with events; how many; how many could have had one; share left from then on.

    Examples
    --------
    >>> import numpy as np
    >>> *_, left = survival_curve(np.array([1.0, 2.0, 3.0]), np.array([True, False, True]))
    >>> left.round(3).tolist()
    [0.667, 0.0]
    """
    points, counts = np.unique(time[event], return_counts=True)
    events = counts.astype(float)
    at_risk = time.size - np.searchsorted(np.sort(time), points).astype(float)
    return points, events, at_risk, np.cumprod(1.0 - events / at_risk)


def kaplan_meier(time: Array, event: NDArray[np.bool_], level: float = 0.95) -> SwitchTime:
    """Quantiles of a censored time.

    Parameters
    ----------
    time : ndarray, shape (n,)
    event : ndarray of bool, shape (n,)
        False where the time is censored.
    level : float
        Of the limits of the median.

    Returns
    -------
    SwitchTime

    Examples
    --------
    >>> import numpy as np
    >>> kaplan_meier(np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, True, True, False])).t50
    2.0
    """
    points, deaths, at_risk, survival = survival_curve(time, event)
    if points.size == 0:
        return SwitchTime(math.nan, math.nan, math.nan, -math.inf, math.inf)

    def quantile(share: float) -> float:
        reached = np.flatnonzero(survival <= 1.0 - share + 1e-12)
        return float(points[reached[0]]) if reached.size else math.nan

    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(deaths / (at_risk * (at_risk - deaths)))
        log_log = np.log(-np.log(survival))
        half_width = distributions.normal_quantile(0.5 + 0.5 * level) * np.sqrt(greenwood) / np.abs(np.log(survival))
        upper, lower = np.exp(-np.exp(log_log - half_width)), np.exp(-np.exp(log_log + half_width))
    lower = np.where(np.isfinite(lower), lower, 0.0)
    upper = np.where(np.isfinite(upper), upper, survival)
    early, late = points[lower <= 0.5], points[upper <= 0.5]
    return SwitchTime(
        t10=quantile(0.1),
        t50=quantile(0.5),
        t90=quantile(0.9),
        low=float(early[0]) if early.size else -math.inf,
        high=float(late[0]) if late.size else math.inf,
    )


def _groups(steps: NDArray[np.int64]) -> tuple[SwitchGroup, ...]:
    """Groups of patterns that switch close together.

    No gap of more than 8 % of the time lies between them; groups of five patterns or more.
    """
    if steps.size == 0:
        return ()
    ordered = np.sort(steps)
    cut = np.flatnonzero(np.diff(np.log(np.maximum(ordered, 1))) > _GAP) + 1
    parts = np.split(ordered, cut)
    return tuple(SwitchGroup(int(part[0]), int(part[-1]), int(part.size)) for part in parts if part.size >= _GROUP)


def _variance_inflation(
    v: Array, step: NDArray[np.int64], unit: NDArray[np.int64], size: NDArray[np.int64], drop: tuple[float, float]
) -> tuple[float, float, float]:
    """Variance of the pattern mean over that of independent patterns.

    Before the drop, during it, and a p-value.

    With D_jt the change of pattern j from the step in which it was last seen to step t, the ratio is
    Σ_t (Σ_j D_jt − drift)² / Σ_t Σ_j D_jt², the drift being the mean over a bin of steps. (Deviations from a pattern's
    level in a bin would not do: independent patterns that all come down within a bin share its trend, and the ratio
    is then far above 1.) The p-value is that of random signs for whole patterns, under which they are independent.
    """
    if not math.isfinite(drop[0]):
        return math.nan, math.nan, math.nan
    # mean of each pattern at each step, and its change since the pattern was last seen
    first, span = int(step.min()), int(step.max() - step.min()) + 1
    width = max(2, round(_BIN * span / max(float(np.median(size)), 1.0)))
    pair, cell = np.unique(unit * span + (step - first), return_inverse=True)
    mean = np.bincount(cell, v) / np.bincount(cell)
    owner, at = pair // span, pair % span
    same = owner[1:] == owner[:-1]
    change, owner, at = np.diff(mean)[same], owner[1:][same], at[1:][same]
    bins = np.arange(span) // width
    steps = np.arange(span) + first
    windows = (steps < drop[0], (steps >= drop[0]) & (steps <= drop[1]))
    square = np.bincount(at, change**2, span)

    def ratio(signed: Array, inside: NDArray[np.bool_]) -> float:
        total = np.bincount(at, signed, span)
        detrended = total - (np.bincount(bins, total) / np.bincount(bins))[bins]
        independent = float(square[inside].sum())
        return float((detrended[inside] ** 2).sum()) / independent if independent > 1e-6 else math.nan

    # the changes of whole patterns with random signs: their sum then moves as that of independent patterns
    before, during = (ratio(change, inside) for inside in windows)
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], size=(_FLIPS, int(unit.max()) + 1))
    null = [ratio(change * row[owner], windows[1]) for row in signs]
    return before, during, (1.0 + sum(value >= during for value in null)) / (_FLIPS + 1.0)


def _switches(rows: _Rows, at: NDArray[np.int64], switched: NDArray[np.bool_], never: NDArray[np.bool_]) -> Switches:
    """Places of the switches, each between two steps in which the pattern was seen."""
    # rows of one step are presented together: a switch lies after the last row of an earlier step
    is_new = np.ones(rows.step.size, dtype=bool)
    is_new[1:] = (rows.step[1:] != rows.step[:-1]) | (rows.unit[1:] != rows.unit[:-1])
    earlier = np.maximum.accumulate(np.where(is_new, np.arange(is_new.size), 0))[at] - 1
    before = np.where(switched, np.maximum(earlier, rows.start), at)
    first, last = rows.start, rows.stop - 1
    exposures = np.maximum(rows.k[last] - rows.k[first], 0) + 1
    return Switches(
        step=np.maximum(0.5 * (rows.step[before] + rows.step[at]), 1.0),
        k=np.maximum(0.5 * (rows.k[before] + rows.k[at]), 0.5),
        resolution=np.maximum(rows.k[at] - rows.k[before], 1.0),
        is_never=never,
        is_low=~never & ~switched,
        frequency=exposures / (rows.end - rows.step[first] + 1),
    )


def _correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    if a.size < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def _serial_dependence(v: Array, k: NDArray[np.int64], unit: NDArray[np.int64]) -> float:
    """Lag-1 correlation of v − P(k) within trajectories."""
    low = int(k.min())
    total = np.bincount(k - low)
    mean = np.bincount(k - low, v) / np.maximum(total, 1)
    deviation = np.where(total[k - low] > 1, v - mean[k - low], 0.0)
    same = unit[1:] == unit[:-1]
    total_square = float((deviation**2).sum())
    return float((deviation[1:] * deviation[:-1])[same].sum() / total_square) if total_square > 0 else 0.0

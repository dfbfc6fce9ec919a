"""From a log or arrays to the curve that is fitted: P_episodic(k), or utilisation over runs, layers and heads.

The curve of a routing log is Eq. 14 of the CRAM paper (arXiv 2602.12204): P_episodic(k) = E[π_episodic | pattern
seen k times before]. Its unit of replication is the *pattern* (all rows of one pattern are one trajectory), so a
curve keeps the per-pattern sums from which resampling starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cogfit.errors import InputError
from cogfit.formulas.built_in import Array
from cogfit.logs.model import GROUP_COLUMNS, Log, RoutingLog, UtilizationLog

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_array

CONVENTIONS: dict[str, str] = {
    "prior": "k = earlier presentations of the pattern (k = 0 has no power-law value and is left out)",
    "inclusive": "k = presentations of the pattern including this one",
    "updates": "k = earlier training steps in which the pattern was presented",
}
"""What the exposure axis may count, by name."""

Outcome = Literal["auto", "soft", "hard"]

MIN_CLUSTERS = 10
"""With fewer clusters than this, resampling them says little."""

CONSTANT = 1e-12
"""Range of y, relative to its size, up to which a curve is constant."""

_DENSE_CELLS = 40_000_000  # cells of a pattern × exposure table kept as a dense matrix (320 MB); sparse beyond


@dataclass(frozen=True)
class Clusters:
    """Per-cluster sums behind a mean curve; a cluster is what can be resampled (a pattern, a run).

    Attributes
    ----------
    kind : str
        ``"patterns"`` or ``"runs"`` (or layers, heads).
    sums, counts : ndarray or sparse array, shape (clusters, n)
        Sum and number of observations of each cluster at each point.
    """

    kind: str
    sums: Array | csr_array
    counts: Array | csr_array

    @property
    def size(self) -> int:
        """Number of clusters."""
        return int(self.sums.shape[0])

    def binned(self, label: NDArray[np.int64]) -> Clusters:
        """Columns with the same label added up (labels 0, 1, … in order)."""
        gather = _gather(label)
        return replace(self, sums=self.sums @ gather, counts=self.counts @ gather)

    def resampled(self, multiplicity: Array) -> tuple[Array, Array]:
        """Mean curves and weights under given multiplicities (replicates, clusters): two (replicates, n) arrays."""
        total = np.asarray((self.counts.T @ multiplicity.T).T)
        value = np.asarray((self.sums.T @ multiplicity.T).T)
        return np.divide(value, total, out=np.zeros_like(value), where=total > 0), total


@dataclass(frozen=True)
class Curve:
    """What is fitted: x, y, weights, and what they mean.

    Attributes
    ----------
    x, y : ndarray, shape (n,)
    weights : ndarray, shape (n,)
        Variance of y is σ²/weights.
    counts : ndarray or None
        Observations behind each y.
    axis : str
        ``"exposure"``, ``"step"`` or the name of the column.
    convention : str
        How x is counted, in words.
    measure : str
        One of :data:`cogfit.formulas.built_in.MEASURES`.
    x_label, y_label : str
    clusters : Clusters or None
    facts : mapping
        What is known of the trajectories behind the curve (None for curves without patterns).
    warnings : tuple of str
    smoothing : str
        ``""``: none; ``"unknown"``: smoothed before it was logged, by a filter that is not known.
    serial : bool
        Whether the errors of neighbours along x may be correlated. False for values that were observed independently of
        each other (tests of other items, or other people, at every delay).
    """

    x: Array
    y: Array
    weights: Array
    counts: Array | None
    axis: str
    convention: str
    measure: str
    x_label: str = "x"
    y_label: str = "y"
    clusters: Clusters | None = None
    facts: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = field(default=())
    smoothing: str = ""
    serial: bool = True

    @property
    def resampleable(self) -> bool:
        """Whether there are clusters enough to resample."""
        return self.clusters is not None and self.clusters.size >= MIN_CLUSTERS

    def take(self, keep: NDArray[np.bool_]) -> Curve:
        """Return the curve restricted to the points where `keep` is true."""
        clusters = self.clusters
        if clusters is not None:
            clusters = replace(clusters, sums=clusters.sums[:, keep], counts=clusters.counts[:, keep])
        counts = None if self.counts is None else self.counts[keep]
        return replace(
            self, x=self.x[keep], y=self.y[keep], weights=self.weights[keep], counts=counts, clusters=clusters
        )


# ------------------------------------------------------------------------------------------------ splitting a log


def split(log: Log, by: tuple[str, ...]) -> Iterator[tuple[dict[str, str], Log]]:
    """Yield (labels, log) for every value of the columns `by` (run, layer, head; pattern in routing logs)."""
    table = log.routing or log.utilization
    assert table is not None
    allowed = [c for c in GROUP_COLUMNS if c in table.frame] + (["pattern"] if log.routing else [])
    if not by:
        raise InputError("nothing to split by", hint="name one or more of " + (", ".join(allowed) or "no columns"))
    for name in by:
        if name not in allowed:
            have = ", ".join(allowed) or "none"
            raise InputError(f"the log has no column '{name}' to split by", path=log.path, hint=f"it has: {have}")
    frame = table.frame
    if "pattern" in by:
        frame = frame[frame["pattern"] >= 0]
    for key, part in frame.groupby(list(by), sort=True, observed=True):
        labels = {name: str(value) for name, value in zip(by, key, strict=True)}
        if "pattern" in labels and log.routing:
            labels["pattern"] = log.routing.pattern_names[int(labels["pattern"])]
        part = part.reset_index(drop=True)
        if log.routing:
            yield labels, replace(log, routing=replace(log.routing, frame=part), utilization=None)
        elif log.utilization:
            yield labels, replace(log, utilization=replace(log.utilization, frame=part))


# ------------------------------------------------------------------------------------------------ routing logs


def overridden_rows(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows whose hard decision was not the router's own (a forced warm-up, say).

    A step is overridden where the number of attending queries is neither what sampling from ``p_episodic`` gives
    (more than 8 standard deviations off) nor what its larger half would (more than 5 % of rows disagree). Steps
    with few rows are judged together until 50 rows are reached. Needs both ``attended`` and ``p_episodic``.

    Returns
    -------
    ndarray of bool, shape (rows,)
    """
    out = np.zeros(len(frame), dtype=bool)
    if "attended" not in frame or "p_episodic" not in frame or len(frame) == 0:
        return out
    p, a = frame["p_episodic"].to_numpy(dtype=float), frame["attended"].to_numpy(dtype=float)
    step = frame["step"].to_numpy()
    code = np.zeros(len(frame), dtype=np.int64)
    for name in GROUP_COLUMNS:  # one run may have a warm-up that another has not
        if name in frame:
            code = code * frame[name].cat.categories.size + frame[name].cat.codes.to_numpy()
    for group in np.unique(code):
        rows = slice(None) if code.max() == code.min() else code == group
        out[rows] = _overridden(step[rows], p[rows], a[rows])
    return out


def _overridden(step: NDArray[Any], p: Array, a: Array) -> NDArray[np.bool_]:
    known = np.isfinite(p) & np.isfinite(a)
    first = int(step.min())
    width = int(step.max()) - first + 1
    if width <= 4 * step.size + 1024:
        code = step - first
    else:
        _, code = np.unique(step, return_inverse=True)
        width = int(code.max()) + 1
    rows = np.bincount(code, known, width)
    block_of = (np.cumsum(rows) - rows) // 50  # blocks of consecutive steps with 50 rows or more
    _, block_of = np.unique(block_of, return_inverse=True)
    block = block_of[code]
    p, a = np.where(known, p, 0.0), np.where(known, a, 0.0)
    excess = np.bincount(block, a - p)
    variance = np.bincount(block, p * (1.0 - p))
    size = np.maximum(np.bincount(block, known), 1.0)
    disagree = np.bincount(block, known & ((a > 0.5) != (p > 0.5))) / size
    flagged = (np.abs(excess) > 8.0 * np.sqrt(variance + 0.25)) & (disagree > 0.05)
    return np.asarray(flagged[block])


def exposure_counts(frame: pd.DataFrame, convention: str) -> NDArray[np.int64]:
    """Value of k of each row under one of :data:`CONVENTIONS` (−1 or 0 for novel rows); shape (rows,)."""
    k = frame["exposure"].to_numpy(dtype=np.int64, copy=True)
    if convention == "inclusive":
        k += 1
    elif convention == "updates":
        keys = [frame[c].cat.codes.to_numpy() for c in GROUP_COLUMNS if c in frame]
        step, pattern = frame["step"].to_numpy(), frame["pattern"].to_numpy()
        order = np.lexsort((step, pattern, *keys))
        new_group = np.ones(len(order), dtype=bool)
        new_step = np.ones(len(order), dtype=bool)
        same = np.ones(max(len(order) - 1, 0), dtype=bool)
        for key in (pattern, *keys):
            same &= key[order][1:] == key[order][:-1]
        new_group[1:] = ~same
        new_step[1:] = ~same | (step[order][1:] != step[order][:-1])
        seen = np.cumsum(new_step) - 1
        start = np.maximum.accumulate(np.where(new_group, seen, 0))
        k[order] = seen - start
    return k


def _risk_set(longest: NDArray[np.int64], k_max: int | None) -> tuple[int, NDArray[np.bool_]]:
    """Largest k that is used, and the clusters that reach it (so that the same ones stand behind every point)."""
    if k_max is None:
        k_max = int(longest.min()) if 2 * longest.min() >= longest.max() else int(np.median(longest))
    return k_max, longest >= k_max


def exposure_curve(
    routing: RoutingLog,
    *,
    outcome: Outcome = "auto",
    convention: str = "prior",
    k_min: int | None = None,
    k_max: int | None = None,
    bins: int | None = None,
) -> Curve:
    """P_episodic(k): how often recurring patterns go to the episodic branch, by their number of exposures.

    Parameters
    ----------
    routing : RoutingLog
    outcome : {"auto", "soft", "hard"}
        ``"soft"`` averages ``p_episodic``, ``"hard"`` averages ``attended`` (two different estimands); ``"auto"`` takes
        the soft one where it was logged.
    convention : {"prior", "inclusive", "updates"}
        See :data:`CONVENTIONS`.
    k_min, k_max : int, optional
        Window. By default it starts where no row of any pattern is overridden any more, and ends where the first
        pattern ends (or, if patterns differ more than two-fold in length, at the median length).
    bins : int, optional
        Bins per decade of k, equally wide in log k; x is the geometric mean of k in the bin. None: every k.

    Returns
    -------
    Curve
        With ``counts`` = observations at each k, ``clusters`` = patterns.

    Raises
    ------
    InputError
        If a choice is unknown, not logged, or leaves fewer than two points.
    """
    frame, path = routing.frame, routing.source.path
    if convention not in CONVENTIONS:
        raise InputError(f"unknown convention {convention!r}", hint="choose from " + ", ".join(CONVENTIONS))
    if outcome not in ("auto", "soft", "hard"):
        raise InputError(f"unknown outcome {outcome!r}", hint="choose from auto, soft, hard")
    if outcome == "auto":
        outcome = "soft" if "p_episodic" in frame else "hard"
    column = "p_episodic" if outcome == "soft" else "attended"
    if column not in frame:
        raise InputError(f"the log has no column '{column}', needed for outcome '{outcome}'", path=path)

    pattern = frame["pattern"].to_numpy()
    value = frame[column].to_numpy(dtype=float)
    recurring = pattern >= 0
    if not recurring.any():
        raise InputError("all queries are novel: no pattern recurs, so there is no exposure curve", path=path)
    forced = overridden_rows(frame)
    k = exposure_counts(frame, convention)
    cluster, n_clusters = _cluster_codes(frame, pattern)
    longest = np.full(n_clusters, -1, dtype=np.int64)
    np.maximum.at(longest, cluster[recurring], k[recurring])
    k_top, at_risk = _risk_set(longest, k_max)
    if not at_risk.any():
        raise InputError(f"no pattern reaches k = {k_top}; the longest has {int(longest.max())}", path=path)
    member = recurring & at_risk[np.where(recurring, cluster, 0)]
    k_low = _after_warm_up(frame, forced & member, k) if k_min is None else max(int(k_min), 1)
    if k_low >= k_top:
        hint = "set --k-min or --k-max"
        if k_top <= 1:
            hint = "patterns must recur: the log holds hardly any second presentation"
        raise InputError(f"the window of k is empty (from {k_low} to {k_top})", path=path, hint=hint)
    use = member & ~forced & (k >= k_low) & (k <= k_top) & np.isfinite(value)
    sums, counts = _table(cluster[use], k[use] - k_low, value[use], n_clusters, k_top - k_low + 1, at_risk)
    x = np.arange(k_low, k_top + 1, dtype=float)
    if bins is not None:
        x, sums, counts = _log_bins(x, sums, counts, int(bins))
    total = np.asarray(counts.sum(axis=0)).ravel()
    seen = total > 0
    y = np.divide(np.asarray(sums.sum(axis=0)).ravel(), total, out=np.zeros(total.size), where=seen)
    if seen.sum() < 2:
        raise InputError("fewer than two values of k remain", path=path, hint="widen --k-min … --k-max")

    warnings = []
    if forced.any():
        steps = frame["step"].to_numpy()[forced]
        warnings.append(
            f"{int(forced.sum()):,} rows (steps {int(steps.min())}–{int(steps.max())}) were overridden: the logged "
            f"decision is not the router's own; they are left out" + ("" if k_min else f", k starts at {k_low}")
        )
    if bins is not None and bins < 10:
        warnings.append(f"{bins} bins per decade are coarse: means over a bin bend steep curves; use 10 or more")
    if not at_risk.all():
        warnings.append(
            f"{int((~at_risk).sum())} of {n_clusters} patterns end before k = {k_top} and are left out, so that the "
            "same patterns stand behind every point; --k-max changes this"
        )
    groups = [c for c in GROUP_COLUMNS if c in frame and frame[c].nunique() > 1]
    if groups:
        warnings.append(f"averaged over {', '.join(groups)}; fit them one by one with --by {','.join(groups)}")
    facts = {
        "patterns": n_clusters,
        "risk_set": int(at_risk.sum()),
        "outcome": outcome,
        "convention": convention,
        "k_min": k_low,
        "k_max": k_top,
        "overridden_rows": int(forced.sum()),
        "overridden_steps": [int(steps.min()), int(steps.max())] if forced.any() else None,
        "novel_rows": int((~recurring).sum()),
        "scope": "this run" if "run" not in frame or frame["run"].nunique() == 1 else "these runs",
    }
    curve = Curve(
        x, y, total / total[seen].mean(), total, "exposure", CONVENTIONS[convention], "probability",
        {"prior": "prior exposures k", "inclusive": "presentations k", "updates": "prior updates k"}[convention],
        f"P_episodic(k): {'mean router probability' if outcome == 'soft' else 'fraction attended'}",
        Clusters("patterns", sums, counts), facts, tuple(warnings),
    )  # fmt: skip
    return curve if seen.all() else curve.take(seen)


def _after_warm_up(frame: pd.DataFrame, forced: NDArray[np.bool_], k: NDArray[np.int64]) -> int:
    """First k after the overridden stretch at the beginning of the log (1 if there is none)."""
    if not forced.any():
        return 1
    step = frame["step"].to_numpy()
    own = np.setdiff1d(np.unique(step), np.unique(step[forced]))
    end = own.min() if own.size else step.max() + 1
    opening = forced & (step < end)
    return max(1, int(k[opening].max()) + 1) if opening.any() else 1


def _cluster_codes(frame: pd.DataFrame, pattern: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
    """Code of the (run, pattern) of each row (layers and heads of a pattern belong together), and their number."""
    code = pattern.astype(np.int64)
    if "run" in frame:
        runs = frame["run"].cat.codes.to_numpy().astype(np.int64)
        code = np.where(pattern >= 0, runs * (int(pattern.max()) + 1) + pattern, -1)
    known = code >= 0
    values, inverse = np.unique(code[known], return_inverse=True) if "run" in frame else _dense_codes(code[known])
    out = np.full(code.size, -1, dtype=np.int64)
    out[known] = inverse
    return out, int(values.size)


def _dense_codes(code: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Like np.unique(..., return_inverse=True) for small non-negative integers, without sorting."""
    present = np.bincount(code) > 0
    return np.flatnonzero(present), (np.cumsum(present) - 1)[code]


def _table(
    cluster: NDArray[np.int64],
    column: NDArray[np.int64],
    value: Array,
    rows: int,
    width: int,
    keep: NDArray[np.bool_],
) -> tuple[Any, Any]:
    """Sum and count of `value` by (cluster, column), restricted to the clusters kept."""
    if rows * width <= _DENSE_CELLS:
        cell = cluster * width + column
        sums = np.bincount(cell, value, rows * width).reshape(rows, width)
        counts = np.bincount(cell, minlength=rows * width).reshape(rows, width).astype(float)
        return (sums, counts) if keep.all() else (sums[keep], counts[keep])
    from scipy.sparse import coo_array

    shape = (rows, width)
    sums = coo_array((value, (cluster, column)), shape=shape).tocsr()
    counts = coo_array((np.ones(value.size), (cluster, column)), shape=shape).tocsr()
    return sums[keep], counts[keep]


def _gather(label: NDArray[np.int64]) -> csr_array:
    """Matrix that adds up the columns of each label when multiplied from the right."""
    from scipy.sparse import coo_array

    shape = (label.size, int(label.max()) + 1)
    return coo_array((np.ones(label.size), (np.arange(label.size), label)), shape=shape).tocsr()


def _log_bins(x: Array, sums: Any, counts: Any, per_decade: int) -> tuple[Array, Any, Any]:
    if per_decade < 1:
        raise InputError("`bins` must be at least 1 per decade")
    label = np.floor(np.log10(x / x[0]) * per_decade + 1e-9).astype(int)
    _, label = np.unique(label, return_inverse=True)
    size = int(label.max()) + 1
    gather = _gather(label)
    total = np.asarray(counts.sum(axis=0)).ravel()
    weight = np.where(np.bincount(label, total, size)[label] > 0, total, 1.0)
    center = np.exp(np.bincount(label, weight * np.log(x), size) / np.bincount(label, weight, size))
    return center, sums @ gather, counts @ gather


# -------------------------------------------------------------------------------------------- utilisation logs

Smoothing = float | Literal["unknown"] | None
"""Decay of an exponential moving average that was applied before logging, ``"unknown"`` filter, or none."""

_SMOOTH_NAME = re.compile(r"(^|[^a-z])(ema|smooth|smoothed|moving_average|running_mean|running_avg)([^a-z]|$)")


def unsmoothed(y: Array, decay: float | str) -> Array:
    """Raw values r behind an exponential moving average y_t = d·y_{t−1} + (1 − d)·r_t with y_0 = r_0.

    The filter is invertible, so that fitting the raw values *is* the likelihood of the smoothed ones.

    Parameters
    ----------
    y : ndarray, shape (n,)
        In the order in which they were logged.
    decay : float
        d, 0 ≤ d < 1.

    Raises
    ------
    InputError
        If `decay` is none.

    Examples
    --------
    >>> unsmoothed(np.array([1.0, 1.5, 1.25]), 0.5)
    array([1., 2., 1.])
    """
    if isinstance(decay, str) or not 0.0 <= decay < 1.0:
        raise InputError(f"`smoothing` must be the decay of a moving average, 0 ≤ d < 1, or 'unknown', not {decay!r}")
    out = np.array(y, dtype=float)
    out[1:] = (y[1:] - decay * y[:-1]) / (1.0 - decay)
    return out


def _smoothing_of(smoothing: Smoothing, name: str) -> str:
    """Mark of a curve ("unknown" or "") from what the caller says and from the column's name."""
    if smoothing == "unknown":
        return "unknown"
    return "unknown" if smoothing is None and _SMOOTH_NAME.search(name.lower()) else ""


def utilization_curve(
    log: UtilizationLog, *, x_min: float | None = None, x_max: float | None = None, smoothing: Smoothing = None
) -> Curve:
    """Attention utilisation against step, averaged over runs, layers and heads.

    Parameters
    ----------
    log : UtilizationLog
    x_min, x_max : float, optional
        Window.
    smoothing : float or "unknown", optional
        Decay of the moving average that was applied before logging, one per (run, layer, head): it is undone.

    Returns
    -------
    Curve
        ``clusters`` are the runs (or layers, or heads) where there is more than one.

    Raises
    ------
    InputError
        If fewer than two points remain.
    """
    frame, path = log.frame, log.source.path
    step = frame["step"].to_numpy(dtype=float)
    value = frame["attention_utilization"].to_numpy(dtype=float)
    mark = _smoothing_of(smoothing, log.y_name)
    if smoothing is not None and smoothing != "unknown":
        value = _unsmoothed_groups(frame, step, value, smoothing)
    inside = np.ones(step.size, dtype=bool)
    if x_min is not None:
        inside &= step >= x_min
    if x_max is not None:
        inside &= step <= x_max
    step, value = step[inside], value[inside]
    groups = [c for c in GROUP_COLUMNS if c in frame and frame[c].nunique() > 1]
    x, at = np.unique(step, return_inverse=True)
    if x.size < 2:
        have = frame["step"].to_numpy(dtype=float)
        hint = f"the log reaches from {have.min():g} to {have.max():g}"
        raise InputError(f"only {x.size} usable point(s) in the window", path=path, hint=hint)
    warnings: list[str] = []
    clusters = None
    if groups:
        unit = "run" if "run" in groups else groups[0]
        code = np.unique(frame[unit].astype(str).to_numpy()[inside], return_inverse=True)[1]
        size = int(code.max()) + 1
        sums, counts = _table(code.astype(np.int64), at, value, size, x.size, np.ones(size, dtype=bool))
        clusters = Clusters(f"{unit}s", sums, counts)
        total = np.asarray(counts.sum(axis=0)).ravel()
        y = np.asarray(sums.sum(axis=0)).ravel() / total
        warnings.append(f"averaged over {', '.join(groups)}; fit them one by one with --by {','.join(groups)}")
        curves_in_all = frame[groups].drop_duplicates().shape[0]
        if total.min() < curves_in_all:
            warnings.append(
                f"not every step has all {curves_in_all} curves (at the fewest {int(total.min())}): the mean changes "
                f"its composition along x and may follow no law of any of them; fit them with --by {','.join(groups)}"
            )
    else:
        total, y = np.ones(x.size), value[np.argsort(at, kind="stable")]
    known = log.y_name != "" and _is_fraction(value)
    if mark and smoothing is None:
        warnings.append(
            f"the column '{log.y_name}' seems to be smoothed: an unknown filter moves γ and its interval; give the "
            "decay of the moving average with --smoothing, or 0 if there is none"
        )
    return Curve(
        x, y, total / total.mean(), total if groups else None,
        "step" if log.x_name.rsplit("/", 1)[-1].lower().strip("_") in _STEP_WORDS else log.x_name,
        f"x = '{log.x_name}' as logged", "utilization" if known else "other", log.x_name, log.y_name, clusters,
        None, tuple(warnings), mark,
    )  # fmt: skip


def _unsmoothed_groups(frame: pd.DataFrame, step: Array, value: Array, decay: float | str) -> Array:
    """Undo the moving average of every (run, layer, head), in the order of steps."""
    columns = [c for c in GROUP_COLUMNS if c in frame]
    code = frame.groupby(columns, observed=True).ngroup().to_numpy() if columns else np.zeros(step.size, dtype=int)
    out = value.copy()
    for group in np.unique(code):
        rows = np.flatnonzero(code == group)
        rows = rows[np.argsort(step[rows], kind="stable")]
        out[rows] = unsmoothed(value[rows], decay)
    return out


_STEP_WORDS = frozenset({"step", "global_step", "iteration", "iter", "update", "steps", "trainer_step"})


def _is_fraction(value: Array) -> bool:
    return bool(value.min() >= 0.0 and value.max() <= 1.0)


# ------------------------------------------------------------------------------------------------------ arrays


def _vector(name: str, values: Any) -> Array:
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        raise InputError(f"`{name}` has masked values", hint="pass its .compressed() values, with x and y cut alike")
    kind = getattr(np.asarray(values), "dtype", np.dtype(float)).kind
    if kind in "cmM":
        raise InputError(f"`{name}` must be real numbers, not {np.asarray(values).dtype}")
    try:
        out = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"`{name}` must be numbers ({error})") from error
    if out.ndim != 1:
        raise InputError(f"`{name}` must have one dimension, not shape {out.shape}", hint="one value for each point")
    return out


def array_curve(
    x: Any,
    y: Any,
    *,
    weights: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    axis: str = "x",
    x_min: float | None = None,
    x_max: float | None = None,
    smoothing: Smoothing = None,
) -> Curve:
    """Curve from arrays; the arguments are those of :func:`cogfit.fit`.

    Raises
    ------
    InputError
        If the arrays do not fit together or hold what cannot be fitted.
    """
    if weights is not None and trials is not None:
        raise InputError("`weights` and `trials` exclude each other", hint="trials are the weights of fractions")
    xs, ys = _vector("x", x), _vector("y", y)
    ws = np.ones(ys.size)
    if weights is not None:
        ws = _vector("weights", weights)
    elif trials is not None:
        ws = _vector("trials", trials)
        if np.any(ws != np.rint(ws)):
            raise InputError("`trials` must be whole numbers")
    _check(xs, ys, ws)
    if smoothing is not None and groups is not None:
        raise InputError("`smoothing` and `groups` exclude each other", hint="undo the smoothing of each group first")
    if smoothing is not None and smoothing != "unknown":
        order = np.argsort(xs, kind="stable")
        ys = ys.copy()
        ys[order] = unsmoothed(ys[order], smoothing)
    mark = _smoothing_of(smoothing, "")
    keep = np.ones(xs.size, dtype=bool)
    if x_min is not None:
        keep &= xs >= x_min
    if x_max is not None:
        keep &= xs <= x_max
    if keep.sum() < 2:
        raise InputError("fewer than two points lie in the window", hint="widen x_min … x_max")
    if groups is None:
        counts = ws[keep] if trials is not None else None
        return Curve(xs[keep], ys[keep], ws[keep], counts, axis, "x as given", "other", smoothing=mark)
    label = np.asarray(groups)
    if label.shape != ys.shape:
        raise InputError(f"`groups` must have the shape of y, {ys.shape}, not {label.shape}")
    try:
        _, code = np.unique(label[keep], return_inverse=True)
    except TypeError as error:
        raise InputError("`groups` must be labels of one type", hint="pass numbers or strings") from error
    points, at = np.unique(xs[keep], return_inverse=True)
    cell, size = code * points.size + at, int(code.max()) + 1
    total = np.bincount(cell, ws[keep], size * points.size).reshape(size, -1)
    sums = np.bincount(cell, (ws * ys)[keep], size * points.size).reshape(size, -1)
    weight = total.sum(axis=0)
    return Curve(
        points, sums.sum(axis=0) / weight, weight / weight.mean(), weight, axis, "x as given", "other",
        clusters=Clusters("groups", sums, total),
    )  # fmt: skip


def _check(x: Array, y: Array, w: Array) -> None:
    """Raise InputError unless x, y and w are finite vectors of one length, two points at least, with w > 0."""
    if not x.size == y.size == w.size:
        raise InputError(f"x, y and weights must have one length; got {x.size}, {y.size} and {w.size}")
    if x.size < 2:
        raise InputError(f"only {x.size} point(s)", hint="a curve needs at least two")
    for name, values in (("x", x), ("y", y), ("weights", w)):
        if not np.all(np.isfinite(values)):
            at = int(np.flatnonzero(~np.isfinite(values))[0])
            raise InputError(f"`{name}` is not finite at index {at}", hint="drop missing values first")
        size = float(np.abs(values).max())
        if size and not 1e-100 < size < 1e100:
            raise InputError(f"`{name}` is of size {size:.3g}", hint="change its unit")
    if np.any(w <= 0):
        raise InputError("`weights` must be positive", hint="leave rows of weight 0 out")

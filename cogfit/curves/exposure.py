"""P_episodic(k): the curve of a routing log against exposures.

The curve of a routing log is Eq. 14 of the CRAM paper (arXiv 2602.12204): P_episodic(k) = E[π_episodic | pattern
seen k times before]. Its unit of replication is the *pattern* (all rows of one pattern are one trajectory), so a
curve keeps the per-pattern sums from which resampling starts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cogfit.curves.curve import Clusters, Curve, ExposureFacts, cluster_table, dense_codes, gather_columns
from cogfit.curves.utilization import averaged_over, several
from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.logs.model import GROUP_COLUMNS, RoutingLog
from cogfit.records.given import refused

if TYPE_CHECKING:
    import pandas as pd

CONVENTIONS: dict[str, str] = {
    "prior": "k = earlier presentations of the pattern (k = 0 has no power-law value and is left out)",
    "inclusive": "k = presentations of the pattern including this one",
    "updates": "k = earlier training steps in which the pattern was presented",
}
"""What the exposure axis may count, by name."""

Outcome = Literal["auto", "soft", "hard"]


# ------------------------------------------------------------------------------------------------ routing logs


def overridden_rows(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows whose decision was not the router's own.

    The hard decision, in a forced warm-up, say.

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
    # consecutive codes of the steps, without sorting where they are close together
    is_known = np.isfinite(p) & np.isfinite(a)
    first = int(step.min())
    width = int(step.max()) - first + 1
    if width <= 4 * step.size + 1024:
        code = step - first
    else:
        _, code = np.unique(step, return_inverse=True)
        width = int(code.max()) + 1

    # steps with few rows are judged together
    rows = np.bincount(code, is_known, width)
    block_of = (np.cumsum(rows) - rows) // 50  # blocks of consecutive steps with 50 rows or more
    _, block_of = np.unique(block_of, return_inverse=True)
    block = block_of[code]

    # neither what sampling from p gives, nor what its larger half would
    p, a = np.where(is_known, p, 0.0), np.where(is_known, a, 0.0)
    excess = np.bincount(block, a - p)
    variance = np.bincount(block, p * (1.0 - p))
    size = np.maximum(np.bincount(block, is_known), 1.0)
    disagree = np.bincount(block, is_known & ((a > 0.5) != (p > 0.5))) / size
    flagged = (np.abs(excess) > 8.0 * np.sqrt(variance + 0.25)) & (disagree > 0.05)
    return np.asarray(flagged[block])


def exposure_counts(frame: pd.DataFrame, convention: str) -> NDArray[np.int64]:
    """Value of k of each row, shape (rows,).

    The convention is one of :data:`CONVENTIONS`. Novel rows get −1 or 0.
    """
    k = frame["exposure"].to_numpy(dtype=np.int64, copy=True)
    if convention == "inclusive":
        k += 1
    elif convention == "updates":
        keys = [frame[c].cat.codes.to_numpy() for c in GROUP_COLUMNS if c in frame]
        step, pattern = frame["step"].to_numpy(), frame["pattern"].to_numpy()
        order = np.lexsort((step, pattern, *keys))
        # number the different steps within each (pattern, run, layer, head)
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
    """Largest k that is used, and clusters that reach it.

    The same ones then stand behind every point.
    """
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
    everyone: bool = False,
) -> Curve:
    """P_episodic(k): share of queries that go to the episodic branch.

    Only recurring patterns count. Their queries are sorted by the number of exposures.

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
    everyone : bool
        Whether patterns that end inside the window count as far as they go: the curve then changes with who is left.

    Returns
    -------
    Curve
        With ``counts`` = observations at each k, ``clusters`` = patterns.

    Raises
    ------
    InputError
        If a choice is unknown, not logged, or leaves fewer than two points.
    """
    if not isinstance(routing, RoutingLog):
        raise refused("routing", routing, "a RoutingLog", "read one: cogfit.read_log(path).routing")
    choice, column = _outcome_column(routing, outcome, convention)
    routing.source.check_replicates(routing.frame)
    rows = _Rows.from_log(routing, column, convention)
    window = _window(routing, rows, k_min, k_max)
    if everyone:
        window = replace(window, at_risk=np.ones_like(window.at_risk))

    # mean of the rows that count, at every k or in bins of k
    use = rows.is_used(window)
    width = window.k_high - window.k_low + 1
    sums, counts = cluster_table(
        rows.cluster[use],
        rows.k[use] - window.k_low,
        rows.value[use],
        rows.n_clusters,
        width,
        window.at_risk,
    )
    x = np.arange(window.k_low, window.k_high + 1, dtype=float)
    if bins is not None:
        x, sums, counts = _log_bins(x, sums, counts, int(bins))
    total = np.asarray(counts.sum(axis=0)).ravel()
    seen = total > 0
    y = np.divide(np.asarray(sums.sum(axis=0)).ravel(), total, out=np.zeros(total.size), where=seen)
    if seen.sum() < 2:
        raise InputError("fewer than two values of k remain", path=routing.source.path, hint="widen --k-min … --k-max")

    # points without any row are left out
    curve = Curve(
        x=x,
        y=y,
        weights=total / total[seen].mean(),
        counts=total,
        axis="exposure",
        convention=CONVENTIONS[convention],
        measure="probability",
        x_label=_X_LABELS[convention],
        y_label=f"P_episodic(k): {_Y_LABELS[choice]}",
        clusters=Clusters("patterns", sums, counts),
        facts=_facts(routing.frame, rows, window, choice, convention),
        warnings=_warnings(routing.frame, rows, window, bins, is_chosen=bool(k_min)),
        rows=np.rint(total).astype(np.int64),
        left_out=rows.left_out(window, column),
        averaged={name: int(routing.frame[name].nunique()) for name in several(routing.frame)},
    )
    return curve if seen.all() else curve.take(seen)


_X_LABELS = {"prior": "prior exposures k", "inclusive": "presentations k", "updates": "prior updates k"}
_Y_LABELS = {"soft": "mean router probability", "hard": "fraction attended"}


def _outcome_column(routing: RoutingLog, outcome: str, convention: str) -> tuple[str, str]:
    """The outcome that is averaged, and its column."""
    frame = routing.frame
    if convention not in CONVENTIONS:
        known = ", ".join(CONVENTIONS)
        raise InputError(f"unknown convention {convention!r}", hint=f"choose from {known} for `convention`")
    if outcome not in ("auto", "soft", "hard"):
        raise InputError(f"unknown outcome {outcome!r}", hint="choose from auto, soft, hard for `outcome`")
    if outcome == "auto":
        outcome = "soft" if "p_episodic" in frame else "hard"
    column = "p_episodic" if outcome == "soft" else "attended"
    if column not in frame:
        message = f"the log has no column '{column}', needed for outcome '{outcome}'"
        raise InputError(message, path=routing.source.path)
    return outcome, column


@dataclass(frozen=True)
class _Window:
    """Values of k that are used, with their clusters.

    The clusters stand behind all of these k.
    """

    k_low: int
    k_high: int
    at_risk: NDArray[np.bool_]  # (clusters,)


@dataclass(frozen=True)
class _Rows:
    """Rows of a routing log behind an exposure curve.

    Each array has shape (rows,).
    """

    value: Array
    k: NDArray[np.int64]
    cluster: NDArray[np.int64]  # code of the pattern within its run, −1 for novel queries
    is_recurring: NDArray[np.bool_]
    is_forced: NDArray[np.bool_]  # the decision was not the router's own
    n_clusters: int

    @classmethod
    def from_log(cls, routing: RoutingLog, column: str, convention: str) -> _Rows:
        """Read them off a log."""
        frame = routing.frame
        pattern = frame["pattern"].to_numpy()
        is_recurring = pattern >= 0
        if not is_recurring.any():
            message = "all queries are novel: no pattern recurs, so there is no exposure curve"
            raise InputError(message, path=routing.source.path)
        cluster, n_clusters = _cluster_codes(frame, pattern)
        return cls(
            value=frame[column].to_numpy(dtype=float),
            k=exposure_counts(frame, convention),
            cluster=cluster,
            is_recurring=is_recurring,
            is_forced=overridden_rows(frame),
            n_clusters=n_clusters,
        )

    def is_member(self, at_risk: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Rows of the clusters at risk."""
        return self.is_recurring & at_risk[np.where(self.is_recurring, self.cluster, 0)]

    def is_used(self, window: _Window) -> NDArray[np.bool_]:
        """Rows behind the curve."""
        inside = (self.k >= window.k_low) & (self.k <= window.k_high)
        return self.is_member(window.at_risk) & ~self.is_forced & inside & np.isfinite(self.value)

    def left_out(self, window: _Window, column: str) -> dict[str, int]:
        """Rows that are not behind the curve, by the first reason."""
        left = np.ones(self.k.size, dtype=bool)
        counts = {}
        for reason, applies in (
            ("queries without a pattern", ~self.is_recurring),
            ("overridden decisions", self.is_forced),
            ("first presentations (k = 0), where a power law has no value", self.k < 1),
            (f"no value of '{column}'", ~np.isfinite(self.value)),
            (f"of patterns that end before k = {window.k_high}", ~self.is_member(window.at_risk)),
            (f"outside the window of k, {window.k_low}–{window.k_high}", ~self.is_used(window)),
        ):
            if count := int(np.count_nonzero(left & applies)):
                counts[reason] = count
            left &= ~applies
        return counts


def _window(routing: RoutingLog, rows: _Rows, k_min: int | None, k_max: int | None) -> _Window:
    """The window of k.

    As asked for, else from the warm-up to the end of the first pattern.
    """
    path = routing.source.path
    longest = np.full(rows.n_clusters, -1, dtype=np.int64)
    np.maximum.at(longest, rows.cluster[rows.is_recurring], rows.k[rows.is_recurring])
    k_high, at_risk = _risk_set(longest, k_max)
    if not at_risk.any():
        raise InputError(f"no pattern reaches k = {k_high}; the longest has {int(longest.max())}", path=path)
    if k_min is None:
        k_low = _after_warm_up(routing.frame, rows.is_forced & rows.is_member(at_risk), rows.k)
    else:
        k_low = max(int(k_min), 1)
    if k_low >= k_high:
        hint = "set --k-min or --k-max"
        if k_high <= 1:
            hint = "patterns must recur: the log holds hardly any second presentation"
        raise InputError(f"the window of k is empty (from {k_low} to {k_high})", path=path, hint=hint)
    return _Window(k_low, k_high, at_risk)


def _warnings(
    frame: pd.DataFrame, rows: _Rows, window: _Window, bins: int | None, *, is_chosen: bool
) -> tuple[str, ...]:
    """What was left out or averaged, one sentence each."""
    warnings = []
    if rows.is_forced.any():
        steps = frame["step"].to_numpy()[rows.is_forced]
        warnings.append(
            f"{int(rows.is_forced.sum()):,} rows (steps {int(steps.min())}–{int(steps.max())}) were overridden: the "
            "logged decision is not the router's own; they are left out"
            + ("" if is_chosen else f", k starts at {window.k_low}")
        )
    if bins is not None and bins < 10:
        warnings.append(f"{bins} bins per decade are coarse: means over a bin bend steep curves; use 10 or more")
    if not window.at_risk.all():
        warnings.append(
            f"{int((~window.at_risk).sum())} of {rows.n_clusters} patterns end before k = {window.k_high} and are left "
            "out, so that the same patterns stand behind every point; --k-max changes this"
        )
    if groups := several(frame):
        warnings.append(averaged_over(groups))
    return tuple(warnings)


def _facts(frame: pd.DataFrame, rows: _Rows, window: _Window, outcome: str, convention: str) -> ExposureFacts:
    steps = frame["step"].to_numpy()[rows.is_forced]
    return ExposureFacts(
        patterns=rows.n_clusters,
        risk_set=int(window.at_risk.sum()),
        outcome=outcome,
        convention=convention,
        k_min=window.k_low,
        k_max=window.k_high,
        overridden_rows=int(rows.is_forced.sum()),
        overridden_steps=(int(steps.min()), int(steps.max())) if steps.size else None,
        novel_rows=int((~rows.is_recurring).sum()),
        scope="this run" if "run" not in frame or frame["run"].nunique() == 1 else "these runs",
    )


def _after_warm_up(frame: pd.DataFrame, forced: NDArray[np.bool_], k: NDArray[np.int64]) -> int:
    """First k after the overridden beginning of the log.

    1 if there is none.
    """
    if not forced.any():
        return 1
    step = frame["step"].to_numpy()
    free_steps = np.setdiff1d(np.unique(step), np.unique(step[forced]))
    end = free_steps.min() if free_steps.size else step.max() + 1
    opening = forced & (step < end)
    return max(1, int(k[opening].max()) + 1) if opening.any() else 1


def _cluster_codes(frame: pd.DataFrame, pattern: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
    """Code of the (run, pattern) of each row.

    The number of codes is returned, too. Layers and heads of a pattern belong together.
    """
    code = pattern.astype(np.int64)
    if "run" in frame:
        runs = frame["run"].cat.codes.to_numpy().astype(np.int64)
        code = np.where(pattern >= 0, runs * (int(pattern.max()) + 1) + pattern, -1)
    is_recurring = code >= 0
    values, inverse = (
        np.unique(code[is_recurring], return_inverse=True) if "run" in frame else dense_codes(code[is_recurring])
    )
    out = np.full(code.size, -1, dtype=np.int64)
    out[is_recurring] = inverse
    return out, int(values.size)


def _log_bins(x: Array, sums: Any, counts: Any, per_decade: int) -> tuple[Array, Any, Any]:
    if per_decade < 1:
        raise InputError("`bins` must be at least 1 per decade")
    label = np.floor(np.log10(x / x[0]) * per_decade + 1e-9).astype(int)
    _, label = np.unique(label, return_inverse=True)
    size = int(label.max()) + 1
    gather = gather_columns(label)
    total = np.asarray(counts.sum(axis=0)).ravel()
    weight = np.where(np.bincount(label, total, size)[label] > 0, total, 1.0)
    center = np.exp(np.bincount(label, weight * np.log(x), size) / np.bincount(label, weight, size))
    return center, sums @ gather, counts @ gather

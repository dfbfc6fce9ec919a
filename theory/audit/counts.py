"""Count what the bounds need in a routing log.

Queries in order, and tallies of the first so many of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError
from theory.audit.arrivals import numbered

if TYPE_CHECKING:
    import pandas as pd

    from cogfit import RoutingLog

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class Queries:
    """The queries to judge, in order.

    Attributes
    ----------
    step, pattern, table, entry : ndarray of int, shape (n,)
        Pattern and table entry (a pattern in a table) are −1 for novel queries; the others are counted from 0.
    attended : ndarray of bool, shape (n,)
    right : ndarray of bool, shape (n,), or None
        None where the log does not say.
    hidden : ndarray of bool, shape (n,)
        Whether the value asked for had not been shown before.
    pending : ndarray of bool, shape (n,)
        Whether it had not been shown before the first of these queries.
    tries : ndarray of int, shape (n,)
        Wrong answers without attention that its run had given for the pattern; −1 where this one bets on nothing
        (:func:`count_tries`).
    opening : ndarray of bool, shape (n,)
        Whether it is the first query of its table.
    shown : ndarray of int, shape (n,)
        Values of its table that had been shown before.
    warnings : tuple of str
    """

    step: Integers
    pattern: Integers
    table: Integers
    entry: Integers
    attended: Booleans
    right: Booleans | None
    hidden: Booleans
    pending: Booleans
    tries: Integers
    opening: Booleans
    shown: Integers
    warnings: tuple[str, ...] = ()

    @property
    def recurring(self) -> Booleans:
        """Queries for a pattern, not novel ones."""
        return self.entry >= 0

    @classmethod
    def of(
        cls, log: RoutingLog, *, labels: bool, one_table: bool, x_min: float | None = None, x_max: float | None = None
    ) -> Queries:
        """Queries of a log within the steps to judge.

        For the options see :func:`theory.check_log`.

        Raises
        ------
        InputError
            If the log has no executed decisions, no query between these steps, layers that do not belong together, or
            answers that are neither right nor wrong.
        """
        path = log.source.path
        if "attended" not in log.frame:
            what = "holds probabilities of attending, but bounds count attention that was executed"
            raise InputError(what, path=path, hint="log the decision as a column 'attended' (0 or 1)")
        frame = _one_row_per_query(log.frame, path)
        pattern = frame["pattern"].to_numpy().astype(np.int64)
        runs = "run" in frame and not one_table
        table = frame["run"].cat.codes.to_numpy().astype(np.int64) if runs else np.zeros_like(pattern)
        known = pattern >= 0
        entry = np.where(known, numbered(table * len(log.pattern_names) + pattern), -1)
        attended = frame["attended"].to_numpy().astype(bool)
        late = frame["exposure"].to_numpy() > 0 if log.exposure_logged else np.zeros_like(known)
        hidden = _hidden(entry, np.ones_like(known) if labels else attended, late)
        right, warnings = _right(frame, path)
        rows = inside(frame["step"].to_numpy(), x_min, x_max, path)
        first = np.unique(entry[rows], return_index=True)
        fresh = np.zeros(int(entry.max(initial=-1)) + 2, bool)
        fresh[first[0]] = hidden[rows][first[1]]
        fresh[-1] = True  # the place of novel queries, −1
        return cls(
            step=frame["step"].to_numpy()[rows],
            pattern=pattern[rows],
            table=numbered(table[rows]),
            entry=entry[rows],
            attended=attended[rows],
            right=None if right is None else right[rows],
            hidden=hidden[rows],
            pending=fresh[entry[rows]],
            tries=count_tries(entry, ~attended, right, late)[rows],
            opening=_is_first(table)[rows],
            shown=_shown(table, hidden, np.ones_like(known) if labels else attended)[rows],
            warnings=warnings,
        )


class Histogram(NamedTuple):
    """Histogram of how often table entries are asked for.

    Numbers of queries that occur among table entries, and how many entries have each; 0 is left out.
    """

    sizes: Integers
    entries: Integers

    @classmethod
    def of(cls, entry: Integers) -> Histogram:
        """Count the entries asked for, in any order.

        Each novel query (−1) is an entry of its own.
        """
        times = np.bincount(np.bincount(entry[entry >= 0]))
        times = np.pad(times, (0, max(0, 2 - times.size)))
        times[0] = 0
        times[1] += np.count_nonzero(entry < 0)
        sizes = np.flatnonzero(times)
        return cls(sizes, times[sizes])


@dataclass(frozen=True)
class Tally:
    """Counts over the first so many queries.

    Attributes
    ----------
    rows, attended : int
        Queries, and those attended.
    step : int
        Of the last query.
    right, wrong : int or None
        Answers without attention; of an assumed accuracy the fewest right ones that it leaves room for.
    right_recurring, wrong_recurring : int or None
        The same of recurring patterns.
    right_hidden, wrong_hidden : int or None
        The same for values not shown before; None for an assumed accuracy.
    compulsory : int
        Values asked for that were not shown before the first query.
    all, unattended, hidden_unattended : Histogram
        Queries per table entry.
    asked, free : ndarray of int, shape (patterns,)
        Queries of each recurring pattern, and those without attention.
    share : float
        Of the largest table in the recurring queries.
    tables : tuple of ndarray or None
        Right answers without attention, queries without attention and queries of each table.
    """

    rows: int
    attended: int
    step: int
    right: int | None
    wrong: int | None
    right_recurring: int | None
    wrong_recurring: int | None
    right_hidden: int | None
    wrong_hidden: int | None
    compulsory: int
    all: Histogram
    unattended: Histogram
    hidden_unattended: Histogram
    asked: Integers
    free: Integers
    share: float
    tables: tuple[Integers, Integers, Integers] | None

    @classmethod
    def of(cls, queries: Queries, rows: int, accuracy: float | None = None) -> Tally:
        """Count.

        Parameters
        ----------
        queries : Queries
        rows : int
            How many, at least 1.
        accuracy : float, optional
            To assume where the log says nothing; attended answers are then taken to be right.
        """
        entry, pattern, table = queries.entry[:rows], queries.pattern[:rows], queries.table[:rows]
        hidden, known = queries.hidden[:rows], entry >= 0
        free = ~queries.attended[:rows]
        unattended, novel = int(np.count_nonzero(free)), int(np.count_nonzero(free & ~known))
        counts: dict[str, int | None] = dict.fromkeys(
            f"{what}{where}" for what in ("right", "wrong") for where in ("", "_recurring", "_hidden")
        )
        tables = None
        if queries.right is not None:
            right = queries.right[:rows]
            for where, chosen in (("", free), ("_recurring", free & known), ("_hidden", free & hidden)):
                counts[f"right{where}"] = hits = int(np.count_nonzero(chosen & right))
                counts[f"wrong{where}"] = int(np.count_nonzero(chosen)) - hits
            size = int(queries.table.max()) + 1
            tables = (
                np.bincount(table[free & right], minlength=size),
                np.bincount(table[free], minlength=size),
                np.bincount(table, minlength=size),
            )
        elif accuracy is not None:
            hits = max(0, math.ceil(accuracy * rows - 1e-9) - (rows - unattended))
            counts |= {"right": hits, "wrong": unattended - hits, "right_recurring": max(0, hits - novel)}
            counts["wrong_recurring"] = min(unattended - hits, unattended - novel)
        fresh = entry[queries.pending[:rows]]
        asked = np.bincount(pattern[known], minlength=int(pattern.max(initial=0)) + 1)
        return cls(
            rows=rows,
            attended=rows - unattended,
            step=int(queries.step[rows - 1]),
            **counts,
            compulsory=int(Histogram.of(fresh).entries.sum()),
            all=Histogram.of(entry),
            unattended=Histogram.of(entry[free]),
            hidden_unattended=Histogram.of(entry[free & hidden]),
            asked=asked,
            free=np.bincount(pattern[known & free], minlength=asked.size),
            share=float(np.bincount(table[known]).max() / known.sum()) if known.any() else 1.0,
            tables=tables,
        )


def inside(step: NDArray[Any], x_min: float | None, x_max: float | None, path: str) -> Booleans:
    """Rows of the steps to judge.

    Raises
    ------
    InputError
        If there is none.
    """
    low, high = -math.inf if x_min is None else x_min, math.inf if x_max is None else x_max
    rows = np.asarray((step >= low) & (step <= high))
    if not rows.any():
        hint = f"its steps run from {step.min()} to {step.max()}"
        raise InputError(f"has no row between the steps {low:g} and {high:g}", path=path, hint=hint)
    return rows


def _hidden(entry: Integers, shows: Booleans, late: Booleans) -> Booleans:
    """Queries whose value was not shown before.

    Up to the first query that shows it; novel ones always.

    An entry whose first query is late (its logged exposure is above 0) was shown before the log began.
    """
    known = np.flatnonzero(entry >= 0)
    size, never = int(entry.max(initial=-1)) + 1, entry.size
    start, until = np.zeros(size, np.int64), np.full(size, never)
    backwards = known[::-1]  # of several assignments to one place the last one stays: that of the first query
    start[entry[backwards]] = backwards
    backwards = backwards[shows[backwards]]
    until[entry[backwards]] = backwards
    if size:
        until[late[start]] = -1
    out = entry < 0
    out[known] = known <= until[entry[known]]
    return out


def _is_first(groups: Integers) -> Booleans:
    """Whether a row is the first one of its group."""
    out = np.zeros(groups.size, bool)
    out[np.unique(groups, return_index=True)[1]] = True
    return out


def count_tries(entry: Integers, free: Booleans, right: Booleans | None, late: Booleans | None = None) -> Integers:
    """Number the answers for each entry until one is right.

    Parameters
    ----------
    entry : array of int, shape (n,)
        Table entry asked for, in order; −1 for novel queries, each an entry of its own.
    free, right : array of bool, shape (n,)
        Whether it was answered without attention, and rightly (None: not known, so that only first answers count).
    late : array of bool, shape (n,), optional
        Whether it was asked for before the log began: what has been answered is not known then.

    Returns
    -------
    ndarray of int, shape (n,)
        From 0; −1 where it was attended, or a right answer was given before.

    Examples
    --------
    >>> entry, free = np.array([0, 0, 1, 0, 0, -1]), np.array([True, True, False, True, True, True])
    >>> count_tries(entry, free, np.array([False, False, True, True, True, False])).tolist()
    [0, 1, -1, 2, -1, 0]
    """
    out = np.full(entry.size, -1)
    out[free & (entry < 0)] = 0
    chosen = np.flatnonzero(free & (entry >= 0))
    order = chosen[np.argsort(entry[chosen], kind="stable")]
    begins = np.flatnonzero(_is_first(entry[order]))
    sizes = np.diff([*begins, order.size])
    place = np.arange(order.size) - np.repeat(begins, sizes)
    if right is None:
        is_open = place == 0
    else:
        hits: Integers = np.cumsum(right[order]) - right[order]
        is_open = hits == np.repeat(hits[begins], sizes)
    out[order] = np.where(is_open, place, -1)
    if late is not None:
        begun = np.unique(entry, return_index=True)[1]
        out[np.isin(entry, entry[begun[late[begun]]]) & (entry >= 0)] = -1
    return out


def _shown(table: Integers, hidden: Booleans, shows: Booleans) -> Integers:
    """Values of the table shown before each query."""
    order = np.argsort(table, kind="stable")
    new = (hidden & shows)[order].astype(np.int64)
    before = np.cumsum(new) - new
    starts = np.flatnonzero(_is_first(table[order]))
    out = np.empty_like(before)
    out[order] = before - np.repeat(before[starts], np.diff([*starts, table.size]))
    return out


def _right(frame: pd.DataFrame, path: str) -> tuple[Booleans | None, tuple[str, ...]]:
    if "correct" not in frame:
        return None, ()
    correct = frame["correct"].to_numpy()
    if correct.dtype == np.bool_:
        return correct, ()
    missing = np.isnan(correct)
    if not np.isin(correct[~missing], (0, 1)).all():
        hint = "log each answer as right (1) or wrong (0)"
        raise InputError("is not 0 or 1 everywhere", path=path, column="correct", hint=hint)
    return correct == 1, (f"{int(missing.sum()):,} queries without a value in 'correct' are taken to be wrong",)


def _one_row_per_query(frame: pd.DataFrame, path: str) -> pd.DataFrame:
    """Put the layers and heads of each query together.

    A query is attended if one of them attends.
    """
    by = [name for name in ("layer", "head") if name in frame]
    parts = [part for _, part in frame.groupby(by, observed=True, sort=False)] if by else [frame]
    if len(parts) == 1:
        return parts[0]
    first = parts[0].reset_index(drop=True)
    same = [name for name in ("run", "step", "pattern", "correct") if name in frame]
    attended = np.zeros(len(first), bool)
    for part in parts:
        if len(part) != len(first) or not part[same].reset_index(drop=True).equals(first[same]):
            what = f"the rows of its {len(parts)} layers or heads are not the same queries"
            raise InputError(what, path=path, hint="log one row per query, attended if any layer or head attends")
        attended |= part["attended"].to_numpy().astype(bool)
    return first.assign(attended=attended)

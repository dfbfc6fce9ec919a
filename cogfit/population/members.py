"""Members: who they are, their points, and who is left out.

Nobody is left out silently, and nobody who has two points is left out: what a short or constant curve says is little,
and the model gives it the weight of little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogfit.engine.noise import is_share_of
from cogfit.errors import InputError, nearest, shortlist
from cogfit.formulas.form import Array
from cogfit.many.collection import Collection, Columns, examine, from_table, without
from cogfit.population.blocks import Index, Points


@dataclass(frozen=True)
class Window:
    """Range of x that is fitted.

    Attributes
    ----------
    low, high : float or None
    """

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Refuse an empty one."""
        for name, value in (("x_min", self.low), ("x_max", self.high)):
            if value is not None and not np.isfinite(value):
                raise InputError(f"`{name}` must be a finite number, not {value!r}")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise InputError(f"the window is empty: x_min {self.low:g} is not below x_max {self.high:g}")

    def outside(self, x: Array) -> NDArray[np.bool_]:
        """Whether points lie outside."""
        low, high = (-np.inf if self.low is None else self.low), (np.inf if self.high is None else self.high)
        return np.asarray((x < low) | (x > high), dtype=bool)


@dataclass(frozen=True)
class Roster:
    """Who is in a population, and who is not.

    Attributes
    ----------
    names : tuple of str
        Of those in the model.
    n : ndarray of int, shape (members,)
        Their points.
    left_out : tuple of (str, str)
        The others, and why.
    notes : tuple of (str, str)
        Members that are kept though their curve says little, and what is wrong with it.
    n_dropped : int
        Points left out: missing, outside the window, or at x = 0.
    log_weights, log_values : float
        Sums of the logarithms of weights and values over all points.
    not_positive : tuple of str
        Members with values of 0 or less, which have no logarithm.
    not_counted : tuple of str
        Members with values that are no share of their trials, where there are trials.
    """

    names: tuple[str, ...]
    n: Index
    left_out: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...]
    n_dropped: int
    log_weights: float
    log_values: float
    not_positive: tuple[str, ...]
    not_counted: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def n_points(self) -> int:
        """Points of all members."""
        return int(self.n.sum())


@dataclass(frozen=True)
class Members:
    """Members with their points.

    Attributes
    ----------
    roster : Roster
    points : Points
    collection : Collection
        The same as curves.
    """

    roster: Roster
    points: Points
    collection: Collection

    def __len__(self) -> int:
        return len(self.roster)


def members_of(
    collection: Collection,
    n_parameters: int,
    *,
    positive_x: bool,
    covariates: dict[str, Array] | None = None,
    window: Window | None = None,
) -> Members:
    """Find out who can be in the model.

    Parameters
    ----------
    collection : Collection
    n_parameters : int
        Of a member's curve.
    positive_x : bool
        Whether points at x = 0 have no value.
    covariates : dict of str to ndarray, optional
        In the order of the points.
    window : Window, optional
    """
    if window is not None:
        collection = _in_window(collection, window)
    if covariates:
        whole, dropped = _with_all_points(collection, positive_x), np.zeros(len(collection), dtype=np.int64)
    else:
        whole, dropped = without(collection, zero=positive_x, missing=True)
    names = member_names(whole)
    problems, constant = examine(whole)
    size = whole.bundle.size
    left_out = tuple((names[i], str(problems[i])) for i in np.flatnonzero(problems != "").tolist())
    keep = np.flatnonzero(problems == "")
    notes = []
    for i in keep.tolist():
        distinct = int(size[i])
        if constant[i]:
            notes.append((names[i], "its values never change"))
        elif distinct < n_parameters:
            notes.append((names[i], f"{distinct} points for {n_parameters} parameters"))
    kept = _take(whole, keep)
    points = _points(kept, covariates or {})
    kept_names, owner = tuple(names[i] for i in keep.tolist()), np.repeat(np.arange(keep.size), points.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        log_values = float(np.log(points.y).sum())

    def having(is_odd: NDArray[np.bool_]) -> tuple[str, ...]:
        return tuple(kept_names[i] for i in np.unique(owner[is_odd]).tolist())

    roster = Roster(
        names=kept_names,
        n=points.size,
        left_out=left_out,
        notes=tuple(notes),
        n_dropped=int(dropped.sum()),
        log_weights=float(np.log(points.w).sum()),
        log_values=log_values,
        not_positive=having(~(points.y > 0.0)),
        not_counted=having(~is_share_of(points.y, points.w)) if collection.counted else (),
    )
    return Members(roster, points, kept)


def _in_window(collection: Collection, window: Window) -> Collection:
    """The curves with no value outside a window."""
    points = _points(collection, {})
    is_outside = window.outside(points.x)
    if not is_outside.any():
        return collection
    y = collection.bundle.y.copy()
    y[_places(collection)[is_outside]] = np.nan
    return replace(collection, bundle=replace(collection.bundle, y=y), sources=())


def _with_all_points(collection: Collection, positive_x: bool) -> Collection:
    """The curves, refused where points would have to be left out."""
    b = collection.bundle
    if not np.isfinite(b.y).all() or (positive_x and (b.x == 0.0).any()):
        raise InputError("with covariates every row must have finite numbers", hint="leave incomplete rows out first")
    return collection


def _take(collection: Collection, rows: Index) -> Collection:
    """Some of the curves."""
    chosen = rows.tolist()
    return replace(
        collection,
        labels=collection.labels.iloc[chosen].reset_index(drop=True),
        bundle=collection.bundle.take(rows),
        problems=(),
        sources=tuple(collection.sources[i] for i in chosen) if collection.sources else (),
    )


def _points(collection: Collection, covariates: dict[str, Array]) -> Points:
    """Points of curves end to end, each with its own x and weight."""
    b = collection.bundle
    size = b.size
    end = np.cumsum(size)
    step = np.arange(int(size.sum())) - np.repeat(end - size, size)
    x, y, w = (
        values[np.repeat(at, size) + step] for values, at in ((b.x, b.x_at[b.axis]), (b.y, b.y_at), (b.w, b.w_at))
    )
    place = _places(collection)
    return Points(x, y, w, end - size, size, {name: values[place] for name, values in covariates.items()})


def _places(collection: Collection) -> Index:
    """Where the values of all points stand, curve after curve."""
    b = collection.bundle
    end = np.cumsum(b.size)
    return np.asarray(np.arange(int(b.size.sum())) + np.repeat(b.y_at - (end - b.size), b.size))


def member_names(collection: Collection) -> list[str]:
    """Names of the curves, their labels joined."""
    columns = [collection.labels[name].astype(str).tolist() for name in collection.labels]
    return [", ".join(parts) for parts in zip(*columns, strict=True)]


def curves_of_table(table: Any, columns: Columns, covariates: Sequence[str]) -> tuple[Collection, dict[str, Array]]:
    """Curves of a tidy table, with covariates in order."""
    for name in covariates:
        if name not in table.columns:
            raise InputError(f"the table has no column '{name}'", hint=nearest(name, [str(c) for c in table.columns]))
    collection = from_table(table, columns)
    if not covariates:
        return collection, {}
    by = list(columns.by)
    code = table.groupby(by, sort=True, observed=True, dropna=False).ngroup().to_numpy()
    order = np.lexsort((np.asarray(table[columns.x], dtype=float), code))
    return collection, {name: _numbers(table, name)[order] for name in covariates}


def _numbers(table: Any, name: str) -> Array:
    try:
        values = np.asarray(table[name], dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"is no number ({error})", column=name) from None
    if not np.isfinite(values).all():
        raise InputError(f"has {int((~np.isfinite(values)).sum())} values that are not finite", column=name)
    return values


def in_words(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Reasons, each with the members it goes for."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in pairs:
        by_reason.setdefault(reason, []).append(name)
    return [f"{shortlist(names)} ({reason})" for reason, names in by_reason.items()]


def usable(params: Array) -> NDArray[np.bool_]:
    """Rows (members, p) without a hole."""
    return np.asarray(np.isfinite(params).all(axis=1), dtype=bool)

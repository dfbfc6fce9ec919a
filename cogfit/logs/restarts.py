"""Restarts: which rows of a log still count.

A fall of the step is a *restart* where the rows after it go over steps already passed: training went on from an
earlier step, and what had been logged of the steps from there on is void. Where it goes back to the beginning, a new
*training* starts. Late rows, interleaved writers and shuffled tables fall, too, without going over anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogfit.logs.clean import Mask, Numbers

_FEW_REPEATED = 2  # distinct steps logged again from which a stretch is no late row
_OFF_GRID = 5  # rows on either side from which a stretch goes over steps without logging any of them again
_GAP = 5.0  # gaps (of the median one) that a stretch may leave where it passes the highest step so far
_OTHER = 1.75  # ratio from which intervals are other ones
_TURNS = 3  # falls from which writers may be seen to take turns
_MOST_ROUNDS = 100  # trainings of which each is looked at
_FRESH = 1.5  # intervals between rows within which a training has its first row


@dataclass(frozen=True)
class Fall:
    """Where the step of a group falls back.

    Attributes
    ----------
    row : int
        First row after the fall, in file order.
    group : int
        Code of the run, layer and head.
    reached, step : float
        Highest step before the fall, and the step that it falls back to.
    n_void : int
        Rows that do not count any more.
    is_new_training : bool
        Whether training began anew, so that what is before is a training of its own.
    is_declared : bool
        Whether the log itself says so.
    """

    row: int
    group: int
    reached: float
    step: float
    n_void: int
    is_new_training: bool
    is_declared: bool = False


@dataclass(frozen=True)
class Resolution:
    """What a log holds after its restarts.

    Attributes
    ----------
    order : int array or None
        Rows in the order in which they happened; None if that is the order of the file.
    void : int array
        Number, from 1, of the restart that a row did not survive, and 0 for rows that count.
    training : int array
        Number of each row's training within its group, from 0.
    falls : tuple of Fall
        Restarts and new trainings.
    n_unordered : int
        Groups that had to be sorted because their steps fall back too often for restarts.
    n_late : int
        Rows that were written after later ones and go over nothing.
    rounds : tuple of (int, float)
        For each group that goes over the same steps again and again, how often it begins anew and what it reaches.
    is_rising : bool
        Whether every step is known to be above the one before it, whatever the groups.
    """

    order: NDArray[Any] | None
    void: NDArray[np.int32]
    training: NDArray[np.int32]
    falls: tuple[Fall, ...] = ()
    n_unordered: int = 0
    n_late: int = 0
    rounds: tuple[tuple[int, float], ...] = ()
    is_rising: bool = False

    @property
    def kept(self) -> Mask:
        """Rows that count, in file order."""
        return np.asarray(self.void == 0)


def constant_rows(value: int, n: int, kind: type[Any]) -> NDArray[Any]:
    """The same value for each of n rows, read-only.

    It takes no memory and no time: most logs have no restart, no group and nothing to leave out.

    Examples
    --------
    >>> constant_rows(0, 3, np.int32)
    array([0, 0, 0], dtype=int32)
    """
    return np.broadcast_to(np.array(value, dtype=kind), n)


def resolve_restarts(
    steps: Numbers,
    codes: NDArray[np.int64],
    declared: Sequence[tuple[int, float, int]] = (),
    patterns: NDArray[Any] | None = None,
) -> Resolution:
    """Find the rows that still count after restarts.

    Parameters
    ----------
    steps : array
        Step of each row, in file order.
    codes : int64 array
        Group (run, split, layer, head) of each row.
    declared : sequence of (row, step, first)
        Restarts that the log itself declares: rows from `first` to `row` − 1 with a step of at least this are void.
    patterns : array, optional
        Code of each row's pattern: a table that is sorted by them falls back at each, and nothing was restarted.

    Returns
    -------
    Resolution

    Notes
    -----
    Rows of which no step occurs twice are never void, unless a long stretch clearly goes over others: a table may be
    shuffled, reversed, split or written by several writers without losing a row.

    Examples
    --------
    >>> found = resolve_restarts(np.array([0, 1, 2, 3, 4, 2, 3, 5]), np.zeros(8, dtype=np.int64))
    >>> found.kept.tolist(), found.falls[0].step
    ([True, True, False, False, False, True, True, True], 2.0)
    >>> resolve_restarts(np.array([3, 0, 2, 1]), np.zeros(4, dtype=np.int64)).kept.tolist()
    [True, True, True, True]
    """
    n = len(steps)
    none = constant_rows(0, n, np.int32)
    if not declared and bool((steps[1:] > steps[:-1]).all()):
        return Resolution(None, none, none, is_rising=True)
    if not n or (not declared and bool((steps[1:] >= steps[:-1]).all())):
        return Resolution(None, none, none)
    void, training = np.zeros(n, dtype=np.int32), np.zeros(n, dtype=np.int32)
    order = np.arange(n)
    drops, gathered = find_falls(codes, steps)
    by = codes[gathered]
    edges = np.flatnonzero(np.concatenate([[True], by[1:] != by[:-1], [True]]))
    touched = set((np.searchsorted(edges, np.flatnonzero(drops), side="right") - 1).tolist())
    if declared:
        touched = set(range(len(edges) - 1))
    falls: list[Fall] = []
    rounds: list[tuple[int, float]] = []
    n_unordered = n_late = 0
    # only groups in which a step falls back need a closer look
    for number in sorted(touched):
        rows = gathered[edges[number] : edges[number + 1]]
        group = _Group(steps[rows], rows, declared, None if patterns is None else patterns[rows])
        n_unordered += group.is_unordered
        group.follow(int(codes[rows[0]]), len(falls))
        void[rows], training[rows] = group.void, group.training
        falls += group.falls  # `void` counts them in this order
        rounds += group.rounds()
        n_late += group.n_late
        order[rows] = rows[np.lexsort((group.step, group.training))]
    return Resolution(order, void, training, tuple(falls), n_unordered, n_late, tuple(rounds))


def find_falls(codes: NDArray[np.int64], steps: Numbers) -> tuple[Mask, NDArray[np.int64]]:
    """Find where a step is below the one before it.

    Rows are compared within their group. Also return the order that gathers the groups.
    """
    if not len(codes) or (codes == codes[0]).all():
        order = np.arange(len(codes))
        falls = steps[1:] < steps[:-1]
    else:
        order = np.argsort(codes, kind="stable")
        gathered, by = steps[order], codes[order]
        falls = (gathered[1:] < gathered[:-1]) & (by[1:] == by[:-1])
    return np.concatenate([np.zeros(min(len(codes), 1), dtype=bool), falls]), order


def _distinct(steps: Numbers) -> Numbers:
    """Distinct steps in order.

    By sorting: the hashes of `numpy.unique` are slow for many steps that are nearly in order.
    """
    if not (steps[1:] > steps[:-1]).all():
        steps = np.sort(steps, kind="stable")
        steps = steps[np.concatenate([[True], steps[1:] != steps[:-1]])]
    return steps


def typical_interval(steps: Numbers) -> float:
    """Median interval between rows.

    0 if there is a single step.
    """
    gaps = np.diff(_distinct(steps))
    return float(np.median(gaps)) if len(gaps) else 0.0


def begins_training(steps: Numbers) -> bool:
    """Whether rows begin where a training begins.

    The first step is 0, or within about one interval between rows.

    Examples
    --------
    >>> begins_training(np.array([10, 20, 30])), begins_training(np.array([501, 502, 503]))
    (True, False)
    """
    return bool(len(steps)) and 0 <= float(steps.min()) <= _FRESH * typical_interval(steps)


def _are_blocks(labels: NDArray[Any]) -> bool:
    """Whether rows of one label lie together, and there are several."""
    n_labels = len(_distinct(labels))
    return 1 < n_labels == 1 + int(np.count_nonzero(labels[1:] != labels[:-1]))


class _Group:
    """The rows of one run, layer and head in file order.

    Attributes
    ----------
    step : array
    void, training : int arrays
        See `Resolution`.
    falls : list of Fall
    n_late : int
    is_unordered : bool
        Whether falls of the step say nothing about restarts.
    """

    def __init__(
        self,
        step: Numbers,
        rows: NDArray[Any],
        declared: Sequence[tuple[int, float, int]],
        pattern: NDArray[Any] | None = None,
    ) -> None:
        self.step, self.rows = step, rows
        # a declared restart stands before the first row of the group that was written after it
        self.declared: dict[int, float] = {}
        for row, value, first in declared:
            place = int(np.searchsorted(rows, row))
            if place > np.searchsorted(rows, first):
                self.declared[place] = min(value, self.declared.get(place, value))
        self.void = np.zeros(len(step), dtype=np.int32)
        self.training = np.zeros(len(step), dtype=np.int32)
        self.falls: list[Fall] = []
        self.n_late = 0
        self.is_sorted_by_pattern = pattern is not None and _are_blocks(pattern) and bool((np.diff(step) < 0).any())
        self.is_unordered = self.is_sorted_by_pattern or self._falls_often() or self._take_turns()

    def _take_turns(self) -> bool:
        """Whether several writers wrote a stretch each, over and over.

        Each step below the last stretch occurs once for each writer. After restarts the steps between them occur once.
        """
        starts = np.flatnonzero(self.step[1:] < self.step[:-1]) + 1
        if len(starts) < _TURNS or np.count_nonzero(self.step[starts] > self.step[0]) < _TURNS - 1:
            return False
        visited = self.step[np.concatenate([[True], self.step[1:] != self.step[:-1]])]
        steps, visits = np.unique(visited, return_counts=True)
        visits = visits[steps < self.step[starts].max()]
        return bool(len(visits) and visits.min() > 1 and visits.min() == visits.max())

    def _begins_anew(self) -> bool:
        """Whether the step falls back to its first one whenever it does."""
        landings = self.step[1:][self.step[1:] < self.step[:-1]]
        return bool((landings == self.step[0]).all())

    def rounds(self) -> list[tuple[int, float]]:
        """How often the group begins anew and what it reaches, if that is always the same step."""
        if self.is_sorted_by_pattern:
            return []
        ends = np.append(self.step[:-1][self.step[1:] < self.step[:-1]], self.step[-1])
        is_same = len(ends) > 2 and self._begins_anew() and bool((ends[:-1] == ends[0]).all()) and ends[-1] <= ends[0]
        return [(len(ends) - 1, float(ends[0]))] if is_same else []

    def _falls_often(self) -> bool:
        """Whether steps fall back too often for restarts.

        A shuffled table falls at every second change of the step, interleaved writers fall about once a step.
        """
        changes = np.diff(self.step)
        n_falls = int(np.count_nonzero(changes < 0))
        if n_falls < 2 or (n_falls < _MOST_ROUNDS and self._begins_anew() and 3 * n_falls < len(changes)):
            return False
        n_steps = len(_distinct(self.step))
        is_often = 3 * n_falls > np.count_nonzero(changes) or 3 * n_falls > n_steps
        return bool(is_often or (n_falls > 20 and n_falls > 0.01 * n_steps))

    def follow(self, code: int, n_before: int) -> None:
        """Go through the falls in the order of the file.

        Of unordered rows only the restarts that the log declares are believed.
        """
        drops = np.concatenate([[False], self.step[1:] < self.step[:-1]])
        starts = np.flatnonzero(drops & (not self.is_unordered))
        is_off_grid = self._are_off_grid_restarts(starts)
        for place in sorted({*starts.tolist(), *self.declared}):
            if place in self.declared:
                self._void_from(place, self.declared[place], code, n_before, is_declared=True)
                continue
            following = starts[starts > place]
            stretch = self.step[place : following[0] if len(following) else len(self.step)]
            earlier = self._earlier(place)
            inside = stretch[stretch <= earlier.max()] if len(earlier) else stretch[:0]
            if not (self._goes_over(stretch, inside, earlier) or is_off_grid[place]):
                self.n_late += len(inside)
            elif self._is_fresh(stretch, earlier):
                self._begin_training(place, code)
            else:
                self._void_from(place, float(stretch[0]), code, n_before)

    def _earlier(self, place: int) -> Numbers:
        """Steps of the same training before a row that still count."""
        counts = (self.void[:place] == 0) & (self.training[:place] == self.training[place])
        return np.asarray(self.step[:place][counts])

    @staticmethod
    def _goes_over(stretch: Numbers, inside: Numbers, earlier: Numbers) -> bool:
        """Whether a stretch logs steps again, one after the other.

        A training that begins anew may log at other intervals, so that it repeats a single step.
        """
        n_repeated = len(np.intersect1d(_distinct(inside), _distinct(earlier), assume_unique=True))
        if n_repeated < _FEW_REPEATED and not (n_repeated and begins_training(stretch)):
            return False
        # a few rows written again are followed by a leap to where the log had been
        if len(inside) < len(stretch):
            largest = _GAP if n_repeated >= _FEW_REPEATED else _FRESH
            return bool(stretch[len(inside)] - inside[-1] <= largest * typical_interval(stretch))
        return n_repeated >= _FEW_REPEATED or len(_distinct(inside)) > _FEW_REPEATED

    def _are_off_grid_restarts(self, starts: NDArray[Any]) -> dict[int, bool]:
        """Whether falls go over steps without logging any again.

        The interval or phase of logging may have changed with the restart. Writers that share the steps between them
        look alike, but one of their falls leads back to the beginning, and there are many of them.
        """
        answer = dict.fromkeys(starts.tolist(), False)
        if not 0 < len(starts) <= 3:
            return answer
        first = float(self.step[: starts[0]].min())
        for place, end in zip(starts.tolist(), [*starts[1:].tolist(), len(self.step)], strict=True):
            before, stretch = self.step[:place], self.step[place:end]
            inside = stretch[stretch <= before.max()]
            over = before[(before >= stretch[0]) & (before <= stretch[-1])]
            is_inside = stretch[0] > first + 0.1 * (float(before.max()) - first)
            if not is_inside and over.size:
                return dict.fromkeys(starts.tolist(), False)
            answer[place] = bool(len(inside) >= _OFF_GRID and len(over) >= _OFF_GRID)
        return answer

    @staticmethod
    def _is_fresh(stretch: Numbers, earlier: Numbers) -> bool:
        """Whether a stretch begins where a training begins.

        That is where the one before it began, or, if it logs at other intervals, about one of these.
        """
        own, other = typical_interval(stretch), typical_interval(earlier)
        if stretch[0] <= earlier.min() + other:
            return True
        return begins_training(stretch) and not 1 / _OTHER < own / other < _OTHER

    def _begin_training(self, place: int, code: int) -> None:
        reached = float(self._earlier(place).max())
        self.training[place:] += 1
        self.falls.append(Fall(int(self.rows[place]), code, reached, float(self.step[place]), 0, True))

    def _void_from(self, place: int, step: float, code: int, n_before: int, *, is_declared: bool = False) -> None:
        """Void what the training had logged from a step on."""
        current = self.training[min(place, len(self.step) - 1)]
        counts = (self.void[:place] == 0) & (self.training[:place] == current)
        is_void = counts & (self.step[:place] >= step)
        if not is_void.any():
            return
        reached = float(self.step[:place][counts].max())
        self.void[:place][is_void] = n_before + len(self.falls) + 1
        row = int(self.rows[place]) if place < len(self.rows) else int(self.rows[-1]) + 1
        n_void = int(np.count_nonzero(is_void))
        self.falls.append(Fall(row, code, reached, step, n_void, False, is_declared))

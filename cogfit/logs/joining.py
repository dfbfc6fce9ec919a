"""From parts to logs.

Parts are put together and ordered, what a restart has superseded is dropped, exposures are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError
from cogfit.logs.clean import Mask, Numbers, Part
from cogfit.logs.labels import NO_LABEL, concatenated, trimmed
from cogfit.logs.model import GROUP_COLUMNS, RoutingLog, Source, UtilizationLog

if TYPE_CHECKING:
    import pandas as pd

SUPERSEDED_ROW = "superseded by a later row of the same step"
SUPERSEDED_TAIL = "superseded after a restart"


def _group_codes(frame: pd.DataFrame) -> NDArray[np.int64]:
    """One number for each row's run, layer and head.

    In the order of the labels.
    """
    codes = np.zeros(len(frame), dtype=np.int64)
    for name in GROUP_COLUMNS:
        if name in frame:
            labels = frame[name].cat
            codes = codes * (len(labels.categories) + 1) + labels.codes.to_numpy()
    return codes


def _with_labels(frame: pd.DataFrame) -> pd.DataFrame:
    """Label rows without run, layer or head.

    They get `NO_LABEL` where others have a label.
    """
    for name in GROUP_COLUMNS:
        if name in frame and frame[name].isna().any():
            filled = frame[name].cat.add_categories([NO_LABEL]).fillna(NO_LABEL)
            frame = frame.assign(**{name: filled})
    return frame


def _owned(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame in memory that may be written to.

    Only what Arrow has lent is copied.
    """
    import pandas as pd

    cells: dict[str, Any] = {}
    for name, column in frame.items():
        if isinstance(column.dtype, np.dtype):
            values = column.to_numpy()
            try:
                values.flags.writeable = True  # pandas hands out views that are not, of memory that may be
            except ValueError:
                values = values.copy()
            cells[str(name)] = values
        else:
            cells[str(name)] = column.copy()
    return pd.DataFrame(cells, copy=False)


def _account(parts: Sequence[Part], path: Path, dropped: Counter[str], notes: Iterable[str]) -> Source:
    total = sum((Counter(part.dropped) for part in parts), Counter[str]()) + dropped
    all_notes = [note for part in parts for note in part.notes] + list(notes)
    return Source(
        path=str(path),
        format="+".join(dict.fromkeys(part.format for part in parts)),
        rows_read=sum(part.rows_read for part in parts),
        rows_dropped=dict(total),
        notes=tuple(dict.fromkeys(all_notes)),
    )


def _check_enough(frame: pd.DataFrame, source: Source, kind: str) -> None:
    if len(frame) >= 2:
        return
    reasons = "; ".join(f"{reason}: {count}" for reason, count in source.rows_dropped.items())
    what = f"holds only one usable row of a {kind} log" if len(frame) else f"holds no usable row of a {kind} log"
    raise InputError(
        f"{what} ({source.rows_read} read{'; ' + reasons if reasons else ''})",
        path=source.path,
        hint="give a log with at least two rows that have a step and a value",
    )


def join_utilization(parts: Sequence[Part], path: Path) -> tuple[UtilizationLog, tuple[str, ...]]:
    """Make one utilisation log of several parts.

    It is sorted, the last row of each step is kept. It takes the frames of the parts over.

    Parameters
    ----------
    parts : sequence of Part
        Of kind ``"utilization"``, in the order in which they were written.
    path : Path
        What the user asked for.

    Returns
    -------
    log : UtilizationLog
    warnings : tuple of str
    """
    frame = _with_labels(concatenated([part.frame for part in parts]))
    codes, steps = _group_codes(frame), frame["step"].to_numpy()
    steps = _whole(steps)
    frame = frame.assign(step=steps)
    notes: list[str] = []
    dropped: Counter[str] = Counter()
    # logs are nearly always in order, and then nothing needs to be moved
    rising = steps[1:] > steps[:-1]
    if codes.any():  # perhaps several groups
        rising = (codes[1:] > codes[:-1]) | ((codes[1:] == codes[:-1]) & rising)
    if not rising.all():
        order = np.lexsort((steps, codes))  # stable: of equal steps the one that was written last comes last
        if _falls(codes, steps)[0].any():
            notes.append("rows were not in the order of steps and were sorted")
        codes, steps = codes[order], steps[order]
        # of rows with the same step the last one counts
        last = np.append((codes[1:] != codes[:-1]) | (steps[1:] != steps[:-1]), True) if len(codes) else codes > 0
        if superseded := int(np.count_nonzero(~last)):
            dropped[SUPERSEDED_ROW] = superseded
        frame = frame.iloc[order[last]].reset_index(drop=True)
    source = _account(parts, path, dropped, notes)
    _check_enough(frame, source, "utilisation")
    # callers get plain texts and memory that they may write to
    texts = {name: frame[name].astype("str") for name in GROUP_COLUMNS if name in frame}
    return (
        UtilizationLog(
            frame=_owned(frame.assign(**texts)),
            source=source,
            x_name=parts[0].x_name,
            y_name=parts[0].y_name,
        ),
        tuple(dict.fromkeys(warning for part in parts for warning in part.warnings)),
    )


def _whole(steps: Numbers) -> Numbers:
    """Steps as int64 if all are whole numbers.

    Otherwise as float64.
    """
    if steps.dtype.kind == "i":
        return steps.astype(np.int64, copy=False)
    floats = steps.astype(np.float64)
    whole = bool(np.all((floats == np.rint(floats)) & (np.abs(floats) < 2.0**53)))
    return floats.astype(np.int64) if whole else floats


def join_routing(parts: Sequence[Part], path: Path) -> tuple[RoutingLog, tuple[str, ...]]:
    """Make one routing log of several parts.

    What a restart has superseded is dropped; exposures are counted where they are absent.

    Parameters
    ----------
    parts : sequence of Part
        Of kind ``"routing"``, in the order in which they were written.
    path : Path
        What the user asked for.

    Returns
    -------
    log : RoutingLog
    warnings : tuple of str
    """
    import pandas as pd

    parts = _alike(parts)
    frame = _with_labels(concatenated([part.frame for part in parts], (*GROUP_COLUMNS, "pattern")))
    warnings = [warning for part in parts for warning in part.warnings]
    notes: list[str] = []
    dropped: Counter[str] = Counter()
    steps, codes = frame["step"].to_numpy(), _group_codes(frame)
    # drop what a restart has gone over, since exposures count rows
    kept, order, unordered = resolve_restarts(steps, codes)
    if unordered:
        warnings.append(
            "the rows of the routing log are not in the order of steps: they were sorted, and rows that a restart "
            "may have superseded cannot be told from the others"
        )
    if not kept.all():
        dropped[SUPERSEDED_TAIL] = int(np.count_nonzero(~kept))
        notes.append(f"the step falls back (training was restarted): {dropped[SUPERSEDED_TAIL]} earlier rows dropped")
    if unordered or not kept.all():
        places = order[kept[order]]
        frame, codes = trimmed(frame.iloc[places].reset_index(drop=True)), codes[places]
    source = _account(parts, path, dropped, notes)
    _check_enough(frame, source, "routing")

    # exposures of the file are believed, with doubts; otherwise they are counted
    patterns = frame["pattern"].cat
    pattern = patterns.codes.to_numpy().astype(np.int32)
    logged = "exposure" in frame
    if logged:
        exposure = frame["exposure"].to_numpy()
        if warning := _doubts_about(exposure, pattern, codes):
            warnings.append(warning)
    else:
        exposure = count_exposures(pattern, codes)
    if not (pattern >= 0).any():
        warnings.append("every query of the routing log is novel: there is no pattern whose routing could change")
    # columns in the order that RoutingLog promises
    cells: dict[str, Any] = {"step": frame["step"], "pattern": pattern, "exposure": exposure}
    others = [name for name in ("attended", "p_episodic", *GROUP_COLUMNS, "correct", "quality") if name in frame]
    log = RoutingLog(
        frame=pd.DataFrame(cells | {name: frame[name] for name in others}, copy=True),  # Arrow's memory is read-only
        pattern_names=tuple(patterns.categories.tolist()),
        source=source,
        exposure_logged=logged,
    )
    return log, tuple(dict.fromkeys(warnings))


def _alike(parts: Sequence[Part]) -> list[Part]:
    """Leave out columns that only some parts have.

    An error where no default can stand in for them.
    """
    common = set.intersection(*(set(part.frame.columns) for part in parts))
    optional = {"exposure", "attended", "p_episodic"}
    if not common & {"attended", "p_episodic"}:
        first = parts[0]
        other = next(part for part in parts if not set(part.frame) & set(first.frame) & {"attended", "p_episodic"})
        raise InputError(
            f"{first.path.name} holds '{first.y_name}' and {other.path.name} '{other.y_name}'",
            path=first.path.parent,
            hint="read decisions and probabilities separately",
        )
    alike = []
    for part in parts:
        extra = [name for name in part.frame if name in optional and name not in common]
        note = [f"column '{name}' of {part.path.name} was left out: other files lack it" for name in extra]
        alike.append(replace(part, frame=part.frame.drop(columns=extra), notes=(*part.notes, *note)))
    return alike


# --- order and exposure -----------------------------------------------------------------------------------------------


def _falls(codes: NDArray[np.int64], steps: Numbers) -> tuple[Mask, NDArray[np.int64]]:
    """Where a step is below the one before it.

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


def resolve_restarts(steps: Numbers, codes: NDArray[np.int64]) -> tuple[Mask, NDArray[np.int64], bool]:
    """Find the rows that still count after restarts.

    Within a group a step repeats normally. Where it falls back to s, training went on from a checkpoint, and all
    earlier rows of the group with step ≥ s are superseded. A group whose step falls back too often is not restarted
    but unordered, and is sorted instead.

    Parameters
    ----------
    steps : int array
        Step of each row, in file order.
    codes : int64 array
        Group (run, layer, head) of each row.

    Returns
    -------
    kept : bool array
        False for superseded rows.
    order : int64 array
        Rows in the order in which they happened.
    unordered : bool
        Whether a group had to be sorted.

    Examples
    --------
    >>> kept, order, unordered = resolve_restarts(np.array([0, 1, 2, 3, 2, 3, 4]), np.zeros(7, dtype=np.int64))
    >>> kept.tolist(), unordered
    ([True, True, False, False, True, True, True], False)
    """
    kept = np.ones(len(steps), dtype=bool)
    order = np.arange(len(steps))
    if not len(steps) or (steps[1:] >= steps[:-1]).all():
        return kept, order, False
    # only groups in which a step falls back need a closer look
    falls, gathered = _falls(codes, steps)
    by = codes[gathered]
    edges = np.flatnonzero(np.concatenate([[True], by[1:] != by[:-1], [True]]))
    unordered = False
    for first in np.unique(np.searchsorted(edges, np.flatnonzero(falls), side="right") - 1):
        part = slice(edges[first], edges[first + 1])
        rows = gathered[part]
        step, fall = steps[rows], falls[part]
        if _is_unordered(step, fall):
            order[rows] = rows[np.argsort(step, kind="stable")]
            unordered = True
            continue
        # lowest step that a later row falls back to; only falls matter, and none comes after the last row
        top = np.iinfo(np.int64).max
        lowest = np.minimum.accumulate(np.where(fall, step, top)[::-1])[::-1]
        kept[rows] = step < np.append(lowest[1:], top)
    return kept, order, unordered


def _is_unordered(step: Numbers, fall: Mask) -> bool:
    """Whether steps fall back too often for restarts.

    A shuffled table falls at every second change of the step.
    """
    count = int(np.count_nonzero(fall))
    if count < 2:
        return False
    changes = int(np.count_nonzero(step[1:] != step[:-1]))
    return 3 * count > changes or (count > 20 and count > 0.01 * len(np.unique(step)))


def _pattern_order(pattern: NDArray[np.int32], codes: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Order that gathers rows of one pattern and group.

    File order is kept within them. Also return the key that it sorts by.
    """
    key = pattern.astype(np.int64) + 1
    if len(codes) and (codes != codes[0]).any():
        _, group = np.unique(codes, return_inverse=True)
        key += group * (int(key.max()) + 1)
    if len(key) and key.max() < np.iinfo(np.uint16).max:
        key = key.astype(np.uint16)  # sorted by radix, ten times as fast
    return np.argsort(key, kind="stable"), key


def count_exposures(pattern: NDArray[np.int32], codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count earlier rows of the same pattern and group.

    −1 for novel rows.

    Examples
    --------
    >>> count_exposures(np.array([3, 3, -1, 3, 0], dtype=np.int32), np.array([0, 1, 0, 0, 0])).tolist()
    [0, 0, -1, 1, 0]
    """
    order, key = _pattern_order(pattern, codes)
    sorted_key = key[order]
    starts = np.flatnonzero(np.concatenate([[True], sorted_key[1:] != sorted_key[:-1]])) if len(key) else order
    lengths = np.diff(np.append(starts, len(key)))
    exposure = np.empty(len(key), dtype=np.int64)
    exposure[order] = np.arange(len(key)) - np.repeat(starts, lengths)
    exposure[pattern < 0] = -1
    return exposure


def _doubts_about(exposure: NDArray[np.int64], pattern: NDArray[np.int32], codes: NDArray[np.int64]) -> str | None:
    """What is odd about logged exposures, if anything."""
    order, key = _pattern_order(pattern, codes)
    exposure, sorted_key = exposure[order], key[order]
    same = sorted_key[1:] == sorted_key[:-1]
    if (same & (exposure[1:] < exposure[:-1])).any():
        return (
            "the logged exposure of a pattern decreases: its counter was reset, perhaps by a restart; "
            "drop the column to have exposures counted here"
        )
    recurring = pattern[order] >= 0
    first = np.concatenate([[True], ~same]) & recurring
    if first.any() and (exposure[first] == 1).all() and (exposure[recurring] >= 1).all():
        return "the logged exposures start at 1: they seem to count the present query among the earlier ones"
    return None

"""From parts to logs.

Parts are put together and ordered, what a restart has superseded is left out, exposures are counted, and one split and
the last training are chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError
from cogfit.logs.clean import Mask, Numbers, Part, whole_steps
from cogfit.logs.columnar import ColumnTable, as_frame, taken
from cogfit.logs.labels import NO_LABEL, concatenated, trimmed
from cogfit.logs.model import GROUP_COLUMNS, Choice, RoutingLog, Source, UtilizationLog
from cogfit.logs.rows import ANY, SUPERSEDED_ROW, Rows, Wanted

if TYPE_CHECKING:
    import pandas as pd

    from cogfit.logs.columnar import Frame


def _with_labels(frame: Frame) -> Frame:
    """Label rows without run, layer or head.

    They get `NO_LABEL` where others have a label.
    """
    if isinstance(frame, ColumnTable):
        return frame
    for name in GROUP_COLUMNS:
        if name in frame and frame[name].isna().any():
            labels = frame[name]
            if NO_LABEL not in labels.cat.categories:  # or else a log names it so itself
                labels = labels.cat.add_categories([NO_LABEL])
            frame = frame.assign(**{name: labels.fillna(NO_LABEL)})
    return frame


def _owned(frame: Frame) -> Frame:
    """The frame in memory that may be written to.

    Only what Arrow has lent is copied.
    """
    if isinstance(frame, ColumnTable):  # sees to it itself when it becomes a data frame
        return frame
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


def _check_steps(steps: Numbers, part: Part, path: Path) -> None:
    """Refuse values that were all logged at one step."""
    if len(steps) > 1 and steps[0] == steps[-1] and (steps == steps[0]).all():
        raise InputError(
            f"all {len(steps):,} values of '{part.y_name}' are at {part.x_name} = {steps[0]:g}",
            path=path,
            hint="choose another column with --x, or count the rows with --x row",
        )


def _check_enough(frame: Frame, source: Source, kind: str) -> None:
    if len(frame) >= 2:
        return
    hint = "give a log with at least two rows that have a step and a value"
    reasons = "; ".join(f"{reason}: {count}" for reason, count in source.rows_dropped.items())
    what = f"holds only one usable row of a {kind} log" if len(frame) else f"holds no usable row of a {kind} log"
    raise InputError(
        f"{what} ({source.rows_read} read{'; ' + reasons if reasons else ''})", path=source.path, hint=hint
    )


def join_utilization(
    parts: Sequence[Part], path: Path, wanted: Wanted = ANY, unlike_runs: tuple[str, ...] = ()
) -> tuple[UtilizationLog, tuple[str, ...]]:
    """Make one utilisation log of several parts.

    What a restart has superseded is left out, the last row of each step is kept, and one split and the last training
    are chosen. The log is sorted. It takes the frames of the parts over.

    Parameters
    ----------
    parts : sequence of Part
        Of kind ``"utilization"``, in the order in which they were written.
    path : Path
        What the user asked for.
    wanted : Wanted
        Split and run that the user wants.
    unlike_runs : tuple of str
        Runs that are no replicates of each other.

    Returns
    -------
    log : UtilizationLog
    warnings : tuple of str
    """
    frame = _with_labels(concatenated([part.table for part in parts]))
    steps = whole_steps(np.asarray(frame["step"]))
    if steps.dtype != frame["step"].dtype:
        frame = frame.assign(step=steps)
    _check_steps(steps, parts[0], path)
    rows = Rows(parts, frame)
    rows.name_trainings()
    frame, steps, codes = rows.frame, np.asarray(rows.frame["step"]), rows.codes
    notes = rows.notes()
    # logs are nearly always in order, and then nothing needs to be moved
    order = None
    is_one_group = not set(GROUP_COLUMNS) & set(frame)
    if not (is_one_group and rows.resolution.is_rising) and not _is_in_order(steps, codes):
        order = np.lexsort((steps, codes))  # stable: of equal steps the one that was written last comes last
        if rows.resolution.n_unordered:
            notes.append("rows were not in the order of steps and were sorted")
        is_same = np.zeros(len(order), dtype=bool)
        counting = order[rows.is_kept[order]]
        is_same[counting[:-1]] = (codes[counting[1:]] == codes[counting[:-1]]) & (
            steps[counting[1:]] == steps[counting[:-1]]
        )
        rows.leave_out(is_same, SUPERSEDED_ROW)
    counted = rows.is_kept
    choices = rows.choose(wanted, path)
    source = _source(rows, path, notes, choices, np.asarray(frame["attention_utilization"]), unlike_runs)
    frame = _texts(frame)
    if order is None and not rows.reasons:
        fitted, others = frame, None
    else:
        fitted, others = _chosen_rows(frame, order, rows.is_kept, counted)
    _check_enough(fitted, source, "utilisation")
    log = UtilizationLog(
        frame=_owned(fitted),  # type: ignore[arg-type]  # a `ColumnTable` becomes one
        source=source,
        x_name=parts[0].x_name,
        y_name=parts[0].y_name,
        others=others,
    )
    return log, tuple(dict.fromkeys([warning for part in parts for warning in part.warnings] + rows.doubts()))


def _is_in_order(steps: Numbers, codes: NDArray[np.int64]) -> bool:
    """Whether steps rise within groups that follow each other."""
    rising = steps[1:] > steps[:-1]
    if codes.any():  # perhaps several groups
        rising = (codes[1:] > codes[:-1]) | ((codes[1:] == codes[:-1]) & rising)
    return bool(rising.all())


def _texts(frame: Frame) -> Frame:
    """The frame with labels as plain texts, as callers get them."""
    if isinstance(frame, ColumnTable):
        return frame
    return frame.assign(**{name: frame[name].astype("str") for name in GROUP_COLUMNS if name in frame})


def _chosen_rows(
    frame: Frame, order: NDArray[Any] | None, kept: Mask, counted: Mask
) -> tuple[Frame, pd.DataFrame | None]:
    """The rows that are fitted, and those of other splits, runs and trainings."""
    places = np.arange(len(frame)) if order is None else order
    fitted = taken(frame, places[kept[places]])
    other = counted & ~kept
    return fitted, as_frame(taken(frame, places[other[places]])) if other.any() else None


def _source(
    rows: Rows,
    path: Path,
    notes: Iterable[str],
    choices: Sequence[Choice],
    values: NDArray[np.float64],
    unlike_runs: tuple[str, ...],
) -> Source:
    parts = rows.parts
    all_notes = [note for part in parts for note in part.notes] + list(notes)
    return Source(
        path=str(path),
        format="+".join(dict.fromkeys(part.format for part in parts)),
        rows_read=sum(part.rows_read for part in parts),
        rows_dropped=dict(rows.dropped()),
        notes=tuple(dict.fromkeys(all_notes)),
        branches=rows.branches(values),
        choices=tuple(choices),
        unlike_runs=unlike_runs,
        course=rows.course(values),
    )


def join_routing(
    parts: Sequence[Part], path: Path, wanted: Wanted = ANY, unlike_runs: tuple[str, ...] = ()
) -> tuple[RoutingLog, tuple[str, ...]]:
    """Make one routing log of several parts.

    What a restart has superseded is left out; exposures are counted where they are absent; one split and the last
    training are chosen.

    Parameters
    ----------
    parts : sequence of Part
        Of kind ``"routing"``, in the order in which they were written.
    path : Path
        What the user asked for.
    wanted : Wanted
        Split and run that the user wants.
    unlike_runs : tuple of str
        Runs that are no replicates of each other.

    Returns
    -------
    log : RoutingLog
    warnings : tuple of str
    """
    parts = _alike(parts)
    rows = Rows(parts, _with_labels(concatenated([part.frame for part in parts], (*GROUP_COLUMNS, "pattern"))))
    warnings = [warning for part in parts for warning in part.warnings]
    if rows.resolution.n_unordered:
        warnings.append(
            "the rows of the routing log are not in the order of steps: they were sorted, and rows that a restart "
            "may have superseded cannot be told from the others"
        )
    rows.name_trainings()
    counted = rows.is_kept
    choices = rows.choose(wanted, path)
    warnings += rows.doubts()
    source = _source(rows, path, rows.notes(), choices, _routed(as_frame(rows.frame)), unlike_runs)
    # rows in the order of time; exposures count only rows that were not superseded
    order = rows.resolution.order
    frame, codes = as_frame(rows.frame), rows.codes
    fitted = rows.is_kept
    if order is not None or not fitted.all():
        places = np.flatnonzero(counted) if order is None else order[counted[order]]
        frame, codes, fitted = trimmed(frame.iloc[places].reset_index(drop=True)), codes[places], fitted[places]
    if np.count_nonzero(fitted) < 2:
        _check_enough(frame[fitted], source, "routing")

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
    table = _routing_table(frame, pattern, exposure)
    log = RoutingLog(
        frame=table if fitted.all() else _trimmed_groups(table[fitted]),
        pattern_names=tuple(patterns.categories.tolist()),
        source=source,
        exposure_logged=logged,
        others=None if fitted.all() else _trimmed_groups(table[~fitted]),
    )
    return log, tuple(dict.fromkeys(warnings))


def _routing_table(frame: pd.DataFrame, pattern: NDArray[np.int32], exposure: NDArray[np.int64]) -> pd.DataFrame:
    """Columns in the order that RoutingLog promises."""
    import pandas as pd

    cells: dict[str, Any] = {"step": frame["step"], "pattern": pattern, "exposure": exposure}
    others = [name for name in ("attended", "p_episodic", *GROUP_COLUMNS, "correct", "quality") if name in frame]
    return pd.DataFrame(cells | {name: frame[name] for name in others}, copy=True)  # Arrow's memory is read-only


def _trimmed_groups(frame: pd.DataFrame) -> pd.DataFrame:
    return trimmed(frame.reset_index(drop=True))


def _routed(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Share of attention that each row stands for."""
    name = "p_episodic" if "p_episodic" in frame else "attended"
    return frame[name].to_numpy(dtype=np.float64)


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
        alike.append(replace(part, table=part.frame.drop(columns=extra), notes=(*part.notes, *note)))
    return alike


# --- order and exposure -----------------------------------------------------------------------------------------------


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

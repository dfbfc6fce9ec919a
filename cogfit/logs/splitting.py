"""One log for each run, layer, head or pattern."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from cogfit.errors import InputError
from cogfit.logs.columnar import as_frame
from cogfit.logs.labels import concatenated
from cogfit.logs.model import GROUP_COLUMNS, Log, RoutingLog, Source, UtilizationLog
from cogfit.logs.rows import is_choice

if TYPE_CHECKING:
    import pandas as pd


def split(log: Log, by: tuple[str, ...]) -> Iterator[tuple[dict[str, str], Log]]:
    """Yield each run, layer, head or pattern.

    Parameters
    ----------
    log : Log
    by : tuple of str
        Columns to split by: ``"run"``, ``"layer"``, ``"head"``; in routing logs also ``"pattern"``.

    Yields
    ------
    labels : dict of str to str
        Value of each of these columns.
    log : Log

    Raises
    ------
    InputError
        The log has no such column.
    """
    table = log.routing or log.utilization
    assert table is not None
    _check(by, log, [str(name) for name in table.frame.columns])
    frame = _with_others(table, by) if {"run", "split"} & set(by) else table.frame
    frame = frame[frame["pattern"] >= 0] if "pattern" in by else frame
    for key, rows in frame.groupby(list(by), sort=True, observed=True):
        labels = {name: str(value) for name, value in zip(by, key, strict=True)}
        if "pattern" in labels and log.routing:
            labels["pattern"] = log.routing.pattern_names[int(labels["pattern"])]
        part = rows.reset_index(drop=True)
        yield labels, _with_rows(log, part, _own_account(table.source, part, by))


def _own_account(source: Source, frame: pd.DataFrame, by: tuple[str, ...]) -> Source:
    """The account of a log for some of its rows.

    The others are in other parts; what the log is split by was not chosen.
    """
    dropped = {reason: count for reason, count in source.rows_dropped.items() if not is_choice(reason)}
    elsewhere = source.rows_read - sum(dropped.values()) - source.rows_behind(frame)
    if elsewhere:
        dropped["in other parts of the log"] = elsewhere
    taken = {*by, *({"training"} if "run" in by else ())}
    choices = tuple(choice for choice in source.choices if choice.kind not in taken)
    return replace(source, rows_dropped=dropped, choices=choices)


def _with_others(table: RoutingLog | UtilizationLog, by: tuple[str, ...]) -> pd.DataFrame:
    """Rows that are fitted, and those of other splits, runs and trainings.

    Only of what the log is split by: one run's validation is no part of its training.
    """
    import pandas as pd

    others = table.others
    if others is None:
        return table.frame
    for name in ("run", "split"):
        if name in others and name not in by:
            others = others[others[name].isin(table.frame[name].unique())]
    if isinstance(table, RoutingLog):
        return as_frame(concatenated([table.frame, others]))
    return pd.concat([table.frame, others], ignore_index=True)


def _check(by: tuple[str, ...], log: Log, columns: list[str]) -> None:
    """Refuse names by which the log cannot be split."""
    allowed = [name for name in GROUP_COLUMNS if name in columns]
    allowed += ["pattern"] if log.routing else []
    if not by:
        raise InputError("nothing to split by", hint="name one or more of " + (", ".join(allowed) or "no columns"))
    for name in by:
        if name not in allowed:
            have = ", ".join(allowed) or "none"
            raise InputError(f"the log has no column '{name}' to split by", path=log.path, hint=f"it has: {have}")


def _with_rows(log: Log, frame: pd.DataFrame, source: Source) -> Log:
    """The log with some rows of its table.

    The table is that of the routing if it has both.
    """
    if log.routing is not None:
        return replace(log, routing=replace(log.routing, frame=frame, source=source), utilization=None)
    assert log.utilization is not None
    return replace(log, utilization=replace(log.utilization, frame=frame, source=source))

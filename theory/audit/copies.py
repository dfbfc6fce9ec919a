"""What copies of a frozen state say about its bits: a log of them against T12.

Each run of the log is one fresh table of values: the state of the router was frozen at a time chosen without the
values, and each pattern was asked of a copy of that state, once. Nothing is assumed of the queries before the freeze.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import cogfit
from cogfit.errors import InputError
from theory.bounds.t12_copied_states import Judgement, judge

if TYPE_CHECKING:
    import pandas as pd

    from cogfit import Log, RoutingLog


Booleans = NDArray[np.bool_]
Integers = NDArray[np.int64]


def check_copies(
    log: str | os.PathLike[str] | Log | RoutingLog, *, values: int, bits: float = 0.0, level: float = 0.95
) -> Judgement:
    r"""Judge how many bits copies of a state hold.

    Parameters
    ----------
    log : path, Log or RoutingLog
        A routing log with ``attended`` and ``correct``; each run is a table, each row a copy that was asked.
    values : int
        V: values are uniform on V, independent, fresh for each run.
    bits : float, default 0
        S, the bits claimed of the whole state.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    Judgement

    Raises
    ------
    InputError
        If the log lacks a column, has novel queries, or asks for a pattern twice in one run.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "copies.csv")
    >>> rows = [f"{run},{k},{k},0,1" for run in range(4) for k in range(8)]  # eight values known, four times
    >>> _ = file.write_text("\n".join(["run,step,pattern,attended,correct", *rows]))
    >>> print(check_copies(file, values=16, bits=24))
    24 bits: impossible (p = 7.26e-10, 4 tables); the state holds 30.51 bits or more
    """
    routing = _routing(log)
    frame, path = routing.frame, str(routing.source.path)
    for name, what in (("attended", "executed decisions"), ("correct", "whether each answer was right")):
        if name not in frame:
            raise InputError(f"has no column '{name}'", path=path, hint=f"T12 needs {what}")
    if (frame["pattern"] < 0).any():
        raise InputError("has queries without a pattern", path=path, hint="name the pattern that each copy was asked")
    table = frame["run"].cat.codes.to_numpy().astype(np.int64) if "run" in frame else np.zeros(len(frame), np.int64)
    right, wrong = _answers(frame, table, routing.pattern_names, path)
    return judge(right, wrong, values=values, bits=bits, level=level)


def _routing(log: object) -> RoutingLog:
    if isinstance(log, str | os.PathLike):
        log = cogfit.read_log(log)
    if isinstance(log, cogfit.Log):
        log = log.routing
    if not isinstance(log, cogfit.RoutingLog):
        raise InputError("is no routing log", hint="copies are judged by a log with a row for each pattern asked")
    return log


def _answers(frame: pd.DataFrame, table: Integers, names: tuple[str, ...], path: str) -> tuple[Booleans, Booleans]:
    """Right and wrong answers without attention, by table and pattern."""
    pattern = frame["pattern"].to_numpy()
    asked = np.zeros((int(table.max()) + 1, len(names)), np.int64)
    np.add.at(asked, (table, pattern), 1)
    if asked.max() > 1:
        raise InputError(
            f"asks the pattern '{names[np.argwhere(asked > 1)[0][1]]}' more than once in a run",
            path=path,
            hint="each row is a copy of the state frozen in that run; judge an ordinary log by cogfit theory bound",
        )
    right, wrong = np.zeros(asked.shape, bool), np.zeros(asked.shape, bool)
    is_served, is_right = ~frame["attended"].to_numpy(bool), frame["correct"].to_numpy(bool)
    right[table, pattern], wrong[table, pattern] = is_served & is_right, is_served & ~is_right
    return right, wrong

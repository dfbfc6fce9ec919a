"""``cogfit.follow``: fit a log again whenever it has grown."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from cogfit import fitting
from cogfit.errors import InputError
from cogfit.following.records import COUNTED, FIRST, Look, is_confirmed
from cogfit.logs import read_log
from cogfit.logs.growing import stamp_of, watch
from cogfit.logs.model import Log
from cogfit.records.given import check_path
from cogfit.result import FitResult

GROWTH = 1.1
"""Factor by which a log has grown when it is fitted again: looks are then few, however long it becomes."""

_SMALL = 4096  # bytes of a log that may be too short to be read

A = TypeVar("A")
T = TypeVar("T")


def follow(
    path: str | os.PathLike[str],
    *,
    every: float = 2.0,
    idle: float | None = None,
    read: Callable[[str | os.PathLike[str]], Log] | None = None,
    fit: Callable[[Log], FitResult] | None = None,
    note: Callable[[str], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    **options: Any,
) -> Iterator[Look]:
    """Fit a log again whenever it has grown.

    It is worth a fit when it has a tenth more rows.

    Parameters
    ----------
    path : path
        File or folder to which training writes.
    every : float, default 2
        Seconds between two looks at the file.
    idle : float, optional
        End after so many seconds without new rows. Default: go on for ever.
    read : callable, optional
        Reads the log. Default: :func:`cogfit.read_log`.
    fit : callable, optional
        Fits it. Default: :func:`cogfit.fit` with the `options`.
    note : callable, optional
        Called with why a log cannot be fitted yet.
    sleep : callable
        Waits so many seconds.
    **options
        Of :func:`cogfit.fit`.

    Yields
    ------
    Look
        Of these, the ones at twice the points count, and all verdicts that they confirm keep their level together.

    Raises
    ------
    InputError
        If the log cannot be read (a short one may still become one), or has lost rows.

    Examples
    --------
    >>> import cogfit, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "log.csv")
    ...     cogfit.simulate("power", {"gamma": 0.43}, n=60, sigma=0.002, rng=1).to_csv(path, index=False)
    ...     for look in cogfit.follow(path, idle=1.0, every=1.0, sleep=lambda _: None, form="power"):
    ...         print(look.rows, round(look.fit.gamma, 2))
    60 0.43
    """
    check_path("path", path, "name the file or folder to which training writes")
    if not Path(path).exists():
        raise InputError("does not exist", path=str(path), hint="check the path; training has to write to it first")
    read_path = read or read_log
    fit_log = fit or partial(fitting.fit, **options)
    patience = _Patience(Path(path), note or (lambda _: None))
    last: Look | None = None
    for log in watch(
        path, partial(patience.tries, read_path, path), rows_of, growth=GROWTH, every=every, idle=idle, sleep=sleep
    ):
        found = patience.tries(fit_log, log)
        if found is not None:
            last = next_look(last, rows_of(log), found, path)
            yield last


@dataclass
class _Patience:
    """Tries again later where a log is too short, or just being written."""

    path: Path
    note: Callable[[str], None]
    has_worked: bool = False
    said: str = ""

    def tries(self, work: Callable[[A], T], argument: A) -> T | None:
        """Do the work; None where it may be possible later."""
        try:
            found = work(argument)
        except InputError as error:
            is_short = sum(size for _, size, _ in stamp_of(self.path)) < _SMALL
            if not (self.has_worked or is_short):
                raise
            if self.said != str(error):
                self.said = str(error)
                self.note(f"waiting for more rows: {error}")
            return None
        self.has_worked = self.has_worked or isinstance(found, FitResult)
        return found


def rows_of(log: Log) -> int:
    """Rows of what is fitted.

    Parameters
    ----------
    log : Log
    """
    part = log.routing or log.utilization
    return 0 if part is None else part.source.rows_read


def next_look(last: Look | None, rows: int, fit: FitResult, path: str | os.PathLike[str] = "") -> Look:
    """Say what a look counts for after the last one.

    Parameters
    ----------
    last : Look or None
    rows : int
    fit : FitResult
    path : path
        For messages.

    Raises
    ------
    InputError
        If rows have gone.
    """
    if last is None:
        last = Look(0, 0, n_counted=0, is_counted=False, confirmed="", confirmed_at=0, next_points=FIRST, fit=fit)
    if rows < last.rows:
        raise InputError(
            f"had {last.rows:,} rows and has {rows:,}", path=str(path), hint="follow a new run in a file of its own"
        )
    look = replace(last, number=last.number + 1, rows=rows, is_counted=False, fit=fit)
    if not 0 < last.next_points <= fit.n:
        return look
    n_counted = last.n_counted + 1
    look = replace(look, is_counted=True, n_counted=n_counted, next_points=2 * fit.n if n_counted < COUNTED else 0)
    verdict, tests = fit.verdict.power_law, {item.name: item.test for item in fit.forms}
    p_values = {name: test.p_value for name, test in tests.items() if test is not None}
    return replace(look, confirmed=verdict, confirmed_at=fit.n) if is_confirmed(verdict, p_values) else look

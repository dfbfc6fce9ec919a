"""A log that grows: read again whenever it has more rows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from cogfit.errors import InputError

T = TypeVar("T")

Stamp = tuple[tuple[str, int, int], ...]
"""Name, size and time of each file of a log."""


def watch(
    path: str | os.PathLike[str],
    read: Callable[[], T | None],
    size: Callable[[T], int],
    *,
    growth: float = 1.0,
    every: float = 2.0,
    idle: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[T]:
    """Yield a log anew each time it has grown.

    Parameters
    ----------
    path : path
        File or folder to look at.
    read : callable
        Reads the log; None where it cannot be read yet.
    size : callable
        Rows of what was read.
    growth : float
        By what factor it has to grow to be yielded, besides by a row; what is left then comes before the end.
    every : float
        Seconds between two looks at the file.
    idle : float, optional
        End after so many seconds without a change. Default: go on for ever.
    sleep : callable
        Waits so many seconds.

    Yields
    ------
    object
        What `read` returns; also where there are fewer rows than before.

    Raises
    ------
    InputError
        If the pause is none. Errors of `read` pass through.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = pathlib.Path(folder, "log.txt")
    ...     _ = log.write_text("a")
    ...     lines = lambda: log.read_text().split()
    ...     list(watch(log, lines, len, every=1.0, idle=2.0, sleep=lambda _: log.write_text("a b") and None))
    [['a'], ['a', 'b']]
    """
    if not every > 0:
        raise InputError(f"a pause of {every:g} seconds", hint="give more than 0")
    seen, shown, waited = None, 0, 0.0
    pending: T | None = None
    while idle is None or waited <= idle:
        stamp = stamp_of(Path(path))
        if stamp != seen:
            found = read()
            rows = 0 if found is None else size(found)
            if found is not None and (rows < shown or rows > max(growth * shown, shown)):
                shown, waited, pending = rows, 0.0, None
                yield found
            elif found is not None and rows > shown:
                waited, pending = 0.0, found
            seen = stamp
        sleep(every)
        waited += every
    if pending is not None:
        yield pending


def stamp_of(path: Path) -> Stamp:
    """What changes when a file of a log grows.

    Parameters
    ----------
    path : Path
        File or folder.
    """
    files = sorted(path.rglob("*")) if path.is_dir() else [path] if path.exists() else []
    stats = [(str(file), file.stat()) for file in files]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)

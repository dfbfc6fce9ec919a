"""Write utilisation and routing from training code.

They are appended as JSON lines, one complete line per write.

Imports nothing but the standard library, so that a training script pays nothing for it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import threading
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cogfit.errors import InputError
from cogfit.records.arrays import is_missing

try:
    import fcntl
except ImportError:  # not on Windows, where a file is repaired without asking whether others write to it
    fcntl = None  # type: ignore[assignment]

RANK_VARIABLES = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "LOCAL_RANK")
"""Environment variables that tell a process its rank, most trustworthy first."""

_FILE_SUFFIXES = (".jsonl", ".ndjson", ".json")
_BLOCK = 1 << 16


class UtilizationLogger:
    """Write a training log that `cogfit.read_log` reads.

    Every call appends complete lines by a single unbuffered ``write`` to a file opened for appending. A crash therefore
    loses at most the last line; what is left of it is removed when the file is opened again, so that a resumed run
    begins on a line of its own. A forked child opens the files anew; threads may share a logger.

    Parameters
    ----------
    path : str or Path
        A folder (made if need be), which gets ``utilization.jsonl`` and, once `log_routing` is called,
        ``routing.jsonl``; or a file ending in .jsonl, .ndjson or .json, beside which routing goes to
        ``<name>.routing.jsonl``.
    rank : int, optional
        Rank of this process. By default the first of `RANK_VARIABLES` in the environment that holds a number, else 0.
    all_ranks : bool, default False
        By default only rank 0 writes and every other rank's calls do nothing, because after an all-reduce all ranks
        would write the same. If True every rank writes: rank 0 to ``utilization.jsonl``, rank 1 to
        ``utilization.rank1.jsonl``, and so on; each row then has the field ``rank``.
    run : str, optional
        Name of the run, written with every row that is not given another one.

    Attributes
    ----------
    rank : int
    enabled : bool
        Whether this process writes.
    utilization_path, routing_path : Path
    notes : tuple of str
        What was done to files that a crash had left behind.

    Raises
    ------
    InputError
        The folder or file cannot be made or written, or holds something else than JSON lines.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with UtilizationLogger(folder, rank=0) as logger:
    ...     logger.log(0, 0.98, layer=1, loss=2.5)
    ...     logger.log(1, 0.91, layer=1, loss=float("nan"))
    >>> print(logger.utilization_path.read_text(), end="")
    {"step":0,"attention_utilization":0.98,"layer":1,"loss":2.5}
    {"step":1,"attention_utilization":0.91,"layer":1,"loss":null}
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rank: int | None = None,
        all_ranks: bool = False,
        run: str | None = None,
    ) -> None:
        self.rank = _environment_rank() if rank is None else _whole(rank, "rank")
        if self.rank < 0:
            raise InputError(f"`rank` must not be negative: {self.rank}")
        self.enabled = all_ranks or self.rank == 0
        self.run = run
        self.notes: tuple[str, ...] = ()
        self._extra = {"rank": self.rank} if all_ranks else {}
        self.utilization_path, self.routing_path = _paths(Path(path), self.rank)
        self._descriptors: dict[Path, int] = {}
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._closed = False
        if self.enabled:
            try:
                self.utilization_path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"cannot be made: {error.strerror}", path=self.utilization_path.parent) from None
            with self._lock:
                self._descriptor(self.utilization_path)
        _live.add(self)

    def log(
        self,
        step: Any,
        attention_utilization: Any,
        *,
        layer: Any = None,
        head: Any = None,
        run: str | None = None,
        **extra: Any,
    ) -> None:
        """Append one row of the utilisation log.

        Parameters
        ----------
        step : int
            Training step, not negative.
        attention_utilization : float
            Fraction of queries that attended, in [0, 1]; a tensor with one element will do.
        layer, head : int or str, optional
        run : str, optional
        **extra
            Anything else to keep: numbers, strings, arrays. What is not finite is written as null.

        Raises
        ------
        InputError
            An argument has no meaning; the message names it.
        """
        if not self.enabled:
            return
        row = {"step": _step(step), "attention_utilization": _fraction(attention_utilization, "attention_utilization")}
        row.update(self._labels(layer, head, run))
        row.update({name: _jsonable(value, name) for name, value in extra.items()})
        self._append(self.utilization_path, _line(row))

    def log_routing(
        self,
        step: Any,
        pattern: Any,
        attended: Any = None,
        p_episodic: Any = None,
        *,
        exposure: Any = None,
        correct: Any = None,
        quality: Any = None,
        layer: Any = None,
        head: Any = None,
        run: str | None = None,
    ) -> None:
        """Append one row per routed query.

        All rows are written at once.

        Parameters
        ----------
        step : int
            Training step, not negative.
        pattern : array_like of int or str
            Which pattern each query asked for; None, NaN or −1 for a novel one. Any shape.
        attended : array_like of bool, optional
            Whether the query attended, as bool or 0/1.
        p_episodic : array_like of float, optional
            Probability of attending, in [0, 1]. At least one of `attended` and `p_episodic` is needed.
        exposure : array_like of int, optional
            Earlier presentations of the pattern; counted by the reader when not given.
        correct, quality : array_like, optional
            Whether the answer was right (bool or 0/1), and the quality predicted or reached (a number; null where it
            is not finite).
        layer, head : int or str, optional
            The same for all queries.
        run : str, optional

        Notes
        -----
        Arrays have as many elements as `pattern`; a single number holds for all queries.
        """
        if not self.enabled:
            return
        if attended is None and p_episodic is None:
            raise InputError("one of `attended` and `p_episodic` is needed")
        # check everything before anything is written
        first = {"step": _step(step)}
        last = self._labels(layer, head, run)
        patterns = [_pattern(value) for value in _flat(pattern, "pattern")]
        columns: dict[str, list[Any]] = {"pattern": patterns}
        for name, values, check in (
            ("exposure", exposure, _count),
            ("attended", attended, _zero_or_one),
            ("p_episodic", p_episodic, _fraction),
            ("correct", correct, _zero_or_one),
            ("quality", quality, _number_or_null),
        ):
            if values is None:
                continue
            checked = [check(value, name) for value in _flat(values, name)]
            # a single number holds for all queries
            if len(checked) == 1 and not isinstance(_plain(values), list | tuple | range):
                checked *= len(patterns)
            if len(checked) != len(patterns):
                raise InputError(f"`{name}` has {len(checked)} elements, `pattern` has {len(patterns)}")
            columns[name] = checked
        # all lines by one write, so that no other writer comes in between
        rows = zip(*columns.values(), strict=True)
        lines = [_line({**first, **dict(zip(columns, row, strict=True)), **last}) for row in rows]
        if lines:
            self._append(self.routing_path, b"".join(lines))

    def flush(self, sync: bool = False) -> None:
        """Make sure that everything is written.

        Parameters
        ----------
        sync : bool, default False
            Nothing is ever buffered in this process, so without `sync` there is nothing to do. With it, wait until the
            disk has the data, which makes them survive a power failure, too.
        """
        if not sync:
            return
        with self._lock:
            for path, descriptor in self._descriptors.items():
                try:
                    os.fsync(descriptor)
                except OSError as error:
                    raise InputError(f"cannot be written: {error.strerror}", path=path) from None
            for folder in {path.parent for path in self._descriptors}:
                _sync_folder(folder)

    def close(self) -> None:
        """Close the files.

        The logger cannot be used again. Closing twice does no harm.
        """
        with self._lock:
            self._closed = True
            self._drop_descriptors()

    def __enter__(self) -> Self:
        """Return the logger itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files."""
        self.close()

    def __del__(self) -> None:
        """Give the file descriptors back."""
        if hasattr(self, "_descriptors"):
            self._drop_descriptors()

    def _labels(self, layer: Any, head: Any, run: str | None) -> dict[str, Any]:
        given = {"layer": layer, "head": head, "run": self.run if run is None else run}
        return {
            **{name: _jsonable(value, name) for name, value in given.items() if value is not None},
            **self._extra,
        }

    def _append(self, path: Path, lines: bytes) -> None:
        if os.getpid() != self._pid:  # forked where the hook below is not called
            self._after_fork()
        with self._lock:
            if self._closed:
                raise InputError("the logger is closed", path=path)
            descriptor = self._descriptor(path)
            try:
                written = os.write(descriptor, lines)
                while written < len(lines):  # happens when the disk is full, or with several gigabytes
                    written += os.write(descriptor, lines[written:])
            except OSError as error:
                # Close, so that the next call opens the file again and removes the part of a line.
                os.close(self._descriptors.pop(path))
                raise InputError(f"cannot be written: {error.strerror}", path=path) from None

    def _descriptor(self, path: Path) -> int:
        if path not in self._descriptors:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            except OSError as error:
                raise InputError(f"cannot be written: {error.strerror}", path=path) from None
            try:
                note = _repair(descriptor, path)
            except OSError as error:
                os.close(descriptor)
                raise InputError(f"cannot be repaired: {error.strerror}", path=path) from None
            except InputError:
                os.close(descriptor)
                raise
            if note:
                self.notes = (*self.notes, note)
            self._descriptors[path] = descriptor
        return self._descriptors[path]

    def _drop_descriptors(self) -> None:
        for descriptor in self._descriptors.values():
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._descriptors.clear()

    def _after_fork(self) -> None:
        """Start anew in a forked child.

        The lock may be held by a thread that does not exist here.
        """
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._drop_descriptors()


_live: weakref.WeakSet[UtilizationLogger] = weakref.WeakSet()


def _all_after_fork() -> None:
    for logger in list(_live):
        logger._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_all_after_fork)


# --- files ------------------------------------------------------------------------------------------------------------


def _environment_rank() -> int:
    for variable in RANK_VARIABLES:
        text = os.environ.get(variable, "").strip()
        if text.isdecimal():
            return int(text)
    return 0


def _paths(path: Path, rank: int) -> tuple[Path, Path]:
    """Where utilisation and routing go.

    Examples
    --------
    >>> [place.as_posix() for place in _paths(Path("runs/a"), 0)]
    ['runs/a/utilization.jsonl', 'runs/a/routing.jsonl']
    >>> [place.as_posix() for place in _paths(Path("runs/a.jsonl"), 2)]
    ['runs/a.rank2.jsonl', 'runs/a.routing.rank2.jsonl']
    """
    part = f".rank{rank}" if rank else ""
    if path.suffix in _FILE_SUFFIXES and not path.is_dir():
        return path.with_name(f"{path.stem}{part}{path.suffix}"), path.with_name(f"{path.stem}.routing{part}.jsonl")
    return path / f"utilization{part}.jsonl", path / f"routing{part}.jsonl"


def _sync_folder(folder: Path) -> None:
    """Make the names of new files survive a power failure.

    As far as the system lets a folder be opened.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _repair(descriptor: int, path: Path) -> str | None:
    """Make the file end with a complete line.

    Return what was done.

    The end of a file may look torn while another process is writing to it. Every logger holds a shared lock on its
    file, and only one that finds itself alone removes anything.
    """
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # others write here; the first of them has repaired the file
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            return None
        except OSError:  # a file system without locks: trust that each rank has one process
            return _repair_tail(descriptor, path)
    try:
        return _repair_tail(descriptor, path)
    finally:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_SH)


def _repair_tail(descriptor: int, path: Path) -> str | None:
    size = os.lseek(descriptor, 0, os.SEEK_END)
    tail = b""
    start = size
    while start and b"\n" not in tail:
        block = min(_BLOCK, start)
        start -= block
        os.lseek(descriptor, start, os.SEEK_SET)
        tail = os.read(descriptor, block) + tail
    tail = tail[tail.rfind(b"\n") + 1 :]
    if not tail:
        return None
    if not tail.startswith(b"{"):
        raise InputError("does not end with JSON lines", path=path, hint="give another file to write to")
    try:
        json.loads(tail)
    except ValueError:
        os.ftruncate(descriptor, size - len(tail))
        return f"{path}: an incomplete last line of {len(tail)} bytes was removed"
    os.write(descriptor, b"\n")
    return f"{path}: the last line had no end, which was added"


# --- values -----------------------------------------------------------------------------------------------------------


def _line(row: dict[str, Any]) -> bytes:
    return json.dumps(row, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _plain(value: Any) -> Any:
    """Turn numbers and arrays into Python's own.

    Those of numpy, torch, Arrow and the like, without knowing these libraries. What is missing in pandas is NaN.
    """
    for method in ("tolist", "item", "to_pylist", "to_list", "as_py"):
        convert = getattr(value, method, None)
        if callable(convert):
            return convert()
    return math.nan if is_missing(value) else value


def _single(value: Any, name: str) -> Any:
    value = _plain(value)
    while isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, list | tuple):
        raise InputError(f"`{name}` must be one number, but has {len(value)} elements")
    return value


def _number(value: Any, name: str) -> float:
    single = _single(value, name)
    if isinstance(single, str | bytes):  # float() would take these
        raise InputError(f"`{name}` must be a number, not {single!r}")
    try:
        return float(single)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"`{name}` must be a number, not {single!r:.60}") from None


def _fraction(value: Any, name: str) -> float:
    number = _number(value, name)
    if not 0.0 <= number <= 1.0:  # NaN, too
        raise InputError(f"`{name}` must be a fraction between 0 and 1, not {number}")
    return number


def _number_or_null(value: Any, name: str) -> float | None:
    number = _number(value, name)
    return number if math.isfinite(number) else None


def _whole(value: Any, name: str) -> int:
    single = _single(value, name)
    number = _number(single, name)
    if isinstance(single, bool) or not math.isfinite(number) or number != int(number):
        raise InputError(f"`{name}` must be a whole number, not {single!r}")
    return int(single)


def _count(value: Any, name: str) -> int:
    number = _whole(value, name)
    if number < 0:
        raise InputError(f"`{name}` must not be negative: {number}")
    return number


def _step(value: Any) -> int:
    return _count(value, "step")


def _zero_or_one(value: Any, name: str) -> int:
    number = _number(value, name)
    if number not in (0.0, 1.0):
        raise InputError(f"`{name}` must be true or false, or 0 or 1, not {value!r}")
    return int(number)


def _pattern(value: Any) -> int | str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and math.isnan(value):
        return None
    number = _whole(value, "pattern")
    if number < -1:
        raise InputError(f"`pattern` must be −1 (novel) or more, not {number}", hint="name patterns by str(number)")
    return None if number == -1 else number


def _flat(values: Any, name: str) -> list[Any]:
    """List the elements of an array of any shape.

    Nested sequences are taken row by row.
    """
    values = _plain(values)
    if isinstance(values, list | tuple | range):
        return [element for part in values for element in _flat(part, name)]
    if isinstance(values, dict | set | frozenset):
        raise InputError(f"`{name}` must be an array or a sequence, not a {type(values).__name__}")
    return [values]


def _jsonable(value: Any, name: str) -> Any:
    value = _plain(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _jsonable(part, name) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(part, name) for part in value]
    if isinstance(value, os.PathLike):
        return str(value)
    raise InputError(f"`{name}` cannot be written as JSON: it is a {type(value).__name__}")

"""Reader of MLflow's SQLite tracking database, without MLflow.

Only the tables ``metrics``, ``runs`` and ``experiments`` are read, through a connection that cannot write. The file is
not trusted: views and virtual tables in the place of tables are refused, and no extension is ever loaded.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from cogfit.errors import InputError
from cogfit.logs.formats.reader import Evidence, Raw, Reader, ReadOptions
from cogfit.logs.formats.wide import Series, widen
from cogfit.logs.labels import label_text

if TYPE_CHECKING:
    import sqlite3

MAGIC = b"SQLite format 3\0"

_NEEDED = {
    "metrics": {"key", "value", "timestamp", "run_uuid", "step", "is_nan"},
    "runs": {"run_uuid", "name", "lifecycle_stage", "start_time"},
}
_LARGEST = 1.7976931348623157e308  # MLflow stores infinity as the largest float
_NUMERIC = "(typeof(step) = 'integer' AND typeof(timestamp) = 'integer' AND (is_nan OR typeof(value) = 'real'))"


def recognise(path: Path, head: bytes) -> bool:
    """Whether a file is an SQLite database.

    `read` then says if the tables are not MLflow's.
    """
    return head.startswith(MAGIC)


def read(path: Path, options: ReadOptions) -> Raw:
    """Read every metric of every run.

    Runs that have been deleted are left out.

    Parameters
    ----------
    path : Path
        The database, ``mlflow.db``.
    options : ReadOptions

    Returns
    -------
    Raw
        The wide form made by `cogfit.logs.formats.wide.widen`, in the order of time within a run. A run is called by
        its name, followed by the start of its id where several runs have the same name.

    Raises
    ------
    InputError
        The file is no database of MLflow, is damaged, or holds no metric.
    """
    import sqlite3

    path = Path(path)
    try:
        return _read(path, options)
    except (sqlite3.Error, sqlite3.Warning, UnicodeError) as error:  # the last: a damaged name in SQLite's own message
        raise InputError(
            f"cannot be read as an SQLite database: {error}", path=path, hint="give MLflow's own mlflow.db"
        ) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None


READER = Reader(
    name="mlflow",
    title="MLflow",
    recognise=recognise,
    read=read,
    rank=8,
    other_names=("sqlite",),
    evidence=Evidence.MAGIC,
)


def _read(path: Path, options: ReadOptions) -> Raw:
    import sqlite3

    with path.open("rb") as handle:
        if handle.read(len(MAGIC)) != MAGIC:
            raise InputError("is no SQLite database", path=path, hint="give MLflow's own mlflow.db, not compressed")
    with closing(_connect(path)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000_000)
        for guard in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON"):
            connection.execute(f"PRAGMA {guard}")
        _check_tables(connection, path)
        runs = connection.execute(
            "SELECT run_uuid, name FROM runs WHERE lifecycle_stage IS NOT 'deleted' ORDER BY start_time, rowid"
        ).fetchall()
        n_deleted = _count(connection, "runs WHERE lifecycle_stage IS 'deleted'")
        n_orphans = _count(connection, "metrics WHERE run_uuid NOT IN (SELECT run_uuid FROM runs)")
        n_no_number = _count(
            connection,
            f"metrics JOIN runs USING (run_uuid) WHERE lifecycle_stage IS NOT 'deleted' AND NOT ({_NUMERIC})",
        )
        names: dict[str, int] = {}
        parts = []
        for number, (run_uuid, _) in enumerate(runs):
            rows = connection.execute(
                f"SELECT step, timestamp, key, iif(is_nan, NULL, value) FROM metrics WHERE run_uuid = ? AND {_NUMERIC} "
                "ORDER BY timestamp, rowid",  # rowid: the order in which rows were written
                (run_uuid,),
            ).fetchall()
            parts.append(_series(rows, names))
            if options.progress is not None:
                options.progress(number + 1, len(runs), path.name)
    if not any(len(part) for part in parts):
        raise InputError("holds no metric", path=path, hint="log attention_utilization with mlflow.log_metric")
    labelled = [(label, [part]) for label, part in zip(run_labels(runs), parts, strict=True)]
    frame, notes, _ = widen(labelled, list(names), path=path, options=options)
    dropped = {"value is no number": n_no_number, "metric of no run": n_orphans}
    dropped = {reason: count for reason, count in dropped.items() if count}
    if n_deleted:
        notes = (f"left out, because marked as deleted: {n_deleted} run(s)", *notes)
    return Raw(frame, READER.name, len(frame) + sum(dropped.values()), dropped, notes)


def _count(connection: sqlite3.Connection, rows: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {rows}").fetchone()[0])


def _connect(path: Path) -> sqlite3.Connection:
    import sqlite3

    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    if hasattr(os, "statvfs") and os.statvfs(path).f_flag & os.ST_RDONLY:
        # SQLite wants to keep its lock and log files beside the database; on read-only media nobody else writes either.
        address += "&immutable=1"
    return sqlite3.connect(address, uri=True, timeout=10.0)


def _check_tables(connection: sqlite3.Connection, path: Path) -> None:
    for table, needed in _NEEDED.items():
        count = connection.execute(
            "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ? AND sql LIKE 'CREATE TABLE%'",
            (table,),
        ).fetchone()
        columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        if count != (1,) or not needed <= columns:
            raise InputError(
                f"is an SQLite database, but not MLflow's: no proper table '{table}'",
                path=path,
                hint="give MLflow's own mlflow.db, or export the values as CSV",
            )


def _series(rows: list[tuple[int, int, str, float | None]], names: dict[str, int]) -> Series:
    step, timestamp, key, value = zip(*rows, strict=True) if rows else ((),) * 4
    values = np.array(value, dtype=np.float64)  # None becomes NaN
    values[np.abs(values) == _LARGEST] *= np.inf
    return Series(
        np.array(step, dtype=np.int64),
        np.array(timestamp, dtype=np.float64) / 1000.0,
        np.array([names.setdefault(str(name), len(names)) for name in key], dtype=np.int64),
        values,
    )


def run_labels(runs: Sequence[tuple[str, str | None]]) -> list[str]:
    """Name each run.

    Runs of the same name are told apart by the first 8 characters of their ids, or by the whole ids. So are runs that
    are called as another one would then be. Entries with the same name and id are one run.

    Examples
    --------
    >>> run_labels([("0123456789", "a"), ("abcdefghij", "b"), ("9876543210", "a"), ("5555555555", None)])
    ['a (01234567)', 'b', 'a (98765432)', '55555555']
    """
    texts = [(label_text(str(run_id)) or "", label_text(str(name or ""))) for run_id, name in runs]
    place = {run: number for number, run in enumerate(dict.fromkeys(texts), start=1)}
    longer = dict.fromkeys(place, 0)  # by how much each label is longer than the shortest
    while True:
        labels = {run: _run_label(*run, place[run], length) for run, length in longer.items()}
        count = Counter(labels.values())
        alike = [run for run, label in labels.items() if count[label] > 1]
        if not alike:
            return [labels[run] for run in texts]
        longer |= {run: longer[run] + 1 for run in alike}


def _run_label(run_id: str, name: str | None, place: int, longer: int) -> str:
    """Label of a run: its name, then with ever more of its id, in the end with its place among the runs."""
    ids = longer + (name is None)  # a run without a name is called by its id
    own = run_id[:8] if ids < 2 else run_id + f" #{place}" * (ids - 2)
    if name is None:
        return own.strip() or f"#{place}"
    return f"{name} ({own})" if ids else name

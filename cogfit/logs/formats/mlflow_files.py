"""Reader of MLflow's file store (``mlruns``), without MLflow.

A run is a folder with ``meta.yaml`` and ``metrics``; of the latter, each file holds one metric, named by its path, and
each of its lines one value: ``timestamp value step``, in milliseconds since the epoch. Some versions write no step, and
others the name and digest of a data set behind it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from cogfit.errors import InputError, printable
from cogfit.logs.formats.contents import TRUNCATED, is_text, walk_files
from cogfit.logs.formats.mlflow import run_labels
from cogfit.logs.formats.reader import Evidence, Raw, Reader, ReadOptions
from cogfit.logs.formats.wide import Series, join, widen
from cogfit.progress import Stages

METRICS, META = "metrics", "meta.yaml"

MALFORMED = "malformed line of a metric"

_NUMBER = rb"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|[iI]nf(?:inity)?|[nN]a[nN])"
_LINE = re.compile(rb"(\d{1,18}) (" + _NUMBER + rb")(?: (-?\d{1,18})(?: \S+ \S+)?)?\r?")


def recognise(path: Path, head: bytes) -> bool:
    """Whether a file or folder is of a file store.

    A metric is known by ``meta.yaml`` beside its folder of metrics, or else by its lines.
    """
    try:
        if path.is_dir():
            return any(_metrics_folder(file) and recognise(file, _start(file)) for file in walk_files(path))
        folder = _metrics_folder(path)
    except (OSError, ValueError):
        return False
    if folder is None:
        return False
    lines = head.splitlines()[:20]
    has_values = is_text(head) and bool(lines) and all(map(_LINE.fullmatch, lines[:-1] or lines))
    return has_values or (_is_run(folder.parent) and is_text(head))


def read(path: Path, options: ReadOptions) -> Raw:
    """Read every metric of every run.

    Runs that have been deleted are left out.

    Parameters
    ----------
    path : Path
        A store, an experiment, a run, a folder of metrics, or a folder with any of them in the tree below it. Of a
        single metric the run does not matter.
    options : ReadOptions

    Returns
    -------
    Raw
        The same columns as those of MLflow's database, see `cogfit.logs.formats.mlflow.read`.

    Raises
    ------
    InputError
        There is no metric, or no line of one can be read.
    """
    path = Path(path)
    runs, notes = _find_runs(path)
    names: dict[str, int] = {}
    dropped: Counter[str] = Counter()
    total, done = sum(_size(file) for run in runs for file in run.metrics.values()), 0
    parts = []
    for run in runs:
        series = []
        for name, file in run.metrics.items():
            series.append(_read_metric(file, names.setdefault(name, len(names)), dropped, notes))
            done += _size(file)
            Stages(options.progress, total)(done, total, file.name)
        values = join(series)
        order = np.argsort(values.wall_time, kind="stable")
        parts.append(Series(values.step[order], values.wall_time[order], values.name[order], values.value[order]))
    if not any(len(part) for part in parts):
        reasons = "; ".join([*(f"{reason}: {count}" for reason, count in dropped.items()), *notes])
        raise InputError(
            f"holds no metric of MLflow that can be read{f' ({reasons})' if reasons else ''}",
            path=path,
            hint="give the folder mlruns, or log attention_utilization with mlflow.log_metric",
        )
    labels = run_labels([(run.run_id, run.name) for run in runs])
    labelled = [(label, [part]) for label, part in zip(labels, parts, strict=True)]
    frame, more, _ = widen(labelled, list(names), path=path, options=options)
    return Raw(frame, READER.name, len(frame) + dropped.total(), dict(dropped), (*notes, *more))


READER = Reader(
    name="mlflow_files",
    title="MLflow file store",
    recognise=recognise,
    read=read,
    takes_folders=True,
    names_runs=True,
    rank=9,
    other_names=("mlruns", "file_store"),
    evidence=Evidence.KEYS,
)


# --- runs -------------------------------------------------------------------------------------------------------------


@dataclass
class _Run:
    """A run and its files by metric."""

    run_id: str
    name: str | None
    start_time: float
    is_deleted: bool
    metrics: dict[str, Path] = field(default_factory=dict)


def _find_runs(path: Path) -> tuple[list[_Run], list[str]]:
    """Find the runs below a folder, in order of time.

    Also return notes. A single metric is read even if its run was deleted, or if it lies elsewhere.
    """
    is_folder = path.is_dir()
    runs: dict[Path, _Run] = {}
    for file, folder in _metric_files(path) if is_folder else [(path, _metrics_folder(path) or path.absolute().parent)]:
        if folder.parent not in runs:
            runs[folder.parent] = _describe(folder.parent)
        runs[folder.parent].metrics[printable(file.absolute().relative_to(folder).as_posix())] = file
    ordered = sorted(runs.values(), key=lambda run: run.start_time)
    kept = [run for run in ordered if not run.is_deleted]
    if len(kept) == len(ordered):
        return kept, []
    if not is_folder:
        return ordered, ["the run of this metric is marked as deleted"]
    return kept, [f"left out, because marked as deleted: {len(ordered) - len(kept)} run(s)"]


def _metric_files(path: Path) -> Iterator[tuple[Path, Path]]:
    """Files of metrics below a folder, each with its folder of metrics."""
    for file in walk_files(path):
        folder = None if file.name.startswith(".") else _metrics_folder(file)
        if folder is not None and (_is_run(folder.parent) or recognise(file, _start(file))):
            yield file, folder


def _metrics_folder(file: Path) -> Path | None:
    """The folder of metrics that a file lies in.

    It is the outermost one of a run, or the innermost one of that name where none belongs to a run.
    """
    around = [parent for parent in file.absolute().parents if parent.name == METRICS]
    of_run = [parent for parent in around if _is_run(parent.parent)]
    return of_run[-1] if of_run else around[0] if around else None


def _is_run(folder: Path) -> bool:
    return bool(_meta(folder / META).get("run_id"))


def _describe(folder: Path) -> _Run:
    meta = _meta(folder / META)
    try:
        start_time = float(meta.get("start_time", "nan"))
    except ValueError:
        start_time = float("nan")
    return _Run(
        run_id=meta.get("run_id", printable(folder.name)),
        name=meta.get("run_name"),
        start_time=start_time if start_time == start_time else float("inf"),
        is_deleted=meta.get("lifecycle_stage") == "deleted",
    )


def _meta(file: Path) -> dict[str, str]:
    """Entries of a ``meta.yaml``, as far as they matter here."""
    try:
        status = file.stat()
        return _parsed_meta(file, status.st_mtime_ns, status.st_size)
    except (OSError, ValueError):
        return {}


@lru_cache(maxsize=10_000)
def _parsed_meta(file: Path, changed: int, size: int) -> dict[str, str]:
    with file.open("rb") as handle:
        return parse_meta(handle.read(65_536).decode("utf-8", "replace"))


def parse_meta(text: str) -> dict[str, str]:
    r"""Read the entries that MLflow writes, texts and numbers.

    Long texts go on in indented lines. Lists and empty entries are left out, and what is older is renamed as it is
    today.

    Examples
    --------
    >>> parse_meta("run_uuid: abc\nrun_name: 'it''s 1'\ntags: []\nend_time: null\nstatus: 3\n")
    {'run_id': 'abc', 'run_name': "it's 1", 'status': '3'}
    """
    entries: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        entry = re.match(r"([A-Za-z_]+):(?: (.*))?$", line)
        if entry:
            last = entry[1]
            entries[last] = (entry[2] or "").strip()
        elif line.startswith(" ") and last:
            entries[last] = f"{entries[last]} {line.strip()}".strip()
    if "run_uuid" in entries:
        entries.setdefault("run_id", entries["run_uuid"])
        del entries["run_uuid"]
    unquoted = {name: _unquoted(value) for name, value in entries.items()}
    return {name: value for name, value in sorted(unquoted.items()) if value}


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == "'":
        return value[1:-1].replace("''", "'")
    if len(value) > 1 and value[0] == value[-1] == '"':
        try:
            return str(json.loads(value))
        except ValueError:
            return value[1:-1]
    return "" if value in ("null", "~", "[]", "{}") else value


# --- values -----------------------------------------------------------------------------------------------------------


def _read_metric(file: Path, name: int, dropped: Counter[str], notes: list[str]) -> Series:
    """Values of one metric, in the order of lines.

    Lines that cannot be read are counted.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        notes.append(f"metric '{printable(file.name)}' cannot be read: {error.strerror or error}")
        return join([])
    matches = [_LINE.fullmatch(line) for line in data.split(b"\n") if line.strip()]
    if matches and not data.endswith(b"\n") and _is_cut(matches):
        dropped[TRUNCATED] += 1
        del matches[-1]
    rows = [match.groups() for match in matches if match is not None]
    if n_malformed := len(matches) - len(rows):
        dropped[MALFORMED] += n_malformed
    times, values, steps = zip(*rows, strict=True) if rows else ((),) * 3
    return Series(
        np.array([int(step or 0) for step in steps], np.int64),
        np.array(list(map(int, times)), np.float64) / 1000.0,
        np.full(len(rows), name, np.int64),
        np.array(list(map(float, values)), np.float64),
    )


def _is_cut(matches: list[re.Match[bytes] | None]) -> bool:
    """Whether a last line without line end was cut short.

    MLflow ends each line. Yet people write such files, too: a last line is believed if it looks like the one before and
    its step goes on, since a number that has lost digits is smaller.
    """
    last = matches[-1]
    if last is None:
        return True
    before = next((match for match in reversed(matches[:-1]) if match is not None), None)
    if before is None:
        return last[3] is None
    if last[3] is None or before[3] is None:
        return (last[3] is None) != (before[3] is None)
    return int(last[3]) <= int(before[3])


def _start(file: Path) -> bytes:
    try:
        with file.open("rb") as handle:
            return handle.read(4096)
    except OSError:
        return b""


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0

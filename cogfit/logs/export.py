"""Write a table as a log that the readers read."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cogfit.errors import InputError, MissingDependencyError, nearest
from cogfit.files import write_atomic

if TYPE_CHECKING:
    import pandas as pd


def _csv(frame: pd.DataFrame, path: Path) -> None:
    write_atomic(path, frame.to_csv(index=False, sep="\t" if path.suffix == ".tsv" else ","))


def _jsonl(frame: pd.DataFrame, path: Path) -> None:
    write_atomic(path, frame.to_json(orient="records", lines=True, double_precision=15))


def _parquet(frame: pd.DataFrame, path: Path) -> None:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    write_atomic(path, buffer.getvalue())


def _tensorboard(frame: pd.DataFrame, path: Path) -> None:
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise MissingDependencyError("tensorboard", "logs", "writing TensorBoard event files") from error
    if "pattern" in frame:
        raise InputError("TensorBoard holds scalars, not one row per query", hint="write a routing log as Parquet")
    if path.is_file():
        raise InputError("is a file, but TensorBoard writes a folder", path=path)
    try:
        writer = EventFileWriter(str(path))
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror or error})", path=path) from error
    tags = [name for name in frame.columns if name != "step"]
    columns = [frame[name].tolist() for name in tags]
    for row, step in enumerate(frame["step"].tolist()):
        values = [Summary.Value(tag=tag, simple_value=column[row]) for tag, column in zip(tags, columns, strict=True)]
        writer.add_event(Event(step=int(step), wall_time=float(row), summary=Summary(value=values)))
    writer.close()


WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "tensorboard": _tensorboard,
}
"""How to write each format."""

_BY_SUFFIX = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    "": "tensorboard",
}


def write_log(frame: pd.DataFrame, path: str | Path, format: str | None = None) -> str:
    """Write a table as a log.

    The format follows from the suffix: CSV, TSV, JSON lines, Parquet, or, for a folder, TensorBoard
    events.

    Parameters
    ----------
    frame : pandas.DataFrame
    path : str or Path
    format : str, optional
        One of :data:`WRITERS`; told from the suffix otherwise (none: TensorBoard).

    Returns
    -------
    str
        The format written.

    Raises
    ------
    InputError
        If the format is unknown or the file cannot be written.
    """
    target = Path(path)
    name = format or _BY_SUFFIX.get(target.suffix.lower())
    if name is None:
        raise InputError(
            f"the format cannot be told from '{target.suffix}'", path=target, hint="name it: " + ", ".join(WRITERS)
        )
    if name not in WRITERS:
        raise InputError(f"unknown format {name!r}", hint=nearest(name, WRITERS))
    WRITERS[name](frame, target)
    return name

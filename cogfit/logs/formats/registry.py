"""Readers of JSON and Parquet, and the registry of all readers.

The fast path of each format is pyarrow's. Only when that fails does a slow and careful path in plain Python read the
file again, to find out which line is wrong. Nothing in a file is ever executed or unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from cogfit.errors import InputError, nearest
from cogfit.logs.formats.delimited import CSV, WANDB
from cogfit.logs.formats.json_files import HUGGINGFACE, JSON, JSONL
from cogfit.logs.formats.parquet import PARQUET
from cogfit.logs.formats.reader import Raw, Reader, ReadOptions
from cogfit.logs.formats.refusals import guarded

OTHER_NAMES: Mapping[str, str] = {
    "tsv": "csv",
    "lightning": "csv",
    "ndjson": "jsonl",
    "json_lines": "jsonl",
    "pq": "parquet",
    "hf": "huggingface",
    "trainer_state": "huggingface",
    "tfevents": "tensorboard",
    "sqlite": "mlflow",
    "w&b": "wandb",
}
"""Further names that ``format=`` takes."""


@cache
def readers() -> tuple[Reader, ...]:
    """All readers, in the order in which they are asked whether a file is theirs.

    Examples
    --------
    >>> [reader.name for reader in readers()][:3]
    ['parquet', 'tensorboard', 'mlflow']
    """
    from cogfit.logs.formats import mlflow, tensorboard

    return (PARQUET, tensorboard.READER, mlflow.READER, HUGGINGFACE, JSON, JSONL, WANDB, CSV)


def reader_named(name: str) -> Reader:
    """The reader that the user asked for.

    Raises
    ------
    InputError
        There is none of this name.
    """
    wanted = name.strip().casefold().replace(" ", "_").replace("-", "_")
    wanted = OTHER_NAMES.get(wanted, wanted)
    for reader in readers():
        if reader.name == wanted:
            return reader
    names = [reader.name for reader in readers()]
    raise InputError(f"there is no log format '{name}'; {nearest(name, [*names, *OTHER_NAMES])}")


def reader_for(path: Path, head: bytes) -> Reader | None:
    """The reader that recognises a file (or, with an empty `head`, a folder)."""
    return next((reader for reader in readers() if reader.recognise(path, head)), None)


def read_raw(reader: Reader, path: Path, options: ReadOptions) -> Raw:
    """Read a file or folder with a reader; whatever goes wrong is an `InputError`."""
    raw: Raw = guarded(path, lambda: reader.read(path, options))
    return raw

"""The one list of log formats.

All other lists are derived from it.

A new format is a :class:`~cogfit.logs.formats.reader.Reader` in a file of this folder and its name in
:func:`built_in_readers`. Packages add theirs by entry points of the group ``cogfit.formats``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from cogfit.errors import CogfitError, InputError, nearest
from cogfit.logs.columnar import ColumnTable
from cogfit.logs.formats.contents import check_unique
from cogfit.logs.formats.delimited import CSV
from cogfit.logs.formats.guard import guarded
from cogfit.logs.formats.json_files import HUGGINGFACE, JSON, JSONL
from cogfit.logs.formats.parquet import PARQUET
from cogfit.logs.formats.reader import Raw, Reader, ReadOptions
from cogfit.logs.formats.wandb import WANDB
from cogfit.plugins import PluginWarning, plugins

GROUP = "cogfit.formats"
"""Entry points by which packages add formats."""


@cache
def built_in_readers() -> tuple[Reader, ...]:
    """Readers of this package.

    In the order of help and messages.
    """
    from cogfit.logs.formats import mlflow, mlflow_files, tensorboard, text_lines

    texts = (CSV, JSON, JSONL, text_lines.READER)
    return (*texts, PARQUET, tensorboard.READER, HUGGINGFACE, WANDB, mlflow_files.READER, mlflow.READER)


def added_readers() -> tuple[Reader, ...]:
    """Readers that installed packages add, looked up on first use."""
    taken = [name for reader in built_in_readers() for name in (reader.name, *reader.other_names)]
    return plugins(GROUP, Reader, "name", tuple(taken))


@cache
def readers() -> tuple[Reader, ...]:
    """All readers, in the order in which they are asked.

    Examples
    --------
    >>> [reader.name for reader in readers()][:3]
    ['parquet', 'tensorboard', 'mlflow']
    """
    known = (*built_in_readers(), *added_readers())
    return tuple(sorted(known, key=lambda reader: reader.evidence))  # stable: plug-ins are last


def titles() -> str:
    """Formats that can be read, for messages.

    Examples
    --------
    >>> titles()[:37]
    'CSV or TSV, JSON, JSON lines, Text lo'
    """
    return ", ".join(reader.title for reader in (*built_in_readers(), *added_readers()))


def other_names() -> Mapping[str, str]:
    """Further names that ``format=`` takes, and what they mean."""
    added, built_in = (
        {other: reader.name for reader in group for other in reader.other_names}
        for group in (added_readers(), built_in_readers())
    )
    return {**added, **built_in}


@cache
def text_suffixes() -> frozenset[str]:
    """Suffixes of all text formats."""
    return frozenset(suffix for reader in readers() if reader.is_text for suffix in reader.suffixes)


def reader_named(name: str) -> Reader:
    """The reader that the user asked for.

    Raises
    ------
    InputError
        There is none of this name.
    """
    by_name = {_folded(reader.name): reader for reader in reversed(readers())}
    by_name = {_folded(other): by_name[_folded(own)] for other, own in other_names().items()} | by_name
    if _folded(name) in by_name:
        return by_name[_folded(name)]
    names = [reader.name for reader in readers()]
    raise InputError(f"there is no log format '{name}'; {nearest(name, [*names, *other_names()])}")


def _folded(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def reader_for(path: Path, head: bytes) -> Reader | None:
    """The reader that recognises a file.

    With an empty `head`, a folder.
    """
    return next((reader for reader in readers() if is_recognised(reader, path, head)), None)


def is_recognised(reader: Reader, path: Path, head: bytes) -> bool:
    """Whether a file is of a reader's format.

    A plug-in that fails is passed over.
    """
    if reader in built_in_readers():
        return reader.recognise(path, head)
    try:
        return bool(reader.recognise(path, head))
    except (Exception, SystemExit) as error:
        message = f"the plug-in for the log format '{reader.name}' was passed over: `recognise` raised {_shown(error)}"
        warnings.warn(message, PluginWarning, stacklevel=2)
        return False


def read_raw(reader: Reader, path: Path, options: ReadOptions) -> Raw:
    """Read a file or folder with a reader.

    Whatever goes wrong is an `InputError`.
    """
    if reader in built_in_readers():
        raw = guarded(path, lambda: reader.read(path, options))
        return replace(raw, line_of=raw.line_of and partial(_line, raw.line_of, path))
    try:
        raw = _checked(reader.read(path, options), path)
    except CogfitError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(
            f"cannot be read by the plug-in for the log format '{reader.name}': {_shown(error)}",
            path=path,
            hint="tell the authors of the plug-in, or choose another format with --format",
        ) from error
    return replace(raw, format=reader.name)


def _line(line_of: Callable[[int], int], path: Path, row: int) -> int:
    """Line of a row, found by reading the file again."""
    try:
        return line_of(row)
    except (OSError, ValueError, LookupError, RuntimeError, StopIteration):
        raise InputError("changed while it was read", path=path, hint="read it again") from None


def _checked(raw: object, path: Path) -> Raw:
    """The table that a plug-in returned, checked.

    It must be what the record of a reader promises.
    """
    import pandas as pd

    if not isinstance(raw, Raw) or not isinstance(raw.table, pd.DataFrame | ColumnTable):
        raise TypeError(f"`read` must return a Raw with a DataFrame, not {type(raw).__name__}")
    names = [str(name) for name in raw.frame.columns]
    check_unique(names, path)
    return replace(raw, table=raw.frame.set_axis(names, axis=1).reset_index(drop=True))


def _shown(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]

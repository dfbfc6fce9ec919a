"""Standard input and pipes as files.

Readers look at the start of a log, then go back and read the whole, which a pipe does not allow. Its bytes are
therefore kept in a temporary file, which is removed afterwards.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cogfit.errors import InputError
from cogfit.logs.formats.contents import CHUNK_BYTES, MAX_BYTES, too_large

STANDARD_INPUT = Path("-")
"""What stands for standard input where a path is expected."""

SHOWN = "<stdin>"
"""How standard input is called in results and messages."""


def is_pipe(path: Path) -> bool:
    """Whether a path is standard input or a pipe.

    A file that is called ``-`` can be given by its absolute path.
    """
    if path == STANDARD_INPUT:
        return True
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def shown_path(path: Path) -> Path:
    """How a path is called in results and messages.

    Examples
    --------
    >>> str(shown_path(Path("-"))), str(shown_path(Path("log.csv")))
    ('<stdin>', 'log.csv')
    """
    return Path(SHOWN) if path == STANDARD_INPUT else path


@contextmanager
def spooled(path: Path, max_bytes: int | None) -> Iterator[Path]:
    """Keep what a pipe gives in a temporary file.

    Parameters
    ----------
    path : Path
        Of the pipe; ``-`` is standard input.
    max_bytes : int or None
        Largest size; `MAX_BYTES` by default, so that a pipe that never ends does.

    Yields
    ------
    Path
        The file. An `InputError` about it becomes one about the pipe.

    Raises
    ------
    InputError
        The pipe gives too much, or cannot be read.
    """
    shown = shown_path(path)
    limit = MAX_BYTES if max_bytes is None else max_bytes
    with tempfile.TemporaryDirectory(prefix="cogfit-") as folder:
        file = Path(folder, "stdin" if path == STANDARD_INPUT else path.name)
        try:
            with file.open("wb") as target, _opened(path) as source:
                _copy(source, target, limit, shown)
        except OSError as error:
            raise InputError(
                f"cannot be read: {error.strerror or error}", path=shown, hint="save the log to a file first"
            ) from None
        try:
            yield file
        except InputError as error:
            if error.path is None or Path(error.path) != file:
                raise
            raise _about(error, shown) from None


def _copy(source: BinaryIO, target: BinaryIO, limit: int, shown: Path) -> None:
    size = 0
    while chunk := source.read(min(CHUNK_BYTES, limit - size + 1)):
        size += len(chunk)
        if size > limit:
            raise too_large("gives", limit, shown)
        target.write(chunk)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if path != STANDARD_INPUT:
        with path.open("rb", buffering=0) as pipe:
            yield pipe
        return
    source = getattr(sys.stdin, "buffer", None)
    if source is None:
        raise InputError("standard input is closed", path=SHOWN, hint="name a file or folder")
    if _is_device(source):
        raise InputError(
            "is a terminal, a device or a socket", path=SHOWN, hint="pipe a log into it, or name a file or folder"
        )
    yield source


def _is_device(source: BinaryIO) -> bool:
    try:
        mode = os.fstat(source.fileno()).st_mode
    except (OSError, AttributeError):  # not of the system, as in tests
        return False
    return not stat.S_ISFIFO(mode) and not stat.S_ISREG(mode)


def _about(error: InputError, path: Path) -> InputError:
    """The same error with another path."""
    same = type(error)(error.what, path=path, line=error.line, column=error.column, hint=error.hint)
    same.__dict__.update({name: value for name, value in vars(error).items() if name != "path"})
    return same

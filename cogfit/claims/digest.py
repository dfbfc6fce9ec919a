"""A fingerprint of a log, so that others know which one was meant."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cogfit.formulas.form import Array
from cogfit.records.codec import Document

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Digest(Document):
    """SHA-256 of a log.

    Attributes
    ----------
    sha256 : str
        In hexadecimal digits.
    of : str
        What it is taken of, in words.
    """

    sha256: str
    of: str


def digest_of_files(path: str | os.PathLike[str]) -> Digest | None:
    """Take the digest of a file, or of a folder.

    That of a folder is the digest of the lines that ``sha256sum`` prints of its files, in the order of their names as
    bytes. None where there is no such file, as for a pipe.

    Parameters
    ----------
    path : path

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "log.csv").write_text("step,y")
    ...     print(digest_of_files(folder).of)
    the sha256sum lines of its 1 file
    """
    path = Path(path)
    if path.is_file():
        return Digest(_of_file(path), "the file")
    if not path.is_dir():
        return None
    files = sorted((file for file in path.rglob("*") if file.is_file()), key=os.fsencode)
    lines = (f"{_of_file(file)}  ./{file.relative_to(path).as_posix()}\n" for file in files)
    text = "".join(lines).encode("utf-8", "surrogateescape")
    counted = "1 file" if len(files) == 1 else f"{len(files):,} files"
    return Digest(hashlib.sha256(text).hexdigest(), f"the sha256sum lines of its {counted}")


def digest_of_points(x: Array, y: Array) -> Digest:
    """Take the digest of points that came from no file.

    Parameters
    ----------
    x, y : ndarray, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> digest_of_points(np.arange(3.0), np.ones(3)).sha256[:8]
    '86f18d02'
    """
    content = b"".join(values.astype("<f8").tobytes() for values in (x, y))
    return Digest(hashlib.sha256(content).hexdigest(), "the points fitted (x, then y, as 8-byte floats)")


def _of_file(path: Path) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()

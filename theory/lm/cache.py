"""Folders of fetched models and texts, whole or absent.

Everything lies below ``$COGFIT_CACHE`` (by default ``cogfit`` in ``$XDG_CACHE_HOME`` or ``~/.cache``). A folder is made
beside its place and moved there when it is complete, with a manifest: what it is, where from, and the SHA-256 of the
files that results depend on.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cogfit.errors import InputError
from cogfit.files import write_atomic
from cogfit.records.codec import dump, read_json

MANIFEST = ".cogfit.json"
"""The file of a folder of the cache that says what it holds; hidden, so that it is no document."""


def cache_dir() -> Path:
    """Folder of everything that was fetched.

    Examples
    --------
    >>> cache_dir().name in ("cogfit", Path(os.environ.get("COGFIT_CACHE", "cogfit")).name)
    True
    """
    named = os.environ.get("COGFIT_CACHE")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "cogfit"


def place_of(kind: str, name: str) -> Path:
    """Place of a model or of texts.

    Parameters
    ----------
    kind : {"models", "texts"}
    name : str
    """
    return cache_dir() / kind / name


def file_digest(path: Path) -> str:
    """SHA-256 of a file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path) from None


def install_folder(target: Path, fill: Callable[[Path], Mapping[str, Any]], hashed: Sequence[str]) -> dict[str, Any]:
    """Make a folder of the cache, whole or absent.

    Parameters
    ----------
    target : Path
        Its place; what is there is replaced.
    fill : callable
        Writes the content into the empty folder that it is given; returns what the manifest says of it.
    hashed : sequence of str
        Patterns of files whose SHA-256 is noted.

    Returns
    -------
    dict
        The manifest.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise InputError(
            f"cannot be written ({error.strerror})", path=target.parent, hint="set COGFIT_CACHE to another folder"
        ) from None
    try:
        about = dict(fill(work))
        paths = sorted({path for pattern in hashed for path in work.rglob(pattern) if path.is_file()})
        manifest = {**about, "files": {path.relative_to(work).as_posix(): file_digest(path) for path in paths}}
        write_atomic(work / MANIFEST, dump(manifest))
        work.chmod(0o755)  # a folder of mkdtemp is its owner's alone
        if target.exists():
            shutil.rmtree(target)
        work.rename(target)
        return manifest
    finally:
        shutil.rmtree(work, ignore_errors=True)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return what a folder of the cache says of itself.

    None where it has no manifest.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    document = read_json(path)
    if not isinstance(document, dict):
        raise InputError("is no manifest", path=path, hint="fetch it again: cogfit theory lm fetch --again")
    return document

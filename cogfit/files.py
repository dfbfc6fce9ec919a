"""Writing files, and finding the data that ship along.

A file is written whole or not at all.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from cogfit.errors import InputError


def data_dir() -> Path:
    """Folder with the package's recorded runs and tables.

    Returns
    -------
    Path
        ``cogfit/_data`` of an installed wheel, or ``data`` beside the package in a checkout.

    Raises
    ------
    InputError
        If neither is there.

    Examples
    --------
    >>> import cogfit
    >>> (cogfit.data_dir() / "runs").is_dir()
    True
    """
    here = Path(__file__).resolve().parent
    for candidate in (here / "_data", here.parent / "data"):
        if (candidate / "runs").is_dir():
            return candidate
    raise InputError("the data folder of cogfit is missing", path=here, hint="reinstall the package")


def write_atomic(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file whole or not at all.

    A reader sees the old or the new content, never a part.

    What exists and is no regular file (a pipe, ``/dev/stdout``) is written directly. A symbolic link keeps pointing
    where it points.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    target = Path(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):
            if target.is_dir():
                raise InputError("is a folder, not a file", path=target, hint="name a file in it")
            with open(target, "wb") as out:
                out.write(data)
            return
        target = Path(os.path.realpath(target))
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask()
            os.chmod(temporary, mode)
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        hint = "create the folder first" if not target.parent.is_dir() else "check the path and your permissions"
        raise InputError(f"cannot be written ({error.strerror or error})", path=target, hint=hint) from error


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value

"""Writing files, and finding the data that ship along.

A file is written whole or not at all. Tables for people hold nothing that a spreadsheet computes.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogfit.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""With what a cell begins that a spreadsheet takes for a formula (OWASP, CSV injection)."""


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


def inert(label: str) -> str:
    """Return a label that no spreadsheet takes for a formula.

    An apostrophe stands before one that begins like a formula and is no number. What is to be read again keeps its
    labels: it is written as Parquet, JSON or a log.

    Examples
    --------
    >>> inert("=1+1"), inert("-0.5"), inert("seed=1")
    ("'=1+1", '-0.5', 'seed=1')
    """
    return "'" + label if label.startswith(_FORMULA) and not _is_number(label) else label


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text == text.strip()


def csv_for_people(frame: pd.DataFrame, **options: Any) -> str:
    """Return a table as CSV whose labels are inert.

    Parameters
    ----------
    frame : DataFrame
    **options
        Of :meth:`pandas.DataFrame.to_csv`.

    Examples
    --------
    >>> import pandas as pd
    >>> print(csv_for_people(pd.DataFrame({"run": ["=A1", "b"], "gamma": [-0.5, 1.0]})), end="")
    run,gamma
    '=A1,-0.5
    b,1.0
    """
    shown = frame.copy(deep=False)
    for name in frame.select_dtypes(exclude=["number", "bool"]).columns:
        shown[name] = frame[name].map(_inert_cell)
    shown.columns = [_inert_cell(name) for name in frame.columns]
    text: str = shown.to_csv(index=False, **options)
    return text


def _inert_cell(cell: Any) -> Any:
    return inert(cell) if isinstance(cell, str) else cell


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value

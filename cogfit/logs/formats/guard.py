"""Turn what a library raises into our own errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cogfit.errors import InputError, MissingDependencyError
from cogfit.logs.formats.contents import CONVERT

T = TypeVar("T")


def guarded(path: Path, read: Callable[[], T]) -> T:
    """Call `read` so that only the package's errors leave.

    Whatever a library or the system raises becomes an `InputError` that names the file.
    """
    import pyarrow as pa

    try:
        return read()
    except (InputError, MissingDependencyError):
        raise
    except MemoryError:
        raise InputError(
            "does not fit into memory, or a damaged header makes it seem so", path=path, hint=CONVERT
        ) from None
    except RecursionError:
        raise InputError("is nested too deeply", path=path, hint=CONVERT) from None
    except (OSError, ValueError, OverflowError, EOFError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"cannot be read: {reason[:200]}", path=path, hint="check that the file is complete and readable"
        ) from None

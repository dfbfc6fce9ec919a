"""Load the compiled kernels, choose their level, and call them.

The library ``kernels.bin`` holds every kernel at three levels: ``avx512``, ``avx2`` and ``baseline``, which every
machine can run. The best that this machine can run is used. ``COGFIT_ENGINE_LEVEL`` in the environment, or
:func:`use_level`, asks for another.

It is loaded at the first call of a kernel. Calls let other threads run.
"""

from __future__ import annotations

import ctypes
import os
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from cogfit.errors import EngineError, InputError, nearest

FOLDER = Path(__file__).resolve().parent
LIBRARY = FOLDER / "kernels.bin"
VARIABLE = "COGFIT_ENGINE_LEVEL"

LEVELS = ("baseline", "avx2", "avx512")
"""Levels by their numbers in the library."""

_MEANING = {"avx2": "AVX2 (x86-64-v3)", "avx512": "AVX-512 (x86-64-v4)"}


class Kernel:
    """A function of the library, looked up at its first call.

    Parameters
    ----------
    name : str
        As in ``kernels.def``.
    argument_types : tuple
        Types of `ctypes`, one for each parameter.
    returns : type, optional
        Type of the result; None for a kernel that returns nothing.
    """

    __slots__ = ("_function", "argument_types", "name", "returns")

    def __init__(self, name: str, argument_types: tuple[Any, ...], returns: Any = None) -> None:
        self.name, self.argument_types, self.returns = name, argument_types, returns
        self._function: Any = None

    def __call__(self, *arguments: Any) -> Any:
        """Call the kernel at the level in use."""
        function = self._function
        if function is None:
            function = self._look_up()
        return function(*arguments)

    def _look_up(self) -> Any:
        # A function object of its own: two signatures of one kernel must not share their types.
        try:
            function = _library()[f"cogfit_{self.name}"]
        except AttributeError:
            raise _unusable(f"it has no kernel '{self.name}'") from None
        function.argtypes, function.restype = list(self.argument_types), self.returns
        self._function = function
        return function


def kernel(name: str, *argument_types: Any, returns: Any = None) -> Kernel:
    """Name a kernel and its signature.

    Nothing is loaded before its first call.

    Parameters
    ----------
    name : str
        As in ``kernels.def``.
    *argument_types : type
        Types of `ctypes`: ``c_void_p`` for a pointer, ``c_int64``, ``c_double``.
    returns : type, optional
        Type of the result; None for a kernel that returns nothing.

    Returns
    -------
    Kernel

    Examples
    --------
    >>> import ctypes
    >>> import numpy as np
    >>> probe = kernel("probe", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    >>> x, out = np.linspace(-1.0, 1.0, 101), np.empty(101)
    >>> probe(x.ctypes.data, out.ctypes.data, 101, 1)
    >>> bool(np.allclose(out, np.exp(x), rtol=1e-15))
    True
    """
    return Kernel(name, argument_types, returns)


def level() -> str:
    """Name the level in use."""
    return LEVELS[_library().cogfit_level()]


def levels() -> tuple[str, ...]:
    """List the levels that this machine can run.

    The best comes first.
    """
    usable = _library().cogfit_levels()
    return tuple(name for number, name in reversed(list(enumerate(LEVELS))) if usable >> number & 1)


def use_level(name: str) -> None:
    """Use a level from now on, in all threads.

    Parameters
    ----------
    name : str
        ``"avx512"``, ``"avx2"`` or ``"baseline"``.

    Raises
    ------
    InputError
        If there is no such level, or this machine cannot run it.
    """
    _use(_library(), name, "engine level")


def built_by() -> str:
    """Tell the compiler and the flags that built the library."""
    text: bytes = _library().cogfit_built_by()
    return text.decode("utf-8", "replace")


@dataclass(frozen=True)
class Engine:
    """What `cogfit --version --verbose` says of the library.

    Attributes
    ----------
    level : str
    usable : tuple of str
    built_by : str
    """

    level: str
    usable: tuple[str, ...]
    built_by: str


def describe() -> Engine:
    """Describe the library and its level.

    Raises
    ------
    EngineError
        If it cannot be used.
    """
    return Engine(level(), levels(), built_by())


# ------------------------------------------------------------------------------------------------------------ loading


@cache
def _library() -> ctypes.CDLL:
    """Load the library, once."""
    library = load(LIBRARY)
    wanted = os.environ.get(VARIABLE, "").strip()
    if wanted:
        _use(library, wanted, f"environment variable {VARIABLE}")
    return library


def load(path: Path) -> ctypes.CDLL:
    """Load a library of kernels and check its sources.

    Parameters
    ----------
    path : Path
        The library; its sources, if they are here, lie beside it.

    Raises
    ------
    EngineError
        If it is missing, damaged, or made for another machine or from other sources.
    """
    if not path.is_file():
        raise _unusable("it is missing", path)
    if _is_cut_short(path):
        raise _unusable("the file is damaged: its end is missing", path)
    try:
        library = ctypes.CDLL(str(path))
        for name in ("fingerprint", "built_by"):
            getattr(library, f"cogfit_{name}").restype = ctypes.c_char_p
        made_from = library.cogfit_fingerprint().decode()
    except (OSError, AttributeError) as error:
        raise _unusable(f"it cannot be loaded ({error})", path) from None
    sources = fingerprint(path.parent)
    if sources not in (None, made_from):
        raise _unusable("it was compiled from other sources than those beside it", path)
    return library


def fingerprint(folder: Path = FOLDER) -> str | None:
    """Compute the checksum of the C sources.

    None where there are none, as in a wheel. ``building/kernels.py`` computes the same.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix in (".c", ".h", ".def"))
    checksum = 0
    for path in paths:
        checksum = zlib.crc32(path.read_bytes(), zlib.crc32(path.name.encode(), checksum))
    return f"{checksum:08x}" if paths else None


def _is_cut_short(path: Path) -> bool:
    """Whether an ELF file ends before its table of sections.

    The system would load it, and the process would die at the first access beyond the end.
    """
    with path.open("rb") as file:
        header = file.read(64)
        size = os.fstat(file.fileno()).st_size
    if header[:4] != b"\x7fELF":
        return size == 0
    order: Literal["big", "little"] = "big" if header[5:6] == b"\x02" else "little"
    is_64_bit = header[4:5] == b"\x02"
    offset, width, place = (0x28, 8, 0x3A) if is_64_bit else (0x20, 4, 0x2E)
    begin = int.from_bytes(header[offset : offset + width], order)
    entry, count = (int.from_bytes(header[at : at + 2], order) for at in (place, place + 2))
    return len(header) < 52 or begin + entry * count > size


def _use(library: ctypes.CDLL, name: str, where: str) -> None:
    """Use a level; `where` says who asked for it."""
    if name not in LEVELS:
        raise InputError(f"there is no engine level '{name}'", path=where, hint=nearest(name, LEVELS))
    if library.cogfit_use_level(LEVELS.index(name)) != 0:
        usable = library.cogfit_levels()
        best = [level for number, level in enumerate(LEVELS) if usable >> number & 1][-1]
        raise InputError(
            f"this machine cannot run {_MEANING[name]}", path=where, hint=f"the best that it can run is '{best}'"
        )


def _unusable(why: str, path: Path = LIBRARY) -> EngineError:
    """The error for a library that cannot be used, with the command that mends it."""
    if (FOLDER.parents[1] / "building" / "kernels.py").is_file():
        command = f"in {FOLDER.parents[1]} run: make kernels (or: python building/kernels.py)"
    else:
        command = "run: pip install --force-reinstall --no-deps cogfit"
    return EngineError(f"{path}: the compiled engine cannot be used: {why}; {command}")

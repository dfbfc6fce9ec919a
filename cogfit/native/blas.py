"""One thread for linear algebra during a fit.

A fit multiplies many small matrices. NumPy's BLAS spreads them over all cores, and threads that wait for the next
product take as much processor time as the work itself. The engine has threads of its own.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module

# Of OpenBLAS as NumPy's wheels bring it, as others build it, and of Intel's MKL. Other libraries have no such setting.
_NAMES = (
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("openblas_get_num_threads64_", "openblas_set_num_threads64_"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
)

_lock = threading.Lock()
if hasattr(os, "register_at_fork"):  # a process that is forked off in between must not find it taken
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


@dataclass
class _Limit:
    """How many fits run, and the number of threads before."""

    users: int = 0
    before: int = 0


_limit = _Limit()


@contextmanager
def single_threaded() -> Iterator[None]:
    """Let BLAS use one thread, and restore it after.

    It is a context, and a decorator of functions. BLAS has one setting for the whole process: of fits that run at the
    same time the first sets it, and the last restores what was found. (threadpoolctl lets only the thread that has set
    it restore it.)

    Examples
    --------
    >>> import numpy as np
    >>> @single_threaded()
    ... def product(a, b):
    ...     return a @ b
    >>> product(3.0 * np.eye(2), np.eye(2)).tolist()
    [[3.0, 0.0], [0.0, 3.0]]
    """
    setting = _setting()
    if setting is None:
        yield
        return
    number_of_threads, set_threads = setting
    with _lock:
        if _limit.users == 0:
            _limit.before = number_of_threads()
            set_threads(1)
        _limit.users += 1
    try:
        yield
    finally:
        with _lock:
            _limit.users -= 1
            if _limit.users == 0:
                set_threads(_limit.before)


@cache
def _setting() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """Functions that get and set the threads of NumPy's BLAS.

    None where it has no such setting. They are found through NumPy's own library, whose dependencies they are in.
    """
    try:
        library = ctypes.CDLL(import_module("numpy.linalg._umath_linalg").__file__)
    except (ImportError, OSError):
        return None
    for get, set_ in _NAMES:
        if hasattr(library, get) and hasattr(library, set_):
            getter, setter = getattr(library, get), getattr(library, set_)
            getter.argtypes, getter.restype = [], ctypes.c_int
            setter.argtypes, setter.restype = [ctypes.c_int], None
            return getter, setter
    return None

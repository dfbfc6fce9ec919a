"""What an exponential costs on this machine at best: the limit that ``batch_speed.py`` compares the engine with.

A plain loop in C without branches: exp(x) = 2ᵏ·exp(r) with a polynomial of degree 12 for exp(r). The engine brings it
at each of its levels (``cogfit/native/probe.h``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from ctypes import c_int64, c_void_p
from typing import Any

import numpy as np

from cogfit.native import library

EXPONENTIALS = 840
"""Of a curve of 200 points: 4.2 evaluations, which fits of power + floor needed when the goal was set (2.4 now)."""


def nanoseconds_of_an_exponential() -> float:
    """Least processor time of an exponential, in ns: of 200 at a time, which lie in the first cache."""
    probe = library.kernel("probe", c_void_p, c_void_p, c_int64, c_int64)
    x, out, repeats = np.linspace(-5.0, 0.0, 200), np.empty(200), 20_000

    def task() -> None:
        probe(x.ctypes.data, out.ctypes.data, x.size, repeats)

    task()
    np.testing.assert_allclose(out, np.exp(x), rtol=1e-13)
    return 1e9 * least_processor_time(task) / (x.size * repeats)


def least_processor_time(task: Callable[[], Any], times: int = 7) -> float:
    """Least processor time of this thread, in seconds: load on the machine does not change it much."""
    found = []
    for _ in range(times):
        begin = time.thread_time()
        task()
        found.append(time.thread_time() - begin)
    return min(found)

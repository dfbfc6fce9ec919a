"""What an exponential costs on this machine at best: the limit that ``batch_speed.py`` compares the engine with.

A plain loop in C without branches, compiled here: exp(x) = 2ᵏ·exp(r) with a polynomial of degree 12 for exp(r). Where
the engine has compiled kernels it brings the same loop at each of its levels, which is then used instead.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

EXPONENTIALS = 840
"""Of a curve of 200 points: 4.2 evaluations, which fits of power + floor need on average."""

_SOURCE = r"""
#include <stdint.h>
#include <string.h>
static inline double exponential(double x)
{
    double shifted = x * 0x1.71547652b82fep0 + 0x1.8p52; /* leaves the nearest integer in the low bits */
    int64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    double k = shifted - 0x1.8p52, r = (x - k * 0x1.62e42fee00000p-1) - k * 0x1.a39ef35793c76p-33;
    double p = 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = (p * r + 1.0) * r + 1.0;
    bits = (int64_t)(((uint64_t)bits + 1023u) << 52);
    double power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}
void probe(const double *restrict x, double *restrict out, int64_t n, int64_t repeats)
{
    for (int64_t t = 0; t < repeats; t++) {
        for (int64_t i = 0; i < n; i++)
            out[i] = exponential(x[i]);
        __asm__ volatile("" : : "r"(x), "r"(out) : "memory"); /* keeps every repetition */
    }
}
"""


def nanoseconds_of_an_exponential() -> float:
    """Least processor time of an exponential, in ns: of 200 at a time, which lie in the first cache.

    Raises
    ------
    RuntimeError
        If there is neither a compiled engine nor a C compiler.
    """
    probe = _of_engine() if find_spec("cogfit.native") else _compiled_here()
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


_TYPES = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


def _of_engine() -> Callable[..., Any]:
    """The loop at the engine's level in use."""
    from cogfit.native import library  # type: ignore[import-not-found, unused-ignore]

    found: Callable[..., Any] = library.kernel("probe", *_TYPES)
    return found


def _compiled_here() -> Callable[..., Any]:
    """The loop, compiled for this processor."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise RuntimeError("there is no C compiler")
    flags = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "probe.c"), Path(folder, "probe.bin")
        source.write_text(_SOURCE, encoding="utf-8")
        done = subprocess.run(
            [compiler, *flags, "-o", str(library), str(source)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{compiler} does not compile the loop: {done.stderr.strip()[-200:]}")
        probe: Callable[..., Any] = ctypes.CDLL(str(library)).probe
    probe.argtypes, probe.restype = list(_TYPES), None  # type: ignore[attr-defined]
    return probe

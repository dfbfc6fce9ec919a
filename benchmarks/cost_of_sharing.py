"""What a token costs when sequences are decoded together: attention over caches beside a linear layer.

Run ``python benchmarks/cost_of_sharing.py`` (``--help`` for the options; a minute). A linear layer reads its weights
once for all sequences that are decoded together; attention reads a cache of its own for each. So the bytes read per
number that is computed fall for the one and stay for the other, and where reading is what takes the time, so does the
time of a token (Chen et al. 2024, arXiv 2405.01814: attention is bound by memory).

Columns of results: ``operations_per_byte``, counted (multiplications and additions over bytes of weights or of keys and
values, single precision); ``time_share``, the time of a token beside that of the same part with one sequence, in the
same run: the median of ``repeats`` rounds in which all parts take turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from grid import Cell, Study, main

WIDTH, HEADS, TOKENS = 1024, 16, 2048
"""Numbers of a token, heads (each with keys and values of its own), tokens in each cache."""

SEQUENCES = (1, 4, 16)


def counted(part: str, sequences: int) -> float:
    """Operations per byte that is read.

    Examples
    --------
    >>> [counted("linear", 1), counted("linear", 16), counted("attention", 1), counted("attention", 16)]
    [0.5, 8.0, 0.5, 0.5]
    """
    if part == "linear":
        operations, numbers = 2 * sequences * WIDTH**2, WIDTH**2
    else:
        operations, numbers = 4 * sequences * TOKENS * WIDTH, 2 * sequences * TOKENS * WIDTH
    return operations / (4 * numbers)


def _work(part: str, sequences: int, rng: np.random.Generator) -> Callable[[], object]:
    """One step of decoding, as a function without arguments."""
    if part == "linear":
        weights = rng.standard_normal((WIDTH, WIDTH), np.float32)
        states = rng.standard_normal((sequences, WIDTH), np.float32)
        return lambda: states @ weights
    shape = (sequences, HEADS, TOKENS, WIDTH // HEADS)
    keys, values = (rng.standard_normal(shape, np.float32) for _ in range(2))
    query = rng.standard_normal((sequences, HEADS, WIDTH // HEADS, 1), np.float32)

    def attend() -> object:
        scores = keys @ query / np.sqrt(np.float32(shape[-1]))
        weights = np.exp(scores - scores.max(2, keepdims=True))
        return (weights / weights.sum(2, keepdims=True)).swapaxes(2, 3) @ values

    return attend


def _copies(part: str, sequences: int) -> int:
    """As many as make 256 MB, two at least."""
    numbers = WIDTH**2 if part == "linear" else 2 * sequences * TOKENS * WIDTH
    return max(2, 2**26 // numbers)


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    part, sequences = str(cell["part"]), int(cell["sequences"])
    # other copies of the data in turn, as the other layers of a model would: nothing stays in a processor's cache
    several = {count: [_work(part, count, rng) for _ in range(_copies(part, count))] for count in (1, sequences)}
    times: dict[int, list[float]] = {count: [] for count in several}
    for turn in range(repeats + 1):
        for count, works in several.items():
            began = time.perf_counter()
            for work in works:
                work()
            if turn:  # the first is to warm up
                times[count].append((time.perf_counter() - began) / len(works) / count)
    share = np.median(times[sequences]) / np.median(times[1])
    return {"operations_per_byte": counted(part, sequences), "time_share": float(share)}


CELLS = [{"part": part, "sequences": sequences} for part in ("linear", "attention") for sequences in SEQUENCES]
STUDY = Study("cost_of_sharing", (__doc__ or "").split("\n")[0], CELLS, measure, 30)

if __name__ == "__main__":
    main(STUDY)

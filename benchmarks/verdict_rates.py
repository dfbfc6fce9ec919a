"""How often each verdict is given on processes whose verdict is known (benchmarks/processes.py).

Run: python benchmarks/verdict_rates.py [--repeats 20] [--part 1/4] [--workers 2] [--only bursts]
"Supported" is false where the process is no power law, "not supported" where it is one. A process passes if the exact
lower 99 % limit of the share of false verdicts is at most 3 % (no power law) or 5 % (power law); over all that are no
power law together, it is at most 1 %.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from grid import Cell, Study, clopper_pearson, main
from processes import PROCESSES

from cogfit.curves.arrays import array_curve
from cogfit.fitting import Judge, Options

LEVEL = 0.99
VERDICTS = ("supported", "not_supported", "not_distinguishable", "not_identified")
FALSE = {"no power law": "supported", "power law": "not_supported"}
ALLOWED = {"no power law": 0.03, "power law": 0.05}
POOLED = 0.01
"""Share of "supported" that is allowed over all processes that are no power law."""


def truth_of(name: str) -> str:
    return "power law" if PROCESSES[name].is_power_law else "no power law"


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    """Judge the curves of a process as ``cogfit fit`` does."""
    process, truth = PROCESSES[cell["process"]], truth_of(cell["process"])
    verdicts = Counter(Judge(Options(rng))(array_curve(*process.draw(rng)), rng) for _ in range(repeats))
    false = verdicts[FALSE[truth]]
    low, high = clopper_pearson(false, repeats, LEVEL)
    return {
        "truth": truth,
        **{name: verdicts[name] / repeats for name in VERDICTS},
        "false": false / repeats,
        "false_low": low,
        "false_high": high,
        "result": "passes" if low <= ALLOWED[truth] else "fails",
    }


def pooled(rows: Sequence[Mapping[str, str]]) -> tuple[int, int, float, float]:
    """False "supported" over all processes that are no power law: count, curves, exact limits."""
    others = [row for row in rows if row["truth"] == "no power law"]
    false = sum(round(float(row["false"]) * int(row["repeats"])) for row in others)
    curves = sum(int(row["repeats"]) for row in others)
    return (false, curves, *clopper_pearson(false, curves, LEVEL))


CELLS = [{"process": name} for name in PROCESSES]
STUDY = Study("verdict_rates", (__doc__ or "").split("\n")[0], CELLS, measure, 1000)

if __name__ == "__main__":
    table = main(STUDY)
    for row in table:
        shares = "  ".join(f"{name} {float(row[name]):5.1%}" for name in VERDICTS)
        limits = f"false {float(row['false_low']):.1%} to {float(row['false_high']):.1%}"
        print(f"{row['process']:70} {shares}  {limits}  {row['result']}")
    if any(row["truth"] == "no power law" for row in table):
        false, curves, low, high = pooled(table)
        state = "passes" if low <= POOLED else "fails"
        print(f'"supported" of {curves:,} curves that are no power law: {false} ({low:.2%} to {high:.2%})  {state}')

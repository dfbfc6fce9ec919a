"""Precise power laws: how often they are refused, and how often supported.

Run: python benchmarks/precise_laws.py [--repeats 20] [--part 1/4] [--workers 1] [--only power_floor 0.003]
Curves of 300 to 100,000 points follow A·x^−γ with or without a floor, each with an exponent and a floor of its own. The
noise is a share of each value (log-normal, `multiplicative`) or of the curve's root mean square (`additive`). A cell
passes if the law is refused ("not supported") in no more than 5 % and supported in 90 % at noise up to 0.3 % and, at
1 %, from n = 2,000 on, in 75 % at n = 300 (the exact 99.9 % limits reach there).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from grid import Cell, Study, clopper_pearson, main
from judging import judge

from cogfit.curves.arrays import array_curve
from cogfit.formulas.registry import POWER_LAWS
from cogfit.inference.verdict import confidence_set

POINTS = (300, 1_000, 2_000, 10_000, 100_000)
NOISE = (0.0001, 0.001, 0.003, 0.01)


def draw(cell: Cell, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One curve: γ from 0.3 to 0.7, and a floor of 5 to 20 % of the amplitude where the law has one."""
    x = np.arange(1.0, cell["n"] + 1.0)
    floor = rng.uniform(0.05, 0.2) if cell["truth"] == "power_floor" else 0.0
    mean = x ** -rng.uniform(0.3, 0.7) + floor
    z = rng.normal(size=x.size)
    if cell["errors"] == "multiplicative":
        return x, mean * np.exp(cell["noise"] * z)
    return x, mean + cell["noise"] * np.sqrt(np.mean(mean**2)) * z


def goal_of(cell: Cell) -> float:
    """Share that should be supported; 0 where nothing is promised."""
    if cell["noise"] <= 0.003 or cell["n"] >= 2_000:
        return 0.9
    return 0.75 if cell["n"] == 300 else 0.0


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    """Fit and judge the curves of a cell as ``cogfit fit`` does."""
    verdicts, included = Counter[str](), 0
    for _ in range(repeats):
        found = judge(array_curve(*draw(cell, rng)), rng)
        included += any(name in POWER_LAWS for name in confidence_set(found.ranking, found.tests))
        verdicts[found.ruling.power_law] += 1
    refused_low, refused_high = clopper_pearson(verdicts["not_supported"], repeats)
    supported_low, supported_high = clopper_pearson(verdicts["supported"], repeats)
    return {
        "inclusion": included / repeats,
        **{name: verdicts[name] / repeats for name in
           ("supported", "not_supported", "not_distinguishable", "not_identified")},
        "refused_low": refused_low, "refused_high": refused_high,
        "supported_low": supported_low, "supported_high": supported_high, "goal": goal_of(cell),
        "result": "passes" if refused_low <= 0.05 and supported_high >= goal_of(cell) else "fails",
    }  # fmt: skip


CELLS = [
    {"truth": truth, "errors": errors, "n": n, "noise": noise}
    for truth in POWER_LAWS
    for errors in ("additive", "multiplicative")
    for n in POINTS
    for noise in NOISE
]
STUDY = Study("precise_laws", (__doc__ or "").split("\n")[0], CELLS, measure, 400)

if __name__ == "__main__":
    for row in main(STUDY):
        print({k: row[k] for k in ("truth", "errors", "n", "noise", "supported", "not_supported", "result")})

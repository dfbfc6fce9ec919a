"""Populations: how often the intervals of mean, spread, share and single members hold the truth.

Run: python benchmarks/population_coverage.py [--repeats 60] [--part 1/4] [--workers 1] [--only power 25]
Members follow A·k^−γ with or without a floor; γ is normal with mean 0.5 and the SD of the cell, log A has SD 0.2, a
floor 0.2 ± 0.05, all independent; errors have SD 0.03. `reliability` is the mean of what the fits say. Coverage is that
of 95 % intervals: of the mean and SD of γ (profile likelihood), of the share of members with γ in 0.4–0.6 (where it is
not refused), of γ of another member, and of single members (± 1.96 standard errors). A cell passes if the exact 99.9 %
intervals of the first two reach 93–97 %; 90–99 % where there are ten members or fewer.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from grid import Cell, Study, clopper_pearson, main

import cogfit

MEAN, LOG_A_SD, FLOOR, FLOOR_SD, SIGMA = 0.5, 0.2, 0.2, 0.05, 0.03
RANGE = (0.4, 0.6)


def draw(cell: Cell, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Presentations, values of all members, and their exponents."""
    k = np.arange(1.0, cell["n"] + 1.0)
    m = cell["members"]
    gamma, size = rng.normal(MEAN, cell["sd"], (m, 1)), np.exp(rng.normal(0.0, LOG_A_SD, (m, 1)))
    floor = rng.normal(FLOOR, FLOOR_SD, (m, 1)) if cell["truth"] == "power_floor" else 0.0
    return k, floor + size * k**-gamma + rng.normal(0.0, SIGMA, (m, k.size)), gamma[:, 0]


def true_share(sd: float) -> float:
    """Share of members in the range."""
    z = (RANGE[1] - MEAN) / (sd * math.sqrt(2.0))
    return math.erf(z)


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    """Coverage over simulated populations."""
    inside: dict[str, list[float]] = {name: [] for name in ("mean", "sd", "share", "new", "single")}
    reliability, spread, refused, failed = [], [], 0, 0
    for _ in range(repeats):
        k, y, gamma = draw(cell, rng)
        fit = cogfit.fit_population(k, y, form=cell["truth"])
        found = fit.gamma
        failed += fit.status not in ("ok", "at_bound")
        inside["mean"].append(found.low <= MEAN <= found.high)
        inside["sd"].append(found.sd_low <= cell["sd"] <= found.sd_high)
        low, high = fit.new_member()
        inside["new"].append(low <= rng.normal(MEAN, cell["sd"]) <= high)
        share = fit.share(*RANGE)
        if math.isnan(share.share):
            refused += 1
        else:
            inside["share"].append(share.low <= true_share(cell["sd"]) <= share.high)
        error = np.abs(fit.members.params[:, 1] - gamma) / fit.members.stderr[:, 1]
        inside["single"].append(float(np.mean(error < 1.959964)))
        reliability.append(found.reliability)
        spread.append(found.sd)
    least, most = (0.90, 0.99) if cell["members"] <= 10 else (0.93, 0.97)
    reach = [clopper_pearson(int(sum(inside[name])), repeats) for name in ("mean", "sd")]
    return {
        **{f"covers_{name}": float(np.mean(values)) if values else math.nan for name, values in inside.items()},
        "reliability": float(np.mean(reliability)),
        "mean_of_sd": float(np.mean(spread)),
        "refused": refused / repeats,
        "failed": failed / repeats,
        "result": "passes" if all(low <= most and high >= least for low, high in reach) else "fails",
    }


CELLS = [
    {"truth": "power", "members": members, "n": n, "sd": sd}
    for members in (6, 10, 25, 60)
    for n, sd in ((30, 0.1), (30, 0.02))
] + [{"truth": "power_floor", "members": members, "n": 40, "sd": 0.1} for members in (10, 25)]
STUDY = Study("population_coverage", (__doc__ or "").split("\n")[0], CELLS, measure, 60)

if __name__ == "__main__":
    for row in main(STUDY):
        print(
            {k: row[k] for k in ("truth", "members", "n", "sd", "covers_mean", "covers_sd", "covers_share", "result")}
        )

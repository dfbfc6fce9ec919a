"""Whether what ``cogfit design --like LOG`` says of a recorded run holds in later simulations.

Run: python benchmarks/design_like.py [--repeats 20] [--workers 2] [--only gradual]
Beside three runs of models stands a person's practice (Kolers 1976), where more pages would help. Each is answered as
the command answers, with 30 curves for each law and each thing to have more of. Then fresh curves with random numbers
of their own are judged: as long as the log, from both laws, and with as much more as the answer says would reach 80 %,
for the thing of which the least is needed. `agrees`: the two shares differ by no more than 2.58 standard errors of
their difference, and the fresh share with more lies that near to 80 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from grid import Cell, Study, clopper_pearson, main

import cogfit
from cogfit.fitting import Options, judge_like, observe, prepare_curve
from cogfit.planning.situation import Law, Situation

READER = "kolers1976, inverted pages, first time"
SIMULATIONS = 30
GOAL = 0.8
SURE = 2.58


def read(cell: Cell) -> tuple[Any, ...]:
    """A recorded run; or what a reader of mirrored pages took, by page."""
    if cell["log"] != READER:
        return (cogfit.data_dir() / "runs" / cell["log"],)
    pages = pd.read_csv(cogfit.data_dir() / "human" / "kolers1976_reading.csv")
    first = pages[(pages["text"] == "inverted") & (pages["session"] == "first")]
    return first["page"].to_numpy(), first["minutes_per_page"].to_numpy()


def supported(situation: Situation, law: Law, repeats: int, rng: np.random.Generator) -> int:
    """How many fresh curves are supported."""
    judge = judge_like(Options(rng))
    return sum(judge(situation.draw(law, rng), rng) == "supported" for _ in range(repeats))


def is_near(hits: int, repeats: int, share: float, curves: int) -> bool:
    """Whether a share differs from another by no more than chance."""
    both = (hits + share * curves + 1.0) / (repeats + curves + 2.0)  # never 0 or 1
    error = math.sqrt(both * (1.0 - both) * (1.0 / repeats + 1.0 / curves))
    return abs(hits / repeats - share) <= SURE * error


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> Mapping[str, Any]:
    """Ask for the design, and try it on fresh curves."""
    given = read(cell)
    reading = {"x_max": cell["x_max"]} if cell["x_max"] else {}
    found = cogfit.design(*given, simulations=SIMULATIONS, minutes=math.inf, goal=GOAL, **reading)
    seen = observe(prepare_curve(*given, **reading).curve, Options(np.random.default_rng(0)))
    fresh = partial(supported, repeats=repeats, rng=rng)

    # as long as the log, under both laws
    own = found.power_law
    hits = fresh(seen.situation, seen.power_law)
    low, high = clopper_pearson(hits, repeats, 0.99)
    out: dict[str, Any] = {
        "form": own.title,
        "said": own.share(),
        "curves": own.curves,
        "fresh": hits / repeats,
        "fresh_low": low,
        "fresh_high": high,
    }
    agrees = is_near(hits, repeats, own.share(), own.curves)
    if found.rival is not None and seen.rival is not None:
        hits = fresh(seen.situation, seen.rival)
        out |= {"rival": found.rival.title, "rival_said": found.rival.share(), "rival_fresh": hits / repeats}
        agrees &= is_near(hits, repeats, found.rival.share(), found.rival.curves)

    # with as much more as would decide
    out |= dict.fromkeys(("lever", "factor", "amount", "with_more"), "")
    enough = [need for need in found.needs if need.is_reachable]
    if enough:
        need = min(enough, key=lambda one: one.factor)
        lever = need.lever if need.lever in ("points", "range") else "repetitions"
        hits = fresh(seen.situation.grown(lever, need.factor), seen.power_law)
        out |= {"lever": need.lever, "factor": need.factor, "amount": need.amount, "with_more": hits / repeats}
        agrees &= is_near(hits, repeats, GOAL, SIMULATIONS)
    return out | {"agrees": agrees}


CELLS = [
    {"log": "srcd-n256-gradual", "x_max": 0},
    {"log": "cram-n256/seed11", "x_max": 0},
    {"log": "srcd-n256-gradual", "x_max": 1000},  # its first 409 points: several laws describe them
    {"log": READER, "x_max": 0},
]
STUDY = Study("design_like", (__doc__ or "").split("\n")[0], CELLS, measure, 40)

if __name__ == "__main__":
    for row in main(STUDY):
        print(row)

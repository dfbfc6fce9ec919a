"""Judge honest routers whose runs end by their answers.

Fourteen honest routers, six rules by which their runs end, 2,000 logs of each: how often is the router excluded, by the
default test (bets) and by the one for planned lengths? At most α = 5 % is right; the second test promises it
for the rule "length fixed beforehand" only. Then the power: how often is a router excluded that does know the values?

Writes ``data/benchmarks/stopping.csv`` (``make benchmark-stopping``; ``--logs 100`` for a quick look).
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.audit import e_values
from theory.audit.bets import Bets
from theory.audit.counts import Histogram, count_tries
from theory.audit.e_values import Guesses

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "data" / "benchmarks" / "stopping.csv"
LOGS, SEED, ALPHA = 2000, 11, 0.05

Array = NDArray[Any]


@dataclass(frozen=True)
class World:
    """Runs of a log before they end: arrays of shape (runs, length).

    ``z`` patterns from 0, ``table`` (runs, patterns) values from 0, ``rng`` of the router's coins.
    """

    z: Array
    table: Array
    values: int
    rng: np.random.Generator

    @property
    def asked(self) -> Array:
        """Values asked for."""
        return np.take_along_axis(self.table, self.z, axis=1)

    @property
    def exposure(self) -> Array:
        """Earlier queries for the same pattern in the run."""
        same = self.z[:, :, None] == self.z[:, None, :]
        return np.tril(same, -1).sum(2)

    def guess(self, shape: tuple[int, ...] | None = None) -> Array:
        """Values guessed by coins."""
        return self.rng.integers(0, self.values, self.z.shape if shape is None else shape)

    def once(self) -> Array:
        """One guess for each pattern of a run, repeated at every query."""
        return np.take_along_axis(self.guess(self.table.shape), self.z, axis=1)


Router = Callable[[World], tuple[Array, Array]]
"""Gives decisions (attended) and answers."""


def _attend(world: World, p: float) -> Array:
    return world.rng.random(world.z.shape) < p


def _learner(world: World, exposures: int, chance: float = 1.0, forget: float = 0.0) -> tuple[Array, Array]:
    """Attends until the value is kept; keeps it with a chance at each exposure, and may forget it."""
    runs, length = world.z.shape
    seen, known = np.zeros(world.table.shape, int), np.zeros(world.table.shape, bool)
    attended, answers, rows = np.zeros(world.z.shape, bool), world.once(), np.arange(runs)
    for t in range(length):
        z = world.z[:, t]
        attended[:, t] = ~known[rows, z]
        answers[:, t] = np.where(known[rows, z], world.asked[:, t], answers[:, t])
        seen[rows, z] += attended[:, t]
        known[rows, z] |= attended[:, t] & (seen[rows, z] >= exposures) & (world.rng.random(runs) < chance)
        known &= world.rng.random(known.shape) >= forget
    return attended, answers


def _labelled(world: World) -> tuple[Array, Array]:
    """Never attends; guesses once, then knows the value from its label."""
    return np.zeros(world.z.shape, bool), np.where(world.exposure > 0, world.asked, world.once())


def _hinted(world: World) -> tuple[Array, Array]:
    """Is told a fifth of the values, and not which."""
    right = np.take_along_axis(world.rng.random(world.table.shape) < 0.2, world.z, axis=1)
    wrong = (world.asked + 1 + np.take_along_axis(world.guess(world.table.shape), world.z, 1) % (world.values - 1)) % (
        world.values
    )
    return np.zeros(world.z.shape, bool), np.where(right, world.asked, wrong)


NO_MEMORY: dict[str, Router] = {
    "one guess for each pattern": lambda w: (_attend(w, 0), w.once()),
    "a new guess at every query": lambda w: (_attend(w, 0), w.guess()),
    "one guess for all patterns": lambda w: (_attend(w, 0), np.zeros_like(w.z) + w.guess((w.z.shape[0], 1))),
    "one guess for all runs": lambda w: (_attend(w, 0), np.zeros_like(w.z)),
    "guesses in turn": lambda w: (_attend(w, 0), np.arange(w.z.shape[1]) % w.values + np.zeros_like(w.z)),
    "attends to 70 %": lambda w: (_attend(w, 0.7), w.once()),
    "attends to some patterns": lambda w: (w.z % 3 == 0, w.once()),
    "attends at odd steps": lambda w: (np.arange(w.z.shape[1]) % 2 + np.zeros_like(w.z) > 0, w.once()),
}
LEARNERS: dict[str, Router] = {
    "knows after one exposure": lambda w: _learner(w, 1),
    "knows after two exposures": lambda w: _learner(w, 2),
    "knows with probability 1/2": lambda w: _learner(w, 1, 0.5),
    "forgets": lambda w: _learner(w, 1, 1.0, 0.1),
    "learns from labels": _labelled,
}


def ends(rule: str, attended: Array, right: Array) -> Array:
    """Length of each run, by what it has answered without attention."""
    runs, length = right.shape
    hit, miss = right & ~attended, ~right & ~attended

    def first(event: Array) -> Array:
        return np.where(event.any(1), event.argmax(1) + 1, length)

    rules: dict[str, Callable[[], Array]] = {
        "length fixed beforehand": lambda: np.full(runs, length // 2),
        "ends at the first right answer": lambda: first(hit),
        "goes on while right": lambda: first(miss),
        "ends after two right answers": lambda: first(hit.cumsum(1) >= 2),
        "ends when most are right": lambda: first(
            (np.arange(length) >= 3) & (2 * hit.cumsum(1) > (hit | miss).cumsum(1))
        ),
        "twice as long after a right first answer": lambda: np.where(hit[:, 0], length, length // 4),
    }
    return rules[rule]()


RULES = (
    "length fixed beforehand", "ends at the first right answer", "goes on while right", "ends after two right answers",
    "ends when most are right", "twice as long after a right first answer",
)  # fmt: skip


def judge(world: World, router: Router, rule: str, chance: float, *, hidden: bool) -> tuple[bool, bool]:
    """Whether a log excludes its router: by its bets, and as if lengths had been planned."""
    attended, answers = router(world)
    right = attended | (answers == world.asked)
    kept = np.arange(world.z.shape[1]) < ends(rule, attended, right)[:, None]
    runs, patterns = world.table.shape
    entry = (np.arange(runs)[:, None] * patterns + world.z)[kept]
    counted = ~attended[kept] & ((world.exposure[kept] == 0) if hidden else True)
    entry, right = entry[counted], right[kept][counted]
    tries = count_tries(entry, np.ones_like(right), right)
    bets = (tries >= 0) if chance == 1 / world.values else (tries == 0)
    level = math.log(ALPHA)
    by_bets = Bets(right[bets], tries[bets]).log_p(chance) <= level
    planned = any(
        e_values.penalty(j) - Guesses(*Histogram.of(entry[:n]), chance).log_evidence(int(right[:n].sum())) <= level
        for j, n in enumerate(e_values.looks(entry.size))
    )
    return by_bets, planned


def world(rng: np.random.Generator, runs: int, length: int, patterns: int, values: int) -> World:
    """A log of fresh tables and uniform queries."""
    table = rng.integers(0, values, (runs, patterns))
    return World(rng.integers(0, patterns, (runs, length)), table, values, rng)


def rates(logs: int) -> list[tuple[Any, ...]]:
    """Rows of the table: what, router, rule, runs, patterns, values, logs, excluded by bets, as if planned."""
    out: list[tuple[Any, ...]] = []

    def row(what: str, name: str, router: Router, rule: str, sizes: tuple[int, int, int, int], chance: float) -> None:
        rng = np.random.default_rng([SEED, len(out)])
        found = [judge(world(rng, *sizes), router, rule, chance, hidden=what.startswith("T3")) for _ in range(logs)]
        shares = np.mean(found, axis=0)
        out.append((what, name, rule, *sizes, logs, *(f"{share:.4f}" for share in shares)))

    for rule in RULES:
        for i, (name, router) in enumerate(NO_MEMORY.items()):
            sizes = [(20, 24, 4, 2), (1, 60, 3, 2), (40, 16, 6, 16)][i % 3]
            row("T1, honest", name, router, rule, sizes, 1 / sizes[3])
        row("T1, honest", "hints of chance 1/5", _hinted, rule, (20, 24, 4, 8), 1 / 5)
        for name, router in LEARNERS.items():
            row("T3, honest", name, router, rule, (20, 24, 5, 2), 1 / 2)
    knows: Router = lambda w: (_attend(w, 0), w.asked)  # noqa: E731
    for patterns, values in ((5, 2), (6, 2), (10, 2), (3, 16), (20, 4)):
        sizes = (1, 12 * patterns, patterns, values)
        row("T1, power", "knows all values", knows, RULES[0], sizes, 1 / values)
        row("T1, power", "knows after one exposure", LEARNERS["knows after one exposure"], RULES[0], sizes, 1 / values)
        row("T1, power", "learns from labels", _labelled, RULES[0], sizes, 1 / values)
        row("T1, power", "hints of chance 1/5 of 8", _hinted, RULES[0], (40, 12, patterns, 8), 1 / 8)
    return out


def main() -> None:
    """Run the study and write its table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--logs", type=int, default=LOGS)
    parser.add_argument("--out", type=Path, default=TABLE)
    arguments = parser.parse_args()
    header = ("what", "router", "runs end", "runs", "length", "patterns", "values", "logs", "excluded", "if planned")
    with arguments.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for found in rates(arguments.logs):
            writer.writerow(found)
            print(*found, sep="  ")


if __name__ == "__main__":
    main()

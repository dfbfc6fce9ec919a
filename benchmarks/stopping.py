"""Judge honest routers whose runs end by their answers.

Honest routers at the boundary of T1, T2 and T3, the rules by which their runs end, 2,000 logs of each: how often is the
router excluded? At most α = 5 % is right. For T1 and T3 by the default test (bets), and by the one for planned lengths,
which promises it for the rule "length fixed beforehand" only. For T2 by the lower limit of the bits in one run, also
where a query repeats the one before it now and then (``again``), so that queries are not quite independent: a run whose
queries fail the test of independence is not judged (``not judged``). Then the power: how often is a router excluded
that does know the values, or holds more bits than it says?

Writes ``data/benchmarks/stopping.csv`` (``make benchmark-stopping``; ``--repeats 100`` for a quick look).
``python benchmarks/stopping.py --page`` writes the tables of docs/checking-a-log.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from command_line import is_page_asked
from grid import Cell, Study, filled, main, markdown, recorded
from numpy.typing import NDArray

from theory.audit import e_values
from theory.audit.arrivals import exchangeability
from theory.audit.bets import Bets
from theory.audit.counts import Histogram, count_tries
from theory.audit.e_values import Guesses

LOGS, ALPHA = 2000, 0.05

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
        "ends where it looks best": lambda: (
            _LEAST + (hit.cumsum(1) / np.maximum((~attended).cumsum(1), 1))[:, _LEAST - 1 :].argmax(1)
        ),
    }
    return rules[rule]()


_LEAST = 100  # queries of a run that is cut in hindsight
RULES = (
    "length fixed beforehand", "ends at the first right answer", "goes on while right", "ends after two right answers",
    "ends when most are right", "twice as long after a right first answer",
)  # fmt: skip


BITS_RULES = ("length fixed beforehand", "twice as long after a right first answer", "ends where it looks best")
"""Rules of the single runs whose bits are judged; the last one cuts a run in hindsight, after 100 queries or more."""

Memory = Callable[[World], Array]
"""Which values a memory holds, and what: shape (runs, length), -1 where it attends."""


def _held(count: int) -> Memory:
    """The first so many values, which are those of the likeliest patterns."""
    return lambda w: np.where(w.z < count, w.asked, -1)


def _last(world: World) -> Array:
    """The value shown last."""
    again = np.diff(world.z, axis=1, prepend=-1) == 0
    return np.where(again, world.asked, -1)


def _majority(world: World) -> Array:
    """The commonest of two values, in one bit."""
    return np.broadcast_to(2 * world.table.sum(1, keepdims=True) > world.table.shape[1], world.z.shape).astype(int)


_CODE = (
    np.array([[(m >> i) & 1 for i in range(4)] for m in range(16)])
    @ np.array([[1, 0, 0, 0, 1, 1, 0], [0, 1, 0, 0, 1, 0, 1], [0, 0, 1, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1, 1]])
    % 2
)  # Hamming's code: every table of seven bits lies within one of its sixteen words


def _hamming(world: World) -> Array:
    """The nearest word of Hamming's code: seven values of two in four bits, one in eight wrong."""
    distance = (world.table[:, None, :] != _CODE).sum(2)
    return np.take_along_axis(_CODE[distance.argmin(1)], world.z, axis=1)


@dataclass(frozen=True)
class Store:
    """A memory: patterns, values, bits that it needs, and whether the patterns are equally likely."""

    memory: Memory
    patterns: int
    values: int
    bits: float
    equal: bool = True


MEMORIES = {
    "guesses": Store(World.once, 8, 4, 0),
    "holds twenty of forty values": Store(_held(20), 40, 16, 80),
    "holds the three likeliest": Store(_held(3), 8, 4, 6, equal=False),
    "holds the value shown last": Store(_last, 4, 4, 2),
    "the commonest of three": Store(_majority, 3, 2, 1),
    "Hamming's code": Store(_hamming, 7, 2, 4),
}
LENGTHS = (400, 1600, 6400)
HOLDS_ALL = {bits: Store(_held(40), 40, 16, bits) for bits in (0, 40, 80, 120)}  # in truth 160 bits


def judge_bits(world: World, store: Store, rule: str) -> bool | None:
    """Whether one run excludes a memory of so many bits; None: its queries do not look independent."""
    held = store.memory(world)
    attended = held < 0
    right = attended | (held == world.asked)
    n = int(ends(rule, attended, right)[0])
    z, free, right = world.z[0, :n], ~attended[0, :n], right[0, :n]
    if exchangeability(z).status != "passed":
        return None
    limits = (
        e_values.least_bits(
            np.bincount(z[:rows], minlength=store.patterns),
            np.bincount(z[:rows][free[:rows]], minlength=store.patterns),
            int((right & free)[:rows].sum()),
            1 / store.values,
            e_values.penalty(j) - math.log(ALPHA),
        )
        for j, rows in enumerate(e_values.looks(n))
    )
    return any(limit > store.bits for limit in limits)


def one_run(rng: np.random.Generator, store: Store, length: int, again: float) -> World:
    """A run of fresh values whose queries repeat the one before with a chance."""
    weights = np.ones(store.patterns) if store.equal else 1 / np.arange(1, store.patterns + 1)
    fresh = rng.choice(store.patterns, (1, length), p=weights / weights.sum())
    since = np.maximum.accumulate(np.where(rng.random(length) < again, 0, np.arange(length)))
    table = rng.integers(0, store.values, (1, store.patterns))
    return World(fresh[:, since], table, store.values, rng)


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


def _cells() -> list[Cell]:
    """T1 and T3 at their boundary, the power of T1, then T2 at its boundary, with weak dependence, and its power."""
    out: list[Cell] = []

    def add(what: str, router: str, rule: str, sizes: Sequence[int], bits: float = math.nan, again: float = 0) -> None:
        names = ("runs", "length", "patterns", "values")
        out.append(
            {"what": what, "router": router, "ends": rule, **dict(zip(names, sizes, strict=True)), "bits": bits,
             "again": again}
        )  # fmt: skip

    for rule in RULES:
        for i, name in enumerate(NO_MEMORY):
            add("T1, honest", name, rule, [(20, 24, 4, 2), (1, 60, 3, 2), (40, 16, 6, 16)][i % 3])
        add("T1, honest", HINTS, rule, (20, 24, 4, 8))
        for name in LEARNERS:
            add("T3, honest", name, rule, (20, 24, 5, 2))
    for patterns, values in ((5, 2), (6, 2), (10, 2), (3, 16), (20, 4)):
        for name in (KNOWS, "knows after one exposure", "learns from labels"):
            add("T1, power", name, RULES[0], (1, 12 * patterns, patterns, values))
        add("T1, power", HINTS, RULES[0], (40, 12, patterns, 8))
    for rule, (name, store), again in product(BITS_RULES, MEMORIES.items(), (0.0, 0.02, 0.1)):
        add("T2, honest", name, rule, (1, 3200, store.patterns, store.values), store.bits, again)
    for (bits, store), length in product(HOLDS_ALL.items(), LENGTHS):
        add("T2, power", "holds forty values", RULES[0], (1, length, store.patterns, store.values), bits)
    return out


HINTS, KNOWS = "hints of chance 1/5", "knows all values"
ROUTERS: dict[str, Router] = NO_MEMORY | LEARNERS | {HINTS: _hinted, KNOWS: lambda w: (_attend(w, 0), w.asked)}


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, float]:
    """Shares of the logs that exclude the router."""
    what, name, rule = cell["what"], cell["router"], cell["ends"]
    if what.startswith("T2"):
        store = MEMORIES[name] if name in MEMORIES else HOLDS_ALL[cell["bits"]]
        runs = (one_run(rng, store, cell["length"], cell["again"]) for _ in range(repeats))
        bits = [judge_bits(run, store, rule) for run in runs]
        silent = sum(found is None for found in bits)
        return {"excluded": sum(map(bool, bits)) / repeats, "if_planned": math.nan, "not_judged": silent / repeats}
    sizes = [cell[key] for key in ("runs", "length", "patterns", "values")]
    chance = 1 / 5 if (what, name) == ("T1, honest", HINTS) else 1 / cell["values"]
    logs = (world(rng, *sizes) for _ in range(repeats))
    found = [judge(log, ROUTERS[name], rule, chance, hidden=what.startswith("T3")) for log in logs]
    excluded, planned = np.mean(found, axis=0)
    return {"excluded": float(excluded), "if_planned": float(planned), "not_judged": 0.0}


PAGE = Path(__file__).resolve().parents[1] / "docs" / "checking-a-log.md"
AGAIN = ("0", "0.02", "0.1")

Rows = Sequence[Mapping[str, str]]


def percent(rows: Rows, column: str, over: Callable[[list[float]], float] = max, digits: int = 1) -> str:
    return f"{100 * over([float(row[column]) for row in rows]):.{digits}f} %"


def grouped(rows: Rows, what: Sequence[str], *columns: str) -> dict[tuple[str, ...], Rows]:
    """Rows of some kinds, by what stands in some columns."""
    groups: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
    for row in rows:
        if row["what"] in what:
            groups.setdefault(tuple(row[name] for name in columns), []).append(row)
    return dict(groups)


def honest_table(rows: Rows) -> str:
    found = grouped(rows, ("T1, honest", "T3, honest"), "ends")
    lines = [
        (rule, str(len(group)), percent(group, "excluded"), percent(group, "excluded", fmean),
         percent(group, "if_planned"))
        for (rule,), group in found.items()
    ]  # fmt: skip
    return markdown(("runs end", "routers", "most excluded", "mean", "most, by the test for planned lengths"), lines)


def memory_table(rows: Rows) -> str:
    lines = []
    for (router, bits), group in grouped(rows, ("T2, honest",), "router", "bits").items():
        parts = [[row for row in group if row["again"] == again] for again in AGAIN]
        silent = [percent(part, "not_judged", fmean, 0) for part in parts[1:]]
        lines.append((router, bits, *(percent(part, "excluded", digits=2) for part in parts), *silent))
    header = ("memory", "bits", *(f"{float(a):.0%} again" for a in AGAIN), "not judged at 2 %", "not judged at 10 %")
    return markdown(header, lines)


def power_table(rows: Rows) -> str:
    lines = [
        (row["router"], row["runs"], row["patterns"], row["values"], percent([row], "excluded", digits=0),
         percent([row], "if_planned", digits=0))
        for row in rows if row["what"] == "T1, power"
    ]  # fmt: skip
    return markdown(("router", "runs", "K", "V", "bets", "planned lengths"), lines)


def bits_table(rows: Rows) -> str:
    lines = [
        (bits, *(percent([row], "excluded", digits=0) for row in group))
        for (bits,), group in grouped(rows, ("T2, power",), "bits").items()
    ]
    return markdown(("bits said", *(f"{length:,} queries" for length in LENGTHS)), lines)


def page(text: str, rows: Rows) -> str:
    """The page with its tables made anew."""
    for mark, table in (
        ("HONEST", honest_table), ("MEMORIES", memory_table), ("POWER", power_table), ("BITS", bits_table),
    ):  # fmt: skip
        text = filled(text, mark, table(rows))
    return text


STUDY = Study("stopping", (__doc__ or "").split("\n")[0], _cells(), measure, LOGS)

if __name__ == "__main__":
    if is_page_asked(__doc__):
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), recorded(STUDY.name)), encoding="utf-8")
    else:
        main(STUDY)

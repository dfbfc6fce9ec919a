"""Consolidating learners on Zipf-distributed patterns beside the exact curve of theorem T4: exact ones, and CRAM.

Run ``python benchmarks/zipf_sweep.py`` (``--help`` for the options; ten minutes on one core). *Exact* learners
(``theory.bounds.learners``) attend until c exposures have counted, each with probability η; ``repeats`` · 100 streams.
*SGD* learners are small CRAMs trained on SRCD (N = 64, d = 32, 100 recurring patterns, 8 values), ``repeats`` seeds in
one stack: all tokens attend in the first 100 steps, then the router decides, and its costs grow over 100 steps. n
counts queries (SGD: for recurring patterns, since the first step); ``batch`` counts queries for exact learners, for SGD
learners streams (4.2 queries for recurring patterns each).

Columns of results: ``threshold``: c, for SGD learners that whose exact curve is nearest from n = 5793 on; ``off``:
largest distance of measured from exact curve (SGD: from there on); ``allowed``: what chance allows an exact learner
(all n together, 99.9 %); ``slope``: −Δ log u/Δ log n from n = 256 to 4096 (SGD: from 5793 to 16384); ``t4_slope``: of
the exact curve; ``gamma``: 1 − 1/s; ``quotable``: whether the exact curve's local slope is within 0.02 of it all the
way; ``u_n``: share attended at n (SGD: of the queries within 2^±¼ n); ``t4_n``: exact; ``p_k``: share attended of the
queries for patterns seen k times (SGD: within 2^±¼ k); ``exact_p_k``: exact. SGD only: ``accuracy`` at the end (fresh
streams, hard decisions) and ``novel``, the share of queries for novel keys that attend; ``switched``: share of the
patterns seen that stop attending in training; ``k10``, ``k50``, ``k90``: exposures at which they do, over patterns and
seeds; ``alignment``: slope of log n at that point on log frequency (−1: a pattern's own exposures decide, as T4
assumes; 0: the clock does).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from grid import Cell, Study, main, markdown
from kept import Kept

PATTERNS = 100
N = (256, 1024, 4096, 5793, 8192, 11585, 16384)
EARLY, FREE = slice(0, 3), slice(3, None)  # of these n; SGD learners are free after warm-up and growth of the costs
K = (0, 1, 3, 10, 30, 100, 300, 1000)
EXPONENTS = (1.25, 1.5, 1.754, 2.0, 3.0)
WARM_UP, QUERIES = 100, 20_000
_WINDOW = 2.0**0.25


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    found = exact(cell, repeats, rng) if cell["learner"] == "exact" else trained(cell, repeats, rng)
    return {name: "" if isinstance(v, float) and math.isnan(v) else v for name, v in found.items()}


def exact(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    from theory.bounds.learners import Learner, follow_exposures, follow_stream

    learner = Learner(int(cell["c"]), float(cell["eta"]), int(cell["batch"]))
    p = _frequencies(cell)
    stream = follow_stream(learner, p, N, streams=100 * repeats, rng=rng)
    seen = follow_exposures(learner, p, K, length=4096, streams=100 * repeats, rng=rng)
    return _columns(
        cell,
        stream.mean,
        stream.exact,
        int(cell["c"]),
        stream.bound,
        seen.mean,
        seen.exact,
        found=dict.fromkeys(_SGD, ""),
    )


_SGD = ("accuracy", "novel", "switched", "k10", "k50", "k90", "alignment")


def trained(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    import torch

    from theory.training.ensemble import Stacked
    from theory.training.loop import Streams, loop
    from theory.training.reproducibility import deterministic

    torch.set_num_threads(1)
    setups = [_setup(cell, seed) for seed in rng.integers(0, 2**31 - 1, repeats).tolist()]
    first, cpu = setups[0].training, torch.device("cpu")
    kept = [Kept() for _ in setups]
    with deterministic(first.seed, cpu):
        streams = Streams([setup.data for setup in setups], first.batch, first.seed, cpu)
        loop(Stacked(setups, cpu), streams, kept, setups)
    members = [(np.concatenate(one.patterns), np.concatenate(one.attended).astype(float)) for one in kept]
    u = np.array([[attended[_near(np.arange(z.size), n)].mean() for n in N] for z, attended in members]).mean(axis=0)
    c, curve = _nearest(u, _frequencies(cell))
    exposures = [_before(z) for z, _ in members]
    pooled = np.concatenate(exposures), np.concatenate([attended for _, attended in members])
    p_k = np.array([_mean(pooled[1][_near(pooled[0], k)]) for k in K])
    switches = [_switches(*member) for member in members]
    n, k, pattern = (np.concatenate(part) for part in zip(*switches, strict=True))
    seen = sum(np.unique(z).size for z, _ in members)
    quantiles = np.quantile(k, (0.1, 0.5, 0.9)) if k.size else np.full(3, math.nan)
    found = {
        "accuracy": float(np.mean([one.measures.accuracy for one in kept])),
        "novel": float(np.mean([one.measures.attended_novel for one in kept])),
        "switched": n.size / seen,
        **dict(zip(("k10", "k50", "k90"), map(float, quantiles), strict=True)),
        "alignment": _slope(np.log(_frequencies(cell)[pattern - 1]), np.log(n)),
    }
    return _columns(cell, u, curve, c, math.nan, p_k, np.full(p_k.shape, math.nan), found)


def _setup(cell: Cell, seed: int) -> Any:
    from theory.training.setup import load_setup

    batch = int(cell["batch"])
    steps = math.ceil(QUERIES / (batch * 6 * 0.7))
    data = {"length": 64, "query_fraction": 0.1, "patterns": PATTERNS, "novel_keys": 64, "values": 8}
    model = {"d_model": 32, "semantic_rank": 64, "lambda_episodic": cell["cost"], "lambda_semantic": cell["cost"]}
    training = {
        "steps": steps, "batch": batch, "seed": seed, "rate": cell["rate"], "slow_rate": cell["slow_rate"],
        "attend_until": WARM_UP, "costs_from": WARM_UP, "costs_over": WARM_UP,
        "evaluate_every": steps,
    }  # fmt: skip
    groups = {"data": data | {"zipf": cell["s"]}, "model": model, "training": training}
    return load_setup("cram-n256", {f"{g}.{name}": v for g, table in groups.items() for name, v in table.items()})


def _frequencies(cell: Cell) -> np.ndarray:
    from theory.bounds.t4_zipf_streams import frequencies

    return frequencies(float(cell["s"]), int(cell["patterns"]))


def _columns(
    cell: Cell, u: np.ndarray, t4: np.ndarray, c: int, allowed: float, p_k: np.ndarray, exact_p_k: np.ndarray,
    found: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    from theory.bounds.t4_zipf_streams import TOLERANCE, local_exponent

    s, gamma = float(cell["s"]), 1.0 - 1.0 / float(cell["s"])
    rate = float(cell["eta"] or 1.0)
    part = FREE if cell["learner"] == "sgd" else EARLY
    at = N[part]
    local = local_exponent(at, s, patterns=int(cell["patterns"]), c=c, rate=rate)[0]
    off = np.abs(u - t4)[FREE if cell["learner"] == "sgd" else slice(None)]

    def slope(curve: np.ndarray) -> float:
        ends = curve[part][0], curve[part][-1]
        return math.log(ends[0] / ends[1]) / math.log(at[-1] / at[0]) if min(ends) > 0 else math.nan

    return {
        "threshold": c, "off": float(off.max()), "allowed": allowed, "slope": slope(u), "t4_slope": slope(t4),
        "gamma": gamma, "quotable": bool(np.abs(local - gamma).max() <= TOLERANCE), **found,
        **_named("u", N, u), **_named("t4", N, t4), **_named("p", K, p_k), **_named("exact_p", K, exact_p_k),
    }  # fmt: skip


def _named(name: str, at: tuple[int, ...], values: np.ndarray) -> dict[str, float]:
    return {f"{name}_{x}": float(value) for x, value in zip(at, values, strict=True)}


def _near(x: np.ndarray, at: int) -> np.ndarray:
    return (x >= at / _WINDOW) & (x <= at * _WINDOW)


def _mean(x: np.ndarray) -> float:
    return float(x.mean()) if x.size else math.nan


def _before(z: np.ndarray) -> np.ndarray:
    from theory.tasks.retrieval import exposures

    return exposures(z[None])[0]


def _nearest(u: np.ndarray, p: np.ndarray) -> tuple[int, np.ndarray]:
    """Threshold c whose exact curve comes nearest to the measured one, and that curve."""
    from theory.bounds.learners import Learner

    thresholds = np.unique(np.geomspace(1, 2000, 150).round().astype(int))
    curves = {int(c): Learner(int(c)).on_stream(N, p) for c in thresholds}
    c = min(curves, key=lambda c: float(np.abs(u - curves[c])[FREE].max()))
    return c, curves[c]


def _switches(z: np.ndarray, attended: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries, exposures and names of the patterns that stop attending, where they do.

    The cut of a pattern puts as many attended queries before it, and as many others behind it, as possible.
    """
    found = []
    for pattern in np.unique(z):
        at = np.flatnonzero(z == pattern)
        score = np.concatenate([[0.0], np.cumsum(2.0 * attended[at] - 1.0)])
        cut = int(score.argmax())
        if 0 < cut <= at.size - 3:
            found.append((at[cut], cut, pattern))
    columns = np.array(found, dtype=np.int64).reshape(-1, 3).T
    return columns[0], columns[1], columns[2]


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.polyfit(x, y, 1)[0]) if np.unique(x).size > 2 else math.nan


def _exact(s: float, patterns: int = PATTERNS, c: int = 1, eta: float = 1.0, batch: int = 1) -> Cell:
    return _cell("exact", s, patterns, c=c, eta=eta, batch=batch)


def _sgd(s: float, batch: int = 8, rate: float = 5e-3, slow_rate: float = 1e-3, cost: float = 0.35) -> Cell:
    return _cell("sgd", s, PATTERNS, batch=batch, rate=rate, slow_rate=slow_rate, cost=cost)


def _cell(learner: str, s: float, patterns: int, **settings: float) -> Cell:
    blank = dict.fromkeys(("c", "eta", "batch", "rate", "slow_rate", "cost"), "")
    return {"learner": learner, "s": s, "patterns": patterns, **blank, **settings}


_SOME = (1.25, 1.754, 3.0)
CELLS = (
    *(_exact(s) for s in EXPONENTS),
    *(_exact(s, patterns=10_000) for s in EXPONENTS),
    *(_exact(s, **change) for change in ({"c": 5}, {"c": 100}, {"eta": 0.2}, {"batch": 64}) for s in EXPONENTS),
    *(_sgd(s) for s in EXPONENTS),
    *(_sgd(s, **change) for change in (
        {"batch": 4}, {"rate": 2e-3}, {"slow_rate": 3e-4}, {"slow_rate": 3e-3}, {"cost": 0.15},
    ) for s in _SOME),
)  # fmt: skip

STUDY = Study("zipf_sweep", (__doc__ or "").split("\n")[0], CELLS, measure, 3)


def _expected_alignment(row: Mapping[str, str]) -> float:
    """Alignment of patterns that stop after c exposures, or at the end of the steps in which all tokens attend."""
    p = _frequencies(row)
    n = np.maximum(int(row["threshold"]) / p, WARM_UP * int(row["batch"]) * 6 * 0.7)
    stop = n < QUERIES
    return float(np.polyfit(np.log(p[stop]), np.log(n[stop]), 1)[0]) if stop.sum() > 1 else math.nan


def _digits(text: str, digits: int) -> str:
    return f"{float(text):.{digits}f}" if text else "none"


def summary(rows: Sequence[Mapping[str, str]]) -> str:
    """The tables of docs/training.md."""
    exact = [row for row in rows if row["learner"] == "exact"]
    first = [row for row in exact if (row["c"], row["eta"], row["batch"]) == ("1", "1", "1")]
    slopes = [
        [row["s"], row["patterns"], *(f"{float(row[name]):.3f}" for name in ("slope", "t4_slope", "gamma")),
         "yes" if row["quotable"] == "True" else "no"]
        for row in first
    ]  # fmt: skip
    off, allowed = max(float(row["off"]) for row in exact), max(float(row["allowed"]) for row in exact)
    trained = [
        [*(row[name] for name in ("s", "batch", "rate", "slow_rate", "cost")),
         f"{100 * float(row['accuracy']):.1f} %", row["threshold"],
         *(_digits(row[name], 2) for name in ("off", "slope", "t4_slope", "gamma")),
         f"{100 * float(row['switched']):.0f} %", "–".join(_digits(row[name], 0) for name in ("k10", "k50", "k90")),
         _digits(row["alignment"], 2), f"{_expected_alignment(row):.2f}"]
        for row in rows if row["learner"] == "sgd"
    ]  # fmt: skip
    return (
        markdown(("s", "K", "slope measured", "slope exact", "1 − 1/s", "may be quoted"), slopes)
        + f"\nLargest distance of {len(exact)} settings from their exact curves: {off:.4f}; "
        + f"chance allows {allowed:.3f}.\n\n"
        + markdown(("s", "batch", "rate", "slow rate", "λ", "accuracy", "nearest c", "off by", "slope", "slope of T4",
                    "1 − 1/s", "patterns that stop", "at k (10–50–90 %)", "alignment", "by thresholds"), trained)
    )  # fmt: skip


if __name__ == "__main__":
    print(summary(main(STUDY)))

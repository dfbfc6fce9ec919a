"""Measure how often `cogfit.inference.averaging` finds the averaging artefact, and how often it does so wrongly.

`python benchmarks/averaging_artefact.py --help` explains how to run a part of it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from grid import Cell, Study, clopper_pearson, main
from scipy.signal import lfilter

from cogfit.curves.curve import Clusters, Curve
from cogfit.inference import averaging

LOGIT_SD = 0.3  # of the noise on the logit scale of soft probabilities

RATES = {"singles": "exponential", "gamma": "-", "sd": "-", "amplitude": 1.0, "floor": 0.0}
POWER = {"singles": "power", "shape": "-", "rate": "-"}


def cell(base: dict[str, Any], **settings: Any) -> Cell:
    """One cell; what is not given has the value of the main settings."""
    usual = {
        "singles": "", "outcome": "soft", "rho": 0.0, "patterns": 100, "k_max": 1000, "shape": 0.43, "rate": 10.0,
        "gamma": 0.43, "sd": 0.2, "amplitude": 0.9, "floor": 0.0, "seen": "patterns",
    }  # fmt: skip
    return {**usual, **base, **settings}


ONE = {**POWER, "singles": "power of k+1", "amplitude": 1.0}
CELLS = [
    # exponentials with Gamma-distributed rates: their average is (1 + k/rate)^-shape
    *(cell(RATES, shape=a, rate=b) for a, b in ((0.43, 10.0), (0.43, 1.0), (0.43, 100.0), (1.0, 10.0), (2.0, 50.0))),
    cell(RATES, rho=0.9),
    cell(RATES, patterns=10),
    cell(RATES, patterns=30, k_max=100, rate=3.0),
    cell(RATES, shape=400.0, rate=40000.0),  # rates all but alike: no power law anywhere
    # every pattern a power law
    *(cell(POWER, sd=s) for s in (0.0, 0.1, 0.2)),
    *(cell(POWER, sd=s, rho=0.9) for s in (0.0, 0.2)),
    *(cell(POWER, floor=0.03, sd=0.1, rho=r) for r in (0.0, 0.9)),
    *(cell(ONE, sd=s) for s in (0.0, 0.2)),
    *(cell(ONE, rho=0.9, k_max=k) for k in (30, 100, 1000)),
    cell(POWER, rho=0.9, patterns=10),
    # one yes/no outcome for each pattern and k
    *(cell(RATES, outcome="hard", patterns=j, k_max=100) for j in (10, 30, 100, 300, 1000)),
    *(cell(RATES, outcome="hard", patterns=j) for j in (10, 30, 100, 300)),
    cell(RATES, outcome="hard", k_max=30, rate=3.0),
    *(cell(POWER, outcome="hard", patterns=j, k_max=100) for j in (30, 100, 300, 1000)),
    *(cell(POWER, outcome="hard", patterns=j) for j in (30, 100)),
    *(cell(ONE, outcome="hard", patterns=j, k_max=k) for j, k in ((100, 100), (1000, 100), (100, 1000))),
    # pooled data
    cell(RATES, seen="pooled curve"),
    cell(POWER, seen="pooled curve"),
    cell(RATES, patterns=4),
]


def single_curves(cell: Cell, k: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Probabilities of all patterns, (patterns, k)."""
    count = (cell["patterns"], 1)
    if cell["singles"] == "exponential":
        return np.asarray(np.exp(-rng.gamma(cell["shape"], 1.0 / cell["rate"], count) * k))
    mean, sd = cell["gamma"], cell["sd"]
    gamma = rng.gamma((mean / sd) ** 2, sd**2 / mean, count) if sd else np.full(count, mean)
    at = k + 1.0 if cell["singles"].endswith("k+1") else k
    return np.asarray(cell["floor"] + (cell["amplitude"] - cell["floor"]) * at**-gamma)


def observed(cell: Cell, p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What is seen of these probabilities: outcomes, or the probabilities with noise on their logits."""
    if cell["outcome"] == "hard":
        return (rng.random(p.shape) < p).astype(float)
    noise, rho = rng.normal(size=p.shape), cell["rho"]
    if rho:
        noise[:, 1:] *= np.sqrt(1.0 - rho**2)
        noise = lfilter([1.0], [1.0, -rho], noise, axis=1)
    odds = np.exp(LOGIT_SD * noise)
    return np.asarray(p * odds / (1.0 - p + p * odds))


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    found = Counter[str]()
    values = []
    k = np.arange(1.0, cell["k_max"] + 1.0)
    for _ in range(repeats):
        y = observed(cell, single_curves(cell, k, rng), rng)
        clusters = None if cell["seen"] == "pooled curve" else Clusters("patterns", y, np.ones(y.shape))
        curve = Curve(k, y.mean(axis=0), np.ones(k.size), None, "exposure", "prior", "probability", clusters=clusters)
        result = averaging.analyse(curve)
        found[result.status] += 1
        values.append((result.z, result.z_mirrored, result.gamma_mean, result.gamma_sd, result.gamma_pooled))
    low, high = clopper_pearson(found["artefact"], repeats)
    middle = [np.nanmean(v) if np.isfinite(v).any() else "" for v in np.array(values).T]
    names = ("z", "z_mirrored", "gamma_mean", "gamma_sd", "gamma_pooled")
    return {
        **{status: found[status] / repeats for status in averaging.STATUSES},
        "artefact_low": low,
        "artefact_high": high,
        **{f"mean_{name}": v if v == "" else float(v) for name, v in zip(names, middle, strict=True)},
    }


STUDY = Study(
    "averaging_artefact",
    "Shares of the answers of cogfit.inference.averaging.analyse. Soft: probabilities with noise of SD 0.3 on the "
    "logit, AR(1) with coefficient rho; hard: one yes/no outcome for each pattern and k. Single patterns: "
    "exp(-r k) with Gamma-distributed r (shape, rate), or floor + (amplitude - floor) k^-gamma (or (k+1)^-gamma) "
    "with Gamma-distributed gamma (mean, sd). artefact_low, artefact_high: Clopper-Pearson 99.9 % limits.",
    CELLS,
    measure,
    1000,
)

if __name__ == "__main__":
    main(STUDY)

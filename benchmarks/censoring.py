"""Measure how often the wrong driver of switches is named where patterns are censored, and the right one.

`python benchmarks/censoring.py --help` explains how to run a part of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from grid import Cell, Study, clopper_pearson, main

from cogfit.inference.survival import LAWS, Times, maximise
from cogfit.inference.switching import Slopes, Switches, estimate_slopes

SPREAD = 0.8  # SD of the log frequencies of patterns
RATE = 0.05  # exposures per step of a pattern of middling frequency
MIDDLE = 1000.0  # step of its switch
BATCH = 100  # logs that are worked on at once
CHI2 = 3.841  # 95 % quantile with one degree of freedom


def cell(**settings: Any) -> Cell:
    """One cell; what is not given has the value of the main settings."""
    usual = {"driver": "", "patterns": 100, "censored": 0.0, "law": "log-normal", "uneven": 0.0, "arrival": "start"}
    return {**usual, **settings}


DRIVERS = ("exposures", "clock")
LAWS_AND_UNEVENNESS = (
    ("log-logistic", 0.0),
    ("log-t3", 0.0),
    ("Weibull", 0.0),
    ("log-normal", 0.4),
    ("log-normal", -0.4),
)
CELLS = [
    *(
        cell(driver=driver, patterns=n, censored=share)
        for driver in (*DRIVERS, "mixture")
        for n in (30, 100)
        for share in (0.0, 0.2, 0.4, 0.6)
    ),
    *(
        cell(driver=driver, patterns=n, censored=0.6, law=law, uneven=uneven)
        for n in (30, 100)
        for law, uneven in LAWS_AND_UNEVENNESS
        for driver in DRIVERS
    ),
    *(cell(driver=driver, patterns=n, censored=0.4, arrival="late") for driver in DRIVERS for n in (30, 100)),
]


def errors(law: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Errors of log times with a standard deviation of 1."""
    if law == "log-logistic":
        return rng.logistic(size=shape) * math.sqrt(3.0) / math.pi
    if law == "log-t3":
        return rng.standard_t(3, size=shape) / math.sqrt(3.0)
    if law == "Weibull":
        return (np.log(rng.exponential(size=shape)) + np.euler_gamma) * math.sqrt(6.0) / math.pi
    return rng.normal(size=shape)


def simulate(cell: Cell, logs: int, rng: np.random.Generator) -> Switches:
    """Switches of patterns that are presented at random, each at its own rate."""
    shape = (logs, cell["patterns"])
    log_rate = rng.normal(0.0, SPREAD, shape)
    rate = RATE * np.exp(log_rate)
    # so large an SD that with 30 patterns as with 100 the slope is known to about 0.3
    scale = 0.9 * math.sqrt(cell["patterns"] / 30.0)
    error = scale * np.exp(cell["uneven"] * log_rate) * errors(cell["law"], shape, rng)
    follows_exposures = {
        "exposures": np.ones(shape, dtype=bool),
        "clock": np.zeros(shape, dtype=bool),
        "mixture": rng.random(shape) < 0.5,
    }[cell["driver"]]
    arrival = rng.uniform(0.0, 0.8 * MIDDLE, shape) if cell["arrival"] == "late" else np.zeros(shape)

    # a threshold in exposures is reached at a random step, one in steps with a random number of exposures
    threshold = MIDDLE * np.exp(np.minimum(error, 20.0))
    after = np.maximum(rng.gamma(np.ceil(RATE * threshold)), 0.5) / rate
    step = np.where(follows_exposures, arrival + after, threshold)
    is_low = step <= arrival
    seen = rng.poisson(rate * np.maximum(step - arrival, 0.0)) + 0.5
    k = np.where(follows_exposures, np.ceil(RATE * threshold) - 0.5, seen)
    step, k = np.where(is_low, arrival + 1.0, step), np.where(is_low, 0.5, k)

    # the log ends where the wanted share of all patterns has not switched yet
    end = float(np.quantile(step, 1.0 - cell["censored"])) if cell["censored"] else math.inf
    is_never = step > end
    if cell["censored"]:
        end = max(end, 1.0)
        k = np.where(is_never, rng.poisson(rate * np.maximum(end - arrival, 0.0)) + 0.5, k)
    return Switches(np.minimum(step, end), k, np.ones(shape), is_never, is_low & ~is_never, rate)


@dataclass(frozen=True)
class Named:
    """In which logs exposures, and in which the clock is named."""

    exposures: np.ndarray
    clock: np.ndarray

    def wrong(self, driver: str) -> np.ndarray:
        """Logs in which a driver is named that is not this one."""
        return (self.exposures & (driver != "exposures")) | (self.clock & (driver != "clock"))

    def right(self, driver: str) -> np.ndarray:
        """Logs in which this one is named."""
        return (self.exposures & (driver == "exposures")) | (self.clock & (driver == "clock"))


def named_by(slopes: Slopes) -> Named:
    """What `Alignment.driver` says."""
    known = np.isfinite(slopes.high - slopes.low)
    exposures, clock = ((slopes.low <= value) & (slopes.high >= value) & known for value in (-1.0, 0.0))
    return Named(exposures & ~clock, clock & ~exposures)


def named_under_truth(cell: Cell, switches: Switches) -> Named:
    """What maximum likelihood under the true model says: its law, scale and clock, with limits by χ²."""
    law, x = LAWS[cell["law"]], switches.log_frequency
    clock, exposures = (at_one(switches.times(np.array([slope]))) for slope in (0.0, -1.0))
    free = exposures if cell["driver"] == "exposures" else clock
    one = np.ones((*x.shape, 1))
    spread = 1e3 * x if cell["uneven"] else np.zeros(x.shape)  # so long a column that the penalty of δ has no say
    top = maximise(law, free, np.concatenate([one, x[..., None]], axis=-1), spread).loglik
    held = [maximise(law, times, one, spread).loglik for times in (exposures.shifted(-x), clock)]
    is_in = [2.0 * (np.maximum(top, np.max(held, axis=0)) - value) <= CHI2 for value in held]
    return Named(is_in[0] & ~is_in[1], is_in[1] & ~is_in[0])


def at_one(times: Times) -> Times:
    return Times(times.lower[..., 0, :], times.upper[..., 0, :])


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    rows = [measure_logs(cell, min(BATCH, repeats - start), rng) for start in range(0, repeats, BATCH)]
    values = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    slope = float(np.median(values.pop("slope")))
    shares = {name: float(value.mean()) for name, value in values.items()}
    below = {}
    if cell["driver"] != "mixture":
        below = {"points_below_truth": 100.0 * (shares["right_by_truth"] - shares["right"])}
    wrong_low = clopper_pearson(round(repeats * shares["wrong"]), repeats, 0.98)[0]
    return {**shares, "wrong_low": wrong_low, "points_below_truth": "", **below, "median_slope": slope}


def measure_logs(cell: Cell, logs: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    driver = cell["driver"]
    truth = {"exposures": -1.0, "clock": 0.0, "mixture": -0.5}[driver]
    switches = simulate(cell, logs, rng)
    slopes = estimate_slopes(switches)
    by_us, by_truth = named_by(slopes), named_under_truth(cell, switches)
    wrong, has_mixture = by_us.wrong(driver), (slopes.low <= -0.5) & (slopes.high >= -0.5)
    return {
        "right": by_us.right(driver),
        "wrong": wrong,
        "wrong_without_doubt": wrong & ~has_mixture,
        "right_by_truth": by_truth.right(driver),
        "coverage": (slopes.low <= truth) & (slopes.high >= truth),
        "slope": slopes.estimate,
    }


STUDY = Study(
    "censoring",
    "Which driver of switch times is named by cogfit.inference.switching where a share of the patterns is censored by "
    "the end of the log. Log frequencies have SD 0.8, log thresholds SD 0.9 (30 patterns) or 1.64 (100); uneven: the "
    "log of that SD changes by so much per unit of log frequency; arrival late: patterns are first seen at random "
    "within 80 % of the middle threshold; mixture: every pattern follows one of both at random, and both are wrong. "
    "right, wrong: share of logs in which the right or the wrong driver is named; wrong_without_doubt: in which a "
    "mixture is said to be excluded, too; wrong_low: exact lower 99 % limit of wrong; right_by_truth: share in which "
    "maximum likelihood under the true model names the right one, points_below_truth: by how many points more often; "
    "coverage: of the slope (mixture: of -0.5).",
    CELLS,
    measure,
    1000,
)

if __name__ == "__main__":
    main(STUDY)

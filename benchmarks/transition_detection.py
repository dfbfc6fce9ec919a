"""How often ``cogfit.inference.transitions.transition`` finds a change that is there, and one that is not.

Run ``python benchmarks/transition_detection.py`` (``--help`` for the options; about an hour on one core). Every
curve has n points, x = 1 … n, a smooth truth and errors of marginal SD 0.02; ``drop`` is in units of that SD, ``at``
its place and ``width`` the stretch from 10 to 90 % of it (0: a jump), both as shares of the range. The function is
called as a user would, with its defaults. Truths without a transition, besides smooth forms: a cosine schedule of the
whole length, a sawtooth of five epochs, means over windows of 50 steps at their ends, a warm-up of 20 points. Errors
``known 0.9`` are ``ar 0.9``, and the test is told their covariance: no test with these smooth forms finds more.

Columns of results: share of curves with a change found, with exact 99.9 % limits; share in which a smooth change of
regime, a period, a window or a warm-up is named; shares with more changes than there are,
with t50 within 2 % of the range, with t50 inside its 95 % interval, and called sharp; median error of t50, of the width
and length of the interval (shares of the range); seconds a call.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from grid import Cell, Study, clopper_pearson, main
from scipy.signal import lfilter

from cogfit.engine.arma import Arma
from cogfit.inference import transition_evidence, transition_places, transition_steps
from cogfit.inference.transitions import transition

SIGMA = 0.02
ARMA21 = Arma((1.2, -0.32), (0.4,))  # autoregressive roots 0.8 and 0.4


WINDOW = 50  # steps over which the means of "window_means" go
WARM_UP = 20  # points of "warm_up"


def _truth(name: str, x: np.ndarray) -> np.ndarray:
    power_floor = 0.15 + 0.85 * x**-0.43
    if name == "power_floor":
        return power_floor
    if name == "pure_power":
        return x**-0.43
    if name == "cosine_schedule":
        return power_floor - 0.05 * (1.0 - np.cos(np.pi * x / x.size))
    if name == "sawtooth":
        return power_floor - 0.06 * np.mod((x - 1.0) / (0.2 * x.size), 1.0)
    if name == "window_means":
        steps = np.arange(1.0, WINDOW * x.size + 1.0)
        return (0.15 + 0.85 * steps**-0.43).reshape(x.size, WINDOW).mean(axis=1)
    if name == "warm_up":
        return np.where(x < WARM_UP, 0.15 + 0.85 * WARM_UP**-0.43 * x / WARM_UP, power_floor)
    if name == "exponential_floor":
        return 0.15 + 0.85 * np.exp(-x / (0.15 * x.size))
    if name == "stretched_exponential":
        return 0.15 + 0.85 * np.exp(-np.sqrt(x / (0.1 * x.size)))
    if name == "two_exponentials":  # fast at first, then slow: not in the registry
        return 0.15 + 0.5 * np.exp(-x / (0.01 * x.size + 1.0)) + 0.35 * np.exp(-x / (0.4 * x.size))
    assert name == "constant"
    return np.full(x.size, 0.3)


def _errors(name: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """Stationary errors of unit variance: ``ar 0.9``, ``arma21``, ``t3 0.9`` (innovations of Student's t, 3 d.f.)."""
    kind, _, value = name.partition(" ")
    if kind == "arma21":
        return ARMA21.simulate(1, n, rng)[0]
    rho, lead = float(value), 400  # kind "known" is "ar"
    shock = rng.standard_t(3, n + lead) / math.sqrt(3.0) if kind == "t3" else rng.standard_normal(n + lead)
    return math.sqrt(1.0 - rho * rho) * lfilter([1.0], [1.0, -rho], shock)[lead:]


@contextmanager
def _covariance(errors: str) -> Iterator[None]:
    """Tell the test the errors' correlation, if they are "known"."""
    kind, _, value = errors.partition(" ")
    if kind != "known":
        yield
        return
    rho = float(value)
    others = np.where(np.abs(transition_steps.RHO - rho) > np.abs(transition_steps.RHO - rho).min(), 1e6, 0.0)
    loglik, estimate = transition_steps.loglik, transition_evidence.estimate_errors
    transition_steps.loglik = lambda rss, n: loglik(rss, n) - others
    transition_evidence.estimate_errors = transition_places.estimate_errors = lambda residual, mean: Arma((rho,))
    try:
        yield
    finally:
        transition_steps.loglik = loglik
        transition_evidence.estimate_errors = transition_places.estimate_errors = estimate


def _step(cell: Cell, x: np.ndarray) -> tuple[np.ndarray, float]:
    """Share of the change done at each x, and its t50."""
    n, at, width = x.size, float(cell["at"]), float(cell["width"])
    if width == 0.0:
        return (x > at * n).astype(float), math.floor(at * n) + 0.5
    # 10 and 90 % lie a width apart on the x axis, and as far from t50 on the log axis.
    s = math.log(9.0) / math.asinh(0.5 * width / at)
    return 1.0 - 1.0 / (1.0 + (x / (at * n)) ** s), at * n


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> Mapping[str, Any]:
    n = int(cell["n"])
    x = np.arange(1.0, n + 1.0)
    step, place = _step(cell, x)
    curve = _truth(str(cell["truth"]), x) - float(cell["drop"]) * SIGMA * step
    transition(x, curve + SIGMA * rng.standard_normal(n))  # compiled code is loaded before the clock starts
    axis = WINDOW * x if cell["truth"] == "window_means" else x
    begin = time.process_time()
    with _covariance(str(cell["errors"])):
        results = [transition(axis, curve + SIGMA * _errors(str(cell["errors"]), n, rng)) for _ in range(repeats)]
    seconds = (time.process_time() - begin) / repeats
    found = [r for r in results if r.found]
    named = sum(bool(r.regimes) or r.window > 0 or math.isfinite(r.period) or math.isfinite(r.warm_up) for r in results)
    low, high = clopper_pearson(len(found), repeats)
    out: dict[str, Any] = {"found": len(found) / repeats, "found_low": low, "found_high": high}
    out["named"] = named / repeats
    if float(cell["drop"]) > 0.0 and found:
        error = np.array([abs(r.t50 - place) for r in found]) / n
        width = np.array([r.t90 - r.t10 for r in found]) / n
        out |= {
            "more_changes": sum(bool(r.changes) for r in found) / len(found),
            "within_2_percent": float((error <= 0.02).mean()),
            "covered": sum(r.low <= place <= r.high for r in found) / len(found),
            "sharp": sum(math.isinf(r.gamma_c) for r in found) / len(found),
            "median_error": float(np.median(error)),
            "median_width_error": float(np.median(np.abs(width - float(cell["width"])))),
            "median_length": float(np.median([(r.high - r.low) / n for r in found])),
        }
    else:
        out |= dict.fromkeys(
            ("more_changes", "within_2_percent", "covered", "sharp", "median_error", "median_width_error",
             "median_length"), ""
        )  # fmt: skip
    return out | {"seconds": seconds}


def _cell(n: int, errors: str, truth: str, drop: float = 0.0, at: float = 0.0, width: float = 0.0) -> Cell:
    return {"n": n, "errors": errors, "truth": truth, "drop": drop, "at": at, "width": width}


_AR = ("ar 0", "ar 0.5", "ar 0.9")
CELLS = (
    *(_cell(n, e, t) for t in ("power_floor", "exponential_floor", "constant") for n in (300, 1000) for e in _AR),
    *(_cell(n, e, "power_floor") for n in (50, 100) for e in ("ar 0", "ar 0.9")),
    *(_cell(n, e, "power_floor") for n in (300, 1000) for e in ("arma21", "t3 0.9")),
    _cell(300, "t3 0", "power_floor"),
    _cell(10_000, "ar 0.9", "power_floor"),
    _cell(1000, "ar 0", "stretched_exponential"),
    _cell(300, "ar 0", "two_exponentials"),
    _cell(1000, "ar 0.9", "two_exponentials"),
    *(_cell(300, e, "power_floor", 5.0, at) for at in (0.3, 0.6) for e in _AR),
    *(_cell(1000, e, "power_floor", 5.0, 0.6) for e in ("ar 0", "ar 0.9")),
    _cell(300, "t3 0.9", "power_floor", 5.0, 0.6),
    *(_cell(300, e, "power_floor", 5.0, 0.5, 0.2) for e in (*_AR, "known 0.9")),
    *(_cell(300, e, t) for t in ("cosine_schedule", "sawtooth", "window_means", "warm_up") for e in ("ar 0", "ar 0.5")),
    _cell(100_000, "ar 0", "pure_power"),
)

STUDY = Study(
    "transition_detection",
    "False alarms, detection, location and interval of cogfit.inference.transitions.transition at its defaults.",
    CELLS,
    measure,
    1000,
)

if __name__ == "__main__":
    main(STUDY)

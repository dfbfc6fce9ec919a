"""Forecasts of known laws: how often a future point lies in its interval, and how often there is an answer.

Run: python benchmarks/forecast.py [--repeats 40] [--workers 1] [--only power]
A log of 300 points; what is forecast lies at 1.5 and 3 times its last x. `covered`: chance that a new observation lies
in its 95 % interval, which is known exactly from the law, averaged over the answers; `curve`: share of the answers in
which the law does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from grid import Cell, Study, main
from numpy.typing import NDArray
from scipy.special import ndtr

import cogfit

Array = NDArray[np.float64]
POINTS = 300
AHEAD = (1.5, 3.0)  # times the last x
SIZE = 0.02  # of the errors, SD

LAWS: Mapping[str, Callable[[Array], Array]] = {
    "power": lambda x: x**-0.43,
    "power_floor": lambda x: 0.1 + 0.9 * x**-0.6,
    "exponential_floor": lambda x: 0.1 + 0.9 * np.exp(-x / 60.0),
}


def errors(kind: str, rng: np.random.Generator) -> Array:
    """Errors of unit SD: independent, or AR(1) with a coefficient of 0.5."""
    draws = rng.standard_normal(POINTS)
    if kind != "ar 0.5":
        return draws
    for t in range(1, POINTS):
        draws[t] = 0.5 * draws[t - 1] + 0.75**0.5 * draws[t]
    return draws


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    """Forecast logs of one law."""
    law, is_relative = LAWS[cell["law"]], cell["errors"] == "proportional"
    x = np.arange(1.0, POINTS + 1.0)
    ahead = np.array(AHEAD) * POINTS
    truth = law(ahead)
    covered, curve, answered, width = [], [], [], []
    for _ in range(repeats):
        noise = SIZE * errors(cell["errors"], rng)
        y = law(x) * np.exp(noise) if is_relative else law(x) + noise
        told = cogfit.fit(x, y, rng=0).predict(ahead)
        ends = np.array([told.low, told.high])
        with np.errstate(invalid="ignore"):
            z = (np.log(np.maximum(ends, 1e-300) / truth) if is_relative else ends - truth) / SIZE
        low, high = ndtr(z)
        covered.append(high - low)
        curve.append((told.curve_low <= truth) & (truth <= told.curve_high))
        answered.append(told.answered)
        width.append(told.high - told.low)
    is_told = np.array(answered)
    out: dict[str, Any] = {}
    for i, times in enumerate(AHEAD):
        rows = is_told[:, i]
        out |= {
            f"answered_{times:g}": float(rows.mean()),
            f"covered_{times:g}": float(np.array(covered)[rows, i].mean()),
            f"curve_{times:g}": float(np.array(curve)[rows, i].mean()),
            f"width_{times:g}": float(np.median(np.array(width)[rows, i])),
        }
    return out


CELLS = [
    {"law": law, "errors": kind, "points": POINTS, "size": SIZE}
    for kind in ("independent", "ar 0.5", "proportional")
    for law in LAWS
]
STUDY = Study("forecast", (__doc__ or "").split("\n")[0], CELLS, measure, 40)

if __name__ == "__main__":
    main(STUDY)

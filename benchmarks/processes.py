"""Processes whose verdict is known: curves that are no power law, and power laws with difficult errors.

The list was fixed before anything was tuned on it, and is not changed to suit a result: a process may be added, none
taken out. A process is a mean curve over x = 1 … n and errors about it. The errors have about unit SD and are scaled to
a share of the curve's range ("additive") or of each value ("multiplicative").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

Array = np.ndarray
Mean = Callable[[Array], Array]
Errors = Callable[[Array, np.random.Generator], Array]
LEAD = 2_000  # values of a filtered series that are thrown away, so that it is stationary


# ------------------------------------------------------------------------------------------------------ mean curves

POWER_LAWS: dict[str, Mean] = {
    "power": lambda x: x**-0.43,
    "power_floor": lambda x: x**-0.5 + 0.15,
}

OTHERS: dict[str, Mean] = {
    "exponential": lambda x: np.exp(-x / 60.0),
    "exponential_floor": lambda x: 0.85 * np.exp(-x / 40.0) + 0.15,
    "two_exponentials": lambda x: 0.5 * np.exp(-x / 8.0) + 0.4 * np.exp(-x / 120.0) + 0.1,
    "logistic": lambda x: 1.0 / (1.0 + np.exp((x - 120.0) / 25.0)) + 0.1,
    "gompertz": lambda x: 1.0 - np.exp(-5.0 * np.exp(-x / 40.0)) + 0.1,
    "stretched_exponential": lambda x: np.exp(-((x / 30.0) ** 0.6)),
    "stretched_exponential_floor": lambda x: 0.8 * np.exp(-((x / 30.0) ** 0.5)) + 0.2,
    "log_logistic_step": lambda x: 0.8 / (1.0 + (x / 40.0) ** 3.0) + 0.1,
    "broken_power": lambda x: np.where(x < 50.0, x**-0.2, 50.0**0.5 * x**-0.7),
    "smoothly_broken_power": lambda x: x**-0.15 * (1.0 + (x / 40.0) ** 2.5) ** -0.3,
    "sigmoid_mixture": lambda x: sum(0.3 / (1.0 + (x / at) ** 6.0) for at in (5.0, 40.0, 180.0)) + 0.1,
    "apex": lambda x: x**-0.3 * np.exp(-x / 100.0),
    "apex_floor": lambda x: x**-0.3 * np.exp(-x / 60.0) + 0.1,
    "logarithmic": lambda x: 1.0 - 0.16 * np.log(x),
    "hyperbolic": lambda x: 1.0 / (1.0 + x / 50.0),
    "log_parabola": lambda x: np.exp(-0.06 * np.log(x) ** 2),
    "linear": lambda x: 1.0 - x / 350.0,
    "cosine": lambda x: 0.55 + 0.45 * np.cos(math.pi * x / x[-1]),
    "wavy_exponential": lambda x: 0.85 * np.exp(-x / 40.0) + 0.15 + 0.03 * np.sin(2.0 * math.pi * x / 50.0),
    "flat": lambda x: np.full(x.size, 1.0),
}


# ----------------------------------------------------------------------------------------------------------- errors


def _white(mean: Array, rng: np.random.Generator) -> Array:
    return rng.normal(size=mean.size)


def _filtered(phi: tuple[float, ...], theta: tuple[float, ...] = (), degrees: float = math.inf) -> Errors:
    """ARMA errors of unit SD, with Gaussian innovations or Student's t."""
    denominator, numerator = [1.0, *(-v for v in phi)], [1.0, *theta]
    impulse = lfilter(numerator, denominator, np.eye(1, LEAD)[0])
    size = math.sqrt(float(impulse @ impulse))

    def make(mean: Array, rng: np.random.Generator) -> Array:
        shock = _students(degrees, mean.size + LEAD, rng)
        return np.asarray(lfilter(numerator, denominator, shock)[LEAD:]) / size

    return make


def _students(degrees: float, size: int, rng: np.random.Generator) -> Array:
    if math.isinf(degrees):
        return rng.normal(size=size)
    return rng.standard_t(degrees, size) / math.sqrt(degrees / (degrees - 2.0))


def _heavy(mean: Array, rng: np.random.Generator) -> Array:
    return _students(3.0, mean.size, rng)


def _bursts(mean: Array, rng: np.random.Generator) -> Array:
    """Six times as much noise in three stretches of 5 % of the points."""
    scale = np.full(mean.size, 0.6)
    for at in rng.integers(0, mean.size, 3):
        scale[at : at + mean.size // 20] = 3.6
    return scale * rng.normal(size=mean.size)


def _outliers(mean: Array, rng: np.random.Generator) -> Array:
    """One point in fifty is eight times as noisy."""
    return np.where(rng.random(mean.size) < 0.02, 8.0, 1.0) * rng.normal(size=mean.size) / 1.5


def _fractional(d: float) -> Errors:
    """Fractional noise ARFIMA(0, d, 0) (Hosking 1981, Biometrika 68:165), of about unit SD."""
    lags = np.arange(1.0, 2 * LEAD)
    weights = np.concatenate([[1.0], np.cumprod((lags - 1.0 + d) / lags)])
    sd = math.sqrt(math.gamma(1.0 - 2.0 * d)) / math.gamma(1.0 - d)

    def make(mean: Array, rng: np.random.Generator) -> Array:
        shock = rng.normal(size=mean.size + 2 * LEAD)
        return np.convolve(shock, weights)[2 * LEAD : 2 * LEAD + mean.size] / sd

    return make


def _falling(exponent: float) -> Errors:
    """SD ∝ x^−exponent, with a mean square of 1."""

    def make(mean: Array, rng: np.random.Generator) -> Array:
        scale = np.arange(1.0, mean.size + 1.0) ** -exponent
        return scale / math.sqrt(float(np.mean(scale**2))) * rng.normal(size=mean.size)

    return make


def _random_walk(mean: Array, rng: np.random.Generator) -> Array:
    return np.cumsum(rng.normal(size=mean.size)) / math.sqrt(mean.size)


ERRORS: dict[str, Errors] = {
    "white": _white,
    "AR(1) 0.5": _filtered((0.5,)),
    "AR(1) 0.8": _filtered((0.8,)),
    "AR(1) 0.9": _filtered((0.9,)),
    "AR(1) 0.95": _filtered((0.95,)),
    "AR(1) 0.8, t3": _filtered((0.8,), degrees=3.0),
    "ARMA(1,1)": _filtered((0.85,), (-0.4,)),
    "t3": _heavy,
    "bursts": _bursts,
    "outliers": _outliers,
    "fractional 0.3": _fractional(0.3),
    "fractional 0.4": _fractional(0.4),
    "SD ∝ 1/x": _falling(1.0),
    "SD ∝ x^-0.5": _falling(0.5),
    "SD ∝ x^0.7": _falling(-0.7),
    "random walk": _random_walk,
}


# ----------------------------------------------------------------------------------------------------------- filters


def trailing_mean(width: int) -> Callable[[Array], Array]:
    """Mean of the last `width` values, of fewer at the beginning."""

    def smooth(y: Array) -> Array:
        total = np.concatenate([[0.0], np.cumsum(y)])
        last = np.arange(1, y.size + 1)
        first = np.maximum(last - width, 0)
        return np.asarray((total[last] - total[first]) / (last - first))

    return smooth


def exponential_average(decay: float) -> Callable[[Array], Array]:
    """Exponential moving average that starts at the first value."""
    return lambda y: np.asarray(lfilter([1.0 - decay], [1.0, -decay], y, zi=[decay * y[0]])[0])


FILTERS: dict[str, Callable[[Array], Array]] = {
    "": lambda y: y,
    "trailing mean of 10": trailing_mean(10),
    "trailing mean of 20": trailing_mean(20),
    "average with decay 0.9": exponential_average(0.9),
}


# ---------------------------------------------------------------------------------------------------------- registry


@dataclass(frozen=True)
class Process:
    """A mean curve with errors.

    Attributes
    ----------
    mean, errors, smoothing : str
        Keys of :data:`POWER_LAWS` or :data:`OTHERS`, of :data:`ERRORS` and of :data:`FILTERS`.
    spread : float
        SD of the errors as a share of the curve's range, or of each value.
    multiplicative : bool
    points : int
    """

    mean: str
    errors: str = "white"
    spread: float = 0.02
    multiplicative: bool = False
    smoothing: str = ""
    points: int = 300

    @property
    def name(self) -> str:
        """Settings in words: the key of the process in tables."""
        kind = "log-normal" if self.multiplicative else "additive"
        parts = [self.mean, self.errors, f"{kind} {self.spread:g}", self.smoothing, f"n = {self.points}"]
        return " · ".join(part for part in parts if part)

    @property
    def is_power_law(self) -> bool:
        """Whether the mean is a power law."""
        return self.mean in POWER_LAWS

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """One curve: x and y."""
        x = np.arange(1.0, self.points + 1.0)
        mean = {**POWER_LAWS, **OTHERS}[self.mean](x)
        errors = self.spread * ERRORS[self.errors](mean, rng)
        size = float(np.ptp(mean)) or 1.0
        y = mean * np.exp(errors) if self.multiplicative else mean + size * errors
        return x, FILTERS[self.smoothing](y)


NON_POWER: tuple[Process, ...] = (
    Process("exponential"),
    Process("exponential", "AR(1) 0.8"),
    Process("exponential_floor"),
    Process("exponential_floor", "AR(1) 0.9"),
    Process("exponential_floor", "t3"),
    Process("exponential_floor", "bursts"),
    Process("exponential_floor", "SD ∝ 1/x"),
    Process("two_exponentials"),
    Process("two_exponentials", "AR(1) 0.8"),
    Process("two_exponentials", spread=0.03, multiplicative=True),
    Process("two_exponentials", "fractional 0.3"),
    Process("logistic"),
    Process("logistic", "AR(1) 0.9"),
    Process("gompertz", "t3"),
    Process("stretched_exponential"),
    Process("stretched_exponential", "AR(1) 0.8", spread=0.05, multiplicative=True),
    Process("stretched_exponential_floor"),
    Process("stretched_exponential_floor", "AR(1) 0.8"),
    Process("log_logistic_step"),
    Process("log_logistic_step", "t3"),
    Process("broken_power"),
    Process("broken_power", "AR(1) 0.8"),
    Process("smoothly_broken_power"),
    Process("smoothly_broken_power", "bursts"),
    Process("sigmoid_mixture"),
    Process("sigmoid_mixture", "AR(1) 0.8"),
    Process("apex"),
    Process("apex_floor", "AR(1) 0.5"),
    Process("logarithmic"),
    Process("logarithmic", "AR(1) 0.8"),
    Process("hyperbolic"),
    Process("log_parabola"),
    Process("log_parabola", "ARMA(1,1)"),
    Process("linear"),
    Process("cosine"),
    Process("wavy_exponential"),
    Process("flat", "random walk", spread=0.1),
    Process("flat", "AR(1) 0.95", spread=0.1),
    Process("flat", "fractional 0.4", spread=0.1),
    Process("exponential_floor", smoothing="trailing mean of 20"),
)
"""Curves that are no power law: "supported" would be false."""

DIFFICULT_POWER_LAWS: tuple[Process, ...] = (
    Process("power"),
    Process("power_floor"),
    Process("power", "t3"),
    Process("power_floor", "t3"),
    Process("power", "bursts"),
    Process("power_floor", "bursts"),
    Process("power", "outliers"),
    Process("power", "fractional 0.3"),
    Process("power_floor", "fractional 0.3"),
    Process("power", "fractional 0.4"),
    Process("power", "AR(1) 0.8"),
    Process("power", "AR(1) 0.95"),
    Process("power_floor", "AR(1) 0.95"),
    Process("power", "AR(1) 0.8, t3"),
    Process("power", "ARMA(1,1)"),
    Process("power", "SD ∝ 1/x"),
    Process("power_floor", "SD ∝ 1/x"),
    Process("power", "SD ∝ x^-0.5"),
    Process("power", "SD ∝ x^0.7"),
    Process("power", "AR(1) 0.8", spread=0.1, multiplicative=True),
    Process("power", spread=0.05, smoothing="trailing mean of 20"),
    Process("power_floor", spread=0.05, smoothing="trailing mean of 10"),
    Process("power", spread=0.05, smoothing="average with decay 0.9"),
)
"""Power laws with difficult errors: "not supported" would be false."""

PROCESSES: dict[str, Process] = {process.name: process for process in (*NON_POWER, *DIFFICULT_POWER_LAWS)}

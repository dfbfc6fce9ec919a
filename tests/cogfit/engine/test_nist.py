"""The least-squares core against the NIST Statistical Reference Datasets for nonlinear regression.

Every problem is written as a user form and fitted from both of NIST's starting points. Digits are the log relative
error -log10(|q - c| / |c|) against the certified value c, which has 11 digits.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy import arctan, cos, exp, log, pi, sin

import cogfit

pytestmark = pytest.mark.slow  # 27 problems from two starts

FOLDER = Path(__file__).parents[2] / "fixtures" / "nist"
PROBLEMS = {path.stem: json.loads(path.read_text(encoding="ascii")) for path in sorted(FOLDER.glob("*.json"))}
BADLY_CONDITIONED = {"Bennett5"}  # 5 digits there, 6 everywhere else
EXACT_DATA = {"Lanczos1"}  # residuals of 1e-13: standard errors are rounding errors of the data


def gauss(x, b1, b2, b3, b4, b5, b6, b7, b8):
    return b1 * exp(-b2 * x) + b3 * exp(-((x - b4) ** 2) / b5**2) + b6 * exp(-((x - b7) ** 2) / b8**2)


def lanczos(x, b1, b2, b3, b4, b5, b6):
    return b1 * exp(-b2 * x) + b3 * exp(-b4 * x) + b5 * exp(-b6 * x)


def cubic_ratio(x, b1, b2, b3, b4, b5, b6, b7):
    return (b1 + b2 * x + b3 * x**2 + b4 * x**3) / (1 + b5 * x + b6 * x**2 + b7 * x**3)


def enso(x, b1, b2, b3, b4, b5, b6, b7, b8, b9):
    year = b2 * cos(2 * pi * x / 12) + b3 * sin(2 * pi * x / 12)
    el_nino = b5 * cos(2 * pi * x / b4) + b6 * sin(2 * pi * x / b4)
    southern = b8 * cos(2 * pi * x / b7) + b9 * sin(2 * pi * x / b7)
    return b1 + year + el_nino + southern


def bennett5(x, b1, b2, b3):
    return b1 * (b2 + x) ** (-1 / b3)


def one_minus_exp(x, b1, b2):
    return b1 * (1 - exp(-b2 * x))


def chwirut(x, b1, b2, b3):
    return exp(-b1 * x) / (b2 + b3 * x)


def danwood(x, b1, b2):
    return b1 * x**b2


def eckerle4(x, b1, b2, b3):
    return (b1 / b2) * exp(-0.5 * ((x - b3) / b2) ** 2)


def kirby2(x, b1, b2, b3, b4, b5):
    return (b1 + b2 * x + b3 * x**2) / (1 + b4 * x + b5 * x**2)


def mgh09(x, b1, b2, b3, b4):
    return b1 * (x**2 + x * b2) / (x**2 + x * b3 + b4)


def mgh10(x, b1, b2, b3):
    return b1 * exp(b2 / (x + b3))


def mgh17(x, b1, b2, b3, b4, b5):
    return b1 + b2 * exp(-x * b4) + b3 * exp(-x * b5)


def misra1b(x, b1, b2):
    return b1 * (1 - (1 + b2 * x / 2) ** (-2))


def misra1c(x, b1, b2):
    return b1 * (1 - (1 + 2 * b2 * x) ** (-0.5))


def misra1d(x, b1, b2):
    return b1 * b2 * x * (1 + b2 * x) ** (-1)


def rat42(x, b1, b2, b3):
    return b1 / (1 + exp(b2 - b3 * x))


def rat43(x, b1, b2, b3, b4):
    return b1 / (1 + exp(b2 - b3 * x)) ** (1 / b4)


def roszman1(x, b1, b2, b3, b4):
    return b1 - b2 * x - arctan(b3 / (x - b4)) / pi


FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "Bennett5": bennett5,
    "BoxBOD": one_minus_exp,
    "Chwirut1": chwirut,
    "Chwirut2": chwirut,
    "DanWood": danwood,
    "ENSO": enso,
    "Eckerle4": eckerle4,
    "Gauss1": gauss,
    "Gauss2": gauss,
    "Gauss3": gauss,
    "Hahn1": cubic_ratio,
    "Kirby2": kirby2,
    "Lanczos1": lanczos,
    "Lanczos2": lanczos,
    "Lanczos3": lanczos,
    "MGH09": mgh09,
    "MGH10": mgh10,
    "MGH17": mgh17,
    "Misra1a": one_minus_exp,
    "Misra1b": misra1b,
    "Misra1c": misra1c,
    "Misra1d": misra1d,
    "Rat42": rat42,
    "Rat43": rat43,
    "Roszman1": roszman1,
    "Thurber": cubic_ratio,
}


def problem(name: str) -> tuple[np.ndarray, np.ndarray, Callable[..., np.ndarray]]:
    """Return x, y and the model; Nelson has log(y) and two predictors, so its x is the number of the row."""
    data = PROBLEMS[name]
    x, y = np.array(data["x"], float), np.array(data["y"], float)
    if name != "Nelson":
        return x, y, FUNCTIONS[name]
    time, temperature = x

    def nelson(row, b1, b2, b3):
        i = np.asarray(row).astype(int)
        return b1 - b2 * time[i] * exp(-b3 * temperature[i])

    return np.arange(y.size, dtype=float), log(y), nelson


def digits(value: float, certified: float) -> float:
    """Return the log relative error, 11 (the digits of a certified value) at most."""
    error = abs(value - certified) / abs(certified)
    return 11.0 if error < 1e-11 else -math.log10(error)


def test_all_27_problems_are_here():
    assert set(PROBLEMS) == {*FUNCTIONS, "Nelson"}
    assert len(PROBLEMS) == 27


@pytest.mark.parametrize("name", PROBLEMS)
def test_data_and_models_give_the_certified_sum_of_squares(name):
    # Checks the fixtures and the models above without any fitting.
    x, y, func = problem(name)
    data = PROBLEMS[name]
    residuals = y - func(x, *data["certified"].values())
    assert y.size == data["observations"]
    if name in EXACT_DATA:  # 11 digits of the parameters do not determine residuals of 1e-13
        assert float(residuals @ residuals) < 1e-18
        return
    assert digits(float(residuals @ residuals), data["certified_rss"]) >= (6 if name == "Lanczos2" else 8)
    freedom = y.size - len(data["certified"])
    assert digits(math.sqrt(residuals @ residuals / freedom), data["residual_sd"]) >= 6


@pytest.mark.parametrize("start", ["start1", "start2"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_certified_values_from_either_start(name, start):
    x, y, func = problem(name)
    data = PROBLEMS[name]
    form = f"nist_{name}_{start}"
    cogfit.register(form, func, params=tuple(data["certified"]))
    fit = cogfit.fit(x, y, form=form, noise="gaussian", start={k: float(v) for k, v in data[start].items()})

    assert set(fit.params) == set(data["certified"])
    reached = {key: digits(fit.params[key], value) for key, value in data["certified"].items()}
    assert min(reached.values()) >= (5 if name in BADLY_CONDITIONED else 6), reached
    if name in EXACT_DATA:
        assert fit.rss < 1e-20
        return
    reached = {key: digits(fit.selected.estimate.stderr[key], value) for key, value in data["certified_sd"].items()}
    assert min(reached.values()) >= 5, reached
    assert digits(fit.rss, data["certified_rss"]) >= 6

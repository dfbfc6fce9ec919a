"""Noise models: how observations scatter about a curve.

Each has residuals, information and a log-likelihood.

All likelihoods are those of the *observed* y: a density of transformed data carries the change-of-variables term,
so information criteria compare within the continuous models. A probability (binomial) is never compared with a
density.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError, nearest
from cogfit.native.distributions import log_gamma

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """A noise model.

    Attributes
    ----------
    name, title : str
    discrete : bool
        Whether its likelihood is a probability (True) or a density (False).
    scale_parameters : int
        Number of extra parameters estimated (σ).
    residual : callable
        ``residual(y, f, w) -> (r, dr_df)`` such that maximum likelihood minimises Σr².
    information : callable
        ``information(f, w) -> ω``, the Fisher information of each observation on f, in units of 1/σ².
    log_likelihood : callable
        ``log_likelihood(y, f, w) -> float`` at the best σ.
    check : callable
        ``check(y, w)`` raises InputError where the model cannot hold.
    closed_under : tuple of str
        Axes (``"x"``, ``"y"``) in another unit of which it is the same model.
    """

    name: str
    title: str
    discrete: bool
    scale_parameters: int
    residual: Callable[[Array, Array, Array], tuple[Array, Array]]
    information: Callable[[Array, Array], Array]
    log_likelihood: Callable[[Array, Array, Array], float]
    check: Callable[[Array, Array], None]
    closed_under: tuple[str, ...] = ("x", "y")


_SMALLEST_SIZE = 1e-150  # stands for sizes whose squares would be 0
_SMALLEST_FIT = 1e-300  # stands for fitted values (and sizes) that are not positive
_LARGEST_WEIGHT = 1e300
_EDGE = 1e-12  # how near to 0 or 1 a fitted probability may come


def profiled_gaussian(rss: Any, n: Any, log_weights: Any, scale: Any) -> Any:
    """Gaussian log-likelihood at σ² = RSS/n.

    An RSS below rounding (of data of size `scale`) counts as rounding.

    Arguments and result are numbers, or arrays of one shape.
    """
    floor = n * (np.finfo(float).eps * np.maximum(scale, _SMALLEST_FIT)) ** 2
    with np.errstate(divide="ignore"):  # data of size 0 have no likelihood
        return -0.5 * n * (np.log(2.0 * math.pi * np.maximum(rss, floor) / n) + 1.0) + 0.5 * log_weights


def _root(w: Array) -> Array:
    return np.sqrt(w)


def _gaussian_residual(y: Array, f: Array, w: Array) -> tuple[Array, Array]:
    root = _root(w)
    return (y - f) * root, -root


def _gaussian_loglik(y: Array, f: Array, w: Array) -> float:
    r = (y - f) * _root(w)
    return float(profiled_gaussian(float(r @ r), y.size, np.log(w).sum(), np.abs(y * _root(w)).max()))


def _lognormal_residual(y: Array, f: Array, w: Array) -> tuple[Array, Array]:
    root, safe = _root(w), np.maximum(f, _SMALLEST_FIT)
    return (np.log(y) - np.log(safe)) * root, np.where(f > _SMALLEST_FIT, -root / safe, 0.0)


def relative_weights(size: Array, w: Array) -> Array:
    """Weights of errors that are in proportion to a size."""
    with np.errstate(over="ignore"):
        return np.asarray(np.minimum(w / np.maximum(size, _SMALLEST_SIZE) ** 2, _LARGEST_WEIGHT))


def _lognormal_loglik(y: Array, f: Array, w: Array) -> float:
    r, _ = _lognormal_residual(y, f, w)
    log_y = np.log(y)
    scale = float(np.abs(log_y * _root(w)).max()) + 1.0
    return float(profiled_gaussian(float(r @ r), y.size, np.log(w).sum(), scale) - log_y.sum())


def _x_log_y(x: Array, y: Array) -> Array:
    """Return x log y, and 0 where x is 0."""
    return np.asarray(x * np.log(np.where(x == 0.0, 1.0, y)))


def _binomial_parts(y: Array, f: Array, trials: Array) -> tuple[Array, Array]:
    """Deviances, and fitted probabilities kept off 0 and 1."""
    p = np.clip(f, _EDGE, 1.0 - _EDGE)
    hits = _x_log_y(y, y) - _x_log_y(y, p)
    misses = _x_log_y(1.0 - y, 1.0 - y) - _x_log_y(1.0 - y, 1.0 - p)
    deviance = 2.0 * trials * (hits + misses)
    return np.maximum(deviance, 0.0), p


def _binomial_residual(y: Array, f: Array, trials: Array) -> tuple[Array, Array]:
    deviance, p = _binomial_parts(y, f, trials)
    root = np.sqrt(deviance)
    limit = np.sqrt(trials / (p * (1.0 - p)))
    near = np.abs(y - p) < 1e-7  # the ratio's limit as y -> p
    slope = np.where(near, limit, trials * np.abs(y - p) / (p * (1.0 - p) * np.where(near, 1.0, root)))
    inside = (f > _EDGE) & (f < 1.0 - _EDGE)
    return np.sign(y - p) * root, np.where(inside, -slope, 0.0)


def _binomial_information(f: Array, trials: Array) -> Array:
    p = np.clip(f, _EDGE, 1.0 - _EDGE)
    return np.asarray(trials / (p * (1.0 - p)))


def saturated_binomial(y: Array, trials: Array) -> Array:
    """Log-probabilities of shares of trials at these shares themselves."""
    hits, misses = y * trials, (1.0 - y) * trials
    choose = log_gamma(trials + 1.0) - log_gamma(hits + 1.0) - log_gamma(misses + 1.0)
    return np.asarray(choose + _x_log_y(hits, y) + _x_log_y(misses, 1.0 - y))


def _binomial_loglik(y: Array, f: Array, trials: Array) -> float:
    deviance, _ = _binomial_parts(y, f, trials)
    return float((saturated_binomial(y, trials) - 0.5 * deviance).sum())


def _check_any(y: Array, w: Array) -> None:
    return None


def _check_lognormal(y: Array, w: Array) -> None:
    if np.any(y <= 0):
        raise InputError(
            f"log-normal noise needs y > 0, but {int(np.sum(y <= 0))} of {y.size} values are not",
            hint="use noise='gaussian' (zeros are neither dropped nor offset)",
        )


def is_share_of(y: Array, trials: Array) -> NDArray[np.bool_]:
    """Whether values are whole counts out of their trials."""
    hits = y * trials
    is_whole = (np.abs(hits - np.rint(hits)) <= 1e-6 * np.maximum(1.0, trials)) & (trials == np.rint(trials))
    return np.asarray((y >= 0) & (y <= 1) & is_whole, dtype=bool)


def _check_binomial(y: Array, w: Array) -> None:
    if np.any((y < 0) | (y > 1)):
        raise InputError("binomial noise needs y to be fractions in [0, 1]")
    hits = y * w
    if np.any(np.abs(hits - np.rint(hits)) > 1e-6 * np.maximum(1.0, w)):
        raise InputError(
            "y · trials is not a whole number everywhere, so y is no fraction of counted outcomes",
            hint="use noise='gaussian' for soft probabilities",
        )


NOISE: dict[str, Noise] = {
    model.name: model
    for model in (
        Noise(
            name="gaussian",
            title="Gaussian",
            discrete=False,
            scale_parameters=1,
            residual=_gaussian_residual,
            information=lambda f, w: w,
            log_likelihood=_gaussian_loglik,
            check=_check_any,
        ),
        Noise(
            name="lognormal",
            title="log-normal",
            discrete=False,
            scale_parameters=1,
            residual=_lognormal_residual,
            information=relative_weights,
            log_likelihood=_lognormal_loglik,
            check=_check_lognormal,
        ),
        Noise(
            name="binomial",
            title="binomial",
            discrete=True,
            scale_parameters=0,
            residual=_binomial_residual,
            information=_binomial_information,
            log_likelihood=_binomial_loglik,
            check=_check_binomial,
            closed_under=("x",),
        ),
    )
}
"""The noise models by name; what is passed as ``w`` is a weight (variance σ²/w) or, for binomial noise, trials."""


def get(name: str) -> Noise:
    """Look a noise model up by name.

    Raises InputError that lists the nearest names.
    """
    try:
        return NOISE[name]
    except (KeyError, TypeError):
        raise InputError(f"unknown noise model {name!r}", hint=nearest(str(name), [*NOISE, "auto"])) from None

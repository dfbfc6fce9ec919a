"""Whether a curve was smoothed before it was logged.

A moving average leaves marks. Over a window of m values its change from one point to the next holds the value that
enters and the one that leaves, so that changes m points apart have the correlation −½ and no others do. An exponential
average of independent errors is an AR(1) process, as other errors are, but it averages the curve as well: near its
beginning the average lags behind. Which of the two the data follow their likelihood tells.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from cogfit.curves.curve import UNKNOWN, Curve
from cogfit.curves.utilization import unsmoothed
from cogfit.engine import estimate, separable
from cogfit.engine.arma import Arma, estimate_arma
from cogfit.engine.estimate import Estimate
from cogfit.engine.noise import NOISE
from cogfit.formulas.form import Array, Form
from cogfit.formulas.registry import SCOUTS, get_form
from cogfit.inference.residuals import in_order, ordered_residuals, slopes

_FEWEST = 40  # points below which nothing is looked for
_NARROWEST = 3  # window that can be told from errors that depend on their neighbour
_CORRELATION = -0.3  # of changes a window apart, from which on it is taken as the −½ of a moving average
_DEVIATES = 3.6  # standard errors that it must lie below 0: one window in 3,000 does by chance
_OUTLYING = 4.0  # median absolute deviations at which changes are cut off
_DECAYS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)  # exponential averages tried
_LAGS_BEHIND = 1_000  # points in which they are looked for
_RED = 0.4  # lag-1 correlation of errors from which on they are
_GAIN = 5.0  # log-likelihood by which the average of a form must be better than the form with AR(1) errors
_AS_GOOD = 3.0  # by which it may be worse than the best form with AR(1) errors, at BIC's price of the parameters


def mark_smoothing(curve: Curve, registry: Mapping[str, Form], fits: Mapping[str, Estimate]) -> tuple[Curve, list[str]]:
    """Mark a curve that looks smoothed.

    Returns a note that says so, too; the curve as it is, and none, where there is nothing to say.
    """
    if curve.smoothing or not (name := smoothing_seen(curve, registry, fits)):
        return curve, []
    note = (
        f"the errors look like those of {name}: its form and its intervals are not those of the curve before it; log "
        "the curve as it is, or declare the decay of an exponential average with --smoothing"
    )
    return replace(curve, smoothing=UNKNOWN), [note]


def smoothing_seen(curve: Curve, registry: Mapping[str, Form], fits: Mapping[str, Estimate]) -> str:
    """Name the filter that a curve seems to have passed.

    Empty where there are no marks of one, or the curve is none of continuous values one after the other.
    """
    usable = {name: fit for name, fit in fits.items() if fit.status != "failed" and registry[name].basis is not None}
    if not curve.serial or curve.resampleable or curve.x.size < _FEWEST or not usable:
        return ""
    registry, usable = _beside_others(curve, registry, usable)
    best = min(usable, key=lambda name: usable[name].aicc)
    if NOISE[usable[best].noise].discrete:
        return ""
    residuals = ordered_residuals(registry[best], curve, usable[best])
    if float(residuals @ residuals) == 0.0:
        return ""
    if width := window_of(residuals):
        return f"a moving average over {width} points"
    decay = _decay_of(_beginning(in_order(curve)), registry, usable, best, residuals[:_LAGS_BEHIND])
    return f"an exponential moving average with decay {decay:g}" if decay else ""


def _beside_others(
    curve: Curve, registry: Mapping[str, Form], fits: dict[str, Estimate]
) -> tuple[Mapping[str, Form], dict[str, Estimate]]:
    """Give a single form others to compare with.

    A form that misses the curve leaves errors that look smoothed, and proves nothing where there is no other.
    """
    if len(fits) > 1:
        return registry, fits
    ((name, only),) = fits.items()
    others = {scout: get_form(scout) for scout in SCOUTS if scout != name}
    found = {
        scout: estimate.estimate(form, curve.x, curve.y, curve.weights, only.noise) for scout, form in others.items()
    }
    usable = {scout: fit for scout, fit in found.items() if fit.status != "failed"}
    return {**registry, **others}, {name: only, **usable}


def window_of(residuals: Array) -> int:
    """Width of the moving average that errors passed.

    0 where there is no mark of one.

    Parameters
    ----------
    residuals : ndarray, shape (n,)
        In the order of x.

    Examples
    --------
    >>> import numpy as np
    >>> errors = np.random.default_rng(0).normal(size=300)
    >>> window_of(errors), window_of(np.convolve(errors, np.ones(15) / 15, "valid"))
    (0, 15)
    """
    change = np.diff(residuals)
    limit = _OUTLYING * 1.4826 * float(np.median(np.abs(change)))
    change = np.clip(change, -limit, limit) if limit > 0.0 else change
    # what neighbours have in common: the values averaged may depend on each other
    change = change[1:] - float(change[1:] @ change[:-1]) / max(float(change @ change), 1e-300) * change[:-1]
    n = change.size
    # correlations at all lags at once, in a length without large factors
    spectrum = np.abs(np.fft.rfft(change, 1 << (2 * n - 1).bit_length())) ** 2
    lags = np.arange(1, n // 3 + 2)
    correlation = np.fft.irfft(spectrum)[lags] / max(float(change @ change), 1e-300) * n / (n - lags)
    here, beside = correlation[1:-1], np.maximum(np.abs(correlation[:-2]), np.abs(correlation[2:]))
    needed = np.minimum(_CORRELATION, -_DEVIATES / np.sqrt(n - lags[1:-1]))
    # the only lag of its kind: periodic errors have several, and broad ones
    (marked,) = np.nonzero((lags[1:-1] >= _NARROWEST) & (here <= needed))
    return int(lags[1 + marked[0]]) if marked.size == 1 and beside[marked[0]] < -0.5 * here[marked[0]] else 0


def _beginning(curve: Curve) -> Curve:
    """First points, where an average lags behind."""
    first = slice(_LAGS_BEHIND)
    counts = None if curve.counts is None else curve.counts[first]
    return replace(curve, x=curve.x[first], y=curve.y[first], weights=curve.weights[first], counts=counts)


def _decay_of(
    curve: Curve, registry: Mapping[str, Form], fits: Mapping[str, Estimate], best: str, residuals: Array
) -> float:
    """Decay of an exponential average that a curve passed, or 0."""
    form, noise = registry[best], fits[best].noise
    params = form.vector(fits[best].params)
    errors, _ = estimate_arma(residuals, slopes(form, curve, noise, params), (1, 0))
    if errors.phi[0] < _RED:
        return 0.0
    # the same forms and weights on both sides, so that nothing but the filter makes the difference
    with np.errstate(all="ignore"):
        weights = NOISE[noise].information(form.evaluate(curve.x, params), curve.weights)
    if not np.all(np.isfinite(weights)):
        return 0.0
    price = {name: 0.5 * len(registry[name].parameters) * math.log(curve.x.size) for name in fits}
    plain = {name: _loglik_with_errors(registry[name], curve, weights, fit, errors) for name, fit in fits.items()}
    needed = max(plain[name] - price[name] for name in plain) - _AS_GOOD
    # an average that makes much of the same form, and leaves it as good as any form without an average
    found: dict[float, float] = {}
    for decay in _DECAYS:
        for f in (registry[name] for name in dict.fromkeys([*SCOUTS, best]) if name in fits):
            loglik = _loglik_averaged(f, curve, weights, decay)
            if loglik > plain[f.name] + _GAIN and loglik - price[f.name] >= needed:
                found[decay] = max(loglik - price[f.name], found.get(decay, -math.inf))
    return max(found, key=lambda decay: found[decay], default=0.0)


def _loglik_with_errors(form: Form, curve: Curve, weights: Array, fit: Estimate, errors: Arma) -> float:
    """Log-likelihood of a form with AR(1) errors."""
    shape = [form.names.index(q.name) for q in form.shape]
    starts = form.vector(fit.params)[shape][None, None] if shape else None
    batch = separable.solve(form, curve.x, curve.y[None], weights[None], starts=starts, errors=errors)
    return -0.5 * curve.x.size * math.log(max(float(batch.rss[0]), 1e-300)) + 0.5 * math.log1p(-(errors.phi[0] ** 2))


def _loglik_averaged(form: Form, curve: Curve, weights: Array, decay: float) -> float:
    """Log-likelihood of the exponential average of a form with independent errors.

    It is that of the raw values; averaging shrinks all but the first of them by 1 − decay.
    """
    raw = unsmoothed(curve.y, decay)
    fit = estimate.estimate(form, curve.x, raw, weights, rough=True)
    if fit.status == "failed":
        return -math.inf
    n = curve.x.size
    return -0.5 * n * math.log(max(fit.rss, 1e-300)) - (n - 1) * math.log(1.0 - decay)

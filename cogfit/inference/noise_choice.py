"""Which noise model the errors about a curve have."""

from __future__ import annotations

import math

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine import estimate, noise
from cogfit.engine.estimate import Estimate
from cogfit.errors import InputError
from cogfit.formulas.form import Form
from cogfit.formulas.registry import SCOUTS

_LEAST = 1e-300  # keeps logarithms finite
_UNDECIDED = 2.0  # log likelihood ratio: 7 to 1. In simulations of 50 points a larger one gains nothing
_NO_DIRECTION = 1e-12  # singular value, relative to the largest, of parameters that only a combination determines


def choose_noise(
    curve: Curve, family: tuple[Form, ...], name: str, discrete: bool, constant: bool
) -> tuple[str, dict[str, Estimate]]:
    """Choose the noise model.

    Returns the fits made on the way, too.

    Parameters
    ----------
    curve : Curve
    family : tuple of Form
        Forms that will be fitted.
    name : str
        A noise model, or ``"auto"``.
    discrete : bool
        Whether y are fractions of trials.
    constant : bool
        Whether y does not change.

    Returns
    -------
    str, dict of str to Estimate
        The noise model, and estimates under it by form (those that had to be made).

    Raises
    ------
    InputError
        If the model is unknown, or needs trials and there are none.
    """
    if name == "auto" and curve.noise:  # the values say it themselves
        name = curve.noise
    if name != "auto":
        return _checked_name(curve, name), {}
    if curve.clusters is not None:  # clusters are resampled, under Gaussian weights
        return "gaussian", {}
    if discrete:
        return "binomial", {}
    if constant or np.any(curve.y <= 0):
        return "gaussian", {}
    return _by_likelihood(curve, family)


def _by_likelihood(curve: Curve, family: tuple[Form, ...]) -> tuple[str, dict[str, Estimate]]:
    """Choose between constant and relative errors of positive values.

    Where the curve does not say, it is the one that leaves γ less certain: an interval that is too wide costs less than
    one that misses.
    """
    # the scouts together follow most curves, so that what is left over is noise
    scouts = [form for form in family if form.name in SCOUTS] or list(family)
    gaussian = _estimates(curve, scouts, "gaussian", rough=False)
    lognormal = _estimates(curve, scouts, "lognormal", rough=True)
    both = [form for form in scouts if "failed" not in (gaussian[form.name].status, lognormal[form.name].status)]
    if not both:
        return ("lognormal", {}) if _lowest_aicc(lognormal) < _lowest_aicc(gaussian) else ("gaussian", gaussian)
    both.sort(key=lambda form: min(gaussian[form.name].aicc, lognormal[form.name].aicc))
    # by the form that follows the curve best; restricted, for a point that draws the fit to itself would else count as
    # one whose error is small
    best = both[0]
    plain, relative = (_restricted(best, curve, fits[best.name]) for fits in (gaussian, lognormal))
    evidence = (relative - plain) / _repetition(best, curve, (lognormal if relative > plain else gaussian)[best.name])
    is_relative = evidence > 0.0
    if abs(evidence) < _UNDECIDED:
        is_relative = _is_wider(both, lognormal, gaussian, otherwise=is_relative)
    return ("lognormal", {}) if is_relative else ("gaussian", gaussian)


def _repetition(form: Form, curve: Curve, fit: Estimate) -> float:
    """How many points in a row tell of one size of the errors.

    (1 + ρ²)/(1 − ρ²): the time over which squares of errors with correlation ρ of neighbours are correlated.
    """
    order = np.argsort(curve.x, kind="stable")
    errors = estimate.residuals(form, curve.x, curve.y, curve.weights, fit.noise, form.vector(fit.params))[order]
    power = float(errors @ errors)
    rho = float(errors[1:] @ errors[:-1]) / power if power > 0.0 else 0.0
    square = min(rho**2, 1.0 - 1.0 / curve.x.size)
    return (1.0 + square) / (1.0 - square)


def _is_wider(forms: list[Form], one: dict[str, Estimate], other: dict[str, Estimate], *, otherwise: bool) -> bool:
    """Whether one noise model leaves γ less certain than the other.

    By the first form that has a γ with standard errors under both.
    """
    for form in forms:
        if form.gamma is not None:
            ours, theirs = one[form.name].stderr[form.gamma], other[form.name].stderr[form.gamma]
            if math.isfinite(ours) and math.isfinite(theirs):
                return ours > theirs
    return otherwise


@np.errstate(all="ignore")
def _restricted(form: Form, curve: Curve, fit: Estimate) -> float:
    """Restricted log-likelihood, but for what noise models share.

    Harville 1977 (J. Am. Stat. Assoc. 72:320), linear about the fit.
    """
    params = form.vector(fit.params)
    n, count = curve.x.size, len(form.parameters)
    residuals = estimate.residuals(form, curve.x, curve.y, curve.weights, fit.noise, params)
    rss = max(float(residuals @ residuals), _LEAST)
    information = noise.get(fit.noise).information(form.evaluate(curve.x, params), curve.weights)
    tangents = form.jacobian(curve.x, params)
    tangents = np.where(np.isfinite(tangents), tangents, 0.0) / np.maximum(np.linalg.norm(tangents, axis=0), _LEAST)
    sizes = np.linalg.svd(tangents * np.sqrt(information)[:, None], compute_uv=False)
    known = np.log(np.maximum(sizes, _NO_DIRECTION * sizes.max())).sum()
    left = max(n - count, 1)
    return float(fit.loglik + 0.5 * n * math.log(rss / n) - 0.5 * left * math.log(rss / left) - known)


def _checked_name(curve: Curve, name: str) -> str:
    noise.get(name)
    if name == "binomial" and curve.counts is None:
        raise InputError(
            "binomial noise needs the number of trials behind each y", hint="pass trials=, or a routing log"
        )
    return name


def _estimates(curve: Curve, forms: list[Form], model: str, *, rough: bool) -> dict[str, Estimate]:
    x, y, w = curve.x, curve.y, curve.weights
    bins = estimate.starting_bins(x, w)
    return {form.name: estimate.estimate(form, x, y, w, model, rough=rough, bins=bins) for form in forms}


def _lowest_aicc(fits: dict[str, Estimate]) -> float:
    return min((fit.aicc for fit in fits.values() if fit.status != "failed"), default=math.inf)


def constant_fit(form: Form, curve: Curve) -> Estimate:
    """Estimate for a constant curve. Nothing is identified."""
    level = float(curve.y.mean())
    count = len(form.parameters)
    params = {q.name: level if q.role == "floor" and count == 1 else math.nan for q in form.parameters}
    return Estimate(
        form=form.name,
        noise="gaussian",
        params=params,
        stderr=dict.fromkeys(params, math.inf),
        covariance=np.full((count, count), np.nan),
        rss=0.0,
        loglik=-math.inf,
        n=curve.x.size,
        k=count + 1,
        status="not_identified",
        reason="the curve is constant",
        not_identified=form.names,
    )

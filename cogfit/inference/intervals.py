r"""Confidence intervals for the parameters of a fitted form.

Ordered series: the *profile likelihood*, calibrated by F(1, n − p). Where residuals are autocorrelated, the errors are
an ARMA process (order by BIC) whose coefficients are estimated anew at every value tried, by restricted likelihood
(plain likelihood covers 85–90 % instead of 95 % for short red series).
Innovations of unequal variance widen the profile by the ratio of the sandwich to the model variance. Curves that stand
on patterns or runs: these are resampled as wholes, and all replicates are refitted as one batch. A limit that the data
do not give is infinite and reported so; an interval that cannot be trusted says why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine.arma import WHITE, Arma
from cogfit.engine.estimate import Estimate
from cogfit.formulas.form import Array, Form
from cogfit.inference.error_models import errors_of
from cogfit.inference.interval import ENOUGH_POINTS, Interval
from cogfit.inference.own_units import one_in_own_units
from cogfit.inference.profile import profile, series_covariance, wald
from cogfit.inference.resampling import block_bootstrap, resampled
from cogfit.inference.residuals import effective_points


@dataclass(frozen=True)
class Uncertainty:
    """Precision of one form's parameters.

    Attributes
    ----------
    intervals : dict of str to Interval
    covariance : ndarray, shape (p, p)
        Of the estimates; it allows for autocorrelated errors, uneven variance, or clusters, where there are such.
    errors : Arma
        Model of the errors along the curve.
    sensitivity : dict of str to Interval
        Block-bootstrap intervals, where they were asked for.
    """

    intervals: dict[str, Interval]
    covariance: Array
    errors: Arma = WHITE
    sensitivity: dict[str, Interval] = field(default_factory=dict)


def all_intervals(
    form: Form,
    curve: Curve,
    fit: Estimate,
    level: float,
    rng: np.random.Generator,
    *,
    errors: Arma | None = None,
    profiled: bool = True,
    thorough: bool = False,
) -> Uncertainty:
    """Intervals of every parameter.

    Resampled clusters where there are enough, else profile (γ) and Wald (others).

    Parameters
    ----------
    form, curve, fit
        A form, the data, its fit.
    level : float
    rng : numpy Generator
        For resampling.
    errors : Arma, optional
        Model of the errors, if known already (:func:`errors_of`).
    profiled : bool
        False gives Wald intervals only.
    thorough : bool
        Calibrate the profile by parametric bootstrap, and add block-bootstrap intervals.
    """
    if fit.status == "failed":
        none = {name: Interval(-math.inf, math.inf, level, "none", "this curve") for name in form.names}
        return Uncertainty(none, fit.covariance)
    is_gaussian = fit.noise == "gaussian" and form.basis is not None

    # clusters are the unit of replication where there are enough: no model of the errors is needed then
    if profiled and is_gaussian and curve.clusters is not None and curve.resampleable:
        by_resampling, covariance = resampled(form, curve, curve.clusters, fit, level, rng)
        return Uncertainty(by_resampling, covariance)

    # one ordered series: standard errors for all parameters, the profile for the exponent, which has no unit
    errors = errors_of(form, curve, fit) if errors is None else errors
    own_curve, own_fit, units = one_in_own_units(curve, form, fit)
    own = series_covariance(form, own_curve, own_fit, errors)
    covariance = units.covariance(form, form.vector(own_fit.params), own)
    limits = wald(fit, covariance, level, errors)
    sensitivity: dict[str, Interval] = {}
    if profiled and form.gamma is not None:
        limits[form.gamma] = profile(form, own_curve, own_fit, form.gamma, level, errors, rng if thorough else None)
        if thorough and is_gaussian:
            sensitivity = block_bootstrap(form, curve, fit, level, rng)
    return Uncertainty(
        _with_caveat(limits, caveat_of(curve, effective_points(form, curve, fit, errors))),
        covariance,
        errors,
        sensitivity,
    )


def _with_caveat(limits: dict[str, Interval], caveat: str) -> dict[str, Interval]:
    if not caveat:
        return limits
    return {name: replace(interval, caveat=caveat) for name, interval in limits.items()}


def caveat_of(curve: Curve, points: float) -> str:
    """Why intervals from one ordered series are not reliable.

    Empty where simulations found them good.
    """
    if curve.smoothing == "unknown":
        return "the curve was smoothed before it was logged, by a filter that is not known"
    if points < ENOUGH_POINTS:
        return f"only {points:.0f} effective points"
    return ""

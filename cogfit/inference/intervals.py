r"""Confidence intervals for the parameters of a fitted form.

Ordered series: the *profile likelihood*, calibrated by F(1, n − p), about the estimate that maximises it. Where
residuals are autocorrelated, the errors are an ARMA process (order by BIC) whose coefficients are estimated anew at
every value tried, by restricted likelihood (plain likelihood covers 85–90 % instead of 95 % for short red series).
Innovations of unequal variance widen the profile by the ratio of the sandwich to the model variance. Curves that stand
on patterns or runs: these are resampled as wholes, and all replicates are refitted as one batch. A limit that the data
do not give is infinite and reported so; an interval that cannot be trusted says why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from cogfit.curves.curve import Clusters, Curve
from cogfit.engine.arma import WHITE, Arma
from cogfit.engine.estimate import Estimate
from cogfit.formulas.form import Array, Form, span_of
from cogfit.inference.error_models import errors_of
from cogfit.inference.interval import ENOUGH_POINTS, MISSES, Interval, standard_errors
from cogfit.inference.joint_fit import JointFit
from cogfit.inference.own_units import one_in_own_units
from cogfit.inference.profile import profile, series_covariance, wald
from cogfit.inference.resampling import block_bootstrap, resampled
from cogfit.inference.residuals import effective_points

_VAGUE_LOG = 3.0  # standard error of a logarithm that identifies nothing: a factor 20


@dataclass(frozen=True)
class Uncertainty:
    """Precision of one form's parameters.

    Attributes
    ----------
    estimate : Estimate
        At the maximum of the likelihood that the intervals come from, and with the status that they give it.
    intervals : dict of str to Interval
    covariance : ndarray, shape (p, p)
        Of the estimates; it allows for autocorrelated errors, uneven variance, or clusters, where there are such.
    errors : Arma
        Model of the errors along the curve.
    sensitivity : dict of str to Interval
        Block-bootstrap intervals, where they were asked for.
    """

    estimate: Estimate
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
    joint: JointFit | None = None,
    profiled: bool = True,
    refused: bool = False,
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
    joint : JointFit, optional
        Of the form and these errors, if made already.
    profiled : bool
        False gives Wald intervals about least squares only.
    refused : bool
        Whether the data refuse the form. What it leaves over then is no error to be modelled: its parameters describe
        the curve, by least squares.
    thorough : bool
        Calibrate the profile by parametric bootstrap, and add block-bootstrap intervals.
    """
    if fit.status == "failed":
        none = Interval(-math.inf, math.inf, level, "none", "this curve")
        return Uncertainty(fit, dict.fromkeys(form.names, none), fit.covariance)
    noise = fit.noise if form.basis is not None else ""

    # clusters are the unit of replication where there are enough: no model of the errors is needed then
    clusters = _resampled_clusters(curve, noise)
    if profiled and clusters is not None:
        limits, covariance = resampled(form, curve, clusters, fit, level, rng)
        return _marked(Uncertainty(judged(form, curve, fit, covariance), limits, covariance), refused)

    # one ordered series: least squares and what errors do to it, or all of one likelihood
    if errors is None:
        errors = errors_of(form, curve, fit)
    if not profiled or refused or form.gamma is None:
        return _least_squares(form, curve, fit, level, errors, refused)
    found = _jointly(joint or JointFit(form, curve, fit, errors), form.gamma, curve, level, rng if thorough else None)
    sensitivity = block_bootstrap(form, curve, fit, level, rng) if thorough and noise == "gaussian" else {}
    return replace(found, sensitivity=sensitivity)


def _resampled_clusters(curve: Curve, noise: str) -> Clusters | None:
    return curve.clusters if noise in ("gaussian", "binomial") and curve.resampleable else None


def _least_squares(form: Form, curve: Curve, fit: Estimate, level: float, errors: Arma, refused: bool) -> Uncertainty:
    """Least squares, with standard errors that allow for the errors."""
    own_curve, own_fit, units = one_in_own_units(curve, form, fit)
    own = series_covariance(form, own_curve, own_fit, errors)
    covariance = units.covariance(form, form.vector(own_fit.params), own)
    limits = wald(fit, covariance, level, errors)
    if refused:
        return _marked(Uncertainty(fit, limits, covariance, errors), refused)
    limits = _with_caveat(limits, caveat_of(form, curve, fit, errors))
    return Uncertainty(judged(form, curve, fit, covariance), limits, covariance, errors)


def _jointly(joint: JointFit, name: str, curve: Curve, level: float, rng: np.random.Generator | None) -> Uncertainty:
    """Estimate, standard errors and profile of one likelihood.

    With a generator the profile is calibrated.
    """
    form, covariance, errors = joint.form, joint.covariance, joint.errors
    estimate = judged(form, curve, joint.told(), covariance)
    limits = wald(estimate, covariance, level, errors)
    if not joint.wanders:
        limits[name] = profile(joint, name, level, rng)
    limits = _with_caveat(limits, caveat_of(form, curve, estimate, errors))
    return Uncertainty(estimate, limits, covariance, errors)


def undetermined(found: Uncertainty, reason: str) -> Uncertainty:
    """The same, with nothing identified.

    What failed stays so.
    """
    fit = found.estimate
    if fit.status == "failed":
        return found
    names = tuple(fit.params)
    open_ended = {name: replace(one, low=-math.inf, high=math.inf) for name, one in found.intervals.items()}
    unknown = replace(
        fit, status="not_identified", reason=reason, not_identified=names, stderr=dict.fromkeys(names, math.inf)
    )
    return replace(found, estimate=unknown, intervals=open_ended)


def judged(form: Form, curve: Curve, fit: Estimate, covariance: Array) -> Estimate:
    """The estimate, with what its covariance does not determine.

    A scale is not determined to within a factor of 20, nor is an exponent whose standard error exceeds both itself and
    what changes the curve by a factor of e from its first to its last point.
    """
    low, high = span_of(curve.x)
    reach = max(math.log(high) - math.log(low), 1e-300)
    loose = {}
    for name, error in standard_errors(fit, covariance).items():
        q, value = form.parameters[form.names.index(name)], abs(fit.params[name])
        if q.role != "shape" or name in (*fit.at_bound, *fit.not_identified):
            continue
        exponent_limit = max(value, 1.0 / reach) if name == form.gamma else math.inf
        if not error <= (_VAGUE_LOG * value if q.log else exponent_limit):
            loose[name] = f"{name} (its standard error is {error:.2g})" if math.isfinite(error) else name
    if not loose or fit.status == "failed":
        return fit
    reason = "; ".join(text for text in (fit.reason, f"the data do not determine {', '.join(loose.values())}") if text)
    stderr = {name: math.inf if name in loose else error for name, error in fit.stderr.items()}
    return replace(
        fit, status="not_identified", reason=reason, stderr=stderr, not_identified=(*fit.not_identified, *loose)
    )


def _marked(found: Uncertainty, refused: bool) -> Uncertainty:
    """The same, with a mark on a form that the data refuse."""
    return replace(found, intervals=_with_caveat(found.intervals, MISSES if refused else ""))


def _with_caveat(limits: dict[str, Interval], caveat: str) -> dict[str, Interval]:
    if not caveat:
        return limits
    return {name: replace(interval, caveat=caveat) for name, interval in limits.items()}


def caveat_of(form: Form, curve: Curve, fit: Estimate, errors: Arma) -> str:
    """Why intervals from one ordered series are not reliable.

    Empty where simulations found them good.
    """
    if curve.smoothing == "unknown":
        return "the curve was smoothed before it was logged, by a filter that is not known"
    points = effective_points(form, curve, fit, errors)
    if points < ENOUGH_POINTS:
        return f"only {points:.0f} effective points"
    if errors.time > fit.n:
        return "errors that wander over the whole curve cannot be told from a form that misses it"
    return ""

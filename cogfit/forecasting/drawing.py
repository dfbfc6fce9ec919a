"""Draw the curves that the data allow.

Every form is refitted to curves made around it (the parametric bootstrap of its test). Where members of the curve were
resampled, the curves of the draws are as much further apart as the intervals of its parameters are wider.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine.estimate import Estimate
from cogfit.engine.units import Units
from cogfit.forecasting.ensemble import Ensemble, Member, Recent, Refusal
from cogfit.forecasting.records import FormForecast
from cogfit.forecasting.weights import first_count, scores_of, weights_of
from cogfit.formulas.form import Array, Form
from cogfit.inference.error_models import ErrorModel
from cogfit.inference.form_tests import errors_about, refit_around
from cogfit.inference.own_units import in_own_units
from cogfit.inference.residuals import in_order

DRAWS = 400
"""Curves drawn for each form."""

LEAST = 1e-4
"""Weight below which a form changes no average, and is not drawn."""

_LAST = 0.1  # share of the points whose weights and errors a new observation has
_SMALLEST = 1e-9  # of the size of y, what stands for a held-out error of 0

LIMITS = {
    "utilization": (0.0, 1.0),
    "probability": (0.0, 1.0),
    "error": (0.0, math.inf),
    "latency": (0.0, math.inf),
    "other": (-math.inf, math.inf),
}
"""What y can be, by measure; kept only where the data lie within."""


@dataclass(frozen=True)
class Candidate:
    """A fitted form that is not refused.

    Attributes
    ----------
    form : Form
    fit : Estimate
    covariance : ndarray, shape (p, p)
    resampled : ndarray, shape (p, 2), optional
        Limits of the parameters from resampled members (patterns, runs, subjects), where there are such.
    level : float
        Of these limits.
    """

    form: Form
    fit: Estimate
    covariance: Array
    resampled: Array | None = None
    level: float = 0.95


@dataclass(frozen=True)
class _Source:
    """What curves are made from, in units of the data."""

    curve: Curve
    units: Units
    errors: ErrorModel
    scale: Array  # local size of the errors, (n,)
    seed: int


def ensemble_of(curve: Curve, candidates: Sequence[Candidate], n_effective: float, seed: int = 0) -> Ensemble | Refusal:
    """Draw curves of every form that is not refused.

    Parameters
    ----------
    curve : Curve
    candidates : sequence of Candidate
        Fitted under one noise model.
    n_effective : float
        Points after allowing for autocorrelation.
    seed : int
        Of the draws.

    Returns
    -------
    Ensemble, or Refusal
    """
    # what each form weighs
    curve, forms = in_order(curve), [candidate.form for candidate in candidates]
    scores = scores_of(curve, forms, [candidate.fit for candidate in candidates])
    weights = weights_of(scores, n_effective)
    if not weights:
        return Refusal(f"{curve.x.size} points are too few to try a forecast on")

    # errors about the form of the lowest AICc, as in its test
    own, fits, units = in_own_units(curve, forms, [candidate.fit for candidate in candidates])
    reference = min(range(len(candidates)), key=lambda i: candidates[i].fit.aicc)
    source = _Source(own, units, *errors_about(own, forms[reference], fits[reference]), seed)

    # curves of the forms that matter
    drawn = [
        _member(candidate, fit, weights[fit.form], scores[fit.form].miss, source)
        for candidate, fit in zip(candidates, fits, strict=True)
        if weights.get(fit.form, 0.0) >= LEAST
    ]
    members = _normalised([member for member in drawn if member is not None])
    if not members:
        return Refusal("no form that is not refused has parameters that the data determine")
    shares = {member.name: member.weight for member in members}
    told = [FormForecast(form.name, form.title, shares.get(form.name, 0.0), *scores[form.name]) for form in forms]
    last = max(1, round(_LAST * curve.x.size))
    low, high = LIMITS[curve.measure]
    is_within = bool(low <= curve.y.min() and curve.y.max() <= high)
    return Ensemble(
        members=tuple(members),
        forms=tuple(sorted(told, key=lambda form: -form.weight)),
        units=units,
        x_first=float(curve.x[0]),
        x_held=float(curve.x[max(first_count(curve.x.size), 1) - 1]),
        x_last=float(curve.x[-1]),
        noise=fits[reference].noise,
        errors=source.errors,
        recent=Recent.of_curve(curve, source.scale, last),
        weight=float(np.median(curve.weights[-last:] / source.scale[-last:] ** 2)),
        limits=(low, high) if is_within else LIMITS["other"],
    )


def _member(candidate: Candidate, fit: Estimate, weight: float, miss: float, source: _Source) -> Member | None:
    """A form with its draws, None where the data determine none."""
    form, is_linear = candidate.form, candidate.form.basis is None
    drawn = _draw_linear(candidate, fit, source) if is_linear else _refit(form, fit, source)
    if drawn is None:
        return None
    spread = 1.0
    if candidate.resampled is not None:
        spread = _spread(candidate.resampled, candidate.level, source.units.params(form, drawn))
    if math.isinf(spread):
        return None
    return Member(fit.form, weight, form.vector(fit.params), drawn, miss / source.units.y, is_linear, spread)


def _normalised(members: Sequence[Member]) -> list[Member]:
    """Members with weights that add up to 1."""
    total = sum(member.weight for member in members)
    return [replace(member, weight=member.weight / total) for member in members]


def _refit(form: Form, fit: Estimate, source: _Source) -> Array | None:
    """Parameters (draws, p) refitted to curves made around a form.

    None where no curve can be fitted.
    """
    drawn = refit_around(source.curve, form, fit, source.errors, source.scale, DRAWS, source.seed)
    usable = drawn[np.isfinite(drawn).all(axis=1)]
    return np.resize(usable, drawn.shape) if usable.size else None


def _draw_linear(candidate: Candidate, fit: Estimate, source: _Source) -> Array | None:
    """Parameters (draws, p) with the covariance of an estimate.

    None where the data do not determine them.
    """
    form = candidate.form
    covariance = source.units.inverse.covariance(form, form.vector(candidate.fit.params), candidate.covariance)
    if np.isinf(covariance).any():
        return None
    # what has no variance lies at a bound, and stays there
    rng = np.random.default_rng(source.seed)
    return rng.multivariate_normal(form.vector(fit.params), np.nan_to_num(covariance), DRAWS, check_valid="ignore")


def _spread(resampled: Array, level: float, drawn: Array) -> float:
    """How much wider the intervals of resampled members are.

    The median over the parameters with two limits; infinite where there are none.
    """
    low, high = np.quantile(drawn, [0.5 - 0.5 * level, 0.5 + 0.5 * level], axis=0)
    with np.errstate(all="ignore"):
        ratio = (resampled[:, 1] - resampled[:, 0]) / (high - low)
    known = ratio[np.isfinite(ratio)]
    return max(float(np.median(known)), 1.0) if known.size else math.inf

"""Which forms the data support.

From that follows what may be said of the power law.

All forms are fitted under one noise model and ordered by AICc; where the residuals of the best form are autocorrelated,
every form is given first-order autoregressive errors of its own (continuous noise), or its log-likelihood is divided
by the autocorrelation time τ (binomial), as QAICc divides by an overdispersion (Burnham & Anderson 2002, §2.5).

The order is no test. Whether a form is refused is decided by bootstrap (:func:`compare_forms`); those that are not
refused are the *confidence set of forms*. A power law is claimed only if it is in the set, passes goodness of fit, and
every other form in the set contains it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from cogfit.curves.curve import UNKNOWN, Curve
from cogfit.engine import separable
from cogfit.engine.arma import ORDERS, WHITE, Arma, ar1_gain, estimate_arma
from cogfit.engine.bins import LONG, Bins
from cogfit.engine.estimate import Estimate
from cogfit.engine.noise import NOISE, relative_weights
from cogfit.engine.units import Units
from cogfit.formulas.form import Form
from cogfit.formulas.registry import POWER_LAWS
from cogfit.inference.error_models import errors_of
from cogfit.inference.form_tests import (
    MOST_REPLICATES,
    TEST_BINS,
    TOLERANCE,
    FormTest,
    compare_forms,
    misses_curve,
)
from cogfit.inference.intervals import judged
from cogfit.inference.joint_fit import JointFit
from cogfit.inference.ranking import Ranking, rank, simplest_in_race
from cogfit.inference.residuals import effective_points, in_order, ordered_residuals, slopes
from cogfit.inference.variance import fitted_innovations
from cogfit.inference.verdict import Verdict, confidence_set, judge_power_law, reported_form, withhold
from cogfit.progress import Progress
from cogfit.records.sentence import say


def extrapolation_error(
    curve: Curve, fits: Mapping[str, Estimate], registry: Mapping[str, Form], share: float = 0.7
) -> dict[str, float]:
    """Error of prediction of every form.

    The form is fitted to the first part of the curve and predicts the rest.

    Parameters
    ----------
    curve : Curve
    fits, registry : mapping
    share : float
        Of the points, in the order of x, that are fitted.

    Returns
    -------
    dict of str to float
        Root mean square error over the rest, in units of y; NaN for failed fits and users' forms, and where fewer
        points than parameters + 2 are fitted.
    """
    # the first part, averaged into bins: a prediction needs no more
    order = np.argsort(curve.x, kind="stable")
    first = order[: round(share * order.size)]
    held_out = order[first.size :]
    bins = Bins.of_points(curve.x[first], 2 * TEST_BINS, curve.weights[first])
    y = bins.mean(curve.y[first])
    out = {}
    for name, fit in fits.items():
        form = registry[name]
        out[name] = math.nan
        if fit.status == "failed" or form.basis is None or y.size < len(form.parameters) + 2 or held_out.size == 0:
            continue
        units = Units.of_points(curve.x, curve.y, (form,), NOISE[fit.noise])
        own = y / units.y
        scale = bins.weight if fit.noise != "lognormal" else relative_weights(own, bins.weight)
        axis = bins.axis.in_units(units.x)
        params = separable.solve(form, axis, own[None], scale[None], tolerance=TOLERANCE).params[0]
        error = curve.y[held_out] / units.y - form.evaluate(curve.x[held_out] / units.x, params)
        value = math.sqrt(float((curve.weights[held_out] * error**2).sum() / curve.weights[held_out].sum()))
        out[name] = value * units.y if math.isfinite(value) else math.nan
    return out


REPLICATES = 199
"""Curves made around each form to test it."""

THOROUGH_REPLICATES = 1999
"""The same with ``thorough=True``."""

JUDGED_REPLICATES = 995
"""At most so many where many curves are judged: rates do not hang on the few p-values that lie next to the level."""


@dataclass(frozen=True)
class Selection:
    """Result of fitting several forms.

    Attributes
    ----------
    ranking : Ranking
    ruling : Verdict
    form : str or None
        The form to report; None where nothing could be ranked.
    errors : dict of str to Arma
        Of each form's fit.
    tests : dict of str to FormTest
        Empty where one form only was fitted.
    joint : mapping of str to JointFit
        Forms with an exponent that are not refused, fitted together with their errors.
    misses : bool
        Whether the form misses the curve, where one form only was fitted.
    """

    ranking: Ranking
    ruling: Verdict
    form: str | None
    errors: dict[str, Arma]
    tests: dict[str, FormTest]
    joint: Mapping[str, JointFit] = field(default_factory=dict)
    misses: bool = False


def select(
    curve: Curve,
    registry: Mapping[str, Form],
    fits: Mapping[str, Estimate],
    rng: np.random.Generator,
    replicates: int = REPLICATES,
    most: int = MOST_REPLICATES,
    progress: Progress | None = None,
) -> Selection:
    """Rank, test and judge forms that were fitted.

    Ranking, verdict, error models and tests, for one curve under one noise model.
    """
    usable = {name: fit for name, fit in fits.items() if fit.status != "failed"}
    first = min(usable, key=lambda name: usable[name].aicc, default=None)
    errors = dict.fromkeys(fits, WHITE)  # clusters are resampled, whatever the errors along their mean
    if first is not None and not curve.resampleable:
        errors[first] = errors_of(registry[first], curve, fits[first])
    ranking = _ranking(curve, registry, fits, usable, WHITE if first is None else errors[first])
    if len(registry) == 1:
        reason = say("only one form was fitted, so nothing was compared", by=select)
        alone = next(iter(registry))
        misses = alone in usable and misses_curve(curve, registry[alone], usable[alone], rng)
        return Selection(ranking, Verdict("not_compared", (reason,)), alone, errors, {}, misses=misses)
    tests: dict[str, FormTest] = {}
    if ranking.best is not None:
        # about a flexible form that was chosen because it follows the data the errors look too small
        counts = {name: len(form.parameters) for name, form in registry.items()}
        plain = simplest_in_race({name: ranking.delta[name] for name in usable}, counts)
        tests = compare_forms(
            curve, fits, registry, rng, reference=plain, replicates=replicates, most=most, progress=progress
        )
    # what is said of a form is said of the estimate that is reported
    joint: dict[str, JointFit] = {}
    if not curve.resampleable:
        inside = confidence_set(ranking, tests)
        errors |= _errors_of_others(curve, registry, usable, first, (*inside, *POWER_LAWS))
        joint = _fit_jointly(curve, registry, usable, errors, inside)
    told = {name: judged(registry[name], curve, fit.told(), fit.covariance) for name, fit in joint.items()}
    told = {**fits, **told}
    ruling = judge_power_law(told, ranking, registry, tests)
    if curve.smoothing == UNKNOWN:
        ruling = withhold(ruling)
    form = reported_form(ruling, told, ranking, registry, tests)
    return Selection(ranking, ruling, form, errors, tests, joint)


def _errors_of_others(
    curve: Curve,
    registry: Mapping[str, Form],
    fits: Mapping[str, Estimate],
    first: str | None,
    close: Iterable[str],
) -> dict[str, Arma]:
    """Errors about all forms but the first.

    Those of a form that is refused are its lack of fit: AR(1) will do.
    """
    orders = {name: ORDERS if name in close else ORDERS[:1] for name in fits if name != first}
    return {name: errors_of(registry[name], curve, fits[name], order) for name, order in orders.items()}


def _fit_jointly(
    curve: Curve,
    registry: Mapping[str, Form],
    fits: Mapping[str, Estimate],
    errors: Mapping[str, Arma],
    names: Iterable[str],
) -> dict[str, JointFit]:
    """Forms that have an exponent, fitted together with their errors."""
    chosen = [name for name in dict.fromkeys(names) if name in fits and registry[name].gamma is not None]
    return {name: JointFit(registry[name], curve, fits[name], errors[name]) for name in chosen}


def _ranking(
    curve: Curve,
    registry: Mapping[str, Form],
    fits: Mapping[str, Estimate],
    usable: Mapping[str, Estimate],
    errors: Arma,
) -> Ranking:
    """Forms by AICc.

    The errors along the curve are those about the best of them.
    """
    gains = None
    if usable and (curve.resampleable or not errors.white):
        gains = dict.fromkeys(fits, 0.0)
        for name, fit in usable.items():
            gains[name] = _gain_of_ar1(registry[name], curve, fit)
    ranking = rank(list(fits.values()), gains=gains)
    if curve.resampleable:
        assert curve.clusters is not None
        return replace(ranking, n_effective=float(curve.clusters.size))
    if not usable:
        return ranking
    best = min(usable, key=lambda name: usable[name].aicc)
    return replace(ranking, n_effective=effective_points(registry[best], curve, fits[best], errors))


def _gain_of_ar1(form: Form, curve: Curve, fit: Estimate) -> float:
    """Log-likelihood that AR(1) errors add, about their own best fit.

    Least squares weigh points otherwise than correlated errors ask for: what the one leaves near a steep beginning the
    other would not, and a form whose residuals happen to be flat there would win by it. So the form takes the linear
    step to its generalised least-squares fit. Long curves are spared it.
    """
    residuals = ordered_residuals(form, curve, fit)
    gain = ar1_gain(residuals)
    rss = float(residuals @ residuals)
    if rss == 0.0 or residuals.size > LONG or NOISE[fit.noise].discrete:
        return gain
    design = slopes(form, in_order(curve), fit.noise, form.vector(fit.params))
    if residuals.size < design.shape[1] + 8:
        return gain
    errors, _ = estimate_arma(residuals, design, (1, 0))
    innovation, _ = fitted_innovations(residuals, design, errors)
    drop = math.log(rss / max(float(innovation @ innovation), 1e-300))
    return max(gain, 0.5 * residuals.size * drop + 0.5 * math.log1p(-(errors.phi[0] ** 2)))

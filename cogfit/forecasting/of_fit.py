"""Curves that a fit allows: which of its forms can be continued."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cogfit.curves.curve import CONSTANT, Curve
from cogfit.engine.noise import NOISE
from cogfit.forecasting.drawing import Candidate, ensemble_of
from cogfit.forecasting.ensemble import Ensemble, Refusal
from cogfit.formulas.registry import get_form
from cogfit.inference.form_tests import REFUTED
from cogfit.native.blas import single_threaded

if TYPE_CHECKING:
    from cogfit.result import FitResult, FormFit

_ONE_SERIES = "this curve"  # scope of intervals that were not made by resampling members


@single_threaded()
def ensemble_of_fit(result: FitResult) -> Ensemble | Refusal:
    """Draw curves that a fit allows.

    Of its forms that are not refused, or of the one that was asked for.

    Parameters
    ----------
    result : FitResult

    Returns
    -------
    Ensemble, or Refusal
    """
    if float(np.ptp(result.y)) <= CONSTANT * float(np.abs(result.y).max()):
        return Refusal("y does not change: there is no course to continue")
    items = _forms_to_continue(result)
    if not items:
        is_tested = any(item.test is not None for item in result.forms)
        reason = f"every form is refused by the data (p ≤ {REFUTED:g}), so that none can be continued"
        return Refusal(reason if is_tested else f"{result.n} points are too few to compare forms")
    curve = Curve(
        x=result.x,
        y=result.y,
        weights=result.weights,
        counts=result.weights if NOISE[result.noise].discrete else None,
        axis=result.axis,
        convention=result.convention,
        measure=result.measure,
        serial=any(not item.errors.white for item in result.forms),
    )
    return ensemble_of(curve, [_candidate(item, result.level) for item in items], result.n_effective)


def _forms_to_continue(result: FitResult) -> list[FormFit]:
    """Forms that are not refused, or the only one."""
    fitted = [item for item in result.forms if item.estimate.status != "failed"]
    if len(result.forms) == 1:
        return fitted
    return [item for item in fitted if item.name in result.indistinguishable_forms and item.test is not None]


def _candidate(item: FormFit, level: float) -> Candidate:
    """A form, with limits from resampled members if there are any."""
    form, limits, resampled = get_form(item.name), item.intervals, None
    if any(one.scope != _ONE_SERIES for one in limits.values()):
        resampled = np.array([[limits[name].low, limits[name].high] for name in form.names])
    return Candidate(form, item.estimate, item.covariance, resampled, level)

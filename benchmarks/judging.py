"""The verdict on one curve, by the steps of ``cogfit fit`` but without intervals, which studies of verdicts spare."""

from __future__ import annotations

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.engine import estimate
from cogfit.formulas.registry import candidate_forms
from cogfit.inference import selection
from cogfit.inference.noise_choice import choose_noise
from cogfit.inference.smoothing import mark_smoothing


def judge(curve: Curve, rng: np.random.Generator) -> selection.Selection:
    """Choose the noise, fit every form, and judge."""
    forms = candidate_forms("x", "other")
    noise, fits = choose_noise(curve, forms, "auto", False, False)
    bins = estimate.starting_bins(curve.x, curve.weights)
    for form in forms:
        if form.name not in fits:
            fits[form.name] = estimate.estimate(form, curve.x, curve.y, curve.weights, noise, bins=bins)
    registry = {form.name: form for form in forms}
    curve, _ = mark_smoothing(curve, registry, fits)
    return selection.select(curve, registry, fits, rng, most=selection.JUDGED_REPLICATES)

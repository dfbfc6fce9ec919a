"""Resampling: clusters as wholes, blocks of residuals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from cogfit.curves.curve import Clusters, Curve
from cogfit.curves.trajectories import TOGETHER, TOGETHER_P
from cogfit.engine import estimate, noise, separable
from cogfit.engine.bins import Axis, Bins
from cogfit.engine.estimate import Estimate
from cogfit.errors import MissingDependencyError
from cogfit.formulas.form import Array, Form
from cogfit.inference.interval import CONDITIONAL, ENOUGH_CLUSTERS, SCOPES, Interval, t_quantile
from cogfit.inference.own_units import one_in_own_units
from cogfit.inference.residuals import in_order
from cogfit.native import distributions

REPLICATES = 400
"""Replicates behind percentile intervals."""

_MEANS = 400  # bins on which long curves are refitted
_HELD = 4_000_000  # values of replicates held at a time: 32 MB of curves
_SHOCK_POINTS = 200  # bins on which shared shocks are looked for
_FLIPS = 199  # sign changes behind their p-value


def resampled(
    form: Form,
    curve: Curve,
    clusters: Clusters,
    fit: Estimate,
    level: float,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
) -> tuple[dict[str, Interval], Array]:
    """Percentile intervals and covariance from resampled clusters.

    Whole clusters (patterns or runs) are resampled, and all replicates are refitted as one batch.

    Only for separable forms. Under noise that is not Gaussian (counts) replicates are refitted by least squares with
    the weights that the fit gives them, about its own estimate: to first order that is its likelihood. The percentiles
    are those further out by Student's t and √(J/(J−1)) for J clusters (Hesterberg 2015, Am. Stat. 69:371, §4.3). A
    parameter whose replicates pile up at its bound gets an infinite limit on that side. Of curves of more than 800
    points, means over 400 bins are refitted by means of the form, and the replicates' deviations from the fit to these
    means are added to the fit to all points.
    """
    draws = rng.multinomial(clusters.size, np.full(clusters.size, 1.0 / clusters.size), size=replicates).astype(float)
    shape = [form.names.index(q.name) for q in form.shape]
    low, high = separable.bounds_of(form, curve.x)
    told = form.vector(fit.params).tolist()
    curve, fit, units = one_in_own_units(replace(curve, clusters=clusters), form, fit)
    assert curve.clusters is not None
    clusters, best = curve.clusters, form.vector(fit.params)
    correction = math.sqrt(clusters.size / (clusters.size - 1.0))
    tail = distributions.normal_cdf(-correction * t_quantile(level, clusters.size - 1.0))
    # a value weighs what it tells under the noise of the fit: as much as it counts, if that is Gaussian
    information = np.ones(curve.x.size)
    if fit.noise != "gaussian":
        information = noise.get(fit.noise).information(form.evaluate(curve.x, best), information)
    # long curves are refitted on means over bins
    axis = Axis.points(curve.x)
    if axis.x.size > 2 * _MEANS:
        bins = Bins.of_points(curve.x, _MEANS, curve.weights)
        axis, clusters, information = bins.axis, clusters.binned(bins.label), bins.mean(information)

    def refit(multiplicity: Array) -> Array:
        y, w = clusters.resampled(multiplicity)
        w = w * information
        starts = np.repeat(best[shape][None, None, :], len(y), axis=0) if shape else None
        return separable.solve(form, axis, y, w, starts=starts, tolerance=1e-9).params

    # deviations from the fit to the means, about the fit to all points
    centre = refit(np.ones((1, clusters.size)))
    width = max(1, _HELD // axis.x.size)
    rows = [best + refit(draws[at : at + width]) - centre for at in range(0, replicates, width)]
    params = units.params(form, np.concatenate(rows))
    method = f"{clusters.kind} resampled, {replicates} replicates, percentiles"
    scope = scope_of(form, curve, fit)
    intervals = {}
    for i, q in enumerate(form.parameters):
        lower, upper = (float(v) for v in np.quantile(params[:, i], [tail, 1.0 - tail]))
        # replicates that all lie to one side of the estimate tell nothing of how far it may be off to the other
        value, rounding = told[i], 1e-9 * (abs(told[i]) + upper - lower)
        is_below, is_above = value < lower - rounding, value > upper + rounding
        lower, upper = min(lower, value), max(upper, value)
        if q.role == "shape":
            has_meaning = low[i] == 0.0  # 0 is a value that the parameter may have, other bounds are only the solver's
            is_below |= not has_meaning and lower <= low[i] * (1 + 1e-9 * np.sign(low[i]))
            is_above |= upper >= high[i] * (1 - 1e-9)
        lower, upper = -math.inf if is_below else lower, math.inf if is_above else upper
        intervals[q.name] = Interval(lower, upper, level, method, scope, _few_clusters(clusters))
    return intervals, np.atleast_2d(np.cov(params.T)) * correction**2


def _few_clusters(clusters: Clusters) -> str:
    return f"only {clusters.size} {clusters.kind}" if clusters.size < ENOUGH_CLUSTERS else ""


def scope_of(form: Form, curve: Curve, fit: Estimate) -> str:
    """What an interval from resampled clusters speaks of.

    Less than usual where clusters share shocks.
    """
    assert curve.clusters is not None
    usual = SCOPES.get(curve.clusters.kind, "this run")
    if curve.trajectories is not None:
        move_together = curve.trajectories.inflation.together
    else:
        ratio, p = shared_shocks(form, curve, fit)
        move_together = ratio > TOGETHER and p <= TOGETHER_P
    return CONDITIONAL if move_together else usual


def shared_shocks(form: Form, curve: Curve, fit: Estimate) -> tuple[float, float]:
    """Variance of the clusters' mean over that of independent ones.

    Variances are those of changes from point to point. The p-value is returned, too.

    With E_jt the change of cluster j from one point to the next less the change of the fit, the ratio is
    Σ_t (Σ_j E_jt)² / Σ_t Σ_j E_jt²; the p-value is that of random signs for whole clusters.

    Returns
    -------
    float, float
        1 and 1 where there is too little to tell.
    """
    assert curve.clusters is not None
    bins = Bins.of_points(curve.x, _SHOCK_POINTS, curve.weights)
    clusters = curve.clusters.binned(bins.label)
    sums, counts = (np.asarray(v.todense() if hasattr(v, "todense") else v) for v in (clusters.sums, clusters.counts))
    fitted = bins.mean(form.evaluate(curve.x, form.vector(fit.params)))
    seen = counts > 0
    deviation = np.where(seen, sums / np.where(seen, counts, 1.0) - fitted, 0.0)
    change = np.diff(deviation, axis=1) * (seen[:, 1:] & seen[:, :-1])
    independent = float((change**2).sum())
    if change.shape[1] < 5 or independent <= 1e-300:
        return 1.0, 1.0
    ratio = float((change.sum(axis=0) ** 2).sum()) / independent
    # random signs of whole clusters make them independent
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(_FLIPS, len(change)))
    null = ((signs @ change) ** 2).sum(axis=1) / independent
    return ratio, float((1.0 + (null >= ratio).sum()) / (_FLIPS + 1.0))


def block_bootstrap(
    form: Form, curve: Curve, fit: Estimate, level: float, rng: np.random.Generator
) -> dict[str, Interval]:
    """Percentile intervals from the stationary block bootstrap.

    Blocks of residuals are drawn (Politis & Romano 1994).

    A check on how much hangs on the ARMA model, not a replacement: at ρ = 0.9 it covers 81–83 % for 200 to 1,000
    points. The mean block length is that of Politis & White (2004), by the library arch.

    Raises
    ------
    MissingDependencyError
        If arch is not installed.
    """
    try:
        from arch.bootstrap import StationaryBootstrap, optimal_block_length
    except ImportError as error:
        raise MissingDependencyError("arch", "thorough", "the block bootstrap of the residuals") from error

    curve, fit, units = one_in_own_units(curve, form, fit)
    ordered = in_order(curve)
    params = form.vector(fit.params)
    r = estimate.residuals(form, ordered.x, ordered.y, ordered.weights, fit.noise, params)
    length = round(float(np.clip(optimal_block_length(r)["stationary"].iloc[0], 1.0, r.size / 4)))
    rows = StationaryBootstrap(length, r - r.mean(), seed=rng).bootstrap(REPLICATES)
    scale = np.sqrt(ordered.weights)
    y = form.evaluate(ordered.x, params) + np.stack([data[0][0] for data in rows]) / scale
    w = np.repeat(ordered.weights[None], len(y), axis=0)
    shape = [form.names.index(q.name) for q in form.shape]
    starts = np.repeat(params[shape][None, None], len(y), axis=0) if shape else None
    own = separable.solve(form, ordered.x, y, w, starts=starts, tolerance=1e-9).params
    tail = 0.5 * (1.0 - level)
    low, high = np.quantile(units.params(form, own), [tail, 1.0 - tail], axis=0)
    method = f"stationary block bootstrap, mean length {length}, {REPLICATES} replicates"
    return {
        name: Interval(float(low[i]), float(high[i]), level, method, "this curve") for i, name in enumerate(form.names)
    }

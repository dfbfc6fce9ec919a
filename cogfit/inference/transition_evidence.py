"""Whether a smooth curve explains a change of level.

The null and its test: the largest likelihood ratio of adding a step, over all locations and a few widths, beside every
smooth form, against curves with errors like the residuals'.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cogfit.engine import arma
from cogfit.engine.arma import Arma
from cogfit.formulas.form import Array
from cogfit.inference.error_models import innovations, simulated, tail, unevenness
from cogfit.inference.transition_levels import Null, Series, Shape, gradual, rivals
from cogfit.inference.transition_steps import Candidates, Mean, shocks, statistic, steps
from cogfit.native import distributions

SIGNIFICANT = 0.05
"""p-value up to which a change counts as found."""

HOPELESS = 20.0
"""Log-likelihood by which a smooth form may lie below the best one with a step and still be tested."""

STEEPNESS = (5.0, 11.0, 25.0, 60.0, 150.0)
"""Of the gradual steps tried besides sharp ones: t90/t10 = 2.4 … 1.03."""

_HITS = 10  # exceedances after which a bootstrap stops
_BATCHES = (20, 30, 50, 100, 200, 400, 800)  # replicates at a time: few first, for most nulls are settled early


@dataclass(frozen=True)
class Evidence:
    """How a smooth curve fares against a step.

    Its p-value, its form, its errors beside the best step, that step (None where there is nothing to explain).
    """

    p_value: float
    null: Null
    errors: Arma
    start: Shape | None = None

    @property
    def is_refused(self) -> bool:
        """Whether the step is needed."""
        return self.start is not None and self.p_value <= SIGNIFICANT


@dataclass(frozen=True)
class Trial:
    """A smooth form and the steps that may join it.

    `loglik` is that of the form alone, `logliks` those with each of the steps.
    """

    null: Null
    step: Candidates
    shapes: tuple[Shape, ...]
    loglik: float
    logliks: Array

    @classmethod
    def of(cls, series: Series, null: Null, known: Sequence[Shape]) -> Trial:
        """Try the steps of the grid."""
        at, location, s = _grid(series, known)
        step = steps(null.mean, series.root, at, gradual(np.log(series.x), location, s))
        jumps = (Shape(0.5 * float(series.x[i] + series.x[i - 1]), math.inf) for i in at)
        shapes = (*jumps, *(Shape(math.exp(q), k) for q, k in zip(location.tolist(), s.tolist(), strict=True)))
        alone = null.mean.max_loglik(null.residual)
        return cls(null, step, shapes, alone, step.max_logliks(null.mean, null.residual))

    @property
    def best(self) -> Shape:
        """The best step."""
        return self.shapes[int(self.logliks.argmax())]

    @property
    def highest(self) -> float:
        """Log-likelihood with the best step."""
        return float(self.logliks.max(initial=self.loglik))


def assess_smooth_forms(
    series: Series, null: Null, shapes: Sequence[Shape], replicates: int, rng: np.random.Generator
) -> Evidence:
    """Test all smooth forms that may explain the curve.

    A step is needed if every one of them is refused; the p-value is that of the least refused (Berger 1982,
    Technometrics 24:295). So it does not matter that the form is chosen by the data. A form is no explanation, and not
    asked, if some form with a step is far better: its own errors would be so large that nothing refuses it.
    """
    if _is_exact(series, null):
        return Evidence(1.0, null, arma.Arma())  # there is no noise, and nothing is left to explain
    first = Trial.of(series, null, shapes)
    verdict = assess_form(series, first, replicates, rng)
    if not verdict.is_refused and first.highest < first.loglik + 0.5 * HOPELESS:
        return verdict
    trials = [first, *(Trial.of(series, rival, shapes) for rival in rivals(series, null, shapes))]
    best = max(trials, key=lambda trial: trial.highest)
    for trial in trials:
        if trial.loglik < best.highest - HOPELESS:
            continue
        other = verdict if trial is first else assess_form(series, trial, replicates, rng)
        if not other.is_refused:
            return other
        verdict = max(verdict, other, key=lambda v: v.p_value)
    if not verdict.is_refused:  # the first form is no explanation, nor is any other
        verdict = assess_form(series, best, replicates, rng)
    return replace(verdict, start=verdict.start and best.best)


def _is_exact(series: Series, null: Null) -> bool:
    """Whether a smooth form goes through all points."""
    left = null.residual - null.mean.rows.T @ (null.mean.rows @ null.residual)
    # bounds of the forms leave 5e-6 of a straight line
    return float(np.linalg.norm(left)) <= 1e-5 * float(np.linalg.norm((series.y - series.y.mean()) * series.root))


def assess_form(series: Series, trial: Trial, replicates: int, rng: np.random.Generator) -> Evidence:
    """Test one smooth form against the best step."""
    null, step = trial.null, trial.step
    if _is_exact(series, null):
        return Evidence(1.0, null, arma.Arma())

    # the largest gain over all steps; nothing to test where a shock does as well
    shock = shocks(null.mean, np.arange(series.trim, series.x.size - series.trim + 1))
    observed = float(statistic(null.mean, step, shock, null.residual[None])[0])
    if observed <= 0.0:
        return Evidence(1.0, null, estimate_errors(null.residual, null.mean))

    # errors beside the best step: a change left in them would make them wander so far that no change is found
    beside = Mean.from_rows(np.stack([*null.mean.rows, trial.best.column(series)]))
    errors = estimate_errors(null.residual, beside)
    innovation = innovations(null.residual, beside.rows, errors)
    scale = unevenness(innovation)
    nu = tail(innovation / scale)

    def exceedances(size: int) -> NDArray[np.int64]:
        curves = simulated(errors, nu, scale, size, rng)
        return np.cumsum(statistic(null.mean, step, shock, curves, observed) >= observed)

    return Evidence(_sequential_p_value(exceedances, replicates), null, errors, trial.best)


def _sequential_p_value(exceedances: Callable[[int], NDArray[np.int64]], replicates: int) -> float:
    """Bootstrap p-value that stops early (Besag & Clifford 1991).

    `exceedances` makes a number of replicates and counts, cumulatively, those with at least the observed statistic.
    """
    hits, done = 0, 0
    for batch in (*_BATCHES, replicates):
        size = min(batch, replicates - done)
        above = exceedances(size)
        if hits + above[-1] >= _HITS:
            return _HITS / (done + int(np.searchsorted(above, _HITS - hits)) + 1)
        hits, done = hits + int(above[-1]), done + size
        if done == replicates:
            break
    return (hits + 1.0) / (done + 1.0)


def _grid(series: Series, shapes: Sequence[Shape]) -> tuple[NDArray[np.intp], Array, Array]:
    """Steps that are tried.

    First points of sharp steps; locations (log) and steepness of gradual ones that begin and end in
    the data.

    There are none where a change is known.
    """
    lx, c = np.log(series.x), series.trim
    at = np.arange(c, lx.size - c + 1)
    location, steepness = [np.zeros(0)], [np.zeros(0)]
    for s in STEEPNESS:
        middle, half = np.arange(lx[c], lx[-c - 1], 1.6 / s), math.log(9.0) / s
        middle = middle[(middle - half >= lx[0]) & (middle + half <= lx[-1])]
        middle = middle[np.searchsorted(lx, middle + half) - np.searchsorted(lx, middle - half) >= 3]
        location.append(middle)
        steepness.append(np.full(middle.size, s))
    locations, steepnesses = np.concatenate(location), np.concatenate(steepness)
    for shape in shapes:
        low, high = (int(np.searchsorted(series.x, shape.quantile(share))) for share in (0.1, 0.9))
        at = at[(at < low - c) | (at > high + c)]
        free = (locations < lx[max(low - c, 0)]) | (locations > lx[min(high + c, lx.size - 1)])
        locations, steepnesses = locations[free], steepnesses[free]
    return at, locations, steepnesses


def estimate_errors(residual: Array, mean: Mean) -> Arma:
    """ARMA errors by restricted likelihood.

    Orders beyond AR(1) only where AR(1) leaves correlated innovations.
    """
    n, design, lags = residual.size, mean.rows.T, np.arange(1, 9)
    _, white = arma.estimate_arma(residual, design, (0, 0))
    first, value = arma.estimate_arma(residual, design, (1, 0))
    innovation = innovations(residual, mean.rows, first)
    correlations = np.array([innovation[k:] @ innovation[:-k] for k in lags]) / max(
        float(innovation @ innovation), 1e-300
    )
    ljung_box = n * (n + 2.0) * float(np.sum(correlations**2 / (n - lags)))  # Ljung & Box 1978, Biometrika 65:297
    if distributions.chi2_sf(ljung_box, lags.size - 1) < SIGNIFICANT:
        return arma.select_arma(residual, design)
    return first if value - white > 1.0 else arma.Arma()

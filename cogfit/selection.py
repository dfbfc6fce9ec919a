"""Which forms the data support, and what may be said of the power law.

All forms are fitted under one noise model and compared by AICc. Where the residuals of the best form are
autocorrelated, every form is given first-order autoregressive errors of its own (continuous noise), or its
log-likelihood is divided by the autocorrelation time τ (binomial), as QAICc divides by an overdispersion (Burnham &
Anderson 2002, §2.5).

Where points are not independent (autocorrelated residuals, means over patterns or runs) flexible forms follow the
errors and a ΔAICc is no measure of evidence. There a power law is refuted only if curves made around the power law,
with errors of the same kind, seldom make it look as bad (:func:`bootstrap_p_value`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogfit import separable
from cogfit.curves import Array, Form
from cogfit.errors import InputError
from cogfit.estimate import Estimate
from cogfit.noise import NOISE
from cogfit.observed import Curve
from cogfit.serial import first_autocorrelation

POWER_LAWS = ("power", "power_floor")
"""What "a power law" means in a verdict: A·x^−γ, with or without a floor."""

CLOSE = 2.0
"""ΔAICc up to which two forms are called indistinguishable."""

_BINS = 200  # points on which a mean curve is tested by resampling
_REPLICATES = 99

REFUTED = 0.05
"""p-value of :func:`bootstrap_p_value` up to which a power law counts as refuted."""

FEW = 10.0
"""Effective points below which no form is supported against the others."""

SERIOUS = 10.0
"""ΔAICc from which a form is called out of the race (Burnham & Anderson 2002, §2.6)."""


@dataclass(frozen=True)
class Verdict:
    """What the data say about the claim "this is a power law".

    Attributes
    ----------
    power_law : {"supported", "not_supported", "not_distinguishable", "not_identified", "not_compared"}
        The last where only one form was fitted.
    reasons : tuple of str
        One sentence each.
    """

    power_law: str
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.power_law.replace("_", " ")


@dataclass(frozen=True)
class Ranking:
    """Forms compared on one data set.

    Attributes
    ----------
    delta : dict of str to float
        AICc (see the module's first lines) above the best; inf for failed forms.
    best : str or None
    indistinguishable : tuple of str
        Forms within :data:`CLOSE` of the best, best first.
    n_effective : float
    """

    delta: dict[str, float]
    best: str | None
    indistinguishable: tuple[str, ...]
    n_effective: float


def score(fit: Estimate, tau: float = 1.0, gain: float | None = None) -> float:
    """AICc of a fit whose residuals have autocorrelation time τ; inf where there are too few points.

    Parameters
    ----------
    fit : Estimate
    tau : float
        1 for independent residuals.
    gain : float, optional
        What AR(1) errors add to the log-likelihood (:func:`cogfit.serial.ar1_gain`), at one parameter more. Without
        it the log-likelihood is divided by `tau`.
    """
    if fit.status == "failed" or not math.isfinite(fit.loglik):
        return math.inf
    k, n, loglik = fit.k, float(fit.n), fit.loglik
    if gain is not None:
        k, loglik = k + 1, loglik + gain
    else:
        n, loglik = n / tau, loglik / tau
    spare = n - k - 1
    return -2.0 * loglik + 2.0 * k + 2.0 * k * (k + 1) / spare if spare > 0 else math.inf


def rank(fits: Sequence[Estimate], tau: float = 1.0, gains: Mapping[str, float] | None = None) -> Ranking:
    """Order forms that were fitted to the same data under comparable likelihoods.

    Parameters
    ----------
    fits : sequence of Estimate
    tau : float
        Autocorrelation time of the best form's residuals.
    gains : mapping of str to float, optional
        See :func:`score`.

    Raises
    ------
    InputError
        If a probability (binomial) and a density (Gaussian, log-normal) would be compared.
    """
    if len({NOISE[fit.noise].discrete for fit in fits}) > 1:
        raise InputError(
            "a binomial likelihood is a probability and cannot be compared with a density",
            hint="fit all forms under one noise model",
        )
    scores = {fit.form: score(fit, tau, None if gains is None else gains[fit.form]) for fit in fits}
    n = fits[0].n / tau if fits else 0.0
    order = sorted((name for name in scores if math.isfinite(scores[name])), key=lambda name: scores[name])
    if not order:
        return Ranking(dict.fromkeys(scores, math.inf), None, (), n)
    lowest = scores[order[0]]
    delta = {name: value - lowest for name, value in scores.items()}
    return Ranking(delta, order[0], tuple(name for name in order if delta[name] <= CLOSE), n)


def verdict(fits: Mapping[str, Estimate], ranking: Ranking, registry: Mapping[str, Form]) -> Verdict:
    """Rule on the power law.

    Supported: a power law that falls is among the indistinguishable best, its γ is determined, and every other form
    there contains it. Not supported: even the better power law is more than :data:`SERIOUS` behind the best form, or
    rises. Anything between is not distinguishable, and so is everything below :data:`FEW` effective points.
    """
    lead = better_power_law(fits, ranking)
    if lead is None:
        return Verdict("not_identified", ("no power law could be fitted to these data",))
    delta = ranking.delta
    if ranking.n_effective < FEW or ranking.best is None:
        reason = f"{ranking.n_effective:.0f} effective points are too few to tell one form from another"
        return Verdict("not_distinguishable", (reason,))
    fit = fits[lead]
    title, best = registry[lead].title, registry[ranking.best].title
    if delta.get("constant", math.inf) <= CLOSE:
        reason = "a constant describes the curve as well as any form: there is no decay to fit"
        return Verdict("not_identified", (reason,))
    if delta[lead] > SERIOUS:
        reason = f"{best} is better than {title} by ΔAICc = {delta[lead]:.1f}"
        return Verdict("not_supported", (reason, *_extras(fits, ranking)))
    if fit.params["gamma"] <= 0.0:
        return Verdict("not_supported", (f"the curve rises (γ = {fit.params['gamma']:.3g})",))
    if "gamma" in fit.not_identified or fit.status == "not_identified":
        return Verdict("not_identified", (f"{title}: {fit.reason}",))
    powers = [name for name in POWER_LAWS if name in fits]
    close = [name for name in powers if delta[name] <= delta[lead] + CLOSE]  # a form that contains one is no rival
    outside = [name for name in delta if name not in powers and not set(close) & set(registry[name].contains)]
    rivals = [name for name in outside if delta[name] <= delta[lead] + CLOSE]
    if delta[lead] <= CLOSE and not rivals:
        runner = min(outside, key=lambda name: delta[name], default=None)
        reasons = [f"{title} is among the best forms (ΔAICc = {delta[lead]:.1f})"]
        if runner is not None:
            gap = delta[runner] - delta[lead]
            reasons.append(f"the nearest form that does not contain it, {registry[runner].title}, is {gap:.1f} behind")
        return Verdict("supported", tuple(reasons))
    if rivals:
        names = ", ".join(registry[name].title for name in sorted(rivals, key=lambda name: delta[name])[:4])
        reasons = [f"{title} has ΔAICc = {delta[lead]:.1f}, and these describe the data as well or better: {names}"]
    else:
        reasons = [f"{title} is {delta[lead]:.1f} behind {best}: neither in nor out of the race"]
    return Verdict("not_distinguishable", tuple(reasons))


def better_power_law(fits: Mapping[str, Estimate], ranking: Ranking) -> str | None:
    """The power law with the lower AICc, None where neither could be fitted."""
    powers = [name for name in POWER_LAWS if name in fits and fits[name].status != "failed"]
    return min(powers, key=lambda name: ranking.delta[name], default=None)


def bootstrap_p_value(
    curve: Curve, fits: Mapping[str, Estimate], ranking: Ranking, registry: Mapping[str, Form], rng: np.random.Generator
) -> float:
    """Test of the better power law on a curve whose points are not independent.

    Curves are made around the fitted power law: with the clusters resampled where there are enough, else with AR(1)
    errors like those of the power law's residuals. All forms that beat it on the data are fitted again; the p-value is
    the share of curves on which the best of them beats the power law by as much, in log RSS. Curves of more than 200
    points are averaged into bins first.

    Parameters
    ----------
    curve : Curve
    fits : mapping of str to Estimate
        Under Gaussian or log-normal noise.
    ranking : Ranking
    registry : mapping of str to Form
    rng : numpy Generator

    Returns
    -------
    float
        Between 0.01 and 1.
    """
    lead = better_power_law(fits, ranking)
    assert lead is not None
    label = separable.bins_of(curve.x, _BINS)
    x = np.bincount(label, curve.x) / np.bincount(label)
    if curve.resampleable:
        mean, total, noise, weight = _cluster_noise(curve, label, rng)
    else:
        mean, total, noise, weight = _serial_noise(curve, label, fits[lead], registry[lead], rng)

    def residual_sum(name: str, y: Array, w: Array) -> Array:
        return separable.solve(registry[name], x, y, w, tolerance=1e-8).rss

    own = residual_sum(lead, mean, total)[0]
    others = {
        name: residual_sum(name, mean, total)[0]
        for name, e in fits.items()
        if e.status != "failed" and name not in POWER_LAWS
    }
    rivals = [name for name, value in others.items() if value < own]
    if not rivals:
        return 1.0
    y = registry[lead].evaluate(x, separable.solve(registry[lead], x, mean, total).params[0]) + noise
    tiny = 1e-300
    best = np.min([residual_sum(name, y, weight) for name in rivals], axis=0)
    ratio = np.log((residual_sum(lead, y, weight) + tiny) / (best + tiny))
    observed = math.log((own + tiny) / (min(others[name] for name in rivals) + tiny))
    return float((1.0 + (ratio >= observed).sum()) / (_REPLICATES + 1.0))


def _cluster_noise(curve: Curve, label: NDArray[np.int64], rng: np.random.Generator) -> tuple[Array, ...]:
    """Binned mean and weights (1, n), deviations and weights of resampled clusters (replicates, n)."""
    assert curve.clusters is not None
    clusters = curve.clusters.binned(label)
    mean, total = clusters.resampled(np.ones((1, clusters.size)))
    draws = rng.multinomial(clusters.size, np.full(clusters.size, 1.0 / clusters.size), size=_REPLICATES).astype(float)
    y, w = clusters.resampled(draws)
    return mean, total, y - mean, w


def _serial_noise(
    curve: Curve, label: NDArray[np.int64], fit: Estimate, form: Form, rng: np.random.Generator
) -> tuple[Array, ...]:
    """The same with AR(1) errors that have the spread and the bias-corrected correlation of a fit's residuals."""
    from scipy.signal import lfilter

    f = form.evaluate(curve.x, form.vector(fit.params))
    weight = NOISE[fit.noise].information(f, curve.weights)
    r = (curve.y - f) * np.sqrt(weight)
    order = np.argsort(curve.x, kind="stable")
    rho = first_autocorrelation(r[order], len(fit.params))
    shock = rng.normal(size=(_REPLICATES, r.size))
    shock[:, 1:] *= math.sqrt(1.0 - rho * rho)
    error = np.empty_like(shock)
    error[:, order] = lfilter([1.0], [1.0, -rho], shock, axis=1) * r.std()
    size = int(label.max()) + 1
    total: Array = np.bincount(label, weight, size).astype(float)

    def binned(rows: Array) -> Array:
        return np.asarray(np.stack([np.bincount(label, weight * row, size) for row in rows]) / total)

    noise = binned(error / np.sqrt(weight))
    return binned(curve.y[None]), total[None], noise, np.repeat(total[None], _REPLICATES, axis=0)


def _extras(fits: Mapping[str, Estimate], ranking: Ranking) -> tuple[str, ...]:
    step = fits.get("log_logistic_step")
    if ranking.best == "log_logistic_step" and step is not None:
        p = step.params
        return (
            f"the curve is a transition: half of the drop is done at x = {p['x50']:.5g}, steepness s = {p['s']:.3g}",
        )
    if ranking.best in ("shifted_power", "shifted_power_floor"):
        b = fits[ranking.best].params["b"]
        return (
            f"that form is a power law of x + {b:.3g}, not of x; a shift near 1 means that x should be counted from 1 "
            "(for exposures: convention 'inclusive')",
        )
    return ()


def simplest(ranking: Ranking, registry: Mapping[str, Form]) -> str | None:
    """Of the indistinguishable forms the one with the fewest parameters, then the best: the form reported."""
    order = {name: i for i, name in enumerate(ranking.indistinguishable)}
    return min(order, key=lambda name: (len(registry[name].parameters), order[name]), default=None)

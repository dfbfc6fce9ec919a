"""Forms in the order of AICc, autocorrelation allowed for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cogfit.engine.estimate import Estimate
from cogfit.engine.noise import NOISE
from cogfit.errors import InputError

CLOSE = 2.0
"""ΔAICc up to which two forms are called indistinguishable."""

SERIOUS = 10.0
"""ΔAICc from which a form is called out of the race (Burnham & Anderson 2002, §2.6)."""


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
    losses : dict of str to (float, int)
        −2 log-likelihood, as it enters the AICc, and the number of parameters; usable forms only.
    """

    delta: dict[str, float]
    best: str | None
    indistinguishable: tuple[str, ...]
    n_effective: float
    losses: dict[str, tuple[float, int]] = field(default_factory=dict)

    @property
    def delta_bic(self) -> dict[str, float]:
        """BIC above the lowest, by form.

        The likelihoods are those of the AICc, for the effective number of points. inf for failed
        forms.
        """
        penalty = math.log(max(self.n_effective, 1.0))
        bic = {name: loss + k * penalty for name, (loss, k) in self.losses.items()}
        lowest = min(bic.values(), default=0.0)
        return {name: bic[name] - lowest if name in bic else math.inf for name in self.delta}


def _loss(fit: Estimate, tau: float, gain: float | None) -> tuple[float, int, float]:
    """−2 log-likelihood, numbers of parameters and of points.

    All three allow for autocorrelation.
    """
    if gain is not None:
        return -2.0 * (fit.loglik + gain), fit.k + 1, float(fit.n)
    return -2.0 * fit.loglik / tau, fit.k, fit.n / tau


def score(fit: Estimate, tau: float = 1.0, gain: float | None = None) -> float:
    """AICc of a fit with autocorrelated residuals.

    Their autocorrelation time is τ; inf where there are too few points.

    Parameters
    ----------
    fit : Estimate
    tau : float
        1 for independent residuals.
    gain : float, optional
        What AR(1) errors add to the log-likelihood (:func:`cogfit.engine.arma.ar1_gain`), at one parameter more.
        Without it the log-likelihood is divided by `tau`.
    """
    if fit.status == "failed" or not math.isfinite(fit.loglik):
        return math.inf
    loss, k, n = _loss(fit, tau, gain)
    denominator = n - k - 1
    return loss + 2.0 * k + 2.0 * k * (k + 1) / denominator if denominator > 0 else math.inf


def rank(fits: Sequence[Estimate], tau: float = 1.0, gains: Mapping[str, float] | None = None) -> Ranking:
    """Order forms that were fitted to the same data.

    Their likelihoods must be comparable.

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
    gain_of: Mapping[str, float | None] = dict.fromkeys(fit.form for fit in fits) if gains is None else gains
    scores = {fit.form: score(fit, tau, gain_of[fit.form]) for fit in fits}
    usable = {fit.form: fit for fit in fits if math.isfinite(scores[fit.form])}
    losses = {name: _loss(fit, tau, gain_of[name])[:2] for name, fit in usable.items()}
    n = fits[0].n / tau if fits else 0.0
    order = sorted(usable, key=lambda name: scores[name])
    if not order:
        return Ranking(dict.fromkeys(scores, math.inf), None, (), n)
    lowest = scores[order[0]]
    delta = {name: value - lowest for name, value in scores.items()}
    return Ranking(delta, order[0], tuple(name for name in order if delta[name] <= CLOSE), n, losses)


def simplest_in_race(delta: Mapping[str, float], parameters: Mapping[str, int]) -> str:
    """Name the simplest form that is still in the race.

    Of those with the fewest parameters the best.

    Parameters
    ----------
    delta : mapping of str to float
        AICc above the lowest.
    parameters : mapping of str to int
        Numbers of parameters.
    """
    return min((name for name in delta if delta[name] < SERIOUS), key=lambda name: (parameters[name], delta[name]))


def pick_simplest(
    choice: NDArray[np.bool_],
    aicc: NDArray[np.float64],
    bic: NDArray[np.float64],
    parameters: Sequence[int],
    is_at_bound: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Row of the simplest form for each curve.

    That with the fewest parameters, and of these the lowest AICc. A form with a parameter at a bound is passed over
    where another of the choice has a lower AICc and a lower BIC.

    Parameters
    ----------
    choice : ndarray of bool, shape (forms, curves)
        Forms among which to choose.
    aicc, bic : ndarray, shape (forms, curves)
        Only differences within a curve matter.
    parameters : sequence of int
        Number of each form's parameters.
    is_at_bound : ndarray of bool, shape (forms, curves)
        Whether some parameter lies at a bound.

    Returns
    -------
    ndarray of int, shape (curves,)
        −1 where there is no choice.

    Examples
    --------
    >>> import numpy as np
    >>> aicc, bic = np.array([[1.0], [0.0]]), np.array([[0.5], [0.0]])
    >>> for is_at_bound in (False, True):
    ...     pick_simplest(np.ones((2, 1), bool), aicc, bic, (2, 3), np.array([[is_at_bound], [False]])).item()
    0
    1
    """
    usable = choice.copy()
    for i in np.flatnonzero((choice & is_at_bound).any(axis=1)):
        is_beaten = (choice & (aicc < aicc[i]) & (bic < bic[i])).any(axis=0)
        usable[i] &= ~(is_at_bound[i] & is_beaten)
    size = np.where(usable, np.asarray(parameters, float)[:, None], np.inf)
    simplest = usable & (size == size.min(axis=0))
    return np.where(simplest.any(axis=0), np.where(simplest, aicc, np.inf).argmin(axis=0), -1)

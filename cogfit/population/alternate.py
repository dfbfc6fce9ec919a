"""Maximum likelihood by alternation, after Lindstrom & Bates 1990.

Penalised least squares for means and deviations at given variances, then the linear mixed model for the variances,
until neither changes. This is what nlme does, and the start of everything else here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cogfit.formulas.form import Array
from cogfit.population.blocks import Block
from cogfit.population.layout import Layout, Population, inverse_of
from cogfit.population.linear import LinearObjective, Summaries
from cogfit.population.marginal import coordinates_at, find_modes
from cogfit.population.maximise import maximise
from cogfit.population.model import Model
from cogfit.population.objective import Parts, one_population

_ROUNDS = 40
_LEAST_SQUARES_STEPS = 40
_HALVINGS = 10
_CLOSE = 1e-5  # of a step for the means, in standard errors
_SETTLED = 1e-3  # of a round, in standard errors
_SHRINKING = 0.7  # by which a round should be shorter than the last
_LEAST_DAMPING = 0.2


@dataclass(frozen=True)
class Alternated:
    """Where the alternation ended.

    Attributes
    ----------
    theta : ndarray
    covariance : ndarray
        Of theta, from the linearised model.
    objective : LinearObjective
        Linearised there.
    log_likelihood : float
    modes : list of list of ndarray
        Deviations u of the blocks of each part.
    is_converged : bool
    is_flat : ndarray of bool
        Parameters that the linearised model leaves open.
    """

    theta: Array
    covariance: Array
    objective: LinearObjective
    log_likelihood: float
    modes: list[list[Array]]
    is_converged: bool
    is_flat: NDArray[np.bool_]


class _Pass(NamedTuple):
    """What one pass over a part brings."""

    penalised: float
    information: Array
    product: Array
    square: Array
    modes: list[Array]


def alternate(
    model: Model,
    parts: Parts,
    layout: Layout,
    theta: Array,
    modes: list[list[Array]],
    totals: tuple[int, float],
    *,
    is_restricted: bool,
) -> Alternated:
    """Fit the population by alternation.

    Parameters
    ----------
    model : Model
    parts : Parts
    layout : Layout
    theta : ndarray
        Start.
    modes : list of list of ndarray
        Deviations of the blocks of each part to begin with.
    totals : (int, float)
        Number of points, and the sum of the logarithms of their weights.
    is_restricted : bool
        Whether variances are estimated by restricted likelihood (REML).
    """
    damping, last = 1.0, np.inf
    for _ in range(_ROUNDS):
        mean, summaries, modes = _least_squares(model, parts, layout, theta, modes, totals)
        objective = LinearObjective(summaries, layout, model.random, is_restricted)
        before = np.concatenate([mean, theta[layout.p :]])
        maximum = maximise(objective, before, first_covariance(objective, before))
        change = maximum.theta - before
        distance = float(np.sqrt(max(0.0, change @ inverse_of(maximum.covariance) @ change)))
        if distance < _SETTLED:
            break
        # two linearisations may lead to each other for ever: then go only part of the way
        if distance > _SHRINKING * last:
            damping = max(0.5 * damping, _LEAST_DAMPING)
        theta, last = before + damping * change, distance
        # deviations are Λu: the same ones under the new factor are a better start than the same u
        modes = _rescaled(layout, before, theta, modes)
    return Alternated(
        theta=maximum.theta,
        covariance=maximum.covariance,
        objective=objective,
        log_likelihood=objective.value(maximum.theta),
        modes=modes,
        is_converged=distance < _SETTLED,
        is_flat=maximum.is_flat,
    )


def first_covariance(objective: LinearObjective, theta: Array) -> Array:
    """Rough covariance of all parameters, to scale a search."""
    layout = objective.layout
    n_members = len(objective.summaries.square)
    _, means = objective.best_means(theta)
    out = np.zeros((layout.size, layout.size))
    out[: layout.p, : layout.p] = means
    sizes = np.abs(theta[layout.entries])
    single = np.sqrt(n_members * np.abs(np.diag(means)))[list(objective.random)]
    typical = np.maximum(sizes, 0.05 * single[layout.rows])
    out[layout.entries, layout.entries] = np.diag(typical**2 / (2.0 * n_members))
    if layout.has_sigma:
        out[-1, -1] = 0.5 / max(objective.summaries.n_points - n_members, 1)
    return out


def _least_squares(
    model: Model, parts: Parts, layout: Layout, theta: Array, modes: list[list[Array]], totals: tuple[int, float]
) -> tuple[Array, Summaries, list[list[Array]]]:
    """Penalised least squares for means and deviations, variances given."""
    mean, factor, log_sigma = layout.unpack(theta)
    penalised, summaries, modes = _pass(model, parts, Population(mean, factor, log_sigma), modes, totals)
    for _ in range(_LEAST_SQUARES_STEPS):
        objective = LinearObjective(summaries, layout, model.random, False)
        best, covariance = objective.best_means(np.concatenate([mean, theta[layout.p :]]))
        step = best - mean
        if float(step @ inverse_of(covariance) @ step) < _CLOSE**2:
            break
        for _ in range(_HALVINGS):
            trial = Population(mean + step, factor, log_sigma)
            there = _pass(model, parts, trial, modes, totals)
            if there[0] <= penalised:
                break
            step = 0.5 * step
        else:
            break
        mean, (penalised, summaries, modes) = trial.mean, there
    return mean, summaries, modes


def _pass(
    model: Model, parts: Parts, population: Population, modes: list[list[Array]], totals: tuple[int, float]
) -> tuple[float, Summaries, list[list[Array]]]:
    """One pass over all members: modes, and the model linearised there."""
    answers: list[_Pass] = parts.run(linearise_part, modes, model, population)
    summaries = Summaries(
        information=np.concatenate([answer.information for answer in answers]),
        product=np.concatenate([answer.product for answer in answers]),
        square=np.concatenate([answer.square for answer in answers]),
        centre=population.mean,
        n_points=totals[0],
        log_weights=totals[1],
    )
    return sum(answer.penalised for answer in answers), summaries, [answer.modes for answer in answers]


def linearise_part(blocks: Sequence[Block], modes: Sequence[Array], model: Model, population: Population) -> _Pass:
    """Linearise the members of a part at their modes."""
    alone = one_population(population)
    variance, random = np.exp(2.0 * population.log_sigma), np.array(model.random)
    penalised, collected, found = 0.0, [], []
    for block, u in zip(blocks, modes, strict=True):
        best = find_modes(model, block, alone, u[None])
        deviations = (coordinates_at(model, alone, best.u)[0] - population.mean)[:, random]
        information = best.information[0] * variance
        pull = (information[:, :, random] @ deviations[..., None])[..., 0]
        product = best.score[0] * variance
        # r = (y − f) + Jb: its products with J and with itself
        square = best.rss[0] + 2.0 * (product[:, random] * deviations).sum(axis=1)
        square = square + (pull[:, random] * deviations).sum(axis=1)
        penalised += float(best.penalised.sum())
        collected.append((information, product + pull, square))
        found.append(best.u[0])
    information, product, square = (np.concatenate(arrays) for arrays in zip(*collected, strict=True))
    return _Pass(penalised, information, product, square, found)


def _rescaled(layout: Layout, before: Array, after: Array, modes: list[list[Array]]) -> list[list[Array]]:
    """Deviations in units of another factor."""
    old, new = layout.unpack(before).factor, layout.unpack(after).factor
    change = np.linalg.pinv(new) @ old
    return [[u @ change.T for u in part] for part in modes]

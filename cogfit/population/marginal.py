"""Likelihood of the population, members integrated out.

For each member the most likely deviations are found (Gauss–Newton with step halving); about them its likelihood is
integrated by Laplace's approximation or by adaptive Gauss–Hermite quadrature (Pinheiro & Bates 1995, J. Comput. Graph.
Stat. 4:12). All members of a block are done at once, and for several populations at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cogfit.formulas.form import Array
from cogfit.population.blocks import Block
from cogfit.population.layout import Population
from cogfit.population.model import Model

_ITERATIONS = 60
_HALVINGS = 12
_DECREMENT = 1e-13  # of half the penalised sum of squares: log-determinants then have 1e-6, enough for differences


class Modes(NamedTuple):
    """Most likely deviations of the members of a block.

    Attributes
    ----------
    u : ndarray, shape (k, m, q)
        Deviations are Λu.
    penalised : ndarray, shape (k, m)
        Half of the residual sum of squares in units of σ², plus half of u'u.
    information : ndarray, shape (k, m, p, p)
        J'WJ/σ² of the coordinates.
    score : ndarray, shape (k, m, p)
        J'Wr/σ².
    curvature : ndarray, shape (k, m, q, q)
        Λ'J'WJΛ/σ² + 1, the curvature of `penalised` without second derivatives of the curve.
    rss : ndarray, shape (k, m)
        Sum of the squares of residuals by their weights.
    """

    u: Array
    penalised: Array
    information: Array
    score: Array
    curvature: Array
    rss: Array


@dataclass(frozen=True)
class _State:
    """A curve of each member with its derivatives."""

    residual: Array
    weight: Array
    slope: Array
    penalised: Array
    rss: Array


def find_modes(model: Model, block: Block, population: Population, u: Array) -> Modes:
    """Find the most likely deviations of each member.

    Parameters
    ----------
    model : Model
    block : Block
    population : Population
        Of k populations: the arrays have a leading axis.
    u : ndarray, shape (k, m, q)
        Where to begin.
    """
    identity = np.eye(u.shape[-1])
    state = _evaluate(model, block, population, u)
    for _ in range(_ITERATIONS):
        information, score = _normal_equations(population, state)
        curvature, gradient = _in_deviations(model, population, information, score)
        is_sane = np.asarray(np.isfinite(curvature).all(axis=(-1, -2)))[..., None]
        curvature = np.where(is_sane[..., None], curvature, 0.0) + identity
        gradient = np.where(is_sane, gradient - u, 0.0)
        step = np.asarray(np.linalg.solve(curvature, gradient[..., None])[..., 0], dtype=float)
        decrement = (step * gradient).sum(axis=-1)
        if not np.any(decrement > _DECREMENT * (1.0 + np.abs(state.penalised))):
            break
        u, state = _advance(model, block, population, u, step, state)
    return Modes(u, state.penalised, information, score, curvature, state.rss)


def _evaluate(model: Model, block: Block, population: Population, u: Array) -> _State:
    """Curves at given deviations; impossible ones cost infinity."""
    value, slope = model.curve(block.x, block.covariates, coordinates_at(model, population, u))
    with np.errstate(all="ignore"):
        residual, weight, square = model.errors(block.y, value, block.w)
        rss = (weight * residual**2).sum(axis=-1)
        loss = square.sum(axis=-1) if model.counted else rss
        penalised = 0.5 * loss * np.exp(-2.0 * population.log_sigma)[:, None] + 0.5 * (u**2).sum(axis=-1)
    slope = np.where((block.w > 0.0)[..., None], slope, 0.0)
    is_possible = np.isfinite(penalised) & np.isfinite(slope).all(axis=(-1, -2))
    return _State(residual, weight, slope, np.where(is_possible, penalised, np.inf), rss)


def coordinates_at(model: Model, population: Population, u: Array) -> Array:
    """Coordinates (k, m, p) of members with deviations Λu."""
    out = np.repeat(population.mean[:, None, :], u.shape[1], axis=1)
    out[..., model.random] += u @ np.swapaxes(population.factor, -1, -2)
    return out


def _normal_equations(population: Population, state: _State) -> tuple[Array, Array]:
    """J'WJ/σ² and J'Wr/σ² of every member."""
    precision = np.exp(-2.0 * population.log_sigma)[:, None, None]
    is_possible = np.isfinite(state.penalised)[..., None, None]
    slope = np.where(is_possible, state.slope, 0.0)
    weighted = np.swapaxes(slope * state.weight[..., None], -1, -2)
    residual = np.where(is_possible[..., 0], state.residual, 0.0)
    return (weighted @ slope) * precision[..., None], (weighted @ residual[..., None])[..., 0] * precision


def _in_deviations(model: Model, population: Population, information: Array, score: Array) -> tuple[Array, Array]:
    """Information and score by u."""
    factor, random = population.factor[:, None], np.array(model.random)
    transposed = np.swapaxes(factor, -1, -2)
    inner = information[..., random[:, None], random]
    return transposed @ inner @ factor, (transposed @ score[..., random, None])[..., 0]


def _advance(
    model: Model, block: Block, population: Population, u: Array, step: Array, state: _State
) -> tuple[Array, _State]:
    """Go a step, halved for the members that it does not help."""
    scale = np.ones(step.shape[:-1])
    for _ in range(_HALVINGS):
        trial = u + scale[..., None] * step
        there = _evaluate(model, block, population, trial)
        is_worse = ~(there.penalised <= state.penalised + 1e-12 * np.abs(state.penalised))
        if not is_worse.any():
            return trial, there
        scale = np.where(is_worse, 0.25 * scale, scale)
    keep = is_worse[..., None]
    return np.where(keep, u, trial), _State(
        np.where(keep, state.residual, there.residual),
        np.where(keep, state.weight, there.weight),
        np.where(keep[..., None], state.slope, there.slope),
        np.where(is_worse, state.penalised, there.penalised),
        np.where(is_worse, state.rss, there.rss),
    )


# ------------------------------------------------------------------------------------------------- integration


def log_likelihood(model: Model, block: Block, population: Population, modes: Modes, nodes: int = 1) -> Array:
    """Log-likelihood of each member, shape (k, m).

    Parameters
    ----------
    model, block, population, modes
    nodes : int
        Points of the quadrature along each deviation; 1 is Laplace's approximation.
    """
    sign, log_determinant = np.linalg.slogdet(modes.curvature)
    constant = block.log_constant - block.size * population.log_sigma[:, None]
    integral = -modes.penalised
    if nodes > 1:
        integral = _quadrature(model, block, population, modes, nodes)
    return np.where(sign > 0, constant + integral - 0.5 * log_determinant, -np.inf)


def _quadrature(model: Model, block: Block, population: Population, modes: Modes, nodes: int) -> Array:
    """Logarithm of the integral over u, its Gaussian factor left out.

    The nodes are scaled by the curvature at the mode.
    """
    q = modes.u.shape[-1]
    z, weight = np.polynomial.hermite.hermgauss(nodes)
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*[z] * q, indexing="ij")], axis=-1)
    log_weight = sum(np.log(axis) for axis in np.meshgrid(*[weight] * q, indexing="ij"))
    log_weight = np.asarray(log_weight).ravel() + (grid**2).sum(axis=-1) - 0.5 * q * math.log(math.pi)
    root = np.linalg.inv(np.swapaxes(np.linalg.cholesky(modes.curvature), -1, -2))
    total = np.full(modes.penalised.shape, -np.inf)
    for node, log_w in zip(grid, log_weight, strict=True):
        u = modes.u + math.sqrt(2.0) * (root @ node)
        total = np.logaddexp(total, log_w - _evaluate(model, block, population, u).penalised)
    return total


def fixed_information(model: Model, modes: Modes, factor: Array) -> Array:
    """Information of members on the means, (k, m, p, p).

    X'V⁻¹X of the model linearised at the modes.
    """
    random = np.array(model.random)
    cross = modes.information[..., random] @ factor[:, None]
    return modes.information - cross @ np.linalg.solve(modes.curvature, np.swapaxes(cross, -1, -2))

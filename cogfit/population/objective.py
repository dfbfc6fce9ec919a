"""The marginal log-likelihood as a function of one vector."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from cogfit.formulas.form import Array
from cogfit.population.blocks import Block
from cogfit.population.layout import Layout, Population
from cogfit.population.marginal import find_modes, fixed_information, log_likelihood
from cogfit.population.model import Model

_LOG_2PI = math.log(2.0 * math.pi)
_BATCH = 1 << 18  # points worked on at a time
_STEP = 0.02  # of differences, in standard errors


class Objective(Protocol):
    """A log-likelihood with its gradient."""

    def value(self, theta: Array) -> float:
        """Log-likelihood at a vector."""
        ...

    def gradient(self, theta: Array) -> Array:
        """Derivative by the vector."""
        ...


class Parts(Protocol):
    """Where the points of the members are: in memory, or spread over workers."""

    @property
    def sizes(self) -> Sequence[int]:
        """Members of each part."""
        ...

    def run(self, task: Callable[..., Any], per_part: Sequence[Any], *shared: Any) -> list[Any]:
        """Return ``task(blocks, own, *shared)`` of every part.

        `own` is its item of `per_part`.
        """
        ...


@dataclass
class MarginalObjective:
    """Log-likelihood with the members integrated out.

    The last modes are kept as the next start: they change little from one vector to the next.

    Attributes
    ----------
    model : Model
    parts : Parts
    layout : Layout
    nodes : int
        Of the quadrature along each deviation; 1 is Laplace's approximation.
    is_restricted : bool
        Whether the means are integrated out, too.
    modes : list of list of ndarray
        Deviations u of each block (m, q), for each part.
    scale : ndarray, shape (size, size)
        Columns are directions of about one standard error; gradients are taken along them.
    """

    model: Model
    parts: Parts
    layout: Layout
    nodes: int
    is_restricted: bool
    modes: list[list[Array]]
    scale: Array = field(default_factory=lambda: np.zeros((0, 0)))

    def value(self, theta: Array) -> float:
        """Log-likelihood at a vector."""
        return float(self.values(theta[None])[0])

    def values(self, thetas: Array) -> Array:
        """Log-likelihoods at several vectors (k, size)."""
        answers = self.parts.run(_part_values, self.modes, self.model, self.layout, thetas, self.nodes)
        total = sum(answer[0] for answer in answers)
        if len(thetas) == 1:
            self.modes = [answer[2] for answer in answers]
        if not self.is_restricted:
            return np.asarray(total)
        information = sum(answer[1] for answer in answers)
        sign, log_determinant = np.linalg.slogdet(information)
        penalty = 0.5 * (self.layout.p * _LOG_2PI - log_determinant)
        return np.asarray(np.where(sign > 0, total + penalty, -np.inf))

    def gradient(self, theta: Array) -> Array:
        """Central differences along the directions of `scale`."""
        steps = _STEP * self.scale.T
        values = self.values(np.concatenate([theta + steps, theta - steps]))
        along = (values[: len(steps)] - values[len(steps) :]) / (2.0 * _STEP)
        return np.asarray(np.linalg.solve(self.scale.T, along))


def _part_values(
    blocks: Sequence[Block], modes: Sequence[Array], model: Model, layout: Layout, thetas: Array, nodes: int
) -> tuple[Array, Array, list[Array]]:
    """Sums over the members of a part: log-likelihoods, information on the means; and the modes at the first vector."""
    total, information, found = np.zeros(len(thetas)), np.zeros((len(thetas), model.size, model.size)), []
    for block, u in zip(blocks, modes, strict=True):
        at_a_time = max(1, _BATCH // block.x.size)
        for first in range(0, len(thetas), at_a_time):
            chosen = slice(first, first + at_a_time)
            population = layout.unpack(thetas[chosen])
            start = np.broadcast_to(u, (len(population.mean), *u.shape))
            best = find_modes(model, block, population, start)
            total[chosen] += log_likelihood(model, block, population, best, nodes).sum(axis=-1)
            information[chosen] += fixed_information(model, best, population.factor).sum(axis=1)
            if first == 0:
                found.append(best.u[0])
    return total, information, found


@dataclass(frozen=True)
class InMemory:
    """All members in the memory of this process.

    Attributes
    ----------
    blocks : sequence of Block
    """

    blocks: Sequence[Block]

    @property
    def sizes(self) -> Sequence[int]:
        """Members of the one part."""
        return [sum(block.members.size for block in self.blocks)]

    def run(self, task: Callable[..., Any], per_part: Sequence[Any], *shared: Any) -> list[Any]:
        """Run a task on the one part."""
        return [task(self.blocks, per_part[0], *shared)]


def one_population(population: Population) -> Population:
    """Give one population a leading axis."""
    mean, factor, log_sigma = population
    return Population(mean[None], factor[None], np.asarray(log_sigma)[None])

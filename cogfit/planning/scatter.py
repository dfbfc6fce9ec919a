"""How curves scatter about a law: drawn anew, at more points or in more repetitions.

A scatter belongs to a template, a curve whose x, weights and labels every curve drawn has. Points of another template
are told by their *place* in the old one: 0 is its first point, 1 its second, and what lies beyond the last has places
beyond it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np

from cogfit.curves.curve import Clusters, Curve
from cogfit.engine.arma import Arma
from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.inference.error_models import ErrorModel
from cogfit.inference.variance import Dependence

_MOST_CELLS = 5_000_000  # clusters times points: 80 MB, which every process gets
_MOST_OUTCOMES = 50_000_000  # the same of outcomes, which are drawn and forgotten: 400 MB
_TAIL = 10  # part of the points whose mean size of errors holds beyond the last


class Scatter(Protocol):
    """How curves scatter about a law."""

    @property
    def unit(self) -> str:
        """What is repeated, such as ``runs``."""
        ...

    @property
    def repetitions(self) -> int:
        """How many of these there are."""
        ...

    @property
    def most_cells(self) -> float:
        """How many repetitions times points can be drawn."""
        ...

    def draw(self, template: Curve, mean: Array, rng: np.random.Generator) -> Curve:
        """Draw a curve about a mean (n,)."""
        ...

    def at_places(self, place: Array) -> Self:
        """The scatter at other points."""
        ...

    def repeated(self, factor: float) -> Self:
        """The scatter of more repetitions, or of fewer."""
        ...


@dataclass(frozen=True)
class SeriesScatter:
    """Errors along one ordered series, or the mean of runs.

    Attributes
    ----------
    noise : str
        ``gaussian`` or ``lognormal``.
    errors : ErrorModel
    size : ndarray, shape (n,)
        Of the errors along the curve, over what the model says.
    repetitions : int
        Runs behind the mean.
    """

    noise: str
    errors: ErrorModel
    size: Array
    repetitions: int = 1

    unit = "runs"
    most_cells = math.inf

    def draw(self, template: Curve, mean: Array, rng: np.random.Generator) -> Curve:
        """Draw a curve about a mean (n,)."""
        # of the dependences that the data allow each curve has one
        member = self.errors.members[int(rng.integers(len(self.errors.members)))]
        series = replace(self.errors, members=(member,)).simulate(1, mean.size, rng)[0]
        error = series * self.size / np.sqrt(template.weights)
        return replace(template, y=mean * np.exp(error) if self.noise == "lognormal" else mean + error)

    def at_places(self, place: Array) -> Self:
        """The scatter at other points.

        Points that lie closer together have errors that depend on each other more.
        """
        last = self.size.size - 1
        size = np.interp(place, np.arange(last + 1.0), self.size)
        size[place > last] = self.size[-max(1, self.size.size // _TAIL) :].mean()
        density = (place.size - 1.0) / max(float(place[-1] - place[0]), 1.0)
        members = tuple((_at_density(one, density), spread) for one, spread in self.errors.members)
        return replace(self, errors=replace(self.errors, members=members), size=size)

    def repeated(self, factor: float) -> Self:
        """The mean of more runs, whose errors are smaller."""
        runs = self.repetitions * factor
        return replace(self, size=self.size / math.sqrt(factor), repetitions=max(1, round(runs)))


def _at_density(dependence: Dependence, density: float) -> Dependence:
    """Dependence of points that lie closer together.

    Errors of first order fade with the distance along x. Other models keep what neighbours have in common: long memory
    looks alike on all scales, and of the others nothing is known between the points.
    """
    is_first = isinstance(dependence, Arma) and dependence.order == (1, 0) and dependence.phi[0] > 0.0
    if not is_first or density <= 0.0:
        return dependence
    assert isinstance(dependence, Arma)
    return Arma((dependence.phi[0] ** (1.0 / density),))


@dataclass(frozen=True)
class CountScatter:
    """Counted outcomes, independent of each other.

    Attributes
    ----------
    trials : ndarray, shape (n,)
        Outcomes at each point.
    repetitions : int
        How many times the trials of the log.
    """

    trials: Array
    factor: float = 1.0

    unit = "trials"
    most_cells = math.inf

    @property
    def repetitions(self) -> int:
        """Trials at a point, on average."""
        return round(float(self._counts().mean()))

    def _counts(self) -> Array:
        return np.maximum(np.rint(self.trials * self.factor), 1.0)

    def draw(self, template: Curve, mean: Array, rng: np.random.Generator) -> Curve:
        """Draw fractions about a mean (n,)."""
        counts = self._counts()
        hits = rng.binomial(counts.astype(np.int64), np.clip(mean, 0.0, 1.0))
        return replace(template, y=hits / counts, counts=counts, weights=counts)

    def at_places(self, place: Array) -> Self:
        """The same at other points."""
        return replace(self, trials=np.rint(np.interp(place, np.arange(float(self.trials.size)), self.trials)))

    def repeated(self, factor: float) -> Self:
        """More trials at every point."""
        return replace(self, factor=self.factor * factor)


@dataclass(frozen=True)
class ClusterScatter:
    """Members of a log, drawn with replacement as wholes.

    Attributes
    ----------
    kind : str
        ``patterns``, ``runs``, ``groups``.
    deviations, counts : ndarray, shape (members, n)
        Sums of deviations from the mean curve, and numbers of observations.
    repetitions : int
        Members of a curve that is drawn.
    """

    kind: str
    deviations: Array
    counts: Array
    repetitions: int

    most_cells = float(_MOST_CELLS)

    @classmethod
    def from_curve(cls, curve: Curve) -> Self:
        """Take members apart from the mean curve.

        Raises
        ------
        InputError
            If they are too many to be drawn again.
        """
        clusters = curve.clusters
        assert clusters is not None
        if clusters.size * curve.x.size > _MOST_CELLS:
            what = f"{clusters.size:,} {clusters.kind} at {curve.x.size:,} points are too many to be drawn again"
            raise InputError(what, hint="end the curve earlier with --x-max, or fit one run")
        sums, counts = _dense(clusters.sums), _dense(clusters.counts)
        # members lie closer to their own mean than to the law, by one degree of freedom
        spread = math.sqrt(clusters.size / max(clusters.size - 1.0, 1.0))
        return cls(clusters.kind, spread * (sums - counts * curve.y), counts, clusters.size)

    @property
    def unit(self) -> str:
        """What is repeated."""
        return self.kind

    def draw(self, template: Curve, mean: Array, rng: np.random.Generator) -> Curve:
        """Draw members and their mean about a law (n,)."""
        _check_cells(self.kind, self.repetitions, mean.size, self.most_cells)
        chosen = rng.integers(len(self.counts), size=self.repetitions)
        counts = self.counts[chosen]
        return with_clusters(template, Clusters(self.kind, mean * counts + self.deviations[chosen], counts))

    def at_places(self, place: Array) -> Self:
        """The same members at other points.

        Beyond the last point they deviate as they do at it: who was high stays high.
        """
        nearest = np.clip(np.rint(place).astype(np.int64), 0, self.counts.shape[1] - 1)
        return replace(self, deviations=self.deviations[:, nearest], counts=self.counts[:, nearest])

    def repeated(self, factor: float) -> Self:
        """More members."""
        return replace(self, repetitions=max(2, round(self.repetitions * factor)))


@dataclass(frozen=True)
class OutcomeScatter:
    """Patterns whose every presentation ends one way or the other.

    Attributes
    ----------
    repetitions : int
        Patterns.
    """

    repetitions: int

    unit = "patterns"
    most_cells = float(_MOST_OUTCOMES)

    def draw(self, template: Curve, mean: Array, rng: np.random.Generator) -> Curve:
        """Draw outcomes with probabilities (n,).

        Raises
        ------
        InputError
            If they are too many.
        """
        _check_cells("patterns", self.repetitions, mean.size, self.most_cells)
        hits = (rng.random((self.repetitions, mean.size)) < mean).astype(float)
        return with_clusters(template, Clusters("patterns", hits, np.ones_like(hits)))

    def at_places(self, place: Array) -> Self:
        """The same at other points: nothing depends on them."""
        return self

    def repeated(self, factor: float) -> Self:
        """More patterns."""
        return replace(self, repetitions=max(2, round(self.repetitions * factor)))


def _check_cells(kind: str, repetitions: int, points: int, most: float) -> None:
    if repetitions * points > 1.1 * most:  # counts are rounded where a log is made larger
        raise InputError(
            f"{repetitions:,} {kind} at {points:,} points are too many to be drawn", hint="ask for fewer of either"
        )


def _dense(part: Any) -> Array:
    return np.asarray(part.toarray() if hasattr(part, "toarray") else part, dtype=float)


def with_clusters(template: Curve, clusters: Clusters) -> Curve:
    """The mean curve of clusters, with these behind it."""
    total = np.asarray(clusters.counts.sum(axis=0), dtype=float).ravel()
    seen = total > 0
    safe = np.where(seen, total, 1.0)
    y = np.asarray(clusters.sums.sum(axis=0), dtype=float).ravel() / safe
    curve = replace(template, y=y, weights=safe / total[seen].mean(), counts=total, clusters=clusters)
    return curve if seen.all() else curve.take(seen)

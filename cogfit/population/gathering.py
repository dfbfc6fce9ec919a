"""Members brought together: who they are, where their points lie, what each says alone.

The points may lie in memory or in the parts of a Dask collection; the rest of the model does not see the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from cogfit.many.collection import Columns, from_table
from cogfit.population.blocks import Block, make_blocks
from cogfit.population.intake import Intake
from cogfit.population.members import Members, Roster, Window, members_of
from cogfit.population.model import Model
from cogfit.population.objective import InMemory, Parts
from cogfit.population.starts import OwnFits, fit_alone
from cogfit.population.task import MANY


@dataclass(frozen=True)
class Gathered:
    """Members brought together under one model.

    Attributes
    ----------
    roster : Roster
    parts : Parts
    own : OwnFits
    """

    roster: Roster
    parts: Parts
    own: OwnFits


class Gathering(Protocol):
    """A collection of members, wherever it lies."""

    @property
    def kind(self) -> str:
        """What a member is."""
        ...

    @property
    def covariates(self) -> Mapping[str, Any]:
        """Columns that a function takes by name."""
        ...

    def gather(self, model: Model, *, is_rough: bool) -> Gathered:
        """Bring the members together under a model.

        Their own fits may be rough where only a start is needed.
        """
        ...


@dataclass(frozen=True)
class MemoryGathering:
    """Members in memory.

    Attributes
    ----------
    intake : Intake
    """

    intake: Intake

    @property
    def kind(self) -> str:
        """What a member is."""
        return self.intake.kind

    @property
    def covariates(self) -> Mapping[str, Any]:
        """Columns that a function takes by name."""
        return self.intake.covariates

    def gather(self, model: Model, *, is_rough: bool) -> Gathered:
        """Bring the members together under a model.

        Their own fits may be rough where only a start is needed.
        """
        members = members_of(
            self.intake.collection,
            model.size,
            positive_x=model.positive_x,
            covariates=self.intake.covariates,
            window=self.intake.window,
        )
        own = fit_alone(model, members, is_rough=is_rough or len(members) > MANY)
        return Gathered(members.roster, InMemory(_blocks(model, members)), own)


def _blocks(model: Model, members: Members) -> list[Block]:
    """Points of members on the scale of the errors."""
    points = members.points
    if model.relative:
        with np.errstate(invalid="ignore", divide="ignore"):
            points = replace(points, y=np.log(points.y))
    return make_blocks(points, model.noise)


# --------------------------------------------------------------------------------------------------------- Dask


@dataclass(frozen=True)
class DaskGathering:
    """Members in the partitions of a Dask DataFrame.

    Every member is brought into one partition. The points stay where they are; what comes back of a member are a few
    small matrices.

    Attributes
    ----------
    table : dask.dataframe.DataFrame
    columns : Columns
    window : Window
    """

    table: Any
    columns: Columns
    window: Window = field(default_factory=Window)

    @property
    def kind(self) -> str:
        """What a member is."""
        return self.columns.by[-1]

    @property
    def covariates(self) -> Mapping[str, Any]:
        """There are none."""
        return {}

    def gather(self, model: Model, *, is_rough: bool) -> Gathered:
        """Bring the members together under a model.

        Their own fits may be rough where only a start is needed.
        """
        dask = _dask()
        self.columns.check([str(name) for name in self.table.columns])
        small = self.table[list(self.columns.names)].shuffle(on=list(self.columns.by))
        # the rectangles of a partition are made once, and kept where the scheduler keeps results
        loaded = [dask.delayed(_load)(part, self.columns, model, self.window) for part in small.to_delayed()]
        persisted = dask.persist(*loaded)
        answers = dask.compute(*[dask.delayed(_look)(part, model) for part in persisted])
        filled = [number for number, (roster, _) in enumerate(answers) if len(roster)]
        blocks = [dask.delayed(_blocks)(model, persisted[number]) for number in filled]
        rosters = [roster for roster, _ in answers]
        sizes = [len(rosters[number]) for number in filled]
        own = _joined_fits([answers[number][1] for number in filled], model)
        return Gathered(_joined_rosters(rosters), InPartitions(list(dask.persist(*blocks)), sizes), own)


def _dask() -> Any:
    """Dask, which is there where its tables are."""
    return import_module("dask")


def _load(table: Any, columns: Columns, model: Model, window: Window) -> Members:
    return members_of(from_table(table, columns), model.size, positive_x=model.positive_x, window=window)


def _look(members: Members, model: Model) -> tuple[Roster, OwnFits]:
    return members.roster, fit_alone(model, members, is_rough=True)


def _joined_rosters(rosters: Sequence[Roster]) -> Roster:
    """The members of all partitions, in order."""
    return Roster(
        names=tuple(name for roster in rosters for name in roster.names),
        n=np.concatenate([roster.n for roster in rosters]),
        left_out=tuple(pair for roster in rosters for pair in roster.left_out),
        notes=tuple(pair for roster in rosters for pair in roster.notes),
        n_dropped=sum(roster.n_dropped for roster in rosters),
        log_weights=sum(roster.log_weights for roster in rosters),
        log_values=sum(roster.log_values for roster in rosters),
        not_positive=tuple(name for roster in rosters for name in roster.not_positive),
        not_counted=tuple(name for roster in rosters for name in roster.not_counted),
    )


def _joined_fits(fits: Sequence[OwnFits], model: Model) -> OwnFits:
    """The members' own fits of all partitions."""
    empty = np.zeros((0, model.size))
    return OwnFits(
        np.concatenate([empty, *(fit.params for fit in fits)]),
        np.concatenate([empty, *(fit.stderr for fit in fits)]),
        np.concatenate([np.zeros(0, dtype=bool), *(fit.is_inside for fit in fits)]),
        sum(fit.rss for fit in fits),
        sum(fit.spare for fit in fits),
    )


@dataclass(frozen=True)
class InPartitions:
    """Members in the parts of a Dask collection.

    Attributes
    ----------
    blocks : sequence
        Of each part, delayed.
    sizes : sequence of int
        Members of each part.
    """

    blocks: Sequence[Any]
    sizes: Sequence[int]

    def run(self, task: Callable[..., Any], per_part: Sequence[Any], *shared: Any) -> list[Any]:
        """Run a task where each part lies."""
        dask = _dask()
        jobs = [
            dask.delayed(task, pure=False)(blocks, own, *shared)
            for blocks, own in zip(self.blocks, per_part, strict=True)
        ]
        return list(dask.compute(*jobs))

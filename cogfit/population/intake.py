"""Whatever comes in as curves of members."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.logs.model import Log
from cogfit.many.collection import Collection, Columns, from_arrays, from_log
from cogfit.population.members import Window, curves_of_table
from cogfit.records.given import missing_y, refused


class Weighting(NamedTuple):
    """What a point weighs: by weights, by numbers of trials, or like any other.

    Attributes
    ----------
    weights, trials : array_like, str or None
        Values, or the name of a column. One of them at the most.
    """

    weights: ArrayLike | str | None = None
    trials: ArrayLike | str | None = None

    @property
    def name(self) -> str:
        """Which of them there is."""
        return "weights" if self.trials is None else "trials"

    @property
    def given(self) -> ArrayLike | str | None:
        """Whichever there is."""
        return self.weights if self.trials is None else self.trials


@dataclass(frozen=True)
class Intake:
    """Curves of members.

    Attributes
    ----------
    collection : Collection
    kind : str
        What a member is.
    covariates : dict of str to ndarray
        In the order of the points.
    window : Window
    """

    collection: Collection
    kind: str
    covariates: dict[str, Array] = field(default_factory=dict)
    window: Window = field(default_factory=Window)


def take_in(
    data: Any,
    y: ArrayLike | str | None,
    by: str | Sequence[str] | None,
    x: str,
    weighting: Weighting,
    covariates: tuple[str, ...],
    window: Window,
) -> Intake:
    """Make curves of a log, a table or arrays.

    The arguments are those of :func:`cogfit.fit_population`.
    """
    names = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    if isinstance(data, Log):
        return replace(_from_log(data, y, names, weighting, covariates), window=window)
    if isinstance(data, str | os.PathLike):
        raise refused("data", data, "a population", "read it first: cogfit.read_log(path), or pandas for a table")
    if is_table(data):
        columns = named_columns(y, names, x, weighting)
        collection, values = curves_of_table(data, columns, covariates)
        return Intake(collection, columns.by[-1], values, window)
    return replace(_from_arrays(data, y, names, weighting, covariates), window=window)


def is_table(data: Any) -> bool:
    """Whether data have named columns, in memory or in parts."""
    return hasattr(data, "groupby") and hasattr(data, "columns")


def named_columns(y: ArrayLike | str | None, by: tuple[str, ...], x: str, weighting: Weighting) -> Columns:
    """Columns of a table by name."""
    weights, trials = weighting
    if not (isinstance(y, str | None) and isinstance(weights, str | None) and isinstance(trials, str | None)):
        raise InputError(f"`y` and `{weighting.name}` must name columns of the table")
    return Columns(by or ("subject",), x, y or "y", weights, trials)


def _from_log(log: Log, y: Any, by: tuple[str, ...], weighting: Weighting, covariates: tuple[str, ...]) -> Intake:
    if y is not None or weighting.given is not None or covariates:
        raise InputError(f"`y`, `{weighting.name}` and `covariates` go with arrays and tables, not with a log")
    if not by:
        raise InputError("`by` is missing", hint='say what a member is: by="run", "layer", "head" or "pattern"')
    return Intake(from_log(log, by), by[-1])


def _from_arrays(x: Any, y: Any, by: tuple[str, ...], weighting: Weighting, covariates: tuple[str, ...]) -> Intake:
    if y is None or isinstance(y, str):
        raise missing_y(x, "call cogfit.fit_population(x, Y) with Y of shape (members, points)")
    weights, trials = weighting
    if by or covariates or isinstance(weights, str) or isinstance(trials, str):
        raise InputError("names of columns go with a table, not with arrays")
    return Intake(from_arrays(x, y, weights, trials), "member")

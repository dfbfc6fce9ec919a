"""The settings of a run.

Of its task, model and training, and where they are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import Field

from cogfit.errors import InputError, nearest
from theory.models import ModelConfig, model_config
from theory.settings import Strict, read_toml
from theory.tasks.srcd import SRCD


class Training(Strict):
    """Settings of the loop.

    Attributes
    ----------
    steps : int
        Updates of the parameters.
    batch : int
        Streams per update.
    seed : int
        Draws initial parameters, streams, and the noise of routers.
    rate, slow_rate : float
        Learning rates of AdamW: of the task, and of what consolidates (semantic memory, q̂).
    weight_decay : float
        Of AdamW.
    clip : float
        Largest norm of the gradient.
    attend_until : int
        Steps at the beginning in which routers are overruled and every token attends.
    costs_from : int
        Step from which the routing costs count.
    costs_over : int
        Steps over which they then grow to their full weight, linearly; 0: at once.
    dynamics_weight : float
        Weight of the squared error of the dynamics, beside the cross-entropy of the answers.
    evaluate_every, evaluation_streams : int
        Steps between evaluations, and streams in each (always the same ones).
    final_streams : int
        Streams on which the trained model is measured once more, at the end.
    checkpoint_every : int
        Steps between checkpoints.
    routing_every : int
        Steps between rows of the routing log; 0: no routing log. Exposures are counted in all steps.
    log_every : int
        Steps between rows of the utilisation log; what is logged is not computed in the others.
    """

    steps: int = Field(3000, ge=1)
    batch: int = Field(16, ge=1)
    seed: int = Field(0, ge=0, lt=2**31)
    rate: float = Field(3e-3, gt=0)
    slow_rate: float = Field(3e-4, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(1.0, gt=0)
    attend_until: int = Field(400, ge=0)
    costs_from: int = Field(400, ge=0)
    costs_over: int = Field(0, ge=0)
    dynamics_weight: float = Field(1.0, ge=0)
    evaluate_every: int = Field(100, ge=1)
    evaluation_streams: int = Field(64, ge=1)
    final_streams: int = Field(2048, ge=1)
    checkpoint_every: int = Field(500, ge=1)
    routing_every: int = Field(1, ge=0)
    log_every: int = Field(1, ge=1)

    def is_observed(self, step: int) -> bool:
        """Whether a log has a row for a step.

        Examples
        --------
        >>> [step for step in range(9) if Training(log_every=4, routing_every=3).is_observed(step)]
        [0, 3, 4, 6, 8]
        """
        has_routing = self.routing_every > 0 and step % self.routing_every == 0
        return has_routing or step % self.log_every == 0

    def evaluated_steps(self, until: int) -> list[int]:
        """Numbers of steps after which a model is evaluated.

        Examples
        --------
        >>> Training(steps=9, evaluate_every=4).evaluated_steps(9)
        [4, 8, 9]
        """
        regular = list(range(self.evaluate_every, min(until, self.steps) + 1, self.evaluate_every))
        return regular + [self.steps] * (until >= self.steps and self.steps % self.evaluate_every != 0)

    def cost_weight(self, step: int) -> float:
        """Weight of the routing costs in a step.

        0 to 1.

        Examples
        --------
        >>> [Training(costs_from=10, costs_over=4).cost_weight(step) for step in (9, 10, 12, 20)]
        [0.0, 0.25, 0.75, 1.0]
        """
        since = step - self.costs_from + 1
        return 0.0 if since < 1 else min(1.0, since / self.costs_over) if self.costs_over else 1.0


class Transfer(Strict):
    """Settings of a transfer.

    For a model that does not begin from random parameters.

    A part is named as in ``Model.state_dict``, without the number of its layer: "semantic", "router", "answer", …

    Attributes
    ----------
    source : str
        Folder of the finished run whose weights it begins with.
    freeze : list of str
        Parts that do not learn.
    fresh : list of str
        Parts that begin from random parameters all the same.
    """

    source: str
    freeze: list[str] = Field(default_factory=list)
    fresh: list[str] = Field(default_factory=list)


@dataclass(frozen=True)
class Setup:
    """What a run is made from.

    A task, a model for it, how it is trained, and where it begins unless at random.
    """

    data: SRCD
    model: ModelConfig
    training: Training
    transfer: Transfer | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-ready mapping of the groups of settings."""
        groups = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: group.to_json() for name, group in groups.items() if group is not None}


_GROUPS = {"data": "length", "model": "d_model", "training": "steps", "transfer": "source"}
"""The groups of settings, each with one of its settings as an example."""


def make_setup(tables: Mapping[str, Any], *, path: str | Path | None = None) -> Setup:
    """Settings from mappings.

    ``data``, ``model``, ``training`` and ``transfer``; only the model is needed.

    Raises
    ------
    InputError
        If anything is unknown or out of range.

    Examples
    --------
    >>> make_setup({"model": {"kind": "mamba"}, "training": {"steps": 10}}).training.steps
    10
    """
    if not isinstance(tables, Mapping):  # a damaged run.json
        raise InputError(f"its settings cannot be {tables!r:.60}", path=path, hint="they are tables by name")
    for name, content in tables.items():
        if name not in _GROUPS or not isinstance(content, Mapping):
            raise InputError(
                f"'{name}' is no table of a configuration",
                path=path,
                hint="use [data], [model], [training] and [transfer]",
            )
    return Setup(
        SRCD.parse(tables.get("data", {}), path=path),
        model_config(tables.get("model", {}), path=path),
        Training.parse(tables.get("training", {}), path=path),
        Transfer.parse(tables["transfer"], path=path) if "transfer" in tables else None,
    )


def load_setup(source: str | Path, changes: Mapping[str, Any] | None = None) -> Setup:
    """Read a configuration, and change some of its settings.

    Parameters
    ----------
    source : str or Path
        A TOML file with tables ``[data]``, ``[model]``, ``[training]`` and ``[transfer]``, or the name of one that
        ships with the package (:func:`theory.settings.shipped`).
    changes : mapping of str to value, optional
        New values by dotted name, such as ``{"training.steps": 100}``.

    Raises
    ------
    InputError
        If it cannot be read, or anything in it is unknown or out of range.

    Examples
    --------
    >>> load_setup("jamba").model.layers
    8
    >>> load_setup("cram-n256", {"training.seed": 3, "data.zipf": 1.5}).data.zipf
    1.5
    """
    tables, path = read_toml(source)
    for name, value in (changes or {}).items():
        group, _, setting = name.partition(".")
        if group not in _GROUPS:
            raise InputError(
                f"'{name}' is no setting", hint=nearest(group, _GROUPS) + "; settings are named such as training.steps"
            )
        if not setting:
            raise InputError(f"'{name}' is no setting", hint=f"{group} has settings such as {group}.{_GROUPS[group]}")
        table = tables.setdefault(group, {})
        if isinstance(table, dict):
            table[setting] = value
    return make_setup(tables, path=path)

"""The kinds of model.

A new kind is a file with its settings (a subclass of :class:`~theory.models.base.ModelConfig`) and a function that
makes its layers, and one line in :data:`_LIST`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cogfit.errors import InputError, nearest
from theory.models import cram, fast_weights, linear_attention, retention, seqboat, ssm, transformer, transmamba
from theory.models.base import Layer, Model, ModelConfig
from theory.tasks.srcd import SRCD


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    Attributes
    ----------
    name, title : str
        Identifier and name in words.
    config : type
        Its settings.
    layers : callable
        ``layers(config, task) -> list of Layer``.
    routing : str
        What decides where attention is executed, in words.
    """

    name: str
    title: str
    config: type[ModelConfig]
    layers: Callable[[Any, SRCD], Sequence[Layer]]
    routing: str


_LIST = (
    Kind("cram", "CRAM", cram.CramConfig, cram.layers, "a learned router with a memory that consolidates"),
    Kind(
        "fast_weights", "fast weights", fast_weights.FastWeightConfig, fast_weights.layers, "as CRAM, within a stream"
    ),
    Kind(
        "gated_deltanet",
        "gated DeltaNet",
        linear_attention.GatedDeltaNetConfig,
        linear_attention.layers,
        "never, or every token in one layer of ratio + 1",
    ),
    Kind(
        "gla",
        "gated linear attention",
        linear_attention.GLAConfig,
        linear_attention.layers,
        "never, or every token in one layer of ratio + 1",
    ),
    Kind(
        "hgrn2",
        "HGRN-2",
        linear_attention.HGRN2Config,
        linear_attention.layers,
        "never, or every token in one layer of ratio + 1",
    ),
    Kind("jamba", "Jamba-like hybrid", ssm.JambaConfig, ssm.jamba, "every token, in one layer of eight"),
    Kind("mamba", "Mamba-like", ssm.MambaConfig, ssm.mamba, "never"),
    Kind(
        "retention", "Adaptive Retention", retention.RetentionConfig, retention.layers, "the M best by a learned score"
    ),
    Kind("seqboat", "SeqBoat-like", seqboat.SeqBoatConfig, seqboat.layers, "a learned gate on the recurrent state"),
    Kind(
        "transformer", "Transformer", transformer.TransformerConfig, transformer.layers, "every token, in every layer"
    ),
    Kind("transmamba", "TransMamba-like", transmamba.TransMambaConfig, transmamba.layers, "up to a position per layer"),
)


def kinds() -> dict[str, Kind]:
    """All kinds of model by name.

    Examples
    --------
    >>> kinds()["mamba"].routing
    'never'
    """
    return {kind.name: kind for kind in _LIST}


def model_config(fields: Mapping[str, Any], *, path: str | Path | None = None) -> ModelConfig:
    """Settings of a model from a mapping with its ``kind``.

    Raises
    ------
    InputError
        If the kind is missing or unknown, or a setting is refused.

    Examples
    --------
    >>> model_config({"kind": "transformer", "heads": 2}).heads
    2
    """
    name = fields.get("kind")
    if not isinstance(name, str) or name not in kinds():
        what = "the model has no 'kind'" if name is None else f"there is no model of kind {name!r}"
        raise InputError(what, path=path, hint=nearest(str(name or ""), kinds()))
    return kinds()[name].config.parse(fields, path=path)


def build(config: ModelConfig, task: SRCD, seed: int) -> Model:
    """Build a model with parameters drawn from a seed.

    The global random state is left as it was.

    Parameters
    ----------
    config : ModelConfig
    task : SRCD
    seed : int

    Returns
    -------
    Model
        On the CPU, in training mode.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Model(config, task, kinds()[config.kind].layers(config, task))

"""Models that are trained on SRCD.

One common skeleton, one file per kind of layer, a registry.

Everything here needs torch; nothing outside of this folder, training and ensembles does.

>>> from theory.models import build, model_config
>>> from theory.tasks.srcd import SRCD
>>> model = build(model_config({"kind": "cram"}), SRCD(length=256), seed=0)
>>> type(model.layers[0]).__name__
'CramLayer'
"""

from __future__ import annotations

from cogfit.errors import MissingDependencyError

try:
    import torch as _  # noqa: F401
except ImportError:
    raise MissingDependencyError("torch", "train", "theory.models") from None

from theory.models.base import BRANCHES, Model, ModelConfig, Output
from theory.models.registry import Kind, build, kinds, model_config
from theory.models.sampler import Sampler, to_torch

__all__ = [
    "BRANCHES",
    "Kind",
    "Model",
    "ModelConfig",
    "Output",
    "Sampler",
    "build",
    "kinds",
    "model_config",
    "to_torch",
]

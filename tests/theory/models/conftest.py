"""Small models of every kind, with routers that do not send all tokens the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from theory.models import Model, Sampler, build, model_config
from theory.models.cram import Router
from theory.models.seqboat import SeqBoatLayer
from theory.tasks.srcd import SRCD, Batch

torch.set_num_threads(1)

TASK = SRCD(length=64, query_fraction=0.1, patterns=8, novel_keys=16, values=4)

VARIANTS: dict[str, dict[str, Any]] = {
    "cram": {"kind": "cram", "layers": 2, "heads": 2, "semantic_rank": 8},
    "cram-queries": {"kind": "cram", "routes": "queries", "semantic_rank": 8, "capacity": 9},
    "cram-no-router": {"kind": "cram", "router": "none", "semantic_rank": 8},
    "cram-no-ode": {"kind": "cram", "euler_steps": 0, "semantic_rank": 8, "compute": "fast"},
    "mamba-fast": {"kind": "mamba", "state": 4, "compute": "fast"},
    "retention-fast": {"kind": "retention", "budget": 0.2, "compute": "fast"},
    "cram-state": {"kind": "cram", "router": "state", "semantic_rank": 8, "semantic_from_task": True},
    "cram-newest": {"kind": "cram", "capacity": 5, "write": "novel", "semantic_rank": 8},
    "cram-novel": {"kind": "cram", "capacity": 5, "write": "all", "evict": "least_novel", "semantic_rank": 8},
    "cram-no-consolidation": {"kind": "cram", "consolidation": False},
    "fast-weights": {"kind": "fast_weights", "chunk": 16},
    "fast-weights-all": {"kind": "fast_weights", "chunk": 24, "write": "all"},
    "gated-deltanet": {"kind": "gated_deltanet", "layers": 2},
    "gated-deltanet-hybrid": {"kind": "gated_deltanet", "layers": 3, "ratio": 2},
    "gla": {"kind": "gla", "layers": 2, "rank": 4},
    "hgrn2": {"kind": "hgrn2", "layers": 2},
    "hgrn2-hybrid": {"kind": "hgrn2", "layers": 2, "ratio": 1},
    "jamba": {"kind": "jamba", "layers": 3, "period": 3, "place": 1, "state": 4},
    "mamba": {"kind": "mamba", "state": 4},
    "retention": {"kind": "retention", "budget": 0.2},
    "seqboat": {"kind": "seqboat", "state": 4, "window": 6},
    "transformer": {"kind": "transformer"},
    "transmamba": {"kind": "transmamba", "layers": 3, "switch": [0.0, 0.4, 1.0]},
}
"""All kinds and what differs within them. Offline retention, which looks into the future, has tests of its own."""

Make = Callable[..., Model]


def mixed(model: Model, batch: Batch[Tensor]) -> Model:
    """Make what decides steeper and centre it, so that every option is taken by some tokens."""
    finals: list[nn.Linear] = [m.body[-1] for m in model.modules() if isinstance(m, Router) and m.body is not None]
    finals += [m.gate for m in model.modules() if isinstance(m, SeqBoatLayer)]

    def centre(module: nn.Module, _: Any, logits: Tensor) -> None:
        module.bias -= logits.flatten(0, -2).mean(0)

    with torch.no_grad():
        for final in finals:
            final.weight *= 20
        for attend_all in (True, False):  # the second time, with what the first has changed upstream
            hooks = [final.register_forward_hook(centre) for final in finals]
            model.eval()(batch.tokens, attend_all=attend_all)
            for hook in hooks:
                hook.remove()
    return model.train()


@pytest.fixture(scope="session", params=sorted(VARIANTS))
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def task() -> SRCD:
    return TASK


@pytest.fixture(scope="session")
def make() -> Make:
    """``make(variant, seed=0, **settings)``: a model of width 16 for the small task."""

    def make(variant: str, seed: int = 0, **settings: Any) -> Model:
        fields = {"d_model": 16, **VARIANTS.get(variant, {"kind": variant}), **settings}
        return mixed(build(model_config(fields), TASK, seed), Sampler(TASK, seed).sample(4))

    return make

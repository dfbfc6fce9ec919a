"""Evaluate trained models.

Accuracy, dynamics, attention and routing on streams that a model was not trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from theory.models import BRANCHES, Model, Output, Sampler
from theory.tasks.srcd import SRCD, Batch
from theory.training.divergence import check_predictions

_SEMANTIC = BRANCHES.index("semantic")
EVALUATION_SEED = 2**31
"""Streams of evaluations: added to the seed of a run, so that no run trains on them."""

FINAL_SEED = 2**32
"""Streams of the last evaluation: the same for all runs of a task."""


@dataclass(frozen=True)
class Measures:
    """A model on new streams, with hard decisions.

    Streams that it was not trained on. NaN where there is nothing to measure.

    Attributes
    ----------
    accuracy, accuracy_recurring, accuracy_novel : float
        Share of right answers: of all queries, of those for recurring and for novel keys.
    dynamics_mse : float
        Mean squared error of the prediction of v_t; at best σ².
    attention : float
        Executed attention rows as a share of tokens × layers.
    attended_recurring, attended_novel, attended_other : float
        Share of queries for recurring and novel keys, and of the other tokens, that attend in any layer.
    semantic_recurring : float
        Share of queries for recurring keys that take the semantic branch in any layer.
    quality_recurring, quality_novel : float
        Mean predicted quality q̂ at queries.
    """

    accuracy: float
    accuracy_recurring: float
    accuracy_novel: float
    dynamics_mse: float
    attention: float
    attended_recurring: float
    attended_novel: float
    attended_other: float
    semantic_recurring: float
    quality_recurring: float
    quality_novel: float


@torch.no_grad()
def evaluate(
    model: Model,
    task: SRCD,
    *,
    streams: int = 64,
    seed: int = EVALUATION_SEED,
    device: str | torch.device = "cpu",
    attend_all: bool = False,
    table: NDArray[np.int64] | None = None,
) -> Measures:
    """Measure a model on fresh streams.

    Parameters
    ----------
    model : Model
        It is left in the mode that it was in.
    task : SRCD
    streams : int
    seed : int
    device : str or torch.device
        Where the model is.
    attend_all : bool
        Whether its routers are overruled.
    table : ndarray of int, shape (K,), optional
        Values of the recurring keys, where they change in training. Default: those of its first batch.

    Returns
    -------
    Measures

    Raises
    ------
    Diverged
        If predictions of the model are not finite.
    """
    sampler = Sampler(task, seed, device, table=task.fixed_table() if table is None else table)
    was = model.training
    model.eval()
    sums: dict[str, NDArray[np.float64]] = {}
    try:
        at_once = max(1, min(streams, 2**14 // task.length))
        for begin in range(0, streams, at_once):
            batch = sampler.sample(min(at_once, streams - begin))
            output = model(batch.tokens, attend_all=attend_all)
            check_predictions(output)
            for name, part in _sums(output, batch).items():
                sums[name] = sums.get(name, np.zeros(2)) + part
    finally:
        model.train(was)
    with np.errstate(invalid="ignore"):
        return Measures(**{name: float(total / count) for name, (total, count) in sums.items()})


def _sums(output: Output, batch: Batch[Tensor]) -> dict[str, NDArray[np.float64]]:
    """Sum and count of every measure over a batch."""
    query, recurring = batch.answer > 0, batch.pattern > 0
    right, attended = output.correct(batch), output.executed.any(-1)
    semantic = (output.routing == _SEMANTIC).any(-1)
    quality = torch.full_like(output.dynamics, torch.nan) if output.quality is None else output.quality.mean(-1)
    parts = {
        "accuracy": (right, query),
        "accuracy_recurring": (right, recurring),
        "accuracy_novel": (right, query & ~recurring),
        "dynamics_mse": ((output.dynamics - batch.target).square(), torch.ones_like(query)),
        "attention": (output.executed, torch.ones_like(output.executed)),
        "attended_recurring": (attended, recurring),
        "attended_novel": (attended, query & ~recurring),
        "attended_other": (attended, ~query),
        "semantic_recurring": (semantic, recurring),
        "quality_recurring": (quality, recurring),
        "quality_novel": (quality, query & ~recurring),
    }
    return {
        name: np.array([float(value[where].double().sum()), float(where.sum())])
        for name, (value, where) in parts.items()
    }

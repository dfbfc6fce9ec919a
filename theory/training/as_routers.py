"""Trained models as routers on the retrieval stream.

What T1, T2 and T3 are tested on.

Streams with fresh tables only: a value of a recurring key means nothing in the next stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cogfit.errors import InputError
from theory.models import Model, Sampler
from theory.tasks.retrieval import Run, exposures
from theory.tasks.srcd import SRCD, Batch

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


@torch.no_grad()
def play(
    model: Model, task: SRCD, *, streams: int, seed: int = 0, device: str | torch.device = "cpu"
) -> tuple[Run, Booleans]:
    """Let a model answer streams, with hard decisions.

    A token attends if it executes a row in any layer.

    Parameters
    ----------
    model : Model
        It is left in the mode that it was in.
    task : SRCD
    streams, seed : int
    device : str or torch.device
        Where the model is.

    Returns
    -------
    run : theory.tasks.retrieval.Run
        Over all N tokens. ``unrevealed``: a query for a key that no query before it attended to.
    other : ndarray of bool, shape (streams, N)
        Tokens that attend and are no queries.

    Examples
    --------
    >>> from theory.models import build, model_config
    >>> task = SRCD(length=32, patterns=4, novel_keys=8)
    >>> run, other = play(build(model_config({"kind": "mamba"}), task, 0), task, streams=3)
    >>> bool(run.attended.any() or other.any()), run.charge(task.values).shape
    (False, (3,))
    """
    was, parts = model.training, []
    model.eval()
    try:
        for batch in _batches(Sampler(task, seed, device), streams, task.length):
            output = model(batch.tokens)
            right, attended = output.correct(batch), output.executed.any(-1)
            query = batch.answer > 0
            key = torch.where(query, batch.tokens.key, 0)
            parts.append([_numpy(x) for x in (key, attended & query, query & ~attended & ~right, attended & ~query)])
    finally:
        model.train(was)
    keys, attends, error, other = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Run(keys, attends, error, unrevealed(keys, attends), (keys > 0) & (exposures(keys) == 0)), other


def _batches(sampler: Sampler, streams: int, length: int) -> Iterator[Batch[Tensor]]:
    at_once = max(1, 2**15 // length)
    for begin in range(0, streams, at_once):
        yield sampler.sample(min(at_once, streams - begin))


def _numpy(x: Tensor) -> NDArray[Any]:
    return np.asarray(x.cpu().numpy())


def unrevealed(key: NDArray[np.int64], attended: Booleans) -> Booleans:
    """Queries for a key not attended to before.

    By no query before them.

    Examples
    --------
    >>> unrevealed(np.array([[1, 2, 1, 0, 1, 2]]), np.array([[False, True, True, False, False, False]])).astype(int)
    array([[1, 1, 1, 0, 0, 0]])
    """
    shown = np.zeros((len(key), int(key.max(initial=0)) + 1), bool)
    rows = np.arange(len(key))
    out = np.zeros(key.shape, bool)
    for t in range(key.shape[1]):
        z = key[:, t]
        out[:, t] = (z > 0) & ~shown[rows, z]
        shown[rows, z] |= attended[:, t]
    return out


def first_charges(run: Run, other: Booleans, values: int) -> Floats:
    """Mean cost of the *first* queries for each key.

    A + V/(V−1)·err in a stream; E ≥ 1 for every learner (T3 (a)).

    No attention has shown the value by then. Rows of attention at tokens that are no queries might have: a first query
    after one counts as 1.

    Returns
    -------
    ndarray of float, shape (streams with a query,)
        Between 0 and V/(V−1).

    Raises
    ------
    InputError
        If no stream has a query.
    """
    n = run.queries.shape[1]
    position = np.full((len(run.queries), int(run.queries.max(initial=0)) + 1), n)
    stream, t = np.nonzero(run.queries)
    np.minimum.at(position, (stream, run.queries[stream, t]), t)
    stream, key = np.nonzero(position < n)
    if not stream.size:
        raise InputError("no stream has a query")
    t = position[stream, key]
    spoiled = (np.cumsum(other, 1) > 0)[stream, t]
    charge = np.where(spoiled, 1.0, run.attended[stream, t] + values / (values - 1) * run.error[stream, t])
    count = np.bincount(stream, minlength=len(run.queries))
    total = np.bincount(stream, charge, minlength=len(run.queries))
    return total[count > 0] / count[count > 0]


def attention_and_errors(run: Run, patterns: int) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Shares a_k and e_k of T2 for each key.

    Of the queries for each recurring key: with attention, and without it and wrong.

    Returns
    -------
    a, e : ndarray of float, shape (K,)
        NaN for keys that were not asked for.
    count : ndarray of int, shape (K,)
    """
    keys = run.queries.ravel()
    count, attended, error = (
        np.bincount(keys, weight, minlength=patterns + 1)[1 : patterns + 1]
        for weight in (None, run.attended.ravel(), run.error.ravel())
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return attended / count, error / count, count.astype(np.int64)

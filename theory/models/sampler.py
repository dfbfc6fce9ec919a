"""SRCD drawn on the device that trains.

The same composition as in numpy, other random numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from theory.tasks.srcd import SRCD, Batch, Draws, Tokens, compose, widths


class Sampler:
    """Streams of a task, drawn on a device.

    In single precision.

    Parameters
    ----------
    task : SRCD
    seed : int
    device : str or torch.device
    table : ndarray of int, shape (K,), optional
        Values of the recurring keys in all batches. Default: those that the task has for each.

    Attributes
    ----------
    generator : torch.Generator
        Its state, and how many batches were drawn, is all that a sampler remembers.

    Examples
    --------
    >>> batch = Sampler(SRCD(length=64), seed=0).sample(8)
    >>> batch.tokens.signal.shape, int((batch.answer > 0).sum())
    (torch.Size([8, 64]), 24)
    """

    def __init__(
        self,
        task: SRCD,
        seed: int,
        device: str | torch.device = "cpu",
        *,
        table: NDArray[np.int64] | None = None,
    ) -> None:
        self.task, self.device = task, torch.device(device)
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self._frequencies = torch.as_tensor(task.frequencies(), dtype=torch.float32, device=self.device)
        own = (values for values, _ in task.tables())
        self._tables: Iterator[NDArray[np.int64]] = own if table is None else itertools.repeat(table)

    def skip(self, batches: int) -> None:
        """Pass over the tables of batches that were drawn before."""
        if self.task.redraw:
            next(itertools.islice(self._tables, batches, batches), None)

    def sample(self, size: int) -> Batch[Tensor]:
        """Draw streams.

        Parameters
        ----------
        size : int
            Streams, B.

        Returns
        -------
        Batch of Tensor, shape (B, N)
        """
        place: dict[str, Any] = {"generator": self.generator, "device": self.device}
        draws = Draws(
            **{name: torch.rand((size, width), **place) for name, width in widths(self.task).items()},
            noise=torch.randn((size, self.task.length), **place),
        )
        fixed = torch.as_tensor(next(self._tables), device=self.device)
        return compose(torch, self.task, draws, self._frequencies, fixed)


def to_torch(batch: Batch[Any], device: str | torch.device = "cpu") -> Batch[Tensor]:
    """A batch of numpy arrays as tensors, in single precision."""

    def move(part: Any) -> dict[str, Tensor]:
        copies = {f.name: getattr(part, f.name) for f in fields(part) if f.name != "tokens"}
        tensors = {name: torch.as_tensor(array, device=device) for name, array in copies.items()}
        return {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}

    return Batch(tokens=Tokens(**move(batch.tokens)), **move(batch))

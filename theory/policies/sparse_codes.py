"""Sparsey: associations written once, as sparse codes, into a memory of bits.

Superposed episodic and semantic memory (Rinkus & Leveille, arXiv 1710.07829), and the code selection algorithm of
Rinkus 2014, Front. Comput. Neurosci. 8:160.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cogfit.errors import InputError
from theory.policies.parameters import Range
from theory.policies.policy import Policy
from theory.policies.streams import LONGEST, Array, Vectors

# A winner is drawn by 1 + (η − 1)·σ(φ(u − θ)), where η = 1 + ζK·max(0, (G − G₀)/(1 − G₀))²: φ, θ, ζ and G₀.
_STEEPNESS, _MIDDLE, _EXPANSION, _FLOOR = 20.0, 0.5, 100.0, 0.3


def familiarity(support: Array) -> Array:
    """G: mean over modules of the best support.

    Parameters
    ----------
    support : ndarray, shape (..., Q, K)
        u, the share of the active inputs that each cell is connected with.

    Returns
    -------
    ndarray, shape (...)

    Examples
    --------
    >>> float(familiarity(np.array([[1.0, 0.0], [0.5, 0.25]])))
    0.75
    """
    return np.asarray(support.max(-1).mean(-1))


def choose_cells(support: Array, draws: Array) -> Array:
    """Choose one cell per module by support.

    The more familiar the input, the surer the choice: an unknown input gets a random code, a known one the code that it
    had, one in between a code that shares cells.

    Parameters
    ----------
    support : ndarray, shape (..., Q, K)
    draws : ndarray, shape (..., Q)
        Uniform numbers.

    Returns
    -------
    ndarray of int, shape (..., Q)
    """
    known = np.maximum(0, (familiarity(support) - _FLOOR) / (1 - _FLOOR)) ** 2
    raised = _EXPANSION * support.shape[-1] * known[..., None, None]
    odds = 1 + raised / (1 + np.exp(-_STEEPNESS * (support - _MIDDLE)))
    passed = odds.cumsum(-1) / odds.sum(-1, keepdims=True) <= draws[..., None]
    return np.asarray(np.minimum(passed.sum(-1), support.shape[-1] - 1))


@dataclass
class Sparsey(Policy):
    """Sparsey: a coding field of competitive modules, with binary weights.

    A shown value is written at once: inputs that are active and the cells that are chosen for them, one per module, are
    connected, and these cells with the value. A query takes the best supported cells; they vote for values. Weights are
    never weakened. The field has as many cells as the budget.

    Attributes
    ----------
    units : int
        Cells of a module, at most the tokens of a stream.
    inputs, active : int
        Input lines, and how many of them a key activates.
    """

    RANGES: ClassVar[Mapping[str, Range]] = {
        "units": Range(2, LONGEST, in_stream=True),
        "inputs": Range(2, 1024),
        "active": Range(1, 1024),
    }

    units: int = 8
    inputs: int = 256
    active: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.active >= self.inputs:
            raise InputError(f"{self.active} active inputs of {self.inputs}", hint="use fewer than there are")

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Start without connections."""
        super().begin(seen, budget, rng, training)
        size = seen.shape[0]
        self._modules = max(1, budget // self.units)
        cells = self._modules * self.units
        self._query, self._key = (self._lines(x) for x in (seen.query, seen.key))
        self._into = np.zeros((size, self.inputs, cells), bool)
        self._out = np.zeros((size, cells, len(seen.codes)), bool)
        self._rows = np.arange(size)[:, None]

    def _lines(self, x: Array) -> Array:
        """Active input lines of each token, (B, N, active).

        The largest of random projections.
        """
        size, heads, length, d = x.shape
        projection = np.random.default_rng([0, 19]).standard_normal((heads * (d - 1), self.inputs)).astype(np.float32)
        raised = np.moveaxis(x[..., :-1], 1, 2).reshape(size, length, -1) @ projection
        return np.asarray(np.argpartition(-raised, self.active - 1, axis=2)[:, :, : self.active])

    def _support(self, lines: Array) -> Array:
        """u, (B, Q, K)."""
        share = self._into[self._rows, lines].mean(1, dtype=np.float32)
        return np.asarray(share.reshape(len(lines), self._modules, self.units))

    def _cells(self, winners: Array) -> Array:
        return np.asarray(winners + np.arange(self._modules) * self.units)

    def kept(self, t: int) -> Array | None:
        """No token."""
        return np.zeros((1, 1, t), bool)

    def recall(self, t: int) -> Array | None:
        """Let the best supported cells vote."""
        cells = self._cells(self._support(self._query[:, t]).argmax(2))
        votes = self._out[self._rows, cells].mean(1, dtype=np.float32)
        return np.asarray(votes @ self.seen.codes)

    def observe(self, t: int, weights: Array, output: Array) -> None:
        """Write the token in one trial.

        Where it shows a value.
        """
        value, lines = self.seen.value[:, t], self._key[:, t]
        draws = self.rng.random((len(value), self._modules))  # as many whatever is shown
        shown = np.flatnonzero(np.abs(value).max(1) > 0)
        if not shown.size:
            return
        cells = self._cells(choose_cells(self._support(lines), draws))
        symbol = (value @ self.seen.codes.T).argmax(1)
        self._into[shown[:, None, None], lines[shown][:, :, None], cells[shown][:, None]] = True
        self._out[shown[:, None], cells[shown], symbol[shown][:, None]] = True

    def carried(self) -> dict[str, Array]:
        """Connections into the field and out of it."""
        return {"into": self._into, "out": self._out}

    def memory_bits(self) -> float:
        """One bit a connection."""
        return float(self._into[0].size + self._out[0].size)

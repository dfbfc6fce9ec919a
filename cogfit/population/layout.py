"""Parameters of the population as one vector.

Means of the coordinates, a triangular factor of the covariance of the deviations, and the logarithm of the residual
standard deviation, unless counts fix it. The factor may be singular: a parameter may not differ between members at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cogfit.formulas.form import Array


class Population(NamedTuple):
    """Parameters of one population, or of k (a leading axis).

    Attributes
    ----------
    mean : ndarray, shape (…, p)
        Means of the coordinates.
    factor : ndarray, shape (…, q, q)
        Lower triangle Λ: deviations are Λu with independent standard normal u.
    log_sigma : ndarray, shape (…,)
        0 where the errors are those of counts.
    """

    mean: Array
    factor: Array
    log_sigma: Array


@dataclass(frozen=True)
class Layout:
    """Where the parameters of a population stand in a vector.

    Attributes
    ----------
    p, q : int
        Parameters of a member, and those that differ between members.
    is_full : bool
        Whether deviations may be correlated.
    has_sigma : bool
        Whether the size of the errors is a parameter; that of counts is known.
    """

    p: int
    q: int
    is_full: bool
    has_sigma: bool = True

    @cached_property
    def _places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows, columns = np.tril_indices(self.q)
        keep = rows >= columns if self.is_full else rows == columns
        return rows[keep].astype(np.int64), columns[keep].astype(np.int64)

    @property
    def n_covariances(self) -> int:
        """Entries of the factor."""
        return int(self._places[0].size)

    @property
    def size(self) -> int:
        """Length of the vector."""
        return self.p + self.n_covariances + int(self.has_sigma)

    @property
    def entries(self) -> slice:
        """Where the entries of the factor stand."""
        return slice(self.p, self.p + self.n_covariances)

    @property
    def spread(self) -> int:
        """Place of the standard deviation of the first random parameter."""
        return self.p

    @property
    def rows(self) -> NDArray[np.int64]:
        """Random parameter that each entry of the factor belongs to."""
        return self._places[0]

    def unpack(self, theta: Array) -> Population:
        """Read vectors (…, size)."""
        factor = np.zeros((*theta.shape[:-1], self.q, self.q))
        factor[..., self._places[0], self._places[1]] = theta[..., self.entries]
        log_sigma = theta[..., -1] if self.has_sigma else np.zeros(theta.shape[:-1])
        return Population(theta[..., : self.p], factor, log_sigma)

    def pack(self, mean: Array, factor: Array, log_sigma: float) -> Array:
        """Inverse of :meth:`unpack` for one population."""
        return self.joined(mean, self.pack_factor(factor), log_sigma)

    def joined(self, mean: Array, entries: Array, log_sigma: float) -> Array:
        """Join means, entries and log σ into a vector."""
        return np.concatenate([mean, entries, [log_sigma] if self.has_sigma else []])

    def pack_factor(self, factor: Array) -> Array:
        """Entries of a factor, or of a derivative by it."""
        return np.asarray(factor[self._places], dtype=float)


def inverse_of(matrix: Array) -> Array:
    """Inverse of a covariance or information, in any units.

    Directions without information are left out; sizes are divided out first, so that units do not decide which.
    """
    size = np.sqrt(np.maximum(np.abs(np.diag(matrix)), 1e-300))
    scale = np.outer(size, size)
    return np.asarray(np.linalg.pinv(matrix / scale, hermitian=True) / scale)

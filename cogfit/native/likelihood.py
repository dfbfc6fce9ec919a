"""Maximum likelihood of built-in forms under log-normal and binomial noise.

One curve at a time. The coordinates are those of `likelihood.h`: plain (amplitudes, non-linear parameters, floor) or
those of a probability curve (u, ρ, non-linear parameters).
"""

from __future__ import annotations

from ctypes import c_double, c_int64, c_void_p
from dataclasses import dataclass
from typing import Any

import numpy as np

from cogfit.native.arrays import Array, address
from cogfit.native.kernels import Filter, Model
from cogfit.native.library import kernel

NOISES = ("lognormal", "binomial")
"""Noise models by their numbers in the kernels."""

_ROWS = 19  # rows of points that a kernel needs as its workspace
_WIDEST = 8  # doubles in a vector, at the most

_LIKELIHOOD = (*(c_int64,) * 8, *(c_void_p,) * 4, c_int64, *(c_void_p,) * 3)

_residuals = kernel("likelihood_residuals", *_LIKELIHOOD, *(c_void_p,) * 4)
_descend = kernel(
    "likelihood_descend", *_LIKELIHOOD, c_void_p, c_void_p, c_double, c_double, c_int64, c_int64, *(c_void_p,) * 3
)


@dataclass(frozen=True)
class Likelihood:
    """A form, a curve and a noise model.

    Attributes
    ----------
    model : Model
        Its bits `logs` say which non-linear parameters are coordinates as logarithms.
    noise : {"lognormal", "binomial"}
    is_anchored : bool
        Whether the coordinates are those of a probability curve.
    has_open_floor : bool
        Whether the floor may be negative; the anchor is then the range of the basis.
    x, log_x, y, w : ndarray, shape (n,)
        ``w`` are weights or, for binomial noise, numbers of trials.
    whitening : Filter
    held : tuple of int
        Coordinates that stay where they are.
    """

    model: Model
    noise: str
    is_anchored: bool
    has_open_floor: bool
    x: Array
    log_x: Array
    y: Array
    w: Array
    whitening: Filter
    held: tuple[int, ...] = ()

    @property
    def coordinates(self) -> int:
        """How many there are."""
        return self.model.columns + self.model.parameters + int(self.model.has_floor)

    def residuals(self, z: Array) -> tuple[Array, Array]:
        """Deviance residuals (n,) and their derivatives (n, coordinates), whitened.

        The derivatives by coordinates that are held are not whitened.
        """
        r, jacobian = np.empty(self.x.size), np.empty((self.coordinates, self.x.size))
        start = self._points(np.array(z, dtype=float, ndmin=2))[0]
        head, *arrays = self._arguments()  # which must live as long as the call
        work = self._room()
        _residuals(*head, address(start), address(r), address(jacobian), address(work))
        del arrays
        return r, jacobian.T

    def descend(
        self, starts: Array, low: Array, high: Array, *, damping: float, tolerance: float, evaluations: int
    ) -> tuple[Array, Array]:
        """Descend from every start by Levenberg–Marquardt.

        Parameters
        ----------
        starts : ndarray, shape (m, coordinates)
        low, high : ndarray, shape (coordinates,)
        damping : float
            At the start, relative to the squared lengths of the Jacobian's columns.
        tolerance : float
            Relative decrease of the cost below which the search ends.
        evaluations : int
            Most evaluations of each start.

        Returns
        -------
        z : ndarray, shape (m, coordinates)
        cost : ndarray, shape (m,)
            Sum of squared deviance residuals.
        """
        z = self._points(np.array(starts, dtype=float))
        cost, work = np.empty(len(z)), self._room()
        head, *arrays = self._arguments()  # which must live as long as the call
        lowest, highest = (np.ascontiguousarray(bound, dtype=float) for bound in (low, high))
        limits = (address(lowest), address(highest), damping, tolerance, evaluations, len(z))
        _descend(*head, *limits, address(z), address(cost), address(work))
        del arrays
        return z, cost

    def _points(self, z: Array) -> Array:
        if z.ndim != 2 or z.shape[1] != self.coordinates:
            raise ValueError(f"points of shape {z.shape} for {self.coordinates} coordinates")
        return np.ascontiguousarray(z)

    def _arguments(self) -> tuple[Any, ...]:
        """What the kernels take, then the arrays whose addresses are in it."""
        weight = self.w if self.noise == "binomial" else np.sqrt(self.w)
        arrays = [np.ascontiguousarray(v, dtype=float) for v in (self.x, self.log_x, self.y, weight)]
        if any(v.shape != self.x.shape for v in arrays):
            raise ValueError("x, log x, values and weights must be of one length")
        basis, floor, _, logs = self.model.arguments
        held = sum(1 << k for k in self.held)
        kind = (NOISES.index(self.noise), int(self.is_anchored), int(self.has_open_floor), held, self.x.size)
        return (basis, floor, logs, *kind, *map(address, arrays), *self.whitening.arguments), *arrays

    def _room(self) -> Array:
        """Workspace; the kernels begin at the first address in it that suits whole vectors."""
        return np.empty(_ROWS * (-(-self.x.size // _WIDEST) * _WIDEST) + _WIDEST)

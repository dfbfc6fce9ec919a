"""Largest fall of the RSS that one more column brings to a curve."""

from __future__ import annotations

from ctypes import c_int64, c_void_p

import numpy as np

from cogfit.native.arrays import Array, address
from cogfit.native.library import kernel

_gains = kernel("change_gains", *[c_int64] * 4, *[c_void_p] * 8)


def best_gains(n: tuple[Array, Array, Array], v: Array, u: Array, inverse: Array, rho: Array) -> Array:
    """Largest (N − v'u)²/d over the columns.

    N = N₀ − ρN₁ + ρ²N₂ are the products of curves and columns.

    Parameters
    ----------
    n : tuple of ndarray, each of shape (curves, columns)
        N₀, N₁, N₂.
    v, u : ndarray, shapes (values of ρ, p, columns) and (values of ρ, p, curves)
        Products of columns and of curves with the rows of a mean.
    inverse : ndarray, shape (values of ρ, columns)
        1/d.
    rho : ndarray

    Returns
    -------
    ndarray, shape (curves, values of ρ)
    """
    arrays = [np.ascontiguousarray(array) for array in (*n, v, u, inverse, rho)]
    (curves, columns), (values, size, _) = arrays[0].shape, v.shape
    shapes = [(curves, columns)] * 3 + [(values, size, columns), (values, size, curves), (values, columns), (values,)]
    if [array.shape for array in arrays] != shapes:
        raise ValueError(f"arrays of shapes {[array.shape for array in arrays]} do not belong together")
    out = np.empty((curves, values))
    _gains(curves, columns, values, size, *map(address, arrays), address(out))
    return out

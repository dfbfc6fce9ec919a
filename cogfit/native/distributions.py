"""Tails and quantiles of the usual distributions.

They are good to 1e-12 for 0.5 to 10⁷ degrees of freedom and tails down to 1e-300. Arguments are numbers or arrays,
which are broadcast; a number where all are numbers. Outside a distribution's domain the result is NaN.
"""

from __future__ import annotations

from ctypes import c_double, c_int64, c_void_p
from typing import Any, TypeVar

import numpy as np

from cogfit.native.arrays import Array, address
from cogfit.native.library import kernel

Numbers = TypeVar("Numbers", float, Array)


class _Function:
    """A function of one to three numbers, and the same of arrays."""

    __slots__ = ("_of_arrays", "_of_numbers")

    def __init__(self, name: str, count: int) -> None:
        self._of_numbers = kernel(name, *[c_double] * count, returns=c_double)
        self._of_arrays = kernel(f"{name}_all", c_int64, *[c_void_p] * (count + 1))

    def __call__(self, *arguments: Any) -> Any:
        if all(isinstance(argument, float | int) for argument in arguments):
            return self._of_numbers(*arguments)
        given = np.broadcast_arrays(*[np.asarray(argument, dtype=float) for argument in arguments])
        arrays = [np.ascontiguousarray(array) for array in given]
        out = np.empty(given[0].shape)
        self._of_arrays(out.size, *map(address, arrays), address(out))
        return out if out.ndim else float(out)


_log_gamma = _Function("log_gamma", 1)
_normal_sf = _Function("normal_sf", 1)
_normal_cdf = _Function("normal_cdf", 1)
_normal_quantile = _Function("normal_quantile", 1)
_gamma_quantile = _Function("gamma_quantile", 2)
_chi2_sf = _Function("chi2_sf", 2)
_chi2_quantile = _Function("chi2_quantile", 2)
_student_sf = _Function("student_sf", 2)
_student_cdf = _Function("student_cdf", 2)
_student_quantile = _Function("student_quantile", 2)
_f_sf = _Function("f_sf", 3)
_f_quantile = _Function("f_quantile", 3)


def log_gamma(x: Numbers) -> Numbers:
    """Logarithm of the gamma function, for x > 0."""
    result: Numbers = _log_gamma(x)
    return result


def normal_sf(x: Numbers) -> Numbers:
    """Upper tail of the standard normal distribution."""
    result: Numbers = _normal_sf(x)
    return result


def normal_cdf(x: Numbers) -> Numbers:
    """Lower tail of the standard normal distribution."""
    result: Numbers = _normal_cdf(x)
    return result


def normal_quantile(p: Numbers) -> Numbers:
    """Standard normal quantile with lower tail `p`.

    Examples
    --------
    >>> round(normal_quantile(0.975), 6)
    1.959964
    """
    result: Numbers = _normal_quantile(p)
    return result


def gamma_quantile(p: Numbers, shape: float | Array) -> Numbers:
    """Quantile of the gamma distribution of scale 1."""
    result: Numbers = _gamma_quantile(p, shape)
    return result


def chi2_sf(x: Numbers, degrees_of_freedom: float | Array) -> Numbers:
    """Upper tail of χ²."""
    result: Numbers = _chi2_sf(x, degrees_of_freedom)
    return result


def chi2_quantile(p: Numbers, degrees_of_freedom: float | Array) -> Numbers:
    """Quantile of χ² with lower tail `p`."""
    result: Numbers = _chi2_quantile(p, degrees_of_freedom)
    return result


def student_sf(t: Numbers, degrees_of_freedom: float | Array) -> Numbers:
    """Upper tail of Student's t.

    Infinite degrees of freedom are the normal distribution.
    """
    result: Numbers = _student_sf(t, degrees_of_freedom)
    return result


def student_cdf(t: Numbers, degrees_of_freedom: float | Array) -> Numbers:
    """Lower tail of Student's t.

    Infinite degrees of freedom are the normal distribution.
    """
    result: Numbers = _student_cdf(t, degrees_of_freedom)
    return result


def student_quantile(p: Numbers, degrees_of_freedom: float | Array) -> Numbers:
    """Quantile of Student's t with lower tail `p`.

    Infinite degrees of freedom are the normal distribution.

    Examples
    --------
    >>> round(student_quantile(0.975, 10.0), 6)
    2.228139
    """
    result: Numbers = _student_quantile(p, degrees_of_freedom)
    return result


def f_sf(f: Numbers, numerator: float | Array, denominator: float | Array) -> Numbers:
    """Upper tail of Fisher's F."""
    result: Numbers = _f_sf(f, numerator, denominator)
    return result


def f_quantile(p: Numbers, numerator: float | Array, denominator: float | Array) -> Numbers:
    """Quantile of Fisher's F with lower tail `p`."""
    result: Numbers = _f_quantile(p, numerator, denominator)
    return result

"""What compiled loops need: exponentials and logarithms that the compiler can vectorise, and pointers.

A call of the C library stops the compiler from turning a loop over points into vector instructions, so exp, expm1, log
and log1p are written out. (Intel's vector library would do the same on one make of processors only.)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

EXACT: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
"""Options of functions whose rounding is the point."""

LOOPS: dict[str, Any] = {**EXACT, "fastmath": {"reassoc", "contract", "arcp"}}
"""Options of loops over points: sums may be taken in any order."""

POINTER = types.CPointer(types.float64)


@intrinsic
def _bits(_context, value):
    """The 64 bits of a float as an integer."""

    def code(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), code


@intrinsic
def _float(_context, bits):
    """The float with these 64 bits."""

    def code(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), code


_ROUND = 6755399441055744.0  # 1.5 · 2^52: adding it rounds to a whole number, which then stands in the lowest bits
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # the first with 20 trailing zero bits
_UNDERFLOW, _OVERFLOW = -708.3, 709.7


@njit(**EXACT)
def _reduced(v):
    """exp(v) = scale · (1 + p): the scale, a power of 2, and p = expm1 of the remainder, |remainder| ≤ ln 2 / 2."""
    inside = min(max(v, _UNDERFLOW), _OVERFLOW)
    shifted = inside * 1.4426950408889634 + _ROUND
    k = shifted - _ROUND
    r = (inside - k * _LN2_HIGH) - k * _LN2_LOW
    p = 1.6059043836821613e-10  # 1/13!, …: the remainder of the series is below 2^-55
    p = p * r + 2.08767569878681e-09
    p = p * r + 2.505210838544172e-08
    p = p * r + 2.755731922398589e-07
    p = p * r + 2.7557319223985893e-06
    p = p * r + 2.48015873015873e-05
    p = p * r + 1.984126984126984e-04
    p = p * r + 1.3888888888888889e-03
    p = p * r + 8.333333333333333e-03
    p = p * r + 4.1666666666666664e-02
    p = p * r + 1.6666666666666666e-01
    p = p * r + 0.5
    return _float((_bits(shifted) << 52) + 4607182418800017408), p * (r * r) + r


@njit(**EXACT)
def exp(v):
    """Exponential to 1 ulp; 0 below −708.3, inf above 709.7."""
    scale, p = _reduced(v)
    value = scale * p + scale
    value = 0.0 if v < _UNDERFLOW else value
    value = np.inf if v > _OVERFLOW else value
    return value if v == v else v


@njit(**EXACT)
def expm1(v):
    """exp(v) − 1 without loss of digits near 0."""
    scale, p = _reduced(v)
    value = scale * p + (scale - 1.0)
    value = np.inf if v > _OVERFLOW else value
    return value if v == v else v


@njit(**EXACT)
def log(v):
    """Natural logarithm to 2 ulp of a positive normal number; −inf at 0, NaN below."""
    bits = _bits(v)
    k = (bits - 4604544271217802189) >> 52  # mantissa in [√½, √2)
    m = _float(bits - (k << 52))
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = 0.043478260869565216  # 1/23, …: 2 artanh(s)
    p = p * z + 0.047619047619047616
    p = p * z + 0.05263157894736842
    p = p * z + 0.058823529411764705
    p = p * z + 0.06666666666666667
    p = p * z + 0.07692307692307693
    p = p * z + 0.09090909090909091
    p = p * z + 0.1111111111111111
    p = p * z + 0.14285714285714285
    p = p * z + 0.2
    p = p * z + 0.3333333333333333
    exponent = float(k)
    value = exponent * _LN2_HIGH + (2.0 * s + (2.0 * s * z * p + exponent * _LN2_LOW))
    value = -np.inf if v == 0.0 else value
    value = v if v == np.inf else value
    return value if v >= 0.0 else np.nan


@njit(**EXACT)
def log1p(v):
    """log(1 + v) without loss of digits near 0, for v > −1."""
    u = 1.0 + v
    lost = (v - (u - 1.0)) / u  # what rounding took away
    return log(u) + (lost if u < 1e300 else 0.0)


_LARGE = 12.0  # from which Stirling's series is exact to rounding


@njit(**EXACT)
def _stirling(z):
    """Log Γ(z) − ((z − ½) log z − z + ½ log 2π), for z ≥ 12."""
    u = 1.0 / (z * z)
    tail = ((-0.0019175269175269176 * u + 8.417508417508417e-04) * u - 5.952380952380953e-04) * u
    return (((tail + 7.936507936507937e-04) * u - 0.002777777777777778) * u + 0.08333333333333333) / z


@njit(**EXACT)
def log_gamma_ratio(z, a):
    """Log Γ(z + a) − log Γ(z) for positive z and a: no cancellation where z is large."""
    ratio = 1.0
    while z < _LARGE:
        ratio *= z / (z + a)
        z += 1.0
    rest = (z - 0.5) * math.log1p(a / z) + a * (math.log(z + a) - 1.0)
    return rest + (_stirling(z + a) - _stirling(z)) + math.log(ratio)


@njit(**EXACT)
def digamma(z):
    """D log Γ(z) / dz for positive z."""
    total = 0.0
    while z < _LARGE:
        total -= 1.0 / z
        z += 1.0
    u = 1.0 / (z * z)
    tail = ((0.021092796092796094 * u - 0.007575757575757576) * u + 0.004166666666666667) * u
    series = (((tail - 0.003968253968253968) * u + 0.008333333333333333) * u - 0.08333333333333333) * u
    return total + math.log(z) - 0.5 / z + series


@intrinsic
def call(_context, address, n, x, lx, theta, phi, dphi):
    """Call the basis at an address with its n points and pointers."""

    def code(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.VoidType(), [a.type for a in arguments[1:]]).as_pointer()
        builder.call(builder.inttoptr(arguments[0], kind), arguments[1:])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, *[POINTER] * 5), code


@intrinsic
def pointer(_context, array):
    """Pointer to the values of a contiguous array of floats, which must outlive it.

    Loops over pointers spare the reference counts of arrays, which cost more than fifty points of a curve.
    """

    def code(context, builder, signature, arguments):
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return (POINTER(array), code) if array.layout == "C" and array.dtype == types.float64 else None


@intrinsic
def shift(_context, values, count):
    """Pointer to the value `count` places further on."""

    def code(context, builder, signature, arguments):
        return builder.gep(arguments[0], [arguments[1]])

    return POINTER(POINTER, types.int64), code

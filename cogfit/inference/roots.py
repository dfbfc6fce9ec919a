"""Brent's root of a function of one variable."""

from __future__ import annotations

import math
from collections.abc import Callable

_RELATIVE = 4.0 * 2.0**-52  # no root can be told more finely


def brent(
    function: Callable[[float], float],
    low: float,
    high: float,
    *,
    absolute: float = 2e-12,
    relative: float = _RELATIVE,
    iterations: int = 100,
) -> float:
    """Find where a function changes its sign.

    The method of :func:`scipy.optimize.brentq`, operation by operation, so that roots have the same digits (a test
    compares them); to load scipy's optimisers takes longer than a whole fit.

    Parameters
    ----------
    function : callable
    low, high : float
        Where its signs differ.
    absolute, relative : float
        The root is within ``absolute + relative · |root|``.
    iterations : int
        Most steps.

    Raises
    ------
    ValueError
        If the signs do not differ, or a value is NaN.
    RuntimeError
        If the root is not found so finely.

    References
    ----------
    Brent 1973, Algorithms for Minimization Without Derivatives, ch. 4.

    Examples
    --------
    >>> round(brent(lambda x: x * x - 2.0, 0.0, 2.0), 12)
    1.414213562373
    """
    # `other` lies on the other side of the root; `before` is where the search was one step ago
    before, x = float(low), float(high)
    y_before, y = _value(function, before), _value(function, x)
    if 0.0 in (y_before, y):
        return before if y_before == 0.0 else x
    if (y_before < 0.0) == (y < 0.0):
        raise ValueError("the function has the same sign at both ends")
    other = y_other = step_before = step = 0.0
    for _ in range(iterations):
        if y_before != 0.0 and y != 0.0 and (y_before < 0.0) != (y < 0.0):
            other, y_other = before, y_before
            step_before = step = x - before
        if abs(y_other) < abs(y):
            before, x, other = x, other, x
            y_before, y, y_other = y, y_other, y
        tolerance = (absolute + relative * abs(x)) / 2.0
        half = (other - x) / 2.0
        if y == 0.0 or abs(half) < tolerance:
            return x
        converges = abs(step_before) > tolerance and abs(y) < abs(y_before)
        trial = _interpolated((before, y_before), (x, y), (other, y_other)) if converges else math.inf
        if 2.0 * abs(trial) < min(abs(step_before), 3.0 * abs(half) - tolerance):
            step_before, step = step, trial
        else:
            step_before = step = half
        before, y_before = x, y
        x += step if abs(step) > tolerance else math.copysign(tolerance, half)
        y = _value(function, x)
    raise RuntimeError(f"no root was found in {iterations} steps: {x} is the last")


def _value(function: Callable[[float], float], x: float) -> float:
    y = float(function(x))
    if math.isnan(y):
        raise ValueError(f"the function is NaN at {x}")
    return y


def _interpolated(before: tuple[float, float], here: tuple[float, float], other: tuple[float, float]) -> float:
    """Step by a line through two points, or by inverse quadratic interpolation through three."""
    (x_before, y_before), (x, y), (x_other, y_other) = before, here, other
    if x_before == x_other:
        return -y * (x - x_before) / (y - y_before)
    slope_before = (y_before - y) / (x_before - x)
    slope_other = (y_other - y) / (x_other - x)
    denominator = slope_other * slope_before * (y_other - y_before)
    return -y * (y_other * slope_other - y_before * slope_before) / denominator if denominator else math.inf

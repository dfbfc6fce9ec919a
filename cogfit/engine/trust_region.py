"""Bounded non-linear least squares by a trust region.

The method "trf" of :func:`scipy.optimize.least_squares` for a dense Jacobian, step by step, so that minima and their
last digits are the same (a test compares them); to load scipy's optimisers takes longer than a whole fit.

References
----------
Branch, Coleman & Li 1999, SIAM Journal on Scientific Computing 21:1 (reflected steps, scaling by the distance to the
bounds). Moré 1978, Lecture Notes in Mathematics 630:105 (the step inside a trust region).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cogfit.formulas.form import Array

_EPSILON = float(np.finfo(float).eps)
_NEAR_RADIUS = 0.01  # relative difference between the length of a step and the radius that is good enough
_MOST_DAMPINGS = 10  # iterations of the search for such a step
_FRACTION = 0.995  # of the way to a bound that a step may go


@dataclass(frozen=True)
class _Model:
    """Quadratic model of the cost around a point, in scaled variables.

    ½ s'(J'J + D)s + g's.

    Attributes
    ----------
    jacobian, gradient, curvature : ndarray
        J, g and the diagonal of D, which comes from the bounds.
    """

    jacobian: Array
    gradient: Array
    curvature: Array

    def value(self, step: Array) -> float:
        """Change of the cost that a step should bring."""
        image = self.jacobian.dot(step)
        square = np.dot(image, image) + np.dot(step * self.curvature, step)
        return float(0.5 * square + np.dot(step, self.gradient))

    def lowest_along(
        self, direction: Array, low: float, high: float, origin: Array | None = None
    ) -> tuple[float, float]:
        """Where the model is lowest along a direction, between two strides, and its value there."""
        image = self.jacobian.dot(direction)
        square = 0.5 * (np.dot(image, image) + np.dot(direction * self.curvature, direction))
        slope, constant = np.dot(self.gradient, direction), 0.0
        if origin is not None:
            image_origin = self.jacobian.dot(origin)
            slope += np.dot(image_origin, image)
            constant = 0.5 * np.dot(image_origin, image_origin) + np.dot(self.gradient, origin)
            slope += np.dot(origin * self.curvature, direction)
            constant += 0.5 * np.dot(origin * self.curvature, origin)
        strides = [low, high]
        if square != 0 and low < (vertex := -0.5 * slope / square) < high:
            strides.append(vertex)
        t = np.asarray(strides)
        values = t * (square * t + slope) + constant
        best = np.argmin(values)
        return float(t[best]), float(values[best])


@dataclass(frozen=True)
class _Box:
    """Bounds of the variables, which may be infinite."""

    low: Array
    high: Array

    def holds(self, x: Array) -> bool:
        return bool(np.all((x >= self.low) & (x <= self.high)))

    def stride_to_bound(self, x: Array, step: Array) -> tuple[float, Array]:
        """How often a step fits until it meets a bound, and which bounds it then meets."""
        moving = np.nonzero(step)
        strides = np.full_like(x, np.inf)
        with np.errstate(over="ignore"):
            strides[moving] = np.maximum((self.low - x)[moving] / step[moving], (self.high - x)[moving] / step[moving])
        shortest = np.min(strides)
        return float(shortest), np.equal(strides, shortest) & (np.sign(step) != 0)

    def inside(self, x: Array, margin: float = 0.0) -> Array:
        """A point moved off the bounds, by a relative margin or by one floating-point number."""
        inner = x.copy()
        to_low, to_high = x - self.low, self.high - x
        if margin == 0.0:
            at_low, at_high = (x <= self.low) & (x < self.high), x >= self.high
            inner[at_low] = np.nextafter(self.low[at_low], self.high[at_low])
            inner[at_high] = np.nextafter(self.high[at_high], self.low[at_high])
        else:
            near_low, near_high = (margin * np.maximum(1, np.abs(bound)) for bound in (self.low, self.high))
            at_low = np.isfinite(self.low) & (to_low <= np.minimum(to_high, near_low))
            at_high = np.isfinite(self.high) & (to_high <= np.minimum(to_low, near_high))
            inner[at_low] = self.low[at_low] + near_low[at_low]
            inner[at_high] = self.high[at_high] - near_high[at_high]
        is_tight = (inner < self.low) | (inner > self.high)
        inner[is_tight] = 0.5 * (self.low[is_tight] + self.high[is_tight])
        return inner

    def distance(self, x: Array, gradient: Array) -> tuple[Array, Array]:
        """Distance to the bound that descent would meet, 1 where there is none, and its derivative."""
        distance, derivative = np.ones_like(x), np.zeros_like(x)
        rising = (gradient < 0) & np.isfinite(self.high)
        distance[rising], derivative[rising] = self.high[rising] - x[rising], -1.0
        falling = (gradient > 0) & np.isfinite(self.low)
        distance[falling], derivative[falling] = x[falling] - self.low[falling], 1.0
        return distance, derivative


def least_squares(
    residual: Callable[[Array], Array],
    jacobian: Callable[[Array], Array],
    start: Array,
    bounds: tuple[Array, Array],
    *,
    tolerance: float,
    evaluations: int,
) -> tuple[Array, float]:
    """Minimise the sum of squared residuals within bounds.

    Parameters
    ----------
    residual, jacobian : callable
        r (n,) and its derivative (n, p) at a point. Residuals must be finite at the start.
    start : ndarray, shape (p,)
        Within the bounds.
    bounds : pair of ndarray
        Each lower bound is below its upper one; infinite where there is none.
    tolerance : float
        Relative change of cost or point, and size of the scaled gradient, below which the search ends.
    evaluations : int
        Most calls of `residual`.

    Returns
    -------
    x : ndarray, shape (p,)
    cost : float
        ½ Σr².

    Raises
    ------
    numpy.linalg.LinAlgError
        If a Jacobian is not finite.
    """
    box = _Box(*bounds)
    x = box.inside(start, 1e-10)
    r = residual(x)
    cost = 0.5 * np.dot(r, r)
    jac = jacobian(x)
    gradient = jac.T.dot(r)
    length = _lengths(jac)
    length[length == 0] = 1.0
    distance, derivative = box.distance(x, gradient)
    distance[derivative != 0] *= length[derivative != 0]
    radius = float(np.linalg.norm(x * length / distance**0.5)) or 1.0

    is_bounded = bool(np.isfinite(box.low).any() or np.isfinite(box.high).any())
    damping = 0.0
    n_evaluations = 1
    while n_evaluations < evaluations:
        distance, derivative = box.distance(x, gradient)
        steepness = float(np.abs(gradient * distance).max())
        if steepness < tolerance:
            break
        # in these variables columns have unit length and bounds are far
        distance[derivative != 0] *= length[derivative != 0]
        scale = distance**0.5 * (1 / length)
        model = _Model(jac * scale, scale * gradient, gradient * derivative * (1 / length))
        region = _TrustRegion(model, r, is_bounded=is_bounded)
        fraction = max(_FRACTION, 1 - steepness)

        # shorter and shorter steps until one lowers the cost
        gain, is_done = -1.0, False
        while gain <= 0 and n_evaluations < evaluations:
            scaled, damping = region.step(radius, damping)
            step, scaled, predicted = _chosen_step(x, model, scaled, scale, radius, box, fraction)
            trial = box.inside(x + step)
            r_trial = residual(trial)
            n_evaluations += 1
            reach = float(np.linalg.norm(scaled))
            if not np.all(np.isfinite(r_trial)):
                radius = 0.25 * reach
                continue
            cost_trial = 0.5 * np.dot(r_trial, r_trial)
            gain = cost - cost_trial
            ratio = _ratio(gain, predicted)
            new_radius = _new_radius(radius, ratio, reach)
            moved, size = float(np.linalg.norm(step)), float(np.linalg.norm(x))
            is_done = (gain < tolerance * cost and ratio > 0.25) or moved < tolerance * (tolerance + size)
            if is_done:
                break
            damping *= radius / new_radius
            radius = new_radius
        if gain > 0:
            x, r, cost = trial, r_trial, cost_trial
            jac = jacobian(x)
            gradient = jac.T.dot(r)
            length = np.maximum(_lengths(jac), length)
        if is_done:
            break
    return x, float(cost)


def _lengths(jac: Array) -> Array:
    return np.asarray(np.sum(jac**2, axis=0) ** 0.5)


def _ratio(gain: float, predicted: float) -> float:
    """Gain relative to that of the model."""
    if predicted > 0:
        return gain / predicted
    return 1.0 if predicted == gain == 0 else 0.0


def _new_radius(radius: float, ratio: float, reach: float) -> float:
    """Radius after a step, by how well the model has foretold its gain."""
    if ratio < 0.25:
        return 0.25 * reach
    return 2.0 * radius if ratio > 0.75 and reach > 0.95 * radius else radius


class _TrustRegion:
    """Steps that minimise a model within a radius."""

    def __init__(self, model: _Model, r: Array, *, is_bounded: bool) -> None:
        self.n, p = model.jacobian.shape
        augmented = model.jacobian
        if is_bounded:
            augmented = np.vstack([augmented, np.diag(model.curvature**0.5)])
            r = np.concatenate([r, np.zeros(p)])
        if not np.all(np.isfinite(augmented)):
            raise np.linalg.LinAlgError("the Jacobian is not finite")
        # in the order of memory in which LAPACK hands them out, so that products round as scipy's
        u, self.s, vt = map(np.asfortranarray, np.linalg.svd(augmented, full_matrices=False))
        self.v, self.uf = vt.T, u.T.dot(r)
        self.is_full_rank = bool(self.n >= p and self.s[-1] > _EPSILON * self.n * self.s[0])

    def step(self, radius: float, damping: float) -> tuple[Array, float]:
        """The step, and its damping (0 for a Gauss–Newton step)."""
        scaled = self.s * self.uf
        low, high = 0.0, float(np.linalg.norm(scaled)) / radius
        if self.is_full_rank:
            step = -self.v.dot(self.uf / self.s)
            if np.linalg.norm(step) <= radius:
                return step, 0.0
            excess, slope = self._excess(0.0, scaled, radius)
            low = -excess / slope
        elif damping == 0:
            damping = max(0.001 * high, (low * high) ** 0.5)
        # Newton's method for the damping at which the step is as long as the radius
        for _ in range(_MOST_DAMPINGS):
            if damping < low or damping > high:
                damping = max(0.001 * high, (low * high) ** 0.5)
            excess, slope = self._excess(damping, scaled, radius)
            if excess < 0:
                high = damping
            ratio = excess / slope
            low = max(low, damping - ratio)
            damping -= (excess + radius) * ratio / radius
            if abs(excess) < _NEAR_RADIUS * radius:
                break
        step = -self.v.dot(scaled / (self.s**2 + damping))
        step *= radius / np.linalg.norm(step)
        return step, damping

    def _excess(self, damping: float, scaled: Array, radius: float) -> tuple[float, float]:
        """Length of the damped step beyond the radius, and its derivative."""
        denominator = self.s**2 + damping
        length = float(np.linalg.norm(scaled / denominator))
        return length - radius, -float(np.sum(scaled**2 / denominator**3)) / length


def _chosen_step(
    x: Array, model: _Model, scaled: Array, scale: Array, radius: float, box: _Box, fraction: float
) -> tuple[Array, Array, float]:
    """The best of a step cut at the bounds, its reflection, and steepest descent.

    In plain and in scaled variables, with the gain that the model expects.
    """
    step = scale * scaled
    if box.holds(x + step):
        return step, scaled, -model.value(scaled)

    # up to the bound, and reflected there
    stride, meets = box.stride_to_bound(x, step)
    reflected = np.where(meets, -scaled, scaled)
    step, scaled = step * stride, scaled * stride
    at_bound = x + step
    to_radius = _stride_to_radius(scaled, reflected, radius)
    to_bound, _ = box.stride_to_bound(at_bound, scale * reflected)
    longest = min(to_bound, to_radius)
    low, high = 0.0, -1.0
    if longest > 0:
        low = (1 - fraction) * stride / longest
        high = fraction * to_bound if longest == to_bound else to_radius
    value_reflected = math.inf
    if low <= high:
        best, value_reflected = model.lowest_along(reflected, low, high, scaled)
        reflected = reflected * best + scaled

    # not quite up to the bound
    step, scaled = step * fraction, scaled * fraction
    value = model.value(scaled)

    # along the gradient
    descent = -model.gradient
    to_radius = radius / float(np.linalg.norm(descent))
    to_bound, _ = box.stride_to_bound(x, scale * descent)
    best, value_descent = model.lowest_along(descent, 0.0, fraction * to_bound if to_bound < to_radius else to_radius)
    if value < value_reflected and value < value_descent:
        return step, scaled, -value
    if value_reflected < value and value_reflected < value_descent:
        return reflected * scale, reflected, -value_reflected
    return scale * descent * best, descent * best, -value_descent


def _stride_to_radius(origin: Array, direction: Array, radius: float) -> float:
    """How often a direction fits between a point and the edge of the trust region."""
    a = np.dot(direction, direction)
    if a == 0:
        raise ValueError("the step has no length")
    b, c = np.dot(origin, direction), np.dot(origin, origin) - radius**2
    if c > 0:
        raise ValueError("the step leaves the trust region")
    # without loss of digits: Press et al., Numerical Recipes, §5.6
    q = -(b + math.copysign(np.sqrt(b * b - a * c), b))
    return float(max(q / a, c / q))

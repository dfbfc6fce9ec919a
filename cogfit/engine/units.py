"""Units of the data: fits are made in them.

A curve has the same exponent in any unit of its axes, but iterations stop, and thresholds bite, at numbers. So x is
taken in multiples of its smallest positive value and y of its largest size before anything is fitted or tested, and
parameters are brought back afterwards. A form and a noise model are changed only as far as they are closed under it
(:attr:`cogfit.formulas.form.Form.closed_under`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cogfit.engine.noise import Noise
from cogfit.formulas.form import Array, Form, span_of

_SHORTEST = 1e-25  # of the largest x, what may be called 1: x^-12 is a number then


@dataclass(frozen=True)
class Units:
    """Units of a curve's axes, in those of the caller.

    Attributes
    ----------
    x, y : float or ndarray, shape (curves,)
        What is called 1; for several curves one number each.
    """

    x: Any = 1.0
    y: Any = 1.0

    @classmethod
    def of_points(cls, x: Array, y: Array, forms: Iterable[Form], model: Noise) -> Units:
        """Units that suit some points.

        As far as all forms and the noise model are closed under another unit.
        """
        closed = closed_under(forms, model)
        return cls(float(start_of(*span_of(x))) if "x" in closed else 1.0, size_of(y) if "y" in closed else 1.0)

    @property
    def inverse(self) -> Units:
        """Units of the caller, in these."""
        return Units(1.0 / self.x, 1.0 / self.y)

    def params(self, form: Form, own: Array) -> Array:
        """Parameters (…, p) in the caller's units.

        Of curves with units of their own, the first axis is that of the curves.
        """
        own = np.asarray(own, dtype=float)
        out = own.copy()
        with np.errstate(all="ignore"):
            for i, q in enumerate(form.parameters):
                value = own[..., i]
                if q.exponent:
                    value = value * self.x ** own[..., form.names.index(q.exponent)]
                if q.slope:
                    value = value + own[..., form.names.index(q.slope)] * np.log(self.x)
                out[..., i] = value * self._factor(q.unit)
        return out

    def covariance(self, form: Form, own: Array, covariance: Array) -> Array:
        """Covariance (…, p, p) in the caller's units.

        At own parameters (…, p). What has none (NaN) is held, and stays so.
        """
        slopes = self._slopes(form, own)
        missing = np.isnan(covariance)
        if np.all(np.asarray(self.x) == 1.0):  # every parameter has a constant unit then
            scale = np.diagonal(slopes, axis1=-2, axis2=-1)
            return covariance * scale[..., :, None] * scale[..., None, :]
        with np.errstate(all="ignore"):
            out = slopes @ np.where(missing, 0.0, covariance) @ np.swapaxes(slopes, -1, -2)
        return np.where(missing, np.nan, out)

    def factor(self, form: Form, name: str) -> Any:
        """Unit of one parameter. NaN where it is no constant."""
        q = form.parameters[form.names.index(name)]
        return math.nan if q.exponent or q.slope else self._factor(q.unit)

    def _factor(self, unit: str) -> Any:
        return {"y": self.y, "x": self.x, "1/x": 1.0 / self.x}.get(unit, 1.0)

    def _slopes(self, form: Form, own: Array) -> Array:
        """Derivatives (…, p, p) of the caller's parameters by one's own."""
        p = len(form.parameters)
        out = np.zeros((*own.shape, p))
        log_x = np.log(self.x)
        with np.errstate(all="ignore"):
            for i, q in enumerate(form.parameters):
                factor = self._factor(q.unit)
                if q.exponent:
                    at = form.names.index(q.exponent)
                    factor = factor * self.x ** own[..., at]
                    out[..., i, at] = own[..., i] * factor * log_x
                if q.slope:
                    out[..., i, form.names.index(q.slope)] = factor * log_x
                out[..., i, i] = factor
        return out


def closed_under(forms: Iterable[Form], model: Noise) -> frozenset[str]:
    """Axes whose unit all forms and the noise leave free.

    A user's form leaves none: nobody knows the units of its parameters.
    """
    closed = frozenset(model.closed_under)
    return closed.intersection(*(form.closed_under if form.basis is not None else () for form in forms))


def start_of(low: Any, high: Any) -> Any:
    """Unit of an axis that runs from `low` to `high`.

    Its smallest positive x, or a larger one where the axis would then reach too far for powers of it.
    """
    return np.maximum(low, _SHORTEST * high)


def size_of(y: Array) -> float:
    """Largest |y|. 1 where all are 0."""
    return float(np.abs(y).max(initial=0.0)) or 1.0

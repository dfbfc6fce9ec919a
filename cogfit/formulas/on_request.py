"""Forms that are fitted on request, and by tests that need them.

They are no candidates: each rival more takes power from the choice among all the others.
"""

from __future__ import annotations

import math

import numpy as np

from cogfit.formulas.form import Array, Form, Parameter


def _break_terms(x: Array, xb: float, width: float) -> tuple[Array, Array, Array]:
    """Log x/x_b, the softened log of (1 + (x/x_b)^{1/w})/2, and its slope."""
    with np.errstate(divide="ignore"):
        u = np.log(x / xb)
    return u, np.logaddexp(0.0, u / width) - math.log(2.0), 0.5 * (1.0 + np.tanh(0.5 * u / width))


def smooth_break(x: Array, A: float, gamma1: float, gamma2: float, xb: float, width: float, c: float) -> Array:
    """Evaluate the smoothly broken power law."""
    u, soft, _ = _break_terms(x, xb, width)
    return np.asarray(c + A * np.exp(-gamma1 * u - (gamma2 - gamma1) * width * soft))


def _smooth_break_jacobian(
    x: Array, A: float, gamma1: float, gamma2: float, xb: float, width: float, c: float
) -> Array:
    """Derivatives by all parameters, (n, 6)."""
    u, soft, slope = _break_terms(x, xb, width)
    phi = np.exp(-gamma1 * u - (gamma2 - gamma1) * width * soft)
    by_log = (
        width * soft - u,
        -width * soft,
        (gamma1 + (gamma2 - gamma1) * slope) / xb,
        (gamma2 - gamma1) * (slope * u / width - soft),
    )
    return np.stack([phi, *(A * phi * part for part in by_log), np.ones_like(phi)], axis=1)


SMOOTH_BREAK = Form(
    name="smooth_break",
    title="smoothly broken power",
    formula=(r"c + A\,(x/x_b)^{-\gamma_1}\left(\tfrac12 + \tfrac12 (x/x_b)^{1/w}\right)^{-(\gamma_2 - \gamma_1)\,w}"),
    expression="c + A*(x/xb)**(-gamma1)*((1 + (x/xb)**(1/width))/2)**(-(gamma2 - gamma1)*width)",
    parameters=(
        Parameter("A", "A", "height above the floor at the break", "y", "amplitude", lower=0.0),
        Parameter("gamma1", r"\gamma_1", "exponent before the break", "1", "shape", -4.0, 12.0),
        Parameter("gamma2", r"\gamma_2", "exponent after the break", "1", "shape", -4.0, 12.0),
        Parameter("xb", "x_b", "where the exponent changes", "x", "shape", 1.0, 1.0, log=True, interior=True),
        Parameter("width", "w", "width of the break: 10 to 90 % in 4.4 w e-folds of x", "1", "shape", 0.05, 5.0, True),
        Parameter("c", "c", "asymptote: what is left after unlimited practice", "y", "floor", lower=0.0),
    ),
    contains=("constant", "power", "power_floor", "broken_power"),
    reference="Caballero et al. 2022, Broken neural scaling laws, arXiv:2210.14891 (one break)",
    function=smooth_break,
    derivative=_smooth_break_jacobian,
)

ON_REQUEST = (SMOOTH_BREAK,)

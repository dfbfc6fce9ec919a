"""Other ways to fit curves, as their users call them: the peers of ``batch_speed.py``.

They share no code with cogfit. scipy's and lmfit's are loops over curves; optimistix solves a batch in code that JAX
compiles, and is an optional peer (`pip install optimistix`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
STARTS = ((0.9, 0.2, 0.0), (0.9, 0.6, 0.05), (0.6, 1.2, 0.1), (1.2, 0.4, 0.2))


def power_floor(x: Array, a: float, gamma: float, c: float) -> Array:
    return c + a * x**-gamma


def power_floor_jac(x: Array, a: float, gamma: float, c: float) -> Array:
    value = x**-gamma
    return np.stack([value, -a * np.log(x) * value, np.ones_like(x)], axis=1)


def curve_fit_from_four(x: Array, y: Array) -> float:
    from scipy.optimize import curve_fit

    best = np.inf
    for start in STARTS:
        try:
            p, _ = curve_fit(power_floor, x, y, start, jac=power_floor_jac)
        except RuntimeError:
            continue
        best = min(best, float(((y - power_floor(x, *p)) ** 2).sum()))
    return best


def curve_fit_in_bounds(x: Array, y: Array) -> float:
    from scipy.optimize import curve_fit

    best = np.inf
    for start in STARTS:
        p, _ = curve_fit(power_floor, x, y, start, jac=power_floor_jac, bounds=([0, 1e-4, 0], [np.inf, 12, np.inf]))
        best = min(best, float(((y - power_floor(x, *p)) ** 2).sum()))
    return best


def lmfit_once() -> Callable[[Array, Array], float]:
    import lmfit

    model = lmfit.Model(power_floor)
    start = model.make_params(a={"value": 0.9, "min": 0}, gamma={"value": 0.5, "min": 1e-4}, c={"value": 0.1, "min": 0})
    return lambda x, y: float(model.fit(y, start, x=x).chisqr)


def all_forms(x: Array, y: Array) -> str:
    """Fourteen forms by curve_fit from four starts each, without bounds, which is its fastest way; the least AICc."""
    from scipy.optimize import curve_fit

    big = float(x[-1])
    forms: dict[str, tuple[Callable[..., Array], Sequence[Sequence[float]]]] = {
        "constant": (lambda x, c: c + 0.0 * x, [(0.3,)]),
        "logarithmic": (lambda x, a, c: c - a * np.log(x), [(0.1, 0.9)]),
        "power": (lambda x, a, g: a * x**-g, [(0.9, g) for g in (0.1, 0.4, 0.8, 1.5)]),
        "power_floor": (power_floor, STARTS),
        "exponential": (lambda x, a, r: a * np.exp(-r * x), [(0.9, r / big) for r in (0.5, 2, 8, 30)]),
        "exponential_floor": (
            lambda x, a, r, c: c + a * np.exp(-r * x), [(0.8, r / big, 0.1) for r in (0.5, 2, 8, 30)],
        ),
        "hyperbolic": (lambda x, a, b: a / (1 + x / b), [(0.9, b * big) for b in (0.01, 0.1, 0.5, 2)]),
        "shifted_power": (
            lambda x, a, g, b: a * (1 + x / b) ** -g, [(0.9, g, b) for g in (0.4, 1.0) for b in (1.0, 20.0)],
        ),
        "shifted_power_floor": (
            lambda x, a, g, b, c: c + a * (1 + x / b) ** -g,
            [(0.9, g, b, 0.05) for g in (0.4, 1.0) for b in (1.0, 20.0)],
        ),
        "apex_floor": (
            lambda x, a, g, r, c: c + a * x**-g * np.exp(-r * x),
            [(0.9, g, r / big, 0.05) for g in (0.2, 0.8) for r in (0.5, 5)],
        ),
        "stretched_exponential": (
            lambda x, a, t, b: a * np.exp(-((x / t) ** b)), [(0.9, t * big, b) for t in (0.1, 0.5) for b in (0.4, 1)],
        ),
        "stretched_exponential_floor": (
            lambda x, a, t, b, c: c + a * np.exp(-((x / t) ** b)),
            [(0.9, t * big, b, 0.05) for t in (0.1, 0.5) for b in (0.4, 1)],
        ),
        "log_logistic_step": (
            lambda x, a, m, s, c: c + a / (1 + (x / m) ** s),
            [(0.8, m * big, s, 0.1) for m in (0.1, 0.5) for s in (1, 4)],
        ),
        "broken_power": (
            lambda x, a, g, h, m: a * (x / m) ** -np.where(x <= m, g, h),
            [(0.5, g, 0.8, m * big) for g in (0.2, 0.6) for m in (0.2, 0.5)],
        ),
    }  # fmt: skip
    scores = {}
    for name, (function, starts) in forms.items():
        best = np.inf
        for start in starts:
            try:
                p, _ = curve_fit(function, x, y, start)
            except (RuntimeError, ValueError, TypeError):
                continue
            best = min(best, float(((y - function(x, *p)) ** 2).sum()))
        k = len(starts[0]) + 1
        scores[name] = x.size * np.log(best / x.size) + 2 * k + 2 * k * (k + 1) / (x.size - k - 1)
    return min(scores, key=scores.__getitem__)


def warm_started(x: Array, y: Array, start: Array) -> Array:
    from scipy.optimize import curve_fit

    return np.asarray(curve_fit(power_floor, x, y, start, jac=power_floor_jac)[0])


def optimistix_batch(x: Array, *, starts: Sequence[Sequence[float]], damped: bool) -> Callable[[Array], Array]:
    """All curves at once by optimistix, compiled by JAX in double precision: the RSS of each.

    Gauss–Newton or Levenberg–Marquardt on the normal equations, which are its fastest ways here.

    Raises
    ------
    ImportError
        If optimistix or JAX are not installed.
    """
    import jax
    import jax.numpy as jnp
    import lineax
    import optimistix

    jax.config.update("jax_enable_x64", True)
    solver_of = optimistix.LevenbergMarquardt if damped else optimistix.GaussNewton
    solver = solver_of(rtol=1e-6, atol=1e-6, linear_solver=lineax.Normal(lineax.Cholesky()))
    log_x, begin = jnp.log(jnp.asarray(x)), jnp.asarray(starts)

    def residuals(p: Any, y: Any) -> Any:
        return p[2] + p[0] * jnp.exp(-p[1] * log_x) - y

    def from_start(start: Any, y: Any) -> Any:
        found = optimistix.least_squares(residuals, solver, start, y, max_steps=50, throw=False)
        return jnp.sum(residuals(found.value, y) ** 2)

    def best(y: Any) -> Any:
        return jnp.nanmin(jax.vmap(from_start, (0, None))(begin, y))

    compiled = jax.jit(jax.vmap(best))
    return lambda ys: np.asarray(compiled(ys))

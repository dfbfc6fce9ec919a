"""Least squares for what is not separable: other noise models and users' forms.

Maximum likelihood is the minimum of the sum of squared deviance residuals, so scipy's least squares does the
search, from many starts, in coordinates that keep every trial point meaningful.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogfit.engine import noise as noises
from cogfit.engine.arma import WHITE, Arma
from cogfit.engine.separable import bounds_of, inner, natural_of, safe_log, shape_box
from cogfit.formulas.form import Array, Form

_HUGE = 1e100  # stands for a residual that is not finite
_SAME = 1e-9  # relative difference of costs below which two minima are the same
_AGREED = 3  # starts that must end in the best minimum before the others are skipped


@dataclass(frozen=True)
class Coordinates:
    """How a general problem's search vector z maps to parameters, with derivative and bounds."""

    to_params: Callable[[Array], tuple[Array, Array]]  # z -> params (p,), d params / d z (p, q)
    from_params: Callable[[Array], Array]
    lower: Array
    upper: Array
    names: tuple[str, ...]


def plain(form: Form, x: Array) -> Coordinates:
    """Coordinates of any form: its parameters, scales as logarithms."""
    low, high = bounds_of(form, x)
    logs = np.array([q.log for q in form.parameters], dtype=bool)

    def to_params(z: Array) -> tuple[Array, Array]:
        p = np.where(logs, np.exp(np.where(logs, z, 0.0)), z)
        return p, np.diag(np.where(logs, p, 1.0))

    def from_params(p: Array) -> Array:
        return np.where(logs, np.log(np.where(logs, np.maximum(p, 1e-300), 1.0)), p)

    return Coordinates(to_params, from_params, from_params(low), from_params(high), form.names)


def anchored(form: Form, x: Array) -> Coordinates:
    """Coordinates of a probability: u = largest fitted value, ρ = share of it that is floor; both in [0, 1].

    With f = u[ρ + (1−ρ) φ/φ_max] every point of the box is a valid probability curve, so A·k_min^−γ ≤ 1 and its
    relatives hold by construction (a form with a free constant is anchored at the smallest φ).
    """
    assert form.basis is not None
    shape_at = [i for i, q in enumerate(form.parameters) if q.role == "shape"]
    amp_at = next((i for i, q in enumerate(form.parameters) if q.role == "amplitude"), None)
    floor_at = next((i for i, q in enumerate(form.parameters) if q.role == "floor"), None)
    free_floor = floor_at is not None and math.isinf(form.parameters[floor_at].lower)
    lx = safe_log(x)
    lower_shape, upper_shape = shape_box(form, x)
    q = 1 + int(floor_at is not None and amp_at is not None) + len(shape_at)
    lead = q - len(shape_at)

    def to_params(z: Array) -> tuple[Array, Array]:
        p, jac = np.zeros(len(form.parameters)), np.zeros((len(form.parameters), q))
        u = z[0]
        if amp_at is None:  # the constant
            p[0], jac[0, 0] = u, 1.0
            return p, jac
        rho = z[1] if floor_at is not None else 0.0
        natural, scale = natural_of(form, z[None, lead:])
        p[shape_at] = natural[0]
        for j, i in enumerate(shape_at):
            jac[i, lead + j] = scale[0, j]
        phi, dphi = form.columns(x, lx, natural)
        top, bottom = int(phi[0, 0].argmax()), int(phi[0, 0].argmin())
        base = phi[0, 0, bottom] if free_floor else 0.0
        height = max(phi[0, 0, top] - base, 1e-300)
        amplitude = u * (1.0 - rho) / height
        p[amp_at] = amplitude
        jac[amp_at, 0] = (1.0 - rho) / height
        d_base = dphi[0, :, 0, bottom] * scale[0] if free_floor else np.zeros(len(shape_at))
        d_height = dphi[0, :, 0, top] * scale[0] - d_base
        jac[amp_at, lead:] = -amplitude * d_height / height
        if floor_at is not None:
            p[floor_at] = u * rho - amplitude * base
            jac[floor_at, 0] = rho - jac[amp_at, 0] * base
            jac[amp_at, 1] = -u / height
            jac[floor_at, 1] = u - jac[amp_at, 1] * base
            jac[floor_at, lead:] = -jac[amp_at, lead:] * base - amplitude * d_base
        return p, jac

    def from_params(p: Array) -> Array:
        f = form.evaluate(x, p)
        z = np.empty(q)
        z[0] = np.clip(f.max(), 1e-6, 1.0 - 1e-6)
        if lead == 2:
            rest = f.min() if free_floor else p[floor_at or 0]
            z[1] = np.clip(rest / z[0], 1e-3, 1.0 - 1e-3)
        for j, i in enumerate(shape_at):
            z[lead + j] = float(inner(form.parameters[i], p[i]))
        return z

    low = np.concatenate([np.zeros(lead), lower_shape])
    high = np.concatenate([np.ones(lead), upper_shape])
    low[0], high[0] = 1e-12, 1.0 - 1e-12
    names = ("u", "rho")[:lead] + tuple(q.name for q in form.shape)
    return Coordinates(to_params, from_params, low, high, names)


@dataclass(frozen=True)
class Problem:
    """Least squares over the free coordinates of one curve and one form."""

    form: Form
    x: Array
    y: Array
    w: Array
    model: noises.Noise
    coordinates: Coordinates
    fixed: Mapping[int, float]
    errors: Arma = WHITE  # of the deviance residuals, in the order of the points

    @property
    def free(self) -> NDArray[np.int64]:
        """Coordinates that are searched."""
        return np.array([i for i in range(self.coordinates.lower.size) if i not in self.fixed], dtype=np.int64)

    @property
    def box(self) -> tuple[Array, Array]:
        """Their bounds."""
        return self.coordinates.lower[self.free], self.coordinates.upper[self.free]

    @property
    def rounding(self) -> float:
        """Cost that is nothing but rounding of the data."""
        return self.y.size * (64.0 * np.finfo(float).eps * float(np.abs(self.y * np.sqrt(self.w)).max())) ** 2

    def params(self, z: Array) -> tuple[Array, Array]:
        """Parameters and their derivative with respect to the free coordinates."""
        full = np.empty(self.coordinates.lower.size)
        full[self.free] = z
        full[list(self.fixed)] = list(self.fixed.values())
        p, chain = self.coordinates.to_params(full)
        return p, chain[:, self.free]

    def residual(self, z: Array) -> Array:
        """Deviance residuals (whitened), shape (n,)."""
        p, _ = self.params(z)
        with np.errstate(all="ignore"):
            r, _ = self.model.residual(self.y, self.form.evaluate(self.x, p), self.w)
        r = np.where(np.abs(r) < _HUGE, r, _HUGE)
        return r if self.errors.white else self.errors.whiten(r)[0]

    def jacobian(self, z: Array) -> Array:
        """Their derivative, shape (n, free)."""
        p, chain = self.params(z)
        with np.errstate(all="ignore"):
            _, slope = self.model.residual(self.y, self.form.evaluate(self.x, p), self.w)
            jac = slope[:, None] * (self.form.jacobian(self.x, p) @ chain)
        jac = np.where(np.isfinite(jac), jac, 0.0)
        return jac if self.errors.white else self.errors.whiten(jac.T).T


def minimise(problem: Problem, starts: Array, effort: int, tolerance: float = 1e-15) -> tuple[Array, float]:
    """Best parameters and cost Σr² over the starts (rows of parameters); NaN and inf where nothing finite is found.

    The starts are tried in order; of equal minima (components swapped) the first found stays, and the search ends
    when enough starts have led to the best one.
    """
    low, high = problem.box
    if low.size == 0:
        z0 = np.zeros(0)
        return problem.params(z0)[0], float((problem.residual(z0) ** 2).sum())
    unbounded = bool(np.all(np.isinf(low)) and np.all(np.isinf(high))) and problem.y.size >= low.size
    best, best_cost = np.full(len(problem.form.parameters), np.nan), math.inf
    agreed: set[int] = set()
    margin = np.where(np.isfinite(high - low), 1e-10 * (high - low), 0.0)
    for number, start in enumerate(starts):
        z0 = np.clip(problem.coordinates.from_params(start)[problem.free], low + margin, high - margin)
        for method in ("trf", "lm") if unbounded else ("trf",):
            z, cost = _descend(problem, z0, method, effort, tolerance)
            if cost < best_cost * (1.0 - _SAME) - problem.rounding:
                best, best_cost, agreed = problem.params(z)[0], cost, set()
            if cost <= best_cost * (1.0 + _SAME) + problem.rounding:
                agreed.add(number)
        if len(agreed) >= _AGREED:
            break
    return (best, best_cost) if best_cost < _HUGE else (best, math.inf)


def _descend(problem: Problem, z0: Array, method: str, effort: int, tolerance: float) -> tuple[Array, float]:
    """One run of scipy's least squares, polished if the last digits matter; cost inf where it breaks down."""
    from scipy.optimize import least_squares

    low, high = problem.box
    try:
        with np.errstate(all="ignore"):
            found = least_squares(
                problem.residual, z0, jac=problem.jacobian, method=method, x_scale="jac",
                bounds=(low, high) if method == "trf" else (-np.inf, np.inf),
                ftol=tolerance, xtol=tolerance, gtol=tolerance, max_nfev=effort,
            )  # fmt: skip
    except (ValueError, np.linalg.LinAlgError):
        return z0, math.inf
    return _polish(problem, found.x) if tolerance < 1e-12 else (found.x, 2.0 * float(found.cost))


def _polish(problem: Problem, z: Array) -> tuple[Array, float]:
    """Gauss–Newton steps on scaled columns, while they help: the last digits of ill-conditioned problems."""
    low, high = problem.box
    r = problem.residual(z)
    cost = float(r @ r)
    for _ in range(20):
        jac = problem.jacobian(z)
        size = np.linalg.norm(jac, axis=0)
        if not cost < _HUGE or not np.all(np.isfinite(size)):
            break
        size[size == 0] = 1.0
        try:
            step = np.linalg.lstsq(jac / size, -r, rcond=1e-15)[0] / size
        except np.linalg.LinAlgError:
            break
        trial = np.clip(z + step, low, high)
        r_trial = problem.residual(trial)
        trial_cost = float(r_trial @ r_trial)
        if not trial_cost <= cost or np.array_equal(trial, z):
            break
        done = cost - trial_cost <= 1e-15 * cost
        z, r, cost = trial, r_trial, trial_cost
        if done:
            break
    return z, cost


def _sobol(dimension: int, count: int, seed: int = 0) -> Array:
    from scipy.stats import qmc

    return np.asarray(qmc.Sobol(dimension, scramble=True, rng=seed).random(count))


def user_starts(form: Form, x: Array, y: Array, start: Mapping[str, float] | None) -> Array:
    """Starting values of a user's form, best guess first: (m, p)."""
    p = len(form.parameters)
    low, high = bounds_of(form, x)
    given = {**(form.start or {}), **(start or {})}
    for name in given:
        if name not in form.names:
            form.vector(given)  # raises with the nearest names
    base = np.array([given.get(name, 1.0) for name in form.names], dtype=float)
    cube = _sobol(p, 64, seed=1)
    finite = np.isfinite(low) & np.isfinite(high)
    if len(given) == p:
        around = base * np.exp(3.0 * (cube[:7] - 0.5))
        zero = base == 0
        around[:, zero] = 2.0 * cube[:7][:, zero] - 1.0
        return np.vstack([base, np.clip(around, low, high)])
    sign = np.where(cube < 0.5, -1.0, 1.0)
    spread = sign * 10.0 ** (8.0 * np.abs(2.0 * cube - 1.0) - 4.0)
    points = np.where(finite, low + cube * np.where(finite, high - low, 0.0), spread)
    for j, name in enumerate(form.names):
        if name in given:
            points[:, j] = given[name]
    points = np.vstack([base, np.clip(points, low, high)])
    with np.errstate(all="ignore"):
        costs = np.array([_cost(form, x, y, point) for point in points])
    return np.asarray(points[np.argsort(costs, kind="stable")[:16]])


def _cost(form: Form, x: Array, y: Array, p: Array) -> float:
    value = float(((y - form.evaluate(x, p)) ** 2).sum())
    return value if math.isfinite(value) else math.inf


def coordinates_of(form: Form, x: Array, noise: str) -> Coordinates:
    """Coordinates in which a form is searched under a noise model: those of a probability for a discrete one."""
    return anchored(form, x) if noises.get(noise).discrete and form.basis is not None else plain(form, x)


def minimise_with(
    form: Form,
    x: Array,
    y: Array,
    w: Array,
    noise: str,
    start: Array,
    held: Mapping[str, float],
    errors: Arma = WHITE,
) -> tuple[Array, float]:
    """Best parameters and least Σr² of the noise model with some parameters held, from one start (for profiles)."""
    coordinates = coordinates_of(form, x, noise)
    begin = start.copy()
    for name, value in held.items():
        begin[form.names.index(name)] = value
    inside = coordinates.from_params(begin)
    fixed = {coordinates.names.index(name): float(inside[coordinates.names.index(name)]) for name in held}
    problem = Problem(form, x, y, w, noises.get(noise), coordinates, fixed, errors)
    return minimise(problem, begin[None], effort=60, tolerance=1e-9)

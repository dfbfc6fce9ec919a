"""Least squares for what is not separable.

Other noise models than the Gaussian one, and users' forms.

Maximum likelihood is the minimum of the sum of squared deviance residuals, so least squares does the search, from
many starts, in coordinates that keep every trial point meaningful: in compiled code for built-in forms
(:mod:`cogfit.native.likelihood`), in Python for users'.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cogfit.engine import noise as noises
from cogfit.engine import trust_region
from cogfit.engine.arma import WHITE, Arma
from cogfit.engine.bins import LONG
from cogfit.engine.separable import bounds_of, inner, model_of, natural_of, safe_log, shape_box
from cogfit.formulas.form import Array, Form
from cogfit.native.kernels import Filter
from cogfit.native.likelihood import NOISES, Likelihood

_HUGE = 1e100  # stands for a residual that is not finite
_SAME_COST = 1e-9  # relative difference of costs below which two minima are the same
_ENOUGH_STARTS = 3  # starts that must end in the best minimum before the others are skipped
# Compiled descents cost little: each start is followed carefully and boldly, to the end.
_DAMPINGS = (100.0, 1.0, 1e-3)
_EVALUATIONS = 1000
_SHIFTS = (-1.5, -0.3, 0.3, 1.5)  # of a non-linear parameter from the best minimum, to look for a better one beside it
_SHARES = (0.1, 0.5, 0.9)  # of its range, where it is tried as well


@dataclass(frozen=True)
class Coordinates:
    """Search coordinates z of a general problem.

    How z maps to parameters, with derivative and bounds.
    """

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
    """Coordinates of a probability curve, in [0, 1].

    u = largest fitted value, ρ = share of it that is floor; then the non-linear parameters.

    With f = u[ρ + (1−ρ) φ/φ_max] every point of the box is a valid probability curve, so A·k_min^−γ ≤ 1 and its
    relatives hold by construction (a form with a free constant is anchored at the smallest φ).
    """
    assert form.basis is not None
    lower_shape, upper_shape = shape_box(form, x)
    anchor = _Anchor.from_form(form, x)
    low = np.concatenate([np.zeros(anchor.lead), lower_shape])
    high = np.concatenate([np.ones(anchor.lead), upper_shape])
    low[0], high[0] = 1e-12, 1.0 - 1e-12
    names = ("u", "rho")[: anchor.lead] + tuple(q.name for q in form.shape)
    return Coordinates(anchor.to_params, anchor.from_params, low, high, names)


@dataclass(frozen=True)
class _Anchor:
    """Map between the coordinates of a probability curve and parameters.

    Attributes
    ----------
    form, x, lx
        The form, its axis, and log x.
    shape_at : list of int
        Positions of the non-linear parameters.
    amplitude_at, floor_at : int or None
        Positions of the others.
    lead : int
        Coordinates before the non-linear ones: u, and ρ for a form with a floor.
    """

    form: Form
    x: Array
    lx: Array
    shape_at: list[int]
    amplitude_at: int | None
    floor_at: int | None
    lead: int

    @classmethod
    def from_form(cls, form: Form, x: Array) -> _Anchor:
        """Find the roles of the parameters."""
        shape_at = [i for i, q in enumerate(form.parameters) if q.role == "shape"]
        amplitude_at = next((i for i, q in enumerate(form.parameters) if q.role == "amplitude"), None)
        floor_at = next((i for i, q in enumerate(form.parameters) if q.role == "floor"), None)
        lead = 1 + int(floor_at is not None and amplitude_at is not None)
        return cls(form, x, safe_log(x), shape_at, amplitude_at, floor_at, lead)

    @property
    def has_free_floor(self) -> bool:
        """Whether the additive constant may be negative.

        φ is then anchored at its smallest value.
        """
        return self.floor_at is not None and math.isinf(self.form.parameters[self.floor_at].lower)

    def to_params(self, z: Array) -> tuple[Array, Array]:
        """Parameters (p,) and their derivative by the coordinates (p, q)."""
        p, jac = np.zeros(len(self.form.parameters)), np.zeros((len(self.form.parameters), z.size))
        u = z[0]
        if self.amplitude_at is None:  # the constant
            p[0], jac[0, 0] = u, 1.0
            return p, jac
        amp_at, floor_at, lead = self.amplitude_at, self.floor_at, self.lead
        rho = z[1] if floor_at is not None else 0.0

        # the non-linear parameters are coordinates themselves, scales as logarithms
        natural, scale = natural_of(self.form, z[None, lead:])
        p[self.shape_at] = natural[0]
        for j, i in enumerate(self.shape_at):
            jac[i, lead + j] = scale[0, j]

        # the amplitude takes φ from its base to u(1 − ρ)
        base, height, d_base, d_height = self._height(natural, scale)
        amplitude = u * (1.0 - rho) / height
        p[amp_at] = amplitude
        jac[amp_at, 0] = (1.0 - rho) / height
        jac[amp_at, lead:] = -amplitude * d_height / height

        # the floor is the share ρ of u, less what the base of φ adds
        if floor_at is not None:
            p[floor_at] = u * rho - amplitude * base
            jac[floor_at, 0] = rho - jac[amp_at, 0] * base
            jac[amp_at, 1] = -u / height
            jac[floor_at, 1] = u - jac[amp_at, 1] * base
            jac[floor_at, lead:] = -jac[amp_at, lead:] * base - amplitude * d_base
        return p, jac

    def _height(self, natural: Array, scale: Array) -> tuple[float, float, Array, Array]:
        """Base of φ and height above it, with derivatives."""
        phi, dphi = self.form.columns(self.x, self.lx, natural)
        top, bottom = int(phi[0, 0].argmax()), int(phi[0, 0].argmin())
        base = phi[0, 0, bottom] if self.has_free_floor else 0.0
        height = max(phi[0, 0, top] - base, 1e-300)
        d_base = dphi[0, :, 0, bottom] * scale[0] if self.has_free_floor else np.zeros(len(self.shape_at))
        d_height = dphi[0, :, 0, top] * scale[0] - d_base
        return base, height, d_base, d_height

    def from_params(self, p: Array) -> Array:
        """Coordinates (q,) of given parameters, inside the box."""
        f = self.form.evaluate(self.x, p)
        z = np.empty(self.lead + len(self.shape_at))
        z[0] = np.clip(f.max(), 1e-6, 1.0 - 1e-6)
        if self.lead == 2:
            floor = f.min() if self.has_free_floor else p[self.floor_at or 0]
            z[1] = np.clip(floor / z[0], 1e-3, 1.0 - 1e-3)
        for j, i in enumerate(self.shape_at):
            z[self.lead + j] = float(inner(self.form.parameters[i], p[i]))
        return z


@dataclass(frozen=True)
class Problem:
    """Least squares over the free coordinates of one fit.

    One curve and one form; the other coordinates are held.
    """

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
    """Fit from several starts and return the best.

    Parameters and cost Σr²; NaN and inf if no start (row of parameters) leads to anything finite.

    The starts are tried in order; of equal minima (components swapped) the first found stays, and the search ends
    when enough starts have led to the best one. Built-in forms are fitted in compiled code, which takes no account of
    `effort`: evaluations cost little there.
    """
    low, high = problem.box
    if low.size == 0:
        z0 = np.zeros(0)
        return problem.params(z0)[0], float((problem.residual(z0) ** 2).sum())
    margin = np.where(np.isfinite(high - low), 1e-10 * (high - low), 0.0)
    if problem.form.basis is not None and problem.model.name in NOISES:
        points = [
            np.clip(problem.coordinates.from_params(p)[problem.free], low + margin, high - margin) for p in starts
        ]
        return _minimise_compiled(problem, np.array(points), tolerance)
    is_open = bool(np.all(np.isinf(low)) and np.all(np.isinf(high))) and problem.y.size >= low.size
    best, best_cost = np.full(len(problem.form.parameters), np.nan), math.inf
    agreed: set[int] = set()
    for number, start in enumerate(starts):
        z0 = np.clip(problem.coordinates.from_params(start)[problem.free], low + margin, high - margin)
        # without bounds MINPACK's method is tried as well: it ends in other minima now and then
        for method in ("trf", "lm") if is_open else ("trf",):
            z, cost = _descend(problem, z0, method, effort, tolerance)
            if cost < best_cost * (1.0 - _SAME_COST) - problem.rounding:
                best, best_cost, agreed = problem.params(z)[0], cost, set()
            if cost <= best_cost * (1.0 + _SAME_COST) + problem.rounding:
                agreed.add(number)
        if len(agreed) >= _ENOUGH_STARTS:
            break
    return (best, best_cost) if best_cost < _HUGE else (best, math.inf)


def _minimise_compiled(problem: Problem, points: Array, tolerance: float) -> tuple[Array, float]:
    """Fit a built-in form from several points of the free coordinates and return the best."""
    coordinates, order = problem.coordinates, kernel_order(problem)
    full = np.empty((len(points), order.size))
    full[:, problem.free] = points
    full[:, list(problem.fixed)] = list(problem.fixed.values())
    likelihood, box = compiled(problem), (coordinates.lower[order], coordinates.upper[order])
    precise = min(tolerance, 1e-12)
    best, best_cost = full[0][order], math.inf

    def improve(likelihood: Likelihood, points: Array, damping: float, by: float = _SAME_COST) -> None:
        nonlocal best, best_cost
        z, costs = likelihood.descend(points, *box, damping=damping, tolerance=precise, evaluations=_EVALUATIONS)
        for point, cost in zip(z, costs.tolist(), strict=True):
            if cost < best_cost * (1.0 - by) - (problem.rounding if by else 0.0):
                best, best_cost = point, cost

    # a long curve has been searched in bins, and starts beside its minimum
    is_long = problem.x.size > LONG
    for damping in _DAMPINGS[-1:] if is_long else _DAMPINGS:
        improve(likelihood, full[:, order], damping)
    if tolerance < 1e-12 and problem.form.shape and best_cost < _HUGE and not is_long:
        improve(likelihood, _around(problem, best, order, box), _DAMPINGS[0])
    # where a location has come to a point of the axis the likelihood has a kink, and the others end beside their best
    kinks = [k for k, i in enumerate(order) if coordinates.names[i] in _locations(problem.form)]
    if kinks and best_cost < _HUGE:
        held = replace(likelihood, held=tuple({*likelihood.held, *kinks}))
        improve(held, best[None], _DAMPINGS[-1], by=0.0)
    if not best_cost < _HUGE:
        return np.full(len(problem.form.parameters), np.nan), math.inf
    return coordinates.to_params(best[np.argsort(order)])[0], best_cost


def _around(problem: Problem, point: Array, order: NDArray[np.int64], box: tuple[Array, Array]) -> Array:
    """Points beside one, in the directions of the non-linear parameters."""
    shape = {q.name for q in problem.form.shape}
    free = set(problem.free.tolist())
    columns = [k for k, i in enumerate(order) if problem.coordinates.names[i] in shape and i in free]
    shifts = np.zeros((len(columns), len(_SHIFTS), point.size))
    for k, column in enumerate(columns):
        shifts[k, :, column] = _SHIFTS
    across = np.tile(point, (len(columns), len(_SHARES), 1))
    for k, column in enumerate(columns):
        across[k, :, column] = box[0][column] + np.array(_SHARES) * (box[1][column] - box[0][column])
    beside = np.concatenate([(point + shifts).reshape(-1, point.size), across.reshape(-1, point.size)])
    return np.asarray(np.clip(beside, *box))


def _locations(form: Form) -> tuple[str, ...]:
    """Parameters that are places on the axis."""
    return tuple(q.name for q in form.shape if q.interior)


def compiled(problem: Problem) -> Likelihood:
    """A problem of a built-in form for the kernels."""
    form, x = problem.form, problem.x
    order = kernel_order(problem).tolist()
    is_anchored = problem.model.discrete
    logs = sum(1 << j for j, q in enumerate(form.shape) if (q.in_logs if is_anchored else q.log))
    return Likelihood(
        model=replace(model_of(form), logs=logs),
        noise=problem.model.name,
        is_anchored=is_anchored,
        has_open_floor=form.floor is not None and math.isinf(form.floor.lower),
        x=x,
        log_x=safe_log(x),
        y=problem.y,
        w=problem.w,
        whitening=Filter(*problem.errors.filter(x.size)),
        held=tuple(order.index(k) for k in problem.fixed),
    )


def kernel_order(problem: Problem) -> NDArray[np.int64]:
    """Coordinates in the order of the kernels.

    That is amplitudes, non-linear parameters, floor.
    """
    roles = [q.role for q in problem.form.parameters]
    if problem.model.discrete:
        return np.arange(len(roles))
    return np.array([i for role in ("amplitude", "shape", "floor") for i, own in enumerate(roles) if own == role])


def _descend(problem: Problem, z0: Array, method: str, effort: int, tolerance: float) -> tuple[Array, float]:
    """One run of least squares.

    Polished if the last digits matter; the cost is inf where it breaks down.
    """
    search = _minpack if method == "lm" else trust_region.least_squares
    try:
        with np.errstate(all="ignore"):
            z, cost = search(
                problem.residual, problem.jacobian, z0, problem.box, tolerance=tolerance, evaluations=effort
            )
    except (ValueError, np.linalg.LinAlgError):
        return z0, math.inf
    return _polish(problem, z) if tolerance < 1e-12 else (z, 2.0 * cost)


def _minpack(
    residual: Callable[[Array], Array],
    jacobian: Callable[[Array], Array],
    start: Array,
    bounds: tuple[Array, Array],
    *,
    tolerance: float,
    evaluations: int,
) -> tuple[Array, float]:
    """MINPACK's Levenberg–Marquardt, as `trust_region.least_squares` is called; the bounds are infinite."""
    from scipy.optimize import least_squares

    result = least_squares(
        residual,
        start,
        jac=jacobian,
        method="lm",
        x_scale="jac",
        ftol=tolerance,
        xtol=tolerance,
        gtol=tolerance,
        max_nfev=evaluations,
    )
    return result.x, float(result.cost)


def _polish(problem: Problem, z: Array) -> tuple[Array, float]:
    """Polish a fit with scaled Gauss–Newton steps.

    They go on while they help: ill-conditioned problems owe their last digits to them.
    """
    low, high = problem.box
    r = problem.residual(z)
    cost = float(r @ r)
    for _ in range(20):
        jac = problem.jacobian(z)
        length = np.linalg.norm(jac, axis=0)
        if not cost < _HUGE or not np.all(np.isfinite(length)):
            break
        length[length == 0] = 1.0
        try:
            step = np.linalg.lstsq(jac / length, -r, rcond=1e-15)[0] / length
        except np.linalg.LinAlgError:
            break
        trial = np.clip(z + step, low, high)
        r_trial = problem.residual(trial)
        trial_cost = float(r_trial @ r_trial)
        if not trial_cost <= cost or np.array_equal(trial, z):
            break
        is_settled = cost - trial_cost <= 1e-15 * cost
        z, r, cost = trial, r_trial, trial_cost
        if is_settled:
            break
    return z, cost


def _sobol(dimension: int, count: int, seed: int = 0) -> Array:
    from scipy.stats import qmc

    return np.asarray(qmc.Sobol(dimension, scramble=True, rng=seed).random(count))


def user_starts(form: Form, x: Array, y: Array, start: Mapping[str, float] | None) -> Array:
    """Starting values of a user's form, (m, p).

    The best guess comes first.
    """
    p = len(form.parameters)
    low, high = bounds_of(form, x)
    given = {**(form.start or {}), **(start or {})}
    for name in given:
        if name not in form.names:
            form.vector(given)  # raises with the nearest names
    base = np.array([given.get(name, 1.0) for name in form.names], dtype=float)
    cube = _sobol(p, 64, seed=1)
    finite = np.isfinite(low) & np.isfinite(high)
    # all values given: these, and a few within a factor 4.5 (or within ±1 of 0)
    if len(given) == p:
        near_start = base * np.exp(3.0 * (cube[:7] - 0.5))
        is_zero = base == 0
        near_start[:, is_zero] = 2.0 * cube[:7][:, is_zero] - 1.0
        return np.vstack([base, np.clip(near_start, low, high)])
    # in a finite box anywhere; else either sign and 10⁻⁴ … 10⁴ in size
    sign = np.where(cube < 0.5, -1.0, 1.0)
    spread = sign * 10.0 ** (8.0 * np.abs(2.0 * cube - 1.0) - 4.0)
    points = np.where(finite, low + cube * np.where(finite, high - low, 0.0), spread)
    for j, name in enumerate(form.names):
        if name in given:
            points[:, j] = given[name]
    # of all points those with the smallest residuals
    points = np.vstack([base, np.clip(points, low, high)])
    with np.errstate(all="ignore"):
        costs = np.array([_cost(form, x, y, point) for point in points])
    return np.asarray(points[np.argsort(costs, kind="stable")[:16]])


def _cost(form: Form, x: Array, y: Array, p: Array) -> float:
    value = float(((y - form.evaluate(x, p)) ** 2).sum())
    return value if math.isfinite(value) else math.inf


def coordinates_of(form: Form, x: Array, noise: str) -> Coordinates:
    """Coordinates in which a form is searched.

    Those of a probability for a discrete noise model, else the plain ones.
    """
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
    """Fit with some parameters held, from one start.

    Best parameters and least Σr² of the noise model; for profiles.
    """
    coordinates = coordinates_of(form, x, noise)
    start_params = start.copy()
    for name, value in held.items():
        start_params[form.names.index(name)] = value
    start_z = coordinates.from_params(start_params)
    fixed = {coordinates.names.index(name): float(start_z[coordinates.names.index(name)]) for name in held}
    problem = Problem(form, x, y, w, noises.get(noise), coordinates, fixed, errors)
    return minimise(problem, start_params[None], effort=60, tolerance=1e-9)

"""From members to the parameters of their population."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.native.distributions import normal_quantile, student_quantile
from cogfit.population.alternate import Alternated, alternate
from cogfit.population.blocks import Block
from cogfit.population.layout import Layout
from cogfit.population.marginal import coordinates_at, find_modes
from cogfit.population.maximise import Maximum, maximise, root_of
from cogfit.population.model import Model
from cogfit.population.objective import MarginalObjective, Objective, Parts, one_population
from cogfit.population.profile import Calibration, Profile, interval_of, parabola_of, profile_of
from cogfit.population.records import MixedParameter
from cogfit.population.starts import Start
from cogfit.population.task import MANY

_ZERO = 0.01  # standard deviation over members, in units of that of single estimates, that is none


_VAGUE = 10.0  # standard error of a mean, relative to its size or the spread, that determines nothing


class NoFit(InputError):
    """A form that cannot be fitted to the members together."""


@dataclass(frozen=True)
class Estimated:
    """A fitted population.

    Attributes
    ----------
    model : Model
    layout : Layout
    maximum : Maximum
    objective : Objective
        Of which it is the maximum.
    log_likelihood : float
    modes : list of list of ndarray
        Deviations u of the blocks of each part.
    """

    model: Model
    layout: Layout
    maximum: Maximum
    objective: Objective
    log_likelihood: float
    modes: list[list[Array]]

    @property
    def n_members(self) -> int:
        """Number of members."""
        return sum(len(u) for part in self.modes for u in part)


def begin(
    model: Model, parts: Parts, layout: Layout, start: Start, totals: tuple[int, float], **how: Any
) -> Alternated:
    """Fit by alternation from a guess.

    The members begin at the mean: their own estimates may be far off.

    Raises
    ------
    InputError
        If it leads nowhere.
    """
    random = list(model.random)
    theta = layout.pack(start.mean, np.diag(start.spread[random]), math.log(start.sigma))
    shapes = parts.run(_member_counts, [None] * len(parts.sizes))
    modes = [[np.zeros((count, layout.q)) for count in counts] for counts in shapes]
    try:
        with np.errstate(all="ignore"):
            found = alternate(model, parts, layout, theta, modes, totals, **how)
    except np.linalg.LinAlgError:
        why = "the points lie on curves of this form to rounding, or do not determine its parameters"
        raise _hopeless(model, why) from None
    except (FloatingPointError, ValueError) as error:
        raise _hopeless(model, str(error)) from None
    if not (np.isfinite(found.theta).all() and math.isfinite(found.log_likelihood)):
        raise _hopeless(model, "the likelihood is not finite")
    return found


def _hopeless(model: Model, why: str) -> NoFit:
    hint = "name fewer parameters in `random`, a simpler form, or a `start`; lognormal noise needs curves above 0"
    return NoFit(f"{model.title} cannot be fitted to these members together ({why})", hint=hint)


def _member_counts(blocks: list[Block], own: None) -> list[int]:
    """Members of the blocks of a part."""
    return [block.members.size for block in blocks]


def finish(
    model: Model, parts: Parts, layout: Layout, found: Alternated, *, nodes: int, is_restricted: bool
) -> Estimated:
    """Go on to the integrated likelihood where asked.

    Parameters
    ----------
    nodes : int
        0 for the former, otherwise the points of the quadrature; 1 is Laplace's approximation.
    """
    objective: Objective = found.objective
    maximum, modes = Maximum(found.theta, found.covariance, found.is_converged, found.is_flat), found.modes
    if nodes > 0:
        marginal = MarginalObjective(model, parts, layout, nodes, is_restricted, modes, root_of(found.covariance))
        with np.errstate(all="ignore"):
            maximum = maximise(marginal, found.theta, found.covariance, is_curvature_known=sum(parts.sizes) > MANY)
            maximum = maximum._replace(is_flat=maximum.is_flat | found.is_flat)
        if not np.isfinite(maximum.theta).all():
            raise _hopeless(model, "the likelihood is not finite")
        marginal.scale = root_of(maximum.covariance)
        objective, modes = marginal, marginal.modes
    value = objective.value(maximum.theta)
    return Estimated(model, layout, maximum, objective, value, modes)


def canonical(found: Estimated) -> Estimated:
    """Make the diagonal of the factor positive."""
    layout = found.layout
    factor = layout.unpack(found.maximum.theta).factor
    sign = np.where(np.diag(factor) < 0.0, -1.0, 1.0)
    change = layout.joined(np.ones(layout.p), layout.pack_factor(np.tile(sign, (layout.q, 1))), 1.0)
    maximum = found.maximum
    turned = Maximum(
        maximum.theta * change, maximum.covariance * np.outer(change, change), maximum.is_converged, maximum.is_flat
    )
    modes = [[u * sign for u in part] for part in found.modes]
    if isinstance(found.objective, MarginalObjective):
        found.objective.modes = modes
        found.objective.scale = found.objective.scale * change[:, None]
    return replace(found, maximum=turned, modes=modes)


# ------------------------------------------------------------------------------------------------------ members


def predict_members(found: Estimated, parts: Parts) -> tuple[Array, Array, Array]:
    """Shrunken coordinates of the members.

    Return them, the standard errors of their distance from the truth, and the conditional variances alone, (m, p)
    each.
    """
    p, n_members = found.layout.p, sum(parts.sizes)
    covariance = found.maximum.covariance[:p, :p]
    params, stderr, conditional = (np.empty((n_members, p)) for _ in range(3))
    answers = parts.run(_predict_part, found.modes, found.model, found.layout, found.maximum.theta, covariance)
    first = 0
    for size, answer in zip(parts.sizes, answers, strict=True):
        for members, coordinates, error, variance in answer:
            rows = first + members
            params[rows], stderr[rows], conditional[rows] = coordinates, error, variance
        first += size
    return params, stderr, conditional


def _predict_part(
    blocks: list[Block], modes: list[Array], model: Model, layout: Layout, theta: Array, covariance: Array
) -> list[tuple[Any, Array, Array, Array]]:
    """Shrunken coordinates of the members of a part."""
    population, random = one_population(layout.unpack(theta)), np.array(model.random)
    factor, answers = population.factor[0], []
    for block, u in zip(blocks, modes, strict=True):
        best = find_modes(model, block, population, u[None])
        coordinates = coordinates_at(model, population, best.u)[0]
        inverse = np.linalg.inv(best.curvature[0])
        spread = factor @ inverse @ factor.T
        variance = np.zeros_like(coordinates)
        variance[:, random] = np.diagonal(spread, axis1=1, axis2=2)
        # an error of the mean is passed on as far as the member's own points do not correct it
        passed = np.repeat(np.eye(model.size)[None], len(coordinates), axis=0)
        cross = best.information[0][..., random, :]
        passed[:, random] -= spread @ cross
        error = variance + np.einsum("mij,jk,mik->mi", passed, covariance, passed)
        answers.append((block.members, coordinates, np.sqrt(np.maximum(error, 0.0)), variance))
    return answers


# --------------------------------------------------------------------------------------------------- parameters


def deviations_covariance(found: Estimated) -> Array:
    """Covariance of the coordinates over members, (q, q)."""
    factor = found.layout.unpack(found.maximum.theta).factor
    return np.asarray(factor @ factor.T)


def describe(
    found: Estimated,
    conditional: Array,
    profiles: tuple[Profile, Profile | None] | None,
    level: float,
    calibration: Calibration,
) -> tuple[MixedParameter, ...]:
    """Mean and standard deviation of every parameter, with intervals.

    Parameters
    ----------
    found : Estimated
    conditional : ndarray, shape (m, p)
        Variances of the members given their points.
    profiles : (Profile, Profile or None), optional
        Of mean and standard deviation of γ.
    level : float
    calibration : Calibration
    """
    model, spread, is_open = found.model, deviations_covariance(found), is_undetermined(found)
    out = []
    for j, name in enumerate(model.names):
        mean, stderr = float(found.maximum.theta[j]), math.sqrt(max(float(found.maximum.covariance[j, j]), 0.0))
        half = student_quantile(0.5 + 0.5 * level, calibration.degrees_of_freedom) * stderr
        low, high, method = mean - half, mean + half, "Student's t"
        sd, sd_stderr, sd_low, sd_high, reliability = 0.0, math.nan, math.nan, math.nan, math.nan
        if j in model.random:
            place = model.random.index(j)
            sd = math.sqrt(float(spread[place, place]))
            sd_low = 0.0
            if not is_shared(found, place):
                sd_stderr = _spread_error(found, place, sd)
                sd_low, sd_high = _spread_limits(sd, sd_stderr, level)
            reliability = max(0.0, 1.0 - float(conditional[:, j].mean()) / sd**2) if sd > 0.0 else 0.0
        if is_open[j]:
            stderr, low, high, method = math.inf, -math.inf, math.inf, "not determined"
        elif profiles is not None and name == model.gamma:
            low, high = interval_of(profiles[0], calibration, level, is_spread=False)
            method = "profile likelihood"
            if profiles[1] is not None:
                sd_low, sd_high = interval_of(profiles[1], calibration, level, is_spread=True)
        out.append(
            MixedParameter(
                name=name,
                is_log=bool(model.is_log[j]),
                mean=mean,
                stderr=stderr,
                low=low,
                high=high,
                sd=sd,
                sd_stderr=sd_stderr,
                sd_low=sd_low,
                sd_high=sd_high,
                reliability=reliability,
                method=method,
                is_logit=bool(model.is_logit[j]),
            )
        )
    return tuple(out)


def is_shared(found: Estimated, place: int) -> bool:
    """Whether no difference between members is seen."""
    j, maximum = found.model.random[place], found.maximum
    sd = math.sqrt(float(deviations_covariance(found)[place, place]))
    single = math.sqrt(max(float(maximum.covariance[j, j]), 0.0) * found.n_members)
    return sd <= _ZERO * single


def _spread_error(found: Estimated, place: int, sd: float) -> float:
    """Standard error of a standard deviation over members, by the row of the factor."""
    layout = found.layout
    row = np.zeros((layout.q, layout.q))
    row[place] = layout.unpack(found.maximum.theta).factor[place] / sd if sd > 0.0 else np.eye(layout.q)[place]
    slope = layout.pack_factor(row)
    covariance = found.maximum.covariance[layout.entries, layout.entries]
    return math.sqrt(max(0.0, float(slope @ covariance @ slope)))


def _spread_limits(sd: float, stderr: float, level: float) -> tuple[float, float]:
    """Limits by the normal law of the logarithm; from 0 where it may be 0."""
    z = normal_quantile(0.5 + 0.5 * level)
    if sd <= z * stderr:
        return 0.0, sd + z * stderr
    factor = math.exp(z * stderr / sd)
    return sd / factor, sd * factor


def profiles_of(found: Estimated) -> tuple[Profile, Profile | None] | None:
    """Profiles of mean and standard deviation of γ."""
    model, layout = found.model, found.layout
    if model.gamma is None:
        return None
    index = model.names.index(model.gamma)
    if found.n_members > MANY:
        spread = parabola_of(found.maximum, layout.spread, lowest=0.0) if index in model.random else None
        return parabola_of(found.maximum, index), spread
    with np.errstate(all="ignore"):
        mean = profile_of(found.objective, found.maximum, index)
        if index not in model.random:
            return mean, None
        return mean, profile_of(found.objective, found.maximum, layout.spread, lowest=0.0)


def judge(found: Estimated) -> tuple[str, str]:
    """Status of a fit, and the reason."""
    model, maximum, layout = found.model, found.maximum, found.layout
    if not maximum.is_converged:
        return "not_converged", "the search for the maximum did not end"
    errors = np.sqrt(np.maximum(np.diag(maximum.covariance)[: layout.p], 0.0))
    size = np.maximum(np.abs(maximum.theta[: layout.p]), np.sqrt(_full_variance(found)))
    is_loose = is_undetermined(found) | ~(errors < _VAGUE * np.maximum(size, 1e-300))
    if is_loose.any():
        loose = ", ".join(model.names[j] for j in np.flatnonzero(is_loose).tolist())
        return "not_identified", f"the data do not determine the mean of {loose}"
    spread = deviations_covariance(found)
    shared = [model.names[j] for place, j in enumerate(model.random) if is_shared(found, place)]
    if shared:
        return "at_bound", f"no difference between members is seen in {', '.join(shared)}"
    values = np.linalg.eigvalsh(spread / np.sqrt(np.outer(np.diag(spread), np.diag(spread))))
    if layout.is_full and layout.q > 1 and values[0] < 1e-6:
        return "at_bound", "some parameters go together perfectly over members"
    return "ok", ""


def is_undetermined(found: Estimated) -> NDArray[np.bool_]:
    """Which means the curvature leaves open."""
    p = found.layout.p
    return np.asarray(found.maximum.is_flat[:p] | ~(np.diag(found.maximum.covariance)[:p] > 0.0), dtype=bool)


def _full_variance(found: Estimated) -> Array:
    """Variance over members of every parameter, (p,)."""
    out = np.zeros(found.layout.p)
    out[list(found.model.random)] = np.diag(deviations_covariance(found))
    return out


class Scatter(NamedTuple):
    """How residuals lie about the members' curves.

    Attributes
    ----------
    correlation : float
        Of neighbours within members.
    square : float
        Sum of the squares, by the weights of the points.
    """

    correlation: float
    square: float


def scatter_of(found: Estimated, parts: Parts, params: Array) -> Scatter:
    """Look at the residuals about the members' own curves."""
    own = np.split(params, np.cumsum(parts.sizes)[:-1])
    product, square = np.sum(parts.run(_neighbour_products, own, found.model), axis=0)
    return Scatter(float(product / square) if square > 0.0 else 0.0, float(square))


def _neighbour_products(blocks: list[Block], params: Array, model: Model) -> tuple[float, float]:
    """Sums of products of neighbouring residuals, and of squares."""
    product = square = 0.0
    for block in blocks:
        value, _ = model.curve(block.x, block.covariates, params[block.members])
        error = model.errors(block.y, value, block.w)
        residual = np.sqrt(error.weight) * error.residual
        product += float((residual[:, 1:] * residual[:, :-1]).sum())
        square += float((residual**2).sum())
    return product, square

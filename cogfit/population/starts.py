"""Where the search for a population begins.

Every member is fitted by itself, by the engine in one call; medians and absolute deviations of these estimates are the
start. Members that cannot be fitted by themselves do not matter here, and are in the model all the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError
from cogfit.formulas.form import Array, Form
from cogfit.formulas.registry import POWER, forms
from cogfit.many.batch import Options, fit_collection
from cogfit.many.collection import Collection
from cogfit.population.blocks import Block
from cogfit.population.members import Members, usable
from cogfit.population.model import Model
from cogfit.population.objective import Parts

_MOST_BY_FUNCTION = 100  # members of a user's form that are fitted one by one
_LEAST_SPREAD = 0.05  # of a parameter, relative to its size
_ENOUGH = 0.3  # of the members off all bounds, so that only these make the start


@dataclass(frozen=True)
class OwnFits:
    """Members fitted by themselves.

    Attributes
    ----------
    params, stderr : ndarray, shape (members, p)
        Coordinates and their standard errors, NaN where there is no estimate.
    is_inside : ndarray of bool, shape (members,)
        Whether an estimate lies off all bounds.
    rss, spare : float
        Residual sum of squares and degrees of freedom, all members together.
    """

    params: Array
    stderr: Array
    is_inside: NDArray[np.bool_]
    rss: float
    spare: float


@dataclass(frozen=True)
class Start:
    """A first guess at a population.

    Attributes
    ----------
    mean, spread : ndarray, shape (p,)
        Of the coordinates.
    sigma : float
        Residual standard deviation, NaN where members alone do not tell it.
    """

    mean: Array
    spread: Array
    sigma: float


def start_of(model: Model, own: OwnFits, start: Mapping[str, float] | None) -> Start:
    """Guess a population from its members' own estimates.

    Parameters
    ----------
    model : Model
    own : OwnFits
    start : mapping of str to float, optional
        Values of the caller.

    Raises
    ------
    InputError
        If a function has no start, or no member gives one.
    """
    has_own = usable(own.params)
    if (has_own & own.is_inside).sum() >= max(3, _ENOUGH * has_own.sum()):
        has_own &= own.is_inside
    mean, spread = np.full(model.size, np.nan), np.full(model.size, np.nan)
    if has_own.sum() >= 2:
        mean = np.median(own.params[has_own], axis=0)
        spread = 1.4826 * np.median(np.abs(own.params[has_own] - mean), axis=0)
    if start is not None:
        mean = _given(model, start)
    if not np.isfinite(mean).all():
        hint = "pass `start`, a value for each of " + ", ".join(model.names)
        raise InputError(f"no member by itself gives a start for {model.title}", hint=hint)
    spread = np.fmax(
        spread, _LEAST_SPREAD * np.maximum(np.abs(mean), np.where(model.is_log | model.is_logit, 1.0, 0.0))
    )
    sigma = 1.0 if model.counted else math.sqrt(own.rss / own.spare) if own.spare > 0.0 else math.nan
    spread = np.where(spread > 0.0, spread, np.where(_is_in_units_of_y(model), 0.3 * sigma, _LEAST_SPREAD))
    return Start(mean, np.where(np.isfinite(spread), spread, _LEAST_SPREAD), sigma)


def _is_in_units_of_y(model: Model) -> NDArray[np.bool_]:
    """Which parameters are in the unit of the residuals."""
    if model.form is None or model.relative or model.counted:
        return np.zeros(model.size, dtype=bool)
    return np.array([q.unit == "y" for q in model.form.parameters], dtype=bool) & ~(model.is_log | model.is_logit)


def without_floor(model: Model) -> Form | None:
    """Find the form that is left without a floor.

    None if there is none.
    """
    if model.form is None or model.form.floor is None:
        return None
    floor = model.form.floor.name
    rest = tuple(name for name in model.names if name != floor)
    return next((form for form in forms().values() if form.name in model.form.contains and form.names == rest), None)


def start_at_no_floor(model: Model, theta: Array, spread: Array, sigma: float) -> Start:
    """Start from a population that was fitted without a floor.

    Parameters
    ----------
    model : Model
        With a floor.
    theta, spread : ndarray, shape (p - 1,)
        Means and standard deviations of the others.
    sigma : float
    """
    assert model.form is not None
    assert model.form.floor is not None
    place = model.names.index(model.form.floor.name)
    return Start(np.insert(theta, place, 0.0), np.insert(np.maximum(spread, 1e-3), place, 0.3 * sigma), sigma)


def _given(model: Model, start: Mapping[str, float]) -> Array:
    """Coordinates of a caller's values."""
    missing = [name for name in model.names if name not in start]
    unknown = [name for name in start if name not in model.names]
    if missing or unknown:
        what = f"`start` lacks {', '.join(missing)}" if missing else f"`start` has no parameter '{unknown[0]}' to set"
        raise InputError(what, hint=f"the parameters are {', '.join(model.names)}")
    try:
        values = np.array([float(start[name]) for name in model.names])
    except (TypeError, ValueError):
        raise InputError("`start` holds values that are no numbers") from None
    coordinates = model.coordinates(values)
    if not np.isfinite(coordinates).all():
        bad = model.names[int(np.flatnonzero(~np.isfinite(coordinates))[0])]
        raise InputError(f"`start` of '{bad}' cannot be {start[bad]!r}", hint="its logarithm must be finite")
    return coordinates


def fit_alone(model: Model, members: Members, *, is_rough: bool) -> OwnFits:
    """Fit every member by itself.

    A function has no starting values for that, and a user's form is fitted to the first members only.

    Parameters
    ----------
    model : Model
    members : Members
    is_rough : bool
        Whether least squares with weights 1/y² may stand for log-normal noise: they are as good for a start, and a
        thousand times as fast.
    """
    shape = (len(members), model.size)
    params, stderr = np.full(shape, np.nan), np.full(shape, np.nan)
    if model.form is None or not len(members):
        return OwnFits(params, stderr, np.zeros(len(members), dtype=bool), 0.0, 0.0)
    collection, noise = members.collection, model.noise
    if model.form.basis is None:
        collection = collection.part(0, min(len(collection), _MOST_BY_FUNCTION))
    if is_rough and model.relative and not members.roster.not_positive:
        collection, noise = _weighted_relatively(collection, members), "gaussian"
    table = fit_collection(collection, Options(form=(model.form.name,), noise=noise))
    natural = table[list(model.names)].to_numpy(dtype=float)
    errors = table[[f"{name}_se" for name in model.names]].to_numpy(dtype=float)
    is_good = table["status"].isin(["ok", "at_bound"]).to_numpy()
    own = np.where(is_good[:, None], model.coordinates(natural), np.nan)
    own[~np.isfinite(own)] = np.nan
    params[: len(table)] = own
    with np.errstate(invalid="ignore", divide="ignore"):  # standard errors of logarithms are relative ones
        stderr[: len(table)] = errors / np.abs(model.scale(natural))
    spare = table["n"].to_numpy(dtype=float) - model.size
    counts = is_good & (spare > 0)
    is_inside = np.zeros(len(members), dtype=bool)
    is_inside[: len(table)] = (table["status"] == "ok").to_numpy()
    return OwnFits(
        params, stderr, is_inside, float(table["rss"].to_numpy(dtype=float)[counts].sum()), float(spare[counts].sum())
    )


def _weighted_relatively(collection: Collection, members: Members) -> Collection:
    """The curves with weights for errors in proportion to the values."""
    points, b = members.points, collection.bundle
    count = len(collection)
    begin = points.begin[:count]
    bundle = replace(b, y=points.y, y_at=begin, w=points.w / points.y**2, w_at=begin)
    return replace(collection, bundle=bundle)


def scatter(model: Model, parts: Parts, mean: Array) -> float:
    """Scatter of all points about the curve of the mean."""
    sums = np.sum(parts.run(_squares, [None] * len(parts.sizes), model, mean), axis=0)
    if not np.isfinite(sums[0]):
        raise InputError(f"{model.title} has no finite values at the start", hint="pass other values as `start`")
    sigma = math.sqrt(sums[0] / sums[1])
    if sigma == 0.0:
        raise InputError("the points lie on the curve exactly: there is no scatter to model", hint=f"fit {POWER} alone")
    return sigma


def _squares(blocks: Sequence[Block], own: None, model: Model, mean: Array) -> tuple[float, float]:
    """Sum of squares about the curve of the mean, and the number of points."""
    total = 0.0
    for block in blocks:
        value, _ = model.curve(block.x, block.covariates, mean)
        total += float((block.w * np.where(block.w > 0.0, block.y - value, 0.0) ** 2).sum())
    return total, float(sum(block.size.sum() for block in blocks))

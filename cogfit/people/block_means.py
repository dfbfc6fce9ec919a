"""Curves of which only means over blocks of practice are known, pooled over groups with one exponent.

A mean of k^−γ over presentations k_first … k_last is not k^−γ at the midpoint: the law is convex, and the block that
starts at k = 1 is dominated by its first presentations. The mean of the form over the block is fitted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cogfit.engine.noise import profiled_gaussian
from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.people.dataset import Series

At = Literal["blocks", "midpoints"]
Scale = Literal["log", "raw"]


@dataclass(frozen=True)
class Cells:
    """All cells of a data set of block means.

    Attributes
    ----------
    y : ndarray, shape (n,)
    counts : tuple of ndarray
        The presentations behind each cell.
    by : str
        What tells the groups apart.
    code : ndarray of int, shape (n,)
        Which group (of its own level) a cell belongs to.
    groups : tuple of str
        Names of the groups.
    """

    y: Array
    counts: tuple[Array, ...]
    by: str
    code: Array
    groups: tuple[str, ...]

    def mean(self, law: Model, theta: Array) -> Array:
        """Means of the law's columns over each cell's presentations, shape (n, columns)."""
        size = np.array([k.size for k in self.counts])
        start = np.concatenate([[0], np.cumsum(size)[:-1]])
        columns = np.stack(law.columns(np.concatenate(self.counts), theta), axis=1)
        return np.asarray(np.add.reduceat(columns, start, axis=0) / size[:, None])


def cells_of(series: Sequence[Series], by: str, at: At = "blocks") -> Cells:
    """Gather the cells of curves of block means.

    Parameters
    ----------
    series : sequence of Series
        With the convention ``"block"``.
    by : str
        Label that tells the groups apart whose levels differ; "": every curve has a level of its own.
    at : {"blocks", "midpoints"}
        All presentations of a block, or its midpoint (an approximation).

    Raises
    ------
    InputError
        If the curves are no block means or lack the label.
    """
    y, counts, names = [], [], []
    for one in series:
        if one.first is None or one.last is None:
            raise InputError(f"'{one.dataset.id}' has no blocks of presentations")
        if by and by not in one.labels:
            raise InputError(f"'{one.dataset.id}' has no label '{by}'")
        for value, first, last in zip(one.y, one.first, one.last, strict=True):
            y.append(value)
            counts.append(np.arange(first, last + 1.0) if at == "blocks" else np.array([0.5 * (first + last)]))
            names.append(one.labels[by] if by else one.name)
    groups = tuple(dict.fromkeys(names))
    return Cells(np.array(y), tuple(counts), by, np.array([groups.index(name) for name in names]), groups)


@dataclass(frozen=True)
class Model:
    """A law for all cells: linear in a level per group (and what is shared), with few non-linear parameters.

    Attributes
    ----------
    name, title : str
    shared : tuple of str
        Linear parameters that all groups share.
    shapes : tuple of str
        Non-linear parameters; one that ends in ``*`` is had by each group.
    columns : callable
        ``columns(k, theta) -> (own, *shared)``: functions of k whose coefficients are the level of the group and the
        shared ones, for the non-linear parameters of one group.
    bounds, grid : tuple
        Of the non-linear parameters: (low, high), and starting values.
    """

    name: str
    title: str
    shared: tuple[str, ...]
    shapes: tuple[str, ...]
    columns: Callable[[Array, Array], tuple[Array, ...]]
    bounds: tuple[tuple[float, float], ...]
    grid: tuple[tuple[float, ...], ...]


_GAMMA = ((-1.0, 4.0), (0.1, 0.4, 0.8))
_RATE = ((1e-4, 5.0), (0.02, 0.1, 0.5))

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            "power", "power, one γ", (), ("gamma",), lambda k, p: (k ** -p[0],), (_GAMMA[0],), (_GAMMA[1],),
        ),
        Model(
            "power_by_group", "power, γ of each group", (), ("gamma*",), lambda k, p: (k ** -p[0],), (_GAMMA[0],),
            (_GAMMA[1],),
        ),
        Model(
            "power_floor", "power + floor, one γ", ("c",), ("gamma",), lambda k, p: (k ** -p[0], np.ones_like(k)),
            (_GAMMA[0],), (_GAMMA[1],),
        ),
        Model(
            "two_process", "compute/retrieve mixture", ("Tr",), ("r", "gamma"),
            lambda k, p: (np.exp(-p[0] * k), -np.expm1(-p[0] * k) * k ** -p[1]),
            (_RATE[0], _GAMMA[0]), (_RATE[1], _GAMMA[1]),
        ),
        Model(
            "two_process_by_group", "mixture, rate of each group, constant retrieval",
            ("Tr",), ("r*",), lambda k, p: (np.exp(-p[0] * k), -np.expm1(-p[0] * k)), (_RATE[0],), (_RATE[1],),
        ),
        Model(
            "two_process_constant", "mixture, constant retrieval", ("Tr",), ("r",),
            lambda k, p: (np.exp(-p[0] * k), -np.expm1(-p[0] * k)), (_RATE[0],), (_RATE[1],),
        ),
    )
}  # fmt: skip
"""What is fitted to block means, by name. Mixtures: T_a e^(−rk) + (1 − e^(−rk)) T_r k^(−γ) with T_a of each group."""


@dataclass(frozen=True)
class BlockFit:
    """One model fitted to all cells.

    Attributes
    ----------
    model, title : str
    by : str
        What tells the groups apart that keep a level of their own.
    at : {"blocks", "midpoints"}
    scale : {"log", "raw"}
        Scale of the residuals.
    params, stderr : dict of str to float
        Levels are named after their group.
    rss : float
        On the scale.
    n, k : int
        Cells; parameters including that of the noise.
    aicc : float
        Of the observed y, so that the scales can be compared.
    """

    model: str
    title: str
    by: str
    at: At
    scale: Scale
    params: dict[str, float]
    stderr: dict[str, float]
    rss: float
    n: int
    k: int
    aicc: float

    @property
    def levels(self) -> dict[str, float]:
        """Level of each group: y at k = 1, without what is shared."""
        return {name[6:-1]: value for name, value in self.params.items() if name.startswith("level[")}

    @property
    def spare(self) -> int:
        """Residual degrees of freedom."""
        return self.n - len(self.params)

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """Student's t interval of a parameter."""
        from scipy.stats import t

        half = float(t.ppf(0.5 + 0.5 * level, self.spare)) * self.stderr[name]
        return self.params[name] - half, self.params[name] + half

    def to_json(self) -> dict[str, Any]:
        """JSON-ready mapping."""
        plain = {k: None if not math.isfinite(v) else v for k, v in self.stderr.items()}
        return {**self.__dict__, "stderr": plain}


@dataclass(frozen=True)
class CommonTest:
    """F test of one exponent for all groups against one of each.

    Attributes
    ----------
    f, p_value : float
    numerator, denominator : int
        Degrees of freedom.
    """

    f: float
    numerator: int
    denominator: int
    p_value: float


def common_test(one: BlockFit, each: BlockFit) -> CommonTest:
    """Compare a fit with one γ and one with a γ of each group, of the same cells and scale."""
    from scipy.stats import f

    numerator = len(each.params) - len(one.params)
    value = (one.rss - each.rss) / numerator / (each.rss / each.spare)
    return CommonTest(value, numerator, each.spare, float(f.sf(value, numerator, each.spare)))


def fit_blocks(cells: Cells, model: str, at: At, scale: Scale = "log") -> BlockFit:
    """Fit a model to block means by least squares, on the log scale or on that of y.

    Parameters
    ----------
    cells : Cells
    model : str
        A key of :data:`MODELS`.
    at : {"blocks", "midpoints"}
        What the cells' counts are; for the record.
    scale : {"log", "raw"}

    Returns
    -------
    BlockFit
        AICc is that of the observed y (with the Jacobian of the logarithm), so the scales can be compared.

    Raises
    ------
    InputError
        If there are too few cells, or means that have no logarithm.
    """
    from scipy.optimize import least_squares

    law = MODELS[model]
    if np.any(cells.y <= 0) and scale == "log":
        raise InputError("the log scale needs positive means")
    own = [name.endswith("*") for name in law.shapes]
    group = [f"{name[:-1]}[{g}]" if each else name for name, each in zip(law.shapes, own, strict=True)
             for g in (cells.groups if each else ("",))]  # fmt: skip
    names = [*(f"level[{g}]" for g in cells.groups), *law.shared, *group]
    if cells.y.size <= len(names) + 2:
        raise InputError(f"{cells.y.size} block means are too few for the {len(names)} parameters of '{law.title}'")
    m, lead = len(cells.groups), len(cells.groups) + len(law.shared)
    design = np.eye(m)[cells.code]

    def theta_of(g: int, theta: Array) -> Array:
        out, at_ = [], 0
        for each in own:
            out.append(theta[at_ + g] if each else theta[at_])
            at_ += m if each else 1
        return np.array(out)

    def matrix(theta: Array) -> Array:
        tables = [cells.mean(law, theta_of(g, theta)) for g in range(m if any(own) else 1)]
        picked = np.stack(tables)[cells.code if any(own) else 0, np.arange(cells.y.size)]
        return np.concatenate([design * picked[:, :1], picked[:, 1:]], axis=1)

    def residual(z: Array) -> Array:
        value = matrix(z[lead:]) @ z[:lead]
        return np.log(cells.y) - np.log(np.maximum(value, 1e-12)) if scale == "log" else cells.y - value

    limits = [bound for bound, each in zip(law.bounds, own, strict=True) for _ in range(m if each else 1)]
    low = np.array([0.0] * lead + [a for a, _ in limits])
    high = np.array([np.inf] * lead + [b for _, b in limits])
    best = None
    for start in _starts(law, own, m):
        linear = np.maximum(np.linalg.lstsq(matrix(start), cells.y, rcond=None)[0], 1e-3 * cells.y.mean())
        found = least_squares(residual, np.concatenate([linear, start]), bounds=(low, high), x_scale="jac",
                              xtol=1e-10, ftol=1e-12, gtol=1e-10, max_nfev=300)  # fmt: skip
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None
    n, p, rss = cells.y.size, len(names), 2.0 * float(best.cost)
    jacobian = best.jac
    with np.errstate(all="ignore"):
        covariance = np.linalg.pinv(jacobian.T @ jacobian) * rss / (n - p)
    observed = np.log(cells.y) if scale == "log" else cells.y
    loglik = profiled_gaussian(rss, n, 0.0, float(np.abs(observed).max()))
    if scale == "log":
        loglik -= float(observed.sum())
    k = p + 1
    aicc = -2.0 * loglik + 2.0 * k + 2.0 * k * (k + 1) / (n - k - 1)
    stderr = np.sqrt(np.diag(covariance))
    return BlockFit(
        model, law.title, cells.by, at, scale, dict(zip(names, best.x.tolist(), strict=True)),
        dict(zip(names, stderr.tolist(), strict=True)), rss, n, k, aicc,
    )  # fmt: skip


def _starts(law: Model, own: Sequence[bool], groups: int) -> list[Array]:
    """Starting values of the non-linear parameters: the grid, the same for all groups."""
    points: list[list[float]] = [[]]
    for values, each in zip(law.grid, own, strict=True):
        points = [[*before, *([value] * (groups if each else 1))] for before in points for value in values]
    return [np.array(point) for point in points]

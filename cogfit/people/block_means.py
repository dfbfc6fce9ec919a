"""Fits of block means, pooled over groups with one exponent.

Of some curves only means over blocks of practice are known. A mean of k^−γ over presentations k_first … k_last is not
k^−γ at the midpoint: the law is convex, and the block that starts at k = 1 is dominated by its first presentations. The
mean of the form over the block is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from cogfit.engine.noise import profiled_gaussian
from cogfit.errors import InputError
from cogfit.formulas.form import Array
from cogfit.native import distributions
from cogfit.people.dataset import Series
from cogfit.records.codec import Document

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
        """Average the law's columns over each cell's presentations.

        Returns
        -------
        ndarray, shape (n, columns)
        """
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
    for curve in series:
        if curve.first is None or curve.last is None:
            raise InputError(f"'{curve.dataset.id}' has no blocks of presentations")
        if by and by not in curve.labels:
            raise InputError(f"'{curve.dataset.id}' has no label '{by}'")
        for value, first, last in zip(curve.y, curve.first, curve.last, strict=True):
            y.append(value)
            counts.append(np.arange(first, last + 1.0) if at == "blocks" else np.array([0.5 * (first + last)]))
            names.append(curve.labels[by] if by else curve.name)
    groups = tuple(dict.fromkeys(names))
    return Cells(np.array(y), tuple(counts), by, np.array([groups.index(name) for name in names]), groups)


@dataclass(frozen=True)
class Model:
    """A law for the cells of all groups.

    It is linear in a level for each group and in what is shared, and has few non-linear parameters.

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


_GAMMA = (-1.0, 4.0), (0.1, 0.4, 0.8)
_RATE = (1e-4, 5.0), (0.02, 0.1, 0.5)
"""Bounds and starting values of γ and of the rate of a mixture."""


def _power(k: Array, theta: Array) -> tuple[Array, ...]:
    return (k ** -theta[0],)


def _power_floor(k: Array, theta: Array) -> tuple[Array, ...]:
    return k ** -theta[0], np.ones_like(k)


def _mixture(k: Array, theta: Array) -> tuple[Array, ...]:
    return np.exp(-theta[0] * k), -np.expm1(-theta[0] * k) * k ** -theta[1]


def _mixture_constant(k: Array, theta: Array) -> tuple[Array, ...]:
    return np.exp(-theta[0] * k), -np.expm1(-theta[0] * k)


def _model(
    name: str,
    title: str,
    columns: Callable[[Array, Array], tuple[Array, ...]],
    shapes: dict[str, tuple[tuple[float, float], tuple[float, ...]]],
    shared: tuple[str, ...] = (),
) -> Model:
    """Model whose non-linear parameters have bounds and starting values."""
    bounds, grid = zip(*shapes.values(), strict=True)
    return Model(name, title, shared, tuple(shapes), columns, bounds, grid)


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        _model("power", "power, one γ", _power, {"gamma": _GAMMA}),
        _model("power_by_group", "power, γ of each group", _power, {"gamma*": _GAMMA}),
        _model("power_floor", "power + floor, one γ", _power_floor, {"gamma": _GAMMA}, ("c",)),
        _model("two_process", "compute/retrieve mixture", _mixture, {"r": _RATE, "gamma": _GAMMA}, ("Tr",)),
        _model(
            "two_process_by_group",
            "mixture, rate of each group, constant retrieval",
            _mixture_constant,
            {"r*": _RATE},
            ("Tr",),
        ),
        _model("two_process_constant", "mixture, constant retrieval", _mixture_constant, {"r": _RATE}, ("Tr",)),
    )
}
"""What is fitted to block means, by name. Mixtures: T_a e^(−rk) + (1 − e^(−rk)) T_r k^(−γ) with T_a of each group."""


@dataclass(frozen=True)
class BlockFit(Document):
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
        """Level of each group.

        That is y at k = 1, without what is shared.
        """
        return {name[6:-1]: value for name, value in self.params.items() if name.startswith("level[")}

    @property
    def degrees_of_freedom(self) -> int:
        """Residual degrees of freedom."""
        return self.n - len(self.params)

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """Student's t interval of a parameter."""
        half = distributions.student_quantile(0.5 + 0.5 * level, self.degrees_of_freedom) * self.stderr[name]
        return self.params[name] - half, self.params[name] + half


@dataclass(frozen=True)
class CommonTest:
    """F test of one exponent for all groups.

    The alternative is an exponent for each group.

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


def common_test(common: BlockFit, by_group: BlockFit) -> CommonTest:
    """Test one γ for all groups against one for each.

    Parameters
    ----------
    common, by_group : BlockFit
        Of the same cells, on the same scale.
    """
    numerator, denominator = len(by_group.params) - len(common.params), by_group.degrees_of_freedom
    value = (common.rss - by_group.rss) / numerator / (by_group.rss / denominator)
    return CommonTest(value, numerator, denominator, distributions.f_sf(value, numerator, denominator))


def fit_blocks(cells: Cells, model: str, at: At, scale: Scale = "log") -> BlockFit:
    """Fit a model to block means by least squares.

    Parameters
    ----------
    cells : Cells
    model : str
        A key of :data:`MODELS`.
    at : {"blocks", "midpoints"}
        What the cells' counts are; for the record.
    scale : {"log", "raw"}
        Of the residuals: the logarithm of y, or y.

    Returns
    -------
    BlockFit
        AICc is that of the observed y (with the Jacobian of the logarithm), so the scales can be compared.

    Raises
    ------
    InputError
        If there are too few cells, or means that have no logarithm.
    """
    law = MODELS[model]
    if np.any(cells.y <= 0) and scale == "log":
        raise InputError("the log scale needs positive means")
    problem = _Problem(cells, law, scale)
    names = problem.names
    if cells.y.size <= len(names) + 2:
        raise InputError(f"{cells.y.size} block means are too few for the {len(names)} parameters of '{law.title}'")
    params, jacobian, rss = problem.solve()
    k = len(names) + 1  # the variance of the errors is a parameter, too
    return BlockFit(
        model=model,
        title=law.title,
        by=cells.by,
        at=at,
        scale=scale,
        params=dict(zip(names, params.tolist(), strict=True)),
        stderr=dict(zip(names, _standard_errors(jacobian, rss).tolist(), strict=True)),
        rss=rss,
        n=cells.y.size,
        k=k,
        aicc=_aicc(cells.y, rss, k, scale),
    )


@dataclass(frozen=True)
class _Problem:
    """Least squares of one model on the cells.

    Parameters come in the order of :attr:`names`: levels of the groups, what is shared, and ``theta``, the non-linear
    ones. A parameter that each group has stands in ``theta`` as often as there are groups.
    """

    cells: Cells
    law: Model
    scale: Scale

    @cached_property
    def is_by_group(self) -> list[bool]:
        """Which non-linear parameters each group has for itself."""
        return [name.endswith("*") for name in self.law.shapes]

    @cached_property
    def copies(self) -> list[int]:
        """How often each non-linear parameter stands in ``theta``."""
        return [len(self.cells.groups) if own else 1 for own in self.is_by_group]

    @cached_property
    def design(self) -> Array:
        """Indicators of the cells' groups, shape (n, groups)."""
        return np.asarray(np.eye(len(self.cells.groups))[self.cells.code])

    @property
    def n_linear(self) -> int:
        return len(self.cells.groups) + len(self.law.shared)

    @property
    def names(self) -> list[str]:
        groups = self.cells.groups
        names = [f"level[{group}]" for group in groups] + list(self.law.shared)
        for name, own in zip(self.law.shapes, self.is_by_group, strict=True):
            names += [f"{name[:-1]}[{group}]" for group in groups] if own else [name]
        return names

    def theta_of(self, group: int, theta: Array) -> Array:
        """Non-linear parameters of one group."""
        values, start = [], 0
        for own, size in zip(self.is_by_group, self.copies, strict=True):
            values.append(theta[start + group] if own else theta[start])
            start += size
        return np.array(values)

    def matrix(self, theta: Array) -> Array:
        """Columns that the model combines linearly.

        Returns
        -------
        ndarray, shape (n, n_linear)
        """
        differs = any(self.is_by_group)
        groups = range(len(self.cells.groups) if differs else 1)
        tables = [self.cells.mean(self.law, self.theta_of(group, theta)) for group in groups]
        own_table = np.stack(tables)[self.cells.code if differs else 0, np.arange(self.cells.y.size)]
        return np.concatenate([self.design * own_table[:, :1], own_table[:, 1:]], axis=1)

    def residual(self, params: Array) -> Array:
        """Observed less fitted means, on the scale of the residuals."""
        value = self.matrix(params[self.n_linear :]) @ params[: self.n_linear]
        if self.scale == "log":
            return np.asarray(np.log(self.cells.y) - np.log(np.maximum(value, 1e-12)))
        return np.asarray(self.cells.y - value)

    def solve(self) -> tuple[Array, Array, float]:
        """Fit from all starts.

        Returns
        -------
        params, jacobian, rss
            Of the best.
        """
        from scipy.optimize import least_squares

        limits = [bound for bound, size in zip(self.law.bounds, self.copies, strict=True) for _ in range(size)]
        low = np.array([0.0] * self.n_linear + [least for least, _ in limits])
        high = np.array([np.inf] * self.n_linear + [largest for _, largest in limits])
        best = None
        for theta in self.starts():
            # linear parameters follow from theta, but must begin inside their bounds
            linear = np.linalg.lstsq(self.matrix(theta), self.cells.y, rcond=None)[0]
            linear = np.maximum(linear, 1e-3 * self.cells.y.mean())
            solution = least_squares(
                self.residual,
                np.concatenate([linear, theta]),
                bounds=(low, high),
                x_scale="jac",
                xtol=1e-10,
                ftol=1e-12,
                gtol=1e-10,
                max_nfev=300,
            )
            if best is None or solution.cost < best.cost:
                best = solution
        assert best is not None
        return best.x, best.jac, 2.0 * float(best.cost)

    def starts(self) -> list[Array]:
        """Starting values of ``theta``, the same for all groups."""
        points: list[list[float]] = [[]]
        for values, size in zip(self.law.grid, self.copies, strict=True):
            points = [[*before, *([value] * size)] for before in points for value in values]
        return [np.array(point) for point in points]


def _standard_errors(jacobian: Array, rss: float) -> Array:
    n, p = jacobian.shape
    with np.errstate(all="ignore"):
        covariance = np.linalg.pinv(jacobian.T @ jacobian) * rss / (n - p)
    return np.asarray(np.sqrt(np.diag(covariance)))


def _aicc(y: Array, rss: float, k: int, scale: Scale) -> float:
    """AICc of y, whatever the scale of the residuals."""
    observed = np.log(y) if scale == "log" else y
    loglik = profiled_gaussian(rss, y.size, 0.0, float(np.abs(observed).max()))
    if scale == "log":
        loglik -= float(observed.sum())  # density of y: that of log y, divided by y
    return float(-2.0 * loglik + 2.0 * k + 2.0 * k * (k + 1) / (y.size - k - 1))

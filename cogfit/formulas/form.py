"""What a form is: parameters, formula, derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cogfit.errors import InputError, nearest
from cogfit.native.kernels import basis_columns
from cogfit.records.arrays import as_numbers

Array = NDArray[np.float64]

Role = Literal["amplitude", "shape", "floor", "free"]

_SMALLEST = float(np.finfo(float).tiny)  # smaller numbers have lost digits, or are 0

Unit = Literal["y", "x", "1/x", "1", "patterns", "user"]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a form.

    Attributes
    ----------
    name, symbol : str
        Identifier and LaTeX symbol.
    meaning : str
        What it is, in words.
    unit : {"y", "x", "1/x", "1", "patterns", "user"}
        ``"y"`` that of the curve, ``"x"`` that of the axis, ``"1"`` none.
    role : {"amplitude", "shape", "floor", "free"}
        Linear coefficient, non-linear parameter, additive constant, or parameter of a user's form.
    lower, upper : float
        Bounds; for unit ``"x"`` in multiples of the smallest positive and the largest x, for ``"1/x"`` of the
        inverse of these, otherwise absolute.
    interior : bool
        For a location on the x axis: the smallest and largest x above leave out the outer 2 % of points (two at
        least) on either side, so that no location is chosen to please a point or two.
    log : bool
        Whether it is a scale, of which the solver takes the logarithm.
    by_log : bool
        Whether the solver takes the logarithm of a parameter that is no scale: where it grows in proportion to one
        along a valley of the RSS, the valley is then straight.
    grid : tuple of (float, float, int)
        Range (relative like the bounds) and number of the starting values tried.
    exponent, slope : str
        For a value at x = 1: the parameter γ of A·x^−γ, or A of a − A·ln x, with which it changes in another unit of x
        ("" where it does not).
    """

    name: str
    symbol: str
    meaning: str
    unit: Unit
    role: Role
    lower: float = -math.inf
    upper: float = math.inf
    log: bool = False
    grid: tuple[float, float, int] = (0.0, 1.0, 1)
    interior: bool = False
    by_log: bool = False
    exponent: str = ""
    slope: str = ""

    @property
    def in_logs(self) -> bool:
        """Whether the solver's coordinate is the logarithm."""
        return self.log or self.by_log

    def absolute(self, pair: tuple[float, float], x: Array) -> tuple[float, float]:
        """Turn a relative pair into units of the axis.

        The pair is (lower, upper), the axis has these points.
        """
        return self.scaled(pair, span_of(x, self.interior)) if self.unit in ("x", "1/x") else pair

    def scaled(self, pair: tuple[float, float], span: tuple[Any, Any]) -> tuple[Any, Any]:
        """Turn a relative pair into units of given spans.

        A pair (lower, upper), axes with this :func:`span_of`, or these (arrays).
        """
        (low, high), (x_low, x_high) = pair, span
        if self.unit == "x":
            return low * x_low, high * x_high
        with np.errstate(over="ignore"):
            return (low / x_high, high / x_low) if self.unit == "1/x" else pair


def span_of(x: Array, interior: bool = False) -> tuple[float, float]:
    """Smallest positive and largest x.

    Or those of the inner points (see :class:`Parameter`); (1, 1) for none.
    """
    points = x[x > 0]
    if points.size == 0:
        return 1.0, 1.0
    if not interior:
        return float(points.min()), float(points.max())
    points = np.unique(points)
    cut = min(max(2, x.size // 50), (points.size - 1) // 2)
    return float(points[cut]), float(points[points.size - 1 - cut])


def lifted_log(x: Array) -> Array:
    """Logarithm of x that is finite at 0.

    Zeros lie as far below the least other x as it is from half of it.
    """
    return np.asarray(np.log(np.maximum(x, max(0.5 * span_of(x)[0], _SMALLEST))))


@dataclass(frozen=True)
class Form:
    """A form: formula, parameters, and how to evaluate it.

    The parameters carry their meaning in words.

    Attributes
    ----------
    name, title : str
        Identifier and name in words.
    formula : str
        LaTeX.
    expression : str
        The same as a sympy expression in ``x`` and the parameters ("" where there is no closed one).
    parameters : tuple of Parameter
        In the order of ``func(x, *parameters)``.
    gamma : str or None
        Which parameter is the power-law exponent γ.
    positive_x : bool
        True if x = 0 is outside the domain.
    contains : tuple of str
        Forms that are special or limiting cases of this one.
    axes : tuple of str or None
        Axes on which the form has a meaning (None: any).
    measures : tuple of str or None
        Measures for which it has a meaning (None: any), see :data:`MEASURES`.
    closed_under : tuple of str
        Axes (``"x"``, ``"y"``) in another unit of which it is the same form with other parameters.
    reference : str
        Where it comes from.
    power_law : bool
        Whether it is what a verdict calls "a power law": A·x^−γ, with or without a floor.
    scout : bool
        Whether the noise model is chosen by it: the scouts together follow most curves.
    remark : str
        What its parameters say where it is the best form: a template of a sentence.
    example : mapping
        Parameters of a curve within [0, 1] on 1 … a few hundred, where the defaults of their units will not do.
    basis : str or None
        Name of its columns in ``cogfit/native/bases.h``; None for a user's form.
    function, derivative : callable or None
        ``func(x, *params)`` and ``jac(x, *params) -> (n, p)`` of a user's form.
    start : mapping or None
        Starting values of a user's form.

    Examples
    --------
    >>> import cogfit
    >>> form = cogfit.forms()["power_floor"]
    >>> form.names
    ('A', 'gamma', 'c')
    >>> form.evaluate([1.0, 4.0], {"A": 1.0, "gamma": 0.5, "c": 0.25})
    array([1.25, 0.75])
    """

    name: str
    title: str
    formula: str
    expression: str
    parameters: tuple[Parameter, ...]
    gamma: str | None = None
    positive_x: bool = True
    contains: tuple[str, ...] = ()
    axes: tuple[str, ...] | None = None
    measures: tuple[str, ...] | None = None
    closed_under: tuple[str, ...] = ("x", "y")
    reference: str = ""
    power_law: bool = False
    scout: bool = False
    remark: str = ""
    example: Mapping[str, float] = field(default_factory=dict, hash=False)
    basis: str | None = None
    function: Callable[..., Any] | None = None
    derivative: Callable[..., Any] | None = None
    start: Mapping[str, float] | None = field(default=None, hash=False)

    def __repr__(self) -> str:
        return f"<Form {self.name}: {self.expression or self.title} ({', '.join(self.names)})>"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(p.name for p in self.parameters)

    @property
    def shape(self) -> tuple[Parameter, ...]:
        """The non-linear parameters of a separable form."""
        return tuple(p for p in self.parameters if p.role == "shape")

    @property
    def amplitudes(self) -> tuple[Parameter, ...]:
        """The linear coefficients of a separable form, floor excluded."""
        return tuple(p for p in self.parameters if p.role == "amplitude")

    @property
    def floor(self) -> Parameter | None:
        """The additive constant, if the form has one."""
        return next((p for p in self.parameters if p.role == "floor"), None)

    def vector(self, params: Mapping[str, float]) -> Array:
        """Parameters in order, from a mapping.

        Raises InputError for a missing or unknown name.
        """
        for name in params:
            if name not in self.names:
                raise InputError(f"form '{self.name}' has no parameter '{name}'", hint=nearest(name, self.names))
        missing = [name for name in self.names if name not in params]
        if missing:
            raise InputError(f"form '{self.name}' needs a value for " + ", ".join(f"'{name}'" for name in missing))
        return np.array([float(params[name]) for name in self.names])

    def evaluate(self, x: ArrayLike, params: Mapping[str, float] | Sequence[float] | Array) -> Array:
        """Value of the form.

        Parameters
        ----------
        x : array_like, shape (n,) or, for a user's form, whatever it takes
        params : mapping or sequence
            By name, or in order.

        Returns
        -------
        ndarray, shape (n,)
        """
        p = self.vector(params) if isinstance(params, Mapping) else np.asarray(params, dtype=float)
        xs = as_numbers("x", x)
        if self.basis is None:
            return self._call_function(xs, p)
        phi, _ = self._basis_at(xs, p)
        amplitude = p[[i for i, q in enumerate(self.parameters) if q.role == "amplitude"]]
        value: Array = np.einsum("s,sn->n", amplitude, phi)
        if self.floor is not None:
            value += p[self.names.index(self.floor.name)]
        return value

    def _call_function(self, x: Array, p: Array) -> Array:
        """Value of a user's function.

        What can go wrong in it is said in one line.
        """
        assert self.function is not None
        try:
            value = np.asarray(self.function(x, *p), dtype=float)
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"the function of form '{self.name}' fails: {type(error).__name__}: {error}",
                hint=f"it must take an array x and {len(self.parameters)} parameters and return an array",
            ) from error
        if value.shape != x.shape:
            raise InputError(f"the function of form '{self.name}' returns shape {value.shape} for x of shape {x.shape}")
        return value

    def jacobian(self, x: ArrayLike, params: Mapping[str, float] | Sequence[float] | Array) -> Array:
        """Derivative with respect to the parameters.

        Returns
        -------
        ndarray, shape (n, p)
            Analytic for built-in forms and where the user gave one, else by finite differences (three points).
        """
        p = self.vector(params) if isinstance(params, Mapping) else np.asarray(params, dtype=float)
        xs = as_numbers("x", x)
        if self.basis is None:
            assert self.function is not None
            if self.derivative is not None:
                return np.asarray(self.derivative(xs, *p), dtype=float)
            return three_point_jacobian(lambda x, *q: self._call_function(x, np.array(q)), xs, p)
        return self._basis_jacobian(xs, p)

    def _basis_jacobian(self, x: Array, p: Array) -> Array:
        """Jacobian of a separable form, from its columns."""
        phi, dphi = self._basis_at(x, p)
        rows = np.empty((p.size, x.size))  # rows lie together in memory; columns are what is returned
        amplitude = [i for i, q in enumerate(self.parameters) if q.role == "amplitude"]
        shape = [i for i, q in enumerate(self.parameters) if q.role == "shape"]
        for s, i in enumerate(amplitude):
            rows[i] = phi[s]
        for j, i in enumerate(shape):
            np.einsum("s,sn->n", p[amplitude], dphi[j], out=rows[i])
        if self.floor is not None:
            rows[self.names.index(self.floor.name)] = 1.0
        return rows.T

    def columns(self, x: Array, log_x: Array, theta: Array) -> tuple[Array, Array]:
        """Columns of a separable form and their derivatives.

        They are evaluated for a batch of non-linear parameters.

        Parameters
        ----------
        x, log_x : ndarray, shape (n,)
        theta : ndarray, shape (batch, p)
            In natural units.

        Returns
        -------
        phi : ndarray, shape (batch, amplitudes, n)
        dphi : ndarray, shape (batch, p, amplitudes, n)
        """
        assert self.basis is not None
        return basis_columns(self.basis, x, log_x, theta)

    def _basis_at(self, x: Array, p: Array) -> tuple[Array, Array]:
        theta = p[[i for i, q in enumerate(self.parameters) if q.role == "shape"]][None, :]
        with np.errstate(divide="ignore", invalid="ignore"):
            phi, dphi = self.columns(x, np.log(x), theta)
        return phi[0], dphi[0]


def three_point_jacobian(function: Callable[..., Any], x: Array, p: Array) -> Array:
    """Central differences by each parameter, (n, p).

    The step is scaled to the parameter.
    """
    columns = []
    for j in range(p.size):
        step = np.cbrt(np.finfo(float).eps) * (abs(p[j]) if p[j] else 1.0)
        up, down = p.copy(), p.copy()
        up[j] += step
        down[j] -= step
        high, low = np.asarray(function(x, *up), dtype=float), np.asarray(function(x, *down), dtype=float)
        columns.append((high - low) / (up[j] - down[j]))
    return np.stack(columns, axis=1)


MEASURES = ("utilization", "probability", "latency", "error", "other")
"""What a curve's y may be."""

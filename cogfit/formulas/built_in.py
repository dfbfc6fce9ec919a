r"""The forms a learning curve may take, as data: one frozen record each, in a registry.

A built-in form is *separable*: :math:`f(x) = c + \sum_i a_i\,\varphi_i(x;\theta)` with linear coefficients
(amplitudes :math:`a_i`, floor :math:`c`) and at most three non-linear ones. Its record names the basis function
that returns :math:`\varphi` and :math:`\partial\varphi/\partial\theta`; value and Jacobian of the form follow from
it, so that a formula is written once. A user's own form may be any function.

The registry is read by :func:`forms` and :func:`get`, and extended by :func:`register`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cogfit.errors import InputError, nearest

Array = NDArray[np.float64]
Role = Literal["amplitude", "shape", "floor", "free"]
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

    @property
    def in_logs(self) -> bool:
        """Whether the solver's coordinate is the logarithm."""
        return self.log or self.by_log

    def absolute(self, pair: tuple[float, float], x: Array) -> tuple[float, float]:
        """Turn a relative (lower, upper) pair into the units of an axis with these points."""
        return self.scaled(pair, span_of(x, self.interior)) if self.unit in ("x", "1/x") else pair

    def scaled(self, pair: tuple[float, float], span: tuple[Any, Any]) -> tuple[Any, Any]:
        """Turn a relative (lower, upper) pair into the units of axes with this :func:`span_of`, or these (arrays)."""
        (low, high), (x_low, x_high) = pair, span
        if self.unit == "x":
            return low * x_low, high * x_high
        return (low / x_high, high / x_low) if self.unit == "1/x" else pair


def span_of(x: Array, interior: bool = False) -> tuple[float, float]:
    """Smallest positive and largest x, or those of the inner points (see :class:`Parameter`); (1, 1) for none."""
    points = np.unique(x[x > 0])
    if points.size == 0:
        return 1.0, 1.0
    cut = min(max(2, x.size // 50), (points.size - 1) // 2) if interior else 0
    return float(points[cut]), float(points[points.size - 1 - cut])


@dataclass(frozen=True)
class Form:
    """A form: formula, meaning of each parameter, and how to evaluate it.

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
    reference : str
        Where it comes from.
    basis : str or None
        Name of its function in :mod:`cogfit.formulas.bases`; None for a user's form.
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
    reference: str = ""
    basis: str | None = None
    function: Callable[..., Any] | None = None
    derivative: Callable[..., Any] | None = None
    start: Mapping[str, float] | None = field(default=None, hash=False)

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
        """Parameters in order, from a mapping; raises InputError for a missing or unknown name."""
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
        xs = np.asarray(x, dtype=float)
        if self.basis is None:
            return self._own(xs, p)
        phi, _ = self._basis_at(xs, p)
        value = phi.T @ p[[i for i, q in enumerate(self.parameters) if q.role == "amplitude"]]
        if self.floor is not None:
            value = value + p[self.names.index(self.floor.name)]
        return np.asarray(value, dtype=float)

    def _own(self, x: Array, p: Array) -> Array:
        """Value of a user's function, with what can go wrong in it said in one line."""
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
        xs = np.asarray(x, dtype=float)
        if self.basis is None:
            assert self.function is not None
            if self.derivative is not None:
                return np.asarray(self.derivative(xs, *p), dtype=float)
            return three_point_jacobian(lambda x, *q: self._own(x, np.array(q)), xs, p)
        phi, dphi = self._basis_at(xs, p)
        out = np.empty((xs.size, p.size))
        amplitude = [i for i, q in enumerate(self.parameters) if q.role == "amplitude"]
        shape = [i for i, q in enumerate(self.parameters) if q.role == "shape"]
        for s, i in enumerate(amplitude):
            out[:, i] = phi[s]
        for j, i in enumerate(shape):
            out[:, i] = p[amplitude] @ dphi[j]
        if self.floor is not None:
            out[:, self.names.index(self.floor.name)] = 1.0
        return out

    def columns(self, x: Array, log_x: Array, theta: Array) -> tuple[Array, Array]:
        """Columns of a separable form and their derivatives for a batch of non-linear parameters.

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
        from cogfit.formulas import bases as _bases

        assert self.basis is not None
        return _bases.columns(self.basis, len(self.amplitudes), x, log_x, theta)

    def _basis_at(self, x: Array, p: Array) -> tuple[Array, Array]:
        theta = p[[i for i, q in enumerate(self.parameters) if q.role == "shape"]][None, :]
        with np.errstate(divide="ignore", invalid="ignore"):
            phi, dphi = self.columns(x, np.log(x), theta)
        return phi[0], dphi[0]


def three_point_jacobian(function: Callable[..., Any], x: Array, p: Array) -> Array:
    """Central differences with a step scaled to each parameter; (n, p)."""
    columns = []
    for j in range(p.size):
        step = np.cbrt(np.finfo(float).eps) * (abs(p[j]) if p[j] else 1.0)
        up, down = p.copy(), p.copy()
        up[j] += step
        down[j] -= step
        high, low = np.asarray(function(x, *up), dtype=float), np.asarray(function(x, *down), dtype=float)
        columns.append((high - low) / (up[j] - down[j]))
    return np.stack(columns, axis=1)


# ------------------------------------------------------------------------------------------- the registry

MEASURES = ("utilization", "probability", "latency", "error", "other")
"""What a curve's y may be."""


def _amplitude(meaning: str, symbol: str = "A", name: str = "A") -> Parameter:
    return Parameter(name, symbol, meaning, "y", "amplitude", lower=0.0)


def _floor(meaning: str = "asymptote: what is left after unlimited practice") -> Parameter:
    return Parameter("c", "c", meaning, "y", "floor", lower=0.0)


def _exponent(
    meaning: str = "power-law exponent", lower: float = 1e-4, *, by_log: bool = False,
    grid: tuple[float, float, int] = (0.02, 4.0, 24),
) -> Parameter:  # fmt: skip
    return Parameter("gamma", r"\gamma", meaning, "1", "shape", lower, 12.0, grid=grid, by_log=by_log)


_SHIFT = Parameter("b", "b", "shift: x from which the decay is a power law", "x", "shape", 1e-8, 1e4, True, (0.3, 3, 9))
_RATE = Parameter("r", "r", "rate of the exponential decay", "1/x", "shape", 1e-4, 40.0, True, (0.1, 3.0, 24))
_STRETCH = (
    Parameter("tau", r"\tau", "x at which the decay has reached 1/e", "x", "shape", 1e-4, 1e4, True, (0.1, 30.0, 24)),
    Parameter("beta", r"\beta", "stretching: 1 is the exponential", "1", "shape", 0.05, 10.0, True, (0.2, 4.0, 8)),
)

HEATHCOTE = "Heathcote, Brown & Mewhort 2000, Psychon. Bull. Rev. 7:185–207"
NEWELL = "Newell & Rosenbloom 1981, in Anderson (ed.), Cognitive Skills and their Acquisition"

_BUILT_IN = (
    Form(
        "constant", "constant", r"c", "c",
        (Parameter("c", "c", "level", "y", "floor"),),
        positive_x=False, reference="null form", basis="constant",
    ),
    Form(
        "power", "power", r"A\,x^{-\gamma}", "A*x**(-gamma)",
        (_amplitude("value at x = 1"), Parameter("gamma", r"\gamma", "power-law exponent", "1", "shape", -4.0, 12.0,
                                                 grid=(-1.0, 4.0, 40))),
        gamma="gamma", reference=NEWELL, basis="power",
    ),
    Form(
        "power_floor", "power + floor", r"c + A\,x^{-\gamma}", "c + A*x**(-gamma)",
        (_amplitude("height above the floor at x = 1"), _exponent(), _floor()),
        gamma="gamma", contains=("constant", "power"), reference=NEWELL, basis="power",
    ),
    Form(
        "shifted_power", "shifted power", r"A\,(1 + x/b)^{-\gamma}", "A*(1 + x/b)**(-gamma)",
        (_amplitude("value at x = 0"), _exponent("exponent of the tail, x ≫ b", by_log=True), _SHIFT),
        gamma="gamma", positive_x=False, contains=("power", "exponential", "hyperbolic"),
        reference="Wickelgren 1974; the average of exponentials with Gamma(γ, b) rates (theory T7)",
        basis="shifted_power",
    ),
    Form(
        "shifted_power_floor", "shifted power + floor", r"c + A\,(1 + x/b)^{-\gamma}", "c + A*(1 + x/b)**(-gamma)",
        (_amplitude("height above the floor at x = 0"), _exponent("exponent of the tail, x ≫ b", by_log=True), _SHIFT,
         _floor()),
        gamma="gamma", positive_x=False,
        contains=("constant", "power", "power_floor", "shifted_power", "exponential", "exponential_floor",
                  "hyperbolic"),
        reference=NEWELL + " (their general power law)", basis="shifted_power",
    ),
    Form(
        "exponential", "exponential", r"A\,e^{-r x}", "A*exp(-r*x)",
        (_amplitude("value at x = 0"), _RATE),
        positive_x=False, reference=HEATHCOTE, basis="exponential",
    ),
    Form(
        "exponential_floor", "exponential + floor", r"c + A\,e^{-r x}", "c + A*exp(-r*x)",
        (_amplitude("height above the floor at x = 0"), _RATE, _floor()),
        positive_x=False, contains=("constant", "exponential"), reference=HEATHCOTE, basis="exponential",
    ),
    Form(
        "apex_floor", "APEX + floor", r"c + A\,x^{-\gamma} e^{-r x}", "c + A*x**(-gamma)*exp(-r*x)",
        (_amplitude("scale above the floor"), _exponent("exponent of the power factor", lower=0.0), _RATE, _floor()),
        gamma="gamma", contains=("constant", "power", "power_floor", "exponential", "exponential_floor"),
        reference=HEATHCOTE + ", Eq. 6", basis="apex",
    ),
    Form(
        "stretched_exponential", "stretched exponential", r"A\,e^{-(x/\tau)^\beta}", "A*exp(-(x/tau)**beta)",
        (_amplitude("value at x = 0"), *_STRETCH),
        positive_x=False, contains=("exponential",), reference="Kohlrausch 1854; Rubin & Wenzel 1996",
        basis="stretched",
    ),
    Form(
        "stretched_exponential_floor", "stretched exponential + floor", r"c + A\,e^{-(x/\tau)^\beta}",
        "c + A*exp(-(x/tau)**beta)", (_amplitude("height above the floor at x = 0"), *_STRETCH, _floor()),
        positive_x=False, contains=("constant", "exponential", "exponential_floor", "stretched_exponential"),
        reference="Kohlrausch 1854; Rubin & Wenzel 1996", basis="stretched",
    ),
    Form(
        "logarithmic", "logarithmic", r"a - A \ln x", "a - A*log(x)",
        (Parameter("A", "A", "loss per e-fold of x", "y", "amplitude"),
         Parameter("a", "a", "value at x = 1", "y", "floor")),
        contains=("constant",), reference="Woodworth 1938; Rubin & Wenzel 1996", basis="logarithmic",
    ),
    Form(
        "hyperbolic", "hyperbolic", r"A / (1 + x/b)", "A/(1 + x/b)",
        (_amplitude("value at x = 0"),
         Parameter("b", "b", "x at which half is left", "x", "shape", 1e-4, 1e4, True, (0.05, 30.0, 32))),
        positive_x=False, reference="Mazur & Hastie 1978, Psychol. Bull. 85:1256", basis="hyperbolic",
    ),
    Form(
        "log_logistic_step", "log-logistic step", r"c + \frac{A}{1 + (x/x_{50})^{s}}", "c + A/(1 + (x/x50)**s)",
        (_amplitude("height of the drop"),
         Parameter("x50", "x_{50}", "x at which half of the drop is done", "x", "shape", 0.3, 3.0, True,
                   (1.0, 1.0, 80)),
         Parameter("s", "s", "steepness on the log axis", "1", "shape", 0.3, 2000.0, True, (0.7, 400.0, 9)),
         _floor("level after the transition")),
        positive_x=False, contains=("constant",), reference="a transition in log x; statistics of dose response",
        basis="step",
    ),
    Form(
        "broken_power", "two-segment power",
        r"A\,(x/x_b)^{-\gamma},\ \gamma = \gamma_1\ (x \le x_b),\ \gamma_2\ (x > x_b)",
        "Piecewise((A*(x/xb)**(-gamma1), x <= xb), (A*(x/xb)**(-gamma2), True))",
        (_amplitude("value at the break"),
         Parameter("gamma1", r"\gamma_1", "exponent before the break", "1", "shape", -4.0, 12.0, grid=(-0.3, 3.0, 7)),
         Parameter("gamma2", r"\gamma_2", "exponent after the break", "1", "shape", -4.0, 12.0, grid=(-0.3, 5.0, 7)),
         Parameter("xb", "x_b", "where the exponent changes", "x", "shape", 1.0, 1.0, True, (1.0, 1.0, 80),
                   interior=True)),
        contains=("power",), reference="segmented regression in log–log; Rickard 1997 across a strategy shift",
        basis="broken_power",
    ),
    Form(
        "truncated_zipf", "truncated Zipf",
        r"A \sum_{k \le K} p_k (1 - p_k)^x,\ p_k \propto k^{-s}", "",
        (_amplitude("attention when every pattern is new"),
         Parameter("s", "s", "Zipf exponent of the pattern frequencies; γ = 1 − 1/s for K → ∞", "1", "shape",
                   0.0, 8.0, grid=(0.3, 3.5, 12)),
         Parameter("K", "K", "number of patterns", "patterns", "shape", 2.0, 1e7, True, (4.0, 1e6, 12))),
        positive_x=False, axes=("stream",),
        reference="missing mass of Zipf-distributed patterns (theory T4): attention against stream length",
        basis="truncated_zipf",
    ),
    Form(
        "beta_geometric", "beta-geometric", r"A\,\mathrm{B}(\gamma, b + x) / \mathrm{B}(\gamma, b)",
        "A*gamma_function(b + x)*gamma_function(gamma + b)/(gamma_function(b)*gamma_function(gamma + b + x))",
        (_amplitude("value at x = 0"),
         _exponent("exponent of the tail: index of the rates' law at 0", 1e-2, by_log=True),
         Parameter("b", "b", "second shape of the Beta law of consolidation rates", "1", "shape", 1e-2, 1e5, True,
                   (0.1, 1e4, 9))),
        gamma="gamma", positive_x=False, axes=("exposure", "repetition"),
        reference="each exposure consolidates with its own Beta-distributed probability (theory T7)",
        basis="beta_geometric",
    ),
    Form(
        "two_process", "compute/retrieve mixture",
        r"T_a e^{-r x} + (1 - e^{-r x})\,T_r\,x^{-\gamma}", "Ta*exp(-r*x) + (1 - exp(-r*x))*Tr*x**(-gamma)",
        (_amplitude("time of the algorithm", "T_a", "Ta"), _amplitude("time of retrieval at x = 1", "T_r", "Tr"),
         Parameter("r", "r", "rate at which the algorithm is given up", "1/x", "shape", 1e-3, 20.0, True,
                   (0.02, 10.0, 28)),
         _exponent("exponent of the speed-up of retrieval", grid=(0.04, 4.0, 34))),  # γ = 1 is a valley for small r
        gamma="gamma", measures=("latency",), contains=("power",),
        reference="Logan 1988; Rickard 1997, J. Exp. Psychol. Gen. 126:288", basis="two_process",
    ),
)  # fmt: skip

_REGISTRY: dict[str, Form] = {form.name: form for form in _BUILT_IN}


def forms() -> dict[str, Form]:
    """Return the registry: every known form by name, built-in ones first.

    Returns
    -------
    dict of str to Form
        A copy; changing it changes nothing.

    Examples
    --------
    >>> import cogfit
    >>> "power" in cogfit.forms()
    True
    """
    return dict(_REGISTRY)


def get(name: str) -> Form:
    """Look a form up by name; raises InputError that lists the nearest names."""
    try:
        return _REGISTRY[name]
    except (KeyError, TypeError):
        hint = nearest(str(name), _REGISTRY) + "; a form of your own must be registered in every process that uses it"
        raise InputError(f"unknown form {name!r}", hint=hint) from None


def register(
    name: str,
    func: Callable[..., Any],
    params: Sequence[str] | None = None,
    *,
    start: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    jac: Callable[..., Any] | None = None,
    gamma: str | None = None,
    title: str | None = None,
    formula: str = "",
    replace: bool = False,
) -> Form:
    """Add a form of your own; ``cogfit.fit(x, y, form=name)`` then knows it.

    Parameters
    ----------
    name : str
        Identifier; must be new unless `replace`.
    func : callable
        ``func(x, *params) -> array`` of shape (n,). The function alone suffices.
    params : sequence of str, optional
        Names of the parameters; read off the signature of `func` by default.
    start : mapping, optional
        Starting values; without them, many starts are tried.
    bounds : mapping of str to (float, float), optional
        Lower and upper bound by parameter.
    jac : callable, optional
        ``jac(x, *params) -> (n, p)``; without it derivatives come from complex steps or three-point differences.
    gamma : str, optional
        Which parameter is the power-law exponent (default: the one called ``gamma``, if there is one).
    title, formula : str, optional
        Name in words, LaTeX.
    replace : bool, default False
        Allow a name that exists already.

    Returns
    -------
    Form

    Raises
    ------
    InputError
        If the name is taken, the parameters cannot be read off, or a name in `start` or `bounds` is unknown.

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> _ = cogfit.register("root", lambda x, a: a / np.sqrt(x), params=("a",), replace=True)
    >>> x = np.arange(1.0, 20.0)
    >>> round(cogfit.fit(x, 2.0 / np.sqrt(x), form="root").params["a"], 6)
    2.0
    """
    if not name:
        raise InputError("`name` must be a non-empty string")
    if name in _REGISTRY and not replace:
        raise InputError(
            f"a form named '{name}' is registered already", hint="choose another name or pass replace=True"
        )
    if not callable(func):
        raise InputError("`func` must be callable as func(x, *params)")
    if params is None:
        arguments = list(inspect.signature(func).parameters.values())[1:]
        if any(a.kind not in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD) for a in arguments):
            raise InputError("the parameters cannot be read off the signature of `func`", hint="pass params=('a', 'b')")
        params = [a.name for a in arguments]
    names = tuple(params)
    if not names or len(set(names)) != len(names) or not all(names):
        raise InputError("`params` must be one or more different, non-empty names")
    for label, mapping in (("start", start), ("bounds", bounds)):
        for key in mapping or {}:
            if key not in names:
                raise InputError(f"`{label}` names an unknown parameter '{key}'", hint=nearest(key, names))
    limits = {key: (float(low), float(high)) for key, (low, high) in (bounds or {}).items()}
    for key, (low, high) in limits.items():
        if not low < high:
            raise InputError(f"`bounds` of '{key}' must be (lower, upper) with lower < upper")
    if gamma is not None and gamma not in names:
        raise InputError(f"`gamma` names an unknown parameter '{gamma}'", hint=nearest(gamma, names))
    parameters = tuple(
        Parameter(p, p, "parameter of a user's form", "user", "free", *limits.get(p, (-math.inf, math.inf)))
        for p in names
    )
    form = Form(
        name, title or name, formula, "", parameters, gamma or ("gamma" if "gamma" in names else None),
        positive_x=False, function=func, derivative=jac, start=dict(start) if start else None,
        reference="registered by the user",
    )  # fmt: skip
    _REGISTRY[name] = form
    return form


def candidates(axis: str | None, measure: str | None) -> tuple[Form, ...]:
    """Return the built-in forms that have a meaning on this axis and for this measure, in registry order."""
    return tuple(
        form
        for form in _REGISTRY.values()
        if form.basis is not None
        and (form.axes is None or axis in form.axes)
        and (form.measures is None or measure in form.measures)
    )

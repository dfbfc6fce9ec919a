"""The curve of a member, for all members at once.

A member's parameters are the population's plus its own deviations. They are handled in *coordinates*: a parameter
itself, or its logarithm.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cogfit.engine import noise as noises
from cogfit.errors import InputError, nearest
from cogfit.formulas.form import Array, Form
from cogfit.formulas.registry import get_form

Evaluator = Callable[[Array, Mapping[str, Array], Array], tuple[Array, Array]]
"""``evaluate(x, covariates, params)``: values (…, n) and derivatives (…, n, p) for params (…, p) and x (…, n)."""

_STEP = float(np.cbrt(np.finfo(float).eps))  # of central differences, relative to the parameter


class Errors(NamedTuple):
    """How values scatter about a curve.

    Attributes
    ----------
    residual : ndarray
        Value less curve.
    weight : ndarray
        Inverse variance in units of σ², at the curve.
    square : ndarray
        Twice the loss of log-likelihood, in units of σ²: squares of residuals, or deviances.
    """

    residual: Array
    weight: Array
    square: Array


@dataclass(frozen=True)
class Model:
    """What is fitted to every member.

    Attributes
    ----------
    name, title : str
        Of the form.
    names : tuple of str
        Parameters.
    is_log, is_logit : ndarray of bool, shape (p,)
        Whether the logarithm, or the logit, of a parameter is the coordinate.
    random : tuple of int
        Parameters that differ between members, the most important first.
    evaluate : callable
        See :data:`Evaluator`.
    noise : str
        Of the errors: a key of :data:`cogfit.engine.noise.NOISE`.
    gamma : str or None
        Which parameter is the exponent.
    positive_x : bool
        Whether x = 0 is outside the domain.
    form : Form or None
        The registered form, None for a function with covariates.
    """

    name: str
    title: str
    names: tuple[str, ...]
    is_log: NDArray[np.bool_]
    is_logit: NDArray[np.bool_]
    random: tuple[int, ...]
    evaluate: Evaluator
    noise: str = "gaussian"
    gamma: str | None = None
    positive_x: bool = False
    form: Form | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.names)

    @property
    def relative(self) -> bool:
        """Whether the errors are in proportion to the curve."""
        return self.noise == "lognormal"

    @property
    def counted(self) -> bool:
        """Whether the values are shares of trials."""
        return self.noise == "binomial"

    def natural(self, coordinates: Array) -> Array:
        """Parameters from coordinates (…, p)."""
        with np.errstate(over="ignore"):
            natural = np.where(self.is_log, np.exp(np.where(self.is_log, coordinates, 0.0)), coordinates)
            if self.is_logit.any():
                natural = np.where(self.is_logit, 1.0 / (1.0 + np.exp(-coordinates)), natural)
        return natural

    def coordinates(self, params: Array) -> Array:
        """Coordinates of parameters (…, p).

        NaN where a logarithm does not exist.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            coordinates = np.where(self.is_log, np.log(np.where(self.is_log, params, 1.0)), params)
            if self.is_logit.any():
                coordinates = np.where(self.is_logit, np.log(params) - np.log1p(-params), coordinates)
        return coordinates

    def scale(self, params: Array) -> Array:
        """Derivatives of parameters (…, p) by their coordinates."""
        return np.where(self.is_logit, params * (1.0 - params), np.where(self.is_log, params, 1.0))

    def curve(self, x: Array, covariates: Mapping[str, Array], coordinates: Array) -> tuple[Array, Array]:
        """Values and derivatives on the scale of the errors.

        That is the logarithm of the curve where errors are relative. Values without a meaning are NaN.
        """
        params = self.natural(coordinates)
        with np.errstate(all="ignore"):
            value, slope = self.evaluate(x, covariates, params)
            slope = slope * self.scale(params)[..., None, :]
            if self.relative:
                value = np.where(value > 0.0, value, np.nan)
                slope = slope / value[..., None]
                value = np.log(value)
        return value, slope

    def errors(self, y: Array, value: Array, w: Array) -> Errors:
        """Compare values with a curve.

        The weight is 0 where there is no value.
        """
        if not self.counted:
            residual = np.where(w > 0.0, y - value, 0.0)
            return Errors(residual, np.broadcast_to(w, residual.shape), w * residual**2)
        noise = noises.get(self.noise)
        is_there = w > 0.0
        # a curve that leaves (0, 1) at one of the points is impossible, not just unlikely
        is_share = (value > 0.0) & (value < 1.0)
        share = np.where(is_share, value, 0.5)
        squares = np.where(is_there & ~is_share, np.inf, noise.residual(y, share, w)[0] ** 2)
        return Errors(np.where(is_there, y - share, 0.0), noise.information(share, w), squares)


def model_of(
    form: str | Form | Callable[..., Any],
    *,
    random: Sequence[str] | None = None,
    log: Sequence[str] | None = None,
    logit: Sequence[str] = (),
    covariates: Sequence[str] = (),
    noise: str = "gaussian",
    gamma: str | None = None,
) -> Model:
    """Make the model of a form or function.

    Parameters
    ----------
    form : str, Form or callable
        A registered form, or ``func(x, *params)`` that works on arrays; covariates are passed to it by name.
    random, log, logit : sequence of str, optional
        Parameters that differ between members (default: all), and those of which the logarithm or logit is normal.
    covariates : sequence of str
    noise : str
        A key of :data:`cogfit.engine.noise.NOISE`.
    gamma : str, optional
        Which parameter of a function is the exponent (default: ``gamma``, if there is one).

    Raises
    ------
    InputError
        If a name is unknown.
    """
    if isinstance(form, str):
        form = get_form(form)
    bare = _bare_form(form, covariates) if isinstance(form, Form) else _bare_function(form, covariates, gamma)
    names = bare.names
    chosen = names if random is None else _checked(names, random, "random")
    if bare.gamma in chosen:  # the first one's standard deviation is a parameter of its own
        chosen = tuple(sorted(chosen, key=lambda name: name != bare.gamma))
    logits = _checked(names, logit, "logit")
    logs = [n for n in (bare.scales if log is None else _checked(names, log, "log")) if n not in logits]
    return Model(
        name=bare.name,
        title=bare.title,
        names=names,
        is_log=np.array([n in logs for n in names], dtype=bool),
        is_logit=np.array([n in logits for n in names], dtype=bool),
        random=tuple(names.index(n) for n in chosen),
        evaluate=bare.evaluate,
        noise=noise,
        gamma=bare.gamma,
        positive_x=bare.positive_x,
        form=bare.form,
    )


class _Bare(NamedTuple):
    """A form or function, before it is said how members differ."""

    name: str
    title: str
    names: tuple[str, ...]
    scales: tuple[str, ...]
    evaluate: Evaluator
    gamma: str | None
    positive_x: bool
    form: Form | None


def _bare_form(form: Form, covariates: Sequence[str]) -> _Bare:
    """A registered form, the logarithms of its scales as coordinates."""
    if covariates:
        raise InputError(f"form '{form.name}' takes no covariates", hint="pass a function that takes them by name")
    scales = tuple(q.name for q in form.parameters if q.in_logs or (q.role == "amplitude" and q.lower == 0.0))
    return _Bare(form.name, form.title, form.names, scales, _evaluator(form), form.gamma, form.positive_x, form)


def _bare_function(function: Callable[..., Any], covariates: Sequence[str], gamma: str | None) -> _Bare:
    """A caller's function as a form."""
    names = _parameter_names(function, covariates)
    if gamma is not None and gamma not in names:
        raise InputError(f"`gamma` names no parameter '{gamma}'", hint=nearest(gamma, names))
    name = getattr(function, "__name__", "function")
    gamma = gamma or ("gamma" if "gamma" in names else None)
    return _Bare(name, name, names, (), _by_differences(function), gamma, False, None)


def _checked(names: tuple[str, ...], chosen: Sequence[str], option: str) -> tuple[str, ...]:
    """Names of parameters that a caller chose, in the order of the form."""
    chosen = (chosen,) if isinstance(chosen, str) else tuple(chosen)
    for name in chosen:
        if name not in names:
            raise InputError(f"`{option}` names no parameter '{name}'", hint=nearest(name, names))
    if option == "random" and not chosen:
        raise InputError("`random` names no parameter", hint=f"name one or more of {', '.join(names)}")
    return tuple(name for name in names if name in chosen)


def _parameter_names(function: Callable[..., Any], covariates: Sequence[str]) -> tuple[str, ...]:
    """Names of the parameters in a function's signature.

    The first argument is x, and covariates are no parameters.
    """
    try:
        arguments = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise InputError("the arguments of the function cannot be read", hint="wrap it in a plain function") from None
    kinds = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    if any(argument.kind in kinds for argument in arguments):
        raise InputError("the function takes *args or **kwargs, so its parameters have no names")
    names = tuple(argument.name for argument in arguments[1:] if argument.name not in covariates)
    if not names:
        raise InputError("the function has no parameters", hint="write it as func(x, a, b)")
    missing = [name for name in covariates if name not in {argument.name for argument in arguments[1:]}]
    if missing:
        raise InputError(f"the function takes no covariate '{missing[0]}'", hint=nearest(missing[0], names))
    return names


# -------------------------------------------------------------------------------------------------- evaluation


def _evaluator(form: Form) -> Evaluator:
    """Evaluate a registered form.

    From its expression where it has one that works on arrays.
    """
    if form.function is not None:
        return _by_differences(form.function)
    elementary = form.expression and "gamma_function" not in form.expression
    return _by_expression(form.expression, form.names) if elementary else _curve_by_curve(form)


@cache
def _by_expression(text: str, names: tuple[str, ...]) -> Evaluator:
    """Evaluate a formula and its symbolic derivatives."""
    import sympy

    symbols = {name: sympy.Symbol(name, real=True) for name in ("x", *names)}
    expression = sympy.parse_expr(text, local_dict=dict(symbols))
    parameters = [symbols[name] for name in names]
    formulas = [expression, *(sympy.diff(expression, parameter) for parameter in parameters)]
    compiled = sympy.lambdify([symbols["x"], *parameters], formulas, modules="numpy", cse=True)

    def evaluate(x: Array, covariates: Mapping[str, Array], params: Array) -> tuple[Array, Array]:
        shape = np.broadcast_shapes(x.shape, (*params.shape[:-1], 1))
        value, *slopes = compiled(x, *np.moveaxis(params[..., None, :], -1, 0))
        jacobian = np.empty((*shape, len(names)))
        for j, slope in enumerate(slopes):
            jacobian[..., j] = slope
        return np.broadcast_to(value, shape), jacobian

    return evaluate


def _by_differences(function: Callable[..., Any]) -> Evaluator:
    """Evaluate a function of arrays; derivatives by central differences."""

    def call(x: Array, covariates: Mapping[str, Array], params: Array) -> Array:
        shape = np.broadcast_shapes(x.shape, (*params.shape[:-1], 1))
        full = [np.broadcast_to(value, shape).ravel() for value in np.moveaxis(params[..., None, :], -1, 0)]
        others = {name: np.broadcast_to(value, shape).ravel() for name, value in covariates.items()}
        value = _called(function, np.broadcast_to(x, shape).ravel(), full, others)
        return value.reshape(shape)

    def evaluate(x: Array, covariates: Mapping[str, Array], params: Array) -> tuple[Array, Array]:
        value = call(x, covariates, params)
        jacobian = np.empty((*value.shape, params.shape[-1]))
        for j in range(params.shape[-1]):
            step = np.zeros_like(params)
            step[..., j] = _STEP * np.where(params[..., j] != 0.0, np.abs(params[..., j]), 1.0)
            up, down = params + step, params - step
            width = (up - down)[..., j, None]
            jacobian[..., j] = (call(x, covariates, up) - call(x, covariates, down)) / width
        return value, jacobian

    return evaluate


def _called(function: Callable[..., Any], x: Array, params: Sequence[Array], covariates: Mapping[str, Array]) -> Array:
    """Value of a caller's function for arrays.

    What can go wrong in it is said in one line.
    """
    name = getattr(function, "__name__", "function")
    try:
        value = np.asarray(function(x, *params, **covariates), dtype=float)
    except InputError:
        raise
    except Exception as error:
        hint = "x, parameters and covariates are arrays of one length: use numpy's functions and no `if` on a parameter"
        raise InputError(f"the function '{name}' fails: {type(error).__name__}: {error}", hint=hint) from error
    if value.shape != x.shape:
        raise InputError(f"the function '{name}' returns shape {value.shape} for arrays of shape {x.shape}")
    return value


def _curve_by_curve(form: Form) -> Evaluator:
    """Evaluate a form that has no formula for arrays.

    This is slow.
    """

    def evaluate(x: Array, covariates: Mapping[str, Array], params: Array) -> tuple[Array, Array]:
        shape = np.broadcast_shapes(x.shape, (*params.shape[:-1], 1))
        xs = np.broadcast_to(x, shape).reshape(-1, shape[-1])
        rows = np.broadcast_to(params, (*shape[:-1], params.shape[-1])).reshape(-1, params.shape[-1])
        value = np.stack([form.evaluate(points, row) for points, row in zip(xs, rows, strict=True)])
        slope = np.stack([form.jacobian(points, row) for points, row in zip(xs, rows, strict=True)])
        return value.reshape(shape), slope.reshape(*shape, params.shape[-1])

    return evaluate

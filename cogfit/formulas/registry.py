"""The registry of forms: look one up, add one of your own."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cogfit.errors import InputError, nearest
from cogfit.formulas.built_in import BUILT_IN
from cogfit.formulas.form import Form, Parameter

_REGISTRY: dict[str, Form] = {form.name: form for form in BUILT_IN}


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


def get_form(name: str) -> Form:
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


def candidate_forms(axis: str | None, measure: str | None) -> tuple[Form, ...]:
    """Return the built-in forms that have a meaning on this axis and for this measure, in registry order."""
    return tuple(
        form
        for form in _REGISTRY.values()
        if form.basis is not None
        and (form.axes is None or axis in form.axes)
        and (form.measures is None or measure in form.measures)
    )

"""The registry of forms.

Look one up, add one of your own.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cogfit.errors import InputError, nearest
from cogfit.formulas.built_in import BUILT_IN
from cogfit.formulas.form import Form, Parameter
from cogfit.formulas.on_request import ON_REQUEST
from cogfit.plugins import plugins

POWER_LAWS = tuple(form.name for form in BUILT_IN if form.power_law)
"""Names of the forms that a verdict calls "a power law", the simplest first."""

POWER = POWER_LAWS[0]
"""The power law without floor: its exponent is the log–log slope, a description of any falling curve."""

SCOUTS = tuple(form.name for form in BUILT_IN if form.scout)
"""Names of the forms by which the noise model is chosen."""

CONSTANT = next(form.name for form in BUILT_IN if form.names == ("c",))
"""The null form: no decay at all."""

_OWN = (*BUILT_IN, *ON_REQUEST)
_REGISTRY: dict[str, Form] = {form.name: form for form in _OWN}


def _plugged_in() -> dict[str, Form]:
    """Forms of installed packages, by name.

    Entry points of the group ``cogfit.forms``.
    """
    built_in = tuple(form.name for form in _OWN)
    return {form.name: form for form in plugins("cogfit.forms", Form, "name", built_in)}


def forms() -> dict[str, Form]:
    """Return every known form by name, built-in ones first.

    Returns
    -------
    dict of str to Form
        A copy: built-in forms, those of installed packages (entry points of the group
        ``cogfit.forms``), those that :func:`register` added.

    Examples
    --------
    >>> import cogfit
    >>> "power" in cogfit.forms()
    True
    """
    added = {name: form for name, form in _REGISTRY.items() if form not in _OWN}
    return {**{form.name: form for form in _OWN}, **_plugged_in(), **added}


def get_form(name: str) -> Form:
    """Look a form up by name or title.

    Raises
    ------
    InputError
        If there is none; the message lists the nearest names.
    """
    try:
        return _REGISTRY[name]
    except (KeyError, TypeError):
        all_forms = forms()  # plug-ins are looked up only where nothing else has the name
    titled = {_folded(form.title): form for form in all_forms.values()}
    try:
        return all_forms[name] if name in all_forms else titled[_folded(name)]
    except (KeyError, TypeError, AttributeError):
        hint = nearest(str(name), all_forms) + "; a form of your own must be registered in every process that uses it"
        raise InputError(f"unknown form {name!r}", hint=hint) from None


def _folded(title: str) -> str:
    """A title without what people write in one way or another."""
    return "".join(sign for sign in title.casefold() if sign.isalnum() or sign == "+")


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
    """Add a form of your own.

    ``cogfit.fit(x, y, form=name)`` then knows it.

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
    _check_name(name, replace)
    if not callable(func):
        raise InputError("`func` must be callable as func(x, *params)")
    names = _parameter_names(func, params)
    _check_names(names, start=start, bounds=bounds)
    if gamma is not None and gamma not in names:
        raise InputError(f"`gamma` names an unknown parameter '{gamma}'", hint=nearest(gamma, names))
    limits = _checked_bounds(bounds or {})
    form = Form(
        name=name,
        title=title or name,
        formula=formula,
        expression="",
        parameters=tuple(_user_parameter(parameter, limits.get(parameter)) for parameter in names),
        gamma=gamma or ("gamma" if "gamma" in names else None),
        positive_x=False,
        closed_under=(),
        function=func,
        derivative=jac,
        start=dict(start) if start else None,
        reference="registered by the user",
    )
    _REGISTRY[name] = form
    return form


def _check_name(name: str, replace: bool) -> None:
    """Refuse an empty name, or one that is taken."""
    if not name:
        raise InputError("`name` must be a non-empty string")
    if name in forms() and not replace:
        raise InputError(
            f"a form named '{name}' is registered already", hint="choose another name or pass replace=True"
        )


def _parameter_names(func: Callable[..., Any], params: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the parameters.

    As given, or read off the signature.
    """
    if params is None:
        arguments = list(inspect.signature(func).parameters.values())[1:]
        if any(a.kind not in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD) for a in arguments):
            raise InputError("the parameters cannot be read off the signature of `func`", hint="pass params=('a', 'b')")
        params = [a.name for a in arguments]
    names = tuple(params)
    if not names or len(set(names)) != len(names) or not all(names):
        raise InputError("`params` must be one or more different, non-empty names")
    return names


def _check_names(names: tuple[str, ...], **mappings: Mapping[str, Any] | None) -> None:
    """Refuse names that are no parameters."""
    for label, mapping in mappings.items():
        for key in mapping or {}:
            if key not in names:
                raise InputError(f"`{label}` names an unknown parameter '{key}'", hint=nearest(key, names))


def _checked_bounds(bounds: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    limits = {key: (float(low), float(high)) for key, (low, high) in bounds.items()}
    for key, (low, high) in limits.items():
        if not low < high:
            raise InputError(f"`bounds` of '{key}' must be (lower, upper) with lower < upper")
    return limits


def _user_parameter(name: str, limits: tuple[float, float] | None) -> Parameter:
    return Parameter(name, name, "parameter of a user's form", "user", "free", *(limits or (-math.inf, math.inf)))


def candidate_forms(axis: str | None, measure: str | None) -> tuple[Form, ...]:
    """Return the built-in forms that have a meaning here.

    A form may be made for some axes or measures only. They come in registry order.
    """
    return tuple(
        form
        for form in _REGISTRY.values()
        if form.basis is not None
        and (form.axes is None or axis in form.axes)
        and (form.measures is None or measure in form.measures)
    )

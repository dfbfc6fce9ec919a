"""What a caller gave instead of what was expected, in words."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sized
from typing import Any

from cogfit.errors import InputError, shortened, shortlist

_FEW = 4  # keys and columns that are listed
_LONG = 40  # characters of a value that is quoted


def described(values: object) -> str:
    """Say what a value is.

    Examples
    --------
    >>> described({"x": [1, 2], "y": [3, 4]}), described([[1, 2], [3]]), described(3), described(None)
    ("a dict with the keys 'x', 'y'", 'a list of 2 lists', 'the int 3', 'None')
    """
    kind = type(values).__name__
    if values is None:
        return "None"
    if isinstance(values, type):
        return f"the class {values.__name__}"
    if isinstance(values, Mapping):
        return f"{_article(kind)} with the keys {_names(values)}" if values else f"an empty {kind}"
    if hasattr(values, "columns") and hasattr(values, "groupby"):
        columns = list(values.columns)
        return f"{_article(kind)} {f'with the columns {_names(columns)}' if columns else 'without columns'}"
    if hasattr(values, "shape"):
        return f"{_article(kind)} of shape {tuple(values.shape)}"
    if isinstance(values, str):
        return f"the text {shortened(values, _LONG)!r}"
    if isinstance(values, bool | int | float | complex):
        return f"the {kind} {values!r}"
    if isinstance(values, list | tuple | set | frozenset):
        return f"{_article(kind)} of {_members(values)}" if values else f"an empty {kind}"
    return _article(kind)


def _article(kind: str) -> str:
    return f"{'an' if kind[:1] in 'aeiouAEIOU' or kind == 'ndarray' else 'a'} {kind}"


def _names(names: Any) -> str:
    return shortlist([repr(name) for name in names], _FEW)


def _members(values: Any) -> str:
    """Number and kind of what a list holds."""
    kinds = {type(value).__name__ for value in values}
    one = kinds.pop() if len(kinds) == 1 else "value"
    return f"{len(values):,} {one}{'s' if len(values) != 1 else ''}"


def way_to_numbers(values: object, name: str) -> str | None:
    """How to turn a container into a table or list.

    None where no way is known.

    Examples
    --------
    >>> way_to_numbers({"x": [1, 2], "y": [3, 4]}, "data"), way_to_numbers({1, 2}, "x")
    ('make a table of it: pandas.DataFrame(data)', 'make a list of it: list(x)')
    """
    if _are_records(values) or _are_columns(values):
        return f"make a table of it: pandas.DataFrame({name})"
    has_order = isinstance(values, Sized) and hasattr(values, "__getitem__")
    if hasattr(values, "__iter__") and not has_order and not isinstance(values, type):
        return f"make a list of it: list({name})"
    return None


def _are_records(values: object) -> bool:
    return isinstance(values, list | tuple) and bool(values) and all(isinstance(row, Mapping) for row in values)


def _are_columns(values: object) -> bool:
    """Whether values are columns of one length by name."""
    if not isinstance(values, Mapping) or not all(hasattr(column, "__len__") for column in values.values()):
        return False
    texts = any(isinstance(column, str | bytes | Mapping) for column in values.values())
    return not texts and len({len(column) for column in values.values()}) == 1


def refused(name: str, values: object, expected: str, hint: str) -> InputError:
    """Return the error for an argument of a wrong kind.

    Parameters
    ----------
    name : str
        Of the argument.
    values : object
    expected : str
        What it should be.
    hint : str
        How to go on.

    Examples
    --------
    >>> str(refused("id", {1, 2}, "a name", "see what there is: list(cogfit.human())"))
    '`id` is a set of 2 ints, not a name; see what there is: list(cogfit.human())'
    """
    return InputError(f"`{name}` is {described(values)}, not {expected}", hint=hint)


def missing_y(data: object, hint: str) -> InputError:
    """Return the error for data without any y.

    Examples
    --------
    >>> str(missing_y({"x": [1], "y": [2]}, "call cogfit.fit(x, y)"))[:71]
    "`y` is missing, and `data` is a dict with the keys 'x', 'y'; make a tab"
    """
    way = way_to_numbers(data, "data")
    what = f"`y` is missing, and `data` is {described(data)}"
    return InputError(what, hint=f"{way}, or {hint}" if way else hint)


def listed(name: str, values: Any, kinds: Any, expected: str, hint: str) -> list[Any]:
    """Return one value or several as a list.

    Parameters
    ----------
    name : str
        Of the argument.
    values : object
        A value of one of the kinds, or what holds such values. Keys of a table are none.
    kinds : type or union of types
    expected, hint : str
        As for :func:`refused`.

    Raises
    ------
    InputError
        There is something else, or something else among them.
    """
    if isinstance(values, kinds):
        return [values]
    has_keys = isinstance(values, Mapping | str | bytes) or hasattr(values, "columns")
    is_iterable = hasattr(values, "__iter__") and not isinstance(values, type) and getattr(values, "ndim", 1) > 0
    items = list(values) if is_iterable and not has_keys else None
    if items is None or not all(isinstance(item, kinds) for item in items):
        raise refused(name, values, expected, hint)
    return items


def check_path(name: str, path: object, hint: str) -> None:
    """Refuse what is neither a text nor a path.

    Parameters
    ----------
    name : str
        Of the argument.
    path : object
    hint : str
        How to go on.

    Raises
    ------
    InputError
        It is something else, or empty.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"`{name}` is {described(path)}, not a path", hint=hint)
    if not os.fspath(path):
        raise InputError(f"`{name}` is empty", hint="name a file or folder")

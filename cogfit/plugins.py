"""What installed packages add without a fork, by entry points.

A package names its records in its own ``pyproject.toml``::

    [project.entry-points."cogfit.formats"]
    mylog = "mypackage.reader:READER"

Groups: ``cogfit.formats`` (:class:`cogfit.logs.formats.reader.Reader`), ``cogfit.forms``
(:class:`cogfit.Form`), ``theory.policies`` (:class:`theory.policies.System`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from operator import attrgetter
from typing import Any, TypeVar

T = TypeVar("T")


class PluginWarning(UserWarning):
    """A plug-in was left out, and why."""


@cache
def _loaded(group: str) -> tuple[tuple[str, Any], ...]:
    """Name and object of every entry point of a group.

    Those that cannot be imported are left out.
    """
    loaded: list[tuple[str, Any]] = []
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
        label = _label(point, group)
        # whatever a foreign module does at import, the built-in records go on working
        try:
            loaded.append((label, point.load()))
        except (Exception, SystemExit) as error:
            _leave_out(label, f"it cannot be imported ({type(error).__name__}: {error})")
    return tuple(loaded)


@cache
def plugins(group: str, kind: type[T], key: str, taken: Iterable[str] = ()) -> tuple[T, ...]:
    """Return the records that installed packages add.

    Parameters
    ----------
    group : str
        Of the entry points, such as ``"cogfit.forms"``.
    kind : type
        Of the records; anything else is left out.
    key : str
        Attribute that identifies a record.
    taken : tuple of str
        Identifiers of the built-in records, which cannot be replaced.

    Returns
    -------
    tuple
        In the order of names. What is broken is left out with a :class:`PluginWarning`.

    Examples
    --------
    >>> plugins("cogfit.nothing", str, "name")
    ()
    """
    identifier_of = attrgetter(key)
    identifiers = set(taken)
    records: list[T] = []
    for label, record in _loaded(group):
        if not isinstance(record, kind):
            _leave_out(label, f"it is no {kind.__name__}, but {type(record).__name__}")
        elif (identifier := identifier_of(record)) in identifiers:
            _leave_out(label, f"the name '{identifier}' is taken")
        else:
            identifiers.add(identifier)
            records.append(record)
    return tuple(records)


def _label(point: EntryPoint, group: str) -> str:
    owner = "" if point.dist is None else f" of the package {point.dist.name}"
    return f"plug-in '{point.name}'{owner} ({group}: {point.value})"


def _leave_out(label: str, reason: str) -> None:
    warnings.warn(f"{label} was left out: {reason}", PluginWarning, stacklevel=4)

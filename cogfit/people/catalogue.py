"""Catalogue of human learning and forgetting data.

The tables are a Frictionless data package (``data/human``); what the statistics need to know of a table stands in the
property ``cogfit`` of its resource: axis, unit of repetition, convention, measure, scale, level of averaging, kind of
uncertainty, and which column is what. A user's own package is described and read in the same way.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, overload

from cogfit.errors import InputError, nearest
from cogfit.files import data_dir
from cogfit.people.dataset import (
    AXES,
    CONVENTIONS,
    KINDS,
    LEVELS,
    MEASURES,
    NUMERIC,
    REPEATED,
    ROUTES,
    SHARES,
    TYPES,
    UNCERTAINTIES,
    VERIFICATIONS,
    Columns,
    Dataset,
    Field,
)
from cogfit.records.given import refused
from cogfit.records.sentence import number_of

if TYPE_CHECKING:
    import pandas as pd

ENVIRONMENT = "COGFIT_HUMAN_DATA"
"""Environment variable with packages of the user's own, separated as in PATH."""


@dataclass(frozen=True)
class Unobtainable:
    """A data set whose values could not be read.

    Attributes
    ----------
    name, title, reason : str
    link, licence : str or None
    """

    name: str
    title: str
    reason: str
    link: str | None = None
    licence: str | None = None


class Catalogue(Mapping[str, Dataset]):
    """Data sets by id.

    :func:`human` returns it.

    Attributes
    ----------
    unobtainable : tuple of Unobtainable
        Sets that are known but could not be read.
    damaged : mapping of str to InputError
        Resources of a package that cannot be used, and what is wrong; asked for, they raise it.

    Examples
    --------
    >>> import cogfit
    >>> catalogue = cogfit.human()
    >>> "ebbinghaus1885_savings" in catalogue
    True
    >>> sorted({data.axis for data in catalogue.values()})
    ['age', 'delay', 'lag', 'repetition']
    """

    def __init__(
        self,
        items: Mapping[str, Dataset],
        unobtainable: Sequence[Unobtainable] = (),
        damaged: Mapping[str, InputError] | None = None,
    ) -> None:
        self._items = dict(items)
        self.unobtainable = tuple(unobtainable)
        self.damaged = dict(damaged or {})

    def __getitem__(self, id: str) -> Dataset:
        """Return a data set.

        Raises
        ------
        InputError
            For an unknown id, with near matches, and for a damaged set.
        """
        if id in self._items:
            return self._items[id]
        if id in self.damaged:
            raise self.damaged[id]
        missing = next((item for item in self.unobtainable if item.name == id), None)
        if missing is not None:
            raise InputError(f"the values of {missing.title} could not be read", hint=f"see {missing.link or 'there'}")
        raise InputError(f"there is no data set {id!r}", hint=nearest(str(id), self._items))

    def __contains__(self, id: object) -> bool:
        return id in self._items

    def get(self, id: str, default: Any = None) -> Any:
        """Return a data set, or `default`."""
        return self._items.get(id, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"<Catalogue of {number_of(len(self), 'data set')}>"

    def readable(self) -> Catalogue:
        """Return the readable sets, and the others as damaged."""
        items, damaged = {}, dict(self.damaged)
        for name, data in self.items():
            try:
                data.series()
                items[name] = data
            except InputError as error:
                damaged[name] = error
        return Catalogue(items, self.unobtainable, damaged)

    def table(self) -> pd.DataFrame:
        """One row per data set that can be read.

        Returns
        -------
        pandas.DataFrame
            Columns ``id``, ``title``, ``kind``, ``axis``, ``repeated``, ``convention``, ``measure``, ``level``,
            ``uncertainty``, ``n`` (subjects behind a curve, as text), ``curves``, ``values``, ``verification``,
            ``licence``, ``citation``.
        """
        import pandas as pd

        names = ("id", "title", "kind", "axis", "repeated", "convention", "measure", "level", "uncertainty")
        rows = []
        for data in self.readable().values():
            curves = data.series()
            rows.append(
                {name: getattr(data, name) for name in names}
                | {"n": _range([curve.n for curve in curves])}
                | {"curves": len(curves), "values": sum(curve.y.size for curve in curves)}
                | {name: getattr(data, name) for name in ("verification", "licence", "citation")}
            )
        return pd.DataFrame(rows)


def _range(counts: Sequence[int | None]) -> str:
    """Write counts as ``25``, ``24–25`` or ``?``."""
    known = sorted({count for count in counts if count is not None})
    return "–".join(str(count) for count in dict.fromkeys((known[0], known[-1]))) if known else "?"


Extra = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None
"""A folder with a ``datapackage.json``, the path of one, or several of these."""


@overload
def human(id: None = None, *, extra: Extra = None) -> Catalogue: ...
@overload
def human(id: str, *, extra: Extra = None) -> Dataset: ...
def human(id: str | None = None, *, extra: Extra = None) -> Catalogue | Dataset:
    """Return human learning and forgetting data, with their provenance.

    Parameters
    ----------
    id : str, optional
        One data set; without it, all.
    extra : path or sequence of paths, optional
        Data packages of your own: a folder with a ``datapackage.json`` or the path of one. Those named in the
        environment variable ``COGFIT_HUMAN_DATA`` (separated as in PATH) are read, too.

    Returns
    -------
    Catalogue or Dataset

    Raises
    ------
    InputError
        For an unknown id (with near matches) or a package of which nothing can be used, saying what is wrong where. A
        damaged resource beside others stands in `Catalogue.damaged`.

    Examples
    --------
    >>> import cogfit
    >>> data = cogfit.human("ebbinghaus1885_savings")
    >>> data.citation
    'Ebbinghaus 1885, Über das Gedächtnis (tr. Ruger & Bussenius 1913), §§ 28–29'
    >>> curve = data.series(edition="1885")[0]
    >>> fit = cogfit.fit(curve.curve(), form="power")
    >>> round(fit.gamma, 3)  # the printed standard errors weight the points
    0.129
    """
    if id is not None and not isinstance(id, str):
        raise refused("id", id, "the id of a data set", "see what there is: list(cogfit.human())")
    catalogue = _shipped()
    paths = [part for part in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if part]
    if extra is not None:
        listed = [extra] if isinstance(extra, str | os.PathLike) else extra
        paths += [os.fspath(path) for path in listed]
    for path in paths:
        catalogue = _with_package(catalogue, path)
    return catalogue if id is None else catalogue[id]


def _with_package(catalogue: Catalogue, path: str) -> Catalogue:
    """Add the data sets of one more package."""
    added = read_package(path).readable()  # a damaged table is found now, not later
    if added.damaged and not added:
        raise next(iter(added.damaged.values()))
    for name in (*added, *added.damaged):
        if name in catalogue or name in catalogue.damaged:
            raise InputError(f"a data set '{name}' exists already", path=path, hint="rename the resource")
    return Catalogue(
        {**catalogue, **added},
        (*catalogue.unobtainable, *added.unobtainable),
        {**catalogue.damaged, **added.damaged},
    )


@cache
def _shipped() -> Catalogue:
    return read_package(data_dir() / "human")


# ------------------------------------------------------------------------------------------------ descriptors


@dataclass(frozen=True)
class _Property:
    """One entry of the property ``cogfit`` of a resource."""

    type: type | tuple[type, ...]
    choices: Mapping[str, str] | None = None
    default: Any = None
    required: bool = False


_PROPERTIES: dict[str, _Property] = {
    "kind": _Property(str, KINDS, "curve"),
    "axis": _Property(str, AXES, required=True),
    "repeated": _Property((str, type(None)), REPEATED),
    "unit": _Property(str, required=True),
    "convention": _Property(str, CONVENTIONS, required=True),
    "measure": _Property(str, MEASURES, required=True),
    "scale": _Property(str, default="not stated"),
    "route": _Property((str, type(None)), ROUTES),
    "fixed_set": _Property((str, type(None))),
    "level": _Property(str, LEVELS, "unknown"),
    "n": _Property((int, dict, type(None))),
    "uncertainty": _Property(str, UNCERTAINTIES, "none"),
    "read": _Property(str, default="not stated"),
    "verification": _Property(str, VERIFICATIONS, "unverified"),
    "columns": _Property(dict, required=True),
    "contrast": _Property(list, default=()),
    "paired": _Property(bool, default=False),
    "notes": _Property(list, default=()),
    "citations": _Property(list, default=()),
}


def read_package(path: str | os.PathLike[str]) -> Catalogue:
    """Read the descriptor of a data package.

    The tables themselves are read on first use.

    Parameters
    ----------
    path : path
        A folder with a ``datapackage.json``, or the path of one.

    Raises
    ------
    InputError
        If it cannot be read, or two resources have one name. A resource that lacks what is needed to use its table
        blocks only itself (`Catalogue.damaged`).
    """
    file = Path(path)
    if file.is_dir():
        file = file / "datapackage.json"
    package = _read_descriptor(file)
    items: dict[str, Dataset] = {}
    damaged: dict[str, InputError] = {}
    for number, item in enumerate(package["resources"], start=1):
        given = item.get("name")
        name = given if isinstance(given, str) and given else f"resource {number}"
        if name in items or name in damaged:
            raise InputError(f"two resources have the name '{name}'", path=file, hint="rename one")
        try:
            items[name] = _dataset(item, number, package, file)
        except InputError as error:
            damaged[name] = error
    return Catalogue(items, _unobtainable(package.get("cogfit"), file), damaged)


def _read_descriptor(file: Path) -> dict[str, Any]:
    """Read a descriptor that lists resources."""
    try:
        package = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        hint = "name a folder with a datapackage.json, or the file"
        raise InputError(f"cannot be read as a data package ({error})", path=file, hint=hint) from error
    resources = package.get("resources") if isinstance(package, dict) else None
    if not isinstance(resources, list) or not all(isinstance(item, dict) for item in resources):
        raise InputError("is no data package: it has no list of resources", path=file)
    return dict(package)


def _unobtainable(about: Any, file: Path) -> list[Unobtainable]:
    listed = about.get("unobtainable", []) if isinstance(about, dict) else []
    try:
        return [Unobtainable(**dict(item)) for item in list(listed)]
    except (TypeError, ValueError) as error:
        hint = "give " + ", ".join(f.name for f in fields(Unobtainable))
        raise InputError("'unobtainable' lists what cannot be understood", path=file, hint=hint) from error


@dataclass(frozen=True)
class _Resource:
    """Where in a descriptor something is wrong."""

    file: Path
    name: str

    def error(self, what: str, *, column: str | None = None, hint: str | None = None) -> InputError:
        """Error that begins with the name of the resource."""
        return InputError(f"resource '{self.name}'{what}", path=self.file, column=column, hint=hint)


def _dataset(item: dict[str, Any], number: int, package: dict[str, Any], file: Path) -> Dataset:
    """Data set of one resource."""
    name = item.get("name")
    if not isinstance(name, str) or not name:
        raise InputError(f"resource {number} has no name", path=file)
    resource = _Resource(file, name)
    path = _table_path(item.get("path"), resource)
    schema = _schema(item.get("schema"), resource)
    about = _properties(item.get("cogfit"), resource)
    columns = _columns(about, schema, resource)
    # sources and licences of the package hold for resources without their own
    sources = _records("sources", item, package, resource)
    licences = _records("licenses", item, package, resource)
    described: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in about.items()
        if key not in ("columns", "citations")
    }
    return Dataset(
        id=name,
        title=str(item.get("title", name)),
        columns=columns,
        schema=schema,
        path=path,
        citation="; ".join(str(source.get("title", "")) for source in sources) or "not stated",
        links=tuple(str(source["path"]) for source in sources if "path" in source),
        licence="; ".join(_licence(entry) for entry in licences) or "not stated",
        **described,
    )


def _records(name: str, item: dict[str, Any], package: dict[str, Any], resource: _Resource) -> list[dict[str, Any]]:
    """Objects of a list of the resource, or of its package."""
    listed = item.get(name, package.get(name, []))
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise resource.error(f": '{name}' must be a list of objects")
    return listed


def _table_path(target: Any, resource: _Resource) -> Path:
    """Where a table is, which must be inside the package.

    Links are followed: one that leads out would show a file that is none of the package's business. Where the
    descriptor is a link itself (installers make such folders), its neighbours there are inside, too.
    """
    if not isinstance(target, str) or PurePosixPath(target).is_absolute() or ".." in PurePosixPath(target).parts:
        raise resource.error(f" needs a path relative to the package, not {target!r}")
    path = resource.file.parent / target
    try:
        place = path.resolve()
        inside = [resource.file.parent.resolve(), resource.file.resolve().parent]
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, or no name of a file at all
        raise resource.error(f" has a path that cannot be followed ({error})") from None
    if not any(place.is_relative_to(folder) for folder in inside):
        raise resource.error(f": '{target}' is a link out of the package", hint="put the table itself there")
    return path


def _licence(entry: Mapping[str, Any]) -> str:
    """Short name where it says something, else the words."""
    name, title = str(entry.get("name", "")), str(entry.get("title", ""))
    return title or name if name.startswith("other") or not name else name


def _schema(schema: Any, resource: _Resource) -> tuple[Field, ...]:
    """Columns of a table."""
    listed = schema.get("fields") if isinstance(schema, dict) else None
    if not isinstance(listed, list) or not listed:
        raise resource.error(" has no schema with fields", hint="list name and type of every column")
    out = []
    for entry in listed:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise resource.error(" has a field without a name")
        kind = entry.get("type", "string")
        if kind not in TYPES:
            hint = "use " + ", ".join(TYPES)
            raise resource.error(f" has a field of type {kind!r}", column=entry["name"], hint=hint)
        out.append(Field(entry["name"], kind, str(entry.get("title", entry["name"])), entry.get("unit")))
    return tuple(out)


# ---------------------------------------------------------------------------------- what the property ``cogfit`` says


def _properties(given: Any, resource: _Resource) -> dict[str, Any]:
    """Check the property ``cogfit`` and fill it up with defaults."""
    needed = ", ".join(name for name, known in _PROPERTIES.items() if known.required)
    if not isinstance(given, dict):
        raise resource.error(" lacks the property 'cogfit'", hint=f"it needs at least {needed}")
    for name in given:
        if name not in _PROPERTIES:
            raise resource.error(f": unknown entry '{name}' in 'cogfit'", hint=nearest(name, _PROPERTIES))
    out = {}
    for name, known in _PROPERTIES.items():
        if known.required and name not in given:
            raise resource.error(f": 'cogfit' lacks '{name}'", hint=_choose(known, needed))
        value = given.get(name, known.default)
        if name in given and not _has_type(value, known):
            raise resource.error(f": '{name}' cannot be {value!r}", hint=_choose(known, "see the docs"))
        _check_value(name, value, known, resource)
        out[name] = value
    return out


def _has_type(value: Any, known: _Property) -> bool:
    """Whether a value has the type of a property.

    No boolean is a number here.
    """
    return isinstance(value, known.type) and not (isinstance(value, bool) and known.type is not bool)


def _check_value(name: str, value: Any, known: _Property, resource: _Resource) -> None:
    """Refuse what has the right type and still no meaning."""
    if known.choices is not None and value is not None and value not in known.choices:
        raise resource.error(f": '{name}' cannot be {value!r}", hint=nearest(value, known.choices))
    if isinstance(value, list) and not all(isinstance(entry, str) for entry in value):
        raise resource.error(f": '{name}' must be a list of strings")
    if name == "n" and not all(map(_is_count, value.values() if isinstance(value, dict) else [value])):
        raise resource.error(": 'n' must be a number of subjects, or one by label")


def _is_count(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0)


def _choose(known: _Property, otherwise: str) -> str:
    return "choose from " + ", ".join(known.choices) if known.choices else otherwise


def _columns(about: Mapping[str, Any], schema: tuple[Field, ...], resource: _Resource) -> Columns:
    """Check which column plays which part."""
    given = about["columns"]
    _check_parts(given, {field.name: field.type for field in schema}, resource)
    needed = {"curve": ("y", "x"), "contrast": ("y", "category"), "estimates": ("y", "cluster")}[about["kind"]]
    is_share = about["kind"] != "estimates" and about["measure"] in SHARES and {"successes", "trials"} <= given.keys()
    for part in needed:
        if part not in given and not (part == "y" and is_share):
            raise resource.error(f": a {about['kind']} needs '{part}' in 'columns'")
    if message := _contradiction(about):
        raise resource.error(f": {message}")
    parts: dict[str, Any] = dict(given)
    if "series" in parts:  # one name, or several
        parts["series"] = (parts["series"],) if isinstance(parts["series"], str) else tuple(parts["series"])
    return Columns(**parts)


def _check_parts(given: Mapping[str, Any], types: Mapping[str, str], resource: _Resource) -> None:
    """Refuse unknown parts, and columns missing or no numbers."""
    parts = [f.name for f in fields(Columns)]
    for part, column in given.items():
        if part not in parts:
            raise resource.error(f": unknown part '{part}' in 'columns'", hint=nearest(part, parts))
        for name in column if part == "series" and isinstance(column, list) else [column]:
            if not isinstance(name, str) or name not in types:
                raise resource.error(f": '{part}' names no field: {name!r}", hint=nearest(str(name), types))
            if part not in ("series", "cluster", "category") and types[name] not in NUMERIC:
                raise resource.error(f": '{part}' must be a number", column=name)


def _contradiction(about: Mapping[str, Any]) -> str:
    """What does not go together in a description.

    "" where everything does.
    """
    given = about["columns"]
    has_blocks = "first" in given
    if has_blocks != ("last" in given) or (about["convention"] == "block") != has_blocks:
        return "'first' and 'last' go together, with the convention 'block'"
    if (about["uncertainty"] != "none") != ("uncertainty" in given):
        return "the kind of uncertainty and its column go together"
    if about["kind"] == "contrast" and len(about["contrast"]) < 2:
        return "a contrast lists the conditions compared, two at least"
    if "successes" in given and "trials" not in given:
        return "'successes' needs the column of its 'trials'"
    if about["paired"] and "cluster" not in given:
        return "a paired contrast needs 'cluster' in 'columns'"
    return ""

"""The catalogue of human learning and forgetting data: :func:`human`, and how packages of tables are described.

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
    TYPES,
    UNCERTAINTIES,
    VERIFICATIONS,
    Columns,
    Dataset,
    Field,
)

if TYPE_CHECKING:
    import pandas as pd

ENVIRONMENT = "COGFIT_HUMAN_DATA"
"""Environment variable with packages of the user's own, separated as in PATH."""


@dataclass(frozen=True)
class Unobtainable:
    """A data set that is known and wanted, but whose values could not be read.

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
    """The data sets by id; what :func:`human` returns.

    Attributes
    ----------
    unobtainable : tuple of Unobtainable
        Sets that are known but could not be read.

    Examples
    --------
    >>> import cogfit
    >>> catalogue = cogfit.human()
    >>> "ebbinghaus1885_savings" in catalogue
    True
    >>> sorted({data.axis for data in catalogue.values()})
    ['age', 'delay', 'lag', 'repetition']
    """

    def __init__(self, items: Mapping[str, Dataset], unobtainable: Sequence[Unobtainable] = ()) -> None:
        self._items = dict(items)
        self.unobtainable = tuple(unobtainable)

    def __getitem__(self, id: str) -> Dataset:
        """Return a data set; raises InputError with near matches for an unknown id."""
        if id in self._items:
            return self._items[id]
        missing = next((one for one in self.unobtainable if one.name == id), None)
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
        return f"<Catalogue of {len(self)} data sets: {', '.join(self)}>"

    def table(self) -> pd.DataFrame:
        """One row per data set.

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
        for data in self.values():
            curves_in = data.series()
            rows.append(
                {name: getattr(data, name) for name in names}
                | {"n": _range([one.n for one in curves_in])}
                | {"curves": len(curves_in), "values": sum(one.y.size for one in curves_in)}
                | {name: getattr(data, name) for name in ("verification", "licence", "citation")}
            )
        return pd.DataFrame(rows)


def _range(counts: Sequence[int | None]) -> str:
    """Write counts as ``25``, ``24–25`` or ``?``."""
    known = sorted({one for one in counts if one is not None})
    return "–".join(str(one) for one in dict.fromkeys((known[0], known[-1]))) if known else "?"


Extra = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None
"""A folder with a ``datapackage.json``, the path of one, or several of these."""


@overload
def human(id: None = None, *, extra: Extra = None) -> Catalogue: ...
@overload
def human(id: str, *, extra: Extra = None) -> Dataset: ...
def human(id: str | None = None, *, extra: Extra = None) -> Catalogue | Dataset:
    """Human learning and forgetting data, with their provenance.

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
        For an unknown id (with near matches) or a package that is not valid, saying what is wrong where.

    Examples
    --------
    >>> import cogfit
    >>> data = cogfit.human("ebbinghaus1885_savings")
    >>> data.citation
    'Ebbinghaus 1885, Über das Gedächtnis (tr. Ruger & Bussenius 1913), §§ 28–29'
    >>> curve = data.series(edition="1885")[0]
    >>> fit = cogfit.fit(curve.curve(), form="power")
    >>> round(fit.gamma, 3)  # the printed standard errors weight the points
    0.125
    """
    catalogue = _shipped()
    own = [part for part in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if part]
    if extra is not None:
        own += [os.fspath(extra)] if isinstance(extra, str | os.PathLike) else [os.fspath(path) for path in extra]
    if own:
        items, missing = dict(catalogue), list(catalogue.unobtainable)
        for path in own:
            added = read_package(path)
            for name, data in added.items():
                if name in items:
                    raise InputError(f"a data set '{name}' exists already", path=path, hint="rename the resource")
                _ = data.table  # a damaged file is found now, not later
                items[name] = data
            missing += added.unobtainable
        catalogue = Catalogue(items, missing)
    return catalogue if id is None else catalogue[id]


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
    """Read the descriptor of a data package; the tables themselves are read on first use.

    Parameters
    ----------
    path : path
        A folder with a ``datapackage.json``, or the path of one.

    Raises
    ------
    InputError
        If it cannot be read or lacks what is needed to use the tables.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "datapackage.json"
    try:
        package = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        hint = "name a folder with a datapackage.json, or the file"
        raise InputError(f"cannot be read as a data package ({error})", path=file, hint=hint) from error
    resources = package.get("resources") if isinstance(package, dict) else None
    if not isinstance(resources, list) or not all(isinstance(item, dict) for item in resources):
        raise InputError("is no data package: it has no list of resources", path=file)
    items: dict[str, Dataset] = {}
    for number, item in enumerate(resources, start=1):
        data = _dataset(item, number, package, file)
        if data.id in items:
            raise InputError(f"two resources have the name '{data.id}'", path=file, hint="rename one")
        items[data.id] = data
    about = package.get("cogfit")
    listed = about.get("unobtainable", []) if isinstance(about, dict) else []
    try:
        missing = [Unobtainable(**dict(one)) for one in list(listed)]
    except (TypeError, ValueError) as error:
        hint = "give " + ", ".join(f.name for f in fields(Unobtainable))
        raise InputError("'unobtainable' lists what cannot be understood", path=file, hint=hint) from error
    return Catalogue(items, missing)


def _dataset(item: dict[str, Any], number: int, package: dict[str, Any], file: Path) -> Dataset:
    name = item.get("name")
    if not isinstance(name, str) or not name:
        raise InputError(f"resource {number} has no name", path=file)
    where = f"resource '{name}'"
    target = item.get("path")
    if not isinstance(target, str) or PurePosixPath(target).is_absolute() or ".." in PurePosixPath(target).parts:
        raise InputError(f"{where} needs a path relative to the package, not {target!r}", path=file)
    schema = _schema(item, where, file)
    about = _properties(item.get("cogfit"), where, file)
    roles = _columns(about, schema, where, file)
    sources = [one for one in item.get("sources", package.get("sources", [])) if isinstance(one, dict)]
    licences = [one for one in item.get("licenses", package.get("licenses", [])) if isinstance(one, dict)]
    rest: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in about.items() if k not in ("columns", "citations")
    }
    return Dataset(
        id=name, title=str(item.get("title", name)), columns=roles, schema=schema, path=file.parent / target,
        citation="; ".join(str(one.get("title", "")) for one in sources) or "not stated",
        links=tuple(str(one["path"]) for one in sources if "path" in one),
        licence="; ".join(_licence(one) for one in licences) or "not stated",
        **rest,
    )  # fmt: skip


def _licence(entry: Mapping[str, Any]) -> str:
    """Short name where it says something, else the words."""
    name, title = str(entry.get("name", "")), str(entry.get("title", ""))
    return title or name if name.startswith("other") or not name else name


def _schema(item: Mapping[str, Any], where: str, file: Path) -> tuple[Field, ...]:
    schema = item.get("schema")
    listed = schema.get("fields") if isinstance(schema, dict) else None
    if not isinstance(listed, list) or not listed:
        raise InputError(f"{where} has no schema with fields", path=file, hint="list name and type of every column")
    out = []
    for one in listed:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            raise InputError(f"{where} has a field without a name", path=file)
        kind = one.get("type", "string")
        if kind not in TYPES:
            hint = "use " + ", ".join(TYPES)
            raise InputError(f"{where} has a field of type {kind!r}", path=file, column=one["name"], hint=hint)
        out.append(Field(one["name"], kind, str(one.get("title", one["name"])), one.get("unit")))
    return tuple(out)


def _properties(given: Any, where: str, file: Path) -> dict[str, Any]:
    """Check the property ``cogfit`` and fill in what may be left out."""
    needed = ", ".join(name for name, p in _PROPERTIES.items() if p.required)
    if not isinstance(given, dict):
        raise InputError(f"{where} lacks the property 'cogfit'", path=file, hint=f"it needs at least {needed}")
    for name in given:
        if name not in _PROPERTIES:
            raise InputError(f"{where}: unknown entry '{name}' in 'cogfit'", path=file, hint=nearest(name, _PROPERTIES))
    out = {}
    for name, known in _PROPERTIES.items():
        if known.required and name not in given:
            raise InputError(f"{where}: 'cogfit' lacks '{name}'", path=file, hint=_choose(known, needed))
        value = given.get(name, known.default)
        if name in given and (
            not isinstance(value, known.type) or (isinstance(value, bool) and known.type is not bool)
        ):
            raise InputError(f"{where}: '{name}' cannot be {value!r}", path=file, hint=_choose(known, "see the docs"))
        if known.choices is not None and value is not None and value not in known.choices:
            raise InputError(f"{where}: '{name}' cannot be {value!r}", path=file, hint=nearest(value, known.choices))
        if isinstance(value, list) and not all(isinstance(one, str) for one in value):
            raise InputError(f"{where}: '{name}' must be a list of strings", path=file)
        if name == "n" and not all(_is_count(one) for one in (value.values() if isinstance(value, dict) else [value])):
            raise InputError(f"{where}: 'n' must be a number of subjects, or one by label", path=file)
        out[name] = value
    return out


def _is_count(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0)


def _choose(known: _Property, otherwise: str) -> str:
    return "choose from " + ", ".join(known.choices) if known.choices else otherwise


def _columns(about: Mapping[str, Any], schema: tuple[Field, ...], where: str, file: Path) -> Columns:
    """Check that every part is played by a column that exists and has the right type."""
    given = about["columns"]
    parts = [f.name for f in fields(Columns)]
    types = {one.name: one.type for one in schema}
    for part, name in given.items():
        if part not in parts:
            raise InputError(f"{where}: unknown part '{part}' in 'columns'", path=file, hint=nearest(part, parts))
        for one in name if part == "series" and isinstance(name, list) else [name]:
            if one not in types:
                hint = nearest(str(one), types)
                raise InputError(f"{where}: '{part}' names no field: {one!r}", path=file, hint=hint)
            if part not in ("series", "cluster", "category") and types[one] not in NUMERIC:
                raise InputError(f"{where}: '{part}' must be a number", path=file, column=one)
    needed = {"curve": ("y", "x"), "contrast": ("y", "category"), "estimates": ("y", "cluster")}[about["kind"]]
    for part in needed:
        if part not in given:
            raise InputError(f"{where}: a {about['kind']} needs '{part}' in 'columns'", path=file)
    if ("first" in given) != ("last" in given) or (about["convention"] == "block") != ("first" in given):
        raise InputError(f"{where}: 'first' and 'last' go together, with the convention 'block'", path=file)
    if (about["uncertainty"] != "none") != ("uncertainty" in given):
        raise InputError(f"{where}: the kind of uncertainty and its column go together", path=file)
    if about["kind"] == "contrast" and len(about["contrast"]) < 2:
        raise InputError(f"{where}: a contrast lists the conditions compared, two at least", path=file)
    if about["paired"] and "cluster" not in given:
        raise InputError(f"{where}: a paired contrast needs 'cluster' in 'columns'", path=file)
    parts_played: dict[str, Any] = {part: tuple(name) if part == "series" else name for part, name in given.items()}
    return Columns(**parts_played)

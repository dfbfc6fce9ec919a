"""One codec for all records, to JSON and back.

Types are checked on loading.

A record is a dataclass that inherits :class:`Document`. What its document looks like is declared beside its fields::

    @dataclass(frozen=True)
    class Interval(Document):
        low: Annotated[float, Null(-math.inf)]                      # null in a document is minus infinity
        high: Annotated[float, Null(math.inf)]
        caveat: str = field(default="", metadata=wire(omit=True))   # not written while empty
        DERIVED = {"reliability": "reliability"}                    # written from a property, never read

Documents hold no NaN and no infinity (both are null), so that every JSON parser reads them. msgspec checks types on
loading and names the place of what is wrong.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields, is_dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, NamedTuple, Self, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from cogfit.errors import InputError

T = TypeVar("T")


class Null(NamedTuple):
    """What null stands for in a field.

    A field of type ``Annotated[float, Null(value)]``, where it is read.
    """

    value: float


Nan = Annotated[float, Null(math.nan)]
"""A number that may be unknown."""

Low = Annotated[float, Null(-math.inf)]
"""A lower limit that may be missing."""

High = Annotated[float, Null(math.inf)]
"""An upper limit that may be missing."""


class Wire(NamedTuple):
    """How a field stands in a document. See :func:`wire`."""

    name: str = ""
    flat: bool = False
    skip: bool = False
    omit: bool = False
    infinite: str = ""


def wire(name: str = "", *, flat: bool = False, skip: bool = False, omit: bool = False, infinite: str = "") -> Any:
    """Metadata that say how a field is written.

    The metadata belong to a dataclass field and say how it stands in the document.

    Parameters
    ----------
    name : str
        Key, if it is not the field's name; ``"curve.x"`` is the key ``x`` of the object ``curve``.
    flat : bool
        The keys of this record stand among those of the record that holds it.
    skip : bool
        Neither written nor read; the field needs a default if its record is read.
    omit : bool
        Not written while it is empty; the field needs a default.
    infinite : str
        For mappings of numbers: key of a list that names the entries which are infinite, not unknown.

    Returns
    -------
    dict
        For ``field(metadata=...)``.
    """
    return {"wire": Wire(name, flat, skip, omit, infinite)}


OMIT = object()
"""What a derived property returns where its key is to be left out."""


class Document:
    """A record with a JSON document."""

    SCHEMA: ClassVar[str] = ""
    """Name and version of the document, under ``schema``; empty for parts of others."""

    DERIVED: ClassVar[Mapping[str, str]] = {}
    """Keys that are written from properties (or methods without arguments) and never read."""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document, without NaN or infinity."""
        document: dict[str, Any] = encode(self)
        return document

    def to_dict(self) -> dict[str, Any]:
        """Return the same as :meth:`to_json`.

        By the name that other libraries give it.
        """
        return self.to_json()

    def __eq__(self, other: object) -> bool:
        """Whether both have the same document.

        Dataclasses compare their fields instead, unless they hold arrays and are made with ``eq=False``.
        """
        if type(other) is not type(self):
            return NotImplemented
        return bool(encode(self) == encode(other))

    def __hash__(self) -> int:
        plain = [value for value in vars(self).values() if isinstance(value, str | int | float)]
        return hash((type(self), *(value for value in plain if value == value)))  # NaN is equal to nothing

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Read a document back.

        Raises
        ------
        InputError
            If it has another schema, lacks a key, or holds a value of the wrong type.
        """
        return decode(cls, document)


def encode(value: Any) -> Any:
    """Turn records and numbers into what JSON can hold.

    Arrays and tables, too.

    Parameters
    ----------
    value : object
        A :class:`Document`, another dataclass, or anything made of mappings, sequences, arrays, tables, numbers, text.

    Returns
    -------
    dict, list, str, int, float, bool or None
        Numbers that are not finite are None; fractions are text, ``"1/3"``.

    Examples
    --------
    >>> import numpy as np
    >>> encode({"x": np.array([1.0, np.nan]), "p": (1, math.inf)})
    {'x': [1.0, None], 'p': [1, None]}
    """
    if isinstance(value, NoneType | str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.generic | np.ndarray):
        return _encode_array(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _encode_record(value)
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if hasattr(value, "_asdict"):  # a named tuple
        return encode(value._asdict())
    if isinstance(value, tuple | list | set | frozenset):
        return [encode(item) for item in value]
    if hasattr(value, "to_dict"):  # a table
        return {str(name): encode(column) for name, column in value.to_dict("list").items()}
    return f"{value.numerator}/{value.denominator}" if isinstance(value, Fraction) else str(value)


def decode(cls: type[T], document: Any, what: str = "") -> T:
    """Make a record of its document, checking types.

    Parameters
    ----------
    cls : type
        A dataclass.
    document : object
        Parsed JSON.
    what : str, optional
        What it should be, for messages; the schema by default.

    Raises
    ------
    InputError
        If the document is of another kind or damaged; the message names the place.
    """
    import msgspec

    schema = cls.SCHEMA if issubclass(cls, Document) else ""
    label = what or schema or cls.__name__
    if not isinstance(document, Mapping):
        raise InputError(f"is no {label}: it holds no JSON object, but {_kind(document)}")
    if schema and document.get("schema") != schema:
        raise InputError(f"is no {label}: its schema is {document.get('schema')!r}")
    try:
        return msgspec.convert(_with_nulls(cls, document), cls, dec_hook=_decode_foreign)
    except (msgspec.ValidationError, KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise InputError(f"is a damaged {label}: {error}") from None
    except SystemError as error:  # msgspec before 0.22, for whole numbers that no float can hold
        raise InputError(f"is a damaged {label}: {error}") from None


def dump(document: Mapping[str, Any]) -> str:
    """JSON text of a document.

    Indented, lists of numbers on one line, never NaN. Characters that turn round or hide text are escaped, as controls
    are: every parser reads them back, and a terminal does not obey them.
    """
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    text = _HIDDEN.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
    return _NUMBERS.sub(lambda match: re.sub(r"\s+", " ", match.group()), text) + "\n"


# with line feeds, which stand between values and never in a text
_NUMBERS = re.compile(r"\[\n\s*(?:(?:-?[\d.eE+-]+|null),\n\s*)*(?:-?[\d.eE+-]+|null)\n\s*\]")

_HIDDEN = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb]")


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises
    ------
    InputError
        If the file cannot be read or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise InputError("is nested too deeply", path=path) from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"cannot be read as JSON ({error})", path=path) from None


# --------------------------------------------------------------------------------------------------------- writing


def _encode_array(value: np.generic | np.ndarray[Any, Any]) -> Any:
    """Numbers of an array; long ones are looked through as a whole, not one by one."""
    plain = value.tolist()
    is_finite = value.dtype.kind in "biu" or (value.dtype.kind == "f" and bool(np.isfinite(value).all()))
    return plain if is_finite else encode(plain)


def _encode_record(record: Any) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if isinstance(record, Document) and record.SCHEMA:
        document["schema"] = record.SCHEMA
    for item, how in _wired(record.__class__):  # in the order of the fields
        value = getattr(record, item.name)
        if how.flat:
            document |= _encode_record(value)
        elif not how.skip and not (how.omit and not value):
            _put(document, how.name or item.name, encode(value))
        if how.infinite:
            _put(document, how.infinite, [key for key, number in value.items() if math.isinf(number)])
    if isinstance(record, Document):
        _put_derived(document, record)
    return document


def _put_derived(document: dict[str, Any], record: Document) -> None:
    """Add what is written from properties."""
    for key, name in record.DERIVED.items():
        value = getattr(record, name)
        value = value() if callable(value) else value
        if value is not OMIT:
            _put(document, key, encode(value))


@cache
def _wired(cls: Any) -> tuple[tuple[Field[Any], Wire], ...]:
    return tuple((item, item.metadata.get("wire", Wire())) for item in fields(cls))


def _put(document: dict[str, Any], key: str, value: Any) -> None:
    *groups, last = key.split(".")
    for group in groups:
        document = document.setdefault(group, {})
    document[last] = value


# --------------------------------------------------------------------------------------------------------- reading


def _with_nulls(hint: Any, data: Any) -> Any:
    """Data under the names of fields, without nulls.

    Null is replaced by what it stands for there.
    """
    origin, options = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _null_value(options) if data is None else _with_nulls(options[0], data)
    if data is None:
        return None
    if origin in (Union, UnionType):
        return _with_nulls(next(option for option in options if option is not NoneType), data)
    if isinstance(data, Mapping):
        return _mapping_with_nulls(hint, options, data)
    if isinstance(data, list) and origin in (tuple, list):
        hints = _item_hints(options, len(data))
        if len(hints) != len(data):
            return data  # msgspec says what is wrong with it, and where
        return [_with_nulls(item_hint, item) for item_hint, item in zip(hints, data, strict=True)]
    return data


def _null_value(options: tuple[Any, ...]) -> Any:
    """What null stands for in an annotated type."""
    return next((mark.value for mark in options[1:] if isinstance(mark, Null)), None)


def _mapping_with_nulls(hint: Any, options: tuple[Any, ...], data: Mapping[str, Any]) -> Any:
    """An object of JSON as fields, or as a mapping."""
    if is_dataclass(hint):
        return dict(_fields_of(hint, data))
    if len(options) == 2:
        return {key: _with_nulls(options[1], value) for key, value in data.items()}
    return data


def _item_hints(options: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    """Types of the items of a sequence.

    One for all, or one each.
    """
    is_uniform = len(options) == 1 or options[-1] is Ellipsis
    return options[:1] * count if is_uniform else options


def _fields_of(cls: Any, data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Name and value of each field in a document."""
    hints = _hints(cls)
    for item, how in _wired(cls):
        if how.flat:
            yield item.name, _with_nulls(hints[item.name], data)
            continue
        value = _get(data, how.name or item.name)
        if how.skip or value is _MISSING:
            continue
        value = _with_nulls(hints[item.name], value)
        infinite = _get(data, how.infinite) if how.infinite else None
        if isinstance(value, dict) and isinstance(infinite, list):
            value |= {key: math.inf for key in infinite if key in value}
        yield item.name, value


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


_MISSING = object()


def _get(data: Any, key: str) -> Any:
    for group in key.split("."):
        if not isinstance(data, Mapping) or group not in data:
            return _MISSING
        data = data[group]
    return data


def _decode_foreign(hint: Any, value: Any) -> Any:
    """Decode types that JSON and msgspec do not know.

    Arrays of numbers, null being NaN; fractions.
    """
    if get_origin(hint) is np.ndarray or hint is np.ndarray:
        return np.array(_floats(value), dtype=float)
    if hint is Fraction:
        return Fraction(value)
    raise TypeError(f"no rule to read {hint}")


def _floats(value: Any) -> Any:
    if isinstance(value, list):
        if all(type(item) is float for item in value):
            return value
        return [_floats(item) for item in value]
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected a number, got {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", NoneType: "null", bool: "true or false"}
    return names.get(type(value), "a number")

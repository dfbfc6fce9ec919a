"""Settings: typed and strict, read from TOML files.

An unknown or wrong field is refused with its name and what to do.

Every group of settings is a :class:`Strict` model: frozen, no unknown fields, no silent conversions ("64" is no number,
``true`` is no 1). The files that ship with the package are in ``theory/configs``.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from cogfit.errors import InputError, MissingDependencyError, nearest

try:
    from pydantic import BaseModel, ConfigDict, ValidationError
except ImportError:
    raise MissingDependencyError("pydantic", "train", "theory.settings") from None

_MOST_DOTS = 1000  # in a line of a configuration
_TOO_LARGE = 2**63  # no machine counts so far
_LARGEST = (2 - 2**-23) * 2.0**127  # what float32, in which models compute, holds
_FOLDER = Path(__file__).resolve().parent / "configs"


class Strict(BaseModel):
    """Base of all settings.

    A subclass is a list of typed fields.

    Raises
    ------
    InputError
        If a field is unknown, missing, of the wrong type or out of range.

    Examples
    --------
    >>> class Learning(Strict):
    ...     rate: float = 3e-3
    >>> Learning(rate=1e-3).rate
    0.001
    >>> Learning.parse({"rte": 1e-3}, path="my.toml")
    Traceback (most recent call last):
    cogfit.errors.InputError: my.toml: Learning has no setting 'rte'; did you mean 'rate'?
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    if not TYPE_CHECKING:  # type checkers see the signature made from the fields

        def __init__(self, /, **fields: Any) -> None:  # a damaged file may have a field "self"
            for name, value in fields.items():
                if _is_too_large(value):
                    raise InputError(f"{type(self).__name__}: '{name}' is a number that is too large")
            try:
                super().__init__(**fields)
            except ValidationError as error:
                raise _refusal(error, type(self)) from None

    @classmethod
    def parse(cls, fields: Mapping[str, Any], *, path: str | Path | None = None) -> Self:
        """Settings from a mapping.

        An error names the file it came from.
        """
        try:
            return cls(**fields)
        except InputError as error:
            raise InputError(error.what, path=path, hint=error.hint) from None

    def to_json(self) -> dict[str, Any]:
        """JSON-ready mapping with every field."""
        return self.model_dump(mode="json")


def _is_too_large(value: object) -> bool:
    """Whether a number is finite, but not on a machine."""
    if isinstance(value, int):
        return abs(value) >= _TOO_LARGE
    return isinstance(value, float) and _LARGEST < abs(value) < math.inf


def _refusal(error: ValidationError, cls: type[Strict]) -> InputError:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return InputError(f"{cls.__name__} has no setting '{name}'", hint=nearest(name, cls.model_fields))
    if first["type"] == "missing":
        return InputError(f"{cls.__name__} needs the setting '{name}'")
    if first["type"] == "value_error":
        return InputError(f"{cls.__name__}: {first['ctx']['error']}")
    reason = first["msg"][:1].lower() + first["msg"][1:]
    return InputError(f"{cls.__name__}: '{name}' cannot be {first['input']!r:.60}, {reason}")


def part_of(share: float, whole: int) -> int:
    """⌊share·whole⌋ for a rounded share.

    A share such as 0.29 may stand for a hair less.

    Examples
    --------
    >>> part_of(0.29, 100), int(0.29 * 100)
    (29, 28)
    """
    return math.floor(share * whole + 1e-9)


def shipped() -> tuple[str, ...]:
    """Names of the configurations that come with the package.

    Examples
    --------
    >>> "cram" in shipped()
    True
    """
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def read_toml(source: str | Path) -> tuple[dict[str, Any], Path]:
    """Tables of a configuration file.

    Parameters
    ----------
    source : str or Path
        A file, or the name of one that ships with the package (:func:`shipped`).

    Returns
    -------
    dict, Path
        The tables, and the file they came from.

    Raises
    ------
    InputError
        If there is no such file or it is not TOML.
    """
    path = _FOLDER / f"{source}.toml" if str(source) in shipped() else Path(source)
    try:
        text = path.read_text(encoding="utf-8")
        # the time and memory that a dotted key takes grow with the square of its parts
        if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
            raise RecursionError
        return tomllib.loads(text), path
    except FileNotFoundError:
        raise InputError("there is no such configuration", path=path, hint=nearest(str(source), shipped())) from None
    except RecursionError:
        raise InputError("is nested too deeply", path=path) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is not TOML ({error})", path=path) from None
    except (OSError, ValueError) as error:  # a number of thousands of digits, or no text at all
        raise InputError(f"cannot be read ({error})", path=path) from None

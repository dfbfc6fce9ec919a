"""Defaults of a project: the table ``[tool.cogfit]`` of the pyproject.toml in the folder of the command.

Only what is asked of every fit of a project may stand there: level, noise, by, show. Tables below it belong to others.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer

FILE = "pyproject.toml"
SHOWN = ("verbose", "windows", "explain", "methods", "quiet")
"""Options without a value that `show` may name."""


def _is_level(value: Any) -> bool:
    return isinstance(value, float) and 0.0 < value < 1.0


def _is_noise(value: Any) -> bool:
    from cogfit.engine import noise

    return value in ("auto", *noise.NOISE)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _names_options(value: Any) -> bool:
    return isinstance(value, list) and all(name in SHOWN for name in value)


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "level": (_is_level, "a number between 0 and 1, such as 0.95"),
    "noise": (_is_noise, "auto or the name of a noise model, such as gaussian"),
    "by": (_is_text, 'columns between commas, such as "run"'),
    "show": (_names_options, "a list of " + ", ".join(SHOWN)),
}
"""What each key must be, in a test and in words."""


def read_defaults(folder: Path) -> dict[str, Any]:
    """Read the defaults of a folder.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    InputError
        If the file is no TOML, or a key is unknown or has a value that it cannot have.

    Examples
    --------
    >>> read_defaults(Path("nowhere"))
    {}
    """
    from cogfit.errors import InputError, nearest

    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    if "cogfit" not in text:
        return {}
    try:
        table = tomllib.loads(text).get("tool", {}).get("cogfit", {})
    except (tomllib.TOMLDecodeError, AttributeError) as error:
        raise InputError(f"is no TOML ({error})", path=path) from None
    defaults = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    for key, value in defaults.items():
        if key not in _CHECKS:
            raise InputError(f"[tool.cogfit] has no key '{key}'", path=path, hint=nearest(key, _CHECKS))
        is_right, wanted = _CHECKS[key]
        if not is_right(value):
            raise InputError(f"[tool.cogfit] {key} = {value!r:.60} cannot be", path=path, hint=f"it is {wanted}")
    return defaults


def project_defaults(context: typer.Context) -> dict[str, Any]:
    """Return defaults that the command line does not overrule.

    Options named by `show` come as options of their own, true.

    Parameters
    ----------
    context : typer.Context
        Of the command.
    """
    given = {name for name in context.params if _is_given(context, name)}
    defaults = {key: value for key, value in read_defaults(Path()).items() if key not in given}
    # who asks for less or more on the command line has chosen what is shown
    if given & set(SHOWN):
        defaults.pop("show", None)
    return defaults


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def in_words(defaults: Mapping[str, Any]) -> str:
    """Say what was taken from the file.

    Examples
    --------
    >>> in_words({"level": 0.9, "show": ["windows"]})
    'defaults of pyproject.toml: level = 0.9, show = windows'
    """
    parts = (f"{key} = {', '.join(value) if isinstance(value, list) else value}" for key, value in defaults.items())
    return f"defaults of {FILE}: {', '.join(parts)}"

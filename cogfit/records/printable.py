"""Text that a terminal or a page shows and never obeys.

Names of runs, columns and files come from outside. A terminal takes some characters for orders: it
recolours, retitles, hides or turns round what follows. Here they become visible escapes, as in ``repr``.
Signs that the encoding of an output lacks are spelled out in ASCII.

Both happen once, at the edge: :mod:`cogfit.commands.terminal` prints nothing else, pages and pictures
hold nothing else. What is written for programs, JSON above all, keeps the exact text.
"""

from __future__ import annotations

import codecs
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

_HANDLER = "cogfit.spelled"
"""Name under which Python's encoders know :func:`_spell_rest`."""

_SPELLINGS = {
    "−": "-",
    "⁻": "-",
    "–": "-",
    "—": "--",
    "·": "-",
    "×": "x",
    "÷": "/",
    "±": "+/-",
    "√": "sqrt",
    "∂": "d",
    "∫": "integral",
    "∞": "inf",
    "∈": "in",
    "∝": "~",
    "≈": "~",
    "≠": "!=",
    "≤": "<=",
    "≥": ">=",
    "≪": "<<",
    "≫": ">>",
    "→": "->",
    "←": "<-",
    "‖": "||",
    "⌊": "floor(",
    "⌋": ")",
    "⊙": "*",
    "⁄": "/",
    "§": "sec. ",
    "“": '"',
    "”": '"',
    "„": '"',
    "‘": "'",
    "’": "'",
    "•": "*",
    "λ": "lambda",  # whose name in Unicode is LAMDA
    "Λ": "Lambda",
}
"""What no decomposition says: signs of mathematics and punctuation."""


def printable(text: str, *, keeps_lines: bool = False) -> str:
    r"""Return a text without characters that a terminal obeys.

    Parameters
    ----------
    text : str
    keeps_lines : bool
        Whether line feeds are left as they are.

    Returns
    -------
    str
        Controls, marks of direction, halves of surrogate pairs and what Unicode has not assigned are escaped as in
        ``repr``; spaces of all kinds stay.

    Examples
    --------
    >>> print(printable("run \x1b[31m1\u202e"))
    run \x1b[31m1\u202e
    """
    if text.isprintable():
        return text
    return "".join(sign if _is_shown(sign, keeps_lines) else _escape(sign) for sign in text)


def _is_shown(sign: str, keeps_lines: bool) -> bool:
    return sign.isprintable() or (keeps_lines and sign == "\n") or unicodedata.category(sign) == "Zs"


def _escape(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


def spelled(text: str, encoding: str) -> str:
    """Spell out in ASCII what an encoding lacks.

    Parameters
    ----------
    text : str
    encoding : str
        Of the output.

    Examples
    --------
    >>> spelled("γ ≤ ½ → 0,5", "ascii"), spelled("γ ≤ ½", "cp1252"), spelled("γ", "utf-8")
    ('gamma <= 1/2 -> 0,5', 'gamma <= ½', 'γ')
    """
    if text.isascii():
        return text
    return "".join(sign if _is_encodable(sign, encoding) else _spelling(sign) for sign in text)


@lru_cache(maxsize=4096)
def _is_encodable(sign: str, encoding: str) -> bool:
    try:
        sign.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=4096)
def _spelling(sign: str) -> str:
    """One sign in ASCII: by table, name or decomposition."""
    if sign in _SPELLINGS:
        return _SPELLINGS[sign]
    words = unicodedata.name(sign, "").split()
    if words[:2] in (["GREEK", "SMALL"], ["GREEK", "CAPITAL"]) and len(words) == 4:
        return words[3].lower() if words[1] == "SMALL" else words[3].capitalize()
    if unicodedata.combining(sign):
        return ""
    parts = unicodedata.normalize("NFKD", sign)
    if parts != sign:
        return "".join(part if part.isascii() else _spelling(part) for part in parts)
    return _escape(sign)


def _spell_rest(error: UnicodeError) -> tuple[str, int]:
    """Error handler of encoders: spell out what they lack."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_spelling, error.object[error.start : error.end])), error.end


codecs.register_error(_HANDLER, _spell_rest)


@contextmanager
def spelling_streams() -> Iterator[None]:
    """Context in which standard streams take every text.

    Whoever writes to them: the parser of options prints its help and its errors itself.
    """
    changed: list[tuple[Any, str | None]] = []
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not so where a notebook or a test has put its own in place
            changed.append((stream, stream.errors))
            stream.reconfigure(errors=_HANDLER)
    try:
        yield
    finally:
        for stream, errors in changed:
            if not stream.closed:
                stream.reconfigure(errors=errors)

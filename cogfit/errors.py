"""Exceptions of the package.

One tree; each message says what, where and what to do next.

Everything that a caller may want to catch derives from :class:`CogfitError`; the command line turns
``exit_code`` into the process's exit status and prints the message as one line, without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path


def printable(text: str) -> str:
    r"""Text that can be printed and written as UTF-8.

    Names of files need not be UTF-8; their other bytes are shown as numbers.

    Examples
    --------
    >>> printable("caf\udce9"), printable("café")
    ('caf\\udce9', 'café')
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class CogfitError(Exception):
    """Base class of all errors raised on purpose."""

    exit_code = 1


class InputError(CogfitError, ValueError):
    """Something that came from outside cannot be used.

    Parameters
    ----------
    what : str
        What is wrong, in one clause, without the location.
    path : str or Path, optional
        The file or folder concerned.
    line : int, optional
        1-based line (or record) number within ``path``.
    column : str, optional
        The column or field concerned.
    hint : str, optional
        What the user can do next, in the imperative.

    Examples
    --------
    >>> print(InputError("is not a number: 'abc'", path="log.csv", line=3, column="step", hint="remove the row"))
    log.csv, line 3, column 'step': is not a number: 'abc'; remove the row
    """

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        column: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.what, self.path, self.line, self.column, self.hint = what, path, line, column, hint
        where = [str(path)] if path is not None else []
        if line is not None:
            where.append(f"line {line}")
        if column is not None:
            where.append(f"column '{column}'")
        message = f"{', '.join(where)}: {what}" if where else what
        if hint:
            message = f"{message}; {hint}"
        message = printable(message)
        super().__init__(" ".join(message.split()))  # one line, whatever a library put into its own message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_input_error, (type(self), self.what, self.path, self.line, self.column, self.hint))


def _rebuild_input_error(
    cls: type[InputError],
    what: str,
    path: str | Path | None,
    line: int | None,
    column: str | None,
    hint: str | None,
) -> InputError:
    return cls(what, path=path, line=line, column=column, hint=hint)


class InterruptedWork(CogfitError):
    """Work was stopped on request, and can go on.

    Parameters
    ----------
    message : str
        What was done, and how to go on.
    exit_code : int
        That of a shell for the signal that asked.
    """

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class MissingDependencyError(CogfitError, ImportError):
    """An optional library is needed for this input.

    Parameters
    ----------
    library : str
        Name of the missing library as installed by pip.
    extra : str
        The extra of this distribution that brings it.
    purpose : str
        What it is needed for.
    """

    exit_code = 2

    def __init__(self, library: str, extra: str, purpose: str) -> None:
        self.library, self.extra, self.purpose = library, extra, purpose
        super().__init__(f"{purpose} needs the library '{library}'; run: pip install 'cogfit[{extra}]'")

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.library, self.extra, self.purpose))


class EngineError(CogfitError):
    """The compiled engine is missing, damaged or out of date.

    The message says which command builds it.
    """


def nearest(name: str, choices: Iterable[str], n: int = 3) -> str:
    """Describe the choices nearest to a misspelt name.

    Returns
    -------
    str
        ``"did you mean 'a' or 'b'?"``, or ``"choose from a, b, c"`` where nothing is near.

    Examples
    --------
    >>> nearest("attenion", ["attention", "step"])
    "did you mean 'attention'?"
    """
    options = sorted(set(choices))
    folded = {option.casefold(): option for option in options}
    hits = [folded[hit] for hit in difflib.get_close_matches(name.casefold(), list(folded), n=n, cutoff=0.5)]
    if hits:
        return "did you mean " + " or ".join(f"'{hit}'" for hit in hits) + "?"
    shown = ", ".join(options[:20]) + (", …" if len(options) > 20 else "")
    return f"choose from {shown}" if options else "there is nothing to choose from"


def shortened(name: str, width: int = 40) -> str:
    """Shorten a long name in the middle.

    Names of runs differ at their ends.

    Examples
    --------
    >>> shortened("a_long_name_of_a_run_seed3", 13)
    'a_long…_seed3'
    """
    if len(name) <= width:
        return name
    end = (width - 1) // 2
    return f"{name[: width - 1 - end]}…{name[len(name) - end :]}"


def shortlist(names: Sequence[str], limit: int = 12) -> str:
    """List names in a message, the first few of many.

    Examples
    --------
    >>> shortlist(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    shown = ", ".join(shortened(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"

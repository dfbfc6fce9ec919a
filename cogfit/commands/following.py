"""``cogfit fit --follow``: a log fitted again as it grows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cogfit.commands.terminal import print_error, print_text, write_json

if TYPE_CHECKING:
    from cogfit.following.records import Look
    from cogfit.logs.model import Log
    from cogfit.result import FitResult


@dataclass(frozen=True)
class Following:
    """What is asked of a log that grows.

    Attributes
    ----------
    every, idle : float
        Seconds between two looks at the file, and without new rows before the end.
    read, fit : callable
    write_pictures, show : callable
        What becomes of each fit, and of the last one.
    json_file : str or None
    extra : mapping
        What stands in the document beside the fit.
    """

    every: float
    idle: float | None
    read: Callable[..., Log]
    fit: Callable[[Log], FitResult]
    write_pictures: Callable[[FitResult], None]
    show: Callable[[FitResult], None]
    json_file: str | None
    extra: Mapping[str, Any]


def check_following(log: Path, *, by: str | None, audit: bool, json_file: str | None) -> None:
    """Refuse what does not go with a log that grows.

    Parameters
    ----------
    log : Path
    by, audit, json_file
        The options of these names.
    """
    from cogfit.errors import InputError

    wrong = {"--by": by is not None, "--audit": audit, "'-' for the log": str(log) == "-"}
    for name, is_given in wrong.items():
        if is_given:
            raise InputError(f"--follow fits one log again and again, so {name} does not go with it")
    if json_file == "-":
        raise InputError("--follow makes many results", hint="name a file for --json; it holds the last one")


def follow_to_the_end(log: Path, asked: Following) -> None:
    """Fit a log as it grows, and show the end.

    Parameters
    ----------
    log : Path
    asked : Following

    Raises
    ------
    typer.Exit
        130 after Ctrl-C.
    """
    from cogfit.following.api import follow

    last: Look | None = None
    is_interrupted = False
    try:
        for last in follow(log, every=asked.every, idle=asked.idle, read=asked.read, fit=asked.fit, note=print_error):
            _write(last, asked)
            print_text(f"{last.headline()}\n")
    except KeyboardInterrupt:
        is_interrupted = True
    if last is not None:
        print_text("\n")
        asked.show(last.fit)
        print_text(f"{last.caution}\n")
    if is_interrupted:
        raise typer.Exit(130)


def _write(look: Look, asked: Following) -> None:
    """Write files anew: the fit, with what its look counts for."""
    following = {name: value for name, value in look.to_json().items() if name not in ("schema", "fit")}
    write_json(lambda: look.fit.to_json() | {"following": following, **asked.extra}, asked.json_file)
    asked.write_pictures(look.fit)

"""Options that several commands share, each written once.

A command takes what it needs from here (``x: options.X = None``), adds what it alone has, and hands what was given to
:func:`reading` and :func:`fitting`. The groups of the help stand in :mod:`cogfit.commands.groups`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogfit.commands.terminal import Number, Text

if TYPE_CHECKING:
    from cogfit.logs.model import Log


def _forms(incomplete: str) -> list[str]:
    """Names of forms that a shell may complete."""
    from cogfit.formulas.registry import forms

    return [name for name in forms() if name.startswith(incomplete)]


def _noise_models(incomplete: str) -> list[str]:
    """Names of noise models that a shell may complete."""
    from cogfit.engine import noise

    return [name for name in ("auto", *noise.NOISE) if name.startswith(incomplete)]


# ------------------------------------------------------------------------------------------------------- what is read

LogPath = Annotated[Path, typer.Argument(metavar="LOG", help="File or folder.", show_default=False)]
LogOrFit = Annotated[
    Path, typer.Argument(metavar="LOG", help="File or folder, or a fit saved as JSON.", show_default=False)
]
X = Annotated[Text, typer.Option("--x", help="Column of steps; 'row' counts the rows.")]
Y = Annotated[Text, typer.Option("--y", help="Column to fit; --y=-NAME fits −1 times it.")]
Pattern = Annotated[Text, typer.Option("--pattern", help="Column that names the pattern (routing logs).")]
Run = Annotated[Text, typer.Option("--run", help="Name of the run, or the column that names runs.")]
TableRun = Annotated[
    Text, typer.Option("--run", help="Column that names the run: each has a table of values of its own.")
]
Split = Annotated[Text, typer.Option("--split", help="Split: train (default), validation, test or eval.")]
XOffset = Annotated[float, typer.Option("--x-offset", help="Added to x: 1 where epochs count from 0.")]
Format = Annotated[Text, typer.Option("--format", help="Read the log as this format.")]
XMin = Annotated[Number, typer.Option("--x-min", "--k-min", help="Leave out what lies before (warm-up).")]
XMax = Annotated[Number, typer.Option("--x-max", "--k-max", help="Leave out what lies after.")]
Extra = Annotated[
    list[Path] | None,
    typer.Option("--extra", help="Folder or datapackage.json with human data of your own; may be repeated."),
]
Follow = Annotated[bool, typer.Option("--follow", help="Go on as rows are appended; Ctrl-C ends.")]
Every = Annotated[float, typer.Option("--every", help="Seconds between two looks at the file (--follow).")]
Idle = Annotated[
    Number, typer.Option("--idle", help="Leave after so many seconds without new rows (--follow).", show_default=False)
]

# --------------------------------------------------------------------------------------------------- how it is fitted

Form = Annotated[
    Text, typer.Option("--form", help="Fit this form only: power_floor or 'power + floor'.", autocompletion=_forms)
]
Noise = Annotated[
    str, typer.Option("--noise", help="auto, gaussian, lognormal or binomial.", autocompletion=_noise_models)
]
Level = Annotated[float, typer.Option("--level", help="Confidence level of the intervals.")]
Outcome = Annotated[str, typer.Option("--outcome", help="Routing logs: soft (p_episodic), hard (attended) or auto.")]
Convention = Annotated[Text, typer.Option("--convention", help="What k counts: prior, inclusive or updates.")]
Bins = Annotated[int | None, typer.Option("--bins", help="Bins per decade of k; default: every k.", show_default=False)]
Axis = Annotated[Text, typer.Option("--axis", help="What x is, e.g. stream; known for most logs.")]
Measure = Annotated[Text, typer.Option("--measure", help="What y is, where the log does not say: latency, error, …")]
Smoothing = Annotated[
    Text,
    typer.Option("--smoothing", help="Decay of a moving average applied before logging (it is undone), or 'unknown'."),
]
Seed = Annotated[int, typer.Option("--seed", help="Of the random numbers.")]

# -------------------------------------------------------------------------------------------------- what comes of it

Reach = Annotated[
    list[float] | None, typer.Option("--reach", help="When does the curve reach this y? May be repeated.")
]
Predict = Annotated[list[float] | None, typer.Option("--predict", help="What is y at this x? May be repeated.")]
JsonFile = Annotated[Text, typer.Option("--json", help="Write the result as JSON ('-' for standard output).")]
Plot = Annotated[Path | None, typer.Option("--plot", help="Write a picture: .png, .svg or .pdf.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the headline only.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print it as Markdown, as the documentation does.")]

# --------------------------------------------------------------------------------------------------------- how it runs

Workers = Annotated[int | None, typer.Option("--workers", help="Processes; default: all cores.", show_default=False)]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Threads of torch.", show_default=False)]
Precision = Annotated[str, typer.Option("--dtype", help="float32, bfloat16, or auto: what is fast here.")]


# ------------------------------------------------------------------------------------------------- what was given

_READING = {name: name for name in ("x", "y", "pattern", "run", "split", "x_offset", "max_bytes")} | {
    "log_format": "format"
}
"""Options that say how a log is read, and the argument of :func:`cogfit.read_log` that each becomes."""

_FITTING = {
    name: name for name in ("noise", "level", "outcome", "convention", "bins", "x_min", "x_max", "axis", "smoothing")
} | {"seed": "rng"}
"""Options that say how it is fitted, and the argument of :func:`cogfit.fit` that each becomes."""

OF_A_LOG = frozenset({*_READING, *_FITTING})
"""Options that go with a log, and cannot change a fit that was saved."""


def reading(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what :func:`cogfit.read_log` is told.

    Parameters
    ----------
    params : mapping of str
        Options of a command (``context.params``); it need not have all.

    Examples
    --------
    >>> reading({"y": "loss", "log_format": "csv", "seed": 1})
    {'y': 'loss', 'format': 'csv'}
    """
    return {argument: params[name] for name, argument in _READING.items() if name in params}


def reader(params: Mapping[str, Any]) -> Callable[..., Log]:
    """Return a function that reads logs as was asked.

    Parameters
    ----------
    params : mapping of str
        Options of a command (``context.params``).

    Returns
    -------
    callable
        From a path, and further arguments of :func:`cogfit.read_log`, to a log.

    Examples
    --------
    >>> reader({"y": "loss"}).__name__
    'read'
    """
    told = reading(params)

    def read(path: Path, **more: Any) -> Log:
        from cogfit.logs import read_log

        return read_log(path, **told, **more)

    return read


def fitting(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what :func:`cogfit.fit` is told.

    Parameters
    ----------
    params : mapping of str
        Options of a command (``context.params``); it need not have all.

    Raises
    ------
    InputError
        If ``--smoothing`` is neither a number nor ``unknown``.

    Examples
    --------
    >>> fitting({"y": "loss", "level": 0.9, "smoothing": "0.5", "seed": 1})
    {'level': 0.9, 'smoothing': 0.5, 'rng': 1}
    """
    told = {argument: params[name] for name, argument in _FITTING.items() if name in params}
    if "smoothing" in told:
        told["smoothing"] = _decay(told["smoothing"])
    return told


def _decay(text: str | None) -> Any:
    """Return the decay, "unknown" or None."""
    from cogfit.errors import InputError

    if text is None or text == "unknown":
        return text
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--smoothing '{text}' is neither a decay, 0 to 1, nor 'unknown'") from None


def given_options(context: typer.Context, names: Container[str] | None = None) -> list[tuple[str, ...]]:
    """Options that differ from their defaults, as typed.

    Parameters
    ----------
    context : typer.Context
    names : container of str, optional
        Which of them; by default all.

    Returns
    -------
    list of tuple of str
        Name and value; of a switch its name; one for each value of an option that may be repeated.
    """
    found: list[tuple[str, ...]] = []
    for option in context.command.params:
        if option.param_type_name != "option" or option.name not in context.params:
            continue
        value = context.params[option.name]
        if value == option.default or not (names is None or option.name in names):
            continue
        values = value if isinstance(value, list | tuple) else [value]
        found += [(option.opts[0],) if one is True else (option.opts[0], str(one)) for one in values]
    return found


def refuse_for_saved_fit(context: typer.Context, path: Path) -> None:
    """Refuse options that cannot change a saved fit.

    Parameters
    ----------
    context : typer.Context
    path : Path
        Of the fit.

    Raises
    ------
    InputError
        If one was given.
    """
    from cogfit.errors import InputError

    given = list(dict.fromkeys(words[0] for words in given_options(context, OF_A_LOG)))
    if given:
        hint = "give them to cogfit fit, which made it"
        raise InputError(f"{', '.join(given)} cannot change a fit that was saved", path=path, hint=hint)


def check_page(path: Path | None) -> None:
    """Refuse a web page whose name is none.

    Raises
    ------
    InputError
        If it ends neither in .html nor in .htm.

    Examples
    --------
    >>> check_page(Path("page.html"))
    """
    from cogfit.errors import InputError

    if path is not None and path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"'{path}' is no name of a web page", hint="use .html")

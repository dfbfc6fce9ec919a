"""``cogfit report``: a fit as one self-contained web page."""

from __future__ import annotations

import shlex
from collections.abc import Container
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from cogfit.commands.forecast import fit_with_forecast
from cogfit.commands.outputs import check_outputs
from cogfit.commands.staying import beside_all_patterns
from cogfit.commands.terminal import Number, ProgressBars, Text, print_text

HELP = """Fit a log and write one self-contained web page about it (no network, no scripts).

The answer comes first; then figures, tables, a methods paragraph, warnings and provenance. Readable on a phone, and
printable. Instead of a log you can give a fit saved by `cogfit fit ... --json FILE`, made with any of its options.

[bold]Examples[/bold]

  cogfit report runs/seed0 --html seed0.html

  cogfit report runs/seed0 --html seed0.html --reach 0.02   with a forecast

  cogfit fit runs/seed0 --thorough --json fit.json && cogfit report fit.json --html seed0.html
"""


_OF_ANY_FIT = ("--html", "--json", "--reach", "--predict")  # options that go with a saved fit, too


def report(
    context: typer.Context,
    log: Annotated[
        Path, typer.Argument(metavar="LOG", help="File or folder, or a fit saved as JSON.", show_default=False)
    ],
    html: Annotated[Path, typer.Option("--html", help="The page to write.", show_default=False)],
    x: Annotated[Text, typer.Option("--x", help="Column of steps.")] = None,
    y: Annotated[Text, typer.Option("--y", help="Column to fit.")] = None,
    run: Annotated[Text, typer.Option(help="Name of the run to fit, or the column that names runs.")] = None,
    split: Annotated[Text, typer.Option(help="Split to fit: train (default), validation, test or eval.")] = None,
    x_offset: Annotated[float, typer.Option("--x-offset", help="Added to x: 1 where epochs count from 0.")] = 0.0,
    log_format: Annotated[Text, typer.Option("--format", help="Read the log as this format.")] = None,
    x_min: Annotated[Number, typer.Option("--x-min", "--k-min", help="Leave out what lies before (warm-up).")] = None,
    x_max: Annotated[Number, typer.Option("--x-max", "--k-max", help="Leave out what lies after.")] = None,
    outcome: Annotated[str, typer.Option(help="Routing logs: soft (p_episodic), hard (attended) or auto.")] = "auto",
    convention: Annotated[str, typer.Option(help="What k counts: prior, inclusive or updates.")] = "prior",
    noise: Annotated[str, typer.Option(help="auto, gaussian, lognormal or binomial.")] = "auto",
    level: Annotated[float, typer.Option(help="Confidence level of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Of the resampling.")] = 0,
    reach: Annotated[
        list[float] | None, typer.Option(help="When does the curve reach this y? May be repeated.")
    ] = None,
    predict: Annotated[list[float] | None, typer.Option(help="What is y at this x? May be repeated.")] = None,
    json_file: Annotated[Text, typer.Option("--json", help="Write the fit as JSON, too.")] = None,
) -> None:
    """Write a page (its help text is HELP)."""
    from cogfit import fitting
    from cogfit.errors import InputError
    from cogfit.logs import read_log
    from cogfit.result import load
    from cogfit.show.page import save_report

    check_outputs(log, json_file, others=[html])
    if html.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"'{html}' is no name of a web page", hint="use .html")
    # a saved fit is shown as it is; a log is fitted
    if _is_fit(log):
        given = [words[0] for words in given_options(context) if words[0] not in _OF_ANY_FIT]
        if given:
            hint = "give them to cogfit fit, which made it"
            raise InputError(f"{', '.join(given)} cannot change a fit that was saved", path=log, hint=hint)
        result = load(log)
        if reach or predict:
            result = result.with_forecast(predict or (), reach or ())
    else:
        with ProgressBars() as progress:
            table = read_log(
                log,
                format=log_format,
                x=x,
                y=y,
                run=run,
                split=split,
                x_offset=x_offset,
                progress=progress.stage("reading"),
            )
            result = beside_all_patterns(fit_with_forecast(fitting.fit, at=predict, reach=reach))(
                table,
                noise=noise,
                level=level,
                rng=seed,
                outcome=outcome,
                convention=convention,
                x_min=x_min,
                x_max=x_max,
                progress=progress.stage("fitting"),
            )
    if json_file is not None:
        result.save(json_file)
    words = chain.from_iterable(given_options(context))
    save_report(result, html, command=shlex.join(["cogfit", "report", str(log), *words]))
    print_text(f"{html}: {result.headline()}\n")


def _is_fit(path: Path) -> bool:
    """Whether a file is a saved fit, and no log."""
    try:
        with open(path, "rb") as file:
            return b'"schema": "cogfit.fit/' in file.read(200)
    except OSError:  # a folder, or nothing that can be read: what reads logs says which
        return False


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

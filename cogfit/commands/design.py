"""``cogfit design``: what a log can show, and how much more would decide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogfit.commands import options
from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import Number, ProgressBars, Text, console, print_table, write_json

if TYPE_CHECKING:
    from cogfit.planning.records import Design

HELP = """Say what a log can show of a power law, and how much more would decide.

Curves are simulated from a power law and from the rival that is hardest to tell from it, and judged as cogfit fit
judges. If the power law is supported too seldom, more points, a longer range of x, and more runs (or patterns) are
tried. Ctrl-C keeps what is done.

[bold]Examples[/bold]

  cogfit design --n 300 --sd 0.02                         300 points with errors of 2 % of the value

  cogfit design --n 1000 --sd 0.05 --rho 0.8 --decades 3 --floor 0.1

  cogfit design --patterns 100 --n 200                    a routing log: 100 patterns, each seen 200 times

  cogfit design --like runs/seed0                         the points, errors and laws of a log of yours

  cogfit design --like metrics.csv --y train/attn_util --x-min 400 --json design.json
"""

_OF_NUMBERS = ("n", "sd", "decades", "rho", "gamma", "floor", "form", "runs", "patterns", "spacing", "errors")


def design(
    context: typer.Context,
    like: Annotated[Path | None, typer.Option(metavar="LOG", help="Go by this log: a file or folder.")] = None,
    n: Annotated[int, typer.Option(help="Points; with --patterns, presentations of each.")] = 300,
    sd: Annotated[float, typer.Option(help="SD of the errors, as a share of the value.")] = 0.02,
    decades: Annotated[Number, typer.Option(help="log10 of largest over smallest x; default: x = 1 … n.")] = None,
    rho: Annotated[float, typer.Option(help="Correlation of neighbours' errors.")] = 0.0,
    gamma: Annotated[float, typer.Option(help="Exponent of the law.")] = 0.43,
    floor: Annotated[float, typer.Option(help="What is added to x^-gamma.")] = 0.0,
    form: Annotated[Text, typer.Option(help="The power law by name: power or power_floor.")] = None,
    rival: Annotated[Text, typer.Option(help="The other form by name; default: the nearest.")] = None,
    runs: Annotated[int, typer.Option(help="Runs whose mean is fitted.")] = 1,
    patterns: Annotated[int, typer.Option(help="Patterns of a routing log; 0: a utilisation log.")] = 0,
    spacing: Annotated[str, typer.Option(help="Points along x: even, or log.")] = "even",
    errors: Annotated[str, typer.Option(help="relative to the value, or even along the curve.")] = "relative",
    goal: Annotated[float, typer.Option(help="Share of 'supported' that would do.")] = 0.8,
    simulations: Annotated[int, typer.Option(help="Curves for each law, and for each thing to have more of.")] = 100,
    minutes: Annotated[float, typer.Option(help="After which no more simulations begin.")] = 10.0,
    seed: options.Seed = 0,
    workers: options.Workers = None,
    json_file: options.JsonFile = None,
    noise: options.Noise = "auto",
    x: options.X = None,
    y: options.Y = None,
    pattern: options.Pattern = None,
    run: options.Run = None,
    split: options.Split = None,
    x_offset: options.XOffset = 0.0,
    log_format: options.Format = None,
    outcome: options.Outcome = "auto",
    convention: options.Convention = "prior",
    bins: options.Bins = None,
    x_min: options.XMin = None,
    x_max: options.XMax = None,
    axis: options.Axis = None,
    smoothing: options.Smoothing = None,
    quiet: options.Quiet = False,
) -> None:
    """Plan a log (its help text is HELP)."""
    _check_options(context, like)
    check_outputs(like or Path(), json_file, schemas=["cogfit.design"])
    from cogfit import designing

    told = options.fitting(context.params)
    common: dict[str, Any] = {"rival": rival, "goal": goal, "simulations": simulations, "minutes": minutes}
    common |= {"seed": told.pop("rng"), "workers": workers}
    with ProgressBars() as progress:
        if like is None:
            found = designing.design(
                n=n, sd=sd, decades=decades, rho=rho, gamma=gamma, floor=floor, form=form, runs=runs,
                patterns=patterns, spacing=spacing, errors=errors, noise=noise, progress=progress.report, **common,  # type: ignore[arg-type]
            )  # fmt: skip
        else:
            from cogfit.logs import read_log

            log = read_log(like, progress=progress.stage("reading"), **options.reading(context.params))
            found = designing.design(log, progress=progress.report, **told, **common)
    write_json(found.to_json, json_file)
    if json_file != "-":
        _show(found, quiet)
    if found.is_interrupted:
        raise typer.Exit(130)


def _check_options(context: typer.Context, like: Path | None) -> None:
    """Refuse options of a log without one, and numbers beside one."""
    from cogfit.errors import InputError

    forbidden = options.OF_A_LOG - {"seed"} if like is None else _OF_NUMBERS
    wrong = [words[0] for words in options.given_options(context, forbidden)]
    if wrong and like is None:
        raise InputError(f"{', '.join(wrong)} says how to read a log, and there is none", hint="name it with --like")
    if wrong:
        raise InputError(f"{', '.join(wrong)} and --like exclude each other", hint="the log says what its points are")


def _show(found: Design, quiet: bool) -> None:
    """Print the answer, the rates, and what was tried."""
    from rich.text import Text as Plain

    from cogfit.show import tables

    out = console()
    out.print(Plain(found.headline(), style="bold"))
    if quiet:
        return
    out.print()
    print_table(out, tables.to_terminal(tables.audit_table(found.audit)))
    if found.needs:
        out.print()
        print_table(out, tables.to_terminal(tables.needs_table(found)))
    for note in found.notes:
        out.print(Plain(f"note: {note}", style="dim"))

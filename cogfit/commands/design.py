"""``cogfit design``: what a log can show, and how much more would decide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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

_OF_A_LOG = (
    *("x", "y", "pattern", "run", "split", "x_offset", "log_format", "outcome", "convention", "bins"),
    *("x_min", "x_max", "axis", "smoothing", "noise"),
)
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
    seed: Annotated[int, typer.Option(help="Of the simulations.")] = 0,
    workers: Annotated[int | None, typer.Option(help="Processes; default: all cores.", show_default=False)] = None,
    json_file: Annotated[
        Text, typer.Option("--json", help="Write the result as JSON ('-' for standard output).")
    ] = None,
    noise: Annotated[str, typer.Option(help="--like: auto, gaussian, lognormal or binomial.")] = "auto",
    x: Annotated[Text, typer.Option("--x", help="--like: column of steps.")] = None,
    y: Annotated[Text, typer.Option("--y", help="--like: column to fit.")] = None,
    pattern: Annotated[Text, typer.Option(help="--like: column that names the pattern.")] = None,
    run: Annotated[Text, typer.Option(help="--like: name of the run, or the column that names runs.")] = None,
    split: Annotated[Text, typer.Option(help="--like: train (default), validation, test or eval.")] = None,
    x_offset: Annotated[float, typer.Option("--x-offset", help="--like: added to x.")] = 0.0,
    log_format: Annotated[Text, typer.Option("--format", help="--like: read the log as this format.")] = None,
    outcome: Annotated[str, typer.Option(help="--like: soft, hard or auto (routing logs).")] = "auto",
    convention: Annotated[str, typer.Option(help="--like: prior, inclusive or updates.")] = "prior",
    bins: Annotated[int | None, typer.Option(help="--like: bins per decade of k.", show_default=False)] = None,
    x_min: Annotated[Number, typer.Option("--x-min", "--k-min", help="--like: leave out what lies before.")] = None,
    x_max: Annotated[Number, typer.Option("--x-max", "--k-max", help="--like: leave out what lies after.")] = None,
    axis: Annotated[Text, typer.Option(help="--like: what x is.")] = None,
    smoothing: Annotated[Text, typer.Option(help="--like: decay of a moving average, or 'unknown'.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the headline only.")] = False,
) -> None:
    """Plan a log (its help text is HELP)."""
    _check_options(context, like)
    check_outputs(like or Path(), json_file)
    from cogfit import designing

    common: dict[str, Any] = {"rival": rival, "goal": goal, "simulations": simulations, "minutes": minutes}
    common |= {"seed": seed, "workers": workers, "noise": noise}
    with ProgressBars() as progress:
        if like is None:
            found = designing.design(
                n=n, sd=sd, decades=decades, rho=rho, gamma=gamma, floor=floor, form=form, runs=runs,
                patterns=patterns, spacing=spacing, errors=errors, progress=progress.report, **common,  # type: ignore[arg-type]
            )  # fmt: skip
        else:
            from cogfit.commands.fit import read_smoothing
            from cogfit.logs import read_log

            log = read_log(
                like, format=log_format, x=x, y=y, pattern=pattern, run=run, split=split, x_offset=x_offset,
                progress=progress.stage("reading"),
            )  # fmt: skip
            found = designing.design(
                log, outcome=outcome, convention=convention, bins=bins, x_min=x_min, x_max=x_max, axis=axis,
                smoothing=read_smoothing(smoothing), progress=progress.report, **common,
            )  # fmt: skip
    write_json(found.to_json, json_file)
    if json_file != "-":
        _show(found, quiet)
    if found.is_interrupted:
        raise typer.Exit(130)


def _check_options(context: typer.Context, like: Path | None) -> None:
    """Refuse options of a log without one, and numbers beside one."""
    from cogfit.errors import InputError

    given = {
        option.name: option.opts[0]
        for option in context.command.params
        if option.name in context.params and context.params[option.name] != option.default
    }
    wrong = [given[name] for name in (_OF_A_LOG if like is None else _OF_NUMBERS) if name in given]
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

"""``cogfit claim``: a claim held against a log."""

from __future__ import annotations

import shlex
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogfit.commands.outputs import check_outputs
from cogfit.commands.report import given_options
from cogfit.commands.terminal import (
    FORM,
    OUTPUT,
    ROWS,
    Number,
    ProgressBars,
    Text,
    console,
    print_items,
    print_table,
    warn,
    write_json,
)

if TYPE_CHECKING:
    from cogfit.claims.records import ClaimCheck

HELP = """Hold a claim about γ against a log: contradicted, supported, compatible, or untestable.

[bold]contradicted[/bold]: the power law is refused, or the 95 % interval of the difference, with the errors of claim
and log, excludes 0. [bold]supported[/bold]: the power law is supported, and the interval of γ lies within the claim ±
--margin (default: its own ±). [bold]compatible, not decided[/bold]: neither. [bold]untestable[/bold]: this log does
not determine γ. Where the answer does not decide, it says what would.

A claim is a value with ± (or +-), a value with an interval, a value alone (then give --margin), or a range; of γ or of
another parameter of the form.

[bold]Examples[/bold]

  cogfit claim "gamma=0.43±0.04" runs/seed0                  as in a paper; +- will do

  cogfit claim "gamma=0.43" metrics.csv --margin 0.05        how near is near enough

  cogfit claim "gamma in 0.4-0.5" runs/seed0 --html seed0.html

  cogfit claim "floor=0.05+-0.01" metrics.csv --json claim.json

  cogfit claim "gamma=0.43 [0.40, 0.47]" fit.json            a fit saved by cogfit fit --json

Exit codes: 0 for an answer, whichever it is; 2 for a text that is no claim, or a log that cannot be used; 130 for
Ctrl-C; 1 for an internal error. The answer is in the JSON document, under "answer".
"""

_OF_A_LOG = frozenset(
    {"x", "y", "pattern", "run", "split", "x_offset", "log_format", "outcome", "convention", "bins", "x_min", "x_max"}
    | {"axis", "smoothing", "noise", "level", "seed"}
)
"""Options that cannot change a fit that was saved."""


def claim(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="CLAIM", help='Such as "gamma=0.43±0.04".', show_default=False)],
    log: Annotated[
        Path, typer.Argument(metavar="LOG", help="File or folder, or a fit saved as JSON.", show_default=False)
    ],
    margin: Annotated[
        Number, typer.Option(help="Deviations up to this count as none; default: the ± of the claim.")
    ] = None,
    plus_minus: Annotated[str, typer.Option(help="What ± is: se, a standard error; ci, half a 95 % interval.")] = "se",
    form: Annotated[Text, typer.Option(help="The form whose parameter is meant; default: a power law.")] = None,
    x: Annotated[Text, typer.Option("--x", help="Column of steps.", rich_help_panel=ROWS)] = None,
    y: Annotated[Text, typer.Option("--y", help="Column to fit.", rich_help_panel=ROWS)] = None,
    pattern: Annotated[Text, typer.Option(help="Column that names the pattern.", rich_help_panel=ROWS)] = None,
    run: Annotated[
        Text, typer.Option(help="Name of the run, or the column that names runs.", rich_help_panel=ROWS)
    ] = None,
    split: Annotated[
        Text, typer.Option(help="Split: train (default), validation, test or eval.", rich_help_panel=ROWS)
    ] = None,
    x_offset: Annotated[float, typer.Option("--x-offset", help="Added to x.", rich_help_panel=ROWS)] = 0.0,
    log_format: Annotated[
        Text, typer.Option("--format", help="Read the log as this format.", rich_help_panel=ROWS)
    ] = None,
    x_min: Annotated[
        Number, typer.Option("--x-min", "--k-min", help="Leave out what lies before (warm-up).", rich_help_panel=ROWS)
    ] = None,
    x_max: Annotated[
        Number, typer.Option("--x-max", "--k-max", help="Leave out what lies after.", rich_help_panel=ROWS)
    ] = None,
    outcome: Annotated[
        str, typer.Option(help="Routing logs: soft (p_episodic), hard (attended) or auto.", rich_help_panel=FORM)
    ] = "auto",
    convention: Annotated[
        str, typer.Option(help="What k counts: prior, inclusive or updates.", rich_help_panel=FORM)
    ] = "prior",
    bins: Annotated[
        int | None, typer.Option(help="Bins per decade of k.", show_default=False, rich_help_panel=FORM)
    ] = None,
    axis: Annotated[Text, typer.Option(help="What x is, e.g. stream.", rich_help_panel=FORM)] = None,
    smoothing: Annotated[
        Text, typer.Option(help="Decay of a moving average, or 'unknown'.", rich_help_panel=FORM)
    ] = None,
    noise: Annotated[str, typer.Option(help="auto, gaussian, lognormal or binomial.", rich_help_panel=FORM)] = "auto",
    level: Annotated[float, typer.Option(help="Confidence level of the intervals.", rich_help_panel=FORM)] = 0.95,
    seed: Annotated[int, typer.Option(help="Of the resampling.", rich_help_panel=FORM)] = 0,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write one web page that prints.", rich_help_panel=OUTPUT),
    ] = None,
    json_file: Annotated[
        Text, typer.Option("--json", help="Write the answer as JSON ('-' for standard output).", rich_help_panel=OUTPUT)
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the headline only.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Check a claim (its help text is HELP)."""
    from cogfit.claims.api import check_claim
    from cogfit.claims.statement import parse_claim
    from cogfit.commands.fit import read_smoothing
    from cogfit.errors import InputError
    from cogfit.logs import read_log
    from cogfit.people.model_side import is_fit

    # what is wrong with the claim or the outputs is said before the log is read
    check_outputs(log, json_file, others=[] if html is None else [html])
    if html is not None and html.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"'{html}' is no name of a web page", hint="use .html")
    stated = parse_claim(text, margin=margin, plus_minus=plus_minus, form=form)  # type: ignore[arg-type]
    options: dict[str, Any] = {}
    data: Any = log
    with ProgressBars() as progress:
        if is_fit(log):
            _refuse_options(context, log)
        else:
            data = read_log(
                log,
                format=log_format,
                x=x,
                y=y,
                pattern=pattern,
                run=run,
                split=split,
                x_offset=x_offset,
                progress=progress.stage("reading"),
            )
            options = {
                "noise": noise,
                "level": level,
                "rng": seed,
                "outcome": outcome,
                "convention": convention,
                "bins": bins,
                "x_min": x_min,
                "x_max": x_max,
                "axis": axis,
                "smoothing": read_smoothing(smoothing),
                "progress": progress.stage("fitting"),
            }
        check = check_claim(stated, data, form=form, **options)
    write_json(check.to_json, json_file)
    if html is not None:
        words = chain.from_iterable(given_options(context))
        check.report(html, command=shlex.join(["cogfit", "claim", text, str(log), *words]))
    if json_file != "-":
        _show(check, quiet=quiet)


def _refuse_options(context: typer.Context, log: Path) -> None:
    """Refuse what cannot change a fit that was saved."""
    from cogfit.errors import InputError

    given = [words[0] for words in given_options(context, _OF_A_LOG)]
    if given:
        hint = "give them to cogfit fit, which made it"
        raise InputError(f"{', '.join(given)} cannot change a fit that was saved", path=log, hint=hint)


def _show(check: ClaimCheck, *, quiet: bool) -> None:
    """Print the answer, why, and what would decide."""
    from rich.text import Text as Plain

    from cogfit.show import tables
    from cogfit.show.claim import claim_table

    out = console()
    out.print(Plain(check.headline(), style="bold"))
    if quiet:
        return
    print_items(out, check.reasons[1:])
    print_items(out, check.advice, mark="  → ")
    out.print()
    shown = claim_table(check)
    print_table(out, tables.to_terminal(shown))
    for note in shown.notes:
        out.print(Plain(note, style="dim"))
    out.print(Plain(check.scope))
    out.print(Plain(f"SHA-256 of {check.digest.of}: {check.digest.sha256}", style="dim"))
    warn(check.fit.warnings)

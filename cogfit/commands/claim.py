"""``cogfit claim``: a claim held against a log."""

from __future__ import annotations

import shlex
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogfit.commands import options
from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import (
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


def claim(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="CLAIM", help='Such as "gamma=0.43±0.04".', show_default=False)],
    log: options.LogOrFit,
    margin: Annotated[
        Number, typer.Option(help="Deviations up to this count as none; default: the ± of the claim.")
    ] = None,
    plus_minus: Annotated[str, typer.Option(help="What ± is: se, a standard error; ci, half a 95 % interval.")] = "se",
    form: Annotated[Text, typer.Option(help="The form whose parameter is meant; default: a power law.")] = None,
    x: options.X = None,
    y: options.Y = None,
    pattern: options.Pattern = None,
    run: options.Run = None,
    split: options.Split = None,
    x_offset: options.XOffset = 0.0,
    log_format: options.Format = None,
    x_min: options.XMin = None,
    x_max: options.XMax = None,
    outcome: options.Outcome = "auto",
    convention: options.Convention = "prior",
    bins: options.Bins = None,
    axis: options.Axis = None,
    smoothing: options.Smoothing = None,
    noise: options.Noise = "auto",
    level: options.Level = 0.95,
    seed: options.Seed = 0,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write one web page that prints."),
    ] = None,
    json_file: options.JsonFile = None,
    quiet: options.Quiet = False,
) -> None:
    """Check a claim (its help text is HELP)."""
    from cogfit.claims.api import check_claim
    from cogfit.claims.statement import parse_claim
    from cogfit.logs import read_log
    from cogfit.result import is_fit

    # what is wrong with the claim or the outputs is said before the log is read
    check_outputs(log, json_file, others=[] if html is None else [html], schemas=["cogfit.claim"])
    options.check_page(html)
    stated = parse_claim(text, margin=margin, plus_minus=plus_minus, form=form)  # type: ignore[arg-type]
    told: dict[str, Any] = {}
    data: Any = log
    with ProgressBars() as progress:
        if is_fit(log):
            options.refuse_for_saved_fit(context, log)
        else:
            data = read_log(log, progress=progress.stage("reading"), **options.reading(context.params))
            told = {**options.fitting(context.params), "progress": progress.stage("fitting")}
        check = check_claim(stated, data, form=form, **told)
    write_json(check.to_json, json_file)
    if html is not None:
        words = chain.from_iterable(options.given_options(context))
        check.report(html, command=shlex.join(["cogfit", "claim", text, str(log), *words]))
    if json_file != "-":
        _show(check, quiet=quiet)


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

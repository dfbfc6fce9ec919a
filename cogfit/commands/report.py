"""``cogfit report``: a fit as one self-contained web page."""

from __future__ import annotations

import shlex
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from cogfit.commands import options
from cogfit.commands.forecast import fit_with_forecast
from cogfit.commands.outputs import FITS, check_outputs
from cogfit.commands.staying import beside_all_patterns
from cogfit.commands.terminal import ProgressBars, print_text, write_json

HELP = """Fit a log and write one self-contained web page about it (no network; no scripts unless --interactive).

The answer comes first; then figures, tables, a methods paragraph, warnings and provenance. Readable on a phone, and
printable. Instead of a log you can give a fit saved by `cogfit fit ... --json FILE`, made with any of its options.

[bold]Examples[/bold]

  cogfit report runs/seed0 --html seed0.html

  cogfit report runs/seed0 --html seed0.html --reach 0.02   with a forecast

  cogfit report runs/seed0 --html seed0.html --interactive  values under the pointer, forms on and off

  cogfit fit runs/seed0 --thorough --json fit.json && cogfit report fit.json --html seed0.html
"""


def report(
    context: typer.Context,
    log: options.LogOrFit,
    html: Annotated[Path, typer.Option("--html", help="The page to write.", show_default=False)],
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Values under the pointer, forms on and off, log or linear axes.")
    ] = False,
    x: options.X = None,
    y: options.Y = None,
    run: options.Run = None,
    split: options.Split = None,
    x_offset: options.XOffset = 0.0,
    log_format: options.Format = None,
    x_min: options.XMin = None,
    x_max: options.XMax = None,
    outcome: options.Outcome = "auto",
    convention: options.Convention = "prior",
    noise: options.Noise = "auto",
    level: options.Level = 0.95,
    seed: options.Seed = 0,
    reach: options.Reach = None,
    predict: options.Predict = None,
    json_file: options.JsonFile = None,
) -> None:
    """Write a page (its help text is HELP)."""
    from cogfit import fitting
    from cogfit.logs import read_log
    from cogfit.result import is_fit, load

    check_outputs(log, json_file, others=[html], schemas=FITS)
    options.check_page(html)
    # a saved fit is shown as it is; a log is fitted
    if is_fit(log):
        options.refuse_for_saved_fit(context, log)
        result = load(log)
        if reach or predict:
            result = result.with_forecast(predict or (), reach or ())
    else:
        with ProgressBars() as progress:
            table = read_log(log, progress=progress.stage("reading"), **options.reading(context.params))
            result = beside_all_patterns(fit_with_forecast(fitting.fit, at=predict, reach=reach))(
                table, progress=progress.stage("fitting"), **options.fitting(context.params)
            )
    write_json(result.to_json, json_file)
    words = chain.from_iterable(options.given_options(context))
    command = shlex.join(["cogfit", "report", str(log), *words])
    result.report(html, command=command, interactive=interactive)
    if json_file != "-":
        print_text(f"{html}: {result.headline()}\n")

"""``cogfit inspect``: what a log holds, and how to fit it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogfit.commands import options
from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import ProgressBars, console, print_table, warn, write_json

if TYPE_CHECKING:
    from cogfit.inspection.records import Inspection

HELP = """Say what a log (a file or a folder) holds, and how to fit each column of it.

Nothing is fitted, and no column needs to be recognised: start here where `cogfit fit` refuses a log. Shows candidates
for x, runs, splits, restarts, labels, and for every column of numbers its range, whether it falls, and the command.

[bold]Examples[/bold]

  cogfit inspect runs/seed0

  cogfit inspect metrics.csv --plot columns.png   columns against x

  cogfit inspect runs/ --json - | jq -r '.columns[].command'

  cogfit inspect wide.parquet --all           more than 20 columns
"""


def inspect(
    context: typer.Context,
    log: options.LogPath,
    x: options.X = None,
    pattern: options.Pattern = None,
    run: options.Run = None,
    log_format: options.Format = None,
    every: Annotated[bool, typer.Option("--all", help="List every column.")] = False,
    json_file: options.JsonFile = None,
    plot: options.Plot = None,
) -> None:
    """Inspect a log (its help text is HELP)."""
    check_outputs(log, json_file, plot, schemas=["cogfit.inspect"])
    from cogfit.inspection.api import inspect as inspect_log

    with ProgressBars() as progress:
        found = inspect_log(log, progress=progress.stage("reading"), **options.reading(context.params))
    # files first: what is printed may go to a pipe that closes early
    write_json(found.to_json, json_file)
    if plot is not None:
        from cogfit.show.plots import save_figure

        save_figure(found.plot(), plot)
    if json_file != "-":
        _show(found, every=every)


def _show(found: Inspection, *, every: bool) -> None:
    """Print what it is, the columns and the commands."""
    from rich.text import Text as Plain

    from cogfit.show import inspection, tables

    out: Any = console()
    shown = found.columns if every else found.columns[: inspection.MOST_COLUMNS]
    out.print(Plain(inspection.headline(found), style="bold"))
    for line in inspection.overview(found):
        out.print(Plain(f"  {line}"))
    for note in found.notes:
        out.print(Plain(f"  {note}"))
    out.print()
    width = out.width if out.is_terminal else 200
    print_table(out, tables.to_terminal(inspection.columns_table(shown, width)))
    if len(shown) < len(found.columns):
        out.print(Plain(f"… and {len(found.columns) - len(shown):,} more: --all, or --json FILE", style="dim"))
    for remark in inspection.remarks(shown):
        out.print(Plain(f"  {remark}"))
    _show_commands(out, found, inspection.commands(shown))
    warn(found.warnings)


def _show_commands(out: Any, found: Inspection, of_columns: Any) -> None:
    """Print commands, each on a line of its own that can be copied."""
    from rich.text import Text as Plain

    suggested = {suggestion.command: suggestion.what for suggestion in found.suggestions}
    commands = list(dict.fromkeys([*suggested, *of_columns]))
    if not commands:
        return
    out.print(Plain("\nTo fit", style="bold"))
    for command in commands:
        what = f"  # {suggested[command]}" if command in suggested else ""
        out.print(Plain(f"  {command}{what}"), soft_wrap=True)

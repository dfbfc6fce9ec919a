"""``cogfit ledger``: the papers' figures beside our own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cogfit.commands import options
from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import ProgressBars, console, new_table, print_table, print_text, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from theory.ledger.records import Entry

HELP = """The replication ledger: each number and claim of the two papers beside our own, with a verdict.

Everything is computed from recorded runs, tables and certificates, half a minute in all; \
each row names the command that repeats it. A figure that is not reproduced is a result, not an error.

[bold]Examples[/bold]

  cogfit ledger                                   all rows, in a table

  cogfit ledger --row gamma                       one in full, with its command

  cogfit ledger --row gamma --runs runs           from runs of yours: runs/cram-n256/seed0 ...

  cogfit ledger --json ledger.json

  cogfit ledger --markdown                        as it stands in the documentation
"""

_STYLES = {
    "reproduced": "green",
    "reproduced under conditions": "yellow",
    "not reproduced": "red",
    "not testable here": "dim",
}


def ledger(
    row: Annotated[
        list[str] | None,
        typer.Option("--row", metavar="ID", help="Show this row in full; repeatable."),
    ] = None,
    runs: Annotated[Path | None, typer.Option(help="Folder of runs in place of the recorded ones.")] = None,
    markdown: options.Markdown = False,
    json_file: options.JsonFile = None,
) -> None:
    """Print the ledger (its help text is HELP)."""
    check_outputs([Path(), runs], json_file, schemas=["cogfit.ledger"])
    import cogfit
    from cogfit.errors import InputError
    from cogfit.files import data_dir
    from theory.ledger.page import document, in_full, page
    from theory.ledger.recordings import Recordings
    from theory.ledger.records import assess, choose
    from theory.ledger.rows import ROWS

    if markdown and (json_file == "-" or row):
        raise InputError("--markdown prints the whole page", hint="leave --row and '--json -' out")
    if runs is not None and not runs.is_dir():
        raise InputError("is no folder", path=runs)
    chosen = choose(ROWS, row or [])
    # a row may fit runs: its progress is shown within that of the rows
    with ProgressBars() as progress:
        done = 0

        def fitting(_: int, __: int, name: str) -> None:
            progress.report(done, len(chosen), f"rows (fitting {name})")

        data = Recordings(data_dir(), runs, fitting)
        entries: list[Entry] = []
        for done, item in enumerate(chosen):
            progress.report(done, len(chosen), "rows")
            entries.append(assess(item, data))
    write_json(lambda: document(entries, cogfit.__version__), json_file)
    if json_file == "-":
        return
    if markdown:
        print_text(page(entries))
    elif row:
        print_text("\n\n".join(map(in_full, entries)) + "\n")
    else:
        _show(entries)


def _show(entries: Sequence[Entry]) -> None:
    """Print a row for each entry, and counts of verdicts."""
    from rich.text import Text as Plain

    from theory.ledger.records import OUTCOMES

    table = new_table(["row"], padding=(0, 2, 0, 0))
    table.add_column("the paper", ratio=2)
    table.add_column("here", ratio=3)
    table.add_column("verdict", no_wrap=True)
    paper = ""
    for entry in entries:
        if entry.row.paper != paper:
            paper = entry.row.paper
            table.add_row(Plain(paper, style="italic"))
        printed = str(entry.printed[0]) if entry.printed else entry.row.title
        measured = str(entry.measured.quantities[0]) if entry.measured.quantities else entry.ruling.reason
        outcome = entry.ruling.outcome
        cells = (Plain("  " + entry.row.id), Plain(printed), Plain(measured), Plain(outcome, style=_STYLES[outcome]))
        table.add_row(*cells)
    out = console()
    print_table(out, table)
    counts = ", ".join(f"{sum(e.ruling.outcome == o for e in entries)} {o}" for o in OUTCOMES)
    out.print(Plain(f"\n{len(entries)} rows: {counts}. In full: cogfit ledger --row {entries[-1].row.id}"))

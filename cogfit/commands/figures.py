"""``cogfit figures``: the paper's figures, from the recorded data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogfit.commands import options
from cogfit.commands.outputs import check_figure, check_outputs
from cogfit.commands.terminal import ProgressBars, add_rows, console, new_table, print_table, print_text, write_json

if TYPE_CHECKING:
    from paper_figures import PaperFigure

HELP = """Make the figures of the paper again, from the data that ship with the package.

Each figure becomes a picture (PNG, PDF, SVG), the plotted numbers (CSV) and a caption with the numbers in it (TXT).
The same data give the same bytes. Nothing is trained; all figures take less than a minute.

[bold]Examples[/bold]

  cogfit figures --list

  cogfit figures --out figures

  cogfit figures --only utilization --only 7
"""


def figures(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("figures"),
    only: Annotated[list[str] | None, typer.Option(help="Name or number, repeatable.")] = None,
    show: Annotated[bool, typer.Option("--list", help="List the figures and what they need; make none.")] = False,
    json_file: options.JsonFile = None,
) -> None:
    """Make figures (its help text is HELP)."""
    from paper_figures import FIGURES, choose

    chosen = choose(FIGURES, only or [])
    check_outputs(Path(), json_file, schemas=["cogfit.figures"])
    made: list[tuple[PaperFigure, list[Path]]] = [(item, []) for item in chosen]
    is_quiet = json_file == "-"
    if not show:
        made = _make(chosen, out, is_quiet)
    elif not is_quiet:
        print_table(console(), _table(chosen))
    write_json(lambda: _document(made), json_file)


def _make(chosen: Sequence[PaperFigure], out: Path, is_quiet: bool) -> list[tuple[PaperFigure, list[Path]]]:
    """Make figures, and return the files of each."""
    from paper_figures import Data, build
    from paper_figures.build import FORMATS

    for item in chosen:
        files = {kind: out / f"{item.stem}.{kind}" for kind in (*FORMATS, "csv", "txt")}
        check_figure(Path(), [files[kind] for kind in FORMATS], [files["csv"], files["txt"]])
    made = []
    with ProgressBars() as progress:
        progress.report(0, len(chosen), "figures")
        for item, written in build(chosen, out, Data(progress=progress.stage("fitting"))):
            made.append((item, written))
            progress.report(len(made), len(chosen), "figures")
            if not is_quiet:
                suffixes = ",".join(path.suffix[1:] for path in written)
                print_text(f"figure {item.number}  {out / item.stem}.{{{suffixes}}}\n")
    return made


def _document(made: list[tuple[PaperFigure, list[Path]]]) -> dict[str, Any]:
    """JSON document of figures and their files."""
    return {
        "schema": "cogfit.figures/1",
        "figures": [
            {
                "number": item.number,
                "name": item.name,
                "title": item.title,
                "needs": list(item.needs),
                "files": [str(path) for path in files],
            }
            for item, files in made
        ],
    }


def _table(chosen: Sequence[PaperFigure]) -> Any:
    table = new_table(["", "name", "title", "made from"], wrapped=["made from"])
    for item in chosen:
        add_rows(table, (str(item.number), item.name, item.title, ", ".join(item.needs) or "no data: formulas"))
    return table

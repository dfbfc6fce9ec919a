"""``cogfit figures``: the figures of the paper, made again from the recorded data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from cogfit.commands.outputs import check_figure, check_outputs
from cogfit.commands.terminal import ProgressBars, Text, console, print_text

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
    only: Annotated[Optional[list[str]], typer.Option(help="Name or number, repeatable.")] = None,  # noqa: UP045
    show: Annotated[bool, typer.Option("--list", help="List the figures and what they need; make none.")] = False,
    json_file: Annotated[
        Text, typer.Option("--json", help="Write what was made as JSON ('-' for standard output).")
    ] = None,
) -> None:
    """Make figures; the help text is HELP."""
    from cogfit.files import write_atomic
    from cogfit.records.codec import dump
    from paper_figures import FIGURES, Data, build, choose
    from paper_figures.build import FORMATS

    chosen = choose(FIGURES, only or [])
    check_outputs(Path(), json_file)
    for item in () if show else chosen:
        pictures = [out / f"{item.stem}.{kind}" for kind in FORMATS]
        check_figure(Path(), pictures, [out / f"{item.stem}.{kind}" for kind in ("csv", "txt")])
    made: list[tuple[PaperFigure, list[Path]]] = [(item, []) for item in chosen]
    quiet = json_file == "-"
    if show:
        if not quiet:
            console().print(_table(chosen))
    else:
        made = []
        with ProgressBars() as progress:
            progress.report(0, len(chosen), "figures")
            for item, files in build(chosen, out, Data(progress=progress.stage("fitting"))):
                made.append((item, files))
                progress.report(len(made), len(chosen), "figures")
                if not quiet:
                    suffixes = ",".join(path.suffix[1:] for path in files)
                    print_text(f"figure {item.number}  {out / item.stem}.{{{suffixes}}}\n")
    if json_file is not None:
        text = dump({"schema": "cogfit.figures/1", "figures": [_entry(item, files) for item, files in made]})
        print_text(text) if quiet else write_atomic(json_file, text)


def _entry(item: PaperFigure, files: list[Path]) -> dict[str, Any]:
    return {"number": item.number, "name": item.name, "title": item.title, "needs": list(item.needs),
            "files": [str(path) for path in files]}  # fmt: skip


def _table(chosen: tuple[PaperFigure, ...]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "name", "title", "made from"):
        table.add_column(name, no_wrap=name != "made from")
    for item in chosen:
        table.add_row(str(item.number), item.name, item.title, ", ".join(item.needs) or "no data: formulas")
    return table

"""``cogfit theory lm practice`` and ``recall``: invented facts, practised and forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cogfit.commands import options
from cogfit.commands.opened_study import CONTEXT, open_study
from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import ProgressBars, add_rows, console, new_table, print_table, print_text, write_json
from cogfit.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "theory.lm-facts/1"

PRACTICE_HELP = """Let a language model practise invented facts and forget them, and record what it knows.

Facts ("Velna Korrith wrote a long book about copper") are shown 0 to 32 times to the last two layers of the model; \
then it is trained on prose and other facts. The conditions (cells) differ from the main one in one thing: what comes \
after practice, the optimiser, or the batch. A cell and a seed is a unit; units that are in the folder are not \
trained again, so that after a stop (Ctrl-C, say) the same command goes on.

[bold]Examples[/bold]

  cogfit theory lm practice smollm2 --quick            a few minutes: three seeds of the main cell, smaller

  cogfit theory lm practice smollm2 --out runs/facts   all cells, 20 units of about two minutes of processor time

  cogfit theory lm practice smollm2 --cell main --cell sgd
"""

RECALL_HELP = """Show practice and forgetting of facts: the recorded study, or that of a folder.

With --log this writes one curve as a log that cogfit fit, compare and plot read.

[bold]Examples[/bold]

  cogfit theory lm recall --plot facts.png

  cogfit theory lm recall --log practice | cogfit fit - --x exposure --y error --axis exposure

  cogfit theory lm recall --log forgetting --cell prose --exposures 16 | cogfit fit - --x delay --y recall --axis delay
"""

Folder = Annotated[
    Path | None, typer.Argument(metavar="[FOLDER]", help="Default: the recorded study.", show_default=False)
]


def practice(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A fetched model or a local checkpoint.")],
    quick: Annotated[bool, typer.Option("--quick", help="Three seeds of the main cell at smaller sizes.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the study. Default: runs/facts-MODEL.", show_default=False)
    ] = None,
    texts: Annotated[
        Path | None, typer.Option(help="Folder of documents. Default: those fetched.", show_default=False)
    ] = None,
    cell: Annotated[list[str] | None, typer.Option(help="Condition; repeatable. Default: all.")] = None,
    dtype: options.Precision = "auto",
    threads: options.Threads = None,
    markdown: options.Markdown = False,
) -> None:
    """Run the study (its help text is PRACTICE_HELP)."""
    from theory.lm.practice import PracticeSizes
    from theory.lm.practice_records import shown_tables
    from theory.lm.practice_study import CELLS, QUICK, QUICK_CELLS, run_practice
    from theory.redundancy.models import load_language_model

    load = partial(load_language_model, context=CONTEXT, dtype=dtype)
    opened = open_study(load, model, texts, place=out, prefix="facts", quick=quick, threads=threads)
    with ProgressBars(has_lines=True) as progress:
        run_practice(
            opened.model,
            opened.documents,
            opened.place,
            digest=opened.digest,
            sizes=QUICK if quick else PracticeSizes(),
            cells=QUICK_CELLS if quick else CELLS,
            only=tuple(cell or ()),
            progress=progress.report,
        )
    print_tables(shown_tables(opened.place), markdown=markdown)


def recall(
    folder: Folder = None,
    log: Annotated[
        Literal["practice", "forgetting"] | None,
        typer.Option("--log", help="Write this curve as CSV: practice or forgetting.", show_default=False),
    ] = None,
    cell: Annotated[str, typer.Option(help="With --log: the condition.")] = "main",
    exposures: Annotated[
        int | None, typer.Option(help="With --log forgetting: facts shown so often. Default: most.", show_default=False)
    ] = None,
    plot: options.Plot = None,
    json_file: options.JsonFile = None,
    markdown: options.Markdown = False,
) -> None:
    """Show a study or a curve (its help is RECALL_HELP)."""
    from theory.lm.practice_records import shown_tables

    place = folder or _recorded()
    check_outputs([place, Path()], json_file, plot, schemas=["theory.lm-facts"])
    if log is not None:
        print_text(_curve(place, log, cell, exposures).to_csv(index=False, float_format="%.6g"))
        return
    write_json(lambda: _headlines(place), json_file)
    if plot is not None:
        from cogfit.show.plots import save_figure
        from theory.lm.practice_plot import plot_facts

        save_figure(plot_facts(place), plot)
    if json_file != "-":
        print_tables(shown_tables(place), markdown=markdown)


def _curve(folder: Path, kind: str, cell: str, exposures: int | None) -> pd.DataFrame:
    """Return a curve as a log: a row per run and value of x."""
    from theory.lm.practice_records import forgetting_log, practice_log, read_cell, shown_exposures

    rows = read_cell(folder, cell)
    if kind == "practice":
        if exposures is not None:
            raise InputError("--exposures goes with --log forgetting", hint="practice is that of the facts shown most")
        return practice_log(rows)
    return forgetting_log(rows, max(shown_exposures(rows)) if exposures is None else exposures)


def _recorded() -> Path:
    from cogfit.files import data_dir
    from theory.lm.practice_records import RECORDED

    return data_dir() / "runs" / RECORDED


def _headlines(folder: Path) -> dict[str, Any]:
    from theory.lm.practice_records import headlines, read_study

    names = ("estimate", "low", "high")
    numbers = {name: dict(zip(names, triple, strict=True)) for name, triple in headlines(folder).items()}
    return {"schema": SCHEMA, "config": read_study(folder)["config"], "numbers": numbers}


def print_tables(tables: Sequence[tuple[str, list[list[str]]]], *, markdown: bool) -> None:
    """Print tables, as Markdown where asked for."""
    from cogfit.show.tables import to_markdown

    for title, (header, *rows) in tables:
        if markdown:
            print_text(f"{title}:\n\n{to_markdown(header, rows)}\n\n")
            continue
        print_text(f"\n{title}\n")
        table = new_table(header[:1], header[1:])
        add_rows(table, *rows)
        print_table(console(), table)

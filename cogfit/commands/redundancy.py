"""``cogfit theory redundancy``: how much attention a probe foretells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import (
    ProgressBars,
    Text,
    add_rows,
    console,
    new_table,
    print_table,
    print_text,
    write_json,
)
from cogfit.commands.training import parse_settings

if TYPE_CHECKING:
    import pandas as pd

    from theory.redundancy.tables import Redundancy

REDUNDANCY_HELP = """How redundant is attention? R = 1 − ‖a − â‖/‖a‖ (CRAM, Eq. 1) of any causal language model.

â is what a linear probe makes of the hidden state that enters the layer, fitted on some documents and measured on \
others. Beside the mean of R stand the share of operations with R above a threshold, explained variance, and the R \
of a constant, which needs no hidden state. \
MODEL_FOLDER is a local checkpoint (config.json, safetensors, tokenizer); nothing is downloaded or unpickled. \
Without it, the recorded training run is shown. Text is Python's standard library unless --text names another.

[bold]Examples[/bold]

  cogfit theory redundancy                                  a small GPT-2 as it was trained, with random weights first

  cogfit theory redundancy ~/models/gpt2 --text wikipedia/ --plot r.pdf

  cogfit theory redundancy ~/models/gpt2 --input attention --documents 200 --json r.json

  cogfit theory redundancy --train --out runs/bytes         train one yourself; the same command goes on after a stop

  cogfit theory redundancy --train --set layers=12 --set d_model=768 --set heads=12 --set steps=40960 --device cuda
"""

SCHEMA = "theory.redundancy/1"
RECORDED = "redundancy-gpt2-bytes"


def redundancy(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="[MODEL_FOLDER]", help="A local checkpoint.", show_default=False),
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(help="File or folder of documents. Default: Python's standard library.", show_default=False),
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="Train a byte-level GPT-2 and measure it on the way.")] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="With --train: a setting such as steps=5000; repeatable."),
    ] = None,
    out: Annotated[Path, typer.Option(help="With --train: folder of the run.")] = Path("runs") / RECORDED,
    probe_input: Annotated[
        str, typer.Option("--input", help="What probes see: layer (residual stream) or attention (after the norm).")
    ] = "layer",
    documents: Annotated[int, typer.Option(min=2, help="Documents to fit on, and to measure on.")] = 60,
    tokens: Annotated[int, typer.Option(min=2, help="The most tokens of a document.")] = 1024,
    context: Annotated[int, typer.Option(min=2, help="The longest window.")] = 1024,
    ridge: Annotated[float, typer.Option(help="Penalty per token, for inputs of unit variance.")] = 1e-6,
    threshold: Annotated[float, typer.Option(help="R above which an operation counts as redundant.")] = 0.8,
    level: Annotated[float, typer.Option(help="Confidence level; documents are the unit.")] = 0.95,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of torch.", show_default=False)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    json_file: Annotated[
        Text, typer.Option("--json", help="Write everything as JSON ('-' for standard output).")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Write a picture: .png, .svg or .pdf.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
) -> None:
    """Measure, train or show (its help text is REDUNDANCY_HELP)."""
    check_outputs(model or Path(), json_file, plot)
    _check_options(probe_input, train, model, changes)
    from cogfit.show.tables import to_markdown

    # measured now, trained now, or recorded
    if model is not None:
        source = cast(Literal["layer", "attention"], probe_input)
        options = {"documents": documents, "tokens": tokens, "ridge": ridge, "threshold": threshold, "level": level}
        measured = _measured(model, text, context, device, threads, probe_input=source, **options)
        shown = _of_model(measured)
    else:
        if train:
            _trained(out, text, changes or [], device, threads)
        shown = _of_run(out if train else None)
    write_json(lambda: {"schema": SCHEMA, **shown.document}, json_file)
    if plot is not None:
        from cogfit.show.plots import save_figure
        from theory.redundancy.redundancy_plot import plot_redundancy

        save_figure(plot_redundancy(shown.frame), plot)
    if json_file == "-":
        return
    # a table for people, or for a page
    header, *rows = shown.cells
    if markdown:
        print_text(to_markdown(header, rows) + "\n")
    else:
        _show(header, rows)
        print_text(f"\n{shown.note}\n")


def _check_options(probe_input: str, train: bool, model: Path | None, changes: list[str] | None) -> None:
    """Refuse options that do not go together."""
    from cogfit.errors import InputError

    if probe_input not in ("layer", "attention"):
        raise InputError(f"'{probe_input}' is no --input", hint="use layer or attention")
    if train and model is not None:
        raise InputError("--train makes a model of its own", hint="leave MODEL_FOLDER out")
    if changes and not train:
        raise InputError("--set is for --train", hint="use --documents, --tokens, --ridge and --input")


@dataclass(frozen=True)
class _Shown:
    """What is written: JSON document, table to draw, cells, remark."""

    document: dict[str, Any]
    frame: pd.DataFrame
    cells: list[list[str]]
    note: str


def _of_model(measured: Redundancy) -> _Shown:
    from theory.redundancy.tables import by_part

    frame = measured.table()
    return _Shown(measured.to_json(), frame, by_part(frame), _note(measured))


def _of_run(folder: Path | None) -> _Shown:
    """A run that was trained here, or the recorded one."""
    from cogfit.files import data_dir
    from theory.redundancy.tables import over_training, read_recorded

    place = folder or data_dir() / "runs" / RECORDED
    table, loss = read_recorded(place)
    document = {"run": place.name, "loss": loss.to_dict("records"), "table": table.to_dict("records")}
    note = "R: mean of 1 − ‖a − â‖/‖a‖, with 95 % interval over documents."
    note += f" Settings and versions: {place / 'run.json'}" if folder else " Recorded; --train repeats it."
    return _Shown(document, table[table["step"] == table["step"].max()], over_training(table, loss), note)


def _measured(
    model: Path, text: Path | None, context: int, device: str, threads: int | None, **options: Any
) -> Redundancy:
    from theory.redundancy.probes import load_language_model, measure
    from theory.redundancy.texts import read_texts, standard_library
    from theory.training.reproducibility import choose_device

    where = choose_device(device)
    _use(threads)
    loaded = load_language_model(model, context=context)
    loaded.module.to(where)
    with ProgressBars() as progress:
        return measure(
            loaded, standard_library() if text is None else read_texts(text), progress=progress.report, **options
        )


def _trained(out: Path, text: Path | None, changes: list[str], device: str, threads: int | None) -> None:
    import shlex

    from theory.redundancy.language_model import Language, train_language
    from theory.redundancy.texts import read_texts, standard_library

    _use(threads)
    settings = Language.parse(parse_settings(changes))
    command = ["cogfit", "theory", "redundancy", "--train", *(part for change in changes for part in ("--set", change))]
    command += ["--text", text.name] if text is not None else []
    command += ["--threads", str(threads)] if threads is not None else []
    texts = standard_library() if text is None else read_texts(text)
    with ProgressBars() as progress:

        def watch(done: int, total: int, measured: Redundancy | None) -> None:
            progress.report(done, total, "training")
            if measured is not None:
                print_text(f"step {done:>6}   loss {measured.loss[0]:.3f} nats   R measured\n")

        train_language(settings, out, texts=texts, device=device, command=shlex.join(command), watch=watch)


def _use(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _note(measured: Redundancy) -> str:
    from theory.redundancy.tables import bands

    shares = bands(measured.table())
    return (
        f"R: mean of 1 − ‖a − â‖/‖a‖, with {100 * measured.level:g} % interval over {len(measured.sums)} documents; "
        f"threshold {measured.threshold:g}. Probes see what enters the {measured.probe_input}; fitted on "
        f"{measured.fitted[1]:,} tokens of {measured.fitted[0]} other documents.\n"
        f"Heads by mean R: {100 * shares['above_0.8']:.0f} % above 0.8, {100 * shares['0.5_to_0.8']:.0f} % 0.5–0.8, "
        f"{100 * shares['below_0.5']:.0f} % below. Loss {measured.loss[0]:.3f} nats per token."
    )


def _show(header: list[str], rows: list[list[str]]) -> None:
    table = new_table(header[:1], header[1:])
    add_rows(table, *rows)
    print_table(console(), table)

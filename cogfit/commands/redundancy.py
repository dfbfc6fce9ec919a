"""``cogfit theory redundancy``: how much of a language model's attention a linear probe foretells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, cast

import typer

from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import ProgressBars, Text, console, print_table, print_text
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
        Optional[Path],  # noqa: UP045
        typer.Argument(metavar="[MODEL_FOLDER]", help="A local checkpoint.", show_default=False),
    ] = None,
    text: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="File or folder of documents. Default: Python's standard library.", show_default=False),
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="Train a byte-level GPT-2 and measure it on the way.")] = False,
    changes: Annotated[
        Optional[list[str]],  # noqa: UP045
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
    threads: Annotated[Optional[int], typer.Option(min=1, help="Threads of torch.", show_default=False)] = None,  # noqa: UP045
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    json_file: Annotated[
        Text, typer.Option("--json", help="Write everything as JSON ('-' for standard output).")
    ] = None,
    plot: Annotated[Optional[Path], typer.Option(help="Write a picture: .png, .svg or .pdf.")] = None,  # noqa: UP045
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
) -> None:
    """Measure, train or show; the help text is REDUNDANCY_HELP."""
    from cogfit.errors import InputError

    check_outputs(model or Path(), json_file, plot)
    if probe_input not in ("layer", "attention"):
        raise InputError(f"'{probe_input}' is no --input", hint="use layer or attention")
    if train and model is not None:
        raise InputError("--train makes a model of its own", hint="leave MODEL_FOLDER out")
    if changes and not train:
        raise InputError("--set is for --train", hint="use --documents, --tokens, --ridge and --input")
    if model is not None:
        source = cast(Literal["layer", "attention"], probe_input)
        options = {"documents": documents, "tokens": tokens, "ridge": ridge, "threshold": threshold, "level": level}
        found = _measured(model, text, context, device, threads, probe_input=source, **options)
        document, frame = found.to_json(), found.table()
        from theory.redundancy.tables import by_part

        cells, note = by_part(frame), _note(found)
    else:
        from cogfit.files import data_dir
        from theory.redundancy.tables import over_training, read_recorded

        if train:
            _trained(out, text, changes or [], device, threads)
        table, loss = read_recorded(folder := out if train else data_dir() / "runs" / RECORDED)
        frame = table[table["step"] == table["step"].max()]
        cells = over_training(table, loss)
        document = {"run": folder.name, "loss": loss.to_dict("records"), "table": table.to_dict("records")}
        note = "R: mean of 1 − ‖a − â‖/‖a‖, with 95 % interval over documents."
        note += f" Settings and versions: {folder / 'run.json'}" if train else " Recorded; --train repeats it."
    _write(document, frame, json_file, plot)
    if json_file == "-":
        return
    if markdown:
        header, *body = cells
        lines = [header, ["---:"] * len(header), *body]
        print_text("\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n")
        return
    _show(cells)
    print_text(f"\n{note}\n")


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

        def watch(done: int, total: int, found: Redundancy | None) -> None:
            progress.report(done, total, "training")
            if found is not None:
                print_text(f"step {done:>6}   loss {found.loss[0]:.3f} nats   R measured\n")

        train_language(settings, out, texts=texts, device=device, command=shlex.join(command), watch=watch)


def _use(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _note(found: Redundancy) -> str:
    from theory.redundancy.tables import bands

    shares = bands(found.table())
    return (
        f"R: mean of 1 − ‖a − â‖/‖a‖, with {100 * found.level:g} % interval over {len(found.sums)} documents; "
        f"threshold {found.threshold:g}. Probes see what enters the {found.probe_input}; fitted on {found.fitted[1]:,} "
        f"tokens of {found.fitted[0]} other documents.\n"
        f"Heads by mean R: {100 * shares['above_0.8']:.0f} % above 0.8, {100 * shares['0.5_to_0.8']:.0f} % 0.5–0.8, "
        f"{100 * shares['below_0.5']:.0f} % below. Loss {found.loss[0]:.3f} nats per token."
    )


def _write(document: dict[str, Any], frame: pd.DataFrame, json_file: str | None, plot: Path | None) -> None:
    from cogfit.files import write_atomic
    from cogfit.records.codec import dump

    if json_file is not None:
        text = dump({"schema": SCHEMA, **document})
        print_text(text) if json_file == "-" else write_atomic(json_file, text)
    if plot is not None:
        from cogfit.show.plots import save_figure
        from theory.redundancy.redundancy_plot import plot_redundancy

        save_figure(plot_redundancy(frame), plot)


def _show(cells: list[list[str]]) -> None:
    from rich.table import Table
    from rich.text import Text as Plain

    header, *body = cells
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(header):
        grid.add_column(name, justify="right" if i else "left", no_wrap=True)
    for row in body:
        grid.add_row(*map(Plain, row))
    print_table(console(), grid)

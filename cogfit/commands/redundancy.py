"""``cogfit theory redundancy``: how much attention a probe foretells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from cogfit.commands import options
from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import (
    ProgressBars,
    Text,
    add_rows,
    console,
    new_table,
    print_table,
    print_text,
    split_names,
    warn,
    write_json,
)
from cogfit.commands.training import parse_settings

if TYPE_CHECKING:
    import pandas as pd

    from theory.lm.heads import HeadScores
    from theory.redundancy.tables import Redundancy
    from theory.redundancy.texts import Texts

REDUNDANCY_HELP = """How redundant is attention? R = 1 − ‖a − â‖/‖a‖ (CRAM, Eq. 1) of any causal language model.

â is what a linear probe makes of the hidden state that enters the layer, fitted on some documents and measured on \
others, with a ridge chosen for each layer and head on documents held out. Beside the mean of R stand the share of \
operations with R above a threshold, explained variance, the R of a constant, which needs no hidden state, the share \
of attention on first tokens (sink), and R against the text that probes were fitted on. \
MODEL is a fetched model (cogfit theory lm fetch) or a local checkpoint (config.json, safetensors, tokenizer); nothing \
is downloaded or unpickled. \
Without it, the recorded training run is shown. Text is Python's standard library unless --text names another; half \
of the documents fit probes, half are measured.

[bold]Examples[/bold]

  cogfit theory redundancy                                  a small GPT-2 as it was trained, with random weights first

  cogfit theory redundancy ~/models/gpt2 --text wikipedia/ --plot r.pdf

  cogfit theory redundancy smollm2 --text prose --layers 1,10,20,30 --fit-documents 40 --dtype auto

  cogfit theory redundancy ~/models/gpt2 --input attention --documents 200 --json r.json

  cogfit theory redundancy --train --out runs/bytes         train one yourself; the same command goes on after a stop

  cogfit theory redundancy --train --set layers=12 --set d_model=768 --set heads=12 --set steps=40960 --device cuda
"""

SCHEMA = "theory.redundancy/1"
RECORDED = "redundancy-gpt2-bytes"


def redundancy(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="[MODEL]", help="A fetched model or a local checkpoint.", show_default=False),
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(
            help="File or folder of documents, or 'prose' (fetched). Default: Python's standard library.",
            show_default=False,
        ),
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
    documents: Annotated[int, typer.Option(min=2, help="The most documents to measure on.")] = 60,
    fit_documents: Annotated[
        int | None, typer.Option(min=2, help="The most to fit on; by default as many.", show_default=False)
    ] = None,
    tokens: Annotated[int, typer.Option(min=2, help="The most tokens of a document.")] = 1024,
    context: Annotated[int, typer.Option(min=2, help="The longest window.")] = 1024,
    layers: Annotated[
        Text, typer.Option(help="Layers to measure, such as 1-4,30. Default: all.", show_default=False)
    ] = None,
    ridge: Annotated[
        float | None,
        typer.Option(help="Penalty per token, for inputs of unit variance. Default: chosen.", show_default=False),
    ] = None,
    halvings: Annotated[int, typer.Option(min=0, max=8, help="Points of the learning curve beside the last.")] = 4,
    dtype: options.Precision = "float32",
    threshold: Annotated[float, typer.Option(help="R above which an operation counts as redundant.")] = 0.8,
    level: Annotated[float, typer.Option(help="Confidence level; documents are the unit.")] = 0.95,
    threads: options.Threads = None,
    device: options.Device = "auto",
    json_file: options.JsonFile = None,
    plot: options.Plot = None,
    markdown: options.Markdown = False,
) -> None:
    """Measure, train or show (its help text is REDUNDANCY_HELP)."""
    check_outputs([model or Path(), text], json_file, plot, schemas=["theory.redundancy"])
    _check_options(probe_input, train, model, changes)
    from cogfit.show.tables import to_markdown

    # measured now, trained now, or recorded
    if model is not None:
        plan = {
            "documents": documents,
            "fit_documents": fit_documents,
            "tokens": tokens,
            "ridge": ridge,
            "halvings": halvings,
            "layers": parse_numbers(layers),
            "probe_input": cast(Literal["layer", "attention"], probe_input),
            "threshold": threshold,
            "level": level,
        }
        shown = _of_model(*_measured(model, text, context, dtype, device, threads, **plan))
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
        warn(shown.warnings)


def _check_options(probe_input: str, train: bool, model: Path | None, changes: list[str] | None) -> None:
    """Refuse options that do not go together."""
    from cogfit.errors import InputError

    if probe_input not in ("layer", "attention"):
        raise InputError(f"'{probe_input}' is no --input", hint="use layer or attention")
    if train and model is not None:
        raise InputError("--train makes a model of its own", hint="leave MODEL out")
    if changes and not train:
        raise InputError("--set is for --train", hint="use --documents, --tokens, --ridge and --input")


@dataclass(frozen=True)
class _Shown:
    """What is written: JSON document, table to draw, cells, remark."""

    document: dict[str, Any]
    frame: pd.DataFrame
    cells: list[list[str]]
    note: str
    warnings: tuple[str, ...] = ()


def parse_numbers(text: str | None) -> tuple[int, ...] | None:
    """Numbers and ranges, such as 1-4,30.

    None where there is no text.

    Examples
    --------
    >>> parse_numbers("1-3,7")
    (1, 2, 3, 7)
    """
    from cogfit.errors import InputError

    if text is None:
        return None
    numbers: set[int] = set()
    for part in split_names(text):
        first, _, last = part.partition("-")
        try:
            numbers |= set(range(int(first), int(last or first) + 1))
        except ValueError:
            raise InputError(f"'{part}' is no number or range", hint="write layers as in 1-4,30") from None
    if not numbers:
        raise InputError(f"'{text}' names no layer", hint="write layers as in 1-4,30")
    return tuple(sorted(numbers))


def _of_model(measured: Redundancy, sinks: HeadScores | None) -> _Shown:
    from theory.redundancy.tables import by_part

    frame = measured.table()
    document = measured.to_json() | {"sinks": None if sinks is None else sinks.to_json()}
    cells = by_part(frame, None if sinks is None else sinks.estimate()[0])
    return _Shown(document, frame, cells, _note(measured, sinks), measured.warnings())


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
    model: Path, text: Path | None, context: int, dtype: str, device: str, threads: int | None, **options: Any
) -> tuple[Redundancy, HeadScores | None]:
    from theory.lm.fetch import locate_model
    from theory.lm.heads import sinks_where_possible
    from theory.redundancy.models import load_language_model
    from theory.redundancy.probes import Plan, measure
    from theory.redundancy.tables import is_our_run
    from theory.training.reproducibility import choose_device

    plan, where, folder = Plan(**options), choose_device(device), locate_model(model)
    _use(threads)
    texts = _texts(text)
    # a model of ours has seen part of the texts; of any other the documents are halved
    texts = texts if is_our_run(folder) else texts.halved()
    loaded = load_language_model(folder, context=context, dtype=dtype)
    loaded.module.to(where)
    with ProgressBars(has_lines=True) as progress:
        measured = measure(loaded, texts, progress=progress.report, plan=plan)
        return measured, sinks_where_possible(loaded, texts.measured[: plan.documents], progress=progress.report)


def _texts(text: Path | None) -> Texts:
    """The texts that are named: a path, those fetched, or what Python brings."""
    from theory.lm.fetch import PROSE, locate_texts
    from theory.redundancy.texts import read_texts, standard_library

    if text is None:
        return standard_library()
    return read_texts(locate_texts(None) if str(text) == PROSE and not text.exists() else text)


def _trained(out: Path, text: Path | None, changes: list[str], device: str, threads: int | None) -> None:
    import shlex

    from theory.lm.heads import mean_sinks
    from theory.redundancy.language_model import Language, train_language

    _use(threads)
    settings = Language.parse(parse_settings(changes))
    command = ["cogfit", "theory", "redundancy", "--train", *(part for change in changes for part in ("--set", change))]
    command += ["--text", text.name] if text is not None else []
    command += ["--threads", str(threads)] if threads is not None else []
    texts = _texts(text)
    with ProgressBars() as progress:

        def watch(done: int, total: int, measured: Redundancy | None) -> None:
            progress.report(done, total, "training")
            if measured is not None:
                print_text(f"step {done:>6}   loss {measured.loss[0]:.3f} nats   R measured\n")

        train_language(
            settings, out, texts=texts, device=device, command=shlex.join(command), watch=watch, sinks=mean_sinks
        )


def _use(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _note(measured: Redundancy, sinks: HeadScores | None) -> str:
    from theory.redundancy.tables import bands, shown_curve

    shares = bands(measured.table())
    return (
        f"R: mean of 1 − ‖a − â‖/‖a‖, with {100 * measured.level:g} % interval over {len(measured.sums)} documents; "
        f"threshold {measured.threshold:g}. Probes see what enters the {measured.probe_input}; fitted on "
        f"{measured.fitted[1]:,} tokens of {measured.fitted[0]} other documents.\n"
        f"Heads by mean R: {100 * shares['above_0.8']:.0f} % above 0.8, {100 * shares['0.5_to_0.8']:.0f} % 0.5–0.8, "
        f"{100 * shares['below_0.5']:.0f} % below. Loss {measured.loss[0]:.3f} nats per token."
        + ("" if sinks is None else f" Attention on first tokens {sinks.mean()[0]:.3f}.")
        + shown_curve(measured)
    )


def _show(header: list[str], rows: list[list[str]]) -> None:
    table = new_table(header[:1], header[1:])
    add_rows(table, *rows)
    print_table(console(), table)

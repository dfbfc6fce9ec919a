"""``cogfit compare``: a model's γ beside people's."""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import Number, ProgressBars, Text, console, print_text

if TYPE_CHECKING:
    from cogfit.people.conclusions import Comparison, Row
    from cogfit.people.exponent import Exponent

HELP = """Compare the γ of a run, or of several, with human data: like with like, or the reason why not.

Two exponents are compared only if measure, scale, axis, unit of repetition, convention, form, noise model and level of
averaging agree. [bold]--align[/bold] fits both sides anew under one convention, form and noise model; the rest cannot
be mended.

[bold]Examples[/bold]

  cogfit compare runs/seed0                                  with every human set (cogfit human lists them)

  cogfit compare runs/seed0 --to remington2016_latency       with one set; exit code 2 if it may not be compared

  cogfit compare runs/seed* --align --margin 0.1             several seeds, both sides fitted anew, equivalence

  cogfit compare fit.json --plot forest.pdf --json out.json  a saved fit

  cogfit compare my_times.csv --y seconds --measure latency --repeated item --axis repetition
"""


def compare(
    model: Annotated[list[Path], typer.Argument(metavar="FIT_OR_LOG...", help="Runs (logs or fits) of one procedure.")],
    to: Annotated[Optional[list[str]], typer.Option(help="Human data set, repeatable; default: all.")] = None,  # noqa: UP045
    form: Annotated[Text, typer.Option(help="Compare under this form; default: the model's better power law.")] = None,
    align: Annotated[
        bool, typer.Option("--align", help="Fit both sides anew under one convention, form and noise model.")
    ] = False,
    margin: Annotated[Number, typer.Option(help="Differences in γ up to this count as none (equivalence).")] = None,
    level: Annotated[float, typer.Option(help="Confidence level of the intervals.")] = 0.95,
    convention: Annotated[Text, typer.Option(help="What k counts: prior, inclusive or updates.")] = None,
    measure: Annotated[Text, typer.Option(help="What y is, where the log does not say: latency, error, …")] = None,
    axis: Annotated[Text, typer.Option(help="What x is: repetition, delay or lag.")] = None,
    repeated: Annotated[Text, typer.Option(help="What is repeated: item, task or page.")] = None,
    y: Annotated[Text, typer.Option("--y", help="Column to fit.")] = None,
    x: Annotated[Text, typer.Option("--x", help="Column of the axis.")] = None,
    extra: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="Data package of your own (folder or datapackage.json), repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the resampling.")] = 0,
    json_file: Annotated[
        Text, typer.Option("--json", help="Write the result as JSON ('-' for standard output).")
    ] = None,
    plot: Annotated[Optional[Path], typer.Option(help="Write a forest plot: .png, .svg or .pdf.")] = None,  # noqa: UP045
    everything: Annotated[bool, typer.Option("--all", help="List every curve that may not be compared, too.")] = False,
) -> None:
    """Compare with people; the help text is HELP."""
    for path in model:
        check_outputs(path, json_file, plot)
    from cogfit.errors import InputError
    from cogfit.files import write_atomic
    from cogfit.logs import read_log
    from cogfit.people import comparison, model_side
    from cogfit.people.catalogue import human
    from cogfit.records.codec import dump

    catalogue = human(extra=extra)
    people = [catalogue[name] for name in to] if to else list(catalogue.values())
    with ProgressBars() as progress:
        runs: list[Any] = [
            path if model_side.is_fit(path) else read_log(path, x=x, y=y, progress=progress.stage("reading"))
            for path in model
        ]
        found = comparison.compare(
            runs, people, form=form, align=align, margin=margin, level=level, rng=seed, convention=convention,
            measure=measure, axis=axis, repeated=repeated, progress=progress.stage("fitting"),
        )  # fmt: skip
    if json_file is not None:
        text = dump(found.to_json())
        print_text(text) if json_file == "-" else write_atomic(json_file, text)
    if plot is not None:
        from cogfit.show.plots import save_figure

        save_figure(found.plot(), plot)
    if json_file != "-":
        _show(found, everything or bool(to))
    if to and not found.compared:
        raise InputError(_refusal(found), hint=_way_out(found))


def _refusal(found: Comparison) -> str:
    """Why none of the sets that were asked for may be compared, in one line."""
    if not found.rows:
        return "; ".join(f"{name} cannot be compared: {why}" for name, why in found.silent)
    row = found.rows[0]
    first = next((item for item in row.obstacles if not item.aspect.refit), row.obstacles[0])
    return f"{found.subject.label} and {row.human.label} cannot be compared: {first} ({first.aspect.why})"


def _way_out(found: Comparison) -> str:
    if any(row.mendable for row in found.rows):
        return "--align fits both sides anew"
    return "leave --to out to see what there is"


def _show(found: Comparison, everything: bool) -> None:
    from rich.text import Text as Plain

    from cogfit.people.conclusions import MAPPING
    from cogfit.people.exponent import heading

    out = console()
    out.print(Plain(found.verdict, style="bold"))
    _group(out, "The model", [(one, "") for one in found.model])
    rows = [row for row in found.rows if everything or row.comparable or row.human.axis == found.subject.axis]
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        key = (heading(row.human), row.human.averaging, *(item.aspect.name for item in row.obstacles))
        groups.setdefault(key, []).append(row)
    for (title, averaging, *_), members in groups.items():
        apart = members[0].obstacles
        note = "; ".join(f"{item} ({item.aspect.why})" if everything else item.aspect.title for item in apart)
        said = f"; not compared, differs in {note}" if note else ""
        _group(out, f"{title[0].upper()}{title[1:]}, {averaging}{said}", [(row.human, _said(row)) for row in members])
    _group(out, "As claimed by the paper", [(one, one.source) for one in found.claims])
    hidden = len(found.rows) - len(rows)
    if hidden:
        out.print(Plain(f"\n{hidden} more human curves are on another axis; --all lists them", style="dim"))
    if found.silent:
        out.print(Plain("\nWithout an exponent", style="bold"))
        for name, why in found.silent:
            out.print(Plain(f"  {name}: {why}"))
    out.print(Plain(f"\n{found.pooling}"))
    if found.sensitivity:
        _group(
            out,
            "The model's γ under other choices",
            [(replace(one, label=what), "") for what, one in found.sensitivity],
        )
    out.print(Plain("\nWhat the paper's words mean in the study of people", style="bold"))
    for paper, people in MAPPING:
        out.print(Plain(f"  {paper}: {people}"))


def _said(row: Row) -> str:
    if row.difference is None:
        return ""
    from cogfit.inference.interval import format_interval

    gap, low, high = row.difference
    return f"difference {gap:.3f} {format_interval((low, high))}"


def _group(out: Any, title: str, lines: list[tuple[Exponent, str]]) -> None:
    from rich.table import Table
    from rich.text import Text as Plain

    from cogfit.formulas.registry import get_form
    from cogfit.inference.interval import format_interval

    out.print()
    out.print(Plain(title, style="bold"))
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(min_width=38)
    table.add_column(justify="right", no_wrap=True, min_width=6)
    table.add_column(no_wrap=True, min_width=16)
    table.add_column(no_wrap=True)
    table.add_column()
    for one, said in lines:
        limits = "–" if isnan(one.low) else format_interval((one.low, one.high))
        gamma = "–" if isnan(one.gamma) else f"{one.gamma:.3f}"
        table.add_row(f"  {one.label}", gamma, limits, get_form(one.form).title if one.form else "", said)
    out.print(table)

"""``cogfit compare``: a model's γ beside people's."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogfit.commands import options
from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import (
    Number,
    ProgressBars,
    Text,
    add_rows,
    console,
    new_table,
    print_table,
    write_json,
)

if TYPE_CHECKING:
    from cogfit.people.conclusions import Comparison, Row
    from cogfit.people.exponent import Exponent
    from cogfit.people.routes import Routes

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
    context: typer.Context,
    model: Annotated[list[Path], typer.Argument(metavar="FIT_OR_LOG...", help="Runs (logs or fits) of one procedure.")],
    to: Annotated[list[str] | None, typer.Option(help="Human data set, repeatable; default: all.")] = None,
    form: Annotated[Text, typer.Option(help="Compare under this form; default: the model's better power law.")] = None,
    align: Annotated[
        bool,
        typer.Option("--align", help="Fit both sides anew under one convention, form and noise model."),
    ] = False,
    margin: Annotated[Number, typer.Option(help="Differences in γ up to this count as none (equivalence).")] = None,
    level: options.Level = 0.95,
    convention: options.Convention = None,
    measure: options.Measure = None,
    axis: options.Axis = None,
    repeated: Annotated[Text, typer.Option(help="What is repeated: item, task or page.")] = None,
    y: options.Y = None,
    x: options.X = None,
    run: options.Run = None,
    split: options.Split = None,
    extra: options.Extra = None,
    seed: options.Seed = 0,
    json_file: options.JsonFile = None,
    plot: Annotated[Path | None, typer.Option(help="Write a forest plot: .png, .svg or .pdf.")] = None,
    plot_routes: Annotated[
        Path | None,
        typer.Option(help="Draw a model's slow route beside remembering and knowing: .png, .svg or .pdf."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="List every curve that may not be compared, too.")] = False,
) -> None:
    """Compare with people (its help text is HELP)."""
    check_outputs([*model, *(extra or ())], json_file, plot, plot_routes, schemas=["cogfit.compare"])
    from cogfit.errors import InputError
    from cogfit.people import comparison
    from cogfit.people.catalogue import human
    from cogfit.result import is_fit

    # both sides; a saved fit is read by the comparison itself
    catalogue = human(extra=extra)
    people = [catalogue[name] for name in to] if to else list(catalogue.values())
    with ProgressBars() as progress:
        read = partial(options.reader(context.params), progress=progress.stage("reading"))
        runs: list[Any] = [path if is_fit(path) else read(path) for path in model]
        result = comparison.compare(
            runs,
            people,
            form=form,
            align=align,
            margin=margin,
            measure=measure,
            repeated=repeated,
            progress=progress.stage("fitting"),
            **options.fitting(context.params),
        )
    # files, then what is printed; that nothing could be compared with the sets asked for is an error
    write_json(result.to_json, json_file)
    if plot is not None:
        from cogfit.show.plots import save_figure

        save_figure(result.plot(), plot)
    if plot_routes is not None:
        _plot_routes(result, plot_routes)
    if json_file != "-":
        _show(result, everything or bool(to))
    if to and not result.compared and result.routes is None:
        raise InputError(_refusal(result), hint=_way_out(result))


def _plot_routes(comparison: Comparison, file: Path) -> None:
    """Draw the routes, where there are some."""
    from cogfit.errors import InputError
    from cogfit.show.people_in_pictures import plot_routes
    from cogfit.show.plots import save_figure

    if comparison.routes is None:
        hint = "it needs a routing log, and human sets with a route (reder2000_know_old, say)"
        raise InputError("there are no routes to draw", hint=hint)
    save_figure(plot_routes(comparison.routes), file)


def _refusal(comparison: Comparison) -> str:
    """Why none of the sets asked for may be compared."""
    if not comparison.rows:
        return "; ".join(f"{name} cannot be compared: {reason}" for name, reason in comparison.silent)
    row = comparison.rows[0]
    obstacle = row.main_obstacle
    labels = f"{comparison.subject.label} and {row.human.label}"
    return f"{labels} cannot be compared: {obstacle} ({obstacle.aspect.why})"


def _way_out(comparison: Comparison) -> str:
    if any(row.mendable for row in comparison.rows):
        return "--align fits both sides anew"
    return "leave --to out to see what there is"


# -------------------------------------------------------------------------------------------------------- output


def _show(comparison: Comparison, everything: bool) -> None:
    """Print the verdict and the exponents of all sides."""
    from rich.text import Text as Plain

    out = console()
    out.print(Plain(comparison.verdict, style="bold"))
    _show_exponents(out, "The model", [(exponent, "") for exponent in comparison.model])
    for exponent in comparison.model:
        if exponent.scope:
            out.print(Plain(f"  {exponent.label}: {exponent.scope}"))
    if comparison.routes is not None:
        _show_routes(out, comparison.routes, everything)
    _show_people(out, comparison, everything)
    if comparison.silent:
        out.print(Plain("\nWithout an exponent", style="bold"))
        for name, reason in comparison.silent:
            out.print(Plain(f"  {name}: {reason}"))
    out.print(Plain(f"\n{comparison.pooling}"))
    if comparison.sensitivity:
        choices = [(replace(exponent, label=choice), "") for choice, exponent in comparison.sensitivity]
        _show_exponents(out, "The model's γ under other choices", choices)
    out.print(Plain("\nWhat the paper's words mean in the study of people: docs/glossary.md", style="dim"))


def _show_routes(out: Any, routes: Routes, everything: bool) -> None:
    """Print the model's share beside those of people's routes."""
    from rich.text import Text as Plain

    from cogfit.inference.interval import format_interval

    out.print(Plain("\nBy which route, against earlier presentations: share = A·k^−γ", style="bold"))
    table = new_table(("share of answers by", "of", "who"), ("γ", "interval"))
    table.add_column("with k")
    for share in (routes.model, *routes.people):
        gamma = share.exponent
        limits = format_interval((gamma.low, gamma.high))
        add_rows(table, (share.route, share.share_of, gamma.label, f"{gamma.gamma:.3f}", limits, share.direction))
    print_table(out, table)
    # what all have in common is said once
    common = [text for text in routes.people[0].differences if all(text in one.differences for one in routes.people)]
    lines = list(
        dict.fromkeys(text for one in routes.people for text in one.differences if everything or text in common)
    )
    out.print(Plain("  They still differ in:", style="italic"))
    for text in lines:
        out.print(Plain(f"  · {text}"))
    if routes.algorithm:
        out.print(Plain(f"  The algorithm in people ({routes.algorithm})"))


def _show_people(out: Any, comparison: Comparison, everything: bool) -> None:
    """Print human exponents in groups, and the claims.

    A group has one heading and the same obstacles.
    """
    from rich.text import Text as Plain

    from cogfit.people.exponent import heading

    axis = comparison.subject.axis
    rows = [row for row in comparison.rows if everything or row.comparable or row.human.axis == axis]
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        obstacles = (item.aspect.name for item in row.obstacles)
        groups.setdefault((heading(row.human), row.human.averaging, *obstacles), []).append(row)
    for (title, averaging, *_), members in groups.items():
        lines = [(row.human, _difference(row)) for row in members]
        _show_exponents(out, f"{title[0].upper()}{title[1:]}, {averaging}{_note(members[0], everything)}", lines)
    _show_exponents(out, "As claimed by the paper", [(claim, claim.source) for claim in comparison.claims])
    n_hidden = len(comparison.rows) - len(rows)
    if n_hidden:
        out.print(Plain(f"\n{n_hidden} more human curves are on another axis; --all lists them", style="dim"))


def _note(row: Row, everything: bool) -> str:
    """In what a row differs, with reasons if wanted."""
    if row.comparable:
        return ""
    items = (f"{item} ({item.aspect.why})" if everything else item.aspect.title for item in row.obstacles)
    return f"; not compared, differs in {'; '.join(items)}"


def _difference(row: Row) -> str:
    from cogfit.inference.interval import format_interval

    if row.difference is None:
        return ""
    estimate, low, high = row.difference
    return f"difference {estimate:.3f} {format_interval((low, high))}"


def _show_exponents(out: Any, title: str, lines: list[tuple[Exponent, str]]) -> None:
    """Print exponents under a title, each with a remark."""
    from rich.text import Text as Plain

    from cogfit.formulas.registry import get_form
    from cogfit.inference.interval import format_interval

    out.print()
    out.print(Plain(title, style="bold"))
    table = new_table([], show_header=False, padding=(0, 2, 0, 0))
    table.add_column(min_width=38)
    table.add_column(justify="right", no_wrap=True, min_width=6)
    table.add_column(no_wrap=True, min_width=16)
    table.add_column(no_wrap=True)
    table.add_column()
    for exponent, remark in lines:
        gamma = "–" if isnan(exponent.gamma) else f"{exponent.gamma:.3f}"
        limits = "–" if isnan(exponent.low) else format_interval((exponent.low, exponent.high))
        form = get_form(exponent.form).title if exponent.form else ""
        add_rows(table, (f"  {exponent.label}", gamma, limits, form, remark))
    print_table(out, table)

"""``cogfit fit``: a log, its tables and its pictures."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from cogfit.commands import options
from cogfit.commands.defaults import FILE, in_words, project_defaults
from cogfit.commands.following import Following, check_following, follow_to_the_end
from cogfit.commands.forecast import fit_with_forecast, show_forecast, show_forecasts
from cogfit.commands.outputs import FITS, check_outputs
from cogfit.commands.staying import beside_all_patterns
from cogfit.commands.terminal import (
    ProgressBars,
    Text,
    console,
    first_clause,
    is_read_by_a_person,
    print_items,
    print_table,
    print_text,
    split_names,
    warn,
    write_json,
)

if TYPE_CHECKING:
    from cogfit.logs.model import Log
    from cogfit.result import FitResult, FormFit

    Group = tuple[dict[str, str], FitResult | str]  # labels, and the fit or why there is none

MOST_LINES, MOST_FORMS = 25, 4
"""Lines and forms of a short answer."""

HELP = """Fit γ from a training log (a file or a folder) and say what the data support.

Reads CSV/TSV, JSON lines, Parquet, TensorBoard, Hugging Face trainer_state.json, Lightning metrics.csv, W&B CSV
exports, MLflow sqlite files and mlruns, Text logs with lines such as "step 10 | loss 0.5"; .gz and .zst, too. Format
and columns are recognised.

[bold]Examples[/bold]

  cogfit fit runs/seed0                                   every form, verdict, interval

  cogfit fit metrics.csv --y train/attn_util --x-min 400  a column of your own, warm-up left out

  cogfit fit routing.parquet --convention updates --json fit.json --plot fit.pdf

  cogfit fit runs/ --by run                               one fit per run

  cogfit fit practice.csv --x trial --y rt --by subject --pool   one model of all subjects: how γ differs between them

  cogfit fit metrics.csv --smoothing 0.9 --windows        a logged moving average is undone; γ over windows of x

  cogfit fit runs/seed0 --thorough --diagnostics more.png

  cogfit fit runs/seed0 --audit                           the verdict tried on curves with a known law

  cogfit fit runs/seed0 --follow --idle 3600              again and again, while training writes
  cogfit fit runs/seed0 --reach 0.02 --fan fan.png        when utilisation falls to 2 %, with a picture
"""


@dataclass(frozen=True)
class Shown:
    """What is printed of a fit.

    Attributes
    ----------
    windows, explain, methods, verbose, quiet : bool
        The options of these names.
    defaults : mapping of str
        What was taken from the project's file.
    """

    windows: bool = False
    explain: bool = False
    methods: bool = False
    verbose: bool = False
    quiet: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)


class Pictures(NamedTuple):
    """Files of pictures, None where none is wanted."""

    plot: Path | None = None
    diagnostics: Path | None = None
    fan: Path | None = None


def fit(
    context: typer.Context,
    log: Annotated[
        Path, typer.Argument(metavar="LOG", help="File or folder; '-' is standard input.", show_default=False)
    ],
    form: options.Form = None,
    noise: options.Noise = "auto",
    level: options.Level = 0.95,
    x: options.X = None,
    y: options.Y = None,
    pattern: options.Pattern = None,
    run: options.Run = None,
    split: options.Split = None,
    x_offset: options.XOffset = 0.0,
    log_format: options.Format = None,
    max_bytes: Annotated[
        int | None,
        typer.Option(help="Most bytes out of a compressed file or a pipe.", show_default=False),
    ] = None,
    by: Annotated[Text, typer.Option(help="Fit each separately: run, split, layer, head, pattern.")] = None,
    pool: Annotated[
        bool,
        typer.Option("--pool", help="With --by: one model for all, and how γ differs between them."),
    ] = False,
    between: Annotated[
        tuple[float, float] | None,
        typer.Option(help="With --pool: share of members with γ in this range."),
    ] = None,
    outcome: options.Outcome = "auto",
    convention: options.Convention = "prior",
    bins: options.Bins = None,
    x_min: options.XMin = None,
    x_max: options.XMax = None,
    axis: options.Axis = None,
    smoothing: options.Smoothing = None,
    schedule: Annotated[Text, typer.Option(help="Columns that hold a schedule (comma-separated).")] = None,
    thorough: Annotated[
        bool,
        typer.Option(
            "--thorough",
            help="Calibrate intervals by bootstrap, 1,999 replicates a test; minutes.",
        ),
    ] = False,
    audit: Annotated[
        bool,
        typer.Option("--audit", help="Try the verdict on curves simulated with this log's errors; minutes."),
    ] = False,
    workers: options.Workers = None,
    seed: options.Seed = 0,
    follow: options.Follow = False,
    every: options.Every = 2.0,
    idle: options.Idle = None,
    reach: options.Reach = None,
    predict: options.Predict = None,
    fan: Annotated[Path | None, typer.Option(help="Write a picture of the forecast.")] = None,
    json_file: options.JsonFile = None,
    plot: options.Plot = None,
    diagnostics: Annotated[
        Path | None,
        typer.Option(help="Write a picture of the profile of γ, windows, residuals and switch times."),
    ] = None,
    windows: Annotated[bool, typer.Option("--windows", help="Print γ over windows of x.")] = False,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Print what stands behind each sentence: rule, numbers, function."),
    ] = False,
    methods: Annotated[
        bool, typer.Option("--methods", help="Print a paragraph for a paper's methods section.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Print all findings, forms and warnings at a terminal, too."),
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit a log (its help text is HELP)."""
    defaults = project_defaults(context)
    pictures = Pictures(plot, diagnostics, fan)
    if any(pictures):
        defaults.pop("by", None)  # a picture was asked for, which is of one fit
    noise, level, by = defaults.get("noise", noise), defaults.get("level", level), defaults.get("by", by)
    given = {"windows": windows, "explain": explain, "methods": methods, "verbose": verbose, "quiet": quiet}
    shown = Shown(**given | dict.fromkeys(defaults.get("show", ()), True), defaults=defaults)
    if pool or between is not None:
        from cogfit.commands.pooled import fit_pooled

        fit_pooled(log, context.params | {"noise": noise, "level": level, "by": by, "verbose": shown.verbose})
        return
    told = options.fitting(context.params | {"noise": noise, "level": level})
    check_outputs(log, json_file, *pictures, schemas=FITS)
    from cogfit import fitting
    from cogfit.planning.simulation import checked_workers

    _check_one_fit(by, *pictures)
    # reading and fitting; a group is fitted like a whole log
    read = options.reader(context.params)
    fit_part = partial(
        beside_all_patterns(fit_with_forecast(fitting.fit, at=predict, reach=reach, has_fan=fan is not None)),
        form=form,
        thorough=thorough,
        schedule=split_names(schedule),
        audit=audit,
        workers=checked_workers(workers),
        **told,
    )
    if follow:
        check_following(log, by=by, audit=audit, json_file=json_file)
        draw, show = partial(_write_pictures, pictures=pictures), partial(_show, shown=shown)
        asked = Following(every, idle, read, fit_part, draw, show, json_file, _defaults_document(defaults))
        follow_to_the_end(log, asked)
        return
    with ProgressBars() as progress:
        table = read(log, progress=progress.stage("reading"))
        fit_part = partial(
            fit_part,
            progress=progress.stage("fitting", "curves judged"),
            preview=progress.note if by is None and not shown.quiet else None,
        )
        if by is None:
            result = fit_part(table)
        else:
            groups = _fit_groups(table, split_names(by), fit_part, progress)
    # files first: what is printed may go to a pipe that closes early
    if by is None:
        write_json(lambda: result.to_json() | _defaults_document(defaults), json_file)
        _write_pictures(result, pictures)
        if json_file != "-":
            _show(result, shown)
        if result.audit is not None and not result.audit.is_complete:
            raise typer.Exit(130)  # Ctrl-C: what was known is written and shown
    else:
        write_json(lambda: _document(groups, by) | _defaults_document(defaults), json_file)
        if json_file != "-":
            _show_groups(groups)
            show_forecasts(console(), groups)
            if defaults:
                print_text(in_words(defaults) + "\n")
            warn((*table.warnings, *fitting.other_kind(table)))


def _check_one_fit(by: str | None, *pictures: Path | None) -> None:
    """Refuse a picture of several fits."""
    from cogfit.errors import InputError

    if by is not None and any(picture is not None for picture in pictures):
        raise InputError("--plot draws one fit and --by makes several", hint="leave one of them out, or --pool")


def _fit_groups(
    table: Log, by: tuple[str, ...], fit_part: Callable[[Log], FitResult], progress: ProgressBars
) -> list[Group]:
    """Fit each group.

    One that cannot be fitted does not stop the others.
    """
    from cogfit.errors import InputError
    from cogfit.logs.splitting import split

    parts = list(split(table, by))
    groups: list[Group] = []
    for number, (labels, part) in enumerate(parts):
        progress.report(number, len(parts), "curves")
        try:
            groups.append((labels, fit_part(part)))
        except InputError as error:
            groups.append((labels, str(error)))
    return groups


# -------------------------------------------------------------------------------------------------------- output


def _document(groups: list[Group], by: str) -> dict[str, Any]:
    """JSON document of the fits of all groups."""
    return {
        "schema": "cogfit.fits/1",
        "by": by.split(","),
        "fits": [
            {"labels": labels, **({"error": result} if isinstance(result, str) else {"fit": result.to_json()})}
            for labels, result in groups
        ],
    }


def _defaults_document(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What was taken from the project's file, nothing of none."""
    return {"defaults": {"file": FILE, **defaults}} if defaults else {}


def _write_pictures(result: FitResult, pictures: Pictures) -> None:
    if not any(pictures):
        return
    from cogfit.show.forecast import plot_forecast
    from cogfit.show.plots import save_figure

    if pictures.plot is not None:
        save_figure(result.plot(), pictures.plot)
    if pictures.diagnostics is not None:
        save_figure(result.plot_diagnostics(), pictures.diagnostics)
    if pictures.fan is not None:
        save_figure(plot_forecast(result), pictures.fan)


def _show_groups(groups: list[Group]) -> None:
    from rich.text import Text as Plain

    from cogfit.errors import shortened, shortlist
    from cogfit.show import tables

    out = console()
    found = tables.groups_table(groups)
    print_table(out, tables.to_terminal(found))
    for note in found.notes:
        out.print(Plain(note, style="dim"))
    # what was chosen or averaged for a group is said beside its number
    fitted: dict[str, list[str]] = {}
    for labels, result in groups:
        if not isinstance(result, str) and result.scope:
            fitted.setdefault(result.scope, []).append(", ".join(map(shortened, labels.values())))
    for scope, names in fitted.items():
        out.print(Plain(scope if len(names) == len(groups) else f"{shortlist(names)}: {scope}"))


def _show(result: FitResult, shown: Shown) -> None:
    """Print the answer, and what else is asked for."""
    from rich.text import Text as Plain

    from cogfit.show import tables

    out = console()
    out.print(Plain(result.headline(), style="bold"))
    if not shown.quiet:
        _show_details(out, result, is_short=is_read_by_a_person() and not shown.verbose)
    if shown.defaults:
        out.print(Plain(in_words(shown.defaults), style="dim"))
    show_forecast(out, result, with_forms=not shown.quiet)
    if shown.windows:
        out.print()
        print_table(out, tables.to_terminal(tables.windows_table(result)))
    if shown.explain:
        for item in result.explain():
            out.print(Plain(f"\n{item}"))
    if shown.methods:
        out.print("\n" + result.methods(), markup=False)


def _show_details(out: Any, result: FitResult, *, is_short: bool) -> None:
    """Print findings, provenance, forms, parameters and warnings.

    Short, only what is to be read first, and how much more there is.
    """
    from cogfit.show import tables

    if is_short:
        _show_in_short(out, result)
        return
    print_items(out, result.findings)
    out.print()
    _show_source(out, result)
    out.print()
    _show_audit(out, result)
    _show_forms(out, result, result.forms)
    out.print()
    print_table(out, tables.to_terminal(tables.parameters_table(result)))
    warn(result.warnings)


def _show_in_short(out: Any, result: FitResult) -> None:
    """Print what is to be read first, in :data:`MOST_LINES` lines."""
    from rich.text import Text as Plain

    headline = len(out.render_lines(Plain(result.headline())))
    for most_forms, most_warnings in ((MOST_FORMS, 2), (MOST_FORMS, 1), (3, 1), (3, 0)):
        with out.capture() as capture:
            _print_short(out, result, most_forms, most_warnings)
        if headline + capture.get().count("\n") <= MOST_LINES:
            break
    _print_short(out, result, most_forms, most_warnings)


def _print_short(out: Any, result: FitResult, most_forms: int, most_warnings: int) -> None:
    """Print so many forms and warnings, and how much more there is."""
    from rich.text import Text as Plain

    from cogfit.show import tables

    print_items(out, map(first_clause, result.key_findings))
    read, used = result.source["rows_read"], result.source.get("rows_used")
    rows = f"{used:,} of {read:,} rows" if used not in (None, read, result.n) else f"{read:,} rows read"
    points = f"{result.n:,} points ({result.n_effective:,.0f} effective)"
    out.print(Plain(f"{points}, {rows}, {result.axis} axis, {result.noise} noise\n"))
    _show_audit(out, result)
    items = tables.leading_forms(result, most_forms)
    _show_forms(out, result, items)
    cells = (row.cells[1:3] for row in tables.parameters_table(result).rows)
    values = (" ".join(cell for cell in pair if cell != tables.NONE) for pair in cells)
    named = (f"{name} = {value}" for name, value in zip(result.params, values, strict=True))
    out.print(Plain(f"{result.selected.title}: {', '.join(named)}"))
    warnings = result.warnings[:most_warnings]
    warn(tuple(map(first_clause, warnings)), out)
    left_out = {
        "finding": len(result.findings) - len(result.key_findings),
        "form": len(result.forms) - len(items),
        "warning": len(result.warnings) - len(warnings),
    }
    more = [f"{n} {name}{'s' * (n > 1)}" for name, n in left_out.items() if n > 0]
    counted = f"{', '.join(more)} more, and all in full" if more else "all in full"
    out.print(Plain(f"{counted}: --verbose", style="dim"))


def _show_source(out: Any, result: FitResult) -> None:
    """Print where the points came from."""
    from rich.text import Text as Plain

    source = result.source
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in source["rows_dropped"].items())
    left_out = f"; left out: {dropped}" if dropped else ""
    used = f", {source['rows_used']:,} used" if dropped and "rows_used" in source else ""
    out.print(Plain(f"{source['path']} ({source['format']}): {source['rows_read']:,} rows read{used}{left_out}"))
    for note in source["notes"]:
        out.print(Plain(f"  {note}"))
    points = f"{result.n:,} points ({result.n_effective:,.0f} effective) · {result.axis} axis"
    out.print(Plain(f"{points}: {result.convention} · {result.noise} noise"))


def _show_audit(out: Any, result: FitResult) -> None:
    """Print how often the verdict is right on curves like these, where that was tried."""
    from cogfit.show import tables

    if result.audit is not None:
        print_table(out, tables.to_terminal(tables.audit_table(result.audit)))
        out.print()


def _show_forms(out: Any, result: FitResult, items: Sequence[FormFit]) -> None:
    """Print forms, with what their marks mean."""
    from rich.text import Text as Plain

    from cogfit.show import tables

    forms = tables.forms_table(result, items=items)
    # in a pipe nothing is left out, unless somebody says how wide it is
    forms = forms.at_width(out.width) if out.is_terminal or "COLUMNS" in os.environ else forms.at_width(sys.maxsize)
    print_table(out, tables.to_terminal(forms))
    for note in filter(None, (forms.footnote, *forms.notes)):
        out.print(Plain(note, style="dim"))

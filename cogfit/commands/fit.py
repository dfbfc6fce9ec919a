"""``cogfit fit``: a log, its tables and its pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import Number, ProgressBars, Text, console, print_table, split_names, warn, write_json

if TYPE_CHECKING:
    from cogfit.logs.model import Log
    from cogfit.result import FitResult

    Group = tuple[dict[str, str], FitResult | str]  # labels, and the fit or why there is none

HELP = """Fit γ from a training log (a file or a folder) and say what the data support.

Reads CSV/TSV, JSON lines, Parquet, TensorBoard, Hugging Face trainer_state.json, Lightning metrics.csv, W&B CSV
exports, MLflow sqlite files and mlruns, Text logs with lines such as "step 10 | loss 0.5"; .gz and .zst, too. Format
and columns are recognised.

[bold]Examples[/bold]

  cogfit fit runs/seed0                                   every form, verdict, interval

  cogfit fit metrics.csv --y train/attn_util --x-min 400  a column of your own, warm-up left out

  cogfit fit routing.parquet --convention updates --json fit.json --plot fit.pdf

  cogfit fit runs/ --by run                               one fit per run

  cogfit fit metrics.csv --smoothing 0.9 --windows        a logged moving average is undone; γ over windows of x

  cogfit fit runs/seed0 --thorough --diagnostics more.png

  cogfit fit runs/seed0 --audit                           the verdict tried on curves with a known law
"""


def fit(
    log: Annotated[
        Path, typer.Argument(metavar="LOG", help="File or folder; '-' is standard input.", show_default=False)
    ],
    form: Annotated[Text, typer.Option(help="Fit this form only, e.g. power_floor.")] = None,
    noise: Annotated[str, typer.Option(help="auto, gaussian, lognormal or binomial.")] = "auto",
    level: Annotated[float, typer.Option(help="Confidence level of the intervals.")] = 0.95,
    x: Annotated[Text, typer.Option("--x", help="Column of steps; 'row' counts the rows.")] = None,
    y: Annotated[Text, typer.Option("--y", help="Column to fit; --y=-NAME fits −1 times it.")] = None,
    pattern: Annotated[Text, typer.Option(help="Column that names the pattern (routing logs).")] = None,
    run: Annotated[Text, typer.Option(help="Name of the run to fit, or the column that names runs.")] = None,
    split: Annotated[Text, typer.Option(help="Split to fit: train (default), validation, test or eval.")] = None,
    x_offset: Annotated[float, typer.Option("--x-offset", help="Added to x: 1 where epochs count from 0.")] = 0.0,
    log_format: Annotated[Text, typer.Option("--format", help="Read the log as this format.")] = None,
    max_bytes: Annotated[
        int | None, typer.Option(help="Most bytes out of a compressed file or a pipe.", show_default=False)
    ] = None,
    by: Annotated[Text, typer.Option(help="Fit each separately: run, split, layer, head, pattern.")] = None,
    outcome: Annotated[str, typer.Option(help="Routing logs: soft (p_episodic), hard (attended) or auto.")] = "auto",
    convention: Annotated[str, typer.Option(help="What k counts: prior, inclusive or updates.")] = "prior",
    bins: Annotated[int | None, typer.Option(help="Bins per decade of k; default: every k.")] = None,
    x_min: Annotated[Number, typer.Option("--x-min", "--k-min", help="Leave out what lies before (warm-up).")] = None,
    x_max: Annotated[Number, typer.Option("--x-max", "--k-max", help="Leave out what lies after.")] = None,
    axis: Annotated[Text, typer.Option(help="What x is, e.g. stream; known for most logs.")] = None,
    smoothing: Annotated[
        Text, typer.Option(help="Decay of a moving average applied before logging (it is undone), or 'unknown'.")
    ] = None,
    schedule: Annotated[Text, typer.Option(help="Columns that hold a schedule (comma-separated).")] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Calibrate intervals by bootstrap, 1,999 replicates a test; minutes.")
    ] = False,
    audit: Annotated[
        bool, typer.Option("--audit", help="Try the verdict on curves simulated with this log's errors; minutes.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes for --audit; default: all cores.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the resampling.")] = 0,
    json_file: Annotated[
        Text, typer.Option("--json", help="Write the result as JSON ('-' for standard output).")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Write a picture: .png, .svg or .pdf.")] = None,
    diagnostics: Annotated[
        Path | None,
        typer.Option(help="Write a picture of the profile of γ, windows, residuals and switch times."),
    ] = None,
    windows: Annotated[bool, typer.Option("--windows", help="Print γ over windows of x.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print what stands behind each sentence: rule, numbers, function.")
    ] = False,
    methods: Annotated[
        bool, typer.Option("--methods", help="Print a paragraph for a paper's methods section.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the headline only.")] = False,
) -> None:
    """Fit a log (its help text is HELP)."""
    decay = read_smoothing(smoothing)
    check_outputs(log, json_file, plot, diagnostics)
    from cogfit import fitting
    from cogfit.errors import InputError
    from cogfit.logs import read_log
    from cogfit.planning.simulation import checked_workers

    if by is not None and not (plot is None and diagnostics is None):
        raise InputError("--plot draws one fit and --by makes several", hint="leave one of them out")
    # reading and fitting; a group is fitted like a whole log
    with ProgressBars() as progress:
        table = read_log(
            log,
            format=log_format,
            x=x,
            y=y,
            pattern=pattern,
            run=run,
            split=split,
            x_offset=x_offset,
            progress=progress.stage("reading"),
            max_bytes=max_bytes,
        )
        fit_part = partial(
            fitting.fit,
            form=form,
            noise=noise,
            level=level,
            rng=seed,
            outcome=outcome,  # type: ignore[arg-type]
            convention=convention,
            x_min=x_min,
            x_max=x_max,
            bins=bins,
            axis=axis,
            smoothing=decay,
            thorough=thorough,
            schedule=split_names(schedule),
            audit=audit,
            workers=checked_workers(workers),
            progress=progress.report_parts("fitting", "curves judged"),
        )
        if by is None:
            result = fit_part(table)
        else:
            groups = _fit_groups(table, split_names(by), fit_part, progress)
    # files first: what is printed may go to a pipe that closes early
    if by is None:
        write_json(result.to_json, json_file)
        _write_pictures(result, plot, diagnostics)
        if json_file != "-":
            _show(result, quiet=quiet, windows=windows, methods=methods, explain=explain)
        if result.audit is not None and not result.audit.is_complete:
            raise typer.Exit(130)  # Ctrl-C: what was known is written and shown
    else:
        write_json(lambda: _document(groups, by), json_file)
        if json_file != "-":
            _show_groups(groups)
            warn((*table.warnings, *fitting.other_kind(table)))


def read_smoothing(text: str | None) -> Any:
    """Return the decay, "unknown" or None."""
    from cogfit.errors import InputError

    if text is None or text == "unknown":
        return text
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--smoothing '{text}' is neither a decay, 0 to 1, nor 'unknown'") from None


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


def _write_pictures(result: FitResult, plot: Path | None, diagnostics: Path | None) -> None:
    if plot is None and diagnostics is None:
        return
    from cogfit.show.plots import save_figure

    if plot is not None:
        save_figure(result.plot(), plot)
    if diagnostics is not None:
        save_figure(result.plot_diagnostics(), diagnostics)


def _show_groups(groups: list[Group]) -> None:
    from rich.text import Text as Plain

    from cogfit.errors import shortened, shortlist
    from cogfit.show import tables

    out = console()
    found = tables.groups_table(groups)
    out.print(tables.to_terminal(found))
    for note in found.notes:
        out.print(Plain(note, style="dim"))
    # what was chosen or averaged for a group is said beside its number
    fitted: dict[str, list[str]] = {}
    for labels, result in groups:
        if not isinstance(result, str) and result.scope:
            fitted.setdefault(result.scope, []).append(", ".join(map(shortened, labels.values())))
    for scope, names in fitted.items():
        out.print(Plain(scope if len(names) == len(groups) else f"{shortlist(names)}: {scope}"))


def _show(result: FitResult, *, quiet: bool, windows: bool, methods: bool, explain: bool) -> None:
    """Print the answer, and what else is asked for."""
    from rich.text import Text as Plain

    from cogfit.show import tables

    out = console()
    out.print(Plain(result.headline(), style="bold"))
    if not quiet:
        _show_details(out, result)
    if windows:
        out.print()
        out.print(tables.to_terminal(tables.windows_table(result)))
    if explain:
        for item in result.explain():
            out.print(Plain(f"\n{item}"))
    if methods:
        out.print("\n" + result.methods(), markup=False)


def _show_details(out: Any, result: FitResult) -> None:
    """Print findings, provenance, forms, parameters and warnings."""
    from rich.text import Text as Plain

    from cogfit.show import tables

    for finding in result.findings:
        out.print(Plain(f"  · {finding}"))
    source = result.source
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in source["rows_dropped"].items())
    left_out = f"; left out: {dropped}" if dropped else ""
    used = f", {source['rows_used']:,} used" if dropped and "rows_used" in source else ""
    out.print(Plain(f"\n{source['path']} ({source['format']}): {source['rows_read']:,} rows read{used}{left_out}"))
    for note in source["notes"]:
        out.print(Plain(f"  {note}"))
    out.print(
        Plain(
            f"{result.n:,} points ({result.n_effective:,.0f} effective) · {result.axis} axis: {result.convention} · "
            f"{result.noise} noise"
        )
    )
    out.print()
    if result.audit is not None:
        print_table(out, tables.to_terminal(tables.audit_table(result.audit)))
        out.print()
    forms = tables.forms_table(result).at_width(out.width)
    out.print(tables.to_terminal(forms))
    for note in filter(None, (forms.footnote, *forms.notes)):
        out.print(Plain(note, style="dim"))
    out.print()
    out.print(tables.to_terminal(tables.parameters_table(result)))
    warn(result.warnings)

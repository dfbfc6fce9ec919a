"""``cogfit fit``: a log, its tables and its pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import Number, ProgressBars, Text, console, print_text, warn

if TYPE_CHECKING:
    from cogfit.logs.model import Log
    from cogfit.result import FitResult

HELP = """Fit γ from a training log (a file or a folder) and say what the data support.

Reads CSV/TSV, JSON lines, Parquet, TensorBoard, Hugging Face trainer_state.json, Lightning metrics.csv, W&B CSV
exports and MLflow sqlite files; .gz and .zst, too. Format and columns are recognised.

[bold]Examples[/bold]

  cogfit fit runs/seed0                                   every form, verdict, interval

  cogfit fit metrics.csv --y train/attn_util --x-min 400  a column of your own, warm-up left out

  cogfit fit routing.parquet --convention updates --json fit.json --plot fit.pdf

  cogfit fit runs/ --by run                               one fit per run

  cogfit fit metrics.csv --smoothing 0.9 --windows        a logged moving average is undone; γ over windows of x

  cogfit fit runs/seed0 --thorough --diagnostics more.png
"""


def fit(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="File or folder.", show_default=False)],
    form: Annotated[Text, typer.Option(help="Fit this form only, e.g. power_floor.")] = None,
    noise: Annotated[str, typer.Option(help="auto, gaussian, lognormal or binomial.")] = "auto",
    level: Annotated[float, typer.Option(help="Confidence level of the intervals.")] = 0.95,
    x: Annotated[Text, typer.Option("--x", help="Column of steps.")] = None,
    y: Annotated[Text, typer.Option("--y", help="Column to fit.")] = None,
    pattern: Annotated[Text, typer.Option(help="Column that names the pattern (routing logs).")] = None,
    run: Annotated[Text, typer.Option(help="Column that names the run.")] = None,
    log_format: Annotated[Text, typer.Option("--format", help="Read the log as this format.")] = None,
    by: Annotated[Text, typer.Option(help="Fit each separately: run, layer, head, pattern (comma-separated).")] = None,
    outcome: Annotated[str, typer.Option(help="Routing logs: soft (p_episodic), hard (attended) or auto.")] = "auto",
    convention: Annotated[str, typer.Option(help="What k counts: prior, inclusive or updates.")] = "prior",
    bins: Annotated[Optional[int], typer.Option(help="Bins per decade of k; default: every k.")] = None,  # noqa: UP045
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
    seed: Annotated[int, typer.Option(help="Of the resampling.")] = 0,
    json_file: Annotated[
        Text, typer.Option("--json", help="Write the result as JSON ('-' for standard output).")
    ] = None,
    plot: Annotated[Optional[Path], typer.Option(help="Write a picture: .png, .svg or .pdf.")] = None,  # noqa: UP045
    diagnostics: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Write a picture of the profile of γ, windows, residuals and switch times."),
    ] = None,
    windows: Annotated[bool, typer.Option("--windows", help="Print γ over windows of x.")] = False,
    methods: Annotated[
        bool, typer.Option("--methods", help="Print a paragraph for a paper's methods section.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the headline only.")] = False,
) -> None:
    """Fit a log; the help text is HELP."""
    decay = _smoothing(smoothing)
    check_outputs(log, json_file, plot, diagnostics)
    from cogfit import fitting
    from cogfit.errors import InputError
    from cogfit.logs import read_log
    from cogfit.logs.splitting import split

    if by is not None and not (plot is None and diagnostics is None):
        raise InputError("--plot draws one fit and --by makes several", hint="leave one of them out")
    with ProgressBars() as progress:
        table = read_log(log, format=log_format, x=x, y=y, pattern=pattern, run=run, progress=progress.stage("reading"))

        def one(part: Log) -> FitResult:
            return fitting.fit(
                part, form=form, noise=noise, level=level, rng=seed, outcome=outcome, convention=convention,  # type: ignore[arg-type]
                x_min=x_min, x_max=x_max, bins=bins, axis=axis, smoothing=decay, thorough=thorough,
                schedule=_names(schedule), progress=progress.stage("fitting"),
            )  # fmt: skip

        results: list[tuple[dict[str, str], FitResult | str]] = []
        if by is None:
            results.append(({}, one(table)))
        else:
            parts = list(split(table, _names(by)))
            for number, (labels, part) in enumerate(parts):
                progress.report(number, len(parts), "curves")
                results.append((labels, _tolerant(one, part)))
    _write_fits(results, by, json_file, plot, diagnostics)
    if json_file != "-":
        _show_fits(results, by, quiet, methods, windows)
        if by is not None:
            warn((*table.warnings, *fitting.other_kind(table)))


def _names(text: str | None) -> tuple[str, ...]:
    """Split names at commas."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def _smoothing(text: str | None) -> Any:
    from cogfit.errors import InputError

    if text is None or text == "unknown":
        return text
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--smoothing '{text}' is neither a decay, 0 to 1, nor 'unknown'") from None


def _tolerant(one: Callable[[Log], FitResult], part: Log) -> FitResult | str:
    """A group that cannot be fitted is a row with a reason; the others go on."""
    from cogfit.errors import InputError

    try:
        return one(part)
    except InputError as error:
        return str(error)


def _write_fits(
    results: list[tuple[dict[str, str], FitResult | str]],
    by: str | None,
    json_file: str | None,
    plot: Path | None,
    diagnostics: Path | None,
) -> None:
    from cogfit.files import write_atomic
    from cogfit.records.codec import dump
    from cogfit.result import FitResult

    if json_file is not None:
        if by is None:
            only = results[0][1]
            assert isinstance(only, FitResult)
            document = only.to_json()
        else:
            document = {
                "schema": "cogfit.fits/1",
                "by": by.split(","),
                "fits": [
                    {"labels": labels, **({"error": r} if isinstance(r, str) else {"fit": r.to_json()})}
                    for labels, r in results
                ],
            }
        text = dump(document)
        if json_file == "-":
            print_text(text)
        else:
            write_atomic(json_file, text)
    for target, draw in ((plot, "plot"), (diagnostics, "plot_diagnostics")):
        if target is not None:
            from cogfit.show.plots import save_figure

            only = results[0][1]
            assert isinstance(only, FitResult)
            save_figure(getattr(only, draw)(), target)


def _show_fits(
    results: list[tuple[dict[str, str], FitResult | str]], by: str | None, quiet: bool, methods: bool, windows: bool
) -> None:
    from cogfit.show import tables

    out = console()
    if by is None:
        only = results[0][1]
        assert not isinstance(only, str)
        _show_one(out, only, quiet)
        if windows:
            out.print()
            out.print(tables.to_terminal(tables.windows_table(only)))
        if methods:
            out.print("\n" + only.methods(), markup=False)
        return
    out.print(tables.to_terminal(tables.groups_table(results)))


def _show_one(out: Any, result: FitResult, quiet: bool) -> None:
    from rich.text import Text as Plain

    from cogfit.show import tables

    out.print(Plain(result.headline(), style="bold"))
    if quiet:
        return
    for finding in result.findings:
        out.print(Plain(f"  · {finding}"))
    source = result.source
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in source["rows_dropped"].items())
    out.print(Plain(f"\n{source['path']} ({source['format']}): {source['rows_read']:,} rows read"
                        + (f"; left out: {dropped}" if dropped else "")))  # fmt: skip
    for note in source["notes"]:
        out.print(Plain(f"  {note}"))
    out.print(
        Plain(
            f"{result.n:,} points ({result.n_effective:,.0f} effective) · {result.axis} axis: {result.convention} · "
            f"{result.noise} noise"
        )
    )
    out.print()
    forms = tables.forms_table(result).at_width(out.width)
    out.print(tables.to_terminal(forms))
    if forms.footnote:
        out.print(Plain(forms.footnote, style="dim"))
    out.print()
    out.print(tables.to_terminal(tables.parameters_table(result)))
    warn(result.warnings)

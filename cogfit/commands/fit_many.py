"""``cogfit fit-many``: many curves, one row each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    split_names,
    warn,
)

if TYPE_CHECKING:
    import pandas as pd

    from cogfit.logs.model import Log
    from cogfit.many.batch import Options

HELP = """Fit every curve of a log, or of a tidy table of any size; one row for each, with status and reason.

Interrupted (Ctrl-C, a crash), the same command goes on where it stopped.

[bold]Examples[/bold]

  cogfit fit-many runs/ --out fits.parquet                                  one curve per run, layer and head

  cogfit fit-many routing.parquet --by layer,head,pattern --out fits.csv

  cogfit fit-many curves/ --table --by subject,task --x trial --y rt --out fits/

  cogfit fit-many curves.parquet --table --all-forms --out fits.parquet --plot gamma.pdf

  cogfit fit-many curves/ --table --out fits/ --scheduler tcp://10.0.0.1:8786
"""


def fit_many(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Log, or with --table a tidy table: file or folder.")],
    out: Annotated[Path, typer.Option(help="A .parquet or .csv file, or a folder for one Parquet file per part.")],
    table: Annotated[
        bool, typer.Option("--table", help="PATH is a tidy table (Parquet or CSV), one row per point.")
    ] = False,
    by: Annotated[
        Text, typer.Option(help="What tells curves apart: run, layer, head, pattern; or columns (comma-separated).")
    ] = None,
    x: Annotated[Text, typer.Option("--x", help="Column of x; tables: 'x' by default.")] = None,
    y: Annotated[Text, typer.Option("--y", help="Column to fit; tables: 'y' by default.")] = None,
    weights: Annotated[Text, typer.Option(help="Column of weights (tables).")] = None,
    trials: Annotated[Text, typer.Option(help="Column with numbers of trials (tables).")] = None,
    form: Annotated[str, typer.Option(help="Form to fit; several (comma-separated): the best is reported.")] = (
        "power_floor"
    ),
    all_forms: Annotated[bool, typer.Option("--all-forms", help="Fit all forms, report the best.")] = False,
    verdicts: Annotated[
        bool, typer.Option("--verdicts", help="Rule on the power law as cogfit fit does; tenths of a second a curve.")
    ] = False,
    noise: Annotated[str, typer.Option(help="gaussian (fast), lognormal, binomial, or auto: per curve.")] = "gaussian",
    drop_missing: Annotated[
        bool, typer.Option("--drop-missing", help="NaN in y is a point that is not there, not a failed curve.")
    ] = False,
    level: options.Level = 0.95,
    axis: options.Axis = None,
    measure: options.Measure = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda (needs torch).")] = "cpu",
    memory: Annotated[float, typer.Option(help="Memory for the rows of one part, in GB (tables).")] = 1.0,
    scheduler: Annotated[Text, typer.Option(help="Address of a Dask scheduler (tables).")] = None,
    seed: options.Seed = 0,
    plot: options.Plot = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no summary.")] = False,
) -> None:
    """Fit many curves: the command, described by HELP."""
    from cogfit.many import streaming
    from cogfit.many.batch import Options

    _check_files(path, out, plot)
    _check_memory_and_table(memory, table, weights, trials, scheduler)
    forms = None if all_forms or verdicts else split_names(form)
    missing = "drop" if drop_missing else "fail"
    asked = Options(forms, noise, verdicts, missing, axis, measure, level, seed, device)
    # a table is planned from its number of rows alone, a log is read whole
    with ProgressBars() as progress:
        warnings: tuple[str, ...] = ()
        if table:
            from cogfit.many.collection import Columns

            columns = Columns(split_names(by) or ("curve",), x or "x", y or "y", weights, trials)
            plan, collection = streaming.plan_table(path, columns, asked, memory * 1e9), None
        else:
            plan, collection, warnings = _plan_log(path, asked, split_names(by), x, y, progress)
        streaming.run(plan, out, collection=collection, scheduler=scheduler, report=progress.report)
    # picture and summary are made from what was written
    results = streaming.read(out)
    if plot is not None:
        from cogfit.show.plots import plot_exponents, save_figure

        save_figure(plot_exponents(results), plot)
    if not quiet:
        _show(results, out)
        warn(warnings)


def _check_files(path: Path, out: Path, plot: Path | None) -> None:
    """Refuse outputs that cannot be written.

    Nor may they overwrite the input.
    """
    from cogfit.errors import InputError

    check_outputs(path, None, plot, schemas=())
    if not out.absolute().parent.is_dir():  # `out` may be a folder of parts, which no other output may
        raise InputError("the folder does not exist", path=out.absolute().parent, hint="create it first")
    if out.exists() and path.exists() and (out.samefile(path) or path.resolve() in out.resolve().parents):
        raise InputError("is or lies in the input", path=out, hint="name another output")


def _check_memory_and_table(memory: float, table: bool, *of_tables: str | None) -> None:
    """Refuse what has no meaning, or none without a table."""
    from cogfit.errors import InputError

    if not table and any(of_tables):
        raise InputError("--weights, --trials and --scheduler go with --table")
    if memory <= 0:
        raise InputError(f"--memory must be positive, not {memory:g}")


def _plan_log(
    path: Path, options: Options, by: tuple[str, ...], x: str | None, y: str | None, progress: ProgressBars
) -> tuple[Any, Any, tuple[str, ...]]:
    from cogfit.logs import read_log
    from cogfit.many import streaming
    from cogfit.many.collection import from_log

    log = read_log(path, x=x, y=y, progress=progress.stage("reading"))
    collection = from_log(log, by or None)
    plan = streaming.plan_log(collection, path, options, {"by": list(by), "x": x, "y": y})
    return plan, collection, (*_choices(log, by), *log.warnings)


def _choices(log: Log, by: tuple[str, ...]) -> list[str]:
    """What of the log is fitted, where it holds more than the parts that it is split into."""
    from dataclasses import asdict

    from cogfit.result import choice_in_words

    table = log.routing or log.utilization
    if table is None or not by:
        return []
    taken = {*by, *({"training"} if "run" in by else ())}
    chosen = [choice for choice in table.source.choices if choice.kind not in taken]
    return [f"fitted: {choice_in_words(asdict(choice))}" for choice in chosen]


def _show(results: pd.DataFrame, out: Path) -> None:
    """Summary: how the curves ended, the exponents, the verdicts."""
    from rich.text import Text as Plain

    shown = console()
    shown.print(Plain(f"{len(results):,} curves -> {out}", style="bold"))
    table = new_table(("status", "curves", "most frequent reason"), wrapped=["most frequent reason"])
    for status, count in results["status"].value_counts().items():
        reasons = results.loc[results["status"] == status, "reason"].value_counts()
        text = f"{reasons.index[0]} ({reasons.iloc[0]:,})" if len(reasons) and reasons.index[0] else ""
        add_rows(table, (str(status).replace("_", " "), f"{count:,}", text))
    print_table(shown, table)
    for column, title in (("verdict", "power law"), ("form", "form")):
        if column in results and results[column].nunique() > 1:
            counts = results[column].replace("", "not fitted").value_counts()
            listed = ", ".join(f"{str(key).replace('_', ' ')} {count:,}" for key, count in counts.items())
            shown.print(Plain(f"{title}: {listed}"))
    if "gamma" in results:
        gamma = results.loc[results["status"] == "ok", "gamma"].dropna()
        if len(gamma):
            shares = (0.05, 0.25, 0.5, 0.75, 0.95)
            text = ", ".join(f"{share:.0%} {gamma.quantile(share):.3g}" for share in shares)
            shown.print(Plain(f"γ of the {len(gamma):,} curves that determine it, quantiles: {text}"))

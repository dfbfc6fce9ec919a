"""The command line: ``cogfit fit``, ``cogfit simulate``, ``cogfit cite``. Heavy imports live inside the commands."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

if TYPE_CHECKING:
    from cogfit.logs.model import Log
    from cogfit.result import FitResult, FormFit

app = typer.Typer(
    name="cogfit",
    help="Estimate power-law exponents γ from training logs, and say whether the data support a power law at all.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_FIT_HELP = """Fit γ from a training log (a file or a folder) and say what the data support.

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


def _version(show: bool) -> None:
    if show:
        import cogfit

        print(f"cogfit {cogfit.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    return None


Text = Optional[str]  # noqa: UP045 - typer evaluates the annotation at run time
Number = Optional[float]  # noqa: UP045


@app.command(help=_FIT_HELP)
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
    """Fit a log; the help text is _FIT_HELP."""
    decay = _smoothing(smoothing)
    for target in (plot, diagnostics):
        _check_outputs(log, json_file, target, by)
    from cogfit import api
    from cogfit.logs import read_log
    from cogfit.observed import split

    with _Progress() as progress:
        table = read_log(log, format=log_format, x=x, y=y, pattern=pattern, run=run, progress=progress.bytes)

        def one(part: Log) -> FitResult:
            return api.fit(
                part, form=form, noise=noise, level=level, rng=seed, outcome=outcome, convention=convention,  # type: ignore[arg-type]
                x_min=x_min, x_max=x_max, bins=bins, axis=axis, smoothing=decay, thorough=thorough,
                schedule=_names(schedule), progress=progress.forms,
            )  # fmt: skip

        results: list[tuple[dict[str, str], FitResult | str]] = []
        if by is None:
            results.append(({}, one(table)))
        else:
            parts = list(split(table, _names(by)))
            for number, (labels, part) in enumerate(parts):
                progress.parts(number, len(parts))
                results.append((labels, _tolerant(one, part)))
    _write_fits(results, by, json_file, plot, diagnostics)
    if json_file != "-":
        _show_fits(results, by, quiet, methods, windows)
        if by is not None:
            _warn((*table.warnings, *api.other_kind(table)))


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


def _check_outputs(log: Path, json_file: str | None, plot: Path | None, by: str | None) -> None:
    """Refuse outputs that cannot be, or that would destroy the input, before the work and not after it."""
    from cogfit.errors import InputError

    if plot is not None and plot.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"'{plot}' names no picture format", hint="use .png, .svg or .pdf")
    if plot is not None and by is not None:
        raise InputError("--plot draws one fit and --by makes several", hint="leave one of them out")
    if json_file == "":
        raise InputError("--json names no file", hint="give a file, or - for standard output")
    for target in (plot, Path(json_file) if json_file not in (None, "-") else None):
        if target is None:
            continue
        if not target.parent.is_dir():
            raise InputError("the folder does not exist", path=target.parent, hint="create it first")
        if target.is_dir():
            raise InputError("is a folder, not a file", path=target, hint="name a file in it")
        if target.exists() and log.exists() and target.samefile(log):
            raise InputError("is the log itself", path=target, hint="name another file for the output")
        if log.is_dir() and target.is_file() and target.resolve().is_relative_to(log.resolve()) and not _ours(target):
            hint = "name another file for the output"
            raise InputError("is a file of the log's folder that cogfit did not write", path=target, hint=hint)


def _ours(path: Path) -> bool:
    """Whether a file is a picture or a result of an earlier call."""
    with open(path, "rb") as file:
        head = file.read(200)
    return path.suffix.lower() in (".png", ".svg", ".pdf") or b'"schema": "cogfit.' in head


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
    from cogfit.result import FitResult, dump

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
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            write_atomic(json_file, text)
    for target, draw in ((plot, "plot"), (diagnostics, "plot_diagnostics")):
        if target is not None:
            from cogfit.plots import save_figure

            only = results[0][1]
            assert isinstance(only, FitResult)
            save_figure(getattr(only, draw)(), target)


def _show_fits(
    results: list[tuple[dict[str, str], FitResult | str]], by: str | None, quiet: bool, methods: bool, windows: bool
) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    if by is None:
        only = results[0][1]
        assert not isinstance(only, str)
        _show_one(console, only, quiet)
        if windows:
            console.print()
            console.print(_windows_table(only))
        if methods:
            console.print("\n" + only.methods(), markup=False)
        return
    console.print(_groups_table(results))


def _show_one(console: Any, result: FitResult, quiet: bool) -> None:
    from rich.text import Text as Plain

    console.print(Plain(result.headline(), style="bold"))
    if quiet:
        return
    for finding in result.findings:
        console.print(Plain(f"  · {finding}"))
    source = result.source
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in source["rows_dropped"].items())
    console.print(Plain(f"\n{source['path']} ({source['format']}): {source['rows_read']:,} rows read"
                        + (f"; left out: {dropped}" if dropped else "")))  # fmt: skip
    for note in source["notes"]:
        console.print(Plain(f"  {note}"))
    console.print(
        Plain(
            f"{result.n:,} points ({result.n_effective:,.0f} effective) · {result.axis} axis: {result.convention} · "
            f"{result.noise} noise"
        )
    )
    console.print()
    console.print(_forms_table(result, console.width))
    if console.width < _STATUS_WIDTH and any(item.estimate.status != "ok" for item in result.forms):
        console.print(Plain("* not fully determined, or at a bound; a wider terminal shows more", style="dim"))
    console.print()
    console.print(_parameters_table(result))
    _warn(result.warnings)


def _warn(warnings: tuple[str, ...]) -> None:
    from rich.console import Console
    from rich.text import Text as Plain

    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    for warning in warnings:
        console.print(Plain(f"warning: {warning}", style="yellow"))


_STATUS_WIDTH, _REASON_WIDTH = 96, 120  # of the terminal from which status and reason have a column


def _forms_table(result: FitResult, width: int) -> Any:
    from rich.table import Table

    from cogfit.result import format_interval

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("form", no_wrap=True)
    table.add_column("γ", justify="right", no_wrap=True)
    table.add_column(f"{result.level:.0%} interval", no_wrap=True)
    table.add_column("ΔAICc", justify="right", no_wrap=True)
    tested = any(item.test is not None for item in result.forms)
    if tested:
        table.add_column("p", justify="right", no_wrap=True)
    if width >= _STATUS_WIDTH:
        table.add_column("status", no_wrap=True)
    if width >= _REASON_WIDTH:
        table.add_column("why", no_wrap=True)
    for item in result.forms:
        mark = "→ " if item.name == result.form else "  "
        star = " *" if width < _STATUS_WIDTH and item.estimate.status != "ok" else ""
        limits = item.intervals.get(item.gamma_name or "")
        row = [
            mark + item.title + star,
            "–" if item.gamma is None else f"{item.gamma:.3f}",
            "–" if item.gamma is None or limits is None else format_interval((limits.low, limits.high)),
            "–" if item.delta_aicc == float("inf") else f"{item.delta_aicc:,.1f}",
            *([_p_value(item)] if tested else []),
        ]
        if width >= _STATUS_WIDTH:
            row.append(item.estimate.status.replace("_", " "))
        if width >= _REASON_WIDTH:
            row.append(item.estimate.reason)
        table.add_row(*row)
    return table


def _p_value(item: FormFit) -> str:
    """p-value of a form; in brackets where it is refused."""
    from cogfit.selection import REFUTED

    if item.test is None:
        return "–"
    text = f"{item.test.p_value:.2g}"
    return text if item.test.p_value > REFUTED else f"({text})"


def _windows_table(result: FitResult) -> Any:
    from rich.table import Table

    from cogfit.result import format_interval

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("from", "to", "points", "γ of the power law"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(f"{result.level:.0%} interval", no_wrap=True)
    for window in result.windows:
        table.add_row(
            f"{window.x_min:,.6g}", f"{window.x_max:,.6g}", f"{window.n:,}", f"{window.gamma:.3f}",
            format_interval((window.low, window.high)),
        )  # fmt: skip
    return table


def _parameters_table(result: FitResult) -> Any:
    from rich.table import Table

    from cogfit.result import format_interval

    item = result.selected
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(item.title, no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column(f"{result.level:.0%} interval", no_wrap=True)
    table.add_column("meaning")
    for name, value in item.estimate.params.items():
        limits = item.intervals.get(name)
        shown = "–" if limits is None else format_interval((limits.low, limits.high))
        table.add_row(f"  {name}", f"{value:.5g}", shown, item.meanings[name])
    return table


def _groups_table(results: list[tuple[dict[str, str], FitResult | str]]) -> Any:
    from rich.table import Table

    from cogfit.result import format_interval

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in results[0][0]:
        table.add_column(name)
    for name in ("power law", "form", "γ", "interval", "points"):
        table.add_column(name)
    for labels, result in results:
        if isinstance(result, str):
            table.add_row(*labels.values(), f"not fitted: {result}", "", "", "", "")
            continue
        table.add_row(
            *labels.values(), str(result.verdict), result.selected.title,
            "–" if result.gamma is None else f"{result.gamma:.3f}",
            "–" if result.interval is None else format_interval(result.interval), f"{result.n:,}",
        )  # fmt: skip
    return table


_SIMULATE_HELP = """Write a log whose form and exponent are known.

[bold]Examples[/bold]

  cogfit simulate truth.csv --param gamma=0.43 --noise lognormal --sigma 0.1

  cogfit simulate truth.jsonl --form exponential_floor --param r=0.02 --param c=0.1 --rho 0.9

  cogfit simulate truth.parquet --kind routing --patterns 100 --n 500

  cogfit simulate events/ --format tensorboard
"""


@app.command(help=_SIMULATE_HELP)
def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File (.csv .tsv .jsonl .parquet) or folder.")],
    form: Annotated[str, typer.Option(help="Form of the truth.")] = "power",
    param: Annotated[Optional[list[str]], typer.Option(help="name=value, repeatable.")] = None,  # noqa: UP045
    n: Annotated[int, typer.Option(help="Points, or presentations of each pattern.")] = 300,
    kind: Annotated[str, typer.Option(help="utilization or routing.")] = "utilization",
    noise: Annotated[str, typer.Option(help="gaussian, lognormal or binomial.")] = "gaussian",
    sigma: Annotated[float, typer.Option(help="SD of the errors.")] = 0.01,
    rho: Annotated[float, typer.Option(help="Their lag-1 autocorrelation.")] = 0.0,
    trials: Annotated[int, typer.Option(help="Outcomes a step, for binomial noise.")] = 100,
    patterns: Annotated[int, typer.Option(help="Patterns of a routing log.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the random numbers.")] = 0,
    log_format: Annotated[Text, typer.Option("--format", help="csv, jsonl, parquet or tensorboard.")] = None,
) -> None:
    """Write a simulated log; the help text is _SIMULATE_HELP."""
    from cogfit import curves, simulation
    from cogfit.errors import InputError
    from cogfit.logs.export import write_log

    params = {}
    for item in param or []:
        name, _, value = item.partition("=")
        try:
            params[name.strip()] = float(value)
        except ValueError:
            raise InputError(f"--param '{item}' is not name=value", hint="write --param gamma=0.43") from None
    frame = simulation.simulate(
        form,
        params,
        n=n,
        kind=kind,
        noise=noise,
        sigma=sigma,
        rho=rho,
        trials=trials,
        patterns=patterns,
        rng=seed,
    )
    written = write_log(frame, out, log_format)
    truth = {**simulation.default_params(curves.get(form)), **params}
    shown = ", ".join(f"{key} = {value:g}" for key, value in truth.items())
    print(f"{out} ({written}): {len(frame):,} rows of {form}, {shown}")


@app.command()
def cite() -> None:
    """Print how to cite this package and the papers it examines."""
    import cogfit

    print(
        f"""cogfit {cogfit.__version__}

@software{{cogfit,
  author  = {{{{The cogfit developers}}}},
  title   = {{cogfit: honest power-law exponents from training logs, beside human memory data}},
  version = {{{cogfit.__version__}}},
  year    = {{2026}}
}}

Papers examined:
  Shihab, Akter, Sharma 2026. Learning to Forget Attention: Memory Consolidation for Adaptive Compute Reduction.
    arXiv:2602.12204
  Rafiuddin, Khan 2025. Learning What to Remember: Adaptive Probabilistic Memory Retention for Memory-Efficient
    Language Models. Findings of EMNLP 2025, 3969–3981. arXiv:2510.08798"""
    )


class _Progress:
    """Progress bars on standard error, for a person at a terminal, when the work takes more than a second."""

    DELAY = 1.0

    def __init__(self) -> None:
        import threading

        self._lock = threading.Lock()
        self._state: dict[str, tuple[int, int]] = {}
        self._tasks: dict[str, Any] = {}
        self._bar: Any = None
        self._timer = threading.Timer(self.DELAY, self._show)
        self._timer.daemon = True

    def __enter__(self) -> _Progress:
        if sys.stderr.isatty():
            self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        with self._lock:
            if self._bar is not None:
                self._bar.stop()

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import Progress

        bar = Progress(console=Console(stderr=True), transient=True)
        with self._lock:
            self._bar = bar
            bar.start()
            for task, (done, total) in self._state.items():
                self._tasks[task] = bar.add_task(task, completed=done, total=total)

    def _update(self, task: str, done: int, total: int) -> None:
        if _Interrupt.seen:
            raise KeyboardInterrupt
        with self._lock:
            self._state[task] = (done, total)
            if self._bar is None:
                return
            if task not in self._tasks:
                self._tasks[task] = self._bar.add_task(task, total=total)
            self._bar.update(self._tasks[task], completed=done, total=total)

    def bytes(self, done: int, total: int) -> None:
        self._update("reading", done, total)

    def parts(self, done: int, total: int) -> None:
        self._update("curves", done, total)

    def forms(self, done: int, total: int, name: str) -> None:
        self._update("fitting", done, total)


class _Interrupt:
    """Remembers Ctrl-C: one that falls into a foreign callback (a compiler's, say) is swallowed there."""

    seen = False

    @classmethod
    def handle(cls, *_: object) -> None:
        cls.seen = True
        raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 done, 2 bad input, 1 internal error, 130 interrupted."""
    import signal
    import threading

    from cogfit.errors import CogfitError

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _Interrupt.handle)
    try:
        code = app(args=arguments, standalone_mode=False)
        if code == 130:  # typer turns Ctrl-C into this code
            print("cogfit: interrupted", file=sys.stderr)
        return code if isinstance(code, int) else 0
    except CogfitError as error:
        print(f"cogfit: {error}", file=sys.stderr)
        return error.exit_code
    except typer.Abort:
        print("cogfit: interrupted", file=sys.stderr)
        return 130
    except typer.TyperException as error:
        show = getattr(error, "show", None)  # usage errors know how to print themselves, with a pointer to --help
        print(f"cogfit: {error}", file=sys.stderr) if show is None else show()
        return 2
    except KeyboardInterrupt:
        print("cogfit: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away: nothing more to say, and no complaint at exit
        return 0
    except Exception as error:
        import os

        if os.environ.get("COGFIT_DEBUG"):
            raise
        print(
            f"cogfit: internal error ({type(error).__name__}: {error}); set COGFIT_DEBUG=1 for the traceback and "
            "please report it",
            file=sys.stderr,
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())

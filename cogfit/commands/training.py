"""``cogfit theory train`` and ``runs``: train on SRCD, show records."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogfit.commands import options
from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import (
    ProgressBars,
    Text,
    console,
    new_table,
    print_error,
    print_table,
    print_text,
    write_json,
)

if TYPE_CHECKING:
    from theory.training.evaluation import Measures
    from theory.training.runs import Record
    from theory.training.setup import Setup

TRAIN_HELP = """Train a model on SRCD, the task of the CRAM paper, and log its routing for [bold]cogfit fit[/bold].

CONFIG is a TOML file or a shipped configuration ([bold]--list[/bold] names them). \
Stop it at any time, with Ctrl-C or SIGTERM: it saves a checkpoint, and the same command goes on from there. \
Several seeds or settings go into folders of their own, side by side.

[bold]Examples[/bold]

  cogfit theory train cram-n256                             the headline, into runs/cram-n256

  cogfit fit runs/cram-n256                                 what its γ is worth

  cogfit theory train cram-n256 --seeds 0-4                 five seeds, one process each

  cogfit theory train cram-n256 --set training.slow_rate=3e-3 --out runs/fast

  cogfit theory train cram-n256 --vary model.lambda_episodic=[0.2,0.35,0.5] --seeds 0-2

  cogfit theory train small.toml --seeds 0-63 --ensemble    64 models in one stack
"""

RUNS_HELP = """Table of recorded runs: accuracy, attention before and after, each seed and mean ± SD.

Without FOLDER, those that come with the package. At the end a run has converged; or it is still climbing: the \
forecast of its accuracy gains a point from twice the streams, or a point cannot be excluded; or it is on the plateau \
where novel patterns are guessed; or it fell back by ten points.

[bold]Examples[/bold]

  cogfit theory runs

  cogfit theory runs runs/cram-n256 --json -

  cogfit theory runs --markdown                             as it stands in the documentation

  cogfit theory runs runs/mamba-n256-equal --plot a.png     accuracy against streams
"""

_DIGITS, _MOST_SEEDS = 10, 10_000  # of a seed, and in one range: each is a run of its own

RUNS_SCHEMA = "theory.runs/1"


@dataclass(frozen=True)
class _Variants:
    """Settings of several runs.

    Attributes
    ----------
    fixed : dict
        Changes that all runs have.
    varied : list of dict
        Changes of each variant.
    seeds : list of int or None
        For each variant; None: that of the configuration.
    """

    fixed: dict[str, Any]
    varied: list[dict[str, Any]]
    seeds: list[int | None]


def train(
    config: Annotated[
        str | None, typer.Argument(metavar="CONFIG", help="TOML file or name.", show_default=False)
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as training.steps=500; repeatable."),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option("--vary", metavar="KEY=[A,B]", help="One run for each of these values; repeatable: all pairs."),
    ] = None,
    seeds: Annotated[Text, typer.Option(help="Seeds such as 0-4 or 1,3,5.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder. Default: runs/CONFIG.", show_default=False)] = None,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="One stack for all runs, even where processes would be faster.")
    ] = False,
    workers: options.Workers = None,
    device: options.Device = "auto",
    show: Annotated[bool, typer.Option("--list", help="Name the shipped configurations and leave.")] = False,
) -> None:
    """Train (its help text is TRAIN_HELP)."""
    from cogfit.errors import InputError
    from cogfit.planning.simulation import checked_workers
    from theory.settings import shipped

    if show:
        print_text("\n".join(shipped()) + "\n")
        return
    if config is None:
        raise InputError("no configuration is named", hint="one of " + ", ".join(shipped()))
    variants = _Variants(fixed=parse_settings(changes or []), seeds=_seeds(seeds), varied=_variants(vary or []))
    _check_variants(variants)
    jobs = _jobs(config, variants, out or Path("runs") / Path(config).stem)
    workers = None if workers is None else checked_workers(workers)
    _train(jobs, device=device, ensemble=ensemble, workers=workers)
    from theory.training.runs import load_record

    _show([load_record(folder) for folder, _ in jobs])
    print_text(f"\nNext: cogfit fit {jobs[0][0]}\n")


def _jobs(config: str, variants: _Variants, root: Path) -> list[tuple[Path, Setup]]:
    """Folder and setup of each run."""
    from theory.training.setup import load_setup

    jobs = []
    for changes in variants.varied:
        folder = root / _name(changes) if changes else root
        for seed in variants.seeds:
            seeded = {} if seed is None else {"training.seed": seed}
            place = folder if seed is None else folder / f"seed{seed}"
            jobs.append((place, load_setup(config, {**variants.fixed, **changes, **seeded})))
    return jobs


def _train(jobs: Sequence[tuple[Path, Setup]], *, device: str, ensemble: bool, workers: int | None) -> None:
    """Train one run with reports, or several at once."""
    from cogfit.errors import InterruptedWork
    from theory.training.stopping import Stopped

    try:
        _train_jobs(jobs, device=device, ensemble=ensemble, workers=workers)
    except Stopped as stopped:
        message = f"{stopped}; everything is saved, and the same command goes on from there"
        raise InterruptedWork(message, stopped.exit_code) from None


def _train_jobs(jobs: Sequence[tuple[Path, Setup]], *, device: str, ensemble: bool, workers: int | None) -> None:
    from theory.training.ensemble import train_many
    from theory.training.loop import train as train_one

    with ProgressBars(has_lines=True) as progress:
        if len(jobs) == 1:
            folder, setup = jobs[0]

            def watch(done: int, total: int, measures: Measures | None) -> None:
                progress.report(done, total, "training")
                if measures is not None:
                    _line(done, measures)

            train_one(setup, folder, device=device, watch=watch)
        else:
            train_many(
                [setup for _, setup in jobs],
                [folder for folder, _ in jobs],
                how="stacked" if ensemble else "auto",
                device=device,
                workers=workers,
                watch=lambda name, done, total, _: progress.report(done, total, name),
            )


def runs(
    folder: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FOLDER]...", help="Runs, or folders of runs.", show_default=False),
    ] = None,
    markdown: options.Markdown = False,
    json_file: options.JsonFile = None,
    plot: options.Plot = None,
) -> None:
    """Show recorded runs (its help text is RUNS_HELP)."""
    from cogfit.files import data_dir
    from cogfit.show.tables import to_markdown
    from theory.training.convergence import ending
    from theory.training.runs import find_records, format_table, table, unfinished

    # a folder that is named twice, or lies in another one, counts once
    places = list({place.resolve(): place for place in folder or [data_dir() / "runs"]}.values())
    check_outputs([Path(), *places], json_file, plot, schemas=["theory.runs"])
    records = list({record.folder.resolve(): record for place in places for record in find_records(place)}.values())
    if left := sorted({str(run) for place in places for run in unfinished(place)}):
        print_error(f"left out, as {'it is' if len(left) == 1 else 'they are'} not finished: {', '.join(left)}")
    write_json(lambda: _document(records), json_file)
    if plot is not None:
        from cogfit.show.plots import save_figure
        from theory.training.runs_plot import plot_runs

        save_figure(plot_runs(records, {str(record.folder): ending(record) for record in records}), plot)
    if json_file == "-":
        return
    if markdown:
        header, *body = format_table(table(records))
        print_text(to_markdown(header, body, numbers=range(2, len(header))) + "\n")
        return
    _show(records)


def _document(records: Sequence[Record]) -> dict[str, Any]:
    """JSON document of recorded runs, without NaN."""
    from theory.training.runs import table

    rows = table(records).to_dict("records")
    finite = [{str(name): None if value != value else value for name, value in row.items()} for row in rows]
    return {"schema": RUNS_SCHEMA, "runs": finite}


def _show(records: Sequence[Record]) -> None:
    """Print a row for each run, and means in bold."""
    from rich.text import Text as Plain

    from theory.training.runs import format_table, table

    header, *body = format_table(table(records))
    grid = new_table(header[:2], header[2:])
    for row in body:
        grid.add_row(*(Plain(cell, style="bold" if row[1] in ("mean", "SD") else "") for cell in row))
    print_table(console(), grid)


def _line(done: int, measures: Measures) -> None:
    """Print one evaluation, as training goes on."""
    print_text(
        f"step {done:>6}   accuracy {100 * measures.accuracy:6.2f} %   "
        f"attention {100 * measures.attention:6.2f} %   "
        f"(recurring queries that attend {100 * measures.attended_recurring:6.2f} %)   "
        f"dynamics {measures.dynamics_mse:.4f}\n"
    )


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """Read KEY=VALUE with values as in TOML.

    A word without quotes is taken as text.
    """
    from cogfit.errors import InputError

    settings: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key or not value:
            raise InputError(f"'{text}' sets nothing", hint="write KEY=VALUE, such as training.steps=500")
        if key in settings:
            raise InputError(f"'{key}' is given twice", hint="give it once")
        try:
            settings[key] = tomllib.loads(f"x = {value}")["x"]
        except RecursionError:
            raise InputError(f"the value of {key} is nested too deeply") from None
        except ValueError:
            settings[key] = value.strip()
    return settings


def _variants(texts: Sequence[str]) -> list[dict[str, Any]]:
    """All combinations of the values."""
    from cogfit.errors import InputError

    choices: Mapping[str, Any] = parse_settings(texts)
    for key, values in choices.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"--vary needs a list for {key}", hint=f"such as --vary {key}=[0.1,0.2]")
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def _check_variants(variants: _Variants) -> None:
    """Refuse a setting that is given in two ways.

    One of its values would be dropped.
    """
    from cogfit.errors import InputError

    ways = {"--set": set(variants.fixed), "--vary": set(variants.varied[0])}
    ways["--seeds"] = set() if variants.seeds == [None] else {"training.seed"}
    for (one, own), (other, others) in itertools.combinations(ways.items(), 2):
        for key in sorted(own & others):
            raise InputError(f"'{key}' is given twice, by {one} and {other}", hint="give it once")


def _name(variant: Mapping[str, Any]) -> str:
    return ",".join(f"{key.rpartition('.')[2]}={value}" for key, value in variant.items()).replace("/", "-")


def _seeds(text: str | None) -> list[int | None]:
    """Seeds: numbers and ranges such as 0-4, between commas."""
    from cogfit.errors import InputError

    if text is None:
        return [None]
    seeds: list[int | None] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        ends = (first, last) if dash else (first, first)
        if not all(end.isdecimal() and len(end) <= _DIGITS for end in ends) or int(ends[1]) < int(ends[0]):
            raise InputError(f"'{text:.60}' names no seeds", hint="write them as 0-4 or 1,3,5")
        if int(ends[1]) - int(ends[0]) >= _MOST_SEEDS:
            raise InputError(f"'{text:.60}' names too many seeds", hint=f"give {_MOST_SEEDS} at most")
        seeds += range(int(ends[0]), int(ends[1]) + 1)
    return list(dict.fromkeys(seeds))

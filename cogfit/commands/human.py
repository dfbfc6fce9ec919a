"""``cogfit human``: the human data sets, their provenance, numbers and fits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import ProgressBars, Text, console, print_table, print_text, warn

if TYPE_CHECKING:
    from cogfit.people.catalogue import Catalogue
    from cogfit.people.dataset import Dataset
    from cogfit.people.fits import HumanFits, Slope

HELP = """List the human learning and forgetting data, or show one set with its provenance and fits.

[bold]Examples[/bold]

  cogfit human                                            what there is, and what could not be had

  cogfit human ebbinghaus1885_savings                     numbers, provenance, fits

  cogfit human remington2016_latency --plot remington.pdf --json remington.json

  cogfit human my_curve --extra my_data                   a data package of your own
"""

SCHEMA = "cogfit.human/1"


def human(
    id: Annotated[Text, typer.Argument(metavar="[ID]", help="Data set; without it, all are listed.")] = None,
    extra: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="Folder or datapackage.json with data of your own; may be repeated."),
    ] = None,
    fit: Annotated[bool, typer.Option("--fit/--no-fit", help="Whether to fit the data set shown.")] = True,
    level: Annotated[float, typer.Option(help="Confidence level of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Of the resampling.")] = 0,
    json_file: Annotated[
        Text, typer.Option("--json", help="Write everything as JSON ('-' for standard output).")
    ] = None,
    plot: Annotated[Optional[Path], typer.Option(help="Write a picture: .png, .svg or .pdf.")] = None,  # noqa: UP045
) -> None:
    """List or show human data; the help text is HELP."""
    from cogfit.errors import InputError
    from cogfit.people.catalogue import human as catalogue_of

    if not 0.0 < level < 1.0:
        raise InputError(f"--level must lie between 0 and 1, not {level:g}", hint="for 95 % pass --level 0.95")
    catalogue = catalogue_of(extra=extra)
    if id is None:
        if plot is not None:
            raise InputError("--plot draws one data set", hint="name it: cogfit human ID --plot FILE")
        check_outputs(Path(), json_file)
        document = {
            "schema": SCHEMA,
            "datasets": [data.to_json() for data in catalogue.values()],
            "unobtainable": [dict(one.__dict__) for one in catalogue.unobtainable],
        }
        _write(document, json_file)
        if json_file != "-":
            _show_list(catalogue)
        return
    data = catalogue[id]
    check_outputs(data.path.parent, json_file, plot)
    fits = None
    if fit:
        from cogfit.people.fits import fit_human

        with ProgressBars() as progress:
            fits = fit_human(data, level=level, rng=seed, progress=progress.stage("fitting"))
    shown = {**data.to_json(), "rows": data.rows()}
    _write({"schema": SCHEMA, "dataset": shown, "fits": None if fits is None else fits.to_json()}, json_file)
    if plot is not None:
        from cogfit.show.people import plot_human
        from cogfit.show.plots import save_figure

        save_figure(plot_human(data, fits), plot)
    if json_file != "-":
        _show_one(data, fits)


def _write(document: dict[str, Any], json_file: str | None) -> None:
    from cogfit.files import write_atomic
    from cogfit.records.codec import dump

    if json_file == "-":
        print_text(dump(document))
    elif json_file is not None:
        write_atomic(json_file, dump(document))


# ------------------------------------------------------------------------------------------------- all data sets


_TITLE_WIDTH = 130  # of the terminal from which titles have a column


def _show_list(catalogue: Catalogue) -> None:
    from rich.table import Table
    from rich.text import Text as Plain

    from cogfit.people.dataset import AXES

    out = console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("data set", "measure", "level"):
        table.add_column(name, no_wrap=True)
    for name in ("n", "curves"):
        table.add_column(name, justify="right", no_wrap=True)
    wide = out.width >= _TITLE_WIDTH
    if wide:
        table.add_column("title", no_wrap=True)
    rows = catalogue.table().to_dict("records")
    for axis, meaning in AXES.items():
        part = [row for row in rows if row["axis"] == axis]
        if part:
            table.add_row(Plain(meaning, style="italic"))
        for row in part:
            cells = ["  " + row["id"], *(str(row[name]) for name in ("measure", "level", "n", "curves"))]
            table.add_row(*(Plain(cell) for cell in [*cells, *([row["title"]] if wide else [])]))
    print_table(out, table)
    out.print(Plain("\ncogfit human ID shows numbers, provenance and fits of one."))
    if catalogue.unobtainable:
        out.print(Plain("\nKnown, but their values could not be read:", style="bold"))
        for one in catalogue.unobtainable:
            out.print(Plain(f"  {one.title}" + (f" · {one.link}" if one.link else "")))


# -------------------------------------------------------------------------------------------------- one data set


def _show_one(data: Dataset, fits: HumanFits | None) -> None:
    from rich.text import Text as Plain

    from cogfit.people.dataset import CONVENTIONS, KINDS, LEVELS, UNCERTAINTIES, VERIFICATIONS

    out = console()
    out.print(Plain(f"{data.title} ({data.id})", style="bold"))
    subjects = "not known" if data.n is None else _count(data.n)
    lines = {
        "original": "; ".join([data.citation, *data.links]),
        "values": f"{VERIFICATIONS[data.verification]}: {data.read}",
        "licence": data.licence,
        "kind": f"{data.kind}: {KINDS[data.kind]}",
        "axis": f"{data.axis}: {data.unit}; {CONVENTIONS[data.convention]}",
        "measure": f"{data.measure}: {data.scale}",
        "level": f"{data.level} ({LEVELS[data.level]}); behind a curve: {subjects}",
        "uncertainty": UNCERTAINTIES[data.uncertainty],
    }
    for name, text in lines.items():
        out.print(Plain(f"  {name + ':':13}{text}"))
    for note in data.notes:
        out.print(Plain(f"  · {note}"))
    out.print()
    print_table(out, _numbers(data))
    if fits is None:
        return
    for text in (*fits.statements, *fits.skipped):
        out.print(Plain(f"· {text}"))
    for table in (_slopes(fits, out.width), _populations(fits), _pooled(fits), _contrasts(fits)):
        if table is not None:
            out.print()
            print_table(out, table)
    warn(fits.warnings)


def _count(n: Any) -> str:
    return ", ".join(f"{v} ({k})" for k, v in n.items()) if isinstance(n, dict) else str(n)


def _table(left: tuple[str, ...], right: tuple[str, ...] = ()) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in left:
        table.add_column(name, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _numbers(data: Dataset) -> Any:
    """Values by curve; clustered ones as means over their clusters."""
    import math

    roles = data.columns
    if roles.cluster is not None and data.kind != "estimates":
        axis = roles.category or roles.x or ""
        table = _table((*roles.series, axis), (f"mean {roles.y}", "standard error", f"{data.level}s"))
        for series in data.series():
            mean = series.mean()
            for i, y in enumerate(mean.y):
                at = f"{mean.x[i]:g}" if mean.category is None else str(mean.category[i])
                se = "–" if mean.se is None else f"{mean.se[i]:.4g}"
                count = "–" if mean.subjects is None else f"{mean.subjects[i]:.0f}"
                table.add_row(*series.labels.values(), at, f"{y:.5g}", se, count)
        return table
    words = [*roles.series, *(name for name in (roles.cluster, roles.category) if name)]
    wanted = (roles.first, roles.last, roles.x, roles.y, roles.uncertainty, roles.n, roles.trials)
    numbers = [name for name in wanted if name]
    table = _table(tuple(words), tuple(numbers))
    frame = data.table
    for row in frame[[*words, *numbers]].astype(object).itertuples(index=False):
        cells = [str(value) for value in row[: len(words)]]
        for value in row[len(words) :]:
            missing = value is None or (isinstance(value, float) and math.isnan(value))
            cells.append("–" if missing or str(value) == "<NA>" else f"{value:g}")
        table.add_row(*cells)
    return table


_INTERVALS_WIDTH = 120  # of the terminal from which every slope has its interval


def _slopes(fits: HumanFits, width: int) -> Any:
    from cogfit.inference.interval import format_interval

    if not fits.slopes:
        return None
    rows: dict[Any, dict[tuple[str, str], Slope]] = {}
    for one in fits.slopes:
        key = (tuple(one.labels.values()), one.convention, one.x_min, one.x_max, one.n)
        rows.setdefault(key, {})[one.form, one.scale] = one
    kinds = {("power", "raw"): "γ, raw scale", ("power", "log"): "log–log", ("power_floor", "raw"): "with floor"}
    table = _table(("curve", "counted", "from–to"), tuple(kinds.values()))
    for (labels, convention, low, high, _), found in rows.items():
        cells = [", ".join(labels) or "all", convention, f"{low:g}–{high:g}"]
        for kind in kinds:
            one_or_none = found.get(kind)
            if one_or_none is None or one_or_none.status == "not_identified":
                cells.append("–")
                continue
            shown = f"{one_or_none.gamma:.3f}"
            if kind == ("power", "raw") or width >= _INTERVALS_WIDTH:
                shown += " " + format_interval((one_or_none.low, one_or_none.high))
            cells.append(shown)
        table.add_row(*cells)
    return table


def _populations(fits: HumanFits) -> Any:
    from cogfit.inference.interval import format_interval

    if not fits.populations:
        return None
    table = _table(
        ("curve",), (f"{fits.dataset.level}s", "mean γ", f"{fits.level:.0%} interval", "SD between", "another one")
    )
    for one in fits.populations:
        table.add_row(
            ", ".join(one.labels.values()) or "all", str(one.n), f"{one.mean:.3f}",
            format_interval((one.low, one.high)), f"{one.sd:.3f}", format_interval((one.new_low, one.new_high)),
        )  # fmt: skip
    return table


def _pooled(fits: HumanFits) -> Any:
    if not fits.pooled:
        return None
    table = _table(("all cells together", "scale", "at"), ("RSS", "AICc", "γ", "SE"))
    for one in fits.pooled:
        gamma, se = one.params.get("gamma"), one.stderr.get("gamma")
        table.add_row(
            one.title, one.scale, one.at, f"{one.rss:.4f}", f"{one.aicc:.1f}", "–" if gamma is None else f"{gamma:.3f}",
            "–" if se is None else f"{se:.3f}",
        )  # fmt: skip
    return table


def _contrasts(fits: HumanFits) -> Any:
    from cogfit.inference.interval import format_interval

    if not fits.contrasts:
        return None
    table = _table(("curve", "from", "to"), ("mean", "mean", "difference", f"{fits.level:.0%} interval", "pairs", "p"))
    for one, kept in [*((c, "") for c in fits.contrasts), *((c, " *") for c in fits.dropped)]:
        table.add_row(
            (", ".join(one.labels.values()) or "all") + kept, one.first, one.second, f"{one.mean_first:.4g}",
            f"{one.mean_second:.4g}", f"{one.difference:+.3g}", format_interval((one.low, one.high)),
            "–" if one.n is None else str(one.n), f"{one.p_value:.2g}",
        )  # fmt: skip
    if fits.dropped:
        table.caption = "* without the values that the authors drop"
    return table

"""``cogfit human``: human data, with provenance, numbers and fits."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from cogfit.commands import options
from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import ProgressBars, Text, add_rows, console, new_table, print_table, warn, write_json

if TYPE_CHECKING:
    from cogfit.people.by_subject import SubjectExponents
    from cogfit.people.catalogue import Catalogue
    from cogfit.people.dataset import Dataset
    from cogfit.people.exponents import ExponentRow, ExponentSurvey
    from cogfit.people.fits import HumanFits, Slope

HELP = """List the human learning and forgetting data, or show one set with its provenance and fits.

[bold]Examples[/bold]

  cogfit human                                            what there is, and what could not be had

  cogfit human ebbinghaus1885_savings                     numbers, provenance, fits

  cogfit human remington2016_latency --plot remington.pdf --json remington.json

  cogfit human my_curve --extra my_data                   a data package of your own

  cogfit human --import anki collection.anki2             your own reviews: retention against elapsed time

  cogfit human --import fsrs revlog.csv --out reviews     and kept, for cogfit human reviews --extra reviews

  cogfit human --exponents                                where is the human exponent? Every set and measure

  cogfit human --exponents --between 0.2 0.4 --plot forest.pdf   how many people lie in a range of yours
"""

SCHEMA = "cogfit.human/1"
_WRITTEN = ("cogfit.human", "cogfit.human-exponents")


def human(
    id: Annotated[Text, typer.Argument(metavar="[ID]", help="Data set; without it, all are listed.")] = None,
    extra: options.Extra = None,
    reviews: Annotated[
        tuple[str, Path] | None,
        typer.Option("--import", metavar="anki|fsrs FILE", help="Your own reviews of a spaced-repetition program."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to keep the imported reviews in, as a data package.")] = None,
    exponents: Annotated[
        bool, typer.Option("--exponents", help="One row per set and measure: γ, people, other choices.")
    ] = False,
    between: Annotated[
        tuple[float, float], typer.Option(help="Range of γ in which people are counted, with --exponents.")
    ] = (0.4, 0.5),
    fit: Annotated[bool, typer.Option("--fit/--no-fit", help="Whether to fit the data set shown.")] = True,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print every person's exponent with its standard error, too.")
    ] = False,
    level: options.Level = 0.95,
    seed: options.Seed = 0,
    json_file: options.JsonFile = None,
    plot: options.Plot = None,
    plot_people: Annotated[
        Path | None, typer.Option(help="With --exponents: draw γ of single people, a line for each set.")
    ] = None,
) -> None:
    """List or show human data (its help text is HELP)."""
    from cogfit.errors import InputError
    from cogfit.people.catalogue import human as human_data

    if not 0.0 < level < 1.0:
        raise InputError(f"--level must lie between 0 and 1, not {level:g}", hint="for 95 % pass --level 0.95")
    if out is not None and reviews is None:
        raise InputError("--out keeps imported reviews", hint="add --import anki FILE or --import fsrs FILE")
    if reviews is not None:
        if id is not None or exponents:
            raise InputError("--import shows the reviews alone", hint="leave the data set and --exponents out")
        _import(*reviews, out, _Shown(level, seed, fit, verbose, json_file, plot))
        return
    catalogue = human_data(extra=extra)
    if exponents:
        chosen = catalogue.values() if id is None else [catalogue[id]]
        _exponents(list(chosen), between, _Shown(level, seed, fit, verbose, json_file, plot), plot_people)
        return
    if id is None:
        if plot is not None:
            raise InputError("--plot draws one data set", hint="name it: cogfit human ID --plot FILE")
        check_outputs([Path(), *(extra or ())], json_file, schemas=_WRITTEN)
        write_json(lambda: _list_document(catalogue), json_file)
        if json_file != "-":
            _show_list(catalogue)
        return
    _one(catalogue[id], _Shown(level, seed, fit, verbose, json_file, plot))


class _Shown(NamedTuple):
    """How data are fitted, and what is shown and written of them.

    Attributes
    ----------
    level : float
    seed : int
    fit, verbose : bool
    json_file : str or None
    plot : Path or None
    """

    level: float
    seed: int
    fit: bool
    verbose: bool
    json_file: str | None
    plot: Path | None


def _one(data: Dataset, shown: _Shown) -> None:
    """Fit, show and write one data set."""
    check_outputs(data.path.parent, shown.json_file, shown.plot, schemas=_WRITTEN)
    fits = _fits(data, shown.level, shown.seed) if shown.fit else None
    write_json(lambda: _document(data, fits), shown.json_file)
    if shown.plot is not None:
        from cogfit.show.people import plot_human
        from cogfit.show.people_in_pictures import plot_survivorship
        from cogfit.show.plots import save_figure

        left = [found for found in fits.survivorship if found.differs] if fits is not None else []
        labels = (data.unit, f"{data.measure}: {data.scale}")
        save_figure(plot_survivorship(left[0], data.title, labels) if left else plot_human(data, fits), shown.plot)
    if shown.json_file != "-":
        _show_dataset(data, fits, verbose=shown.verbose)


def _fits(data: Dataset, level: float, seed: int) -> HumanFits:
    from cogfit.people.fits import fit_human

    with ProgressBars() as progress:
        return fit_human(data, level=level, rng=seed, progress=progress.stage("fitting"))


def _import(kind: str, file: Path, out: Path | None, shown: _Shown) -> None:
    """Show a person's own reviews, and keep them where wanted."""
    from tempfile import TemporaryDirectory

    from cogfit.people.catalogue import read_package
    from cogfit.people.reviews import DATASET, import_reviews, write_package

    found = import_reviews(kind, file)
    with TemporaryDirectory() as folder:
        descriptor = write_package(found, kind, file.name, out or folder)
        _one(read_package(descriptor)[DATASET], shown)


# ----------------------------------------------------------------------------------------------------- exponents


def _exponents(datasets: list[Dataset], between: tuple[float, float], shown: _Shown, plot_people: Path | None) -> None:
    """Collect the exponents of data sets, print and write them."""
    from cogfit.people.exponents import survey_exponents

    folders = {data.path.parent for data in datasets}
    check_outputs([Path(), *folders], shown.json_file, shown.plot, plot_people, schemas=_WRITTEN)
    with ProgressBars() as progress:
        survey = survey_exponents(
            datasets,
            between=between,
            level=shown.level,
            rng=shown.seed,
            full=shown.fit,
            progress=progress.stage("fitting"),
        )
    write_json(survey.to_json, shown.json_file)
    if shown.plot is not None:
        from cogfit.show.forest import plot_exponents
        from cogfit.show.plots import save_figure

        save_figure(plot_exponents(survey), shown.plot)
    if plot_people is not None:
        from cogfit.show.people_in_pictures import plot_over_people
        from cogfit.show.plots import save_figure

        save_figure(plot_over_people(survey), plot_people)
    if shown.json_file != "-":
        _show_exponents(survey, verbose=shown.verbose)


def _show_exponents(survey: ExponentSurvey, *, verbose: bool) -> None:
    """Print the rows in groups, and what follows."""
    from rich.text import Text as Plain

    from cogfit.people.exponent import heading

    out = console()
    out.print(Plain(survey.statement, style="bold"))
    groups: dict[str, list[ExponentRow]] = {}
    for row in survey.rows:
        groups.setdefault(heading(row.exponent), []).append(row)
    for title, rows in groups.items():
        out.print(Plain(f"\n{title[0].upper()}{title[1:]}", style="bold"))
        print_table(out, _exponent_table(rows, survey))
    for claim in survey.claims:
        out.print(Plain(f"As claimed by the paper: {claim.label}, γ = {claim.shown} ({claim.source})"))
    out.print(Plain("\nPooling", style="bold"))
    for pooled in survey.pooled:
        text = "not pooled" if pooled.population is None else f"γ = {pooled.population.mean:.3f}"
        out.print(Plain(f"  {pooled.title}: {text}; {pooled.reason}"))
    if survey.left_out:
        out.print(Plain("\nWithout an exponent", style="bold"))
    for name, reason in survey.left_out:
        out.print(Plain(f"  {name}: {reason}"))
    for row in survey.rows if verbose else ():
        if row.subjects is not None:
            out.print(Plain(f"\n{row.exponent.label}", style="bold"))
            print_table(out, _people_table(row.subjects))


def _people_table(subjects: SubjectExponents) -> Any:
    """Exponents of single people with their standard errors."""
    kind = subjects.series.dataset.level
    has_model = not all(map(isnan, subjects.shrunken))
    table = new_table((kind,), ("γ alone", "SE", *((f"γ among all {kind}s", "SE") if has_model else ())))
    columns = (subjects.gamma, subjects.stderr, *((subjects.shrunken, subjects.shrunken_stderr) if has_model else ()))
    for name, *values in zip(subjects.names, *columns, strict=True):
        add_rows(table, (name, *("–" if isnan(value) else f"{value:.3f}" for value in values)))
    return table


def _exponent_table(rows: list[ExponentRow], survey: ExponentSurvey) -> Any:
    low, high = survey.between
    numbers = ("γ", f"{survey.level:.0%} interval", "people", "SD", f"raw {low:g}–{high:g}", "share of people")
    table = new_table(("set",), numbers)
    table.add_column("form")
    table.add_column("other choices")
    for row in rows:
        add_rows(table, (row.exponent.label, *_exponent_cells(row), row.best_form or "–", _other_choices(row)))
    return table


def _exponent_cells(row: ExponentRow) -> tuple[str, ...]:
    """γ, and how it is distributed over people."""
    from cogfit.inference.interval import format_interval
    from cogfit.people.exponents import refusal

    exponent, people, share = row.exponent, row.population, row.share
    limits = format_interval((exponent.low, exponent.high)) if row.is_measured else "not determined"
    if people is None or share is None:
        return f"{exponent.gamma:.3f}", limits, "–", "–", "–", "–"
    spread = f"{people.spread:.2f} raw" if isnan(people.sd) else f"{people.sd:.2f}"
    of_people = f"{share.share:.0%} {format_interval((share.low, share.high))}"
    if isnan(share.share):
        of_people = f"– ({refusal(share)})"
    return f"{exponent.gamma:.3f}", limits, str(people.n), spread, f"{share.raw:.0%}", of_people


def _other_choices(row: ExponentRow) -> str:
    """γ under other choices, in words."""
    known = {name: value for name, value in row.other_choices.items() if not isnan(value)}
    return ", ".join(f"{name} {value:.2f}" for name, value in known.items()) or "–"


# ------------------------------------------------------------------------------------------------- all data sets


_TITLE_WIDTH = 130  # of the terminal from which titles have a column


def _list_document(catalogue: Catalogue) -> dict[str, Any]:
    """JSON document of all data sets, without their values."""
    readable = catalogue.readable()
    return {
        "schema": SCHEMA,
        "datasets": [data.to_json() for data in readable.values()],
        "damaged": [{"id": name, "reason": str(error)} for name, error in readable.damaged.items()],
        "unobtainable": [dict(item.__dict__) for item in catalogue.unobtainable],
    }


def _show_list(catalogue: Catalogue) -> None:
    """Print all data sets, and what could not be had."""
    from rich.text import Text as Plain

    out = console()
    print_table(out, _list_table(catalogue, has_titles=out.width >= _TITLE_WIDTH))
    out.print(Plain("\ncogfit human ID shows numbers, provenance and fits of one."))
    warn(tuple(f"{name} cannot be used: {error}" for name, error in catalogue.readable().damaged.items()))
    if catalogue.unobtainable:
        out.print(Plain("\nKnown, but their values could not be read:", style="bold"))
        for item in catalogue.unobtainable:
            out.print(Plain(f"  {item.title}" + (f" · {item.link}" if item.link else "")))


def _list_table(catalogue: Catalogue, has_titles: bool) -> Any:
    from rich.text import Text as Plain

    from cogfit.people.dataset import AXES

    table = new_table(["data set", "measure", "level"], ["n", "curves"])
    if has_titles:
        table.add_column("title", no_wrap=True)
    columns = ("measure", "level", "n", "curves", *(("title",) if has_titles else ()))
    rows = catalogue.table().to_dict("records")
    for axis, meaning in AXES.items():
        of_axis = [row for row in rows if row["axis"] == axis]
        if of_axis:
            table.add_row(Plain(meaning, style="italic"))
        for row in of_axis:
            table.add_row(Plain(f"  {row['id']}"), *(Plain(str(row[name])) for name in columns))
    return table


# -------------------------------------------------------------------------------------------------- one data set


def _document(data: Dataset, fits: HumanFits | None) -> dict[str, Any]:
    """JSON document of a data set, with its values."""
    described = {**data.to_json(), "rows": data.rows()}
    return {"schema": SCHEMA, "dataset": described, "fits": None if fits is None else fits.to_json()}


def _show_dataset(data: Dataset, fits: HumanFits | None, *, verbose: bool) -> None:
    """Print provenance, numbers and fits of a data set."""
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
    for people in fits.people if verbose else ():
        out.print(Plain(f"\n{', '.join(people.population.labels.values()) or 'all'}", style="bold"))
        print_table(out, _people_table(people.subjects))
    warn(fits.warnings)


def _count(n: Any) -> str:
    return ", ".join(f"{v} ({k})" for k, v in n.items()) if isinstance(n, dict) else str(n)


def _numbers(data: Dataset) -> Any:
    """Values by curve, clustered ones as means."""
    if data.columns.cluster is not None and data.kind != "estimates":
        return _means_table(data)
    return _values_table(data)


def _means_table(data: Dataset) -> Any:
    """Means over clusters, with their standard errors."""
    roles = data.columns
    axis = roles.category or roles.x or ""
    table = new_table((*roles.series, axis), (f"mean {_y_name(data)}", "standard error", f"{data.level}s"))
    for series in data.series():
        mean = series.mean()
        for i, y in enumerate(mean.y):
            place = f"{mean.x[i]:g}" if mean.category is None else str(mean.category[i])
            error = "–" if mean.se is None else f"{mean.se[i]:.4g}"
            count = "–" if mean.subjects is None else f"{mean.subjects[i]:.0f}"
            add_rows(table, (*series.labels.values(), place, f"{y:.5g}", error, count))
    return table


def _y_name(data: Dataset) -> str:
    """Name of the column that y is had from."""
    roles = data.columns
    return roles.y or f"{roles.successes}/{roles.trials}"


def _values_table(data: Dataset) -> Any:
    """Values as they stand in the table."""
    roles = data.columns
    words = [name for name in (*roles.series, roles.cluster, roles.category) if name]
    numeric = (roles.first, roles.last, roles.x, roles.y, roles.uncertainty, roles.n, roles.successes, roles.trials)
    numbers = [name for name in numeric if name]
    table = new_table(words, numbers)
    for row in data.table[[*words, *numbers]].astype(object).itertuples(index=False):
        add_rows(table, (*map(str, row[: len(words)]), *map(_number, row[len(words) :])))
    return table


def _number(value: Any) -> str:
    """A number of a table, "–" where it is missing."""
    is_missing = value is None or (isinstance(value, float) and isnan(value)) or str(value) == "<NA>"
    return "–" if is_missing else f"{value:g}"


_INTERVALS_WIDTH = 120  # of the terminal from which every slope has its interval

_SLOPES = {("power", "raw"): "γ, raw scale", ("power", "log"): "log–log", ("power_floor", "raw"): "with floor"}
"""Form and scale of the slopes that have a column."""


def _slopes(fits: HumanFits, width: int) -> Any:
    if not fits.slopes:
        return None
    rows: dict[Any, dict[tuple[str, str], Slope]] = {}
    for slope in fits.slopes:
        key = (tuple(slope.labels.values()), slope.convention, slope.x_min, slope.x_max, slope.n)
        rows.setdefault(key, {})[slope.form, slope.scale] = slope
    table = new_table(("curve", "counted", "from–to"), tuple(_SLOPES.values()))
    for (labels, convention, low, high, _), slopes in rows.items():
        cells = [
            _slope(slopes.get(kind), has_interval=kind == ("power", "raw") or width >= _INTERVALS_WIDTH)
            for kind in _SLOPES
        ]
        add_rows(table, (", ".join(labels) or "all", convention, f"{low:g}–{high:g}", *cells))
    return table


def _slope(slope: Slope | None, has_interval: bool) -> str:
    from cogfit.inference.interval import format_interval

    if slope is None or slope.status == "not_identified":
        return "–"
    interval = f" {format_interval((slope.low, slope.high))}" if has_interval else ""
    return f"{slope.gamma:.3f}{interval}"


def _populations(fits: HumanFits) -> Any:
    from cogfit.inference.interval import format_interval

    if not fits.populations:
        return None
    numbers = (f"{fits.dataset.level}s", "mean γ", f"{fits.level:.0%} interval", "SD between", "another one")
    table = new_table(("curve",), numbers)
    for population in fits.populations:
        add_rows(
            table,
            (
                ", ".join(population.labels.values()) or "all",
                str(population.n),
                f"{population.mean:.3f}",
                format_interval((population.low, population.high)),
                f"{population.sd:.3f}",
                format_interval((population.new_low, population.new_high)),
            ),
        )
    return table


def _pooled(fits: HumanFits) -> Any:
    if not fits.pooled:
        return None
    table = new_table(("all cells together", "scale", "at"), ("RSS", "AICc", "γ", "SE"))
    for fit in fits.pooled:
        gamma, error = (values.get("gamma") for values in (fit.params, fit.stderr))
        add_rows(
            table,
            (
                fit.title,
                fit.scale,
                fit.at,
                f"{fit.rss:.4f}",
                f"{fit.aicc:.1f}",
                "–" if gamma is None else f"{gamma:.3f}",
                "–" if error is None else f"{error:.3f}",
            ),
        )
    return table


def _contrasts(fits: HumanFits) -> Any:
    from cogfit.inference.interval import format_interval

    if not fits.contrasts:
        return None
    numbers = ("mean", "mean", "difference", f"{fits.level:.0%} interval", "pairs", "p")
    table = new_table(("curve", "from", "to"), numbers)
    starred = [*((contrast, "") for contrast in fits.contrasts), *((contrast, " *") for contrast in fits.dropped)]
    for contrast, star in starred:
        add_rows(
            table,
            (
                (", ".join(contrast.labels.values()) or "all") + star,
                contrast.first,
                contrast.second,
                f"{contrast.mean_first:.4g}",
                f"{contrast.mean_second:.4g}",
                f"{contrast.difference:+.3g}",
                format_interval((contrast.low, contrast.high)),
                "–" if contrast.n is None else str(contrast.n),
                f"{contrast.p_value:.2g}",
            ),
        )
    if fits.dropped:
        table.caption = "* without the values that the authors drop"
    return table

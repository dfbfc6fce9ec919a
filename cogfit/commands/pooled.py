"""``cogfit fit --by … --pool``: one model for all members."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogfit.commands import options as shared
from cogfit.commands.outputs import FITS, check_outputs
from cogfit.commands.terminal import (
    ProgressBars,
    console,
    is_read_by_a_person,
    print_table,
    print_text,
    split_names,
    warn,
    write_json,
)

if TYPE_CHECKING:
    from cogfit.logs.model import Log
    from cogfit.population.records import PopulationFit, Share

_ALONE = (
    "outcome",
    "convention",
    "bins",
    "axis",
    "smoothing",
    "schedule",
    "thorough",
    "audit",
    "workers",
    "diagnostics",
    "windows",
    "explain",
    "methods",
)
"""Options of a fit of one curve."""

_DEFAULTS = {"outcome": "auto", "convention": "prior"}

_MOST_MEMBERS = 8  # rows of a short answer


def fit_pooled(log: Path, options: Mapping[str, Any]) -> None:
    """Fit, write and show a population.

    Parameters
    ----------
    log : Path
    options : mapping of str
        Those of ``cogfit fit``.
    """
    from cogfit.population.api import fit_population

    _check(options)
    check_outputs(log, options["json_file"], options["plot"], schemas=FITS)
    with ProgressBars() as progress:
        table, by, kind = _read(log, options, progress)
        result = fit_population(
            table,
            by=by,
            kind=kind,
            form=options["form"],
            noise=options["noise"],
            level=options["level"],
            x_min=options["x_min"],
            x_max=options["x_max"],
            progress=progress.stage("fitting"),
        )
    share = None if options["between"] is None else result.share(*options["between"])
    write_json(lambda: _document(result, share), options["json_file"])
    if options["plot"] is not None:
        from cogfit.show.plots import save_figure

        save_figure(result.plot(), options["plot"])
    if options["json_file"] != "-":
        _show(result, share, options)
        warn(tuple(table.warnings))


def _check(options: Mapping[str, Any]) -> None:
    """Refuse options that exclude each other."""
    from cogfit.errors import InputError

    if not options["pool"]:
        raise InputError("--between counts the members of a population", hint="add --pool and --by")
    if options["by"] is None:
        raise InputError("--pool needs --by", hint="say what a member is: --by subject, run, layer, head or pattern")
    if options["noise"] == "binomial":
        hint = "in Python: cogfit.fit_population(table, noise='binomial', trials='n')"
        raise InputError("--noise binomial needs the trials behind each y, which a log does not hold", hint=hint)
    for name in _ALONE:
        if options[name] not in (None, False, _DEFAULTS.get(name)):
            option = "--" + name.replace("_", "-")
            raise InputError(f"{option} is of one curve and does not go with --pool", hint="leave one of them out")


def _read(log: Path, options: Mapping[str, Any], progress: ProgressBars) -> tuple[Log, tuple[str, ...], str]:
    """The log, what its members are told apart by, and what one is called.

    A column that is none of a log's own, such as a subject, is read as that of runs.
    """
    from cogfit.errors import InputError
    from cogfit.logs import read_log
    from cogfit.logs.model import GROUP_COLUMNS

    names: tuple[str, ...] = split_names(options["by"])
    run, by = options["run"], names
    if len(names) == 1 and names[0] not in (*GROUP_COLUMNS, "pattern"):
        if run is not None:
            raise InputError(f"--run and --by {names[0]} both say what runs are", hint="leave --run out")
        run, by = names[0], ("run",)
    table = read_log(log, progress=progress.stage("reading"), **(shared.reading(options) | {"run": run}))
    return table, by, names[-1]


def _document(result: PopulationFit, share: Share | None) -> dict[str, Any]:
    """JSON document of a population."""
    return result.to_json() | ({} if share is None else {"share": share.to_json()})


def _show(result: PopulationFit, share: Share | None, options: Mapping[str, Any]) -> None:
    """Print the answer and its tables."""
    from rich.text import Text as Plain

    from cogfit.show import population, tables

    out = console()
    out.print(Plain(result.headline(), style="bold"))
    if share is not None:
        print_text(share.in_words(result.kind) + "\n")
    if options["quiet"]:
        return
    out.print(Plain(result.how(), style="dim"))
    out.print()
    print_table(out, tables.to_terminal(population.parameters_table(result)))
    if result.forms:
        out.print()
        print_table(out, tables.to_terminal(population.scores_table(result)))
    most = _MOST_MEMBERS if is_read_by_a_person() and not options["verbose"] else None
    out.print()
    print_table(out, tables.to_terminal(population.members_table(result, most)))
    if most is not None and result.n_members > most:
        out.print(Plain(f"{result.n_members - most:,} {result.kind}s between these: --verbose", style="dim"))
    warn(result.warnings, out)

"""``cogfit simulate``: a log with a known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cogfit.commands import options
from cogfit.commands.terminal import Text, print_text

HELP = """Write a log whose form and exponent are known.

[bold]Examples[/bold]

  cogfit simulate truth.csv --param gamma=0.43 --noise lognormal --sigma 0.1

  cogfit simulate truth.jsonl --form exponential_floor --param r=0.02 --param c=0.1 --rho 0.9

  cogfit simulate truth.parquet --kind routing --patterns 100 --n 500

  cogfit simulate events/ --format tensorboard
"""


def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File (.csv .tsv .jsonl .parquet) or folder.")],
    form: Annotated[str, typer.Option(help="Form of the truth.")] = "power",
    param: Annotated[list[str] | None, typer.Option(help="name=value, repeatable.")] = None,
    n: Annotated[int, typer.Option(help="Points, or presentations of each pattern.")] = 300,
    kind: Annotated[str, typer.Option(help="utilization or routing.")] = "utilization",
    noise: Annotated[str, typer.Option(help="gaussian, lognormal or binomial.")] = "gaussian",
    sigma: Annotated[float, typer.Option(help="SD of the errors.")] = 0.01,
    rho: Annotated[float, typer.Option(help="Their lag-1 autocorrelation.")] = 0.0,
    trials: Annotated[int, typer.Option(help="Outcomes a step, for binomial noise.")] = 100,
    patterns: Annotated[int, typer.Option(help="Patterns of a routing log.")] = 100,
    seed: options.Seed = 0,
    log_format: Annotated[Text, typer.Option("--format", help="csv, jsonl, parquet or tensorboard.")] = None,
) -> None:
    """Write a simulated log (its help text is HELP)."""
    from cogfit.curves import simulation
    from cogfit.errors import InputError
    from cogfit.formulas.registry import get_form
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
    # what was not given has a default, which is part of the truth
    truth = {**simulation.default_params(get_form(form)), **params}
    shown = ", ".join(f"{key} = {value:g}" for key, value in truth.items())
    print_text(f"{out} ({written}): {len(frame):,} rows of {form}, {shown}\n")

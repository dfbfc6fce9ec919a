"""``cogfit theory policies``: published policies beside the bounds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cogfit.commands import options
from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import ProgressBars, add_rows, console, new_table, print_table, write_json

if TYPE_CHECKING:
    from theory.policies.phenomena import Phenomenon
    from theory.policies.study import Study

HELP = """Play published routing and retention policies on the same streams, beside the bounds T1 to T3.

Three laws of streams: mix (SRCD, recurring and novel keys), independent (queries drawn independently by Zipf's law, \
as T2 needs), recurrent (keys that come back at intervals of their own). \
Every stream has fresh values and is the unit of the intervals. \
What class a policy is in is found by intervention, not by its name: histories, values, labels and carried states are \
changed, and one looks whether decisions or answers change. \
Attention is counted in attended tokens (share of full attention) and in rows.

[bold]Examples[/bold]

  cogfit theory policies                                    all of them; some two minutes

  cogfit theory policies --policy a2sf --policy h2o --budget 0.1 --budget 0.3

  cogfit theory policies --policy a2sf --param alpha=0.9 --stream recurrent

  cogfit theory policies --policy miras --param bias=huber --param retention=kl

  cogfit theory policies --recurring 0.3 --zipf 1.5 --interval 60 --json p.json --plot p.pdf

  cogfit theory policies --policy cram --redraw 0.01        values that change, beside T9
"""

Many = list[str] | None
Numbers = list[float] | None
"""Types of options that may be repeated, or left out."""


def policies(
    policy: Annotated[Many, typer.Option(help="Policy, such as a2sf; may be repeated. Default: all.")] = None,
    budget: Annotated[
        Numbers, typer.Option(help="Share of the stream to attend to; may be repeated.  [default: 1/16 1/8 1/4 1/2]")
    ] = None,
    stream: Annotated[Many, typer.Option(help="mix, independent or recurrent; may be repeated. Default: all.")] = None,
    param: Annotated[Many, typer.Option(help="Parameter of the policy, such as alpha=0.9; may be repeated.")] = None,
    streams: Annotated[int, typer.Option(help="Streams per law.")] = 40,
    length: Annotated[int, typer.Option(help="Tokens in a stream.")] = 256,
    patterns: Annotated[int, typer.Option(help="Recurring keys.")] = 48,
    values: Annotated[int, typer.Option(help="Values, equally likely.")] = 16,
    recurring: Annotated[float, typer.Option(help="Share that is recurring and not novel.")] = 0.7,
    zipf: Annotated[float, typer.Option(help="Exponent of the frequencies of the recurring keys.")] = 1.0,
    interval: Annotated[int, typer.Option(help="Median recurrence interval in tokens (recurrent).")] = 40,
    redraw: Annotated[float, typer.Option(help="Probability that a value is drawn anew before a token.")] = 0.0,
    seed: options.Seed = 0,
    json_file: options.JsonFile = None,
    plot: options.Plot = None,
) -> None:
    """Play the policies (its help text is HELP)."""
    check_outputs(Path(), json_file, plot, schemas=["theory.policies"])
    from theory.policies.phenomena import phenomena
    from theory.policies.streams import Setting
    from theory.policies.study import BUDGETS, study

    setting = Setting(
        length=length,
        patterns=patterns,
        values=values,
        recurring=recurring,
        zipf=zipf,
        interval=interval,
        redraw=redraw,
    )
    # phenomena belong to the whole set of policies
    with ProgressBars() as progress:
        played = study(
            setting,
            policies=policy or (),
            laws=stream or (),
            budgets=budget or BUDGETS,
            streams=streams,
            seed=seed,
            parameters=_parameters(param or []),
            progress=progress.stage("playing"),
        )
        published = () if policy else phenomena(seed=seed)
    write_json(lambda: {**played.to_json(), "published": [item.to_json() for item in published]}, json_file)
    if plot is not None:
        from cogfit.show.plots import save_figure

        save_figure(played.plot(), plot)
    if json_file != "-":
        _show(played, published)


def _parameters(given: list[str]) -> dict[str, float | str]:
    """Read ``name=value`` pairs.

    Whole numbers stay whole, and what is no number is a word.
    """
    from cogfit.errors import InputError

    parameters: dict[str, float | str] = {}
    for text in given:
        name, _, value = text.partition("=")
        if not name or not value:
            raise InputError(f"'{text}' sets no parameter", hint="write it as alpha=0.9")
        parameters[name] = _number_or_word(value)
    return parameters


def _number_or_word(text: str) -> float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _show(played: Study, published: tuple[Phenomenon, ...]) -> None:
    """Print classes, laws, limits and published phenomena."""
    from rich.text import Text as Plain

    from theory.policies.summary import CAPTION, claim_lines, classes, law_table, limit_lines

    out = console()
    tables = [("Found by intervention", classes(played))]
    tables += [(CAPTION[law], law_table(played, law)) for law in played.laws]
    for title, (header, *rows) in tables:
        out.print(Plain(title, style="bold"))
        table = new_table(header, wrapped=["kind"])
        add_rows(table, *rows)
        print_table(out, table)
        out.print("")
    for line in (*limit_lines(played), *claim_lines(published)):
        out.print(Plain(line))

"""Groups of options in the help of every command, written once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

ROWS, FORM, FORECAST, OUTPUT = "What is read", "How it is fitted", "What comes next", "What comes out"
JUDGED, SIMULATED, RUNNING = "What it is judged by", "What is simulated", "How it runs"
TRAINED, PLAYED, MEASURED, LIKE = "What is trained", "What is played", "What is measured", "With --like: how it is read"

GROUPS: Mapping[str, str] = {
    ROWS: """--x --y --pattern --run --split --x-offset --format --max-bytes --by --x-min --x-max --follow --every
        --idle --to --extra --import --table --weights --trials --drop-missing --runs --text --texts""",
    FORM: """--form --noise --level --pool --between --outcome --convention --bins --axis --measure --smoothing
        --schedule --thorough --audit --seed --align --margin --repeated --all-forms --verdicts --fit""",
    FORECAST: "--reach --predict --fan",
    OUTPUT: """--json --plot --html --interactive --diagnostics --windows --explain --methods --verbose --quiet --out
        --plot-routes --plot-people --all --exponents --markdown --list --only --row --full --certificate --against""",
    RUNNING: "--workers --device --threads --dtype --memory --scheduler --ensemble --minutes --quick",
    TRAINED: "--train --set --vary --seeds",
}
"""Options of each group, by the name that a person types."""

SPECIAL: Mapping[str, Mapping[str, str]] = {
    "fit": {FORM: "--workers"},
    "claim": {JUDGED: "--margin --plus-minus --form"},
    "design": {
        LIKE: """--x --y --pattern --run --split --x-offset --format --outcome --convention --bins --x-min --x-max
            --axis --smoothing --noise""",
        ROWS: "--like",
        SIMULATED: "--n --sd --decades --rho --gamma --floor --form --rival --runs --patterns --spacing --errors",
        RUNNING: "--goal --simulations --seed",
    },
    "simulate": {
        SIMULATED: "--form --param --n --kind --noise --sigma --rho --trials --patterns --seed",
        OUTPUT: "--format",
    },
    "theory bound": {
        JUDGED: """--values --side-information --bits --f --accuracy --labels --unit --one-table --planned-lengths
            --level""",
    },
    "theory copies": {JUDGED: "--values --bits --level"},
    "theory check": {JUDGED: "--verify --rocq"},
    "theory policies": {
        PLAYED: "--policy --budget --param --stream --streams --seed",
        SIMULATED: "--length --patterns --values --recurring --zipf --interval --redraw",
    },
    "theory redundancy": {
        MEASURED: """--input --documents --fit-documents --tokens --context --layers --ridge --halvings --threshold
            --level""",
    },
    "theory lm fetch": {"What is fetched": "--texts --again"},
    "theory lm study": {MEASURED: "--unit --quick"},
    "theory lm practice": {TRAINED: "--cell --quick"},
    "theory lm recall": {OUTPUT: "--log --cell --exposures"},
}
"""Where an option of one command stands elsewhere."""


def group_of(command: str, option: str) -> str | None:
    """Return the group of an option.

    Parameters
    ----------
    command : str
        Such as ``theory bound``.
    option : str
        Such as ``--x-min``.

    Returns
    -------
    str or None
        None where it stands in no group, as ``--help``.

    Examples
    --------
    >>> group_of("fit", "--seed"), group_of("simulate", "--seed"), group_of("fit", "--help")
    ('How it is fitted', 'What is simulated', None)
    """
    for groups in (SPECIAL.get(command, {}), GROUPS):
        for group, options in groups.items():
            if option in options.split():
                return group
    return None


def arrange(command: Any, name: str = "") -> None:
    """Put the options of commands into groups.

    Those below a command come with it.

    Parameters
    ----------
    command : Command of click
    name : str
        What is typed after ``cogfit``.
    """
    for path, item in _each(command, name):
        for option in item.params:
            if option.param_type_name == "option":
                option.rich_help_panel = group_of(path, option.opts[0])


def _each(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Commands that do something, with what is typed for them."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
        return
    for word, item in below.items():
        yield from _each(item, f"{name} {word}".strip())

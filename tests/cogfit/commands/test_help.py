"""The help of every command: options in groups, switches without a type, examples that can be typed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from cogfit import cli
from cogfit.commands import groups


def each(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Commands that do something, with what is typed for them."""
    below = getattr(command, "commands", None)
    if below is None:
        yield name, command
        return
    for word, item in below.items():
        yield from each(item, f"{name} {word}".strip())


def arranged() -> dict[str, Any]:
    root = typer.main.get_command(cli.app)
    groups.arrange(root)
    return dict(each(root))


COMMANDS = arranged()


def options_of(command: Any) -> list[Any]:
    return [parameter for parameter in command.params if parameter.param_type_name == "option"]


def examples_of(command: Any) -> list[str]:
    """Lines below "Examples" that call cogfit."""
    below = command.help.split("[bold]Examples[/bold]")[1]
    return [line.strip() for line in below.splitlines() if line.startswith("  cogfit ")]


def test_there_are_all_commands() -> None:
    assert len(COMMANDS) >= 20
    assert {"fit", "theory bound", "theory lm study"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_groups_no_type_for_switches_and_one_line_per_example(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert cli.main([*name.split(), "--help"]) == 0
    out = capfd.readouterr().out
    assert "bool" not in out
    intro, *panels = out.split("╭─ ")
    # no empty line between two examples: together they are one block
    block = re.split(r"\n\s*\n", intro[intro.index("Examples") :])[1]
    typed = [line for line in block.splitlines() if line.strip().startswith("cogfit ")]
    assert len(typed) == len(examples_of(COMMANDS[name])) >= 2
    # all options are there, each in its group; only --help stands alone
    titles = {panel.split(" ─")[0]: panel for panel in panels}
    for option in options_of(COMMANDS[name]):
        assert re.search(rf"│ +(\* +)?{option.opts[0]}\b", titles[option.rich_help_panel])
    assert re.findall(r"│ +(--\S+)", titles["Options"]) == ["--help"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_can_be_typed(name: str) -> None:
    for example in examples_of(COMMANDS[name]):
        typed = re.split(r"\s{2,}|\s[|>]\s|\s&&\s", example)[0]  # what it does, a pipe, a second command
        words = shlex.split(typed)[1:]
        of_this = max((other for other in COMMANDS if words[: len(other.split())] == other.split()), key=len)
        COMMANDS[of_this].make_context(of_this, words[len(of_this.split()) :])


def test_a_group_is_named_for_options_that_there_are() -> None:
    there = {name: {option.opts[0] for option in options_of(command)} for name, command in COMMANDS.items()}
    everywhere = set().union(*there.values())
    for listed in groups.GROUPS.values():
        assert set(listed.split()) <= everywhere
    for name, special in groups.SPECIAL.items():
        for listed in special.values():
            assert set(listed.split()) <= there[name], name


def test_an_option_that_reads_a_log_is_described_alike_wherever_it_stands() -> None:
    shared = ("--x", "--y", "--pattern", "--run", "--split", "--x-offset", "--format", "--x-min", "--outcome", "--bins")
    shared += ("--convention", "--axis", "--smoothing", "--noise", "--level", "--json", "--seed")
    for option in shared:
        described = {
            (item.help, item.metavar)
            for name in ("fit", "inspect", "claim", "report", "compare", "design")
            for item in options_of(COMMANDS[name])
            if item.opts[0] == option
        }
        assert len(described) == 1, option

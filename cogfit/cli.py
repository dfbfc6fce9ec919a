"""The command line ``cogfit``.

It puts the commands together, and turns errors into one line and an exit code.
"""

from __future__ import annotations

import copy
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.models import CommandInfo

from cogfit.commands import (
    claim,
    compare,
    design,
    figures,
    fit,
    fit_many,
    human,
    inspect,
    ledger,
    report,
    simulate,
    theory,
)
from cogfit.commands.groups import arrange
from cogfit.commands.terminal import Interrupt, PipeClosed, print_error, print_text
from cogfit.records.printable import printable, spelled, spelling_streams

_HELP_NAMES = ["-h", "--help"]

LOGS, PEOPLE, PAPERS = "Training logs", "People", "Theory and papers"
"""Groups of commands in the help."""

app = typer.Typer(
    name="cogfit",
    help="Estimate power-law exponents γ from training logs, and say whether the data support a power law at all.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": _HELP_NAMES},
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version and leave.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="With --version: Python, NumPy and the compiled engine, too.")
    ] = False,
) -> None:
    if version:
        print_text(_versions() if verbose else _version())
        raise typer.Exit
    if verbose:
        raise typer.BadParameter("goes with --version", param_hint="'--verbose'")
    if context.invoked_subcommand is None:
        context.fail("Missing command.")


def _version() -> str:
    import cogfit

    return f"cogfit {cogfit.__version__}\n"


def _versions() -> str:
    """What to say in a report of a defect: versions, and how the engine computes here."""
    import platform
    from importlib.metadata import version

    from cogfit.errors import EngineError
    from cogfit.native import library

    lines = [f"Python {platform.python_version()} ({platform.platform()})", f"NumPy {version('numpy')}"]
    try:
        engine = library.describe()
    except EngineError as error:  # the reason why somebody asks
        lines.append(f"engine: {error}")
    else:
        lines.append(f"engine level {engine.level} (this machine can run {', '.join(engine.usable)})")
        lines.append(f"engine built by {engine.built_by}")
    return _version() + "".join(f"{line}\n" for line in lines)


app.command(help=fit.HELP, rich_help_panel=LOGS)(fit.fit)
app.command(help=inspect.HELP, rich_help_panel=LOGS)(inspect.inspect)
app.command("fit-many", help=fit_many.HELP, rich_help_panel=LOGS)(fit_many.fit_many)
app.command(help=design.HELP, rich_help_panel=LOGS)(design.design)
app.command(help=claim.HELP, rich_help_panel=LOGS)(claim.claim)
app.command(help=compare.HELP, rich_help_panel=PEOPLE)(compare.compare)
app.command(help=human.HELP, rich_help_panel=PEOPLE)(human.human)
app.command(help=report.HELP, rich_help_panel=LOGS)(report.report)
app.command(help=figures.HELP, rich_help_panel=PAPERS)(figures.figures)
app.command(help=simulate.HELP, rich_help_panel=LOGS)(simulate.simulate)
app.command(help=ledger.HELP, rich_help_panel=PAPERS)(ledger.ledger)
app.add_typer(theory.app, name="theory", rich_help_panel=PAPERS)


CITE_HELP = """Print how to cite this package and the papers it examines.

[bold]Examples[/bold]

  cogfit cite

  cogfit cite > citations.txt
"""


@app.command(help=CITE_HELP, rich_help_panel=PAPERS)
def cite() -> None:
    """Print how to cite this package."""
    import cogfit

    print_text(
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
    Language Models. Findings of EMNLP 2025, 3969–3981. arXiv:2510.08798
"""
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code.

    0 done, 2 bad input, 3 a certificate fails, 1 internal error, 130 interrupted.
    """
    import signal
    import threading

    Interrupt.seen = False  # whatever an earlier call in this process saw
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, Interrupt.handle)
    with spelling_streams():
        return _run(arguments)


def _run(arguments: list[str] | None) -> int:
    """Run a command; what it raises becomes an exit code."""
    import warnings

    from cogfit.errors import CogfitError

    try:
        with warnings.catch_warnings():
            warnings.showwarning = _line_per_warning(warnings.showwarning)
            code = _command(sys.argv[1:] if arguments is None else arguments)(args=arguments, standalone_mode=False)
        if code == 130:  # typer turns Ctrl-C into this code
            return _interrupted()
        return code if isinstance(code, int) else 0
    except CogfitError as error:
        print_error(f"cogfit: {_with_options(str(error), sys.argv[1:] if arguments is None else arguments)}")
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return _interrupted()
    except typer.TyperException as error:
        _show_usage_error(error)
        return 2
    except PipeClosed:  # nothing more to say, and no complaint when Python flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("COGFIT_DEBUG"):
            raise
        print_error(
            f"cogfit: internal error ({type(error).__name__}: {error}); set COGFIT_DEBUG=1 for the traceback and "
            "please report it"
        )
        return 1


_ARGUMENTS = {
    "rng": "seed",
    "memory_bits": "bits",
    "parameters": "param",
    "budgets": "budget",
    "policies": "policy",
    "laws": "stream",
}
"""Arguments of functions that a command's parameter has another name for."""


def _with_options(message: str, arguments: Sequence[str]) -> str:
    """A message of a function in the words of the command that called it.

    Functions name their arguments, as in `` `x_min` `` or `` `level=0.95` ``; who typed a command knows options, such
    as ``--x-min`` or ``--level 0.95``.
    """
    names = [name for name in arguments if not name.startswith("-")]
    command: Any = typer.main.get_command(_with_options_of(app, names))
    for name in names:
        command = getattr(command, "commands", {}).get(name, command)
    options = {parameter.name: max(parameter.opts, key=len) for parameter in command.params}

    def option(match: re.Match[str]) -> str:
        name, value = match.groups()
        found = options.get(_ARGUMENTS.get(name, name), "")
        return f"{found} {value or ''}".strip() if found.startswith("--") else match.group()

    return re.sub(r"`(\w+)(?:=([^`]+))?`", option, message)


def _command(arguments: Sequence[str]) -> Any:
    """The command line, its help in what standard output can encode.

    The frames around the help would not be straight if it were spelled out later.
    """
    # a shell that completes a line asks without arguments, and wants to know all options
    is_completing = "_COGFIT_COMPLETE" in os.environ
    command = typer.main.get_command(app if is_completing else _with_options_of(app, arguments))
    arrange(command)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    waiting: list[Any] = [command]
    while waiting:
        item = waiting.pop()
        if item.help:
            item.help = spelled(_laid_out(item.help) if hasattr(item, "params") else item.help, encoding)
        if getattr(item, "is_flag", False) and item.metavar is None:
            item.metavar = ""  # a switch takes no value, so none is named
        waiting += (*getattr(item, "params", ()), *getattr(item, "commands", {}).values())
        if hasattr(item, "get_help_option"):
            waiting.append(item.get_help_option(typer.Context(item, help_option_names=_HELP_NAMES)))
    return command


def _laid_out(text: str) -> str:
    """Help with one line per example, and lines of prose as long as the terminal.

    Where an example and what it does are too long for a line, that stands below the commands.
    """
    import shutil

    width = shutil.get_terminal_size().columns - 2
    blocks: list[str] = []
    examples: list[str] = []
    for paragraph in [*text.strip().split("\n\n"), ""]:
        if paragraph.startswith("  "):
            examples += paragraph.splitlines()
            continue
        if examples:
            blocks.append(_example_lines(examples, width))
            examples = []
        blocks.append(paragraph.replace("\n", " "))
    return "\n\n".join(filter(None, blocks))


def _example_lines(examples: Sequence[str], width: int) -> str:
    """Examples, one a line, what they do beside them or below."""
    if max(map(len, examples)) <= width:
        return "\n".join(examples)
    parts = (re.split(r"\s{2,}", example.strip(), maxsplit=1) for example in examples)
    return "\n".join("\n      ".join(("  " + first, *rest)) for first, *rest in parts)


def _with_options_of(commands: typer.Typer, names: Sequence[str]) -> typer.Typer:
    """Commands of which only those named have their options.

    Typer reads the options of a command from its annotations. For all commands that takes longer than to print their
    help, and of those that nobody asks for only name and help are of use.
    """
    out = copy.copy(commands)
    out.registered_commands = [
        command if _name_of(command) in names else _without_options(command) for command in commands.registered_commands
    ]
    out.registered_groups = [copy.copy(group) for group in commands.registered_groups]
    for group in out.registered_groups:
        if group.name not in names and group.typer_instance is not None:
            group.typer_instance = _with_options_of(group.typer_instance, ())
    return out


def _name_of(command: CommandInfo) -> str:
    """Name of a command: its own, or that of its function."""
    assert command.callback is not None
    return command.name or command.callback.__name__.replace("_", "-")


def _without_options(command: CommandInfo) -> CommandInfo:
    out = copy.copy(command)
    out.name, out.callback = _name_of(command), lambda: None
    return out


def _show_usage_error(error: Any) -> None:
    """Print what is wrong with the arguments.

    Usage errors know how to print themselves, with a pointer to --help; they quote what was typed, or what a shell made
    of ``*``.
    """
    error.message = printable(error.message)
    show = getattr(error, "show", None)
    print_error(f"cogfit: {error}") if show is None else show()


def _interrupted() -> int:
    print_error("cogfit: interrupted")
    return 130


def _line_per_warning(show: Callable[..., None]) -> Callable[..., None]:
    """Print warnings of this package as one line each.

    Those of others are left to `show`. Python would print two lines, with a place in the source that says nothing to
    the person who reads it.
    """

    def show_warning(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
        if category.__module__.partition(".")[0] in ("cogfit", "theory", "paper_figures"):
            print_error(f"warning: {message}")
        else:
            text = printable(str(message), keeps_lines=True)
            show(message if text == str(message) else text, category, *place, **options)

    return show_warning


if __name__ == "__main__":
    sys.exit(main())

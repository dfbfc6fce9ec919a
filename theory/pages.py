"""Command lines of the modules that write pages of the documentation."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def page_parser(module: str, about: str, examples: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of a module that writes a page.

    It refuses what the module does not know, which works for minutes and overwrites files of the documentation at the
    end.

    Parameters
    ----------
    module : str
        As after ``python -m``.
    about : str
        What it does.
    examples : sequence of str

    Examples
    --------
    >>> parser = page_parser("theory.claims", "Write a page.", ["python -m theory.claims"])
    >>> print(parser.format_help().splitlines()[0])
    usage: python -m theory.claims [-h]
    """
    return argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=about,
        epilog="\n".join(["examples:", *(f"  {example}" for example in examples)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

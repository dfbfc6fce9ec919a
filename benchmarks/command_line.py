"""What the command lines of the benchmarks share: numbers that make sense, and errors as one line.

A script ends with 2 and a message where it is asked for something that it cannot do, as ``cogfit`` does.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from cogfit.errors import CogfitError

N = TypeVar("N", int, float)


def positive_whole(text: str) -> int:
    """Read a count, for ``type`` of an argument."""
    return _checked(int, text, lambda value: value > 0, "a positive whole number")


def whole(text: str) -> int:
    """Read a count that may be 0, or a seed."""
    return _checked(int, text, lambda value: value >= 0, "a whole number of 0 or more")


def positive_number(text: str) -> float:
    """Read a finite number above 0: NaN would be neither reached nor passed."""
    return _checked(float, text, lambda value: 0 < value < math.inf, "a positive finite number")


def number(text: str) -> float:
    """Read a finite number that may be 0."""
    return _checked(float, text, lambda value: 0 <= value < math.inf, "a finite number of 0 or more")


def _checked(read: Callable[[str], N], text: str, is_valid: Callable[[N], bool], what: str) -> N:
    try:
        value = read(text)
    except ValueError:
        pass
    else:
        if is_valid(value):
            return value
    raise argparse.ArgumentTypeError(f"'{text}' is not {what}")


def parser_of(about: str | None) -> argparse.ArgumentParser:
    """Return a parser that shows a script's docstring as it is."""
    return argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)


def is_page_asked(about: str | None) -> bool:
    """Whether a page is to be written, which goes with no other option."""
    if "--page" not in sys.argv[1:]:
        return False
    parser = parser_of(about)
    parser.add_argument("--page", action="store_true", help="write the table of the documentation, and leave")
    parser.parse_args()
    return True


@contextmanager
def refusing() -> Iterator[None]:
    """Within, what cannot be read, written or run ends the script with one line and exit code 2."""
    try:
        yield
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else error.stderr
        _refuse(f"{' '.join(map(str, error.cmd[:2]))} failed: {' '.join((said or 'without a message').split())}")
    except (CogfitError, OSError) as error:
        _refuse(str(error))


def _refuse(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def run_script(main: Callable[[], int | None]) -> int:
    """Call a script's main function; what it refuses ends with 2."""
    with refusing():
        return main() or 0

"""Write docs/phenomena.md, or show single rows: ``python -m theory.phenomena [ID …]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cogfit.errors import InputError, nearest
from cogfit.files import data_dir
from theory.ledger.recordings import Recordings
from theory.pages import page_parser
from theory.phenomena.page import in_full, page
from theory.phenomena.records import Statement, assess
from theory.phenomena.statements import STATEMENTS


def chosen(names: Sequence[str]) -> list[Statement]:
    """Statements by identifier, all of them by default.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    known = {statement.id: statement for statement in STATEMENTS}
    for name in names:
        if name not in known:
            raise InputError(f"no statement '{name}'", hint=nearest(name, known))
    return [known[name] for name in names] or list(STATEMENTS)


def main(arguments: Sequence[str]) -> int:
    """Print the page, or rows as text."""
    parser = page_parser(
        "theory.phenomena",
        "Print what the works of the list of sources say and what was found: the page, or single rows as text.",
        [
            "python -m theory.phenomena > docs/phenomena.md",
            f"python -m theory.phenomena {STATEMENTS[0].id} {STATEMENTS[-1].id}",
        ],
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="statement to show in full; without any: the page")
    names = parser.parse_args(arguments).ids
    try:
        statements = chosen(names)
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    data = Recordings(data_dir())
    rows = [assess(statement, data) for statement in statements]
    sys.stdout.write("\n\n".join(map(in_full, rows)) + "\n" if names else page(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

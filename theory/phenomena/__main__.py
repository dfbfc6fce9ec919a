"""Write docs/phenomena.md, or show single rows: ``python -m theory.phenomena [ID …]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cogfit.errors import InputError, nearest
from cogfit.files import data_dir
from theory.ledger.recordings import Recordings
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
    try:
        statements = chosen(arguments)
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    data = Recordings(data_dir())
    rows = [assess(statement, data) for statement in statements]
    sys.stdout.write("\n\n".join(map(in_full, rows)) + "\n" if arguments else page(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

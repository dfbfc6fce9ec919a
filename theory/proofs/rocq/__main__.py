"""Let a kernel check the proofs: ``python -m theory.proofs.rocq``.

Without a prover one line says so, and the exit code is 0; with COGFIT_REQUIRE_PROOFS=1 it is 2.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from cogfit.errors import CogfitError
from theory.pages import page_parser
from theory.proofs.rocq import prover, record
from theory.proofs.rocq.prover import NoProverError
from theory.proofs.rocq.statements import holes, modules, source, statements


def main(given: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = page_parser(
        "theory.proofs.rocq",
        "Let a kernel check the proofs.",
        ["python -m theory.proofs.rocq", "python -m theory.proofs.rocq --record --recheck"],
    )
    parser.add_argument("--record", action="store_true", help="write record.json anew")
    parser.add_argument("--recheck", action="store_true", help="run the independent checker, too (minutes)")
    parser.add_argument("--table", action="store_true", help="only print the table of the documentation")
    arguments = parser.parse_args(given)
    if arguments.table:
        print(record.table())
        return 0
    for module in modules():
        if found := holes(source(module).read_text(encoding="utf-8")):
            print(f"{module}.v has a hole: {', '.join(found)}", file=sys.stderr)
            return 1
    try:
        return _check(write=arguments.record, again=arguments.recheck)
    except NoProverError as error:
        required = os.environ.get("COGFIT_REQUIRE_PROOFS", "") not in ("", "0")
        print(f"SKIPPED: proofs ({error})", file=sys.stderr if required else sys.stdout)
        return error.exit_code if required else 0
    except CogfitError as error:
        print(error, file=sys.stderr)
        return 1


def _check(*, write: bool, again: bool) -> int:
    old = record.load() if record.RECORD.exists() else {}
    with record.checked(progress=_say) as session:
        new = record.describe(session) | {name: old[name] for name in ("recheck",) if name in old}
        if write:
            record.save(new)  # before the independent checker, which takes minutes
        _report(new)
        if again:
            said = prover.recheck(session.folder, modules())
            new["recheck"] = {"date": datetime.now(UTC).date().isoformat(), "files": new["files"], "said": said}
            print(f"coqchk: {said}")
    if write:
        record.save(new)
        return 0
    changed = record.differences(old, new)
    if changed:
        print(f"not as recorded: {'; '.join(changed)}; run python -m theory.proofs.rocq --record", file=sys.stderr)
    return 1 if changed else 0


def _say(done: int, total: int, what: str) -> None:
    print(f"  file {done + 1} of {total}: {what}", flush=True)


def _report(document: dict[str, object]) -> None:
    without = [s for s in statements() if not record.axioms(document, s.full_name)]
    for statement in statements():
        resting = record.axioms(document, statement.full_name)
        names = ", ".join(word for word in resting.split() if "." in word) if resting else "no axioms"
        print(f"  {' '.join(statement.claims):<18} {statement.full_name:<40} {names}")
    version = document["prover"]
    print(f"{len(statements())} statements checked by the kernel of Rocq {version}; {len(without)} without axioms")


if __name__ == "__main__":
    sys.exit(main())
